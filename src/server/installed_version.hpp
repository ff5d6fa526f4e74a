#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// The version that the module was built as: what the control file said.
extern const char *const kModuleVersion;

/*
 * The version of the extension's SQL objects in this database, as pg_extension has it; nullptr where the extension is not there. In the
 * current memory context. It is older than the module until ALTER EXTENSION auren_events UPDATE.
 */
const char *InstalledVersion(Server server);

/*
 * Raises the error of a relation of the extension that is not there: 55000 and the advice to update where the SQL objects are of another
 * version than the module, otherwise 42P01.
 */
[[noreturn]] void RaiseMissingRelation(Server server, const char *schema, const char *name);

} // namespace auren::pg
