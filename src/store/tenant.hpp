#pragma once

#include <string_view>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// In the caller's memory context.
struct Tenant {
	std::string_view id;
	Datum text; // the same as a text datum
};

/*
 * The tenant of this session: app.tenant_id, "default" where that is unset or empty. Throws 42501 when the session's
 * user, the user of SET ROLE or the current user is bound to tenants and this is none of them, 22023 for a tenant that no row could have,
 * 55000 while the store is closed after a restore (store/kept_objects.hpp): each function of ours asks here, so it is refused there.
 * What it found is kept until the setting, the users, the bindings or the roles change.
 */
Tenant CurrentTenant();
// The same without a copy: valid until the next call of one of them.
std::string_view CurrentTenantId();
// The same while the store is closed too: a restore writes readings then. For the triggers of the tables.
std::string_view TenantIdOfWriter();

// Whether a role, or a role that it is a member of, is bound to tenants.
bool IsBound(Oid role);

// Whether the session's user, the user of SET ROLE or the current user is bound to tenants.
bool CallerIsBound();
// As that, but by what was known when the statement's locks were taken: for what is asked at every turn.
bool CallerIsKnownBound();

// Refuses a role that is bound to tenants what concerns all of them: raises 42501, "a role that is bound to tenants may not ..." .
void RequireUnbound(const char *what, const char *detail, const char *hint = "Ask a role that may name every tenant.");

// The first set-up of this module in a session registers what makes CurrentTenant look again.
void RegisterTenantCallbacks(Server server);

} // namespace auren::pg
