#include "pg/event_source.hpp"

#include "pg/guard.hpp"
#include "pg/rows.hpp"

namespace auren::pg {

Datum
Materialize(FunctionCallInfo fcinfo, OpenSource open) {
	const Rows rows = Call([&] { return BeginRows(fcinfo); });
	EventSource *source = open(fcinfo, GetActiveSnapshot(), false);
	Call([&] {
		Datum values[kMaxSourceColumns];
		bool isnull[kMaxSourceColumns] = {};
		while (source->next(source, values, isnull)) {
			CHECK_FOR_INTERRUPTS();
			PutRow(rows, values, isnull);
		}
		source->end(source);
	});
	return 0;
}

} // namespace auren::pg
