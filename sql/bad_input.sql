-- Bad input is refused with a SQLSTATE, a DETAIL and a HINT, and nothing is written.
SELECT count(*) AS before FROM events.event_store \gset
SELECT * FROM t.try($$SELECT events.append_event('', 'x', '1')$$);
SELECT * FROM t.try($$SELECT events.append_event('s', '', '1')$$);
SELECT * FROM t.try(format('SELECT events.append_event(%L, ''x'', ''1'')', repeat('ü', 256)));
SELECT * FROM t.try(format('SELECT events.append_event(''s'', %L, ''1'')', repeat('x', 101)));
SELECT * FROM t.try(format('SELECT events.append_event(''s'', ''x'', ''1'', %L)', repeat('x', 256)));
SELECT * FROM t.try(format('SELECT events.append_event(%L, ''x'', ''1'')', E'a\nb'));
SELECT * FROM t.try($$SELECT events.append_event(' s', 'x', '1')$$);
SELECT * FROM t.try($$SELECT events.append_event('s', 'x ', '1')$$);
SELECT * FROM t.try($$SELECT events.append_event('s', 'x', '1', p_expected_version := -7)$$);
SELECT t.state($$SELECT events.append_event('s', 'x', '1', p_expected_version := -9223372036854775808)$$) AS least;
SELECT t.state($$SELECT events.append_event('s', 'x', '1', p_expected_version := -2)$$) AS below_exists;
-- control characters, in any name
SELECT character, t.state(format('SELECT events.append_event(%L, ''x'', ''1'')', 's:' || chr(character) || 'x')) AS stream_id,
       t.state(format('SELECT events.append_event(''s'', %L, ''1'')', 'x' || chr(character) || 'x')) AS event_type,
       t.state(format('SELECT events.replay_stream(%L)', 's:' || chr(character) || 'x')) AS replayed
FROM unnest('{1,9,10,13,27,31,127}'::integer[]) character;
-- NULL is refused where it says nothing
SELECT sql, t.state(sql) FROM unnest(ARRAY[
	$$SELECT events.append_event(NULL, 'x', '1')$$,
	$$SELECT events.append_event('s', NULL, '1')$$,
	$$SELECT events.append_event('s', 'x', NULL)$$,
	$$SELECT events.append_event('s', 'x', '1', NULL)$$,
	$$SELECT events.append_event('s', 'x', '1', p_metadata := NULL)$$,
	$$SELECT events.append_events(NULL, '{}', '{}')$$,
	$$SELECT events.append_events('{}', NULL, '{}')$$,
	$$SELECT events.append_events('{}', '{}', NULL)$$,
	$$SELECT events.append_events('{}', '{}', '{}', NULL)$$,
	$$SELECT * FROM events.replay_stream(NULL)$$,
	$$SELECT * FROM events.replay_stream('s', NULL)$$,
	$$SELECT * FROM events.replay_stream_backward(NULL)$$,
	$$SELECT events.get_stream_state(NULL)$$,
	$$SELECT events.stream_version(NULL)$$,
	$$SELECT events.stream_exists(NULL)$$,
	$$SELECT events.stream_summary(NULL)$$,
	$$SELECT * FROM events.last_event(NULL)$$,
	$$SELECT * FROM events.events_by_time(NULL, now())$$,
	$$SELECT * FROM events.events_by_time(now(), NULL)$$,
	$$SELECT * FROM events.events_by_time(now(), now(), p_limit := NULL)$$,
	$$SELECT * FROM events.find_events(NULL)$$,
	$$SELECT * FROM events.find_events('{}', p_limit := NULL)$$,
	$$SELECT events.close_stream(NULL, 'r')$$,
	$$SELECT events.close_stream('s', NULL)$$,
	$$SELECT events.reopen_stream(NULL)$$,
	$$SELECT events.create_monthly_partitions(NULL)$$,
	$$SELECT events.grant_access(NULL, 'reader')$$,
	$$SELECT events.grant_access(current_user, NULL)$$,
	$$SELECT events.revoke_access(NULL, 'reader')$$,
	$$SELECT events.bind_tenant(NULL, 'a')$$,
	$$SELECT events.unbind_tenant(NULL, 'a')$$]) AS sql;
SELECT * FROM t.try($$SELECT events.append_event(NULL, 'x', '1')$$);
-- arrays of a batch
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['s', 's'], ARRAY['x'], ARRAY['1', '2']::jsonb[])$$);
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['s'], ARRAY['x'], ARRAY['1', '2']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s'], ARRAY['x'], ARRAY['1']::jsonb[], p_metadata := ARRAY['{}', '{}']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s'], ARRAY['x'], ARRAY['1']::jsonb[], p_expected_versions := ARRAY[0, 1])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s'], ARRAY['x'], ARRAY['1']::jsonb[], p_event_ids := '{}')$$);
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['s', NULL], ARRAY['x', 'y'], ARRAY['1', '2']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s', 's'], ARRAY['x', NULL], ARRAY['1', '2']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s', 's'], ARRAY['x', 'y'], ARRAY['1', NULL]::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s'], ARRAY['x'], ARRAY['1']::jsonb[], p_metadata := ARRAY[NULL]::jsonb[])$$);
SELECT * FROM t.try($$SELECT events.append_events(ARRAY[['s'], ['s']], ARRAY['x', 'y'], ARRAY['1', '2']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events('{s}', '{{x}}', '{1}')$$) AS types;
SELECT t.state($$SELECT events.append_events('{s}', '{x}', '{{1}}')$$) AS data;
SELECT t.state($$SELECT events.append_events('{s}', '{x}', '{1}', p_metadata := '{{1}}')$$) AS metadata;
SELECT t.state($$SELECT events.append_events('{s}', '{x}', '{1}', p_expected_versions := '{{0}}')$$) AS expected;
SELECT t.state($$SELECT events.append_events('{s}', '{x}', '{1}', p_event_ids := ARRAY[ARRAY[gen_random_uuid()]])$$) AS ids;
SELECT * FROM t.try($$SELECT events.append_events(ARRAY['s', ''], ARRAY['x', 'y'], ARRAY['1', '2']::jsonb[])$$);
SELECT t.state($$SELECT events.append_events(ARRAY['s', 's'], ARRAY['x', 'y'], ARRAY['1', '2']::jsonb[], p_expected_versions := ARRAY[0, -7])$$);
-- readers
SELECT * FROM t.try($$SELECT * FROM events.replay_stream('s', -1)$$);
SELECT t.state($$SELECT * FROM events.replay_stream('s', 1, -1)$$);
SELECT t.state($$SELECT * FROM events.replay_stream('')$$);
SELECT t.state($$SELECT events.get_stream_state('s', -1)$$);
SELECT t.state($$SELECT * FROM events.replay_stream_backward('s', NULL, -1)$$);
SELECT t.state($$SELECT * FROM events.find_events('{}', p_limit := -1)$$);
SELECT t.state($$SELECT * FROM events.find_events('{}', p_before_position := 1)$$);
SELECT * FROM t.try($$SELECT events.create_monthly_partitions(121)$$);
SELECT t.state($$SELECT events.create_monthly_partitions(-1)$$);
-- trigger functions are no functions
SELECT t.state($$SELECT events.notify_mode_switch()$$);
SELECT t.state($$SELECT auren.refuse_change()$$);
SELECT count(*) - :before AS written, events.stream_exists('s') FROM events.event_store;
-- the longest names that are allowed
SELECT t.state(format('SELECT events.append_event(%L, %L, ''1'', %L)', repeat('ü', 255), repeat('x', 100), repeat('x', 255)));
