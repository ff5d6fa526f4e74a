#pragma once

// The only file that knows the server's major version. Each entry has one shape for its callers; the comment says what
// changed and since when.

#include "server/postgres.hpp"

// ExplainPropertyText and ExplainState
//   18: in headers of their own
#if PG_VERSION_NUM >= 180000
extern "C" {
#include "commands/explain_format.h"
#include "commands/explain_state.h"
}
#endif

namespace auren::pg::compat {

// index_beginscan
//   18: + IndexScanInstrumentation before the number of keys
inline IndexScanDesc
BeginIndexScan(Relation heap, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, nullptr, keys, 0);
#else
	return index_beginscan(heap, index, snapshot, keys, 0);
#endif
}

// index_insert_cleanup
//   17: an access method may keep state for a series of inserts (BRIN does)
inline void
EndIndexInserts([[maybe_unused]] Relation index, [[maybe_unused]] IndexInfo *info) {
#if PG_VERSION_NUM >= 170000
	index_insert_cleanup(index, info);
#endif
}

// Waives the rights of a table that an analyzed and rewritten query names, not those of its subqueries. Row level security has been
// applied for the caller by then, and functions still run as the caller.
//   15: in the range table; 16: in a list of their own, in which no entry may ask for nothing: it asks for a role that may everything
inline void
WaiveTableRights(::Query *query, Oid relid) {
	ListCell *cell;
#if PG_VERSION_NUM >= 160000
	foreach (cell, query->rteperminfos) {
		auto *info = lfirst_node(RTEPermissionInfo, cell);
		if (info->relid == relid) {
			info->checkAsUser = BOOTSTRAP_SUPERUSERID;
		}
	}
#else
	foreach (cell, query->rtable) {
		auto *entry = lfirst_node(RangeTblEntry, cell);
		if (entry->rtekind == RTE_RELATION && entry->relid == relid) {
			entry->requiredPerms = 0;
		}
	}
#endif
}

// pg_proc_aclcheck
//   16: object_aclcheck for every kind of object
inline bool
MayExecute(Oid role, Oid function) {
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

// pg_class_ownercheck
//   16: object_ownercheck for every kind of object
inline bool
OwnsRelation(Oid role, Oid relid) {
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, role);
#else
	return pg_class_ownercheck(relid, role);
#endif
}

// pg_namespace_ownercheck
//   16: object_ownercheck for every kind of object
inline bool
OwnsSchema(Oid role, Oid schema) {
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(NamespaceRelationId, schema, role);
#else
	return pg_namespace_ownercheck(schema, role);
#endif
}

// Whether a part of ALTER TABLE gives a column other values.
//   17: SET EXPRESSION of a generated one
inline bool
ChangesValues(AlterTableType type) {
#if PG_VERSION_NUM >= 170000
	return type == AT_AlterColumnType || type == AT_SetExpression;
#else
	return type == AT_AlterColumnType;
#endif
}

// table_tuple_update: whether the new version needs entries in the indexes
//   16: says which indexes
inline TM_Result
UpdateRow(Relation heap, ItemPointer tid, TupleTableSlot *slot, Snapshot snapshot, bool *needs_entries) {
	TM_FailureData failure;
	LockTupleMode mode;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update;
	const TM_Result result =
		table_tuple_update(heap, tid, slot, GetCurrentCommandId(true), snapshot, InvalidSnapshot, true, &failure, &mode, &update);
	*needs_entries = update == TU_All;
#else
	const TM_Result result =
		table_tuple_update(heap, tid, slot, GetCurrentCommandId(true), snapshot, InvalidSnapshot, true, &failure, &mode, needs_entries);
#endif
	return result;
}

// ReadRecentBuffer
//   16: RelFileNode became RelFileLocator, and the relation's field with it
inline bool
PinRecentBuffer(Relation relation, BlockNumber block, Buffer buffer) {
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(relation->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

// The file of a relation, as ReadRecentBuffer takes it
//   16: RelFileNode became RelFileLocator
#if PG_VERSION_NUM >= 160000
using File = RelFileLocator;
inline File
FileOf(Relation relation) {
	return relation->rd_locator;
}
#else
using File = RelFileNode;
inline File
FileOf(Relation relation) {
	return relation->rd_node;
}
#endif

// _bt_getroot
//   16: + the heap relation, which only an access for writing needs
inline Buffer
BtreeRoot(Relation index) {
#if PG_VERSION_NUM >= 160000
	return _bt_getroot(index, nullptr, BT_READ);
#else
	return _bt_getroot(index, BT_READ);
#endif
}

// ExecutorRun for a query that is asked for one row at a time
//   18: - execute_once
inline void
RunForOneRow(QueryDesc *desc) {
#if PG_VERSION_NUM >= 180000
	ExecutorRun(desc, ForwardScanDirection, 1);
#else
	ExecutorRun(desc, ForwardScanDirection, 1, false);
#endif
}

// MyProc->lxid
//   17: within vxid
inline LocalTransactionId
CurrentLocalTransaction() {
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

// max_locks_per_xact: locks for which a transaction finds room
//   19: the table has half as many places for a setting
inline int
LocksOfTransaction() {
#if PG_VERSION_NUM >= 190000
	return max_locks_per_xact / 2;
#else
	return max_locks_per_xact;
#endif
}

// PGPROC.myProcLocks: what a process holds of one partition of the lock table, which the caller has locked; for the process of a prepared
// transaction it has TwoPhaseStateLock too
//   16: a dlist
template <typename F>
inline void
ForEachLockOf(PGPROC *process, int partition, F &&function) {
#if PG_VERSION_NUM >= 160000
	// dlist_foreach is not C++
	dlist_node *end = &process->myProcLocks[partition].head;
	for (dlist_node *at = end->next != nullptr ? end->next : end; at != end; at = at->next) {
		function(reinterpret_cast<PROCLOCK *>(reinterpret_cast<char *>(at) - offsetof(PROCLOCK, procLink)));
	}
#else
	SHM_QUEUE *locks = &process->myProcLocks[partition];
	const auto after = [&](SHM_QUEUE *link) {
		return reinterpret_cast<PROCLOCK *>(SHMQueueNext(locks, link, offsetof(PROCLOCK, procLink)));
	};
	for (PROCLOCK *lock = after(locks); lock != nullptr; lock = after(&lock->procLink)) {
		function(lock);
	}
#endif
}

// build_expression_pathkey: the pathkey of an order, NIL when the query has no use for it
//   16: - the relations below an outer join
inline List *
PathkeysOf(PlannerInfo *root, Expr *expression, Oid op, Relids relids) {
#if PG_VERSION_NUM >= 160000
	return build_expression_pathkey(root, expression, op, relids, false);
#else
	return build_expression_pathkey(root, expression, nullptr, op, relids, false);
#endif
}

// stringToQualifiedNameList
//   16: + an error context
inline List *
QualifiedName(const char *text) {
#if PG_VERSION_NUM >= 160000
	return stringToQualifiedNameList(text, nullptr);
#else
	return stringToQualifiedNameList(text);
#endif
}

// All settings that the session knows, placeholders too, as find_option sees them.
//   16: copied into an array; before, the server's own
struct Settings {
	struct config_generic **settings;
	int count;
};
inline Settings
KnownSettings() {
	Settings known;
#if PG_VERSION_NUM >= 160000
	known.settings = get_guc_variables(&known.count);
#else
	known.settings = get_guc_variables();
	known.count = GetNumConfigOptions();
#endif
	return known;
}

} // namespace auren::pg::compat

// PG_MODULE_MAGIC
//   18: the module tells its name and version
#if PG_VERSION_NUM >= 180000
#define AUREN_MODULE_MAGIC(module_version) PG_MODULE_MAGIC_EXT(.name = "auren_events", .version = module_version)
#else
#define AUREN_MODULE_MAGIC(module_version) PG_MODULE_MAGIC
#endif
