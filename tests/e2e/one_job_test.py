"""A hundred clients submit at once with one Idempotency-Key: one job, also when the server is killed in between.

    /usr/bin/python3 tests/e2e/one_job_test.py [-v] [Class.test]
"""

import concurrent.futures
import http.client
import threading
import time
import unittest

from lib.server import PATIENCE_S, Server, wait_until

CLIENTS = 100


class OneKey(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)
        self.server.start()
        self.task = self.server.create("double")
        self.tries = threading.Semaphore(0)  # one for each that was made

    def submit(self, key):
        """As a client that does not give up: the answer of the one that counts."""
        end = time.monotonic() + 2 * PATIENCE_S
        while time.monotonic() < end:
            self.tries.release()
            try:
                answer = self.server.request(
                    "POST", f"/api/v1/tasks/submit/{self.task['id']}/", "TAIPY_EXECUTOR", headers={"Idempotency-Key": key}
                )
            except (OSError, http.client.HTTPException):  # the server is gone, and comes back
                time.sleep(0.05)
                continue
            if answer.status not in (409, 503):  # in progress; starting
                self.server.client.close()
                return answer
            time.sleep(0.05)
        raise AssertionError("there was no answer")

    def all_at_once(self, key, meanwhile=None):
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers = [pool.submit(self.submit, key) for _ in range(CLIENTS)]
            if meanwhile:
                meanwhile()
            return [answer.result() for answer in answers]

    def check(self, answers):
        self.assertEqual({answer.status for answer in answers}, {204})
        locations = {answer.headers["Location"] for answer in answers}
        self.assertEqual(len(locations), 1, locations)
        jobs = self.server.request("GET", f"/api/v1/jobs/?task_id={self.task['id']}").json()["results"]
        self.assertEqual([f"/api/v1/jobs/{job['id']}/" for job in jobs], list(locations))
        wait_until(lambda: self.server.job(jobs[0]["id"])["status"] == "COMPLETED", "the job completes")
        self.assertEqual(self.server.verify_audit().returncode, 0)
        recorded = self.server.query("SELECT count(*) AS n FROM audit WHERE action = 'task.submit' AND outcome = 'done'")
        self.assertEqual(recorded[0]["n"], 1)

    def test_at_once(self):
        answers = self.all_at_once('"at-once"')
        self.check(answers)
        first = [answer for answer in answers if not answer.headers["Idempotency-Replayed"]]
        self.assertEqual(len(first), 1)

    def test_with_a_kill_in_between(self):
        def crash():
            for _ in range(CLIENTS // 2):
                self.tries.acquire(timeout=PATIENCE_S)
            self.server.kill()
            self.server.start()

        self.check(self.all_at_once('"killed"', crash))

    def test_with_a_kill_behind_the_first_answer(self):
        first = self.submit('"first"')
        self.server.kill()
        self.server.start()
        self.check([first, *self.all_at_once('"first"')])


if __name__ == "__main__":
    unittest.main()
