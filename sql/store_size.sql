-- events.store_size: estimates beside the truth, for a distribution that is known. In a database of its own.
\set home :DBNAME
CREATE DATABASE store_of_known_size;
\c store_of_known_size
SET client_min_messages = warning;
CREATE EXTENSION auren_events;
SET auren_events.notifier = off;
CREATE SCHEMA t;
SELECT * FROM events.store_size;

-- a small month is counted, without ANALYZE and at once
SELECT count(events.append_event(s, 'happened', '{}')) FROM unnest('{order:1,order:1,order:2,user:1,user:2,"order-line:1",plain}'::text[]) s;
SET app.tenant_id = 'small';
SELECT count(events.append_event(s, 'happened', '{}')) FROM unnest('{order:1,user:1,user:1}'::text[]) s;
RESET app.tenant_id;
SELECT month = date_trunc('month', now() AT TIME ZONE 'UTC')::date AS this_month, tenant_id, category, events FROM events.store_size WHERE events > 0 ORDER BY tenant_id COLLATE "C", category COLLATE "C";
-- the bytes are those of the month, shared out; a month without events is one row
SELECT s.month, s.bytes BETWEEN pg_total_relation_size(m.partition) - 10 AND pg_total_relation_size(m.partition) + 10 AS all_bytes, s.events = coalesce(e.events, 0) AS all_events
FROM (SELECT month - date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month, month AS start, sum(events) AS events, sum(bytes) AS bytes FROM events.store_size GROUP BY month) s
JOIN events.months m ON m.month = s.start
LEFT JOIN (SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, count(*) AS events FROM events.event_store GROUP BY 1) e ON e.month = s.start
WHERE s.month = 0;

-- Months of many events: three tenants, whose categories have other parts in each; streams that are long and streams of one event.
CREATE PROCEDURE t.fill(p_tenant text, p_category text, p_streams integer, p_events integer, p_month date) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.tenant_id', p_tenant, true);
	FOR batch IN 0 .. (p_events - 1) / 1000 LOOP
		PERFORM count(*) FROM events.import_events(
			ARRAY(SELECT p_category || ':' || g % p_streams FROM generate_series(batch * 1000, least(p_events, batch * 1000 + 1000) - 1) g),
			ARRAY(SELECT 'imported' FROM generate_series(batch * 1000, least(p_events, batch * 1000 + 1000) - 1) g),
			ARRAY(SELECT '{"n": 1}'::jsonb FROM generate_series(batch * 1000, least(p_events, batch * 1000 + 1000) - 1) g),
			ARRAY(SELECT md5(concat_ws(' ', p_tenant, p_category, p_month, g))::uuid FROM generate_series(batch * 1000, least(p_events, batch * 1000 + 1000) - 1) g),
			ARRAY(SELECT p_month + g * interval '1 second' FROM generate_series(batch * 1000, least(p_events, batch * 1000 + 1000) - 1) g));
	END LOOP;
END $$;
CALL t.fill('a', 'first', 1, 1, '2024-01-01');
-- what the catalogs say is what this test makes them say
ALTER TABLE events.event_store_2024_01 SET (autovacuum_enabled = off);
CALL t.fill('a', 'device', 50, 15000, '2024-01-01');
CALL t.fill('a', 'order', 6000, 6000, '2024-01-01');
CALL t.fill('a', 'user', 600, 3000, '2024-01-01');
CALL t.fill('b', 'order', 3, 4000, '2024-01-01');
CALL t.fill('b', 'zone', 1, 1000, '2024-01-01');
CALL t.fill('c', 'a_category_with_a_long_name_that_takes_room_in_its_index', 200, 1000, '2024-01-01');
CALL t.fill('a', 'device', 10, 900, '2024-02-01');
CALL t.fill('c', 'device', 10, 100, '2024-02-01');
CREATE VIEW t.compared AS
	SELECT month, tenant_id, category, s.events AS estimate, e.events AS truth
	FROM (SELECT * FROM events.store_size WHERE month IN ('2024-01-01', '2024-02-01')) s
	FULL JOIN (SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, tenant_id, split_part(stream_id, ':', 1) AS category, count(*) AS events
	           FROM events.event_store WHERE created_at < '2024-03-01 00:00+00' GROUP BY 1, 2, 3) e USING (month, tenant_id, category);
-- every tenant and category that has at least a hundredth of the month is there, within a factor of two; the whole is within a fifth
SELECT month, tenant_id, category, truth, estimate BETWEEN truth / 2 AND truth * 2 AS within_two FROM t.compared WHERE truth > 300 OR month = '2024-02-01' ORDER BY month, tenant_id COLLATE "C", category COLLATE "C";
SELECT month, sum(estimate) BETWEEN 0.8 * sum(truth) AND 1.2 * sum(truth) AS without_analyze FROM t.compared GROUP BY 1 ORDER BY 1;
ANALYZE events.event_store;
SELECT month, sum(estimate) BETWEEN 0.99 * sum(truth) AND 1.01 * sum(truth) AS analyzed FROM t.compared GROUP BY 1 ORDER BY 1;
-- a month that has grown since
CALL t.fill('d', 'device', 100, 10000, '2024-01-01');
SELECT month, sum(estimate) BETWEEN 0.9 * sum(truth) AND 1.1 * sum(truth) AS grown FROM t.compared GROUP BY 1 ORDER BY 1;
SELECT truth, estimate BETWEEN truth / 2 AND truth * 2 AS within_two FROM t.compared WHERE tenant_id = 'd';

-- names so long that the index is deep, and the sample is of pages far above its leaves
CALL t.fill(repeat('t', 250), repeat('a', 240), 4000, 8000, '2024-03-01');
CALL t.fill(repeat('t', 250), repeat('b', 240), 2000, 4000, '2024-03-01');
CALL t.fill(repeat('u', 250), repeat('c', 240), 1000, 2000, '2024-03-01');
SELECT left(tenant_id, 1) AS tenant, left(category, 1) AS category, events BETWEEN truth / 2 AND truth * 2 AS within_two
FROM events.store_size JOIN (VALUES ('a', 8000), ('b', 4000), ('c', 2000)) v (first, truth) ON first = left(category, 1) WHERE month = '2024-03-01' ORDER BY 1, 2;
SELECT count(*) FROM events.store_size WHERE month = '2024-03-01';

-- no table of events is read: what the statistics of the tables count does not move
SELECT pg_stat_force_next_flush();
SELECT sum(seq_scan) + sum(coalesce(idx_scan, 0)) AS scans FROM pg_stat_user_tables WHERE relname ~ '^event_store' \gset
SELECT count(*) > 0 AS asked FROM events.store_size;
SELECT pg_stat_force_next_flush();
SELECT sum(seq_scan) + sum(coalesce(idx_scan, 0)) - :scans AS scans FROM pg_stat_user_tables WHERE relname ~ '^event_store';

-- a bound role sees its own tenant; a role under a policy nothing
CREATE ROLE store_size_bound;
CREATE ROLE store_size_reader;
SELECT events.grant_access('store_size_bound', 'reader'), events.bind_tenant('store_size_bound', 'b'), events.grant_access('store_size_reader', 'reader');
SET app.tenant_id = 'b';
SET ROLE store_size_bound;
SELECT DISTINCT tenant_id FROM events.store_size;
SET app.tenant_id = 'a';
SELECT DISTINCT tenant_id FROM events.store_size;
RESET app.tenant_id;
SET ROLE store_size_reader;
SELECT count(DISTINCT tenant_id) > 3 AS of_all FROM events.store_size;
RESET ROLE;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
SET ROLE store_size_reader;
SELECT DISTINCT tenant_id FROM events.store_size;
RESET ROLE;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;

-- a month without its index of streams: what is known of the whole
DROP INDEX events.idx_event_store_stream_2024_01;
SELECT month, tenant_id, category, events > 30000 AS all_events, bytes > 1000000 AS all_bytes FROM events.store_size WHERE month = '2024-01-01';

\c :home
DROP DATABASE store_of_known_size;
DROP ROLE store_size_bound, store_size_reader;
