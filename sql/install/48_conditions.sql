-- Queries over events by tags, types and streams, and appends that depend on what such a query finds.

CREATE FUNCTION events.read_by_query(
	p_query          jsonb,
	p_after_position bigint  DEFAULT 0,
	p_up_to          bigint  DEFAULT NULL,
	p_limit          integer DEFAULT 1000,
	p_backwards      boolean DEFAULT false
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_by_query';
COMMENT ON FUNCTION events.read_by_query(jsonb, bigint, bigint, integer, boolean) IS
'final events of this session''s tenant that match a query, after a position and up to another, in order of position or against it, each once; the query is an item or an array of items of which one must match: {"types": [...], "tags": [...], "stream": "...", "during": [from, to]}';
INSERT INTO auren.rights VALUES ('events.read_by_query', 'EXECUTE', '{reader}', '0.2.0');

CREATE FUNCTION events.append_if(
	p_query             jsonb,
	p_after             bigint,
	p_stream_ids        text[],
	p_event_types       text[],
	p_event_data        jsonb[],
	p_created_by        text     DEFAULT 'system',
	p_metadata          jsonb[]  DEFAULT NULL,
	p_expected_versions bigint[] DEFAULT NULL,
	p_event_ids         uuid[]   DEFAULT NULL,
	p_tags              jsonb[]  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_append_if';
COMMENT ON FUNCTION events.append_if(jsonb, bigint, text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) IS
'appends a batch as events.append_events does, unless an event after p_after matches p_query (NULL: unless any does) or a stream is not at the version that an item names: ZE008; p_after is the events.feed_horizon() up to which the caller has read';
INSERT INTO auren.rights VALUES ('events.append_if', 'EXECUTE', '{writer}', '0.2.0');
