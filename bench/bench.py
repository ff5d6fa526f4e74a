"""Measures appends against what the server itself can do with the same rows. Started by scripts/bench."""

import argparse
import os
import signal
import sys
import time

import contenders
import report
import suite_append
import suite_batch
import suite_conditions
import suite_drop
import suite_feed
import suite_held
import suite_import
import suite_indexes
import suite_instructions
import suite_metrics
import suite_months
import suite_notify
import suite_phi
import suite_replay
import suite_seals
import suite_settle
import suite_sizes
import suite_state
from cluster import BenchError, Cluster, machine_seconds

SUITES = {
    "append": suite_append.append,
    "hot": suite_append.hot,
    "held": suite_held.held,
    "months": suite_months.months,
    "batch": suite_batch.batch,
    "indexes": suite_indexes.indexes,
    "instructions": suite_instructions.instructions,
    "replay": suite_replay.replay,
    "state": suite_state.state,
    "feed": suite_feed.feed,
    "conditions": suite_conditions.conditions,
    "notify": suite_notify.notify,
    "metrics": suite_metrics.metrics,
    "phi": suite_phi.phi,
    "seals": suite_seals.seals,
    "drop": suite_drop.drop,
    "settle": suite_settle.settle,
    "sizes": suite_sizes.sizes,
    "import": suite_import.imports,
}
NEEDS_EXTENSION = {"months", "replay", "state", "feed", "conditions", "notify", "metrics", "phi", "seals", "drop", "settle", "sizes", "import"}

# A run during which others had more of the machine than this, in cores, is done again, so many times at most.
OTHERS_ALLOWED = 0.15
ATTEMPTS = 5


class Bench:
    """What the suites share: the cluster, the settings of this run, and the ways to fill and to measure."""

    def __init__(self, cluster, seconds, rounds, quick, extension):
        self.cluster = cluster
        self.seconds = seconds
        self.rounds = rounds
        self.quick = quick
        self.extension = extension
        self.runs = 0
        self.disturbed = 0
        # What a run gets as :base; the first is kept for rows that were there before.
        self.bases = 0

    # Databases

    def create(self, database, schemas=("bench_floor",), months=None):
        """Makes a database with the store (without the extension: a table like its own) and copies of its table."""
        self.cluster.psql(f"CREATE DATABASE {database};")
        if self.extension:
            self.cluster.psql("CREATE EXTENSION auren_events;", database)
            if months is not None:
                self.cluster.psql(f"SELECT events.create_monthly_partitions({months - 1});", database)
            else:
                # The first append makes the months that the store wants to have.
                self.cluster.psql("SELECT events.append_event('bench:first', 'bench_started', '{}');", database)
        else:
            statements = ["CREATE SCHEMA events;", contenders.store_table()]
            for first, after in contenders.months(months or 3):
                suffix = first[:7].replace("-", "_")
                statements.append(f"CREATE TABLE events.event_store_{suffix} PARTITION OF events.event_store "
                                  f"FOR VALUES FROM ('{first}') TO ('{after}');")
                statements.append(contenders.month_indexes(f"events.event_store_{suffix}", suffix, contenders.INDEXES))
            self.cluster.psql("\n".join(statements), database)
        self.cluster.psql(contenders.read_sql("store_copy.sql"), database)
        if "bench_max" in schemas or "bench_head" in schemas:
            self.cluster.psql(contenders.read_sql("plpgsql.sql"), database)
        if "bench_floor" in schemas:
            self.cluster.psql("SELECT bench.copy_store('bench_floor');", database)
        for schema in schemas:
            differences = self.cluster.psql(f"SELECT * FROM bench.differences('{schema}');", database)
            if differences:
                raise BenchError(f"{schema}.event_store is not like events.event_store:\n{differences}")

    def fill(self, database, schemas, streams, per_stream=1):
        """Gives every stream the same events in the store and in its copies."""
        values = (f"('0000000000004000a000' || 100000000000 + g)::uuid AS id, 'user:' || (g % {streams}) + 1 AS stream, "
                  f"g / {streams} + 1 AS version, 100000000000 + g AS v, "
                  + contenders.PAYLOAD.replace(":s::text", f"(g % {streams}) + 1").replace(":v::text", "g")
                  .replace(":hr::text", "40 + g % 141").replace(":hrv::text", "20 + g % 101")
                  + f" AS data FROM generate_series(0, {streams * per_stream - 1}) g")
        statements = []
        for schema in schemas:
            statements.append(
                f"INSERT INTO {schema}.event_store (event_id, stream_id, stream_version, event_type, event_data, "
                f"created_by, global_position) SELECT id, stream, version, {contenders.TYPE}, data, 'bench', v "
                f"FROM (SELECT {values}) e;")
        if "bench_head" in schemas:
            statements.append("INSERT INTO bench_head.heads SELECT 'default', 'user:' || s, "
                              f"{per_stream} FROM generate_series(1, {streams}) s;")
        if self.extension:
            statements.append(
                f"SELECT count(*) FROM (SELECT array_agg(stream ORDER BY v) AS streams, array_agg(data ORDER BY v) AS data "
                f"FROM (SELECT {values}) e GROUP BY v / 10000) b, LATERAL events.append_events(b.streams, "
                f"array_fill({contenders.TYPE}::text, ARRAY[cardinality(b.streams)]), b.data, 'bench');")
        statements.append("SELECT bench.clean_pending(); VACUUM ANALYZE;")
        self.cluster.psql("\n".join(statements), database)

    # Measuring

    def available(self, names):
        """The contenders that can run here."""
        return [name for name in names if self.extension or name not in contenders.OURS]

    def one_run(self, name, database, streams, clients, sync):
        """One run of a contender."""
        return self.undisturbed(lambda: self.attempt(name, database, streams, clients, sync))

    def attempt(self, name, database, streams, clients, sync):
        """One run of a contender, whatever else the machine does."""
        self.cluster.psql("SELECT bench.clean_pending();", database)
        return self.cluster.pgbench(self.cluster.write_script(contenders.script(name)), database, clients,
                                    seconds=self.seconds, defines=self.defines(clients, streams),
                                    settings={"synchronous_commit": sync})

    def defines(self, clients, streams):
        """The variables of a run's scripts; no two runs have the same :base."""
        self.bases += 1
        return {"n": 0, "base": 100000000000 + self.bases * 10000000, "clients": clients, "streams": streams}

    def undisturbed(self, run):
        """Repeats a run until the machine was ours, or takes the least disturbed of some."""
        self.runs += 1
        best = None
        for attempt in range(1 if self.quick else ATTEMPTS):
            if attempt > 0:
                self.wait_for_calm()
            done = run()
            if best is None or done.others < best.others:
                best = done
            if best.others <= OTHERS_ALLOWED:
                return best
        self.disturbed += 1
        return best

    def wait_for_calm(self):
        """Waits, for a while, until others leave the machine to us."""
        for _ in range(10):
            before = machine_seconds()
            time.sleep(1)
            if machine_seconds() - before <= OTHERS_ALLOWED:
                return

    def disturbance(self):
        """What the section says about others on the machine."""
        return (f"{self.disturbed} of {self.runs} runs were disturbed: other processes had more than {OTHERS_ALLOWED} "
                "cores meanwhile, each time the run was repeated.") if self.disturbed else (
                f"No run was disturbed: one during which other processes had more than {OTHERS_ALLOWED} cores is repeated.")

    def interleaved(self, runners, rounds=None):
        """Runs each of {name: function} once a round, each round beginning with another; returns {name: [Run]}."""
        names = list(runners)
        result = {name: [] for name in names}
        for turn in range(rounds or self.rounds):
            self.cluster.psql("CHECKPOINT;")
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                result[name].append(runners[name]())
        return result

    def check_versions(self, database, schema="events"):
        """The rate of a store that loses or repeats versions is no figure."""
        holes = self.cluster.psql(
            f"SELECT count(*) FROM (SELECT 1 FROM {schema}.event_store GROUP BY tenant_id, stream_id "
            "HAVING count(*) <> max(stream_version) OR count(*) <> count(DISTINCT stream_version) "
            "OR min(stream_version) <> 1) s;", database)
        if holes != "0":
            raise BenchError(f"{holes} streams of {schema}.event_store in {database} are not dense")

    def settings_line(self, payload=True, **more):
        """The settings that a section states."""
        version = self.cluster.psql("SHOW server_version;").split()[0]
        parts = [f"PostgreSQL {version}", f"{os.cpu_count()} cores ({cpu_model()})",
                 f"shared_buffers {self.cluster.psql('SHOW shared_buffers;')}",
                 f"fsync {self.cluster.psql('SHOW fsync;')}", "autovacuum off", "no checkpoint within a round"]
        if payload:
            parts.append(f"payload {self.payload_bytes()} bytes of JSON text")
        parts += [f"{key.replace('_', ' ')} {value}" for key, value in more.items()]
        parts.append(time.strftime("%Y-%m-%d", time.gmtime()))
        return "Settings: " + "; ".join(parts) + "."

    def payload_bytes(self):
        text = contenders.PAYLOAD.removesuffix("::jsonb")
        for name, value in ((":s::text", "'4711'"), (":hrv::text", "'55'"), (":hr::text", "'72'"),
                            (":v::text", "'100000000000'")):
            text = text.replace(name, value)
        return self.cluster.psql(f"SELECT octet_length({text});")


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures auren_events against what the server can do with the same rows, "
        "on a private cluster of its own.",
        epilog="Environment: SECONDS_PER_RUN (2), ROUNDS (3), PG_CONFIG, BENCH_TMP (where the cluster's data goes).")
    parser.add_argument("suites", nargs="*", metavar="suite", help="of: " + ", ".join(SUITES) + "; default: all")
    parser.add_argument("--quick", action="store_true", help="a short look: one short round, fewer rows")
    parser.add_argument("--write", action="store_true", help="write the sections into bench/RESULTS.md")
    parser.add_argument("--profile", metavar="CALL", help="print where a call spends its instructions: a contender of "
                        f"single appends ({', '.join(suite_instructions.SINGLE)}) or of batches "
                        f"({', '.join('batch:' + name for name in suite_instructions.BATCH)})")
    parser.add_argument("--without-extension", action="store_true", help="run the contenders alone")
    args = parser.parse_args()
    unknown = [name for name in args.suites if name not in SUITES]
    if unknown:
        parser.error("no such suite: " + ", ".join(unknown))
    if args.write and (args.quick or args.without_extension):
        parser.error("--write wants a full run: figures of --quick or without the extension are not worth keeping")
    if args.profile:
        single, batch = suite_instructions.SINGLE, ["batch:" + name for name in suite_instructions.BATCH]
        if args.profile not in single + batch or args.suites or args.write:
            parser.error("--profile stands alone and wants one of: " + ", ".join(single + batch))
    names = ["profile"] if args.profile else args.suites or [name for name in SUITES if not args.without_extension or name not in NEEDS_EXTENSION]

    seconds = int(os.environ.get("SECONDS_PER_RUN", 1 if args.quick else 2))
    rounds = int(os.environ.get("ROUNDS", 1 if args.quick else 3))
    pg_config = os.environ.get("PG_CONFIG", "pg_config")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is not idle (load {load:.1f}): rates will say less, ratios and CPU times still something.\n")
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: sys.exit(1))

    for name in names:
        begun = time.monotonic()
        cluster = Cluster(pg_config, suite_instructions.SERVER if name in ("instructions", "profile") else None)
        try:
            cluster.create()
            cluster.start()
            there = cluster.psql("SELECT count(*) FROM pg_available_extensions WHERE name = 'auren_events';") == "1"
            if not there and not args.without_extension:
                raise BenchError("auren_events is not installed in this server: make && make install, "
                                 "or --without-extension for the contenders alone")
            if args.without_extension and name in NEEDS_EXTENSION:
                raise BenchError(f"the suite {name} needs the extension")
            bench = Bench(cluster, seconds, rounds, args.quick, there and not args.without_extension)
            if args.profile:
                suite_instructions.profile(bench, args.profile)
                return
            section = SUITES[name](bench)
            if bench.runs:
                section.text(bench.disturbance())
        finally:
            cluster.remove()
        print(f"({name}: {time.monotonic() - begun:.0f} s)\n", flush=True)
        if args.write:
            report.write(os.path.join(contenders.HERE, "RESULTS.md"), section, list(SUITES))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
