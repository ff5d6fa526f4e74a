# The extension as the catalogs have it: one line for each thing that could differ between a database that was updated and a fresh one.

package Catalog;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(catalog_of contents_of tables_of);

# Objects are named and never numbered. A column's place is its rank, since a dropped one leaves a hole.
my $CATALOG = q{
	WITH ext AS (SELECT * FROM pg_extension WHERE extname = 'auren_events'),
	member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN ext e ON d.refobjid = e.oid WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
	rel AS (
		SELECT c.* FROM pg_class c JOIN member m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass
		UNION
		-- months and other partitions are no members, and are made by the code
		SELECT c.* FROM pg_class c JOIN pg_inherits h ON h.inhrelid = c.oid JOIN member m ON m.objid = h.inhparent AND m.classid = 'pg_class'::regclass WHERE c.relkind IN ('r', 'p')),
	fn AS (SELECT p.* FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass),
	line (thing) AS (
		SELECT 'version ' || extversion || ' in ' || extnamespace::regnamespace FROM ext
		UNION ALL SELECT 'member ' || pg_describe_object(classid, objid, 0) FROM member
		UNION ALL SELECT 'function ' || pg_get_functiondef(oid) FROM fn WHERE prokind <> 'a'
		UNION ALL SELECT format('aggregate %s: %s', fn.oid::regprocedure, to_jsonb(a) - 'aggfnoid') FROM fn JOIN pg_aggregate a ON a.aggfnoid = fn.oid
		UNION ALL SELECT format('function %s: owner %s, volatile %s, parallel %s, support %s', oid::regprocedure, proowner::regrole, provolatile, proparallel, prosupport) FROM fn
		UNION ALL SELECT format('right of %s on %s: %s%s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, fn.oid::regprocedure, a.privilege_type, CASE WHEN a.is_grantable THEN '*' END)
			FROM fn, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		UNION ALL SELECT format('right of %s on %s: %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, rel.oid::regclass, a.privilege_type) FROM rel, aclexplode(relacl) a
		UNION ALL SELECT format('right of %s on schema %s: %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, nspname, a.privilege_type)
			FROM pg_namespace n JOIN member m ON m.objid = n.oid AND m.classid = 'pg_namespace'::regclass, aclexplode(nspacl) a
		UNION ALL SELECT format('right of %s on type %s: %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, t.oid::regtype, a.privilege_type)
			FROM pg_type t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass, aclexplode(typacl) a
		UNION ALL SELECT format('initial right %s%s: %s', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.privtype, (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(i.initprivs) x))
			FROM pg_init_privs i JOIN member m ON m.classid = i.classoid AND m.objid = i.objoid
		UNION ALL SELECT format('relation %s: kind %s, %s, access method %s, owner %s, options %s, row security %s %s, replica identity %s, partition %s', oid::regclass, relkind, relpersistence,
			(SELECT amname FROM pg_am WHERE pg_am.oid = relam), relowner::regrole, reloptions, relrowsecurity, relforcerowsecurity, relreplident, pg_get_expr(relpartbound, oid)) FROM rel
		UNION ALL SELECT format('column %s of %s: %s %s', rank() OVER (PARTITION BY attrelid ORDER BY attnum), rel.oid::regclass, attname,
			concat_ws(' ', format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, attidentity, attgenerated, attstorage, attcompression, coalesce(attstattarget, -1), pg_get_expr(adbin, adrelid)))
			FROM rel JOIN pg_attribute ON attrelid = rel.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		UNION ALL SELECT format('view %s: %s', oid::regclass, pg_get_viewdef(oid)) FROM rel WHERE relkind = 'v'
		UNION ALL SELECT format('index of %s: %s %s %s', rel.oid::regclass, pg_get_indexdef(indexrelid), indisvalid, indisreplident) FROM rel JOIN pg_index ON indrelid = rel.oid
		UNION ALL SELECT format('constraint %s of %s: %s', conname, rel.oid::regclass, pg_get_constraintdef(k.oid)) FROM rel JOIN pg_constraint k ON conrelid = rel.oid
		UNION ALL SELECT format('trigger of %s: %s, enabled %s', rel.oid::regclass, pg_get_triggerdef(t.oid), tgenabled) FROM rel JOIN pg_trigger t ON tgrelid = rel.oid AND NOT tgisinternal
		UNION ALL SELECT format('rule of %s: %s', rel.oid::regclass, pg_get_ruledef(r.oid)) FROM rel JOIN pg_rewrite r ON ev_class = rel.oid AND relkind <> 'v'
		UNION ALL SELECT format('policy %s of %s: %s', polname, rel.oid::regclass, pg_get_expr(polqual, polrelid)) FROM rel JOIN pg_policy ON polrelid = rel.oid
		UNION ALL SELECT format('sequence %s: %s', rel.oid::regclass, to_jsonb(s) - 'seqrelid') FROM rel JOIN pg_sequence s ON seqrelid = rel.oid
		UNION ALL SELECT format('event trigger %s: %s %s %s %s %s', evtname, evtevent, evtenabled, evttags, evtfoid::regproc, evtowner::regrole)
			FROM pg_event_trigger t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_event_trigger'::regclass
		UNION ALL SELECT format('operator %s: %s', o.oid::regoperator, to_jsonb(o) - 'oid' - 'oprcode' - 'oprnamespace' - 'oprcom' - 'oprnegate' - 'oprrest' - 'oprjoin')
			FROM pg_operator o JOIN member m ON m.objid = o.oid AND m.classid = 'pg_operator'::regclass
		UNION ALL SELECT format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
			FROM pg_description d WHERE EXISTS (SELECT FROM member m WHERE m.classid = d.classoid AND m.objid = d.objoid)
			OR d.classoid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger t JOIN rel ON rel.oid = tgrelid WHERE t.oid = d.objoid)
			OR d.classoid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint k JOIN rel ON rel.oid = conrelid WHERE k.oid = d.objoid)
		UNION ALL SELECT format('dumped: %s %s', c::regclass, w) FROM ext, unnest(extconfig, extcondition) AS u(c, w)
		UNION ALL SELECT format('shipped object: %s', to_jsonb(o)) FROM auren.shipped_objects o
		UNION ALL SELECT format('right: %s', to_jsonb(r)) FROM auren.rights r)
	SELECT thing FROM line ORDER BY thing COLLATE "C"
};

# What of the extension stands in the catalogs of a database, sorted, as one text.
sub catalog_of
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, "SET search_path = pg_catalog; $CATALOG");
}

# The tables that hold data, each with its columns, without those that say what a version ships.
sub tables_of
{
	my ($node, $database) = @_;
	return $node->safe_psql(
		$database, q{
		SELECT c.oid::regclass, string_agg(quote_ident(attname), ', ' ORDER BY attnum)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
		WHERE nspname IN ('events', 'biometric', 'analytics', 'encrypted', 'auren') AND relkind IN ('r', 'p') AND NOT relispartition
		  AND c.oid::regclass::text NOT IN ('auren.rights', 'auren.shipped_objects') GROUP BY c.oid ORDER BY 1});
}

# What these columns of these tables hold, a line for each table.
sub contents_of
{
	my ($node, $database, $tables) = @_;
	my @parts = map {
		my ($table, $columns) = split /\|/;
		"SELECT '$table', count(*), md5(string_agg(ROW($columns)::text, E'\\n' ORDER BY ROW($columns)::text COLLATE \"C\")) FROM $table t"
	} split /\n/, $tables;
	return $node->safe_psql($database, join(' UNION ALL ', @parts) . ' ORDER BY 1');
}

1;
