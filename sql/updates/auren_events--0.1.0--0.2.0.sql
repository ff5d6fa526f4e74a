\echo Use "ALTER EXTENSION auren_events UPDATE" to load this file. \quit

-- From 0.1.0 to 0.2.0. Each change of an SQL object stands here too, as the pieces in sql/install have it.

CREATE FUNCTION events.version(OUT module_version text, OUT objects_version text, OUT update_due boolean)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_version';
COMMENT ON FUNCTION events.version() IS 'the version of the loaded module, that of this database''s SQL objects, and whether ALTER EXTENSION auren_events UPDATE is due';
INSERT INTO auren.rights VALUES ('events.version', 'EXECUTE', '{reader,writer,admin,encrypt,decrypt,key_admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.version() FROM PUBLIC;
