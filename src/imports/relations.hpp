#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

inline OwnRelation import_changes("auren", "import_changes");

} // namespace auren::pg::own
