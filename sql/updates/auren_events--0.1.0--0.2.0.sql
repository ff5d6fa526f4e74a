\echo Use "ALTER EXTENSION auren_events UPDATE" to load this file. \quit

-- From 0.1.0 to 0.2.0. Each change of an SQL object stands here too, as the pieces in sql/install have it.

CREATE FUNCTION events.version(OUT module_version text, OUT objects_version text, OUT update_due boolean)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_version';
COMMENT ON FUNCTION events.version() IS 'the version of the loaded module, that of this database''s SQL objects, and whether ALTER EXTENSION auren_events UPDATE is due';
INSERT INTO auren.rights VALUES ('events.version', 'EXECUTE', '{reader,writer,admin,encrypt,decrypt,key_admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.version() FROM PUBLIC;

-- The ending of every update. What the extension puts on its tables is written down as every session compares it (pg::FixTexts); what was
-- added to them is in auren.kept_objects.
SELECT pg_catalog.set_config(setting, value, true) FROM (VALUES ('search_path', 'pg_catalog, pg_temp'), ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'),
	('extra_float_digits', '3'), ('bytea_output', 'hex'), ('lc_monetary', 'C'), ('quote_all_identifiers', 'off'), ('standard_conforming_strings', 'on')) fixed(setting, value);
DELETE FROM auren.shipped_objects;
INSERT INTO auren.shipped_objects
	SELECT o.relation, o.kind, o.name, o.definition FROM auren.table_objects o
	WHERE NOT EXISTS (SELECT FROM auren.kept_objects k WHERE k.relation = o.relation AND k.kind = o.kind AND k.name = o.name);
