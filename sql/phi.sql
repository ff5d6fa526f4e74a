-- Encrypted fields: values, documents, rules in appends, decrypted reads, keys, forgetting. The test makes its own master keys.
SET client_min_messages = warning;
LOAD 'auren_events';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
-- a new connection is taken after the server has read its configuration
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT t.try($$SELECT encrypted.encrypt_phi_field('72', 'u')$$);
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
SHOW auren_events.master_key_file;

-- a value: printable, other each time, back as it was
SELECT encrypted.encrypt_phi_field('72', 'u1') AS e \gset
SELECT :'e' ~ '^phi1:[A-Za-z0-9_-]{52}$' AS printable, length(:'e'), encrypted.encrypt_phi_field('72', 'u1') <> :'e' AS other_each_time;
SELECT encrypted.decrypt_phi_field(:'e', 'u1'), encrypted.decrypt_phi_field(p_value => :'e', p_user_id => 'u1', p_field => NULL);
SELECT count(*), bool_and(encrypted.decrypt_phi_field(encrypted.encrypt_phi_field(v, 'u1', 'f'), 'u1', 'f') = v) AS same
FROM (SELECT repeat('x', n) FROM generate_series(0, 300) n UNION ALL SELECT chr(n) FROM generate_series(1, 3000) n WHERE n NOT BETWEEN 55296 AND 57343
      UNION ALL SELECT repeat('ü€', 1000000)) s(v);
SELECT encrypted.encrypt_phi_field(NULL, 'u1') IS NULL AS of_null, encrypted.decrypt_phi_field(NULL, 'u1') IS NULL AS and_back;
-- bound to tenant, person and field
SELECT encrypted.encrypt_phi_field('72', 'u1', 'heart_rate') AS f \gset
SELECT encrypted.decrypt_phi_field(:'f', 'u1', 'heart_rate');
SELECT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', e, u, f)) FROM (VALUES
	(:'f', 'u1', 'weight'), (:'f', 'u1', NULL), (:'f', 'u1', ''), (:'e', 'u1', 'heart_rate'), (:'f', 'u2', 'heart_rate')) v(e, u, f);
SET app.tenant_id = 'other';
SELECT encrypted.encrypt_phi_field('72', 'u1') IS NOT NULL AS with_a_key_of_its_own, t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'));
RESET app.tenant_id;
-- every single bit
SELECT state, count(*) > 0 AS some FROM (
	SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L)', convert_from(set_bit(convert_to(:'e', 'UTF8'), bit, 1 - get_bit(convert_to(:'e', 'UTF8'), bit)), 'UTF8'), 'u1')) AS state
	FROM generate_series(0, length(:'e') * 8 - 1) bit WHERE bit % 8 <> 7 AND set_bit(convert_to(:'e', 'UTF8'), bit, 1 - get_bit(convert_to(:'e', 'UTF8'), bit)) NOT LIKE '%\000%') s
GROUP BY state ORDER BY state;
-- what is none, never shown in the error
SELECT DISTINCT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', v, 'u1')) FROM (VALUES ('a secret'), ('phi1:AA=='), ('phi1:'), ('')) s(v) ORDER BY 1;
SELECT t.try($$SELECT encrypted.decrypt_phi_field('phi2:AAAA', 'u1')$$);
SELECT t.try($$SELECT encrypted.encrypt_phi_field('1', NULL)$$) UNION ALL SELECT t.try($$SELECT encrypted.encrypt_phi_field('1', '')$$) UNION ALL SELECT t.try(format('SELECT encrypted.encrypt_phi_field(%L, %L)', '1', repeat('u', 256)));
SELECT t.state(format('SELECT encrypted.encrypt_phi_field(%L, %L)', '1', repeat('ü', 255)));
BEGIN READ ONLY;
SELECT encrypted.encrypt_phi_field('72', 'u1');
ROLLBACK;
BEGIN READ ONLY;
SELECT encrypted.decrypt_phi_field(:'e', 'u1');
COMMIT;

-- many at a time: the form of the array stays, and each element is what the single functions make of it
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1', 'f'), 'u1', 'f') = a AS same,
	array_dims(encrypted.encrypt_phi_fields(a, 'u1')), array_ndims(encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1'), 'u1'))
FROM (VALUES ('{}'::text[]), ('{NULL}'), ('{72,NULL,""}'), ('[-1:0][2:3]={{a,b},{NULL,ü}}'), (array_fill(NULL::text, '{9}')),
	((SELECT array_agg(CASE WHEN n % 7 > 0 THEN repeat('x', n % 300) END) FROM generate_series(1, 3000) n)), (ARRAY[repeat('ü€', 1000000), NULL, 'b'])) v(a);
-- texts of many lengths, so that arrays are filled to every byte of what was reserved
SELECT count(*) AS arrays, count(*) FILTER (WHERE encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1'), 'u1') IS DISTINCT FROM a) AS others
FROM (SELECT ARRAY[repeat('a', n), repeat('b', m)] AS a FROM generate_series(300, 420) n, generate_series(80, 120) m) s;
SELECT count(*) AS arrays, count(*) FILTER (WHERE encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1'), 'u1') IS DISTINCT FROM a) AS others
FROM (SELECT array_agg(repeat(chr(97 + n % 26), (f * 7 + n * (61 + f)) % 221 + 80)) AS a FROM generate_series(1, 300) f, generate_series(1, 100) n GROUP BY f) s;
SELECT array_agg(encrypted.decrypt_phi_field(e, 'u1', 'f')) AS singly, count(DISTINCT e) FROM unnest(encrypted.encrypt_phi_fields('{72,72,NULL}', 'u1', 'f')) e;
SELECT encrypted.decrypt_phi_fields(array_agg(encrypted.encrypt_phi_field(v, 'u1')), p_user_id => 'u1') FROM unnest('{72,NULL,73}'::text[]) v;
SELECT encrypted.encrypt_phi_fields(NULL, 'u1') IS NULL AS of_null, encrypted.decrypt_phi_fields(NULL, 'u1') IS NULL AS and_back;
DO $$
DECLARE
	a text[] := '{1,2,3}';
BEGIN
	a[5] := '5'; -- an array that the language keeps taken apart
	ASSERT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1'), 'u1') = '{1,2,3,NULL,5}';
	a := encrypted.encrypt_phi_fields(a, 'u1');
	a[4] := encrypted.encrypt_phi_field('4', 'u1');
	ASSERT encrypted.decrypt_phi_fields(a, 'u1') = '{1,2,3,4,5}';
END $$;
CREATE TABLE t.arrays (a text[]);
ALTER TABLE t.arrays ALTER a SET STORAGE EXTENDED;
INSERT INTO t.arrays SELECT array_agg(n::text) FROM generate_series(1, 10000) n;
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(a, 'u1'), 'u1') = a AS from_a_table, a <> encrypted.encrypt_phi_fields(a, 'u1') AS encrypted FROM t.arrays;
DROP TABLE t.arrays;
SELECT t.try(format('SELECT encrypted.decrypt_phi_fields(%L, %L, %L)', ARRAY[:'f', v], 'u1', 'heart_rate')) FROM (VALUES (:'e'), ('a secret'), (:'f' || 'A')) s(v);
SELECT t.try(format('SELECT encrypted.decrypt_phi_fields(%L, %L, %L)', ARRAY[:'f'], 'u2', 'heart_rate'));
SELECT t.try($$SELECT encrypted.encrypt_phi_fields('{1}', NULL)$$) UNION ALL SELECT t.try($$SELECT encrypted.encrypt_phi_fields('{}', '')$$);
BEGIN READ ONLY;
SELECT encrypted.decrypt_phi_fields(ARRAY[:'f'], 'u1', 'heart_rate');
SELECT encrypted.encrypt_phi_fields('{72}', 'u1');
ROLLBACK;
-- what a document's field holds, as the single function gives it
SELECT encrypted.decrypt_phi_fields(ARRAY[encrypted.encrypt_fields('{"x": {"b": [1, 2.50], "a": null}}', 'u1', '{/x}')->>'x', encrypted.encrypt_phi_field('plain', 'u1', '/x'),
	encrypted.encrypt_fields('{"x": "Ü \"y\" \n"}', 'u1', '{/x}')->>'x'], 'u1', '/x');

-- a cached key costs no look-up
BEGIN;
SELECT encrypted.decrypt_phi_field(encrypted.encrypt_phi_field('1', 'u1'), 'u1');
SELECT pg_stat_get_xact_numscans('auren.data_keys_pkey'::regclass) AS scans \gset
SELECT count(encrypted.decrypt_phi_field(encrypted.encrypt_phi_field(n::text, 'u1'), 'u1')) FROM generate_series(1, 1000) n;
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(array_agg(n::text), 'u1'), 'u1') = array_agg(n::text) AS same FROM generate_series(1, 1000) n;
SELECT pg_stat_get_xact_numscans('auren.data_keys_pkey'::regclass) - :scans AS more_scans;
COMMIT;

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
\c -
SET client_min_messages = warning;

-- documents: any JSON, numbers with all their digits
SELECT '{"hr": 72.50, "big": 12345678901234567890.1234567890, "huge": 1e400, "t": true, "z": null, "s": "Ü \"x\" \\ \n", "o": {"a": [1, 2.0, {"b": []}]}, "a": [{"hr": 1}, 2], "other": 1, "~/": 3}'::jsonb AS d \gset
SELECT '{/hr,/big,/huge,/t,/z,/s,/o,/a/0/hr,/none,/a/9,/~0~1}' AS paths \gset
SELECT encrypted.encrypt_fields(:'d', 'u1', :'paths') AS x \gset
SELECT key, CASE WHEN value::text LIKE '"phi1:%' THEN 'envelope' ELSE regexp_replace(value::text, 'phi1:[^"]*', 'envelope') END FROM jsonb_each(:'x') ORDER BY 1;
SELECT encrypted.decrypt_fields(:'x', 'u1', :'paths');
SELECT encrypted.decrypt_fields(:'x', 'u1', :'paths')::text = :'d'::jsonb::text AS same;
-- twice is once; one field by itself; what is not an envelope stays
SELECT encrypted.encrypt_fields(:'x', 'u1', :'paths') = :'x'::jsonb AS same;
SELECT encrypted.decrypt_phi_field(:'x'::jsonb->>'hr', 'u1', '/hr') AS number, encrypted.decrypt_phi_field(:'x'::jsonb->>'s', 'u1', '/s') AS text, encrypted.decrypt_phi_field(:'x'::jsonb->>'o', 'u1', '/o') AS object;
SELECT encrypted.decrypt_fields(:'d', 'u1', :'paths')::text = :'d'::jsonb::text AS same;
SELECT t.state(format('SELECT encrypted.decrypt_fields(%L, %L, %L)', jsonb_build_object('weight', :'x'::jsonb->'hr'), 'u1', '{/weight}')) AS moved;
-- a text that only looks like an envelope is a text, and another person's envelope is a text too
SELECT encrypted.decrypt_fields(encrypted.encrypt_fields('{"a": "phi1:AAAA", "b": "phi1:"}', 'u1', '{/a,/b}'), 'u1', '{/a,/b}');
SELECT encrypted.encrypt_fields(jsonb_build_object('a', :'e'), 'u2', '{/a}') ->> 'a' <> :'e' AS encrypted_again, encrypted.encrypt_fields(jsonb_build_object('a', :'e'), 'u1', '{/a}') ->> 'a' = :'e' AS left_alone;
-- a field that was encrypted as the guide does it opens in a document
SELECT encrypted.decrypt_fields(jsonb_build_object('heart_rate', :'e'), 'u1', '{/heart_rate}');
SELECT t.try(format('SELECT encrypted.encrypt_fields(%L, %L, %L)', '{}', 'u1', p)) FROM (VALUES ('{}'), ('{""}'), ('{hr}'), ('{/a,/a/b}'), ('{NULL}')) v(p);

-- rules: plain callers need not remember
SELECT encrypted.add_rule('vitals', '{/hr,/note}', 'user:*'), encrypted.add_rule('vitals', '{/partner/hr}', '/partner/id');
TABLE encrypted.rules ORDER BY 1, 2;
SELECT t.try(format('SELECT encrypted.add_rule(%L, %L, %L)', 'vitals', p, u)) FROM (VALUES
	('{/hr/x}', '/who'), ('{/who}', '/who'), ('{/x}', 'nobody'), ('{/partner}', '/who'), ('{/x}', '/hr')) v(p, u);
SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1');
SELECT count(*) FROM events.append_events('{user:7,user:8}', '{vitals,other}', ARRAY['{"hr": 73, "note": "Ü"}', '{"hr": 1}']::jsonb[]);
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream('user:7');
SELECT t.show('user:8');
SELECT stream_version, event_data FROM events.replay_stream_decrypted('user:7');
SELECT stream_version, event_data FROM events.replay_stream_decrypted('user:7', 2, 2);
-- the same event again is the same, with other content not; in a batch too
SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1');
SELECT stream_version FROM events.append_events('{user:7,user:7,user:7}', '{vitals,vitals,vitals}', ARRAY['{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', '{"hr": 1}', '{"hr": 1}']::jsonb[],
	p_event_ids => '{00000000-0000-0000-0000-0000000000a1,00000000-0000-0000-0000-0000000000a2,00000000-0000-0000-0000-0000000000a2}');
SELECT t.state(format('SELECT events.append_event(%L, %L, %L, p_event_id => %L)', 'user:7', 'vitals', d, '00000000-0000-0000-0000-0000000000a1')) FROM (VALUES
	('{"hr": 72.5, "device": "d", "partner": {"id": 8, "hr": 80}}'), ('{"hr": 72.50, "device": "e", "partner": {"id": 8, "hr": 80}}'), ('{"hr": 72.50, "device": "d", "partner": {"id": 9, "hr": 80}}')) v(d);
-- nor is it when the rule is gone: what comes in the clear is not what is stored
BEGIN;
SELECT encrypted.drop_rule('vitals', 'user:*'), encrypted.drop_rule('vitals', '/partner/id');
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
ROLLBACK;
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
-- fields of nobody are not stored in the clear
SELECT t.try($$SELECT events.append_event('device:1', 'vitals', '{"hr": 72}')$$);
SELECT t.state($$SELECT events.append_event('device:1', 'vitals', '{"hr": null, "n": 1}')$$);
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"partner": {"hr": 1}}')$$);
-- states fold envelopes; decrypted ones fold what they hold
-- a field that is encrypted is no reading, whether the rollups were filled before it or are made anew
SELECT analytics.attach_events('vitals', '{"hr": "hr", "steps": "steps"}') > 1 AS attached;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
SELECT events.append_event('user:measured', 'vitals', '{"hr": 71, "steps": 4000}') IS NOT NULL AS appended;
SELECT metric_type, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'measured';
SELECT analytics.rebuild_source(max(source_id)), analytics.refresh_user_metrics() >= 0 AS refreshed FROM analytics.sources;
SELECT metric_type, reading_count FROM analytics.user_metrics_daily WHERE user_id = 'measured';
SELECT analytics.detach_events('vitals');
SELECT events.set_reducer('vitals', 'sum', '{"into": "hr_sum", "fields": ["hr"]}');
SELECT events.get_stream_state_decrypted('user:7');
SELECT t.state($$SELECT events.get_stream_state('user:7')$$);
SELECT events.drop_reducer('vitals');
SELECT regexp_replace(events.get_stream_state('user:7')::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g'), events.get_stream_state_decrypted('user:7'), events.get_stream_state_decrypted('user:7', 1);
SELECT events.take_snapshot('user:7');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text ~ '"hr": "phi1:' AND stream_id = 'user:7';
SELECT events.get_stream_state_decrypted('user:7');

-- keys: a new one for new values, old values open
SELECT encrypted.rotate_user_key('u1'), encrypted.rotate_user_key('new');
SELECT encrypted.encrypt_phi_field('73', 'u1') AS e2 \gset
SELECT encrypted.decrypt_phi_field(:'e', 'u1'), encrypted.decrypt_phi_field(:'e2', 'u1'), substr(:'e', 6, 12) <> substr(:'e2', 6, 12) AS other_key;
-- by itself after so many values; counted across sessions
SET auren_events.max_key_uses = 10;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 25);
\c -
SET client_min_messages = warning;
SET auren_events.max_key_uses = 10;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 6);
SELECT key_version, sum(uses) FROM auren.data_keys JOIN auren.key_uses USING (tenant_id, user_id, key_id) WHERE user_id = 'counted' GROUP BY 1 ORDER BY 1;
-- uses of a transaction that was rolled back are counted later
BEGIN; SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 8); ROLLBACK;
SELECT count(encrypted.encrypt_phi_field('x', 'counted')) FROM generate_series(1, 2);
SELECT key_version, sum(uses) FROM auren.data_keys JOIN auren.key_uses USING (tenant_id, user_id, key_id) WHERE user_id = 'counted' GROUP BY 1 ORDER BY 1;
RESET auren_events.max_key_uses;
-- the master key: another one wraps them, some at a time
SELECT key_version, master_key_id, keys, oldest <= newest AS ages, rotation_pending, forgotten_people FROM encrypted.status;
COPY (SELECT 'k2 ' || repeat('fedcba9876543210', 4)) TO PROGRAM 'cat >> auren_events_regress_keys';
SELECT encrypted.master_key_id();
SELECT key_version, master_key_id, keys, rotation_pending FROM encrypted.status;
SELECT encrypted.rotate_master_key(3), t.state('SELECT encrypted.rotate_master_key(0)');
SELECT key_version, master_key_id, keys, rotation_pending FROM encrypted.status;
SELECT encrypted.rotate_master_key() > 0 AS rest, encrypted.rotate_master_key() AS none;
SELECT DISTINCT master_key_id FROM auren.data_keys;
-- the old one destroyed: everything still opens
COPY (SELECT 'k2 ' || repeat('fedcba9876543210', 4)) TO PROGRAM 'cat > auren_events_regress_keys';
\c -
SET client_min_messages = warning;
SELECT encrypted.decrypt_phi_field(:'e', 'u1'), encrypted.decrypt_phi_field(:'e2', 'u1');
-- many at a time take another key when it is time; a count may be too high, where some are done twice
SET auren_events.max_key_uses = 10;
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields(array_agg(n::text), 'many'), 'many') = array_agg(n::text) AS same FROM generate_series(1, 25) n;
SELECT count(*) > 2 AS some, max(sum) <= 11 AS none_too_long FROM (SELECT sum(uses) FROM auren.key_uses WHERE user_id = 'many' GROUP BY key_id) s;
RESET auren_events.max_key_uses;

-- forgetting
SELECT encrypted.forget_user('7', 'asked for it on paper');
SELECT t.try($$SELECT events.append_event('user:7', 'vitals', '{"hr": 1}')$$);
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '7', '/hr')) FROM events.replay_stream('user:7') WHERE stream_version = 1;
SELECT t.state(format('SELECT encrypted.decrypt_phi_fields(%L, %L, %L)', ARRAY[event_data->>'hr'], '7', '/hr')) FROM events.replay_stream('user:7') WHERE stream_version = 1;
-- the same event again: nobody can tell any more that it is the same
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
-- the other person in the same event is still there
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream_decrypted('user:7');
SELECT regexp_replace(events.get_stream_state_decrypted('user:7')::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g');
SELECT t.state($$SELECT encrypted.rotate_user_key('7')$$), t.state($$SELECT encrypted.forget_user('7', '')$$), t.state($$SELECT encrypted.allow_user('nobody', 'x')$$);
SELECT encrypted.allow_user('7', 'came back');
SELECT t.state($$SELECT events.append_event('user:7', 'vitals', '{"hr": 72.50, "device": "d", "partner": {"id": 8, "hr": 80}}', p_event_id => '00000000-0000-0000-0000-0000000000a1')$$);
SELECT events.append_event('user:7', 'vitals', '{"hr": 99}') IS NOT NULL AS appended;
SELECT max(key_version) FROM auren.data_keys WHERE user_id = '7';
SELECT stream_version, regexp_replace(event_data::text, 'phi1:[A-Za-z0-9_-]*', 'envelope', 'g') FROM events.replay_stream_decrypted('user:7');
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '7', '/hr')) FROM events.replay_stream('user:7') WHERE stream_version = 1;
SELECT forgotten_people FROM encrypted.status LIMIT 1;
SELECT action, user_id, field, role = session_user AS ours, reason, keys FROM encrypted.audit ORDER BY at;
SELECT t.try('DELETE FROM encrypted.audit_log') UNION ALL SELECT t.try('UPDATE encrypted.audit_log SET reason = NULL') UNION ALL SELECT t.try('TRUNCATE encrypted.audit_log');
-- a state that a function of somebody's made may hold what it decrypted: such snapshots go with the person
CREATE FUNCTION t.opens(state jsonb, event_type text, data jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT encrypted.decrypt_fields(data, '8', '{/partner/hr}') $$;
SELECT events.set_reducer('vitals', 'function', '{"function": "t.opens"}');
SELECT events.append_event('user:7', 'vitals', '{"partner": {"id": 8, "hr": 81}}') IS NOT NULL AS appended;
SELECT events.take_snapshot('user:7');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text LIKE '%81%' AND stream_id = 'user:7';
SELECT encrypted.forget_user('8', 'asked');
SELECT count(*) FROM auren.stream_snapshots WHERE state::text LIKE '%81%' AND stream_id = 'user:7';
SELECT events.drop_reducer('vitals');
SELECT t.state($$SELECT encrypted.drop_rule('vitals', 'user:*')$$), t.state($$SELECT encrypted.drop_rule('vitals', '/partner/id')$$), t.state($$SELECT encrypted.drop_rule('vitals', 'user:*')$$);

-- the audit keeps reasons of a bounded size
SELECT t.state(format('SET auren_events.decrypt_reason = %L', repeat('r', 1001))) AS too_long;
SELECT t.state(format('SET auren_events.decrypt_reason = %L', repeat('r', 1000)));
SELECT t.try(format('SELECT encrypted.forget_user(%L, %L)', 'x', repeat('r', 1001))) UNION ALL SELECT t.state(format('SELECT encrypted.allow_user(%L, %L)', '7', repeat('ü', 501)));
RESET auren_events.decrypt_reason;
-- one number is one person, however it is written; what is neither a text nor a whole number names nobody
SELECT encrypted.add_rule('numbered', '{/hr}', '/user_id');
SELECT analytics.attach_events('numbered', '{"steps": "steps"}', p_user_field => 'user_id') > 1 AS attached;
SELECT count(events.append_event('walk:1', 'numbered', format('{"user_id": %s, "hr": %s, "steps": 1}', u, n)::jsonb)) FROM unnest('{4711,4711.0,4711.00,"4711"}'::text[]) WITH ORDINALITY v(u, n);
SELECT count(DISTINCT user_id) AS people FROM auren.data_keys WHERE user_id LIKE '4711%';
SELECT event_data->>'hr' FROM events.replay_stream_decrypted('walk:1');
SELECT user_id, reading_count FROM analytics.user_metrics_daily WHERE user_id LIKE '4711%';
SELECT t.try(format('SELECT events.append_event(%L, %L, %L)', 'walk:1', 'numbered', format('{"user_id": %s, "hr": 1}', u))) FROM unnest('{4711.5,true,"null",[4711]}'::text[]) u;
CREATE TABLE t.kept AS SELECT * FROM auren.data_keys WHERE user_id = '4711';
SELECT encrypted.forget_user('4711', 'asked');
SELECT count(*) FILTER (WHERE event_data->>'hr' LIKE 'phi1:%') AS unreadable, count(*) FROM events.replay_stream_decrypted('walk:1');
-- a key that was destroyed stays so when its row is put back, before and after the person is allowed again
INSERT INTO auren.data_keys TABLE t.kept;
SELECT count(*) FILTER (WHERE event_data->>'hr' LIKE 'phi1:%') AS unreadable, count(*) FROM events.replay_stream_decrypted('walk:1');
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L, %L)', event_data->>'hr', '4711', '/hr')), t.state($$SELECT encrypted.encrypt_phi_field('1', '4711')$$)
FROM events.replay_stream('walk:1', 1, 1);
SELECT encrypted.allow_user('4711', 'came back');
SELECT events.append_event('walk:1', 'numbered', '{"user_id": 4711, "hr": 5}') IS NOT NULL AS appended;
SELECT regexp_replace(event_data->>'hr', 'phi1:.*', 'envelope') FROM events.replay_stream_decrypted('walk:1');
DROP TABLE t.kept;
SELECT analytics.detach_events('numbered'), encrypted.drop_rule('numbered', '/user_id');

-- who may what
CREATE ROLE regress_encrypts; CREATE ROLE regress_decrypts; CREATE ROLE regress_keys; CREATE ROLE regress_nothing;
SELECT events.grant_access('regress_encrypts', 'encrypt'), events.grant_access('regress_decrypts', 'decrypt'), events.grant_access('regress_keys', 'key_admin');
CREATE TABLE t.may AS SELECT r, f, ''::text AS state FROM unnest('{regress_encrypts,regress_decrypts,regress_keys,regress_nothing}'::text[]) r, unnest(ARRAY[
	$$encrypted.encrypt_phi_field('1', 'u1')$$, format('encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'), $$encrypted.forget_user('x', 'y')$$,
	$$encrypted.encrypt_phi_fields('{1}', 'u1')$$, format('encrypted.decrypt_phi_fields(%L, %L)', ARRAY[:'e'], 'u1'),
	$$encrypted.rotate_master_key()$$, $$encrypted.rotate_user_key('u9')$$, $$count(*) FROM encrypted.status$$, $$count(*) FROM encrypted.audit$$,
	$$count(*) FROM events.replay_stream_decrypted('user:7')$$, $$count(*) FROM events.replay_stream('user:7')$$, $$count(*) FROM auren.data_keys$$, $$current_setting('auren_events.master_key_file')$$]) f;
GRANT SELECT, UPDATE ON t.may TO regress_encrypts, regress_decrypts, regress_keys, regress_nothing;
SET ROLE regress_encrypts; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_decrypts; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_keys; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SET ROLE regress_nothing; UPDATE t.may SET state = t.state('SELECT ' || f) WHERE r = current_user; RESET ROLE;
SELECT regexp_replace(f, 'phi1:[A-Za-z0-9_-]*', 'envelope') AS f, array_agg(regexp_replace(r, 'regress_', '') || ' ' || state ORDER BY r) FROM t.may GROUP BY f ORDER BY f COLLATE "C";
-- nobody names another source of keys for a session of theirs
SET ROLE regress_decrypts;
SELECT t.state($$SET auren_events.master_key_file = '/tmp/x'$$), t.state($$SET auren_events.master_key_command = 'cat /tmp/x'$$), t.state($$SET auren_events.audit_decrypt = off$$), t.state($$SET auren_events.max_key_uses = 1$$);
RESET ROLE;
-- a role that is bound to a tenant opens that tenant's only, and cannot rotate what is all tenants'
SELECT events.bind_tenant('regress_keys', 'other');
SET ROLE regress_keys;
SELECT t.state($$SELECT encrypted.forget_user('u1', 'x')$$), t.state($$SELECT encrypted.rotate_master_key()$$);
SET app.tenant_id = 'other';
SELECT t.state($$SELECT encrypted.forget_user('u1', 'x')$$), t.state($$SELECT encrypted.rotate_master_key()$$);
RESET app.tenant_id; RESET ROLE;
SELECT events.unbind_tenant('regress_keys', 'other');
SELECT events.revoke_access(r, a) FROM (VALUES ('regress_encrypts', 'encrypt'), ('regress_decrypts', 'decrypt'), ('regress_keys', 'key_admin')) v(r, a);
DROP TABLE t.may;
DROP ROLE regress_encrypts, regress_decrypts, regress_keys, regress_nothing;

-- master keys that are none: clear errors, nothing of the keys in them
COPY (SELECT 'k2 ' || repeat('f', 63)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT 'k3 ' || repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT encrypted.master_key_id();
\c -
SET client_min_messages = warning;
SELECT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'));
COPY (SELECT 'k2 ' || repeat('f', 64)) TO PROGRAM 'cat > auren_events_regress_keys';
SELECT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'));
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; chmod 0644 auren_events_regress_keys'; -- a program that does not read what it is given may break the pipe
SELECT t.try($$SELECT encrypted.master_key_id()$$);
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
SELECT t.try($$SELECT encrypted.master_key_id()$$);
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
