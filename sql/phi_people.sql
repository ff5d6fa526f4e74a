-- Who a number in an event is: one person, however it is written.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
-- one number is one person, however it is written; what is neither a text nor a whole number names nobody
SELECT encrypted.add_rule('numbered', '{/hr}', '/user_id');
SELECT analytics.attach_events('numbered', '{"steps": "steps"}', p_user_field => 'user_id') > 1 AS attached;
SELECT count(events.append_event('walk:1', 'numbered', format('{"user_id": %s, "hr": %s, "steps": 1}', u, n)::jsonb)) FROM unnest('{4711,4711.0,4711.00,"4711"}'::text[]) WITH ORDINALITY v(u, n);
SELECT count(DISTINCT user_id) AS people FROM auren.data_keys WHERE user_id LIKE '4711%';
SELECT event_data->>'hr' FROM events.replay_stream_decrypted('walk:1');
SELECT user_id, reading_count FROM analytics.user_metrics_daily WHERE user_id LIKE '4711%';
SELECT t.try(format('SELECT events.append_event(%L, %L, %L)', 'walk:1', 'numbered', format('{"user_id": %s, "hr": 1}', u))) FROM unnest('{4711.5,true,"null",[4711]}'::text[]) u;
CREATE TABLE t.kept AS SELECT * FROM auren.data_keys WHERE user_id = '4711';
SELECT encrypted.forget_user('4711', 'asked');
SELECT count(*) FILTER (WHERE event_data->>'hr' LIKE 'phi1:%') AS unreadable, count(*) FROM events.replay_stream_decrypted('walk:1');
-- a key that was destroyed stays so when its row is put back, before and after the person is allowed again
INSERT INTO auren.data_keys TABLE t.kept;
SELECT count(*) FILTER (WHERE event_data->>'hr' LIKE 'phi1:%') AS unreadable, count(*) FROM events.replay_stream_decrypted('walk:1');
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '4711', '/hr')) FROM events.replay_stream('walk:1', 1, 1);
SELECT t.state($$SELECT encrypted.encrypt_phi_field('1', '4711')$$);
SELECT encrypted.allow_user('4711', 'came back');
SELECT events.append_event('walk:1', 'numbered', '{"user_id": 4711, "hr": 5}') IS NOT NULL AS appended;
SELECT regexp_replace(event_data->>'hr', 'phi1:.*', 'envelope') FROM events.replay_stream_decrypted('walk:1');
DROP TABLE t.kept;
SELECT analytics.detach_events('numbered'), encrypted.drop_rule('numbered', '/user_id');
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
