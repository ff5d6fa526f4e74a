#include "core/json/json_pointer.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::size_t kShownBytes = 200;

[[noreturn]] void
ThrowBadPointer(std::string message, std::string_view text) {
	throw DomainError(sqlstate::kInvalidParameter, std::move(message), "The pointer given is " + QuotedPointer(text) + ".",
	                  "Begin each key with \"/\"; inside a key write \"~\" as \"~0\" and \"/\" as \"~1\". The empty pointer "
	                  "is the whole value.");
}

std::string
Unescaped(std::string_view token, std::string_view pointer) {
	std::string key;
	key.reserve(token.size());
	for (std::size_t i = 0; i < token.size(); i++) {
		if (token[i] != '~') {
			key += token[i];
			continue;
		}
		// both at once: "~01" is "~1", not "/"
		i++;
		if (i == token.size() || (token[i] != '0' && token[i] != '1')) {
			ThrowBadPointer("JSON pointer has a \"~\" that is neither \"~0\" nor \"~1\"", pointer);
		}
		key += token[i] == '0' ? '~' : '/';
	}
	return key;
}

} // namespace

JsonPointer
ParsePointer(std::string_view text) {
	JsonPointer pointer;
	if (text.empty()) {
		return pointer;
	}
	if (text.front() != '/') {
		ThrowBadPointer("JSON pointer does not begin with \"/\"", text);
	}
	pointer.tokens.reserve(static_cast<std::size_t>(std::count(text.begin(), text.end(), '/')));
	for (std::size_t begin = 1;;) {
		const std::size_t end = text.find('/', begin);
		pointer.tokens.push_back(Unescaped(text.substr(begin, end - begin), text));
		if (end == std::string_view::npos) {
			return pointer;
		}
		begin = end + 1;
	}
}

std::string
PointerText(const JsonPointer &pointer) {
	return PointerText(pointer, pointer.tokens.size());
}

std::string
PointerText(const JsonPointer &pointer, std::size_t tokens) {
	std::string text;
	for (std::size_t i = 0; i < tokens; i++) {
		AppendToken(&text, pointer.tokens[i]);
	}
	return text;
}

void
AppendToken(std::string *text, std::string_view token) {
	*text += '/';
	for (const char c : token) {
		if (c == '~') {
			*text += "~0";
		} else if (c == '/') {
			*text += "~1";
		} else {
			*text += c;
		}
	}
}

std::optional<std::size_t>
ArrayIndex(std::string_view token) {
	if (token == "-") {
		return kPastTheEnd;
	}
	if (token.empty() || (token.front() == '0' && token.size() > 1)) {
		return std::nullopt;
	}
	constexpr std::size_t kLargest = kPastTheEnd - 1;
	std::size_t index = 0;
	for (const char c : token) {
		if (c < '0' || c > '9') {
			return std::nullopt;
		}
		const auto digit = static_cast<std::size_t>(c - '0');
		index = index > (kLargest - digit) / 10 ? kLargest : index * 10 + digit;
	}
	return index;
}

std::string
QuotedPointer(std::string_view text) {
	if (text.size() <= kShownBytes) {
		return "\"" + std::string(text) + "\"";
	}
	std::size_t end = kShownBytes;
	// not within a character of UTF-8
	while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
		end--;
	}
	return "\"" + std::string(text.substr(0, end)) + "...\"";
}

} // namespace auren
