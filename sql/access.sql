-- Rights: three, each by itself; PUBLIC has none.
SET client_min_messages = warning;
CREATE ROLE regress_reader;
CREATE ROLE regress_writer;
CREATE ROLE "regress Admin";
CREATE ROLE regress_none;
SELECT events.append_event('access:a', 'x', '1') IS NOT NULL;
SELECT events.grant_access('regress_reader', 'reader'), events.grant_access('regress_writer', 'writer'), events.grant_access('regress Admin', 'admin');
CREATE FUNCTION t.may() RETURNS TABLE (what text, result text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH what IN ARRAY ARRAY[
		$q$SELECT events.append_event('access:a', 'x', '1')$q$,
		$q$SELECT * FROM events.append_events('{access:a}', '{x}', '{1}')$q$,
		$q$SELECT * FROM events.replay_stream('access:a')$q$,
		$q$SELECT * FROM events.replay_stream_backward('access:a')$q$,
		$q$SELECT * FROM events.last_event('access:a')$q$,
		$q$SELECT events.get_stream_state('access:a')$q$,
		$q$SELECT events.stream_version('access:a')$q$,
		$q$SELECT events.stream_exists('access:a')$q$,
		$q$SELECT * FROM events.events_by_time('-infinity', 'infinity')$q$,
		$q$SELECT * FROM events.find_events('{"a": 1}')$q$,
		$q$SELECT * FROM events.streams$q$,
		$q$SELECT * FROM events.tenant_events LIMIT 1$q$,
		$q$SELECT * FROM events.event_store LIMIT 1$q$,
		$q$SELECT events.current_tenant()$q$,
		$q$SELECT events.close_stream('access:a', 'r'), events.reopen_stream('access:a')$q$,
		$q$SELECT events.create_monthly_partitions(0)$q$,
		$q$SELECT events.grant_access('regress_none', 'reader')$q$,
		$q$SELECT events.revoke_access('regress_none', 'reader')$q$,
		$q$SELECT events.bind_tenant('regress_none', 'a')$q$,
		$q$SELECT events.unbind_tenant('regress_none', 'a')$q$,
		$q$SELECT * FROM auren.stream_rows$q$,
		$q$SELECT * FROM auren.supplied_ids$q$,
		$q$SELECT * FROM events.tenant_bindings$q$,
		$q$INSERT INTO events.event_store SELECT * FROM events.event_store LIMIT 0$q$,
		$q$DELETE FROM auren.stream_rows$q$,
		$q$SELECT nextval('auren.global_position_seq')$q$,
		$q$CREATE TABLE events.mine ()$q$] LOOP
		result := t.state(what);
		RETURN NEXT;
	END LOOP;
END $$;
\pset format unaligned
SET ROLE regress_none;
SELECT count(*), count(*) FILTER (WHERE result = '42501') AS refused FROM t.may();
SET ROLE regress_reader;
SELECT * FROM t.may() WHERE result = 'ok';
SELECT count(*) AS refused FROM t.may() WHERE result = '42501';
SET ROLE regress_writer;
SELECT * FROM t.may() WHERE result = 'ok';
SELECT count(*) AS refused FROM t.may() WHERE result = '42501';
SET ROLE "regress Admin";
SELECT * FROM t.may() WHERE result = 'ok';
SELECT count(*) AS refused FROM t.may() WHERE result = '42501';
RESET ROLE;
\pset format aligned
-- a service that appends and reads has both; what one right needs stays when the other is taken back
SELECT events.grant_access('regress_writer', 'reader');
SELECT events.revoke_access('regress_writer', 'writer');
SET ROLE regress_writer;
SELECT count(*) FILTER (WHERE result = 'ok') AS reads FROM t.may();
RESET ROLE;
SELECT events.revoke_access('regress_writer', 'reader'), events.revoke_access('regress_reader', 'reader'), events.revoke_access('regress Admin', 'admin');
SET ROLE regress_reader;
SELECT count(*) FILTER (WHERE result = 'ok') AS may FROM t.may();
RESET ROLE;
-- what a role was given itself is all taken back, whatever another role lends it
CREATE ROLE regress_group;
SELECT events.grant_access('regress_group', 'reader'), events.grant_access('regress_group', 'encrypt'), events.grant_access('regress_none', 'writer'), events.grant_access('regress_none', 'decrypt');
GRANT regress_group TO regress_none;
SELECT events.revoke_access('regress_none', 'writer'), events.revoke_access('regress_none', 'decrypt');
SELECT count(*) AS left FROM (SELECT nspacl FROM pg_namespace UNION ALL SELECT proacl FROM pg_proc UNION ALL SELECT relacl FROM pg_class) o(acl), aclexplode(acl) WHERE grantee = 'regress_none'::regrole;
SELECT has_function_privilege('regress_none', 'events.stream_version(text)', 'EXECUTE') AS reads;
SELECT has_schema_privilege('regress_none', 'encrypted', 'USAGE') AS encrypts;
SELECT events.revoke_access('regress_group', 'encrypt'), events.revoke_access('regress_group', 'reader');
SELECT has_schema_privilege('regress_none', 'events', 'USAGE') AS reads, has_schema_privilege('regress_none', 'encrypted', 'USAGE') AS encrypts;
DROP ROLE regress_group;
SELECT * FROM t.try($$SELECT events.grant_access('regress_none', 'owner')$$);
SELECT * FROM t.try($$SELECT events.grant_access('regress_nobody', 'reader')$$);
-- what a version brings for a right goes to the roles that have the right, to nobody else, and to nobody who may it already
CREATE ROLE regress_one_function;
GRANT USAGE ON SCHEMA events TO regress_one_function;
GRANT EXECUTE ON FUNCTION events.replay_stream(text, bigint, bigint) TO regress_one_function;
SELECT events.grant_access('regress_reader', 'reader');
SELECT events.grant_access('regress Admin', 'admin');
CREATE FUNCTION t.has_later(role name, OUT reader boolean, OUT admin boolean) LANGUAGE sql RETURN
	(has_function_privilege(role, 'events.last_event(text, text)', 'EXECUTE'), has_function_privilege(role, 'events.take_snapshot(text)', 'EXECUTE'));
BEGIN;
UPDATE auren.rights SET since = '9.0.0' WHERE object IN ('events.last_event', 'events.take_snapshot');
REVOKE EXECUTE ON FUNCTION events.last_event(text, text), events.take_snapshot(text) FROM regress_reader, "regress Admin";
SELECT r AS role, t.has_later(r) FROM unnest('{regress_reader,regress Admin,regress_one_function,regress_writer}'::name[]) r;
SELECT events.renew_access();
SELECT r AS role, t.has_later(r) FROM unnest('{regress_reader,regress Admin,regress_one_function,regress_writer}'::name[]) r;
SELECT events.renew_access();
ROLLBACK;
-- what was taken from a role by hand stays taken, and what it was given by hand is no right
BEGIN;
REVOKE SELECT ON events.event_store FROM regress_reader;
CREATE ROLE regress_functions;
GRANT USAGE ON SCHEMA events TO regress_functions;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA events, biometric, analytics TO regress_functions;
SELECT events.renew_access() > 0 AS renewed;
SELECT has_table_privilege('regress_reader', 'events.event_store', 'SELECT') AS taken;
SELECT has_any_column_privilege('regress_functions', 'events.event_store', 'SELECT') AS events;
SELECT has_table_privilege('regress_functions', 'biometric.biometric_events', 'SELECT, INSERT') AS readings;
ROLLBACK;
-- another extension's update, and this one's where there is none, change nothing
ALTER EXTENSION auren_events UPDATE;
SELECT * FROM t.try($$SELECT auren.renew_access_after_update()$$);
SET ROLE regress_reader;
SELECT * FROM t.try($$SELECT events.renew_access()$$);
RESET ROLE;
SELECT events.revoke_access('regress_reader', 'reader');
SELECT events.revoke_access('regress Admin', 'admin');
DROP FUNCTION t.has_later(name);
DROP OWNED BY regress_one_function;
DROP ROLE regress_one_function;
-- an installation leaves the settings of its transaction as they are
BEGIN;
SET LOCAL auren_events.allow_drop = on;
DROP EXTENSION auren_events;
SET LOCAL TimeZone = 'Europe/Berlin';
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL bytea_output = 'escape';
CREATE EXTENSION auren_events;
SELECT current_setting('TimeZone') AS zone, current_setting('DateStyle') AS dates, current_setting('bytea_output') AS bytes;
SELECT relation, kind, name FROM auren.table_objects EXCEPT SELECT relation, kind, name FROM auren.shipped_objects;
ROLLBACK;
-- the months that an admin made belong to the store's owner
SELECT count(DISTINCT relowner) FROM pg_class WHERE relname LIKE 'event\_store%' AND relnamespace = 'events'::regnamespace;
DROP ROLE regress_reader, regress_writer, "regress Admin", regress_none;
