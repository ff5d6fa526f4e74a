\echo Use "CREATE EXTENSION auren_events" to load this file. \quit

-- A schema that is there already would be a bare error of the server. A function of the target schema says what to do, and is gone again.
CREATE FUNCTION @extschema@.auren_require_free_schemas() RETURNS void
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_require_free_schemas';
SELECT @extschema@.auren_require_free_schemas();
DROP FUNCTION @extschema@.auren_require_free_schemas();

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'auren_events: the event store, its streams and what is read from them';
REVOKE ALL ON SCHEMA events FROM PUBLIC;
