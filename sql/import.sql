-- Events of another store, with their own times, ids and creators: events.import_events.
SET client_min_messages = warning;
SET app.tenant_id = 'importing';
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
-- An id for each number.
CREATE FUNCTION t.import_id(p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('1a000000-0000-4000-8000-' || lpad(to_hex(p_number), 12, '0'))::uuid $$;
-- A batch of one stream from lists; ids count on from p_first.
CREATE FUNCTION t.import(p_stream text, p_first integer, VARIADIC p_times timestamptz[]) RETURNS TABLE (v bigint, place bigint) LANGUAGE sql AS $$
	SELECT stream_version, global_position - min(global_position) OVER ()
	FROM events.import_events(array_fill(p_stream, ARRAY[cardinality(p_times)]), array_fill('happened'::text, ARRAY[cardinality(p_times)]),
		array_fill('1'::jsonb, ARRAY[cardinality(p_times)]), ARRAY(SELECT t.import_id(p_first + n - 1) FROM generate_series(1, cardinality(p_times)) n), p_times)
$$;
CREATE FUNCTION t.stored(p_stream text) RETURNS TABLE (v bigint, type text, data jsonb, at text, by text, metadata jsonb, tags text[], id uuid) LANGUAGE sql AS $$
	SELECT stream_version, event_type, event_data, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), created_by, metadata, tags, event_id
	FROM events.replay_stream(p_stream)
$$;
CREATE FUNCTION t.stream_row(p_stream text) RETURNS TABLE (first_month date, last_month date, imported_version bigint) LANGUAGE sql AS $$
	SELECT first_month, last_month, imported_version FROM auren.stream_rows WHERE tenant_id = current_setting('app.tenant_id') AND stream_id = p_stream
$$;

-- What went in comes out, in the order given, whatever the months.
SELECT stream_id, stream_version, event_id, global_position - min(global_position) OVER () AS place
FROM events.import_events(ARRAY['import:b', 'import:a', 'import:b', 'import:a'], ARRAY['one', 'two', 'three', 'four'], ARRAY['1', '{"n": 0.10}', '3', '4']::jsonb[],
	ARRAY[t.import_id(1), t.import_id(2), t.import_id(3), t.import_id(4)],
	ARRAY['2019-12-31 23:59:59.999999+00', '2018-05-01 12:00+02', '2020-01-01 00:00+00', '2018-05-01 12:00+02']::timestamptz[],
	ARRAY['ada', 'bob', '', 'ada'], ARRAY['{"m": 1}', '{}', '{}', '{"m": 4}']::jsonb[], ARRAY['["b:1", "a:1"]', NULL, '[]', '["a:1"]']::jsonb[]) WITH ORDINALITY ORDER BY ordinality;
SELECT * FROM t.stored('import:a');
SELECT * FROM t.stored('import:b');
SELECT * FROM t.stream_row('import:a');
SELECT * FROM t.stream_row('import:b');
SELECT tableoid::regclass::text AS month, stream_id, stream_version FROM events.event_store WHERE tenant_id = 'importing' ORDER BY 1, 2, 3;
-- They are found as all events are.
SELECT stream_id, stream_version FROM events.read_all(p_tags := '{a:1}');
SELECT stream_id, stream_version FROM events.read_by_query('{"tags": ["a:1"]}');
SELECT stream_id, stream_version FROM events.events_by_time('2018-01-01', '2018-12-31') ORDER BY 1, 2;
SELECT events.get_stream_state('import:a');
SELECT stream_id, event_type FROM events.read_all() ORDER BY global_position;
-- Creator and metadata left out
SELECT * FROM t.import('import:c', 5, '2020-02-01');
SELECT * FROM t.stored('import:c');

-- Given again: the first result, and nothing is written.
SELECT stream_id, stream_version, event_id
FROM events.import_events(ARRAY['import:b', 'import:a'], ARRAY['one', 'four'], ARRAY['1', '4']::jsonb[], ARRAY[t.import_id(1), t.import_id(4)],
	ARRAY['2019-12-31 23:59:59.999999+00', '2018-05-01 10:00+00']::timestamptz[], ARRAY['ada', 'ada'], ARRAY['{"m": 1}', '{"m": 4}']::jsonb[], ARRAY['["a:1", "b:1"]', '["a:1"]']::jsonb[]);
SELECT count(*) FROM events.event_store WHERE tenant_id = 'importing';
-- twice in one batch
SELECT stream_version, event_id FROM events.import_events('{import:d,import:d,import:d}', '{x,y,x}', '{1,2,1}', ARRAY[t.import_id(10), t.import_id(11), t.import_id(10)], '{2020-01-02,2020-01-03,2020-01-02}');
SELECT * FROM t.stream_row('import:d');
-- A part that is there and a part that is new: a batch that was given up is given again.
SELECT * FROM t.import('import:d2', 20, '2020-01-01', '2020-01-02');
SELECT * FROM t.import('import:d2', 20, '2020-01-01', '2020-01-02', '2020-03-03', '2020-04-04');
SELECT * FROM t.stream_row('import:d2');
-- The same id is another event: by its time, its creator, its data.
SELECT t.state($$SELECT t.import('import:d2', 20, '2020-01-01 00:00:01')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:d2}', '{happened}', '{1}', ARRAY[t.import_id(20)], '{2020-01-01}', '{another}')$$);
SELECT t.state($$SELECT events.import_events('{import:d2}', '{happened}', '{2}', ARRAY[t.import_id(20)], '{2020-01-01}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:d3,import:d3}', '{x,x}', '{1,1}', ARRAY[t.import_id(30), t.import_id(30)], '{2020-01-02,2020-01-03}')$$);
-- Another tenant has ids of its own.
SET app.tenant_id = 'importing too';
SELECT * FROM t.import('import:d2', 20, '2020-01-01 00:00:01');
SET app.tenant_id = 'importing';
-- An import's id is known to appends, and an append's id to imports.
SELECT events.append_event('import:d2', 'happened', '1', p_event_id := t.import_id(20)) = t.import_id(20) AS known;
SELECT t.state($$SELECT events.append_event('import:d2', 'happened', '2', p_event_id := t.import_id(20))$$);
SELECT events.append_event('import:live', 'happened', '1', p_event_id := t.import_id(25)) = t.import_id(25) AS appended;
SELECT t.state($$SELECT events.append_event('import:d2', 'happened', '1', p_event_id := t.import_id(25))$$);

-- Times do not decrease within a stream, and none is to come.
SELECT * FROM t.try($$SELECT t.import('import:e', 40, '2020-01-02', '2020-01-03', '2020-01-01')$$);
SELECT events.stream_exists('import:e');
SELECT * FROM t.import('import:e', 40, '2020-01-02', '2020-01-02');
SELECT * FROM t.try($$SELECT t.import('import:e', 42, '2020-01-01 23:59:59')$$);
SELECT * FROM t.import('import:e', 42, '2020-01-02');
SELECT * FROM t.try($$SELECT t.import('import:f', 50, '2020-01-02', now() + interval '1 hour')$$);
SELECT t.state($$SELECT t.import('import:f', 50, 'infinity')$$), t.state($$SELECT t.import('import:f', 50, '-infinity')$$);
SELECT * FROM t.try($$SELECT t.import('import:f', 50, '0001-12-31 BC')$$);
SELECT count(*) FROM t.import('import:now', 55, now());
-- A batch over many months is refused before any of them is made.
SELECT * FROM t.try($$SELECT t.import('import:f', 500, VARIADIC ARRAY(SELECT generate_series('1701-01-15 00:00+00'::timestamptz, '1711-01-15 00:00+00', '1 month')))$$);
SELECT to_regclass('events.event_store_1701_01');

-- A stream takes imports before its first event that was not imported.
SELECT * FROM t.import('import:g', 60, '2020-01-02', '2020-01-03');
SELECT events.append_event('import:g', 'live', '2') IS NOT NULL AS appended;
SELECT * FROM t.try($$SELECT t.import('import:g', 62, '2020-01-04')$$);
SELECT * FROM t.import('import:g', 60, '2020-01-02', '2020-01-03');
SELECT * FROM t.try($$SELECT t.import('import:live', 62, now())$$);
SELECT events.stream_version('import:g');
-- One that is closed takes none.
SELECT events.close_stream('import:e', 'moved in');
SELECT t.state($$SELECT t.import('import:e', 43, '2020-01-02')$$);
SELECT events.reopen_stream('import:e');
SELECT * FROM t.import('import:e', 43, '2020-01-02');

-- Expected versions, conditions and closed streams hold for what is appended behind.
SELECT t.state($$SELECT events.append_event('import:b', 'live', '1', p_expected_version := 1)$$), t.state($$SELECT events.append_event('import:b', 'live', '1', p_expected_version := 2)$$);
SELECT t.state($$SELECT events.append_if('{"tags": ["b:1"]}', NULL, '{import:h}', '{live}', '{1}')$$);

-- In a transaction: a savepoint takes it back, an append goes behind it.
BEGIN;
SELECT * FROM t.import('import:i', 70, '2020-05-01');
SAVEPOINT one;
SELECT * FROM t.import('import:i', 71, '2020-06-01', '2020-07-01');
SELECT * FROM t.stream_row('import:i');
ROLLBACK TO one;
SELECT * FROM t.import('import:i', 71, '2020-08-01');
SELECT events.append_event('import:i', 'live', '3') IS NOT NULL AS appended;
SELECT t.state($$SELECT t.import('import:i', 72, '2020-08-01')$$);
COMMIT;
SELECT * FROM t.stream_row('import:i') WHERE last_month > '2026-01-01';
SELECT v, at FROM t.stored('import:i') WHERE v < 3;
BEGIN READ ONLY;
SELECT * FROM t.try($$SELECT t.import('import:j', 80, '2020-01-01')$$);
ROLLBACK;

-- What is no batch
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', NULL, '{2020-01-01}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', '{NULL}', '{2020-01-01}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], NULL)$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], '{NULL}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], '{2020-01-01,2020-01-01}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], '{2020-01-01}', '{NULL}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], '{2020-01-01}', '{a,b}')$$);
SELECT t.state($$SELECT events.import_events('{import:k}', '{x}', '{1}', ARRAY[t.import_id(90)], '{2020-01-01}', ARRAY[repeat('x', 256)])$$);
SELECT t.state($$SELECT events.import_events('{" k"}', '{x}', '{1}', ARRAY[t.import_id(90)], '{2020-01-01}')$$);
SELECT count(*) FROM events.import_events('{}', '{}', '{}', '{}', '{}');

-- 20,000 events in a call, over seven streams and two years, in the order given.
CREATE TEMP TABLE big AS
	SELECT * FROM events.import_events(
		(SELECT array_agg('import:big:' || i % 7 ORDER BY i) FROM generate_series(1, 20000) i),
		(SELECT array_agg('reading'::text) FROM generate_series(1, 20000) i),
		(SELECT array_agg(jsonb_build_object('i', i) ORDER BY i) FROM generate_series(1, 20000) i),
		(SELECT array_agg(t.import_id(100000 + i) ORDER BY i) FROM generate_series(1, 20000) i),
		(SELECT array_agg('2015-01-01 00:00+00'::timestamptz + i * interval '52 minutes' ORDER BY i) FROM generate_series(1, 20000) i)) WITH ORDINALITY;
SELECT count(*), max(stream_version) AS longest, bool_and(stream_id = 'import:big:' || ordinality % 7) AS in_order,
       max(global_position) - min(global_position) + 1 AS positions FROM big;
SELECT bool_and(e.event_data = jsonb_build_object('i', b.ordinality) AND e.created_at = '2015-01-01 00:00+00'::timestamptz + b.ordinality * interval '52 minutes'
                AND e.event_id = t.import_id(100000 + b.ordinality::integer)) AS same, count(DISTINCT e.tableoid) AS months
FROM big b JOIN events.event_store e USING (global_position);
SELECT bool_and((event_data ->> 'i')::int = (stream_version - 1) * 7 + 3) FROM events.replay_stream('import:big:3');
SELECT t.dense();

-- Rules tag what is imported, a trigger of a DBA sees it, metrics count it at its time.
SELECT events.add_tag_rule('import_booked', '/room', 'room') AS stored_already;
SELECT events.import_events('{import:l}', '{import_booked}', '{"{\"room\": 7}"}', ARRAY[t.import_id(95)], '{2020-01-01}') IS NOT NULL AS imported;
SELECT stream_id, tags FROM events.read_by_query('{"tags": ["room:7"]}');
SELECT events.drop_tag_rule('import_booked', '/room', 'room');
CREATE FUNCTION t.saw() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.metadata := NEW.metadata || '{"seen": true}'; RETURN NEW; END $$;
CREATE TRIGGER t_saw BEFORE INSERT ON events.event_store FOR EACH ROW WHEN (NEW.tenant_id = 'importing') EXECUTE FUNCTION t.saw();
SELECT * FROM t.import('import:m', 200, '2020-01-01', '2021-01-01', '2021-01-01');
DROP TRIGGER t_saw ON events.event_store;
SELECT v, at, metadata FROM t.stored('import:m');
SELECT analytics.attach_events('import_sample', '{"v": "v"}') > 1 AS attached;
SELECT events.import_events('{import:n,import:n}', '{import_sample,import_sample}', '{"{\"v\": 3}","{\"v\": 5}"}', ARRAY[t.import_id(210), t.import_id(211)], '{2020-01-01 12:00+00,2020-01-01 13:00+00}') IS NOT NULL AS imported;
SELECT day, metric_type, reading_count, avg_value FROM analytics.user_metrics_daily WHERE user_id = 'n' AND metric_type = 'v';
SELECT analytics.detach_events('import_sample');

-- Bound to a tenant, a role imports into its own.
CREATE ROLE t_importer;
SELECT events.grant_access('t_importer', 'admin');
SELECT events.bind_tenant('t_importer', 'importing');
GRANT USAGE ON SCHEMA t TO t_importer;
SET ROLE t_importer;
SELECT * FROM t.import('import:o', 220, '2020-01-01');
SET app.tenant_id = 'importing too';
SELECT t.state($$SELECT t.import('import:o', 220, '2020-01-01')$$);
RESET ROLE;
SELECT events.revoke_access('t_importer', 'admin');
SELECT events.unbind_tenant('t_importer', 'importing');
REVOKE USAGE ON SCHEMA t FROM t_importer;
DROP ROLE t_importer;
