"""The kinds of the events' indexes: what each costs an append and what it gives the queries."""

import re

import contenders
import suite_instructions
from cluster import instructions as instructions_of
from report import Section, median, ratio

# One index of contenders.INDEXES is of another kind, or missing, in each variant.
VARIANTS = {
    "chosen": {},
    "created_at_desc": {"created_at": "(created_at DESC)"},
    "created_at_brin": {"created_at": "USING brin (created_at)"},
    "created_at_brin_32": {"created_at": "USING brin (created_at) WITH (pages_per_range = 32)"},
    "created_at_none": {"created_at": None},
    "type_time_desc": {"type_time": "(tenant_id, event_type, created_at DESC)"},
    "type_time_alone": {"type_time": "(event_type, created_at)"},
    "type_time_none": {"type_time": None},
    "data_jsonb_ops": {"event_data_gin": "USING gin (event_data)"},
    "data_none": {"event_data_gin": None},
    "metadata_jsonb_ops": {"metadata_gin": "USING gin (metadata)"},
    "metadata_none": {"metadata_gin": None},
    "stream_first": {"stream": "UNIQUE (stream_id, tenant_id, stream_version)"},
    "event_id_alone": {"event_id": "UNIQUE (event_id)"},
    "event_id_hash": {"event_id": "USING hash (event_id)"},
    "event_id_none": {"event_id": None},
    "position_brin": {"position": "USING brin (global_position)"},
    "position_none": {"position": None},
    "no_index": {name: None for name in contenders.INDEXES},
}

LABELS = {
    "chosen": "as the store has them",
    "created_at_desc": "created_at: DESC",
    "created_at_brin": "created_at: BRIN, 128 pages a range",
    "created_at_brin_32": "created_at: BRIN, 32 pages a range",
    "created_at_none": "created_at: none",
    "type_time_desc": "type_time: (tenant, event_type, created_at DESC)",
    "type_time_alone": "type_time: (event_type, created_at)",
    "type_time_none": "type_time: none",
    "data_jsonb_ops": "event_data: GIN, jsonb_ops",
    "data_none": "event_data: none",
    "metadata_jsonb_ops": "metadata: GIN, jsonb_ops",
    "metadata_none": "metadata: none",
    "stream_first": "stream: (stream, tenant, version)",
    "event_id_alone": "event_id: (event_id) alone",
    "event_id_hash": "event_id: hash, not unique",
    "event_id_none": "event_id: none",
    "position_brin": "position: BRIN",
    "position_none": "position: none",
    "no_index": "no index at all",
}

# Rows fill the 27 days up to :day, which is today; the INSERTs take now().
RANGE = "created_at >= :day - interval '5 days' AND created_at < :day - interval '5 days' + interval '{span}'"
QUERIES = {
    "an hour, in order": f"SELECT * FROM {{t}} WHERE {RANGE.format(span='1 hour')} ORDER BY created_at, global_position LIMIT 1000",
    "a day, counted": f"SELECT count(*) FROM {{t}} WHERE {RANGE.format(span='1 day')}",
    "newest 100": "SELECT * FROM {t} ORDER BY created_at DESC LIMIT 100",
    "a type's hour, in order": f"SELECT * FROM {{t}} WHERE tenant_id = 'default' AND event_type = 'mode_switched' AND {RANGE.format(span='1 hour')} "
                               "ORDER BY created_at, global_position LIMIT 1000",
    "a type's newest 100": "SELECT * FROM {t} WHERE tenant_id = 'default' AND event_type = 'mode_switched' ORDER BY created_at DESC LIMIT 100",
    "data @>, one key": "SELECT * FROM {t} WHERE event_data @> '{{\"reading\": 100000}}'",
    "data @>, nested": "SELECT count(*) FROM {t} WHERE event_data @> '{{\"user_id\": \"77\", \"source\": {{\"app\": \"webhook\"}}}}'",
    "data @?, path": "SELECT * FROM {t} WHERE event_data @? '$.reading ? (@ == 100000)'",
    "data ?, key exists": "SELECT * FROM {t} WHERE event_data ? 'alarm'",
    "metadata @>": "SELECT * FROM {t} WHERE metadata @> '{{\"correlation\": 90000}}'",
    "a stream's replay": "SELECT * FROM {t} WHERE tenant_id = 'default' AND stream_id = 'user:77' AND stream_version >= 1 "
                         "ORDER BY stream_version",
    "a stream's last version": "SELECT stream_version FROM {t} WHERE tenant_id = 'default' AND stream_id = 'user:77' "
                               "ORDER BY stream_version DESC LIMIT 1",
    "an id": "SELECT * FROM {t} WHERE event_id = '00000000-0000-4000-a000-100000100000' AND tenant_id = 'default'",
    "1,000 after a position": "SELECT * FROM {t} WHERE global_position > 100000100000 ORDER BY global_position LIMIT 1000",
}

# Which queries a variant is there for.
ASKED = {
    "created_at": ["an hour, in order", "a day, counted", "newest 100"],
    "type_time": ["a type's hour, in order", "a type's newest 100"],
    "data": ["data @>, one key", "data @>, nested", "data @?, path", "data ?, key exists"],
    "metadata": ["metadata @>"],
    "stream": ["a stream's replay", "a stream's last version"],
    "event_id": ["an id"],
    "position": ["1,000 after a position"],
}


def indexes(bench):
    """Appends into, and queries of, tables that differ in one index."""
    rows = 20000 if bench.quick else 200000
    inserts = 2000 if bench.quick else 8000
    variants = list(VARIANTS)
    section = Section("indexes", "Kinds of indexes")
    section.text(
        bench.settings_line(clients=1, synchronous_commit="off", rows_before=f"{rows:,}", streams="1,000",
                            inserts_per_run=f"{inserts:,}", rounds=bench.rounds) + "\n\n"
        "Each variant is a table of its own that differs from the store's month in one index. Append: bare prepared "
        "INSERTs through the parent. Instructions are counted by callgrind for the INSERT alone; rate and CPU hold the "
        "emptying of the GIN indexes' lists at the end of each run, whose time a row is a column of its own. Two "
        "events of a hundred are mode_switched, one of a thousand has a key alarm, and a row's metadata holds a "
        "correlation number. Queries: median of eleven calls of a prepared statement, all pages in memory.")
    bench.cluster.psql("CREATE DATABASE kinds;")
    day, first, after = (bench.cluster.psql(f"SELECT current_date + {days};") for days in (0, -28, 2))
    suffix = day[:7].replace("-", "_")
    statements = []
    for name in variants:
        chosen = {key: VARIANTS[name].get(key, value) for key, value in contenders.INDEXES.items()}
        chosen = {key: value for key, value in chosen.items() if value is not None}
        schema = f"kind_{name}"
        statements.append(f"CREATE SCHEMA {schema}; {contenders.store_table(schema)} "
                          f"CREATE TABLE {schema}.event_store_{suffix} PARTITION OF {schema}.event_store "
                          f"FOR VALUES FROM ('{first}') TO ('{after}');")
        statements.append(contenders.month_indexes(f"{schema}.event_store_{suffix}", suffix, chosen))
        statements.append(fill(schema, rows, day))
    statements.append("VACUUM ANALYZE; CHECKPOINT;")
    bench.cluster.psql("\n".join(statements), "kinds")

    def inserting(name, count, options=()):
        call = with_metadata(contenders.CALLS["floor"].replace("bench_floor", f"kind_{name}"))
        script = bench.cluster.write_script(contenders.DRAW.format(stream=contenders.RANDOM_STREAM) + call + ";\n")
        return bench.cluster.pgbench(
            script, "kinds", 1, transactions=count, options=options, settings={"synchronous_commit": "off"},
            defines=bench.defines(1, 1000))

    def run(name):
        done = inserting(name, inserts)
        done.flush_us = flush(bench, f"kind_{name}", suffix) * 1000 / inserts
        done.rate = 1e6 / (1e6 / done.rate + done.flush_us)
        done.cpu_us += done.flush_us
        return done

    runs = bench.interleaved({
        name: lambda name=name: bench.undisturbed(lambda: run(name)) for name in variants})
    sizes = index_sizes(bench, suffix)
    times = {part: [[LABELS[name], *[query_time(bench, f"kind_{name}", query, day) for query in queries]]
                    for name in variants if name == "chosen" or name.startswith(part)]
             for part, queries in ASKED.items()}

    bench.cluster.stop()
    bench.cluster.configure({**suite_instructions.SERVER, "gin_pending_list_limit": "1GB"})
    bench.cluster.start_counting()
    bench.cluster.psql("SELECT 1;", "kinds")
    counts = {}
    for name in variants:
        short, long = (instructions_of(bench.cluster.counted(
            lambda calls=calls: inserting(name, calls, ["--random-seed=4711"]))) for calls in COUNTED)
        counts[name] = (long - short) / (COUNTED[1] - COUNTED[0])

    table = []
    for name in variants:
        own = runs[name]
        table.append([LABELS[name], counts[name] / 1000, (counts[name] - counts["chosen"]) / 1000,
                      median([one.rate for one in own]), ratio(own, runs["chosen"]),
                      median([one.cpu_us for one in own]), median([one.flush_us for one in own]), sizes[name]])
    section.table("Appending", ["", "thousand instructions", "more or less", "per second", "x as it is", "CPU us",
                                "of it GIN lists", "bytes of indexes a row"], table)
    for part, rows_of_part in times.items():
        section.table(f"Queries for {part}, ms", ["", *ASKED[part]], rows_of_part)
    return section


COUNTED = (100, 600)


def with_metadata(call):
    """The floor's INSERT with a metadata column, so that its index has something to hold."""
    call = call.replace("event_data, created_at", "event_data, metadata, created_at")
    return re.sub(r"::jsonb,\s", "::jsonb,\n\t('{\"correlation\": ' || :v::text || ', \"causation\": \"webhook\"}')::jsonb,\n\t",
                  call, count=1)


def fill(schema, rows, day):
    """Rows of 27 days, in the order of time, as appends leave them."""
    payload = (contenders.PAYLOAD.replace(":s::text", "(g * 7919 % 1000) + 1").replace(":v::text", "g")
               .replace(":hr::text", "40 + g % 141").replace(":hrv::text", "20 + g % 101"))
    return (f"INSERT INTO {schema}.event_store (event_id, stream_id, stream_version, event_type, event_data, metadata, "
            "created_at, created_by, global_position) "
            "SELECT ('0000000000004000a000' || 100000000000 + g)::uuid, 'user:' || (g * 7919 % 1000) + 1, g / 1000 + 1, "
            f"CASE WHEN g % 50 = 0 THEN 'mode_switched' ELSE {contenders.TYPE} END, "
            f"{payload} || CASE WHEN g % 1000 = 0 THEN '{{\"alarm\": true}}' ELSE '{{}}' END::jsonb, "
            f"jsonb_build_object('correlation', g, 'causation', 'webhook'), "
            f"'{day}'::timestamptz - interval '27 days' + g * interval '27 days' / {rows}, 'bench', 100000000000 + g "
            f"FROM generate_series(0, {rows - 1}) g;")


def flush(bench, schema, suffix):
    """Empties the pending lists of a variant's GIN indexes; the backend's CPU time for it in ms."""
    output = bench.cluster.psql(f"""
SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1) AS before \\gset
SELECT gin_clean_pending_list(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = '{schema}.event_store_{suffix}'::regclass AND a.amname = 'gin'
\\g /dev/null
SELECT (split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint - :before) / 1e6;
""", "kinds")
    return float(output)


def index_sizes(bench, suffix):
    output = bench.cluster.psql(f"""
SELECT substr(n.nspname, 6), pg_indexes_size(t.oid) / (SELECT count(*) FROM kind_chosen.event_store)
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.relname = 'event_store_{suffix}';""", "kinds")
    return {line.split("|")[0]: int(line.split("|")[1]) for line in output.splitlines()}


def query_time(bench, schema, query, day):
    """Median time of a query of one variant, ms."""
    sql = QUERIES[query].format(t=f"{schema}.event_store").replace(":day", f"'{day}'::timestamptz")
    return median(timed_query(bench, "kinds", sql))


def timed_query(bench, database, sql):
    """Times of eleven calls of a prepared query, ms."""
    output = bench.cluster.psql("\\o /dev/null\nSET jit = off;\nPREPARE q AS " + sql + ";\n\\timing on\n" + "EXECUTE q;\n" * 11, database)
    return [float(ms) for ms in re.findall(r"^Time: ([0-9.]+) ms", output, re.M)]
