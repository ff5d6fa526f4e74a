#pragma once

#include "pg/postgres.hpp"
#include "pg/store.hpp"

namespace auren::pg {

/*
 * An event as read, by EventColumn. By-reference values live until the next one is read.
 */
struct EventRow {
	Datum values[kEventColumns];
};

// What an append has to know of an event that is there: the stream's newest, or the one that has a supplied id.
struct StoredEvent {
	bool found;
	bool visible; // to this transaction's snapshot where it is fixed (REPEATABLE READ and above), or our own
	EventRow row; // lives as long as the slot holds it
};

/*
 * An event of a partition as the holder of the stream's row finds it: the newest of a stream, by `index` on (tenant,
 * stream, version), the one at a position, or the one with an id. Server side, as all of this header.
 */
StoredEvent NewestEvent(Relation partition, Relation index, const AttrNumber *attnum, TupleTableSlot *slot, Datum tenant,
                        Datum stream);
StoredEvent EventAtPosition(Relation partition, const PartitionShape *shape, TupleTableSlot *slot, int64 position);
StoredEvent EventWithId(Relation partition, const PartitionShape *shape, TupleTableSlot *slot, Datum event_id, Datum tenant);

/*
 * Reads the events of a stream in order of version, or against it, from the months that hold some of them. Where row
 * security applies, or a partition is not of our make, the events come through the executor.
 */
struct StreamScan {
	// what to read; set by BeginStreamScan
	Datum tenant;
	Datum stream;
	int64 from_version;
	int64 to_version;
	bool backward;
	Snapshot snapshot;
	// where it stands
	Relation events;
	int64 lower; // created_at still to be read: [lower, upper)
	int64 upper;
	int64 dropped_version; // the stream's newest version whose month was dropped
	bool row_security;
	bool finished;
	Relation heap;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber attnum[kEventColumns];
	Portal portal;
	bool spi_connected;
	MemoryContext context;
	SPITupleTable *portal_rows;
	uint64 portal_row_count;
	uint64 portal_row;
};
void BeginStreamScan(StreamScan *scan, Datum tenant, Datum stream, int64 from_version, int64 to_version, bool backward,
                     Snapshot snapshot);
// False when there is no further event.
bool NextEvent(StreamScan *scan, EventRow *row);
void EndStreamScan(StreamScan *scan);

// Version of a stream for a reader, 0 when it has no event. A stream whose months were all dropped keeps its version.
int64 StreamVersion(Datum tenant, Datum stream, Snapshot snapshot);

/*
 * Prepares a statement on events.event_store that runs as the current user with the table's rights waived: the right to
 * call our function is enough, while policies and triggers see the caller. For one execution; inside an SPI connection
 * and with the table locked.
 */
SPIPlanPtr PrepareWaived(const char *sql, int argument_count, Oid *argument_types, int cursor_options);

// Columns of events.event_store in the order of EventColumn, for a select list.
extern const char *const kEventColumnList;

} // namespace auren::pg
