"""Reading a stream's events: against the plain SELECT of the same rows."""

import contenders
from cluster import BenchError
from report import Section, median, ratio
from suite_months import behind

COLUMNS = ["event_id", "stream_version", "event_type", "event_data", "created_at", "metadata", "created_by", "global_position"]
# {} is the stream's id: a parameter, or a literal where a statement takes none.
OURS = "SELECT * FROM events.replay_stream({})"
PLAIN = (f"SELECT {', '.join(COLUMNS)} FROM events.event_store WHERE tenant_id = 'default' AND stream_id = {{}} "
         "ORDER BY stream_version")
PLPGSQL = "SELECT * FROM bench.replay({})"
STATE = "SELECT events.get_stream_state({})"
EMPTY = "SELECT pg_backend_pid()"
# Asks for every column: a subquery's column that nobody asks for is not read.
DRAIN = f"SELECT {', '.join(f'count({column})' for column in COLUMNS)} FROM ({{}} OFFSET 0) e"

FUNCTION = """
CREATE FUNCTION bench.replay(p_stream_id text) RETURNS SETOF events.event_store LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT * FROM events.event_store WHERE tenant_id = 'default' AND stream_id = p_stream_id ORDER BY stream_version;
END $$;"""

LENGTHS = [10, 1000, 100000]
LONGEST_TIMES = 4
MONTHS = 60


def fill_stream(bench, database, stream, count, types=1):
    """A stream of so many events of the bench's payload, appended by the store, spread over so many types."""
    data = (contenders.PAYLOAD.replace(":s::text", "'1'").replace(":v::text", "g::text").replace(":hr::text", "(40 + g % 141)::text")
            .replace(":hrv::text", "(20 + g % 101)::text"))
    bench.cluster.psql(
        f"SELECT count(*) FROM (SELECT array_agg('type_' || g % {types} ORDER BY g) AS types, array_agg({data} ORDER BY g) AS data "
        f"FROM generate_series(1, {count}) g GROUP BY g / 10000) b, LATERAL events.append_events(array_fill('{stream}'::text, "
        "ARRAY[cardinality(b.types)]), b.types, b.data, 'bench');", database)


def runner(bench, database, sql, defines=None, settings=None):
    """A function that runs a prepared statement for one run's time, one client."""
    script = bench.cluster.write_script(sql + ";\n")
    return lambda: bench.undisturbed(lambda: bench.cluster.pgbench(
        script, database, 1, seconds=bench.seconds, defines=defines,
        settings={"auren_events.snapshot_after": "0", **(settings or {})}))


def measure(bench, database, statements, times=1):
    """Rates of prepared statements, one client, interleaved; in so many times the rounds."""
    runs = {name: [] for name in statements}
    for _ in range(1 if bench.quick else times):
        more = bench.interleaved({name: runner(bench, database, sql) for name, sql in statements.items()})
        for name in runs:
            runs[name] += more[name]
    return runs


def ms(runs):
    """Median time of a call."""
    return median([1000 / run.rate for run in runs])


def check_rows(bench, database, stream, count):
    """The rate of a read that loses or changes events is no figure, nor is one that took another way."""
    ours, plain = OURS.format(f"'{stream}'"), PLAIN.format(f"'{stream}'")
    found = bench.cluster.psql(
        f"SELECT count(*), count(*) FILTER (WHERE stream_version <> place) FROM (SELECT *, row_number() OVER () AS place FROM ({ours}) e) e; "
        f"SELECT count(*) FROM (({plain}) EXCEPT ALL ({ours})) e;", database).split()
    if found != [f"{count}|0", "0"]:
        raise BenchError(f"replay_stream and the plain SELECT of {stream} in {database} differ: {found}")
    if "Custom Scan (replay_stream)" not in bench.cluster.psql("EXPLAIN " + ours, database):
        raise BenchError(f"replay_stream does not stream in {database}")


def replay(bench):
    """replay_stream against the plain SELECT: whole streams, first rows, sixty months."""
    section = Section("replay", "Replay")
    section.text(
        bench.settings_line(clients=1, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
        "`pgbench -M prepared`. The plain SELECT reads the same eight columns of events.event_store itself, by tenant and "
        "stream, ORDER BY stream_version. Every ratio is of the times, or of the backend's CPU, within a round. That both "
        "give the same rows in the same order is checked first.")
    whole_streams(bench, section)
    first_rows(bench, section)
    many_months(bench, section)
    return section


def whole_streams(bench, section):
    bench.create("replay")
    lengths = LENGTHS[:2] if bench.quick else LENGTHS
    for length in lengths:
        fill_stream(bench, "replay", f"length:{length}", length)
    bench.cluster.psql(FUNCTION + "SELECT bench.clean_pending(); VACUUM ANALYZE;", "replay")
    for length in lengths:
        check_rows(bench, "replay", f"length:{length}", length)

    section.text("Whole streams: *to the client* sends it every row; *in the server* counts every column of the same rows "
                 "(`SELECT count(event_id), count(stream_version), ... FROM (... OFFSET 0) e`), so that one row is sent. The "
                 "stream's id is written into the statement, so that the plain SELECT is planned once and for this stream: "
                 "nothing is cheaper for it. A run of the longest stream holds a few calls only, and sessions differ by a tenth: it gets "
                 f"{LONGEST_TIMES} times the rounds.")
    for caption, form in (("to the client", "{}"), ("in the server", DRAIN)):
        table = []
        for length in lengths:
            runs = measure(bench, "replay", {"ours": form.format(OURS.format(f"'length:{length}'")),
                                              "plain": form.format(PLAIN.format(f"'length:{length}'"))},
                           LONGEST_TIMES if length == LENGTHS[-1] else 1)
            table.append([f"{length:,}", median([run.rate * length for run in runs["ours"]]),
                          median([run.rate * length for run in runs["plain"]]), ratio(runs["ours"], runs["plain"]),
                          ratio(runs["plain"], runs["ours"], lambda run: run.cpu_us)])
        section.table(f"Whole streams {caption}, rows per second",
                      ["events", "replay_stream", "plain SELECT", "x plain SELECT", "x, by CPU"], table)


def first_rows(bench, section):
    length = LENGTHS[1] if bench.quick else LENGTHS[2]
    section.text(f"The first row of {length:,}: LIMIT 1; and BEGIN, DECLARE c CURSOR, FETCH 1, COMMIT, which are four messages and "
                 "plan anew each time. The PL/pgSQL function does RETURN QUERY of the plain SELECT. The empty call is SELECT "
                 "pg_backend_pid(), for what of the time is the call's alone.")
    cursor = "BEGIN;\nDECLARE c CURSOR FOR {};\nFETCH 1 FROM c;\nCOMMIT"
    reads = {"replay_stream": OURS, "plain SELECT": PLAIN, "PL/pgSQL, RETURN QUERY": PLPGSQL, "empty call": EMPTY}
    table = []
    for how, form in (("LIMIT 1", "{} LIMIT 1"), ("cursor, FETCH 1", cursor)):
        runs = measure(bench, "replay", {name: form.format(sql.format(f"'length:{length}'")) for name, sql in reads.items()})
        table += [[f"{name}, {how}", ms(runs[name]), ratio(runs["plain SELECT"], runs[name]),
                   median([run.cpu_us for run in runs[name]])] for name in reads]
    section.table(f"First row of {length:,}", ["", "ms", "x plain SELECT's time", "CPU us"], table)


# In the database of many months, few:2 lies in two of them: half of its events are in the one before this.
TWO_MONTHS = """
SET session_replication_role = replica;
INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, created_by, global_position)
	SELECT gen_random_uuid(), 'few:2', e.stream_version, e.event_type, e.event_data,
	       date_trunc('month', now()) + CASE WHEN e.stream_version <= 5 THEN interval '-1 day' ELSE interval '1 second' END,
	       'bench', nextval('auren.global_position_seq')
	FROM events.event_store e WHERE e.stream_id = 'few:1';
INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month)
	SELECT 'default', 'few:2', date_trunc('month', now() - interval '1 month'), date_trunc('month', now());
"""


def many_months(bench, section):
    months = 3 if bench.quick else MONTHS
    bench.create("one")
    bench.create("many")
    bench.cluster.psql(behind(months), "many")
    for database in ("one", "many"):
        fill_stream(bench, database, "few:1", 10)
    bench.cluster.psql(TWO_MONTHS, "many")
    for database in ("one", "many"):
        bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", database)
    places = {("one", "few:1"): "one month", ("many", "few:1"): f"{months}, in one of them", ("many", "few:2"): f"{months}, in two"}
    for database, stream in places:
        check_rows(bench, database, stream, 10)

    section.text(
        f"A stream of 10 events in a store as a first append leaves it, and in one with {months} months behind it (1,000 other "
        "streams have an event in each): all ten in this month, or half of them in the month before. The stream's id "
        "is a parameter. The plain SELECT has no time to go by and opens every month: as the server plans it by default, which is once, "
        "from the sixth call on; and planned each time (plan_cache_mode = force_custom_plan), which is what a statement that is "
        "not prepared costs. The empty call is what of each time is the call's alone. Locks: of tables and indexes outside the "
        "catalog, in a transaction that runs the prepared statement for the eleventh time.")
    calls = {"replay_stream": (OURS, {}), "get_stream_state": (STATE, {}), "plain SELECT": (PLAIN, {}),
             "plain SELECT, planned each time": (PLAIN, {"plan_cache_mode": "force_custom_plan"}), "empty call": (EMPTY, {})}
    runs = bench.interleaved({
        (name, place): runner(bench, place[0], sql.format(":stream"), {"stream": place[1]}, settings)
        for name, (sql, settings) in calls.items() for place in places if sql != EMPTY or place[0] == "many" and place[1] == "few:1"})
    table = []
    for name, (sql, settings) in calls.items():
        for place, words in places.items():
            if (name, place) not in runs:
                continue
            own, one = runs[name, place], runs.get((name, ("one", "few:1")))
            plain = runs["plain SELECT", place]
            table.append([name if sql == EMPTY else f"{name}, {words}", ms(own), ratio(one, own) if one else None, ratio(own, plain),
                          median([run.cpu_us for run in own]), ratio(one, own, lambda run: 1 / run.cpu_us) if one else None,
                          ratio(plain, own, lambda run: run.cpu_us),
                          None if sql == EMPTY else locks(bench, place[0], sql, place[1], settings)])
    section.table(f"A stream of 10 events among {months} months",
                  ["", "ms", "x one month's", "times as fast as the plain SELECT", "CPU us", "CPU x one month's",
                   "plain SELECT's CPU / this", "relation locks"], table)


def locks(bench, database, sql, stream, settings):
    """Relation locks that a transaction holds after a prepared statement whose plan is settled."""
    call = f"EXECUTE call('{stream}') \\g /dev/null\n"
    prepare = "".join(f"SET {name} = {value};\n" for name, value in settings.items())
    prepare += f"PREPARE call(text) AS {sql.format('$1')};\n"
    return int(bench.cluster.psql(
        prepare + call * 10 + "BEGIN;\n" + call + "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid() "
        "AND relation NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace);\nCOMMIT;", database))
