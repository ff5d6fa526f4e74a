#include "store/event_arguments.hpp"

#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/guard.hpp"

namespace auren {

pg::Text
StreamArgument(FunctionCallInfo fcinfo) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	CheckStreamId(stream.name);
	return stream;
}

int64
VersionArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int64 otherwise) {
	if (PG_ARGISNULL(argument)) {
		return otherwise;
	}
	const int64 version = PG_GETARG_INT64(argument);
	if (version < 0) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not be negative",
		                  "The version given is " + std::to_string(version) + ".", "Versions of a stream are 1, 2, 3 and so on.");
	}
	return version;
}

int64
LimitArgument(FunctionCallInfo fcinfo, int argument) {
	pg::RequireNotNull(fcinfo, argument, "p_limit");
	const int64 limit = PG_GETARG_INT32(argument);
	if (limit < 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_limit must not be negative", "The limit given is " + std::to_string(limit) + ".",
		                  "Give the number of rows of a page.");
	}
	return limit;
}

pg::Text
CategoryArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text category = pg::TextArgument(fcinfo, argument, "p_category");
	if (category.name.bytes.empty() || category.name.bytes.find(':') != std::string_view::npos) {
		throw DomainError(sqlstate::kInvalidParameter, "p_category must be a category",
		                  "It is the part of a stream id before the first colon: not empty, and without one.", "Give 'user' for user:1, say.");
	}
	return category;
}

pg::Elements
EventTypesArgument(FunctionCallInfo fcinfo, int argument) {
	if (PG_ARGISNULL(argument)) {
		return {};
	}
	pg::Elements types = pg::ArrayArgument(fcinfo, argument, "p_event_types", TEXTOID);
	for (int i = 0; i < types.count; i++) {
		if (types.isnull[i]) {
			throw DomainError(sqlstate::kInvalidParameter, "p_event_types must not hold NULL", "Element " + std::to_string(i + 1) + " is NULL.",
			                  "Leave it out; NULL in place of the array means all types.");
		}
		const pg::Text type = pg::TextOf(types.values[i]);
		CheckEventType(type.name);
		types.values[i] = type.datum;
	}
	if (types.values == nullptr) {
		// an empty array is not NULL
		types.values = pg::Call([] { return static_cast<Datum *>(palloc(sizeof(Datum))); });
	}
	return types;
}

} // namespace auren
