-- Sources whose tables are in a bad way, and tables with all kinds of indexes: no source stops the refresh of another, and no code of a
-- table's owner runs when its readings are counted.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
-- metrics of the sources below, and whether they are those of the table
CREATE FUNCTION t.metrics_of(p_metric text, OUT readings bigint, OUT low float8, OUT high float8) LANGUAGE sql AS $$
	SELECT sum(reading_count), min(min_value), max(max_value) FROM analytics.user_metrics_daily WHERE metric_type = p_metric
$$;
CREATE FUNCTION t.pending(p_table regclass) RETURNS bigint LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM auren.deltas d JOIN auren.series s USING (series_id) JOIN analytics.sources o USING (source_id) WHERE o.relation = p_table)
$$;
CREATE TABLE t.good (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.good', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;

-- an index whose expression raises what it likes: when it is made and filled, and when a bucket has to be counted anew
CREATE FUNCTION t.fickle() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('regress.raise', true) = 'on' THEN
		RAISE 'an expression of the owner ran' USING ERRCODE = 'XX000';
	END IF;
	RETURN 1;
END $$;
CREATE TABLE t.bad (who text, what text, measured float8, at timestamptz);
INSERT INTO t.bad SELECT 'u', 'bad', n, '2026-01-01' FROM generate_series(1, 20) n;
CREATE INDEX ON t.bad ((t.fickle()));
CREATE INDEX ON t.bad (who, at) WHERE t.fickle() = 1;
ALTER TABLE t.bad ADD CHECK (t.fickle() = 1);
SELECT analytics.attach_source('t.bad', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.good SELECT 'u', 'good', n, '2026-01-01' FROM generate_series(1, 20) n;
SET regress.raise = on;
SELECT * FROM t.metrics_of('bad');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT count(*) AS filled FROM auren.filled_sources WHERE source_id > 1;
RESET regress.raise;
DELETE FROM t.bad WHERE measured = 20;
DELETE FROM t.good WHERE measured = 20;
SET regress.raise = on;
SELECT * FROM t.metrics_of('bad');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
RESET regress.raise;
SELECT t.pending('t.bad') AS bad_left, t.pending('t.good') AS good_left;
SELECT * FROM t.metrics_of('bad');
SELECT * FROM t.metrics_of('good');

-- an owner who takes his own right away
CREATE ROLE regress_owner;
CREATE SCHEMA regress_owned AUTHORIZATION regress_owner;
CREATE TABLE regress_owned.closed (who text, what text, measured float8, at timestamptz);
ALTER TABLE regress_owned.closed OWNER TO regress_owner;
SELECT analytics.attach_source('regress_owned.closed', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
SET ROLE regress_owner;
INSERT INTO regress_owned.closed SELECT 'u', 'closed', n, '2026-01-01' FROM generate_series(1, 20) n;
RESET ROLE;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SET ROLE regress_owner;
DELETE FROM regress_owned.closed WHERE measured IN (1, 20);
REVOKE SELECT ON regress_owned.closed FROM regress_owner;
RESET ROLE;
SELECT * FROM t.metrics_of('closed');
INSERT INTO t.good VALUES ('u', 'good', 30, '2026-01-02');
SELECT analytics.refresh_user_metrics() > 0 AS merged, t.pending('regress_owned.closed') AS closed_left, t.pending('t.good') AS good_left;
SELECT * FROM t.metrics_of('closed');
DROP SCHEMA regress_owned CASCADE;

-- the first and the last day that readings have, and those beyond them
CREATE TABLE t.days (who text, what text, measured float8, at date);
SELECT analytics.attach_source('t.days', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
INSERT INTO t.days SELECT 'u', 'days', n, at FROM generate_series(1, 20) n, unnest('{2026-01-01,294275-12-31,5874897-12-31,infinity,-infinity,4713-01-01 BC,4714-11-24 BC}'::date[]) at;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
DELETE FROM t.days WHERE measured = 20;
SELECT day, reading_count, max_value FROM analytics.user_metrics_daily WHERE metric_type = 'days' ORDER BY day;
INSERT INTO t.good VALUES ('u', 'good', 31, '2026-01-02');
SELECT analytics.refresh_user_metrics() > 0 AS merged, t.pending('t.days') AS days_left, t.pending('t.good') AS good_left;
SELECT day, reading_count, max_value FROM analytics.user_metrics_daily WHERE metric_type = 'days' ORDER BY day;
DROP TABLE t.days;

-- a table that lost a column while nobody looked: passed over when it is merged, and merged when the column is back
CREATE TABLE t.lost (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.lost', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.lost SELECT 'u', 'lost', n, '2026-01-01' FROM generate_series(1, 20) n;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
DELETE FROM t.lost WHERE measured = 20;
INSERT INTO t.good VALUES ('u', 'good', 32, '2026-01-02');
ALTER EVENT TRIGGER auren_events_tables_change DISABLE;
ALTER TABLE t.lost RENAME measured TO other;
SELECT analytics.refresh_user_metrics() AS merged, t.pending('t.lost') AS lost_left, t.pending('t.good') AS good_left;
SELECT analytics.refresh_user_metrics() AS merged, t.pending('t.lost') AS lost_left, t.pending('t.good') AS good_left;
ALTER TABLE t.lost RENAME other TO measured;
ALTER EVENT TRIGGER auren_events_tables_change ENABLE ALWAYS;
SELECT * FROM t.metrics_of('lost');
SELECT analytics.refresh_user_metrics() AS merged, t.pending('t.lost') AS lost_left;
SELECT * FROM t.metrics_of('lost');
DROP TABLE t.lost, t.bad, t.good;
DROP FUNCTION t.fickle;

-- whatever indexes a table has, a recount finds the same: of all types of names and times, valid ones and others, and beside readings
-- that differ in one name only
CREATE FUNCTION t.by_index(p_table text, p_index text) RETURNS TABLE (metrics text, pending text, merged text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE p_table;
	INSERT INTO t.kind SELECT * FROM t.kind_rows;
	EXECUTE p_index;
	PERFORM analytics.attach_source('t.kind', 'who', 'device', 'what', 'measured', 'at');
	PERFORM analytics.refresh_user_metrics();
	DELETE FROM t.kind WHERE measured = 20;
	SELECT string_agg(format('%s %s %s', reading_count, min_value, max_value), ', ' ORDER BY user_id, device_type) INTO pending FROM analytics.user_metrics_daily WHERE metric_type LIKE 'kind%';
	PERFORM analytics.refresh_user_metrics();
	SELECT string_agg(format('%s %s %s', reading_count, min_value, max_value), ', ' ORDER BY user_id, device_type) INTO merged FROM analytics.user_metrics_daily WHERE metric_type LIKE 'kind%';
	SELECT string_agg(format('%s %s %s', n, l, g), ', ' ORDER BY u, d) INTO metrics
	FROM (SELECT who::text AS u, device::text AS d, count(*) AS n, min(measured) AS l, max(measured) AS g FROM t.kind GROUP BY who, device, what, (at AT TIME ZONE 'UTC')::date) c;
	DROP TABLE t.kind;
	PERFORM analytics.refresh_user_metrics();
	RETURN NEXT;
END $$;
CREATE TABLE t.kind_rows AS SELECT who, device, 'kind' AS what, n AS measured, timestamptz '2026-01-01 10:00Z' AS at FROM generate_series(1, 20) n, unnest('{12,13}'::text[]) who, unnest('{7,NULL}'::text[]) device;
CREATE FUNCTION t.by_indexes(p_who text, p_device text, p_at text) RETURNS TABLE (index text, right_pending boolean, right_merged boolean) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH index IN ARRAY ARRAY['', '(at)', '(who, at DESC)', '(who, device, at)', '(device, who, what, at)', '(what, who)', '(device NULLS FIRST)', '(measured, who)', '(lower(what), at)', '(who, at) WHERE measured < 5',
	                             '(what text_pattern_ops, at)', 'USING hash (who)', 'USING brin (at)', '(what COLLATE "C", at) INCLUDE (who)'] LOOP
		RETURN QUERY SELECT index, i.metrics = i.pending, i.metrics = i.merged
		FROM t.by_index(format('CREATE TABLE t.kind (who %s, device %s, what text, measured float8, at %s)', p_who, p_device, p_at), CASE WHEN index = '' THEN 'SELECT' ELSE 'CREATE INDEX ON t.kind ' || index END) i;
	END LOOP;
END $$;
SELECT * FROM t.by_indexes('text', 'varchar(20)', 'timestamptz');
CREATE FUNCTION t.typed_rows(p_who text, p_device text, p_at text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_wrong text;
BEGIN
	EXECUTE format('ALTER TABLE t.kind_rows ALTER who TYPE %s USING who::%1$s, ALTER device TYPE %s USING device::%2$s, ALTER at TYPE %s', p_who, p_device, p_at);
	SELECT coalesce(string_agg(index, ' '), 'all right') INTO v_wrong FROM t.by_indexes(p_who, p_device, p_at) WHERE NOT (right_pending AND right_merged);
	RETURN v_wrong;
END $$;
SELECT t.typed_rows('int', 'bigint', 'timestamp');
SELECT t.typed_rows('smallint', 'numeric', 'date');
DROP TABLE t.kind_rows;
DROP FUNCTION t.by_index, t.by_indexes, t.typed_rows, t.metrics_of, t.pending;
SELECT analytics.refresh_user_metrics() >= 0 AS merged, (SELECT count(*) FROM analytics.sources WHERE source_id > 1) AS sources;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
