#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace auren {

// The server refuses a payload of 8,000 bytes or more.
inline constexpr std::size_t kMaxPayloadBytes = 7999;

/*
 * A field of a notification's payload. Numbers keep their digits: they are put in as text, never through a double.
 */
struct PayloadField {
	enum class Kind { kNull, kText, kLiteral };
	std::string name;
	Kind kind = Kind::kNull;
	std::string text; // UTF-8; of kLiteral: a JSON number, true or false
	bool identifying = false;
};

/*
 * One JSON object of the fields, in their order, of at most `limit` bytes. When it would be longer: the identifying
 * fields alone plus "truncated": true; when even these are too long, their texts are cut at a character's border. The
 * limit must leave room for the names of the identifying fields, which are never cut.
 */
std::string ComposePayload(const std::vector<PayloadField> &fields, std::size_t limit = kMaxPayloadBytes);

/*
 * Whether a text is a JSON number as it stands (so not NaN, infinity, nor "+1" or ".5").
 */
bool IsJsonNumber(const std::string &text);

} // namespace auren
