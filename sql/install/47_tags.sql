-- Rules that make tags and spans of events' data.

CREATE TABLE auren.declared_tag_rules (
	tenant_id  text        COLLATE "C" NOT NULL,
	event_type text        COLLATE "C" NOT NULL,
	pointer    text        COLLATE "C" NOT NULL,
	tag_key    text        COLLATE "C" NOT NULL,
	fill_after bigint      NOT NULL,
	fill_until bigint      NOT NULL,
	complete   boolean     NOT NULL,
	skipped    bigint      NOT NULL,
	created_by text        NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT declared_tag_rules_pkey PRIMARY KEY (tenant_id, event_type, pointer, tag_key)
);
COMMENT ON TABLE auren.declared_tag_rules IS 'which values of an event''s data make tags (events.add_tag_rule), and how far stored events have them';
COMMENT ON COLUMN auren.declared_tag_rules.tenant_id IS 'tenant whose events it is for';
COMMENT ON COLUMN auren.declared_tag_rules.event_type IS 'type of the events';
COMMENT ON COLUMN auren.declared_tag_rules.pointer IS 'JSON pointer to the value';
COMMENT ON COLUMN auren.declared_tag_rules.tag_key IS 'what stands before the colon of the tags';
COMMENT ON COLUMN auren.declared_tag_rules.fill_after IS 'stored events up to this position have the tags in the index';
COMMENT ON COLUMN auren.declared_tag_rules.fill_until IS 'last position when it was declared: later events were appended with the tags';
COMMENT ON COLUMN auren.declared_tag_rules.complete IS 'whether all events have the tags in the index, so that readers are shown them';
COMMENT ON COLUMN auren.declared_tag_rules.skipped IS 'stored events whose value can make no tag';
COMMENT ON COLUMN auren.declared_tag_rules.created_by IS 'role that declared it';
COMMENT ON COLUMN auren.declared_tag_rules.created_at IS 'when';

CREATE TABLE auren.declared_span_rules (
	tenant_id    text COLLATE "C" NOT NULL,
	event_type   text COLLATE "C" NOT NULL,
	from_pointer text COLLATE "C" NOT NULL,
	to_pointer   text COLLATE "C" NOT NULL,
	CONSTRAINT declared_span_rules_pkey PRIMARY KEY (tenant_id, event_type)
);
COMMENT ON TABLE auren.declared_span_rules IS 'between which times of its data an event''s span lies (events.add_span_rule)';
COMMENT ON COLUMN auren.declared_span_rules.tenant_id IS 'tenant whose events it is for';
COMMENT ON COLUMN auren.declared_span_rules.event_type IS 'type of the events';
COMMENT ON COLUMN auren.declared_span_rules.from_pointer IS 'JSON pointer to the beginning';
COMMENT ON COLUMN auren.declared_span_rules.to_pointer IS 'JSON pointer to the end, which is not part of the span';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_tag_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_tag_rules ENABLE ALWAYS TRIGGER tell_sessions;
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_span_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_span_rules ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION events.add_tag_rule(p_event_type text, p_pointer text, p_tag_key text) RETURNS boolean
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_tag_rule';
COMMENT ON FUNCTION events.add_tag_rule(text, text, text) IS
'events of a type have the tag key:value of what stands at a JSON pointer in their data (a text, number or boolean, or an array of them); returns whether it is complete: if not, call events.fill_tag_rules until that returns 0';
INSERT INTO auren.rights VALUES ('events.add_tag_rule', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.drop_tag_rule(p_event_type text, p_pointer text, p_tag_key text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_tag_rule';
COMMENT ON FUNCTION events.drop_tag_rule(text, text, text) IS 'takes a rule back: no event shows its tags any more; 42704 when there is none';
INSERT INTO auren.rights VALUES ('events.drop_tag_rule', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.fill_tag_rules(p_limit integer DEFAULT 10000) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_fill_tag_rules';
COMMENT ON FUNCTION events.fill_tag_rules(integer) IS
'a step of making the tags of stored events for the rules that are not complete: looks at p_limit events at most and returns how many positions are left, 0 when all rules are complete; each call is best a transaction of its own';
INSERT INTO auren.rights VALUES ('events.fill_tag_rules', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.add_span_rule(p_event_type text, p_from_pointer text, p_to_pointer text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_span_rule';
COMMENT ON FUNCTION events.add_span_rule(text, text, text) IS
'events of a type have a span, from the time at one JSON pointer in their data up to, but without, that at another; a missing end is without a bound';
INSERT INTO auren.rights VALUES ('events.add_span_rule', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.drop_span_rule(p_event_type text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_span_rule';
COMMENT ON FUNCTION events.drop_span_rule(text) IS 'takes the span rule of a type back; 42704 when there is none';
INSERT INTO auren.rights VALUES ('events.drop_span_rule', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.tag_rules WITH (security_barrier) AS
	SELECT event_type, pointer, tag_key, complete, fill_after, fill_until, skipped, created_by, created_at FROM auren.declared_tag_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW events.tag_rules IS 'tag rules of this session''s tenant, and how far stored events have their tags';
INSERT INTO auren.rights VALUES ('events.tag_rules', 'SELECT', '{reader,admin}', '0.2.0');

CREATE VIEW events.span_rules WITH (security_barrier) AS
	SELECT event_type, from_pointer, to_pointer FROM auren.declared_span_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW events.span_rules IS 'span rules of this session''s tenant';
INSERT INTO auren.rights VALUES ('events.span_rules', 'SELECT', '{reader,admin}', '0.2.0');
