#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/progress_text.hpp"

namespace auren {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

std::string
Seal(std::int64_t done, std::int64_t total, std::int64_t elapsed = 0) {
	return DescribeProgress({"seal", "sealing", "events", done, total, elapsed}).text;
}

TEST(ProgressText, HowMuchIsDone) {
	EXPECT_EQ(Seal(0, 3), "seal: sealing, 0 of 3 events (0 %)");
	EXPECT_EQ(Seal(2, 3), "seal: sealing, 2 of 3 events (66 %)");
	EXPECT_EQ(Seal(3, 3), "seal: sealing, 3 of 3 events (100 %)");
}

TEST(ProgressText, LargeNumbersHaveCommas) {
	EXPECT_EQ(Seal(999, 1000), "seal: sealing, 999 of 1,000 events (99 %)");
	EXPECT_EQ(Seal(120000, 1000000), "seal: sealing, 120,000 of 1,000,000 events (12 %)");
	EXPECT_EQ(Seal(1002003004, 0), "seal: sealing, 1,002,003,004 events");
	EXPECT_EQ(Seal(std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()),
	          "seal: sealing, 9,223,372,036,854,775,807 of 9,223,372,036,854,775,807 events (100 %)");
}

TEST(ProgressText, NobodyKnowsHowManyThereAre) {
	EXPECT_EQ(Seal(0, 0), "seal: sealing");
	EXPECT_EQ(Seal(1, 0), "seal: sealing, 1 event");
	EXPECT_EQ(Seal(5, 0), "seal: sealing, 5 events");
	EXPECT_EQ(Seal(5, 4), "seal: sealing, 5 events");
}

TEST(ProgressText, HowLongTheRestTakes) {
	EXPECT_EQ(Seal(500, 1000, 9 * kSecond), "seal: sealing, 500 of 1,000 events (50 %)");
	EXPECT_EQ(Seal(500, 1000, 10 * kSecond), "seal: sealing, 500 of 1,000 events (50 %), about 10 s left");
	EXPECT_EQ(Seal(100, 1000, 11 * kSecond), "seal: sealing, 100 of 1,000 events (10 %), about 99 s left");
	EXPECT_EQ(Seal(1, 11, 10 * kSecond), "seal: sealing, 1 of 11 events (9 %), about 2 min left");
	EXPECT_EQ(Seal(1, 1000, 60 * kSecond), "seal: sealing, 1 of 1,000 events (0 %), about 17 h left");
	EXPECT_EQ(Seal(0, 1000, 60 * kSecond), "seal: sealing, 0 of 1,000 events (0 %)");
	EXPECT_EQ(Seal(1000, 1000, 60 * kSecond), "seal: sealing, 1,000 of 1,000 events (100 %)");
}

TEST(ProgressText, LongNamesAreCut) {
	const std::string name(300, 'x');
	EXPECT_EQ(std::string(DescribeProgress({name.c_str(), "phase", "events", 1, 2, 0}).text), std::string(255, 'x'));
}

} // namespace
} // namespace auren
