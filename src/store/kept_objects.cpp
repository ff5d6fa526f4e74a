#include "store/kept_objects.hpp"

#include "core/error.hpp"
#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "server/relation_changes.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr const char *kClosingPolicy = "auren_events_closed";

// What hangs on the tables and is not the extension's own, as it is now.
constexpr const char *kAdded =
	"WITH added AS MATERIALIZED (SELECT o.relation, o.kind, o.name, o.definition FROM auren.table_objects o WHERE NOT EXISTS (SELECT FROM "
	"auren.shipped_objects s WHERE s.relation = o.relation AND s.kind = o.kind AND s.name = o.name AND s.definition = o.definition))";

// Row security of a table that is closed is not seen, so that it is not taken for dropped.
constexpr const char *kWriteDown =
	", gone AS (DELETE FROM auren.present_objects p WHERE NOT EXISTS (SELECT FROM added a WHERE a.relation = p.relation AND a.kind = p.kind AND "
	"a.name = p.name) "
	"AND (p.kind <> 'row security' OR NOT EXISTS (SELECT FROM pg_policy WHERE polname = 'auren_events_closed')) RETURNING relation, kind, name), "
	"dropped AS (DELETE FROM auren.kept_objects k USING gone g WHERE k.relation = g.relation AND k.kind = g.kind AND k.name = g.name), "
	"written AS (INSERT INTO auren.kept_objects AS k SELECT relation, kind, name, definition FROM added "
	"ON CONFLICT (relation, kind, name) DO UPDATE SET definition = excluded.definition WHERE k.definition <> excluded.definition) "
	"INSERT INTO auren.present_objects SELECT relation, kind, name FROM added ON CONFLICT DO NOTHING";

constexpr const char *kMissing =
	"SELECT 'missing' FROM auren.kept_objects k WHERE NOT EXISTS (SELECT FROM auren.present_objects p WHERE p.relation = k.relation AND "
	"p.kind = k.kind AND p.name = k.name) LIMIT 1";

// Columns of the store's tables that are not as they were made, and what else is never kept.
constexpr const char *kRefused =
	"SELECT concat_ws(' ', o.kind, quote_ident(o.name), 'of', o.relation) FROM auren.table_objects o WHERE o.kind IN ('column', 'parent index') "
	"AND NOT EXISTS (SELECT FROM auren.shipped_objects s WHERE s.relation = o.relation AND s.kind = o.kind AND s.name = o.name AND s.definition = "
	"o.definition) "
	"UNION ALL "
	"SELECT concat_ws(' ', s.kind, quote_ident(s.name), 'of', s.relation) FROM auren.shipped_objects s WHERE s.kind = 'column' AND NOT EXISTS "
	"(SELECT FROM "
	"auren.table_objects o WHERE o.kind = 'column' AND o.relation = s.relation AND o.name = s.name) "
	// what the store cannot do without; the indexes of readings only make queries quick
	"UNION ALL "
	"SELECT concat_ws(' ', s.kind, quote_ident(s.name), 'of', s.relation) FROM auren.shipped_objects s WHERE s.kind IN ('constraint', 'trigger') AND "
	"NOT EXISTS "
	"(SELECT FROM auren.table_objects o WHERE o.kind = s.kind AND o.relation = s.relation AND o.name = s.name) "
	// one that is not valid for a while, as REINDEX leaves one that failed, is there
	"UNION ALL "
	"SELECT concat_ws(' ', s.kind, quote_ident(s.name), 'of', s.relation) FROM auren.shipped_objects s WHERE s.kind = 'index' AND s.relation <> "
	"'biometric.biometric_events' AND NOT EXISTS "
	"(SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = to_regclass(s.relation) AND i.relname = s.name) LIMIT 1";

// The statements that close the tables that roles read themselves, and whatever table has a policy that is missing.
constexpr const char *kClose = "SELECT string_agg(format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY; CREATE POLICY auren_events_closed ON %s USING "
							   "(auren.require_restored())', t.relation, t.relation), '; ') "
							   "FROM (VALUES ('events.event_store'), ('biometric.biometric_events') UNION SELECT k.relation FROM auren.kept_objects "
							   "k WHERE k.kind = 'policy') t(relation)";

// And those that open them: row security stays where it was added.
constexpr const char *kOpen =
	"SELECT string_agg(format('DROP POLICY auren_events_closed ON %I.%I', n.nspname, c.relname) || CASE WHEN EXISTS (SELECT FROM auren.kept_objects "
	"k WHERE "
	"k.kind = 'row security' AND k.relation = format('%I.%I', n.nspname, c.relname) AND k.definition LIKE '%ENABLE ROW%') THEN '' ELSE "
	"format('; ALTER TABLE %I.%I DISABLE ROW LEVEL SECURITY', n.nspname, c.relname) END, '; ') "
	"FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.polname = 'auren_events_closed'";

bool keeping = false;

// What TableObjectsMayDiffer goes by: whether one of the store's tables changed. Their oids, in order; made anew with the extension.
struct Watched {
	bool changed = true;
	Oid kept_objects = InvalidOid;
	List *tables = NIL;
};
Watched watched;

// Whether the store is closed, as it was read last.
struct Closed {
	bool valid = false;
	bool closed = false;
};
Closed known;

void
Changed(Oid relid) {
	if (own::events.MayBe(relid)) {
		known.valid = false;
	}
	if (relid == InvalidOid || list_member_oid(watched.tables, relid)) {
		watched.changed = true;
	}
}

void
LoadWatched(Server, Oid kept_objects) {
	watched.changed = true;
	SPI_connect();
	SPI_execute("SELECT objid FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND "
	            "refobjid OPERATOR(pg_catalog.=) "
	            "(SELECT oid FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'auren_events') AND classid OPERATOR(pg_catalog.=) "
	            "'pg_catalog.pg_class'::pg_catalog.regclass",
	            true, 0);
	list_free(watched.tables);
	watched.tables = NIL;
	MemoryContext before = MemoryContextSwitchTo(CacheMemoryContext);
	for (uint64 i = 0; i < SPI_processed; i++) {
		bool isnull;
		watched.tables = lappend_oid(watched.tables, DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	MemoryContextSwitchTo(before);
	SPI_finish();
	watched.kept_objects = kept_objects;
}

bool
HasClosingPolicy(Server server) {
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	bool found = false;
	if (events->rd_rel->relrowsecurity && events->rd_rsdesc != nullptr) {
		const List *policies = events->rd_rsdesc->policies;
		for (int i = 0; i < list_length(policies); i++) {
			found |= strcmp(static_cast<const RowSecurityPolicy *>(list_nth(policies, i))->policy_name, kClosingPolicy) == 0;
		}
	}
	table_close(events, NoLock);
	return found;
}

bool
IsClosed() {
	return Call([](Server server) { return HasClosingPolicy(server); });
}

/*
 * As SPI_execute, but under the newest snapshot: the one of a transaction at REPEATABLE READ still has what others dropped
 * meanwhile, and would have it written down again.
 */
int
ExecuteUnderNewestSnapshot(Server, const char *sql) {
	SPIPlanPtr plan = SPI_prepare(sql, 0, nullptr);
	if (plan == nullptr) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare a statement: %s", SPI_result_code_string(SPI_result))));
	}
	Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
	const int result = SPI_execute_snapshot(plan, nullptr, nullptr, newest, InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(newest);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	return result;
}

bool
ObjectsAreMissing() {
	return !RunAsTriggerOwner(kMissing).empty();
}

} // namespace

bool
HasObjectTables(Server) {
	const Oid schema = get_namespace_oid("auren", true);
	const Oid events = get_namespace_oid("events", true);
	const auto there = [schema](const char *name) {
		return OidIsValid(get_relname_relid(name, schema));
	};
	return OidIsValid(schema) && OidIsValid(events) && there("kept_objects") && there("present_objects") && there("shipped_objects") &&
	       there("table_objects") && OidIsValid(get_relname_relid("event_store", events));
}

bool
TableObjectsMayDiffer(Server server) {
	const Oid kept_objects = get_relname_relid("kept_objects", get_namespace_oid("auren", false));
	if (kept_objects != watched.kept_objects) {
		LoadWatched(server, kept_objects);
	}
	return watched.changed;
}

void
ThrowObjectIsNeeded(const std::string &what) {
	throw DomainError("0A000", "what the extension puts on its tables is neither dropped nor renamed: " + what, "The store does not work without it.",
	                  "Leave it as it is; objects of your own can be added beside it.");
}

void
RefuseWhatCannotBeKept() {
	const std::string refused = RunAsTriggerOwner(kRefused);
	if (refused.empty()) {
		return;
	}
	if (refused.compare(0, 6, "column") == 0) {
		throw DomainError(
			"0A000", "columns of the store's tables are not changed: " + refused,
			"A dump could not be restored: it does not hold the definition of an extension's table.",
			"Make a view, an index on an expression of a month, or a table of your own beside it; a CHECK constraint in place of NOT NULL.");
	}
	if (refused.compare(0, 13, "parent index ") != 0) {
		ThrowObjectIsNeeded(refused);
	}
	throw DomainError("0A000", "events.event_store has no indexes of its own: " + refused,
	                  "A dump could not be restored: it would attach the months' indexes to one that is not there.",
	                  "Make the index on each month that needs it.");
}

void
RefuseMonthTrigger(Oid month) {
	const std::string refused = RunAsTriggerOwner(
		"SELECT quote_ident(t.tgname) FROM pg_trigger t JOIN pg_trigger p ON p.oid = t.tgparentid WHERE t.tgrelid = " + std::to_string(month) +
		" AND p.tgrelid = 'events.event_store'::regclass AND t.tgenabled <> p.tgenabled LIMIT 1");
	if (!refused.empty()) {
		throw DomainError("0A000", "trigger " + refused + " of events.event_store is the same on all months",
		                  "A dump could not be restored: it would enable or disable a trigger of a month that is not there yet.",
		                  "Use ALTER TABLE events.event_store, or a WHEN condition.");
	}
}

void
RecordObjects() {
	// first: what changes meanwhile is not lost
	watched.changed = false;
	(void)RunAsTriggerOwner(std::string(kAdded) + kWriteDown);
	const bool missing = ObjectsAreMissing();
	if (missing != IsClosed()) {
		(void)RunAsTriggerOwner(RunAsTriggerOwner(missing ? kClose : kOpen));
	}
}

void
CloseWhenObjectsAreMissing() {
	if (ObjectsAreMissing() && !IsClosed()) {
		(void)RunAsTriggerOwner(RunAsTriggerOwner(kClose));
	}
}

void
OpenTables() {
	if (IsClosed()) {
		(void)RunAsTriggerOwner(RunAsTriggerOwner(kOpen));
	}
}

ObjectRecordingPause::ObjectRecordingPause() : before_(keeping) {
	keeping = true;
}

ObjectRecordingPause::~ObjectRecordingPause() {
	keeping = before_;
}

bool
ObjectRecordingPause::Active() {
	return keeping;
}

void
RequireStoreOpen() {
	if (!known.valid) {
		// set first: a change that arrives meanwhile unsets it, and is not lost
		known.valid = true;
		try {
			known.closed = IsClosed();
		} catch (...) {
			known.valid = false;
			throw;
		}
	}
	if (known.closed) {
		throw DomainError(
			sqlstate::kNotInState, "the store is closed: what was added to its tables is not restored yet",
			"It came out of a dump, and policies, triggers, constraints or indexes of its tables are missing (view events.added_objects).",
			"Have the store's owner call events.restore_objects(), and then REFRESH the materialized views over the store that the restore left "
			"empty.");
	}
}

void
RegisterKeptObjects(Server server) {
	OnRelationChange(server, Changed);
}

void
FixDefinitionSettings(Server) {
	static const char *const kSettings[][2] = {{"DateStyle", "ISO"},
	                                           {"IntervalStyle", "postgres"},
	                                           {"TimeZone", "UTC"},
	                                           {"extra_float_digits", "3"},
	                                           {"bytea_output", "hex"},
	                                           {"lc_monetary", "C"},
	                                           {"quote_all_identifiers", "off"},
	                                           {"standard_conforming_strings", "on"}};
	for (const auto &setting : kSettings) {
		(void)set_config_option(setting[0], setting[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
}

std::string
RunAsTriggerOwner(const std::string &sql) {
	const ObjectRecordingPause at_work;
	const char *text = sql.c_str();
	const char *found = Call([&](Server server) {
		const SavedUser before = BecomeEventTriggerOwner(server);
		FixDefinitionSettings(server);
		MemoryContext context = CurrentMemoryContext;
		SPI_connect();
		const int result = ExecuteUnderNewestSnapshot(server, text);
		const char *value = nullptr;
		if (result == SPI_OK_SELECT && SPI_processed > 0) {
			value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
			value = value == nullptr ? nullptr : MemoryContextStrdup(context, value);
		}
		SPI_finish();
		SwitchBack(server, before);
		return value;
	});
	return found == nullptr ? std::string() : std::string(found);
}

} // namespace auren::pg
