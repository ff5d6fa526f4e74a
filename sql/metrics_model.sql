-- Random changes of readings, with refreshes between them: the metrics equal a recount at every moment.
SET client_min_messages = warning;
SELECT setseed(0.5);
CREATE SCHEMA model;
-- What the readings come to, counted by the SQL aggregates; deviations in numeric. (The cast takes 15 digits: the values have no more.)
CREATE FUNCTION model.recount(p_unit text) RETURNS TABLE (bucket timestamptz, user_id text, device_type text, metric_type text, n bigint, avg float8, min float8, max float8, dev float8, valued bigint, sum float8)
LANGUAGE sql AS $$
	SELECT CASE p_unit WHEN '5min' THEN date_bin('5 minutes', "timestamp", '2000-01-01 00:00Z') ELSE date_trunc(p_unit, "timestamp", 'UTC') END, user_id, device_type, metric_type, count(*),
	       avg(value), min(value), max(value),
	       CASE WHEN bool_and(value > '-Infinity' AND value < 'Infinity') THEN stddev(value::numeric) FILTER (WHERE value > '-Infinity' AND value < 'Infinity')::float8 ELSE stddev(value) END,
	       count(value), sum(value)
	FROM biometric.biometric_events GROUP BY 1, 2, 3, 4
$$;
CREATE FUNCTION model.near(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	            WHEN a = 'NaN' OR b = 'NaN' OR abs(a) = 'Infinity' OR abs(b) = 'Infinity' THEN a = b
	            ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) + 1e-300 END
$$;
-- The buckets in which a view and the recount differ.
CREATE FUNCTION model.differences() RETURNS TABLE (level text, bucket timestamptz, user_id text, device_type text, metric_type text, metrics text, recount text)
LANGUAGE sql AS $$
	WITH v AS (
		SELECT 'day' AS level, day::timestamp AT TIME ZONE 'UTC' AS bucket, user_id, device_type, metric_type, reading_count, avg_value, min_value, max_value, stddev_value, value_count, sum_value FROM analytics.user_metrics_daily
		UNION ALL SELECT 'hour', bucket, user_id, device_type, metric_type, reading_count, avg_value, min_value, max_value, stddev_value, value_count, sum_value FROM analytics.user_metrics_hourly
		UNION ALL SELECT '5min', bucket, user_id, device_type, metric_type, reading_count, avg_value, min_value, max_value, stddev_value, value_count, sum_value FROM analytics.user_metrics_5min),
	r AS (SELECT l AS level, c.* FROM unnest('{day,hour,5min}'::text[]) l, model.recount(l) c)
	SELECT coalesce(v.level, r.level), coalesce(v.bucket, r.bucket), coalesce(v.user_id, r.user_id), coalesce(v.device_type, r.device_type), coalesce(v.metric_type, r.metric_type), v::text, r::text
	FROM v FULL JOIN r ON v.level = r.level AND v.bucket = r.bucket AND v.user_id = r.user_id AND v.device_type IS NOT DISTINCT FROM r.device_type AND v.metric_type = r.metric_type
	WHERE v.level IS NULL OR r.level IS NULL OR v.reading_count <> r.n OR NOT model.near(v.avg_value, r.avg) OR NOT model.near(v.min_value, r.min)
	   OR NOT model.near(v.max_value, r.max) OR NOT model.near(v.stddev_value, r.dev)
	   OR v.value_count <> r.valued OR NOT model.near(v.sum_value, r.sum)
$$;
-- The same of charts: of both devices together by quarters of an hour, and of one by days in zones in which midnight falls into the readings.
CREATE FUNCTION model.chart_differences() RETURNS TABLE (level text, bucket timestamptz, user_id text, metrics text, recount text)
LANGUAGE sql AS $$
	WITH v AS (
		SELECT 'quarters' AS level, u AS user_id, s.* FROM unnest('{u0,u1}'::text[]) u, LATERAL analytics.metric_series(u, 'm', '2026-02-28 00:07Z', '2026-03-04 00:00Z', '15 minutes') s
		UNION ALL SELECT z, u, s.* FROM unnest('{UTC,Europe/London,Africa/Abidjan}'::text[]) z, unnest('{u0,u1}'::text[]) u, LATERAL analytics.metric_series(u, 'm', '2026-02-28 00:00Z', '2026-03-04 00:00Z', '1 day', 'd', z) s),
	r AS (
		SELECT 'quarters' AS level, user_id, date_bin('15 minutes', "timestamp", '2026-02-28 00:05Z') AS bucket, count(*) AS n, count(value) AS valued, sum(value) AS sum, max(value) AS max FROM biometric.biometric_events GROUP BY 2, 3
		UNION ALL SELECT z, user_id, date_trunc('day', "timestamp", 'UTC'), count(*), count(value), sum(value), max(value) FROM unnest('{UTC,Europe/London,Africa/Abidjan}'::text[]) z, biometric.biometric_events WHERE device_type = 'd' GROUP BY 1, 2, 3)
	SELECT coalesce(v.level, r.level), coalesce(v.bucket, r.bucket), coalesce(v.user_id, r.user_id), v::text, r::text
	FROM v FULL JOIN r ON v.level = r.level AND v.bucket = r.bucket AND v.user_id = r.user_id
	WHERE v.level IS NULL OR COALESCE(v.reading_count, 0) <> COALESCE(r.n, 0) OR COALESCE(v.value_count, 0) <> COALESCE(r.valued, 0) OR NOT model.near(v.sum_value, r.sum) OR NOT model.near(v.max_value, r.max)
$$;
CREATE FUNCTION model.value() RETURNS float8 LANGUAGE sql VOLATILE AS $$
	SELECT CASE floor(random() * 40)::int WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' WHEN 4 THEN 0 WHEN 5 THEN 1e100
	       ELSE 1e6 + floor(random() * 256) / 64 END
$$;
CREATE FUNCTION model.put(p_count int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
	SELECT 'u' || (random() < 0.2)::int, CASE WHEN random() < 0.5 THEN 'd' END, 'm', model.value(), '2026-03-01 23:00Z'::timestamptz + random() * interval '40 minutes' + interval '40 minutes'
	FROM generate_series(1, p_count)
$$;
CREATE FUNCTION model.step() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_what int := floor(random() * 12);
BEGIN
	CASE
		WHEN v_what < 3 THEN PERFORM model.put(1 + floor(random() * 300)::int);
		WHEN v_what < 5 THEN DELETE FROM biometric.biometric_events WHERE random() < 0.2;
		WHEN v_what = 5 THEN UPDATE biometric.biometric_events SET value = model.value() WHERE random() < 0.2;
		WHEN v_what = 6 THEN UPDATE biometric.biometric_events SET "timestamp" = "timestamp" + random() * interval '1 hour' - interval '30 minutes' WHERE random() < 0.2;
		WHEN v_what = 7 THEN
			-- extremes go
			DELETE FROM biometric.biometric_events WHERE value = (SELECT max(value) FROM biometric.biometric_events) OR value = (SELECT min(value) FROM biometric.biometric_events);
		WHEN v_what = 8 THEN
			BEGIN
				PERFORM model.put(20);
				DELETE FROM biometric.biometric_events WHERE random() < 0.5;
				RAISE EXCEPTION 'back';
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		WHEN v_what = 9 AND random() < 0.2 THEN TRUNCATE biometric.biometric_events;
		ELSE PERFORM analytics.refresh_user_metrics();
	END CASE;
	RETURN v_what;
END $$;
CREATE FUNCTION model.run(p_steps int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_step int;
	v_bad record;
	v_most bigint := 0;
	v_done text := '';
BEGIN
	FOR v_step IN 1..p_steps LOOP
		v_done := right(v_done || ' ' || model.step(), 60);
		SELECT * INTO v_bad FROM model.differences() LIMIT 1;
		IF FOUND THEN
			RETURN 'after step ' || v_step || ' (' || v_done || '): ' || v_bad::text;
		END IF;
		SELECT * INTO v_bad FROM model.chart_differences() LIMIT 1;
		IF FOUND THEN
			RETURN 'chart after step ' || v_step || ' (' || v_done || '): ' || v_bad::text;
		END IF;
		v_most := greatest(v_most, (SELECT max(n) FROM model.recount('5min')));
	END LOOP;
	RETURN CASE WHEN v_most > 16 THEN 'equal' ELSE 'too few readings in a bucket to show anything: ' || v_most END;
END $$;
SELECT model.run(250);
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT (SELECT count(*) FROM auren.rollup_5min) AS five, (SELECT count(*) FROM auren.rollup_hourly) AS hours, (SELECT count(*) FROM auren.rollup_daily) AS days,
       (SELECT count(*) FROM auren.deltas) AS deltas;
DROP SCHEMA model CASCADE;
