#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace auren::gateway {

// What JSON from outside may have at most.
struct JsonBounds {
	size_t bytes = 4096;
	size_t depth = 8;
};

// Parses one JSON text. Throws BadInput when it is not JSON, has a key twice in one object, or is beyond the bounds, which are
// tested before anything is parsed.
nlohmann::json ParseJson(std::string_view text, const JsonBounds &bounds);

// Appends the text as a JSON string, with its quotes. The text is UTF-8.
void AppendJsonString(std::string &out, std::string_view text);

// Whether the text is well-formed UTF-8.
bool IsUtf8(std::string_view text);

// One line that stands for the payload of a notification in JSON: the payload itself where it is JSON, else a JSON string of it.
std::string JsonLine(std::string_view payload);

// Base64 as RFC 4648 has it: the URL alphabet without padding. Decoding throws BadInput for anything else, and for bits left over.
std::string DecodeBase64Url(std::string_view text);
std::string EncodeBase64Url(std::string_view bytes);
// The standard alphabet with padding.
std::string EncodeBase64(std::string_view bytes);

// The parts between the separators; an empty text has none.
std::vector<std::string_view> Split(std::string_view text, char separator);

} // namespace auren::gateway
