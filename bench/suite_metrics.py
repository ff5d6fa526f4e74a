"""Metrics: writes with the triggers and without, refresh against a materialized view, the guide's query with changes unmerged."""

import time

from report import Section, median, ratio

SETTINGS = {"synchronous_commit": "off"}
COLUMNS = "user_id, device_type, metric_type, value, timestamp"


def readings(rows, first, span):
    """Rows of a SELECT: so many readings of 2,000 users, 3 devices, 5 metrics from a time on."""
    return (f"SELECT 'user' || (i % 2000) + 1, 'device' || floor(random() * 3), 'metric' || floor(random() * 5), 60 + random() * 40, "
            f"timestamptz '{first}' + random() * interval '{span}' FROM generate_series(1, {rows}) i")


def timed(bench, sql):
    """Milliseconds of one statement."""
    began = time.monotonic()
    bench.cluster.psql(sql, "metrics")
    return (time.monotonic() - began) * 1000


def metrics(bench):
    """Readings recorded, merged and queried."""
    sizes = [200000] if bench.quick else [1000000, 5000000]
    section = Section("metrics", "Metrics")
    section.text(bench.settings_line(payload=False, clients=1, synchronous_commit="off", seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 "Readings of 2,000 users, 3 devices, 5 metrics over 30 days. `plain` is the same table without the extension's triggers; the materialized view is the daily "
                 "view's query over it with a unique index, refreshed concurrently. Writes to a table that holds that many already.")
    bench.create("metrics")
    bench.cluster.psql("CREATE TABLE bench.plain (LIKE biometric.biometric_events INCLUDING DEFAULTS INCLUDING INDEXES);", "metrics")
    held = 0
    rows = []
    for size in sizes:
        bench.cluster.psql(f"""
INSERT INTO bench.plain ({COLUMNS}) {readings(size - held, '2026-01-01', '30 days')};
ALTER TABLE biometric.biometric_events DISABLE TRIGGER USER;
TRUNCATE biometric.biometric_events;
INSERT INTO biometric.biometric_events SELECT * FROM bench.plain;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_row;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_statement;
ALTER TABLE biometric.biometric_events ENABLE ALWAYS TRIGGER auren_record_truncate;
SELECT analytics.rebuild_source(1);
SELECT analytics.refresh_user_metrics();
VACUUM ANALYZE;""", "metrics")
        held = size
        changes = size // 100
        merges = []
        late = []
        for turn in range(bench.rounds):
            bench.cluster.psql(f"INSERT INTO biometric.biometric_events ({COLUMNS}) "
                               + readings(changes, f"2026-02-{1 + turn * 7 // 24:02} {turn * 7 % 24:02}:00", "7 hours") + "; VACUUM analytics.deltas; CHECKPOINT;", "metrics")
            merges.append(timed(bench, "SELECT analytics.refresh_user_metrics();"))
            bench.cluster.psql(f"INSERT INTO biometric.biometric_events ({COLUMNS}) " + readings(changes, "2026-01-01", "30 days")
                               + "; VACUUM analytics.deltas; CHECKPOINT;", "metrics")
            late.append(timed(bench, "SELECT analytics.refresh_user_metrics();"))
        view = []
        if size == sizes[-1]:
            bench.cluster.psql("""
CREATE MATERIALIZED VIEW bench.daily AS SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, count(*) AS reading_count, avg(value) AS avg_value,
       min(value) AS min_value, max(value) AS max_value, stddev(value) AS stddev_value FROM bench.plain GROUP BY 1, 2, 3, 4;
CREATE UNIQUE INDEX ON bench.daily (day, user_id, device_type, metric_type);""", "metrics")
            for turn in range(bench.rounds):
                bench.cluster.psql(f"INSERT INTO bench.plain ({COLUMNS}) " + readings(changes, f"2026-02-{1 + turn * 7 // 24:02} {turn * 7 % 24:02}:00", "7 hours") + "; CHECKPOINT;", "metrics")
                view.append(timed(bench, "REFRESH MATERIALIZED VIEW CONCURRENTLY bench.daily;"))
        rows.append([f"{size:,}", median(merges), median(late), median(view) if view else "", median(view) / median(merges) if view else ""])
    section.table("Refresh after 1 % more readings, ms: of the seven hours behind the newest, and spread over all 30 days",
                  ["readings", "new readings", "late readings", "materialized view", "x view / new"], rows)

    def run(text):
        path = bench.cluster.write_script(text)
        return lambda: bench.undisturbed(lambda: bench.cluster.pgbench(path, "metrics", 1, seconds=bench.seconds, settings=SETTINGS))

    def one(table):
        return run("\\set u random(1, 200)\n\\set d random(0, 2)\n\\set m random(0, 4)\n\\set v random(60, 100)\n"
                   f"INSERT INTO {table} ({COLUMNS}) VALUES ('user' || :u, 'device' || :d, 'metric' || :m, :v, now());\n")

    def thousand(table):
        return run(f"INSERT INTO {table} ({COLUMNS}) " + readings(1000, "2026-02-10", "7 hours") + ";\n")

    for caption, make in (("Single-row INSERT, of 200 users", one), ("INSERT of 1,000 rows", thousand)):
        runs = bench.interleaved({"with the triggers": make("biometric.biometric_events"), "plain": make("bench.plain")})
        section.table(caption, ["", "statements per second", "x plain", "CPU us a statement", "x plain in CPU"],
                      [[name, median([r.rate for r in runs[name]]), ratio(runs[name], runs["plain"]), median([r.cpu_us for r in runs[name]]),
                        ratio(runs["plain"], runs[name], key=lambda r: r.cpu_us)] for name in runs])
        bench.cluster.psql("SELECT analytics.refresh_user_metrics(); VACUUM ANALYZE analytics.deltas;", "metrics")

    def seven_days(source, reading):
        return (f"\\set u random(1, 2000)\nSELECT day, AVG({reading}) AS avg_hr FROM {source} WHERE user_id = 'user' || :u AND metric_type = 'metric1' "
                "AND day > date '2026-01-30' - INTERVAL '7 days' GROUP BY day ORDER BY day;\n")

    raw = ("(SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, user_id, device_type, metric_type, avg(value) AS avg_value, count(*), min(value), max(value), stddev(value) "
           "FROM bench.plain GROUP BY 1, 2, 3, 4) r")
    merged = seven_days("analytics.user_metrics_daily", "avg_value")
    runs = {"all merged": [run(merged)() for _ in range(bench.rounds)]}
    bench.cluster.psql(f"INSERT INTO biometric.biometric_events ({COLUMNS}) " + readings(held // 100, "2026-01-01", "30 days") + "; ANALYZE analytics.deltas;", "metrics")
    runs["1 % not merged"] = [run(merged)() for _ in range(bench.rounds)]
    runs["raw table, its indexes"] = [run(seven_days(raw, "avg_value"))() for _ in range(bench.rounds)]
    bench.cluster.psql("DROP INDEX bench.plain_user_id_device_type_timestamp_idx; DROP INDEX bench.plain_metric_type_timestamp_idx;", "metrics")
    runs["raw table, no index"] = [run(seven_days(raw, "avg_value"))() for _ in range(min(bench.rounds, 3))]
    section.table("The guide's seven-day query of one user", ["", "ms", "x all merged"],
                  [[name, 1000 / median([r.rate for r in runs[name]]), median([r.rate for r in runs["all merged"]]) / median([r.rate for r in runs[name]])] for name in runs])
    return section
