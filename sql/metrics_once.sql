-- Readings that are sent again: of a source that counts them once, random repeats with refreshes between them equal a recount of what differs.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\pset format unaligned
SELECT setseed(0.25);
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
SELECT events.append_event('user:once', 'synced', '{"v": 1, "timestamp": "2026-01-01T00:00:00Z"}') IS NOT NULL FROM generate_series(1, 2);
SELECT analytics.attach_events('synced', '{"v": "v", "/w": "w"}', p_samples_field => 'list', p_once => true) > 1 AS attached;
SELECT analytics.detach_events('synced');
SELECT analytics.attach_events('synced', '{"v": "v", "/w": "w"}', p_once => true) > 1 AS attached;
-- before it is filled, while it is pending, and when it is merged
CREATE VIEW t.once AS SELECT 'day' AS level, day::timestamp AS at, device_type AS device, metric_type AS metric, reading_count AS n, sum_value AS sum FROM analytics.user_metrics_daily WHERE user_id = 'once'
	UNION ALL SELECT 'hour', bucket, device_type, metric_type, reading_count, sum_value FROM analytics.user_metrics_hourly WHERE user_id = 'once'
	UNION ALL SELECT '5min', bucket, device_type, metric_type, reading_count, sum_value FROM analytics.user_metrics_5min WHERE user_id = 'once'
	UNION ALL SELECT 'chart', bucket, NULL, m, reading_count, sum_value FROM unnest('{v,w}'::text[]) m, LATERAL analytics.metric_series('once', m, '2026-01-01', '2026-01-03', '1 day') WHERE reading_count > 0
	ORDER BY 1, 2, 3, 4;
SELECT level, n, sum FROM t.once;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT level, n, sum FROM t.once;
SELECT events.append_event('user:once', 'synced', d) IS NOT NULL FROM unnest(ARRAY['{"v": 1, "timestamp": "2026-01-01T00:00:00Z"}', '{"v": 1.0, "timestamp": 1767225600}', '{"v": "1", "timestamp": "2026-01-01 01:00:00 +0100"}']::jsonb[]) d;
SELECT level, n, sum FROM t.once;
SELECT analytics.refresh_user_metrics() > 0;
SELECT level, n, sum FROM t.once;
-- what differs in time, value, device or metric counts
SELECT events.append_event('user:once', 'synced', d) IS NOT NULL FROM unnest(ARRAY['{"v": 1, "timestamp": "2026-01-01T00:00:00.000001Z"}', '{"v": 2, "timestamp": "2026-01-01T00:00:00Z"}', '{"v": 1, "timestamp": "2026-01-01T00:00:00Z", "device_type": "w"}',
	'{"w": 1, "timestamp": "2026-01-01T00:00:00Z"}', '{"w": 0, "v": 0, "timestamp": "2026-01-01T01:00:00Z"}', '{"w": -0.0, "v": 0, "timestamp": "2026-01-01T01:00:00Z"}']::jsonb[]) d;
CREATE TABLE t.once_before AS SELECT * FROM t.once;
SELECT * FROM t.once_before;
SELECT analytics.refresh_user_metrics() > 0;
SELECT count(*) FROM ((TABLE t.once EXCEPT TABLE t.once_before) UNION ALL (TABLE t.once_before EXCEPT TABLE t.once)) d;
-- another source of the same events' kind counts each
SELECT analytics.attach_events('also', '{"v": "v"}') > 1 AS attached;
SELECT events.append_event('user:once', 'also', '{"v": 1, "timestamp": "2026-01-01T00:00:00Z"}') IS NOT NULL FROM generate_series(1, 2);
SELECT n, sum FROM t.once WHERE level = 'day' AND device IS NULL AND metric = 'v';
SELECT analytics.detach_events('also');

-- a recount of random repeats, whatever the order of appends, rollbacks, refreshes, and counting anew
CREATE FUNCTION t.once_recount() RETURNS TABLE (level text, at timestamp, device text, metric text, n bigint, sum float8) LANGUAGE sql AS $$
	WITH r AS (SELECT DISTINCT event_data->>'device_type' AS device, m, (event_data->>m)::float8 AS value, (event_data->>'timestamp')::timestamptz AS at
		FROM events.event_store, unnest('{v,w}'::text[]) m WHERE event_type = 'synced' AND stream_id = 'user:model' AND event_data ? m)
	SELECT l, CASE l WHEN '5min' THEN date_bin('5 minutes', at, '2000-01-01') ELSE date_trunc(l, at) END, device, m, count(*), sum(value) FROM r, unnest('{day,hour,5min}'::text[]) l GROUP BY 1, 2, 3, 4
	UNION ALL SELECT 'chart', date_trunc('day', at), NULL, m, count(*), sum(value) FROM r GROUP BY 2, 4
$$;
CREATE VIEW t.once_model AS SELECT 'day' AS level, day::timestamp AS at, device_type AS device, metric_type AS metric, reading_count AS n, sum_value AS sum FROM analytics.user_metrics_daily WHERE user_id = 'model'
	UNION ALL SELECT 'hour', bucket, device_type, metric_type, reading_count, sum_value FROM analytics.user_metrics_hourly WHERE user_id = 'model'
	UNION ALL SELECT '5min', bucket, device_type, metric_type, reading_count, sum_value FROM analytics.user_metrics_5min WHERE user_id = 'model'
	UNION ALL SELECT 'chart', bucket, NULL, m, reading_count, sum_value FROM unnest('{v,w}'::text[]) m, LATERAL analytics.metric_series('model', m, '2026-02-01', '2026-02-03', '1 day') WHERE reading_count > 0;
CREATE FUNCTION t.once_put(p_count int) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM events.append_events(array_fill('user:model'::text, ARRAY[p_count]), array_fill('synced'::text, ARRAY[p_count]),
		(SELECT array_agg(jsonb_build_object('timestamp', '2026-02-01T23:40:00Z'::timestamptz + floor(random() * 400) * interval '6 seconds', CASE WHEN random() < 0.8 THEN 'v' ELSE 'w' END, floor(random() * 3))
		               || CASE WHEN random() < 0.3 THEN '{"device_type": "w"}' ELSE '{}' END::jsonb) FROM generate_series(1, p_count)))
$$;
CREATE FUNCTION t.once_run(p_steps int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_what int;
	v_done text := '';
	v_bad record;
	v_repeats bigint;
BEGIN
	FOR i IN 1..p_steps LOOP
		v_what := floor(random() * 8);
		v_done := right(v_done || ' ' || v_what, 60);
		CASE
			WHEN v_what < 3 THEN PERFORM t.once_put(1 + floor(random() * 20)::int);
			WHEN v_what = 3 THEN PERFORM t.once_put(400);
			WHEN v_what = 4 THEN
				BEGIN
					PERFORM t.once_put(50);
					RAISE EXCEPTION 'back';
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			WHEN v_what = 5 AND random() < 0.3 THEN PERFORM analytics.rebuild_source(source_id) FROM analytics.sources WHERE event_type = 'synced' AND NOT detached;
			ELSE PERFORM analytics.refresh_user_metrics();
		END CASE;
		SELECT m.*, r.* INTO v_bad FROM t.once_model m FULL JOIN t.once_recount() r ON m.level = r.level AND m.at = r.at AND m.metric = r.metric AND m.device IS NOT DISTINCT FROM r.device
		WHERE m.level IS NULL OR r.level IS NULL OR m.n <> r.n OR m.sum <> r.sum LIMIT 1;
		IF FOUND THEN
			RETURN 'after step ' || i || ' (' || v_done || '): ' || v_bad::text;
		END IF;
	END LOOP;
	SELECT (SELECT count(*) FROM events.event_store WHERE event_type = 'synced' AND stream_id = 'user:model') - (SELECT sum(n) FROM t.once_recount() WHERE level = 'day') INTO v_repeats;
	RETURN CASE WHEN v_repeats > 1000 THEN 'equal' ELSE 'too few repeats to show anything: ' || v_repeats END;
END $$;
SELECT t.once_run(60);
-- days and hours made anew in another zone
SELECT analytics.refresh_user_metrics() >= 0;
SELECT analytics.set_time_zone('Asia/Kolkata');
SELECT sum(n) = (SELECT sum(n) FROM t.once_recount() WHERE level = '5min') AS right FROM t.once_model WHERE level = 'day';
SELECT analytics.set_time_zone('UTC');
SELECT count(*) FROM t.once_model m FULL JOIN t.once_recount() r ON m.level = r.level AND m.at = r.at AND m.metric = r.metric AND m.device IS NOT DISTINCT FROM r.device WHERE m.n IS DISTINCT FROM r.n OR m.sum IS DISTINCT FROM r.sum;
SELECT analytics.detach_events('synced');
SELECT analytics.refresh_user_metrics() >= 0;
DROP VIEW t.once_model, t.once;
DROP TABLE t.once_before;
-- where retention has dropped the moments: what comes later counts in no level, and a source that is counted as a whole counts them, once
BEGIN;
SELECT analytics.attach_events('synced', '{"v": "v"}', p_once => true) > 1 AS attached;
CREATE VIEW t.old AS SELECT (SELECT string_agg(format('%s %s', reading_count, sum_value), ', ') FROM analytics.user_metrics_daily WHERE user_id = 'old') AS day,
	(SELECT string_agg(format('%s %s', reading_count, sum_value), ', ') FROM analytics.user_metrics_hourly WHERE user_id = 'old') AS hour,
	(SELECT string_agg(format('%s %s', reading_count, sum_value), ', ') FROM analytics.user_metrics_5min WHERE user_id = 'old') AS five;
CREATE FUNCTION t.put_old(VARIADIC int[]) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(events.append_event('user:old', 'synced', jsonb_build_object('v', v, 'timestamp', '2020-01-01T10:00:00Z'))) FROM unnest($1) v $$;
SELECT t.put_old(1, 2, 1);
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
TABLE t.old;
SELECT analytics.set_retention('5min', '100 days'), analytics.apply_retention() > 0 AS dropped;
TABLE t.old;
SELECT t.put_old(1, 3);
TABLE t.old;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
TABLE t.old;
SELECT analytics.rebuild_source(source_id) FROM analytics.sources WHERE event_type = 'synced' AND NOT detached;
TABLE t.old;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
TABLE t.old;
SELECT count(*) FROM auren.rollup_5min WHERE bucket < '2021-01-01';
SELECT t.put_old(1, 4);
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
TABLE t.old;
ROLLBACK;
-- an administrator's refresh fills such a source too
BEGIN;
CREATE ROLE regress_once;
SELECT events.grant_access('regress_once', 'admin');
SELECT analytics.set_retention('5min', '100 days');
SELECT analytics.attach_events('synced too', '{"v": "v"}', p_once => true) > 1 AS attached;
SET ROLE regress_once;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
RESET ROLE;
SELECT count(*) AS unfilled FROM analytics.sources s WHERE NOT detached AND NOT EXISTS (SELECT FROM auren.filled_sources f WHERE f.source_id = s.source_id);
ROLLBACK;
