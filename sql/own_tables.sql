-- The store's own tables as a DBA keeps them up: indexes made anew, tables rewritten, below sessions that go on.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('own:1'::text, ARRAY[3]), array_fill('e'::text, ARRAY[3]), ARRAY['1', '2', '3']::jsonb[]);
SELECT events.create_subscription('own', p_stream_prefix => 'own:') AS first;
CREATE FUNCTION pg_temp.calls() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', events.take_snapshot('own:1'), events.get_stream_state('own:1'), (SELECT count(*) FROM events.fetch('own', 'c')), events.write_feed_horizon() > 0,
	                 (SELECT count(*) FROM events.read_all(p_stream_prefix => 'own:')), (SELECT lag_events FROM events.subscriptions WHERE name = 'own')) $$;
SELECT pg_temp.calls();
REINDEX SCHEMA CONCURRENTLY events;
SELECT pg_temp.calls();
SELECT events.retry('own', 'c', (SELECT max(global_position) FROM events.read_all(p_stream_prefix => 'own:')), '0 seconds');
SELECT pg_temp.calls();
VACUUM FULL auren.stream_snapshots, auren.subscription_progress, auren.subscription_held, auren.subscription_consumers, auren.feed_horizons, auren.declared_reducers, auren.declared_notification_rules;
SELECT pg_temp.calls();
-- (the workers of a parallel query leave no snapshots)
SET max_parallel_workers_per_gather = 0;
-- what keeps a snapshot from being written does not keep a state from being read
CREATE UNIQUE INDEX own_dba ON auren.stream_snapshots (stream_id);
SET auren_events.snapshot_after = 1;
SELECT count(*) FROM events.append_events('{own:1,own:1}', '{e,e}', ARRAY['4', '5']::jsonb[]);
SELECT events.get_stream_state('own:1'), events.get_stream_state('own:1');
SELECT stream_version FROM events.snapshots WHERE stream_id = 'own:1';
DO $$ BEGIN PERFORM events.take_snapshot('own:1'); EXCEPTION WHEN unique_violation THEN RAISE WARNING 'taking one by hand says why not'; END $$;
DROP INDEX auren.own_dba;
SELECT events.get_stream_state('own:1');
SELECT stream_version FROM events.snapshots WHERE stream_id = 'own:1';
RESET auren_events.snapshot_after; RESET max_parallel_workers_per_gather;
SELECT events.drop_subscription('own'), events.drop_snapshots('own:1');
-- a reducer's function counts with its settings and the names of its arguments, and must outlive the session
CREATE FUNCTION public.own_f(s jsonb, t text, d jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN s || d; END';
SELECT events.set_reducer('own_kind', 'function', '{"function": "public.own_f"}');
CREATE TEMP TABLE versions AS SELECT events.reducers_version() AS v;
ALTER FUNCTION public.own_f SET search_path = public, pg_temp;
INSERT INTO versions SELECT events.reducers_version();
DROP FUNCTION public.own_f;
CREATE FUNCTION public.own_f(d jsonb, t text, s jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS 'BEGIN RETURN s || d; END';
INSERT INTO versions SELECT events.reducers_version();
SELECT count(DISTINCT v) FROM versions;
CREATE FUNCTION pg_temp.own_f(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN $1;
DO $$ BEGIN PERFORM events.set_reducer('own_kind', 'function', '{"function": "pg_temp.own_f"}'); EXCEPTION WHEN invalid_function_definition THEN RAISE WARNING '%', SQLERRM; END $$;
-- a schema that is renamed takes the function with it: it is missed at once
ALTER SCHEMA public RENAME TO own_public;
SELECT count(*) FROM events.append_events('{own:2}', '{own_kind}', '{"{}"}');
DO $$ BEGIN PERFORM events.get_stream_state('own:2'); EXCEPTION WHEN undefined_function THEN RAISE WARNING '%', regexp_replace(SQLERRM, '^.*: ', ''); END $$;
ALTER SCHEMA own_public RENAME TO public;
SELECT events.get_stream_state('own:2');
SELECT events.drop_reducer('own_kind');
DROP FUNCTION public.own_f;
