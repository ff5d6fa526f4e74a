#include "server/rows.hpp"

namespace auren::pg {

Rows
BeginRows(Server, FunctionCallInfo fcinfo) {
	// a set of single values: the executor says how it wants them
	const bool single = get_call_result_type(fcinfo, nullptr, nullptr) == TYPEFUNC_SCALAR;
	InitMaterializedSRF(fcinfo, single ? MAT_SRF_USE_EXPECTED_DESC : 0);
	const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	return {result->setResult, result->setDesc};
}

void
PutRow(Server, const Rows &rows, const Datum *values, const bool *isnull) {
	tuplestore_putvalues(rows.store, rows.descriptor, const_cast<Datum *>(values), const_cast<bool *>(isnull));
}

} // namespace auren::pg
