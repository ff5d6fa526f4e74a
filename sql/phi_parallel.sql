-- Encrypted values in parallel plans.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
-- in a parallel plan, by a session that has no key yet: the leader runs what decrypts
CREATE TABLE t.parallel AS SELECT n, encrypted.encrypt_phi_field(n::text, 'parallel') AS e FROM generate_series(1, 100) n;
CREATE FUNCTION t.parallel(p_select text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_line text;
	v_gathers boolean := false;
BEGIN
	FOR v_line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT ' || p_select || ' FROM t.parallel WHERE n > 0' LOOP
		v_gathers := v_gathers OR v_line ~ 'Gather';
	END LOOP;
	EXECUTE 'SELECT ' || p_select || ' FROM t.parallel WHERE n > 0' INTO v_line;
	RETURN CASE WHEN v_gathers THEN '' ELSE 'not parallel: ' END || v_line;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT encrypted.add_rule('parallel', '{/hr}', 'parallel:*');
SELECT events.append_event('parallel:1', 'parallel', '{"hr": 71}') IS NOT NULL AS appended;
SELECT ('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2; SET client_min_messages = warning') AS parallel \gset
\c -
:parallel;
SELECT t.parallel($$sum(encrypted.decrypt_phi_field(e, 'parallel')::int)$$);
\c -
:parallel;
SELECT t.parallel($$sum((encrypted.decrypt_phi_fields(ARRAY[e], 'parallel'))[1]::int)$$);
\c -
:parallel;
SELECT t.parallel($$sum((encrypted.decrypt_fields(jsonb_build_object('a', e), 'parallel', '{/a}')->>'a')::int)$$);
\c -
:parallel;
SELECT t.parallel($$count(events.get_stream_state_decrypted('parallel:1'))$$);
\c -
:parallel;
SELECT t.parallel($$count((SELECT event_data FROM events.replay_stream_decrypted('parallel:1') WHERE n > 0))$$);
\c -
:parallel;
SELECT t.parallel($$count(encrypted.master_key_id())$$);
SELECT encrypted.forget_user('parallel', 'asked');
\c -
:parallel;
SELECT t.parallel($$sum(encrypted.decrypt_phi_field(e, 'parallel')::int)$$);
SELECT encrypted.drop_rule('parallel', 'parallel:*');
DROP TABLE t.parallel;
DROP FUNCTION t.parallel;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
