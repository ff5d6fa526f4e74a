\echo Use "CREATE EXTENSION auren_events" to load this file. \quit

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'auren_events: the event store, its streams and what is read from them';
REVOKE ALL ON SCHEMA events FROM PUBLIC;
