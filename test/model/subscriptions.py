#!/usr/bin/env python3
"""Subscriptions against a model, over random histories of several consumers.

A history makes a subscription and takes some dozens of steps: appends, fetches, acknowledgements, retries, parking, leases that end, resets, changed
settings, transactions and savepoints that are rolled back. The model knows of each event whether it is done, parked or open, and of each share who has
what of it in hand. From that follows what every call must answer. Time does not decide anything: leases are an hour long and are ended
by setting them back, delays are none or an hour and are over when their rows are set back.

    subscriptions.py [--seconds N] [--seed N] [--histories N]

The server is the one that PGHOST, PGPORT, PGUSER and PGDATABASE name; the user is a superuser. It runs for so many seconds, and so many
histories at least. A history that fails is made as short as it still fails, and printed with its seed. The last lines are TAP.
"""

import argparse
import asyncio
import collections
import copy
import functools
import pathlib
import random
import sys
import time

import asyncpg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from histories import Histories, Wrong  # noqa: E402

CONSUMERS = 3
STREAMS = 6
LIMITS = [1, 1, 2, 2, 3, 3, 5, 8, 13, 100, 1000]
KINDS = {"append": 14, "fetch": 30, "acknowledge": 16, "retry": 10, "park": 6, "unpark": 5, "time": 5, "lease": 5, "reset": 1, "alter": 4,
         "begin": 10, "savepoint": 12, "back": 8, "rollback": 4, "commit": 4, "counts": 10, "passed": 2, "stray": 3, "renew": 2}


@functools.lru_cache(maxsize=None)
def share_of(stream, shares):
    """The share of a stream, as the reference has it: FNV-1a of 64 bits, its halves folded, modulo the number of shares."""
    value = 0xCBF29CE484222325
    for byte in stream.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return ((value >> 32) ^ value) % shares


class Event:
    """An event of the subscription: open (not done and not parked), parked or done."""

    def __init__(self, position, stream):
        self.position = position
        self.stream = stream
        self.state = "open"
        self.attempts = 0
        self.later = False  # open, and its retry is not due


class Share:
    """Who has a share, and the positions in hand."""

    def __init__(self):
        self.consumer = None
        self.ended = False
        self.hand = []


class Work:
    """What a consumer's transaction is to take back: a level for BEGIN and for each savepoint."""

    def __init__(self):
        self.levels = []
        self.touched = []  # by level: whether the subscription was called


class Model:
    """A subscription as it should be."""

    def __init__(self, start, shares, waits, attempts):
        self.start = start
        self.waits = waits
        self.max_attempts = attempts
        self.events = {}
        self.shares = [Share() for _ in range(shares)]
        self.work = {}

    def of_share(self, number):
        return [event for event in self.events.values() if share_of(event.stream, len(self.shares)) == number]

    def blocked(self):
        """Positions of the open events that wait for an earlier one of their stream."""
        streams = set()
        waiting = set()
        for position, event in self.events.items():  # in order of position
            if event.state == "open" and event.stream in streams:
                waiting.add(position)
            if event.state == "open" and event.later or event.state == "parked" and self.waits:
                streams.add(event.stream)
        return waiting

    def givable(self, shares):
        blocked = self.blocked()
        return [event for position, event in self.events.items()
                if event.state == "open" and not event.later and position not in blocked and share_of(event.stream, len(self.shares)) in shares]

    def locked_by_others(self, consumer):
        return {number for name, work in self.work.items() if name != consumer for level in work.levels for number in level}

    def touch(self, consumer, shares):
        """A consumer's transaction works with shares: what they are now is kept for its rollback."""
        work = self.work.get(consumer)
        if work is None:
            return
        work.touched[-1] = True
        for number in shares:
            if number not in work.levels[-1]:
                work.levels[-1][number] = (copy.deepcopy(self.shares[number]), {event.position: copy.copy(event) for event in self.of_share(number)})

    def take_back(self, level):
        for number, (share, events) in level.items():
            self.shares[number] = share
            for event in self.of_share(number):
                self.events[event.position] = copy.copy(events[event.position]) if event.position in events else Event(event.position, event.stream)

    def fail(self, event, park):
        event.attempts += 1
        if park or event.attempts >= self.max_attempts:
            event.state = "parked"
            event.later = False

    def own(self, consumer):
        return [number for number, share in enumerate(self.shares) if share.consumer == consumer]

    def hand(self, consumer):
        return sorted(position for share in self.shares if share.consumer == consumer and not share.ended for position in share.hand)

    def counts(self):
        blocked = self.blocked()
        open_events = [event for event in self.events.values() if event.state == "open"]
        delayed = [event for event in open_events if event.later and event.position not in blocked]
        return {"lag_events": len(open_events), "due_events": len(open_events) - len(blocked) - len(delayed), "delayed_events": len(delayed),
                "waiting_events": len(blocked), "parked": sum(event.state == "parked" for event in self.events.values()),
                "retrying": sum(event.attempts > 0 for event in open_events)}


class Run:
    """One history on a server, compared step by step."""

    def __init__(self, connections, name, settings):
        self.admin = connections[0]
        self.of = dict(zip(range(CONSUMERS), connections[1:]))
        self.name = name
        self.settings = settings
        self.trace = []
        self.model = None
        self.given = collections.defaultdict(list)  # positions that a consumer was given at any time
        self.active = set()  # who ever fetched
        self.id = None

    async def begin(self):
        shares, waits, attempts = self.settings
        start = await self.admin.fetchval("SELECT events.create_subscription($1, NULL, NULL, NULL, NULL, NULL, $2, $3, '1 hour', $4)", self.name, shares, attempts, waits)
        self.id = await self.admin.fetchval("SELECT subscription_id FROM auren.subscription_settings WHERE name = $1", self.name)
        self.trace.append(f"create_subscription: shares {shares}, max_attempts {attempts}, stream_waits {waits}; begins after {start}")
        self.model = Model(start, shares, waits, attempts)

    def at(self, position):
        return position - self.model.start

    def show(self, positions):
        return " ".join(str(self.at(position)) for position in positions) or "nothing"

    async def call(self, connection, consumer, sql, *arguments):
        """Rows and None, or None and the SQLSTATE; an error ends the consumer's transaction."""
        try:
            return await connection.fetch(sql, *arguments), None
        except asyncpg.PostgresError as error:
            if consumer is not None and consumer in self.model.work:
                await connection.execute("ROLLBACK")
                self.roll_back(consumer)
            return None, error.sqlstate

    def roll_back(self, consumer):
        for level in reversed(self.model.work.pop(consumer).levels):
            self.model.take_back(level)

    def expect(self, actual, wanted, what):
        if actual != wanted:
            raise Wrong(f"{what}: {actual}, not {wanted}")

    # ---- steps; each is given the numbers that were drawn for it ----

    async def append(self, streams):
        names = ["model:" + "abcdefgh"[stream] for stream in streams]
        rows = await self.admin.fetch("SELECT global_position, stream_id FROM events.append_events($1, array_fill('e'::text, ARRAY[$2::int]), array_fill('{}'::jsonb, ARRAY[$2::int]))",
                                      names, len(names))
        for row in rows:
            self.model.events[row["global_position"]] = Event(row["global_position"], row["stream_id"])
        self.trace.append("append " + (" ".join(name[6:] for name in names) if len(set(names)) > 1 else f"{len(names)} to {names[0][6:]}"))

    async def shares_seen(self, consumer):
        rows = await self.of[consumer].fetch("SELECT DISTINCT ON (share) share, consumer FROM auren.subscription_progress WHERE subscription_id = $1 ORDER BY share, step DESC", self.id)
        return {row["share"] for row in rows if row["consumer"] == f"c{consumer}"}

    async def fetch(self, consumer, limit):
        model = self.model
        before = set(model.own(consumer))
        out_of_reach = model.locked_by_others(consumer)
        rows, code = await self.call(self.of[consumer], consumer, "SELECT global_position, stream_id, share, failed_attempts FROM events.fetch($1, $2, $3)", self.name, f"c{consumer}", limit)
        self.expect(code, None, "a fetch fails")
        got = [(row["global_position"], row["failed_attempts"]) for row in rows]
        self.trace.append(f"c{consumer} fetches {limit}: " + (" ".join(f"{self.at(p)}{'!' + str(a) if a else ''}" for p, a in got) or "nothing"))
        has = await self.shares_seen(consumer) - out_of_reach
        model.touch(consumer, has | (before - out_of_reach))
        self.deal(consumer, before - out_of_reach, has)
        wanted = [(event.position, event.attempts) for event in model.givable(has)[:limit]]
        self.expect([(self.at(p), a) for p, a in got], [(self.at(p), a) for p, a in wanted], f"a fetch of {limit} by c{consumer}, which has shares {sorted(has)}, gives (position, attempts)")
        for number in has:
            model.shares[number].hand = [p for p, _ in wanted if share_of(model.events[p].stream, len(model.shares)) == number]
        self.given[consumer] = sorted(set(self.given[consumer]) | {p for p, _ in wanted})

    def deal(self, consumer, before, has):
        """Takes over what the server says of the shares, if it is allowed; leases that ended cost the first event in hand an attempt."""
        model = self.model
        self.active.add(consumer)
        if self.active == {consumer}:
            self.expect(sorted(has), list(range(len(model.shares))), "shares of the only consumer")
        for number in before - has:
            if model.shares[number].hand and not model.shares[number].ended:
                raise Wrong(f"c{consumer} gave up share {number} with events in hand")
            model.shares[number] = Share()
        for number in has:
            share = model.shares[number]
            if share.consumer not in (None, consumer) and not share.ended:
                raise Wrong(f"c{consumer} took share {number} from c{share.consumer}, whose lease goes on")
            if share.ended and share.hand:
                model.fail(model.events[min(share.hand)], False)
                share.hand = []
            share.consumer = consumer
            share.ended = False

    async def renew(self, consumer):
        """A fetch of no events: what is in hand stays in hand."""
        model = self.model
        before = set(model.own(consumer))
        out_of_reach = model.locked_by_others(consumer)
        rows, code = await self.call(self.of[consumer], consumer, "SELECT 1 FROM events.fetch($1, $2, 0)", self.name, f"c{consumer}")
        self.trace.append(f"c{consumer} fetches 0")
        self.expect((rows, code), ([], None), "a fetch of no events")
        has = await self.shares_seen(consumer) - out_of_reach
        model.touch(consumer, has | (before - out_of_reach))
        self.deal(consumer, before - out_of_reach, has)

    def code_for(self, consumer):
        """What a call of a consumer answers before its position matters."""
        own = self.model.own(consumer)
        if any(number in self.model.locked_by_others(consumer) for number in own):
            return "55P03"
        return None if any(not self.model.shares[number].ended for number in own) else "ZE005"

    async def acknowledge(self, consumer, draw):
        model = self.model
        if not self.given[consumer]:
            return
        hand = model.hand(consumer)
        position = hand[draw % len(hand)] if hand and draw % 4 else self.given[consumer][draw % len(self.given[consumer])]
        wanted = self.code_for(consumer)
        _, code = await self.call(self.of[consumer], consumer, "SELECT events.acknowledge($1, $2, $3)", self.name, f"c{consumer}", position)
        self.trace.append(f"c{consumer} acknowledges {self.at(position)}: {code or 'done'}")
        if wanted is None and code == "22023" and position > max(hand, default=0):
            return  # of a time before its shares came to it
        self.expect(code, wanted, "an acknowledgement")
        if code is None:
            model.touch(consumer, model.own(consumer))
            for number in model.own(consumer):
                share = model.shares[number]
                if not share.ended:
                    for done in [p for p in share.hand if p <= position]:
                        model.events[done].state = "done"
                    share.hand = [p for p in share.hand if p > position]

    async def failed(self, consumer, position, park, later):
        model = self.model
        wanted = self.code_for(consumer) or (None if position in model.hand(consumer) else "22023")
        if park:
            _, code = await self.call(self.of[consumer], consumer, "SELECT events.park($1, $2, $3)", self.name, f"c{consumer}", position)
        else:
            _, code = await self.call(self.of[consumer], consumer, "SELECT events.retry($1, $2, $3, $4::text::interval)", self.name, f"c{consumer}", position, "1 hour" if later else "0 s")
        self.trace.append(f"c{consumer} {'parks' if park else 'retries'} {self.at(position)}{' in an hour' if later else ''}: {code or 'done'}")
        self.expect(code, wanted, "parking" if park else "a retry")
        if code is None:
            event = model.events[position]
            number = share_of(event.stream, len(model.shares))
            model.touch(consumer, model.own(consumer))
            event = model.events[position]
            event.later = later
            model.fail(event, park)
            share = model.shares[number]
            goes_on = event.state == "parked" and not model.waits
            share.hand = [p for p in share.hand if p != position and (goes_on or p < position or model.events[p].stream != event.stream)]

    async def retry(self, consumer, draw, later):
        hand = self.model.hand(consumer)
        if hand:
            await self.failed(consumer, hand[draw % len(hand)], False, later)

    async def park(self, consumer, draw):
        hand = self.model.hand(consumer)
        if hand:
            await self.failed(consumer, hand[draw % len(hand)], True, False)

    async def stray(self, consumer, draw, park):
        """Of an event that is perhaps not in hand."""
        if self.model.events:
            await self.failed(consumer, sorted(self.model.events)[draw % len(self.model.events)], park, False)

    async def unpark(self, draw):
        model = self.model
        locked = model.locked_by_others(None)
        parked = [event for _, event in sorted(model.events.items()) if event.state == "parked" and share_of(event.stream, len(model.shares)) not in locked]
        if parked:
            event = parked[draw % len(parked)]
            await self.admin.execute("SELECT events.unpark($1, $2)", self.name, event.position)
            self.trace.append(f"unpark {self.at(event.position)}")
            event.state, event.attempts, event.later = "open", 0, False

    async def time(self):
        if not self.model.work:
            await self.admin.execute("UPDATE auren.subscription_held SET not_before = now() WHERE state = 'retry' AND subscription_id = $1", self.id)
            self.trace.append("the time of the retries comes")
            for event in self.model.events.values():
                event.later = False

    async def lease(self, consumer):
        if not self.model.work:
            await self.admin.execute("UPDATE auren.subscription_progress SET lease_until = now() - interval '1 second' WHERE consumer = $1 AND subscription_id = $2", f"c{consumer}", self.id)
            await self.admin.execute("UPDATE auren.subscription_consumers SET seen_at = now() - interval '2 hours' WHERE consumer = $1 AND subscription_id = $2", f"c{consumer}", self.id)
            self.trace.append(f"the lease of c{consumer} ends")
            for number in self.model.own(consumer):
                self.model.shares[number].ended = True

    def in_use(self):
        return "55006" if any(any(work.touched) for work in self.model.work.values()) else None

    async def reset(self, draw):
        model = self.model
        places = [model.start] + sorted(model.events)
        position = places[draw % len(places)]
        wanted = self.in_use()
        _, code = await self.call(self.admin, None, "SELECT events.reset_subscription($1, $2)", self.name, position)
        self.trace.append(f"reset to {self.at(position)}: {code or 'done'}")
        self.expect(code, wanted, "a reset")
        if code is None:
            for event in model.events.values():
                event.state, event.attempts, event.later = "open" if event.position > position else "done", 0, False
            model.shares = [Share() for _ in model.shares]

    async def alter(self, shares, waits, attempts):
        model = self.model
        wanted = self.in_use()
        _, code = await self.call(self.admin, None, "SELECT events.alter_subscription($1, $2, $3, NULL, $4)", self.name, shares, attempts, waits)
        self.trace.append(f"alter: shares {shares}, max_attempts {attempts}, stream_waits {waits}: {code or 'done'}")
        self.expect(code, wanted, "a change")
        if code is None:
            if shares is not None and shares != len(model.shares):
                model.shares = [Share() for _ in range(shares)]
            model.waits = model.waits if waits is None else waits
            model.max_attempts = model.max_attempts if attempts is None else attempts

    async def begin_work(self, consumer):
        if consumer not in self.model.work:
            await self.of[consumer].execute("BEGIN")
            self.trace.append(f"c{consumer}: BEGIN")
            self.model.work[consumer] = Work()
            self.model.work[consumer].levels.append({})
            self.model.work[consumer].touched.append(False)

    async def savepoint(self, consumer):
        work = self.model.work.get(consumer)
        if work is not None:
            await self.of[consumer].execute(f"SAVEPOINT s{len(work.levels)}")
            self.trace.append(f"c{consumer}: SAVEPOINT s{len(work.levels)}")
            work.levels.append({})
            work.touched.append(False)

    async def back(self, consumer):
        work = self.model.work.get(consumer)
        if work is not None and len(work.levels) > 1:
            await self.of[consumer].execute(f"ROLLBACK TO s{len(work.levels) - 1}")
            self.trace.append(f"c{consumer}: ROLLBACK TO s{len(work.levels) - 1}")
            self.model.take_back(work.levels[-1])
            work.levels[-1] = {}
            work.touched[-1] = False

    async def rollback(self, consumer):
        if consumer in self.model.work:
            await self.of[consumer].execute("ROLLBACK")
            self.trace.append(f"c{consumer}: ROLLBACK")
            self.roll_back(consumer)

    async def commit(self, consumer):
        if consumer in self.model.work:
            await self.of[consumer].execute("COMMIT")
            self.trace.append(f"c{consumer}: COMMIT")
            del self.model.work[consumer]

    async def counts(self):
        if not self.model.work:
            row = await self.admin.fetchrow("SELECT lag_events, due_events, delayed_events, waiting_events, parked, retrying FROM events.subscriptions WHERE name = $1", self.name)
            self.trace.append("the counts")
            self.expect(dict(row), self.model.counts(), "the view shows")

    async def passed(self, draw):
        """What is told to have been passed is done or parked."""
        if self.model.events and not self.model.work:
            position = sorted(self.model.events)[draw % len(self.model.events)]
            passed = await self.admin.fetchval("SELECT events.wait_for_subscription($1, $2, '0 s')", self.name, position)
            self.trace.append(f"all up to {self.at(position)} passed: {passed}")
            if passed and any(event.state == "open" and event.position <= position for event in self.model.events.values()):
                raise Wrong(f"wait_for_subscription says that all up to {self.at(position)} is done")

    async def end(self):
        """Everybody goes home, and a last consumer is given all that is left, each event once, each stream in order."""
        model = self.model
        for consumer in list(model.work):
            await self.commit(consumer)
        for consumer in range(CONSUMERS):
            await self.lease(consumer)
        await self.time()
        while any(event.state != "done" for event in model.events.values()):
            while any(event.state == "parked" for event in model.events.values()):
                await self.unpark(0)
            await self.fetch(0, 7)
            if model.hand(0):
                await self.acknowledge(0, 4 * len(model.hand(0)) - 1)
            elif not any(event.state == "parked" for event in model.events.values()):
                break
        await self.counts()
        self.expect([self.at(event.position) for event in model.events.values() if event.state != "done"], [], "left over at the end")

    async def leave(self):
        for consumer, connection in self.of.items():
            if connection.is_in_transaction() or consumer in self.model.work:
                await connection.execute("ROLLBACK")
        await self.admin.execute("SELECT events.drop_subscription($1)", self.name)


def draw_history(random_source):
    """Settings, and steps by name and numbers."""
    settings = (random_source.randint(1, 8) if random_source.random() < 0.6 else 1, random_source.random() < 0.6, random_source.randint(1, 4) if random_source.random() < 0.5 else 1000)
    streams = random_source.randint(1, STREAMS)
    consumers = random_source.randint(1, CONSUMERS)
    kinds = list(KINDS)
    if random_source.random() < 0.5:
        kinds = [kind for kind in kinds if kind not in ("begin", "savepoint", "back", "rollback", "commit")]
    steps = [("append", [random_source.randrange(streams) for _ in range(random_source.randint(1, 12))])]
    for kind in random_source.choices(kinds, [KINDS[kind] for kind in kinds], k=random_source.randint(5, 60)):
        consumer = random_source.randrange(consumers)
        draw = random_source.randrange(10000)
        flip = random_source.random() < 0.5
        if kind == "append":
            many = random_source.random() < 0.05
            steps.append((kind, [random_source.randrange(streams)] * 120 if many else [random_source.randrange(streams) for _ in range(random_source.randint(1, 8))]))
        elif kind == "fetch":
            steps.append((kind, consumer, random_source.choice(LIMITS)))
        elif kind in ("retry", "stray"):
            steps.append((kind, consumer, draw, flip))
        elif kind in ("acknowledge", "park"):
            steps.append((kind, consumer, draw))
        elif kind in ("unpark", "reset", "passed"):
            steps.append((kind, draw))
        elif kind in ("time", "counts"):
            steps.append((kind,))
        elif kind == "alter":
            steps.append((kind, random_source.choice([None, random_source.randint(1, 8)]), random_source.choice([None, True, False]), random_source.choice([None, 2, 1000])))
        else:
            steps.append(("begin_work" if kind == "begin" else kind, consumer))
    return settings, steps


async def connect():
    connection = await asyncpg.connect()
    await connection.execute("SET client_min_messages = warning; SET synchronous_commit = off")
    return connection


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=100)
    arguments = parser.parse_args()
    print(f"# seed {arguments.seed}", flush=True)
    connections = [await connect() for _ in range(1 + CONSUMERS)]
    await connections[0].execute("CREATE EXTENSION IF NOT EXISTS auren_events")
    tester = Histories(lambda number, settings: Run(connections, f"model {number}", settings))
    source = random.Random(arguments.seed)
    end = time.monotonic() + arguments.seconds
    histories = 0
    failure = None
    while failure is None and (time.monotonic() < end or histories < arguments.histories):
        settings, steps = draw_history(source)
        histories += 1
        failure = await tester.play(settings, steps, True)
        if histories % 1000 == 0:
            print(f"# {histories} histories", flush=True)
    if failure is not None:
        await tester.explain(histories, arguments.seed, (settings, steps), failure)
    print(f"{'ok' if failure is None else 'not ok'} 1 - {histories} histories, {sum(tester.steps.values())} steps, as the model has it (seed {arguments.seed})")
    names = ["begin_work" if kind == "begin" else kind for kind in KINDS]
    absent = [name for name in names if tester.steps[name] == 0 and name != "passed"]
    enough = not absent and histories >= min(arguments.histories, 100)
    print(f"{'ok' if enough else 'not ok'} 2 - every kind of step was taken: {', '.join(f'{name} {tester.steps[name]}' for name in names)}")
    print("1..2")
    return 0 if failure is None and enough else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
