-- events.append_if: what breaks a condition and what does not, in one session; test/specs/conditions_*.spec have the races.
SET client_min_messages = warning;
SET app.tenant_id = 'append_if';
SELECT events.feed_horizon() AS h \gset
SELECT set_config('append_if.h', :'h', false) = :'h' AS set;
-- Appends one event under a condition and tells what became of it, positions counted from :h.
CREATE FUNCTION pg_temp.try(p_query jsonb, p_after bigint, p_stream text, p_type text DEFAULT 'e', p_tags jsonb DEFAULT NULL, p_id uuid DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	h bigint := current_setting('append_if.h');
	v_version bigint;
	v_detail text;
	v_hint text;
BEGIN
	SELECT stream_version INTO v_version FROM events.append_if(p_query, h + p_after, ARRAY[p_stream], ARRAY[p_type], ARRAY['1']::jsonb[],
		p_event_ids := ARRAY[p_id], p_tags := ARRAY[p_tags]);
	RETURN 'version ' || v_version;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	v_detail := regexp_replace(v_detail, '(?<=[Ee]vent |position )\d+', '#', 'g');
	RETURN concat_ws(' | ', SQLSTATE || ': ' || SQLERRM, v_detail, v_hint);
END $$;
-- a username is taken once
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'account:1', 'registered', '["username:ada"]');
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'account:2', 'registered', '["username:ada"]');
SELECT pg_temp.try('{"tags": ["username:bob"]}', NULL, 'account:2', 'registered', '["username:bob"]');
-- after a position: what is up to it does not count
SELECT events.feed_horizon() - :h AS seen \gset
SELECT pg_temp.try('{"tags": ["username:ada"]}', :seen, 'account:1', 'renamed', '["username:ada"]');
SELECT pg_temp.try('{"tags": ["username:ada"]}', :seen, 'account:1', 'renamed', '["username:ada"]');
SELECT pg_temp.try('{"tags": ["username:ada"], "types": ["closed"]}', :seen, 'account:1', 'renamed', '["username:ada"]');
SELECT pg_temp.try('{"tags": ["username:ada", "username:bob"]}', :seen, 'account:1', 'merged', '["username:ada", "username:bob"]');
SELECT pg_temp.try('{"tags": ["username:ada", "username:bob"]}', :seen, 'account:1', 'merged');
-- a stream, one that is not there, and its version
SELECT pg_temp.try('{"stream": "account:2"}', :seen, 'other:1'), pg_temp.try('{"stream": "account:2"}', NULL, 'other:1'), pg_temp.try('{"stream": "account:1"}', :seen, 'other:1');
SELECT pg_temp.try('{"stream": "account:1", "types": ["merged"]}', :seen, 'other:1'), pg_temp.try('{"stream": "account:1", "types": ["closed"]}', :seen, 'other:1');
SELECT pg_temp.try('{"stream": "nobody:1"}', NULL, 'other:1'), pg_temp.try('{"stream": "nobody:1"}', :seen, 'nobody:1'), pg_temp.try('{"stream": "nobody:1"}', :seen, 'nobody:1');
SELECT pg_temp.try('{"stream": "account:2", "version": 1}', NULL, 'other:1'), pg_temp.try('{"stream": "account:2", "version": 0}', NULL, 'other:1'),
       pg_temp.try('{"stream": "nobody:2", "version": 0}', NULL, 'nobody:2'), pg_temp.try('{"stream": "nobody:2", "version": 0}', NULL, 'nobody:2'),
       pg_temp.try('[{"stream": "nobody:2", "version": 1}, {"stream": "nobody:1", "version": 1}, {"stream": "nobody:3", "version": 0}]', NULL, 'nobody:2');
-- types alone, and every event
SELECT pg_temp.try('{"types": ["opened"]}', NULL, 'shop:1', 'opened'), pg_temp.try('{"types": ["closed", "opened"]}', NULL, 'shop:1', 'closed'), pg_temp.try('{"types": ["opened"]}', :seen, 'shop:1', 'closed');
SELECT events.feed_horizon() - :h AS seen2 \gset
SELECT pg_temp.try('{}', :seen2, 'shop:1'), pg_temp.try('{}', :seen2, 'shop:1'), pg_temp.try('{}', NULL, 'shop:1') LIKE 'ZE008%' AS something_ever;
-- several items: one is enough, and the lowest position is named
SELECT pg_temp.try('[{"tags": ["nobody"]}, {"stream": "nobody:9"}]', NULL, 'many:1');
SELECT pg_temp.try('[{"tags": ["username:bob"]}, {"stream": "account:1"}]', NULL, 'many:1'), pg_temp.try('[{"stream": "nobody:2"}, {"tags": ["username:bob"]}]', NULL, 'many:1');
SELECT pg_temp.try('[{"types": ["renamed"]}, {"tags": ["username:bob"]}]', NULL, 'many:1');
-- its own events count as well: those of the same transaction, and of the same statement
BEGIN;
SELECT events.append_event('own:1', 'e', '1', p_tags := '{own}') IS NOT NULL AS appended;
SELECT pg_temp.try('{"tags": ["own"]}', :seen2, 'own:2', 'e', '["own"]');
ROLLBACK;
SELECT string_agg(left(r, 5), ' ') FROM (SELECT pg_temp.try('{"tags": ["own"]}', :seen2, 'own:' || n, 'e', '["own"]') AS r FROM generate_series(1, 3) n) x;
SELECT string_agg(left(r, 5), ' ') FROM (SELECT pg_temp.try('{"stream": "own:s"}', :seen2, 'own:s') AS r FROM generate_series(1, 3) n) x;
-- all or nothing
SELECT t.state(format('SELECT * FROM events.append_if(''{"tags": ["own"]}'', %s, ''{all:1,all:2}'', ''{e,e}'', ''{1,2}'')', :h)), events.stream_exists('all:1'), events.stream_exists('all:2');
SELECT stream_id, stream_version FROM events.append_if('{"tags": ["none"]}', :h, '{all:1,all:2,all:1}', '{e,e,e}', '{1,2,3}', 'me', '{"{}","{\"a\": 1}","{}"}', '{0,NULL,0}', NULL, '{"[\"none\"]",NULL,"[]"}');
SELECT stream_id, stream_version, created_by, metadata, tags FROM events.read_by_query('[{"stream": "all:1"}, {"stream": "all:2"}]');
SELECT count(*) FROM events.append_if('{}', NULL, '{}', '{}', '{}');
-- with the same ids: the first result, whatever has happened since
SELECT pg_temp.try('{"tags": ["again"]}', NULL, 'again:1', 'e', '["again"]', '00000000-0000-4000-8000-00000000ca01');
SELECT pg_temp.try('{"tags": ["again"]}', NULL, 'again:1', 'e', '["again"]', '00000000-0000-4000-8000-00000000ca01'), events.stream_version('again:1');
SELECT pg_temp.try('{"tags": ["again"]}', NULL, 'again:1', 'e', '["again"]', '00000000-0000-4000-8000-00000000ca02');
SELECT pg_temp.try('{"tags": ["again"]}', NULL, 'again:1', 'e', '["other"]', '00000000-0000-4000-8000-00000000ca01') LIKE 'ZE002%' AS other_content;
-- an expected version too
SELECT t.state('SELECT * FROM events.append_if(''{"tags": ["none"]}'', NULL, ''{all:1}'', ''{e}'', ''{1}'', p_expected_versions := ''{2}'')'),
       t.state('SELECT * FROM events.append_if(''{"tags": ["never"]}'', NULL, ''{all:1}'', ''{e}'', ''{1}'', p_expected_versions := ''{1}'')'),
       t.state('SELECT * FROM events.append_if(''{"tags": ["never"]}'', NULL, ''{all:1}'', ''{e}'', ''{1}'', p_expected_versions := ''{2}'')');
-- other tenants' events are none
SET app.tenant_id = 'append_if_tenant';
SELECT pg_temp.try('[{"tags": ["username:ada"]}, {"stream": "account:1"}, {"types": ["opened"]}]', NULL, 'account:1', 'opened', '["username:ada"]');
SELECT pg_temp.try('{"types": ["registered"]}', NULL, 'account:2'), pg_temp.try('{}', NULL, 'account:2');
SET app.tenant_id = 'append_if';
-- what is refused
SELECT q, sign(a) AS after, pg_temp.try(q::jsonb, a, 'x:1') FROM (VALUES (NULL, 0), ('[]', 0), ('{"tag": ["x"]}', 0), ('{"stream": "s", "version": -1}', 0), ('{"stream": "s", "version": 1, "types": ["x"]}', 0), ('{"tags": ["x"]}', 1000000), ('{"tags": ["x"]}', -:h - 1)) v (q, a);
SELECT pg_temp.try('{"stream": "shop:1"}', :seen2, 'x:1') LIKE 'ZE008%' AS first_of_all, events.close_stream('again:1', 'done'), pg_temp.try('{"tags": ["none but this"]}', NULL, 'again:1') LIKE 'ZE004%' AS closed;
BEGIN READ ONLY; SELECT t.state($$SELECT * FROM events.append_if('{}', NULL, '{x}', '{e}', '{1}')$$); ROLLBACK;
-- many: more keys than a transaction may lock, and more streams
SELECT count(*) FROM events.append_if('{"tags": ["many:1"]}', NULL, array_fill('many:1'::text, ARRAY[1000]), array_fill('e'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]),
	p_tags := ARRAY(SELECT jsonb_build_array('many:' || n, 'few:' || n % 10) FROM generate_series(1, 1000) n));
SELECT pg_temp.try('{"tags": ["many:1000"]}', NULL, 'many:2');
BEGIN;
SELECT count(*) FROM events.append_events(ARRAY(SELECT 'lots:' || n FROM generate_series(1, 5000) n), array_fill('e'::text, ARRAY[5000]), array_fill('1'::jsonb, ARRAY[5000]));
SELECT holds, mode, locks < 100 AS few FROM events.lock_holders WHERE pid = pg_backend_pid() ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT pg_temp.try((SELECT jsonb_agg(jsonb_build_object('tags', ARRAY['asked:' || n])) FROM generate_series(1, 60) n), 0, 'many:3');
SELECT holds, mode, locks FROM events.lock_holders WHERE pid = pg_backend_pid() ORDER BY 1;
ROLLBACK;
-- the locks that it holds, to the end of the transaction
BEGIN;
SELECT pg_temp.try('[{"tags": ["a", "b"]}, {"stream": "nobody:7"}, {"stream": "many:1"}]', 0, 'nobody:8', 'e', '["c"]') LIKE 'ZE008%' AS many_has_events;
SELECT events.append_event('x:1', 'e', '1') IS NOT NULL AS appended;
SELECT stream_version FROM events.append_if('[{"tags": ["a", "b"]}, {"stream": "nobody:7"}]', :h, '{nobody:8}', '{e}', '{1}', p_tags := '{"[\"c\", \"a\"]"}');
SELECT holds, mode, locks FROM events.lock_holders WHERE pid = pg_backend_pid() ORDER BY 1, 2;
ROLLBACK;
-- who may not read is not told which event it is
CREATE ROLE conditional_writer;
SELECT events.grant_access('conditional_writer', 'writer');
SET ROLE conditional_writer;
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'mine:1'), pg_temp.try('{"types": ["opened"]}', NULL, 'mine:1');
RESET ROLE;
SELECT events.grant_access('conditional_writer', 'reader');
SET ROLE conditional_writer;
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'mine:1'), pg_temp.try('{"types": ["opened"]}', NULL, 'mine:1');
RESET ROLE;
-- policies do not hide what breaks a condition; DETAIL says no more than the position
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON events.event_store TO conditional_writer USING (stream_id LIKE 'mine:%') WITH CHECK (true);
SET ROLE conditional_writer;
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'mine:1'), pg_temp.try('{"stream": "account:1"}', NULL, 'mine:1'), pg_temp.try('{"types": ["opened"]}', NULL, 'mine:1');
SELECT pg_temp.try('{"tags": ["nobody"]}', NULL, 'mine:1');
RESET ROLE;
-- a month without its index on types is read as others are, one without its index on positions by the executor, as the table's owner
SELECT to_char(now(), 'YYYY_MM') AS month \gset
BEGIN;
DROP INDEX events.idx_event_store_type_time_:month;
SELECT pg_temp.try('{"types": ["opened"]}', NULL, 'mine:1') LIKE 'ZE008%' AS opened, pg_temp.try('{"types": ["never"]}', NULL, 'mine:1') LIKE 'version%' AS never;
ROLLBACK;
ALTER TABLE events.event_store FORCE ROW LEVEL SECURITY;
BEGIN;
DROP INDEX events.idx_event_store_position_:month;
SET LOCAL ROLE conditional_writer;
SELECT left(pg_temp.try('{"tags": ["username:ada"]}', NULL, 'mine:1'), 60) AS taken, pg_temp.try('{"tags": ["username:zoe"]}', NULL, 'mine:1', 'e', '["username:zoe"]') AS free;
SELECT left(pg_temp.try('{"stream": "account:1"}', :seen2, 'mine:1'), 60) AS by_stream, left(pg_temp.try('{"tags": ["username:zoe"]}', :seen2, 'mine:1'), 60) AS own;
SELECT string_agg(left(r, 5), ' ') FROM (SELECT pg_temp.try('{"tags": ["own2"]}', :seen2, 'mine:' || n, 'e', '["own2"]') AS r FROM generate_series(1, 3) n) x;
ROLLBACK;
ALTER TABLE events.event_store NO FORCE ROW LEVEL SECURITY;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON events.event_store;
-- above READ COMMITTED, alone
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.try('{"tags": ["username:ada"]}', NULL, 'mine:1') LIKE 'ZE008%' AS taken, pg_temp.try('{"tags": ["username:eve"]}', NULL, 'mine:1', 'e', '["username:eve"]') LIKE 'version%' AS free;
COMMIT;
DROP OWNED BY conditional_writer;
DROP ROLE conditional_writer;
