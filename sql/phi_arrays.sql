-- Many encrypted values at a time, and what a cached key saves.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.encrypt_phi_field('72', 'u1') AS e \gset
SELECT encrypted.encrypt_phi_field('72', 'u1', 'heart_rate') AS f \gset
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
SELECT t.try($$SELECT encrypted.encrypt_phi_fields('{1}', NULL)$$);
SELECT t.try($$SELECT encrypted.encrypt_phi_fields('{}', '')$$);
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
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
