-- What events.stats counts: each thing exactly as often as it was done. In a database of its own, since others would count in this one.
\set home :DBNAME
CREATE DATABASE stats_of_their_own;
\c stats_of_their_own
SET client_min_messages = warning;
CREATE EXTENSION auren_events;
SET auren_events.notifier = off;
SELECT count(*) > 0 AS made FROM events.create_monthly_partitions(2);
CREATE SCHEMA t;
CREATE TABLE t.seen (counts jsonb);
INSERT INTO t.seen SELECT to_jsonb(s) - 'stats_since' - 'refresh_ms' FROM events.stats s;
-- what has been counted since it was asked last
CREATE FUNCTION t.moved() RETURNS TABLE (name text, times bigint) LANGUAGE plpgsql AS $$
DECLARE
	now jsonb := (SELECT to_jsonb(s) - 'stats_since' - 'refresh_ms' FROM events.stats s);
BEGIN
	RETURN QUERY SELECT n.key, n.value::bigint - (SELECT (counts ->> n.key)::bigint FROM t.seen) FROM jsonb_each_text(now) n
		WHERE n.value::bigint <> (SELECT (counts ->> n.key)::bigint FROM t.seen) ORDER BY n.key COLLATE "C";
	UPDATE t.seen SET counts = now;
END $$;
SELECT * FROM t.moved();

-- a new store has counted nothing, whatever was counted under its OID before
SELECT sum(value::text::bigint) AS counted FROM t.seen, jsonb_each(counts);

-- appends
SELECT count(events.append_event('stats:1', 'happened', '{"n": 1}')) FROM generate_series(1, 3);
SELECT count(*) FROM events.append_events('{stats:2,stats:2,stats:3}', '{a,b,c}', '{1,2,3}');
SELECT count(*) FROM events.append_if('{"tags": ["never"]}', NULL, '{stats:4,stats:5}', '{a,b}', '{1,2}');
SELECT * FROM t.moved();
-- a batch of nothing is no append
SELECT count(*) FROM events.append_events('{}', '{}', '{}');
SELECT * FROM t.moved();

-- what is taken back was not appended
BEGIN;
SELECT count(events.append_event('stats:1', 'undone', '{}')) FROM generate_series(1, 5);
ROLLBACK;
BEGIN;
SELECT events.append_event('stats:1', 'kept', '{}') IS NOT NULL AS kept;
SAVEPOINT a;
SELECT count(events.append_event('stats:1', 'undone', '{}')) FROM generate_series(1, 2);
SAVEPOINT b;
SELECT count(events.append_event('stats:1', 'undone', '{}')) FROM generate_series(1, 4);
RELEASE b;
ROLLBACK TO a;
SELECT count(events.append_event('stats:1', 'kept', '{}')) FROM generate_series(1, 8);
SAVEPOINT c;
SELECT count(events.append_event('stats:1', 'kept', '{}')) FROM generate_series(1, 16);
RELEASE c;
RELEASE a;
-- a transaction does not see its own counts
SELECT * FROM t.moved();
COMMIT;
SELECT * FROM t.moved();
-- many savepoints, most of them taken back
DO $$
BEGIN
	FOR i IN 1 .. 2000 LOOP
		BEGIN
			PERFORM events.append_event('stats:1', 'tried', '{}');
			IF i % 4 <> 0 THEN
				RAISE EXCEPTION 'back';
			END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
SELECT * FROM t.moved();
-- a procedure that commits
DO $$
BEGIN
	FOR i IN 1 .. 10 LOOP
		PERFORM events.append_event('stats:1', 'counted', '{}');
		IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
SELECT * FROM t.moved();

-- conflicts, in transactions that fail and in savepoints
\set VERBOSITY sqlstate
SELECT events.append_event('stats:1', 'late', '{}', p_expected_version := 1);
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			PERFORM events.append_event('stats:1', 'late', '{}', p_expected_version := 1);
		EXCEPTION WHEN SQLSTATE 'ZE001' THEN NULL;
		END;
	END LOOP;
END $$;
SELECT * FROM t.moved();
SELECT events.append_event('stats:6', 'named', '{"n": 1}', p_event_id := '00000000-0000-4000-8000-00000000a001') IS NOT NULL AS appended;
SELECT * FROM t.moved();
SELECT events.append_event('stats:6', 'named', '{"n": 1}', p_event_id := '00000000-0000-4000-8000-00000000a001') IS NOT NULL AS repeated;
SELECT * FROM t.moved();
SELECT events.append_event('stats:6', 'named', '{"n": 2}', p_event_id := '00000000-0000-4000-8000-00000000a001');
SELECT * FROM t.moved();
SELECT count(*) FROM events.append_events('{stats:7,stats:7}', '{a,a}', '{1,1}', p_event_ids := '{00000000-0000-4000-8000-00000000a002,00000000-0000-4000-8000-00000000a002}');
SELECT * FROM t.moved();
SELECT count(*) FROM events.append_if('{"types": ["named"]}', NULL, '{stats:8}', '{a}', '{1}');
SELECT * FROM t.moved();
-- refused: names, arguments, a closed stream, a query that is none
SELECT events.append_event('', 'a', '{}');
SELECT events.append_event('stats:8', 'a', NULL);
SELECT events.append_event('stats:8', 'a', '{}', p_expected_version := -7);
SELECT count(*) FROM events.append_events('{stats:8}', '{a,b}', '{1}');
SELECT count(*) FROM events.append_if('7', NULL, '{stats:8}', '{a}', '{1}');
SELECT events.close_stream('stats:7', 'over');
SELECT events.append_event('stats:7', 'a', '{}');
BEGIN READ ONLY;
SELECT events.append_event('stats:8', 'a', '{}');
ROLLBACK;
SELECT * FROM t.moved();
-- a cancel is no refusal
SET statement_timeout = 1;
SELECT count(pg_sleep(0.01)), count(events.append_event('stats:8', 'a', '{}')) FROM generate_series(1, 1000);
RESET statement_timeout;
SELECT * FROM t.moved() WHERE name = 'appends_refused';
\set VERBOSITY default

-- reads
SELECT count(*) FROM events.replay_stream('stats:2');
SELECT count(*) FROM events.replay_stream_backward('stats:2', p_limit => 1);
SELECT events.replay_stream('stats:2') IS NOT NULL AS read;
SELECT count(*) FROM (SELECT FROM events.replay_stream('stats:1') LIMIT 5) r;
SELECT * FROM t.moved();
SELECT count(*) FROM events.read_all(p_limit => 4);
SELECT count(*) FROM events.read_all(p_after_position => 1000000);
SELECT * FROM t.moved();
SELECT events.get_stream_state('stats:2');
SELECT events.take_snapshot('stats:2');
SELECT events.get_stream_state('stats:2');
SELECT count(*) FROM events.get_stream_states('{stats:2,stats:3}');
SELECT * FROM t.moved();
SET auren_events.snapshot_after = 2;
SELECT count(events.get_stream_state('stats:4')), count(events.get_stream_state('stats:1')) FROM generate_series(1, 2);
RESET auren_events.snapshot_after;
SELECT * FROM t.moved();

-- subscriptions
SELECT events.create_subscription('stats', 0, p_shares => 1, p_max_attempts => 2, p_lease => '1 hour', p_stream_waits => false) IS NOT NULL AS made;
SELECT count(*) FROM events.fetch('stats', 'w', 3);
SELECT events.acknowledge('stats', 'w', (SELECT min(global_position) FROM events.event_store));
SELECT * FROM t.moved();
SELECT events.park('stats', 'w', (SELECT global_position FROM events.event_store ORDER BY 1 OFFSET 1 LIMIT 1));
SELECT events.retry('stats', 'w', (SELECT global_position FROM events.event_store ORDER BY 1 OFFSET 2 LIMIT 1), '0 s');
SELECT * FROM t.moved();
-- given again, and parked after its last attempt
SELECT count(*) FROM events.fetch('stats', 'w', 1);
SELECT events.retry('stats', 'w', (SELECT global_position FROM events.event_store ORDER BY 1 OFFSET 2 LIMIT 1), '0 s');
SELECT * FROM t.moved();
BEGIN;
SELECT count(*) FROM events.fetch('stats', 'w', 2);
ROLLBACK;
SELECT * FROM t.moved();
-- a consumer that does not come back
SELECT events.alter_subscription('stats', p_lease => '100 ms');
SELECT count(*) FROM events.fetch('stats', 'w', 2);
SELECT pg_sleep(0.2);
SELECT count(*) FROM events.fetch('stats', 'other', 2);
SELECT * FROM t.moved();

-- notifications
SELECT events.add_notification_rule('told', 'stats_channel') IS NOT NULL AS made;
SELECT count(events.append_event('stats:1', 'told', '{}')) FROM generate_series(1, 3);
SELECT * FROM t.moved();
BEGIN;
SELECT events.append_event('stats:1', 'told', '{}') IS NOT NULL AS appended;
ROLLBACK;
SELECT * FROM t.moved();

-- metrics
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('stats', 'hr', 60, '2024-01-01 12:00+00');
SELECT refresh_ms AS before FROM events.stats \gset
SELECT analytics.refresh_user_metrics() > 0 AS refreshed;
SELECT * FROM t.moved();
SELECT refresh_ms > :before AS took_time FROM events.stats;

-- an import
SELECT count(*) FROM events.import_events('{stats_import:1,stats_import:1}', '{a,b}', '{1,2}',
	'{00000000-0000-4000-8000-00000000a003,00000000-0000-4000-8000-00000000a004}', '{2024-01-01 00:00+00,2024-01-02 00:00+00}');
SELECT * FROM t.moved();

-- by tenant: nothing yet
SELECT count(*) FROM events.stats_by_tenant;
SET auren_events.stats_by_tenant = on;
SET app.tenant_id = 'a';
SELECT count(events.append_event('stats:1', 'happened', '{}')) FROM generate_series(1, 3);
SET app.tenant_id = 'b';
SELECT count(*) FROM events.replay_stream('stats:1');
-- several in one transaction, with a savepoint
BEGIN;
SELECT events.append_event('stats:1', 'happened', '{}') IS NOT NULL AS appended;
SET LOCAL app.tenant_id = 'a';
SELECT count(events.append_event('stats:1', 'happened', '{}')) FROM generate_series(1, 10);
SAVEPOINT s;
SELECT events.append_event('stats:1', 'undone', '{}') IS NOT NULL AS appended;
SET LOCAL app.tenant_id = 'b';
SELECT events.append_event('stats:1', 'undone', '{}') IS NOT NULL AS appended;
ROLLBACK TO s;
SET LOCAL app.tenant_id = 'c';
SAVEPOINT s;
SELECT count(events.append_event('stats:1', 'happened', '{}')) FROM generate_series(1, 20);
SET LOCAL app.tenant_id = 'a';
SELECT count(events.append_event('stats:1', 'happened', '{}')) FROM generate_series(1, 100);
RELEASE s;
COMMIT;
SELECT tenant_id, appends, events_appended, replays, version_conflicts FROM events.stats_by_tenant ORDER BY 1;
SELECT * FROM t.moved();
-- What is refused for its arguments is its own tenant's too, and what is refused for its tenant is nobody's.
CREATE ROLE stats_tenant_d;
SELECT events.grant_access('stats_tenant_d', 'writer'), events.bind_tenant('stats_tenant_d', 'd');
SET app.tenant_id = 'a';
SELECT count(*) FROM events.replay_stream('stats:1');
SET app.tenant_id = 'd';
SET ROLE stats_tenant_d;
\set VERBOSITY sqlstate
SELECT events.append_event('', 'a', '{}');
SELECT count(*) FROM events.append_events('{stats:1}', '{a,b}', '{1}');
SET app.tenant_id = 'a';
SELECT events.append_event('stats:1', 'a', '{}');
SELECT events.append_event('', 'a', '{}');
\set VERBOSITY default
RESET ROLE;
SELECT tenant_id, appends_refused FROM events.stats_by_tenant WHERE appends_refused > 0;
SELECT * FROM t.moved();
SELECT events.unbind_tenant('stats_tenant_d', 'd'), events.revoke_access('stats_tenant_d', 'writer');
DROP ROLE stats_tenant_d;
-- what is done while it is off is nobody's
SET auren_events.stats_by_tenant = off;
SELECT events.append_event('stats:1', 'happened', '{}') IS NOT NULL AS appended;
SELECT sum(appends) FROM events.stats_by_tenant;
SELECT * FROM t.moved();

-- who may see it
CREATE ROLE stats_admin;
CREATE ROLE stats_bound;
CREATE ROLE stats_reader;
CREATE ROLE stats_watcher IN ROLE pg_monitor;
SELECT events.grant_access('stats_admin', 'admin'), events.grant_access('stats_bound', 'admin'), events.grant_access('stats_reader', 'reader'), events.bind_tenant('stats_bound', 'a');
GRANT USAGE ON SCHEMA events TO pg_monitor;
GRANT SELECT ON events.stats TO pg_monitor;
SET app.tenant_id = 'a';
SET ROLE stats_admin;
SELECT appends > 0 AS seen FROM events.stats;
SELECT tenant_id FROM events.stats_by_tenant ORDER BY 1;
SET ROLE stats_watcher;
SELECT appends > 0 AS seen FROM events.stats;
SELECT events.reset_stats();
SET ROLE stats_reader;
SELECT appends > 0 AS seen FROM events.stats;
SET ROLE stats_bound;
SELECT appends > 0 AS seen FROM events.stats;
SELECT tenant_id, appends FROM events.stats_by_tenant;
SELECT events.reset_stats();
SET app.tenant_id = 'b';
SELECT tenant_id, appends FROM events.stats_by_tenant;
RESET ROLE;
RESET app.tenant_id;

-- set back, whatever becomes of the transaction
SELECT stats_since AS since FROM events.stats \gset
BEGIN;
SELECT events.reset_stats();
ROLLBACK;
SELECT appends, replays, refresh_ms, stats_since > :'since' AS newer FROM events.stats;
SELECT count(*) FROM events.stats_by_tenant;
-- an extension that is made anew begins anew, also for a session that counted before
SELECT events.append_event('stats:1', 'happened', '{}') IS NOT NULL AS appended;
SET auren_events.allow_drop = on;
DROP EXTENSION auren_events CASCADE;
CREATE EXTENSION auren_events;
SELECT events.append_event('stats:1', 'happened', '{}') IS NOT NULL AS appended;
SELECT appends, events_appended FROM events.stats;

\c :home
DROP DATABASE stats_of_their_own;
DROP ROLE stats_admin, stats_bound, stats_reader, stats_watcher;
