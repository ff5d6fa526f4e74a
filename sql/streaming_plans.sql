-- Functions that give events are scanned like tables where they stand in FROM: the plans, and the rows that EXPLAIN counts.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events(array_fill('flow:1'::text, ARRAY[20000]), array_fill('e'::text, ARRAY[20000]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 20000) i));
SELECT count(*) FROM events.append_events((SELECT array_agg('flow:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('flow_kind'::text, ARRAY[30]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
-- The nodes of a plan, from the top.
CREATE FUNCTION pg_temp.nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN (WITH RECURSIVE node AS (SELECT plan -> 0 -> 'Plan' AS n, ARRAY[1] AS path UNION ALL
		SELECT c, path || i::int FROM node, json_array_elements(n -> 'Plans') WITH ORDINALITY AS x (c, i))
		SELECT string_agg((n ->> 'Node Type') || coalesce(' ' || (n ->> 'Custom Plan Provider'), '') || coalesce(' ' || (n ->> 'Order'), ''), ', ' ORDER BY path) FROM node);
END $$;
EXPLAIN (COSTS OFF) SELECT * FROM events.replay_stream('flow:1', 5) LIMIT 1;
SELECT query, pg_temp.nodes(query) FROM unnest(ARRAY[
	'SELECT * FROM events.replay_stream(''flow:1'')', 'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY stream_version', 'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY stream_version DESC',
	'SELECT * FROM events.replay_stream(''flow:1'') ORDER BY event_type', 'SELECT * FROM events.replay_stream_backward(''flow:1'') ORDER BY stream_version DESC', 'SELECT * FROM events.replay_stream_backward(''flow:1'') ORDER BY stream_version',
	'SELECT * FROM events.events_by_time(''-infinity'', ''infinity'') ORDER BY created_at, global_position', 'SELECT * FROM events.read_all() ORDER BY global_position',
	'SELECT * FROM events.replay_stream(''flow:1'') WITH ORDINALITY', 'SELECT * FROM ROWS FROM (events.replay_stream(''flow:1''), generate_series(1, 2))', 'SELECT events.replay_stream(''flow:1'')',
	'SELECT * FROM events.replay_stream(''flow:'' || floor(random())::text)', 'SELECT * FROM (VALUES (1), (2)) v (i), events.replay_stream(''flow:'' || i) r']) WITH ORDINALITY AS q (query, i) ORDER BY i;
-- the order is known through UNION ALL and DISTINCT
SELECT query, pg_temp.nodes(query) FROM unnest(ARRAY[
	'SELECT * FROM (SELECT stream_version FROM events.replay_stream(''flow:2'') UNION ALL SELECT stream_version FROM events.replay_stream(''flow:3'')) u ORDER BY 1 DESC',
	'SELECT DISTINCT stream_version FROM events.replay_stream(''flow:1'')',
	'SELECT * FROM events.events_by_time(''-infinity'', ''infinity'') ORDER BY created_at DESC']) WITH ORDINALITY AS q (query, i) ORDER BY i;
-- rows that came, as EXPLAIN ANALYZE counts them, and those that a filter held back
CREATE FUNCTION pg_temp.counts(query text) RETURNS TABLE (name text, rows int, removed int, call text) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	RETURN QUERY WITH RECURSIVE node AS (SELECT plan -> 0 -> 'Plan' AS n UNION ALL SELECT c FROM node, json_array_elements(n -> 'Plans') AS c)
		SELECT n ->> 'Custom Plan Provider', (n ->> 'Actual Rows')::numeric::int, (n ->> 'Rows Removed by Filter')::numeric::int, n ->> 'Function Call' FROM node WHERE n ->> 'Node Type' = 'Custom Scan';
END $$;
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream(''flow:1'') LIMIT 3');
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream(''flow:1'', 11, 20) WHERE stream_version > 13');
SELECT * FROM pg_temp.counts('SELECT * FROM events.replay_stream_backward(p_stream_id := ''flow:2'', p_limit := 4)');
SELECT * FROM pg_temp.counts('SELECT * FROM events.events_by_time(''-infinity'', ''infinity'', ''flow_kind'')');
