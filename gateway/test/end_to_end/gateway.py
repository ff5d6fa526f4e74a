"""A gateway and a store for the tests: starts, stops and kills them."""

import asyncio
import json
import os
import pathlib
import signal
import socket
import subprocess

import asyncpg

from client import SECRET, request

DATABASE = 'gateway_test'


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Gateway:
    """One process of the gateway. Its configuration is written for it: `limits` and others replace defaults."""

    def __init__(self, folder, name='gateway', **config):
        self.folder, self.port = pathlib.Path(folder), free_port()
        self.name, self.process = name, None
        (self.folder / 'secret').write_bytes(SECRET)
        (self.folder / 'tickets').write_bytes(b't' * 40)
        self.config = {
            'port': self.port,
            'origins': ['https://page.test'],
            'database': {'connection': f'host={os.environ["PGHOST"]} port={os.environ.get("PGPORT", "5432")} user=gateway_reader dbname={DATABASE}'},
            'tokens': {'audience': 'gateway', 'roles': {'viewer': {}}, 'ticket_secret_file': str(self.folder / 'tickets'),
                       'keys': [{'kid': 'test', 'alg': 'HS256', 'file': str(self.folder / 'secret')}]},
            **config,
        }
        self.config['limits'] = {'requests_per_second': 100000, 'clients_per_address': 10000, 'retry_milliseconds': 100, **config.get('limits', {})}

    async def start(self):
        file = self.folder / f'{self.name}.json'
        file.write_text(json.dumps(self.config))
        log = open(self.folder / f'{self.name}.log', 'ab')
        self.process = subprocess.Popen([os.environ['AUREN_GATEWAY'], str(file)], stderr=log)
        await self.wait_for_state(200)
        return self

    async def wait_for_state(self, status, path='/readyz'):
        while True:
            if self.process.poll() is not None:
                raise AssertionError('the gateway ended: ' + (self.folder / f'{self.name}.log').read_text()[-2000:])
            try:
                if (await request(self.port, path)).status == status:
                    return
            except (OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(0.02)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    async def wait(self):
        return await asyncio.get_running_loop().run_in_executor(None, self.process.wait)

    async def end(self):
        """Ends it and returns its status, which is 0 when it ended as it should."""
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)
        return await self.wait()

    async def figures(self):
        lines = (await request(self.port, '/metrics')).body.decode().splitlines()
        return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1]) for line in lines if not line.startswith('#')}


class Store:
    """The server of PGHOST, with a database for the tests."""

    async def start(self):
        admin = await asyncpg.connect(database='postgres')
        await admin.execute(f'DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE {DATABASE}')
        await admin.close()
        self.db = await asyncpg.connect(database=DATABASE)
        await self.db.execute('''
            CREATE EXTENSION auren_events;
            DROP ROLE IF EXISTS gateway_reader;
            CREATE ROLE gateway_reader LOGIN;
            -- under which a horizon is newer than what a statement sees: the gateway must not take such defaults of its role
            ALTER ROLE gateway_reader SET default_transaction_isolation = 'repeatable read';
            ALTER ROLE gateway_reader SET auren_events.read_flushed = off;
            SELECT events.grant_access('gateway_reader', 'reader');''')
        return self

    async def connect_again(self):
        while True:
            try:
                self.db = await asyncpg.connect(database=DATABASE)
                return
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)

    async def append(self, stream, kind='stepped', data='{}', tenant='default', tags=None):
        """Appends one event as the tenant."""
        async with self.db.transaction():
            await self.db.execute("SELECT set_config('app.tenant_id', $1, true)", tenant)
            await self.db.execute('SELECT events.append_event($1, $2, $3::jsonb, p_tags => $4)', stream, kind, data, tags)

    async def fill(self, count, stream='user:1', size=10):
        """Appends many events to a stream."""
        await self.db.execute('''SELECT count(*) FROM events.append_events(
            array_fill($1::text, ARRAY[$2::int]), array_fill('stepped'::text, ARRAY[$2::int]),
            (SELECT array_agg(jsonb_build_object('n', n, 'x', repeat('x', $3::int))) FROM generate_series(1, $2::int) n))''', stream, count, size)

    async def feed(self, after=0, tenant='default'):
        async with self.db.transaction():
            await self.db.execute("SELECT set_config('app.tenant_id', $1, true)", tenant)
            rows = await self.db.fetch('SELECT global_position FROM events.read_all($1, 1000000)', after)
        return [row[0] for row in rows]

    async def end(self):
        await self.db.close()
        admin = await asyncpg.connect(database='postgres')
        await admin.execute(f'DROP DATABASE {DATABASE} WITH (FORCE)')
        await admin.execute('DROP ROLE gateway_reader')
        await admin.close()
