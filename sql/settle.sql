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
-- the smaller kinds: ids that the store made and types are found as ever
SELECT t.old_month('2024-03-01');
SELECT count(t.old_event('kinds:' || n % 3, 'type' || n % 2, jsonb_build_object('n', n), '2024-03-02'::timestamptz + n * interval '1 hour')) FROM generate_series(1, 30) n;
-- made ids hold their time, and nobody supplied them
ALTER TABLE events.event_store_2024_03 DISABLE TRIGGER ALL;
UPDATE events.event_store_2024_03 SET event_id = (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(global_position), 12, '0'))::uuid;
ALTER TABLE events.event_store_2024_03 ENABLE TRIGGER ALL;
ALTER TABLE events.event_store_2024_03 ENABLE ALWAYS TRIGGER refuse_truncate, ENABLE ALWAYS TRIGGER refuse_row_change;
SELECT events.set_settle_policy('event_id', 'none');
SELECT events.set_settle_policy('type_time', 'short'), events.set_settle_policy('event_id', 'brin');
SELECT index_name, kind, costs FROM events.settle_policies WHERE index_name IN ('type_time', 'event_id') ORDER BY 1;
SELECT month, statement FROM events.maintenance_plan() WHERE statement ~ 'type_time|event_id' ORDER BY step;
\set ECHO none
SELECT statement FROM events.maintenance_plan() ORDER BY step
\gexec
\set ECHO all
SELECT count(*) FROM events.maintenance_plan();
SELECT regexp_replace(pg_get_indexdef(indexrelid), '^CREATE ', '') FROM pg_index WHERE indrelid = 'events.event_store_2024_03'::regclass ORDER BY 1;
SELECT event_id AS made FROM events.event_store WHERE stream_id = 'kinds:1' AND stream_version = 3 \gset
SELECT events.append_event('kinds:1', 'type1', '{"n": 7}', 'system', p_event_id => :'made') = :'made' AS repeated;
SELECT events.append_event('kinds:1', 'type1', '{"n": 8}', 'system', p_event_id => :'made');
SELECT count(*), max(stream_version) FROM events.replay_stream('kinds:1');
SELECT count(*), min(event_data ->> 'n') FROM events.events_by_time('2024-03-02', '2024-03-02 06:00', p_event_type => 'type1');
SELECT events.event_line(:'made') ~ '"stream_version":3,' AS line;
SELECT count(*) FROM events.append_if('{"types": ["type1"]}', NULL, '{kinds:1}', '{type1}', '{"{}"}');
-- an append with an id of that month that no event has
SELECT events.append_event('kinds:1', 'type1', '{}', p_event_id => '018e0000-0000-7000-8000-000000000001') IS NOT NULL AS appended;
-- imports still find their way into the month
SELECT stream_version FROM events.import_events('{kinds:new,kinds:new}', '{type0,type0}', ARRAY['{}', '{}']::jsonb[], ARRAY['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001']::uuid[], '{2024-03-05,2024-03-05}');
SELECT count(*) FROM events.maintenance_plan() WHERE month = '2024-03-01';
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
