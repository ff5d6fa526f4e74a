#pragma once

#include "metrics/buckets.hpp"
#include "metrics/series.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Rows of a table and its partitions, read from the heaps by their OIDs and without SQL. The owner of a table must not be able to have
 * code of theirs run, as themselves or as anybody: a scan looks up no name, and evaluates no index expression, policy, rule, default, cast or
 * operator of the owner's. It asks for no right on the table either; whoever attached it gave its readings away.
 *
 * Waits for the locks of the tables (ACCESS SHARE) unless the caller holds them, and for none of an index: one that is locked against
 * that is not used.
 */
struct SourceRows {
	ReadingColumns columns; // of the table that the row is of
	TupleTableSlot *row;

	// what follows is only for the functions below
	const Source *source;
	const struct WantedRows *wanted;
	Snapshot snapshot;
	List *tables;
	int next;
	Relation heap;
	Relation index;
	TableScanDesc scan;
	IndexScanDesc index_scan;
	MemoryContext context; // lives as long as the scan
};

/*
 * What the caller is after. It only saves the reading of rows by an index on plain columns, where there is one: other rows may come too.
 */
struct WantedRows {
	const StoredSeries *series;
	Bounds times;
};

/*
 * Begins to read a table, the source's or a partition of it; `wanted` may be nullptr for all rows. 42703 and 42804 where the table has not
 * the source's columns, 0A000 where a partition is a foreign table.
 */
void OpenSourceRows(Server server, SourceRows *rows, Oid table, const Source &source, const WantedRows *wanted, Snapshot snapshot);

// The next row, in rows->row; false after the last one.
bool NextSourceRow(Server server, SourceRows *rows);

void CloseSourceRows(Server server, SourceRows *rows);

} // namespace auren::pg
