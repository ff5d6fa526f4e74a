#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

inline constexpr int kMaxSourceColumns = 9;

/*
 * What a set-returning function of ours reads, row by row. Plain data in the memory context in which it was opened, so
 * that an error's longjmp leaves nothing behind.
 */
struct EventSource {
	// The next row's columns, valid until the one after; false behind the end.
	bool (*next)(Server server, EventSource *source, Datum *values, bool *isnull);
	void (*end)(Server server, EventSource *source);
};

/*
 * Opens the source of a call, whose arguments it checks. The snapshot stays registered or active until the source is
 * ended. `reverse`: against its own order, where the function says that it can.
 */
using OpenSource = EventSource *(*)(FunctionCallInfo fcinfo, Snapshot snapshot, bool reverse);

/*
 * A function whose rows are streamed where it stands in FROM; see server/streaming_scan.hpp.
 */
struct StreamingFunction {
	PGFunction function; // the entry, by which a call is known
	const char *name;    // of its custom scan, for EXPLAIN
	OpenSource open;
	// Its order: numbers of result columns, 0 behind the last one.
	AttrNumber order[2];
	bool descending;
	bool reversible;
};

// The whole result of a call, into a tuplestore: where the planner leaves a function to the executor.
Datum Materialize(FunctionCallInfo fcinfo, OpenSource open);

} // namespace auren::pg
