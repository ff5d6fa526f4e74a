-- Triggers, rules and keys of a DBA on events.event_store that do more than look.
SET client_min_messages = warning;
-- a trigger that appends to another stream, before and after
CREATE FUNCTION t.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.stream_id NOT LIKE 'audit:%' THEN
		PERFORM events.append_event('audit:' || NEW.stream_id, 'copied', jsonb_build_object('of', NEW.stream_version));
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER audit BEFORE INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.audit();
SELECT events.append_event('trigger:a', 'x', '1') IS NOT NULL AS appended;
SELECT stream_id, stream_version FROM events.append_events('{trigger:a,trigger:b,trigger:a}', '{x,x,x}', '{2,3,4}');
SELECT t.show('trigger:a');
SELECT t.show('audit:trigger:a');
SELECT t.show('audit:trigger:b');
DROP TRIGGER audit ON events.event_store;
CREATE TRIGGER audit AFTER INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.audit();
SELECT stream_id, stream_version FROM events.append_events('{trigger:a,trigger:b,trigger:a}', '{x,x,x}', '{5,6,7}');
SELECT t.show('trigger:a');
SELECT t.show('audit:trigger:a');
SELECT t.show('audit:trigger:b');
DROP TRIGGER audit ON events.event_store;
-- to its own stream it may once the append is done: a deferred trigger
CREATE FUNCTION t.confirm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type = 'asked' THEN
		PERFORM events.append_event(NEW.stream_id, 'confirmed', NEW.event_data);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER confirm AFTER INSERT ON events.event_store DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t.confirm();
BEGIN;
SELECT events.append_event('trigger:c', 'asked', '1') IS NOT NULL AS appended;
SELECT stream_version FROM events.append_events('{trigger:c,trigger:c}', '{asked,other}', '{2,3}');
COMMIT;
SELECT t.show('trigger:c');
DROP TRIGGER confirm ON events.event_store;
-- a trigger that refuses with an error of its own: the caller gets just that, and nothing is written
CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.event_type = 'bad' THEN
		RAISE 'no such device' USING ERRCODE = '45000', DETAIL = 'It is bad.', HINT = 'Be good.';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.refuse();
SELECT * FROM t.try($$SELECT events.append_events('{trigger:d,trigger:d}', '{good,bad}', '{1,2}')$$);
SELECT events.stream_exists('trigger:d');
DROP TRIGGER refuse ON events.event_store;
-- one that moves the event to another time, tenant or place
CREATE FUNCTION t.move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE NEW.event_type
		WHEN 'time' THEN NEW.created_at := NEW.created_at + interval '1 month';
		WHEN 'tenant' THEN NEW.tenant_id := 'acme';
		WHEN 'stream' THEN NEW.stream_id := 'trigger:elsewhere';
		WHEN 'position' THEN NEW.global_position := 1000000000;
		WHEN 'id' THEN NEW.event_id := '00000000-0000-0000-0000-00000000abcd';
		WHEN 'by' THEN NEW.created_by := 'the trigger'; NEW.metadata := '{"by": "trigger"}';
	END CASE;
	RETURN NEW;
END $$;
CREATE TRIGGER move BEFORE INSERT ON events.event_store FOR EACH ROW EXECUTE FUNCTION t.move();
SELECT what, t.state(format('SELECT events.append_event(''trigger:e'', %L, ''1'')', what))
FROM unnest('{time,tenant,stream,position,id,by}'::text[]) what;
DROP TRIGGER move ON events.event_store;
SELECT stream_version, event_type, created_by, metadata FROM events.replay_stream('trigger:e');
SELECT count(*) FROM events.event_store WHERE stream_id = 'trigger:elsewhere' OR tenant_id = 'acme' AND stream_id = 'trigger:e';
-- one that adds to an event: not a tag that the append was not given, since conditions wait for appends by their tags
SELECT events.add_tag_rule('trigger_tagged', '/room', 'trigger_room');
CREATE FUNCTION t.tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.event_data := jsonb_build_object('old', NEW.event_data) || (NEW.metadata -> 'more');
	NEW.tags := NEW.tags || ARRAY(SELECT jsonb_array_elements_text(NEW.metadata -> 'tags'));
	RETURN NEW;
END $$;
CREATE TRIGGER tag BEFORE INSERT ON events.event_store FOR EACH ROW WHEN (NEW.metadata ? 'more') EXECUTE FUNCTION t.tag();
SELECT more, t.state(format('SELECT events.append_event(''trigger:t'', ''trigger_tagged'', ''{}'', p_metadata => %L, p_tags => ''{trigger_room:1}'')', jsonb_build_object('more', more, 'tags', tags)))
FROM (VALUES ('{"room": 2}'::jsonb, '[]'::jsonb), ('{"room": {}}', '[]'), ('{}', '["trigger_room:2"]'), ('{"room": 1, "bed": 2}', '[]')) v (more, tags);
SELECT * FROM t.try($$SELECT events.append_event('trigger:t', 'trigger_tagged', '{}', p_metadata => '{"more": {"room": 2}, "tags": []}')$$);
SELECT event_data, tags FROM events.replay_stream('trigger:t');
SELECT event_data FROM events.read_by_query('[{"tags": ["trigger_room:2"]}, {"tags": ["trigger_room:1"]}]');
DROP TRIGGER tag ON events.event_store;
SELECT events.drop_tag_rule('trigger_tagged', '/room', 'trigger_room');
-- rules
CREATE TABLE t.ruled (stream_id text, stream_version bigint);
CREATE RULE also AS ON INSERT TO events.event_store DO ALSO INSERT INTO t.ruled VALUES (NEW.stream_id, NEW.stream_version);
SELECT stream_version FROM events.append_events('{trigger:f,trigger:f}', '{x,y}', '{1,2}');
SELECT * FROM t.ruled ORDER BY 2;
DROP RULE also ON events.event_store;
CREATE RULE instead AS ON INSERT TO events.event_store DO INSTEAD NOTHING;
SELECT t.state($$SELECT events.append_event('trigger:f', 'z', '3')$$);
DROP RULE instead ON events.event_store;
SELECT t.show('trigger:f');
DROP TABLE t.ruled;
-- a check holds in the months that are made after it
BEGIN;
ALTER TABLE events.event_store ADD CONSTRAINT no_bad CHECK (event_type <> 'never appended');
ALTER TABLE auren.event_tags ADD CONSTRAINT no_zero CHECK (global_position > 0);
SELECT * FROM t.try('SELECT events.create_monthly_partitions(60)');
SELECT conname, count(*) = (SELECT count(*) FROM pg_inherits WHERE inhparent = CASE conname WHEN 'no_bad' THEN 'events.event_store' ELSE 'auren.event_tags' END::regclass) AS in_each_month
FROM pg_constraint WHERE conname IN ('no_bad', 'no_zero') AND NOT conislocal GROUP BY 1 ORDER BY 1;
ALTER TABLE events.event_store DROP CONSTRAINT no_bad;
SELECT count(*) FROM pg_constraint WHERE conname = 'no_bad';
ROLLBACK;
-- a foreign key to a table of tenants
CREATE TABLE t.tenants (id text PRIMARY KEY);
INSERT INTO t.tenants SELECT DISTINCT tenant_id FROM events.event_store;
ALTER TABLE events.event_store ADD CONSTRAINT tenant_known FOREIGN KEY (tenant_id) REFERENCES t.tenants;
SET app.tenant_id = 'stranger';
SELECT t.state($$SELECT events.append_event('trigger:g', 'x', '1')$$);
SELECT events.stream_exists('trigger:g');
RESET app.tenant_id;
SELECT t.state($$SELECT events.append_event('trigger:g', 'x', '1')$$);
SELECT events.stream_exists('trigger:g');
-- it protects the events, too
SELECT t.state($$DELETE FROM t.tenants WHERE id = 'default'$$);
ALTER TABLE events.event_store DROP CONSTRAINT tenant_known;
ALTER TABLE events.event_store ADD CONSTRAINT tenant_known FOREIGN KEY (tenant_id) REFERENCES t.tenants ON DELETE CASCADE;
SELECT t.state($$DELETE FROM t.tenants WHERE id = 'default'$$);
ALTER TABLE events.event_store DROP CONSTRAINT tenant_known;
DROP TABLE t.tenants;
-- a generated column, as a store of an earlier version may have one
ALTER EVENT TRIGGER auren_events_objects_change DISABLE;
ALTER EVENT TRIGGER auren_events_objects_gone DISABLE;
ALTER TABLE events.event_store ADD COLUMN device text GENERATED ALWAYS AS (event_data ->> 'device') STORED;
SELECT events.append_event('trigger:h', 'x', '{"device": "watch"}') IS NOT NULL AS appended;
SELECT stream_version FROM events.append_events('{trigger:h,trigger:h}', '{x,x}', ARRAY['{"device": "ring"}', '{}']::jsonb[]);
SELECT stream_version, device FROM events.event_store WHERE stream_id = 'trigger:h' ORDER BY 1;
ALTER TABLE events.event_store DROP COLUMN device;
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
SELECT events.append_event('trigger:h', 'x', '{"device": "scale"}') IS NOT NULL AS appended, t.show('trigger:h');
SELECT t.dense();
DROP FUNCTION t.audit, t.confirm, t.refuse, t.move;
