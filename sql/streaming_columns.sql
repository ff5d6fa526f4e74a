-- Columns that were added to the months and dropped, as a store of an earlier version may have them.
SET client_min_messages = warning;
SELECT count(*) FROM events.append_events((SELECT array_agg('widened:' || 2 + i % 3) FROM generate_series(1, 30) i), array_fill('widened_kind'::text, ARRAY[30]),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 30) i));
ALTER EVENT TRIGGER auren_events_objects_change DISABLE;
ALTER EVENT TRIGGER auren_events_objects_gone DISABLE;
ALTER TABLE events.event_store ADD COLUMN widened_first text, ADD COLUMN widened_second text DEFAULT 'dba';
ALTER TABLE events.event_store DROP COLUMN widened_first;
SELECT events.append_event('widened_ing:2', 'e', '1') IS NOT NULL AS appended;
SELECT stream_version, event_type, event_data, r IS NOT NULL AS whole FROM events.replay_stream('widened_ing:2') r;
SELECT max(stream_version), count(*), bool_and(r IS NOT NULL) AS whole FROM events.replay_stream('widened:2') r;
SELECT event_data FROM events.events_by_time('-infinity', 'infinity', 'widened_kind', 1);
ALTER TABLE events.event_store DROP COLUMN widened_second;
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
SELECT stream_version, event_type, event_data, r IS NOT NULL AS whole FROM events.replay_stream_backward('widened_ing:2') r;
