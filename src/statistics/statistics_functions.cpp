// Figures: events.stats, events.stats_by_tenant, events.reset_stats, events.store_size.

#include <cmath>
#include <cstring>
#include <iterator>
#include <string>

#include "counts/count_file.hpp"
#include "counts/counts.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "statistics/store_size.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Committed;
using pg::PlaceOf;
using pg::Server;
using pg::Work;

// The counts in the order of the views' columns.
constexpr int kShown[] = {
	PlaceOf(Committed::kAppends),
	PlaceOf(Committed::kEventsAppended),
	PlaceOf(Committed::kConditionalAppends),
	PlaceOf(Committed::kEventsImported),
	PlaceOf(Work::kRepeats),
	PlaceOf(Work::kVersionConflicts),
	PlaceOf(Work::kIdConflicts),
	PlaceOf(Work::kConditionConflicts),
	PlaceOf(Work::kSerializationFailures),
	PlaceOf(Work::kAppendsRefused),
	PlaceOf(Work::kReplays),
	PlaceOf(Work::kEventsReplayed),
	PlaceOf(Work::kFeedReads),
	PlaceOf(Work::kFeedEventsRead),
	PlaceOf(Work::kStatesRead),
	PlaceOf(Work::kSnapshotHits),
	PlaceOf(Work::kSnapshotsTaken),
	PlaceOf(Work::kEventsFolded),
	PlaceOf(Work::kFetches),
	PlaceOf(Work::kEventsFetched),
	PlaceOf(Committed::kAcknowledgements),
	PlaceOf(Committed::kRetries),
	PlaceOf(Committed::kEventsParked),
	PlaceOf(Committed::kLeasesLost),
	PlaceOf(Committed::kNotificationsSent),
	PlaceOf(Work::kNotificationsDropped),
	PlaceOf(Committed::kRefreshes),
	PlaceOf(Committed::kRefreshMicroseconds),
	PlaceOf(Work::kValuesEncrypted),
	PlaceOf(Work::kValuesDecrypted),
	PlaceOf(Work::kDecryptionsRefused),
	PlaceOf(Committed::kPersonsForgotten),
};
constexpr int kShownCount = static_cast<int>(std::size(kShown));

void
FillCounts(Server, const int64 *counts, Datum *values) {
	for (int i = 0; i < kShownCount; i++) {
		const int64 count = counts[kShown[i]];
		// the one that is a time, in milliseconds
		values[i] =
			kShown[i] == PlaceOf(Committed::kRefreshMicroseconds) ? Float8GetDatum(static_cast<double>(count) / 1000.0) : Int64GetDatum(count);
	}
}

// The row of a tenant, or of those that have none of their own.
void
PutTenant(Server server, const pg::Rows &rows, const pg::ReadTenantCounts &read) {
	Datum values[1 + kShownCount];
	bool isnull[1 + kShownCount] = {read.tenant == nullptr};
	values[0] = read.tenant == nullptr ? 0 : CStringGetTextDatum(read.tenant);
	FillCounts(server, read.counts, values + 1);
	pg::PutRow(server, rows, values, isnull);
}

// A number that is an estimate, rounded; NULL where it is not known.
void
PutNumber(double number, Datum *value, bool *isnull) {
	*isnull = number < 0;
	*value = Int64GetDatum(*isnull ? 0 : static_cast<int64>(std::llround(number)));
}

void
PutShare(const pg::Rows &rows, const pg::StoreShare &share) {
	Call([&](Server server) {
		Datum values[5];
		bool isnull[5] = {false, !share.known, !share.known, false, false};
		values[0] = DateADTGetDatum(share.month.StartDays());
		values[1] = CStringGetTextDatum(share.tenant.c_str());
		values[2] = CStringGetTextDatum(share.category.c_str());
		PutNumber(share.events, &values[3], &isnull[3]);
		PutNumber(share.bytes, &values[4], &isnull[4]);
		pg::PutRow(server, rows, values, isnull);
	});
}

} // namespace

// What the view events.stats shows.
AUREN_FUNCTION(auren_counts) {
	pg::RequireUnbound("see what is counted of the store", "The counts are of all tenants.",
	                   "Its own counts are in events.stats_by_tenant, where auren_events.stats_by_tenant is on.");
	return Call([&](Server server) {
		const pg::ReadCounts read = pg::ReadCountsOfAll(server);
		Datum values[1 + kShownCount];
		bool isnull[1 + kShownCount] = {};
		values[0] = TimestampTzGetDatum(read.since);
		FillCounts(server, read.counts, values + 1);
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, isnull));
	});
}

// What the view events.stats_by_tenant shows: to a role that is bound to tenants, its own.
AUREN_FUNCTION(auren_tenant_counts) {
	const bool bound = pg::CallerIsBound();
	const std::string own = bound ? std::string(pg::CurrentTenantId()) : std::string();
	const char *only = bound ? own.c_str() : nullptr;
	Call([&](Server server) {
		const pg::Rows rows = pg::BeginRows(server, fcinfo);
		int count;
		const pg::ReadTenantCounts *read = pg::ReadCountsOfTenants(server, &count);
		for (int i = 0; i < count; i++) {
			if (only == nullptr || (read[i].tenant != nullptr && strcmp(read[i].tenant, only) == 0)) {
				PutTenant(server, rows, read[i]);
			}
		}
	});
	return 0;
}

// What the view events.store_size shows: to a role that is bound to tenants, its own.
AUREN_FUNCTION(auren_store_shares) {
	const bool bound = pg::CallerIsBound();
	const std::string own(pg::CurrentTenantId());
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	for (const pg::StoreShare &share : pg::SharesOfStore()) {
		if (!bound || (share.known && share.tenant == own)) {
			PutShare(rows, share);
		}
	}
	return 0;
}

AUREN_FUNCTION(auren_reset_stats) {
	pg::RequireUnbound("set back what is counted of the store", "The counts are of all tenants.");
	Call([](Server server) {
		pg::RemoveCountsOfDropped(server);
		pg::ResetCounts(server);
	});
	PG_RETURN_VOID();
}

} // namespace auren
