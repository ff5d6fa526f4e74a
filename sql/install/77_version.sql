-- Which version works here. The module comes with the server's files, for all databases at once; each database's SQL objects follow by
-- ALTER EXTENSION auren_events UPDATE.

CREATE FUNCTION events.version(OUT module_version text, OUT objects_version text, OUT update_due boolean)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_version';
COMMENT ON FUNCTION events.version() IS 'the version of the loaded module, that of this database''s SQL objects, and whether ALTER EXTENSION auren_events UPDATE is due';
INSERT INTO auren.rights VALUES ('events.version', 'EXECUTE', '{reader,writer,admin,encrypt,decrypt,key_admin}', '0.2.0');
