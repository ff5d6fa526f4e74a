-- Rights, tenants and policies of functions that give events.
SET client_min_messages = warning;
SELECT count(events.append_event('ruled:1', 'e', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT count(*) FROM events.append_events((SELECT array_agg('ruled:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('ruled_kind'::text, ARRAY[30]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
-- The nodes of a plan, from the top.
CREATE FUNCTION pg_temp.nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN (WITH RECURSIVE node AS (SELECT plan -> 0 -> 'Plan' AS n, ARRAY[1] AS path UNION ALL
		SELECT c, path || i::int FROM node, json_array_elements(n -> 'Plans') WITH ORDINALITY AS x (c, i))
		SELECT string_agg((n ->> 'Node Type') || coalesce(' ' || (n ->> 'Custom Plan Provider'), '') || coalesce(' ' || (n ->> 'Order'), ''), ', ' ORDER BY path) FROM node);
END $$;
CREATE SCHEMA flow;
CREATE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,ruled_kind,%' AS whole FROM events.replay_stream('ruled:2', 1, 9) r;
CREATE TABLE flow.t (v bigint PRIMARY KEY, d jsonb);
INSERT INTO flow.t VALUES (1), (2), (3), (4), (5), (7), (8);
CREATE ROLE flow_none; CREATE ROLE flow_reader;
SELECT events.grant_access('flow_reader', 'reader');
GRANT USAGE ON SCHEMA flow, events TO flow_none, flow_reader;
GRANT SELECT ON flow.v TO flow_none, flow_reader;
CREATE FUNCTION flow.owned(s text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN (SELECT count(*) FROM events.replay_stream(s)); END $$;
CREATE FUNCTION flow.owned_sql(s text) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT stream_version FROM events.replay_stream(s)';
PREPARE rights AS SELECT stream_version FROM events.replay_stream('ruled:2') LIMIT 1;
EXECUTE rights;
SET ROLE flow_none;
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream(''ruled:2'')');
SELECT code, message FROM t.error_of('EXPLAIN ANALYZE SELECT * FROM events.events_by_time(''-infinity'', ''infinity'')');
SELECT code, message FROM t.error_of('SELECT stream_version FROM flow.v');
SELECT code, message FROM t.error_of('EXECUTE rights');
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream_backward(''ruled:2'')');
SELECT code, message FROM t.error_of('SELECT events.replay_stream(''ruled:2'')');
SELECT code, message FROM t.error_of('DECLARE c CURSOR WITH HOLD FOR SELECT * FROM events.replay_stream(''ruled:2'')');
-- a function that runs as its owner may
SELECT flow.owned('ruled:2'), (SELECT count(*) FROM flow.owned_sql('ruled:2'));
SET ROLE flow_reader;
SELECT count(*) FROM events.replay_stream('ruled:2');
SELECT count(stream_version) FROM flow.v;
SET plan_cache_mode = force_generic_plan;
PREPARE of_reader AS SELECT count(*) FROM events.replay_stream('ruled:2');
EXECUTE of_reader;
RESET ROLE;
SET app.tenant_id = 'ruled_tenant';
EXECUTE rights;
RESET app.tenant_id;
EXECUTE rights;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY ruled_part ON events.event_store FOR SELECT TO flow_reader USING (stream_version <= 2);
SET ROLE flow_reader;
EXECUTE of_reader;
SELECT pg_temp.nodes('SELECT * FROM events.replay_stream(''ruled:2'')');
SELECT stream_version FROM events.replay_stream('ruled:2');
SELECT stream_version FROM events.replay_stream('ruled:2') ORDER BY stream_version DESC LIMIT 1;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT stream_version FROM events.replay_stream_backward('ruled:2');
FETCH 1 FROM c;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
SELECT i, array_agg(stream_version) FROM generate_series(2, 3) i, events.replay_stream('ruled:' || i) GROUP BY i ORDER BY i;
SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', p_limit => 100000) WHERE stream_id LIKE 'ruled:%';
SELECT count(*) FROM events.read_all(p_category => 'ruled');
RESET ROLE;
EXECUTE of_reader;
-- a policy that fails ends the statement
CREATE FUNCTION flow.fails(v bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF v = 2 THEN RAISE EXCEPTION 'no second' USING ERRCODE = 'ZX002'; END IF; RETURN true; END $$;
ALTER POLICY ruled_part ON events.event_store USING (flow.fails(stream_version));
SET ROLE flow_reader;
SELECT stream_version FROM events.replay_stream('ruled:2') LIMIT 1;
SELECT code, message FROM t.error_of('SELECT * FROM events.replay_stream(''ruled:2'')');
SELECT count(*) FROM events.replay_stream('ruled:2', 3);
RESET ROLE;
DROP POLICY ruled_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SET ROLE flow_reader;
EXECUTE of_reader;
RESET ROLE;
RESET plan_cache_mode;
-- in a parallel plan's worker too
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(n) FROM flow.t, LATERAL (SELECT count(*) AS n FROM events.replay_stream('ruled:2') r WHERE r.stream_version >= t.v) x;
DROP SCHEMA flow CASCADE;
DROP OWNED BY flow_none, flow_reader;
DROP ROLE flow_none, flow_reader;
