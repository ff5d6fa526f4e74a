-- What rules of tags and spans refuse: bad rules, values that make no tag, encrypted fields, whoever may not.
SET client_min_messages = warning;
SET app.tenant_id = 'tag_refused';
-- rules
SELECT c.call, t.try('SELECT ' || c.call) FROM unnest(ARRAY[
	$$events.add_tag_rule('', '/a', 'k')$$, $$events.add_tag_rule('e', 'a', 'k')$$, $$events.add_tag_rule('e', '/~2', 'k')$$, $$events.add_tag_rule('e', '/a', '')$$,
	$$events.add_tag_rule('e', '/a', 'a:b')$$, $$events.add_tag_rule('e', '/a', ' k')$$, $$events.add_tag_rule('e', '/a', repeat('k', 101))$$, $$events.add_tag_rule('e', '/a', E'k\n')$$,
	$$events.add_tag_rule(NULL, '/a', 'k')$$, $$events.add_tag_rule('e', NULL, 'k')$$, $$events.add_tag_rule('e', '/a', NULL)$$,
	$$events.drop_tag_rule('e', '/a', 'k')$$, $$events.fill_tag_rules(0)$$, $$events.fill_tag_rules(NULL)$$,
	$$events.add_span_rule('e', '/a', '/a')$$, $$events.add_span_rule('e', 'a', '/a')$$, $$events.add_span_rule('e', '/a', NULL)$$, $$events.drop_span_rule('e')$$]) WITH ORDINALITY c (call, i) ORDER BY i;
SELECT events.fill_tag_rules(100000000);
-- values
SELECT events.add_tag_rule('e', '/v', 'k'), events.add_tag_rule('e', '/w', repeat('k', 100));
SELECT t.try(format('SELECT events.append_event(%L, %L, %L)', 's:1', 'e', d)) FROM (VALUES
	('{"v": {}}'), ('{"v": {"a": 1}}'), ('{"v": [1, [2]]}'), ('{"v": [{}]}'), ('{"v": ""}'), ('{"v": [1, ""]}'), ('{"v": "a\tb"}'),
	(jsonb_build_object('v', repeat('ü', 254))::text), (jsonb_build_object('w', repeat('w', 155))::text), (jsonb_build_object('v', (SELECT jsonb_agg(n) FROM generate_series(1, 65) n))::text)) v(d);
SELECT t.try(format('SELECT events.append_event(%L, %L, %L, p_tags => %L)', 's:1', 'e', jsonb_build_object('v', (SELECT jsonb_agg(n) FROM generate_series(1, 60) n)), '{a,b,c,d,e}'));
SELECT t.try(format('SELECT events.append_event(%L, %L, %L)', 's:1', 'e', jsonb_build_object('v', (SELECT jsonb_agg(n) FROM generate_series(1, 60) n), 'w', '[1, 2, 3, 4, 5]'::jsonb)));
-- one of a batch refuses it all
SELECT t.state($$SELECT events.append_events('{s:1,s:2}', '{o,e}', ARRAY['{}', '{"v": {}}']::jsonb[])$$);
SELECT events.stream_exists('s:1');
-- at the limit
SELECT t.state(format('SELECT events.append_event(%L, %L, %L)', 's:1', 'e', jsonb_build_object('v', repeat('ü', 253), 'w', repeat('w', 154))));
SELECT t.state(format('SELECT events.append_event(%L, %L, %L, p_tags => %L)', 's:1', 'e', jsonb_build_object('v', (SELECT jsonb_agg(n) FROM generate_series(1, 60) n)), '{a,b,c,d,k:1}'));
SELECT stream_version, cardinality(tags), octet_length(tags[1]), octet_length(tags[2]) FROM events.replay_stream('s:1');
-- no tag and no end of a span of an encrypted field, whatever came first
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_tags';
LOAD 'auren_events';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_tags';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
SET app.tenant_id = 'tag_refused';
SELECT encrypted.add_rule('vitals', '{/name,/hr}', 'user:*');
SELECT t.try($$SELECT events.add_tag_rule('vitals', '/name', 'name')$$);
SELECT t.state(format('SELECT events.add_tag_rule(%L, %L, %L)', 'vitals', p, 'k')) FROM unnest(ARRAY['/name/first', '', '/hr', '/hr/0', '/other', '/names', '/na']) p;
SELECT t.try($$SELECT events.add_span_rule('vitals', '/from', '/hr')$$);
SELECT t.state($$SELECT events.add_span_rule('vitals', '/name/0', '/to')$$), t.state($$SELECT events.add_span_rule('vitals', '/from', '/to')$$);
SELECT t.try($$SELECT encrypted.add_rule('vitals', '{/other/deep}', 'user:*')$$);
SELECT t.state(format('SELECT encrypted.add_rule(%L, %L, %L)', 'vitals', ARRAY['/name', '/hr', p], 'user:*')) FROM unnest(ARRAY['/names', '/from', '/to/0', '/free']) p;
-- what was refused is not there; other types and tenants are free
SELECT * FROM encrypted.rules;
SELECT pointer FROM events.tag_rules WHERE event_type = 'vitals' ORDER BY 1;
SELECT t.state($$SELECT events.add_tag_rule('other', '/name', 'name')$$), t.state($$SELECT encrypted.add_rule('e', '{/free}', 'user:*')$$);
SET app.tenant_id = 'tag_refused_2';
SELECT t.state($$SELECT events.add_tag_rule('vitals', '/name', 'name')$$);
SET app.tenant_id = 'tag_refused';
SELECT events.append_event('user:1', 'vitals', '{"name": "Ada", "hr": 70, "other": "o"}') IS NOT NULL AS appended;
SELECT tags, event_data ->> 'name' LIKE 'phi1:%' AS sealed FROM events.replay_stream('user:1');
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
-- who may
CREATE ROLE tag_writer;
CREATE ROLE tag_tenant;
SELECT events.grant_access('tag_writer', 'writer'), events.grant_access('tag_writer', 'reader'), events.grant_access('tag_tenant', 'admin'), events.bind_tenant('tag_tenant', 'tag_refused');
SET ROLE tag_writer;
SELECT t.state('SELECT ' || c.call) FROM unnest(ARRAY['events.add_tag_rule(''e'', ''/v'', ''k'')', 'events.drop_tag_rule(''e'', ''/v'', ''k'')', 'events.fill_tag_rules()', 'events.add_span_rule(''e'', ''/a'', ''/b'')', 'events.drop_span_rule(''e'')']) c (call);
SELECT count(*) FROM events.tag_rules;
SELECT t.state('TABLE auren.declared_tag_rules');
SET ROLE tag_tenant;
SELECT t.try('SELECT events.add_tag_rule(''e'', ''/x'', ''k'')');
SELECT t.state('SELECT ' || c.call) FROM unnest(ARRAY['events.drop_tag_rule(''e'', ''/v'', ''k'')', 'events.fill_tag_rules()', 'events.add_span_rule(''e'', ''/a'', ''/b'')', 'events.drop_span_rule(''e'')']) c (call);
RESET ROLE;
-- where nothing may be written
BEGIN READ ONLY;
SELECT t.state('SELECT ' || c.call) FROM unnest(ARRAY['events.add_tag_rule(''e'', ''/v'', ''k'')', 'events.drop_tag_rule(''e'', ''/v'', ''k'')', 'events.fill_tag_rules()', 'events.add_span_rule(''e'', ''/a'', ''/b'')', 'events.drop_span_rule(''e'')']) c (call);
ROLLBACK;
SELECT events.unbind_tenant('tag_tenant', 'tag_refused');
DROP OWNED BY tag_writer, tag_tenant;
DROP ROLE tag_writer, tag_tenant;
RESET app.tenant_id;
