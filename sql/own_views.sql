-- An administrator's own views over our views are granted alone: whoever may read one needs no right of ours, and can name nothing of schema auren.
SET client_min_messages = warning;
\pset format unaligned
CREATE ROLE regress_viewer;
CREATE ROLE regress_bound_viewer;
SELECT events.bind_tenant('regress_bound_viewer', 'own_a');
DO $$
DECLARE
	v_tenant text;
BEGIN
	FOREACH v_tenant IN ARRAY ARRAY['own_a', 'own_b'] LOOP
		PERFORM set_config('app.tenant_id', v_tenant, false);
		PERFORM events.append_event('seen:' || v_tenant, 'seen', '{"n": 1}'), events.append_event('seen:' || v_tenant, 'seen', '{"n": 2}');
		PERFORM events.take_snapshot('seen:' || v_tenant);
		PERFORM events.create_subscription(v_tenant || '_work', p_after_position => 0, p_shares => 1, p_stream_waits => false);
		PERFORM events.add_notification_rule('seen', v_tenant || '_channel');
		INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES (v_tenant || '_user', 'pulse', 60, '2026-01-02 12:00+00');
		PERFORM analytics.refresh_user_metrics();
		INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES (v_tenant || '_user', 'pulse', 62, '2026-01-02 12:00+00');
	END LOOP;
END $$;
SET app.tenant_id = 'own_a';
SELECT count(events.park('own_a_work', 'worker', f.global_position, 'bad')) FROM events.fetch('own_a_work', 'worker', 1) f;
RESET app.tenant_id;
-- a view over each view of ours
CREATE SCHEMA regress_views;
DO $$
DECLARE
	v record;
BEGIN
	FOR v IN SELECT o.name, replace(o.name, '.', '_') AS own FROM auren.granted_objects o JOIN pg_class c ON c.oid = o.oid WHERE o.kind = 'TABLE' AND c.relkind = 'v' LOOP
		EXECUTE format('CREATE VIEW regress_views.%I AS SELECT * FROM %s', v.own, v.name);
	END LOOP;
END $$;
GRANT USAGE ON SCHEMA regress_views TO regress_viewer, regress_bound_viewer;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_views TO regress_viewer, regress_bound_viewer;
CREATE FUNCTION t.own_views() RETURNS TABLE (view text, state text) LANGUAGE sql AS $$
	SELECT relname::text, t.state(format('SELECT * FROM regress_views.%I', relname)) FROM pg_class
	WHERE relnamespace = 'regress_views'::regnamespace ORDER BY relname COLLATE "C"
$$;
-- F0000: there is not a master key, so the current one cannot be named
SET ROLE regress_viewer;
SET app.tenant_id = 'own_a';
SELECT * FROM t.own_views();
-- of which tenant a role sees rows is not said by rights, but by its binding
SELECT tenant_id, stream_id, version FROM regress_views.events_streams;
SET app.tenant_id = 'own_b';
SELECT tenant_id, stream_id, version FROM regress_views.events_streams;
SET ROLE regress_bound_viewer;
SELECT * FROM t.own_views() WHERE view ~ 'tenant_events|streams|snapshots|subscriptions|parked|notification_rules|user_metrics';
SET app.tenant_id = 'own_a';
SELECT stream_id, event_data FROM regress_views.events_tenant_events ORDER BY stream_version;
SELECT stream_id, stream_version, usable FROM regress_views.events_snapshots;
SELECT name, parked, lag_events FROM regress_views.events_subscriptions;
SELECT name, stream_id, reason FROM regress_views.events_parked;
SELECT * FROM regress_views.events_notification_rules;
SELECT day, user_id, reading_count, sum_value FROM regress_views.analytics_user_metrics_daily;
SELECT user_id, reading_count, sum_value FROM regress_views.analytics_user_metrics_hourly;
SELECT user_id, reading_count, sum_value FROM regress_views.analytics_user_metrics_5min;
-- the right to the view is all: neither what it is made of nor what it calls can be named
SELECT t.state('TABLE events.streams');
SELECT t.state('TABLE auren.stream_rows');
SELECT t.state($$SELECT events.current_tenant()$$);
SELECT t.state('SELECT NULL::auren.metrics');
SELECT DISTINCT t.state(format('SELECT auren.%I()', proname)) AS called, t.state(format('SELECT %L::regproc', 'auren.' || proname)) AS found FROM pg_proc
WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'auren');
SELECT t.state('CREATE TEMP VIEW mine AS SELECT auren.view_tenant()');
SELECT t.state('CREATE AGGREGATE pg_temp.mine(bigint) (SFUNC = auren.delta_lots, STYPE = integer[])');
RESET ROLE;
-- where a policy on the events applies to the reader, such a view is closed as ours are
CREATE POLICY regress_odd ON events.event_store USING (stream_version % 2 = 1);
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
SET ROLE regress_viewer;
SELECT * FROM t.own_views() WHERE state <> 'ok';
RESET ROLE;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
DROP POLICY regress_odd ON events.event_store;
SELECT events.drop_subscription('own_a_work'), events.drop_notification_rule('seen', 'own_a_channel');
SET app.tenant_id = 'own_b';
SELECT events.drop_subscription('own_b_work'), events.drop_notification_rule('seen', 'own_b_channel');
RESET app.tenant_id;
SELECT events.unbind_tenant('regress_bound_viewer', 'own_a');
DROP FUNCTION t.own_views;
SET client_min_messages = error;
DROP SCHEMA regress_views CASCADE;
DELETE FROM biometric.biometric_events WHERE tenant_id IN ('own_a', 'own_b');
DROP ROLE regress_viewer, regress_bound_viewer;
