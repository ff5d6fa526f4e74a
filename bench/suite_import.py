"""Moving in: imports beside COPY and appends of the same rows, and the past that the suites get."""

import os
import select
import time

import contenders
from cluster import BenchError, process_seconds
from report import Section, median
from suite_state import private_memory

STREAMS = 1000
SIZES = (100, 1000, 10000)
NAMES = {
    "copy": "COPY, a file a batch",
    "append": "append_events, caller's ids",
    "import": "import_events",
    "store": "import_store, comparison included",
}


def imports(bench):
    """import_events and import_store beside COPY into an identical table and beside append_events; a past of sixty months."""
    events = 20_000 if bench.quick else 100_000
    section = Section("import", "Moving in")
    section.text(
        bench.settings_line(payload=False, events=f"{events:,}", streams=f"{STREAMS:,}", clients=1, synchronous_commit="off",
                            rounds=bench.rounds) + "\n\n"
        "The same rows of twelve months, under streams and ids of each contender's own; a batch is a transaction. COPY reads files of the server into a "
        "copy of the store's table with its indexes, with versions, positions and times supplied. append_events and import_events get arrays that lie in "
        "a table; the events of append_events are of now. import_store reads a table of another store, with all that it does: plan, check, import, "
        "comparison. Each round has a new database, the contenders taking turns. Memory is the most that the backend had of its own (RssAnon).")
    for size in SIZES:
        runs = {name: [] for name in NAMES}
        for turn in range(bench.rounds):
            one_round(bench, events, size, turn, runs)
        base = median([run[0] for run in runs["append"]])
        section.table(f"Batches of {size:,}", ["", "events a second", "lowest", "highest", "x append_events", "CPU us an event", "MB at most"],
                      [row(NAMES[name], own, events, base) for name, own in runs.items()])
    section.text(past(bench))
    return section


def row(name, runs, events, base):
    seconds = [run[0] for run in runs]
    return [name, events / median(seconds), events / max(seconds), events / min(seconds), base / median(seconds),
            median([run[1] for run in runs]) * 1e6 / events, median([run[2] for run in runs])]


def one_round(bench, events, size, turn, runs):
    database = f"import_{size}_{turn}"
    files = os.path.join(bench.cluster.home, "import_")
    batches = -(-events // size)
    bench.create(database, schemas=())
    bench.cluster.psql(
        "SELECT events.import_events(array_agg('first:1'::text), array_agg('first'::text), array_agg('1'::jsonb), array_agg(gen_random_uuid()), array_agg(t)) "
        "FROM generate_series('2024-01-01 00:00+00'::timestamptz, '2024-12-31', '1 month'::interval) t; SELECT bench.copy_store('bench_floor');", database)
    bench.cluster.psql(contenders.read_sql("import.sql"), database)
    bench.cluster.psql(f"SELECT bench.make_import({events}, {STREAMS}, {size}, '{files}'); VACUUM ANALYZE;", database)
    calls = {"copy": f"bench.by_copy('{files}', {batches})", "append": f"bench.by_append({batches})", "import": f"bench.by_import({batches})",
             "store": f"events.import_store('bench.old_events', p_batch => {size})"}
    names = list(NAMES)
    for name in names[turn % len(names):] + names[:turn % len(names)]:
        bench.cluster.psql("SELECT bench.clean_pending(); CHECKPOINT;", database)
        runs[name].append(timed(bench, database, calls[name]))
    for name in ("append", "import", "store"):
        stored = bench.cluster.psql(f"SELECT count(*) FROM events.event_store WHERE stream_id LIKE '{name}:%';", database)
        if int(stored) != events:
            raise BenchError(f"{stored} of {events} events are there by {name}")
    bench.check_versions(database)
    for batch in range(batches):
        os.remove(files + str(batch))
    bench.cluster.psql(f"DROP DATABASE {database};")


def timed(bench, database, call):
    """Seconds of a CALL, its backend's CPU seconds and its own memory at most, in MB."""
    session = bench.cluster.session(database)
    try:
        session.stdin.write("SET client_min_messages = warning; SET synchronous_commit = off;\nSELECT pg_backend_pid();\n")
        session.stdin.flush()
        pid = int(session.stdout.readline())
        highest, spent, begun = private_memory(pid), process_seconds(pid)[0], time.monotonic()
        session.stdin.write(f"CALL {call};\nSELECT 'ended';\n")
        session.stdin.flush()
        while not select.select([session.stdout], [], [], 0.01)[0]:
            highest = max(highest, private_memory(pid))
        took = time.monotonic() - begun
        line = session.stdout.readline().strip()
        if line != "ended":
            raise BenchError(f"{call}: {line}")
        return took, process_seconds(pid)[0] - spent, highest
    finally:
        session.stdin.close()
        session.wait(timeout=60)


def past(bench):
    """How long bench.make_past takes for sixty months, and whether they are there."""
    events = 100_000 if bench.quick else 1_000_000
    bench.create("past", schemas=())
    bench.cluster.psql(contenders.read_sql("history.sql"), "past")
    took, spent, highest = timed(bench, "past", f"bench.make_past('2019-01-01', 60, {events})")
    found = bench.cluster.psql("SELECT count(*), count(DISTINCT date_trunc('month', created_at)) FROM events.event_store WHERE stream_id LIKE 'past:%';", "past")
    if found != f"{events}|60":
        raise BenchError(f"the past is {found}")
    bench.cluster.psql("DROP DATABASE past;")
    return (f"A past of sixty months with {events:,} events in 10,000 streams, as the suites get it (bench.make_past, by import_events in batches of 1,000): "
            f"{took:.0f} s, {events / took:,.0f} events a second, CPU {spent:.0f} s, {highest:.0f} MB at most.")
