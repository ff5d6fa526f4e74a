#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"
#include "store/query.hpp"

namespace auren::pg {

// Which events of one tenant a search asks for. Datums are not toasted and outlive the search.
struct TenantSearchTerms {
	Datum tenant;
	Datum type;              // 0: all
	Datum contains;          // jsonb that the data contains, 0: any
	int64 from;              // created_at, included
	int64 to;                // not included
	ScanDirection direction; // forward: oldest first
	// What came before the page: at `last_time` only events after `last_position`, in the search's direction, are given.
	bool is_next_page;
	int64 last_time;
	int64 last_position;
};

// An event that was found, before its row is given.
struct FoundEvent {
	ItemPointerData tid;
	int64 created_at;
	int64 position;
};

/*
 * The events of one type in the open month: some were read ahead, the others have a created_at in [lower, upper). What is read ahead
 * ends with all events of one time, since the index does not have them in the order of their positions.
 */
struct TypeCursor {
	Datum type;
	int64 lower;
	int64 upper;
	int chunk; // how many entries are looked at the next time
	FoundEvent *found;
	int count;
	int given;
	int capacity;
};

/*
 * Reads events of one tenant in the order of time and position, or against it, and touches no index entry of another tenant: what a role
 * that is bound to tenants asks for tells it nothing of the others, by whatever figure the server gives of the work done. Each month's index
 * on (tenant, type, time) is read type by type, and the types are merged. Where row security applies, or a month has no such index, the
 * events come through the executor, which then has no condition on type and content that an index could serve.
 */
struct TenantSearch {
	TenantSearchTerms terms;
	Snapshot snapshot;
	MemoryContext context;
	Relation events;
	bool row_security;
	int64 lower; // created_at still to be read: [lower, upper)
	int64 upper;
	// the month that is open; heap is nullptr while none is
	MemoryContext month_context;
	MemoryContext row_context;
	Relation heap;
	Relation index;
	IndexScanDesc scan; // of one type
	TupleTableSlot *slot;
	TupleTableSlot *given;
	AttrNumber attnum[kEventColumns];
	struct binaryheap *cursors; // that have an event, the next one first
	// the way through the executor: desc is nullptr while it is not taken
	RunningQuery query;
};

// The snapshot must be registered or active until the search is ended.
void BeginTenantSearch(Server server, TenantSearch *search, const TenantSearchTerms &terms, Snapshot snapshot);
// The next event: event_id, stream_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position, tags as the row has
// them. False after the last one; the values live until the next call.
bool NextTenantEvent(Server server, TenantSearch *search, Datum *values, bool *isnull);
void EndTenantSearch(Server server, TenantSearch *search);

} // namespace auren::pg
