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

-- A row beside each CREATE outside of schema auren says which roles may have the object: events.grant_access gives what it finds here.
CREATE TABLE auren.rights (
	object    text   COLLATE "C" NOT NULL,
	privilege text   COLLATE "C" NOT NULL,
	access    text[] NOT NULL,
	since     text   NOT NULL DEFAULT '0.1.0',
	CONSTRAINT rights_pkey PRIMARY KEY (object, privilege)
);
COMMENT ON TABLE auren.rights IS 'what each of the six rights gives (events.grant_access). Not dumped, each version has its own';
COMMENT ON COLUMN auren.rights.object IS 'schema, or schema and name of a function, view or table';
COMMENT ON COLUMN auren.rights.privilege IS 'USAGE, EXECUTE, SELECT or INSERT';
COMMENT ON COLUMN auren.rights.since IS 'version of the extension that brought the object: a role that has all that 0.1.0 gave with a right gets the later ones from events.renew_access';
COMMENT ON COLUMN auren.rights.access IS 'rights that give it: reader, writer, admin, encrypt, decrypt, key_admin; empty: the owner alone has it';

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'auren_events: the event store, its streams and what is read from them';
REVOKE ALL ON SCHEMA events FROM PUBLIC;
INSERT INTO auren.rights VALUES ('events', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');
