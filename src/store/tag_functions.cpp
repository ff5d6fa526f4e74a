// auren.name_key

#include "core/tags/name_key.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"

namespace auren {

AUREN_FUNCTION(auren_name_key) {
	return Int64GetDatum(NameKey(pg::TextArgument(fcinfo, 0, "p_name").name.bytes));
}

} // namespace auren
