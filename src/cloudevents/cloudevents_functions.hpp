#pragma once

#include "server/postgres.hpp"
#include "server/row_source.hpp"

namespace auren {

// What events.as_cloudevents reads.
pg::RowSource *OpenAsCloudevents(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);

} // namespace auren
