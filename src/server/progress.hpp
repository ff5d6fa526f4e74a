#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What a session does that takes long. The number is 256 times the work, and its phase; progress.cpp has a name for each.
 */
enum class WorkPhase : uint16 {
	kSealing = 0x0101,
	kVerifyingSeals = 0x0201,
	kVerifyingEvents = 0x0202,
	kDropCarryingStates = 0x0302,
	kDropCarryingIds = 0x0303,
	kDropDropping = 0x0304,
	kDropRecording = 0x0305,
	kDropCarryingReadings = 0x0306,
	kSettleRecording = 0x0401,
	kImporting = 0x0501,
	kImportComparing = 0x0502,
	kImportChecking = 0x0503,
	kArchiveWriting = 0x0601,
	kArchiveReading = 0x0602,
	kArchiveCounting = 0x0603,
	kArchiveChecking = 0x0604,
	kArchiveIndexing = 0x0605,
	kMonthsMaking = 0x0701,
	kRefreshClearing = 0x0801,
	kRefreshCounting = 0x0802,
	kRefreshMerging = 0x0803,
	kZoneCounting = 0x0901,
	kRetentionDeleting = 0x0A01,
	kMasterKeyWrapping = 0x0B01,
	kTagsFilling = 0x0C01,
	kForgetDeleting = 0x0D01,
	kForgetMerging = 0x0D02,
	kForgetClearing = 0x0D03,
	kForgetSnapshots = 0x0D04,
	kSnapshotsDropping = 0x0E01,
	kObjectsMaking = 0x0F01,
	kAppendWriting = 0x1001,
	kRecordReading = 0x1101
};

// A phase as people know it.
struct NamedPhase {
	WorkPhase phase;
	const char *what;
	const char *name;
	const char *unit; // of its steps
};

// All of them, in the order of their numbers; the last one has no name.
extern const NamedPhase kPhases[];

/*
 * Shows other sessions how far this one is, in the view events.progress, without shared memory of ours: the session holds two advisory locks
 * whose tags carry the numbers, in a mode that conflicts with none that anybody takes of these classes. So nobody waits, ever. It takes new ones
 * as it goes on, three times a second at most, and gives back the old ones.
 *
 * The end of the transaction takes back what is held: a procedure that commits in between is seen again with its next report. A session shows one
 * work at a time, and with an OuterProgress the one that the caller began. An error that is caught within the transaction leaves it until then, or
 * until the session's next work.
 *
 * Where auren_events.progress_notices asks for it the session's client is told the same by a NOTICE, which the server sends at once.
 */

// Shows a work, or its next phase; `total` is how many steps there will be about, 0 where nobody knows.
void BeginProgress(Server server, WorkPhase phase, int64 total);
// How many of the steps are done. A call that is not due costs a look at the clock, some 30 ns.
void ReportProgress(Server server, int64 done);
// The same for a phase that goes on over several transactions: it begins where none of its steps is done.
void ContinueProgress(Server server, WorkPhase phase, int64 total, int64 done);
// Shows nothing any more.
void EndProgress(Server server);

// Rows of a table and of those that inherit from it, as the server counted them last: for a total. 0: it has not. No lock is taken.
int64 EstimatedRows(Server server, Oid relid);

// Keeps what is shown: works that begin while it lives are parts of the one that was begun before, and are not shown.
class OuterProgress {
  public:
	OuterProgress();
	~OuterProgress();
	OuterProgress(const OuterProgress &) = delete;
	OuterProgress &operator=(const OuterProgress &) = delete;

  private:
	uint16 before_;
};

} // namespace auren::pg
