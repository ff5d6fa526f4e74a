#include "months/drop_months.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "core/error.hpp"
#include "months/carry.hpp"
#include "months/month_locks.hpp"
#include "server/progress.hpp"
#include "server/wait_point.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

bool
StartsWith(const std::string &text, const char *prefix) {
	return text.rfind(prefix, 0) == 0 && text.size() > std::char_traits<char>::length(prefix);
}

void
DropTables(const MonthFigures &month, const DroppedTables &tables, const Forced &forced) {
	DropMonthTables(month.partition, month.month, tables);
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

// Somebody may have come who needs the month while its states were carried.
void
RequireStillDroppable(const MonthFigures &month, const Forced &forced) {
	std::vector<MonthFigures> months = ListMonths();
	months.erase(std::remove_if(months.begin(), months.end(), [&](const MonthFigures &other) { return other.relid != month.relid; }), months.end());
	RequireDroppable(months, forced);
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
	months.erase(std::remove_if(months.begin(), months.end(),
	                            [&](const MonthFigures &month) { return month.attached || month.month.Next().StartMicros() > micros; }),
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
	CarryReadings(steps, month);
	steps->Do([&] {
		Call([](Server server) { BeginProgress(server, WorkPhase::kDropRecording, 0); });
		RecordMonth(month);
	});
	const DroppedTables tables = {month.relid, Call([&](Server server) { return FindTagMonth(server, month.month); })};
	const int64 end = GetCurrentTimestamp() + steps->patience();
	for (bool dropped = false; !dropped;) {
		std::string holders;
		steps->Do([&] {
			Call([](Server server) {
				BeginProgress(server, WorkPhase::kDropDropping, 0);
				AUREN_WAIT_POINT("drop-before-locks");
			});
			RequireStillDroppable(month, forced);
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
