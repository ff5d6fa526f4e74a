// A text as a time and as a value: either is read or it is not, and a time that is read is one of the years that can be written.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/metrics/reading_time.hpp"
#include "core/metrics/reading_value.hpp"
#include "fuzz/require.hpp"

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	const std::string_view text(reinterpret_cast<const char *>(data), size);
	const auto time = auren::ParseEventTime(text);
	if (time) {
		constexpr std::int64_t kYear = std::int64_t{366} * 86400 * auren::kMicrosPerSecond;
		auren::test::Require(*time > -2001 * kYear && *time < 8001 * kYear);
		const std::int64_t five = auren::FiveMinutesOf(*time);
		auren::test::Require(five <= *time && *time - five < auren::kFiveMinutes && five % auren::kFiveMinutes == 0);
	}
	const auto value = auren::ParseReadingValue(text);
	auren::test::Require(!value || *value == *value);
	return 0;
}
