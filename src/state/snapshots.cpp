#include "state/snapshots.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/progress.hpp"
#include "server/subtransaction.hpp"
#include "server/table_row.hpp"
#include "state/relations.hpp"

namespace auren::pg {

namespace {

// Columns of auren.stream_snapshots.
enum SnapshotColumn : int {
	kSnapshotTenant,
	kSnapshotStream,
	kSnapshotVersion,
	kSnapshotEventTime,
	kSnapshotReducers,
	kSnapshotTakenAt,
	kSnapshotState,
	kSnapshotColumns
};

/*
 * Deletes the snapshots that a scan's keys name, but for those after a version that the reducers `but_by` made. A row that
 * this command inserted is not seen; a row that another transaction is deleting is left to it.
 */
int64
Delete(Server server, Relation heap, Relation index, ScanKey keys, int key_count, int64 version, const pg_uuid_t *but_by) {
	Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, key_count);
	index_rescan(scan, keys, key_count, nullptr, 0);
	int64 count = 0;
	while (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		bool isnull;
		const int64 at = DatumGetInt64(slot_getattr(slot, kSnapshotVersion + 1, &isnull));
		const pg_uuid_t *made_by = DatumGetUUIDP(slot_getattr(slot, kSnapshotReducers + 1, &isnull));
		if (at > version && but_by != nullptr && std::memcmp(made_by->data, but_by->data, UUID_LEN) == 0) {
			continue; // a newer one that can be trusted
		}
		count += DeleteRow(server, heap, &slot->tts_tid, snapshot) ? 1 : 0;
		if (but_by == nullptr) {
			ReportProgress(server, count); // the caller drops many, and has begun it
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return count;
}

} // namespace

bool
OpenSnapshots(Server server, Snapshots *snapshots, Snapshot snapshot) {
	const Oid heap = own::snapshots.Get(server);
	if (!ConditionalLockRelationOid(heap, AccessShareLock)) {
		return false;
	}
	const Oid index = own::snapshots_index.Get(server);
	if (!ConditionalLockRelationOid(index, AccessShareLock)) {
		UnlockRelationOid(heap, AccessShareLock);
		return false;
	}
	snapshots->heap = table_open(heap, NoLock);
	snapshots->index = index_open(index, NoLock);
	snapshots->slot = table_slot_create(snapshots->heap, nullptr);
	snapshots->context = CurrentMemoryContext;
	snapshots->scan = compat::BeginIndexScan(snapshots->heap, snapshots->index, snapshot, 3);
	return true;
}

void
Close(Server, const Snapshots &snapshots) {
	index_endscan(snapshots.scan);
	ExecDropSingleTupleTableSlot(snapshots.slot);
	index_close(snapshots.index, NoLock);
	table_close(snapshots.heap, NoLock);
}

StoredState
ReadSnapshot(Server server, Snapshots *snapshots, Datum tenant, Datum stream, int64 to_version, const pg_uuid_t *reducers_version) {
	ScanKeyData keys[3];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, stream);
	ScanKeyInit(&keys[2], 3, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to_version));
	index_rescan(snapshots->scan, keys, 3, nullptr, 0);
	StoredState stored = {0, 0, 0};
	while (stored.version == 0 && NextIndexRow(server, snapshots->scan, BackwardScanDirection, snapshots->slot, snapshots->context)) {
		slot_getallattrs(snapshots->slot);
		const Datum *values = snapshots->slot->tts_values;
		const pg_uuid_t *made_by = DatumGetUUIDP(values[kSnapshotReducers]);
		if (std::memcmp(made_by->data, reducers_version->data, UUID_LEN) == 0) {
			stored.version = DatumGetInt64(values[kSnapshotVersion]);
			stored.event_time = DatumGetTimestampTz(values[kSnapshotEventTime]);
			stored.state = JsonbPGetDatum(DatumGetJsonbPCopy(values[kSnapshotState]));
		}
	}
	ExecClearTuple(snapshots->slot);
	return stored;
}

bool
MayTakeSnapshot() {
	return !RecoveryInProgress() && !XactReadOnly && !IsInParallelMode() && !IsolationIsSerializable();
}

bool
WriteSnapshot(Server server, Datum tenant, Datum stream, int64 version, int64 event_time, const pg_uuid_t *reducers_version, Datum state) {
	const Oid relid = own::snapshots.Get(server);
	if (!ConditionalLockRelationOid(relid, RowExclusiveLock)) {
		return false;
	}
	Relation heap = table_open(relid, NoLock);
	ListCell *cell;
	foreach (cell, RelationGetIndexList(heap)) {
		if (!ConditionalLockRelationOid(lfirst_oid(cell), RowExclusiveLock)) {
			table_close(heap, NoLock);
			return false;
		}
	}
	Datum values[kSnapshotColumns];
	const bool isnull[kSnapshotColumns] = {};
	values[kSnapshotTenant] = tenant;
	values[kSnapshotStream] = stream;
	values[kSnapshotVersion] = Int64GetDatum(version);
	values[kSnapshotEventTime] = TimestampTzGetDatum(event_time);
	values[kSnapshotReducers] = UUIDPGetDatum(reducers_version);
	values[kSnapshotTakenAt] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[kSnapshotState] = state;
	InsertRow(server, heap, values, isnull);

	Relation index = index_open(own::snapshots_index.Get(server), NoLock);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, stream);
	(void)Delete(server, heap, index, keys, 2, version, reducers_version);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return true;
}

bool
TryWriteSnapshot(Server server, Datum tenant, Datum stream, int64 version, int64 event_time, const pg_uuid_t *reducers_version, Datum state) {
	volatile bool written = false;
	ErrorData *error =
		TryInSubtransaction(server, [&] { written = WriteSnapshot(server, tenant, stream, version, event_time, reducers_version, state); });
	if (error == nullptr) {
		return written;
	}
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION) {
		ReThrowError(error);
	}
	ereport(DEBUG1, (errmsg("no snapshot of a stream was taken: %s", error->message)));
	FreeErrorData(error);
	return false;
}

int64
DropSnapshots(Server server, Datum tenant, Datum stream) {
	Relation heap = table_open(own::snapshots.Get(server), RowExclusiveLock);
	Relation index = index_open(own::snapshots_index.Get(server), AccessShareLock);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	if (stream != 0) {
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, stream);
	}
	const int64 count = Delete(server, heap, index, keys, stream != 0 ? 2 : 1, PG_INT64_MAX, nullptr);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return count;
}

} // namespace auren::pg
