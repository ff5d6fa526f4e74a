-- Months of the past and events in them, as appends of that time would have left them. For databases of a test's own.
SET client_min_messages = warning;
CREATE SCHEMA t;
CREATE FUNCTION t.old_month(p_month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	suffix text := to_char(p_month, 'YYYY_MM');
	model text := (SELECT max(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events.event_store'::regclass);
	definition text;
BEGIN
	EXECUTE format('CREATE TABLE events.event_store_%s (LIKE events.event_store INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', suffix);
	FOR definition IN SELECT replace(pg_get_indexdef(indexrelid), right(model, 7), suffix) FROM pg_index WHERE indrelid = ('events.' || model)::regclass ORDER BY indexrelid LOOP
		EXECUTE definition;
	END LOOP;
	EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events.event_store_%s FOR EACH STATEMENT EXECUTE FUNCTION auren.refuse_change()', suffix);
	EXECUTE format('CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON events.event_store_%s FOR EACH ROW EXECUTE FUNCTION auren.refuse_change()', suffix);
	EXECUTE format('ALTER TABLE events.event_store_%1$s ENABLE ALWAYS TRIGGER refuse_truncate, ENABLE ALWAYS TRIGGER refuse_row_change', suffix);
	EXECUTE format('ALTER TABLE events.event_store ATTACH PARTITION events.event_store_%s FOR VALUES FROM (%L) TO (%L)', suffix,
		p_month || ' 00:00:00+00', (p_month + interval '1 month')::date || ' 00:00:00+00');
	EXECUTE format('CREATE TABLE auren.event_tags_%s (LIKE auren.event_tags INCLUDING DEFAULTS)', suffix);
	SELECT replace(pg_get_indexdef(indexrelid), right(model, 7), suffix) INTO definition FROM pg_index WHERE indrelid = ('auren.event_tags_' || right(model, 7))::regclass;
	EXECUTE definition;
	EXECUTE format('ALTER TABLE auren.event_tags ATTACH PARTITION auren.event_tags_%s FOR VALUES IN (%L)', suffix, p_month);
END $$;
-- An event of p_at in p_tenant, with the id that its caller supplied or one that nobody did.
CREATE FUNCTION t.old_event(p_stream text, p_type text, p_data jsonb, p_at timestamptz, p_id uuid DEFAULT NULL, p_tenant text DEFAULT 'default') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	version bigint := (SELECT coalesce(max(stream_version), 0) + 1 FROM events.event_store WHERE tenant_id = p_tenant AND stream_id = p_stream);
	place bigint := nextval('auren.global_position_seq');
	month date := date_trunc('month', p_at AT TIME ZONE 'UTC')::date;
BEGIN
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, tenant_id, global_position)
	VALUES (coalesce(p_id, gen_random_uuid()), p_stream, version, p_type, p_data, p_at, p_tenant, place);
	INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) VALUES (p_tenant, p_stream, month, month)
	ON CONFLICT (tenant_id, stream_id) DO UPDATE SET last_month = excluded.last_month;
	IF p_id IS NOT NULL THEN
		INSERT INTO auren.supplied_ids VALUES (p_tenant, p_id, month, place);
	END IF;
	RETURN version;
END $$;
-- Runs a statement and tells how it failed.
CREATE FUNCTION t.try(p_sql text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	v_detail text;
	v_hint text;
BEGIN
	EXECUTE p_sql;
	RETURN NEXT 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN NEXT SQLSTATE || ': ' || SQLERRM;
	RETURN NEXT 'DETAIL: ' || v_detail;
	RETURN NEXT 'HINT: ' || v_hint;
END $$;
