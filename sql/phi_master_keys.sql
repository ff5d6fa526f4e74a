-- Master keys that are missing or none: clear errors, and nothing of the keys in them.
SET client_min_messages = warning;
LOAD 'auren_events';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
-- a new connection is taken after the server has read its configuration
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT t.try($$SELECT encrypted.encrypt_phi_field('72', 'u')$$);
COPY (SELECT 'k2 ' || repeat('fedcba9876543210', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
SHOW auren_events.master_key_file;
SELECT encrypted.encrypt_phi_field('72', 'locked_out') AS e \gset
-- what is no key
COPY (SELECT 'k2 ' || repeat('f', 63)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT 'k3 ' || repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT encrypted.master_key_id();
\c -
SET client_min_messages = warning;
SELECT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'locked_out'));
COPY (SELECT 'k2 ' || repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'locked_out'));
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; chmod 0644 auren_events_regress_keys'; -- a program that does not read what it is given may break the pipe
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
