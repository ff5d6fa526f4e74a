#pragma once

#include <string>

#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren {

/*
 * What the functions that change sources and settings of metrics have in common. Each raises the server's errors.
 */

// Runs a statement as the current role.
void RunStatement(const std::string &sql);

// Runs a statement on the extension's tables as the owner of the store. The caller gets how many rows it changed or found.
uint64 ChangeAsStore(const char *sql, int count, Oid *types, Datum *values, const char *nulls = nullptr);

// A table's name as a statement takes it.
std::string NameOf(Oid relid);

// Raises 25006 in a read-only transaction.
void RefuseWhenReadOnly(const char *function);

// Raises 25001 above READ COMMITTED: a function that acts on everything would leave what a fixed server snapshot does not see.
void RequireReadCommitted(const char *function);

// Raises 0A000 for a foreign table: no trigger sees what changes in it.
void RefuseForeign(Oid relid);

// Lets the owner of a table execute the function of its triggers: the server asks whoever makes a partition for that right.
void GrantRecordingToOwner(Oid relid);

// After a table was a source: takes that right back from its owner, unless another table of theirs is a source.
void RevokeRecordingFromOwner(Oid relid);

/*
 * Whoever changes tables need have no right of ours, nor own the partition: what follows from it is done as the owner of the event
 * triggers. An error ends the statement, and the role with it.
 */
template <typename F>
void
AsEventTriggerOwner(F &&work) {
	const pg::SavedUser before = pg::Call([](pg::Server server) { return pg::BecomeEventTriggerOwner(server); });
	work();
	pg::Call([&](pg::Server server) { pg::SwitchBack(server, before); });
}

} // namespace auren
