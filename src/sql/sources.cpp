// Sources of readings, and what an administrator sets: attach and detach, partitions that come and go, zone, retention, jobs.

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>

#include "core/error.hpp"
#include "core/names.hpp"
#include "core/reading_time.hpp"
#include "pg/arguments.hpp"
#include "pg/buckets.hpp"
#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/query.hpp"
#include "pg/readings.hpp"
#include "pg/refresh.hpp"
#include "pg/rows.hpp"
#include "pg/run_sql.hpp"
#include "pg/sources.hpp"
#include "pg/store.hpp"
#include "pg/table_readings.hpp"
#include "pg/tenant.hpp"

namespace auren {

namespace {

using pg::Call;

void
Run(const std::string &sql) {
	const char *text = sql.c_str();
	Call([&] { pg::RunSql(text); });
}

uint64
Change(const char *sql, int count, Oid *types, Datum *values, const char *nulls = nullptr) {
	return Call([&] { return pg::ExecuteWaived(sql, count, types, values, nulls); });
}

std::string
Literal(const char *text) {
	return Call([&] { return static_cast<const char *>(quote_literal_cstr(text)); });
}

std::string
NameOf(Oid relid) {
	return Call([&] { return static_cast<const char *>(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))); });
}

std::string
OptionalString(FunctionCallInfo fcinfo, int argument) {
	const auto text = pg::OptionalTextArgument(fcinfo, argument);
	return text ? std::string(text->name.bytes) : std::string();
}

void
RefuseWhenReadOnly(const char *function) {
	Call([&] { PreventCommandIfReadOnly(function); });
}

// What a fixed snapshot does not see would be left behind.
void
RequireReadCommitted(const char *function) {
	if (IsolationUsesXactSnapshot()) {
		throw DomainError("25001", std::string(function) + " runs at READ COMMITTED only",
		                  "It acts on everything that is committed, and this transaction's snapshot is fixed.", "Call it in a transaction of its own.");
	}
}

// ---- triggers of a source's tables ---------------------------------------------------------------------------------------

// Server side. The argument of a table's row trigger; nullptr where it is no source.
const char *
ArgumentOf(Oid relid) {
	Relation relation = try_relation_open(relid, AccessShareLock);
	if (relation == nullptr) {
		return nullptr;
	}
	const char *argument = pg::RowArgumentOf(relation);
	relation_close(relation, NoLock);
	return argument;
}

void
MakeTrigger(const std::string &table, const std::string &name, const std::string &when, const std::string &each, const std::string &argument = "") {
	Run("CREATE TRIGGER " + name + " " + when + " ON " + table + " FOR EACH " + each + " EXECUTE FUNCTION analytics.record_change(" + argument +
	    "); ALTER TABLE " + table + " ENABLE ALWAYS TRIGGER " + name);
}

// Statement triggers, which a partition does not get from its parent.
void
MakeStatementTriggers(Oid relid) {
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, AccessShareLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		const std::string table = NameOf(one);
		const bool leaf = Call([&] { return get_rel_relkind(one) == RELKIND_RELATION; });
		MakeTrigger(table, "auren_record_statement", "AFTER INSERT OR UPDATE OR DELETE", "STATEMENT");
		if (leaf) {
			MakeTrigger(table, "auren_record_truncate", "BEFORE TRUNCATE", "STATEMENT");
		}
	}
}

void
DropStatementTriggers(Oid relid) {
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, AccessShareLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const std::string table = NameOf(list_nth_oid(all, i));
		Run("DROP TRIGGER IF EXISTS auren_record_statement ON " + table + "; DROP TRIGGER IF EXISTS auren_record_truncate ON " + table);
	}
}

void
RequireAttachable(Oid relid) {
	const std::string name = NameOf(relid);
	struct Facts {
		char kind;
		char persistence;
		bool owner;
		bool inherits;
		bool forced;
	};
	const Facts facts = Call([&] {
		Relation relation = table_open(relid, ShareRowExclusiveLock);
		Facts f;
		f.kind = relation->rd_rel->relkind;
		f.persistence = relation->rd_rel->relpersistence;
		f.owner = pg::compat::OwnsRelation(GetUserId(), relid);
		f.inherits = f.kind == RELKIND_RELATION && find_inheritance_children(relid, NoLock) != NIL;
		f.forced = relation->rd_rel->relforcerowsecurity;
		table_close(relation, NoLock);
		return f;
	});
	if (!facts.owner) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + name + " may attach it", "Its readings would be seen through the metrics.",
		                  "Ask the table's owner.");
	}
	if ((facts.kind != RELKIND_RELATION && facts.kind != RELKIND_PARTITIONED_TABLE) || facts.persistence == RELPERSISTENCE_TEMP) {
		throw DomainError("42809", name + " cannot be a source of readings", "It is no ordinary or partitioned table, or a temporary one.",
		                  "Attach the table that the readings are written to.");
	}
	if (facts.inherits || facts.forced) {
		throw DomainError("0A000", name + " cannot be a source of readings",
		                  facts.inherits ? "Other tables inherit from it, whose rows no trigger of it sees." : "Row level security is forced for its owner too, on whose behalf the metrics are counted.",
		                  facts.inherits ? "Partition it instead." : "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY first.");
	}
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		if (Call([&] { return ArgumentOf(one) != nullptr; })) {
			throw DomainError("42710", NameOf(one) + " is a source of readings already", "Its readings would be counted twice.",
			                  "analytics.detach_source ends that.");
		}
	}
}

int32
NextSource() {
	return static_cast<int32>(Call([] {
		const Oid sequence = get_relname_relid("source_id_seq", get_namespace_oid("analytics", false));
		return nextval_internal(sequence, false);
	}));
}

} // namespace

AUREN_FUNCTION(auren_attach_source) {
	pg::RequireNotNull(fcinfo, 0, "p_table");
	const Oid relid = PG_GETARG_OID(0);
	const pg::Text user = pg::TextArgument(fcinfo, 1, "p_user_column");
	const std::string device = OptionalString(fcinfo, 2);
	const pg::Text metric = pg::TextArgument(fcinfo, 3, "p_metric_column");
	const pg::Text value = pg::TextArgument(fcinfo, 4, "p_value_column");
	const pg::Text time = pg::TextArgument(fcinfo, 5, "p_time_column");
	const std::string tenant_column = OptionalString(fcinfo, 6);
	const pg::Tenant tenant = pg::CurrentTenant();
	RefuseWhenReadOnly("analytics.attach_source()");
	if (!Call([&] { return get_rel_name(relid) != nullptr; })) {
		throw DomainError("42P01", "there is no such table", "No table has the number " + std::to_string(relid) + ".", "Name it as schema.table.");
	}
	RequireAttachable(relid);
	const int32 source = NextSource();
	const std::string texts[pg::kArgumentParts] = {std::to_string(source),         std::string(tenant.id),         std::string(user.name.bytes),
	                                               device,                         std::string(metric.name.bytes), std::string(value.name.bytes),
	                                               std::string(time.name.bytes),   tenant_column};
	const char *parts[pg::kArgumentParts];
	std::transform(std::begin(texts), std::end(texts), parts, [](const std::string &text) { return text.c_str(); });
	const char *argument = Call([&] {
		const char *made = pg::RowArgument(parts);
		Relation relation = table_open(relid, NoLock);
		pg::ReadingColumns found;
		pg::FindColumns(&found, relation, made, CurrentMemoryContext);
		table_close(relation, NoLock);
		return made;
	});
	MakeTrigger(NameOf(relid), pg::kRowTrigger, "AFTER INSERT OR UPDATE OR DELETE", "ROW", Literal(argument));
	MakeStatementTriggers(relid);
	Oid types[9] = {INT4OID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum values[9] = {Int32GetDatum(source), ObjectIdGetDatum(relid), tenant.text, user.datum, PG_GETARG_DATUM(2), metric.datum, value.datum, time.datum,
	                   PG_GETARG_DATUM(6)};
	char nulls[10] = "         ";
	nulls[4] = device.empty() ? 'n' : ' ';
	nulls[8] = tenant_column.empty() ? 'n' : ' ';
	(void)Change("INSERT INTO analytics.sources (source_id, relation, tenant_id, user_field, device_field, metric_field, value_field, time_field, tenant_field, "
	             "attached_by, attached_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, session_user, pg_catalog.now())",
	             9, types, values, nulls);
	PG_RETURN_INT32(source);
}

AUREN_FUNCTION(auren_detach_source) {
	pg::RequireNotNull(fcinfo, 0, "p_table");
	const Oid relid = PG_GETARG_OID(0);
	RefuseWhenReadOnly("analytics.detach_source()");
	Oid types[1] = {REGCLASSOID};
	Datum values[1] = {ObjectIdGetDatum(relid)};
	if (relid == Call([] { return pg::Oids().readings; })) {
		throw DomainError("0A000", "biometric.biometric_events stays a source", "The metrics are those of its readings first of all.",
		                  "Leave it empty, if you do not use it.");
	}
	const uint64 rows = Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values);
	if (rows == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "this table is no source of readings", "analytics.sources has none of that table.",
		                  "A partition is detached with the table that it belongs to.");
	}
	DropStatementTriggers(relid);
	Run(std::string("DROP TRIGGER ") + pg::kRowTrigger + " ON " + NameOf(relid));
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_attach_events) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	CheckEventType(type.name);
	pg::RequireNotNull(fcinfo, 1, "p_metrics");
	const Datum metrics = pg::JsonbOf(PG_GETARG_DATUM(1));
	const pg::Tenant tenant = pg::CurrentTenant();
	RefuseWhenReadOnly("analytics.attach_events()");
	const bool fits = Call([&] {
		Jsonb *object = DatumGetJsonbP(metrics);
		if (!JB_ROOT_IS_OBJECT(object) || JB_ROOT_COUNT(object) == 0) {
			return false;
		}
		JsonbIterator *iterator = JsonbIteratorInit(&object->root);
		JsonbValue value;
		JsonbIteratorToken token;
		while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
			if (token == WJB_VALUE && (value.type != jbvString || value.val.string.len == 0)) {
				return false;
			}
		}
		return true;
	});
	if (!fits) {
		throw DomainError(sqlstate::kInvalidParameter, "p_metrics must say which field of the data is which metric",
		                  "It is an object of fields, each with the name of a metric.", "Give one such as {\"heart_rate\": \"heart_rate\", \"hrv\": \"hrv\"}.");
	}
	// whoever appends now ends first, and who appends from then on records
	Call([] { LockRelationOid(pg::Oids().events, ShareRowExclusiveLock); });
	Oid types[7] = {INT4OID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID};
	const int32 source = NextSource();
	Datum values[7] = {Int32GetDatum(source), type.datum, tenant.text, metrics, PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), PG_GETARG_DATUM(4)};
	char nulls[8] = "       ";
	for (int i = 2; i <= 4; i++) {
		nulls[i + 2] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	(void)Change("INSERT INTO analytics.sources (source_id, event_type, tenant_id, metrics, user_field, device_field, time_field, attached_by, "
	                           "attached_at) VALUES ($1, $2, $3, $4, $5, $6, $7, session_user, pg_catalog.now())",
	                           7, types, values, nulls);
	Oid check_types[2] = {TEXTOID, TEXTOID};
	Datum check_values[2] = {type.datum, tenant.text};
	const uint64 same = Change("SELECT FROM analytics.sources WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached",
	                           2, check_types, check_values);
	if (same > 1) {
		throw DomainError("42710", "events of type \"" + std::string(type.name.bytes) + "\" are a source of readings already",
		                  "Their readings would be counted twice.", "analytics.detach_events ends that.");
	}
	PG_RETURN_INT32(source);
}

AUREN_FUNCTION(auren_detach_events) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	const pg::Tenant tenant = pg::CurrentTenant();
	RefuseWhenReadOnly("analytics.detach_events()");
	Call([] { LockRelationOid(pg::Oids().events, ShareRowExclusiveLock); });
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {type.datum, tenant.text};
	if (Change("UPDATE analytics.sources SET detached = true WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached",
	           2, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "events of type \"" + std::string(type.name.bytes) + "\" are no source of readings",
		                  "This session's tenant attached none of that type.", "analytics.sources lists what is attached.");
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_rebuild_source) {
	pg::RequireNotNull(fcinfo, 0, "p_source");
	RefuseWhenReadOnly("analytics.rebuild_source()");
	Oid types[1] = {INT4OID};
	Datum values[1] = {Int32GetDatum(PG_GETARG_INT32(0))};
	// the refresh that is at work may just fill it
	Call([] { pg::LockRollups(); });
	(void)Change("DELETE FROM analytics.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
	if (Change("SELECT FROM analytics.sources WHERE source_id OPERATOR(pg_catalog.=) $1 AND NOT detached", 1, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no source " + std::to_string(PG_GETARG_INT32(0)), "analytics.sources has none of that number.",
		                  "analytics.attach_source returned it.");
	}
	PG_RETURN_VOID();
}

// ---- tables that come and go -------------------------------------------------------------------------------------------------

namespace {

// A partition came to a source, or left it.
void
PartitionChanged(Oid parent, Oid partition, bool attached) {
	const char *argument = Call([&] { return ArgumentOf(parent); });
	if (argument == nullptr || !OidIsValid(partition)) {
		return;
	}
	if (attached) {
		MakeStatementTriggers(partition);
	} else {
		DropStatementTriggers(partition);
	}
	pg::RecordTable(partition, argument, !attached);
}

Oid
RelationOf(const RangeVar *name) {
	return Call([&] { return RangeVarGetRelid(name, NoLock, true); });
}

// A column that a source is read by keeps its name and can still be read: else the next write would find out.
void
RequireColumns(const RangeVar *table) {
	const Oid relid = table == nullptr ? InvalidOid : RelationOf(table);
	if (!OidIsValid(relid)) {
		return;
	}
	Call([&] {
		const char *argument = ArgumentOf(relid);
		if (argument != nullptr) {
			Relation relation = table_open(relid, AccessShareLock);
			pg::ReadingColumns found;
			pg::FindColumns(&found, relation, argument, CurrentMemoryContext);
			table_close(relation, NoLock);
		}
	});
}

void
FollowAlter(const AlterTableStmt *statement) {
	const Oid parent = RelationOf(statement->relation);
	if (!OidIsValid(parent)) {
		return;
	}
	for (int i = 0; i < list_length(statement->cmds); i++) {
		const auto *command = static_cast<const AlterTableCmd *>(list_nth(statement->cmds, i));
		if (command->subtype == AT_AttachPartition || command->subtype == AT_DetachPartition || command->subtype == AT_DetachPartitionFinalize) {
			const auto *partition = reinterpret_cast<const PartitionCmd *>(command->def);
			PartitionChanged(parent, RelationOf(partition->name), command->subtype == AT_AttachPartition);
		} else if (command->subtype == AT_AddInherit) {
			const Oid heir_of = RelationOf(reinterpret_cast<const RangeVar *>(command->def));
			if (OidIsValid(heir_of) && Call([&] { return ArgumentOf(heir_of) != nullptr; })) {
				throw DomainError("0A000", "a table cannot inherit from a source of readings", "No trigger of the source would see its rows.",
				                  "Partition the source instead.");
			}
		}
	}
}

void
FollowCreate(const CreateStmt *statement) {
	if (statement->inhRelations == NIL) {
		return;
	}
	const Oid parent = RelationOf(static_cast<const RangeVar *>(linitial(statement->inhRelations)));
	const Oid table = RelationOf(statement->relation);
	if (!OidIsValid(parent) || !OidIsValid(table) || Call([&] { return ArgumentOf(parent) == nullptr; })) {
		return;
	}
	if (statement->partbound == nullptr) {
		throw DomainError("0A000", "a table cannot inherit from a source of readings", "No trigger of the source would see its rows.",
		                  "Partition the source instead.");
	}
	MakeStatementTriggers(table);
}

// Before tables are dropped: a source's own ends it, a partition's readings leave it.
void
FollowDrop(const DropStmt *statement) {
	if (statement->removeType != OBJECT_TABLE) {
		return;
	}
	for (int i = 0; i < list_length(statement->objects); i++) {
		const List *object = static_cast<const List *>(list_nth(statement->objects, i));
		const Oid relid = Call([&] { return RangeVarGetRelid(makeRangeVarFromNameList(const_cast<List *>(object)), NoLock, true); });
		if (!OidIsValid(relid)) {
			continue;
		}
		const char *argument = Call([&] {
			// as DROP TABLE is about to lock it
			return pg::compat::OwnsRelation(GetUserId(), relid) ? ArgumentOf(relid) : nullptr;
		});
		if (argument == nullptr) {
			continue;
		}
		Oid types[1] = {REGCLASSOID};
		Datum values[1] = {ObjectIdGetDatum(relid)};
		if (Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values) > 0) {
			continue;
		}
		Call([&] {
			// the parent first, as DROP TABLE does
			const Oid parent = get_partition_parent(relid, true);
			if (OidIsValid(parent)) {
				LockRelationOid(parent, AccessExclusiveLock);
			}
			LockRelationOid(relid, AccessExclusiveLock);
			(void)find_all_inheritors(relid, AccessExclusiveLock, nullptr);
		});
		pg::RecordTable(relid, argument, true);
	}
}

// Sources whose table went with something else: DROP SCHEMA, DROP OWNED. Whether one lost a partition that way is not known any
// more, so those that are partitioned are counted anew.
void
EndSourcesWithoutTable(bool with_others) {
	const bool there = Call([] {
		const Oid schema = get_namespace_oid("analytics", true);
		return OidIsValid(schema) && OidIsValid(get_relname_relid("sources", schema)) && OidIsValid(get_relname_relid("retention", schema));
	});
	if (!there) {
		return;
	}
	(void)Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE "
	             "c.oid OPERATOR(pg_catalog.=) relation)",
	             0, nullptr, nullptr);
	if (with_others) {
		(void)Change("DELETE FROM analytics.filled_sources f USING analytics.sources s, pg_catalog.pg_class c WHERE f.source_id OPERATOR(pg_catalog.=) s.source_id "
		             "AND c.oid OPERATOR(pg_catalog.=) s.relation AND c.relkind OPERATOR(pg_catalog.=) 'p'",
		             0, nullptr, nullptr);
	}
}

} // namespace

AUREN_FUNCTION(auren_follow_tables) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "analytics.follow_tables is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const auto *data = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
	const Node *statement = data->parsetree;
	if (std::strcmp(data->event, "sql_drop") == 0) {
		EndSourcesWithoutTable(!IsA(statement, DropStmt) || reinterpret_cast<const DropStmt *>(statement)->removeType != OBJECT_TABLE);
	} else if (IsA(statement, RenameStmt)) {
		RequireColumns(reinterpret_cast<const RenameStmt *>(statement)->relation);
	} else if (IsA(statement, AlterTableStmt)) {
		RequireColumns(reinterpret_cast<const AlterTableStmt *>(statement)->relation);
		FollowAlter(reinterpret_cast<const AlterTableStmt *>(statement));
	} else if (IsA(statement, CreateStmt)) {
		FollowCreate(reinterpret_cast<const CreateStmt *>(statement));
	} else if (IsA(statement, DropStmt)) {
		FollowDrop(reinterpret_cast<const DropStmt *>(statement));
	}
	PG_RETURN_NULL();
}

// ---- zone, retention, jobs -----------------------------------------------------------------------------------------------------

AUREN_FUNCTION(auren_set_time_zone) {
	const pg::Text zone = pg::TextArgument(fcinfo, 0, "p_time_zone");
	const std::string name(zone.name.bytes);
	RefuseWhenReadOnly("analytics.set_time_zone()");
	RequireReadCommitted("analytics.set_time_zone");
	const bool known = Call([&] {
		pg_tz *found = pg_tzset(name.c_str());
		return found != nullptr && pg_tz_acceptable(found);
	});
	if (!known) {
		throw DomainError(sqlstate::kInvalidParameter, "there is no time zone \"" + name + "\"", "It is in no list of zones of this server.",
		                  "pg_timezone_names lists them.");
	}
	Call([] { pg::LockRollups(); });
	if (Change("SELECT FROM analytics.retention WHERE level OPERATOR(pg_catalog.=) '5min' AND dropped_before OPERATOR(pg_catalog.>) '-infinity'", 0, nullptr, nullptr) > 0) {
		throw DomainError(sqlstate::kNotInState, "days cannot be made anew in another zone", "They are made of buckets of five minutes, and retention has dropped some.",
		                  "Set the zone before retention drops buckets of five minutes.");
	}
	Oid types[1] = {TEXTOID};
	Datum values[1] = {zone.datum};
	(void)Change("DELETE FROM analytics.metric_settings", 0, nullptr, nullptr);
	(void)Change("INSERT INTO analytics.metric_settings (time_zone) VALUES ($1)", 1, types, values);
	(void)Change("DELETE FROM analytics.rollup_hourly", 0, nullptr, nullptr);
	(void)Change("DELETE FROM analytics.rollup_daily", 0, nullptr, nullptr);
	Call([] { CommandCounterIncrement(); });
	pg::RebuildDaysAndHours();
	PG_RETURN_VOID();
}

namespace {

pg::Text
LevelArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text level = pg::TextArgument(fcinfo, argument, "p_level");
	if (level.name.bytes != "5min" && level.name.bytes != "hourly" && level.name.bytes != "daily") {
		throw DomainError(sqlstate::kInvalidParameter, "p_level must be 5min, hourly or daily", "\"" + std::string(level.name.bytes) + "\" is none of them.",
		                  "Each level has a retention of its own.");
	}
	return level;
}

struct Kept {
	const char *level;
	bool forever;
	TimestampTz before;
};

// Server side. The levels that drop something, and before when by now.
int
ReadKept(Kept *kept) {
	SPI_connect();
	SPIPlanPtr plan = pg::PrepareWaived("SELECT level, pg_catalog.now() OPERATOR(pg_catalog.-) keep FROM analytics.retention WHERE keep IS NOT NULL", 0, nullptr, 0);
	SPI_execute_plan(plan, nullptr, nullptr, false, 0);
	int count = 0;
	for (uint64 i = 0; i < SPI_processed && count < 3; i++) {
		bool isnull;
		const char *level = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		kept[count].level = strcmp(level, "5min") == 0 ? "5min" : strcmp(level, "hourly") == 0 ? "hourly" : "daily";
		kept[count++].before = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	return count;
}

} // namespace

AUREN_FUNCTION(auren_set_retention) {
	const pg::Text level = LevelArgument(fcinfo, 0);
	RefuseWhenReadOnly("analytics.set_retention()");
	if (!PG_ARGISNULL(1)) {
		const Interval *keep = PG_GETARG_INTERVAL_P(1);
		if (keep->month < 0 || keep->day < 0 || keep->time < 0 || (keep->month == 0 && keep->day == 0 && keep->time < USECS_PER_HOUR)) {
			throw DomainError(sqlstate::kInvalidParameter, "p_keep must be an hour or more", "Buckets that are still being filled would be dropped.",
			                  "Give an interval such as '90 days', or NULL to keep them for ever.");
		}
	}
	Oid types[2] = {TEXTOID, INTERVALOID};
	Datum values[2] = {level.datum, PG_GETARG_DATUM(1)};
	const char nulls[3] = {' ', PG_ARGISNULL(1) ? 'n' : ' ', '\0'};
	(void)Change("INSERT INTO analytics.retention (level, keep, dropped_before) VALUES ($1, $2, '-infinity') ON CONFLICT (level) DO UPDATE SET keep = EXCLUDED.keep", 2,
	             types, values, nulls);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_apply_retention) {
	RefuseWhenReadOnly("analytics.apply_retention()");
	RequireReadCommitted("analytics.apply_retention");
	Call([] { pg::LockRollups(); });
	Kept kept[3];
	const int count = Call([&] { return ReadKept(kept); });
	uint64 dropped = 0;
	for (int i = 0; i < count; i++) {
		const std::string level = kept[i].level;
		const TimestampTz before = Call([&] {
			pg_tz *zone = pg::MetricZone(GetActiveSnapshot());
			return level == "5min" ? FiveMinutesOf(kept[i].before)
			       : level == "hourly" ? pg::HourOf(kept[i].before, zone)
			                           : pg::StartOfDay(pg::DayOf(kept[i].before, zone), zone);
		});
		const Datum level_text = Call([&] { return PointerGetDatum(cstring_to_text(kept[i].level)); });
		Oid types[2] = {TIMESTAMPTZOID, TEXTOID};
		Datum values[2] = {TimestampTzGetDatum(before), level_text};
		(void)Change("UPDATE analytics.retention SET dropped_before = $1 WHERE level OPERATOR(pg_catalog.=) $2 AND dropped_before OPERATOR(pg_catalog.<) $1", 2, types,
		             values);
		if (level == "daily") {
			Oid day_types[1] = {DATEOID};
			Datum day_values[1] = {Call([&] { return DateADTGetDatum(pg::DayOf(before, pg::MetricZone(GetActiveSnapshot()))); })};
			dropped += Change("DELETE FROM analytics.rollup_daily WHERE day OPERATOR(pg_catalog.<) $1", 1, day_types, day_values);
		} else {
			const std::string sql = "DELETE FROM analytics.rollup_" + level + " WHERE bucket OPERATOR(pg_catalog.<) $1";
			dropped += Change(sql.c_str(), 1, types, values);
		}
	}
	PG_RETURN_INT64(static_cast<int64>(dropped));
}

AUREN_FUNCTION(auren_schedule) {
	RefuseWhenReadOnly("analytics.schedule()");
	if (!OidIsValid(Call([] { return get_extension_oid("pg_cron", true); }))) {
		const char *database = Call([] { return GetConfigOption("cron.database_name", true, false); });
		throw DomainError(sqlstate::kNotInState, "extension pg_cron is not in this database",
		                  database == nullptr ? "The server has not loaded pg_cron." : "pg_cron works in database \"" + std::string(database) + "\".",
		                  database == nullptr ? "Set shared_preload_libraries = 'pg_cron' and cron.database_name to this database, restart the server, then CREATE EXTENSION pg_cron."
		                                      : "CREATE EXTENSION pg_cron here, if that is this database; else call cron.schedule_in_database there for the commands "
		                                        "SELECT analytics.refresh_user_metrics(), SELECT events.create_monthly_partitions() and SELECT analytics.apply_retention().");
	}
	static const char *const jobs[3][2] = {{"auren_refresh", "SELECT analytics.refresh_user_metrics()"},
	                                       {"auren_months", "SELECT events.create_monthly_partitions()"},
	                                       {"auren_retention", "SELECT analytics.apply_retention()"}};
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	for (int i = 0; i < 3; i++) {
		const std::string name = std::string(jobs[i][0]);
		if (PG_ARGISNULL(i)) {
			Run("SELECT cron.unschedule(jobname) FROM cron.job WHERE jobname OPERATOR(pg_catalog.=) " + Literal(jobs[i][0]) +
			    " AND username OPERATOR(pg_catalog.=) CURRENT_USER");
			continue;
		}
		const char *schedule = Call([&] { return static_cast<const char *>(text_to_cstring(PG_GETARG_TEXT_PP(i))); });
		Run("SELECT cron.schedule(" + Literal(jobs[i][0]) + "::text, " + Literal(schedule) + "::text, " + Literal(jobs[i][1]) + "::text)");
		Call([&] {
			const Datum values[3] = {CStringGetTextDatum(jobs[i][0]), CStringGetTextDatum(schedule), CStringGetTextDatum(jobs[i][1])};
			const bool isnull[3] = {};
			pg::PutRow(rows, values, isnull);
		});
	}
	return 0;
}

} // namespace auren
