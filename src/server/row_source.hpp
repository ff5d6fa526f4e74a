#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

inline constexpr int kMaxRowSourceColumns = 10;

/*
 * What a set-returning function of ours reads, row by row. Plain data in the memory context in which it was opened, so
 * that an error's longjmp leaves nothing open.
 */
struct RowSource {
	// The next row's columns, valid until the one after; false after the last one.
	bool (*next)(Server server, RowSource *source, Datum *values, bool *isnull);
	void (*end)(Server server, RowSource *source);
};

/*
 * Opens the row source of a call, whose arguments it checks. The snapshot stays registered or active until the source is
 * ended. BackwardScanDirection: against the function's own order, where the function says that it can.
 */
using OpenRowSource = RowSource *(*)(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);

/*
 * A function whose rows are streamed where it stands in FROM; see server/streaming_scan.hpp.
 */
struct StreamingFunction {
	PGFunction function; // the entry, by which a call is known
	PGFunction released; // the entry by which the script of a released version knows it; nullptr: there is no other
	const char *name;    // of its custom scan, for EXPLAIN
	OpenRowSource open;
	// Its order: numbers of result columns, 0 after the last one.
	AttrNumber order[2];
	bool descending;
	bool reversible;
	// Which argument, a boolean, asks for the other order, 0 for none. Where it is not a constant the order is not known.
	int backwards_argument;
	// The column, a bigint in ascending order, of which only rows above the first argument are given, where that is so: a condition of the query may
	// then move the beginning. 0: there is none. The second argument is a limit.
	AttrNumber position_column = 0;
};

// The whole result of a call, into a tuplestore: where the planner leaves a function to the executor.
Datum Materialize(FunctionCallInfo fcinfo, OpenRowSource open);

} // namespace auren::pg
