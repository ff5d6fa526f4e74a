-- Who may encrypt, decrypt and rotate keys.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.encrypt_phi_field('72', 'u1') AS e \gset
-- who may what
CREATE ROLE regress_encrypts; CREATE ROLE regress_decrypts; CREATE ROLE regress_keys; CREATE ROLE regress_nothing;
SELECT events.grant_access('regress_encrypts', 'encrypt'), events.grant_access('regress_decrypts', 'decrypt'), events.grant_access('regress_keys', 'key_admin');
CREATE TABLE t.may AS SELECT r, f, ''::text AS state FROM unnest('{regress_encrypts,regress_decrypts,regress_keys,regress_nothing}'::text[]) r, unnest(ARRAY[
	$$encrypted.encrypt_phi_field('1', 'u1')$$, format('encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'), $$encrypted.forget_user('x', 'y')$$,
	$$encrypted.encrypt_phi_fields('{1}', 'u1')$$, format('encrypted.decrypt_phi_fields(%L, %L)', ARRAY[:'e'], 'u1'),
	$$encrypted.rotate_master_key()$$, $$encrypted.rotate_user_key('u9')$$, $$count(*) FROM encrypted.status$$, $$count(*) FROM encrypted.audit$$,
	$$count(*) FROM events.replay_stream_decrypted('user:7')$$, $$count(*) FROM events.replay_stream('user:7')$$, $$count(*) FROM auren.data_keys$$, $$current_setting('auren_events.master_key_file')$$]) f;
GRANT SELECT, UPDATE ON t.may TO regress_encrypts, regress_decrypts, regress_keys, regress_nothing;
SET ROLE regress_encrypts; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_decrypts; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_keys; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_nothing; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SELECT regexp_replace(f, 'phi1:[A-Za-z0-9_-]*', 'envelope') AS f, array_agg(regexp_replace(r, 'regress_', '') || ' ' || state ORDER BY r) FROM t.may GROUP BY f ORDER BY f COLLATE "C";
-- nobody names another source of keys for a session of theirs
SET ROLE regress_decrypts;
SELECT t.state($$SET auren_events.master_key_file = '/tmp/x'$$);
SELECT t.state($$SET auren_events.master_key_command = 'cat /tmp/x'$$);
SELECT t.state($$SET auren_events.audit_decrypt = off$$);
SELECT t.state($$SET auren_events.max_key_uses = 1$$);
RESET ROLE;
-- a role that is bound to a tenant opens that tenant's only, and cannot rotate what is all tenants'
SELECT events.bind_tenant('regress_keys', 'other');
SET ROLE regress_keys;
SELECT t.state($$SELECT encrypted.forget_user('u1', 'x')$$);
SELECT t.state($$SELECT encrypted.rotate_master_key()$$);
SET app.tenant_id = 'other';
SELECT t.state($$SELECT encrypted.forget_user('u1', 'x')$$);
SELECT t.state($$SELECT encrypted.rotate_master_key()$$);
RESET app.tenant_id; RESET ROLE;
SELECT events.unbind_tenant('regress_keys', 'other');
SELECT events.revoke_access(r, a) FROM (VALUES ('regress_encrypts', 'encrypt'), ('regress_decrypts', 'decrypt'), ('regress_keys', 'key_admin')) v(r, a);
DROP TABLE t.may;
DROP ROLE regress_encrypts, regress_decrypts, regress_keys, regress_nothing;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
