#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

struct Refreshed {
	int64 changes;
	int64 buckets;
	bool busy; // another refresh is at work, or was since this transaction's snapshot: nothing was done
};

/*
 * Merges the deltas into the rollups, and fills those of new sources. One at a time: while another is at work it does nothing.
 * At REPEATABLE READ and above it merges what the transaction's snapshot sees, and nothing when another refresh was since. It
 * waits for nobody. C++ side.
 */
Refreshed Refresh();

/*
 * Keeps refreshes out to the end of the transaction, after waiting for the one that is at work: for whoever changes the rollups
 * otherwise. Server side.
 */
void LockRollups();

// The days' rollups made anew from those of five minutes, after the zone changed. C++ side; the rollups are locked.
void RebuildDaysAndHours();

} // namespace auren::pg
