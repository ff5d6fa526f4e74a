-- Charts and sums: days of any zone across its changes of the clock, steps up to the ends of the calendar, sums and counts of values.
SET client_min_messages = warning;
SET datestyle = 'ISO, MDY';
\pset format unaligned
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;

-- days across the end and the begin of summer time are those of the session's clock
SET timezone = 'Europe/Vienna';
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('u', 'hr', 60, '2025-10-25 12:00+02'), ('u', 'hr', 61, '2025-10-27 00:59+01'), ('u', 'hr', 62, '2025-10-27 12:00+01'),
	('u', 'hr', 70, '2026-03-29 00:10+01'), ('u', 'hr', 71, '2026-03-29 23:50+02'), ('u', 'hr', 72, '2026-03-30 00:00+02');
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-25', '2025-10-29', '1 day');
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2026-03-28', '2026-04-01', '1 day');
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-24', '2025-11-05', '7 days');
-- 24 hours are not a day
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-25', '2025-10-28', '24 hours');
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-26', '2025-10-28', '1 day 12 hours');
-- of another zone than the session's
SELECT bucket AT TIME ZONE 'America/New_York' AS bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-25 00:00-04', '2025-10-28 00:00-04', '1 day', p_time_zone => 'America/New_York');
SELECT bucket, reading_count FROM analytics.metric_series('u', 'hr', '2025-10-26 00:00Z', '2025-10-28 00:00Z', '1 day', p_time_zone => 'UTC');
SELECT * FROM t.try($$SELECT analytics.metric_series('u', 'hr', '2025-10-26', '2025-10-27', p_time_zone => 'Nowhere/At_All')$$);
-- what AT TIME ZONE takes as an abbreviation is refused, as analytics.set_time_zone refuses it
-- (some systems do not have it as a zone, which is refused as well)
SELECT t.state($$SELECT analytics.metric_series('u', 'hr', '2025-10-26', '2025-10-27', p_time_zone => 'CET')$$);
SELECT t.state($$SELECT analytics.metric_series('u', 'hr', '2025-10-26', '2025-10-27', p_time_zone => 'UTC')$$);
-- the same before and after a refresh
CREATE TEMP TABLE before AS SELECT z, s.* FROM unnest('{Europe/Vienna,America/New_York,Asia/Kolkata,Pacific/Apia}'::text[]) z, LATERAL analytics.metric_series('u', 'hr', '2025-10-20', '2026-04-02', '1 day', p_time_zone => z) s;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT count(*) FROM (SELECT z, s.* FROM unnest('{Europe/Vienna,America/New_York,Asia/Kolkata,Pacific/Apia}'::text[]) z, LATERAL analytics.metric_series('u', 'hr', '2025-10-20', '2026-04-02', '1 day', p_time_zone => z) s
	EXCEPT TABLE before) d;

-- a recount by days, in zones that change at midnight, after midnight, by half an hour, by a day, and by minutes only
CREATE TABLE t.zones AS SELECT * FROM (VALUES ('Europe/Vienna', '2024-03-28'::timestamp, '2024-04-03'::timestamp), ('America/Havana', '2024-11-01', '2024-11-06'), ('America/St_Johns', '2007-11-02', '2007-11-07'),
	('America/Sao_Paulo', '2018-11-02', '2018-11-07'), ('Australia/Lord_Howe', '2024-04-05', '2024-04-09'), ('Pacific/Apia', '2011-12-28', '2012-01-03'), ('Asia/Kathmandu', '1985-12-30', '1986-01-04'), ('UTC', '2024-02-27', '2024-03-03')) z (zone, since, until);
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp)
SELECT zone, 'd', 'm', row_number() OVER (), at FROM t.zones, generate_series((since AT TIME ZONE zone), (until AT TIME ZONE zone) - interval '1 minute', '25 minutes') at;
-- some are corrected, so that days have to be counted by their readings
DELETE FROM biometric.biometric_events b USING (SELECT user_id, (timestamp AT TIME ZONE user_id)::date AS day, max(value) AS most FROM biometric.biometric_events WHERE metric_type = 'm' GROUP BY 1, 2) d
WHERE b.metric_type = 'm' AND b.user_id = d.user_id AND b.value = d.most;
CREATE VIEW t.zone_days AS
	SELECT z.zone, r.day, s.bucket AT TIME ZONE z.zone AS bucket, s.reading_count, r.n, s.sum_value = r.sum AND s.max_value = r.max AS same
	FROM t.zones z CROSS JOIN LATERAL analytics.metric_series(z.zone, 'm', z.since AT TIME ZONE z.zone, z.until AT TIME ZONE z.zone, '1 day', p_time_zone => z.zone) s
	FULL JOIN (SELECT user_id, (timestamp AT TIME ZONE user_id)::date AS day, count(*) AS n, sum(value) AS sum, max(value) AS max FROM biometric.biometric_events WHERE metric_type = 'm' GROUP BY 1, 2) r
	ON r.user_id = z.zone AND (s.bucket AT TIME ZONE z.zone)::date = r.day;
SELECT count(*) AS days, count(*) FILTER (WHERE same AND reading_count = n) AS right FROM t.zone_days;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT zone, count(*) AS days, count(*) FILTER (WHERE same AND reading_count = n) AS right FROM t.zone_days GROUP BY 1 ORDER BY 1;
SELECT bucket, n FROM t.zone_days WHERE zone = 'Pacific/Apia' ORDER BY 1;
-- in part of the last step there are only readings before p_to, also where the readings have to be asked
SELECT reading_count = (SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z') AS right, max_value = (SELECT max(value) FROM biometric.biometric_events WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z') AS most
FROM analytics.metric_series('UTC', 'm', '2024-02-27 00:00Z', '2024-02-27 10:00Z', '1 day', p_time_zone => 'UTC');
DELETE FROM biometric.biometric_events b WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z' AND value = (SELECT max(value) FROM biometric.biometric_events WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z');
SELECT reading_count = (SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z') AS right, max_value = (SELECT max(value) FROM biometric.biometric_events WHERE user_id = 'UTC' AND timestamp < '2024-02-27 10:00Z') AS most
FROM analytics.metric_series('UTC', 'm', '2024-02-27 00:00Z', '2024-02-27 10:00Z', '1 day', p_time_zone => 'UTC');

-- steps to the ends of the calendar
SET timezone = 'UTC';
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('e', 'm', 1, '4713-01-01 00:00:00+00 BC'), ('e', 'm', 2, '2000-01-01'), ('e', 'm', 3, '294275-12-31 23:59:59.999999+00'), ('e', 'm', 4, 'infinity'), ('e', 'm', 5, '-infinity');
SELECT * FROM t.try($$SELECT analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '5 minutes')$$);
SELECT * FROM t.try($$SELECT analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '1092 days')$$);
SELECT bucket, reading_count, sum_value FROM analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '50000000 days');
SELECT bucket, reading_count, sum_value FROM analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '2147483647 days 200000000 hours');
SELECT bucket, reading_count, sum_value FROM analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '107000000 days');
SELECT bucket, reading_count, sum_value FROM analytics.metric_series('e', 'm', '294275-12-31 00:00:00+00', '294276-01-01 23:59:59.999999+00', '12 hours');
SELECT * FROM t.try($$SELECT analytics.metric_series('e', 'm', '2000-01-01', '2000-01-02', '-2147483648 days')$$);
SELECT * FROM t.try($$SELECT analytics.metric_series('e', 'm', '2000-01-01', '2000-01-02', '1 day -24 hours')$$);
SELECT count(*) FROM analytics.metric_series('e', 'm', '2000-01-02', '2000-01-01');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT bucket, reading_count, sum_value FROM analytics.metric_series('e', 'm', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '50000000 days');
SELECT day, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'e' ORDER BY 1;

-- sums and counts of values: steps without a value count as readings, and not in the sum
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES ('s', 'w', 'steps', 100, '2026-01-01 10:00'), ('s', 'w', 'steps', NULL, '2026-01-01 10:01'), ('s', 'r', 'steps', 20.5, '2026-01-01 11:00'),
	('s', 'w', 'none', NULL, '2026-01-01'), ('s', 'w', 'nan', 'NaN', '2026-01-01'), ('s', 'w', 'nan', 1, '2026-01-01'), ('s', 'w', 'both', 'Infinity', '2026-01-01'), ('s', 'w', 'both', '-Infinity', '2026-01-01'), ('s', 'w', 'one', 'Infinity', '2026-01-01'), ('s', 'w', 'one', 1, '2026-01-01');
SELECT metric_type, device_type, reading_count, value_count, sum_value, avg_value FROM analytics.user_metrics_daily WHERE user_id = 's' ORDER BY 1, 2;
SELECT bucket, reading_count, value_count, sum_value FROM analytics.user_metrics_hourly WHERE user_id = 's' AND metric_type = 'steps' ORDER BY 1;
SELECT bucket, reading_count, value_count, sum_value FROM analytics.user_metrics_5min WHERE user_id = 's' AND metric_type = 'steps' ORDER BY 1;
SELECT bucket, reading_count, value_count, sum_value FROM analytics.metric_series('s', 'steps', '2026-01-01', '2026-01-03', '1 day');
TRUNCATE biometric.biometric_events;
DROP VIEW t.zone_days;
DROP TABLE t.zones;
RESET timezone;
