-- Statements with many readings: what they leave is packed, and the views read it as any other change.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
CREATE FUNCTION t.write_readings(p_rows integer, p_series integer, p_value double precision) RETURNS void LANGUAGE sql AS $$
	INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp)
	SELECT 'p' || n % p_series, NULLIF('d' || n % 2, 'd1'), 'm', p_value + n % 97, '2026-01-01'::timestamptz + n * interval '5 minutes' FROM generate_series(1, p_rows) n $$;
-- buckets of the three views that are no recount, and how the changes lie
CREATE VIEW t.packs AS
	WITH days AS (SELECT ("timestamp" AT TIME ZONE 'UTC')::date AS day, tenant_id, user_id, device_type, count(*) AS n, sum(value) AS sum, min(value) AS min FROM biometric.biometric_events GROUP BY 1, 2, 3, 4),
	hours AS (SELECT date_trunc('hour', "timestamp") AS bucket, tenant_id, user_id, device_type, count(*) AS n, sum(value) AS sum FROM biometric.biometric_events GROUP BY 1, 2, 3, 4),
	fives AS (SELECT "timestamp" AS bucket, tenant_id, user_id, device_type, count(*) AS n, sum(value) AS sum FROM biometric.biometric_events GROUP BY 1, 2, 3, 4)
	SELECT (SELECT count(*) FROM analytics.user_metrics_daily v FULL JOIN (SELECT * FROM days WHERE tenant_id = events.current_tenant()) d USING (day, user_id)
	        WHERE v.device_type IS NOT DISTINCT FROM d.device_type AND (reading_count <> n OR abs(avg_value * n - sum) > 1e-6 OR min_value <> min OR v.tenant_id IS NULL OR d.tenant_id IS NULL)) +
	       (SELECT count(*) FROM (SELECT day, user_id, device_type, reading_count FROM analytics.user_metrics_daily EXCEPT ALL
	                              SELECT day, user_id, device_type, n FROM days WHERE tenant_id = events.current_tenant()) e) +
	       (SELECT count(*) FROM (SELECT bucket, user_id, device_type, reading_count FROM analytics.user_metrics_hourly EXCEPT ALL
	                              SELECT bucket, user_id, device_type, n FROM hours WHERE tenant_id = events.current_tenant()) e) +
	       (SELECT count(*) FROM (SELECT bucket, user_id, device_type, reading_count, avg_value FROM analytics.user_metrics_5min EXCEPT ALL
	                              SELECT bucket, user_id, device_type, n, sum / n FROM fives WHERE tenant_id = events.current_tenant()) e) +
	       (SELECT count(*) FROM (SELECT day, user_id, device_type, n FROM days WHERE tenant_id = events.current_tenant() EXCEPT ALL
	                              SELECT day, user_id, device_type, reading_count FROM analytics.user_metrics_daily) e) AS differences,
	       (SELECT count(*) FROM auren.deltas) AS rows, (SELECT COALESCE(sum(changes), 0) FROM auren.delta_packs) AS packed,
	       (SELECT CASE WHEN count(DISTINCT lot) > 100 THEN 'many' WHEN count(DISTINCT lot) > 8 THEN 'some' WHEN count(*) > 0 THEN 'few' ELSE 'none' END FROM auren.delta_packs) AS lots, (SELECT pending_changes FROM analytics.refresh_status) AS pending;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;

-- from 256 deltas on, whatever the statement; many readings of five minutes are one
SELECT t.write_readings(255, 40, 1);
SELECT * FROM t.packs;
SELECT t.write_readings(256, 40, 2);
SELECT * FROM t.packs;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) SELECT 'often', 'm', n, '2026-01-01' FROM generate_series(1, 1000) n;
SELECT differences, rows, packed FROM t.packs;
SELECT analytics.refresh_user_metrics() AS merged;
SELECT * FROM t.packs;
-- all of one series: more than a pack holds
SELECT t.write_readings(3000, 1, 3);
SELECT differences, rows, packed, lots, (SELECT count(*) > 1 AND max(length(deltas)) < 2000 FROM auren.delta_packs) AS packs, (SELECT bool_and(first_series <= last_series) FROM auren.delta_packs) AS ordered FROM t.packs;
-- small and large lots beside each other, corrections and what is taken away
SELECT t.write_readings(700, 300, 4), t.write_readings(9000, 900, 5);
SELECT differences, rows, packed, lots FROM t.packs;
UPDATE biometric.biometric_events SET value = value + 0.5 WHERE user_id LIKE 'p1%';
DELETE FROM biometric.biometric_events WHERE user_id LIKE 'p2%';
SELECT differences FROM t.packs;
SELECT count(*), sum(reading_count) = (SELECT count(*) FROM biometric.biometric_events WHERE user_id = 'p0') AS all_there
FROM analytics.metric_series('p0', 'm', '2026-01-01', '2026-03-01', '1 day');
-- savepoints and rollbacks; a cursor keeps what it began with
BEGIN;
DECLARE before CURSOR FOR SELECT sum(reading_count) FROM analytics.user_metrics_daily WHERE user_id = 'p3';
SELECT count(*) AS n FROM biometric.biometric_events WHERE user_id = 'p3' \gset
SAVEPOINT s;
SELECT t.write_readings(600, 20, 6);
SELECT differences FROM t.packs;
ROLLBACK TO s;
SELECT differences FROM t.packs;
SELECT t.write_readings(500, 20, 7);
SELECT differences FROM t.packs;
FETCH before \gset
SELECT :sum = :n AS as_before;
COMMIT;
SELECT differences FROM t.packs;
-- two sources in a transaction: no pack has both
CREATE TABLE t.pulses (who text, v integer, at timestamptz);
ALTER TABLE t.pulses ADD what text DEFAULT 'pulse';
SELECT analytics.attach_source('t.pulses', 'who', NULL, 'what', 'v', 'at') AS source \gset
SELECT analytics.refresh_user_metrics() > 0 AS merged;
BEGIN;
INSERT INTO t.pulses SELECT 'w' || n % 9, n, '2026-01-01'::timestamptz + n * interval '1 hour' FROM generate_series(1, 400) n;
SELECT t.write_readings(400, 20, 8);
COMMIT;
SELECT source_id = :source AS attached, sum(changes) FROM auren.delta_packs GROUP BY 1 ORDER BY 1;
SELECT sum(reading_count) FROM analytics.user_metrics_daily WHERE metric_type = 'pulse';
-- a source that is detached, or counted anew, takes its packs with it
SELECT analytics.detach_source('t.pulses'), analytics.rebuild_source(1);
DROP TABLE t.pulses;
SELECT differences FROM t.packs;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
SELECT * FROM t.packs;

-- readers need no right on the packs, and see those of their tenant alone
CREATE ROLE regress_packs_one;
SELECT events.bind_tenant('regress_packs_one', 'one'), events.grant_access('regress_packs_one', 'reader'), events.grant_access('regress_packs_one', 'writer');
SELECT t.write_readings(300, 10, 9);
SET ROLE regress_packs_one;
SET app.tenant_id = 'one';
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) SELECT 'of one', 'm', 1, '2026-01-01'::timestamptz + n * interval '5 minutes' FROM generate_series(1, 300) n;
SELECT user_id, sum(reading_count) FROM analytics.user_metrics_daily GROUP BY 1;
SELECT user_id, sum(reading_count) FROM analytics.user_metrics_5min WHERE user_id IN ('p0', 'of one') GROUP BY 1;
SELECT t.state('TABLE auren.delta_packs') AS packs;
SELECT t.state('TABLE auren.tenant_deltas') AS deltas;
RESET ROLE;
RESET app.tenant_id;
SELECT differences FROM t.packs;
SELECT t.state('SELECT auren.unpack_deltas(''\x05000000'')');
SELECT t.state('SELECT auren.has_deltas(''\x'', 1)');
SELECT cardinality(auren.delta_lots(-1)) AS lots;
SELECT events.unbind_tenant('regress_packs_one', 'one'), events.revoke_access('regress_packs_one', 'reader'), events.revoke_access('regress_packs_one', 'writer');
DROP ROLE regress_packs_one;
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
SELECT * FROM t.packs;
DROP VIEW t.packs;
DROP FUNCTION t.write_readings;
