#include "server/row_source.hpp"

#include "server/guard.hpp"
#include "server/rows.hpp"

namespace auren::pg {

Datum
Materialize(FunctionCallInfo fcinfo, OpenRowSource open) {
	const Rows rows = Call([&](Server server) { return BeginRows(server, fcinfo); });
	RowSource *source = open(fcinfo, GetActiveSnapshot(), ForwardScanDirection);
	Call([&](Server server) {
		Datum values[kMaxRowSourceColumns];
		bool isnull[kMaxRowSourceColumns] = {};
		while (source->next(server, source, values, isnull)) {
			CHECK_FOR_INTERRUPTS();
			PutRow(server, rows, values, isnull);
		}
		source->end(server, source);
	});
	return 0;
}

} // namespace auren::pg
