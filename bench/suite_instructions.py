"""Instructions of one call, counted by callgrind: the same on a busy machine as on an idle one."""

import re
import shutil
import subprocess

import contenders
import suite_batch
from cluster import BenchError, instructions as instructions_of
from report import Section

# Nothing waits for a disk here, and a backend under valgrind starts quicker with few buffers to know.
SERVER = {"shared_buffers": "256MB", "fsync": "off", "max_connections": "10", "autovacuum": "off"}

SINGLE = ["empty", "floor", "returning", "ours", "ours_id", "ours_tags", "max", "head", "version", "expected", "batch_expected", "if_after", "if_none"]
BATCH = ["ours", "ours_id", "select", "unnest", "copy"]
SHORT, LONG = 200, 1200
BATCH_SHORT, BATCH_LONG = 2, 6
# An append makes the entries of a GIN index itself where the keys are integers. In a store with indexes that it does not know as such it leaves them
# to the server (bench/sql/server_gin.sql): what that costs more is what making them wins.
SINGLE_NAMES = {**contenders.NAMES, "ours_server_gin": "append_event, GIN entries made by the server"}
BATCH_NAMES = {**suite_batch.NAMES, "ours_server_gin": "append_events, GIN entries made by the server"}


def instructions(bench):
    """Counts instructions per call: a long run less a short one, so that start and planning fall out."""
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed")
    section = Section("instructions", "Instructions")
    long, batch_long = (500, 4) if bench.quick else (LONG, BATCH_LONG)
    section.text(
        bench.settings_line(clients=1, streams="1,000 (batch: 100)", events_before="20,000",
                            calls_counted=f"{long - SHORT:,} (batch: {batch_long - BATCH_SHORT})") + "\n\n"
        "The server runs under `valgrind --tool=callgrind`; a figure is what one backend executes in a long run less a "
        "short one, divided by the calls between. It holds everything between a client's message and the answer, the "
        "commit too, but neither the kernel nor the emptying of the GIN indexes' lists, which is the same work for all.")
    prepare(bench)
    if bench.extension:
        prepare_server_gin(bench)
    cluster = bench.cluster
    cluster.stop()
    # A list that fills up is emptied by whoever comes along: no part of a call's own work.
    cluster.configure({"gin_pending_list_limit": "1GB"})
    cluster.start_counting()
    cluster.psql("SELECT 1;", "counted")

    counts = {name: per_call(bench, name, SHORT, long)[0] for name in bench.available(SINGLE)}
    if bench.extension:
        counts["ours_server_gin"] = per_call(bench, "ours", SHORT, long, "counted_gin")[0]
    section.table("One append, thousand instructions", ["", "thousand", "bare INSERT / this", "RETURNING / this"],
                  [[SINGLE_NAMES[name], count / 1000, counts["floor"] / count, counts["returning"] / count]
                   for name, count in counts.items()])

    names = [name for name in BATCH if bench.extension or not name.startswith("ours")]
    counts = {name: batch_call(bench, name, BATCH_SHORT, batch_long)[0] for name in names}
    fastest = min(count for name, count in counts.items() if not name.startswith("ours"))
    if bench.extension:
        counts["ours_server_gin"] = batch_call(bench, "ours", BATCH_SHORT, batch_long, "counted_batch_gin")[0]
    section.table("1,000 events over 100 streams, million instructions",
                  ["", "million", "thousand an event", "faster of COPY and INSERT / this"],
                  [[BATCH_NAMES[name], count / 1e6, count / 1e6, fastest / count]
                   for name, count in counts.items()])
    return section


def prepare(bench):
    """A database with 1,000 streams and one more for the batches, both filled at the machine's own speed."""
    schemas = ["bench_floor", "bench_max", "bench_head"]
    bench.create("counted", schemas)
    bench.fill("counted", schemas, 1000, 20)
    bench.create("counted_batch")
    bench.fill("counted_batch", ["bench_floor"], suite_batch.STREAMS, 200)
    suite_batch.make_rows(bench, "counted_batch", 0, 2 * BATCH_LONG + 2 * BATCH_SHORT)


def prepare_server_gin(bench):
    """The same for a store whose GIN entries the server makes."""
    bench.create("counted_gin")
    bench.fill("counted_gin", [], 1000, 20)
    bench.cluster.psql(contenders.read_sql("server_gin.sql") + "VACUUM ANALYZE;", "counted_gin")
    bench.create("counted_batch_gin")
    bench.fill("counted_batch_gin", ["bench_floor"], suite_batch.STREAMS, 200)
    suite_batch.make_rows(bench, "counted_batch_gin", 0, 2 * BATCH_LONG + 2 * BATCH_SHORT)
    bench.cluster.psql(contenders.read_sql("server_gin.sql") + "VACUUM ANALYZE;", "counted_batch_gin")


def per_call(bench, name, short, long, database="counted"):
    """Instructions of one call of a contender, and the callgrind files of the short and the long run."""
    files = []
    start = bench.cluster.psql("SELECT events.feed_horizon();", database) if bench.extension else 0
    for calls in (short, long):
        script = bench.cluster.write_script(contenders.script(name))
        files.append(bench.cluster.counted(lambda: bench.cluster.pgbench(
            script, database, 1, transactions=calls, options=["--random-seed=4711"],
            defines={**bench.defines(1, 1000), "start": start},
            settings={"synchronous_commit": "off"})))
    return (instructions_of(files[1]) - instructions_of(files[0])) / (long - short), files


def batch_call(bench, name, short, long, database="counted_batch"):
    """The same for a batch; calls go on from the rows of the last."""
    files = []
    begin = 1
    for calls in (short, long):
        lines = ["\\o /dev/null", "SET synchronous_commit = off;", "SET plan_cache_mode = force_generic_plan;",
                 suite_batch.PREPARE_FLOOR, suite_batch.PREPARE if bench.extension else ""]
        lines += [suite_batch.statement(bench, name, k) for k in range(begin, begin + calls)]
        begin += calls
        files.append(bench.cluster.counted(lambda: bench.cluster.psql("\n".join(lines) + "\n", database)))
    return (instructions_of(files[1]) - instructions_of(files[0])) / (long - short), files


def profile(bench, name):
    """Prints the functions that a call spends its instructions in."""
    batch = name.startswith("batch:")
    name = name.removeprefix("batch:")
    prepare(bench)
    bench.cluster.stop()
    bench.cluster.configure({"gin_pending_list_limit": "1GB"})
    bench.cluster.start_counting()
    bench.cluster.psql("SELECT 1;", "counted")
    if batch:
        count, files = batch_call(bench, name, BATCH_SHORT, BATCH_LONG)
        calls = BATCH_LONG - BATCH_SHORT
    else:
        count, files = per_call(bench, name, SHORT, LONG)
        calls = LONG - SHORT
    print(f"{suite_batch.NAMES[name] if batch else contenders.NAMES[name]}: {count:,.0f} instructions a call\n")
    for title, inclusive in (("In the function itself", False), ("With what it calls", True)):
        print(f"{title}: instructions a call, share\n")
        short, long = (by_function(file, inclusive) for file in files)
        spent = {function: (long[function] - short.get(function, 0)) / calls for function in long}
        for function in sorted(spent, key=spent.get, reverse=True)[:70]:
            print(f"{spent[function]:12,.0f} {spent[function] / count:6.1%}  {function}")
        print()


def by_function(file, inclusive):
    """Instructions of each function in a callgrind file."""
    options = ["--inclusive=yes"] if inclusive else []
    output = subprocess.run(["callgrind_annotate", "--show=Ir", "--auto=no", "--threshold=100", *options, file],
                            check=True, capture_output=True, text=True).stdout
    result = {}
    for found in re.finditer(r"^ *([\d,]+) \( *[\d.]+%\)  (\S.*)$", output, re.M):
        if "PROGRAM TOTALS" in found[2]:
            continue
        # "file:function [object]"; a recursive function has a ' and its depth behind its name.
        function = re.sub(r"'\d+$", "", re.sub(r" \[\S*\]$", "", re.sub(r"^[^ :]*:(?!:)", "", found[2])))
        count = int(found[1].replace(",", ""))
        # What a call of a call took is within the first, so it is not added.
        result[function] = max(result.get(function, 0), count) if inclusive else result.get(function, 0) + count
    return result
