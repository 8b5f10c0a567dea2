"""Faults while the server starts: each system call on its own files fails in turn. It starts all the same, or ends with a sentence that
says why; and the next start, without a fault, finds everything."""

import collections
import os
import subprocess
import tempfile
import time

from lib.server import PROGRAM, processes_of, wait_until
from lib.strace import CALL, tracer_output

ERRORS = {
    "openat": ("EIO", "EMFILE"), "open": ("EIO",), "pread64": ("EIO",), "read": ("EIO",), "pwrite64": ("EIO", "ENOSPC"),
    "write": ("ENOSPC",), "fsync": ("EIO",), "fdatasync": ("EIO", "ENOSPC"), "ftruncate": ("EIO",), "newfstatat": ("EIO",),
    "mkdir": ("ENOSPC",), "mkdirat": ("ENOSPC",), "linkat": ("EIO",), "symlinkat": ("EIO",), "chmod": ("EIO",),
    "fchown": ("EIO",), "fchmod": ("EIO",), "rename": ("EIO",), "renameat": ("EIO",),
    "unlink": ("EIO",), "unlinkat": ("EIO",), "flock": ("ENOLCK",), "fcntl": ("ENOLCK",), "mmap": ("ENOMEM",), "getdents64": ("EIO",),
    "lseek": ("EIO",), "statx": ("EIO",),
}
LEFT_OUT = ("close", "ioctl", "munmap", "readlink", "chdir", "access", "stat", "lstat", "fadvise64", "geteuid")
FILES = (
    "data", "data/bailiff.db", "data/bailiff.db-wal", "data/bailiff.db-shm", "data/audit.key", "data/lock", "data/storage",
    "data/storage/results", "data/storage/defaults", "data/storage/logs", "work", "app/app.toml", "roles.yaml", "signing-jwks.json",
    "bailiff.yaml",
)
START_S = 120


class Start:
    """A start under strace; `inject` as strace writes it, or None. Afterwards: `ready`, or the exit status and what was said."""

    def __init__(self, server, inject=None):
        self.server = server
        with tempfile.NamedTemporaryFile(prefix="bailiff-strace-") as trace, tempfile.NamedTemporaryFile(prefix="bailiff-said-") as said:
            paths = [argument for name in FILES for argument in ("-P", server.path(name))]
            inject = ["-e", f"inject={inject}"] if inject else []
            server.process = subprocess.Popen(
                ["strace", "-D", "-f", "-y", "-o", trace.name, *paths, *inject, PROGRAM, "serve", "--config", server.config],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/",
                env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"),  # its search for leaks cannot be traced itself
            )
            self.ready = self._wait()
            self.status = server.process.poll()
            server.kill()
            wait_until(lambda: not processes_of(server.folder), "everything has ended", 60)
            self.said = tracer_output(said.name)
            self.lines = tracer_output(trace.name).splitlines()
        self.injected = sum("(INJECTED)" in line for line in self.lines)

    def _wait(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.server.process.poll() is not None:
                return False
            try:
                if self.server.client.request("GET", "/readyz").status == 200:
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"neither ready nor ended after {START_S} s")

    def judge(self):
        if self.ready:
            return "it starts all the same"
        last = self.said.strip().splitlines()[-1] if self.said.strip() else ""
        assert self.status in (1, 3) and last, f"it ended with {self.status}: {self.said[-2000:]}"
        assert "Sanitizer" not in self.said, self.said[-6000:]
        return last


def calls_of_start(server):
    """{call: how often the process that makes most of them makes it}"""
    counts = collections.Counter()
    for line in Start(server).lines:
        match = CALL.match(line)
        if match:
            counts[match.group(2), match.group(1)] += 1
    most = collections.Counter()
    for (call, _), count in counts.items():
        most[call] = max(most[call], count)
    return most


def cases(counts, each=8):
    """(call, error, n): the first `each` calls, and a few of those behind them."""
    for call, count in sorted(counts.items()):
        if call not in ERRORS and call not in LEFT_OUT:
            raise AssertionError(f"{call} is called at start: say in lib/startup_faults.py what it may fail with")
        for error in ERRORS.get(call, ()):
            numbers = list(range(1, min(count, each) + 1)) + list(range(each + 5, count + 1, max(5, count // 6)))
            yield from ((call, error, n) for n in numbers)
