-- Queries and conditions about tags and spans that rules make of events' data.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
CREATE FUNCTION pg_temp.found(p_query jsonb, p_backwards boolean DEFAULT false) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(stream_id) FROM start, events.read_by_query(p_query, p, p_backwards := p_backwards)
$$;
CREATE FUNCTION pg_temp.book(p_stream text, p_room integer, p_from text, p_to text, p_query jsonb, p_after bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM events.append_if(p_query, p_after, ARRAY[p_stream], '{room_reserved}', ARRAY[jsonb_build_object('room', p_room, 'from', p_from, 'to', p_to)]);
	RETURN 'reserved';
EXCEPTION WHEN SQLSTATE 'ZE008' THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
-- without rules nothing is found by what the data says
SELECT events.append_event('res:1', 'room_reserved', '{"room": 1, "from": "2026-12-01T10:00Z", "to": "2026-12-01T11:00Z"}') IS NOT NULL AS appended;
SELECT pg_temp.found('{"tags": ["suite:1"]}'), pg_temp.found('{"during": ["2026-12-01", "2026-12-02"], "types": ["room_reserved"]}');
-- a rule that is not complete counts for no reader and for no condition
SELECT events.add_tag_rule('room_reserved', '/room', 'suite') AS complete;
SELECT events.append_event('res:2', 'room_reserved', '{"room": 1, "from": "2026-12-01T12:00Z", "to": "2026-12-01T13:00Z"}') IS NOT NULL AS appended;
SELECT pg_temp.found('{"tags": ["suite:1"]}');
SELECT pg_temp.book('res:3', 2, '2026-12-01T10:00Z', '2026-12-01T11:00Z', '{"tags": ["suite:1"]}', NULL);
SELECT events.fill_tag_rules(100000000) AS left;
SELECT pg_temp.found('{"tags": ["suite:1"]}'), pg_temp.found('{"tags": ["suite:1"]}', true), pg_temp.found('{"tags": ["suite:2"], "types": ["room_reserved"]}');
SELECT pg_temp.book('res:4', 1, '2026-12-01T10:00Z', '2026-12-01T11:00Z', '{"tags": ["suite:1"]}', NULL);
-- given tags and those of a rule together
SELECT events.append_event('res:5', 'room_reserved', '{"room": 3, "from": "2026-12-01T10:00Z", "to": "2026-12-01T11:00Z"}', p_tags := '{guest:ada}') IS NOT NULL AS appended;
SELECT pg_temp.found('{"tags": ["suite:3", "guest:ada"]}'), pg_temp.found('{"tags": ["guest:ada", "suite:1"]}');
-- spans: overlap decides, ends are not part of them
SELECT events.add_span_rule('room_reserved', '/from', '/to');
SELECT d AS during, pg_temp.found(jsonb_build_object('during', d, 'tags', '["suite:1"]'::jsonb)) AS room_1, pg_temp.found(jsonb_build_object('during', d)) AS any_room FROM (VALUES
	('["2026-12-01 10:30Z", "2026-12-01 10:31Z"]'::jsonb), ('["2026-12-01 11:00Z", "2026-12-01 12:00Z"]'), ('["2026-12-01 10:59Z", "2026-12-01 12:01Z"]'),
	('[null, "2026-12-01 10:00Z"]'), ('["2026-12-01 12:30Z", null]'), ('[null, null]')) v (d);
SELECT events.append_event('res:6', 'room_reserved', '{"room": 1, "from": "2027-01-01T00:00Z"}') IS NOT NULL AS without_end, events.append_event('res:6', 'room_reserved', '{"room": 1}') IS NOT NULL AS without_span;
SELECT pg_temp.found('{"during": ["2030-01-01", null]}'), pg_temp.found('{"during": [null, null], "stream": "res:6"}');
-- a room is booked once at a time, by a rule that says how the data is to be read
CREATE FUNCTION pg_temp.reserve(p_stream text, p_room integer, p_from text, p_to text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.book(p_stream, p_room, p_from, p_to, jsonb_build_object('tags', ARRAY['suite:' || p_room], 'during', ARRAY[p_from, p_to]), NULL)
$$;
SELECT pg_temp.reserve('res:7', 4, '2026-12-24T10:00Z', '2026-12-24T11:00Z'), pg_temp.reserve('res:8', 4, '2026-12-24T10:59Z', '2026-12-24T12:00Z'),
       pg_temp.reserve('res:8', 4, '2026-12-24T11:00Z', '2026-12-24T12:00Z'), pg_temp.reserve('res:9', 5, '2026-12-24T10:00Z', '2026-12-24T11:00Z'),
       pg_temp.reserve('res:9', 4, '2026-12-24T09:00Z', '2026-12-24T15:00Z');
-- what it writes by a rule is locked as what is given is
BEGIN;
SELECT pg_temp.reserve('res:10', 6, '2026-12-24T10:00Z', '2026-12-24T11:00Z');
SELECT holds, mode, locks FROM events.lock_holders WHERE pid = pg_backend_pid() AND holds LIKE 'tags%';
ROLLBACK;
-- an id that is given again has its first result, though a rule that came since would refuse it
SELECT stream_version FROM events.append_if('{"tags": ["x"]}', NULL, '{ref:1}', '{referred}', '{"{\"to\": {}}"}', p_event_ids := '{00000000-0000-4000-8000-00000000cb01}');
SELECT events.add_tag_rule('referred', '/to', 'to') AS complete;
SELECT stream_version FROM events.append_if('{"tags": ["x"]}', NULL, '{ref:1}', '{referred}', '{"{\"to\": {}}"}', p_event_ids := '{00000000-0000-4000-8000-00000000cb01}');
SELECT t.state($$SELECT * FROM events.append_if('{"tags": ["x"]}', NULL, '{ref:1}', '{referred}', '{"{\"to\": {}}"}')$$);
-- dropped rules: rows that the index has left say nothing
SELECT events.drop_tag_rule('room_reserved', '/room', 'suite'), events.drop_tag_rule('referred', '/to', 'to'), events.drop_span_rule('room_reserved');
SELECT pg_temp.found('{"tags": ["suite:1"]}'), pg_temp.found('{"tags": ["guest:ada"]}'), pg_temp.found('{"during": [null, null]}');
SELECT pg_temp.book('res:11', 1, '2026-12-24T10:00Z', '2026-12-24T11:00Z', '{"tags": ["suite:1"]}', NULL);
