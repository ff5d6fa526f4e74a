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
