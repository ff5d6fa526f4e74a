#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Which events are announced.
inline OwnRelation notification_rules("auren", "declared_notification_rules");

} // namespace auren::pg::own
