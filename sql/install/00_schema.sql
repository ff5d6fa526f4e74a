\echo Use "CREATE EXTENSION auren_events" to load this file. \quit

-- A schema that is there already would be a bare error of the server. A function of the target schema says what to do, and is gone again.
CREATE FUNCTION @extschema@.auren_require_free_schemas() RETURNS void
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_require_free_schemas';
SELECT @extschema@.auren_require_free_schemas();
DROP FUNCTION @extschema@.auren_require_free_schemas();

-- What callers and administrators never name: the tables of the machinery, and the functions that views, triggers and the planner call.
-- Nobody but the owner has USAGE, so nobody else can name anything here. The server checks a view's functions against the view's reader:
-- so those keep EXECUTE for PUBLIC, and whoever is given a view, or a view over it, can read it.
CREATE SCHEMA auren;
COMMENT ON SCHEMA auren IS 'auren_events: what the store is made of; its owner alone may use it';
REVOKE ALL ON SCHEMA auren FROM PUBLIC;

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'auren_events: the event store, its streams and what is read from them';
REVOKE ALL ON SCHEMA events FROM PUBLIC;
