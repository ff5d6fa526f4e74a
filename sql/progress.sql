-- What a long call tells its client: auren_events.progress_notices.
SET client_min_messages = notice;
SET app.tenant_id = 'progress';
SELECT events.append_event('progress:' || n, 'shown', jsonb_build_object('n', n)) IS NOT NULL AS appended FROM generate_series(1, 4) n;
SELECT events.take_snapshot('progress:' || n) FROM generate_series(1, 4) n;
-- nobody asked
SHOW auren_events.progress_notices;
SELECT events.drop_snapshots('progress:1');
-- each report
SET auren_events.progress_notices = 0;
SELECT events.drop_snapshots();
SELECT count(*) FROM events.append_events(array_fill('progress:5'::text, '{10000}'), array_fill('many'::text, '{10000}'), array_fill('{}'::jsonb, '{10000}'));
-- a small batch is no long call
SELECT count(*) FROM events.append_events(array_fill('progress:6'::text, '{9}'), array_fill('few'::text, '{9}'), array_fill('{}'::jsonb, '{9}'));
-- in a procedure, which commits; what it does within is part of it
CREATE TABLE t.progress_source (event_id uuid, stream_id text, stream_version integer, event_type text, event_data jsonb, metadata jsonb, created_at timestamptz, created_by text, tenant_id text);
INSERT INTO t.progress_source (event_id, stream_id, stream_version, event_type, event_data, created_at, tenant_id) SELECT md5('progress' || n)::uuid, 'old:' || n, 1, 'happened', '{}', '2021-01-01', 'progress' FROM generate_series(1, 5) n;
CALL events.import_store('t.progress_source', p_batch => 2);
-- in a function, and with the levels that clients set
CREATE FUNCTION t.progress_inside() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN events.drop_snapshots(); END $$;
SELECT events.take_snapshot('progress:' || n) FROM generate_series(1, 2) n;
SELECT t.progress_inside();
SET client_min_messages = warning;
SELECT events.take_snapshot('progress:1');
SELECT events.drop_snapshots();
SET client_min_messages = notice;
-- not before the time has passed
SET auren_events.progress_notices = '1h';
SHOW auren_events.progress_notices;
SELECT events.take_snapshot('progress:1');
SELECT events.drop_snapshots();
DO $$ BEGIN SET auren_events.progress_notices = -2; EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE 'refused'; END $$;
SET auren_events.progress_notices = 'often';
SET auren_events.progress_notices = -1;
SELECT events.take_snapshot('progress:1');
SELECT events.drop_snapshots();
-- nothing is left to be seen
SELECT * FROM events.progress WHERE pid = pg_backend_pid();
-- each phase has names of its own
SELECT count(*) > 30 AS many, count(*) = count(DISTINCT code) AS codes, count(*) = count(DISTINCT (what, phase)) AS names, bool_and(code BETWEEN 257 AND 32767) AS fit,
       count(DISTINCT code / 256) = count(DISTINCT what) AS works FROM auren.work_phases();
DROP FUNCTION t.progress_inside();
DROP TABLE t.progress_source;
