#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"
#include "store/query.hpp"
#include "store/tag_arguments.hpp"

namespace auren::pg {

/*
 * Which events of the feed a reader asks for. Datums are texts that are not toasted and outlive the scan.
 */
struct FeedFilter {
	Datum tenant;       // 0: all
	const Datum *types; // nullptr: all
	int type_count;
	Datum category; // 0: all
	Datum prefix;   // 0: all
	EventTags tags; // sorted by their bytes; an event must have all of them
};

/*
 * Which events a reader is given. A commit is seen before it is safe from a crash (synchronous_commit = off): an event that goes to a reader
 * outside the database must not be one that a crash takes back, so its commit is flushed before it is given.
 */
enum class FeedEvents { kCommitted, kFlushed };

/*
 * What has to be known of an event's transaction before a reader gets the event. Above READ COMMITTED the transaction's fixed snapshot must see it:
 * one that it does not see is the end of what may be read.
 */
struct EventGate {
	Snapshot fixed; // nullptr at READ COMMITTED
	FeedEvents given;
	XLogRecPtr flushed;
	TransactionId checked; // known to be flushed and seen by the fixed snapshot
};
EventGate OpenEventGate(Server server, FeedEvents given);
// Flushes the event's commit where it has to.
bool MayBeGiven(Server server, EventGate *gate, TransactionId inserter);
// Whether the fixed snapshot of this transaction, if it has one, sees what a transaction that has committed, or is this one, has written.
bool IsSeenByFixed(Server server, Snapshot fixed, TransactionId inserter);

// The next final event of a month that has one.
struct FeedMonth {
	Relation heap;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber attnum[kEventColumns];
	int64 position; // of the event in the slot
};

/*
 * Reads final events in order of position, of every month, by the months' position indexes. It reads by a snapshot of its own, taken
 * after the horizon: the statement's may be older. Above READ COMMITTED an event that the transaction's fixed snapshot does
 * not see is the end: what comes after it is for a later transaction. Where row security applies, or a month lacks the
 * store's columns, the stream's index or that of positions, the events come through the executor.
 */
struct FeedScan {
	FeedFilter filter;
	UnpackedNames names;
	int64 horizon;
	ScanDirection direction; // backward: from the horizon to `after`
	Snapshot snapshot;       // registered
	EventGate gate;
	Relation events;
	MemoryContext context;     // of the scans
	MemoryContext tag_context; // of the tags of the event that is looked at; made when they are looked at first
	FeedMonth *months;
	int month_count;
	int current; // month whose event was given last, -1: none
	bool through_query;
	RunningQuery query;
	int64 examined; // position up to which every event was looked at
};

// Begins after a position, and reads up to a horizon (of FeedHorizon, taken before).
void BeginFeedScan(Server server, FeedScan *scan, const FeedFilter &filter, int64 after, int64 horizon, FeedEvents given);
// The same events from the last one on, at READ COMMITTED alone. False, and nothing begun, where another holds the lock of a month: it waits
// for none, so that the caller's locks cannot be part of a deadlock.
bool TryFeedScanBackward(Server server, FeedScan *scan, const FeedFilter &filter, int64 after, int64 horizon);
// The next event that the filter lets through; false after the last final one. At most `budget` events are looked at (it is
// counted down): false too when it is used up, scan->examined says how far it came.
bool NextFeedEvent(Server server, FeedScan *scan, EventRow *row, int64 *budget);
void EndFeedScan(Server server, FeedScan *scan);

} // namespace auren::pg
