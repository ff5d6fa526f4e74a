-- Events are read with ordinary SQL: columns from fields, views by type and by category, and the months' indexes serve them.
SELECT events.create_monthly_partitions(3) >= 0 AS months;
SELECT count(*) FROM events.append_events(
	(SELECT array_agg('plain:' || i % 50 ORDER BY i) FROM generate_series(1, 3000) i),
	(SELECT array_agg(CASE WHEN i % 100 = 0 THEN 'steps_counted' ELSE 'heart_rate_read' END ORDER BY i) FROM generate_series(1, 3000) i),
	(SELECT array_agg(jsonb_build_object('n', i, 'steps', i * 2, 'zones', jsonb_build_array(jsonb_build_object('zone', 'rest', 'minutes', i), jsonb_build_object('zone', 'peak', 'minutes', 1)))
	                  ORDER BY i) FROM generate_series(1, 3000) i));
ANALYZE events.event_store;

CREATE SCHEMA plain;
-- a type as a table
CREATE VIEW plain.steps AS
	SELECT e.stream_id, e.created_at, r.steps, r.n
	FROM events.event_store e, jsonb_to_record(e.event_data) AS r(steps integer, n integer)
	WHERE e.tenant_id = 'default' AND e.event_type = 'steps_counted';
-- an array in it, row by row
CREATE VIEW plain.zones AS
	SELECT e.stream_id, e.created_at, z.zone, z.minutes
	FROM events.event_store e, jsonb_to_recordset(e.event_data -> 'zones') AS z(zone text, minutes integer)
	WHERE e.tenant_id = 'default' AND e.event_type = 'steps_counted';
-- a category
CREATE VIEW plain.of_category AS
	SELECT stream_id, stream_version, event_type, event_data, created_at
	FROM events.event_store WHERE tenant_id = 'default' AND stream_id LIKE 'plain:%';

SELECT count(*), sum(steps), min(n), max(n) FROM plain.steps;
SELECT zone, count(*), sum(minutes) FROM plain.zones GROUP BY zone ORDER BY zone;
SELECT count(*), count(DISTINCT stream_id) FROM plain.of_category;
SELECT count(*) FROM events.event_store WHERE event_data @> '{"n": 77}' AND stream_id LIKE 'plain:%';

-- The plan of a query as its lines.
CREATE FUNCTION plain.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
-- The months and the kinds of index that a plan uses; this month is called now.
CREATE FUNCTION plain.uses(query text) RETURNS TABLE (index_kinds text, months bigint) LANGUAGE sql AS $$
	SELECT string_agg(DISTINCT substring(line FROM 'idx_event_store_([a-z_]+)_\d{4}_\d{2}'), ', '),
	       count(DISTINCT substring(line FROM ' on (event_store_\d{4}_\d{2})'))
	FROM plain.plan_of(query) AS line $$;

-- all months, each by the index of type and time
SELECT index_kinds, months = (SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass) AS all_months
FROM plain.uses('SELECT sum(steps) FROM plain.steps');
-- a range of time: months outside it are not in the plan, or not opened when the range is known at execution only
SELECT * FROM plain.uses(format('SELECT sum(steps) FROM plain.steps WHERE created_at >= %L AND created_at < %L',
	date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
SELECT * FROM plain.uses(format('SELECT count(*) FROM plain.zones WHERE created_at >= %L AND created_at < %L',
	date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
SELECT substring(line FROM '(Subplans Removed): \d+') FROM plain.plan_of('SELECT sum(steps) FROM plain.steps WHERE created_at >= now() - interval ''1 minute''') AS line
WHERE line LIKE '%Removed%';
-- a stream of the category, and the category, by the stream's index
SET enable_seqscan = off;
SELECT index_kinds FROM plain.uses('SELECT * FROM plain.of_category WHERE stream_id = ''plain:7'' ORDER BY stream_version');
SELECT index_kinds LIKE '%stream%' AS by_stream FROM plain.uses('SELECT count(*) FROM plain.of_category');
RESET enable_seqscan;
-- contents by the GIN index
SELECT index_kinds FROM plain.uses('SELECT * FROM events.event_store WHERE event_data @> ''{"n": 77}''');
SELECT index_kinds FROM plain.uses('SELECT * FROM events.event_store WHERE event_data @? ''$.zones[*] ? (@.minutes == 77)''');
SET client_min_messages = warning;
DROP SCHEMA plain CASCADE;
