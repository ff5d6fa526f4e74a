// auren.tag_hash

#include "core/tags/tag_hash.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"

namespace auren {

AUREN_FUNCTION(auren_tag_hash) {
	const TagHash hash(pg::TextArgument(fcinfo, 0, "p_tenant_id").name.bytes);
	return Int64GetDatum(hash.Of(pg::TextArgument(fcinfo, 1, "p_tag").name.bytes));
}

} // namespace auren
