-- Forgetting a person with the readings: they go, and their metrics, and the person's name in analytics; those of others stay what a recount says.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
CREATE TABLE t.forget_attached (who text, measured float8, at timestamptz, what text DEFAULT 'm');
SELECT analytics.attach_source('t.forget_attached', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.attach_events('forget_sample', '{"v": "v"}') > 1 AS attached;
CREATE VIEW t.forget_metrics AS
	SELECT 'day' AS level, user_id, device_type, metric_type, day::timestamptz AS bucket, reading_count AS n, sum_value AS sum FROM analytics.user_metrics_daily WHERE metric_type <> 'v'
	UNION ALL SELECT 'hour', user_id, device_type, metric_type, bucket, reading_count, sum_value FROM analytics.user_metrics_hourly WHERE metric_type <> 'v'
	UNION ALL SELECT '5min', user_id, device_type, metric_type, bucket, reading_count, sum_value FROM analytics.user_metrics_5min WHERE metric_type <> 'v';
CREATE VIEW t.forget_recount AS
	SELECT level, user_id, device_type, metric_type, CASE level WHEN '5min' THEN date_bin('5 minutes', at, '2000-01-01') ELSE date_trunc(level, at) END AS bucket, count(*) AS n, sum(value) AS sum
	FROM unnest('{day,hour,5min}'::text[]) level, (
		SELECT user_id, device_type, metric_type, value, "timestamp" AS at FROM biometric.biometric_events WHERE tenant_id = events.current_tenant()
		UNION ALL SELECT who, NULL, what, measured, at FROM t.forget_attached WHERE events.current_tenant() = 'default') e
	GROUP BY 1, 2, 3, 4, 5;
CREATE VIEW t.forget_differences AS (TABLE t.forget_metrics EXCEPT ALL TABLE t.forget_recount) UNION ALL (TABLE t.forget_recount EXCEPT ALL TABLE t.forget_metrics);
CREATE VIEW t.forget_left AS
	SELECT (SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'ada') AS readings, (SELECT count(*) FROM auren.series WHERE user_id = 'ada' AND source_id = 1) AS series,
	       (SELECT count(*) FROM (SELECT series_id FROM auren.rollup_5min UNION ALL SELECT series_id FROM auren.rollup_hourly UNION ALL SELECT series_id FROM auren.rollup_daily UNION ALL SELECT series_id FROM auren.deltas
		UNION ALL SELECT d.series_id FROM auren.delta_packs p, auren.unpack_deltas(p.deltas) d) s WHERE NOT EXISTS (SELECT FROM auren.series n WHERE n.series_id = s.series_id)) AS nameless;
CREATE FUNCTION t.forget_put(p_tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.tenant_id', p_tenant, true);
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, "timestamp")
		SELECT u, CASE WHEN n % 3 > 0 THEN 'd' END, 'm' || n % 2, n, '2026-01-01'::timestamptz + n * interval '7 minutes' FROM unnest('{ada,bob}'::text[]) u, generate_series(1, 600) n;
	PERFORM set_config('app.tenant_id', '', true);
END $$;
SELECT t.forget_put('default'), t.forget_put('other');

-- merged and pending readings, some corrected, some alone; nothing else of a call without the option
SELECT analytics.refresh_user_metrics() > 0 AS merged;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('ada', 'once', 1, '2026-01-02');
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") SELECT 'ada', 'many', n, '2026-01-02' FROM generate_series(1, 500) n;
UPDATE biometric.biometric_events SET value = 99 WHERE user_id = 'ada' AND value < 10;
SELECT encrypted.forget_user('ada', 'asked');
SELECT readings, series > 0 AS named FROM t.forget_left;
SET client_min_messages = notice;
SELECT encrypted.forget_user('ada', 'asked', true);
SET client_min_messages = warning;
-- the other tenant's stay
TABLE t.forget_left;
SELECT tenant_id, count(*) FROM auren.series WHERE user_id = 'ada' GROUP BY 1;
SELECT user_id, sum(reading_count) FROM analytics.user_metrics_daily GROUP BY 1 ORDER BY 1;
TABLE t.forget_differences;
SET app.tenant_id = 'other';
TABLE t.forget_differences;
RESET app.tenant_id;
SELECT analytics.refresh_user_metrics() >= 0;
TABLE t.forget_differences;

-- what comes later counts from nothing, in this session and after a rollback too
BEGIN;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('ada', 'once', 5, '2026-01-03');
SELECT encrypted.forget_user('ada', 'asked', true);
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('ada', 'once', 6, '2026-01-03');
TABLE t.forget_differences;
ROLLBACK;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('ada', 'once', 7, '2026-01-03');
SELECT n, sum FROM t.forget_metrics WHERE user_id = 'ada' AND level = 'day';
BEGIN;
SAVEPOINT s;
SELECT encrypted.forget_user('ada', 'asked', true);
ROLLBACK TO s;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, "timestamp") VALUES ('ada', 'once', 8, '2026-01-03');
COMMIT;
TABLE t.forget_differences;
SELECT n, sum FROM t.forget_metrics WHERE user_id = 'ada' AND level = 'day';
SELECT analytics.refresh_user_metrics() > 0;
TABLE t.forget_differences;

-- what other sources hold stays, and is said
INSERT INTO t.forget_attached VALUES ('ada', 1, '2026-01-01'), ('bob', 2, '2026-01-01');
SELECT events.append_event('wearer:ada', 'forget_sample', '{"v": 1}') IS NOT NULL AS appended;
SET client_min_messages = notice;
SELECT encrypted.forget_user('ada', 'asked', p_readings => true);
SET client_min_messages = warning;
TABLE t.forget_left;
TABLE t.forget_differences;
-- its names go when it is attached anew without them
DELETE FROM t.forget_attached WHERE who = 'ada';
SELECT analytics.detach_source('t.forget_attached');
SELECT analytics.detach_events('forget_sample');
SELECT analytics.attach_source('t.forget_attached', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT count(*) FROM auren.series WHERE user_id = 'ada' AND tenant_id = 'default';
TABLE t.forget_differences;

-- a role bound to tenants: of its own only, and never in a transaction that could stay open
CREATE ROLE regress_forgets;
SELECT events.bind_tenant('regress_forgets', 'other'), events.grant_access('regress_forgets', 'key_admin');
SET ROLE regress_forgets;
SET app.tenant_id = 'default';
SELECT t.state($$SELECT encrypted.forget_user('bob', 'asked', true)$$) AS not_its_tenant;
SET app.tenant_id = 'other';
BEGIN;
SELECT encrypted.forget_user('bob', 'asked', true);
ROLLBACK;
SELECT encrypted.forget_user('bob', 'asked', true);
RESET ROLE;
TABLE t.forget_differences;
SELECT tenant_id, user_id, count(*) FROM biometric.biometric_events GROUP BY 1, 2 ORDER BY 1, 2;
RESET app.tenant_id;
TABLE t.forget_differences;

-- where some of the readings would stay nothing is done
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT encrypted.forget_user('bob', 'asked', true);
ROLLBACK;
CREATE FUNCTION t.forget_keeps() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN OLD.value > 500 THEN NULL ELSE OLD END; END';
CREATE TRIGGER keeps BEFORE DELETE ON biometric.biometric_events FOR EACH ROW EXECUTE FUNCTION t.forget_keeps();
SELECT * FROM t.try($$SELECT encrypted.forget_user('bob', 'asked', true)$$);
DROP TRIGGER keeps ON biometric.biometric_events;
ALTER TABLE biometric.biometric_events ENABLE ROW LEVEL SECURITY;
CREATE ROLE regress_forgets_too;
SELECT events.grant_access('regress_forgets_too', 'key_admin');
SET ROLE regress_forgets_too;
SELECT * FROM t.try($$SELECT encrypted.forget_user('bob', 'asked', true)$$);
SELECT t.state($$SELECT encrypted.forget_user('bob', 'asked', NULL)$$) AS null;
RESET ROLE;
ALTER TABLE biometric.biometric_events DISABLE ROW LEVEL SECURITY;
SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'bob' AND tenant_id = 'default';
TABLE t.forget_differences;

SELECT encrypted.allow_user('ada', 'test'), t.state($$SELECT encrypted.allow_user('bob', 'test')$$) AS not_forgotten;
SET app.tenant_id = 'other';
SELECT encrypted.allow_user('bob', 'test');
RESET app.tenant_id;
SELECT analytics.detach_source('t.forget_attached');
DROP VIEW t.forget_differences, t.forget_recount, t.forget_metrics, t.forget_left;
DROP TABLE t.forget_attached;
DROP FUNCTION t.forget_put(text), t.forget_keeps();
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT events.unbind_tenant('regress_forgets', 'other');
DROP OWNED BY regress_forgets, regress_forgets_too;
DROP ROLE regress_forgets, regress_forgets_too;
