-- The feed: all events in order of position, filters, pages, rights, tenants, policies.
SET client_min_messages = warning;
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
SELECT count(*) FROM events.append_events('{feed:1,feed:2,feed:1,food:1,feed,feedback:1}', '{a,b,b,a,c,a}', ARRAY['1', '2', '3', '4', '5', '6']::jsonb[]);
SELECT events.feed_horizon() - p AS drawn FROM start;
SELECT global_position - p AS position, stream_id, stream_version, event_type, event_data, metadata, created_by, created_at <= now() AS past FROM start, events.read_all(p) ORDER BY global_position;
-- each column is the event's
SELECT count(*) AS different FROM start, events.read_all(p) r JOIN events.event_store e USING (event_id)
WHERE (r.global_position, r.stream_id, r.stream_version, r.event_type, r.event_data, r.metadata, r.created_at, r.created_by)
      IS DISTINCT FROM (e.global_position, e.stream_id, e.stream_version, e.event_type, e.event_data, e.metadata, e.created_at, e.created_by);
-- filters
SELECT 'types' AS filter, array_agg(r.event_data) FROM start, events.read_all(p, p_event_types => '{a,c}') r
UNION ALL SELECT 'category', array_agg(r.event_data) FROM start, events.read_all(p, p_category => 'feed') r
UNION ALL SELECT 'prefix', array_agg(r.event_data) FROM start, events.read_all(p, p_stream_prefix => 'fe') r
UNION ALL SELECT 'all three', array_agg(r.event_data) FROM start, events.read_all(p, 10, '{a}', 'feed', 'feed:') r
UNION ALL SELECT 'no type', array_agg(r.event_data) FROM start, events.read_all(p, p_event_types => '{}') r
UNION ALL SELECT 'nothing', array_agg(r.event_data) FROM start, events.read_all(p, p_category => 'nobody') r;
-- pages
SELECT array_agg(r.event_data) FROM start, events.read_all(p, 2) r;
SELECT array_agg(r.event_data) FROM start, events.read_all(p + 2, 2) r;
SELECT count(*) FROM start, events.read_all(p, 0) r;
SELECT count(*) FROM start, events.read_all(p + 6) r;
SELECT count(*) FROM events.read_all(9223372036854775807);
SELECT count(*) >= 6 AS from_the_start FROM events.read_all(-1, 1000000);
-- the whole feed is every event of the tenant, once, in order
SELECT count(*) = (SELECT count(*) FROM events.event_store WHERE tenant_id = 'default') AS all_of_them, count(DISTINCT global_position) = count(*) AS once FROM events.read_all(0, 10000000);
SELECT bool_and(global_position > before) AS in_order FROM (SELECT global_position, lag(global_position) OVER () AS before FROM events.read_all(0, 10000000)) r;
-- rolled back positions are passed by, and are gone
BEGIN; SELECT events.append_event('feed:1', 'undone', '1') IS NOT NULL AS appended; ROLLBACK;
SELECT events.append_event('feed:1', 'd', '7') IS NOT NULL AS appended;
SELECT array_agg(r.event_data), events.feed_horizon() = max(r.global_position) AS final, max(r.global_position) - p AS position FROM start, events.read_all(p + 6) r GROUP BY p;
-- own appends count once they are committed
BEGIN;
SELECT events.append_event('feed:1', 'own', '8') IS NOT NULL AS appended;
SELECT count(*) FROM start, events.read_all(p + 8);
SELECT count(*), bool_and(pid = pg_backend_pid()) AS mine FROM events.feed_blockers;
COMMIT;
SELECT count(*) FROM start, events.read_all(p + 8);
SELECT count(*) FROM events.feed_blockers;
-- a tenant has its own
SET app.tenant_id = 'feed_tenant';
SELECT events.append_event('feed:1', 'other', '9') IS NOT NULL AS appended;
SELECT array_agg(r.event_type) FROM start, events.read_all(p) r;
RESET app.tenant_id;
SELECT count(*) FROM start, events.read_all(p) WHERE event_type = 'other';
-- rights and policies
CREATE ROLE feed_reader; CREATE ROLE feed_none;
SELECT events.grant_access('feed_reader', 'reader');
GRANT USAGE ON SCHEMA events TO feed_none;
GRANT SELECT ON start TO feed_reader, feed_none;
SET ROLE feed_none;
SELECT code, message FROM t.error_of('SELECT * FROM events.read_all()');
SELECT code, message FROM t.error_of('SELECT events.feed_horizon()');
SELECT code, message FROM t.error_of('TABLE events.feed_blockers');
SET ROLE feed_reader;
SELECT count(*) FROM start, events.read_all(p);
SELECT count(*) FROM events.feed_blockers;
SELECT code, message FROM t.error_of('SELECT events.write_feed_horizon()');
RESET ROLE;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY feed_part ON events.event_store FOR SELECT TO feed_reader USING (event_type = 'a');
SET ROLE feed_reader;
SELECT array_agg(r.event_data) FROM start, events.read_all(p) r;
SELECT array_agg(r.event_data) FROM start, events.read_all(p, 1, p_category => 'food') r;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT array_agg(r.event_data) FROM start, events.read_all(p) r;
COMMIT;
RESET ROLE;
DROP POLICY feed_part ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
-- the epoch
SELECT count(*) FROM start, events.read_all(p, p_epoch => events.store_epoch());
SELECT code, message FROM t.error_of($$SELECT * FROM events.read_all(p_epoch => '00000000-0000-0000-0000-000000000000')$$);
-- for standbys, by a job and by appends that pass a multiple of 1,024 positions
SELECT events.write_feed_horizon() = events.feed_horizon() AS written;
SELECT events.write_feed_horizon() = max(global_position) AS same FROM auren.feed_horizons;
SELECT count(*) FROM events.append_events(array_fill('feed:many'::text, ARRAY[2100]), array_fill('m'::text, ARRAY[2100]), array_fill('0'::jsonb, ARRAY[2100]));
SELECT events.feed_horizon() - max(global_position) BETWEEN 0 AND 2100 AS near, count(*) < 5 AS pruned FROM auren.feed_horizons;
BEGIN READ ONLY;
SELECT code, message FROM t.error_of('SELECT events.write_feed_horizon()');
COMMIT;
-- bad input
SELECT e.code, e.message FROM unnest(ARRAY['events.read_all(NULL)', 'events.read_all(0, NULL)', 'events.read_all(0, -1)', 'events.read_all(0, 1, ARRAY[''a'', NULL])', 'events.read_all(0, 1, ARRAY[ARRAY[''a'']])']) WITH ORDINALITY AS c (call, i),
	LATERAL t.error_of('SELECT ' || call) e ORDER BY i;
DROP OWNED BY feed_reader, feed_none;
DROP ROLE feed_reader, feed_none;
