#pragma once

#include "core/conditions/query.hpp"
#include "server/postgres.hpp"

namespace auren {

// Whether a query may speak of a stream's version: a condition may, a reader has no use for it.
enum class Versions { kAllowed, kRefused };

/*
 * p_query, as plain data in the caller's memory context. Throws 22004 for NULL, 22023 for what is no query, or has a name that no stream, type or tag
 * has.
 */
QueryView QueryArgument(FunctionCallInfo fcinfo, int argument, Versions versions);

} // namespace auren
