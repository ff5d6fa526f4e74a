#pragma once

#include "pg/event_read.hpp"
#include "pg/feed_read.hpp"
#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * A subscription as it was made. Datums are in the caller's memory context. Server side, as all of this header.
 */
struct Subscription {
	int64 id; // 0: there is none
	int64 start_position;
	FeedFilter filter;
	int shares;
	int max_attempts;
	int64 lease; // microseconds
	bool stream_waits;
};
Subscription FindSubscription(Datum tenant, Datum name);

// The share that a stream falls into: the same in every version and on every machine.
int ShareOf(Datum stream, int shares);

/*
 * A share as its newest row has it.
 */
struct Share {
	bool stored; // false: no row yet, it stands at the subscription's beginning
	ItemPointerData tid;
	bool written_by_us; // in this transaction
	int64 step;
	int64 checkpoint;
	int64 delivered; // last event that the consumer was given; in flight while it is above the checkpoint
	int64 examined;
	text *consumer; // empty: nobody
	int64 lease_until;
	int64 failed_at;
	int failures;
	bool locked; // by this transaction
};

// Shares by number, read under the newest snapshot.
Share *ReadShares(const Subscription &subscription);
Share ReadShare(const Subscription &subscription, int number);

// Takes the lock of a share to the end of the transaction, unless another has it: nobody waits.
bool LockShare(const Subscription &subscription, int number);
void UnlockShare(const Subscription &subscription, int number);

// Writes a share that is locked, in place of the row that it was read from.
void WriteShare(const Subscription &subscription, int number, Share *share);

// Notes that a consumer is there, and says how many are.
int CountConsumers(const Subscription &subscription, text *consumer, int64 now);

bool HasShare(const Share &share, const text *consumer);

} // namespace auren::pg
