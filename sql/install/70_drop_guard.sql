-- DROP EXTENSION would take every event with it without a word.

CREATE FUNCTION auren.guard_drop() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_guard_drop';
COMMENT ON FUNCTION auren.guard_drop() IS 'event trigger: refuses to drop auren_events while it holds events, or a month of their tags without them, unless auren_events.allow_drop is on, to drop an index of its own concurrently, and to attach a month that lacks a column';
REVOKE ALL ON FUNCTION auren.guard_drop() FROM PUBLIC;

CREATE EVENT TRIGGER auren_events_guard_drop ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP OWNED', 'DROP INDEX', 'DROP TABLE', 'ALTER TABLE') EXECUTE FUNCTION auren.guard_drop();
-- under session_replication_role = replica too
ALTER EVENT TRIGGER auren_events_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_guard_drop IS 'keeps DROP EXTENSION auren_events from taking events with it, DROP INDEX CONCURRENTLY from the indexes that the store needs, queries from months without the index of tags, and a dump of an older version from a restore without its version';
