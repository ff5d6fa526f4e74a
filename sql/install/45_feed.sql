-- The feed: all events in order of position.

-- The index is not unique, so that nobody waits for another's row.
CREATE TABLE auren.feed_horizons (
	global_position bigint      NOT NULL,
	written_at      timestamptz NOT NULL
);
CREATE INDEX feed_horizons_position ON auren.feed_horizons (global_position);
COMMENT ON INDEX auren.feed_horizons_position IS 'finds the newest horizon';
COMMENT ON TABLE auren.feed_horizons IS 'horizons that the primary wrote down for its standbys, which see none of its locks';
COMMENT ON COLUMN auren.feed_horizons.global_position IS 'position up to which the feed was final';
COMMENT ON COLUMN auren.feed_horizons.written_at IS 'when it was written';

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
INSERT INTO auren.rights VALUES ('events.read_all', 'EXECUTE', '{reader}');

CREATE FUNCTION events.feed_horizon() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_feed_horizon';
COMMENT ON FUNCTION events.feed_horizon() IS 'last final position: every event up to it is committed or will never be; on a standby the last one that the primary wrote down';
INSERT INTO auren.rights VALUES ('events.feed_horizon', 'EXECUTE', '{reader}');

CREATE FUNCTION events.write_feed_horizon() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_write_feed_horizon';
COMMENT ON FUNCTION events.write_feed_horizon() IS 'writes the horizon down for standbys and returns it';
INSERT INTO auren.rights VALUES ('events.write_feed_horizon', 'EXECUTE', '{admin}');

CREATE FUNCTION events.store_epoch() RETURNS uuid
	LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_store_epoch';
COMMENT ON FUNCTION events.store_epoch() IS 'names the history that positions belong to: another one after a restore from a dump, a promotion, a point-in-time recovery and pg_upgrade';
INSERT INTO auren.rights VALUES ('events.store_epoch', 'EXECUTE', '{reader}');

-- The transactions that append now. A prepared transaction has no process: the lock on its number says which it is.
CREATE VIEW events.feed_blockers WITH (security_barrier) AS
	SELECT ((l.classid::bigint << 32) | l.objid::bigint) AS after_position, l.pid,
	       COALESCE(p.prepared, a.xact_start) AS since, a.state, a.query, p.gid AS prepared_gid, COALESCE(a.usename, p.owner) AS role
	FROM pg_catalog.pg_locks l
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
	LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype OPERATOR(pg_catalog.=) 'transactionid'
	                               AND x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction
	LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) x.transactionid
	WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.objsubid OPERATOR(pg_catalog.=) (-24350)::smallint AND l.granted
	  AND l.database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database());
COMMENT ON VIEW events.feed_blockers IS 'transactions that append now: the feed ends at the smallest after_position until they end; a prepared one until it is decided';
INSERT INTO auren.rights VALUES ('events.feed_blockers', 'SELECT', '{reader}');

-- The sessions that hold a lock that may keep others waiting to the end of its transaction.
CREATE VIEW events.lock_holders WITH (security_barrier) AS
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
INSERT INTO auren.rights VALUES ('events.lock_holders', 'SELECT', '{reader,admin}');
