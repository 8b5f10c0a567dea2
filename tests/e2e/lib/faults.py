"""Faults on the write path: one system call of one of the server's threads fails, once, later, or as long as the trace lasts, while
clients change things. Whatever was acknowledged must be there afterwards, whatever was refused must not, and the server goes on by itself.

Which calls there are is found by tracing the server at work (`find_calls`); what they may fail with stands in ERRORS."""

import collections
import json
import os
import time
import uuid

from lib import apps
from lib.server import Server, processes_of, wait_until
from lib.strace import Trace, calls, threads

WRITE_PATH = ("writer", "jobs", "mover")
# What a call may fail with (strace's words). `retval=0`: a write that took nothing.
ERRORS = {
    "pwrite64": ("error=EIO", "error=ENOSPC", "error=EINTR", "retval=0"),
    "write": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "fsync": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "fdatasync": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "ftruncate": ("error=EIO", "error=EINTR"),
    "fallocate": ("error=ENOSPC", "error=EIO"),
    "openat": ("error=EMFILE", "error=ENFILE", "error=EIO", "error=EINTR"),
    "unlink": ("error=EIO", "error=EBUSY"),
    "unlinkat": ("error=EIO", "error=EBUSY"),
    "renameat": ("error=EIO", "error=ENOSPC"),
    "fchmod": ("error=EIO",),
    "fchown": ("error=EIO",),
    "newfstatat": ("error=EIO", "error=ENOMEM"),
    "pread64": ("error=EIO", "error=EINTR", "retval=0"),
    "read": ("error=EIO", "error=EINTR"),
    "fcntl": ("error=EAGAIN", "error=ENOLCK", "error=EMFILE", "error=EINTR"),
    "lseek": ("error=EIO",),
    "getdents64": ("error=EIO",),
    "mmap": ("error=ENOMEM",),
    "poll": ("error=EINTR", "error=ENOMEM"),
    "restart_syscall": ("error=EINTR",),
    "recvfrom": ("error=EINTR", "error=EAGAIN", "error=ECONNRESET"),
    "sendto": ("error=EINTR", "error=EAGAIN", "error=EPIPE", "error=ENOBUFS"),
}
# What is not made to fail, and why.
LEFT_OUT = {
    "futex": "the C library's own, which ends the process itself",
    "mprotect": "memory: our own allocations end the process, on purpose",
    "munmap": "cannot fail",
    "madvise": "only a hint",
    "brk": "memory",
    "close": "the descriptor would stay open, which no kernel does",
    "getrandom": "cannot fail after boot",
    "gettid": "cannot fail",
    "clock_nanosleep": "waiting only",
    "rt_sigprocmask": "cannot fail",
    "rseq": "the C library's own",
    "set_robust_list": "the C library's own",
    "exit": "cannot fail",
}
LOCKING, COPYING = ("error=EAGAIN", "error=ENOLCK"), ("error=EMFILE",)  # fcntl does one or the other
READING = ("openat", "read", "newfstatat")
WAKES = ("anon_inode:", "pipe:", "/dev/null")  # one thread waking another: those calls cannot fail
FILES = ("data/bailiff.db", "data/bailiff.db-wal", "data/bailiff.db-shm", "data/storage/results", "work")
ONCE, THIRD, ALWAYS = "when=1", "when=3", "when=1+"
ENDED = ("COMPLETED", "FAILED", "CANCELED", "SKIPPED", "ABANDONED")


class Case:
    """`path`: only calls on this file, below the server's folder."""

    def __init__(self, thread, call, error, when, path=None):
        self.thread, self.call, self.error, self.when, self.path = thread, call, error, when, path

    def __str__(self):
        where = f" of {os.path.basename(self.path)}" if self.path else ""
        times = {ONCE: "once", THIRD: "the third time", ALWAYS: "always"}[self.when]
        return f"{self.thread}: {self.call}{where} {self.error} {times}"

    def trace(self, server):
        path = ("-P", server.path(self.path)) if self.path else ()
        inject = f"inject={self.call}:{self.error}:{self.when}"
        return Trace(threads(server.process.pid)[self.thread], "-e", f"trace={self.call}", "-e", inject, *path)

    def may_fail_jobs(self):
        """What a task has written cannot be read: that job fails, and says so."""
        of_work = self.path in (None, "work")  # whether strace names the folder depends on what the call was given
        return self.thread == "mover" and of_work and self.error == "error=EIO" and self.call in READING


class Ledger:
    """What clients were told."""

    def __init__(self):
        self.tasks = {}  # id: configuration, of tasks that exist
        self.gone = set()  # tasks deleted
        self.jobs = {}  # id: task
        self.refused = []  # [(key, configuration)]: creates that were answered with 503
        self.statuses = collections.Counter()


class Subject:
    """A server that is made to suffer."""

    def __init__(self, folder):
        self.folder = folder
        self.server = Server(apps.taipy(os.path.join(folder, "app"), seconds=1), {"execution": {"attempts": 100}}, folder)
        self.ledger = Ledger()
        self.during = None  # what /readyz said while it suffered
        self.may_fail_jobs = False
        self.failed = set()  # jobs that failed as they may

    def start(self):
        self.server.start()
        return self

    def end(self):
        """Whatever happened: nothing of it runs any more. Its folder stays."""
        self.server.end()

    # -- the work --

    def _ask(self, method, path, role, wanted, **options):
        """The answer; anything but what was wanted must be a clean refusal."""
        answer = self.server.request(method, path, role, **options)
        self.ledger.statuses[answer.status] += 1
        if answer.status == wanted:
            return answer
        if answer.status != 503 or answer.headers["Content-Type"] != "application/problem+json" or not answer.headers["Retry-After"]:
            raise AssertionError(f"{method} {path}: {answer} {dict(answer.headers)}")
        return None

    def create(self, config, key=None):
        key = key or uuid.uuid4().hex
        answer = self._ask("POST", f"/api/v1/tasks/?config_id={config}", "TAIPY_EDITOR", 201, headers={"Idempotency-Key": key})
        if not answer:
            self.ledger.refused.append((key, config))
            return None
        task = answer.json()["task"]
        self.ledger.tasks[task["id"]] = config
        return task["id"]

    def submit(self, task):
        answer = self._ask("POST", f"/api/v1/tasks/submit/{task}/", "TAIPY_EXECUTOR", 204)
        if answer:
            self.ledger.jobs[answer.headers["Location"].rstrip("/").rpartition("/")[2]] = task

    def delete(self, task):
        if self._ask("DELETE", f"/api/v1/tasks/{task}/", "TAIPY_EDITOR", 200):
            del self.ledger.tasks[task]
            self.ledger.gone.add(task)

    def work(self, reading=True):
        """Some of everything that changes something."""
        for config in ("double", "split", "noop", "failing", "csv_to_json", "double"):
            task = self.create(config)
            if task and config == "noop":
                self.delete(task)
            elif task:
                self.submit(task)
        if reading:
            answer = self.server.request("GET", "/api/v1/jobs/?limit=5", "TAIPY_READER")
            assert answer.status == 200, f"reading does not go on: {answer}"

    def readiness(self):
        answer = self.server.request("GET", "/readyz", "TAIPY_ADMIN")
        body = answer.json()
        if answer.status != 200:
            assert any(check["status"] == "failed" and check["reason"] for check in body["checks"]), f"no reason: {answer}"
        return {"status": answer.status, "checks": body["checks"], "warnings": body["warnings"]}

    # -- one fault --

    def suffer(self, case, seconds=1.5, crash=False):
        """Lets the case happen; returns how many calls failed. `crash`: and kills the server in the middle of it."""
        with case.trace(self.server) as trace:
            self.work()
            end = time.monotonic() + seconds
            while time.monotonic() < end and not self._idle():
                time.sleep(0.1)
            self.during = self.readiness()
            if case.when == ALWAYS and self.during["status"] != 200:
                time.sleep(1.2)  # it tries again meanwhile, and must go on saying so
                self.during = self.readiness()
            if crash:
                self.server.kill()
            elif case.when == ALWAYS:
                self.work()
        self.may_fail_jobs = case.may_fail_jobs()
        if crash:
            wait_until(lambda: not processes_of(self.server.folder), "what the killed server had started is gone", 30)
            self.server.start()
        return trace.injected()

    def _idle(self):
        if not self.ledger.jobs:
            return True
        return not self.server.query("SELECT 1 FROM job WHERE status IN ('SUBMITTED', 'BLOCKED', 'PENDING', 'RUNNING') LIMIT 1")

    def recover(self):
        """Everything goes on by itself, and is as clients were told."""
        process = self.server.process
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}:\n{self.server.log_tail()}")
        wait_until(lambda: self.readiness()["status"] == 200, "it is ready again", 30)
        for key, config in self.ledger.refused:  # now they are made, each once
            assert self.create(config, key), "a create is refused though the server is ready"
        self.ledger.refused.clear()
        wait_until(self._idle, "all jobs have ended", 60)
        self.check()

    def check(self):
        """The store is what was acknowledged, no more and no less."""
        tasks = {row["id"] for row in self.server.query("SELECT id FROM task")}
        same(tasks, set(self.ledger.tasks), "tasks")
        jobs = {row["id"]: row for row in self.server.query("SELECT id, task_id, status, attempt, error FROM job")}
        same(set(jobs), set(self.ledger.jobs), "jobs")
        for job, task in self.ledger.jobs.items():
            self._check_job(jobs[job], self.ledger.tasks.get(task))
        records = self.server.query("SELECT action, target, detail FROM audit WHERE outcome = 'done'")
        created = collections.Counter(record["target"] for record in records if record["action"] == "task.create")
        same(created, collections.Counter(list(self.ledger.tasks) + list(self.ledger.gone)), "records of tasks created")
        deleted = collections.Counter(record["target"] for record in records if record["action"] == "task.delete")
        same(deleted, collections.Counter(self.ledger.gone), "records of tasks deleted")
        submitted = collections.Counter(
            json.loads(record["detail"])["job_id"] for record in records if record["action"] == "task.submit"
        )
        same(submitted, collections.Counter(list(self.ledger.jobs)), "records of submits")
        verified = self.server.verify_audit()
        assert verified.returncode == 0, verified.stderr
        self.server.check_log()

    def _check_job(self, job, config):
        if job["id"] in self.failed:
            return
        if self.may_fail_jobs and job["status"] == "FAILED" and "Input/output error" in job["error"]:
            self.failed.add(job["id"])
            return
        wanted = "FAILED" if config == "failing" else "COMPLETED"
        assert job["status"] == wanted, f"{config}: {job}"

    def check_outputs(self, count=20):
        """Values of the last jobs: whole, and those that belong there."""
        expected = {"double": [42], "split": [21, "21"], "csv_to_json": [[{"city": "Oslo", "degrees": 3}, {"city": "Roma", "degrees": 17}]]}
        tasks = [task for job, task in self.ledger.jobs.items() if job not in self.failed and task in self.ledger.tasks]
        for task in tasks[-count:]:
            config = self.ledger.tasks[task]
            if config in expected:
                outputs = self.server.request("GET", f"/api/v1/tasks/{task}/", "TAIPY_READER").json()["task"]["output_ids"]
                values = [self.server.read(node) for node in outputs]
                assert [plain(value) for value in values] == expected[config], f"{config}: {values}"


def plain(value):
    return [dict(row) for row in value] if isinstance(value, list) and value and isinstance(value[0], dict) else value


def same(found, wanted, what):
    if found != wanted:
        if isinstance(found, set):
            raise AssertionError(f"{what}: nobody was told of {found - wanted}; gone are {wanted - found}")
        raise AssertionError(f"{what}: too many {found - wanted}; missing {wanted - found}")


def find_calls(subject):
    """[(thread, call, path or None)] of the write path, as the server makes them at work."""
    by_name = threads(subject.server.process.pid)
    names = {thread: name for name in WRITE_PATH for thread in by_name[name]}
    with Trace(sorted(names)) as trace:
        for _ in range(10):
            subject.work()
        wait_until(subject._idle, "all jobs have ended", 60)
        time.sleep(12)  # outputs that nobody needs any more are collected after ten seconds
    fixed = {subject.server.path(name): name for name in FILES}
    found = set()
    for thread, call, path in calls(trace, names):
        if not (path or "").startswith(WAKES):
            found.add((thread, call, fixed.get(path)))
    return sorted(found, key=str)


def cases(found, whens=(ONCE, THIRD, ALWAYS)):
    """Every case for the calls found. A call that nobody has thought of is a mistake in the tables above."""
    for thread, call, path in found:
        if call not in ERRORS and call not in LEFT_OUT:
            raise AssertionError(f"{thread} calls {call}: say in lib/faults.py what it may fail with")
        for error in ERRORS.get(call, ()):
            for when in whens:
                if error == "error=EINTR" and when == ALWAYS:
                    continue  # a call that is interrupted for ever is no fault that exists
                locks = path is not None and path.endswith("-shm")
                if call == "fcntl" and error in (LOCKING if not locks else COPYING):
                    continue
                yield Case(thread, call, error, when, path)
