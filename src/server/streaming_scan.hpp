#pragma once

#include "server/guard.hpp"
#include "server/own_relation.hpp"
#include "server/postgres.hpp"
#include "server/row_source.hpp"

namespace auren::pg {

/*
 * Puts a custom scan in the place of a function in FROM, so that its rows come one by one instead of all at once: under LIMIT,
 * in a cursor, in a join. The function's planner support function loads this module while a statement is planned, and the
 * hook that loading installs is asked later in the same planning: no preload setting is needed.
 *
 * The planner's scan of the function stays where the custom scan cannot take its place: WITH ORDINALITY, ROWS FROM,
 * volatile arguments. A plan with such a scan is made anew when the table changes.
 */
void RegisterStreamingScans(Server server, const StreamingFunction *functions, int count, OwnRelation *table);

// The body of the planner support function.
Datum SupportStreaming(Server server, FunctionCallInfo fcinfo);
// The support function's address, by which the planner's call is known.
extern PGFunction streaming_support;

} // namespace auren::pg
