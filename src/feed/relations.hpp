#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// The order of all events.
inline OwnRelation positions("auren", "global_position_seq");
inline OwnRelation horizons("auren", "feed_horizons");
inline OwnRelation horizons_index("auren", "feed_horizons_position");

} // namespace auren::pg::own
