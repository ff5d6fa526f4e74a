#pragma once

#include "metrics/event_readings.hpp"
#include "metrics/table_readings.hpp"

namespace auren::pg {

// All readings of a source by the active server snapshot: of a table for nobody, of events as the owner of the store.
inline void
ScanSource(const Source &source, ReadingSink *sink) {
	if (OidIsValid(source.relation)) {
		ScanTable(source, sink);
	} else {
		ScanEvents(source, sink);
	}
}

} // namespace auren::pg
