#include "subscriptions/held_events.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "subscriptions/relations.hpp"

namespace auren::pg {

namespace {

// Columns of auren.subscription_held.
enum HeldColumn : int {
	kHeldId,
	kHeldPosition,
	kHeldShare,
	kHeldStream,
	kHeldState,
	kHeldAttempts,
	kHeldNotBefore,
	kHeldReason,
	kHeldSince,
	kHeldColumns
};

// HeldTable's indexes.
enum HeldIndex : int { kByPosition, kByStream, kByTime };

constexpr const char *kStateNames[] = {"due", "retry", "waiting", "parked"};

HeldState
StateOf(Server, Datum name) {
	for (int i = 0; i < 4; i++) {
		if (TextBytes(name) == kStateNames[i]) {
			return static_cast<HeldState>(i);
		}
	}
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the table auren.subscription_held has a row of an unknown state")));
	pg_unreachable();
}

// The time by which the index finds a row: due ones first, in order of position, those that no time releases last.
int64
TimeKey(const HeldEvent &event) {
	switch (event.state) {
	case HeldState::kDue:
		return DT_NOBEGIN;
	case HeldState::kRetry:
		return event.not_before;
	default:
		return DT_NOEND;
	}
}

void
ReadHeld(Server server, TupleTableSlot *slot, HeldEvent *event) {
	slot_getallattrs(slot);
	const Datum *values = slot->tts_values;
	event->tid = slot->tts_tid;
	event->position = DatumGetInt64(values[kHeldPosition]);
	event->share = DatumGetInt32(values[kHeldShare]);
	event->stream = PointerGetDatum(DatumGetTextPCopy(values[kHeldStream]));
	event->state = StateOf(server, PointerGetDatum(DatumGetTextPP(values[kHeldState])));
	event->attempts = DatumGetInt32(values[kHeldAttempts]);
	event->not_before = DatumGetTimestampTz(values[kHeldNotBefore]);
	event->reason = slot->tts_isnull[kHeldReason] ? 0 : PointerGetDatum(DatumGetTextPCopy(values[kHeldReason]));
	event->since = DatumGetTimestampTz(values[kHeldSince]);
}

// The first row of an index with these keys, left in the slot.
bool
FindHeld(Server server, HeldTable *table, HeldIndex index, ScanKey keys, int count) {
	index_rescan(table->scans[index], keys, count, nullptr, 0);
	return NextIndexRow(server, table->scans[index], ForwardScanDirection, table->slot, table->context);
}

bool
FindAt(Server server, HeldTable *table, int64 position) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(table->subscription->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(position));
	return FindHeld(server, table, kByPosition, keys, 2);
}

void
Replace(Server server, const Subscription &subscription, HeldEvent *event, HeldState state) {
	DeleteHeld(server, &event->tid);
	event->state = state;
	InsertHeld(server, subscription, *event);
}

} // namespace

void
FreeHeld(const HeldEvent &event) {
	pfree(DatumGetPointer(event.stream));
	if (event.reason != 0) {
		pfree(DatumGetPointer(event.reason));
	}
}

void
OpenHeld(Server server, HeldTable *table, const Subscription &subscription) {
	CommandCounterIncrement();
	constexpr int key_counts[3] = {2, 3, 4};
	table->subscription = &subscription;
	table->context = CurrentMemoryContext;
	table->heap = table_open(own::held.Get(server), AccessShareLock);
	const Oid indexes[3] = {own::held_pkey.Get(server), own::held_stream.Get(server), own::held_time.Get(server)};
	table->snapshot = RegisterSnapshot(GetLatestSnapshot());
	table->slot = table_slot_create(table->heap, nullptr);
	for (int i = 0; i < 3; i++) {
		table->indexes[i] = index_open(indexes[i], AccessShareLock);
		table->scans[i] = compat::BeginIndexScan(table->heap, table->indexes[i], table->snapshot, key_counts[i]);
	}
}

void
CloseHeld(Server, HeldTable *table) {
	for (int i = 0; i < 3; i++) {
		index_endscan(table->scans[i]);
		index_close(table->indexes[i], NoLock);
	}
	ExecDropSingleTupleTableSlot(table->slot);
	UnregisterSnapshot(table->snapshot);
	table_close(table->heap, NoLock);
}

bool
HeldAt(Server server, HeldTable *table, int64 position, HeldEvent *event) {
	if (!FindAt(server, table, position)) {
		return false;
	}
	ReadHeld(server, table->slot, event);
	ExecClearTuple(table->slot);
	return true;
}

bool
IsHeld(Server server, HeldTable *table, int64 position) {
	const bool held = FindAt(server, table, position);
	ExecClearTuple(table->slot);
	return held;
}

bool
NextHeldOfStream(Server server, HeldTable *table, Datum stream, int64 after, HeldEvent *event) {
	ScanKeyData keys[3];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(table->subscription->id));
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, stream);
	ScanKeyInit(&keys[2], 3, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	bool found = FindHeld(server, table, kByStream, keys, 3);
	for (; found; found = NextIndexRow(server, table->scans[kByStream], ForwardScanDirection, table->slot, table->context)) {
		CHECK_FOR_INTERRUPTS();
		bool isnull;
		const Datum state = PointerGetDatum(DatumGetTextPP(slot_getattr(table->slot, kHeldState + 1, &isnull)));
		if (table->subscription->stream_waits || StateOf(server, state) != HeldState::kParked) {
			ReadHeld(server, table->slot, event);
			break;
		}
	}
	ExecClearTuple(table->slot);
	return found;
}

void
StartHeld(Server, HeldTable *table) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(table->subscription->id));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(PG_INT64_MIN));
	index_rescan(table->scans[kByPosition], keys, 2, nullptr, 0);
}

bool
NextHeld(Server server, HeldTable *table, HeldEvent *event) {
	CHECK_FOR_INTERRUPTS();
	if (!NextIndexRow(server, table->scans[kByPosition], ForwardScanDirection, table->slot, table->context)) {
		return false;
	}
	ReadHeld(server, table->slot, event);
	return true;
}

void
InsertHeld(Server server, const Subscription &subscription, const HeldEvent &event) {
	// a fetch may insert a million of them
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "auren_events held event", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);
	Relation heap = table_open(own::held.Get(server), RowExclusiveLock);
	Datum values[kHeldColumns];
	bool isnull[kHeldColumns] = {};
	values[kHeldId] = Int64GetDatum(subscription.id);
	values[kHeldPosition] = Int64GetDatum(event.position);
	values[kHeldShare] = Int32GetDatum(event.share);
	values[kHeldStream] = event.stream;
	values[kHeldState] = PointerGetDatum(cstring_to_text(kStateNames[static_cast<int>(event.state)]));
	values[kHeldAttempts] = Int32GetDatum(event.attempts);
	values[kHeldNotBefore] = TimestampTzGetDatum(TimeKey(event));
	values[kHeldReason] = event.reason;
	isnull[kHeldReason] = event.reason == 0;
	values[kHeldSince] = TimestampTzGetDatum(event.since != 0 ? event.since : GetCurrentTimestamp());
	InsertRow(server, heap, values, isnull);
	table_close(heap, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
}

void
DeleteHeld(Server server, ItemPointer tid) {
	Relation heap = table_open(own::held.Get(server), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (!DeleteRow(server, heap, tid, snapshot)) {
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("a held event of the subscription was changed at the same time"),
		                errhint("Try again.")));
	}
	UnregisterSnapshot(snapshot);
	table_close(heap, NoLock);
}

void
DeleteAllHeld(Server server, const Subscription &subscription) {
	ForEachHeld(server, subscription, [server](HeldEvent *event) { DeleteHeld(server, &event->tid); });
	CommandCounterIncrement();
}

void
ReleaseNext(Server server, HeldTable *table, Datum stream) {
	HeldEvent event;
	if (!NextHeldOfStream(server, table, stream, PG_INT64_MIN, &event)) {
		return;
	}
	if (event.state == HeldState::kWaiting) {
		Replace(server, *table->subscription, &event, HeldState::kDue);
	}
	FreeHeld(event);
}

void
ReleaseInTime(Server server, HeldTable *table, int share, int64 now) {
	ScanKeyData keys[4];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(table->subscription->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(share));
	ScanKeyInit(&keys[2], 3, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, TimestampTzGetDatum(DT_NOBEGIN));
	ScanKeyInit(&keys[3], 3, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now));
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "auren_events held event", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);
	bool found = FindHeld(server, table, kByTime, keys, 4);
	for (; found; found = NextIndexRow(server, table->scans[kByTime], ForwardScanDirection, table->slot, table->context)) {
		CHECK_FOR_INTERRUPTS();
		HeldEvent event;
		HeldEvent first;
		ReadHeld(server, table->slot, &event);
		if (event.state != HeldState::kRetry) {
			continue;
		}
		const bool is_first = !NextHeldOfStream(server, table, event.stream, PG_INT64_MIN, &first) || first.position == event.position;
		Replace(server, *table->subscription, &event, is_first ? HeldState::kDue : HeldState::kWaiting);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
}

StreamEntry *
FindStream(const StreamTable &streams, Datum stream) {
	if (streams.count == 0) {
		return nullptr;
	}
	const uint64 hash = StreamHash(stream);
	StreamEntry *entry = streams.slots[hash & (streams.slot_count - 1)];
	while (entry != nullptr && !(entry->hash == hash && SameText(entry->stream, stream))) {
		entry = entry->chain;
	}
	return entry;
}

StreamEntry *
AddStream(Server, StreamTable *streams, Datum stream) {
	if (streams->count == streams->slot_count) {
		const uint64 slot_count = streams->slot_count == 0 ? 16 : streams->slot_count * 2;
		auto **slots = static_cast<StreamEntry **>(palloc_extended(sizeof(StreamEntry *) * slot_count, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
		for (uint64 i = 0; i < streams->slot_count; i++) {
			StreamEntry *next;
			for (StreamEntry *entry = streams->slots[i]; entry != nullptr; entry = next) {
				next = entry->chain;
				entry->chain = slots[entry->hash & (slot_count - 1)];
				slots[entry->hash & (slot_count - 1)] = entry;
			}
		}
		if (streams->slots != nullptr) {
			pfree(streams->slots);
		}
		streams->slots = slots;
		streams->slot_count = slot_count;
	}
	auto *entry = static_cast<StreamEntry *>(palloc0(sizeof(StreamEntry)));
	entry->hash = StreamHash(stream);
	entry->stream = datumCopy(stream, false, -1);
	entry->chain = streams->slots[entry->hash & (streams->slot_count - 1)];
	streams->slots[entry->hash & (streams->slot_count - 1)] = entry;
	streams->count++;
	return entry;
}

void
StartDue(Server server, HeldTable *table, int share, DueScan *due) {
	ScanKeyData keys[3];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(table->subscription->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(share));
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(DT_NOBEGIN));
	due->index = table->indexes[kByTime];
	due->scan = compat::BeginIndexScan(table->heap, due->index, table->snapshot, 3);
	index_rescan(due->scan, keys, 3, nullptr, 0);
	due->stream = 0;
	AdvanceDue(server, table, due);
}

void
AdvanceDue(Server server, HeldTable *table, DueScan *due) {
	if (due->stream != 0) {
		pfree(DatumGetPointer(due->stream));
		due->stream = 0;
	}
	if (!NextIndexRow(server, due->scan, ForwardScanDirection, table->slot, table->context)) {
		due->position = PG_INT64_MAX;
		return;
	}
	bool isnull;
	due->position = DatumGetInt64(slot_getattr(table->slot, kHeldPosition + 1, &isnull));
	due->stream = PointerGetDatum(DatumGetTextPCopy(slot_getattr(table->slot, kHeldStream + 1, &isnull)));
	ExecClearTuple(table->slot);
}

void
EndDue(Server, DueScan *due) {
	index_endscan(due->scan);
}

} // namespace auren::pg
