#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_columns.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/stream_row.hpp"

namespace auren::pg {

/*
 * An event as read, by EventColumn. By-reference values live until the next one is read.
 */
struct EventRow {
	Datum values[kEventColumns];
};

/*
 * Whether a table of events has the column of tags. It came with 0.2.0, and the module works under the SQL objects of 0.1.0 until they are updated:
 * there no event has tags.
 */
bool HasTagColumn(Server server, Relation events);
// The text[] without an element; it is not to be freed.
Datum NoTags();
// What stands for the tags in a select list.
const char *TagExpression(Server server, Relation events);
// Columns of the table of events in the order of EventColumn, for a select list. In the current memory context.
const char *EventColumnList(Server server, Relation events);

/*
 * Room for the names of the event read last, where the server had compressed them: it does so to the texts of a row of about 2 kB.
 * Made when it is needed first.
 */
struct UnpackedNames {
	MemoryContext parent;
	MemoryContext context;
};
// Makes tenant, stream and type plain texts (server/text.hpp), which live until the names are used again or forgotten.
void UnpackNames(Server server, EventRow *row, UnpackedNames *names);
void Forget(UnpackedNames *names);

// The event in a slot of a partition, whose columns have these numbers.
void ReadSlot(Server server, TupleTableSlot *slot, const AttrNumber *attnum, EventRow *row);

// The next event of a query whose select list begins with the columns of EventColumnList. Returns all columns of its row, which live until the next
// one is read; nullptr after the last event.
const Datum *NextQueriedEvent(Server server, RunningQuery *query, UnpackedNames *names, EventRow *row);

// What an append has to know of an event that is there: the stream's newest, or the one that has a supplied id.
struct StoredEvent {
	bool found;
	bool visible; // to this transaction's snapshot where it is fixed (REPEATABLE READ and above), or our own
	EventRow row; // lives as long as the slot holds it
};

/*
 * An event of a partition as the holder of the stream's row finds it: the newest of a stream, by `index` on (tenant,
 * stream, version), the one at a position, or the one with an id.
 */
StoredEvent NewestEvent(Server server, Relation partition, Relation index, const AttrNumber *attnum, TupleTableSlot *slot, Datum tenant,
                        Datum stream);
StoredEvent EventAtPosition(Server server, Relation partition, const PartitionShape *shape, TupleTableSlot *slot, int64 position);
StoredEvent EventWithId(Server server, Relation partition, const PartitionShape *shape, TupleTableSlot *slot, Datum event_id, Datum tenant);

/*
 * What is read of a stream: the versions from and to are included. No event of the stream that is older than `not_before` (created_at) is
 * among them.
 */
struct StreamPart {
	Datum tenant;
	Datum stream;
	int64 from_version;
	int64 to_version;
	int64 not_before;
	ScanDirection direction; // in order of version, or against it
};
inline StreamPart
WholeStream(Datum tenant, Datum stream) {
	return {tenant, stream, 1, PG_INT64_MAX, PG_INT64_MIN, ForwardScanDirection};
}

/*
 * Reads the events of a stream in order of version, or against it, from the months that hold some of them. Where row
 * security applies, or a partition lacks the store's columns or the stream's index (PartitionShape::direct_read), the events come
 * through the executor. One scan reads stream after stream, and keeps the month that it has open.
 */
struct StreamScan {
	// what it reads in
	Snapshot snapshot;
	MemoryContext context;
	UnpackedNames names;
	Relation events;
	StreamRows rows;
	bool row_security;
	StreamPart part; // set by StartStream
	// where it stands
	int64 lower; // created_at still to be read: [lower, upper)
	int64 upper;
	StreamRow row; // of the stream
	bool finished;
	bool reading; // the open month, or the query, may have further events of the stream
	// the month that is open
	Oid month;
	Relation heap;
	Relation index;
	IndexScanDesc scan;
	int key_count;
	TupleTableSlot *slot;
	AttrNumber attnum[kEventColumns];
	// the way through the executor: desc is nullptr while it is not taken
	RunningQuery query;
};
// Opens what every stream needs; the snapshot must be registered or active until the scan is ended.
void BeginStreamScan(Server server, StreamScan *scan, Snapshot snapshot);
// Goes to a stream.
void StartStream(Server server, StreamScan *scan, const StreamPart &part);
// False when there is no further event.
bool NextEvent(Server server, StreamScan *scan, EventRow *row);
void EndStreamScan(Server server, StreamScan *scan);

/*
 * Whoever gives the events of a stream one after the other asks this for each: where the ones between two were dropped with their months, because an
 * archive brought an older month back, that is 55000, naming the first version that is there again. *last is the version before, 0 at first.
 */
void RequireNothingBetween(Server server, const StreamScan &scan, const EventRow &row, int64 *last);

// Whether the month of the first event of the stream at hand is not there, or that of its newest one.
bool FirstMonthIsGone(Server server, const StreamScan &scan);
bool LastMonthIsGone(Server server, const StreamScan &scan);
// Whether the month of its first event was dropped, and is there of its archive. The two above take such a month for one that is gone.
bool FirstMonthIsArchive(Server server, const StreamScan &scan);

// What is known of a stream whose last month is gone: the version and the time of its last one. Version 0: nothing.
struct GoneStream {
	int64 version;
	int64 event_time; // PG_INT64_MIN: not known
};
GoneStream ReadGoneStream(Server server, const StreamScan &scan);

// Version of a stream for a reader, 0 when it has no event. A stream whose months were all dropped keeps its version.
int64 StreamVersion(Server server, Datum tenant, Datum stream, Snapshot snapshot);

} // namespace auren::pg
