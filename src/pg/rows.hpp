#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * The result of a set-returning function: rows go to a tuplestore, which spills to disk at work_mem. Server side.
 */
struct Rows {
	Tuplestorestate *store;
	TupleDesc descriptor;
};

Rows BeginRows(FunctionCallInfo fcinfo);
void PutRow(const Rows &rows, const Datum *values, const bool *isnull);

} // namespace auren::pg
