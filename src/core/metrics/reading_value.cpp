#include "core/metrics/reading_value.hpp"

#include <cstdlib>
#include <string>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
TakeDigits(std::string_view *text) {
	const std::size_t end = text->find_first_not_of("0123456789");
	const std::size_t digits = end == std::string_view::npos ? text->size() : end;
	text->remove_prefix(digits);
	return digits > 0;
}

bool
TakeAny(std::string_view *text, std::string_view any) {
	if (text->empty() || any.find(text->front()) == std::string_view::npos) {
		return false;
	}
	text->remove_prefix(1);
	return true;
}

bool
IsJsonNumber(std::string_view text) {
	(void)TakeAny(&text, "-");
	if (!TakeAny(&text, "0") && !TakeDigits(&text)) {
		return false;
	}
	if (TakeAny(&text, ".") && !TakeDigits(&text)) {
		return false;
	}
	if (TakeAny(&text, "eE")) {
		(void)TakeAny(&text, "+-");
		if (!TakeDigits(&text)) {
			return false;
		}
	}
	return text.empty();
}

} // namespace

std::optional<double>
ParseReadingValue(std::string_view text) {
	constexpr std::string_view kBlanks = " \t\r\n";
	const std::size_t begin = text.find_first_not_of(kBlanks);
	if (begin == std::string_view::npos) {
		return std::nullopt;
	}
	text = text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
	if (!IsJsonNumber(text)) {
		return std::nullopt;
	}
	return std::strtod(std::string(text).c_str(), nullptr);
}

} // namespace auren
