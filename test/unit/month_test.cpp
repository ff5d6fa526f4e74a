#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/store/month.hpp"

namespace auren {
namespace {

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

bool
IsLeap(int year) {
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int
DaysIn(int year, int month) {
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return month == 2 && IsLeap(year) ? 29 : days[month - 1];
}

// Whether every function agrees with a calendar that says: this month begins on that day.
void
CheckMonth(int year, int month, std::int32_t first_day) {
	SCOPED_TRACE(std::to_string(year) + "-" + std::to_string(month));
	const Month expected = Month::FromIndex((year - 2000) * 12 + month - 1);
	ASSERT_EQ(expected.Year(), year);
	ASSERT_EQ(expected.MonthOfYear(), month);
	ASSERT_EQ(expected.StartDays(), first_day);
	ASSERT_EQ(expected.StartMicros(), first_day * kMicrosPerDay);
	for (int day = 0; day < DaysIn(year, month); day++) {
		const std::int32_t days = first_day + day;
		ASSERT_EQ(Month::FromDays(days).index(), expected.index()) << "day " << day + 1;
		const std::int64_t micros = days * kMicrosPerDay;
		ASSERT_EQ(Month::FromMicros(micros).index(), expected.index()) << "first microsecond of day " << day + 1;
		ASSERT_EQ(Month::FromMicros(micros + kMicrosPerDay - 1).index(), expected.index()) << "last microsecond of day " << day + 1;
	}
}

// The calendar is walked day by day from 2000-01-01 in both directions and shares nothing with the code.
TEST(Month, AgreesWithACalendarForward) {
	std::int32_t first_day = 0;
	for (int year = 2000; year <= 2600; year++) {
		for (int month = 1; month <= 12; month++) {
			ASSERT_NO_FATAL_FAILURE(CheckMonth(year, month, first_day));
			first_day += DaysIn(year, month);
		}
	}
}

TEST(Month, AgreesWithACalendarBackward) {
	std::int32_t first_day = 0;
	for (int year = 1999; year >= 1600; year--) {
		for (int month = 12; month >= 1; month--) {
			first_day -= DaysIn(year, month);
			ASSERT_NO_FATAL_FAILURE(CheckMonth(year, month, first_day));
		}
	}
}

TEST(Month, KnowsTheLeapYearsOfCenturies) {
	const auto days_of = [](Month month) {
		return month.Next().StartDays() - month.StartDays();
	};
	const auto february = [](int year) {
		return Month::FromIndex((year - 2000) * 12 + 1);
	};
	EXPECT_EQ(days_of(february(1600)), 29);
	EXPECT_EQ(days_of(february(1900)), 28);
	EXPECT_EQ(days_of(february(2000)), 29);
	EXPECT_EQ(days_of(february(2023)), 28);
	EXPECT_EQ(days_of(february(2024)), 29);
	EXPECT_EQ(days_of(february(2100)), 28);
	EXPECT_EQ(days_of(february(2400)), 29);
}

// As PostgreSQL answers for date '...' - date '2000-01-01'.
TEST(Month, KnowsDaysThatTheServerTells) {
	EXPECT_EQ(Month().StartDays(), 0);
	EXPECT_EQ(Month::FromIndex(0).StartDays(), 0);
	EXPECT_EQ(Month::FromDays(-10957).StartDays(), -10957); // 1970-01-01
	EXPECT_EQ(Month::FromDays(-10957).Year(), 1970);
	EXPECT_EQ(Month::FromDays(9801).Suffix(), "2026_11"); // 2026-11-01
	EXPECT_EQ(Month::FromDays(9800).Suffix(), "2026_10");
	EXPECT_EQ(Month::FromDays(59).Suffix(), "2000_02"); // 2000-02-29
	EXPECT_EQ(Month::FromDays(60).Suffix(), "2000_03");
	EXPECT_EQ(Month::FromDays(-36466).Suffix(), "1900_02"); // 1900-02-28
	EXPECT_EQ(Month::FromDays(-36465).Suffix(), "1900_03");
}

TEST(Month, TimesBeforeTheEpochBelongToTheMonthBefore) {
	EXPECT_EQ(Month::FromMicros(0).Suffix(), "2000_01");
	EXPECT_EQ(Month::FromMicros(-1).Suffix(), "1999_12");
	EXPECT_EQ(Month::FromMicros(-kMicrosPerDay).Suffix(), "1999_12");
	EXPECT_EQ(Month::FromMicros(-31 * kMicrosPerDay).Suffix(), "1999_12");
	EXPECT_EQ(Month::FromMicros(-31 * kMicrosPerDay - 1).Suffix(), "1999_11");
}

TEST(Month, FollowsTheOneBefore) {
	EXPECT_EQ(Month::FromIndex(11).Next(), Month::FromIndex(12));
	EXPECT_EQ(Month::FromIndex(11).Suffix(), "2000_12");
	EXPECT_EQ(Month::FromIndex(11).Next().Suffix(), "2001_01");
	EXPECT_EQ(Month::FromIndex(-1).Next(), Month());
	EXPECT_EQ(Month::FromIndex(-1).Suffix(), "1999_12");
	EXPECT_EQ(Month::FromIndex(-12).Suffix(), "1999_01");
	EXPECT_EQ(Month::FromIndex(-13).Suffix(), "1998_12");
}

TEST(Month, EndsWhereTheNextBegins) {
	for (std::int32_t index = -5000; index <= 8000; index++) {
		const Month month = Month::FromIndex(index);
		ASSERT_EQ(Month::FromMicros(month.StartMicros()), month) << index;
		ASSERT_EQ(Month::FromMicros(month.Next().StartMicros() - 1), month) << index;
	}
}

TEST(Month, ComparesByTime) {
	const Month before = Month::FromIndex(-1);
	const Month after = Month::FromIndex(0);
	EXPECT_TRUE(before < after);
	EXPECT_FALSE(after < before);
	EXPECT_FALSE(after < after);
	EXPECT_TRUE(before <= after);
	EXPECT_TRUE(after <= after);
	EXPECT_FALSE(after <= before);
	EXPECT_TRUE(before != after);
	EXPECT_FALSE(after != after);
	EXPECT_TRUE(after == after);
	EXPECT_FALSE(before == after);
}

TEST(Month, NamesHaveFixedWidth) {
	const Month early = Month::FromIndex((2026 - 2000) * 12);
	EXPECT_EQ(early.Suffix(), "2026_01");
	EXPECT_EQ(early.StartText(), "2026-01-01 00:00:00+00");
	const Month late = Month::FromIndex((2026 - 2000) * 12 + 11);
	EXPECT_EQ(late.Suffix(), "2026_12");
	EXPECT_EQ(late.StartText(), "2026-12-01 00:00:00+00");
	const Month ancient = Month::FromIndex((987 - 2000) * 12 + 5);
	EXPECT_EQ(ancient.Suffix(), "0987_06");
	EXPECT_EQ(ancient.StartText(), "0987-06-01 00:00:00+00");
	const Month far = Month::FromIndex((12345 - 2000) * 12);
	EXPECT_EQ(far.Suffix(), "12345_01");
	EXPECT_EQ(far.StartText(), "12345-01-01 00:00:00+00");
}

// The first and the last microsecond that a timestamptz holds: 4714-11-24 BC and 294276-12-31.
TEST(Month, HoldsTheRangeOfTheServersTimes) {
	const Month first = Month::FromMicros(-211'813'488'000'000'000);
	EXPECT_EQ(first.Year(), -4713); // there is a year 0 in this count
	EXPECT_EQ(first.MonthOfYear(), 11);
	EXPECT_EQ(first.StartMicros(), -211'813'488'000'000'000 - 23 * kMicrosPerDay);
	const Month last = Month::FromMicros(9'223'371'331'200'000'000 - 1);
	EXPECT_EQ(last.Year(), 294'276);
	EXPECT_EQ(last.MonthOfYear(), 12);
	EXPECT_EQ(last.StartMicros(), 9'223'371'331'200'000'000 - 31 * kMicrosPerDay);
}

// 'infinity' and '-infinity' are the ends of the integers; the sanitizers watch the arithmetic.
TEST(Month, TakesInfiniteTimes) {
	EXPECT_TRUE(Month::FromMicros(9'223'371'331'200'000'000 - 1) < Month::FromMicros(std::numeric_limits<std::int64_t>::max()));
	EXPECT_TRUE(Month::FromMicros(std::numeric_limits<std::int64_t>::min()) < Month::FromMicros(-211'813'488'000'000'000));
	EXPECT_TRUE(Month() < Month::FromDays(std::numeric_limits<std::int32_t>::max()));
	EXPECT_TRUE(Month::FromDays(std::numeric_limits<std::int32_t>::min()) < Month());
	EXPECT_LE(Month::FromDays(std::numeric_limits<std::int32_t>::max()).StartDays(), std::numeric_limits<std::int32_t>::max());
	EXPECT_GT(Month::FromDays(std::numeric_limits<std::int32_t>::max()).StartDays(), std::numeric_limits<std::int32_t>::max() - 31);
}

} // namespace
} // namespace auren
