"""Tags and conditions: what they cost an append, whether that depends on how much is stored, and who waits for whom."""

import contenders
from cluster import BenchError
from report import Section, median, ratio

COLUMNS = "event_id, global_position, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, tags"
RACERS = 16
READ = 100  # events of each account, anywhere in the store

DRAW = contenders.DRAW.format(stream=contenders.RANDOM_STREAM)
OWN, FORM, TYPE, PAYLOAD = contenders.OWN, contenders.FORM, contenders.TYPE, contenders.PAYLOAD
# An event with this tag stands everywhere in the store before :start, and none after it.
HOT_QUERY = "'{\"types\": [\"biometric_received\"], \"tags\": [\"unit=bpm\"]}'"

SERIALIZABLE = "PL/pgSQL, GIN, SERIALIZABLE"
TABLE_LOCK = "PL/pgSQL, table of tags, table lock"
TAGS = {"no tags": contenders.CALLS["ours"], "three tags": contenders.CALLS["ours_tags"]}
CONDITIONS = {
    **{contenders.NAMES[name]: contenders.CALLS[name] for name in ("expected", "batch_expected", "if_after", "if_none")},
    TABLE_LOCK: f"SELECT bench_lock.append_if(ARRAY[{TYPE}], {FORM}, :start, {OWN}, {TYPE}, {PAYLOAD})",
    SERIALIZABLE: f"SELECT bench_gin.append_if(ARRAY[{TYPE}], {FORM}, :start, {OWN}, {TYPE}, {PAYLOAD})",
}
BASE = contenders.NAMES["expected"]
FLAT = {
    BASE: contenders.CALLS["expected"],
    "append_if, a tag that no event has": contenders.CALLS["if_none"],
    "append_if, a tag that every event has, after a position":
        f"SELECT * FROM events.append_if({HOT_QUERY}, :start, {contenders.OWN_BATCH}, {contenders.FORM_TAGGED})",
}
CLAIMS = {"append_if": "claim", TABLE_LOCK: "claim_lock", SERIALIZABLE: "claim_gin"}


def conditions(bench):
    """Appends with tags and conditions against appends without; racers; waits; a read by tag."""
    section = Section("conditions", "Tags and conditions")
    section.text(bench.settings_line(clients="1 and 8", synchronous_commit="off unless said", seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 "Appends with an expected version and those with a condition write to a stream of their client's own, so that none fails and no two have "
                 "anything to do with each other. The tag of a condition is one that no other call uses, and its event has it. The two PL/pgSQL functions "
                 "write to copies of the store's table and keep the same rule: one looks into a GIN index on the tags at SERIALIZABLE, and its client repeats what "
                 "is refused with 40001; the other locks its table of tags.")
    bench.create("conditions", ["bench_floor"])
    bench.cluster.psql(contenders.read_sql("conditions.sql"), "conditions")
    bench.fill("conditions", [], 1000, 20)
    with_tags(bench, section)
    with_conditions(bench, section)
    racers(bench, section)
    waits(bench, section)
    sizes = [10000, 100000] if bench.quick else [10000, 1000000, 10000000]
    flat(bench, section, sizes)
    reads(bench, section, f"size_{sizes[-1]}", sizes[-1])
    return section


def run(bench, database, call, clients, options=(), **settings):
    """One run of a call. :start is a position that is final before it."""
    path = bench.cluster.write_script(DRAW + call + ";\n")

    def attempt():
        bench.cluster.psql("SELECT bench.clean_pending();", database)
        defines = {**bench.defines(clients, 1000), "start": bench.cluster.psql("SELECT events.feed_horizon();", database)}
        return bench.cluster.pgbench(path, database, clients, seconds=bench.seconds, defines=defines, options=options,
                                     settings={"synchronous_commit": "off", **settings})
    return bench.undisturbed(attempt)


def runner(bench, name, call, clients, sync):
    if name == SERIALIZABLE:
        return run(bench, "conditions", call, clients, ("--max-tries=1000",), synchronous_commit=sync, default_transaction_isolation="serializable")
    return run(bench, "conditions", call, clients, synchronous_commit=sync)


def settings_of_appends():
    return [(sync, clients, f"{clients} client{'s' if clients > 1 else ''}, synchronous_commit {sync}") for sync in ("off", "on") for clients in (1, 8)]


def table(section, caption, runs, base, unit="per second"):
    """Rates and CPU times, and their ratios to those of a contender."""
    section.table(caption, ["", unit, "lowest", "highest", f"x {base}", "CPU us", f"CPU of {base} / CPU"],
                  [[name, median([one.rate for one in own]), min(one.rate for one in own), max(one.rate for one in own), ratio(own, runs[base]),
                    median([one.cpu_us for one in own]), ratio(runs[base], own, lambda one: one.cpu_us)] for name, own in runs.items()])


def with_tags(bench, section):
    for sync, clients, said in settings_of_appends():
        runs = bench.interleaved({name: lambda call=call: run(bench, "conditions", call, clients, synchronous_commit=sync) for name, call in TAGS.items()})
        table(section, f"append_event, 1,000 streams, {said}", runs, "no tags")


def with_conditions(bench, section):
    for sync, clients, said in settings_of_appends():
        runs = bench.interleaved({name: lambda name=name, call=call: runner(bench, name, call, clients, sync) for name, call in CONDITIONS.items()})
        table(section, f"Conditions, {said}", runs, BASE)
    bench.check_versions("conditions")


def racers(bench, section):
    """Sixteen clients claim the same names in the same order: of each name there must be one event. (A claim that a client repeats after 40001 is for the next name.)"""
    names = 50 if bench.quick else 1000
    rows = []
    for name, function in CLAIMS.items():
        path = bench.cluster.write_script(f"\\set n :n + 1\nSELECT bench.{function}('{function}:' || :n::text, 'racer:' || :client_id::text);\n")
        serializable = name == SERIALIZABLE
        done = bench.cluster.pgbench(path, "conditions", RACERS, transactions=names, defines={"n": 0}, options=("--max-tries=100000",) if serializable else (),
                                     settings={"synchronous_commit": "off", **({"default_transaction_isolation": "serializable"} if serializable else {})})
        schema = {"claim": "events", "claim_gin": "bench_gin", "claim_lock": "bench_lock"}[function]
        taken, most = bench.cluster.psql(
            f"SELECT count(*), max(events) FROM (SELECT count(*) AS events FROM {schema}.event_store WHERE event_type = 'claimed' GROUP BY tags) t;", "conditions").split("|")
        if name == "append_if" and (int(taken), int(most)) != (names, 1):
            raise BenchError(f"{taken} of {names} names were taken, one of them {most} times")
        rows.append([name, f"{done.count:,}", f"{int(taken):,}", most, done.rate])
    section.table(f"{RACERS} racers for each name", ["", "claims", "names taken", "most events of a name", "claims per second"], rows)


def waits(bench, section):
    """How often a writer was seen to wait for a lock, in looks at all of them every five milliseconds."""
    rows = []
    for name in (contenders.NAMES["if_after"], TABLE_LOCK):
        watcher = bench.cluster.session("conditions")
        try:
            watcher.stdin.write("SELECT 'connected';\n")
            watcher.stdin.flush()
            watcher.stdout.readline()
            watcher.stdin.write(f"""
CREATE TEMP TABLE seen (writers bigint, waiting bigint, extending bigint);
DO $$ BEGIN
	FOR i IN 1 .. {200 * bench.seconds} LOOP
		PERFORM pg_stat_clear_snapshot();
		INSERT INTO seen SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock' AND wait_event <> 'extend'), count(*) FILTER (WHERE wait_event = 'extend')
			FROM pg_stat_activity WHERE application_name = 'pgbench' AND state = 'active';
		PERFORM pg_sleep(0.005);
	END LOOP;
END $$;
SELECT coalesce(sum(writers), 0), coalesce(sum(waiting), 0), coalesce(sum(extending), 0) FROM seen;
""")
            watcher.stdin.flush()
            done = run(bench, "conditions", CONDITIONS[name], 8)
            writers, waiting, extending = watcher.stdout.readline().strip().split("|")
        finally:
            watcher.stdin.close()
            watcher.wait(timeout=60)
        rows.append([name, f"{done.count:,}", "0", f"{int(writers):,}", f"{int(waiting):,}", f"{int(extending):,}"])
    section.text("Waits are those for any lock but that on a table's growth, which every INSERT takes for a moment. A client that meets an error ends the run.")
    section.table("8 clients whose conditions are disjoint", ["", "appends", "errors", "clients seen at work", "of these waiting", "waiting for a table to grow"], rows)


def fill_tagged(bench, database, events):
    """Events with three tags: one of an account, of which there are so many that each has a hundred events; one that every event has; one of its own."""
    bench.cluster.psql(f"""
SELECT count(*) FROM (SELECT g / 10000 AS batch, array_agg('user:' || g % 1000 ORDER BY g) AS streams,
		array_agg(jsonb_build_object('reading', g, 'value', 40 + g % 141, 'unit', 'bpm', 'quality', 'good', 'source', 'webhook') ORDER BY g) AS data,
		array_agg(jsonb_build_array('account:' || g % {events // READ}, 'unit=bpm', 'reading:' || g) ORDER BY g) AS tags
	FROM generate_series(0, {events - 1}) g GROUP BY 1 ORDER BY 1) b,
	LATERAL events.append_events(b.streams, array_fill({TYPE}::text, ARRAY[cardinality(b.streams)]), b.data, 'bench', p_tags => b.tags);
VACUUM ANALYZE;""", database)


def flat(bench, section, sizes):
    """The same calls in stores of different sizes."""
    databases = [f"size_{size}" for size in sizes]
    for database, size in zip(databases, sizes):
        bench.create(database)
        fill_tagged(bench, database, size)
    runs = bench.interleaved({(name, database): lambda call=call, database=database: run(bench, database, call, 1)
                              for name, call in FLAT.items() for database in databases})
    rows = []
    for name in FLAT:
        smallest = runs[name, databases[0]]
        row = [name, median([one.rate for one in smallest])]
        for database in databases[1:]:
            row += [ratio(smallest, runs[name, database]), ratio(runs[name, database], smallest, lambda one: one.cpu_us)]
        rows.append(row)
    head = ["", f"{sizes[0]:,} events, per second"] + [text for size in sizes[1:] for text in (f"cost at {size:,}", "CPU")]
    section.table("Flat: cost against that in the smallest store, 1 client", head, rows)


def reads(bench, section, database, events):
    """A hundred events of an account, against the same from a table that has the account in a column, by a plain index scan."""
    bench.cluster.psql(f"""
CREATE TABLE bench.plain AS SELECT 'account:' || (event_data ->> 'reading')::bigint % {events // READ} AS account, {COLUMNS} FROM events.event_store
	WHERE event_data ? 'reading' AND tags @> ARRAY['unit=bpm'] ORDER BY global_position;
CREATE INDEX ON bench.plain (account, global_position);
VACUUM ANALYZE bench.plain;""", database)
    draw = f"\\set a random(0, {events // READ - 1})\n"
    calls = {
        "plain index scan": f"SELECT {COLUMNS} FROM bench.plain WHERE account = 'account:' || :a::text ORDER BY global_position LIMIT {READ}",
        "read_by_query": f"SELECT * FROM events.read_by_query(('{{\"tags\": [\"account:' || :a::text || '\"]}}')::jsonb, p_limit => {READ})",
        "read_by_query, tag and type": "SELECT * FROM events.read_by_query(('{\"types\": [\"biometric_received\"], \"tags\": [\"account:' || :a::text || '\"]}')::jsonb, "
                                       f"p_limit => {READ})",
    }
    for name, call in calls.items():
        found = bench.cluster.psql(f"SELECT count(*) FROM ({call.replace(':a::text', '7')}) e;", database)
        if int(found) != READ:
            raise BenchError(f"{name} gives {found} events, not {READ}")

    def one(call):
        path = bench.cluster.write_script(draw + call + ";\n")
        return lambda: bench.undisturbed(lambda: bench.cluster.pgbench(path, database, 1, seconds=bench.seconds))
    runs = bench.interleaved({name: one(call) for name, call in calls.items()})
    table(section, f"{READ} events by a tag out of {events:,}", runs, "plain index scan", "reads per second")
