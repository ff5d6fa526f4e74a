// The months of the store: auren.month_figures.

#include <string>

#include "operations/month_list.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr int kColumns = 9;

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
		                                Int64GetDatum(month.last_seal),
		                                TextArray(server, items, count)};
		const bool isnull[kColumns] = {false, false, none, none, none, none, false, month.last_seal == 0, false};
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

} // namespace auren
