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
	       global_position, tags
	FROM events.event_store
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.tenant_events IS 'events of this session''s tenant, for roles that may not read events.event_store itself';
INSERT INTO auren.rights VALUES ('events.tenant_events', 'SELECT', '{reader}');
