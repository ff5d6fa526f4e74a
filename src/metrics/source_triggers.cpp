#include "metrics/source_triggers.hpp"

#include <cstring>

#include "metrics/relations.hpp"
#include "metrics/sources.hpp"

namespace auren::pg {

namespace {

struct TriggerShape {
	const char *name;
	int16 timing;
	int16 events;
	bool row;
};
constexpr int16 kChanges = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
constexpr TriggerShape kRowShape = {kRowTrigger, TRIGGER_TYPE_AFTER, kChanges, true};
constexpr TriggerShape kStatementShape = {kStatementTrigger, TRIGGER_TYPE_AFTER, kChanges, false};
constexpr TriggerShape kTruncateShape = {kTruncateTrigger, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_TRUNCATE, false};

List *
RecordFunctionName(Server) {
	return list_make2(makeString(pstrdup("auren")), makeString(pstrdup("record_change")));
}

// Whoever makes a partition need have no right on its schema.
Oid
RecordFunction(Server server) {
	const Oid schema = get_rel_namespace(own::filled_sources.Get(server));
	const Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("record_change"),
	                                     PointerGetDatum(buildoidvector(nullptr, 0)), ObjectIdGetDatum(schema));
	if (!OidIsValid(function)) {
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function auren.record_change() does not exist"),
		                errhint("DROP EXTENSION auren_events CASCADE and create it again.")));
	}
	return function;
}

void
Make(Server server, Oid relid, const TriggerShape &shape) {
	auto *statement = makeNode(CreateTrigStmt);
	statement->trigname = pstrdup(shape.name);
	statement->funcname = RecordFunctionName(server);
	statement->row = shape.row;
	statement->timing = shape.timing;
	statement->events = shape.events;
	(void)CreateTriggerFiringOn(statement, nullptr, relid, InvalidOid, InvalidOid, InvalidOid, RecordFunction(server), InvalidOid, nullptr, false,
	                            false, TRIGGER_FIRES_ALWAYS);
	CommandCounterIncrement();
}

struct FoundTrigger {
	Oid oid; // InvalidOid: there is none
	char enabled;
};

FoundTrigger
Find(Server server, Oid relid, const char *name) {
	const Oid function = RecordFunction(server);
	NameData wanted;
	namestrcpy(&wanted, name);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&wanted));
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, nullptr, 2, keys);
	FoundTrigger found = {InvalidOid, TRIGGER_DISABLED};
	const HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple)) {
		const auto *form = reinterpret_cast<const FormData_pg_trigger *>(GETSTRUCT(tuple));
		if (form->tgfoid == function) {
			found = {form->oid, form->tgenabled};
		}
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

void
Drop(Server server, Oid relid, const char *name) {
	ObjectAddress address;
	ObjectAddressSet(address, TriggerRelationId, Find(server, relid, name).oid);
	if (OidIsValid(address.objectId)) {
		performDeletion(&address, DROP_RESTRICT, 0);
		CommandCounterIncrement();
	}
}

bool
IsLeaf(Server, Oid relid) {
	return get_rel_relkind(relid) == RELKIND_RELATION;
}

void
FireAlwaysOn(Server, Oid relid, Oid extension) {
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, nullptr, 1, &key);
	bool changed = false;
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
		const auto *form = reinterpret_cast<const FormData_pg_trigger *>(GETSTRUCT(tuple));
		const bool sometimes = form->tgenabled == TRIGGER_FIRES_ON_ORIGIN || form->tgenabled == TRIGGER_FIRES_ON_REPLICA;
		if (!form->tgisinternal && sometimes && getExtensionOfObject(ProcedureRelationId, form->tgfoid) == extension) {
			HeapTuple copy = heap_copytuple(tuple);
			reinterpret_cast<FormData_pg_trigger *>(GETSTRUCT(copy))->tgenabled = TRIGGER_FIRES_ALWAYS;
			CatalogTupleUpdate(triggers, &copy->t_self, copy);
			InvokeObjectPostAlterHook(TriggerRelationId, form->oid, 0);
			changed = true;
		}
	}
	systable_endscan(scan);
	table_close(triggers, NoLock);
	if (changed) {
		CommandCounterIncrement();
		CacheInvalidateRelcacheByRelid(relid);
	}
}

} // namespace

void
MakeRowTrigger(Server server, Oid relid) {
	Make(server, relid, kRowShape);
}

void
DropRowTrigger(Server server, Oid relid) {
	Drop(server, relid, kRowTrigger);
}

void
MakeStatementTriggers(Server server, Oid relid) {
	const List *all = find_all_inheritors(relid, AccessShareLock, nullptr);
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		Make(server, one, kStatementShape);
		if (IsLeaf(server, one)) {
			Make(server, one, kTruncateShape);
		}
	}
}

void
DropStatementTriggers(Server server, Oid relid) {
	const List *all = find_all_inheritors(relid, AccessShareLock, nullptr);
	for (int i = 0; i < list_length(all); i++) {
		Drop(server, list_nth_oid(all, i), kStatementTrigger);
		Drop(server, list_nth_oid(all, i), kTruncateTrigger);
	}
}

bool
HasStatementTrigger(Server server, Oid relid) {
	return OidIsValid(Find(server, relid, kStatementTrigger).oid);
}

void
RequireTriggers(Server server, Oid relid) {
	const List *all = find_all_inheritors(relid, NoLock, nullptr);
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		if (IsLeaf(server, one) &&
		    (Find(server, one, kRowTrigger).enabled != TRIGGER_FIRES_ALWAYS || Find(server, one, kTruncateTrigger).enabled != TRIGGER_FIRES_ALWAYS)) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			                errmsg("the triggers that record readings of \"%s\" are disabled", get_rel_name(one)),
			                errdetail("What changes in the table would not be counted once it is merged."),
			                errhint("ALTER TABLE ... ENABLE TRIGGER ALL has the next refresh count it.")));
		}
	}
}

void
FireAlways(Server server, Oid relid) {
	const Oid extension = get_extension_oid("auren_events", false);
	const List *all = find_all_inheritors(relid, NoLock, nullptr);
	for (int i = 0; i < list_length(all); i++) {
		FireAlwaysOn(server, list_nth_oid(all, i), extension);
	}
}

} // namespace auren::pg
