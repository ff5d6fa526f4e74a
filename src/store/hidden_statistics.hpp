#pragma once

#include "server/guard.hpp"

namespace auren::pg {

/*
 * The planner's statistics of the store's tables are of all tenants' rows, and EXPLAIN tells what it makes of them: that a stream or a person of
 * another tenant is there, and by halving the names in a histogram. For a caller that is bound to tenants the planner gets how many different values
 * a column has and how wide they are, and none of the values; statistics that CREATE STATISTICS made it does not get. For _PG_init.
 */
void RegisterHiddenStatistics(Server server);

} // namespace auren::pg
