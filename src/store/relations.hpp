#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Events, streams and tenants.
inline OwnRelation events("events", "event_store");
inline OwnRelation event_tags("auren", "event_tags");
inline OwnRelation stream_rows("auren", "stream_rows");
inline OwnRelation stream_rows_pkey("auren", "stream_rows_pkey");
inline OwnRelation bindings("events", "tenant_bindings");

// What months leave when they are dropped. They came with 0.2.0.
inline OwnRelation month_records("auren", "month_records");
inline OwnRelation month_records_pkey("auren", "month_records_pkey");
inline OwnRelation dropped_tenants("auren", "dropped_tenants");
inline OwnRelation dropped_tenants_pkey("auren", "dropped_tenants_pkey");
inline OwnRelation opening_states("auren", "opening_states");
inline OwnRelation opening_states_pkey("auren", "opening_states_pkey");
inline OwnRelation dropped_ids("auren", "dropped_ids");
inline OwnRelation dropped_ids_pkey("auren", "dropped_ids_pkey");

// Other rooms fill these. The store waives rights on readings, and asks what would be lost with a table.
inline OwnRelation readings("biometric", "biometric_events");
inline OwnRelation data_keys("auren", "data_keys");

} // namespace auren::pg::own
