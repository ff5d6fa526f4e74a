-- Tags that callers give events.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS before FROM auren.global_position_seq \gset
SELECT events.append_event('booking:1', 'room_booked', '{"room": 12}', p_tags := '{student:ada,room:12,room:12}') IS NOT NULL AS appended;
SELECT events.append_event('booking:2', 'room_booked', '{"room": 12}', p_tags := '{room:12}') IS NOT NULL AS appended;
SELECT events.append_event('booking:3', 'room_booked', '{}', p_tags := '{}') IS NOT NULL AS appended;
SELECT events.append_event('booking:3', 'room_left', '{}') IS NOT NULL AS appended;
SELECT stream_id, stream_version FROM events.append_events(ARRAY['booking:4', 'booking:4', 'booking:5'], ARRAY['tagged', 'b', 'c'], ARRAY['1', '2', '3']::jsonb[],
	p_tags := ARRAY['["z", "a", "ü:☃"]', NULL, '[]']::jsonb[]);
-- every function that returns events shows them in its last column
SELECT stream_version, tags FROM events.replay_stream('booking:1');
SELECT stream_version, tags FROM events.replay_stream('booking:3') ORDER BY 1 DESC;
SELECT stream_version, tags FROM events.replay_stream_backward('booking:4');
SELECT tags FROM events.last_event('booking:1');
SELECT tags FROM events.last_event('booking:4', 'tagged');
SELECT stream_id, tags FROM events.events_by_time(now() - interval '1 hour', now() + interval '1 hour', p_limit := 1000000) WHERE stream_id LIKE 'booking:%' ORDER BY global_position;
SELECT stream_id, tags FROM events.find_events('{"room": 12}', 'room_booked') ORDER BY global_position;
SELECT stream_id, tags FROM events.replay_stream_decrypted('booking:1') CROSS JOIN (VALUES ('booking:1')) v (stream_id);
SELECT stream_id, tags FROM events.read_all(:before) WHERE stream_id LIKE 'booking:%';
SELECT stream_id, tags FROM events.tenant_events WHERE stream_id = 'booking:1';
SELECT (r).tags FROM (SELECT r FROM events.replay_stream('booking:1') r) x;
SELECT * FROM ROWS FROM (events.read_all(p_tags := '{student:ada}')) AS r (id, p, s, v, t, d, m, at, by, tags) WHERE false;
-- filters: all of the tags
SELECT stream_id FROM events.read_all(p_tags := '{room:12}');
SELECT stream_id FROM events.read_all(p_tags := '{student:ada,room:12}');
SELECT stream_id FROM events.read_all(p_tags := '{room:12,student:bob}');
SELECT stream_id FROM events.read_all(p_event_types := '{tagged,c}', p_tags := '{a}');
SELECT count(*) = (SELECT count(*) FROM events.event_store WHERE tenant_id = 'default') AS all_of_them FROM events.read_all(0, 1000000, p_tags := '{}');
SELECT events.create_subscription('by_tag', p_tags := '{student:ada,room:12}') AS begins_after, events.create_subscription('by_no_tag', p_event_types := '{tagged}', p_tags := '{}') AS also;
SELECT name, tags, lag_events FROM events.subscriptions WHERE name LIKE 'by%' ORDER BY 1;
SELECT stream_id, tags FROM events.fetch('by_tag', 'c');
SELECT stream_id, tags FROM events.fetch('by_no_tag', 'c');
SELECT events.drop_subscription('by_tag'), events.drop_subscription('by_no_tag');
-- the index has a row for each, and where the event is
SELECT tag, t.month = date_trunc('month', e.created_at AT TIME ZONE 'UTC')::date AS of_its_month, t.event_at = e.ctid AS there
FROM events.event_store e CROSS JOIN unnest(tags) tag LEFT JOIN auren.event_tags t ON (t.tag_hash, t.global_position) = (auren.tag_hash(tenant_id, tag), e.global_position)
WHERE e.stream_id LIKE 'booking:%' ORDER BY e.global_position, tag;
SELECT count(*) AS too_many_or_lacking FROM (SELECT tag_hash, global_position FROM auren.event_tags) t
	FULL JOIN (SELECT global_position, auren.tag_hash(tenant_id, unnest(tags)) AS tag_hash FROM events.event_store) e USING (tag_hash, global_position)
WHERE t.tag_hash IS NULL OR e.tag_hash IS NULL;
-- they are part of the content
SELECT events.append_event('booking:6', 'x', '1', p_event_id := '00000000-0000-4000-8000-00000000aaaa', p_tags := '{b,a}');
SELECT events.append_event('booking:6', 'x', '1', p_event_id := '00000000-0000-4000-8000-00000000aaaa', p_tags := '{a,b,a}');
SELECT * FROM t.try($$SELECT events.append_event('booking:6', 'x', '1', p_event_id := '00000000-0000-4000-8000-00000000aaaa', p_tags := '{a}')$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:6', 'x', '1', p_event_id := '00000000-0000-4000-8000-00000000aaaa')$$);
SELECT stream_version FROM events.append_events('{s,s}', '{x,x}', '{1,1}', p_event_ids := '{00000000-0000-4000-8000-00000000aaab,00000000-0000-4000-8000-00000000aaab}', p_tags := '{"[\"b\"]","[\"b\"]"}');
SELECT * FROM t.try($$SELECT events.append_events('{s,s}', '{x,x}', '{1,1}', p_event_ids := '{00000000-0000-4000-8000-00000000aaac,00000000-0000-4000-8000-00000000aaac}', p_tags := '{"[\"b\"]",NULL}')$$);
SELECT count(*) FROM events.replay_stream('booking:6');
-- what is not a tag
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := '{""}')$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := '{a,NULL}')$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := '{{a,b}}')$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := ARRAY[repeat('ü', 256)])$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := ARRAY[E'a\nb'])$$);
SELECT * FROM t.try($$SELECT events.append_event('booking:7', 'x', '1', p_tags := array(SELECT 't' || n FROM generate_series(1, 65) n))$$);
SELECT * FROM t.try($$SELECT events.append_events('{s}', '{x}', '{1}', p_tags := '{"\"room:12\""}')$$);
SELECT * FROM t.try($$SELECT events.append_events('{s}', '{x}', '{1}', p_tags := '{"[1]"}')$$);
SELECT * FROM t.try($$SELECT events.append_events('{s,s}', '{x,x}', '{1,1}', p_tags := '{"[]"}')$$);
SELECT * FROM t.try($$SELECT events.append_events('{s,s}', '{x,x}', '{1,1}', p_tags := '{NULL,"[\"\"]"}')$$);
SELECT * FROM t.try($$SELECT events.read_all(p_tags := '{""}')$$);
SELECT * FROM t.try($$SELECT events.create_subscription('s', p_tags := '{a,NULL}')$$);
SELECT events.stream_exists('booking:7') AS anything_left;
-- as many and as long as may be, in one event, in a batch of more than a chunk, and rolled back
SELECT events.append_event('booking:8', 'x', '1', p_tags := array(SELECT lpad(n::text, 255, 'ü') FROM generate_series(1, 64) n)) IS NOT NULL AS appended;
SELECT cardinality(tags), length(tags[64]) FROM events.last_event('booking:8');
SELECT count(*) FROM auren.event_tags WHERE tag_hash IN (SELECT auren.tag_hash('default', lpad(n::text, 255, 'ü')) FROM generate_series(1, 64) n);
SELECT count(*) FROM events.append_events(array_fill('booking:9'::text, '{2500}'), array_fill('x'::text, '{2500}'), array_fill('1'::jsonb, '{2500}'),
	p_tags := array(SELECT jsonb_build_array('even:' || n % 2, 'n:' || n) FROM generate_series(1, 2500) n));
SELECT count(*), min(stream_version), max(stream_version) FROM events.read_all(0, 100000, p_tags := '{even:0}');
SELECT stream_version FROM events.read_all(p_tags := '{n:2024}');
BEGIN;
SAVEPOINT s;
SELECT events.append_event('booking:8', 'x', '1', p_tags := '{gone}') IS NOT NULL AS appended;
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM events.read_all(p_tags := '{gone}');
SELECT count(*) AS too_many_or_lacking FROM (SELECT t.tag_hash, t.global_position FROM auren.event_tags t JOIN events.event_store e ON e.global_position = t.global_position AND t.event_at = e.ctid) t
	FULL JOIN (SELECT global_position, auren.tag_hash(tenant_id, unnest(tags)) AS tag_hash FROM events.event_store) e USING (tag_hash, global_position)
WHERE t.tag_hash IS NULL OR e.tag_hash IS NULL;
-- through INSERT: a trigger on the table
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.nothing();
SELECT events.append_event('booking:10', 'x', '1', p_tags := '{inserted}') IS NOT NULL AS appended;
DROP TRIGGER nothing ON events.event_store;
SELECT e.stream_id, e.tags, t.event_at = e.ctid AS there FROM auren.event_tags t JOIN events.event_store e USING (global_position) WHERE tag_hash = auren.tag_hash('default', 'inserted');
-- a month of the index is neither dropped nor detached while its events are there
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
SELECT replace(r::text, :'month', 'YYYY_MM') AS refused FROM t.try('DROP TABLE auren.event_tags_' || :'month') r;
SELECT t.state('DROP TABLE IF EXISTS t.no_such_table, auren.event_tags_' || :'month' || ' CASCADE'), t.state('ALTER TABLE auren.event_tags DETACH PARTITION auren.event_tags_' || :'month');
BEGIN;
DROP TABLE events.event_store_:month, auren.event_tags_:month;
ROLLBACK;
BEGIN;
SET LOCAL auren_events.allow_drop = on;
DROP TABLE auren.event_tags_:month;
ROLLBACK;
SELECT t.dense();
