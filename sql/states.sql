-- States of many streams in one call.
SET client_min_messages = warning;
-- ids around the colon, in the order of their bytes
SELECT count(*) FROM unnest(ARRAY['many', 'many!', 'many-1:x', 'many:', 'many:1', 'many:10', 'many:2', 'many:ü', 'many;2', 'manyone:1', 'Many:1']) AS s,
	LATERAL events.append_events(ARRAY[s, s], '{a,b}', ARRAY[to_jsonb(s), '0.10']::jsonb[]);
SELECT stream_id, stream_version, state FROM events.get_category_states('many');
SELECT stream_id FROM events.get_category_states('many-1');
SELECT stream_id FROM events.get_category_states('many!');
SELECT count(*) FROM events.get_category_states('nobody');
-- a category is what events.streams calls it
SELECT array_agg(stream_id ORDER BY stream_id COLLATE "C") = (SELECT array_agg(stream_id) FROM events.get_category_states('many')) AS same FROM events.streams WHERE category = 'many';
-- pages
SELECT array_agg(stream_id) FROM events.get_category_states('many', NULL, 2);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many:', 2);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many', 2);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'a', 1);
SELECT array_agg(stream_id) FROM events.get_category_states('many', '', 2);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many:3', 2147483647);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'n', 1);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many:none', 1);
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many:2');
SELECT array_agg(stream_id) FROM events.get_category_states('many', 'many:ü');
SELECT count(*) FROM events.get_category_states('many', p_limit => 0);
SELECT count(*) FROM events.append_events((SELECT array_agg('page:' || i % 1203) FROM generate_series(1, 2406) i), array_fill('n'::text, ARRAY[2406]), (SELECT array_agg(to_jsonb(i)) FROM generate_series(1, 2406) i));
SELECT count(*), count(DISTINCT stream_id), bool_and(state = jsonb_build_object('n', 1203 + CASE substr(stream_id, 6) WHEN '0' THEN 1203 ELSE substr(stream_id, 6)::int END)) AS right_ones,
       array_agg(stream_id) = array_agg(stream_id ORDER BY stream_id COLLATE "C") AS in_order
FROM events.get_category_states('page', p_limit => 5000);
WITH RECURSIVE pages AS (
	SELECT 1 AS page, (SELECT array_agg(stream_id) FROM events.get_category_states('page', NULL, 100)) AS ids
	UNION ALL
	SELECT page + 1, (SELECT array_agg(stream_id) FROM events.get_category_states('page', ids[cardinality(ids)], 100)) FROM pages WHERE cardinality(ids) = 100)
SELECT max(page) AS pages, count(*) AS streams, count(DISTINCT id) FROM pages, unnest(ids) AS id;
-- by their ids: in the order given, again and again, and those that have no event
SELECT * FROM events.get_stream_states(ARRAY['many:2', 'none', 'many:1', 'many:2']);
SELECT count(*) FROM events.get_stream_states('{}');
SELECT count(*), bool_and(state = events.get_stream_state(stream_id)) AS same FROM events.get_stream_states((SELECT array_agg('page:' || i) FROM generate_series(0, 1202) i));
SELECT v.id, s.* FROM (VALUES ('many:1'), ('many:2')) v (id), LATERAL events.get_stream_states(ARRAY[v.id, 'none']) s ORDER BY 1, 2;
-- (the workers of a parallel query leave none)
SET max_parallel_workers_per_gather = 0;
-- a long stream among them leaves its snapshot, once
SET auren_events.snapshot_after = 50;
SELECT count(*) FROM events.append_events(array_fill('long:1'::text, ARRAY[60]), array_fill('n'::text, ARRAY[60]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 60) i));
SELECT count(*), count(DISTINCT state) AS states, min(stream_version) AS version FROM events.get_stream_states(array_fill('long:1'::text, ARRAY[20]));
SELECT stream_version, state FROM auren.stream_snapshots WHERE stream_id = 'long:1';
SELECT * FROM events.get_category_states('long');
RESET auren_events.snapshot_after; RESET max_parallel_workers_per_gather;
-- a closed stream is there; one whose events cannot be applied is an error that names it
SELECT events.set_reducer('states_bad', 'patch');
SELECT count(*) FROM events.append_events('{broken:1,broken:2,broken:3}', '{a,states_bad,a}', '{1,2,3}');
SELECT events.close_stream('broken:3', 'a reason');
SELECT e.code, regexp_replace(e.message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT * FROM events.get_category_states('broken')$$) e;
SELECT e.code FROM t.error_of($$SELECT * FROM events.get_stream_states('{broken:1,broken:2}')$$) e;
SELECT * FROM events.get_category_states('broken', 'broken:2');
SELECT events.set_reducer('states_bad', 'patch', '{"on_error": "skip", "category": "broken"}');
SELECT * FROM events.get_category_states('broken');
SELECT events.drop_reducer('states_bad'), events.drop_reducer('states_bad', 'broken');
SELECT stream_id, state FROM events.get_category_states('broken', 'broken:1', 1);
SELECT events.reopen_stream('broken:3');
-- a stream of a tenant is another one's nothing
SET app.tenant_id = 'states_tenant';
SELECT * FROM events.get_stream_states('{many:1}');
SELECT count(*) FROM events.get_category_states('many');
SELECT events.append_event('many:1', 'a', '"of a tenant"') IS NOT NULL AS appended;
SELECT * FROM events.get_category_states('many');
SELECT * FROM events.get_stream_states('{many:1,many:2}');
RESET app.tenant_id;
SELECT state FROM events.get_stream_states('{many:1}');
-- what a policy hides is not there: neither its events nor that there is a stream
CREATE ROLE states_reader;
SELECT events.grant_access('states_reader', 'reader');
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY states_part ON events.event_store FOR SELECT TO states_reader USING (stream_id IN ('many:1', 'many:2') AND event_type = 'b');
SET ROLE states_reader;
SELECT * FROM events.get_category_states('many');
SELECT * FROM events.get_stream_states('{many:1,many:10}');
SELECT events.state_diff('many:1', 0), events.state_diff('many:10', 0);
RESET ROLE;
DROP POLICY states_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SET ROLE states_reader;
SELECT count(*) FROM events.get_category_states('many');
RESET ROLE;
-- differences
SELECT count(*) FROM events.append_events(array_fill('many:diff'::text, ARRAY[4]), '{a,b,a,c}', ARRAY['{"x": [1, 2, 3], "y/~": 0.10}', '1', '{"x": [2, 3, 4], "y/~": 0.100}', '{}']::jsonb[]);
SELECT v, events.state_diff('many:diff', v - 1, v) FROM generate_series(1, 5) v;
SELECT events.state_diff('many:diff', 0), events.state_diff('many:diff', 4, 3), events.state_diff('none', 0), events.state_diff('many:diff', 4, 99);
-- of a part, of the whole, of another kind, and back; keys are escaped
SELECT events.set_reducer('states_m', 'merge');
SELECT count(*) FROM events.append_events(array_fill('many:step'::text, ARRAY[6]), array_fill('states_m'::text, ARRAY[6]), ARRAY['{"a": {"b": 1, "c": 0.10}, "": 1, "~/": [1, 2]}', '{"a": {"b": 2, "c": 0.1}, "": null, "~/": [1, 3, 4]}', '{"a": {"b": {"d": null}}}', '{"a": "text"}', '7', '{"ü": null}']::jsonb[]);
SELECT v, events.get_stream_state('many:step', v), events.state_diff('many:step', v - 1, v) AS forth, events.state_diff('many:step', v, v - 1) AS back FROM generate_series(1, 6) v;
SELECT events.drop_reducer('states_m');
-- bad input
SELECT call, e.* FROM unnest(ARRAY['events.get_stream_states(NULL)', 'events.get_stream_states(ARRAY[''a'', NULL])', 'events.get_stream_states(ARRAY[''''])', 'events.get_stream_states(ARRAY[ARRAY[''a'']])',
	'events.get_category_states(NULL)', 'events.get_category_states('''')', 'events.get_category_states(''a:b'')', 'events.get_category_states(''a'', NULL, -1)', 'events.get_category_states(''a'', NULL, NULL)',
	'events.state_diff(''a'', NULL)', 'events.state_diff(''a'', -1)', 'events.state_diff(''a'', 0, -1)', 'events.state_diff(NULL, 0)']) WITH ORDINALITY AS c (call, i),
	LATERAL t.error_of('SELECT ' || call) e ORDER BY i;
DROP OWNED BY states_reader;
DROP ROLE states_reader;
