#include "core/store/month.hpp"

#include <cstdio>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;
// days from 0000-03-01 (proleptic Gregorian) to 2000-01-01
constexpr std::int64_t kDaysToEpoch = 730'425;

std::int64_t
FloorDiv(std::int64_t a, std::int64_t b) {
	return a / b - (a % b < 0);
}

// Years begin in March here, so that the leap day is the last of its year; 146,097 days make 400 years.
std::int32_t
DaysOfMonthStart(int year, int month) {
	const std::int64_t y = month <= 2 ? year - 1 : year;
	const std::int64_t era = FloorDiv(y, 400);
	const std::int64_t year_of_era = y - era * 400;
	const std::int64_t shifted = (month + 9) % 12;
	const std::int64_t day_of_year = (153 * shifted + 2) / 5;
	return static_cast<std::int32_t>(era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - kDaysToEpoch);
}

} // namespace

Month
Month::FromDays(std::int32_t days) {
	const std::int64_t z = static_cast<std::int64_t>(days) + kDaysToEpoch;
	const std::int64_t era = FloorDiv(z, 146'097);
	const std::int64_t day_of_era = z - era * 146'097;
	const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
	const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const std::int64_t shifted = (5 * day_of_year + 2) / 153;
	const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
	const std::int64_t year = era * 400 + year_of_era + (month <= 2);
	return Month(static_cast<std::int32_t>((year - 2000) * 12 + month - 1));
}

Month
Month::FromMicros(std::int64_t micros) {
	return FromDays(static_cast<std::int32_t>(FloorDiv(micros, kMicrosPerDay)));
}

int
Month::Year() const {
	return static_cast<int>(2000 + FloorDiv(index_, 12));
}

int
Month::MonthOfYear() const {
	return static_cast<int>(index_ - FloorDiv(index_, 12) * 12 + 1);
}

std::int32_t
Month::StartDays() const {
	return DaysOfMonthStart(Year(), MonthOfYear());
}

std::int64_t
Month::StartMicros() const {
	return StartDays() * kMicrosPerDay;
}

std::string
Month::Suffix() const {
	char text[32];
	std::snprintf(text, sizeof text, "%04d_%02d", Year(), MonthOfYear());
	return text;
}

std::string
Month::StartText() const {
	char text[48];
	std::snprintf(text, sizeof text, "%04d-%02d-01 00:00:00+00", Year(), MonthOfYear());
	return text;
}

} // namespace auren
