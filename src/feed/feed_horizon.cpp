#include "feed/feed_horizon.hpp"

#include "feed/relations.hpp"
#include "server/compat.hpp"
#include "server/lock_classes.hpp"
#include "server/table_row.hpp"

namespace auren::pg {

namespace {

// What the transaction that last took a tag in this session took.
LocalTransactionId tagged_transaction = InvalidLocalTransactionId;
int64 tagged_position = 0;

// The newest horizon that this session has found, of this sequence: the extension may have been made anew.
Oid known_sequence = InvalidOid;
int64 known_horizon = 0;

enum class HorizonsOf { kAnybody, kOthers };

// The newest horizon in auren.feed_horizons that a snapshot sees.
int64
WrittenHorizon(Server server, Snapshot snapshot, HorizonsOf whose) {
	Relation heap = table_open(own::horizons.Get(server), AccessShareLock);
	Relation index = index_open(own::horizons_index.Get(server), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 0);
	index_rescan(scan, nullptr, 0, nullptr, 0);
	int64 position = 0;
	while (position == 0 && index_getnext_slot(scan, BackwardScanDirection, slot)) {
		bool isnull;
		const TransactionId writer = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
		if (whose == HorizonsOf::kAnybody || !TransactionIdIsCurrentTransactionId(writer)) {
			position = DatumGetInt64(slot_getattr(slot, 1, &isnull));
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	return position;
}

int64
NewestWrittenHorizon(Server server) {
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	const int64 position = WrittenHorizon(server, snapshot, HorizonsOf::kAnybody);
	UnregisterSnapshot(snapshot);
	return position;
}

/*
 * What the processes from `first` to before `end` hold of tags, one partition of the lock table after the other; the smallest position in one,
 * or `horizon` when that is smaller. The links of a list change under its partition's lock.
 */
int64
LowestHeldPosition(Server, uint32 first, uint32 end, int64 horizon) {
	const auto look = [&](const PROCLOCK *lock) {
		const LOCKTAG &tag = lock->tag.myLock->tag;
		if (tag.locktag_type == LOCKTAG_ADVISORY && tag.locktag_field4 == kPositionLockClass && tag.locktag_field1 == MyDatabaseId &&
		    lock->holdMask != 0) {
			const auto held = static_cast<int64>((static_cast<uint64>(tag.locktag_field2) << 32) | tag.locktag_field3);
			horizon = Min(horizon, held);
		}
	};
	for (int partition = 0; partition < NUM_LOCK_PARTITIONS; partition++) {
		LWLockAcquire(LockHashPartitionLockByIndex(partition), LW_SHARED);
		for (uint32 i = first; i < end; i++) {
			PGPROC *process = &ProcGlobal->allProcs[i];
			// only those of prepared transactions have no pid and may hold locks
			if (process->pid != 0 || i >= ProcGlobal->allProcCount) {
				compat::ForEachLockOf(process, partition, look);
			}
		}
		LWLockRelease(LockHashPartitionLockByIndex(partition));
	}
	return horizon;
}

} // namespace

int64
LastPosition(Server server) {
	Relation sequence = relation_open(own::positions.Get(server), AccessShareLock);
	Buffer buffer = ReadBuffer(sequence, 0);
	// nextval shows a value 32 ahead for a moment, within its exclusive lock
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	Page page = BufferGetPage(buffer);
	const auto *tuple = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, FirstOffsetNumber)));
	const auto *data = reinterpret_cast<const FormData_pg_sequence_data *>(reinterpret_cast<const char *>(tuple) + tuple->t_hoff);
	const int64 last = data->is_called ? data->last_value : data->last_value - 1;
	UnlockReleaseBuffer(buffer);
	relation_close(sequence, NoLock);
	return last;
}

void
HoldBackHorizon(Server server) {
	const LocalTransactionId transaction = compat::CurrentLocalTransaction();
	if (tagged_transaction != transaction) {
		tagged_position = LastPosition(server);
		tagged_transaction = transaction;
	}
	// Asked for at each append: the local lock table makes that cheap, and a savepoint that was rolled back let it go. The old tag
	// is then taken again: a smaller L is safe.
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(static_cast<uint64>(tagged_position) >> 32), static_cast<uint32>(tagged_position),
	                     kPositionLockClass);
	(void)LockAcquire(&tag, ShareLock, false, false);
}

bool
OthersDrewPositions(Server server, int64 drawn) {
	return tagged_transaction == compat::CurrentLocalTransaction() && LastPosition(server) - tagged_position > drawn;
}

int64
FeedHorizon(Server server) {
	if (RecoveryInProgress()) {
		return NewestWrittenHorizon(server);
	}
	const int64 last = LastPosition(server);
	// A tag stays in its partition until its transaction is seen as committed, so one that counts is met whenever we come by. PREPARE moves it
	// from the session to the process that stands for the prepared transaction, which comes after all others, and never back: so those come second,
	// and a tag that moves meanwhile is met in one of the two places.
	const uint32 processes = ProcGlobal->allProcCount;
	int64 horizon = LowestHeldPosition(server, 0, processes, last);
	if (max_prepared_xacts > 0) {
		// The next PREPARE that takes a free one of these clears it, lists included, and holds this lock alone meanwhile. COMMIT PREPARED too
		// takes this lock before it takes those of partitions, in every major from 15 to 18, so the order cannot deadlock.
		LWLockAcquire(TwoPhaseStateLock, LW_SHARED);
		horizon = LowestHeldPosition(server, processes, processes + static_cast<uint32>(max_prepared_xacts), horizon);
		LWLockRelease(TwoPhaseStateLock);
	}
	known_sequence = own::positions.Get(server);
	known_horizon = horizon;
	return horizon;
}

bool
IsFinalPosition(Server server, int64 position) {
	if (known_sequence == own::positions.Get(server) && position <= known_horizon) {
		return true;
	}
	return position <= FeedHorizon(server);
}

int64
HorizonSeenBy(Server server, Snapshot fixed) {
	return WrittenHorizon(server, fixed, HorizonsOf::kOthers);
}

int64
WriteFeedHorizon(Server server) {
	const int64 horizon = FeedHorizon(server);
	Relation heap = table_open(own::horizons.Get(server), RowExclusiveLock);
	Relation index = index_open(own::horizons_index.Get(server), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 0);
	index_rescan(scan, nullptr, 0, nullptr, 0);
	// the newest one stays until a newer one is there; those before it go
	int64 newest = -1;
	while (index_getnext_slot(scan, BackwardScanDirection, slot)) {
		bool isnull;
		const int64 position = DatumGetInt64(slot_getattr(slot, 1, &isnull));
		if (newest < 0) {
			newest = position;
			continue;
		}
		(void)DeleteRow(server, heap, &slot->tts_tid, snapshot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	if (horizon > newest) {
		const Datum values[2] = {Int64GetDatum(horizon), TimestampTzGetDatum(GetCurrentTimestamp())};
		const bool isnull[2] = {};
		InsertRow(server, heap, values, isnull);
	}
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return horizon;
}

} // namespace auren::pg
