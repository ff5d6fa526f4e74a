#include "server/progress.hpp"

#include "core/progress_text.hpp"
#include "server/compat.hpp"
#include "server/lock_classes.hpp"
#include "server/settings.hpp"

namespace auren::pg {

const NamedPhase kPhases[] = {{WorkPhase::kSealing, "seal", "sealing", "events"},
                              {WorkPhase::kVerifyingSeals, "verify", "seals", "seals"},
                              {WorkPhase::kVerifyingEvents, "verify", "events", "events"},
                              {WorkPhase::kDropCarryingStates, "drop months", "carrying states", "streams"},
                              {WorkPhase::kDropCarryingIds, "drop months", "carrying ids", "positions"},
                              {WorkPhase::kDropDropping, "drop months", "dropping", "tables"},
                              {WorkPhase::kDropRecording, "drop months", "recording", "months"},
                              {WorkPhase::kDropCarryingReadings, "drop months", "carrying readings", "positions"},
                              {WorkPhase::kSettleRecording, "settle", "recording", "months"},
                              {WorkPhase::kImporting, "import", "importing", "events"},
                              {WorkPhase::kImportComparing, "import", "comparing", "events"},
                              {WorkPhase::kImportChecking, "import", "checking", "events"},
                              {WorkPhase::kArchiveWriting, "archive", "writing", "events"},
                              {WorkPhase::kArchiveReading, "archive", "reading", "events"},
                              {WorkPhase::kArchiveCounting, "archive", "counting", "events"},
                              {WorkPhase::kArchiveChecking, "archive", "checking a file", "events"},
                              {WorkPhase::kArchiveIndexing, "archive", "making indexes", "tables"},
                              {WorkPhase::kMonthsMaking, "make months", "making", "months"},
                              {WorkPhase::kRefreshClearing, "refresh", "deleting metrics", "rows"},
                              {WorkPhase::kRefreshCounting, "refresh", "counting readings", "readings"},
                              {WorkPhase::kRefreshMerging, "refresh", "merging changes", "changes"},
                              {WorkPhase::kZoneCounting, "set time zone", "counting days and hours", "buckets"},
                              {WorkPhase::kRetentionDeleting, "metric retention", "deleting buckets", "levels"},
                              {WorkPhase::kMasterKeyWrapping, "rotate master key", "wrapping keys", "keys"},
                              {WorkPhase::kTagsFilling, "fill tag rules", "filling", "events"},
                              {WorkPhase::kForgetDeleting, "forget user", "deleting readings", "readings"},
                              {WorkPhase::kForgetMerging, "forget user", "merging changes", "changes"},
                              {WorkPhase::kForgetClearing, "forget user", "deleting metrics", "rows"},
                              {WorkPhase::kForgetSnapshots, "forget user", "dropping snapshots", "snapshots"},
                              {WorkPhase::kSnapshotsDropping, "drop snapshots", "deleting", "snapshots"},
                              {WorkPhase::kObjectsMaking, "restore objects", "making", "objects"},
                              {WorkPhase::kAppendWriting, "append", "writing", "events"},
                              {WorkPhase::kRecordReading, "record readings", "reading the table", "rows"},
                              {WorkPhase{}, nullptr, nullptr, nullptr}};

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
	TimestampTz began;              // this phase
	TimestampTz told;               // the client, or when the work began
	LocalTransactionId transaction; // that holds the locks
	LOCKTAG locks[2];
};
Shown shown;

// The work that is kept, 0: none is. And whether one within it is at work, which is not shown.
uint16 outer = 0;
bool is_inner = false;

uint16
WorkOf(WorkPhase phase) {
	return static_cast<uint16>(static_cast<uint16>(phase) >> 8);
}

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
Show(Server server, TimestampTz now) {
	AsTransaction(server, [now](Server inner) {
		const LOCKTAG tags[2] = {TagOf(kProgressDoneLockClass, shown.done), TagOf(kProgressTotalLockClass, shown.total)};
		for (const LOCKTAG &tag : tags) {
			(void)LockAcquire(&tag, kMode, false, false);
		}
		GiveBack(inner);
		shown.locks[0] = tags[0];
		shown.locks[1] = tags[1];
		shown.transaction = compat::CurrentLocalTransaction();
		shown.at = now;
	});
}

void
Tell(Server, TimestampTz now) {
	const NamedPhase *phase = kPhases;
	while (phase->name != nullptr && phase->phase != shown.phase) {
		phase++;
	}
	shown.told = now;
	if (phase->name != nullptr) {
		const ProgressText text = DescribeProgress({phase->what, phase->name, phase->unit, shown.done, shown.total, now - shown.began});
		ereport(NOTICE, (errmsg_internal("%s", text.text)));
	}
}

void
TellIfDue(Server server, TimestampTz now) {
	const int every = ProgressNoticesEvery();
	if (every >= 0 && (every == 0 || now - shown.told >= every * USECS_PER_SEC)) {
		Tell(server, now);
	}
}

} // namespace

void
BeginProgress(Server server, WorkPhase phase, int64 total) {
	is_inner = outer != 0 && WorkOf(phase) != outer;
	if (is_inner) {
		return;
	}
	const TimestampTz now = GetCurrentTimestamp();
	if (shown.transaction == InvalidLocalTransactionId || WorkOf(phase) != WorkOf(shown.phase)) {
		shown.told = now;
	}
	shown.phase = phase;
	shown.total = total;
	shown.done = 0;
	shown.began = now;
	Show(server, now);
	TellIfDue(server, now);
}

void
ReportProgress(Server server, int64 done) {
	if (is_inner) {
		return;
	}
	shown.done = done;
	const TimestampTz now = GetCurrentTimestamp();
	if (!IsShown() || TimestampDifferenceExceeds(shown.at, now, kShowEveryMs)) {
		Show(server, now);
	}
	TellIfDue(server, now);
}

void
ContinueProgress(Server server, WorkPhase phase, int64 total, int64 done) {
	if (done == 0 || phase != shown.phase) {
		BeginProgress(server, phase, total);
	}
	if (done > 0) {
		ReportProgress(server, done);
	}
}

void
EndProgress(Server server) {
	if (!is_inner) {
		AsTransaction(server, [](Server inner) { GiveBack(inner); });
	}
	is_inner = false;
}

int64
EstimatedRows(Server, Oid relid) {
	const List *tables = find_all_inheritors(relid, NoLock, nullptr);
	double rows = 0;
	for (int i = 0; i < list_length(tables); i++) {
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(list_nth_oid(tables, i)));
		if (!HeapTupleIsValid(tuple)) {
			continue; // dropped meanwhile
		}
		const auto *form = reinterpret_cast<const FormData_pg_class *>(GETSTRUCT(tuple));
		rows += form->relkind == RELKIND_RELATION ? Max(0.0, static_cast<double>(form->reltuples)) : 0.0;
		ReleaseSysCache(tuple);
	}
	return static_cast<int64>(rows);
}

OuterProgress::OuterProgress() : before_(outer) {
	outer = before_ != 0 ? before_ : WorkOf(shown.phase);
}

OuterProgress::~OuterProgress() {
	outer = before_;
	is_inner = false;
}

} // namespace auren::pg
