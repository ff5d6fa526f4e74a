#include "metrics/refresh_snapshot.hpp"

#include "metrics/refresh.hpp"
#include "metrics/relations.hpp"
#include "metrics/sources.hpp"
#include "server/lock_classes.hpp"

namespace auren::pg {

namespace {

LOCKTAG
RollupsTag() {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kRefreshLockClass);
	return tag;
}

// Whether a row was written to a table that a server snapshot does not see.
bool
WrittenSince(Server, Oid relid, Snapshot snapshot) {
	Relation heap = table_open(relid, AccessShareLock);
	TableScanDesc scan = table_beginscan(heap, SnapshotSelf, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	bool since = false;
	while (!since && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		since = !table_tuple_satisfies_snapshot(heap, slot, snapshot);
		bool isnull;
		const TransactionId xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
		since = since && !TransactionIdIsCurrentTransactionId(xmin);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(heap, NoLock);
	return since;
}

// Whether the rollups were changed by something that a server snapshot does not see: a refresh, another zone, retention.
bool
ChangedSince(Server server, Snapshot snapshot) {
	return WrittenSince(server, own::refresh_runs.Get(server), snapshot) || WrittenSince(server, own::metric_settings.Get(server), snapshot) ||
	       WrittenSince(server, own::retention.Get(server), snapshot);
}

// Tables that a refresh has locked, and how: lists side by side. And the sources that it passes over, since a table of theirs was not to be had.
struct LockedTables {
	List *tables;
	List *modes;
	List *passed;
};

bool
TryLock(Server, Oid table, LOCKMODE mode, LockedTables *locked) {
	if (list_member_oid(locked->tables, table)) {
		return true;
	}
	if (!ConditionalLockRelationOid(table, mode)) {
		return false;
	}
	locked->tables = lappend_oid(locked->tables, table);
	locked->modes = lappend_int(locked->modes, mode);
	return true;
}

// Gives back all locks but the first ones.
void
ReleaseLocksFrom(Server, LockedTables *locked, int kept) {
	for (int i = kept; i < list_length(locked->tables); i++) {
		UnlockRelationOid(list_nth_oid(locked->tables, i), list_nth_int(locked->modes, i));
	}
	locked->tables = list_truncate(locked->tables, kept);
	locked->modes = list_truncate(locked->modes, kept);
}

bool
TryLockTables(Server server, Oid root, LockedTables *locked) {
	const bool partitioned = get_rel_relkind(root) == RELKIND_PARTITIONED_TABLE;
	if (!TryLock(server, root, partitioned ? ShareUpdateExclusiveLock : AccessShareLock, locked)) {
		return false;
	}
	const List *all = partitioned ? find_all_inheritors(root, NoLock, nullptr) : NIL;
	for (int k = 1; k < list_length(all); k++) {
		if (!TryLock(server, list_nth_oid(all, k), AccessShareLock, locked)) {
			return false;
		}
	}
	return true;
}

/*
 * Locks the tables of all sources against being rewritten, emptied, or given and losing partitions, without waiting. A source one of whose
 * tables somebody has locked against that is passed over, and none of its tables stays locked.
 */
void
TryLockSources(Server server, const Sources &sources, LockedTables *locked) {
	for (int i = 0; i < sources.count; i++) {
		const Source &source = sources.items[i];
		const int before = list_length(locked->tables);
		if (OidIsValid(source.relation) && !list_member_int(locked->passed, source.id) && !TryLockTables(server, source.relation, locked)) {
			ReleaseLocksFrom(server, locked, before);
			locked->passed = lappend_int(locked->passed, source.id);
			ereport(WARNING,
			        (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("readings of table \"%s\" are not merged now", get_rel_name(source.relation)),
			         errdetail("Another session holds a lock on the table or a partition of it, and a refresh waits for nobody."),
			         errhint("The metrics count them nevertheless, and the next refresh merges them.")));
		}
	}
}

} // namespace

bool
TryLockRollups(Server) {
	const LOCKTAG tag = RollupsTag();
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
UnlockRollups(Server) {
	const LOCKTAG tag = RollupsTag();
	(void)LockRelease(&tag, ExclusiveLock, false);
}

void
LockRollups(Server) {
	const LOCKTAG tag = RollupsTag();
	(void)LockAcquire(&tag, ExclusiveLock, false, false);
}

Snapshot
TakeSnapshot(Server server, const List **passed) {
	*passed = NIL;
	if (IsolationUsesXactSnapshot()) {
		Snapshot taken = RegisterSnapshot(GetActiveSnapshot());
		if (ChangedSince(server, taken)) {
			UnregisterSnapshot(taken);
			return nullptr;
		}
		return taken;
	}
	LockedTables locked = {NIL, NIL, NIL};
	Snapshot taken = RegisterSnapshot(GetLatestSnapshot());
	for (;;) {
		const int before = list_length(locked.tables);
		TryLockSources(server, ReadSources(server, taken), &locked);
		UnregisterSnapshot(taken);
		taken = RegisterSnapshot(GetLatestSnapshot());
		if (list_length(locked.tables) == before) {
			*passed = locked.passed;
			return taken;
		}
	}
}

} // namespace auren::pg
