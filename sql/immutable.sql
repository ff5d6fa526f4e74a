-- Events are immutable: for their owner, for a superuser, under session_replication_role = replica, in each month.
SELECT events.append_event('fixed:a', 'x', '1') IS NOT NULL;
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
SELECT count(*) AS before FROM events.event_store \gset
SELECT replace(line, :'month', 'YYYY_MM') FROM (
	SELECT t.try($$UPDATE events.event_store SET event_data = '2' WHERE stream_id = 'fixed:a'$$) AS line) l;
CREATE FUNCTION t.attempts() RETURNS TABLE (attempt text, state text) LANGUAGE sql AS $$
	SELECT replace(replace(sql, to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'), 'YYYY_MM'), 'events.', ''), t.state(sql)
	FROM (SELECT format(a, o) AS sql FROM unnest(ARRAY['UPDATE %s SET event_type = ''y''', 'DELETE FROM %s', 'TRUNCATE %s',
		'DELETE FROM %s WHERE stream_id = ''fixed:a''']) a,
		unnest(ARRAY['events.event_store', 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')]) o
		UNION ALL
		SELECT 'INSERT INTO events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')
			|| ' SELECT * FROM events.event_store WHERE stream_id = ''fixed:a'' ON CONFLICT (tenant_id, stream_id, stream_version) DO UPDATE SET event_data = ''3'''
		UNION ALL
		SELECT 'MERGE INTO events.event_store e USING (SELECT ''fixed:a'') f (id) ON e.stream_id = f.id WHEN MATCHED THEN ' || what
		FROM unnest('{DELETE,UPDATE SET stream_version = 7}'::text[]) what) s
$$;
SELECT rolsuper FROM pg_roles WHERE rolname = current_user;
SELECT * FROM t.attempts();
SET session_replication_role = replica;
SELECT * FROM t.attempts();
RESET session_replication_role;
-- as an owner who is no superuser
CREATE ROLE regress_owner;
GRANT USAGE ON SCHEMA events TO regress_owner;
SELECT current_user AS me \gset
ALTER TABLE events.event_store OWNER TO regress_owner;
ALTER TABLE events.event_store_:month OWNER TO regress_owner;
SET ROLE regress_owner;
SELECT * FROM t.attempts();
RESET ROLE;
ALTER TABLE events.event_store OWNER TO :me;
ALTER TABLE events.event_store_:month OWNER TO :me;
REVOKE USAGE ON SCHEMA events FROM regress_owner;
DROP ROLE regress_owner;
SELECT count(*) - :before AS changed, t.show('fixed:a') FROM events.event_store;
