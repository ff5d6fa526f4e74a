#include "core/cloudevents/attributes.hpp"

#include <cstddef>
#include <cstdio>

#include "core/cloudevents/uri.hpp"
#include "core/event_time.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;
// The years 1 to 9999, as days since 2000-01-01: from the first one on, before the second one.
constexpr std::int64_t kFirstDay = -730119;
constexpr std::int64_t kDayAfterLast = 2921940;

struct Date {
	int year;
	int month;
	int day;
};

// The day of the Gregorian calendar, of a year that is not negative. Years are counted from March, so that a leap day is a year's last one.
Date
DateOf(std::int64_t days_since_2000) {
	constexpr std::int64_t kDaysFromMarch0 = 730425; // from 1 March of the year 0 to 2000-01-01
	constexpr std::int64_t kDaysOf400Years = 146097;
	const std::int64_t days = days_since_2000 + kDaysFromMarch0;
	const std::int64_t era = days / kDaysOf400Years;
	const std::int64_t day_of_era = days - era * kDaysOf400Years;
	const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const int month_from_march = static_cast<int>((5 * day_of_year + 2) / 153);
	const int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	const auto year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
	return {year, month, static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5) + 1};
}

// The bytes of the character at the beginning of valid UTF-8.
std::size_t
CharacterLength(std::string_view utf8) {
	const auto byte = static_cast<unsigned char>(utf8[0]);
	const std::size_t length = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
	return length < utf8.size() ? length : utf8.size();
}

std::uint32_t
CodePoint(std::string_view character) {
	const auto first = static_cast<unsigned char>(character[0]);
	std::uint32_t code = character.size() == 1 ? first : first & (0x7FU >> character.size());
	for (std::size_t i = 1; i < character.size(); i++) {
		code = code << 6 | (static_cast<unsigned char>(character[i]) & 0x3FU);
	}
	return code;
}

bool
IsAllowed(std::uint32_t code) {
	const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
	const bool noncharacter = (code >= 0xFDD0 && code <= 0xFDEF) || (code & 0xFFFE) == 0xFFFE;
	return !control && !noncharacter;
}

} // namespace

std::optional<std::string>
CloudEventTime(std::int64_t micros) {
	if (micros < kFirstDay * kMicrosPerDay || micros >= kDayAfterLast * kMicrosPerDay) {
		return std::nullopt;
	}
	const std::int64_t days = (micros >= 0 ? micros : micros - kMicrosPerDay + 1) / kMicrosPerDay;
	const std::int64_t of_day = micros - days * kMicrosPerDay;
	const Date date = DateOf(days);
	const auto seconds = static_cast<int>(of_day / kMicrosPerSecond);
	char text[64];
	(void)std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", date.year, date.month, date.day, seconds / 3600, seconds / 60 % 60,
	                    seconds % 60, static_cast<int>(of_day % kMicrosPerSecond));
	return std::string(text);
}

std::string
CloudEventSequence(std::int64_t position) {
	char text[32];
	(void)std::snprintf(text, sizeof text, "%019lld", static_cast<long long>(position));
	return text;
}

bool
IsCloudEventString(std::string_view utf8) {
	while (!utf8.empty()) {
		const std::string_view character = utf8.substr(0, CharacterLength(utf8));
		if (!IsAllowed(CodePoint(character))) {
			return false;
		}
		utf8.remove_prefix(character.size());
	}
	return true;
}

std::string
CloudEventString(std::string_view utf8) {
	std::string text;
	text.reserve(utf8.size());
	while (!utf8.empty()) {
		const std::string_view character = utf8.substr(0, CharacterLength(utf8));
		text += IsAllowed(CodePoint(character)) ? std::string(character) : PercentEncoded(character);
		utf8.remove_prefix(character.size());
	}
	return text;
}

} // namespace auren
