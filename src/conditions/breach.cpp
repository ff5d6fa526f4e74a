#include "conditions/breach.hpp"

#include <cstring>

#include "conditions/query_scan.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/feed_read.hpp"
#include "server/compat.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

void
Fill(Server, Breach *breach, const EventRow &row) {
	breach->found = true;
	breach->position = DatumGetInt64(row.values[kGlobalPosition]);
	breach->stream = datumCopy(row.values[kStreamId], false, -1);
	breach->type = datumCopy(row.values[kEventType], false, -1);
}

// Whether the caller may be shown an event of the store whatever it is: one who only appends would else learn from conditions, event by event, what
// the store holds.
bool
MayReadEvents(Server server, Relation events) {
	Oid arguments[5] = {JSONBOID, INT8OID, INT8OID, INT4OID, BOOLOID};
	List *name = list_make2(makeString(pstrdup("events")), makeString(pstrdup("read_by_query")));
	const Oid reading = LookupFuncName(name, 5, arguments, true);
	return OidIsValid(reading) && compat::MayExecute(GetUserId(), reading) && !RowSecurityApplies(server, events);
}

// What a look through the types of one month needs.
struct TypeLookup {
	QueryView query; // of the one item
	Datum tenant;
	Relation heap;
	Relation index; // (tenant, type, created_at)
	AttrNumber attnum[kEventColumns];
	TupleTableSlot *slot;
	MemoryContext scratch;
	UnpackedNames names;
};

// The first event by time of one type that matches, unless the breach that is known has a lower position.
void
LookUpType(Server server, TypeLookup *lookup, std::string_view type, Breach *breach) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, lookup->tenant);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(cstring_to_text_with_len(type.data(), static_cast<int>(type.size()))));
	IndexScanDesc scan = compat::BeginIndexScan(lookup->heap, lookup->index, SnapshotSelf, 2);
	index_rescan(scan, keys, 2, nullptr, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, lookup->slot)) {
		CHECK_FOR_INTERRUPTS();
		EventRow row;
		ReadSlot(server, lookup->slot, lookup->attnum, &row);
		UnpackNames(server, &row, &lookup->names);
		if (!MatchesQuery(server, lookup->query, row, lookup->scratch)) {
			continue;
		}
		if (!breach->found || DatumGetInt64(row.values[kGlobalPosition]) < breach->position) {
			Fill(server, breach, row);
		}
		break;
	}
	index_endscan(scan);
}

// False where the month lacks the index.
bool
LookUpMonth(Server server, TypeLookup *lookup, Oid month, Breach *breach) {
	lookup->heap = table_open(month, AccessShareLock);
	const PartitionShape *shape = ShapeOf(server, lookup->heap);
	if (!shape->direct_read || !OidIsValid(shape->tenant_type_index)) {
		table_close(lookup->heap, AccessShareLock);
		return false;
	}
	std::memcpy(lookup->attnum, shape->attnum, sizeof lookup->attnum);
	lookup->index = index_open(shape->tenant_type_index, AccessShareLock);
	lookup->slot = table_slot_create(lookup->heap, nullptr);
	for (const std::string_view type : lookup->query.items[0].types) {
		LookUpType(server, lookup, type, breach);
	}
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_close(lookup->index, AccessShareLock);
	table_close(lookup->heap, AccessShareLock);
	return true;
}

} // namespace

int64
StartOfBreaches(Server server, int64 after) {
	return IsolationUsesXactSnapshot() ? Min(after, HorizonSeenBy(server, GetTransactionSnapshot())) : after;
}

Breach
FindBreach(Server server, const QueryView &query, Datum tenant, const BreachSpan &span) {
	Breach breach = {};
	Snapshot fixed = IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : nullptr;
	QueryScan scan;
	BeginQueryScan(server, &scan, {query, tenant, {span.from, PG_INT64_MAX, ForwardScanDirection}}, QueryReader::kStore, nullptr, span.held);
	EventRow row;
	TransactionId inserter;
	while (!breach.found && NextMatch(server, &scan, &row, &inserter)) {
		const bool later = DatumGetInt64(row.values[kGlobalPosition]) > span.after;
		if (later || !IsSeenByFixed(server, fixed, inserter)) {
			Fill(server, &breach, row);
			breach.lost_race = !later;
			breach.hidden = !MayReadEvents(server, scan.events);
		}
	}
	EndQueryScan(server, &scan);
	return breach;
}

bool
IsByType(const ItemView &item) {
	return item.types.count > 0 && item.tags.count == 0 && !item.has_stream;
}

bool
FindBreachByType(Server server, const ItemView &item, Datum tenant, Breach *breach) {
	TypeLookup lookup = {};
	lookup.query = {&item, 1};
	lookup.tenant = tenant;
	lookup.names.parent = CurrentMemoryContext;
	lookup.scratch = AllocSetContextCreate(CurrentMemoryContext, "auren_events facts of an event", ALLOCSET_SMALL_SIZES);
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	bool known = true;
	for (int64 lower = PG_INT64_MIN; known && !breach->found;) {
		CHECK_FOR_INTERRUPTS();
		const PartitionRange range = FirstPartition(server, events, lower, PG_INT64_MAX, ForwardScanDirection);
		if (!OidIsValid(range.relid)) {
			break;
		}
		lower = range.upper;
		known = LookUpMonth(server, &lookup, range.relid, breach);
	}
	breach->hidden = breach->found && !MayReadEvents(server, events);
	table_close(events, NoLock);
	Forget(&lookup.names);
	MemoryContextDelete(lookup.scratch);
	return known;
}

} // namespace auren::pg
