-- What clients do while a month is dropped. Every call goes by one function, so that an error is written down and its client goes on.

CREATE TABLE bench.clients_stop (stop boolean NOT NULL);
INSERT INTO bench.clients_stop VALUES (false);
CREATE TABLE bench.errors (at timestamptz NOT NULL, call text NOT NULL, sqlstate text NOT NULL, message text NOT NULL);

CREATE FUNCTION bench.do_call(p_call text, p_stream text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE p_call
		WHEN 'append' THEN PERFORM events.append_event(p_stream, 'past_1', jsonb_build_object('n', 0, 'device', 'watch-1', 'value', 60));
		WHEN 'state' THEN PERFORM events.get_stream_state(p_stream);
		WHEN 'replay' THEN PERFORM count(*) FROM events.replay_stream(p_stream);
		-- several locks, and some of them for a while
		WHEN 'several' THEN
			PERFORM events.get_stream_state(p_stream);
			PERFORM pg_sleep(0.005);
			PERFORM events.append_event(p_stream, 'past_2', '{}');
			PERFORM count(*) FROM events.read_all(0, 100);
	END CASE;
END $$;

-- Raises an error of its own when the clients are to stop: pgbench keeps what it has written of the calls until it ends by itself.
CREATE FUNCTION bench.call(p_call text, p_stream text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	was text;
BEGIN
	IF (SELECT stop FROM bench.clients_stop) THEN
		RAISE EXCEPTION 'the clients stop';
	END IF;
	BEGIN
		PERFORM bench.do_call(p_call, p_stream);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS was = RETURNED_SQLSTATE;
		INSERT INTO bench.errors VALUES (clock_timestamp(), p_call, was, SQLERRM);
	END;
END $$;

/*
 * A month of the past with p_events events: a tenth of them imported, with ids that a caller gave, the others as appends would have left them, with ids
 * of the store's own. Event i is of stream 'past:(i mod p_streams)'. The indexes are made when the rows are there.
 */
CREATE PROCEDURE bench.make_month(p_first date, p_events bigint, p_streams integer) LANGUAGE plpgsql AS $$
DECLARE
	began    CONSTANT timestamptz := p_first::timestamp AT TIME ZONE 'UTC';
	length   CONSTANT interval := ((p_first + interval '1 month')::timestamp AT TIME ZONE 'UTC' - began) / p_events;
	imported CONSTANT bigint := greatest(p_events / 10, p_streams);
	month    CONSTANT text := 'events.event_store_' || to_char(p_first, 'YYYY_MM');
	indexes  text[];
	name     text;
BEGIN
	FOR batch IN 0 .. imported - 1 BY 1000 LOOP
		PERFORM events.import_events(array_agg('past:' || i % p_streams ORDER BY i), array_agg('past_' || i % 20 ORDER BY i),
			array_agg(jsonb_build_object('n', i, 'device', 'watch-' || i % 97, 'value', 60 + i % 40) ORDER BY i), array_agg(bench.past_id(i) ORDER BY i),
			array_agg(began + i * length ORDER BY i))
		FROM generate_series(batch, least(batch + 999, imported - 1)) i;
		COMMIT;
	END LOOP;
	SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid) INTO indexes FROM pg_index WHERE indrelid = month::regclass;
	FOR name IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = month::regclass LOOP
		EXECUTE 'DROP INDEX ' || name;
	END LOOP;
	SET LOCAL session_replication_role = replica;
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, created_by, global_position)
	SELECT (lpad(to_hex((extract(epoch FROM began + i * length) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid, 'past:' || i % p_streams,
		i / p_streams + 1, 'past_' || i % 20, jsonb_build_object('n', i, 'device', 'watch-' || i % 97, 'value', 60 + i % 40), began + i * length, 'bench',
		nextval('auren.global_position_seq')
	FROM generate_series(imported, p_events - 1) i;
	FOREACH name IN ARRAY indexes LOOP
		EXECUTE name;
	END LOOP;
	COMMIT;
END $$;
