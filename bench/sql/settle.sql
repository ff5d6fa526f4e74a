-- The same events in a month of the store, in a plain table with its indexes, and in tables whose columns and indexes are those of Marten and of
-- message-db. The month's first day is :first.

CREATE SCHEMA bench_settle;

-- :events events of 27 days, in order of time, of streams some of which have many: what every table is filled from.
CREATE UNLOGGED TABLE bench_settle.drawn AS
	WITH numbered AS (
		SELECT g, (power(('x' || substr(md5(g::text), 1, 7))::bit(28)::int / 268435456.0, 2) * 10000)::int AS stream, ('x' || substr(md5(g::text), 8, 4))::bit(16)::int AS noise
		FROM generate_series(1, :events) g)
	SELECT g, stream, row_number() OVER (PARTITION BY stream ORDER BY g) AS version, CASE WHEN g % 50 = 0 THEN 'mode_switched' ELSE 'biometric_received' END AS type,
		format('{"user_id": "%s", "device_type": "oura_ring", "metric_type": "heart_rate", "value": %s, "unit": "bpm", "hrv": %s, "quality": "good", "reading": %s, '
			'"source": {"app": "webhook", "firmware": "2.4.1"}, "reason": "exercise_detected", "confidence": 0.97}', stream, 40 + noise % 141, 20 + noise % 101, 100000000000 + g)::jsonb AS data,
		md5('c' || g)::uuid AS correlation, :'first'::timestamptz + interval '1 day' + g * (interval '27 days' / :events) AS at
	FROM numbered ORDER BY g;
ALTER TABLE bench_settle.drawn ADD PRIMARY KEY (g);
-- an id as the store makes it: milliseconds, microseconds, random bits
CREATE FUNCTION bench_settle.id_of(p_event bigint, p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
	SELECT (lpad(to_hex((extract(epoch FROM p_at) * 1000000)::bigint / 1000), 12, '0') || '7' || lpad(to_hex((extract(epoch FROM p_at) * 1000000)::bigint % 1000), 3, '0')
		|| '8' || substr(md5('i' || p_event), 1, 15))::uuid
$$;

CREATE TABLE bench_settle.plain (LIKE events.event_store INCLUDING DEFAULTS);
CREATE UNIQUE INDEX ON bench_settle.plain (tenant_id, stream_id, stream_version);
CREATE UNIQUE INDEX ON bench_settle.plain (event_id, tenant_id);
CREATE UNIQUE INDEX ON bench_settle.plain (global_position);
CREATE INDEX ON bench_settle.plain (created_at);
CREATE INDEX ON bench_settle.plain (tenant_id, event_type, created_at);
CREATE INDEX ON bench_settle.plain USING gin (event_data jsonb_path_ops);
CREATE INDEX ON bench_settle.plain USING gin (metadata jsonb_path_ops);

CREATE TABLE bench_settle.mt_streams (
	id varchar PRIMARY KEY, type varchar, version bigint, timestamp timestamptz NOT NULL DEFAULT now(), snapshot jsonb, snapshot_version integer,
	created timestamptz NOT NULL DEFAULT now(), tenant_id varchar DEFAULT '*DEFAULT*', is_archived boolean DEFAULT false);
CREATE TABLE bench_settle.mt_events (
	seq_id bigint PRIMARY KEY, id uuid NOT NULL, stream_id varchar REFERENCES bench_settle.mt_streams, version bigint NOT NULL, data jsonb NOT NULL, type varchar(500) NOT NULL,
	timestamp timestamptz NOT NULL DEFAULT now(), tenant_id varchar DEFAULT '*DEFAULT*', mt_dotnet_type varchar, correlation_id varchar, is_archived boolean DEFAULT false);
CREATE UNIQUE INDEX ON bench_settle.mt_events (stream_id, version);
CREATE UNIQUE INDEX ON bench_settle.mt_events (id);

CREATE FUNCTION bench_settle.category(p_stream text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT split_part(p_stream, '-', 1) $$;
CREATE TABLE bench_settle.messages (
	global_position bigserial PRIMARY KEY, position bigint NOT NULL, time timestamp NOT NULL DEFAULT now(), stream_name text NOT NULL, type text NOT NULL, data jsonb, metadata jsonb,
	id uuid NOT NULL DEFAULT gen_random_uuid());
CREATE UNIQUE INDEX ON bench_settle.messages (id);
CREATE UNIQUE INDEX ON bench_settle.messages (stream_name, position);
CREATE INDEX ON bench_settle.messages (bench_settle.category(stream_name), global_position, bench_settle.category(metadata ->> 'correlationStreamName'));

-- A batch of drawn events into each of the tables, whose names and columns are given.
CREATE PROCEDURE bench_settle.put(p_first bigint, p_last bigint) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, global_position)
	SELECT bench_settle.id_of(g, at), 'user:' || stream, version, type, data, jsonb_build_object('correlation', correlation), at, 'bench', 100000000000 + g
	FROM bench_settle.drawn WHERE g BETWEEN p_first AND p_last ORDER BY g;
	INSERT INTO bench_settle.plain (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, global_position)
	SELECT bench_settle.id_of(g, at), 'user:' || stream, version, type, data, jsonb_build_object('correlation', correlation), at, 'bench', 100000000000 + g
	FROM bench_settle.drawn WHERE g BETWEEN p_first AND p_last ORDER BY g;
	INSERT INTO bench_settle.mt_streams (id, type, version, timestamp, created)
	SELECT 'user:' || stream, 'user', max(version), max(at), min(at) FROM bench_settle.drawn WHERE g BETWEEN p_first AND p_last GROUP BY stream
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, timestamp = excluded.timestamp;
	INSERT INTO bench_settle.mt_events (seq_id, id, stream_id, version, data, type, timestamp, mt_dotnet_type, correlation_id)
	SELECT g, bench_settle.id_of(g, at), 'user:' || stream, version, data, type, at, 'Readings.BiometricReceived, Readings', correlation
	FROM bench_settle.drawn WHERE g BETWEEN p_first AND p_last ORDER BY g;
	INSERT INTO bench_settle.messages (global_position, position, time, stream_name, type, data, metadata, id)
	SELECT g, version - 1, at, 'user-' || stream, type, data, jsonb_build_object('correlation', correlation), bench_settle.id_of(g, at)
	FROM bench_settle.drawn WHERE g BETWEEN p_first AND p_last ORDER BY g;
END $$;
-- A thousand events a transaction; before each some of its last events are put and taken back, as appends that lost a race leave them.
CREATE PROCEDURE bench_settle.fill(p_events bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR begin_at IN 1 .. p_events BY 1000 LOOP
		BEGIN
			CALL bench_settle.put(begin_at + 980, begin_at + 999);
			RAISE EXCEPTION USING ERRCODE = 'ZZ001';
		EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
			NULL;
		END;
		CALL bench_settle.put(begin_at, begin_at + 999);
		COMMIT;
	END LOOP;
END $$;
