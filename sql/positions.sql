-- Positions when somebody set their sequence back: no append takes the place of another event in the feed, and the error says what to do.
SET client_min_messages = warning;
SELECT count(events.append_event('position:' || i, 'e', to_jsonb(i))) FROM generate_series(1, 3) i;
-- a hole, as a transaction leaves it that was rolled back
BEGIN;
SELECT events.append_event('position:undone', 'e', '1') IS NOT NULL AS appended;
ROLLBACK;
SELECT last_value AS hole FROM auren.global_position_seq \gset
SELECT events.append_event('position:1', 'e', '2') IS NOT NULL AS appended;
CREATE FUNCTION pg_temp.refused(p_sql text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE sql AS $$
	SELECT code, regexp_replace(message, '[0-9]+', 'N'), detail, hint FROM t.error_of(p_sql)
$$;
-- a position that another event has
SELECT :hole + 1 AS taken \gset
ALTER SEQUENCE auren.global_position_seq RESTART WITH :taken;
SELECT * FROM pg_temp.refused($$SELECT events.append_event('position:new', 'e', '1')$$);
SELECT setval('auren.global_position_seq', :hole) = :hole AS set_back;
SELECT * FROM pg_temp.refused($$SELECT events.append_events('{position:new,position:newer}', '{e,e}', '{1,2}')$$);
-- one that no event has: a stream does not go on before its last event
ALTER SEQUENCE auren.global_position_seq RESTART WITH :hole;
SELECT * FROM pg_temp.refused($$SELECT events.append_event('position:1', 'e', '3')$$);
SELECT events.stream_exists('position:new') AS new_stream;
SELECT t.show('position:1');
-- set right, it goes on
SELECT setval('auren.global_position_seq', max(global_position)) IS NOT NULL AS set_right FROM events.event_store;
SELECT events.append_event('position:1', 'e', '3') IS NOT NULL AS appended;
SELECT t.dense();
