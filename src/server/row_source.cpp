#include "server/row_source.hpp"

#include "server/guard.hpp"
#include "server/rows.hpp"

namespace auren::pg {

Datum
Materialize(FunctionCallInfo fcinfo, OpenSource open) {
	const Rows rows = Call([&](Server server) { return BeginRows(server, fcinfo); });
	EventSource *source = open(fcinfo, GetActiveSnapshot(), false);
	Call([&](Server server) {
		Datum values[kMaxSourceColumns];
		bool isnull[kMaxSourceColumns] = {};
		while (source->next(server, source, values, isnull)) {
			CHECK_FOR_INTERRUPTS();
			PutRow(server, rows, values, isnull);
		}
		source->end(server, source);
	});
	return 0;
}

} // namespace auren::pg
