-- Times, values and samples as events carry them; what cannot be read is no reading, stops nobody, and is counted where it can be seen.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
\pset format unaligned
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
CREATE FUNCTION t.long(p_bytes int) RETURNS text LANGUAGE sql AS $$
	SELECT left(string_agg(md5(i::text), ''), p_bytes) FROM generate_series(1, p_bytes / 32 + 1) i
$$;
CREATE VIEW t.refused AS SELECT COALESCE(relation::text, event_type) AS source, reason, refused, last_position IS NOT NULL AS position FROM analytics.refused_readings ORDER BY 1, 2;
CREATE VIEW t.at AS SELECT bucket, device_type AS device, metric_type AS metric, reading_count AS n, avg_value AS avg FROM analytics.user_metrics_5min WHERE user_id = 'refused' ORDER BY 1, 2, 3;
CREATE FUNCTION t.measure(p_type text, VARIADIC p_data jsonb[]) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM unnest(p_data) d WHERE events.append_event('user:refused', p_type, d) IS NOT NULL
$$;

-- times: what is read, each in five minutes of its own
SELECT analytics.attach_events('timed', '{"v": "v"}') > 1 AS attached;
SELECT t.measure('timed', '{"v": 1, "timestamp": "2014-09-13 10:00:54 +0100"}', '{"v": 2, "timestamp": "2014-09-13T09:05:00Z"}', '{"v": 3, "timestamp": "2014-09-13 09:10:00 UTC"}',
	'{"v": 4, "timestamp": 1410599700}', '{"v": 5, "timestamp": "1410600000"}', '{"v": 6, "timestamp": 1410600300000}', '{"v": 7, "timestamp": "1410600600000.5"}', '{"v": 8, "timestamp": 1410600900.25}');
SELECT * FROM t.at;
-- what is not, and is not of now either
SELECT t.measure('timed', '{"v": 1, "timestamp": "09/13/14 08:27:54"}', '{"v": 1, "timestamp": 20140913}', '{"v": 1, "timestamp": "20140913102754"}', '{"v": 1, "timestamp": ""}',
	'{"v": 1, "timestamp": true}', '{"v": 1, "timestamp": {"at": 1}}', '{"v": 1, "timestamp": 1e300}', '{"v": 1, "timestamp": "yesterday"}', '{"other": 1, "timestamp": "yesterday"}');
SELECT count(*), sum(n) FROM t.at;
SELECT * FROM t.refused;
-- what lacks a time is of when it was appended
SELECT t.measure('timed', '{"v": 1}', '{"v": 1, "timestamp": null}');
SELECT sum(n) FROM t.at WHERE bucket > '2026-01-01';

-- values: texts that are numbers, fields inside of others, arrays
SELECT analytics.attach_events('nested', '{"/value/bpm": "bpm", "plain": "plain", "/list/1": "second", "/a~1b": "slash"}', '/who/id', '/who/device', '/when/0') > 1 AS attached;
SELECT t.measure('nested', '{"value": {"bpm": 72}, "plain": "72.5", "list": [1, "2e1", 3], "a/b": " -7 ", "who": {"id": "refused", "device": "w"}, "when": ["2026-01-01T00:00:00Z"]}',
	'{"value": {"bpm": "seventy"}, "plain": true, "list": ["NaN", "0x10"], "a/b": "", "who": {"id": "refused"}, "when": ["2026-01-01"]}',
	'{"value": 72, "list": {"1": 5}, "who": {"id": "refused"}, "when": ["2026-01-01"]}', '{"value": {"bpm": null}, "list": [1], "who": {"id": "refused"}, "when": ["2026-01-01"]}');
SELECT * FROM t.at WHERE bucket >= '2026-01-01' AND bucket < '2026-01-02';
SELECT * FROM t.refused;
-- a list of samples: what one lacks is the event's
SELECT analytics.attach_events('samples', '{"v": "v", "/more/w": "w"}', p_time_field => 'ts', p_samples_field => '/data/list') > 1 AS attached, analytics.attach_events('bare', '{"": "b"}', p_samples_field => 'list') > 1 AS bare;
SELECT t.measure('samples', '{"device_type": "w", "ts": "2026-02-01T00:00:00Z", "data": {"list": [{"ts": "2026-02-01T00:05:00Z", "v": 1, "more": {"w": 2}}, {"ts": "2026-02-01T00:06:00Z", "v": 3}, {"v": "4", "device_type": "x"}]}}',
	'{"data": {"list": [{"ts": "never", "v": 1, "more": {"w": 2}}, {"ts": "2026-02-01T00:10:00Z", "v": "?"}, {}, [], 7]}}', '{"data": {"list": {"v": 1}}}', '{"data": {"list": []}}', '{"data": null}', '{"v": 1}'),
	t.measure('bare', '{"list": [70, "71", 72], "timestamp": "2026-02-01T00:20:00Z"}');
SELECT * FROM t.at WHERE bucket >= '2026-02-01' AND bucket < '2026-02-02';
SELECT * FROM t.refused WHERE source IN ('samples', 'bare');
SELECT * FROM t.try($$SELECT analytics.attach_events('other', '{"/a~2": "b"}')$$);
SELECT * FROM t.try($$SELECT analytics.attach_events('other', '{"a": "b"}', p_samples_field => '/~')$$);
SELECT * FROM t.try(format($$SELECT analytics.attach_events('other', '{"a": "%s"}')$$, t.long(256)));
-- whose it is, by a field of the event or the sample: where that names nobody it is no reading
SELECT analytics.attach_events('owned', '{"v": "v"}', '/who/id', p_samples_field => '/list') > 1 AS attached;
SELECT t.measure('owned', '{"who": {"id": "refused"}, "timestamp": "2026-02-03", "list": [{"v": 1}, {"v": 2, "who": {"id": "another"}}, {"v": 3, "who": {"id": 7.5}}, {"v": 4, "who": {"id": true}}]}',
	'{"who": "refused", "timestamp": "2026-02-03", "list": [{"v": 5}, {"v": 6, "who": {"id": 7.0}}, {"w": 7}]}');
SELECT user_id, avg_value FROM analytics.user_metrics_daily WHERE day = '2026-02-03' ORDER BY 1;
SELECT * FROM t.refused WHERE source = 'owned';
SELECT analytics.rebuild_source(max(source_id)), analytics.refresh_user_metrics() >= 0 AS refreshed FROM analytics.sources;
SELECT user_id, avg_value FROM analytics.user_metrics_daily WHERE day = '2026-02-03' ORDER BY 1;
SELECT * FROM t.refused WHERE source = 'owned';

-- names that are too long for an index: in events, one by one and in a batch
SELECT t.measure('timed', jsonb_build_object('v', 9, 'device_type', t.long(3000), 'timestamp', '2026-03-01'));
SELECT count(*) FROM events.append_events(array_fill('user:refused'::text, '{3}'), array_fill('timed'::text, '{3}'),
	ARRAY['{"v": 10, "timestamp": "2026-03-01"}', jsonb_build_object('v', 11, 'device_type', t.long(3000), 'timestamp', '2026-03-01'), '{"v": 12, "timestamp": "2026-03-01"}']);
SELECT * FROM t.at WHERE bucket >= '2026-03-01' AND bucket < '2026-03-02';
SELECT * FROM t.refused WHERE reason = 'names';
-- in rows of the shipped table, which are refused
SELECT code, message FROM t.error_of($$INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value) VALUES ('refused', t.long(3000), 'm', 1)$$);
SELECT t.state($$INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES (t.long(100000), 'm', 1)$$);
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES (t.long(700), 'd', t.long(1792), 1, '2026-04-01');
SELECT t.state($$UPDATE biometric.biometric_events SET device_type = 'de'$$);
SELECT reading_count, length(user_id), length(metric_type) FROM analytics.user_metrics_daily WHERE day = '2026-04-01' ORDER BY 2;
-- in rows of an attached one, which may be anything
CREATE TABLE t.named (who text, device text, what text, v int, at timestamptz);
SELECT analytics.attach_source('t.named', 'who', 'device', 'what', 'v', 'at') > 1 AS attached;
INSERT INTO t.named VALUES ('refused', t.long(3000), 'm', 1, '2026-04-01'), ('refused', 'd', 'm', 2, '2026-04-01'), (t.long(100000), 'd', 'm', 3, '2026-04-01'), ('refused', 'd', 'm', 4, NULL);
SELECT * FROM t.at WHERE bucket >= '2026-04-01' AND bucket < '2026-04-02';
SELECT * FROM t.refused WHERE source = 't.named' OR reason = 'names';
-- readings so near to the ends of the calendar that no day of some zone holds them: no view fails for them, in whatever zone
SET timezone = 'UTC';
CREATE TABLE t.edges (who text, what text, v int, at timestamptz);
CREATE TABLE t.edge_days (who text, what text, v int, at date);
SELECT analytics.attach_source('t.edges', 'who', NULL, 'what', 'v', 'at') > 1 AS attached, analytics.attach_source('t.edge_days', 'who', NULL, 'what', 'v', 'at') > 1 AS days;
INSERT INTO t.edges SELECT 'edge', 'm', 1, at FROM unnest('{4714-11-24 00:00 BC,4714-12-31 23:59:59.999999 BC,4713-01-01 00:00 BC,294275-12-31 23:59:59.999999,294276-01-01 00:00,294276-12-31 23:59:59.999999,-infinity,infinity}'::timestamptz[]) at;
INSERT INTO t.edge_days SELECT 'edge', 'd', 1, at FROM unnest('{4714-12-31 BC,4713-01-01 BC,294275-12-31,294276-01-01,5874897-12-31,-infinity,infinity}'::date[]) at;
SELECT code, message FROM t.error_of($$INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('edge', 'm', 1, '4714-11-24 00:00 BC')$$);
SELECT t.state($$INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('edge', 'm', 1, '294276-12-31 23:00')$$);
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('edge', 'own', 1, '4713-01-01 00:00 BC'), ('edge', 'own', 1, '294275-12-31 23:59:59.999999'), ('edge', 'own', 1, 'infinity');
SELECT t.state($$UPDATE biometric.biometric_events SET timestamp = '4714-12-31 BC' WHERE user_id = 'edge'$$);
CREATE FUNCTION t.edges() RETURNS TABLE (zone text, days text, hours bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH zone IN ARRAY '{Pacific/Apia,America/New_York,Asia/Tokyo,Pacific/Kiritimati,UTC}'::text[] LOOP
		PERFORM analytics.set_time_zone(zone);
		SELECT string_agg(day::text, ', ' ORDER BY day) INTO days FROM analytics.user_metrics_daily WHERE user_id = 'edge' AND metric_type = 'm';
		SELECT sum(reading_count) INTO hours FROM analytics.user_metrics_hourly WHERE user_id = 'edge' AND bucket::text IS NOT NULL;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT * FROM t.edges();
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT * FROM t.edges();
SELECT * FROM t.refused WHERE source LIKE 't.edge%';
DROP TABLE t.edges, t.edge_days;
DROP FUNCTION t.edges;
DELETE FROM biometric.biometric_events WHERE user_id = 'edge';
-- counted with what the transaction does, and not what it takes back
BEGIN;
UPDATE t.named SET device = 'short' WHERE length(device) = 3000;
SAVEPOINT s;
DELETE FROM t.named WHERE length(who) = 100000;
SELECT * FROM t.refused WHERE source = 't.named';
ROLLBACK TO s;
COMMIT;
SELECT * FROM t.refused WHERE source = 't.named';
SELECT reading_count FROM analytics.user_metrics_daily WHERE device_type = 'short';

-- the refresh sums up and forgets nothing; counting a source anew gives the same
CREATE TABLE t.refused_before AS SELECT * FROM t.refused;
CREATE TABLE t.metrics_before AS SELECT * FROM analytics.user_metrics_daily;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT count(*) FROM ((TABLE t.refused EXCEPT TABLE t.refused_before) UNION ALL (TABLE t.refused_before EXCEPT TABLE t.refused)) d;
SELECT count(*) FROM ((SELECT day, user_id, device_type, metric_type, reading_count FROM t.metrics_before EXCEPT SELECT day, user_id, device_type, metric_type, reading_count FROM analytics.user_metrics_daily)) d;
SELECT count(*) = (SELECT count(DISTINCT (source_id, tenant_id, reason)) FROM auren.refusals) AS summed FROM auren.refusals;
SELECT count(analytics.rebuild_source(source_id)) > 4 AS rebuilt FROM analytics.sources WHERE NOT detached;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT count(*) FROM ((TABLE t.refused EXCEPT TABLE t.refused_before) UNION ALL (TABLE t.refused_before EXCEPT TABLE t.refused)) d;
SELECT pending_sources, refused_readings = (SELECT sum(refused) FROM t.refused_before) AS sum FROM analytics.refresh_status;
TRUNCATE t.named;
SELECT count(*) FROM t.refused WHERE source = 't.named';

-- stored before its table or type is attached: merging is not kept from the rest
CREATE TABLE t.unnamed (who text, what text, v int, at timestamptz);
INSERT INTO t.unnamed VALUES ('refused', 'm', 1, '2026-05-01'), (t.long(3000), 'm', 2, '2026-05-01'), ('refused', 'm', 3, NULL);
SELECT t.measure('before', jsonb_build_object('v', 1, 'device_type', t.long(3000)), '{"v": 2, "timestamp": "2026-05-01T00:05Z"}', '{"v": 3, "timestamp": "?"}');
SELECT analytics.attach_source('t.unnamed', 'who', NULL, 'what', 'v', 'at') > 1 AS attached, analytics.attach_events('before', '{"v": "v"}') > 1 AS type;
SELECT * FROM t.at WHERE bucket >= '2026-05-01' AND bucket < '2026-05-02';
SELECT analytics.refresh_user_metrics() >= 0;
SELECT pending_sources FROM analytics.refresh_status;
SELECT * FROM t.at WHERE bucket >= '2026-05-01' AND bucket < '2026-05-02';
SELECT * FROM t.refused WHERE source IN ('t.unnamed', 'before');
DELETE FROM t.unnamed;
SELECT * FROM t.refused WHERE source IN ('t.unnamed', 'before');

-- each tenant sees its own, and what is detached goes
SET app.tenant_id = 'another';
SELECT count(*) FROM t.refused;
RESET app.tenant_id;
SELECT count(analytics.detach_events(event_type)) FROM analytics.sources WHERE event_type IN ('timed', 'nested', 'samples', 'bare', 'before', 'owned') AND NOT detached;
SELECT analytics.detach_source('t.unnamed'), analytics.detach_source('t.named');
SELECT count(*) FROM t.refused;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT count(*) FROM auren.refusals;
TRUNCATE biometric.biometric_events;
DROP TABLE t.unnamed, t.named, t.refused_before, t.metrics_before;
DROP VIEW t.refused, t.at;
