-- What a DBA adds to the store's tables is written down for a dump, or refused.
SET client_min_messages = warning;
CREATE ROLE regress_kept;
GRANT regress_kept TO CURRENT_USER;
SELECT events.grant_access('regress_kept', 'reader'), events.grant_access('regress_kept', 'writer');
SELECT count(*) FROM events.append_events('{kept:a,kept:a}', '{open,secret}', '{1,2}');
SELECT count(*) FROM events.added_objects;
CREATE FUNCTION t.kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE POLICY kept ON events.event_store FOR SELECT TO regress_kept USING (event_type <> 'secret');
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER kept AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.kept();
ALTER TABLE events.event_store DISABLE TRIGGER kept;
ALTER TABLE events.event_store ADD CONSTRAINT kept CHECK (event_type <> 'unkept');
CREATE UNIQUE INDEX kept ON biometric.biometric_events (tenant_id, user_id, metric_type, device_type, timestamp);
ALTER TABLE biometric.biometric_events ALTER COLUMN device_type SET DEFAULT 'watch', ALTER COLUMN value SET STATISTICS 300;
ALTER TABLE biometric.biometric_events SET (autovacuum_vacuum_threshold = 1000);
COMMENT ON POLICY kept ON events.event_store IS 'keeps secrets';
CREATE STATISTICS t.kept ON user_id, metric_type FROM biometric.biometric_events;
CREATE RULE kept AS ON INSERT TO biometric.biometric_events WHERE false DO ALSO NOTHING;
SELECT relation, kind, name, definition, present FROM events.added_objects ORDER BY 1, 2, 3;
-- names that change are followed, what goes is forgotten, what is rolled back too
ALTER FUNCTION t.kept() RENAME TO kept_now;
ALTER TRIGGER kept ON events.event_store RENAME TO kept_on;
SELECT kind, name, definition FROM events.added_objects WHERE kind LIKE 'trigger%' ORDER BY 1;
DROP FUNCTION t.kept_now CASCADE;
SELECT count(*) FROM events.added_objects WHERE kind LIKE 'trigger%';
BEGIN;
DROP INDEX biometric.kept;
SELECT count(*) FROM events.added_objects WHERE kind = 'index';
ROLLBACK;
SELECT count(*) FROM events.added_objects WHERE kind = 'index';
BEGIN;
SAVEPOINT a;
CREATE INDEX kept_no_more ON biometric.biometric_events (event_id);
ROLLBACK TO a;
CREATE TABLE t.bystander (n integer);
CREATE INDEX ON t.bystander (n);
COMMIT;
SELECT count(*) FROM events.added_objects WHERE name = 'kept_no_more';
-- our own triggers in another state, and back
ALTER TABLE biometric.biometric_events DISABLE TRIGGER auren_record_truncate;
SELECT kind, name, definition FROM events.added_objects WHERE name = 'auren_record_truncate';
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_truncate;
SELECT count(*) FROM events.added_objects WHERE name = 'auren_record_truncate';
-- what a restore could not make again is refused
SELECT * FROM t.try('ALTER TABLE events.event_store ADD COLUMN hr text GENERATED ALWAYS AS (event_data ->> ''hr'') STORED');
SELECT t.state('ALTER TABLE biometric.biometric_events ADD COLUMN more text'), t.state('ALTER TABLE biometric.biometric_events DROP COLUMN metadata'),
       t.state('ALTER TABLE biometric.biometric_events RENAME COLUMN metadata TO more'), t.state('ALTER TABLE biometric.biometric_events ALTER COLUMN metadata TYPE text'),
       t.state('ALTER TABLE biometric.biometric_events ALTER COLUMN metadata SET NOT NULL'), t.state('ALTER TABLE auren.stream_rows ADD COLUMN more text'),
       t.state('ALTER TABLE encrypted.audit_log ADD COLUMN more text'), t.state('ALTER TABLE auren.stream_rows RENAME TO other_rows'), t.state('ALTER TABLE analytics.sources SET SCHEMA t');
SELECT * FROM t.try('ALTER SCHEMA events RENAME TO evts');
SELECT t.state('ALTER SCHEMA analytics RENAME TO figures'), t.state('ALTER SCHEMA biometric RENAME TO readings'), t.state('ALTER SCHEMA encrypted RENAME TO secret'),
       t.state('ALTER TABLE events.event_store RENAME TO other'), t.state('ALTER VIEW events.streams RENAME TO other'), t.state('ALTER VIEW events.streams SET SCHEMA t'),
       t.state('ALTER SEQUENCE auren.global_position_seq RENAME TO other');
SELECT * FROM t.try('CREATE INDEX kept_parent ON events.event_store (created_by)');
SELECT t.state('ALTER TABLE events.event_store ADD PRIMARY KEY (created_at, global_position)');
-- and so it is to drop or rename what the extension itself has there, but for the indexes of readings
SELECT * FROM t.try('ALTER TABLE auren.stream_rows DROP CONSTRAINT stream_rows_pkey');
SELECT t.state('DROP TRIGGER refuse_change ON events.event_store'), t.state('DROP TRIGGER auren_record_row ON biometric.biometric_events'),
       t.state('ALTER TRIGGER tell_sessions ON analytics.sources RENAME TO told'), t.state('DROP INDEX auren.series_names'), t.state('DROP INDEX auren.deltas_series'),
       t.state('ALTER INDEX auren.series_ids RENAME TO ids'), t.state('ALTER TABLE auren.data_keys DROP CONSTRAINT data_keys_pkey'),
       t.state('ALTER TABLE auren.kept_objects DROP CONSTRAINT kept_objects_pkey'), t.state('ALTER TABLE biometric.biometric_events DROP CONSTRAINT biometric_events_names_fit'),
       t.state('ALTER TABLE auren.rollup_daily RENAME CONSTRAINT rollup_daily_pkey TO days');
BEGIN;
DROP INDEX biometric.idx_biometric_events_metric_time;
ROLLBACK;
-- CONCURRENTLY too, before the index is dead
DROP INDEX CONCURRENTLY auren.deltas_series;
SELECT indisvalid AND indislive AS alive FROM pg_index WHERE indexrelid = 'auren.deltas_series'::regclass;
CREATE INDEX kept_mine ON auren.deltas (bucket);
DROP INDEX CONCURRENTLY auren.kept_mine;
-- whose table it is decides, not which name the search path finds; and an index is renamed by ALTER TABLE, a table by ALTER INDEX
CREATE TABLE t.mine ();
SET search_path = events, t;
ALTER TABLE mine RENAME TO subscriptions;
CREATE VIEW t.other AS SELECT 1;
SET search_path = t, events;
ALTER VIEW streams RENAME TO other;
RESET search_path;
ALTER INDEX auren.stream_rows RENAME TO other;
DROP TABLE t.subscriptions;
DROP VIEW t.other;
CREATE TRIGGER month AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION auren.refuse_change();
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
SELECT replace(line, :'month', 'YYYY_MM') FROM t.try(format('ALTER TABLE events.event_store_%s DISABLE TRIGGER month', :'month')) line;
DROP TRIGGER month ON events.event_store;
-- a month is a table like any other: a dump holds what is on it
SELECT t.state(format('CREATE INDEX kept_month ON events.event_store_%s (created_by)', :'month'));
DROP INDEX events.kept_month;
-- who has no right to any of this may make tables and indexes as before
SET ROLE regress_kept;
SELECT t.state('CREATE TEMPORARY TABLE kept_temp (n integer); CREATE INDEX ON kept_temp (n); DROP TABLE kept_temp');
SELECT t.state('SELECT * FROM auren.kept_objects');
SELECT t.state('SELECT * FROM events.restore_objects()');
SELECT t.state('SELECT events.give_up_objects()');
RESET ROLE;
CREATE FUNCTION t.restore() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM events.restore_objects()';
GRANT CREATE ON SCHEMA t TO regress_kept;
ALTER FUNCTION t.restore() OWNER TO regress_kept;
GRANT EXECUTE ON FUNCTION events.restore_objects(), events.give_up_objects() TO regress_kept;
SELECT t.state('SELECT t.restore()');
REVOKE EXECUTE ON FUNCTION events.restore_objects(), events.give_up_objects() FROM regress_kept;
DROP FUNCTION t.restore();
INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES ('kept', 'm', 1);
-- A restore brings objects that are not there: until they are, the store is closed.
INSERT INTO auren.kept_objects VALUES
	('events.event_store', 'policy', 'lost', 'CREATE POLICY lost ON events.event_store FOR SELECT TO regress_nobody USING (true)'),
	('events.event_store', 'index', 'kept_broken', 'CREATE INDEX kept_broken ON events.no_such_table (a)'),
	('biometric.biometric_events', 'index', 'kept_found', 'CREATE INDEX kept_found ON biometric.biometric_events (event_id)');
SELECT * FROM t.try($$SELECT events.append_event('kept:a', 'open', '3')$$);
SET ROLE regress_kept;
SELECT * FROM t.try('SELECT count(*) FROM events.event_store');
SELECT t.state('SELECT count(*) FROM biometric.biometric_events'), t.state($$INSERT INTO biometric.biometric_events (user_id, metric_type) VALUES ('u', 'm')$$),
       t.state($$SELECT * FROM events.replay_stream('kept:a')$$), t.state($$SELECT events.get_stream_state('kept:a')$$), t.state('SELECT * FROM events.streams'),
       t.state('SELECT * FROM events.tenant_events'), t.state('SELECT * FROM events.read_all()'), t.state('SELECT * FROM analytics.user_metrics_daily'),
       t.state($$SELECT * FROM analytics.metric_series('u', 'm', now() - interval '1 day', now())$$);
RESET ROLE;
SELECT * FROM events.restore_objects();
SELECT relation, kind, name, present FROM events.added_objects WHERE name LIKE '%lost%' OR name LIKE 'kept\_%' ORDER BY 1, 2, 3;
SELECT t.state($$SELECT events.append_event('kept:a', 'open', '3')$$);
-- with the role there is one less
CREATE ROLE regress_nobody;
SELECT relation, kind, name FROM events.restore_objects();
SELECT t.state($$SELECT events.append_event('kept:a', 'open', '3')$$);
SELECT events.give_up_objects(), events.give_up_objects();
SELECT t.state($$SELECT events.append_event('kept:a', 'open', '3')$$);
SET ROLE regress_kept;
SELECT event_type FROM events.event_store WHERE stream_id = 'kept:a' ORDER BY stream_version;
RESET ROLE;
SELECT count(*) FROM events.restore_objects();
SELECT count(*) FROM events.added_objects WHERE NOT present;
-- not for calling
SELECT * FROM t.try('SELECT auren.objects_came()');
SELECT t.state('SELECT auren.require_restored()');
-- all away again
DELETE FROM biometric.biometric_events WHERE user_id = 'kept';
DROP POLICY kept ON events.event_store;
DROP POLICY lost ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
ALTER TABLE events.event_store DROP CONSTRAINT kept;
DROP INDEX biometric.kept, biometric.kept_found;
DROP STATISTICS t.kept;
DROP RULE kept ON biometric.biometric_events;
ALTER TABLE biometric.biometric_events ALTER COLUMN device_type DROP DEFAULT, ALTER COLUMN value SET STATISTICS -1;
ALTER TABLE biometric.biometric_events RESET (autovacuum_vacuum_threshold);
SELECT relation, kind, name FROM events.added_objects;
SELECT count(*) FROM pg_policy;
SELECT t.dense();
SELECT events.revoke_access('regress_kept', 'reader'), events.revoke_access('regress_kept', 'writer');
DROP OWNED BY regress_kept, regress_nobody;
DROP ROLE regress_kept, regress_nobody;
-- the readings, whose trigger was disabled for a while, are counted anew
SELECT analytics.refresh_user_metrics() >= 0 AS merged;
-- What is written down says the same, whatever the settings of the session whose statement has it written down: a role without any right among them.
CREATE POLICY early ON events.event_store USING (created_at < '2026-02-05' AND created_at > now() - '1 day 2 hours'::interval);
CREATE POLICY low ON biometric.biometric_events USING (value < float8 '100.123456789');
CREATE TABLE t.kept_before AS SELECT relation, name, definition FROM auren.kept_objects WHERE kind = 'policy';
CREATE ROLE regress_none;
SET SESSION AUTHORIZATION regress_none;
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'America/New_York';
SET extra_float_digits = -15;
CREATE TEMPORARY TABLE own ();
COMMENT ON TABLE own IS 'has everything compared';
SET quote_all_identifiers = on;
COMMENT ON TABLE own IS 'once more';
SHOW DateStyle;
RESET quote_all_identifiers;
RESET extra_float_digits;
RESET TimeZone;
RESET IntervalStyle;
RESET DateStyle;
RESET SESSION AUTHORIZATION;
SELECT name, definition FROM auren.kept_objects WHERE kind = 'policy' ORDER BY name;
SELECT count(*) AS others FROM (SELECT relation, name, definition FROM auren.kept_objects WHERE kind = 'policy' EXCEPT SELECT * FROM t.kept_before) k;
DROP TABLE pg_temp.own, t.kept_before;
DROP POLICY early ON events.event_store;
DROP POLICY low ON biometric.biometric_events;
DROP ROLE regress_none;
SELECT count(*) AS kept FROM auren.kept_objects;
