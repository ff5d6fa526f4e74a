-- Metrics and row level security, whose tenant a reading may name, and a retention that can be applied.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
CREATE ROLE regress_reads;
CREATE ROLE regress_bypass BYPASSRLS;
SELECT events.grant_access('regress_reads', 'reader'), events.grant_access('regress_bypass', 'reader');
CREATE TABLE t.closed (who text, what text, measured float8, at timestamptz);
SET app.tenant_id = 'other';
SELECT analytics.attach_source('t.closed', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
RESET app.tenant_id;
SELECT analytics.attach_events('access_measured', '{"rate": "rate"}') > 1 AS attached;
SELECT events.append_event('user:access', 'access_measured', '{"rate": 60, "timestamp": "2026-01-01T10:00:00Z"}') IS NOT NULL AS appended;
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('access', 'hr', 61, '2026-01-01 10:00');
CREATE FUNCTION t.seen() RETURNS TABLE (view text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	v_query text;
BEGIN
	FOREACH v_query IN ARRAY ARRAY['user_metrics_daily', 'user_metrics_hourly', 'user_metrics_5min', 'metric_series(''access'', ''hr'', ''2026-01-01'', ''2026-01-02'', ''1 day'')'] LOOP
		view := split_part(v_query, '(', 1);
		BEGIN
			EXECUTE 'SELECT sum(reading_count)::text FROM analytics.' || v_query INTO answer;
		EXCEPTION WHEN insufficient_privilege THEN
			answer := SQLSTATE;
		END;
		RETURN NEXT;
	END LOOP;
END $$;
-- by a view's own plan, a generic plan too: what was planned before is asked again
SET ROLE regress_reads;
PREPARE days AS SELECT sum(reading_count) FROM analytics.user_metrics_daily;
EXECUTE days;
RESET ROLE;
ALTER TABLE biometric.biometric_events ENABLE ROW LEVEL SECURITY;
SET ROLE regress_reads;
SELECT * FROM t.seen();
SELECT t.state('EXECUTE days');
SELECT t.state('SELECT * FROM analytics.user_metrics_daily LIMIT 1');
SELECT t.state($$SELECT * FROM analytics.user_metrics_daily WHERE user_id = 'nobody'$$);
SELECT * FROM t.try('SELECT * FROM analytics.user_metrics_daily');
SET ROLE regress_bypass;
SELECT * FROM t.seen();
RESET ROLE;
SELECT * FROM t.seen();
ALTER TABLE biometric.biometric_events DISABLE ROW LEVEL SECURITY;
-- a policy on the events closes the metrics of who attached some
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
SET ROLE regress_reads;
SELECT * FROM t.seen();
SET app.tenant_id = 'other';
SELECT count(*) FROM analytics.user_metrics_daily;
RESET app.tenant_id;
RESET ROLE;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
-- one on an attached table those of its tenant
ALTER TABLE t.closed ENABLE ROW LEVEL SECURITY;
SET ROLE regress_reads;
SELECT * FROM t.seen();
SET app.tenant_id = 'other';
SELECT * FROM t.try('SELECT * FROM analytics.user_metrics_daily');
RESET app.tenant_id;
RESET ROLE;
SELECT analytics.detach_events('access_measured');
DROP TABLE t.closed;

-- a role that is bound to a tenant names no other's, by a function of an unbound role neither
CREATE ROLE regress_bound;
SELECT events.bind_tenant('regress_bound', 'one');
CREATE FUNCTION t.write_for(p_tenant text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
	INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp, tenant_id) VALUES ('written', 'm', 1, '2026-01-01', p_tenant)
$$;
SET app.tenant_id = 'one';
SET ROLE regress_bound;
SELECT t.state($$SELECT t.write_for('one')$$) AS own;
SELECT t.state($$SELECT t.write_for('two')$$) AS anothers;
RESET ROLE;
SELECT t.state($$SELECT t.write_for('two')$$) AS unbound;
RESET app.tenant_id;
DELETE FROM biometric.biometric_events;

-- a span that cannot be taken from now is refused when it is set, and keeps nothing from being dropped where it stands already
SELECT * FROM t.try($$SELECT analytics.set_retention('daily', '400000 years')$$);
SELECT t.state($$SELECT analytics.set_retention('daily', '170000000 days')$$) AS days;
SELECT t.state($$SELECT analytics.set_retention('daily', '1000 years 1 day')$$) AS a_day_more;
SELECT t.state($$SELECT analytics.set_retention('daily', '1000 years')$$) AS longest;
SELECT t.state($$SELECT analytics.set_retention('hourly', '2000000000 hours')$$) AS hours;
SELECT analytics.apply_retention();
INSERT INTO auren.retention VALUES ('5min', '400000 years', '-infinity');
SELECT analytics.set_retention('hourly', '1 day');
INSERT INTO biometric.biometric_events (user_id, metric_type, value, timestamp) VALUES ('old', 'm', 1, '2020-01-01');
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT analytics.apply_retention() AS dropped;
DELETE FROM auren.retention;
DELETE FROM biometric.biometric_events;
SELECT analytics.refresh_user_metrics() > 0 AS merged;
SELECT events.revoke_access('regress_reads', 'reader'), events.revoke_access('regress_bypass', 'reader'), events.unbind_tenant('regress_bound', 'one');
DROP FUNCTION t.seen, t.write_for;
DROP ROLE regress_reads, regress_bypass, regress_bound;
