-- What the metrics must not do for who has no right: neither give them nor take them, nor stand in the way.
SET client_min_messages = warning;
SET timezone = 'UTC';
\pset format unaligned
CREATE ROLE regress_plain;
CREATE ROLE regress_one;
CREATE ROLE regress_group;
CREATE ROLE regress_member IN ROLE regress_group;
SELECT events.bind_tenant('regress_one', 'one'), events.grant_access('regress_one', 'reader'), events.grant_access('regress_one', 'writer'), events.grant_access('regress_one', 'admin');
SET app.tenant_id = 'two';
INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp) SELECT 'target', 'watch', 'm', n, '2026-01-01 10:00' FROM generate_series(61, 90) n;
RESET app.tenant_id;
SELECT analytics.refresh_user_metrics() >= 0;

-- a role without any right makes, changes and drops its tables and schemas
CREATE SCHEMA regress_of_plain AUTHORIZATION regress_plain;
SET ROLE regress_plain;
CREATE TABLE regress_of_plain.a (i int);
ALTER TABLE regress_of_plain.a ADD COLUMN j int;
ALTER TABLE regress_of_plain.a RENAME j TO k;
CREATE INDEX ON regress_of_plain.a (k);
DROP INDEX regress_of_plain.a_k_idx;
DROP TABLE regress_of_plain.a;
CREATE TEMP TABLE temporary (i int);
DROP TABLE temporary;
CREATE TABLE regress_of_plain.b (i int) PARTITION BY LIST (i);
CREATE TABLE regress_of_plain.b1 PARTITION OF regress_of_plain.b FOR VALUES IN (1);
DROP TABLE regress_of_plain.b;
CREATE TABLE regress_of_plain.source (who text, what text, measured float8, at timestamptz) PARTITION BY LIST (who);
RESET ROLE;
-- and partitions of a source that somebody else attached, whoever owns them; they are dropped by who owns the schema too
SELECT analytics.attach_source('regress_of_plain.source', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SET ROLE regress_plain;
CREATE TABLE regress_of_plain.x PARTITION OF regress_of_plain.source FOR VALUES IN ('rights x');
INSERT INTO regress_of_plain.source VALUES ('rights x', 'm', 1, '2026-01-01'), ('rights x', 'm', 2, '2026-01-01');
RESET ROLE;
SELECT user_id, reading_count FROM analytics.user_metrics_daily;
SELECT analytics.refresh_user_metrics() >= 0;
CREATE ROLE regress_next;
GRANT ALL ON SCHEMA regress_of_plain TO regress_next;
ALTER TABLE regress_of_plain.source OWNER TO regress_next;
SET ROLE regress_next;
CREATE TABLE regress_of_plain.y PARTITION OF regress_of_plain.source FOR VALUES IN ('rights y');
DROP TABLE regress_of_plain.y;
RESET ROLE;
ALTER TABLE regress_of_plain.source OWNER TO regress_plain;
DROP OWNED BY regress_next;
DROP ROLE regress_next;
ALTER TABLE regress_of_plain.x OWNER TO CURRENT_USER;
SET ROLE regress_plain;
DROP TABLE regress_of_plain.x;
RESET ROLE;
SELECT count(*) FROM analytics.user_metrics_daily;
SET ROLE regress_plain;
DROP TABLE regress_of_plain.source;
RESET ROLE;
SELECT analytics.refresh_user_metrics() >= 0;

-- triggers that bear the names of a source's make none
SET ROLE regress_plain;
CREATE TABLE regress_of_plain.fake (u text, d text, m text, v float8, ts timestamptz) PARTITION BY LIST (m);
CREATE TABLE regress_of_plain.fake_m (LIKE regress_of_plain.fake);
INSERT INTO regress_of_plain.fake_m SELECT 'target', 'watch', 'm', n, '2026-01-01 10:00' FROM generate_series(61, 70) n;
ALTER TABLE regress_of_plain.fake ATTACH PARTITION regress_of_plain.fake_m DEFAULT;
CREATE FUNCTION regress_of_plain.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER auren_record_row AFTER INSERT ON regress_of_plain.fake FOR EACH ROW EXECUTE FUNCTION regress_of_plain.nothing('{1,two,u,d,m,v,ts,""}');
ALTER TABLE regress_of_plain.fake DETACH PARTITION regress_of_plain.fake_m;
DROP TRIGGER auren_record_row ON regress_of_plain.fake;
DROP SCHEMA regress_of_plain CASCADE;
RESET ROLE;
CREATE SCHEMA regress_of_one AUTHORIZATION regress_one;
SET ROLE regress_one;
SET app.tenant_id = 'one';
CREATE TABLE regress_of_one.forged (u text, m text, v float8, ts timestamptz, org text);
SELECT t.state($$CREATE TRIGGER auren_record_row AFTER INSERT ON regress_of_one.forged FOR EACH ROW EXECUTE FUNCTION auren.record_change()$$) AS no_right;
INSERT INTO regress_of_one.forged VALUES ('target', 'm', 1, '2026-01-01 10:00', 'two');
-- a role that is bound to tenants attaches for its own, and changes nothing of all
SELECT * FROM t.try($$SELECT analytics.attach_source('regress_of_one.forged', 'u', NULL, 'm', 'v', 'ts', 'org')$$);
SELECT analytics.attach_source('regress_of_one.forged', 'u', NULL, 'm', 'v', 'ts') > 1 AS attached;
SELECT user_id, tenant_id FROM analytics.user_metrics_daily;
SELECT * FROM t.try($$SELECT analytics.set_retention('daily', '1 hour')$$);
SELECT t.state($$SELECT analytics.apply_retention()$$) AS apply_retention;
SELECT t.state($$SELECT analytics.set_time_zone('Asia/Tokyo')$$) AS zone;
SELECT t.state($$SELECT analytics.rebuild_source(1)$$) AS rebuild;
SELECT t.state($$SELECT analytics.schedule()$$) AS schedule;
SELECT t.state($$SELECT events.set_reducer('x', 'ignore')$$) AS reducer;
SELECT t.state($$SELECT events.drop_reducer('x')$$) AS drop_reducer;
-- the function that the views aggregate with gives nothing of another tenant's series, to a role that was given the schema neither
RESET ROLE;
SELECT series_id AS of_two FROM auren.series WHERE user_id = 'target' \gset
GRANT USAGE ON SCHEMA auren TO regress_one;
SET ROLE regress_one;
SELECT (m).reading_count, (m).min_value, (m).max_value FROM (SELECT auren.metric_values('\x01000001000000000000f03f', :of_two, '2026-01-01 10:00Z', 0) AS m) s;
-- who has a source may make such triggers, until the last one is detached or dropped
CREATE TABLE regress_of_one.second (u text, m text, v float8, ts timestamptz);
SELECT analytics.attach_source('regress_of_one.second', 'u', NULL, 'm', 'v', 'ts') > 1 AS attached;
SELECT analytics.detach_source('regress_of_one.forged');
SELECT has_function_privilege('auren.record_change()', 'EXECUTE') AS of_the_second;
DROP TABLE regress_of_one.second;
SELECT has_function_privilege('auren.record_change()', 'EXECUTE') AS after_drop;
SELECT analytics.attach_source('regress_of_one.forged', 'u', NULL, 'm', 'v', 'ts') > 1 AS attached;
SELECT has_function_privilege('auren.record_change()', 'EXECUTE') AS attached_again;
SELECT analytics.detach_source('regress_of_one.forged');
SELECT t.state($$CREATE TRIGGER auren_record_row AFTER INSERT ON regress_of_one.forged FOR EACH ROW EXECUTE FUNCTION auren.record_change()$$) AS after_detach;
-- such a trigger of a table that is no source records nothing
RESET ROLE;
GRANT EXECUTE ON FUNCTION auren.record_change() TO regress_one;
SET ROLE regress_one;
CREATE TRIGGER auren_record_row AFTER INSERT ON regress_of_one.forged FOR EACH ROW EXECUTE FUNCTION auren.record_change();
INSERT INTO regress_of_one.forged VALUES ('target', 'm', 1, '2026-01-01 10:00', 'two');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION auren.record_change() FROM regress_one;
RESET ROLE;
REVOKE USAGE ON SCHEMA auren FROM regress_one;
SET app.tenant_id = 'two';
SELECT user_id, reading_count, min_value FROM analytics.user_metrics_daily;
RESET app.tenant_id;
-- numbers of series are those of this database
SELECT count(*) AS secrets, bool_and(length(secret) = 32) AS of_32_bytes FROM auren.series_secret;

-- a cast that somebody made does not run when readings are counted
CREATE TYPE t.spied AS ENUM ('a', 'b');
CREATE TABLE t.spy (what text);
CREATE FUNCTION t.spy_on(t.spied) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.spy VALUES (current_user); RETURN 'spied'; END $$;
CREATE CAST (t.spied AS text) WITH FUNCTION t.spy_on(t.spied);
CREATE TABLE t.rights_source (who t.spied, what text, measured float8, at timestamptz);
INSERT INTO t.rights_source SELECT 'a', 'm', n, '2026-01-01' FROM generate_series(1, 20) n;
SELECT analytics.attach_source('t.rights_source', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT user_id, reading_count FROM analytics.user_metrics_daily;
SELECT analytics.refresh_user_metrics() >= 0;
DELETE FROM t.rights_source WHERE measured = 20;
SELECT user_id, reading_count FROM analytics.user_metrics_daily;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT user_id, reading_count, (SELECT count(*) FROM t.spy) AS spied FROM analytics.user_metrics_daily;
DROP TABLE t.rights_source;
DROP CAST (t.spied AS text);
DROP FUNCTION t.spy_on;
DROP TABLE t.spy;
DROP TYPE t.spied;

-- tenants with names of many bytes
SELECT set_config('app.tenant_id', repeat('あ', 200), false) = '' AS set;
CREATE TABLE t.rights_source (who text, what text, measured float8, at timestamptz);
SELECT analytics.attach_source('t.rights_source', 'who', NULL, 'what', 'measured', 'at') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0;
INSERT INTO t.rights_source VALUES ('long', 'm', 1, '2026-01-01');
SELECT user_id, length(tenant_id) FROM analytics.user_metrics_daily;
SELECT set_config('app.tenant_id', repeat('あ', 85), false) = '' AS set;
SELECT count(*) FROM analytics.user_metrics_daily;
RESET app.tenant_id;
DROP TABLE t.rights_source;

-- a group does not give its bound members what they may not read
SELECT events.bind_tenant('regress_member', 'one');
SELECT events.grant_access('regress_group', 'reader');
SELECT has_table_privilege('regress_member', 'biometric.biometric_events', 'SELECT') AS readings, has_table_privilege('regress_member', 'events.event_store', 'SELECT') AS events,
       has_table_privilege('regress_member', 'analytics.user_metrics_daily', 'SELECT') AS metrics;
SELECT events.revoke_access('regress_group', 'reader'), events.unbind_tenant('regress_member', 'one'), events.unbind_tenant('regress_one', 'one'),
       events.revoke_access('regress_one', 'reader'), events.revoke_access('regress_one', 'writer'), events.revoke_access('regress_one', 'admin');
DROP SCHEMA regress_of_one CASCADE;
DROP OWNED BY regress_plain, regress_one;
DROP ROLE regress_plain, regress_one, regress_group, regress_member;
TRUNCATE biometric.biometric_events;
SELECT analytics.refresh_user_metrics() >= 0;
SELECT (SELECT count(*) FROM auren.rollup_daily) AS days, (SELECT count(*) FROM analytics.sources WHERE source_id > 1) AS sources;
