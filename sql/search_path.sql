-- No function of ours can be turned on its caller by search_path.
SET client_min_messages = warning;
CREATE SCHEMA evil;
CREATE FUNCTION evil.called(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator was called'; END $$;
CREATE FUNCTION evil.called(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator was called'; END $$;
CREATE FUNCTION evil.called(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator was called'; END $$;
CREATE FUNCTION evil.called(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator was called'; END $$;
CREATE FUNCTION evil.called(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator was called'; END $$;
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT op, ty FROM unnest(ARRAY['=', '<', '>', '<=', '>=', '@>']) op, unnest(ARRAY['text', 'bigint', 'jsonb', 'timestamptz', 'oid']) ty LOOP
		EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.called)', r.op, r.ty, r.ty);
	END LOOP;
END $$;
DO $$
DECLARE
	v_type text;
BEGIN
	FOREACH v_type IN ARRAY '{text,jsonb,uuid,timestamptz,oid,regrole,regclass}'::text[] LOOP
		EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I', v_type, v_type);
	END LOOP;
END $$;
CREATE FUNCTION evil.split_part(text, text, integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil function was called'; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil function was called'; END $$;
CREATE ROLE regress_evil;
SET search_path = evil, pg_catalog;
SELECT t.state($$SELECT 'a'::text = 'b'::text$$) AS armed;
CREATE FUNCTION evil.attempts() RETURNS TABLE (sql text, state text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH sql IN ARRAY ARRAY[
		$q$SELECT events.append_event('evil:a', 'x', '{"a": 1}')$q$,
		$q$SELECT events.append_events('{evil:a}', '{x}', '{1}')$q$,
		$q$SELECT events.append_event('evil:a', 'x', '1', p_event_id := '00000000-0000-0000-0000-00000000e001')$q$,
		$q$SELECT * FROM events.replay_stream('evil:a')$q$,
		$q$SELECT * FROM events.replay_stream_backward('evil:a')$q$,
		$q$SELECT * FROM events.last_event('evil:a')$q$,
		$q$SELECT events.get_stream_state('evil:a'), events.stream_version('evil:a'), events.stream_exists('evil:a')$q$,
		$q$SELECT * FROM events.events_by_time('-infinity', 'infinity', 'x', 5, 0)$q$,
		$q$SELECT * FROM events.find_events('{"a": 1}', 'x', '-infinity', 'infinity', 5, 9223372036854775807)$q$,
		$q$SELECT * FROM events.streams LIMIT 1$q$,
		$q$SELECT count(*) FROM events.tenant_events$q$,
		$q$SELECT events.close_stream('evil:a', 'r'), events.reopen_stream('evil:a')$q$,
		$q$SELECT events.create_monthly_partitions(7)$q$,
		$q$SELECT events.grant_access('regress_evil', 'reader'), events.grant_access('regress_evil', 'writer'), events.grant_access('regress_evil', 'admin')$q$,
		$q$SELECT events.bind_tenant('regress_evil', 'a'), events.unbind_tenant('regress_evil', 'a')$q$,
		$q$SELECT events.revoke_access('regress_evil', 'reader'), events.revoke_access('regress_evil', 'writer'), events.revoke_access('regress_evil', 'admin')$q$] LOOP
		state := t.state(sql);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT state, count(*) FROM evil.attempts() GROUP BY 1;
-- through the executor too
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON events.event_store USING (true);
SELECT events.grant_access('regress_evil', 'reader'), events.grant_access('regress_evil', 'writer');
GRANT USAGE ON SCHEMA evil TO regress_evil;
SET ROLE regress_evil;
SELECT sql, state FROM evil.attempts() WHERE state OPERATOR(pg_catalog.<>) 'ok' AND state OPERATOR(pg_catalog.<>) '42501';
RESET ROLE;
DROP POLICY all_rows ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SELECT events.revoke_access('regress_evil', 'reader'), events.revoke_access('regress_evil', 'writer');
RESET search_path;
DROP SCHEMA evil CASCADE;
DROP OWNED BY regress_evil;
DROP ROLE regress_evil;
-- What runs as the store's owner names tables and functions of the store. Nobody below a superuser can make, rename or swap one: the schemas are a superuser's,
-- only their owner creates in them, and nobody below a superuser makes the extension.
SELECT nspname, r.rolsuper AS of_a_superuser, (SELECT count(*) FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE privilege_type = 'CREATE' AND grantee <> nspowner) AS others_create
FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner WHERE EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = pg_namespace.oid AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events')) ORDER BY nspname;
SELECT DISTINCT superuser, trusted, relocatable FROM pg_available_extension_versions WHERE name = 'auren_events';
SELECT count(*) AS not_a_superusers FROM pg_depend d JOIN (SELECT 'pg_proc'::regclass AS class, oid, proowner AS owner FROM pg_proc UNION ALL SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
	UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtowner FROM pg_event_trigger) o ON o.class = d.classid AND o.oid = d.objid
JOIN pg_roles r ON r.oid = o.owner WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events') AND NOT r.rolsuper;
