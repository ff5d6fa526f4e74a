-- Notification rules: who may set them, and that they stand in no append's way. What listeners hear is in t/060_notify.pl.
SET client_min_messages = warning;
SELECT events.add_notification_rule('told', 'rules_type'), events.add_notification_rule(p_channel => 'rules_category', p_category => 'rules'), events.add_notification_rule('told', 'rules_both', 'rules'),
       events.add_notification_rule('told', 'rules_type');
SELECT * FROM events.notification_rules WHERE channel LIKE 'rules%' ORDER BY 1;
-- without a listener nothing is queued that could stay
SELECT count(*) FROM events.append_events('{rules:1,other:1}', '{told,told}', '{1,2}'::jsonb[]);
SELECT usage FROM events.notification_queue LIMIT 1;
-- a rule stands in no one's way: savepoints
BEGIN;
SELECT events.append_event('rules:1', 'told', '3') IS NOT NULL AS appended;
SAVEPOINT s;
SELECT events.append_event('rules:1', 'told', '4') IS NOT NULL AS appended;
ROLLBACK TO SAVEPOINT s;
COMMIT;
SELECT events.stream_version('rules:1');
-- rules are a tenant's own
SET app.tenant_id = 'rules_tenant';
SELECT count(*) FROM events.notification_rules WHERE channel LIKE 'rules%';
SELECT code, message FROM t.error_of($$SELECT events.drop_notification_rule('told', 'rules_type')$$);
RESET app.tenant_id;
-- rights
CREATE ROLE rules_reader; CREATE ROLE rules_admin; CREATE ROLE rules_writer;
SELECT events.grant_access('rules_reader', 'reader'), events.grant_access('rules_admin', 'admin'), events.grant_access('rules_writer', 'writer');
SET ROLE rules_reader;
SELECT code, message FROM t.error_of($$SELECT events.add_notification_rule(NULL, 'x')$$);
SELECT count(*) FROM events.notification_rules WHERE channel LIKE 'rules%';
SET ROLE rules_writer;
SELECT events.append_event('rules:1', 'told', '5') IS NOT NULL AS appended;
SET ROLE rules_admin;
SELECT events.add_notification_rule(NULL, 'rules_all');
SELECT events.drop_notification_rule(NULL, 'rules_all');
SELECT code, message FROM t.error_of('TABLE auren.declared_notification_rules');
RESET ROLE;
-- bad input
SELECT c.call, e.code, e.message FROM unnest(ARRAY['events.add_notification_rule(''told'')', 'events.add_notification_rule(NULL, '''')', 'events.add_notification_rule(NULL, repeat(''x'', 64))', 'events.add_notification_rule('''', ''x'')',
	'events.add_notification_rule(NULL, ''x'', ''a:b'')', 'events.drop_notification_rule(NULL, ''nowhere'')']) WITH ORDINALITY AS c (call, i), LATERAL t.error_of('SELECT ' || call) e ORDER BY i;
SELECT events.drop_notification_rule('told', 'rules_type'), events.drop_notification_rule(NULL, 'rules_category', 'rules'), events.drop_notification_rule('told', 'rules_both', 'rules');
-- a tenant has room for so many rules; one that is there already takes none, and others have their own
SET auren_events.max_notification_rules = 2;
SELECT events.add_notification_rule('told', 'rules_one'), events.add_notification_rule('told', 'rules_two'), events.add_notification_rule('told', 'rules_two');
SELECT code, message, detail FROM t.error_of($$SELECT events.add_notification_rule('told', 'rules_three')$$);
SELECT code FROM t.error_of($$SELECT events.add_notification_rule('told', 'rules_two', 'category')$$);
SET app.tenant_id = 'rules_tenant';
SELECT events.add_notification_rule('told', 'rules_three');
SELECT events.drop_notification_rule('told', 'rules_three');
RESET app.tenant_id;
SELECT events.drop_notification_rule('told', 'rules_one');
SELECT events.add_notification_rule('told', 'rules_three');
SELECT events.drop_notification_rule('told', 'rules_two'), events.drop_notification_rule('told', 'rules_three');
SET auren_events.max_notification_rules = 0;
SELECT code FROM t.error_of($$SELECT events.add_notification_rule('told', 'rules_one')$$);
RESET auren_events.max_notification_rules;
SET ROLE rules_admin;
SELECT code FROM t.error_of('SET auren_events.max_notification_rules = 1000');
RESET ROLE;
DROP OWNED BY rules_reader, rules_admin, rules_writer;
DROP ROLE rules_reader, rules_admin, rules_writer;
