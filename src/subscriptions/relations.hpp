#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Consumers, checkpoints and events that are held for later.
inline OwnRelation subscriptions("auren", "subscription_settings");
inline OwnRelation subscriptions_pkey("auren", "subscription_settings_pkey");
inline OwnRelation progress("auren", "subscription_progress");
inline OwnRelation progress_index("auren", "subscription_progress_share");
inline OwnRelation consumers("auren", "subscription_consumers");
inline OwnRelation consumers_index("auren", "subscription_consumers_seen");
inline OwnRelation held("auren", "subscription_held");
inline OwnRelation held_pkey("auren", "subscription_held_pkey");
inline OwnRelation held_stream("auren", "subscription_held_stream");
inline OwnRelation held_time("auren", "subscription_held_time");

} // namespace auren::pg::own
