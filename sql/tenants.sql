-- Tenants: each sees and writes its own rows, and a bound role cannot name another.
SET client_min_messages = warning;
SET app.tenant_id = 'acme';
SELECT events.current_tenant(), events.append_event('shared:1', 'a', '"acme"', p_event_id := '00000000-0000-0000-0000-00000000d001');
SET app.tenant_id = 'globex';
SELECT events.current_tenant(), events.append_event('shared:1', 'a', '"globex"', p_event_id := '00000000-0000-0000-0000-00000000d001');
SELECT events.append_event('shared:1', 'b', '"globex"', p_expected_version := 1) IS NOT NULL;
SET app.tenant_id = '';
SELECT events.current_tenant(), events.stream_exists('shared:1');
RESET app.tenant_id;
SELECT events.current_tenant(), events.append_event('shared:1', 'a', '"default"') IS NOT NULL;
CREATE FUNCTION t.sees(p_tenant text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.tenant_id', p_tenant, true);
	RETURN concat_ws(' | ', t.show('shared:1'), events.get_stream_state('shared:1'), events.stream_version('shared:1'),
		(SELECT string_agg(event_data::text, ',') FROM events.replay_stream_backward('shared:1')),
		(SELECT event_data FROM events.last_event('shared:1')),
		(SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', p_limit := 1000000) WHERE stream_id = 'shared:1'),
		(SELECT count(*) FROM events.find_events('"globex"')),
		(SELECT version FROM events.streams WHERE stream_id = 'shared:1'),
		(SELECT count(*) FROM events.tenant_events WHERE stream_id = 'shared:1'),
		(SELECT count(DISTINCT tenant_id) FROM events.tenant_events));
END $$;
SELECT t.sees('acme');
SELECT t.sees('globex');
SELECT t.sees('default');
SELECT t.sees('nobody');
SELECT tenant_id, stream_version, event_data FROM events.event_store WHERE stream_id = 'shared:1' ORDER BY 1, 2;
SELECT * FROM t.try($$SELECT set_config('app.tenant_id', ' x', true); SELECT events.current_tenant()$$);
SELECT t.state($$SELECT set_config('app.tenant_id', repeat('x', 256), true); SELECT events.current_tenant()$$);

-- a bound role
CREATE ROLE regress_acme;
CREATE ROLE regress_free;
GRANT regress_acme, regress_free TO CURRENT_USER;
SELECT events.grant_access('regress_acme', 'reader'), events.grant_access('regress_acme', 'writer'), events.grant_access('regress_free', 'reader');
SELECT has_table_privilege('regress_acme', 'events.event_store', 'SELECT') AS before;
SELECT events.bind_tenant('regress_acme', 'acme');
SELECT has_table_privilege('regress_acme', 'events.event_store', 'SELECT') AS bound;
SELECT has_table_privilege('regress_free', 'events.event_store', 'SELECT') AS free;
-- granting again does not show it the table
SELECT events.grant_access('regress_acme', 'reader');
SELECT has_table_privilege('regress_acme', 'events.event_store', 'SELECT') AS bound;
CREATE FUNCTION t.as_definer(p_sql text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN t.state(p_sql); END $$;
CREATE FUNCTION t.matrix() RETURNS TABLE (tenant text, version text, append text, streams text, events text, search text, definer text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH tenant IN ARRAY ARRAY['acme', 'globex', ''] LOOP
		PERFORM set_config('app.tenant_id', tenant, true);
		version := t.state($q$SELECT events.stream_version('shared:1')$q$);
		append := t.state($q$SELECT events.append_event('shared:2', 'a', '1')$q$);
		streams := t.state($q$SELECT count(*) FROM events.streams$q$);
		events := t.state($q$SELECT count(*) FROM events.tenant_events$q$);
		search := t.state($q$SELECT * FROM events.find_events('1')$q$);
		definer := t.as_definer($q$SELECT events.stream_version('shared:1')$q$);
		RETURN NEXT;
	END LOOP;
END $$;
-- as the session's user
SET SESSION AUTHORIZATION regress_acme;
SELECT * FROM t.matrix();
SET app.tenant_id = 'globex';
SELECT * FROM t.try($$SELECT events.stream_version('shared:1')$$);
SET ROLE NONE;
RESET app.tenant_id;
RESET SESSION AUTHORIZATION;
-- by SET ROLE alone: the current user is bound
SET ROLE regress_acme;
SELECT * FROM t.matrix();
RESET ROLE;
-- bound session, SET ROLE to an unbound role that it is a member of
GRANT regress_free TO regress_acme;
SELECT * FROM t.try($$SELECT events.bind_tenant('regress_acme', 'acme')$$);
SET SESSION AUTHORIZATION regress_acme;
SET ROLE regress_free;
SET app.tenant_id = 'globex';
SELECT t.state($$SELECT events.stream_version('shared:1')$$);
SET app.tenant_id = 'acme';
SELECT t.state($$SELECT events.stream_version('shared:1')$$);
RESET app.tenant_id;
RESET SESSION AUTHORIZATION;
REVOKE regress_free FROM regress_acme;
-- bound, and a member that inherits nothing of an unbound reader: SET ROLE would show it the table
CREATE ROLE regress_switches NOINHERIT IN ROLE regress_free;
SELECT t.state($$SELECT events.bind_tenant('regress_switches', 'acme')$$);
DROP ROLE regress_switches;
-- renamed
ALTER ROLE regress_acme RENAME TO regress_renamed;
SET ROLE regress_renamed;
SET app.tenant_id = 'globex';
SELECT t.state($$SELECT events.stream_version('shared:1')$$);
RESET app.tenant_id;
RESET ROLE;
ALTER ROLE regress_renamed RENAME TO regress_acme;
-- a member of a bound role is bound
CREATE ROLE regress_member IN ROLE regress_acme;
SELECT events.unbind_tenant('regress_acme', 'acme'), events.grant_access('regress_member', 'reader');
SELECT has_table_privilege('regress_member', 'events.event_store', 'SELECT') AS before;
SELECT events.bind_tenant('regress_acme', 'acme');
SELECT has_table_privilege('regress_member', 'events.event_store', 'SELECT') AS member;
SET SESSION AUTHORIZATION regress_member;
SELECT * FROM t.matrix();
RESET SESSION AUTHORIZATION;
-- bound to two tenants
SELECT events.bind_tenant('regress_acme', 'globex');
SET SESSION AUTHORIZATION regress_acme;
SELECT * FROM t.matrix();
RESET SESSION AUTHORIZATION;
SELECT role::text, tenant_id FROM events.tenant_bindings ORDER BY 1, 2;
-- one tenant's error texts say nothing of another's streams
SET ROLE regress_acme;
SET app.tenant_id = 'acme';
SELECT * FROM t.try($$SELECT events.append_event('shared:1', 'b', '1', p_expected_version := 2)$$);
SELECT * FROM t.try($$SELECT events.append_event('shared:1', 'a', '"globex"', p_event_id := '00000000-0000-0000-0000-00000000d001')$$);
RESET app.tenant_id;
RESET ROLE;
-- taken back
SELECT events.unbind_tenant('regress_acme', 'globex'), events.unbind_tenant('regress_acme', 'acme');
SET SESSION AUTHORIZATION regress_acme;
SELECT * FROM t.matrix();
RESET SESSION AUTHORIZATION;
-- who cannot be bound, who may not bind
SELECT * FROM t.try(format('SELECT events.bind_tenant(%L, ''acme'')', current_user)) WHERE try NOT LIKE '55000%';
SELECT t.state($$SELECT events.bind_tenant('regress_nobody', 'acme')$$);
SELECT t.state($$SELECT events.bind_tenant('regress_acme', '')$$);
SELECT events.revoke_access('regress_acme', 'reader'), events.revoke_access('regress_acme', 'writer'), events.revoke_access('regress_free', 'reader');
DROP OWNED BY regress_member;
DROP ROLE regress_member, regress_acme, regress_free;
SELECT count(*) FROM events.tenant_bindings;
-- a role that was dropped leaves its binding as a number, by which it is taken back
CREATE ROLE regress_gone;
SELECT events.bind_tenant('regress_gone', 'acme');
SELECT oid AS gone FROM pg_roles WHERE rolname = 'regress_gone' \gset
DROP ROLE regress_gone;
SELECT role::text = :'gone' AS number FROM events.tenant_bindings;
SELECT events.unbind_tenant(:'gone', 'acme');
SELECT count(*) FROM events.tenant_bindings;
-- each change of the setting counts from the next value on
SELECT set_config('app.tenant_id', tenant, false), events.current_tenant() FROM (VALUES ('acme'), ('globex'), (''), ('acme')) v (tenant);
CREATE FUNCTION t.in_globex() RETURNS text LANGUAGE sql SET app.tenant_id = 'globex' AS 'SELECT events.current_tenant()';
SELECT events.current_tenant(), t.in_globex(), events.current_tenant();
BEGIN;
SET LOCAL app.tenant_id = 'one';
SELECT events.current_tenant();
SAVEPOINT inner_one;
SET LOCAL app.tenant_id = 'two';
SELECT events.current_tenant();
ROLLBACK TO inner_one;
SELECT events.current_tenant();
ROLLBACK;
SELECT events.current_tenant();
-- a new session: what was set before the module is there holds, at its level too; without it the setting is empty
\c -
SET app.tenant_id = 'early';
BEGIN;
SET LOCAL app.tenant_id = 'outer';
SAVEPOINT inner_one;
SET LOCAL app.tenant_id = 'inner';
SELECT events.current_tenant();
ROLLBACK TO inner_one;
SELECT events.current_tenant();
COMMIT;
SELECT events.current_tenant();
DISCARD ALL;
SELECT events.current_tenant(), current_setting('app.tenant_id') = '' AS empty;
-- everybody may set it, keep it for a role, and have other settings of the prefix
CREATE ROLE regress_plain;
GRANT ALL ON SCHEMA t TO regress_plain;
SET ROLE regress_plain;
SET app.tenant_id = 'plain';
SET app.other = 'x';
SELECT current_setting('app.tenant_id'), current_setting('app.other');
ALTER ROLE regress_plain SET app.tenant_id = 'mine';
RESET app.tenant_id;
RESET ROLE;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_plain'::regrole;
REVOKE ALL ON SCHEMA t FROM regress_plain;
DROP ROLE regress_plain;
