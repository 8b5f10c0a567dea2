"""Load for a while, with an eye on what the server's processes hold: memory, descriptors, threads, processes. All of it must come to
a level and stay there."""

import os
import signal
import statistics
import time

from lib import apps
from lib.load import Load, Told
from lib.server import Server, processes_of, wait_until

CONFIGS = {"double": 40, "noop": 50, "split": 9, "failing": 1}
WARM_BYTES = 48 << 20  # a database of this size has filled SQLite's caches, which grow until then
LOG_MAX_BYTES = 64 << 20
SLACK_BYTES = 4 << 20


class Sample:
    def __init__(self, server):
        pid = server.process.pid
        processes = processes_of(server.folder)
        status = proc_status(pid)
        self.rss = int(status["VmRSS"].split()[0]) << 10
        self.threads = int(status["Threads"])
        self.fds = descriptors(pid)
        self.processes = len(processes)
        others = [process for process in processes if process != pid]
        self.other_rss = sum(rss_of(process) for process in others)
        self.other_fds = sum(descriptors(process) for process in others)

    def __str__(self):
        return (
            f"RSS {self.rss >> 20} MiB, {self.fds} descriptors, {self.threads} threads; "
            f"{self.processes - 1} other processes with {self.other_rss >> 20} MiB, {self.other_fds} descriptors"
        )


def proc_status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def rss_of(pid):
    try:
        return int(proc_status(pid).get("VmRSS", "0").split()[0]) << 10
    except OSError:
        return 0  # it has just ended


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


class Steady:
    def __init__(self, folder):
        application = apps.taipy(os.path.join(folder, "app"), seconds=1)
        self.server = Server(application, {}, folder)
        self.told = Told()
        self.samples = []

    def end(self):
        """Whatever happened: nothing of it runs any more. Its folder stays."""
        self.server.end()

    def warm_up(self, seconds):
        """Until the caches are full."""
        load = Load(self.server, self.told, {"double": 1}, clients=8, pause_s=0, delete_share=1)
        end = time.monotonic() + seconds
        load.start()
        while time.monotonic() < end and os.path.getsize(self.server.path("data", "bailiff.db")) < WARM_BYTES:
            time.sleep(0.5)
        load.stop()
        self.server.request("GET", "/api/v1/tasks/", "TAIPY_READER")

    def run(self, seconds, warm_up_s=0, tell=lambda sample, share: None):
        """The load, its samples, and what must be true at its end."""
        self.server.start()
        for role in ("TAIPY_EDITOR", "TAIPY_EXECUTOR", "TAIPY_READER", "TAIPY_ADMIN"):
            self.server.token(role)
        if warm_up_s:
            self.warm_up(warm_up_s)
        load = Load(self.server, self.told, CONFIGS).start()
        begin = time.monotonic()
        interval = max(0.5, seconds / 240)
        try:
            while time.monotonic() - begin < seconds and any(thread.is_alive() for thread in load.threads):
                time.sleep(interval)
                self.samples.append(Sample(self.server))
                tell(self.samples[-1], (time.monotonic() - begin) / seconds)
                if len(self.samples) % 8 == 0:
                    self.server.signal(signal.SIGHUP)  # everything is read anew
                if os.path.getsize(self.server.log_file) > LOG_MAX_BYTES:
                    self.server.check_log()
                    os.truncate(self.server.log_file, 0)
        finally:
            load.stop()
        wait_until(self._idle, "all jobs have ended", 120)
        verified = self.server.verify_audit()
        assert verified.returncode == 0, verified.stderr
        self.server.stop()
        verified = self.server.verify_audit()
        assert verified.returncode == 0, verified.stderr

    def _idle(self):
        return not self.server.query("SELECT 1 FROM job WHERE status IN ('SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING') LIMIT 1")

    def sixths(self, name):
        """Medians of the second and of the last sixth."""
        values = [getattr(sample, name) for sample in self.samples]
        size = max(1, len(values) // 6)
        return statistics.median(values[size : 2 * size]), statistics.median(values[-size:])

    def levels(self):
        """{what: (in the second sixth, in the last one)}"""
        found = {name: tuple(int(value) for value in self.sixths(name)) for name in ("threads", "fds")}
        found["RSS KiB"] = tuple(int(value) >> 10 for value in self.sixths("rss"))
        found["other processes' KiB"] = tuple(int(value) >> 10 for value in self.sixths("other_rss"))
        return found

    def check_level(self, memory=True):
        """Nothing grows. `memory`: not told of a run too short for it."""
        assert len(self.samples) >= 6, "too short to say anything"
        for name, slack in (("threads", 0), ("fds", 8), ("processes", 2), ("other_fds", 40)):
            before, after = self.sixths(name)
            assert after <= before + slack, f"{name} grew from {before} to {after}: {[getattr(s, name) for s in self.samples]}"
        for name in ("rss", "other_rss") if memory else ():
            before, after = (int(value) for value in self.sixths(name))
            assert after <= before * 1.05 + SLACK_BYTES, (
                f"{name} grew from {before >> 20} to {after >> 20} MiB: {[getattr(s, name) >> 20 for s in self.samples]}"
            )

