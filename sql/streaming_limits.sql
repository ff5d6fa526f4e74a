-- A scan of events stops where its reader stops, and sees what was there when it began.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('limited:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
-- (what the workers of a parallel query read is not counted here)
SET max_parallel_workers_per_gather = 0;
-- it stops where the reader stops: 20,000 events are there, a few are read
CREATE FUNCTION pg_temp.fetched() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables WHERE schemaname = 'events' AND relname LIKE 'event\_store%' $$;
BEGIN;
CREATE TEMP TABLE fetched AS SELECT 0 AS n, pg_temp.fetched() AS rows;
SELECT stream_version FROM events.replay_stream('limited:1') LIMIT 1;
INSERT INTO fetched SELECT 1, pg_temp.fetched();
SELECT stream_version FROM events.replay_stream('limited:1') ORDER BY stream_version DESC LIMIT 1;
INSERT INTO fetched SELECT 2, pg_temp.fetched();
SELECT EXISTS (SELECT FROM events.replay_stream('limited:1') WHERE event_data = '3');
INSERT INTO fetched SELECT 3, pg_temp.fetched();
DECLARE c CURSOR FOR SELECT stream_version FROM events.replay_stream('limited:1');
FETCH 2 FROM c;
INSERT INTO fetched SELECT 4, pg_temp.fetched();
SELECT stream_version FROM events.replay_stream_backward('limited:1') LIMIT 1;
INSERT INTO fetched SELECT 5, pg_temp.fetched();
SELECT count(*) FROM (SELECT FROM events.read_all(p_limit => 100000) LIMIT 2) r;
INSERT INTO fetched SELECT 6, pg_temp.fetched();
SELECT i, (SELECT event_data FROM events.replay_stream('limited:1', i) LIMIT 1) FROM generate_series(10000, 10002) i;
INSERT INTO fetched SELECT 7, pg_temp.fetched();
SELECT count(*) FROM events.replay_stream('limited:1') WHERE event_data IS NOT NULL;
INSERT INTO fetched SELECT 8, pg_temp.fetched();
SELECT b.n, b.rows - a.rows BETWEEN 1 AND 20 AS few, b.rows - a.rows >= 20000 AS all FROM fetched a JOIN fetched b ON b.n = a.n + 1 ORDER BY 1;
RESET max_parallel_workers_per_gather;
-- a cursor sees what was there when it was opened
SELECT events.append_event('limited:1', 'e', '20001') IS NOT NULL AS appended;
MOVE 19997 FROM c;
FETCH ALL FROM c;
COMMIT;
-- nor does a statement that appends to what it reads go on for ever
SELECT count(events.append_event('limited_ing:1', 'e', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT count(events.append_event('limited_ing:1', 'copy', event_data)) FROM events.replay_stream('limited_ing:1');
DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM events.replay_stream('limited_ing:1') LOOP PERFORM events.append_event('limited_ing:1', 'again', r.event_data); END LOOP; END $$;
SELECT event_type, count(*) FROM events.replay_stream('limited_ing:1') GROUP BY 1 ORDER BY 1;
