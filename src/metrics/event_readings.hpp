#pragma once

#include <string_view>

#include "metrics/reading_sink.hpp"
#include "metrics/sources.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Records the readings of an appended event, where a source takes them, and counts what is none. Costs a look at a flag where none does.
 */
void RecordEvent(std::string_view tenant, std::string_view stream, std::string_view event_type, Datum data, TimestampTz created_at, int64 position);

// All readings of the events of a source by the active server snapshot, and what dropped months left of them; as the owner of the store.
void ScanEvents(const Source &source, ReadingSink *sink);

// The same of the events of a month's table, by their positions.
struct EventRange {
	const char *table; // quoted, with its schema
	int64 after;
	int64 up_to;
};
void ScanEventsIn(const EventRange &range, const Source &source, ReadingSink *sink);

void RegisterEventReadingCallbacks(Server server);

} // namespace auren::pg
