#include "store/event_read.hpp"

#include <cstring>

#include "core/store/month.hpp"
#include "server/btree.hpp"
#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/dropped_months.hpp"
#include "store/relations.hpp"
#include "store/stream_row.hpp"

namespace auren::pg {

namespace {

// An index of a partition, and where the event that is found by it goes.
struct EventLookup {
	Relation partition;
	Relation index;
	const AttrNumber *attnum; // of the partition
	TupleTableSlot *slot;
};

StoredEvent
FindEvent(Server server, const EventLookup &lookup, const Datum *keys, const Oid *equal, int key_count) {
	StoredEvent event;
	event.visible = false;
	event.found = FindLast(server, lookup.partition, lookup.index, keys, equal, key_count, lookup.slot);
	if (!event.found) {
		return event;
	}
	ReadSlot(server, lookup.slot, lookup.attnum, &event.row);
	UnpackedNames names = {CurrentMemoryContext, nullptr};
	UnpackNames(server, &event.row, &names);
	if (!IsolationUsesXactSnapshot()) {
		event.visible = true;
		return event;
	}
	// Our own earlier rows of the same statement are not visible to its snapshot, and no race.
	bool isnull;
	const TransactionId inserter = DatumGetTransactionId(slot_getsysattr(lookup.slot, MinTransactionIdAttributeNumber, &isnull));
	event.visible =
		TransactionIdIsCurrentTransactionId(inserter) || table_tuple_satisfies_snapshot(lookup.partition, lookup.slot, GetTransactionSnapshot());
	return event;
}

void
CloseMonth(Server, StreamScan *scan) {
	if (scan->scan != nullptr) {
		index_endscan(scan->scan);
		ExecDropSingleTupleTableSlot(scan->slot);
		index_close(scan->index, NoLock);
		table_close(scan->heap, NoLock);
		scan->scan = nullptr;
		scan->month = InvalidOid;
	}
}

void
CloseQuery(Server server, StreamScan *scan) {
	if (scan->query.desc != nullptr) {
		EndQuery(server, &scan->query);
	}
}

void
OpenQuery(Server server, StreamScan *scan, int64 lower, int64 upper) {
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfo(&sql,
	                 "SELECT %s FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND stream_id "
	                 "OPERATOR(pg_catalog.=) $2 AND stream_version OPERATOR(pg_catalog.>=) $3 AND stream_version "
	                 "OPERATOR(pg_catalog.<=) $4 AND created_at OPERATOR(pg_catalog.>=) $5 AND created_at "
	                 "OPERATOR(pg_catalog.<) $6 ORDER BY stream_version %s",
	                 EventColumnList(server, scan->events), ScanDirectionIsBackward(scan->part.direction) ? "DESC" : "ASC");
	Oid types[6] = {TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	const Datum arguments[6] = {scan->part.tenant,
	                            scan->part.stream,
	                            Int64GetDatum(scan->part.from_version),
	                            Int64GetDatum(scan->part.to_version),
	                            TimestampTzGetDatum(lower < MIN_TIMESTAMP ? MIN_TIMESTAMP : lower),
	                            TimestampTzGetDatum(upper >= END_TIMESTAMP ? END_TIMESTAMP - 1 : upper)};
	StartQuery(server, &scan->query, sql.data, 6, types, arguments, scan->snapshot);
	pfree(sql.data);
}

// Opens the next month that may hold events of the stream. False when there is none.
bool
OpenMonth(Server server, StreamScan *scan) {
	if (scan->row_security) {
		const bool first = scan->lower < scan->upper;
		if (first) {
			OpenQuery(server, scan, scan->lower, scan->upper);
			scan->upper = scan->lower;
		}
		return first;
	}
	const PartitionRange range = FirstPartition(server, scan->events, scan->lower, scan->upper, scan->part.direction);
	if (!OidIsValid(range.relid)) {
		return false;
	}
	const int64 lower = Max(range.lower, scan->lower);
	const int64 upper = Min(range.upper, scan->upper);
	if (ScanDirectionIsBackward(scan->part.direction)) {
		scan->upper = lower;
	} else {
		scan->lower = upper;
	}
	ScanKeyData keys[4];
	int key_count = 0;
	ScanKeyInit(&keys[key_count++], 1, BTEqualStrategyNumber, F_TEXTEQ, scan->part.tenant);
	ScanKeyInit(&keys[key_count++], 2, BTEqualStrategyNumber, F_TEXTEQ, scan->part.stream);
	if (scan->part.from_version > 1) {
		ScanKeyInit(&keys[key_count++], 3, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(scan->part.from_version));
	}
	if (scan->part.to_version < PG_INT64_MAX) {
		ScanKeyInit(&keys[key_count++], 3, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(scan->part.to_version));
	}
	if (scan->month != range.relid || scan->key_count != key_count) {
		CloseMonth(server, scan);
		Relation heap = table_open(range.relid, AccessShareLock);
		const PartitionShape *shape = ShapeOf(server, heap);
		if (!shape->direct_read) {
			table_close(heap, NoLock);
			OpenQuery(server, scan, lower, upper);
			return true;
		}
		// kept from stream to stream, whatever memory the caller gives back in between
		MemoryContext old = MemoryContextSwitchTo(scan->context);
		const Oid index_oid = shape->stream_index;
		std::memcpy(scan->attnum, shape->attnum, sizeof scan->attnum);
		scan->heap = heap;
		scan->index = index_open(index_oid, AccessShareLock);
		scan->slot = table_slot_create(heap, nullptr);
		scan->scan = compat::BeginIndexScan(heap, scan->index, scan->snapshot, key_count);
		scan->key_count = key_count;
		scan->month = range.relid;
		MemoryContextSwitchTo(old);
	}
	index_rescan(scan->scan, keys, key_count, nullptr, 0);
	return true;
}

bool
NextOfMonth(Server server, StreamScan *scan, EventRow *row) {
	if (scan->query.desc != nullptr) {
		return NextQueriedEvent(server, &scan->query, &scan->names, row) != nullptr;
	}
	if (!NextIndexRow(server, scan->scan, scan->part.direction, scan->slot, scan->context)) {
		return false;
	}
	ReadSlot(server, scan->slot, scan->attnum, row);
	UnpackNames(server, row, &scan->names);
	return true;
}

} // namespace

void
UnpackNames(Server, EventRow *row, UnpackedNames *names) {
	constexpr EventColumn kNames[] = {kTenantId, kStreamId, kEventType};
	bool emptied = false;
	for (const EventColumn column : kNames) {
		if (IsPlainText(row->values[column])) {
			continue;
		}
		if (names->context == nullptr) {
			names->context = AllocSetContextCreate(names->parent, "names of an event", ALLOCSET_SMALL_SIZES);
		} else if (!emptied) {
			MemoryContextReset(names->context);
		}
		emptied = true;
		MemoryContext old = MemoryContextSwitchTo(names->context);
		row->values[column] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row->values[column]));
		MemoryContextSwitchTo(old);
	}
}

void
Forget(UnpackedNames *names) {
	if (names->context != nullptr) {
		MemoryContextDelete(names->context);
		names->context = nullptr;
	}
}

bool
HasTagColumn(Server, Relation events) {
	return OidIsValid(get_atttype(RelationGetRelid(events), get_attnum(RelationGetRelid(events), "tags")));
}

Datum
NoTags() {
	static ArrayType none;
	if (none.elemtype != TEXTOID) {
		SET_VARSIZE(&none, sizeof none);
		none.elemtype = TEXTOID;
	}
	return PointerGetDatum(&none);
}

const char *
TagExpression(Server server, Relation events) {
	return HasTagColumn(server, events) ? "tags" : "'{}'::pg_catalog.text[] AS tags";
}

const char *
EventColumnList(Server server, Relation events) {
	return psprintf("event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tenant_id, global_position, %s",
	                TagExpression(server, events));
}

void
ReadSlot(Server, TupleTableSlot *slot, const AttrNumber *attnum, EventRow *row) {
	slot_getallattrs(slot);
	for (int column = 0; column < kTags; column++) {
		row->values[column] = slot->tts_values[attnum[column] - 1];
	}
	row->values[kTags] = attnum[kTags] == InvalidAttrNumber ? NoTags() : slot->tts_values[attnum[kTags] - 1];
}

const Datum *
NextQueriedEvent(Server server, RunningQuery *query, UnpackedNames *names, EventRow *row) {
	const Datum *values;
	const bool *isnull;
	if (!NextRow(server, query, &values, &isnull)) {
		return nullptr;
	}
	std::memcpy(row->values, values, sizeof row->values);
	UnpackNames(server, row, names);
	return values;
}

StoredEvent
NewestEvent(Server server, Relation partition, Relation index, const AttrNumber *attnum, TupleTableSlot *slot, Datum tenant, Datum stream) {
	const Datum keys[2] = {tenant, stream};
	const Oid equal[2] = {F_TEXTEQ, F_TEXTEQ};
	return FindEvent(server, {partition, index, attnum, slot}, keys, equal, 2);
}

StoredEvent
EventAtPosition(Server server, Relation partition, const PartitionShape *shape, TupleTableSlot *slot, int64 position) {
	const Datum keys[1] = {Int64GetDatum(position)};
	const Oid equal[1] = {F_INT8EQ};
	Relation index = index_open(shape->position_index, AccessShareLock);
	const StoredEvent event = FindEvent(server, {partition, index, shape->attnum, slot}, keys, equal, 1);
	index_close(index, NoLock);
	return event;
}

StoredEvent
EventWithId(Server server, Relation partition, const PartitionShape *shape, TupleTableSlot *slot, Datum event_id, Datum tenant) {
	const Datum keys[2] = {event_id, tenant};
	const Oid equal[2] = {F_UUID_EQ, F_TEXTEQ};
	Relation index = index_open(shape->event_id_index, AccessShareLock);
	const StoredEvent event = FindEvent(server, {partition, index, shape->attnum, slot}, keys, equal, 2);
	index_close(index, NoLock);
	return event;
}

void
BeginStreamScan(Server server, StreamScan *scan, Snapshot snapshot) {
	std::memset(scan, 0, sizeof *scan);
	scan->snapshot = snapshot;
	scan->context = CurrentMemoryContext;
	scan->names.parent = CurrentMemoryContext;
	scan->rows = OpenStreamRows(server, AccessShareLock);
	scan->events = table_open(own::events.Get(server), AccessShareLock);
	scan->row_security = RowSecurityApplies(server, scan->events);
	scan->finished = true;
}

void
StartStream(Server server, StreamScan *scan, const StreamPart &part) {
	CloseQuery(server, scan);
	scan->part = part;
	scan->reading = false;
	scan->row = ReadStreamRow(server, &scan->rows, part.tenant, part.stream, scan->snapshot);
	const StreamRow &row = scan->row;
	scan->finished = !row.found || part.from_version > part.to_version;
	if (!scan->finished) {
		scan->lower = Max(Month::FromDays(row.first_month).StartMicros(), part.not_before);
		scan->upper = Month::FromDays(row.last_month).Next().StartMicros();
	}
}

bool
NextEvent(Server server, StreamScan *scan, EventRow *row) {
	while (!scan->finished) {
		CHECK_FOR_INTERRUPTS();
		if (scan->reading && NextOfMonth(server, scan, row)) {
			const int64 version = DatumGetInt64(row->values[kStreamVersion]);
			// versions are dense: after the last one asked for no month needs to be opened
			scan->finished = ScanDirectionIsBackward(scan->part.direction) ? version <= scan->part.from_version : version >= scan->part.to_version;
			return true;
		}
		CloseQuery(server, scan);
		scan->reading = OpenMonth(server, scan);
		scan->finished = !scan->reading;
	}
	return false;
}

namespace {

[[noreturn]] void
ReportVersionsGone(const StreamScan &scan, int64 first, int64 end) {
	const char *versions =
		end - first == 1 ? psprintf("version " INT64_FORMAT, first) : psprintf("versions " INT64_FORMAT " to " INT64_FORMAT, first, end - 1);
	ereport(ERROR,
	        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("stream \"%s\" lacks %s", TextDatumGetCString(scan.part.stream), versions),
	         errdetail("Months of it were dropped, and an older one is there again of its archive. The first version left after them is " INT64_FORMAT
	                   ".",
	                   end),
	         errhint("Read up to version " INT64_FORMAT ", and from version " INT64_FORMAT " on.", first - 1, end)));
}

} // namespace

void
RequireNothingBetween(Server server, const StreamScan &scan, const EventRow &row, int64 *last) {
	const int64 before = *last;
	const int64 version = DatumGetInt64(row.values[kStreamVersion]);
	*last = version;
	const int64 first = Min(before, version) + 1;
	const int64 end = Max(before, version);
	if (before == 0 || first == end || scan.row_security) {
		return;
	}
	if (ReadOpeningState(server, scan.part.tenant, scan.part.stream, nullptr, OpeningParts::kVersion).version >= first) {
		ReportVersionsGone(scan, first, end);
	}
}

void
EndStreamScan(Server server, StreamScan *scan) {
	CloseQuery(server, scan);
	CloseMonth(server, scan);
	Forget(&scan->names);
	Close(server, scan->rows);
	table_close(scan->events, NoLock);
}

namespace {

bool
MonthIsGone(Server server, const StreamScan &scan, int32 start_days) {
	const PartitionRange month = FindPartition(server, scan.events, Month::FromDays(start_days).StartMicros());
	return scan.row.found && (!OidIsValid(month.relid) || month.archive);
}

} // namespace

bool
FirstMonthIsGone(Server server, const StreamScan &scan) {
	return MonthIsGone(server, scan, scan.row.first_month);
}

bool
FirstMonthIsArchive(Server server, const StreamScan &scan) {
	return FindPartition(server, scan.events, Month::FromDays(scan.row.first_month).StartMicros()).archive;
}

bool
LastMonthIsGone(Server server, const StreamScan &scan) {
	return MonthIsGone(server, scan, scan.row.last_month);
}

GoneStream
ReadGoneStream(Server server, const StreamScan &scan) {
	GoneStream gone = {0, PG_INT64_MIN};
	if (!scan.row.found || scan.row_security) {
		return gone;
	}
	gone.version = scan.row.dropped_version;
	// the newest snapshot: the one at hand may be older than the drop, which no snapshot keeps from being seen
	const OpeningState opening = ReadOpeningState(server, scan.part.tenant, scan.part.stream, nullptr, OpeningParts::kVersion);
	if (opening.version > gone.version) {
		gone = {opening.version, opening.event_time};
	}
	return gone;
}

int64
StreamVersion(Server server, Datum tenant, Datum stream, Snapshot snapshot) {
	StreamScan scan;
	EventRow row;
	StreamPart part = WholeStream(tenant, stream);
	part.direction = BackwardScanDirection;
	BeginStreamScan(server, &scan, snapshot);
	StartStream(server, &scan, part);
	const bool found = NextEvent(server, &scan, &row);
	int64 version = found ? DatumGetInt64(row.values[kStreamVersion]) : 0;
	if (!found || LastMonthIsGone(server, scan)) {
		version = Max(version, ReadGoneStream(server, scan).version);
	}
	EndStreamScan(server, &scan);
	return version;
}

} // namespace auren::pg
