-- Encrypted values: printable, bound to tenant, person and field, and damaged at any bit.
SET client_min_messages = warning;
LOAD 'auren_events';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
LOAD 'auren_events';
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
SELECT encrypted.encrypt_phi_field('72', 'u1') IS NOT NULL AS with_a_key_of_its_own;
SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L)', :'e', 'u1'));
RESET app.tenant_id;
-- every single bit
SELECT state, count(*) > 0 AS some FROM (
	SELECT t.state(format('SELECT encrypted.decrypt_phi_field(%L, %L)', convert_from(set_bit(convert_to(:'e', 'UTF8'), bit, 1 - get_bit(convert_to(:'e', 'UTF8'), bit)), 'UTF8'), 'u1')) AS state
	FROM generate_series(0, length(:'e') * 8 - 1) bit WHERE bit % 8 <> 7 AND set_bit(convert_to(:'e', 'UTF8'), bit, 1 - get_bit(convert_to(:'e', 'UTF8'), bit)) NOT LIKE '%\000%') s
GROUP BY state ORDER BY state;
-- what is no encrypted value, never shown in the error
SELECT DISTINCT t.try(format('SELECT encrypted.decrypt_phi_field(%L, %L)', v, 'u1')) FROM (VALUES ('a secret'), ('phi1:AA=='), ('phi1:'), ('')) s(v) ORDER BY 1;
SELECT t.try($$SELECT encrypted.decrypt_phi_field('phi2:AAAA', 'u1')$$);
SELECT t.try($$SELECT encrypted.encrypt_phi_field('1', NULL)$$);
SELECT t.try($$SELECT encrypted.encrypt_phi_field('1', '')$$);
SELECT t.try(format('SELECT encrypted.encrypt_phi_field(%L, %L)', '1', repeat('u', 256)));
SELECT t.state(format('SELECT encrypted.encrypt_phi_field(%L, %L)', '1', repeat('ü', 255)));
BEGIN READ ONLY;
SELECT encrypted.encrypt_phi_field('72', 'u1');
ROLLBACK;
BEGIN READ ONLY;
SELECT encrypted.decrypt_phi_field(:'e', 'u1');
COMMIT;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_keys';
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
