#pragma once

#include "server/arguments.hpp"
#include "server/postgres.hpp"

namespace auren {

/*
 * Arguments that the functions of people and their keys share, with their checks.
 */

// p_user_id: a person's id. Throws 22004 for NULL, 22023 for one that is empty or too long.
pg::Text UserArgument(FunctionCallInfo fcinfo, int argument);
// p_reason, which the audit keeps; a C string in the caller's memory context. Throws 22004 for NULL, 22023 for one that is empty or too long.
const char *ReasonArgument(FunctionCallInfo fcinfo, int argument);
// Throws 25006 in a read-only transaction and 25000 in a parallel query: encrypting may make a key, and counts its uses.
void RequireWrite(const char *function);

} // namespace auren
