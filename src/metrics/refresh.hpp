#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

struct Refreshed {
	int64 changes;
	int64 buckets;
	bool busy; // another refresh is at work or was since this transaction's server snapshot, or the readings cannot be counted now: nothing was done
};

/*
 * Merges the deltas into the rollups, and fills those of new sources. One at a time: while another is at work it does nothing.
 * At REPEATABLE READ and above it merges what the transaction's server snapshot sees; nothing when the rollups have changed since, or readings
 * would have to be counted. It locks the tables of sources in ACCESS SHARE, partitioned ones in SHARE UPDATE EXCLUSIVE mode, and waits
 * for nobody: nothing is done where such a lock is not to be had.
 */
Refreshed Refresh();

/*
 * Keeps refreshes out to the end of the transaction, after waiting for the one that is at work: for whoever changes the rollups
 * otherwise.
 */
void LockRollups(Server server);

// The days' rollups made anew from those of five minutes, after the zone changed. The rollups are locked.
void RebuildDaysAndHours();

} // namespace auren::pg
