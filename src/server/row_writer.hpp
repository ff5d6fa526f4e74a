#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Many rows on their way into a table of ours that has one index, some hundred at a time: they share pages and records of the log.
 * Whoever writes knows that the index's keys are new, where they have to be.
 */
struct RowWriter {
	Relation heap;
	Relation index; // nullptr while REINDEX CONCURRENTLY makes another one: then each row goes the general way
	IndexInfo *info;
	TupleTableSlot **slots;
	int made;
	int count;
	MemoryContext home;    // of the slots: the one that it was opened in
	MemoryContext context; // of the rows' values: reset when they are written. A row that stays alone does without: home's
};

void OpenWriter(Server server, RowWriter *writer, Oid table);

// The next row, to be filled with values that live in the writer's context; all columns of it are not NULL.
TupleTableSlot *NextRow(Server server, RowWriter *writer);
// A value of bytes, in a context.
Datum BytesValue(Server server, MemoryContext context, const char *bytes, Size length);

// Writes what has been put. Other readers of the table see it, as this transaction's, from then on.
void FlushRows(Server server, RowWriter *writer);
void CloseWriter(Server server, RowWriter *writer);

} // namespace auren::pg
