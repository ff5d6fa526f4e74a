-- Rules for personal fields: what appends encrypt, what reads and states decrypt.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
-- rules: plain callers need not remember
SELECT encrypted.add_rule('vitals', '{/hr,/note}', 'user:*'), encrypted.add_rule('vitals', '{/partner/hr}', '/partner/id');
TABLE encrypted.rules ORDER BY 1, 2;
SELECT t.try(format('SELECT encrypted.add_rule(%L, %L, %L)', 'vitals', p, u)) FROM (VALUES
	('{/hr/x}', '/who'), ('{/who}', '/who'), ('{/x}', 'nobody'), ('{/partner}', '/who'), ('{/x}', '/hr')) v(p, u);
SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1');
SELECT count(*) FROM events.append_events('{user:7,user:8}', '{vitals,other}', ARRAY['{"hr": 73, "note": "Ü"}', '{"hr": 1}']::jsonb[]);
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream('user:7');
SELECT t.show('user:8');
-- an import too, and given again it is the same
SELECT now() AS imported_at \gset
SELECT stream_version FROM events.import_events('{user:77}', '{vitals}', '{"{\"hr\": 60}"}', '{00000000-0000-0000-0000-0000000000b7}', ARRAY[:'imported_at'::timestamptz]);
SELECT stream_version FROM events.import_events('{user:77}', '{vitals}', '{"{\"hr\": 60}"}', '{00000000-0000-0000-0000-0000000000b7}', ARRAY[:'imported_at'::timestamptz]);
SELECT t.state(format($$SELECT events.import_events('{user:77}', '{vitals}', '{"{\"hr\": 61}"}', '{00000000-0000-0000-0000-0000000000b7}', '{%s}')$$, :'imported_at'));
SELECT regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream('user:77');
SELECT event_data FROM events.replay_stream_decrypted('user:77');
SELECT stream_version, event_data FROM events.replay_stream_decrypted('user:7');
SELECT stream_version, event_data FROM events.replay_stream_decrypted('user:7', 2, 2);
-- the same event again is the same, with other content not; in a batch too
SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1');
SELECT stream_version FROM events.append_events('{user:7,user:7,user:7}', '{vitals,vitals,vitals}', ARRAY['{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', '{"hr": 1}', '{"hr": 1}']::jsonb[],
	p_event_ids => '{00000000-0000-0000-0000-0000000000a1,00000000-0000-0000-0000-0000000000a2,00000000-0000-0000-0000-0000000000a2}');
SELECT t.state(format('SELECT events.append_event(%L, %L, %L, p_event_id => %L)', 'user:7', 'vitals', d, '00000000-0000-0000-0000-0000000000a1')) FROM (VALUES
	('{"hr": 72.5, "device": "d", "partner": {"id": 8, "hr": 80}}'), ('{"hr": 72.50, "device": "e", "partner": {"id": 8, "hr": 80}}'), ('{"hr": 72.50, "device": "d", "partner": {"id": 9, "hr": 80}}')) v(d);
-- a retry is refused when the rule is gone: what comes in the clear is not what is stored
BEGIN;
SELECT encrypted.drop_rule('vitals', 'user:*'), encrypted.drop_rule('vitals', '/partner/id');
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
ROLLBACK;
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
-- fields of nobody are not stored in the clear
SELECT t.try($$SELECT events.append_event('device:1', 'vitals', '{"hr": 72}')$$);
SELECT t.state($$SELECT events.append_event('device:1', 'vitals', '{"hr": null, "n": 1}')$$);
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"partner": {"hr": 1}}')$$);
-- states fold envelopes; decrypted ones fold what they hold
-- a field that is encrypted is no reading, whether the rollups were filled before it or are made anew
SELECT analytics.attach_events('vitals', '{"hr": "hr", "steps": "steps"}') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
SELECT events.append_event('user:measured', 'vitals', '{"hr": 71, "steps": 4000}') IS NOT NULL AS appended;
SELECT metric_type, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'measured';
SELECT analytics.rebuild_source(max(source_id)), analytics.refresh_user_metrics() >= 0 AS refreshed FROM analytics.sources;
SELECT metric_type, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'measured';
SELECT analytics.detach_events('vitals');
SELECT events.set_reducer('vitals', 'sum', '{"into": "hr_sum", "fields": ["hr"]}');
SELECT events.get_stream_state_decrypted('user:7');
SELECT t.state($$SELECT events.get_stream_state('user:7')$$);
SELECT events.drop_reducer('vitals');
SELECT regexp_replace(events.get_stream_state('user:7')::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g');
SELECT events.get_stream_state_decrypted('user:7');
SELECT events.get_stream_state_decrypted('user:7', 1);
SELECT events.take_snapshot('user:7');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text ~ '"hr": "phi1:' AND stream_id = 'user:7';
SELECT events.get_stream_state_decrypted('user:7');
SELECT encrypted.drop_rule('vitals', 'user:*'), encrypted.drop_rule('vitals', '/partner/id');
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
