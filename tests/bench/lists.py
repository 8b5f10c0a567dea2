"""Whole lists and pages of them, from a thousand tasks to a million, and what other clients notice of it."""

import contextlib
import json
import sqlite3
import statistics
import subprocess
import threading
import time

import load
import machine
import peers
from lib import client

SIZES = (1_000, 100_000, 1_000_000)
PAGE = 1000
PROBE_CONNECTIONS = 8
PROBE_PAUSE_S = 0.002
READERS = 2

# As the store makes them: ids, times that rise with seq.
_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO task (id, config_id, owner_id, version, created_at, revision, function_module, function_name, parent_ids, input_ids,
                  output_ids, skippable, created_by)
SELECT 'TASK_noop_' || lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' ||
       substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
       'noop', NULL, 'development', ?2 + i / 100, 1, 'fns', 'noop', '', '', '', 0, 'bench' FROM n
"""


def _fill(bailiff, size):
    """Tops up to `size` tasks, beside the API: the server must not run."""
    connection = sqlite3.connect(bailiff.server.path("data", "bailiff.db"))
    try:
        (there, newest) = connection.execute("SELECT count(*), coalesce(max(created_at), 0) FROM task").fetchone()
        if size > there:
            with connection:
                connection.execute(_FILL, (size - there, max(newest, int(time.time() * 1000) - 10**8)))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


class _Lister:
    """Reads whole lists with curl, which costs little beside the server."""

    def __init__(self, bailiff, token):
        self._bailiff = bailiff
        self._command = ["curl", "-sS", "--fail", "--cacert", bailiff.server.path("ca.pem"), "-H", "Authorization: Bearer " + token]
        self._url = f"https://localhost:{bailiff.server.port}/api/v1/tasks/"

    def count(self):
        """How many tasks the list has; it must be whole."""
        seen, tail = 0, b""
        with subprocess.Popen([*self._command, self._url], stdout=subprocess.PIPE) as process:
            while True:
                piece = process.stdout.read(1 << 20)
                if not piece:
                    break
                tail += piece
                cut = len(tail) - 10  # a mark may be cut in two
                seen += tail.count(b'"id":"TASK', 0, cut + 9)
                tail = tail[cut:]
        if process.returncode != 0 or not tail.endswith(b"]}"):
            raise RuntimeError(f"a list broke off after {seen} tasks")
        return seen + tail.count(b'"id":"TASK')

    def spawn(self):
        """Reads one list after the other until it is killed."""
        form = " ".join(f"-o /dev/null {self._url}" for _ in range(1000)).split()
        return subprocess.Popen([*self._command, *form], stderr=subprocess.DEVNULL)

    def read(self):
        """(seconds to the first byte, in all, bytes, KiB of memory at most)"""
        form = "%{time_pretransfer} %{time_starttransfer} %{time_total} %{size_download}"
        with _Peak(self._bailiff.pid) as peak:
            told = subprocess.run(
                [*self._command, "-o", "/dev/null", "-w", form, self._url], check=True, capture_output=True, text=True
            ).stdout.split()
        before, first, end, size = (float(word) for word in told)
        return first - before, end - before, size, peak.kib


class _Peak:
    """The most memory of its own that a process has while this lasts."""

    def __init__(self, pid):
        self._pid, self._over = pid, threading.Event()
        self.kib = machine.memory_kib(pid, "RssAnon")
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._over.wait(0.01):
            self.kib = max(self.kib, machine.memory_kib(self._pid, "RssAnon"))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def _whole(options, bailiff, lister, size):
    counted = lister.count()
    if counted != size:
        raise RuntimeError(f"the list has {counted} tasks instead of {size}")
    before_kib = machine.memory_kib(bailiff.pid, "RssAnon")
    cpu = machine.cpu_s(bailiff.pid)
    runs = [lister.read() for _ in range(options.rounds)]
    cpu = (machine.cpu_s(bailiff.pid) - cpu) / options.rounds
    first, total, length = (statistics.median(run[i] for run in runs) for i in range(3))
    grown = max(run[3] for run in runs) - before_kib
    row = [f"{size:,}", first * 1e3, total * 1e3, length / 2**20, size / total, cpu * 1e6 / size, f"{before_kib / 1024:.1f}", f"{grown / 1024:+.1f}"]
    return row, first * 1e3, grown / 1024


def _probe(bailiff, token, path, seconds):
    """Milliseconds that paced reads of one task take, over connections of several loops."""
    taken = []
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(bailiff.server.client.connect())) for _ in range(PROBE_CONNECTIONS)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for connection in connections:
                begin = time.monotonic()
                answer = client.send(connection, "GET", path, token)
                taken.append((time.monotonic() - begin) * 1e3)
                if answer.status != 200:
                    raise RuntimeError(f"a probe was answered {answer}")
                time.sleep(PROBE_PAUSE_S)
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1]


def _others(options, bailiff, lister, token, path):
    """What others notice while lists are read."""
    rows, p99 = [], []
    for readers in (0, READERS):
        processes = [lister.spawn() for _ in range(readers)]
        try:
            runs = [_probe(bailiff, token, path, options.seconds) for _ in range(options.rounds)]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        values = [statistics.median(run[i] for run in runs) for i in range(3)]
        p99.append(values[1])
        rows.append([f"{readers} whole lists at a time" if readers else "nothing else", *values])
    return rows, p99


def _pages(options, bailiff, token, folder):
    """CPU of the first page and of the last full one."""
    first = f"/api/v1/tasks/?limit={PAGE}"
    path, walked = first, 0
    bailiff.server.client.close()  # it was idle for long
    begin = time.monotonic()
    while True:
        page = bailiff.server.client.request("GET", path, token).json()
        walked += len(page["results"])
        if not page.get("next") or walked + PAGE >= SIZES[-1]:
            break
        path = f"{first}&cursor={page['next']}"
    spent = time.monotonic() - begin
    results = {"first": [], "last": []}
    for _ in range(options.rounds):
        for name, where in (("first", first), ("last", path)):
            results[name].append(
                load.run(folder, bailiff.pid, bailiff.url(where), max(2, options.seconds // 2), token=token, connections=4)
            )
            bailiff.forget_log()
    return results, spent


def bench(options, folder, report, _):
    options.say("lists")
    bailiff = peers.Bailiff()
    try:
        token = bailiff.token("TAIPY_READER")
        path = f"/api/v1/tasks/{bailiff.server.create('noop')['id']}/"
        lister = _Lister(bailiff, token)
        rows = []
        for size in SIZES:
            options.say(f"  {size} tasks")
            bailiff.stop()
            _fill(bailiff, size)
            bailiff.start()
            row, first_ms, grown_mib = _whole(options, bailiff, lister, size)
            rows.append(row)
        report.table(
            "Whole lists",
            ["tasks", "first byte ms", "in all ms", "MiB", "tasks/s", "CPU µs/task", "memory before MiB", "grown by MiB"],
            rows,
            "Memory: what is the server's own (RssAnon), at most, while a list is read.",
        )
        report.target("lists: first byte of a million tasks", first_ms, 20, unit="ms")
        report.target("lists: memory for a million tasks", grown_mib, 16, unit="MiB")

        options.say("  other clients")
        rows, p99 = _others(options, bailiff, lister, token, path)
        report.table(
            "Another client reads one task again and again, beside lists of a million",
            ["beside", "p50 ms", "p99 ms", "max ms"],
            rows,
            f"A request every {PROBE_PAUSE_S * 1e3:.0f} ms over {PROBE_CONNECTIONS} connections; the lists' readers share the cores.",
        )
        report.target("lists: other clients' p99 beside them", p99[1], 20, unit="ms")

        options.say("  pages")
        results, spent = _pages(options, bailiff, token, folder)
        report.table(
            f"Pages of {PAGE} among a million tasks",
            ["page", "CPU µs", "pages/s"],
            [[name, load.median(r, "cpu_us"), load.median(r, "rate")] for name, r in results.items()],
            f"Walking through all of them, one page after the other, took {spent:.1f} s.",
        )
        report.target("pages: CPU of the last, of the first's", load.ratio(results["last"], results["first"], "cpu_us"), 1.1)
    finally:
        bailiff.close()
