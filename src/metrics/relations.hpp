#pragma once

#include "server/own_relation.hpp"

namespace auren::pg::own {

// Sources and series. The table of readings is in the store's relations.
inline OwnRelation sources("analytics", "sources");
inline OwnRelation filled_sources("auren", "filled_sources");
inline OwnRelation source_partitions("auren", "source_partitions");
inline OwnRelation series("auren", "series");
inline OwnRelation series_names("auren", "series_names");
inline OwnRelation series_ids("auren", "series_ids");
inline OwnRelation series_secret("auren", "series_secret");

// What writers leave.
inline OwnRelation deltas("auren", "deltas");
inline OwnRelation delta_packs("auren", "delta_packs");
inline OwnRelation refusals("auren", "refusals");
// What dropped months leave. It came with 0.2.0.
inline OwnRelation carried_readings("auren", "carried_readings");

// What a refresh makes of it, and its settings.
inline OwnRelation metric_settings("auren", "metric_settings");
inline OwnRelation retention("auren", "retention");
inline OwnRelation refresh_runs("auren", "refresh_runs");
inline OwnRelation refresh_runs_finished("auren", "refresh_runs_finished");
inline OwnRelation rollup_periods("auren", "rollup_periods");
// five minutes, hours, days
inline OwnRelation rollups[] = {{"auren", "rollup_5min"}, {"auren", "rollup_hourly"}, {"auren", "rollup_daily"}};
inline OwnRelation rollup_keys[] = {{"auren", "rollup_5min_pkey"}, {"auren", "rollup_hourly_pkey"}, {"auren", "rollup_daily_pkey"}};

} // namespace auren::pg::own
