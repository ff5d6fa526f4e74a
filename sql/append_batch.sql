-- Appending batches.
SELECT stream_id, stream_version, global_position - min(global_position) OVER () AS place, event_id IS NOT NULL AS id
FROM events.append_events(ARRAY['batch:b', 'batch:a', 'batch:b', 'batch:c', 'batch:a'],
                          ARRAY['one', 'two', 'three', 'four', 'five'],
                          ARRAY['1', '2', '3', '4', '5']::jsonb[]) WITH ORDINALITY ORDER BY ordinality;
SELECT t.show('batch:a');
SELECT t.show('batch:b');
SELECT t.show('batch:c');
-- metadata, created_by and expected versions per event
SELECT stream_id, stream_version
FROM events.append_events(ARRAY['batch:a', 'batch:d'], ARRAY['six', 'one'], ARRAY['6', '1']::jsonb[], 'importer',
                          ARRAY['{"m": 1}', '{"m": 2}']::jsonb[], ARRAY[2, 0]);
SELECT stream_id, metadata, created_by FROM events.event_store WHERE created_by = 'importer' ORDER BY 1;
-- an expected version speaks of the stream before the batch: once, or the same for each event
SELECT stream_version FROM events.append_events(ARRAY['batch:e', 'batch:e', 'batch:e'], ARRAY['x', 'x', 'x'],
                                                ARRAY['1', '2', '3']::jsonb[], p_expected_versions := ARRAY[0, NULL, 0]);
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['batch:e', 'batch:e'], ARRAY['x', 'x'], ARRAY['1', '2']::jsonb[],
                                                  p_expected_versions := ARRAY[3, 4])$$);
-- all or nothing
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['batch:f', 'batch:a', 'batch:g'], ARRAY['x', 'x', 'x'],
                                                  ARRAY['1', '2', '3']::jsonb[], p_expected_versions := ARRAY[0, 7, 0])$$);
SELECT events.stream_exists('batch:f'), events.stream_exists('batch:g'), events.stream_version('batch:a');
-- arrays need not begin at 1
SELECT stream_id, stream_version FROM events.append_events('[0:1]={batch:h,batch:i}', '[5:6]={x,y}', '{1,2}', p_event_ids := '[-3:-2]={NULL,00000000-0000-0000-0000-00000000b001}');
SELECT t.show('batch:h');
SELECT t.show('batch:i');
-- empty
SELECT count(*) FROM events.append_events('{}', '{}', '{}');
SELECT count(*) FROM events.append_events('{}', '{}', '{}', p_metadata := '{}', p_expected_versions := '{}', p_event_ids := '{}');
-- 100,000 events in a call, over 7 streams, in the order given
CREATE TEMP TABLE big AS
	SELECT * FROM events.append_events(
		(SELECT array_agg('batch:big:' || i % 7 ORDER BY i) FROM generate_series(1, 100000) i),
		(SELECT array_agg('reading'::text) FROM generate_series(1, 100000) i),
		(SELECT array_agg(jsonb_build_object('i', i) ORDER BY i) FROM generate_series(1, 100000) i)) WITH ORDINALITY;
SELECT count(*), count(DISTINCT event_id) AS ids, max(stream_version) AS longest,
       bool_and(stream_id = 'batch:big:' || ordinality % 7) AS in_order,
       max(global_position) - min(global_position) + 1 AS positions FROM big;
SELECT bool_and(e.event_data = jsonb_build_object('i', b.ordinality)) AS same
FROM big b JOIN events.event_store e USING (global_position);
SELECT bool_and((event_data ->> 'i')::int = (stream_version - 1) * 7 + 3) FROM events.replay_stream('batch:big:3');
-- the GIN index's pending entries are there for a search at once
SELECT event_data FROM events.find_events('{"i": 77777}');
SELECT t.dense();
