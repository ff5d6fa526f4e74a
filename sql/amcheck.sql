-- What the other tests wrote: every index leads to every row, and no page is damaged.
SET client_min_messages = warning;
CREATE EXTENSION amcheck;
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE bt_index_parent_check(c.oid, true, true) IS NULL) AS damaged
FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE relnamespace IN ('events'::regnamespace, 'auren'::regnamespace) AND relkind = 'i' AND amname = 'btree';
SELECT c.oid::regclass, h.* FROM pg_class c, LATERAL verify_heapam(c.oid, skip := 'none') h
WHERE relnamespace IN ('events'::regnamespace, 'auren'::regnamespace) AND relkind = 'r';
-- and the GIN indexes, which amcheck does not read: they find what a scan of the table finds (a search for '{}' reads an index from end to end)
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
CREATE FUNCTION t.found(p_seqscan boolean, p_query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_count bigint;
BEGIN
	PERFORM set_config('enable_seqscan', p_seqscan::text, true), set_config('enable_bitmapscan', (NOT p_seqscan)::text, true);
	EXECUTE 'SELECT count(*) FROM events.event_store WHERE ' || p_query INTO v_count;
	RETURN v_count;
END $$;
SELECT q, t.found(true, q) = t.found(false, q) AS same FROM unnest(ARRAY[$$event_data @> '{}'$$, $$metadata @> '{}'$$, $$event_data @> '{"i": 77}'$$, $$event_data @> '{"kind": "usual"}'$$,
	$$event_data @> '{"deep": {"list": [7]}}'$$, $$metadata @> '{"m": 1}'$$, $$event_data @? '$.device'$$, $$event_data @> '1'$$]) q;
SELECT t.dense(), (SELECT count(*) FROM events.event_store) = (SELECT sum(version) FROM (
	SELECT max(stream_version) - min(stream_version) + 1 AS version FROM events.event_store GROUP BY tenant_id, stream_id) v) AS counted;
DROP EXTENSION amcheck;
