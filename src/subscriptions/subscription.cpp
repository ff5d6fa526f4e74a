#include "subscriptions/subscription.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/lock_classes.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "subscriptions/relations.hpp"

namespace auren::pg {

namespace {

// Columns of auren.subscription_settings.
enum SettingsColumn : int {
	kSettingsTenant = 1,
	kSettingsName,
	kSettingsId,
	kSettingsStart,
	kSettingsTypes,
	kSettingsCategory,
	kSettingsPrefix,
	kSettingsShares,
	kSettingsMaxAttempts,
	kSettingsLease,
	kSettingsStreamWaits,
	kSettingsTags = 14 // after who made it and when
};

// Columns of auren.subscription_progress.
enum ProgressColumn : int {
	kProgressId,
	kProgressShare,
	kProgressStep,
	kProgressCheckpoint,
	kProgressDelivered,
	kProgressReached,
	kProgressExamined,
	kProgressConsumer,
	kProgressLease,
	kProgressGiven,
	kProgressHeld,
	kProgressColumns
};

Datum
TextColumn(Server, HeapTuple tuple, int column, TupleDesc descriptor) {
	bool isnull;
	const Datum value = heap_getattr(tuple, column, descriptor, &isnull);
	return isnull ? 0 : PointerGetDatum(DatumGetTextPCopy(value));
}

int64
Micros(const Interval *interval) {
	return interval->time + (static_cast<int64>(interval->day) + static_cast<int64>(interval->month) * DAYS_PER_MONTH) * USECS_PER_DAY;
}

// The lock of a subscription as a whole has a number that no share has.
constexpr int kWhole = -1;

LOCKTAG
TagOf(const Subscription &subscription, int number) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(subscription.id), static_cast<uint32>(number), kShareLockClass);
	return tag;
}

// A progress table that is open for looking at one share after the other.
struct ProgressScan {
	Relation heap;
	Relation index;
	Snapshot snapshot;
	TupleTableSlot *slot;
	IndexScanDesc scan;
	MemoryContext context; // of the scan
};

ProgressScan
OpenProgress(Server server) {
	ProgressScan progress;
	progress.heap = table_open(own::progress.Get(server), AccessShareLock);
	progress.index = index_open(own::progress_index.Get(server), AccessShareLock);
	progress.snapshot = RegisterSnapshot(GetLatestSnapshot());
	progress.slot = table_slot_create(progress.heap, nullptr);
	progress.context = CurrentMemoryContext;
	progress.scan = compat::BeginIndexScan(progress.heap, progress.index, progress.snapshot, 2);
	return progress;
}

void
CloseProgress(Server, const ProgressScan &progress) {
	index_endscan(progress.scan);
	ExecDropSingleTupleTableSlot(progress.slot);
	UnregisterSnapshot(progress.snapshot);
	index_close(progress.index, NoLock);
	table_close(progress.heap, NoLock);
}

// From the end: what lies before the newest row, pruned or not, is never looked at.
Share
ReadNewest(Server server, const ProgressScan &progress, const Subscription &subscription, int number) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subscription.id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number));
	index_rescan(progress.scan, keys, 2, nullptr, 0);
	if (!NextIndexRow(server, progress.scan, BackwardScanDirection, progress.slot, progress.context)) {
		return FreeShare(server, subscription.start_position);
	}
	Share share;
	std::memset(&share, 0, sizeof share);
	slot_getallattrs(progress.slot);
	const Datum *values = progress.slot->tts_values;
	bool isnull;
	share.stored = true;
	share.tid = progress.slot->tts_tid;
	share.written_by_us =
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(slot_getsysattr(progress.slot, MinTransactionIdAttributeNumber, &isnull)));
	share.step = DatumGetInt64(values[kProgressStep]);
	share.checkpoint = DatumGetInt64(values[kProgressCheckpoint]);
	share.delivered = DatumGetInt64(values[kProgressDelivered]);
	share.reached = DatumGetInt64(values[kProgressReached]);
	share.examined = DatumGetInt64(values[kProgressExamined]);
	share.consumer = DatumGetTextPCopy(values[kProgressConsumer]);
	share.lease_until = DatumGetTimestampTz(values[kProgressLease]);
	share.held = DatumGetInt64(values[kProgressHeld]);
	if (!progress.slot->tts_isnull[kProgressGiven]) {
		ArrayType *given = DatumGetArrayTypePCopy(values[kProgressGiven]);
		share.given = reinterpret_cast<int64 *>(ARR_DATA_PTR(given));
		share.given_count = ArrayGetNItems(ARR_NDIM(given), ARR_DIMS(given));
	}
	ExecClearTuple(progress.slot);
	return share;
}

// 0 when there are none: the column is NULL then.
Datum
GivenArray(Server, const Share &share) {
	if (share.given_count == 0) {
		return 0;
	}
	auto *elements = static_cast<Datum *>(palloc_extended(sizeof(Datum) * static_cast<Size>(share.given_count), MCXT_ALLOC_HUGE));
	for (int i = 0; i < share.given_count; i++) {
		elements[i] = Int64GetDatum(share.given[i]);
	}
	return PointerGetDatum(construct_array(elements, share.given_count, INT8OID, 8, true, TYPALIGN_DOUBLE));
}

} // namespace

Subscription
FindSubscription(Server server, Datum tenant, Datum name) {
	Subscription subscription;
	std::memset(&subscription, 0, sizeof subscription);
	Relation heap = table_open(own::subscriptions.Get(server), AccessShareLock);
	TupleDesc descriptor = RelationGetDescr(heap);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	ScanKeyEntryInitialize(&keys[0], 0, kSettingsTenant, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, tenant);
	ScanKeyEntryInitialize(&keys[1], 0, kSettingsName, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, name);
	SysScanDesc scan = systable_beginscan(heap, own::subscriptions_pkey.Get(server), true, snapshot, 2, keys);
	const HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple)) {
		bool isnull;
		subscription.id = DatumGetInt64(heap_getattr(tuple, kSettingsId, descriptor, &isnull));
		subscription.start_position = DatumGetInt64(heap_getattr(tuple, kSettingsStart, descriptor, &isnull));
		subscription.shares = DatumGetInt32(heap_getattr(tuple, kSettingsShares, descriptor, &isnull));
		subscription.max_attempts = DatumGetInt32(heap_getattr(tuple, kSettingsMaxAttempts, descriptor, &isnull));
		subscription.lease = Micros(DatumGetIntervalP(heap_getattr(tuple, kSettingsLease, descriptor, &isnull)));
		subscription.stream_waits = DatumGetBool(heap_getattr(tuple, kSettingsStreamWaits, descriptor, &isnull));
		subscription.filter.tenant = tenant;
		subscription.filter.category = TextColumn(server, tuple, kSettingsCategory, descriptor);
		subscription.filter.prefix = TextColumn(server, tuple, kSettingsPrefix, descriptor);
		const Datum types = heap_getattr(tuple, kSettingsTypes, descriptor, &isnull);
		if (!isnull) {
			Datum *elements;
			deconstruct_array(DatumGetArrayTypePCopy(types), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &subscription.filter.type_count);
			subscription.filter.types = elements;
		}
		// the SQL objects of 0.1.0 have no such column
		const Datum tags = descriptor->natts < kSettingsTags ? 0 : heap_getattr(tuple, kSettingsTags, descriptor, &isnull);
		if (tags != 0 && !isnull) {
			Datum *elements;
			deconstruct_array(DatumGetArrayTypePCopy(tags), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &subscription.filter.tags.count);
			subscription.filter.tags.items = elements;
		}
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(heap, AccessShareLock);
	return subscription;
}

uint64
StreamHash(Datum stream) {
	// FNV-1a, 64 bit (Fowler, Noll, Vo): its own arithmetic, so that no version of the server moves a stream
	uint64 hash = UINT64CONST(14695981039346656037);
	for (const char byte : TextBytes(stream)) {
		hash = (hash ^ static_cast<unsigned char>(byte)) * UINT64CONST(1099511628211);
	}
	return hash;
}

int
ShareOf(Datum stream, int shares) {
	const uint64 hash = StreamHash(stream);
	// the low bits alone depend on the last bytes too little
	return static_cast<int>(((hash >> 32) ^ hash) % static_cast<uint64>(shares));
}

Share *
ReadShares(Server server, const Subscription &subscription) {
	auto *shares = static_cast<Share *>(palloc(sizeof(Share) * static_cast<Size>(subscription.shares)));
	const ProgressScan progress = OpenProgress(server);
	for (int i = 0; i < subscription.shares; i++) {
		shares[i] = ReadNewest(server, progress, subscription, i);
	}
	CloseProgress(server, progress);
	return shares;
}

Share
ReadShare(Server server, const Subscription &subscription, int number) {
	const ProgressScan progress = OpenProgress(server);
	const Share share = ReadNewest(server, progress, subscription, number);
	CloseProgress(server, progress);
	return share;
}

Share
FreeShare(Server, int64 position) {
	Share share;
	std::memset(&share, 0, sizeof share);
	share.checkpoint = share.delivered = share.reached = share.examined = position;
	share.consumer = cstring_to_text("");
	share.lease_until = DT_NOBEGIN;
	return share;
}

bool
LockSubscription(Server, const Subscription &subscription, LOCKMODE mode) {
	const LOCKTAG tag = TagOf(subscription, kWhole);
	return LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

bool
LockShare(Server, const Subscription &subscription, int number) {
	const LOCKTAG tag = TagOf(subscription, number);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
UnlockShare(Server, const Subscription &subscription, int number) {
	const LOCKTAG tag = TagOf(subscription, number);
	(void)LockRelease(&tag, ExclusiveLock, false);
}

void
WriteShare(Server server, const Subscription &subscription, int number, const Share &share) {
	Relation heap = table_open(own::progress.Get(server), RowExclusiveLock);
	Datum values[kProgressColumns];
	bool isnull[kProgressColumns] = {};
	values[kProgressId] = Int64GetDatum(subscription.id);
	values[kProgressShare] = Int32GetDatum(number);
	values[kProgressStep] = Int64GetDatum(share.step + 1);
	values[kProgressCheckpoint] = Int64GetDatum(share.checkpoint);
	values[kProgressDelivered] = Int64GetDatum(share.delivered);
	values[kProgressReached] = Int64GetDatum(share.reached);
	values[kProgressExamined] = Int64GetDatum(share.examined);
	values[kProgressConsumer] = PointerGetDatum(share.consumer);
	values[kProgressLease] = TimestampTzGetDatum(share.lease_until);
	values[kProgressGiven] = GivenArray(server, share);
	isnull[kProgressGiven] = share.given_count == 0;
	values[kProgressHeld] = Int64GetDatum(share.held);
	InsertRow(server, heap, values, isnull);
	if (share.stored) {
		ItemPointerData tid = share.tid;
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		(void)DeleteRow(server, heap, &tid, snapshot);
		UnregisterSnapshot(snapshot);
	}
	table_close(heap, NoLock);
}

/*
 * Each consumer's newest row is found from the end of its rows, and the consumer before it by a step to the left, so that
 * what a held snapshot keeps from being pruned is passed over.
 */
int
CountConsumers(Server server, const Subscription &subscription, text *consumer, int64 now) {
	Relation heap = table_open(own::consumers.Get(server), RowExclusiveLock);
	Relation index = index_open(own::consumers_index.Get(server), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 2);
	int others = 0;
	bool fresh = false;
	ItemPointerData own;
	ItemPointerSetInvalid(&own);
	Datum before = 0;
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		ScanKeyData keys[2];
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subscription.id));
		// without a consumer yet: every text is at least the empty one
		ScanKeyEntryInitialize(&keys[1], 0, 2, before == 0 ? BTGreaterEqualStrategyNumber : BTLessStrategyNumber, TEXTOID, C_COLLATION_OID,
		                       before == 0 ? F_TEXT_GE : F_TEXT_LT, before == 0 ? PointerGetDatum(cstring_to_text("")) : before);
		index_rescan(scan, keys, 2, nullptr, 0);
		if (!index_getnext_slot(scan, BackwardScanDirection, slot)) {
			break;
		}
		bool isnull;
		before = datumCopy(slot_getattr(slot, 2, &isnull), false, -1);
		const int64 seen_at = DatumGetTimestampTz(slot_getattr(slot, 3, &isnull));
		if (SameText(before, PointerGetDatum(consumer))) {
			fresh = now - seen_at < subscription.lease / 4;
			own = slot->tts_tid;
		} else if (now - seen_at < subscription.lease) {
			others++;
		} else if (now - seen_at > subscription.lease * 10) {
			(void)DeleteRow(server, heap, &slot->tts_tid, snapshot);
		}
	}
	index_endscan(scan);
	if (!fresh) {
		const Datum values[3] = {Int64GetDatum(subscription.id), PointerGetDatum(consumer), TimestampTzGetDatum(now)};
		const bool isnull[3] = {};
		InsertRow(server, heap, values, isnull);
		if (ItemPointerIsValid(&own)) {
			(void)DeleteRow(server, heap, &own, snapshot);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return others + 1;
}

bool
HasShare(const Share &share, const text *consumer) {
	return SameText(PointerGetDatum(share.consumer), PointerGetDatum(consumer));
}

} // namespace auren::pg
