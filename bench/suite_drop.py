"""A month of events that goes while clients append and read: how long their calls take, and what is carried how fast."""

import glob
import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field

import contenders
from cluster import BenchError
from report import Section

EVENTS = 10_000_000
PAST_STREAMS = 10_000
LIVE_STREAMS = 1000
CLIENTS = 8
AROUND = 10  # seconds with the clients alone, before and after
LONG_WAIT = 100  # milliseconds; the server logs every wait for a lock that takes longer

# Half of the streams have lost events, or are about to; appends and "several" go to the first thousand of them, so that the others keep the
# number of events that they have.
CLIENT = r"""
\set kind random(1, 100)
\set live random(1, {live})
\set any random(0, {past} - 1)
\if :kind <= 30
SELECT bench.call('append', 'user:' || :live);
\elif :kind <= 40
SELECT bench.call('append', 'past:' || :live);
\elif :kind <= 60
SELECT bench.call('state', 'user:' || :live);
\elif :kind <= 75
SELECT bench.call('state', 'past:' || :any);
\elif :kind <= 85
SELECT bench.call('replay', 'user:' || :live);
\elif :kind <= 95
SELECT bench.call('replay', 'past:' || :any);
\else
SELECT bench.call('several', 'past:' || :live);
\endif
"""
PHASES = {"checking": "states", "carrying states": "states", "carrying ids": "ids", "carrying readings": "ids", "recording": "the record", "dropping": "locks and drop"}
PARTS = ["before", "states", "ids", "the record", "locks and drop", "after"]


@dataclass
class Watched:
    """What happened to the clients while something was dropped beside them; times are seconds since 1970."""
    calls: list = field(default_factory=list)  # (start, end)
    begins: dict = field(default_factory=dict)  # part -> time
    progress: list = field(default_factory=list)  # (time, phase, done)
    longest_wait: float = 0.0  # seconds, of the samples
    errors: list = field(default_factory=list)
    logged: int = 0  # waits for a lock longer than LONG_WAIT


def drop(bench):
    """events.drop_months_before beside eight clients, a plain DROP TABLE beside the same, and what reading a carried state costs."""
    events = int(os.environ.get("DROP_EVENTS", 100_000 if bench.quick else EVENTS))
    around = 3 if bench.quick else AROUND
    section = Section("drop", "A month that is dropped beside clients")
    bench.cluster.configure({"deadlock_timeout": f"{LONG_WAIT}ms", "log_lock_waits": "on"})
    bench.cluster.stop()
    bench.cluster.start()
    section.text(
        bench.settings_line(payload=False, clients=CLIENTS, events_of_the_month=f"{events:,}", streams_in_it=f"{past_streams(events):,}",
                            live_streams=f"{LIVE_STREAMS:,}", synchronous_commit="on") + "\n\n"
        f"Eight clients append (40 % of the calls), read states (35 %), replay (20 %) and do several of it in one transaction (5 %), half of it on "
        f"streams that have events in the month. After {around} s `events.drop_months_before` runs beside them, and {around} s after its end they stop. "
        "The latency of each call is kept; a call counts for the last part that it overlaps. "
        f"The server logs each wait for a lock that is longer than {LONG_WAIT} ms.")
    bench.cluster.psql("SET client_min_messages = warning;")
    ours = watch(bench, "ours", events, around, "CALL events.drop_months_before('{after}', '{{unsealed:*}}');")
    section.table("events.drop_months_before", HEAD, parts_table(ours, PARTS))
    section.text(outcome(ours))
    section.text(speed(bench, ours, events))
    section.table("One client, streams without an event since", ["", "per second", "CPU us"], state_costs(bench, "ours", events))
    bench.cluster.psql("DROP DATABASE ours;")
    fewer = min(events, 500_000)
    plain = watch(bench, "plain", fewer, around, "SET auren_events.allow_drop = on; DROP TABLE events.event_store_{suffix};")
    plain.begins = {"before": plain.begins["before"], "locks and drop": plain.begins["states"], "after": plain.begins["after"]}
    section.table(f"A plain DROP TABLE of the month (of {fewer:,} events), the same clients", HEAD, parts_table(plain, ["before", "locks and drop", "after"]))
    section.text(outcome(plain))
    bench.cluster.psql("DROP DATABASE plain;")
    return section


HEAD = ["", "seconds", "calls", "per second", "median ms", "99.9 % ms", "longest ms"]


def past_streams(events):
    """Streams of the month: a thousand events each, and at least twice as many streams as clients append to."""
    return max(min(PAST_STREAMS, events // 50), 2 * LIVE_STREAMS)


def fill(bench, database, events):
    """A month of the past, a tenth of it with ids that a caller gave, and live streams."""
    first, after = contenders.months(3, ahead=False)[2]
    bench.create(database)
    bench.cluster.psql(contenders.read_sql("history.sql"), database)
    bench.cluster.psql(contenders.read_sql("drop.sql"), database)
    bench.cluster.psql(f"CALL bench.make_month('{first}', {events}, {past_streams(events)});", database)
    bench.fill(database, [], LIVE_STREAMS, max(20, events // past_streams(events) // 10))
    bench.cluster.psql("CHECKPOINT;", database)
    return {"first": first, "after": after, "suffix": first[:7].replace("-", "_")}


def watch(bench, database, events, around, statement):
    """Drops a month of a new database beside clients."""
    month = fill(bench, database, events)
    watched = Watched()
    bench.cluster.psql("SELECT pg_stat_reset();", database)
    log = os.path.getsize(bench.cluster.log)
    clients = start_clients(bench, database, past_streams(events))
    stop = threading.Event()
    sampler = threading.Thread(target=sample, args=(bench, database, watched, stop))
    sampler.start()
    try:
        watched.begins["before"] = time.time() + 1  # until all are there
        time.sleep(around + 1)
        watched.begins["states"] = time.time()
        bench.cluster.psql(statement.format(**month), database)
        watched.begins["after"] = time.time()
        time.sleep(around)
    finally:
        stop.set()
        sampler.join()
        bench.cluster.psql("UPDATE bench.clients_stop SET stop = true;", database)
        output = clients.communicate(timeout=120)[1]
    if output.count("the clients stop") < CLIENTS:
        raise BenchError(f"pgbench: {output[-2000:]}")
    watched.calls = read_calls(bench, database)
    watched.errors = bench.cluster.psql("SELECT sqlstate, call, count(*), min(message) FROM bench.errors GROUP BY 1, 2 ORDER BY 1, 2;",
                                        database).splitlines()
    with open(bench.cluster.log, encoding="utf-8", errors="replace") as file:
        file.seek(log)
        watched.logged = len(re.findall(r"still waiting for", file.read()))
    for phase, part in PHASES.items():
        seen = [when for when, what, _ in watched.progress if what == phase]
        if seen and part not in watched.begins:
            watched.begins[part] = seen[0]
    return watched


def start_clients(bench, database, past):
    """pgbench until the function that it calls says stop; it writes a line for each call."""
    for path in log_files(bench, database):
        os.unlink(path)
    script = bench.cluster.write_script(CLIENT.format(live=LIVE_STREAMS, past=past))
    return subprocess.Popen(
        [bench.cluster.tool("pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", "36000", "-f", script, "-l",
         f"--log-prefix={database}_calls", database], env=bench.cluster.env, cwd=bench.cluster.home, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def log_files(bench, database):
    return glob.glob(os.path.join(bench.cluster.home, f"{database}_calls.*"))


def read_calls(bench, database):
    """Start and end of each call."""
    calls = []
    for path in log_files(bench, database):
        with open(path, encoding="utf-8") as file:
            for line in file:
                fields = line.split()
                end = int(fields[4]) + int(fields[5]) / 1e6
                calls.append((end - int(fields[2]) / 1e6, end))
    return calls


def sample(bench, database, watched, stop):
    """Looks every 20 ms at how far the drop is and how long somebody has been waiting for a lock."""
    session = bench.cluster.session(database)
    try:
        while not stop.wait(0.02):
            session.stdin.write("SELECT extract(epoch FROM clock_timestamp()), (SELECT extract(epoch FROM max(clock_timestamp() - waitstart)) FROM pg_locks), "
                                "phase, done FROM (SELECT) o LEFT JOIN events.progress ON what = 'drop months';\n")
            session.stdin.flush()
            fields = session.stdout.readline().strip().split("|")
            if len(fields) == 4:
                watched.longest_wait = max(watched.longest_wait, float(fields[1] or 0))
                if fields[2]:
                    watched.progress.append((float(fields[0]), fields[2], int(fields[3] or 0)))
    finally:
        session.stdin.close()
        session.wait(timeout=30)


def parts_table(watched, parts):
    """A row for each part: its length, its calls and their latency."""
    rows = []
    begins = [(part, watched.begins[part]) for part in parts if part in watched.begins]
    last = max(end for _, end in watched.calls)
    of_part = {part: [] for part, _ in begins}
    for start, end in watched.calls:
        part = next((name for name, begin in reversed(begins) if end >= begin), None)
        if part is not None and start >= begins[0][1]:
            of_part[part].append((end - start) * 1000)
    for (part, begin), (_, until) in zip(begins, begins[1:] + [("", last)]):
        took = sorted(of_part[part])
        row = [part, until - begin, len(took), len(took) / max(until - begin, 1e-3)]
        rows.append(row + ([took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.999))], took[-1]] if took else [None] * 3))
    return rows


def outcome(watched):
    errors = "; ".join(" ".join(line.split("|")) for line in watched.errors)
    return (f"Waits for a lock longer than {LONG_WAIT} ms in the server's log: {watched.logged}; the longest that was seen by looking every 20 ms: "
            f"{watched.longest_wait * 1000:.0f} ms. Errors of the clients: {errors or 'none'}.")


def speed(bench, watched, events):
    """Streams and events a second that were carried beside the clients."""
    begins = watched.begins
    states = begins.get("ids", begins["after"]) - begins["states"]
    ids = begins.get("the record", begins.get("locks and drop", begins["after"])) - begins.get("ids", begins["after"])
    streams = int(bench.cluster.psql("SELECT count(*) FROM auren.opening_states;", "ours"))
    given = int(bench.cluster.psql("SELECT count(*) FROM auren.dropped_ids;", "ours"))
    return (f"Carried beside the clients: {streams:,} states, {streams / states:,.0f} streams and {events / states:,.0f} events a second; "
            f"{given:,} ids that callers gave, of {events:,} events that were looked at, {events / max(ids, 1e-3):,.0f} events a second.")


def state_costs(bench, database, events):
    """A state by its opening balance, and one by a snapshot."""
    bench.cluster.psql(f"SELECT count(events.take_snapshot('user:' || n)) FROM generate_series(1, {LIVE_STREAMS}) n; VACUUM ANALYZE;", database)
    rows = []
    for caption, low, high, stream in (("carried", LIVE_STREAMS + 1, past_streams(events) - 1, "past:"), ("snapshot", 1, LIVE_STREAMS, "user:")):
        script = bench.cluster.write_script(f"\\set n random({low}, {high})\nSELECT events.get_stream_state('{stream}' || :n);\n")
        run = bench.undisturbed(lambda script=script: bench.cluster.pgbench(script, database, seconds=bench.seconds))
        rows.append([f"state of a stream, {caption}", run.rate, run.cpu_us])
    return rows
