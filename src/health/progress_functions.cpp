// What sessions do that takes long, for the view events.progress.

#include "server/entry.hpp"
#include "server/progress.hpp"
#include "server/rows.hpp"

namespace auren {

AUREN_FUNCTION(auren_work_phases) {
	return pg::Call([&](pg::Server server) {
		const pg::Rows rows = pg::BeginRows(server, fcinfo);
		const bool isnull[4] = {};
		for (const pg::NamedPhase *phase = pg::kPhases; phase->name != nullptr; phase++) {
			const Datum values[4] = {Int32GetDatum(static_cast<int32>(phase->phase)), CStringGetTextDatum(phase->what),
			                         CStringGetTextDatum(phase->name), CStringGetTextDatum(phase->unit)};
			pg::PutRow(server, rows, values, isnull);
		}
		return static_cast<Datum>(0);
	});
}

} // namespace auren
