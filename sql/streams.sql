-- Streams as a whole: the view, closing and opening.
SELECT events.append_event('kind:one', 'a', '1') IS NOT NULL, events.append_event('kind:one', 'b', '2') IS NOT NULL,
       events.append_event('nocolon', 'a', '1') IS NOT NULL;
SELECT tenant_id, stream_id, category, version, first_event_at <= last_event_at AS times, closed, closed_at, closed_reason
FROM events.streams WHERE stream_id IN ('kind:one', 'nocolon') ORDER BY 2;
SELECT count(*) = (SELECT count(DISTINCT stream_id) FROM events.event_store WHERE tenant_id = 'default') AS all_there,
       sum(version) = (SELECT count(*) FROM events.event_store WHERE tenant_id = 'default') AS all_counted FROM events.streams;
SELECT version, first_event_at = last_event_at AS one FROM events.stream_summary('nocolon');
SELECT * FROM events.stream_summary('nobody');
SELECT events.close_stream('kind:one', 'account closed');
SELECT stream_id, version, closed, closed_by = current_user AS by, closed_reason FROM events.streams WHERE closed;
SELECT * FROM t.try($$SELECT events.append_event('kind:one', 'c', '3')$$);
SELECT t.state($$SELECT events.append_event('kind:one', 'c', '3', p_expected_version := 7)$$) AS closed_before_conflict;
SELECT t.state($$SELECT events.append_events('{kind:two,kind:one}', '{a,c}', '{1,3}')$$) AS batch;
SELECT events.stream_exists('kind:two');
-- reads go on, and so do repeats of what was appended before
SELECT t.show('kind:one');
SELECT events.get_stream_state('kind:one');
SELECT events.stream_version('kind:one');
-- closing twice keeps the first reason
SELECT events.close_stream('kind:one', 'another');
SELECT closed_reason FROM events.streams WHERE stream_id = 'kind:one';
SELECT events.reopen_stream('kind:one');
SELECT closed, closed_at, closed_by, closed_reason FROM events.streams WHERE stream_id = 'kind:one';
SELECT events.append_event('kind:one', 'c', '3', p_expected_version := 2, p_event_id := '00000000-0000-0000-0000-00000000c001');
SELECT events.close_stream('kind:one', 'again');
SELECT events.append_event('kind:one', 'c', '3', p_event_id := '00000000-0000-0000-0000-00000000c001');
SELECT events.reopen_stream('kind:one'), events.reopen_stream('kind:one');
SELECT * FROM t.try($$SELECT events.close_stream('nobody', 'r')$$);
SELECT t.state($$SELECT events.reopen_stream('nobody')$$);
SELECT t.state($$SELECT events.close_stream('', 'r')$$);
-- with an append in one statement, and taken back
SELECT events.append_event('kind:three', 'a', '1') IS NOT NULL, events.close_stream('kind:three', 'at once');
SELECT t.state($$SELECT events.append_event('kind:three', 'b', '2')$$);
SELECT events.stream_version('kind:three');
BEGIN;
SELECT events.close_stream('kind:one', 'never mind');
ROLLBACK;
SELECT t.state($$SELECT events.append_event('kind:one', 'd', '4')$$);
BEGIN READ ONLY;
SELECT t.state($$SELECT events.close_stream('kind:one', 'r')$$);
ROLLBACK;
