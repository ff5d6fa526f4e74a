#include <cstdio>

#include <gtest/gtest.h>

#include "core/event_time.hpp"
#include "core/store/month.hpp"

namespace auren {
namespace {

TEST(EventTime, IsReadAsWritten) {
	EXPECT_EQ(*ParseEventTime("2000-01-01T00:00:00Z"), 0);
	EXPECT_EQ(*ParseEventTime("2000-01-01"), 0);
	EXPECT_EQ(*ParseEventTime("2025-01-29T10:00:00Z"), Month::FromIndex(300).StartMicros() + (28 * 24 + 10) * 3600 * kMicrosPerSecond);
	EXPECT_EQ(*ParseEventTime("2025-01-29 10:00"), *ParseEventTime("2025-01-29T10:00:00Z"));
	EXPECT_EQ(*ParseEventTime("2025-01-29T10:00:00.123456789Z"), *ParseEventTime("2025-01-29T10:00:00Z") + 123456);
	EXPECT_EQ(*ParseEventTime("2025-01-29T10:00:00+05:30"), *ParseEventTime("2025-01-29T04:30:00Z"));
	EXPECT_EQ(*ParseEventTime("2025-01-29T10:00:00-0800"), *ParseEventTime("2025-01-29T18:00:00Z"));
	EXPECT_EQ(*ParseEventTime("2025-01-29T10:00:00+01"), *ParseEventTime("2025-01-29T09:00:00Z"));
	EXPECT_EQ(*ParseEventTime("2024-02-29"), Month::FromIndex(289).StartMicros() + 28 * 86400 * kMicrosPerSecond);
	for (int month = -3000; month < 4000; month += 7) {
		const Month m = Month::FromIndex(month);
		char text[32];
		std::snprintf(text, sizeof text, "%04d-%02d-01", m.Year(), m.MonthOfYear());
		EXPECT_EQ(*ParseEventTime(text), m.StartMicros()) << text;
	}
}

TEST(EventTime, AnOffsetMayStandApart) {
	const std::int64_t time = *ParseEventTime("2014-09-13T09:27:54Z");
	for (const char *text : {"2014-09-13 10:27:54 +0100", "2014-09-13 10:27:54 +01:00", "2014-09-13 10:27:54 +01", "2014-09-13 09:27:54 UTC",
	                         "2014-09-13 09:27:54 GMT", "2014-09-13 09:27:54 Z", "2014-09-13T09:27:54UTC"}) {
		ASSERT_TRUE(ParseEventTime(text)) << text;
		EXPECT_EQ(*ParseEventTime(text), time) << text;
	}
}

TEST(EventTime, SecondsAndMillisecondsSince1970) {
	const std::int64_t time = *ParseEventTime("2014-09-13T09:27:54Z");
	EXPECT_EQ(*ParseEventTime("1410600474"), time);
	EXPECT_EQ(*ParseEventTime("1410600474000"), time);
	EXPECT_EQ(*ParseEventTime("1410600474.123456789"), time + 123456);
	EXPECT_EQ(*ParseEventTime("1410600474123"), time + 123000);
	EXPECT_EQ(*ParseEventTime("1410600474123.4567"), time + 123456);
	EXPECT_EQ(*ParseEventTime("-315619200"), *ParseEventTime("1960-01-01"));
	EXPECT_EQ(*ParseEventTime("9999999999"), *ParseEventTime("2286-11-20T17:46:39Z"));
	EXPECT_EQ(*ParseEventTime("9999999999999"), *ParseEventTime("2286-11-20T17:46:39.999Z"));
	EXPECT_EQ(*ParseEventTime("100000000000"), *ParseEventTime("1973-03-03T09:46:40Z"));
}

TEST(EventTime, WhatIsNoTimeIsNone) {
	for (const char *text : {"09/13/14 08:27:54",
	                         "13.09.2014",
	                         "20140913",
	                         "20140913102754",
	                         "14106004741",
	                         "1410600474.",
	                         "1410600474 ",
	                         "+1410600474",
	                         "0410600474",
	                         "1410600474e0",
	                         "--1410600474",
	                         "1410600474.5.5",
	                         "2014-09-13 10:27:54  +0100",
	                         "2014-09-13 10:27:54 CET",
	                         "2014-09-13 10:27:54 +",
	                         "2014-09-13 24:00",
	                         "2014-09-13 10:27:54 UTC+1",
	                         "1410600474000000",
	                         "1410600474000000000",
	                         "",
	                         "now",
	                         "2025",
	                         "2025-13-01",
	                         "2025-02-29",
	                         "2025-01-01T",
	                         "2025-01-01T25:00:00Z",
	                         "2025-01-01T10:00:00x",
	                         "2025-01-01T10:00:00Zx",
	                         "2025-01-01T10:00:00.Z",
	                         "0000-01-01",
	                         "2025-01-01T10:00:00+1",
	                         "1/29/2025"}) {
		EXPECT_FALSE(ParseEventTime(text)) << text;
	}
}

} // namespace
} // namespace auren
