#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Reducers and snapshots.
inline OwnRelation reducers("auren", "declared_reducers");
inline OwnRelation snapshots("auren", "stream_snapshots");
inline OwnRelation snapshots_index("auren", "stream_snapshots_stream");

} // namespace auren::pg::own
