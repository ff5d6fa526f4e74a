-- Rules that make tags and spans of events' data: for events to come, for stored ones in steps, shown once they are complete.
SET client_min_messages = warning;
SET app.tenant_id = 'tag_rules';
-- how many rows the index has of an event of this tenant
CREATE VIEW t.tag_rows AS
	SELECT e.stream_id, e.stream_version, e.global_position, count(r) AS rows FROM events.event_store e LEFT JOIN auren.event_tags r USING (global_position)
	WHERE e.tenant_id = 'tag_rules' GROUP BY 1, 2, 3;
CREATE FUNCTION t.fill(p_limit integer, OUT steps integer, OUT complete boolean) LANGUAGE plpgsql AS $$
BEGIN
	steps := 1;
	WHILE events.fill_tag_rules(p_limit) > 0 LOOP
		steps := steps + 1;
	END LOOP;
	SELECT bool_and(r.complete) INTO complete FROM events.tag_rules r;
END $$;
-- no event of the type: complete at once
SELECT events.add_tag_rule('booked', '/room', 'room'), events.add_tag_rule('booked', '/guests', 'guest'), events.add_tag_rule('booked', '/by/0/na~1me', 'by');
-- once more it is the same rule
SELECT events.add_tag_rule('booked', '/room', 'room');
SELECT event_type, pointer, tag_key, complete, fill_after, fill_until >= 0 AS until, skipped, created_by = current_user AS by, created_at <= clock_timestamp() AS at
FROM events.tag_rules ORDER BY pointer COLLATE "C";
-- each kind of value; what the caller gives is shown with it, once
SELECT stream_version FROM events.append_events(array_fill('rooms:1'::text, '{11}'), array_fill('booked'::text, '{11}'), ARRAY[
	'{"room": 12}', '{"room": 7.0}', '{"room": 1e2}', '{"room": "A 1"}', '{"room": true}', '{"room": null}', '{}', '[]', '{"room": []}',
	'{"room": ["x", 1, false, null, "x"], "guests": ["ada"], "by": [{"na/me": "eve"}]}', '{"room": 12, "guests": "ü"}']::jsonb[],
	p_tags => ARRAY['["room:12", "given:1"]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '["a"]', NULL, NULL]::jsonb[]);
SELECT stream_version, tags FROM events.replay_stream('rooms:1');
-- the row has what was given, and the index all of it, each once
SELECT stream_version, tags FROM events.tenant_events WHERE stream_id = 'rooms:1' AND tags <> '{}' ORDER BY 1;
SELECT stream_version, rows FROM t.tag_rows WHERE stream_id = 'rooms:1' ORDER BY 1;
-- every way of reading shows them
SELECT stream_version, tags FROM events.replay_stream_backward('rooms:1', 11, 2);
SELECT tags FROM events.last_event('rooms:1');
SELECT stream_version, tags FROM events.events_by_time('-infinity', 'infinity', 'booked') WHERE stream_version >= 10;
SELECT stream_version, tags FROM events.find_events('{"room": 12}', 'booked') ORDER BY 1;
SELECT stream_version, tags FROM events.read_all(p_tags => '{room:12}');
SELECT stream_version, tags FROM events.read_all(p_tags => '{room:x,guest:ada}');
SELECT events.create_subscription('tag_rules', 0, p_tags => '{guest:ü}') >= 0 AS made;
SELECT stream_version, tags FROM events.fetch('tag_rules', 'c');
-- other types, and other tenants, have none
SELECT events.append_event('rooms:2', 'cancelled', '{"room": 12}') IS NOT NULL AS appended;
SELECT tags FROM events.replay_stream('rooms:2');
SET app.tenant_id = 'tag_rules_2';
SELECT events.append_event('rooms:1', 'booked', '{"room": 12}') IS NOT NULL AS appended;
SELECT tags FROM events.replay_stream('rooms:1');
SELECT count(*) FROM events.tag_rules;
SET app.tenant_id = 'tag_rules';
-- wide data, compressed and out of line, and tags that are
SELECT stream_version FROM events.append_events('{rooms:3,rooms:3}', '{booked,booked}', ARRAY[
	jsonb_build_object('room', 'wide', 'text', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 3000) n)), jsonb_build_object('room', 'long', 'text', repeat('x', 100000))],
	p_tags => ARRAY[(SELECT jsonb_agg(repeat('t', 200) || n) FROM generate_series(1, 60) n), NULL]);
SELECT stream_version, cardinality(tags), tags[1] FROM events.replay_stream('rooms:3');
SELECT stream_version FROM events.read_all(p_tags => '{room:wide}');

-- stored events: the rule is not complete, and nobody sees its tags, of new events neither
SELECT count(*) FROM (SELECT events.append_event('people:' || n % 5, CASE WHEN n % 3 = 0 THEN 'left' ELSE 'joined' END, jsonb_build_object('name', 'p' || n % 10)) FROM generate_series(1, 60) n) a;
SELECT events.append_event('people:1', 'joined', '{"name": {"first": "no"}}') IS NOT NULL AND events.append_event('people:1', 'joined', '{"name": ""}') IS NOT NULL AS appended;
SELECT events.add_tag_rule('joined', '/name', 'name'), events.add_tag_rule('left', '/name', 'gone');
SELECT events.append_event('people:9', 'joined', '{"name": "late"}', p_tags => '{name:p1}') IS NOT NULL AS appended;
SELECT tags FROM events.replay_stream('people:9');
SELECT rows FROM t.tag_rows WHERE stream_id = 'people:9';
SELECT count(*) FROM events.read_all(p_tags => '{name:p1}');
SELECT pointer, tag_key, complete, fill_after, fill_until = (SELECT last_value - 1 FROM auren.global_position_seq) AS until FROM events.tag_rules WHERE event_type <> 'booked' ORDER BY 2;
-- a step, and what it leaves
SELECT events.fill_tag_rules(10) > 0 AS more;
SELECT tag_key, complete, fill_after > 0 AND fill_after < fill_until AS on_its_way FROM events.tag_rules WHERE event_type <> 'booked' ORDER BY 1;
SELECT count(*) FROM events.read_all(p_tags => '{name:p2}');
-- a rule that comes while another is filled
SELECT events.add_tag_rule('joined', '/name', 'again');
SELECT steps > 5 AS in_steps, complete FROM t.fill((SELECT 1 + last_value / 8 FROM auren.global_position_seq)::integer);
SELECT tag_key, complete, skipped FROM events.tag_rules WHERE event_type <> 'booked' ORDER BY 1;
SELECT events.fill_tag_rules(100000000);
-- now all have them, and what cannot be a tag is left out
SELECT tags FROM events.replay_stream('people:9');
SELECT stream_id, stream_version, tags FROM events.read_all(p_tags => '{name:p2}');
SELECT count(*) FROM events.read_all(p_tags => '{gone:p3}');
SELECT stream_version, tags FROM events.replay_stream('people:1') WHERE event_data ->> 'name' !~ '^p';
-- each event shows as many as the index has of it
SELECT stream_id, stream_version, tags, rows FROM events.read_all(p_limit => 100000) JOIN t.tag_rows USING (stream_id, stream_version) WHERE cardinality(tags) <> rows;
-- dropped: the tags of its own go from what is shown, what was given stays, and the rows that are left say nothing
SELECT events.drop_tag_rule('joined', '/name', 'name');
SELECT tags FROM events.replay_stream('people:9');
SELECT count(*) FROM events.read_all(p_tags => '{name:p2}');
SELECT stream_id FROM events.read_all(p_tags => '{name:p1}');
SELECT bool_and(rows > cardinality(tags)) AS left_over FROM events.replay_stream('people:2') JOIN t.tag_rows USING (stream_version) WHERE stream_id = 'people:2' AND event_type = 'joined';
-- and declared anew it is filled over them
SELECT events.add_tag_rule('joined', '/name', 'name');
SELECT complete FROM t.fill(100000000);
SELECT count(*) FROM events.read_all(p_tags => '{name:p2}');

-- in one transaction: what it appended before and after, with a savepoint that takes a rule back
BEGIN;
SELECT events.append_event('tx:1', 'tx', '{"k": 1}') IS NOT NULL AS appended;
SAVEPOINT s;
SELECT events.add_tag_rule('tx', '/k', 'undone');
SELECT events.append_event('tx:1', 'tx', '{"k": 2}') IS NOT NULL AS appended;
ROLLBACK TO SAVEPOINT s;
SELECT events.add_tag_rule('tx', '/k', 'k');
SELECT events.append_event('tx:1', 'tx', '{"k": 3}') IS NOT NULL AS appended;
SELECT events.fill_tag_rules(100000000);
SELECT event_data, tags FROM events.replay_stream('tx:1');
COMMIT;
SELECT event_data, tags FROM events.replay_stream('tx:1');
-- a fixed snapshot does not hide a committed rule, nor stored events from it
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) >= 0 AS fixed FROM events.streams;
SELECT events.add_tag_rule('tx', '/k', 'fixed');
SELECT events.fill_tag_rules(100000000);
COMMIT;
SELECT event_data, tags FROM events.replay_stream('tx:1');

-- a month of a version without tags has no partition for them: the fill makes it
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
BEGIN;
SELECT events.add_tag_rule('left', '/name', 'month');
SET LOCAL auren_events.allow_drop = on;
DROP TABLE auren.event_tags_:month;
SELECT events.fill_tag_rules(100000000) >= 0 AS filled;
SELECT complete FROM events.tag_rules WHERE tag_key = 'month';
SELECT stream_id, rows FROM t.tag_rows JOIN events.tenant_events USING (stream_id, stream_version) WHERE event_type = 'left' AND event_data ->> 'name' = 'p3' ORDER BY 1;
SELECT count(*) FROM events.read_all(p_tags => '{month:p3}');
ROLLBACK;

-- a policy on the events hides none from the fill, and readers still see their own alone
CREATE ROLE tag_admin;
CREATE ROLE tag_reader;
SELECT events.grant_access('tag_admin', 'admin'), events.grant_access('tag_reader', 'reader');
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY people_2 ON events.event_store TO tag_admin, tag_reader USING (stream_id = 'people:2');
SET ROLE tag_admin;
SELECT events.add_tag_rule('left', '/name', 'policy');
SELECT complete FROM t.fill(100000000);
SET ROLE tag_reader;
SELECT stream_id, tags FROM events.read_all(p_tags => '{policy:p2}');
SELECT count(*) FROM events.read_all(p_tags => '{policy:p1}');
RESET ROLE;
DROP POLICY people_2 ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SELECT count(*) FROM events.read_all(p_tags => '{policy:p1}');
DROP OWNED BY tag_admin, tag_reader;
DROP ROLE tag_admin, tag_reader;

-- spans are checked when they come in
SELECT events.add_span_rule('booked', '/from', '/to');
SELECT events.add_span_rule('booked', '/from', '/to');
TABLE events.span_rules;
SELECT stream_version FROM events.append_events(array_fill('spans:1'::text, '{6}'), array_fill('booked'::text, '{6}'), ARRAY[
	'{"from": "2026-12-01 10:00", "to": "2026-12-01T11:00:00Z"}', '{"from": 1764583200, "to": "2026-12-01"}', '{"from": "2026-12-01"}', '{"to": "2026-12-01", "from": null}', '{}', '"no object"']::jsonb[]);
SELECT t.try(format('SELECT events.append_event(%L, %L, %L)', 'spans:1', 'booked', d)) FROM (VALUES
	('{"from": "soon"}'), ('{"from": "2026-12-01", "to": true}'), ('{"from": "2026-12-01", "to": {}}'),
	('{"from": "2026-12-01 10:00", "to": "2026-12-01 10:00Z"}'), ('{"from": "2026-12-02", "to": "2026-12-01"}')) v(d);
SELECT t.try($$SELECT events.add_span_rule('booked', '/from', '/until')$$);
SELECT events.drop_span_rule('booked');
SELECT events.append_event('spans:1', 'booked', '{"from": "soon"}') IS NOT NULL AS appended;
-- a stored event of which no tag can be made gets its first result when it is given again; a new one is refused
SELECT events.append_event('retry:1', 'retried', '{"k": {}, "from": "?"}', p_event_id => '7a600000-0000-4000-8000-000000000001');
SELECT events.add_tag_rule('retried', '/k', 'k'), events.add_span_rule('retried', '/from', '/to');
SELECT complete FROM t.fill(100000000);
SELECT skipped FROM events.tag_rules WHERE event_type = 'retried';
SELECT events.append_event('retry:1', 'retried', '{"k": {}, "from": "?"}', p_event_id => '7a600000-0000-4000-8000-000000000001');
SELECT stream_version FROM events.append_events('{retry:1,retry:1}', '{retried,retried}', ARRAY['{"k": {}, "from": "?"}', '{"k": 1}']::jsonb[],
	p_event_ids => '{7a600000-0000-4000-8000-000000000001,7a600000-0000-4000-8000-000000000002}');
SELECT t.state($$SELECT events.append_event('retry:1', 'retried', '{"k": {}}', p_event_id => '7a600000-0000-4000-8000-000000000003')$$),
       t.state($$SELECT events.append_event('retry:1', 'retried', '{"from": "?"}', p_event_id => '7a600000-0000-4000-8000-000000000003')$$);
SELECT stream_version, tags FROM events.replay_stream('retry:1');
RESET app.tenant_id;
DROP VIEW t.tag_rows;
DROP FUNCTION t.fill;
