"""What the models share: random histories are played until the time is over or one fails, and one that fails is made as short as it still fails."""

import collections


class Wrong(Exception):
    """The server does not do what the model does."""


class Histories:
    """Plays histories. A run is made by make_run(number, settings); it has coroutines begin, end, leave and one for each kind of step, and a trace."""

    def __init__(self, make_run):
        self.make_run = make_run
        self.number = 0
        self.steps = collections.Counter()

    async def play(self, settings, steps, count=False):
        """None, or what went wrong and the trace."""
        self.number += 1
        run = self.make_run(self.number, settings)
        await run.begin()
        try:
            for name, *numbers in steps:
                before = len(run.trace)
                await getattr(run, name)(*numbers)
                if count and len(run.trace) > before:
                    self.steps[name] += 1
            await run.end()
            return None
        except Wrong as wrong:
            return str(wrong), run.trace
        finally:
            await run.leave()

    async def shorten(self, settings, steps, failure):
        """What the history shows without the steps that it fails without."""
        size = max(len(steps) // 2, 1)
        while True:
            at = 0
            while at < len(steps):
                fewer = steps[:at] + steps[at + size:]
                found = await self.play(settings, fewer)
                if found is not None:
                    steps, failure = fewer, found
                else:
                    at += size
            if size == 1:
                return failure
            size //= 2

    async def explain(self, number, seed, history, failure):
        """Prints what went wrong in a history, and the shortest one that fails."""
        print(f"# history {number} of seed {seed} fails: {failure[0]}", flush=True)
        message, trace = await self.shorten(*history, failure)
        print("# the shortest that fails so or otherwise:")
        for line in trace:
            print("#   " + line)
        print("# " + message)
