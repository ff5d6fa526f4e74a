-- Live notifications from the tables of the application.

CREATE FUNCTION events.notify_mode_switch() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_mode_switch';
COMMENT ON FUNCTION events.notify_mode_switch() IS 'trigger: tells channel mode_switch of a new history row (from_mode, to_mode) or a changed current_mode; arguments ''key=column'' rename columns';
INSERT INTO auren.rights VALUES ('events.notify_mode_switch', 'EXECUTE', '{writer}');

CREATE FUNCTION events.notify_memory_tier_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_memory_tier_change';
COMMENT ON FUNCTION events.notify_memory_tier_change() IS 'trigger: tells channel memory_tier_change of a new history row (from_tier, to_tier) or a changed tier; arguments ''key=column'' rename columns';
INSERT INTO auren.rights VALUES ('events.notify_memory_tier_change', 'EXECUTE', '{writer}');

-- Rules: which events are announced, and where. Without one nothing is.
CREATE TABLE auren.declared_notification_rules (
	tenant_id  text COLLATE "C" NOT NULL,
	channel    text COLLATE "C" NOT NULL,
	event_type text COLLATE "C" NOT NULL DEFAULT '',
	category   text COLLATE "C" NOT NULL DEFAULT '',
	CONSTRAINT declared_notification_rules_pkey PRIMARY KEY (tenant_id, channel, event_type, category)
);
COMMENT ON TABLE auren.declared_notification_rules IS 'which appended events are announced on which channel';
COMMENT ON COLUMN auren.declared_notification_rules.tenant_id IS 'tenant whose events are announced';
COMMENT ON COLUMN auren.declared_notification_rules.channel IS 'channel to LISTEN to';
COMMENT ON COLUMN auren.declared_notification_rules.event_type IS 'type that is announced; empty: all';
COMMENT ON COLUMN auren.declared_notification_rules.category IS 'category that is announced; empty: all';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_notification_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_notification_rules ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION events.add_notification_rule(p_event_type text DEFAULT NULL, p_channel text DEFAULT NULL, p_category text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_notification_rule';
COMMENT ON FUNCTION events.add_notification_rule(text, text, text) IS
'announces appended events of this session''s tenant, of a type or a category (NULL: all), on a channel: its listeners get the last position, at most once a transaction';
INSERT INTO auren.rights VALUES ('events.add_notification_rule', 'EXECUTE', '{admin}');

CREATE FUNCTION events.drop_notification_rule(p_event_type text DEFAULT NULL, p_channel text DEFAULT NULL, p_category text DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_notification_rule';
COMMENT ON FUNCTION events.drop_notification_rule(text, text, text) IS 'takes a notification rule back; 42704 when there is none';
INSERT INTO auren.rights VALUES ('events.drop_notification_rule', 'EXECUTE', '{admin}');

CREATE VIEW events.notification_rules WITH (security_barrier) AS
	SELECT channel, NULLIF(event_type, '') AS event_type, NULLIF(category, '') AS category
	FROM auren.declared_notification_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON VIEW events.notification_rules IS 'notification rules of this session''s tenant; NULL: all';
INSERT INTO auren.rights VALUES ('events.notification_rules', 'SELECT', '{reader,admin}');

CREATE VIEW events.notification_queue AS
	SELECT pg_catalog.pg_notification_queue_usage() AS usage, a.pid, a.usename AS role, a.application_name, a.state, a.xact_start AS since, a.query
	FROM (SELECT true) one
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.state LIKE 'idle in transaction%' AND a.xact_start IS NOT NULL
	ORDER BY a.xact_start;
COMMENT ON VIEW events.notification_queue IS 'how full the server''s notification queue is (1: full), and the sessions that sleep in a transaction, the oldest first: a listener among them keeps it from emptying';
INSERT INTO auren.rights VALUES ('events.notification_queue', 'SELECT', '{reader,admin}');
