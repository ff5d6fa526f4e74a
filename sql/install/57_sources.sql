-- Sources: tables and events that readings come from; zone, retention, jobs; charts.

CREATE FUNCTION analytics.attach_source(
	p_table         regclass,
	p_user_column   text,
	p_device_column text,
	p_metric_column text,
	p_value_column  text,
	p_time_column   text,
	p_tenant_column text DEFAULT NULL
) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_source';
COMMENT ON FUNCTION analytics.attach_source(regclass, text, text, text, text, text, text) IS
'makes a table, partitioned or not, a source of readings by naming its columns (device: NULL for none; tenant: NULL for this session''s); what it holds is merged by the next refresh, and the metrics have it at once; returns its number';
INSERT INTO auren.rights VALUES ('analytics.attach_source', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.detach_source(p_table regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_source';
COMMENT ON FUNCTION analytics.detach_source(regclass) IS 'ends what analytics.attach_source began: the metrics no longer count its readings, the table stays as it is';
INSERT INTO auren.rights VALUES ('analytics.detach_source', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.attach_events(
	p_event_type    text,
	p_metrics       jsonb,
	p_user_field    text DEFAULT NULL,
	p_device_field  text DEFAULT 'device_type',
	p_time_field    text DEFAULT 'timestamp',
	p_samples_field text DEFAULT NULL,
	p_once          boolean DEFAULT false
) RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_events';
COMMENT ON FUNCTION analytics.attach_events(text, jsonb, text, text, text, text, boolean) IS
'makes events of a type, of this session''s tenant, a source of readings: p_metrics says which field of the data is which metric; the user is a field or the stream''s id after its category, the time a field or when the event was appended; p_samples_field is an array whose elements are samples; a field that begins with / is a JSON pointer; p_once: readings of the same user, device, metric, time and value count once';
INSERT INTO auren.rights VALUES ('analytics.attach_events', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.detach_events(p_event_type text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_events';
COMMENT ON FUNCTION analytics.detach_events(text) IS 'ends what analytics.attach_events began for this session''s tenant';
INSERT INTO auren.rights VALUES ('analytics.detach_events', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.rebuild_source(p_source integer) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_rebuild_source';
COMMENT ON FUNCTION analytics.rebuild_source(integer) IS 'has the next refresh count a source anew; until then the views read the source itself';
INSERT INTO auren.rights VALUES ('analytics.rebuild_source', 'EXECUTE', '{admin}');

CREATE FUNCTION auren.follow_tables() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_follow_tables';
COMMENT ON FUNCTION auren.follow_tables() IS 'event trigger: follows partitions of sources that are attached, detached or dropped, and sources that are dropped';
REVOKE ALL ON FUNCTION auren.follow_tables() FROM PUBLIC;
CREATE EVENT TRIGGER auren_events_tables_change ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE SCHEMA', 'ALTER FOREIGN TABLE', 'CREATE FOREIGN TABLE', 'DROP TABLE') EXECUTE FUNCTION auren.follow_tables();
CREATE EVENT TRIGGER auren_events_tables_drop ON ddl_command_start
	WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION auren.follow_tables();
CREATE EVENT TRIGGER auren_events_tables_gone ON sql_drop
	EXECUTE FUNCTION auren.follow_tables();
ALTER EVENT TRIGGER auren_events_tables_change ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_tables_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER auren_events_tables_gone ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auren_events_tables_change IS 'keeps metrics exact when partitions of a source come and go, and the triggers of the extension as they are';
COMMENT ON EVENT TRIGGER auren_events_tables_drop IS 'keeps metrics exact when partitions of a source are dropped';
COMMENT ON EVENT TRIGGER auren_events_tables_gone IS 'ends sources whose table is gone';

CREATE FUNCTION analytics.set_time_zone(p_time_zone text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_time_zone';
COMMENT ON FUNCTION analytics.set_time_zone(text) IS 'sets the zone of days and hours (UTC at first) and makes their rollups anew';
INSERT INTO auren.rights VALUES ('analytics.set_time_zone', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.set_retention(p_level text, p_keep interval) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_set_retention';
COMMENT ON FUNCTION analytics.set_retention(text, interval) IS 'how long buckets of a level (5min, hourly, daily) are kept; NULL: for ever. analytics.apply_retention drops them';
INSERT INTO auren.rights VALUES ('analytics.set_retention', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.apply_retention() RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_apply_retention';
COMMENT ON FUNCTION analytics.apply_retention() IS 'drops the buckets older than analytics.set_retention keeps, and returns how many; readings stay where they are';
INSERT INTO auren.rights VALUES ('analytics.apply_retention', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.schedule(
	p_refresh   text DEFAULT '0 * * * *',
	p_months    text DEFAULT '15 3 * * *',
	p_retention text DEFAULT '30 3 * * *'
) RETURNS TABLE (job text, schedule text, command text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_schedule';
COMMENT ON FUNCTION analytics.schedule(text, text, text) IS
'has pg_cron refresh the metrics, make the events'' months and apply retention at these times (NULL: not); calling it again changes the times';
INSERT INTO auren.rights VALUES ('analytics.schedule', 'EXECUTE', '{admin}');

CREATE FUNCTION analytics.metric_series(
	p_user_id     text,
	p_metric_type text,
	p_from        timestamptz,
	p_to          timestamptz,
	p_step        interval DEFAULT '1 hour',
	p_device_type text DEFAULT NULL,
	p_time_zone   text DEFAULT NULL
) RETURNS TABLE (bucket timestamptz, reading_count bigint, avg_value double precision, min_value double precision, max_value double precision,
                 stddev_value double precision, p50_value double precision, p95_value double precision, value_count bigint, sum_value double precision)
	LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'auren_metric_series';
COMMENT ON FUNCTION analytics.metric_series(text, text, timestamptz, timestamptz, interval, text, text) IS
'a user''s metric by steps from a time up to another, of one device or all; steps of whole days are days of a zone, the session''s unless one is named; a step without readings is a row of NULLs';
INSERT INTO auren.rights VALUES ('analytics.metric_series', 'EXECUTE', '{reader}');

CREATE FUNCTION analytics.sparkline(p_values double precision[]) RETURNS text
	LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'auren_sparkline';
COMMENT ON FUNCTION analytics.sparkline(double precision[]) IS 'values as a line of bars from the least to the greatest; NULL is a gap';
INSERT INTO auren.rights VALUES ('analytics.sparkline', 'EXECUTE', '{reader}');
