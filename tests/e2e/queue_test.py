"""The queue is paused and goes on; the server is stopped while jobs run.

    /usr/bin/python3 tests/e2e/queue_test.py [-v] [Class.test]
"""

import json
import os
import shutil
import signal
import tempfile
import time
import unittest

from lib import apps
from lib.server import Server, ServerCase, wait_until


class Queue(ServerCase):
    def set(self, what, body=None, role="TAIPY_ADMIN"):
        return self.request("POST", f"/api/v1/queue/{what}/", role, json_body=body)

    def state(self, role="TAIPY_EXECUTOR"):
        answer = self.request("GET", "/api/v1/queue/", role)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["queue"]

    def tearDown(self):
        self.assertEqual(self.set("resume").status, 200)

    def test_paused_nothing_begins_and_what_runs_goes_on(self):
        before = self.state()
        self.assertEqual((before["paused"], before["workers"]), (False, 2))
        _, running = self.server.run_gated()
        answer = self.set("pause", {"reason": "the data base moves"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json()["queue"]["paused"], True)
        waiting = self.server.submit(self.server.create("double"))
        self.server.open_gate()
        self.server.wait_job(running, "COMPLETED")
        time.sleep(0.3)
        self.assertEqual(self.server.job(waiting)["status"], "PENDING")
        state = self.state()
        self.assertEqual((state["paused"], state["reason"], state["changed_by"]), (True, "the data base moves", "test-taipy_admin"))
        self.assertEqual((state["queued"], state["running"]), (1, 0))
        ready = self.request("GET", "/readyz")
        self.assertEqual((ready.status, ready.json()["queue_paused"], ready.json()["jobs_queued"]), (200, True, 1))
        self.assertEqual(self.set("pause").status, 200)  # again: the same
        answer = self.set("resume")
        self.assertEqual((answer.status, answer.json()["queue"]["paused"]), (200, False))
        self.server.wait_job(waiting, "COMPLETED")
        rows = self.server.query("SELECT action, detail FROM audit WHERE action LIKE 'queue.%' AND detail IS NOT NULL ORDER BY seq")
        self.assertEqual([(row["action"], json.loads(row["detail"])) for row in rows], [("queue.pause", {"reason": "the data base moves"})])

    def test_it_stays_paused_through_a_restart(self):
        self.set("pause")
        waiting = self.server.submit(self.server.create("double"))
        for end in (self.server.kill, self.server.stop):
            end()
            self.server.start()
            self.assertEqual(self.state()["paused"], True)
            self.assertEqual(self.server.job(waiting)["status"], "PENDING")
        self.set("resume")
        self.server.wait_job(waiting, "COMPLETED")

    def test_a_paused_queue_can_be_canceled_from(self):
        self.set("pause")
        waiting = self.server.submit(self.server.create("double"))
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{waiting}/").status, 204)
        self.set("resume")
        time.sleep(0.2)
        self.assertEqual(self.server.job(waiting)["status"], "CANCELED")

    def test_who_may(self):
        for role in ("TAIPY_READER", "TAIPY_EDITOR", "TAIPY_EXECUTOR"):
            self.problem(self.set("pause", role=role), 403)
            self.problem(self.set("resume", role=role), 403)
        self.problem(self.request("GET", "/api/v1/queue/", "TAIPY_READER"), 403)
        self.assertEqual(self.state()["paused"], False)

    def test_bad_wishes(self):
        self.problem(self.set("pause", {"why": "x"}), 400, "no member 'why'")
        self.problem(self.set("pause", {"reason": 5}), 400, "reason")
        self.problem(self.set("pause", {"reason": ""}), 400, "reason")
        self.problem(self.set("pause", {"reason": "x" * 513}), 400, "reason")
        self.problem(self.set("pause", []), 400)
        self.assertEqual(self.state()["paused"], False)

    def test_many_at_once(self):
        """Pauses amid a load: after each is answered nothing begins."""
        jobs = [self.server.submit(self.server.create("noop")) for _ in range(30)]
        for _ in range(3):
            self.set("pause")
            ended = lambda: [j["id"] for j in self.request("GET", "/api/v1/jobs/?config_id=noop").json()["results"] if j["attempt"] == 0]
            wait_until(lambda: self.state()["running"] == 0, "what ran has ended")
            waiting = ended()
            time.sleep(0.1)
            self.assertEqual(ended(), waiting)
            self.set("resume")
        for job in jobs:
            self.server.wait_job(job, "COMPLETED")


class Stop(unittest.TestCase):
    def start(self, **shutdown):
        folder = tempfile.mkdtemp(prefix="bailiff-stop-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        server = Server(apps.taipy(os.path.join(folder, "app")), {"shutdown": shutdown}, folder)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        return server.start()

    def test_jobs_may_end(self):
        server = self.start(jobs="wait", deadline="5m")
        task, running = server.run_gated()
        server.signal(signal.SIGTERM)
        wait_until(lambda: server.request("GET", "/readyz", None).status == 503, "it says that it stops")
        checks = server.request("GET", "/readyz").json()["checks"]
        self.assertIn(("shutdown", "failed"), [(check["check"], check["status"]) for check in checks])
        waiting = server.submit(server.create("double"))  # what comes now is kept for the next server
        time.sleep(0.3)
        self.assertEqual((server.job(running)["status"], server.job(waiting)["status"]), ("RUNNING", "PENDING"))
        server.open_gate()
        self.assertEqual(server.process.wait(60), 0)
        server.client.close()
        server.stop()
        server.start()
        job = server.job(running)
        self.assertEqual((job["status"], job["attempt"]), ("COMPLETED", 1))
        self.assertEqual(server.read(task["output_ids"][0]), "open")
        server.wait_job(waiting, "COMPLETED")
        server.stop()

    def test_until_the_deadline(self):
        server = self.start(jobs="wait", deadline="1s")
        _, running = server.run_gated()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(60), 0)
        server.client.close()
        server.stop()
        self.again(server, running)

    def test_a_second_signal_hurries(self):
        server = self.start(jobs="wait", deadline="1h")
        _, running = server.run_gated()
        server.signal(signal.SIGTERM)
        wait_until(lambda: '"event":"server.waiting"' in server.log(), "it waits")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(60), 0)
        server.client.close()
        server.stop()
        self.again(server, running)

    def again(self, server, running):
        server.open_gate()
        server.start()
        job = server.wait_job(running, "COMPLETED")
        self.assertEqual((job["attempt"], job["retries"]), (2, 0))
        server.stop()

    def test_or_fail(self):
        server = self.start(jobs="fail")
        task, running = server.run_gated()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(60), 0)
        server.client.close()
        server.stop()
        server.start()
        job = server.job(running)
        self.assertEqual((job["status"], job["attempt"], job["error"]), ("FAILED", 1, "The server was stopped while the job ran."))
        node = server.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertIs(node["edit_in_progress"], False)
        server.stop()


if __name__ == "__main__":
    unittest.main()
