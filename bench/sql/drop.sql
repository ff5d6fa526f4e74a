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
