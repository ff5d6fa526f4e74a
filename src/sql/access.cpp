// Who may do what: events.grant_access, revoke_access, bind_tenant, unbind_tenant, current_tenant, view_tenant.

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "core/names.hpp"
#include "pg/arguments.hpp"
#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/run_sql.hpp"
#include "pg/store.hpp"
#include "pg/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr const char *kReaderFunctions =
    "events.current_tenant(), events.replay_stream(text, bigint, bigint), "
    "events.replay_stream_backward(text, bigint, integer), events.last_event(text, text), "
    "events.get_stream_state(text, bigint), events.get_stream_states(text[]), "
    "events.get_category_states(text, text, integer), events.state_diff(text, bigint, bigint), events.stream_version(text), events.stream_exists(text), "
    "events.events_by_time(timestamptz, timestamptz, text, integer, bigint), "
    "events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint), events.stream_summary(text), "
    "events.read_all(bigint, integer, text[], text, text, uuid), events.feed_horizon(), events.store_epoch(), "
    "events.fetch(text, text, integer), events.acknowledge(text, text, bigint), events.retry(text, text, bigint, interval, text), "
    "events.park(text, text, bigint, text), events.wait_for_subscription(text, bigint, interval), "
    "events.wait_for_events(bigint, interval), "
    "analytics.metric_series(text, text, timestamptz, timestamptz, interval, text, text), analytics.sparkline(double precision[])";
// The first of each list.
constexpr const char *kSharedFunction = "events.current_tenant()";
constexpr const char *kReaderViews = "events.streams, events.tenant_events, events.feed_blockers, analytics.user_metrics_daily, "
                                      "analytics.user_metrics_hourly, analytics.user_metrics_5min";
constexpr const char *kReaderTables = "events.event_store, biometric.biometric_events";
// What readers and admins both need.
constexpr const char *kViewFunctions = "events.reducers_version()";
constexpr const char *kSharedViews = "events.reducers, events.snapshots, events.subscriptions, events.parked, "
                                      "events.notification_rules, events.notification_queue, events.lock_holders, analytics.refresh_status, analytics.refused_readings";
constexpr const char *kWriterFunctions =
    "events.current_tenant(), events.append_event(text, text, jsonb, text, jsonb, bigint, uuid), "
    "events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[]), events.notify_mode_switch(), "
    "events.notify_memory_tier_change()";
constexpr const char *kWriterTables = "biometric.biometric_events";
constexpr const char *kAdminFunctions = "events.current_tenant(), events.create_monthly_partitions(integer), "
                                        "events.close_stream(text, text), events.reopen_stream(text), "
                                        "events.set_reducer(text, text, jsonb), events.drop_reducer(text, text), "
                                        "events.take_snapshot(text), events.drop_snapshots(text), "
                                        "events.write_feed_horizon(), "
                                        "events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, "
                                        "boolean), events.alter_subscription(text, integer, integer, interval, boolean), events.drop_subscription(text), events.reset_subscription(text, bigint), "
                                        "events.unpark(text, bigint), events.add_notification_rule(text, text, text), "
                                        "events.drop_notification_rule(text, text, text), "
                                        "analytics.refresh_user_metrics(), "
                                        "analytics.attach_source(regclass, text, text, text, text, text, text), analytics.detach_source(regclass), "
                                        "analytics.attach_events(text, jsonb, text, text, text, text, boolean), analytics.detach_events(text), "
                                        "analytics.rebuild_source(integer), analytics.set_time_zone(text), "
                                        "analytics.set_retention(text, interval), analytics.apply_retention(), analytics.schedule(text, text, text)";

// Of encrypted fields; each may name its tenant.
constexpr const char *kEncryptFunctions = "events.current_tenant(), encrypted.encrypt_phi_field(text, text, text), "
                                          "encrypted.encrypt_phi_fields(text[], text, text), encrypted.encrypt_fields(jsonb, text, text[])";
constexpr const char *kDecryptFunctions =
    "events.current_tenant(), encrypted.decrypt_phi_field(text, text, text), "
    "encrypted.decrypt_phi_fields(text[], text, text), encrypted.decrypt_fields(jsonb, text, text[]), "
    "events.replay_stream_decrypted(text, bigint, bigint), events.get_stream_state_decrypted(text, bigint)";
constexpr const char *kKeyAdminFunctions =
    "events.current_tenant(), encrypted.add_rule(text, text[], text), encrypted.drop_rule(text, text), encrypted.rotate_user_key(text), "
    "encrypted.rotate_master_key(integer), encrypted.forget_user(text, text, boolean), encrypted.allow_user(text, text), encrypted.master_key_id()";
constexpr const char *kKeyAdminViews = "encrypted.rules, encrypted.status, encrypted.audit";

enum class Access { kReader, kWriter, kAdmin, kEncrypt, kDecrypt, kKeyAdmin };
constexpr Access kAllAccess[] = {Access::kReader, Access::kWriter, Access::kAdmin, Access::kEncrypt, Access::kDecrypt, Access::kKeyAdmin};

Access
AccessArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text access = pg::TextArgument(fcinfo, argument, "p_access");
	if (access.name.bytes == "reader") {
		return Access::kReader;
	}
	if (access.name.bytes == "writer") {
		return Access::kWriter;
	}
	if (access.name.bytes == "admin") {
		return Access::kAdmin;
	}
	if (access.name.bytes == "encrypt") {
		return Access::kEncrypt;
	}
	if (access.name.bytes == "decrypt") {
		return Access::kDecrypt;
	}
	if (access.name.bytes == "key_admin") {
		return Access::kKeyAdmin;
	}
	throw DomainError(sqlstate::kInvalidParameter, "p_access must be reader, writer, admin, encrypt, decrypt or key_admin",
	                  "\"" + std::string(access.name.bytes) + "\" is none of them.",
	                  "Each is granted by itself: a service that appends and reads gets 'writer' and 'reader'.");
}

struct Role {
	Oid oid;
	std::string name;   // as given
	std::string quoted; // for a statement
};

Role
FindRole(const pg::Text &text) {
	Role role;
	role.name = text.name.bytes;
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
	return FindRole(pg::TextArgument(fcinfo, argument, "p_role"));
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
	return FindRole(text).oid;
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
		Relation events = table_open(pg::Oids(server).events, AccessShareLock);
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
 * For the store's owner, one after the other, and not beside a statement that changes a table whose rights may be changed: the server would
 * end one of them with "tuple concurrently updated". To the end of the transaction; who reads the bindings, appends or writes readings waits
 * for nobody.
 */
void
BeginChange() {
	RequireOwner();
	Call([](Server server) {
		LockRelationOid(pg::Oids(server).bindings, ShareRowExclusiveLock);
		LockRelationOid(pg::Oids(server).events, ShareUpdateExclusiveLock);
		LockRelationOid(pg::Oids(server).readings, ShareUpdateExclusiveLock);
	});
}

// Tables that show all tenants are for roles that may name all tenants.
void
Grant(const Role &role, const char *functions, const char *relations) {
	std::string sql = "GRANT USAGE ON SCHEMA events, biometric, analytics TO " + role.quoted + ";GRANT EXECUTE ON FUNCTION " +
	                  std::string(functions) + " TO " + role.quoted + ";";
	if (relations != nullptr) {
		sql += "GRANT SELECT ON " + std::string(relations) + " TO " + role.quoted + ";";
	}
	Run(sql);
}

// A function that only those have who were given an access.
const char *
SignOf(Access access) {
	switch (access) {
	case Access::kReader:
		return "get_stream_state";
	case Access::kWriter:
		return "append_event";
	case Access::kAdmin:
		return "close_stream";
	case Access::kEncrypt:
		return "encrypt_phi_field";
	case Access::kDecrypt:
		return "decrypt_phi_field";
	case Access::kKeyAdmin:
		return "forget_user";
	}
	return "";
}

bool
IsOfKeys(Access access) {
	return access == Access::kEncrypt || access == Access::kDecrypt || access == Access::kKeyAdmin;
}

// Whether the right to execute a function was given to the role itself.
bool
WasGranted(Server, HeapTuple function, Oid role) {
	bool isnull;
	const Datum rights = SysCacheGetAttr(PROCOID, function, Anum_pg_proc_proacl, &isnull);
	if (isnull) {
		return false;
	}
	Acl *acl = DatumGetAclPCopy(rights);
	for (int i = 0; i < ACL_NUM(acl); i++) {
		const AclItem &item = ACL_DAT(acl)[i];
		if (item.ai_grantee == role && (ACLITEM_GET_PRIVS(item) & ACL_EXECUTE) != 0) {
			return true;
		}
	}
	return false;
}

// Whether a role was given an access itself: what another role lends it goes with the membership, and is that role's to lose.
bool
HasAccess(Oid role, Access access) {
	const char *name = SignOf(access);
	const char *schema_name = IsOfKeys(access) ? "encrypted" : "events";
	return Call([&](Server server) {
		const Oid schema = get_namespace_oid(schema_name, false);
		bool has = false;
		CatCList *functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
		for (int i = 0; i < functions->n_members; i++) {
			HeapTuple function = &functions->members[i]->tuple;
			has |= reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(function))->pronamespace == schema && WasGranted(server, function, role);
		}
		ReleaseSysCacheList(functions);
		return has;
	});
}

// The tables that show all tenants: every one of our schemas, months too.
List *
TablesOfAllTenants(Server) {
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
	return tables;
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

// The names of a role and of all its members, superusers among the members left out: nothing binds them.
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

// SELECT on a table that shows all tenants is not for who is bound to some.
void
TakeTableFrom(const char *role) {
	Run("REVOKE SELECT ON " + std::string(kReaderTables) + " FROM " + Call([&] { return quote_identifier(role); }));
	const char *table = Call([&](Server server) -> const char * {
		const Oid found = TableThatCanBeRead(server, get_role_oid(role, false));
		return OidIsValid(found) ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(found)), get_rel_name(found)) : nullptr;
	});
	if (table != nullptr) {
		throw DomainError(sqlstate::kNotInState, "role \"" + std::string(role) + "\" can read what is of all tenants and cannot be bound",
		                  "It is a superuser, or has SELECT on " + std::string(table) +
		                      " or a column of it: itself, through a role that it is a member of, or from PUBLIC.",
		                  "Take that right or membership away first.");
	}
}

} // namespace

AUREN_FUNCTION(auren_grant_access) {
	const Role role = RoleArgument(fcinfo, 0);
	const Access access = AccessArgument(fcinfo, 1);
	BeginChange();
	switch (access) {
	case Access::kReader:
		Grant(role, kReaderFunctions, kReaderViews);
		Grant(role, kViewFunctions, kSharedViews);
		if (!AnyMemberIsBound(role.oid)) {
			Run("GRANT SELECT ON " + std::string(kReaderTables) + " TO " + role.quoted);
		}
		break;
	case Access::kWriter:
		Grant(role, kWriterFunctions, nullptr);
		// whoever has UPDATE or DELETE may LOCK TABLE in any mode
		Run("GRANT INSERT ON " + std::string(kWriterTables) + " TO " + role.quoted);
		break;
	case Access::kAdmin:
		Grant(role, kAdminFunctions, nullptr);
		Grant(role, kViewFunctions, kSharedViews);
		break;
	case Access::kEncrypt:
		Grant(role, kEncryptFunctions, nullptr);
		break;
	case Access::kDecrypt:
		Grant(role, kDecryptFunctions, nullptr);
		break;
	case Access::kKeyAdmin:
		Grant(role, kKeyAdminFunctions, kKeyAdminViews);
		break;
	}
	if (IsOfKeys(access)) {
		Run("GRANT USAGE ON SCHEMA encrypted TO " + role.quoted);
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_revoke_access) {
	const Role role = RoleArgument(fcinfo, 0);
	const Access access = AccessArgument(fcinfo, 1);
	BeginChange();
	const auto revoke = [&](const std::string &what) { Run("REVOKE ALL ON " + what + " FROM " + role.quoted); };
	const auto without_shared = [](std::string functions) {
		return functions.substr(std::string(kSharedFunction).size() + 2);
	};
	switch (access) {
	case Access::kReader:
		revoke("FUNCTION " + without_shared(kReaderFunctions));
		revoke(kReaderViews);
		Run("REVOKE SELECT ON " + std::string(kReaderTables) + " FROM " + role.quoted);
		break;
	case Access::kWriter:
		revoke("FUNCTION " + without_shared(kWriterFunctions));
		Run("REVOKE INSERT, UPDATE, DELETE ON " + std::string(kWriterTables) + " FROM " + role.quoted);
		break;
	case Access::kAdmin:
		revoke("FUNCTION " + without_shared(kAdminFunctions));
		break;
	case Access::kEncrypt:
		revoke("FUNCTION " + without_shared(kEncryptFunctions));
		break;
	case Access::kDecrypt:
		revoke("FUNCTION " + without_shared(kDecryptFunctions));
		break;
	case Access::kKeyAdmin:
		revoke("FUNCTION " + without_shared(kKeyAdminFunctions));
		revoke(kKeyAdminViews);
		break;
	}
	// What several rights need goes with the last of them.
	const bool reads = HasAccess(role.oid, Access::kReader);
	const bool administers = HasAccess(role.oid, Access::kAdmin);
	if (!reads && !administers) {
		revoke(std::string("FUNCTION ") + kViewFunctions);
		revoke(kSharedViews);
	}
	bool any = false;
	bool any_of_keys = false;
	for (const Access other : kAllAccess) {
		const bool has = HasAccess(role.oid, other);
		any |= has;
		any_of_keys |= has && IsOfKeys(other);
	}
	if (!any_of_keys) {
		revoke("SCHEMA encrypted");
	}
	if (!any) {
		revoke(std::string("FUNCTION ") + kSharedFunction);
		revoke("SCHEMA events, biometric, analytics");
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_bind_tenant) {
	const Role role = RoleArgument(fcinfo, 0);
	const pg::Text tenant = pg::TextArgument(fcinfo, 1, "p_tenant");
	CheckTenantId(tenant.name);
	BeginChange();
	const char *tenant_text = Call([&] { return quote_literal_cstr(TextDatumGetCString(tenant.datum)); });
	Run("INSERT INTO events.tenant_bindings (role, tenant_id) VALUES (" + std::to_string(role.oid) +
	    "::pg_catalog.oid::pg_catalog.regrole, " + tenant_text + ") ON CONFLICT DO NOTHING");
	const List *members =
	    Call([&](Server server) { return static_cast<const List *>(NamesOfMembers(server, role.oid)); });
	for (int i = 0; i < list_length(members); i++) {
		TakeTableFrom(static_cast<const char *>(list_nth(members, i)));
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
		Relation events = table_open(pg::Oids(server).events, AccessShareLock);
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
