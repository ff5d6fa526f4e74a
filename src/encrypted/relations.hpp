#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Keys, rules and the audit. The table of keys is in the store's relations.
inline OwnRelation data_keys_pkey("auren", "data_keys_pkey");
inline OwnRelation key_uses("auren", "key_uses");
inline OwnRelation key_uses_key("auren", "key_uses_key");
inline OwnRelation forgotten("auren", "forgotten_people");
inline OwnRelation forgotten_pkey("auren", "forgotten_people_pkey");
inline OwnRelation personal_rules("auren", "declared_personal_rules");
inline OwnRelation audit_log("encrypted", "audit_log");

} // namespace auren::pg::own
