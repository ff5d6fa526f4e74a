-- Reducers: what each kind does, with its options, and what is refused.
SET auren_events.snapshot_after = 0;
-- Appends events of a stream and gives its state, without what other types left.
CREATE FUNCTION pg_temp.fold(stream text, types text[], data jsonb[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM events.append_events(array_fill(stream, ARRAY[cardinality(types)]), types, data);
	RETURN events.get_stream_state(stream);
END $$;

-- latest
SELECT pg_temp.fold('r:latest', '{a,b,a}', '{1,2,"\"x\""}');
SELECT events.set_reducer('a', 'latest', '{"into": "k"}');
SELECT events.get_stream_state('r:latest');
SELECT events.drop_reducer('a');
SELECT events.get_stream_state('r:latest');
-- merge: RFC 7396, into the state and into a part of it
SELECT events.set_reducer('m', 'merge'), events.set_reducer('mi', 'merge', '{"into": "part"}');
SELECT pg_temp.fold('r:merge', '{m,m,mi,mi}', ARRAY['{"a": {"b": 1, "c": [1, null]}, "d": 0.10}', '{"a": {"b": null, "e": {"f": null}}, "g": [null]}', '{"x": null, "y": 1}', '{"y": {"z": 1e400}}']::jsonb[])
       = jsonb_build_object('a', '{"c": [1, null], "e": {}}'::jsonb, 'd', '0.10'::jsonb, 'g', '[null]'::jsonb, 'part', jsonb_build_object('y', jsonb_build_object('z', '1e400'::numeric))) AS merged;
-- a patch that is no object takes the place of the whole, and an object is made where a key is needed next
SELECT pg_temp.fold('r:scalar', '{m,m,other}', '{"{\"a\": 1}",7,true}');
SELECT v, events.get_stream_state('r:scalar', v) FROM generate_series(1, 3) v;
-- patch: RFC 6902
SELECT events.set_reducer('p', 'patch'), events.set_reducer('pi', 'patch', '{"into": "part"}'), events.set_reducer('ps', 'patch', '{"into": "maybe", "on_error": "skip"}');
SELECT pg_temp.fold('r:patch', '{p,p,pi,ps}', ARRAY['[{"op": "add", "path": "/a", "value": [1, 2.50]}, {"op": "add", "path": "/a/-", "value": null}]',
	'[{"op": "test", "path": "/a/1", "value": 2.5}, {"op": "copy", "from": "/a/1", "path": "/b"}, {"op": "move", "from": "/a/0", "path": "/c"}]',
	'[{"op": "add", "path": "/x", "value": {}}]', '[{"op": "remove", "path": "/none"}]']::jsonb[]);
-- an error names the event, the version and the reason; a state before it can be read
SELECT count(*) FROM events.append_events('{r:patch}', '{p}', '{"[{\"op\": \"add\", \"path\": \"/fine\", \"value\": 1}, {\"op\": \"test\", \"path\": \"/b\", \"value\": 3}]"}');
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message, detail, hint FROM t.error_of($$SELECT events.get_stream_state('r:patch')$$);
SELECT events.get_stream_state('r:patch', 4);
-- skipped, nothing of the patch is done
SELECT events.set_reducer('p', 'patch', '{"on_error": "skip"}');
SELECT events.get_stream_state('r:patch');
-- errors that the RFC names, each as an event that is not skipped
SELECT events.set_reducer('bad', 'patch'), events.set_reducer('start', 'merge');
CREATE TEMP TABLE bad AS SELECT * FROM (VALUES (1, '[{"op": "remove", "path": "/no"}]'), (2, '[{"op": "add", "path": "/no/deeper", "value": 1}]'), (3, '[{"op": "replace", "path": "/list/2", "value": 1}]'),
	(4, '[{"op": "add", "path": "/list/3", "value": 1}]'), (5, '[{"op": "add", "path": "/list/01", "value": 1}]'), (6, '[{"op": "move", "from": "/deep", "path": "/deep/in/it"}]'),
	(7, '[{"op": "test", "path": "/list/0", "value": "1"}]'), (8, '[{"op": "add", "path": "no slash", "value": 1}]'), (9, '[{"op": "add", "path": "/a~2b", "value": 1}]'),
	(10, '[{"op": "jump", "path": "/a"}]'), (11, '[{"path": "/a"}]'), (12, '[{"op": "add", "path": "/a"}]'), (13, '[{"op": "move", "path": "/a"}]'), (14, '{"op": "remove"}'), (15, '[7]'),
	(16, '[{"op": "remove", "path": "/list/-"}]')) AS b (n, patch);
SELECT count(*) FROM bad, LATERAL events.append_events(ARRAY['r:bad' || n, 'r:bad' || n], '{start,bad}', ARRAY['{"list": [1, 2], "deep": {"in": {}}}', patch]::jsonb[]);
SELECT patch, e.code, regexp_replace(e.message, '^.* cannot be applied to the state: ', '') AS reason
FROM bad, LATERAL t.error_of(format('SELECT events.get_stream_state(%L)', 'r:bad' || n)) e ORDER BY n;
-- sum: exact, top-level numbers only
SELECT events.set_reducer('s', 'sum'), events.set_reducer('sf', 'sum', '{"into": "chosen", "fields": ["a", "gone"]}');
SELECT pg_temp.fold('r:sum', '{s,s,s,sf,sf}', ARRAY['{"a": 0.10, "big": 12345678901234567890, "t": "x", "n": null, "o": {"a": 1}}', '{"a": 0.20, "big": 1, "b": -1}', '7',
	'{"a": 1, "b": 1}', '{"b": 1}']::jsonb[]);
SELECT length(pg_temp.fold('r:sum400', '{s,s}', '{"{\"a\": 1e400}","{\"a\": 1}"}') -> 's' ->> 'a');
SELECT pg_temp.fold('r:sumnone', '{s}', '{"{\"t\": \"no number\"}"}');
-- what a field held before gives way to a number, and a part that is no object to one; a number that no numeric can hold is an error
SELECT events.set_reducer('sl', 'latest', '{"into": "s"}'), events.set_reducer('so', 'sum', '{"into": "s", "fields": ["a"]}');
SELECT pg_temp.fold('r:sumover', '{sl,s,so,sl,s}', ARRAY['{"a": "text", "b": [1]}', '{"a": -0.50, "b": 2}', '{"a": 1.5, "b": 9}', '[1, 2]', '{"a": 3}']::jsonb[]);
SELECT v, events.get_stream_state('r:sumover', v) FROM generate_series(1, 5) v;
SELECT count(*) FROM events.append_events('{r:sumtoo,r:sumtoo}', '{s,s}', '{"{\"a\": 9e131071}","{\"a\": 9e131071}"}');
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:sumtoo')$$);
SELECT length(events.get_stream_state('r:sumtoo', 1) -> 's' ->> 'a');
-- count, append, ignore
SELECT events.set_reducer('c', 'count', '{"into": "n"}'), events.set_reducer('l', 'append', '{"limit": 3}'), events.set_reducer('i', 'ignore');
SELECT pg_temp.fold('r:count', '{c,c,i,l,l,l,l,l,c}', '{1,2,3,4,5,6,"null","{\"x\": 0.50}",9}');
SELECT v, events.get_stream_state('r:count', v) FROM generate_series(6, 8) v;
-- a count goes on from a number, and anew from anything else
SELECT events.set_reducer('nl', 'latest', '{"into": "n"}');
SELECT pg_temp.fold('r:recount', '{nl,c,nl,c}', '{1.50,0,"\"x\"",0}');
SELECT v, events.get_stream_state('r:recount', v) FROM generate_series(1, 4) v;
-- 1,000 by default
SELECT events.set_reducer('many', 'append');
SELECT jsonb_array_length(s -> 'many'), s -> 'many' -> 0 AS first, s -> 'many' -> -1 AS last
FROM pg_temp.fold('r:many', array_fill('many'::text, ARRAY[1500]), (SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 1500) i)) s;
-- several reducers on one key: each sees what the others left
SELECT events.set_reducer('l1', 'append', '{"into": "k", "limit": 2}'), events.set_reducer('l2', 'append', '{"into": "k", "limit": 4}'), events.set_reducer('k1', 'count', '{"into": "k"}'),
       events.set_reducer('k2', 'patch', '{"into": "k"}'), events.set_reducer('k3', 'sum', '{"into": "k"}');
SELECT pg_temp.fold('r:key', '{l2,l2,l2,l2,l2,l1,l2,k2,k1,k3,l1}', ARRAY['1', '2', '3', '4', '5', '6', '7', '[{"op": "remove", "path": "/0"}]', '8', '{"a": 1}', '9']::jsonb[]);
SELECT v, events.get_stream_state('r:key', v) FROM generate_series(1, 11) v;
-- category: the closer one wins
SELECT events.set_reducer('cat', 'count'), events.set_reducer('cat', 'ignore', '{"category": "quiet"}'), events.set_reducer('only', 'count', '{"category": "r"}');
SELECT pg_temp.fold('quiet:1', '{cat,only}', '{5,6}');
SELECT pg_temp.fold('r:cat', '{cat,only}', '{5,6}');
SELECT pg_temp.fold('quiet', '{cat,only}', '{5,6}');
SELECT pg_temp.fold('quieter:1', '{cat,only}', '{5,6}');
SELECT event_type, category, kind, options FROM events.reducers WHERE event_type IN ('cat', 'only', 'sf') ORDER BY 1, 2;
SELECT code, message, detail, hint FROM t.error_of($$SELECT events.drop_reducer('only')$$);
SELECT code, message, detail, hint FROM t.error_of($$SELECT events.drop_reducer('cat', 'r')$$);
SELECT code, message FROM t.error_of($$SELECT events.drop_reducer(NULL)$$);
SELECT events.drop_reducer('only', 'r');
-- declared in a transaction: its own from then on, nobody's after a rollback
BEGIN;
SELECT events.set_reducer('cat', 'append', '{"limit": 1}');
SELECT events.get_stream_state('r:cat');
SAVEPOINT a;
SELECT events.set_reducer('cat', 'ignore');
SELECT events.get_stream_state('r:cat');
ROLLBACK TO SAVEPOINT a;
SELECT events.get_stream_state('r:cat');
ROLLBACK;
SELECT events.get_stream_state('r:cat'), (SELECT count(*) FROM events.reducers WHERE event_type = 'cat') AS reducers;

-- function
CREATE SCHEMA fold;
CREATE FUNCTION fold.longest(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN length($3 ->> 't') > coalesce(length($1 ->> 'longest'), 0) THEN jsonb_set($1, '{longest}', $3 -> 't') ELSE $1 END;
CREATE FUNCTION fold.fails(state jsonb, type text, data jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
	$$ BEGIN IF data = '0' THEN RAISE EXCEPTION 'no zero' USING ERRCODE = 'ZX001', HINT = 'Give another.'; END IF; RETURN state || jsonb_build_object(type, data); END $$;
CREATE FUNCTION fold.gives_null(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN NULL::jsonb;
CREATE FUNCTION fold.stable(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp RETURN $1;
CREATE FUNCTION fold.no_path(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN $1;
CREATE FUNCTION fold.other_result(jsonb, text, jsonb) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN $2;
CREATE ROLE fold_other;
CREATE FUNCTION fold.of_other(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN $1;
ALTER FUNCTION fold.of_other OWNER TO fold_other;
REVOKE EXECUTE ON FUNCTION fold.longest FROM PUBLIC;
SET search_path = fold, public;
SELECT events.set_reducer('f', 'function', '{"function": "longest"}'), events.set_reducer('ff', 'function', '{"function": "fold.fails"}'), events.set_reducer('fs', 'function', '{"function": "fold.fails", "on_error": "skip"}'),
       events.set_reducer('fn', 'function', '{"function": "fold.gives_null"}');
RESET search_path;
SELECT options FROM events.reducers WHERE event_type = 'f';
SELECT pg_temp.fold('r:function', '{f,f,f,ff,fs,fs}', '{"{\"t\": \"aa\"}","{\"t\": \"aaaa\"}","{\"t\": \"a\"}",1,0,2}');
-- a parallel query refuses a function whose errors are skipped; what follows calls some
DO $$ BEGIN PERFORM set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); END $$;
SELECT code, message LIKE '%a reducer function whose errors are skipped cannot be called in a parallel query' AS refused, hint FROM t.error_of($$SELECT events.get_stream_state('r:function', 5)$$);
SET max_parallel_workers_per_gather = 0;
SELECT count(*) FROM events.append_events('{r:function}', '{ff}', '{0}');
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message, detail, hint FROM t.error_of($$SELECT events.get_stream_state('r:function')$$);
SELECT count(*) FROM events.append_events('{r:null}', '{fn}', '{0}');
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message, hint FROM t.error_of($$SELECT events.get_stream_state('r:null')$$);
SELECT name, e.code, e.message, e.detail, e.hint
FROM unnest('{fold.stable,fold.no_path,fold.other_result,fold.of_other,fold.nowhere,length}'::text[]) WITH ORDINALITY AS n (name, i),
	LATERAL t.error_of(format('SELECT events.set_reducer(''x'', ''function'', jsonb_build_object(''function'', %L))', name)) e ORDER BY i;
-- what a function must be is asked when it is called too
SELECT events.get_stream_state('r:function', 6) -> 'longest' AS longest;
ALTER FUNCTION fold.longest OWNER TO fold_other;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:function', 6)$$);
ALTER FUNCTION fold.longest OWNER TO CURRENT_USER;
ALTER FUNCTION fold.longest STABLE;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:function', 6)$$);
ALTER FUNCTION fold.longest IMMUTABLE;
ALTER FUNCTION fold.longest RENAME TO shortest;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message, hint FROM t.error_of($$SELECT events.get_stream_state('r:function', 6)$$);
ALTER FUNCTION fold.shortest RENAME TO longest;
SELECT events.get_stream_state('r:function', 6) -> 'longest' AS longest;
-- one that may not be called is no failure to skip, and neither is a cancel
SELECT events.set_reducer('fl', 'function', '{"function": "fold.longest", "on_error": "skip"}');
SELECT pg_temp.fold('r:skip', '{fl}', '{"{\"t\": \"a\"}"}');
ALTER FUNCTION fold.longest OWNER TO fold_other;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:skip')$$);
ALTER FUNCTION fold.longest OWNER TO CURRENT_USER;
ALTER FUNCTION fold.longest RESET search_path;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:skip')$$);
ALTER FUNCTION fold.longest SET search_path = pg_catalog, pg_temp;
SELECT events.get_stream_state('r:skip');
CREATE FUNCTION fold.gone(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN $1;
SELECT events.set_reducer('fl', 'function', '{"function": "fold.gone", "on_error": "skip"}');
SELECT events.get_stream_state('r:skip');
DROP FUNCTION fold.gone;
SELECT code, regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', 'ID') AS message FROM t.error_of($$SELECT events.get_stream_state('r:skip')$$);
CREATE FUNCTION fold.sleeps(jsonb, text, jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN PERFORM pg_sleep(600); RETURN $1; END $$;
SELECT events.set_reducer('fl', 'function', '{"function": "fold.sleeps", "on_error": "skip"}');
SET statement_timeout = 50;
DO $$ BEGIN PERFORM events.get_stream_state('r:skip'); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'cancelled'; END $$;
RESET statement_timeout;
SELECT events.drop_reducer('fl');
-- the version of the reducers: another declaration or another body, and the same again
CREATE TEMP TABLE versions AS SELECT 1 AS n, events.reducers_version() AS v;
CREATE OR REPLACE FUNCTION fold.gives_null(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN $1;
INSERT INTO versions SELECT 2, events.reducers_version();
SELECT events.set_reducer('fn', 'ignore');
INSERT INTO versions SELECT 3, events.reducers_version();
CREATE OR REPLACE FUNCTION fold.gives_null(jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp RETURN NULL::jsonb;
SELECT events.set_reducer('fn', 'function', '{"function": "fold.gives_null"}');
INSERT INTO versions SELECT 4, events.reducers_version();
SET search_path = fold;
INSERT INTO pg_temp.versions SELECT 5, events.reducers_version();
RESET search_path;
SELECT count(DISTINCT v) AS different, array_agg(n ORDER BY n) FILTER (WHERE v = (SELECT v FROM versions WHERE n = 1)) AS like_the_first FROM versions;

-- bad input
SELECT call, e.code, e.message, e.detail, e.hint
FROM unnest(ARRAY['NULL, ''count''', '''x'', NULL', '''x'', ''count'', NULL', ''''', ''count''', '''x'', ''total''', '''x'', ''count'', ''[]''', '''x'', ''count'', ''{"limit": 1}''', '''x'', ''append'', ''{"limit": 0}''',
	'''x'', ''append'', ''{"limit": 1.5}''', '''x'', ''append'', ''{"limit": 1000001}''', '''x'', ''sum'', ''{"fields": []}''', '''x'', ''sum'', ''{"fields": [1]}''', '''x'', ''merge'', ''{"into": ""}''', '''x'', ''merge'', ''{"into": 1}''',
	'''x'', ''patch'', ''{"on_error": "wait"}''', '''x'', ''count'', ''{"category": "a:b"}''', '''x'', ''function''', '''x'', ''function'', ''{"into": "k", "function": "f"}''',
	'''x'', ''Count''', '''x'', ''append'', ''{"limit": -1}''', '''x'', ''append'', ''{"limit": "3"}''', '''x'', ''merge'', ''{"into": null}''', '''x'', ''sum'', ''{"fields": "a"}''',
	'''x'', ''latest'', ''{"on_error": "skip"}''', '''x'', ''count'', ''{"category": ""}''', '''x'', ''count'', ''null''', 'repeat(''x'', 101), ''count''']) WITH ORDINALITY AS c (call, i),
	LATERAL t.error_of(format('SELECT events.set_reducer(%s)', call)) e ORDER BY i;
SELECT count(*) FROM events.reducers WHERE event_type = 'x';
-- rights
CREATE ROLE fold_reader; CREATE ROLE fold_admin; CREATE ROLE fold_none;
SELECT events.grant_access('fold_reader', 'reader'), events.grant_access('fold_admin', 'admin');
SET ROLE fold_reader;
SELECT events.get_stream_state('r:sumnone');
SELECT events.state_diff('r:sumnone', 0);
SELECT (SELECT count(*) > 10 FROM events.reducers) AS sees;
SELECT events.reducers_version() IS NOT NULL AS version;
SELECT code, message FROM t.error_of($$SELECT events.set_reducer('x', 'count')$$);
-- a state is for its readers, whether or not they may call the function that makes it
SELECT events.get_stream_state('r:function', 3);
SELECT code, message FROM t.error_of($$SELECT events.drop_reducer('s')$$);
SELECT code, message FROM t.error_of($$TABLE auren.declared_reducers$$);
SET ROLE fold_none;
SELECT call, e.code FROM unnest(ARRAY['get_stream_state(''r:sum'')', 'get_stream_states(''{r:sum}'')', 'get_category_states(''r'')', 'state_diff(''r:sum'', 0)', 'reducers_version()', 'take_snapshot(''r:sum'')', 'drop_snapshots()']) call,
	LATERAL t.error_of('SELECT events.' || call) e;
SET ROLE fold_admin;
SELECT events.set_reducer('of_admin', 'count'), events.set_reducer('of_admin', 'sum');
SELECT event_type, kind, declared_by = session_user AS by FROM events.reducers WHERE event_type = 'of_admin';
SELECT events.drop_reducer('of_admin');
SELECT code, message FROM t.error_of($$SELECT events.get_stream_state('r:sumnone')$$);
SELECT code, message FROM t.error_of($$DELETE FROM auren.declared_reducers$$);
RESET ROLE;
SELECT events.revoke_access('fold_admin', 'admin');
SET ROLE fold_admin;
SELECT code, message FROM t.error_of($$TABLE events.reducers$$);
RESET ROLE;
SELECT events.revoke_access('fold_reader', 'reader');
SET client_min_messages = warning;
SELECT count(events.drop_reducer(event_type, category)) > 0 AS dropped FROM events.reducers;
DROP SCHEMA fold CASCADE;
DROP ROLE fold_reader, fold_admin, fold_none, fold_other;
