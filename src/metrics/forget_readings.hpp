#pragma once

#include "server/arguments.hpp"
#include "server/postgres.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

/*
 * Deletes a person's readings of biometric.biometric_events in a tenant, merges what is pending, and takes the person's series and what
 * is left of them out of the metrics. A NOTICE says how many readings that were and which other sources hold more of the person's.
 * To the end of the transaction nobody else writes to the table (SHARE ROW EXCLUSIVE) and no refresh runs: whoever writes now
 * is waited for, since it may have the number of a series that goes. So a role that is bound to tenants calls it outside a transaction
 * block (25001). 25000 above READ COMMITTED, whose server snapshot misses readings; 42501 where a policy hides rows; 55000 where a trigger
 * keeps readings or they cannot be merged.
 */
void ForgetReadings(const Tenant &tenant, const Text &user);

} // namespace auren::pg
