#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Runs statements of ours (DDL, grants) as the current user. Names in them, those of types and operators too, mean the
 * server's own, whatever the caller's search path holds, and what they make is of the server's own kind and place, whatever the caller
 * has set as a default.
 */
void RunSql(Server server, const char *statements);

} // namespace auren::pg
