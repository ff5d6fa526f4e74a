-- events.months: what is there, what state it is in, what holds it. In a database of its own, since it speaks of the whole store.
\set main :DBNAME
CREATE DATABASE auren_months_seen TEMPLATE template0;
\c auren_months_seen
\getenv directory PG_ABS_SRCDIR
\set ECHO none
CREATE EXTENSION auren_events;
\i :directory/test/sql/old_months.sql
SET datestyle = 'ISO';
\set ECHO all
SELECT events.create_monthly_partitions(0);
SELECT t.old_month('2024-01-01'), t.old_month('2024-02-01'), t.old_month('2024-03-01');
SELECT t.old_event('seen:1', 'a', '1', '2024-01-02 03:04:05+00'), t.old_event('seen:1', 'a', '2', '2024-01-31 23:59:59+00'), t.old_event('seen:2', 'a', '2', '2024-02-01 00:00:00+00', p_tenant => 'other');
-- every month in its order: figures from the ends of the index, no counts yet
SELECT month, partition, state, events, streams, first_position, last_position, first_event_at AT TIME ZONE 'UTC' AS first, last_event_at AT TIME ZONE 'UTC' AS last, held_by
FROM events.months WHERE month < '2025-01-01';
SELECT bool_and(heap_bytes > 0 AND index_bytes > 0) AS sizes, bool_and(estimated_events IS NULL) AS not_analyzed FROM events.months WHERE month < '2025-01-01';
ANALYZE events.event_store;
SELECT month, estimated_events FROM events.months WHERE month < '2025-01-01';
-- this month is open
SELECT state, held_by[1] FROM events.months WHERE partition::text LIKE '%' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM');
-- a transaction that began after the month's end can write to it no more, whatever it holds
BEGIN;
LOCK TABLE events.event_store_2024_02 IN ROW EXCLUSIVE MODE;
SELECT month, state, held_by[1] FROM events.months WHERE month < '2025-01-01';
ROLLBACK;
-- subscriptions hold what they have not passed, those of every tenant
SELECT events.create_subscription('from_start', p_shares => 1), events.create_subscription('from_two', 2, p_shares => 1);
SET app.tenant_id = 'other';
SELECT events.create_subscription('from_start', p_shares => 2);
RESET app.tenant_id;
SELECT month, held_by FROM events.months WHERE month < '2025-01-01';
SELECT count(*) FROM events.fetch('from_start', 'worker');
SELECT events.acknowledge('from_start', 'worker', 1);
SELECT month, held_by FROM events.months WHERE month = '2024-01-01';
SELECT events.acknowledge('from_start', 'worker', 2);
SELECT month, held_by FROM events.months WHERE month = '2024-01-01';
-- what is parked is still needed
SELECT events.reset_subscription('from_start', 0);
SELECT count(*) FROM events.fetch('from_start', 'worker');
SELECT events.park('from_start', 'worker', 1, 'poison'), events.acknowledge('from_start', 'worker', 2);
SELECT month, held_by FROM events.months WHERE month = '2024-01-01';
SELECT events.drop_subscription('from_start'), events.drop_subscription('from_two');
SET app.tenant_id = 'other';
SELECT events.drop_subscription('from_start');
RESET app.tenant_id;
-- a source of readings that was attached and not filled is counted from the events
SELECT analytics.attach_events('a', '{"value": "pulse"}', 'user_id') AS source \gset
SELECT array_position(held_by, 'source:' || :source) IS NOT NULL AS held FROM events.months WHERE month = '2024-01-01';
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
SELECT month, held_by FROM events.months WHERE month = '2024-01-01';
-- a role that is bound to tenants sees nothing of it, and neither does one to whom a policy applies
CREATE ROLE regress_months_reader;
SELECT events.grant_access('regress_months_reader', 'reader');
SET ROLE regress_months_reader;
SELECT count(*) FROM events.months WHERE month < '2025-01-01';
RESET ROLE;
SELECT events.bind_tenant('regress_months_reader', 'default');
GRANT USAGE ON SCHEMA t TO regress_months_reader;
SET ROLE regress_months_reader;
SELECT * FROM t.try('SELECT count(*) FROM events.months');
RESET ROLE;
\c :main
DROP DATABASE auren_months_seen;
DROP ROLE regress_months_reader;
