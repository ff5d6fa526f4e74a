#include "core/cloudevents/trace_context.hpp"

#include <cstddef>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kParentIdAt = 36;
constexpr std::size_t kFlagsAt = 53;
constexpr std::size_t kLengthOfVersion0 = 55;

constexpr std::size_t kMostMembers = 32;
constexpr std::size_t kLongestState = 512;
constexpr std::size_t kLongestKeyOrValue = 256;

bool
IsHex(std::string_view text) {
	return text.find_first_not_of(kHex) == std::string_view::npos;
}

bool
IsId(std::string_view text) {
	return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

bool
IsLowerOrDigit(char c) {
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
IsKey(std::string_view key) {
	if (key.empty() || key.size() > kLongestKeyOrValue || !IsLowerOrDigit(key[0])) {
		return false;
	}
	int ats = 0;
	for (const char c : key) {
		ats += c == '@' ? 1 : 0;
		if (!IsLowerOrDigit(c) && std::string_view("_-*/@").find(c) == std::string_view::npos) {
			return false;
		}
	}
	const std::size_t at = key.find('@');
	// tenant@system
	return ats == 0 || (ats == 1 && at <= 241 && key.size() - at - 1 >= 1 && key.size() - at - 1 <= 14 && key[at + 1] >= 'a' && key[at + 1] <= 'z');
}

bool
IsValue(std::string_view value) {
	if (value.empty() || value.size() > kLongestKeyOrValue || value.back() == ' ') {
		return false;
	}
	for (const char c : value) {
		if (c < ' ' || c > '~' || c == '=') {
			return false;
		}
	}
	return true;
}

std::string_view
WithoutBlanks(std::string_view text) {
	const std::size_t begin = text.find_first_not_of(" \t");
	if (begin == std::string_view::npos) {
		return {};
	}
	return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

} // namespace

bool
IsTraceParent(std::string_view text) {
	if (text.size() < kLengthOfVersion0 || text[kTraceIdAt - 1] != '-' || text[kParentIdAt - 1] != '-' || text[kFlagsAt - 1] != '-') {
		return false;
	}
	const std::string_view version = text.substr(0, 2);
	if (!IsHex(version) || version == "ff" || !IsId(text.substr(kTraceIdAt, 32)) || !IsId(text.substr(kParentIdAt, 16)) ||
	    !IsHex(text.substr(kFlagsAt, 2))) {
		return false;
	}
	if (text.size() == kLengthOfVersion0) {
		return true;
	}
	if (version == "00" || text[kLengthOfVersion0] != '-') {
		return false;
	}
	// it becomes a header of HTTP: printable, without a blank
	for (const char c : text) {
		if (c <= ' ' || c > '~') {
			return false;
		}
	}
	return true;
}

bool
IsTraceState(std::string_view text) {
	if (text.size() > kLongestState) {
		return false;
	}
	std::size_t members = 0;
	for (std::size_t begin = 0; begin <= text.size();) {
		const std::size_t end = text.find(',', begin);
		const std::string_view member = WithoutBlanks(text.substr(begin, end == std::string_view::npos ? end : end - begin));
		begin = end == std::string_view::npos ? text.size() + 1 : end + 1;
		if (member.empty()) {
			continue;
		}
		const std::size_t equals = member.find('=');
		if (equals == std::string_view::npos || !IsKey(member.substr(0, equals)) || !IsValue(member.substr(equals + 1)) || ++members > kMostMembers) {
			return false;
		}
	}
	return members > 0;
}

} // namespace auren
