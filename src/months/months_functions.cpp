// The months of the store: auren.month_figures, events.set_settle_policy, events.maintenance_plan, events.mark_settled.

#include <string>

#include "access/own_query.hpp"
#include "core/error.hpp"
#include "months/month_list.hpp"
#include "months/settle.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr int kColumns = 10;

Datum
TextArray(Server, const char *const *items, int count) {
	Datum *texts = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(count + 1)));
	for (int i = 0; i < count; i++) {
		texts[i] = CStringGetTextDatum(items[i]);
	}
	return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

void
PutMonth(const pg::Rows &rows, const pg::MonthFigures &month) {
	std::vector<const char *> held;
	held.reserve(month.held_by.size());
	for (const std::string &by : month.held_by) {
		held.push_back(by.c_str());
	}
	const char *const *items = held.data();
	const int count = static_cast<int>(held.size());
	Call([&](Server server) {
		const bool none = !month.has_events;
		const Datum values[kColumns] = {DateADTGetDatum(month.month.StartDays()),
		                                ObjectIdGetDatum(month.relid),
		                                Int64GetDatum(month.first_position),
		                                Int64GetDatum(month.last_position),
		                                TimestampTzGetDatum(month.first_event_at),
		                                TimestampTzGetDatum(month.last_event_at),
		                                BoolGetDatum(month.closed),
		                                BoolGetDatum(month.frozen),
		                                Int64GetDatum(month.last_seal),
		                                TextArray(server, items, count)};
		const bool isnull[kColumns] = {false, false, none, none, none, none, false, false, month.last_seal == 0, false};
		pg::PutRow(server, rows, values, isnull);
	});
}

} // namespace

AUREN_FUNCTION(auren_month_figures) {
	pg::RequireUnbound("see the months of the store", "Their figures are of all tenants.");
	(void)pg::CurrentTenantId();
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	for (const pg::MonthFigures &month : pg::ListMonths()) {
		PutMonth(rows, month);
	}
	return 0;
}

namespace {

// What may become of an index of a month when it is settled, and what that costs.
struct SettledIndex {
	const char *name;
	const char *smaller; // kind; nullptr: it has none
	bool may_go;
};
constexpr SettledIndex kSettledIndexes[] = {{"created_at", "brin", true},
                                            {"event_id", "brin", false},
                                            {"type_time", "short", true},
                                            {"event_data_gin", nullptr, true},
                                            {"metadata_gin", nullptr, true}};

std::string
KindsOf(const SettledIndex &index) {
	const std::string smaller = index.smaller == nullptr ? "" : index.smaller;
	if (!index.may_go) {
		return "keep or " + smaller;
	}
	return smaller.empty() ? "keep or none" : "keep, " + smaller + " or none";
}

bool
MayBecome(const SettledIndex &index, const std::string &kind) {
	return kind == "keep" || (kind == "none" && index.may_go) || (index.smaller != nullptr && kind == index.smaller);
}

// Refuses an index that cannot be spared, and a kind that it cannot have.
void
CheckPolicy(const std::string &name, const std::string &kind) {
	for (const SettledIndex &index : kSettledIndexes) {
		if (name == index.name) {
			if (!MayBecome(index, kind)) {
				throw DomainError(sqlstate::kInvalidParameter, "p_kind must be " + KindsOf(index) + " for " + name,
				                  "The kind given is \"" + kind + "\".", "keep leaves the index as it is.");
			}
			return;
		}
	}
	const bool needed = name == "stream" || name == "position";
	throw DomainError(sqlstate::kInvalidParameter, needed ? "index " + name + " of a month is always kept" : "no index is called \"" + name + "\"",
	                  needed ? "Versions and positions are found by it." : "A month's indexes are named idx_event_store_NAME_YYYY_MM.",
	                  "Those that may change are created_at, event_id, type_time, event_data_gin and metadata_gin.");
}

void
PutStatement(const pg::Rows &rows, int32 step, const pg::PlannedStep &planned) {
	const char *statement = planned.statement.c_str();
	const char *reason = planned.reason;
	Call([&](Server server) {
		const Datum values[4] = {Int32GetDatum(step), DateADTGetDatum(planned.month.StartDays()), CStringGetTextDatum(statement),
		                         CStringGetTextDatum(reason)};
		const bool isnull[4] = {};
		pg::PutRow(server, rows, values, isnull);
	});
}

} // namespace

AUREN_FUNCTION(auren_set_settle_policy) {
	pg::RequireUnbound("set how months are settled", "They hold the events of all tenants.");
	const pg::Text index = pg::TextArgument(fcinfo, 0, "p_index");
	const pg::Text kind = pg::TextArgument(fcinfo, 1, "p_kind");
	const std::string name(index.name.bytes);
	const std::string to(kind.name.bytes);
	CheckPolicy(name, to);
	Call([] { PreventCommandIfReadOnly("events.set_settle_policy()"); });
	(void)pg::QueryAsOwner("DELETE FROM auren.settled_indexes WHERE index_name = $1", {name});
	if (to != "keep") {
		(void)pg::QueryAsOwner("INSERT INTO auren.settled_indexes (index_name, kind) VALUES ($1, $2)", {name, to});
	}
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_maintenance_plan) {
	pg::RequireUnbound("plan the maintenance of months", "They hold the events of all tenants.");
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	int32 step = 0;
	for (const pg::PlannedStep &planned : pg::PlanSettling()) {
		PutStatement(rows, ++step, planned);
	}
	return 0;
}

AUREN_FUNCTION(auren_mark_settled) {
	pg::RequireUnbound("settle months", "They hold the events of all tenants.");
	pg::RequireNotNull(fcinfo, 0, "p_month");
	Call([] { PreventCommandIfReadOnly("events.mark_settled()"); });
	pg::MarkSettled(Month::FromDays(PG_GETARG_DATEADT(0)));
	PG_RETURN_VOID();
}

} // namespace auren
