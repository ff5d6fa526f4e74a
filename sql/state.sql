-- The state of a stream: the data of the latest event of each type.
SELECT events.get_stream_state('state:nobody');
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('state:a'::text) FROM generate_series(1, 5)), '{mode,weight,mode,note,weight}',
	ARRAY['{"now": "rest"}', '70.10', '{"now": "run", "since": [1, {"a": null}]}', '"text"', '70.20']::jsonb[]);
SELECT v, events.get_stream_state('state:a', v) FROM generate_series(0, 6) v;
SELECT events.get_stream_state('state:a');
-- scalars, arrays, empty documents
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('state:kinds'::text) FROM generate_series(1, 8)), '{nul,tru,arr,obj,emptyarr,str,num,nested}',
	ARRAY['null', 'true', '[1, [2]]', '{"a": {"b": {}}}', '[]', '""', '-0.0', '[[], {}, [{}]]']::jsonb[]);
SELECT events.get_stream_state('state:kinds');
-- numbers keep all their digits, text all of Unicode
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('state:exact'::text) FROM generate_series(1, 6)), '{a,b,c,d,e,ключ}',
	ARRAY['0.10', '12345678901234567890', '1e400', '{"x": 1.000, "y": 0.1000000000000000055511151231257827}',
	      '"\u00fc \ud83d\ude00 \\u0041 \u2028"', '{"\u043a\u043b\u044e\u0447": "\ud834\udd1e"}']::jsonb[]);
SELECT events.get_stream_state('state:exact') -> k AS value FROM unnest('{a,b,d,e,ключ}'::text[]) k;
SELECT events.get_stream_state('state:exact') ->> 'c' = '1' || repeat('0', 400) AS exact;
-- documents that are stored out of line, compressed and not
SELECT events.append_event('state:big', 'compressed', jsonb_build_object('a', repeat('x', 100000))) IS NOT NULL,
       events.append_event('state:big', 'plain', (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 2000) i)) IS NOT NULL;
SELECT length(events.get_stream_state('state:big') -> 'compressed' ->> 'a'),
       events.get_stream_state('state:big') -> 'plain' = (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 2000) i) AS same,
       (SELECT bool_and(event_data = events.get_stream_state('state:big') -> event_type) FROM events.replay_stream('state:big'));
-- equal to a fold in plain SQL, at every version
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('state:many'::text) FROM generate_series(1, 300)), (SELECT array_agg('t' || (i * 7919) % 23 ORDER BY i) FROM generate_series(1, 300) i),
	(SELECT array_agg(jsonb_build_object('i', i) ORDER BY i) FROM generate_series(1, 300) i));
SELECT bool_and(events.get_stream_state('state:many', v) =
	(SELECT jsonb_object_agg(event_type, event_data) FROM (
		SELECT DISTINCT ON (event_type) event_type, event_data FROM events.event_store
		WHERE stream_id = 'state:many' AND stream_version <= v ORDER BY event_type, stream_version DESC) d)) AS same
FROM generate_series(1, 300) v;
