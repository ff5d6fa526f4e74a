#pragma once

#include "server/guard.hpp"
#include "subscriptions/subscription.hpp"

namespace auren::pg {

/*
 * Changes of a subscription as a whole. The caller has its lock alone (LockSubscription), and read it after that: no consumer is at work.
 */

// Sets every share back, or ahead, to a position and forgets leases and held events.
void Reset(Server server, const Subscription &subscription, int64 position);

// Removes what is kept of a subscription beside its settings.
void Forget(Server server, const Subscription &subscription);

// Deals the streams out into another number of shares. What is done, delayed, waiting and parked stays so, what is in hand is due, and
// leases end. Reads the events between the lowest and the highest checkpoint. 42501 under row level security, 40001 when a fixed
// snapshot does not see all of them.
void Reshare(Server server, const Subscription &subscription, int shares);

// What held events wait for is found anew, after streams no longer wait for parked ones: `subscription` as it is then.
void ReleaseAll(Server server, const Subscription &subscription);

} // namespace auren::pg
