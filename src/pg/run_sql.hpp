#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * Runs statements of ours (DDL, grants) as the current user. Names in them, those of types and operators too, mean the
 * server's own, whatever the caller's search path holds. Server side.
 */
void RunSql(const char *statements);

} // namespace auren::pg
