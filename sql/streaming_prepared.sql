-- Prepared statements, wrappers and views over functions that give events.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('planned:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*) FROM events.append_events((SELECT array_agg('planned:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('planned_kind'::text, ARRAY[30]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
-- prepared, with a plan for any argument
SET plan_cache_mode = force_generic_plan;
PREPARE p (text, bigint) AS SELECT stream_version FROM events.replay_stream($1, $2, $2 + 1);
EXECUTE p ('planned:2', 3);
EXECUTE p ('planned:1', 20000);
EXECUTE p ('planned:none', 1);
RESET plan_cache_mode;
PREPARE o (int) AS SELECT count(*) FROM events.replay_stream('planned:2') WHERE $1 = 1;
EXECUTE o (1);
EXECUTE o (0);
-- a wrapper that is inlined follows what it wraps
CREATE SCHEMA flow;
CREATE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 9)';
PREPARE w AS SELECT * FROM flow.wrapped('planned:2');
EXECUTE w;
CREATE OR REPLACE FUNCTION flow.wrapped(s text) RETURNS TABLE (v bigint) LANGUAGE sql STABLE AS 'SELECT stream_version FROM events.replay_stream(s, 10)';
EXECUTE w;
CREATE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,planned_kind,%' AS whole FROM events.replay_stream('planned:2') r;
SELECT stream_version, event_data, whole FROM flow.v WHERE stream_version = 2;
PREPARE v AS SELECT count(*) FROM flow.v;
EXECUTE v;
CREATE OR REPLACE VIEW flow.v AS SELECT r.stream_version, r.event_data, r::text LIKE '%,planned_kind,%' AS whole FROM events.replay_stream('planned:2', 1, 9) r;
EXECUTE v;
-- a view that hides rows shows them to no function
CREATE FUNCTION flow.leak(v bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'saw %', v; RETURN true; END $$;
CREATE VIEW flow.few WITH (security_barrier) AS SELECT stream_version FROM events.replay_stream('planned:2') WHERE stream_version > 9;
SELECT * FROM flow.few WHERE flow.leak(stream_version);
CREATE MATERIALIZED VIEW flow.m AS SELECT stream_version FROM events.replay_stream('planned:2');
SELECT count(*) FROM flow.m;
DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM events.replay_stream('planned:1') LOOP n := n + 1; EXIT WHEN n = 100; END LOOP; IF n <> 100 THEN RAISE EXCEPTION '% rows', n; END IF; END $$;
COPY (SELECT stream_version, event_data FROM events.replay_stream('planned:2', 9)) TO STDOUT;
DROP SCHEMA flow CASCADE;
