"""A private PostgreSQL cluster: made, started, measured and removed by one run of the bench."""

import os
import pwd
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

# Checkpoints and autovacuum would fall on one contender or another by chance; both stay out of the measured time.
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_connections": "100",
    "log_min_messages": "warning",
}


class BenchError(Exception):
    """What stops a run: shown to the user without a traceback."""


@dataclass
class Run:
    """One run of pgbench."""

    rate: float  # transactions a second, without the time to connect
    count: int  # transactions done
    cpu_us: float  # CPU time of the server's backends per transaction, microseconds
    others: float  # cores that processes of others, or other machines of the same host, had meanwhile


class Cluster:
    def __init__(self, pg_config, settings=None):
        self.bindir = subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
        self.settings = {**SETTINGS, **(settings or {})}
        # The data goes where a real disk is likely, the socket where its path stays short. Both are closed to others:
        # whoever reaches the socket is superuser.
        self.home = tempfile.mkdtemp(prefix="auren_bench.", dir=os.environ.get("BENCH_TMP", "/var/tmp"))
        self.socket = tempfile.mkdtemp(prefix="auren_bench.", dir="/tmp")
        self.data = os.path.join(self.home, "data")
        self.log = os.path.join(self.home, "server.log")
        self.server_user = []
        if os.geteuid() == 0:
            # The server refuses to run as root.
            user = pwd.getpwnam(os.environ.get("AUREN_SERVER_USER", "postgres"))
            self.server_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
            for path in (self.home, self.socket):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.postmaster = None
        self.valgrind = None
        self.scripts = 0
        # Nothing of the caller's environment may lead a client to another cluster.
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        self.env.update(PGHOST=self.socket, PGPORT=self.settings["port"], PGUSER="postgres", PGTZ="UTC",
                        PGOPTIONS="", LC_ALL="C.UTF-8")

    def tool(self, name):
        return os.path.join(self.bindir, name)

    # Making, starting, stopping

    def create(self):
        self._server([self.tool("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync"])
        lines = [f"{key} = '{value}'" for key, value in self.settings.items()]
        lines.append(f"unix_socket_directories = '{self.socket}'")
        self._configure(lines)

    def configure(self, settings):
        """Adds settings; they count from the next start."""
        self._configure([f"{key} = '{value}'" for key, value in settings.items()])

    def _configure(self, lines):
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a", encoding="utf-8") as conf:
            conf.write("\n".join(lines) + "\n")

    def start(self):
        self._server([self.tool("pg_ctl"), "-D", self.data, "-l", self.log, "-w", "-s", "start"])
        self._find_postmaster()

    def stop(self):
        if self.postmaster is None:
            return
        if self.valgrind is not None:
            os.kill(self.postmaster, signal.SIGINT)
            self.valgrind.wait(timeout=120)
            self.valgrind = None
        else:
            self._server([self.tool("pg_ctl"), "-D", self.data, "-m", "fast", "-w", "-s", "stop"])
        self.postmaster = None

    def remove(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            shutil.rmtree(self.socket, ignore_errors=True)

    def _server(self, command):
        done = subprocess.run(self.server_user + command, capture_output=True, text=True, env=self.env, cwd="/",
                              check=False)
        if done.returncode != 0:
            log = ""
            if os.path.exists(self.log):
                with open(self.log, encoding="utf-8", errors="replace") as file:
                    log = "".join(file.readlines()[-20:])
            raise BenchError(f"{os.path.basename(command[0])} failed: {done.stdout}{done.stderr}{log}")

    def _find_postmaster(self):
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
            self.postmaster = int(file.readline())

    # Under callgrind

    def start_counting(self):
        """Starts the server under callgrind: each backend writes its instruction counts when it ends."""
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.home}/callgrind.out.%p",
                   "--log-file=/dev/null", self.tool("postgres"), "-D", self.data]
        with open(self.log, "a", encoding="utf-8") as log:
            self.valgrind = subprocess.Popen(self.server_user + command, stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, env=self.env, cwd="/")
        deadline = time.monotonic() + 120
        while subprocess.run([self.tool("pg_isready"), "-q"], env=self.env, check=False).returncode != 0:
            if self.valgrind.poll() is not None or time.monotonic() > deadline:
                raise BenchError("the server did not start under valgrind")
            time.sleep(0.3)
        self._find_postmaster()

    def count_files(self):
        """The files of the backends that have ended under callgrind."""
        return {os.path.join(self.home, name) for name in os.listdir(self.home) if name.startswith("callgrind.out.")}

    def counted(self, work):
        """Runs work() and returns the callgrind file of the busiest backend that ended meanwhile."""
        before = self.count_files()
        work()
        files = self.count_files() - before
        if not files:
            raise BenchError("no backend wrote its counts")
        return max(files, key=instructions)

    # Clients

    def psql(self, sql, database="postgres", variables=None):
        """Runs a script in one session, stopping at the first error; returns its rows, fields parted by '|'."""
        command = [self.tool("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
        for key, value in (variables or {}).items():
            command += ["-v", f"{key}={value}"]
        children = self._children()
        done = subprocess.run(command, input=sql, capture_output=True, text=True, env=self.env, check=False)
        # A backend that is still ending would be counted with the next run.
        self._wait_for_backends(children)
        if done.returncode != 0:
            raise BenchError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def session(self, database="postgres"):
        """A psql session that stays open: write statements to its stdin."""
        return subprocess.Popen([self.tool("psql"), "-X", "-q", "-A", "-t", "-d", database], env=self.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def write_script(self, text):
        self.scripts += 1
        path = os.path.join(self.home, f"script_{self.scripts}.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def pgbench(self, script, database="postgres", clients=1, seconds=None, transactions=None, defines=None,
                options=(), settings=None):
        """Runs a script file; settings are set for the run's sessions."""
        command = [self.tool("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j",
                   str(min(clients, os.cpu_count())), "-f", script]
        command += ["-T", str(seconds)] if seconds is not None else ["-t", str(transactions)]
        for key, value in (defines or {}).items():
            command += ["-D", f"{key}={value}"]
        command += [*options, database]
        env = dict(self.env)
        env["PGOPTIONS"] = " ".join(f"-c {key}={value}" for key, value in (settings or {}).items())
        children = self._children()
        cpu, machine, own, begun = self._cpu_seconds(), machine_seconds(), self._own_seconds(), time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=self.home, check=False)
        rate = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
        count = re.search(r"actually processed: (\d+)", done.stdout)
        failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
        if done.returncode != 0 or "aborted" in done.stderr or not rate or (failed and int(failed[1]) > 0):
            raise BenchError(f"pgbench: {done.stderr.strip()[-2000:]}\n{done.stdout.strip()[-500:]}")
        self._wait_for_backends(children)
        spent = self._cpu_seconds() - cpu
        others = (machine_seconds() - machine - (self._own_seconds() - own)) / (time.monotonic() - begun)
        return Run(float(rate[1]), int(count[1]), spent * 1e6 / max(int(count[1]), 1), max(others, 0.0))

    # A backend's CPU time is added to its postmaster's when it has ended and was waited for.

    def _cpu_seconds(self):
        return sum(process_seconds(self.postmaster)[1:])

    def _own_seconds(self):
        """CPU time of the server with its background processes, and of the clients that have ended."""
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (sum(process_seconds(self.postmaster)) + sum(process_seconds(child)[0] for child in self._children())
                + clients.ru_utime + clients.ru_stime)

    def _children(self):
        """The server's processes, but for the notifier: it stays for some seconds after the last commit."""
        with open(f"/proc/{self.postmaster}/task/{self.postmaster}/children", encoding="utf-8") as file:
            return {pid for pid in file.read().split() if "notifier" not in title(pid)}

    def _wait_for_backends(self, before):
        deadline = time.monotonic() + 60
        while not self._children() <= before:
            if time.monotonic() > deadline:
                raise BenchError("a backend does not end")
            time.sleep(0.005)


def title(pid):
    """What a process calls itself."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def process_seconds(pid):
    """CPU seconds of a process, and the user's and system's part of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0, 0.0, 0.0
    tick = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / tick, int(fields[13]) / tick, int(fields[14]) / tick


def machine_seconds():
    """CPU seconds that the machine was not idle, or was kept from running by its host."""
    with open("/proc/stat", encoding="utf-8") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def instructions(path):
    """Instructions in a callgrind file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    return 0
