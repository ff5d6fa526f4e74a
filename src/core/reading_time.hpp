#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace auren {

// Microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts them.
constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kFiveMinutes = 300 * kMicrosPerSecond;

// The start of the five minutes that hold a time. The times that are infinite stay what they are.
std::int64_t FiveMinutesOf(std::int64_t micros);

/*
 * A time as events carry it: RFC 3339 ("2025-01-29T10:00:00Z", a fraction and an offset as they come, a space for the T). One
 * without an offset is UTC, and a date alone its first moment. Nothing where the text is no such time.
 */
std::optional<std::int64_t> ParseReadingTime(std::string_view text);

} // namespace auren
