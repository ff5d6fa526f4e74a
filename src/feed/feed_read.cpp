#include "feed/feed_read.hpp"

#include <cstring>

#include "feed/feed_horizon.hpp"
#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"
#include "store/shown_tags.hpp"

namespace auren::pg {

namespace {

bool
BeginsWith(Datum text, Datum prefix) {
	const std::string_view start = TextBytes(prefix);
	return TextBytes(text).substr(0, start.size()) == start;
}

bool
IsOfCategory(Datum stream, Datum category) {
	if (!BeginsWith(stream, category)) {
		return false;
	}
	const std::string_view bytes = TextBytes(stream);
	const std::size_t length = TextBytes(category).size();
	return bytes.size() == length || bytes[length] == ':';
}

// Whether an event has all tags that are asked for, each once and sorted by their bytes, as the event's own are.
bool
HasTags(Server server, FeedScan *scan, const EventRow &row) {
	if (scan->tag_context == nullptr) {
		scan->tag_context = AllocSetContextCreate(scan->context, "tags of an event", ALLOCSET_SMALL_SIZES);
	}
	MemoryContext old = MemoryContextSwitchTo(scan->tag_context);
	const bool has = HasAllTags(server, ShownTags(server, row), scan->filter.tags);
	MemoryContextSwitchTo(old);
	MemoryContextReset(scan->tag_context);
	return has;
}

bool
Passes(Server server, FeedScan *scan, const EventRow &row) {
	const FeedFilter &filter = scan->filter;
	if (filter.tenant != 0 && !SameText(row.values[kTenantId], filter.tenant)) {
		return false;
	}
	if (filter.types != nullptr) {
		bool asked = false;
		for (int i = 0; i < filter.type_count && !asked; i++) {
			asked = SameText(row.values[kEventType], filter.types[i]);
		}
		if (!asked) {
			return false;
		}
	}
	return (filter.category == 0 || IsOfCategory(row.values[kStreamId], filter.category)) &&
	       (filter.prefix == 0 || BeginsWith(row.values[kStreamId], filter.prefix)) && (filter.tags.count == 0 || HasTags(server, scan, row));
}

// Moves a month to its next event; false when it has none.
bool
AdvanceMonth(Server server, const FeedScan *scan, FeedMonth *month) {
	if (!NextIndexRow(server, month->scan, scan->direction, month->slot, scan->context)) {
		return false;
	}
	bool isnull;
	month->position = DatumGetInt64(slot_getattr(month->slot, month->attnum[kGlobalPosition], &isnull));
	return true;
}

void
CloseMonth(Server, const FeedMonth &month, LOCKMODE mode) {
	index_endscan(month.scan);
	ExecDropSingleTupleTableSlot(month.slot);
	index_close(month.index, mode);
	table_close(month.heap, mode);
}

/*
 * Takes the lock of a month or of an index. A reader that reads backward waits for nobody while it holds locks of other tables: where DROP TRIGGER on
 * the parent has a month's lock it will want the parent's next, and one of the two would have to lose.
 */
bool
LockForScan(Server, const FeedScan *scan, Oid relid) {
	if (ScanDirectionIsBackward(scan->direction)) {
		return ConditionalLockRelationOid(relid, AccessShareLock);
	}
	LockRelationOid(relid, AccessShareLock);
	return true;
}

enum class Opened { kAll, kThroughQuery, kBusy };

// Opens every month with an event after a position, unless one has to be read through the executor or is locked.
Opened
OpenMonths(Server server, FeedScan *scan, int64 after) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(scan->horizon));
	int capacity = 4;
	scan->months = static_cast<FeedMonth *>(palloc(sizeof(FeedMonth) * static_cast<Size>(capacity)));
	int64 lower = PG_INT64_MIN;
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		const PartitionRange range = FirstPartition(server, scan->events, lower, PG_INT64_MAX, ForwardScanDirection);
		if (!OidIsValid(range.relid)) {
			return Opened::kAll;
		}
		lower = range.upper;
		FeedMonth month;
		if (!LockForScan(server, scan, range.relid)) {
			return Opened::kBusy;
		}
		month.heap = table_open(range.relid, NoLock);
		const PartitionShape *shape = ShapeOf(server, month.heap);
		if (!shape->direct_read || !OidIsValid(shape->position_index)) {
			table_close(month.heap, AccessShareLock);
			return Opened::kThroughQuery;
		}
		const Oid index = shape->position_index;
		std::memcpy(month.attnum, shape->attnum, sizeof month.attnum);
		if (!LockForScan(server, scan, index)) {
			table_close(month.heap, NoLock);
			return Opened::kBusy;
		}
		month.index = index_open(index, NoLock);
		month.slot = table_slot_create(month.heap, nullptr);
		month.scan = compat::BeginIndexScan(month.heap, month.index, scan->snapshot, 2);
		index_rescan(month.scan, keys, 2, nullptr, 0);
		if (!AdvanceMonth(server, scan, &month)) {
			CloseMonth(server, month, AccessShareLock); // its locks too: the months may be many
			continue;
		}
		if (scan->month_count == capacity) {
			capacity *= 2;
			scan->months = static_cast<FeedMonth *>(repalloc(scan->months, sizeof(FeedMonth) * static_cast<Size>(capacity)));
		}
		scan->months[scan->month_count++] = month;
	}
}

void
CloseMonths(Server server, FeedScan *scan) {
	for (int i = 0; i < scan->month_count; i++) {
		CloseMonth(server, scan->months[i], NoLock);
	}
	scan->month_count = 0;
}

void
OpenQuery(Server server, FeedScan *scan, int64 after) {
	const bool all_tenants = scan->filter.tenant == 0;
	char *sql = psprintf("SELECT %s, xmin FROM events.event_store WHERE global_position OPERATOR(pg_catalog.>) $1 AND "
	                     "global_position OPERATOR(pg_catalog.<=) $2%s ORDER BY global_position%s",
	                     EventColumnList(server, scan->events), all_tenants ? "" : " AND tenant_id OPERATOR(pg_catalog.=) $3",
	                     ScanDirectionIsBackward(scan->direction) ? " DESC" : "");
	Oid types[3] = {INT8OID, INT8OID, TEXTOID};
	const Datum values[3] = {Int64GetDatum(after), Int64GetDatum(scan->horizon), scan->filter.tenant};
	StartQuery(server, &scan->query, sql, all_tenants ? 2 : 3, types, values, scan->snapshot);
	pfree(sql);
}

// The next event of the months or of the query, whatever the filter says.
bool
NextUnfilteredEvent(Server server, FeedScan *scan, EventRow *row, TransactionId *inserter) {
	if (scan->through_query) {
		const Datum *columns = NextQueriedEvent(server, &scan->query, &scan->names, row);
		if (columns == nullptr) {
			return false;
		}
		*inserter = DatumGetTransactionId(columns[kEventColumns]);
		return true;
	}
	if (scan->current >= 0 && !AdvanceMonth(server, scan, &scan->months[scan->current])) {
		CloseMonth(server, scan->months[scan->current], NoLock);
		scan->months[scan->current] = scan->months[--scan->month_count];
	}
	scan->current = -1;
	const bool backward = ScanDirectionIsBackward(scan->direction);
	for (int i = 0; i < scan->month_count; i++) {
		if (scan->current < 0 || (scan->months[i].position < scan->months[scan->current].position) != backward) {
			scan->current = i;
		}
	}
	if (scan->current < 0) {
		return false;
	}
	TupleTableSlot *slot = scan->months[scan->current].slot;
	ReadSlot(server, slot, scan->months[scan->current].attnum, row);
	UnpackNames(server, row, &scan->names);
	bool isnull;
	*inserter = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
	return true;
}

// False where it would have to wait and may not.
bool
BeginScan(Server server, FeedScan *scan, const FeedFilter &filter, int64 after, int64 horizon, FeedEvents given, ScanDirection direction) {
	std::memset(scan, 0, sizeof *scan);
	scan->direction = direction;
	scan->context = CurrentMemoryContext;
	scan->names.parent = CurrentMemoryContext;
	scan->filter = filter;
	scan->horizon = horizon;
	scan->current = -1;
	scan->examined = after;
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->gate = OpenEventGate(server, given);
	scan->events = table_open(own::events.Get(server), AccessShareLock);
	scan->through_query = RowSecurityApplies(server, scan->events);
	const Opened opened = scan->through_query ? Opened::kThroughQuery : OpenMonths(server, scan, after);
	if (opened != Opened::kAll) {
		CloseMonths(server, scan);
		scan->through_query = opened == Opened::kThroughQuery;
	}
	if (scan->through_query) {
		OpenQuery(server, scan, after);
	}
	return opened != Opened::kBusy;
}

} // namespace

EventGate
OpenEventGate(Server, FeedEvents given) {
	return {IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : nullptr, RecoveryInProgress() ? FeedEvents::kCommitted : given,
	        InvalidXLogRecPtr, InvalidTransactionId};
}

bool
IsSeenByFixed(Server, Snapshot fixed, TransactionId inserter) {
	return fixed == nullptr || !TransactionIdIsNormal(inserter) || TransactionIdIsCurrentTransactionId(inserter) ||
	       !XidInMVCCSnapshot(inserter, fixed);
}

// Events of one transaction come together, so most of them are known to be like the one before.
bool
MayBeGiven(Server server, EventGate *gate, TransactionId inserter) {
	if (TransactionIdEquals(inserter, gate->checked) || !TransactionIdIsNormal(inserter)) {
		return true;
	}
	if (!IsSeenByFixed(server, gate->fixed, inserter)) {
		return false;
	}
	if (gate->given == FeedEvents::kFlushed) {
		const XLogRecPtr commit = TransactionIdGetCommitLSN(inserter);
		if (!XLogRecPtrIsInvalid(commit) && commit > gate->flushed) {
			XLogFlush(commit);
			gate->flushed = commit;
		}
	}
	gate->checked = inserter;
	return true;
}

void
BeginFeedScan(Server server, FeedScan *scan, const FeedFilter &filter, int64 after, int64 horizon, FeedEvents given) {
	(void)BeginScan(server, scan, filter, after, horizon, given, ForwardScanDirection);
}

bool
TryFeedScanBackward(Server server, FeedScan *scan, const FeedFilter &filter, int64 after, int64 horizon) {
	if (BeginScan(server, scan, filter, after, horizon, FeedEvents::kCommitted, BackwardScanDirection)) {
		return true;
	}
	EndFeedScan(server, scan);
	return false;
}

bool
NextFeedEvent(Server server, FeedScan *scan, EventRow *row, int64 *budget) {
	TransactionId inserter;
	while (*budget > 0) {
		CHECK_FOR_INTERRUPTS();
		if (!NextUnfilteredEvent(server, scan, row, &inserter)) {
			scan->examined = Max(scan->examined, scan->horizon);
			return false;
		}
		if (!MayBeGiven(server, &scan->gate, inserter)) {
			*budget = 0;
			return false;
		}
		scan->examined = DatumGetInt64(row->values[kGlobalPosition]);
		(*budget)--;
		if (Passes(server, scan, *row)) {
			return true;
		}
	}
	return false;
}

void
EndFeedScan(Server server, FeedScan *scan) {
	if (scan->through_query) {
		EndQuery(server, &scan->query);
	}
	CloseMonths(server, scan);
	if (scan->months != nullptr) {
		pfree(scan->months); // a fetch may begin a scan for each of its events
	}
	Forget(&scan->names);
	table_close(scan->events, NoLock);
	UnregisterSnapshot(scan->snapshot);
}

} // namespace auren::pg
