-- Events of many streams: by time, by content.
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('search:' || i % 10 ORDER BY i) FROM generate_series(1, 3000) i), (SELECT array_agg('s' || i % 3 ORDER BY i) FROM generate_series(1, 3000) i),
	(SELECT array_agg(jsonb_build_object('n', i, 'kind', CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'usual' END, 'deep', jsonb_build_object('list', jsonb_build_array(i % 50))) ORDER BY i) FROM generate_series(1, 3000) i));
SELECT min(created_at) AS a, max(created_at) AS b FROM events.event_store WHERE stream_id LIKE 'search:%' \gset
SELECT count(*), min(event_data ->> 'n'), bool_and(stream_id LIKE 'search:%') FROM events.events_by_time(:'a', :'b'::timestamptz + interval '1 microsecond', p_limit := 10000);
SELECT count(*) FROM events.events_by_time(:'a', :'a', p_limit := 10);
SELECT array_agg(event_data -> 'n') FROM events.events_by_time(:'a', 'infinity', 's1', 3);
-- page by page, though all events have one time
WITH RECURSIVE page AS (
	SELECT 1 AS n, array_agg(global_position) AS positions, max(created_at) AS last FROM events.events_by_time(:'a', 'infinity', p_limit := 700)
	UNION ALL
	SELECT n + 1, r.positions, r.last FROM page p, LATERAL (
		SELECT array_agg(global_position) AS positions, max(created_at) AS last
		FROM events.events_by_time(p.last, 'infinity', p_limit := 700, p_after_position := p.positions[700])) r
	WHERE array_length(p.positions, 1) = 700)
SELECT count(*), count(DISTINCT g), bool_and(g > before) AS in_order FROM (
	SELECT g, lag(g, 1, 0::bigint) OVER (ORDER BY n, o) AS before FROM page, unnest(positions) WITH ORDINALITY u (g, o)) x;
-- by content, newest first
SELECT event_data ->> 'n', event_type FROM events.find_events('{"kind": "rare"}');
SELECT event_data ->> 'n' FROM events.find_events('{"kind": "rare"}', 's0');
SELECT event_data ->> 'n' FROM events.find_events('{"kind": "rare"}', p_limit := 1);
SELECT count(*) FROM events.find_events('{"deep": {"list": [7]}}', p_limit := 1000);
SELECT count(*) FROM events.find_events('{"kind": "rare"}', p_from := 'infinity');
SELECT count(*) FROM events.find_events('{"kind": "rare"}', p_from := :'a', p_to := 'infinity');
SELECT count(*) FROM events.find_events('{"kind": "rare"}', p_to := :'a');
SELECT count(*) FROM events.find_events('{"kind": "none"}');
SELECT array_agg(event_data -> 'n') FROM events.find_events('{}', p_from := :'a', p_limit := 3);
SELECT created_at AS at, global_position AS position FROM events.find_events('{"kind": "rare"}', p_limit := 1) \gset
SELECT event_data ->> 'n' FROM events.find_events('{"kind": "rare"}', p_to := :'at', p_before_position := :position);
WITH RECURSIVE page AS (
	SELECT 1 AS n, array_agg(global_position) AS positions, min(created_at) AS last FROM events.find_events('{"kind": "usual"}', p_limit := 700)
	UNION ALL
	SELECT n + 1, r.positions, r.last FROM page p, LATERAL (
		SELECT array_agg(global_position) AS positions, min(created_at) AS last
		FROM events.find_events('{"kind": "usual"}', p_to := p.last, p_limit := 700, p_before_position := p.positions[700])) r
	WHERE array_length(p.positions, 1) = 700)
SELECT count(*), count(DISTINCT g), bool_and(g < before) AS in_order FROM (
	SELECT g, lag(g, 1, 9223372036854775807) OVER (ORDER BY n, o) AS before FROM page, unnest(positions) WITH ORDINALITY u (g, o)) x;
-- the indexes are used: scans of each within this transaction, and by this session
SET max_parallel_workers_per_gather = 0;
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
ANALYZE events.event_store;
CREATE FUNCTION t.scans(p_index text) RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(pg_stat_get_xact_numscans(('events.' || p_index)::regclass), 0) $$;
BEGIN;
-- what a statement before has counted may not have been handed to the collector yet: differences
SELECT t.scans('idx_event_store_event_data_gin_' || :'month') AS gin, t.scans('idx_event_store_position_' || :'month') AS position,
       t.scans('idx_event_store_created_at_' || :'month') + t.scans('idx_event_store_type_time_' || :'month') AS time \gset
SELECT count(*) FROM events.find_events('{"kind": "rare"}');
SELECT t.scans('idx_event_store_event_data_gin_' || :'month') > :gin AS gin, t.scans('idx_event_store_position_' || :'month') > :position AS position;
SELECT count(*) FROM events.events_by_time(:'a', :'b'::timestamptz + interval '1 microsecond', p_limit := 10);
SELECT t.scans('idx_event_store_created_at_' || :'month') + t.scans('idx_event_store_type_time_' || :'month') > :time AS time;
ROLLBACK;
