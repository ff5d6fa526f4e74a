-- Functions that give events are scanned like tables where they stand in FROM; elsewhere they give the same rows.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('flow:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*) FROM events.append_events((SELECT array_agg('flow:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('flow_kind'::text, ARRAY[30]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
-- The nodes of a plan, from the top.
CREATE FUNCTION pg_temp.nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN (WITH RECURSIVE node AS (SELECT plan -> 0 -> 'Plan' AS n, ARRAY[1] AS path UNION ALL
		SELECT c, path || i::int FROM node, json_array_elements(n -> 'Plans') WITH ORDINALITY AS x (c, i))
		SELECT string_agg((n ->> 'Node Type') || coalesce(' ' || (n ->> 'Custom Plan Provider'), '') || coalesce(' ' || (n ->> 'Order'), ''), ', ' ORDER BY path) FROM node);
END $$;
EXPLAIN (COSTS OFF) SELECT * FROM events.replay_stream('flow:1', 5) LIMIT 1;
SELECT query, pg_temp.nodes(query) FROM unnest(ARRAY[
	'SELECT * FROM events.replay_stream(''flow:1'')', 'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY stream_version', 'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY stream_version DESC',
	'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY event_type', 'SELECT * FROM events.replay_stream_backward(''flow:1'') ORDER BY stream_version DESC', 'SELECT * FROM events.replay_stream_backward(''flow:1'') ORDER BY stream_version',
	'SELECT * FROM events.events_by_time(''-infinity'', ''infinity'') ORDER BY created_at, global_position', 'SELECT * FROM events.read_all() ORDER BY global_position',
	'SELECT * FROM events.replay_stream(''flow:1'') WITH ORDINALITY', 'SELECT * FROM ROWS FROM (events.replay_stream(''flow:1''), generate_series(1, 2))', 'SELECT events.replay_stream(''flow:1'')',
	'SELECT * FROM events.replay_stream(''flow:'' || floor(random())::text)', 'SELECT * FROM (VALUES (1), (2)) v (i), events.replay_stream(''flow:'' || i) r']) WITH ORDINALITY AS q (query, i) ORDER BY i;
-- the order is known through UNION ALL and DISTINCT
SELECT query, pg_temp.nodes(query) FROM unnest(ARRAY[
	'SELECT * FROM (SELECT stream_version FROM events.replay_stream(''flow:2'') UNION ALL SELECT stream_version FROM events.replay_stream(''flow:3'')) u ORDER BY 1 DESC',
	'SELECT DISTINCT stream_version FROM events.replay_stream(''flow:1'')',
	'SELECT * FROM events.events_by_time(''-infinity'', ''infinity'') ORDER BY created_at DESC']) WITH ORDINALITY AS q (query, i) ORDER BY i;
-- rows that came, as EXPLAIN ANALYZE counts them, and those that a filter held back
CREATE FUNCTION pg_temp.counts(query text) RETURNS TABLE (name text, rows int, removed int, call text) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	RETURN QUERY WITH RECURSIVE node AS (SELECT plan -> 0 -> 'Plan' AS n UNION ALL SELECT c FROM node, json_array_elements(n -> 'Plans') AS c)
		SELECT n ->> 'Custom Plan Provider', (n ->> 'Actual Rows')::numeric::int, (n ->> 'Rows Removed by Filter')::numeric::int, n ->> 'Function Call' FROM node WHERE n ->> 'Node Type' = 'Custom Scan';
END $$;
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream(''flow:1'') LIMIT 3');
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream(''flow:1'', 11, 20) WHERE stream_version > 13');
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream_backward(p_stream_id := ''flow:2'', p_limit := 4)');
SELECT * FROM pg_temp.counts('SELECT * FROM events.events_by_time(''-infinity'', ''infinity'', ''flow_kind'')');
-- right wherever it stands
SELECT stream_version, event_data FROM events.replay_stream('flow:1') LIMIT 2;
SELECT stream_version, event_data FROM events.replay_stream('flow:1') ORDER BY stream_version DESC LIMIT 2;
SELECT stream_version FROM events.replay_stream('flow:1', 19998) WHERE stream_version % 2 = 0;
SELECT count(*), sum(event_data::int), min(stream_version), max(stream_version) FROM events.replay_stream('flow:1', 101, 200);
SELECT count(*), min(stream_version) FROM events.replay_stream_backward('flow:1', 500, 100);
SELECT max(ordinality), max(stream_version) FROM events.replay_stream('flow:1') WITH ORDINALITY;
SELECT stream_version, g FROM ROWS FROM (events.replay_stream('flow:2', 1, 2), generate_series(1, 3)) AS r (event_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position, g);
SELECT count(r) FROM (SELECT events.replay_stream('flow:1') AS r) s;
SELECT count(*) FROM events.replay_stream('flow:' || floor(random())::text);
SELECT array_agg(stream_version) FROM (SELECT * FROM (SELECT stream_version FROM events.replay_stream('flow:2', 8) UNION ALL SELECT stream_version FROM events.replay_stream('flow:3', 8)) u ORDER BY 1 DESC) x;
SELECT (SELECT count(*) FROM events.replay_stream((SELECT 'flow:' || i))) FROM generate_series(2, 5) i;
SELECT i, r.stream_version FROM generate_series(2, 3) i, events.replay_stream((SELECT max('flow:' || w) FROM generate_series(2, 4) w WHERE w <= i), 9) r;
WITH RECURSIVE w (v) AS (SELECT 1::bigint UNION ALL SELECT r.stream_version FROM w, events.replay_stream('flow:2', w.v + 1, w.v + 1) r) SELECT count(*), max(v) FROM w;
WITH r AS MATERIALIZED (SELECT * FROM events.replay_stream('flow:2')) SELECT (SELECT count(*) FROM r), (SELECT max(stream_version) FROM r);
SELECT i, r.kind, r.w IS NULL AS no_row FROM generate_series(9, 11) i LEFT JOIN (SELECT stream_version AS v, coalesce(event_type, 'none') AS kind, x AS w FROM events.replay_stream('flow:2') x) r ON r.v = i ORDER BY i;
SELECT i, r.kind, r.w IS NULL AS no_row FROM generate_series(9, 10) i LEFT JOIN LATERAL (SELECT coalesce(event_type, 'none') AS kind, x AS w FROM events.replay_stream('flow:2', i, i) x WHERE i = 9) r ON true ORDER BY i;
SELECT count(*) FROM events.event_store e JOIN events.replay_stream('flow:2') r USING (event_id);
SELECT event_type, count(*) FROM events.replay_stream('flow:2') GROUP BY ROLLUP (event_type) ORDER BY 1;
SELECT count(*) FROM generate_series(1, 3) i WHERE EXISTS (SELECT FROM events.replay_stream('flow:' || i) WHERE event_type = 'flow_kind');
-- whole rows
SELECT (r).stream_version, (r).event_data FROM (SELECT r FROM events.replay_stream('flow:2', 9) r) s;
SELECT row_to_json(r) -> 'stream_version' AS version, r IS NOT NULL AS whole, r::text LIKE '(%,9,flow_kind,%' AS as_text FROM events.replay_stream('flow:2', 9, 9) r;
SELECT count(*) FROM events.replay_stream('flow:2') a JOIN events.replay_stream('flow:2') b ON a = b;
SELECT count(DISTINCT r) FROM events.replay_stream('flow:2') r WHERE r IS NOT NULL;
SELECT count(x), min((x).stream_version) FROM (SELECT r AS x FROM events.replay_stream('flow:2') r UNION ALL SELECT r FROM events.replay_stream('flow:3', 4) r) u;
SELECT count(x), max((x).stream_version) FROM (SELECT r AS x FROM events.replay_stream_backward('flow:2', 7) r) u;
SELECT (x).stream_id, (x).stream_version FROM (SELECT r AS x FROM events.events_by_time('-infinity', 'infinity', 'flow_kind', 2) r) u;
-- (what the workers of a parallel query read is not counted here)
SET max_parallel_workers_per_gather = 0;
-- it stops where the reader stops: 20,000 events are there, a few are read
CREATE FUNCTION pg_temp.fetched() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables WHERE schemaname = 'events' AND relname LIKE 'event\_store%' $$;
BEGIN;
CREATE TEMP TABLE fetched AS SELECT 0 AS n, pg_temp.fetched() AS rows;
SELECT stream_version FROM events.replay_stream('flow:1') LIMIT 1;
INSERT INTO fetched SELECT 1, pg_temp.fetched();
SELECT stream_version FROM events.replay_stream('flow:1') ORDER BY stream_version DESC LIMIT 1;
INSERT INTO fetched SELECT 2, pg_temp.fetched();
SELECT EXISTS (SELECT FROM events.replay_stream('flow:1') WHERE event_data = '3');
INSERT INTO fetched SELECT 3, pg_temp.fetched();
DECLARE c CURSOR FOR SELECT stream_version FROM events.replay_stream('flow:1');
FETCH 2 FROM c;
INSERT INTO fetched SELECT 4, pg_temp.fetched();
SELECT stream_version FROM events.replay_stream_backward('flow:1') LIMIT 1;
INSERT INTO fetched SELECT 5, pg_temp.fetched();
SELECT count(*) FROM (SELECT FROM events.read_all(p_limit => 100000) LIMIT 2) r;
INSERT INTO fetched SELECT 6, pg_temp.fetched();
SELECT i, (SELECT event_data FROM events.replay_stream('flow:1', i) LIMIT 1) FROM generate_series(10000, 10002) i;
INSERT INTO fetched SELECT 7, pg_temp.fetched();
SELECT count(*) FROM events.replay_stream('flow:1') WHERE event_data IS NOT NULL;
INSERT INTO fetched SELECT 8, pg_temp.fetched();
SELECT b.n, b.rows - a.rows BETWEEN 1 AND 20 AS few, b.rows - a.rows >= 20000 AS all FROM fetched a JOIN fetched b ON b.n = a.n + 1 ORDER BY 1;
RESET max_parallel_workers_per_gather;
-- a cursor sees what was there when it was opened
SELECT events.append_event('flow:1', 'e', '20001') IS NOT NULL AS appended;
MOVE 19997 FROM c;
FETCH ALL FROM c;
COMMIT;
-- nor does a statement that appends to what it reads go on for ever
SELECT count(events.append_event('flowing:1', 'e', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT count(events.append_event('flowing:1', 'copy', event_data)) FROM events.replay_stream('flowing:1');
DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM events.replay_stream('flowing:1') LOOP PERFORM events.append_event('flowing:1', 'again', r.event_data); END LOOP; END $$;
SELECT event_type, count(*) FROM events.replay_stream('flowing:1') GROUP BY 1 ORDER BY 1;
-- cursors and savepoints
BEGIN;
DECLARE c CURSOR FOR SELECT stream_version FROM events.replay_stream('flow:2');
SAVEPOINT a;
FETCH 2 FROM c;
ROLLBACK TO SAVEPOINT a;
FETCH 2 FROM c;
DECLARE d CURSOR FOR SELECT stream_version FROM events.replay_stream('flow:3');
FETCH 1 FROM d;
ROLLBACK TO SAVEPOINT a;
MOVE 2 FROM c;
FETCH 1 FROM c;
FETCH 1 FROM d;
ROLLBACK;
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT stream_version FROM events.replay_stream('flow:2');
FETCH 3 FROM s; FETCH BACKWARD 2 FROM s; FETCH LAST FROM s; FETCH ABSOLUTE 4 FROM s;
DECLARE h CURSOR WITH HOLD FOR SELECT stream_version FROM events.replay_stream('flow:2');
FETCH 1 FROM h;
DECLARE t CURSOR WITH HOLD FOR SELECT stream_id, stream_version FROM events.events_by_time('-infinity', 'infinity', 'flow_kind', 3);
DECLARE a CURSOR WITH HOLD FOR SELECT stream_version FROM events.read_all(p_limit => 3, p_stream_prefix => 'flow:3');
COMMIT;
FETCH ALL FROM h; FETCH ALL FROM t; FETCH ALL FROM a;
CLOSE ALL;
-- joined and run again for each row
SELECT i, count(r.stream_version), sum(r.stream_version) FROM generate_series(1, 5) i LEFT JOIN LATERAL events.replay_stream('flow:' || i, 2, 4) r ON true GROUP BY i ORDER BY i;
SELECT count(*) FROM generate_series(1, 3) i, events.replay_stream('flow:2') r WHERE r.stream_version > i;
SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT count(*) FROM events.replay_stream('flow:2') a, events.replay_stream('flow:3') b WHERE a.stream_version = b.stream_version;
RESET enable_material; RESET enable_hashjoin; RESET enable_mergejoin;
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT pg_temp.nodes('SELECT count(*) FROM events.replay_stream(''flow:2'') a JOIN events.replay_stream(''flow:3'') b USING (stream_version)') LIKE '%Merge Join%Custom Scan%Custom Scan%' AS merges;
SELECT count(*) FROM events.replay_stream('flow:2') a JOIN events.replay_stream('flow:3') b USING (stream_version);
SELECT count(*) FROM events.replay_stream('flow:2') a FULL JOIN events.replay_stream('flow:3', 3) b USING (stream_version);
SELECT count(*) FROM (VALUES (1), (1), (2), (2), (2)) v (i) JOIN events.replay_stream('flow:3') b ON b.stream_version = v.i;
RESET enable_hashjoin; RESET enable_nestloop;
SELECT i, (SELECT event_data FROM events.replay_stream('flow:' || i) ORDER BY stream_version DESC LIMIT 1) FROM generate_series(2, 4) i;
-- prepared, with a plan for any argument
SET plan_cache_mode = force_generic_plan;
PREPARE p (text, bigint) AS SELECT stream_version FROM events.replay_stream($1, $2, $2 + 1);
EXECUTE p ('flow:2', 3); EXECUTE p ('flow:1', 20000); EXECUTE p ('flow:none', 1);
RESET plan_cache_mode;
PREPARE o (int) AS SELECT count(*) FROM events.replay_stream('flow:2') WHERE $1 = 1;
EXECUTE o (1); EXECUTE o (0);
-- a wrapper that is inlined follows what it wraps
CREATE SCHEMA flow;
CREATE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 9)';
PREPARE w AS SELECT * FROM flow.wrapped('flow:2');
EXECUTE w;
CREATE OR REPLACE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 10)';
EXECUTE w;
CREATE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,flow_kind,%' AS whole FROM events.replay_stream('flow:2') r;
SELECT stream_version, event_data, whole FROM flow.v WHERE stream_version = 2;
PREPARE v AS SELECT count(*) FROM flow.v;
EXECUTE v;
CREATE OR REPLACE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,flow_kind,%' AS whole FROM events.replay_stream('flow:2', 1, 9) r;
EXECUTE v;
-- a view that hides rows shows them to no function
CREATE FUNCTION flow.leak(v bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'saw %', v; RETURN true; END $$;
CREATE VIEW flow.few WITH (security_barrier) AS SELECT stream_version FROM events.replay_stream('flow:2') WHERE stream_version > 9;
SELECT * FROM flow.few WHERE flow.leak(stream_version);
CREATE MATERIALIZED VIEW flow.m AS SELECT stream_version FROM events.replay_stream('flow:2');
SELECT count(*) FROM flow.m;
DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM events.replay_stream('flow:1') LOOP n := n + 1; EXIT WHEN n = 100; END LOOP; IF n <> 100 THEN RAISE EXCEPTION '% rows', n; END IF; END $$;
COPY (SELECT stream_version, event_data FROM events.replay_stream('flow:2', 9)) TO STDOUT;
-- beside rows that are locked or changed
CREATE TABLE flow.t (v bigint PRIMARY KEY, d jsonb);
INSERT INTO flow.t SELECT stream_version, 'null' FROM events.replay_stream('flow:2');
UPDATE flow.t SET d = r.event_data FROM events.replay_stream('flow:2') r WHERE r.stream_version = t.v AND t.v < 4;
SELECT t.v, t.d, r.stream_version FROM flow.t, events.replay_stream('flow:2') r WHERE r.stream_version = t.v AND t.v <= 2 ORDER BY 1 FOR UPDATE OF t;
DELETE FROM flow.t USING events.replay_stream('flow:2', 5) r WHERE r.stream_version = t.v;
SELECT count(*) FROM flow.t;
INSERT INTO flow.t SELECT stream_version, event_data FROM events.replay_stream('flow:2', 3, 6) ON CONFLICT (v) DO UPDATE SET d = '"again"';
SELECT * FROM flow.t ORDER BY v;
UPDATE flow.t SET d = to_jsonb(r) - '{event_id,event_data,created_at,metadata,created_by,global_position}'::text[] FROM events.replay_stream('flow:2', 4, 4) r WHERE r.stream_version = t.v RETURNING r.event_type, t.d, r IS NOT NULL AS whole;
MERGE INTO flow.t USING events.replay_stream('flow:2', 6, 8) r ON t.v = r.stream_version WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (r.stream_version, r.event_data);
SELECT array_agg(v ORDER BY v) FROM flow.t;
SELECT count(*) FROM (SELECT stream_version FROM events.replay_stream('flow:2') FOR UPDATE) r;
-- columns that were added to the months and dropped, as a store of an earlier version may have them
ALTER EVENT TRIGGER auren_events_objects_change DISABLE;
ALTER EVENT TRIGGER auren_events_objects_gone DISABLE;
ALTER TABLE events.event_store ADD COLUMN flow_first text, ADD COLUMN flow_second text DEFAULT 'dba';
ALTER TABLE events.event_store DROP COLUMN flow_first;
SELECT events.append_event('flowing:2', 'e', '1') IS NOT NULL AS appended;
SELECT stream_version, event_type, event_data, r IS NOT NULL AS whole FROM events.replay_stream('flowing:2') r;
SELECT max(stream_version), count(*), bool_and(r IS NOT NULL) AS whole FROM events.replay_stream('flow:2') r;
SELECT event_data FROM events.events_by_time('-infinity', 'infinity', 'flow_kind', 1);
ALTER TABLE events.event_store DROP COLUMN flow_second;
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
SELECT stream_version, event_type, event_data, r IS NOT NULL AS whole FROM events.replay_stream_backward('flowing:2') r;
-- errors come where the call is
SELECT e.code, e.message FROM unnest(ARRAY['SELECT * FROM events.replay_stream(NULL)', 'SELECT * FROM events.replay_stream(''flow:2'', -1)', 'SELECT * FROM events.replay_stream_backward(''flow:2'', NULL, -1)', 'SELECT * FROM events.events_by_time(NULL, now())',
	'SELECT * FROM events.read_all(p_limit => -1)']) WITH ORDINALITY AS q (query, i), LATERAL t.error_of(query) e ORDER BY i;
-- rights, tenants, policies
CREATE ROLE flow_none; CREATE ROLE flow_reader;
SELECT events.grant_access('flow_reader', 'reader');
GRANT USAGE ON SCHEMA flow, events TO flow_none, flow_reader;
GRANT SELECT ON flow.v TO flow_none, flow_reader;
CREATE FUNCTION flow.owned(s text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN (SELECT count(*) FROM events.replay_stream(s)); END $$;
CREATE FUNCTION flow.owned_sql(s text) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT stream_version FROM events.replay_stream(s)';
PREPARE rights AS SELECT stream_version FROM events.replay_stream('flow:2') LIMIT 1;
EXECUTE rights;
SET ROLE flow_none;
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream(''flow:2'')');
SELECT code, message FROM t.error_of('EXPLAIN ANALYZE SELECT * FROM events.events_by_time(''-infinity'', ''infinity'')');
SELECT code, message FROM t.error_of('SELECT stream_version FROM flow.v');
SELECT code, message FROM t.error_of('EXECUTE rights');
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream_backward(''flow:2'')');
SELECT code, message FROM t.error_of('SELECT events.replay_stream(''flow:2'')');
SELECT code, message FROM t.error_of('DECLARE c CURSOR WITH HOLD FOR SELECT * FROM events.replay_stream(''flow:2'')');
-- a function that runs as its owner may
SELECT flow.owned('flow:2'), (SELECT count(*) FROM flow.owned_sql('flow:2'));
SET ROLE flow_reader;
SELECT count(*) FROM events.replay_stream('flow:2');
SELECT count(stream_version) FROM flow.v;
SET plan_cache_mode = force_generic_plan;
PREPARE of_reader AS SELECT count(*) FROM events.replay_stream('flow:2');
EXECUTE of_reader;
RESET ROLE;
SET app.tenant_id = 'flow_tenant';
EXECUTE rights;
RESET app.tenant_id;
EXECUTE rights;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY flow_part ON events.event_store FOR SELECT TO flow_reader USING (stream_version <= 2);
SET ROLE flow_reader;
EXECUTE of_reader;
SELECT pg_temp.nodes('SELECT * FROM events.replay_stream(''flow:2'')');
SELECT stream_version FROM events.replay_stream('flow:2');
SELECT stream_version FROM events.replay_stream('flow:2') ORDER BY stream_version DESC LIMIT 1;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT stream_version FROM events.replay_stream_backward('flow:2');
FETCH 1 FROM c;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
SELECT i, array_agg(stream_version) FROM generate_series(2, 3) i, events.replay_stream('flow:' || i) GROUP BY i ORDER BY i;
SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', p_limit => 100000) WHERE stream_id LIKE 'flow:%';
SELECT count(*) FROM events.read_all(p_category => 'flow');
RESET ROLE;
EXECUTE of_reader;
-- a policy that fails ends the statement
CREATE FUNCTION flow.fails(v bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF v = 2 THEN RAISE EXCEPTION 'no second' USING ERRCODE = 'ZX002'; END IF; RETURN true; END $$;
ALTER POLICY flow_part ON events.event_store USING (flow.fails(stream_version));
SET ROLE flow_reader;
SELECT stream_version FROM events.replay_stream('flow:2') LIMIT 1;
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream(''flow:2'')');
SELECT count(*) FROM events.replay_stream('flow:2', 3);
RESET ROLE;
DROP POLICY flow_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SET ROLE flow_reader;
EXECUTE of_reader;
RESET ROLE;
RESET plan_cache_mode;
-- in a parallel plan's worker too
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(n) FROM flow.t, LATERAL (SELECT count(*) AS n FROM events.replay_stream('flow:2') r WHERE r.stream_version >= t.v) x;
DROP SCHEMA flow CASCADE;
DROP OWNED BY flow_none, flow_reader;
DROP ROLE flow_none, flow_reader;
