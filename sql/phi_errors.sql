-- Errors of a state that is folded from decrypted events name the event, the operation and its stored place, and nothing that was encrypted.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.add_rule('patched_whole', '{/1}', 'patched:*'), encrypted.add_rule('patched_place', '{/0/path,/0/from,/0/op}', 'patched:*'), encrypted.add_rule('patched_value', '{/0/value}', 'patched:*');
SELECT count(events.set_reducer(e, 'patch')) FROM unnest('{patched_whole,patched_place,patched_value}'::text[]) e;
CREATE FUNCTION t.append_as(n integer, event_type text, data jsonb) RETURNS boolean LANGUAGE sql AS $$
	SELECT events.append_event('patched:who' || n, event_type, data, p_event_id => ('00000000-0000-0000-0000-' || lpad((880000 + n)::text, 12, '0'))::uuid) IS NOT NULL
$$;
SELECT count(*) FILTER (WHERE t.append_as(n::integer, type, data::jsonb)) FROM (VALUES
	(1, 'patched_whole', '[{"op": "add", "path": "/a", "value": 1}, {"op": "replace", "path": "/diagnosis-4711", "value": "value-4711"}]'),
	(2, 'patched_whole', '[{"op": "add", "path": "/a", "value": 1}, {"op": "secret-4711", "path": "/a"}]'),
	(3, 'patched_whole', '[{"op": "add", "path": "/a", "value": 1}, "value-4711"]'),
	(4, 'patched_place', '[{"op": "remove", "path": "/diagnosis-4711"}]'),
	(5, 'patched_place', '[{"op": "add", "path": "diagnosis-4711", "value": 1}]'),
	(6, 'patched_place', '[{"op": "move", "from": "/diagnosis-4711", "path": "/a"}]'),
	(7, 'patched_place', '[{"op": "diagnosis-4711", "path": "/a"}]'),
	(8, 'patched_value', '[{"op": "test", "path": "", "value": "value-4711"}]'),
	(9, 'patched_value', '[{"op": "replace", "path": "/a/b", "value": "value-4711"}]')) v(n, type, data);
SELECT n, e.* FROM generate_series(1, 9) n, t.error_of(format('SELECT events.get_stream_state_decrypted(%L)', 'patched:who' || n)) e;
-- the state over what is stored says what it finds there
SELECT n, e.detail FROM generate_series(1, 9) n, t.error_of(format('SELECT events.get_stream_state(%L)', 'patched:who' || n)) e WHERE n IN (3, 6, 8);
-- a reducer's function prints what it is given: neither its text nor its context is shown where that was decrypted, now or by an earlier event
CREATE FUNCTION t.prints(state jsonb, event_type text, data jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF data ? 'hr' THEN
		RETURN data;
	END IF;
	RAISE 'state %', state USING DETAIL = data, HINT = state, ERRCODE = '22003';
END $$;
SELECT encrypted.add_rule('printed', '{/hr}', 'patched:*'), events.set_reducer('printed', 'function', '{"function": "t.prints"}'), events.set_reducer('printed_later', 'function', '{"function": "t.prints"}');
SELECT t.append_as(20, 'printed', '{"hr": "value-4711"}'), events.append_event('patched:who20', 'printed_later', '{"a": 1}', p_event_id => '00000000-0000-0000-0000-000000880021') IS NOT NULL AS appended;
SELECT * FROM t.error_of($$SELECT events.get_stream_state_decrypted('patched:who20')$$);
DO $$
DECLARE
	v_context text;
BEGIN
	PERFORM events.get_stream_state_decrypted('patched:who20');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_context = PG_EXCEPTION_CONTEXT;
	RAISE WARNING 'shown in the context: %', v_context ~ '4711';
END $$;
-- where nothing was decrypted it is shown
SELECT events.append_event('patched:who22', 'printed_later', '{"a": 1}', p_event_id => '00000000-0000-0000-0000-000000880022') IS NOT NULL AS appended;
SELECT * FROM t.error_of($$SELECT events.get_stream_state_decrypted('patched:who22')$$);
SELECT count(events.drop_reducer(e)) FROM unnest('{patched_whole,patched_place,patched_value,printed,printed_later}'::text[]) e;
SELECT count(encrypted.drop_rule(e, 'patched:*')) FROM unnest('{patched_whole,patched_place,patched_value,printed}'::text[]) e;
DROP FUNCTION t.prints, t.append_as;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
