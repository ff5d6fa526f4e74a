#!/usr/bin/env python3
"""Runs the pages of doc/ that show what a server prints, the tutorial and the one on conditions, and compares. Prints TAP: a test for each block.

    run.py [PAGE...]              run these pages (tutorial.md, conditions.md; all if none is named) and compare
    run.py --record [PAGE...]     run them and write into them what was printed

The server is the one that PGHOST, PGPORT and PGUSER name; the user is a superuser. The database of each page is made anew.

What is run:

- A block ```sql goes to psql, and all of a page to one session. With another word after it, as in ```sql second, it goes to the session
  of that name.
- A block ```python is a program of its own.
- A block ```text after one of them is what it prints. Where there is none, nothing must be printed.
- Blocks of other kinds are not run.

What may differ from the page: uuids, envelopes of encrypted values, times with a fraction of a second, process ids, the month in a
partition's name, and how many blanks or dashes stand beside each other, since columns are as wide as such values. In place of the path
that the page gives to the file of master keys, one in the data directory of the server is used.
"""

import difflib
import os
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'python'))
from harness import Tap, make_master_key_statement  # noqa: E402

DOCUMENTS = pathlib.Path(__file__).resolve().parent.parent.parent / 'doc'
# The pages, each with its database and the roles that it makes.
PAGES = {'tutorial.md': ('coach', ['coach_acme']), 'conditions.md': ('school', [])}
KEY_FILE_OF_PAGE = '/etc/postgresql/auren_events.keys'
KEY_FILE = 'auren_events_tutorial_keys'
PATIENCE = 600  # seconds after which a block is taken for hung, however slow the machine is

VOLATILE = [
    (r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<uuid>'),
    (r'phi1:[A-Za-z0-9_-]+', '<envelope>'),
    (r'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+([+-]\d\d(:\d\d)?)?', '<time>'),
    (r'event_store_\d{4}_\d\d', 'event_store_<month>'),
    (r'\bPID \d+', 'PID <pid>'),
    (r'[ \t]+', ' '),
    (r'-{2,}', '--'),
]


def normal(text):
    """A text without what may differ between two runs."""
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text)
    return '\n'.join(line.strip() for line in text.strip().splitlines())


class Block:
    """A fenced block that is run: its language, session and lines, and where its output stands in the page."""

    def __init__(self, heading, language, session, start, body):
        self.heading = heading
        self.language = language
        self.session = session
        self.start = start
        self.body = body
        self.output = ''
        self.output_lines = None  # from and to, as indexes of the page's lines; None where the page shows nothing


def read_blocks(lines):
    """The blocks of a page that are run, in their order."""
    blocks, heading, at = [], '', 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r'```(\w*) ?(\w*)$', line)
        if line.startswith('#'):
            heading = line.lstrip('# ')
        if not fence:
            at += 1
            continue
        end = lines.index('```', at + 1)
        body = lines[at + 1:end]
        if fence[1] in ('sql', 'python'):
            blocks.append(Block(heading, fence[1], fence[2], at, body))
        elif fence[1] == 'text' and blocks and blocks[-1].output_lines is None:
            blocks[-1].output = '\n'.join(body)
            blocks[-1].output_lines = (at, end)
        at = end + 1
    return blocks


class Session:
    """A psql that stays for the whole page. Answers and errors come in the order in which they are printed."""

    MARK = 'the block has ended'

    def __init__(self, database):
        self.process = subprocess.Popen(
            ['psql', '-X', '-q', '-d', database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def run(self, text):
        """What psql prints for a block. It is told by a mark on standard error, which is not buffered, that the block has ended."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        self.process.stdin.write(f'{text}\n\\warn {self.MARK}\n')
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.rstrip('\n') == self.MARK:
                watchdog.cancel()
                return ''.join(printed)
            printed.append(line)
        watchdog.cancel()
        raise RuntimeError('psql has ended: ' + ''.join(printed))

    def wait_for_settings(self, since):
        """Waits until this session has the settings that the server has read after a moment."""
        for _ in range(10 * PATIENCE):
            if self.run(f"SELECT pg_conf_load_time() > '{since}', pg_sleep(0.1);").split('\n')[2].strip().startswith('t'):
                return
        raise RuntimeError('the server does not read its settings')

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def administer(*statements):
    """Runs statements in the database postgres and returns what the last one gave."""
    command = ['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres']
    for statement in statements:
        command += ['-c', statement]
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return done.stdout.strip()


def run_python(text, database):
    done = subprocess.run([sys.executable, '-B', '-c', text], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                          env={**os.environ, 'PGDATABASE': database})
    return done.stdout


def run_block(block, sessions, database):
    """What a block prints."""
    text = '\n'.join(block.body).replace(KEY_FILE_OF_PAGE, KEY_FILE)
    if block.language == 'python':
        return run_python(text, database)
    if block.session not in sessions:
        sessions[block.session] = Session(database)
    since = administer('SELECT clock_timestamp()') if 'pg_reload_conf()' in text else None
    printed = sessions[block.session].run(text)
    if since:
        sessions[block.session].wait_for_settings(since)
    return printed.replace(KEY_FILE, KEY_FILE_OF_PAGE)


def clean_up(database, roles):
    administer(f'DROP DATABASE IF EXISTS {database} WITH (FORCE)', *[f'DROP ROLE IF EXISTS {role}' for role in roles])


def compare(page, block, printed, tap):
    name = f'{page}, {block.heading}: {next(line for line in block.body if line.strip())}'
    wanted, got = normal(block.output).split('\n'), normal(printed).split('\n')
    if wanted == got:
        tap.passed(name)
    else:
        difference = difflib.unified_diff(wanted, got, 'the page', 'printed', lineterm='')
        tap.broken(name, f'{page}, line {block.start + 1}\n' + '\n'.join(difference))


def record(page, lines, blocks, outputs):
    """Writes into a page what was printed, where it is not the same but for what may differ."""
    for block, printed in reversed(list(zip(blocks, outputs))):
        if normal(block.output) == normal(printed):
            continue
        fenced = ['```text', *[line.rstrip() for line in printed.strip('\n').split('\n')], '```'] if printed.strip() else []
        if block.output_lines:
            lines[block.output_lines[0]:block.output_lines[1] + 1] = fenced
        else:
            end = lines.index('```', block.start + 1)
            lines[end + 1:end + 1] = ['', *fenced]
    (DOCUMENTS / page).write_text('\n'.join(lines) + '\n')


def run_page(page, tap, recorded):
    """Runs a page from top to bottom in a database of its own."""
    database, roles = PAGES[page]
    lines = (DOCUMENTS / page).read_text().splitlines()
    blocks = read_blocks(lines)
    sessions, outputs = {}, []
    clean_up(database, roles)
    administer(f'CREATE DATABASE {database}', make_master_key_statement(KEY_FILE))
    try:
        for block in blocks:
            outputs.append(run_block(block, sessions, database))
            compare(page, block, outputs[-1], tap)
    finally:
        for session in sessions.values():
            session.end()
        clean_up(database, roles)
        # where the page did not come to its end
        administer("LOAD 'auren_events'", 'ALTER SYSTEM RESET auren_events.master_key_file', 'SELECT pg_reload_conf()')
    if recorded:
        record(page, lines, blocks, outputs)


def main():
    named = [argument for argument in sys.argv[1:] if argument != '--record']
    unknown = [page for page in named if page not in PAGES]
    if unknown:
        sys.exit(f'{unknown[0]} is not a page that is run; those are ' + ', '.join(PAGES))
    tap = Tap()
    for page in named or PAGES:
        run_page(page, tap, '--record' in sys.argv[1:])
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
