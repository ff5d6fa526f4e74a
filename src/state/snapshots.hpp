#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * auren.stream_snapshots, open for reading.
 */
struct Snapshots {
	Relation heap;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext context; // of the scan
};
// Waits for nobody: false where another holds a lock that stands against reading them, as VACUUM FULL does.
bool OpenSnapshots(Server server, Snapshots *snapshots, Snapshot snapshot);
void Close(Server server, const Snapshots &snapshots);

struct StoredState {
	int64 version; // 0: there is none
	int64 event_time;
	Datum state;
};
// The newest state of a stream that the reducers of a version made, at a version of the stream or before it.
StoredState ReadSnapshot(Server server, Snapshots *snapshots, Datum tenant, Datum stream, int64 to_version, const pg_uuid_t *reducers_version);

/*
 * Whether this transaction may take a snapshot by itself: it may write, and a write of its own is not a surprise (a
 * SERIALIZABLE reader would become a writer).
 */
bool MayTakeSnapshot();

/*
 * Writes a state down and prunes the stream's older ones. Waits for nobody: false where another holds a lock on the table
 * that stands against it. Whoever calls it needs no right on the table.
 */
bool WriteSnapshot(Server server, Datum tenant, Datum stream, int64 version, int64 event_time, const pg_uuid_t *reducers_version, Datum state);

// The same in a subtransaction: what goes wrong is written to the log (DEBUG1) and undone, but for cancel and terminate.
bool TryWriteSnapshot(Server server, Datum tenant, Datum stream, int64 version, int64 event_time, const pg_uuid_t *reducers_version, Datum state);

// Deletes the snapshots of a stream, or of all streams of a tenant (stream 0), but for those that another transaction
// has in hand; returns how many.
int64 DropSnapshots(Server server, Datum tenant, Datum stream);

} // namespace auren::pg
