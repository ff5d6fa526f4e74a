#include "core/event_time.hpp"

#include <cstddef>

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

	std::size_t
	DigitsAhead() const {
		const std::size_t end = text_.find_first_not_of("0123456789");
		return end == std::string_view::npos ? text_.size() : end;
	}

	bool
	TakeWord(std::string_view word) {
		const bool is = text_.substr(0, word.size()) == word;
		text_.remove_prefix(is ? word.size() : 0);
		return is;
	}

	// digits after a point as microseconds; what is finer is cut off
	bool
	Fraction(std::int64_t *micros, std::int64_t whole = kMicrosPerSecond) {
		std::int64_t unit = whole / 10;
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

constexpr std::int64_t kSecondsTo2000 = 946684800;

// Seconds or milliseconds since 1970. What has as many digits as a date, or is far from all that was ever measured, is neither.
std::optional<std::int64_t>
ParseEpoch(std::string_view text) {
	Scanner scanner(text);
	const bool negative = scanner.Take("-");
	const std::size_t digits = scanner.DigitsAhead();
	const bool seconds = digits == 9 || digits == 10;
	if (!seconds && digits != 12 && digits != 13) {
		return std::nullopt;
	}
	const std::int64_t unit = seconds ? kMicrosPerSecond : 1000;
	std::int64_t micros = 0;
	int digit;
	for (std::size_t i = 0; i < digits && scanner.Digits(1, &digit); i++) {
		if (i == 0 && digit == 0) {
			return std::nullopt;
		}
		micros = micros * 10 + digit;
	}
	micros *= unit;
	if ((scanner.Take(".") && !scanner.Fraction(&micros, unit)) || !scanner.AtEnd()) {
		return std::nullopt;
	}
	return (negative ? -micros : micros) - kSecondsTo2000 * kMicrosPerSecond;
}

// A time of the day as microseconds.
bool
ReadClock(Scanner *scanner, std::int64_t *micros) {
	int hour;
	int minute;
	int second = 0;
	std::int64_t fraction = 0;
	if (!scanner->Digits(2, &hour) || !scanner->Take(":") || !scanner->Digits(2, &minute)) {
		return false;
	}
	if (scanner->Take(":") && (!scanner->Digits(2, &second) || (scanner->Take(".,") && !scanner->Fraction(&fraction)))) {
		return false;
	}
	*micros = ((hour * 60 + minute) * std::int64_t{60} + second) * kMicrosPerSecond + fraction;
	return hour <= 23 && minute <= 59 && second <= 60;
}

// What follows the time of the day up to the end, as microseconds to take off.
bool
ReadOffset(Scanner *scanner, std::int64_t *micros) {
	*micros = 0;
	if (scanner->AtEnd()) {
		return true;
	}
	(void)scanner->Take(" ");
	if (scanner->TakeWord("UTC") || scanner->TakeWord("GMT") || scanner->Take("Zz")) {
		return scanner->AtEnd();
	}
	char sign;
	int hour;
	int minute = 0;
	if (!scanner->Take("+-", &sign) || !scanner->Digits(2, &hour)) {
		return false;
	}
	if (!scanner->AtEnd()) {
		(void)scanner->Take(":");
		if (!scanner->Digits(2, &minute) || !scanner->AtEnd()) {
			return false;
		}
	}
	*micros = (hour * 60 + minute) * 60 * kMicrosPerSecond;
	*micros = sign == '+' ? *micros : -*micros;
	return hour <= 23 && minute <= 59;
}

} // namespace

std::optional<std::int64_t>
ParseEventTime(std::string_view text) {
	Scanner scanner(text);
	int year;
	int month;
	int day;
	if (!scanner.Digits(4, &year) || !scanner.Take("-")) {
		return ParseEpoch(text);
	}
	if (!scanner.Digits(2, &month) || !scanner.Take("-") || !scanner.Digits(2, &day) || !IsDate(year, month, day)) {
		return std::nullopt;
	}
	const std::int64_t date = DaysOf(year, month, day) * 86400 * kMicrosPerSecond;
	if (scanner.AtEnd()) {
		return date;
	}
	std::int64_t clock;
	std::int64_t offset;
	if (!scanner.Take("Tt ") || !ReadClock(&scanner, &clock) || !ReadOffset(&scanner, &offset)) {
		return std::nullopt;
	}
	return date + clock - offset;
}

} // namespace auren
