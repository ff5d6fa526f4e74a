"""The exporter and Prometheus as Debian has them, on the loopback and for as long as a test lasts, and what a dashboard asks them."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request


class Missing(Exception):
    """Something that was waited for did not come."""


def wait_for(what, look, patience=600):
    """What `look` returns as soon as that is true. Missing says `what` when it never is."""
    until = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise Missing(f'{what} did not come in {patience} seconds')
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def fetch(url):
    """The answer to a GET, or None where nobody answers or the answer is an error."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def as_user(name):
    """What subprocess needs to run a program as that user, where this is root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': os.getgrouplist(name, entry.pw_gid)}


def end_with_signals():
    """A signal that asks the program to end raises SystemExit, so that what it started is stopped."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: (_ for _ in ()).throw(SystemExit(1)))


class Program:
    """A program that answers on a port of its own, with its output in a file."""

    def __init__(self, folder, user):
        self.folder = folder
        self.user = user
        self.process = None
        self.port = None

    def start(self, name, command, ready, environment=None):
        """`command` makes the arguments from a port. One that is started again keeps its port."""
        ports = [self.port] if self.port else [free_port() for _ in range(5)]
        log = f'{self.folder}/{name}.log'
        for port in ports:
            with open(log, 'ab') as output:
                self.process = subprocess.Popen(
                    command(port), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    env={'PATH': '/usr/bin:/bin', 'HOME': self.folder, **(environment or {})}, **as_user(self.user))
            wait_for(f'an answer of {name}', lambda: self.process.poll() is not None or fetch(f'http://127.0.0.1:{port}{ready}') is not None)
            # Another program may have taken the port in between: then the next one is tried.
            if self.process.poll() is None:
                self.port = port
                return
        with open(log, encoding='utf-8', errors='replace') as output:
            raise Missing(f'{name} does not run: {output.read()[-2000:]}')

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Exporter(Program):
    """prometheus-postgres-exporter. No password and no file: the data source is in its environment and names a Unix socket."""

    @staticmethod
    def options(queries):
        return [*([f'--extend.query-path={queries}'] if queries else []), '--disable-settings-metrics']

    def watch(self, data_source, queries=None):
        self.start('exporter', lambda port: ['/usr/bin/prometheus-postgres-exporter', f'--web.listen-address=127.0.0.1:{port}', *self.options(queries)],
                   '/', {'DATA_SOURCE_NAME': data_source})


class Prometheus(Program):
    """Prometheus with one job, auren_events, and rules."""

    def scrape(self, exporter_port, rules, interval='1s'):
        with open(f'{self.folder}/prometheus.yml', 'w', encoding='utf-8') as out:
            out.write(f"global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  evaluation_interval: {interval}\nrule_files: ['{rules}']\n"
                      f"scrape_configs:\n  - job_name: auren_events\n    static_configs: [{{targets: ['127.0.0.1:{exporter_port}']}}]\n")
        self.start('prometheus', lambda port: ['/usr/bin/prometheus', f'--config.file={self.folder}/prometheus.yml', f'--storage.tsdb.path={self.folder}/data',
                                               f'--web.listen-address=127.0.0.1:{port}', '--log.level=warn'], '/-/ready')

    def ask(self, path, **parameters):
        answer = fetch(f'http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}')
        return json.loads(answer)['data']['result'] if answer else []

    def query(self, expression):
        return self.ask('query', query=expression)

    def query_range(self, expression, since, until, step):
        return self.ask('query_range', query=expression, start=since, end=until, step=step)

    def firing(self):
        """The alerts that fire, each with its labels and annotations."""
        answer = fetch(f'http://127.0.0.1:{self.port}/api/v1/alerts')
        return [alert for alert in json.loads(answer)['data']['alerts'] if alert['state'] == 'firing'] if answer else []


def panels(dashboard):
    """The panels of a dashboard's file that ask for something."""
    with open(dashboard, encoding='utf-8') as source:
        return [panel for panel in json.load(source)['panels'] if panel.get('targets')]


def filled_in(expression, database, window):
    """An expression of the dashboard as Grafana sends it, with the variables replaced."""
    expression = expression.replace('$__rate_interval', window).replace('$database', database)
    if '$' in expression:
        raise Missing(f'a value for {re.findall(r"[$]{?[A-Za-z_]+", expression)}')
    return expression
