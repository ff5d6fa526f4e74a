#pragma once

#include <string_view>

#include "metrics/rollups.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Rows of a table that the server snapshot sees. They are read with SnapshotSelf and then checked one by one, which takes no predicate lock at
 * SERIALIZABLE: whoever moves a delta does not act on what it says.
 */
struct SeenRows {
	Relation heap;
	TableScanDesc scan;
	TupleTableSlot *slot;
	Snapshot snapshot;
	MemoryContext context; // of what is kept of them
};

void OpenSeenRows(Server server, SeenRows *rows, Oid table, LOCKMODE lock, Snapshot snapshot);

// The next row, in rows->slot; false after the last one.
bool NextSeenRow(Server server, SeenRows *rows);

// The bytes of a column, kept in rows->context.
std::string_view KeptBytes(Server server, SeenRows *rows, int column);

// The next row as a change; `first` is the column of its series. False after the last one.
bool NextChange(Server server, SeenRows *rows, int first, Change *change);

void CloseSeenRows(Server server, SeenRows *rows);

} // namespace auren::pg
