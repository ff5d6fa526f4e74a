-- Readings and their rollups: what changed is recorded as it happens, refresh merges it, the views add what is not merged yet.

CREATE SCHEMA biometric;
COMMENT ON SCHEMA biometric IS 'auren_events: readings of persons';
REVOKE ALL ON SCHEMA biometric FROM PUBLIC;
INSERT INTO auren.rights VALUES ('biometric', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'auren_events: metrics of readings by day, hour and five minutes';
REVOKE ALL ON SCHEMA analytics FROM PUBLIC;
INSERT INTO auren.rights VALUES ('analytics', 'USAGE', '{reader,writer,admin,encrypt,decrypt,key_admin}');

CREATE TABLE biometric.biometric_events (
	user_id     text             COLLATE "C" NOT NULL,
	device_type text             COLLATE "C",
	metric_type text             COLLATE "C" NOT NULL,
	value       double precision,
	"timestamp" timestamptz      NOT NULL DEFAULT pg_catalog.now(),
	event_id    uuid,
	metadata    jsonb,
	tenant_id   text             COLLATE "C" NOT NULL DEFAULT events.current_tenant(),
	CONSTRAINT biometric_events_names_fit CHECK (pg_catalog.octet_length(user_id) OPERATOR(pg_catalog.+) COALESCE(pg_catalog.octet_length(device_type), 0)
		OPERATOR(pg_catalog.+) pg_catalog.octet_length(metric_type) OPERATOR(pg_catalog.+) pg_catalog.octet_length(tenant_id) OPERATOR(pg_catalog.<=) 2500)
);
CREATE INDEX idx_biometric_events_user_device_time ON biometric.biometric_events (user_id, device_type, "timestamp" DESC);
CREATE INDEX idx_biometric_events_metric_time ON biometric.biometric_events (metric_type, "timestamp" DESC);
COMMENT ON TABLE biometric.biometric_events IS 'readings of all tenants; insert, correct and delete them as in any table, the metrics follow';
INSERT INTO auren.rights VALUES ('biometric.biometric_events', 'INSERT', '{writer}');
INSERT INTO auren.rights VALUES ('biometric.biometric_events', 'SELECT', '{reader}');
COMMENT ON CONSTRAINT biometric_events_names_fit ON biometric.biometric_events IS 'user, device, metric and tenant are of 2,500 bytes together: longer ones do not fit into an index';
COMMENT ON INDEX biometric.idx_biometric_events_user_device_time IS 'finds a user''s readings by device and time';
COMMENT ON INDEX biometric.idx_biometric_events_metric_time IS 'finds a metric''s readings by time';
COMMENT ON COLUMN biometric.biometric_events.user_id IS 'person that was measured';
COMMENT ON COLUMN biometric.biometric_events.device_type IS 'what measured, where that is known';
COMMENT ON COLUMN biometric.biometric_events.metric_type IS 'what was measured';
COMMENT ON COLUMN biometric.biometric_events.value IS 'what the reading says; NULL counts as a reading without a value';
COMMENT ON COLUMN biometric.biometric_events."timestamp" IS 'when it was measured';
COMMENT ON COLUMN biometric.biometric_events.event_id IS 'event that it came with, if any';
COMMENT ON COLUMN biometric.biometric_events.metadata IS 'what else is known of it';
COMMENT ON COLUMN biometric.biometric_events.tenant_id IS 'tenant that it belongs to (setting app.tenant_id of the session that wrote it)';

CREATE SEQUENCE auren.source_id_seq AS integer MINVALUE 2 START 2;
COMMENT ON SEQUENCE auren.source_id_seq IS 'numbers of the sources; 1 is biometric.biometric_events';
CREATE TABLE analytics.sources (
	source_id     integer     NOT NULL CONSTRAINT sources_pkey PRIMARY KEY,
	relation      regclass,
	event_type    text        COLLATE "C",
	tenant_id     text        COLLATE "C" NOT NULL,
	user_field    text        COLLATE "C",
	device_field  text        COLLATE "C",
	metric_field  text        COLLATE "C",
	value_field   text        COLLATE "C",
	time_field    text        COLLATE "C",
	tenant_field  text        COLLATE "C",
	metrics       jsonb,
	detached      boolean     NOT NULL DEFAULT false,
	attached_by   text        NOT NULL,
	attached_at   timestamptz NOT NULL,
	samples_field text        COLLATE "C",
	once          boolean     NOT NULL DEFAULT false
);
COMMENT ON TABLE analytics.sources IS 'where readings come from: tables (analytics.attach_source) and events of a type (analytics.attach_events)';
INSERT INTO auren.rights VALUES ('analytics.sources', 'SELECT', '{}');
COMMENT ON COLUMN analytics.sources.source_id IS 'number of the source';
COMMENT ON COLUMN analytics.sources.relation IS 'its table; NULL: events';
COMMENT ON COLUMN analytics.sources.event_type IS 'type of its events; NULL: a table';
COMMENT ON COLUMN analytics.sources.tenant_id IS 'tenant of its readings, unless a column says so';
COMMENT ON COLUMN analytics.sources.user_field IS 'column or field of the user; NULL: the stream''s id after its category';
COMMENT ON COLUMN analytics.sources.device_field IS 'column or field of the device, if any';
COMMENT ON COLUMN analytics.sources.metric_field IS 'column of the metric';
COMMENT ON COLUMN analytics.sources.value_field IS 'column of the value';
COMMENT ON COLUMN analytics.sources.time_field IS 'column or field of the time; NULL, or missing in an event: when that was appended';
COMMENT ON COLUMN analytics.sources.tenant_field IS 'column of the tenant, if any';
COMMENT ON COLUMN analytics.sources.metrics IS 'for events: field of the data to metric';
COMMENT ON COLUMN analytics.sources.detached IS 'it is not a source any more, and the next refresh removes what is left of it';
COMMENT ON COLUMN analytics.sources.attached_by IS 'role that attached it';
COMMENT ON COLUMN analytics.sources.attached_at IS 'when';
COMMENT ON COLUMN analytics.sources.once IS 'for events: readings of the same user, device, metric, time and value count once';
COMMENT ON COLUMN analytics.sources.samples_field IS 'for events: array of which each element is a sample; NULL: the data itself is one';
CREATE TABLE auren.filled_sources (
	source_id integer NOT NULL CONSTRAINT filled_sources_pkey PRIMARY KEY
);
COMMENT ON TABLE auren.filled_sources IS 'sources whose readings the rollups hold; the others are read as they are until the next refresh fills them. Not dumped, as the rollups are not';
COMMENT ON COLUMN auren.filled_sources.source_id IS 'number of the source';
-- oid, not regclass: it goes on when the table is gone
CREATE TABLE auren.source_partitions (
	relation  oid     NOT NULL CONSTRAINT source_partitions_pkey PRIMARY KEY,
	source_id integer NOT NULL
);
COMMENT ON TABLE auren.source_partitions IS 'partitions of the sources'' tables, so that it is known whose went with something else. Not dumped: a refresh that fills a source writes them down';
COMMENT ON COLUMN auren.source_partitions.relation IS 'number of the partition';
COMMENT ON COLUMN auren.source_partitions.source_id IS 'number of the source';

-- Inserted by whoever writes, and summed up by the refresh, as deltas are.
CREATE TABLE auren.refusals (
	source_id     integer NOT NULL,
	tenant_id     text    COLLATE "C" NOT NULL,
	reason        text    COLLATE "C" NOT NULL,
	refused       bigint  NOT NULL,
	last_position bigint
);
COMMENT ON TABLE auren.refusals IS 'how much of a source is not a reading, and why: the rows of a source, tenant and reason are to be summed up';
COMMENT ON COLUMN auren.refusals.source_id IS 'number of the source';
COMMENT ON COLUMN auren.refusals.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.refusals.reason IS 'what could not be used: time, value, user (none is named), names (too long) or samples';
COMMENT ON COLUMN auren.refusals.refused IS 'how many; negative where rows of a table are gone';
COMMENT ON COLUMN auren.refusals.last_position IS 'global position of the last such event; NULL: rows of a table';

-- Neither index is unique, so that two sessions with the first reading of the same series never wait for each other: both
-- may add the row, with the same number.
CREATE TABLE auren.series (
	series_id   bigint  NOT NULL,
	source_id   integer NOT NULL,
	tenant_id   text    COLLATE "C" NOT NULL,
	user_id     text    COLLATE "C",
	device_type text    COLLATE "C",
	metric_type text    COLLATE "C"
);
CREATE TABLE auren.series_secret (
	secret bytea NOT NULL
);
INSERT INTO auren.series_secret SELECT pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));
COMMENT ON TABLE auren.series_secret IS 'what makes the numbers of series unforeseeable; a dump has none, and a database that is copied as a whole, by CREATE DATABASE ... TEMPLATE or in files, shares it';
COMMENT ON COLUMN auren.series_secret.secret IS '32 bytes';
CREATE INDEX series_names ON auren.series (tenant_id, user_id, metric_type, device_type, source_id);
CREATE INDEX series_ids ON auren.series (series_id);
COMMENT ON TABLE auren.series IS 'user, metric and device: the names that the numbers stand for in the rollups';
COMMENT ON INDEX auren.series_names IS 'finds a series by its names';
COMMENT ON INDEX auren.series_ids IS 'finds the names of a series';
COMMENT ON COLUMN auren.series.series_id IS 'number, a keyed hash of the names and the source';
COMMENT ON COLUMN auren.series.source_id IS 'source that its readings come from';
COMMENT ON COLUMN auren.series.tenant_id IS 'tenant';
COMMENT ON COLUMN auren.series.user_id IS 'user';
COMMENT ON COLUMN auren.series.device_type IS 'device';
COMMENT ON COLUMN auren.series.metric_type IS 'metric';

-- Rows are inserted and never updated, so a writer waits for nobody, and a server snapshot that stays open costs it nothing. VACUUM does not
-- truncate the table: a plan that is made while it has no pages would read all of it, and plans are kept.
CREATE TABLE auren.deltas (
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
-- one column, and no deduplication of entries: an insert costs less so
CREATE INDEX deltas_series ON auren.deltas (series_id) WITH (deduplicate_items = off);
COMMENT ON TABLE auren.deltas IS 'readings added and taken that no refresh has merged yet, by five minutes';
COMMENT ON INDEX auren.deltas_series IS 'finds what is pending of a series';
COMMENT ON COLUMN auren.deltas.series_id IS 'series';
COMMENT ON COLUMN auren.deltas.bucket IS 'start of the five minutes';
COMMENT ON COLUMN auren.deltas.summary IS 'what was added and taken';

-- What a statement with hundreds of readings leaves: packs of a page's quarter, in place of a row and an index entry for each.
CREATE TABLE auren.delta_packs (
	lot          integer NOT NULL,
	source_id    integer NOT NULL,
	first_series bigint  NOT NULL,
	last_series  bigint  NOT NULL,
	changes      integer NOT NULL,
	deltas       bytea   NOT NULL
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000);
CREATE INDEX delta_packs_lot ON auren.delta_packs (lot);
COMMENT ON TABLE auren.delta_packs IS 'as auren.deltas, many in a row';
COMMENT ON INDEX auren.delta_packs_lot IS 'finds the packs that may hold something of a series';
COMMENT ON COLUMN auren.delta_packs.lot IS 'share of the series that it is of, by the leading bits of their numbers';
COMMENT ON COLUMN auren.delta_packs.source_id IS 'source of all its series';
COMMENT ON COLUMN auren.delta_packs.first_series IS 'the least number of a series in it';
COMMENT ON COLUMN auren.delta_packs.last_series IS 'the greatest';
COMMENT ON COLUMN auren.delta_packs.changes IS 'how many deltas it holds';
COMMENT ON COLUMN auren.delta_packs.deltas IS 'series, bucket and summary of each, in their order';

-- The key begins with some days, a period, so that new readings touch only the part of the index that is theirs, however long the
-- history is. Whoever reads a series looks for it in each period that there is.
CREATE TABLE auren.rollup_5min (
	period    integer     NOT NULL,
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL,
	CONSTRAINT rollup_5min_pkey PRIMARY KEY (period, series_id, bucket)
) WITH (fillfactor = 90);
COMMENT ON TABLE auren.rollup_5min IS 'merged readings by five minutes';
COMMENT ON COLUMN auren.rollup_5min.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_5min.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_5min.bucket IS 'start';
COMMENT ON COLUMN auren.rollup_5min.summary IS 'summary of the readings';
CREATE TABLE auren.rollup_hourly (
	period    integer     NOT NULL,
	series_id bigint      NOT NULL,
	bucket    timestamptz NOT NULL,
	summary   bytea       NOT NULL,
	CONSTRAINT rollup_hourly_pkey PRIMARY KEY (period, series_id, bucket)
) WITH (fillfactor = 90);
COMMENT ON TABLE auren.rollup_hourly IS 'merged readings by hour';
COMMENT ON COLUMN auren.rollup_hourly.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_hourly.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_hourly.bucket IS 'start';
COMMENT ON COLUMN auren.rollup_hourly.summary IS 'summary of the readings';
CREATE TABLE auren.rollup_daily (
	period    integer     NOT NULL,
	series_id bigint NOT NULL,
	day       date   NOT NULL,
	summary   bytea  NOT NULL,
	CONSTRAINT rollup_daily_pkey PRIMARY KEY (period, series_id, day)
) WITH (fillfactor = 50); -- every refresh of a day changes its rows: in their pages, without the index
COMMENT ON TABLE auren.rollup_daily IS 'merged readings by day';
COMMENT ON COLUMN auren.rollup_daily.period IS 'days that it falls into';
COMMENT ON COLUMN auren.rollup_daily.series_id IS 'series';
COMMENT ON COLUMN auren.rollup_daily.day IS 'day';
COMMENT ON COLUMN auren.rollup_daily.summary IS 'summary of the readings';

CREATE TABLE auren.rollup_periods (
	level  integer NOT NULL,
	period integer NOT NULL,
	CONSTRAINT rollup_periods_pkey PRIMARY KEY (level, period)
);
COMMENT ON TABLE auren.rollup_periods IS 'periods in which the rollups have rows';
COMMENT ON COLUMN auren.rollup_periods.level IS '0: five minutes, 1: hours, 2: days';
COMMENT ON COLUMN auren.rollup_periods.period IS 'number of the period: days since 2000-01-01, divided by 1, 2 and 8';

CREATE TABLE auren.metric_settings (
	time_zone text NOT NULL
);
COMMENT ON TABLE auren.metric_settings IS 'a row when analytics.set_time_zone was called';
COMMENT ON COLUMN auren.metric_settings.time_zone IS 'zone of days and hours';
CREATE TABLE auren.retention (
	level          text        NOT NULL CONSTRAINT retention_pkey PRIMARY KEY,
	keep           interval,
	dropped_before timestamptz NOT NULL
);
COMMENT ON TABLE auren.retention IS 'levels whose old buckets are dropped (analytics.set_retention)';
COMMENT ON COLUMN auren.retention.level IS '5min, hourly or daily';
COMMENT ON COLUMN auren.retention.keep IS 'how long its buckets are kept; NULL: for ever';
COMMENT ON COLUMN auren.retention.dropped_before IS 'buckets before this are gone';
CREATE TABLE auren.refresh_runs (
	finished_at timestamptz NOT NULL,
	duration    interval    NOT NULL,
	changes     bigint      NOT NULL,
	buckets     bigint      NOT NULL
);
CREATE INDEX refresh_runs_finished ON auren.refresh_runs (finished_at);
COMMENT ON TABLE auren.refresh_runs IS 'the last refreshes';
COMMENT ON INDEX auren.refresh_runs_finished IS 'finds the last one';
COMMENT ON COLUMN auren.refresh_runs.finished_at IS 'when it was done';
COMMENT ON COLUMN auren.refresh_runs.duration IS 'how long it took';
COMMENT ON COLUMN auren.refresh_runs.changes IS 'changes that it merged';
COMMENT ON COLUMN auren.refresh_runs.buckets IS 'buckets that it wrote';

CREATE TRIGGER tell_sessions AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON analytics.sources
	FOR EACH STATEMENT EXECUTE FUNCTION auren.tell_sessions();
ALTER TABLE analytics.sources ENABLE ALWAYS TRIGGER tell_sessions;

CREATE FUNCTION auren.record_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_record_change';
COMMENT ON FUNCTION auren.record_change() IS 'trigger of a source''s tables: records the readings that were added and taken';
REVOKE ALL ON FUNCTION auren.record_change() FROM PUBLIC;

INSERT INTO analytics.sources VALUES
	(1, 'biometric.biometric_events', NULL, 'default', 'user_id', 'device_type', 'metric_type', 'value', 'timestamp', 'tenant_id', NULL, false,
	 'auren_events', pg_catalog.now(), NULL, false);
INSERT INTO auren.filled_sources VALUES (1);
-- ALWAYS: a subscriber of logical replication counts the rows that it gets.
CREATE TRIGGER auren_record_row AFTER INSERT OR UPDATE OR DELETE ON biometric.biometric_events FOR EACH ROW
	EXECUTE FUNCTION auren.record_change();
CREATE TRIGGER auren_record_statement AFTER INSERT OR UPDATE OR DELETE ON biometric.biometric_events FOR EACH STATEMENT
	EXECUTE FUNCTION auren.record_change();
CREATE TRIGGER auren_record_truncate BEFORE TRUNCATE ON biometric.biometric_events FOR EACH STATEMENT
	EXECUTE FUNCTION auren.record_change();
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_row;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_statement;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_truncate;

CREATE FUNCTION analytics.refresh_user_metrics() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_refresh_user_metrics';
COMMENT ON FUNCTION analytics.refresh_user_metrics() IS
'merges what changed since the last refresh into the rollups and returns how many changes that were; does nothing while another one is at work';
INSERT INTO auren.rights VALUES ('analytics.refresh_user_metrics', 'EXECUTE', '{admin}');
