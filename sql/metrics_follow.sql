-- What follows the changes of tables goes by OIDs: names that anybody can give bring about nothing, and triggers stay as the extension
-- made them.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
CREATE TABLE t.followed (who text, what text, measured float8, at timestamptz) PARTITION BY LIST (who);
CREATE TABLE t.followed_a PARTITION OF t.followed FOR VALUES IN ('a');
CREATE TABLE t.second (who text, what text, measured float8, at timestamptz) PARTITION BY LIST (who);
SELECT analytics.attach_source('t.followed', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.attach_source('t.second', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
INSERT INTO t.followed SELECT 'a', 'followed', n, '2026-01-01' FROM generate_series(1, 5) n;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
CREATE FUNCTION t.filled() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(relation::text, ' ' ORDER BY relation::text) FROM auren.filled_sources JOIN analytics.sources USING (source_id)
$$;
CREATE FUNCTION t.days() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(format('%s %s: %s', metric_type, user_id, reading_count), ', ' ORDER BY metric_type, user_id), 'none') FROM analytics.user_metrics_daily
$$;
SELECT t.filled();

-- a role without any right: its own table with a trigger of our name goes with its type
CREATE ROLE regress_nobody;
SET ROLE regress_nobody;
CREATE TYPE pg_temp.shape AS (n int);
CREATE TEMP TABLE typed OF pg_temp.shape;
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER auren_record_row AFTER INSERT ON typed FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
DROP TYPE pg_temp.shape CASCADE;
CREATE TEMP TABLE shape (n int);
CREATE TRIGGER auren_record_row AFTER INSERT ON shape FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
ALTER TABLE shape ENABLE TRIGGER ALL;
DROP FUNCTION pg_temp.nothing CASCADE;
DROP TABLE shape;
RESET ROLE;
SELECT t.filled();

-- a partition that goes with something else unfills its own source only
CREATE SCHEMA regress_parts;
CREATE TABLE regress_parts.b PARTITION OF t.followed FOR VALUES IN ('b');
CREATE TABLE regress_parts.c PARTITION OF t.second FOR VALUES IN ('c') PARTITION BY LIST (what);
CREATE TABLE regress_parts.c_m PARTITION OF regress_parts.c FOR VALUES IN ('second');
INSERT INTO t.followed VALUES ('b', 'followed', 1, '2026-01-01');
INSERT INTO t.second VALUES ('c', 'second', 1, '2026-01-01');
SELECT analytics.refresh_user_metrics() >= 0 AS merged, t.days(), t.filled();
CREATE SCHEMA regress_moved;
ALTER TABLE regress_parts.c_m SET SCHEMA regress_moved;
DROP SCHEMA regress_moved CASCADE;
SELECT t.days(), t.filled();
SELECT analytics.refresh_user_metrics() >= 0 AS merged, t.days(), t.filled();
DROP SCHEMA regress_parts CASCADE;
SELECT t.days(), t.filled();
SELECT analytics.refresh_user_metrics() >= 0 AS merged, t.days(), t.filled();
-- what is made with another name on the way is followed, and what is dropped by name needs no recount
BEGIN;
CREATE TABLE t.d PARTITION OF t.followed FOR VALUES IN ('d');
ALTER TABLE t.d RENAME TO e;
CREATE TABLE t.d (who text);
COMMIT;
INSERT INTO t.e VALUES ('d', 'followed', 1, '2026-01-01');
SELECT t.days(), t.filled();
DROP TABLE t.e, t.d;
SELECT t.days(), t.filled();
SELECT count(*) AS written_down FROM auren.source_partitions WHERE relation <> 't.followed_a'::regclass;
-- a name that stands for another table in the path
CREATE SCHEMA regress_path;
CREATE TABLE regress_path.followed (who text, what text);
SET search_path = regress_path, t;
ALTER TABLE followed RENAME COLUMN what TO measured;
ALTER TABLE t.followed DETACH PARTITION t.followed_a;
RESET search_path;
SELECT t.days(), t.filled();
ALTER TABLE t.followed ATTACH PARTITION t.followed_a FOR VALUES IN ('a');
SELECT t.days(), t.filled();
DROP SCHEMA regress_path CASCADE;
INSERT INTO t.followed_a VALUES ('a', 'followed', 9, '2026-01-01');
ALTER TABLE t.followed DETACH PARTITION t.followed_a CONCURRENTLY;
SELECT t.days(), t.filled(), (SELECT count(*) FROM pg_trigger WHERE tgrelid = 't.followed_a'::regclass) AS triggers;
ALTER TABLE t.followed ATTACH PARTITION t.followed_a FOR VALUES IN ('a');
SELECT t.days(), t.filled();
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgrelid IN ('t.followed'::regclass, 't.followed_a'::regclass) ORDER BY 1, 2;

-- foreign tables are neither heirs nor partitions of a source, and nobody's CREATE SCHEMA fails of one
CREATE FOREIGN DATA WRAPPER regress_wrapper;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_wrapper;
CREATE TABLE t.plain_source (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.plain_source', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT * FROM t.try('CREATE FOREIGN TABLE t.foreign_heir () INHERITS (t.plain_source) SERVER regress_server');
SELECT * FROM t.try($$CREATE FOREIGN TABLE t.foreign_part PARTITION OF t.followed FOR VALUES IN ('f') SERVER regress_server$$);
CREATE FOREIGN TABLE t.foreign_table (who text, what text, measured float8, at timestamptz) SERVER regress_server;
SELECT t.state('ALTER FOREIGN TABLE t.foreign_table INHERIT t.plain_source') AS inherit;
SELECT t.state($$ALTER TABLE t.followed ATTACH PARTITION t.foreign_table FOR VALUES IN ('f')$$) AS attach;
SELECT t.state('CREATE SCHEMA regress_heirs CREATE TABLE heir () INHERITS (t.plain_source)') AS heir_in_schema;
CREATE TABLE t.with_foreign (who text, what text, measured float8, at timestamptz) PARTITION BY LIST (who);
ALTER TABLE t.with_foreign ATTACH PARTITION t.foreign_table FOR VALUES IN ('f');
SELECT t.state($$SELECT analytics.attach_source('t.with_foreign', 'who', NULL, 'what', 'measured', 'at')$$) AS with_foreign;
-- one that came while nobody followed
ALTER EVENT TRIGGER auren_events_tables_change DISABLE;
CREATE TABLE t.heir () INHERITS (t.plain_source);
ALTER EVENT TRIGGER auren_events_tables_change ENABLE ALWAYS;
CREATE SCHEMA regress_unconcerned;
DROP SCHEMA regress_unconcerned;
DROP TABLE t.heir, t.plain_source, t.with_foreign;
DROP FOREIGN DATA WRAPPER regress_wrapper CASCADE;

-- triggers of the extension fire always or not at all, those of months and of readings too
SELECT events.append_event('user:follow', 'e', '1') IS NOT NULL AS appended;
ALTER TABLE events.event_store DISABLE TRIGGER ALL;
ALTER TABLE events.event_store ENABLE TRIGGER ALL;
DO $$
DECLARE
	v_month regclass;
BEGIN
	FOR v_month IN SELECT tgrelid FROM pg_trigger JOIN pg_inherits ON inhrelid = tgrelid WHERE inhparent = 'events.event_store'::regclass AND tgname = 'refuse_truncate' LOOP
		EXECUTE format('ALTER TABLE %s DISABLE TRIGGER refuse_truncate, ENABLE TRIGGER refuse_truncate', v_month);
	END LOOP;
END $$;
ALTER TABLE encrypted.audit_log ENABLE TRIGGER USER;
ALTER TABLE events.tenant_bindings ENABLE TRIGGER tell_sessions;
SET session_replication_role = replica;
SELECT t.state('UPDATE events.event_store SET event_type = event_type') AS change;
SELECT t.state('DELETE FROM events.event_store') AS remove;
SELECT t.state('TRUNCATE events.event_store') AS empty;
RESET session_replication_role;
SELECT tgenabled, count(DISTINCT tgname) > 5 AS several FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
WHERE NOT tgisinternal AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events') GROUP BY 1;
-- a trigger of a DBA is his
CREATE FUNCTION t.of_a_dba() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER of_a_dba AFTER INSERT ON biometric.biometric_events FOR EACH ROW EXECUTE FUNCTION t.of_a_dba();
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('f', 'follow', 1, '2026-01-01');
SELECT analytics.refresh_user_metrics() > 0 AS merged, t.days();
-- readings that come while the triggers are disabled, as pg_restore does it, are counted
ALTER TABLE biometric.biometric_events DISABLE TRIGGER ALL;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('f', 'follow', 2, '2026-01-01');
SELECT t.days();
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('f', 'follow', 3, '2026-01-01');
SELECT t.days(), t.filled();
ALTER TABLE biometric.biometric_events ENABLE TRIGGER ALL;
SELECT analytics.refresh_user_metrics() >= 0 AS merged, t.days(), t.filled();
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('f', 'follow', 4, '2026-01-01');
SELECT t.days();
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'biometric.biometric_events'::regclass ORDER BY 1;
ALTER TABLE t.followed_a DISABLE TRIGGER auren_record_truncate;
SELECT t.filled();
ALTER TABLE t.followed_a ENABLE TRIGGER USER;
SELECT analytics.refresh_user_metrics() >= 0 AS merged, t.filled();
ALTER TABLE biometric.biometric_events ENABLE TRIGGER of_a_dba;
SELECT t.filled();

-- only the owner of a table ends what is recorded of it
SELECT events.grant_access('regress_nobody', 'admin');
SET ROLE regress_nobody;
SELECT * FROM t.try($$SELECT analytics.detach_source('t.followed')$$);
RESET ROLE;
SELECT events.revoke_access('regress_nobody', 'admin');
SELECT analytics.detach_source('t.followed');
SELECT count(*) AS triggers, (SELECT count(*) FROM auren.source_partitions) AS written_down FROM pg_trigger WHERE tgrelid IN ('t.followed'::regclass, 't.followed_a'::regclass);
DROP TRIGGER of_a_dba ON biometric.biometric_events;
DROP FUNCTION t.of_a_dba, t.filled, t.days;
DROP TABLE t.followed, t.second;
DELETE FROM biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
