// Months that go: events.drop_months_before, events.set_event_retention, events.apply_event_retention.

#include <algorithm>
#include <string>
#include <vector>

#include "access/own_query.hpp"
#include "core/error.hpp"
#include "metrics/cron_jobs.hpp"
#include "months/drop_months.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

std::vector<std::string>
ForceArgument(FunctionCallInfo fcinfo, int argument) {
	std::vector<std::string> names;
	const pg::Elements given = pg::ArrayArgument(fcinfo, argument, "p_force", TEXTOID);
	for (int i = 0; i < given.count; i++) {
		if (given.isnull[i]) {
			throw DomainError(sqlstate::kInvalidParameter, "p_force must not hold NULL", "Element " + std::to_string(i + 1) + " is NULL.",
			                  "Leave it out.");
		}
		names.emplace_back(pg::TextOf(given.values[i]).name.bytes);
	}
	return names;
}

// States are folded as the caller, and a carried one is everybody's.
void
RequireToSeeAll() {
	pg::RequireUnbound("drop months", "They hold the events of all tenants.");
	(void)pg::CurrentTenantId();
	if (Call([](Server server) {
			Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
			const bool applies = pg::RowSecurityApplies(server, events);
			table_close(events, NoLock);
			return applies;
		})) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "months cannot be dropped under row level security",
		                  "A policy on events.event_store applies to this role, and the opening balances would lack what it hides.",
		                  "Drop them as a role to which no policy applies.");
	}
}

// One month after the other, the oldest first.
void
DropAll(pg::Steps *steps, const std::vector<pg::MonthFigures> &months, const pg::Forced &forced) {
	for (const pg::MonthFigures &month : months) {
		pg::DropMonth(steps, month, forced);
	}
}

} // namespace

AUREN_FUNCTION(auren_drop_months_before) {
	pg::RequireNotNull(fcinfo, 0, "p_month");
	const DateADT day = PG_GETARG_DATEADT(0);
	if (DATE_NOT_FINITE(day)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_month must be a day", "It is infinite.", "Give the first day of the first month to stay.");
	}
	const pg::Forced forced(ForceArgument(fcinfo, 1));
	RequireToSeeAll();
	Call([] { PreventCommandIfReadOnly("events.drop_months_before()"); });
	pg::Steps steps(fcinfo, "events.drop_months_before()");
	std::vector<pg::MonthFigures> months;
	steps.Do([&] {
		months = pg::MonthsBefore(static_cast<int64>(day) * USECS_PER_DAY);
		pg::RequireDroppable(months, forced);
	});
	DropAll(&steps, months, forced);
	pg::Steps::End();
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_set_event_retention) {
	pg::RequireUnbound("set how long events are kept", "They are those of all tenants.");
	Call([] { PreventCommandIfReadOnly("events.set_event_retention()"); });
	const pg::Forced forced(ForceArgument(fcinfo, 1));
	if (PG_ARGISNULL(0)) {
		Call([](Server server) { (void)pg::ExecuteAsStore(server, "DELETE FROM auren.kept_events", 0, nullptr, nullptr, nullptr); });
		PG_RETURN_VOID();
	}
	const Interval *keep = PG_GETARG_INTERVAL_P(0);
	if (keep->month < 0 || keep->day < 0 || keep->time < 0 || keep->month > 12000 || keep->day > 365000 || (keep->month == 0 && keep->day < 28)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_keep must be from 28 days to 1000 years", "Whole months are dropped, and this month stays.",
		                  "Give an interval such as '2 years', or NULL to keep events for ever.");
	}
	Oid types[2] = {INTERVALOID, TEXTARRAYOID};
	Datum values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Call([&](Server server) {
		(void)pg::ExecuteAsStore(
			server,
			"INSERT INTO auren.kept_events (single, keep, forced, set_by, set_at) VALUES (true, $1, $2, session_user, pg_catalog.now()) "
			"ON CONFLICT (single) DO UPDATE SET keep = EXCLUDED.keep, forced = EXCLUDED.forced, set_by = EXCLUDED.set_by, "
			"set_at = EXCLUDED.set_at",
			2, types, values, nullptr);
	});
	PG_RETURN_VOID();
}

namespace {

// What events.set_event_retention says.
struct Retention {
	bool set = false;
	int64 before = 0; // months that end by then go
	std::vector<std::string> forced;
};

Retention
ReadRetention() {
	Retention retention;
	const auto rows = pg::QueryAsOwner(
		"SELECT (extract(epoch FROM date_trunc('month', (now() - keep) AT TIME ZONE 'UTC') - timestamp '2000-01-01') * 1000000)::bigint FROM "
		"auren.kept_events");
	if (!rows.empty()) {
		retention.set = true;
		retention.before = std::stoll(*rows[0][0]);
		for (const pg::TextRow &row : pg::QueryAsOwner("SELECT unnest(forced) FROM auren.kept_events")) {
			retention.forced.push_back(*row[0]);
		}
	}
	return retention;
}

} // namespace

AUREN_FUNCTION(auren_apply_event_retention) {
	RequireToSeeAll();
	Call([] { PreventCommandIfReadOnly("events.apply_event_retention()"); });
	pg::Steps steps(fcinfo, "events.apply_event_retention()");
	Retention retention;
	std::vector<pg::MonthFigures> months;
	steps.Do([&] {
		retention = ReadRetention();
		if (retention.set) {
			months = pg::MonthsBefore(retention.before);
		}
	});
	const pg::Forced forced(retention.forced);
	// what needs a month needs the later ones too: those before it go
	const auto held =
		std::find_if(months.begin(), months.end(), [&](const pg::MonthFigures &month) { return !pg::HoldersLeft(month, forced).empty(); });
	DropAll(&steps, {months.begin(), held}, forced);
	pg::RequireDroppable({held, months.end()}, forced);
	pg::Steps::End();
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_schedule_maintenance) {
	Call([] { PreventCommandIfReadOnly("events.schedule_maintenance()"); });
	pg::RequireUnbound("schedule jobs", "They are those of all tenants.");
	static const pg::CronJob jobs[3] = {{"auren_seal", "SELECT count(*) FROM events.seal()"},
	                                    {"auren_verify",
	                                     "SELECT count(*) FROM events.verify(p_since_seal => (SELECT max(last_seal) FROM events.verifications WHERE "
	                                     "findings = 0 AND from_month IS NULL AND to_month IS NULL))"},
	                                    {"auren_event_retention", "CALL events.apply_event_retention()"}};
	return pg::ScheduleJobs(fcinfo, jobs, 3);
}

} // namespace auren
