#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Events, streams and tenants.
inline OwnRelation events("events", "event_store");
inline OwnRelation event_tags("auren", "event_tags");
inline OwnRelation stream_rows("auren", "stream_rows");
inline OwnRelation stream_rows_pkey("auren", "stream_rows_pkey");
inline OwnRelation bindings("events", "tenant_bindings");

// Other rooms fill these. The store waives rights on readings, and asks what would be lost with a table.
inline OwnRelation readings("biometric", "biometric_events");
inline OwnRelation data_keys("auren", "data_keys");

} // namespace auren::pg::own
