#pragma once

#include "core/freshness.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_columns.hpp"

namespace auren::pg {

struct PartitionRange {
	Oid relid;    // InvalidOid: there is none
	int64 lower;  // created_at, included
	int64 upper;  // not included
	bool archive; // it was dropped, and is there again of its archive (events.attach_archive), to be read
};

// The partition that holds a time.
PartitionRange FindPartition(Server server, Relation events, int64 micros);
// The first partition, in time's order or against it, that overlaps [lower, upper).
PartitionRange FirstPartition(Server server, Relation events, int64 lower, int64 upper, ScanDirection direction);

/*
 * One index of a month as an append needs it: what is kept across calls, so that an insert costs little more than the
 * access method's own work.
 */
struct IndexShape {
	Oid oid;
	bool unique;
	bool gin;
	int keys;
	int column[INDEX_MAX_KEYS]; // EventColumn of each key
	IndexInfo *info;
	Relation built_for; // never followed, only compared: info's cache holds this pointer
};

/*
 * What is known of a partition until it or one of its indexes changes.
 */
struct PartitionShape {
	Oid relid; // hash key
	Freshness freshness;
	bool direct_read;  // a heap with the store's columns and the stream's index
	bool direct_write; // and nothing on it that only the executor would honour
	AttrNumber attnum[kEventColumns];
	int index_count;
	IndexShape *indexes;
	Oid stream_index;      // unique (tenant, stream, version), valid
	Oid event_id_index;    // (event_id, tenant), valid
	Oid position_index;    // (global_position), valid
	Oid tenant_type_index; // (tenant, type, created_at), ascending, valid
	MemoryContext context;
};

/*
 * The shape of an open partition. The structure may be made anew when the next lock is taken; what its pointers lead to
 * lives to the end of the transaction at least.
 */
PartitionShape *ShapeOf(Server server, Relation partition);

/*
 * A partition that an append holds open: its heap, its indexes and what is kept of them.
 */
struct WritablePartition {
	Relation heap;
	bool direct_write;
	AttrNumber attnum[kEventColumns];
	int index_count;
	IndexShape *shapes;    // of the indexes
	Relation *indexes;     // likewise, open
	Relation stream_index; // one of them, or nullptr where the partition has none
	TupleTableSlot *slot;  // for rows read from it
};

/*
 * Opens a partition with its indexes for writing (RowExclusiveLock on each, kept to the end of the transaction).
 */
WritablePartition OpenForWrite(Server server, Oid relid);
void Close(Server server, const WritablePartition &partition);

/*
 * Whether rows of the parent may be written and read without the executor, as far as the parent decides: no insert
 * trigger, no rule, no row security that applies to the current user.
 */
bool ParentAllowsDirectWrite(Server server, Relation events);
bool RowSecurityApplies(Server server, Relation events);

// For _PG_init: from now on changes of the partitions are heard of.
void RegisterPartitions(Server server);

} // namespace auren::pg
