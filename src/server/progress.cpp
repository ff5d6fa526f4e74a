#include "server/progress.hpp"

#include "server/compat.hpp"
#include "server/lock_classes.hpp"

namespace auren::pg {

namespace {

constexpr int kShowEveryMs = 300;
constexpr LOCKMODE kMode = AccessShareLock;
// Numbers that a tag has room for beside the phase.
constexpr int64 kMost = (INT64CONST(1) << 48) - 1;

// What this session shows, or showed in an earlier transaction.
struct Shown {
	WorkPhase phase;
	int64 total;
	int64 done;
	TimestampTz at;
	LocalTransactionId transaction; // that holds the locks
	LOCKTAG locks[2];
};
Shown shown;

LOCKTAG
TagOf(uint16 lock_class, int64 number) {
	const uint64 value = static_cast<uint64>(shown.phase) << 48 | static_cast<uint64>(Min(Max(number, INT64CONST(0)), kMost));
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(value >> 32), static_cast<uint32>(value), lock_class);
	return tag;
}

bool
IsShown() {
	return shown.transaction != InvalidLocalTransactionId && shown.transaction == compat::CurrentLocalTransaction();
}

void
GiveBack(Server) {
	if (IsShown()) {
		for (const LOCKTAG &tag : shown.locks) {
			(void)LockRelease(&tag, kMode, false);
		}
	}
	shown.transaction = InvalidLocalTransactionId;
}

// Whatever portal or savepoint reports, the locks are the transaction's.
template <typename F>
void
AsTransaction(Server server, F &&work) {
	ResourceOwner before = CurrentResourceOwner;
	CurrentResourceOwner = TopTransactionResourceOwner;
	work(server);
	CurrentResourceOwner = before;
}

void
Show(Server server) {
	AsTransaction(server, [](Server inner) {
		const LOCKTAG tags[2] = {TagOf(kProgressDoneLockClass, shown.done), TagOf(kProgressTotalLockClass, shown.total)};
		for (const LOCKTAG &tag : tags) {
			(void)LockAcquire(&tag, kMode, false, false);
		}
		GiveBack(inner);
		shown.locks[0] = tags[0];
		shown.locks[1] = tags[1];
		shown.transaction = compat::CurrentLocalTransaction();
		shown.at = GetCurrentTimestamp();
	});
}

} // namespace

void
BeginProgress(Server server, WorkPhase phase, int64 total) {
	shown.phase = phase;
	shown.total = total;
	shown.done = 0;
	Show(server);
}

void
ReportProgress(Server server, int64 done) {
	shown.done = done;
	if (!IsShown() || TimestampDifferenceExceeds(shown.at, GetCurrentTimestamp(), kShowEveryMs)) {
		Show(server);
	}
}

void
EndProgress(Server server) {
	AsTransaction(server, [](Server inner) { GiveBack(inner); });
}

} // namespace auren::pg
