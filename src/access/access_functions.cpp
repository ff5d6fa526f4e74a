// Which role may do what: grant_access, revoke_access, renew_access, bind_tenant, unbind_tenant, current_tenant and view_tenant.

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/arguments.hpp"
#include "server/as_owner.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/run_sql.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr std::string_view kAllAccess[] = {"reader", "writer", "admin", "encrypt", "decrypt", "key_admin"};

/*
 * What is granted is said by auren.rights. $1 is the role's name, quoted, $2 its number, $3 the right.
 */
constexpr const char *kGrant =
	"SELECT string_agg(format('GRANT %s ON %s %s TO %s', o.privilege, o.kind, o.name, $1), '; ') FROM auren.granted_objects o "
	"WHERE $3 = ANY (o.access)";
constexpr const char *kOfOneTenant = " AND NOT o.all_tenants";
constexpr const char *kOfAllTenants = " AND o.all_tenants";
// What a later version than the first brought: what the first gave and was taken away by hand since stays away.
constexpr const char *kLater = " AND o.since <> '0.1.0'";
constexpr const char *kRevokeTables =
	"SELECT string_agg(format('REVOKE %s ON %s FROM %s', o.privilege, o.name, $1), '; ') FROM auren.granted_objects o WHERE o.all_tenants";
// What roles could execute before an update made a function anew. It is granted after the script, whose own grants would count as the extension's.
constexpr const char *kCarried = "WITH carried AS (DELETE FROM auren.carried_rights RETURNING object, grantee, grantable) "
								 "SELECT string_agg(format('GRANT EXECUTE ON FUNCTION %s TO %s%s', o.name, CASE c.grantee WHEN 0 THEN 'PUBLIC' ELSE "
								 "quote_ident(pg_get_userbyid(c.grantee)) END, CASE WHEN c.grantable THEN ' WITH GRANT OPTION' ELSE '' END), '; ') "
								 "FROM auren.granted_objects o JOIN carried c ON o.oid = to_regproc(c.object)";
// What another right of the role needs too stays: one that the role was given itself may be told by a function that no other right gives;
// what another role lends it goes with the membership. Whoever was given UPDATE and DELETE by hand, to correct what a right lets insert, loses them
// with it.
constexpr const char *kRevoke = "WITH granted AS MATERIALIZED (SELECT kind, oid, name, privilege, access FROM auren.granted_objects), "
								"other AS MATERIALIZED (SELECT DISTINCT f.access FROM granted f JOIN pg_proc p ON p.oid = f.oid, "
								"aclexplode(p.proacl) a WHERE f.kind = 'FUNCTION' AND cardinality(f.access) = 1 "
								"AND f.access <> ARRAY[$3] AND a.grantee = $2 AND a.privilege_type = 'EXECUTE') "
								"SELECT string_agg(format('REVOKE %s ON %s %s FROM %s', CASE o.privilege WHEN 'INSERT' THEN 'INSERT, UPDATE, DELETE' "
								"ELSE o.privilege END, o.kind, o.name, $1), '; ') "
								"FROM granted o WHERE $3 = ANY (o.access) AND NOT EXISTS (SELECT FROM other WHERE other.access <@ o.access)";

// A role has a right when it may execute all that the first version gave with this right alone. One or two of those, granted by hand, are no right.
constexpr const char *kHolders = "WITH telling AS MATERIALIZED (SELECT g.oid, g.access[1] AS access FROM auren.granted_objects g WHERE g.kind = "
								 "'FUNCTION' AND cardinality(g.access) = 1 AND g.since = '0.1.0'), "
								 "whole AS (SELECT t.access, count(*) AS functions FROM telling t GROUP BY t.access) "
								 "SELECT r.rolname, t.access FROM telling t JOIN pg_catalog.pg_proc p ON p.oid = t.oid, aclexplode(p.proacl) a JOIN "
								 "pg_catalog.pg_roles r ON r.oid = a.grantee, whole w "
								 "WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner AND w.access = t.access "
								 "GROUP BY r.rolname, t.access, w.functions HAVING count(DISTINCT t.oid) = w.functions ORDER BY 1, 2";

std::string
AccessArgument(FunctionCallInfo fcinfo, int argument) {
	std::string access(pg::TextArgument(fcinfo, argument, "p_access").name.bytes);
	if (std::find(std::begin(kAllAccess), std::end(kAllAccess), access) == std::end(kAllAccess)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_access must be reader, writer, admin, encrypt, decrypt or key_admin",
		                  "\"" + access + "\" is none of them.",
		                  "Each is granted by itself: a service that appends and reads gets 'writer' and 'reader'.");
	}
	return access;
}

struct Role {
	Oid oid;
	std::string name;   // as given
	std::string quoted; // for a statement
};

Role
FindRole(std::string_view given) {
	Role role;
	role.name = given;
	const char *name = role.name.c_str();
	role.oid = Call([&] { return get_role_oid(name, true); });
	if (!OidIsValid(role.oid)) {
		throw DomainError(sqlstate::kUndefinedObject, "role \"" + role.name + "\" does not exist",
		                  "The name is taken as it stands, without folding its case.", "Make it with CREATE ROLE.");
	}
	role.quoted = Call([&] { return quote_identifier(name); });
	return role;
}

Role
RoleArgument(FunctionCallInfo fcinfo, int argument) {
	return FindRole(pg::TextArgument(fcinfo, argument, "p_role").name.bytes);
}

// The role of a binding: a name, or the number that a dropped role leaves in its bindings.
Oid
BoundRoleArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text text = pg::TextArgument(fcinfo, argument, "p_role");
	const std::string name(text.name.bytes);
	const char *role = name.c_str();
	const bool number = !name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos;
	if (number && !OidIsValid(Call([&] { return get_role_oid(role, true); }))) {
		return static_cast<Oid>(std::stoul(name));
	}
	return FindRole(name).oid;
}

// As the caller: the server asks for the caller's rights.
void
Run(const std::string &sql) {
	const char *text = sql.c_str();
	Call([&](Server server) { pg::RunSql(server, text); });
}

// GRANT warns where it gave nothing; a function that says it gave access must not.
void
RequireOwner() {
	const bool owner = Call([](Server server) {
		Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
		const Oid owner_oid = events->rd_rel->relowner;
		table_close(events, AccessShareLock);
		return has_privs_of_role(GetUserId(), owner_oid);
	});
	if (!owner) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "only the owner of the store may give and take access",
		                  "The owner of events.event_store is another role.", "Ask the role that created the extension.");
	}
}

/*
 * Begins a change of rights by the store's owner. To the end of the transaction other changes of rights wait, and so do statements that change a
 * table whose rights may be changed: the server would end one of the two with "tuple concurrently updated". Sessions that read the bindings, append
 * or write readings do not wait.
 */
void
BeginChange() {
	RequireOwner();
	Call([](Server server) {
		LockRelationOid(pg::own::bindings.Get(server), ShareRowExclusiveLock);
		// the table that somebody may hold for long comes before the one that a new month needs
		LockRelationOid(pg::own::readings.Get(server), ShareUpdateExclusiveLock);
		LockRelationOid(pg::own::events.Get(server), ShareUpdateExclusiveLock);
	});
}

/*
 * As SPI_execute_with_args, but under the newest snapshot: the one of a transaction at REPEATABLE READ still has what was revoked meanwhile.
 * The types and values of `count` arguments.
 */
void
SelectUnderNewestSnapshot(Server, const char *sql, int count, Oid *types, Datum *values) {
	SPIPlanPtr plan = SPI_prepare(sql, count, types);
	if (plan == nullptr) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read auren.granted_objects")));
	}
	Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
	const int result = SPI_execute_snapshot(plan, values, nullptr, newest, InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(newest);
	if (result != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read auren.granted_objects")));
	}
}

// What a query on auren.granted_objects gives, as the store's owner and with what this statement has changed so far; empty: nothing.
const char *
ReadStatements(Server server, const char *sql, const Role &role, const char *access) {
	const char *name = role.quoted.c_str();
	Oid types[3] = {TEXTOID, OIDOID, TEXTOID};
	Datum values[3] = {CStringGetTextDatum(name), ObjectIdGetDatum(role.oid), CStringGetTextDatum(access)};
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::stream_rows.Get(server));
	MemoryContext context = CurrentMemoryContext;
	SPI_connect();
	SelectUnderNewestSnapshot(server, sql, 3, types, values);
	const char *statements = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	statements = statements == nullptr ? "" : MemoryContextStrdup(context, statements);
	SPI_finish();
	pg::SwitchBack(server, before);
	return statements;
}

void
RunStatements(const char *sql, const Role &role, const std::string &access) {
	const char *name = access.c_str();
	Run(Call([&](Server server) { return ReadStatements(server, sql, role, name); }));
}

// The tables that show all tenants: every one of our schemas, months too.
List *
TablesOfAllTenants(Server server) {
	List *tables = NIL;
	Oid schemas[5];
	int count = 0;
	for (const char *schema : {"events", "biometric", "analytics", "encrypted", "auren"}) {
		schemas[count++] = get_namespace_oid(schema, false);
	}
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(classes, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		const auto *relation = reinterpret_cast<const FormData_pg_class *>(GETSTRUCT(tuple));
		const bool ours = std::find(schemas, schemas + count, relation->relnamespace) != schemas + count;
		if (ours && (relation->relkind == RELKIND_RELATION || relation->relkind == RELKIND_PARTITIONED_TABLE)) {
			tables = lappend_oid(tables, relation->oid);
		}
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	list_sort(tables, list_oid_cmp);
	// the first that can be read is named in an error: the one that everybody knows
	return lcons_oid(pg::own::events.Get(server), tables);
}

// A table of all tenants of which a role can read a column at least: itself, or as a role that it may become by SET ROLE.
Oid
TableThatCanBeRead(Server server, Oid role) {
	const List *tables = TablesOfAllTenants(server);
	Relation authid = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(authid, InvalidOid, false, nullptr, 0, nullptr);
	Oid found = InvalidOid;
	HeapTuple tuple;
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan))) {
		const Oid other = reinterpret_cast<const FormData_pg_authid *>(GETSTRUCT(tuple))->oid;
		if (other != role && !is_member_of_role_nosuper(role, other)) {
			continue;
		}
		ListCell *cell;
		foreach (cell, tables) {
			const Oid table = lfirst_oid(cell);
			if (pg_class_aclcheck(table, other, ACL_SELECT) == ACLCHECK_OK ||
			    pg_attribute_aclcheck_all(table, other, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK) {
				found = table;
				break;
			}
		}
	}
	systable_endscan(scan);
	table_close(authid, AccessShareLock);
	return found;
}

// The names of a role and of all its members, but for members that are superusers: nothing binds those.
List *
NamesOfMembers(Server, Oid role) {
	List *names = NIL;
	Relation authid = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(authid, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		const auto *member = reinterpret_cast<const FormData_pg_authid *>(GETSTRUCT(tuple));
		if (member->oid == role || (!member->rolsuper && is_member_of_role_nosuper(member->oid, role))) {
			names = lappend(names, pstrdup(NameStr(member->rolname)));
		}
	}
	systable_endscan(scan);
	table_close(authid, AccessShareLock);
	return names;
}

// Whether a role or one of its members is bound: what the role may read, they may.
bool
AnyMemberIsBound(Oid role) {
	const List *names = Call([&](Server server) { return static_cast<const List *>(NamesOfMembers(server, role)); });
	for (int i = 0; i < list_length(names); i++) {
		const auto *name = static_cast<const char *>(list_nth(names, i));
		if (pg::IsBound(Call([&] { return get_role_oid(name, false); }))) {
			return true;
		}
	}
	return false;
}

// A role that is bound to tenants may not SELECT from a table that shows all tenants.
void
TakeTablesFrom(const char *name) {
	const Role role = FindRole(name);
	RunStatements(kRevokeTables, role, "");
	const char *table = Call([&](Server server) -> const char * {
		const Oid found = TableThatCanBeRead(server, role.oid);
		return OidIsValid(found) ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(found)), get_rel_name(found)) : nullptr;
	});
	if (table != nullptr) {
		throw DomainError(sqlstate::kNotInState, "role \"" + role.name + "\" can read what is of all tenants and cannot be bound",
		                  "It is a superuser, or has SELECT on " + std::string(table) +
		                      " or a column of it: itself, through a role that it is a member of, or from PUBLIC.",
		                  "Take that right or membership away first.");
	}
}

// Gives a role what the right gives, or those parts of it that `condition` lets through.
void
Grant(const Role &role, const std::string &access, const std::string &condition) {
	RunStatements((kGrant + condition + kOfOneTenant).c_str(), role, access);
	if (!AnyMemberIsBound(role.oid)) {
		RunStatements((kGrant + condition + kOfAllTenants).c_str(), role, access);
	}
}

// A role and a right that it has, as texts of the current memory context.
struct Holder {
	char *role;
	char *access;
};

// All of them, a list of Holder; read as the store's owner.
List *
ReadHolders(Server server) {
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::stream_rows.Get(server));
	MemoryContext context = CurrentMemoryContext;
	List *holders = NIL;
	SPI_connect();
	SelectUnderNewestSnapshot(server, kHolders, 0, nullptr, nullptr);
	for (uint64 i = 0; i < SPI_processed; i++) {
		MemoryContext inner = MemoryContextSwitchTo(context);
		auto *holder = static_cast<Holder *>(palloc(sizeof(Holder)));
		holder->role = pstrdup(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		holder->access = pstrdup(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
		holders = lappend(holders, holder);
		MemoryContextSwitchTo(inner);
	}
	SPI_finish();
	pg::SwitchBack(server, before);
	return holders;
}

// Gives each role with a right what later versions than the first brought for it; how many there were.
int64
RenewAccess() {
	BeginChange();
	RunStatements(kCarried, {}, "");
	const List *holders = Call([](Server server) { return static_cast<const List *>(ReadHolders(server)); });
	for (int i = 0; i < list_length(holders); i++) {
		const auto *holder = static_cast<const Holder *>(list_nth(holders, i));
		Grant(FindRole(holder->role), holder->access, kLater);
	}
	return list_length(holders);
}

// Whether the statement is ALTER EXTENSION auren_events UPDATE.
bool
UpdatesExtension(const Node *statement) {
	return IsA(statement, AlterExtensionStmt) && std::strcmp(reinterpret_cast<const AlterExtensionStmt *>(statement)->extname, "auren_events") == 0;
}

} // namespace

AUREN_FUNCTION(auren_grant_access) {
	const Role role = RoleArgument(fcinfo, 0);
	const std::string access = AccessArgument(fcinfo, 1);
	BeginChange();
	Grant(role, access, "");
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_renew_access) {
	PG_RETURN_INT64(RenewAccess());
}

AUREN_FUNCTION(auren_renew_access_after_update) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.renew_access_after_update is a trigger function",
		                  "It was called as an ordinary function.", "Call events.renew_access().");
	}
	if (UpdatesExtension(reinterpret_cast<const EventTriggerData *>(fcinfo->context)->parsetree)) {
		RenewAccess();
	}
	PG_RETURN_NULL();
}

AUREN_FUNCTION(auren_revoke_access) {
	const Role role = RoleArgument(fcinfo, 0);
	const std::string access = AccessArgument(fcinfo, 1);
	BeginChange();
	RunStatements(kRevoke, role, access);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_bind_tenant) {
	const Role role = RoleArgument(fcinfo, 0);
	const pg::Text tenant = pg::TextArgument(fcinfo, 1, "p_tenant");
	CheckTenantId(tenant.name);
	BeginChange();
	const char *tenant_text = Call([&] { return quote_literal_cstr(TextDatumGetCString(tenant.datum)); });
	Run("INSERT INTO events.tenant_bindings (role, tenant_id) VALUES (" + std::to_string(role.oid) + "::pg_catalog.oid::pg_catalog.regrole, " +
	    tenant_text + ") ON CONFLICT DO NOTHING");
	const List *members = Call([&](Server server) { return static_cast<const List *>(NamesOfMembers(server, role.oid)); });
	for (int i = 0; i < list_length(members); i++) {
		TakeTablesFrom(static_cast<const char *>(list_nth(members, i)));
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_unbind_tenant) {
	const Oid role = BoundRoleArgument(fcinfo, 0);
	const pg::Text tenant = pg::TextArgument(fcinfo, 1, "p_tenant");
	BeginChange();
	const char *tenant_text = Call([&] { return quote_literal_cstr(TextDatumGetCString(tenant.datum)); });
	Run("DELETE FROM events.tenant_bindings WHERE role OPERATOR(pg_catalog.=) " + std::to_string(role) +
	    "::pg_catalog.oid AND tenant_id OPERATOR(pg_catalog.=) " + tenant_text);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_current_tenant) {
	return pg::CurrentTenant().text;
}

/*
 * A view reads events.event_store with its owner's rights, and a policy that a DBA put there for the caller would not be
 * asked. The functions ask it; the views refuse.
 */
AUREN_FUNCTION(auren_view_tenant) {
	const pg::Tenant tenant = pg::CurrentTenant();
	const bool policies = Call([](Server server) {
		Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
		const bool apply = pg::RowSecurityApplies(server, events);
		table_close(events, AccessShareLock);
		return apply;
	});
	if (policies) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "the views of events are closed to this role by row level security",
		                  "A policy on events.event_store applies to the role, and a view would pass it by.",
		                  "Read through events.replay_stream, events.events_by_time or events.find_events.");
	}
	return tenant.text;
}

} // namespace auren
