"""Clients of the server's own protocol that do nothing but listen: as little of the machine as can be goes to them."""

import os
import select
import socket
import struct
import sys
import time


class Connection:
    """A session as superuser over the cluster's socket, which asks for no password."""

    def __init__(self, env, database):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(os.path.join(env["PGHOST"], f".s.PGSQL.{env['PGPORT']}"))
        self.buffer = b""
        options = b"".join(f"{key}\0{value}\0".encode() for key, value in
                           (("user", env["PGUSER"]), ("database", database)))
        self.socket.sendall(struct.pack("!ii", 9 + len(options), 196608) + options + b"\0")
        self._until_ready()

    def messages(self):
        """What has come, as (type, body); waits for nothing but the first bytes."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        self.buffer += data
        found = []
        while len(self.buffer) >= 5:
            length = struct.unpack("!i", self.buffer[1:5])[0] + 1
            if len(self.buffer) < length:
                break
            found.append((self.buffer[:1], self.buffer[5:length]))
            self.buffer = self.buffer[length:]
        return found

    def _until_ready(self):
        rows = []
        while True:
            for kind, body in self.messages():
                if kind == b"E":
                    raise RuntimeError(body.replace(b"\0", b" ").decode(errors="replace"))
                if kind == b"D":
                    rows.append(body[6:].decode())  # of one column
                if kind == b"Z":
                    return rows

    def query(self, sql):
        """Runs a statement; returns the rows of its one column."""
        text = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", 4 + len(text)) + text)
        return self._until_ready()


def payload(body):
    """What a notification says."""
    return body[4:].split(b"\0")[1].decode()


def main():
    """listeners.py DATABASE CHANNEL COUNT: listens until its input ends, then prints how many notifications came."""
    database, channel, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    poll = select.poll()
    connections = {}
    for _ in range(count):
        connection = Connection(os.environ, database)
        connection.query(f'LISTEN "{channel}"')
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.POLLIN)
    poll.register(sys.stdin, select.POLLIN)
    print("listening", flush=True)
    heard = 0
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == sys.stdin.fileno():
                print(heard)
                return
            heard += sum(kind == b"A" for kind, _ in connections[descriptor].messages())


def latencies(env, database, channel, count, pause):
    """Appends one event after the other; returns the seconds from each commit to the receipt of its position."""
    listener, writer = Connection(env, database), Connection(env, database)
    listener.query(f'LISTEN "{channel}"')
    result = []
    for _ in range(count):
        rows = writer.query("SELECT global_position FROM events.append_events('{latency:1}', '{measured}', ARRAY['{}']::jsonb[])")
        committed, position = time.monotonic(), int(rows[0])
        told = 0
        while told < position:
            for kind, body in listener.messages():
                if kind == b"A":
                    told = int(payload(body).split(":")[1].split(",")[0])
        result.append(max(time.monotonic() - committed, 0.0))
        time.sleep(pause)
    return result


if __name__ == "__main__":
    main()
