#pragma once

#include <cstdint>
#include <vector>

#include "core/append/batch.hpp"
#include "server/postgres.hpp"
#include "store/tag_arguments.hpp"

namespace auren::pg {

/*
 * An append as an entry read it from its arguments.
 */
struct AppendRequest {
	struct Datums {
		Datum stream_id;
		Datum event_type;
		Datum data;
		Datum metadata;
	};
	std::vector<BatchElement> elements;
	std::vector<Datums> datums;                // of the elements, in their order
	std::vector<TagSet> tags;                  // likewise; empty where no event was given any
	std::vector<ExpectedVersion> expectations; // empty, one per element, any where nothing is expected
	Datum created_by = 0;
};

struct AppendedEvent {
	EventId id;
	std::int64_t version;
	std::int64_t position;
};

/*
 * Appends a batch, all of it or nothing, and returns what became of each element in the order given. Locks held to the
 * end of the transaction: each stream's row (in the order of the stream ids), RowExclusive on the tables. Throws what
 * the reference lists for events.append_event.
 */
std::vector<AppendedEvent> Append(const AppendRequest &request);

} // namespace auren::pg
