"""States: folds against a bare scan of the same events, snapshots, many at once, memory."""

import re
import time

from report import Section, median, ratio
from suite_replay import fill_stream, measure

KINDS = ["merge", "sum", "count", "append"]
SCAN = ("SELECT count(global_position), sum(length(event_type)) FROM (SELECT event_id, stream_version, event_type, event_data, "
        "created_at, metadata, created_by, global_position FROM events.event_store WHERE tenant_id = 'default' AND "
        "stream_id = '{}' ORDER BY stream_version OFFSET 0) e")
DISTINCT_ON = ("SELECT jsonb_object_agg(event_type, event_data) FROM (SELECT DISTINCT ON (event_type) event_type, event_data FROM "
               "events.event_store WHERE tenant_id = 'default' AND stream_id = '{}' ORDER BY event_type, stream_version DESC) e")
STATE = "SELECT pg_column_size(events.get_stream_state('{}'))"


def state(bench):
    """get_stream_state: by kind, with many types, from a snapshot, many at once, in memory."""
    events = 10000 if bench.quick else 100000
    million = events if bench.quick else 1000000
    section = Section("state", "States")
    section.text(bench.settings_line(clients=1, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 f"Folds of {events:,} events from the first one on (auren_events.snapshot_after = 0). The bare scan reads every column of the "
                 "same events in order within the server. Ratio: of the times, within a round.")
    bench.create("states")
    for types in (20, 2000):
        fill_stream(bench, "states", f"types:{types}", events, types)
    bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", "states")

    def compare(stream, contenders):
        statements = {"bare scan": SCAN.format(stream), **{name: sql.format(stream) for name, sql in contenders.items()}}
        runs = measure(bench, "states", statements)
        return [[name, median([1000 / run.rate for run in runs[name]]), ratio(runs["bare scan"], runs[name])] for name in statements]

    table = [[f"{name}, 20 types", *row] for name, *row in compare("types:20", {"latest": STATE, "DISTINCT ON": DISTINCT_ON})]
    table += [[f"{name}, 2,000 types", *row] for name, *row in compare("types:2000", {"latest": STATE, "DISTINCT ON": DISTINCT_ON})]
    for kind in KINDS:
        bench.cluster.psql(f"SELECT count(events.set_reducer('type_' || g, '{kind}')) FROM generate_series(0, 19) g;", "states")
        table += [row for row in compare("types:20", {kind: STATE}) if row[0] != "bare scan"]
    bench.cluster.psql("SELECT count(events.drop_reducer('type_' || g)) FROM generate_series(0, 19) g;", "states")
    section.table(f"{events:,} events, ms", ["", "ms", "time / bare scan's"], table)

    lengths = sorted({1000, events, million})
    for length in lengths:
        fill_stream(bench, "states", f"kept:{length}", length, 20)
        bench.cluster.psql(f"SELECT events.take_snapshot('kept:{length}');", "states")
    bench.cluster.psql("SELECT bench.clean_pending(); VACUUM ANALYZE;", "states")
    runs = measure(bench, "states", {length: STATE.format(f"kept:{length}") for length in lengths})
    section.table("A state whose snapshot is there, ms", ["events", "ms", "time / 1,000 events'"],
                  [[f"{length:,}", median([1000 / run.rate for run in runs[length]]), ratio(runs[1000], runs[length])] for length in lengths])

    bench.create("many")
    bench.fill("many", [], 1000, 10)
    single = bench.cluster.write_script("\\set s random(1, 1000)\nSELECT events.get_stream_state('user:' || :s);\n")
    scripts = {"one call of get_stream_states": "SELECT count(state) FROM events.get_stream_states((SELECT array_agg('user:' || g) FROM generate_series(1, 1000) g))",
               "one page of get_category_states": "SELECT count(state) FROM events.get_category_states('user')",
               "1,000 calls in one statement": "SELECT count(events.get_stream_state('user:' || g)) FROM generate_series(1, 1000) g"}
    paths = {name: bench.cluster.write_script(sql + ";\n") for name, sql in scripts.items()}
    runs = bench.interleaved({**{name: lambda name=name: bench.undisturbed(lambda: bench.cluster.pgbench(paths[name], "many", 1, seconds=bench.seconds)) for name in scripts},
                              "1,000 calls of get_stream_state": lambda: bench.undisturbed(lambda: bench.cluster.pgbench(single, "many", 1, seconds=bench.seconds))})
    calls = runs["1,000 calls of get_stream_state"]
    table = [["1,000 calls of get_stream_state", median([1e6 / run.rate for run in calls]), 1.0]]
    table += [[name, median([1000 / run.rate for run in runs[name]]), ratio(runs[name], calls, lambda run: run.rate) * 1000] for name in scripts]
    section.table("States of 1,000 streams of 10 events, ms", ["", "ms", "times as fast as 1,000 calls"], table)

    table = []
    if million > events:
        for kind in ["latest", *KINDS]:
            bench.cluster.psql(f"SELECT count(events.set_reducer('type_' || g, '{kind}')) FROM generate_series(0, 19) g; SELECT events.drop_snapshots();", "states")
            table.append([kind, *(memory(bench, "states", f"kept:{length}") for length in (1000, million))])
        section.table("Memory of a fold: the backend's own (RssAnon) after it in a new session, MB", ["", "1,000 events", f"{million:,} events"], table)
    return section


def memory(bench, database, stream):
    """Private memory of a backend, in MB, after it folded a stream."""
    session = bench.cluster.session(database)
    session.stdin.write(f"SET auren_events.snapshot_after = 0;\nSELECT 'pid ' || pg_backend_pid();\nSELECT 'length ' || length(events.get_stream_state('{stream}')::text);\n")
    session.stdin.flush()
    pid = None
    for line in session.stdout:
        if line.startswith("pid "):
            pid = int(line[4:])
        if line.startswith("length "):
            break
    time.sleep(0.05)
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        used = int(re.search(r"^RssAnon:\s+(\d+) kB", file.read(), re.M)[1]) / 1024
    session.stdin.close()
    session.wait(timeout=30)
    return used
