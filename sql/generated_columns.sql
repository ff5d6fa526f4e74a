-- A generated column beside the store's columns, as a store of an earlier version may have one: a virtual one where the server has them (18), else
-- a stored one.
SET client_min_messages = warning;
SELECT CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
SELECT events.append_event('generated:before', 'generated_event', '{"device": "watch", "n": 1}') IS NOT NULL AS appended;
CREATE FUNCTION pg_temp.refused(p_sql text) RETURNS text LANGUAGE sql AS $$ SELECT code || ': ' || message FROM t.error_of(p_sql) $$;
SELECT pg_temp.refused($$ALTER TABLE events.event_store ADD COLUMN device text GENERATED ALWAYS AS (event_data ->> 'device') $$ || :'kind');
SELECT t.state(format('ALTER TABLE %s ADD COLUMN device text GENERATED ALWAYS AS (event_data ->> %L) %s', c.oid::regclass, 'device', :'kind'))
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = 'events.event_store'::regclass LIMIT 1;
ALTER EVENT TRIGGER auren_events_objects_change DISABLE;
ALTER EVENT TRIGGER auren_events_objects_gone DISABLE;
ALTER TABLE events.event_store ADD COLUMN device text GENERATED ALWAYS AS (event_data ->> 'device') :kind;
SELECT events.append_event('generated:before', 'generated_event', '{"device": "ring", "n": 2}', p_event_id => '00000000-0000-0000-0000-00000000ce01') IS NOT NULL AS appended;
SELECT stream_version FROM events.append_events('{generated:before,generated:batch}', '{generated_event,generated_event}', ARRAY['{"device": "scale", "n": 3}', '{"n": 4}']::jsonb[]);
-- the same event again
SELECT events.append_event('generated:before', 'generated_event', '{"device": "ring", "n": 2}', p_event_id => '00000000-0000-0000-0000-00000000ce01');
SELECT t.state($$SELECT events.append_event('generated:before', 'generated_event', '{"device": "other", "n": 2}', p_event_id => '00000000-0000-0000-0000-00000000ce01')$$);
-- read by every function, and by the table
SELECT t.show('generated:before');
SELECT t.show('generated:batch');
SELECT stream_id, stream_version, device FROM events.event_store WHERE stream_id LIKE 'generated:%' ORDER BY 1, 2;
SELECT count(*), bool_and(r IS NOT NULL) AS whole FROM events.replay_stream('generated:before') r;
SELECT stream_version, event_data FROM events.replay_stream_backward('generated:before', p_limit => 1);
SELECT events.get_stream_state('generated:before');
SELECT stream_version FROM events.find_events('{"device": "ring"}', 'generated_event');
SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', 'generated_event');
SELECT count(*) FROM events.read_all(p_stream_prefix => 'generated:', p_limit => 100000);
SELECT count(*) FROM events.tenant_events WHERE stream_id = 'generated:before';
ALTER TABLE events.event_store DROP COLUMN device;
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
SELECT events.append_event('generated:before', 'generated_event', '{"n": 5}') IS NOT NULL AS appended;
SELECT t.show('generated:before');
