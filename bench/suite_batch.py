"""A thousand events in one call."""

import os
import re

import contenders
from cluster import BenchError
from report import Section, median

EVENTS = 1000
STREAMS = 100
COLUMNS = "event_id, stream_id, stream_version, event_type, event_data, created_by, global_position"

NAMES = {
    "ours": "append_events",
    "ours_id": "append_events, caller's ids",
    "select": "INSERT ... SELECT from a table",
    "unnest": "INSERT ... SELECT from unnest of arrays",
    "copy": "COPY FROM a file of the server",
    "client_copy": "\\copy from the client",
    "single": "1,000 append_event in a transaction",
    "single_floor": "1,000 bare INSERT in a transaction",
}


def batch(bench):
    """append_events against COPY and INSERT ... SELECT of the same rows, and against single calls."""
    calls = 3 if bench.quick else 10
    section = Section("batch", "Batches")
    section.text(
        bench.settings_line(events=f"{EVENTS:,} a call", streams=f"{STREAMS}", clients=1, synchronous_commit="off",
                            rounds=bench.rounds, calls_per_round=calls) + "\n\n"
        "Time of one call in one session, the contenders' calls taking turns; CPU of the backend alone. append_events "
        "and the INSERT get their rows inside the server, as arrays that are not compressed or as a table's rows; COPY "
        "reads text. The INSERT and COPY go into the copy of the store with versions, positions and ids supplied. The "
        "single calls are sent one after the other by `pgbench -M prepared`.")
    database = "batch"
    bench.create(database)
    bench.fill(database, ["bench_floor"], STREAMS, 200)
    names = [name for name in NAMES if bench.extension or name not in ("ours", "ours_id", "single")]
    measured = {name: [] for name in names}
    for turn in range(bench.rounds):
        bench.cluster.psql("SELECT bench.clean_pending(); CHECKPOINT;", database)
        make_rows(bench, database, turn, calls + 2)
        for name, ms, cpu in in_session(bench, database, names, turn, calls + 2):
            measured[name].append((ms, cpu))
        for name in ("single", "single_floor"):
            if name in names:
                measured[name] += one_by_one(bench, database, name, calls)

    table = []
    base = {name: median([ms for ms, _ in measured[name]]) for name in names}
    for name in names:
        times = [ms for ms, _ in measured[name]]
        cpu = [spent for _, spent in measured[name] if spent is not None]
        fastest = min(base["select"], base["unnest"], base["copy"], base["client_copy"])
        table.append([NAMES[name], base[name], min(times), max(times), sum(times) / len(times),
                      median(cpu) if cpu else None, EVENTS / base[name] * 1000, fastest / base[name],
                      base["single"] / base[name] if "single" in base else None])
    section.table("1,000 events over 100 streams",
                  ["", "median ms", "lowest", "highest", "mean", "CPU ms", "events per second",
                   "x faster of COPY and INSERT", "x single calls"], table)
    if bench.extension:
        bench.check_versions(database)
    return section


def make_rows(bench, database, turn, calls):
    """The rows of each call: in a table, in arrays, and in a file for COPY; versions go on from call to call."""
    payload = (contenders.PAYLOAD.replace(":s::text", f"(i % {STREAMS}) + 1").replace(":v::text", "v")
               .replace(":hr::text", "40 + i % 141").replace(":hrv::text", "20 + i % 101"))
    sql = f"""
DROP TABLE IF EXISTS bench.batch_rows, bench.batch_arrays;
CREATE TABLE bench.batch_rows AS
	SELECT contender, k, i, 'user:' || (i % {STREAMS}) + 1 AS stream_id, v - 100000000000 AS stream_version,
	       {contenders.TYPE}::text AS event_type, {payload} AS event_data, v AS global_position,
	       ('0000000000004000a000' || v)::uuid AS event_id
	FROM (SELECT contender, k, i, 100000000000 + (1 + {turn}) * 10000000 + contender * 1000000 + k * 1000 + i AS v
	      FROM generate_series(1, 4) contender, generate_series(1, {calls}) k, generate_series(0, {EVENTS - 1}) i) c
	ORDER BY contender, k, i;
CREATE INDEX ON bench.batch_rows (contender, k);
CREATE TABLE bench.batch_arrays (contender int, k int, event_ids uuid[], stream_ids text[], versions bigint[], types text[], data jsonb[],
                                 positions bigint[]);
ALTER TABLE bench.batch_arrays ALTER event_ids SET STORAGE EXTERNAL, ALTER stream_ids SET STORAGE EXTERNAL,
	ALTER versions SET STORAGE EXTERNAL, ALTER types SET STORAGE EXTERNAL, ALTER data SET STORAGE EXTERNAL,
	ALTER positions SET STORAGE EXTERNAL;
INSERT INTO bench.batch_arrays
	SELECT contender, k, array_agg(event_id ORDER BY i), array_agg(stream_id ORDER BY i), array_agg(stream_version ORDER BY i),
	       array_agg(event_type ORDER BY i), array_agg(event_data ORDER BY i), array_agg(global_position ORDER BY i)
	FROM bench.batch_rows GROUP BY contender, k;
CREATE INDEX ON bench.batch_arrays (contender, k);
VACUUM ANALYZE bench.batch_rows, bench.batch_arrays;
"""
    for contender in (3, 4):
        for k in range(1, calls + 1):
            sql += (f"COPY (SELECT event_id, stream_id, stream_version, event_type, event_data, 'bench', global_position "
                    f"FROM bench.batch_rows WHERE contender = {contender} AND k = {k} ORDER BY i) "
                    f"TO '{copy_file(bench, contender, k)}';\n")
    bench.cluster.psql(sql, database)


def copy_file(bench, contender, k):
    return os.path.join(bench.cluster.home, f"copy_{contender}_{k}.txt")


PREPARE = f"""
PREPARE ours(int) AS SELECT count(*) FROM bench.batch_arrays b,
	LATERAL events.append_events(b.stream_ids, b.types, b.data, 'bench') WHERE b.contender = 1 AND b.k = $1;
PREPARE ours_id(int) AS SELECT count(*) FROM bench.batch_arrays b,
	LATERAL events.append_events(b.stream_ids, b.types, b.data, 'bench', p_event_ids => b.event_ids)
	WHERE b.contender = 2 AND b.k = $1;
"""
PREPARE_FLOOR = f"""
PREPARE "select"(int) AS INSERT INTO bench_floor.event_store ({COLUMNS})
	SELECT event_id, stream_id, stream_version, event_type, event_data, 'bench', global_position
	FROM bench.batch_rows WHERE contender = 1 AND k = $1;
PREPARE "unnest"(int) AS INSERT INTO bench_floor.event_store ({COLUMNS})
	SELECT u.event_id, u.stream_id, u.version, u.type, u.data, 'bench', u.position
	FROM bench.batch_arrays b, LATERAL unnest(b.event_ids, b.stream_ids, b.versions, b.types, b.data, b.positions)
	AS u(event_id, stream_id, version, type, data, position) WHERE b.contender = 2 AND b.k = $1;
"""


def statement(bench, name, k):
    """A contender's call number k, as psql takes it."""
    if name == "copy":
        return f"COPY bench_floor.event_store ({COLUMNS}) FROM '{copy_file(bench, 3, k)}';"
    if name == "client_copy":
        return f"\\copy bench_floor.event_store ({COLUMNS}) from '{copy_file(bench, 4, k)}'"
    return f'EXECUTE "{name}"({k});'


def in_session(bench, database, names, turn, calls):
    """All contenders that one psql session can run, call by call; yields (name, ms, CPU ms), the first two calls left out."""
    names = [name for name in names if name not in ("single", "single_floor")]
    lines = ["\\o /dev/null", "SET synchronous_commit = off;", "SET plan_cache_mode = force_generic_plan;",
             PREPARE_FLOOR, PREPARE if bench.extension else "", "SELECT bench.cpu();"]
    for k in range(1, calls + 1):
        shift = (k + turn) % len(names)
        for name in names[shift:] + names[:shift]:
            lines += ["SELECT bench.cpu() AS before \\gset", f"\\echo @{name} {k}", "\\timing on",
                      statement(bench, name, k), "\\timing off", "SELECT bench.cpu() - :before AS spent \\gset",
                      "\\echo CPU :spent"]
    output = bench.cluster.psql("\n".join(lines) + "\n", database)
    found = re.findall(r"^@(\w+) (\d+)\nTime: ([0-9.]+) ms.*\nCPU (\d+)$", output, re.M)
    if len(found) != calls * len(names):
        raise BenchError(f"{len(found)} of {calls * len(names)} calls were timed:\n{output[-500:]}")
    for name, k, ms, cpu in found:
        if int(k) > 2:
            yield name, float(ms), int(cpu) / 1e6


def one_by_one(bench, database, name, calls):
    """A transaction of single calls, as a driver sends them; the first ones make plans and are left out."""
    warm = 6
    call = contenders.CALLS["ours" if name == "single" else "floor"] + ";\n"
    draw = contenders.DRAW.format(stream=contenders.RANDOM_STREAM)
    text = "BEGIN;\n" + (draw + call) * EVENTS + "COMMIT;\n"
    # Positions apart from those of the rows that were made beforehand.
    defines = bench.defines(1, STREAMS)
    defines["base"] += 500000000
    prefix = os.path.join(bench.cluster.home, f"log_{defines['base']}")
    bench.cluster.pgbench(bench.cluster.write_script(text), database, 1, transactions=calls + warm, defines=defines,
                          options=["-l", f"--log-prefix={prefix}"], settings={"synchronous_commit": "off"})
    result = []
    for file in os.listdir(bench.cluster.home):
        if file.startswith(os.path.basename(prefix) + "."):
            with open(os.path.join(bench.cluster.home, file), encoding="utf-8") as log:
                result += [(int(line.split()[2]) / 1000, None) for line in log]
    return result[warm:]
