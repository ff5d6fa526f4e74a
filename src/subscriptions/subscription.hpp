#pragma once

#include "feed/feed_read.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"

namespace auren::pg {

/*
 * A subscription as it was made. Datums are in the caller's memory context.
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
Subscription FindSubscription(Server server, Datum tenant, Datum name);

// 64 bit of a stream's id.
uint64 StreamHash(Datum stream);

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
	int64 checkpoint; // each event of the share up to here is done or held
	int64 delivered;  // those after it and up to here are in hand, unless they are held
	int64 reached;    // no other event of the share up to here is for a consumer: the last fetch looked so far
	int64 examined;   // how far any fetch looked
	text *consumer;   // empty: nobody
	int64 lease_until;
	int64 *given; // positions of the held events that are in hand, ascending
	int given_count;
	int64 held;  // how many events of the share are held
	bool locked; // by this transaction
};

/*
 * Takes the lock of a subscription to the end of the transaction, unless another transaction is in the way: nobody waits. Whoever works with
 * shares takes it shared, and reads the subscription after that; whoever changes it, or its shares as a whole, takes it alone.
 */
bool LockSubscription(Server server, const Subscription &subscription, LOCKMODE mode);

// Shares by number, read under the newest snapshot.
Share *ReadShares(Server server, const Subscription &subscription);
Share ReadShare(Server server, const Subscription &subscription, int number);

// Takes the lock of a share to the end of the transaction, unless another has it: nobody waits.
bool LockShare(Server server, const Subscription &subscription, int number);
void UnlockShare(Server server, const Subscription &subscription, int number);

// Writes a share that is locked, in place of the row that it was read from.
void WriteShare(Server server, const Subscription &subscription, int number, const Share &share);

// A share that nobody has, at a position.
Share FreeShare(Server server, int64 position);

// Notes that a consumer is there, and says how many are.
int CountConsumers(Server server, const Subscription &subscription, text *consumer, int64 now);

bool HasShare(const Share &share, const text *consumer);

} // namespace auren::pg
