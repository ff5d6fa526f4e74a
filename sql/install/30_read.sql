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
                 metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream_with_tags';
COMMENT ON FUNCTION events.replay_stream(text, bigint, bigint) IS 'events of a stream in order of version, from and to included';
INSERT INTO auren.rights VALUES ('events.replay_stream', 'EXECUTE', '{reader}');

CREATE FUNCTION events.replay_stream_backward(
	p_stream_id    text,
	p_from_version bigint  DEFAULT NULL,
	p_limit        integer DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
                 metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream_backward_with_tags';
COMMENT ON FUNCTION events.replay_stream_backward(text, bigint, integer) IS 'events of a stream, newest first, from a version (included; NULL: the newest) and at most p_limit';
INSERT INTO auren.rights VALUES ('events.replay_stream_backward', 'EXECUTE', '{reader}');

CREATE FUNCTION events.last_event(p_stream_id text, p_event_type text DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
	               metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_last_event_with_tags';
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
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_events_by_time_with_tags';
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
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_find_events_with_tags';
COMMENT ON FUNCTION events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint) IS
'events whose data contains p_contains (as @> does, by the GIN index), newest first; for the next page give the last row''s created_at as p_to and its global_position as p_before_position';
INSERT INTO auren.rights VALUES ('events.find_events', 'EXECUTE', '{reader}');
