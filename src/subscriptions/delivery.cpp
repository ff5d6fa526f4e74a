#include "subscriptions/delivery.hpp"

#include <cstring>

#include "counts/counts.hpp"
#include "feed/feed_horizon.hpp"
#include "server/text.hpp"
#include "store/shown_tags.hpp"
#include "subscriptions/held_events.hpp"

namespace auren::pg {

namespace {

// Events that a fetch looks at, at most: one whose filter lets nothing through moves the checkpoint and ends.
constexpr int64 kFetchBudget = 1000000;

[[noreturn]] void
RaiseLeaseLost(Server, const text *consumer) {
	ereport(ERROR,
	        (errcode(MAKE_SQLSTATE('Z', 'E', '0', '0', '5')), errmsg("consumer \"%s\" has no lease on the subscription", text_to_cstring(consumer)),
	         errdetail("It fetched nothing yet, or its lease ended before it came back, and others may have been given its events."),
	         errhint("Fetch again, and take what comes as not done before.")));
}

// The shares of a consumer, locked; the others have locked = false. ZE005 when it has none.
Share *
OwnShares(Server server, const Subscription &subscription, const text *consumer) {
	const int64 now = GetCurrentTimestamp();
	Share *shares = ReadShares(server, subscription);
	bool any = false;
	for (int i = 0; i < subscription.shares; i++) {
		if (!HasShare(shares[i], consumer)) {
			continue;
		}
		if (!LockShare(server, subscription, i)) {
			if (shares[i].lease_until < now) {
				continue; // another consumer is taking it
			}
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			                errmsg("a share of consumer \"%s\" is in use by another transaction", text_to_cstring(consumer)),
			                errdetail("Two sessions call with one consumer's name."), errhint("Give each session a name of its own.")));
		}
		shares[i] = ReadShare(server, subscription, i);
		// within the transaction that fetched it a share stays, however long that takes
		shares[i].locked = HasShare(shares[i], consumer) && (shares[i].lease_until >= now || shares[i].written_by_us);
		any |= shares[i].locked;
	}
	if (!any) {
		RaiseLeaseLost(server, consumer);
	}
	return shares;
}

// Whether the share's consumer may have something in hand.
bool
HasInHand(const Share &share) {
	return share.delivered > share.checkpoint || share.given_count > 0;
}

enum class Reading { kFound, kGone, kLater };

// The event at a position, in *row; the scan has to be ended. kLater: the transaction's fixed snapshot does not see it yet.
Reading
ReadEventAt(Server server, FeedScan *scan, const FeedFilter &filter, int64 position, EventRow *row) {
	BeginFeedScan(server, scan, filter, position - 1, position, FeedEvents::kFlushed);
	int64 budget = 2;
	if (NextFeedEvent(server, scan, row, &budget)) {
		return Reading::kFound;
	}
	return budget == 0 ? Reading::kLater : Reading::kGone;
}

void
PutEvent(Server server, const Rows &rows, const EventRow &row, int share, int attempts) {
	Count(Work::kEventsFetched);
	static const bool isnull[12] = {};
	const Datum tags = ShownTags(server, row);
	const Datum values[12] = {row.values[kEventId],   row.values[kGlobalPosition], row.values[kStreamId],   row.values[kStreamVersion],
	                          row.values[kEventType], row.values[kEventData],      row.values[kMetadata],   row.values[kCreatedAt],
	                          row.values[kCreatedBy], Int32GetDatum(share),        Int32GetDatum(attempts), tags};
	PutRow(server, rows, values, isnull);
	if (tags != row.values[kTags]) {
		pfree(DatumGetPointer(tags)); // made by a rule
	}
}

// Positions in ascending order.
struct Positions {
	int64 *items;
	int count;
	int capacity;
};

void
Add(Server, Positions *positions, int64 position) {
	if (positions->count == positions->capacity) {
		positions->capacity = positions->capacity == 0 ? 16 : positions->capacity * 2;
		const Size size = sizeof(int64) * static_cast<Size>(positions->capacity);
		positions->items = static_cast<int64 *>(positions->items == nullptr ? palloc(size) : repalloc_huge(positions->items, size));
	}
	positions->items[positions->count++] = position;
}

// Streams with a held event that may be given, by its position: a heap, the lowest at its top.
struct StreamHeap {
	StreamEntry **items;
	int count;
	int capacity;
};

bool
Precedes(const StreamEntry *a, const StreamEntry *b) {
	return a->next.position < b->next.position;
}

void
Push(Server, StreamHeap *heap, StreamEntry *entry) {
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
		const Size size = sizeof(StreamEntry *) * static_cast<Size>(heap->capacity);
		heap->items = static_cast<StreamEntry **>(heap->items == nullptr ? palloc(size) : repalloc_huge(heap->items, size));
	}
	int at = heap->count++;
	for (; at > 0 && Precedes(entry, heap->items[(at - 1) / 2]); at = (at - 1) / 2) {
		heap->items[at] = heap->items[(at - 1) / 2];
	}
	heap->items[at] = entry;
}

StreamEntry *
Pop(StreamHeap *heap) {
	StreamEntry *top = heap->items[0];
	StreamEntry *last = heap->items[--heap->count];
	int at = 0;
	for (int child = 1; child < heap->count; child = at * 2 + 1) {
		if (child + 1 < heap->count && Precedes(heap->items[child + 1], heap->items[child])) {
			child++;
		}
		if (!Precedes(heap->items[child], last)) {
			break;
		}
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = last;
	return top;
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
	bool *lost;       // of a share: its consumer did not come back before its lease ended
	bool *changed;    // likewise: its row must be written
	int64 *last;      // likewise: last event given that is not held
	Positions *given; // likewise: held events given
	bool holds;       // whether any of the shares holds events; what follows is only of use then
	HeldTable held;
	DueScan *due;
	int due_count;
	StreamTable streams; // those of which something is held, as far as they were met
	StreamHeap heap;
	int64 gone; // held events that are no longer there
};

/*
 * Which shares the consumer has in this fetch: those it had, but no more than its part, and free ones up to it. *lost of a
 * share: its last consumer, or this one, did not come back before the lease ended.
 */
int
AssignShares(Server server, Fetching *fetching) {
	const Subscription &subscription = *fetching->subscription;
	text *consumer = fetching->consumer;
	const int64 now = fetching->now;
	Share *shares = fetching->shares;
	const int consumers = CountConsumers(server, subscription, consumer, now);
	const int part = (subscription.shares + consumers - 1) / consumers;
	int kept = 0;
	for (int i = 0; i < subscription.shares; i++) {
		if (!HasShare(shares[i], consumer) || !LockShare(server, subscription, i)) {
			continue;
		}
		shares[i] = ReadShare(server, subscription, i);
		shares[i].locked = HasShare(shares[i], consumer);
		if (!shares[i].locked) {
			UnlockShare(server, subscription, i);
			continue;
		}
		fetching->lost[i] = shares[i].lease_until < now && !shares[i].written_by_us;
		kept++;
	}
	for (int i = subscription.shares - 1; i >= 0 && kept > part; i--) {
		if (shares[i].locked && !HasInHand(shares[i])) {
			shares[i].consumer = cstring_to_text("");
			shares[i].lease_until = now;
			WriteShare(server, subscription, i, shares[i]);
			shares[i].locked = false;
			kept--;
		}
	}
	const int first = ShareOf(PointerGetDatum(consumer), subscription.shares);
	for (int k = 0; k < subscription.shares && kept < part; k++) {
		const int i = (first + k) % subscription.shares;
		const auto is_free = [&] {
			return !HasShare(shares[i], consumer) && (VARSIZE_ANY_EXHDR(shares[i].consumer) == 0 || shares[i].lease_until < now);
		};
		if (shares[i].locked || !is_free() || !LockShare(server, subscription, i)) {
			continue;
		}
		shares[i] = ReadShare(server, subscription, i);
		if (!is_free()) {
			UnlockShare(server, subscription, i);
			continue;
		}
		fetching->lost[i] = VARSIZE_ANY_EXHDR(shares[i].consumer) > 0;
		shares[i].consumer = consumer;
		shares[i].locked = true;
		fetching->changed[i] = true;
		kept++;
	}
	return kept;
}

// The first event in hand of a share, held or not, and its failed attempts; false when nothing is in hand.
bool
FirstInHand(Server server, HeldTable *table, const Share &share, int number, HeldEvent *first) {
	const Subscription &subscription = *table->subscription;
	const bool held = share.given_count > 0 && HeldAt(server, table, share.given[0], first);
	if (share.delivered <= share.checkpoint) {
		return held;
	}
	FeedScan scan;
	EventRow row;
	int64 budget = PG_INT64_MAX;
	bool found = false;
	BeginFeedScan(server, &scan, subscription.filter, share.checkpoint, held ? Min(first->position, share.delivered) : share.delivered,
	              FeedEvents::kFlushed);
	while (!found && NextFeedEvent(server, &scan, &row, &budget)) {
		const int64 position = DatumGetInt64(row.values[kGlobalPosition]);
		found = ShareOf(row.values[kStreamId], subscription.shares) == number && !IsHeld(server, table, position);
		if (found) {
			std::memset(first, 0, sizeof *first);
			first->position = position;
			first->share = number;
			first->stream = datumCopy(row.values[kStreamId], false, -1);
		}
	}
	EndFeedScan(server, &scan);
	return found || held;
}

// The first event that was in the hands of a consumer that did not come back counts as failed: it may have been what ended it.
void
SettleLostShare(Server server, Fetching *fetching, int number) {
	const Subscription &subscription = *fetching->subscription;
	Share *share = &fetching->shares[number];
	HeldTable table;
	HeldEvent first;
	OpenHeld(server, &table, subscription);
	if (FirstInHand(server, &table, *share, number, &first)) {
		if (ItemPointerIsValid(&first.tid)) {
			DeleteHeld(server, &first.tid);
		} else {
			share->held++;
		}
		CountWhenCommitted(Committed::kLeasesLost);
		const bool parked = ++first.attempts >= subscription.max_attempts;
		first.state = parked ? HeldState::kParked : HeldState::kRetry;
		first.not_before = fetching->now;
		first.reason = PointerGetDatum(cstring_to_text("consumers were given it and did not come back"));
		first.since = 0;
		InsertHeld(server, subscription, first);
		CountWhenCommitted(Committed::kEventsParked, parked ? 1 : 0);
		if (parked && !subscription.stream_waits) {
			CloseHeld(server, &table);
			OpenHeld(server, &table, subscription);
			ReleaseNext(server, &table, first.stream);
		}
	}
	CloseHeld(server, &table);
	share->delivered = share->checkpoint;
	share->given_count = 0;
	fetching->changed[number] = true;
}

// Makes ready what the shares hold. Their rows do not change under the fetch: the shares are locked.
void
BeginHeld(Server server, Fetching *fetching) {
	const Subscription &subscription = *fetching->subscription;
	for (int i = 0; i < subscription.shares; i++) {
		fetching->holds |= fetching->shares[i].locked && fetching->shares[i].held > 0;
	}
	if (!fetching->holds) {
		return;
	}
	HeldTable *table = &fetching->held;
	OpenHeld(server, table, subscription);
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching->shares[i].locked && fetching->shares[i].held > 0) {
			ReleaseInTime(server, table, i, fetching->now);
		}
	}
	CloseHeld(server, table);
	OpenHeld(server, table, subscription);
	fetching->due = static_cast<DueScan *>(palloc(sizeof(DueScan) * static_cast<Size>(subscription.shares)));
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching->shares[i].locked && fetching->shares[i].held > 0) {
			StartDue(server, table, i, &fetching->due[fetching->due_count++]);
		}
	}
}

void
PushNext(Server server, Fetching *fetching, StreamEntry *entry) {
	if (!entry->ended && MayBeGiven(entry->next, fetching->now)) {
		Push(server, &fetching->heap, entry);
	}
}

// What a stream has that is held; nullptr when nothing.
StreamEntry *
HeldOfStream(Server server, Fetching *fetching, Datum stream) {
	StreamEntry *entry = FindStream(fetching->streams, stream);
	HeldEvent first;
	if (entry == nullptr && NextHeldOfStream(server, &fetching->held, stream, PG_INT64_MIN, &first)) {
		entry = AddStream(server, &fetching->streams, stream);
		entry->next = first;
		PushNext(server, fetching, entry);
	}
	return entry;
}

// Gives the next held event of a stream, or has its stream wait.
void
GiveHeld(Server server, Fetching *fetching, StreamEntry *entry) {
	const FeedFilter all = {fetching->subscription->filter.tenant, nullptr, 0, 0, 0, {nullptr, 0}};
	HeldEvent *event = &entry->next;
	FeedScan scan;
	EventRow row;
	const Reading reading = ReadEventAt(server, &scan, all, event->position, &row);
	if (reading == Reading::kFound) {
		PutEvent(server, *fetching->rows, row, event->share, event->attempts);
		fetching->left--;
		Add(server, &fetching->given[event->share], event->position);
	} else if (reading == Reading::kGone) {
		// with its month, or not for this consumer's eyes: passed by, as such an event of the feed is
		DeleteHeld(server, &event->tid);
		fetching->shares[event->share].held--;
		fetching->changed[event->share] = true;
		fetching->gone++;
	}
	EndFeedScan(server, &scan);
	if (reading != Reading::kLater) {
		const HeldEvent given = *event;
		entry->ended = !NextHeldOfStream(server, &fetching->held, entry->stream, given.position, event);
		FreeHeld(given);
		PushNext(server, fetching, entry);
	}
}

// Gives the held events that may be given before a position.
void
GiveHeldBefore(Server server, Fetching *fetching, int64 before) {
	while (fetching->holds && fetching->left > 0) {
		CHECK_FOR_INTERRUPTS();
		DueScan *first = nullptr;
		for (int i = 0; i < fetching->due_count; i++) {
			first = first == nullptr || fetching->due[i].position < first->position ? &fetching->due[i] : first;
		}
		const int64 due = first != nullptr ? first->position : PG_INT64_MAX;
		const int64 top = fetching->heap.count > 0 ? fetching->heap.items[0]->next.position : PG_INT64_MAX;
		if (Min(due, top) >= before) {
			return;
		}
		if (due <= top) {
			(void)HeldOfStream(server, fetching, first->stream);
			AdvanceDue(server, &fetching->held, first);
		} else {
			GiveHeld(server, fetching, Pop(&fetching->heap));
		}
	}
}

// Gives an event after the checkpoint, or holds it.
void
GiveEvent(Server server, Fetching *fetching, const EventRow &row) {
	const Datum stream = row.values[kStreamId];
	const int64 position = DatumGetInt64(row.values[kGlobalPosition]);
	const int number = ShareOf(stream, fetching->subscription->shares);
	Share *share = &fetching->shares[number];
	if (!share->locked || position <= share->checkpoint) {
		return;
	}
	if (share->held > 0) {
		if (position <= share->examined && IsHeld(server, &fetching->held, position)) {
			return;
		}
		const StreamEntry *entry = HeldOfStream(server, fetching, stream);
		if (entry != nullptr && !entry->ended && entry->next.position < position) {
			HeldEvent event = {};
			event.position = position;
			event.share = number;
			event.stream = stream;
			event.state = HeldState::kWaiting;
			InsertHeld(server, *fetching->subscription, event);
			share->held++;
			fetching->changed[number] = true;
			return;
		}
	}
	PutEvent(server, *fetching->rows, row, number, 0);
	fetching->last[number] = position;
	fetching->left--;
}

// In order of position over all shares, so that a consumer may acknowledge one event after the other. Returns how far it looked.
int64
GiveInOrder(Server server, Fetching *fetching) {
	const Subscription &subscription = *fetching->subscription;
	int64 from = PG_INT64_MAX;
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching->shares[i].locked) {
			from = Min(from, fetching->shares[i].checkpoint);
		}
	}
	FeedScan scan;
	EventRow row;
	int64 budget = kFetchBudget;
	BeginFeedScan(server, &scan, subscription.filter, from, FeedHorizon(server), FeedEvents::kFlushed);
	while (fetching->left > 0 && NextFeedEvent(server, &scan, &row, &budget)) {
		GiveHeldBefore(server, fetching, DatumGetInt64(row.values[kGlobalPosition]));
		if (fetching->left == 0) {
			// the event stays after what was looked at
			scan.examined = DatumGetInt64(row.values[kGlobalPosition]) - 1;
			break;
		}
		GiveEvent(server, fetching, row);
	}
	const int64 examined = scan.examined;
	EndFeedScan(server, &scan);
	GiveHeldBefore(server, fetching, examined + 1);
	return examined;
}

void
EndHeld(Server server, Fetching *fetching) {
	if (!fetching->holds) {
		return;
	}
	for (int i = 0; i < fetching->due_count; i++) {
		EndDue(server, &fetching->due[i]);
	}
	CloseHeld(server, &fetching->held);
	if (fetching->gone == 0) {
		return;
	}
	OpenHeld(server, &fetching->held, *fetching->subscription);
	for (uint64 slot = 0; slot < fetching->streams.slot_count; slot++) {
		for (StreamEntry *entry = fetching->streams.slots[slot]; entry != nullptr; entry = entry->chain) {
			ReleaseNext(server, &fetching->held, entry->stream);
		}
	}
	CloseHeld(server, &fetching->held);
}

bool
SamePositions(const Share &share, const Positions &positions) {
	return share.given_count == positions.count &&
	       (positions.count == 0 || std::memcmp(share.given, positions.items, sizeof(int64) * static_cast<Size>(positions.count)) == 0);
}

// Writes how far a fetch came with a share, and what the consumer has in hand of it now.
void
WriteFetched(Server server, Fetching *fetching, int number, int64 examined) {
	const Subscription &subscription = *fetching->subscription;
	Share *share = &fetching->shares[number];
	const Positions &given = fetching->given[number];
	const int64 reached = Max(examined, share->checkpoint);
	// a share of which nothing but held events is in hand moves on
	const bool moves = fetching->last[number] == 0;
	const int64 checkpoint = moves ? reached : share->checkpoint;
	const int64 delivered = moves ? reached : fetching->last[number];
	if (fetching->changed[number] || checkpoint != share->checkpoint || delivered != share->delivered || reached != share->reached ||
	    !SamePositions(*share, given) || share->lease_until - fetching->now < subscription.lease / 2) {
		share->checkpoint = checkpoint;
		share->delivered = delivered;
		share->reached = reached;
		share->examined = Max(share->examined, reached);
		share->given = given.items;
		share->given_count = given.count;
		share->lease_until = fetching->now + subscription.lease;
		WriteShare(server, subscription, number, *share);
	}
}

// A fetch of no events: what was in hand stays so.
void
RenewLeases(Server server, Fetching *fetching) {
	for (int i = 0; i < fetching->subscription->shares; i++) {
		Share *share = &fetching->shares[i];
		if (share->locked) {
			share->lease_until = fetching->now + fetching->subscription->lease;
			WriteShare(server, *fetching->subscription, i, *share);
		}
	}
}

} // namespace

void
Fetch(Server server, const Subscription &subscription, text *consumer, int64 limit, const Rows &rows) {
	Count(Work::kFetches);
	const Size count = static_cast<Size>(subscription.shares);
	Fetching fetching;
	std::memset(&fetching, 0, sizeof fetching);
	fetching.subscription = &subscription;
	fetching.consumer = consumer;
	fetching.rows = &rows;
	fetching.now = GetCurrentTimestamp();
	fetching.left = limit;
	fetching.shares = ReadShares(server, subscription);
	fetching.lost = static_cast<bool *>(palloc0(sizeof(bool) * count));
	fetching.changed = static_cast<bool *>(palloc0(sizeof(bool) * count));
	fetching.last = static_cast<int64 *>(palloc0(sizeof(int64) * count));
	fetching.given = static_cast<Positions *>(palloc0(sizeof(Positions) * count));
	if (AssignShares(server, &fetching) == 0) {
		return;
	}
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching.lost[i] && fetching.shares[i].locked) {
			SettleLostShare(server, &fetching, i);
		}
	}
	CommandCounterIncrement();
	if (limit == 0) {
		RenewLeases(server, &fetching);
		CommandCounterIncrement();
		return;
	}
	BeginHeld(server, &fetching);
	const int64 examined = GiveInOrder(server, &fetching);
	EndHeld(server, &fetching);
	for (int i = 0; i < subscription.shares; i++) {
		if (fetching.shares[i].locked) {
			WriteFetched(server, &fetching, i, examined);
		}
	}
	CommandCounterIncrement();
}

namespace {

// Deletes the held events of a share that were in hand up to a position. Notes their streams.
void
FinishHeld(Server server, HeldTable *table, Share *share, int64 position, StreamTable *streams) {
	int done = 0;
	for (; done < share->given_count && share->given[done] <= position; done++) {
		HeldEvent event;
		if (!HeldAt(server, table, share->given[done], &event)) {
			continue;
		}
		DeleteHeld(server, &event.tid);
		share->held--;
		if (FindStream(*streams, event.stream) == nullptr) {
			(void)AddStream(server, streams, event.stream);
		}
		FreeHeld(event);
	}
	share->given += done;
	share->given_count -= done;
}

void
ReleaseStreams(Server server, const Subscription &subscription, const StreamTable &streams) {
	HeldTable table;
	OpenHeld(server, &table, subscription);
	for (uint64 slot = 0; slot < streams.slot_count; slot++) {
		for (StreamEntry *entry = streams.slots[slot]; entry != nullptr; entry = entry->chain) {
			ReleaseNext(server, &table, entry->stream);
		}
	}
	CloseHeld(server, &table);
}

// Whether anything of a consumer's shares is done by this; the held events among it are in *streams.
bool
FinishShare(Server server, const Subscription &subscription, Share *share, int64 position, StreamTable *streams) {
	const bool held = share->given_count > 0 && share->given[0] <= position;
	if (held) {
		HeldTable table;
		OpenHeld(server, &table, subscription);
		FinishHeld(server, &table, share, position, streams);
		CloseHeld(server, &table);
	}
	if (share->checkpoint >= position || share->delivered <= share->checkpoint) {
		return held;
	}
	if (position >= share->delivered) {
		share->checkpoint = share->delivered = Max(share->reached, share->checkpoint);
	} else {
		share->checkpoint = position;
	}
	return true;
}

} // namespace

void
Acknowledge(Server server, const Subscription &subscription, text *consumer, int64 position) {
	CountWhenCommitted(Committed::kAcknowledgements);
	Share *shares = OwnShares(server, subscription, consumer);
	int64 examined = 0;
	for (int i = 0; i < subscription.shares; i++) {
		examined = shares[i].locked ? Max(examined, shares[i].examined) : examined;
	}
	if (position > examined) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("position " INT64_FORMAT " was not given to consumer \"%s\"", position, text_to_cstring(consumer)),
		                errdetail("It was given events up to position " INT64_FORMAT ".", examined),
		                errhint("Acknowledge the position of an event that was fetched.")));
	}
	const int64 now = GetCurrentTimestamp();
	StreamTable streams = {};
	for (int i = 0; i < subscription.shares; i++) {
		Share *share = &shares[i];
		if (!share->locked) {
			continue;
		}
		const bool changed = FinishShare(server, subscription, share, position, &streams);
		if (changed || share->lease_until - now < subscription.lease / 2) {
			share->lease_until = now + subscription.lease;
			WriteShare(server, subscription, i, *share);
		}
	}
	if (streams.count > 0) {
		ReleaseStreams(server, subscription, streams);
	}
	CommandCounterIncrement();
}

namespace {

// Takes what the consumer has in hand of a stream after a position out of its hands.
void
TakeBack(Server server, HeldTable *table, Share *share, const HeldEvent &failed) {
	const Subscription &subscription = *table->subscription;
	int kept = 0;
	for (int i = 0; i < share->given_count; i++) {
		HeldEvent event;
		bool of_stream = false;
		if (share->given[i] > failed.position && HeldAt(server, table, share->given[i], &event)) {
			of_stream = SameText(event.stream, failed.stream);
			FreeHeld(event);
		}
		if (!of_stream) {
			share->given[kept++] = share->given[i];
		}
	}
	share->given_count = kept;
	FeedScan scan;
	EventRow row;
	int64 budget = PG_INT64_MAX;
	BeginFeedScan(server, &scan, subscription.filter, Max(failed.position, share->checkpoint), share->delivered, FeedEvents::kFlushed);
	while (NextFeedEvent(server, &scan, &row, &budget)) {
		const int64 position = DatumGetInt64(row.values[kGlobalPosition]);
		if (SameText(row.values[kStreamId], failed.stream) && !IsHeld(server, table, position)) {
			HeldEvent event = {};
			event.position = position;
			event.share = failed.share;
			event.stream = failed.stream;
			event.state = HeldState::kWaiting;
			InsertHeld(server, subscription, event);
			share->held++;
		}
	}
	EndFeedScan(server, &scan);
}

bool
RemoveGiven(Share *share, int64 position) {
	for (int i = 0; i < share->given_count; i++) {
		if (share->given[i] == position) {
			share->given_count--;
			std::memmove(&share->given[i], &share->given[i + 1], sizeof(int64) * static_cast<Size>(share->given_count - i));
			return true;
		}
	}
	return false;
}

// The event at a position, if it is in the hands of the shares' consumer; it is taken out of them.
bool
TakeFromHand(Server server, HeldTable *table, Share *shares, int64 position, HeldEvent *event) {
	const Subscription &subscription = *table->subscription;
	if (HeldAt(server, table, position, event)) {
		return shares[event->share].locked && RemoveGiven(&shares[event->share], position);
	}
	FeedScan scan;
	EventRow row;
	const bool found = ReadEventAt(server, &scan, subscription.filter, position, &row) == Reading::kFound;
	if (found) {
		std::memset(event, 0, sizeof *event);
		event->position = position;
		event->stream = datumCopy(row.values[kStreamId], false, -1);
		event->share = ShareOf(event->stream, subscription.shares);
	}
	EndFeedScan(server, &scan);
	return found && shares[event->share].locked && position > shares[event->share].checkpoint && position <= shares[event->share].delivered;
}

struct Failure {
	int64 position;
	HeldState becomes;
	int64 delay;  // microseconds
	Datum reason; // 0: none
};

void
Fail(Server server, const Subscription &subscription, text *consumer, const Failure &failure) {
	Share *shares = OwnShares(server, subscription, consumer);
	HeldTable table;
	HeldEvent event;
	OpenHeld(server, &table, subscription);
	if (!TakeFromHand(server, &table, shares, failure.position, &event)) {
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		     errmsg("position " INT64_FORMAT " is not in the hands of consumer \"%s\"", failure.position, text_to_cstring(consumer)),
		     errdetail("Its last fetch gave no event of that position, or it is acknowledged, told to have failed, or waits for one that failed."),
		     errhint("Give the global_position of an event that was fetched.")));
	}
	Share *share = &shares[event.share];
	if (ItemPointerIsValid(&event.tid)) {
		DeleteHeld(server, &event.tid);
	} else {
		share->held++;
	}
	event.attempts++;
	event.state = event.attempts >= subscription.max_attempts ? HeldState::kParked : failure.becomes;
	event.not_before = GetCurrentTimestamp() + failure.delay;
	event.reason = failure.reason;
	event.since = 0;
	InsertHeld(server, subscription, event);
	CountWhenCommitted(event.state == HeldState::kParked ? Committed::kEventsParked : Committed::kRetries);
	const bool stream_goes_on = event.state == HeldState::kParked && !subscription.stream_waits;
	if (!stream_goes_on) {
		TakeBack(server, &table, share, event);
	}
	CloseHeld(server, &table);
	if (stream_goes_on) {
		OpenHeld(server, &table, subscription);
		ReleaseNext(server, &table, event.stream);
		CloseHeld(server, &table);
	}
	WriteShare(server, subscription, event.share, *share);
	CommandCounterIncrement();
}

} // namespace

void
Retry(Server server, const Subscription &subscription, text *consumer, int64 position, int64 delay, Datum reason) {
	Fail(server, subscription, consumer, {position, HeldState::kRetry, delay, reason});
}

void
Park(Server server, const Subscription &subscription, text *consumer, int64 position, Datum reason) {
	Fail(server, subscription, consumer, {position, HeldState::kParked, 0, reason});
}

bool
HasPassed(Server server, const Subscription &subscription, int64 position) {
	const Share *shares = ReadShares(server, subscription);
	for (int i = 0; i < subscription.shares; i++) {
		if (shares[i].checkpoint < position) {
			return false;
		}
	}
	HeldTable table;
	HeldEvent event;
	bool passed = true;
	OpenHeld(server, &table, subscription);
	StartHeld(server, &table);
	while (passed && NextHeld(server, &table, &event) && event.position <= position) {
		passed = event.state == HeldState::kParked;
		FreeHeld(event);
	}
	CloseHeld(server, &table);
	return passed;
}

} // namespace auren::pg
