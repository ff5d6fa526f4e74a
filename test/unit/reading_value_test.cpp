#include "core/metrics/reading_value.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace auren {
namespace {

TEST(ReadingValue, IsANumberAsJsonWritesIt) {
	EXPECT_EQ(*ParseReadingValue("72"), 72);
	EXPECT_EQ(*ParseReadingValue("-0.5"), -0.5);
	EXPECT_EQ(*ParseReadingValue("0"), 0);
	EXPECT_TRUE(std::signbit(*ParseReadingValue("-0")));
	EXPECT_EQ(*ParseReadingValue("1e3"), 1000);
	EXPECT_EQ(*ParseReadingValue("25E-1"), 2.5);
	EXPECT_EQ(*ParseReadingValue(" 72\t\n"), 72);
	EXPECT_EQ(*ParseReadingValue("0.1"), 0.1);
	EXPECT_EQ(*ParseReadingValue("1e999"), std::numeric_limits<double>::infinity());
	EXPECT_EQ(*ParseReadingValue("1e-999"), 0);
}

TEST(ReadingValue, WhatIsNoNumberIsNone) {
	for (const char *text :
	     {"", " ", "-", ".5", "5.", "007", "+7", "7 8", "0x10", "1e", "1e+", "NaN", "Infinity", "-inf", "7bpm", "7,5", "1_000", "--7"}) {
		EXPECT_FALSE(ParseReadingValue(text)) << text;
	}
	EXPECT_FALSE(ParseReadingValue(std::string_view("7\0", 2)));
}

} // namespace
} // namespace auren
