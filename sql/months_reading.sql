-- Streams over several months: every reader sees them as one, and opens only the months that a stream has events in.
SET client_min_messages = warning;
SET timezone = 'UTC';
-- Months one to five years back, as appends of that time would have left them; the fourth has been detached. (What looks at the DDL
-- would start workers for each row of the catalogs where every plan is parallel.)
CREATE FUNCTION t.month(p_back integer) RETURNS date LANGUAGE sql STABLE AS $$ SELECT (date_trunc('month', now()) - p_back * interval '1 month')::date $$;
CREATE FUNCTION t.make_month(p_back integer) RETURNS void LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
	v_suffix text := to_char(t.month(p_back), 'YYYY_MM');
	v_this text := to_char(now(), 'YYYY_MM');
	v_definition text;
BEGIN
	EXECUTE format('CREATE TABLE events.event_store_%s (LIKE events.event_store INCLUDING DEFAULTS)', v_suffix);
	FOR v_definition IN SELECT replace(indexdef, v_this, v_suffix) FROM pg_indexes WHERE schemaname = 'events' AND tablename = 'event_store_' || v_this LOOP
		EXECUTE v_definition;
	END LOOP;
	EXECUTE format('ALTER TABLE events.event_store ATTACH PARTITION events.event_store_%s FOR VALUES FROM (%L) TO (%L)', v_suffix, t.month(p_back), t.month(p_back - 1));
END $$;
CREATE FUNCTION t.past(p_stream text, p_version bigint, p_type text, p_data jsonb, p_back integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position)
	VALUES (gen_random_uuid(), p_stream, p_version, p_type, p_data, t.month(p_back) + interval '1 hour' * p_version, nextval('auren.global_position_seq'));
	INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) VALUES ('default', p_stream, t.month(p_back), t.month(p_back))
	ON CONFLICT (tenant_id, stream_id) DO UPDATE SET last_month = excluded.last_month;
$$;
BEGIN;
SELECT events.append_event('past:now', 'x', '1') IS NOT NULL AS appended;
SELECT count(t.make_month(n)) FROM generate_series(2, 60) n WHERE n <> 30;
-- versions 1, 2 | 3 | (a month without events) | 4, 5 | now
SELECT t.past('past:a', 1, 'mode', '{"n": 1}', 50), t.past('past:a', 2, 'weight', '{"n": 2}', 50), t.past('past:a', 3, 'mode', '{"n": 3}', 40),
       t.past('past:a', 4, 'note', '{"n": 4}', 20), t.past('past:a', 5, 'mode', '{"n": 5}', 20), t.past('past:b', 1, 'mode', '{"n": 6}', 45);
SELECT stream_version FROM events.append_events('{past:a,past:a}', '{weight,mode}', ARRAY['{"n": 7}', '{"n": 8}']::jsonb[], p_expected_versions := '{5,5}');
SELECT t.show('past:a');
SELECT array_agg(stream_version) FROM events.replay_stream('past:a', 2, 5);
SELECT array_agg(stream_version) FROM events.replay_stream('past:a', 3, 3);
SELECT array_agg(stream_version) FROM events.replay_stream('past:a', 6);
SELECT array_agg(stream_version) FROM events.replay_stream_backward('past:a');
SELECT array_agg(stream_version) FROM events.replay_stream_backward('past:a', 5, 3);
SELECT stream_version FROM events.last_event('past:a', 'note');
SELECT stream_version FROM events.last_event('past:a', 'weight');
SELECT v, events.get_stream_state('past:a', v) FROM generate_series(1, 7) v;
SELECT events.stream_version('past:a'), events.stream_version('past:b');
SELECT version, first_event_at = t.month(50) + interval '1 hour' AS first, last_event_at > t.month(0) AS last FROM events.streams WHERE stream_id = 'past:a';
-- ranges of time, their ends at a month's border and in the month that is not there
SELECT array_agg(event_data -> 'n') FROM events.events_by_time(t.month(50), t.month(20));
SELECT array_agg(event_data -> 'n') FROM events.events_by_time(t.month(40), t.month(20) + interval '5 hours');
SELECT array_agg(event_data -> 'n') FROM events.events_by_time('-infinity', t.month(30) + interval '9 days');
SELECT array_agg(event_data -> 'n') FROM events.events_by_time(t.month(49), t.month(30), 'mode');
-- page by page over the months
SELECT event_data -> 'n' AS n, created_at AS at, global_position AS position FROM events.events_by_time('-infinity', t.month(1), p_limit := 2) OFFSET 1 \gset
SELECT array_agg(event_data -> 'n') FROM events.events_by_time(:'at', t.month(1), p_limit := 3, p_after_position := :position);
-- by content, newest first, over the months
SELECT array_agg(event_data -> 'n') FROM events.find_events('{}', p_to := t.month(1));
SELECT array_agg(event_data -> 'n') FROM events.find_events('{"n": 3}');
SELECT array_agg(event_data -> 'n') FROM events.find_events('{}', 'mode', t.month(45), t.month(20) + interval '6 hours');
SELECT created_at AS at, global_position AS position FROM events.find_events('{}', p_to := t.month(1), p_limit := 3) OFFSET 2 \gset
SELECT array_agg(event_data -> 'n') FROM events.find_events('{}', p_to := :'at', p_limit := 2, p_before_position := :position);
ROLLBACK;
-- what is opened: the months of the stream, not the sixty there are
SELECT count(t.make_month(n)) FROM generate_series(2, 60) n WHERE n <> 30;
SELECT t.past('past:a', 1, 'mode', '{"n": 1}', 50), t.past('past:a', 2, 'mode', '{"n": 2}', 49);
CREATE FUNCTION t.months_open() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(DISTINCT l.relation) FROM pg_locks l JOIN pg_inherits i ON i.inhrelid = l.relation
	WHERE l.pid = pg_backend_pid() AND i.inhparent = 'events.event_store'::regclass
$$;
BEGIN;
SELECT events.stream_version('past:a'), t.months_open();
SELECT count(*) FROM events.replay_stream('past:a');
SELECT events.get_stream_state('past:a');
SELECT t.months_open() <= 2 AS only_its_own;
ROLLBACK;
BEGIN;
SELECT events.append_event('past:new', 'x', '1', p_expected_version := 0, p_event_id := '00000000-0000-0000-0000-00000000aa01');
SELECT t.months_open() AS months;
ROLLBACK;
BEGIN;
SELECT events.append_event('past:a', 'x', '1', p_expected_version := 2) IS NOT NULL AS appended;
SELECT t.months_open() AS months;
SELECT events.append_event('past:a', 'x', '1', p_expected_version := 3) IS NOT NULL AS appended, events.stream_version('past:a');
ROLLBACK;
BEGIN;
SELECT count(*) FROM events.find_events('{"n": 1}', p_from := t.month(50), p_to := t.month(49));
SELECT t.months_open() <= 1 AS only_its_own;
ROLLBACK;
-- the past goes again: months are dropped, not deleted from
DO $$
BEGIN
	FOR n IN 2 .. 60 LOOP
		EXECUTE 'DROP TABLE IF EXISTS events.event_store_' || to_char(t.month(n), 'YYYY_MM');
	END LOOP;
END $$;
DELETE FROM auren.stream_rows WHERE stream_id LIKE 'past:%';
SELECT events.append_event('past:a', 'x', '1', p_expected_version := 0) IS NOT NULL AS appended;
SELECT t.dense();
