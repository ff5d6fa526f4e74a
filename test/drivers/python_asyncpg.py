"""The claims of README.md through asyncpg."""

import asyncio
import json
import os

import asyncpg

LABEL, WAY = os.environ['DRIVERS_LABEL'], os.environ['DRIVERS_WAY']
# Behind a pooler in transaction mode a statement that was prepared may be on another connection of the server.
OPTIONS = {'statement_cache_size': 0} if WAY == 'transaction' else {}


# shown in doc/drivers.md: begin
async def append(db, stream, kind, data, expected=None):
    """Gives the event's id. asyncpg.PostgresError has sqlstate, detail and hint."""
    return await db.fetchval('SELECT events.append_event($1, $2, $3, p_expected_version := $4)', stream, kind, json.dumps(data), expected)


async def replay(db, stream):
    async with db.transaction():
        async for event in db.cursor('SELECT stream_version, event_data FROM events.replay_stream($1)', stream, prefetch=100):
            yield event['stream_version'], json.loads(event['event_data'])


async def listen(db, tell):
    await db.add_listener('mode_switch', lambda connection, pid, channel, payload: tell(json.loads(payload)))


async def work(db, subscription, worker, handle):
    """One round: gives how many events were handled. Call it again at once if some were, else after a while."""
    async with db.transaction():
        events = await db.fetch('SELECT global_position, event_data FROM events.fetch($1, $2)', subscription, worker)
        for event in events:
            handle(json.loads(event['event_data']))
        if events:
            await db.execute('SELECT events.acknowledge($1, $2, $3)', subscription, worker, events[-1]['global_position'])
    return len(events)
# shown in doc/drivers.md: end


class InTransactions:
    """A connection each of whose calls is in a transaction: asyncpg prepares a statement in one step and runs it in another, between which a pooler
    in transaction mode may else change the connection of the server."""

    def __init__(self, db):
        self.db = db

    def __getattr__(self, name):
        called = getattr(self.db, name)
        if name not in ('fetch', 'fetchval', 'execute', 'executemany'):
            return called

        async def within(*values):
            async with self.db.transaction():
                return await called(*values)
        return within


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f'got {got!r}, wanted {wanted!r}')


async def fails(call, state, detail, hint):
    try:
        await call
    except asyncpg.PostgresError as error:
        same((error.sqlstate, error.detail, error.hint), (state, detail, hint))
    else:
        raise AssertionError(f'nothing was raised, wanted {state}')


async def everything(db, stream):
    return [event async for event in replay(db, stream)]


async def append_first(db):
    stream = f'{LABEL}:a'
    same(type(await append(db, stream, 'vitals_recorded', {'n': 1})), asyncpg.pgproto.pgproto.UUID)
    await append(db, stream, 'vitals_recorded', {'n': 2}, 1)
    await append(db, stream, 'vitals_recorded', {'n': 3}, -1)


async def replay_all(db):
    same(await everything(db, f'{LABEL}:a'), [(1, {'n': 1}), (2, {'n': 2}), (3, {'n': 3})])
    same(await everything(db, f'{LABEL}:nothing'), [])


async def state(db):
    same(json.loads(await db.fetchval('SELECT events.get_stream_state($1)', f'{LABEL}:a')), {'vitals_recorded': {'n': 3}})


async def webhook(db):
    await db.execute("SELECT events.append_event('hook:' || $1, 'biometric_received', $2::jsonb, 'webhook_processor')", LABEL, '{"heart_rate": 72}')
    same(await everything(db, f'hook:{LABEL}'), [(1, {'heart_rate': 72})])


async def many_times(db):
    call, values = 'SELECT events.append_event($1, $2, $3)', [(f'{LABEL}:many', 'vitals_recorded', json.dumps({'n': n})) for n in range(20)]
    if WAY == 'transaction':
        await db.executemany(call, values)  # db.prepare gives the statement a name
    else:
        statement = await db.prepare(call)
        for row in values:
            await statement.fetchval(*row)
    same(await everything(db, f'{LABEL}:many'), [(n + 1, {'n': n}) for n in range(20)])


async def stale(db):
    await fails(append(db, f'{LABEL}:a', 'vitals_recorded', {}, 1), 'ZE001', 'Expected version 1, actual version 3.',
                'Read the stream again, decide again, and append with the version read.')


async def other_content(db):
    used = await append(db, f'{LABEL}:id', 'vitals_recorded', {'n': 1})
    await fails(db.execute('SELECT events.append_event($1, $2, $3, p_event_id := $4)', f'{LABEL}:id', 'vitals_recorded', '{"n": 2}', used), 'ZE002',
                'An event with this id exists; its stream, type, data, metadata, tags or created_by differs.',
                'Give a new event a new id; repeat an append with exactly what it was called with first.')


async def empty_name(db):
    await fails(append(db, f'{LABEL}:a', '', {}), '22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.')


async def batch(db):
    rows = await db.fetch('SELECT stream_id, stream_version FROM events.append_events($1, $2, $3)',
                          [f'{LABEL}:b1', f'{LABEL}:b2', f'{LABEL}:b1'], ['reading_taken'] * 3, ['{"n": 1}', '{"n": 2}', '{"n": "\\"é\\\\"}'])
    same([tuple(row) for row in rows], [(f'{LABEL}:b1', 1), (f'{LABEL}:b2', 1), (f'{LABEL}:b1', 2)])
    same(await everything(db, f'{LABEL}:b1'), [(1, {'n': 1}), (2, {'n': '"é\\'})])


async def undone(db):
    try:
        async with db.transaction():
            await append(db, f'{LABEL}:undone', 'reading_taken', {})
            await append(db, f'{LABEL}:undone', '', {})
    except asyncpg.PostgresError as error:
        same(error.sqlstate, '22023')
    same(await everything(db, f'{LABEL}:undone'), [])


async def pieces(db):
    async with db.transaction():
        cursor = await db.cursor('SELECT stream_version FROM events.replay_stream($1)', f'{LABEL}:many')
        same([len(await cursor.fetch(8)) for _ in range(4)], [8, 8, 4, 0])


async def listener(db):
    told = asyncio.Queue()
    listening = await asyncpg.connect(port=os.environ['DRIVERS_LISTEN_PORT'])
    try:
        await listen(listening, told.put_nowait)
        await db.execute("INSERT INTO mode_history VALUES ($1, 'baseline', 'recovery', 0.87)", LABEL)
        data = await asyncio.wait_for(told.get(), 600)
        same((data['user_id'], data['from_mode'], data['to_mode'], data['confidence']), (LABEL, 'baseline', 'recovery', 0.87))
    finally:
        await listening.close()


async def tenant(db):
    async with db.transaction():
        await db.execute("SET LOCAL app.tenant_id = 'acme'")
        await append(db, f'{LABEL}:a', 'seen', {'tenant': 'acme'})
        same(await everything(db, f'{LABEL}:a'), [(1, {'tenant': 'acme'})])
    same(len(await everything(db, f'{LABEL}:a')), 3)


async def worked(db, worker, count):
    handled = []
    while len(handled) < count:
        if not await work(db, LABEL, worker, lambda data: handled.append(data['n'])):
            await asyncio.sleep(0.02)
    return handled


async def worker(db):
    for n in (1, 2, 3):
        await append(db, f'{LABEL}:work', 'task_given', {'n': n})
    same(await worked(db, 'one', 3), [1, 2, 3])
    same(await work(db, LABEL, 'one', print), 0)


async def take_over(db):
    for n in (4, 5):
        await append(db, f'{LABEL}:work', 'task_given', {'n': n})
    positions = []
    while len(positions) < 2:
        positions = [row[0] for row in await db.fetch("SELECT global_position FROM events.fetch($1, 'one')", LABEL)]
    same(await worked(db, 'two', 2), [4, 5])
    await fails(db.execute("SELECT events.acknowledge($1, 'one', $2)", LABEL, positions[1]), 'ZE005',
                'It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.',
                'Fetch again, and take what comes as not done before.')


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


async def main():
    db = await asyncpg.connect(**OPTIONS)
    if WAY == 'transaction':
        db = InTransactions(db)
    for name, claim in CLAIMS.items():
        try:
            await claim(db)
            print(f'ok - {name}', flush=True)
        except Exception as error:  # each claim tells by itself
            print(f'not ok - {name}\n# {type(error).__name__}: {error}', flush=True)
    await db.close()


asyncio.run(main())
