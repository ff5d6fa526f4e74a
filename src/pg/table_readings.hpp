#pragma once

#include <string_view>

#include "core/summary.hpp"
#include "pg/postgres.hpp"
#include "pg/reading_sink.hpp"
#include "pg/sources.hpp"

namespace auren::pg {

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

/*
 * What the readings of one series in [from, to) come to, counted anew in a table source by the snapshot that is active. Runs as
 * the table's owner. C++ side.
 */
Summary Recount(const Source &source, const char *tenant, const char *user, const char *device, const char *metric, TimestampTz from, TimestampTz to);

// All readings of a table by the active snapshot; as its owner. C++ side.
void ScanTable(const Source &source, ReadingSink *sink);

} // namespace auren::pg
