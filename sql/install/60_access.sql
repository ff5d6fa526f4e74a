-- Which role may do what. Six rights, each granted by itself: reader, writer, admin, encrypt, decrypt, key_admin.

-- The views from here on name functions and operators of the server.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- Only members of the extension count, not an object of somebody else's with the same name.
CREATE VIEW auren.granted_objects AS
	-- the members come first: to compare names with all of a database's functions takes long where the planner joins them one by one
	WITH member AS MATERIALIZED (
		SELECT d.classid, d.objid FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
		WHERE e.extname = 'auren_events'),
	object AS MATERIALIZED (
		SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, p.oid, concat(n.nspname, '.', p.proname) AS object, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name, false AS holds_rows
		FROM member m JOIN pg_proc p ON p.oid = m.objid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE m.classid = 'pg_proc'::regclass
		UNION ALL
		SELECT 'TABLE', c.oid, concat(n.nspname, '.', c.relname), format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p')
		FROM member m JOIN pg_class c ON c.oid = m.objid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE m.classid = 'pg_class'::regclass
		UNION ALL
		SELECT 'SCHEMA', n.oid, n.nspname, quote_ident(n.nspname), false
		FROM member m JOIN pg_namespace n ON n.oid = m.objid WHERE m.classid = 'pg_namespace'::regclass)
	SELECT o.kind, o.oid, o.name, r.privilege, r.access, r.since, o.holds_rows AND r.privilege = 'SELECT' AS all_tenants
	FROM auren.rights r
		JOIN object o ON o.object = r.object AND CASE r.privilege WHEN 'EXECUTE' THEN o.kind IN ('FUNCTION', 'PROCEDURE') WHEN 'USAGE' THEN o.kind = 'SCHEMA' ELSE o.kind = 'TABLE' END;
COMMENT ON VIEW auren.granted_objects IS 'auren.rights with the objects that it names';
COMMENT ON COLUMN auren.granted_objects.kind IS 'FUNCTION, PROCEDURE, TABLE (or view) or SCHEMA';
COMMENT ON COLUMN auren.granted_objects.oid IS 'object';
COMMENT ON COLUMN auren.granted_objects.name IS 'its name in a GRANT';
COMMENT ON COLUMN auren.granted_objects.privilege IS 'what is given';
COMMENT ON COLUMN auren.granted_objects.access IS 'rights that give it';
COMMENT ON COLUMN auren.granted_objects.since IS 'version that brought it';
COMMENT ON COLUMN auren.granted_objects.all_tenants IS 'whether it shows rows of all tenants, and is not for whoever is bound to some';

CREATE FUNCTION events.grant_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_grant_access';
COMMENT ON FUNCTION events.grant_access(text, text) IS 'lets a role read (''reader''), append (''writer''), administer streams and months (''admin''), encrypt (''encrypt'') or decrypt (''decrypt'') fields, or administer keys, rules and forgetting (''key_admin''); for the store''s owner';
INSERT INTO auren.rights VALUES ('events.grant_access', 'EXECUTE', '{}');

CREATE FUNCTION events.revoke_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_revoke_access';
COMMENT ON FUNCTION events.revoke_access(text, text) IS 'takes back what events.grant_access gave; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.revoke_access', 'EXECUTE', '{}');

-- An update makes functions anew that take more than before, and their grants go with the old ones.
CREATE TABLE auren.carried_rights (
	object    text COLLATE "C" NOT NULL,
	grantee   oid     NOT NULL,
	grantable boolean NOT NULL,
	CONSTRAINT carried_rights_pkey PRIMARY KEY (object, grantee)
);
COMMENT ON TABLE auren.carried_rights IS 'who could execute a function that the update which is running makes anew; empty at all other times. Not dumped';
COMMENT ON COLUMN auren.carried_rights.object IS 'schema and name of the function';
COMMENT ON COLUMN auren.carried_rights.grantee IS 'role, 0: PUBLIC';
COMMENT ON COLUMN auren.carried_rights.grantable IS 'whether it could grant it to others';

-- A version adds functions, and a role that was given a right before has none of them: not by ALTER EXTENSION UPDATE, and not by a dump of an
-- older version. GRANTs of an update script would be initial privileges, which no dump holds, so they are made after it.
CREATE FUNCTION events.renew_access() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_renew_access';
COMMENT ON FUNCTION events.renew_access() IS 'gives every role with a right what versions after 0.1.0 brought for that right, and returns how many rights of roles it looked after: for use after a restore from a dump of an older version; an update of the extension does it itself; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.renew_access', 'EXECUTE', '{}');

CREATE FUNCTION auren.renew_access_after_update() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_renew_access_after_update';
COMMENT ON FUNCTION auren.renew_access_after_update() IS 'event trigger: events.renew_access() after ALTER EXTENSION auren_events UPDATE';
REVOKE ALL ON FUNCTION auren.renew_access_after_update() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_updated ON ddl_command_end
	WHEN TAG IN ('ALTER EXTENSION')
	EXECUTE FUNCTION auren.renew_access_after_update();
ALTER EVENT TRIGGER auren_events_updated ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_updated IS 'gives the roles with a right what an update of the extension brought for it';

CREATE FUNCTION events.bind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_bind_tenant';
COMMENT ON FUNCTION events.bind_tenant(text, text) IS 'binds a role and its members to a tenant, or to one more; takes SELECT on events.event_store and biometric.biometric_events from it; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.bind_tenant', 'EXECUTE', '{}');

CREATE FUNCTION events.unbind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_unbind_tenant';
COMMENT ON FUNCTION events.unbind_tenant(text, text) IS 'takes one binding back; a role without any may name every tenant; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.unbind_tenant', 'EXECUTE', '{}');
