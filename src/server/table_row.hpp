#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Rows of the extension's own tables, written without the executor: no right, trigger or policy of theirs is for callers.
 */

/*
 * Reads every row of a small table as it is now: read(tuple, descriptor, row) fills one, in the caller's memory context. Returns
 * how many there are.
 */
template <typename Row, typename F>
int
ReadAllRows(Server, Oid relid, Row **rows, F &&read) {
	Relation relation = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	int count = 0;
	int capacity = 8;
	*rows = static_cast<Row *>(palloc(sizeof(Row) * static_cast<Size>(capacity)));
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		if (count == capacity) {
			capacity *= 2;
			*rows = static_cast<Row *>(repalloc(*rows, sizeof(Row) * static_cast<Size>(capacity)));
		}
		read(tuple, RelationGetDescr(relation), &(*rows)[count++]);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return count;
}

/*
 * The next row of an index scan that goes on from call to call. What the access method keeps of a scan it may make in the context that
 * is current when it first needs it, when it meets a dead entry say, and frees with the scan: `context` lives as long.
 */
inline bool
NextIndexRow(Server, IndexScanDesc scan, ScanDirection direction, TupleTableSlot *slot, MemoryContext context) {
	MemoryContext before = MemoryContextSwitchTo(context);
	const bool there = index_getnext_slot(scan, direction, slot);
	MemoryContextSwitchTo(before);
	return there;
}

// Inserts an entry into an index that is ready for it. What the access method answers: whether the row is alone with its key.
bool InsertIndexEntry(Server server, Relation heap, Relation index, TupleTableSlot *slot, IndexUniqueCheck check);

// Inserts the entries of a row into every index but one (nullptr: into all).
void InsertIndexEntries(Server server, Relation heap, Relation but, TupleTableSlot *slot);

// Inserts a row with its index entries.
void InsertRow(Server server, Relation heap, const Datum *values, const bool *isnull);

// Deletes a row, unless another transaction has it in hand: then it is left, and nobody waits.
bool DeleteRow(Server server, Relation heap, ItemPointer tid, Snapshot snapshot);

/*
 * Inserts a row into a table of ours with one plain unique index, unless its key is there. Returns false when another
 * transaction's row with the same key is, after waiting for that transaction if it was still running.
 */
bool InsertIfAbsent(Server server, Relation heap, Relation pkey, const int *key_columns, const Datum *values, const bool *isnull);

} // namespace auren::pg
