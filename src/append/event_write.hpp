#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_columns.hpp"
#include "store/partitions.hpp"
#include "store/tag_arguments.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

/*
 * Writes events to the months of their created_at: through the table and index access methods where nothing on the
 * table needs the executor, else by INSERT as the current user (policies, triggers and constraints see the caller).
 * Events are gathered and written a chunk at a time, and their entries in the index of tags after them.
 */
struct EventWriter {
	Relation events;
	bool direct_parent;
	int capacity; // events a chunk may hold
	int count;    // events gathered
	Datum (*values)[kEventColumns];
	EventTags *tags;
	ItemPointerData *tids;  // where the gathered events were put
	TupleTableSlot **slots; // of the open partition, used again and again
	MemoryContext slot_context;
	PartitionRange range; // of the open partition, where the gathered events go
	WritablePartition partition;
	bool partition_open;
	OpenTagMonth tags_month; // of the index of tags
	bool tags_open;
	int64 tags_lower; // its times: included,
	int64 tags_upper; // not included,
	int32 tags_day;   // and its first day
	SPIPlanPtr plan;
	bool spi_connected;
	MemoryContext context; // lives as long as the writer
	MemoryContext chunk;   // reset after each chunk; nullptr where a single event needs none
};

// `expected`: how many events will be written, to size the chunk
void BeginWrite(Server server, EventWriter *writer, Relation events, int expected);
/*
 * Opens the partition of a time, if another is open. Where there is none the range says so and nothing is open. Gathered
 * events are written first.
 */
void OpenMonth(Server server, EventWriter *writer, int64 micros);
// Opens the month of tags of a time, if another is open; it is writer->tags_month then. Raises 55000 where there is none.
void OpenTagsAt(Server server, EventWriter *writer, int64 micros);
// The open partition's index on (tenant, stream, version); raises 55000 where somebody has dropped it.
Relation StreamIndex(Server server, const EventWriter *writer);
// The values are used until the chunk is written: keep them until EndWrite, and the tags, by which the event is to be found.
void WriteEvent(Server server, EventWriter *writer, const Datum *values, EventTags tags);
void EndWrite(Server server, EventWriter *writer);

} // namespace auren::pg
