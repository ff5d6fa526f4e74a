#include "subscriptions/subscription_changes.hpp"

#include "server/table_row.hpp"
#include "store/relations.hpp"
#include "subscriptions/held_events.hpp"
#include "subscriptions/relations.hpp"

namespace auren::pg {

namespace {

// Deletes every row of a table of ours that is of the subscription, its first column.
void
DeleteAll(Server server, Oid relid, const Subscription &subscription) {
	Relation heap = table_open(relid, RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subscription.id));
	TableScanDesc scan = table_beginscan(heap, snapshot, 1, &key);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		(void)DeleteRow(server, heap, &slot->tts_tid, snapshot);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(heap, NoLock);
}

// Where the shares of a subscription stand, all together.
struct Span {
	int64 lowest; // checkpoints
	int64 highest;
	int64 examined;
	int64 step;
};

Span
SpanOf(const Share *shares, int count) {
	Span span = {PG_INT64_MAX, 0, 0, 0};
	for (int i = 0; i < count; i++) {
		span.lowest = Min(span.lowest, shares[i].checkpoint);
		span.highest = Max(span.highest, shares[i].checkpoint);
		span.examined = Max(span.examined, shares[i].examined);
		span.step = Max(span.step, shares[i].step);
	}
	return span;
}

// Holds the events between the checkpoints that are not done, so that one checkpoint does for all.
void
HoldBetween(Server server, const Subscription &subscription, const Share *shares, const Span &span) {
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	if (RowSecurityApplies(server, events)) {
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the shares of a subscription cannot be changed under row level security"),
		                errdetail("Policies on events.event_store hide events from this role, which would be lost to the subscription."),
		                errhint("Let a role change them that the policies do not apply to.")));
	}
	table_close(events, AccessShareLock);
	HeldTable table;
	FeedScan scan;
	EventRow row;
	int64 budget = PG_INT64_MAX;
	OpenHeld(server, &table, subscription);
	BeginFeedScan(server, &scan, subscription.filter, span.lowest, span.highest, FeedEvents::kCommitted);
	while (NextFeedEvent(server, &scan, &row, &budget)) {
		const Datum stream = row.values[kStreamId];
		const int number = ShareOf(stream, subscription.shares);
		HeldEvent event = {};
		event.position = DatumGetInt64(row.values[kGlobalPosition]);
		if (event.position > shares[number].checkpoint && !IsHeld(server, &table, event.position)) {
			event.share = number;
			event.stream = stream;
			event.state = HeldState::kWaiting;
			InsertHeld(server, subscription, event);
		}
	}
	EndFeedScan(server, &scan);
	CloseHeld(server, &table);
	if (budget == 0) {
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("the transaction's snapshot does not see all events of the subscription"),
		                errhint("Change the shares at READ COMMITTED.")));
	}
}

// Writes every held event's share anew, and counts them.
void
MoveHeld(Server server, const Subscription &subscription, int count, Share *shares) {
	ForEachHeld(server, subscription, [&](HeldEvent *event) {
		DeleteHeld(server, &event->tid);
		event->share = ShareOf(event->stream, count);
		InsertHeld(server, subscription, *event);
		shares[event->share].held++;
	});
}

} // namespace

void
Reset(Server server, const Subscription &subscription, int64 position) {
	Share *shares = ReadShares(server, subscription);
	for (int i = 0; i < subscription.shares; i++) {
		Share share = FreeShare(server, position);
		share.stored = shares[i].stored;
		share.tid = shares[i].tid;
		share.step = shares[i].step;
		WriteShare(server, subscription, i, share);
	}
	DeleteAllHeld(server, subscription);
}

void
Forget(Server server, const Subscription &subscription) {
	DeleteAll(server, own::progress.Get(server), subscription);
	DeleteAll(server, own::consumers.Get(server), subscription);
	DeleteAllHeld(server, subscription);
}

void
Reshare(Server server, const Subscription &subscription, int shares) {
	const Share *before = ReadShares(server, subscription);
	const Span span = SpanOf(before, subscription.shares);
	if (span.lowest < span.highest) {
		HoldBetween(server, subscription, before, span);
	}
	auto *after = static_cast<Share *>(palloc(sizeof(Share) * static_cast<Size>(shares)));
	for (int i = 0; i < shares; i++) {
		after[i] = FreeShare(server, span.highest);
		after[i].examined = span.examined;
		after[i].step = span.step;
	}
	MoveHeld(server, subscription, shares, after);
	DeleteAll(server, own::progress.Get(server), subscription);
	for (int i = 0; i < shares; i++) {
		WriteShare(server, subscription, i, after[i]);
	}
	ReleaseAll(server, subscription);
}

void
ReleaseAll(Server server, const Subscription &subscription) {
	HeldTable table;
	HeldEvent event;
	StreamTable seen = {};
	OpenHeld(server, &table, subscription);
	StartHeld(server, &table);
	while (NextHeld(server, &table, &event)) {
		if (FindStream(seen, event.stream) == nullptr) {
			(void)AddStream(server, &seen, event.stream);
			ReleaseNext(server, &table, event.stream);
		}
		FreeHeld(event);
	}
	CloseHeld(server, &table);
	CommandCounterIncrement();
}

} // namespace auren::pg
