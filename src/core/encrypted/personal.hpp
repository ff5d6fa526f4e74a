#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.hpp"
#include "core/json/json_pointer.hpp"

namespace auren {

/*
 * Where the person of an event stands: at a place in its data, or in its stream's id, in the place of the one "*" of a pattern
 * such as "user:*".
 */
class PersonSource {
  public:
	// A pointer (begins with "/") or a pattern; 22023 for what is neither.
	static PersonSource Parse(std::string_view text);

	bool
	in_data() const {
		return in_data_;
	}
	const JsonPointer &
	place() const {
		return place_;
	}
	// The person in a stream's id; nothing where the pattern does not fit, or nobody stands there.
	std::optional<std::string> PersonOf(std::string_view stream_id) const;

  private:
	bool in_data_ = false;
	JsonPointer place_;
	std::string before_;
	std::string after_;
};

/*
 * The person that a number names, of its digits as the server writes them: a whole number is one person, however it is written (7,
 * 7.0 and 7.00 are "7"). Nothing for a number that is not whole.
 */
std::optional<std::string> PersonOfNumber(std::string_view digits);

// Paths as they are declared: pointers to something inside the document, none at or within another; else 22023.
std::vector<JsonPointer> ParsePersonalPaths(const std::vector<std::string> &texts);
// Whether one is the other, or within it.
bool Overlap(const JsonPointer &a, const JsonPointer &b);

// What stands at a place, opened on the way; nullptr when there is nothing.
Json *FindAt(Json *root, const JsonPointer &place, const JsonHost &host);

} // namespace auren
