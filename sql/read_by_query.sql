-- events.read_by_query: every shape of query, order, limits, tenants, policies, months.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
GRANT SELECT ON start TO PUBLIC;
SELECT count(*) FROM events.append_events(
	ARRAY['hotel:1', 'hotel:2', 'hotel:1', 'hotel:3', 'hotel:2', 'hotel:1'], ARRAY['booked', 'booked', 'left', 'booked', 'left', 'painted'],
	ARRAY['1', '2', '3', '4', '5', '6']::jsonb[],
	p_tags := ARRAY['["room:1", "guest:ada"]', '["room:2", "guest:ada"]', '["room:1"]', '["room:1", "guest:bob", "guest:ada"]', '["room:2"]', NULL]::jsonb[]);
-- what a query finds, by the events' data
CREATE FUNCTION pg_temp.found(p_query jsonb, p_limit integer DEFAULT 1000, p_backwards boolean DEFAULT false, p_after bigint DEFAULT 0, p_up_to bigint DEFAULT NULL)
RETURNS jsonb[] LANGUAGE sql AS $$
	SELECT array_agg(event_data) FROM start, events.read_by_query(p_query, p + p_after, p + p_up_to, p_limit, p_backwards)
$$;
SELECT q AS query, pg_temp.found(q) AS found, pg_temp.found(q, p_backwards := true) AS backwards FROM (VALUES
	('{}'::jsonb), ('[{}]'),
	('{"tags": ["room:1"]}'), ('{"tags": ["room:1", "guest:ada"]}'), ('{"tags": ["guest:ada", "room:1"]}'), ('{"tags": ["guest:ada", "guest:bob", "room:1"]}'),
	('{"tags": ["room:1", "room:2"]}'), ('{"tags": ["nobody"]}'), ('{"tags": ["guest:ada", "nobody"]}'),
	('{"types": ["booked"]}'), ('{"types": ["left", "painted", "nothing"]}'), ('{"types": ["booked"], "tags": ["room:1"]}'),
	('{"stream": "hotel:1"}'), ('{"stream": "hotel:9"}'), ('{"stream": "hotel:1", "types": ["left"]}'), ('{"stream": "hotel:3", "tags": ["room:1"]}'),
	('[{"tags": ["room:1"]}, {"tags": ["guest:ada"]}]'), ('[{"tags": ["room:2"]}, {"stream": "hotel:2"}, {"types": ["painted"]}]'),
	('[{"stream": "hotel:1"}, {"stream": "hotel:2"}, {"stream": "hotel:1", "types": ["left"]}]'), ('[{"tags": ["nobody"]}, {"stream": "hotel:3"}]'),
	('[{"types": ["booked"], "tags": ["room:2"]}, {"types": ["left"], "tags": ["room:1"]}]')) v (q);
-- each column is the event's
SELECT count(*), count(*) FILTER (WHERE (r.global_position, r.stream_id, r.stream_version, r.event_type, r.event_data, r.metadata, r.created_at, r.created_by, r.tags)
	IS DISTINCT FROM (e.global_position, e.stream_id, e.stream_version, e.event_type, e.event_data, e.metadata, e.created_at, e.created_by, e.tags)) AS different
FROM start, events.read_by_query('{}', p) r JOIN events.event_store e USING (event_id);
-- pages, ends, and both directions
SELECT pg_temp.found('{"tags": ["guest:ada"]}', 2), pg_temp.found('{"tags": ["guest:ada"]}', 2, true), pg_temp.found('{"tags": ["guest:ada"]}', 0), pg_temp.found('{"tags": ["guest:ada"]}', 0, true);
SELECT a AS after, b AS up_to, pg_temp.found('{"tags": ["room:1"]}', p_after := a, p_up_to := b) AS by_tag, pg_temp.found('{"tags": ["room:1"]}', 1000, true, a, b) AS backwards,
       pg_temp.found('{"stream": "hotel:1"}', p_after := a, p_up_to := b) AS by_stream, pg_temp.found('{"stream": "hotel:1"}', 1000, true, a, b) AS backwards,
       pg_temp.found('{}', p_after := a, p_up_to := b) AS everything
FROM (VALUES (0, 6), (1, 4), (2, 3), (3, 3), (4, 2), (5, 100)) v (a, b);
SELECT count(*) FROM events.read_by_query('{}', 9223372036854775807);
SELECT count(*) = (SELECT count(*) FROM events.event_store WHERE tenant_id = 'default') AS all_of_them FROM events.read_by_query('{}', -9223372036854775808, 9223372036854775807, 1000000);
-- what an append that was undone, and one that has not ended, leave is not found
BEGIN; SELECT events.append_event('hotel:1', 'booked', '7', p_tags := '{room:1}') IS NOT NULL AS appended; ROLLBACK;
BEGIN;
SELECT events.append_event('hotel:1', 'booked', '8', p_tags := '{room:1}') IS NOT NULL AS appended;
SELECT pg_temp.found('{"tags": ["room:1"]}');
COMMIT;
SELECT pg_temp.found('{"tags": ["room:1"]}'), pg_temp.found('{"stream": "hotel:1"}', 1, true);
-- another tenant has its own
SET app.tenant_id = 'query_tenant';
SELECT events.append_event('hotel:1', 'booked', '9', p_tags := '{room:1}') IS NOT NULL AS appended;
SELECT pg_temp.found('{"tags": ["room:1"]}'), pg_temp.found('{"stream": "hotel:1"}'), pg_temp.found('{"types": ["booked"]}'), pg_temp.found('{}');
RESET app.tenant_id;
SELECT pg_temp.found('{"tags": ["room:1"]}'), pg_temp.found('{"types": ["booked"]}');
-- it streams in FROM, in the order that its argument says
EXPLAIN (COSTS OFF) SELECT global_position FROM events.read_by_query('{"tags": ["room:1"]}') ORDER BY global_position LIMIT 1;
EXPLAIN (COSTS OFF) SELECT global_position FROM events.read_by_query('{"tags": ["room:1"]}', p_backwards := true) ORDER BY global_position DESC LIMIT 1;
EXPLAIN (COSTS OFF) SELECT global_position FROM events.read_by_query('{"tags": ["room:1"]}', p_backwards := true) ORDER BY global_position;
EXPLAIN (COSTS OFF) SELECT r.global_position FROM (VALUES (true), (false)) v (b), events.read_by_query('{}', p_backwards := b) r ORDER BY r.global_position;
SELECT b, array_agg(event_data) FROM (VALUES (true), (false)) v (b), start, events.read_by_query('{"tags": ["room:1"]}', p, NULL, 2, b) GROUP BY b ORDER BY b;
SELECT (events.read_by_query('{"tags": ["guest:bob"]}', p)).stream_id FROM start;
SELECT * FROM ROWS FROM (events.read_by_query('{"tags": ["nobody"]}')) WITH ORDINALITY;
-- what is refused
SELECT q AS query, e.* FROM (VALUES ('NULL'), ('''[]'''), ('''7'''), ('''{"tag": ["a"]}'''), ('''{"tags": []}'''), ('''{"stream": "s", "version": 3}'''), ('''[{}, {"during": ["a", null]}]''')) v (q),
	t.error_of(format('SELECT * FROM events.read_by_query(%s)', q)) e;
SELECT e.* FROM (VALUES ('NULL'), ('0, NULL, NULL'), ('0, NULL, -1'), ('0, NULL, 1, NULL')) v (a), t.error_of(format('SELECT * FROM events.read_by_query(''{}'', %s)', a)) e;
-- policies: the caller sees what they let through
CREATE ROLE query_reader;
SELECT events.grant_access('query_reader', 'reader');
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_left ON events.event_store FOR SELECT TO query_reader USING (event_type <> 'left');
SET ROLE query_reader;
SELECT q AS query, pg_temp.found(q) AS found, pg_temp.found(q, 2, true) AS backwards FROM (VALUES ('{"tags": ["room:1"]}'::jsonb), ('{"stream": "hotel:2"}'), ('[{"types": ["left", "painted"]}]'), ('{}')) v (q);
RESET ROLE;
DROP POLICY not_left ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
-- a month without its index on positions is read by the executor
BEGIN;
SELECT to_char(now(), 'YYYY_MM') AS month \gset
DROP INDEX events.idx_event_store_position_:month;
SELECT q AS query, pg_temp.found(q) AS found, pg_temp.found(q, 2, true) AS backwards FROM (VALUES ('{"tags": ["room:1"]}'::jsonb), ('{"stream": "hotel:2"}'), ('[{"types": ["left", "painted"]}]')) v (q);
ROLLBACK;
-- where the index says that an event lies is a hint: the table may have been written anew, or the place be another's
BEGIN;
SELECT format('UPDATE auren.event_tags SET event_at = %L WHERE tag_hash = auren.tag_hash(''default'', ''room:1'')', at) AS change FROM (VALUES ('(0,0)'), ('(4000000,1)'), ('(0,1)')) v (at) \gexec
SELECT pg_temp.found('{"tags": ["room:1"]}');
ROLLBACK;
-- a row of the index that no event stands for is passed by
BEGIN;
INSERT INTO auren.event_tags SELECT auren.tag_hash('default', 'room:1'), p + 6, '(0,1)', date_trunc('month', now()) FROM start;
INSERT INTO auren.event_tags SELECT auren.tag_hash('default', 'room:1'), p + 1000, '(0,1)', date_trunc('month', now()) FROM start;
SELECT pg_temp.found('{"tags": ["room:1"]}'), pg_temp.found('{"tags": ["room:1"]}', 1, true);
ROLLBACK;
-- random events beside what a look at every one of them finds, with garbage of appends that were undone in between
SELECT setseed(0.5);
SELECT setval('auren.global_position_seq', (SELECT max(global_position) FROM events.event_store) + 200) IS NOT NULL AS a_gap;
DO $$
BEGIN
	FOR n IN 1 .. 200 LOOP
		BEGIN
			PERFORM events.append_event('rnd:' || floor(random() * 5), 't' || floor(random() * 4), to_jsonb(n),
				p_tags := ARRAY(SELECT DISTINCT 'tag:' || floor(random() * 6) FROM generate_series(1, 1 + floor(random() * 4)::integer)));
			IF random() < 0.2 THEN
				RAISE EXCEPTION 'undone';
			END IF;
		EXCEPTION WHEN raise_exception THEN
		END;
	END LOOP;
END $$;
CREATE TEMP TABLE all_of_them AS SELECT e.* FROM start, events.event_store e WHERE tenant_id = 'default' AND global_position > p + 100;
CREATE FUNCTION pg_temp.brute(p_query jsonb) RETURNS jsonb[] LANGUAGE sql AS $$
	SELECT array_agg(event_data ORDER BY global_position) FROM all_of_them e WHERE EXISTS (
		SELECT FROM jsonb_array_elements(p_query) i
		WHERE (NOT i ? 'types' OR i -> 'types' ? e.event_type) AND (NOT i ? 'stream' OR i ->> 'stream' = e.stream_id)
		  AND (NOT i ? 'tags' OR NOT EXISTS (SELECT FROM jsonb_array_elements_text(i -> 'tags') t WHERE t <> ALL (e.tags))))
$$;
CREATE FUNCTION pg_temp.random_query() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_agg(CASE floor(random() * 5)
		WHEN 0 THEN jsonb_build_object('tags', jsonb_build_array('tag:' || floor(random() * 6)))
		WHEN 1 THEN jsonb_build_object('tags', (SELECT jsonb_agg(DISTINCT 'tag:' || floor(random() * 6)) FROM generate_series(1, 3)))
		WHEN 2 THEN jsonb_build_object('stream', 'rnd:' || floor(random() * 6), 'types', jsonb_build_array('t' || floor(random() * 4)))
		WHEN 3 THEN jsonb_build_object('stream', 'rnd:' || floor(random() * 6))
		ELSE jsonb_build_object('types', jsonb_build_array('t' || floor(random() * 5)), 'tags', jsonb_build_array('tag:' || floor(random() * 6))) END)
	FROM generate_series(1, 1 + floor(random() * 3)::integer)
$$;
DO $$
DECLARE
	v_query jsonb;
	v_found jsonb[];
	v_some integer := 0;
BEGIN
	FOR n IN 1 .. 300 LOOP
		v_query := pg_temp.random_query();
		v_found := pg_temp.found(v_query, p_after := 100);
		IF v_found IS DISTINCT FROM pg_temp.brute(v_query) THEN
			RAISE EXCEPTION '% finds %, not %', v_query, v_found, pg_temp.brute(v_query);
		END IF;
		IF ARRAY(SELECT d FROM unnest(v_found) WITH ORDINALITY u (d, o) ORDER BY o DESC) IS DISTINCT FROM coalesce(pg_temp.found(v_query, p_backwards := true, p_after := 100), '{}') THEN
			RAISE EXCEPTION '% finds other events backwards', v_query;
		END IF;
		v_some := v_some + (v_found IS NOT NULL)::integer;
	END LOOP;
	ASSERT v_some > 200, 'few queries found something';
END $$;
DROP OWNED BY query_reader;
DROP ROLE query_reader;
