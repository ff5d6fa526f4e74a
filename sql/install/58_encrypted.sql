-- Encrypted fields: a data key per person, wrapped by a master key from outside the database; rules, forgetting, audit.

CREATE SCHEMA encrypted;
COMMENT ON SCHEMA encrypted IS 'auren_events: encrypted fields, their keys, and which role decrypted what';
REVOKE ALL ON SCHEMA encrypted FROM PUBLIC;
INSERT INTO auren.rights VALUES ('encrypted', 'USAGE', '{encrypt,decrypt,key_admin}');

CREATE TABLE auren.data_keys (
	tenant_id     text        COLLATE "C" NOT NULL,
	user_id       text        COLLATE "C" NOT NULL,
	key_id        bigint      NOT NULL,
	key_version   integer     NOT NULL,
	master_key_id text        COLLATE "C" NOT NULL,
	wrapped_key   bytea       NOT NULL,
	created_at    timestamptz NOT NULL,
	created_by    text        NOT NULL,
	CONSTRAINT data_keys_pkey PRIMARY KEY (tenant_id, user_id, key_id)
);
COMMENT ON TABLE auren.data_keys IS 'data keys of people, each wrapped by a master key, without which it cannot be used';
COMMENT ON COLUMN auren.data_keys.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.data_keys.user_id IS 'person whose values it encrypts';
COMMENT ON COLUMN auren.data_keys.key_id IS 'random id that envelopes name';
COMMENT ON COLUMN auren.data_keys.key_version IS 'counts the person''s keys: new values use the highest';
COMMENT ON COLUMN auren.data_keys.master_key_id IS 'master key that wraps it';
COMMENT ON COLUMN auren.data_keys.wrapped_key IS 'nonce, the key encrypted by the master key, tag';
COMMENT ON COLUMN auren.data_keys.created_at IS 'when it was made';
COMMENT ON COLUMN auren.data_keys.created_by IS 'role that made it, by its first value or by rotation';

CREATE TABLE auren.key_uses (
	tenant_id text   COLLATE "C" NOT NULL,
	user_id   text   COLLATE "C" NOT NULL,
	key_id    bigint NOT NULL,
	uses      bigint NOT NULL
);
CREATE INDEX key_uses_key ON auren.key_uses (tenant_id, user_id, key_id);
COMMENT ON TABLE auren.key_uses IS 'how often a key has encrypted: one row for about 65,536 values, at random';
COMMENT ON INDEX auren.key_uses_key IS 'finds the uses of a key';
COMMENT ON COLUMN auren.key_uses.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.key_uses.user_id IS 'person';
COMMENT ON COLUMN auren.key_uses.key_id IS 'key';
COMMENT ON COLUMN auren.key_uses.uses IS 'values that the row stands for';

CREATE TABLE auren.forgotten_people (
	tenant_id    text        COLLATE "C" NOT NULL,
	user_id      text        COLLATE "C" NOT NULL,
	forgotten_at timestamptz NOT NULL,
	forgotten_by text        NOT NULL,
	key_version  integer     NOT NULL,
	allowed_at   timestamptz,
	CONSTRAINT forgotten_people_pkey PRIMARY KEY (tenant_id, user_id)
);
COMMENT ON TABLE auren.forgotten_people IS 'people whose keys were destroyed: no key is made for them again until encrypted.allow_user';
COMMENT ON COLUMN auren.forgotten_people.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN auren.forgotten_people.user_id IS 'person';
COMMENT ON COLUMN auren.forgotten_people.forgotten_at IS 'when, the last time';
COMMENT ON COLUMN auren.forgotten_people.forgotten_by IS 'role that did it';
COMMENT ON COLUMN auren.forgotten_people.key_version IS 'highest version of the keys that were destroyed';
COMMENT ON COLUMN auren.forgotten_people.allowed_at IS 'since when new values may be encrypted again (encrypted.allow_user); NULL: not';

CREATE TABLE auren.declared_personal_rules (
	tenant_id  text   COLLATE "C" NOT NULL,
	event_type text   COLLATE "C" NOT NULL,
	person     text   COLLATE "C" NOT NULL,
	paths      text[] NOT NULL,
	CONSTRAINT declared_personal_rules_pkey PRIMARY KEY (tenant_id, event_type, person)
);
COMMENT ON TABLE auren.declared_personal_rules IS 'which fields of an event are personal, and whose (encrypted.add_rule)';
COMMENT ON COLUMN auren.declared_personal_rules.tenant_id IS 'tenant whose events it is for';
COMMENT ON COLUMN auren.declared_personal_rules.event_type IS 'type of the events';
COMMENT ON COLUMN auren.declared_personal_rules.person IS 'where the person stands: a JSON pointer into the data, or a pattern of stream ids with one "*"';
COMMENT ON COLUMN auren.declared_personal_rules.paths IS 'JSON pointers of the personal fields';

CREATE TABLE encrypted.audit_log (
	at           timestamptz NOT NULL,
	action       text        NOT NULL,
	tenant_id    text        COLLATE "C" NOT NULL,
	user_id      text        COLLATE "C" NOT NULL,
	field        text,
	role         text        NOT NULL,
	session_role text        NOT NULL,
	reason       text,
	keys         integer,
	outer_role   text        NOT NULL
);
COMMENT ON TABLE encrypted.audit_log IS 'which role decrypted values of, forgot or allowed which person; rows are added and never changed';
INSERT INTO auren.rights VALUES ('encrypted.audit_log', 'SELECT', '{}');
COMMENT ON COLUMN encrypted.audit_log.at IS 'when';
COMMENT ON COLUMN encrypted.audit_log.action IS 'decrypt, forget, allow or rotate';
COMMENT ON COLUMN encrypted.audit_log.tenant_id IS 'tenant of the person';
COMMENT ON COLUMN encrypted.audit_log.user_id IS 'person';
COMMENT ON COLUMN encrypted.audit_log.field IS 'field that was decrypted; NULL where none was named';
COMMENT ON COLUMN encrypted.audit_log.role IS 'role that did it: the current one, within a function that runs as its owner the owner';
COMMENT ON COLUMN encrypted.audit_log.session_role IS 'role that logged in, whatever SET ROLE and SET SESSION AUTHORIZATION made of it';
COMMENT ON COLUMN encrypted.audit_log.reason IS 'reason given: auren_events.decrypt_reason, or the parameter';
COMMENT ON COLUMN encrypted.audit_log.keys IS 'for forget: how many keys were destroyed';
COMMENT ON COLUMN encrypted.audit_log.outer_role IS 'role that the session had taken by SET ROLE or SET SESSION AUTHORIZATION, outside of functions that run as their owner';

CREATE FUNCTION auren.refuse_audit_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_refuse_audit_change';
COMMENT ON FUNCTION auren.refuse_audit_change() IS 'trigger: refuses UPDATE, DELETE and TRUNCATE of the audit with ZE003';
REVOKE ALL ON FUNCTION auren.refuse_audit_change() FROM PUBLIC;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON encrypted.audit_log
	FOR EACH ROW EXECUTE FUNCTION auren.refuse_audit_change();
ALTER TABLE encrypted.audit_log ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON encrypted.audit_log
	FOR EACH STATEMENT EXECUTE FUNCTION auren.refuse_audit_change();
ALTER TABLE encrypted.audit_log ENABLE ALWAYS TRIGGER refuse_truncate;

-- A key that anybody takes away by hand is gone for all sessions, as by encrypted.forget_user.
CREATE TRIGGER tell_sessions AFTER UPDATE OR DELETE OR TRUNCATE ON auren.data_keys
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.data_keys ENABLE ALWAYS TRIGGER tell_sessions;
CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON auren.declared_personal_rules
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE auren.declared_personal_rules ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION encrypted.encrypt_phi_field(p_value text, p_user_id text, p_field text DEFAULT NULL) RETURNS text
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_phi_field';
COMMENT ON FUNCTION encrypted.encrypt_phi_field(text, text, text) IS
'encrypts a value with the person''s key and gives a printable envelope; it opens for this tenant, person and field (NULL: any) only; makes the person''s first key';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_phi_field', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_phi_field(p_value text, p_user_id text, p_field text DEFAULT NULL) RETURNS text
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_phi_field';
COMMENT ON FUNCTION encrypted.decrypt_phi_field(text, text, text) IS
'the value of an envelope; ZE006 when the person was forgotten, 22000 when the envelope is another person''s, another field''s or changed, 22P02 when it is none';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_phi_field', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.encrypt_phi_fields(p_values text[], p_user_id text, p_field text DEFAULT NULL) RETURNS text[]
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_phi_fields';
COMMENT ON FUNCTION encrypted.encrypt_phi_fields(text[], text, text) IS
'many values of a person and field at a time: an array of the same form with encrypted.encrypt_phi_field''s envelope in the place of each value; NULLs stay';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_phi_fields', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_phi_fields(p_values text[], p_user_id text, p_field text DEFAULT NULL) RETURNS text[]
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_phi_fields';
COMMENT ON FUNCTION encrypted.decrypt_phi_fields(text[], text, text) IS
'many envelopes of a person and field at a time: an array of the same form with encrypted.decrypt_phi_field''s value in the place of each; NULLs stay; fails where that would for one of them';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_phi_fields', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.encrypt_fields(p_event_data jsonb, p_user_id text, p_paths text[]) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_encrypt_fields';
COMMENT ON FUNCTION encrypted.encrypt_fields(jsonb, text, text[]) IS
'a document with the fields at some JSON pointers encrypted, whatever JSON they hold; null, absent ones and envelopes of the person stay';
INSERT INTO auren.rights VALUES ('encrypted.encrypt_fields', 'EXECUTE', '{encrypt}');

CREATE FUNCTION encrypted.decrypt_fields(p_event_data jsonb, p_user_id text, p_paths text[]) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_decrypt_fields';
COMMENT ON FUNCTION encrypted.decrypt_fields(jsonb, text, text[]) IS
'a document with the envelopes at some JSON pointers decrypted: the same JSON as was encrypted; what is not an envelope stays';
INSERT INTO auren.rights VALUES ('encrypted.decrypt_fields', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.add_rule(p_event_type text, p_paths text[], p_user text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_add_rule';
COMMENT ON FUNCTION encrypted.add_rule(text, text[], text) IS
'appended events of a type have these fields encrypted for the person at a JSON pointer in the data (''/user_id'') or in the stream''s id (''user:*''); one rule a person of the event';
INSERT INTO auren.rights VALUES ('encrypted.add_rule', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.drop_rule(p_event_type text, p_user text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_drop_rule';
COMMENT ON FUNCTION encrypted.drop_rule(text, text) IS 'takes a rule back for events to come; 42704 when there is none';
INSERT INTO auren.rights VALUES ('encrypted.drop_rule', 'EXECUTE', '{key_admin}');

CREATE VIEW encrypted.rules WITH (security_barrier) AS
	SELECT event_type, person, paths FROM auren.declared_personal_rules
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW encrypted.rules IS 'rules of this session''s tenant';
INSERT INTO auren.rights VALUES ('encrypted.rules', 'SELECT', '{key_admin}');

CREATE FUNCTION events.replay_stream_decrypted(p_stream_id text, p_from_version bigint DEFAULT 1, p_to_version bigint DEFAULT NULL)
	RETURNS TABLE (event_id uuid, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz, metadata jsonb,
	               created_by text, global_position bigint, tags text[])
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000 AS 'MODULE_PATHNAME', 'auren_replay_stream_decrypted_with_tags';
COMMENT ON FUNCTION events.replay_stream_decrypted(text, bigint, bigint) IS
'events.replay_stream with the fields of the rules decrypted; those of forgotten people stay envelopes';
INSERT INTO auren.rights VALUES ('events.replay_stream_decrypted', 'EXECUTE', '{decrypt}');

CREATE FUNCTION events.get_stream_state_decrypted(p_stream_id text, p_to_version bigint DEFAULT NULL) RETURNS jsonb
	LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 AS 'MODULE_PATHNAME', 'auren_get_stream_state_decrypted';
COMMENT ON FUNCTION events.get_stream_state_decrypted(text, bigint) IS
'events.get_stream_state of events whose fields are decrypted before they are folded; from the first event on or from the opening balance, since snapshots hold envelopes';
INSERT INTO auren.rights VALUES ('events.get_stream_state_decrypted', 'EXECUTE', '{decrypt}');

CREATE FUNCTION encrypted.rotate_user_key(p_user_id text) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rotate_user_key';
COMMENT ON FUNCTION encrypted.rotate_user_key(text) IS 'makes a new data key for a person''s new values and returns its version; old values still open';
INSERT INTO auren.rights VALUES ('encrypted.rotate_user_key', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.rotate_master_key(p_limit integer DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rotate_master_key';
COMMENT ON FUNCTION encrypted.rotate_master_key(integer) IS
'wraps data keys of all tenants with the current master key, p_limit of them at most (NULL: all), and returns how many; 0 when none is left that nobody else has in hand';
INSERT INTO auren.rights VALUES ('encrypted.rotate_master_key', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.forget_user(p_user_id text, p_reason text, p_readings boolean DEFAULT false) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_forget_user';
COMMENT ON FUNCTION encrypted.forget_user(text, text, boolean) IS
'destroys a person''s data keys and returns how many: from its commit on nobody opens the person''s values (ZE006); leaves a receipt in encrypted.audit_log; p_readings: the person''s readings in biometric.biometric_events and their metrics go too';
INSERT INTO auren.rights VALUES ('encrypted.forget_user', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.allow_user(p_user_id text, p_reason text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_allow_user';
COMMENT ON FUNCTION encrypted.allow_user(text, text) IS 'lets new values of a forgotten person be encrypted again, with a new key; the old ones stay unreadable';
INSERT INTO auren.rights VALUES ('encrypted.allow_user', 'EXECUTE', '{key_admin}');

CREATE FUNCTION encrypted.master_key_id() RETURNS text
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_master_key_id';
COMMENT ON FUNCTION encrypted.master_key_id() IS 'id of the current master key';
INSERT INTO auren.rights VALUES ('encrypted.master_key_id', 'EXECUTE', '{key_admin}');

CREATE FUNCTION auren.master_key_id() RETURNS text
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'auren_master_key_id';
COMMENT ON FUNCTION auren.master_key_id() IS 'encrypted.master_key_id(), for views: their readers need no right on that';

CREATE VIEW encrypted.status WITH (security_barrier) AS
	SELECT k.key_version, k.master_key_id, COALESCE(k.keys, 0) AS keys, k.oldest, k.newest,
	       k.master_key_id OPERATOR(pg_catalog.<>) (SELECT auren.master_key_id()) AS rotation_pending,
	       (SELECT pg_catalog.count(*) FROM auren.forgotten_people f
	        WHERE f.tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())) AS forgotten_people
	FROM (SELECT true) one
	LEFT JOIN (SELECT key_version, master_key_id, pg_catalog.count(*) AS keys, pg_catalog.min(created_at) AS oldest, pg_catalog.max(created_at) AS newest
	           FROM auren.data_keys WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant())
	           GROUP BY key_version, master_key_id) k ON true
	ORDER BY k.key_version, k.master_key_id;
COMMENT ON VIEW encrypted.status IS 'data keys of this session''s tenant by version and master key, with their age; rotation_pending: encrypted.rotate_master_key has work; people forgotten';
INSERT INTO auren.rights VALUES ('encrypted.status', 'SELECT', '{key_admin}');

CREATE VIEW encrypted.audit WITH (security_barrier) AS
	SELECT at, action, user_id, field, role, session_role, reason, keys, outer_role FROM encrypted.audit_log
	WHERE tenant_id OPERATOR(pg_catalog.=) (SELECT auren.current_tenant());
COMMENT ON VIEW encrypted.audit IS 'the audit of this session''s tenant';
INSERT INTO auren.rights VALUES ('encrypted.audit', 'SELECT', '{key_admin}');
