#include "server/as_owner.hpp"

namespace auren::pg {

namespace {

SavedUser
Become(Server, Oid owner) {
	SavedUser before;
	GetUserIdAndSecContext(&before.user, &before.context);
	SetUserIdAndSecContext(owner, before.context | SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
	before.guc_level = NewGUCNestLevel();
	(void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return before;
}

} // namespace

SavedUser
SwitchToOwner(Server server, Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	return Become(server, owner);
}

SavedUser
BecomeEventTriggerOwner(Server server) {
	HeapTuple tuple = SearchSysCache1(EVENTTRIGGERNAME, CStringGetDatum("auren_events_tables_change"));
	if (!HeapTupleIsValid(tuple)) {
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("event trigger \"auren_events_tables_change\" does not exist"),
		                errhint("DROP EXTENSION auren_events CASCADE and create it again, or restore the event trigger.")));
	}
	const Oid owner = reinterpret_cast<const FormData_pg_event_trigger *>(GETSTRUCT(tuple))->evtowner;
	ReleaseSysCache(tuple);
	return Become(server, owner);
}

void
SwitchBack(Server, const SavedUser &before) {
	AtEOXact_GUC(false, before.guc_level);
	SetUserIdAndSecContext(before.user, before.context);
}

} // namespace auren::pg
