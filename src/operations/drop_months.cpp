#include "operations/drop_months.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "operations/carry.hpp"
#include "operations/own_query.hpp"
#include "server/as_owner.hpp"
#include "server/progress.hpp"
#include "server/run_sql.hpp"
#include "server/subtransaction.hpp"
#include "server/wait_point.hpp"
#include "store/kept_objects.hpp"
#include "store/relations.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

constexpr int kLockMilliseconds = 50;
constexpr long kPauseMilliseconds = 100;

bool
StartsWith(const std::string &text, const char *prefix) {
	return text.rfind(prefix, 0) == 0 && text.size() > std::char_traits<char>::length(prefix);
}

// The tables that go: the month and its part of the index of tags (InvalidOid: it has none).
struct DroppedTables {
	Oid month;
	Oid tags;
};

// With another lock_timeout until the end of the caller's level of settings.
void
LockWithin(Server, Oid relid, int milliseconds) {
	if (OidIsValid(relid)) {
		char value[16];
		(void)snprintf(value, sizeof value, "%d", Max(1, milliseconds));
		(void)set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		LockRelationOid(relid, AccessExclusiveLock);
	}
}

/*
 * Takes the locks or none. What is dropped comes first: others wait for it while the parents are waited for, and nobody waits for a parent longer
 * than for its own part of the time. Whoever holds a parent and wants what goes makes this session give up, before anything looks like a deadlock.
 */
bool
TryLockTables(Server server, const DroppedTables &tables) {
	ErrorData *error = TryInSubtransaction(server, [&] {
		const int level = NewGUCNestLevel();
		LockWithin(server, tables.month, kLockMilliseconds);
		LockWithin(server, tables.tags, kLockMilliseconds);
		const int64 start = GetCurrentTimestamp();
		const auto left = [&] {
			return kLockMilliseconds - static_cast<int>((GetCurrentTimestamp() - start) / 1000);
		};
		LockWithin(server, OidIsValid(tables.tags) ? own::event_tags.Get(server) : InvalidOid, left());
		LockWithin(server, own::events.Get(server), left());
		AtEOXact_GUC(false, level);
	});
	if (error == nullptr) {
		return true;
	}
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED) {
		ReThrowError(error);
	}
	FreeErrorData(error);
	return false;
}

void
DropTables(const MonthFigures &month, const DroppedTables &tables, const Forced &forced) {
	std::string sql = "DROP TABLE " + month.partition + ";";
	if (OidIsValid(tables.tags)) {
		sql += "DROP TABLE auren.event_tags_" + month.month.Suffix() + ";";
	}
	const char *statements = sql.c_str();
	const ObjectRecordingPause at_work;
	Call([&](Server server) {
		const SavedUser before = SwitchToOwner(server, own::events.Get(server));
		RunSql(server, statements);
		SwitchBack(server, before);
	});
	const char *caller = Call([] { return static_cast<const char *>(GetUserNameFromId(GetUserId(), false)); });
	std::vector<std::string> arguments = {DateText(month.month), std::to_string(month.last_seal), caller};
	std::string overridden;
	for (const std::string &holder : month.held_by) {
		if (forced.Covers(holder)) {
			arguments.push_back(holder);
			overridden += (overridden.empty() ? "$" : ", $") + std::to_string(arguments.size());
		}
	}
	(void)QueryAsOwner("UPDATE auren.month_records SET dropped_at = clock_timestamp(), dropped_by = $3, last_seal = nullif($2::bigint, 0), "
	                   "forced = ARRAY[" +
	                       overridden + "]::text[] WHERE month = $1::date",
	                   arguments);
}

// Who keeps the locks from being had.
std::string
DescribeHolders(const DroppedTables &tables) {
	std::string text;
	for (const TextRow &row : QueryAsOwner(
			 "SELECT DISTINCT coalesce('process ' || l.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '') || "
			 "coalesce(', since ' || a.xact_start, '') || coalesce(': ' || left(a.query, 100), ''), 'a prepared transaction') "
			 "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM "
			 "pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation IN "
			 "($1::oid, $2::oid, 'events.event_store'::regclass, 'auren.event_tags'::regclass) ORDER BY 1 LIMIT 10",
			 {std::to_string(tables.month), std::to_string(tables.tags)})) {
		text += (text.empty() ? "" : "; ") + *row[0];
	}
	return text.empty() ? "Those who were in the way have ended since." : "In the way: " + text + ".";
}

bool
TryDrop(const MonthFigures &month, const DroppedTables &tables, const Forced &forced) {
	if (!Call([&](Server server) { return TryLockTables(server, tables); })) {
		return false;
	}
	DropTables(month, tables, forced);
	return true;
}

} // namespace

Forced::Forced(std::vector<std::string> names) : names_(std::move(names)) {
	for (const std::string &name : names_) {
		if (!StartsWith(name, "subscription:") && !StartsWith(name, "source:") && !StartsWith(name, "unsealed:")) {
			throw DomainError(
				sqlstate::kInvalidParameter, "p_force cannot override \"" + name + "\"",
				"It names subscriptions (subscription:billing), sources (source:3) and months without a seal (unsealed:2026-01, unsealed:*).",
				"Give what events.months shows in held_by; a month that is not closed cannot be forced.");
		}
	}
}

bool
Forced::Covers(const std::string &holder) const {
	return std::any_of(names_.begin(), names_.end(), [&](const std::string &name) {
		return name == holder || (name == "unsealed:*" && StartsWith(holder, "unsealed:")) ||
		       (StartsWith(name, "subscription:") && StartsWith(holder, (name + " (").c_str()));
	});
}

std::vector<MonthFigures>
MonthsBefore(int64 micros) {
	std::vector<MonthFigures> months = ListMonths();
	months.erase(std::remove_if(months.begin(), months.end(), [&](const MonthFigures &month) { return month.month.Next().StartMicros() > micros; }),
	             months.end());
	return months;
}

std::vector<std::string>
HoldersLeft(const MonthFigures &month, const Forced &forced) {
	std::vector<std::string> left;
	for (const std::string &holder : month.held_by) {
		if (!forced.Covers(holder)) {
			left.push_back(holder);
		}
	}
	return left;
}

void
RequireDroppable(const std::vector<MonthFigures> &months, const Forced &forced) {
	std::string detail;
	for (const MonthFigures &month : months) {
		std::string holders;
		for (const std::string &holder : HoldersLeft(month, forced)) {
			holders += (holders.empty() ? "" : ", ") + holder;
		}
		if (!holders.empty()) {
			detail += (detail.empty() ? "" : "; ") + MonthText(month.month) + ": " + holders;
		}
	}
	if (!detail.empty()) {
		throw DomainError(
			sqlstate::kNotInState, "months are still needed", detail + ".",
			"Let subscriptions and metrics come past them and seal them, or name in p_force what is to be overridden. A month that is not "
			"closed cannot be dropped.");
	}
}

void
DropMonth(Steps *steps, const MonthFigures &month, const Forced &forced) {
	CarryStates(steps, month);
	CarryIds(steps, month);
	steps->Do([&] { RecordMonth(month); });
	const DroppedTables tables = {month.relid, Call([&](Server server) { return FindTagMonth(server, month.month); })};
	const int64 end = GetCurrentTimestamp() + steps->patience();
	for (bool dropped = false; !dropped;) {
		std::string holders;
		steps->Do([&] {
			Call([](Server server) {
				BeginProgress(server, WorkPhase::kDropDropping, 0);
				AUREN_WAIT_POINT("drop-before-locks");
			});
			dropped = TryDrop(month, tables, forced);
			if (!dropped && GetCurrentTimestamp() >= end) {
				holders = DescribeHolders(tables);
			}
		});
		if (!holders.empty()) {
			throw DomainError("55P03", "month " + MonthText(month.month) + " could not be dropped: it is in use", holders,
			                  "What it leaves is carried already; call again when they have ended.");
		}
		if (!dropped) {
			Pause(kPauseMilliseconds);
		}
	}
}

} // namespace auren::pg
