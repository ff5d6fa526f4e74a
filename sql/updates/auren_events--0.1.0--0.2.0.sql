\echo Use "ALTER EXTENSION auren_events UPDATE" to load this file. \quit

-- From 0.1.0 to 0.2.0. Each change of an SQL object stands here too, as the pieces in sql/install have it.

CREATE FUNCTION events.version(OUT module_version text, OUT objects_version text, OUT update_due boolean)
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_version';
COMMENT ON FUNCTION events.version() IS 'the version of the loaded module, that of this database''s SQL objects, and whether ALTER EXTENSION auren_events UPDATE is due';
INSERT INTO auren.rights VALUES ('events.version', 'EXECUTE', '{reader,writer,admin,encrypt,decrypt,key_admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.version() FROM PUBLIC;

-- Up to which version the events of a stream were imported: of none of those that are there.
ALTER TABLE auren.stream_rows ADD COLUMN imported_version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN auren.stream_rows.imported_version IS 'version up to which its events were imported (events.import_events), 0 when none was';

-- Events with tags. The column is added at once, without rewriting a month: rows that are there have none.
ALTER TABLE events.event_store ADD COLUMN tags text[] COLLATE "C" NOT NULL DEFAULT '{}';
COMMENT ON COLUMN events.event_store.tags IS 'tags that the caller gave, sorted, each once';
CREATE TABLE auren.event_tags (
	tag_hash        bigint NOT NULL,
	global_position bigint NOT NULL,
	event_at        tid    NOT NULL,
	month           date   NOT NULL
) PARTITION BY LIST (month);
COMMENT ON TABLE auren.event_tags IS 'the index by which events are found by their tags: a row for each tag of an event, by month';
COMMENT ON COLUMN auren.event_tags.tag_hash IS 'auren.tag_hash of the event''s tenant and the tag';
COMMENT ON COLUMN auren.event_tags.global_position IS 'position of the event';
COMMENT ON COLUMN auren.event_tags.event_at IS 'where the row of the event was put: it may be elsewhere by now';
COMMENT ON COLUMN auren.event_tags.month IS 'first day of the month that holds the event';

CREATE FUNCTION auren.tag_hash(p_tenant_id text, p_tag text) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_tag_hash';
COMMENT ON FUNCTION auren.tag_hash(text, text) IS 'what stands for a tag of a tenant in auren.event_tags: the same in every version; others may have it too';
REVOKE ALL ON FUNCTION auren.tag_hash(text, text) FROM PUBLIC;
REVOKE ALL ON auren.event_tags FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('auren.event_tags', '');

-- A month of tags is kept while its events are there.
DROP EVENT TRIGGER auren_events_guard_drop;
COMMENT ON FUNCTION auren.guard_drop() IS 'event trigger: refuses to drop auren_events while it holds events, or a month of their tags without them, unless auren_events.allow_drop is on, to drop an index of its own concurrently, and to attach a month that lacks a column';
CREATE EVENT TRIGGER auren_events_guard_drop ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP OWNED', 'DROP INDEX', 'DROP TABLE', 'ALTER TABLE') EXECUTE FUNCTION auren.guard_drop();
-- under session_replication_role = replica too
ALTER EVENT TRIGGER auren_events_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_guard_drop IS 'keeps DROP EXTENSION auren_events from taking events with it, DROP INDEX CONCURRENTLY from the indexes that the store needs, queries from months without the index of tags, and a dump of an older version from a restore without its version';

ALTER TABLE auren.subscription_settings ADD COLUMN tags text[] COLLATE "C";
COMMENT ON COLUMN auren.subscription_settings.tags IS 'tags that all its events have; NULL: whatever their tags';

-- An update makes functions anew that take more than before, and their grants go with the old ones.
CREATE TABLE auren.carried_rights (
	object    text COLLATE "C" NOT NULL,
	grantee   oid     NOT NULL,
	grantable boolean NOT NULL,
	CONSTRAINT carried_rights_pkey PRIMARY KEY (object, grantee)
);
COMMENT ON TABLE auren.carried_rights IS 'who could execute a function that the update which is running makes anew; empty at all other times. Not dumped';
COMMENT ON COLUMN auren.carried_rights.object IS 'schema and name of the function';
COMMENT ON COLUMN auren.carried_rights.grantee IS 'role, 0: PUBLIC';
COMMENT ON COLUMN auren.carried_rights.grantable IS 'whether it could grant it to others';
REVOKE ALL ON auren.carried_rights FROM PUBLIC;

-- Functions that take or give tags are made anew. Whoever could execute them can again after the script: events.renew_access.
INSERT INTO auren.carried_rights
	SELECT pg_catalog.concat('events.', p.proname), a.grantee, pg_catalog.bool_or(a.is_grantable)
	FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
	WHERE p.oid OPERATOR(pg_catalog.=) ANY (ARRAY[
		'events.append_event(text, text, jsonb, text, jsonb, bigint, uuid)'::pg_catalog.regprocedure,
		'events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[])'::pg_catalog.regprocedure,
		'events.replay_stream(text, bigint, bigint)'::pg_catalog.regprocedure,
		'events.replay_stream_backward(text, bigint, integer)'::pg_catalog.regprocedure,
		'events.last_event(text, text)'::pg_catalog.regprocedure,
		'events.events_by_time(timestamptz, timestamptz, text, integer, bigint)'::pg_catalog.regprocedure,
		'events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint)'::pg_catalog.regprocedure,
		'events.replay_stream_decrypted(text, bigint, bigint)'::pg_catalog.regprocedure,
		'events.read_all(bigint, integer, text[], text, text, uuid)'::pg_catalog.regprocedure,
		'events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, boolean)'::pg_catalog.regprocedure,
		'events.fetch(text, text, integer)'::pg_catalog.regprocedure
	]) AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
	GROUP BY 1, 2;

DROP FUNCTION events.append_event(text, text, jsonb, text, jsonb, bigint, uuid);
CREATE FUNCTION events.append_event(
	p_stream_id        text,
	p_event_type       text,
	p_event_data       jsonb,
	p_created_by       text   DEFAULT 'system',
	p_metadata         jsonb  DEFAULT '{}',
	p_expected_version bigint DEFAULT NULL,
	p_event_id         uuid   DEFAULT NULL,
	p_tags             text[] DEFAULT NULL
) RETURNS uuid
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_append_event_with_tags';
COMMENT ON FUNCTION events.append_event(text, text, jsonb, text, jsonb, bigint, uuid, text[]) IS
'appends an event to a stream and returns its id; expected version: NULL any, 0 the stream must not exist, n it must be at n, -1 it must exist (else ZE001); an id given again returns the first result (other content: ZE002); tags: 64 at most, of 1 to 255 characters';
REVOKE ALL ON FUNCTION events.append_event(text, text, jsonb, text, jsonb, bigint, uuid, text[]) FROM PUBLIC;

DROP FUNCTION events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[]);
CREATE FUNCTION events.append_events(
	p_stream_ids        text[],
	p_event_types       text[],
	p_event_data        jsonb[],
	p_created_by        text     DEFAULT 'system',
	p_metadata          jsonb[]  DEFAULT NULL,
	p_expected_versions bigint[] DEFAULT NULL,
	p_event_ids         uuid[]   DEFAULT NULL,
	p_tags              jsonb[]  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_append_events_with_tags';
COMMENT ON FUNCTION events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) IS
'appends a batch of events, all or none, and returns a row per event in the order given; an expected version speaks of the stream before the batch; tags of an event: a JSON array of texts, or NULL';
REVOKE ALL ON FUNCTION events.append_events(text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) FROM PUBLIC;

DROP FUNCTION events.replay_stream(text, bigint, bigint);
CREATE FUNCTION events.replay_stream(
	p_stream_id    text,
	p_from_version bigint DEFAULT 1,
	p_to_version   bigint DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
                 metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream_with_tags';
COMMENT ON FUNCTION events.replay_stream(text, bigint, bigint) IS 'events of a stream in order of version, from and to included';
REVOKE ALL ON FUNCTION events.replay_stream(text, bigint, bigint) FROM PUBLIC;

DROP FUNCTION events.replay_stream_backward(text, bigint, integer);
CREATE FUNCTION events.replay_stream_backward(
	p_stream_id    text,
	p_from_version bigint  DEFAULT NULL,
	p_limit        integer DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
                 metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_replay_stream_backward_with_tags';
COMMENT ON FUNCTION events.replay_stream_backward(text, bigint, integer) IS 'events of a stream, newest first, from a version (included; NULL: the newest) and at most p_limit';
REVOKE ALL ON FUNCTION events.replay_stream_backward(text, bigint, integer) FROM PUBLIC;

DROP FUNCTION events.last_event(text, text);
CREATE FUNCTION events.last_event(p_stream_id text, p_event_type text DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz,
	               metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_last_event_with_tags';
COMMENT ON FUNCTION events.last_event(text, text) IS 'newest event of a stream, or its newest event of a type; no row when there is none';
REVOKE ALL ON FUNCTION events.last_event(text, text) FROM PUBLIC;

DROP FUNCTION events.events_by_time(timestamptz, timestamptz, text, integer, bigint);
CREATE FUNCTION events.events_by_time(
	p_from           timestamptz,
	p_to             timestamptz,
	p_event_type     text    DEFAULT NULL,
	p_limit          integer DEFAULT 1000,
	p_after_position bigint  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_events_by_time_with_tags';
COMMENT ON FUNCTION events.events_by_time(timestamptz, timestamptz, text, integer, bigint) IS
'events of a time range (from included, to not) in order of time and position; for the next page give the last row''s created_at as p_from and its global_position as p_after_position';
REVOKE ALL ON FUNCTION events.events_by_time(timestamptz, timestamptz, text, integer, bigint) FROM PUBLIC;

DROP FUNCTION events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint);
CREATE FUNCTION events.find_events(
	p_contains        jsonb,
	p_event_type      text        DEFAULT NULL,
	p_from            timestamptz DEFAULT NULL,
	p_to              timestamptz DEFAULT NULL,
	p_limit           integer     DEFAULT 100,
	p_before_position bigint      DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 created_at timestamptz, metadata jsonb, created_by text, global_position bigint, tags text[])
	LANGUAGE C STABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_find_events_with_tags';
COMMENT ON FUNCTION events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint) IS
'events whose data contains p_contains (as @> does, by the GIN index), newest first; for the next page give the last row''s created_at as p_to and its global_position as p_before_position';
REVOKE ALL ON FUNCTION events.find_events(jsonb, text, timestamptz, timestamptz, integer, bigint) FROM PUBLIC;

DROP FUNCTION events.replay_stream_decrypted(text, bigint, bigint);
CREATE FUNCTION events.replay_stream_decrypted(p_stream_id text, p_from_version bigint DEFAULT 1, p_to_version bigint DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz, metadata jsonb,
	               created_by text, global_position bigint, tags text[])
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000 AS 'MODULE_PATHNAME', 'auren_replay_stream_decrypted_with_tags';
COMMENT ON FUNCTION events.replay_stream_decrypted(text, bigint, bigint) IS
'events.replay_stream with the fields of the rules decrypted; those of forgotten people stay envelopes';
REVOKE ALL ON FUNCTION events.replay_stream_decrypted(text, bigint, bigint) FROM PUBLIC;

DROP FUNCTION events.read_all(bigint, integer, text[], text, text, uuid);
CREATE FUNCTION events.read_all(
	p_after_position bigint  DEFAULT 0,
	p_limit          integer DEFAULT 1000,
	p_event_types    text[]  DEFAULT NULL,
	p_category       text    DEFAULT NULL,
	p_stream_prefix  text    DEFAULT NULL,
	p_epoch          uuid    DEFAULT NULL,
	p_tags           text[]  DEFAULT NULL
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_all_with_tags';
COMMENT ON FUNCTION events.read_all(bigint, integer, text[], text, text, uuid, text[]) IS
'final events of this session''s tenant after a position, in order of position: what is read once has no later event below it; p_tags: those that have all of these tags; ZE007 when p_epoch is not events.store_epoch()';
REVOKE ALL ON FUNCTION events.read_all(bigint, integer, text[], text, text, uuid, text[]) FROM PUBLIC;

DROP FUNCTION events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, boolean);
CREATE FUNCTION events.create_subscription(
	p_name           text,
	p_after_position bigint      DEFAULT 0,
	p_from_time      timestamptz DEFAULT NULL,
	p_event_types    text[]      DEFAULT NULL,
	p_category       text        DEFAULT NULL,
	p_stream_prefix  text        DEFAULT NULL,
	p_shares         integer     DEFAULT 8,
	p_max_attempts   integer     DEFAULT 5,
	p_lease          interval    DEFAULT '30 seconds',
	p_stream_waits   boolean     DEFAULT true,
	p_tags           text[]      DEFAULT NULL
) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_create_subscription_with_tags';
COMMENT ON FUNCTION events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, boolean, text[]) IS
'makes a subscription that begins after a position (0: with the first event, NULL: with what comes from now on) or with a time, and returns the position after which it begins';
REVOKE ALL ON FUNCTION events.create_subscription(text, bigint, timestamptz, text[], text, text, integer, integer, interval, boolean, text[]) FROM PUBLIC;

DROP FUNCTION events.fetch(text, text, integer);
CREATE FUNCTION events.fetch(p_name text, p_consumer text, p_limit integer DEFAULT 100)
	RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
	               metadata jsonb, created_at timestamptz, created_by text, share integer, failed_attempts integer, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_fetch_with_tags';
COMMENT ON FUNCTION events.fetch(text, text, integer) IS
'next events of a subscription for a consumer, whose lease it takes or renews; the same ones again until they are acknowledged, retried or parked. What it gives is in the consumer''s hands until its next fetch';
REVOKE ALL ON FUNCTION events.fetch(text, text, integer) FROM PUBLIC;

CREATE OR REPLACE VIEW events.tenant_events WITH (security_barrier) AS
	SELECT event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tenant_id,
	       global_position, tags
	FROM events.event_store
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON COLUMN events.tenant_events.tags IS 'tags that the caller gave, sorted, each once';

CREATE OR REPLACE VIEW events.subscriptions WITH (security_barrier) AS
	SELECT s.tenant_id, s.name, t.checkpoint, t.head, t.lag_events, t.lag_seconds, t.lag_is_exact, t.consumers,
	       (SELECT count(*) FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.state OPERATOR(pg_catalog.=) 'parked') AS parked,
	       (SELECT count(*) FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.state OPERATOR(pg_catalog.<>) 'parked' AND p.attempts OPERATOR(pg_catalog.>) 0) AS retrying,
	       (SELECT p.reason FROM auren.subscription_held p WHERE p.subscription_id OPERATOR(pg_catalog.=) s.subscription_id AND p.reason IS NOT NULL ORDER BY p.since DESC LIMIT 1) AS last_error,
	       s.event_types, s.category, s.stream_prefix, s.shares, s.max_attempts, s.lease, s.stream_waits, s.created_by, s.created_at, t.due_events, t.delayed_events, t.waiting_events, s.tags
	FROM auren.subscription_settings s CROSS JOIN LATERAL auren.subscription_status(s.name) t
	WHERE s.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.view_tenant());
COMMENT ON COLUMN events.subscriptions.tags IS 'tags that all its events have; NULL: whatever their tags';

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
REVOKE ALL ON FUNCTION events.add_tag_rule(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.drop_tag_rule(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.fill_tag_rules(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.add_span_rule(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.drop_span_rule(text) FROM PUBLIC;
REVOKE ALL ON TABLE auren.declared_tag_rules, auren.declared_span_rules, events.tag_rules, events.span_rules FROM PUBLIC;
COMMENT ON COLUMN events.tag_rules.event_type IS 'type of the events';
COMMENT ON COLUMN events.tag_rules.pointer IS 'JSON pointer to the value in an event''s data';
COMMENT ON COLUMN events.tag_rules.tag_key IS 'what stands before the colon of the tags';
COMMENT ON COLUMN events.tag_rules.complete IS 'whether all events have the tags: only then are they shown, and found by';
COMMENT ON COLUMN events.tag_rules.fill_after IS 'stored events up to this position have them';
COMMENT ON COLUMN events.tag_rules.fill_until IS 'last position when it was declared: later events have them from their append on';
COMMENT ON COLUMN events.tag_rules.skipped IS 'stored events whose value can make no tag';
COMMENT ON COLUMN events.tag_rules.created_by IS 'role that declared it';
COMMENT ON COLUMN events.tag_rules.created_at IS 'when';
COMMENT ON COLUMN events.span_rules.event_type IS 'type of the events';
COMMENT ON COLUMN events.span_rules.from_pointer IS 'JSON pointer to the beginning in an event''s data';
COMMENT ON COLUMN events.span_rules.to_pointer IS 'JSON pointer to the end, which is not part of the span';
COMMENT ON TRIGGER tell_sessions ON auren.declared_tag_rules IS 'has all sessions look at the table again when it has changed';
COMMENT ON TRIGGER tell_sessions ON auren.declared_span_rules IS 'has all sessions look at the table again when it has changed';
SELECT pg_catalog.pg_extension_config_dump('auren.declared_tag_rules', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_span_rules', '');

-- Seals: digests of final events under a Merkle tree a month, its root chained to the seal before it and signed. And what sessions work at.

CREATE FUNCTION auren.work_phases() RETURNS TABLE (code integer, what text, phase text, unit text)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 33 AS 'MODULE_PATHNAME', 'auren_work_phases';
COMMENT ON FUNCTION auren.work_phases() IS 'what sessions do that takes long, by the number under which they show it';
REVOKE ALL ON FUNCTION auren.work_phases() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.work_phases() TO PUBLIC;

-- Two locks of a session carry the numbers (server/progress.hpp): 16 bits of what it does, 48 bits of how much. -24335 and -24334 are 0xA0F1 and 0xA0F2.
CREATE VIEW events.progress WITH (security_barrier) AS
	SELECT d.pid, a.usename AS role, w.what, w.phase, ((d.classid::bigint & 65535) << 32) | d.objid::bigint AS done,
	       nullif(((t.classid::bigint & 65535) << 32) | t.objid::bigint, 0) AS total, w.unit, a.query_start AS since
	FROM pg_locks d
	LEFT JOIN pg_locks t ON t.pid = d.pid AND t.locktype = 'advisory' AND t.objsubid = -24334 AND t.database = d.database
	                    AND t.classid::bigint >> 16 = d.classid::bigint >> 16
	LEFT JOIN pg_stat_activity a ON a.pid = d.pid
	LEFT JOIN auren.work_phases() w ON w.code = d.classid::bigint >> 16
	WHERE d.locktype = 'advisory' AND d.objsubid = -24335
	  AND d.pid IS NOT NULL -- a prepared transaction keeps what an error left that was caught
	  AND d.database = (SELECT oid FROM pg_database WHERE datname = current_database());
COMMENT ON VIEW events.progress IS 'sessions of this database at work that takes long, such as a seal, an import or a refresh of metrics, and how far they are';
INSERT INTO auren.rights VALUES ('events.progress', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.progress.pid IS 'process of the session';
COMMENT ON COLUMN events.progress.role IS 'its role';
COMMENT ON COLUMN events.progress.what IS 'what it does';
COMMENT ON COLUMN events.progress.phase IS 'which part of it';
COMMENT ON COLUMN events.progress.done IS 'steps of the phase that are done';
COMMENT ON COLUMN events.progress.total IS 'how many steps there are, about; NULL where nobody knows';
COMMENT ON COLUMN events.progress.unit IS 'what the steps are: events, streams, keys';
COMMENT ON COLUMN events.progress.since IS 'when its statement began';

CREATE TABLE auren.seals (
	seal           bigint      NOT NULL,
	month          date        NOT NULL,
	after_position bigint      NOT NULL,
	up_to_position bigint      NOT NULL,
	last_position  bigint      NOT NULL,
	events         bigint      NOT NULL,
	root           bytea       NOT NULL,
	previous       bytea       NOT NULL,
	chain          bytea       NOT NULL,
	key_id         text        COLLATE "C" NOT NULL,
	signature      bytea       NOT NULL,
	sealed_at      timestamptz NOT NULL,
	CONSTRAINT seals_pkey PRIMARY KEY (seal)
);
CREATE INDEX seals_month ON auren.seals (month, up_to_position);
COMMENT ON TABLE auren.seals IS 'a row for each tree of digests: the events of a month whose positions are in a range';
COMMENT ON INDEX auren.seals_month IS 'finds the seal of an event by its month and position';
COMMENT ON COLUMN auren.seals.seal IS 'number of the seal: 1, 2, 3 without a hole';
COMMENT ON COLUMN auren.seals.month IS 'first day of the month that holds the events';
COMMENT ON COLUMN auren.seals.after_position IS 'the seal covers the month''s events after this position';
COMMENT ON COLUMN auren.seals.up_to_position IS 'and up to this one: what is there was final when it was sealed';
COMMENT ON COLUMN auren.seals.last_position IS 'position of its last event';
COMMENT ON COLUMN auren.seals.events IS 'how many events it covers';
COMMENT ON COLUMN auren.seals.root IS 'root of the Merkle tree over the digests of the events, in order of position';
COMMENT ON COLUMN auren.seals.previous IS 'chain of the seal before; 32 zero bytes for the first one';
COMMENT ON COLUMN auren.seals.chain IS 'SHA-256 of the seal''s statement, which holds all of the above';
COMMENT ON COLUMN auren.seals.key_id IS 'key that signed it';
COMMENT ON COLUMN auren.seals.signature IS 'Ed25519 signature of the statement';
COMMENT ON COLUMN auren.seals.sealed_at IS 'when it was sealed, by the server''s clock';

CREATE TABLE auren.seal_leaves (
	seal           bigint  NOT NULL,
	pack           integer NOT NULL,
	first_position bigint  NOT NULL,
	last_position  bigint  NOT NULL,
	events         integer NOT NULL,
	root           bytea   NOT NULL,
	leaves         bytea   NOT NULL,
	CONSTRAINT seal_leaves_pkey PRIMARY KEY (seal, pack)
);
-- digests do not compress
ALTER TABLE auren.seal_leaves ALTER COLUMN leaves SET STORAGE EXTERNAL;
COMMENT ON TABLE auren.seal_leaves IS 'the digests under the seals, 256 events to a row';
COMMENT ON COLUMN auren.seal_leaves.seal IS 'seal';
COMMENT ON COLUMN auren.seal_leaves.pack IS 'counts the seal''s packs from 0';
COMMENT ON COLUMN auren.seal_leaves.first_position IS 'position of the first event';
COMMENT ON COLUMN auren.seal_leaves.last_position IS 'position of the last event';
COMMENT ON COLUMN auren.seal_leaves.events IS 'events: 256, and in the last pack of a seal as many as are left';
COMMENT ON COLUMN auren.seal_leaves.root IS 'root of the tree over this pack';
COMMENT ON COLUMN auren.seal_leaves.leaves IS 'for each event 8 bytes of its position, the most significant first, and 32 bytes of its digest';

CREATE TABLE auren.registered_seal_keys (
	key_id        text        COLLATE "C" NOT NULL,
	public_key    bytea       NOT NULL,
	registered_at timestamptz NOT NULL,
	registered_by text        NOT NULL,
	endorsed_by   text        COLLATE "C",
	endorsement   bytea,
	retired_at    timestamptz,
	CONSTRAINT registered_seal_keys_pkey PRIMARY KEY (key_id)
);
COMMENT ON TABLE auren.registered_seal_keys IS 'public halves of the keys that sign seals (events.register_seal_key)';
COMMENT ON COLUMN auren.registered_seal_keys.key_id IS 'the first 16 hexadecimal digits of the SHA-256 of the public key';
COMMENT ON COLUMN auren.registered_seal_keys.public_key IS 'Ed25519 public key, 32 bytes';
COMMENT ON COLUMN auren.registered_seal_keys.registered_at IS 'when it was registered';
COMMENT ON COLUMN auren.registered_seal_keys.registered_by IS 'role that registered it';
COMMENT ON COLUMN auren.registered_seal_keys.endorsed_by IS 'key before it, which signed that this one follows; NULL for the first one, or where the one before was lost';
COMMENT ON COLUMN auren.registered_seal_keys.endorsement IS 'that key''s signature';
COMMENT ON COLUMN auren.registered_seal_keys.retired_at IS 'when the next key was registered; it signs no seal after that';

CREATE VIEW events.seals WITH (security_barrier) AS
	SELECT seal, month, after_position, up_to_position, last_position, events, root, previous, chain, key_id, signature, sealed_at
	FROM auren.seals;
COMMENT ON VIEW events.seals IS 'seals of all tenants'' events: numbers, digests and signatures';
INSERT INTO auren.rights VALUES ('events.seals', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.seals.seal IS 'number of the seal: 1, 2, 3 without a hole';
COMMENT ON COLUMN events.seals.month IS 'first day of the month that holds the events';
COMMENT ON COLUMN events.seals.after_position IS 'the seal covers the month''s events after this position';
COMMENT ON COLUMN events.seals.up_to_position IS 'and up to this one';
COMMENT ON COLUMN events.seals.last_position IS 'position of its last event';
COMMENT ON COLUMN events.seals.events IS 'how many events it covers';
COMMENT ON COLUMN events.seals.root IS 'root of the Merkle tree';
COMMENT ON COLUMN events.seals.previous IS 'chain of the seal before';
COMMENT ON COLUMN events.seals.chain IS 'SHA-256 of the seal''s statement';
COMMENT ON COLUMN events.seals.key_id IS 'key that signed it';
COMMENT ON COLUMN events.seals.signature IS 'Ed25519 signature of the statement';
COMMENT ON COLUMN events.seals.sealed_at IS 'when it was sealed';

CREATE VIEW events.seal_keys WITH (security_barrier) AS
	SELECT key_id, public_key, registered_at, registered_by, endorsed_by, endorsement, retired_at FROM auren.registered_seal_keys;
COMMENT ON VIEW events.seal_keys IS 'public halves of the keys that sign seals';
INSERT INTO auren.rights VALUES ('events.seal_keys', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.seal_keys.key_id IS 'the first 16 hexadecimal digits of the SHA-256 of the public key';
COMMENT ON COLUMN events.seal_keys.public_key IS 'Ed25519 public key, 32 bytes';
COMMENT ON COLUMN events.seal_keys.registered_at IS 'when it was registered';
COMMENT ON COLUMN events.seal_keys.registered_by IS 'role that registered it';
COMMENT ON COLUMN events.seal_keys.endorsed_by IS 'key before it, which signed that this one follows';
COMMENT ON COLUMN events.seal_keys.endorsement IS 'that key''s signature';
COMMENT ON COLUMN events.seal_keys.retired_at IS 'when the next key was registered';

CREATE FUNCTION events.seal(p_limit bigint DEFAULT NULL)
	RETURNS TABLE (seal bigint, month date, events bigint, up_to_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_seal';
COMMENT ON FUNCTION events.seal(bigint) IS
'seals the final events after the last seal, p_limit at most (NULL: 1,000,000), and returns a row for each month among them; none where there is nothing to seal; one session at a time (55P03)';
INSERT INTO auren.rights VALUES ('events.seal', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.register_seal_key(p_previous_lost boolean DEFAULT false) RETURNS text
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_register_seal_key';
COMMENT ON FUNCTION events.register_seal_key(boolean) IS
'registers the current key of auren_events.seal_key_file for the seals to come, endorsed by the key before it, which must be in the file too unless p_previous_lost; returns its id';
INSERT INTO auren.rights VALUES ('events.register_seal_key', 'EXECUTE', '{admin}', '0.2.0');

CREATE TABLE auren.verifications (
	verified_at    timestamptz NOT NULL,
	verified_by    text        NOT NULL,
	from_month     date,
	to_month       date,
	since_seal     bigint      NOT NULL,
	last_seal      bigint      NOT NULL,
	seals          bigint      NOT NULL,
	events         bigint      NOT NULL,
	up_to_position bigint      NOT NULL,
	findings       bigint      NOT NULL,
	took           interval    NOT NULL
);
COMMENT ON TABLE auren.verifications IS 'what events.verify looked at, and when';
COMMENT ON COLUMN auren.verifications.verified_at IS 'when it was done';
COMMENT ON COLUMN auren.verifications.verified_by IS 'role that called it';
COMMENT ON COLUMN auren.verifications.from_month IS 'first month; NULL: from the first one on';
COMMENT ON COLUMN auren.verifications.to_month IS 'last month; NULL: to the last one';
COMMENT ON COLUMN auren.verifications.since_seal IS 'what came after this seal was verified; 0: all';
COMMENT ON COLUMN auren.verifications.last_seal IS 'newest seal that was there';
COMMENT ON COLUMN auren.verifications.seals IS 'seals that were checked';
COMMENT ON COLUMN auren.verifications.events IS 'events that were checked';
COMMENT ON COLUMN auren.verifications.up_to_position IS 'position up to which events were sealed';
COMMENT ON COLUMN auren.verifications.findings IS 'how many problems it found';
COMMENT ON COLUMN auren.verifications.took IS 'how long it took';

CREATE VIEW events.verifications WITH (security_barrier) AS
	SELECT verified_at, verified_by, from_month, to_month, since_seal, last_seal, seals, events, up_to_position, findings, took
	FROM auren.verifications;
COMMENT ON VIEW events.verifications IS 'what events.verify looked at, and when';
INSERT INTO auren.rights VALUES ('events.verifications', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.verifications.verified_at IS 'when it was done';
COMMENT ON COLUMN events.verifications.verified_by IS 'role that called it';
COMMENT ON COLUMN events.verifications.from_month IS 'first month; NULL: from the first one on';
COMMENT ON COLUMN events.verifications.to_month IS 'last month; NULL: to the last one';
COMMENT ON COLUMN events.verifications.since_seal IS 'what came after this seal was verified; 0: all';
COMMENT ON COLUMN events.verifications.last_seal IS 'newest seal that was there';
COMMENT ON COLUMN events.verifications.seals IS 'seals that were checked';
COMMENT ON COLUMN events.verifications.events IS 'events that were checked';
COMMENT ON COLUMN events.verifications.up_to_position IS 'position up to which events were sealed';
COMMENT ON COLUMN events.verifications.findings IS 'how many problems it found';
COMMENT ON COLUMN events.verifications.took IS 'how long it took';

CREATE FUNCTION events.verify(p_from date DEFAULT NULL, p_to date DEFAULT NULL, p_since_seal bigint DEFAULT NULL)
	RETURNS TABLE (problem text, month date, global_position bigint, event_id uuid, stream_id text, detail text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'auren_verify';
COMMENT ON FUNCTION events.verify(date, date, bigint) IS
'compares the events of some months (NULL: all) with their seals and returns a row for each problem, none where all is as it was sealed; p_since_seal: only what came after a seal';
INSERT INTO auren.rights VALUES ('events.verify', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.published_roots WITH (security_barrier) AS
	SELECT seal, month, up_to_position, events, encode(root, 'hex') AS root, encode(chain, 'hex') AS chain, key_id, encode(signature, 'hex') AS signature, sealed_at,
	       json_build_object('seal', seal, 'month', to_char(month, 'YYYY-MM'), 'after', after_position, 'up_to', up_to_position, 'last', last_position,
	                         'events', events, 'previous', encode(previous, 'hex'), 'sealed_at', to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	                         'signature', encode(signature, 'hex'), 'root', encode(root, 'hex'), 'key', key_id)::text AS line
	FROM auren.seals;
COMMENT ON VIEW events.published_roots IS 'seals in the form in which they are kept elsewhere: whoever has the newest chain notices if seals are removed or made anew';
INSERT INTO auren.rights VALUES ('events.published_roots', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.published_roots.seal IS 'number of the seal';
COMMENT ON COLUMN events.published_roots.month IS 'first day of its month';
COMMENT ON COLUMN events.published_roots.up_to_position IS 'position up to which it covers the month''s events';
COMMENT ON COLUMN events.published_roots.events IS 'how many they are';
COMMENT ON COLUMN events.published_roots.root IS 'root of the Merkle tree, hexadecimal';
COMMENT ON COLUMN events.published_roots.chain IS 'SHA-256 of the seal''s statement, hexadecimal';
COMMENT ON COLUMN events.published_roots.key_id IS 'key that signed it';
COMMENT ON COLUMN events.published_roots.signature IS 'its signature, hexadecimal';
COMMENT ON COLUMN events.published_roots.sealed_at IS 'when it was sealed';
COMMENT ON COLUMN events.published_roots.line IS 'all of it as a JSON object, for scripts/verify_archive';

CREATE FUNCTION events.event_line(p_event_id uuid) RETURNS text
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_event_line';
COMMENT ON FUNCTION events.event_line(uuid) IS 'the canonical line of an event of this session''s tenant, whose digest is sealed; doc/seals.md has its form';
INSERT INTO auren.rights VALUES ('events.event_line', 'EXECUTE', '{reader}', '0.2.0');

CREATE FUNCTION events.prove(p_event_id uuid) RETURNS jsonb
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_prove';
COMMENT ON FUNCTION events.prove(uuid) IS
'shows with events.event_line(p_event_id) that an event of this session''s tenant is under a seal: the seal, its signature and the path in its tree; 55000 where the event is not sealed yet';
INSERT INTO auren.rights VALUES ('events.prove', 'EXECUTE', '{reader}', '0.2.0');

CREATE FUNCTION events.verify_proof(p_line text, p_proof jsonb, OUT valid boolean, OUT reason text)
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_verify_proof';
COMMENT ON FUNCTION events.verify_proof(text, jsonb) IS 'whether a proof of events.prove holds for an event''s canonical line in this store, and if not the reason';
INSERT INTO auren.rights VALUES ('events.verify_proof', 'EXECUTE', '{reader,admin}', '0.2.0');
REVOKE ALL ON auren.seals, auren.seal_leaves, auren.registered_seal_keys, auren.verifications, events.progress, events.seals, events.seal_keys, events.verifications, events.published_roots FROM PUBLIC;
REVOKE ALL ON FUNCTION events.seal(bigint),
	events.register_seal_key(boolean),
	events.verify(date, date, bigint),
	events.event_line(uuid),
	events.prove(uuid),
	events.verify_proof(text, jsonb) FROM PUBLIC;
ALTER TABLE auren.verifications REPLICA IDENTITY FULL;
SELECT pg_catalog.pg_extension_config_dump('auren.seals', '');
SELECT pg_catalog.pg_extension_config_dump('auren.seal_leaves', '');
SELECT pg_catalog.pg_extension_config_dump('auren.registered_seal_keys', '');
SELECT pg_catalog.pg_extension_config_dump('auren.verifications', '');
-- (end of seals)

-- Rights on procedures.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
CREATE OR REPLACE VIEW auren.granted_objects AS
	-- the members come first: to compare names with all of a database's functions takes long where the planner joins them one by one
	WITH member AS MATERIALIZED (
		SELECT d.classid, d.objid FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
		WHERE e.extname = 'auren_events'),
	object AS MATERIALIZED (
		SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, p.oid, concat(n.nspname, '.', p.proname) AS object, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name, false AS holds_rows
		FROM member m JOIN pg_proc p ON p.oid = m.objid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE m.classid = 'pg_proc'::regclass
		UNION ALL
		SELECT 'TABLE', c.oid, concat(n.nspname, '.', c.relname), format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p')
		FROM member m JOIN pg_class c ON c.oid = m.objid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE m.classid = 'pg_class'::regclass
		UNION ALL
		SELECT 'SCHEMA', n.oid, n.nspname, quote_ident(n.nspname), false
		FROM member m JOIN pg_namespace n ON n.oid = m.objid WHERE m.classid = 'pg_namespace'::regclass)
	SELECT o.kind, o.oid, o.name, r.privilege, r.access, r.since, o.holds_rows AND r.privilege = 'SELECT' AS all_tenants
	FROM auren.rights r
		JOIN object o ON o.object = r.object AND CASE r.privilege WHEN 'EXECUTE' THEN o.kind IN ('FUNCTION', 'PROCEDURE') WHEN 'USAGE' THEN o.kind = 'SCHEMA' ELSE o.kind = 'TABLE' END;
COMMENT ON COLUMN auren.granted_objects.kind IS 'FUNCTION, PROCEDURE, TABLE (or view) or SCHEMA';

-- Months: what is known of each, the states that are carried over when one is dropped, how long events are kept, how old months are settled.

CREATE TABLE auren.month_records (
	month          date        NOT NULL CONSTRAINT month_records_pkey PRIMARY KEY,
	settled_at     timestamptz,
	dropped_at     timestamptz,
	dropped_by     text,
	forced         text[],
	events         bigint,
	streams        bigint,
	first_position bigint,
	last_position  bigint,
	first_event_at timestamptz,
	last_event_at  timestamptz,
	bytes          bigint,
	last_seal      bigint,
	archived_at    timestamptz,
	archive        text,
	archive_digest bytea,
	attached_at    timestamptz
);
COMMENT ON TABLE auren.month_records IS 'what was counted of a month when it was settled or dropped, and what became of it';
COMMENT ON COLUMN auren.month_records.month IS 'first day of the month';
COMMENT ON COLUMN auren.month_records.settled_at IS 'when it was settled (events.mark_settled)';
COMMENT ON COLUMN auren.month_records.dropped_at IS 'when it was dropped; NULL while it is there';
COMMENT ON COLUMN auren.month_records.dropped_by IS 'role that dropped it';
COMMENT ON COLUMN auren.month_records.forced IS 'what needed it and was overridden';
COMMENT ON COLUMN auren.month_records.events IS 'events that it had';
COMMENT ON COLUMN auren.month_records.streams IS 'streams that they belonged to';
COMMENT ON COLUMN auren.month_records.first_position IS 'lowest position';
COMMENT ON COLUMN auren.month_records.last_position IS 'highest position';
COMMENT ON COLUMN auren.month_records.first_event_at IS 'time of the first event';
COMMENT ON COLUMN auren.month_records.last_event_at IS 'time of the last event';
COMMENT ON COLUMN auren.month_records.bytes IS 'bytes of its table and indexes';
COMMENT ON COLUMN auren.month_records.last_seal IS 'last seal that covers it; NULL: it was not sealed';
COMMENT ON COLUMN auren.month_records.archived_at IS 'when it was written to an archive';
COMMENT ON COLUMN auren.month_records.archive IS 'the archive';
COMMENT ON COLUMN auren.month_records.archive_digest IS 'SHA-256 of the lines of its events';
COMMENT ON COLUMN auren.month_records.attached_at IS 'when it was brought back from its archive, to be read; NULL: it was not, or was taken away again';

-- Data, not a cache: nothing can make them again.
CREATE TABLE auren.opening_states (
	tenant_id        text        COLLATE "C" NOT NULL,
	stream_id        text        COLLATE "C" NOT NULL,
	stream_version   bigint      NOT NULL,
	event_time       timestamptz NOT NULL,
	reducers_version uuid        NOT NULL,
	state            jsonb       NOT NULL,
	personal         jsonb,
	CONSTRAINT opening_states_pkey PRIMARY KEY (tenant_id, stream_id)
);
COMMENT ON TABLE auren.opening_states IS 'the state of each stream that has lost events to a dropped month, carried over as its opening balance';
COMMENT ON COLUMN auren.opening_states.tenant_id IS 'tenant of the stream';
COMMENT ON COLUMN auren.opening_states.stream_id IS 'stream';
COMMENT ON COLUMN auren.opening_states.stream_version IS 'version of the last event in the state: events up to it are gone, or about to go';
COMMENT ON COLUMN auren.opening_states.event_time IS 'created_at of that event';
COMMENT ON COLUMN auren.opening_states.reducers_version IS 'reducers that made the state';
COMMENT ON COLUMN auren.opening_states.state IS 'state at that version, of the events as they were stored';
COMMENT ON COLUMN auren.opening_states.personal IS 'the state of the decrypted events, encrypted with the keys of the persons whose fields are in it, and who they are; NULL: there were none';
COMMENT ON FUNCTION events.get_stream_state_decrypted(text, bigint) IS
'events.get_stream_state of events whose fields are decrypted before they are folded; from the first event on or from the opening balance, since snapshots hold envelopes';

CREATE TABLE auren.dropped_ids (
	tenant_id      text   COLLATE "C" NOT NULL,
	event_id       uuid   NOT NULL,
	stream_version bigint NOT NULL,
	content        bytea  NOT NULL,
	CONSTRAINT dropped_ids_pkey PRIMARY KEY (event_id, tenant_id)
);
COMMENT ON TABLE auren.dropped_ids IS 'ids in auren.supplied_ids whose month was dropped: what a repeated append is answered and compared with';
COMMENT ON COLUMN auren.dropped_ids.tenant_id IS 'tenant of the event';
COMMENT ON COLUMN auren.dropped_ids.event_id IS 'id that the caller supplied';
COMMENT ON COLUMN auren.dropped_ids.stream_version IS 'version of the event in its stream';
COMMENT ON COLUMN auren.dropped_ids.content IS 'digests (SHA-256) of its names, metadata and tags, and of its data';

CREATE TABLE auren.dropped_tenants (
	tenant_id     text   COLLATE "C" NOT NULL,
	month         date   NOT NULL,
	last_position bigint NOT NULL,
	CONSTRAINT dropped_tenants_pkey PRIMARY KEY (tenant_id, month)
);
COMMENT ON TABLE auren.dropped_tenants IS 'tenants with events in months that were dropped, or are about to be: conditions that begin before them cannot be decided';
COMMENT ON COLUMN auren.dropped_tenants.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.dropped_tenants.month IS 'first day of the month';
COMMENT ON COLUMN auren.dropped_tenants.last_position IS 'highest position of the tenant''s events in it';

-- sessions keep which position was dropped last
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.month_records
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.month_records ENABLE ALWAYS TRIGGER tell_sessions;
COMMENT ON TRIGGER tell_sessions ON auren.month_records IS 'has all sessions look at the table again when it has changed';

CREATE TABLE auren.carried_readings (
	source_id   integer     NOT NULL,
	month       date        NOT NULL,
	user_id     text        COLLATE "C",
	device_type text        COLLATE "C",
	metric_type text        COLLATE "C",
	bucket      timestamptz NOT NULL,
	summary     bytea       NOT NULL
);
CREATE INDEX carried_readings_source ON auren.carried_readings (source_id, month);
COMMENT ON TABLE auren.carried_readings IS 'readings of sources of events whose months were dropped, by five minutes: what a rebuild or a restored store counts in place of the events';
COMMENT ON INDEX auren.carried_readings_source IS 'finds those of a source';
COMMENT ON COLUMN auren.carried_readings.source_id IS 'number of the source';
COMMENT ON COLUMN auren.carried_readings.month IS 'month of their events; they count from its drop on, while no archive of it is attached';
COMMENT ON COLUMN auren.carried_readings.user_id IS 'user';
COMMENT ON COLUMN auren.carried_readings.device_type IS 'device';
COMMENT ON COLUMN auren.carried_readings.metric_type IS 'metric';
COMMENT ON COLUMN auren.carried_readings.bucket IS 'start of the five minutes';
COMMENT ON COLUMN auren.carried_readings.summary IS 'summary of the readings';

CREATE FUNCTION auren.content_digest(p_stream_id text, p_event_type text, p_event_data jsonb, p_metadata jsonb, p_created_by text, p_tags text[]) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_content_digest';
COMMENT ON FUNCTION auren.content_digest(text, text, jsonb, jsonb, text, text[]) IS 'what auren.dropped_ids keeps of an event: two SHA-256, of all but its data and of its data';
REVOKE ALL ON FUNCTION auren.content_digest(text, text, jsonb, jsonb, text, text[]) FROM PUBLIC;

CREATE FUNCTION auren.month_figures()
	RETURNS TABLE (month date, partition regclass, first_position bigint, last_position bigint, first_event_at timestamptz, last_event_at timestamptz,
	               closed boolean, frozen boolean, last_seal bigint, held_by text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'auren_month_figures';
COMMENT ON FUNCTION auren.month_figures() IS 'months that are there, by the ends of their indexes, and what needs them; 42501 for a role that is bound to tenants or to which a policy applies';

CREATE VIEW events.months WITH (security_barrier) AS
	SELECT COALESCE(f.month, r.month) AS month, f.partition,
	       CASE WHEN f.partition IS NULL THEN 'dropped' WHEN r.attached_at IS NOT NULL THEN 'archived, attached' WHEN NOT f.closed THEN 'open' WHEN r.archived_at IS NOT NULL THEN 'archived' WHEN f.last_seal IS NOT NULL THEN 'sealed'
	            WHEN r.settled THEN 'settled' ELSE 'closed' END AS state,
	       r.events, r.streams,
	       CASE WHEN r.events IS NOT NULL THEN r.events WHEN c.reltuples OPERATOR(pg_catalog.>=) 0 THEN c.reltuples::bigint END AS estimated_events,
	       pg_catalog.pg_table_size(f.partition) AS heap_bytes, pg_catalog.pg_indexes_size(f.partition) AS index_bytes,
	       CASE WHEN f.partition IS NULL THEN r.first_position ELSE f.first_position END AS first_position,
	       CASE WHEN f.partition IS NULL THEN r.last_position ELSE f.last_position END AS last_position,
	       CASE WHEN f.partition IS NULL THEN r.first_event_at ELSE f.first_event_at END AS first_event_at,
	       CASE WHEN f.partition IS NULL THEN r.last_event_at ELSE f.last_event_at END AS last_event_at,
	       COALESCE(f.last_seal, r.last_seal) AS last_seal, r.settled_at, r.archived_at, r.archive, r.dropped_at, r.dropped_by, r.forced, r.bytes AS recorded_bytes, f.held_by
	FROM auren.month_figures() f
	FULL JOIN auren.month_records m ON m.month OPERATOR(pg_catalog.=) f.month
	-- what was counted holds for what was there then: an import may have come after it
	CROSS JOIN LATERAL (SELECT m.month, m.archived_at, m.archive, m.attached_at, m.dropped_at, m.dropped_by, m.forced, m.last_seal,
	                           c.same AND f.frozen AND m.settled_at IS NOT NULL AS settled, CASE WHEN c.same THEN m.settled_at END AS settled_at,
	                           CASE WHEN c.same THEN m.events END AS events, CASE WHEN c.same THEN m.streams END AS streams,
	                           CASE WHEN c.same THEN m.bytes END AS bytes, m.first_position, m.last_position, m.first_event_at, m.last_event_at
	                    FROM (SELECT f.partition IS NULL OR m.last_position IS NOT DISTINCT FROM f.last_position AS same) c) r
	LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) f.partition
	WHERE (SELECT auren.view_tenant()) IS NOT NULL AND (f.month IS NOT NULL OR r.dropped_at IS NOT NULL)
	ORDER BY 1;
COMMENT ON VIEW events.months IS 'the months of the store, dropped ones too. events and streams are counted when a month is settled or dropped and NULL before; estimated_events is what the last vacuum or analyze saw';
INSERT INTO auren.rights VALUES ('events.months', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.months.month IS 'first day of the month (UTC)';
COMMENT ON COLUMN events.months.partition IS 'its table; NULL when it was dropped';
COMMENT ON COLUMN events.months.state IS 'open, closed (no transaction can write to it any more), settled, sealed, archived or dropped: the last of these that it came to; ''archived, attached'' when it was dropped and its archive is there to be read';
COMMENT ON COLUMN events.months.events IS 'events, as they were counted when it was settled or dropped; NULL: not counted';
COMMENT ON COLUMN events.months.streams IS 'streams with events in it, counted likewise';
COMMENT ON COLUMN events.months.estimated_events IS 'events as the last vacuum or analyze saw them, or as they were counted';
COMMENT ON COLUMN events.months.heap_bytes IS 'bytes of its table, with TOAST';
COMMENT ON COLUMN events.months.index_bytes IS 'bytes of its indexes';
COMMENT ON COLUMN events.months.first_position IS 'lowest position; NULL: no event';
COMMENT ON COLUMN events.months.last_position IS 'highest position';
COMMENT ON COLUMN events.months.first_event_at IS 'created_at of the event at first_position';
COMMENT ON COLUMN events.months.last_event_at IS 'created_at of the event at last_position';
COMMENT ON COLUMN events.months.last_seal IS 'last seal with events of it, where all of them are sealed';
COMMENT ON COLUMN events.months.settled_at IS 'when it was settled';
COMMENT ON COLUMN events.months.archived_at IS 'when it was written to an archive';
COMMENT ON COLUMN events.months.archive IS 'the archive';
COMMENT ON COLUMN events.months.dropped_at IS 'when it was dropped';
COMMENT ON COLUMN events.months.dropped_by IS 'role that dropped it';
COMMENT ON COLUMN events.months.forced IS 'what needed it and was overridden';
COMMENT ON COLUMN events.months.recorded_bytes IS 'bytes of table and indexes when it was settled or dropped';
COMMENT ON COLUMN events.months.held_by IS 'what keeps it from being dropped, as events.drop_months_before takes it in p_force: subscriptions that have not passed it, sources that were not filled from it, no seal; ''not closed'', ''not a calendar month'' and ''not indexed'' cannot be forced';

CREATE PROCEDURE events.drop_months_before(p_month date, p_force text[] DEFAULT '{}')
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_drop_months_before';
COMMENT ON PROCEDURE events.drop_months_before(date, text[]) IS
'drops the months that lie wholly before a day, oldest first, and carries over what is needed of them; 55000 names what still needs one (events.months.held_by), p_force what of that is overridden. Commits in steps: no transaction block; call it again after an interruption';
INSERT INTO auren.rights VALUES ('events.drop_months_before', 'EXECUTE', '{admin}', '0.2.0');

-- One row, or none.
CREATE TABLE auren.kept_events (
	single boolean     NOT NULL CONSTRAINT kept_events_pkey PRIMARY KEY,
	keep   interval    NOT NULL,
	forced text[]      NOT NULL,
	set_by text        NOT NULL,
	set_at timestamptz NOT NULL
);
COMMENT ON TABLE auren.kept_events IS 'how long events are kept (events.set_event_retention); no row: for ever';
COMMENT ON COLUMN auren.kept_events.single IS 'true: there is one row at most';
COMMENT ON COLUMN auren.kept_events.keep IS 'how long a month is kept after its end';
COMMENT ON COLUMN auren.kept_events.forced IS 'what is overridden';
COMMENT ON COLUMN auren.kept_events.set_by IS 'role that set it';
COMMENT ON COLUMN auren.kept_events.set_at IS 'when';

CREATE FUNCTION events.set_event_retention(p_keep interval, p_force text[] DEFAULT '{}') RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_event_retention';
COMMENT ON FUNCTION events.set_event_retention(interval, text[]) IS
'how long events are kept, by whole months (NULL: for ever), and what is overridden then; events.apply_event_retention drops what is older';
INSERT INTO auren.rights VALUES ('events.set_event_retention', 'EXECUTE', '{admin}', '0.2.0');

CREATE PROCEDURE events.apply_event_retention()
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_apply_event_retention';
COMMENT ON PROCEDURE events.apply_event_retention() IS
'drops the months that events.set_event_retention does not keep, as events.drop_months_before does, up to the first that is still needed, which it then names with 55000; does nothing where nothing is set. For a job of pg_cron';
INSERT INTO auren.rights VALUES ('events.apply_event_retention', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.schedule_maintenance(
	p_seal      text DEFAULT '0 2 * * *',
	p_verify    text DEFAULT '30 2 * * *',
	p_retention text DEFAULT '0 4 * * *'
) RETURNS TABLE (job text, schedule text, command text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_schedule_maintenance';
COMMENT ON FUNCTION events.schedule_maintenance(text, text, text) IS
'has pg_cron seal, verify what came since the last verification that found nothing, and drop the months that events.set_event_retention does not keep, at these times (NULL: not); calling it again changes the times';
INSERT INTO auren.rights VALUES ('events.schedule_maintenance', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.event_retention AS
	SELECT keep, forced, set_by, set_at,
	       (pg_catalog.date_trunc('month', (pg_catalog.now() OPERATOR(pg_catalog.-) keep) AT TIME ZONE 'UTC'))::date AS drops_before
	FROM auren.kept_events;
COMMENT ON VIEW events.event_retention IS 'how long events are kept; no row: for ever';
COMMENT ON COLUMN events.event_retention.keep IS 'how long a month is kept after its end';
COMMENT ON COLUMN events.event_retention.forced IS 'what is overridden';
COMMENT ON COLUMN events.event_retention.set_by IS 'role that set it';
COMMENT ON COLUMN events.event_retention.set_at IS 'when';
COMMENT ON COLUMN events.event_retention.drops_before IS 'first day of the oldest month that stays now';
INSERT INTO auren.rights VALUES ('events.event_retention', 'SELECT', '{reader,admin}', '0.2.0');

CREATE TABLE auren.settled_indexes (
	index_name text COLLATE "C" NOT NULL CONSTRAINT settled_indexes_pkey PRIMARY KEY,
	kind       text COLLATE "C" NOT NULL
);
COMMENT ON TABLE auren.settled_indexes IS 'which indexes of a month are exchanged or dropped when it is settled (events.set_settle_policy)';
COMMENT ON COLUMN auren.settled_indexes.index_name IS 'what stands between idx_event_store_ and the month in its name';
COMMENT ON COLUMN auren.settled_indexes.kind IS 'brin, short or none';

CREATE FUNCTION events.set_settle_policy(p_index text, p_kind text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_settle_policy';
COMMENT ON FUNCTION events.set_settle_policy(text, text) IS
'what becomes of an index of a month when it is settled: keep, brin (created_at, event_id), short (type_time without the time) or none (all but event_id), for created_at, event_id, type_time, event_data_gin and metadata_gin; the others are needed';
INSERT INTO auren.rights VALUES ('events.set_settle_policy', 'EXECUTE', '{admin}', '0.2.0');

CREATE VIEW events.settle_policies AS
	SELECT i.name AS index_name, COALESCE(s.kind, 'keep') AS kind, i.used_by, CASE COALESCE(s.kind, 'keep') WHEN 'keep' THEN 'nothing' WHEN 'none' THEN i.without ELSE i.smaller END AS costs
	FROM (VALUES ('created_at', 'events_by_time, subscriptions from a time', 'reads the blocks of the time range instead of its events', 'reads the whole month'),
	             ('event_id', 'ids that the store made: prove, event_line, repeated appends, queries of your own', 'reads some hundred blocks; whole months where ids of other stores were imported', NULL),
	             ('type_time', 'events_by_time, find_events, append_if by types', 'reads all events of the time range for a page, and sorts them', 'reads all events of the time range'),
	             ('event_data_gin', 'find_events', NULL, 'reads the whole month'),
	             ('metadata_gin', 'queries of your own on metadata', NULL, 'read the whole month')) i (name, used_by, smaller, without)
	LEFT JOIN auren.settled_indexes s ON s.index_name OPERATOR(pg_catalog.=) i.name;
COMMENT ON VIEW events.settle_policies IS 'what becomes of the indexes of a month when it is settled, and what that costs the queries that use them';
COMMENT ON COLUMN events.settle_policies.index_name IS 'what stands between idx_event_store_ and the month in its name';
COMMENT ON COLUMN events.settle_policies.kind IS 'keep, brin, short or none';
COMMENT ON COLUMN events.settle_policies.used_by IS 'what uses it';
COMMENT ON COLUMN events.settle_policies.costs IS 'what such a query does in a settled month instead of a look-up';
INSERT INTO auren.rights VALUES ('events.settle_policies', 'SELECT', '{reader,admin}', '0.2.0');

CREATE FUNCTION events.maintenance_plan() RETURNS TABLE (step integer, month date, statement text, reason text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_maintenance_plan';
COMMENT ON FUNCTION events.maintenance_plan() IS
'statements that settle the months that are closed and not settled, in order: for the owner of the store, each outside of a transaction block (psql: \gexec); what was begun and interrupted is done again';
INSERT INTO auren.rights VALUES ('events.maintenance_plan', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.mark_settled(p_month date) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_mark_settled';
COMMENT ON FUNCTION events.mark_settled(date) IS 'counts a month and records that it is settled; 55000 where something of events.maintenance_plan() was not done';
INSERT INTO auren.rights VALUES ('events.mark_settled', 'EXECUTE', '{admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.set_event_retention(interval, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.set_settle_policy(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION events.maintenance_plan() FROM PUBLIC;
REVOKE ALL ON FUNCTION events.mark_settled(date) FROM PUBLIC;
REVOKE ALL ON PROCEDURE events.drop_months_before(date, text[]) FROM PUBLIC;
REVOKE ALL ON PROCEDURE events.apply_event_retention() FROM PUBLIC;
REVOKE ALL ON FUNCTION events.schedule_maintenance(text, text, text) FROM PUBLIC;
REVOKE ALL ON TABLE auren.month_records, auren.opening_states, auren.dropped_ids, auren.dropped_tenants, auren.carried_readings, auren.kept_events, auren.settled_indexes, events.months, events.event_retention, events.settle_policies FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.month_figures() TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('auren.month_records', '');
SELECT pg_catalog.pg_extension_config_dump('auren.opening_states', '');
SELECT pg_catalog.pg_extension_config_dump('auren.dropped_ids', '');
SELECT pg_catalog.pg_extension_config_dump('auren.dropped_tenants', '');
SELECT pg_catalog.pg_extension_config_dump('auren.carried_readings', '');
ALTER TABLE auren.carried_readings REPLICA IDENTITY FULL;
SELECT pg_catalog.pg_extension_config_dump('auren.kept_events', '');
SELECT pg_catalog.pg_extension_config_dump('auren.settled_indexes', '');
-- The months end here.

-- Archives: a month written to a file, read again from it, and taken away again.

CREATE FUNCTION events.archive_lines(p_month date) RETURNS SETOF text
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100000 SUPPORT auren.stream_support AS 'MODULE_PATHNAME', 'auren_archive_lines';
COMMENT ON FUNCTION events.archive_lines(date) IS 'lines of the archive of a closed month: a manifest, a line for each event in order of position, a trailer with their SHA-256; for \copy, which scripts/archive_month does';
INSERT INTO auren.rights VALUES ('events.archive_lines', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.archive_month(p_month date, p_file text, p_compression text DEFAULT 'gzip')
	RETURNS TABLE (events bigint, bytes bigint, sha256 text, written boolean)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_archive_month';
COMMENT ON FUNCTION events.archive_month(date, text, text) IS 'writes a closed month to a file of the server (''gzip'' or ''none''), whole or not at all; a file that holds the same stays; for roles that may write files of the server, as with COPY TO';
INSERT INTO auren.rights VALUES ('events.archive_month', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.record_archive(p_month date, p_archive text, p_sha256 text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_record_archive';
COMMENT ON FUNCTION events.record_archive(date, text, text) IS 'notes that a client wrote the archive of a month: where it is, and the sha256 of its last line; events.months shows it';
INSERT INTO auren.rights VALUES ('events.record_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.attach_archive(p_file text) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_archive';
COMMENT ON FUNCTION events.attach_archive(text) IS 'brings a dropped month back from its archive, to be read, once each line was held against the month''s seals; returns how many events there are; for roles that may read files of the server';
INSERT INTO auren.rights VALUES ('events.attach_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.attach_archive_lines(p_lines regclass) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_archive_lines';
COMMENT ON FUNCTION events.attach_archive_lines(regclass) IS 'events.attach_archive from a table with the columns line_number and line, into which a client copied the archive';
INSERT INTO auren.rights VALUES ('events.attach_archive_lines', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.detach_archive(p_month date) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_archive';
COMMENT ON FUNCTION events.detach_archive(date) IS 'takes a month away again that events.attach_archive brought back';
INSERT INTO auren.rights VALUES ('events.detach_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION auren.refuse_archive_insert() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_refuse_archive_insert';
COMMENT ON FUNCTION auren.refuse_archive_insert() IS 'trigger of a month that was attached of its archive: refuses INSERT';
REVOKE ALL ON FUNCTION auren.refuse_archive_insert() FROM PUBLIC;
REVOKE ALL ON FUNCTION events.archive_lines(date), events.archive_month(date, text, text), events.record_archive(date, text, text), events.attach_archive(text),
	events.attach_archive_lines(regclass), events.detach_archive(date) FROM PUBLIC;

-- Moving in: a whole store at once.

CREATE FUNCTION auren.view_all_tenants() RETURNS boolean
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_view_all_tenants';
COMMENT ON FUNCTION auren.view_all_tenants() IS 'true, for views of all tenants; 42501 for a role that is bound to tenants or to which a policy on events.event_store applies';
REVOKE ALL ON FUNCTION auren.view_all_tenants() FROM PUBLIC;

CREATE VIEW events.imported_streams WITH (security_barrier) AS
	SELECT tenant_id, stream_id, imported_version, dropped_version, closed_at IS NOT NULL AS closed
	FROM auren.stream_rows
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.imported_streams IS 'streams of all tenants, and up to which version the events of each were imported';
COMMENT ON COLUMN events.imported_streams.tenant_id IS 'tenant';
COMMENT ON COLUMN events.imported_streams.stream_id IS 'stream';
COMMENT ON COLUMN events.imported_streams.imported_version IS 'version up to which its events were imported, 0: none was. It takes imports as long as it has no later one';
COMMENT ON COLUMN events.imported_streams.dropped_version IS 'newest version whose month was dropped, 0: none was';
COMMENT ON COLUMN events.imported_streams.closed IS 'whether it is closed';
INSERT INTO auren.rights VALUES ('events.imported_streams', 'SELECT', '{admin}', '0.2.0');

CREATE TABLE auren.import_runs (
	run         bigint      NOT NULL CONSTRAINT import_runs_pkey PRIMARY KEY,
	source      text        NOT NULL,
	kind        text        NOT NULL,
	called_by   text        NOT NULL,
	started_at  timestamptz NOT NULL,
	finished_at timestamptz,
	events      bigint      NOT NULL,
	imported    bigint      NOT NULL,
	changed     bigint      NOT NULL,
	digest      bytea       NOT NULL
);
COMMENT ON TABLE auren.import_runs IS 'calls of events.import_store';
COMMENT ON COLUMN auren.import_runs.run IS 'number of the call';
COMMENT ON COLUMN auren.import_runs.source IS 'the table, as it was named then';
COMMENT ON COLUMN auren.import_runs.kind IS 'whose form it has: hand-written, message-db or Marten';
COMMENT ON COLUMN auren.import_runs.called_by IS 'role that called';
COMMENT ON COLUMN auren.import_runs.started_at IS 'when';
COMMENT ON COLUMN auren.import_runs.finished_at IS 'when both sides had been compared and were equal; NULL: it was interrupted, or they were not, or it goes on';
COMMENT ON COLUMN auren.import_runs.events IS 'events that the table had';
COMMENT ON COLUMN auren.import_runs.imported IS 'those of them that an earlier call had not brought in';
COMMENT ON COLUMN auren.import_runs.changed IS 'and of those, the ones that had to be changed (events.import_report)';
COMMENT ON COLUMN auren.import_runs.digest IS 'digest of all of them, as they have to be in the store';

CREATE TABLE auren.import_changes (
	run             bigint      NOT NULL,
	global_position bigint      NOT NULL,
	tenant_id       text        COLLATE "C" NOT NULL,
	stream_id       text        COLLATE "C" NOT NULL,
	old_version     bigint,
	old_id          uuid,
	old_created_at  timestamptz NOT NULL,
	stream_version  bigint      NOT NULL,
	event_id        uuid        NOT NULL,
	created_at      timestamptz NOT NULL,
	reason          text        NOT NULL,
	CONSTRAINT import_changes_pkey PRIMARY KEY (global_position)
);
COMMENT ON TABLE auren.import_changes IS 'events that events.import_store had to change';
COMMENT ON COLUMN auren.import_changes.run IS 'call that brought it in';
COMMENT ON COLUMN auren.import_changes.global_position IS 'position of the event';
COMMENT ON COLUMN auren.import_changes.tenant_id IS 'its tenant';
COMMENT ON COLUMN auren.import_changes.stream_id IS 'its stream';
COMMENT ON COLUMN auren.import_changes.old_version IS 'version that it had';
COMMENT ON COLUMN auren.import_changes.old_id IS 'id that it had';
COMMENT ON COLUMN auren.import_changes.old_created_at IS 'time that it had';
COMMENT ON COLUMN auren.import_changes.stream_version IS 'version that it has';
COMMENT ON COLUMN auren.import_changes.event_id IS 'id that it has';
COMMENT ON COLUMN auren.import_changes.created_at IS 'time that it has';
COMMENT ON COLUMN auren.import_changes.reason IS 'what was changed';

CREATE VIEW events.imports WITH (security_barrier) AS
	SELECT run, source, kind, called_by, started_at, finished_at, events, imported, changed, pg_catalog.encode(digest, 'hex') AS digest
	FROM auren.import_runs
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.imports IS 'calls of events.import_store';
COMMENT ON COLUMN events.imports.run IS 'number of the call';
COMMENT ON COLUMN events.imports.source IS 'the table, as it was named then';
COMMENT ON COLUMN events.imports.kind IS 'whose form it has: hand-written, message-db or Marten';
COMMENT ON COLUMN events.imports.called_by IS 'role that called';
COMMENT ON COLUMN events.imports.started_at IS 'when';
COMMENT ON COLUMN events.imports.finished_at IS 'when both sides had been compared and were equal; NULL: it was interrupted, or they were not, or it goes on';
COMMENT ON COLUMN events.imports.events IS 'events that the table had';
COMMENT ON COLUMN events.imports.imported IS 'those of them that an earlier call had not brought in';
COMMENT ON COLUMN events.imports.changed IS 'and of those, the ones that had to be changed (events.import_report)';
COMMENT ON COLUMN events.imports.digest IS 'digest of all of them, as they have to be in the store';
INSERT INTO auren.rights VALUES ('events.imports', 'SELECT', '{admin}', '0.2.0');

CREATE VIEW events.import_report WITH (security_barrier) AS
	SELECT c.run, r.source, c.tenant_id, c.stream_id, c.old_version, c.old_id, c.old_created_at, c.stream_version, c.event_id, c.created_at, c.global_position, c.reason
	FROM auren.import_changes c LEFT JOIN auren.import_runs r ON r.run OPERATOR(pg_catalog.=) c.run
	WHERE (SELECT auren.view_all_tenants());
COMMENT ON VIEW events.import_report IS 'events that events.import_store had to change, as they were and as they are';
COMMENT ON COLUMN events.import_report.run IS 'call that brought it in (events.imports)';
COMMENT ON COLUMN events.import_report.source IS 'the table that it comes from';
COMMENT ON COLUMN events.import_report.tenant_id IS 'its tenant';
COMMENT ON COLUMN events.import_report.stream_id IS 'its stream';
COMMENT ON COLUMN events.import_report.old_version IS 'version that it had';
COMMENT ON COLUMN events.import_report.old_id IS 'id that it had';
COMMENT ON COLUMN events.import_report.old_created_at IS 'time that it had';
COMMENT ON COLUMN events.import_report.stream_version IS 'version that it has';
COMMENT ON COLUMN events.import_report.event_id IS 'id that it has';
COMMENT ON COLUMN events.import_report.created_at IS 'time that it has';
COMMENT ON COLUMN events.import_report.global_position IS 'its position';
COMMENT ON COLUMN events.import_report.reason IS 'what was changed: renumbered, new id, later time, no tenant, no data';
INSERT INTO auren.rights VALUES ('events.import_report', 'SELECT', '{admin}', '0.2.0');

CREATE FUNCTION events.rehearse_import(p_table regclass, p_kind text DEFAULT NULL)
	RETURNS TABLE (tenant_id text, stream_id text, old_version bigint, old_id uuid, old_created_at timestamptz, stream_version bigint, event_id uuid,
	               created_at timestamptz, reason text, to_do text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_rehearse_import';
COMMENT ON FUNCTION events.rehearse_import(regclass, text) IS
'what events.import_store would change of the events of a table, and what it would refuse (to_do says what can be done about it); writes nothing, so a standby can run it';
INSERT INTO auren.rights VALUES ('events.rehearse_import', 'EXECUTE', '{admin}', '0.2.0');

CREATE PROCEDURE events.import_store(p_table regclass, p_kind text DEFAULT NULL, p_batch integer DEFAULT 1000)
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_import_store';
COMMENT ON PROCEDURE events.import_store(regclass, text, integer) IS
'imports the events of another store''s table (hand-written, message-db, Marten) that are not there yet, and compares both sides; what had to be changed is in events.import_report; commits each batch: no transaction block; call it again after an interruption, and for what came meanwhile';
INSERT INTO auren.rights VALUES ('events.import_store', 'EXECUTE', '{admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.rehearse_import(regclass, text) FROM PUBLIC;
REVOKE ALL ON PROCEDURE events.import_store(regclass, text, integer) FROM PUBLIC;
REVOKE ALL ON events.imported_streams, events.imports, events.import_report, auren.import_runs, auren.import_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.view_all_tenants() TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('auren.import_runs', '');
SELECT pg_catalog.pg_extension_config_dump('auren.import_changes', '');

-- What the extension itself puts on its tables, as every session compares it (pg::FixDefinitionSettings).
CREATE FUNCTION auren.write_shipped_objects() RETURNS void LANGUAGE sql
	SET "DateStyle" = 'ISO' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC' SET extra_float_digits = '3' SET bytea_output = 'hex' SET lc_monetary = 'C'
	SET quote_all_identifiers = 'off' SET standard_conforming_strings = 'on'
	AS $$
		INSERT INTO auren.shipped_objects SELECT relation, kind, name, definition FROM auren.table_objects
		WHERE relation OPERATOR(pg_catalog.=) ANY (ARRAY['auren.event_tags', 'auren.carried_rights', 'auren.declared_tag_rules', 'auren.declared_span_rules', 'auren.seals', 'auren.seal_leaves', 'auren.registered_seal_keys', 'auren.verifications', 'auren.month_records', 'auren.opening_states', 'auren.dropped_ids', 'auren.dropped_tenants', 'auren.carried_readings', 'auren.kept_events', 'auren.settled_indexes', 'auren.import_runs', 'auren.import_changes'])
		   OR relation OPERATOR(pg_catalog.=) ANY (ARRAY['events.event_store', 'auren.subscription_settings']) AND name OPERATOR(pg_catalog.=) ANY (ARRAY['tags', 'COLUMN tags'])
		   OR relation OPERATOR(pg_catalog.=) 'auren.stream_rows' AND name OPERATOR(pg_catalog.=) ANY (ARRAY['imported_version', 'COLUMN imported_version'])
	$$;
SELECT auren.write_shipped_objects();
DROP FUNCTION auren.write_shipped_objects();

-- Queries and conditions.

CREATE FUNCTION events.read_by_query(
	p_query          jsonb,
	p_after_position bigint  DEFAULT 0,
	p_up_to          bigint  DEFAULT NULL,
	p_limit          integer DEFAULT 1000,
	p_backwards      boolean DEFAULT false
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_by_query';
COMMENT ON FUNCTION events.read_by_query(jsonb, bigint, bigint, integer, boolean) IS
'final events of this session''s tenant that match a query, after a position and up to another, in order of position or against it, each once; the query is an item or an array of items of which one must match: {"types": [...], "tags": [...], "stream": "...", "during": [from, to]}';
INSERT INTO auren.rights VALUES ('events.read_by_query', 'EXECUTE', '{reader}', '0.2.0');
REVOKE ALL ON FUNCTION events.read_by_query(jsonb, bigint, bigint, integer, boolean) FROM PUBLIC;

CREATE FUNCTION events.append_if(
	p_query             jsonb,
	p_after             bigint,
	p_stream_ids        text[],
	p_event_types       text[],
	p_event_data        jsonb[],
	p_created_by        text     DEFAULT 'system',
	p_metadata          jsonb[]  DEFAULT NULL,
	p_expected_versions bigint[] DEFAULT NULL,
	p_event_ids         uuid[]   DEFAULT NULL,
	p_tags              jsonb[]  DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_append_if';
COMMENT ON FUNCTION events.append_if(jsonb, bigint, text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) IS
'appends a batch as events.append_events does, unless an event after p_after matches p_query (NULL: unless any does) or a stream is not at the version that an item names: ZE008; p_after is the events.feed_horizon() up to which the caller has read';
INSERT INTO auren.rights VALUES ('events.append_if', 'EXECUTE', '{writer}', '0.2.0');
REVOKE ALL ON FUNCTION events.append_if(jsonb, bigint, text[], text[], jsonb[], text, jsonb[], bigint[], uuid[], jsonb[]) FROM PUBLIC;

-- Names the locks of tags and streams.
CREATE OR REPLACE VIEW events.lock_holders WITH (security_barrier) AS
	SELECT h.holds, h.mode, h.locks, h.pid, COALESCE(p.prepared, a.xact_start) AS since, a.state, a.query, p.gid AS prepared_gid, COALESCE(a.usename, p.owner) AS role
	FROM (SELECT CASE WHEN l.locktype OPERATOR(pg_catalog.=) 'relation' THEN l.relation::pg_catalog.regclass::text
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24351)::smallint THEN 'months in the making'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24347)::smallint THEN 'refresh of metrics'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24346)::smallint THEN 'people who are forgotten'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24342)::smallint THEN 'tags that are written or asked about'
	                  WHEN l.objsubid OPERATOR(pg_catalog.=) (-24341)::smallint THEN 'streams that are made or asked about'
	                  ELSE 'notification rules of a tenant' END AS holds,
	             l.mode, pg_catalog.count(*) AS locks, l.pid, l.virtualtransaction
	      FROM pg_catalog.pg_locks l
	      WHERE l.granted AND l.database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
	        AND CASE
	            WHEN l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.objsubid OPERATOR(pg_catalog.=) ANY ('{-24342,-24341}'::smallint[]) THEN true
	            WHEN l.locktype OPERATOR(pg_catalog.=) 'advisory' THEN l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock' AND l.objsubid OPERATOR(pg_catalog.=) ANY ('{-24351,-24347,-24346,-24343}'::smallint[])
	            WHEN l.locktype OPERATOR(pg_catalog.=) 'relation' THEN l.mode OPERATOR(pg_catalog.=) ANY ('{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'::text[])
	                AND l.relation OPERATOR(pg_catalog.=) ANY (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
	                                       WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::"char"[]) AND n.nspname OPERATOR(pg_catalog.=) ANY ('{events,biometric,analytics,encrypted,auren}'::name[]))
	            ELSE false END
	      GROUP BY 1, 2, 4, 5) h
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) h.pid
	LEFT JOIN pg_catalog.pg_locks x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype OPERATOR(pg_catalog.=) 'transactionid'
	                               AND x.virtualtransaction OPERATOR(pg_catalog.=) h.virtualtransaction
	LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) x.transactionid;
COMMENT ON VIEW events.lock_holders IS 'transactions that keep others from a table, from making months, refreshing metrics, making keys or adding notification rules until they end; those with tags and with streams keep off who asks about what they write, or writes what they ask about';

-- Moving in: events of another store, with the time, the id and the creator that they had there.

CREATE FUNCTION events.import_events(
	p_stream_ids  text[],
	p_event_types text[],
	p_event_data  jsonb[],
	p_event_ids   uuid[],
	p_created_at  timestamptz[],
	p_created_by  text[]  DEFAULT NULL,
	p_metadata    jsonb[] DEFAULT NULL,
	p_tags        jsonb[] DEFAULT NULL
) RETURNS TABLE (event_id uuid, stream_id text, stream_version bigint, global_position bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_import_events';
COMMENT ON FUNCTION events.import_events(text[], text[], jsonb[], uuid[], timestamptz[], text[], jsonb[], jsonb[]) IS
'appends a batch of events of another store with their own times, ids and creators, all or none, and returns a row per event in the order given; an id that is given again returns the first result; within a stream times do not decrease, and a stream takes imports only before its first event that is not imported; nothing is announced';
INSERT INTO auren.rights VALUES ('events.import_events', 'EXECUTE', '{admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.import_events(text[], text[], jsonb[], uuid[], timestamptz[], text[], jsonb[], jsonb[]) FROM PUBLIC;

-- What an operator asks first.

CREATE FUNCTION events.verify_installation()
	RETURNS TABLE ("check" text, ok boolean, severity text, message text, hint text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 25 AS 'MODULE_PATHNAME', 'auren_verify_installation';
COMMENT ON FUNCTION events.verify_installation() IS
'whether the store is well: a row for each thing that is looked at, how grave it is when it is not so (error, warning, notice), what was found and what to do. Reads a bounded number of rows and no table of events; 42501 for a role that is bound to tenants';
INSERT INTO auren.rights VALUES ('events.verify_installation', 'EXECUTE', '{admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.verify_installation() FROM PUBLIC;

-- Events in the forms that other systems take.

CREATE FUNCTION events.as_cloudevents(
	p_after_position bigint  DEFAULT 0,
	p_limit          integer DEFAULT 1000,
	p_event_types    text[]  DEFAULT NULL,
	p_category       text    DEFAULT NULL,
	p_stream_prefix  text    DEFAULT NULL,
	p_epoch          uuid    DEFAULT NULL,
	p_tags           text[]  DEFAULT NULL,
	p_source         text    DEFAULT NULL,
	p_type_prefix    text    DEFAULT ''
) RETURNS TABLE (global_position bigint, cloudevent jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_as_cloudevents';
COMMENT ON FUNCTION events.as_cloudevents(bigint, integer, text[], text, text, uuid, text[], text, text) IS
'the events that events.read_all gives for the same arguments, each as a CloudEvent (1.0, JSON); p_source: a URI-reference, NULL for one made of the store''s epoch and the tenant; p_type_prefix: what stands before each event type, such as com.example.; fields that are encrypted stay so';
INSERT INTO auren.rights VALUES ('events.as_cloudevents', 'EXECUTE', '{reader}', '0.2.0');
REVOKE ALL ON FUNCTION events.as_cloudevents(bigint, integer, text[], text, text, uuid, text[], text, text) FROM PUBLIC;

CREATE FUNCTION events.as_cloudevent(
	p_event_id        uuid,
	p_stream_id       text,
	p_event_type      text,
	p_event_data      jsonb,
	p_created_at      timestamptz DEFAULT NULL,
	p_metadata        jsonb       DEFAULT NULL,
	p_stream_version  bigint      DEFAULT NULL,
	p_global_position bigint      DEFAULT NULL,
	p_source          text        DEFAULT NULL,
	p_type_prefix     text        DEFAULT ''
) RETURNS jsonb
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_as_cloudevent';
COMMENT ON FUNCTION events.as_cloudevent(uuid, text, text, jsonb, timestamptz, jsonb, bigint, bigint, text, text) IS
'the columns of an event, from whichever function gave them, as a CloudEvent (1.0, JSON); what is NULL is left out';
INSERT INTO auren.rights VALUES ('events.as_cloudevent', 'EXECUTE', '{reader}', '0.2.0');
REVOKE ALL ON FUNCTION events.as_cloudevent(uuid, text, text, jsonb, timestamptz, jsonb, bigint, bigint, text, text) FROM PUBLIC;

-- Figures that an operator plots: what sessions have counted.

CREATE FUNCTION auren.counts(OUT stats_since timestamptz, OUT appends bigint, OUT events_appended bigint, OUT conditional_appends bigint, OUT events_imported bigint,
	OUT repeats bigint, OUT version_conflicts bigint, OUT id_conflicts bigint, OUT condition_conflicts bigint,
	OUT serialization_failures bigint, OUT appends_refused bigint, OUT replays bigint, OUT events_replayed bigint, OUT feed_reads bigint,
	OUT feed_events_read bigint, OUT states_read bigint, OUT snapshot_hits bigint, OUT snapshots_taken bigint, OUT events_folded bigint,
	OUT fetches bigint, OUT events_fetched bigint, OUT acknowledgements bigint, OUT retries bigint, OUT events_parked bigint,
	OUT leases_lost bigint, OUT notifications_sent bigint, OUT notifications_dropped bigint, OUT refreshes bigint,
	OUT refresh_ms double precision, OUT values_encrypted bigint, OUT values_decrypted bigint, OUT decryptions_refused bigint,
	OUT persons_forgotten bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_counts';
COMMENT ON FUNCTION auren.counts() IS 'what sessions of this database have counted; 42501 for a role that is bound to tenants';

CREATE VIEW events.stats WITH (security_barrier) AS
	SELECT c.stats_since, c.appends, c.events_appended, c.conditional_appends, c.events_imported, c.repeats, c.version_conflicts, c.id_conflicts,
	       c.condition_conflicts, c.serialization_failures, c.appends_refused, c.replays, c.events_replayed, c.feed_reads, c.feed_events_read,
	       c.states_read, c.snapshot_hits, c.snapshots_taken, c.events_folded, c.fetches, c.events_fetched, c.acknowledgements, c.retries,
	       c.events_parked, c.leases_lost, c.notifications_sent, c.notifications_dropped, c.refreshes, c.refresh_ms, c.values_encrypted,
	       c.values_decrypted, c.decryptions_refused, c.persons_forgotten
	FROM auren.counts() c;
COMMENT ON VIEW events.stats IS 'one row: what was done in this database since it began to count; a session adds what it counted at the end of each transaction';
INSERT INTO auren.rights VALUES ('events.stats', 'SELECT', '{admin}', '0.2.0');
COMMENT ON COLUMN events.stats.stats_since IS 'since when it is counted: the first count, or the last events.reset_stats()';
COMMENT ON COLUMN events.stats.appends IS 'calls that appended events';
COMMENT ON COLUMN events.stats.events_appended IS 'events that events.append_event, append_events and append_if appended';
COMMENT ON COLUMN events.stats.conditional_appends IS 'those of the calls that were events.append_if';
COMMENT ON COLUMN events.stats.events_imported IS 'events that were imported';
COMMENT ON COLUMN events.stats.repeats IS 'events whose id was given again with the same content, and got their first result';
COMMENT ON COLUMN events.stats.version_conflicts IS 'appends that failed because the stream was not at the expected version (ZE001)';
COMMENT ON COLUMN events.stats.id_conflicts IS 'appends that failed because an id was there with other content (ZE002)';
COMMENT ON COLUMN events.stats.condition_conflicts IS 'appends that failed because of their condition (ZE008)';
COMMENT ON COLUMN events.stats.serialization_failures IS 'appends that failed for a race that a retry settles (40001, 40P01)';
COMMENT ON COLUMN events.stats.appends_refused IS 'appends that failed with any other error, cancels aside';
COMMENT ON COLUMN events.stats.replays IS 'reads of a stream by events.replay_stream and its kin';
COMMENT ON COLUMN events.stats.events_replayed IS 'events that they gave';
COMMENT ON COLUMN events.stats.feed_reads IS 'calls of events.read_all';
COMMENT ON COLUMN events.stats.feed_events_read IS 'events that they gave';
COMMENT ON COLUMN events.stats.states_read IS 'states of streams that were made';
COMMENT ON COLUMN events.stats.snapshot_hits IS 'those of them that began with a snapshot';
COMMENT ON COLUMN events.stats.snapshots_taken IS 'snapshots that were written';
COMMENT ON COLUMN events.stats.events_folded IS 'events that were read to make states';
COMMENT ON COLUMN events.stats.fetches IS 'calls of events.fetch that got to the subscription';
COMMENT ON COLUMN events.stats.events_fetched IS 'events that they gave, those that were given again too';
COMMENT ON COLUMN events.stats.acknowledgements IS 'calls of events.acknowledge';
COMMENT ON COLUMN events.stats.retries IS 'events that consumers gave back to be given again';
COMMENT ON COLUMN events.stats.events_parked IS 'events that were parked, by a consumer or after their last attempt';
COMMENT ON COLUMN events.stats.leases_lost IS 'shares with events in hand whose consumer did not come back in time';
COMMENT ON COLUMN events.stats.notifications_sent IS 'notifications that were given to the server';
COMMENT ON COLUMN events.stats.notifications_dropped IS 'notifications that were not given because the queue was nearly full';
COMMENT ON COLUMN events.stats.refreshes IS 'refreshes of metrics that did their work';
COMMENT ON COLUMN events.stats.refresh_ms IS 'how long they took, milliseconds in all';
COMMENT ON COLUMN events.stats.values_encrypted IS 'values that were encrypted, those of events too';
COMMENT ON COLUMN events.stats.values_decrypted IS 'values that were decrypted for somebody';
COMMENT ON COLUMN events.stats.decryptions_refused IS 'values that could not be decrypted: the person was forgotten, the key is missing, the envelope was changed';
COMMENT ON COLUMN events.stats.persons_forgotten IS 'calls of encrypted.forget_user';

CREATE FUNCTION auren.tenant_counts(OUT tenant_id text, OUT appends bigint, OUT events_appended bigint, OUT conditional_appends bigint, OUT events_imported bigint,
	OUT repeats bigint, OUT version_conflicts bigint, OUT id_conflicts bigint, OUT condition_conflicts bigint,
	OUT serialization_failures bigint, OUT appends_refused bigint, OUT replays bigint, OUT events_replayed bigint, OUT feed_reads bigint,
	OUT feed_events_read bigint, OUT states_read bigint, OUT snapshot_hits bigint, OUT snapshots_taken bigint, OUT events_folded bigint,
	OUT fetches bigint, OUT events_fetched bigint, OUT acknowledgements bigint, OUT retries bigint, OUT events_parked bigint,
	OUT leases_lost bigint, OUT notifications_sent bigint, OUT notifications_dropped bigint, OUT refreshes bigint,
	OUT refresh_ms double precision, OUT values_encrypted bigint, OUT values_decrypted bigint, OUT decryptions_refused bigint,
	OUT persons_forgotten bigint)
	RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'auren_tenant_counts';
COMMENT ON FUNCTION auren.tenant_counts() IS 'what sessions of this database have counted by tenant; of its own tenant for a role that is bound to tenants';

CREATE VIEW events.stats_by_tenant WITH (security_barrier) AS
	SELECT c.tenant_id, c.appends, c.events_appended, c.conditional_appends, c.events_imported, c.repeats, c.version_conflicts, c.id_conflicts,
	       c.condition_conflicts, c.serialization_failures, c.appends_refused, c.replays, c.events_replayed, c.feed_reads, c.feed_events_read,
	       c.states_read, c.snapshot_hits, c.snapshots_taken, c.events_folded, c.fetches, c.events_fetched, c.acknowledgements, c.retries,
	       c.events_parked, c.leases_lost, c.notifications_sent, c.notifications_dropped, c.refreshes, c.refresh_ms, c.values_encrypted,
	       c.values_decrypted, c.decryptions_refused, c.persons_forgotten
	FROM auren.tenant_counts() c;
COMMENT ON VIEW events.stats_by_tenant IS 'what of events.stats was counted while auren_events.stats_by_tenant was on, a row for each tenant; a role that is bound to tenants sees that of its own';
INSERT INTO auren.rights VALUES ('events.stats_by_tenant', 'SELECT', '{admin}', '0.2.0');
COMMENT ON COLUMN events.stats_by_tenant.tenant_id IS 'tenant; NULL: those that came after the first 1,000';
COMMENT ON COLUMN events.stats_by_tenant.appends IS 'calls that appended events';
COMMENT ON COLUMN events.stats_by_tenant.events_appended IS 'events that events.append_event, append_events and append_if appended';
COMMENT ON COLUMN events.stats_by_tenant.conditional_appends IS 'those of the calls that were events.append_if';
COMMENT ON COLUMN events.stats_by_tenant.events_imported IS 'events that were imported';
COMMENT ON COLUMN events.stats_by_tenant.repeats IS 'events whose id was given again with the same content, and got their first result';
COMMENT ON COLUMN events.stats_by_tenant.version_conflicts IS 'appends that failed because the stream was not at the expected version (ZE001)';
COMMENT ON COLUMN events.stats_by_tenant.id_conflicts IS 'appends that failed because an id was there with other content (ZE002)';
COMMENT ON COLUMN events.stats_by_tenant.condition_conflicts IS 'appends that failed because of their condition (ZE008)';
COMMENT ON COLUMN events.stats_by_tenant.serialization_failures IS 'appends that failed for a race that a retry settles (40001, 40P01)';
COMMENT ON COLUMN events.stats_by_tenant.appends_refused IS 'appends that failed with any other error, cancels aside';
COMMENT ON COLUMN events.stats_by_tenant.replays IS 'reads of a stream by events.replay_stream and its kin';
COMMENT ON COLUMN events.stats_by_tenant.events_replayed IS 'events that they gave';
COMMENT ON COLUMN events.stats_by_tenant.feed_reads IS 'calls of events.read_all';
COMMENT ON COLUMN events.stats_by_tenant.feed_events_read IS 'events that they gave';
COMMENT ON COLUMN events.stats_by_tenant.states_read IS 'states of streams that were made';
COMMENT ON COLUMN events.stats_by_tenant.snapshot_hits IS 'those of them that began with a snapshot';
COMMENT ON COLUMN events.stats_by_tenant.snapshots_taken IS 'snapshots that were written';
COMMENT ON COLUMN events.stats_by_tenant.events_folded IS 'events that were read to make states';
COMMENT ON COLUMN events.stats_by_tenant.fetches IS 'calls of events.fetch that got to the subscription';
COMMENT ON COLUMN events.stats_by_tenant.events_fetched IS 'events that they gave, those that were given again too';
COMMENT ON COLUMN events.stats_by_tenant.acknowledgements IS 'calls of events.acknowledge';
COMMENT ON COLUMN events.stats_by_tenant.retries IS 'events that consumers gave back to be given again';
COMMENT ON COLUMN events.stats_by_tenant.events_parked IS 'events that were parked, by a consumer or after their last attempt';
COMMENT ON COLUMN events.stats_by_tenant.leases_lost IS 'shares with events in hand whose consumer did not come back in time';
COMMENT ON COLUMN events.stats_by_tenant.notifications_sent IS 'notifications that were given to the server';
COMMENT ON COLUMN events.stats_by_tenant.notifications_dropped IS 'notifications that were not given because the queue was nearly full';
COMMENT ON COLUMN events.stats_by_tenant.refreshes IS 'refreshes of metrics that did their work';
COMMENT ON COLUMN events.stats_by_tenant.refresh_ms IS 'how long they took, milliseconds in all';
COMMENT ON COLUMN events.stats_by_tenant.values_encrypted IS 'values that were encrypted, those of events too';
COMMENT ON COLUMN events.stats_by_tenant.values_decrypted IS 'values that were decrypted for somebody';
COMMENT ON COLUMN events.stats_by_tenant.decryptions_refused IS 'values that could not be decrypted: the person was forgotten, the key is missing, the envelope was changed';
COMMENT ON COLUMN events.stats_by_tenant.persons_forgotten IS 'calls of encrypted.forget_user';

CREATE FUNCTION events.reset_stats() RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_reset_stats';
COMMENT ON FUNCTION events.reset_stats() IS 'sets everything that events.stats and events.stats_by_tenant show to 0, at once and whatever becomes of the transaction; 42501 for a role that is bound to tenants';
INSERT INTO auren.rights VALUES ('events.reset_stats', 'EXECUTE', '{admin}', '0.2.0');
REVOKE ALL ON FUNCTION events.reset_stats() FROM PUBLIC;
REVOKE ALL ON events.stats, events.stats_by_tenant FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.counts(), auren.tenant_counts() TO PUBLIC;

CREATE FUNCTION auren.read_all(
	p_after_position bigint, p_limit integer, p_event_types text[], p_category text, p_stream_prefix text, p_epoch uuid, p_tags text[]
) RETURNS TABLE (event_id uuid, global_position bigint, stream_id text, stream_version bigint, event_type text, event_data jsonb,
                 metadata jsonb, created_at timestamptz, created_by text, tags text[])
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT auren.stream_support
	AS 'MODULE_PATHNAME', 'auren_read_all_with_tags';
COMMENT ON FUNCTION auren.read_all(bigint, integer, text[], text, text, uuid, text[]) IS 'events.read_all(), for views: their readers need no right on that';
REVOKE ALL ON FUNCTION auren.read_all(bigint, integer, text[], text, text, uuid, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.read_all(bigint, integer, text[], text, text, uuid, text[]) TO PUBLIC;

-- A condition on global_position moves the beginning of what is read (src/server/streaming_scan.cpp), so the limit must be none.
CREATE VIEW events.outbox AS
	SELECT e.event_id AS id, pg_catalog.split_part(e.stream_id, ':', 1) AS aggregatetype, e.stream_id AS aggregateid, e.event_type AS type,
	       e.event_data AS payload, e.created_at AS "timestamp", e.stream_version AS aggregateversion, e.global_position, e.metadata,
	       CASE WHEN e.metadata OPERATOR(pg_catalog.->>) 'traceparent' OPERATOR(pg_catalog.~) '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
	            THEN 'traceparent=' OPERATOR(pg_catalog.||) (e.metadata OPERATOR(pg_catalog.->>) 'traceparent') END AS tracingspancontext
	FROM auren.read_all(0, 2147483647, NULL, NULL, NULL, NULL, NULL) e;
COMMENT ON VIEW events.outbox IS 'final events of this session''s tenant with the columns that relays of an outbox expect: ask for those above a global_position, in its order, with a limit';
REVOKE ALL ON events.outbox FROM PUBLIC;
INSERT INTO auren.rights VALUES ('events.outbox', 'SELECT', '{reader}', '0.2.0');
COMMENT ON COLUMN events.outbox.id IS 'id of the event';
COMMENT ON COLUMN events.outbox.aggregatetype IS 'category: the part of the stream id before the first ":"';
COMMENT ON COLUMN events.outbox.aggregateid IS 'stream id';
COMMENT ON COLUMN events.outbox.type IS 'event type';
COMMENT ON COLUMN events.outbox.payload IS 'data of the event';
COMMENT ON COLUMN events.outbox."timestamp" IS 'when it was appended';
COMMENT ON COLUMN events.outbox.aggregateversion IS 'version of the event in its stream';
COMMENT ON COLUMN events.outbox.global_position IS 'its place in the order of all events: what a relay remembers';
COMMENT ON COLUMN events.outbox.metadata IS 'what the caller says about the event';
COMMENT ON COLUMN events.outbox.tracingspancontext IS 'the traceparent of the metadata as a line of Java properties, where it has the form of one';

CREATE FUNCTION auren.store_shares()
	RETURNS TABLE (month date, tenant_id text, category text, events bigint, bytes bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'auren_store_shares';
COMMENT ON FUNCTION auren.store_shares() IS 'about how many events and bytes are of each month, tenant and category; of its own tenant for a role that is bound to tenants';

CREATE VIEW events.store_size WITH (security_barrier) AS
	SELECT s.month, s.tenant_id, s.category, s.events, s.bytes
	FROM auren.store_shares() s
	WHERE (SELECT auren.view_tenant()) IS NOT NULL;
COMMENT ON VIEW events.store_size IS 'about how many events and bytes are of each month, tenant and category, by samples of indexes: no table of events is read, and the time is bounded';
INSERT INTO auren.rights VALUES ('events.store_size', 'SELECT', '{reader,admin}', '0.2.0');
COMMENT ON COLUMN events.store_size.month IS 'first day of the month (UTC)';
COMMENT ON COLUMN events.store_size.tenant_id IS 'tenant; NULL: the month has no index of its streams';
COMMENT ON COLUMN events.store_size.category IS 'category: what stands before the colon of a stream''s id; NULL likewise, empty where a share could not be told from others of its tenant';
COMMENT ON COLUMN events.store_size.events IS 'events, about; NULL: nobody knows';
COMMENT ON COLUMN events.store_size.bytes IS 'bytes of the month''s table and indexes, by the share of events';
REVOKE ALL ON events.store_size FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auren.store_shares() TO PUBLIC;
