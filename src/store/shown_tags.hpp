#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"
#include "store/tag_arguments.hpp"

namespace auren::pg {

/*
 * What the tags of an event depend on. The tenant is a plain text (server/text.hpp); the others are as the row has them.
 */
struct TaggedEvent {
	Datum tenant;
	Datum event_type;
	Datum event_data;
	Datum tags; // that its caller gave
};

inline TaggedEvent
TaggedEventOf(const EventRow &row) {
	return {row.values[kTenantId], row.values[kEventType], row.values[kEventData], row.values[kTags]};
}

// An event's tags as readers are shown them: a text[], in the current memory context or as the row has it.
Datum ShownTags(Server server, const TaggedEvent &event);

inline Datum
ShownTags(Server server, const EventRow &row) {
	return ShownTags(server, TaggedEventOf(row));
}

/*
 * Room for the tags of the event that was shown last, where a rule made some: whoever shows event after event keeps it beside the scan. It is made in
 * `parent` when it is needed first.
 */
struct ShownTagsRoom {
	MemoryContext parent;
	MemoryContext context;
};
// The same; what it gives lives until it is asked with this room again, or as the row has it.
Datum ShownTags(Server server, const TaggedEvent &event, ShownTagsRoom *room);

// Whether all of some tags, sorted by their bytes, are among those of a text[] like that of ShownTags.
bool HasAllTags(Server server, Datum shown, const EventTags &tags);

} // namespace auren::pg
