-- What a DBA adds to the table holds: triggers, constraints, indexes of any kind, columns.
SET client_min_messages = warning;
CREATE ROLE regress_caller;
GRANT regress_caller TO CURRENT_USER;
SELECT events.grant_access('regress_caller', 'writer');
GRANT INSERT ON ALL TABLES IN SCHEMA t TO regress_caller;
CREATE TABLE t.seen (what text, who text, stream_id text, version bigint);
GRANT INSERT ON t.seen TO regress_caller;
CREATE FUNCTION t.before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t.seen VALUES (TG_WHEN, current_user, NEW.stream_id, NEW.stream_version);
	IF NEW.event_type = 'dropped' THEN RETURN NULL; END IF;
	IF NEW.event_type = 'moved' THEN NEW.stream_version := 100; END IF;
	IF NEW.event_type = 'marked' THEN NEW.event_data := NEW.event_data || '{"marked": true}'; END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION t.after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t.seen VALUES (TG_WHEN, current_user, NEW.stream_id, NEW.stream_version);
	RETURN NULL;
END $$;
CREATE TRIGGER dba_before BEFORE INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.before();
CREATE TRIGGER dba_after AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.after();
SET ROLE regress_caller;
SELECT events.append_event('dba:a', 'marked', '{"n": 1}') IS NOT NULL;
SELECT stream_version FROM events.append_events('{dba:a,dba:b}', '{plain,plain}', '{1,2}');
SELECT * FROM t.try($$SELECT events.append_event('dba:a', 'dropped', '1')$$);
SELECT * FROM t.try($$SELECT events.append_event('dba:a', 'moved', '1')$$);
RESET ROLE;
SELECT t.show('dba:a');
SELECT t.show('dba:b');
SELECT what, who = 'regress_caller' AS caller, stream_id, version FROM t.seen ORDER BY stream_id, version, what;
DROP TRIGGER dba_before ON events.event_store;
DROP TRIGGER dba_after ON events.event_store;
TRUNCATE t.seen;
SELECT events.append_event('dba:a', 'without', '1') IS NOT NULL, (SELECT count(*) FROM t.seen) AS fired;
-- a trigger on one month alone
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
CREATE TRIGGER dba_month AFTER INSERT ON events.event_store_:month FOR EACH ROW EXECUTE FUNCTION t.after();
SELECT events.append_event('dba:a', 'month', '1') IS NOT NULL;
SELECT what, stream_id, version FROM t.seen;
DROP TRIGGER dba_month ON events.event_store_:month;
-- a statement trigger
CREATE FUNCTION t.statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.seen VALUES ('statement'); RETURN NULL; END $$;
CREATE TRIGGER dba_statement AFTER INSERT ON events.event_store FOR EACH STATEMENT EXECUTE FUNCTION t.statement();
SELECT events.append_event('dba:a', 'statement', '1') IS NOT NULL;
SELECT count(*) FROM t.seen WHERE what = 'statement';
DROP TRIGGER dba_statement ON events.event_store;
-- a constraint
ALTER TABLE events.event_store ADD CONSTRAINT dba_check CHECK (event_type <> 'unchecked');
SELECT t.state($$SELECT events.append_event('dba:a', 'unchecked', '1')$$);
SELECT t.state($$SELECT events.append_event('dba:a', 'checked', '1')$$);
SELECT t.state($$SELECT events.append_events('{dba:a,dba:a}', '{checked,unchecked}', '{1,2}')$$);
ALTER TABLE events.event_store DROP CONSTRAINT dba_check;
-- indexes: on an expression, partial, unique over an expression, of another kind, exclusion
CREATE INDEX dba_expression ON events.event_store_:month ((event_data ->> 'device'));
CREATE INDEX dba_partial ON events.event_store_:month (created_by) WHERE created_by <> 'system';
SELECT count(*) FROM events.append_events('{dba:i,dba:i}', '{x,y}', ARRAY['{"device": "watch"}', '{"device": "ring"}']::jsonb[], 'importer');
SELECT events.append_event('dba:i', 'x', '{"device": "scale"}', 'importer') IS NOT NULL;
SET enable_seqscan = off;
SELECT count(*) FROM events.event_store WHERE event_data ->> 'device' = 'scale' AND stream_id = 'dba:i';
SELECT count(*) FROM events.event_store_:month WHERE created_by = 'importer' AND created_by <> 'system' AND stream_id = 'dba:i';
RESET enable_seqscan;
CREATE UNIQUE INDEX dba_unique ON events.event_store_:month ((event_data ->> 'device')) WHERE event_type = 'once';
SELECT t.state($$SELECT events.append_event('dba:i', 'once', '{"device": "scale"}')$$);
SELECT t.state($$SELECT events.append_event('dba:i', 'once', '{"device": "scale"}')$$);
DROP INDEX events.dba_expression, events.dba_partial, events.dba_unique;
CREATE INDEX dba_hash ON events.event_store_:month USING hash (created_by);
CREATE INDEX dba_brin ON events.event_store_:month USING brin (global_position);
CREATE INDEX dba_ops ON events.event_store_:month USING gin (event_data);
SELECT count(*) FROM events.append_events('{dba:h,dba:h}', '{x,y}', ARRAY['{"device": "watch"}', '{"device": "ring"}']::jsonb[], 'hashed');
SELECT events.append_event('dba:h', 'x', '{"device": "scale"}', 'hashed') IS NOT NULL;
SET enable_seqscan = off;
SELECT count(*) FROM events.event_store WHERE created_by = 'hashed';
SELECT count(*) FROM events.event_store_:month WHERE event_data ? 'device' AND created_by = 'hashed';
RESET enable_seqscan;
DROP INDEX events.dba_hash, events.dba_brin, events.dba_ops;
-- an index of ours gone: a clear error, no wrong version
BEGIN;
DROP INDEX events.idx_event_store_stream_:month;
SELECT replace(line, :'month', 'YYYY_MM') FROM t.try($$SELECT events.append_event('dba:a', 'x', '1')$$) line;
SELECT t.state($$SELECT events.append_event('dba:new', 'x', '1')$$);
SELECT t.show('dba:b');
ROLLBACK;
-- a column, which is refused now; a store of an earlier version may have one
ALTER EVENT TRIGGER auren_events_objects_change DISABLE;
ALTER EVENT TRIGGER auren_events_objects_gone DISABLE;
ALTER TABLE events.event_store ADD COLUMN dba_region text NOT NULL DEFAULT 'eu';
SELECT events.append_event('dba:c', 'x', '1') IS NOT NULL, events.append_event('dba:c', 'y', '2') IS NOT NULL;
SELECT stream_version, dba_region FROM events.event_store WHERE stream_id = 'dba:c' ORDER BY 1;
SELECT t.show('dba:c');
SELECT events.get_stream_state('dba:c');
ALTER TABLE events.event_store DROP COLUMN dba_region;
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
SELECT events.append_event('dba:c', 'z', '3') IS NOT NULL, t.show('dba:c');
SELECT t.dense();
SELECT events.revoke_access('regress_caller', 'writer');
DROP OWNED BY regress_caller;
DROP ROLE regress_caller;
