#pragma once

#include "core/freshness.hpp"
#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Columns of events.event_store, in the table's order.
enum EventColumn : int {
	kEventId,
	kStreamId,
	kStreamVersion,
	kEventType,
	kEventData,
	kMetadata,
	kCreatedAt,
	kCreatedBy,
	kTenantId,
	kGlobalPosition,
	kEventColumns
};

struct StoreOids {
	Oid events;
	Oid stream_rows;
	Oid stream_rows_pkey;
	Oid supplied_ids;
	Oid supplied_ids_pkey;
	Oid positions;
	Oid bindings;
	Oid bindings_pkey;
	Oid reducers;
	Oid snapshots;
	Oid snapshots_index;
	Oid horizons;
	Oid horizons_index;
	Oid subscriptions;
	Oid subscriptions_pkey;
	Oid progress;
	Oid progress_index;
	Oid consumers;
	Oid consumers_index;
	Oid held;
	Oid held_pkey;
	Oid held_stream;
	Oid held_time;
	Oid notification_rules;
	Oid readings;
	Oid sources;
	Oid series;
	Oid series_names;
	Oid series_ids;
	Oid series_secret;
	Oid filled_sources;
	Oid refusals;
	Oid source_partitions;
	Oid deltas;
	Oid delta_packs;
	Oid rollups[3]; // five minutes, hours, days
	Oid rollup_keys[3];
	Oid rollup_periods;
	Oid metric_settings;
	Oid retention;
	Oid refresh_runs;
	Oid refresh_runs_finished;
	Oid data_keys;
	Oid data_keys_pkey;
	Oid key_uses;
	Oid key_uses_key;
	Oid forgotten;
	Oid forgotten_pkey;
	Oid personal_rules;
	Oid audit_log;

	// Whether a relation is one of them. They are all Oids, and nothing else is here.
	bool
	Has(Oid relid) const {
		const Oid *all = reinterpret_cast<const Oid *>(this);
		for (Size i = 0; i < sizeof(StoreOids) / sizeof(Oid); i++) {
			if (all[i] == relid) {
				return true;
			}
		}
		return false;
	}
};

/*
 * The extension's relations in this database, looked up once and again after any of them changed.
 */
const StoreOids &Oids(Server server);
// What Oids() last gave, for a cache's callback, which may look nothing up; nullptr when something changed since.
const StoreOids *KnownOids();

// Months between the epochs of PostgreSQL and Unix, in microseconds.
inline constexpr int64 kUnixEpochOffset = INT64CONST(946684800000000);

struct PartitionRange {
	Oid relid;   // InvalidOid: there is none
	int64 lower; // created_at, included
	int64 upper; // not included
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
	bool direct_read;  // a heap with the store's columns
	bool direct_write; // and nothing on it that only the executor would honour
	AttrNumber attnum[kEventColumns];
	int index_count;
	IndexShape *indexes;
	Oid stream_index;   // unique (tenant, stream, version), valid
	Oid event_id_index; // (event_id, tenant), valid
	Oid position_index; // (global_position), valid
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

void RegisterStoreCallbacks(Server server);

} // namespace auren::pg
