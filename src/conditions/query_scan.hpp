#pragma once

#include "conditions/cursor.hpp"
#include "core/conditions/query.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

/*
 * What is read: the events of a tenant that match a query, with their positions in a span. All of it lives as long as the scan.
 */
struct QueryTerms {
	QueryView query;
	Datum tenant;
	PositionSpan span;
};

/*
 * By whom. A caller's policies count and it reads by a registered snapshot; the store itself reads every event that is committed or its own as it is
 * now (SnapshotSelf), whoever called it.
 */
enum class QueryReader { kCaller, kStore };

// The names of an item as index keys. stream is 0 where the item has none.
struct ItemNames {
	const int64 *tags; // their hashes
	Datum stream;
};

// The positions in a month at which an item may match: those that all of its cursors have.
struct ItemCandidates {
	Cursor *cursors;
	int count;
	bool ended;
};

// A month that has candidates. Its tables are locked while it is open, and it is open while it is read.
struct QueryMonth {
	PartitionRange range;
	int64 next; // position of the next candidate
	bool open;
	MemoryContext context;
	Relation heap;
	Relation position_index;
	Relation stream_index; // nullptr: no item needs it
	OpenTagMonth tags;     // heap is nullptr likewise, or where the month has no tag
	bool tags_held;        // by the caller of the scan
	AttrNumber attnum[kEventColumns];
	TupleTableSlot *slot;
	BlockNumber blocks; // of the heap, as far as it is known
	ItemCandidates *items;
	int item_count;
};

/*
 * Reads the events that match a query in order of position, or against it, each once. What the indexes of tags, streams and positions say is where to
 * look: each event is compared with the query. Where row security applies to the caller, or a month lacks what the store gave it, the events come
 * through the executor.
 */
struct QueryScan {
	QueryTerms terms;
	QueryReader reader;
	Snapshot snapshot;        // registered, or SnapshotSelf
	const OpenTagMonth *held; // a month of tags that the caller has open; nullptr: none
	MemoryContext context;
	MemoryContext facts; // of the event that is looked at
	UnpackedNames names;
	ItemNames *item_names;
	bool every_position; // an item has neither tags nor stream
	bool by_stream;      // an item has a stream and no tags
	bool by_tag;         // an item has tags
	Relation events;
	QueryMonth *months;
	int month_count;
	int current; // month whose event was given last, -1: none
	bool through_query;
	RunningQuery query;
};

// The snapshot must outlive the scan; it is not asked for where the store itself reads. held: a month of tags that the caller has open, which stays
// so.
void BeginQueryScan(Server server, QueryScan *scan, const QueryTerms &terms, QueryReader reader, Snapshot snapshot,
                    const OpenTagMonth *held = nullptr);
// The next event that matches, and the transaction that wrote it. False after the last one.
bool NextMatch(Server server, QueryScan *scan, EventRow *row, TransactionId *inserter);
void EndQueryScan(Server server, QueryScan *scan);

// Whether an event matches a query. `scratch` is reset.
bool MatchesQuery(Server server, const QueryView &query, const EventRow &row, MemoryContext scratch);

} // namespace auren::pg
