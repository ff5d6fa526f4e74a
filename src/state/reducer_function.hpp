#pragma once

#include "core/state/reducer.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The function (jsonb, text, jsonb) returns jsonb of a name as SQL writes it, checked for what a reducer needs: IMMUTABLE, its
 * search_path set, owned by the store's owner or a superuser. *name gets its name with the schema. Raises
 * 42883, 42P13 or 42501.
 */
Oid FindReducerFunction(Server server, const char *text, char **name);
// The function of a name with its schema, InvalidOid when there is none. The reader of a state needs no right on the schema.
Oid FunctionOfName(Server server, const char *qualified_name);
// The checks alone; raises as above.
void CheckReducerFunction(Server server, Oid function, const char *name);

} // namespace auren::pg
