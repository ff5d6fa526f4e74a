-- What a session keeps of the store's tables. On a server with assertions everything here runs with all caches thrown away at every
-- chance: no pointer into one is followed too long, and no call waits for a moment without a change.
SELECT least(max_val::int, 1) AS discard FROM pg_settings WHERE name = 'debug_discard_caches' \gset
SET app.tenant_id = 'caches';
SELECT events.set_reducer('counted', 'count', '{"into": "n"}');
SELECT events.add_notification_rule(p_event_type => 'counted', p_channel => 'caches');
SELECT analytics.attach_events('counted', '{"bpm": "bpm"}') > 1 AS attached;
\c -
SET app.tenant_id = 'caches';
SET debug_discard_caches = :discard;
SELECT events.append_event('caches:1', 'counted', '{"bpm": 61}') IS NOT NULL AS appended;
SELECT count(*) FROM events.append_events(ARRAY['caches:1', 'caches:2'], ARRAY['counted', 'counted'], ARRAY['{"bpm": 62}', '{"bpm": 63}']::jsonb[]);
SELECT stream_version, event_data FROM events.replay_stream('caches:1');
SELECT events.get_stream_state('caches:1');
RESET debug_discard_caches;
SELECT events.get_stream_state('caches:1'), t.show('caches:2');
SELECT events.drop_reducer('counted'), events.drop_notification_rule(p_event_type => 'counted', p_channel => 'caches'), analytics.detach_events('counted');
