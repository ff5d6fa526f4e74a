#pragma once

#include "pg/rows.hpp"
#include "pg/subscription.hpp"

namespace auren::pg {

/*
 * What subscriptions do for their consumers, in the caller's transaction. Nobody waits for another: a share whose lock another
 * transaction holds is passed over. Server side; errors are ZE005 (the lease is lost), 22023 and 55P03.
 *
 * A stream's events stay in order because a stream is of one share, and a share has one consumer. An event that is to be retried, or
 * is parked, is written down (events.subscription_troubles) and passed by, and so are the later ones of its stream that
 * must wait for it; the checkpoint goes on.
 */

// Deals out shares, takes leases, and puts the next events into the rows: those that were passed by and may be given again,
// then those behind the checkpoints.
void Fetch(const Subscription &subscription, text *consumer, int64 limit, const Rows &rows);

// What the consumer was given up to a position is done.
void Acknowledge(const Subscription &subscription, text *consumer, int64 position);

// An event that the consumer was given failed: to be given again after a delay (microseconds), or parked.
void Fail(const Subscription &subscription, text *consumer, int64 position, bool park, int64 delay, Datum reason);

// Sets every share back, or ahead, to a position and forgets leases and troubles. 55006 while a consumer is at work.
void Reset(const Subscription &subscription, int64 position);

// Removes what is kept of a subscription beside its settings. 55006 while a consumer is at work.
void Forget(const Subscription &subscription);

// Whether everything up to a position is done or parked.
bool HasPassed(const Subscription &subscription, int64 position);

} // namespace auren::pg
