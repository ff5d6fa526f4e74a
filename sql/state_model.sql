-- Random streams against a plain model in PL/pgSQL that shares nothing with the fold: every stream, at every version, before and
-- after snapshots.
SET client_min_messages = warning;
CREATE SCHEMA model;
CREATE FUNCTION model.merge(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE k text; v jsonb;
BEGIN
	IF jsonb_typeof(patch) <> 'object' THEN RETURN patch; END IF;
	IF target IS NULL OR jsonb_typeof(target) <> 'object' THEN target := '{}'; END IF;
	FOR k, v IN SELECT * FROM jsonb_each(patch) LOOP
		IF v = 'null' THEN target := target - k;
		ELSE target := target || jsonb_build_object(k, model.merge(target -> k, v)); END IF;
	END LOOP;
	RETURN target;
END $$;
-- The operations that the streams below use, on top-level members: NULL when one fails.
CREATE FUNCTION model.patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE op jsonb; key text;
BEGIN
	IF target IS NULL THEN target := '{}'; END IF;
	FOR op IN SELECT * FROM jsonb_array_elements(patch) LOOP
		key := substr(op ->> 'path', 2);
		IF jsonb_typeof(target) <> 'object' THEN RETURN NULL; END IF;
		IF op ->> 'op' = 'add' THEN target := target || jsonb_build_object(key, op -> 'value');
		ELSIF NOT target ? key THEN RETURN NULL;
		ELSIF op ->> 'op' = 'remove' THEN target := target - key;
		ELSIF op ->> 'op' = 'replace' THEN target := target || jsonb_build_object(key, op -> 'value');
		ELSIF target -> key <> op -> 'value' THEN RETURN NULL; END IF;
	END LOOP;
	RETURN target;
END $$;
CREATE FUNCTION model.add_up(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN jsonb_typeof($1) = 'object' THEN jsonb_set($1, '{calls}', to_jsonb(coalesce(($1 ->> 'calls')::int, 0) + 1)) ELSE $1 END;
CREATE FUNCTION model.object_of(v jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT CASE WHEN jsonb_typeof(v) = 'object' THEN v ELSE '{}' END $$;
-- The state of a stream after each event.
CREATE FUNCTION model.states(stream text) RETURNS TABLE (version bigint, state jsonb) LANGUAGE plpgsql AS $$
DECLARE e record; r record; k text; s jsonb := '{}'; f text; v jsonb; old jsonb; new jsonb;
BEGIN
	FOR e IN SELECT stream_version, event_type, event_data FROM events.event_store WHERE stream_id = stream ORDER BY stream_version LOOP
		SELECT INTO r d.kind, d.options FROM auren.declared_reducers d
		WHERE d.event_type = e.event_type AND d.category IN ('', split_part(stream, ':', 1)) ORDER BY d.category DESC LIMIT 1;
		r.kind := coalesce(r.kind, 'latest');
		k := coalesce(r.options ->> 'into', CASE WHEN r.kind NOT IN ('merge', 'patch') THEN e.event_type END);
		IF r.kind = 'ignore' THEN NULL;
		ELSIF r.kind = 'function' THEN s := model.add_up(s, e.event_type, e.event_data);
		ELSIF r.kind = 'patch' THEN
			old := CASE WHEN k IS NULL THEN s WHEN jsonb_typeof(s) = 'object' THEN s -> k END;
			new := model.patch(old, e.event_data);
			IF new IS NOT NULL THEN s := CASE WHEN k IS NULL THEN new ELSE model.object_of(s) || jsonb_build_object(k, new) END; END IF;
		ELSIF r.kind = 'merge' THEN
			IF k IS NULL THEN s := model.merge(s, e.event_data);
			ELSE s := model.object_of(s); s := s || jsonb_build_object(k, model.merge(s -> k, e.event_data)); END IF;
		ELSIF r.kind = 'latest' THEN s := model.object_of(s) || jsonb_build_object(k, e.event_data);
		ELSIF r.kind = 'count' THEN
			s := model.object_of(s);
			s := s || jsonb_build_object(k, CASE WHEN jsonb_typeof(s -> k) = 'number' THEN (s ->> k)::numeric + 1 ELSE 1 END);
		ELSIF r.kind = 'append' THEN
			s := model.object_of(s);
			v := (CASE WHEN jsonb_typeof(s -> k) = 'array' THEN s -> k ELSE '[]' END) || jsonb_build_array(e.event_data);
			WHILE jsonb_array_length(v) > coalesce((r.options ->> 'limit')::int, 1000) LOOP v := v - 0; END LOOP;
			s := s || jsonb_build_object(k, v);
		ELSIF r.kind = 'sum' AND jsonb_typeof(e.event_data) = 'object' THEN
			FOR f, v IN SELECT * FROM jsonb_each(e.event_data) WHERE jsonb_typeof(value) = 'number' AND (r.options -> 'fields' IS NULL OR r.options -> 'fields' ? key) LOOP
				s := model.object_of(s);
				old := model.object_of(s -> k);
				s := s || jsonb_build_object(k, old || jsonb_build_object(f, (CASE WHEN jsonb_typeof(old -> f) = 'number' THEN (old ->> f)::numeric ELSE 0 END) + v::numeric));
			END LOOP;
		END IF;
		version := e.stream_version;
		state := s;
		RETURN NEXT;
	END LOOP;
END $$;

SELECT count(events.set_reducer(t, k, o::jsonb)) FROM (VALUES ('m', 'merge', '{}'), ('mi', 'merge', '{"into": "x"}'), ('p', 'patch', '{"on_error": "skip"}'), ('pi', 'patch', '{"into": "x", "on_error": "skip"}'), ('s', 'sum', '{}'),
	('sx', 'sum', '{"into": "x", "fields": ["a", "c"]}'), ('c', 'count', '{}'), ('cx', 'count', '{"into": "x"}'), ('a', 'append', '{"limit": 3}'), ('ax', 'append', '{"into": "x", "limit": 2}'), ('ax', 'append', '{"into": "x", "limit": 5, "category": "cat2"}'),
	('i', 'ignore', '{}'), ('lx', 'latest', '{"into": "x"}'), ('f', 'function', '{"function": "model.add_up"}'), ('m', 'count', '{"category": "cat3"}')) AS v (t, k, o);
-- random data: objects of a few keys, scalars now and then; patches for the types that need them
CREATE FUNCTION model.some_data(type text) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN type IN ('p', 'pi') THEN (
			SELECT jsonb_agg(jsonb_build_object('op', (ARRAY['add', 'add', 'add', 'remove', 'replace', 'test'])[1 + floor(random() * 6)], 'path', '/' || (ARRAY['a', 'b', 'c'])[1 + floor(random() * 3)],
			                                    'value', floor(random() * 3))) FROM generate_series(1, 1 + floor(random() * 2)::int))
		WHEN random() < 0.1 THEN (ARRAY['null', '7', '"text"', '[1, null]', 'true', '{}'])[1 + floor(random() * 6)]::jsonb
		ELSE (SELECT jsonb_object_agg((ARRAY['a', 'b', 'c', 'x'])[1 + floor(random() * 4)], CASE floor(random() * 6)
			WHEN 0 THEN 'null' WHEN 1 THEN '{"a": 1, "b": null}' WHEN 2 THEN '[{"a": null}]' WHEN 3 THEN to_jsonb((random() * 100)::numeric(8, 2)) WHEN 4 THEN '12345678901234567890.5' ELSE '"s"' END::jsonb)
		      FROM generate_series(1, 1 + floor(random() * 3)::int)) END $$;
SELECT setseed(0.4711);
CREATE TABLE model.types AS SELECT ARRAY['m', 'mi', 'p', 'pi', 's', 'sx', 'c', 'cx', 'a', 'ax', 'i', 'lx', 'f', 'none', 'm', 's', 'a'] AS types;
-- 60 streams of 60 events in four categories
CREATE TABLE model.input AS
	SELECT 'cat' || n % 4 || ':' || n AS stream, i, t AS type, model.some_data(t) AS data
	FROM generate_series(1, 60) n, generate_series(1, 60) i, model.types, LATERAL (SELECT types[1 + floor(random() * cardinality(types) + n * 0 + i * 0)] AS t) x;
SELECT count(*) FROM (SELECT stream, array_agg(type ORDER BY i) AS types, array_agg(data ORDER BY i) AS data FROM model.input GROUP BY stream) s,
	LATERAL events.append_events(array_fill(stream, ARRAY[60]), types, data);
CREATE TABLE model.expected AS SELECT stream, m.* FROM (SELECT DISTINCT stream FROM model.input) s, LATERAL model.states(stream) m;
SELECT count(*) AS states, count(DISTINCT state) > 1500 AS various, count(*) FILTER (WHERE jsonb_typeof(state) <> 'object') > 10 AS no_objects FROM model.expected;
-- at every version, from the first event; as text, so that the digits of each number count
SET auren_events.snapshot_after = 0;
SELECT count(*) AS different FROM model.expected WHERE events.get_stream_state(stream, version)::text IS DISTINCT FROM state::text;
-- (the workers of a parallel query leave no snapshots)
SET max_parallel_workers_per_gather = 0;
-- now, and with snapshots of it
SET auren_events.snapshot_after = 1;
SELECT count(*) AS different FROM model.expected WHERE version = 60 AND events.get_stream_state(stream)::text IS DISTINCT FROM state::text;
SELECT count(*) AS snapshots, bool_and(s.state = e.state AND s.state::text = e.state::text) AS same FROM auren.stream_snapshots s JOIN model.expected e ON stream = stream_id AND version = stream_version WHERE stream_id LIKE 'cat%';
SELECT count(*) AS different FROM model.expected WHERE version = 60 AND events.get_stream_state(stream)::text IS DISTINCT FROM state::text;
SELECT count(*) AS different FROM model.expected WHERE events.get_stream_state(stream, version)::text IS DISTINCT FROM state::text;
-- going on from snapshots, event by event, each read leaving the next snapshot
DO $$
DECLARE s text; wrong int := 0; t text;
BEGIN
	FOR s IN SELECT DISTINCT stream FROM model.input ORDER BY 1 LIMIT 20 LOOP
		FOR n IN 1 .. 25 LOOP
			SELECT types[1 + floor(random() * cardinality(types))] INTO t FROM model.types;
			PERFORM events.append_event(s, t, model.some_data(t));
			wrong := wrong + (events.get_stream_state(s)::text IS DISTINCT FROM (SELECT state::text FROM model.states(s) ORDER BY version DESC LIMIT 1))::int;
		END LOOP;
	END LOOP;
	IF wrong > 0 THEN RAISE EXCEPTION '% states differ', wrong; END IF;
END $$;
SELECT count(*) AS snapshots FROM auren.stream_snapshots WHERE stream_version > 60 AND stream_id LIKE 'cat%';
-- snapshots some events apart: reads now and at every version before
SET auren_events.snapshot_after = 7;
DO $$
DECLARE s text; wrong int := 0; t text;
BEGIN
	FOR s IN SELECT DISTINCT stream FROM model.input ORDER BY 1 DESC LIMIT 10 LOOP
		FOR n IN 1 .. 4 LOOP
			FOR i IN 1 .. 1 + floor(random() * 10)::int LOOP
				SELECT types[1 + floor(random() * cardinality(types))] INTO t FROM model.types;
				PERFORM events.append_event(s, t, model.some_data(t));
			END LOOP;
			wrong := wrong + (events.get_stream_state(s)::text IS DISTINCT FROM (SELECT state::text FROM model.states(s) ORDER BY version DESC LIMIT 1))::int;
		END LOOP;
		wrong := wrong + (SELECT count(*) FROM model.states(s) WHERE events.get_stream_state(s, version)::text IS DISTINCT FROM state::text);
	END LOOP;
	IF wrong > 0 THEN RAISE EXCEPTION '% states differ', wrong; END IF;
END $$;
SET auren_events.snapshot_after = 1;
-- many at once are the same as one by one
SELECT count(*) AS different FROM events.get_stream_states(ARRAY(SELECT DISTINCT stream FROM model.input)) WHERE state IS DISTINCT FROM events.get_stream_state(stream_id) OR stream_version <> events.stream_version(stream_id);
SELECT count(*) AS streams, count(*) FILTER (WHERE state IS DISTINCT FROM events.get_stream_state(stream_id)) AS different FROM events.get_category_states('cat1');
-- a difference is empty where the states are equal, and only there
SELECT count(*) AS wrong FROM model.expected a JOIN model.expected b ON a.stream = b.stream AND b.version = a.version + 7 AND a.version % 5 = 0
WHERE (events.state_diff(a.stream, a.version, b.version) = '[]') <> (a.state = b.state);
-- and turns one state into the other: the patch is applied by a reducer
SELECT events.set_reducer('whole', 'latest', '{"into": "s"}'), events.set_reducer('step', 'patch', '{"into": "s"}');
SELECT count(*) FROM (SELECT a.stream, a.version, a.state, events.state_diff(a.stream, a.version, b.version) AS diff FROM model.expected a
	JOIN model.expected b ON a.stream = b.stream AND b.version = a.version + 9 AND a.version % 6 = 0) d,
	LATERAL events.append_events(ARRAY['diff:' || stream || '-' || version, 'diff:' || stream || '-' || version], '{whole,step}', ARRAY[state, diff]);
SELECT count(*) AS pairs, count(*) FILTER (WHERE events.get_stream_state('diff:' || a.stream || '-' || a.version) -> 's' IS DISTINCT FROM b.state) AS wrong FROM model.expected a
	JOIN model.expected b ON a.stream = b.stream AND b.version = a.version + 9 AND a.version % 6 = 0;
SELECT count(events.drop_reducer(event_type, category)) > 0 AS dropped FROM events.reducers;
DROP SCHEMA model CASCADE;
