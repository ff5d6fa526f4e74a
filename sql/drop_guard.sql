-- DROP EXTENSION with events in it is refused unless asked for.
SET client_min_messages = warning;
SELECT * FROM t.try('DROP EXTENSION auren_events');
SELECT * FROM t.try('DROP EXTENSION auren_events CASCADE') LIMIT 1;
SELECT t.state('DROP EXTENSION IF EXISTS auren_events');
SELECT t.state('DROP SCHEMA events CASCADE');
SELECT t.state('DROP TABLE events.event_store');
SELECT t.state('DROP EVENT TRIGGER auren_events_guard_drop');
SELECT t.state(format('DROP OWNED BY %I', rolname)) FROM pg_roles WHERE oid = 10;
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT t.state('DROP EXTENSION auren_events') AS as_replica;
ROLLBACK;
-- others may be dropped
SELECT t.state('CREATE EXTENSION pg_trgm');
SELECT t.state('DROP EXTENSION pg_trgm');
CREATE ROLE regress_dropped;
SELECT t.state('DROP OWNED BY regress_dropped');
DROP ROLE regress_dropped;
-- asked for
BEGIN;
SET LOCAL auren_events.allow_drop = on;
SELECT t.state('DROP EXTENSION auren_events');
SELECT count(*) FROM pg_namespace WHERE nspname = 'events';
ROLLBACK;
SELECT count(*) > 0 AS still_there FROM events.event_store;
-- A schema of one of our names that is there already: what to do is said.
BEGIN;
SET LOCAL auren_events.allow_drop = on;
DROP EXTENSION auren_events;
CREATE ROLE regress_schema;
CREATE SCHEMA analytics AUTHORIZATION regress_schema;
SELECT * FROM t.try('CREATE EXTENSION auren_events');
SELECT count(*) FROM pg_proc WHERE proname = 'auren_require_free_schemas';
ALTER SCHEMA analytics RENAME TO my_analytics;
SELECT t.state('CREATE EXTENSION auren_events');
SELECT count(*) FROM pg_proc WHERE proname = 'auren_require_free_schemas';
ROLLBACK;
-- The extension is in no schema that a database's owner could drop: DROP SCHEMA public CASCADE, say, would take it and all events along.
SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'auren_events';
BEGIN;
DROP SCHEMA public CASCADE;
SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'auren_events';
ROLLBACK;
