"""States: folds against a bare scan of the same events, snapshots, many at once, memory."""

import re
import select

from cluster import BenchError
from report import Section, median, ratio
from suite_replay import fill_stream, measure, ms, runner

KINDS = ["latest", "merge", "sum", "count", "append"]
TYPES = 20
MANY_TYPES = 2000
# global_position is the last column, so a row is read to its end.
SCAN = ("SELECT count(global_position) FROM (SELECT event_id, stream_version, event_type, event_data, created_at, metadata, "
        "created_by, global_position FROM events.event_store WHERE tenant_id = 'default' AND stream_id = '{}' "
        "ORDER BY stream_version OFFSET 0) e")
LATEST_SQL = ("SELECT jsonb_object_agg(event_type, event_data) AS state FROM (SELECT DISTINCT ON (event_type) event_type, event_data "
              "FROM events.event_store WHERE tenant_id = 'default' AND stream_id = '{}' ORDER BY event_type, stream_version DESC) e")
DISTINCT_ON = f"SELECT pg_column_size(state) FROM ({LATEST_SQL}) s"
STATE = "SELECT pg_column_size(events.get_stream_state('{}'))"
STREAMS = 1000


def state(bench):
    """get_stream_state: by kind, with many types, from a snapshot, many at once, in memory."""
    section = Section("state", "States")
    section.text(
        bench.settings_line(clients=1, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
        "`pgbench -M prepared`. Every ratio is of the times within a round.")
    events = 10000 if bench.quick else 100000
    longest = events if bench.quick else 1000000
    bench.create("states")
    folds(bench, section, events)
    lengths = sorted({1000, events, longest})
    for length in lengths:
        fill_stream(bench, "states", f"kept:{length}", length, TYPES)
    snapshots(bench, section, lengths)
    many_at_once(bench, section)
    in_memory(bench, section, lengths)
    return section


def declare(bench, kind):
    """Gives the twenty types a reducer, or none: latest is what a type has that has none."""
    call = f"set_reducer('type_' || g, '{kind}')" if kind != "latest" else "drop_reducer('type_' || g)"
    types = f"generate_series(0, {TYPES - 1}) g"
    if kind == "latest":
        types += " WHERE EXISTS (SELECT FROM events.reducers WHERE event_type = 'type_' || g)"
    bench.cluster.psql(f"SELECT count(events.{call}) FROM {types};", "states")


def folds(bench, section, events):
    """Folds from the first event on, against the scan."""
    for types in (TYPES, MANY_TYPES):
        fill_stream(bench, "states", f"types:{types}", events, types)
    bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", "states")
    for types in (TYPES, MANY_TYPES):
        expect(bench, f"SELECT events.get_stream_state('types:{types}') = ({LATEST_SQL.format(f'types:{types}')})", "t")

    section.text(
        f"Folds of {events:,} events from the first one on (auren_events.snapshot_after = 0). The bare scan is the plain SELECT of "
        "the same events in order, drained in the server: `SELECT count(global_position) FROM (SELECT ... ORDER BY "
        "stream_version OFFSET 0) e`, the last column, so that each row is read to its end. States stay in the server too "
        "(pg_column_size). merge, sum, count and append are declared for all types; append keeps the last 1,000 of each. DISTINCT ON is the "
        "same state as latest in plain SQL.")

    table = []

    def compare(label, stream, contenders):
        runs = measure(bench, "states", {"scan": SCAN.format(stream), **{name: sql.format(stream) for name, sql in contenders.items()}})
        table.extend([f"{name}, {label}", ms(runs[name]), ms(runs["scan"]), ratio(runs["scan"], runs[name])] for name in contenders)

    for kind in KINDS:
        declare(bench, kind)
        if kind == "count":
            expect(bench, f"SELECT sum(value::bigint) FROM jsonb_each(events.get_stream_state('types:{TYPES}'))", str(events))
        if kind == "append":
            expect(bench, f"SELECT DISTINCT jsonb_array_length(value) FROM jsonb_each(events.get_stream_state('types:{TYPES}'))",
                   str(min(1000, events // TYPES)))
        contenders = {kind: STATE, **({"DISTINCT ON": DISTINCT_ON} if kind == "latest" else {})}
        expect(bench, "SELECT count(*) FROM events.snapshots", "0")
        compare(f"{TYPES} types", f"types:{TYPES}", contenders)
        if kind == "latest":
            compare(f"{MANY_TYPES:,} types", f"types:{MANY_TYPES}", contenders)
    declare(bench, "latest")
    section.table(f"A fold of {events:,} events", ["", "ms", "bare scan, ms", "x bare scan"], table)


def snapshots(bench, section, lengths):
    """States whose snapshot is there."""
    for length in lengths:
        bench.cluster.psql(f"SELECT events.take_snapshot('kept:{length}');", "states")
    bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", "states")
    expect(bench, "SELECT count(*) FROM events.snapshots WHERE usable AND 'kept:' || stream_version = stream_id", str(len(lengths)))
    section.text(f"After events.take_snapshot: get_stream_state of streams of other lengths, {TYPES} types, latest.")
    runs = measure(bench, "states", {length: STATE.format(f"kept:{length}") for length in lengths})
    section.table("A state whose snapshot is there", ["events", "ms", f"x {lengths[0]:,} events"],
                  [[f"{length:,}", ms(runs[length]), ratio(runs[lengths[0]], runs[length])] for length in lengths])


def many_at_once(bench, section):
    """1,000 states in one call and in 1,000."""
    bench.create("many")
    bench.fill("many", [], STREAMS, 10)
    ids = "{" + ",".join(f"user:{number + 1}" for number in range(STREAMS)) + "}"
    expect(bench, f"SELECT count(*) FROM events.get_stream_states('{ids}') WHERE state = events.get_stream_state(stream_id) "
           "AND stream_version = 10", str(STREAMS), "many")
    section.text(
        f"{STREAMS:,} streams of 10 events each, none with a snapshot. From the client: a call for each of {STREAMS:,} streams at random, each "
        "its own message, against one call whose rows are all sent; the ids are an array of the client's. In the server: "
        "the same from within one statement, the states' sizes added up, so that no message counts.")
    single = "\\set s random(1, 1000)\nSELECT events.get_stream_state('user:' || :s::text)"
    series = f"generate_series(1, {STREAMS}) g"
    calls = {
        "1,000 calls from the client": single,
        "get_stream_states, to the client": "SELECT * FROM events.get_stream_states(:ids)",
        "get_category_states, to the client": "SELECT * FROM events.get_category_states('user')",
        "1,000 calls in one statement": f"SELECT sum(pg_column_size(events.get_stream_state('user:' || g))) FROM {series}",
        "get_stream_states, in the server": "SELECT sum(pg_column_size(state)) FROM events.get_stream_states(:ids)",
        "get_category_states, in the server": "SELECT sum(pg_column_size(state)) FROM events.get_category_states('user')",
    }
    runs = bench.interleaved({name: runner(bench, "many", sql, {"ids": ids}) for name, sql in calls.items()})
    for run in runs["1,000 calls from the client"]:
        run.rate /= STREAMS
        run.cpu_us *= STREAMS
    client, within = runs["1,000 calls from the client"], runs["1,000 calls in one statement"]
    section.table(f"States of {STREAMS:,} streams",
                  ["", "ms", "CPU ms", "times as fast as 1,000 calls", "as calls in one statement"],
                  [[name, ms(own), median([run.cpu_us / 1000 for run in own]), ratio(own, client), ratio(own, within)]
                   for name, own in runs.items()])


def in_memory(bench, section, lengths):
    """What a backend has of its own after a fold, and at most meanwhile."""
    section.text(
        "Memory of a fold: what the backend has of its own (RssAnon of /proc/<pid>/status, which leaves shared buffers out) in a "
        "new session before it, after it, and the highest of looks every few milliseconds meanwhile; no snapshots. append keeps up to 1,000 "
        f"events of each of {TYPES} types.")
    table = []
    for kind in KINDS:
        declare(bench, kind)
        bench.cluster.psql("SELECT events.drop_snapshots();", "states")
        for length in lengths:
            table.append([f"{kind}, {length:,} events", *fold_memory(bench, f"kept:{length}")])
    declare(bench, "latest")
    section.table("Memory of a fold, MB", ["", "before", "highest", "after"], table)


def fold_memory(bench, stream):
    """RssAnon of a new session in MB: before it folds a stream, at most, after it."""
    session = bench.cluster.session("states")
    try:
        session.stdin.write("SET auren_events.snapshot_after = 0;\nSELECT pg_backend_pid();\n")
        session.stdin.flush()
        pid = int(session.stdout.readline())
        before = highest = private_memory(pid)
        session.stdin.write(STATE.format(stream) + ";\n")
        session.stdin.flush()
        while not select.select([session.stdout], [], [], 0.003)[0]:
            highest = max(highest, private_memory(pid))
        if not session.stdout.readline().strip().isdigit():
            raise BenchError(f"the fold of {stream} failed")
        after = private_memory(pid)
        return before, max(highest, after), after
    finally:
        session.stdin.close()
        session.wait(timeout=30)


def private_memory(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"^RssAnon:\s+(\d+) kB", file.read(), re.M)[1]) / 1024


def expect(bench, sql, result, database="states"):
    """Stops the suite where what is measured is not what it should be."""
    # A look at a long stream must not leave a snapshot for what is measured after it.
    found = bench.cluster.psql(f"SET auren_events.snapshot_after = 0; {sql};", database)
    if found != result:
        raise BenchError(f"{found} and not {result}: {sql[:200]}")
