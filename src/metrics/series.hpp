#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

struct SeriesNames {
	int32 source;
	std::string_view tenant;
	std::optional<std::string_view> user;
	std::optional<std::string_view> device;
	std::optional<std::string_view> metric;
};

// Whether an entry of the index of series has room for the names: else it is not a reading.
bool CanBeNamed(const SeriesNames &names);

/*
 * The number of a series in auren.series; its row is added where there is none. What was found is kept, so that most calls
 * ask nobody.
 */
int64 SeriesOf(const SeriesNames &names);

// Names of a series, palloc'ed; nullptr stands for NULL.
struct StoredSeries {
	bool found;
	int32 source;
	const char *tenant;
	const char *user;
	const char *device;
	const char *metric;
};
StoredSeries FindSeries(Server server, int64 series);

void RegisterSeriesCallbacks(Server server);

} // namespace auren::pg
