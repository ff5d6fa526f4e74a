#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/borrowed.hpp"
#include "core/metrics/summary.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

struct Reading {
	int64 series;
	TimestampTz bucket; // of five minutes
	double value;
	int32 source; // of the series
	bool null;
	bool taken;    // its row was deleted or changed
	bool once;     // of a source of which the same moment and value count once
	uint32 offset; // then: microseconds after the bucket's start
};

// Whether rows come to what a source holds, or go.
enum class Counting { kAdd, kTake };

// Why something that a source holds is not a reading.
enum class Refusal : int { kNone, kTime, kValue, kNames, kSamples, kUser };

// Such a thing.
struct Refused {
	int32 source;
	Borrowed tenant;
	Refusal reason;
	int64 position; // of the event; 0: a row of a table
	bool taken;     // its row was deleted or changed
};

/*
 * Counts what is not a reading, to be written with the readings of this transaction: analytics.refused_readings shows it.
 */
void RecordRefusal(const Refused &refused);

/*
 * Readings added and taken by this transaction, gathered and then written as deltas: one for each series and five minutes, a row
 * of auren.deltas each, or packed where there are many. What a rolled-back savepoint gathered goes with it.
 */
void RecordReading(const Reading &reading);

// Writes what was gathered: at the end of each statement, and before the transaction ends whatever happened.
void WriteReadings();

/*
 * The summaries of readings, in the order of source, series and bucket; `readings` is sorted. For each group
 * fn(its first reading, bytes of its summary).
 */
template <typename F> void ForEachSummary(std::vector<Reading> *readings, F &&fn);

void RegisterReadingCallbacks(Server server);

namespace internal {
void SortReadings(std::vector<Reading> *readings);
} // namespace internal

// The readings of one bucket as a set.
std::string DistinctBytes(const Reading *first, const Reading *end);

template <typename F>
void
ForEachSummary(std::vector<Reading> *readings, F &&fn) {
	internal::SortReadings(readings);
	for (std::size_t i = 0; i < readings->size();) {
		const Reading &first = (*readings)[i];
		std::size_t end = i + 1;
		while (end < readings->size() && (*readings)[end].series == first.series && (*readings)[end].bucket == first.bucket) {
			end++;
		}
		if (first.once) {
			const std::string bytes = DistinctBytes(&(*readings)[i], &(*readings)[0] + end);
			fn(first, std::string_view(bytes));
		} else if (end == i + 1 && !first.null && !first.taken) {
			char one[Summary::kOneValueBytes];
			Summary::WriteOneValue(first.value, one);
			fn(first, std::string_view(one, sizeof one));
		} else {
			Summary summary;
			for (std::size_t k = i; k < end; k++) {
				const Reading &reading = (*readings)[k];
				if (reading.null) {
					reading.taken ? summary.TakeNull() : summary.AddNull();
				} else {
					reading.taken ? summary.Take(reading.value) : summary.Add(reading.value);
				}
			}
			if (!summary.ChangesNothing()) {
				const std::string bytes = summary.Bytes();
				fn(first, std::string_view(bytes));
			}
		}
		i = end;
	}
}

} // namespace auren::pg
