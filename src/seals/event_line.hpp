#pragma once

#include "core/seals/canonical_line.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"

namespace auren::pg {

/*
 * An event as AppendLine takes it: its texts as UTF-8 (a database without an encoding has what it has), data and metadata as the server prints them.
 * What it leads to lives in the current memory context, or where the row has it.
 */
EventLine ReadEventLine(Server server, const EventRow &row);

} // namespace auren::pg
