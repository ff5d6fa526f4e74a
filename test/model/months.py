#!/usr/bin/env python3
"""Months against a model, over random histories of a store with a past, each in a database of its own.

A history takes some dozens of steps: appends and imports into months of the past and of today, calls made again, streams that are closed, reducers that
change, months that are settled, sealed, archived, dropped, attached and detached, subscriptions that hold them back or are overridden, tampering that
is found and undone. The model knows each event, where it lies, what was carried over, and what became of the month. From that follows what each call must
answer: versions, states, the first version left, which events a reader is given, what holds a month back, which rows were tampered with, and by
which error a call is refused.

    months.py [--seconds N] [--seed N] [--histories N] [--plant FAULT]

The server is the one that PGHOST, PGPORT and PGUSER name; the user is a superuser, and the server may run a shell (the key of seals is written by it
into the data directory, and named by ALTER SYSTEM while the model runs). It runs for so many seconds, and so many histories at least. A history that
fails is made as short as it still fails, and printed with its seed. Then faults are planted, one of each kind, such as balances that are not
those of the events, and the model must find each. --plant runs with one fault and prints what it finds. The last lines are TAP.
"""

import argparse
import asyncio
import collections
import datetime
import json
import pathlib
import random
import re
import sys
import time
import uuid

import asyncpg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from histories import Histories, Wrong  # noqa: E402

HELPERS = pathlib.Path(__file__).resolve().parent.parent / "sql" / "old_months.sql"
KEY = ["-----BEGIN PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g", "-----END PRIVATE KEY-----"]
TENANTS = ["default", "other"]
STREAMS = ["s:1", "s:2"]
TYPES = ["noted", "counted", "merged"]
# What may be declared of a type: its kind, and the options.
REDUCERS = [("sum", '{"into": "total"}'), ("merge", '{"into": "profile"}'), ("ignore", "{}")]
# The first one is made by an import, if at all.
PAST = [datetime.date(2023, 12, 1), datetime.date(2024, 1, 1), datetime.date(2024, 2, 1), datetime.date(2024, 3, 1)]
UTC = datetime.timezone.utc

KINDS = {"append": 16, "old": 8, "bring": 16, "again": 10, "if_nothing": 6, "close": 2, "reopen": 1, "reduce": 3, "settle": 2, "seal": 7, "check": 3, "tamper": 3,
         "archive": 10, "drop": 7, "attach": 12, "detach": 8, "subscribe": 3, "consume": 4, "reset": 1, "state": 14, "replay": 6, "read_all": 5, "months": 6,
         "prove": 4}


def end_of(month):
    return (month + datetime.timedelta(days=32)).replace(day=1)


class Event:
    def __init__(self, tenant, stream, kind, number, when, event_id, how):
        self.tenant = tenant
        self.stream = stream
        self.type = kind
        self.number = number
        self.when = when      # None: of today
        self.id = event_id
        self.how = how        # "appended", "old" or "imported"
        self.version = 0
        self.position = 0
        self.month = when.date().replace(day=1) if when else None

    def data(self):
        return {"n": self.number}

    def same(self, other):
        return (self.stream, self.type, self.number, self.when) == (other.stream, other.type, other.number, other.when)


class Stream:
    def __init__(self):
        self.version = 0
        self.closed = False
        self.imported = 0     # up to this version all are imported
        self.last = None      # time of the last event, for those of the past
        self.balance = None   # version and state


class Month:
    def __init__(self, there):
        self.there = there
        self.dropped = None   # what was recorded: number of events, first and last position
        self.attached = False
        self.settled = None   # last position when it was settled; -1: it had no event
        self.thawed = False   # somebody has written to its pages since
        self.digest = None    # of the archive that was noted last
        self.archived = False
        self.seals = []


class Archive:
    def __init__(self, month, table, positions, seals, digest):
        self.month = month
        self.table = table
        self.positions = positions
        self.seals = seals
        self.digest = digest


class Subscription:
    def __init__(self, tenant, name):
        self.tenant = tenant
        self.name = name
        self.checkpoint = 0

    def holds(self):
        return f"subscription:{self.name} ({self.tenant})"


class Run:
    """One history, compared step by step."""

    def __init__(self, admin, number, plant, counts):
        self.admin = admin
        self.database = f"months_{number}"
        self.plant = plant
        self.counts = counts
        self.trace = []
        self.events = []      # in order of position
        self.streams = collections.defaultdict(Stream)
        self.months = {month: Month(month != PAST[0]) for month in PAST}
        self.today = datetime.datetime.now(UTC).date().replace(day=1)
        self.months[self.today] = Month(True)
        self.reducers = {}
        self.sealed_to = 0
        self.seals = 0
        self.archives = []
        self.subscriptions = []
        self.number = 0
        self.sql = None

    async def begin(self):
        await self.admin.execute(f"CREATE DATABASE {self.database} TEMPLATE months_model STRATEGY file_copy")
        self.sql = await asyncpg.connect(database=self.database, server_settings={"jit": "off"})
        await self.sql.execute("SET client_min_messages = error; SET timezone = 'UTC'")

    async def end(self):
        await self.months_shown()
        await self.clean("at the end")
        for tenant, stream in list(self.streams):
            await self.compare_state(tenant, stream, None)
        for tenant in TENANTS:
            await self.compare_feed(tenant, 0)

    async def leave(self):
        await self.sql.close()
        await self.admin.execute(f"DROP DATABASE {self.database} WITH (FORCE)")

    # ---- what the model knows ----

    def month_of(self, event):
        return event.month or self.today

    def there(self, event):
        return self.months[self.month_of(event)].there

    def present(self, tenant=None):
        return [event for event in self.events if self.there(event) and tenant in (None, event.tenant)]

    def of_month(self, month):
        return [event for event in self.events if self.month_of(event) == month]

    def find(self, tenant, event_id):
        return next((event for event in self.events if event_id and event.id == event_id and event.tenant == tenant), None)

    def fold(self, state, event):
        """The state after an event, by the reducers of now."""
        state = json.loads(json.dumps(state))
        kind = self.reducers.get(event.type)
        if kind is None:
            state[event.type] = event.data()
        elif kind == "sum":
            total = state.setdefault("total", {})
            total["n"] = total.get("n", 0) + event.number
        elif kind == "merge":
            state.setdefault("profile", {}).update(event.data())
        return state

    def state_at(self, tenant, stream, version):
        """The state, or None where it cannot be made any more."""
        known = self.streams[tenant, stream]
        own = sorted((event for event in self.present(tenant) if event.stream == stream and event.version <= version), key=lambda event: event.version)
        state = {}
        if known.balance and known.balance[0] <= version:
            state = known.balance[1]
            own = [event for event in own if event.version > known.balance[0]]
        elif len(own) < version:
            return None
        for event in own:
            state = self.fold(state, event)
        return state

    def last_position(self, month):
        return max((event.position for event in self.of_month(month)), default=None)

    def is_sealed(self, month):
        last = self.last_position(month)
        return last is not None and bool(self.months[month].seals) and self.sealed_to >= last

    def holders(self, month):
        if self.months[month].attached:
            return []
        held = ["not closed"] if month == self.today else []
        last = self.last_position(month)
        if last is None:
            return held
        held += [one.holds() for one in sorted(self.subscriptions, key=lambda one: (one.tenant, one.name)) if one.checkpoint < last]
        return held + ([] if self.is_sealed(month) else [f"unsealed:{month:%Y-%m}"])

    # ---- calls ----

    async def call(self, tenant, sql, *arguments):
        """Rows, and None or the error's code."""
        await self.sql.execute(f"SET app.tenant_id = '{tenant}'")
        try:
            return await self.sql.fetch(sql, *arguments), None
        except asyncpg.PostgresError as error:
            self.trace[-1] += f"  [{error.sqlstate} {error}]"
            return None, error.sqlstate

    async def run(self, sql):
        try:
            await self.sql.execute(sql)
            return None
        except asyncpg.PostgresError as error:
            self.trace[-1] += f"  [{error.sqlstate} {error} {getattr(error, 'detail', None)}]"
            return error.sqlstate

    def expect(self, actual, wanted, what):
        if actual != wanted:
            raise Wrong(f"{what}: {actual}, not {wanted}")

    def judge(self, code, codes, what):
        """Whether the call was refused; by one of these codes, if there are any."""
        self.counts[what, "refused" if codes else "done"] += 1
        if code is None and codes:
            raise Wrong(f"{what} is not refused; one of {sorted(codes)} is due")
        if code is not None and code not in codes:
            raise Wrong(f"{what} is refused with {code}, not {'with one of ' + str(sorted(codes)) if codes else 'done'}")
        return code is not None

    # ---- events ----

    def new_id(self):
        self.number += 1
        return uuid.UUID(int=(0x4000 << 64) + (1 << 63) + self.number)

    def add(self, event, version, position):
        known = self.streams[event.tenant, event.stream]
        event.version, event.position = version, position
        if self.events and position <= self.events[-1].position:
            raise Wrong(f"position {position} comes after {self.events[-1].position}")
        if event.how == "imported":
            known.imported = version
        known.version = version
        known.last = event.when or datetime.datetime.now(UTC)
        self.events.append(event)

    def refusals(self, event, expected):
        known = self.streams[event.tenant, event.stream]
        codes = {"ZE004"} if known.closed else set()
        return codes | ({"ZE001"} if expected is not None and expected != known.version else set())

    async def append(self, *draws):
        tenant, stream, kind = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2], TYPES[draws[2] % 3]
        event_id = self.new_id() if draws[3] % 2 else None
        self.number += 1
        event = Event(tenant, stream, kind, self.number, None, event_id, "appended")
        version = self.streams[tenant, stream].version
        expected = (None, None, version, version + 1, 0)[draws[4] % 5]
        await self.send_append(event, expected, self.refusals(event, expected))

    async def send_append(self, event, expected, codes, known=None):
        self.trace.append(f"append {event.tenant} {event.stream} {event.type} {event.number} expects {expected} id {str(event.id)[-4:]}")
        rows, code = await self.call(
            event.tenant, "SELECT * FROM events.append_events($1, $2, $3, p_expected_versions := $4, p_event_ids := $5)",
            [event.stream], [event.type], [json.dumps(event.data())], None if expected is None else [expected],
            [uuid.uuid4() if known and self.plant == "ids" else event.id] if event.id else None)
        if self.judge(code, codes, "an append" if known is None else "an append given again"):
            return
        self.take(event, rows[0], known)

    def take(self, event, row, known):
        got = (row["stream_version"], row["global_position"])
        if known is not None:
            self.expect(got, (known.version, known.position), "version and position, given again")
            return
        self.expect(got[0], self.streams[event.tenant, event.stream].version + 1, "version")
        event.id = row["event_id"]
        self.add(event, *got)

    def time_in(self, month):
        self.number += 1
        return datetime.datetime(month.year, month.month, 3, tzinfo=UTC) + datetime.timedelta(minutes=self.number)

    async def old(self, *draws):
        """An event that was appended when its month was today."""
        tenant, stream, month = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2], PAST[1 + draws[2] % 3]
        known, when = self.streams[tenant, stream], self.time_in(month)
        if not self.months[month].there or self.months[month].attached or known.closed or known.balance or known.last and known.last > when:
            return
        event = Event(tenant, stream, TYPES[draws[3] % 3], self.number, when, self.new_id() if draws[4] % 2 else None, "old")
        event.number = self.number
        self.trace.append(f"old {tenant} {stream} {event.type} {event.number} {when}")
        row = await self.sql.fetchrow("SELECT v, e.global_position FROM t.old_event($1, $2, $3, $4, $5, $6) v, LATERAL (SELECT last_value AS global_position "
                                      "FROM auren.global_position_seq WHERE v > 0) e", stream, event.type, json.dumps(event.data()), when, event.id, tenant)
        self.add(event, row["v"], row["global_position"])

    async def bring(self, *draws):
        """An import of some events, known ones among them now and then."""
        tenant, batch = TENANTS[draws[0] % 4 // 3], []
        months = sorted(PAST[draws[1] // (7 ** index) % 4] for index in range(1 + draws[2] % 5))
        for index, month in enumerate(months):
            when = self.time_in(month)
            batch.append(Event(tenant, STREAMS[draws[3] // (3 ** index) % 2], TYPES[draws[4] // (5 ** index) % 3], self.number, when, self.new_id(), "imported"))
        imported = [event for event in self.events if event.how == "imported" and event.tenant == tenant]
        if imported and draws[5] % 3 == 0:
            batch.insert(0, imported[draws[5] // 3 % len(imported)])
        await self.send_import(tenant, batch)

    def import_refusals(self, tenant, batch, known):
        codes, last = set(), {}
        for event, old in zip(batch, known):
            stream = self.streams[tenant, event.stream]
            if old is not None:
                if not old.same(event):
                    codes.add("ZE002")
                continue
            if stream.closed:
                codes.add("ZE004")
            if stream.imported != stream.version or self.months[event.month].dropped:
                codes.add("55000")
            before = last.get(event.stream, stream.last)
            if before and event.when < before:
                codes.add("22023")
            last[event.stream] = event.when
        return codes

    async def send_import(self, tenant, batch):
        known = [self.find(tenant, event.id) for event in batch]
        codes = self.import_refusals(tenant, batch, known)
        self.trace.append(f"import {tenant} " + "; ".join(f"{event.stream} {event.type} {event.number} {event.when:%Y-%m-%d %H:%M} id {str(event.id)[-4:]}" for event in batch))
        sent = list(reversed(batch)) if self.plant == "imports" else batch
        rows, code = await self.call(tenant, "SELECT * FROM events.import_events($1, $2, $3, $4, $5)", [event.stream for event in sent], [event.type for event in sent],
                                     [json.dumps(event.data()) for event in sent], [event.id for event in sent], [event.when for event in sent])
        if self.judge(code, codes, "an import"):
            return
        self.expect([row["event_id"] for row in rows], [event.id for event in batch], "ids of an import")
        for event, row, old in zip(batch, rows, known):
            self.take(event, row, old)
            self.months[event.month].there |= old is None

    async def again(self, *draws):
        """A call that was made, once more, as it was or with other content."""
        known = [event for event in self.events if event.id and (event.how != "old" or self.find(event.tenant, event.id))]
        if not known:
            return
        old = known[-1 - draws[0] % len(known)]
        other = draws[1] % 4 == 0
        event = Event(old.tenant, old.stream, old.type, old.number + (1000000 if other else 0), old.when, old.id, old.how)
        if old.how == "imported":
            await self.send_import(old.tenant, [event])
        else:
            await self.send_append(event, None, {"ZE002"} if other else set(), old)

    async def if_nothing(self, *draws):
        tenant, stream, kind = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2], TYPES[draws[2] % 3]
        known = self.streams[tenant, stream]
        own = self.present(tenant)
        after = None if draws[3] % 2 or not own else own[draws[4] % len(own)].position
        later = [event for event in own if event.position > (after or 0)]
        query, matches = [({"stream": stream}, known.version > 0 if after is None else any(event.stream == stream for event in later)),
                          ({"types": [kind]}, any(event.type == kind for event in later)),
                          ({"stream": stream, "version": known.version + draws[4] % 2}, draws[4] % 2 == 1)][draws[5] % 3]
        self.number += 1
        event = Event(tenant, STREAMS[draws[4] // 7 % 2], kind, self.number, None, None, "appended")
        # whoever has read up to a position is not told of what came after it and was dropped since
        lost = "version" not in query and after and any(gone.position > after for gone in self.events if gone.tenant == tenant and not self.there(gone))
        codes = self.refusals(event, None) | ({"55000"} if lost else {"ZE008"} if matches else set())
        self.trace.append(f"append_if {json.dumps(query)} after {after} {tenant} {event.stream} {event.number}")
        rows, code = await self.call(tenant, "SELECT * FROM events.append_if($1, $2, $3, $4, $5)", json.dumps(query), after, [event.stream], [kind], [json.dumps(event.data())])
        if not self.judge(code, codes, "an append with a condition"):
            self.take(event, rows[0], None)

    async def close(self, *draws):
        tenant, stream = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2]
        self.trace.append(f"close_stream {tenant} {stream}")
        known = self.streams[tenant, stream]
        sent = "SELECT events.close_stream($1, 'asked')" if self.plant != "closed" else "SELECT $1::text"
        _, code = await self.call(tenant, sent, stream)
        if not self.judge(code, set() if known.version else {"42704"}, "closing a stream"):
            known.closed = True

    async def reopen(self, *draws):
        tenant, stream = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2]
        known = self.streams[tenant, stream]
        if known.version:
            self.trace.append(f"reopen_stream {tenant} {stream}")
            _, code = await self.call(tenant, "SELECT events.reopen_stream($1)", stream)
            self.judge(code, set(), "reopening a stream")
            known.closed = False

    async def reduce(self, *draws):
        kind = TYPES[draws[0] % 3]
        if draws[1] % 4 == 0 and kind in self.reducers:
            self.trace.append(f"drop_reducer {kind}")
            await self.sql.execute(f"SELECT events.drop_reducer('{kind}')")
            del self.reducers[kind]
            return
        name, options = REDUCERS[draws[2] % 3]
        self.trace.append(f"set_reducer {kind} {name}")
        if self.plant != "reducers":
            await self.sql.execute(f"SELECT events.set_reducer('{kind}', '{name}', '{options}')")
        self.reducers[kind] = name

    # ---- months ----

    async def settle(self, *draws):
        """All months, by the plan, or what a plan has that is interrupted."""
        self.trace.append("settle")
        plan = await self.sql.fetch("SELECT month, statement FROM events.maintenance_plan() ORDER BY step")
        due = [month for month in sorted(self.months) if month != self.today and self.months[month].there and not self.months[month].attached and not self.is_settled(month)]
        self.expect(sorted({row["month"] for row in plan}), due, "months to settle")
        for row in plan[:-1] if draws[0] % 4 == 0 else plan:
            code = await self.run(row["statement"])
            self.judge(code, set(), "a statement that settles")
        done = due[:-1] if draws[0] % 4 == 0 else due
        for month in done:
            last = self.last_position(month)
            self.months[month].settled = -1 if last is None else last
            self.months[month].thawed = False
        if self.plant == "settled":
            await self.sql.execute("UPDATE auren.month_records SET settled_at = NULL")

    def is_settled(self, month):
        return self.is_counted(month) and not self.months[month].thawed

    def is_counted(self, month):
        last = self.last_position(month)
        return self.months[month].settled == (-1 if last is None else last)

    async def seal(self, *draws):
        limit = (None, None, 1, 3)[draws[0] % 4]
        due = [event for event in self.present() if event.position > self.sealed_to]
        taken = due[:limit]
        self.trace.append(f"seal {limit}")
        rows, code = await self.call("default", "SELECT * FROM events.seal($1)", limit)
        self.judge(code, set(), "a seal")
        wanted = list(collections.Counter(self.month_of(event) for event in taken).items())
        self.expect([(row["month"], row["events"]) for row in rows], wanted, "what was sealed, by months")
        self.expect([row["seal"] for row in rows], list(range(self.seals + 1, self.seals + 1 + len(wanted))), "numbers of the seals")
        for row in rows:
            self.months[row["month"]].seals.append((row["seal"], self.sealed_to, row["up_to_position"]))
        if rows:
            self.seals += len(rows)
            self.sealed_to = rows[-1]["up_to_position"]
            beyond = due[len(taken):]
            if not taken[-1].position <= self.sealed_to or beyond and beyond[0].position <= self.sealed_to:
                raise Wrong(f"sealed up to {self.sealed_to}, with the last of these at {taken[-1].position}")
        if self.plant == "leaves":
            await self.sql.execute("UPDATE auren.seal_leaves SET leaves = leaves || '\\x00'")

    async def findings(self):
        rows = await self.sql.fetch("SELECT problem, global_position FROM events.verify()")
        return [] if self.plant == "verify" else sorted((row["problem"], row["global_position"]) for row in rows)

    async def clean(self, when):
        self.expect(await self.findings(), [], f"what verify finds {when}")

    async def check(self, *draws):
        self.trace.append("verify")
        await self.clean("where nothing was tampered with")

    async def tamper(self, *draws):
        """In a transaction that is rolled back."""
        sealed = [event for event in self.present() if any(after < event.position <= up_to for _, after, up_to in self.months[self.month_of(event)].seals)]
        if not sealed:
            return
        event = sealed[draws[0] % len(sealed)]
        month = self.month_of(event)
        table = f"events.event_store_{month:%Y_%m}"
        kind = ("changed", "renamed", "removed", "inserted", "moved", "signature")[draws[1] % 6]
        self.trace.append(f"tamper with {event.position}: {kind}")
        others = [one for one in self.present() if one is not event and self.month_of(one) == month]
        where = f"WHERE global_position = {event.position}"
        statement, wanted = {
            "changed": (f"UPDATE {table} SET event_data = event_data || '{{\"n\": -1}}' {where}", [("changed", event.position)]),
            "renamed": (f"UPDATE {table} SET created_by = 'somebody' {where}", [("changed", event.position)]),
            "removed": (f"DELETE FROM {table} {where}", [("removed", event.position)]),
            "inserted": (f"INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(e) || '{{\"global_position\": 0, \"stream_version\": 900, "
                         f"\"event_id\": \"{uuid.uuid4()}\"}}')).* FROM {table} e {where}", [("inserted", 0)]),
            "moved": (f"UPDATE {table} SET global_position = 900000000 {where}", None),
            "signature": (f"UPDATE auren.seals SET signature = substr(signature, 1, 63) || '\\x00'::bytea || substr(signature, 65) WHERE seal = {self.months[month].seals[0][0]} "
                          f"AND get_byte(signature, 63) <> 0", [("signature", None)]),
        }[kind]
        await self.sql.execute("BEGIN")
        await self.sql.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        changed = await self.sql.execute(statement)
        found = await self.findings()
        await self.sql.execute("ROLLBACK")
        self.months[month].thawed |= kind != "signature"
        if changed.endswith(" 0"):
            return
        if kind == "moved":
            if not any(position == event.position and problem in ("removed", "reordered") or problem == "reordered" for problem, position in found):
                raise Wrong(f"an event that got another position is not found: {found}")
        else:
            self.expect(found, wanted, f"what verify finds ({len(others)} other events of the month)")
        await self.clean("after it was undone")

    async def archive(self, *draws):
        month = (PAST + [self.today])[draws[0] % 5]
        table = f"archive_{len(self.archives)}"
        self.trace.append(f"archive {month:%Y-%m} as {table}")
        await self.sql.execute(f"CREATE TABLE {table} (line_number bigserial, line text)")
        code = await self.run(f"INSERT INTO {table} (line) SELECT l FROM events.archive_lines('{month}') l")
        kept = self.months[month]
        codes = {"55000"} if month == self.today or kept.dropped and not kept.there else set() if kept.there else {"42704"}
        if self.judge(code, codes, "an archive"):
            await self.sql.execute(f"DROP TABLE {table}")
            return
        lines = [row["line"] for row in await self.sql.fetch(f"SELECT line FROM {table} ORDER BY line_number")]
        positions = [event.position for event in self.of_month(month)]
        self.expect([json.loads(line)["global_position"] for line in lines[1:-1]], positions, "positions in an archive")
        digest = json.loads(lines[-1])["sha256"]
        made = Archive(month, table, positions, list(self.months[month].seals), digest)
        self.archives.append(made)
        if draws[1] % 3 and not self.months[month].dropped:
            self.trace.append(f"record_archive {month:%Y-%m}")
            sent = "00" * 32 if self.plant == "digests" else digest
            code = await self.run(f"SELECT events.record_archive('{month}', '{table}', '{sent}')")
            self.judge(code, set(), "noting an archive")
            self.months[month].archived = True
            self.months[month].digest = digest

    async def drop(self, *draws):
        before = [*PAST[1:], end_of(PAST[-1]), self.today][draws[0] % 5]
        going = [month for month in sorted(self.months) if self.months[month].there and not self.months[month].attached and end_of(month) <= before]
        held = sorted({what for month in going for what in self.holders(month)})
        force = [what for index, what in enumerate(held) if draws[1] % 3 or draws[2] >> index & 1]
        if draws[3] % 4 == 0:
            force = sorted({"unsealed:*" if what.startswith("unsealed") else what.split(" ")[0] for what in force})
        everything = [what for what in held if what not in force and what.split(" ")[0] not in force and not ("unsealed:*" in force and what.startswith("unsealed"))]
        self.trace.append(f"drop_months_before {before} forced {force}")
        sent = held if self.plant == "holds" else force
        code = await self.run("CALL events.drop_months_before('{}', ARRAY[{}]::text[])".format(before, ", ".join(f"'{what}'" for what in sent)))
        if self.judge(code, {"55000"} if everything else set(), "a drop"):
            return
        for month in going:
            self.carry(month)
        if self.plant == "balances":
            await self.sql.execute("UPDATE auren.opening_states SET state = state || '{\"noted\": {\"n\": -1}}'")
        if self.plant == "dropped ids":
            await self.sql.execute("UPDATE auren.dropped_ids SET stream_version = stream_version + 1")
        if self.plant == "records":
            await self.sql.execute("UPDATE auren.month_records SET last_position = last_position + 1")

    def carry(self, month):
        own = self.of_month(month)
        for key in {(event.tenant, event.stream) for event in own}:
            last = max(event.version for event in own if (event.tenant, event.stream) == key)
            state = self.state_at(*key, last)
            if state is None:
                raise Wrong(f"the model cannot make the state of {key} at {last}")
            self.streams[key].balance = (last, state)
        places = [event.position for event in own]
        kept = self.months[month]
        kept.there = False
        kept.dropped = (len(own), min(places, default=None), max(places, default=None))

    async def attach(self, *draws):
        if not self.archives:
            return
        fitting = [archive for archive in self.archives if self.months[archive.month].dropped and not self.months[archive.month].attached]
        among = fitting if fitting and draws[1] % 4 else self.archives
        archive = among[draws[0] % len(among)]
        month = self.months[archive.month]
        self.trace.append(f"attach {archive.table} of {archive.month:%Y-%m}")
        places = archive.positions
        unsealed = [place for place in places if not any(after < place <= up_to for _, after, up_to in archive.seals)]
        fits = (month.dropped and not month.attached and archive.seals == month.seals
                and (len(places), min(places, default=None), max(places, default=None)) == month.dropped
                and not (unsealed and month.digest and month.digest != archive.digest))
        code = await self.run(f"SELECT events.attach_archive_lines('{archive.table}')")
        if self.judge(code, set() if fits else {"55000"}, "attaching"):
            return
        month.there = month.attached = True
        if self.plant == "attached":
            table = f"events.event_store_{archive.month:%Y_%m}"
            await self.sql.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL; DELETE FROM {table}; ALTER TABLE {table} ENABLE TRIGGER ALL")

    async def detach(self, *draws):
        attached = [month for month in PAST if self.months[month].attached]
        among = attached if attached and draws[1] % 6 else PAST
        month = among[draws[0] % len(among)]
        self.trace.append(f"detach {month:%Y-%m}")
        code = await self.run(f"SELECT events.detach_archive('{month}')" if self.plant != "detached" else "SELECT")
        if self.judge(code, set() if self.months[month].attached else {"55000"}, "detaching"):
            return
        self.months[month].there = self.months[month].attached = False

    async def months_shown(self, *draws):
        rows = {row["month"]: row for row in await self.sql.fetch("SELECT month, state, first_position, last_position, settled_at IS NOT NULL AS settled, held_by FROM events.months")}
        for month, kept in sorted(self.months.items()):
            if month not in rows:
                self.expect(kept.there or kept.dropped is not None, False, f"month {month:%Y-%m} is shown")
                continue
            places = [event.position for event in self.of_month(month)]
            state = ("open" if month == self.today else "archived, attached" if kept.attached else "dropped" if not kept.there else "archived" if kept.archived
                     else "sealed" if self.is_sealed(month) else "settled" if self.is_settled(month) else "closed")
            row = rows[month]
            self.expect((row["state"], row["first_position"], row["last_position"], list(row["held_by"] or [])),
                        (state, min(places, default=None), max(places, default=None), self.holders(month) if kept.there else []), f"{month:%Y-%m} in events.months")
            if kept.there and not kept.attached and month != self.today:
                self.expect(row["settled"], self.is_counted(month), f"whether {month:%Y-%m} is settled")

    async def look(self, *draws):
        self.trace.append("months")
        await self.months_shown()

    # ---- readers ----

    async def compare_state(self, tenant, stream, version):
        known = self.streams[tenant, stream]
        if not known.version:
            return
        at = known.version if version is None else min(version, known.version)
        wanted = self.state_at(tenant, stream, at)
        rows, code = await self.call(tenant, "SELECT events.get_stream_state($1, $2) AS state", stream, version)
        if not self.judge(code, {"22023", "55000"} if wanted is None else set(), "a state"):
            self.expect(json.loads(rows[0]["state"]), wanted, f"the state of {stream} ({tenant}) at {version}")

    async def state(self, *draws):
        tenant, stream = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2]
        version = None if draws[2] % 3 == 0 else 1 + draws[3] % max(self.streams[tenant, stream].version, 1)
        self.trace.append(f"state {tenant} {stream} at {version}")
        await self.compare_state(tenant, stream, version)

    async def replay(self, *draws):
        tenant, stream, first = TENANTS[draws[0] % 4 // 3], STREAMS[draws[1] % 2], 1 + draws[2] % 4
        self.trace.append(f"replay {tenant} {stream} from {first}")
        rows, code = await self.call(tenant, "SELECT stream_version, (event_data ->> 'n')::int AS n FROM events.replay_stream($1, $2)", stream, first)
        self.judge(code, set(), "a replay")
        wanted = sorted((event.version, event.number) for event in self.present(tenant) if event.stream == stream and event.version >= first)
        self.expect([tuple(row) for row in rows][1 if self.plant == "replay" else 0:], wanted, "a replay gives")

    async def compare_feed(self, tenant, after):
        rows, code = await self.call(tenant, "SELECT global_position, (event_data ->> 'n')::int AS n FROM events.read_all($1, 100000)", after)
        self.judge(code, set(), "read_all")
        wanted = [(event.position, event.number) for event in self.present(tenant) if event.position > after]
        self.expect([tuple(row) for row in rows][1 if self.plant == "feed" else 0:], wanted, "read_all gives")

    async def read_all(self, *draws):
        own = [0] + [event.position for event in self.events]
        self.trace.append("read_all")
        await self.compare_feed(TENANTS[draws[0] % 4 // 3], own[draws[1] % len(own)])

    async def subscribe(self, *draws):
        tenant, name = TENANTS[draws[0] % 4 // 3], f"reader{draws[1] % 2}"
        taken = any((one.tenant, one.name) == (tenant, name) for one in self.subscriptions)
        self.trace.append(f"create_subscription {tenant} {name}")
        _, code = await self.call(tenant, "SELECT events.create_subscription($1, p_shares => $2)", name, 1 + draws[2] % 2)
        if not self.judge(code, {"42710"} if taken else set(), "a new subscription"):
            self.subscriptions.append(Subscription(tenant, name))

    async def consume(self, *draws):
        if not self.subscriptions:
            return
        one = self.subscriptions[draws[0] % len(self.subscriptions)]
        limit = (1, 3, 1000)[draws[1] % 3]
        self.trace.append(f"consume {one.tenant} {one.name} {limit}")
        rows, code = await self.call(one.tenant, "SELECT global_position FROM events.fetch($1, 'c', $2)", one.name, limit)
        self.judge(code, set(), "a fetch")
        due = [event.position for event in self.present(one.tenant) if event.position > one.checkpoint]
        got = [row["global_position"] for row in rows]
        self.expect(got, due[:limit], "a fetch gives")
        if got:
            _, code = await self.call(one.tenant, "SELECT events.acknowledge($1, 'c', $2)", one.name, got[0] if self.plant == "checkpoints" else got[-1])
            self.judge(code, set(), "an acknowledgement")
        shown = await self.sql.fetchval("SELECT checkpoint FROM events.subscriptions WHERE name = $1", one.name)
        rest = due[len(got):]
        if got and shown < got[-1] or rest and shown >= rest[0]:
            raise Wrong(f"the checkpoint is {shown}, after {got[-1:]} were acknowledged and with {rest[:1]} to come")
        one.checkpoint = shown

    async def reset(self, *draws):
        if not self.subscriptions:
            return
        one = self.subscriptions[draws[0] % len(self.subscriptions)]
        self.trace.append(f"reset_subscription {one.tenant} {one.name}")
        _, code = await self.call(one.tenant, "SELECT events.reset_subscription($1, 0)", one.name)
        self.judge(code, set(), "a reset")
        one.checkpoint = 0

    async def prove(self, *draws):
        known = [event for event in self.events if event.id]
        if not known:
            return
        event = known[draws[0] % len(known)]
        self.trace.append(f"prove {event.position}")
        if self.plant == "proofs":
            await self.sql.execute("UPDATE auren.seals SET sealed_at = sealed_at + interval '1 second'")
        rows, code = await self.call(event.tenant, "SELECT p.valid, p.reason FROM events.verify_proof(events.event_line($1), events.prove($1)) p", event.id)
        sealed = any(after < event.position <= up_to for _, after, up_to in self.months[self.month_of(event)].seals)
        codes = {"42704"} if not self.there(event) else set() if sealed else {"55000"}
        if not self.judge(code, codes, "a proof"):
            self.expect(tuple(rows[0]), (True, None), "a proof holds")


Run.months_step = Run.look


# ---- drawing ----

def draw_history(source):
    kinds = list(KINDS)
    steps = []
    for kind in source.choices(kinds, [KINDS[kind] for kind in kinds], k=source.randint(10, 90)):
        steps.append(("months_step" if kind == "months" else kind, *(source.randrange(1000000) for _ in range(6))))
    return None, steps


PLANTS = ["ids", "imports", "closed", "reducers", "settled", "leaves", "verify", "digests", "holds", "balances", "dropped ids", "records", "attached", "detached",
          "replay", "feed", "checkpoints", "proofs"]
CALLS = ["an append", "an append given again", "an import", "an append with a condition", "an archive", "a drop", "attaching", "detaching", "a state", "a proof"]
PLANTED_HISTORIES = 200  # in so many a planted fault must show


async def find(histories, source, enough):
    """Plays random histories until one fails or it is enough: how many, and the history with its failure."""
    number = 0
    while not enough(number):
        history = draw_history(source)
        number += 1
        failure = await histories.play(*history, True)
        if failure is not None:
            return number, history, failure
    return number, None, None


def finish(passed, number, text):
    print(f"{'ok' if passed else 'not ok'} {number} - {text}", flush=True)
    return passed


async def prepare(admin):
    """The template of the histories' databases, and the key of seals."""
    await admin.execute("LOAD 'auren_events'")
    path = await admin.fetchval("SELECT current_setting('data_directory') || '/months_model_key'")
    lines = ", ".join(f"('{line}')" for line in KEY)
    await admin.execute(f"COPY (VALUES {lines}) TO PROGRAM 'umask 077; cat > {path}'")
    await admin.execute(f"ALTER SYSTEM SET auren_events.seal_key_file = '{path}'")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("DROP DATABASE IF EXISTS months_model")
    await admin.execute("CREATE DATABASE months_model")
    made = await asyncpg.connect(database="months_model")
    await made.execute("SET client_min_messages = error; CREATE EXTENSION auren_events; SELECT events.create_monthly_partitions(0)")
    await made.execute(re.sub(r"^\\.*$", "", HELPERS.read_text(), flags=re.M))
    await made.execute("".join(f"SELECT t.old_month('{month}');" for month in PAST[1:]))
    while await made.fetchval("SELECT current_setting('auren_events.seal_key_file')") != path:
        await asyncio.sleep(0.01)
    await made.execute("SELECT events.register_seal_key()")
    await made.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=50)
    parser.add_argument("--plant", choices=PLANTS, metavar="FAULT")
    arguments = parser.parse_args()
    print(f"# seed {arguments.seed}", flush=True)
    admin = await asyncpg.connect()
    await prepare(admin)
    counts = collections.Counter()
    mark = time.time_ns() % 1000000000
    histories = Histories(lambda number, _: Run(admin, f"{mark}_{number}", arguments.plant, counts))
    end = time.monotonic() + arguments.seconds

    def absent():
        kinds = [name for name in KINDS if histories.steps["months_step" if name == "months" else name] == 0]
        return kinds + [(call, how) for call in CALLS for how in ("done", "refused") if not counts[call, how]]

    def enough(number):
        """After the time, and when there was everything that there must be, unless it takes too long."""
        return number >= arguments.histories and time.monotonic() >= end and (number >= 5 * arguments.histories or not absent())
    number, history, failure = await find(histories, random.Random(arguments.seed), enough)
    if failure is not None:
        await histories.explain(number, arguments.seed, history, failure)
    passed = finish(failure is None, 1, f"{number} histories, {sum(histories.steps.values())} steps, as the model has it (seed {arguments.seed})")
    passed &= finish(not absent(), 2, "every kind of step was taken, and each call was done and refused: " + ", ".join(f"{call} {counts[call, 'done']}/{counts[call, 'refused']}" for call in CALLS)
                     + "".join(f"; absent: {what}" for what in absent()))
    if arguments.plant is None and passed:
        missed, took = [], []
        for plant in PLANTS:
            planted = Histories(lambda number, _: Run(admin, f"{mark}_{PLANTS.index(plant)}p_{number}", plant, collections.Counter()))
            count, _, found = await find(planted, random.Random(arguments.seed), lambda number: number >= PLANTED_HISTORIES)
            missed += [plant] if found is None else []
            took.append(f"{plant} {count}")
        passed &= finish(not missed, 3, f"each planted fault is found, after so many histories: {', '.join(took)}")
    print(f"1..{2 if arguments.plant else 3}")
    await admin.execute("ALTER SYSTEM RESET auren_events.seal_key_file")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("DROP DATABASE months_model")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
