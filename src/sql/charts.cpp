// Metrics for charts: analytics.metric_series, analytics.sparkline.

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/reading_time.hpp"
#include "core/sparkline.hpp"
#include "pg/arguments.hpp"
#include "pg/encoding.hpp"
#include "pg/entry.hpp"
#include "pg/rows.hpp"
#include "pg/sources.hpp"
#include "pg/store.hpp"
#include "pg/tenant.hpp"

namespace auren {

namespace {

using pg::Call;

constexpr int64 kMostSteps = 100000;

// The parts that are summed up are five minutes, so a step is some of them and begins with one.
constexpr const char *kSeriesSql =
    "SELECT g.bucket, (r.m).reading_count, (r.m).avg_value, (r.m).min_value, (r.m).max_value, (r.m).stddev_value, (r.m).p50_value, (r.m).p95_value "
    "FROM pg_catalog.generate_series($3, $4 - '1 microsecond'::interval, $5) g (bucket) LEFT JOIN ("
    "SELECT step, analytics.metric_values(summary, series_id, step, $7) AS m FROM ("
    "SELECT pg_catalog.date_bin($5, r.bucket, $3) AS step, r.summary, s.series_id FROM analytics.tenant_series s, analytics.rollup_periods p, analytics.rollup_5min r "
    "WHERE p.level = 0 AND p.period >= pg_catalog.floor(EXTRACT(epoch FROM $3 - '2000-01-01 00:00Z'::timestamptz) / 86400)::integer "
    "AND p.period <= pg_catalog.floor(EXTRACT(epoch FROM $4 - '2000-01-01 00:00Z'::timestamptz) / 86400)::integer AND r.period = p.period AND r.series_id = s.series_id "
    "AND s.user_id = $1 AND s.metric_type = $2 AND ($6 IS NULL OR s.device_type = $6) AND r.bucket >= $3 AND r.bucket < $4 "
    "UNION ALL SELECT pg_catalog.date_bin($5, d.bucket, $3), d.summary, d.series_id FROM analytics.tenant_deltas d WHERE "
    "d.user_id = $1 AND d.metric_type = $2 AND ($6 IS NULL OR d.device_type = $6) AND d.bucket >= $3 AND d.bucket < $4 "
    "UNION ALL SELECT pg_catalog.date_bin($5, u.bucket, $3), u.summary, NULL FROM analytics.unfilled_readings() u WHERE u.user_id = $1 AND u.metric_type = $2 "
    "AND ($6 IS NULL OR u.device_type = $6) AND u.bucket >= $3 AND u.bucket < $4) p GROUP BY step) r "
    "ON r.step = g.bucket AND (r.m).reading_count > 0 ORDER BY 1";

} // namespace

AUREN_FUNCTION(auren_metric_series) {
	const pg::Text user = pg::TextArgument(fcinfo, 0, "p_user_id");
	const pg::Text metric = pg::TextArgument(fcinfo, 1, "p_metric_type");
	pg::RequireNotNull(fcinfo, 2, "p_from");
	pg::RequireNotNull(fcinfo, 3, "p_to");
	pg::RequireNotNull(fcinfo, 4, "p_step");
	(void)pg::CurrentTenant();
	// the first step begins with the five minutes that it falls into, so that now() less a span will do
	const TimestampTz from = TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)) ? PG_GETARG_TIMESTAMPTZ(2) : FiveMinutesOf(PG_GETARG_TIMESTAMPTZ(2));
	const TimestampTz to = PG_GETARG_TIMESTAMPTZ(3);
	const Interval *step = PG_GETARG_INTERVAL_P(4);
	const int64 micros = step->time + static_cast<int64>(step->day) * USECS_PER_DAY;
	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_from and p_to must not be infinite", "Each step between them is a row.",
		                  "Give the times that the chart is from and to.");
	}
	if (step->month != 0 || micros < kFiveMinutes || micros % kFiveMinutes != 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_step must be a multiple of five minutes", "Months have no fixed length, and nothing finer is kept.",
		                  "Give an interval such as '15 minutes' or '1 day'.");
	}
	if (to > from && (to - from) / micros >= kMostSteps) {
		throw DomainError(sqlstate::kInvalidParameter, "there would be more than " + std::to_string(kMostSteps) + " steps",
		                  "The span holds " + std::to_string((to - from) / micros) + " of them.", "Take a longer step or a shorter span.");
	}
	Oid types[7] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, INT4OID};
	Datum values[7] = {user.datum,         metric.datum,       TimestampTzGetDatum(from), PG_GETARG_DATUM(3),
	                   PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), Int32GetDatum(static_cast<int32>(micros / USECS_PER_MINUTE))};
	const char nulls[8] = {' ', ' ', ' ', ' ', ' ', PG_ARGISNULL(5) ? 'n' : ' ', ' ', '\0'};
	Call([&] {
		const pg::Rows rows = pg::BeginRows(fcinfo);
		const pg::AsOwner before = pg::BecomeOwner(pg::Oids().rollups[0]);
		SPI_connect();
		if (SPI_execute_with_args(kSeriesSql, 7, types, values, nulls, true, 0) != SPI_OK_SELECT) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read the metrics")));
		}
		for (uint64 i = 0; i < SPI_processed; i++) {
			Datum row[8];
			bool isnull[8];
			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, isnull);
			pg::PutRow(rows, row, isnull);
		}
		SPI_finish();
		pg::BecomeAgain(before);
	});
	return 0;
}

AUREN_FUNCTION(auren_sparkline) {
	if (PG_ARGISNULL(0)) {
		PG_RETURN_NULL();
	}
	const pg::Elements elements = pg::ArrayArgument(fcinfo, 0, "p_values", FLOAT8OID);
	std::vector<std::optional<double>> values;
	for (int i = 0; i < elements.count; i++) {
		values.push_back(elements.isnull[i] ? std::nullopt : std::optional<double>(DatumGetFloat8(elements.values[i])));
	}
	const std::string line = pg::FromUtf8(Sparkline(values));
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(line.data(), static_cast<int>(line.size()))); });
}

} // namespace auren
