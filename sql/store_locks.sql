-- Locks that keep all tenants waiting: what a low right, or a role that is bound to tenants, is refused; who holds one is shown.
SET client_min_messages = warning;
CREATE ROLE regress_locks_writer;
CREATE ROLE regress_locks_bound;
SELECT events.grant_access('regress_locks_writer', 'writer'), events.bind_tenant('regress_locks_bound', 'locks'), events.grant_access('regress_locks_bound', 'admin'),
       events.grant_access('regress_locks_bound', 'key_admin'), events.grant_access('regress_locks_bound', 'writer');
GRANT USAGE ON SCHEMA t TO regress_locks_writer, regress_locks_bound;
-- a writer adds readings, and stops no other one
SET ROLE regress_locks_writer;
SELECT mode, t.state(format('LOCK TABLE biometric.biometric_events IN %s MODE NOWAIT', mode)) FROM unnest('{ROW EXCLUSIVE,SHARE UPDATE EXCLUSIVE,SHARE,SHARE ROW EXCLUSIVE,EXCLUSIVE,ACCESS EXCLUSIVE}'::text[]) mode WHERE mode <> 'ROW EXCLUSIVE';
SELECT c.call, t.state(c.call) FROM unnest(ARRAY['UPDATE biometric.biometric_events SET value = 1', 'DELETE FROM biometric.biometric_events',
	$$INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) VALUES ('locks', 'd', 'm', 1, now())$$]) c (call);
RESET ROLE;
DELETE FROM biometric.biometric_events WHERE user_id = 'locks';
-- attaching events stops all appends to the end of the transaction
SET app.tenant_id = 'locks';
SET ROLE regress_locks_bound;
SELECT code, message, detail FROM t.error_of($$SELECT analytics.attach_events('locks', '{"a": "b"}')$$);
SELECT code, message FROM t.error_of($$SELECT analytics.detach_events('locks')$$);
-- the locks of people are a tenant's own: whoever forgets many keeps no other tenant waiting
SELECT count(encrypted.forget_user('person' || i, 'asked')) AS forgotten FROM generate_series(1, 60) i;
RESET ROLE;
-- who holds what
BEGIN;
SELECT analytics.attach_events('locks', '{"a": "b"}') > 0 AS attached;
SELECT encrypted.forget_user('person61', 'asked'), events.add_notification_rule('locks', 'locks');
LOCK TABLE biometric.biometric_events IN SHARE MODE;
SELECT holds, mode, locks, since = now() AS now, state, query LIKE 'SELECT holds%' AS query, prepared_gid, role = session_user AS role FROM events.lock_holders WHERE pid = pg_backend_pid() ORDER BY 1;
ROLLBACK;
SELECT count(*) FROM events.lock_holders WHERE pid = pg_backend_pid();
RESET app.tenant_id;
DROP OWNED BY regress_locks_writer, regress_locks_bound;
DROP ROLE regress_locks_writer, regress_locks_bound;
