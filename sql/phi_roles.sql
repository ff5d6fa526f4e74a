-- Who stands behind what the audit of encrypted fields says: SET ROLE, SET SESSION AUTHORIZATION, functions that run as their owner.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.encrypt_phi_field('72', 'audited') AS e \gset
CREATE ROLE regress_logs_in; CREATE ROLE regress_taken; CREATE ROLE regress_owns;
GRANT regress_taken TO regress_logs_in;
SELECT events.grant_access(r, 'decrypt') FROM unnest('{regress_logs_in,regress_taken,regress_owns}'::text[]) r;
SELECT events.grant_access(r, 'key_admin') FROM unnest('{regress_logs_in,regress_taken,regress_owns}'::text[]) r;
GRANT USAGE ON SCHEMA t TO regress_logs_in, regress_taken, regress_owns;
CREATE FUNCTION t.opens_as_owner(e text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT encrypted.decrypt_phi_field(e, 'audited') $$;
CREATE FUNCTION t.forgets_as_owner() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT encrypted.forget_user('audited', 'owner for taken') $$;
ALTER FUNCTION t.opens_as_owner OWNER TO regress_owns;
ALTER FUNCTION t.forgets_as_owner OWNER TO regress_owns;
SET auren_events.audit_decrypt = on;
SET auren_events.decrypt_reason = 'nobody else';
SELECT encrypted.decrypt_phi_field(:'e', 'audited');
SET auren_events.decrypt_reason = 'owner alone';
SELECT t.opens_as_owner(:'e');
SET ROLE regress_taken;
SET auren_events.decrypt_reason = 'taken';
SELECT encrypted.decrypt_phi_field(:'e', 'audited');
SET auren_events.decrypt_reason = 'owner for taken';
SELECT t.opens_as_owner(:'e');
RESET ROLE;
-- a superuser who takes another session's name is found too
SET SESSION AUTHORIZATION regress_logs_in;
SET auren_events.decrypt_reason = 'session';
SELECT encrypted.decrypt_phi_field(:'e', 'audited');
SET ROLE regress_taken;
SET auren_events.decrypt_reason = 'taken in session';
SELECT encrypted.decrypt_phi_field(:'e', 'audited');
SELECT t.forgets_as_owner();
RESET SESSION AUTHORIZATION;
SET auren_events.audit_decrypt = off;
SELECT action, reason, replace(role, session_user, 'we') AS role, replace(outer_role, session_user, 'we') AS outer_role, session_role = session_user AS we_logged_in
FROM encrypted.audit WHERE user_id = 'audited' ORDER BY at;
REVOKE regress_taken FROM regress_logs_in;
SELECT events.revoke_access(r, 'decrypt') FROM unnest('{regress_logs_in,regress_taken,regress_owns}'::text[]) r;
SELECT events.revoke_access(r, 'key_admin') FROM unnest('{regress_logs_in,regress_taken,regress_owns}'::text[]) r;
DROP FUNCTION t.opens_as_owner, t.forgets_as_owner;
REVOKE USAGE ON SCHEMA t FROM regress_logs_in, regress_taken, regress_owns;
DROP ROLE regress_logs_in, regress_taken, regress_owns;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
