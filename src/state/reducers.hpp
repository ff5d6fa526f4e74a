#pragma once

#include <memory>

#include "core/state/reducer.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The reducers that are declared, with what names them: equal declarations, and functions with equal bodies, have equal
 * versions in every database, after a dump and restore too.
 */
struct Reducers {
	ReducerSet set;
	pg_uuid_t version;
};

// Read under the newest snapshot, once and again after one of them or a function changed.
std::shared_ptr<const Reducers> DeclaredReducers();

// ParseReducer of core with texts in the server's encoding.
ReducerOptions ParseDeclaration(const char *event_type, const char *kind, const char *options);

void RegisterReducerCallbacks(Server server);

} // namespace auren::pg
