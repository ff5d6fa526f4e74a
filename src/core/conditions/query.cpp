#include "core/conditions/query.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/event_time.hpp"
#include "core/store/names.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

using nlohmann::json;

constexpr const char *kShapeHint =
	"An item is an object with any of \"types\", \"tags\", \"stream\" and \"during\", or with \"stream\" and \"version\": "
	"[{\"types\": [\"room_booked\"], \"tags\": [\"room:12\"]}, {\"stream\": \"user:1\"}].";

// As a message shows it: one line, and not all of a long one.
std::string
Shown(const json &value) {
	constexpr std::size_t kMost = 100;
	std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
	if (text.size() > kMost) {
		text.resize(kMost);
		text += "...";
	}
	return text;
}

// An item that is being read: errors name it.
struct Place {
	std::size_t item; // from 1
	const char *part; // "tags"; nullptr: the item itself
};

[[noreturn]] void
Refuse(const Place &place, const std::string &what, const std::string &detail, const char *hint = kShapeHint) {
	const std::string part = place.part == nullptr ? std::string("an item") : "\"" + std::string(place.part) + "\"";
	throw DomainError(sqlstate::kInvalidParameter, part + " of a query " + what, detail + " It is item " + std::to_string(place.item) + ".", hint);
}

std::size_t
CharactersOf(std::string_view utf8) {
	return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// A text that could be of an event: one that could not is a mistake, since nothing would match it.
std::string
TextOf(const Place &place, const json &value, void (*check)(const Name &)) {
	if (!value.is_string()) {
		Refuse(place, "holds what is not a text", "The value given is " + Shown(value) + ".");
	}
	auto text = value.get<std::string>();
	try {
		check({text, CharactersOf(text)});
	} catch (const DomainError &error) {
		throw DomainError(error.sqlstate().c_str(), error.message(),
		                  error.detail() + " It is in \"" + std::string(place.part) + "\" of item " + std::to_string(place.item) + " of the query.",
		                  error.hint());
	}
	return text;
}

// Each once, in the order given.
std::vector<std::string>
TextsOf(const Place &place, const json &value, void (*check)(const Name &)) {
	if (!value.is_array() || value.empty()) {
		Refuse(place, "must be an array of texts that is not empty", "The value given is " + Shown(value) + ".",
		       "Leave the part out where it does not matter.");
	}
	std::vector<std::string> texts;
	for (const json &element : value) {
		std::string text = TextOf(place, element, check);
		if (std::find(texts.begin(), texts.end(), text) == texts.end()) {
			texts.push_back(std::move(text));
		}
	}
	return texts;
}

std::int64_t
EndOf(const Place &place, const json &value, std::int64_t unbounded) {
	if (value.is_null()) {
		return unbounded;
	}
	const auto time = value.is_string() ? ParseEventTime(value.get_ref<const std::string &>()) : std::nullopt;
	if (!time) {
		Refuse(place, "holds what is not a time", "The value given is " + Shown(value) + ".",
		       "Give a time such as \"2026-12-01 10:00+00\", or null for an end without a bound.");
	}
	return *time;
}

Span
SpanOf(const Place &place, const json &value) {
	if (!value.is_array() || value.size() != 2) {
		Refuse(place, "must be an array of two times", "The value given is " + Shown(value) + ".",
		       "Give the beginning and the end, such as [\"2026-12-01 10:00+00\", \"2026-12-01 11:00+00\"]; null is an end without a bound.");
	}
	const Span span = {EndOf(place, value[0], Span::kUnboundedFrom), EndOf(place, value[1], Span::kUnboundedTo)};
	if (span.to <= span.from) {
		Refuse(place, "ends before it begins, or holds no moment", "The value given is " + Shown(value) + ".",
		       "The end is not part of the span and must be after the beginning.");
	}
	return span;
}

std::int64_t
VersionOf(const Place &place, const json &value) {
	constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
	if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) {
		Refuse(place, "must be a version of a stream", "The value given is " + Shown(value) + ".",
		       "Give the version that the stream must be at: 0 where it must not exist, else 1, 2, 3 and so on.");
	}
	return value.get<std::int64_t>();
}

void
CheckTagsOf(const Place &place, const std::vector<std::string> &tags) {
	if (tags.size() > kMaxTagsOfEvent) {
		Refuse(place, "are more tags than an event may have",
		       "They are " + std::to_string(tags.size()) + "; an event has at most " + std::to_string(kMaxTagsOfEvent) + ".",
		       "All tags of an item must be the event's; give one item for each alternative.");
	}
}

QueryItem
ItemOf(std::size_t number, const json &value) {
	if (!value.is_object()) {
		Refuse({number, nullptr}, "must be a JSON object", "The value given is " + Shown(value) + ".");
	}
	QueryItem item;
	for (const auto &[key, part] : value.items()) {
		if (key == "types") {
			item.types = TextsOf({number, "types"}, part, CheckEventType);
		} else if (key == "tags") {
			item.tags = TextsOf({number, "tags"}, part, CheckTag);
			CheckTagsOf({number, "tags"}, item.tags);
		} else if (key == "stream") {
			item.stream = TextOf({number, "stream"}, part, CheckStreamId);
		} else if (key == "during") {
			item.during = SpanOf({number, "during"}, part);
		} else if (key == "version") {
			item.version = VersionOf({number, "version"}, part);
		} else {
			Refuse({number, nullptr}, "has a part that is not known", "The part is " + Shown(key) + ".");
		}
	}
	if (item.version && (!item.stream || value.size() != 2)) {
		Refuse({number, "version"}, "must stand with \"stream\" and with nothing else", "The item given is " + Shown(value) + ".",
		       "Give what else is asked for as an item of its own.");
	}
	return item;
}

/*
 * Lays out a view in a block. With no block it only counts: both ways take the same steps, so they agree.
 */
class Block {
  public:
	explicit Block(void *memory) : memory_(static_cast<char *>(memory)) {
	}

	template <typename T>
	T *
	Array(std::size_t count) {
		static_assert(std::is_trivially_destructible_v<T>, "the block is freed without a destructor");
		used_ = (used_ + alignof(T) - 1) / alignof(T) * alignof(T);
		T *array = memory_ == nullptr ? nullptr : reinterpret_cast<T *>(memory_ + used_);
		used_ += sizeof(T) * count;
		for (std::size_t i = 0; array != nullptr && i < count; i++) {
			new (&array[i]) T();
		}
		return array;
	}
	std::string_view
	Text(const std::string &text) {
		char *bytes = Array<char>(text.size());
		if (bytes != nullptr && !text.empty()) {
			std::memcpy(bytes, text.data(), text.size());
		}
		return {bytes, bytes == nullptr ? 0 : text.size()};
	}
	TextList
	Texts(const std::vector<std::string> &texts) {
		auto *list = Array<std::string_view>(texts.size());
		for (std::size_t i = 0; i < texts.size(); i++) {
			const std::string_view text = Text(texts[i]);
			if (list != nullptr) {
				list[i] = text;
			}
		}
		return {list, texts.size()};
	}
	std::size_t
	used() const {
		return used_;
	}

  private:
	char *memory_;
	std::size_t used_ = 0;
};

QueryView
LayOut(const Query &query, Block *block) {
	auto *items = block->Array<ItemView>(query.items.size());
	for (std::size_t i = 0; i < query.items.size(); i++) {
		const QueryItem &item = query.items[i];
		ItemView view;
		view.types = block->Texts(item.types);
		view.tags = block->Texts(item.tags);
		view.has_stream = item.stream.has_value();
		view.has_during = item.during.has_value();
		if (item.stream) {
			view.stream = block->Text(*item.stream);
		}
		if (item.during) {
			view.during = *item.during;
		}
		if (item.version) {
			view.version = *item.version;
		}
		if (items != nullptr) {
			items[i] = view;
		}
	}
	return {items, query.items.size()};
}

} // namespace

Query
ParseQuery(std::string_view text) {
	const json value = json::parse(text, nullptr, false);
	if (!value.is_array() && !value.is_object()) {
		throw DomainError(sqlstate::kInvalidParameter, "a query must be an array of items, or one item",
		                  value.is_discarded() ? "It cannot be read as JSON in UTF-8." : "The value given is " + Shown(value) + ".", kShapeHint);
	}
	Query query;
	if (value.is_object()) {
		query.items.push_back(ItemOf(1, value));
		return query;
	}
	if (value.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, "a query must have an item", "The array given is empty: no event could match it.",
		                  "Give [{}] for every event.");
	}
	if (value.size() > kMaxQueryItems) {
		throw DomainError(sqlstate::kInvalidParameter, "a query has too many items",
		                  "It has " + std::to_string(value.size()) + "; at most " + std::to_string(kMaxQueryItems) + " are allowed.",
		                  "Give the types that share their tags in one item.");
	}
	for (const json &item : value) {
		query.items.push_back(ItemOf(query.items.size() + 1, item));
	}
	return query;
}

std::size_t
ViewBytes(const Query &query) {
	Block counting(nullptr);
	(void)LayOut(query, &counting);
	return counting.used();
}

QueryView
WriteView(const Query &query, void *memory) {
	Block block(memory);
	return LayOut(query, &block);
}

bool
MatchesNames(const ItemView &item, const EventFacts &event) noexcept {
	if (item.is_version() || (item.has_stream && item.stream != event.stream)) {
		return false;
	}
	return item.types.count == 0 || std::find(item.types.begin(), item.types.end(), event.type) != item.types.end();
}

bool
Matches(const ItemView &item, const EventFacts &event) noexcept {
	if (!MatchesNames(item, event) || (item.has_during && !(event.has_span && Overlaps(item.during, event.span)))) {
		return false;
	}
	return std::all_of(item.tags.begin(), item.tags.end(), [&](std::string_view tag) { return HasTag(event.tags, tag); });
}

bool
Matches(const QueryView &query, const EventFacts &event) noexcept {
	return std::any_of(query.begin(), query.end(), [&](const ItemView &item) { return Matches(item, event); });
}

} // namespace auren
