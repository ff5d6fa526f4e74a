-- Archives of months: written, refused, attached, read, taken away again. In a database of its own, since months of the whole store go.
\set main :DBNAME
CREATE DATABASE auren_archive TEMPLATE template0 ENCODING 'UTF8';
\c auren_archive
\getenv directory PG_ABS_SRCDIR
\set ECHO none
CREATE EXTENSION auren_events;
\i :directory/test/sql/old_months.sql
SET datestyle = 'ISO';
SET timezone = 'UTC';
SELECT current_setting('data_directory') || '/auren_archive_regress' AS folder \gset
\set first :folder '/first.gz'
\set second :folder '/second.gz'
-- a path and the epoch differ from server to server
CREATE FUNCTION t.told(p_sql text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(line, '/[^" ]*/auren_archive_regress', 'FOLDER', 'g'), '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'EPOCH', 'g') FROM t.try(p_sql) line $$;
COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; rm -rf auren_archive_regress; mkdir auren_archive_regress';
\set ECHO all
SELECT events.create_monthly_partitions(0) AS made \gset
SELECT t.old_month('2024-01-01'), t.old_month('2024-02-01'), t.old_month('2024-03-01'), t.old_month('2024-04-01');
SELECT events.add_tag_rule('booked', '/room', 'room'), events.fill_tag_rules() AS unfilled;
SELECT t.old_event('booking:1', 'booked', '{"room": 12, "price": 0.10, "big": 1e400}', '2024-01-02 03:04:05.678901+00', '11111111-1111-4111-8111-111111111111');
SELECT t.old_event('booking:1', 'moved', '{"text": "a\"b\\c\u2028\u00fc \u0001", "list": [1, {"a": null}, "},{"]}', '2024-01-31 23:59:59.999999+00', '22222222-2222-4222-8222-222222222222');
SELECT t.old_event('other:1', 'said', '"only a text"', '2024-01-15 00:00:00+00', '33333333-3333-4333-8333-333333333333', 'other "tenant"');
SELECT t.old_event('booking:1', 'paid', '{"n": 3}', '2024-02-01 00:00:00+00', '44444444-4444-4444-8444-444444444444');
SELECT t.old_event('booking:1', 'paid', '{"n": 4}', '2024-03-01 00:00:00+00', '55555555-5555-4555-8555-555555555555');
SELECT events.append_event('booking:1', 'left', '{"n": 5}', p_event_id := '66666666-6666-4666-8666-666666666666');
SELECT events.set_reducer('moved', 'ignore'), events.set_reducer('paid', 'count', '{"into": "paid"}');
-- the lines: a manifest, an event each in order of position, a trailer
\pset format unaligned
SELECT regexp_replace(line, '"(store_epoch|made_at|extension_version)":"[^"]*"', '"\1":"..."', 'g') FROM events.archive_lines('2024-01-01') line;
SELECT encode(sha256(convert_to(string_agg(line, E'\n' ORDER BY n) FILTER (WHERE n BETWEEN 2 AND 4) || E'\n', 'UTF8')), 'hex') = (max(line) FILTER (WHERE n = 5))::json ->> 'sha256' AS sha256_of_events
FROM events.archive_lines('2024-01-01') WITH ORDINALITY l (line, n);
-- streamed where it stands in FROM, materialized elsewhere; a month without an event has an archive too
EXPLAIN (COSTS OFF) SELECT line FROM events.archive_lines('2024-01-01') line LIMIT 1;
SELECT count(*) FROM (SELECT events.archive_lines('2024-01-01')) x;
SELECT left(line, 10), upper(left(line, 3)) FROM events.archive_lines('2024-01-01') line OFFSET 4;
BEGIN;
DECLARE lines CURSOR WITH HOLD FOR SELECT left(line, 20) FROM events.archive_lines('2024-01-01') line;
FETCH 2 FROM lines;
COMMIT;
FETCH 1 FROM lines;
CLOSE lines;
SELECT (line::json ->> 'events')::int AS events, line::json -> 'first_position' AS first FROM events.archive_lines('2024-04-01') line;
-- what is no closed month
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('2023-01-01')$$);
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines(date_trunc('month', now() AT TIME ZONE 'UTC')::date)$$) line WHERE line !~ '^5';
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('2024-01-02')$$);
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('infinity')$$);
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines(NULL)$$);
-- to a file of the server
SELECT events, bytes > 0 AS has_bytes, length(sha256), written FROM events.archive_month('2024-01-01', :'first');
SELECT sha256 = ((SELECT max(line) FILTER (WHERE line LIKE '{"end"%') FROM events.archive_lines('2024-01-01') line)::json ->> 'sha256') AS same, written FROM events.archive_month('2024-01-01', :'folder' || '/plain', 'none');
CREATE TABLE t.lines (line_number bigserial, line text);
COPY t.lines (line) FROM PROGRAM 'cd auren_archive_regress && zcat first.gz | tail -n +2 >a && tail -n +2 plain >b && cmp a b && rm a b && echo same';
SELECT line FROM t.lines;
TRUNCATE t.lines;
SELECT state, archive = :'folder' || '/plain' AS named, archived_at IS NOT NULL AS archived FROM events.months WHERE month = '2024-01-01';
-- again: a whole file of the same events stays, anything else is refused
SET client_min_messages = notice;
\set VERBOSITY sqlstate
SELECT events, bytes, written FROM events.archive_month('2024-01-01', :'first');
\set VERBOSITY default
SET client_min_messages = warning;
SELECT * FROM t.told(format('SELECT events.archive_month(%L, %L)', '2024-02-01', :'first'));
COPY (SELECT 'something else') TO PROGRAM 'cat >auren_archive_regress/other';
SELECT * FROM t.told(format('SELECT events.archive_month(%L, %L)', '2024-01-01', :'folder' || '/other'));
SELECT * FROM t.told(format('SELECT events.archive_month(%L, %L)', '2024-01-01', :'folder' || '/missing/first.gz'));
SELECT * FROM t.told($$SELECT events.archive_month('2024-01-01', 'first.gz')$$);
SELECT * FROM t.told($$SELECT events.archive_month('2024-01-01', '/tmp/first.bz2', 'bzip2')$$);
-- what an interrupted run left is written over
COPY (SELECT 'half of it') TO PROGRAM 'cat >auren_archive_regress/second.gz.part';
SELECT events, written FROM events.archive_month('2024-02-01', :'second');
SELECT events, written FROM events.archive_month('2024-03-01', :'folder' || '/third.gz');
SELECT written FROM events.archive_month('2024-04-01', :'folder' || '/fourth.gz');
CREATE TABLE t.names (name text);
COPY t.names FROM PROGRAM 'ls auren_archive_regress';
SELECT name FROM t.names ORDER BY 1;
-- a month that was not dropped does not come back
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'first'));
-- the month goes, and comes back
CREATE TABLE t.before AS SELECT * FROM events.event_store WHERE created_at < '2024-05-01';
CALL events.drop_months_before('2024-05-01', '{unsealed:*}');
SELECT count(*) FROM events.event_store;
SELECT month, state FROM events.months WHERE month < '2025-01-01';
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('2024-01-01')$$);
SELECT events.attach_archive(:'first');
SELECT month, state, held_by FROM events.months WHERE month < '2025-01-01';
SELECT count(*) AS same FROM (SELECT * FROM t.before WHERE created_at < '2024-02-01' INTERSECT SELECT * FROM events.event_store) x;
-- the months of versions 3 and 4 are still gone
SELECT * FROM t.told($$SELECT count(*) FROM events.replay_stream('booking:1')$$);
SELECT stream_version, event_type, event_data, tags FROM events.replay_stream('booking:1', 1, 2) UNION ALL SELECT stream_version, event_type, event_data, tags FROM events.replay_stream('booking:1', 3);
SELECT global_position, event_type FROM events.read_all(0);
SELECT global_position, event_type FROM events.read_by_query('[{"tags": ["room:12"]}]');
SELECT event_type FROM events.find_events('{"room": 12}');
-- states stay those of the opening balance, unless a version is asked for that is there again
SELECT events.get_stream_state('booking:1') -> 'paid' AS paid, events.get_stream_state('booking:1', 4) -> 'paid' AS carried;
SELECT events.get_stream_state('booking:1', 1) #> '{booked,room}' AS room, events.get_stream_state('booking:1', 2) ? 'moved' AS ignored_moves;
SELECT * FROM t.told($$SELECT events.get_stream_state('booking:1', 3)$$);
SELECT events.set_reducer('paid', 'ignore');
SELECT events.get_stream_state('booking:1') -> 'paid' AS still_carried;
-- it has the indexes and triggers of every month, and one that refuses inserts
SELECT count(*) FROM pg_index WHERE indrelid = 'events.event_store_2024_01'::regclass;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'events.event_store_2024_01'::regclass ORDER BY 1;
SELECT conname FROM pg_constraint WHERE conrelid IN ('events.event_store_2024_01'::regclass, 'auren.event_tags_2024_01'::regclass) AND contype = 'c';
SELECT * FROM t.told($$INSERT INTO events.event_store SELECT * FROM t.before WHERE global_position = 1$$);
SELECT * FROM t.told($$DELETE FROM events.event_store WHERE global_position = 1$$);
SELECT t.told($$SELECT events.import_events('{new:1}', '{a}', '{1}', '{77777777-7777-4777-8777-777777777777}', '{2024-01-05}')$$) LIKE '55000%' AS refused LIMIT 1;
-- appends go on, and ids that were given before give what they gave
SELECT events.append_event('booking:1', 'left', '{"n": 6}', p_expected_version := 5) IS NOT NULL AS appended, events.stream_version('booking:1');
SELECT events.append_event('booking:1', 'booked', '{"room": 12, "price": 0.10, "big": 1e400}', p_event_id := '11111111-1111-4111-8111-111111111111');
SELECT * FROM t.told($$SELECT events.append_event('booking:1', 'booked', '{"room": 13}', p_event_id := '11111111-1111-4111-8111-111111111111')$$);
SELECT events.stream_version('booking:1');
-- it can be written again, and is not dropped or attached twice
SELECT events, written FROM events.archive_month('2024-01-01', :'folder' || '/again.gz');
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'first'));
CALL events.drop_months_before('2024-05-01', '{unsealed:*}');
SELECT month, state FROM events.months WHERE month < '2025-01-01';
-- more of them: a version in the second is there when both are
SELECT events.attach_archive(:'second'), events.attach_archive(:'folder' || '/fourth.gz');
SELECT events.get_stream_state('booking:1', 3) - 'text' - 'list' AS third;
SELECT * FROM t.told($$SELECT events.get_stream_state('booking:1', 4) -> 'paid'$$);
-- and away again
SELECT events.detach_archive('2024-01-01'), events.detach_archive('2024-04-01');
SELECT * FROM t.told($$SELECT events.detach_archive('2024-01-01')$$);
SELECT * FROM t.told($$SELECT count(*) FROM events.replay_stream('booking:1')$$);
SELECT stream_version FROM events.replay_stream('booking:1', 5);
SELECT events.get_stream_state('booking:1') -> 'paid' AS paid;
SELECT * FROM t.told($$SELECT events.get_stream_state('booking:1', 3)$$);
SELECT to_regclass('events.event_store_2024_01') IS NULL AND to_regclass('auren.event_tags_2024_01') IS NULL AS gone;
SELECT events.detach_archive('2024-02-01');
SELECT month, state FROM events.months WHERE month < '2025-01-01';
-- all or nothing
BEGIN;
SELECT events.attach_archive(:'first');
ROLLBACK;
SELECT to_regclass('events.event_store_2024_01') IS NULL AS nothing_left, (SELECT state FROM events.months WHERE month = '2024-01-01');
-- from a client's copy
COPY t.lines (line) FROM PROGRAM 'zcat auren_archive_regress/first.gz' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
SELECT events.attach_archive_lines('t.lines');
SELECT count(*) AS same FROM (SELECT * FROM t.before WHERE created_at < '2024-02-01' INTERSECT SELECT * FROM events.event_store) x;
SELECT events.detach_archive('2024-01-01');
SELECT * FROM t.told($$SELECT events.attach_archive_lines(0)$$);
SELECT * FROM t.told($$SELECT events.attach_archive_lines('t.names')$$);
-- a file that was cut, anywhere; one that is none; one that has more
CREATE TABLE t.good AS SELECT * FROM t.lines;
CREATE FUNCTION t.attach_changed(p_change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE t.lines;
	INSERT INTO t.lines SELECT * FROM t.good;
	EXECUTE p_change;
	RETURN QUERY SELECT l FROM t.told('SELECT events.attach_archive_lines(''t.lines'')') l;
END $$;
SELECT t.attach_changed('DELETE FROM t.lines WHERE line_number = (SELECT max(line_number) FROM t.lines)');
SELECT t.attach_changed('DELETE FROM t.lines WHERE line_number > (SELECT min(line_number) + 1 FROM t.lines)');
SELECT t.attach_changed('DELETE FROM t.lines');
SELECT t.attach_changed($$DELETE FROM t.lines WHERE line LIKE '{"format"%'$$);
SELECT t.attach_changed($$INSERT INTO t.lines (line) VALUES ('{}')$$);
COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; cd auren_archive_regress; head -c 200 first.gz >cut.gz; head -c 900 plain >cut; (head -c 100 first.gz; echo damaged; tail -c +120 first.gz) >damaged.gz; : >empty';
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder' || '/cut.gz')) line WHERE line LIKE '22P04%';
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder' || '/cut'));
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder' || '/damaged.gz')) line WHERE line LIKE '22P04%';
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder' || '/empty'));
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder' || '/none'));
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'folder'));
SELECT * FROM t.told($$SELECT events.attach_archive('first.gz')$$);
-- lines that were changed, taken out, put in, exchanged, moved; a trailer that was made to fit
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '"room": 12', '"room": 13')$$);
SELECT t.attach_changed($$DELETE FROM t.lines WHERE line LIKE '%"only a text"%'$$);
SELECT t.attach_changed($$UPDATE t.lines SET line_number = -line_number$$);
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '{"global_position":2', '{"global_position":20') WHERE line LIKE '{"global_position":2%'$$);
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '"created_at":"2024-01-02', '"created_at":"2024-02-02')$$);
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, ',"tenant_id"', ', "tenant_id"')$$) LIMIT 2;
SELECT * FROM t.attach_changed($$UPDATE t.lines SET line = replace(line, '"room": 12', '"room": 13');
	UPDATE t.lines SET line = regexp_replace(line, '"sha256":"[^"]*"', format('"sha256":"%s"', (SELECT encode(sha256(convert_to(string_agg(line || E'\n', '' ORDER BY line_number), 'UTF8')), 'hex') FROM t.lines WHERE line LIKE '{"global%')))
	WHERE line LIKE '{"end"%'$$) line WHERE line NOT LIKE 'DETAIL%';
-- of another store: what is known of the month differs, or only the epoch is there to tell
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '"seals":[]', '"seals":[{"seal":7,"month":"2024-01-01","after_position":0,"up_to_position":9,"last_position":3,"events":3,"root":"aa","previous":"bb","chain":"cc","key_id":"k","signature":"ee","sealed_at":"","public_key":""}]')$$);
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '"last_position":3', '"last_position":4')$$);
SELECT t.attach_changed($$UPDATE t.lines SET line = replace(line, '"month":"2024-01-01"', '"month":"2022-01-01"')$$);
UPDATE auren.month_records SET archive_digest = NULL;
SELECT t.attach_changed($$UPDATE t.lines SET line = regexp_replace(line, '"store_epoch":"[^"]*"', '"store_epoch":"00000000-0000-4000-8000-000000000000"')$$);
SET client_min_messages = notice;
SELECT t.attach_changed('SELECT 1');
SET client_min_messages = warning;
SELECT events.detach_archive('2024-01-01');
-- a client says where the archive is that it wrote; of a month that was dropped only the one that was noted before is known
SELECT * FROM t.told($$SELECT events.record_archive('2024-01-01', 'tape 7', repeat('ab', 32))$$);
UPDATE auren.month_records SET archive_digest = decode(repeat('ab', 32), 'hex') WHERE month = '2024-01-01';
SELECT * FROM t.attach_changed('SELECT 1') line WHERE line NOT LIKE 'DETAIL%';
SELECT * FROM t.told($$SELECT events.record_archive('2024-01-01', 'tape 7', (SELECT max(line) FROM t.good WHERE line LIKE '{"end"%')::json ->> 'sha256')$$);
SELECT * FROM t.told($$SELECT events.record_archive('2024-01-01', 'tape 7', 'ab')$$);
SELECT * FROM t.told($$SELECT events.record_archive('2022-01-01', 'tape 7', repeat('ab', 32))$$);
UPDATE auren.month_records SET archive_digest = decode((SELECT max(line) FROM t.good WHERE line LIKE '{"end"%')::json ->> 'sha256', 'hex') WHERE month = '2024-01-01';
SELECT events.record_archive('2024-01-01', 'tape 7', (SELECT max(line) FROM t.good WHERE line LIKE '{"end"%')::json ->> 'sha256');
SELECT archive FROM events.months WHERE month = '2024-01-01';
SELECT t.attach_changed('SELECT 1');
SELECT events.detach_archive('2024-01-01');
-- rights: admins, who may read or write files of the server, and see every tenant's events
CREATE ROLE regress_archive_admin;
SELECT events.grant_access('regress_archive_admin', 'admin');
GRANT USAGE ON SCHEMA t TO regress_archive_admin;
GRANT SELECT ON t.lines TO regress_archive_admin;
SET ROLE regress_archive_admin;
SELECT * FROM t.told($$SELECT events.archive_month('2024-01-01', '/tmp/first.gz')$$);
SELECT * FROM t.told($$SELECT events.attach_archive('/tmp/first.gz')$$);
SELECT events.attach_archive_lines('t.lines');
SELECT events.detach_archive('2024-01-01');
RESET ROLE;
GRANT pg_read_server_files TO regress_archive_admin;
SET ROLE regress_archive_admin;
SELECT events.attach_archive(:'second');
SELECT events.detach_archive('2024-02-01');
RESET ROLE;
ALTER TABLE events.event_store ENABLE ROW LEVEL SECURITY;
SET ROLE regress_archive_admin;
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('2024-01-01')$$);
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'second'));
RESET ROLE;
ALTER TABLE events.event_store DISABLE ROW LEVEL SECURITY;
SELECT events.bind_tenant('regress_archive_admin', 'default');
SET ROLE regress_archive_admin;
SELECT * FROM t.told($$SELECT count(*) FROM events.archive_lines('2024-01-01')$$);
SELECT * FROM t.told($$SELECT events.detach_archive('2024-01-01')$$);
RESET ROLE;
SET default_transaction_read_only = on;
SELECT * FROM t.told(format('SELECT events.attach_archive(%L)', :'second'));
RESET default_transaction_read_only;
COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; rm -rf auren_archive_regress';
\c :main
DROP DATABASE auren_archive;
DROP ROLE regress_archive_admin;
