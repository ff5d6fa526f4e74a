// Forgetting a person: the keys, the snapshots that may hold a value, and, where asked, the readings.

#include <string>

#include "core/error.hpp"
#include "counts/counts.hpp"
#include "encrypted/decrypt_audit.hpp"
#include "encrypted/key_arguments.hpp"
#include "encrypted/key_ring.hpp"
#include "metrics/forget_readings.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/progress.hpp"
#include "state/reducers.hpp"
#include "state/snapshots.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// Whether a reducer of the store runs code of somebody's: only through one can a plain value have come into a state.
bool
HasReducerFunctions() {
	return pg::DeclaredReducers()->set.HasFunction();
}

} // namespace

AUREN_FUNCTION(auren_forget_user) {
	RequireWrite("encrypted.forget_user()");
	const pg::Text user = UserArgument(fcinfo, 0);
	const char *reason = ReasonArgument(fcinfo, 1);
	pg::RequireNotNull(fcinfo, 2, "p_readings");
	const pg::Tenant tenant = pg::CurrentTenant();
	if (PG_GETARG_BOOL(2)) {
		pg::ForgetReadings(tenant, user);
	}
	const int keys = pg::ForgetPerson(tenant.id, user.name.bytes);
	CountWhenCommitted(pg::Committed::kPersonsForgotten);
	pg::AddAuditRow("forget", tenant.id, user.name.bytes, reason, keys);
	if (HasReducerFunctions()) {
		Call([&](Server server) {
			pg::BeginProgress(server, pg::WorkPhase::kForgetSnapshots, 0);
			(void)pg::DropSnapshots(server, tenant.text, 0);
			pg::EndProgress(server);
		});
	}
	return Int32GetDatum(keys);
}

AUREN_FUNCTION(auren_allow_user) {
	RequireWrite("encrypted.allow_user()");
	const pg::Text user = UserArgument(fcinfo, 0);
	const char *reason = ReasonArgument(fcinfo, 1);
	const pg::Tenant tenant = pg::CurrentTenant();
	if (!pg::AllowPerson(tenant.id, user.name.bytes)) {
		throw DomainError(sqlstate::kUndefinedObject, "user \"" + std::string(user.name.bytes) + "\" was not forgotten",
		                  "No one of that id was, in this tenant.", "Nothing has to be allowed.");
	}
	pg::AddAuditRow("allow", tenant.id, user.name.bytes, reason, -1);
	PG_RETURN_VOID();
}

} // namespace auren
