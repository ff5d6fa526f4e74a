#include "metrics/bucket_parts.hpp"

#include "metrics/rollups.hpp"
#include "metrics/series.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/guard.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

void
BucketParts::Add(const SummaryOrigin &origin, std::string_view bytes) {
	if (DistinctReadings::IsSet(bytes)) {
		const DistinctReadings added = DistinctReadings::FromBytes(bytes);
		Set &set = sets_.try_emplace(added.place(), Set{origin.in_rollups, DistinctReadings(added.place())}).first->second;
		set.readings.Merge(added);
		return;
	}
	for (Part &part : parts_) {
		if (part.origin.series == origin.series && part.origin.in_rollups == origin.in_rollups) {
			part.summary.Merge(Summary::FromBytes(bytes));
			return;
		}
	}
	parts_.push_back({origin, Summary::FromBytes(bytes)});
}

void
BucketParts::KeepUnmergedSets() {
	if (sets_.empty()) {
		return;
	}
	const TimestampTz dropped_before = Call([](Server server) { return FiveMinutesDroppedBefore(server, GetActiveSnapshot()); });
	for (auto &[place, set] : sets_) {
		if (!set.in_rollups) {
			continue; // all that its source holds
		}
		if (place.bucket < dropped_before) {
			set.readings = DistinctReadings(place);
		} else {
			const std::string_view merged =
				Call([&, &at = place](Server server) { return MergedFiveMinutes(server, at.series, at.bucket, GetActiveSnapshot()); });
			if (DistinctReadings::IsSet(merged)) {
				set.readings.TakeOut(DistinctReadings::FromBytes(merged));
			}
		}
	}
}

// The readings of a series in a bucket, asked of its table by the query's own server snapshot: they agree with the deltas that it sees. Those of
// the caller's tenant alone: nobody else's numbers are in what the views aggregate.
Summary
BucketParts::CountInTable(int64 series, const Bucket &bucket) {
	const StoredSeries names = Call([&](Server server) { return FindSeries(server, series); });
	if (!names.found || names.tenant != CurrentTenantId()) {
		return Summary();
	}
	const Sources sources = Call([](Server server) { return ReadSources(server, GetActiveSnapshot()); });
	for (int i = 0; i < sources.count; i++) {
		if (sources.items[i].id == names.source && OidIsValid(sources.items[i].relation)) {
			return Recount(sources.items[i], names, bucket);
		}
	}
	return Summary();
}

void
PutMetrics(const Summary &summary, Datum *values, bool *isnull) {
	values[0] = Int64GetDatum(summary.readings());
	isnull[0] = false;
	const std::optional<double> answers[6] = {summary.Average(),   summary.Least(),       summary.Greatest(),
	                                          summary.Deviation(), summary.Quantile(0.5), summary.Quantile(0.95)};
	for (int i = 0; i < 6; i++) {
		isnull[i + 1] = !answers[i];
		values[i + 1] = answers[i] ? Float8GetDatum(*answers[i]) : 0;
	}
	values[7] = Int64GetDatum(summary.values());
	isnull[7] = false;
	const std::optional<double> sum = summary.Sum();
	isnull[8] = !sum;
	values[8] = sum ? Float8GetDatum(*sum) : 0;
}

} // namespace auren::pg
