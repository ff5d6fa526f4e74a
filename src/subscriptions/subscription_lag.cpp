#include "subscriptions/subscription_lag.hpp"

#include "feed/feed_horizon.hpp"
#include "subscriptions/held_events.hpp"

namespace auren::pg {

namespace {

constexpr int64 kCountAtMost = 1000000;

// What is found out on the way through a subscription's events. A stream with an entry waits for the event at its `next` position.
struct Counting {
	const Subscription *subscription;
	const Share *shares;
	int64 now;
	HeldTable held;
	StreamTable blocked;
	int64 first; // lowest position of a held event that is not parked
	Lag lag;
};

void
CountHeld(Server server, Counting *counting) {
	HeldEvent event;
	StartHeld(server, &counting->held);
	while (NextHeld(server, &counting->held, &event)) {
		const bool is_parked = event.state == HeldState::kParked;
		const bool waits = FindStream(counting->blocked, event.stream) != nullptr;
		const bool may_be_given = MayBeGiven(event, counting->now);
		if (is_parked) {
			counting->lag.parked++;
		} else {
			counting->first = Min(counting->first, event.position);
			(waits ? counting->lag.waiting : may_be_given ? counting->lag.due : counting->lag.delayed)++;
		}
		if (!waits && !may_be_given && (!is_parked || counting->subscription->stream_waits)) {
			AddStream(server, &counting->blocked, event.stream)->next.position = event.position;
		}
		FreeHeld(event);
	}
}

void
CountAhead(Server server, Counting *counting) {
	const Subscription &subscription = *counting->subscription;
	FeedScan scan;
	EventRow row;
	int64 budget = kCountAtMost;
	BeginFeedScan(server, &scan, subscription.filter, counting->lag.checkpoint, counting->lag.head, FeedEvents::kCommitted);
	while (NextFeedEvent(server, &scan, &row, &budget)) {
		const int64 position = DatumGetInt64(row.values[kGlobalPosition]);
		const Share &share = counting->shares[ShareOf(row.values[kStreamId], subscription.shares)];
		if (position <= share.checkpoint || (share.held > 0 && position <= share.examined && IsHeld(server, &counting->held, position))) {
			continue;
		}
		if (position < counting->first) {
			counting->first = position;
			counting->lag.oldest = DatumGetTimestampTz(row.values[kCreatedAt]);
		}
		const StreamEntry *blocked = FindStream(counting->blocked, row.values[kStreamId]);
		(blocked != nullptr && blocked->next.position < position ? counting->lag.waiting : counting->lag.due)++;
	}
	EndFeedScan(server, &scan);
	counting->lag.is_exact = budget > 0;
}

int64
TimeOf(Server server, const Subscription &subscription, int64 position, int64 otherwise) {
	const FeedFilter all = {subscription.filter.tenant, nullptr, 0, 0, 0, {nullptr, 0}};
	FeedScan scan;
	EventRow row;
	int64 budget = 2;
	BeginFeedScan(server, &scan, all, position - 1, position, FeedEvents::kCommitted);
	const int64 time = NextFeedEvent(server, &scan, &row, &budget) ? DatumGetTimestampTz(row.values[kCreatedAt]) : otherwise;
	EndFeedScan(server, &scan);
	return time;
}

} // namespace

Lag
LagOf(Server server, const Subscription &subscription, const Share *shares, int64 now) {
	Counting counting = {};
	counting.subscription = &subscription;
	counting.shares = shares;
	counting.now = now;
	counting.first = PG_INT64_MAX;
	counting.lag.oldest = now;
	counting.lag.checkpoint = PG_INT64_MAX;
	for (int i = 0; i < subscription.shares; i++) {
		counting.lag.checkpoint = Min(counting.lag.checkpoint, shares[i].checkpoint);
	}
	counting.lag.head = FeedHorizon(server);
	OpenHeld(server, &counting.held, subscription);
	CountHeld(server, &counting);
	if (counting.first != PG_INT64_MAX) {
		counting.lag.oldest = TimeOf(server, subscription, counting.first, now);
	}
	CountAhead(server, &counting);
	CloseHeld(server, &counting.held);
	return counting.lag;
}

} // namespace auren::pg
