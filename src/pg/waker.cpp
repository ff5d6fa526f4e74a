#include "pg/waker.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "pg/announce.hpp"
#include "pg/feed_horizon.hpp"
#include "pg/feed_read.hpp"
#include "pg/guard.hpp"
#include "pg/notification_rules.hpp"
#include "pg/settings.hpp"
#include "pg/store.hpp"
#include "pg/text.hpp"

namespace auren::pg {

namespace {

constexpr uint16 kWakerLockClass = 0xA0E4;

// How long it stays without anything to tell. Less than the 5 s for which DROP DATABASE and its like wait for others to go.
constexpr int64 kIdleMicros = 3000000;
// A session asks for a waker so often at most.
constexpr int64 kStartMicros = 1000000;
// Events of one transaction of the waker.
constexpr int64 kPassBudget = 100000;
// How often it looks whether the horizon has moved while a prepared transaction, which ends without waking anybody, may hold it.
constexpr int64 kHeldMicrosAtLeast = 10000;
constexpr int64 kHeldMicrosAtMost = 1000000;

// The waker as this session last saw it.
PGPROC *waker = nullptr;
int waker_pid = 0;
TimestampTz asked_at = 0;

LOCKTAG
WakerTag() {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kWakerLockClass);
	return tag;
}

// Finds the process that holds the waker's lock.
void
FindWaker() {
	const LOCKTAG wanted = WakerTag();
	waker = nullptr;
	LockData *locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements && waker == nullptr; i++) {
		if (std::memcmp(&locks->locks[i].locktag, &wanted, sizeof wanted) == 0 &&
		    (locks->locks[i].holdMask & LOCKBIT_ON(ExclusiveLock)) != 0) {
			waker_pid = locks->locks[i].pid;
			waker = BackendPidGetProc(waker_pid);
		}
	}
	pfree(locks->locks);
	pfree(locks);
}

/*
 * The worker's side. C++ side but for what says otherwise; plain structures pass through the guard.
 */
class Waker {
  public:
	void
	Run() {
		if (!Begin()) {
			return;
		}
		int64 busy_at = Now(); // when there was something to do last
		int64 held_since = 0;
		while (!ShutdownRequestPending) {
			const bool told = TryPass();
			if (gone_) {
				return;
			}
			const int64 now = Now();
			busy_at = told || woken_ ? now : busy_at;
			held_since = !held_ ? 0 : held_since == 0 || told ? now : held_since;
			if (!held_ && now - busy_at >= kIdleMicros) {
				break;
			}
			Wait(held_ ? now + std::clamp((now - held_since) / 4, kHeldMicrosAtLeast, kHeldMicrosAtMost) : busy_at + kIdleMicros);
			// what comes within the interval is told together
			Rest(now + interval_);
		}
		End();
	}

  private:
	static int64
	Now() {
		return GetCurrentTimestamp();
	}

	// Takes its place. False where there is a waker already, or no store.
	bool
	Begin() {
		struct Begun {
			bool ours;
			int64 horizon;
		};
		const Begun begun = Call([] {
			Begun b = {false, 0};
			StartTransactionCommand();
			if (OidIsValid(get_extension_oid("auren_events", true))) {
				// in this order: what committed up to here found no waker
				b.horizon = FeedHorizon();
				const LOCKTAG tag = WakerTag();
				// a session that looks for a waker holds it for a moment
				for (int attempt = 0; attempt < 20 && !b.ours; attempt++) {
					b.ours = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
					if (!b.ours) {
						pg_usleep(1000);
					}
				}
			}
			CommitTransactionCommand();
			return b;
		});
		told_ = begun.horizon;
		return begun.ours;
	}

	// Leaves its place, and tells what was left to it while it had it.
	void
	End() {
		const int64 left_to_us = Call([] {
			const LOCKTAG tag = WakerTag();
			(void)LockRelease(&tag, ExclusiveLock, true);
			StartTransactionCommand();
			const int64 last = LastPosition();
			CommitTransactionCommand();
			return last;
		});
		const int64 began = Now();
		while (!gone_ && told_ < left_to_us && !(ShutdownRequestPending && Now() - began > 1000000)) {
			if (!TryPass()) {
				Rest(Now() + kHeldMicrosAtLeast);
			}
		}
	}

	// A pass that an error of the server ends is tried again later. True when something was told.
	bool
	TryPass() {
		try {
			return Pass();
		} catch (const Error &error) {
			Call([&] {
				ereport(LOG, (errmsg("the waker of auren_events could not tell listeners: %s", error.report->message)));
				AbortCurrentTransaction();
			});
		}
		Rest(Now() + kHeldMicrosAtMost);
		return false;
	}

	bool
	Pass() {
		gone_ = !Call([] {
			ResetLatch(MyLatch);
			StartTransactionCommand();
			return OidIsValid(get_extension_oid("auren_events", true));
		});
		if (gone_) {
			Call([] { CommitTransactionCommand(); });
			return false;
		}
		struct Place {
			int64 horizon;
			int64 last;
			bool full;
		};
		const Place place = Call([] {
			// as the store's owner: policies that the owner is under count
			Relation events = table_open(Oids().events, AccessShareLock);
			SetUserIdAndSecContext(events->rd_rel->relowner, SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
			table_close(events, NoLock);
			Place p;
			p.full = NotificationQueueNearlyFull();
			p.horizon = FeedHorizon();
			p.last = LastPosition();
			return p;
		});
		if (place.last < told_) {
			told_ = place.horizon; // another store than before
		}
		held_ = place.last > place.horizon || place.full;
		announcements_.clear();
		if (place.full) {
			// later: its listeners hear the last position then
		} else if (NotificationRules().empty()) {
			told_ = place.horizon;
		} else if (place.horizon > told_) {
			Collect(place.horizon);
		}
		for (const Announcement &announcement : announcements_) {
			Tell(announcement);
		}
		const int64 before = Now();
		Call([] { CommitTransactionCommand(); });
		if (!announcements_.empty()) {
			NoteCost(Now() - before);
		}
		return !announcements_.empty();
	}

	void
	Collect(int64 horizon) {
		FeedScan scan;
		EventRow row;
		FeedFilter filter = {};
		Call([&] { BeginFeedScan(&scan, filter, told_, horizon, false); });
		int64 budget = kPassBudget;
		while (Call([&] { return NextFeedEvent(&scan, &row, &budget); })) {
			const std::string_view tenant = TextBytes(row.values[kTenantId]);
			const std::string_view stream = TextBytes(row.values[kStreamId]);
			const std::string_view type = TextBytes(row.values[kEventType]);
			for (const NotificationRule &rule : NotificationRules()) {
				if (rule.Asks(tenant, stream, type)) {
					Note(rule.channel, DatumGetInt64(row.values[kGlobalPosition]), stream, type);
				}
			}
		}
		told_ = scan.examined;
		held_ = held_ || told_ < horizon;
		Call([&] { EndFeedScan(&scan); });
	}

	void
	Note(const std::string &channel, int64 position, std::string_view stream, std::string_view type) {
		for (Announcement &known : announcements_) {
			if (known.channel == channel) {
				known.position = position;
				known.stream.assign(stream);
				known.event_type.assign(type);
				return;
			}
		}
		announcements_.push_back({channel, position, std::string(stream), std::string(type)});
	}

	void
	NoteCost(int64 micros) {
		interval_ = std::clamp(micros * 25, INT64CONST(1000), INT64CONST(20000));
	}

	// Until a commit wakes it, or a time.
	void
	Wait(int64 until) {
		woken_ = Call([&] {
			const int64 left = until - GetCurrentTimestamp();
			int events = 0;
			if (left > 0) {
				events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>((left + 999) / 1000),
				                   PG_WAIT_EXTENSION);
			}
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			if (ConfigReloadPending) {
				ConfigReloadPending = false;
				ProcessConfigFile(PGC_SIGHUP);
			}
			return (events & WL_LATCH_SET) != 0;
		});
	}

	static void
	Rest(int64 until) {
		Call([&] {
			for (int64 left = until - GetCurrentTimestamp(); left > 0 && !ShutdownRequestPending; left = until - GetCurrentTimestamp()) {
				pg_usleep(static_cast<long>(Min(left, INT64CONST(100000))));
				CHECK_FOR_INTERRUPTS();
			}
		});
	}

	std::int64_t told_ = 0; // position up to which everything was told
	bool held_ = false;     // there is more to tell later
	bool gone_ = false;     // the extension was dropped
	bool woken_ = false;
	int64 interval_ = 1000; // microseconds from one notification to the next
	std::vector<Announcement> announcements_;
};

} // namespace

bool
WakerRuns() {
	if (!WakerAllowed()) {
		return false;
	}
	const LOCKTAG tag = WakerTag();
	if (LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL) {
		(void)LockRelease(&tag, ShareLock, false);
		return false;
	}
	if (waker == nullptr || waker->pid != waker_pid) {
		FindWaker();
	}
	return waker != nullptr;
}

void
WakeWaker() {
	if (waker != nullptr) {
		SetLatch(&waker->procLatch);
	}
}

void
StartWaker() {
	const TimestampTz now = GetCurrentTimestamp();
	if (!WakerAllowed() || !IsUnderPostmaster || now - asked_at < kStartMicros) {
		return;
	}
	asked_at = now;
	BackgroundWorker worker;
	std::memset(&worker, 0, sizeof worker);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	strlcpy(worker.bgw_name, "auren_events waker", sizeof worker.bgw_name);
	strlcpy(worker.bgw_type, "auren_events waker", sizeof worker.bgw_type);
	strlcpy(worker.bgw_library_name, "auren_events", sizeof worker.bgw_library_name);
	strlcpy(worker.bgw_function_name, "auren_waker_main", sizeof worker.bgw_function_name);
	(void)RegisterDynamicBackgroundWorker(&worker, nullptr);
}

void
RunWaker(Oid database) {
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	// whatever the database is set to
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_IDLE, nullptr);
	Waker().Run();
}

} // namespace auren::pg
