#include "store/tenant_search.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "store/event_columns.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr int kFirstChunk = 8;
constexpr int kGreatestChunk = 1024;
// In the order in which a search gives them.
constexpr EventColumn kGiven[] = {kEventId,   kStreamId, kStreamVersion, kEventType,      kEventData,
                                  kCreatedAt, kMetadata, kCreatedBy,     kGlobalPosition, kTags};

int64
ValueOf(Server, const TenantSearch *search, TupleTableSlot *slot, EventColumn column) {
	bool isnull;
	return DatumGetInt64(slot_getattr(slot, search->attnum[column], &isnull));
}

// Below zero when the first one comes before the second one in time.
int
CompareFound(const void *a, const void *b, void *direction) {
	const auto *one = static_cast<const FoundEvent *>(a);
	const auto *two = static_cast<const FoundEvent *>(b);
	const int order = one->created_at != two->created_at ? (one->created_at < two->created_at ? -1 : 1)
	                  : one->position != two->position   ? (one->position < two->position ? -1 : 1)
	                                                     : 0;
	return ScanDirectionIsBackward(*static_cast<ScanDirection *>(direction)) ? -order : order;
}

// The server's heap has the greatest first.
int
CompareCursors(Datum a, Datum b, void *direction) {
	const auto *one = reinterpret_cast<TypeCursor *>(DatumGetPointer(a));
	const auto *two = reinterpret_cast<TypeCursor *>(DatumGetPointer(b));
	return CompareFound(&two->found[two->given], &one->found[one->given], direction);
}

bool
IsOfPage(const TenantSearchTerms &terms, int64 created_at, int64 position) {
	if (!terms.is_next_page || created_at != terms.last_time) {
		return true;
	}
	return ScanDirectionIsBackward(terms.direction) ? position < terms.last_position : position > terms.last_position;
}

// Whether the event in the slot is one that was asked for.
bool
IsAskedFor(Server, TenantSearch *search, int64 created_at, int64 position) {
	if (!IsOfPage(search->terms, created_at, position)) {
		return false;
	}
	if (search->terms.contains == 0) {
		return true;
	}
	MemoryContext old = MemoryContextSwitchTo(search->row_context);
	bool isnull;
	const Datum data = slot_getattr(search->slot, search->attnum[kEventData], &isnull);
	const bool contains = DatumGetBool(DirectFunctionCall2(jsonb_contains, data, search->terms.contains));
	MemoryContextSwitchTo(old);
	MemoryContextReset(search->row_context);
	return contains;
}

void
AddFound(Server, TenantSearch *search, TypeCursor *cursor, int64 created_at, int64 position) {
	if (cursor->count == cursor->capacity) {
		cursor->capacity = cursor->capacity == 0 ? kFirstChunk : cursor->capacity * 2;
		const Size size = sizeof(FoundEvent) * static_cast<Size>(cursor->capacity);
		cursor->found = static_cast<FoundEvent *>(cursor->found == nullptr ? MemoryContextAlloc(search->month_context, size)
		                                                                   : repalloc_huge(cursor->found, size));
	}
	cursor->found[cursor->count++] = {search->slot->tts_tid, created_at, position};
}

// Looks at the next entries of a type: a chunk of them, and those of the last one's time.
void
ReadChunk(Server server, TenantSearch *search, TypeCursor *cursor) {
	ScanKeyData keys[4];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, search->terms.tenant);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, cursor->type);
	ScanKeyInit(&keys[2], 3, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(cursor->lower));
	ScanKeyInit(&keys[3], 3, BTLessStrategyNumber, F_TIMESTAMPTZ_LT, TimestampTzGetDatum(cursor->upper));
	index_rescan(search->scan, keys, 4, nullptr, 0);
	int looked_at = 0;
	int64 last = 0;
	bool more = false;
	while (NextIndexRow(server, search->scan, search->terms.direction, search->slot, search->month_context)) {
		CHECK_FOR_INTERRUPTS();
		const int64 created_at = ValueOf(server, search, search->slot, kCreatedAt);
		more = looked_at >= cursor->chunk && created_at != last;
		if (more) {
			break;
		}
		looked_at++;
		last = created_at;
		const int64 position = ValueOf(server, search, search->slot, kGlobalPosition);
		if (IsAskedFor(server, search, created_at, position)) {
			AddFound(server, search, cursor, created_at, position);
		}
	}
	ExecClearTuple(search->slot);
	if (!more) {
		cursor->lower = cursor->upper;
	} else if (ScanDirectionIsBackward(search->terms.direction)) {
		cursor->upper = last;
	} else {
		cursor->lower = last + 1;
	}
	cursor->chunk = Min(cursor->chunk * 4, kGreatestChunk);
}

// Reads ahead until the type has an event to give. False when it has none any more.
bool
Refill(Server server, TenantSearch *search, TypeCursor *cursor) {
	cursor->count = 0;
	cursor->given = 0;
	while (cursor->count == 0 && cursor->lower < cursor->upper) {
		ReadChunk(server, search, cursor);
	}
	qsort_arg(cursor->found, static_cast<size_t>(cursor->count), sizeof(FoundEvent), CompareFound, &search->terms.direction);
	return cursor->count > 0;
}

void
AddType(Server, TenantSearch *search, List **cursors, Datum type) {
	auto *cursor = static_cast<TypeCursor *>(palloc0(sizeof(TypeCursor)));
	cursor->type = type;
	cursor->lower = search->lower;
	cursor->upper = search->upper;
	cursor->chunk = kFirstChunk;
	*cursors = lappend(*cursors, cursor);
}

// The types of the tenant's events in the open month, from one to the next by the index.
List *
FindTypes(Server server, TenantSearch *search) {
	List *cursors = NIL;
	if (search->terms.type != 0) {
		AddType(server, search, &cursors, search->terms.type);
		return cursors;
	}
	IndexScanDesc scan = compat::BeginIndexScan(search->heap, search->index, search->snapshot, 2);
	Datum type = PointerGetDatum(cstring_to_text(""));
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		ScanKeyData keys[2];
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, search->terms.tenant);
		ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_TEXT_GT, type);
		index_rescan(scan, keys, 2, nullptr, 0);
		if (!NextIndexRow(server, scan, ForwardScanDirection, search->slot, search->month_context)) {
			break;
		}
		bool isnull;
		type = PointerGetDatum(PG_DETOAST_DATUM_COPY(slot_getattr(search->slot, search->attnum[kEventType], &isnull)));
		AddType(server, search, &cursors, type);
	}
	ExecClearTuple(search->slot);
	index_endscan(scan);
	return cursors;
}

void
OpenQuery(Server server, TenantSearch *search) {
	const TenantSearchTerms &terms = search->terms;
	const bool backward = ScanDirectionIsBackward(terms.direction);
	const char *order = backward ? " DESC" : "";
	const char *beyond = backward ? "<" : ">";
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfo(&sql,
	                 "SELECT event_id, stream_id, stream_version, event_type, event_data, created_at, metadata, created_by, "
	                 "global_position, %s FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND created_at "
	                 "OPERATOR(pg_catalog.>=) $2 AND created_at OPERATOR(pg_catalog.<) $3",
	                 TagExpression(server, search->events));
	if (terms.type != 0) {
		appendStringInfoString(&sql, " AND pg_catalog.texteq(event_type, $4)");
	}
	if (terms.contains != 0) {
		appendStringInfoString(&sql, " AND pg_catalog.jsonb_contains(event_data, $5)");
	}
	if (terms.is_next_page) {
		appendStringInfo(&sql, " AND (created_at OPERATOR(pg_catalog.%s) $6 OR global_position OPERATOR(pg_catalog.%s) $7)", beyond, beyond);
	}
	appendStringInfo(&sql, " ORDER BY created_at%s, global_position%s", order, order);
	Oid types[7] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, JSONBOID, TIMESTAMPTZOID, INT8OID};
	const Datum values[7] = {terms.tenant,
	                         TimestampTzGetDatum(Max(search->lower, static_cast<int64>(MIN_TIMESTAMP))),
	                         TimestampTzGetDatum(Min(search->upper, static_cast<int64>(END_TIMESTAMP) - 1)),
	                         terms.type,
	                         terms.contains,
	                         TimestampTzGetDatum(terms.last_time),
	                         Int64GetDatum(terms.last_position)};
	StartQuery(server, &search->query, sql.data, 7, types, values, search->snapshot);
}

void
CloseMonth(Server server, TenantSearch *search) {
	if (search->query.desc != nullptr) {
		EndQuery(server, &search->query);
	}
	if (search->heap != nullptr) {
		ExecClearTuple(search->given);
		index_endscan(search->scan);
		ExecDropSingleTupleTableSlot(search->slot);
		ExecDropSingleTupleTableSlot(search->given);
		index_close(search->index, NoLock);
		table_close(search->heap, NoLock);
		search->heap = nullptr;
	}
	MemoryContextReset(search->month_context);
}

// Opens a month's index and the first events of each type.
void
OpenTypes(Server server, TenantSearch *search, Relation heap, const PartitionShape *shape) {
	const Oid index = shape->tenant_type_index;
	std::memcpy(search->attnum, shape->attnum, sizeof search->attnum);
	search->heap = heap;
	search->index = index_open(index, AccessShareLock);
	search->slot = table_slot_create(heap, nullptr);
	search->given = table_slot_create(heap, nullptr);
	search->scan = compat::BeginIndexScan(heap, search->index, search->snapshot, 4);
	List *types = FindTypes(server, search);
	search->cursors = binaryheap_allocate(Max(list_length(types), 1), CompareCursors, &search->terms.direction);
	ListCell *cell;
	foreach (cell, types) {
		auto *cursor = static_cast<TypeCursor *>(lfirst(cell));
		if (Refill(server, search, cursor)) {
			binaryheap_add_unordered(search->cursors, PointerGetDatum(cursor));
		}
	}
	binaryheap_build(search->cursors);
}

// Opens the next month that overlaps the time still to be read. False when there is none.
bool
OpenMonth(Server server, TenantSearch *search) {
	CloseMonth(server, search);
	const PartitionRange range = FirstPartition(server, search->events, search->lower, search->upper, search->terms.direction);
	if (search->lower >= search->upper || !OidIsValid(range.relid)) {
		return false;
	}
	MemoryContext old = MemoryContextSwitchTo(search->month_context);
	const int64 lower = search->lower;
	const int64 upper = search->upper;
	Relation heap = nullptr;
	const PartitionShape *shape = nullptr;
	if (!search->row_security) {
		search->lower = Max(range.lower, lower);
		search->upper = Min(range.upper, upper);
		heap = table_open(range.relid, AccessShareLock);
		shape = ShapeOf(server, heap);
	}
	const int64 month_lower = search->lower;
	const int64 month_upper = search->upper;
	if (shape != nullptr && shape->direct_read && OidIsValid(shape->tenant_type_index)) {
		OpenTypes(server, search, heap, shape);
	} else {
		if (heap != nullptr) {
			table_close(heap, NoLock);
		}
		OpenQuery(server, search);
	}
	const bool backward = ScanDirectionIsBackward(search->terms.direction);
	search->lower = backward ? lower : month_upper;
	search->upper = backward ? month_lower : upper;
	MemoryContextSwitchTo(old);
	return true;
}

// The event that the open month gives next.
bool
NextOfMonth(Server server, TenantSearch *search, Datum *values, bool *isnull) {
	if (search->query.desc != nullptr) {
		const Datum *row;
		const bool *nulls;
		if (!NextRow(server, &search->query, &row, &nulls)) {
			return false;
		}
		std::memcpy(values, row, sizeof(Datum) * lengthof(kGiven));
		std::memcpy(isnull, nulls, sizeof(bool) * lengthof(kGiven));
		return true;
	}
	if (search->heap == nullptr || binaryheap_empty(search->cursors)) {
		return false;
	}
	auto *cursor = reinterpret_cast<TypeCursor *>(DatumGetPointer(binaryheap_first(search->cursors)));
	FoundEvent found = cursor->found[cursor->given++];
	if (cursor->given < cursor->count || Refill(server, search, cursor)) {
		binaryheap_replace_first(search->cursors, PointerGetDatum(cursor));
	} else {
		(void)binaryheap_remove_first(search->cursors);
	}
	if (!table_tuple_fetch_row_version(search->heap, &found.tid, search->snapshot, search->given)) {
		ereport(ERROR,
		        (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the event at position " INT64_FORMAT " was found and cannot be read", found.position)));
	}
	slot_getallattrs(search->given);
	for (int i = 0; i < static_cast<int>(lengthof(kGiven)); i++) {
		const AttrNumber attnum = search->attnum[kGiven[i]];
		values[i] = attnum == InvalidAttrNumber ? NoTags() : search->given->tts_values[attnum - 1];
		isnull[i] = false;
	}
	return true;
}

} // namespace

void
BeginTenantSearch(Server server, TenantSearch *search, const TenantSearchTerms &terms, Snapshot snapshot) {
	std::memset(search, 0, sizeof *search);
	search->terms = terms;
	search->snapshot = snapshot;
	search->context = CurrentMemoryContext;
	search->month_context = AllocSetContextCreate(search->context, "search of a tenant's month", ALLOCSET_DEFAULT_SIZES);
	search->row_context = AllocSetContextCreate(search->context, "event that is looked at", ALLOCSET_DEFAULT_SIZES);
	search->lower = terms.from;
	search->upper = terms.to;
	search->events = table_open(own::events.Get(server), AccessShareLock);
	search->row_security = RowSecurityApplies(server, search->events);
}

bool
NextTenantEvent(Server server, TenantSearch *search, Datum *values, bool *isnull) {
	do {
		CHECK_FOR_INTERRUPTS();
		if (NextOfMonth(server, search, values, isnull)) {
			return true;
		}
	} while (OpenMonth(server, search));
	return false;
}

void
EndTenantSearch(Server server, TenantSearch *search) {
	CloseMonth(server, search);
	MemoryContextDelete(search->month_context);
	MemoryContextDelete(search->row_context);
	table_close(search->events, NoLock);
}

} // namespace auren::pg
