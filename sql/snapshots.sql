-- Snapshots: who leaves them, when they are used and when not, and that they are only a cache.
SET client_min_messages = warning;
-- the workers of a parallel query leave none: nothing runs in one but what tests that
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION pg_temp.fill(stream text, n integer) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM events.append_events(array_fill(stream, ARRAY[n]), array_fill('e'::text, ARRAY[n]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, n) i)) $$;
CREATE VIEW pg_temp.taken AS SELECT stream_id, category, stream_version, usable, bytes > 0 AS bytes FROM events.snapshots WHERE stream_id LIKE 'snap:%' ORDER BY 1, 3;
SELECT events.stream_exists('snap:1');
SHOW auren_events.snapshot_after;
SELECT pg_temp.fill('snap:1', 999), pg_temp.fill('snap:2', 1000);
SELECT events.get_stream_state('snap:1'), events.get_stream_state('snap:2');
TABLE pg_temp.taken;
-- from then on a read folds what came after: it gives what the snapshot holds, not what the events say
UPDATE auren.stream_snapshots SET state = '{"e": "from the snapshot"}' WHERE stream_id = 'snap:2';
SELECT events.get_stream_state('snap:2'), events.get_stream_state('snap:2', 1000), events.get_stream_state('snap:2', 999);
BEGIN READ ONLY; SELECT events.get_stream_state('snap:2'); COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT events.get_stream_state('snap:2'); COMMIT;
SELECT events.append_event('snap:2', 'f', '1') IS NOT NULL AS appended;
SELECT events.get_stream_state('snap:2'), (SELECT state FROM events.get_stream_states('{snap:2}')), events.get_stream_state('snap:2', 1001);
-- a few more events make no new snapshot
TABLE pg_temp.taken;
SELECT events.drop_snapshots('snap:2');
SELECT events.get_stream_state('snap:2');
TABLE pg_temp.taken;
-- not for a state at a version, not with 0
SELECT events.drop_snapshots('snap:2');
SELECT events.get_stream_state('snap:2', 1001);
SET auren_events.snapshot_after = 0;
SELECT events.get_stream_state('snap:2');
TABLE pg_temp.taken;
-- nor in a transaction that does not write, or is SERIALIZABLE
SET auren_events.snapshot_after = 10;
BEGIN READ ONLY; SELECT events.get_stream_state('snap:2'); COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT events.get_stream_state('snap:2'); COMMIT;
SELECT count(*) FROM pg_temp.taken;
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT events.get_stream_state('snap:2'); COMMIT;
TABLE pg_temp.taken;
-- nor in a parallel query
SELECT events.drop_snapshots('snap:2');
CREATE TEMP TABLE one AS SELECT 'snap:2'::text AS stream;
CREATE TABLE public.snap_streams AS SELECT 'snap:' || 1 + i % 2 AS stream FROM generate_series(1, 100) i;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SELECT count(DISTINCT events.get_stream_state(stream)) FROM public.snap_streams;
SELECT count(*) FROM pg_temp.taken;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; SET max_parallel_workers_per_gather = 0;
DROP TABLE public.snap_streams;
-- what is rolled back leaves nothing behind, and nothing of it in a snapshot
BEGIN;
SELECT pg_temp.fill('snap:3', 20);
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
SAVEPOINT a;
SELECT events.append_event('snap:3', 'undone', '1') IS NOT NULL AS appended, pg_temp.fill('snap:3', 20);
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
ROLLBACK TO SAVEPOINT a;
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
COMMIT;
SELECT events.get_stream_state('snap:3');
BEGIN;
SELECT pg_temp.fill('snap:3', 25);
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
ROLLBACK;
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
DO $$
BEGIN
	BEGIN
		PERFORM pg_temp.fill('snap:4', 25), events.get_stream_state('snap:4');
		PERFORM events.get_stream_state('snap:4');
		RAISE EXCEPTION 'undone';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	PERFORM pg_temp.fill('snap:4', 12);
END $$;
SELECT events.get_stream_state('snap:4'), (SELECT count(*) FROM pg_temp.taken WHERE stream_id = 'snap:4') AS before;
SELECT events.get_stream_state('snap:4', 11), state FROM auren.stream_snapshots WHERE stream_id = 'snap:4';
-- a cursor goes on with the state of its time, whatever was taken since
BEGIN;
DECLARE c CURSOR FOR SELECT events.get_stream_state('snap:4') FROM generate_series(1, 3);
FETCH 1 FROM c;
SELECT pg_temp.fill('snap:4', 30);
SELECT events.get_stream_state('snap:4'), events.take_snapshot('snap:4');
FETCH ALL FROM c;
COMMIT;
SELECT events.get_stream_state('snap:4');
SELECT events.drop_snapshots('snap:4') > 0 AS dropped;
-- exact through a snapshot: digits, large and small numbers, all of Unicode
SELECT events.set_reducer('snap_sum', 'sum');
SELECT count(*) FROM events.append_events(array_fill('snapexact:1'::text, ARRAY[12]), (SELECT array_agg(CASE WHEN i % 2 = 0 THEN 'snap_sum' ELSE 'ключ' || i END ORDER BY i) FROM generate_series(1, 12) i),
	(SELECT array_agg(CASE WHEN i % 2 = 0 THEN '{"a": 0.10, "b": 12345678901234567890, "c": 1e400, "d": 1e-400}'::jsonb ELSE '["\u00fc\u0001\u2028", 0.100, -0.0, 1e400, {"": null}]' END ORDER BY i) FROM generate_series(1, 12) i));
SET auren_events.snapshot_after = 0;
SELECT events.get_stream_state('snapexact:1') AS folded \gset
SET auren_events.snapshot_after = 10;
SELECT events.get_stream_state('snapexact:1') #> '{snap_sum,a}' AS a, events.get_stream_state('snapexact:1') #> '{snap_sum,b}' AS b;
SELECT state::text = :'folded' AS kept, events.get_stream_state('snapexact:1')::text = :'folded' AS served FROM auren.stream_snapshots WHERE stream_id = 'snapexact:1';
SELECT events.drop_reducer('snap_sum');
-- one snapshot stays, whatever was taken
SELECT pg_temp.fill('snap:3', 15), events.take_snapshot('snap:3');
SELECT events.get_stream_state('snap:3');
SELECT events.take_snapshot('snap:3');
TABLE pg_temp.taken;
-- other reducers: not trusted; the same again: trusted again, for a function's body too
SELECT events.set_reducer('e', 'count');
SELECT events.get_stream_state('snap:3', 20), usable FROM events.snapshots WHERE stream_id = 'snap:3';
SELECT events.drop_reducer('e');
SELECT usable FROM events.snapshots WHERE stream_id = 'snap:3';
CREATE FUNCTION public.snap_f(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN '{"f": 1}'::jsonb;
SELECT events.set_reducer('e', 'function', '{"function": "public.snap_f"}');
SELECT events.get_stream_state('snap:3');
CREATE OR REPLACE FUNCTION public.snap_f(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN '{"f": 2}'::jsonb;
SELECT usable FROM events.snapshots WHERE stream_id = 'snap:3';
SELECT events.get_stream_state('snap:3');
SELECT stream_version, usable FROM events.snapshots WHERE stream_id = 'snap:3';
SELECT events.drop_reducer('e');
DROP FUNCTION public.snap_f;
-- a tenant has its own
SET app.tenant_id = 'snap_tenant';
SELECT pg_temp.fill('snap:3', 12);
SELECT events.get_stream_state('snap:3');
TABLE pg_temp.taken;
SELECT events.drop_snapshots();
RESET app.tenant_id;
SELECT count(*) > 0 AS still_there FROM pg_temp.taken;
-- a reader leaves snapshots and has no right on the table; a policy that applies to it: it neither leaves nor sees one
CREATE ROLE snap_reader;
SELECT events.grant_access('snap_reader', 'reader');
SELECT events.drop_snapshots() > 0 AS dropped;
SET ROLE snap_reader;
SELECT code, message FROM t.error_of('TABLE auren.stream_snapshots');
SELECT code, message FROM t.error_of('DELETE FROM auren.stream_snapshots');
SELECT code, message FROM t.error_of('SET auren_events.snapshot_after = 1');
SELECT code, message FROM t.error_of($$SELECT events.take_snapshot('snap:1')$$);
SELECT code, message FROM t.error_of($$SELECT events.drop_snapshots()$$);
SELECT events.get_stream_state('snap:2');
SELECT stream_id, usable FROM events.snapshots;
RESET ROLE;
UPDATE auren.stream_snapshots SET state = '{"e": "of all"}' WHERE stream_id = 'snap:2';
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY snap_part ON events.event_store FOR SELECT TO snap_reader USING (event_data <> '1000');
SET ROLE snap_reader;
SELECT events.get_stream_state('snap:2'), events.get_stream_state('snap:1');
RESET ROLE;
SELECT stream_id FROM pg_temp.taken;
SELECT events.grant_access('snap_reader', 'admin');
SET ROLE snap_reader;
SELECT code, message, hint FROM t.error_of($$SELECT events.take_snapshot('snap:1')$$);
RESET ROLE;
DROP POLICY snap_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SET ROLE snap_reader;
SELECT events.take_snapshot('snap:1'), events.take_snapshot('snap:none'), events.drop_snapshots('snap:none');
RESET ROLE;
-- by hand in a SERIALIZABLE transaction, which takes none by itself
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT events.take_snapshot('snap:2');
SELECT events.drop_snapshots('snap:2');
ROLLBACK;
-- an event that cannot be applied leaves the snapshot of what was before it
SELECT events.set_reducer('snap_bad', 'patch');
SELECT events.append_event('snap:bad', 'snap_bad', '[]') IS NOT NULL AS appended, pg_temp.fill('snap:bad', 20);
SELECT events.get_stream_state('snap:bad');
SELECT events.append_event('snap:bad', 'snap_bad', '7') IS NOT NULL AS appended;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.take_snapshot('snap:bad')$$);
SELECT events.get_stream_state('snap:bad', 21), stream_version FROM pg_temp.taken WHERE stream_id = 'snap:bad';
SELECT events.drop_reducer('snap_bad');
SELECT events.drop_snapshots('snap:bad');
-- errors of the caller
SELECT code, message FROM t.error_of($$SELECT events.take_snapshot(NULL)$$);
SELECT code, message FROM t.error_of($$SELECT events.drop_snapshots('')$$);
BEGIN READ ONLY;
SELECT code, message FROM t.error_of($$SELECT events.take_snapshot('snap:1')$$);
SELECT code, message FROM t.error_of($$SELECT events.drop_snapshots()$$);
COMMIT;
-- rewritten by its owner, the same
SELECT events.take_snapshot('snap:2');
VACUUM FULL auren.stream_snapshots;
CLUSTER auren.stream_snapshots USING stream_snapshots_stream;
UPDATE auren.stream_snapshots SET state = '{"e": "rewritten"}' WHERE stream_id = 'snap:2';
SELECT events.get_stream_state('snap:2');
-- emptied by its owner, nothing is lost; the index knows every row
TRUNCATE auren.stream_snapshots;
SELECT events.get_stream_state('snap:2');
SET enable_seqscan = off; SET enable_bitmapscan = off;
SELECT count(*) FROM auren.stream_snapshots WHERE tenant_id = 'default' AND stream_id LIKE 'snap:%';
RESET enable_seqscan; RESET enable_bitmapscan;
SELECT count(*) FROM auren.stream_snapshots WHERE stream_id || '' LIKE 'snap:%';
-- a large state is kept as it is
SELECT events.append_event('snap:big', 'big', jsonb_build_object('t', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 5000) i))) IS NOT NULL AS appended, pg_temp.fill('snap:big', 20);
SELECT md5(events.get_stream_state('snap:big')::text) = md5(events.get_stream_state('snap:big')::text) AS same;
SELECT length(events.get_stream_state('snap:big') -> 'big' ->> 't');
SELECT stream_version FROM pg_temp.taken WHERE stream_id = 'snap:big';
DROP OWNED BY snap_reader;
DROP ROLE snap_reader;
