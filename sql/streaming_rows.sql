-- Functions that give events give the same rows wherever they stand, also as whole rows.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('rowed:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*) FROM events.append_events((SELECT array_agg('rowed:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('rowed_kind'::text, ARRAY[30]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
-- right wherever it stands
SELECT stream_version, event_data FROM events.replay_stream('rowed:1') LIMIT 2;
SELECT stream_version, event_data FROM events.replay_stream('rowed:1') ORDER BY stream_version DESC LIMIT 2;
SELECT stream_version FROM events.replay_stream('rowed:1', 19998) WHERE stream_version % 2 = 0;
SELECT count(*), sum(event_data::int), min(stream_version), max(stream_version) FROM events.replay_stream('rowed:1', 101, 200);
SELECT count(*), min(stream_version) FROM events.replay_stream_backward('rowed:1', 500, 100);
SELECT max(ordinality), max(stream_version) FROM events.replay_stream('rowed:1') WITH ORDINALITY;
SELECT stream_version, g FROM ROWS FROM (events.replay_stream('rowed:2', 1, 2), generate_series(1, 3)) AS r (event_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position, tags, g);
SELECT count(r) FROM (SELECT events.replay_stream('rowed:1') AS r) s;
SELECT count(*) FROM events.replay_stream('rowed:' || floor(random())::text);
SELECT array_agg(stream_version) FROM (SELECT * FROM (SELECT stream_version FROM events.replay_stream('rowed:2', 8) UNION ALL SELECT stream_version FROM events.replay_stream('rowed:3', 8)) u ORDER BY 1 DESC) x;
SELECT (SELECT count(*) FROM events.replay_stream((SELECT 'rowed:' || i))) FROM generate_series(2, 5) i;
SELECT i, r.stream_version FROM generate_series(2, 3) i, events.replay_stream((SELECT max('rowed:' || w) FROM generate_series(2, 4) w WHERE w <= i), 9) r;
WITH RECURSIVE w (v) AS (SELECT 1::bigint UNION ALL SELECT r.stream_version FROM w, events.replay_stream('rowed:2', w.v + 1, w.v + 1) r) SELECT count(*), max(v) FROM w;
WITH r AS MATERIALIZED (SELECT * FROM events.replay_stream('rowed:2')) SELECT (SELECT count(*) FROM r), (SELECT max(stream_version) FROM r);
SELECT i, r.kind, r.w IS NULL AS no_row FROM generate_series(9, 11) i LEFT JOIN (SELECT stream_version AS v, coalesce(event_type, 'none') AS kind, x AS w FROM events.replay_stream('rowed:2') x) r ON r.v = i ORDER BY i;
SELECT i, r.kind, r.w IS NULL AS no_row FROM generate_series(9, 10) i LEFT JOIN LATERAL (SELECT coalesce(event_type, 'none') AS kind, x AS w FROM events.replay_stream('rowed:2', i, i) x WHERE i = 9) r ON true ORDER BY i;
SELECT count(*) FROM events.event_store e JOIN events.replay_stream('rowed:2') r USING (event_id);
SELECT event_type, count(*) FROM events.replay_stream('rowed:2') GROUP BY ROLLUP (event_type) ORDER BY 1;
SELECT count(*) FROM generate_series(1, 3) i WHERE EXISTS (SELECT FROM events.replay_stream('rowed:' || i) WHERE event_type = 'rowed_kind');
-- whole rows
SELECT (r).stream_version, (r).event_data FROM (SELECT r FROM events.replay_stream('rowed:2', 9) r) s;
SELECT row_to_json(r) -> 'stream_version' AS version, r IS NOT NULL AS whole, r::text LIKE '(%,9,rowed_kind,%' AS as_text FROM events.replay_stream('rowed:2', 9, 9) r;
SELECT count(*) FROM events.replay_stream('rowed:2') a JOIN events.replay_stream('rowed:2') b ON a = b;
SELECT count(DISTINCT r) FROM events.replay_stream('rowed:2') r WHERE r IS NOT NULL;
SELECT count(x), min((x).stream_version) FROM (SELECT r AS x FROM events.replay_stream('rowed:2') r UNION ALL SELECT r FROM events.replay_stream('rowed:3', 4) r) u;
SELECT count(x), max((x).stream_version) FROM (SELECT r AS x FROM events.replay_stream_backward('rowed:2', 7) r) u;
SELECT (x).stream_id, (x).stream_version FROM (SELECT r AS x FROM events.events_by_time('-infinity', 'infinity', 'rowed_kind', 2) r) u;
-- errors come where the call is
SELECT e.code, e.message FROM unnest(ARRAY['SELECT * FROM events.replay_stream(NULL)', 'SELECT * FROM events.replay_stream(''rowed:2'', -1)', 'SELECT * FROM events.replay_stream_backward(''rowed:2'', NULL, -1)', 'SELECT * FROM events.events_by_time(NULL, now())',
	'SELECT * FROM events.read_all(p_limit => -1)']) WITH ORDINALITY AS q (query, i), LATERAL t.error_of(query) e ORDER BY i;
