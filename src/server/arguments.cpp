#include "server/arguments.hpp"

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "server/guard.hpp"

namespace auren::pg {

void
ThrowNull(const char *parameter) {
	throw DomainError(sqlstate::kNullNotAllowed, std::string(parameter) + " must not be NULL",
	                  "The function was called with NULL for " + std::string(parameter) + ".",
	                  "Give a value, or leave the parameter out if it has a default.");
}

Text
TextOf(Datum datum) {
	struct Read {
		struct varlena *value;
		int characters;
	};
	const Read read = Call([&] {
		struct varlena *value = PG_DETOAST_DATUM_PACKED(datum);
		const int size = static_cast<int>(VARSIZE_ANY_EXHDR(value));
		return Read{value, pg_mbstrlen_with_len(VARDATA_ANY(value), size)};
	});
	return {{{VARDATA_ANY(read.value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(read.value))}, static_cast<std::size_t>(read.characters)},
	        PointerGetDatum(read.value)};
}

Text
TextArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	RequireNotNull(fcinfo, argument, parameter);
	return TextOf(PG_GETARG_DATUM(argument));
}

std::optional<Text>
OptionalTextArgument(FunctionCallInfo fcinfo, int argument) {
	if (PG_ARGISNULL(argument)) {
		return std::nullopt;
	}
	return TextOf(PG_GETARG_DATUM(argument));
}

Datum
JsonbOf(Datum datum) {
	return Call([&] { return JsonbPGetDatum(DatumGetJsonbP(datum)); });
}

Elements
ArrayArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, Oid element_type) {
	RequireNotNull(fcinfo, argument, parameter);
	const ArrayType *array = Call([&] { return static_cast<const ArrayType *>(PG_GETARG_ARRAYTYPE_P(argument)); });
	if (ARR_NDIM(array) > 1) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must have one dimension",
		                  "It has " + std::to_string(ARR_NDIM(array)) + " dimensions.", "Give one element per event.");
	}
	Elements elements;
	Call([&] {
		int16 length;
		bool by_value;
		char alignment;
		get_typlenbyvalalign(element_type, &length, &by_value, &alignment);
		deconstruct_array(const_cast<ArrayType *>(array), element_type, length, by_value, alignment, &elements.values, &elements.isnull,
		                  &elements.count);
	});
	return elements;
}

} // namespace auren::pg
