"""A client of the gateway on a plain asyncio socket: server-sent events and WebSocket, as little as the tests need."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import struct
import time

SECRET = b'a secret of thirty-two bytes or more, for tests'


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def token(secret=SECRET, header=None, **claims):
    """A token of HS256; claims that are None are left out."""
    claims = {'tenant': 'default', 'role': 'viewer', 'aud': 'gateway', 'exp': int(time.time()) + 600, **claims}
    claims = {key: value for key, value in claims.items() if value is not None}
    text = encode(json.dumps(header or {'alg': 'HS256', 'kid': 'test'}).encode()) + '.' + encode(json.dumps(claims).encode())
    return text + '.' + encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())


class Closed(Exception):
    """The gateway ended the connection."""


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


async def connect(port):
    return await asyncio.open_connection('127.0.0.1', port, limit=1 << 24)


async def read_head(reader):
    lines = (await reader.readuntil(b'\r\n\r\n')).decode().split('\r\n')
    headers = dict(line.split(': ', 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}


async def send_raw(port, data):
    """Sends bytes and gives what comes back until the gateway closes."""
    reader, writer = await connect(port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


async def request(port, target, method='GET', headers=None, bearer=None):
    reader, writer = await connect(port)
    lines = [f'{method} {target} HTTP/1.1', 'Host: test', 'Connection: close']
    lines += [f'{name}: {value}' for name, value in (headers or {}).items()]
    if bearer:
        lines.append(f'Authorization: Bearer {bearer}')
    writer.write(('\r\n'.join(lines) + '\r\n\r\n').encode())
    try:
        status, head = await read_head(reader)
        return Response(status, head, await reader.readexactly(int(head.get('content-length', 0))))
    finally:
        writer.close()


class Message:
    """One message: `name` is 'event' for an event of the feed."""

    def __init__(self, name, identity, data):
        self.name, self.id, self.data = name, identity, data


class Client:
    """Follows the feed on one connection; `id` is the last one that it was given."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.id, self.head = reader, writer, '', {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def message(self):
        raise NotImplementedError

    async def next(self, name='event'):
        """The next message of this name; others are passed by."""
        while True:
            message = await self.message()
            if message.name == name:
                return message

    async def events(self, count):
        return [await self.next() for _ in range(count)]


class EventSource(Client):
    @classmethod
    async def open(cls, port, query='', bearer=None, last_event_id=None, **headers):
        reader, writer = await connect(port)
        lines = [f'GET /events{query} HTTP/1.1', 'Host: test']
        lines += [f'{name}: {value}' for name, value in headers.items()]
        if bearer:
            lines.append(f'Authorization: Bearer {bearer}')
        if last_event_id:
            lines.append(f'Last-Event-ID: {last_event_id}')
        writer.write(('\r\n'.join(lines) + '\r\n\r\n').encode())
        source = cls(reader, writer)
        status, source.head = await read_head(reader)
        if status != 200:
            raise AssertionError(f'{status}: {await reader.read(1000)}')
        return source

    async def message(self):
        """The next message with data."""
        name, data = 'event', None
        while True:
            line = await self.reader.readline()
            if not line.endswith(b'\n'):
                raise Closed()
            line = line[:-1]
            if line.startswith(b'id: '):
                self.id = line[4:].decode()
            elif line.startswith(b'event: '):
                name = line[7:].decode()
            elif line.startswith(b'data: '):
                data = line[6:]
            elif not line:
                if data is not None:
                    return Message(name, self.id, json.loads(data))
                name = 'event'


class WebSocket(Client):
    @classmethod
    async def open(cls, port, query='', bearer=None, early=b'', **headers):
        reader, writer = await connect(port)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f'GET /ws{query} HTTP/1.1', 'Host: test', 'Upgrade: websocket', 'Connection: keep-alive, Upgrade', 'Sec-WebSocket-Version: 13',
                 f'Sec-WebSocket-Key: {key}']
        lines += [f'{name}: {value}' for name, value in headers.items()]
        if bearer:
            lines.append(f'Authorization: Bearer {bearer}')
        writer.write(('\r\n'.join(lines) + '\r\n\r\n').encode() + early)
        socket = cls(reader, writer)
        status, socket.head = await read_head(reader)
        if status != 101:
            raise AssertionError(f'{status}: {await reader.read(1000)}')
        wanted = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()
        assert socket.head['sec-websocket-accept'] == wanted
        return socket

    @staticmethod
    def frame(payload, first=0x81):
        mask = os.urandom(4)
        size = len(payload)
        header = bytes([first]) + (bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('>H', size))
        return header + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def send(self, payload, first=0x81):
        self.writer.write(self.frame(payload, first))

    async def read_frame(self):
        try:
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = struct.unpack('>H', await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack('>Q', await self.reader.readexactly(8))[0]
            return first & 15, await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise Closed() from error

    async def message(self):
        while True:
            opcode, payload = await self.read_frame()
            if opcode == 8:
                raise Closed(struct.unpack('>H', payload[:2])[0] if payload else 0, payload[2:].decode())
            if opcode == 9:
                self.send(payload, 0x8A)
            if opcode == 1:
                message = json.loads(payload)
                self.id = message.get('id', self.id)
                return Message(message['event'], message.get('id', self.id), message['data'])
