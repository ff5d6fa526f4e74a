#include "imports/import_check.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/arguments.hpp"
#include "server/settings.hpp"

namespace auren::pg {

namespace {

constexpr const char *kRename = "Make a view over the table that gives it another name, and import that.";

std::optional<ImportRefusal>
LookAtName(const FetchedRow &row, PlanColumn column, void (*check)(const Name &)) {
	try {
		check(TextOf(row.values[column]).name);
	} catch (const DomainError &error) {
		return ImportRefusal{error.message() + (error.detail().empty() ? "" : ": " + error.detail()), kRename};
	}
	return std::nullopt;
}

std::optional<ImportRefusal>
LookAtPractice(const FetchedRow &row) {
	if (NamingMode() != Naming::kError) {
		return std::nullopt;
	}
	for (const std::string &flaw :
	     {NamingFlawOfEventType(TextOf(row.values[kPlanType]).name.bytes), NamingFlawOfStreamId(TextOf(row.values[kPlanStream]).name.bytes)}) {
		if (!flaw.empty()) {
			return ImportRefusal{"name does not follow the naming practice: " + flaw, std::string(kRename) + " Or set auren_events.naming to warn."};
		}
	}
	return std::nullopt;
}

std::optional<ImportRefusal>
LookAtNames(const FetchedRow &row) {
	for (const auto &[column, what] : {std::pair(kPlanStream, "stream"), std::pair(kPlanType, "event type"), std::pair(kPlanTime, "time")}) {
		if (row.isnull[column]) {
			return ImportRefusal{std::string("it has no ") + what,
			                     "Make a view over the table that gives it one, or leaves it out, and import that."};
		}
	}
	for (const auto &[column, check] : {std::pair(kPlanTenant, &CheckTenantId), std::pair(kPlanStream, &CheckStreamId),
	                                    std::pair(kPlanType, &CheckEventType), std::pair(kPlanCreator, &CheckCreatedBy)}) {
		if (auto refusal = LookAtName(row, column, check)) {
			return refusal;
		}
	}
	return LookAtPractice(row);
}

std::optional<ImportRefusal>
LookAtStream(const FetchedRow &row) {
	if (DatumGetBool(row.values[kPlanClosed])) {
		return ImportRefusal{"its stream is closed", "Call events.reopen_stream first."};
	}
	const int64 imported = DatumGetInt64(row.values[kPlanImportedVersion]);
	if (DatumGetInt64(row.values[kPlanStreamVersion]) != imported) {
		return ImportRefusal{"its stream has events that were not imported, from version " + std::to_string(imported + 1) + " on",
		                     "Make a view over the table that leaves the row out or gives it another stream, and import that."};
	}
	return std::nullopt;
}

} // namespace

ImportCheck::ImportCheck() : now_(GetCurrentTimestamp()) {
	for (const TextRow &row : QueryAsOwner("SELECT month - date '2000-01-01' FROM auren.month_records WHERE dropped_at IS NOT NULL ORDER BY month")) {
		dropped_.push_back(Month::FromDays(std::stoi(*row[0])));
	}
}

bool
ImportCheck::IsDropped(TimestampTz time) const {
	return !TIMESTAMP_NOT_FINITE(time) && std::binary_search(dropped_.begin(), dropped_.end(), Month::FromMicros(time));
}

std::optional<ImportRefusal>
ImportCheck::LookAtTime(const FetchedRow &row) const {
	const TimestampTz time = DatumGetTimestampTz(row.values[kPlanTime]);
	// 0001-01-01 00:00 UTC, as events.import_events has it
	if (time < Month::FromIndex((1 - 2000) * 12).StartMicros()) {
		return ImportRefusal{"its time is before the year 1", "Make a view over the table that gives it a time, and import that."};
	}
	if (time > now_) {
		return ImportRefusal{"its time, or that of an event before it in its stream, is later than the server's clock",
		                     "Set the clock right, or make a view over the table that gives it a time, and import that."};
	}
	// the month that it had as well: it may have been imported, and dropped since
	const TimestampTz old_time = DatumGetTimestampTz(row.values[kPlanOldTime]);
	if (IsDropped(time) || (!row.isnull[kPlanOldTime] && IsDropped(old_time))) {
		return ImportRefusal{"its month was dropped", "Make a view over the table that leaves it out, and import that."};
	}
	return std::nullopt;
}

std::optional<ImportRefusal>
ImportCheck::Look(const FetchedRow &row) const {
	if (DatumGetBool(row.values[kPlanStored])) {
		return std::nullopt;
	}
	if (auto refusal = LookAtNames(row)) {
		return refusal;
	}
	if (auto refusal = LookAtTime(row)) {
		return refusal;
	}
	return LookAtStream(row);
}

std::string
ChangesOf(const FetchedRow &row) {
	std::string changes;
	const auto add = [&](bool changed, const char *what) {
		if (changed) {
			changes += (changes.empty() ? "" : ", ") + std::string(what);
		}
	};
	add(row.isnull[kPlanOldVersion] || DatumGetInt64(row.values[kPlanOldVersion]) != DatumGetInt64(row.values[kPlanVersion]), "renumbered");
	add(row.isnull[kPlanOldId] || memcmp(DatumGetUUIDP(row.values[kPlanOldId]), DatumGetUUIDP(row.values[kPlanId]), UUID_LEN) != 0, "new id");
	add(!row.isnull[kPlanOldTime] && DatumGetTimestampTz(row.values[kPlanOldTime]) != DatumGetTimestampTz(row.values[kPlanTime]), "later time");
	add(DatumGetBool(row.values[kPlanNoTenant]), "no tenant");
	add(DatumGetBool(row.values[kPlanNoData]), "no data");
	return changes;
}

} // namespace auren::pg
