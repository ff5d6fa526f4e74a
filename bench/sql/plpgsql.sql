-- What one writes without the extension: two PL/pgSQL appends, each into its own copy of the store.
-- Both draw the position from a sequence and the id from gen_random_uuid(), as such functions do.

SELECT bench.copy_store('bench_max');
CREATE SEQUENCE bench_max.positions;
CREATE SEQUENCE bench_max.errors;

CREATE FUNCTION bench_max.append_event(p_stream_id text, p_event_type text, p_event_data jsonb, p_created_by text)
	RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	v_version bigint;
	v_id      uuid;
BEGIN
	SELECT coalesce(max(stream_version), 0) + 1 INTO v_version FROM bench_max.event_store
		WHERE tenant_id = 'default' AND stream_id = p_stream_id;
	INSERT INTO bench_max.event_store (event_id, stream_id, stream_version, event_type, event_data, created_by,
	                                   global_position)
		VALUES (gen_random_uuid(), p_stream_id, v_version, p_event_type, p_event_data, p_created_by,
		        nextval('bench_max.positions'))
		RETURNING event_id INTO v_id;
	RETURN v_id;
END
$$;

-- The same for a stream with several writers: a lost race is counted instead of ending the client.
CREATE FUNCTION bench_max.try_append_event(p_stream_id text, p_event_type text, p_event_data jsonb, p_created_by text)
	RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	RETURN bench_max.append_event(p_stream_id, p_event_type, p_event_data, p_created_by);
EXCEPTION WHEN unique_violation THEN
	PERFORM nextval('bench_max.errors');
	RETURN NULL;
END
$$;

SELECT bench.copy_store('bench_head');
CREATE SEQUENCE bench_head.positions;
-- Room for a new version of each row in its own page: an update then touches no index.
CREATE TABLE bench_head.heads (
	tenant_id text COLLATE "C" NOT NULL,
	stream_id text COLLATE "C" NOT NULL,
	version   bigint NOT NULL,
	PRIMARY KEY (tenant_id, stream_id)
) WITH (fillfactor = 50);

CREATE FUNCTION bench_head.append_event(p_stream_id text, p_event_type text, p_event_data jsonb, p_created_by text)
	RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	v_version bigint;
	v_id      uuid;
BEGIN
	INSERT INTO bench_head.heads AS h (tenant_id, stream_id, version) VALUES ('default', p_stream_id, 1)
		ON CONFLICT (tenant_id, stream_id) DO UPDATE SET version = h.version + 1
		RETURNING version INTO v_version;
	INSERT INTO bench_head.event_store (event_id, stream_id, stream_version, event_type, event_data, created_by,
	                                    global_position)
		VALUES (gen_random_uuid(), p_stream_id, v_version, p_event_type, p_event_data, p_created_by,
		        nextval('bench_head.positions'))
		RETURNING event_id INTO v_id;
	RETURN v_id;
END
$$;
