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

CREATE FUNCTION auren.read_all(
	p_after_position bigint, p_limit integer, p_event_types text[], p_category text, p_stream_prefix text, p_epoch uuid, p_tags text[]
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_all_with_tags';
COMMENT ON FUNCTION auren.read_all(bigint, integer, text[], text, text, uuid, text[]) IS 'events.read_all(), for views: their readers need no right on that';

-- A condition on global_position moves the beginning of what is read (src/server/streaming_scan.cpp), so the limit must be none.
CREATE VIEW events.outbox AS
	SELECT e.event_id AS id, pg_catalog.split_part(e.stream_id, ':', 1) AS aggregatetype, e.stream_id AS aggregateid, e.event_type AS type,
	       e.event_data AS payload, e.created_at AS "timestamp", e.stream_version AS aggregateversion, e.global_position, e.metadata,
	       CASE WHEN e.metadata OPERATOR(pg_catalog.->>) 'traceparent' OPERATOR(pg_catalog.~) '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
	            THEN 'traceparent=' OPERATOR(pg_catalog.||) (e.metadata OPERATOR(pg_catalog.->>) 'traceparent') END AS tracingspancontext
	FROM auren.read_all(0, 2147483647, NULL, NULL, NULL, NULL, NULL) e;
COMMENT ON VIEW events.outbox IS 'final events of this session''s tenant with the columns that relays of an outbox expect: ask for those above a global_position, in its order, with a limit';
INSERT INTO auren.rights VALUES ('events.outbox', 'SELECT', '{reader}', '0.2.0');
COMMENT ON COLUMN events.outbox.id IS 'id of the event';
COMMENT ON COLUMN events.outbox.aggregatetype IS 'category: the part of the stream id before the first ":"';
COMMENT ON COLUMN events.outbox.aggregateid IS 'stream id';
COMMENT ON COLUMN events.outbox.type IS 'event type';
COMMENT ON COLUMN events.outbox.payload IS 'data of the event';
COMMENT ON COLUMN events.outbox."timestamp" IS 'when it was appended';
COMMENT ON COLUMN events.outbox.aggregateversion IS 'version of the event in its stream';
COMMENT ON COLUMN events.outbox.global_position IS 'its place in the order of all events: what a relay remembers';
COMMENT ON COLUMN events.outbox.metadata IS 'what the caller says about the event';
COMMENT ON COLUMN events.outbox.tracingspancontext IS 'the traceparent of the metadata as a line of Java properties, where it has the form of one';
