-- What the audit of encrypted fields takes.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
-- rows are added to it and never changed
SELECT encrypted.rotate_user_key('watched');
SELECT action, user_id, field, role = session_user AS ours, reason, keys FROM encrypted.audit WHERE user_id = 'watched';
SELECT t.try('DELETE FROM encrypted.audit_log');
SELECT t.try('UPDATE encrypted.audit_log SET reason = NULL');
SELECT t.try('TRUNCATE encrypted.audit_log');
-- the audit keeps reasons of a bounded size
SELECT t.state(format('SET auren_events.decrypt_reason = %L', repeat('r', 1001))) AS too_long;
SELECT t.state(format('SET auren_events.decrypt_reason = %L', repeat('r', 1000)));
SELECT t.try(format('SELECT encrypted.forget_user(%L, %L)', 'x', repeat('r', 1001)));
SELECT t.state(format('SELECT encrypted.allow_user(%L, %L)', '7', repeat('ü', 501)));
RESET auren_events.decrypt_reason;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
