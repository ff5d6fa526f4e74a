#pragma once

#include <string_view>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What sessions count for events.stats. A count is an addition in the session's own memory. At the end of the transaction, before its client is told,
 * it goes to a file that all sessions of the database map (counts/count_file.hpp). Nothing here raises an error, takes a lock or waits.
 *
 * The numbers are places in that file: they are never changed, and new ones come after the others of their kind.
 */

// What has happened once the transaction is committed, or prepared. What a savepoint took back has not.
enum class Committed : int {
	kAppends,
	kEventsAppended,
	kConditionalAppends,
	kEventsImported,
	kAcknowledgements,
	kRetries,
	kEventsParked,
	kLeasesLost,
	kNotificationsSent,
	kRefreshes,
	kRefreshMicroseconds,
	kPersonsForgotten,
	kCount
};

// What was done, whatever becomes of the transaction.
enum class Work : int {
	kRepeats,
	kVersionConflicts,
	kIdConflicts,
	kConditionConflicts,
	kSerializationFailures,
	kAppendsRefused,
	kReplays,
	kEventsReplayed,
	kFeedReads,
	kFeedEventsRead,
	kStatesRead,
	kSnapshotHits,
	kSnapshotsTaken,
	kEventsFolded,
	kFetches,
	kEventsFetched,
	kNotificationsDropped,
	kValuesEncrypted,
	kValuesDecrypted,
	kDecryptionsRefused,
	kCount
};

// The places of a database's counts: those of Committed come first, then those of Work.
inline constexpr int kCommittedPlaces = 32;
inline constexpr int kCountPlaces = 96;
static_assert(static_cast<int>(Committed::kCount) <= kCommittedPlaces && static_cast<int>(Work::kCount) <= kCountPlaces - kCommittedPlaces);

constexpr int
PlaceOf(Committed what) {
	return static_cast<int>(what);
}
constexpr int
PlaceOf(Work what) {
	return kCommittedPlaces + static_cast<int>(what);
}

// Calls it with each place that has a meaning.
template <typename F>
inline void
ForEachPlace(F &&call) {
	for (int i = 0; i < static_cast<int>(Committed::kCount); i++) {
		call(i);
	}
	for (int i = kCommittedPlaces; i < PlaceOf(Work::kCount); i++) {
		call(i);
	}
}

namespace internal {

// What this session has counted and not yet brought to the file.
extern int64 counted[kCountPlaces] __attribute__((visibility("hidden")));

} // namespace internal

inline void
Count(Work what, int64 times = 1) {
	internal::counted[PlaceOf(what)] += times;
}

void CountWhenCommitted(Committed what, int64 times = 1);

// Whose work is counted from here on, where auren_events.stats_by_tenant is on: each function of ours asks for its tenant first.
void CountForTenant(std::string_view tenant);
// What follows is counted for all tenants together only, until the next CountForTenant.
void CountForNobody();

// For _PG_init.
void RegisterCounts(Server server);

} // namespace auren::pg
