-- Months are dropped, with the state of each stream carried over. In a database of its own, since it drops what is old in the whole store.
\set main :DBNAME
CREATE DATABASE auren_retention TEMPLATE template0;
\c auren_retention
\getenv directory PG_ABS_SRCDIR
\set ECHO none
CREATE EXTENSION auren_events;
\i :directory/test/sql/old_months.sql
SET datestyle = 'ISO';
\set ECHO all
SELECT events.create_monthly_partitions(0) >= 0 AS made;
SELECT t.old_month('2024-01-01'), t.old_month('2024-02-01'), t.old_month('2024-03-01');
-- an account that goes on, one that stood still, one of another tenant, one that begins later, one that is closed
SELECT t.old_event('account:1', 'opened', '{"owner": "Ann"}', '2024-01-05'), t.old_event('account:1', 'paid', '{"amount": 0.10}', '2024-01-06', '00000000-0000-4000-8000-000000000001');
SELECT t.old_event('account:1', 'paid', '{"amount": 20000000000000000000.25}', '2024-02-05'), t.old_event('account:2', 'opened', '{"owner": "Bob"}', '2024-01-07');
SELECT t.old_event('account:1', 'opened', '{"owner": "Eve"}', '2024-01-07', NULL, 'other'), t.old_event('account:3', 'opened', '{"owner": "Cem"}', '2024-03-07');
SELECT t.old_event('account:4', 'opened', '{"owner": "Dee"}', '2024-01-09');
SELECT events.close_stream('account:4', 'done');
SELECT events.set_reducer('paid', 'sum', '{"fields": ["amount"]}');
SELECT events.append_event('account:1', 'paid', '{"amount": 1}', p_expected_version => 3) IS NOT NULL AS appended;
SELECT events.get_stream_state('account:1') AS before \gset
-- what is needed is named, and nothing of it is dropped
SELECT events.create_subscription('billing', p_shares => 1);
CALL events.drop_months_before('2024-03-01');
CALL events.drop_months_before('2024-02-01', '{unsealed:2024-01}');
CALL events.drop_months_before('2024-02-01', '{subscription:billing}');
CALL events.drop_months_before('2024-02-01', '{unsealed:2024-02,subscription:billing}');
\set VERBOSITY terse
CALL events.drop_months_before('2099-01-01', '{unsealed:*,subscription:billing}');
\set VERBOSITY default
SELECT count(*) FROM events.months WHERE dropped_at IS NOT NULL;
-- bad input
CALL events.drop_months_before(NULL);
CALL events.drop_months_before('infinity');
CALL events.drop_months_before('2024-02-01', '{closed}');
CALL events.drop_months_before('2024-02-01', '{NULL}');
CALL events.drop_months_before('2024-02-01', '{not closed}');
BEGIN;
CALL events.drop_months_before('2024-02-01');
ROLLBACK;
CREATE FUNCTION t.drops() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL events.drop_months_before('2024-01-01'); END $$;
SELECT * FROM t.try('SELECT t.drops()');
-- where the index of positions is missing nobody knows what a month holds
SELECT pg_get_indexdef('events.idx_event_store_position_2024_01'::regclass) AS definition \gset
DROP INDEX events.idx_event_store_position_2024_01;
SELECT month, first_position, held_by FROM events.months WHERE month < '2024-03-01';
CALL events.drop_months_before('2024-02-01', '{unsealed:*,subscription:billing}');
CALL events.drop_months_before('2024-02-01', '{not indexed}');
SELECT count(*) FROM events.months WHERE dropped_at IS NOT NULL;
:definition;
SELECT held_by FROM events.months WHERE month = '2024-01-01';
-- only whole months
CALL events.drop_months_before('2024-01-31', '{unsealed:*,subscription:billing}');
SELECT count(*) FROM events.months WHERE dropped_at IS NOT NULL;
-- forced by name
CALL events.drop_months_before('2024-02-01', '{unsealed:2024-01,subscription:billing (default)}');
SELECT month, partition, state, events, streams, first_position, last_position, first_event_at AT TIME ZONE 'UTC' AS first, recorded_bytes > 0 AS bytes, last_seal, forced, dropped_at <= now() AS at, dropped_by = current_user AS by
FROM events.months WHERE month < '2024-02-01';
SELECT to_regclass('events.event_store_2024_01'), to_regclass('auren.event_tags_2024_01');
-- states now and later begin with the opening balance, digits and all; one before it is told
SELECT :'before' = events.get_stream_state('account:1')::text AS same, events.get_stream_state('account:1');
SELECT version, events.get_stream_state('account:1', version) FROM unnest('{0,2,3,4,9}'::bigint[]) version;
SELECT * FROM t.try($$SELECT events.get_stream_state('account:1', 1)$$);
SELECT events.state_diff('account:1', 2, 3), events.state_diff('account:1', 0, 2);
SELECT stream_id, stream_version, state FROM events.get_category_states('account');
SELECT * FROM events.get_stream_states('{account:2,account:9}');
SET app.tenant_id = 'other';
SELECT events.get_stream_state('account:1');
RESET app.tenant_id;
-- snapshots are taken on top of it
SELECT events.take_snapshot('account:1'), events.take_snapshot('account:2');
SELECT events.get_stream_state('account:1'), events.get_stream_state('account:2');
SELECT events.drop_snapshots();
-- replay and the feed begin with what is left, versions go on
SELECT stream_version, event_type, event_data FROM events.replay_stream('account:1');
SELECT stream_version FROM events.replay_stream_backward('account:1');
SELECT count(*) FROM events.replay_stream('account:2');
SELECT global_position, stream_id, stream_version FROM events.read_all();
SELECT stream_id, version, first_event_at < '2025-01-01' AS old_first, last_event_at < '2025-01-01' AS old_last, closed FROM events.streams ORDER BY 1;
SELECT events.stream_version('account:2'), events.stream_exists('account:2'), events.stream_version('account:4');
SELECT * FROM events.last_event('account:2');
-- a condition on a stream that lost all its events: that it had some is known, of which types is not
SELECT * FROM t.try($$SELECT events.append_if('{"stream": "account:2"}', NULL, '{account:2}', '{paid}', '{1}')$$);
SELECT * FROM t.try($$SELECT events.append_if('{"stream": "account:2"}', NULL, '{account:9}', '{paid}', '{1}')$$);
-- expected versions, closed streams
SELECT events.append_event('account:2', 'paid', '{"amount": 5}', p_expected_version => 0);
SELECT events.append_event('account:2', 'paid', '{"amount": 5}', p_expected_version => 1) IS NOT NULL AS appended;
SELECT events.stream_version('account:2'), events.get_stream_state('account:2'), events.get_stream_state('account:2', 1);
SELECT events.append_event('account:4', 'paid', '{"amount": 5}');
SELECT events.reopen_stream('account:4');
SELECT stream_version FROM events.append_events('{account:4,account:4}', '{paid,paid}', '{1,2}', p_expected_versions => '{1,1}');
SELECT count(*) FROM events.append_if('{"stream": "account:2", "version": 2}', NULL, '{account:2}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
-- ids: the first result again, other content is refused, what the store made is not appended a second time
SELECT events.append_event('account:1', 'paid', '{"amount": 0.10}', p_event_id => '00000000-0000-4000-8000-000000000001');
SELECT stream_version, global_position FROM events.append_events('{account:1}', '{paid}', ARRAY['{"amount": 0.10}']::jsonb[], p_event_ids => '{00000000-0000-4000-8000-000000000001}');
SELECT events.append_event('account:1', 'paid', '{"amount": 0.1}', p_event_id => '00000000-0000-4000-8000-000000000001');
SELECT events.append_event('account:1', 'paid', '{"amount": 0.10}', 'somebody else', p_event_id => '00000000-0000-4000-8000-000000000001');
SELECT events.append_event('account:1', 'paid', '{"amount": 0.10}', p_event_id => '00000000-0000-4000-8000-000000000001', p_tags => '{t}');
SELECT events.append_event('account:1', 'paid', '{"amount": 1}', p_event_id => '018cdf00-0000-7000-8000-000000000001');
-- an import that is given again as well, in the month that it had
SELECT * FROM t.try($$SELECT events.import_events('{account:1}', '{paid}', ARRAY['{"amount": 0.10}']::jsonb[], '{00000000-0000-4000-8000-000000000001}', '{2024-01-06 00:00+00}')$$);
SELECT * FROM t.try($$SELECT events.import_events('{account:1}', '{paid}', ARRAY['{"amount": 0.10}']::jsonb[], '{00000000-0000-4000-8000-000000000001}', '{2024-02-06 00:00+00}')$$);
SELECT events.stream_version('account:1');
-- the next month: the balance goes on from the one before
SELECT events.drop_subscription('billing');
CALL events.drop_months_before('2024-03-02', '{unsealed:*}');
SELECT month, state, events, streams FROM events.months WHERE month < '2025-01-01';
SELECT stream_id, tenant_id, stream_version, state FROM auren.opening_states ORDER BY 2, 1;
SELECT :'before' = events.get_stream_state('account:1')::text AS same;
SELECT * FROM t.try($$SELECT events.get_stream_state('account:1', 2)$$);
SELECT stream_version FROM events.replay_stream('account:1');
-- again: there is nothing left to do
CALL events.drop_months_before('2024-03-02', '{unsealed:*}');
-- months that somebody took away otherwise are not taken for dropped
BEGIN;
ALTER TABLE events.event_store DETACH PARTITION events.event_store_2024_03;
SELECT * FROM t.try($$SELECT events.get_stream_state('account:3')$$);
SELECT * FROM t.try($$SELECT events.append_event('account:3', 'paid', '1')$$);
ROLLBACK;
-- a partition of two months, made by hand, holds events that the day given does not let go
SELECT t.old_month('2023-08-01');
ALTER TABLE events.event_store DETACH PARTITION events.event_store_2023_08;
ALTER TABLE events.event_store ATTACH PARTITION events.event_store_2023_08 FOR VALUES FROM ('2023-08-01 00:00:00+00') TO ('2023-10-01 00:00:00+00');
SELECT t.old_event('account:6', 'opened', '{"owner": "Gil"}', '2023-08-07'), t.old_event('account:6', 'paid', '{"amount": 3}', '2023-09-07');
SELECT month, state, held_by FROM events.months WHERE month = '2023-08-01';
CALL events.drop_months_before('2023-09-01', '{unsealed:*}');
CALL events.drop_months_before('2023-10-01', '{unsealed:*}');
SELECT * FROM t.try($$CALL events.drop_months_before('2023-10-01', '{not a calendar month}')$$);
SELECT stream_version FROM events.replay_stream('account:6');
SET auren_events.allow_drop = on;
DROP TABLE events.event_store_2023_08, auren.event_tags_2023_08;
RESET auren_events.allow_drop;
-- an older month that is there again of its archive does not hide the versions that are gone
SELECT t.old_month('2022-01-01'), t.old_month('2022-02-01'), t.old_event('account:7', 'opened', '{"owner": "Hal"}', '2022-01-07'), t.old_event('account:7', 'paid', '{"amount": 3}', '2022-02-07'), t.old_event('account:1', 'opened', '{}', '2022-01-08', NULL, 'fourth');
CREATE TABLE t.lines (line_number bigserial, line text);
INSERT INTO t.lines (line) SELECT line FROM events.archive_lines('2022-01-01') line;
CALL events.drop_months_before('2022-03-01', '{unsealed:*}');
SELECT events.attach_archive_lines('t.lines');
SELECT events.stream_version('account:7'), summary.version, summary.first_event_at AT TIME ZONE 'UTC' AS first, summary.last_event_at AT TIME ZONE 'UTC' AS last FROM events.stream_summary('account:7') summary;
SELECT version FROM events.streams WHERE stream_id = 'account:7';
SELECT stream_version, state FROM events.get_stream_states('{account:7}');
SELECT events.append_event('account:7', 'paid', '{"amount": 1}', p_expected_version => events.stream_version('account:7')) IS NOT NULL AS appended;
SELECT events.stream_version('account:7'), events.get_stream_state('account:7');
-- versions between those that are there again and those that were never dropped are gone: whoever reads over them is told
SELECT stream_version FROM events.replay_stream('account:7', 1, 1);
SELECT stream_version FROM events.replay_stream('account:7', 2);
SELECT * FROM t.try($$SELECT count(*) FROM events.replay_stream('account:7')$$);
SELECT * FROM t.try($$SELECT count(*) FROM (SELECT events.replay_stream('account:7')) r$$);
SELECT * FROM t.try($$SELECT count(*) FROM events.replay_stream_decrypted('account:7')$$);
SELECT stream_version FROM events.replay_stream_backward('account:7', p_limit => 1);
SELECT * FROM t.try($$SELECT count(*) FROM events.replay_stream_backward('account:7')$$);
SELECT events.detach_archive('2022-01-01');
-- a condition that begins before what was dropped of the tenant cannot be decided; one of another tenant, or that begins after it, can
SELECT max(last_position) AS gone FROM auren.dropped_tenants WHERE tenant_id = 'default' \gset
SELECT * FROM t.try($$SELECT events.append_if('{"types": ["never"]}', 1, '{account:8}', '{paid}', '{1}')$$);
SELECT * FROM t.try(format($$SELECT events.append_if('{"tags": ["never"]}', %s - 1, '{account:8}', '{paid}', '{1}')$$, :gone));
SELECT count(*) FROM events.append_if('{"types": ["never"]}', :gone, '{account:8}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
SELECT count(*) FROM events.append_if('{"types": ["never"]}', NULL, '{account:8}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
SELECT count(*) FROM events.append_if('{"stream": "account:8", "version": 2}', 1, '{account:8}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
SET app.tenant_id = 'third';
SELECT count(*) FROM events.append_if('{"types": ["never"]}', 1, '{account:8}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
RESET app.tenant_id;
SELECT tenant_id, month, last_position = :gone AS newest FROM auren.dropped_tenants ORDER BY 2, 1;
-- where an archive brings them back it can, as long as that is attached
SET app.tenant_id = 'fourth';
SELECT * FROM t.try($$SELECT events.append_if('{"types": ["never"]}', 1, '{account:8}', '{paid}', '{1}')$$);
SELECT events.attach_archive_lines('t.lines');
SELECT count(*) FROM events.append_if('{"types": ["never"]}', 1, '{account:8}', '{paid}', ARRAY['{"amount": 1}']::jsonb[]);
SELECT * FROM t.try($$SELECT events.append_if('{"types": ["opened"]}', 1, '{account:8}', '{paid}', '{1}')$$);
SELECT events.detach_archive('2022-01-01');
SELECT * FROM t.try($$SELECT events.append_if('{"types": ["never"]}', 1, '{account:8}', '{paid}', '{1}')$$);
RESET app.tenant_id;
-- how long events are kept
SELECT events.set_event_retention('27 days');
SELECT events.set_event_retention('-1 month');
SELECT events.set_event_retention('1 month', '{everything}');
CALL events.apply_event_retention();
SELECT events.set_event_retention('6 months');
SELECT keep, forced, set_by = current_user AS by, drops_before = date_trunc('month', now() AT TIME ZONE 'UTC' - interval '6 months') AS before FROM events.event_retention;
CALL events.apply_event_retention();
SELECT events.set_event_retention('6 months', '{unsealed:*}');
CALL events.apply_event_retention();
SELECT month, state FROM events.months WHERE month < '2025-01-01';
SELECT events.set_event_retention(NULL);
SELECT count(*) FROM events.event_retention;
-- who may
CREATE ROLE regress_retention_admin;
SELECT events.grant_access('regress_retention_admin', 'admin'), events.grant_access('regress_retention_admin', 'reader');
SELECT t.old_month('2024-04-01'), t.old_event('account:5', 'opened', '{"owner": "Flo"}', '2024-04-07');
SET ROLE regress_retention_admin;
CALL events.drop_months_before('2024-05-01', '{unsealed:*}');
SELECT month, state, dropped_by FROM events.months WHERE month = '2024-04-01';
RESET ROLE;
SELECT events.get_stream_state('account:5');
SELECT events.bind_tenant('regress_retention_admin', 'default');
SET ROLE regress_retention_admin;
CALL events.drop_months_before('2024-05-01');
CALL events.apply_event_retention();
SELECT events.set_event_retention('1 year');
RESET ROLE;
\c :main
DROP DATABASE auren_retention;
DROP ROLE regress_retention_admin;
