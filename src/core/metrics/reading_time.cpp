#include "core/metrics/reading_time.hpp"

#include <limits>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
IsInfinite(std::int64_t micros) {
	return micros == std::numeric_limits<std::int64_t>::max() || micros == std::numeric_limits<std::int64_t>::min();
}

} // namespace

bool
IsReadingTime(std::int64_t micros) {
	return (micros >= kFirstReading && micros < kEndOfReadings) || IsInfinite(micros);
}

std::int64_t
FiveMinutesOf(std::int64_t micros) {
	if (IsInfinite(micros)) {
		return micros;
	}
	const std::int64_t rest = micros % kFiveMinutes;
	return micros - (rest < 0 ? rest + kFiveMinutes : rest);
}

} // namespace auren
