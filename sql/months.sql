-- Months: made ahead, or by the append that needs them.
SET client_min_messages = warning;
SELECT events.create_monthly_partitions(5) >= 0 AS made, events.create_monthly_partitions(5) AS again, events.create_monthly_partitions() AS fewer;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass
	AND inhrelid::regclass::text >= 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM');
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT bool_and(pg_get_expr(relpartbound, c.oid) = format('FOR VALUES FROM (''%s-01 00:00:00+00'') TO (''%s-01 00:00:00+00'')', replace(right(relname, 7), '_', '-'),
	to_char(to_date(right(relname, 7), 'YYYY_MM') + interval '1 month', 'YYYY-MM'))) AS bounds
FROM pg_class c WHERE relispartition AND relname LIKE 'event\_store\_%' AND relkind = 'r';
RESET timezone;
RESET datestyle;
-- each month has the indexes of every other
SELECT count(DISTINCT defs) FROM (
	SELECT relid, string_agg(regexp_replace(pg_get_indexdef(indexrelid), '_\d{4}_\d\d', '', 'g'), ';' ORDER BY pg_get_indexdef(indexrelid)) AS defs
	FROM pg_index JOIN (SELECT inhrelid AS relid FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass
		AND inhrelid::regclass::text >= 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) p ON relid = indrelid GROUP BY 1) d;
-- an empty store in another database of this cluster's making: here, take the months away and bring them back
BEGIN;
DO $$
DECLARE
	r regclass;
BEGIN
	FOR r IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass LOOP
		IF r::text <= 'events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') THEN
			EXECUTE 'DROP TABLE ' || r;
		END IF;
	END LOOP;
	DELETE FROM auren.stream_rows;
END $$;
-- a session whose own query holds the table open cannot make a month
SELECT regexp_replace(line, '\d{4}_\d\d', 'YYYY_MM') FROM t.try($$SELECT events.append_event('m', 'x', to_jsonb(n)) FROM (SELECT count(*) AS n FROM events.event_store WHERE created_at < now()) q$$) line;
-- one that does not makes it
SELECT events.append_event('month:a', 'x', '1') IS NOT NULL;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = ('events.event_store_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'))::regclass ORDER BY 1;
SELECT events.create_monthly_partitions(2), events.create_monthly_partitions(6);
ROLLBACK;
-- with none at all, two ahead
BEGIN;
DO $$
DECLARE
	r regclass;
BEGIN
	FOR r IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass LOOP
		EXECUTE 'DROP TABLE ' || r;
	END LOOP;
	DELETE FROM auren.stream_rows;
END $$;
SELECT count(*) FROM events.append_events('{month:a,month:b}', '{x,y}', '{1,2}');
SELECT count(*) FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass;
SELECT events.create_monthly_partitions(2), events.create_monthly_partitions(3);
ROLLBACK;
-- the month of now taken away: no stream begins again at 1, and a table that stands in the way is named
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
SELECT events.append_event('month:b', 'w', '0') IS NOT NULL;
BEGIN;
DROP TABLE events.event_store_:month;
SELECT regexp_replace(line, '\d{4}_\d\d', 'YYYY_MM') FROM t.try($$SELECT events.append_event('month:b', 'x', '1')$$) line;
SELECT t.state($$SELECT events.append_event('month:new', 'x', '1', p_expected_version := 0)$$);
ROLLBACK;
BEGIN;
ALTER TABLE events.event_store DETACH PARTITION events.event_store_:month;
SELECT regexp_replace(line, '\d{4}_\d\d', 'YYYY_MM') FROM t.try($$SELECT events.append_event('month:b', 'x', '1')$$) line;
ROLLBACK;
-- a stream whose newest month has gone: its next version is not known, so nothing is appended
SELECT events.append_event('month:b', 'x', '1') IS NOT NULL;
BEGIN;
UPDATE auren.stream_rows SET first_month = '2001-01-01', last_month = '2001-01-01' WHERE stream_id = 'month:b';
SELECT * FROM t.try($$SELECT events.append_event('month:b', 'y', '2')$$);
-- unless retention wrote down where it ended
INSERT INTO auren.opening_states VALUES ('default', 'month:b', 7, '2001-01-05', events.reducers_version(), '{"kept": 7}');
SELECT events.stream_version('month:b'), events.get_stream_state('month:b');
SELECT events.append_event('month:b', 'y', '2', p_expected_version := 7) IS NOT NULL;
SELECT events.stream_version('month:b');
SELECT stream_version, event_type, event_data FROM events.replay_stream('month:b', 3);
ROLLBACK;
SELECT events.append_event('month:b', 'y', '2') IS NOT NULL, events.stream_version('month:b');
BEGIN READ ONLY;
SELECT t.state('SELECT events.create_monthly_partitions(12)');
ROLLBACK;
