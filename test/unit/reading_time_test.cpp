#include <limits>

#include <gtest/gtest.h>

#include "core/metrics/reading_time.hpp"

namespace auren {
namespace {

TEST(ReadingTime, ReadingsAreWhereEveryZoneHasADay) {
	constexpr std::int64_t kCycle = INT64_C(146097) * 86400 * kMicrosPerSecond; // 400 years
	EXPECT_EQ(kFirstReading, *ParseEventTime("0088-01-01") - 12 * kCycle);
	EXPECT_EQ(kEndOfReadings, *ParseEventTime("9876-01-01") + 711 * kCycle);
	EXPECT_TRUE(IsReadingTime(kFirstReading));
	EXPECT_FALSE(IsReadingTime(kFirstReading - 1));
	EXPECT_TRUE(IsReadingTime(kEndOfReadings - 1));
	EXPECT_FALSE(IsReadingTime(kEndOfReadings));
	EXPECT_TRUE(IsReadingTime(std::numeric_limits<std::int64_t>::max()));
	EXPECT_TRUE(IsReadingTime(std::numeric_limits<std::int64_t>::min()));
}

TEST(ReadingTime, FiveMinutesBeginBelowTheTime) {
	EXPECT_EQ(FiveMinutesOf(0), 0);
	EXPECT_EQ(FiveMinutesOf(kFiveMinutes - 1), 0);
	EXPECT_EQ(FiveMinutesOf(-1), -kFiveMinutes);
	EXPECT_EQ(FiveMinutesOf(std::numeric_limits<std::int64_t>::max()), std::numeric_limits<std::int64_t>::max());
	EXPECT_EQ(FiveMinutesOf(std::numeric_limits<std::int64_t>::min()), std::numeric_limits<std::int64_t>::min());
}

} // namespace
} // namespace auren
