#pragma once

#include "server/row_source.hpp"

namespace auren {

// The row source of events.read_by_query.
pg::RowSource *OpenReadByQuery(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);

} // namespace auren
