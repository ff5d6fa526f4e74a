#include "core/reading_time.hpp"

#include <limits>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

class Scanner {
  public:
	explicit Scanner(std::string_view text) : text_(text) {
	}

	bool
	Digits(int count, int *value) {
		*value = 0;
		for (int i = 0; i < count; i++) {
			if (text_.empty() || text_[0] < '0' || text_[0] > '9') {
				return false;
			}
			*value = *value * 10 + (text_[0] - '0');
			text_.remove_prefix(1);
		}
		return true;
	}

	bool
	Take(std::string_view any, char *taken = nullptr) {
		if (text_.empty() || any.find(text_[0]) == std::string_view::npos) {
			return false;
		}
		if (taken != nullptr) {
			*taken = text_[0];
		}
		text_.remove_prefix(1);
		return true;
	}

	bool
	AtEnd() const {
		return text_.empty();
	}

	// digits behind a point as microseconds; what is finer is cut off
	bool
	Fraction(std::int64_t *micros) {
		std::int64_t unit = kMicrosPerSecond / 10;
		int digit;
		bool any = false;
		while (Digits(1, &digit)) {
			*micros += unit * digit;
			unit /= 10;
			any = true;
		}
		return any;
	}

  private:
	std::string_view text_;
};

bool
IsLeap(int year) {
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Days since 2000-01-01 in the Gregorian calendar.
std::int64_t
DaysOf(int year, int month, int day) {
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	const std::int64_t years = year - 1;
	std::int64_t days = years * 365 + years / 4 - years / 100 + years / 400;
	days += before[month - 1] + (month > 2 && IsLeap(year) ? 1 : 0) + day - 1;
	constexpr std::int64_t kDaysTo2000 = 730119;
	return days - kDaysTo2000;
}

bool
IsDate(int year, int month, int day) {
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= length[month - 1] + (month == 2 && IsLeap(year) ? 1 : 0);
}

} // namespace

std::int64_t
FiveMinutesOf(std::int64_t micros) {
	if (micros == std::numeric_limits<std::int64_t>::max() || micros == std::numeric_limits<std::int64_t>::min()) {
		return micros;
	}
	const std::int64_t rest = micros % kFiveMinutes;
	return micros - (rest < 0 ? rest + kFiveMinutes : rest);
}

std::optional<std::int64_t>
ParseReadingTime(std::string_view text) {
	Scanner scanner(text);
	int year;
	int month;
	int day;
	if (!scanner.Digits(4, &year) || !scanner.Take("-") || !scanner.Digits(2, &month) || !scanner.Take("-") ||
	    !scanner.Digits(2, &day) || !IsDate(year, month, day)) {
		return std::nullopt;
	}
	std::int64_t micros = DaysOf(year, month, day) * 86400 * kMicrosPerSecond;
	if (scanner.AtEnd()) {
		return micros;
	}
	int hour;
	int minute;
	int second = 0;
	if (!scanner.Take("Tt ") || !scanner.Digits(2, &hour) || !scanner.Take(":") || !scanner.Digits(2, &minute)) {
		return std::nullopt;
	}
	if (scanner.Take(":")) {
		std::int64_t fraction = 0;
		if (!scanner.Digits(2, &second) || (scanner.Take(".,") && !scanner.Fraction(&fraction))) {
			return std::nullopt;
		}
		micros += fraction;
	}
	if (hour > 23 || minute > 59 || second > 60) {
		return std::nullopt;
	}
	micros += ((hour * 60 + minute) * std::int64_t{60} + second) * kMicrosPerSecond;
	char sign;
	if (scanner.AtEnd()) {
		return micros;
	}
	if (scanner.Take("Zz")) {
		return scanner.AtEnd() ? std::optional<std::int64_t>(micros) : std::nullopt;
	}
	int offset_hour;
	int offset_minute = 0;
	if (!scanner.Take("+-", &sign) || !scanner.Digits(2, &offset_hour)) {
		return std::nullopt;
	}
	if (!scanner.AtEnd()) {
		(void)scanner.Take(":");
		if (!scanner.Digits(2, &offset_minute) || !scanner.AtEnd()) {
			return std::nullopt;
		}
	}
	if (offset_hour > 23 || offset_minute > 59) {
		return std::nullopt;
	}
	const std::int64_t offset = (offset_hour * 60 + offset_minute) * 60 * kMicrosPerSecond;
	return sign == '+' ? micros - offset : micros + offset;
}

} // namespace auren
