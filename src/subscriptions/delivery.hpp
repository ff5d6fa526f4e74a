#pragma once

#include "server/guard.hpp"
#include "server/rows.hpp"
#include "subscriptions/subscription.hpp"

namespace auren::pg {

/*
 * What subscriptions do for their consumers, in the caller's transaction. Errors are ZE005 (the lease is lost), 22023 and 55P03.
 * The caller has the subscription's lock, shared, and read the subscription after that. Nobody waits for another: a share whose lock
 * another transaction holds is passed over.
 *
 * An event that the subscription's filter lets through, after the position where it began, is in one of these states:
 *
 *   ahead     after its share's checkpoint: not given yet, or given by a fetch that is not the consumer's last
 *   in hand   the last fetch of its share's consumer gave it, and the consumer has not said what became of it
 *   due       held, and may be given: its time has come, and no event before it in its stream stands in its way
 *   delayed   held, not to be given before a time (events.retry)
 *   waiting   an event before it in its stream is delayed, or waits, or is parked and the subscription's streams wait
 *   parked    held until events.unpark
 *   done
 *
 * The rules:
 *
 * - A stream is of one share, by a hash; a share has one consumer. A fetch takes free shares up to the consumer's part and renews the
 *   leases of those it has.
 * - A fetch gives what is ahead, in hand or due in the consumer's shares, in order of position over all, up to its limit, and nothing else.
 *   A delayed event holds up the later events of its stream, a parked one does so where streams wait; neither holds up earlier ones, nor
 *   other streams. What the fetch gave is in hand afterwards; what an earlier fetch gave and this one did not, is not. A fetch of no
 *   events renews the leases and leaves what is in hand.
 * - Acknowledging a position makes done what is in hand up to that position, and nothing else.
 * - An event in hand that failed is delayed (at the subscription's last attempt parked), and what is in hand of its stream after it is
 *   taken back to wait. One that is parked has the same taken back where streams wait.
 * - A parked event that is unparked is due at once, its attempts counted anew, and stands before the later ones of its stream that are not done.
 * - When a lease ends, what is in hand of the share is due again for whoever takes the share next. The first of it counts as failed: it may
 *   have been what ended the consumer. Within the transaction that fetched, a share stays, however long that takes.
 * - A reset puts everything after its position ahead, and everything up to it is done. Other changes of a subscription change no event's
 *   state, but for what was in hand when its shares are changed: that is due.
 * - A rollback takes back what was done in the transaction or savepoint, leases included.
 */

// Deals out shares, takes leases, and puts the next events into the rows.
void Fetch(Server server, const Subscription &subscription, text *consumer, int64 limit, const Rows &rows);

// What is in the consumer's hands up to a position is done.
void Acknowledge(Server server, const Subscription &subscription, text *consumer, int64 position);

// An event in the consumer's hands failed and is to be given again after a delay in microseconds, or is parked when this was the
// subscription's last attempt. A reason of 0 is none.
void Retry(Server server, const Subscription &subscription, text *consumer, int64 position, int64 delay, Datum reason);

// An event in the consumer's hands failed and is parked. A reason of 0 is none.
void Park(Server server, const Subscription &subscription, text *consumer, int64 position, Datum reason);

// Whether everything up to a position is done or parked. Needs no lock.
bool HasPassed(Server server, const Subscription &subscription, int64 position);

} // namespace auren::pg
