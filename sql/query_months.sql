-- Queries and conditions over sixty months: every reader sees them as one, in order of position, and holds no lock of those that it has read.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE FUNCTION pg_temp.tag_month(p_back integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_suffix text := to_char(t.month(p_back), 'YYYY_MM');
BEGIN
	EXECUTE format('CREATE TABLE auren.event_tags_%s PARTITION OF auren.event_tags FOR VALUES IN (%L)', v_suffix, t.month(p_back));
	EXECUTE format('CREATE UNIQUE INDEX idx_event_tags_%s ON auren.event_tags_%1$s (tag_hash, global_position) INCLUDE (event_at)', v_suffix);
END $$;
CREATE FUNCTION pg_temp.past(p_back integer, p_stream text, p_version bigint, p_tags text[]) RETURNS void LANGUAGE sql AS $$
	WITH event AS (
		INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, global_position, tags)
		VALUES (gen_random_uuid(), p_stream, p_version, 'past', to_jsonb(p_back), t.month(p_back) + interval '1 hour', nextval('auren.global_position_seq'), p_tags)
		RETURNING tenant_id, global_position, stream_id, tags),
	stream AS (INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) SELECT tenant_id, stream_id, t.month(p_back), t.month(p_back) FROM event
		ON CONFLICT DO NOTHING)
	INSERT INTO auren.event_tags SELECT auren.tag_hash(tenant_id, tag), global_position, '(0,1)', t.month(p_back) FROM event, unnest(tags) tag
$$;
CREATE FUNCTION pg_temp.open_relations() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(DISTINCT l.relation) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
	WHERE l.pid = pg_backend_pid() AND c.relname ~ '(event_store|event_tags)_.*\d\d\d\d_\d\d$'
$$;
SELECT count(t.make_month(n)), count(pg_temp.tag_month(n)) FROM generate_series(2, 60) n WHERE to_regclass('events.event_store_' || to_char(t.month(n), 'YYYY_MM')) IS NULL;
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
-- one event in each month, and another one of the month before it between two of a month's
SELECT count(pg_temp.past(n, 'past:' || n, 1, ARRAY['all', 'month:' || n])), count(pg_temp.past(n + 1, 'past:x' || n, 1, ARRAY['all', 'odd:' || n % 2])) FROM (SELECT n FROM generate_series(59, 2, -1) n ORDER BY n DESC) x;
SELECT events.append_event('past:now', 'now', '0', p_tags := '{all}') IS NOT NULL AS appended;
-- what the session keeps of each month is read first
SELECT count(*) FROM start, events.read_by_query('{}', p);
BEGIN;
SELECT q AS query, count(*), bool_and(position > before) AS in_order, min(month) AS latest, max(month) AS first FROM (
	SELECT q, r.global_position AS position, lag(r.global_position) OVER (PARTITION BY q ORDER BY o) AS before, (r.event_data)::integer AS month
	FROM (VALUES ('{"tags": ["all"]}'), ('{"tags": ["odd:1"]}'), ('{"tags": ["all", "odd:1"]}'), ('[{"tags": ["odd:1"]}, {"tags": ["odd:0"]}]'), ('{"types": ["past"]}')) v (q), start,
	     events.read_by_query(q::jsonb, p) WITH ORDINALITY AS r (event_id, global_position, s, v, t, event_data, m, at, by, tags, o)) x
GROUP BY q ORDER BY q;
SELECT q AS query, count(*), bool_and(position < before) AS in_order FROM (
	SELECT q, r.global_position AS position, lag(r.global_position) OVER (PARTITION BY q ORDER BY o) AS before
	FROM (VALUES ('{"tags": ["all"]}'), ('{"tags": ["odd:1"]}'), ('{"types": ["past"]}')) v (q), start,
	     events.read_by_query(q::jsonb, p, p_backwards := true) WITH ORDINALITY AS r (event_id, global_position, s, v, t, event_data, m, at, by, tags, o)) x
GROUP BY q ORDER BY q;
SELECT pg_temp.open_relations() AS locks_left;
SELECT array_agg(event_data) FROM (SELECT event_data FROM start, events.read_by_query('{"tags": ["all"]}', p) LIMIT 5) r;
SELECT array_agg(event_data) FROM (SELECT event_data FROM start, events.read_by_query('{"tags": ["all"]}', p, p_limit := 5, p_backwards := true)) r;
SELECT array_agg(event_data) FROM start, events.read_by_query('[{"tags": ["month:40"]}, {"stream": "past:20"}, {"stream": "past:now"}]', p);
SELECT pg_temp.open_relations() AS locks_left;
COMMIT;
-- a cursor holds what it is reading, and little else
BEGIN;
DECLARE reading CURSOR FOR SELECT event_data FROM start, events.read_by_query('{"tags": ["all"]}', p);
MOVE FORWARD 50 IN reading;
SELECT pg_temp.open_relations() <= 12 AS few;
COMMIT;
-- a month that loses what it is read by before its turn has come is not left out
SELECT to_char(t.month(2), 'YYYY_MM') AS month \gset
BEGIN;
DECLARE reading CURSOR FOR SELECT event_data FROM start, events.read_by_query('{"tags": ["all"]}', p);
MOVE FORWARD 50 IN reading;
DROP INDEX events.idx_event_store_position_:month;
SELECT t.state('MOVE FORWARD ALL IN reading');
ROLLBACK;
-- a condition looks at the months that have events after its position: that of now
SELECT events.feed_horizon() AS h \gset
SELECT t.state('SELECT * FROM events.append_if(''{"tags": ["month:40"]}'', NULL, ''{past:y}'', ''{e}'', ''{1}'')'),
       t.state('SELECT * FROM events.append_if(''{"stream": "past:20"}'', NULL, ''{past:y}'', ''{e}'', ''{1}'')'),
       t.state('SELECT * FROM events.append_if(''{"types": ["past"]}'', NULL, ''{past:y}'', ''{e}'', ''{1}'')');
BEGIN;
SELECT stream_version FROM events.append_if('{"tags": ["all"]}', :h, '{past:y}', '{e}', '{1}', p_tags := '{"[\"all\"]"}');
SELECT count(DISTINCT c.relname) AS months FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '^event_(store|tags)_';
ROLLBACK;
-- an old month that gets an event after the position is looked at again, though the session has remembered that there is none
SELECT count(pg_temp.past(33, 'past:late', 1, '{all}'));
SELECT e.code, e.detail LIKE 'Event % (stream "past:late", type "past") matches.%' AS named FROM t.error_of(format('SELECT * FROM events.append_if(''{"tags": ["all"]}'', %s, ''{past:y}'', ''{e}'', ''{1}'')', :h)) e;
-- so is one whose index on positions was made anew
SELECT stream_version FROM events.append_if('{"tags": ["month:33"]}', :h, '{past:y}', '{e}', '{1}');
SELECT format('REINDEX INDEX events.idx_event_store_position_%s', to_char(t.month(33), 'YYYY_MM')) \gexec
SELECT events.feed_horizon() AS h \gset
SELECT count(pg_temp.past(33, 'past:late', 2, '{month:33}'));
SELECT t.state(format('SELECT * FROM events.append_if(''{"tags": ["month:33"]}'', %s, ''{past:y}'', ''{e}'', ''{1}'')', :h));
DO $$
BEGIN
	FOR n IN 2 .. 60 LOOP
		EXECUTE 'DROP TABLE IF EXISTS events.event_store_' || to_char(t.month(n), 'YYYY_MM') || ', auren.event_tags_' || to_char(t.month(n), 'YYYY_MM');
	END LOOP;
END $$;
DELETE FROM auren.stream_rows WHERE stream_id LIKE 'past:%' AND stream_id <> 'past:now' AND stream_id <> 'past:y';
SELECT t.dense();
