"""Sealing and verifying events, and the memory that it takes."""

import os
import select
import shutil
import time

from cluster import BenchError
from report import Section, median
from suite_state import private_memory

KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
STREAMS = 1000


def seals(bench):
    """events.seal and events.verify: events a second, memory, and what a seal leaves on disk."""
    events = 100_000 if bench.quick else 1_000_000
    section = Section("seals", "Seals")
    section.text(
        bench.settings_line(events=f"{events:,}", rounds=bench.rounds) + "\n\n"
        "A database is filled, sealed by one call, and verified as a whole; each round has a new one. Memory is what the backend has of its own "
        "(RssAnon of /proc/<pid>/status, which leaves shared buffers out), looked at every few milliseconds.")
    path = os.path.join(bench.cluster.home, "seal_key.pem")
    with open(path, "w", encoding="utf-8") as file:
        file.write(KEY)
    os.chmod(path, 0o600)
    owner = os.stat(bench.cluster.data)
    shutil.chown(path, owner.st_uid, owner.st_gid)
    bench.cluster.configure({"auren_events.seal_key_file": path})
    bench.cluster.stop()
    bench.cluster.start()
    runs = [one_round(bench, f"seals_{turn}", events) for turn in range(bench.rounds)]
    table = []
    for call in ("seal", "verify"):
        seconds = [run[call][0] for run in runs]
        table.append([f"events.{call}", median(seconds), median([events / each for each in seconds]),
                      *(median([run[call][i] for run in runs]) for i in (1, 2))])
    section.table("One call", ["", "seconds", "events a second", "MB before", "MB at most"], table)
    beside = [run["beside"] for run in runs]
    section.table("append_event, one client", ["", "per second", "x alone"],
                  [["alone", median([alone.rate for alone, _ in beside]), 1.0],
                   ["beside a session that seals what there is five times a second", median([sealing.rate for _, sealing in beside]),
                    median([sealing.rate / alone.rate for alone, sealing in beside])]])
    section.text(f"A proof has {median([run['proof'] for run in runs]):.0f} bytes of JSON, the newest event's line not counted.")
    section.text(f"What a seal keeps: {median([run['bytes'] for run in runs]) / events:.1f} bytes an event in auren.seal_leaves, with its index and TOAST.")
    return section


def one_round(bench, database, events):
    bench.create(database)
    bench.fill(database, [], STREAMS, events // STREAMS)
    bench.cluster.psql("SELECT events.register_seal_key(); CHECKPOINT;", database)
    run = {call: timed(bench, database, call) for call in ("seal", "verify")}
    sealed = bench.cluster.psql("SELECT sum(events) FROM events.seals;", database)
    found = bench.cluster.psql("SELECT findings, events FROM events.verifications;", database)
    if int(sealed) < events or found != f"0|{sealed}":
        raise BenchError(f"{sealed} events were sealed, and the verification says {found}")
    run["bytes"] = int(bench.cluster.psql("SELECT pg_total_relation_size('auren.seal_leaves');", database))
    run["proof"] = int(bench.cluster.psql("SELECT max(octet_length(events.prove(event_id)::text)) FROM (SELECT event_id FROM events.event_store "
                                          "WHERE global_position BETWEEN 1000 AND 1100) e;", database))
    run["beside"] = (append(bench, database), append_beside_sealer(bench, database))
    bench.cluster.psql(f"DROP DATABASE {database};")
    return run


def append(bench, database):
    return bench.one_run("ours", database, STREAMS, 1, "off")


def append_beside_sealer(bench, database):
    """The same while another session seals, again and again, what there is."""
    sealer = bench.cluster.session(database)
    try:
        sealer.stdin.write("SET client_min_messages = warning;\nSELECT 1;\n")
        sealer.stdin.flush()
        sealer.stdout.readline()  # it is connected
        sealer.stdin.write("\\o /dev/null\nSELECT count(*) FROM events.seal()\n\\watch 0.2\n")
        sealer.stdin.flush()
        return append(bench, database)
    finally:
        sealer.kill()
        sealer.wait(timeout=30)


def timed(bench, database, call):
    """Seconds of a call, and its backend's own memory in MB before it and at most."""
    limit = "10000000" if call == "seal" else ""
    session = bench.cluster.session(database)
    try:
        session.stdin.write("SET client_min_messages = warning;\nSELECT pg_backend_pid();\n")
        session.stdin.flush()
        pid = int(session.stdout.readline())
        before = highest = private_memory(pid)
        begun = time.monotonic()
        session.stdin.write(f"SELECT count(*) FROM events.{call}({limit});\n")
        session.stdin.flush()
        while not select.select([session.stdout], [], [], 0.003)[0]:
            highest = max(highest, private_memory(pid))
        took = time.monotonic() - begun
        if not session.stdout.readline().strip().isdigit():
            raise BenchError(f"events.{call} failed")
        return took, before, highest
    finally:
        session.stdin.close()
        session.wait(timeout=30)
