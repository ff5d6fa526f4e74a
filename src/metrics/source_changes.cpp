#include "metrics/source_changes.hpp"

#include "core/error.hpp"
#include "server/run_sql.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"

namespace auren {

using pg::Call;
using pg::Server;

void
RunStatement(const std::string &sql) {
	const char *text = sql.c_str();
	Call([&](Server server) { pg::RunSql(server, text); });
}

uint64
ChangeAsStore(const char *sql, int count, Oid *types, Datum *values, const char *nulls) {
	return Call([&](Server server) { return pg::ExecuteAsStore(server, sql, count, types, values, nulls); });
}

std::string
NameOf(Oid relid) {
	return Call(
		[&] { return static_cast<const char *>(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))); });
}

void
RefuseWhenReadOnly(const char *function) {
	Call([&] { PreventCommandIfReadOnly(function); });
}

void
RequireReadCommitted(const char *function) {
	if (IsolationUsesXactSnapshot()) {
		throw DomainError("25001", std::string(function) + " runs at READ COMMITTED only",
		                  "It acts on everything that is committed, and this transaction's server snapshot is fixed.",
		                  "Call it in a transaction of its own.");
	}
}

void
RefuseForeign(Oid relid) {
	if (Call([&] { return get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE; })) {
		throw DomainError("0A000", "foreign table " + NameOf(relid) + " cannot be a partition of a source of readings",
		                  "No trigger sees what changes in it.", "Attach a table of this database as the source.");
	}
}

namespace {

// The owner of a table as a statement names it; nullptr for a superuser, who needs no grant.
const char *
OwnerOf(Server, Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	return superuser_arg(owner) ? nullptr : quote_identifier(GetUserNameFromId(owner, false));
}

} // namespace

void
GrantRecordingToOwner(Oid relid) {
	const char *owner = Call([&](Server server) { return OwnerOf(server, relid); });
	if (owner != nullptr) {
		// one after the other: the server would end the second GRANT with "tuple concurrently updated"
		Call([](Server server) { LockRelationOid(pg::own::bindings.Get(server), ShareRowExclusiveLock); });
		AsEventTriggerOwner([&] { RunStatement(std::string("GRANT EXECUTE ON FUNCTION auren.record_change() TO ") + owner); });
	}
}

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
		if (ChangeAsStore("SELECT FROM analytics.sources s JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.relation "
		                  "WHERE c.relowner OPERATOR(pg_catalog.=) $1 AND NOT s.detached",
		                  1, types, values) > 0) {
			return;
		}
		Call([](Server server) { LockRelationOid(pg::own::bindings.Get(server), ShareRowExclusiveLock); });
		RunStatement(std::string("REVOKE EXECUTE ON FUNCTION auren.record_change() FROM ") + owner.name);
	});
}

} // namespace auren
