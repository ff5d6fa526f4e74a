-- Forgotten people: their keys are destroyed, and nothing of them opens.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.add_rule('measured', '{/hr,/note}', 'user:*'), encrypted.add_rule('measured', '{/partner/hr}', '/partner/id');
SELECT events.append_event('user:17', 'measured', '{"hr": 72.50, "device": "d", "partner": {"id": 18, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000b1') IS NOT NULL AS appended;
SELECT count(*) FROM events.append_events('{user:17,user:17}', '{measured,measured}', ARRAY['{"hr": 73, "note": "Ü"}', '{"hr": 1}']::jsonb[]);
SELECT forgotten_people AS forgotten FROM encrypted.status LIMIT 1 \gset
SELECT encrypted.forget_user('17', 'asked for it on paper');
SELECT t.try($$SELECT events.append_event('user:17', 'measured', '{"hr": 1}')$$);
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '17', '/hr')) FROM events.replay_stream('user:17') WHERE stream_version = 1;
SELECT t.state(format('SELECT encrypted.decrypt_phi_fields(%L, %L, %L)', ARRAY[event_data->>'hr'], '17', '/hr')) FROM events.replay_stream('user:17') WHERE stream_version = 1;
-- the same event again: nobody can tell any more that it is the same
SELECT t.state($$SELECT events.append_event('user:17', 'measured', '{"hr": 72.50, "device": "d", "partner": {"id": 18, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000b1')$$);
-- the other person in the same event is still there
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream_decrypted('user:17');
SELECT regexp_replace(events.get_stream_state_decrypted('user:17')::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g');
SELECT t.state($$SELECT encrypted.rotate_user_key('17')$$);
SELECT t.state($$SELECT encrypted.forget_user('17', '')$$);
SELECT t.state($$SELECT encrypted.allow_user('nobody', 'x')$$);
SELECT encrypted.allow_user('17', 'came back');
SELECT t.state($$SELECT events.append_event('user:17', 'measured', '{"hr": 72.50, "device": "d", "partner": {"id": 18, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000b1')$$);
SELECT events.append_event('user:17', 'measured', '{"hr": 99}') IS NOT NULL AS appended;
SELECT max(key_version) FROM auren.data_keys WHERE user_id = '17';
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream_decrypted('user:17');
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '17', '/hr')) FROM events.replay_stream('user:17') WHERE stream_version = 1;
SELECT forgotten_people - :forgotten AS forgotten_people FROM encrypted.status LIMIT 1;
SELECT action, user_id, field, role = session_user AS ours, reason, keys FROM encrypted.audit WHERE user_id IN ('17', '18') ORDER BY at;
-- a state that a function of somebody's made may hold what it decrypted: such snapshots go with the person
CREATE FUNCTION t.opens(state jsonb, event_type text, data jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT encrypted.decrypt_fields(data, '18', '{/partner/hr}') $$;
SELECT events.set_reducer('measured', 'function', '{"function": "t.opens"}');
SELECT events.append_event('user:17', 'measured', '{"partner": {"id": 18, "hr": 81}}') IS NOT NULL AS appended;
SELECT events.take_snapshot('user:17');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text LIKE '%81%' AND stream_id = 'user:17';
SELECT encrypted.forget_user('18', 'asked');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text LIKE '%81%' AND stream_id = 'user:17';
SELECT events.drop_reducer('measured');
SELECT t.state($$SELECT encrypted.drop_rule('measured', 'user:*')$$);
SELECT t.state($$SELECT encrypted.drop_rule('measured', '/partner/id')$$);
SELECT t.state($$SELECT encrypted.drop_rule('measured', 'user:*')$$);
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
