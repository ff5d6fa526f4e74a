#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/name.hpp"

namespace auren {

inline constexpr std::size_t kMaxTagCharacters = 255;
inline constexpr std::size_t kMaxTagKeyCharacters = 100;
inline constexpr std::size_t kMaxTagsOfEvent = 64;

// Texts of somebody else, one after the other. Plain: it may be used inside the guard.
struct TextList {
	const std::string_view *texts = nullptr;
	std::size_t count = 0;

	const std::string_view *
	begin() const {
		return texts;
	}
	const std::string_view *
	end() const {
		return texts + count;
	}
};

// What keeps a text from being a tag.
enum class TagFlaw : std::uint8_t { kNone, kEmpty, kTooLong, kControl };
TagFlaw FlawOfTag(const Name &tag) noexcept;

// Throws 22023 for what is not a tag: 1 to 255 characters, none of them a control character.
void CheckTag(const Name &tag);
// Throws 22023 where an event would have more tags than it may. Those that are given twice count once.
void CheckTagCount(std::size_t distinct);
// The key of a rule's tags, "room" of "room:12": throws 22023 when it is empty, longer than 100 characters, has a colon or a control character,
// or begins or ends with a blank.
void CheckTagKey(const Name &key);

// The tags that a caller gave an event, sorted by their bytes, each once. Throws 22023 where one is not a tag, with its number in DETAIL, or where
// there are too many.
std::vector<std::string_view> GivenTags(const std::vector<Name> &given);

// Sorts tags by their bytes, takes out what is there twice, and says how many are left.
std::size_t SortTags(std::string_view *tags, std::size_t count) noexcept;

// Whether a tag is among sorted ones.
bool HasTag(const TextList &sorted, std::string_view tag) noexcept;

} // namespace auren
