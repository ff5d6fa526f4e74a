-- What a DBA adds to the store's tables. A dump holds nothing of what hangs on a table of an extension: it is written down in a
-- table that a dump holds, and made again from there.

CREATE TABLE auren.kept_objects (
	relation   text COLLATE "C" NOT NULL,
	kind       text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	definition text NOT NULL,
	CONSTRAINT kept_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.kept_objects IS 'what was added to the store''s tables (triggers, policies, indexes and the like), so that a dump holds it';
COMMENT ON COLUMN auren.kept_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN auren.kept_objects.kind IS 'trigger, policy, index, constraint and so on';
COMMENT ON COLUMN auren.kept_objects.name IS 'its name, empty where the table has one of the kind';
COMMENT ON COLUMN auren.kept_objects.definition IS 'statements that make it';
CREATE TABLE auren.present_objects (
	relation text COLLATE "C" NOT NULL,
	kind     text COLLATE "C" NOT NULL,
	name     text COLLATE "C" NOT NULL,
	CONSTRAINT present_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.present_objects IS 'which of auren.kept_objects are there in this database. Not dumped: after a restore none is, until it was made';
COMMENT ON COLUMN auren.present_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN auren.present_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.present_objects.name IS 'its name';
CREATE TABLE auren.shipped_objects (
	relation   text COLLATE "C" NOT NULL,
	kind       text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	definition text NOT NULL,
	CONSTRAINT shipped_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.shipped_objects IS 'what the extension itself puts on its tables: all else was added. Not dumped, each version has its own';
COMMENT ON COLUMN auren.shipped_objects.relation IS 'table';
COMMENT ON COLUMN auren.shipped_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.shipped_objects.name IS 'its name';
COMMENT ON COLUMN auren.shipped_objects.definition IS 'statements that make it, or the type of a column';

CREATE FUNCTION auren.require_restored() RETURNS boolean
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_require_restored';
COMMENT ON FUNCTION auren.require_restored() IS 'fails with 55000: what the policies call that close the tables until events.restore_objects() was called';

-- The kinds column and parent index are refused (a dump that has one cannot be restored), all others are kept.
CREATE VIEW auren.table_objects AS
	WITH member AS (
		SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions, format('%I.%I', n.nspname, c.relname) AS relation,
			EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'auren_events_closed') AS closed
		FROM pg_extension e
			JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
			JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'v')
			JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE e.extname = 'auren_events'),
	owned AS (SELECT * FROM member WHERE relkind <> 'v')
	SELECT m.relation, 'column' AS kind, a.attname::text AS name,
		concat_ws(' ', format_type(a.atttypid, a.atttypmod), nullif(a.attcollation, 0)::regcollation, CASE WHEN a.attnotnull THEN 'NOT NULL' END,
			CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END, CASE WHEN a.attidentity <> '' THEN 'IDENTITY' END) AS definition
	FROM owned m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT m.relation, 'parent index', i.relname, pg_get_indexdef(i.oid)
	FROM owned m JOIN pg_index x ON x.indrelid = m.oid JOIN pg_class i ON i.oid = x.indexrelid
	WHERE m.relkind = 'p'
	UNION ALL
	SELECT m.relation, 'table setting', '', format('ALTER TABLE %s SET (%s)', m.relation, array_to_string(m.reloptions, ', '))
	FROM owned m WHERE m.reloptions IS NOT NULL
	UNION ALL
	SELECT m.relation, 'column setting', a.attname, format('ALTER TABLE ONLY %s ', m.relation) || concat_ws(', ',
		format('ALTER COLUMN %I SET STATISTICS %s', a.attname, coalesce(a.attstattarget::integer, -1)),
		format('ALTER COLUMN %I SET STORAGE %s', a.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END),
		CASE a.attcompression WHEN 'p' THEN format('ALTER COLUMN %I SET COMPRESSION pglz', a.attname) WHEN 'l' THEN format('ALTER COLUMN %I SET COMPRESSION lz4', a.attname) END,
		-- a server may write options of its own beside these two
		(SELECT format('ALTER COLUMN %I SET (%s)', a.attname, string_agg(o.option, ', ' ORDER BY o.option)) FROM unnest(a.attoptions) o(option)
		 WHERE split_part(o.option, '=', 1) IN ('n_distinct', 'n_distinct_inherited') HAVING count(*) > 0),
		CASE WHEN d.adbin IS NULL THEN format('ALTER COLUMN %I DROP DEFAULT', a.attname)
		     WHEN a.attgenerated = '' THEN format('ALTER COLUMN %I SET DEFAULT %s', a.attname, pg_get_expr(d.adbin, d.adrelid)) END)
	FROM owned m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	UNION ALL
	SELECT m.relation, 'index', i.relname, pg_get_indexdef(i.oid)
	FROM owned m JOIN pg_index x ON x.indrelid = m.oid AND x.indisvalid JOIN pg_class i ON i.oid = x.indexrelid
	WHERE m.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
	UNION ALL
	SELECT m.relation, CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, k.conname, format('ALTER TABLE %s ADD CONSTRAINT %I %s', m.relation, k.conname, pg_get_constraintdef(k.oid))
	FROM owned m JOIN pg_constraint k ON k.conrelid = m.oid AND k.conparentid = 0
	WHERE k.contype IN ('c', 'f') OR k.contype IN ('p', 'u', 'x') AND m.relkind = 'r'
	UNION ALL
	SELECT m.relation, 'statistics', format('%I.%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid)
			|| CASE WHEN coalesce(s.stxstattarget::integer, -1) >= 0 THEN format('; ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) ELSE '' END
	FROM owned m JOIN pg_statistic_ext s ON s.stxrelid = m.oid JOIN pg_namespace n ON n.oid = s.stxnamespace
	UNION ALL
	SELECT m.relation, 'rule', r.rulename, pg_get_ruledef(r.oid)
			|| CASE r.ev_enabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %s %s RULE %I', m.relation,
			   CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, r.rulename) END
	FROM owned m JOIN pg_rewrite r ON r.ev_class = m.oid
	UNION ALL
	SELECT m.relation, 'trigger', t.tgname, pg_get_triggerdef(t.oid)
	FROM member m JOIN pg_trigger t ON t.tgrelid = m.oid
	WHERE NOT t.tgisinternal AND t.tgparentid = 0
	UNION ALL
	SELECT m.relation, 'trigger state', t.tgname, format('ALTER TABLE %s %s TRIGGER %I', m.relation,
		CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname)
	FROM member m JOIN pg_trigger t ON t.tgrelid = m.oid
	WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'O'
	UNION ALL
	SELECT m.relation, 'policy', p.polname, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, m.relation,
			CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
			CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
			(SELECT string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.role)) END, ', ' ORDER BY r.place)
			 FROM unnest(p.polroles) WITH ORDINALITY r(role, place)))
		|| coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
	FROM owned m JOIN pg_policy p ON p.polrelid = m.oid
	WHERE p.polname <> 'auren_events_closed'
	UNION ALL
	SELECT m.relation, 'row security', '', format('ALTER TABLE %s ', m.relation) || concat_ws(', ', CASE WHEN m.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
		CASE WHEN m.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END)
	FROM owned m
	WHERE (m.relrowsecurity OR m.relforcerowsecurity) AND NOT m.closed
	UNION ALL
	SELECT m.relation, 'replica identity', '', format('ALTER TABLE ONLY %s REPLICA IDENTITY ', m.relation) || CASE m.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
		ELSE (SELECT format('USING INDEX %I', i.relname) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = m.oid AND x.indisreplident) END
	FROM owned m
	WHERE m.relreplident <> 'd'
	UNION ALL
	SELECT m.relation, 'publication', p.pubname, format('ALTER PUBLICATION %I ADD TABLE %s', p.pubname, m.relation)
		|| coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a
			WHERE a.attrelid = m.oid AND a.attnum = ANY (r.prattrs)), '')
		|| coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')
	FROM owned m JOIN pg_publication_rel r ON r.prrelid = m.oid JOIN pg_publication p ON p.oid = r.prpubid
	UNION ALL
	SELECT m.relation, 'comment', o.what, format('COMMENT ON %s IS %L', o.full_name, d.description)
	FROM owned m CROSS JOIN LATERAL (
		SELECT 'pg_class'::regclass AS class, m.oid, 0 AS part, 'TABLE' AS what, format('TABLE %s', m.relation) AS full_name
		UNION ALL
		SELECT 'pg_class'::regclass, m.oid, a.attnum, format('COLUMN %I', a.attname), format('COLUMN %s.%I', m.relation, a.attname) FROM pg_attribute a
		WHERE a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL
		SELECT 'pg_class'::regclass, i.oid, 0, format('INDEX %I', i.relname), format('INDEX %I.%I', n.nspname, i.relname)
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace WHERE x.indrelid = m.oid
		UNION ALL
		SELECT 'pg_constraint'::regclass, k.oid, 0, format('CONSTRAINT %I', k.conname), format('CONSTRAINT %I ON %s', k.conname, m.relation) FROM pg_constraint k WHERE k.conrelid = m.oid
		UNION ALL
		SELECT 'pg_trigger'::regclass, t.oid, 0, format('TRIGGER %I', t.tgname), format('TRIGGER %I ON %s', t.tgname, m.relation) FROM pg_trigger t WHERE t.tgrelid = m.oid
		UNION ALL
		SELECT 'pg_policy'::regclass, p.oid, 0, format('POLICY %I', p.polname), format('POLICY %I ON %s', p.polname, m.relation) FROM pg_policy p WHERE p.polrelid = m.oid
		UNION ALL
		SELECT 'pg_rewrite'::regclass, r.oid, 0, format('RULE %I', r.rulename), format('RULE %I ON %s', r.rulename, m.relation) FROM pg_rewrite r WHERE r.ev_class = m.oid
		UNION ALL
		SELECT 'pg_statistic_ext'::regclass, s.oid, 0, format('STATISTICS %I.%I', n.nspname, s.stxname), format('STATISTICS %I.%I', n.nspname, s.stxname)
		FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = m.oid) o
		JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid AND d.objsubid = o.part;
COMMENT ON VIEW auren.table_objects IS 'everything that hangs on the store''s tables, the extension''s own and what was added, as statements';
COMMENT ON COLUMN auren.table_objects.relation IS 'table, or for triggers a view';
COMMENT ON COLUMN auren.table_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.table_objects.name IS 'its name';
COMMENT ON COLUMN auren.table_objects.definition IS 'statements that make it; type of a column';

CREATE VIEW events.added_objects AS
	SELECT k.relation, k.kind, k.name, k.definition, p.relation IS NOT NULL AS present
	FROM auren.kept_objects k LEFT JOIN auren.present_objects p USING (relation, kind, name);
COMMENT ON VIEW events.added_objects IS 'what was added to the store''s tables, and whether it is there: after a restore it is made by events.restore_objects()';
INSERT INTO auren.rights VALUES ('events.added_objects', 'SELECT', '{}');
COMMENT ON COLUMN events.added_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN events.added_objects.kind IS 'kind of object';
COMMENT ON COLUMN events.added_objects.name IS 'its name';
COMMENT ON COLUMN events.added_objects.definition IS 'statements that make it';
COMMENT ON COLUMN events.added_objects.present IS 'whether it is there; while one is not, the store is closed';

CREATE FUNCTION events.restore_objects() RETURNS TABLE (relation text, kind text, name text, problem text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_restore_objects';
COMMENT ON FUNCTION events.restore_objects() IS 'makes what was added to the store''s tables before a dump and opens the store; returns what could not be made, and why';
INSERT INTO auren.rights VALUES ('events.restore_objects', 'EXECUTE', '{}');
CREATE FUNCTION events.give_up_objects() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_give_up_objects';
COMMENT ON FUNCTION events.give_up_objects() IS 'goes on without what events.restore_objects() could not make, opens the store and returns how many objects that were';
INSERT INTO auren.rights VALUES ('events.give_up_objects', 'EXECUTE', '{}');

CREATE FUNCTION auren.objects_came() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_objects_came';
COMMENT ON FUNCTION auren.objects_came() IS 'trigger of auren.kept_objects: closes the store when a restore brings objects that are not there';
REVOKE ALL ON FUNCTION auren.objects_came() FROM PUBLIC;
CREATE TRIGGER objects_came AFTER INSERT ON auren.kept_objects
	FOR EACH STATEMENT EXECUTE FUNCTION auren.objects_came();
ALTER TABLE auren.kept_objects ENABLE ALWAYS TRIGGER objects_came;
COMMENT ON TRIGGER objects_came ON auren.kept_objects IS 'closes the store until events.restore_objects() was called';

CREATE FUNCTION auren.keep_objects() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_keep_objects';
COMMENT ON FUNCTION auren.keep_objects() IS 'event trigger: writes down what is added to the store''s tables, and refuses what a restore could not make again';
REVOKE ALL ON FUNCTION auren.keep_objects() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_objects_change ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER', 'ALTER TRIGGER', 'CREATE POLICY', 'ALTER POLICY', 'CREATE RULE', 'ALTER RULE',
		'CREATE STATISTICS', 'ALTER STATISTICS', 'CREATE PUBLICATION', 'ALTER PUBLICATION', 'COMMENT', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER PROCEDURE', 'ALTER SCHEMA',
		'ALTER TYPE', 'ALTER DOMAIN', 'ALTER COLLATION', 'ALTER OPERATOR CLASS', 'ALTER VIEW', 'ALTER SEQUENCE', 'ALTER TEXT SEARCH CONFIGURATION', 'CREATE SCHEMA')
	EXECUTE FUNCTION auren.keep_objects();
CREATE EVENT TRIGGER auren_events_objects_gone ON sql_drop
	EXECUTE FUNCTION auren.keep_objects();
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_objects_change IS 'writes down what is added to the store''s tables';
COMMENT ON EVENT TRIGGER auren_events_objects_gone IS 'takes note of what was added to the store''s tables and dropped';

-- Last, so that all of it counts as the extension's own. It is written as every session compares it (pg::FixDefinitionSettings): by a function, since
-- what a script sets stays set to the end of the transaction of whoever runs CREATE EXTENSION.
CREATE FUNCTION auren.write_shipped_objects() RETURNS void LANGUAGE sql
	SET "DateStyle" = 'ISO' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC' SET extra_float_digits = '3' SET bytea_output = 'hex' SET lc_monetary = 'C'
	SET quote_all_identifiers = 'off' SET standard_conforming_strings = 'on'
	AS 'INSERT INTO auren.shipped_objects SELECT relation, kind, name, definition FROM auren.table_objects';
SELECT auren.write_shipped_objects();
DROP FUNCTION auren.write_shipped_objects();
SELECT pg_catalog.pg_extension_config_dump('auren.kept_objects', '');
