"""Sixty months of partitions against one."""

import contenders
from report import Section, median, ratio

CALLS = ["ours", "ours_id", "version", "floor"]
MONTHS = 60


def months(bench):
    """append_event, stream_version and the bare INSERT in a store of one month and in stores of sixty."""
    section = Section("months", "Sixty months")
    section.text(
        bench.settings_line(clients="1 and 8", streams="1,000", synchronous_commit="off",
                            seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
        "Three databases: one as a first append leaves it (this month and the months that the store wants ahead), one "
        "with sixty months ahead, and one with sixty months behind in each of which every stream has an event. Cost is "
        "one over the rate; the ratio is within a round.")
    bench.create("one_month")
    bench.fill("one_month", ["bench_floor"], 1000, 20)
    bench.create("months_ahead", months=MONTHS)
    bench.fill("months_ahead", ["bench_floor"], 1000, 20)
    bench.create("months_behind")
    bench.cluster.psql(behind(MONTHS), "months_behind")
    bench.fill("months_behind", ["bench_floor"], 1000, 20)
    databases = ["one_month", "months_ahead", "months_behind"]
    for clients in (1, 8):
        runs = bench.interleaved({
            (name, database): lambda name=name, database=database: bench.one_run(name, database, 1000, clients, "off")
            for name in CALLS for database in databases})
        table = []
        for name in CALLS:
            one = runs[name, "one_month"]
            row = [contenders.NAMES[name], median([run.rate for run in one])]
            for database in databases[1:]:
                own = runs[name, database]
                row += [median([run.rate for run in own]), ratio(one, own),
                        ratio(own, one, lambda run: run.cpu_us)]
            table.append(row)
        section.table(f"{clients} client{'s' if clients > 1 else ''}",
                      ["", "one month, per second", "60 ahead", "cost", "CPU", "60 behind", "cost", "CPU"], table)
    return section


def behind(count):
    """SQL that gives the store a past: months with an event of every stream, as years of appending would have."""
    statements = ["SET session_replication_role = replica;"]
    past = list(reversed(contenders.months(count, ahead=False)))
    for age, (first, after) in enumerate(past[:-1]):
        suffix = first[:7].replace("-", "_")
        statements.append(f"""
SELECT format('CREATE TABLE events.event_store_{suffix} (LIKE events.event_store INCLUDING DEFAULTS); '
	'ALTER TABLE events.event_store ATTACH PARTITION events.event_store_{suffix} FOR VALUES FROM (%L) TO (%L)',
	'{first} 00:00:00+00', '{after} 00:00:00+00') \\gexec
SELECT replace(pg_get_indexdef(i.indexrelid), to_char(now(), 'YYYY_MM'), '{suffix}')
	FROM pg_index i WHERE i.indrelid = ('events.event_store_' || to_char(now(), 'YYYY_MM'))::regclass
	ORDER BY i.indexrelid \\gexec
INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, created_at, created_by,
                                global_position)
	SELECT ('0000000000004000a000' || 200000000000 + {age} * 1000 + s)::uuid, 'user:' || s, {age} + 1,
	       {contenders.TYPE}, '{{"value": 60}}', '{first}'::timestamptz + interval '1 day', 'bench',
	       nextval('auren.global_position_seq')
	FROM generate_series(1, 1000) s;""")
    statements.append(f"""
INSERT INTO auren.stream_rows (tenant_id, stream_id, first_month, last_month)
	SELECT 'default', 'user:' || s, '{past[0][0]}', '{past[-2][0]}' FROM generate_series(1, 1000) s;""")
    return "\n".join(statements)
