#pragma once

#include "server/postgres.hpp"
#include "server/row_source.hpp"

namespace auren {

// What the streaming functions read.
pg::RowSource *OpenReplay(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);
pg::RowSource *OpenReplayBackward(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);
pg::RowSource *OpenByTime(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);
pg::RowSource *OpenReadAll(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);

} // namespace auren
