"""strace beside a running server: which system calls its threads make, and how to let one of them fail.

What it injects never reaches the kernel: the call returns the error and nothing was done. Looking at a process that protects itself
(release builds do) needs root; `usable()` says whether it can be done here."""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile

from lib.server import wait_until

CALL = re.compile(r"^(?:\[pid +)?(\d+)?\]? *(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>)?")


def usable():
    """None, or why not."""
    if not shutil.which("strace"):
        return "strace is not installed"
    if os.geteuid() != 0:
        return "only root can look into the server's threads"
    probe = subprocess.run(["strace", "-o", "/dev/null", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else "strace cannot trace here: " + probe.stderr.strip()


def threads(pid):
    """{name: [thread ids]} of a process."""
    found = collections.defaultdict(list)
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as file:
                found[file.read().strip()].append(int(thread))
        except OSError:
            pass
    return found


def tracer_output(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Trace:
    """Attached from `with` on, for as long as the block lasts."""

    def __init__(self, thread_ids, *options):
        self.thread_ids = thread_ids
        self.options = options
        self.lines = []
        self._process = None
        self._file = None

    def __enter__(self):
        self._file = tempfile.NamedTemporaryFile(prefix="bailiff-strace-", mode="r", encoding="utf-8", errors="replace")
        attach = [argument for thread in self.thread_ids for argument in ("-p", str(thread))]
        self._process = subprocess.Popen(
            ["strace", "-y", "-o", self._file.name, *self.options, *attach], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        wait_until(self._attached, "strace is attached")
        return self

    def _attached(self):
        if self._process.poll() is not None:
            raise AssertionError(f"strace ended: {self._process.stderr.read()}")
        return all(self._tracer(thread) == self._process.pid for thread in self.thread_ids)

    def _tracer(self, thread):
        try:
            with open(f"/proc/{thread}/status", encoding="utf-8") as file:
                return int(re.search(r"^TracerPid:\s*(\d+)", file.read(), re.M).group(1))
        except OSError:
            return self._process.pid  # it is gone: nothing to wait for

    def __exit__(self, *unused):
        self._process.send_signal(signal.SIGINT)  # it lets go and ends
        self._process.wait(30)
        self._process.stderr.close()
        self.lines = self._file.read().splitlines()
        self._file.close()

    def injected(self):
        """How many calls failed because of us."""
        return sum("(INJECTED)" in line for line in self.lines)


def calls(trace, names):
    """{(thread's name, system call, file or None)}; names: {thread id: name}."""
    found = set()
    for line in trace.lines:
        match = CALL.match(line)
        if match:
            found.add((names.get(int(match.group(1) or 0), "?"), match.group(2), match.group(3)))
    return found
