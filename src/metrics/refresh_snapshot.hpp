#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Takes the lock of refreshes to the end of the transaction, unless another session holds it: false then.
bool TryLockRollups(Server server);
void UnlockRollups(Server server);

/*
 * The server snapshot of a refresh, taken after all locks: what the last refresh did is seen, and no table changes under it, but for those of
 * the sources that are passed over. nullptr: not now. In a transaction with one server snapshot that one, unless the rollups have changed
 * since.
 */
Snapshot TakeSnapshot(Server server, const List **passed);

} // namespace auren::pg
