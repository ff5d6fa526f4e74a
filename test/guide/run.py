#!/usr/bin/env python3
"""Runs the integration guide's code (guide.py) against a server, through asyncpg, and prints TAP.

The server is that of PGHOST, PGPORT, PGUSER and PGDATABASE; the database gets the extension and a schema neuros.
"""

import asyncio
import json
import os
import pathlib
import sys
import uuid
from urllib.parse import quote

import asyncpg

import guide

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'python'))
from harness import Tap, explain, make_master_key_statement  # noqa: E402

TESTS = []


def test(name):
    """Registers a test; they run in the order of the file."""
    def register(function):
        TESTS.append((name, function))
        return function
    return register


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f'got {got!r}, wanted {wanted!r}')


class Sink:
    """Stands for the guide's websocket_manager: keeps what is sent, and lets a test wait for it."""

    def __init__(self):
        self.messages = asyncio.Queue()

    async def broadcast(self, message):
        await self.messages.put(message)

    def forget(self):
        while not self.messages.empty():
            self.messages.get_nowait()

    async def next(self):
        return await asyncio.wait_for(self.messages.get(), timeout=600)


class Dashboard(guide.DashboardWebSocket):
    """The guide's class with a socket that a test can read."""

    def __init__(self):
        self.sink = Sink()

    async def send_json(self, message):
        await self.sink.broadcast(message)


async def replay(db, stream):
    return await db.fetch('SELECT * FROM events.replay_stream($1)', stream)


# The tables that the guide's neighbours own: history rows, and rows of the current state.
TABLES = """
CREATE EXTENSION IF NOT EXISTS auren_events;
DROP SCHEMA IF EXISTS neuros CASCADE;
CREATE SCHEMA neuros;
CREATE TABLE neuros.mode_switches (
    user_id text NOT NULL, from_mode text, to_mode text NOT NULL, confidence_score numeric(4,3),
    switch_timestamp timestamptz NOT NULL DEFAULT now());
CREATE TRIGGER tell AFTER INSERT ON neuros.mode_switches
    FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
CREATE TABLE neuros.user_modes (user_id text PRIMARY KEY, current_mode text NOT NULL);
CREATE TRIGGER tell AFTER UPDATE ON neuros.user_modes
    FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
CREATE TABLE neuros.memory_moves (
    user_id text NOT NULL, memory_key text NOT NULL, from_tier text, to_tier text NOT NULL,
    operation_timestamp timestamptz NOT NULL DEFAULT now());
CREATE TRIGGER tell AFTER INSERT ON neuros.memory_moves
    FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
CREATE TABLE neuros.told_by_snippet (user_id text PRIMARY KEY, current_mode text NOT NULL);
CREATE FUNCTION neuros.tell() RETURNS trigger LANGUAGE plpgsql AS $tell$
BEGIN
""" + guide.SENDING_NOTIFICATIONS + """
    RETURN NULL;
END $tell$;
CREATE TRIGGER tell AFTER UPDATE ON neuros.told_by_snippet FOR EACH ROW EXECUTE FUNCTION neuros.tell();
INSERT INTO neuros.user_modes VALUES ('demo123', 'baseline');
INSERT INTO neuros.told_by_snippet VALUES ('demo123', 'baseline');
"""


@test('Appending Events: emit_event appends to the stream of the user')
async def _(db, sink):
    await guide.emit_event('demo123', 'user_registered', {'user_id': 'demo123', 'plan': 'trial'})
    await guide.emit_event('demo123', 'vitals_recorded', {'heart_rate': 65})
    await guide.emit_event('demo123', 'vitals_recorded', {'heart_rate': 85, 'reason': 'exercise_detected'})
    rows = await replay(db, 'user:demo123')
    same([(r['stream_version'], r['event_type'], r['created_by']) for r in rows],
         [(1, 'user_registered', 'biometric_api'), (2, 'vitals_recorded', 'biometric_api'),
          (3, 'vitals_recorded', 'biometric_api')])
    same(json.loads(rows[2]['event_data']), {'heart_rate': 85, 'reason': 'exercise_detected'})
    same(all(isinstance(r['event_id'], uuid.UUID) for r in rows), True)


@test('Replaying Events: rebuild_user_state folds the events in order')
async def _(db, sink):
    same(await guide.rebuild_user_state('demo123'),
         {'user_registered': {'user_id': 'demo123', 'plan': 'trial'},
          'vitals_recorded': {'heart_rate': 85, 'reason': 'exercise_detected'}})
    same(await guide.rebuild_user_state('nobody'), {})


@test('Getting Current State: the SQL gives what the replay gives')
async def _(db, sink):
    state = json.loads(await db.fetchval(guide.GET_CURRENT_STATE))
    same(state, await guide.rebuild_user_state('demo123'))


@test('Listener: a history row in the table of mode switches arrives on mode_switch')
async def _(db, sink):
    await db.execute("""INSERT INTO neuros.mode_switches (user_id, from_mode, to_mode, confidence_score)
                        VALUES ('demo123', 'baseline', 'recovery', 0.870)""")
    message = await sink.next()
    same(message['type'], 'mode_switch')
    same(sorted(message['data']), ['confidence', 'from_mode', 'timestamp', 'to_mode', 'user_id'])
    same({k: message['data'][k] for k in ('user_id', 'from_mode', 'to_mode', 'confidence')},
         {'user_id': 'demo123', 'from_mode': 'baseline', 'to_mode': 'recovery', 'confidence': 0.87})


@test('Listener: a changed current_mode arrives on mode_switch, an unchanged one does not')
async def _(db, sink):
    await db.execute("UPDATE neuros.user_modes SET current_mode = 'baseline' WHERE user_id = 'demo123'")
    await db.execute("UPDATE neuros.user_modes SET current_mode = 'focus' WHERE user_id = 'demo123'")
    message = await sink.next()
    same((message['type'], message['data']['from_mode'], message['data']['to_mode']), ('mode_switch', 'baseline', 'focus'))
    same(sink.messages.empty(), True)


@test('Listener: a row in the table of memory moves arrives on memory_tier_change')
async def _(db, sink):
    await db.execute("""INSERT INTO neuros.memory_moves (user_id, memory_key, from_tier, to_tier)
                        VALUES ('demo123', 'sleep/last_week', 'hot', 'warm')""")
    message = await sink.next()
    same(message['type'], 'memory_tier_change')
    same(sorted(message['data']), ['from_tier', 'memory_key', 'timestamp', 'to_tier', 'user_id'])
    same({k: v for k, v in message['data'].items() if k != 'timestamp'},
         {'user_id': 'demo123', 'memory_key': 'sleep/last_week', 'from_tier': 'hot', 'to_tier': 'warm'})


@test("Sending Notifications: the guide's own pg_notify in a trigger arrives too")
async def _(db, sink):
    await db.execute("UPDATE neuros.told_by_snippet SET current_mode = 'sleep' WHERE user_id = 'demo123'")
    message = await sink.next()
    same((message['type'], message['data']['user_id'], message['data']['to_mode']), ('mode_switch', 'demo123', 'sleep'))


@test("Webhook: 'user:' || $1 with untyped parameters appends")
async def _(db, sink):
    await guide.process_webhook('hook1', json.dumps({'heart_rate': 72, 'device': 'fitbit'}))
    rows = await replay(db, 'user:hook1')
    same([(r['event_type'], r['created_by'], json.loads(r['event_data'])) for r in rows],
         [('biometric_received', 'webhook_processor', {'heart_rate': 72, 'device': 'fitbit'})])


@test('Mode Switch Events: mode_switched is appended with its confidence and trigger')
async def _(db, sink):
    await guide.switch_mode('hook1', 'baseline', 'recovery', 0.91, 'hrv_drop')
    row = await db.fetchrow("SELECT * FROM events.last_event('user:hook1', 'mode_switched')")
    same((row['stream_version'], json.loads(row['event_data'])),
         (2, {'from_mode': 'baseline', 'to_mode': 'recovery', 'confidence': 0.91, 'trigger': 'hrv_drop'}))


@test('Use the New Indexes: this month has those that the guide names')
async def _(db, sink):
    names = [r['indexname'] for r in await db.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'events'")]
    month = await db.fetchval("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY_MM') FROM events.last_event('user:hook1')")
    for name in ('idx_event_store_created_at', 'idx_event_store_event_data_gin'):
        same(f'{name}_{month}' in names, True)


@test('Batch Event Writes: a transaction of emit_event is all there')
async def _(db, sink):
    await guide.write_batch([{'user_id': f'batch{n % 3}', 'type': 'reading_taken', 'data': {'n': n}} for n in range(30)])
    for user in range(3):
        rows = await replay(db, f'user:batch{user}')
        same([r['stream_version'] for r in rows], list(range(1, 11)))
        same([json.loads(r['event_data'])['n'] for r in rows], list(range(user, 30, 3)))


@test('Batch Event Writes: a transaction that fails leaves nothing')
async def _(db, sink):
    batch = [{'user_id': 'undone', 'type': 'reading_taken', 'data': {'n': 1}},
             {'user_id': 'undone', 'type': '', 'data': {}}]
    try:
        await guide.write_batch(batch)
    except asyncpg.PostgresError as error:
        same(error.sqlstate, '22023')
    else:
        raise AssertionError('an empty event type was taken')
    same(await replay(db, 'user:undone'), [])
    same(await db.fetchval("SELECT events.stream_version('user:undone')"), None)


@test('Use Prepared Statements: one statement appends many times')
async def _(db, sink):
    rows = [('device:abc', 'device_connected', json.dumps({'n': n}), 'gateway') for n in range(20)]
    results = await guide.write_prepared(db, rows)
    ids = [r['event_id'] for r in await replay(db, 'device:abc')]
    same([result[0]['append_event'] for result in results], ids)
    same(len(set(ids)), 20)


@test('WebSocket pattern: a dashboard with a connection of its own is told')
async def _(db, sink):
    dashboard = Dashboard()
    await dashboard.connect()
    try:
        await db.execute("""INSERT INTO neuros.mode_switches (user_id, from_mode, to_mode, confidence_score)
                            VALUES ('demo123', 'focus', 'rest', 1)""")
        message = await dashboard.sink.next()
        same((message['event'], message['data']['to_mode']), ('mode_switch', 'rest'))
        same((await sink.next())['data']['to_mode'], 'rest')
    finally:
        await dashboard.db_conn.close()


@test('Error Handling: an event cannot be updated, a correction is appended')
async def _(db, sink):
    try:
        await db.execute("UPDATE events.event_store SET event_data = '{}' WHERE stream_id = 'user:hook1'")
    except asyncpg.PostgresError as error:
        same(error.sqlstate, 'ZE003')
    else:
        raise AssertionError('an event was updated')
    await guide.emit_event('hook1', 'reading_corrected', {'previous_value': 72, 'new_value': 74, 'reason': 'sensor_drift'})
    same((await guide.rebuild_user_state('hook1'))['reading_corrected']['new_value'], 74)


@test('Using Materialized Views: the average of seven days, before the refresh and after it')
async def _(db, sink):
    await db.execute("""INSERT INTO biometric.biometric_events (user_id, device_type, metric_type, value, timestamp)
                        SELECT 'demo123', device, 'heart_rate', value, now() - days * interval '1 day'
                        FROM (VALUES ('ring', 60, 1), ('ring', 70, 1), ('watch', 80, 1), ('ring', 90, 2), ('ring', 99, 20)) v (device, value, days)""")
    # the guide averages the averages of the devices
    before = await db.fetch(guide.QUERYING_AGGREGATED_DATA)
    same([row['avg_hr'] for row in before], [90, 72.5])
    same(await db.fetchval(guide.REFRESHING_VIEWS) > 0, True)
    same(await db.fetch(guide.QUERYING_AGGREGATED_DATA), before)


@test('Section 9 Security Integration: an encrypted field in an event')
async def _(db, sink):
    # a master key in the server's own directory, as its configuration may name one
    await db.execute("LOAD 'auren_events'")
    await db.execute(make_master_key_statement('auren_events_guide_keys'))
    await db.execute("ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_guide_keys'")
    try:
        await db.execute('SELECT pg_reload_conf()')
        for _ in range(100):
            if await db.fetchval("SELECT current_setting('auren_events.master_key_file')") == 'auren_events_guide_keys':
                break
            await asyncio.sleep(0.1)
        await guide.store_encrypted(72, 'phi1', '2025-01-29T10:00:00Z', 'oura')
        data = json.loads((await replay(db, 'user:phi1'))[0]['event_data'])
        same((data['timestamp'], data['device']), ('2025-01-29T10:00:00Z', 'oura'))
        same(data['heart_rate'].startswith('phi1:'), True)
        same(await db.fetchval('SELECT encrypted.decrypt_phi_field($1, $2)', data['heart_rate'], 'phi1'), '72')
    finally:
        await db.execute('ALTER SYSTEM RESET auren_events.master_key_file')
        await db.execute('SELECT pg_reload_conf()')


async def main():
    host, port = os.environ['PGHOST'], os.environ.get('PGPORT', '5432')
    user, database = os.environ.get('PGUSER', 'postgres'), os.environ.get('PGDATABASE', 'postgres')
    guide.DATABASE_URL = f'postgresql://{quote(user)}@/{quote(database)}?host={quote(host)}&port={port}'

    db = guide.db = await asyncpg.connect(guide.DATABASE_URL)
    listening = await asyncpg.connect(guide.DATABASE_URL)
    sink = guide.websocket_manager = Sink()
    tap = Tap()
    try:
        await db.execute('SET client_min_messages = warning')
        await db.execute(TABLES)
        await guide.setup_listeners(listening)
        for name, function in TESTS:
            sink.forget()  # what a failed test left
            try:
                await function(db, sink)
                tap.passed(name)
            except Exception as error:  # each test tells by itself
                tap.broken(name, explain(error))
    finally:
        await listening.close()
        await db.close()
    return tap.end()


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
