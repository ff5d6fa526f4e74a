#include "core/metrics/steps.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace auren {
namespace {

// From 4714 BC to the year 294276, as the server counts microseconds: more than 64 bits of them with a sign.
constexpr std::int64_t kFirst = INT64_C(-211813488000000000);
constexpr std::int64_t kLast = INT64_C(9223371331199999999);
constexpr std::int64_t kFive = INT64_C(300000000);
constexpr std::int64_t kDay = INT64_C(86400000000);

TEST(Steps, AreCountedFromTheFirstToTheLast) {
	const Steps steps(0, 3 * kFive + 1, kFive);
	EXPECT_EQ(steps.count(), 4u);
	EXPECT_EQ(Steps(0, 3 * kFive, kFive).count(), 3u);
	EXPECT_EQ(Steps(0, 0, kFive).count(), 0u);
	EXPECT_EQ(Steps(kFive, 0, kFive).count(), 0u);
	EXPECT_EQ(steps.At(-kDay), 0u);
	EXPECT_EQ(steps.At(kFive - 1), 0u);
	EXPECT_EQ(steps.At(kFive), 1u);
	EXPECT_EQ(steps.Start(3), 3 * kFive);
}

TEST(Steps, OfTheWholeCalendarDoNotWrap) {
	const Steps five(kFirst, kLast, kFive);
	EXPECT_EQ(five.count(), (static_cast<std::uint64_t>(kLast) - static_cast<std::uint64_t>(kFirst)) / kFive + 1);
	EXPECT_GT(five.count(), UINT64_C(30000000000));
	EXPECT_EQ(five.At(kLast), five.count() - 1);
	EXPECT_LE(five.Start(five.count() - 1), kLast);
	EXPECT_EQ(five.At(five.Start(five.count() - 1)), five.count() - 1);
	EXPECT_EQ(five.Start(std::numeric_limits<std::uint64_t>::max()), std::numeric_limits<std::int64_t>::max());
}

TEST(Steps, ALengthIsNotCutOff) {
	constexpr auto kLongest = std::numeric_limits<std::uint64_t>::max();
	constexpr auto kMostDays = std::numeric_limits<std::int32_t>::max();
	constexpr auto kMostMicros = std::numeric_limits<std::int64_t>::max();
	EXPECT_EQ(StepLength(1, 0), static_cast<std::uint64_t>(kDay));
	EXPECT_EQ(StepLength(1, -kFive), static_cast<std::uint64_t>(kDay - kFive));
	EXPECT_EQ(StepLength(0, kFive), static_cast<std::uint64_t>(kFive));
	EXPECT_EQ(StepLength(-1, kDay + kFive), static_cast<std::uint64_t>(kFive));
	// as minutes this is more than 32 bits, and then more than 63 of microseconds
	EXPECT_EQ(StepLength(1491309, 0), UINT64_C(1491309) * kDay);
	EXPECT_EQ(StepLength(107000000, 0), UINT64_C(107000000) * kDay);
	EXPECT_EQ(StepLength(kMostDays, 0), kLongest);
	EXPECT_EQ(StepLength(kMostDays, kMostMicros), kLongest);
	EXPECT_EQ(StepLength(200000000, kMostMicros), kLongest);
	EXPECT_EQ(StepLength(0, 0), 0u);
	EXPECT_EQ(StepLength(1, -kDay), 0u);
	EXPECT_EQ(StepLength(-kMostDays - 1, 0), 0u);
	EXPECT_EQ(StepLength(-kMostDays - 1, kMostMicros), 0u);
	EXPECT_EQ(StepLength(0, -kMostMicros - 1), 0u);
	EXPECT_EQ(Steps(kFirst, kLast, StepLength(107000000, 0)).count(), 2u);
	EXPECT_EQ(Steps(kFirst, kLast, StepLength(kMostDays, 0)).count(), 1u);
	EXPECT_EQ(Steps(kFirst, kLast, kLongest).At(kLast), 0u);
}

} // namespace
} // namespace auren
