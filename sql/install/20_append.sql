-- Appending.

CREATE FUNCTION events.append_event(
	p_stream_id        text,
	p_event_type       text,
	p_event_data       jsonb,
	p_created_by       text   DEFAULT 'system',
	p_metadata         jsonb  DEFAULT '{}',
	p_expected_version bigint DEFAULT NULL,
	p_event_id         uuid   DEFAULT NULL,
	p_tags             text[] DEFAULT NULL
) RETURNS uuid
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_append_event_with_tags';
COMMENT ON FUNCTION events.append_event(text, text, jsonb, text, jsonb, bigint, uuid, text[]) IS
'appends an event to a stream and returns its id; expected version: NULL any, 0 the stream must not exist, n it must be at n, -1 it must exist (else ZE001); an id given again returns the first result (other content: ZE002); tags: 64 at most, of 1 to 255 characters';
INSERT INTO auren.rights VALUES ('events.append_event', 'EXECUTE', '{writer}');

CREATE FUNCTION events.append_events(
	p_stream_ids        text[],
	p_event_types       text[],
	p_event_data        jsonb[],
	p_created_by        text     DEFAULT 'system',
	p_metadata          jsonb[]  DEFAULT NULL,
	p_expected_versions bigint[] DEFAULT NULL,
	p_event_ids         uuid[]   DEFAULT NULL,
	p_tags              jsonb[]  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_append_events_with_tags';
COMMENT ON FUNCTION events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) IS
'appends a batch of events, all or none, and returns a row per event in the order given; an expected version speaks of the stream before the batch; tags of an event: a JSON array of texts, or NULL';
INSERT INTO auren.rights VALUES ('events.append_events', 'EXECUTE', '{writer}');
