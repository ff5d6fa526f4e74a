#pragma once

#include "pg/event_source.hpp"
#include "pg/postgres.hpp"

namespace auren {

// What the streaming functions read.
pg::EventSource *OpenReplay(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReplayBackward(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenByTime(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReadAll(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);

} // namespace auren
