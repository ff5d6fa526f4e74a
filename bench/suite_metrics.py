"""Metrics: refresh against a materialized view and as the history grows, writes with the triggers and without, the guide's query."""

import re

from report import Section, median, ratio

# Rounds of the writes, for one of another measurement: they are short and their ratios close to one.
WRITE_ROUNDS = 3
COLUMNS = "user_id, device_type, metric_type, value, timestamp"

# A history of 30 days has 5 million readings; a refresh merges 1 % of those, however long the history is.
A_DAY = 5000000 // 30
CHANGES = 50000

TRIGGERS = ("auren_record_row", "auren_record_statement", "auren_record_truncate")


def readings(rows, first, span):
    """Rows of a SELECT: so many readings of 2,000 users, 3 devices, 5 metrics from a time on."""
    return (f"SELECT 'user' || (i % 2000) + 1, 'device' || floor(random() * 3), 'metric' || floor(random() * 5), 60 + random() * 40, "
            f"{first} + random() * interval '{span}' FROM generate_series(1, {rows}) i")


def day(number):
    return f"(timestamptz '2026-01-01 00:00Z' + interval '{number} days')"


def timed(bench, sql):
    """Milliseconds of one statement, as its session saw it."""
    return float(re.findall(r"Time: ([\d.]+) ms", bench.cluster.psql(f"\\timing on\n{sql}\n", "metrics"))[-1])


def metrics(bench):
    """Readings recorded, merged and queried."""
    section = Section("metrics", "Metrics")
    section.text(bench.settings_line(payload=False, clients=1, synchronous_commit="off unless stated", seconds_per_run=bench.seconds,
                                     rounds=f"{bench.rounds}, of writes {WRITE_ROUNDS * bench.rounds}") + "\n\n"
                 "Readings of 2,000 users, 3 devices, 5 metrics, 5 million for 30 days. `plain` is the same table without the extension's triggers; the materialized view "
                 "is the daily view's query over it with a unique index, refreshed concurrently. Each refresh has a checkpoint before it, and merges three levels.")
    bench.create("metrics")
    bench.cluster.psql("CREATE TABLE bench.plain (LIKE biometric.biometric_events INCLUDING DEFAULTS INCLUDING INDEXES);", "metrics")
    rows = []
    held = 0
    for days in [2] if bench.quick else [6, 30]:
        held = grow(bench, held, days, plain=True)
        view = materialized_view(bench) if days in (2, 30) else []
        rows.append(refreshes(bench, days, held, view))
    writes(bench, section)
    queries(bench, section)
    if not bench.quick:
        bench.cluster.psql("DROP TABLE bench.plain CASCADE;", "metrics")
        held = grow(bench, held, 120, plain=False)
        rows.append(refreshes(bench, 120, held, []))
    section.table(f"Refresh after {CHANGES:,} more readings, ms: of the seven hours behind the newest, and spread over all days",
                  ["readings", "days", "new readings", "late readings", "materialized view", "x view / new", "x view / late"], rows)
    return section


def grow(bench, held, days, plain):
    """Makes the history so many days long, as it would be had it been merged all along."""
    size = days * A_DAY
    triggers = "\n".join(f"ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER {name};" for name in TRIGGERS)
    more = readings(size - held, day(held // A_DAY), f"{days - held // A_DAY} days")
    fill = (f"INSERT INTO bench.plain ({COLUMNS}) {more}; TRUNCATE biometric.biometric_events; INSERT INTO biometric.biometric_events SELECT * FROM bench.plain;" if plain else
            f"DELETE FROM biometric.biometric_events WHERE timestamp >= {day(held // A_DAY)}; INSERT INTO biometric.biometric_events ({COLUMNS}) {more};")
    bench.cluster.psql(f"ALTER TABLE biometric.biometric_events DISABLE TRIGGER USER;\n{fill}\n{triggers}\n"
                       "SELECT analytics.rebuild_source(1); SELECT analytics.refresh_user_metrics(); VACUUM ANALYZE;", "metrics")
    return size


def add(bench, table, rows, first, span):
    bench.cluster.psql(f"INSERT INTO {table} ({COLUMNS}) {readings(rows, first, span)}; VACUUM auren.deltas, auren.delta_packs; CHECKPOINT;", "metrics")


def behind(days, turn):
    """The seven hours of a turn behind the history."""
    return f"{day(days)} + interval '7 hours' * {turn}"


def refreshes(bench, days, held, view):
    new, late = [], []
    for turn in range(max(bench.rounds, 5)):
        add(bench, "biometric.biometric_events", CHANGES, behind(days, turn), "7 hours")
        new.append(timed(bench, "SELECT analytics.refresh_user_metrics();"))
    for _ in range(bench.rounds):
        add(bench, "biometric.biometric_events", CHANGES, day(0), f"{days} days")
        late.append(timed(bench, "SELECT analytics.refresh_user_metrics();"))
    by_view = [median(view), median(view) / median(new), median(view) / median(late)] if view else [None, None, None]
    return [f"{held:,}", days, median(new), median(late), *by_view]


def materialized_view(bench):
    """What the refresh of a materialized view of the days takes after as many more readings."""
    bench.cluster.psql("""
CREATE MATERIALIZED VIEW bench.daily AS SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, count(*) AS reading_count, avg(value) AS avg_value,
       min(value) AS min_value, max(value) AS max_value, stddev(value) AS stddev_value FROM bench.plain GROUP BY 1, 2, 3, 4;
CREATE UNIQUE INDEX ON bench.daily (day, user_id, device_type, metric_type);""", "metrics")
    view = []
    for turn in range(bench.rounds):
        add(bench, "bench.plain", CHANGES, behind(30, turn), "7 hours")
        view.append(timed(bench, "REFRESH MATERIALIZED VIEW CONCURRENTLY bench.daily;"))
    return view


def run(bench, text, options=(), commit="off"):
    path = bench.cluster.write_script(text)
    return lambda: bench.undisturbed(lambda: bench.cluster.pgbench(path, "metrics", 1, seconds=bench.seconds, options=options,
                                                                   settings={"synchronous_commit": commit}))


def writes(bench, section):
    def one(table, commit="off"):
        return run(bench, "\\set u random(1, 200)\n\\set d random(0, 2)\n\\set m random(0, 4)\n\\set v random(60, 100)\n"
                   f"INSERT INTO {table} ({COLUMNS}) VALUES ('user' || :u, 'device' || :d, 'metric' || :m, :v, now());\n", commit=commit)

    def many(table, rows):
        return run(bench, f"INSERT INTO {table} ({COLUMNS}) " + readings(rows, day(60), "7 hours") + ";\n")

    def in_transaction(table):
        return run(bench, "\\set u random(1, 200)\nBEGIN;\n" + "".join(
            f"INSERT INTO {table} ({COLUMNS}) VALUES ('user' || :u, 'device1', 'metric{n % 5}', {60 + n}, now());\n" for n in range(20)) + "COMMIT;\n")

    for caption, make in (("Single-row INSERT, of 200 users", one),
                          ("Single-row INSERT, synchronous_commit on", lambda table: one(table, "on")), ("20 in a transaction", in_transaction),
                          ("INSERT of 100 rows", lambda table: many(table, 100)), ("INSERT of 1,000 rows", lambda table: many(table, 1000))):
        runs = bench.interleaved({"with the triggers": make("biometric.biometric_events"), "plain": make("bench.plain")}, WRITE_ROUNDS * bench.rounds)
        section.table(caption, ["", "per second", "x plain", "CPU us", "x plain in CPU"],
                      [[name, median([r.rate for r in runs[name]]), ratio(runs[name], runs["plain"]), median([r.cpu_us for r in runs[name]]),
                        ratio(runs["plain"], runs[name], key=lambda r: r.cpu_us)] for name in runs])
        bench.cluster.psql("SELECT analytics.refresh_user_metrics(); VACUUM ANALYZE auren.deltas, auren.delta_packs;", "metrics")


def queries(bench, section):
    def seven_days(source):
        return (f"\\set u random(1001, 2000)\nSELECT day, AVG(avg_value) AS avg_hr FROM {source} WHERE user_id = 'user' || :u AND metric_type = 'metric1' "
                "AND day > date '2026-01-30' - INTERVAL '7 days' GROUP BY day ORDER BY day;\n")

    raw = ("(SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, avg(value) AS avg_value, count(*), min(value), max(value), stddev(value) "
           "FROM bench.plain GROUP BY 1, 2, 3, 4) r")
    # the answer as a table that somebody keeps: what any query of this server costs at least
    bench.cluster.psql("CREATE TABLE bench.answers AS SELECT user_id, metric_type, day, avg(avg_value) AS avg_value FROM analytics.user_metrics_daily GROUP BY 1, 2, 3; "
                       "CREATE UNIQUE INDEX ON bench.answers (user_id, metric_type, day); VACUUM ANALYZE bench.answers, bench.plain;", "metrics")
    view = seven_days("analytics.user_metrics_daily")

    def measured(text):
        return [[run(bench, text, options)() for _ in range(bench.rounds + 1)][1:] for options in ((), ("-M", "simple"))]

    runs = {"all merged": measured(view)}
    add(bench, "biometric.biometric_events", CHANGES, day(0), "30 days")
    runs["1 % not merged, of one statement"] = measured(view)
    bench.cluster.psql("SELECT analytics.refresh_user_metrics();" + "".join(
        f"INSERT INTO biometric.biometric_events ({COLUMNS}) {readings(1000, day(0), '30 days')};" for _ in range(CHANGES // 1000)) +
        "VACUUM ANALYZE auren.deltas, auren.delta_packs;", "metrics")
    runs["1 % not merged, of 50 statements"] = measured(view)
    bench.cluster.psql("SELECT analytics.refresh_user_metrics();" + "".join(
        f"INSERT INTO biometric.biometric_events ({COLUMNS}) {readings(200, day(0), '30 days')};" for _ in range(CHANGES // 200)) +
        "VACUUM ANALYZE auren.deltas, auren.delta_packs;", "metrics")
    runs["1 % not merged, of 250 statements, a row each"] = measured(view)
    runs["the answers in a table, by its key"] = measured(seven_days("bench.answers"))
    runs["raw table, its indexes"] = measured(seven_days(raw))
    bench.cluster.psql("DROP INDEX bench.plain_user_id_device_type_timestamp_idx; DROP INDEX bench.plain_metric_type_timestamp_idx;", "metrics")
    runs["raw table, no index"] = measured(seven_days(raw))
    merged = 1 / median([r.rate for r in runs["all merged"][0]])
    section.table("The guide's seven-day query of one user", ["", "ms, prepared", "x all merged", "ms, unprepared"],
                  [[name, 1000 / median([r.rate for r in prepared]), 1 / median([r.rate for r in prepared]) / merged, 1000 / median([r.rate for r in simple])]
                   for name, (prepared, simple) in runs.items()])
