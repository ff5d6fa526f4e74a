#pragma once

#include "server/guard.hpp"
#include "subscriptions/subscription.hpp"

namespace auren::pg {

/*
 * Where a subscription stands. Of its events up to the feed's horizon, those that are neither done nor parked are counted, up to a
 * million of what is not held: due, delayed and waiting ones, as delivery.hpp has it; what is ahead or in hand is due unless it waits.
 */
struct Lag {
	int64 checkpoint; // the lowest one
	int64 head;       // the feed's horizon
	int64 due;
	int64 delayed;
	int64 waiting;
	int64 parked;
	int64 oldest; // when the first of those that are neither done nor parked was appended; now, when there is none
	bool is_exact;
};
Lag LagOf(Server server, const Subscription &subscription, const Share *shares, int64 now);

} // namespace auren::pg
