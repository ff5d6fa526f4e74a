"""Reading a stream's events: against the plain SELECT of the same rows."""

import contenders
from report import Section, median, ratio
from suite_months import behind

COLUMNS = "event_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position"
PLAIN = (f"SELECT {COLUMNS} FROM events.event_store WHERE tenant_id = 'default' AND stream_id = :stream "
         "ORDER BY stream_version")
NAMES = {"ours": "replay_stream", "plain": "plain SELECT", "plpgsql": "PL/pgSQL, RETURN QUERY",
         "state": "get_stream_state"}
LENGTHS = [10, 1000, 100000]
MONTHS = 60

PLPGSQL = f"""
CREATE FUNCTION bench.replay(p_stream_id text) RETURNS SETOF events.event_store LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT * FROM events.event_store WHERE tenant_id = 'default' AND stream_id = p_stream_id ORDER BY stream_version;
END $$;"""


def fill_stream(bench, database, stream, count, types=1):
    """A stream of so many events of the bench's payload, appended by the store, spread over so many types."""
    data = (contenders.PAYLOAD.replace(":s::text", "'1'").replace(":v::text", "g::text").replace(":hr::text", "(40 + g % 141)::text")
            .replace(":hrv::text", "(20 + g % 101)::text"))
    bench.cluster.psql(
        f"SELECT count(*) FROM (SELECT array_agg('type_' || g % {types} ORDER BY g) AS types, array_agg({data} ORDER BY g) AS data "
        f"FROM generate_series(1, {count}) g GROUP BY g / 10000) b, LATERAL events.append_events(array_fill('{stream}'::text, "
        "ARRAY[cardinality(b.types)]), b.types, b.data, 'bench');", database)


def measure(bench, database, statements):
    """Rates of prepared statements, one client, interleaved."""
    scripts = {name: bench.cluster.write_script(sql + ";\n") for name, sql in statements.items()}

    def run(name):
        return bench.undisturbed(lambda: bench.cluster.pgbench(scripts[name], database, 1, seconds=bench.seconds,
                                                              settings={"auren_events.snapshot_after": "0"}))

    return bench.interleaved({name: lambda name=name: run(name) for name in scripts})


def replay(bench):
    """replay_stream against the plain SELECT: whole streams, first rows, sixty months."""
    section = Section("replay", "Replay")
    section.text(bench.settings_line(clients=1, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 "`pgbench -M prepared`; every row goes to the client. The plain SELECT reads events.event_store itself by tenant and "
                 "stream, ORDER BY stream_version. Ratio: of the rates, within a round.")
    bench.create("replay")
    lengths = LENGTHS[:2] if bench.quick else LENGTHS
    for length in lengths:
        fill_stream(bench, "replay", f"length:{length}", length)
    bench.cluster.psql(PLPGSQL + "SELECT bench.clean_pending(); VACUUM ANALYZE;", "replay")

    table = []
    for length in lengths:
        stream = f"'length:{length}'"
        runs = measure(bench, "replay", {
            "ours": f"SELECT * FROM events.replay_stream({stream})", "plain": PLAIN.replace(":stream", stream)})
        table.append([f"{length:,}", median([run.rate * length for run in runs["ours"]]),
                      median([run.rate * length for run in runs["plain"]]), ratio(runs["ours"], runs["plain"])])
    section.table("Whole streams, rows per second", ["events", "replay_stream", "plain SELECT", "ratio"], table)

    longest = f"'length:{lengths[-1]}'"
    cursor = "BEGIN;\nDECLARE c CURSOR FOR {};\nFETCH 1 FROM c;\nCOMMIT"
    reads = {"ours": f"SELECT * FROM events.replay_stream({longest})", "plain": PLAIN.replace(":stream", longest),
             "plpgsql": f"SELECT * FROM bench.replay({longest})"}
    table = []
    for how, form in (("LIMIT 1", "{} LIMIT 1"), ("cursor, FETCH 1", cursor)):
        runs = measure(bench, "replay", {name: form.format(sql) for name, sql in reads.items()})
        for name in reads:
            table.append([f"{NAMES[name]}, {how}", median([1000 / run.rate for run in runs[name]]),
                          ratio(runs["plain"], runs[name])])
    section.table(f"First row of {lengths[-1]:,}, ms", ["", "ms", "time / plain SELECT's"], table)

    bench.create("sixty")
    bench.cluster.psql(behind(3 if bench.quick else MONTHS), "sixty")
    bench.create("one")
    for database in ("one", "sixty"):
        fill_stream(bench, database, "few:1", 10)
    # In the other database the stream lies in two months: half of it in the one before.
    bench.cluster.psql("""
SET session_replication_role = replica;
INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, created_by, global_position)
	SELECT gen_random_uuid(), 'few:2', v, 'type_0', (SELECT event_data FROM events.event_store WHERE stream_id = 'few:1' LIMIT 1),
	       date_trunc('month', now()) - CASE WHEN v <= 5 THEN interval '1 day' ELSE interval '-1 second' END, 'bench', nextval('events.global_position_seq')
	FROM generate_series(1, 10) v;
INSERT INTO events.stream_rows (tenant_id, stream_id, first_month, last_month)
	SELECT 'default', 'few:2', date_trunc('month', now() - interval '1 month'), date_trunc('month', now());
SELECT bench.clean_pending(); VACUUM ANALYZE;""", "sixty")
    bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", "one")
    # The stream is a parameter, as it is for an application: the server then plans the plain SELECT at each call.
    statements = {"ours": "SELECT * FROM events.replay_stream({})", "state": "SELECT events.get_stream_state({})",
                  "plain": PLAIN.replace(":stream", "{}")}
    scripts = {name: {stream: bench.cluster.write_script(f"\\set s {stream[-1]}\n" + sql.format("'few:' || :s::text") + ";\n")
                      for stream in ("few:1", "few:2")} for name, sql in statements.items()}
    places = {("one", "few:1"): "one month", ("sixty", "few:1"): "sixty, in one of them", ("sixty", "few:2"): "sixty, in two"}
    runs = bench.interleaved({
        (name, place): lambda name=name, place=place: bench.undisturbed(
            lambda: bench.cluster.pgbench(scripts[name][place[1]], place[0], 1, seconds=bench.seconds))
        for name in statements for place in places})
    table = []
    for name in statements:
        one = runs[name, ("one", "few:1")]
        for place, words in places.items():
            own = runs[name, place]
            locks = bench.cluster.psql("BEGIN;\n" + statements[name].format("'" + place[1] + "'") + " \\g /dev/null\n"
                                       "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid() "
                                       "AND relation NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace);",
                                       place[0])
            table.append([f"{NAMES[name]}, {words}", median([1000 / run.rate for run in own]), ratio(one, own),
                          ratio(own, runs["plain", place]), int(locks)])
    section.table("A stream of 10 events among sixty months", ["", "ms", "time / one month's", "times as fast as the plain SELECT", "relation locks"], table)
    return section
