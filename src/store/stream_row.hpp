#pragma once

#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A row of auren.stream_rows.
 */
struct StreamRow {
	bool found;
	ItemPointerData tid;
	int32 first_month; // days since 2000-01-01
	int32 last_month;
	int64 dropped_version;
	bool closed;
};

// auren.stream_rows, open; its key's index is opened by the first function that needs it.
struct StreamRows {
	Relation heap;
	Relation pkey;
	LOCKMODE mode;
};
StreamRows OpenStreamRows(Server server, LOCKMODE mode);
void Close(Server server, const StreamRows &rows);

/*
 * Locks the row of a stream against other appends (FOR NO KEY UPDATE) until the end of the transaction, waiting for
 * whoever holds it, and returns its newest state. Not found: there is none, or only one that another transaction has not
 * committed. Registers the append with SERIALIZABLE readers of the stream.
 */
StreamRow LockStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream);

// Whether a stream has a row, committed or our own. Takes no lock.
bool HasStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream);

// A stream as its first events make it.
struct NewStream {
	int32 first_month;
	int32 last_month;
	int64 imported_version; // 0: they are appended
};
/*
 * Inserts the row of a new stream. False when another transaction's row came first: it has committed, or it was waited
 * for; look again.
 */
bool InsertStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream, const NewStream &made);

// The version up to which the events of a locked row's stream were imported; 0 where none was.
int64 ImportedVersion(Server server, const StreamRows &rows, const StreamRow &row);

// Changes a locked row.
void SetImported(Server server, const StreamRows &rows, const StreamRow &row, int32 last_month, int64 imported_version);
void SetLastMonth(Server server, const StreamRows &rows, const StreamRow &row, int32 month);
void SetClosed(Server server, const StreamRows &rows, const StreamRow &row, Datum by, Datum reason);
void SetOpen(Server server, const StreamRows &rows, const StreamRow &row);

// The row as a snapshot sees it. Takes the predicate lock of a SERIALIZABLE reader.
StreamRow ReadStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream, Snapshot snapshot);

// A page of a category's streams, in order of the bytes of their ids.
struct CategoryPage {
	Datum tenant;
	Datum category;
	Datum after; // the last id of the page before; 0: from the first on
	int limit;
};
// The ids of a page, in the caller's memory context. Returns how many there are.
int ListStreams(Server server, StreamRows *rows, const CategoryPage &page, Snapshot snapshot, Datum *ids);

} // namespace auren::pg
