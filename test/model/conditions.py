#!/usr/bin/env python3
"""Tags, queries and conditions against a model, over random histories of two sessions in one or two tenants.

A history takes some dozens of steps: appends with and without a condition, of all shapes, repeated ones, reads by query in both directions, rules of tags and
spans that are added, filled and dropped, transactions and savepoints that are rolled back. The model knows every event with its tags and span. From
that follows what each call must answer: what it appends, by which error it is refused, which event a condition names. Where the other session's
transaction is open and has to do with the call, the call may wait for its end; where it has not, the call must not. At the end every condition
that held is asked once more, of all events that were committed before its own.

    conditions.py [--seconds N] [--seed N] [--histories N] [--plant FAULT]

The server is the one that PGHOST, PGPORT, PGUSER and PGDATABASE name; the user is a superuser. It runs for so many seconds, and so many histories at
least. A history that fails is made as short as it still fails, and printed with its seed. Then faults are planted, one of each kind, such as conditions
on tags that are not asked, and the model must find each. --plant runs with one fault and prints what it finds. The last lines are TAP.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import random
import sys
import time
import uuid

import asyncpg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from histories import Histories, Wrong  # noqa: E402

SESSIONS = 2
TYPES = ["booked", "moved", "noted"]
STREAMS = ["s:1", "s:2", "s:3", "s:4"]
TAGS = ["room:1", "room:ada", "who:ada", "who:1", "free:a", "free:b"]
MANY_TAGS = [f"many:{number}" for number in range(66)]
MOST_TAGS = 64

# Where a rule looks and the key of its tags; two make tags of the same key.
RULES = [("/room", "room"), ("/who", "who"), ("/in/who", "who")]
# What stands there: the JSON text (None: nothing), the texts of the tags (None: it can make none), and how often it is drawn.
VALUES = [(None, [], 5), ('"ada"', ["ada"], 6), ("1", ["1"], 6), ('"1"', ["1"], 3), ("true", ["true"], 2), ("0.10", ["0.10"], 1), ("1e2", ["100"], 1),
          ("null", [], 2), ("[]", [], 1), ('[1, "ada"]', ["1", "ada"], 3), ('{"a": 1}', None, 1), ('""', None, 1), ('"a\\nb"', None, 1),
          ('"' + 255 * "x" + '"', None, 1)]
TIMES = ["2026-12-01 10:{:02}:00Z", "2026-12-01T10:{:02}:00+00:00", "2026-12-01 12:{:02}:00+02", "2026-12-01 10:{:02}:00"]
UNREADABLE = "in the morning"

# Queries that are none; each is 22023.
MALFORMED = ["[]", "null", "1", '"x"', '[1]', '{"types": []}', '{"tags": []}', '{"tags": "x"}', '{"tags": [1]}', '{"types": ["a"], "what": 1}', '{"version": 1}',
             '{"stream": "s:1", "version": 1, "tags": ["x"]}', '{"stream": 1}', '{"during": ["2026-12-01 10:00Z"]}', "[" + ", ".join(65 * ['{"stream": "s"}']) + "]"]

SHAPES = ["everything", "types", "tags", "several tags", "types and tags", "stream", "stream and types", "during", "tags and during", "version"]
KINDS = {"append": 22, "condition": 40, "retry": 10, "read": 20, "read_all": 4, "replay": 3, "begin_work": 8, "savepoint": 8, "back": 6, "rollback": 3, "commit": 5,
         "add_rule": 4, "fill": 5, "drop_rule": 1, "add_span": 3, "drop_span": 1, "malformed": 1, "above": 2}


def shape_of(item):
    if not item:
        return "everything"
    if "version" in item:
        return "version"
    if "stream" in item:
        return "stream and types" if "types" in item else "stream"
    if "during" in item:
        return "tags and during" if "tags" in item else "during"
    if "tags" in item:
        return "types and tags" if "types" in item else "several tags" if len(item["tags"]) > 1 else "tags"
    return "types"


class Spec:
    """An event as a caller gives it: numbers that were drawn, and what follows from them."""

    def __init__(self, stream, kind, values, span, tags, number):
        self.stream = stream
        self.type = kind
        self.values = values  # indexes of VALUES, by rule
        self.span = span      # from and to: a minute, None (null), "absent" or "unreadable"; and how the times are written
        self.tags = tags
        self.number = number

    def data(self):
        room, who, inner = (VALUES[index][0] for index in self.values)
        fields = [("n", str(self.number))] + [(name, token) for name, token in (("room", room), ("who", who)) if token is not None]
        if inner is not None:
            fields.append(("in", '{"who": ' + inner + "}"))
        fields += [(name, text) for name, text in zip(("from", "to"), map(self.time, self.span[:2])) if text is not None]
        return "{" + ", ".join(f'"{name}": {token}' for name, token in fields) + "}"

    def time(self, moment):
        if moment == "absent":
            return None
        return "null" if moment is None else json.dumps(UNREADABLE if moment == "unreadable" else TIMES[self.span[2]].format(moment))

    def made(self, rule):
        """The tags of a rule, or None where it can make none."""
        texts = VALUES[self.values[RULES.index(rule)]][1]
        return None if texts is None else [f"{rule[1]}:{text}" for text in texts]

    def interval(self):
        """None: no span; a code: it cannot be read; else from and to, None where it is open."""
        begin, end = (None if moment == "absent" else moment for moment in self.span[:2])
        if "unreadable" in (begin, end):
            return "22007"
        if begin is None and end is None:
            return None
        return "22023" if begin is not None and end is not None and end <= begin else (begin, end)

    def same(self, other):
        return (self.stream, self.type, self.data(), set(self.tags)) == (other.stream, other.type, other.data(), set(other.tags))


class Event:
    """A stored event."""

    def __init__(self, spec, event_id, version, position):
        self.spec = spec
        self.id = event_id
        self.version = version
        self.position = position


class Rule:
    def __init__(self, complete, skipped):
        self.complete = complete
        self.skipped = skipped


class Tenant:
    """The committed events of a tenant, in order of position, and its rules."""

    def __init__(self, name):
        self.name = name
        self.events = []
        self.rules = {}  # by type, pointer and key
        self.spans = set()

    def rules_of(self, kind, complete_only):
        return [(pointer, key) for (of, pointer, key), rule in self.rules.items() if of == kind and (rule.complete or not complete_only)]

    def shown(self, spec):
        """The tags that are shown: those given and those of complete rules."""
        tags = set(spec.tags)
        for rule in self.rules_of(spec.type, True):
            tags.update(spec.made(rule) or [])
        return sorted(tags)

    def facts(self, spec):
        interval = spec.interval() if spec.type in self.spans else None
        return spec.stream, spec.type, self.shown(spec), interval if isinstance(interval, tuple) else None

    def refusals(self, spec):
        """The codes by which an append of such an event may be refused."""
        codes = set()
        tags = set(spec.tags)
        for rule in self.rules_of(spec.type, False):
            made = spec.made(rule)
            if made is None:
                codes.add("22023")
            tags.update(made or [])
        if len(tags) > MOST_TAGS:
            codes.add("22023")
        if spec.type in self.spans and isinstance(spec.interval(), str):
            codes.add(spec.interval())
        return codes

    def keys(self, spec):
        return set(spec.tags).union(*(spec.made(rule) or [] for rule in self.rules_of(spec.type, False)))


def overlaps(span, during):
    begin, end = during
    return (span[0] is None or end is None or span[0] < end) and (span[1] is None or begin is None or begin < span[1])


def item_matches(item, facts):
    stream, kind, tags, span = facts
    return not ("version" in item or "types" in item and kind not in item["types"] or not set(item.get("tags", [])) <= set(tags)
                or item.get("stream", stream) != stream or "during" in item and (span is None or not overlaps(span, item["during"])))


def query_matches(query, facts):
    return any(item_matches(item, facts) for item in query)


def query_text(query, alone=False):
    """A query as it is sent: minutes become times."""
    sent = [{**item, "during": [None if moment is None else TIMES[0].format(moment) for moment in item["during"]]} if "during" in item else item for item in query]
    return json.dumps(sent[0] if alone and len(sent) == 1 else sent)


class Footprint:
    """What a call locks, at the most."""

    def __init__(self):
        self.written = set()
        self.checked = set()
        self.others = set()  # streams and ids
        self.store = False   # a condition that waits for all appends

    def add(self, other):
        self.written |= other.written
        self.checked |= other.checked
        self.others |= other.others
        self.store |= other.store

    def meets(self, other):
        many = max(len(self.written | self.checked), len(other.written | other.checked)) > 16
        return (self.store or other.store or many or bool(self.written & other.checked) or bool(self.checked & other.written)
                or bool(self.others & other.others))


class Call:
    """An append as it is sent: which function, its events, and what it demands."""

    def __init__(self, kind, specs, ids, expected, query, after):
        self.kind = kind  # "event", "events" or "if"
        self.specs = specs
        self.ids = ids
        self.expected = expected
        self.query = query
        self.after = after

    def footprint(self, tenant):
        found = Footprint()
        for spec in self.specs:
            found.written |= {(tenant.name, tag) for tag in tenant.keys(spec)}
            found.others.add((tenant.name, "stream", spec.stream))
        found.others |= {(tenant.name, "id", event_id) for event_id in self.ids or []}
        for item in self.query or []:
            found.checked |= {(tenant.name, tag) for tag in item.get("tags", [])[:1]}
            if "stream" in item:
                found.others.add((tenant.name, "stream", item["stream"]))
            found.store |= "tags" not in item and "stream" not in item
        return found


class Work:
    """An open transaction: a level for BEGIN and for each savepoint, with its events by tenant and its locks."""

    def __init__(self):
        self.levels = []

    def begin(self):
        self.levels.append(([], Footprint()))

    def events(self):
        return [event for events, _ in self.levels for event in events]

    def footprint(self):
        total = Footprint()
        for _, footprint in self.levels:
            total.add(footprint)
        return total


class Held:
    """A condition that held: asked once more at the end, with the rules as they were."""

    def __init__(self, tenant, query, after, first, own):
        self.query = query
        self.after = after
        self.first = first
        self.own = own
        self.rules = {key: Rule(rule.complete, 0) for key, rule in tenant.rules.items()}
        self.spans = set(tenant.spans)

    def broken_by(self, tenant):
        then = Tenant(tenant.name)
        then.rules, then.spans = self.rules, self.spans
        return [event.position for event in tenant.events
                if self.after < event.position < self.first and event.position not in self.own and query_matches(self.query, then.facts(event.spec))]


class Run:
    """One history on a server, compared step by step."""

    def __init__(self, connections, number, settings, plant, shapes):
        self.admin = connections[0]
        self.of = connections[1:]
        self.tenants = [Tenant(f"model {number} {letter}") for letter in "ab"]
        self.tenant_of = [self.tenants[index] for index in settings]
        self.plant = plant
        self.shapes = shapes
        self.trace = []
        self.work = [None] * SESSIONS
        self.calls = []
        self.held = []
        self.gone = []  # events of what the last error or rollback ended
        self.pids = []
        self.number = 0
        self.base = 0

    async def begin(self):
        self.base = await self.admin.fetchval("SELECT events.feed_horizon()")
        for session, connection in enumerate(self.of):
            await connection.execute(f"SET app.tenant_id = '{self.tenant_of[session].name}'")
            self.pids.append(connection.get_server_pid())
        self.trace.append("sessions of " + ("two tenants" if self.tenant_of[0] is not self.tenant_of[1] else "one tenant"))

    def at(self, position):
        return "nothing" if position is None else position - self.base

    def visible(self, session):
        own = self.work[session].events() if self.work[session] else []
        return self.tenant_of[session].events + own

    def other(self, session):
        return 1 - session

    def expect(self, actual, wanted, what):
        if actual != wanted:
            raise Wrong(f"{what}: {actual}, not {wanted}")

    # ---- calls that may wait for the other session ----

    async def call(self, session, footprint, ending, sql, *arguments):
        """Rows and None, or None and the error. Where the call waits for the other session, that one's transaction is ended."""
        task = asyncio.ensure_future(self.of[session].fetch(sql, *arguments))
        other = self.other(session)
        if self.work[other] is not None:
            await self.let_wait(task, session, footprint, ending)
        try:
            return await task, None
        except asyncpg.PostgresError as error:
            return None, error

    async def let_wait(self, task, session, footprint, ending):
        other = self.other(session)
        blocked = False
        while not task.done() and not blocked:
            await asyncio.wait({task}, timeout=0.002)
            blocked = not task.done() and await self.admin.fetchval("SELECT $1 = ANY (pg_blocking_pids($2))", self.pids[other], self.pids[session])
        if not blocked:
            return
        meets = footprint.meets(self.work[other].footprint())
        self.trace.append(f"  session {session} waits for session {other}, which {'commits' if ending else 'rolls back'}")
        await (self.commit(other) if ending else self.rollback(other))
        if not meets:
            await asyncio.wait({task})
            raise Wrong("the call waits although it has nothing to do with the other transaction")

    async def failed(self, session):
        """What an error makes of the session's transaction."""
        work = self.work[session]
        if work is None:
            return
        if len(work.levels) > 1:
            await self.back(session)
        else:
            await self.rollback(session)

    # ---- appends ----

    def spec(self, drawn):
        self.number += 1
        return Spec(*drawn, self.number)

    def new_ids(self, count):
        first = 1000 * (self.number + 1)
        self.number += 1
        return [uuid.UUID(int=(0x4000 << 64) + (1 << 63) + first + index) for index in range(count)]

    def versions(self, session, specs, draw):
        """Expected versions that hold, that do not, or none."""
        current = collections.Counter(event.spec.stream for event in self.visible(session))
        if draw < 6:
            return None
        wrong = 1 if draw == 9 else 0
        return [-1 if draw == 8 and current[spec.stream] else current[spec.stream] + wrong for spec in specs]

    def judge(self, session, call):
        """The codes of which one must come (none: it succeeds), what it then returns for events that are known, and what matches."""
        tenant = self.tenant_of[session]
        seen = self.visible(session)
        by_id = {event.id: event for event in seen}
        known = [by_id.get(event_id) for event_id in call.ids or [None] * len(call.specs)]
        codes = {"ZE002" for spec, event in zip(call.specs, known) if event is not None and not event.spec.same(spec)}
        codes |= {"22023" for spec in call.specs if len(set(spec.tags)) > MOST_TAGS}
        if all(event is not None for event in known):
            return codes, known, []
        for spec, event in zip(call.specs, known):
            if event is None:
                codes |= tenant.refusals(spec)
        current = collections.Counter(event.spec.stream for event in seen)
        for spec, expected in zip(call.specs, call.expected or []):
            if expected is not None and (expected == -1 and not current[spec.stream] or expected >= 0 and current[spec.stream] != expected):
                codes.add("ZE001")
        matches = []
        if call.kind == "if":
            matches = sorted(event.position for event in seen if event.position > (call.after or 0) and query_matches(call.query, tenant.facts(event.spec)))
            versions = [item for item in call.query if "version" in item and current[item["stream"]] != item["version"]]
            if matches or versions:
                codes.add("ZE008")
            if versions:
                matches = []
        return codes, known, matches

    def statement(self, call):
        """The SQL and its parameters."""
        streams, types = [spec.stream for spec in call.specs], [spec.type for spec in call.specs]
        data, tags = [spec.data() for spec in call.specs], [json.dumps(spec.tags) if spec.tags else None for spec in call.specs]
        ids = None if call.ids is None else [str(event_id) for event_id in call.ids]
        if call.kind == "event":
            return ("SELECT events.append_event($1, $2, $3, p_expected_version := $4, p_event_id := $5::text::uuid, p_tags := $6) AS event_id",
                    streams[0], types[0], data[0], call.expected and call.expected[0], ids and ids[0], call.specs[0].tags or None)
        arguments = [streams, types, data, call.expected, ids, tags if any(tags) else None]
        if call.kind == "events":
            return ("SELECT * FROM events.append_events($1, $2, $3, p_expected_versions := $4, p_event_ids := $5::text[]::uuid[], p_tags := $6)", *arguments)
        return ("SELECT * FROM events.append_if($7, $8, $1, $2, $3, p_expected_versions := $4, p_event_ids := $5::text[]::uuid[], p_tags := $6)",
                *arguments, query_text(call.query, len(call.specs) == 1), call.after)

    async def planted(self, session, call):
        """What is sent in place of a call where a fault is planted: a condition is left out, a look comes before an append that has no condition, or the condition of
        a call that is repeated is asked again."""
        if call.kind != "if":
            return self.statement(call)
        query = [item for item in call.query if self.plant != "condition: " + shape_of(item)]
        unconditional = Call("events", call.specs, call.ids, call.expected, None, None)
        codes, known, matches = self.judge(session, call)
        named = [event for event in self.visible(session) if event.position in matches[:1]]
        detail = "".join(f'Event {event.position} (stream "{event.spec.stream}", type "{event.spec.type}") matches.' for event in named)
        refusal = (f"DO $$ BEGIN RAISE 'planted' USING ERRCODE = 'ZE008', DETAIL = '{detail}', HINT = 'none'; END $$",)
        if self.plant == "race" and "version" not in map(shape_of, query):
            return refusal if "ZE008" in codes else self.statement(unconditional)
        if self.plant == "repeated" and not codes and all(known) and await self.of[session].fetchval(
                "SELECT count(*) FROM events.event_store WHERE tenant_id = $1 AND global_position > $2", self.tenant_of[session].name, call.after or 0):
            return refusal
        return self.statement(Call("if", call.specs, call.ids, call.expected, query, call.after) if query else unconditional)

    def tell(self, session, call):
        parts = [f"{spec.stream} {spec.type} {spec.data()} {' '.join(spec.tags[:8])}".rstrip() for spec in call.specs]
        text = f"session {session}: append_{call.kind} " + "; ".join(parts)
        if call.kind == "if":
            text += f" if {query_text(call.query)} after {self.at(call.after)}"
        if call.expected:
            text += f", expects {call.expected}"
        return text + (f", ids {' '.join(str(event_id)[-5:] for event_id in call.ids)}" if call.ids else "")

    async def send(self, session, call, ending):
        """Makes a call and compares. Gives whether it succeeded."""
        self.trace.append(self.tell(session, call))
        line = len(self.trace) - 1
        tenant = self.tenant_of[session]
        footprint = call.footprint(tenant)
        horizon = await self.admin.fetchval("SELECT events.feed_horizon()")
        rows, error = await self.call(session, footprint, ending, *(await self.planted(session, call)))
        codes, known, matches = self.judge(session, call)
        self.trace[line] += f": {error.sqlstate if error else 'done'}"
        if error:
            await self.failed(session)
            if error.sqlstate == "55000" and (call.after or 0) > horizon:
                return False  # a transaction that rolled back to a savepoint and has appended again holds the horizon where it was at first
            if not codes:
                raise Wrong(f"it is refused with {error.sqlstate}: {error}; {error.detail}")
            if error.sqlstate not in codes:
                raise Wrong(f"it is refused with {error.sqlstate} ({error}; {error.detail}), not with one of {sorted(codes)}")
            self.check_detail(tenant, call, error, matches)
            self.count(call, known, "refused", error.sqlstate)
            return False
        if codes:
            raise Wrong(f"it is not refused; one of {sorted(codes)} is due" + (f", {self.at(matches[0])} matches" if matches else ""))
        await self.take(session, call, known, rows, footprint)
        self.count(call, known, "done", None)
        return True

    def check_detail(self, tenant, call, error, matches):
        """The first event that matches is named; by types alone and after no position it is the first by time, which is one of them."""
        if error.sqlstate != "ZE008" or not matches:
            return
        by_time = call.after is None and any(shape_of(item) == "types" for item in call.query)
        named = [event for event in self.all_events(tenant) if event.position in (matches if by_time else matches[:1])]
        texts = [f'Event {event.position} (stream "{event.spec.stream}", type "{event.spec.type}") matches.' for event in named]
        if not any((error.detail or "").startswith(text) for text in texts):
            raise Wrong(f"the detail of ZE008 is {error.detail}, not {' or '.join(texts)}")
        if not error.hint:
            raise Wrong("ZE008 has no hint")

    def all_events(self, tenant):
        own = [event for session, work in enumerate(self.work) if work and self.tenant_of[session] is tenant for event in work.events()]
        own += self.gone  # of the transaction that the error ended
        return tenant.events + own

    def count(self, call, known, how, code):
        if call.kind == "if" and len(call.query) == 1 and not any(known) and code in (None, "ZE008"):
            self.shapes[shape_of(call.query[0]), how] += 1

    async def take(self, session, call, known, rows, footprint):
        """Compares what a call returned, and adds its events."""
        if call.kind == "event":
            rows = await self.of[session].fetch("SELECT event_id, stream_id, stream_version, global_position FROM events.event_store WHERE tenant_id = $1 AND event_id = $2",
                                                self.tenant_of[session].name, rows[0]["event_id"])
        current = collections.Counter(event.spec.stream for event in self.visible(session))
        last = max([self.base] + [event.position for tenant in self.tenants for event in self.all_events(tenant)])
        wanted, got, new = [], [], []
        for row, spec, event, event_id in zip(rows, call.specs, known, call.ids or [None] * len(rows)):
            got.append((row["stream_id"], row["stream_version"]) + ((row["event_id"],) if event_id else ()) + ((row["global_position"],) if event else ()))
            if event is None:
                current[spec.stream] += 1
                event = Event(spec, row["event_id"], current[spec.stream], row["global_position"])
                new.append(event)
                wanted.append((spec.stream, current[spec.stream]) + ((event_id,) if event_id else ()))
            else:
                wanted.append((spec.stream, event.version, event.id, event.position))
        self.expect(len(rows), len(call.specs), "rows returned")
        self.expect(got, wanted, "stream, version, and id and position where they are known, as returned")
        positions = [event.position for event in new]
        if positions != sorted(set(positions)) or positions and positions[0] <= last:
            raise Wrong(f"the positions {[self.at(position) for position in positions]} are not new ones in order")
        if call.kind == "if" and new:
            self.held.append((self.tenant_of[session], Held(self.tenant_of[session], call.query, call.after or 0, positions[0], set(positions))))
        self.calls.append((session, call))
        self.add(session, new, footprint)

    def add(self, session, events, footprint):
        work = self.work[session]
        if work is None:
            tenant = self.tenant_of[session]
            tenant.events = sorted(tenant.events + events, key=lambda event: event.position)
        else:
            work.levels[-1][0].extend(events)
            work.levels[-1][1].add(footprint)

    # ---- steps; each is given the numbers that were drawn for it ----

    async def append(self, session, drawn, draws, ending):
        specs = [self.spec(one) for one in drawn]
        kind = "event" if len(specs) == 1 and draws[0] < 5 else "events"
        ids = self.new_ids(len(specs)) if draws[1] < 4 else None
        self.gone = []
        await self.send(session, Call(kind, specs, ids, self.versions(session, specs, draws[2]), None, None), ending)

    async def position(self, session, draw):
        """A position to append after: none, or one that is final, mostly a late one."""
        if draw % 6 == 0:
            return None
        final = [event.position for event in self.tenant_of[session].events]
        horizon = await self.admin.fetchval("SELECT events.feed_horizon()")
        final = [0] + [position for position in final if position <= horizon] + [horizon] * 3
        return final[-1 - draw // 6 % min(len(final), 12)]

    async def condition(self, session, drawn, query, draws, ending):
        specs = [self.spec(one) for one in drawn]
        ids = self.new_ids(len(specs)) if draws[1] < 4 else None
        query = [self.version_item(session, item, draws[3]) if "version" in item else item for item in query]
        call = Call("if", specs, ids, self.versions(session, specs, draws[2]), query, await self.position(session, draws[4]))
        self.gone = []
        await self.send(session, call, ending)

    def version_item(self, session, item, draw):
        """The version that a stream has, or one more."""
        current = sum(event.spec.stream == item["stream"] for event in self.visible(session))
        return {"stream": item["stream"], "version": current + (1 if draw % 3 == 0 else 0)}

    async def retry(self, draw, how, drawn, ending):
        """A call that succeeded, once more: as it was, with other tags, as a call of append_events, or with one more event."""
        calls = [(session, call) for session, call in self.calls if call.ids]
        if not calls:
            return
        session, call = calls[-1 - draw % min(len(calls), 8)]
        specs, ids, kind, query = list(call.specs), call.ids, call.kind, call.query
        if how == 0:
            last = specs[-1]
            specs[-1] = Spec(last.stream, last.type, last.values, last.span, sorted(set(last.tags) ^ {"other:1"}), last.number)
        elif how == 1 and kind == "if":
            kind, query = "events", None
        elif how == 2 and kind != "event":
            specs, ids = specs + [self.spec(drawn)], ids + self.new_ids(1)
        else:
            specs[0] = Spec(specs[0].stream, specs[0].type, specs[0].values, specs[0].span, list(reversed(specs[0].tags)) + specs[0].tags[:1], specs[0].number)
        self.gone = []
        expected = None if len(specs) > len(call.specs) else call.expected
        await self.send(session, Call(kind, specs, ids, expected, query, call.after), ending)

    async def above(self, session, drawn, query):
        """A position that is not final is refused."""
        query = [item for item in query if "version" not in item] or [{}]
        call = Call("if", [self.spec(drawn)], None, None, query, 1000000 + await self.admin.fetchval("SELECT last_value FROM auren.global_position_seq"))
        if self.work[self.other(session)] is None:
            self.trace.append(f"session {session}: a position above the horizon")
            _, error = await self.call(session, call.footprint(self.tenant_of[session]), True, *self.statement(call))
            await self.failed(session)
            if self.tenant_of[session].refusals(call.specs[0]):
                return
            self.expect(error and error.sqlstate, "55000", "a position above the horizon")

    async def malformed(self, session, draw, drawn):
        if self.work[session] is None and self.work[self.other(session)] is None:
            text = MALFORMED[draw % len(MALFORMED)]
            self.trace.append(f"session {session}: the query {text[:60]}")
            _, error = await self.call(session, Footprint(), True, "SELECT * FROM events.read_by_query($1)", text)
            self.expect(error and error.sqlstate, "22023", "a read by it")
            _, error = await self.call(session, Footprint(), True, "SELECT * FROM events.append_if($1, NULL, ARRAY['s:1'], ARRAY['noted'], ARRAY['{}']::jsonb[])", text)
            self.expect(error and error.sqlstate, "22023", "an append by it")

    def shown_rows(self, tenant, events):
        return [(event.position, event.spec.stream, event.version, event.spec.type, event.spec.number, event.id, tenant.shown(event.spec)) for event in events]

    def compare_rows(self, rows, tenant, events, what):
        given = {event.position: event.spec.tags for event in events} if self.plant == "shown tags" else {}
        got = [(row["global_position"], row["stream_id"], row["stream_version"], row["event_type"], row["n"], row["event_id"],
                [tag for tag in row["tags"] if tag in given.get(row["global_position"], row["tags"])]) for row in rows]
        wanted = self.shown_rows(tenant, events)
        if got == wanted:
            return
        self.expect([self.at(row[0]) for row in got], [self.at(row[0]) for row in wanted], what + " gives the positions")
        self.expect([row for row in got if row not in wanted], [row for row in wanted if row not in got], what + " gives")

    async def read(self, session, query, draws):
        """A read by query; the limits are drawn from the positions there are."""
        tenant = self.tenant_of[session]
        query = [item for item in query if "version" not in item] or [{}]
        places = [0] + [event.position for event in tenant.events] + [self.base + 100000]
        after = places[draws[0] % len(places)] if draws[0] % 3 == 0 else 0
        up_to = places[draws[1] % len(places)] if draws[1] % 3 == 0 else None
        limit, backwards = (1, 2, 3, 1000)[draws[2] % 4], draws[3] % 2 == 1
        horizon = await self.of[session].fetchval("SELECT events.feed_horizon()")
        sent = [item for item in query if self.plant != "read: " + shape_of(item)]
        rows = await self.of[session].fetch(
            "SELECT global_position, stream_id, stream_version, event_type, (event_data ->> 'n')::int AS n, event_id, tags FROM events.read_by_query($1, $2, $3, $4, $5)",
            query_text(sent, limit == 1), after, up_to, limit, backwards) if sent else []
        self.trace.append(f"session {session}: read_by_query {query_text(query)} after {self.at(after)} up to {self.at(up_to)} limit {limit}{' backwards' if backwards else ''}")
        if not any(self.work) and tenant.events and horizon < tenant.events[-1].position:
            raise Wrong(f"the horizon is {self.at(horizon)}, and nothing is in flight after {self.at(tenant.events[-1].position)}")
        end = horizon if up_to is None else min(up_to, horizon)
        events = [event for event in tenant.events if after < event.position <= end and query_matches(query, tenant.facts(event.spec))]
        self.compare_rows(rows, tenant, (list(reversed(events)) if backwards else events)[:limit], "the read")

    async def read_all(self, session, tags):
        tenant = self.tenant_of[session]
        self.trace.append(f"session {session}: read_all of {' '.join(tags)}")
        horizon = await self.of[session].fetchval("SELECT events.feed_horizon()")
        rows = await self.of[session].fetch(
            "SELECT global_position, stream_id, stream_version, event_type, (event_data ->> 'n')::int AS n, event_id, tags FROM events.read_all(0, 1000, p_tags := $1)", tags)
        self.compare_rows(rows, tenant, [event for event in tenant.events if event.position <= horizon and set(tags) <= set(tenant.shown(event.spec))], "read_all")

    async def replay(self, session, stream):
        tenant = self.tenant_of[session]
        self.trace.append(f"session {session}: replay of {stream}")
        rows = await self.of[session].fetch(
            "SELECT global_position, $1::text AS stream_id, stream_version, event_type, (event_data ->> 'n')::int AS n, event_id, tags FROM events.replay_stream($1)", stream)
        self.compare_rows(rows, tenant, [event for event in self.visible(session) if event.spec.stream == stream], "the replay")

    # ---- rules: nothing is in flight meanwhile ----

    async def add_rule(self, session, kind, rule):
        tenant = self.tenant_of[session]
        key = (kind, *rule)
        if any(self.work) or key in tenant.rules:
            return
        complete = await self.of[session].fetchval("SELECT events.add_tag_rule($1, $2, $3)", *key)
        self.trace.append(f"session {session}: add_tag_rule {' '.join(key)}: {'complete' if complete else 'not complete'}")
        stored = [event for event in tenant.events if event.spec.type == kind]
        self.expect(complete, not stored, "whether the rule is complete")
        tenant.rules[key] = Rule(complete, sum(event.spec.made(rule) is None for event in stored))

    async def fill(self, session, limit):
        tenant = self.tenant_of[session]
        if any(self.work):
            return
        left = await self.of[session].fetchval("SELECT events.fill_tag_rules($1)", limit)
        self.trace.append(f"session {session}: fill_tag_rules {limit}: {left} left")
        shown = {(row["event_type"], row["pointer"], row["tag_key"]): row
                 for row in await self.of[session].fetch("SELECT event_type, pointer, tag_key, complete, skipped FROM events.tag_rules")}
        self.expect(sorted(shown), sorted(tenant.rules), "the rules shown")
        for key, rule in tenant.rules.items():
            if rule.complete and not shown[key]["complete"]:
                raise Wrong(f"the rule {key} was complete and is not any more")
            if shown[key]["complete"] and not rule.complete:
                self.expect(shown[key]["skipped"], rule.skipped, f"events that rule {key} skipped")
            rule.complete = shown[key]["complete"]
        self.expect(left == 0, all(rule.complete for rule in tenant.rules.values()), "whether nothing is left to fill")

    async def drop_rule(self, session, draw):
        tenant = self.tenant_of[session]
        if not any(self.work) and tenant.rules:
            key = sorted(tenant.rules)[draw % len(tenant.rules)]
            await self.of[session].fetch("SELECT events.drop_tag_rule($1, $2, $3)", *key)
            self.trace.append(f"session {session}: drop_tag_rule {' '.join(key)}")
            del tenant.rules[key]

    async def add_span(self, session, kind):
        tenant = self.tenant_of[session]
        if not any(self.work) and kind not in tenant.spans:
            await self.of[session].fetch("SELECT events.add_span_rule($1, '/from', '/to')", kind)
            self.trace.append(f"session {session}: add_span_rule {kind}")
            tenant.spans.add(kind)

    async def drop_span(self, session, kind):
        tenant = self.tenant_of[session]
        if not any(self.work) and kind in tenant.spans:
            await self.of[session].fetch("SELECT events.drop_span_rule($1)", kind)
            self.trace.append(f"session {session}: drop_span_rule {kind}")
            tenant.spans.discard(kind)

    # ---- transactions ----

    async def begin_work(self, session):
        if self.work[session] is None:
            await self.of[session].execute("BEGIN")
            self.trace.append(f"session {session}: BEGIN")
            self.work[session] = Work()
            self.work[session].begin()

    async def savepoint(self, session):
        work = self.work[session]
        if work is not None:
            await self.of[session].execute(f"SAVEPOINT s{len(work.levels)}")
            self.trace.append(f"session {session}: SAVEPOINT s{len(work.levels)}")
            work.begin()

    async def back(self, session):
        work = self.work[session]
        if work is not None and len(work.levels) > 1:
            await self.of[session].execute(f"ROLLBACK TO s{len(work.levels) - 1}")
            self.trace.append(f"session {session}: ROLLBACK TO s{len(work.levels) - 1}")
            self.gone = work.levels.pop()[0]
            work.begin()

    async def rollback(self, session):
        if self.work[session] is not None:
            await self.of[session].execute("ROLLBACK")
            self.trace.append(f"session {session}: ROLLBACK")
            self.gone = self.work[session].events()
            self.work[session] = None

    async def commit(self, session):
        work = self.work[session]
        if work is not None:
            await self.of[session].execute("COMMIT")
            self.trace.append(f"session {session}: COMMIT")
            self.work[session] = None
            self.add(session, work.events(), None)

    async def end(self):
        for session in range(SESSIONS):
            await self.commit(session)
        for tenant, held in self.held:
            broken = held.broken_by(tenant)
            if broken and any(event.position == held.first for event in tenant.events):
                raise Wrong(f"the append at {self.at(held.first)} was made if not {query_text(held.query)} after {self.at(held.after)}, and {self.at(broken[0])} matches")
        for session in range(SESSIONS):
            await self.read(session, [{}], (1, 1, 3, 0))
            for stream in STREAMS:
                await self.replay(session, stream)

    async def leave(self):
        for session, connection in enumerate(self.of):
            if connection.is_in_transaction() or self.work[session] is not None:
                await connection.execute("ROLLBACK")
        # to drop a rule is to wait for every append in flight, so that comes when none is
        for connection in self.of:
            for row in await connection.fetch("SELECT event_type, pointer, tag_key FROM events.tag_rules"):
                await connection.fetch("SELECT events.drop_tag_rule($1, $2, $3)", *row)
            for row in await connection.fetch("SELECT event_type FROM events.span_rules"):
                await connection.fetch("SELECT events.drop_span_rule($1)", *row)


# ---- drawing ----

def draw_moment(source):
    return source.choices([source.randrange(8), None, "absent", "unreadable"], [12, 2, 2, 1 if source.random() < 0.3 else 0])[0]


def draw_spec(source, streams, bad):
    values = [source.choices(range(len(VALUES)), [0 if value[1] is None and not bad else value[2] for value in VALUES])[0] for _ in RULES]
    if source.random() < 0.7:
        begin, end = source.randrange(6), None
        span = (begin, begin + source.randint(1, 3) if source.random() < 0.9 else end, source.randrange(len(TIMES)))
    else:
        span = (draw_moment(source) if bad else "absent", draw_moment(source) if bad else "absent", source.randrange(len(TIMES)))
    tags = source.sample(TAGS, source.choices([0, 1, 2, 3], [3, 4, 3, 1])[0])
    if bad and source.random() < 0.03:
        tags = source.sample(MANY_TAGS, source.choice([62, 63, 64, 65]))
    return source.choice(streams), source.choice(TYPES), values, span, tags


def draw_item(source, streams):
    shape = source.choices(SHAPES, [2, 4, 12, 6, 10, 5, 3, 3, 8, 5])[0]
    types = source.sample(TYPES, source.choice([1, 1, 2]))
    begin = source.choice([None, *range(8)])
    during = [begin, source.choice([None, (begin or 0) + source.randint(1, 4)])]
    item = {}
    if "types" in shape:
        item["types"] = types
    if shape in ("tags", "types and tags", "tags and during"):
        item["tags"] = [source.choice(TAGS)]
    if shape == "several tags":
        item["tags"] = source.sample(TAGS, 2)
    if "stream" in shape:
        item["stream"] = source.choice(streams)
    if "during" in shape:
        item["during"] = during
    if shape == "version":
        item = {"stream": source.choice(streams), "version": 0}
    return item


def draw_query(source, streams):
    return [draw_item(source, streams) for _ in range(source.choices([1, 2, 3], [6, 3, 1])[0])]


def draw_history(source):
    """The sessions' tenants, and steps by name and numbers."""
    streams = STREAMS[:source.randint(1, len(STREAMS))]
    bad = source.random() < 0.5
    kinds = list(KINDS)
    if source.random() < 0.4:
        kinds = [kind for kind in kinds if kind not in ("begin_work", "savepoint", "back", "rollback", "commit")]
    steps = [("add_span", 0, kind) for kind in TYPES if source.random() < 0.4]
    for kind in source.choices(kinds, [KINDS[kind] for kind in kinds], k=source.randint(5, 60)):
        session, ending = source.randrange(SESSIONS), source.random() < 0.6
        draws = [source.randrange(10) for _ in range(4)] + [source.randrange(1000)]
        specs = [draw_spec(source, streams, bad) for _ in range(source.choices([1, 2, 3], [6, 2, 1])[0])]
        query = draw_query(source, streams)
        steps.append((kind, *{
            "append": (session, specs, draws, ending), "condition": (session, specs, query, draws, ending),
            "retry": (draws[4], draws[0] % 5, specs[0], ending), "read": (session, query, [source.randrange(10000) for _ in range(4)]),
            "read_all": (session, source.sample(TAGS, source.choice([1, 2]))), "replay": (session, source.choice(streams)),
            "add_rule": (session, source.choice(TYPES), source.choice(RULES)), "fill": (session, source.choice([1, 2, 5, 10000])),
            "drop_rule": (session, draws[4]), "add_span": (session, source.choice(TYPES)), "drop_span": (session, source.choice(TYPES)),
            "malformed": (session, draws[4], specs[0]), "above": (session, specs[0], query)}.get(kind, (session,))))
    return (0, source.randrange(2) if source.random() < 0.4 else 0), steps


PLANTS = [f"condition: {shape}" for shape in SHAPES] + [f"read: {shape}" for shape in SHAPES if shape != "version"] + ["repeated", "race", "shown tags"]
PLANTED_HISTORIES = 1500  # in so many a planted fault must show


async def connect():
    connection = await asyncpg.connect()
    await connection.execute("SET client_min_messages = warning; SET synchronous_commit = off")
    return connection


async def find(histories, source, enough):
    """Plays random histories until one fails or it is enough: how many, and the history with its failure."""
    number = 0
    while not enough(number):
        history = draw_history(source)
        number += 1
        failure = await histories.play(*history, True)
        if failure is not None:
            return number, history, failure
        if number % 1000 == 0:
            print(f"# {number} histories", flush=True)
    return number, None, None


async def find_planted(connections, seed, mark):
    """Which planted faults are not found, and how many histories the others took."""
    missed, took = [], []
    for plant in PLANTS:
        histories = Histories(lambda number, settings: Run(connections, f"{mark} {plant} {number}", settings, plant, collections.Counter()))
        number, _, failure = await find(histories, random.Random(seed), lambda number: number >= PLANTED_HISTORIES)
        if failure is None:
            missed.append(plant)
        took.append(f"{plant} {number}")
    return missed, took


def finish(passed, number, text):
    print(f"{'ok' if passed else 'not ok'} {number} - {text}", flush=True)
    return passed


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=100)
    parser.add_argument("--plant", choices=PLANTS, metavar="FAULT")
    arguments = parser.parse_args()
    print(f"# seed {arguments.seed}", flush=True)
    connections = [await connect() for _ in range(1 + SESSIONS)]
    await connections[0].execute("CREATE EXTENSION IF NOT EXISTS auren_events")
    await connections[0].fetch("SELECT events.append_event('model', 'begun', '{}')")
    shapes = collections.Counter()
    mark = f"{arguments.seed} {time.time_ns()}"
    histories = Histories(lambda number, settings: Run(connections, f"{mark} {number}", settings, arguments.plant, shapes))
    end = time.monotonic() + arguments.seconds
    wanted = [(shape, how) for shape in SHAPES for how in ("done", "refused")]

    def enough(number):
        """After the time, and when there was everything that there must be, unless it takes too long."""
        return number >= arguments.histories and time.monotonic() >= end and (number >= 20 * arguments.histories or all(shapes[key] for key in wanted))
    number, history, failure = await find(histories, random.Random(arguments.seed), enough)
    if failure is not None:
        await histories.explain(number, arguments.seed, history, failure)
    passed = finish(failure is None, 1, f"{number} histories, {sum(histories.steps.values())} steps, as the model has it (seed {arguments.seed})")
    absent = [name for name in KINDS if histories.steps[name] == 0] + [key for key in wanted if shapes[key] == 0]
    passed &= finish(not absent, 2, "every kind of step was taken, and a condition of each shape held and did not: "
                     + ", ".join(f"{shape} {shapes[shape, 'done']}/{shapes[shape, 'refused']}" for shape in SHAPES))
    if arguments.plant is None:
        missed, took = await find_planted(connections, arguments.seed, mark)
        passed &= finish(not missed, 3, f"each planted fault is found, after so many histories: {', '.join(took)}")
    print(f"1..{2 if arguments.plant else 3}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
