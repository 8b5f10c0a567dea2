"""Random submits, cancels, pauses, kills of every process, stops and reloads against a reference model of the rules (lib/rules.py): no
illegal transition, no lost or doubled run, no lock left, no job RUNNING without a live process.

    BAILIFF=.build/release/bailiff BAILIFF_SOURCE=. BAILIFF_TOOLS=.build/release /usr/bin/python3 tests/e2e/model_test.py [-v] [Class.test]

The first seed is printed; a failure prints its own, the step and what was done last. BAILIFF_SEED=n begins with that seed (what the
server does meanwhile is its own affair: a run that depends on it may need several tries), BAILIFF_STEPS=n makes n steps in all,
BAILIFF_SOAK=1 makes 50,000 (with a sanitizer 10,000).

Planted in the server one at a time, each of these was found within 600 steps: the locks of a job that failed are kept; a job that is to be
canceled is tried again; CANCELED is said before the kill is done; a job whose result is stored begins again; a loss is not counted; a
retry does not wait; a configuration's limit is ignored; a pause is forgotten with a restart; what comes to a user's path, or will be
written by nobody, lets nobody go on.
"""

import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

from lib import actors, rules
from lib.driver import ATTEMPTS, SHUTDOWNS, WORKERS, Driver
from lib.server import PROGRAM, SOAK, Server, merge

SLOW = any(name in PROGRAM for name in ("/asan/", "/tsan/"))  # sanitizers: five times as slow, so fewer steps
COUNTS = (800, 10_000) if SLOW else (2_000, 50_000)
STEPS = int(os.environ.get("BAILIFF_STEPS") or COUNTS[SOAK])
EPISODE_STEPS = 1_000  # with one server; then another begins with an empty store
SEED = int(os.environ.get("BAILIFF_SEED") or random.SystemRandom().getrandbits(32))
SETTINGS = {"execution": {"attempts": ATTEMPTS, "grace": "200ms", "tasks": actors.RULES}, "shutdown": {"deadline": "60s"}}


def tail(server):
    """Without the lines that only say which requests there were."""
    return "\n".join([line for line in server.log().splitlines() if not any(event in line for event in ('"request"', '"server.configuration"', '"server.reloaded"'))][-30:])


def latest(server):
    sql = "SELECT id, status, attempt, exit_code, signal, error FROM job ORDER BY max(ended_at, started_at) DESC LIMIT 8"
    try:
        return [tuple(row.values()) for row in server.query(sql)]
    except sqlite3.Error as error:
        return [error]


class Model(unittest.TestCase):
    def episode(self, application, seed, steps):
        chance = random.Random(seed)
        folder = tempfile.mkdtemp(prefix="bailiff-model-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        witness = actors.Witness(os.path.join(folder, "witness"))
        self.addCleanup(witness.close)
        restart = chance.random() < 0.6
        shutdown = chance.choice(SHUTDOWNS)
        settings = merge(SETTINGS, {"execution": {"lost_jobs": "restart" if restart else "fail"}, "shutdown": {"jobs": shutdown}})
        server = Server(application(os.path.join(folder, "app"), witness.folder, WORKERS), settings, folder)
        driver = Driver(server, witness, chance, restart, shutdown)
        step = 0
        try:
            server.start()
            for step in range(steps):
                driver.step()
            driver.drain()
            server.stop()
        except Exception:
            sys.stderr.write(
                f"--- seed {seed}, {application.__name__}, step {step} of {steps}; the last actions:\n"
                + "".join(f"    {action}\n" for action in driver.actions)
                + "--- the jobs that changed last:\n"
                + "".join(f"    {row}\n" for row in latest(server))
                + f"--- the end of the server's log:\n{tail(server)}\n---\n"
            )
            raise
        finally:
            server.kill()
            server.remove()
        return driver

    def play(self, application, offset):
        begin = time.monotonic()
        left, seed, jobs, counts = STEPS // 2, SEED + offset, 0, {}
        while left > 0:
            steps = min(left, EPISODE_STEPS)
            driver = self.episode(application, seed, steps)
            jobs += len(driver.world.jobs)
            for key, value in driver.counts.items():
                counts[key] = counts.get(key, 0) + value
            left, seed = left - steps, seed + 2
        sys.stderr.write(f"{STEPS // 2} steps, {jobs} jobs, {time.monotonic() - begin:.1f} s, first seed {SEED + offset}\n")
        if os.environ.get("BAILIFF_MODEL_TIMES"):
            for name in sorted({name for name, _ in counts}):
                sys.stderr.write(f"    {name}: {counts[name, 'times']} times, {counts[name, 'ms']:.0f} ms\n")

    def test_python_functions(self):
        self.play(actors.taipy, 0)

    def test_commands(self):
        self.play(actors.commands, 1)


if __name__ == "__main__":
    unittest.main()
