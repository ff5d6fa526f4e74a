#pragma once

#include "server/postgres.hpp"
#include "server/row_source.hpp"

namespace auren {

// What the streaming functions read.
pg::EventSource *OpenReplay(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReplayBackward(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenByTime(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReadAll(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);

} // namespace auren
