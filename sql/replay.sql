-- Replaying streams.
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('replay:a'::text) FROM generate_series(1, 9)), (SELECT array_agg('t' || i % 3 ORDER BY i) FROM generate_series(1, 9) i),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 9) i));
SELECT stream_version, event_type, event_data, metadata, created_by FROM events.replay_stream('replay:a', 3, 5);
SELECT count(*) FROM events.replay_stream('replay:a', 0);
SELECT array_agg(stream_version) FROM events.replay_stream('replay:a', 8);
SELECT array_agg(stream_version) FROM events.replay_stream('replay:a', p_to_version := 2);
SELECT count(*) FROM events.replay_stream('replay:a', 5, 4);
SELECT count(*) FROM events.replay_stream('replay:a', 10);
SELECT count(*) FROM events.replay_stream('replay:nobody');
SELECT array_agg(stream_version) FROM events.replay_stream_backward('replay:a');
SELECT array_agg(stream_version) FROM events.replay_stream_backward('replay:a', 4);
SELECT array_agg(stream_version) FROM events.replay_stream_backward('replay:a', 4, 2);
SELECT array_agg(stream_version) FROM events.replay_stream_backward('replay:a', NULL, 1);
SELECT count(*) FROM events.replay_stream_backward('replay:a', NULL, 0);
SELECT count(*) FROM events.replay_stream_backward('replay:a', 0);
SELECT stream_version, event_type, event_data FROM events.last_event('replay:a');
SELECT stream_version, event_type, event_data FROM events.last_event('replay:a', 't1');
SELECT count(*) FROM events.last_event('replay:a', 'nothing');
SELECT count(*) FROM events.last_event('replay:nobody');
-- a stream's name is no prefix and no pattern
SELECT events.append_event('replay:a:b', 'x', '1') IS NOT NULL, events.append_event('replay:%', 'x', '1') IS NOT NULL;
SELECT events.stream_version('replay:a'), events.stream_version('replay:%'), events.stream_version('replay:'), events.stream_exists('replay:a:b');
-- in the select list, in joins, in parallel plans
SELECT (events.replay_stream('replay:a', 1, 2)).event_type;
SELECT s, count(*) FROM unnest('{replay:a,replay:a:b,replay:nobody}'::text[]) s CROSS JOIN LATERAL events.replay_stream(s) GROUP BY s ORDER BY s;
SELECT ordinality, stream_version FROM events.replay_stream('replay:a', 8) WITH ORDINALITY;
-- as other ways of reading see them
SELECT count(*) FROM events.replay_stream('replay:a') r JOIN events.event_store e USING (event_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position)
WHERE e.stream_id = 'replay:a';
-- 20,000 events with work_mem at its lowest
SET work_mem = '64kB';
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('replay:long'::text) FROM generate_series(1, 20000)), (SELECT array_agg('t'::text) FROM generate_series(1, 20000)),
	(SELECT array_agg(jsonb_build_object('i', i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*), bool_and(v = n AND d = jsonb_build_object('i', n)) FROM (
	SELECT stream_version AS v, event_data AS d, row_number() OVER () AS n FROM events.replay_stream('replay:long')) r;
RESET work_mem;
-- a snapshot sees what it saw
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT events.stream_version('replay:a');
SELECT events.append_event('replay:a', 'own', '1') IS NOT NULL;
SELECT events.stream_version('replay:a'), (SELECT event_type FROM events.last_event('replay:a'));
ROLLBACK;
SELECT events.stream_version('replay:a');
