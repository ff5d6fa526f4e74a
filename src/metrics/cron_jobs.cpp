#include "metrics/cron_jobs.hpp"

#include <string>

#include "core/error.hpp"
#include "metrics/source_changes.hpp"
#include "server/guard.hpp"
#include "server/rows.hpp"

namespace auren::pg {

namespace {

std::string
Literal(const char *text) {
	return Call([&] { return static_cast<const char *>(quote_literal_cstr(text)); });
}

std::string
ListOf(const CronJob *jobs, int count) {
	std::string list;
	for (int i = 0; i < count; i++) {
		list += (i == 0 ? "" : i + 1 == count ? " and " : ", ") + std::string(jobs[i].command);
	}
	return list;
}

void
RequireCron(const CronJob *jobs, int count) {
	if (!OidIsValid(Call([] { return get_extension_oid("pg_cron", true); }))) {
		const char *database = Call([] { return GetConfigOption("cron.database_name", true, false); });
		throw DomainError(
			sqlstate::kNotInState, "extension pg_cron is not in this database",
			database == nullptr ? "The server has not loaded pg_cron." : "pg_cron works in database \"" + std::string(database) + "\".",
			database == nullptr
				? "Set shared_preload_libraries = 'pg_cron' and cron.database_name to this database, restart the server, then CREATE EXTENSION "
				  "pg_cron. Another scheduler has to run " +
					  ListOf(jobs, count) + "."
				: "CREATE EXTENSION pg_cron here, if that is this database; else call cron.schedule_in_database there for the commands " +
					  ListOf(jobs, count) + ".");
	}
}

} // namespace

Datum
ScheduleJobs(FunctionCallInfo fcinfo, const CronJob *jobs, int count) {
	RequireCron(jobs, count);
	const Rows rows = Call([&](Server server) { return BeginRows(server, fcinfo); });
	for (int i = 0; i < count; i++) {
		if (PG_ARGISNULL(i)) {
			RunStatement("SELECT cron.unschedule(jobname) FROM cron.job WHERE jobname OPERATOR(pg_catalog.=) " + Literal(jobs[i].name) +
			             " AND username OPERATOR(pg_catalog.=) CURRENT_USER");
			continue;
		}
		const char *schedule = Call([&] { return static_cast<const char *>(text_to_cstring(PG_GETARG_TEXT_PP(i))); });
		RunStatement("SELECT cron.schedule(" + Literal(jobs[i].name) + "::text, " + Literal(schedule) + "::text, " + Literal(jobs[i].command) +
		             "::text)");
		Call([&](Server server) {
			const Datum values[3] = {CStringGetTextDatum(jobs[i].name), CStringGetTextDatum(schedule), CStringGetTextDatum(jobs[i].command)};
			const bool isnull[3] = {};
			PutRow(server, rows, values, isnull);
		});
	}
	return 0;
}

} // namespace auren::pg
