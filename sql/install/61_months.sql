-- Months: what is known of each, the states that are carried over when one is dropped, how long events are kept, how old months are settled.

CREATE TABLE auren.month_records (
	month          date        NOT NULL CONSTRAINT month_records_pkey PRIMARY KEY,
	settled_at     timestamptz,
	dropped_at     timestamptz,
	dropped_by     text,
	forced         text[],
	events         bigint,
	streams        bigint,
	first_position bigint,
	last_position  bigint,
	first_event_at timestamptz,
	last_event_at  timestamptz,
	bytes          bigint,
	last_seal      bigint,
	archived_at    timestamptz,
	archive        text,
	archive_digest bytea,
	attached_at    timestamptz
);
COMMENT ON TABLE auren.month_records IS 'what was counted of a month when it was settled or dropped, and what became of it';
COMMENT ON COLUMN auren.month_records.month IS 'first day of the month';
COMMENT ON COLUMN auren.month_records.settled_at IS 'when it was settled (events.mark_settled)';
COMMENT ON COLUMN auren.month_records.dropped_at IS 'when it was dropped; NULL while it is there';
COMMENT ON COLUMN auren.month_records.dropped_by IS 'role that dropped it';
COMMENT ON COLUMN auren.month_records.forced IS 'what needed it and was overridden';
COMMENT ON COLUMN auren.month_records.events IS 'events that it had';
COMMENT ON COLUMN auren.month_records.streams IS 'streams that they belonged to';
COMMENT ON COLUMN auren.month_records.first_position IS 'lowest position';
COMMENT ON COLUMN auren.month_records.last_position IS 'highest position';
COMMENT ON COLUMN auren.month_records.first_event_at IS 'time of the first event';
COMMENT ON COLUMN auren.month_records.last_event_at IS 'time of the last event';
COMMENT ON COLUMN auren.month_records.bytes IS 'bytes of its table and indexes';
COMMENT ON COLUMN auren.month_records.last_seal IS 'last seal that covers it; NULL: it was not sealed';
COMMENT ON COLUMN auren.month_records.archived_at IS 'when it was written to an archive';
COMMENT ON COLUMN auren.month_records.archive IS 'the archive';
COMMENT ON COLUMN auren.month_records.archive_digest IS 'SHA-256 of the lines of its events';
COMMENT ON COLUMN auren.month_records.attached_at IS 'when it was brought back from its archive, to be read; NULL: it was not, or was taken away again';

-- Data, not a cache: nothing can make them again.
CREATE TABLE auren.opening_states (
	tenant_id        text        COLLATE "C" NOT NULL,
	stream_id        text        COLLATE "C" NOT NULL,
	stream_version   bigint      NOT NULL,
	event_time       timestamptz NOT NULL,
	reducers_version uuid        NOT NULL,
	state            jsonb       NOT NULL,
	personal         jsonb,
	CONSTRAINT opening_states_pkey PRIMARY KEY (tenant_id, stream_id)
);
COMMENT ON TABLE auren.opening_states IS 'the state of each stream that has lost events to a dropped month, carried over as its opening balance';
COMMENT ON COLUMN auren.opening_states.tenant_id IS 'tenant of the stream';
COMMENT ON COLUMN auren.opening_states.stream_id IS 'stream';
COMMENT ON COLUMN auren.opening_states.stream_version IS 'version of the last event in the state: events up to it are gone, or about to go';
COMMENT ON COLUMN auren.opening_states.event_time IS 'created_at of that event';
COMMENT ON COLUMN auren.opening_states.reducers_version IS 'reducers that made the state';
COMMENT ON COLUMN auren.opening_states.state IS 'state at that version, of the events as they were stored';
COMMENT ON COLUMN auren.opening_states.personal IS 'the state of the decrypted events, encrypted with the keys of the persons whose fields are in it, and who they are; NULL: there were none';

CREATE TABLE auren.dropped_ids (
	tenant_id      text   COLLATE "C" NOT NULL,
	event_id       uuid   NOT NULL,
	stream_version bigint NOT NULL,
	content        bytea  NOT NULL,
	CONSTRAINT dropped_ids_pkey PRIMARY KEY (event_id, tenant_id)
);
COMMENT ON TABLE auren.dropped_ids IS 'ids in auren.supplied_ids whose month was dropped: what a repeated append is answered and compared with';
COMMENT ON COLUMN auren.dropped_ids.tenant_id IS 'tenant of the event';
COMMENT ON COLUMN auren.dropped_ids.event_id IS 'id that the caller supplied';
COMMENT ON COLUMN auren.dropped_ids.stream_version IS 'version of the event in its stream';
COMMENT ON COLUMN auren.dropped_ids.content IS 'digests (SHA-256) of its names, metadata and tags, and of its data';

CREATE TABLE auren.dropped_tenants (
	tenant_id     text   COLLATE "C" NOT NULL,
	month         date   NOT NULL,
	last_position bigint NOT NULL,
	CONSTRAINT dropped_tenants_pkey PRIMARY KEY (tenant_id, month)
);
COMMENT ON TABLE auren.dropped_tenants IS 'tenants with events in months that were dropped, or are about to be: conditions that begin before them cannot be decided';
COMMENT ON COLUMN auren.dropped_tenants.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.dropped_tenants.month IS 'first day of the month';
COMMENT ON COLUMN auren.dropped_tenants.last_position IS 'highest position of the tenant''s events in it';

-- sessions keep which position was dropped last
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.month_records
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.month_records ENABLE ALWAYS TRIGGER tell_sessions;

CREATE TABLE auren.carried_readings (
	source_id   integer     NOT NULL,
	month       date        NOT NULL,
	user_id     text        COLLATE "C",
	device_type text        COLLATE "C",
	metric_type text        COLLATE "C",
	bucket      timestamptz NOT NULL,
	summary     bytea       NOT NULL
);
CREATE INDEX carried_readings_source ON auren.carried_readings (source_id, month);
COMMENT ON TABLE auren.carried_readings IS 'readings of sources of events whose months were dropped, by five minutes: what a rebuild or a restored store counts in place of the events';
COMMENT ON INDEX auren.carried_readings_source IS 'finds those of a source';
COMMENT ON COLUMN auren.carried_readings.source_id IS 'number of the source';
COMMENT ON COLUMN auren.carried_readings.month IS 'month of their events; they count from its drop on, while no archive of it is attached';
COMMENT ON COLUMN auren.carried_readings.user_id IS 'user';
COMMENT ON COLUMN auren.carried_readings.device_type IS 'device';
COMMENT ON COLUMN auren.carried_readings.metric_type IS 'metric';
COMMENT ON COLUMN auren.carried_readings.bucket IS 'start of the five minutes';
COMMENT ON COLUMN auren.carried_readings.summary IS 'summary of the readings';

CREATE FUNCTION auren.content_digest(p_stream_id text, p_event_type text, p_event_data jsonb, p_metadata jsonb, p_created_by text, p_tags text[]) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_content_digest';
COMMENT ON FUNCTION auren.content_digest(text, text, jsonb, jsonb, text, text[]) IS 'what auren.dropped_ids keeps of an event: two SHA-256, of all but its data and of its data';
REVOKE ALL ON FUNCTION auren.content_digest(text, text, jsonb, jsonb, text, text[]) FROM PUBLIC;

CREATE FUNCTION auren.month_figures()
	RETURNS TABLE (month date, partition regclass, first_position bigint, last_position bigint, first_event_at timestamptz, last_event_at timestamptz,
	               closed boolean, frozen boolean, last_seal bigint, held_by text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'auren_month_figures';
COMMENT ON FUNCTION auren.month_figures() IS 'months that are there, by the ends of their indexes, and what needs them; 42501 for a role that is bound to tenants or to which a policy applies';

CREATE VIEW events.months WITH (security_barrier) AS
	SELECT COALESCE(f.month, r.month) AS month, f.partition,
	       CASE WHEN f.partition IS NULL THEN 'dropped' WHEN r.attached_at IS NOT NULL THEN 'archived, attached' WHEN NOT f.closed THEN 'open' WHEN r.archived_at IS NOT NULL THEN 'archived' WHEN f.last_seal IS NOT NULL THEN 'sealed'
	            WHEN r.settled THEN 'settled' ELSE 'closed' END AS state,
	       r.events, r.streams,
	       CASE WHEN r.events IS NOT NULL THEN r.events WHEN c.reltuples OPERATOR(pg_catalog.>=) 0 THEN c.reltuples::bigint END AS estimated_events,
	       pg_catalog.pg_table_size(f.partition) AS heap_bytes, pg_catalog.pg_indexes_size(f.partition) AS index_bytes,
	       CASE WHEN f.partition IS NULL THEN r.first_position ELSE f.first_position END AS first_position,
	       CASE WHEN f.partition IS NULL THEN r.last_position ELSE f.last_position END AS last_position,
	       CASE WHEN f.partition IS NULL THEN r.first_event_at ELSE f.first_event_at END AS first_event_at,
	       CASE WHEN f.partition IS NULL THEN r.last_event_at ELSE f.last_event_at END AS last_event_at,
	       COALESCE(f.last_seal, r.last_seal) AS last_seal, r.settled_at, r.archived_at, r.archive, r.dropped_at, r.dropped_by, r.forced, r.bytes AS recorded_bytes, f.held_by
	FROM auren.month_figures() f
	FULL JOIN auren.month_records m ON m.month OPERATOR(pg_catalog.=) f.month
	-- what was counted holds for what was there then: an import may have come after it
	CROSS JOIN LATERAL (SELECT m.month, m.archived_at, m.archive, m.attached_at, m.dropped_at, m.dropped_by, m.forced, m.last_seal,
	                           c.same AND f.frozen AND m.settled_at IS NOT NULL AS settled, CASE WHEN c.same THEN m.settled_at END AS settled_at,
	                           CASE WHEN c.same THEN m.events END AS events, CASE WHEN c.same THEN m.streams END AS streams,
	                           CASE WHEN c.same THEN m.bytes END AS bytes, m.first_position, m.last_position, m.first_event_at, m.last_event_at
	                    FROM (SELECT f.partition IS NULL OR m.last_position IS NOT DISTINCT FROM f.last_position AS same) c) r
	LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) f.partition
	WHERE (SELECT auren.view_tenant()) IS NOT NULL AND (f.month IS NOT NULL OR r.dropped_at IS NOT NULL)
	ORDER BY 1;
COMMENT ON VIEW events.months IS 'the months of the store, dropped ones too. events and streams are counted when a month is settled or dropped and NULL before; estimated_events is what the last vacuum or analyze saw';
INSERT INTO auren.rights VALUES ('events.months', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.months.month IS 'first day of the month (UTC)';
COMMENT ON COLUMN events.months.partition IS 'its table; NULL when it was dropped';
COMMENT ON COLUMN events.months.state IS 'open, closed (no transaction can write to it any more), settled, sealed, archived or dropped: the last of these that it came to; ''archived, attached'' when it was dropped and its archive is there to be read';
COMMENT ON COLUMN events.months.events IS 'events, as they were counted when it was settled or dropped; NULL: not counted';
COMMENT ON COLUMN events.months.streams IS 'streams with events in it, counted likewise';
COMMENT ON COLUMN events.months.estimated_events IS 'events as the last vacuum or analyze saw them, or as they were counted';
COMMENT ON COLUMN events.months.heap_bytes IS 'bytes of its table, with TOAST';
COMMENT ON COLUMN events.months.index_bytes IS 'bytes of its indexes';
COMMENT ON COLUMN events.months.first_position IS 'lowest position; NULL: no event';
COMMENT ON COLUMN events.months.last_position IS 'highest position';
COMMENT ON COLUMN events.months.first_event_at IS 'created_at of the event at first_position';
COMMENT ON COLUMN events.months.last_event_at IS 'created_at of the event at last_position';
COMMENT ON COLUMN events.months.last_seal IS 'last seal with events of it, where all of them are sealed';
COMMENT ON COLUMN events.months.settled_at IS 'when it was settled';
COMMENT ON COLUMN events.months.archived_at IS 'when it was written to an archive';
COMMENT ON COLUMN events.months.archive IS 'the archive';
COMMENT ON COLUMN events.months.dropped_at IS 'when it was dropped';
COMMENT ON COLUMN events.months.dropped_by IS 'role that dropped it';
COMMENT ON COLUMN events.months.forced IS 'what needed it and was overridden';
COMMENT ON COLUMN events.months.recorded_bytes IS 'bytes of table and indexes when it was settled or dropped';
COMMENT ON COLUMN events.months.held_by IS 'what keeps it from being dropped, as events.drop_months_before takes it in p_force: subscriptions that have not passed it, sources that were not filled from it, no seal; ''not closed'', ''not a calendar month'' and ''not indexed'' cannot be forced';

CREATE PROCEDURE events.drop_months_before(p_month date, p_force text[] DEFAULT '{}')
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_drop_months_before';
COMMENT ON PROCEDURE events.drop_months_before(date, text[]) IS
'drops the months that lie wholly before a day, oldest first, and carries over what is needed of them; 55000 names what still needs one (events.months.held_by), p_force what of that is overridden. Commits in steps: no transaction block; call it again after an interruption';
INSERT INTO auren.rights VALUES ('events.drop_months_before', 'EXECUTE', '{admin}', '0.2.0');

-- One row, or none.
CREATE TABLE auren.kept_events (
	single boolean     NOT NULL CONSTRAINT kept_events_pkey PRIMARY KEY,
	keep   interval    NOT NULL,
	forced text[]      NOT NULL,
	set_by text        NOT NULL,
	set_at timestamptz NOT NULL
);
COMMENT ON TABLE auren.kept_events IS 'how long events are kept (events.set_event_retention); no row: for ever';
COMMENT ON COLUMN auren.kept_events.single IS 'true: there is one row at most';
COMMENT ON COLUMN auren.kept_events.keep IS 'how long a month is kept after its end';
COMMENT ON COLUMN auren.kept_events.forced IS 'what is overridden';
COMMENT ON COLUMN auren.kept_events.set_by IS 'role that set it';
COMMENT ON COLUMN auren.kept_events.set_at IS 'when';

CREATE FUNCTION events.set_event_retention(p_keep interval, p_force text[] DEFAULT '{}') RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_event_retention';
COMMENT ON FUNCTION events.set_event_retention(interval, text[]) IS
'how long events are kept, by whole months (NULL: for ever), and what is overridden then; events.apply_event_retention drops what is older';
INSERT INTO auren.rights VALUES ('events.set_event_retention', 'EXECUTE', '{admin}', '0.2.0');

CREATE PROCEDURE events.apply_event_retention()
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_apply_event_retention';
COMMENT ON PROCEDURE events.apply_event_retention() IS
'drops the months that events.set_event_retention does not keep, as events.drop_months_before does, up to the first that is still needed, which it then names with 55000; does nothing where nothing is set. For a job of pg_cron';
INSERT INTO auren.rights VALUES ('events.apply_event_retention', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.schedule_maintenance(
	p_seal      text DEFAULT '0 2 * * *',
	p_verify    text DEFAULT '30 2 * * *',
	p_retention text DEFAULT '0 4 * * *'
) RETURNS TABLE (job text, schedule text, command text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_schedule_maintenance';
COMMENT ON FUNCTION events.schedule_maintenance(text, text, text) IS
'has pg_cron seal, verify what came since the last verification that found nothing, and drop the months that events.set_event_retention does not keep, at these times (NULL: not); calling it again changes the times';
INSERT INTO auren.rights VALUES ('events.schedule_maintenance', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.event_retention AS
	SELECT keep, forced, set_by, set_at,
	       (pg_catalog.date_trunc('month', (pg_catalog.now() OPERATOR(pg_catalog.-) keep) AT TIME ZONE 'UTC'))::date AS drops_before
	FROM auren.kept_events;
COMMENT ON VIEW events.event_retention IS 'how long events are kept; no row: for ever';
COMMENT ON COLUMN events.event_retention.keep IS 'how long a month is kept after its end';
COMMENT ON COLUMN events.event_retention.forced IS 'what is overridden';
COMMENT ON COLUMN events.event_retention.set_by IS 'role that set it';
COMMENT ON COLUMN events.event_retention.set_at IS 'when';
COMMENT ON COLUMN events.event_retention.drops_before IS 'first day of the oldest month that stays now';
INSERT INTO auren.rights VALUES ('events.event_retention', 'SELECT', '{reader,admin}', '0.2.0');

CREATE TABLE auren.settled_indexes (
	index_name text COLLATE "C" NOT NULL CONSTRAINT settled_indexes_pkey PRIMARY KEY,
	kind       text COLLATE "C" NOT NULL
);
COMMENT ON TABLE auren.settled_indexes IS 'which indexes of a month are exchanged or dropped when it is settled (events.set_settle_policy)';
COMMENT ON COLUMN auren.settled_indexes.index_name IS 'what stands between idx_event_store_ and the month in its name';
COMMENT ON COLUMN auren.settled_indexes.kind IS 'brin, short or none';

CREATE FUNCTION events.set_settle_policy(p_index text, p_kind text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_settle_policy';
COMMENT ON FUNCTION events.set_settle_policy(text, text) IS
'what becomes of an index of a month when it is settled: keep, brin (created_at, event_id), short (type_time without the time) or none (all but event_id), for created_at, event_id, type_time, event_data_gin and metadata_gin; the others are needed';
INSERT INTO auren.rights VALUES ('events.set_settle_policy', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.settle_policies AS
	SELECT i.name AS index_name, COALESCE(s.kind, 'keep') AS kind, i.used_by, CASE COALESCE(s.kind, 'keep') WHEN 'keep' THEN 'nothing' WHEN 'none' THEN i.without ELSE i.smaller END AS costs
	FROM (VALUES ('created_at', 'events_by_time, subscriptions from a time', 'reads the blocks of the time range instead of its events', 'reads the whole month'),
	             ('event_id', 'ids that the store made: prove, event_line, repeated appends, queries of your own', 'reads some hundred blocks; whole months where ids of other stores were imported', NULL),
	             ('type_time', 'events_by_time, find_events, append_if by types', 'reads all events of the time range for a page, and sorts them', 'reads all events of the time range'),
	             ('event_data_gin', 'find_events', NULL, 'reads the whole month'),
	             ('metadata_gin', 'queries of your own on metadata', NULL, 'read the whole month')) i (name, used_by, smaller, without)
	LEFT JOIN auren.settled_indexes s ON s.index_name OPERATOR(pg_catalog.=) i.name;
COMMENT ON VIEW events.settle_policies IS 'what becomes of the indexes of a month when it is settled, and what that costs the queries that use them';
COMMENT ON COLUMN events.settle_policies.index_name IS 'what stands between idx_event_store_ and the month in its name';
COMMENT ON COLUMN events.settle_policies.kind IS 'keep, brin, short or none';
COMMENT ON COLUMN events.settle_policies.used_by IS 'what uses it';
COMMENT ON COLUMN events.settle_policies.costs IS 'what such a query does in a settled month instead of a look-up';
INSERT INTO auren.rights VALUES ('events.settle_policies', 'SELECT', '{reader,admin}', '0.2.0');

CREATE FUNCTION events.maintenance_plan() RETURNS TABLE (step integer, month date, statement text, reason text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_maintenance_plan';
COMMENT ON FUNCTION events.maintenance_plan() IS
'statements that settle the months that are closed and not settled, in order: for the owner of the store, each outside of a transaction block (psql: \gexec); what was begun and interrupted is done again';
INSERT INTO auren.rights VALUES ('events.maintenance_plan', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.mark_settled(p_month date) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_mark_settled';
COMMENT ON FUNCTION events.mark_settled(date) IS 'counts a month and records that it is settled; 55000 where something of events.maintenance_plan() was not done';
INSERT INTO auren.rights VALUES ('events.mark_settled', 'EXECUTE', '{admin}', '0.2.0');
