// Sources of readings, and what an administrator sets: attach and detach, partitions that come and go, zone, retention, jobs.

#include <cstring>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/json/json_pointer.hpp"
#include "core/metrics/reading_time.hpp"
#include "core/metrics/reading_value.hpp"
#include "core/store/names.hpp"
#include "metrics/buckets.hpp"
#include "metrics/named_zone.hpp"
#include "metrics/readings.hpp"
#include "metrics/refresh.hpp"
#include "metrics/relations.hpp"
#include "metrics/source_triggers.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/arguments.hpp"
#include "server/as_owner.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "server/run_sql.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

void
Run(const std::string &sql) {
	const char *text = sql.c_str();
	Call([&](Server server) { pg::RunSql(server, text); });
}

uint64
Change(const char *sql, int count, Oid *types, Datum *values, const char *nulls = nullptr) {
	return Call([&](Server server) { return pg::ExecuteAsStore(server, sql, count, types, values, nulls); });
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

// A function that acts on everything would leave what a fixed server snapshot does not see.
void
RequireReadCommitted(const char *function) {
	if (IsolationUsesXactSnapshot()) {
		throw DomainError("25001", std::string(function) + " runs at READ COMMITTED only",
		                  "It acts on everything that is committed, and this transaction's server snapshot is fixed.", "Call it in a transaction of its own.");
	}
}

/*
 * Whoever changes tables need have no right of ours, nor own the partition: what follows from it is done as the owner of the event
 * triggers. An error ends the statement, and the role with it.
 */
template <typename F>
void
AsEventTriggerOwner(F &&work) {
	const pg::SavedUser before = Call([](Server server) { return pg::BecomeEventTriggerOwner(server); });
	work();
	Call([&](Server server) { pg::SwitchBack(server, before); });
}

// ---- triggers of a source's tables ---------------------------------------------------------------------------------------

// The owner of a table as a statement names it; nullptr for a superuser, who needs no grant.
const char *
OwnerOf(Server, Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	return superuser_arg(owner) ? nullptr : quote_identifier(GetUserNameFromId(owner, false));
}

// The server asks whoever makes a partition for the right to execute the functions of its triggers.
void
GrantRecordingToOwner(Oid relid) {
	const char *owner = Call([&](Server server) { return OwnerOf(server, relid); });
	if (owner != nullptr) {
		// one after the other: the server would end the second GRANT with "tuple concurrently updated"
		Call([](Server server) { LockRelationOid(pg::own::bindings.Get(server), ShareRowExclusiveLock); });
		AsEventTriggerOwner([&] { Run(std::string("GRANT EXECUTE ON FUNCTION auren.record_change() TO ") + owner); });
	}
}

// A table is no source any more: its owner keeps that right only while another table of theirs is one.
void
RevokeRecordingFromOwner(Oid relid) {
	struct Owner {
		Oid oid;
		const char *name;
	};
	const Owner owner = Call([&](Server server) {
		if (get_rel_relkind(relid) == '\0') {
			return Owner{InvalidOid, nullptr};
		}
		const char *name = OwnerOf(server, relid);
		Relation relation = table_open(relid, AccessShareLock);
		const Oid oid = relation->rd_rel->relowner;
		table_close(relation, NoLock);
		return Owner{oid, name};
	});
	if (owner.name == nullptr) {
		return;
	}
	AsEventTriggerOwner([&] {
		Oid types[1] = {OIDOID};
		Datum values[1] = {ObjectIdGetDatum(owner.oid)};
		if (Change("SELECT FROM analytics.sources s JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.relation "
		           "WHERE c.relowner OPERATOR(pg_catalog.=) $1 AND NOT s.detached",
		           1, types, values) > 0) {
			return;
		}
		Call([](Server server) { LockRelationOid(pg::own::bindings.Get(server), ShareRowExclusiveLock); });
		Run(std::string("REVOKE EXECUTE ON FUNCTION auren.record_change() FROM ") + owner.name);
	});
}

void
RefuseForeign(Oid relid) {
	if (Call([&] { return get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE; })) {
		throw DomainError("0A000", "foreign table " + NameOf(relid) + " cannot be a partition of a source of readings", "No trigger sees what changes in it.",
		                  "Attach a table of this database as the source.");
	}
}

void
RequireOwn(Oid relid) {
	if (!Call([&] { return pg::compat::OwnsRelation(GetUserId(), relid); })) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + NameOf(relid) + " may attach it", "Its readings would be seen through the metrics.",
		                  "Ask the table's owner.");
	}
}

void
RequireTable(Oid relid) {
	if (!Call([&] { return get_rel_name(relid) != nullptr; })) {
		throw DomainError("42P01", "there is no such table", "No table has the number " + std::to_string(relid) + ".", "Name it as schema.table.");
	}
}

void
RequireAttachable(Oid relid) {
	const std::string name = NameOf(relid);
	// before the lock: whoever waits for one makes everybody wait who wants the table later
	RequireOwn(relid);
	struct Facts {
		char kind;
		char persistence;
		bool part;
		bool inherits;
		bool forced;
	};
	const Facts facts = Call([&] {
		Relation relation = table_open(relid, ShareRowExclusiveLock);
		Facts f;
		f.kind = relation->rd_rel->relkind;
		f.persistence = relation->rd_rel->relpersistence;
		f.part = relation->rd_rel->relispartition || has_superclass(relid);
		f.inherits = f.kind == RELKIND_RELATION && find_inheritance_children(relid, NoLock) != NIL;
		f.forced = relation->rd_rel->relforcerowsecurity;
		table_close(relation, NoLock);
		return f;
	});
	RequireOwn(relid);
	if ((facts.kind != RELKIND_RELATION && facts.kind != RELKIND_PARTITIONED_TABLE) || facts.persistence != RELPERSISTENCE_PERMANENT) {
		throw DomainError("42809", name + " cannot be a source of readings", "It is neither an ordinary nor a partitioned table, or it is temporary or unlogged.",
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
		if (Call([&](Server server) { return pg::SourceOf(server, one) != nullptr; })) {
			throw DomainError("42710", NameOf(one) + " is a source of readings already", "Its readings would be counted twice.",
			                  "analytics.detach_source ends that.");
		}
		RefuseForeign(one);
	}
}

// The columns of a table that becomes a source: those for device and tenant may be "", which names none.
struct ColumnNames {
	std::string user;
	std::string device;
	std::string metric;
	std::string value;
	std::string time;
	std::string tenant;
};

// Raises what reading the columns would raise.
void
RequireReadable(Oid relid, const ColumnNames &names) {
	const char *device = names.device.empty() ? nullptr : names.device.c_str();
	const char *tenant = names.tenant.empty() ? nullptr : names.tenant.c_str();
	Call([&](Server server) {
		pg::Source read = {};
		read.tenant = "";
		read.user = names.user.c_str();
		read.device = device;
		read.metric = names.metric.c_str();
		read.value = names.value.c_str();
		read.time = names.time.c_str();
		read.tenant_column = tenant;
		Relation relation = table_open(relid, NoLock);
		pg::ReadingColumns found;
		pg::FindColumns(server, &found, RelationGetDescr(relation), RelationGetRelationName(relation), read, CurrentMemoryContext);
		table_close(relation, NoLock);
	});
}

// From here on triggers record what changes in a table.
void
StartRecording(Oid relid, int32 source) {
	AsEventTriggerOwner([&] {
		Call([&](Server server) {
			pg::MakeRowTrigger(server, relid);
			pg::MakeStatementTriggers(server, relid);
		});
	});
	GrantRecordingToOwner(relid);
	Call([&](Server server) { pg::RecordPartitions(server, relid, source); });
}

int32
NextSource() {
	return static_cast<int32>(Call([] {
		const Oid sequence = get_relname_relid("source_id_seq", get_namespace_oid("auren", false));
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

// What attach_events' p_metrics says, which is palloc'ed.
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

// p_user_field to p_samples_field of attach_events.
void
RequireFields(FunctionCallInfo fcinfo) {
	for (int i = 2; i <= 5; i++) {
		RequireField(OptionalString(fcinfo, i));
	}
}

// After another source was added: it is the only one of that event type.
void
RequireOneSource(const pg::Text &type, const pg::Tenant &tenant) {
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {type.datum, tenant.text};
	const uint64 same = Change("SELECT FROM analytics.sources WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached",
	                           2, types, values);
	if (same > 1) {
		throw DomainError("42710", "events of type \"" + std::string(type.name.bytes) + "\" are a source of readings already",
		                  "Their readings would be counted twice.", "analytics.detach_events ends that.");
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
	RequireTable(relid);
	if (!tenant_column.empty()) {
		pg::RequireUnbound("attach a table of several tenants", "Its column could name any tenant.", "Attach it without a tenant column: its readings are then of app.tenant_id.");
	}
	RequireAttachable(relid);
	RequireReadable(relid, {std::string(user.name.bytes), device, std::string(metric.name.bytes), std::string(value.name.bytes), std::string(time.name.bytes), tenant_column});
	const int32 source = NextSource();
	StartRecording(relid, source);
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
	if (relid == Call([](Server server) { return pg::own::readings.Get(server); })) {
		throw DomainError("0A000", "biometric.biometric_events stays a source", "The metrics are those of its readings first of all.",
		                  "Leave it empty, if you do not use it.");
	}
	if (Call([&] { return get_rel_name(relid) != nullptr && !pg::compat::OwnsRelation(GetUserId(), relid); })) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + NameOf(relid) + " may detach it", "The triggers of the table are dropped.",
		                  "Ask the table's owner.");
	}
	if (Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "this table is not a source of readings", "analytics.sources has none of that table.",
		                  "A partition is detached with the table that it belongs to.");
	}
	Call([&](Server server) {
		LockRelationOid(relid, AccessExclusiveLock);
		pg::DropStatementTriggers(server, relid);
		pg::DropRowTrigger(server, relid);
		pg::ForgetPartitions(server, relid);
	});
	RevokeRecordingFromOwner(relid);
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
	RequireFields(fcinfo);
	pg::RequireNotNull(fcinfo, 6, "p_once");
	RequireMetrics(metrics);
	// waits for appends that are under way; those that come later record their readings
	Call([](Server server) { LockRelationOid(pg::own::events.Get(server), ShareRowExclusiveLock); });
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
	RequireOneSource(type, tenant);
	PG_RETURN_INT32(source);
}

AUREN_FUNCTION(auren_detach_events) {
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	const pg::Tenant tenant = pg::CurrentTenant();
	RefuseWhenReadOnly("analytics.detach_events()");
	pg::RequireUnbound("detach events", "It stops the appends of all tenants until its transaction ends.");
	Call([](Server server) { LockRelationOid(pg::own::events.Get(server), ShareRowExclusiveLock); });
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {type.datum, tenant.text};
	if (Change("UPDATE analytics.sources SET detached = true WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached",
	           2, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "events of type \"" + std::string(type.name.bytes) + "\" are not a source of readings",
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
	Call([](Server server) { pg::LockRollups(server); });
	(void)Change("DELETE FROM auren.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
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
	return OidIsValid(relid) ? Call([&](Server server) { return pg::SourceOf(server, relid); }) : nullptr;
}

// Tables were attached to one of a source: those below it that were not written down.
void
FollowAttach(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	const List *known = Call([&](Server server) { return pg::RecordedPartitions(server, source->id); });
	const List *children = Call([&] { return static_cast<const List *>(find_inheritance_children(relid, NoLock)); });
	for (int i = 0; i < list_length(children); i++) {
		const Oid one = list_nth_oid(children, i);
		if (list_member_oid(known, one)) {
			continue;
		}
		RefuseForeign(one);
		AsEventTriggerOwner([&] {
			Call([&](Server server) {
				if (!pg::HasStatementTrigger(server, one)) {
					pg::MakeStatementTriggers(server, one);
				}
				pg::RecordPartitions(server, one, source->id);
			});
		});
		pg::RecordTable(one, *source, pg::Counting::kAdd);
	}
}

// Drops what a table of a source had for that; the row trigger went with the partition.
void
EndPartition(Oid relid) {
	AsEventTriggerOwner([&] {
		Call([&](Server server) {
			pg::DropStatementTriggers(server, relid);
			pg::ForgetPartitions(server, relid);
		});
	});
}

// Tables were detached from one of a source: those that were written down and are not below it any more.
void
FollowDetach(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	const List *known = Call([&](Server server) { return pg::RecordedPartitions(server, source->id); });
	for (int i = 0; i < list_length(known); i++) {
		const Oid one = list_nth_oid(known, i);
		const char kind = Call([&] { return get_rel_relkind(one); });
		const pg::Source *now = kind == '\0' ? source : SourceOf(one);
		if (now != nullptr && now->id == source->id) {
			continue;
		}
		EndPartition(one);
		if (kind == RELKIND_RELATION) {
			pg::RecordTable(one, *source, pg::Counting::kTake);
		}
	}
}

// A column that a source is read by keeps its name and can still be read: else the next write would find out.
void
RequireColumns(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	Call([&](Server server) {
		Relation relation = table_open(relid, AccessShareLock);
		pg::ReadingColumns found;
		pg::FindColumns(server, &found, RelationGetDescr(relation), RelationGetRelationName(relation), *source, CurrentMemoryContext);
		table_close(relation, NoLock);
	});
}

void
RefuseInheritance() {
	throw DomainError("0A000", "a table cannot inherit from a source of readings", "No trigger of the source would see its rows.",
	                  "Partition the source instead.");
}

// Values of a column became others without a trigger: the next refresh counts them all. The views do until then.
void
CountAnew(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source != nullptr) {
		AsEventTriggerOwner([&] {
			Oid types[1] = {INT4OID};
			Datum values[1] = {Int32GetDatum(source->id)};
			(void)Change("DELETE FROM auren.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
		});
	}
}

void
RefuseWhileSource(Oid relid, const char *detail) {
	if (SourceOf(relid) != nullptr) {
		throw DomainError("0A000", NameOf(relid) + " is a source of readings", detail, "analytics.detach_source ends that.");
	}
}

// Tables above one, partitioned or not.
const List *
ParentsOf(Server, Oid relid) {
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
	List *parents = NIL;
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
		parents = lappend_oid(parents, reinterpret_cast<const FormData_pg_inherits *>(GETSTRUCT(tuple))->inhparent);
	}
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parents;
}

// A table was made, or inherits from another one now.
void
FollowInheritance(Oid relid) {
	const List *parents = Call([&](Server server) { return ParentsOf(server, relid); });
	for (int i = 0; i < list_length(parents); i++) {
		const pg::Source *source = SourceOf(list_nth_oid(parents, i));
		if (source == nullptr) {
			continue;
		}
		if (!Call([&] { return get_rel_relispartition(relid); })) {
			RefuseInheritance();
		}
		RefuseForeign(relid);
		if (!Call([&](Server server) { return pg::HasStatementTrigger(server, relid); })) {
			AsEventTriggerOwner([&] {
				Call([&](Server server) {
					pg::MakeStatementTriggers(server, relid);
					pg::RecordPartitions(server, relid, source->id);
				});
			});
		}
	}
}

// Whether a part of ALTER TABLE enables or disables triggers.
bool
SwitchesTriggers(const AlterTableCmd *command) {
	switch (command->subtype) {
	case AT_EnableTrig:
	case AT_EnableAlwaysTrig:
	case AT_EnableReplicaTrig:
	case AT_EnableTrigAll:
	case AT_EnableTrigUser:
	case AT_DisableTrig:
	case AT_DisableTrigAll:
	case AT_DisableTrigUser:
		return true;
	default:
		return false;
	}
}

/*
 * Triggers of the extension fire always or not at all. A source one of whose triggers may have been disabled for a while is counted
 * anew: by the views until the triggers are enabled, and by the first refresh from then on.
 */
void
FollowTriggerSwitch(Oid relid, const AlterTableCmd *command) {
	Call([&](Server server) { pg::FireAlways(server, relid); });
	const char *name = command->name;
	if (name == nullptr || std::strcmp(name, pg::kRowTrigger) == 0 || std::strcmp(name, pg::kStatementTrigger) == 0 || std::strcmp(name, pg::kTruncateTrigger) == 0) {
		CountAnew(relid);
	}
}

// What a part of ALTER TABLE did to a table.
void
FollowAlterTablePart(Oid relid, const AlterTableCmd *command) {
	const AlterTableType type = command->subtype;
	if (type == AT_AttachPartition) {
		FollowAttach(relid);
	} else if (type == AT_DetachPartition || type == AT_DetachPartitionFinalize) {
		FollowDetach(relid);
	} else if (type == AT_ChangeOwner && SourceOf(relid) != nullptr) {
		GrantRecordingToOwner(relid);
	} else if (pg::compat::ChangesValues(type)) {
		CountAnew(relid);
	} else if (type == AT_SetUnLogged || type == AT_ForceRowSecurity) {
		RefuseWhileSource(relid, type == AT_SetUnLogged ? "Its metrics would outlive its readings in a crash." : "The metrics are counted on behalf of its owner.");
	} else if (type == AT_AddInherit) {
		FollowInheritance(relid);
	} else if (SwitchesTriggers(command)) {
		FollowTriggerSwitch(relid, command);
	}
}

/*
 * What the statement did, with the OIDs of what it did it to: the names in it may be another table's by now, a nested
 * statement's included. Read as the follower, since the right to ask may be taken from everybody.
 */
const List *
CollectedCommands(Server) {
	MemoryContext context = CurrentMemoryContext;
	List *commands = NIL;
	SPI_connect();
	if (SPI_execute("SELECT command FROM pg_catalog.pg_event_trigger_ddl_commands()", true, 0) != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read what a command did")));
	}
	for (uint64 i = 0; i < SPI_processed; i++) {
		bool isnull;
		const Datum command = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext before = MemoryContextSwitchTo(context);
		commands = isnull ? commands : lappend(commands, DatumGetPointer(command));
		MemoryContextSwitchTo(before);
	}
	SPI_finish();
	return commands;
}

void
FollowCommand(const CollectedCommand *command) {
	if (command->type == SCT_AlterTable) {
		const Oid relid = command->d.alterTable.objectId;
		RequireColumns(relid);
		for (int i = 0; i < list_length(command->d.alterTable.subcmds); i++) {
			const auto *part = static_cast<const CollectedATSubcmd *>(list_nth(command->d.alterTable.subcmds, i));
			if (IsA(part->parsetree, AlterTableCmd)) {
				FollowAlterTablePart(relid, reinterpret_cast<const AlterTableCmd *>(part->parsetree));
			}
		}
	} else if (command->type == SCT_Simple && command->d.simple.address.classId == RelationRelationId) {
		const Oid relid = command->d.simple.address.objectId;
		if (IsA(command->parsetree, CreateStmt) || IsA(command->parsetree, CreateForeignTableStmt)) {
			FollowInheritance(relid);
		} else {
			RequireColumns(relid);
		}
	}
}

void
FollowCommands() {
	const List *commands = nullptr;
	AsEventTriggerOwner([&] { commands = Call([](Server server) { return CollectedCommands(server); }); });
	for (int i = 0; i < list_length(commands); i++) {
		FollowCommand(static_cast<const CollectedCommand *>(list_nth(commands, i)));
	}
}

void
EndSource(Oid relid) {
	AsEventTriggerOwner([&] {
		Oid types[1] = {REGCLASSOID};
		Datum values[1] = {ObjectIdGetDatum(relid)};
		(void)Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values);
	});
	RevokeRecordingFromOwner(relid);
}

// Its owner, and that of its schema.
bool
MayDrop(Server, Oid relid) {
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

// The tables that a statement is about to drop, those of it that the role may; a partition of one goes with it.
List *
TablesOf(Server server, const DropStmt *statement) {
	List *all = NIL;
	for (int i = 0; i < list_length(statement->objects); i++) {
		const List *object = static_cast<const List *>(list_nth(statement->objects, i));
		const Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(const_cast<List *>(object)), NoLock, true);
		if (OidIsValid(relid) && MayDrop(server, relid)) {
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

// Partitions whose readings were taken since the statement names them, until it is done.
std::vector<Oid> taken_tables;

// Before tables are dropped: a source's own ends it, a partition's readings leave it.
void
FollowDrop(const DropStmt *statement) {
	if (statement->removeType != OBJECT_TABLE) {
		return;
	}
	const List *tables = Call([&](Server server) { return static_cast<const List *>(TablesOf(server, statement)); });
	taken_tables.clear();
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
		AsEventTriggerOwner([&] { Call([&](Server server) { pg::ForgetPartitions(server, relid); }); });
		pg::RecordTable(relid, *source, pg::Counting::kTake);
		taken_tables.push_back(relid);
	}
}

// After tables were dropped: a name may have come to mean another table between the look at it and the drop.
void
FollowDropped() {
	std::vector<Oid> taken;
	taken.swap(taken_tables);
	for (const Oid relid : taken) {
		if (Call([&] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)); })) {
			CountAnew(relid);
		}
	}
}

/*
 * Sources whose table went with something else: DROP SCHEMA, DROP OWNED. Those that lost a partition that way are counted anew: the OIDs
 * of partitions were written down, and nothing goes by the names of what was dropped, which anybody can give.
 */
void
EndSourcesWithoutTable() {
	const bool there = Call([] {
		const Oid analytics = get_namespace_oid("analytics", true);
		const Oid schema = get_namespace_oid("auren", true);
		return OidIsValid(analytics) && OidIsValid(schema) && OidIsValid(get_relname_relid("sources", analytics)) && OidIsValid(get_relname_relid("retention", schema));
	});
	if (!there) {
		return;
	}
	struct Found {
		bool lost;
		bool partitioned;
	};
	const Found found = Call([](Server server) {
		Found f = {false, false};
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const pg::Sources sources = pg::ReadSources(server, snapshot);
		UnregisterSnapshot(snapshot);
		for (int i = 0; i < sources.count; i++) {
			const pg::Source &source = sources.items[i];
			f.lost |= source.detached;
			f.partitioned |= OidIsValid(source.relation) && get_rel_relkind(source.relation) == RELKIND_PARTITIONED_TABLE;
		}
		return f;
	});
	if (found.lost) {
		AsEventTriggerOwner([] {
			(void)Change("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c "
			             "WHERE c.oid OPERATOR(pg_catalog.=) relation)",
			             0, nullptr, nullptr);
		});
	}
	if (found.partitioned) {
		AsEventTriggerOwner([] {
			(void)Change("DELETE FROM auren.filled_sources f USING auren.source_partitions p, pg_catalog.pg_event_trigger_dropped_objects() d "
			             "WHERE f.source_id OPERATOR(pg_catalog.=) p.source_id AND p.relation OPERATOR(pg_catalog.=) d.objid AND d.classid OPERATOR(pg_catalog.=) 1259",
			             0, nullptr, nullptr);
			(void)Change("DELETE FROM auren.source_partitions p USING pg_catalog.pg_event_trigger_dropped_objects() d WHERE p.relation OPERATOR(pg_catalog.=) d.objid "
			             "AND d.classid OPERATOR(pg_catalog.=) 1259",
			             0, nullptr, nullptr);
		});
	}
}

// Whether the tables that are made and altered are this extension's own, on their way into the database.
bool
IsInstalling(Server) {
	return creating_extension && CurrentExtensionObject == get_extension_oid("auren_events", true);
}

} // namespace

AUREN_FUNCTION(auren_follow_tables) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.follow_tables is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const auto *data = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
	const Node *statement = data->parsetree;
	if (Call([](Server server) { return IsInstalling(server); })) {
		PG_RETURN_NULL();
	}
	if (std::strcmp(data->event, "sql_drop") == 0) {
		EndSourcesWithoutTable();
	} else if (std::strcmp(data->event, "ddl_command_start") == 0) {
		if (IsA(statement, DropStmt)) {
			FollowDrop(reinterpret_cast<const DropStmt *>(statement));
		}
	} else {
		FollowDropped();
		FollowCommands();
	}
	PG_RETURN_NULL();
}

// ---- zone, retention, jobs -----------------------------------------------------------------------------------------------------

namespace {

// Days and hours are made of the buckets of five minutes, so all of those must be there.
void
RequireFiveMinutes() {
	if (Change("SELECT FROM auren.retention WHERE level OPERATOR(pg_catalog.=) '5min' AND dropped_before OPERATOR(pg_catalog.>) '-infinity'", 0, nullptr, nullptr) > 0) {
		throw DomainError(sqlstate::kNotInState, "days cannot be made anew in another zone", "They are made of buckets of five minutes, and retention has dropped some.",
		                  "Set the zone before retention drops buckets of five minutes.");
	}
}

} // namespace

AUREN_FUNCTION(auren_set_time_zone) {
	const pg::Text zone = pg::TextArgument(fcinfo, 0, "p_time_zone");
	const std::string name(zone.name.bytes);
	RefuseWhenReadOnly("analytics.set_time_zone()");
	pg::RequireUnbound("set the zone", "The days of all tenants are in one zone.");
	RequireReadCommitted("analytics.set_time_zone");
	(void)pg::NamedZone(name);
	Call([](Server server) { pg::LockRollups(server); });
	RequireFiveMinutes();
	Oid types[1] = {TEXTOID};
	Datum values[1] = {zone.datum};
	(void)Change("DELETE FROM auren.metric_settings", 0, nullptr, nullptr);
	(void)Change("INSERT INTO auren.metric_settings (time_zone) VALUES ($1)", 1, types, values);
	(void)Change("DELETE FROM auren.rollup_hourly", 0, nullptr, nullptr);
	(void)Change("DELETE FROM auren.rollup_daily", 0, nullptr, nullptr);
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

// The levels that drop something, and before when by now.
int
ReadKept(Server server, Kept *kept) {
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::retention.Get(server));
	SPI_connect();
	SPI_execute("SELECT level, pg_catalog.now() OPERATOR(pg_catalog.-) keep FROM auren.retention WHERE keep OPERATOR(pg_catalog.<=) '1020 years'::interval", false, 0);
	int count = 0;
	for (uint64 i = 0; i < SPI_processed && count < 3; i++) {
		bool isnull;
		const char *level = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		kept[count].level = strcmp(level, "5min") == 0 ? "5min" : strcmp(level, "hourly") == 0 ? "hourly" : "daily";
		kept[count++].before = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	pg::SwitchBack(server, before);
	return count;
}

// Deletes the rows of a level before a time, and writes down that it did. The caller gets how many rows that were.
uint64
DropBuckets(const Kept &kept) {
	const std::string level = kept.level;
	const TimestampTz before = Call([&](Server server) {
		pg_tz *zone = pg::MetricZone(server, GetActiveSnapshot());
		return level == "5min" ? FiveMinutesOf(kept.before)
		       : level == "hourly" ? pg::HourOf(kept.before, zone)
		                           : pg::StartOfDay(pg::DayOf(kept.before, zone), zone);
	});
	const Datum level_text = Call([&] { return PointerGetDatum(cstring_to_text(kept.level)); });
	Oid types[2] = {TIMESTAMPTZOID, TEXTOID};
	Datum values[2] = {TimestampTzGetDatum(before), level_text};
	(void)Change("UPDATE auren.retention SET dropped_before = $1 WHERE level OPERATOR(pg_catalog.=) $2 AND dropped_before OPERATOR(pg_catalog.<) $1", 2, types,
	             values);
	if (level == "daily") {
		Oid day_types[1] = {DATEOID};
		Datum day_values[1] = {Call([&](Server server) { return DateADTGetDatum(pg::DayOf(before, pg::MetricZone(server, GetActiveSnapshot()))); })};
		return Change("DELETE FROM auren.rollup_daily WHERE day OPERATOR(pg_catalog.<) $1", 1, day_types, day_values);
	}
	const std::string sql = "DELETE FROM auren.rollup_" + level + " WHERE bucket OPERATOR(pg_catalog.<) $1";
	return Change(sql.c_str(), 1, types, values);
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
		constexpr double kMostDays = 1000 * 365.25;
		if (keep->month * 30.4375 + keep->day + static_cast<double>(keep->time) / USECS_PER_DAY > kMostDays) {
			throw DomainError(sqlstate::kInvalidParameter, "p_keep must be 1000 years or less", "There are no times so long ago that it would drop buckets before them.",
			                  "Give NULL to keep buckets for ever.");
		}
	}
	Oid types[2] = {TEXTOID, INTERVALOID};
	Datum values[2] = {level.datum, PG_GETARG_DATUM(1)};
	const char nulls[3] = {' ', PG_ARGISNULL(1) ? 'n' : ' ', '\0'};
	(void)Change("INSERT INTO auren.retention (level, keep, dropped_before) VALUES ($1, $2, '-infinity') ON CONFLICT (level) DO UPDATE SET keep = EXCLUDED.keep", 2,
	             types, values, nulls);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_apply_retention) {
	RefuseWhenReadOnly("analytics.apply_retention()");
	pg::RequireUnbound("apply the retention", "It drops metrics of all tenants.");
	RequireReadCommitted("analytics.apply_retention");
	Call([](Server server) { pg::LockRollups(server); });
	Kept kept[3];
	const int count = Call([&](Server server) { return ReadKept(server, kept); });
	uint64 dropped = 0;
	for (int i = 0; i < count; i++) {
		dropped += DropBuckets(kept[i]);
	}
	PG_RETURN_INT64(static_cast<int64>(dropped));
}

namespace {

void
RequireCron() {
	if (!OidIsValid(Call([] { return get_extension_oid("pg_cron", true); }))) {
		const char *database = Call([] { return GetConfigOption("cron.database_name", true, false); });
		throw DomainError(sqlstate::kNotInState, "extension pg_cron is not in this database",
		                  database == nullptr ? "The server has not loaded pg_cron." : "pg_cron works in database \"" + std::string(database) + "\".",
		                  database == nullptr ? "Set shared_preload_libraries = 'pg_cron' and cron.database_name to this database, restart the server, then CREATE EXTENSION pg_cron."
		                                      : "CREATE EXTENSION pg_cron here, if that is this database; else call cron.schedule_in_database there for the commands "
		                                        "SELECT analytics.refresh_user_metrics(), SELECT events.create_monthly_partitions() and SELECT analytics.apply_retention().");
	}
}

} // namespace

AUREN_FUNCTION(auren_schedule) {
	RefuseWhenReadOnly("analytics.schedule()");
	pg::RequireUnbound("schedule jobs", "They are those of all tenants.");
	RequireCron();
	static const char *const jobs[3][2] = {{"auren_refresh", "SELECT analytics.refresh_user_metrics()"},
	                                       {"auren_months", "SELECT events.create_monthly_partitions()"},
	                                       {"auren_retention", "SELECT analytics.apply_retention()"}};
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	for (int i = 0; i < 3; i++) {
		const std::string name = std::string(jobs[i][0]);
		if (PG_ARGISNULL(i)) {
			Run("SELECT cron.unschedule(jobname) FROM cron.job WHERE jobname OPERATOR(pg_catalog.=) " + Literal(jobs[i][0]) +
			    " AND username OPERATOR(pg_catalog.=) CURRENT_USER");
			continue;
		}
		const char *schedule = Call([&] { return static_cast<const char *>(text_to_cstring(PG_GETARG_TEXT_PP(i))); });
		Run("SELECT cron.schedule(" + Literal(jobs[i][0]) + "::text, " + Literal(schedule) + "::text, " + Literal(jobs[i][1]) + "::text)");
		Call([&](Server server) {
			const Datum values[3] = {CStringGetTextDatum(jobs[i][0]), CStringGetTextDatum(schedule), CStringGetTextDatum(jobs[i][1])};
			const bool isnull[3] = {};
			pg::PutRow(server, rows, values, isnull);
		});
	}
	return 0;
}

} // namespace auren
