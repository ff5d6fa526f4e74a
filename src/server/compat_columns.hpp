#pragma once

#include "server/postgres.hpp"

namespace auren::pg::compat {

// Whether a column has no value in the table's rows: it is computed for each query that asks for it.
//   18: generated columns that are virtual
inline bool
IsVirtual([[maybe_unused]] const FormData_pg_attribute *column) {
#if PG_VERSION_NUM >= 180000
	return column->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

} // namespace auren::pg::compat
