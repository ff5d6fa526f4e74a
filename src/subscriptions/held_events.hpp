#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "subscriptions/subscription.hpp"

namespace auren::pg {

/*
 * The events that a subscription holds: those that its checkpoints may pass, or have passed, although they are not done
 * (auren.subscription_held). Whoever changes the row of an event has its share locked, except events.unpark, which makes a parked event
 * one that is to be retried.
 *
 * The first row of a stream that is not passed over (a parked one is, where streams do not wait) is never `waiting`: a fetch
 * finds the streams that have something to give by their due rows, and the rows after those by the stream.
 */
enum class HeldState : char {
	kDue,     // may be given
	kRetry,   // may be given from its time on
	kWaiting, // comes after another held event of its stream
	kParked
};

struct HeldEvent {
	ItemPointerData tid;
	int64 position;
	int share;
	Datum stream;
	HeldState state;
	int attempts;     // failed ones
	int64 not_before; // kRetry alone
	Datum reason;     // 0: none
	int64 since;      // when it came here or failed last; 0: now
};

// Gives back what an event points to.
void FreeHeld(const HeldEvent &event);

// The table and its three indexes, open under one snapshot. It does not show what was written since: close it, and open it anew.
struct HeldTable {
	const Subscription *subscription;
	Relation heap;
	Relation indexes[3];
	IndexScanDesc scans[3];
	Snapshot snapshot;
	TupleTableSlot *slot;
	MemoryContext context; // of the scans
};
// Makes the rows that this command wrote visible, and opens the table under the newest snapshot.
void OpenHeld(Server server, HeldTable *table, const Subscription &subscription);
void CloseHeld(Server server, HeldTable *table);

// The event that is held at a position, or whether one is.
bool HeldAt(Server server, HeldTable *table, int64 position, HeldEvent *event);
bool IsHeld(Server server, HeldTable *table, int64 position);

// The first held event of a stream after a position. Where streams do not wait, parked ones are passed over.
bool NextHeldOfStream(Server server, HeldTable *table, Datum stream, int64 after, HeldEvent *event);

// All of a subscription in order of position.
void StartHeld(Server server, HeldTable *table);
bool NextHeld(Server server, HeldTable *table, HeldEvent *event);

/*
 * Calls visit(&event) for each event that a subscription holds, in order of position; it may change the event's row. What visit allocates is
 * given back after each event.
 */
template <typename F>
void
ForEachHeld(Server server, const Subscription &subscription, F &&visit) {
	HeldTable table;
	HeldEvent event;
	OpenHeld(server, &table, subscription);
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "auren_events held event", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);
	StartHeld(server, &table);
	while (NextHeld(server, &table, &event)) {
		visit(&event);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
	CloseHeld(server, &table);
}

// Whether a fetch may give an event, nothing before it in its stream being held.
inline bool
MayBeGiven(const HeldEvent &event, int64 now) {
	return event.state != HeldState::kParked && (event.state != HeldState::kRetry || event.not_before <= now);
}

void InsertHeld(Server server, const Subscription &subscription, const HeldEvent &event);
void DeleteHeld(Server server, ItemPointer tid);
// Deletes what a subscription holds.
void DeleteAllHeld(Server server, const Subscription &subscription);

// After the first held event of a stream is gone, or is passed over: the next one may be found.
void ReleaseNext(Server server, HeldTable *table, Datum stream);

// Events of a share whose time has come are found from now on.
void ReleaseInTime(Server server, HeldTable *table, int share, int64 now);

/*
 * What is known of some streams, by their ids. Entries stay where they are until the memory context goes.
 */
struct StreamEntry {
	StreamEntry *chain; // next one of its slot
	uint64 hash;
	Datum stream;
	bool ended;     // no event of it is held after those that were looked at
	HeldEvent next; // else the first of the others
};
struct StreamTable {
	StreamEntry **slots;
	uint64 slot_count; // a power of two, or 0
	uint64 count;
};
// The entry of a stream; nullptr when there is none.
StreamEntry *FindStream(const StreamTable &streams, Datum stream);
// Adds a stream that has no entry. What it points to is copied.
StreamEntry *AddStream(Server server, StreamTable *streams, Datum stream);

/*
 * The due events of a share in order of position, while a fetch goes through them.
 */
struct DueScan {
	Relation index;
	IndexScanDesc scan;
	int64 position; // PG_INT64_MAX: no further one
	Datum stream;
};
void StartDue(Server server, HeldTable *table, int share, DueScan *due);
void AdvanceDue(Server server, HeldTable *table, DueScan *due);
void EndDue(Server server, DueScan *due);

} // namespace auren::pg
