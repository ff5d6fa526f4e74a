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

// Readings are of the years from 4713 BC to 294275: nearer to the ends of the server's calendar the day or hour of some zone is outside it.
constexpr std::int64_t kFirstReading = INT64_C(-211810204800000000);
constexpr std::int64_t kEndOfReadings = INT64_C(9223339708800000000);

// Whether a reading may have that time: one of those years, or one that is infinite.
bool IsReadingTime(std::int64_t micros);

/*
 * A time as events carry it:
 * - RFC 3339 and what is close to it ("2025-01-29T10:00:00Z", "2014-09-13 10:27:54 +0100", "2014-09-13 10:27:54 UTC"): a fraction, and
 *   an offset with or without a blank before it. One without an offset is UTC, and a date alone is its first moment.
 * - Seconds since 1970 of 9 or 10 digits, and milliseconds of 12 or 13, with a fraction or a minus. Other lengths are not read: they
 *   may as well be a date such as 20140913.
 * Nothing where the text is not such a time, or may be more than one.
 */
std::optional<std::int64_t> ParseReadingTime(std::string_view text);

} // namespace auren
