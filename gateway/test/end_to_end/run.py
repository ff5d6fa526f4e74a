#!/usr/bin/env python3
"""Tests of the gateway as a program, and prints TAP.

AUREN_GATEWAY is the program. The server is that of PGHOST, PGPORT and PGUSER, a superuser; AUREN_PG_RESTART is a command that ends the server at once
and starts it again. A word on the command line runs only the tests whose name has it.
"""

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import asyncpg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / 'test' / 'python'))
from harness import Tap, explain  # noqa: E402

from client import Closed, EventSource, WebSocket, request, send_raw, token  # noqa: E402
from gateway import DATABASE, Gateway, Store  # noqa: E402

TESTS = []


def test(name, **config):
    """Registers a test, which gets a gateway with this configuration and the store."""
    def register(function):
        TESTS.append((name, config, function))
        return function
    return register


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f'got {str(got)[:500]}, wanted {str(wanted)[:500]}')


def positions(messages):
    return [message.data['position'] for message in messages]


async def refused(awaitable, text):
    try:
        await awaitable
    except AssertionError as error:
        if text not in str(error):
            raise
        return
    raise AssertionError('it was not refused')


# ---- the feed ----------------------------------------------------------------------------------------------------------

@test('history and what comes later are one feed, by both wires')
async def one_feed(gateway, store):
    await store.fill(20)
    async with await EventSource.open(gateway.port, '?after=0', token()) as source, await WebSocket.open(gateway.port, '?after=0', token()) as socket:
        await store.fill(20)
        wanted = await store.feed()
        for client in (source, socket):
            same(positions(await client.events(len(wanted))), wanted)
        epoch = str(await store.db.fetchval('SELECT events.store_epoch()'))
        same(source.id, f'{epoch}:{wanted[-1]}')
        same(socket.id, source.id)
        same(source.head['event-resumed-from'], f'{epoch}:0')
        await store.append('user:1', 'mode_switched', '{"to": "rest", "n": 1.50}', tags=['room:1'])
        event = (await source.next()).data
        same([event[key] for key in ('stream_id', 'event_type', 'event_data', 'tags', 'metadata')],
             ['user:1', 'mode_switched', {'to': 'rest', 'n': 1.5}, ['room:1'], {}])
        same((await socket.next()).data, event)


@test('a client without a position gets what comes from now on, and is told from where')
async def from_now(gateway, store):
    last = (await store.feed() or [0])[-1]
    async with await EventSource.open(gateway.port, '', token()) as source:
        same(int(source.head['event-resumed-from'].split(':')[1]) >= last, True)
        same((await source.next('status')).data['state'], 'following')
        await store.append('user:1')
        same((await source.next()).data['position'] > last, True)


@test('Last-Event-ID resumes after that event, and goes before after=')
async def resume(gateway, store):
    await store.fill(10)
    wanted = await store.feed()
    async with await EventSource.open(gateway.port, '?after=0', token()) as source:
        await source.events(len(wanted) - 4)
        middle = source.id
    async with await EventSource.open(gateway.port, '?after=0', token(), last_event_id=middle) as source:
        same(source.head['event-resumed-from'], middle)
        same(positions(await source.events(4)), wanted[-4:])


@test('filters by type, category, stream and tags; and a token narrows what is asked')
async def filters(gateway, store):
    last = (await store.feed() or [0])[-1]
    for stream, kind, tags in [('user:f1', 'a', ['x']), ('user:f2', 'b', ['x', 'y']), ('device:f1', 'a', None), ('user:f1', 'b', None)]:
        await store.append(stream, kind, tags=tags)
    one, two, three, four = await store.feed(last)
    for query, claims, wanted in [
            ('&types=a', {}, [one, three]), ('&category=user', {}, [one, two, four]), ('&stream=user:f1', {}, [one, four]), ('&tags=x,y', {}, [two]),
            ('&types=a,b&category=user,device', {}, [one, two, three, four]), ('', {'streams': ['user:f1']}, [one, four]),
            ('&stream=user:f1&stream=user:f2', {'streams': ['user:f2']}, [two]), ('&types=b', {'categories': ['user'], 'types': ['b']}, [two, four])]:
        # from the ring, and by a page of history
        for after in (last, 0):
            async with await EventSource.open(gateway.port, f'?after={after}{query}', token(**claims)) as source:
                got = []
                while len(got) < len(wanted):
                    event = await source.next()
                    got += [event.data['position']] if event.data['position'] > last else []
                same((query, claims, got), (query, claims, wanted))
    async with await EventSource.open(gateway.port, '?after=0&stream=user:f2', token(streams=['user:f1'])) as source:
        await store.append('user:f2')
        await store.append('user:f1')
        same((await source.next('status')).data['state'], 'following')
        # nothing is in both: only messages beside the feed come
        try:
            message = await asyncio.wait_for(source.next(), 1)
        except asyncio.TimeoutError:
            return
        raise AssertionError(f'got {message.data}')


@test('tenants do not see each other')
async def tenants(gateway, store):
    async with await EventSource.open(gateway.port, '?after=0', token(tenant='acme')) as acme, \
            await EventSource.open(gateway.port, '?after=0', token(tenant='other')) as other:
        await store.append('user:a', tenant='acme')
        await store.append('user:o', tenant='other')
        same((await acme.next()).data['stream_id'], 'user:a')
        same((await other.next()).data['stream_id'], 'user:o')


@test('a client that does not read falls out of the ring and catches up without a hole',
      limits={'ring_bytes': 65536, 'page_bytes': 16384, 'send_buffer_bytes': 8192})
async def falls_out(gateway, store):
    after = (await store.feed() or [0])[-1]
    async with await EventSource.open(gateway.port, '', token()) as slow, await EventSource.open(gateway.port, '', token()) as quick:
        slow.reader._transport.pause_reading()
        for _ in range(100):
            await store.fill(100, size=1000)
            await quick.events(100)
        slow.reader._transport.resume_reading()
        wanted = await store.feed(after)
        same(positions(await slow.events(len(wanted))), wanted)
    figures = await gateway.figures()
    same(figures['auren_gateway_pages_read_total'] > 0, True)


@test('a client that reads nothing at all is dropped, and nobody waits for it', limits={'stall_seconds': 1, 'send_buffer_bytes': 8192})
async def stalls(gateway, store):
    async with await EventSource.open(gateway.port, '', token()) as slow:
        slow.reader._transport.pause_reading()
        for _ in range(100):
            await store.fill(100, size=1000)
        async with await EventSource.open(gateway.port, '', token()) as quick:
            await store.append('user:1')
            await quick.next()
        while (await gateway.figures())['auren_gateway_drops_total{cause="stalled"}'] == 0:
            await asyncio.sleep(0.05)
        slow.reader._transport.resume_reading()


@test('an id of another epoch is answered by a reset that says where the client goes on')
async def reset(gateway, store):
    await store.fill(5)
    wanted = await store.feed()
    other = '00000000-0000-4000-8000-000000000000'
    async with await EventSource.open(gateway.port, '', token(), last_event_id=f'{other}:{wanted[-3]}') as source:
        message = await source.next('reset')
        same(message.data['was'], f'{other}:{wanted[-3]}')
        same(source.id, message.data['id'])
        same(message.data['id'].split(':')[1], str(wanted[-3]))
        same(positions(await source.events(2)), wanted[-2:])
    async with await EventSource.open(gateway.port, '', token(), last_event_id=f'{other}:{wanted[-1] + 1000}') as source:
        same((await source.next('reset')).data['id'].split(':')[1], str(wanted[-1]))


@test('a feed that grows by many sessions has no hole, whatever the defaults of the gateway\'s role are')
async def many_writers(gateway, store):
    after = (await store.feed() or [0])[-1]

    async def write(number):
        db = await asyncpg.connect(database=DATABASE)
        for _ in range(300):
            await db.execute("SELECT events.append_event($1, 'stepped', '{}')", f'writer:{number}')
        await db.close()

    async with await EventSource.open(gateway.port, f'?after={after}', token()) as source:
        await asyncio.gather(*[write(number) for number in range(8)])
        await store.append('user:1', 'end')
        got = [await source.next()]
        while got[-1].data['event_type'] != 'end':
            got.append(await source.next())
        wanted = await store.feed(after)
        same((len(got), positions(got)), (len(wanted), wanted))


@test('nothing is asked while nobody is connected')
async def quiet(gateway, store):
    async with await EventSource.open(gateway.port, '', token()) as source:
        await store.append('user:1')
        await source.next()
    while (await gateway.figures())['auren_gateway_sse_clients'] > 0:
        await asyncio.sleep(0.02)
    before = (await gateway.figures())['auren_gateway_horizon_polls_total']
    await asyncio.sleep(0.5)
    same((await gateway.figures())['auren_gateway_horizon_polls_total'] - before <= 1, True)
    same(await store.db.fetchval("SELECT count(*) <= 4 FROM pg_stat_activity WHERE usename = 'gateway_reader'"), True)


# ---- channels ----------------------------------------------------------------------------------------------------------

@test('notifications are passed on as the guide shows, to those whom they concern')
async def channels(gateway, store):
    async with await WebSocket.open(gateway.port, '', token()) as socket, await EventSource.open(gateway.port, '', token()) as source, \
            await EventSource.open(gateway.port, '', token(streams=['user:2'])) as narrow, \
            await EventSource.open(gateway.port, '', token(tenant='acme')) as acme:
        for client in (socket, source, narrow, acme):
            await client.next('status')
        for user, more in (('1', ''), ('2', ''), ('3', ', "tenant_id": "acme"')):
            payload = '{"user_id": "%s", "from_mode": null,\n "to_mode": "rest"%s}' % (user, more)
            await store.db.execute("SELECT pg_notify('mode_switch', $1)", payload)
        await store.db.execute("SELECT pg_notify('memory_tier_change', 'no JSON at all')")
        for client in (socket, source):
            same((await client.next('mode_switch')).data, {'user_id': '1', 'from_mode': None, 'to_mode': 'rest'})
            same((await client.next('mode_switch')).data['user_id'], '2')
            same((await client.next('memory_tier_change')).data, 'no JSON at all')
        same((await narrow.next('mode_switch')).data['user_id'], '2')
        same((await acme.next('mode_switch')).data['user_id'], '3')


@test('a client that was away is told that it may have missed notifications')
async def missed(gateway, store):
    async with await EventSource.open(gateway.port, '?after=0', token()) as source:
        same((await source.next('missed')).data['channels'], ['mode_switch', 'memory_tier_change'])


# ---- failure -----------------------------------------------------------------------------------------------------------

@test('clients go through a crash of the server: they are told, and miss nothing')
async def server_restart(gateway, store):
    after = (await store.feed() or [0])[-1]
    async with await EventSource.open(gateway.port, '', token()) as source, await WebSocket.open(gateway.port, '', token()) as socket:
        await store.fill(10)
        got = {client: positions(await client.events(10)) for client in (source, socket)}
        await asyncio.get_running_loop().run_in_executor(None, lambda: subprocess.run(os.environ['AUREN_PG_RESTART'], shell=True, check=True))
        await store.connect_again()
        await store.fill(10)
        for client in (source, socket):
            told = []
            while len(got[client]) < 20 or 'missed' not in told:
                message = await client.message()
                if message.name == 'event':
                    got[client].append(message.data['position'])
                told.append(message.data.get('state', message.name))
            same([name for name in told if name.startswith('database')], ['database_down', 'database_up'])
            same(got[client], await store.feed(after))


@test('a gateway is killed under clients that connect again, also to another one: each has the whole feed, once and in order')
async def killed(gateway, store):
    other = await Gateway(gateway.folder, 'other').start()
    after, end = (await store.feed() or [0])[-1], asyncio.Event()

    async def follow(kind, ports):
        got, last = [], str(after)
        for attempt in range(1000000):
            port = ports[attempt % len(ports)]
            try:
                resumes = {'last_event_id': last} if kind is EventSource else {}
                client = await kind.open(port, '' if resumes else f'?after={last}', token(), **resumes)
                async with client:
                    while True:
                        event = await client.next()
                        got.append(event.data['position'])
                        last = event.id
                        if event.data['event_type'] == 'end':
                            return got
            except (Closed, OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)

    async def write():
        for _ in range(150):
            await store.fill(7)
            await asyncio.sleep(0.01)
        end.set()

    followers = [asyncio.create_task(follow(kind, ports)) for kind in (EventSource, WebSocket)
                 for ports in ([gateway.port], [gateway.port, other.port], [other.port, gateway.port]) for _ in range(3)]
    writer = asyncio.create_task(write())
    while not end.is_set():
        gateway.kill()
        await gateway.wait()
        await gateway.start()
        await asyncio.sleep(0.1)
    await writer
    await store.append('user:1', 'end')
    wanted = await store.feed(after)
    for got in await asyncio.gather(*followers):
        same(got, wanted)
    same(await other.end(), 0)


@test('a gateway that is told to end says so to its clients, and they miss nothing at another one')
async def drain(gateway, store):
    after = (await store.feed() or [0])[-1]
    await store.fill(3)
    async with await EventSource.open(gateway.port, f'?after={after}', token()) as source, \
            await WebSocket.open(gateway.port, f'?after={after}', token()) as socket:
        for client in (source, socket):
            await client.events(3)
        gateway.kill(signal.SIGTERM)
        for client in (source, socket):
            while (await client.next('status')).data['state'] != 'ended':
                pass
        try:
            await socket.message()
        except Closed as closed:
            same(closed.args[0], 1001)
        same(await gateway.wait(), 0)
        last = source.id
    await store.fill(3)
    await gateway.start()
    async with await EventSource.open(gateway.port, '', token(), last_event_id=last) as source:
        same(positions(await source.events(3)), (await store.feed(after))[3:])


# ---- who may -----------------------------------------------------------------------------------------------------------

@test('without a token, with a bad one or an expired one nobody gets in')
async def tokens(gateway, store):
    for bearer, text in [(None, 'send a token'), ('x', 'not a JSON Web Token'), (token(secret=b'y' * 40), 'signature'), (token(exp=1), 'expired'),
                         (token(exp=None), 'exp'), (token(aud='x'), 'audience'),
                         (token(role='owner'), 'role'), (token(header={'alg': 'none', 'kid': 'test'}), 'algorithm')]:
        answer = await request(gateway.port, '/events', bearer=bearer)
        same(answer.status, 401)
        same(text in answer.json()['error'], True)
        same(answer.headers['www-authenticate'], 'Bearer')


@test('a ticket opens the feed once, at this gateway or at another')
async def tickets(gateway, store):
    ticket = (await request(gateway.port, '/ticket', 'POST', bearer=token(streams=['user:t']))).json()['ticket']
    async with await EventSource.open(gateway.port, f'?ticket={ticket}') as source:
        await store.append('user:1')
        await store.append('user:t')
        same((await source.next()).data['stream_id'], 'user:t')
    await refused(EventSource.open(gateway.port, f'?ticket={ticket}'), 'used already')
    other = await Gateway(gateway.folder, 'other').start()
    ticket = (await request(gateway.port, '/ticket', 'POST', bearer=token())).json()['ticket']
    async with await WebSocket.open(other.port, f'?ticket={ticket}') as socket:
        same((await socket.next('status')).data['state'], 'following')
    same(await other.end(), 0)


@test('a cookie counts for pages of configured origins only')
async def origins(gateway, store):
    cookie = {'Cookie': f'a=b; auren_token={token()}'}
    async with await EventSource.open(gateway.port, '', None, None, **cookie) as source:
        same('access-control-allow-origin' in source.head, False)
    async with await WebSocket.open(gateway.port, '', None, b'', Origin='https://page.test', **cookie):
        pass
    async with await EventSource.open(gateway.port, '', None, None, Origin='https://page.test', **cookie) as source:
        same(source.head['access-control-allow-origin'], 'https://page.test')
    await refused(EventSource.open(gateway.port, '', None, None, Origin='https://evil.test', **cookie), '403')
    await refused(WebSocket.open(gateway.port, '', None, b'', Origin='https://evil.test', **cookie), '403')
    await refused(WebSocket.open(gateway.port, '', token(), b'', Origin='https://evil.test'), '403')
    await refused(WebSocket.open(gateway.port, '', None, b'', **cookie), '403')
    same((await request(gateway.port, '/ticket', 'POST', {'Origin': 'https://evil.test', **cookie})).status, 403)
    same((await request(gateway.port, '/events', 'OPTIONS', {'Origin': 'https://page.test'})).status, 200)
    same((await request(gateway.port, '/events', 'OPTIONS', {'Origin': 'https://evil.test'})).status, 403)


@test('a stream ends when its token does')
async def expiry(gateway, store):
    async with await EventSource.open(gateway.port, '', token(exp=int(time.time()) + 2)) as source:
        while (await source.next('status')).data.get('reason') != 'the token has expired':
            pass
        same(await source.reader.read(), b'')


# ---- bad input ---------------------------------------------------------------------------------------------------------

@test('bad requests get a status and a JSON body, and nothing falls', limits={'header_bytes': 2048, 'body_bytes': 100})
async def bad_requests(gateway, store):
    for raw, status in [(b'nonsense\r\n\r\n', 400), (b'GET /events HTTP/1.1\r\nX: ' + b'a' * 5000 + b'\r\n\r\n', 431),
                        (b'GET /../etc HTTP/1.1\r\n\r\n', 400),
                        (b'GET /events?types=%zz HTTP/1.1\r\n\r\n', 400), (b'GET /nothing HTTP/1.1\r\n\r\n', 404),
                        (b'POST /events HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 405),
                        (b'POST /ticket HTTP/1.1\r\nContent-Length: 1000\r\n\r\n' + b'a' * 1000, 413), (b'GET /events?after=x HTTP/1.1\r\n\r\n', 400),
                        (b'GET /ws HTTP/1.1\r\n\r\n', 426), (b'GET /events?wait=true HTTP/1.1\r\n\r\n', 400),
                        (b'GET /events HTTP/1.1\r\nLast-Event-ID: x\r\n\r\n', 400)]:
        answer = await send_raw(gateway.port, raw.replace(b' HTTP/1.1\r\n', b' HTTP/1.1\r\nHost: test\r\nConnection: close\r\n', 1))
        head, body = answer.split(b'\r\n\r\n', 1)
        same((raw[:60], int(head.split()[1])), (raw[:60], status))
        same(list(json.loads(body)), ['error'])
    same((await request(gateway.port, '/healthz')).json(), {'state': 'alive'})


@test('a WebSocket that breaks the rules is closed with a code', limits={'request_seconds': 1})
async def bad_frames(gateway, store):
    for send, code in [(lambda socket: socket.send(b'{}'), 1002), (lambda socket: socket.send(b'x', 0x83), 1002),
                       (lambda socket: socket.writer.write(b'\x81\x02hi'), 1002), (lambda socket: socket.send(b'', 0x88), 1000)]:
        async with await WebSocket.open(gateway.port, '', token()) as socket:
            send(socket)
            try:
                while True:
                    await socket.message()
            except Closed as closed:
                same(closed.args[0], code)
    async with await WebSocket.open(gateway.port, '?wait=true', token()) as socket:
        while (await socket.next('status')).data.get('reason') != 'the first message did not come':
            pass


@test('a WebSocket may say in its first message what it wants, and is answered when it pings')
async def first_message(gateway, store):
    await store.append('user:m', 'm')
    first = (await store.feed())[-1] - 1
    message = json.dumps({'after': str(first), 'types': 'm', 'stream': ['user:m']}).encode()
    for early in (b'', WebSocket.frame(message)):
        async with await WebSocket.open(gateway.port, '?wait=true', token(), early) as socket:
            if not early:
                socket.send(message)
            same((await socket.next()).data['event_type'], 'm')
            socket.send(b'are you there', 0x89)
            opcode = 0
            while opcode != 10:
                opcode, payload = await socket.read_frame()
            same(payload, b'are you there')


@test('connections and requests of an address are limited, and places are free again', limits={'clients_per_address': 3, 'requests_per_second': 1000})
async def limits(gateway, store):
    clients = [await EventSource.open(gateway.port, '', token()) for _ in range(3)]
    answer = await send_raw(gateway.port, b'GET /healthz HTTP/1.1\r\n\r\n')
    same(answer.split()[1], b'429')
    same(list(json.loads(answer.split(b'\r\n\r\n')[1])), ['error'])
    for client in clients:
        client.writer.close()
    while True:
        try:
            same((await request(gateway.port, '/healthz')).status, 200)
            break
        except (AssertionError, OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.02)


@test('too many requests of an address are refused for a while', limits={'requests_per_second': 20})
async def rate(gateway, store):
    statuses = [(await request(gateway.port, '/healthz')).status for _ in range(60)]
    same(200 in statuses and 429 in statuses, True)


@test('a connection that sends no request is closed', limits={'request_seconds': 1})
async def silent(gateway, store):
    same(await send_raw(gateway.port, b'GET /events HTTP/1.1\r\nX-Slow: '), b'')


@test('heartbeats carry the place, so that a client whose filter lets nothing through resumes near the end', limits={'heartbeat_seconds': 1})
async def heartbeats(gateway, store):
    async with await EventSource.open(gateway.port, '?types=never&after=0', token()) as source:
        await store.append('user:1')
        last = (await store.feed())[-1]
        while True:
            line = (await source.reader.readline()).decode()
            if line.startswith('id: ') and int(line.strip().rsplit(':', 1)[1]) >= last:
                break


# ---- a storm -----------------------------------------------------------------------------------------------------------

@test('some hundred clients that come and go at will: each log is the feed')
async def storm(gateway, store):
    after = (await store.feed() or [0])[-1]

    async def follow(number):
        got, last, kind = [], str(after), (EventSource, WebSocket)[number % 2]
        while True:
            client = await kind.open(gateway.port, f'?after={last}', token())
            async with client:
                for _ in range(20 + number % 37):
                    event = await client.next()
                    got.append(event.data['position'])
                    last = event.id
                    if event.data['event_type'] == 'end':
                        return got

    followers = [asyncio.create_task(follow(number)) for number in range(300)]
    for _ in range(30):
        await store.fill(10)
    await store.append('user:1', 'end')
    wanted = await store.feed(after)
    for got in await asyncio.gather(*followers):
        same(got, wanted)


async def run(tap, words):
    store = await Store().start()
    with tempfile.TemporaryDirectory(prefix='auren-gateway-') as folder:
        for name, config, function in TESTS:
            if not all(word in name for word in words):
                continue
            gateway = Gateway(folder, **config)
            try:
                await gateway.start()
                await asyncio.wait_for(function(gateway, store), float(os.environ.get('AUREN_PATIENCE', '600')))
                same(await gateway.end(), 0)
                tap.passed(name)
            except (Exception, asyncio.TimeoutError) as error:  # noqa: BLE001
                log = pathlib.Path(folder, 'gateway.log')
                tap.broken(name, explain(error) + '\n' + (log.read_text()[-2000:] if log.exists() else ''))
                if gateway.process and gateway.process.poll() is None:
                    gateway.kill()
                    await gateway.wait()
            for log in pathlib.Path(folder).glob('*.log'):
                log.unlink()
    await store.end()


def main():
    tap = Tap()
    asyncio.run(run(tap, sys.argv[1:]))
    sys.exit(tap.end())


main()
