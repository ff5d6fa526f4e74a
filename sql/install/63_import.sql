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
