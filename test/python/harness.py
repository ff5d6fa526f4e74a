"""What the tests in Python share: the lines of TAP, and a master key for the server of a test."""

import traceback


class Tap:
    """Numbers tests, prints a line for each, and knows at the end whether all of them passed."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def passed(self, name):
        self.count += 1
        print(f'ok {self.count} - {name}', flush=True)

    def broken(self, name, explanation):
        self.count += 1
        self.failed += 1
        print(f'not ok {self.count} - {name}', flush=True)
        print('\n'.join(f'#   {line}' for line in explanation.splitlines()), flush=True)

    def end(self):
        """Prints the plan, and returns the status that the program should end with."""
        print(f'1..{self.count}', flush=True)
        return 1 if self.failed or self.count == 0 else 0


def explain(error):
    """One line for what a test asserted, the whole way for everything else."""
    if isinstance(error, AssertionError):
        return f'AssertionError: {error}'
    return ''.join(traceback.format_exception(type(error), error, error.__traceback__))


def make_master_key_statement(file):
    """A statement for a superuser that writes a master key to a file which the server may read. A relative name is one from the
    server's data directory."""
    return f"COPY (SELECT 'test ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > {file}'"
