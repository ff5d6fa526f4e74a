#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

/*
 * A step of making the tags of stored events for the rules of a tenant that are not complete: looks at up to `limit` events and writes their rows of
 * the index of tags. Returns how many positions are left, 0 when every rule is complete. One step runs at a time for a tenant: another waits on the
 * rows of the rules. Takes no lock that an append waits for.
 */
int64 FillTagRules(const Tenant &tenant, int64 limit);

} // namespace auren::pg
