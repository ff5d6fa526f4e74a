// What an administrator sets for metrics: the zone of days, retention, jobs.

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/metrics/reading_time.hpp"
#include "metrics/buckets.hpp"
#include "metrics/cron_jobs.hpp"
#include "metrics/named_zone.hpp"
#include "metrics/refresh.hpp"
#include "metrics/relations.hpp"
#include "metrics/source_changes.hpp"
#include "server/arguments.hpp"
#include "server/as_owner.hpp"
#include "server/entry.hpp"
#include "server/progress.hpp"
#include "server/rows.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// Days and hours are made of the buckets of five minutes, so all of those must be there.
void
RequireFiveMinutes() {
	if (ChangeAsStore("SELECT FROM auren.retention WHERE level OPERATOR(pg_catalog.=) '5min' AND dropped_before OPERATOR(pg_catalog.>) '-infinity'",
	                  0, nullptr, nullptr) > 0) {
		throw DomainError(sqlstate::kNotInState, "days cannot be made anew in another zone",
		                  "They are made of buckets of five minutes, and retention has dropped some.",
		                  "Set the zone before retention drops buckets of five minutes.");
	}
}

} // namespace

AUREN_FUNCTION(auren_set_time_zone) {
	const pg::Text zone = pg::TextArgument(fcinfo, 0, "p_time_zone");
	const std::string name(zone.name.bytes);
	RefuseWhenReadOnly("analytics.set_time_zone()");
	pg::RequireUnbound("set the zone", "The days of all tenants are in one zone.");
	RequireReadCommitted("analytics.set_time_zone");
	(void)pg::NamedZone(name);
	Call([](Server server) { pg::LockRollups(server); });
	RequireFiveMinutes();
	Oid types[1] = {TEXTOID};
	Datum values[1] = {zone.datum};
	(void)ChangeAsStore("DELETE FROM auren.metric_settings", 0, nullptr, nullptr);
	(void)ChangeAsStore("INSERT INTO auren.metric_settings (time_zone) VALUES ($1)", 1, types, values);
	(void)ChangeAsStore("DELETE FROM auren.rollup_hourly", 0, nullptr, nullptr);
	(void)ChangeAsStore("DELETE FROM auren.rollup_daily", 0, nullptr, nullptr);
	Call([] { CommandCounterIncrement(); });
	pg::RebuildDaysAndHours();
	PG_RETURN_VOID();
}

namespace {

pg::Text
LevelArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text level = pg::TextArgument(fcinfo, argument, "p_level");
	if (level.name.bytes != "5min" && level.name.bytes != "hourly" && level.name.bytes != "daily") {
		throw DomainError(sqlstate::kInvalidParameter, "p_level must be 5min, hourly or daily",
		                  "\"" + std::string(level.name.bytes) + "\" is none of them.", "Each level has a retention of its own.");
	}
	return level;
}

struct Kept {
	const char *level;
	bool forever;
	TimestampTz before;
};

// The levels that drop something, and before when by now.
int
ReadKept(Server server, Kept *kept) {
	const pg::SavedUser before = pg::SwitchToOwner(server, pg::own::retention.Get(server));
	SPI_connect();
	SPI_execute(
		"SELECT level, pg_catalog.now() OPERATOR(pg_catalog.-) keep FROM auren.retention WHERE keep OPERATOR(pg_catalog.<=) '1020 years'::interval",
		false, 0);
	int count = 0;
	for (uint64 i = 0; i < SPI_processed && count < 3; i++) {
		bool isnull;
		const char *level = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		kept[count].level = strcmp(level, "5min") == 0 ? "5min" : strcmp(level, "hourly") == 0 ? "hourly" : "daily";
		kept[count++].before = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	pg::SwitchBack(server, before);
	return count;
}

// Deletes the rows of a level before a time, and writes down that it did. The caller gets how many rows that were.
uint64
DropBuckets(const Kept &kept) {
	const std::string level = kept.level;
	const TimestampTz before = Call([&](Server server) {
		pg_tz *zone = pg::MetricZone(server, GetActiveSnapshot());
		return level == "5min"     ? FiveMinutesOf(kept.before)
		       : level == "hourly" ? pg::HourOf(kept.before, zone)
		                           : pg::StartOfDay(pg::DayOf(kept.before, zone), zone);
	});
	const Datum level_text = Call([&] { return PointerGetDatum(cstring_to_text(kept.level)); });
	Oid types[2] = {TIMESTAMPTZOID, TEXTOID};
	Datum values[2] = {TimestampTzGetDatum(before), level_text};
	(void)ChangeAsStore(
		"UPDATE auren.retention SET dropped_before = $1 WHERE level OPERATOR(pg_catalog.=) $2 AND dropped_before OPERATOR(pg_catalog.<) $1", 2, types,
		values);
	if (level == "daily") {
		Oid day_types[1] = {DATEOID};
		Datum day_values[1] = {Call([&](Server server) { return DateADTGetDatum(pg::DayOf(before, pg::MetricZone(server, GetActiveSnapshot()))); })};
		return ChangeAsStore("DELETE FROM auren.rollup_daily WHERE day OPERATOR(pg_catalog.<) $1", 1, day_types, day_values);
	}
	const std::string sql = "DELETE FROM auren.rollup_" + level + " WHERE bucket OPERATOR(pg_catalog.<) $1";
	return ChangeAsStore(sql.c_str(), 1, types, values);
}

} // namespace

AUREN_FUNCTION(auren_set_retention) {
	const pg::Text level = LevelArgument(fcinfo, 0);
	RefuseWhenReadOnly("analytics.set_retention()");
	pg::RequireUnbound("set the retention", "It is that of all tenants' metrics.");
	if (!PG_ARGISNULL(1)) {
		const Interval *keep = PG_GETARG_INTERVAL_P(1);
		if (keep->month < 0 || keep->day < 0 || keep->time < 0 || (keep->month == 0 && keep->day == 0 && keep->time < USECS_PER_HOUR)) {
			throw DomainError(sqlstate::kInvalidParameter, "p_keep must be an hour or more", "Buckets that are still being filled would be dropped.",
			                  "Give an interval such as '90 days', or NULL to keep them for ever.");
		}
		constexpr double kMostDays = 1000 * 365.25;
		if (keep->month * 30.4375 + keep->day + static_cast<double>(keep->time) / USECS_PER_DAY > kMostDays) {
			throw DomainError(sqlstate::kInvalidParameter, "p_keep must be 1000 years or less",
			                  "There are no times so long ago that it would drop buckets before them.", "Give NULL to keep buckets for ever.");
		}
	}
	Oid types[2] = {TEXTOID, INTERVALOID};
	Datum values[2] = {level.datum, PG_GETARG_DATUM(1)};
	const char nulls[3] = {' ', PG_ARGISNULL(1) ? 'n' : ' ', '\0'};
	(void)ChangeAsStore("INSERT INTO auren.retention (level, keep, dropped_before) VALUES ($1, $2, '-infinity') ON CONFLICT (level) DO UPDATE SET "
	                    "keep = EXCLUDED.keep",
	                    2, types, values, nulls);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_apply_retention) {
	RefuseWhenReadOnly("analytics.apply_retention()");
	pg::RequireUnbound("apply the retention", "It drops metrics of all tenants.");
	RequireReadCommitted("analytics.apply_retention");
	Call([](Server server) { pg::LockRollups(server); });
	Kept kept[3];
	const int count = Call([&](Server server) { return ReadKept(server, kept); });
	uint64 dropped = 0;
	for (int i = 0; i < count; i++) {
		Call([&](Server server) { pg::ContinueProgress(server, pg::WorkPhase::kRetentionDeleting, count, i); });
		dropped += DropBuckets(kept[i]);
	}
	Call([](Server server) { pg::EndProgress(server); });
	PG_RETURN_INT64(static_cast<int64>(dropped));
}

AUREN_FUNCTION(auren_schedule) {
	RefuseWhenReadOnly("analytics.schedule()");
	pg::RequireUnbound("schedule jobs", "They are those of all tenants.");
	static const pg::CronJob jobs[3] = {{"auren_refresh", "SELECT analytics.refresh_user_metrics()"},
	                                    {"auren_months", "SELECT events.create_monthly_partitions()"},
	                                    {"auren_retention", "SELECT analytics.apply_retention()"}};
	return pg::ScheduleJobs(fcinfo, jobs, 3);
}

} // namespace auren
