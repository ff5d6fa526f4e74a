#include "core/cloudevents/uri.hpp"

#include <cstddef>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
IsAlpha(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
IsDigit(char c) {
	return c >= '0' && c <= '9';
}

bool
IsHex(char c) {
	return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool
IsOneOf(char c, std::string_view of) {
	return of.find(c) != std::string_view::npos;
}

bool
IsUnreserved(char c) {
	return IsAlpha(c) || IsDigit(c) || IsOneOf(c, "-._~");
}

// Whether a part has nothing but unreserved characters, sub-delims, percent-encoded bytes, and those of `more`.
bool
HasOnly(std::string_view part, std::string_view more) {
	for (std::size_t i = 0; i < part.size(); i++) {
		if (part[i] == '%') {
			if (part.size() - i < 3 || !IsHex(part[i + 1]) || !IsHex(part[i + 2])) {
				return false;
			}
			i += 2;
		} else if (!IsUnreserved(part[i]) && !IsOneOf(part[i], "!$&'()*+,;=") && !IsOneOf(part[i], more)) {
			return false;
		}
	}
	return true;
}

// Takes what stands before the first of some characters off a text: all of it where there is none of them.
std::string_view
TakeUpTo(std::string_view *text, std::string_view any) {
	const std::string_view taken = text->substr(0, text->find_first_of(any));
	text->remove_prefix(taken.size());
	return taken;
}

bool
IsScheme(std::string_view text) {
	if (text.empty() || !IsAlpha(text[0])) {
		return false;
	}
	for (const char c : text) {
		if (!IsAlpha(c) && !IsDigit(c) && !IsOneOf(c, "+-.")) {
			return false;
		}
	}
	return true;
}

// The address within brackets: of IPv6, or of a later version. Its groups are not counted.
bool
IsLiteralAddress(std::string_view text) {
	return text.find(':') != std::string_view::npos && HasOnly(text, ":") && text.find('%') == std::string_view::npos;
}

bool
IsAuthority(std::string_view text) {
	const std::size_t at = text.find('@');
	if (at != std::string_view::npos) {
		if (!HasOnly(text.substr(0, at), ":")) {
			return false;
		}
		text.remove_prefix(at + 1);
	}
	if (!text.empty() && text[0] == '[') {
		const std::size_t end = text.find(']');
		if (end == std::string_view::npos || !IsLiteralAddress(text.substr(1, end - 1))) {
			return false;
		}
		text.remove_prefix(end + 1);
	} else if (!HasOnly(TakeUpTo(&text, ":"), "")) {
		return false;
	}
	// the port
	if (text.empty()) {
		return true;
	}
	return text[0] == ':' && text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

// What follows the scheme: authority, path, query, fragment.
bool
IsHierarchicalPart(std::string_view text) {
	if (text.substr(0, 2) == "//") {
		text.remove_prefix(2);
		if (!IsAuthority(TakeUpTo(&text, "/?#"))) {
			return false;
		}
	}
	if (!HasOnly(TakeUpTo(&text, "?#"), ":@/")) {
		return false;
	}
	if (!text.empty() && text[0] == '?') {
		text.remove_prefix(1);
		if (!HasOnly(TakeUpTo(&text, "#"), ":@/?")) {
			return false;
		}
	}
	return text.empty() || HasOnly(text.substr(1), ":@/?");
}

} // namespace

bool
IsUri(std::string_view text) {
	const std::string_view scheme = TakeUpTo(&text, ":");
	return IsScheme(scheme) && !text.empty() && IsHierarchicalPart(text.substr(1));
}

bool
IsUriReference(std::string_view text) {
	if (text.empty()) {
		return false;
	}
	// a relative reference has no colon in the first segment of its path: what stands before it would be a scheme
	const std::size_t colon = text.find(':');
	const bool relative = colon == std::string_view::npos || colon > text.find_first_of("/?#");
	return relative ? IsHierarchicalPart(text) : IsUri(text);
}

std::string
PercentEncoded(std::string_view text) {
	static constexpr char kHex[] = "0123456789ABCDEF";
	std::string encoded;
	encoded.reserve(text.size());
	for (const char c : text) {
		if (IsUnreserved(c)) {
			encoded += c;
			continue;
		}
		const auto byte = static_cast<unsigned char>(c);
		encoded += '%';
		encoded += kHex[byte >> 4];
		encoded += kHex[byte & 15];
	}
	return encoded;
}

} // namespace auren
