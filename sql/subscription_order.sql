-- What a fetch gives and an acknowledgement finishes, when events fail and are parked: each stream in order, none lost, none held up
-- without need; the counts of what waits; settings that change meanwhile.
SET client_min_messages = warning;
CREATE TABLE order_start (p bigint);
CREATE FUNCTION pg_temp.got(name text, lim integer DEFAULT 100, consumer text DEFAULT 'c') RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg((global_position - p)::text || CASE WHEN failed_attempts > 0 THEN '!' || failed_attempts ELSE '' END, ' ') FROM order_start, events.fetch(name, consumer, lim) $$;
CREATE FUNCTION pg_temp.at(n bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT p + n FROM order_start $$;
-- a subscription of its own events, which are of streams named by letters
CREATE FUNCTION pg_temp.starts(name text, streams text, waits boolean DEFAULT true, shares integer DEFAULT 1, attempts integer DEFAULT 5) RETURNS void LANGUAGE sql AS $$
	DELETE FROM order_start;
	INSERT INTO order_start SELECT events.feed_horizon();
	SELECT events.create_subscription(name, p, p_shares => shares, p_max_attempts => attempts, p_lease => '1 hour', p_stream_waits => waits) FROM order_start;
	SELECT count(*) FROM events.append_events((SELECT array_agg('order:' || s ORDER BY i) FROM unnest(string_to_array(streams, ' ')) WITH ORDINALITY u (s, i)),
		(SELECT array_agg('t'::text) FROM unnest(string_to_array(streams, ' '))), (SELECT array_agg('{}'::jsonb) FROM unnest(string_to_array(streams, ' '))));
$$;
CREATE FUNCTION pg_temp.figures(n text) RETURNS text LANGUAGE sql AS $$
	SELECT format('lag %s = due %s + delayed %s + waiting %s; parked %s, retrying %s', lag_events, due_events, delayed_events, waiting_events, parked, retrying) FROM events.subscriptions WHERE name = n $$;
CREATE FUNCTION pg_temp.time_passes() RETURNS void LANGUAGE sql AS $$ UPDATE auren.subscription_held SET not_before = now() WHERE state = 'retry' $$;
CREATE FUNCTION pg_temp.leases_end() RETURNS void LANGUAGE sql AS $$ UPDATE auren.subscription_progress SET lease_until = now() - interval '1 second'; UPDATE auren.subscription_consumers SET seen_at = now() - interval '1 day' $$;

-- done is only what the last fetch gave
SELECT pg_temp.starts('last', 'C:1 A:1 B:1 A:1 A:1 B:1');
SELECT pg_temp.got('last', 3);
SELECT events.park('last', 'c', pg_temp.at(1)), events.retry('last', 'c', pg_temp.at(2), '0 s'), events.acknowledge('last', 'c', pg_temp.at(3));
SELECT pg_temp.got('last', 3);
SELECT events.unpark('last', pg_temp.at(1));
SELECT pg_temp.got('last', 3);
SELECT code FROM t.error_of(format($$SELECT events.acknowledge('last', 'c', %s)$$, pg_temp.at(6)));
SELECT events.acknowledge('last', 'c', pg_temp.at(5));
SELECT pg_temp.got('last');
SELECT pg_temp.figures('last');
-- a shorter fetch leaves the rest for later, whatever is acknowledged; one of no events leaves all in hand
SELECT pg_temp.starts('shorter', 'A B C D E');
SELECT pg_temp.got('shorter', 5);
SELECT pg_temp.got('shorter', 2);
SELECT events.acknowledge('shorter', 'c', pg_temp.at(5));
SELECT pg_temp.got('shorter', 2);
SELECT pg_temp.got('shorter', 0);
SELECT events.acknowledge('shorter', 'c', pg_temp.at(4));
SELECT pg_temp.got('shorter');

-- a retry on a busy stream: what comes after it waits and is counted, and all of it comes when the time has come
SELECT pg_temp.starts('busy', 'A');
SELECT pg_temp.got('busy');
SELECT events.retry('busy', 'c', pg_temp.at(1), '1 hour', 'later');
SELECT count(*) FROM events.append_events(array_fill('order:A'::text, ARRAY[100]), array_fill('t'::text, ARRAY[100]), array_fill('{}'::jsonb, ARRAY[100]));
SELECT pg_temp.figures('busy');
SELECT pg_temp.got('busy');
SELECT pg_temp.figures('busy');
SELECT pg_temp.time_passes();
SELECT pg_temp.figures('busy');
SELECT pg_temp.got('busy', 3);
SELECT events.acknowledge('busy', 'c', pg_temp.at(3));
SELECT count(*), min(global_position) - min(p) AS first, max(global_position) - min(p) AS last FROM order_start, events.fetch('busy', 'c');
SELECT events.acknowledge('busy', 'c', pg_temp.at(101));
SELECT pg_temp.figures('busy');
-- the same after a parked event that is unparked
SELECT pg_temp.starts('unparked', 'A');
SELECT pg_temp.got('unparked');
SELECT events.park('unparked', 'c', pg_temp.at(1), 'aside');
SELECT count(*) FROM events.append_events(array_fill('order:A'::text, ARRAY[100]), array_fill('t'::text, ARRAY[100]), array_fill('{}'::jsonb, ARRAY[100]));
SELECT pg_temp.got('unparked');
SELECT pg_temp.figures('unparked'), (SELECT events_waiting FROM events.parked WHERE name = 'unparked');
SELECT events.unpark('unparked', pg_temp.at(1));
SELECT pg_temp.figures('unparked');
SELECT count(*), min(global_position) - min(p) AS first, max(global_position) - min(p) AS last FROM order_start, events.fetch('unparked', 'c');

-- an event that is parked, or is to be retried, holds up no earlier one
SELECT pg_temp.starts('earlier', 'A A A B');
SELECT pg_temp.got('earlier');
SELECT events.park('earlier', 'c', pg_temp.at(3));
SELECT pg_temp.got('earlier');
SELECT pg_temp.starts('earlier retry', 'A A A A B');
SELECT pg_temp.got('earlier retry');
SELECT events.retry('earlier retry', 'c', pg_temp.at(3), '1 hour');
SELECT pg_temp.got('earlier retry');
SELECT events.acknowledge('earlier retry', 'c', pg_temp.at(5));
SELECT pg_temp.got('earlier retry');
SELECT pg_temp.figures('earlier retry');
-- two of one stream failed, the later one is due first: it waits
SELECT pg_temp.starts('two', 'A A B');
SELECT pg_temp.got('two');
SELECT events.retry('two', 'c', pg_temp.at(2), '0 s'), events.retry('two', 'c', pg_temp.at(1), '1 hour');
SELECT pg_temp.got('two');
SELECT pg_temp.figures('two');
SELECT pg_temp.time_passes();
SELECT pg_temp.got('two', 1), pg_temp.got('two', 2);
-- streams that go on: a parked event comes again before those of its stream that are not done
SELECT pg_temp.starts('goes on', 'A A A B', false);
SELECT pg_temp.got('goes on');
SELECT events.park('goes on', 'c', pg_temp.at(1)), events.acknowledge('goes on', 'c', pg_temp.at(2));
SELECT pg_temp.got('goes on'), pg_temp.figures('goes on');
SELECT events.unpark('goes on', pg_temp.at(1));
SELECT pg_temp.got('goes on');
-- only what a filter let through was given
SELECT events.create_subscription('filtered', p, p_stream_prefix => 'order:B') = p AS made FROM order_start;
SELECT pg_temp.got('filtered');
SELECT count(*) FROM events.append_events('{order:A,order:B}', '{t,t}', ARRAY['{}', '{}']::jsonb[]);
SELECT pg_temp.got('filtered');
SELECT code FROM t.error_of(format($$SELECT events.park('filtered', 'c', %s)$$, pg_temp.at(5)));
-- a consumer that does not come back: the first of what it had in hand has failed, held before or not
SELECT pg_temp.starts('lost', 'A B A', true, 1, 3);
SELECT pg_temp.got('lost');
SELECT events.retry('lost', 'c', pg_temp.at(2), '0 s');
SELECT pg_temp.got('lost');
SELECT pg_temp.leases_end();
SELECT pg_temp.got('lost', 100, 'd');
SELECT events.acknowledge('lost', 'd', pg_temp.at(1));
SELECT pg_temp.got('lost', 1, 'd');
SELECT pg_temp.leases_end();
SELECT pg_temp.got('lost', 1, 'e');
SELECT pg_temp.leases_end();
SELECT pg_temp.got('lost', 100, 'f');
SELECT pg_temp.figures('lost'), (SELECT reason FROM events.parked WHERE name = 'lost');

-- other settings lose nothing: shares more and less, what is parked, to be retried, waiting, in hand and ahead
SELECT pg_temp.starts('altered', 'A B C D E F G H A B C D E F G H', true, 4);
SELECT pg_temp.got('altered');
SELECT events.park('altered', 'c', pg_temp.at(1)), events.retry('altered', 'c', pg_temp.at(2), '1 hour'), events.retry('altered', 'c', pg_temp.at(3), '0 s'), events.acknowledge('altered', 'c', pg_temp.at(6));
SELECT pg_temp.got('altered', 3);
SELECT events.alter_subscription('altered', p_shares => 7, p_lease => '2 hours', p_max_attempts => 2);
SELECT shares, lease, max_attempts, stream_waits, pg_temp.figures(name) FROM events.subscriptions WHERE name = 'altered';
SELECT code, message FROM t.error_of(format($$SELECT events.acknowledge('altered', 'c', %s)$$, pg_temp.at(8)));
SELECT pg_temp.got('altered');
SELECT events.acknowledge('altered', 'c', pg_temp.at(16));
SELECT events.alter_subscription('altered', p_shares => 1), events.unpark('altered', pg_temp.at(1));
SELECT pg_temp.time_passes();
SELECT pg_temp.got('altered');
SELECT events.acknowledge('altered', 'c', pg_temp.at(16));
SELECT pg_temp.figures('altered');
-- the shares stand at different places: no event is lost, and none is given twice
SELECT pg_temp.starts('apart', 'A B C D E F G H A B C D E F G H', true, 2);
CREATE TEMP TABLE handled AS SELECT global_position FROM events.fetch('apart', 'c', 3);
SELECT events.acknowledge('apart', 'c', pg_temp.at(3));
SELECT pg_temp.got('apart', 1, 'd');
SELECT pg_temp.got('apart', 0, 'c');
INSERT INTO handled SELECT global_position FROM events.fetch('apart', 'd', 1000);
SELECT events.acknowledge('apart', 'd', max(global_position)) FROM handled;
SELECT count(DISTINCT checkpoint) AS places, (SELECT count(*) BETWEEN 4 AND 15 FROM handled) AS some_handled FROM (SELECT DISTINCT ON (share) checkpoint FROM auren.subscription_progress
	JOIN auren.subscription_settings s USING (subscription_id) WHERE s.name = 'apart' ORDER BY share, step DESC) c;
SELECT events.alter_subscription('apart', p_shares => 3);
SELECT pg_temp.leases_end();
SELECT lag_events + (SELECT count(*) FROM handled) AS events FROM events.subscriptions WHERE name = 'apart';
INSERT INTO handled SELECT global_position FROM events.fetch('apart', 'e', 1000);
SELECT count(*), count(DISTINCT global_position) FROM handled;
SELECT events.acknowledge('apart', 'e', pg_temp.at(16));
SELECT pg_temp.figures('apart');
-- streams that waited go on, and the other way about
SELECT pg_temp.starts('waits', 'A A A B');
SELECT pg_temp.got('waits');
SELECT events.park('waits', 'c', pg_temp.at(1)), events.acknowledge('waits', 'c', pg_temp.at(4));
SELECT pg_temp.got('waits'), pg_temp.figures('waits');
SELECT events.alter_subscription('waits', p_stream_waits => false);
SELECT pg_temp.got('waits', 1), pg_temp.figures('waits');
SELECT events.alter_subscription('waits', p_stream_waits => true);
SELECT pg_temp.got('waits'), pg_temp.figures('waits');
-- bad input
SELECT c.call, e.code, e.message FROM unnest(ARRAY['''waits'', 0', '''waits'', 1025', '''waits'', p_max_attempts => 0', '''waits'', p_lease => ''1 ms''', '''nowhere''', 'NULL']) WITH ORDINALITY AS c (call, i),
	LATERAL t.error_of(format('SELECT events.alter_subscription(%s)', call)) e ORDER BY i;
SELECT count(events.drop_subscription(name)) FROM auren.subscription_settings WHERE tenant_id = 'default';
DROP TABLE order_start;
