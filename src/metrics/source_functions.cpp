// Sources of readings: attach, detach and rebuild.

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/json/json_pointer.hpp"
#include "core/metrics/reading_value.hpp"
#include "core/store/names.hpp"
#include "metrics/refresh.hpp"
#include "metrics/source_changes.hpp"
#include "metrics/source_triggers.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/arguments.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "store/relations.hpp"
#include "store/dropped_months.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

std::string
OptionalString(FunctionCallInfo fcinfo, int argument) {
	const auto text = pg::OptionalTextArgument(fcinfo, argument);
	return text ? std::string(text->name.bytes) : std::string();
}

void
RequireOwn(Oid relid) {
	if (!Call([&] { return pg::compat::OwnsRelation(GetUserId(), relid); })) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + NameOf(relid) + " may attach it",
		                  "Its readings would be seen through the metrics.", "Ask the table's owner.");
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
		throw DomainError("42809", name + " cannot be a source of readings",
		                  "It is neither an ordinary nor a partitioned table, or it is temporary or unlogged.",
		                  "Attach the table that the readings are written to.");
	}
	if (facts.part) {
		throw DomainError("0A000", name + " cannot be a source of readings",
		                  "It is a partition of another table or inherits from one, whose statements no trigger of it sees.",
		                  "Attach the table above it.");
	}
	if (facts.inherits || facts.forced) {
		throw DomainError("0A000", name + " cannot be a source of readings",
		                  facts.inherits ? "Other tables inherit from it, whose rows no trigger of it sees."
		                                 : "Row level security is forced for its owner too, on whose behalf the metrics are counted.",
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
		                  "It is an object of fields, each with the name of a metric.",
		                  "Give one such as {\"heart_rate\": \"heart_rate\", \"hrv\": \"hrv\"}.");
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
	const uint64 same = ChangeAsStore(
		"SELECT FROM analytics.sources WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) $2 AND NOT detached", 2, types,
		values);
	if (same > 1) {
		throw DomainError("42710", "events of type \"" + std::string(type.name.bytes) + "\" are a source of readings already",
		                  "Their readings would be counted twice.", "analytics.detach_events ends that.");
	}
}

// Writes down a table as a source: its number, OID, tenant and columns, and with 'n' which of them it has not.
void
InsertTableSource(Datum *values, const char *nulls) {
	Oid types[9] = {INT4OID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	(void)ChangeAsStore("INSERT INTO analytics.sources (source_id, relation, tenant_id, user_field, device_field, metric_field, value_field, "
	                    "time_field, tenant_field, "
	                    "attached_by, attached_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, session_user, pg_catalog.now())",
	                    9, types, values, nulls);
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
		pg::RequireUnbound("attach a table of several tenants", "Its column could name any tenant.",
		                   "Attach it without a tenant column: its readings are then of app.tenant_id.");
	}
	RequireAttachable(relid);
	RequireReadable(relid, {std::string(user.name.bytes), device, std::string(metric.name.bytes), std::string(value.name.bytes),
	                        std::string(time.name.bytes), tenant_column});
	const int32 source = NextSource();
	StartRecording(relid, source);
	Datum values[9] = {
		Int32GetDatum(source), ObjectIdGetDatum(relid), tenant.text, user.datum, PG_GETARG_DATUM(2), metric.datum, value.datum, time.datum,
		PG_GETARG_DATUM(6)};
	char nulls[10] = "         ";
	nulls[4] = device.empty() ? 'n' : ' ';
	nulls[8] = tenant_column.empty() ? 'n' : ' ';
	InsertTableSource(values, nulls);
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
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of " + NameOf(relid) + " may detach it",
		                  "The triggers of the table are dropped.", "Ask the table's owner.");
	}
	if (ChangeAsStore("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values) ==
	    0) {
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
	Datum values[9] = {Int32GetDatum(source), type.datum,         tenant.text,        metrics,           PG_GETARG_DATUM(2),
	                   PG_GETARG_DATUM(3),    PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), PG_GETARG_DATUM(6)};
	char nulls[10] = "         ";
	for (int i = 2; i <= 5; i++) {
		nulls[i + 2] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	(void)ChangeAsStore("INSERT INTO analytics.sources (source_id, event_type, tenant_id, metrics, user_field, device_field, time_field, "
	                    "samples_field, once, attached_by, "
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
	if (ChangeAsStore("UPDATE analytics.sources SET detached = true WHERE event_type OPERATOR(pg_catalog.=) $1 AND tenant_id OPERATOR(pg_catalog.=) "
	                  "$2 AND NOT detached",
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
	(void)ChangeAsStore("DELETE FROM auren.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
	if (ChangeAsStore("SELECT FROM analytics.sources WHERE source_id OPERATOR(pg_catalog.=) $1 AND NOT detached", 1, types, values) == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no source " + std::to_string(PG_GETARG_INT32(0)),
		                  "analytics.sources has none of that number.", "analytics.attach_source returned it.");
	}
	const uint64 older =
		ChangeAsStore("SELECT FROM auren.month_records m, analytics.sources s WHERE s.source_id OPERATOR(pg_catalog.=) $1 AND s.event_type "
	                  "IS NOT NULL AND m.dropped_at OPERATOR(pg_catalog.<) s.attached_at",
	                  1, types, values);
	if (older > 0) {
		Call([&] {
			ereport(WARNING,
			        (errmsg("readings of months that were dropped before the source was attached are not counted"),
			         errdetail("It is a source of events, and of %llu months they were gone by then.", static_cast<unsigned long long>(older)),
			         errhint("An archive of such a month can be attached before the source is rebuilt.")));
		});
	}
	PG_RETURN_VOID();
}

} // namespace auren
