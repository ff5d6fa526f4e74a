#include "health/checks.hpp"

namespace auren::pg {

namespace {

constexpr const char *kVersions = R"(
SELECT update_due, format('module %s, SQL objects %s', module_version, objects_version) FROM events.version())";

// Appends make the month of now themselves, and wait for it then.
constexpr const char *kMonthsAhead = R"(
WITH month AS (
	SELECT c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upto
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'events.event_store'::regclass)
SELECT coalesce(max(upto), '-infinity') < (date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC') + '2 months') AT TIME ZONE 'UTC',
	'months are made until ' || coalesce(to_char(max(upto) AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'never')
FROM month
UNION ALL
SELECT true, format('%s has no month of tags beside it', relname)
FROM month
WHERE upto > statement_timestamp() AND relname ~ '_[0-9]{4}_[0-9]{2}$'
	AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'auren.event_tags'::regclass AND c.relname = 'event_tags_' || right(month.relname, 7)))";

// What the extension puts on its tables, by name (what a state says must be the same as well), and what else is there and not written down.
constexpr const char *kObjects = R"(
WITH present AS MATERIALIZED (SELECT relation, kind, name, definition FROM auren.table_objects WHERE kind <> 'comment')
SELECT true, format('%s %s of %s is missing or another one', s.kind, s.name, s.relation)
FROM auren.shipped_objects s
WHERE s.kind <> 'comment' AND NOT EXISTS (
	SELECT FROM present p WHERE p.relation = s.relation AND p.kind = s.kind AND p.name = s.name
		AND (p.definition = s.definition OR s.kind NOT IN ('trigger state', 'row security')))
UNION ALL
SELECT true, format('%s %s of %s was added and is not recorded, so that a dump would lose it', t.kind, t.name, t.relation)
FROM present t
WHERE t.kind NOT IN ('column', 'parent index', 'trigger state', 'replica identity')
	AND NOT EXISTS (SELECT FROM auren.shipped_objects s WHERE s.relation = t.relation AND s.kind = t.kind AND s.name = t.name)
	AND NOT EXISTS (SELECT FROM auren.kept_objects k WHERE k.relation = t.relation AND k.kind = t.kind AND k.name = t.name)
UNION ALL
SELECT true, format('event trigger %s is %s', n.name, CASE e.evtenabled WHEN 'D' THEN 'disabled' WHEN 'A' THEN 'here' ELSE coalesce('not enabled ALWAYS' || left(e.evtname, 0), 'missing') END)
FROM unnest('{auren_events_guard_drop,auren_events_objects_change,auren_events_objects_gone,auren_events_tables_change,auren_events_tables_drop,auren_events_tables_gone,auren_events_updated}'::text[]) n(name)
	LEFT JOIN pg_event_trigger e ON e.evtname = n.name
WHERE e.evtenabled IS DISTINCT FROM 'A'
UNION ALL
SELECT true, format('trigger %s of %s is %s', g.name, i.inhrelid::regclass, CASE WHEN t.oid IS NULL THEN 'missing' ELSE 'not enabled ALWAYS' END)
FROM pg_inherits i CROSS JOIN (VALUES ('refuse_change'), ('refuse_row_change'), ('refuse_truncate')) g(name)
	LEFT JOIN pg_trigger t ON t.tgrelid = i.inhrelid AND t.tgname = g.name
WHERE i.inhparent = 'events.event_store'::regclass AND t.tgenabled IS DISTINCT FROM 'A')";

// One that is not valid may just be made: CREATE INDEX and REINDEX CONCURRENTLY keep a lock of their table meanwhile.
constexpr const char *kIndexes = R"(
SELECT true, format('index %s of %s is not valid', x.indexrelid::regclass, x.indrelid::regclass)
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('events', 'auren', 'analytics', 'biometric', 'encrypted') AND NOT (x.indisvalid AND x.indisready AND x.indislive)
	AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = x.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION ALL
SELECT true, format('index %s of %s is missing', k.name, c.oid::regclass)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ '^event_store_[0-9]{4}_[0-9]{2}$'
	CROSS JOIN LATERAL (SELECT s.name AS subject, format('idx_event_store_%s_%s', s.name, right(c.relname, 7)) AS name
		FROM unnest('{stream,event_id,position,created_at,type_time,event_data_gin,metadata_gin}'::text[]) s(name)) k
WHERE i.inhparent = 'events.event_store'::regclass
	AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid WHERE x.indrelid = c.oid AND ic.relname = k.name)
	AND NOT EXISTS (SELECT FROM auren.settled_indexes p JOIN auren.month_records r ON r.settled_at IS NOT NULL AND to_char(r.month, 'YYYY_MM') = right(c.relname, 7)
		WHERE p.index_name = k.subject)
UNION ALL
SELECT true, format('%s has no index of tags', i.inhrelid::regclass)
FROM pg_inherits i
WHERE i.inhparent = 'auren.event_tags'::regclass AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = i.inhrelid))";

// Tables and sequences of ours and the months; functions that were not open when the extension was made; schemas.
constexpr const char *kRights = R"(
WITH member AS MATERIALIZED (
	SELECT d.classid, d.objid FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
	WHERE e.extname = 'auren_events'),
bound AS MATERIALIZED (SELECT DISTINCT role::oid AS role FROM events.tenant_bindings),
month AS MATERIALIZED (SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('events.event_store'::regclass, 'auren.event_tags'::regclass)),
given AS (
	SELECT 'pg_class'::regclass AS classid, c.oid, a.grantee, a.privilege_type, c.oid::regclass::text AS name
	FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
	WHERE c.oid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass UNION ALL SELECT inhrelid FROM month)
	UNION ALL
	SELECT 'pg_attribute'::regclass, t.attrelid, a.grantee, a.privilege_type, format('column %I of %s', t.attname, t.attrelid::regclass)
	FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a
	WHERE t.attrelid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass UNION ALL SELECT inhrelid FROM month)
	UNION ALL
	SELECT 'pg_proc'::regclass, p.oid, a.grantee, a.privilege_type, p.oid::regprocedure::text
	FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	WHERE p.oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
	UNION ALL
	SELECT 'pg_namespace'::regclass, n.oid, a.grantee, a.privilege_type, 'schema ' || n.nspname
	FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
	WHERE n.oid IN (SELECT objid FROM member WHERE classid = 'pg_namespace'::regclass)),
-- what the install script gave; of a function that it never touched the initial rights are the server's
initial AS (
	SELECT i.classoid, i.objoid, a.grantee, a.privilege_type FROM pg_init_privs i CROSS JOIN LATERAL aclexplode(i.initprivs) a WHERE i.objsubid = 0 AND a.grantee = 0
	UNION ALL
	SELECT 'pg_proc'::regclass, p.oid, 0, 'EXECUTE' FROM pg_proc p
	WHERE p.oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
		AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid))
SELECT true, format('%s is open to PUBLIC (%s)', g.name, string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type))
FROM given g
WHERE g.grantee = 0 AND NOT EXISTS (SELECT FROM initial i WHERE i.classoid = g.classid AND i.objoid = g.oid AND i.privilege_type = g.privilege_type)
GROUP BY g.name
UNION ALL
SELECT true, format('%s belongs to %s, and the store to %s', c.oid::regclass, c.relowner::regrole, p.relowner::regrole)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent IN ('events.event_store'::regclass, 'auren.event_tags'::regclass) AND c.relowner <> p.relowner
UNION ALL
SELECT true, format('%s is open to %s, which is bound to tenants', c.oid::regclass, b.role::regrole)
FROM bound b JOIN pg_roles r ON r.oid = b.role AND NOT r.rolsuper
	JOIN pg_class c ON c.oid IN (SELECT oid FROM auren.granted_objects WHERE all_tenants UNION ALL SELECT inhrelid FROM month)
-- a bound writer may insert readings: those of its own tenants
WHERE has_table_privilege(b.role, c.oid, 'SELECT, UPDATE, DELETE, TRUNCATE' || CASE c.oid WHEN 'biometric.biometric_events'::regclass THEN '' ELSE ', INSERT' END)
	OR has_any_column_privilege(b.role, c.oid, 'SELECT, UPDATE'))";

constexpr const char *kDefaultPrivileges = R"(
SELECT true, format('tables that %s makes%s are open to %s (%s)', d.defaclrole::regrole, coalesce(' in schema ' || n.nspname, ''),
	CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type))
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) a
WHERE d.defaclobjtype = 'r' AND (d.defaclnamespace = 0 OR n.nspname IN ('events', 'auren', 'analytics', 'biometric', 'encrypted'))
	AND d.defaclrole = (SELECT relowner FROM pg_class WHERE oid = 'events.event_store'::regclass)
	AND (a.grantee = 0 OR a.grantee IN (SELECT role::oid FROM events.tenant_bindings))
GROUP BY d.defaclrole, n.nspname, a.grantee)";

// Rules, policies, indexes and the like that a DBA added.
constexpr const char *kAddedObjects = R"(
SELECT true, format('%s %s of %s is not there; the store is closed', kind, name, relation) FROM events.added_objects WHERE NOT present
UNION ALL
SELECT false, format('%s objects were added and are recorded', count(*)) FROM events.added_objects WHERE present)";

// Only where something is personal. Each decryption that is audited needs a worker for a moment.
constexpr const char *kAudit = R"(
WITH personal AS (SELECT WHERE EXISTS (SELECT FROM auren.data_keys) OR EXISTS (SELECT FROM auren.declared_personal_rules))
SELECT true, 'auren_events.audit_decrypt is off, so that nobody sees who decrypts' FROM personal WHERE current_setting('auren_events.audit_decrypt') = 'off'
UNION ALL
SELECT true, format('auren_events.audit_decrypt is off for %s', concat_ws(' in ', nullif(s.setrole, 0)::regrole, 'database ' || d.datname))
FROM personal CROSS JOIN pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) c(line)
WHERE (s.setdatabase = 0 OR d.datname = current_database()) AND lower(c.line) ~ '^auren_events\.audit_decrypt=(of?f?|fa?l?s?e?|no?|0)$'
UNION ALL
SELECT true, format('all %s background workers are in use, and the audit needs one', w.most)
FROM personal CROSS JOIN (SELECT current_setting('max_worker_processes')::integer AS most, count(*) AS used,
		count(*) FILTER (WHERE backend_type = 'auren_events audit') AS auditing
	FROM pg_stat_activity WHERE backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker', 'walsender', 'walreceiver',
		'background writer', 'checkpointer', 'walwriter', 'startup', 'archiver', 'io worker', 'slotsync worker', 'walsummarizer')) w
WHERE w.used >= w.most AND w.auditing = 0
UNION ALL
SELECT false, CASE WHEN EXISTS (SELECT FROM personal) THEN 'decryptions are audited' ELSE 'nothing is personal' END)";

constexpr const char *kJobs = R"(
WITH job AS (SELECT j.jobid, coalesce(j.jobname, j.jobid::text) AS name, j.active, j.command FROM cron.job j
	WHERE j.database = current_database() AND j.command ~* '\y(events|analytics|encrypted)\.'),
run AS MATERIALIZED (SELECT d.jobid, d.runid, d.status, d.start_time, d.return_message FROM cron.job_run_details d ORDER BY d.runid DESC LIMIT 10000)
SELECT true, format('no job calls %s', n.name) FROM (VALUES ('analytics.refresh_user_metrics'), ('events.create_monthly_partitions')) n(name)
WHERE NOT EXISTS (SELECT FROM job WHERE strpos(command, n.name) > 0)
UNION ALL
SELECT true, format('job %s is not active', name) FROM job WHERE NOT active
UNION ALL
SELECT true, format('the last run of job %s failed at %s: %s', j.name, r.start_time, left(r.return_message, 200))
FROM job j CROSS JOIN LATERAL (SELECT d.status, d.start_time, d.return_message FROM run d WHERE d.jobid = j.jobid ORDER BY d.runid DESC LIMIT 1) r
WHERE r.status = 'failed'
UNION ALL
SELECT false, format('%s jobs', count(*)) FROM job)";

constexpr const char *kFeedBlockers = R"(
SELECT true, format('%s of %s appends since %s', coalesce('process ' || pid, 'prepared transaction ' || prepared_gid), role, since)
FROM events.feed_blockers WHERE since < clock_timestamp() - interval '1 minute')";

// A share without a consumer, whose checkpoint the feed has passed. The newest row of a share counts; one that nobody ever took has none.
constexpr const char *kSubscriptions = R"(
SELECT true, format('share %s of subscription %s (%s) is at %s, the feed at %s, and no consumer has it%s', n.share, s.name, s.tenant_id,
	coalesce(p.checkpoint, s.start_position), h.horizon,
	CASE WHEN p.consumer IS NULL THEN ', nor ever had' WHEN p.consumer = '' THEN '' ELSE format(': %s had it until %s', p.consumer, p.lease_until) END)
FROM (SELECT events.feed_horizon() AS horizon) h CROSS JOIN auren.subscription_settings s CROSS JOIN generate_series(0, s.shares - 1) n(share)
	LEFT JOIN LATERAL (SELECT p.* FROM auren.subscription_progress p WHERE p.subscription_id = s.subscription_id AND p.share = n.share ORDER BY p.step DESC LIMIT 1) p ON true
WHERE coalesce(p.lease_until, s.created_at) < clock_timestamp() - interval '1 minute' AND coalesce(p.checkpoint, s.start_position) < h.horizon
LIMIT 100)";

constexpr const char *kParked = R"(
SELECT true, format('%s events of subscription %s (%s)', CASE count(*) WHEN 1000 THEN '1000 or more' ELSE count(*)::text END, s.name, s.tenant_id)
FROM auren.subscription_settings s CROSS JOIN LATERAL (
	SELECT FROM auren.subscription_held h WHERE h.subscription_id = s.subscription_id AND h.state = 'parked' LIMIT 1000) h
GROUP BY s.name, s.tenant_id)";

constexpr const char *kNotificationQueue = R"(
SELECT u.part > 0.25, format('%s percent of the queue are in use', round((u.part * 100)::numeric, 1)) FROM (SELECT pg_notification_queue_usage() AS part) u)";

constexpr const char *kMetrics = R"(
SELECT w.waits AND coalesce(r.finished_at, '-infinity') < clock_timestamp() - interval '6 hours',
	CASE WHEN r.finished_at IS NULL THEN CASE WHEN w.waits THEN 'there are readings, and no refresh was made yet' ELSE 'no reading waits' END
	ELSE format('last refresh at %s, in %s; %s', r.finished_at, r.duration, CASE WHEN w.waits THEN 'changes wait for the next one' ELSE 'no reading waits' END) END
FROM (SELECT EXISTS (SELECT FROM auren.deltas) OR EXISTS (SELECT FROM auren.delta_packs) AS waits) w
	LEFT JOIN LATERAL (SELECT finished_at, duration FROM auren.refresh_runs ORDER BY finished_at DESC LIMIT 1) r ON true)";

constexpr const char *kSources = R"(
SELECT true, format('source %s (%s) is not filled', s.source_id, s.relation) FROM analytics.sources s
WHERE NOT s.detached AND NOT EXISTS (SELECT FROM auren.filled_sources f WHERE f.source_id = s.source_id)
UNION ALL
SELECT true, format('rule of tag %s on %s (%s) is not complete for stored events', r.tag_key, r.event_type, r.tenant_id) FROM auren.declared_tag_rules r WHERE NOT r.complete)";

constexpr const char *kSeals = R"(
SELECT true, format('%s was closed more than a week ago and is not sealed', to_char(f.month, 'YYYY-MM'))
FROM auren.month_figures() f
WHERE EXISTS (SELECT FROM auren.registered_seal_keys) AND f.closed AND f.last_seal IS NULL AND f.last_position IS NOT NULL
	AND f.month + interval '1 month 7 days' < statement_timestamp() AT TIME ZONE 'UTC'
UNION ALL
SELECT false, format('the last seal is of %s', max(sealed_at)) FROM (SELECT sealed_at FROM auren.seals ORDER BY seal DESC LIMIT 1) s HAVING count(*) > 0)";

constexpr const char *kTransactionIds = R"(
SELECT g.age > g.most, format('the oldest is %s with %s transactions; a vacuum against wraparound begins at %s', g.relation, g.age, g.most)
FROM (SELECT c.oid::regclass AS relation, age(c.relfrozenxid) AS age, current_setting('autovacuum_freeze_max_age')::integer AS most
	FROM pg_inherits i JOIN pg_class m ON m.oid = i.inhrelid JOIN pg_class c ON c.oid IN (m.oid, m.reltoastrelid) AND c.relfrozenxid <> '0'
	WHERE i.inhparent IN ('events.event_store'::regclass, 'auren.event_tags'::regclass) ORDER BY age(c.relfrozenxid) DESC LIMIT 1) g)";

// A day's growth: that of the last whole month which has events, or of this one so far. Estimates of sizes; no table is read.
constexpr const char *kDisk = R"(
WITH month AS (
	SELECT (b.bound[1])::timestamptz AS since, least((b.bound[2])::timestamptz, statement_timestamp()) AS upto, pg_total_relation_size(c.oid) AS bytes
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)') b(bound)
	WHERE i.inhparent = 'events.event_store'::regclass AND b.bound IS NOT NULL AND (b.bound[1])::timestamptz < statement_timestamp() - interval '1 day'
	ORDER BY 1 DESC LIMIT 2),
growth AS (SELECT sum(bytes) / greatest(sum(extract(epoch FROM upto - since)) / 86400, 1) AS a_day FROM month)
SELECT coalesce($1::numeric / nullif(a_day, 0) < 30, false),
	format('%s a day, %s free: %s', pg_size_pretty(coalesce(a_day, 0)::bigint), pg_size_pretty($1::numeric),
		coalesce(CASE WHEN $1::numeric / nullif(a_day, 0) > 36500 THEN 'room for a hundred years' ELSE round($1::numeric / nullif(a_day, 0)) || ' days' END, 'no growth yet'))
FROM growth)";

// A slot keeps WAL for whoever reads it. Past max_wal_size it is its fault that the disk fills; one that is read may lag for a while.
constexpr const char *kReplicationSlots = R"(
WITH slot AS (
	SELECT s.slot_name, s.active, s.wal_status, s.restart_lsn,
		pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn) AS kept
	FROM pg_replication_slots s WHERE NOT s.temporary)
SELECT s.wal_status = 'lost' OR s.kept > m.bytes * CASE WHEN s.active THEN 10 ELSE 1 END,
	CASE WHEN s.wal_status = 'lost' THEN format('slot %s has lost WAL that its reader needs', s.slot_name)
	ELSE format('slot %s keeps %s of WAL%s', s.slot_name, pg_size_pretty(greatest(coalesce(s.kept, 0), 0)), CASE WHEN s.active THEN '' ELSE ', and nobody reads it' END) END
FROM slot s CROSS JOIN (SELECT setting::numeric * 1024 * 1024 AS bytes FROM pg_settings WHERE name = 'max_wal_size') m
LIMIT 100)";

constexpr const char *kSettings = R"(
SELECT true, format('%s is %s', s.name, s.setting) FROM pg_settings s
WHERE (s.name IN ('fsync', 'full_page_writes', 'autovacuum', 'track_counts') AND s.setting = 'off')
	OR (s.name IN ('zero_damaged_pages', 'ignore_checksum_failure', 'ignore_system_indexes', 'allow_system_table_mods') AND s.setting = 'on')
	OR (s.name = 'auren_events.allow_drop' AND s.setting = 'on')
UNION ALL
SELECT true, format('%s is UNLOGGED, so that a crash empties it', c.oid::regclass) FROM pg_class c
WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'p', 'S')
	AND c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('events.event_store'::regclass, 'auren.event_tags'::regclass)
		UNION ALL SELECT d.objid FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
			AND d.classid = 'pg_class'::regclass WHERE e.extname = 'auren_events'))";

constexpr const char *kChecksums = R"(
SELECT current_setting('data_checksums') = 'off', 'data_checksums is ' || current_setting('data_checksums'))";

// Where the module is loaded by the first call, the server shows a client's settings of ours until then, and the first call of a session is slower.
constexpr const char *kPreload = R"(
SELECT NOT bool_or(l.loaded), CASE WHEN bool_or(l.loaded) THEN 'sessions begin with the module' ELSE 'each session loads the module at its first call' END
FROM (SELECT s.setting ~ '(^|[ ,"/])auren_events' AS loaded FROM pg_settings s
	WHERE s.name IN ('shared_preload_libraries', 'session_preload_libraries')) l)";

} // namespace

const std::vector<Check> &
Checks() {
	static const std::vector<Check> checks = {
		{"versions", "error", nullptr, nullptr, kVersions, "ALTER EXTENSION auren_events UPDATE; a session that runs keeps its module: reconnect."},
		{"months ahead", "warning", nullptr, nullptr, kMonthsAhead,
	     "SELECT events.create_monthly_partitions(2); as many months ahead as are named. Have it called daily (analytics.schedule)."},
		{"objects", "error", nullptr, nullptr, kObjects,
	     "ALTER TABLE ... ENABLE ALWAYS TRIGGER, ALTER EVENT TRIGGER ... ENABLE ALWAYS. What is missing is in the install script of this version."},
		{"indexes", "error", nullptr, nullptr, kIndexes,
	     "REINDEX INDEX CONCURRENTLY what is not valid; make what is missing as another month has it (pg_indexes)."},
		{"rights", "error", nullptr, nullptr, kRights,
	     "REVOKE what is named, or ALTER TABLE ... OWNER TO; rights of roles are events.grant_access's."},
		{"default privileges", "error", nullptr, nullptr, kDefaultPrivileges,
	     "ALTER DEFAULT PRIVILEGES ... REVOKE: they would open months that are made to these roles."},
		{"added objects", "error", nullptr, nullptr, kAddedObjects,
	     "SELECT * FROM events.restore_objects(); or events.give_up_objects() to go on without them."},
		{"audit", "error", nullptr, nullptr, kAudit,
	     "Set auren_events.audit_decrypt on, or ALTER ROLE/DATABASE ... RESET; raise max_worker_processes."},
		{"jobs", "warning", "pg_cron", "pg_cron is not in this database: what calls refresh and months is not known here", kJobs,
	     "SELECT * FROM analytics.schedule(); cron.job_run_details has what failed."},
		{"feed", "warning", nullptr, nullptr, kFeedBlockers,
	     "The feed ends before these: end them (pg_terminate_backend), or decide the prepared ones."},
		{"subscriptions", "warning", nullptr, nullptr, kSubscriptions, "Start its consumers, or events.drop_subscription."},
		{"parked events", "warning", nullptr, nullptr, kParked, "Look at events.parked, mend the cause, then events.unpark."},
		{"notification queue", "warning", nullptr, nullptr, kNotificationQueue,
	     "events.notification_queue shows the listener in a long transaction that keeps it full."},
		{"metrics", "warning", nullptr, nullptr, kMetrics, "Have analytics.refresh_user_metrics() called hourly (analytics.schedule)."},
		{"sources and rules", "warning", nullptr, nullptr, kSources,
	     "analytics.refresh_user_metrics() fills sources, events.fill_tag_rules() rules of tags."},
		{"seals", "warning", nullptr, nullptr, kSeals, "SELECT events.seal(); nightly."},
		{"transaction ids", "warning", nullptr, nullptr, kTransactionIds, "VACUUM (FREEZE) that month, or settle it (events.maintenance_plan)."},
		{"disk", "warning", nullptr, nullptr, kDisk, "Settle old months (events.maintenance_plan), archive and drop them, or add room."},
		{"replication slots", "warning", nullptr, nullptr, kReplicationSlots,
	     "Start what reads it, or SELECT pg_drop_replication_slot(...); max_slot_wal_keep_size bounds what a slot may keep."},
		{"settings", "error", nullptr, nullptr, kSettings,
	     "A crash or a damaged page can lose events with these: set them back (ALTER TABLE ... SET LOGGED)."},
		{"checksums", "notice", nullptr, nullptr, kChecksums,
	     "pg_checksums --enable while the server is stopped: a damaged page is then told when it is read."},
		{"preload", "notice", nullptr, nullptr, kPreload, "session_preload_libraries = 'auren_events'"},
	};
	return checks;
}

} // namespace auren::pg
