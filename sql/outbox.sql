-- The view for relays of an outbox: its columns, what it reads, and that nothing is missed by a relay that remembers a position.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET app.tenant_id = 'outbox_shop';
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('outbox_order:' || n % 3 ORDER BY n) FROM generate_series(1, 9) n), array_fill('placed'::text, ARRAY[9]), (SELECT array_agg(to_jsonb(n) ORDER BY n) FROM generate_series(1, 9) n));
SELECT events.append_event('outbox', 'noted', '{"total": 0.10}', p_metadata => '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}') IS NOT NULL AS appended;
SELECT events.append_event('outbox:a:b', 'noted', '2', p_metadata => '{"traceparent": "00-1"}') IS NOT NULL AS appended;

SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'events' AND table_name = 'outbox' ORDER BY ordinal_position;
SELECT aggregatetype, aggregateid, type, payload, aggregateversion, metadata, tracingspancontext FROM events.outbox ORDER BY global_position;
SELECT count(*), count(*) FILTER (WHERE (o.id, o.aggregateid, o.type, o.payload, o."timestamp", o.aggregateversion, o.metadata)
	IS DISTINCT FROM (r.event_id, r.stream_id, r.event_type, r.event_data, r.created_at, r.stream_version, r.metadata)) AS other
FROM events.outbox o FULL JOIN events.read_all() r USING (global_position);

-- A condition on the position moves the beginning: what is before it is not read.
SELECT min(global_position) AS first, max(global_position) AS last FROM events.outbox \gset
PREPARE after_parameter AS SELECT payload FROM events.outbox WHERE global_position > $1 ORDER BY global_position ASC;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE after_parameter(0);
RESET plan_cache_mode;
CREATE FUNCTION pg_temp.read_in_vain(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	RETURN (SELECT coalesce(sum(v::numeric), 0) FROM jsonb_path_query(plan, '$.**."Rows Removed by Filter"') v);
END $$;
CREATE TEMP TABLE checkpoint AS SELECT (:last - 2)::bigint AS position;
SELECT n, pg_temp.read_in_vain(format(query, :last - 2)) AS in_vain FROM (VALUES
	(1, 'SELECT * FROM events.outbox WHERE global_position > %s'),
	(2, 'SELECT * FROM events.outbox WHERE %s < global_position AND global_position > 0'),
	(3, 'SELECT * FROM events.outbox WHERE global_position > %s::bigint ORDER BY global_position LIMIT 1'),
	(4, 'SELECT * FROM events.outbox WHERE global_position > (SELECT position FROM checkpoint)'),
	(5, 'SELECT o.* FROM checkpoint c, LATERAL (SELECT * FROM events.outbox WHERE global_position > c.position ORDER BY global_position LIMIT 1) o'),
	(6, 'SELECT * FROM (SELECT payload, global_position + 0 AS p, global_position FROM events.outbox OFFSET 0) o WHERE global_position > %s'),
	(7, 'SELECT * FROM events.read_all(0, 2147483647) WHERE global_position > %s'),
	(8, 'SELECT * FROM events.as_cloudevents(0, 2147483647) WHERE global_position > %s')) v(n, query) ORDER BY n;
-- 6 reads all: what stands behind OFFSET is not looked into
SELECT (SELECT array_agg(payload ORDER BY global_position) FROM events.outbox WHERE global_position > :last - 2) AS constant,
	(SELECT array_agg(payload) FROM (SELECT payload FROM events.outbox WHERE global_position > (SELECT position FROM checkpoint) ORDER BY global_position) o) AS subquery,
	(SELECT array_agg(payload) FROM events.outbox WHERE global_position > NULL::bigint) AS of_null,
	(SELECT count(*) FROM events.outbox WHERE global_position > -5) AS of_negative;
EXECUTE after_parameter(:last - 1);
EXECUTE after_parameter(NULL);
-- a limit of the function's own counts from its own beginning, so that nothing is moved
SELECT count(*) FROM events.read_all(0, 3) WHERE global_position > :last - 2;
SELECT count(*) FROM events.read_all(:last - 1, 2147483647) WHERE global_position > 0;
SELECT code, message FROM t.error_of('SELECT * FROM events.read_all(NULL, 2147483647) WHERE global_position > 5');
-- other conditions stay what they are
SELECT count(*) FROM events.outbox WHERE global_position >= :first AND aggregatetype = 'outbox_order';
SELECT count(*) FROM events.outbox WHERE NOT global_position > :first;
SELECT count(*) FROM events.outbox WHERE global_position > :last - 2 OR payload = '1';
SELECT count(*) FROM events.outbox a JOIN events.outbox b ON a.global_position > b.global_position;

-- A relay that remembers the last position sees each event once, pages of two.
DO $$
DECLARE
	after bigint := 0;
	page bigint[];
	seen bigint[] := '{}';
BEGIN
	LOOP
		SELECT array_agg(global_position) INTO page FROM (SELECT global_position FROM events.outbox WHERE global_position > after ORDER BY global_position LIMIT 2) p;
		EXIT WHEN page IS NULL;
		seen := seen || page;
		after := page[array_upper(page, 1)];
	END LOOP;
	IF seen <> (SELECT array_agg(global_position ORDER BY global_position) FROM events.tenant_events) THEN
		RAISE EXCEPTION 'seen %', seen;
	END IF;
END $$;

-- a policy holds for the view as for the functions
CREATE ROLE regress_outbox_reader;
SELECT events.grant_access('regress_outbox_reader', 'reader');
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
CREATE POLICY outbox_placed ON events.event_store FOR SELECT USING (event_type = 'placed');
SET ROLE regress_outbox_reader;
SELECT count(*) AS all, count(*) FILTER (WHERE global_position > :last - 4) AS late, (SELECT count(*) FROM events.outbox WHERE global_position > :last - 4) AS moved FROM events.outbox;
RESET ROLE;
DROP POLICY outbox_placed ON events.event_store;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SELECT events.revoke_access('regress_outbox_reader', 'reader');
DROP ROLE regress_outbox_reader;

-- a transaction does not see its own appends before they are committed, and other tenants' never
BEGIN;
SELECT events.append_event('outbox:c', 'noted', '3') IS NOT NULL AS appended;
SELECT count(*) FROM events.outbox WHERE aggregateid = 'outbox:c';
ROLLBACK;
SET app.tenant_id = 'outbox_other';
SELECT count(*) FROM events.outbox;

-- whoever may read a view over it needs no right of ours, and gets another tenant's events from it no more than elsewhere
CREATE ROLE regress_outbox;
SELECT code, message FROM (SELECT set_config('role', 'regress_outbox', false)) r, t.error_of('TABLE events.outbox');
RESET ROLE;
CREATE SCHEMA outbox;
GRANT USAGE ON SCHEMA outbox TO regress_outbox;
CREATE VIEW outbox.payloads AS SELECT payload, global_position FROM events.outbox WHERE type = 'placed';
GRANT SELECT ON outbox.payloads TO regress_outbox;
SET app.tenant_id = 'outbox_shop';
SET ROLE regress_outbox;
SELECT count(*) FROM outbox.payloads WHERE global_position > :last - 4;
RESET ROLE;
SELECT events.bind_tenant('regress_outbox', 'outbox_other');
SET ROLE regress_outbox;
TABLE outbox.payloads;
RESET ROLE;
SELECT events.unbind_tenant('regress_outbox', 'outbox_other');
DROP SCHEMA outbox CASCADE;
DROP ROLE regress_outbox;
