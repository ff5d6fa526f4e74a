-- The guide's naming practice, enforced when asked for.
LOAD 'auren_events';
SHOW auren_events.naming;
SELECT events.append_event('NoPrefix', 'UserRegistered', '1') IS NOT NULL;
SET auren_events.naming = warn;
SELECT events.append_event('user:named', 'device-connected', '1') IS NOT NULL;
SELECT events.append_event('NoPrefix', 'user_registered', '1') IS NOT NULL;
SELECT events.append_event('user:named', 'device_connected', '1') IS NOT NULL;
SET auren_events.naming = error;
SELECT * FROM t.try($$SELECT events.append_event('user:named', 'MODESWITCHED', '1')$$);
SELECT * FROM t.try($$SELECT events.append_event('named', 'mode_switched', '1')$$);
SELECT t.state($$SELECT events.append_events('{user:named,user:named}', '{a,B}', '{1,2}')$$);
SELECT events.stream_version('user:named');
SELECT s, e, t.state(format('SELECT events.append_event(%L, %L, ''1'')', s, e)) FROM (VALUES
	('user:123', 'user_registered'), ('system:config', 'mode2_switched'), ('user:', 'a'), (':1', 'a'), ('User:1', 'a'), ('a_b:c:d', 'a'),
	('user:1', '_a'), ('user:1', 'a_'), ('user:1', 'a__b'), ('user:1', '1a'), ('user:1', 'ä')) v (s, e);
SET auren_events.naming = maybe;
RESET auren_events.naming;
SET ROLE pg_monitor;
SET auren_events.naming = off;
RESET ROLE;
SET auren_events.no_such = 1;
