#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// The number of biometric.biometric_events.
constexpr int32 kOwnSource = 1;

// A row of analytics.sources, palloc'ed; names are nullptr where there is none.
struct Source {
	int32 id;
	Oid relation; // InvalidOid: events
	const char *event_type;
	const char *tenant;
	const char *user;
	const char *device;
	const char *metric;
	const char *value;
	const char *time;
	const char *tenant_column;
	Jsonb *metrics;
	const char *samples;
	bool once;
	bool detached; // what is left of it goes with the next refresh
	bool filled;   // the rollups hold it; else it is read as it is, until the next refresh
};

/*
 * Sources as a server snapshot sees them, in the caller's memory context.
 */
struct Sources {
	Source *items;
	int count;
};
Sources ReadSources(Server server, Snapshot snapshot);

// The triggers of a source's tables; partitions have them too.
constexpr const char *kRowTrigger = "auren_record_row";
constexpr const char *kStatementTrigger = "auren_record_statement";
constexpr const char *kTruncateTrigger = "auren_record_truncate";

/*
 * The source that a table is of, itself or as a partition, as is committed or this transaction's; palloc'ed. nullptr: none.
 */
const Source *SourceOf(Server server, Oid relid);

/*
 * The partitions of sources are written down by OID, so that it is known which source lost one that went with something else: a table and
 * what is below it, of a source.
 */
void RecordPartitions(Server server, Oid relid, int32 source);
void ForgetPartitions(Server server, Oid relid);
// Those of a source; a palloc'ed list of OIDs.
const List *RecordedPartitions(Server server, int32 source);

} // namespace auren::pg
