-- The server compresses the names of an event that fills about 2 kB. Every reader still knows them.
SET client_min_messages = warning;
SELECT 'wide:' || repeat('s', 240) AS stream, repeat('t', 100) AS type, 'wide' || repeat('n', 240) AS tenant,
       format('{"wide": "%s"}', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 54) i)) AS data,
       format('{"wide": "%s"}', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 58) i)) AS wider \gset
SET app.tenant_id = :'tenant';
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
SELECT events.create_subscription('wide', p, p_category => 'wide', p_event_types => ARRAY[:'type'], p_shares => 8) = p AS begun FROM start;
SELECT count(*) FROM events.append_events(ARRAY[:'stream', :'stream', :'stream', :'stream'], ARRAY[:'type', :'type', :'type', :'type'],
                                          ARRAY['{"n": 1}', :'data', :'wider', '{"n": 4}']::jsonb[]);
SELECT stream_version, pg_column_size(tenant_id) < length(tenant_id) AS tenant, pg_column_size(stream_id) < length(stream_id) AS stream,
       pg_column_size(event_type) < length(event_type) AS type
FROM events.event_store WHERE stream_id = :'stream' ORDER BY 1;
-- the feed
SELECT array_agg(r.stream_version) FROM start, events.read_all(p, p_category => 'wide') r;
SELECT array_agg(r.stream_version) FROM start, events.read_all(p, p_event_types => ARRAY[:'type']) r;
SELECT array_agg(r.stream_version) FROM start, events.read_all(p, p_stream_prefix => left(:'stream', 100)) r;
-- a subscription: one share for the stream, and a failed event keeps the later ones back
SELECT count(*), count(DISTINCT share), array_agg(stream_version ORDER BY global_position) FROM events.fetch('wide', 'me');
SELECT events.retry('wide', 'me', global_position, '0', repeat('because', 1000)) FROM events.event_store WHERE stream_id = :'stream' AND stream_version = 2;
SELECT events.acknowledge('wide', 'me', global_position) FROM events.event_store WHERE stream_id = :'stream' AND stream_version = 4;
SELECT stream_version, failed_attempts FROM events.fetch('wide', 'me');
SELECT lag_events FROM events.subscriptions WHERE name = 'wide';
SELECT events.drop_subscription('wide');
-- the stream
SELECT stream_version, event_type = :'type' AS known FROM events.last_event(:'stream', :'type');
SELECT events.append_event(:'stream', 'other', '{}') IS NOT NULL AS appended;
SELECT stream_version, event_type = :'type' AS known FROM events.last_event(:'stream', :'type');
-- its state: one reducer for all of its type
SELECT length(events.get_stream_state(:'stream', 3)::text), (SELECT count(*) FROM jsonb_object_keys(events.get_stream_state(:'stream', 3)));
SELECT events.set_reducer(:'type', 'count', '{"into": "n"}');
SELECT events.get_stream_state(:'stream'), events.get_stream_state(:'stream', 3);
SELECT state FROM events.get_stream_states(ARRAY[:'stream']);
SELECT array_agg(state) FROM events.get_category_states('wide');
SELECT events.drop_reducer(:'type');
-- and the append that comes after it, with an id that is there
SELECT events.append_event(:'stream', :'type', :'wider', p_event_id => event_id) = event_id AS same
FROM events.event_store WHERE stream_id = :'stream' AND stream_version = 3;
-- through the executor, where a policy asks for it
CREATE ROLE wide_reader;
SELECT events.grant_access('wide_reader', 'reader');
SELECT events.bind_tenant('wide_reader', :'tenant');
CREATE POLICY all_rows ON events.event_store FOR SELECT USING (true);
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
SET ROLE wide_reader;
SELECT array_agg(r.stream_version) FROM events.read_all(p_category => 'wide', p_event_types => ARRAY[:'type']) r;
RESET ROLE;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
DROP POLICY all_rows ON events.event_store;
SELECT events.unbind_tenant('wide_reader', :'tenant');
SELECT events.revoke_access('wide_reader', 'reader');
DROP ROLE wide_reader;
RESET app.tenant_id;
