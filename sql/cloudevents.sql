-- Events as CloudEvents: each is held against the specification's JSON schema and its prose, by rules written here.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET app.tenant_id = 'cloud events/ä';
CREATE SCHEMA cloud;

-- What is wrong with a CloudEvent: nothing for a valid one.
CREATE FUNCTION cloud.flaws(ce jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'not an object' WHERE jsonb_typeof(ce) <> 'object'
	UNION ALL SELECT r || ' is required' FROM unnest('{id,source,specversion,type}'::text[]) r WHERE NOT ce ? r
	UNION ALL SELECT 'specversion is not 1.0' WHERE ce->>'specversion' <> '1.0'
	UNION ALL SELECT 'attribute name ' || k FROM jsonb_object_keys(ce) k WHERE k !~ '^[a-z][a-z0-9]{0,19}$'
	UNION ALL SELECT k || ' is not a text with a character' FROM jsonb_each(ce) e(k, v) WHERE k <> 'data' AND (jsonb_typeof(v) <> 'string' OR v = '""')
	UNION ALL SELECT k || ' has a control character or a noncharacter' FROM jsonb_each_text(ce) e(k, v)
		WHERE k <> 'data' AND v ~ '[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]'
	UNION ALL SELECT 'source is not a URI reference' WHERE ce->>'source' !~ '^([A-Za-z][A-Za-z0-9+.-]*:)?([A-Za-z0-9._~:/?@!$&''()*+,;=\[\]-]|%[0-9A-Fa-f]{2})*(#([A-Za-z0-9._~:/?@!$&''()*+,;=-]|%[0-9A-Fa-f]{2})*)?$'
	UNION ALL SELECT 'dataschema is not a URI' WHERE ce->>'dataschema' !~ '^[A-Za-z][A-Za-z0-9+.-]*:[!-~]*$'
	UNION ALL SELECT 'time is not RFC 3339' WHERE ce->>'time' !~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$'
	UNION ALL SELECT 'datacontenttype is not JSON' WHERE ce->>'datacontenttype' <> 'application/json'
	UNION ALL SELECT 'data and data_base64' WHERE ce ? 'data_base64'
	UNION ALL SELECT 'no data' WHERE NOT ce ? 'data'
	UNION ALL SELECT 'traceparent' WHERE ce->>'traceparent' !~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?$'
	UNION ALL SELECT 'tracestate without traceparent' WHERE ce ? 'tracestate' AND NOT ce ? 'traceparent'
	UNION ALL SELECT 'sequence' WHERE ce->>'sequence' !~ '^[0-9]{19}$'
$$;
-- the rules do find what is wrong
SELECT array_agg(f) FROM cloud.flaws('{"id": "", "source": "a b", "type": "x\u0085", "Data": 1, "time": "yesterday", "sequence": "7", "traceparent": "00-1-2-3", "dataschema": "/x"}') f;

SELECT events.append_event('cloud_order:1', 'cloud_order_placed', '{"total": 0.10, "digits": 12345678901234567890.123456789, "scale": 5e-10, "text": "ä\n"}', 'shop',
	'{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "rojo=00f067aa0ba902b7", "correlation_id": "checkout-7",
	  "causation_id": "42", "dataschema": "https://example.com/order.json", "other": "stays here"}', p_event_id := '01890000-0000-7000-8000-0000000000c1') IS NOT NULL AS appended;
SELECT events.append_event('cloud_order:2', 'cloud_' || n, data, 'shop', metadata) IS NOT NULL AS appended
FROM (VALUES
	(1, 'null'::jsonb, '{}'::jsonb),
	(2, '"text"', '[]'),
	(3, '[1, [], {"a": null}]', '"metadata"'),
	(4, '{}', '{"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01", "tracestate": "a=1"}'),
	(5, 'true', '{"traceparent": 5, "correlation_id": {}, "causation_id": "", "dataschema": "order.json"}'),
	(7, '[1e400, 0.00, -0.0]', '{"tracestate": "a=1"}'),
	(6, '6', '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "no state", "correlation_id": "a\nb\u009f", "traceParent": "x"}')) v(n, data, metadata);
SELECT events.append_event('cloud  ä', 'cloud  €', '1') IS NOT NULL AS appended;

-- all of an event, for a name that lasts
SELECT name, value FROM events.as_cloudevents(p_source => 'https://example.com/orders', p_type_prefix => 'com.example.', p_limit => 1), jsonb_each(cloudevent) e(name, value)
WHERE name NOT IN ('sequence', 'time') ORDER BY name;
-- the attributes that come and go with the metadata
SELECT cloudevent->>'type' AS type, left(cloudevent->>'data', 20) AS data, cloudevent - '{id,source,specversion,type,data,datacontenttype,subject,partitionkey,time,sequence,streamversion}'::text[] AS others
FROM events.as_cloudevents(p_event_types => ARRAY(SELECT 'cloud_' || n FROM generate_series(1, 7) n));
-- characters that no attribute may have
SELECT cloudevent->>'subject' AS subject, cloudevent->>'type' AS type, cloudevent->'partitionkey' = cloudevent->'subject' AS same FROM events.as_cloudevents(p_stream_prefix => 'cloud  ');

-- each is valid, is its event, and stands where read_all has it
SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM cloud.flaws(c.cloudevent))) AS flawed,
	count(*) FILTER (WHERE c.cloudevent->'data' IS DISTINCT FROM r.event_data OR (c.cloudevent->>'id')::uuid IS DISTINCT FROM r.event_id
		OR (c.cloudevent->>'time')::timestamptz IS DISTINCT FROM r.created_at OR (c.cloudevent->>'sequence')::bigint IS DISTINCT FROM r.global_position
		OR (c.cloudevent->>'streamversion')::bigint IS DISTINCT FROM r.stream_version) AS other
FROM events.as_cloudevents() c FULL JOIN events.read_all() r USING (global_position);
-- numbers keep their digits
SELECT c.cloudevent->'data' = r.event_data AND (c.cloudevent->'data')::text = r.event_data::text AS same FROM events.as_cloudevents(p_limit => 1) c, events.read_all(p_limit => 1) r;
-- the source of a store and a tenant
SELECT DISTINCT cloudevent->>'source' = 'urn:uuid:' || events.store_epoch() || '#cloud%20events%2F%C3%A4' AS of_tenant FROM events.as_cloudevents();

-- the same from other functions that give events, and the same text
SELECT count(*), count(*) FILTER (WHERE c.cloudevent::text = events.as_cloudevent(r.event_id, r.stream_id, r.event_type, r.event_data, r.created_at, r.metadata, r.stream_version,
	r.global_position, 'a/b', 'x.')::text) AS same
FROM events.read_all() r JOIN events.as_cloudevents(p_source => 'a/b', p_type_prefix => 'x.') c USING (global_position);
SELECT events.as_cloudevent(event_id, 'cloud_order:1', event_type, event_data, p_source => '/orders') FROM events.replay_stream('cloud_order:1') WHERE stream_version = 1;
-- what is not known is left out
SELECT events.as_cloudevent('01890000-0000-7000-8000-0000000000c2', 's', 't', '1', t, NULL, NULL, NULL, 'x', NULL)->'time' AS time
FROM unnest('{infinity,-infinity,NULL,10000-01-01,0001-12-31 BC,0001-01-01,2024-02-29 23:59:59.999999+14}'::timestamptz[]) t;
-- a batch is an array of them
SELECT jsonb_typeof(jsonb_agg(cloudevent ORDER BY global_position)) AS batch, count(*) FROM events.as_cloudevents(p_category => 'cloud_order');

-- it streams, in order, and reads no more than asked for
EXPLAIN (COSTS OFF) SELECT * FROM events.as_cloudevents() ORDER BY global_position LIMIT 2;
SELECT count(DISTINCT global_position) FROM (SELECT * FROM events.as_cloudevents() ORDER BY global_position LIMIT 2) two;
SELECT count(*) FROM ROWS FROM (events.as_cloudevents(p_limit => 3)) WITH ORDINALITY;
SELECT count(*) FROM (SELECT events.as_cloudevents(p_limit => 3)) three;

-- what cannot be meant
SELECT e.* FROM (VALUES (1, 'SELECT * FROM events.as_cloudevents(p_source => '''')'), (2, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', ''t'', ''1'', p_source => ''my orders'')'),
	(3, 'SELECT * FROM events.as_cloudevents(p_epoch => ''00000000-0000-0000-0000-000000000000'')'), (4, 'SELECT * FROM events.as_cloudevents(NULL)'),
	(5, 'SELECT * FROM events.as_cloudevents(p_limit => -1)'), (6, 'SELECT events.as_cloudevent(NULL, ''s'', ''t'', ''1'')'),
	(7, 'SELECT events.as_cloudevent(gen_random_uuid(), NULL, ''t'', ''1'')'), (8, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', NULL, ''1'')'),
	(9, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', ''t'', NULL)'), (10, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', ''t'', ''1'', p_stream_version => -1)'),
	(11, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', ''t'', ''1'', p_global_position => -1)'),
	(12, 'SELECT events.as_cloudevent(gen_random_uuid(), '''', ''t'', ''1'')'), (13, 'SELECT events.as_cloudevent(gen_random_uuid(), ''s'', '''', ''1'')')) v(n, statement)
	CROSS JOIN LATERAL (SELECT n, code, message FROM t.error_of(statement)) e ORDER BY n;
SELECT * FROM events.as_cloudevents(p_source => 'my orders');

-- another tenant has a source of its own, and its own events
SET app.tenant_id = 'cloud_other';
SELECT count(*) FROM events.as_cloudevents();
SELECT events.as_cloudevent('01890000-0000-7000-8000-0000000000c2', 's', 't', '1')->>'source' LIKE 'urn:uuid:%#cloud_other' AS own;
DROP SCHEMA cloud CASCADE;
