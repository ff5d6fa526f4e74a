#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

inline OwnRelation seals("auren", "seals");
inline OwnRelation seal_leaves("auren", "seal_leaves");

} // namespace auren::pg::own
