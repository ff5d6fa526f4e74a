// Subscriptions: create, alter, drop, reset, fetch, acknowledge, retry, park, unpark, and waiting for the feed.

#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "feed/feed_horizon.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "store/dropped_months.hpp"
#include "store/event_arguments.hpp"
#include "store/query.hpp"
#include "store/tag_arguments.hpp"
#include "store/tenant.hpp"
#include "subscriptions/delivery.hpp"
#include "subscriptions/subscription.hpp"
#include "subscriptions/subscription_changes.hpp"
#include "subscriptions/subscription_lag.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr int kMaxShares = 1024;
constexpr long kPollMilliseconds = 5;

pg::Subscription
SubscriptionArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text name = pg::TextArgument(fcinfo, argument, "p_name");
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Subscription subscription = Call([&](Server server) { return pg::FindSubscription(server, tenant.text, name.datum); });
	if (subscription.id == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no subscription \"" + std::string(name.name.bytes) + "\"",
		                  "This session's tenant has none of that name.", "Make it by events.create_subscription.");
	}
	return subscription;
}

// The subscription as it is under its lock, which is held to the transaction's end. Its id is 0 when another transaction is in the way.
pg::Subscription
LockedSubscription(FunctionCallInfo fcinfo, int argument, LOCKMODE mode) {
	for (;;) {
		const pg::Subscription found = SubscriptionArgument(fcinfo, argument);
		if (!Call([&](Server server) { return pg::LockSubscription(server, found, mode); })) {
			return {};
		}
		// it may have been changed, or dropped and made again, before the lock was there
		const pg::Subscription subscription = SubscriptionArgument(fcinfo, argument);
		if (subscription.id == found.id) {
			return subscription;
		}
	}
}

// For a consumer that has events in hand.
pg::Subscription
SubscriptionAtWork(FunctionCallInfo fcinfo) {
	const pg::Subscription subscription = LockedSubscription(fcinfo, 0, ShareLock);
	if (subscription.id == 0) {
		throw DomainError("55P03", "the subscription is being changed by another transaction",
		                  "It alters, resets or drops the subscription and has not ended.", "Try again when it has.");
	}
	return subscription;
}

// For a change of the whole.
pg::Subscription
SubscriptionAtRest(FunctionCallInfo fcinfo) {
	const pg::Subscription subscription = LockedSubscription(fcinfo, 0, ExclusiveLock);
	if (subscription.id == 0) {
		throw DomainError("55006", "a consumer of the subscription is at work",
		                  "Another transaction has fetched, acknowledged or changed the subscription and has not ended.", "Try again when it has.");
	}
	return subscription;
}

text *
ConsumerArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text consumer = pg::TextArgument(fcinfo, argument, "p_consumer");
	CheckConsumerName(consumer.name);
	return reinterpret_cast<text *>(DatumGetPointer(consumer.datum));
}

int64
PositionArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	pg::RequireNotNull(fcinfo, argument, parameter);
	const int64 position = PG_GETARG_INT64(argument);
	if (position < 0) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not be negative",
		                  "The position given is " + std::to_string(position) + ".", "0 is before the first event.");
	}
	return position;
}

// Microseconds.
int64
IntervalArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int64 least) {
	pg::RequireNotNull(fcinfo, argument, parameter);
	const Interval *interval = PG_GETARG_INTERVAL_P(argument);
	const int64 days = static_cast<int64>(interval->month) * DAYS_PER_MONTH + interval->day;
	const int64 micros = days > 36500 || days < -36500 ? (days < 0 ? -1 : PG_INT64_MAX) : interval->time + days * USECS_PER_DAY;
	if (micros < least || micros > 36500 * USECS_PER_DAY) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " is out of range",
		                  "It must be " + (least > 0 ? std::to_string(least / 1000) + " ms or more" : std::string("0 or more")) +
		                      ", and a hundred years at most.",
		                  "Give an interval such as '30 seconds'.");
	}
	return micros;
}

int
CountArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int most) {
	pg::RequireNotNull(fcinfo, argument, parameter);
	const int count = PG_GETARG_INT32(argument);
	if (count < 1 || count > most) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must be from 1 to " + std::to_string(most),
		                  "The number given is " + std::to_string(count) + ".", "Leave it out for the default.");
	}
	return count;
}

uint64
Change(const char *sql, int count, Oid *types, Datum *values, const char *nulls = nullptr) {
	return Call([&](Server server) { return pg::ExecuteAsStore(server, sql, count, types, values, nulls); });
}

// The position before the first event of a time, or the end of the feed.
int64
PositionBefore(Datum tenant, Datum time) {
	Oid types[2] = {TEXTOID, TIMESTAMPTZOID};
	const Datum values[2] = {tenant, time};
	return Call([&](Server server) {
		// times and positions do not go quite together: the lowest position among the first events of that time on
		pg::RunningQuery query;
		pg::StartQuery(server, &query,
		               "SELECT global_position FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND created_at "
		               "OPERATOR(pg_catalog.>=) $2 ORDER BY created_at LIMIT 10000",
		               2, types, values, GetActiveSnapshot());
		int64 position = PG_INT64_MAX;
		const Datum *row;
		const bool *isnull;
		while (pg::NextRow(server, &query, &row, &isnull)) {
			position = Min(position, DatumGetInt64(row[0]) - 1);
		}
		pg::EndQuery(server, &query);
		return position == PG_INT64_MAX ? pg::FeedHorizon(server) : position;
	});
}

void
RefuseWhenReadOnly(const char *function) {
	Call([&] { PreventCommandIfReadOnly(function); });
}

// Waits until a condition holds, false when the time is over. The snapshot of each look is new.
template <typename Condition>
bool
WaitUntil(int64 timeout, Condition &&condition) {
	return Call([&](Server server) {
		const int64 end = GetCurrentTimestamp() + timeout;
		// what a look needs is given back: there may be hours of them
		MemoryContext look = AllocSetContextCreate(CurrentMemoryContext, "auren_events wait", ALLOCSET_DEFAULT_SIZES);
		for (;;) {
			MemoryContext old = MemoryContextSwitchTo(look);
			const bool holds = condition(server);
			MemoryContextSwitchTo(old);
			MemoryContextReset(look);
			if (holds || GetCurrentTimestamp() >= end) {
				return holds;
			}
			(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMilliseconds, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	});
}

// The position that a new subscription begins after: that before a time, a position, or the end of the feed.
int64
StartArgument(FunctionCallInfo fcinfo, const pg::Tenant &tenant) {
	if (!PG_ARGISNULL(2)) {
		return PositionBefore(tenant.text, PG_GETARG_DATUM(2));
	}
	return PG_ARGISNULL(1) ? Call([](Server server) { return pg::FeedHorizon(server); }) : PG_GETARG_INT64(1);
}

// A subscription that begins before what was dropped begins with what is left; whoever makes it so is told.
void
TellWhatIsGone(int64 after_position) {
	Call([&](Server server) {
		const int64 gone = pg::LastDroppedPosition(server);
		if (after_position < gone) {
			ereport(NOTICE,
			        (errmsg("months of events up to position " INT64_FORMAT " were dropped", gone),
			         errdetail("The subscription goes on after position " INT64_FORMAT ", and is given the events that are left from there on.",
			                   after_position),
			         errhint("The view events.months says which months are gone.")));
		}
	});
}

// Refuses event types and a category that no event has.
void
CheckFilterArguments(FunctionCallInfo fcinfo) {
	(void)EventTypesArgument(fcinfo, 3);
	if (!PG_ARGISNULL(4)) {
		(void)CategoryArgument(fcinfo, 4);
	}
}

// Writes the settings of a new subscription. Returns 0 where the tenant has one of that name.
uint64
InsertSettings(FunctionCallInfo fcinfo, const pg::Tenant &tenant, const pg::Text &name, int64 start) {
	const pg::TagSet tags = pg::TagsArgument(fcinfo, 10);
	Oid types[11] = {TEXTOID, TEXTOID, INT8OID, TEXTARRAYOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INTERVALOID, BOOLOID, TEXTARRAYOID};
	Datum values[11] = {tenant.text, name.datum, Int64GetDatum(start)};
	values[10] = tags.array;
	char nulls[12] = "           ";
	for (int i = 3; i <= 9; i++) {
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	const bool tagged = tags.tags.count > 0; // the SQL objects of 0.1.0 have no column for them
	const std::string sql =
		"INSERT INTO auren.subscription_settings (tenant_id, name, start_position, event_types, category, stream_prefix, shares, max_attempts, "
		"lease, stream_waits, created_by, created_at" +
		std::string(tagged ? ", tags" : "") + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, session_user, pg_catalog.now()" +
		(tagged ? ", $11" : "") + ") ON CONFLICT (tenant_id, name) DO NOTHING";
	return Change(sql.c_str(), tagged ? 11 : 10, types, values, nulls);
}

} // namespace

AUREN_RELEASED_FUNCTION(auren_create_subscription, auren_create_subscription_with_tags)
AUREN_FUNCTION(auren_create_subscription_with_tags) {
	const pg::Text name = pg::TextArgument(fcinfo, 0, "p_name");
	CheckSubscriptionName(name.name);
	const pg::Tenant tenant = pg::CurrentTenant();
	if (!PG_ARGISNULL(1) && PG_GETARG_INT64(1) < 0) {
		(void)PositionArgument(fcinfo, 1, "p_after_position");
	}
	(void)CountArgument(fcinfo, 6, "p_shares", kMaxShares);
	(void)CountArgument(fcinfo, 7, "p_max_attempts", 1000000);
	(void)IntervalArgument(fcinfo, 8, "p_lease", 100000);
	pg::RequireNotNull(fcinfo, 9, "p_stream_waits");
	RefuseWhenReadOnly("events.create_subscription()");
	const int64 start = StartArgument(fcinfo, tenant);
	CheckFilterArguments(fcinfo);
	const uint64 rows = InsertSettings(fcinfo, tenant, name, start);
	if (rows == 0) {
		throw DomainError("42710", "there is a subscription \"" + std::string(name.name.bytes) + "\" already", "Its progress would be lost.",
		                  "events.drop_subscription drops it, events.reset_subscription sets it back.");
	}
	TellWhatIsGone(start);
	return Int64GetDatum(start);
}

AUREN_FUNCTION(auren_drop_subscription) {
	RefuseWhenReadOnly("events.drop_subscription()");
	const pg::Subscription subscription = SubscriptionAtRest(fcinfo);
	Call([&](Server server) { pg::Forget(server, subscription); });
	Oid types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum(subscription.id)};
	(void)Change("DELETE FROM auren.subscription_settings WHERE subscription_id OPERATOR(pg_catalog.=) $1", 1, types, values);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_reset_subscription) {
	const int64 position = PositionArgument(fcinfo, 1, "p_position");
	RefuseWhenReadOnly("events.reset_subscription()");
	const pg::Subscription subscription = SubscriptionAtRest(fcinfo);
	Call([&](Server server) { pg::Reset(server, subscription, position); });
	TellWhatIsGone(position);
	PG_RETURN_VOID();
}

AUREN_RELEASED_FUNCTION(auren_fetch, auren_fetch_with_tags)
AUREN_FUNCTION(auren_fetch_with_tags) {
	text *consumer = ConsumerArgument(fcinfo, 1);
	const int64 limit = LimitArgument(fcinfo, 2);
	RefuseWhenReadOnly("events.fetch()");
	const pg::Subscription subscription = LockedSubscription(fcinfo, 0, ShareLock);
	Call([&](Server server) {
		const pg::Rows rows = pg::BeginRows(server, fcinfo);
		if (subscription.id != 0) {
			pg::Fetch(server, subscription, consumer, limit, rows);
		}
	});
	return 0;
}

AUREN_FUNCTION(auren_acknowledge) {
	text *consumer = ConsumerArgument(fcinfo, 1);
	const int64 position = PositionArgument(fcinfo, 2, "p_position");
	RefuseWhenReadOnly("events.acknowledge()");
	const pg::Subscription subscription = SubscriptionAtWork(fcinfo);
	Call([&](Server server) { pg::Acknowledge(server, subscription, consumer, position); });
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_retry) {
	text *consumer = ConsumerArgument(fcinfo, 1);
	const int64 position = PositionArgument(fcinfo, 2, "p_position");
	const int64 delay = IntervalArgument(fcinfo, 3, "p_delay", 0);
	const auto reason = pg::OptionalTextArgument(fcinfo, 4);
	RefuseWhenReadOnly("events.retry()");
	const pg::Subscription subscription = SubscriptionAtWork(fcinfo);
	Call([&](Server server) { pg::Retry(server, subscription, consumer, position, delay, reason ? reason->datum : 0); });
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_park) {
	text *consumer = ConsumerArgument(fcinfo, 1);
	const int64 position = PositionArgument(fcinfo, 2, "p_position");
	const auto reason = pg::OptionalTextArgument(fcinfo, 3);
	RefuseWhenReadOnly("events.park()");
	const pg::Subscription subscription = SubscriptionAtWork(fcinfo);
	Call([&](Server server) { pg::Park(server, subscription, consumer, position, reason ? reason->datum : 0); });
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_unpark) {
	const int64 position = PositionArgument(fcinfo, 1, "p_position");
	RefuseWhenReadOnly("events.unpark()");
	const pg::Subscription subscription = SubscriptionAtWork(fcinfo);
	Oid types[2] = {INT8OID, INT8OID};
	Datum values[2] = {Int64GetDatum(subscription.id), Int64GetDatum(position)};
	const uint64 rows = Change("UPDATE auren.subscription_held SET state = 'retry', attempts = 0, not_before = pg_catalog.now() "
	                           "WHERE subscription_id OPERATOR(pg_catalog.=) $1 AND global_position OPERATOR(pg_catalog.=) $2 AND state "
	                           "OPERATOR(pg_catalog.=) 'parked'",
	                           2, types, values);
	if (rows == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "no event of position " + std::to_string(position) + " is parked",
		                  "The subscription has parked none of that position.", "events.parked lists them.");
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_wait_for_subscription) {
	const pg::Subscription subscription = SubscriptionArgument(fcinfo, 0);
	const int64 position = PositionArgument(fcinfo, 1, "p_position");
	const int64 timeout = IntervalArgument(fcinfo, 2, "p_timeout", 0);
	// it may get other shares meanwhile
	const pg::Tenant tenant = pg::CurrentTenant();
	const Datum name = PG_GETARG_DATUM(0);
	return BoolGetDatum(WaitUntil(timeout, [&](Server server) {
		const pg::Subscription now = pg::FindSubscription(server, tenant.text, name);
		return now.id == subscription.id && pg::HasPassed(server, now, position);
	}));
}

AUREN_FUNCTION(auren_wait_for_events) {
	const int64 after = PositionArgument(fcinfo, 0, "p_after_position");
	const int64 timeout = IntervalArgument(fcinfo, 1, "p_timeout", 0);
	const pg::FeedFilter filter = {pg::CurrentTenant().text, nullptr, 0, 0, 0, {nullptr, 0}};
	int64 looked_at = after;
	return BoolGetDatum(WaitUntil(timeout, [&](Server server) {
		// what was looked at holds no event of the tenant
		const int64 horizon = pg::LastPosition(server) > looked_at || RecoveryInProgress() ? pg::FeedHorizon(server) : looked_at;
		if (horizon <= looked_at) {
			return false;
		}
		pg::FeedScan scan;
		pg::EventRow row;
		int64 budget = PG_INT64_MAX;
		pg::BeginFeedScan(server, &scan, filter, looked_at, horizon, pg::FeedEvents::kCommitted);
		const bool found = pg::NextFeedEvent(server, &scan, &row, &budget);
		pg::EndFeedScan(server, &scan);
		looked_at = horizon;
		return found;
	}));
}

namespace {

// Writes the settings that are given; the others stay.
void
WriteSettings(FunctionCallInfo fcinfo, const pg::Subscription &subscription) {
	Oid types[5] = {INT8OID, INT4OID, INT4OID, INTERVALOID, BOOLOID};
	Datum values[5] = {Int64GetDatum(subscription.id)};
	char nulls[6] = "     ";
	for (int i = 1; i <= 4; i++) {
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	(void)Change("UPDATE auren.subscription_settings SET shares = COALESCE($2, shares), max_attempts = COALESCE($3, max_attempts), "
	             "lease = COALESCE($4, lease), stream_waits = COALESCE($5, stream_waits) WHERE subscription_id OPERATOR(pg_catalog.=) $1",
	             5, types, values, nulls);
}

} // namespace

AUREN_FUNCTION(auren_alter_subscription) {
	const pg::Text name = pg::TextArgument(fcinfo, 0, "p_name");
	const int shares = PG_ARGISNULL(1) ? 0 : CountArgument(fcinfo, 1, "p_shares", kMaxShares);
	if (!PG_ARGISNULL(2)) {
		(void)CountArgument(fcinfo, 2, "p_max_attempts", 1000000);
	}
	if (!PG_ARGISNULL(3)) {
		(void)IntervalArgument(fcinfo, 3, "p_lease", 100000);
	}
	RefuseWhenReadOnly("events.alter_subscription()");
	const pg::Subscription subscription = SubscriptionAtRest(fcinfo);
	if (shares != 0 && shares != subscription.shares) {
		Call([&](Server server) { pg::Reshare(server, subscription, shares); });
	}
	WriteSettings(fcinfo, subscription);
	Call([&](Server server) {
		CommandCounterIncrement();
		if (subscription.stream_waits && !PG_ARGISNULL(4) && !PG_GETARG_BOOL(4)) {
			pg::ReleaseAll(server, pg::FindSubscription(server, subscription.filter.tenant, name.datum));
		}
	});
	PG_RETURN_VOID();
}

namespace {

// The consumers that have a lease on a share.
Datum
ConsumersOf(Server, const pg::Share *shares, int count, int64 now) {
	auto *names = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(count)));
	int consumers = 0;
	for (int i = 0; i < count; i++) {
		bool known = VARSIZE_ANY_EXHDR(shares[i].consumer) == 0 || shares[i].lease_until < now;
		for (int k = 0; k < consumers && !known; k++) {
			known = pg::HasShare(shares[i], DatumGetTextPP(names[k]));
		}
		if (!known) {
			names[consumers++] = PointerGetDatum(shares[i].consumer);
		}
	}
	return PointerGetDatum(construct_array(names, consumers, TEXTOID, -1, false, TYPALIGN_INT));
}

} // namespace

// What the view events.subscriptions shows of one, by its id.
AUREN_FUNCTION(auren_subscription_status) {
	const pg::Subscription subscription = SubscriptionArgument(fcinfo, 0);
	Datum values[9] = {};
	bool isnull[9] = {};
	return Call([&](Server server) {
		const int64 now = GetCurrentTimestamp();
		const pg::Share *shares = pg::ReadShares(server, subscription);
		const pg::Lag lag = pg::LagOf(server, subscription, shares, now);
		values[0] = Int64GetDatum(lag.checkpoint);
		values[1] = Int64GetDatum(lag.head);
		values[2] = Int64GetDatum(lag.due + lag.delayed + lag.waiting);
		values[3] = Float8GetDatum(static_cast<double>(Max(now - lag.oldest, INT64CONST(0))) / 1e6);
		values[4] = ConsumersOf(server, shares, subscription.shares, now);
		values[5] = BoolGetDatum(lag.is_exact);
		values[6] = Int64GetDatum(lag.due);
		values[7] = Int64GetDatum(lag.delayed);
		values[8] = Int64GetDatum(lag.waiting);
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, isnull));
	});
}

} // namespace auren
