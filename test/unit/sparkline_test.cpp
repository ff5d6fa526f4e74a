#include <limits>

#include <gtest/gtest.h>

#include "core/metrics/sparkline.hpp"

namespace auren {
namespace {

TEST(Sparkline, BarsFromTheLeastToTheGreatest) {
	EXPECT_EQ(Sparkline({}), "");
	EXPECT_EQ(Sparkline({1, 2, 3, 4, 5, 6, 7, 8}), "▁▂▃▄▅▆▇█");
	EXPECT_EQ(Sparkline({60, std::nullopt, 120}), "▁ █");
	EXPECT_EQ(Sparkline({5, 5}), "▅▅");
	EXPECT_EQ(Sparkline({std::nullopt}), " ");
}

TEST(Sparkline, ValuesOfAnySize) {
	const double most = std::numeric_limits<double>::max();
	EXPECT_EQ(Sparkline({-most, 0, most}), "▁▅█");
	EXPECT_EQ(Sparkline({std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1}), "  ▅");
}

} // namespace
} // namespace auren
