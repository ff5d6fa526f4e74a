-- What a session or a role has as its defaults decides nothing about a month that it makes; a month that was detached still refuses changes.
SET client_min_messages = warning;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_months LOCATION '';
CREATE TABLESPACE regress_session LOCATION '';
CREATE ACCESS METHOD regress_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE ROLE regress_sees;
CREATE VIEW t.newest_month AS
	SELECT c.relname AS month, coalesce(ts.spcname, 'default') AS tablespace, a.amname AS method,
	       (SELECT string_agg(DISTINCT coalesce(xs.spcname, 'default'), ', ') FROM pg_index JOIN pg_class x ON x.oid = indexrelid LEFT JOIN pg_tablespace xs ON xs.oid = x.reltablespace WHERE indrelid = c.oid) AS indexes_in,
	       (SELECT string_agg(DISTINCT attcompression, '') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS compression,
	       (SELECT string_agg(DISTINCT CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE r.grantee::regrole::text END, ', ') FROM aclexplode(c.relacl) r WHERE r.grantee <> c.relowner) AS others_with_rights
	FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_am a ON a.oid = c.relam LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
	WHERE inhparent = 'events.event_store'::regclass ORDER BY c.relname DESC LIMIT 1;
-- the session's settings
BEGIN;
SET LOCAL default_tablespace = regress_session;
SET LOCAL default_table_access_method = regress_heap;
SELECT events.create_monthly_partitions(60) > 0 AS made;
SELECT tablespace, method, indexes_in FROM t.newest_month;
SELECT current_setting('default_tablespace') AS tablespace, current_setting('default_table_access_method') AS method;
ROLLBACK;
-- the parent's count
BEGIN;
ALTER TABLE events.event_store SET TABLESPACE regress_months;
ALTER TABLE events.event_store ALTER event_data SET COMPRESSION pglz;
SET LOCAL default_tablespace = regress_session;
SELECT events.create_monthly_partitions(60) > 0 AS made;
SELECT tablespace, indexes_in, compression FROM t.newest_month;
ROLLBACK;
-- default privileges give nobody a month: policies and bindings hold on the way through the parent alone
BEGIN;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_sees;
ALTER DEFAULT PRIVILEGES IN SCHEMA events GRANT SELECT ON TABLES TO PUBLIC;
SELECT events.create_monthly_partitions(60) > 0 AS made;
SELECT others_with_rights FROM t.newest_month;
SELECT has_table_privilege('regress_sees', ('events.' || month)::regclass, 'SELECT') AS reads FROM t.newest_month;
ROLLBACK;
-- whoever can read a table of ours that shows all tenants, a month say, cannot be bound
SELECT min(inhrelid::regclass::text) AS month FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass \gset
CREATE FUNCTION t.can_be_bound() RETURNS SETOF text LANGUAGE sql AS $$ SELECT t.try($q$SELECT events.bind_tenant('regress_sees', 'a')$q$) $$;
BEGIN; GRANT SELECT ON :month TO regress_sees; SELECT regexp_replace(line, '\d{4}_\d\d', 'YYYY_MM') FROM t.can_be_bound() line; ROLLBACK;
BEGIN; GRANT SELECT ON auren.stream_snapshots TO PUBLIC; SELECT * FROM t.can_be_bound(); ROLLBACK;
BEGIN; GRANT SELECT (event_data) ON events.event_store TO regress_sees; SELECT * FROM t.can_be_bound(); ROLLBACK;
BEGIN; GRANT SELECT (user_id) ON auren.series TO regress_sees; SELECT * FROM t.can_be_bound(); ROLLBACK;
BEGIN;
SELECT events.grant_access('regress_sees', a) FROM unnest('{reader,writer,admin,encrypt,decrypt,key_admin}'::text[]) a;
SELECT * FROM t.can_be_bound();
ROLLBACK;
-- DETACH, a change, ATTACH
SELECT events.append_event('detached:a', 'x', '1') IS NOT NULL AS appended;
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
BEGIN;
ALTER TABLE events.event_store DETACH PARTITION events.event_store_:month;
CREATE FUNCTION t.changes() RETURNS TABLE (attempt text, state text) LANGUAGE sql AS $$
	SELECT a, t.state(format(a, 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')))
	FROM unnest('{UPDATE %s SET event_type = ''y'',DELETE FROM %s,TRUNCATE %s}'::text[]) a
$$;
SELECT * FROM t.changes();
SET LOCAL session_replication_role = replica;
SELECT * FROM t.changes();
ROLLBACK;
DROP FUNCTION t.can_be_bound;
DROP VIEW t.newest_month;
DROP ROLE regress_sees;
DROP ACCESS METHOD regress_heap;
DROP TABLESPACE regress_months;
DROP TABLESPACE regress_session;
