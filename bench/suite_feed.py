"""The feed: read_all against the plain range SELECT, a subscription against a queue table."""

from cluster import BenchError
from report import Section, median, ratio

# Events of 100 streams at the feed's beginning: where the first of each is to be retried, the others wait.
HELD = 10100

COLUMNS = "event_id, global_position, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by"


def feed(bench):
    """read_all of 1,000 events anywhere in the feed; fetch and acknowledge by hundreds."""
    events = 100000 if bench.quick else 10000000
    section = Section("feed", "The feed")
    section.text(bench.settings_line(clients=1, synchronous_commit="off", seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 f"{events:,} events in 20,000 streams. read_all and the plain SELECT (global_position > p ORDER BY global_position LIMIT 1000) give the "
                 "same columns of 1,000 events after a random position to the client. A subscription's consumer fetches and acknowledges 100 events in a "
                 "statement; the queue table's (the same payload, one row an event) deletes 100 rows by SELECT ... FOR UPDATE SKIP LOCKED and returns them. Where 10,000 events wait, they do so after 100 "
                 "events of their streams that are to be retried in a day.")
    bench.create("feed")
    bench.cluster.psql(f"SELECT count(*) FROM events.append_events(ARRAY(SELECT 'held:' || i % 100 FROM generate_series(1, {HELD}) i), "
                       f"array_fill('t'::text, ARRAY[{HELD}]), array_fill('{{}}'::jsonb, ARRAY[{HELD}]));", "feed")
    begin = int(bench.cluster.psql("SELECT events.feed_horizon();", "feed"))
    bench.fill("feed", [], 20000, events // 20000)
    bench.cluster.psql(f"""
CREATE TABLE bench.queue (id bigint PRIMARY KEY, stream_id text, event_type text, event_data jsonb);
INSERT INTO bench.queue SELECT global_position, stream_id, event_type, event_data FROM events.event_store WHERE global_position > {begin};
VACUUM ANALYZE;""", "feed")
    settings = {"synchronous_commit": "off"}

    def run(text):
        path = bench.cluster.write_script(text)
        return lambda: bench.undisturbed(lambda: bench.cluster.pgbench(path, "feed", 1, seconds=bench.seconds, settings=settings))

    draw = f"\\set p random(0, {events - 1100})\n"
    runs = bench.interleaved({
        "read_all": run(draw + "SELECT * FROM events.read_all(:p, 1000);\n"),
        "plain SELECT": run(draw + f"SELECT {COLUMNS} FROM events.event_store WHERE tenant_id = 'default' AND global_position > :p ORDER BY global_position LIMIT 1000;\n")})
    section.table("1,000 events behind a position", ["", "calls per second", "x plain SELECT", "CPU us"],
                  [[name, median([r.rate for r in runs[name]]), ratio(runs[name], runs["plain SELECT"]), median([r.cpu_us for r in runs[name]])] for name in runs])

    # Each run drains a part; a new subscription and a full queue for each keeps them alike.
    consumers = iter(range(1000))

    def subscription(held=False):
        name = f"s{next(consumers)}"
        bench.cluster.psql(f"SELECT events.create_subscription('{name}', {begin - HELD if held else begin});", "feed")
        if held:
            waiting = bench.cluster.psql(
                f"SELECT count(events.retry('{name}', 'c', global_position, '1 day')) FROM (SELECT * FROM events.fetch('{name}', 'c', 100)) f;\n"
                f"SELECT count(*) FROM events.fetch('{name}', 'c', 100);\n"
                f"SELECT waiting_events FROM events.subscriptions WHERE name = '{name}';", "feed").split()[-1]
            if waiting != "10000":
                raise BenchError(f"{waiting} events wait, not 10000")
        path = bench.cluster.write_script(f"SELECT events.acknowledge('{name}', 'c', max(global_position)) FROM events.fetch('{name}', 'c', 100);\n")
        count = min(events // 100 - 10, 2000)
        return bench.undisturbed(lambda: bench.cluster.pgbench(path, "feed", 1, transactions=count, settings=settings)) if bench.quick else \
            bench.cluster.pgbench(path, "feed", 1, transactions=count, settings=settings)

    def queue():
        path = bench.cluster.write_script(
            "WITH c AS (SELECT id FROM bench.queue ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED) DELETE FROM bench.queue q USING c WHERE q.id = c.id RETURNING q.*;\n")
        return bench.cluster.pgbench(path, "feed", 1, transactions=min(events // 100 // (bench.rounds + 1), 2000), settings=settings)

    runs = bench.interleaved({"fetch and acknowledge": subscription, "the same while 10,000 events wait for retries": lambda: subscription(True), "queue table": queue})
    section.table("Batches of 100, events per second", ["", "events per second", "x queue table", "CPU us an event"],
                  [[name, median([r.rate * 100 for r in runs[name]]), ratio(runs[name], runs["queue table"]), median([r.cpu_us / 100 for r in runs[name]])] for name in runs])
    return section
