#pragma once

#include "server/postgres.hpp"

namespace auren::pg {

// A job of pg_cron: its name, and the statement that it runs.
struct CronJob {
	const char *name;
	const char *command;
};

/*
 * For a function that returns the rows (job, schedule, command) and has a text argument for each job: makes the jobs of pg_cron with these schedules
 * as the caller, or changes them, and ends those whose argument is NULL. Throws 55000 where pg_cron is not in this database, with the statements that
 * another scheduler has to run.
 */
Datum ScheduleJobs(FunctionCallInfo fcinfo, const CronJob *jobs, int count);

} // namespace auren::pg
