#include "server/rows.hpp"

namespace auren::pg {

Rows
BeginRows(Server, FunctionCallInfo fcinfo) {
	// The executor has looked up what the function gives, single values too: to look again takes 8 thousand instructions.
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	return {result->setResult, result->setDesc};
}

void
PutRow(Server, const Rows &rows, const Datum *values, const bool *isnull) {
	tuplestore_putvalues(rows.store, rows.descriptor, const_cast<Datum *>(values), const_cast<bool *>(isnull));
}

} // namespace auren::pg
