-- Seals: digests of final events under a Merkle tree a month, its root chained to the seal before it and signed. And what sessions work at.

CREATE FUNCTION auren.work_phases() RETURNS TABLE (code integer, what text, phase text, unit text)
	LANGUAGE C STABLE PARALLEL SAFE ROWS 33 AS 'MODULE_PATHNAME', 'auren_work_phases';
COMMENT ON FUNCTION auren.work_phases() IS 'what sessions do that takes long, by the number under which they show it';

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
