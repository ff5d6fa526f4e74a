-- The idempotency matrix: what a batch with ids gives that was appended before, for each expected version.
CREATE FUNCTION t.id(p_n integer) RETURNS uuid LANGUAGE sql AS $$ SELECT lpad(p_n::text, 32, '0')::uuid $$;
-- Appends a=1, b=2 to a fresh stream with ids 1 and 2, then runs a case with an expected version and tells what came.
CREATE FUNCTION t.idempotent(p_case text, p_ids integer[], p_types text[], p_data jsonb[], p_stream text DEFAULT NULL)
RETURNS TABLE ("case" text, expected text, result text, stream text) LANGUAGE plpgsql AS $$
DECLARE
	v_expected bigint;
	v_label text;
	v_stream text;
	v_base integer;
	v_positions bigint[];
BEGIN
	FOR v_label, v_expected IN VALUES ('any', NULL), ('0', 0), ('n: 2', 2), ('-1', -1) LOOP
		v_base := (SELECT 1000 + count(*) * 100 FROM auren.supplied_ids);
		v_stream := 'idem:' || v_base;
		SELECT array_agg(global_position ORDER BY stream_version) INTO v_positions FROM events.append_events(ARRAY[v_stream, v_stream], ARRAY['a', 'b'], ARRAY['1', '2']::jsonb[],
			p_event_ids := ARRAY[t.id(v_base + 1), t.id(v_base + 2)]);
		"case" := p_case;
		expected := v_label;
		BEGIN
			SELECT coalesce(string_agg(stream_version || CASE WHEN global_position = ANY (v_positions) THEN ' stored' ELSE ' new' END, ', ' ORDER BY ordinality), 'nothing')
			INTO result
			FROM events.append_events(
				(SELECT array_agg(coalesce(p_stream, v_stream)) FROM unnest(p_ids)), p_types, p_data,
				p_expected_versions := (SELECT array_agg(v_expected) FROM unnest(p_ids)),
				p_event_ids := (SELECT array_agg(t.id(v_base + i) ORDER BY n) FROM unnest(p_ids) WITH ORDINALITY u (i, n))) WITH ORDINALITY;
		EXCEPTION WHEN OTHERS THEN
			result := SQLSTATE;
		END;
		stream := t.show(v_stream);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT * FROM t.idempotent('same ids again', '{1,2}', '{a,b}', '{1,2}');
SELECT * FROM t.idempotent('only the first id again', '{1}', '{a}', '{1}');
SELECT * FROM t.idempotent('extra id after the same', '{1,2,3}', '{a,b,c}', '{1,2,3}');
SELECT * FROM t.idempotent('same ids, other data', '{1,2}', '{a,b}', '{1,7}');
SELECT * FROM t.idempotent('same ids, other type', '{1,2}', '{a,z}', '{1,2}');
SELECT * FROM t.idempotent('other content before a conflict', '{3,2}', '{c,b}', '{3,7}');
SELECT * FROM t.idempotent('out of order', '{2,1}', '{b,a}', '{2,1}');
SELECT * FROM t.idempotent('out of order with a new one', '{2,3,1}', '{b,c,a}', '{2,3,1}');
SELECT * FROM t.idempotent('duplicate id in the batch', '{3,3}', '{c,c}', '{3,3}');
SELECT * FROM t.idempotent('duplicate id, other content', '{3,3}', '{c,c}', '{3,4}');
SELECT * FROM t.idempotent('same id in another stream', '{1}', '{a}', '{1}', 'idem:other');
-- the empty batch is none of these: no stream is named, so nothing is expected of one
SELECT count(*) FROM events.append_events('{}', '{}', '{}', p_expected_versions := '{}', p_event_ids := '{}');
SELECT events.stream_exists('idem:other');

-- one event at a time: the first result, whatever is expected by now
SELECT events.append_event('idem:one', 'a', '{"v": 0.10}', p_event_id := t.id(901));
SELECT expected, t.state(format('SELECT events.append_event(''idem:one'', ''a'', ''{"v": 0.10}'', p_expected_version := %L, p_event_id := t.id(901))', expected))
FROM unnest('{NULL,0,1,-1,7}'::bigint[]) expected;
SELECT events.append_event('idem:one', 'a', '{"v": 0.10}', p_event_id := t.id(901)) = t.id(901) AS same, events.stream_version('idem:one');
SELECT * FROM t.try($$SELECT events.append_event('idem:one', 'a', '{"v": 0.1}', p_event_id := t.id(901))$$);
SELECT t.state($$SELECT events.append_event('idem:one', 'b', '{"v": 0.10}', p_event_id := t.id(901))$$) AS type;
SELECT t.state($$SELECT events.append_event('idem:two', 'a', '{"v": 0.10}', p_event_id := t.id(901))$$) AS stream;
SELECT t.state($$SELECT events.append_event('idem:one', 'a', '{"v": 0.10}', 'other', p_event_id := t.id(901))$$) AS created_by;
SELECT t.state($$SELECT events.append_event('idem:one', 'a', '{"v": 0.10}', p_metadata := '{"m": 1}', p_event_id := t.id(901))$$) AS metadata;
SELECT t.show('idem:one');
SELECT events.stream_exists('idem:two');

-- content that is stored out of line, compressed and not
CREATE TABLE t.documents AS
	SELECT 921 AS k, (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 3000) i) AS d
	UNION ALL SELECT 922, jsonb_build_object('a', repeat('y', 200000), 'n', 0.10)
	ORDER BY k;
SELECT count(events.append_event('idem:big', 'doc', d, p_metadata := d, p_event_id := t.id(k))) FROM t.documents;
SELECT count(events.append_event('idem:big', 'doc', d, p_metadata := d, p_event_id := t.id(k))) FROM t.documents;
SELECT stream_version FROM events.append_events('{idem:big,idem:big}', '{doc,doc}', (SELECT array_agg(d ORDER BY k) FROM t.documents),
	p_metadata := (SELECT array_agg(d ORDER BY k) FROM t.documents), p_event_ids := (SELECT array_agg(t.id(k) ORDER BY k) FROM t.documents));
SELECT k, t.state(format('SELECT events.append_event(''idem:big'', ''doc'', d || ''{"n": 0.1}'', p_metadata := d, p_event_id := t.id(k)) FROM t.documents WHERE k = %s', k)) AS data,
       t.state(format('SELECT events.append_event(''idem:big'', ''doc'', d, p_metadata := d || ''{"n": 0.1}'', p_event_id := t.id(k)) FROM t.documents WHERE k = %s', k)) AS metadata
FROM t.documents ORDER BY k;
SELECT events.stream_version('idem:big');
DROP TABLE t.documents;

-- an id that the store itself had made, sent back
SELECT events.append_event('idem:made', 'a', '1') AS made \gset
SELECT events.append_event('idem:made', 'a', '1', p_event_id := :'made') = :'made' AS same;
SELECT t.state(format('SELECT events.append_event(''idem:made'', ''a'', ''2'', p_event_id := %L)', :'made'));
SELECT t.state(format('SELECT events.append_event(''idem:elsewhere'', ''a'', ''1'', p_event_id := %L)', :'made'));
SELECT array_agg(event_id ORDER BY global_position) AS ids FROM events.append_events('{idem:made,idem:made}', '{b,c}', '{2,3}') \gset
SELECT stream_version FROM events.append_events('{idem:made,idem:made,idem:made}', '{b,c,d}', '{2,3,4}', p_event_ids := (:'ids'::uuid[] || NULL::uuid));
SELECT t.show('idem:made');
-- a UUIDv7 of a caller that the store has never seen is a new id
SELECT events.append_event('idem:made', 'e', '5', p_event_id := '01900000-0000-7000-8000-000000000001');
SELECT events.append_event('idem:made', 'e', '5', p_event_id := '01900000-0000-7000-8000-000000000001');
SELECT events.stream_version('idem:made');

-- a month later: the event lies in the last month's partition, as it will when the month has changed
SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 month', 'YYYY_MM') AS past,
       date_trunc('month', now() AT TIME ZONE 'UTC' - interval '1 month')::date AS past_day,
       date_trunc('month', now() AT TIME ZONE 'UTC')::date AS this_day \gset
SET client_min_messages = warning;
CREATE TABLE events.event_store_:past (LIKE events.event_store INCLUDING DEFAULTS);
CREATE UNIQUE INDEX idx_event_store_stream_:past ON events.event_store_:past (tenant_id, stream_id, stream_version);
CREATE UNIQUE INDEX idx_event_store_event_id_:past ON events.event_store_:past (event_id, tenant_id);
CREATE UNIQUE INDEX idx_event_store_position_:past ON events.event_store_:past (global_position);
SET timezone = 'UTC';
ALTER TABLE events.event_store ATTACH PARTITION events.event_store_:past FOR VALUES FROM (:'past_day') TO (:'this_day');
INSERT INTO events.event_store VALUES
	(t.id(911), 'idem:old', 1, 'a', '1', '{}', :'past_day'::timestamptz + interval '3 days', 'system', 'default', nextval('auren.global_position_seq')),
	('01900000-0000-7000-8000-000000000002', 'idem:old', 2, 'b', '2', '{}', :'past_day'::timestamptz + interval '4 days', 'system', 'default', nextval('auren.global_position_seq'));
INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) VALUES ('default', 'idem:old', :'past_day', :'past_day');
INSERT INTO auren.supplied_ids SELECT 'default', event_id, :'past_day', global_position FROM events.event_store WHERE stream_id = 'idem:old';
SELECT events.append_event('idem:old', 'a', '1', p_event_id := t.id(911)) = t.id(911) AS same;
SELECT t.state($$SELECT events.append_event('idem:old', 'a', '2', p_event_id := t.id(911))$$);
SELECT stream_version FROM events.append_events('{idem:old,idem:old}', '{a,c}', '{1,3}', p_event_ids := ARRAY[t.id(911), t.id(912)], p_expected_versions := '{2,2}');
SELECT t.show('idem:old'), first_month = :'past_day' AS began, last_month = :'this_day' AS moved FROM auren.stream_rows WHERE stream_id = 'idem:old';
SELECT stream_version, event_type FROM events.replay_stream_backward('idem:old');
SELECT events.get_stream_state('idem:old'), events.get_stream_state('idem:old', 1), events.stream_version('idem:old');
-- the month dropped: its id is known, its content is not
BEGIN;
DROP TABLE events.event_store_:past;
SELECT * FROM t.try($$SELECT events.append_event('idem:old', 'a', '1', p_event_id := t.id(911))$$);
SELECT t.show('idem:old'), events.append_event('idem:old', 'd', '4') IS NOT NULL AS goes_on, events.stream_version('idem:old');
ROLLBACK;
RESET timezone;
SELECT t.dense();
