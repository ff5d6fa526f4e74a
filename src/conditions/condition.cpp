#include "conditions/condition.hpp"

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "core/tags/tag_hash.hpp"
#include "feed/feed_horizon.hpp"
#include "server/text.hpp"
#include "store/dropped_months.hpp"

namespace auren::pg {

namespace {

Datum
TextOfBytes(std::string_view bytes) {
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(bytes.data(), static_cast<int>(bytes.size()))); });
}

std::string
DetailOf(const Breach &breach) {
	std::string event = "Event " + std::to_string(breach.position);
	if (!breach.hidden) {
		event += " (stream \"" + std::string(TextBytes(breach.stream)) + "\", type \"" + std::string(TextBytes(breach.type)) + "\")";
	}
	return event + " matches.";
}

[[noreturn]] void
ThrowBreach(const Breach &breach, std::int64_t after) {
	if (breach.lost_race) {
		throw DomainError(sqlstate::kSerializationFailure, "could not serialize the append with its condition",
		                  DetailOf(breach) + " It was committed after this transaction's snapshot was taken.", "Retry the whole transaction.");
	}
	if (after == 0) {
		throw DomainError(sqlstate::kConditionFails, "the condition does not hold", DetailOf(breach) + " No event at all may match.",
		                  "What the condition excludes has happened. A position as p_after lets what was read up to it be.");
	}
	throw DomainError(sqlstate::kConditionFails, "the condition does not hold",
	                  DetailOf(breach) + " It is after position " + std::to_string(after) + ".",
	                  "Take events.feed_horizon(), read up to it, decide anew, and give it as p_after.");
}

} // namespace

Condition::Condition(const QueryView &query, std::int64_t after) : query_(query), after_(after) {
	if (!Call([&](Server server) { return IsFinalPosition(server, after); })) {
		throw DomainError(sqlstate::kNotInState, "p_after is above the horizon of the feed",
		                  "Events up to position " + std::to_string(after) + " may still be committed, and would not be seen by the condition.",
		                  "Take events.feed_horizon() first, read up to it, and give it as p_after.");
	}
	for (const ItemView &item : query_) {
		if (item.tags.count > 0) {
			// whoever writes an event that matches writes all of them
			tags_.push_back(item.tags.texts[0]);
		}
		locks_store_ |= item.tags.count == 0 && !item.has_stream;
	}
	std::sort(tags_.begin(), tags_.end());
	tags_.erase(std::unique(tags_.begin(), tags_.end()), tags_.end());
	AddStreams();
	locks_store_ |= tags_.size() + streams_.size() > KeysLeft();
}

// The streams of items that are kept by them, each once, in the order of their ids.
void
Condition::AddStreams() {
	for (const ItemView &item : query_) {
		if (item.has_stream && item.tags.count == 0) {
			streams_.push_back({item.stream, 0});
		}
	}
	std::sort(streams_.begin(), streams_.end(), [](const Stream &a, const Stream &b) { return a.id < b.id; });
	streams_.erase(std::unique(streams_.begin(), streams_.end(), [](const Stream &a, const Stream &b) { return a.id == b.id; }), streams_.end());
	for (Stream &stream : streams_) {
		stream.text = TextOfBytes(stream.id);
	}
}

void
Condition::AddKeys(std::string_view tenant, KeyLocks *locks) const {
	const TagHash hash(tenant);
	for (const std::string_view tag : tags_) {
		locks->Check(hash.Of(tag));
	}
	if (!streams_.empty()) {
		locks->ExpectAskedStreams();
	}
}

const Condition::Stream *
Condition::FindStream(std::string_view id) const {
	const auto at =
		std::lower_bound(streams_.begin(), streams_.end(), id, [](const Stream &stream, std::string_view wanted) { return stream.id < wanted; });
	return &*at;
}

void
Condition::CheckVersions() const {
	for (const ItemView &item : query_) {
		if (!item.is_version()) {
			continue;
		}
		const std::int64_t version = FindStream(item.stream)->version;
		if (version != item.version) {
			throw DomainError(sqlstate::kConditionFails, "the condition does not hold",
			                  "Stream \"" + std::string(item.stream) + "\" is at version " + std::to_string(version) + ", not at " +
			                      std::to_string(item.version) + ".",
			                  "Read the stream again, decide anew, and give the version that it has.");
		}
	}
}

/*
 * A stream may have lost its newest events with their month: that there were some is known, and no more. Where no event at all may be in a stream,
 * they count; an item that asks for types is of the events that are left.
 */
void
Condition::CheckDroppedStreams() const {
	for (const ItemView &item : query_) {
		const bool whole_stream = item.has_stream && !item.is_version() && item.tags.count == 0 && item.types.count == 0 && !item.has_during;
		if (after_ != 0 || !whole_stream) {
			continue;
		}
		const Stream *stream = FindStream(item.stream);
		if (stream->version > 0 && stream->last_position == 0) {
			throw DomainError(sqlstate::kConditionFails, "the condition does not hold",
			                  "Stream \"" + std::string(item.stream) + "\" is at version " + std::to_string(stream->version) +
			                      "; the months of its newest events were dropped. No event at all may match.",
			                  "What the condition excludes has happened. A position as p_after lets what was read up to it be.");
		}
	}
}

/*
 * Whoever has read up to a position relies on being told of all that came after it. Where some of that was dropped, nobody can; the versions of
 * streams are known for ever.
 */
void
Condition::CheckDroppedMonths(std::string_view tenant) const {
	if (after_ == 0 || std::all_of(query_.begin(), query_.end(), [](const ItemView &item) { return item.is_version(); })) {
		return;
	}
	const std::int64_t gone = LastDroppedPositionOf(tenant, after_);
	if (gone > after_) {
		throw DomainError(sqlstate::kNotInState, "the condition cannot be decided: events after position " + std::to_string(after_) + " were dropped",
		                  "Those of the tenant up to position " + std::to_string(gone) +
		                      " are gone with their months; the first that may be left is at " + std::to_string(gone + 1) + ".",
		                  "Take events.feed_horizon(), read up to it, decide anew, and give it as p_after.");
	}
}

// The items that an event after a position may still match: a stream that has none is not looked through.
std::vector<ItemView>
Condition::ItemsLeft(std::int64_t after) const {
	std::vector<ItemView> left;
	for (const ItemView &item : query_) {
		const bool ended = item.has_stream && item.tags.count == 0 && FindStream(item.stream)->last_position <= after;
		if (!item.is_version() && !ended) {
			left.push_back(item);
		}
	}
	return left;
}

/*
 * Where every event counts, a type is looked up by the months' indexes of types, which say at once that there is none. What is found there is taken
 * out of the items; where one has to look at every event anyway, all of them do.
 */
Breach
Condition::CheckByType(const Tenant &tenant, std::vector<ItemView> *items) const {
	Breach first = {};
	const auto looks_at_all = [](const ItemView &item) {
		return item.tags.count == 0 && !item.has_stream && item.types.count == 0;
	};
	if (after_ != 0 || std::any_of(items->begin(), items->end(), looks_at_all)) {
		return first;
	}
	std::vector<ItemView> others;
	for (const ItemView &item : *items) {
		Breach breach = {};
		const bool known = IsByType(item) && Call([&](Server server) { return FindBreachByType(server, item, tenant.text, &breach); });
		if (!known) {
			others.push_back(item);
		} else if (breach.found && (!first.found || breach.position < first.position)) {
			first = breach;
		}
	}
	*items = std::move(others);
	return first;
}

void
Condition::Check(const Tenant &tenant, const OpenTagMonth *held) const {
	CheckVersions();
	CheckDroppedStreams();
	CheckDroppedMonths(tenant.id);
	const std::int64_t from = Call([this](Server server) { return StartOfBreaches(server, after_); });
	std::vector<ItemView> items = ItemsLeft(from);
	Breach breach = CheckByType(tenant, &items);
	if (!items.empty()) {
		const QueryView view = {items.data(), items.size()};
		const Breach found = Call([&](Server server) { return FindBreach(server, view, tenant.text, {from, after_, held}); });
		if (found.found && (!breach.found || found.position < breach.position)) {
			breach = found;
		}
	}
	if (breach.found) {
		ThrowBreach(breach, after_);
	}
}

} // namespace auren::pg
