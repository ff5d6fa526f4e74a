"""What an event takes of the disk and of the WAL: bytes, which are the same on every machine."""

import contenders
from report import Section

STREAMS = 1000
TAGS = {"none": "NULL", "1": "ARRAY['room:' || n % 500]", "3": "ARRAY['room:' || n % 500, 'student:' || n % 5000, 'course:' || n % 50]"}
BATCHES = {"one": 1, "100": 100, "1,000": 1000}


def sizes(bench):
    """Bytes an event of the table, its indexes, the index of tags, and the WAL, by tags and batches."""
    events = 20_000 if bench.quick else 100_000
    section = Section("sizes", "What an event takes")
    section.text(
        bench.settings_line(events=f"{events:,}", streams=f"{STREAMS:,}") + "\n\n"
        "Each row is a database of its own, in which as many events lie already. A transaction is a call: one event by append_event, or a batch by "
        "append_events. Bytes are those that relations and WAL grew by, divided by the events; they do not depend on the machine. The bytes of a table "
        "hold TOAST, free space map and visibility map. Just after a checkpoint each page that is changed goes into the WAL once as a whole, which is "
        "not in here.")
    rows = []
    for tags, tag_array in TAGS.items():
        for batch, size in BATCHES.items():
            rows.append([tags, batch, *measure(bench, events, tag_array, size)])
    section.table("Bytes an event", ["tags", "events a call", "table", "its indexes", "tags and their index", "the streams' rows", "sum", "WAL"], rows)
    return section


def measure(bench, events, tag_array, size):
    bench.cluster.psql("CREATE DATABASE sizes;")
    try:
        bench.cluster.psql("CREATE EXTENSION auren_events; SELECT events.create_monthly_partitions(1);", "sizes")
        fill(bench, 0, events, tag_array, size)
        before = state(bench)
        fill(bench, events, events, tag_array, size)
        table, indexes, tags, streams, wal = [(now - then) / events for now, then in zip(state(bench), before)]
        return [table, indexes, tags, streams, table + indexes + tags + streams, wal]
    finally:
        bench.cluster.psql("DROP DATABASE sizes;")


def fill(bench, begin, events, tag_array, size):
    data = (contenders.PAYLOAD.replace(":s::text", f"(n % {STREAMS})::text").replace(":v::text", "n::text")
            .replace(":hr::text", "(40 + n % 141)::text").replace(":hrv::text", "(20 + n % 101)::text"))
    stream = f"'user:' || n % {STREAMS}"
    if size == 1:
        call = f"n := begun; PERFORM events.append_event({stream}, 'biometric_received', {data}, p_tags => {tag_array});"
    else:
        call = ("PERFORM events.append_events(b.streams, b.types, b.data, p_tags => b.tags) FROM (SELECT array_agg(" + stream + ") AS streams, "
                "array_agg('biometric_received'::text) AS types, array_agg(" + data + ") AS data, " + ("NULL::jsonb[]" if tag_array == "NULL" else f"array_agg(to_jsonb({tag_array}))") + " AS tags "
                f"FROM generate_series(begun, begun + {size - 1}) AS s(n)) b;")
    declared = "DECLARE n integer;" if size == 1 else ""
    bench.cluster.psql("SET synchronous_commit = off; "
                       f"DO $$ {declared} BEGIN FOR begun IN {begin} .. {begin + events - 1} BY {size} LOOP {call} COMMIT; END LOOP; END $$;", "sizes")


def state(bench):
    """The bytes of a month's table, its indexes, the tags beside it, the streams' rows, and where the WAL ends."""
    month = "(SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'))"
    output = bench.cluster.psql(f"""
SELECT pg_table_size(('events.event_store_' || {month})::regclass), pg_indexes_size(('events.event_store_' || {month})::regclass),
       pg_total_relation_size(('auren.event_tags_' || {month})::regclass), pg_total_relation_size('auren.stream_rows'),
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0');""", "sizes")
    return [int(figure) for figure in output.split("|")]
