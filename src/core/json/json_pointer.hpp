#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace auren {

// RFC 6901: the way from a value to one inside it, token by token. No token: the value itself.
struct JsonPointer {
	std::vector<std::string> tokens;
};

// The pointer that a text writes. Throws 22023 when it is neither empty nor begins with "/", or has a "~" that is not
// "~0" or "~1".
JsonPointer ParsePointer(std::string_view text);

std::string PointerText(const JsonPointer &pointer);
// The text of the first tokens only: the places that a pointer passes on its way.
std::string PointerText(const JsonPointer &pointer, std::size_t tokens);

// Makes the text of a pointer that of a place one token deeper.
void AppendToken(std::string *text, std::string_view token);

// What "-" means as an array index: the place after the last element. No array has so many elements.
inline constexpr std::size_t kPastTheEnd = std::numeric_limits<std::size_t>::max();

// The array index that a token writes: digits without a leading zero, or "-". Nothing when it writes none. An index too
// large for a number here is still an index, of an element that no array has.
std::optional<std::size_t> ArrayIndex(std::string_view token);

// A pointer or token in quotes for the text of an error; its begin only, when it is long.
std::string QuotedPointer(std::string_view text);

} // namespace auren
