"""The claims of README.md through psycopg 3."""

import json
import os
import time
import uuid

import psycopg
from psycopg.types.json import Jsonb

LABEL, WAY = os.environ['DRIVERS_LABEL'], os.environ['DRIVERS_WAY']
# Behind a pooler in transaction mode a statement that was prepared may be on another connection of the server.
OPTIONS = {'prepare_threshold': None} if WAY == 'transaction' else {'prepare_threshold': 2}


# shown in doc/drivers.md: begin
def append(db, stream, kind, data, expected=None):
    """Gives the event's id. psycopg.Error has sqlstate, and diag.message_detail and diag.message_hint."""
    return db.execute('SELECT events.append_event(%s, %s, %s, p_expected_version := %s)', (stream, kind, Jsonb(data), expected)).fetchone()[0]


def replay(db, stream):
    with db.transaction(), db.cursor(name='replay') as cursor:
        cursor.itersize = 100
        yield from cursor.execute('SELECT stream_version, event_data FROM events.replay_stream(%s)', (stream,))


def listen(db):
    """After LISTEN mode_switch: gives what is told, without an end. The connection is one with autocommit."""
    for told in db.notifies():
        yield json.loads(told.payload)


def work(db, subscription, worker, handle):
    """One round: gives how many events were handled. Call it again at once if some were, else after a while."""
    with db.transaction():
        events = db.execute('SELECT global_position, event_data FROM events.fetch(%s, %s)', (subscription, worker)).fetchall()
        for position, data in events:
            handle(data)
        if events:
            db.execute('SELECT events.acknowledge(%s, %s, %s)', (subscription, worker, events[-1][0]))
    return len(events)
# shown in doc/drivers.md: end


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f'got {got!r}, wanted {wanted!r}')


def fails(state, detail, hint, call, *arguments):
    try:
        call(*arguments)
    except psycopg.Error as error:
        same((error.sqlstate, error.diag.message_detail, error.diag.message_hint), (state, detail, hint))
    else:
        raise AssertionError(f'nothing was raised, wanted {state}')


def append_first(db):
    stream = f'{LABEL}:a'
    same(type(append(db, stream, 'vitals_recorded', {'n': 1})), uuid.UUID)
    append(db, stream, 'vitals_recorded', {'n': 2}, 1)
    append(db, stream, 'vitals_recorded', {'n': 3}, -1)


def replay_all(db):
    same(list(replay(db, f'{LABEL}:a')), [(1, {'n': 1}), (2, {'n': 2}), (3, {'n': 3})])
    same(list(replay(db, f'{LABEL}:nothing')), [])


def state(db):
    same(db.execute('SELECT events.get_stream_state(%s)', (f'{LABEL}:a',)).fetchone()[0], {'vitals_recorded': {'n': 3}})


def webhook(db):
    db.execute("SELECT events.append_event('hook:' || %s, 'biometric_received', %s::jsonb, 'webhook_processor')", (LABEL, '{"heart_rate": 72}'))
    same(list(replay(db, f'hook:{LABEL}')), [(1, {'heart_rate': 72})])


def many_times(db):
    with db.transaction():
        for n in range(20):
            db.execute('SELECT events.append_event(%s, %s, %s)', (f'{LABEL}:many', 'vitals_recorded', Jsonb({'n': n})))
    same(list(replay(db, f'{LABEL}:many')), [(n + 1, {'n': n}) for n in range(20)])


def stale(db):
    fails('ZE001', 'Expected version 1, actual version 3.', 'Read the stream again, decide again, and append with the version read.',
          append, db, f'{LABEL}:a', 'vitals_recorded', {}, 1)


def other_content(db):
    used = append(db, f'{LABEL}:id', 'vitals_recorded', {'n': 1})
    fails('ZE002', 'An event with this id exists; its stream, type, data, metadata, tags or created_by differs.',
          'Give a new event a new id; repeat an append with exactly what it was called with first.',
          db.execute, 'SELECT events.append_event(%s, %s, %s, p_event_id := %s)', (f'{LABEL}:id', 'vitals_recorded', Jsonb({'n': 2}), used))


def empty_name(db):
    fails('22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.', append, db, f'{LABEL}:a', '', {})


def batch(db):
    rows = db.execute('SELECT stream_id, stream_version FROM events.append_events(%s, %s, %s)',
                      ([f'{LABEL}:b1', f'{LABEL}:b2', f'{LABEL}:b1'], ['reading_taken'] * 3, [Jsonb({'n': n}) for n in (1, 2, '"é\\')])).fetchall()
    same(rows, [(f'{LABEL}:b1', 1), (f'{LABEL}:b2', 1), (f'{LABEL}:b1', 2)])
    same(list(replay(db, f'{LABEL}:b1')), [(1, {'n': 1}), (2, {'n': '"é\\'})])


def undone(db):
    try:
        with db.transaction():
            append(db, f'{LABEL}:undone', 'reading_taken', {})
            append(db, f'{LABEL}:undone', '', {})
    except psycopg.Error as error:
        same(error.sqlstate, '22023')
    same(list(replay(db, f'{LABEL}:undone')), [])


def pieces(db):
    with db.transaction(), db.cursor(name='pieces') as cursor:
        cursor.execute('SELECT stream_version FROM events.replay_stream(%s)', (f'{LABEL}:many',))
        same([len(cursor.fetchmany(8)) for _ in range(4)], [8, 8, 4, 0])


def listener(db):
    with psycopg.connect(port=os.environ['DRIVERS_LISTEN_PORT'], autocommit=True) as listening:
        listening.execute('LISTEN mode_switch')
        db.execute("INSERT INTO mode_history VALUES (%s, 'baseline', 'recovery', 0.87)", (LABEL,))
        data = next(listen(listening))
        same((data['user_id'], data['from_mode'], data['to_mode'], data['confidence']), (LABEL, 'baseline', 'recovery', 0.87))


def tenant(db):
    with db.transaction():
        db.execute("SET LOCAL app.tenant_id = 'acme'")
        append(db, f'{LABEL}:a', 'seen', {'tenant': 'acme'})
        same(list(replay(db, f'{LABEL}:a')), [(1, {'tenant': 'acme'})])
    same(len(list(replay(db, f'{LABEL}:a'))), 3)


def worked(db, worker, count):
    handled = []
    while len(handled) < count:
        if not work(db, LABEL, worker, lambda data: handled.append(data['n'])):
            time.sleep(0.02)
    return handled


def worker(db):
    for n in (1, 2, 3):
        append(db, f'{LABEL}:work', 'task_given', {'n': n})
    same(worked(db, 'one', 3), [1, 2, 3])
    same(work(db, LABEL, 'one', print), 0)


def take_over(db):
    for n in (4, 5):
        append(db, f'{LABEL}:work', 'task_given', {'n': n})
    positions = []
    while len(positions) < 2:
        positions = [row[0] for row in db.execute("SELECT global_position FROM events.fetch(%s, 'one')", (LABEL,))]
    same(worked(db, 'two', 2), [4, 5])
    fails('ZE005', 'It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.',
          'Fetch again, and take what comes as not done before.',
          db.execute, "SELECT events.acknowledge(%s, 'one', %s)", (LABEL, positions[1]))


CLAIMS = {
    'an append returns the id of its event': append_first,
    'a stream is replayed in order': replay_all,
    'the state of a stream is read': state,
    'the data of a webhook is appended': webhook,
    'one statement appends many times': many_times,
    'a stale version is ZE001, with DETAIL and HINT': stale,
    'an id with other content is ZE002, with DETAIL and HINT': other_content,
    'an empty name is 22023, with DETAIL and HINT': empty_name,
    'a batch is there as a whole': batch,
    'a transaction that fails leaves nothing': undone,
    'a cursor gives a stream in pieces': pieces,
    'a listener is told of a mode switch': listener,
    'a tenant named by SET LOCAL ends with its transaction': tenant,
    'a worker is given each event once': worker,
    'a second worker takes over when the first is gone': take_over,
}

with psycopg.connect(autocommit=True, **OPTIONS) as connection:
    for name, claim in CLAIMS.items():
        try:
            claim(connection)
            print(f'ok - {name}', flush=True)
        except Exception as error:  # each claim tells by itself
            print(f'not ok - {name}\n# {type(error).__name__}: {error}', flush=True)
