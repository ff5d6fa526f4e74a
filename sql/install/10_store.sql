-- The store: events by month, a row per stream, the ids that callers supplied.

CREATE SEQUENCE auren.global_position_seq AS bigint MINVALUE 1 START 1 CACHE 1;
COMMENT ON SEQUENCE auren.global_position_seq IS 'positions of events; gaps are normal (a rolled-back append, a crash)';

-- No index here: each month has its own, so that a dump restores (doc/architecture.md, "Months").
CREATE TABLE events.event_store (
	event_id        uuid        NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	stream_version  bigint      NOT NULL,
	event_type      text        COLLATE "C" NOT NULL,
	event_data      jsonb       NOT NULL,
	metadata        jsonb       NOT NULL DEFAULT '{}',
	created_at      timestamptz NOT NULL,
	created_by      text        NOT NULL DEFAULT 'system',
	tenant_id       text        COLLATE "C" NOT NULL DEFAULT 'default',
	global_position bigint      NOT NULL,
	tags            text[]      COLLATE "C" NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE events.event_store IS 'all events of all tenants, by month of created_at (UTC); written by events.append_event and events.append_events only';
INSERT INTO auren.rights VALUES ('events.event_store', 'SELECT', '{reader}');
COMMENT ON COLUMN events.event_store.event_id IS 'UUIDv7 of the store, or the id that the caller supplied; unique within a tenant';
COMMENT ON COLUMN events.event_store.stream_id IS 'stream, 1 to 255 characters; the part before the first ":" is its category';
COMMENT ON COLUMN events.event_store.stream_version IS 'version of the event in its stream: 1..n without a hole';
COMMENT ON COLUMN events.event_store.event_type IS 'event type, 1 to 100 characters';
COMMENT ON COLUMN events.event_store.event_data IS 'what happened, as the caller gave it';
COMMENT ON COLUMN events.event_store.metadata IS 'what the caller says about the event (correlation, causation)';
COMMENT ON COLUMN events.event_store.created_at IS 'time of the append; never goes backwards within a stream';
COMMENT ON COLUMN events.event_store.created_by IS 'the person or program that appended it, as the caller says';
COMMENT ON COLUMN events.event_store.tenant_id IS 'tenant that the event belongs to (setting app.tenant_id of the appending session)';
COMMENT ON COLUMN events.event_store.global_position IS 'place of the event in the order of all events';
COMMENT ON COLUMN events.event_store.tags IS 'tags that the caller gave, sorted, each once';

-- The columns of its months' index come first. What made the rows is events.event_store, which says whether an event has a tag.
CREATE TABLE auren.event_tags (
	tag_hash        bigint NOT NULL,
	global_position bigint NOT NULL,
	event_at        tid    NOT NULL,
	month           date   NOT NULL
) PARTITION BY LIST (month);
COMMENT ON TABLE auren.event_tags IS 'the index by which events are found by their tags: a row for each tag of an event, by month';
COMMENT ON COLUMN auren.event_tags.tag_hash IS 'auren.tag_hash of the event''s tenant and the tag';
COMMENT ON COLUMN auren.event_tags.global_position IS 'position of the event';
COMMENT ON COLUMN auren.event_tags.event_at IS 'where the row of the event was put: it may be elsewhere by now';
COMMENT ON COLUMN auren.event_tags.month IS 'first day of the month that holds the event';

CREATE FUNCTION auren.tag_hash(p_tenant_id text, p_tag text) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_tag_hash';
COMMENT ON FUNCTION auren.tag_hash(text, text) IS 'what stands for a tag of a tenant in auren.event_tags: the same in every version; others may have it too';
REVOKE ALL ON FUNCTION auren.tag_hash(text, text) FROM PUBLIC;

CREATE TABLE auren.stream_rows (
	tenant_id       text        COLLATE "C" NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	first_month     date        NOT NULL,
	last_month      date        NOT NULL,
	dropped_version bigint      NOT NULL DEFAULT 0,
	closed_at       timestamptz,
	closed_by       text,
	closed_reason   text,
	imported_version bigint     NOT NULL DEFAULT 0,
	CONSTRAINT stream_rows_pkey PRIMARY KEY (tenant_id, stream_id)
) WITH (fillfactor = 90);
COMMENT ON TABLE auren.stream_rows IS 'a row per stream: appends lock it, so that versions are dense; it changes once a month at most';
COMMENT ON COLUMN auren.stream_rows.tenant_id IS 'tenant of the stream';
COMMENT ON COLUMN auren.stream_rows.stream_id IS 'stream';
COMMENT ON COLUMN auren.stream_rows.first_month IS 'first day of the month of the first event';
COMMENT ON COLUMN auren.stream_rows.last_month IS 'first day of the month of the newest event';
COMMENT ON COLUMN auren.stream_rows.dropped_version IS 'newest version whose month was dropped by retention, 0 when none was';
COMMENT ON COLUMN auren.stream_rows.closed_at IS 'when the stream was closed; NULL while it is open';
COMMENT ON COLUMN auren.stream_rows.closed_by IS 'role that closed it';
COMMENT ON COLUMN auren.stream_rows.closed_reason IS 'reason given to events.close_stream';
COMMENT ON COLUMN auren.stream_rows.imported_version IS 'version up to which its events were imported (events.import_events), 0 when none was';

CREATE TABLE auren.supplied_ids (
	tenant_id       text   COLLATE "C" NOT NULL,
	event_id        uuid   NOT NULL,
	month           date   NOT NULL,
	global_position bigint NOT NULL,
	CONSTRAINT supplied_ids_pkey PRIMARY KEY (event_id, tenant_id)
);
COMMENT ON TABLE auren.supplied_ids IS 'ids that callers supplied, and where their events are: one look-up, however many months there are';
COMMENT ON COLUMN auren.supplied_ids.tenant_id IS 'tenant of the event';
COMMENT ON COLUMN auren.supplied_ids.event_id IS 'id that the caller supplied';
COMMENT ON COLUMN auren.supplied_ids.month IS 'first day of the month that holds the event';
COMMENT ON COLUMN auren.supplied_ids.global_position IS 'position of the event';

-- regrole: follows a renamed role, is dumped by name, and is allowed by pg_upgrade.
CREATE TABLE events.tenant_bindings (
	role      regrole NOT NULL,
	tenant_id text    COLLATE "C" NOT NULL,
	CONSTRAINT tenant_bindings_pkey PRIMARY KEY (role, tenant_id)
);
COMMENT ON TABLE events.tenant_bindings IS 'which role may name which tenants; a role without a row may name any (events.bind_tenant)';
INSERT INTO auren.rights VALUES ('events.tenant_bindings', 'SELECT', '{}');
COMMENT ON COLUMN events.tenant_bindings.role IS 'role that is bound, with all its members';
COMMENT ON COLUMN events.tenant_bindings.tenant_id IS 'tenant that it may name';

CREATE FUNCTION auren.refuse_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_refuse_change';
COMMENT ON FUNCTION auren.refuse_change() IS 'trigger: refuses UPDATE, DELETE and TRUNCATE of events with ZE003';
REVOKE ALL ON FUNCTION auren.refuse_change() FROM PUBLIC;

CREATE FUNCTION auren.tell_sessions() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_tell_sessions';
COMMENT ON FUNCTION auren.tell_sessions() IS 'trigger: makes all sessions read a table of settings anew, events.tenant_bindings for one';
REVOKE ALL ON FUNCTION auren.tell_sessions() FROM PUBLIC;

-- ALWAYS: fires under session_replication_role = replica too. The row trigger is cloned to every month, but goes when the month is
-- detached, the TRUNCATE trigger is not cloned: the maker of a month gives it its own of both.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON events.event_store
	FOR EACH ROW EXECUTE FUNCTION auren.refuse_change();
ALTER TABLE events.event_store ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events.event_store
	FOR EACH STATEMENT EXECUTE FUNCTION auren.refuse_change();
ALTER TABLE events.event_store ENABLE ALWAYS TRIGGER refuse_truncate;
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON events.tenant_bindings
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE events.tenant_bindings ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION events.create_monthly_partitions(p_months_ahead integer DEFAULT 3) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_create_monthly_partitions';
COMMENT ON FUNCTION events.create_monthly_partitions(integer) IS 'makes the partitions of this month and of the months ahead (0 to 120) that are missing; returns how many it made';
INSERT INTO auren.rights VALUES ('events.create_monthly_partitions', 'EXECUTE', '{admin}');
