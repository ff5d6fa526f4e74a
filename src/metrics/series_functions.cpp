// Metrics for charts: analytics.metric_series, analytics.sparkline.

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/metrics/reading_time.hpp"
#include "core/metrics/sparkline.hpp"
#include "core/metrics/steps.hpp"
#include "metrics/bucket_parts.hpp"
#include "metrics/buckets.hpp"
#include "metrics/metrics_functions.hpp"
#include "metrics/named_zone.hpp"
#include "metrics/relations.hpp"
#include "metrics/sources.hpp"
#include "server/arguments.hpp"
#include "server/as_owner.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "server/text.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr uint64 kMostSteps = 100000;

// What there is of a user's metric, in parts of five minutes; $6 and $7 are the first and the last period.
constexpr const char *kPartsSql =
	"SELECT r.bucket, r.summary, s.series_id FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_5min r "
	"WHERE p.level = 0 AND p.period >= $6 AND p.period <= $7 AND r.period = p.period AND r.series_id = s.series_id "
	"AND s.user_id = $1 AND s.metric_type = $2 AND ($5 IS NULL OR s.device_type = $5) AND r.bucket >= $3 AND r.bucket < $4 "
	"UNION ALL SELECT d.bucket, d.summary, d.series_id FROM auren.tenant_deltas d WHERE "
	"d.user_id = $1 AND d.metric_type = $2 AND ($5 IS NULL OR d.device_type = $5) AND d.bucket >= $3 AND d.bucket < $4 "
	"AND d.bucket >= COALESCE((SELECT dropped_before FROM auren.retention WHERE level = '5min'), '-infinity') "
	"UNION ALL SELECT u.bucket, u.summary, NULL FROM auren.unfilled_readings() u WHERE u.user_id = $1 AND u.metric_type = $2 "
	"AND ($5 IS NULL OR u.device_type = $5) AND u.bucket >= $3 AND u.bucket < $4 "
	"AND u.bucket >= COALESCE((SELECT dropped_before FROM auren.retention WHERE level = '5min'), '-infinity')";
constexpr int kPartsArguments = 7;

struct PartsQuery {
	pg::SavedUser before;
	Portal portal;
	SPITupleTable *table;
	uint64 rows;
};

PartsQuery
OpenParts(Server server, Datum *values, const char *nulls) {
	PartsQuery query = {};
	query.before = pg::SwitchToOwner(server, pg::own::rollups[0].Get(server));
	SPI_connect();
	Oid types[kPartsArguments] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT4OID, INT4OID};
	query.portal = SPI_cursor_open_with_args(nullptr, kPartsSql, kPartsArguments, types, values, nulls, true, 0);
	return query;
}

struct PartRow {
	TimestampTz bucket;
	pg::SummaryOrigin origin;
	std::string_view bytes;
};

PartRow
ReadPart(Server, const PartsQuery &query, uint64 i) {
	const HeapTuple row = query.table->vals[i];
	bool isnull;
	PartRow part;
	part.bucket = DatumGetTimestampTz(heap_getattr(row, 1, query.table->tupdesc, &isnull));
	part.bytes = pg::TextBytes(PointerGetDatum(PG_DETOAST_DATUM_PACKED(heap_getattr(row, 2, query.table->tupdesc, &isnull))));
	const Datum series = heap_getattr(row, 3, query.table->tupdesc, &isnull);
	part.origin = {isnull ? 0 : DatumGetInt64(series), !isnull};
	return part;
}

// The parts by step.
std::vector<pg::BucketParts>
PartsOf(const pg::ChartSteps &steps, Datum *values, const char *nulls) {
	std::vector<pg::BucketParts> parts(steps.count());
	PartsQuery query = Call([&](Server server) { return OpenParts(server, values, nulls); });
	while (Call([&] {
		constexpr long kRowsFetched = 5000;
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(query.portal, true, kRowsFetched);
		query.table = SPI_tuptable;
		query.rows = SPI_processed;
		return query.rows > 0;
	})) {
		for (uint64 i = 0; i < query.rows; i++) {
			const PartRow part = Call([&](Server server) { return ReadPart(server, query, i); });
			const uint64 step = Call([&] { return steps.At(part.bucket); });
			if (step >= parts.size()) {
				parts.resize(step + 1); // a clock was set back over the end
			}
			parts[step].Add(part.origin, part.bytes);
		}
		Call([&] { SPI_freetuptable(query.table); });
	}
	Call([&](Server server) {
		SPI_cursor_close(query.portal);
		SPI_finish();
		pg::SwitchBack(server, query.before);
	});
	return parts;
}

// A row for each step; one that the clock never shows, a day that a zone left out, has none.
void
PutSteps(FunctionCallInfo fcinfo, const pg::ChartSteps &steps, const std::vector<pg::BucketParts> &parts) {
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	for (std::size_t i = 0; i < parts.size(); i++) {
		const TimestampTz start = Call([&](Server server) { return steps.Start(server, i); });
		if (parts[i].empty() && (start >= steps.to() || start >= Call([&](Server server) { return steps.Start(server, i + 1); }))) {
			continue;
		}
		Datum values[pg::kMetricColumns + 1] = {TimestampTzGetDatum(start)};
		bool isnull[pg::kMetricColumns + 1];
		std::fill(isnull + 1, isnull + pg::kMetricColumns + 1, true);
		isnull[0] = false;
		if (!parts[i].empty()) {
			const Summary whole = parts[i].Whole([&] {
				pg::Bucket bucket = {pg::Bucket::Kind::kStep, static_cast<int64>(i), 0, nullptr};
				bucket.steps = &steps;
				return bucket;
			});
			if (whole.readings() > 0) {
				pg::PutMetrics(whole, values + 1, isnull + 1);
			}
		}
		Call([&](Server server) { pg::PutRow(server, rows, values, isnull); });
	}
}

// Days, or any multiple of five minutes.
Interval
StepArgument(FunctionCallInfo fcinfo) {
	pg::RequireNotNull(fcinfo, 4, "p_step");
	const Interval step = *PG_GETARG_INTERVAL_P(4);
	if (step.month != 0 || StepLength(step.day, step.time) == 0 || step.time % kFiveMinutes != 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_step must be a multiple of five minutes",
		                  "Months have no fixed length, and nothing finer is kept.", "Give an interval such as '15 minutes' or '1 day'.");
	}
	return step;
}

pg_tz *
ZoneArgument(FunctionCallInfo fcinfo, int argument) {
	const auto name = pg::OptionalTextArgument(fcinfo, argument);
	if (!name) {
		return session_timezone;
	}
	return pg::NamedZone(std::string(name->name.bytes));
}

// The steps that the arguments ask for, which are not too many.
pg::ChartSteps
StepsArgument(FunctionCallInfo fcinfo) {
	pg::RequireNotNull(fcinfo, 2, "p_from");
	pg::RequireNotNull(fcinfo, 3, "p_to");
	const Interval step = StepArgument(fcinfo);
	// the first step begins with the five minutes that it falls into, so that now() less a span will do
	const TimestampTz from = FiveMinutesOf(PG_GETARG_TIMESTAMPTZ(2));
	const TimestampTz to = PG_GETARG_TIMESTAMPTZ(3);
	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_from and p_to must not be infinite", "Each step between them is a row.",
		                  "Give the times that the chart is from and to.");
	}
	pg_tz *zone = ZoneArgument(fcinfo, 6);
	const pg::ChartSteps steps = Call([&] { return pg::ChartSteps(from, to, step, zone); });
	if (steps.count() > kMostSteps) {
		throw DomainError(sqlstate::kInvalidParameter, "there would be more than " + std::to_string(kMostSteps) + " steps",
		                  "The span holds " + std::to_string(steps.count()) + " of them.", "Take a longer step or a shorter span.");
	}
	return steps;
}

} // namespace

AUREN_FUNCTION(auren_metric_series) {
	const pg::Text user = pg::TextArgument(fcinfo, 0, "p_user_id");
	const pg::Text metric = pg::TextArgument(fcinfo, 1, "p_metric_type");
	const pg::ChartSteps steps = StepsArgument(fcinfo);
	RequireNoPolicies(); // as the caller; the parts are read as their owner
	const Datum first_period = Int32GetDatum(Call([&] { return pg::DayOf(steps.from(), nullptr); }));
	const Datum last_period = Int32GetDatum(Call([&] { return pg::DayOf(steps.to(), nullptr); }));
	Datum values[kPartsArguments] = {
		user.datum, metric.datum, TimestampTzGetDatum(steps.from()), TimestampTzGetDatum(steps.to()), PG_GETARG_DATUM(5), first_period, last_period};
	const char nulls[kPartsArguments + 1] = {' ', ' ', ' ', ' ', PG_ARGISNULL(5) ? 'n' : ' ', ' ', ' ', '\0'};
	PutSteps(fcinfo, steps, PartsOf(steps, values, nulls));
	return 0;
}

AUREN_FUNCTION(auren_sparkline) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	const pg::Elements elements = pg::ArrayArgument(fcinfo, 0, "p_values", FLOAT8OID);
	std::vector<std::optional<double>> values;
	values.reserve(static_cast<std::size_t>(elements.count));
	for (int i = 0; i < elements.count; i++) {
		values.push_back(elements.isnull[i] ? std::nullopt : std::optional<double>(DatumGetFloat8(elements.values[i])));
	}
	const std::string line = pg::FromUtf8(Sparkline(values));
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(line.data(), static_cast<int>(line.size()))); });
}

} // namespace auren
