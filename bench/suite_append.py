"""Single appends: over many streams, and on one that is hot."""

import contenders
from report import Section, median, ratio

ALL = ["floor", "returning", "ours", "ours_id", "head", "max", "empty"]
MAIN = ["floor", "returning", "ours", "ours_id"]


def append(bench):
    """append_event against the bare INSERT of the same row, over 1,000 and 100,000 streams."""
    section = Section("append", "Single appends")
    section.text(
        bench.settings_line(clients="1 and 8", streams="1,000 and 100,000, drawn at random",
                            seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
        "`pgbench -M prepared`, one append per transaction. The bare INSERT goes through the parent of a table whose "
        "months and indexes are copied from the catalog; its client supplies the version, the position and the id (a "
        "uuid in text form, growing), all from one counter, and created_at is now(). The payload is put together from "
        "the same parameters in every contender. max()+1 gets streams that no other client uses, since it would fail "
        "otherwise. CPU: time of the server's backends.")
    for streams, per_stream in ((1000, 20), (100000, 1)):
        if bench.quick and streams > 1000:
            continue
        database = f"streams_{streams}"
        schemas = ["bench_floor", "bench_max", "bench_head"]
        bench.create(database, schemas)
        bench.fill(database, schemas, streams, per_stream)
        for sync in ("off", "on"):
            for clients in (1, 8):
                names = bench.available(ALL if streams == 1000 and sync == "off" else MAIN)
                runs = bench.interleaved({
                    name: lambda name=name: bench.one_run(name, database, streams, clients, sync) for name in names})
                section.table(f"{streams:,} streams, {clients} client{'s' if clients > 1 else ''}, "
                              f"synchronous_commit {sync}", HEAD, rows(runs))
        if bench.extension:
            bench.check_versions(database)
        bench.check_versions(database, "bench_head")
    return section


HEAD = ["", "per second", "lowest", "highest", "x bare INSERT", "x RETURNING", "CPU us", "bare INSERT's CPU / CPU"]


def rows(runs):
    result = []
    for name, own in runs.items():
        rates = [run.rate for run in own]
        result.append([
            contenders.NAMES[name], median(rates), min(rates), max(rates), ratio(own, runs["floor"]),
            ratio(own, runs["returning"]) if "returning" in runs else None, median([run.cpu_us for run in own]),
            ratio(runs["floor"], own, lambda run: run.cpu_us)])
    return result


def hot(bench):
    """One stream, eight writers."""
    section = Section("hot", "One hot stream")
    section.text(
        bench.settings_line(clients=8, streams=1, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
        "Eight clients append to the same stream. The head row is upserted (ON CONFLICT DO UPDATE ... RETURNING "
        "version) by a PL/pgSQL function that then inserts the event. max()+1 runs with its lost races caught and "
        "counted. The bare INSERT knows its version beforehand and waits for nobody: it stands here for scale.")
    schemas = ["bench_floor", "bench_max", "bench_head"]
    bench.create("hot", schemas)
    bench.fill("hot", schemas, 1, 100)
    for sync in ("off", "on"):
        names = bench.available(["head", "ours", "ours_id", "floor", "max_try"])

        def run(name):
            before = lost(bench)
            done = bench.attempt(name, "hot", 1, 8, sync)
            done.lost = lost(bench) - before
            return done

        runs = bench.interleaved({
            name: lambda name=name: bench.undisturbed(lambda: run(name)) for name in names})
        table = []
        for name, own in runs.items():
            rates = [one.rate for one in own]
            failed = sum(one.lost for one in own) / sum(one.count for one in own)
            table.append([contenders.NAMES[name], median(rates), min(rates), max(rates), ratio(own, runs["head"]),
                          median([one.cpu_us for one in own]), f"{failed:.0%}"])
        section.table(f"8 clients, synchronous_commit {sync}",
                      ["", "calls per second", "lowest", "highest", "x head row", "CPU us", "failed calls"], table)
    if bench.extension:
        bench.check_versions("hot")
    bench.check_versions("hot", "bench_head")
    bench.check_versions("hot", "bench_max")
    return section


def lost(bench):
    """Races that max()+1 has lost so far."""
    value = bench.cluster.psql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bench_max.errors;", "hot")
    return int(value)
