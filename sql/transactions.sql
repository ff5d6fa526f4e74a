-- Savepoints, several appends in one statement, prepared transactions: versions stay dense.
DO $$
BEGIN
	FOR i IN 1 .. 60 LOOP
		BEGIN
			PERFORM events.append_event('tx:a', 'try', to_jsonb(i));
			PERFORM events.append_events(ARRAY['tx:a', 'tx:b' || i], ARRAY['try', 'try'], ARRAY['1', '2']::jsonb[]);
			IF i % 3 = 0 THEN
				RAISE 'no';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT events.stream_version('tx:a');
SELECT (SELECT count(*) FROM events.streams WHERE stream_id LIKE 'tx:b%');
SELECT t.dense();
BEGIN;
SELECT events.append_event('tx:c', 'one', '1') IS NOT NULL;
SAVEPOINT s;
SELECT events.append_event('tx:c', 'two', '2') IS NOT NULL, events.append_event('tx:d', 'one', '1') IS NOT NULL;
SELECT events.stream_version('tx:c'), events.stream_version('tx:d');
ROLLBACK TO s;
SELECT events.append_event('tx:c', 'three', '3', p_expected_version := 1) IS NOT NULL;
SELECT events.stream_exists('tx:d');
SAVEPOINT t;
SELECT events.append_event('tx:d', 'two', '2', p_expected_version := 0) IS NOT NULL;
RELEASE t;
COMMIT;
SELECT t.show('tx:c');
SELECT t.show('tx:d');
-- several in one statement: in order, none a race with itself at any level
SELECT events.append_event('tx:e', 'a', '1') IS NOT NULL, events.append_event('tx:e', 'b', '2', p_expected_version := 1) IS NOT NULL,
       events.append_event('tx:e', 'c', '3', p_expected_version := 2) IS NOT NULL;
SELECT count(events.append_event('tx:e', 'many', to_jsonb(i))) FROM generate_series(1, 500) i;
WITH appended AS (SELECT events.append_event('tx:e', 'cte', '1') AS id) SELECT count(id) FROM appended;
SELECT events.stream_version('tx:e');
SELECT t.dense();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(events.append_event('tx:f', 'many', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT events.append_event('tx:e', 'rr', '1') IS NOT NULL, events.append_event('tx:e', 'rr', '2') IS NOT NULL;
SELECT events.append_event('tx:e', 'rr', '3', p_expected_version := events.stream_version('tx:e')) IS NOT NULL;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(events.append_event('tx:f', 'many', to_jsonb(i))) FROM generate_series(1, 5) i;
SELECT events.append_event('tx:g', 'ser', '1') IS NOT NULL, events.append_event('tx:g', 'ser', '2', p_expected_version := 1) IS NOT NULL;
SELECT events.append_event('tx:g', 'ser', '3', p_expected_version := events.stream_version('tx:g')) IS NOT NULL;
COMMIT;
SELECT events.stream_version('tx:f');
SELECT events.stream_version('tx:g');
SELECT t.dense();
-- an id given twice in one statement
SELECT events.append_event('tx:h', 'a', '1', p_event_id := '00000000-0000-0000-0000-00000000f001') = events.append_event('tx:h', 'a', '1', p_event_id := '00000000-0000-0000-0000-00000000f001') AS same;
SELECT events.stream_version('tx:h');
-- a rolled-back id is free again
BEGIN;
SELECT events.append_event('tx:h', 'b', '2', p_event_id := '00000000-0000-0000-0000-00000000f002');
ROLLBACK;
SELECT events.append_event('tx:h', 'c', '3', p_event_id := '00000000-0000-0000-0000-00000000f002'), events.stream_version('tx:h');
-- from the executor's other ways
CREATE TABLE t.source AS SELECT 'tx:i' AS s, to_jsonb(i) AS d FROM generate_series(1, 20) i;
CREATE TABLE t.target AS SELECT events.append_event(s, 'created', d) AS id FROM t.source;
INSERT INTO t.target SELECT events.append_event(s, 'inserted', d) FROM t.source;
UPDATE t.target SET id = events.append_event('tx:i', 'updated', '1') WHERE id IN (SELECT id FROM t.target LIMIT 3);
SELECT count(*) = 0 AS none_lost FROM t.target WHERE NOT EXISTS (SELECT FROM events.event_store e WHERE e.event_id = id);
SELECT events.stream_version('tx:i');
CREATE TABLE t.orders (id integer);
CREATE FUNCTION t.order_placed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM events.append_event('tx:order', 'placed', to_jsonb(NEW)); RETURN NULL; END $$;
CREATE TRIGGER placed AFTER INSERT ON t.orders FOR EACH ROW EXECUTE FUNCTION t.order_placed();
INSERT INTO t.orders SELECT generate_series(1, 4);
SELECT t.show('tx:order');
SELECT t.dense();
