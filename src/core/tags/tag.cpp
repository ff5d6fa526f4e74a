#include "core/tags/tag.hpp"

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
IsControl(char c) {
	const auto byte = static_cast<unsigned char>(c);
	return byte < 0x20 || byte == 0x7F;
}

[[noreturn]] void
Refuse(const std::string &message, const std::string &detail, const char *hint) {
	throw DomainError(sqlstate::kInvalidParameter, message, detail, hint);
}

[[noreturn]] void
RefuseTag(TagFlaw flaw, const Name &tag) {
	switch (flaw) {
	case TagFlaw::kTooLong:
		Refuse("tag is too long",
		       "It has " + std::to_string(tag.characters) + " characters; at most " + std::to_string(kMaxTagCharacters) + " are allowed.",
		       "Put what identifies the thing into the tag, and the rest into event data.");
	case TagFlaw::kControl:
		Refuse("tag contains a control character", "Bytes below 32 and byte 127 are not allowed in a tag.",
		       "Remove line ends and tabs from the tag.");
	default:
		Refuse("tag must not be empty", "The tag given has no character.", "Give a tag such as \"room:12\", or leave it out.");
	}
}

} // namespace

TagFlaw
FlawOfTag(const Name &tag) noexcept {
	if (tag.bytes.empty()) {
		return TagFlaw::kEmpty;
	}
	if (tag.characters > kMaxTagCharacters) {
		return TagFlaw::kTooLong;
	}
	return std::any_of(tag.bytes.begin(), tag.bytes.end(), IsControl) ? TagFlaw::kControl : TagFlaw::kNone;
}

void
CheckTag(const Name &tag) {
	const TagFlaw flaw = FlawOfTag(tag);
	if (flaw != TagFlaw::kNone) {
		RefuseTag(flaw, tag);
	}
}

void
CheckTagCount(std::size_t distinct) {
	if (distinct > kMaxTagsOfEvent) {
		Refuse("an event has too many tags",
		       "It would have " + std::to_string(distinct) + "; at most " + std::to_string(kMaxTagsOfEvent) + " are allowed.",
		       "Tag an event with what decisions look it up by, and leave the rest in its data.");
	}
}

void
CheckTagKey(const Name &key) {
	if (key.bytes.empty()) {
		Refuse("tag key must not be empty", "The key given has no character.", "Give a key such as \"room\", for tags such as \"room:12\".");
	}
	if (key.characters > kMaxTagKeyCharacters) {
		Refuse("tag key is too long",
		       "It has " + std::to_string(key.characters) + " characters; at most " + std::to_string(kMaxTagKeyCharacters) + " are allowed.",
		       "Give a short key, such as \"room\".");
	}
	if (std::any_of(key.bytes.begin(), key.bytes.end(), IsControl)) {
		Refuse("tag key contains a control character", "Bytes below 32 and byte 127 are not allowed in a key.",
		       "Remove line ends and tabs from the key.");
	}
	if (key.bytes.front() == ' ' || key.bytes.back() == ' ') {
		Refuse("tag key begins or ends with a blank", "The key given is \"" + std::string(key.bytes) + "\".", "Trim the key.");
	}
	if (key.bytes.find(':') != std::string_view::npos) {
		Refuse("tag key contains a colon", "The key given is \"" + std::string(key.bytes) + "\".",
		       "Leave the colon out: the rule puts one between the key and the value.");
	}
}

std::vector<std::string_view>
GivenTags(const std::vector<Name> &given) {
	std::vector<std::string_view> tags;
	tags.reserve(given.size());
	for (const Name &tag : given) {
		try {
			CheckTag(tag);
		} catch (const DomainError &error) {
			throw DomainError(sqlstate::kInvalidParameter, error.message(), error.detail() + " It is tag " + std::to_string(tags.size() + 1) + ".",
			                  error.hint());
		}
		tags.push_back(tag.bytes);
	}
	tags.resize(SortTags(tags.data(), tags.size()));
	CheckTagCount(tags.size());
	return tags;
}

std::size_t
SortTags(std::string_view *tags, std::size_t count) noexcept {
	std::sort(tags, tags + count);
	return static_cast<std::size_t>(std::unique(tags, tags + count) - tags);
}

bool
HasTag(const TextList &sorted, std::string_view tag) noexcept {
	return std::binary_search(sorted.begin(), sorted.end(), tag);
}

} // namespace auren
