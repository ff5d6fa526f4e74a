#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Rules that make tags and spans of events' data.
inline OwnRelation tag_rules("auren", "declared_tag_rules");
inline OwnRelation span_rules("auren", "declared_span_rules");

} // namespace auren::pg::own
