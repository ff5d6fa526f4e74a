-- What the other tests use: a schema of helpers, so that they print the same on any day and on every major.
SET client_min_messages = warning;
CREATE SCHEMA t;
-- Runs a statement and tells how it failed: SQLSTATE, message, DETAIL, HINT; 'ok' when it did not.
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
	IF v_detail <> '' THEN
		RETURN NEXT 'DETAIL: ' || v_detail;
	END IF;
	IF v_hint <> '' THEN
		RETURN NEXT 'HINT: ' || v_hint;
	END IF;
END $$;
-- The SQLSTATE alone.
CREATE FUNCTION t.state(p_sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE p_sql;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
-- The same as columns; all are NULL when it did not fail.
CREATE FUNCTION t.error_of(p_sql text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE p_sql;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
-- A stream's events on one line.
CREATE FUNCTION t.show(p_stream text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(stream_version || ':' || event_type || '=' || event_data, ' ' ORDER BY stream_version)
	FROM events.replay_stream(p_stream)
$$;
-- Whether versions are 1..n without a hole in every stream of every tenant, with positions and times in their order.
CREATE FUNCTION t.dense() RETURNS boolean LANGUAGE sql AS $$
	SELECT coalesce(bool_and(ok), true) FROM (
		SELECT stream_version = row_number() OVER w
		       AND global_position > coalesce(lag(global_position) OVER w, 0)
		       AND created_at >= coalesce(lag(created_at) OVER w, '-infinity') AS ok
		FROM events.event_store WINDOW w AS (PARTITION BY tenant_id, stream_id ORDER BY stream_version)) v
$$;
GRANT USAGE ON SCHEMA t TO PUBLIC;
SELECT extname FROM pg_extension WHERE extname = 'auren_events';
