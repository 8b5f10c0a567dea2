"""kill -9 of the server, the runner, the keepers, the workers, and of everything at once: each job begins again or is FAILED as it was said of
it, never runs twice at once, and leaves no lock and no process.

    /usr/bin/python3 tests/e2e/kills_test.py [-v] [Class.test]
"""

import os
import shutil
import signal
import tempfile
import unittest

from lib import apps
from lib.server import Server, wait_until

FUNCTIONS = '''
import fcntl
import os
import subprocess
import time


def guarded(folder, name):
    """Says that it runs, complains if it does twice at once, and leaves a grandchild that shares its guard."""
    guard = open(f"{folder}/{name}.guard", "w")
    os.set_inheritable(guard.fileno(), True)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        open(f"{folder}/overlap", "a").write(name)
    child = f"trap '' TERM; while :; do sleep 0.05; done # {folder}"
    subprocess.Popen(["setsid", "sh", "-c", child], pass_fds=[guard.fileno()])
    with open(f"{folder}/{name}.runs", "a") as runs:
        runs.write("x")
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.02)
    return name


def again(folder):
    return guarded(folder, "again")


def never(folder):
    return guarded(folder, "never")
'''

APPLICATION = """
application: {{version: "1.0", workers: 3}}
data_nodes:
  folder: {{storage_type: json, default_data: "{folder}"}}
  first: {{storage_type: json}}
  second: {{storage_type: json}}
  third: {{storage_type: json, scope: GLOBAL}}
tasks:
  again:
    function: fns.again
    inputs: [folder]
    outputs: [first]
    lost_jobs: restart
    retries: {{max: 1, delay: 20ms, on: ["signal:KILL"]}}
  never: {{function: fns.never, inputs: [folder], outputs: [second], lost_jobs: fail}}
  command:
    command:
      - /bin/sh
      - -c
      - |
        exec 9>{folder}/command.guard; flock -n 9 || echo command >>{folder}/overlap
        printf x >>{folder}/command.runs
        while [ ! -e {folder}/go ]; do sleep 0.02; done
        echo 1 >"$BAILIFF_OUTPUT_THIRD"
    outputs: [third]
    retries: {{max: 1, delay: 20ms, on: ["signal:KILL"]}}
  after: {{command: [/bin/sh, -c, 'cp "$BAILIFF_INPUT_THIRD" "$BAILIFF_OUTPUT_FOURTH"'], inputs: [third], outputs: [fourth]}}
"""
FOURTH = "  fourth: {storage_type: json}\n"


def children():
    """Every process's children."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            found.setdefault(int(parent), []).append(int(entry))
    return found


def below(pid):
    """The processes below one, level by level: the runner, the keepers, workers and commands …"""
    tree, levels, level = children(), [], [pid]
    while level := [child for parent in level for child in tree.get(parent, [])]:
        levels.append(level)
    return levels


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Kills(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-kills-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.app = os.path.join(self.folder, "app")
        os.makedirs(self.app)
        apps.write(self.app, "fns.py", FUNCTIONS)
        text = APPLICATION.format(folder=self.app).replace("tasks:\n", FOURTH + "tasks:\n", 1)
        self.server = Server(apps.write(self.app, "app.yaml", text), None, self.folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)
        self.server.start()
        self.jobs = {name: self.server.submit(self.server.create(name)) for name in ("again", "never", "command", "after")}
        self.await_runs(again=1, never=1, command=1)

    def runs(self, name):
        try:
            return os.path.getsize(os.path.join(self.app, name + ".runs"))
        except FileNotFoundError:
            return 0

    def await_runs(self, **counts):
        for name, count in counts.items():
            wait_until(lambda n=name, c=count: self.runs(n) >= c, f"{name} runs {count} times")

    def kill(self, pids, number=signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # a command's `sleep`, perhaps
                pass

    def check(self, never):
        """`again` and `command` begin again; `never` is FAILED. What waits for the command's result goes on."""
        self.await_runs(again=2, command=2)
        job = self.server.wait_job(self.jobs["never"], "FAILED")
        self.assertEqual(job["attempt"], 1)
        self.assertIn(never, job["error"])
        self.assertEqual(self.server.job(self.jobs["after"])["status"], "BLOCKED")
        everybody = [pid for level in below(self.server.process.pid) for pid in level]
        apps.write(self.app, "go", "")
        for name in ("again", "command", "after"):
            self.server.wait_job(self.jobs[name], "COMPLETED")
        self.assertEqual([self.server.job(self.jobs[name])["attempt"] for name in ("again", "command", "after")], [2, 2, 1])
        self.assertEqual([self.runs(name) for name in ("again", "never", "command")], [2, 1, 2])
        self.assertFalse(os.path.exists(os.path.join(self.app, "overlap")))
        self.assertEqual(self.server.query("SELECT * FROM data_node_lock"), [])
        self.assertEqual(self.server.query("SELECT * FROM job_wait"), [])
        self.server.stop()
        wait_until(lambda: not any(is_alive(pid) for pid in everybody), "nothing is left of them")
        self.assertEqual(self.server.verify_audit().returncode, 0)

    def test_the_server(self):
        everybody = [pid for level in below(self.server.process.pid) for pid in level]
        self.server.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in everybody), "what it had started goes with it")
        self.server.start()
        self.check("The server stopped while the job ran.")

    def test_the_runner(self):
        (runner,) = below(self.server.process.pid)[0]
        self.kill([runner])
        self.check("The runner was lost.")

    def test_the_keepers(self):
        self.kill(below(self.server.process.pid)[1])
        self.check("was lost")

    def test_the_workers(self):
        self.kill(below(self.server.process.pid)[2])
        self.check("ended by signal 9")

    def test_everything(self):
        levels = below(self.server.process.pid)
        # Nobody can clean up after another.
        self.kill([self.server.process.pid] + [pid for level in levels for pid in level], signal.SIGSTOP)
        self.kill(levels[0] + levels[1])
        self.server.kill()
        # The jobs' own processes live on, stopped, with nobody above them: the next runner finds and ends them before anything begins again.
        self.server.start()
        self.check("The server stopped while the job ran.")
        self.assertEqual([pid for level in levels for pid in level if is_alive(pid)], [])


if __name__ == "__main__":
    unittest.main()
