#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What a session does that takes long. The view events.progress has a name for each: whoever adds one adds it there, and in the update script.
 * The number is 256 times the work, and its phase.
 */
enum class WorkPhase : uint16 {
	kSealing = 0x0101,
	kVerifyingSeals = 0x0201,
	kVerifyingEvents = 0x0202,
	kDropChecking = 0x0301,
	kDropCarryingStates = 0x0302,
	kDropCarryingIds = 0x0303,
	kDropDropping = 0x0304,
	kDropRecording = 0x0305,
	kDropCarryingReadings = 0x0306,
	kSettling = 0x0401,
	kImporting = 0x0501,
	kImportComparing = 0x0502,
	kImportChecking = 0x0503,
	kArchiveWriting = 0x0601,
	kArchiveReading = 0x0602
};

/*
 * Shows other sessions how far this one is, in the view events.progress, without shared memory of ours: the session holds two advisory locks
 * whose tags carry the numbers, in a mode that conflicts with none that anybody takes of these classes. So nobody waits, ever. It takes new ones
 * as it goes on, three times a second at most, and gives back the old ones.
 *
 * The end of the transaction takes back what is held: a procedure that commits in between is seen again with its next report. A session shows one
 * work at a time; an error that is caught within the transaction leaves it until then, or until the session's next work.
 */

// Shows a work, or its next phase; `total` is how many steps there will be about, 0 where nobody knows.
void BeginProgress(Server server, WorkPhase phase, int64 total);
// How many of the steps are done. A call that is not due costs a look at the clock, some 30 ns.
void ReportProgress(Server server, int64 done);
// Shows nothing any more.
void EndProgress(Server server);

} // namespace auren::pg
