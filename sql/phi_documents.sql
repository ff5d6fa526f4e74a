-- Fields of documents: encrypted and decrypted by their paths.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
SELECT encrypted.encrypt_phi_field('72', 'u1') AS e \gset
-- documents: any JSON, numbers with all their digits
SELECT '{"hr": 72.50, "big": 12345678901234567890.1234567890, "huge": 1e400, "t": true, "z": null, "s": "Ü \"x\" \\ \n", "o": {"a": [1, 2.0, {"b": []}]}, "a": [{"hr": 1}, 2], "other": 1, "~/": 3}'::jsonb AS d \gset
SELECT '{/hr,/big,/huge,/t,/z,/s,/o,/a/0/hr,/none,/a/9,/~0~1}' AS paths \gset
SELECT encrypted.encrypt_fields(:'d', 'u1', :'paths') AS x \gset
SELECT key, CASE WHEN value::text LIKE '"phi1:%' THEN 'envelope' ELSE regexp_replace(value::text, 'phi1:[^"]*', 'envelope') END FROM jsonb_each(:'x') ORDER BY 1;
SELECT encrypted.decrypt_fields(:'x', 'u1', :'paths');
SELECT encrypted.decrypt_fields(:'x', 'u1', :'paths')::text = :'d'::jsonb::text AS same;
-- twice is once; one field by itself; what is not an envelope stays
SELECT encrypted.encrypt_fields(:'x', 'u1', :'paths') = :'x'::jsonb AS same;
SELECT encrypted.decrypt_phi_field(:'x'::jsonb->>'hr', 'u1', '/hr') AS number;
SELECT encrypted.decrypt_phi_field(:'x'::jsonb->>'s', 'u1', '/s') AS text;
SELECT encrypted.decrypt_phi_field(:'x'::jsonb->>'o', 'u1', '/o') AS object;
SELECT encrypted.decrypt_fields(:'d', 'u1', :'paths')::text = :'d'::jsonb::text AS same;
SELECT t.state(format('SELECT encrypted.decrypt_fields(%L, %L, %L)', jsonb_build_object('weight', :'x'::jsonb->'hr'), 'u1', '{/weight}')) AS moved;
-- a text that only looks like an envelope is a text, and another person's envelope is a text too
SELECT encrypted.decrypt_fields(encrypted.encrypt_fields('{"a": "phi1:AAAA", "b": "phi1:"}', 'u1', '{/a,/b}'), 'u1', '{/a,/b}');
SELECT encrypted.encrypt_fields(jsonb_build_object('a', :'e'), 'u2', '{/a}') ->> 'a' <> :'e' AS encrypted_again;
SELECT encrypted.encrypt_fields(jsonb_build_object('a', :'e'), 'u1', '{/a}') ->> 'a' = :'e' AS left_alone;
-- a field that was encrypted as the guide does it opens in a document
SELECT encrypted.decrypt_fields(jsonb_build_object('heart_rate', :'e'), 'u1', '{/heart_rate}');
SELECT t.try(format('SELECT encrypted.encrypt_fields(%L, %L, %L)', '{}', 'u1', p)) FROM (VALUES ('{}'), ('{""}'), ('{hr}'), ('{/a,/a/b}'), ('{NULL}')) v(p);
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
