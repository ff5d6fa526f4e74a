#pragma once

#include <string_view>
#include <vector>

#include "core/summary.hpp"
#include "pg/postgres.hpp"
#include "pg/readings.hpp"
#include "pg/series.hpp"

namespace auren::pg {

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
	bool detached; // what is left of it goes with the next refresh
	bool filled;   // the rollups hold it; else it is read as it is, until the next refresh
};

/*
 * Sources as a snapshot sees them, in the caller's memory context. Server side.
 */
struct Sources {
	Source *items;
	int count;
};
Sources ReadSources(Snapshot snapshot);

/*
 * How the readings of a table are read from its rows: kept by a trigger until the table changes.
 */
struct ReadingColumns {
	int32 source;
	AttrNumber user;
	AttrNumber device; // 0: none
	AttrNumber metric;
	AttrNumber value;
	AttrNumber time;
	AttrNumber tenant; // 0: the constant
	char tenant_text[256];
	Oid types[6]; // user, device, metric, value, time, tenant
	FmgrInfo outputs[6];
};

/*
 * A source's row trigger says in its one argument how rows are read: an array of the source's number, its tenant, and the columns of
 * user, device, metric, value, time and tenant, '' where there is none. Its other triggers have no argument: whenever a statement
 * writes to a table, the server copies those of all its triggers. Server side.
 */
constexpr const char *kRowTrigger = "auren_record_row";
constexpr int kArgumentParts = 8;
const char *RowArgument(const char *const (&parts)[kArgumentParts]);
// Of a table, palloc'ed; nullptr where it is no source.
const char *RowArgumentOf(Relation relation);

// Raises 42703 where the table lacks a column that the argument names, 42804 where it cannot be read. Server side.
void FindColumns(ReadingColumns *columns, Relation relation, const char *argument, MemoryContext context);

// Reads a row's reading, and whose it is: a view that lives as long as the row. false: it has no time, and no bucket. C++ side.
bool ReadingOf(const ReadingColumns &columns, TupleTableSlot *row, Reading *reading, std::string_view *tenant);

/*
 * Records every row of a table, or of its partitions, as added or taken. The table is locked against writers. C++ side.
 */
void RecordTable(Oid relid, const char *row_argument, bool taken);

// Takes the rights of a relation's owner, on whose behalf something of ours is done that the caller need not be allowed. Server side.
struct AsOwner {
	Oid user;
	int context;
	int guc_level;
};
AsOwner BecomeOwner(Oid relid);
void BecomeAgain(const AsOwner &before);

/*
 * What the readings of one series in [from, to) come to, counted anew in a table source by the snapshot that is active. Runs as
 * the table's owner. C++ side.
 */
Summary Recount(const Source &source, const char *tenant, const char *user, const char *device, const char *metric, TimestampTz from, TimestampTz to);

// Whoever scans a source: names its series, and takes its readings some thousands at a time.
class ReadingSink {
  public:
	virtual ~ReadingSink() = default;
	virtual int64 SeriesFor(const SeriesNames &names) = 0;
	virtual void Take(std::vector<Reading> *readings) = 0;
};

// All readings of a source by the active snapshot; as the owner of the table. C++ side.
void ScanSource(const Source &source, ReadingSink *sink);

/*
 * Records the readings of an appended event, where a source takes them. Costs a look at a flag where none does. C++ side.
 */
void RecordEvent(std::string_view tenant, std::string_view stream, std::string_view event_type, Datum data, TimestampTz created_at);

void RegisterSourceCallbacks();

} // namespace auren::pg
