-- Functions that give events in joins, and beside rows that are locked or changed.
SET client_min_messages = warning;
SELECT count(events.append_event('joined:1', 'e', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT count(*) FROM events.append_events((SELECT array_agg('joined:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('joined_kind'::text, ARRAY[30]),
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
-- joined and run again for each row
SELECT i, count(r.stream_version), sum(r.stream_version) FROM generate_series(1, 5) i LEFT JOIN LATERAL events.replay_stream('joined:' || i, 2, 4) r ON true GROUP BY i ORDER BY i;
SELECT count(*) FROM generate_series(1, 3) i, events.replay_stream('joined:2') r WHERE r.stream_version > i;
SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT count(*) FROM events.replay_stream('joined:2') a, events.replay_stream('joined:3') b WHERE a.stream_version = b.stream_version;
RESET enable_material; RESET enable_hashjoin; RESET enable_mergejoin;
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT pg_temp.nodes('SELECT count(*) FROM events.replay_stream(''joined:2'') a JOIN events.replay_stream(''joined:3'') b USING (stream_version)') LIKE '%Merge Join%Custom Scan%Custom Scan%' AS merges;
SELECT count(*) FROM events.replay_stream('joined:2') a JOIN events.replay_stream('joined:3') b USING (stream_version);
SELECT count(*) FROM events.replay_stream('joined:2') a FULL JOIN events.replay_stream('joined:3', 3) b USING (stream_version);
SELECT count(*) FROM (VALUES (1), (1), (2), (2), (2)) v (i) JOIN events.replay_stream('joined:3') b ON b.stream_version = v.i;
RESET enable_hashjoin; RESET enable_nestloop;
SELECT i, (SELECT event_data FROM events.replay_stream('joined:' || i) ORDER BY stream_version DESC LIMIT 1) FROM generate_series(2, 4) i;
CREATE SCHEMA flow;
-- beside rows that are locked or changed
CREATE TABLE flow.t (v bigint PRIMARY KEY, d jsonb);
INSERT INTO flow.t SELECT stream_version, 'null' FROM events.replay_stream('joined:2');
UPDATE flow.t SET d = r.event_data FROM events.replay_stream('joined:2') r WHERE r.stream_version = t.v AND t.v < 4;
SELECT t.v, t.d, r.stream_version FROM flow.t, events.replay_stream('joined:2') r WHERE r.stream_version = t.v AND t.v <= 2 ORDER BY 1 FOR UPDATE OF t;
DELETE FROM flow.t USING events.replay_stream('joined:2', 5) r WHERE r.stream_version = t.v;
SELECT count(*) FROM flow.t;
INSERT INTO flow.t SELECT stream_version, event_data FROM events.replay_stream('joined:2', 3, 6) ON CONFLICT (v) DO UPDATE SET d = '"again"';
SELECT * FROM flow.t ORDER BY v;
UPDATE flow.t SET d = to_jsonb(r) - '{event_id,event_data,created_at,metadata,created_by,global_position}'::text[] FROM events.replay_stream('joined:2', 4, 4) r WHERE r.stream_version = t.v RETURNING r.event_type, t.d, r IS NOT NULL AS whole;
MERGE INTO flow.t USING events.replay_stream('joined:2', 6, 8) r ON t.v = r.stream_version WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (r.stream_version, r.event_data);
SELECT array_agg(v ORDER BY v) FROM flow.t;
SELECT count(*) FROM (SELECT stream_version FROM events.replay_stream('joined:2') FOR UPDATE) r;
DROP SCHEMA flow CASCADE;
