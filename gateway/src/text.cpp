#include "text.hpp"

#include <cstdint>
#include <set>

#include "bad_input.hpp"

namespace auren::gateway {
namespace {

constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// How deep brackets nest, those inside strings not counted.
size_t
Depth(std::string_view text) {
	size_t depth = 0, deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.size(); i++) {
		const char c = text[i];
		if (in_string) {
			if (c == '\\') {
				i++;
			} else if (c == '"') {
				in_string = false;
			}
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			deepest = std::max(deepest, ++depth);
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return deepest;
}

std::string
Encode(std::string_view bytes, std::string_view alphabet) {
	std::string out;
	uint32_t bits = 0;
	int count = 0;
	for (const unsigned char c : bytes) {
		bits = bits << 8 | c;
		count += 8;
		while (count >= 6) {
			count -= 6;
			out += alphabet[bits >> count & 63];
		}
	}
	if (count > 0) {
		out += alphabet[bits << (6 - count) & 63];
	}
	return out;
}

// The length of the UTF-8 sequence that begins here, 0 when it is not one.
size_t
SequenceLength(std::string_view text) {
	const auto at = [&](size_t i) {
		return static_cast<unsigned char>(text[i]);
	};
	const unsigned char first = at(0);
	if (first < 0x80) {
		return 1;
	}
	const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	if (first < 0xC2 || first > 0xF4 || text.size() < length) {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((at(i) & 0xC0) != 0x80) {
			return 0;
		}
	}
	// overlong forms, surrogates, and what lies beyond Unicode
	if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F) || (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F)) {
		return 0;
	}
	return length;
}

} // namespace

nlohmann::json
ParseJson(std::string_view text, const JsonBounds &bounds) {
	if (text.size() > bounds.bytes) {
		throw BadInput("the JSON text has more than " + std::to_string(bounds.bytes) + " bytes");
	}
	if (Depth(text) > bounds.depth) {
		throw BadInput("the JSON text is nested more than " + std::to_string(bounds.depth) + " deep");
	}
	std::vector<std::set<std::string>> keys;
	bool repeated = false;
	const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json &value) {
		if (event == nlohmann::json::parse_event_t::object_start) {
			keys.emplace_back();
		} else if (event == nlohmann::json::parse_event_t::object_end) {
			keys.pop_back();
		} else if (event == nlohmann::json::parse_event_t::key) {
			repeated = !keys.back().insert(value.get<std::string>()).second || repeated;
		}
		return true;
	};
	auto value = nlohmann::json::parse(text, watch, false);
	if (value.is_discarded()) {
		throw BadInput("the text is not JSON");
	}
	if (repeated) {
		throw BadInput("an object of the JSON text has a key twice");
	}
	return value;
}

void
AppendJsonString(std::string &out, std::string_view text) {
	static constexpr char kHex[] = "0123456789abcdef";
	out += '"';
	for (const char c : text) {
		if (c == '"' || c == '\\') {
			out += '\\';
			out += c;
		} else if (static_cast<unsigned char>(c) >= 0x20) {
			out += c;
		} else {
			out += "\\u00";
			out += kHex[c >> 4];
			out += kHex[c & 15];
		}
	}
	out += '"';
}

bool
IsUtf8(std::string_view text) {
	while (!text.empty()) {
		const size_t length = SequenceLength(text);
		if (length == 0) {
			return false;
		}
		text.remove_prefix(length);
	}
	return true;
}

std::string
JsonLine(std::string_view payload) {
	std::string line;
	if (Depth(payload) > 64 || !nlohmann::json::accept(payload)) {
		AppendJsonString(line, IsUtf8(payload) ? payload : "not UTF-8");
		return line;
	}
	line = payload;
	// in JSON a line break stands between tokens only
	for (char &c : line) {
		c = c == '\n' || c == '\r' ? ' ' : c;
	}
	return line;
}

std::string
DecodeBase64Url(std::string_view text) {
	std::string out;
	uint32_t bits = 0;
	int count = 0;
	for (const char c : text) {
		const size_t value = kUrlAlphabet.find(c);
		if (value == std::string_view::npos) {
			throw BadInput("the text is not base64url");
		}
		bits = bits << 6 | static_cast<uint32_t>(value);
		count += 6;
		if (count >= 8) {
			count -= 8;
			out += static_cast<char>(bits >> count & 255);
		}
	}
	if (text.size() % 4 == 1 || (bits & ((1U << count) - 1)) != 0) {
		throw BadInput("the text is not base64url");
	}
	return out;
}

std::string
EncodeBase64Url(std::string_view bytes) {
	return Encode(bytes, kUrlAlphabet);
}

std::string
EncodeBase64(std::string_view bytes) {
	auto out = Encode(bytes, kAlphabet);
	out.append((4 - out.size() % 4) % 4, '=');
	return out;
}

std::vector<std::string_view>
Split(std::string_view text, char separator) {
	std::vector<std::string_view> parts;
	while (!text.empty()) {
		const size_t end = text.find(separator);
		parts.push_back(text.substr(0, end));
		if (end == std::string_view::npos) {
			return parts;
		}
		text.remove_prefix(end + 1);
		if (text.empty()) {
			parts.emplace_back();
		}
	}
	return parts;
}

} // namespace auren::gateway
