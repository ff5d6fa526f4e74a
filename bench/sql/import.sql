-- An import beside other ways in: the same rows for each contender, under streams and ids of its own.

CREATE TABLE bench.import_rows (contender text, n bigint, event_id uuid, stream_id text, stream_version bigint, event_type text, event_data jsonb, created_at timestamptz, created_by text);
CREATE TABLE bench.import_arrays (contender text, batch bigint, event_ids uuid[], stream_ids text[], types text[], data jsonb[], times timestamptz[], creators text[]);
ALTER TABLE bench.import_arrays ALTER event_ids SET STORAGE EXTERNAL, ALTER stream_ids SET STORAGE EXTERNAL, ALTER types SET STORAGE EXTERNAL,
	ALTER data SET STORAGE EXTERNAL, ALTER times SET STORAGE EXTERNAL, ALTER creators SET STORAGE EXTERNAL;

-- Rows over twelve months from 2024-01 on, and what the contenders read: arrays of p_size events, files of as many rows, a table of another store.
CREATE FUNCTION bench.make_import(p_events bigint, p_streams integer, p_size integer, p_files text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	batch bigint;
BEGIN
	INSERT INTO bench.import_rows
		SELECT c, n, gen_random_uuid(), c || ':' || n % p_streams, n / p_streams + 1, 'imported_' || n % 20,
		       jsonb_build_object('n', n, 'device', 'watch-' || n % 97, 'value', 60 + n % 40), '2024-01-01 00:00+00'::timestamptz + n * (interval '365 days' / p_events), 'bench'
		FROM unnest('{copy,append,import,store}'::text[]) c, generate_series(0, p_events - 1) n ORDER BY c, n;
	INSERT INTO bench.import_arrays
		SELECT contender, n / p_size, array_agg(event_id ORDER BY n), array_agg(stream_id ORDER BY n), array_agg(event_type ORDER BY n), array_agg(event_data ORDER BY n),
		       array_agg(created_at ORDER BY n), array_agg(created_by ORDER BY n)
		FROM bench.import_rows WHERE contender IN ('append', 'import') GROUP BY contender, n / p_size;
	CREATE INDEX ON bench.import_arrays (contender, batch);
	CREATE TABLE bench.old_events AS
		SELECT event_id, stream_id, stream_version, event_type, event_data, created_at, created_by FROM bench.import_rows WHERE contender = 'store' ORDER BY n;
	FOR batch IN 0 .. (p_events - 1) / p_size LOOP
		EXECUTE format('COPY (SELECT event_id, stream_id, stream_version, event_type, event_data, created_at, created_by, 100000000000 + n FROM bench.import_rows '
			'WHERE contender = ''copy'' AND n >= %s AND n < %s ORDER BY n) TO %L', batch * p_size, (batch + 1) * p_size, p_files || batch);
	END LOOP;
END $$;

CREATE PROCEDURE bench.by_copy(p_files text, p_batches bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR batch IN 0 .. p_batches - 1 LOOP
		EXECUTE format('COPY bench_floor.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, created_by, global_position) FROM %L', p_files || batch);
		COMMIT;
	END LOOP;
END $$;

CREATE PROCEDURE bench.by_append(p_batches bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR k IN 0 .. p_batches - 1 LOOP
		PERFORM events.append_events(b.stream_ids, b.types, b.data, 'bench', p_event_ids => b.event_ids) FROM bench.import_arrays b WHERE b.contender = 'append' AND b.batch = k;
		COMMIT;
	END LOOP;
END $$;

CREATE PROCEDURE bench.by_import(p_batches bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR k IN 0 .. p_batches - 1 LOOP
		PERFORM events.import_events(b.stream_ids, b.types, b.data, b.event_ids, b.times, b.creators) FROM bench.import_arrays b WHERE b.contender = 'import' AND b.batch = k;
		COMMIT;
	END LOOP;
END $$;
