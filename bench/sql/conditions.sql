-- What one writes without conditions of the store, two ways, each into its own copy of the store's table, which has the column of tags. Both append one
-- event with a tag, unless an event with the tag and one of the types comes after a position. They return the event's position.

-- A GIN index on the tags; the look and the insert are made safe by the isolation level, SERIALIZABLE, whose lost races the client repeats.
SELECT bench.copy_store('bench_gin');
CREATE SEQUENCE bench_gin.positions;
SELECT format('CREATE INDEX ON %s USING gin (tags)', inhrelid::regclass) FROM pg_inherits WHERE inhparent = 'bench_gin.event_store'::regclass \gexec

CREATE FUNCTION bench_gin.append_if(p_types text[], p_tag text, p_after bigint, p_stream_id text, p_event_type text, p_event_data jsonb)
	RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_position bigint;
BEGIN
	IF EXISTS (SELECT FROM bench_gin.event_store WHERE tags @> ARRAY[p_tag] AND event_type = ANY (p_types) AND global_position > p_after) THEN
		RAISE 'an event matches' USING ERRCODE = 'ZE008';
	END IF;
	INSERT INTO bench_gin.event_store (event_id, stream_id, stream_version, event_type, event_data, created_by, global_position, tags)
		SELECT gen_random_uuid(), p_stream_id, coalesce(max(stream_version), 0) + 1, p_event_type, p_event_data, 'bench', nextval('bench_gin.positions'), ARRAY[p_tag]
		FROM bench_gin.event_store WHERE tenant_id = 'default' AND stream_id = p_stream_id
		RETURNING global_position INTO v_position;
	RETURN v_position;
END
$$;

-- A table of tags with a B-tree; the look and the insert are made safe by a lock on it, which lets one writer in at a time.
SELECT bench.copy_store('bench_lock');
CREATE SEQUENCE bench_lock.positions;
CREATE TABLE bench_lock.tags (tag text COLLATE "C", global_position bigint, event_type text COLLATE "C", PRIMARY KEY (tag, global_position));

CREATE FUNCTION bench_lock.append_if(p_types text[], p_tag text, p_after bigint, p_stream_id text, p_event_type text, p_event_data jsonb)
	RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_position bigint;
BEGIN
	LOCK TABLE bench_lock.tags IN EXCLUSIVE MODE;
	IF EXISTS (SELECT FROM bench_lock.tags WHERE tag = p_tag AND event_type = ANY (p_types) AND global_position > p_after) THEN
		RAISE 'an event matches' USING ERRCODE = 'ZE008';
	END IF;
	INSERT INTO bench_lock.event_store (event_id, stream_id, stream_version, event_type, event_data, created_by, global_position, tags)
		SELECT gen_random_uuid(), p_stream_id, coalesce(max(stream_version), 0) + 1, p_event_type, p_event_data, 'bench', nextval('bench_lock.positions'), ARRAY[p_tag]
		FROM bench_lock.event_store WHERE tenant_id = 'default' AND stream_id = p_stream_id
		RETURNING global_position INTO v_position;
	INSERT INTO bench_lock.tags VALUES (p_tag, v_position, p_event_type);
	RETURN v_position;
END
$$;

-- Racers claim names: 1 for the one that comes through, 0 for one that is told that the name is taken.
CREATE FUNCTION bench.claim(p_name text, p_stream text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	PERFORM events.append_if(jsonb_build_object('tags', jsonb_build_array(p_name)), NULL, ARRAY[p_stream], '{claimed}', ARRAY['{}'::jsonb], p_tags := ARRAY[jsonb_build_array(p_name)]);
	RETURN 1;
EXCEPTION WHEN SQLSTATE 'ZE008' THEN
	RETURN 0;
END
$$;
CREATE FUNCTION bench.claim_gin(p_name text, p_stream text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	PERFORM bench_gin.append_if('{claimed}', p_name, 0, p_stream, 'claimed', '{}');
	RETURN 1;
EXCEPTION WHEN SQLSTATE 'ZE008' THEN
	RETURN 0;
END
$$;
CREATE FUNCTION bench.claim_lock(p_name text, p_stream text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	PERFORM bench_lock.append_if('{claimed}', p_name, 0, p_stream, 'claimed', '{}');
	RETURN 1;
EXCEPTION WHEN SQLSTATE 'ZE008' THEN
	RETURN 0;
END
$$;
