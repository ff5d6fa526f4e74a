-- Data keys and master keys: rotated, counted, wrapped anew.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
-- what other tests left
TRUNCATE auren.data_keys, auren.key_uses;
SELECT encrypted.encrypt_phi_field('72', 'u1') AS e \gset
SELECT count(encrypted.encrypt_phi_field('x', u)) AS people FROM unnest('{7,8,measured,other,one,two}'::text[]) u;
-- keys: a new one for new values, old values open
SELECT encrypted.rotate_user_key('u1'), encrypted.rotate_user_key('new');
SELECT encrypted.encrypt_phi_field('73', 'u1') AS e2 \gset
SELECT encrypted.decrypt_phi_field(:'e', 'u1'), encrypted.decrypt_phi_field(:'e2', 'u1'), substr(:'e', 6, 12) <> substr(:'e2', 6, 12) AS other_key;
-- by itself after so many values; counted across sessions
SET auren_events.max_key_uses = 10;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 25);
\c -
SET client_min_messages = warning;
SET auren_events.max_key_uses = 10;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 6);
SELECT key_version, sum(uses) FROM auren.data_keys JOIN auren.key_uses USING (tenant_id, user_id, key_id) WHERE user_id = 'counted' GROUP BY 1 ORDER BY 1;
-- uses of a transaction that was rolled back are counted later
BEGIN; SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 8); ROLLBACK;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 2);
SELECT key_version, sum(uses) FROM auren.data_keys JOIN auren.key_uses USING (tenant_id, user_id, key_id) WHERE user_id = 'counted' GROUP BY 1 ORDER BY 1;
RESET auren_events.max_key_uses;
-- the master key: another one wraps them, some at a time
SELECT key_version, master_key_id, keys, oldest <= newest AS ages, rotation_pending FROM encrypted.status;
COPY (SELECT 'k2 ' || repeat('fedcba9876543210', 4)) TO PROGRAM 'cat >> auren_events_regress_keys';
SELECT encrypted.master_key_id();
SELECT key_version, master_key_id, keys, rotation_pending FROM encrypted.status;
SELECT encrypted.rotate_master_key(3);
SELECT t.state('SELECT encrypted.rotate_master_key(0)');
SELECT key_version, master_key_id, keys, rotation_pending FROM encrypted.status;
SELECT encrypted.rotate_master_key() > 0 AS rest, encrypted.rotate_master_key() AS none;
SELECT DISTINCT master_key_id FROM auren.data_keys;
-- the old one destroyed: everything still opens
COPY (SELECT 'k2 ' || repeat('fedcba9876543210', 4)) TO PROGRAM 'cat > auren_events_regress_keys';
\c -
SET client_min_messages = warning;
SELECT encrypted.decrypt_phi_field(:'e', 'u1'), encrypted.decrypt_phi_field(:'e2', 'u1');
-- many at a time take another key when it is time; a count may be too high, where some are done twice
SET auren_events.max_key_uses = 10;
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(array_agg(n::text), 'many'), 'many') = array_agg(n::text) AS same FROM generate_series(1, 25) n;
SELECT count(*) > 2 AS some, max(sum) <= 11 AS none_too_long FROM (SELECT sum(uses) FROM auren.key_uses WHERE user_id = 'many' GROUP BY key_id) s;
RESET auren_events.max_key_uses;
-- these keys open under k2 alone, which other tests do not have
TRUNCATE auren.data_keys, auren.key_uses;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
