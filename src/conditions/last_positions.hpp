#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/partitions.hpp"

namespace auren::pg {

/*
 * Whether a month has no event after a position. A query and a condition ask it of every month, however many there are, and most have none: so where
 * the last leaf of the month's index on positions is, the session remembers, and looks there without opening the month.
 */

// To be called once before the months are asked: hears of what has changed.
void BeginAskingMonths(Server server);
enum class MonthEnd { kNotAfter, kAfter, kUnknown };
// Whether a month ends after a position, as far as it is known without opening it.
MonthEnd KnownEnd(Server server, Oid month, int64 position);
// Whether it does not, with its index on positions open. It is remembered.
bool EndsBefore(Server server, Oid month, Relation position_index, int64 position);

// For _PG_init: from now on changes of the months are heard of.
void RegisterLastPositions(Server server);

} // namespace auren::pg
