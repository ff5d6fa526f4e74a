#pragma once

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Wait points are places between two steps where a test can stop a session, so that what another session does in between is tested on
 * purpose and not by luck. They are compiled in by `make WAIT_POINTS=1` only, for the specs in test/waiting (scripts/check_waiting runs
 * them); an ordinary build has nothing in their place, and scripts/check_house tests that.
 *
 * A session that comes to AUREN_WAIT_POINT("name") waits as long as another one holds the advisory lock of the name,
 *
 *     SELECT pg_advisory_lock(hashtext('auren_events'), hashtext('name'));
 *
 * and goes on at once where nobody holds it. It waits for a heavyweight lock, so that isolationtester sees it as blocked, a cancel ends the
 * wait, and a deadlock is found. The wait reads no invalidation message: what the session's caches hold is the same before and after.
 *
 * It stands inside a guard. It must not stand where an LWLock, a spinlock or a buffer's lock is held, nor in a critical section.
 * Each name is used in one place, and by a spec.
 */
#ifdef AUREN_WAIT_POINTS
void WaitAt(const char *name);
#define AUREN_WAIT_POINT(name) ::auren::pg::WaitAt(name)
#else
#define AUREN_WAIT_POINT(name) static_cast<void>(0)
#endif

} // namespace auren::pg
