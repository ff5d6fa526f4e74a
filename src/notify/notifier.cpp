#include "notify/notifier.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <initializer_list>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/error.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/feed_read.hpp"
#include "feed/relations.hpp"
#include "notify/announce.hpp"
#include "notify/notification_rules.hpp"
#include "notify/relations.hpp"
#include "server/entry.hpp"
#include "server/guard.hpp"
#include "server/lock_classes.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "server/wait_point.hpp"
#include "server/worker.hpp"
#include "store/event_columns.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// How long it stays without anything to tell. Less than the 5 s for which DROP DATABASE and its like wait for others to go.
constexpr int64 kIdleMicros = 3000000;
// A session asks for a notifier so often at most.
constexpr int64 kStartMicros = 1000000;
// How often it looks whether the horizon has moved while a prepared transaction, which ends without waking anybody, may hold it.
constexpr int64 kHeldMicrosAtLeast = 10000;
constexpr int64 kHeldMicrosAtMost = 1000000;
// From one pass to the next, microseconds. A pass costs more with the number of listeners and of months; a multiple of that is kept
// free, so that it takes the same part of the machine however many they are.
constexpr int64 kIntervalPerCost = 16;
constexpr int64 kIntervalAtLeast = 1000;
constexpr int64 kIntervalAtMost = 20000;

/*
 * What a notifier shares with the sessions, in a dynamic segment of its own. It may be looked at as long as a session is attached,
 * whether the notifier lives or not.
 */
struct Shared {
	pg_atomic_uint32 open; // 1 while announcements may be left to it
	Latch *latch;
};

// The notifier's segment as this session last found it.
dsm_segment *segment = nullptr;
Shared *shared = nullptr;
int64 asked_at = 0;

// The time by a clock that nobody sets.
int64
MonotonicMicros() {
	return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A database has one notifier, which holds the tag with 0. It also holds the tag with its segment's handle, by which sessions find it.
LOCKTAG
NotifierTag(uint32 handle) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, handle, 0, kNotifierLockClass);
	return tag;
}

void
LeaveSegment(Server) {
	if (segment != nullptr) {
		dsm_detach(segment);
		segment = nullptr;
		shared = nullptr;
	}
}

// The handle that is in the tag held by a notifier; 0: there is none.
dsm_handle
HeldHandle(Server) {
	dsm_handle handle = 0;
	LockData *locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++) {
		const LOCKTAG &tag = locks->locks[i].locktag;
		if (tag.locktag_type == LOCKTAG_ADVISORY && tag.locktag_field4 == kNotifierLockClass && tag.locktag_field1 == MyDatabaseId &&
		    tag.locktag_field2 != 0 && locks->locks[i].holdMask != 0) {
			handle = tag.locktag_field2;
		}
	}
	pfree(locks->locks);
	pfree(locks);
	return handle;
}

// Looks for a notifier that is open.
void
FindNotifier(Server server) {
	LeaveSegment(server);
	const LOCKTAG tag = NotifierTag(0);
	if (LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL) {
		(void)LockRelease(&tag, ShareLock, false); // as most often where there is none: cheaper than to look at all locks
		return;
	}
	const dsm_handle handle = HeldHandle(server);
	segment = handle != 0 ? dsm_attach(handle) : nullptr;
	if (segment != nullptr) {
		dsm_pin_mapping(segment);
		shared = static_cast<Shared *>(dsm_segment_address(segment));
	}
}

// When the notifier's process ends, in whatever way.
void
CloseAtExit(int, Datum address) {
	pg_atomic_write_u32(&reinterpret_cast<Shared *>(DatumGetPointer(address))->open, 0);
}

/*
 * Keeps the extension from being dropped to the end of the transaction, so that what is looked up is there to be opened. False where it is
 * not there. DROP EXTENSION takes this lock before any other.
 */
bool
HoldExtension(Server) {
	for (;;) {
		const Oid extension = get_extension_oid("auren_events", true);
		if (!OidIsValid(extension)) {
			return false;
		}
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
		if (get_extension_oid("auren_events", true) == extension) {
			return true;
		}
		// dropped while this waited, and perhaps made anew
		UnlockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	}
}

// Takes what a pass reads, to the end of the transaction; false where that would have to wait.
bool
LockUnlessBusy(Server, std::initializer_list<Oid> relations) {
	for (const Oid relid : relations) {
		if (!ConditionalLockRelationOid(relid, AccessShareLock)) {
			return false;
		}
	}
	return true;
}

/*
 * What the background worker does. While a pass holds a lock it does not wait for another one, so a DBA who wants both waits for a moment at
 * most and does not lose in a deadlock. Only plain structures pass through the guard.
 */
class Notifier {
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
		return MonotonicMicros();
	}

	// Takes its place. False where there is a notifier already, or no store.
	bool
	Begin() {
		struct Begun {
			bool ours;
			int64 horizon;
		};
		const Begun begun = Call([](Server server) {
			Begun b = {false, 0};
			StartTransactionCommand();
			if (HoldExtension(server)) {
				// in this order: what committed up to here found no notifier
				b.horizon = FeedHorizon(server);
				const LOCKTAG tag = NotifierTag(0);
				// a session that looks for a notifier holds it for a moment
				for (int attempt = 0; attempt < 20 && !b.ours; attempt++) {
					b.ours = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
					if (!b.ours) {
						pg_usleep(1000);
					}
				}
			}
			if (b.ours) {
				Open(server);
			}
			CommitTransactionCommand();
			return b;
		});
		told_ = begun.horizon;
		return begun.ours;
	}

	// Lets sessions leave announcements to us.
	static void
	Open(Server) {
		segment = dsm_create(sizeof(Shared), 0);
		dsm_pin_mapping(segment);
		shared = static_cast<Shared *>(dsm_segment_address(segment));
		shared->latch = MyLatch;
		pg_atomic_init_u32(&shared->open, 1);
		before_shmem_exit(CloseAtExit, PointerGetDatum(shared));
		const LOCKTAG tag = NotifierTag(dsm_segment_handle(segment));
		(void)LockAcquire(&tag, ExclusiveLock, true, false);
	}

	// Leaves its place, and tells what was left to it while it had it.
	void
	End() {
		const int64 left_to_us = Call([](Server server) {
			pg_atomic_write_u32(&shared->open, 0);
			pg_memory_barrier(); // a session that saw it open had drawn its positions before
			for (const uint32 handle : {UINT32_C(0), static_cast<uint32>(dsm_segment_handle(segment))}) {
				const LOCKTAG tag = NotifierTag(handle);
				(void)LockRelease(&tag, ExclusiveLock, true);
			}
			StartTransactionCommand();
			const int64 last = HoldExtension(server) ? LastPosition(server) : 0;
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
				ereport(LOG, (errmsg("the notifier of auren_events could not tell listeners: %s", error.report->message)));
				AbortCurrentTransaction();
			});
		}
		Rest(Now() + kHeldMicrosAtMost);
		return false;
	}

	bool
	Pass() {
		const int64 began = Now();
		gone_ = !Call([](Server server) {
			ResetLatch(MyLatch);
			StartTransactionCommand();
			return HoldExtension(server);
		});
		if (gone_) {
			Call([] { CommitTransactionCommand(); });
			return false;
		}
		struct Place {
			Oid user;
			int security_context;
			int64 horizon;
			int64 last;
			bool full;
			bool locked;
		};
		const Place place = Call([](Server server) {
			Place p;
			GetUserIdAndSecContext(&p.user, &p.security_context);
			p.locked = LockUnlessBusy(server, {own::events.Get(server), own::positions.Get(server), own::notification_rules.Get(server)});
			if (!p.locked) {
				return p;
			}
			// as the store's owner: policies that the owner is under count
			Relation events = table_open(own::events.Get(server), AccessShareLock);
			SetUserIdAndSecContext(events->rd_rel->relowner, SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
			table_close(events, NoLock);
			p.full = NotificationQueueNearlyFull(server);
			p.horizon = FeedHorizon(server);
			p.last = LastPosition(server);
			return p;
		});
		if (!place.locked) {
			Call([] { CommitTransactionCommand(); });
			held_ = true;
			return false;
		}
		if (place.last < told_) {
			told_ = place.horizon; // another store than before
		}
		held_ = place.last > place.horizon;
		announcements_.clear();
		// while the queue is full, later: its listeners hear the last position then
		const bool later = place.full || (place.horizon > told_ && !Collect(place.horizon));
		held_ = held_ || later;
		if (!later) {
			for (const Announcement &announcement : announcements_) {
				SendNotification(announcement);
			}
		}
		Call([&] {
			SetUserIdAndSecContext(place.user, place.security_context);
			CommitTransactionCommand();
		});
		if (!later) {
			told_ = Max(told_, place.horizon);
		}
		interval_ = std::clamp((Now() - began) * kIntervalPerCost, kIntervalAtLeast, kIntervalAtMost);
		return !announcements_.empty();
	}

	// The last event of each channel: from the end, until every channel has one. False where a DBA holds a month.
	bool
	Collect(int64 horizon) {
		const auto rules = NotificationRules();
		if (rules->empty()) {
			return true;
		}
		std::unordered_set<std::string> told;
		FeedScan scan;
		EventRow row;
		FeedFilter filter = {};
		const bool begun = Call([&](Server server) {
			AUREN_WAIT_POINT("notifier-before-months");
			return TryFeedScanBackward(server, &scan, filter, told_, horizon);
		});
		if (!begun) {
			return false;
		}
		int64 budget = PG_INT64_MAX;
		while (told.size() < rules->Channels().size() && Call([&](Server server) { return NextFeedEvent(server, &scan, &row, &budget); })) {
			const std::string_view tenant = TextBytes(row.values[kTenantId]);
			const std::string_view stream = TextBytes(row.values[kStreamId]);
			const std::string_view type = TextBytes(row.values[kEventType]);
			rules->ForEachChannel(tenant, stream, type, [&](const std::string &channel) {
				if (told.insert(channel).second) {
					announcements_.push_back({channel, DatumGetInt64(row.values[kGlobalPosition]), std::string(stream), std::string(type)});
				}
			});
		}
		Call([&](Server server) { EndFeedScan(server, &scan); });
		return true;
	}

	// Until a commit wakes it, or a time.
	void
	Wait(int64 until) {
		woken_ = Call([&] {
			const int64 left = until - MonotonicMicros();
			int events = 0;
			if (left > 0) {
				events =
					WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>((left + 999) / 1000), PG_WAIT_EXTENSION);
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
			for (int64 left = until - MonotonicMicros(); left > 0 && !ShutdownRequestPending; left = until - MonotonicMicros()) {
				pg_usleep(static_cast<long>(Min(left, INT64CONST(100000))));
				CHECK_FOR_INTERRUPTS();
			}
		});
	}

	std::int64_t told_ = 0; // position up to which everything was told
	bool held_ = false;     // there is more to tell later
	bool gone_ = false;     // the extension was dropped
	bool woken_ = false;
	int64 interval_ = kIntervalAtLeast; // from one pass to the next
	std::vector<Announcement> announcements_;
};

} // namespace

bool
NotifierRuns(Server server) {
	if (!NotifierAllowed()) {
		return false;
	}
	pg_memory_barrier();
	if (shared == nullptr || pg_atomic_read_u32(&shared->open) == 0) {
		FindNotifier(server);
	}
	return shared != nullptr && pg_atomic_read_u32(&shared->open) == 1;
}

void
WakeNotifier() {
	if (shared != nullptr && pg_atomic_read_u32(&shared->open) == 1) {
		SetLatch(shared->latch);
	}
}

void
StartNotifier(Server) {
	const int64 now = MonotonicMicros();
	if (!NotifierAllowed() || !IsUnderPostmaster || (asked_at != 0 && now - asked_at < kStartMicros)) {
		return;
	}
	asked_at = now;
	BackgroundWorker worker = WorkerOf("auren_events notifier", "auren_notifier_main");
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	(void)RegisterDynamicBackgroundWorker(&worker, nullptr);
}

void
RunNotifier(Server, Oid database) {
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	// whatever the database is set to
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	// what waits in spite of that (a catalog, a month that is read by a query) gives way before the other side's deadlock_timeout
	SetConfigOption("lock_timeout", "500ms", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("deadlock_timeout", "10ms", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_IDLE, nullptr);
	// an error that no pass can be tried again after ends the worker
	(void)Entry([] {
		Notifier().Run();
		return Datum(0);
	});
}

} // namespace auren::pg
