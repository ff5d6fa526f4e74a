-- Events in the forms that other systems take.

CREATE FUNCTION events.as_cloudevents(
	p_after_position bigint  DEFAULT 0,
	p_limit          integer DEFAULT 1000,
	p_event_types    text[]  DEFAULT NULL,
	p_category       text    DEFAULT NULL,
	p_stream_prefix  text    DEFAULT NULL,
	p_epoch          uuid    DEFAULT NULL,
	p_tags           text[]  DEFAULT NULL,
	p_source         text    DEFAULT NULL,
	p_type_prefix    text    DEFAULT ''
) RETURNS TABLE (global_position bigint, cloudevent jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_as_cloudevents';
COMMENT ON FUNCTION events.as_cloudevents(bigint, integer, text[], text, text, uuid, text[], text, text) IS
'the events that events.read_all gives for the same arguments, each as a CloudEvent (1.0, JSON); p_source: a URI-reference, NULL for one made of the store''s epoch and the tenant; p_type_prefix: what stands before each event type, such as com.example.; fields that are encrypted stay so';
INSERT INTO auren.rights VALUES ('events.as_cloudevents', 'EXECUTE', '{reader}', '0.2.0');

CREATE FUNCTION events.as_cloudevent(
	p_event_id        uuid,
	p_stream_id       text,
	p_event_type      text,
	p_event_data      jsonb,
	p_created_at      timestamptz DEFAULT NULL,
	p_metadata        jsonb       DEFAULT NULL,
	p_stream_version  bigint      DEFAULT NULL,
	p_global_position bigint      DEFAULT NULL,
	p_source          text        DEFAULT NULL,
	p_type_prefix     text        DEFAULT ''
) RETURNS jsonb
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_as_cloudevent';
COMMENT ON FUNCTION events.as_cloudevent(uuid, text, text, jsonb, timestamptz, jsonb, bigint, bigint, text, text) IS
'the columns of an event, from whichever function gave them, as a CloudEvent (1.0, JSON); what is NULL is left out';
INSERT INTO auren.rights VALUES ('events.as_cloudevent', 'EXECUTE', '{reader}', '0.2.0');
