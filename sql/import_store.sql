-- Whole stores that come from elsewhere: events.import_store, events.rehearse_import, events.import_report, events.imports.
SET client_min_messages = notice;
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
SET app.tenant_id = 'moving';
CREATE SCHEMA moving;
CREATE FUNCTION moving.id(p_number integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('1b000000-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid $$;
CREATE FUNCTION moving.stored(p_tenant text) RETURNS TABLE (stream text, v bigint, type text, data jsonb, metadata jsonb, at timestamptz, by text, id text, place bigint) LANGUAGE sql AS $$
	SELECT stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, right(event_id::text, 12), rank() OVER (ORDER BY global_position)
	FROM events.event_store WHERE tenant_id = p_tenant ORDER BY stream_id, stream_version
$$;
CREATE FUNCTION moving.reported(p_source text) RETURNS TABLE (tenant text, stream text, old_v bigint, v bigint, old_id text, id text, old_at timestamptz, at timestamptz, reason text) LANGUAGE sql AS $$
	SELECT tenant_id, stream_id, old_version, stream_version, right(old_id::text, 12), right(event_id::text, 12), old_created_at, created_at, reason
	FROM events.import_report WHERE source = p_source ORDER BY tenant_id, stream_id, stream_version
$$;

-- A hand-written table with what its races left: a version twice, holes, an id twice, times that go back, no tenant, no data, a row without an id or a version.
CREATE TABLE moving.event_store (event_id uuid, stream_id varchar(255), stream_version integer, event_type varchar(100), event_data jsonb, metadata jsonb,
	created_at timestamptz, created_by varchar(255), tenant_id varchar(255));
INSERT INTO moving.event_store VALUES
	(moving.id(1), 'user:1', 1, 'registered', '{"name": "Ada", "n": 0.10}', '{"c": 1}', '2021-01-01 10:00', 'api', 'moving'),
	(moving.id(2), 'user:1', 2, 'moved', '{"to": "Rome"}', NULL, '2021-01-02 10:00', 'api', 'moving'),
	(moving.id(3), 'user:1', 2, 'moved', '{"to": "Oslo"}', NULL, '2021-01-02 10:01', NULL, 'moving'),
	(moving.id(4), 'user:1', 5, 'moved', '{"to": "Bonn"}', NULL, '2021-01-01 09:00', 'api', NULL),
	(moving.id(5), 'user:1', 6, 'moved', NULL, NULL, '2021-03-01 09:00', 'api', 'moving'),
	(NULL, 'user:1', NULL, 'moved', '{"to": "Kiel"}', NULL, '2021-04-01 09:00', 'api', 'moving'),
	(moving.id(1), 'user:2', 1, 'registered', '{"name": "Bob"}', NULL, '2022-03-01 10:00', 'api', 'moving'),
	(moving.id(1), 'user:2', 2, 'registered', '{"name": "Bob"}', NULL, '2022-03-01 10:00', 'api', 'moving'),
	(moving.id(1), 'user:2', 2, 'registered', '{"name": "Bob"}', NULL, '2022-03-01 10:00', 'api', 'moving'),
	(moving.id(1), 'user:1', 1, 'registered', '{"name": "Eve"}', NULL, '2020-01-01 10:00', 'api', 'moving too');
-- A rehearsal tells the same and changes nothing, so it may run where nothing may be written.
BEGIN READ ONLY;
SELECT tenant_id, stream_id, old_version AS old_v, stream_version AS v, right(old_id::text, 12) AS old_id, right(event_id::text, 12) AS id, old_created_at AS old_at, created_at AS at, reason, to_do
FROM events.rehearse_import('moving.event_store') ORDER BY tenant_id, stream_id, stream_version;
COMMIT;
SELECT count(*) FROM events.event_store WHERE tenant_id LIKE 'moving%';
CALL events.import_store('moving.event_store');
SELECT * FROM moving.stored('moving');
SELECT * FROM moving.stored('moving too');
SELECT * FROM moving.reported('moving.event_store');
SELECT source, kind, called_by = current_user AS called, finished_at > started_at AS finished, events, imported, changed, length(digest) AS digits FROM events.imports WHERE source = 'moving.event_store';
-- Again: nothing is there twice. What came meanwhile is imported, each to the end of its stream, whatever version it has.
CALL events.import_store('moving.event_store', p_batch => 1);
INSERT INTO moving.event_store VALUES
	(moving.id(6), 'user:1', 2, 'moved', '{"to": "Late"}', NULL, '2021-01-01 10:01', NULL, 'moving'),
	(moving.id(1), 'user:0', 1, 'registered', '{"name": "Eva"}', NULL, '2019-01-01 10:00', 'api', 'moving too'),
	(moving.id(1), 'user:1', 0, 'registered', '{"name": "Eva"}', NULL, '2019-01-01 10:00', 'api', 'moving too');
CALL events.import_store('moving.event_store', 'hand-written');
SELECT * FROM moving.stored('moving') WHERE stream = 'user:1' AND v > 5;
SELECT * FROM moving.stored('moving too');
SELECT * FROM moving.reported('moving.event_store') WHERE old_at < '2020-01-01' OR reason LIKE '%later%';
CALL events.import_store('moving.event_store');
-- The streams take imports as long as nothing was appended to them.
SELECT stream_id, imported_version, dropped_version, closed FROM events.imported_streams WHERE tenant_id = 'moving' ORDER BY 1;
SELECT stream_version FROM events.append_events('{user:1}', '{moved}', '{1}');
INSERT INTO moving.event_store VALUES (moving.id(7), 'user:1', 9, 'moved', '{"to": "Late"}', NULL, '2021-01-01 10:01', NULL, 'moving');
CALL events.import_store('moving.event_store');
SELECT stream_id, old_version, stream_version, reason, to_do FROM events.rehearse_import('moving.event_store');
CREATE VIEW moving.but_one AS SELECT * FROM moving.event_store WHERE event_id IS DISTINCT FROM moving.id(7);
CALL events.import_store('moving.but_one');

-- Other types, odd names, a partitioned table, columns that nobody needs or that are not there.
CREATE TABLE moving."Odd "" name" (stream_version bigint, "surplus" point, event_id text, stream_id uuid, event_type name, event_data json, created_at timestamp) PARTITION BY RANGE (created_at);
CREATE TABLE moving."Odd part" PARTITION OF moving."Odd "" name" DEFAULT;
INSERT INTO moving."Odd "" name" VALUES (7, NULL, moving.id(20), moving.id(0), 'noted', '{"a":  1, "a": 2}', '2021-06-01 12:00');
SET app.tenant_id = 'moving odd';
SET TIME ZONE 'Asia/Tokyo';
CALL events.import_store('moving."Odd "" name"');
SET TIME ZONE 'UTC';
SELECT * FROM moving.stored('moving odd');
SELECT * FROM moving.reported('moving."Odd "" name"');

-- message-db: positions begin at 0, times are UTC, and its order is kept.
SET app.tenant_id = 'moving messages';
CREATE TABLE moving.messages (global_position bigserial NOT NULL, position bigint NOT NULL, time timestamp DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
	stream_name text NOT NULL, type text NOT NULL, data jsonb, metadata jsonb, id uuid NOT NULL);
INSERT INTO moving.messages (position, time, stream_name, type, data, metadata, id) VALUES
	(0, '2021-05-01 12:00', 'account-1', 'Opened', '{"owner": "Ada"}', NULL, moving.id(30)),
	(0, '2021-05-01 12:02', 'account-2', 'Opened', NULL, '{"correlation": "x"}', moving.id(31)),
	(0, '2021-05-01 12:01', 'account-3', 'Opened', '[]', NULL, moving.id(32)),
	(1, '2021-05-01 11:59', 'account-1', 'Deposited', '{"amount": 7}', NULL, moving.id(33));
CALL events.import_store('moving.messages');
SELECT * FROM moving.stored('moving messages');
SELECT * FROM moving.reported('moving.messages');

-- Marten: what it knows beside goes to the metadata.
SET app.tenant_id = 'moving quests';
CREATE TABLE moving.mt_events (seq_id bigint PRIMARY KEY, id uuid NOT NULL, stream_id uuid, version bigint NOT NULL, data jsonb NOT NULL, type varchar(500) NOT NULL,
	timestamp timestamptz DEFAULT now() NOT NULL, tenant_id varchar DEFAULT '*DEFAULT*', mt_dotnet_type varchar, correlation_id varchar, headers jsonb, is_archived bool DEFAULT false);
INSERT INTO moving.mt_events VALUES
	(1, moving.id(40), moving.id(1), 1, '{"Name": "Ada"}', 'quest_started', '2021-06-01 08:00', '*DEFAULT*', 'Quests.QuestStarted, Quests', 'c1', '{"h": null}', false),
	(2, moving.id(41), moving.id(1), 2, '{"Name": "Bob"}', 'members_joined', '2021-06-01 08:05', '*DEFAULT*', NULL, NULL, NULL, true),
	(4, moving.id(42), moving.id(2), 1, '{}', 'quest_started', '2021-07-01 08:00', 'moving acme', NULL, NULL, NULL, NULL);
CALL events.import_store('moving.mt_events');
SELECT * FROM moving.stored('moving quests');
SELECT * FROM moving.stored('moving acme');

-- What the store refuses is told before anything is imported, with what to do.
SET app.tenant_id = 'moving refused';
CREATE TABLE moving.refused (event_id uuid, stream_id text, stream_version integer, event_type text, event_data jsonb, created_at timestamptz, created_by text, tenant_id text);
INSERT INTO moving.refused SELECT moving.id(50 + n), 'good', n, 'happened', '{}', '2021-01-01', 'api', NULL FROM generate_series(1, 3) n;
CREATE SEQUENCE moving.numbers;
INSERT INTO moving.refused SELECT moving.id(60 + n::integer), r.stream, r.version, r.type, '{}', r.at::timestamptz, r.author, r.tenant
FROM (VALUES (' blank', 1, 'happened', '2021-01-01', 'api', NULL), (repeat('x', 256), 1, 'happened', '2021-01-01', 'api', NULL), (NULL, 1, 'happened', '2021-01-01', 'api', NULL),
	('type', 1, repeat('x', 101), '2021-01-01', 'api', NULL), ('type', 2, '', '2021-01-01', 'api', NULL), ('type', 3, NULL, '2021-01-01', 'api', NULL), ('time', 1, 'happened', NULL, 'api', NULL),
	('late', 1, 'happened', 'infinity', 'api', NULL), ('late', 2, 'happened', '2021-01-01', 'api', NULL), ('early', 1, 'happened', '0001-12-31 BC', 'api', NULL),
	('author', 1, 'happened', '2021-01-01', repeat('x', 256), NULL), ('closed', 1, 'happened', '2021-01-01', 'api', NULL), ('tenant', 1, 'happened', '2021-01-01', 'api', E'a\tb'))
	r (stream, version, type, at, author, tenant), LATERAL (SELECT nextval('moving.numbers') AS n) n;
SELECT events.append_event('closed', 'happened', '{}') IS NOT NULL AS there, events.close_stream('closed', 'done');
SELECT left(tenant_id, 20) AS tenant, left(stream_id, 10) AS stream, old_version AS v, left(reason, 120) AS reason, to_do FROM events.rehearse_import('moving.refused') WHERE to_do IS NOT NULL ORDER BY old_id;
CALL events.import_store('moving.refused');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM moving.stored('moving refused');
SELECT count(*) FROM events.imports WHERE source = 'moving.refused';

-- What is no such table, and other bad calls.
CALL events.import_store(NULL);
CALL events.import_store('moving.none');
CALL events.import_store(4294967295::oid::regclass);
CALL events.import_store('events.event_store');
CALL events.import_store('pg_catalog.pg_class');
CALL events.import_store('moving.messages', 'Marten');
CALL events.import_store('moving.messages', 'marten');
CALL events.import_store('moving.messages', p_batch => 0);
CALL events.import_store('moving.messages', p_batch => NULL);
CREATE VIEW moving.wrong AS SELECT event_id, stream_id, stream_version::float8, event_type, event_data, created_at FROM moving.refused;
SELECT * FROM events.rehearse_import('moving.wrong');
CREATE VIEW moving.bytes AS SELECT event_id, stream_id, stream_version, event_type, '\x00'::bytea AS event_data, created_at FROM moving.refused;
SELECT * FROM events.rehearse_import('moving.bytes');
BEGIN;
CALL events.import_store('moving.messages');
ROLLBACK;
SELECT * FROM events.rehearse_import(NULL);
SELECT * FROM t.try($$SELECT events.rehearse_import('moving.messages', 'Kafka')$$);

-- The table is read as the caller, with all that this means: the right to SELECT, the policies, and whoever a view's functions run as.
CREATE ROLE moving_admin;
SELECT events.grant_access('moving_admin', 'admin');
GRANT USAGE ON SCHEMA moving TO moving_admin;
CREATE TABLE moving.guarded (event_id uuid, stream_id text, stream_version integer, event_type text, event_data jsonb, created_at timestamptz, tenant_id text);
INSERT INTO moving.guarded SELECT moving.id(80 + n), 'guarded:' || n, 1, 'happened', '{}', '2021-01-01', 'moving guarded' FROM generate_series(1, 4) n;
CREATE FUNCTION moving.whoami() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('user', current_user) $$;
CREATE FUNCTION moving.peep(p_id uuid) RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT count(*) FROM auren.stream_rows'; RETURN p_id; END $$;
SET ROLE moving_admin;
CALL events.import_store('moving.guarded');
RESET ROLE;
GRANT SELECT ON moving.guarded TO moving_admin;
ALTER TABLE moving.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY two ON moving.guarded TO moving_admin USING (stream_id < 'guarded:3');
CREATE VIEW moving.told WITH (security_barrier) AS SELECT event_id, stream_id || '/told' AS stream_id, 1 AS stream_version, 'told' AS event_type, moving.whoami() AS event_data, created_at, 'moving told' AS tenant_id FROM moving.messages, (SELECT moving.id(90) AS event_id, 'told'::text AS stream_id, '2021-01-01'::timestamptz AS created_at) x WHERE position = 1;
CREATE VIEW moving.thief AS SELECT moving.peep(event_id) AS event_id, stream_id, stream_version, event_type, event_data, created_at FROM moving.refused;
GRANT SELECT ON moving.told, moving.thief TO moving_admin;
SET ROLE moving_admin;
CALL events.import_store('moving.guarded');
CALL events.import_store('moving.told');
CALL events.import_store('moving.thief');
RESET ROLE;
SELECT stream, data FROM moving.stored('moving guarded');
SELECT stream, data FROM moving.stored('moving told');
-- Who is bound to a tenant may not: it concerns all.
SELECT events.bind_tenant('moving_admin', 'moving guarded');
SET ROLE moving_admin;
SET app.tenant_id = 'moving guarded';
CALL events.import_store('moving.guarded');
SELECT * FROM events.rehearse_import('moving.guarded');
SELECT * FROM events.imported_streams;
RESET ROLE;
SELECT events.unbind_tenant('moving_admin', 'moving guarded'), events.revoke_access('moving_admin', 'admin');
SET client_min_messages = warning;
DROP SCHEMA moving CASCADE;
DROP ROLE moving_admin;
