-- Sources whose tables change, and values that are hard to count anew: the metrics stay those of a recount.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
CREATE TABLE t.ddl_source (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.ddl_source', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
-- readings of the tables below, and what the metrics say of them
CREATE FUNCTION t.counted(p_table text, OUT readings bigint, OUT days numeric, OUT hours numeric, OUT five numeric, OUT same_sum boolean) LANGUAGE plpgsql AS $$
DECLARE
	v_sum float8;
BEGIN
	EXECUTE format('SELECT count(*), sum(measured) FROM %s', p_table) INTO readings, v_sum;
	SELECT COALESCE(sum(reading_count), 0), COALESCE(abs(COALESCE(sum(avg_value * reading_count), 0) - COALESCE(v_sum, 0)) < 1e-6, v_sum = sum(avg_value)) INTO days, same_sum FROM analytics.user_metrics_daily;
	SELECT COALESCE(sum(reading_count), 0) INTO hours FROM analytics.user_metrics_hourly;
	SELECT COALESCE(sum(reading_count), 0) INTO five FROM analytics.user_metrics_5min;
END $$;
-- twenty values of five minutes, so that taking the greatest needs a recount; before and behind a refresh
CREATE FUNCTION t.recounts(p_table text, p_who text, p_at text, OUT pending text, OUT merged text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (who, what, measured, at) SELECT %s, ''m'', n, %L FROM generate_series(1, 20) n', p_table, p_who, p_at);
	PERFORM analytics.refresh_user_metrics();
	EXECUTE format('DELETE FROM %s WHERE measured = 20 AND who = %s', p_table, p_who);
	SELECT c::text INTO pending FROM t.counted(p_table) c;
	PERFORM analytics.refresh_user_metrics();
	SELECT c::text INTO merged FROM t.counted(p_table) c;
END $$;
SELECT analytics.refresh_user_metrics() >= 0;

-- an append behind the end of a source of readings: detached, dropped, gone with its schema
CREATE TABLE t.ended (LIKE t.ddl_source);
SELECT analytics.attach_source('t.ended', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.detach_source('t.ended');
SELECT events.append_event('user:ddl', 'after', '{}') IS NOT NULL AS after_detach;
SELECT analytics.attach_source('t.ended', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
DROP TABLE t.ended;
SELECT events.append_event('user:ddl', 'after', '{}') IS NOT NULL AS after_drop;
CREATE SCHEMA regress_gone;
CREATE TYPE regress_gone.row AS (who text, what text, measured float8, at timestamptz);
CREATE TABLE t.typed OF regress_gone.row;
SELECT analytics.attach_source('t.typed', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.typed VALUES ('ddl typed', 'm', 1, '2026-01-01');
DROP TYPE regress_gone.row CASCADE;
DROP SCHEMA regress_gone;
SELECT events.append_event('user:ddl', 'after', '{}') IS NOT NULL AS after_type, (SELECT count(*) FROM analytics.user_metrics_daily WHERE user_id = 'ddl typed') AS metrics;
SELECT analytics.refresh_user_metrics() >= 0 AS merged, (SELECT count(*) FROM analytics.sources WHERE detached) AS left;

-- whatever the type of the user is, one name for each text; infinite times
SELECT * FROM t.recounts('t.ddl_source', '''ddl text''', '2026-01-01 10:00');
SELECT * FROM t.recounts('t.ddl_source', '''ddl text''', 'infinity');
TRUNCATE t.ddl_source;
CREATE TYPE t.mood AS ENUM ('calm', 'tense');
CREATE FUNCTION t.kinds() RETURNS TABLE (type text, pending text, merged text) LANGUAGE plpgsql AS $$
DECLARE
	v text[];
BEGIN
	FOREACH v SLICE 1 IN ARRAY ARRAY[['char(10)', '''ddl'''], ['numeric', '7.0'], ['inet', '''10.0.0.1'''], ['boolean', 'true'], ['uuid', '''00000000-0000-0000-0000-00000000000d'''],
	                                 ['bigint', '12'], ['varchar(20)', '''ddl'''], ['t.mood', '''tense'''], ['date', '''2026-01-01''']] LOOP
		EXECUTE format('CREATE TABLE t.kind (who %s, what text, measured numeric, at timestamptz)', v[1]);
		EXECUTE format('INSERT INTO t.kind SELECT %s, ''m'', 1, ''2026-01-01 09:00''', v[2]);
		BEGIN
			PERFORM analytics.attach_source('t.kind', 'who', NULL, 'what', 'measured', 'at');
			type := v[1];
			SELECT r.pending, r.merged INTO pending, merged FROM t.recounts('t.kind', v[2] || '::' || v[1], '2026-01-01 10:00') r;
			merged := merged || ' ' || (SELECT string_agg(DISTINCT user_id, ',') FROM analytics.user_metrics_daily);
		EXCEPTION WHEN datatype_mismatch THEN
			type := v[1];
			pending := SQLERRM;
			merged := NULL;
		END;
		RETURN NEXT;
		DROP TABLE t.kind;
		PERFORM analytics.refresh_user_metrics();
	END LOOP;
END $$;
SELECT * FROM t.kinds();
-- numbers that are equal and read differently are two users; one that no double holds counts as infinite
CREATE TABLE t.kind (who numeric, what text, measured numeric, at timestamptz);
SELECT analytics.attach_source('t.kind', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.kind SELECT who::numeric, 'm', n, '2026-01-01' FROM generate_series(1, 20) n, unnest('{7.0,7.00}'::text[]) who;
SELECT analytics.refresh_user_metrics() >= 0;
DELETE FROM t.kind WHERE measured = 20;
SELECT user_id, reading_count FROM analytics.user_metrics_daily ORDER BY user_id;
INSERT INTO t.kind VALUES (8, 'm', '1e400', '2026-01-01');
SELECT max_value FROM analytics.user_metrics_daily WHERE user_id = '8';
SELECT analytics.rebuild_source(source_id) FROM analytics.sources WHERE relation = 't.kind'::regclass;
SELECT max_value FROM analytics.user_metrics_daily WHERE user_id = '8';
SELECT analytics.refresh_user_metrics() >= 0;
SELECT max_value FROM analytics.user_metrics_daily WHERE user_id = '8';
DROP TABLE t.kind;
-- a tenant's column without a tenant: the source's, also when counted anew
CREATE TABLE t.kind (who text, what text, measured float8, at timestamptz, org text);
SELECT analytics.attach_source('t.kind', 'who', NULL, 'what', 'measured', 'at', 'org') > 1 AS attached;
SELECT * FROM t.recounts('t.kind', '''ddl org''', '2026-01-01 10:00');
DROP TABLE t.kind;
-- days that no timestamp reaches are no readings
CREATE TABLE t.kind (who text, what text, measured float8, at date);
SELECT analytics.attach_source('t.kind', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.kind VALUES ('ddl date', 'm', 1, '5000000-01-01'), ('ddl date', 'm', 1, '2026-01-01');
SELECT day, reading_count FROM analytics.user_metrics_daily ORDER BY day;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT day, reading_count FROM analytics.user_metrics_daily ORDER BY day;
DROP TABLE t.kind;

-- zones: hours and days that come twice, days that go back, and names that are abbreviations too
SELECT t.state($$SELECT analytics.set_time_zone('CET')$$) AS abbreviation;
SELECT analytics.set_time_zone('Atlantic/Azores');
INSERT INTO t.ddl_source SELECT 'ddl zone', 'm', n, timestamptz '2025-10-26 00:00Z' + n * interval '1 minute' FROM generate_series(1, 50) n;
INSERT INTO t.ddl_source SELECT 'ddl zone', 'm', n, timestamptz '2025-10-26 05:00Z' + n * interval '1 minute' FROM generate_series(1, 30) n;
SELECT analytics.refresh_user_metrics() >= 0;
DELETE FROM t.ddl_source WHERE measured = 50;
SELECT day, reading_count, max_value FROM analytics.user_metrics_daily ORDER BY day;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT day, reading_count, max_value FROM analytics.user_metrics_daily ORDER BY day;
TRUNCATE t.ddl_source;
SELECT analytics.set_time_zone('Australia/Lord_Howe');
INSERT INTO t.ddl_source SELECT 'ddl zone', 'm', n, timestamptz '2026-04-04 14:00Z' + n * interval '1 minute' FROM generate_series(0, 89) n;
SELECT analytics.refresh_user_metrics() >= 0;
DELETE FROM t.ddl_source WHERE measured IN (29, 59, 89);
SELECT bucket, reading_count, max_value FROM analytics.user_metrics_hourly ORDER BY bucket;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT bucket, reading_count, max_value FROM analytics.user_metrics_hourly ORDER BY bucket;
TRUNCATE t.ddl_source;
SELECT analytics.set_time_zone('America/St_Johns');
INSERT INTO t.ddl_source SELECT 'ddl zone', 'm', n, timestamptz '2005-10-30 01:30Z' + n * interval '5 minutes' FROM generate_series(0, 40) n;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT day, reading_count, (SELECT count(*) FROM t.ddl_source WHERE (at AT TIME ZONE 'America/St_Johns')::date = day) = reading_count AS right FROM analytics.user_metrics_daily ORDER BY day;
INSERT INTO t.ddl_source SELECT 'ddl zone', 'm', n, timestamptz '2005-10-30 01:30Z' + n * interval '5 minutes' FROM generate_series(0, 40) n;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT day, reading_count, (SELECT count(*) FROM t.ddl_source WHERE (at AT TIME ZONE 'America/St_Johns')::date = day) = reading_count AS right FROM analytics.user_metrics_daily ORDER BY day;
TRUNCATE t.ddl_source;
SELECT analytics.set_time_zone('UTC');

-- values that become others without a trigger
INSERT INTO t.ddl_source SELECT 'ddl alter', 'm', n, '2026-01-01' FROM generate_series(1, 5) n;
SELECT analytics.refresh_user_metrics() >= 0;
ALTER TABLE t.ddl_source ALTER measured TYPE float8 USING measured * 100;
SELECT * FROM t.counted('t.ddl_source');
SELECT analytics.refresh_user_metrics() >= 0;
SELECT * FROM t.counted('t.ddl_source');
-- what a source may not become
SELECT * FROM t.try($$ALTER TABLE t.ddl_source SET UNLOGGED$$);
SELECT * FROM t.try($$ALTER TABLE t.ddl_source FORCE ROW LEVEL SECURITY$$);
SELECT * FROM t.try($$CREATE TABLE t.heir () INHERITS (t.ddl_source)$$);
CREATE TABLE t.plain (LIKE t.ddl_source);
SELECT * FROM t.try($$CREATE TABLE t.heir () INHERITS (t.plain, t.ddl_source)$$);
CREATE TABLE t.heir () INHERITS (t.plain);
SELECT * FROM t.try($$SELECT analytics.attach_source('t.heir', 'who', NULL, 'what', 'measured', 'at')$$);
CREATE UNLOGGED TABLE t.unlogged (LIKE t.ddl_source);
SELECT * FROM t.try($$SELECT analytics.attach_source('t.unlogged', 'who', NULL, 'what', 'measured', 'at')$$);
DROP TABLE t.heir, t.plain, t.unlogged;
-- a trigger beside those of the source would count twice
CREATE TRIGGER another AFTER INSERT ON t.ddl_source FOR EACH ROW EXECUTE FUNCTION auren.record_change();
SELECT * FROM t.try($$INSERT INTO t.ddl_source VALUES ('ddl', 'm', 1, '2026-01-01')$$);
DROP TABLE t.ddl_source;
SELECT analytics.refresh_user_metrics() >= 0;

-- partitions: made twice, with a schema, dropped together, and by who owns their schema
CREATE TABLE t.parted (who text, what text, measured float8, at timestamptz) PARTITION BY LIST (who);
CREATE TABLE t.one PARTITION OF t.parted FOR VALUES IN ('ddl one') PARTITION BY LIST (what);
CREATE TABLE t.one_m PARTITION OF t.one FOR VALUES IN ('m');
SELECT analytics.attach_source('t.parted', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0;
CREATE TABLE IF NOT EXISTS t.one PARTITION OF t.parted FOR VALUES IN ('ddl one');
CREATE TABLE t.other (LIKE t.parted);
CREATE TABLE IF NOT EXISTS t.other PARTITION OF t.parted FOR VALUES IN ('ddl other');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 't.other'::regclass;
CREATE SCHEMA regress_parts CREATE TABLE two PARTITION OF t.parted FOR VALUES IN ('ddl two');
INSERT INTO t.parted SELECT who, 'm', NULL, '2026-01-01' FROM unnest('{ddl one,ddl two}'::text[]) who, generate_series(1, 3);
TRUNCATE regress_parts.two;
SELECT readings, days FROM t.counted('t.parted');
DROP TABLE t.one_m, t.one, t.one_m;
SELECT readings, days FROM t.counted('t.parted');
CREATE TABLE t.one PARTITION OF t.parted FOR VALUES IN ('ddl one');
INSERT INTO t.parted SELECT 'ddl one', 'm', 1, '2026-01-01' FROM generate_series(1, 5);
SELECT readings, days FROM t.counted('t.parted');
-- schemas that have nothing to do with it, and the end of other sources, leave the source filled; a schema with a partition does not
SELECT analytics.attach_source('t.other', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.detach_source('t.other');
CREATE SCHEMA regress_other;
DROP SCHEMA regress_other;
SELECT count(*) AS filled FROM auren.filled_sources f JOIN analytics.sources s USING (source_id) WHERE s.relation = 't.parted'::regclass;
INSERT INTO t.parted SELECT 'ddl two', 'm', 1, '2026-01-01' FROM generate_series(1, 2);
DROP SCHEMA regress_parts CASCADE;
SELECT readings, days FROM t.counted('t.parted');
SELECT analytics.refresh_user_metrics() >= 0;
SELECT readings, days FROM t.counted('t.parted');
-- a source that cannot be read stops no other
CREATE TABLE t.broken (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.broken', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SET session_replication_role = replica;
ALTER EVENT TRIGGER auren_events_tables_change DISABLE;
ALTER TABLE t.broken RENAME measured TO other;
ALTER EVENT TRIGGER auren_events_tables_change ENABLE ALWAYS;
RESET session_replication_role;
INSERT INTO t.parted SELECT 'ddl one', 'm', 1, '2026-01-02' FROM generate_series(1, 5);
SET client_min_messages = error; -- it warns of source so and so
SELECT analytics.refresh_user_metrics() AS merged;
SET client_min_messages = warning;
SET app.tenant_id = 'another';
SELECT count(*) FROM analytics.user_metrics_daily;
RESET app.tenant_id;
DROP TABLE t.broken, t.parted, t.other;
SELECT analytics.refresh_user_metrics() >= 0 AS merged, (SELECT count(*) FROM analytics.sources WHERE source_id > 1 AND relation IS NOT NULL) AS sources;
DROP FUNCTION t.counted, t.recounts, t.kinds;
DROP TYPE t.mood;
