#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Seals.
inline OwnRelation seals("auren", "seals");
inline OwnRelation seal_leaves("auren", "seal_leaves");
// Moving in.
inline OwnRelation import_changes("auren", "import_changes");

} // namespace auren::pg::own
