#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The triggers of a source's tables, made, found and dropped by OID: a table may have another name, and the name be another table's,
 * before a statement that names it is parsed. A trigger counts as ours when auren.record_change is its function, whatever its name.
 * Rights are the caller's matter.
 */

// The row trigger, which PostgreSQL gives to the partitions too.
void MakeRowTrigger(Server server, Oid relid);
void DropRowTrigger(Server server, Oid relid);

// The statement triggers of a table and all its partitions, which do not get them from their parent.
void MakeStatementTriggers(Server server, Oid relid);
void DropStatementTriggers(Server server, Oid relid);
bool HasStatementTrigger(Server server, Oid relid);

// Raises 55000 where a trigger that records what changes in a table or a partition of it is disabled.
void RequireTriggers(Server server, Oid relid);

/*
 * Makes those triggers of a table and its partitions that are of the extension fire always, which ENABLE TRIGGER has fire for ordinary
 * sessions only. Disabled ones stay so.
 */
void FireAlways(Server server, Oid relid);

} // namespace auren::pg
