"""What settling a month leaves of its bytes, and what smaller indexes cost the queries."""

import contenders
from report import Section, median
from suite_indexes import timed_query

# One index more is exchanged in each step.
STEPS = [("created_at", "brin"), ("event_id", "brin"), ("metadata_gin", "none"), ("type_time", "short"), ("event_data_gin", "none"),
         ("type_time", "none")]
INDEXES = ["stream", "event_id", "position", "created_at", "type_time", "event_data_gin", "metadata_gin"]

HOUR = "'{first}'::timestamptz + interval '10 days', '{first}'::timestamptz + interval '10 days 1 hour'"
BETWEEN = "created_at >= '{first}'::timestamptz + interval '10 days' AND created_at < '{first}'::timestamptz + interval '10 days 1 hour'"
QUERIES = {
    "a stream's replay": "SELECT count(*) FROM events.replay_stream('user:77')",
    "a stream's state": "SELECT events.get_stream_state('user:77')",
    "1,000 after a position": "SELECT count(*) FROM events.read_all(100000050000, 1000)",
    "events_by_time, an hour": f"SELECT count(*) FROM events.events_by_time({HOUR})",
    "events_by_time, a type's hour": f"SELECT count(*) FROM events.events_by_time({HOUR}, 'mode_switched')",
    "SQL, an hour": f"SELECT count(*) FROM events.event_store WHERE {BETWEEN}",
    "SQL, an id": "SELECT * FROM events.event_store WHERE event_id = '{id}' AND tenant_id = 'default'",
    "find_events, one key": "SELECT count(*) FROM events.find_events('{{\"reading\": 100000050000}}')",
    "SQL, metadata @>": "SELECT count(*) FROM events.event_store WHERE metadata @> '{{\"correlation\": \"{correlation}\"}}'",
}

NAMES = {"bench_settle.plain": "a plain table with the same indexes", "bench_settle.mt_events": "Marten's mt_events, with mt_streams",
         "bench_settle.messages": "message-db's messages"}


def settle(bench):
    """Bytes an event of a month before and after it is settled, and the queries of each kind of index."""
    events = 100_000 if bench.quick else 1_000_000
    section = Section("settle", "Settled months")
    section.text(
        bench.settings_line(events=f"{events:,}", streams="10,000") + "\n\n"
        "The same events in a closed month of the store and in three other tables, a thousand in a transaction, in order of time, the streams "
        "interleaved; two of a hundred are first put and taken back, as appends that lost a race. Two events of a hundred are mode_switched; "
        "metadata holds a correlation id. Bytes an event hold TOAST, free space map and visibility map. Each step changes the policy of one index "
        "more and runs what events.maintenance_plan() returns. Queries: median of eleven calls of a prepared statement, all pages in memory.")
    first = contenders.months(3, ahead=False)[2][0]
    month = first[:7].replace("-", "_")
    prepare(bench, first, events)
    table = [sizes_of(bench, "the month as appends left it", month, events)]
    others = [[name, *other_sizes(bench, relation, events)] for relation, name in NAMES.items()]
    arguments = known(bench, first)
    times = [times_of(bench, arguments)]
    labels = ["as appended"]
    for policy in [None, *STEPS]:
        if policy:
            bench.cluster.psql(f"SELECT events.set_settle_policy('{policy[0]}', '{policy[1]}');", "settle")
        bench.cluster.psql("SELECT statement FROM events.maintenance_plan() ORDER BY step\n\\gexec\n", "settle")
        label = f"{policy[0]}: {policy[1]}" if policy else "settled, no policy"
        labels.append(label)
        table.append(sizes_of(bench, label, month, events))
        times.append(times_of(bench, arguments))
    before = table[0][-1]
    section.table("Bytes an event", ["", "table", *INDEXES, "sum", "of before"], [[*row, row[-1] / before] for row in table])
    section.table("Bytes an event elsewhere", ["", "table", "indexes", "sum", "of the month before"], [[*row, row[-1] / before] for row in others])
    section.table("Queries of the month, ms; each column has the policies of those before it, too", ["", *labels],
                  [[query, *(run[query] for run in times)] for query in QUERIES])
    return section


def prepare(bench, first, events):
    bench.cluster.psql("CREATE DATABASE settle;")
    bench.cluster.psql(f"""
CREATE EXTENSION auren_events;
SELECT events.append_event('bench:first', 'bench_started', '{{}}');
SELECT events.import_events('{{bench:past}}', '{{bench_started}}', ARRAY['{{}}']::jsonb[], ARRAY[gen_random_uuid()], ARRAY['{first} 00:00Z']::timestamptz[]);""",
                       "settle")
    bench.cluster.psql(contenders.read_sql("settle.sql"), "settle", {"first": f"{first} 00:00Z", "events": events})
    bench.cluster.psql(f"CALL bench_settle.fill({events});", "settle")
    bench.cluster.psql(f"""
INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month) SELECT 'default', 'user:' || stream, '{first}', '{first}' FROM bench_settle.drawn GROUP BY stream;
SELECT setval('auren.global_position_seq', 100000000000 + {events});
DROP TABLE bench_settle.drawn;
ANALYZE;
ALTER DATABASE settle SET auren_events.snapshot_after = 0;
CHECKPOINT;""", "settle")


def sizes_of(bench, label, month, events):
    output = bench.cluster.psql(f"""
SELECT pg_table_size('events.event_store_{month}');
SELECT pg_relation_size(to_regclass('events.idx_event_store_' || name || '_{month}')) FROM unnest('{{{",".join(INDEXES)}}}'::text[]) name;
SELECT pg_total_relation_size('events.event_store_{month}');""", "settle")
    # a line that is empty is an index that is not there; the last ones may be
    lines = output.split("\n")
    return [label, *[int(line) / events if line else None for line in lines]]


def other_sizes(bench, relation, events):
    relations = [relation, "bench_settle.mt_streams"] if relation.endswith("mt_events") else [relation]
    output = bench.cluster.psql("SELECT " + ", ".join(
        "+".join(f"{size}('{name}')" for name in relations) for size in ("pg_table_size", "pg_indexes_size", "pg_total_relation_size")) + ";", "settle")
    return [int(size) / events for size in output.split("|")]


def known(bench, first):
    output = bench.cluster.psql("SELECT event_id, metadata ->> 'correlation' FROM events.event_store WHERE global_position = 100000050000;", "settle")
    return dict(zip(("id", "correlation"), output.split("|")), first=f"{first} 00:00Z")


def times_of(bench, arguments):
    return {name: median(timed_query(bench, "settle", query.format(**arguments))) for name, query in QUERIES.items()}
