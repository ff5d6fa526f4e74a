#pragma once

#include <cstdint>

#include "core/event_time.hpp"

namespace auren {

// In microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts them.
constexpr std::int64_t kFiveMinutes = 300 * kMicrosPerSecond;

// The start of the five minutes that hold a time. The times that are infinite stay what they are.
std::int64_t FiveMinutesOf(std::int64_t micros);

// Readings are of the years from 4713 BC to 294275: nearer to the ends of the server's calendar the day or hour of some zone is outside it.
constexpr std::int64_t kFirstReading = INT64_C(-211810204800000000);
constexpr std::int64_t kEndOfReadings = INT64_C(9223339708800000000);

// Whether a reading may have that time: one of those years, or one that is infinite.
bool IsReadingTime(std::int64_t micros);

} // namespace auren
