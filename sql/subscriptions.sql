-- Subscriptions: fetch, acknowledge, retries, parking, leases, filters, rights. What two sessions do is in the isolation specs.
SET client_min_messages = warning;
CREATE TEMP TABLE start AS SELECT events.feed_horizon() AS p;
GRANT SELECT ON start TO PUBLIC;
-- what a fetch gives, as the data of the events, which are 1 to n here
CREATE FUNCTION pg_temp.got(name text, consumer text, lim integer DEFAULT 100) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(event_data::text || CASE WHEN failed_attempts > 0 THEN '!' || failed_attempts ELSE '' END, ' ') FROM events.fetch(name, consumer, lim) $$;
CREATE FUNCTION pg_temp.at(n bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT p + n FROM start $$;
SELECT count(*) FROM events.append_events((SELECT array_agg('subs:' || 1 + i % 3 ORDER BY i) FROM generate_series(1, 12) i), (SELECT array_agg(CASE WHEN i % 4 = 0 THEN 'rare' ELSE 'usual' END ORDER BY i) FROM generate_series(1, 12) i),
	(SELECT array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 12) i));
-- where it begins
SELECT events.create_subscription('all', p) = p AS here, events.create_subscription('new', NULL) = p + 12 AS at_the_end, events.create_subscription('time', NULL, now() - interval '1 hour') <= p AS by_time,
       events.create_subscription('first') AS first FROM start;
SELECT code, message, hint FROM t.error_of($$SELECT events.create_subscription('all')$$);
-- the same events until they are acknowledged, in order
SELECT pg_temp.got('all', 'c', 4);
SELECT pg_temp.got('all', 'c', 4);
SELECT events.acknowledge('all', 'c', pg_temp.at(2));
SELECT pg_temp.got('all', 'c', 4);
SELECT events.acknowledge('all', 'c', pg_temp.at(6));
SELECT events.acknowledge('all', 'c', pg_temp.at(6));
SELECT pg_temp.got('all', 'c');
SELECT checkpoint - p AS checkpoint, head - p AS head, lag_events, lag_seconds >= 0 AS lag, consumers, parked, retrying FROM start, events.subscriptions WHERE name = 'all';
SELECT events.acknowledge('all', 'c', pg_temp.at(12));
SELECT pg_temp.got('all', 'c');
SELECT checkpoint - p AS checkpoint, lag_events, lag_seconds FROM start, events.subscriptions WHERE name = 'all';
-- in the caller's transaction: a projection and its checkpoint together, or neither
CREATE TEMP TABLE projection (n int);
SELECT count(*) FROM events.append_events('{subs:1,subs:2}', '{usual,usual}', ARRAY['13', '14']::jsonb[]);
BEGIN;
INSERT INTO projection SELECT event_data::int FROM events.fetch('all', 'c');
SELECT events.acknowledge('all', 'c', pg_temp.at(14));
ROLLBACK;
BEGIN;
INSERT INTO projection SELECT event_data::int FROM events.fetch('all', 'c');
SAVEPOINT s;
SELECT events.acknowledge('all', 'c', pg_temp.at(14));
ROLLBACK TO SAVEPOINT s;
SELECT events.acknowledge('all', 'c', pg_temp.at(13));
COMMIT;
TABLE projection;
SELECT pg_temp.got('all', 'c');
SELECT events.acknowledge('all', 'c', pg_temp.at(14));
-- filters; what they let through moves the checkpoint, and so does nothing at all
SELECT events.create_subscription('rare', p, p_event_types => '{rare}') = p AS made, events.create_subscription('none', p, p_category => 'nobody') = p AS made2, events.create_subscription('one', p, p_stream_prefix => 'subs:2') = p AS made3 FROM start;
SELECT pg_temp.got('rare', 'c'), pg_temp.got('none', 'c'), pg_temp.got('one', 'c');
SELECT name, checkpoint - p AS checkpoint, lag_events FROM start, events.subscriptions WHERE name IN ('rare', 'none', 'one') ORDER BY 1;
-- a retry: given again after its delay, the later ones of its stream behind it, the others go on
SELECT events.create_subscription('retry', p, p_max_attempts => 3) = p AS made FROM start;
SELECT pg_temp.got('retry', 'c', 6);
SELECT events.retry('retry', 'c', pg_temp.at(2), '0 seconds', 'first time');
SELECT events.acknowledge('retry', 'c', pg_temp.at(6));
SELECT checkpoint - p AS checkpoint, retrying, last_error FROM start, events.subscriptions WHERE name = 'retry';
SELECT pg_temp.got('retry', 'c', 4);
SELECT events.retry('retry', 'c', pg_temp.at(2), '1 hour', 'second time');
SELECT events.acknowledge('retry', 'c', pg_temp.at(8));
SELECT pg_temp.got('retry', 'c');
SELECT events.acknowledge('retry', 'c', pg_temp.at(14));
SELECT pg_temp.got('retry', 'c');
UPDATE auren.subscription_held SET not_before = now() WHERE state = 'retry';
SELECT pg_temp.got('retry', 'c');
-- the last attempt: parked by itself, and its stream waits
SELECT events.retry('retry', 'c', pg_temp.at(2), '0 seconds', 'third time');
SELECT pg_temp.got('retry', 'c');
SELECT name, global_position - p AS position, stream_id, attempts, reason, events_waiting FROM start, events.parked;
SELECT events.wait_for_subscription('retry', pg_temp.at(1), '0 seconds'), events.wait_for_subscription('retry', pg_temp.at(14), '50 ms');
SELECT events.unpark('retry', pg_temp.at(2));
SELECT pg_temp.got('retry', 'c');
SELECT events.acknowledge('retry', 'c', pg_temp.at(5));
SELECT pg_temp.got('retry', 'c');
SELECT events.acknowledge('retry', 'c', pg_temp.at(14));
SELECT parked, retrying, lag_events FROM events.subscriptions WHERE name = 'retry';
SELECT events.wait_for_subscription('retry', pg_temp.at(14), '0 seconds');
-- all in order of position, what failed while it is in hand too: a consumer may acknowledge one event after the other
SELECT events.create_subscription('order', p) = p AS made FROM start;
SELECT pg_temp.got('order', 'c', 6);
SELECT events.retry('order', 'c', pg_temp.at(4), '0 seconds');
SELECT pg_temp.got('order', 'c', 6);
SELECT events.acknowledge('order', 'c', pg_temp.at(3));
SELECT pg_temp.got('order', 'c', 3);
SELECT events.acknowledge('order', 'c', pg_temp.at(4));
SELECT pg_temp.got('order', 'c', 3);
-- parked by hand, in a subscription whose streams go on
SELECT events.create_subscription('goes on', p, p_stream_waits => false) = p AS made FROM start;
SELECT pg_temp.got('goes on', 'c', 3);
SELECT events.park('goes on', 'c', pg_temp.at(2), 'poison');
SELECT events.acknowledge('goes on', 'c', pg_temp.at(3));
SELECT pg_temp.got('goes on', 'c', 4);
SELECT events.unpark('goes on', pg_temp.at(2));
SELECT pg_temp.got('goes on', 'c', 3);
-- back to a position, or on
SELECT events.reset_subscription('goes on', pg_temp.at(10));
SELECT pg_temp.got('goes on', 'c'), parked, retrying FROM events.subscriptions WHERE name = 'goes on';
-- a lease that is over: the events are another's, and what the first one does is refused
SELECT events.create_subscription('lease', p, p_lease => '100 ms', p_max_attempts => 2) = p AS made FROM start;
SELECT pg_temp.got('lease', 'dies', 3);
SELECT pg_sleep(0.2);
SELECT code, message, hint FROM t.error_of(format($$SELECT events.acknowledge('lease', 'dies', %s)$$, pg_temp.at(3)));
SELECT pg_temp.got('lease', 'next', 3);
SELECT code, message FROM t.error_of(format($$SELECT events.retry('lease', 'dies', %s)$$, pg_temp.at(3)));
SELECT code, message FROM t.error_of(format($$SELECT events.park('lease', 'dies', %s)$$, pg_temp.at(3)));
-- an event that no consumer survives is parked after the attempts
SELECT pg_sleep(0.2);
SELECT pg_temp.got('lease', 'third', 3);
SELECT count(*) AS parked, min(reason) AS reason FROM events.parked WHERE name = 'lease';
-- so is one that was retried before
SELECT events.create_subscription('retried', p, p_lease => '100 ms', p_max_attempts => 3) = p AS made FROM start;
SELECT pg_temp.got('retried', 'first', 1);
SELECT events.retry('retried', 'first', pg_temp.at(1), '0 seconds', 'once');
SELECT pg_temp.got('retried', 'first', 1);
SELECT pg_sleep(0.2);
SELECT pg_temp.got('retried', 'second', 1);
SELECT pg_sleep(0.2);
SELECT pg_temp.got('retried', 'third', 1);
SELECT global_position - p AS position, attempts, reason FROM start, events.parked WHERE name = 'retried';
-- tenants
SET app.tenant_id = 'subs_tenant';
SELECT code, message FROM t.error_of($$SELECT * FROM events.fetch('all', 'c')$$);
SELECT events.append_event('subs:1', 'usual', '"of the tenant"') IS NOT NULL AS appended;
SELECT events.create_subscription('all') AS first;
SELECT pg_temp.got('all', 'c');
SELECT name FROM events.subscriptions;
SELECT count(*) FROM events.parked;
SELECT events.drop_subscription('all');
RESET app.tenant_id;
SELECT pg_temp.got('all', 'c');
-- rights
CREATE ROLE subs_reader; CREATE ROLE subs_admin; CREATE ROLE subs_writer;
SELECT events.grant_access('subs_reader', 'reader'), events.grant_access('subs_admin', 'admin'), events.grant_access('subs_writer', 'writer');
SET ROLE subs_reader;
SELECT pg_temp.got('first', 'r', 1) IS NOT NULL AS fetched, count(*) > 5 AS sees FROM events.subscriptions;
SELECT code, message FROM t.error_of($$SELECT events.create_subscription('x')$$);
SELECT code, message FROM t.error_of($$SELECT events.drop_subscription('all')$$);
SELECT code, message FROM t.error_of($$TABLE auren.subscription_progress$$);
SET ROLE subs_admin;
SELECT events.create_subscription('x') AS first;
SELECT events.reset_subscription('x', 5), checkpoint FROM events.subscriptions WHERE name = 'x';
SELECT checkpoint FROM events.subscriptions WHERE name = 'x';
SELECT code, message FROM t.error_of($$SELECT * FROM events.fetch('x', 'c')$$);
SELECT events.drop_subscription('x');
SET ROLE subs_writer;
SELECT code, message FROM t.error_of($$SELECT * FROM events.fetch('all', 'c')$$);
RESET ROLE;
-- waiting
SELECT events.wait_for_events(0, '0 seconds'), events.wait_for_events(events.feed_horizon(), '20 ms');
-- bad input
SELECT c.call, e.code, e.message FROM unnest(ARRAY['events.fetch(''nowhere'', ''c'')', 'events.fetch(NULL, ''c'')', 'events.fetch(''all'', '''')', 'events.fetch(''all'', ''c'', -1)', 'events.fetch(''all'', NULL)',
	'events.acknowledge(''all'', ''c'', 9223372036854775807)', 'events.acknowledge(''all'', ''c'', -1)', 'events.acknowledge(''all'', ''nobody'', 1)', 'events.retry(''all'', ''c'', 1)', 'events.retry(''all'', ''c'', 1, ''-1 second'')',
	'events.park(''all'', ''c'', 9223372036854775807)', 'events.unpark(''all'', 1)', 'events.reset_subscription(''all'', -1)', 'events.drop_subscription(''nowhere'')', 'events.create_subscription('''')', 'events.create_subscription(''x'', -1)',
	'events.create_subscription(''x'', p_shares => 0)', 'events.create_subscription(''x'', p_shares => 1025)', 'events.create_subscription(''x'', p_max_attempts => 0)', 'events.create_subscription(''x'', p_lease => ''1 ms'')',
	'events.create_subscription(''x'', p_event_types => ''{a,NULL}'')', 'events.create_subscription(''x'', p_category => ''a:b'')', 'events.create_subscription(''x'', p_stream_waits => NULL)', 'events.wait_for_subscription(''all'', 1, NULL)', 'events.wait_for_events(-1)', 'events.wait_for_events(0, ''-1 s'')'])
	WITH ORDINALITY AS c (call, i), LATERAL t.error_of('SELECT ' || call) e ORDER BY i;
BEGIN READ ONLY;
SELECT code, message FROM t.error_of($$SELECT events.fetch('all', 'c')$$);
SELECT code, message FROM t.error_of($$SELECT events.acknowledge('all', 'c', 1)$$);
COMMIT;
-- nothing is left of a subscription that is dropped; of the others one row a share
SELECT count(events.drop_subscription(name)) FROM auren.subscription_settings WHERE tenant_id = 'default' AND name <> 'all';
SELECT count(*), count(DISTINCT share) FROM auren.subscription_progress;
SELECT events.drop_subscription('all');
SELECT (SELECT count(*) FROM auren.subscription_progress), (SELECT count(*) FROM auren.subscription_held), (SELECT count(*) FROM auren.subscription_consumers);
DROP OWNED BY subs_reader, subs_admin, subs_writer;
DROP ROLE subs_reader, subs_admin, subs_writer;
