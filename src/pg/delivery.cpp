#include "pg/delivery.hpp"

#include <cstring>

#include "pg/compat.hpp"
#include "pg/feed_horizon.hpp"
#include "pg/query.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"
#include "pg/text.hpp"

namespace auren::pg {

namespace {

// Events that a fetch looks at, at most: one whose filter lets nothing through moves the checkpoint and ends.
constexpr int64 kFetchBudget = 1000000;

struct Trouble {
	int64 position;
	int share;
	Datum stream;
	bool parked;
	int attempts;
	int64 not_before;
	text *delivered_to; // nullptr: to nobody
	bool due;           // to be given in this fetch
};

struct Troubles {
	Trouble *items;
	int count;
};

bool
IsWith(const Trouble &trouble, const text *consumer) {
	return trouble.delivered_to != nullptr && SameText(PointerGetDatum(trouble.delivered_to), PointerGetDatum(consumer));
}

// In order of position.
Troubles
ReadTroubles(const Subscription &subscription) {
	Relation heap = table_open(Oids().troubles, AccessShareLock);
	Relation index = index_open(Oids().troubles_pkey, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 1);
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subscription.id));
	index_rescan(scan, &key, 1, nullptr, 0);
	Troubles troubles = {static_cast<Trouble *>(palloc(sizeof(Trouble) * 8)), 0};
	int room = 8;
	while (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		if (troubles.count == room) {
			room *= 2;
			troubles.items = static_cast<Trouble *>(repalloc_huge(troubles.items, sizeof(Trouble) * static_cast<Size>(room)));
		}
		slot_getallattrs(slot);
		const Datum *values = slot->tts_values;
		Trouble *trouble = &troubles.items[troubles.count++];
		trouble->position = DatumGetInt64(values[1]);
		trouble->share = DatumGetInt32(values[2]);
		trouble->stream = PointerGetDatum(DatumGetTextPCopy(values[3]));
		trouble->parked = std::strcmp(TextDatumGetCString(values[4]), "parked") == 0;
		trouble->attempts = DatumGetInt32(values[5]);
		trouble->not_before = DatumGetTimestampTz(values[6]);
		trouble->delivered_to = slot->tts_isnull[7] ? nullptr : DatumGetTextPCopy(values[7]);
		trouble->due = false;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return troubles;
}

const Trouble *
TroubleAt(const Troubles &troubles, int64 position) {
	int low = 0;
	int high = troubles.count;
	while (low < high) {
		const int middle = (low + high) / 2;
		if (troubles.items[middle].position < position) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < troubles.count && troubles.items[low].position == position ? &troubles.items[low] : nullptr;
}

void
PutTrouble(const Subscription &subscription, int64 position, int share, Datum stream, const char *state, int attempts, int64 not_before,
           Datum reason) {
	Oid types[8] = {INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum values[8] = {Int64GetDatum(subscription.id), Int64GetDatum(position), Int32GetDatum(share), stream,
	                   PointerGetDatum(cstring_to_text(state)), Int32GetDatum(attempts), TimestampTzGetDatum(not_before), reason};
	const char nulls[9] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', reason == 0 ? 'n' : ' ', '\0'};
	// one that waits already, or is to be retried, stays as it is when a fetch passes it by once more
	const bool waiting = std::strcmp(state, "waiting") == 0;
	(void)ExecuteWaived(psprintf("INSERT INTO events.subscription_troubles (subscription_id, global_position, share, stream_id, state, attempts, "
	                       "not_before, reason, since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, pg_catalog.clock_timestamp()) "
	                       "ON CONFLICT (subscription_id, global_position) DO %s",
	                       waiting ? "NOTHING"
	                               : "UPDATE SET state = EXCLUDED.state, attempts = EXCLUDED.attempts, not_before = EXCLUDED.not_before, "
	                                 "reason = EXCLUDED.reason, since = EXCLUDED.since, delivered_to = NULL"),
	              8, types, values, nulls);
}

[[noreturn]] void
LeaseLost(const text *consumer) {
	ereport(ERROR, (errcode(MAKE_SQLSTATE('Z', 'E', '0', '0', '5')),
	                errmsg("consumer \"%s\" has no lease on the subscription", text_to_cstring(consumer)),
	                errdetail("It fetched nothing yet, or its lease ended before it came back, and others may have been given its events."),
	                errhint("Fetch again, and take what comes as not done before.")));
}

// The shares of a consumer, locked; the others have locked = false. ZE005 when it has none.
Share *
OwnShares(const Subscription &subscription, const text *consumer) {
	const int64 now = GetCurrentTimestamp();
	Share *shares = ReadShares(subscription);
	bool any = false;
	for (int i = 0; i < subscription.shares; i++) {
		if (!HasShare(shares[i], consumer)) {
			continue;
		}
		if (!LockShare(subscription, i)) {
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("a share of consumer \"%s\" is in use by another transaction", text_to_cstring(consumer)),
			                errdetail("Two sessions call with one consumer's name."), errhint("Give each session a name of its own.")));
		}
		shares[i] = ReadShare(subscription, i);
		// within the transaction that fetched it a share stays, however long that takes
		shares[i].locked = HasShare(shares[i], consumer) && (shares[i].lease_until >= now || shares[i].written_by_us);
		any |= shares[i].locked;
	}
	if (!any) {
		LeaseLost(consumer);
	}
	return shares;
}

// The event at a position, in *row; the scan has to be ended.
bool
ReadEventAt(FeedScan *scan, const Subscription &subscription, int64 position, EventRow *row) {
	const FeedFilter all = {subscription.filter.tenant, nullptr, 0, 0, 0};
	BeginFeedScan(scan, all, position - 1, position, true);
	int64 budget = PG_INT64_MAX;
	return NextFeedEvent(scan, row, &budget);
}

void
PutEvent(const Rows &rows, const EventRow &row, int share, int attempts) {
	static const bool isnull[11] = {};
	const Datum values[11] = {row.values[kEventId],   row.values[kGlobalPosition], row.values[kStreamId], row.values[kStreamVersion],
	                          row.values[kEventType], row.values[kEventData],      row.values[kMetadata], row.values[kCreatedAt],
	                          row.values[kCreatedBy], Int32GetDatum(share),        Int32GetDatum(attempts)};
	PutRow(rows, values, isnull);
}

// Streams whose later events must wait.
struct Blocked {
	Datum *streams;
	int count;
	int room;
};

bool
IsBlocked(const Blocked &blocked, Datum stream) {
	for (int i = 0; i < blocked.count; i++) {
		if (SameText(blocked.streams[i], stream)) {
			return true;
		}
	}
	return false;
}

void
Block(Blocked *blocked, Datum stream) {
	if (IsBlocked(*blocked, stream)) {
		return;
	}
	if (blocked->count == blocked->room) {
		blocked->room = blocked->room == 0 ? 8 : blocked->room * 2;
		const Size size = sizeof(Datum) * static_cast<Size>(blocked->room);
		blocked->streams = static_cast<Datum *>(blocked->streams == nullptr ? palloc(size) : repalloc(blocked->streams, size));
	}
	blocked->streams[blocked->count++] = datumCopy(stream, false, -1);
}

/*
 * Which shares the consumer has in this fetch: those it had, but no more than its part, and free ones up to it. *lost of a
 * share: its last consumer, or this one, did not come back before the lease ended.
 */
int
DealShares(const Subscription &subscription, text *consumer, int64 now, Share *shares, bool *lost, bool *changed) {
	const int consumers = CountConsumers(subscription, consumer, now);
	const int part = (subscription.shares + consumers - 1) / consumers;
	int kept = 0;
	for (int i = 0; i < subscription.shares; i++) {
		if (!HasShare(shares[i], consumer) || !LockShare(subscription, i)) {
			continue;
		}
		shares[i] = ReadShare(subscription, i);
		shares[i].locked = HasShare(shares[i], consumer);
		if (!shares[i].locked) {
			UnlockShare(subscription, i);
			continue;
		}
		lost[i] = shares[i].lease_until < now && !shares[i].written_by_us;
		kept++;
	}
	for (int i = subscription.shares - 1; i >= 0 && kept > part; i--) {
		if (shares[i].locked && shares[i].delivered <= shares[i].checkpoint) {
			shares[i].consumer = cstring_to_text("");
			shares[i].lease_until = now;
			WriteShare(subscription, i, &shares[i]);
			shares[i].locked = false;
			kept--;
		}
	}
	const int first = ShareOf(PointerGetDatum(consumer), subscription.shares);
	for (int k = 0; k < subscription.shares && kept < part; k++) {
		const int i = (first + k) % subscription.shares;
		const auto is_free = [&] { return !HasShare(shares[i], consumer) && (VARSIZE_ANY_EXHDR(shares[i].consumer) == 0 || shares[i].lease_until < now); };
		if (shares[i].locked || !is_free() || !LockShare(subscription, i)) {
			continue;
		}
		shares[i] = ReadShare(subscription, i);
		if (!is_free()) {
			UnlockShare(subscription, i);
			continue;
		}
		lost[i] = VARSIZE_ANY_EXHDR(shares[i].consumer) > 0;
		shares[i].consumer = consumer;
		shares[i].locked = true;
		changed[i] = true;
		kept++;
	}
	return kept;
}

/*
 * A fetch on its way: what it has of the subscription, and what it may still give.
 */
struct Fetching {
	const Subscription *subscription;
	text *consumer;
	const Rows *rows;
	int64 now;
	int64 left;
	Share *shares;
	bool *lost;    // of a share: the first event that was in hand there has failed
	bool *changed; // likewise: its row must be written
	int64 *last;   // likewise: last event given from behind the checkpoint
	Troubles troubles;
	Blocked blocked;
};

// The first event that was in the hands of a consumer that did not come back counts as failed: it may have been what ended
// it. Returns whether this is it.
bool
FailedWithConsumer(Fetching *fetching, int share, bool in_hand) {
	const bool failed = in_hand && fetching->lost[share];
	fetching->lost[share] = fetching->lost[share] && !failed;
	return failed;
}

void
ParkLost(Fetching *fetching, int64 position, int share, Datum stream, int attempts) {
	PutTrouble(*fetching->subscription, position, share, stream, "parked", attempts, fetching->now,
	           PointerGetDatum(cstring_to_text("consumers were given it and did not come back")));
	if (fetching->subscription->stream_waits) {
		Block(&fetching->blocked, stream);
	}
}

// Which of the events that were passed by may be given now, and which streams have to wait.
void
ChooseTroubles(Fetching *fetching) {
	int64 left = fetching->left;
	for (int i = 0; i < fetching->troubles.count; i++) {
		Trouble *trouble = &fetching->troubles.items[i];
		if (!fetching->shares[trouble->share].locked) {
			continue;
		}
		const bool waits = trouble->parked ? fetching->subscription->stream_waits : trouble->not_before > fetching->now || left == 0;
		if (waits) {
			Block(&fetching->blocked, trouble->stream);
		} else if (!trouble->parked && !IsBlocked(fetching->blocked, trouble->stream)) {
			trouble->due = true;
			left--;
		}
	}
}

// Gives the events that are due before a position.
void
GiveTroubles(Fetching *fetching, int *next, int64 before) {
	const Subscription &subscription = *fetching->subscription;
	for (; *next < fetching->troubles.count && fetching->troubles.items[*next].position < before && fetching->left > 0; (*next)++) {
		const Trouble &trouble = fetching->troubles.items[*next];
		if (!trouble.due || IsBlocked(fetching->blocked, trouble.stream)) {
			continue;
		}
		int attempts = trouble.attempts;
		if (FailedWithConsumer(fetching, trouble.share, trouble.delivered_to != nullptr) && ++attempts >= subscription.max_attempts) {
			ParkLost(fetching, trouble.position, trouble.share, trouble.stream, attempts);
			continue;
		}
		FeedScan scan;
		EventRow row;
		if (ReadEventAt(&scan, subscription, trouble.position, &row)) {
			PutEvent(*fetching->rows, row, trouble.share, attempts);
			fetching->left--;
			Oid types[4] = {INT8OID, INT8OID, TEXTOID, INT4OID};
			Datum values[4] = {Int64GetDatum(subscription.id), Int64GetDatum(trouble.position), PointerGetDatum(fetching->consumer), Int32GetDatum(attempts)};
			(void)ExecuteWaived("UPDATE events.subscription_troubles SET delivered_to = $3, attempts = $4 WHERE subscription_id "
			                    "OPERATOR(pg_catalog.=) $1 AND global_position OPERATOR(pg_catalog.=) $2",
			                    4, types, values, nullptr);
		}
		EndFeedScan(&scan);
	}
}

// Gives an event from behind the checkpoint, or passes it by.
void
GiveEvent(Fetching *fetching, const EventRow &row) {
	const Subscription &subscription = *fetching->subscription;
	const Datum stream = row.values[kStreamId];
	const int64 position = DatumGetInt64(row.values[kGlobalPosition]);
	const int number = ShareOf(stream, subscription.shares);
	Share *share = &fetching->shares[number];
	if (!share->locked || position <= share->checkpoint || TroubleAt(fetching->troubles, position) != nullptr) {
		return;
	}
	if (IsBlocked(fetching->blocked, stream)) {
		PutTrouble(subscription, position, number, stream, "waiting", 0, fetching->now, 0);
		return;
	}
	if (FailedWithConsumer(fetching, number, position <= share->delivered)) {
		share->failures = share->failed_at == position ? share->failures + 1 : 1;
		share->failed_at = position;
		if (share->failures >= subscription.max_attempts) {
			ParkLost(fetching, position, number, stream, share->failures);
			share->failed_at = 0;
			share->failures = 0;
			return;
		}
	}
	PutEvent(*fetching->rows, row, number, share->failed_at == position ? share->failures : 0);
	fetching->last[number] = position;
	fetching->left--;
}

} // namespace

void
Fetch(const Subscription &subscription, text *consumer, int64 limit, const Rows &rows) {
	const Size count = static_cast<Size>(subscription.shares);
	Fetching fetching;
	std::memset(&fetching, 0, sizeof fetching);
	fetching.subscription = &subscription;
	fetching.consumer = consumer;
	fetching.rows = &rows;
	fetching.now = GetCurrentTimestamp();
	fetching.left = limit;
	fetching.shares = ReadShares(subscription);
	fetching.lost = static_cast<bool *>(palloc0(sizeof(bool) * count));
	fetching.changed = static_cast<bool *>(palloc0(sizeof(bool) * count));
	fetching.last = static_cast<int64 *>(palloc0(sizeof(int64) * count));
	if (DealShares(subscription, consumer, fetching.now, fetching.shares, fetching.lost, fetching.changed) == 0) {
		return;
	}
	CommandCounterIncrement();
	fetching.troubles = ReadTroubles(subscription);
	ChooseTroubles(&fetching);

	int64 from = PG_INT64_MAX;
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching.shares[i].locked) {
			from = Min(from, fetching.shares[i].checkpoint);
		}
	}
	// In order of position over all, so that a consumer may acknowledge one event after the other.
	const int64 horizon = FeedHorizon();
	FeedScan scan;
	EventRow row;
	int64 budget = kFetchBudget;
	int trouble = 0;
	BeginFeedScan(&scan, subscription.filter, from, horizon, true);
	while (fetching.left > 0 && NextFeedEvent(&scan, &row, &budget)) {
		GiveTroubles(&fetching, &trouble, DatumGetInt64(row.values[kGlobalPosition]));
		if (fetching.left == 0) {
			// the event stays behind what was looked at
			scan.examined = DatumGetInt64(row.values[kGlobalPosition]) - 1;
			break;
		}
		GiveEvent(&fetching, row);
	}
	const int64 examined = scan.examined;
	EndFeedScan(&scan);
	GiveTroubles(&fetching, &trouble, PG_INT64_MAX);

	for (int i = 0; i < subscription.shares; i++) {
		Share *share = &fetching.shares[i];
		if (!share->locked) {
			continue;
		}
		const int64 reached = Max(examined, share->checkpoint);
		// a share without an event in flight moves on
		const int64 checkpoint = fetching.last[i] != 0 ? share->checkpoint : reached;
		const int64 delivered = fetching.last[i] != 0 ? fetching.last[i] : reached;
		if (fetching.changed[i] || checkpoint != share->checkpoint || delivered != share->delivered || reached != share->examined ||
		    fetching.lost[i] || share->lease_until - fetching.now < subscription.lease / 2) {
			share->checkpoint = checkpoint;
			share->delivered = delivered;
			share->examined = reached;
			share->lease_until = fetching.now + subscription.lease;
			WriteShare(subscription, i, share);
		}
	}
	CommandCounterIncrement();
}

void
Acknowledge(const Subscription &subscription, text *consumer, int64 position) {
	Share *shares = OwnShares(subscription, consumer);
	const Troubles troubles = ReadTroubles(subscription);
	int64 given = 0;
	for (int i = 0; i < subscription.shares; i++) {
		given = shares[i].locked ? Max(given, shares[i].examined) : given;
	}
	bool again = false;
	for (int i = 0; i < troubles.count; i++) {
		const Trouble &trouble = troubles.items[i];
		if (IsWith(trouble, consumer)) {
			given = Max(given, trouble.position);
			again |= trouble.position <= position;
		}
	}
	if (position > given) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("position " INT64_FORMAT " was not given to consumer \"%s\"", position, text_to_cstring(consumer)),
		                errdetail("It was given events up to position " INT64_FORMAT ".", given), errhint("Acknowledge the position of an event that was fetched.")));
	}
	const int64 now = GetCurrentTimestamp();
	for (int i = 0; i < subscription.shares; i++) {
		Share *share = &shares[i];
		if (!share->locked || share->checkpoint >= position) {
			continue;
		}
		if (position >= share->delivered) {
			share->checkpoint = share->delivered = share->examined = Max(share->examined, share->checkpoint);
		} else {
			share->checkpoint = position;
		}
		if (share->failed_at <= share->checkpoint) {
			share->failed_at = 0;
			share->failures = 0;
		}
		share->lease_until = now + subscription.lease;
		WriteShare(subscription, i, share);
	}
	if (again) {
		Oid types[3] = {INT8OID, INT8OID, TEXTOID};
		Datum values[3] = {Int64GetDatum(subscription.id), Int64GetDatum(position), PointerGetDatum(consumer)};
		(void)ExecuteWaived("DELETE FROM events.subscription_troubles WHERE subscription_id OPERATOR(pg_catalog.=) $1 AND global_position "
		              "OPERATOR(pg_catalog.<=) $2 AND delivered_to OPERATOR(pg_catalog.=) $3",
		              3, types, values, nullptr);
	}
	CommandCounterIncrement();
}

void
Fail(const Subscription &subscription, text *consumer, int64 position, bool park, int64 delay, Datum reason) {
	Share *shares = OwnShares(subscription, consumer);
	const Troubles troubles = ReadTroubles(subscription);
	FeedScan scan;
	EventRow row;
	const bool found = ReadEventAt(&scan, subscription, position, &row);
	const Datum stream = found ? datumCopy(row.values[kStreamId], false, -1) : 0;
	EndFeedScan(&scan);
	const int number = found ? ShareOf(stream, subscription.shares) : 0;
	const Share &share = shares[number];
	const Trouble *trouble = TroubleAt(troubles, position);
	const bool again = trouble != nullptr && IsWith(*trouble, consumer);
	if (!found || !share.locked || (!again && (position <= share.checkpoint || position > share.delivered))) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("position " INT64_FORMAT " is not in the hands of consumer \"%s\"", position, text_to_cstring(consumer)),
		                errdetail("No event of that position was given to it and is neither acknowledged nor told to have failed."),
		                errhint("Give the global_position of an event that was fetched.")));
	}
	const int64 now = GetCurrentTimestamp();
	const int attempts = 1 + (trouble != nullptr ? trouble->attempts : share.failed_at == position ? share.failures : 0);
	const bool parked = park || attempts >= subscription.max_attempts;
	PutTrouble(subscription, position, number, stream, parked ? "parked" : "retry", attempts, now + delay, reason);
	if (!parked || subscription.stream_waits) {
		// what the consumer has in hand of the stream behind it waits too
		Oid types[3] = {INT8OID, INT8OID, TEXTOID};
		Datum values[3] = {Int64GetDatum(subscription.id), Int64GetDatum(position), stream};
		(void)ExecuteWaived("UPDATE events.subscription_troubles SET delivered_to = NULL WHERE subscription_id OPERATOR(pg_catalog.=) $1 AND "
		              "global_position OPERATOR(pg_catalog.>) $2 AND stream_id OPERATOR(pg_catalog.=) $3",
		              3, types, values, nullptr);
		BeginFeedScan(&scan, subscription.filter, Max(position, share.checkpoint), share.delivered, true);
		int64 budget = PG_INT64_MAX;
		while (NextFeedEvent(&scan, &row, &budget)) {
			if (SameText(row.values[kStreamId], stream)) {
				PutTrouble(subscription, DatumGetInt64(row.values[kGlobalPosition]), number, stream, "waiting", 0, now, 0);
			}
		}
		EndFeedScan(&scan);
	}
	CommandCounterIncrement();
}

namespace {

void
LockAll(const Subscription &subscription) {
	for (int i = 0; i < subscription.shares; i++) {
		if (!LockShare(subscription, i)) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a consumer of the subscription is at work"),
			                errdetail("Another transaction has fetched or acknowledged and has not ended."), errhint("Try again when it has.")));
		}
	}
}

void
ForgetTroubles(const Subscription &subscription) {
	Oid types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum(subscription.id)};
	(void)ExecuteWaived("DELETE FROM events.subscription_troubles WHERE subscription_id OPERATOR(pg_catalog.=) $1", 1, types, values, nullptr);
}

// Deletes every row of a table of ours that is of the subscription, its first column.
void
DeleteAll(Oid relid, const Subscription &subscription) {
	Relation heap = table_open(relid, RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subscription.id));
	TableScanDesc scan = table_beginscan(heap, snapshot, 1, &key);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		(void)DeleteRow(heap, &slot->tts_tid, snapshot);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(heap, NoLock);
}

} // namespace

void
Reset(const Subscription &subscription, int64 position) {
	LockAll(subscription);
	Share *shares = ReadShares(subscription);
	for (int i = 0; i < subscription.shares; i++) {
		shares[i].checkpoint = shares[i].delivered = shares[i].examined = position;
		shares[i].consumer = cstring_to_text("");
		shares[i].lease_until = GetCurrentTimestamp();
		shares[i].failed_at = 0;
		shares[i].failures = 0;
		WriteShare(subscription, i, &shares[i]);
	}
	ForgetTroubles(subscription);
	CommandCounterIncrement();
}

void
Forget(const Subscription &subscription) {
	LockAll(subscription);
	DeleteAll(Oids().progress, subscription);
	DeleteAll(Oids().consumers, subscription);
	ForgetTroubles(subscription);
	CommandCounterIncrement();
}

bool
HasPassed(const Subscription &subscription, int64 position) {
	const Share *shares = ReadShares(subscription);
	for (int i = 0; i < subscription.shares; i++) {
		if (shares[i].checkpoint < position) {
			return false;
		}
	}
	const Troubles troubles = ReadTroubles(subscription);
	for (int i = 0; i < troubles.count; i++) {
		if (!troubles.items[i].parked && troubles.items[i].position <= position) {
			return false;
		}
	}
	return true;
}

} // namespace auren::pg
