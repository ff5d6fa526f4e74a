-- Months that get no more events are settled. In a database of its own, since the plan is that of the whole store.
\set main :DBNAME
CREATE DATABASE auren_settle TEMPLATE template0;
\c auren_settle
\getenv directory PG_ABS_SRCDIR
\set ECHO none
CREATE EXTENSION auren_events;
\i :directory/test/sql/old_months.sql
SET datestyle = 'ISO';
SET timezone = 'UTC';
\set ECHO all
SELECT events.create_monthly_partitions(0) >= 0 AS made;
SELECT t.old_month('2024-01-01'), t.old_month('2024-02-01');
SELECT count(t.old_event('s:' || n % 3, 'type' || n % 2, jsonb_build_object('n', n), '2024-01-02'::timestamptz + n * interval '1 hour')) FROM generate_series(1, 30) n;
-- what may be exchanged
SELECT index_name, kind, costs FROM events.settle_policies ORDER BY 1;
SELECT events.set_settle_policy('stream', 'none');
SELECT events.set_settle_policy('nothing', 'none');
SELECT events.set_settle_policy('type_time', 'brin');
SELECT events.set_settle_policy('created_at', NULL);
SELECT events.set_settle_policy('created_at', 'brin'), events.set_settle_policy('metadata_gin', 'none'), events.set_settle_policy('event_data_gin', 'none'), events.set_settle_policy('event_data_gin', 'keep');
SELECT index_name, kind, costs FROM events.settle_policies ORDER BY 1;
-- the plan of the closed months, and nothing of the open one
SELECT step, month, statement FROM events.maintenance_plan() WHERE month = '2024-01-01' ORDER BY step;
SELECT count(DISTINCT month) FROM events.maintenance_plan();
SELECT events.mark_settled('2024-01-01');
SELECT events.mark_settled('2023-01-01');
SELECT state FROM events.months WHERE month = '2024-01-01';
\set ECHO none
SELECT statement FROM events.maintenance_plan() ORDER BY step
\gexec
\set ECHO all
SELECT count(*) FROM events.maintenance_plan();
SELECT month, state, events, streams, settled_at <= now() AS at FROM events.months WHERE month < '2025-01-01';
SELECT regexp_replace(pg_get_indexdef(indexrelid), '^CREATE ', '') FROM pg_index WHERE indrelid = 'events.event_store_2024_01'::regclass ORDER BY 1;
-- read as ever, by the direct ways and by queries
SELECT count(*) FROM events.replay_stream('s:1');
SELECT events.get_stream_state('s:1');
SELECT count(*) FROM events.read_all();
SELECT count(*), min(event_data ->> 'n') FROM events.events_by_time('2024-01-02', '2024-01-02 06:00');
SELECT event_data FROM events.find_events('{"n": 7}');
SELECT events.append_event('s:1', 'type1', '{"n": 31}', p_expected_version => 10) IS NOT NULL AS appended;
-- an event that comes later makes the month one to be settled again
SELECT t.old_event('s:late', 'type1', '{"n": 32}', '2024-01-20');
SELECT state, events, settled_at FROM events.months WHERE month = '2024-01-01';
SELECT statement FROM events.maintenance_plan() WHERE month = '2024-01-01' ORDER BY step LIMIT 2;
-- a settled month is dropped as any other
CALL events.drop_months_before('2024-02-01', '{unsealed:*}');
SELECT state, events FROM events.months WHERE month = '2024-01-01';
SELECT events.get_stream_state('s:1');
\c :main
DROP DATABASE auren_settle;
