#pragma once

#include "pg/arguments.hpp"
#include "pg/event_source.hpp"
#include "pg/postgres.hpp"

namespace auren {

// A stream id as an argument; throws 22004, 22023.
pg::Text StreamArgument(FunctionCallInfo fcinfo);
// A version as an argument, `otherwise` where it is NULL; throws 22023 when it is negative.
int64 VersionArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int64 otherwise);

// p_limit: the rows of a page; throws 22004, 22023.
int64 LimitArgument(FunctionCallInfo fcinfo, int argument);

// What the streaming functions read.
pg::EventSource *OpenReplay(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReplayBackward(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenByTime(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);
pg::EventSource *OpenReadAll(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);

} // namespace auren
