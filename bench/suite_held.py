"""Appends while another session holds a snapshot open."""

import time

import contenders
from report import Section, median

APPENDS = 300000
# A contender whose rate collapses would take minutes to get there: it stops after this many times the others' turns.
SLICES_AT_MOST = 60


def held(bench):
    """A hot stream and a hundred streams: before, during and after a snapshot held through 300,000 appends."""
    appends = 20000 if bench.quick else APPENDS
    around = 1 if bench.quick else 3
    section = Section("held", "A snapshot held open")
    section.text(
        bench.settings_line(clients=8, streams="1 and 100", synchronous_commit="off", seconds_per_slice=bench.seconds,
                            slices_before_and_after=around, appends_under_the_snapshot=f"{appends:,}") + "\n\n"
        "Another session opens a REPEATABLE READ transaction, runs SELECT 1 and stays there. The contenders take turns "
        "of one slice each, before it, during it until append_event has done the appends, and after it. Each is "
        "compared with itself: the last slices under the snapshot against those before and after, half of them each, "
        "so that a table that has grown is no part of the ratio.")
    for streams in (1, 100):
        database = f"held_{streams}"
        bench.create(database, ["bench_floor", "bench_max", "bench_head"])
        bench.fill(database, ["bench_floor", "bench_head"], streams, 100)
        names = bench.available(["ours", "head"])
        slices = {name: {"before": [], "during": [], "after": []} for name in names}

        def turn(phase):
            for name in names:
                slices[name][phase].append(bench.one_run(name, database, streams, 8, "off"))

        bench.cluster.psql("CHECKPOINT;")
        for _ in range(around):
            turn("before")
        holder = bench.cluster.session(database)
        try:
            holder.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n")
            holder.stdin.flush()
            if holder.stdout.readline().strip() != "1":
                raise RuntimeError("the snapshot was not taken")
            begun = time.monotonic()
            while (sum(run.count for run in slices[names[0]]["during"]) < appends
                   and len(slices[names[0]]["during"]) < SLICES_AT_MOST):
                turn("during")
            lasted = time.monotonic() - begun
            holder.stdin.write("COMMIT;\n")
        finally:
            holder.stdin.close()
            holder.wait(timeout=30)
        for _ in range(around):
            turn("after")

        table = []
        for name in names:
            phases = slices[name]
            without = median([run.rate for run in phases["before"] + phases["after"]])
            end = median([run.rate for run in phases["during"][-around:]])
            table.append([contenders.NAMES[name], median([run.rate for run in phases["before"]]), end,
                          median([run.rate for run in phases["after"]]), end / without,
                          sum(run.count for run in phases["during"])])
        section.table(f"{streams} stream{'s' if streams > 1 else ''}, snapshot held for {lasted:.0f} s",
                      ["", "before, per second", "end of the snapshot", "after", "held / without", "appends under it"],
                      table)
        if bench.extension:
            bench.check_versions(database)
        bench.check_versions(database, "bench_head")
    return section
