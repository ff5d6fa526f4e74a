// Sources of readings, and what an administrator sets: attach and detach, partitions that come and go, zone, retention, jobs.

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/json_pointer.hpp"
#include "core/names.hpp"
#include "core/reading_time.hpp"
#include "core/reading_value.hpp"
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

/*
 * Whoever changes tables need have no right of ours, nor own the partition: what follows from it is done as the owner of the event
 * triggers. C++ side; an error ends the statement, and the role with it.
 */
template <typename F>
void
AsFollower(F &&work) {
	const pg::AsOwner before = Call([] { return pg::BecomeFollower(); });
	work();
	Call([&] { pg::BecomeAgain(before); });
}

// ---- triggers of a source's tables ---------------------------------------------------------------------------------------

void
MakeTrigger(const std::string &table, const std::string &name, const std::string &when, const std::string &each) {
	Run("CREATE TRIGGER " + name + " " + when + " ON " + table + " FOR EACH " + each + " EXECUTE FUNCTION analytics.record_change(); ALTER TABLE " + table +
	    " ENABLE ALWAYS TRIGGER " + name);
}

// Statement triggers, which a partition does not get from its parent.
void
MakeStatementTriggers(Oid relid) {
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, AccessShareLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		const std::string table = NameOf(one);
		const bool leaf = Call([&] { return get_rel_relkind(one) == RELKIND_RELATION; });
		MakeTrigger(table, pg::kStatementTrigger, "AFTER INSERT OR UPDATE OR DELETE", "STATEMENT");
		if (leaf) {
			MakeTrigger(table, pg::kTruncateTrigger, "BEFORE TRUNCATE", "STATEMENT");
		}
	}
}

// Server side. The owner of a table as a statement names it; nullptr for a superuser, who may anyway.
const char *
OwnerOf(Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	return superuser_arg(owner) ? nullptr : quote_identifier(GetUserNameFromId(owner, false));
}

// The server asks whoever makes a partition for the right to execute the functions of its triggers.
void
LetOwnerRecord(Oid relid) {
	const char *owner = Call([&] { return OwnerOf(relid); });
	if (owner != nullptr) {
		AsFollower([&] { Run(std::string("GRANT EXECUTE ON FUNCTION analytics.record_change() TO ") + owner); });
	}
}

void
DropStatementTriggers(Oid relid) {
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, AccessShareLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const std::string table = NameOf(list_nth_oid(all, i));
		Run(std::string("DROP TRIGGER IF EXISTS ") + pg::kStatementTrigger + " ON " + table + "; DROP TRIGGER IF EXISTS " + pg::kTruncateTrigger + " ON " + table);
	}
}

void
RequireAttachable(Oid relid) {
	const std::string name = NameOf(relid);
	struct Facts {
		char kind;
		char persistence;
		bool owner;
		bool part;
		bool inherits;
		bool forced;
	};
	const Facts facts = Call([&] {
		Relation relation = table_open(relid, ShareRowExclusiveLock);
		Facts f;
		f.kind = relation->rd_rel->relkind;
		f.persistence = relation->rd_rel->relpersistence;
		f.owner = pg::compat::OwnsRelation(GetUserId(), relid);
		f.part = relation->rd_rel->relispartition || has_superclass(relid);
		f.inherits = f.kind == RELKIND_RELATION && find_inheritance_children(relid, NoLock) != NIL;
		f.forced = relation->rd_rel->relforcerowsecurity;
		table_close(relation, NoLock);
		return f;
	});
	if (!facts.owner) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + name + " may attach it", "Its readings would be seen through the metrics.",
		                  "Ask the table's owner.");
	}
	if ((facts.kind != RELKIND_RELATION && facts.kind != RELKIND_PARTITIONED_TABLE) || facts.persistence != RELPERSISTENCE_PERMANENT) {
		throw DomainError("42809", name + " cannot be a source of readings", "It is no ordinary or partitioned table, or a temporary or unlogged one.",
		                  "Attach the table that the readings are written to.");
	}
	if (facts.part) {
		throw DomainError("0A000", name + " cannot be a source of readings", "It is a partition of another table or inherits from one, whose statements no trigger of it sees.",
		                  "Attach the table above it.");
	}
	if (facts.inherits || facts.forced) {
		throw DomainError("0A000", name + " cannot be a source of readings",
		                  facts.inherits ? "Other tables inherit from it, whose rows no trigger of it sees." : "Row level security is forced for its owner too, on whose behalf the metrics are counted.",
		                  facts.inherits ? "Partition it instead." : "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY first.");
	}
	const List *all = Call([&] { return static_cast<const List *>(find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)); });
	for (int i = 0; i < list_length(all); i++) {
		const Oid one = list_nth_oid(all, i);
		if (Call([&] { return pg::SourceOf(one) != nullptr; })) {
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

// A field that begins with "/" is a JSON pointer.
void
RequireField(const std::string &field) {
	if (!field.empty() && field.front() == '/') {
		(void)ParsePointer(field);
	}
}

// What attach_events' p_metrics says, which is palloc'ed. C++ side.
struct Metrics {
	bool fit; // an object of fields, each with a name
	int count;
	const char **fields;
	int longest; // of the names, in bytes
};

Metrics
ReadMetrics(Datum metrics) {
	return Call([&] {
		Metrics read = {};
		Jsonb *object = DatumGetJsonbP(metrics);
		if (!JB_ROOT_IS_OBJECT(object) || JB_ROOT_COUNT(object) == 0) {
			return read;
		}
		read.fields = static_cast<const char **>(palloc(sizeof(char *) * JB_ROOT_COUNT(object)));
		JsonbIterator *iterator = JsonbIteratorInit(&object->root);
		JsonbValue value;
		JsonbIteratorToken token;
		while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
			if (token == WJB_KEY) {
				read.fields[read.count++] = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
			}
			if (token == WJB_VALUE && (value.type != jbvString || value.val.string.len == 0)) {
				return Metrics{};
			}
			read.longest = token == WJB_VALUE ? Max(read.longest, value.val.string.len) : read.longest;
		}
		read.fit = true;
		return read;
	});
}

void
RequireMetrics(Datum metrics) {
	const Metrics read = ReadMetrics(metrics);
	if (!read.fit) {
		throw DomainError(sqlstate::kInvalidParameter, "p_metrics must say which field of the data is which metric",
		                  "It is an object of fields, each with the name of a metric.", "Give one such as {\"heart_rate\": \"heart_rate\", \"hrv\": \"hrv\"}.");
	}
	if (read.longest > static_cast<int>(kMostMetricBytes)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_metrics names a metric of " + std::to_string(read.longest) + " bytes",
		                  "The name of a metric has " + std::to_string(kMostMetricBytes) + " bytes at most.", "Give it a shorter name.");
	}
	for (int i = 0; i < read.count; i++) {
		RequireField(read.fields[i]);
	}
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
	if (!tenant_column.empty()) {
		pg::RequireUnbound("attach a table of several tenants", "Its column could name any tenant.", "Attach it without a tenant column: its readings are then of app.tenant_id.");
	}
	RequireAttachable(relid);
	const std::string texts[6] = {std::string(user.name.bytes), device, std::string(metric.name.bytes), std::string(value.name.bytes), std::string(time.name.bytes), tenant_column};
	Call([&] {
		pg::Source read = {};
		read.tenant = "";
		const char **const names[6] = {&read.user, &read.device, &read.metric, &read.value, &read.time, &read.tenant_column};
		for (int i = 0; i < 6; i++) {
			const bool optional = names[i] == &read.device || names[i] == &read.tenant_column;
			*names[i] = optional && texts[i].empty() ? nullptr : texts[i].c_str();
		}
		Relation relation = table_open(relid, NoLock);
		pg::ReadingColumns found;
		pg::FindColumns(&found, RelationGetDescr(relation), RelationGetRelationName(relation), read, CurrentMemoryContext);
		table_close(relation, NoLock);
	});
	const int32 source = NextSource();
	AsFollower([&] {
		MakeTrigger(NameOf(relid), pg::kRowTrigger, "AFTER INSERT OR UPDATE OR DELETE", "ROW");
		MakeStatementTriggers(relid);
	});
	LetOwnerRecord(relid);
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
	if (Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values) == 0) {
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
	pg::RequireUnbound("attach events", "It stops the appends of all tenants until its transaction ends.");
	for (int i = 2; i <= 5; i++) {
		RequireField(OptionalString(fcinfo, i));
	}
	pg::RequireNotNull(fcinfo, 6, "p_once");
	RequireMetrics(metrics);
	// whoever appends now ends first, and who appends from then on records
	Call([] { LockRelationOid(pg::Oids().events, ShareRowExclusiveLock); });
	Oid types[9] = {INT4OID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};
	const int32 source = NextSource();
	Datum values[9] = {Int32GetDatum(source), type.datum, tenant.text, metrics, PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), PG_GETARG_DATUM(6)};
	char nulls[10] = "         ";
	for (int i = 2; i <= 5; i++) {
		nulls[i + 2] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	(void)Change("INSERT INTO analytics.sources (source_id, event_type, tenant_id, metrics, user_field, device_field, time_field, samples_field, once, attached_by, "
	                           "attached_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, session_user, pg_catalog.now())",
	                           9, types, values, nulls);
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
	pg::RequireUnbound("detach events", "It stops the appends of all tenants until its transaction ends.");
	Call([] { LockRelationOid(pg::Oids().events, ShareRowExclusiveLock); });
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {type.datum, tenant.text};
	if (Change("UPDATE analytics.sources SET detached = true WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached",
	           2, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "events of type \"" + std::string(type.name.bytes) + "\" are no source of readings",
		                  "This session's tenant attached none of that type.", "The owner of the store finds what is attached in analytics.sources.");
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_rebuild_source) {
	pg::RequireNotNull(fcinfo, 0, "p_source");
	RefuseWhenReadOnly("analytics.rebuild_source()");
	RequireReadCommitted("analytics.rebuild_source");
	pg::RequireUnbound("count a source anew", "Its readings may be several tenants'.");
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

const pg::Source *
SourceOf(Oid relid) {
	return OidIsValid(relid) ? Call([&] { return pg::SourceOf(relid); }) : nullptr;
}

Oid
RelationOf(const RangeVar *name) {
	return Call([&] { return RangeVarGetRelid(name, NoLock, true); });
}

// A partition came to a source, or left it.
void
PartitionChanged(Oid parent, Oid partition, bool attached) {
	const pg::Source *source = SourceOf(parent);
	if (source == nullptr || !OidIsValid(partition)) {
		return;
	}
	AsFollower([&] {
		if (attached) {
			MakeStatementTriggers(partition);
		} else {
			DropStatementTriggers(partition);
		}
	});
	pg::RecordTable(partition, *source, !attached);
}

// A column that a source is read by keeps its name and can still be read: else the next write would find out.
void
RequireColumns(const RangeVar *table) {
	const Oid relid = table == nullptr ? InvalidOid : RelationOf(table);
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	Call([&] {
		Relation relation = table_open(relid, AccessShareLock);
		pg::ReadingColumns found;
		pg::FindColumns(&found, RelationGetDescr(relation), RelationGetRelationName(relation), *source, CurrentMemoryContext);
		table_close(relation, NoLock);
	});
}

void
RefuseHeir() {
	throw DomainError("0A000", "a table cannot inherit from a source of readings", "No trigger of the source would see its rows.",
	                  "Partition the source instead.");
}

// Values of a column became others without a trigger: the next refresh counts them all. The views do until then.
void
CountAnew(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source != nullptr) {
		AsFollower([&] {
			Oid types[1] = {INT4OID};
			Datum values[1] = {Int32GetDatum(source->id)};
			(void)Change("DELETE FROM analytics.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
		});
	}
}

void
RefuseWhileSource(Oid relid, const char *detail) {
	if (SourceOf(relid) != nullptr) {
		throw DomainError("0A000", NameOf(relid) + " is a source of readings", detail, "analytics.detach_source ends that.");
	}
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
		} else if (command->subtype == AT_ChangeOwner && SourceOf(parent) != nullptr) {
			LetOwnerRecord(parent);
		} else if (pg::compat::ChangesValues(command->subtype)) {
			CountAnew(parent);
		} else if (command->subtype == AT_SetUnLogged || command->subtype == AT_ForceRowSecurity) {
			RefuseWhileSource(parent, command->subtype == AT_SetUnLogged ? "Its metrics would outlive its readings in a crash." : "The metrics are counted on behalf of its owner.");
		} else if (command->subtype == AT_AddInherit && SourceOf(RelationOf(reinterpret_cast<const RangeVar *>(command->def))) != nullptr) {
			RefuseHeir();
		}
	}
}

void
FollowCreate(const CreateStmt *statement) {
	const Oid table = statement->inhRelations == NIL ? InvalidOid : RelationOf(statement->relation);
	for (int i = 0; OidIsValid(table) && i < list_length(statement->inhRelations); i++) {
		const Oid parent = RelationOf(static_cast<const RangeVar *>(list_nth(statement->inhRelations, i)));
		if (SourceOf(parent) == nullptr) {
			continue;
		}
		// IF NOT EXISTS may have made nothing: the table is another one, or one that we followed
		const bool is_partition = Call([&] { return get_rel_relispartition(table) && get_partition_parent(table, true) == parent; });
		if (!is_partition && Call([&] { return list_member_oid(find_inheritance_children(parent, NoLock), table); })) {
			RefuseHeir();
		}
		if (is_partition && !Call([&] { return OidIsValid(get_trigger_oid(table, pg::kStatementTrigger, true)); })) {
			AsFollower([&] { MakeStatementTriggers(table); });
		}
	}
}

// CREATE SCHEMA makes tables too, whose names its parts do not say whole: the partitions of all sources are looked through.
void
FollowSchema() {
	const pg::Sources sources = Call([] {
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const pg::Sources read = pg::ReadSources(snapshot);
		UnregisterSnapshot(snapshot);
		return read;
	});
	for (int i = 0; i < sources.count; i++) {
		const Oid root = sources.items[i].relation;
		const List *all = OidIsValid(root) ? Call([&] { return static_cast<const List *>(find_all_inheritors(root, NoLock, nullptr)); }) : NIL;
		for (int k = 1; k < list_length(all); k++) {
			const Oid one = list_nth_oid(all, k);
			if (!Call([&] { return get_rel_relispartition(one); })) {
				RefuseHeir();
			}
			if (!Call([&] { return OidIsValid(get_trigger_oid(one, pg::kStatementTrigger, true)); })) {
				AsFollower([&] { MakeStatementTriggers(one); });
			}
		}
	}
}

void
EndSource(Oid relid) {
	AsFollower([&] {
		Oid types[1] = {REGCLASSOID};
		Datum values[1] = {ObjectIdGetDatum(relid)};
		(void)Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values);
	});
}

// Server side. Its owner, and that of its schema.
bool
MayDrop(Oid relid) {
	return pg::compat::OwnsRelation(GetUserId(), relid) || pg::compat::OwnsSchema(GetUserId(), get_rel_namespace(relid));
}

bool
AnyOf(const List *some, const List *all) {
	for (int i = 0; i < list_length(some); i++) {
		if (list_member_oid(all, list_nth_oid(some, i))) {
			return true;
		}
	}
	return false;
}

// Server side. The tables that a statement is about to drop, those of it that the role may; a partition of one goes with it.
List *
TablesOf(const DropStmt *statement) {
	List *all = NIL;
	for (int i = 0; i < list_length(statement->objects); i++) {
		const List *object = static_cast<const List *>(list_nth(statement->objects, i));
		const Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(const_cast<List *>(object)), NoLock, true);
		if (OidIsValid(relid) && MayDrop(relid)) {
			all = list_append_unique_oid(all, relid);
		}
	}
	List *tables = NIL;
	for (int i = 0; i < list_length(all); i++) {
		const Oid relid = list_nth_oid(all, i);
		List *above = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
		if (!AnyOf(above, all)) {
			tables = lappend_oid(tables, relid);
		}
	}
	return tables;
}

// Before tables are dropped: a source's own ends it, a partition's readings leave it.
void
FollowDrop(const DropStmt *statement) {
	if (statement->removeType != OBJECT_TABLE) {
		return;
	}
	const List *tables = Call([&] { return static_cast<const List *>(TablesOf(statement)); });
	for (int i = 0; i < list_length(tables); i++) {
		const Oid relid = list_nth_oid(tables, i);
		const pg::Source *source = SourceOf(relid);
		if (source == nullptr) {
			continue;
		}
		if (source->relation == relid) {
			EndSource(relid);
			continue;
		}
		Call([&] {
			// the parent first, as DROP TABLE does
			LockRelationOid(get_partition_parent(relid, true), AccessExclusiveLock);
			LockRelationOid(relid, AccessExclusiveLock);
			(void)find_all_inheritors(relid, AccessExclusiveLock, nullptr);
		});
		pg::RecordTable(relid, *source, true);
	}
}

/*
 * Sources whose table went with something else: DROP SCHEMA, DROP OWNED. Whether one lost a partition that way is not known any
 * more, so where a table with our triggers went, those that are partitioned are counted anew.
 */
void
EndSourcesWithoutTable(bool with_partitions) {
	const bool there = Call([] {
		const Oid schema = get_namespace_oid("analytics", true);
		return OidIsValid(schema) && OidIsValid(get_relname_relid("sources", schema)) && OidIsValid(get_relname_relid("retention", schema));
	});
	if (!there) {
		return;
	}
	struct Found {
		bool lost;
		bool partitioned;
	};
	const Found found = Call([] {
		Found f = {false, false};
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const pg::Sources sources = pg::ReadSources(snapshot);
		UnregisterSnapshot(snapshot);
		for (int i = 0; i < sources.count; i++) {
			const pg::Source &source = sources.items[i];
			f.lost |= source.detached;
			f.partitioned |= OidIsValid(source.relation) && get_rel_relkind(source.relation) == RELKIND_PARTITIONED_TABLE;
		}
		return f;
	});
	if (found.lost) {
		AsFollower([] {
			(void)Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c "
			             "WHERE c.oid OPERATOR(pg_catalog.=) relation)",
			             0, nullptr, nullptr);
		});
	}
	if (with_partitions && found.partitioned) {
		AsFollower([] {
			(void)Change("DELETE FROM analytics.filled_sources f USING analytics.sources s, pg_catalog.pg_class c WHERE f.source_id OPERATOR(pg_catalog.=) s.source_id "
			             "AND c.oid OPERATOR(pg_catalog.=) s.relation AND c.relkind OPERATOR(pg_catalog.=) 'p' AND EXISTS (SELECT FROM "
			             "pg_catalog.pg_event_trigger_dropped_objects() d WHERE d.object_type OPERATOR(pg_catalog.=) 'trigger' AND "
			             "d.address_names[pg_catalog.array_upper(d.address_names, 1)] OPERATOR(pg_catalog.=) 'auren_record_row') AND EXISTS (SELECT FROM "
			             "pg_catalog.pg_event_trigger_dropped_objects() d WHERE d.object_type OPERATOR(pg_catalog.=) 'table')",
			             0, nullptr, nullptr);
		});
	}
}

// Whether the tables that are made and altered are this extension's own, on their way into the database.
bool
IsInstalling() {
	return creating_extension && CurrentExtensionObject == get_extension_oid("auren_events", true);
}

} // namespace

AUREN_FUNCTION(auren_follow_tables) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "analytics.follow_tables is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const auto *data = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
	const Node *statement = data->parsetree;
	if (Call([] { return IsInstalling(); })) {
		PG_RETURN_NULL();
	}
	if (std::strcmp(data->event, "sql_drop") == 0) {
		EndSourcesWithoutTable(!IsA(statement, DropStmt) || reinterpret_cast<const DropStmt *>(statement)->removeType != OBJECT_TABLE);
	} else if (IsA(statement, RenameStmt)) {
		RequireColumns(reinterpret_cast<const RenameStmt *>(statement)->relation);
	} else if (IsA(statement, AlterTableStmt)) {
		RequireColumns(reinterpret_cast<const AlterTableStmt *>(statement)->relation);
		FollowAlter(reinterpret_cast<const AlterTableStmt *>(statement));
	} else if (IsA(statement, CreateSchemaStmt)) {
		FollowSchema();
	} else if (IsA(statement, CreateStmt)) {
		FollowCreate(reinterpret_cast<const CreateStmt *>(statement));
	} else if (IsA(statement, DropStmt)) {
		FollowDrop(reinterpret_cast<const DropStmt *>(statement));
	}
	PG_RETURN_NULL();
}

// ---- zone, retention, jobs -----------------------------------------------------------------------------------------------------

namespace {

// Server side. Whether AT TIME ZONE takes a name as an abbreviation, which it looks for first.
bool
IsAbbreviation(const char *name) {
	SPI_connect();
	Oid types[1] = {TEXTOID};
	Datum values[1] = {CStringGetTextDatum(name)};
	SPI_execute_with_args("SELECT FROM pg_catalog.pg_timezone_abbrevs WHERE abbrev OPERATOR(pg_catalog.=) pg_catalog.upper($1)", 1, types, values, nullptr, true, 1);
	const bool is = SPI_processed > 0;
	SPI_finish();
	return is;
}

} // namespace

AUREN_FUNCTION(auren_set_time_zone) {
	const pg::Text zone = pg::TextArgument(fcinfo, 0, "p_time_zone");
	const std::string name(zone.name.bytes);
	RefuseWhenReadOnly("analytics.set_time_zone()");
	pg::RequireUnbound("set the zone", "The days of all tenants are in one zone.");
	RequireReadCommitted("analytics.set_time_zone");
	struct Zone {
		bool known;
		bool ambiguous;
	};
	const Zone found = Call([&] {
		pg_tz *zone = pg_tzset(name.c_str());
		Zone z = {zone != nullptr && pg_tz_acceptable(zone), false};
		long offset;
		if (z.known && !pg_get_timezone_offset(zone, &offset)) {
			z.ambiguous = IsAbbreviation(name.c_str());
		}
		return z;
	});
	if (!found.known) {
		throw DomainError(sqlstate::kInvalidParameter, "there is no time zone \"" + name + "\"", "It is in no list of zones of this server.",
		                  "pg_timezone_names lists them.");
	}
	if (found.ambiguous) {
		throw DomainError(sqlstate::kInvalidParameter, "\"" + name + "\" is a time zone and an abbreviation",
		                  "SQL takes it as the abbreviation, which has no summer time.", "Name a place of that zone, such as Europe/Berlin.");
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
	pg::RequireUnbound("set the retention", "It is that of all tenants' metrics.");
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
	pg::RequireUnbound("apply the retention", "It drops metrics of all tenants.");
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
	pg::RequireUnbound("schedule jobs", "They are those of all tenants.");
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
