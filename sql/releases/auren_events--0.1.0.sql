\echo Use "CREATE EXTENSION auren_events" to load this file. \quit

-- A schema that is there already would be a bare error of the server. A function of the target schema says what to do, and is gone again.
CREATE FUNCTION @extschema@.auren_require_free_schemas() RETURNS void
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_require_free_schemas';
SELECT @extschema@.auren_require_free_schemas();
DROP FUNCTION @extschema@.auren_require_free_schemas();

-- What callers and administrators never name: the tables of the machinery, and the functions that views, triggers and the planner call.
-- Nobody but the owner has USAGE, so nobody else can name anything here. The server checks a view's functions against the view's reader:
-- so those keep EXECUTE for PUBLIC, and whoever is given a view, or a view over it, can read it.
CREATE SCHEMA auren;
COMMENT ON SCHEMA auren IS 'auren_events: what the store is made of; its owner alone may use it';
REVOKE ALL ON SCHEMA auren FROM PUBLIC;

-- A row beside each CREATE outside of schema auren says which roles may have the object: events.grant_access gives what it finds here.
CREATE TABLE auren.rights (
	object    text   COLLATE "C" NOT NULL,
	privilege text   COLLATE "C" NOT NULL,
	access    text[] NOT NULL,
	since     text   NOT NULL DEFAULT '0.1.0',
	CONSTRAINT rights_pkey PRIMARY KEY (object, privilege)
);
COMMENT ON TABLE auren.rights IS 'what each of the six rights gives (events.grant_access). Not dumped, each version has its own';
COMMENT ON COLUMN auren.rights.object IS 'schema, or schema and name of a function, view or table';
COMMENT ON COLUMN auren.rights.privilege IS 'USAGE, EXECUTE, SELECT or INSERT';
COMMENT ON COLUMN auren.rights.since IS 'version of the extension that brought the object: a role that has all that 0.1.0 gave with a right gets the later ones from events.renew_access';
COMMENT ON COLUMN auren.rights.access IS 'rights that give it: reader, writer, admin, encrypt, decrypt, key_admin; empty: the owner alone has it';

CREATE SCHEMA events;
COMMENT ON SCHEMA events IS 'auren_events: the event store, its streams and what is read from them';
REVOKE ALL ON SCHEMA events FROM PUBLIC;
INSERT INTO auren.rights VALUES ('events', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');
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
	global_position bigint      NOT NULL
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

CREATE TABLE auren.stream_rows (
	tenant_id       text        COLLATE "C" NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	first_month     date        NOT NULL,
	last_month      date        NOT NULL,
	dropped_version bigint      NOT NULL DEFAULT 0,
	closed_at       timestamptz,
	closed_by       text,
	closed_reason   text,
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
-- Appending.

CREATE FUNCTION events.append_event(
	p_stream_id        text,
	p_event_type       text,
	p_event_data       jsonb,
	p_created_by       text   DEFAULT 'system',
	p_metadata         jsonb  DEFAULT '{}',
	p_expected_version bigint DEFAULT NULL,
	p_event_id         uuid   DEFAULT NULL
) RETURNS uuid
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_append_event';
COMMENT ON FUNCTION events.append_event(text, text, jsonb, text, jsonb, bigint, uuid) IS
'appends an event to a stream and returns its id; expected version: NULL any, 0 the stream must not exist, n it must be at n, -1 it must exist (else ZE001); an id given again returns the first result (other content: ZE002)';
INSERT INTO auren.rights VALUES ('events.append_event', 'EXECUTE', '{writer}');

CREATE FUNCTION events.append_events(
	p_stream_ids        text[],
	p_event_types       text[],
	p_event_data        jsonb[],
	p_created_by        text     DEFAULT 'system',
	p_metadata          jsonb[]  DEFAULT NULL,
	p_expected_versions bigint[] DEFAULT NULL,
	p_event_ids         uuid[]   DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_append_events';
COMMENT ON FUNCTION events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[]) IS
'appends a batch of events, all or none, and returns a row per event in the order given; an expected version speaks of the stream before the batch';
INSERT INTO auren.rights VALUES ('events.append_events', 'EXECUTE', '{writer}');
-- Reading.

-- Loads the module while a statement is planned, so that its functions in FROM give their rows one by one, and the views' plans
-- tell a role that is bound to tenants nothing of what is in statistics.
CREATE FUNCTION auren.stream_support(internal) RETURNS internal
	LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'auren_stream_support';
COMMENT ON FUNCTION auren.stream_support(internal) IS 'planner support: rows expected and streaming in FROM of the functions that give events, and that the module is loaded while a view is planned';
REVOKE ALL ON FUNCTION auren.stream_support(internal) FROM PUBLIC;

CREATE FUNCTION events.current_tenant() RETURNS text
	LANGUAGE C STABLE PARALLEL SAFE SUPPORT auren.stream_support AS 'MODULE_PATHNAME', 'auren_current_tenant';
COMMENT ON FUNCTION events.current_tenant() IS 'tenant that this session writes and reads: app.tenant_id, or ''default''; 42501 when a binding forbids it';
INSERT INTO auren.rights VALUES ('events.current_tenant', 'EXECUTE', '{reader,writer,admin,encrypt,decrypt,key_admin}');

CREATE FUNCTION auren.current_tenant() RETURNS text
	LANGUAGE C STABLE PARALLEL SAFE SUPPORT auren.stream_support AS 'MODULE_PATHNAME', 'auren_current_tenant';
COMMENT ON FUNCTION auren.current_tenant() IS 'events.current_tenant(), for views: their readers need no right on that';

CREATE FUNCTION auren.view_tenant() RETURNS text
	LANGUAGE C STABLE PARALLEL SAFE SUPPORT auren.stream_support AS 'MODULE_PATHNAME', 'auren_view_tenant';
COMMENT ON FUNCTION auren.view_tenant() IS 'tenant whose rows the views show; 42501 while a policy on events.event_store applies to the caller, since a view would pass it by';

CREATE FUNCTION events.replay_stream(
	p_stream_id    text,
	p_from_version bigint DEFAULT 1,
	p_to_version   bigint DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
                 metadata jsonb, created_by text, global_position bigint)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream';
COMMENT ON FUNCTION events.replay_stream(text, bigint, bigint) IS 'events of a stream in order of version, from and to included';
INSERT INTO auren.rights VALUES ('events.replay_stream', 'EXECUTE', '{reader}');

CREATE FUNCTION events.replay_stream_backward(
	p_stream_id    text,
	p_from_version bigint  DEFAULT NULL,
	p_limit        integer DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
                 metadata jsonb, created_by text, global_position bigint)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream_backward';
COMMENT ON FUNCTION events.replay_stream_backward(text, bigint, integer) IS 'events of a stream, newest first, from a version (included; NULL: the newest) and at most p_limit';
INSERT INTO auren.rights VALUES ('events.replay_stream_backward', 'EXECUTE', '{reader}');

CREATE FUNCTION events.last_event(p_stream_id text, p_event_type text DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
	               metadata jsonb, created_by text, global_position bigint)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_last_event';
COMMENT ON FUNCTION events.last_event(text, text) IS 'newest event of a stream, or its newest event of a type; no row when there is none';
INSERT INTO auren.rights VALUES ('events.last_event', 'EXECUTE', '{reader}');

CREATE FUNCTION events.stream_version(p_stream_id text) RETURNS bigint
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_stream_version';
COMMENT ON FUNCTION events.stream_version(text) IS 'version of a stream; NULL when it does not exist';
INSERT INTO auren.rights VALUES ('events.stream_version', 'EXECUTE', '{reader}');

CREATE FUNCTION events.stream_exists(p_stream_id text) RETURNS boolean
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_stream_exists';
COMMENT ON FUNCTION events.stream_exists(text) IS 'whether a stream has an event';
INSERT INTO auren.rights VALUES ('events.stream_exists', 'EXECUTE', '{reader}');

CREATE FUNCTION events.events_by_time(
	p_from           timestamptz,
	p_to             timestamptz,
	p_event_type     text    DEFAULT NULL,
	p_limit          integer DEFAULT 1000,
	p_after_position bigint  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_events_by_time';
COMMENT ON FUNCTION events.events_by_time(timestamptz, timestamptz, text, integer, bigint) IS
'events of a time range (from included, to not) in order of time and position; for the next page give the last row''s created_at as p_from and its global_position as p_after_position';
INSERT INTO auren.rights VALUES ('events.events_by_time', 'EXECUTE', '{reader}');

CREATE FUNCTION events.find_events(
	p_contains        jsonb,
	p_event_type      text        DEFAULT NULL,
	p_from            timestamptz DEFAULT NULL,
	p_to              timestamptz DEFAULT NULL,
	p_limit           integer     DEFAULT 100,
	p_before_position bigint      DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_find_events';
COMMENT ON FUNCTION events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint) IS
'events whose data contains p_contains (as @> does, by the GIN index), newest first; for the next page give the last row''s created_at as p_to and its global_position as p_before_position';
INSERT INTO auren.rights VALUES ('events.find_events', 'EXECUTE', '{reader}');
-- State: reducers, folds, snapshots.

CREATE TABLE auren.declared_reducers (
	event_type  text        COLLATE "C" NOT NULL,
	category    text        COLLATE "C" NOT NULL DEFAULT '',
	kind        text        NOT NULL,
	options     jsonb       NOT NULL,
	declared_by text        NOT NULL DEFAULT session_user,
	declared_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT declared_reducers_pkey PRIMARY KEY (event_type, category)
);
COMMENT ON TABLE auren.declared_reducers IS 'reducers as events.set_reducer declares them; a type that is not here keeps its latest data';
COMMENT ON COLUMN auren.declared_reducers.event_type IS 'type whose events it applies';
COMMENT ON COLUMN auren.declared_reducers.category IS 'category of the streams that it is for; empty: all';
COMMENT ON COLUMN auren.declared_reducers.kind IS 'latest, merge, patch, sum, count, append, ignore or function';
COMMENT ON COLUMN auren.declared_reducers.options IS 'what its kind takes: into, fields, limit, on_error, function';
COMMENT ON COLUMN auren.declared_reducers.declared_by IS 'role that declared it';
COMMENT ON COLUMN auren.declared_reducers.declared_at IS 'when it was declared';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_reducers
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_reducers ENABLE ALWAYS TRIGGER tell_sessions;

-- A cache: no dump holds it, and its index is not unique, so that nobody ever waits for another's snapshot.
CREATE TABLE auren.stream_snapshots (
	tenant_id        text        COLLATE "C" NOT NULL,
	stream_id        text        COLLATE "C" NOT NULL,
	stream_version   bigint      NOT NULL,
	event_time       timestamptz NOT NULL,
	reducers_version uuid        NOT NULL,
	taken_at         timestamptz NOT NULL,
	state            jsonb       NOT NULL
);
CREATE INDEX stream_snapshots_stream ON auren.stream_snapshots (tenant_id, stream_id, stream_version);
COMMENT ON TABLE auren.stream_snapshots IS 'states of long streams, kept so that a read folds only what came after; may be emptied at any time';
COMMENT ON INDEX auren.stream_snapshots_stream IS 'finds the newest snapshot of a stream';
COMMENT ON COLUMN auren.stream_snapshots.tenant_id IS 'tenant of the stream';
COMMENT ON COLUMN auren.stream_snapshots.stream_id IS 'stream';
COMMENT ON COLUMN auren.stream_snapshots.stream_version IS 'version of the last event in the state';
COMMENT ON COLUMN auren.stream_snapshots.event_time IS 'created_at of that event: no older month needs to be opened';
COMMENT ON COLUMN auren.stream_snapshots.reducers_version IS 'reducers that made the state; used while they are the same';
COMMENT ON COLUMN auren.stream_snapshots.taken_at IS 'when it was taken';
COMMENT ON COLUMN auren.stream_snapshots.state IS 'state at that version';

CREATE FUNCTION events.set_reducer(p_event_type text, p_kind text, p_options jsonb DEFAULT '{}') RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_reducer';
COMMENT ON FUNCTION events.set_reducer(text, text, jsonb) IS
'declares how events of a type change the state of their stream: latest, merge, patch, sum, count, append, ignore or function; for streams of one category where the options name it';
INSERT INTO auren.rights VALUES ('events.set_reducer', 'EXECUTE', '{admin}');

CREATE FUNCTION events.drop_reducer(p_event_type text, p_category text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_reducer';
COMMENT ON FUNCTION events.drop_reducer(text, text) IS 'takes a reducer back: the one for all streams, or that of a category; 42704 when there is none';
INSERT INTO auren.rights VALUES ('events.drop_reducer', 'EXECUTE', '{admin}');

CREATE FUNCTION events.reducers_version() RETURNS uuid
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_reducers_version';
COMMENT ON FUNCTION events.reducers_version() IS 'names the reducers that are declared now, with the bodies of their functions: the same declarations have the same version';
INSERT INTO auren.rights VALUES ('events.reducers_version', 'EXECUTE', '{reader,admin}');

CREATE FUNCTION auren.reducers_version() RETURNS uuid
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_reducers_version';
COMMENT ON FUNCTION auren.reducers_version() IS 'events.reducers_version(), for views: their readers need no right on that';

CREATE VIEW events.reducers AS
	SELECT event_type, NULLIF(category, '') AS category, kind, options, declared_by, declared_at
	FROM auren.declared_reducers;
COMMENT ON VIEW events.reducers IS 'reducers that are declared; category NULL: for streams of every category';
INSERT INTO auren.rights VALUES ('events.reducers', 'SELECT', '{reader,admin}');

CREATE FUNCTION events.get_stream_state(p_stream_id text, p_to_version bigint DEFAULT NULL) RETURNS jsonb
	LANGUAGE C STABLE PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'auren_get_stream_state';
COMMENT ON FUNCTION events.get_stream_state(text, bigint) IS
'state of a stream, now or at a version: its events folded by their reducers, {} for a stream without events; with no reducer declared, each event type with the data of its latest event';
INSERT INTO auren.rights VALUES ('events.get_stream_state', 'EXECUTE', '{reader}');

CREATE FUNCTION events.get_stream_states(p_stream_ids text[])
	RETURNS TABLE (stream_id text, stream_version bigint, state jsonb)
	LANGUAGE C STABLE PARALLEL SAFE COST 1000 ROWS 100 AS 'MODULE_PATHNAME', 'auren_get_stream_states';
COMMENT ON FUNCTION events.get_stream_states(text[]) IS 'states of many streams, in the order given; version 0 and {} for one without events';
INSERT INTO auren.rights VALUES ('events.get_stream_states', 'EXECUTE', '{reader}');

CREATE FUNCTION events.get_category_states(p_category text, p_after text DEFAULT NULL, p_limit integer DEFAULT 1000)
	RETURNS TABLE (stream_id text, stream_version bigint, state jsonb)
	LANGUAGE C STABLE PARALLEL SAFE COST 1000 ROWS 1000 AS 'MODULE_PATHNAME', 'auren_get_category_states';
COMMENT ON FUNCTION events.get_category_states(text, text, integer) IS
'states of the streams of a category in order of their ids; for the next page give the last row''s stream_id as p_after';
INSERT INTO auren.rights VALUES ('events.get_category_states', 'EXECUTE', '{reader}');

CREATE FUNCTION events.state_diff(p_stream_id text, p_from_version bigint, p_to_version bigint DEFAULT NULL) RETURNS jsonb
	LANGUAGE C STABLE PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'auren_state_diff';
COMMENT ON FUNCTION events.state_diff(text, bigint, bigint) IS 'what changed in a stream''s state from one version to another (NULL: now), as a patch of RFC 6902';
INSERT INTO auren.rights VALUES ('events.state_diff', 'EXECUTE', '{reader}');

CREATE FUNCTION events.take_snapshot(p_stream_id text) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_take_snapshot';
COMMENT ON FUNCTION events.take_snapshot(text) IS 'takes a snapshot of a stream''s state now and returns its version; NULL for a stream without events';
INSERT INTO auren.rights VALUES ('events.take_snapshot', 'EXECUTE', '{admin}');

CREATE FUNCTION events.drop_snapshots(p_stream_id text DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_snapshots';
COMMENT ON FUNCTION events.drop_snapshots(text) IS 'drops the snapshots of a stream, or all of this session''s tenant, and returns how many it dropped';
INSERT INTO auren.rights VALUES ('events.drop_snapshots', 'EXECUTE', '{admin}');

CREATE VIEW events.snapshots WITH (security_barrier) AS
	SELECT tenant_id, stream_id, pg_catalog.split_part(stream_id, ':', 1) AS category, stream_version, taken_at,
	       reducers_version, reducers_version OPERATOR(pg_catalog.=) (SELECT auren.reducers_version()) AS usable,
	       pg_catalog.pg_column_size(state) AS bytes
	FROM auren.stream_snapshots
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.snapshots IS 'snapshots of this session''s tenant; usable: made by the reducers that are declared now';
INSERT INTO auren.rights VALUES ('events.snapshots', 'SELECT', '{reader,admin}');
-- Streams as a whole.

CREATE FUNCTION events.close_stream(p_stream_id text, p_reason text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_close_stream';
COMMENT ON FUNCTION events.close_stream(text, text) IS 'closes a stream: appends fail with ZE004, reads go on; closing a closed stream keeps the first reason';
INSERT INTO auren.rights VALUES ('events.close_stream', 'EXECUTE', '{admin}');

CREATE FUNCTION events.reopen_stream(p_stream_id text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_reopen_stream';
COMMENT ON FUNCTION events.reopen_stream(text) IS 'opens a closed stream again';
INSERT INTO auren.rights VALUES ('events.reopen_stream', 'EXECUTE', '{admin}');

CREATE FUNCTION events.stream_summary(p_stream_id text,
	OUT version bigint, OUT first_event_at timestamptz, OUT last_event_at timestamptz)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_stream_summary';
COMMENT ON FUNCTION events.stream_summary(text) IS 'version, first and last event time of a stream of this session''s tenant, read from the ends of its index';
INSERT INTO auren.rights VALUES ('events.stream_summary', 'EXECUTE', '{reader}');

CREATE FUNCTION auren.stream_summary(p_stream_id text,
	OUT version bigint, OUT first_event_at timestamptz, OUT last_event_at timestamptz)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_stream_summary';
COMMENT ON FUNCTION auren.stream_summary(text) IS 'events.stream_summary(), for views: their readers need no right on that';

CREATE VIEW events.streams WITH (security_barrier) AS
	SELECT s.tenant_id, s.stream_id, pg_catalog.split_part(s.stream_id, ':', 1) AS category,
	       e.version, e.first_event_at, e.last_event_at,
	       s.closed_at IS NOT NULL AS closed, s.closed_at, s.closed_by, s.closed_reason
	FROM auren.stream_rows s CROSS JOIN LATERAL auren.stream_summary(s.stream_id) e
	WHERE s.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.streams IS 'streams of this session''s tenant';
INSERT INTO auren.rights VALUES ('events.streams', 'SELECT', '{reader}');

CREATE VIEW events.tenant_events WITH (security_barrier) AS
	SELECT event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tenant_id,
	       global_position
	FROM events.event_store
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.tenant_events IS 'events of this session''s tenant, for roles that may not read events.event_store itself';
INSERT INTO auren.rights VALUES ('events.tenant_events', 'SELECT', '{reader}');
-- The feed: all events in order of position.

-- The index is not unique, so that nobody waits for another's row.
CREATE TABLE auren.feed_horizons (
	global_position bigint      NOT NULL,
	written_at      timestamptz NOT NULL
);
CREATE INDEX feed_horizons_position ON auren.feed_horizons (global_position);
COMMENT ON INDEX auren.feed_horizons_position IS 'finds the newest horizon';
COMMENT ON TABLE auren.feed_horizons IS 'horizons that the primary wrote down for its standbys, which see none of its locks';
COMMENT ON COLUMN auren.feed_horizons.global_position IS 'position up to which the feed was final';
COMMENT ON COLUMN auren.feed_horizons.written_at IS 'when it was written';

CREATE FUNCTION events.read_all(
	p_after_position bigint  DEFAULT 0,
	p_limit          integer DEFAULT 1000,
	p_event_types    text[]  DEFAULT NULL,
	p_category       text    DEFAULT NULL,
	p_stream_prefix  text    DEFAULT NULL,
	p_epoch          uuid    DEFAULT NULL
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_all';
COMMENT ON FUNCTION events.read_all(bigint, integer, text[], text, text, uuid) IS
'final events of this session''s tenant after a position, in order of position: what is read once has no later event below it; ZE007 when p_epoch is not events.store_epoch()';
INSERT INTO auren.rights VALUES ('events.read_all', 'EXECUTE', '{reader}');

CREATE FUNCTION events.feed_horizon() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_feed_horizon';
COMMENT ON FUNCTION events.feed_horizon() IS 'last final position: every event up to it is committed or will never be; on a standby the last one that the primary wrote down';
INSERT INTO auren.rights VALUES ('events.feed_horizon', 'EXECUTE', '{reader}');

CREATE FUNCTION events.write_feed_horizon() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_write_feed_horizon';
COMMENT ON FUNCTION events.write_feed_horizon() IS 'writes the horizon down for standbys and returns it';
INSERT INTO auren.rights VALUES ('events.write_feed_horizon', 'EXECUTE', '{admin}');

CREATE FUNCTION events.store_epoch() RETURNS uuid
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_store_epoch';
COMMENT ON FUNCTION events.store_epoch() IS 'names the history that positions belong to: another one after a restore from a dump, a promotion, a point-in-time recovery and pg_upgrade';
INSERT INTO auren.rights VALUES ('events.store_epoch', 'EXECUTE', '{reader}');

-- The transactions that append now. A prepared transaction has no process: the lock on its number says which it is.
CREATE VIEW events.feed_blockers WITH (security_barrier) AS
	SELECT ((l.classid::bigint << 32) | l.objid::bigint) AS after_position, l.pid,
	       COALESCE(p.prepared, a.xact_start) AS since, a.state, a.query, p.gid AS prepared_gid, COALESCE(a.usename, p.owner) AS role
	FROM pg_catalog.pg_locks l
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
	LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype OPERATOR(pg_catalog.=) 'transactionid'
	                               AND x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction
	LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) x.transactionid
	WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.objsubid OPERATOR(pg_catalog.=) (-24350)::smallint AND l.granted
	  AND l.database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database());
COMMENT ON VIEW events.feed_blockers IS 'transactions that append now: the feed ends at the smallest after_position until they end; a prepared one until it is decided';
INSERT INTO auren.rights VALUES ('events.feed_blockers', 'SELECT', '{reader}');

-- The sessions that hold a lock that may keep others waiting to the end of its transaction.
CREATE VIEW events.lock_holders WITH (security_barrier) AS
	SELECT h.holds, h.mode, h.locks, h.pid, COALESCE(p.prepared, a.xact_start) AS since, a.state, a.query, p.gid AS prepared_gid, COALESCE(a.usename, p.owner) AS role
	FROM (SELECT CASE WHEN l.locktype OPERATOR(pg_catalog.=) 'relation' THEN l.relation::pg_catalog.regclass::text
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24351)::smallint THEN 'months in the making'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24347)::smallint THEN 'refresh of metrics'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24346)::smallint THEN 'people who are forgotten'
	                  ELSE 'notification rules of a tenant' END AS holds,
	             l.mode, pg_catalog.count(*) AS locks, l.pid, l.virtualtransaction
	      FROM pg_catalog.pg_locks l
	      WHERE l.granted AND l.database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
	        AND CASE
	            WHEN l.locktype OPERATOR(pg_catalog.=) 'advisory' THEN l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND l.objsubid OPERATOR(pg_catalog.=) ANY ('{-24351,-24347,-24346,-24343}'::smallint[])
	            WHEN l.locktype OPERATOR(pg_catalog.=) 'relation' THEN l.mode OPERATOR(pg_catalog.=) ANY ('{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'::text[])
	                AND l.relation OPERATOR(pg_catalog.=) ANY (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
	                                       WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::"char"[]) AND n.nspname OPERATOR(pg_catalog.=) ANY ('{events,biometric,analytics,encrypted,auren}'::name[]))
	            ELSE false END
	      GROUP BY 1, 2, 4, 5) h
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) h.pid
	LEFT JOIN pg_catalog.pg_locks x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype OPERATOR(pg_catalog.=) 'transactionid'
	                               AND x.virtualtransaction OPERATOR(pg_catalog.=) h.virtualtransaction
	LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) x.transactionid;
COMMENT ON VIEW events.lock_holders IS 'transactions that keep others from a table, from making months, refreshing metrics, making keys or adding notification rules until they end';
INSERT INTO auren.rights VALUES ('events.lock_holders', 'SELECT', '{reader,admin}');
-- Subscriptions: named readers of the feed with checkpoints, leases, retries and parking.

CREATE TABLE auren.subscription_settings (
	tenant_id       text        COLLATE "C" NOT NULL,
	name            text        COLLATE "C" NOT NULL,
	subscription_id bigint      GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME auren.subscription_id_seq),
	start_position  bigint      NOT NULL,
	event_types     text[],
	category        text        COLLATE "C",
	stream_prefix   text        COLLATE "C",
	shares          integer     NOT NULL,
	max_attempts    integer     NOT NULL,
	lease           interval    NOT NULL,
	stream_waits    boolean     NOT NULL,
	created_by      text        NOT NULL,
	created_at      timestamptz NOT NULL,
	CONSTRAINT subscription_settings_pkey PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE auren.subscription_settings IS 'subscriptions as events.create_subscription makes them';
COMMENT ON SEQUENCE auren.subscription_id_seq IS 'numbers of the subscriptions';
COMMENT ON COLUMN auren.subscription_settings.tenant_id IS 'tenant whose events it gives';
COMMENT ON COLUMN auren.subscription_settings.name IS 'name within the tenant';
COMMENT ON COLUMN auren.subscription_settings.subscription_id IS 'key of its progress';
COMMENT ON COLUMN auren.subscription_settings.start_position IS 'position after which it began';
COMMENT ON COLUMN auren.subscription_settings.event_types IS 'types that it gives; NULL: all';
COMMENT ON COLUMN auren.subscription_settings.category IS 'category that it gives; NULL: all';
COMMENT ON COLUMN auren.subscription_settings.stream_prefix IS 'how the ids of its streams begin; NULL: all';
COMMENT ON COLUMN auren.subscription_settings.shares IS 'shares into which its streams fall by a hash';
COMMENT ON COLUMN auren.subscription_settings.max_attempts IS 'failed attempts after which an event is parked';
COMMENT ON COLUMN auren.subscription_settings.lease IS 'how long a share stays with a consumer that does not come back';
COMMENT ON COLUMN auren.subscription_settings.stream_waits IS 'whether later events of a parked event''s stream wait';
COMMENT ON COLUMN auren.subscription_settings.created_by IS 'role that made it';
COMMENT ON COLUMN auren.subscription_settings.created_at IS 'when it was made';

-- One row a change, the newest counts; those before it are pruned. A row that each fetch updated could not be pruned while
-- anybody holds a snapshot.
CREATE TABLE auren.subscription_progress (
	subscription_id bigint      NOT NULL,
	share           integer     NOT NULL,
	step            bigint      NOT NULL,
	checkpoint      bigint      NOT NULL,
	delivered       bigint      NOT NULL,
	reached         bigint      NOT NULL,
	examined        bigint      NOT NULL,
	consumer        text        COLLATE "C" NOT NULL,
	lease_until     timestamptz NOT NULL,
	given           bigint[],
	held            bigint      NOT NULL
);
CREATE INDEX subscription_progress_share ON auren.subscription_progress (subscription_id, share, step);
COMMENT ON TABLE auren.subscription_progress IS 'how far each share of a subscription is and which consumer has it: the row of the highest step counts';
COMMENT ON INDEX auren.subscription_progress_share IS 'finds the newest row of a share';
COMMENT ON COLUMN auren.subscription_progress.subscription_id IS 'subscription';
COMMENT ON COLUMN auren.subscription_progress.share IS 'share, from 0';
COMMENT ON COLUMN auren.subscription_progress.step IS 'number of the change';
COMMENT ON COLUMN auren.subscription_progress.checkpoint IS 'every event of the share up to here is done or held';
COMMENT ON COLUMN auren.subscription_progress.delivered IS 'the events after the checkpoint and up to here are in the consumer''s hands, unless they are held';
COMMENT ON COLUMN auren.subscription_progress.reached IS 'how far the last fetch looked: no other event of the share up to here may be given';
COMMENT ON COLUMN auren.subscription_progress.examined IS 'how far any fetch looked';
COMMENT ON COLUMN auren.subscription_progress.consumer IS 'the consumer that has the share; empty: nobody';
COMMENT ON COLUMN auren.subscription_progress.lease_until IS 'until when, unless it fetches again';
COMMENT ON COLUMN auren.subscription_progress.given IS 'positions of the held events that are in the consumer''s hands; NULL: none';
COMMENT ON COLUMN auren.subscription_progress.held IS 'how many events of the share are held';

CREATE TABLE auren.subscription_consumers (
	subscription_id bigint      NOT NULL,
	consumer        text        COLLATE "C" NOT NULL,
	seen_at         timestamptz NOT NULL
);
CREATE INDEX subscription_consumers_seen ON auren.subscription_consumers (subscription_id, consumer, seen_at);
COMMENT ON TABLE auren.subscription_consumers IS 'consumers that fetched lately, so that shares can be dealt out evenly';
COMMENT ON INDEX auren.subscription_consumers_seen IS 'finds when a consumer was seen last';
COMMENT ON COLUMN auren.subscription_consumers.subscription_id IS 'subscription';
COMMENT ON COLUMN auren.subscription_consumers.consumer IS 'consumer';
COMMENT ON COLUMN auren.subscription_consumers.seen_at IS 'when it fetched';

CREATE TABLE auren.subscription_held (
	subscription_id bigint      NOT NULL,
	global_position bigint      NOT NULL,
	share           integer     NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	state           text        COLLATE "C" NOT NULL,
	attempts        integer     NOT NULL,
	not_before      timestamptz NOT NULL,
	reason          text,
	since           timestamptz NOT NULL,
	CONSTRAINT subscription_held_pkey PRIMARY KEY (subscription_id, global_position)
);
CREATE INDEX subscription_held_stream ON auren.subscription_held (subscription_id, stream_id, global_position);
CREATE INDEX subscription_held_time ON auren.subscription_held (subscription_id, share, not_before, global_position);
COMMENT ON TABLE auren.subscription_held IS 'events that a subscription holds: its checkpoints pass them by though they are not done';
COMMENT ON INDEX auren.subscription_held_stream IS 'finds what is held of a stream';
COMMENT ON INDEX auren.subscription_held_time IS 'finds what is due, and what a time releases';
COMMENT ON COLUMN auren.subscription_held.subscription_id IS 'subscription';
COMMENT ON COLUMN auren.subscription_held.global_position IS 'position of the event';
COMMENT ON COLUMN auren.subscription_held.share IS 'share of its stream';
COMMENT ON COLUMN auren.subscription_held.stream_id IS 'its stream';
COMMENT ON COLUMN auren.subscription_held.state IS 'due, retry (at a time), waiting (after another held event of its stream) or parked';
COMMENT ON COLUMN auren.subscription_held.attempts IS 'failed attempts';
COMMENT ON COLUMN auren.subscription_held.not_before IS 'when it may be given again; -infinity for one that is due, infinity for one that no time releases';
COMMENT ON COLUMN auren.subscription_held.reason IS 'what the consumer said';
COMMENT ON COLUMN auren.subscription_held.since IS 'when it came here, or failed last';

CREATE FUNCTION events.create_subscription(
	p_name           text,
	p_after_position bigint      DEFAULT 0,
	p_from_time      timestamptz DEFAULT NULL,
	p_event_types    text[]      DEFAULT NULL,
	p_category       text        DEFAULT NULL,
	p_stream_prefix  text        DEFAULT NULL,
	p_shares         integer     DEFAULT 8,
	p_max_attempts   integer     DEFAULT 5,
	p_lease          interval    DEFAULT '30 seconds',
	p_stream_waits   boolean     DEFAULT true
) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_create_subscription';
COMMENT ON FUNCTION events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, boolean) IS
'makes a subscription that begins after a position (0: with the first event, NULL: with what comes from now on) or with a time, and returns the position after which it begins';
INSERT INTO auren.rights VALUES ('events.create_subscription', 'EXECUTE', '{admin}');

CREATE FUNCTION events.alter_subscription(
	p_name         text,
	p_shares       integer  DEFAULT NULL,
	p_max_attempts integer  DEFAULT NULL,
	p_lease        interval DEFAULT NULL,
	p_stream_waits boolean  DEFAULT NULL
) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_alter_subscription';
COMMENT ON FUNCTION events.alter_subscription(text, integer, integer, interval, boolean) IS
'changes settings of a subscription (NULL: as it was) and loses nothing that is parked, to be retried or in hand; 55006 while a consumer is at work in a transaction that has not ended';
INSERT INTO auren.rights VALUES ('events.alter_subscription', 'EXECUTE', '{admin}');

CREATE FUNCTION events.drop_subscription(p_name text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_subscription';
COMMENT ON FUNCTION events.drop_subscription(text) IS 'drops a subscription with its checkpoints and parked events; 55006 while a consumer is at work in a transaction that has not ended';
INSERT INTO auren.rights VALUES ('events.drop_subscription', 'EXECUTE', '{admin}');

CREATE FUNCTION events.reset_subscription(p_name text, p_position bigint) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_reset_subscription';
COMMENT ON FUNCTION events.reset_subscription(text, bigint) IS 'sets a subscription to go on after a position, and forgets its leases, retries and parked events; 55006 while a consumer is at work in a transaction that has not ended';
INSERT INTO auren.rights VALUES ('events.reset_subscription', 'EXECUTE', '{admin}');

CREATE FUNCTION events.fetch(p_name text, p_consumer text, p_limit integer DEFAULT 100)
	RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
	               metadata jsonb, created_at timestamptz, created_by text, share integer, failed_attempts integer)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_fetch';
COMMENT ON FUNCTION events.fetch(text, text, integer) IS
'next events of a subscription for a consumer, whose lease it takes or renews; the same ones again until they are acknowledged, retried or parked. What it gives is in the consumer''s hands until its next fetch';
INSERT INTO auren.rights VALUES ('events.fetch', 'EXECUTE', '{reader}');

CREATE FUNCTION events.acknowledge(p_name text, p_consumer text, p_position bigint) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_acknowledge';
COMMENT ON FUNCTION events.acknowledge(text, text, bigint) IS 'what a consumer''s last fetch gave up to a position is done; ZE005 when its lease is lost';
INSERT INTO auren.rights VALUES ('events.acknowledge', 'EXECUTE', '{reader}');

CREATE FUNCTION events.retry(p_name text, p_consumer text, p_position bigint, p_delay interval DEFAULT '1 second', p_reason text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_retry';
COMMENT ON FUNCTION events.retry(text, text, bigint, interval, text) IS
'an event failed: it is given again after a delay, with the later ones of its stream after it, or parked after the subscription''s attempts; ZE005 when the lease is lost';
INSERT INTO auren.rights VALUES ('events.retry', 'EXECUTE', '{reader}');

CREATE FUNCTION events.park(p_name text, p_consumer text, p_position bigint, p_reason text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_park';
COMMENT ON FUNCTION events.park(text, text, bigint, text) IS 'puts an event aside until events.unpark; ZE005 when the lease is lost';
INSERT INTO auren.rights VALUES ('events.park', 'EXECUTE', '{reader}');

CREATE FUNCTION events.unpark(p_name text, p_position bigint) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_unpark';
COMMENT ON FUNCTION events.unpark(text, bigint) IS 'gives a parked event again, with all its attempts; 42704 when none of that position is parked';
INSERT INTO auren.rights VALUES ('events.unpark', 'EXECUTE', '{admin}');

CREATE FUNCTION events.wait_for_subscription(p_name text, p_position bigint, p_timeout interval DEFAULT '10 seconds') RETURNS boolean
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_wait_for_subscription';
COMMENT ON FUNCTION events.wait_for_subscription(text, bigint, interval) IS 'waits until a subscription is done with every event up to a position, parked ones aside; false when the time is over';
INSERT INTO auren.rights VALUES ('events.wait_for_subscription', 'EXECUTE', '{reader}');

CREATE FUNCTION events.wait_for_events(p_after_position bigint, p_timeout interval DEFAULT '10 seconds') RETURNS boolean
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_wait_for_events';
COMMENT ON FUNCTION events.wait_for_events(bigint, interval) IS 'waits until the feed has an event of this session''s tenant after a position; false when the time is over';
INSERT INTO auren.rights VALUES ('events.wait_for_events', 'EXECUTE', '{reader}');

CREATE FUNCTION auren.subscription_status(p_name text, OUT checkpoint bigint, OUT head bigint, OUT lag_events bigint,
	OUT lag_seconds double precision, OUT consumers text[], OUT lag_is_exact boolean, OUT due_events bigint, OUT delayed_events bigint, OUT waiting_events bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_subscription_status';
COMMENT ON FUNCTION auren.subscription_status(text) IS 'where a subscription stands against the feed''s end; of what is not held it counts a million events at most';

CREATE VIEW events.subscriptions WITH (security_barrier) AS
	SELECT s.tenant_id, s.name, t.checkpoint, t.head, t.lag_events, t.lag_seconds, t.lag_is_exact, t.consumers,
	       (SELECT count(*) FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.state OPERATOR(pg_catalog.=) 'parked') AS parked,
	       (SELECT count(*) FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.state OPERATOR(pg_catalog.<>) 'parked' AND p.attempts OPERATOR(pg_catalog.>) 0) AS retrying,
	       (SELECT p.reason FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.reason IS NOT NULL ORDER BY p.since DESC LIMIT 1) AS last_error,
	       s.event_types, s.category, s.stream_prefix, s.shares, s.max_attempts, s.lease, s.stream_waits, s.created_by, s.created_at, t.due_events, t.delayed_events, t.waiting_events
	FROM auren.subscription_settings s CROSS JOIN LATERAL auren.subscription_status(s.name) t
	WHERE s.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.subscriptions IS 'subscriptions of this session''s tenant: where each stands, which consumers work on it, what went wrong last';
INSERT INTO auren.rights VALUES ('events.subscriptions', 'SELECT', '{reader,admin}');

CREATE VIEW events.parked WITH (security_barrier) AS
	SELECT s.name, p.global_position, p.stream_id, p.attempts, p.reason, p.since,
	       (SELECT count(*) FROM auren.subscription_held w WHERE w.subscription_id OPERATOR(pg_catalog.=) p.subscription_id AND w.stream_id OPERATOR(pg_catalog.=) p.stream_id
	        AND s.stream_waits AND w.global_position OPERATOR(pg_catalog.>) p.global_position AND w.state OPERATOR(pg_catalog.<>) 'parked') AS events_waiting
	FROM auren.subscription_held p JOIN auren.subscription_settings s USING (subscription_id)
	WHERE p.state OPERATOR(pg_catalog.=) 'parked' AND s.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.parked IS 'events that subscriptions put aside';
INSERT INTO auren.rights VALUES ('events.parked', 'SELECT', '{reader,admin}');
-- Live notifications from the tables of the application.

CREATE FUNCTION events.notify_mode_switch() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_mode_switch';
COMMENT ON FUNCTION events.notify_mode_switch() IS 'trigger: tells channel mode_switch of a new history row (from_mode, to_mode) or a changed current_mode; arguments ''key=column'' rename columns';
INSERT INTO auren.rights VALUES ('events.notify_mode_switch', 'EXECUTE', '{writer}');

CREATE FUNCTION events.notify_memory_tier_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_memory_tier_change';
COMMENT ON FUNCTION events.notify_memory_tier_change() IS 'trigger: tells channel memory_tier_change of a new history row (from_tier, to_tier) or a changed tier; arguments ''key=column'' rename columns';
INSERT INTO auren.rights VALUES ('events.notify_memory_tier_change', 'EXECUTE', '{writer}');

-- Rules: which events are announced, and where. Without one nothing is.
CREATE TABLE auren.declared_notification_rules (
	tenant_id  text COLLATE "C" NOT NULL,
	channel    text COLLATE "C" NOT NULL,
	event_type text COLLATE "C" NOT NULL DEFAULT '',
	category   text COLLATE "C" NOT NULL DEFAULT '',
	CONSTRAINT declared_notification_rules_pkey PRIMARY KEY (tenant_id, channel, event_type, category)
);
COMMENT ON TABLE auren.declared_notification_rules IS 'which appended events are announced on which channel';
COMMENT ON COLUMN auren.declared_notification_rules.tenant_id IS 'tenant whose events are announced';
COMMENT ON COLUMN auren.declared_notification_rules.channel IS 'channel to LISTEN to';
COMMENT ON COLUMN auren.declared_notification_rules.event_type IS 'type that is announced; empty: all';
COMMENT ON COLUMN auren.declared_notification_rules.category IS 'category that is announced; empty: all';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_notification_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_notification_rules ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION events.add_notification_rule(p_event_type text DEFAULT NULL, p_channel text DEFAULT NULL, p_category text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_notification_rule';
COMMENT ON FUNCTION events.add_notification_rule(text, text, text) IS
'announces appended events of this session''s tenant, of a type or a category (NULL: all), on a channel: its listeners get the last position, at most once a transaction';
INSERT INTO auren.rights VALUES ('events.add_notification_rule', 'EXECUTE', '{admin}');

CREATE FUNCTION events.drop_notification_rule(p_event_type text DEFAULT NULL, p_channel text DEFAULT NULL, p_category text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_notification_rule';
COMMENT ON FUNCTION events.drop_notification_rule(text, text, text) IS 'takes a notification rule back; 42704 when there is none';
INSERT INTO auren.rights VALUES ('events.drop_notification_rule', 'EXECUTE', '{admin}');

CREATE VIEW events.notification_rules WITH (security_barrier) AS
	SELECT channel, NULLIF(event_type, '') AS event_type, NULLIF(category, '') AS category
	FROM auren.declared_notification_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.notification_rules IS 'notification rules of this session''s tenant; NULL: all';
INSERT INTO auren.rights VALUES ('events.notification_rules', 'SELECT', '{reader,admin}');

CREATE VIEW events.notification_queue AS
	SELECT pg_catalog.pg_notification_queue_usage() AS usage, a.pid, a.usename AS role, a.application_name, a.state, a.xact_start AS since, a.query
	FROM (SELECT true) one
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.state LIKE 'idle in transaction%' AND a.xact_start IS NOT NULL
	ORDER BY a.xact_start;
COMMENT ON VIEW events.notification_queue IS 'how full the server''s notification queue is (1: full), and the sessions that sleep in a transaction, the oldest first: a listener among them keeps it from emptying';
INSERT INTO auren.rights VALUES ('events.notification_queue', 'SELECT', '{reader,admin}');
-- Readings and their rollups: what changed is recorded as it happens, refresh merges it, the views add what is not merged yet.

CREATE SCHEMA biometric;
COMMENT ON SCHEMA biometric IS 'auren_events: readings of persons';
REVOKE ALL ON SCHEMA biometric FROM PUBLIC;
INSERT INTO auren.rights VALUES ('biometric', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'auren_events: metrics of readings by day, hour and five minutes';
REVOKE ALL ON SCHEMA analytics FROM PUBLIC;
INSERT INTO auren.rights VALUES ('analytics', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');

CREATE TABLE biometric.biometric_events (
	user_id     text             COLLATE "C" NOT NULL,
	device_type text             COLLATE "C",
	metric_type text             COLLATE "C" NOT NULL,
	value       double precision,
	"timestamp" timestamptz      NOT NULL DEFAULT pg_catalog.now(),
	event_id    uuid,
	metadata    jsonb,
	tenant_id   text             COLLATE "C" NOT NULL DEFAULT events.current_tenant(),
	CONSTRAINT biometric_events_names_fit CHECK (pg_catalog.octet_length(user_id) OPERATOR(pg_catalog.+) COALESCE(pg_catalog.octet_length(device_type), 0)
		OPERATOR(pg_catalog.+) pg_catalog.octet_length(metric_type) OPERATOR(pg_catalog.+) pg_catalog.octet_length(tenant_id) OPERATOR(pg_catalog.<=) 2500)
);
CREATE INDEX idx_biometric_events_user_device_time ON biometric.biometric_events (user_id, device_type, "timestamp" DESC);
CREATE INDEX idx_biometric_events_metric_time ON biometric.biometric_events (metric_type, "timestamp" DESC);
COMMENT ON TABLE biometric.biometric_events IS 'readings of all tenants; insert, correct and delete them as in any table, the metrics follow';
INSERT INTO auren.rights VALUES ('biometric.biometric_events', 'INSERT', '{writer}');
INSERT INTO auren.rights VALUES ('biometric.biometric_events', 'SELECT', '{reader}');
COMMENT ON CONSTRAINT biometric_events_names_fit ON biometric.biometric_events IS 'user, device, metric and tenant are of 2,500 bytes together: longer ones do not fit into an index';
COMMENT ON INDEX biometric.idx_biometric_events_user_device_time IS 'finds a user''s readings by device and time';
COMMENT ON INDEX biometric.idx_biometric_events_metric_time IS 'finds a metric''s readings by time';
COMMENT ON COLUMN biometric.biometric_events.user_id IS 'person that was measured';
COMMENT ON COLUMN biometric.biometric_events.device_type IS 'what measured, where that is known';
COMMENT ON COLUMN biometric.biometric_events.metric_type IS 'what was measured';
COMMENT ON COLUMN biometric.biometric_events.value IS 'what the reading says; NULL counts as a reading without a value';
COMMENT ON COLUMN biometric.biometric_events."timestamp" IS 'when it was measured';
COMMENT ON COLUMN biometric.biometric_events.event_id IS 'event that it came with, if any';
COMMENT ON COLUMN biometric.biometric_events.metadata IS 'what else is known of it';
COMMENT ON COLUMN biometric.biometric_events.tenant_id IS 'tenant that it belongs to (setting app.tenant_id of the session that wrote it)';

CREATE SEQUENCE auren.source_id_seq AS integer MINVALUE 2 START 2;
COMMENT ON SEQUENCE auren.source_id_seq IS 'numbers of the sources; 1 is biometric.biometric_events';
CREATE TABLE analytics.sources (
	source_id     integer     NOT NULL CONSTRAINT sources_pkey PRIMARY KEY,
	relation      regclass,
	event_type    text        COLLATE "C",
	tenant_id     text        COLLATE "C" NOT NULL,
	user_field    text        COLLATE "C",
	device_field  text        COLLATE "C",
	metric_field  text        COLLATE "C",
	value_field   text        COLLATE "C",
	time_field    text        COLLATE "C",
	tenant_field  text        COLLATE "C",
	metrics       jsonb,
	detached      boolean     NOT NULL DEFAULT false,
	attached_by   text        NOT NULL,
	attached_at   timestamptz NOT NULL,
	samples_field text        COLLATE "C",
	once          boolean     NOT NULL DEFAULT false
);
COMMENT ON TABLE analytics.sources IS 'where readings come from: tables (analytics.attach_source) and events of a type (analytics.attach_events)';
INSERT INTO auren.rights VALUES ('analytics.sources', 'SELECT', '{}');
COMMENT ON COLUMN analytics.sources.source_id IS 'number of the source';
COMMENT ON COLUMN analytics.sources.relation IS 'its table; NULL: events';
COMMENT ON COLUMN analytics.sources.event_type IS 'type of its events; NULL: a table';
COMMENT ON COLUMN analytics.sources.tenant_id IS 'tenant of its readings, unless a column says so';
COMMENT ON COLUMN analytics.sources.user_field IS 'column or field of the user; NULL: the stream''s id after its category';
COMMENT ON COLUMN analytics.sources.device_field IS 'column or field of the device, if any';
COMMENT ON COLUMN analytics.sources.metric_field IS 'column of the metric';
COMMENT ON COLUMN analytics.sources.value_field IS 'column of the value';
COMMENT ON COLUMN analytics.sources.time_field IS 'column or field of the time; NULL, or missing in an event: when that was appended';
COMMENT ON COLUMN analytics.sources.tenant_field IS 'column of the tenant, if any';
COMMENT ON COLUMN analytics.sources.metrics IS 'for events: field of the data to metric';
COMMENT ON COLUMN analytics.sources.detached IS 'it is not a source any more, and the next refresh removes what is left of it';
COMMENT ON COLUMN analytics.sources.attached_by IS 'role that attached it';
COMMENT ON COLUMN analytics.sources.attached_at IS 'when';
COMMENT ON COLUMN analytics.sources.once IS 'for events: readings of the same user, device, metric, time and value count once';
COMMENT ON COLUMN analytics.sources.samples_field IS 'for events: array of which each element is a sample; NULL: the data itself is one';
CREATE TABLE auren.filled_sources (
	source_id integer NOT NULL CONSTRAINT filled_sources_pkey PRIMARY KEY
);
COMMENT ON TABLE auren.filled_sources IS 'sources whose readings the rollups hold; the others are read as they are until the next refresh fills them. Not dumped, as the rollups are not';
COMMENT ON COLUMN auren.filled_sources.source_id IS 'number of the source';
-- oid, not regclass: it goes on when the table is gone
CREATE TABLE auren.source_partitions (
	relation  oid     NOT NULL CONSTRAINT source_partitions_pkey PRIMARY KEY,
	source_id integer NOT NULL
);
COMMENT ON TABLE auren.source_partitions IS 'partitions of the sources'' tables, so that it is known whose went with something else. Not dumped: a refresh that fills a source writes them down';
COMMENT ON COLUMN auren.source_partitions.relation IS 'number of the partition';
COMMENT ON COLUMN auren.source_partitions.source_id IS 'number of the source';

-- Inserted by whoever writes, and summed up by the refresh, as deltas are.
CREATE TABLE auren.refusals (
	source_id     integer NOT NULL,
	tenant_id     text    COLLATE "C" NOT NULL,
	reason        text    COLLATE "C" NOT NULL,
	refused       bigint  NOT NULL,
	last_position bigint
);
COMMENT ON TABLE auren.refusals IS 'how much of a source is not a reading, and why: the rows of a source, tenant and reason are to be summed up';
COMMENT ON COLUMN auren.refusals.source_id IS 'number of the source';
COMMENT ON COLUMN auren.refusals.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.refusals.reason IS 'what could not be used: time, value, user (none is named), names (too long) or samples';
COMMENT ON COLUMN auren.refusals.refused IS 'how many; negative where rows of a table are gone';
COMMENT ON COLUMN auren.refusals.last_position IS 'global position of the last such event; NULL: rows of a table';

-- Neither index is unique, so that two sessions with the first reading of the same series never wait for each other: both
-- may add the row, with the same number.
CREATE TABLE auren.series (
	series_id   bigint  NOT NULL,
	source_id   integer NOT NULL,
	tenant_id   text    COLLATE "C" NOT NULL,
	user_id     text    COLLATE "C",
	device_type text    COLLATE "C",
	metric_type text    COLLATE "C"
);
CREATE TABLE auren.series_secret (
	secret bytea NOT NULL
);
INSERT INTO auren.series_secret SELECT pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));
COMMENT ON TABLE auren.series_secret IS 'what makes the numbers of series unforeseeable; a dump has none, and a database that is copied as a whole, by CREATE DATABASE ... TEMPLATE or in files, shares it';
COMMENT ON COLUMN auren.series_secret.secret IS '32 bytes';
CREATE INDEX series_names ON auren.series (tenant_id, user_id, metric_type, device_type, source_id);
CREATE INDEX series_ids ON auren.series (series_id);
COMMENT ON TABLE auren.series IS 'user, metric and device: the names that the numbers stand for in the rollups';
COMMENT ON INDEX auren.series_names IS 'finds a series by its names';
COMMENT ON INDEX auren.series_ids IS 'finds the names of a series';
COMMENT ON COLUMN auren.series.series_id IS 'number, a keyed hash of the names and the source';
COMMENT ON COLUMN auren.series.source_id IS 'source that its readings come from';
COMMENT ON COLUMN auren.series.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.series.user_id IS 'user';
COMMENT ON COLUMN auren.series.device_type IS 'device';
COMMENT ON COLUMN auren.series.metric_type IS 'metric';

-- Rows are inserted and never updated, so a writer waits for nobody, and a server snapshot that stays open costs it nothing. VACUUM does not
-- truncate the table: a plan that is made while it has no pages would read all of it, and plans are kept.
CREATE TABLE auren.deltas (
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
-- one column, and no deduplication of entries: an insert costs less so
CREATE INDEX deltas_series ON auren.deltas (series_id) WITH (deduplicate_items = off);
COMMENT ON TABLE auren.deltas IS 'readings added and taken that no refresh has merged yet, by five minutes';
COMMENT ON INDEX auren.deltas_series IS 'finds what is pending of a series';
COMMENT ON COLUMN auren.deltas.series_id IS 'series';
COMMENT ON COLUMN auren.deltas.bucket IS 'start of the five minutes';
COMMENT ON COLUMN auren.deltas.summary IS 'what was added and taken';

-- What a statement with hundreds of readings leaves: packs of a page's quarter, in place of a row and an index entry for each.
CREATE TABLE auren.delta_packs (
	lot          integer NOT NULL,
	source_id    integer NOT NULL,
	first_series bigint  NOT NULL,
	last_series  bigint  NOT NULL,
	changes      integer NOT NULL,
	deltas       bytea   NOT NULL
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000);
CREATE INDEX delta_packs_lot ON auren.delta_packs (lot);
COMMENT ON TABLE auren.delta_packs IS 'as auren.deltas, many in a row';
COMMENT ON INDEX auren.delta_packs_lot IS 'finds the packs that may hold something of a series';
COMMENT ON COLUMN auren.delta_packs.lot IS 'share of the series that it is of, by the leading bits of their numbers';
COMMENT ON COLUMN auren.delta_packs.source_id IS 'source of all its series';
COMMENT ON COLUMN auren.delta_packs.first_series IS 'the least number of a series in it';
COMMENT ON COLUMN auren.delta_packs.last_series IS 'the greatest';
COMMENT ON COLUMN auren.delta_packs.changes IS 'how many deltas it holds';
COMMENT ON COLUMN auren.delta_packs.deltas IS 'series, bucket and summary of each, in their order';

-- The key begins with some days, a period, so that new readings touch only the part of the index that is theirs, however long the
-- history is. Whoever reads a series looks for it in each period that there is.
CREATE TABLE auren.rollup_5min (
	period    integer     NOT NULL,
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL,
	CONSTRAINT rollup_5min_pkey PRIMARY KEY (period, series_id, bucket)
) WITH (fillfactor = 90);
COMMENT ON TABLE auren.rollup_5min IS 'merged readings by five minutes';
COMMENT ON COLUMN auren.rollup_5min.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_5min.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_5min.bucket IS 'start';
COMMENT ON COLUMN auren.rollup_5min.summary IS 'summary of the readings';
CREATE TABLE auren.rollup_hourly (
	period    integer     NOT NULL,
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL,
	CONSTRAINT rollup_hourly_pkey PRIMARY KEY (period, series_id, bucket)
) WITH (fillfactor = 90);
COMMENT ON TABLE auren.rollup_hourly IS 'merged readings by hour';
COMMENT ON COLUMN auren.rollup_hourly.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_hourly.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_hourly.bucket IS 'start';
COMMENT ON COLUMN auren.rollup_hourly.summary IS 'summary of the readings';
CREATE TABLE auren.rollup_daily (
	period    integer     NOT NULL,
	series_id bigint NOT NULL,
	day       date   NOT NULL,
	summary   bytea  NOT NULL,
	CONSTRAINT rollup_daily_pkey PRIMARY KEY (period, series_id, day)
) WITH (fillfactor = 50); -- every refresh of a day changes its rows: in their pages, without the index
COMMENT ON TABLE auren.rollup_daily IS 'merged readings by day';
COMMENT ON COLUMN auren.rollup_daily.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_daily.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_daily.day IS 'day';
COMMENT ON COLUMN auren.rollup_daily.summary IS 'summary of the readings';

CREATE TABLE auren.rollup_periods (
	level  integer NOT NULL,
	period integer NOT NULL,
	CONSTRAINT rollup_periods_pkey PRIMARY KEY (level, period)
);
COMMENT ON TABLE auren.rollup_periods IS 'periods in which the rollups have rows';
COMMENT ON COLUMN auren.rollup_periods.level IS '0: five minutes, 1: hours, 2: days';
COMMENT ON COLUMN auren.rollup_periods.period IS 'number of the period: days since 2000-01-01, divided by 1, 2 and 8';

CREATE TABLE auren.metric_settings (
	time_zone text NOT NULL
);
COMMENT ON TABLE auren.metric_settings IS 'a row when analytics.set_time_zone was called';
COMMENT ON COLUMN auren.metric_settings.time_zone IS 'zone of days and hours';
CREATE TABLE auren.retention (
	level          text        NOT NULL CONSTRAINT retention_pkey PRIMARY KEY,
	keep           interval,
	dropped_before timestamptz NOT NULL
);
COMMENT ON TABLE auren.retention IS 'levels whose old buckets are dropped (analytics.set_retention)';
COMMENT ON COLUMN auren.retention.level IS '5min, hourly or daily';
COMMENT ON COLUMN auren.retention.keep IS 'how long its buckets are kept; NULL: for ever';
COMMENT ON COLUMN auren.retention.dropped_before IS 'buckets before this are gone';
CREATE TABLE auren.refresh_runs (
	finished_at timestamptz NOT NULL,
	duration    interval    NOT NULL,
	changes     bigint      NOT NULL,
	buckets     bigint      NOT NULL
);
CREATE INDEX refresh_runs_finished ON auren.refresh_runs (finished_at);
COMMENT ON TABLE auren.refresh_runs IS 'the last refreshes';
COMMENT ON INDEX auren.refresh_runs_finished IS 'finds the last one';
COMMENT ON COLUMN auren.refresh_runs.finished_at IS 'when it was done';
COMMENT ON COLUMN auren.refresh_runs.duration IS 'how long it took';
COMMENT ON COLUMN auren.refresh_runs.changes IS 'changes that it merged';
COMMENT ON COLUMN auren.refresh_runs.buckets IS 'buckets that it wrote';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON analytics.sources
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE analytics.sources ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION auren.record_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_record_change';
COMMENT ON FUNCTION auren.record_change() IS 'trigger of a source''s tables: records the readings that were added and taken';
REVOKE ALL ON FUNCTION auren.record_change() FROM PUBLIC;

INSERT INTO analytics.sources VALUES
	(1, 'biometric.biometric_events', NULL, 'default', 'user_id', 'device_type', 'metric_type', 'value', 'timestamp', 'tenant_id', NULL, false,
	 'auren_events', pg_catalog.now(), NULL, false);
INSERT INTO auren.filled_sources VALUES (1);
-- ALWAYS: a subscriber of logical replication counts the rows that it gets.
CREATE TRIGGER auren_record_row AFTER INSERT OR UPDATE OR DELETE ON biometric.biometric_events FOR EACH ROW
	EXECUTE FUNCTION auren.record_change();
CREATE TRIGGER auren_record_statement AFTER INSERT OR UPDATE OR DELETE ON biometric.biometric_events FOR EACH STATEMENT
	EXECUTE FUNCTION auren.record_change();
CREATE TRIGGER auren_record_truncate BEFORE TRUNCATE ON biometric.biometric_events FOR EACH STATEMENT
	EXECUTE FUNCTION auren.record_change();
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_row;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_statement;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_truncate;

CREATE FUNCTION analytics.refresh_user_metrics() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_refresh_user_metrics';
COMMENT ON FUNCTION analytics.refresh_user_metrics() IS
'merges what changed since the last refresh into the rollups and returns how many changes that were; does nothing while another one is at work';
INSERT INTO auren.rights VALUES ('analytics.refresh_user_metrics', 'EXECUTE', '{admin}');
-- The metrics as they are at this moment: what is merged and what is not yet.

CREATE TYPE auren.metrics AS (
	reading_count bigint,
	avg_value     double precision,
	min_value     double precision,
	max_value     double precision,
	stddev_value  double precision,
	p50_value     double precision,
	p95_value     double precision,
	value_count   bigint,
	sum_value     double precision
);
COMMENT ON TYPE auren.metrics IS 'what a summary of readings says';

CREATE FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) RETURNS internal
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_add_summary';
COMMENT ON FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) IS 'transition of auren.metric_values';
REVOKE ALL ON FUNCTION auren.add_summary(internal, bytea, bigint, timestamptz, integer) FROM PUBLIC;
CREATE FUNCTION auren.summary_metrics(internal) RETURNS auren.metrics
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_summary_metrics';
COMMENT ON FUNCTION auren.summary_metrics(internal) IS 'final function of auren.metric_values';
REVOKE ALL ON FUNCTION auren.summary_metrics(internal) FROM PUBLIC;
CREATE AGGREGATE auren.metric_values(bytea, bigint, timestamptz, integer) (
	SFUNC = auren.add_summary, STYPE = internal, FINALFUNC = auren.summary_metrics, PARALLEL = RESTRICTED);
COMMENT ON AGGREGATE auren.metric_values(bytea, bigint, timestamptz, integer) IS
'metrics of a bucket from the summaries of its parts (summary, series, start, minutes of the bucket; 0 for a day, -1 for an hour of the zone)';

CREATE FUNCTION auren.filled_sources() RETURNS integer[]
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_filled_sources';
COMMENT ON FUNCTION auren.filled_sources() IS 'sources whose readings the rollups hold';
CREATE FUNCTION auren.unfilled_readings()
	RETURNS TABLE (tenant_id text, user_id text, device_type text, metric_type text, bucket timestamptz, summary bytea)
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'auren_unfilled_readings';
COMMENT ON FUNCTION auren.unfilled_readings() IS 'readings of this session''s tenant in sources that the rollups do not hold yet, by five minutes';

CREATE VIEW auren.tenant_series WITH (security_barrier) AS
	SELECT tenant_id, user_id, device_type, metric_type, series_id
	FROM auren.series
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())
	  AND source_id OPERATOR(pg_catalog.=) ANY ((SELECT auren.filled_sources())::integer[])
	GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW auren.tenant_series IS 'series of this session''s tenant';

-- The costs have the planner ask the index for one user's packs, and unpack each once for all users.
CREATE FUNCTION auren.delta_lots(bigint) RETURNS integer[]
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'auren_delta_lots';
COMMENT ON FUNCTION auren.delta_lots(bigint) IS 'lots that the packs with deltas of a series have';
CREATE FUNCTION auren.has_deltas(bytea, bigint) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME', 'auren_has_deltas';
COMMENT ON FUNCTION auren.has_deltas(bytea, bigint) IS 'whether a pack has deltas of a series';
CREATE FUNCTION auren.unpack_deltas(bytea) RETURNS TABLE (series_id bigint, bucket timestamptz, summary bytea)
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 400 ROWS 32 AS 'MODULE_PATHNAME', 'auren_unpack_deltas';
COMMENT ON FUNCTION auren.unpack_deltas(bytea) IS 'deltas of a pack';

CREATE VIEW auren.tenant_deltas AS
	SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, s.series_id, d.bucket, d.summary
	FROM auren.tenant_series s, auren.deltas d
	WHERE d.series_id OPERATOR(pg_catalog.=) s.series_id
	UNION ALL
	SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, s.series_id, d.bucket, d.summary
	FROM auren.tenant_series s, auren.delta_packs p, LATERAL auren.unpack_deltas(p.deltas) d
	WHERE p.lot OPERATOR(pg_catalog.=) ANY (auren.delta_lots(s.series_id)) AND p.first_series OPERATOR(pg_catalog.<=) s.series_id
	  AND p.last_series OPERATOR(pg_catalog.>=) s.series_id AND auren.has_deltas(p.deltas, s.series_id) AND d.series_id OPERATOR(pg_catalog.=) s.series_id;
COMMENT ON VIEW auren.tenant_deltas IS 'what is not merged yet of this session''s tenant, by five minutes';

-- Barriers: a function of the caller's own would else be asked of the times of other tenants' readings. Comparisons of a date with a date and of a
-- timestamptz with a timestamptz leak nothing and choose the rows that are read; one of a timestamptz with a date does not.
CREATE VIEW analytics.user_metrics_daily WITH (security_barrier) AS
	SELECT day, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, day,
		       auren.metric_values(summary, series_id, part, 0) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.day, r.summary, s.series_id, NULL::timestamptz AS part
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_daily r
			WHERE p.level OPERATOR(pg_catalog.=) 2 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       (bucket AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date, summary, series_id, bucket
			FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       (bucket AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date, summary, NULL, bucket
			FROM auren.unfilled_readings()) r
		WHERE day OPERATOR(pg_catalog.>=) COALESCE((SELECT (dropped_before AT TIME ZONE COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC'))::date
		                     FROM auren.retention WHERE level OPERATOR(pg_catalog.=) 'daily'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, day) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_daily IS 'metrics of this session''s tenant by day, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_daily', 'SELECT', '{reader}');

CREATE VIEW analytics.user_metrics_hourly WITH (security_barrier) AS
	SELECT bucket, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, bucket,
		       auren.metric_values(summary, series_id, bucket, -1) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.bucket, r.summary, s.series_id
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_hourly r
			WHERE p.level OPERATOR(pg_catalog.=) 1 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       pg_catalog.date_trunc('hour', bucket, COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC')), summary, series_id
			FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type,
			       pg_catalog.date_trunc('hour', bucket, COALESCE((SELECT time_zone FROM auren.metric_settings), 'UTC')), summary, NULL
			FROM auren.unfilled_readings()) r
		WHERE bucket OPERATOR(pg_catalog.>=) COALESCE((SELECT dropped_before FROM auren.retention WHERE level OPERATOR(pg_catalog.=) 'hourly'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, bucket) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_hourly IS 'metrics of this session''s tenant by hour, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_hourly', 'SELECT', '{reader}');

CREATE VIEW analytics.user_metrics_5min WITH (security_barrier) AS
	SELECT bucket, user_id, device_type, metric_type, (m).reading_count, (m).avg_value, (m).min_value, (m).max_value, (m).stddev_value,
	       tenant_id, (m).p50_value, (m).p95_value, (m).value_count, (m).sum_value
	FROM (
		SELECT tenant_id, user_id, device_type, metric_type, bucket,
		       auren.metric_values(summary, series_id, bucket, 5) AS m
		FROM (
			SELECT s.tenant_id, s.user_id, s.device_type, s.metric_type, r.bucket, r.summary, s.series_id
			FROM auren.tenant_series s, auren.rollup_periods p, auren.rollup_5min r
			WHERE p.level OPERATOR(pg_catalog.=) 0 AND r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) s.series_id
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type, bucket, summary, series_id FROM auren.tenant_deltas
			UNION ALL
			SELECT tenant_id, user_id, device_type, metric_type, bucket, summary, NULL FROM auren.unfilled_readings()) r
		WHERE bucket OPERATOR(pg_catalog.>=) COALESCE((SELECT dropped_before FROM auren.retention WHERE level OPERATOR(pg_catalog.=) '5min'), '-infinity')
		GROUP BY tenant_id, user_id, device_type, metric_type, bucket) g
	WHERE (m).reading_count OPERATOR(pg_catalog.>) 0;
COMMENT ON VIEW analytics.user_metrics_5min IS 'metrics of this session''s tenant by five minutes, exact at every moment';
INSERT INTO auren.rights VALUES ('analytics.user_metrics_5min', 'SELECT', '{reader}');

CREATE VIEW analytics.refresh_status AS
	SELECT (SELECT pg_catalog.count(*) FROM auren.deltas) OPERATOR(pg_catalog.+)
	       (SELECT COALESCE(pg_catalog.sum(changes), 0)::bigint FROM auren.delta_packs) AS pending_changes,
	       (SELECT pg_catalog.count(*) FROM analytics.sources s WHERE detached OR NOT EXISTS (
	       	SELECT FROM auren.filled_sources f WHERE f.source_id OPERATOR(pg_catalog.=) s.source_id)) AS pending_sources,
	       r.finished_at AS last_run, r.duration AS last_duration, r.changes AS last_changes, r.buckets AS last_rows,
	       (SELECT COALESCE(pg_catalog.sum(refused), 0)::bigint FROM auren.refusals) AS refused_readings
	FROM (SELECT true) one
	LEFT JOIN LATERAL (SELECT * FROM auren.refresh_runs ORDER BY finished_at DESC LIMIT 1) r ON true;
COMMENT ON VIEW analytics.refresh_status IS 'changes that the next refresh will merge, and what the last one did';
INSERT INTO auren.rights VALUES ('analytics.refresh_status', 'SELECT', '{reader,admin}');

CREATE VIEW analytics.refused_readings WITH (security_barrier) AS
	SELECT r.source_id, s.relation, s.event_type, r.reason, pg_catalog.sum(r.refused)::bigint AS refused, pg_catalog.max(r.last_position) AS last_position
	FROM auren.refusals r JOIN analytics.sources s ON s.source_id OPERATOR(pg_catalog.=) r.source_id
	WHERE r.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant()) AND NOT s.detached
	GROUP BY r.source_id, s.relation, s.event_type, r.reason
	HAVING pg_catalog.sum(r.refused) OPERATOR(pg_catalog.<>) 0;
COMMENT ON VIEW analytics.refused_readings IS 'what the sources of this session''s tenant hold that is not a reading, by source and reason';
INSERT INTO auren.rights VALUES ('analytics.refused_readings', 'SELECT', '{reader,admin}');
-- Sources: tables and events that readings come from; zone, retention, jobs; charts.

CREATE FUNCTION analytics.attach_source(
	p_table         regclass,
	p_user_column   text,
	p_device_column text,
	p_metric_column text,
	p_value_column  text,
	p_time_column   text,
	p_tenant_column text DEFAULT NULL
) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_source';
COMMENT ON FUNCTION analytics.attach_source(regclass, text, text, text, text, text, text) IS
'makes a table, partitioned or not, a source of readings by naming its columns (device: NULL for none; tenant: NULL for this session''s); what it holds is merged by the next refresh, and the metrics have it at once; returns its number';
INSERT INTO auren.rights VALUES ('analytics.attach_source', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.detach_source(p_table regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_source';
COMMENT ON FUNCTION analytics.detach_source(regclass) IS 'ends what analytics.attach_source began: the metrics no longer count its readings, the table stays as it is';
INSERT INTO auren.rights VALUES ('analytics.detach_source', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.attach_events(
	p_event_type    text,
	p_metrics       jsonb,
	p_user_field    text DEFAULT NULL,
	p_device_field  text DEFAULT 'device_type',
	p_time_field    text DEFAULT 'timestamp',
	p_samples_field text DEFAULT NULL,
	p_once          boolean DEFAULT false
) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_events';
COMMENT ON FUNCTION analytics.attach_events(text, jsonb, text, text, text, text, boolean) IS
'makes events of a type, of this session''s tenant, a source of readings: p_metrics says which field of the data is which metric; the user is a field or the stream''s id after its category, the time a field or when the event was appended; p_samples_field is an array whose elements are samples; a field that begins with / is a JSON pointer; p_once: readings of the same user, device, metric, time and value count once';
INSERT INTO auren.rights VALUES ('analytics.attach_events', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.detach_events(p_event_type text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_events';
COMMENT ON FUNCTION analytics.detach_events(text) IS 'ends what analytics.attach_events began for this session''s tenant';
INSERT INTO auren.rights VALUES ('analytics.detach_events', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.rebuild_source(p_source integer) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rebuild_source';
COMMENT ON FUNCTION analytics.rebuild_source(integer) IS 'has the next refresh count a source anew; until then the views read the source itself';
INSERT INTO auren.rights VALUES ('analytics.rebuild_source', 'EXECUTE', '{admin}');

CREATE FUNCTION auren.follow_tables() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_follow_tables';
COMMENT ON FUNCTION auren.follow_tables() IS 'event trigger: follows partitions of sources that are attached, detached or dropped, and sources that are dropped';
REVOKE ALL ON FUNCTION auren.follow_tables() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_tables_change ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE SCHEMA', 'ALTER FOREIGN TABLE', 'CREATE FOREIGN TABLE', 'DROP TABLE') EXECUTE FUNCTION auren.follow_tables();
CREATE EVENT TRIGGER auren_events_tables_drop ON ddl_command_start
	WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION auren.follow_tables();
CREATE EVENT TRIGGER auren_events_tables_gone ON sql_drop
	EXECUTE FUNCTION auren.follow_tables();
ALTER EVENT TRIGGER auren_events_tables_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_tables_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_tables_gone ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_tables_change IS 'keeps metrics exact when partitions of a source come and go, and the triggers of the extension as they are';
COMMENT ON EVENT TRIGGER auren_events_tables_drop IS 'keeps metrics exact when partitions of a source are dropped';
COMMENT ON EVENT TRIGGER auren_events_tables_gone IS 'ends sources whose table is gone';

CREATE FUNCTION analytics.set_time_zone(p_time_zone text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_time_zone';
COMMENT ON FUNCTION analytics.set_time_zone(text) IS 'sets the zone of days and hours (UTC at first) and makes their rollups anew';
INSERT INTO auren.rights VALUES ('analytics.set_time_zone', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.set_retention(p_level text, p_keep interval) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_retention';
COMMENT ON FUNCTION analytics.set_retention(text, interval) IS 'how long buckets of a level (5min, hourly, daily) are kept; NULL: for ever. analytics.apply_retention drops them';
INSERT INTO auren.rights VALUES ('analytics.set_retention', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.apply_retention() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_apply_retention';
COMMENT ON FUNCTION analytics.apply_retention() IS 'drops the buckets older than analytics.set_retention keeps, and returns how many; readings stay where they are';
INSERT INTO auren.rights VALUES ('analytics.apply_retention', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.schedule(
	p_refresh   text DEFAULT '0 * * * *',
	p_months    text DEFAULT '15 3 * * *',
	p_retention text DEFAULT '30 3 * * *'
) RETURNS TABLE (job text, schedule text, command text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_schedule';
COMMENT ON FUNCTION analytics.schedule(text, text, text) IS
'has pg_cron refresh the metrics, make the events'' months and apply retention at these times (NULL: not); calling it again changes the times';
INSERT INTO auren.rights VALUES ('analytics.schedule', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.metric_series(
	p_user_id     text,
	p_metric_type text,
	p_from        timestamptz,
	p_to          timestamptz,
	p_step        interval DEFAULT '1 hour',
	p_device_type text DEFAULT NULL,
	p_time_zone   text DEFAULT NULL
) RETURNS TABLE (bucket timestamptz, reading_count bigint, avg_value double precision, min_value double precision, max_value double precision,
                 stddev_value double precision, p50_value double precision, p95_value double precision, value_count bigint, sum_value double precision)
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'auren_metric_series';
COMMENT ON FUNCTION analytics.metric_series(text, text, timestamptz, timestamptz, interval, text, text) IS
'a user''s metric by steps from a time up to another, of one device or all; steps of whole days are days of a zone, the session''s unless one is named; a step without readings is a row of NULLs';
INSERT INTO auren.rights VALUES ('analytics.metric_series', 'EXECUTE', '{reader}');

CREATE FUNCTION analytics.sparkline(p_values double precision[]) RETURNS text
	LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_sparkline';
COMMENT ON FUNCTION analytics.sparkline(double precision[]) IS 'values as a line of bars from the least to the greatest; NULL is a gap';
INSERT INTO auren.rights VALUES ('analytics.sparkline', 'EXECUTE', '{reader}');
-- Encrypted fields: a data key per person, wrapped by a master key from outside the database; rules, forgetting, audit.

CREATE SCHEMA encrypted;
COMMENT ON SCHEMA encrypted IS 'auren_events: encrypted fields, their keys, and which role decrypted what';
REVOKE ALL ON SCHEMA encrypted FROM PUBLIC;
INSERT INTO auren.rights VALUES ('encrypted', 'USAGE', '{encrypt,decrypt,key_admin}');

CREATE TABLE auren.data_keys (
	tenant_id     text        COLLATE "C" NOT NULL,
	user_id       text        COLLATE "C" NOT NULL,
	key_id        bigint      NOT NULL,
	key_version   integer     NOT NULL,
	master_key_id text        COLLATE "C" NOT NULL,
	wrapped_key   bytea       NOT NULL,
	created_at    timestamptz NOT NULL,
	created_by    text        NOT NULL,
	CONSTRAINT data_keys_pkey PRIMARY KEY (tenant_id, user_id, key_id)
);
COMMENT ON TABLE auren.data_keys IS 'data keys of people, each wrapped by a master key, without which it cannot be used';
COMMENT ON COLUMN auren.data_keys.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.data_keys.user_id IS 'person whose values it encrypts';
COMMENT ON COLUMN auren.data_keys.key_id IS 'random id that envelopes name';
COMMENT ON COLUMN auren.data_keys.key_version IS 'counts the person''s keys: new values use the highest';
COMMENT ON COLUMN auren.data_keys.master_key_id IS 'master key that wraps it';
COMMENT ON COLUMN auren.data_keys.wrapped_key IS 'nonce, the key encrypted by the master key, tag';
COMMENT ON COLUMN auren.data_keys.created_at IS 'when it was made';
COMMENT ON COLUMN auren.data_keys.created_by IS 'role that made it, by its first value or by rotation';

CREATE TABLE auren.key_uses (
	tenant_id text   COLLATE "C" NOT NULL,
	user_id   text   COLLATE "C" NOT NULL,
	key_id    bigint NOT NULL,
	uses      bigint NOT NULL
);
CREATE INDEX key_uses_key ON auren.key_uses (tenant_id, user_id, key_id);
COMMENT ON TABLE auren.key_uses IS 'how often a key has encrypted: one row for about 65,536 values, at random';
COMMENT ON INDEX auren.key_uses_key IS 'finds the uses of a key';
COMMENT ON COLUMN auren.key_uses.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.key_uses.user_id IS 'person';
COMMENT ON COLUMN auren.key_uses.key_id IS 'key';
COMMENT ON COLUMN auren.key_uses.uses IS 'values that the row stands for';

CREATE TABLE auren.forgotten_people (
	tenant_id    text        COLLATE "C" NOT NULL,
	user_id      text        COLLATE "C" NOT NULL,
	forgotten_at timestamptz NOT NULL,
	forgotten_by text        NOT NULL,
	key_version  integer     NOT NULL,
	allowed_at   timestamptz,
	CONSTRAINT forgotten_people_pkey PRIMARY KEY (tenant_id, user_id)
);
COMMENT ON TABLE auren.forgotten_people IS 'people whose keys were destroyed: no key is made for them again until encrypted.allow_user';
COMMENT ON COLUMN auren.forgotten_people.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.forgotten_people.user_id IS 'person';
COMMENT ON COLUMN auren.forgotten_people.forgotten_at IS 'when, the last time';
COMMENT ON COLUMN auren.forgotten_people.forgotten_by IS 'role that did it';
COMMENT ON COLUMN auren.forgotten_people.key_version IS 'highest version of the keys that were destroyed';
COMMENT ON COLUMN auren.forgotten_people.allowed_at IS 'since when new values may be encrypted again (encrypted.allow_user); NULL: not';

CREATE TABLE auren.declared_personal_rules (
	tenant_id  text   COLLATE "C" NOT NULL,
	event_type text   COLLATE "C" NOT NULL,
	person     text   COLLATE "C" NOT NULL,
	paths      text[] NOT NULL,
	CONSTRAINT declared_personal_rules_pkey PRIMARY KEY (tenant_id, event_type, person)
);
COMMENT ON TABLE auren.declared_personal_rules IS 'which fields of an event are personal, and whose (encrypted.add_rule)';
COMMENT ON COLUMN auren.declared_personal_rules.tenant_id IS 'tenant whose events it is for';
COMMENT ON COLUMN auren.declared_personal_rules.event_type IS 'type of the events';
COMMENT ON COLUMN auren.declared_personal_rules.person IS 'where the person stands: a JSON pointer into the data, or a pattern of stream ids with one "*"';
COMMENT ON COLUMN auren.declared_personal_rules.paths IS 'JSON pointers of the personal fields';

CREATE TABLE encrypted.audit_log (
	at           timestamptz NOT NULL,
	action       text        NOT NULL,
	tenant_id    text        COLLATE "C" NOT NULL,
	user_id      text        COLLATE "C" NOT NULL,
	field        text,
	role         text        NOT NULL,
	session_role text        NOT NULL,
	reason       text,
	keys         integer,
	outer_role   text        NOT NULL
);
COMMENT ON TABLE encrypted.audit_log IS 'which role decrypted values of, forgot or allowed which person; rows are added and never changed';
INSERT INTO auren.rights VALUES ('encrypted.audit_log', 'SELECT', '{}');
COMMENT ON COLUMN encrypted.audit_log.at IS 'when';
COMMENT ON COLUMN encrypted.audit_log.action IS 'decrypt, forget, allow or rotate';
COMMENT ON COLUMN encrypted.audit_log.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN encrypted.audit_log.user_id IS 'person';
COMMENT ON COLUMN encrypted.audit_log.field IS 'field that was decrypted; NULL where none was named';
COMMENT ON COLUMN encrypted.audit_log.role IS 'role that did it: the current one, within a function that runs as its owner the owner';
COMMENT ON COLUMN encrypted.audit_log.session_role IS 'role that logged in, whatever SET ROLE and SET SESSION AUTHORIZATION made of it';
COMMENT ON COLUMN encrypted.audit_log.reason IS 'reason given: auren_events.decrypt_reason, or the parameter';
COMMENT ON COLUMN encrypted.audit_log.keys IS 'for forget: how many keys were destroyed';
COMMENT ON COLUMN encrypted.audit_log.outer_role IS 'role that the session had taken by SET ROLE or SET SESSION AUTHORIZATION, outside of functions that run as their owner';

CREATE FUNCTION auren.refuse_audit_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_refuse_audit_change';
COMMENT ON FUNCTION auren.refuse_audit_change() IS 'trigger: refuses UPDATE, DELETE and TRUNCATE of the audit with ZE003';
REVOKE ALL ON FUNCTION auren.refuse_audit_change() FROM PUBLIC;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON encrypted.audit_log
	FOR EACH ROW EXECUTE FUNCTION auren.refuse_audit_change();
ALTER TABLE encrypted.audit_log ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON encrypted.audit_log
	FOR EACH STATEMENT EXECUTE FUNCTION auren.refuse_audit_change();
ALTER TABLE encrypted.audit_log ENABLE ALWAYS TRIGGER refuse_truncate;

-- A key that anybody takes away by hand is gone for all sessions, as by encrypted.forget_user.
CREATE TRIGGER tell_sessions AFTER UPDATE OR DELETE OR TRUNCATE ON auren.data_keys
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.data_keys ENABLE ALWAYS TRIGGER tell_sessions;
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_personal_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_personal_rules ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION encrypted.encrypt_phi_field(p_value text, p_user_id text, p_field text DEFAULT NULL) RETURNS text
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_phi_field';
COMMENT ON FUNCTION encrypted.encrypt_phi_field(text, text, text) IS
'encrypts a value with the person''s key and gives a printable envelope; it opens for this tenant, person and field (NULL: any) only; makes the person''s first key';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_phi_field', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_phi_field(p_value text, p_user_id text, p_field text DEFAULT NULL) RETURNS text
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_phi_field';
COMMENT ON FUNCTION encrypted.decrypt_phi_field(text, text, text) IS
'the value of an envelope; ZE006 when the person was forgotten, 22000 when the envelope is another person''s, another field''s or changed, 22P02 when it is none';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_phi_field', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.encrypt_phi_fields(p_values text[], p_user_id text, p_field text DEFAULT NULL) RETURNS text[]
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_phi_fields';
COMMENT ON FUNCTION encrypted.encrypt_phi_fields(text[], text, text) IS
'many values of a person and field at a time: an array of the same form with encrypted.encrypt_phi_field''s envelope in the place of each value; NULLs stay';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_phi_fields', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_phi_fields(p_values text[], p_user_id text, p_field text DEFAULT NULL) RETURNS text[]
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_phi_fields';
COMMENT ON FUNCTION encrypted.decrypt_phi_fields(text[], text, text) IS
'many envelopes of a person and field at a time: an array of the same form with encrypted.decrypt_phi_field''s value in the place of each; NULLs stay; fails where that would for one of them';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_phi_fields', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.encrypt_fields(p_event_data jsonb, p_user_id text, p_paths text[]) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_fields';
COMMENT ON FUNCTION encrypted.encrypt_fields(jsonb, text, text[]) IS
'a document with the fields at some JSON pointers encrypted, whatever JSON they hold; null, absent ones and envelopes of the person stay';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_fields', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_fields(p_event_data jsonb, p_user_id text, p_paths text[]) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_fields';
COMMENT ON FUNCTION encrypted.decrypt_fields(jsonb, text, text[]) IS
'a document with the envelopes at some JSON pointers decrypted: the same JSON as was encrypted; what is not an envelope stays';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_fields', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.add_rule(p_event_type text, p_paths text[], p_user text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_rule';
COMMENT ON FUNCTION encrypted.add_rule(text, text[], text) IS
'appended events of a type have these fields encrypted for the person at a JSON pointer in the data (''/user_id'') or in the stream''s id (''user:*''); one rule a person of the event';
INSERT INTO auren.rights VALUES ('encrypted.add_rule', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.drop_rule(p_event_type text, p_user text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_rule';
COMMENT ON FUNCTION encrypted.drop_rule(text, text) IS 'takes a rule back for events to come; 42704 when there is none';
INSERT INTO auren.rights VALUES ('encrypted.drop_rule', 'EXECUTE', '{key_admin}');

CREATE VIEW encrypted.rules WITH (security_barrier) AS
	SELECT event_type, person, paths FROM auren.declared_personal_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW encrypted.rules IS 'rules of this session''s tenant';
INSERT INTO auren.rights VALUES ('encrypted.rules', 'SELECT', '{key_admin}');

CREATE FUNCTION events.replay_stream_decrypted(p_stream_id text, p_from_version bigint DEFAULT 1, p_to_version bigint DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz, metadata jsonb,
	               created_by text, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000 AS 'MODULE_PATHNAME', 'auren_replay_stream_decrypted';
COMMENT ON FUNCTION events.replay_stream_decrypted(text, bigint, bigint) IS
'events.replay_stream with the fields of the rules decrypted; those of forgotten people stay envelopes';
INSERT INTO auren.rights VALUES ('events.replay_stream_decrypted', 'EXECUTE', '{decrypt}');

CREATE FUNCTION events.get_stream_state_decrypted(p_stream_id text, p_to_version bigint DEFAULT NULL) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 AS 'MODULE_PATHNAME', 'auren_get_stream_state_decrypted';
COMMENT ON FUNCTION events.get_stream_state_decrypted(text, bigint) IS
'events.get_stream_state of events whose fields are decrypted before they are folded; from the first event on, since snapshots hold envelopes';
INSERT INTO auren.rights VALUES ('events.get_stream_state_decrypted', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.rotate_user_key(p_user_id text) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rotate_user_key';
COMMENT ON FUNCTION encrypted.rotate_user_key(text) IS 'makes a new data key for a person''s new values and returns its version; old values still open';
INSERT INTO auren.rights VALUES ('encrypted.rotate_user_key', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.rotate_master_key(p_limit integer DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rotate_master_key';
COMMENT ON FUNCTION encrypted.rotate_master_key(integer) IS
'wraps data keys of all tenants with the current master key, p_limit of them at most (NULL: all), and returns how many; 0 when none is left that nobody else has in hand';
INSERT INTO auren.rights VALUES ('encrypted.rotate_master_key', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.forget_user(p_user_id text, p_reason text, p_readings boolean DEFAULT false) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_forget_user';
COMMENT ON FUNCTION encrypted.forget_user(text, text, boolean) IS
'destroys a person''s data keys and returns how many: from its commit on nobody opens the person''s values (ZE006); leaves a receipt in encrypted.audit_log; p_readings: the person''s readings in biometric.biometric_events and their metrics go too';
INSERT INTO auren.rights VALUES ('encrypted.forget_user', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.allow_user(p_user_id text, p_reason text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_allow_user';
COMMENT ON FUNCTION encrypted.allow_user(text, text) IS 'lets new values of a forgotten person be encrypted again, with a new key; the old ones stay unreadable';
INSERT INTO auren.rights VALUES ('encrypted.allow_user', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.master_key_id() RETURNS text
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_master_key_id';
COMMENT ON FUNCTION encrypted.master_key_id() IS 'id of the current master key';
INSERT INTO auren.rights VALUES ('encrypted.master_key_id', 'EXECUTE', '{key_admin}');

CREATE FUNCTION auren.master_key_id() RETURNS text
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_master_key_id';
COMMENT ON FUNCTION auren.master_key_id() IS 'encrypted.master_key_id(), for views: their readers need no right on that';

CREATE VIEW encrypted.status WITH (security_barrier) AS
	SELECT k.key_version, k.master_key_id, COALESCE(k.keys, 0) AS keys, k.oldest, k.newest,
	       k.master_key_id OPERATOR(pg_catalog.<>) (SELECT auren.master_key_id()) AS rotation_pending,
	       (SELECT pg_catalog.count(*) FROM auren.forgotten_people f
	        WHERE f.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())) AS forgotten_people
	FROM (SELECT true) one
	LEFT JOIN (SELECT key_version, master_key_id, pg_catalog.count(*) AS keys, pg_catalog.min(created_at) AS oldest, pg_catalog.max(created_at) AS newest
	           FROM auren.data_keys WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())
	           GROUP BY key_version, master_key_id) k ON true
	ORDER BY k.key_version, k.master_key_id;
COMMENT ON VIEW encrypted.status IS 'data keys of this session''s tenant by version and master key, with their age; rotation_pending: encrypted.rotate_master_key has work; people forgotten';
INSERT INTO auren.rights VALUES ('encrypted.status', 'SELECT', '{key_admin}');

CREATE VIEW encrypted.audit WITH (security_barrier) AS
	SELECT at, action, user_id, field, role, session_role, reason, keys, outer_role FROM encrypted.audit_log
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW encrypted.audit IS 'the audit of this session''s tenant';
INSERT INTO auren.rights VALUES ('encrypted.audit', 'SELECT', '{key_admin}');
-- Which role may do what. Six rights, each granted by itself: reader, writer, admin, encrypt, decrypt, key_admin.

-- The views from here on name functions and operators of the server.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- Only members of the extension count, not an object of somebody else's with the same name.
CREATE VIEW auren.granted_objects AS
	-- the members come first: to compare names with all of a database's functions takes long where the planner joins them one by one
	WITH member AS MATERIALIZED (
		SELECT d.classid, d.objid FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
		WHERE e.extname = 'auren_events'),
	object AS MATERIALIZED (
		SELECT 'FUNCTION' AS kind, p.oid, concat(n.nspname, '.', p.proname) AS object, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name, false AS holds_rows
		FROM member m JOIN pg_proc p ON p.oid = m.objid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE m.classid = 'pg_proc'::regclass
		UNION ALL
		SELECT 'TABLE', c.oid, concat(n.nspname, '.', c.relname), format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p')
		FROM member m JOIN pg_class c ON c.oid = m.objid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE m.classid = 'pg_class'::regclass
		UNION ALL
		SELECT 'SCHEMA', n.oid, n.nspname, quote_ident(n.nspname), false
		FROM member m JOIN pg_namespace n ON n.oid = m.objid WHERE m.classid = 'pg_namespace'::regclass)
	SELECT o.kind, o.oid, o.name, r.privilege, r.access, r.since, o.holds_rows AND r.privilege = 'SELECT' AS all_tenants
	FROM auren.rights r
		JOIN object o ON o.object = r.object AND o.kind = CASE r.privilege WHEN 'EXECUTE' THEN 'FUNCTION' WHEN 'USAGE' THEN 'SCHEMA' ELSE 'TABLE' END;
COMMENT ON VIEW auren.granted_objects IS 'auren.rights with the objects that it names';
COMMENT ON COLUMN auren.granted_objects.kind IS 'FUNCTION, TABLE (or view) or SCHEMA';
COMMENT ON COLUMN auren.granted_objects.oid IS 'object';
COMMENT ON COLUMN auren.granted_objects.name IS 'its name in a GRANT';
COMMENT ON COLUMN auren.granted_objects.privilege IS 'what is given';
COMMENT ON COLUMN auren.granted_objects.access IS 'rights that give it';
COMMENT ON COLUMN auren.granted_objects.since IS 'version that brought it';
COMMENT ON COLUMN auren.granted_objects.all_tenants IS 'whether it shows rows of all tenants, and is not for whoever is bound to some';

CREATE FUNCTION events.grant_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_grant_access';
COMMENT ON FUNCTION events.grant_access(text, text) IS 'lets a role read (''reader''), append (''writer''), administer streams and months (''admin''), encrypt (''encrypt'') or decrypt (''decrypt'') fields, or administer keys, rules and forgetting (''key_admin''); for the store''s owner';
INSERT INTO auren.rights VALUES ('events.grant_access', 'EXECUTE', '{}');

CREATE FUNCTION events.revoke_access(p_role text, p_access text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_revoke_access';
COMMENT ON FUNCTION events.revoke_access(text, text) IS 'takes back what events.grant_access gave; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.revoke_access', 'EXECUTE', '{}');

-- A version adds functions, and a role that was given a right before has none of them: not by ALTER EXTENSION UPDATE, and not by a dump of an
-- older version. GRANTs of an update script would be initial privileges, which no dump holds, so they are made after it.
CREATE FUNCTION events.renew_access() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_renew_access';
COMMENT ON FUNCTION events.renew_access() IS 'gives every role with a right what versions after 0.1.0 brought for that right, and returns how many rights of roles it looked after: for use after a restore from a dump of an older version; an update of the extension does it itself; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.renew_access', 'EXECUTE', '{}');

CREATE FUNCTION auren.renew_access_after_update() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_renew_access_after_update';
COMMENT ON FUNCTION auren.renew_access_after_update() IS 'event trigger: events.renew_access() after ALTER EXTENSION auren_events UPDATE';
REVOKE ALL ON FUNCTION auren.renew_access_after_update() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_updated ON ddl_command_end
	WHEN TAG IN ('ALTER EXTENSION')
	EXECUTE FUNCTION auren.renew_access_after_update();
ALTER EVENT TRIGGER auren_events_updated ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_updated IS 'gives the roles with a right what an update of the extension brought for it';

CREATE FUNCTION events.bind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_bind_tenant';
COMMENT ON FUNCTION events.bind_tenant(text, text) IS 'binds a role and its members to a tenant, or to one more; takes SELECT on events.event_store and biometric.biometric_events from it; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.bind_tenant', 'EXECUTE', '{}');

CREATE FUNCTION events.unbind_tenant(p_role text, p_tenant text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_unbind_tenant';
COMMENT ON FUNCTION events.unbind_tenant(text, text) IS 'takes one binding back; a role without any may name every tenant; for the store''s owner';
INSERT INTO auren.rights VALUES ('events.unbind_tenant', 'EXECUTE', '{}');
-- What the columns of views show, and what the triggers of the extension's own tables are for.

COMMENT ON COLUMN auren.metrics.reading_count IS 'readings, those without a value too';
COMMENT ON COLUMN auren.metrics.avg_value IS 'average of the values';
COMMENT ON COLUMN auren.metrics.min_value IS 'least value';
COMMENT ON COLUMN auren.metrics.max_value IS 'greatest value';
COMMENT ON COLUMN auren.metrics.stddev_value IS 'standard deviation of the sample';
COMMENT ON COLUMN auren.metrics.p50_value IS 'median, as percentile_disc gives it; of more than 16 values within 1 %';
COMMENT ON COLUMN auren.metrics.p95_value IS '95th percentile, likewise';
COMMENT ON COLUMN auren.metrics.value_count IS 'readings with a value';
COMMENT ON COLUMN auren.metrics.sum_value IS 'sum of the values';
COMMENT ON COLUMN auren.tenant_series.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.tenant_series.user_id IS 'user';
COMMENT ON COLUMN auren.tenant_series.device_type IS 'device';
COMMENT ON COLUMN auren.tenant_series.metric_type IS 'metric';
COMMENT ON COLUMN auren.tenant_series.series_id IS 'number of the series';
COMMENT ON COLUMN auren.tenant_deltas.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.tenant_deltas.user_id IS 'user';
COMMENT ON COLUMN auren.tenant_deltas.device_type IS 'device';
COMMENT ON COLUMN auren.tenant_deltas.metric_type IS 'metric';
COMMENT ON COLUMN auren.tenant_deltas.series_id IS 'number of the series';
COMMENT ON COLUMN auren.tenant_deltas.bucket IS 'start of the five minutes';
COMMENT ON COLUMN auren.tenant_deltas.summary IS 'what was added and taken';
COMMENT ON COLUMN analytics.user_metrics_daily.day IS 'day, of the zone that analytics.set_time_zone set';
COMMENT ON COLUMN analytics.user_metrics_daily.user_id IS 'user';
COMMENT ON COLUMN analytics.user_metrics_daily.device_type IS 'device';
COMMENT ON COLUMN analytics.user_metrics_daily.metric_type IS 'metric';
COMMENT ON COLUMN analytics.user_metrics_daily.reading_count IS 'readings, those without a value too';
COMMENT ON COLUMN analytics.user_metrics_daily.avg_value IS 'average of the values';
COMMENT ON COLUMN analytics.user_metrics_daily.min_value IS 'least value';
COMMENT ON COLUMN analytics.user_metrics_daily.max_value IS 'greatest value';
COMMENT ON COLUMN analytics.user_metrics_daily.stddev_value IS 'standard deviation of the sample';
COMMENT ON COLUMN analytics.user_metrics_daily.tenant_id IS 'tenant';
COMMENT ON COLUMN analytics.user_metrics_daily.p50_value IS 'median, as percentile_disc gives it; of more than 16 values within 1 %';
COMMENT ON COLUMN analytics.user_metrics_daily.p95_value IS '95th percentile, likewise';
COMMENT ON COLUMN analytics.user_metrics_daily.value_count IS 'readings with a value';
COMMENT ON COLUMN analytics.user_metrics_daily.sum_value IS 'sum of the values';
COMMENT ON COLUMN analytics.user_metrics_hourly.bucket IS 'start of the hour';
COMMENT ON COLUMN analytics.user_metrics_hourly.user_id IS 'user';
COMMENT ON COLUMN analytics.user_metrics_hourly.device_type IS 'device';
COMMENT ON COLUMN analytics.user_metrics_hourly.metric_type IS 'metric';
COMMENT ON COLUMN analytics.user_metrics_hourly.reading_count IS 'readings, those without a value too';
COMMENT ON COLUMN analytics.user_metrics_hourly.avg_value IS 'average of the values';
COMMENT ON COLUMN analytics.user_metrics_hourly.min_value IS 'least value';
COMMENT ON COLUMN analytics.user_metrics_hourly.max_value IS 'greatest value';
COMMENT ON COLUMN analytics.user_metrics_hourly.stddev_value IS 'standard deviation of the sample';
COMMENT ON COLUMN analytics.user_metrics_hourly.tenant_id IS 'tenant';
COMMENT ON COLUMN analytics.user_metrics_hourly.p50_value IS 'median, as percentile_disc gives it; of more than 16 values within 1 %';
COMMENT ON COLUMN analytics.user_metrics_hourly.p95_value IS '95th percentile, likewise';
COMMENT ON COLUMN analytics.user_metrics_hourly.value_count IS 'readings with a value';
COMMENT ON COLUMN analytics.user_metrics_hourly.sum_value IS 'sum of the values';
COMMENT ON COLUMN analytics.user_metrics_5min.bucket IS 'start of the five minutes';
COMMENT ON COLUMN analytics.user_metrics_5min.user_id IS 'user';
COMMENT ON COLUMN analytics.user_metrics_5min.device_type IS 'device';
COMMENT ON COLUMN analytics.user_metrics_5min.metric_type IS 'metric';
COMMENT ON COLUMN analytics.user_metrics_5min.reading_count IS 'readings, those without a value too';
COMMENT ON COLUMN analytics.user_metrics_5min.avg_value IS 'average of the values';
COMMENT ON COLUMN analytics.user_metrics_5min.min_value IS 'least value';
COMMENT ON COLUMN analytics.user_metrics_5min.max_value IS 'greatest value';
COMMENT ON COLUMN analytics.user_metrics_5min.stddev_value IS 'standard deviation of the sample';
COMMENT ON COLUMN analytics.user_metrics_5min.tenant_id IS 'tenant';
COMMENT ON COLUMN analytics.user_metrics_5min.p50_value IS 'median, as percentile_disc gives it; of more than 16 values within 1 %';
COMMENT ON COLUMN analytics.user_metrics_5min.p95_value IS '95th percentile, likewise';
COMMENT ON COLUMN analytics.user_metrics_5min.value_count IS 'readings with a value';
COMMENT ON COLUMN analytics.user_metrics_5min.sum_value IS 'sum of the values';
COMMENT ON COLUMN analytics.refresh_status.pending_changes IS 'changes that no refresh has merged yet';
COMMENT ON COLUMN analytics.refresh_status.pending_sources IS 'sources that the next refresh counts as a whole';
COMMENT ON COLUMN analytics.refresh_status.last_run IS 'when the last refresh was done';
COMMENT ON COLUMN analytics.refresh_status.last_duration IS 'how long it took';
COMMENT ON COLUMN analytics.refresh_status.last_changes IS 'changes that it merged';
COMMENT ON COLUMN analytics.refresh_status.last_rows IS 'buckets that it wrote';
COMMENT ON COLUMN analytics.refresh_status.refused_readings IS 'what the sources of all tenants hold that is not a reading; analytics.refused_readings says why';
COMMENT ON COLUMN analytics.refused_readings.source_id IS 'number of the source';
COMMENT ON COLUMN analytics.refused_readings.relation IS 'its table; NULL: events';
COMMENT ON COLUMN analytics.refused_readings.event_type IS 'type of its events; NULL: a table';
COMMENT ON COLUMN analytics.refused_readings.reason IS 'time: it cannot be read; value: there is one that is not a number; user: the field names nobody; names: tenant, user, device and metric are longer than 2,500 bytes together; samples: no array';
COMMENT ON COLUMN analytics.refused_readings.refused IS 'how many readings that would have been';
COMMENT ON COLUMN analytics.refused_readings.last_position IS 'global position of the last such event; NULL: rows of a table';
COMMENT ON COLUMN encrypted.audit.at IS 'when';
COMMENT ON COLUMN encrypted.audit.action IS 'decrypt, forget, allow or rotate';
COMMENT ON COLUMN encrypted.audit.user_id IS 'person';
COMMENT ON COLUMN encrypted.audit.field IS 'field, where one was decrypted';
COMMENT ON COLUMN encrypted.audit.role IS 'role that did it; within a function that runs as its owner the owner';
COMMENT ON COLUMN encrypted.audit.session_role IS 'role that logged in';
COMMENT ON COLUMN encrypted.audit.reason IS 'why, as that role said';
COMMENT ON COLUMN encrypted.audit.keys IS 'data keys that were destroyed';
COMMENT ON COLUMN encrypted.audit.outer_role IS 'role that the session had taken, outside of functions that run as their owner';
COMMENT ON COLUMN encrypted.rules.event_type IS 'event type';
COMMENT ON COLUMN encrypted.rules.person IS 'whose fields they are: a JSON pointer into the data, or a pattern of stream ids';
COMMENT ON COLUMN encrypted.rules.paths IS 'JSON pointers to the personal fields';
COMMENT ON COLUMN encrypted.status.key_version IS 'how many data keys of the person came before, and this one';
COMMENT ON COLUMN encrypted.status.master_key_id IS 'master key that wraps them';
COMMENT ON COLUMN encrypted.status.keys IS 'how many there are';
COMMENT ON COLUMN encrypted.status.oldest IS 'when the first was made';
COMMENT ON COLUMN encrypted.status.newest IS 'when the last was made';
COMMENT ON COLUMN encrypted.status.rotation_pending IS 'whether encrypted.rotate_master_key has yet to wrap them anew';
COMMENT ON COLUMN encrypted.status.forgotten_people IS 'people who were forgotten, of the tenant';
COMMENT ON COLUMN events.feed_blockers.after_position IS 'the feed ends there until the transaction ends';
COMMENT ON COLUMN events.feed_blockers.pid IS 'its process; NULL when it is prepared';
COMMENT ON COLUMN events.feed_blockers.since IS 'when the transaction began';
COMMENT ON COLUMN events.feed_blockers.state IS 'state of its session';
COMMENT ON COLUMN events.feed_blockers.query IS 'its query';
COMMENT ON COLUMN events.feed_blockers.prepared_gid IS 'its name when it is prepared';
COMMENT ON COLUMN events.feed_blockers.role IS 'role';
COMMENT ON COLUMN events.lock_holders.holds IS 'table, or what the lock stands for';
COMMENT ON COLUMN events.lock_holders.mode IS 'mode of the lock';
COMMENT ON COLUMN events.lock_holders.locks IS 'how many there are';
COMMENT ON COLUMN events.lock_holders.pid IS 'process; NULL when its transaction is prepared';
COMMENT ON COLUMN events.lock_holders.since IS 'when the transaction began';
COMMENT ON COLUMN events.lock_holders.state IS 'state of its session';
COMMENT ON COLUMN events.lock_holders.query IS 'its query';
COMMENT ON COLUMN events.lock_holders.prepared_gid IS 'name of its transaction when that is prepared';
COMMENT ON COLUMN events.lock_holders.role IS 'role';
COMMENT ON COLUMN events.notification_queue.usage IS 'how full the queue is, 0 to 1';
COMMENT ON COLUMN events.notification_queue.pid IS 'session that sleeps in a transaction';
COMMENT ON COLUMN events.notification_queue.role IS 'role';
COMMENT ON COLUMN events.notification_queue.application_name IS 'its application';
COMMENT ON COLUMN events.notification_queue.state IS 'state of its session';
COMMENT ON COLUMN events.notification_queue.since IS 'since when it sleeps';
COMMENT ON COLUMN events.notification_queue.query IS 'its query';
COMMENT ON COLUMN events.notification_rules.channel IS 'channel that is told';
COMMENT ON COLUMN events.notification_rules.event_type IS 'event type that it is about; NULL: every type';
COMMENT ON COLUMN events.notification_rules.category IS 'category that it is about; NULL: every category';
COMMENT ON COLUMN events.parked.name IS 'subscription';
COMMENT ON COLUMN events.parked.global_position IS 'position of the event';
COMMENT ON COLUMN events.parked.stream_id IS 'stream';
COMMENT ON COLUMN events.parked.attempts IS 'how often it failed';
COMMENT ON COLUMN events.parked.reason IS 'what the consumer said';
COMMENT ON COLUMN events.parked.since IS 'since when';
COMMENT ON COLUMN events.parked.events_waiting IS 'later events of its stream that wait for it';
COMMENT ON COLUMN events.reducers.event_type IS 'event type';
COMMENT ON COLUMN events.reducers.category IS 'category that it is about; NULL: every category';
COMMENT ON COLUMN events.reducers.kind IS 'how it folds';
COMMENT ON COLUMN events.reducers.options IS 'options of the kind';
COMMENT ON COLUMN events.reducers.declared_by IS 'role that declared it';
COMMENT ON COLUMN events.reducers.declared_at IS 'when';
COMMENT ON COLUMN events.snapshots.tenant_id IS 'tenant';
COMMENT ON COLUMN events.snapshots.stream_id IS 'stream';
COMMENT ON COLUMN events.snapshots.category IS 'category';
COMMENT ON COLUMN events.snapshots.stream_version IS 'version that the state is of';
COMMENT ON COLUMN events.snapshots.taken_at IS 'when';
COMMENT ON COLUMN events.snapshots.reducers_version IS 'version of the reducers that folded it';
COMMENT ON COLUMN events.snapshots.usable IS 'whether the reducers are still the same';
COMMENT ON COLUMN events.snapshots.bytes IS 'size of the state';
COMMENT ON COLUMN events.streams.tenant_id IS 'tenant';
COMMENT ON COLUMN events.streams.stream_id IS 'stream';
COMMENT ON COLUMN events.streams.category IS 'category';
COMMENT ON COLUMN events.streams.version IS 'version of the newest event';
COMMENT ON COLUMN events.streams.first_event_at IS 'when the first event was appended';
COMMENT ON COLUMN events.streams.last_event_at IS 'when the newest was';
COMMENT ON COLUMN events.streams.closed IS 'whether it takes no more events';
COMMENT ON COLUMN events.streams.closed_at IS 'since when';
COMMENT ON COLUMN events.streams.closed_by IS 'role that closed it';
COMMENT ON COLUMN events.streams.closed_reason IS 'why';
COMMENT ON COLUMN events.subscriptions.tenant_id IS 'tenant';
COMMENT ON COLUMN events.subscriptions.name IS 'name';
COMMENT ON COLUMN events.subscriptions.checkpoint IS 'every event up to this position is done or held: to be retried, waiting or parked';
COMMENT ON COLUMN events.subscriptions.head IS 'last final position of the feed';
COMMENT ON COLUMN events.subscriptions.lag_events IS 'events that are neither done nor parked, in hand or not; of those that are not held up to a million';
COMMENT ON COLUMN events.subscriptions.lag_seconds IS 'age of the oldest of them';
COMMENT ON COLUMN events.subscriptions.lag_is_exact IS 'whether that is all';
COMMENT ON COLUMN events.subscriptions.consumers IS 'consumers with a lease';
COMMENT ON COLUMN events.subscriptions.parked IS 'events that are parked';
COMMENT ON COLUMN events.subscriptions.retrying IS 'events that failed and will be given again';
COMMENT ON COLUMN events.subscriptions.last_error IS 'reason of the last failure';
COMMENT ON COLUMN events.subscriptions.event_types IS 'types that it lets through; NULL: all';
COMMENT ON COLUMN events.subscriptions.category IS 'category that it lets through; NULL: all';
COMMENT ON COLUMN events.subscriptions.stream_prefix IS 'beginning of the stream ids that it lets through; NULL: all';
COMMENT ON COLUMN events.subscriptions.shares IS 'shares that its streams fall into';
COMMENT ON COLUMN events.subscriptions.max_attempts IS 'attempts before an event is parked';
COMMENT ON COLUMN events.subscriptions.lease IS 'how long a consumer keeps its shares';
COMMENT ON COLUMN events.subscriptions.stream_waits IS 'whether the later events of a stream wait for its parked one';
COMMENT ON COLUMN events.subscriptions.created_by IS 'role that made it';
COMMENT ON COLUMN events.subscriptions.created_at IS 'when';
COMMENT ON COLUMN events.subscriptions.due_events IS 'the part of lag_events that a fetch may give or has given';
COMMENT ON COLUMN events.subscriptions.delayed_events IS 'the part of lag_events whose retry is not due yet';
COMMENT ON COLUMN events.subscriptions.waiting_events IS 'the part of lag_events that waits for an earlier event of their stream';
COMMENT ON COLUMN events.tenant_events.event_id IS 'id of the event';
COMMENT ON COLUMN events.tenant_events.stream_id IS 'stream';
COMMENT ON COLUMN events.tenant_events.stream_version IS 'place of the event in its stream';
COMMENT ON COLUMN events.tenant_events.event_type IS 'event type';
COMMENT ON COLUMN events.tenant_events.event_data IS 'what happened';
COMMENT ON COLUMN events.tenant_events.metadata IS 'what the caller said about the event';
COMMENT ON COLUMN events.tenant_events.created_at IS 'when it was appended';
COMMENT ON COLUMN events.tenant_events.created_by IS 'the person or program that appended it, as the caller said';
COMMENT ON COLUMN events.tenant_events.tenant_id IS 'tenant';
COMMENT ON COLUMN events.tenant_events.global_position IS 'place among all events';

COMMENT ON TRIGGER refuse_change ON events.event_store IS 'refuses UPDATE and DELETE, of each month too';
COMMENT ON TRIGGER refuse_truncate ON events.event_store IS 'refuses TRUNCATE';
COMMENT ON TRIGGER tell_sessions ON events.tenant_bindings IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON auren.declared_reducers IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON auren.declared_notification_rules IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON analytics.sources IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON auren.data_keys IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON auren.declared_personal_rules IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER auren_record_row ON biometric.biometric_events IS 'gathers the readings that a statement adds and takes';
COMMENT ON TRIGGER auren_record_statement ON biometric.biometric_events IS 'records what was gathered';
COMMENT ON TRIGGER auren_record_truncate ON biometric.biometric_events IS 'records that all readings are taken';
COMMENT ON TRIGGER refuse_change ON encrypted.audit_log IS 'refuses UPDATE and DELETE';
COMMENT ON TRIGGER refuse_truncate ON encrypted.audit_log IS 'refuses TRUNCATE';
-- DROP EXTENSION would take every event with it without a word.

CREATE FUNCTION auren.guard_drop() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_guard_drop';
COMMENT ON FUNCTION auren.guard_drop() IS 'event trigger: refuses to drop auren_events while it holds events, unless auren_events.allow_drop is on, and to drop an index of its own concurrently';
REVOKE ALL ON FUNCTION auren.guard_drop() FROM PUBLIC;

CREATE EVENT TRIGGER auren_events_guard_drop ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP OWNED', 'DROP INDEX') EXECUTE FUNCTION auren.guard_drop();
-- under session_replication_role = replica too
ALTER EVENT TRIGGER auren_events_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_guard_drop IS 'keeps DROP EXTENSION auren_events from taking events with it, and DROP INDEX CONCURRENTLY from the indexes that the store needs';
-- Tools that capture changes publish all tables, and the server then refuses UPDATE and DELETE of one without a key. Most of these have none, so that nobody waits for
-- another's row; readings have none, since an index more would cost every insert. The whole row is the key: it is written to the WAL when a row goes, at wal_level = logical only.
ALTER TABLE auren.stream_snapshots REPLICA IDENTITY FULL;
ALTER TABLE auren.feed_horizons REPLICA IDENTITY FULL;
ALTER TABLE auren.subscription_progress REPLICA IDENTITY FULL;
ALTER TABLE auren.subscription_consumers REPLICA IDENTITY FULL;
ALTER TABLE biometric.biometric_events REPLICA IDENTITY FULL;
ALTER TABLE auren.series REPLICA IDENTITY FULL;
ALTER TABLE auren.series_secret REPLICA IDENTITY FULL;
ALTER TABLE auren.deltas REPLICA IDENTITY FULL;
ALTER TABLE auren.delta_packs REPLICA IDENTITY FULL;
ALTER TABLE auren.metric_settings REPLICA IDENTITY FULL;
ALTER TABLE auren.refresh_runs REPLICA IDENTITY FULL;
ALTER TABLE auren.refusals REPLICA IDENTITY FULL;
ALTER TABLE auren.key_uses REPLICA IDENTITY FULL;
ALTER TABLE encrypted.audit_log REPLICA IDENTITY FULL;
-- What a DBA adds to the store's tables. A dump holds nothing of what hangs on a table of an extension: it is written down in a
-- table that a dump holds, and made again from there.

CREATE TABLE auren.kept_objects (
	relation   text COLLATE "C" NOT NULL,
	kind       text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	definition text NOT NULL,
	CONSTRAINT kept_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.kept_objects IS 'what was added to the store''s tables (triggers, policies, indexes and the like), so that a dump holds it';
COMMENT ON COLUMN auren.kept_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN auren.kept_objects.kind IS 'trigger, policy, index, constraint and so on';
COMMENT ON COLUMN auren.kept_objects.name IS 'its name, empty where the table has one of the kind';
COMMENT ON COLUMN auren.kept_objects.definition IS 'statements that make it';
CREATE TABLE auren.present_objects (
	relation text COLLATE "C" NOT NULL,
	kind     text COLLATE "C" NOT NULL,
	name     text COLLATE "C" NOT NULL,
	CONSTRAINT present_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.present_objects IS 'which of auren.kept_objects are there in this database. Not dumped: after a restore none is, until it was made';
COMMENT ON COLUMN auren.present_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN auren.present_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.present_objects.name IS 'its name';
CREATE TABLE auren.shipped_objects (
	relation   text COLLATE "C" NOT NULL,
	kind       text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	definition text NOT NULL,
	CONSTRAINT shipped_objects_pkey PRIMARY KEY (relation, kind, name)
);
COMMENT ON TABLE auren.shipped_objects IS 'what the extension itself puts on its tables: all else was added. Not dumped, each version has its own';
COMMENT ON COLUMN auren.shipped_objects.relation IS 'table';
COMMENT ON COLUMN auren.shipped_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.shipped_objects.name IS 'its name';
COMMENT ON COLUMN auren.shipped_objects.definition IS 'statements that make it, or the type of a column';

CREATE FUNCTION auren.require_restored() RETURNS boolean
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_require_restored';
COMMENT ON FUNCTION auren.require_restored() IS 'fails with 55000: what the policies call that close the tables until events.restore_objects() was called';

-- The kinds column and parent index are refused (a dump that has one cannot be restored), all others are kept.
CREATE VIEW auren.table_objects AS
	WITH member AS (
		SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions, format('%I.%I', n.nspname, c.relname) AS relation,
			EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'auren_events_closed') AS closed
		FROM pg_extension e
			JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
			JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'v')
			JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE e.extname = 'auren_events'),
	owned AS (SELECT * FROM member WHERE relkind <> 'v')
	SELECT m.relation, 'column' AS kind, a.attname::text AS name,
		concat_ws(' ', format_type(a.atttypid, a.atttypmod), nullif(a.attcollation, 0)::regcollation, CASE WHEN a.attnotnull THEN 'NOT NULL' END,
			CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END, CASE WHEN a.attidentity <> '' THEN 'IDENTITY' END) AS definition
	FROM owned m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT m.relation, 'parent index', i.relname, pg_get_indexdef(i.oid)
	FROM owned m JOIN pg_index x ON x.indrelid = m.oid JOIN pg_class i ON i.oid = x.indexrelid
	WHERE m.relkind = 'p'
	UNION ALL
	SELECT m.relation, 'table setting', '', format('ALTER TABLE %s SET (%s)', m.relation, array_to_string(m.reloptions, ', '))
	FROM owned m WHERE m.reloptions IS NOT NULL
	UNION ALL
	SELECT m.relation, 'column setting', a.attname, format('ALTER TABLE ONLY %s ', m.relation) || concat_ws(', ',
		format('ALTER COLUMN %I SET STATISTICS %s', a.attname, coalesce(a.attstattarget::integer, -1)),
		format('ALTER COLUMN %I SET STORAGE %s', a.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END),
		CASE a.attcompression WHEN 'p' THEN format('ALTER COLUMN %I SET COMPRESSION pglz', a.attname) WHEN 'l' THEN format('ALTER COLUMN %I SET COMPRESSION lz4', a.attname) END,
		-- a server may write options of its own beside these two
		(SELECT format('ALTER COLUMN %I SET (%s)', a.attname, string_agg(o.option, ', ' ORDER BY o.option)) FROM unnest(a.attoptions) o(option)
		 WHERE split_part(o.option, '=', 1) IN ('n_distinct', 'n_distinct_inherited') HAVING count(*) > 0),
		CASE WHEN d.adbin IS NULL THEN format('ALTER COLUMN %I DROP DEFAULT', a.attname)
		     WHEN a.attgenerated = '' THEN format('ALTER COLUMN %I SET DEFAULT %s', a.attname, pg_get_expr(d.adbin, d.adrelid)) END)
	FROM owned m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	UNION ALL
	SELECT m.relation, 'index', i.relname, pg_get_indexdef(i.oid)
	FROM owned m JOIN pg_index x ON x.indrelid = m.oid AND x.indisvalid JOIN pg_class i ON i.oid = x.indexrelid
	WHERE m.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
	UNION ALL
	SELECT m.relation, CASE k.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, k.conname, format('ALTER TABLE %s ADD CONSTRAINT %I %s', m.relation, k.conname, pg_get_constraintdef(k.oid))
	FROM owned m JOIN pg_constraint k ON k.conrelid = m.oid AND k.conparentid = 0
	WHERE k.contype IN ('c', 'f') OR k.contype IN ('p', 'u', 'x') AND m.relkind = 'r'
	UNION ALL
	SELECT m.relation, 'statistics', format('%I.%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid)
			|| CASE WHEN coalesce(s.stxstattarget::integer, -1) >= 0 THEN format('; ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) ELSE '' END
	FROM owned m JOIN pg_statistic_ext s ON s.stxrelid = m.oid JOIN pg_namespace n ON n.oid = s.stxnamespace
	UNION ALL
	SELECT m.relation, 'rule', r.rulename, pg_get_ruledef(r.oid)
			|| CASE r.ev_enabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %s %s RULE %I', m.relation,
			   CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, r.rulename) END
	FROM owned m JOIN pg_rewrite r ON r.ev_class = m.oid
	UNION ALL
	SELECT m.relation, 'trigger', t.tgname, pg_get_triggerdef(t.oid)
	FROM member m JOIN pg_trigger t ON t.tgrelid = m.oid
	WHERE NOT t.tgisinternal AND t.tgparentid = 0
	UNION ALL
	SELECT m.relation, 'trigger state', t.tgname, format('ALTER TABLE %s %s TRIGGER %I', m.relation,
		CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname)
	FROM member m JOIN pg_trigger t ON t.tgrelid = m.oid
	WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'O'
	UNION ALL
	SELECT m.relation, 'policy', p.polname, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, m.relation,
			CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
			CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
			(SELECT string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.role)) END, ', ' ORDER BY r.place)
			 FROM unnest(p.polroles) WITH ORDINALITY r(role, place)))
		|| coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
	FROM owned m JOIN pg_policy p ON p.polrelid = m.oid
	WHERE p.polname <> 'auren_events_closed'
	UNION ALL
	SELECT m.relation, 'row security', '', format('ALTER TABLE %s ', m.relation) || concat_ws(', ', CASE WHEN m.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
		CASE WHEN m.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END)
	FROM owned m
	WHERE (m.relrowsecurity OR m.relforcerowsecurity) AND NOT m.closed
	UNION ALL
	SELECT m.relation, 'replica identity', '', format('ALTER TABLE ONLY %s REPLICA IDENTITY ', m.relation) || CASE m.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
		ELSE (SELECT format('USING INDEX %I', i.relname) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = m.oid AND x.indisreplident) END
	FROM owned m
	WHERE m.relreplident <> 'd'
	UNION ALL
	SELECT m.relation, 'publication', p.pubname, format('ALTER PUBLICATION %I ADD TABLE %s', p.pubname, m.relation)
		|| coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a
			WHERE a.attrelid = m.oid AND a.attnum = ANY (r.prattrs)), '')
		|| coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')
	FROM owned m JOIN pg_publication_rel r ON r.prrelid = m.oid JOIN pg_publication p ON p.oid = r.prpubid
	UNION ALL
	SELECT m.relation, 'comment', o.what, format('COMMENT ON %s IS %L', o.full_name, d.description)
	FROM owned m CROSS JOIN LATERAL (
		SELECT 'pg_class'::regclass AS class, m.oid, 0 AS part, 'TABLE' AS what, format('TABLE %s', m.relation) AS full_name
		UNION ALL
		SELECT 'pg_class'::regclass, m.oid, a.attnum, format('COLUMN %I', a.attname), format('COLUMN %s.%I', m.relation, a.attname) FROM pg_attribute a
		WHERE a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL
		SELECT 'pg_class'::regclass, i.oid, 0, format('INDEX %I', i.relname), format('INDEX %I.%I', n.nspname, i.relname)
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace WHERE x.indrelid = m.oid
		UNION ALL
		SELECT 'pg_constraint'::regclass, k.oid, 0, format('CONSTRAINT %I', k.conname), format('CONSTRAINT %I ON %s', k.conname, m.relation) FROM pg_constraint k WHERE k.conrelid = m.oid
		UNION ALL
		SELECT 'pg_trigger'::regclass, t.oid, 0, format('TRIGGER %I', t.tgname), format('TRIGGER %I ON %s', t.tgname, m.relation) FROM pg_trigger t WHERE t.tgrelid = m.oid
		UNION ALL
		SELECT 'pg_policy'::regclass, p.oid, 0, format('POLICY %I', p.polname), format('POLICY %I ON %s', p.polname, m.relation) FROM pg_policy p WHERE p.polrelid = m.oid
		UNION ALL
		SELECT 'pg_rewrite'::regclass, r.oid, 0, format('RULE %I', r.rulename), format('RULE %I ON %s', r.rulename, m.relation) FROM pg_rewrite r WHERE r.ev_class = m.oid
		UNION ALL
		SELECT 'pg_statistic_ext'::regclass, s.oid, 0, format('STATISTICS %I.%I', n.nspname, s.stxname), format('STATISTICS %I.%I', n.nspname, s.stxname)
		FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = m.oid) o
		JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid AND d.objsubid = o.part;
COMMENT ON VIEW auren.table_objects IS 'everything that hangs on the store''s tables, the extension''s own and what was added, as statements';
COMMENT ON COLUMN auren.table_objects.relation IS 'table, or for triggers a view';
COMMENT ON COLUMN auren.table_objects.kind IS 'kind of object';
COMMENT ON COLUMN auren.table_objects.name IS 'its name';
COMMENT ON COLUMN auren.table_objects.definition IS 'statements that make it; type of a column';

CREATE VIEW events.added_objects AS
	SELECT k.relation, k.kind, k.name, k.definition, p.relation IS NOT NULL AS present
	FROM auren.kept_objects k LEFT JOIN auren.present_objects p USING (relation, kind, name);
COMMENT ON VIEW events.added_objects IS 'what was added to the store''s tables, and whether it is there: after a restore it is made by events.restore_objects()';
INSERT INTO auren.rights VALUES ('events.added_objects', 'SELECT', '{}');
COMMENT ON COLUMN events.added_objects.relation IS 'table that it was added to';
COMMENT ON COLUMN events.added_objects.kind IS 'kind of object';
COMMENT ON COLUMN events.added_objects.name IS 'its name';
COMMENT ON COLUMN events.added_objects.definition IS 'statements that make it';
COMMENT ON COLUMN events.added_objects.present IS 'whether it is there; while one is not, the store is closed';

CREATE FUNCTION events.restore_objects() RETURNS TABLE (relation text, kind text, name text, problem text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_restore_objects';
COMMENT ON FUNCTION events.restore_objects() IS 'makes what was added to the store''s tables before a dump and opens the store; returns what could not be made, and why';
INSERT INTO auren.rights VALUES ('events.restore_objects', 'EXECUTE', '{}');
CREATE FUNCTION events.give_up_objects() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_give_up_objects';
COMMENT ON FUNCTION events.give_up_objects() IS 'goes on without what events.restore_objects() could not make, opens the store and returns how many objects that were';
INSERT INTO auren.rights VALUES ('events.give_up_objects', 'EXECUTE', '{}');

CREATE FUNCTION auren.objects_came() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_objects_came';
COMMENT ON FUNCTION auren.objects_came() IS 'trigger of auren.kept_objects: closes the store when a restore brings objects that are not there';
REVOKE ALL ON FUNCTION auren.objects_came() FROM PUBLIC;
CREATE TRIGGER objects_came AFTER INSERT ON auren.kept_objects
	FOR EACH STATEMENT EXECUTE FUNCTION auren.objects_came();
ALTER TABLE auren.kept_objects ENABLE ALWAYS TRIGGER objects_came;
COMMENT ON TRIGGER objects_came ON auren.kept_objects IS 'closes the store until events.restore_objects() was called';

CREATE FUNCTION auren.keep_objects() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_keep_objects';
COMMENT ON FUNCTION auren.keep_objects() IS 'event trigger: writes down what is added to the store''s tables, and refuses what a restore could not make again';
REVOKE ALL ON FUNCTION auren.keep_objects() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_objects_change ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER', 'ALTER TRIGGER', 'CREATE POLICY', 'ALTER POLICY', 'CREATE RULE', 'ALTER RULE',
		'CREATE STATISTICS', 'ALTER STATISTICS', 'CREATE PUBLICATION', 'ALTER PUBLICATION', 'COMMENT', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER PROCEDURE', 'ALTER SCHEMA',
		'ALTER TYPE', 'ALTER DOMAIN', 'ALTER COLLATION', 'ALTER OPERATOR CLASS', 'ALTER VIEW', 'ALTER SEQUENCE', 'ALTER TEXT SEARCH CONFIGURATION', 'CREATE SCHEMA')
	EXECUTE FUNCTION auren.keep_objects();
CREATE EVENT TRIGGER auren_events_objects_gone ON sql_drop
	EXECUTE FUNCTION auren.keep_objects();
ALTER EVENT TRIGGER auren_events_objects_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_objects_gone ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_objects_change IS 'writes down what is added to the store''s tables';
COMMENT ON EVENT TRIGGER auren_events_objects_gone IS 'takes note of what was added to the store''s tables and dropped';

-- Last, so that all of it counts as the extension's own. It is written as every session compares it (pg::FixDefinitionSettings): by a function, since
-- what a script sets stays set to the end of the transaction of whoever runs CREATE EXTENSION.
CREATE FUNCTION auren.write_shipped_objects() RETURNS void LANGUAGE sql
	SET "DateStyle" = 'ISO' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC' SET extra_float_digits = '3' SET bytea_output = 'hex' SET lc_monetary = 'C'
	SET quote_all_identifiers = 'off' SET standard_conforming_strings = 'on'
	AS 'INSERT INTO auren.shipped_objects SELECT relation, kind, name, definition FROM auren.table_objects';
SELECT auren.write_shipped_objects();
DROP FUNCTION auren.write_shipped_objects();
SELECT pg_catalog.pg_extension_config_dump('auren.kept_objects', '');
-- What a dump must hold, and what no role may do unless that is granted. Months are not members of the extension:
-- pg_dump holds them as tables of the database.

SELECT pg_catalog.pg_extension_config_dump('auren.global_position_seq', '');
SELECT pg_catalog.pg_extension_config_dump('events.event_store', '');
SELECT pg_catalog.pg_extension_config_dump('auren.stream_rows', '');
SELECT pg_catalog.pg_extension_config_dump('auren.supplied_ids', '');
SELECT pg_catalog.pg_extension_config_dump('events.tenant_bindings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_reducers', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_notification_rules', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_settings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_progress', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_held', '');
SELECT pg_catalog.pg_extension_config_dump('auren.data_keys', '');
SELECT pg_catalog.pg_extension_config_dump('auren.key_uses', '');
SELECT pg_catalog.pg_extension_config_dump('auren.forgotten_people', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_personal_rules', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.audit_log', '');

-- No metrics are dumped: a restore copies readings in before the triggers are there, or after they are, and counts none of them twice.
-- Those of biometric.biometric_events are made anew as its rows come in, those of attached sources by the first refresh.
SELECT pg_catalog.pg_extension_config_dump('biometric.biometric_events', '');
SELECT pg_catalog.pg_extension_config_dump('auren.source_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('analytics.sources', 'WHERE source_id OPERATOR(pg_catalog.>) 1');
SELECT pg_catalog.pg_extension_config_dump('auren.metric_settings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.retention', '');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA events, biometric, analytics, encrypted, auren FROM PUBLIC;
-- What views call is checked against the reader of the view; nobody can name it, since nobody has USAGE on the schema. Said here, and not
-- left to the server's default, which whoever installs may have changed.
GRANT EXECUTE ON FUNCTION auren.current_tenant(), auren.view_tenant(), auren.reducers_version(), auren.stream_summary(text), auren.subscription_status(text),
	auren.filled_sources(), auren.unfilled_readings(), auren.delta_lots(bigint), auren.has_deltas(bytea, bigint), auren.unpack_deltas(bytea),
	auren.metric_values(bytea, bigint, timestamptz, integer), auren.master_key_id(), auren.require_restored() TO PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA events, biometric, analytics, encrypted, auren FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA auren FROM PUBLIC;
REVOKE ALL ON TYPE auren.metrics FROM PUBLIC;
