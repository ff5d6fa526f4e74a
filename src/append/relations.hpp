#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// The ids that callers supplied.
inline OwnRelation supplied_ids("auren", "supplied_ids");
inline OwnRelation supplied_ids_pkey("auren", "supplied_ids_pkey");

} // namespace auren::pg::own
