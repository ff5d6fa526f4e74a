-- The state of a stream with encrypted fields, carried over when its months are dropped. In a database of its own, since all that is old in the
-- store goes.
\set main :DBNAME
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_dropped_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_dropped_keys';
SELECT pg_reload_conf();
CREATE DATABASE auren_phi_dropped TEMPLATE template0;
\c auren_phi_dropped
\getenv directory PG_ABS_SRCDIR
\set ECHO none
SET client_min_messages = warning;
LOAD 'auren_events';
CREATE EXTENSION auren_events;
\i :directory/test/sql/old_months.sql
CREATE FUNCTION t.hidden(p_state jsonb) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(p_state::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') $$;
SET auren_events.audit_decrypt = off;
\set ECHO all
SELECT events.create_monthly_partitions(0) >= 0 AS made, t.old_month('2024-01-01'), t.old_month('2024-02-01');
SELECT encrypted.add_rule('measured', '{/hr,/note}', 'user:*'), encrypted.add_rule('met', '{/by/words}', '/by/id'), encrypted.add_rule('met', '{/note}', 'user:*');
SELECT events.set_reducer('measured', 'merge', '{"category": "user"}'), events.set_reducer('paid', 'sum', '{"into": "total"}'), events.set_reducer('met', 'append', '{"into": "meetings", "limit": 3}');
-- events of one person, of two, of nobody, and of one who is forgotten already
CREATE FUNCTION t.import(p_stream text, p_type text, p_data jsonb, p_at timestamptz) RETURNS bigint LANGUAGE sql AS $$
	SELECT stream_version FROM events.import_events(ARRAY[p_stream], ARRAY[p_type], ARRAY[p_data], ARRAY[gen_random_uuid()], ARRAY[p_at])
$$;
SELECT t.import('user:ann', 'measured', '{"hr": 72.50, "note": "Ü of Ann", "device": "d"}', '2024-01-02'), t.import('user:ann', 'paid', '{"n": 0.10}', '2024-01-03'),
	t.import('user:ben', 'measured', '{"hr": 80, "note": "of Ben"}', '2024-01-02'), t.import('user:ben', 'met', '{"by": {"id": "cem", "words": "from Cem"}, "note": "met Cem"}', '2024-01-03'),
	t.import('user:gone', 'measured', '{"hr": 1, "note": "gone"}', '2024-01-02'), t.import('user:plain', 'paid', '{"n": 1}', '2024-01-02'),
	t.import('user:ann', 'measured', '{"hr": 60}', '2024-02-02');
SELECT encrypted.forget_user('gone', 'asked');
SELECT events.append_event('user:ann', 'measured', '{"note": "later"}') IS NOT NULL, events.append_event('user:ben', 'paid', '{"n": 3}') IS NOT NULL;
SELECT stream_id, t.hidden(events.get_stream_state_decrypted(stream_id)) AS decrypted FROM auren.stream_rows ORDER BY 1;
CREATE TABLE t.before AS SELECT stream_id, events.get_stream_state(stream_id) AS state, events.get_stream_state_decrypted(stream_id) AS decrypted FROM auren.stream_rows;
CREATE FUNCTION t.differences() RETURNS TABLE (stream_id text, stored text, decrypted text) LANGUAGE sql AS $$
	SELECT stream_id, t.hidden(s.state), t.hidden(s.decrypted) FROM t.before b JOIN (
		SELECT stream_id, events.get_stream_state(stream_id) AS state, events.get_stream_state_decrypted(stream_id) AS decrypted FROM auren.stream_rows) s USING (stream_id)
	WHERE s.state <> b.state OR s.decrypted <> b.decrypted ORDER BY 1
$$;
SET auren_events.audit_decrypt = on;
CALL events.drop_months_before('2024-02-01', '{unsealed:*}');
SET auren_events.audit_decrypt = off;
SELECT * FROM t.differences();
-- what is kept is encrypted, of whom it says, and that of streams without an encrypted field is not kept a second time
SELECT stream_id, stream_version, t.hidden(state) AS state, t.hidden(personal) AS personal FROM auren.opening_states ORDER BY 1;
SELECT count(*) FROM auren.opening_states o WHERE o::text ~* 'of Ann|of Ben|from Cem|met Cem|72.50|"hr": 80';
-- what was decrypted for the balance nobody was given: it is not in the audit
SELECT count(*) FROM encrypted.audit WHERE action = 'decrypt';
-- the next month goes on from it
CALL events.drop_months_before('2024-03-01', '{unsealed:*}');
SELECT * FROM t.differences();
SELECT stream_id, stream_version, t.hidden(personal) AS personal FROM auren.opening_states WHERE personal IS NOT NULL ORDER BY 1;
SELECT t.hidden(events.get_stream_state_decrypted('user:ann', 3)) AS at_3, t.hidden(events.get_stream_state_decrypted('user:ann')) AS now;
SELECT * FROM t.try($$SELECT events.get_stream_state_decrypted('user:ann', 2)$$);
-- a reader sees envelopes, whoever may decrypt sees the values, and nobody another tenant's
CREATE ROLE regress_dropped_reader;
CREATE ROLE regress_dropped_decrypter;
CREATE ROLE regress_dropped_bound;
SELECT events.grant_access('regress_dropped_reader', 'reader'), events.grant_access('regress_dropped_decrypter', 'reader'), events.grant_access('regress_dropped_decrypter', 'decrypt'),
	events.bind_tenant('regress_dropped_bound', 'other'), events.grant_access('regress_dropped_bound', 'reader'), events.grant_access('regress_dropped_bound', 'decrypt');
GRANT USAGE ON SCHEMA t TO PUBLIC;
SET ROLE regress_dropped_reader;
SELECT t.hidden(events.get_stream_state('user:ann'));
SELECT events.get_stream_state_decrypted('user:ann');
SELECT personal FROM auren.opening_states;
SET ROLE regress_dropped_decrypter;
SELECT events.get_stream_state_decrypted('user:ann');
SET ROLE regress_dropped_bound;
SELECT events.get_stream_state_decrypted('user:ann');
SET app.tenant_id = 'other';
SELECT events.get_stream_state_decrypted('user:ann');
RESET app.tenant_id;
RESET ROLE;
-- a balance does not open in another's place
CREATE TABLE t.kept AS SELECT * FROM auren.opening_states;
UPDATE auren.opening_states SET personal = (SELECT personal FROM t.kept WHERE stream_id = 'user:ben') WHERE stream_id = 'user:ann';
SELECT t.hidden(events.get_stream_state_decrypted('user:ann'));
UPDATE auren.opening_states SET personal = (SELECT personal FROM t.kept WHERE stream_id = 'user:ann') WHERE stream_id = 'user:ann';
SELECT * FROM t.differences();
-- reading it is in the audit
SET auren_events.audit_decrypt = on;
SELECT events.get_stream_state_decrypted('user:ben') IS NOT NULL AS shown;
SELECT user_id, field, count(*) FROM encrypted.audit WHERE action = 'decrypt' GROUP BY 1, 2 ORDER BY 1, 2;
SET auren_events.audit_decrypt = off;
-- whoever is forgotten cannot be read any more; where two are in a stream, the balance of both stays encrypted
SELECT encrypted.forget_user('ann', 'asked'), encrypted.forget_user('cem', 'asked');
SELECT t.hidden(events.get_stream_state_decrypted('user:ann')) AS ann, t.hidden(events.get_stream_state_decrypted('user:ben')) AS ben;
SELECT t.hidden(events.get_stream_state('user:ann')) AS ann, t.hidden(events.get_stream_state('user:ben')) AS ben;
\c :main
DROP DATABASE auren_phi_dropped;
DROP ROLE regress_dropped_reader, regress_dropped_decrypter, regress_dropped_bound;
SET client_min_messages = warning;
LOAD 'auren_events';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_dropped_keys';
