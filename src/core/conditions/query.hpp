#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tags/span.hpp"
#include "core/tags/tag.hpp"

namespace auren {

inline constexpr std::size_t kMaxQueryItems = 64;

/*
 * One item of a query: an event matches it when all that the item names hold. One that names nothing matches every event. An item with a version
 * matches no event: it speaks of the stream.
 */
struct QueryItem {
	std::vector<std::string> types;      // any of these, in the order given, each once; empty: every type
	std::vector<std::string> tags;       // all of these, in the order given, each once; empty: whatever the tags
	std::optional<std::string> stream;   // of this stream
	std::optional<Span> during;          // with a span that overlaps this one
	std::optional<std::int64_t> version; // the stream is at this version; 0: there is no such stream
};

// What is asked for: an event matches a query when it matches one of its items. There is at least one.
struct Query {
	std::vector<QueryItem> items;
};

/*
 * A query as callers write it, in UTF-8: a JSON array of items, or one item.
 *
 *   {"types": ["room_booked"], "tags": ["room:12"], "during": ["2026-12-01 10:00+00", null]}   {"stream": "user:1", "version": 5}   {}
 *
 * Throws 22023 for what is none, with the number of the item in DETAIL. Texts in it are UTF-8 too: ForEachText has them changed to the server's
 * encoding.
 */
Query ParseQuery(std::string_view json);

// change(std::string *) for each text of a query.
template <typename F>
void
ForEachText(Query *query, F &&change) {
	for (QueryItem &item : query->items) {
		for (std::string &type : item.types) {
			change(&type);
		}
		for (std::string &tag : item.tags) {
			change(&tag);
		}
		if (item.stream) {
			change(&*item.stream);
		}
	}
}

// The same as plain data, which may be used inside the guard and in memory that is freed without a destructor.
struct ItemView {
	static constexpr std::int64_t kNoVersion = -1;

	TextList types; // in the order given
	TextList tags;  // in the order given
	std::string_view stream;
	Span during;
	std::int64_t version = kNoVersion;
	bool has_stream = false;
	bool has_during = false;

	bool
	is_version() const {
		return version != kNoVersion;
	}
	// Whether it names nothing, so that it matches every event.
	bool
	is_everything() const {
		return types.count == 0 && tags.count == 0 && !has_stream && !has_during;
	}
};
struct QueryView {
	const ItemView *items = nullptr;
	std::size_t count = 0;

	const ItemView *
	begin() const {
		return items;
	}
	const ItemView *
	end() const {
		return items + count;
	}
};

/*
 * Puts a query into one block of memory, aligned as for any type, of ViewBytes(query) bytes. The view points into the block alone: it lives as long
 * as that, and the query may go.
 */
std::size_t ViewBytes(const Query &query);
QueryView WriteView(const Query &query, void *memory);

// What of an event a query looks at.
struct EventFacts {
	std::string_view stream;
	std::string_view type;
	TextList tags; // as shown, sorted by their bytes
	Span span;
	bool has_span = false;
};

// Whether an item looks at the tags or the span of an event, which cost more to find than the rest.
inline bool
LooksAtTags(const ItemView &item) {
	return item.tags.count > 0;
}
inline bool
LooksAtSpan(const ItemView &item) {
	return item.has_during;
}

// The part of an item that needs neither tags nor span. Where it does not hold the event does not match.
bool MatchesNames(const ItemView &item, const EventFacts &event) noexcept;
// The whole item; and whether any item of a query matches.
bool Matches(const ItemView &item, const EventFacts &event) noexcept;
bool Matches(const QueryView &query, const EventFacts &event) noexcept;

} // namespace auren
