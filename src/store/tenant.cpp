#include "store/tenant.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/freshness.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "server/compat.hpp"
#include "server/guard.hpp"
#include "server/relation_changes.hpp"
#include "store/kept_objects.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr const char *kSetting = "app.tenant_id";

/*
 * The setting's value where this module defined it, and whether it did. Looking a setting up by its name for every value cost a
 * tenth of encrypting it. Another module may have defined the name before; then it is looked up.
 */
char *setting_value = nullptr;
bool setting_is_ours = false;
constexpr const char *kDefaultTenant = "default";

// The last answer and what it was given for.
struct Kept {
	Freshness freshness;
	Oid session_user = InvalidOid;
	Oid outer_user = InvalidOid;
	Oid current_user = InvalidOid;
	std::string tenant;
};
Kept kept;
// What CallerIsKnownBound last found, and of which roles.
struct KnownBound {
	Freshness freshness;
	Oid roles[3] = {InvalidOid, InvalidOid, InvalidOid};
	bool bound = false;
};
KnownBound known_bound;

enum class Verdict : int { kUnbound, kAllowed, kRefused };

/*
 * Reads the bindings under the newest snapshot: a fixed one would let a session go on with what was taken from it.
 */
Verdict
FindVerdict(Server server, Oid role, const char *tenant) {
	if (superuser_arg(role)) {
		return Verdict::kUnbound; // nothing could hold it
	}
	Relation bindings = table_open(own::bindings.Get(server), AccessShareLock);
	SysScanDesc scan = systable_beginscan(bindings, InvalidOid, false, nullptr, 0, nullptr);
	Verdict verdict = Verdict::kUnbound;
	HeapTuple tuple;
	while (verdict != Verdict::kAllowed && HeapTupleIsValid(tuple = systable_getnext(scan))) {
		bool isnull;
		const Oid bound = DatumGetObjectId(heap_getattr(tuple, 1, RelationGetDescr(bindings), &isnull));
		if (bound != role && !is_member_of_role_nosuper(role, bound)) {
			continue;
		}
		const bool same =
			tenant != nullptr && std::strcmp(TextDatumGetCString(heap_getattr(tuple, 2, RelationGetDescr(bindings), &isnull)), tenant) == 0;
		verdict = same ? Verdict::kAllowed : Verdict::kRefused;
	}
	systable_endscan(scan);
	table_close(bindings, AccessShareLock);
	return verdict;
}

void
RequireBinding(Oid role, const char *tenant) {
	const Verdict verdict = Call([&](Server server) { return FindVerdict(server, role, tenant); });
	if (verdict != Verdict::kRefused) {
		return;
	}
	const char *name = Call([&] { return static_cast<const char *>(GetUserNameFromId(role, false)); });
	throw DomainError(sqlstate::kInsufficientPrivilege, "role \"" + std::string(name) + "\" may not name this tenant",
	                  "The role, or one that it is a member of, is bound to other tenants than app.tenant_id names.",
	                  "Set app.tenant_id to a tenant of the role, or have the store's owner call events.bind_tenant.");
}

// The server calls it for each change of the setting, whether by SET, at the end of a transaction, or of a function that has its own.
void
ForgetOnSetting(const char *, void *) {
	kept.freshness.Forget();
}

void
ForgetOnRelation(Oid relid) {
	if (own::bindings.MayBe(relid)) {
		kept.freshness.Forget();
		known_bound.freshness.Forget();
	}
}

void
ForgetOnRole(Datum, int, uint32) {
	kept.freshness.Forget();
	known_bound.freshness.Forget();
}

const char *
TenantOf(const char *setting) {
	return setting == nullptr || setting[0] == '\0' ? kDefaultTenant : setting;
}

// Whether a module has defined the setting. One that was merely SET is not: a definition takes its value over.
bool
IsDefined(Server) {
	const int flags = GetConfigOptionFlags(kSetting, true);
	return (flags & GUC_CUSTOM_PLACEHOLDER) == 0 && (flags != 0 || GetConfigOptionByName(kSetting, nullptr, true) != nullptr);
}

void
DefineTenantSetting(Server server) {
	if (IsDefined(server)) {
		return;
	}
	// everybody may set it, as without the module: what a role may name is its bindings' matter
	DefineCustomStringVariable(kSetting, "Tenant whose events a session writes and reads.", "Empty: default.", &setting_value, "", PGC_USERSET,
	                           GUC_NOT_IN_SAMPLE, nullptr, ForgetOnSetting, nullptr);
	setting_is_ours = true;
}

} // namespace

std::string_view
TenantIdOfWriter() {
	const bool ours = setting_is_ours;
	const char *setting = Call([ours]() -> const char * {
		// in an open transaction nothing else may have asked for news of a binding that was committed meanwhile
		AcceptInvalidationMessages();
		return ours ? setting_value : GetConfigOption(kSetting, true, false);
	});
	const Oid session_user = GetSessionUserId();
	const Oid outer_user = GetOuterUserId(); // of SET ROLE, whoever's function runs now
	const Oid current_user = GetUserId();
	if (kept.freshness.IsFresh() && kept.session_user == session_user && kept.outer_user == outer_user && kept.current_user == current_user &&
	    (ours || kept.tenant == TenantOf(setting))) {
		CountForTenant(kept.tenant);
		return kept.tenant;
	}
	CountForNobody(); // a refusal of the name is neither its tenant's nor that of the one before
	const std::string tenant = TenantOf(setting);
	const char *bytes = tenant.c_str();
	const int characters = Call([&] { return pg_mbstrlen(bytes); });
	CheckTenantId({tenant, static_cast<std::size_t>(characters)});
	// it may be fresh, and for somebody else
	kept.freshness.Forget();
	kept.freshness.Refresh([&] {
		RequireBinding(session_user, bytes);
		if (outer_user != session_user) {
			RequireBinding(outer_user, bytes);
		}
		if (current_user != outer_user) {
			RequireBinding(current_user, bytes);
		}
	});
	kept.tenant = tenant;
	kept.session_user = session_user;
	kept.outer_user = outer_user;
	kept.current_user = current_user;
	CountForTenant(kept.tenant);
	return kept.tenant;
}

std::string_view
CurrentTenantId() {
	const std::string_view id = TenantIdOfWriter();
	RequireStoreOpen();
	return id;
}

Tenant
CurrentTenant() {
	const std::string_view id = CurrentTenantId();
	const char *bytes = id.data();
	const int length = static_cast<int>(id.size());
	const text *copy = Call([&] { return static_cast<const text *>(cstring_to_text_with_len(bytes, length)); });
	return {{VARDATA_ANY(copy), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(copy))}, PointerGetDatum(copy)};
}

bool
IsBound(Oid role) {
	return Call([&](Server server) { return FindVerdict(server, role, nullptr) != Verdict::kUnbound; });
}

bool
CallerIsBound() {
	return IsBound(GetSessionUserId()) || IsBound(GetOuterUserId()) || IsBound(GetUserId());
}

bool
CallerIsKnownBound() {
	const Oid roles[3] = {GetSessionUserId(), GetOuterUserId(), GetUserId()};
	if (!known_bound.freshness.IsFresh() || !std::equal(roles, roles + 3, known_bound.roles)) {
		// it may be fresh, and of other roles
		known_bound.freshness.Forget();
		known_bound.freshness.Refresh([&] {
			known_bound.bound = CallerIsBound();
			std::copy(roles, roles + 3, known_bound.roles);
		});
	}
	return known_bound.bound;
}

void
RequireUnbound(const char *what, const char *detail, const char *hint) {
	if (CallerIsBound()) {
		throw DomainError(sqlstate::kInsufficientPrivilege, std::string("a role that is bound to tenants may not ") + what, detail, hint);
	}
}

void
RegisterTenantCallbacks(Server server) {
	DefineTenantSetting(server);
	OnRelationChange(server, ForgetOnRelation);
	CacheRegisterSyscacheCallback(AUTHOID, ForgetOnRole, 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, ForgetOnRole, 0);
}

} // namespace auren::pg
