-- What a bound role asks for tells it nothing of other tenants: neither the rows nor the work that was done for them, which is
-- counted in this session and not in the workers of parallel queries.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE ROLE regress_unseen;
SELECT events.grant_access('regress_unseen', 'reader'), events.bind_tenant('regress_unseen', 'unseen');
GRANT USAGE ON SCHEMA t TO regress_unseen;
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
-- many types, some of them in both tenants, times that many events share
CREATE FUNCTION t.fill(p_tenant text, p_count integer, p_extra jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.tenant_id', p_tenant, true);
	PERFORM count(*) FROM generate_series(1, p_count / 50) b, LATERAL events.append_events(
		(SELECT array_agg('unseen:' || i % 7 ORDER BY i) FROM generate_series(b * 50 - 49, b * 50) i), (SELECT array_agg('u' || (i * i) % 23 ORDER BY i) FROM generate_series(b * 50 - 49, b * 50) i),
		(SELECT array_agg(jsonb_build_object('n', i, 'kind', CASE WHEN i % 100 = 0 THEN 'rare' ELSE 'usual' END, 'list', jsonb_build_array(i % 5, repeat('x', i % 3000))) || p_extra ORDER BY i) FROM generate_series(b * 50 - 49, b * 50) i));
	PERFORM events.append_event('unseen:single', 'u' || i, p_extra) FROM generate_series(1, 30) i;
	RETURN (SELECT sum(events.stream_version(s.stream_id)) FROM events.streams s);
END $$;
SELECT t.fill('unseen', 1500, '{}'), t.fill('other', 1000, '{"secret": 1}');
SELECT events.append_event('unseen:secret', 'seen', '{"secret": 1}') IS NOT NULL AS appended FROM set_config('app.tenant_id', 'unseen', false);
SELECT min(created_at) AS a, max(created_at) AS b, percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) AS mid, percentile_disc(0.5) WITHIN GROUP (ORDER BY global_position) AS position FROM events.event_store WHERE tenant_id = 'unseen' \gset
-- the same rows in the same order as an unbound role gets them by other indexes
CREATE TABLE t.calls AS SELECT row_number() OVER () AS id, call FROM (
	SELECT format('SELECT * FROM events.events_by_time(%L, %L, %L, %s, %L)', f, e, ty, l, p) AS call
	FROM unnest(ARRAY['-infinity', :'a', :'mid', :'b', 'infinity']) f, unnest(ARRAY['infinity', :'b', :'mid', :'a']) e, unnest(ARRAY[NULL, 'u1', 'seen', 'nothing']) ty,
	     unnest(ARRAY[0, 1, 7, 100000]) l, unnest(ARRAY[NULL, 0, :position]::bigint[]) p
	UNION ALL
	SELECT format('SELECT * FROM events.find_events(%L, %L, %L, %L, %s, %L)', c, ty, f, e, l, CASE WHEN e IS NOT NULL THEN p END)
	FROM unnest(ARRAY['{"kind": "rare"}', '{}', '{"secret": 1}', '{"list": [3]}', '[]', '{"kind": "none"}']) c, unnest(ARRAY[NULL, 'u2', 'seen']) ty, unnest(ARRAY[NULL, :'mid']) f,
	     unnest(ARRAY[NULL, :'b', :'mid']) e, unnest(ARRAY[1, 10, 100000]) l, unnest(ARRAY[NULL, :position]::bigint[]) p) c;
GRANT SELECT ON t.calls TO regress_unseen;
CREATE FUNCTION t.answers() RETURNS TABLE (id bigint, answer text, n bigint) LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT * FROM t.calls ORDER BY calls.id LOOP
		EXECUTE format('SELECT %s, md5(string_agg(r::text, chr(10))), count(*) FROM (%s) r', c.id, c.call) INTO id, answer, n;
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE t.unbound_answers AS SELECT * FROM t.answers();
SELECT count(*) > 400 AS many, count(*) FILTER (WHERE n > 0) > 200 AS with_rows, max(n) FROM t.unbound_answers;
GRANT SELECT ON t.unbound_answers TO regress_unseen;
SET ROLE regress_unseen;
SELECT c.call, u.n, b.n FROM t.unbound_answers u JOIN t.answers() b USING (id) JOIN t.calls c USING (id) WHERE (u.answer, u.n) IS DISTINCT FROM (b.answer, b.n) LIMIT 5;
-- streamed in FROM, and in a cursor that is left half-way
SELECT count(*) FROM (SELECT 1 FROM events.events_by_time('-infinity', 'infinity', p_limit := 100000) LIMIT 40) x;
BEGIN;
DECLARE c CURSOR FOR SELECT event_data -> 'n' FROM events.events_by_time('-infinity', 'infinity', p_limit := 100000);
FETCH 2 FROM c;
ROLLBACK;
RESET ROLE;
-- the work: rows of months and entries of their indexes that a call reads, for a content and a type that only the other tenant has, and for one that nobody has
CREATE FUNCTION t.read_so_far() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(regexp_replace(relname, '_\d{4}_\d\d$', ''), returned) FROM (
		SELECT c.relname, pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid) + pg_stat_get_xact_numscans(c.oid) AS returned
		FROM pg_class c WHERE c.relname LIKE '%event\_store\_%' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) s
$$;
CREATE FUNCTION t.reads(p_call text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_before jsonb := t.read_so_far();
	v_after jsonb;
BEGIN
	EXECUTE 'SELECT count(*) FROM (' || p_call || ') c';
	v_after := t.read_so_far();
	RETURN (SELECT jsonb_object_agg(key, v_after[key]::bigint - value::bigint) FROM jsonb_each(v_before) WHERE v_after[key] <> value);
END $$;
CREATE TABLE t.questions AS SELECT * FROM (VALUES
	(1, 'content', $$SELECT * FROM events.find_events('{"secret": 1, "n": 5}')$$, $$SELECT * FROM events.find_events('{"secret": 2, "n": 5}')$$),
	(2, 'content of a type', $$SELECT * FROM events.find_events('{"secret": 1}', 'only_other')$$, $$SELECT * FROM events.find_events('{"secret": 1}', 'nobody')$$),
	(3, 'type', $$SELECT * FROM events.events_by_time('-infinity', 'infinity', 'only_other')$$, $$SELECT * FROM events.events_by_time('-infinity', 'infinity', 'nobody')$$),
	(4, 'type by the view', $$SELECT * FROM events.tenant_events WHERE event_type = 'only_other'$$, $$SELECT * FROM events.tenant_events WHERE event_type = 'nobody'$$),
	(5, 'stream by the view', $$SELECT * FROM events.tenant_events WHERE stream_id = 'other:only'$$, $$SELECT * FROM events.tenant_events WHERE stream_id = 'nobody:only'$$),
	(6, 'id by the view', $$SELECT * FROM events.tenant_events WHERE event_id = '00000000-0000-0000-0000-0000000000aa'$$, $$SELECT * FROM events.tenant_events WHERE event_id = '00000000-0000-0000-0000-0000000000ab'$$),
	(7, 'stream', $$SELECT * FROM events.streams WHERE stream_id = 'other:only'$$, $$SELECT * FROM events.streams WHERE stream_id = 'nobody:only'$$),
	(8, 'replay', $$SELECT * FROM events.replay_stream('other:only')$$, $$SELECT * FROM events.replay_stream('nobody:only')$$),
	(9, 'last event', $$SELECT * FROM events.last_event('other:only', 'only_other')$$, $$SELECT * FROM events.last_event('nobody:only', 'nobody')$$),
	(10, 'states', $$SELECT * FROM events.get_category_states('other')$$, $$SELECT * FROM events.get_category_states('nobody')$$)) q (id, what, theirs, nobodys);
GRANT SELECT ON t.questions TO regress_unseen;
SELECT events.append_event('other:only', 'only_other', '{"secret": 1, "n": 5}', p_event_id => '00000000-0000-0000-0000-0000000000aa') IS NOT NULL AS appended FROM set_config('app.tenant_id', 'other', false);
SET app.tenant_id = 'unseen';
ANALYZE events.event_store, auren.stream_rows;
SET ROLE regress_unseen;
BEGIN;
SELECT what, t.reads(theirs) IS NOT DISTINCT FROM t.reads(nobodys) AS same_work FROM t.questions ORDER BY id;
SELECT t.reads($$SELECT * FROM events.find_events('{"secret": 1}', 'only_other')$$) - 'event_store' AS a_type_that_is_not_there;
-- whatever plan the role asks for
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT what, t.reads(theirs) IS NOT DISTINCT FROM t.reads(nobodys) AS same_work FROM t.questions ORDER BY id;
ROLLBACK;
RESET ROLE;
-- what the planner makes of a name that only the other tenant has: as much as of one that nobody has, from the first statement of a session on
SET app.tenant_id = 'other';
SELECT count(events.append_event('other:often', 'other_type', '{}', 'other_doctor')) AS appended FROM generate_series(1, 700);
SELECT count(events.append_event('other_stream:' || i, 'other_type', '{}', 'other_doctor')) AS appended FROM generate_series(1, 200) i;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) SELECT 'other_' || i % 40, 'pulse', i, '2026-02-03 04:00Z'::timestamptz + i % 3 * interval '5 minutes' FROM generate_series(1, 400) i;
SET app.tenant_id = 'unseen';
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('own', 'pulse', 60, '2026-01-02 03:00Z');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
-- what a DBA makes beside the server's own statistics is of all tenants too
CREATE STATISTICS events.regress_kinds (mcv) ON tenant_id, stream_id, event_type FROM events.event_store;
CREATE STATISTICS events.regress_kinds_of_month (mcv) ON tenant_id, stream_id, event_type FROM events.event_store_:month;
ANALYZE events.event_store, auren.stream_rows, auren.series, auren.rollup_5min, auren.rollup_daily;
CREATE FUNCTION t.plan(p_sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || p_sql INTO v_plan;
	RETURN v_plan;
END $$;
CREATE TABLE t.guesses AS SELECT * FROM (VALUES
	(1, 'SELECT * FROM events.tenant_events WHERE stream_id = %L', 'other:often', 'nobodys'),
	(2, 'SELECT * FROM events.tenant_events WHERE stream_id < %L', 'other:often', 'nobodys'),
	(3, 'SELECT * FROM events.tenant_events WHERE event_type = %L', 'other_type', 'nobodys'),
	(4, 'SELECT * FROM events.tenant_events WHERE created_by = %L', 'other_doctor', 'nobodys'),
	(5, 'SELECT * FROM events.tenant_events WHERE tenant_id = %L', 'other', 'nobodys'),
	(6, 'SELECT * FROM events.streams WHERE stream_id < %L', 'other:often', 'aa:aa'),
	(7, 'SELECT * FROM analytics.user_metrics_daily WHERE user_id = %L', 'other_1', 'nobodys'),
	(8, 'SELECT * FROM analytics.user_metrics_daily WHERE user_id < %L', 'other_1', 'aa_aa'),
	(9, 'SELECT * FROM events.tenant_events WHERE stream_id = %L AND event_type = ''other_type''', 'other:often', 'nobodys')) g (id, question, theirs, nobodys);
GRANT SELECT ON t.guesses TO regress_unseen;
\c -
SET client_min_messages = warning;
SET app.tenant_id = 'unseen';
SET ROLE regress_unseen;
SELECT question FROM t.guesses WHERE replace(t.plan(format(question, theirs)), theirs, '') <> replace(t.plan(format(question, nobodys)), nobodys, '') ORDER BY id;
-- nor is a function of the role's own asked about times of the other tenant
CREATE FUNCTION pg_temp.see(p_bucket anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$
BEGIN
	RAISE WARNING 'saw %', p_bucket;
	RETURN true;
END $$;
SELECT count(*) FROM analytics.user_metrics_5min WHERE pg_temp.see(bucket);
SELECT count(*) FROM analytics.user_metrics_hourly WHERE pg_temp.see(bucket);
SELECT count(*) FROM analytics.user_metrics_daily WHERE pg_temp.see(day);
SELECT count(*) AS extended FROM pg_stats_ext WHERE statistics_schemaname = 'events';
RESET ROLE;
-- nor does a month tell of them that somebody has moved to another schema
BEGIN;
CREATE SCHEMA regress_archive;
ALTER TABLE events.event_store_:month SET SCHEMA regress_archive;
SET LOCAL ROLE regress_unseen;
SELECT question FROM t.guesses WHERE replace(t.plan(format(question, theirs)), theirs, '') <> replace(t.plan(format(question, nobodys)), nobodys, '') ORDER BY id;
ROLLBACK;
DROP STATISTICS events.regress_kinds, events.regress_kinds_of_month;
-- where policies apply the executor finds the rows, and no index is asked for content or type
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY regress_unseen ON events.event_store FOR SELECT TO regress_unseen USING (event_data ->> 'kind' IS DISTINCT FROM 'rare');
SET ROLE regress_unseen;
SELECT count(*) FROM events.find_events('{"kind": "rare"}');
SELECT count(*), min(event_data ->> 'secret') FROM events.find_events('{"secret": 1}');
SELECT count(*), count(DISTINCT event_type) FROM events.events_by_time('-infinity', 'infinity', p_limit := 100000);
BEGIN;
SELECT what, t.reads(theirs) IS NOT DISTINCT FROM t.reads(nobodys) AS same_work FROM t.questions WHERE id <= 3 ORDER BY id;
ROLLBACK;
RESET ROLE;
DROP POLICY regress_unseen ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
-- a month without the index
BEGIN;
DROP INDEX events.idx_event_store_type_time_:month;
SET LOCAL ROLE regress_unseen;
SELECT count(*) AS differ FROM t.unbound_answers u JOIN t.answers() b USING (id) WHERE (u.answer, u.n) IS DISTINCT FROM (b.answer, b.n);
SELECT what, t.reads(theirs) IS NOT DISTINCT FROM t.reads(nobodys) AS same_work FROM t.questions WHERE id <= 3 ORDER BY id;
ROLLBACK;
RESET app.tenant_id;
DROP TABLE t.calls, t.unbound_answers, t.questions, t.guesses;
DELETE FROM biometric.biometric_events WHERE tenant_id IN ('other', 'unseen');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
DROP FUNCTION t.fill, t.answers, t.read_so_far, t.reads, t.plan;
DROP OWNED BY regress_unseen;
DROP ROLE regress_unseen;
