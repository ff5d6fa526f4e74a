#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Has a function called when a relation changed (InvalidOid: any may have), in this session or another. Instead of
 * CacheRegisterRelcacheCallback, of which the server lets a process have ten: all of ours together take one. For _PG_init.
 */
void OnRelationChange(Server server, void (*function)(Oid relid));

} // namespace auren::pg
