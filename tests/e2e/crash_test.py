"""kill -9 of the server in a load of creates and submits: what was acknowledged is there, once, and no job is in a false state.

    /usr/bin/python3 tests/e2e/crash_test.py [-v] [Class.test]
"""

import os
import shutil
import tempfile
import unittest

from lib import apps
from lib.kills import Kills
from lib.server import Server, processes_of, wait_until


class Crash(unittest.TestCase):
    """A few kills; tests/soak/run --only kills has a thousand."""

    def run_kills(self, kind, rounds):
        folder = tempfile.mkdtemp(prefix="bailiff-crash-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        kills = Kills(folder, kind)
        self.addCleanup(kills.end)
        kills.run(rounds)
        self.assertGreater(len(kills.told.tasks), rounds)
        self.assertGreater(len(kills.told.jobs), rounds)

    def test_python_functions(self):
        self.run_kills("python", 4)

    def test_commands(self):
        self.run_kills("commands", 4)


class Lost(unittest.TestCase):
    """A job that was running when the server was killed."""

    def start(self, **execution):
        folder = tempfile.mkdtemp(prefix="bailiff-lost-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        server = Server(apps.taipy(os.path.join(folder, "app")), {"execution": execution}, folder)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        return server.start()

    def crash_while_running(self, server):
        task, job_id = server.run_gated()
        server.kill()
        wait_until(lambda: not processes_of(server.folder), "its processes are gone with it", 30)
        server.start()
        server.open_gate()
        return task, job_id

    def test_it_begins_again(self):
        server = self.start()
        task, job_id = self.crash_while_running(server)
        job = server.wait_job(job_id)
        self.assertEqual((job["status"], job["attempt"]), ("COMPLETED", 2))
        self.assertEqual(server.read(task["output_ids"][0]), "open")
        server.stop()

    def test_or_fails_where_that_is_wished(self):
        server = self.start(lost_jobs="fail")
        task, job_id = self.crash_while_running(server)
        job = server.wait_job(job_id)
        self.assertEqual((job["status"], job["attempt"]), ("FAILED", 1))
        self.assertTrue(job["error"])
        node = server.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertIs(node["edit_in_progress"], False)  # no lock is left
        server.stop()

    def test_blocked_jobs_stay_and_go_on(self):
        server = self.start()
        first, second = server.create("gtask"), server.create("gnext")
        waiting = server.submit(second)
        self.assertEqual(server.job(waiting)["status"], "BLOCKED")
        server.kill()
        server.start()
        self.assertEqual(server.job(waiting)["status"], "BLOCKED")
        server.wait_job(server.submit(first), "COMPLETED")
        server.wait_job(waiting, "COMPLETED")
        server.stop()

    def test_a_killed_runner_is_replaced(self):
        """Not the server but what it runs users' code with."""
        server = self.start()
        _, job_id = server.run_gated()
        children = {pid: line for pid, line in processes_of(server.folder).items() if pid != server.process.pid}
        runner = [pid for pid, line in children.items() if " runner" in line]
        self.assertTrue(runner, children)
        os.kill(runner[0], 9)
        server.open_gate()
        job = server.wait_job(job_id)
        self.assertEqual((job["status"], job["attempt"]), ("COMPLETED", 2), job)
        server.stop()


if __name__ == "__main__":
    unittest.main()
