#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/readings.hpp"
#include "metrics/series.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Whoever scans a source: names its series, and takes its readings some thousands at a time.
class ReadingSink {
  public:
	virtual ~ReadingSink() = default;
	virtual int64 SeriesFor(const SeriesNames &names) = 0;
	virtual void Take(std::vector<Reading> *readings) = 0;
	// What was counted before, of readings whose source has them no more.
	virtual void TakeSummary(const SeriesNames &names, TimestampTz bucket, std::string_view summary) = 0;
	virtual void Refuse(const Refused &refused) = 0;
};

// A name as bytes that live as long as the row or the memory context.
struct NameBytes {
	const char *bytes;
	int length;
	bool null;
};

inline std::optional<std::string_view>
ViewOf(const NameBytes &name) {
	return name.null ? std::nullopt : std::optional<std::string_view>({name.bytes, static_cast<std::size_t>(name.length)});
}

constexpr long kRowsFetched = 5000;

/*
 * Gives the rows of a cursor to make(tuple, descriptor, readings), and what comes of some thousands of them to the sink. What make
 * allocates lives as long as they.
 */
template <typename F>
void
FetchAll(Portal portal, ReadingSink *sink, F &&make) {
	std::vector<Reading> readings;
	MemoryContext batch = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES); });
	for (;;) {
		const uint64 rows = Call([&] {
			CHECK_FOR_INTERRUPTS();
			SPI_cursor_fetch(portal, true, kRowsFetched);
			return SPI_processed;
		});
		if (rows == 0) {
			break;
		}
		SPITupleTable *table = SPI_tuptable;
		MemoryContext outer = MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < rows; i++) {
			make(table->vals[i], table->tupdesc, &readings);
		}
		Call([&] {
			MemoryContextSwitchTo(outer);
			MemoryContextReset(batch);
			SPI_freetuptable(table);
		});
		sink->Take(&readings);
	}
}

} // namespace auren::pg
