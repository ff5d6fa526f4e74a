-- Readings in the shipped table, in attached tables and in events; their metrics before and behind a refresh.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\pset format unaligned
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'biometric.biometric_events'::regclass AND attnum > 0 ORDER BY attnum;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'biometric' ORDER BY 1;
SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = 'analytics' AND table_name LIKE 'user_metrics%' GROUP BY 1 ORDER BY 1;
CREATE VIEW t.days AS SELECT day, user_id, device_type AS device, metric_type AS metric, reading_count AS n, round(avg_value::numeric, 6) AS avg, min_value AS min, max_value AS max, round(CASE WHEN stddev_value <> 'NaN' THEN stddev_value END::numeric, 6) AS dev, p50_value AS p50
	FROM analytics.user_metrics_daily ORDER BY 1, 2, 3, 4;

-- the guide's calls
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp)
SELECT 'demo123', 'watch', 'heart_rate', 60 + n, now() - n * interval '1 minute' FROM generate_series(1, 10) n;
SELECT sum(n) AS days_with_readings FROM (
	SELECT count(avg_hr) AS n FROM (
		SELECT day, AVG(avg_value) as avg_hr FROM analytics.user_metrics_daily
		WHERE user_id = 'demo123' AND metric_type = 'heart_rate' AND day > CURRENT_DATE - INTERVAL '7 days' GROUP BY day ORDER BY day) g) s \gset
SELECT :days_with_readings IN (1, 2) AS found;
SELECT analytics.refresh_user_metrics() > 0;
SELECT sum(reading_count) FROM analytics.user_metrics_daily WHERE user_id = 'demo123';
SELECT pending_changes, pending_sources, last_run <= now() + interval '1 hour' AS ran, last_duration < '1 minute' AS took, last_changes > 0 AS changes, last_rows > 0 AS rows FROM analytics.refresh_status;
TRUNCATE biometric.biometric_events;
SELECT count(*) FROM analytics.user_metrics_daily;

-- values that are none, and devices
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES
	('a', 'w', 'm', 1, '2026-01-01'), ('a', 'w', 'm', NULL, '2026-01-01'), ('a', NULL, 'm', 'NaN', '2026-01-01'), ('a', NULL, 'm', 2, '2026-01-01'),
	('b', 'w', 'm', 'Infinity', '2026-01-01'), ('b', 'w', 'm', '-Infinity', '2026-01-01'), ('c', 'w', 'm', NULL, '2026-01-01'), ('d', 'w', 'm', 5, 'infinity'), ('d', 'w', 'm', 6, '-infinity');
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT * FROM t.days;
UPDATE biometric.biometric_events SET value = 3 WHERE value = 'NaN';
DELETE FROM biometric.biometric_events WHERE value = 'Infinity' OR "timestamp" = 'infinity';
SELECT * FROM t.days;
TRUNCATE biometric.biometric_events;

-- a table of somebody's own, partitioned: partitions come and go
CREATE TABLE t.p (uid int, dev varchar(9), what text, v numeric, at timestamp) PARTITION BY RANGE (at);
CREATE TABLE t.p1 PARTITION OF t.p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO t.p VALUES (1, 'w', 'hr', 60, '2026-01-03'), (1, 'w', 'hr', 62, '2026-01-03 00:01');
SELECT analytics.attach_source('t.p', 'uid', 'dev', 'what', 'v', 'at') > 1 AS attached;
SELECT * FROM t.days;
INSERT INTO t.p VALUES (1, 'w', 'hr', 64, '2026-01-03 00:02');
INSERT INTO t.p1 VALUES (1, 'w', 'hr', 66, '2026-01-03 00:03');
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics();
SELECT * FROM t.days;
CREATE TABLE t.p2 PARTITION OF t.p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (what);
CREATE TABLE t.p2_hr PARTITION OF t.p2 FOR VALUES IN ('hr');
INSERT INTO t.p2_hr VALUES (1, 'w', 'hr', 66, '2026-02-03');
INSERT INTO t.p2 VALUES (1, 'w', 'hr', 68, '2026-02-03');
CREATE TABLE t.p3 (at timestamp, v numeric, dev varchar(9), gone int, uid int, what text);
ALTER TABLE t.p3 DROP COLUMN gone;
INSERT INTO t.p3 VALUES ('2026-03-03', 99, 'w', 1, 'hr');
ALTER TABLE t.p ATTACH PARTITION t.p3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO t.p3 VALUES ('2026-03-03', 101, 'w', 1, 'hr');
SELECT * FROM t.days;
UPDATE t.p SET at = at + interval '1 month' WHERE at < '2026-02-01' AND v = 60;
TRUNCATE t.p3;
SELECT * FROM t.days;
ALTER TABLE t.p DETACH PARTITION t.p1;
INSERT INTO t.p1 VALUES (1, 'w', 'hr', 1, '2026-01-03');
SELECT * FROM t.days;
ALTER TABLE t.p ATTACH PARTITION t.p1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
DROP TABLE t.p2;
SELECT * FROM t.days;
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'auren_record%' AND tgrelid::regclass::text LIKE 't.%' ORDER BY 1, 2;
SELECT * FROM t.try($$SELECT analytics.attach_source('t.p1', 'uid', 'dev', 'what', 'v', 'at')$$);
SELECT * FROM t.try($$ALTER TABLE t.p RENAME v TO w$$);
SELECT * FROM t.try($$CREATE TABLE t.heir () INHERITS (biometric.biometric_events)$$);
SELECT analytics.detach_source('t.p');
INSERT INTO t.p VALUES (1, 'w', 'hr', 64, '2026-01-03 00:02');
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics();
SELECT (SELECT count(*) FROM analytics.sources) AS sources, (SELECT count(*) FROM auren.rollup_daily) AS days, (SELECT count(*) FROM auren.deltas) AS deltas;
SELECT analytics.attach_source('t.p', 'uid', NULL, 'what', 'v', 'at') > 1 AS attached;
SELECT * FROM t.days;
DROP TABLE t.p;
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics();
SELECT count(*) FROM analytics.sources;
CREATE SCHEMA t_gone;
CREATE TABLE t_gone.r (u text, m text, v float4, at date);
INSERT INTO t_gone.r VALUES ('x', 'm', 1, '2026-05-05');
SELECT analytics.attach_source('t_gone.r', 'u', NULL, 'm', 'v', 'at') > 1 AS attached;
SELECT * FROM t.days;
DROP SCHEMA t_gone CASCADE;
SELECT * FROM t.days;
-- what cannot be attached
CREATE TABLE t.q (u text, m text, v text, at timestamptz);
CREATE TEMP TABLE q (u text, m text, v int, at timestamptz);
SELECT * FROM t.try($$SELECT analytics.attach_source('t.q', 'u', NULL, 'm', 'v', 'at')$$);
SELECT * FROM t.try($$SELECT analytics.attach_source('t.q', 'u', NULL, 'm', 'at', 'v')$$);
SELECT * FROM t.try($$SELECT analytics.attach_source('t.q', 'nobody', NULL, 'm', 'v', 'at')$$);
SELECT t.state($$SELECT analytics.attach_source('pg_temp.q', 'u', NULL, 'm', 'v', 'at')$$);
SELECT * FROM t.try($$SELECT analytics.attach_source('analytics.user_metrics_daily', 'user_id', NULL, 'metric_type', 'avg_value', 'day')$$);
SELECT * FROM t.try($$SELECT analytics.detach_source('t.q')$$);
SELECT * FROM t.try($$SELECT analytics.detach_source('biometric.biometric_events')$$);
SELECT * FROM t.try($$SELECT analytics.rebuild_source(99)$$);
SELECT analytics.rebuild_source(1);
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES ('a', 'w', 'm', 1, '2026-01-01'), ('a', 'w', 'm', 2, '2026-01-01');
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT * FROM t.days;
TRUNCATE biometric.biometric_events;

-- events
SELECT events.append_event('user:ann', 'biometric_received', '{"heart_rate": 60, "hrv": "secret", "device_type": "ring", "timestamp": "2026-01-29T10:00:00Z"}') IS NOT NULL;
SELECT analytics.attach_events('biometric_received', '{"heart_rate": "heart_rate", "hrv": "hrv"}') > 1 AS attached;
SELECT * FROM t.days;
BEGIN;
SAVEPOINT s;
SELECT events.append_event('user:ann', 'biometric_received', '{"heart_rate": 1000, "timestamp": "2026-01-29T10:00:00Z"}') IS NOT NULL;
ROLLBACK TO s;
SELECT events.append_event('user:ann', 'biometric_received', '{"heart_rate": 70, "hrv": 45.5, "device_type": "ring", "timestamp": "2026-01-29T10:01:00Z"}', p_event_id => '00000000-0000-0000-0000-00000000e055') IS NOT NULL;
SELECT events.append_event('user:ann', 'biometric_received', '{"heart_rate": 70, "hrv": 45.5, "device_type": "ring", "timestamp": "2026-01-29T10:01:00Z"}', p_event_id => '00000000-0000-0000-0000-00000000e055') IS NOT NULL;
COMMIT;
SELECT count(*) FROM events.append_events('{user:ann,user:bob,user:ann}', '{biometric_received,biometric_received,other}',
	ARRAY['{"heart_rate": 80, "device_type": "ring", "timestamp": "2026-01-29"}', '{"heart_rate": null, "hrv": 50, "timestamp": "2026-01-29 11:00+02"}', '{"heart_rate": 1, "timestamp": "2026-01-29"}']::jsonb[]);
SELECT * FROM t.days;
SELECT analytics.refresh_user_metrics();
SELECT events.append_event('user:ann', 'biometric_received', '{"heart_rate": 90, "device_type": "ring", "timestamp": "2026-01-29T10:01:00Z"}') IS NOT NULL;
SELECT * FROM t.days;
SELECT events.append_event('user:late', 'biometric_received', d) IS NOT NULL FROM unnest('{"{\"heart_rate\": 90}","{\"heart_rate\": 90, \"timestamp\": \"some time\"}"}'::jsonb[]) d;
SELECT day = (now() AT TIME ZONE 'UTC')::date OR day = (now() AT TIME ZONE 'UTC')::date - 1 AS today, user_id, device_type FROM analytics.user_metrics_daily WHERE user_id = 'late';
SELECT * FROM t.try($$SELECT analytics.attach_events('biometric_received', '{"a": "b"}')$$);
SELECT * FROM t.try($$SELECT analytics.attach_events('another', '{"a": 1}')$$);
SELECT * FROM t.try($$SELECT analytics.detach_events('another')$$);

-- charts
SELECT bucket, reading_count, avg_value, min_value, max_value, round(stddev_value::numeric, 6) AS stddev, p50_value, p95_value
FROM analytics.metric_series('ann', 'heart_rate', '2026-01-29 09:00', '2026-01-29 12:00');
SELECT count(*), sum(reading_count), string_agg(reading_count::text, ' ') FROM analytics.metric_series('ann', 'heart_rate', '2026-01-28', '2026-02-01', '1 day', 'ring');
SELECT '[' || analytics.sparkline(array_agg(avg_value ORDER BY bucket)) || ']' FROM analytics.metric_series('ann', 'heart_rate', '2026-01-29', '2026-01-29 12:00', '2 hours');
SELECT analytics.sparkline('{1,2,3,4,5,6,7,8}'), analytics.sparkline(NULL), analytics.sparkline('{}') = '' AS empty;
SELECT bucket FROM analytics.metric_series('ann', 'heart_rate', '2026-01-29 09:04:59', '2026-01-29 09:12', '5 minutes');
SELECT * FROM t.try($$SELECT analytics.metric_series('a', 'b', '-infinity', '2026-01-02')$$);
SELECT * FROM t.try($$SELECT analytics.metric_series('a', 'b', '2026-01-01', '2026-01-02', '1 month')$$);
SELECT * FROM t.try($$SELECT analytics.metric_series('a', 'b', '1926-01-01', '2026-01-02', '5 minutes')$$);

-- zone and retention
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('z', 'm', 1, '2026-01-01 20:00Z'), ('z', 'm', 2, '2026-01-02 01:10Z');
SELECT analytics.set_time_zone('Asia/Kolkata');
SELECT day, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'z';
SELECT analytics.refresh_user_metrics();
SELECT day, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'z';
SELECT bucket FROM analytics.user_metrics_hourly WHERE user_id = 'z' ORDER BY 1;
SELECT analytics.set_time_zone('America/New_York');
SELECT day, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'z' ORDER BY 1;
SELECT analytics.set_time_zone('UTC');
SELECT day, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'z' ORDER BY 1;
SELECT * FROM t.try($$SELECT analytics.set_time_zone('Moon/Crater')$$);
SELECT * FROM t.try($$SELECT analytics.set_retention('weekly', '1 day')$$);
SELECT * FROM t.try($$SELECT analytics.set_retention('5min', '1 minute')$$);
SELECT analytics.set_retention('5min', '10 days'), analytics.set_retention('hourly', '1000 years');
SELECT analytics.apply_retention() > 0;
SELECT (SELECT count(*) FROM analytics.user_metrics_5min WHERE user_id = 'z') AS five;
SELECT (SELECT count(*) FROM analytics.user_metrics_hourly WHERE user_id = 'z') AS hours;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('z', 'm', 3, '2026-01-02 01:10Z');
SELECT (SELECT count(*) FROM analytics.user_metrics_5min WHERE user_id = 'z') AS five;
SELECT (SELECT sum(reading_count) FROM analytics.user_metrics_hourly WHERE user_id = 'z') AS hours;
SELECT analytics.refresh_user_metrics() > 0;
SELECT (SELECT count(*) FROM analytics.user_metrics_5min WHERE user_id = 'z') AS five, (SELECT sum(reading_count) FROM analytics.user_metrics_hourly WHERE user_id = 'z') AS hours,
       (SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'z') AS readings;
SELECT count(reading_count) FROM analytics.metric_series('z', 'm', '2026-01-01', '2026-01-03');
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('z', 'm', 4, '2026-01-02 01:10Z');
SELECT count(reading_count) FROM analytics.metric_series('z', 'm', '2026-01-01', '2026-01-03');
DELETE FROM biometric.biometric_events WHERE user_id = 'z' AND value = 4;
SELECT * FROM t.try($$SELECT analytics.set_time_zone('Asia/Tokyo')$$);
SELECT * FROM t.try($$SELECT analytics.schedule()$$);

-- tenants and rights
CREATE ROLE regress_metrics_one;
CREATE ROLE regress_metrics_none;
SELECT events.bind_tenant('regress_metrics_one', 'one'), events.grant_access('regress_metrics_one', 'reader'), events.grant_access('regress_metrics_one', 'writer');
CREATE TABLE t.of_tenants (who text, what text, measured float8, at timestamptz, org varchar(10));
SELECT analytics.attach_source('t.of_tenants', 'who', NULL, 'what', 'measured', 'at', 'org') > 1 AS attached;
GRANT INSERT ON t.of_tenants TO regress_metrics_one;
SET ROLE regress_metrics_one;
SET app.tenant_id = 'one';
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('of one', 'm', 1, now());
SELECT user_id, tenant_id FROM analytics.user_metrics_daily;
SELECT count(reading_count) FROM analytics.metric_series('z', 'm', '2026-01-01', '2026-01-03');
SELECT count(reading_count) FROM analytics.metric_series('of one', 'm', now() - interval '1 hour', now() + interval '1 hour');
SELECT * FROM t.try($$INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp, tenant_id) VALUES ('x', 'm', 1, '2026-01-01', 'two')$$);
-- whatever the type of the column is; a reading without one is the source's tenant's
INSERT INTO t.of_tenants VALUES ('one more', 'm', 1, '2026-01-01', 'one');
SELECT t.state($$INSERT INTO t.of_tenants VALUES ('x', 'm', 1, '2026-01-01', 'two')$$) AS other;
SELECT t.state($$INSERT INTO t.of_tenants VALUES ('x', 'm', 1, '2026-01-01', NULL)$$) AS none;
SELECT user_id, tenant_id FROM analytics.user_metrics_daily ORDER BY user_id;
SELECT t.state($$DELETE FROM biometric.biometric_events$$) AS all_tenants;
SELECT t.state($$SELECT * FROM biometric.biometric_events$$) AS read_table;
SELECT t.state($$SELECT analytics.refresh_user_metrics()$$) AS refresh;
SELECT t.state($$SELECT * FROM auren.deltas$$) AS deltas;
SELECT t.state($$SELECT * FROM auren.series$$) AS series;
SET app.tenant_id = 'two';
SELECT t.state($$SELECT * FROM analytics.user_metrics_hourly$$) AS metrics;
SELECT t.state($$SELECT analytics.metric_series('of one', 'm', '2026-01-01', '2026-01-03')$$) AS series;
RESET app.tenant_id;
SET ROLE regress_metrics_none;
SELECT t.state($$SELECT * FROM analytics.user_metrics_daily$$) AS metrics;
SELECT t.state($$INSERT INTO biometric.biometric_events (user_id, metric_type) VALUES ('x', 'm')$$) AS write;
RESET ROLE;
SELECT count(*) FROM analytics.user_metrics_daily WHERE user_id = 'of one';
DROP TABLE t.of_tenants;
SELECT events.unbind_tenant('regress_metrics_one', 'one'), events.revoke_access('regress_metrics_one', 'reader'), events.revoke_access('regress_metrics_one', 'writer');
DROP ROLE regress_metrics_one, regress_metrics_none;
TRUNCATE biometric.biometric_events;
SELECT analytics.detach_events('biometric_received');
DELETE FROM auren.retention;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT (SELECT count(*) FROM analytics.user_metrics_daily) AS metrics;
SELECT (SELECT count(*) FROM auren.deltas) AS deltas;
SELECT (SELECT count(*) FROM auren.rollup_daily) AS days;
DROP VIEW t.days;
