-- Moving in: events of another store, with the time, the id and the creator that they had there.

CREATE FUNCTION events.import_events(
	p_stream_ids  text[],
	p_event_types text[],
	p_event_data  jsonb[],
	p_event_ids   uuid[],
	p_created_at  timestamptz[],
	p_created_by  text[]  DEFAULT NULL,
	p_metadata    jsonb[] DEFAULT NULL,
	p_tags        jsonb[] DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_import_events';
COMMENT ON FUNCTION events.import_events(text[], text[], jsonb[], uuid[], timestamptz[], text[], jsonb[], jsonb[]) IS
'appends a batch of events of another store with their own times, ids and creators, all or none, and returns a row per event in the order given; an id that is given again returns the first result; within a stream times do not decrease, and a stream takes imports only before its first event that is not imported; nothing is announced';
INSERT INTO auren.rights VALUES ('events.import_events', 'EXECUTE', '{admin}', '0.2.0');

-- A whole store at once.

CREATE FUNCTION auren.view_all_tenants() RETURNS boolean
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_view_all_tenants';
COMMENT ON FUNCTION auren.view_all_tenants() IS 'true, for views of all tenants; 42501 for a role that is bound to tenants or to which a policy on events.event_store applies';
REVOKE ALL ON FUNCTION auren.view_all_tenants() FROM PUBLIC;

CREATE VIEW events.imported_streams WITH (security_barrier) AS
	SELECT tenant_id, stream_id, imported_version, dropped_version, closed_at IS NOT NULL AS closed
	FROM auren.stream_rows
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.imported_streams IS 'streams of all tenants, and up to which version the events of each were imported';
COMMENT ON COLUMN events.imported_streams.tenant_id IS 'tenant';
COMMENT ON COLUMN events.imported_streams.stream_id IS 'stream';
COMMENT ON COLUMN events.imported_streams.imported_version IS 'version up to which its events were imported, 0: none was. It takes imports as long as it has no later one';
COMMENT ON COLUMN events.imported_streams.dropped_version IS 'newest version whose month was dropped, 0: none was';
COMMENT ON COLUMN events.imported_streams.closed IS 'whether it is closed';
INSERT INTO auren.rights VALUES ('events.imported_streams', 'SELECT', '{admin}', '0.2.0');

CREATE TABLE auren.import_runs (
	run         bigint      NOT NULL CONSTRAINT import_runs_pkey PRIMARY KEY,
	source      text        NOT NULL,
	kind        text        NOT NULL,
	called_by   text        NOT NULL,
	started_at  timestamptz NOT NULL,
	finished_at timestamptz,
	events      bigint      NOT NULL,
	imported    bigint      NOT NULL,
	changed     bigint      NOT NULL,
	digest      bytea       NOT NULL
);
COMMENT ON TABLE auren.import_runs IS 'calls of events.import_store';
COMMENT ON COLUMN auren.import_runs.run IS 'number of the call';
COMMENT ON COLUMN auren.import_runs.source IS 'the table, as it was named then';
COMMENT ON COLUMN auren.import_runs.kind IS 'whose form it has: hand-written, message-db or Marten';
COMMENT ON COLUMN auren.import_runs.called_by IS 'role that called';
COMMENT ON COLUMN auren.import_runs.started_at IS 'when';
COMMENT ON COLUMN auren.import_runs.finished_at IS 'when both sides had been compared and were equal; NULL: it was interrupted, or they were not, or it goes on';
COMMENT ON COLUMN auren.import_runs.events IS 'events that the table had';
COMMENT ON COLUMN auren.import_runs.imported IS 'those of them that an earlier call had not brought in';
COMMENT ON COLUMN auren.import_runs.changed IS 'and of those, the ones that had to be changed (events.import_report)';
COMMENT ON COLUMN auren.import_runs.digest IS 'digest of all of them, as they have to be in the store';

CREATE TABLE auren.import_changes (
	run             bigint      NOT NULL,
	global_position bigint      NOT NULL,
	tenant_id       text        COLLATE "C" NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	old_version     bigint,
	old_id          uuid,
	old_created_at  timestamptz NOT NULL,
	stream_version  bigint      NOT NULL,
	event_id        uuid        NOT NULL,
	created_at      timestamptz NOT NULL,
	reason          text        NOT NULL,
	CONSTRAINT import_changes_pkey PRIMARY KEY (global_position)
);
COMMENT ON TABLE auren.import_changes IS 'events that events.import_store had to change';
COMMENT ON COLUMN auren.import_changes.run IS 'call that brought it in';
COMMENT ON COLUMN auren.import_changes.global_position IS 'position of the event';
COMMENT ON COLUMN auren.import_changes.tenant_id IS 'its tenant';
COMMENT ON COLUMN auren.import_changes.stream_id IS 'its stream';
COMMENT ON COLUMN auren.import_changes.old_version IS 'version that it had';
COMMENT ON COLUMN auren.import_changes.old_id IS 'id that it had';
COMMENT ON COLUMN auren.import_changes.old_created_at IS 'time that it had';
COMMENT ON COLUMN auren.import_changes.stream_version IS 'version that it has';
COMMENT ON COLUMN auren.import_changes.event_id IS 'id that it has';
COMMENT ON COLUMN auren.import_changes.created_at IS 'time that it has';
COMMENT ON COLUMN auren.import_changes.reason IS 'what was changed';

CREATE VIEW events.imports WITH (security_barrier) AS
	SELECT run, source, kind, called_by, started_at, finished_at, events, imported, changed, pg_catalog.encode(digest, 'hex') AS digest
	FROM auren.import_runs
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.imports IS 'calls of events.import_store';
COMMENT ON COLUMN events.imports.run IS 'number of the call';
COMMENT ON COLUMN events.imports.source IS 'the table, as it was named then';
COMMENT ON COLUMN events.imports.kind IS 'whose form it has: hand-written, message-db or Marten';
COMMENT ON COLUMN events.imports.called_by IS 'role that called';
COMMENT ON COLUMN events.imports.started_at IS 'when';
COMMENT ON COLUMN events.imports.finished_at IS 'when both sides had been compared and were equal; NULL: it was interrupted, or they were not, or it goes on';
COMMENT ON COLUMN events.imports.events IS 'events that the table had';
COMMENT ON COLUMN events.imports.imported IS 'those of them that an earlier call had not brought in';
COMMENT ON COLUMN events.imports.changed IS 'and of those, the ones that had to be changed (events.import_report)';
COMMENT ON COLUMN events.imports.digest IS 'digest of all of them, as they have to be in the store';
INSERT INTO auren.rights VALUES ('events.imports', 'SELECT', '{admin}', '0.2.0');

CREATE VIEW events.import_report WITH (security_barrier) AS
	SELECT c.run, r.source, c.tenant_id, c.stream_id, c.old_version, c.old_id, c.old_created_at, c.stream_version, c.event_id, c.created_at, c.global_position, c.reason
	FROM auren.import_changes c LEFT JOIN auren.import_runs r ON r.run OPERATOR(pg_catalog.=) c.run
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.import_report IS 'events that events.import_store had to change, as they were and as they are';
COMMENT ON COLUMN events.import_report.run IS 'call that brought it in (events.imports)';
COMMENT ON COLUMN events.import_report.source IS 'the table that it comes from';
COMMENT ON COLUMN events.import_report.tenant_id IS 'its tenant';
COMMENT ON COLUMN events.import_report.stream_id IS 'its stream';
COMMENT ON COLUMN events.import_report.old_version IS 'version that it had';
COMMENT ON COLUMN events.import_report.old_id IS 'id that it had';
COMMENT ON COLUMN events.import_report.old_created_at IS 'time that it had';
COMMENT ON COLUMN events.import_report.stream_version IS 'version that it has';
COMMENT ON COLUMN events.import_report.event_id IS 'id that it has';
COMMENT ON COLUMN events.import_report.created_at IS 'time that it has';
COMMENT ON COLUMN events.import_report.global_position IS 'its position';
COMMENT ON COLUMN events.import_report.reason IS 'what was changed: renumbered, new id, later time, no tenant, no data';
INSERT INTO auren.rights VALUES ('events.import_report', 'SELECT', '{admin}', '0.2.0');

CREATE FUNCTION events.rehearse_import(p_table regclass, p_kind text DEFAULT NULL)
	RETURNS TABLE (tenant_id text, stream_id text, old_version bigint, old_id uuid, old_created_at timestamptz, stream_version bigint, event_id uuid,
	               created_at timestamptz, reason text, to_do text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_rehearse_import';
COMMENT ON FUNCTION events.rehearse_import(regclass, text) IS
'what events.import_store would change of the events of a table, and what it would refuse (to_do says what can be done about it); writes nothing, so a standby can run it';
INSERT INTO auren.rights VALUES ('events.rehearse_import', 'EXECUTE', '{admin}', '0.2.0');

CREATE PROCEDURE events.import_store(p_table regclass, p_kind text DEFAULT NULL, p_batch integer DEFAULT 1000)
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_import_store';
COMMENT ON PROCEDURE events.import_store(regclass, text, integer) IS
'imports the events of another store''s table (hand-written, message-db, Marten) that are not there yet, and compares both sides; what had to be changed is in events.import_report; commits each batch: no transaction block; call it again after an interruption, and for what came meanwhile';
INSERT INTO auren.rights VALUES ('events.import_store', 'EXECUTE', '{admin}', '0.2.0');
