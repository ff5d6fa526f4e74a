#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace auren {

// Times are microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts them.
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

/*
 * A time as events carry it:
 * - RFC 3339 and what is close to it ("2025-01-29T10:00:00Z", "2014-09-13 10:27:54 +0100", "2014-09-13 10:27:54 UTC"): a fraction, and
 *   an offset with or without a blank before it. One without an offset is UTC, and a date alone is its first moment.
 * - Seconds since 1970 of 9 or 10 digits, and milliseconds of 12 or 13, with a fraction or a minus. Other lengths are not read: they
 *   may as well be a date such as 20140913.
 * Nothing where the text is not such a time, or may be more than one.
 */
std::optional<std::int64_t> ParseEventTime(std::string_view text);

} // namespace auren
