#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "core/metrics/distinct.hpp"
#include "core/metrics/summary.hpp"
#include "metrics/buckets.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Whose a summary is: a series' that the rollups hold, or that of a source which is read as it is; its series is 0 then.
struct SummaryOrigin {
	int64 series;
	bool in_rollups;
};

/*
 * The summaries of one bucket that a query found, by series: of the rollups, of what is not merged yet, of sources that the rollups do not
 * hold. Most buckets have one or two.
 */
class BucketParts {
  public:
	void Add(const SummaryOrigin &origin, std::string_view bytes);

	bool
	empty() const {
		return parts_.empty() && sets_.empty();
	}

	/*
	 * For an hour or a day, whose rollup knows no moments: leaves of the sets that are not merged yet what the rollups of five minutes do not
	 * hold, by the active server snapshot. Server's errors as of any read.
	 */
	void KeepUnmergedSets();

	// What they come to. bucket() says which it is, and is asked where only the readings of a table know.
	template <typename F>
	Summary
	Whole(F &&bucket) const {
		Summary whole;
		for (const Part &part : parts_) {
			Summary summary = part.summary;
			summary.ResolveRange();
			if (summary.IsUnsure() && part.origin.in_rollups) {
				summary = CountInTable(part.origin.series, bucket());
			}
			whole.Merge(summary);
		}
		for (const auto &[place, set] : sets_) {
			whole.Merge(Summary::FromBytes(set.readings.Bytes()));
		}
		return whole;
	}

  private:
	static Summary CountInTable(int64 series, const Bucket &bucket);

	struct Part {
		SummaryOrigin origin;
		Summary summary;
	};
	struct Set {
		bool in_rollups;
		DistinctReadings readings;
	};
	std::vector<Part> parts_;
	std::map<DistinctReadings::Place, Set> sets_;
};

// The columns of metrics: reading_count, avg_value, min_value, max_value, stddev_value, p50_value, p95_value, value_count, sum_value.
constexpr int kMetricColumns = 9;
void PutMetrics(const Summary &summary, Datum *values, bool *isnull);

} // namespace auren::pg
