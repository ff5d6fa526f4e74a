-- Appending events one by one.
SELECT events.append_event('user:append', 'device_connected', '{"device": "watch"}') IS NOT NULL AS appended;
SELECT events.append_event(
	p_stream_id := 'user:append', p_event_type := 'reading', p_event_data := '{"bpm": 61}', p_created_by := 'biometric_api'
) IS NOT NULL AS appended;
SELECT t.show('user:append');
SELECT event_type, metadata, created_by, tenant_id, created_at <= clock_timestamp() AND created_at > now() - interval '1 day' AS timely
FROM events.event_store WHERE stream_id = 'user:append' ORDER BY stream_version;
-- an id is a UUIDv7 that says when its event was appended
SELECT bool_and(substr(event_id::text, 15, 1) = '7'
	AND to_timestamp(('x' || lpad(translate(left(event_id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint / 1000.0)
	    = date_trunc('milliseconds', created_at)) AS made_of_time
FROM events.event_store WHERE stream_id = 'user:append';
-- expected versions
SELECT * FROM t.try($$SELECT events.append_event('user:append', 'x', '1', p_expected_version := 1)$$);
SELECT * FROM t.try($$SELECT events.append_event('user:append', 'x', '1', p_expected_version := 0)$$);
SELECT * FROM t.try($$SELECT events.append_event('user:nobody', 'x', '1', p_expected_version := -1)$$);
SELECT * FROM t.try($$SELECT events.append_event('user:nobody', 'x', '1', p_expected_version := 3)$$);
SELECT events.stream_exists('user:nobody');
SELECT t.state($$SELECT events.append_event('user:append', 'x', '1', p_expected_version := 2)$$) AS exact;
SELECT t.state($$SELECT events.append_event('user:append', 'y', '2', p_expected_version := -1)$$) AS exists;
SELECT t.state($$SELECT events.append_event('user:append:new', 'y', '2', p_expected_version := 0)$$) AS new;
SELECT events.stream_version('user:append'), events.stream_version('user:append:new'), events.stream_version('user:nobody');
-- losers drew no position
SELECT last_value AS before FROM auren.global_position_seq \gset
SELECT t.state($$SELECT events.append_event('user:append', 'x', '1', p_expected_version := 1)$$);
SELECT last_value - :before AS drawn FROM auren.global_position_seq;
-- any jsonb is event data, any text of created_by
SELECT t.state(format('SELECT events.append_event(''user:append:any'', ''t'', %L, p_metadata := %L, p_created_by := '''')', d, m))
FROM (VALUES ('null', '[]'), ('1e400', '{"a": null}'), ('"ü\u2603"', '1'), ('[]', '{}'), ('{"a": {"b": [1, 2.50]}}', '{}')) v (d, m);
SELECT event_data, metadata FROM events.replay_stream('user:append:any');
-- in a read-only transaction
BEGIN READ ONLY;
SELECT t.state($$SELECT events.append_event('user:append', 'x', '1')$$);
ROLLBACK;
-- prepared, with a driver's untyped parameters
PREPARE append AS SELECT events.append_event($1, $2, $3, $4) IS NOT NULL AS appended;
EXECUTE append('user:append', 'prepared', '{"n": 1}', 'driver');
SELECT events.append_event('user:' || 'append', 'biometric_received', '{"n": 2}'::jsonb, 'webhook_processor') IS NOT NULL;
DEALLOCATE append;
SELECT t.dense();
