#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The result of a set-returning function: rows go to a tuplestore, which spills to disk at work_mem.
 */
struct Rows {
	Tuplestorestate *store;
	TupleDesc descriptor;
};

Rows BeginRows(Server server, FunctionCallInfo fcinfo);
void PutRow(Server server, const Rows &rows, const Datum *values, const bool *isnull);

} // namespace auren::pg
