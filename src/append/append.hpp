#pragma once

#include <cstdint>
#include <vector>

#include "conditions/condition.hpp"
#include "core/append/batch.hpp"
#include "core/append/import.hpp"
#include "server/postgres.hpp"
#include "store/tag_arguments.hpp"

namespace auren::pg {

/*
 * What an import says beside: when each event happened and who made it.
 */
struct ImportedEvents {
	std::vector<ImportedElement> elements;
	std::vector<Datum> created_by; // of the elements
};

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
	Condition *condition = nullptr;         // of append_if
	const ImportedEvents *import = nullptr; // of import_events, which has no created_by for all
};

struct AppendedEvent {
	EventId id;
	std::int64_t version;
	std::int64_t position;
};

/*
 * Appends a batch, all of it or nothing, and returns what became of each element in the order given. Locks held to the
 * end of the transaction: RowExclusive on the tables, the keys of tags and of new streams (conditions/key_locks.hpp), each stream's row (in the order
 * of the stream ids); with a condition what it asks about too. Throws what the reference lists for events.append_event, events.append_if and
 * events.import_events.
 */
std::vector<AppendedEvent> Append(const AppendRequest &request);

} // namespace auren::pg
