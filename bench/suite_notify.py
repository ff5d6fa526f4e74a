"""Notifications of appended events: what they cost the appends, and how soon they come."""

import os
import subprocess
import sys
import threading

import contenders
import listeners
from report import Section, median, ratio

LISTENERS = (0, 1, 50)
CONTENDERS = {
    "no rule": ("notify_none", contenders.CALLS["ours"], {}),
    "a rule": ("notify_rule", contenders.CALLS["ours"], {}),
    "a rule, auren_events.notifier off": ("notify_rule", contenders.CALLS["ours"], {"auren_events.notifier": "off"}),
    "no rule, pg_notify in each commit": ("notify_none", contenders.CALLS["ours"] + ", pg_notify('all', :v::text)", {}),
}


class Listening:
    """Some listeners on a channel of a database, in a process of their own."""

    def __init__(self, bench, database, count):
        self.process = subprocess.Popen([sys.executable, "-B", os.path.join(contenders.HERE, "listeners.py"), database, "all", str(count)],
                                        env=bench.cluster.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "listening":
            raise contenders.BenchError("the listeners did not start")

    def end(self):
        """How many notifications they heard."""
        self.process.stdin.close()
        heard = int(self.process.stdout.read())
        self.process.wait(timeout=30)
        return heard


def notify(bench):
    """Appends with a rule and without, with and without listeners; from commit to receipt."""
    section = Section("notify", "Notifications of events")
    section.text(bench.settings_line(clients=8, streams=1000, seconds_per_run=bench.seconds, rounds=bench.rounds) + "\n\n"
                 "The rule tells every event on one channel. The listeners are one process that does nothing but receive, on the same machine. "
                 "Heard is how many notifications one of them got in a second.")
    for database in ("notify_none", "notify_rule"):
        bench.create(database)
        bench.fill(database, [], 1000, 10)
    bench.cluster.psql("SELECT events.add_notification_rule(NULL, 'all');", "notify_rule")
    for sync in ("off", "on"):
        for count in LISTENERS:
            rates(bench, section, sync, count)
    quick(bench, section)
    return section


def rates(bench, section, sync, count):
    heard = {name: [] for name in CONTENDERS}

    def runner(name):
        database, call, settings = CONTENDERS[name]
        path = bench.cluster.write_script(contenders.DRAW.format(stream=contenders.RANDOM_STREAM) + call + ";\n")

        def attempt():
            bench.cluster.psql("SELECT bench.clean_pending();", database)
            listening = Listening(bench, database, count)
            try:
                done = bench.cluster.pgbench(path, database, 8, seconds=bench.seconds, defines=bench.defines(8, 1000),
                                             settings={"synchronous_commit": sync, **settings})
            finally:
                came = listening.end()
            heard[name].append(came / max(count, 1) / bench.seconds)
            return done
        return lambda: bench.undisturbed(attempt)

    runs = bench.interleaved({name: runner(name) for name in CONTENDERS})
    section.table(f"{count} listener{'' if count == 1 else 's'}, synchronous_commit {sync}", ["", "appends per second", "x no rule", "heard per second"],
                  [[name, median([r.rate for r in runs[name]]), ratio(runs[name], runs["no rule"]), median(heard[name])] for name in runs])


def quick(bench, section):
    count = 100 if bench.quick else 1000
    rows = []

    def row(name, seconds):
        seconds.sort()
        rows.append([name, median(seconds) * 1e3, seconds[len(seconds) * 95 // 100] * 1e3, seconds[-1] * 1e3])

    env = bench.cluster.env
    listeners.latencies(env, "notify_rule", "all", 1, 0.2)  # the notifier runs from here on
    row("an append every 10 ms", listeners.latencies(env, "notify_rule", "all", count, 0.01))
    row("one append behind the other", listeners.latencies(env, "notify_rule", "all", count, 0))
    path = bench.cluster.write_script(contenders.DRAW.format(stream=contenders.RANDOM_STREAM) + contenders.CALLS["ours"] + ";\n")
    load = threading.Thread(target=bench.cluster.pgbench, args=(path, "notify_rule", 8),
                            kwargs={"seconds": 3 if bench.quick else 15, "defines": bench.defines(8, 1000),
                                    "settings": {"synchronous_commit": "off"}})
    load.start()
    row("while 8 clients append", listeners.latencies(env, "notify_rule", "all", count // 2, 0.01))
    load.join()
    bench.cluster.psql("LOAD 'auren_events'; ALTER SYSTEM SET auren_events.notifier = off; SELECT pg_reload_conf();")
    row("an append every 10 ms, auren_events.notifier off", listeners.latencies(env, "notify_rule", "all", count, 0.01))
    section.table("From the commit's answer to the receipt, milliseconds", ["", "median", "95 of 100", "longest"], rows)
