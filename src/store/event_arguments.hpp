#pragma once

#include "server/arguments.hpp"
#include "server/postgres.hpp"

namespace auren {

/*
 * Arguments that several functions have, with their checks. Each throws 22004 for NULL where a value is needed, 22023 for one that
 * cannot be meant.
 */

pg::Text StreamArgument(FunctionCallInfo fcinfo);
// A version, `otherwise` where it is NULL; not negative.
int64 VersionArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int64 otherwise);
// p_limit: the rows of a page; not negative.
int64 LimitArgument(FunctionCallInfo fcinfo, int argument);
// p_category, which must be one: not empty, without a colon.
pg::Text CategoryArgument(FunctionCallInfo fcinfo, int argument);
// p_event_types: texts that are not toasted, in the caller's memory context. values is nullptr where it is NULL: all types.
pg::Elements EventTypesArgument(FunctionCallInfo fcinfo, int argument);

} // namespace auren
