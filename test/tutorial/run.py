#!/usr/bin/env python3
"""Runs the pages of doc/ that show commands and what they print, and compares. Prints TAP: a test for each block.

    run.py [PAGE...]              run these pages (all of PAGES if none is named) and compare
    run.py --record [PAGE...]     run them and write into them what was printed
    run.py --not-run              print for each document how many blocks are not run

A page has a database of its own on the server that PGHOST, PGPORT and PGUSER name, or a server of its own, which is made for it (initdb and pg_ctl are
found by PATH, so this does not run as root then). The user is a superuser; databases are made anew.

What is run:

- A block ```sql goes to psql, and all of a page to one session. With another word after it, as in ```sql second, it goes to the session
  of that name. On a page with a server of its own each block without a name is a session by itself.
- A block ```python is a program of its own.
- A block that calls pg_cron is left out where the server does not have it.
- A block ```sh is a script of bash that stops at the first error (on pages with a server of their own; on the others it is not run).
- A block ```text after one of them is what it prints. A line "..." in it stands for any lines. Where there is no such block, nothing must be
  printed; on a page with a server of its own, no error.
- Blocks of other kinds are not run, nor is a block after a line that begins with "*Not run by a test". Both are counted, and
scripts/check_house compares the counts with test/tutorial/not_run.txt.

What may differ from the page: uuids, envelopes of encrypted values, times with a fraction of a second, process ids, sizes, the month in a
partition's name, and how many blanks or dashes stand beside each other, since columns are as wide as such values. Paths of the page are those
of the machine that it speaks to; here they are replaced by paths in a folder of the test.
"""

import collections
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'python'))
from harness import Tap, make_master_key_statement  # noqa: E402

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENTS = PROJECT / 'doc'
# The pages, each with its database, the roles that it makes, and the settings of its own server, if it has one.
Page = collections.namedtuple('Page', 'database roles settings', defaults=([], None))
PAGES = {
    'tutorial.md': Page('coach', ['coach_acme']),
    'conditions.md': Page('school'),
    'install.md': Page('postgres', settings=[]),
    'moving-in.md': Page('moved', settings=[]),
    'operations.md': Page('shop', settings=[]),
    'security.md': Page('clinic', settings=[]),
    'archive.md': Page('shop', settings=[]),
    'cdc.md': Page('shop', settings=['wal_level = logical']),
    'troubleshooting.md': Page('shop', settings=[]),
}
# What a server may have or not, and what the blocks that need it say.
LIBRARIES = {'pg_cron': r'\bcron\.|EXTENSION pg_cron|\bschedule(_maintenance)?\(', 'wal2json': r"--slot changes|'changes'"}
KEY_FILE_OF_PAGE = '/etc/postgresql/auren_events.keys'
KEY_FILE = 'auren_events_tutorial_keys'
PATIENCE = 600  # seconds after which a block is taken for hung, however slow the machine is
NOT_RUN = '*Not run by a test'

VOLATILE = [
    (r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '<uuid>'),
    (r'phi1:[A-Za-z0-9_-]+', '<envelope>'),
    (r'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+([+-]\d\d(:\d\d)?)?', '<time>'),
    (r'_\d{4}_\d\d\b', '_<month>'),
    (r'until \d{4}-\d\d-\d\d\b', 'until <day>'),
    (r'\b\d+(\.\d+)? (bytes|kB|MB|GB|TB)\b', '<size>'),
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


def read_blocks(lines, own_server):
    """The blocks of a page that are run, in their order."""
    blocks, heading, at = [], '', 0
    languages = ('sql', 'python', 'sh') if own_server else ('sql', 'python')
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
        before = next((line for line in reversed(lines[:at]) if line.strip()), '')
        if before.startswith(NOT_RUN):
            pass
        elif fence[1] in languages:
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


class Server:
    """The server that the environment names. Paths of a page stand for others here."""

    own = False

    def __init__(self, page):
        self.page = page
        self.paths = [(KEY_FILE_OF_PAGE, KEY_FILE)]
        self.environment = {**os.environ, 'PGDATABASE': page.database}

    def begin(self):
        self.clean_up()
        administer(f'CREATE DATABASE {self.page.database}', make_master_key_statement(KEY_FILE))

    def clean_up(self):
        administer(f'DROP DATABASE IF EXISTS {self.page.database} WITH (FORCE)', *[f'DROP ROLE IF EXISTS {role}' for role in self.page.roles])

    def end(self):
        self.clean_up()
        # where the page did not come to its end
        administer("LOAD 'auren_events'", 'ALTER SYSTEM RESET auren_events.master_key_file', 'SELECT pg_reload_conf()')

    def to_here(self, text):
        for of_page, here in self.paths:
            text = text.replace(of_page, here)
        return text

    def to_page(self, text):
        for of_page, here in sorted(self.paths, key=lambda path: -len(path[1])):
            text = text.replace(here, of_page)
        return text


class OwnServer(Server):
    """A server that is made for one page and removed after it, with all that the page put into its folder."""

    own = True

    def __init__(self, page):
        super().__init__(page)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix='auren_page.', dir='/tmp'))
        self.data = self.home / 'main'
        self.paths = [('/var/lib/postgresql/15/', f'{self.home}/'), ('/etc/postgresql/15/main/', f'{self.home}/main/'),
                      ('/etc/postgresql/', f'{self.home}/etc/'), ('/srv/', f'{self.home}/srv/'), ('/var/run/postgresql', str(self.home))]
        self.environment = {**os.environ, 'PGDATABASE': page.database, 'PGHOST': str(self.home), 'PGPORT': '5432', 'PGUSER': 'postgres',
                            'PGDATA': str(self.data), 'HOME': str(self.home), 'PATH': f'{PROJECT}/scripts:' + os.environ['PATH']}

    def begin(self):
        for folder in ('etc', 'srv'):
            (self.home / folder).mkdir()
        self.command('initdb', '-D', self.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync', '--data-checksums')
        settings = ["listen_addresses = ''", f"unix_socket_directories = '{self.home}'", "lc_messages = 'C'", "timezone = 'UTC'", *self.page.settings]
        if has_library('pg_cron'):
            settings += ["shared_preload_libraries = 'pg_cron'", f"cron.database_name = '{self.page.database}'", 'cron.use_background_workers = on']
        with open(self.data / 'postgresql.conf', 'a', encoding='utf-8') as file:
            file.write('\n'.join(settings) + '\n')
        self.command('pg_ctl', '-D', self.data, '-l', self.home / 'log', '-w', '-s', 'start')
        os.environ.update(PGHOST=str(self.home), PGPORT='5432', PGUSER='postgres')

    def command(self, *command):
        done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment)
        if done.returncode != 0:
            raise RuntimeError(f'{command[0]}: {done.stdout}')

    def end(self):
        # the page's server, and others that it started below the same folder
        for pid_file in self.home.glob('*/postmaster.pid'):
            subprocess.run(['pg_ctl', '-D', str(pid_file.parent), '-m', 'immediate', '-w', '-s', 'stop'], check=False)
        shutil.rmtree(self.home, ignore_errors=True)


def has_library(name):
    folder = subprocess.run(['pg_config', '--pkglibdir'], check=True, text=True, capture_output=True).stdout.strip()
    return (pathlib.Path(folder) / f'{name}.so').exists()


def missing_library(block, server):
    """A library that a block needs and this PostgreSQL has not, if any: on a page with a server of its own."""
    for name, mark in LIBRARIES.items() if server.own else ():
        if re.search(mark, '\n'.join(block.body)) and not has_library(name):
            return name
    return None


def administer(*statements):
    """Runs statements in the database postgres and returns what the last one gave."""
    command = ['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres']
    for statement in statements:
        command += ['-c', statement]
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return done.stdout.strip()


def run_program(command, server, text=None):
    done = subprocess.run(command, text=True, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, env=server.environment,
                          cwd=server.home if server.own else None)
    status = f'\nERROR:  the status is {done.returncode}\n' if done.returncode != 0 and command[0] == 'bash' else ''
    return done.stdout + status


def run_block(block, sessions, server):
    """What a block prints."""
    text = server.to_here('\n'.join(block.body))
    if block.language == 'python':
        return server.to_page(run_program([sys.executable, '-B', '-c', text], server))
    if block.language == 'sh':
        return server.to_page(run_program(['bash', '-euo', 'pipefail', '-c', text], server))
    since = administer('SELECT clock_timestamp()') if 'pg_reload_conf()' in text else None
    if server.own and block.session == '':
        printed = run_program(['psql', '-X', '-q'], server, text)
    else:
        if block.session not in sessions:
            sessions[block.session] = Session(server.page.database)
        printed = sessions[block.session].run(text)
    if since:
        session = sessions.get(block.session) or Session(server.page.database)
        session.wait_for_settings(since)
        if block.session not in sessions:
            session.end()
    return server.to_page(printed)


def agree(wanted, got):
    """Whether lines are as the page has them; a line "..." of the page stands for any number of lines."""
    parts = [[]]
    for line in wanted:
        if line == '...':
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) == 1:
        return wanted == got
    first, last = parts[0], parts[-1]
    if got[:len(first)] != first or len(got) < len(first) + len(last) or got[len(got) - len(last):] != last:
        return False
    at, end = len(first), len(got) - len(last)
    for part in parts[1:-1]:
        found = [place for place in range(at, end - len(part) + 1) if got[place:place + len(part)] == part]
        if not found:
            return False
        at = found[0] + len(part)
    return True


def compare(page, block, printed, server, tap):
    name = f'{page}, {block.heading}: {next(line for line in block.body if line.strip())}'
    wanted, got = normal(block.output).split('\n'), normal(printed).split('\n')
    if server.own and block.output_lines is None and not re.search(r'^(\S+: )?(ERROR|FATAL|PANIC):', printed, re.MULTILINE):
        tap.passed(name)
    elif agree(wanted, got):
        tap.passed(name)
    else:
        difference = difflib.unified_diff(wanted, got, 'the page', 'printed', lineterm='')
        tap.broken(name, f'{page}, line {block.start + 1}\n' + '\n'.join(difference))


def record(page, lines, blocks, outputs, server):
    """Writes into a page what was printed, where it is not the same but for what may differ. On a page with a server of its own only blocks that
    show something get it anew."""
    for block, printed in reversed(list(zip(blocks, outputs))):
        if agree(normal(block.output).split('\n'), normal(printed).split('\n')) or (server.own and not block.output_lines):
            continue
        fenced = ['```text', *[line.rstrip() for line in printed.strip('\n').split('\n')], '```'] if printed.strip() else []
        if block.output_lines:
            lines[block.output_lines[0]:block.output_lines[1] + 1] = fenced
        else:
            end = lines.index('```', block.start + 1)
            lines[end + 1:end + 1] = ['', *fenced]
    (DOCUMENTS / page).write_text('\n'.join(lines) + '\n')


def run_page(page, tap, recorded):
    """Runs a page from top to bottom."""
    server = (Server if PAGES[page].settings is None else OwnServer)(PAGES[page])
    lines = (DOCUMENTS / page).read_text().splitlines()
    blocks = read_blocks(lines, server.own)
    before, sessions, outputs = dict(os.environ), {}, []
    try:
        server.begin()
        for block in blocks:
            missing = missing_library(block, server)
            if missing:
                outputs.append(block.output)
                tap.passed(f'{page}, {block.heading} # skip {missing} is not here')
                continue
            outputs.append(run_block(block, sessions, server))
            compare(page, block, outputs[-1], server, tap)
    finally:
        for session in sessions.values():
            session.end()
        server.end()
        os.environ.clear()
        os.environ.update(before)
    if recorded:
        record(page, lines, blocks, outputs, server)


def print_not_run():
    """A line for each document that has blocks which may hold commands and are not run: its name and their number."""
    for document in [PROJECT / 'README.md', *sorted(DOCUMENTS.glob('*.md'))]:
        lines = document.read_text().splitlines()
        fences = [match[1] for match in (re.match(r'```(\w*)', line) for line in lines) if match][::2]
        page = PAGES.get(document.name) if document.parent == DOCUMENTS else None
        run = read_blocks(lines, page.settings is not None) if page else []
        count = sum(language in ('', 'sql', 'sh', 'bash', 'shell', 'console', 'python') for language in fences) - len(run)
        if count:
            print(f'{document.name} {count}')


def main():
    if sys.argv[1:] == ['--not-run']:
        return print_not_run()
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
