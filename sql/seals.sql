-- Seals: what is sealed, verified and proved, and each kind of tampering with it. In a database of its own, whose events nobody else seals.
SELECT current_database() AS regression \gset
CREATE DATABASE auren_seals;
\c auren_seals
SET client_min_messages = warning;
CREATE EXTENSION auren_events;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f auren_events_regress_seal_keys auren_events_regress_keys';
COPY (VALUES ('-----BEGIN PRIVATE KEY-----'), ('MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g'), ('-----END PRIVATE KEY-----'))
	TO PROGRAM 'umask 077; cat > auren_events_regress_seal_keys';
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_keys';
SELECT events.seal();
ALTER SYSTEM SET auren_events.seal_key_file = 'auren_events_regress_seal_keys';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_keys';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
SET timezone = 'UTC';
SET bytea_output = 'hex';
SELECT events.create_monthly_partitions(1) >= 0 AS made;
SELECT format('events.event_store_%s', to_char(now(), 'YYYY_MM')) AS this, format('events.event_store_%s', to_char(date_trunc('month', now()) + interval '1 month', 'YYYY_MM')) AS next \gset
CREATE VIEW findings AS SELECT problem, CASE month WHEN date_trunc('month', now())::date THEN 'this' WHEN (date_trunc('month', now()) + interval '1 month')::date THEN 'next' END AS month,
	global_position, stream_id, regexp_replace(detail, '\d{4}-\d\d', 'YYYY-MM') AS detail FROM events.verify();
CREATE VIEW of_seals AS SELECT seal, month = date_trunc('month', now())::date AS this_month, after_position, up_to_position, last_position, events, key_id FROM events.seals ORDER BY seal;

-- a key is registered first
SELECT events.append_event('s:' || n % 4, 'made', jsonb_build_object('n', n, 'exact', 0.10)) IS NULL AS failed FROM generate_series(1, 20) n GROUP BY 1;
SELECT events.seal();
SELECT events.register_seal_key(), events.register_seal_key() AS again;
SELECT key_id, public_key, endorsed_by, retired_at IS NULL AS current FROM events.seal_keys;
-- in steps, of two months, with a position that no event has
SELECT seal, events, up_to_position FROM events.seal(10);
SELECT nextval('auren.global_position_seq');
INSERT INTO events.event_store SELECT gen_random_uuid(), 'later:' || n, 1, 'made', '{"to": "come"}', '{}', date_trunc('month', now()) + interval '1 month 1 day', 'ourselves', 'default', nextval('auren.global_position_seq'), '{}' FROM generate_series(1, 3) n;
SELECT events.append_event('s:9', 'last', '{"text": "\u00e4\\\"\n"}', 'a "name"', '{"by": null}', p_tags => '{b,a}') IS NULL AS failed;
SELECT seal, month = date_trunc('month', now())::date AS this_month, events, up_to_position FROM events.seal();
SELECT * FROM events.seal();
-- a month that goes on is open, whatever of it is sealed
SELECT state, last_seal FROM events.months WHERE month = date_trunc('month', now());
TABLE of_seals;
SELECT seal, pack, first_position, last_position, events, length(leaves) FROM auren.seal_leaves ORDER BY 1, 2;
TABLE findings;
SELECT since_seal, last_seal, seals, events, up_to_position, findings FROM events.verifications;
SELECT events.seal(0);
SELECT events.verify('2026-02-01', '2026-01-01');
SELECT events.verify('infinity');
SELECT events.verify(p_since_seal => -1);
SELECT pid = pg_backend_pid() FROM events.progress;

-- the line, its digest, proofs
SELECT event_id AS id FROM events.event_store WHERE stream_id = 's:9' \gset
SELECT regexp_replace(regexp_replace(events.event_line(:'id'), :'id', 'ID'), '"\d{4}-\d\d-\d\dT[\d:.]{15}Z"', 'TIME') AS line;
SELECT position(encode(sha256('\x00' || convert_to(events.event_line(:'id'), 'UTF8')), 'hex') IN encode(leaves, 'hex')) > 0 AS sealed FROM auren.seal_leaves ORDER BY seal DESC, pack DESC LIMIT 2;
SELECT bool_and(valid) AS valid, max(reason) AS reason, count(*) FROM events.event_store e, events.verify_proof(events.event_line(e.event_id), events.prove(e.event_id));
SELECT events.event_line(:'id') AS line, events.prove(:'id') AS proof \gset
SELECT p.* FROM events.verify_proof(replace(:'line', '"last"', '"lost"'), :'proof') p;
SELECT p.* FROM events.verify_proof(:'line', jsonb_set(:'proof', '{leaf}', '0')) p;
SELECT p.* FROM events.verify_proof('no line', :'proof') p;
SELECT p.* FROM events.verify_proof(:'line', '{}') p;
SELECT events.verify_proof(NULL, :'proof');
SELECT events.prove('00000000-0000-4000-8000-000000000000');
SET app.tenant_id = 'another';
SELECT events.prove(:'id');
RESET app.tenant_id;
SELECT events.append_event('s:10', 'made', '{}') AS unsealed \gset
SELECT events.prove(:'unsealed');
SELECT line::jsonb - '{root,previous,signature,sealed_at,month}'::text[] FROM events.published_roots ORDER BY seal;

-- tampering with events: by whoever may turn the triggers off
BEGIN; ALTER TABLE :this DISABLE TRIGGER ALL;
UPDATE :this SET event_data = '{"n": 5, "exact": 0.1}' WHERE global_position = 5;
UPDATE :this SET created_by = 'another' WHERE global_position = 6;
UPDATE :this SET tags = '{}' WHERE stream_id = 's:9';
UPDATE :this SET stream_id = 's:of another', stream_version = 1 WHERE global_position = 7;
TABLE findings; ROLLBACK;
BEGIN; ALTER TABLE :this DISABLE TRIGGER ALL;
DELETE FROM :this WHERE global_position IN (1, 20);
TABLE findings;
SELECT problem, global_position FROM events.verify(p_since_seal => 1);
ROLLBACK;
BEGIN;
INSERT INTO :this SELECT gen_random_uuid(), 'planted:1', 1, 'made', '{}', '{}', now(), 'me', 'default', 21, '{}';
TABLE findings; ROLLBACK;
BEGIN; ALTER TABLE :this DISABLE TRIGGER ALL;
UPDATE :this SET global_position = 1000005 WHERE global_position = 5;
UPDATE :this SET global_position = 5 WHERE global_position = 6;
UPDATE :this SET global_position = 6 WHERE global_position = 1000005;
UPDATE :this SET global_position = 21 WHERE global_position = 8;
TABLE findings; ROLLBACK;
BEGIN; ALTER TABLE :this DISABLE TRIGGER ALL; ALTER TABLE :next DISABLE TRIGGER ALL;
WITH gone AS (DELETE FROM :this WHERE global_position = 7 RETURNING *)
INSERT INTO :next SELECT event_id, stream_id, stream_version, event_type, event_data, metadata, created_at + interval '1 month', created_by, tenant_id, global_position, tags FROM gone;
TABLE findings;
SELECT problem, global_position, regexp_replace(detail, '\d{4}-\d\d', 'YYYY-MM') AS detail FROM events.verify(p_to => now()::date);
SELECT problem, global_position, detail FROM events.verify(p_from => (now() + interval '1 month')::date);
ROLLBACK;
BEGIN; SET LOCAL auren_events.allow_drop = on; ALTER TABLE events.event_store DETACH PARTITION :next;
TABLE findings;
ALTER TABLE :next DISABLE TRIGGER ALL;
UPDATE :next SET event_data = '{"to": "go"}' WHERE stream_id = 'later:2';
SELECT format('ALTER TABLE events.event_store ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', :'next', date_trunc('month', now()) + interval '1 month', date_trunc('month', now()) + interval '2 months') AS attach \gset
:attach;
TABLE findings; ROLLBACK;

-- tampering with seals too
BEGIN;
UPDATE auren.seal_leaves SET leaves = set_byte(leaves, 20, 255 - get_byte(leaves, 20)) WHERE seal = 1;
TABLE findings; ROLLBACK;
-- the event with its digest: the root does not follow
BEGIN; ALTER TABLE :this DISABLE TRIGGER ALL;
UPDATE :this SET event_data = '{}' WHERE global_position = 1;
UPDATE auren.seal_leaves SET leaves = overlay(leaves placing sha256('\x00' || convert_to(events.event_line((SELECT event_id FROM events.event_store WHERE global_position = 1)), 'UTF8')) from 9) WHERE seal = 1;
TABLE findings;
-- with the roots as well: the statement does not give the chain, and nobody signed it
UPDATE auren.seals SET root = set_byte(root, 0, 255 - get_byte(root, 0)) WHERE seal = 1;
TABLE findings;
ROLLBACK;
BEGIN; UPDATE auren.seals SET events = 11 WHERE seal = 1; TABLE findings; ROLLBACK;
BEGIN; UPDATE auren.seals SET root = 'short' WHERE seal = 1; SELECT problem, detail FROM findings WHERE problem = 'seal'; ROLLBACK;
BEGIN; UPDATE auren.seals SET key_id = 'other' WHERE seal = 1; SELECT problem, detail FROM findings; ROLLBACK;
BEGIN; UPDATE auren.registered_seal_keys SET public_key = sha256('another'); SELECT problem, detail FROM findings; ROLLBACK;
BEGIN; DELETE FROM auren.seal_leaves WHERE seal = 2; SELECT problem, detail FROM findings WHERE problem = 'leaves'; ROLLBACK;
BEGIN; DELETE FROM auren.seals WHERE seal = 2; SELECT problem, detail FROM findings WHERE problem = 'seal'; ROLLBACK;
-- at the end: what is left of them tells it; with no trace in the database only a chain that was kept elsewhere would
BEGIN; DELETE FROM auren.seals WHERE seal > 1; TABLE findings;
DELETE FROM auren.seal_leaves WHERE seal > 1; TABLE findings;
DELETE FROM auren.verifications; TABLE findings; ROLLBACK;

-- forgetting a person changes no event
SELECT encrypted.add_rule('vitals_recorded', '{/heart_rate}', 'user:*');
SELECT events.append_event('user:ada', 'vitals_recorded', '{"heart_rate": 72}') IS NULL AS failed;
SELECT seal, events FROM events.seal();
SELECT encrypted.forget_user('ada', 'asked to');
TABLE findings;

-- rotation: the key before endorses the next one, and may go then
COPY (VALUES ('-----BEGIN PRIVATE KEY-----'), ('MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9h'), ('-----END PRIVATE KEY-----'))
	TO PROGRAM 'cat >> auren_events_regress_seal_keys';
SELECT events.append_event('s:11', 'made', '{}') IS NULL AS failed;
SELECT events.seal();
SELECT events.register_seal_key();
SELECT key_id, endorsed_by, length(endorsement), retired_at IS NULL AS current FROM events.seal_keys ORDER BY registered_at;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; sed -i 1,3d auren_events_regress_seal_keys';
SELECT seal, events FROM events.seal();
TABLE findings;
SELECT problem FROM events.verify(p_since_seal => 4);
-- one that nobody endorses is named by events.verify
COPY (VALUES ('-----BEGIN PRIVATE KEY-----'), ('MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9i'), ('-----END PRIVATE KEY-----'))
	TO PROGRAM 'cat > auren_events_regress_seal_keys';
SELECT events.register_seal_key();
SELECT events.register_seal_key(p_previous_lost => true);
SELECT events.append_event('s:12', 'made', '{}') IS NULL AS failed;
SELECT seal, events FROM events.seal();
SELECT problem, detail FROM findings;
-- a retired one signs no more
COPY (VALUES ('-----BEGIN PRIVATE KEY-----'), ('MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g'), ('-----END PRIVATE KEY-----'))
	TO PROGRAM 'cat > auren_events_regress_seal_keys';
SELECT events.seal();
COPY (SELECT 'no key') TO PROGRAM 'cat > auren_events_regress_seal_keys';
SELECT events.seal();
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; chmod 0644 auren_events_regress_seal_keys';
SELECT events.seal();

-- an event that its month's index of positions has lost: the feed passes it by, and it is as it was sealed
SELECT 'events.idx_event_store_position_' || to_char(now(), 'YYYY_MM') AS index \gset
ALTER TABLE :this DISABLE TRIGGER ALL;
CREATE TABLE taken AS SELECT * FROM :this WHERE global_position = 3;
DELETE FROM :this WHERE global_position = 3;
VACUUM (INDEX_CLEANUP on) :this;
UPDATE pg_index SET indisready = false WHERE indexrelid = :'index'::regclass;
\c -
SET client_min_messages = warning;
INSERT INTO :this SELECT * FROM taken;
UPDATE pg_index SET indisready = true WHERE indexrelid = :'index'::regclass;
\c -
SET client_min_messages = warning;
SELECT global_position FROM events.read_all(0, 4);
SELECT problem, global_position, stream_id, detail FROM findings WHERE problem <> 'key';

ALTER SYSTEM RESET auren_events.seal_key_file;
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f auren_events_regress_seal_keys auren_events_regress_keys';
\c :regression
DROP DATABASE auren_seals;
