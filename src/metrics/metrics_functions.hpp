#pragma once

#include "server/guard.hpp"

namespace auren {

// The first set-up of this module in a session registers what makes triggers look at their table's columns again.
void RegisterMetricCallbacks(pg::Server server);

/*
 * Raises 42501 where row level security of a table whose readings the tenant's metrics count applies to the current user: metrics are
 * counted without asking a policy.
 */
void RequireNoPolicies();

} // namespace auren
