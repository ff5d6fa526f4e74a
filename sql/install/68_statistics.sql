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

-- a database that was dropped may have left counts under this one's OID
SELECT events.reset_stats();
