#!/usr/bin/env python3
"""A run of some minutes on the readings of data/, watched by Prometheus, and the dashboard's queries drawn by gnuplot. scripts/plots starts it.

The run is in twelve parts of the same length. doc/monitoring.md tells beside the pictures what happens in each.
"""

import asyncio
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import asyncpg

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'python'))
from watching import Exporter, Missing, Prometheus, end_with_signals, filled_in, panels, wait_for  # noqa: E402

PROJECT = HERE.parent.parent
WORK = os.environ['AUREN_WORK']
USER = os.environ['AUREN_SERVER_USER']
WEARER = 'user:2022484408'
PARTS = 12
# The pictures, each with titles of panels from the dashboard.
PICTURES = {
    'checks': ['Checks'],
    'appends': ['Events a second', 'Appends that failed, a second', 'Events a second, by tenant'],
    'feed': ['Growth of the feed, positions a second', 'Transactions that append', 'Age of the oldest of them'],
    'subscriptions': ['Events that are not done', 'Age of the oldest event that is not done', 'Events that failed'],
    'reads': ['Events read a second', 'States a second', 'Values encrypted and decrypted, a second'],
    'store': ['Bytes of months', 'Bytes by tenant and category', 'What the figures cost'],
}
UNITS = {'cps': ('a second', 1, '%g'), 's': ('seconds', 1, '%g'), 'bytes': ('MB', 1e-6, '%g'), 'none': ('', 1, '%g'), 'percentunit': ('%', 100, '%g')}
COLORS = ['#2f6fb0', '#c8641c', '#3c8c4b', '#8a4fa3', '#b03a48', '#6b6b6b', '#b59a1d', '#2a9d9d']


# ---- the run -------------------------------------------------------------------------------------------------------------


class Run:
    """Which part of the run it is, and connections to the store."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.began = time.time()

    def part(self):
        return (time.time() - self.began) * PARTS / self.seconds

    def over(self):
        return self.part() >= PARTS

    def within(self, first, last):
        return first <= self.part() < last

    async def until(self, part):
        await asyncio.sleep(max(0, self.began + part * self.seconds / PARTS - time.time()))

    @staticmethod
    async def connect(role='postgres', **settings):
        return await asyncpg.connect(host=os.environ['PGHOST'], port=int(os.environ['PGPORT']), user=role, database='coach', server_settings=settings)


def readings(name):
    with open(PROJECT / 'data' / name, encoding='utf-8') as source:
        return list(csv.DictReader(source))


async def wearable(run, tenant, pause):
    """A device that sends one heart rate after the other, faster in the middle of the run."""
    connection = await run.connect(**{'app.tenant_id': tenant})
    for reading in readings('fitbit_heartrate_seconds.csv') * 20:
        if run.over():
            break
        await connection.execute('SELECT events.append_event($1, $2, $3)', WEARER, 'biometric_received',
                                 json.dumps({'heart_rate': int(reading['Value']), 'device': 'fitbit'}))
        await asyncio.sleep(pause * (1.5 - min(run.part(), PARTS - run.part()) / PARTS * 2))


async def days(run):
    """The days of activity of all wearers, fifty in a call, in the second and third part."""
    connection = await run.connect(**{'app.tenant_id': 'clinic'})
    rows = readings('fitbit_daily_activity.csv')
    await run.until(1)
    for first in range(0, len(rows), 50):
        chunk = rows[first:first + 50]
        await connection.execute('SELECT count(*) FROM events.append_events($1, $2, $3)', ['user:' + row['Id'] for row in chunk], ['day_recorded'] * len(chunk),
                                 [json.dumps({'steps': int(row['TotalSteps']), 'calories': int(row['Calories'])}) for row in chunk])
        await asyncio.sleep(run.seconds * 2 / PARTS / (len(rows) / 50))


async def rivals(run):
    """Two services that saw the same version: one of them is refused."""
    connection = await run.connect()
    await run.until(3)
    while run.within(3, 4):
        version = await connection.fetchval("SELECT events.stream_version('goal:1')")
        for _ in range(2):
            try:
                await connection.execute("SELECT events.append_event('goal:1', 'goal_moved', '{}', p_expected_version => $1)", version)
            except asyncpg.PostgresError:
                await asyncio.sleep(0.1)


async def consumer(run, name):
    """A consumer, which is stopped in the fifth and sixth part, and cannot handle what a broken device sends."""
    connection = await run.connect()
    while not run.over():
        if run.within(4, 6):
            await run.until(6)
        async with connection.transaction():
            batch = await connection.fetch("SELECT global_position, event_type, failed_attempts FROM events.fetch('coach', $1, 100)", name)
            for event in batch:
                if event['event_type'] == 'device_broken':
                    await connection.execute("SELECT events.retry('coach', $1, $2, '2 seconds', 'no such device')", name, event['global_position'])
            good = [event['global_position'] for event in batch if event['event_type'] != 'device_broken']
            if good:
                await connection.execute("SELECT events.acknowledge('coach', $1, $2)", name, max(good))
        await asyncio.sleep(0.3 if batch else 0.5)


async def forgetful(run):
    """A session that appends and then sleeps in its transaction, for two and a half parts."""
    connection = await run.connect()
    await run.until(7)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT events.append_event('device:1', 'device_broken', '{}')")
    await run.until(9.5)
    await transaction.commit()


async def readers(run):
    """Screens that show a wearer's state and the last events; most of them in the last quarter."""
    connection = await run.connect()
    await run.until(0.5)
    while not run.over():
        await connection.fetchval('SELECT events.get_stream_state($1)', WEARER)
        await connection.fetch('SELECT * FROM events.replay_stream_backward($1) LIMIT 50', WEARER)
        await asyncio.sleep(0.05 if run.part() > 9 else 0.4)


async def doctor(run):
    """Notes that a rule encrypts, and a doctor who reads them."""
    connection = await run.connect()
    count = 0
    while not run.over():
        count += 1
        await connection.execute("SELECT events.append_event('patient:' || $1::text, 'note_taken', '{\"note\": \"slept badly\"}')", str(count % 20))
        if run.part() > 6:
            await connection.fetch("SELECT * FROM events.replay_stream_decrypted('patient:' || $1::text)", str(count % 20))
        await asyncio.sleep(0.5)


async def caretaker(run):
    """Refreshes the metrics twice, and once sets what should not be set."""
    connection = await run.connect()
    for part in (2, 8):
        await run.until(part)
        await connection.execute('SELECT analytics.refresh_user_metrics()')
    await run.until(10)
    await connection.execute('ALTER SYSTEM SET full_page_writes = off')
    await connection.execute('SELECT pg_reload_conf()')
    await run.until(11)
    await connection.execute('ALTER SYSTEM RESET full_page_writes')
    await connection.execute('SELECT pg_reload_conf()')


async def tell(run):
    while not run.over():
        print(f'\r  {run.part() * 100 / PARTS:3.0f} % of {run.seconds} seconds', end='', flush=True)
        await asyncio.sleep(1)
    print()


async def play(run):
    await asyncio.gather(wearable(run, 'default', 0.03), wearable(run, 'clinic', 0.06), days(run), rivals(run), consumer(run, 'worker-1'),
                         consumer(run, 'worker-2'), forgetful(run), readers(run), doctor(run), caretaker(run), tell(run))


def make_store():
    def psql(database, *arguments):
        subprocess.run(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, *arguments], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, timeout=600)
    psql('postgres', '-c', 'CREATE DATABASE coach', '-c', 'CREATE ROLE prometheus LOGIN')
    psql('coach', '-c', 'SET client_min_messages = warning; CREATE EXTENSION auren_events', '-v', 'role=prometheus', '-f', str(PROJECT / 'monitoring' / 'grants.sql'),
         '-c', 'SELECT events.create_monthly_partitions(3)', '-c', "SELECT events.create_subscription('coach', p_shares => 4, p_max_attempts => 5)",
         '-c', "SELECT encrypted.add_rule('note_taken', '{/note}', 'patient:*')",
         '-c', "SELECT analytics.attach_events('biometric_received', '{\"heart_rate\": \"heart_rate\"}', p_device_field => 'device')",
         '-c', "SELECT pg_create_physical_replication_slot('standby', true)")


# ---- the pictures --------------------------------------------------------------------------------------------------------


def legend(template, metric):
    for label, value in metric.items():
        template = template.replace('{{' + label + '}}', value)
    return template


def samples(prometheus, panel, run):
    """The series of a panel: its legend, and pairs of the minute since the run began and the value."""
    unit = panel['fieldConfig']['defaults'].get('unit', 'none')
    found = []
    for target in panel['targets']:
        for series in prometheus.query_range(filled_in(target['expr'], 'coach', '10s'), run.began, run.began + run.seconds, 4):
            pairs = [((float(at) - run.began) / 60, float(value) * UNITS[unit][1]) for at, value in series['values'] if value != 'NaN']
            if pairs:
                found.append((legend(target['legendFormat'], series['metric']), pairs))
    return found


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def plot_lines(panel, series):
    unit = panel['fieldConfig']['defaults'].get('unit', 'none')
    lines = [f'set title {quoted(panel["title"])}', f'set ylabel {quoted(UNITS[unit][0])}', f'set format y {quoted(UNITS[unit][2])}',
             'set yrange [0:*]' if any(value for _, pairs in series for _, value in pairs) else 'set yrange [0:1]']
    parts = [f"'-' using 1:2 with lines linewidth 1.5 linecolor rgb '{COLORS[number % len(COLORS)]}' title {quoted(name)}" for number, (name, _) in enumerate(series)]
    lines.append('plot ' + ', '.join(parts))
    for _, pairs in series:
        # of a value that stays the same, the first and the last point
        turns = [pair for number, pair in enumerate(pairs)
                 if not 0 < number < len(pairs) - 1 or not pairs[number - 1][1] == pair[1] == pairs[number + 1][1]]
        lines += [f'{x:.3f} {y:.6g}' for x, y in turns] + ['e']
    return lines


def stretches(pairs, end):
    """The times in which a value stays the same: from, to, value."""
    found = []
    for at, value in pairs:
        if found and found[-1][2] == value:
            continue
        if found:
            found[-1][1] = at
        found.append([at, end, value])
    return found


def plot_checks(panel, series, end):
    """A line for each check, green where it is well and red where it is not."""
    names = sorted((name for name, _ in series), reverse=True)
    rows = {name: number for number, name in enumerate(names)}
    ticks = ', '.join(f'{quoted(name)} {number}' for name, number in rows.items())
    lines = [f'set title {quoted(panel["title"])}', f'set ytics ({ticks})', f'set yrange [-0.7:{len(names) - 0.3}]', 'unset ylabel', 'set grid noytics', 'set lmargin 18']
    lines.append("plot '-' using 1:2:3:4 with vectors nohead linewidth 7 linecolor rgb '#3c8c4b' title 'well', "
                 "'-' using 1:2:3:4 with vectors nohead linewidth 7 linecolor rgb '#c03434' title 'fails'")
    for state in (1, 0):
        for name, pairs in series:
            lines += [f'{since:.3f} {rows[name]} {until - since:.3f} 0' for since, until, value in stretches(pairs, end) if value == state]
        lines.append('e')
    return lines


def slim(picture):
    """The picture without empty groups, unused symbols and more digits than a screen shows, and with fonts for who lacks the first one."""
    picture = re.sub(r'<defs>.*?</defs>', '', picture, flags=re.DOTALL)
    picture = re.sub(r"(?<= d=').*?(?=')", lambda path: re.sub(r'\s+', ' ', re.sub(r'(\d+\.\d)\d', r'\1', path[0])).strip(), picture, flags=re.DOTALL)
    picture = re.sub(r'\s*<g [^>]*>\s*</g>', '', picture)
    picture = re.sub(r'\n\s*', '\n', picture)
    # what holds without being said
    picture = picture.replace(' stroke-linecap="butt" stroke-linejoin="miter"', '').replace(' stroke-width="1.00"', '')
    return picture.replace('font-family="DejaVu Sans"', 'font-family="DejaVu Sans, Verdana, sans-serif"')


def draw(prometheus, run, folder):
    by_title = {panel['title']: panel for panel in panels(PROJECT / 'monitoring' / 'dashboard.json')}
    minutes = run.seconds / 60
    for name, titles in PICTURES.items():
        checks = titles == ['Checks']
        width, height = (900, 500) if checks else (1260, 320)
        path = folder / f'{name}.svg'
        lines = [f"set terminal svg size {width},{height} font 'DejaVu Sans,11' background 'white' noenhanced", f'set output {quoted(str(path))}',
                 f'set xrange [0:{minutes:g}]', "set xlabel 'minutes' offset 0,0.6", "set grid linetype 1 linecolor rgb '#e4e4e4' linewidth 0.7", 'set border 3', 'set tics nomirror',
                 'set key bmargin center horizontal samplen 1.5 width -1', 'set bmargin 5', f'set multiplot layout 1,{len(titles)}']
        for title in titles:
            series = samples(prometheus, by_title[title], run)
            if not series:
                raise Missing(f'there is no data for "{title}"')
            lines += plot_checks(by_title[title], series, minutes) if checks else plot_lines(by_title[title], series)
        lines.append('unset multiplot')
        subprocess.run(['gnuplot', '-'], input='\n'.join(lines) + '\n', text=True, check=True, timeout=120)
        path.write_text(slim(path.read_text(encoding='utf-8')), encoding='utf-8')


def main():
    end_with_signals()
    seconds, folder = int(sys.argv[1]) * 60, pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    exporter, prometheus = Exporter(WORK, USER), Prometheus(WORK, USER)
    make_store()
    try:
        exporter.watch(f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user=prometheus dbname=coach sslmode=disable", f'{WORK}/queries.yaml')
        rules = pathlib.Path(WORK, 'rules.yaml')
        rules.write_text((PROJECT / 'monitoring' / 'alerts.yaml').read_text(encoding='utf-8'), encoding='utf-8')
        prometheus.scrape(exporter.port, rules, '2s')
        wait_for('a scrape', lambda: prometheus.query('auren_events_check_ok'))
        run = Run(seconds)
        asyncio.run(play(run))
        draw(prometheus, run, folder)
    finally:
        prometheus.stop()
        exporter.stop()


if __name__ == '__main__':
    main()
