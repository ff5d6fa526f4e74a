#pragma once

#include <optional>
#include <string_view>

#include "core/name.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A text argument: its bytes, its length in characters, and the datum (not toasted). In the caller's memory context.
 */
struct Text {
	Name name;
	Datum datum;
};

[[noreturn]] void ThrowNull(const char *parameter);

// Throws 22004 with the parameter's name: a NULL would otherwise look like an answer.
inline void
RequireNotNull(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	if (PG_ARGISNULL(argument)) {
		ThrowNull(parameter);
	}
}

Text TextArgument(FunctionCallInfo fcinfo, int argument, const char *parameter);
std::optional<Text> OptionalTextArgument(FunctionCallInfo fcinfo, int argument);
Text TextOf(Datum datum);
// a jsonb that is not toasted
Datum JsonbOf(Datum datum);

/*
 * The elements of an array argument of one dimension. Throws 22023 for more dimensions.
 */
struct Elements {
	Datum *values = nullptr;
	bool *isnull = nullptr;
	int count = 0;
};
Elements ArrayArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, Oid element_type);

} // namespace auren::pg
