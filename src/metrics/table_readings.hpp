#pragma once

#include <string_view>

#include "core/metrics/summary.hpp"
#include "metrics/buckets.hpp"
#include "metrics/reading_sink.hpp"
#include "metrics/series.hpp"
#include "metrics/sources.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// What a reading is read from: places in ReadingColumns::types.
enum ReadingField : int { kUserField, kDeviceField, kMetricField, kValueField, kTimeField, kTenantField, kReadingFields };

/*
 * How the readings of a table are read from its rows: kept by a trigger until the table or the sources change.
 */
struct ReadingColumns {
	int32 source; // 0: the table is none
	AttrNumber user;
	AttrNumber device; // 0: none
	AttrNumber metric;
	AttrNumber value;
	AttrNumber time;
	AttrNumber tenant; // 0: the constant
	const char *tenant_text;
	Oid types[kReadingFields];
	FmgrInfo outputs[kReadingFields];
};

// What it keeps is made in the context. Raises 42703 where the table lacks a column of the source, 42804 where one cannot be read.
void FindColumns(Server server, ReadingColumns *columns, TupleDesc descriptor, const char *relation, const Source &source, MemoryContext context);

/*
 * Reads a row's reading but for its series, and the names of that: views that live as long as the row and the memory context. Says why
 * where it is none: it has no time, or names that are too long.
 */
Refusal ReadingOf(const ReadingColumns &columns, TupleTableSlot *row, Reading *reading, SeriesNames *names);

// A row that is not a reading, of the tenant that it names if that can be one.
Refused RefusedRow(const ReadingColumns &columns, const SeriesNames &names, Refusal reason, Counting counting);

/*
 * Records every row of a table, or of its partitions, as a reading that is added to what is counted, or taken out of it. The table is locked against
 * writers.
 */
void RecordTable(Oid relid, const Source &source, Counting counting);

/*
 * What the readings of one series in a bucket come to, counted anew in a table source by the server snapshot that is active, as
 * metrics/source_rows.hpp reads it.
 */
Summary Recount(const Source &source, const StoredSeries &series, const Bucket &bucket);

// All readings of a table by the active server snapshot, as metrics/source_rows.hpp reads it.
void ScanTable(const Source &source, ReadingSink *sink);

} // namespace auren::pg
