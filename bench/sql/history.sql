-- A store with a past, for suites and tests: months full of events, brought in by events.import_events.

CREATE SCHEMA IF NOT EXISTS bench;

/*
 * Imports p_events events, spread evenly over p_months months of which p_first is the first one, a thousand in a transaction. Each stream has events
 * in all months; event i is of stream 'past:(i mod p_streams)' and has the id that bench.past_id(i) gives, so that a call which was ended can be made
 * again. The months are the past: the last one ends before now.
 */
CREATE FUNCTION bench.past_id(p_event bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT ('ba570000-0000-4000-8000-' || lpad(to_hex(p_event), 12, '0'))::uuid
$$;
CREATE PROCEDURE bench.make_past(p_first date, p_months integer, p_events bigint, p_streams integer DEFAULT 10000) LANGUAGE plpgsql AS $$
DECLARE
	began  CONSTANT timestamptz := p_first::timestamp AT TIME ZONE 'UTC';
	length CONSTANT interval := ((p_first + p_months * interval '1 month')::timestamp AT TIME ZONE 'UTC' - began) / p_events;
BEGIN
	FOR batch IN 0 .. p_events - 1 BY 1000 LOOP
		PERFORM events.import_events(array_agg('past:' || i % p_streams ORDER BY i), array_agg('past_' || i % 20 ORDER BY i),
			array_agg(jsonb_build_object('n', i, 'device', 'watch-' || i % 97, 'value', 60 + i % 40) ORDER BY i), array_agg(bench.past_id(i) ORDER BY i),
			array_agg(began + i * length ORDER BY i))
		FROM generate_series(batch, least(batch + 999, p_events - 1)) i;
		COMMIT;
	END LOOP;
END $$;
