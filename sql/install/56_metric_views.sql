-- The metrics as they are at this moment: what is merged and what is not yet.

CREATE TYPE auren.metrics AS (
	reading_count bigint,
	avg_value     double precision,
	min_value     double precision,
	max_value     double precision,
	stddev_value  double precision,
	p50_value     double precision,
	p95_value     double precision,
	value_count   bigint,
	sum_value     double precision
);
COMMENT ON TYPE auren.metrics IS 'what a summary of readings says';

CREATE FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) RETURNS internal
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_add_summary';
COMMENT ON FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) IS 'transition of auren.metric_values';
REVOKE ALL ON FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) FROM PUBLIC;
CREATE FUNCTION auren.summary_metrics(internal) RETURNS auren.metrics
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_summary_metrics';
COMMENT ON FUNCTION auren.summary_metrics(internal) IS 'final function of auren.metric_values';
REVOKE ALL ON FUNCTION auren.summary_metrics(internal) FROM PUBLIC;
CREATE AGGREGATE auren.metric_values(bytea, bigint, timestamptz, integer) (
	SFUNC = auren.add_summary, STYPE = internal, FINALFUNC = auren.summary_metrics, PARALLEL = RESTRICTED);
COMMENT ON AGGREGATE auren.metric_values(bytea, bigint, timestamptz, integer) IS
'metrics of a bucket from the summaries of its parts (summary, series, start, minutes of the bucket; 0 for a day, -1 for an hour of the zone)';

CREATE FUNCTION auren.filled_sources() RETURNS integer[]
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_filled_sources';
COMMENT ON FUNCTION auren.filled_sources() IS 'sources whose readings the rollups hold';
CREATE FUNCTION auren.unfilled_readings()
	RETURNS TABLE (tenant_id text, user_id text, device_type text, metric_type text, bucket timestamptz, summary bytea)
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'auren_unfilled_readings';
COMMENT ON FUNCTION auren.unfilled_readings() IS 'readings of this session''s tenant in sources that the rollups do not hold yet, by five minutes';

CREATE VIEW auren.tenant_series WITH (security_barrier) AS
	SELECT tenant_id, user_id, device_type, metric_type, series_id
	FROM auren.series
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())
	  AND source_id OPERATOR(pg_catalog.=) ANY ((SELECT auren.filled_sources())::integer[])
	GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW auren.tenant_series IS 'series of this session''s tenant';

-- The costs have the planner ask the index for one user's packs, and unpack each once for all users.
CREATE FUNCTION auren.delta_lots(bigint) RETURNS integer[]
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'auren_delta_lots';
COMMENT ON FUNCTION auren.delta_lots(bigint) IS 'lots that the packs with deltas of a series have';
CREATE FUNCTION auren.has_deltas(bytea, bigint) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'auren_has_deltas';
COMMENT ON FUNCTION auren.has_deltas(bytea, bigint) IS 'whether a pack has deltas of a series';
CREATE FUNCTION auren.unpack_deltas(bytea) RETURNS TABLE (series_id bigint, bucket timestamptz, summary bytea)
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 400 ROWS 32 AS 'MODULE_PATHNAME', 'auren_unpack_deltas';
COMMENT ON FUNCTION auren.unpack_deltas(bytea) IS 'deltas of a pack';

CREATE VIEW auren.tenant_deltas AS
	SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, s.series_id, d.bucket, d.summary
	FROM auren.tenant_series s, auren.deltas d
	WHERE d.series_id OPERATOR(pg_catalog.=) s.series_id
	UNION ALL
	SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, s.series_id, d.bucket, d.summary
	FROM auren.tenant_series s, auren.delta_packs p, LATERAL auren.unpack_deltas(p.deltas) d
	WHERE p.lot OPERATOR(pg_catalog.=) ANY (auren.delta_lots(s.series_id)) AND p.first_series OPERATOR(pg_catalog.<=) s.series_id
	  AND p.last_series OPERATOR(pg_catalog.>=) s.series_id AND auren.has_deltas(p.deltas, s.series_id) AND d.series_id OPERATOR(pg_catalog.=) s.series_id;
COMMENT ON VIEW auren.tenant_deltas IS 'what is not merged yet of this session''s tenant, by five minutes';

-- Barriers: a function of the caller's own would else be asked of the times of other tenants' readings. Comparisons of a date with a date and of a
-- timestamptz with a timestamptz leak nothing and choose the rows that are read; one of a timestamptz with a date does not.
CREATE VIEW analytics.user_metrics_daily WITH (security_barrier) AS
	SELECT day, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, day,
		       auren.metric_values(summary, series_id, part, 0) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.day, r.summary, s.series_id, NULL::timestamptz AS part
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_daily r
			WHERE p.level OPERATOR(pg_catalog.=) 2 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       (bucket AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date, summary, series_id, bucket
			FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       (bucket AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date, summary, NULL, bucket
			FROM auren.unfilled_readings()) r
		WHERE day OPERATOR(pg_catalog.>=) COALESCE((SELECT (dropped_before AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date
		                     FROM auren.retention WHERE level OPERATOR(pg_catalog.=) 'daily'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, day) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_daily IS 'metrics of this session''s tenant by day, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_daily', 'SELECT', '{reader}');

CREATE VIEW analytics.user_metrics_hourly WITH (security_barrier) AS
	SELECT bucket, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, bucket,
		       auren.metric_values(summary, series_id, bucket, -1) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.bucket, r.summary, s.series_id
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_hourly r
			WHERE p.level OPERATOR(pg_catalog.=) 1 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       pg_catalog.date_trunc('hour', bucket, COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC')), summary, series_id
			FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       pg_catalog.date_trunc('hour', bucket, COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC')), summary, NULL
			FROM auren.unfilled_readings()) r
		WHERE bucket OPERATOR(pg_catalog.>=) COALESCE((SELECT dropped_before FROM auren.retention WHERE level OPERATOR(pg_catalog.=) 'hourly'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, bucket) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_hourly IS 'metrics of this session''s tenant by hour, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_hourly', 'SELECT', '{reader}');

CREATE VIEW analytics.user_metrics_5min WITH (security_barrier) AS
	SELECT bucket, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, bucket,
		       auren.metric_values(summary, series_id, bucket, 5) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.bucket, r.summary, s.series_id
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_5min r
			WHERE p.level OPERATOR(pg_catalog.=) 0 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type, bucket, summary, series_id FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type, bucket, summary, NULL FROM auren.unfilled_readings()) r
		WHERE bucket OPERATOR(pg_catalog.>=) COALESCE((SELECT dropped_before FROM auren.retention WHERE level OPERATOR(pg_catalog.=) '5min'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, bucket) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_5min IS 'metrics of this session''s tenant by five minutes, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_5min', 'SELECT', '{reader}');

CREATE VIEW analytics.refresh_status AS
	SELECT (SELECT pg_catalog.count(*) FROM auren.deltas) OPERATOR(pg_catalog.+)
	       (SELECT COALESCE(pg_catalog.sum(changes), 0)::bigint FROM auren.delta_packs) AS pending_changes,
	       (SELECT pg_catalog.count(*) FROM analytics.sources s WHERE detached OR NOT EXISTS (
	       	SELECT FROM auren.filled_sources f WHERE f.source_id OPERATOR(pg_catalog.=) s.source_id)) AS pending_sources,
	       r.finished_at AS last_run, r.duration AS last_duration, r.changes AS last_changes, r.buckets AS last_rows,
	       (SELECT COALESCE(pg_catalog.sum(refused), 0)::bigint FROM auren.refusals) AS refused_readings
	FROM (SELECT true) one
	LEFT JOIN LATERAL (SELECT * FROM auren.refresh_runs ORDER BY finished_at DESC LIMIT 1) r ON true;
COMMENT ON VIEW analytics.refresh_status IS 'changes that the next refresh will merge, and what the last one did';
INSERT INTO auren.rights VALUES ('analytics.refresh_status', 'SELECT', '{reader,admin}');

CREATE VIEW analytics.refused_readings WITH (security_barrier) AS
	SELECT r.source_id, s.relation, s.event_type, r.reason, pg_catalog.sum(r.refused)::bigint AS refused, pg_catalog.max(r.last_position) AS last_position
	FROM auren.refusals r JOIN analytics.sources s ON s.source_id OPERATOR(pg_catalog.=) r.source_id
	WHERE r.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant()) AND NOT s.detached
	GROUP BY r.source_id, s.relation, s.event_type, r.reason
	HAVING pg_catalog.sum(r.refused) OPERATOR(pg_catalog.<>) 0;
COMMENT ON VIEW analytics.refused_readings IS 'what the sources of this session''s tenant hold that is not a reading, by source and reason';
INSERT INTO auren.rights VALUES ('analytics.refused_readings', 'SELECT', '{reader,admin}');
