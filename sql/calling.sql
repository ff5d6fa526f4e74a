-- The ways in which a client calls: cursors, COPY, deferred triggers, parallel workers.
SET client_min_messages = warning;
-- a cursor appends as far as it is read
BEGIN;
DECLARE c CURSOR FOR SELECT events.append_event('call:a', 'fetched', to_jsonb(i)) IS NOT NULL AS appended FROM generate_series(1, 10) i;
FETCH 3 FROM c;
SELECT events.append_event('call:a', 'between', '1') IS NOT NULL AS appended;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
SELECT t.show('call:a');
-- a cursor on a replay sees the stream as it was when it was opened, to and fro, and beyond the transaction
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT stream_version FROM events.replay_stream_backward('call:a');
DECLARE h CURSOR WITH HOLD FOR SELECT stream_version, event_type FROM events.replay_stream('call:a', 4);
FETCH 2 FROM s;
FETCH BACKWARD 1 FROM s;
SELECT events.append_event('call:a', 'late', '1') IS NOT NULL AS appended;
FETCH 2 FROM s;
COMMIT;
SELECT events.append_event('call:a', 'later', '1') IS NOT NULL AS appended;
FETCH ALL FROM h;
CLOSE h;
-- COPY of a query
COPY (SELECT stream_id, stream_version FROM events.append_events('{call:b,call:c,call:b}', '{x,y,z}', '{1,2,3}')) TO STDOUT;
COPY (SELECT stream_version, event_type, event_data FROM events.replay_stream('call:b')) TO STDOUT (FORMAT csv);
-- COPY into a table whose trigger appends
CREATE TABLE t.readings (person text, bpm integer);
CREATE FUNCTION t.reading_received() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM events.append_event('call:user:' || NEW.person, 'reading_received', jsonb_build_object('bpm', NEW.bpm));
	RETURN NULL;
END $$;
CREATE TRIGGER received AFTER INSERT ON t.readings FOR EACH ROW EXECUTE FUNCTION t.reading_received();
COPY t.readings FROM STDIN;
ann	61
bob	72
ann	63
\.
SELECT t.show('call:user:ann');
SELECT t.show('call:user:bob');
DROP TRIGGER received ON t.readings;
-- a deferred trigger appends at commit
CREATE CONSTRAINT TRIGGER received AFTER INSERT ON t.readings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t.reading_received();
BEGIN;
INSERT INTO t.readings VALUES ('eve', 80), ('eve', 81);
SELECT events.stream_exists('call:user:eve') AS before;
COMMIT;
SELECT t.show('call:user:eve');
DROP TABLE t.readings;
-- a table that is read while events are made of its rows, each out of line
CREATE TABLE t.documents AS
	SELECT 1 AS k, (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 3000) i) AS d
	UNION ALL SELECT 2, jsonb_build_object('a', repeat('y', 200000))
	ORDER BY k;
SELECT count(events.append_event('call:documents', 'stored', d, p_metadata := jsonb_build_object('again', d))) FROM t.documents;
SELECT bool_and(event_data = d AND metadata = jsonb_build_object('again', d)) AS same
FROM events.replay_stream('call:documents') JOIN t.documents ON k = stream_version;
DROP TABLE t.documents;
-- a prepared statement of the plainest kind, many times, with the plan that suits all parameters
PREPARE call(text, bigint) AS SELECT stream_version, event_type FROM events.replay_stream($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE call('call:b', 2);
EXECUTE call('call:c', 1);
RESET plan_cache_mode;
DEALLOCATE call;
-- readers in parallel workers: the same rows, the same tenant, the same refusals
CREATE ROLE regress_worker;
SELECT events.grant_access('regress_worker', 'reader'), events.bind_tenant('regress_worker', 'call');
SET app.tenant_id = 'call';
SELECT count(*) FROM events.append_events('{call:a,call:a,call:b}', '{x,y,x}', ARRAY['{"n": 1}', '{"n": 2}', '{"n": 3}']::jsonb[]);
DO $$
BEGIN
	PERFORM set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
END $$;
EXPLAIN (COSTS OFF) SELECT * FROM events.replay_stream('call:a');
SET ROLE regress_worker;
SELECT stream_version, event_data FROM events.replay_stream('call:a');
SELECT stream_version, event_data FROM events.replay_stream_backward('call:a', NULL, 1);
SELECT event_data FROM events.last_event('call:a', 'x');
SELECT events.get_stream_state('call:a'), events.stream_version('call:a'), events.stream_exists('call:none'), events.current_tenant();
SELECT stream_id, event_data FROM events.find_events('{"n": 3}');
SELECT stream_id, event_data FROM events.events_by_time('-infinity', 'infinity');
SELECT stream_id, version FROM events.streams ORDER BY 1;
SELECT count(*) FROM events.tenant_events;
RESET ROLE;
SELECT t.state($$SELECT events.append_event('call:a', 'z', '3')$$) AS append;
SET ROLE regress_worker;
SET app.tenant_id = 'other';
\set VERBOSITY sqlstate
SELECT stream_version FROM events.replay_stream('call:a');
SELECT stream_id FROM events.find_events('{"n": 3}');
\set VERBOSITY default
RESET app.tenant_id;
RESET ROLE;
RESET ALL;
DROP OWNED BY regress_worker;
SELECT events.unbind_tenant('regress_worker', 'call');
DROP ROLE regress_worker;
SELECT t.dense();
