#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.hpp"

namespace auren::test {

/*
 * A host of values without a server: a number is its decimal text, a document the text of a value. Expanding a document
 * leaves the objects and arrays in it documents, so that what is not looked into is seen to stay as it was.
 */
class TextHost : public JsonHost {
  public:
	bool Equal(std::string_view number, std::string_view other) const override;
	// Exact, with the decimal places of the number that has more of them.
	std::string Sum(std::string_view number, std::string_view other) const override;
	Json Expand(std::string_view document) const override;
};

// The value that a text holds, without documents; throws std::invalid_argument when it is no JSON. The last of several
// members of one name counts.
Json FromText(std::string_view text);

// The value as a document that nobody has looked into.
Json DocumentOf(std::string_view text);

// The shortest text of a value, members in order of their keys, numbers as they are. Documents are written as what they
// hold, so that a value has one text however much of it was expanded.
std::string ToText(const Json &value);

// The documents that are left within a value.
int CountDocuments(const Json &value);

} // namespace auren::test
