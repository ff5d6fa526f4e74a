#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The notifier tells listeners of appended events off the commit path: a background worker of this database that reads the feed up
 * to the horizon and notifies in transactions of its own, one notification a channel for whatever came meanwhile. A commit that
 * leaves its announcement to the notifier takes no cluster-wide lock and waits for no listener; it sets a latch, which
 * costs a system call only while the notifier sleeps.
 *
 * It needs no shared_preload_libraries: what it shares with the sessions is a dynamic segment, whose handle is in the tag of a lock
 * that it holds. A transaction finds it open or not before it commits, while it still holds the feed back; the notifier begins at
 * the horizon that it read before it opened, and ends when it has told all that was drawn before it closed. So what a transaction
 * left to it lies in between.
 *
 * Where no worker can be had (auren_events.notifier is off, or max_worker_processes is used up), transactions notify themselves.
 */

// Whether there is a notifier to leave announcements to.
bool NotifierRuns(Server server);

// Wakes it, or asks the postmaster for one: for the end of a transaction, where no error may be raised. What cannot be done
// is left.
void WakeNotifier();
void StartNotifier(Server server);

// The worker's own main, on a database.
void RunNotifier(Server server, Oid database);

} // namespace auren::pg
