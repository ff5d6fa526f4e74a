-- Functions that give events are scanned like tables where they stand in FROM; elsewhere they give the same rows.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('flow:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*) FROM events.append_events((SELECT array_agg('flow:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('flow_kind'::text, ARRAY[30]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
CREATE FUNCTION pg_temp.error_of(statement text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
END $$;
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
-- whole rows
SELECT (r).stream_version, (r).event_data FROM (SELECT r FROM events.replay_stream('flow:2', 9) r) s;
SELECT row_to_json(r) -> 'stream_version' AS version, r IS NOT NULL AS whole, r::text LIKE '(%,9,flow_kind,%' AS as_text FROM events.replay_stream('flow:2', 9, 9) r;
SELECT count(*) FROM events.replay_stream('flow:2') a JOIN events.replay_stream('flow:2') b ON a = b;
SELECT count(DISTINCT r) FROM events.replay_stream('flow:2') r WHERE r IS NOT NULL;
-- it stops where the reader stops: 20,000 events are there, a few are read
BEGIN;
CREATE TEMP TABLE fetched AS SELECT 0 AS n, sum(pg_stat_get_xact_tuples_fetched(inhrelid)) AS rows FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT stream_version FROM events.replay_stream('flow:1') LIMIT 1;
INSERT INTO fetched SELECT 1, sum(pg_stat_get_xact_tuples_fetched(inhrelid)) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT stream_version FROM events.replay_stream('flow:1') ORDER BY stream_version DESC LIMIT 1;
INSERT INTO fetched SELECT 2, sum(pg_stat_get_xact_tuples_fetched(inhrelid)) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT EXISTS (SELECT FROM events.replay_stream('flow:1') WHERE event_data = '3');
INSERT INTO fetched SELECT 3, sum(pg_stat_get_xact_tuples_fetched(inhrelid)) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
DECLARE c CURSOR FOR SELECT stream_version FROM events.replay_stream('flow:1');
FETCH 2 FROM c;
INSERT INTO fetched SELECT 4, sum(pg_stat_get_xact_tuples_fetched(inhrelid)) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT b.n, b.rows - a.rows < 20 AS few FROM fetched a JOIN fetched b ON b.n = a.n + 1 ORDER BY 1;
-- a cursor sees what was there when it was opened
SELECT events.append_event('flow:1', 'e', '20001') IS NOT NULL AS appended;
MOVE 19997 FROM c;
FETCH ALL FROM c;
COMMIT;
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
SELECT i, (SELECT event_data FROM events.replay_stream('flow:' || i) ORDER BY stream_version DESC LIMIT 1) FROM generate_series(2, 4) i;
-- prepared, with a plan for any argument
SET plan_cache_mode = force_generic_plan;
PREPARE p (text, bigint) AS SELECT stream_version FROM events.replay_stream($1, $2, $2 + 1);
EXECUTE p ('flow:2', 3); EXECUTE p ('flow:1', 20000); EXECUTE p ('flow:none', 1);
RESET plan_cache_mode;
-- a wrapper that is inlined follows what it wraps
CREATE SCHEMA flow;
CREATE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 9)';
PREPARE w AS SELECT * FROM flow.wrapped('flow:2');
EXECUTE w;
CREATE OR REPLACE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 10)';
EXECUTE w;
CREATE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,flow_kind,%' AS whole FROM events.replay_stream('flow:2') r;
SELECT stream_version, event_data, whole FROM flow.v WHERE stream_version = 2;
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
-- errors come where the call is
SELECT e.* FROM unnest(ARRAY['SELECT * FROM events.replay_stream(NULL)', 'SELECT * FROM events.replay_stream(''flow:2'', -1)', 'SELECT * FROM events.replay_stream_backward(''flow:2'', NULL, -1)', 'SELECT * FROM events.events_by_time(NULL, now())',
	'SELECT * FROM events.read_all(p_limit => -1)']) WITH ORDINALITY AS q (query, i), LATERAL pg_temp.error_of(query) e ORDER BY i;
-- rights, tenants, policies
CREATE ROLE flow_none; CREATE ROLE flow_reader;
SELECT events.grant_access('flow_reader', 'reader');
GRANT USAGE ON SCHEMA flow, events TO flow_none, flow_reader;
GRANT SELECT ON flow.v TO flow_none, flow_reader;
PREPARE rights AS SELECT stream_version FROM events.replay_stream('flow:2') LIMIT 1;
EXECUTE rights;
SET ROLE flow_none;
SELECT code, message FROM pg_temp.error_of('SELECT * FROM events.replay_stream(''flow:2'')');
SELECT code, message FROM pg_temp.error_of('EXPLAIN ANALYZE SELECT * FROM events.events_by_time(''-infinity'', ''infinity'')');
SELECT code, message FROM pg_temp.error_of('SELECT stream_version FROM flow.v');
SELECT code, message FROM pg_temp.error_of('EXECUTE rights');
SET ROLE flow_reader;
SELECT count(*) FROM events.replay_stream('flow:2');
SELECT count(stream_version) FROM flow.v;
RESET ROLE;
SET app.tenant_id = 'flow_tenant';
EXECUTE rights;
RESET app.tenant_id;
EXECUTE rights;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY flow_part ON events.event_store FOR SELECT TO flow_reader USING (stream_version <= 2);
SET ROLE flow_reader;
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
DROP POLICY flow_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
-- in a parallel plan's worker too
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(n) FROM flow.t, LATERAL (SELECT count(*) AS n FROM events.replay_stream('flow:2') r WHERE r.stream_version >= t.v) x;
DROP SCHEMA flow CASCADE;
DROP OWNED BY flow_none, flow_reader;
DROP ROLE flow_none, flow_reader;
