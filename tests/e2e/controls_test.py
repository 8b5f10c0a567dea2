"""How jobs are run: time limits, retries, the rule for losses, limits on how many run at once; by configuration and on submit.

    /usr/bin/python3 tests/e2e/controls_test.py [-v] [Class.test]
"""

import os
import subprocess
import time
import unittest

from lib import apps
from lib.server import PROGRAM, Server, ServerCase, wait_until

FUNCTIONS = '''
import os
import socket


class Busy(ConnectionResetError):
    pass


def attempt(path):
    """Counts, and fails twice."""
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < 3:
        raise Busy("the other side is busy")
    return os.path.getsize(path)


def wrong(path):
    raise ValueError("this will never work")
'''

APPLICATION = """
application: {{version: "1.0", workers: 4}}
data_nodes:
  runs: {{storage_type: json, default_data: "{folder}/runs"}}
  result: {{storage_type: json}}
  nothing: {{storage_type: json}}
tasks:
  python: {{function: fns.attempt, inputs: [runs], outputs: [result], retries: {{max: 5, delay: 50ms, on: [ConnectionError]}}}}
  hopeless: {{function: fns.wrong, inputs: [runs], outputs: [nothing], retries: {{max: 5, delay: 50ms, on: [ConnectionError]}}}}
  flaky:
    command: [/bin/sh, -c, 'echo x >>{folder}/flaky; [ $(wc -l <{folder}/flaky) -ge 3 ] || exit 75']
    retries: {{max: 2, delay: 50ms, jitter: 0.5, on: ["exit:75"]}}
    lost_jobs: fail
  slow: {{command: [/bin/sleep, "600"], timeout: 1s}}
  once: {{command: [/bin/sh, -c, 'exit 9']}}
  wide: {{command: [/bin/sh, -c, 'while [ ! -e {folder}/go ]; do sleep 0.02; done']}}
  narrow:
    command: [/bin/sh, -c, 'while [ ! -e {folder}/go ]; do sleep 0.02; done']
    concurrency: 1
  quick: {{command: [/bin/true]}}
"""


def make(folder):
    os.makedirs(folder)
    apps.write(folder, "fns.py", FUNCTIONS)
    return apps.write(folder, "app.yaml", APPLICATION.format(folder=folder))


class Case(ServerCase):
    @classmethod
    def make_application(cls, folder):
        cls.folder = folder
        return make(folder)

    def submit(self, config, body=None, role="TAIPY_EXECUTOR", **options):
        task = self.server.create(config)
        return self.request("POST", f"/api/v1/tasks/submit/{task['id']}/", role, json_body=body, **options)

    def submitted(self, config, body=None, **options):
        answer = self.submit(config, body, **options)
        self.assertEqual(answer.status, 204, answer)
        return answer.headers["Location"].rstrip("/").rpartition("/")[2]


class Retries(Case):
    settings = {"execution": {"tasks": {"once": {"retries": {"max": 1, "delay": "50ms"}}}}}

    def test_an_exception_that_was_chosen(self):
        task = self.server.create("python")
        job = self.server.wait_job(self.server.submit(task), "COMPLETED")
        self.assertEqual((job["attempt"], job["retries"], job["retries_max"], job["error"]), (3, 2, 5, None))
        self.assertEqual(self.server.read(task["output_ids"][0]), 3)
        ends = [row["detail"] for row in self.server.query("SELECT detail FROM audit WHERE target = ? AND action = 'job.end' ORDER BY seq", job["id"])]
        self.assertEqual(len(ends), 3)
        self.assertIn('"status":"PENDING","attempt":1,"retry_at":"', ends[0])
        self.assertIn('"status":"COMPLETED","attempt":3', ends[2])

    def test_another_one(self):
        _, job = self.server.run_task("hopeless")
        self.assertEqual((job["status"], job["attempt"]), ("FAILED", 1))
        self.assertIn("ValueError", job["error"])

    def test_an_exit_code(self):
        _, job = self.server.run_task("flaky")
        self.assertEqual((job["status"], job["attempt"], job["exit_code"]), ("COMPLETED", 3, 0))

    def test_by_the_operator(self):
        _, job = self.server.run_task("once")
        self.assertEqual((job["status"], job["attempt"], job["retries"], job["exit_code"]), ("FAILED", 2, 1, 9))

    def test_on_submit(self):
        job_id = self.submitted("once", {"retries": {"max": 2, "delay": 0, "on": ["exit:9"]}})
        job = self.server.wait_job(job_id)
        self.assertEqual((job["status"], job["attempt"]), ("FAILED", 3))
        job = self.server.wait_job(self.submitted("once", {"retries": {"max": 0}}))
        self.assertEqual((job["status"], job["attempt"]), ("FAILED", 1))

    def test_a_time_limit_on_submit(self):
        job = self.server.wait_job(self.submitted("slow", {"timeout": "300ms", "retries": {"max": 1, "delay": 0, "on": ["timeout"]}}))
        self.assertEqual((job["status"], job["attempt"], job["timeout_ms"]), ("FAILED", 2, 300))
        self.assertIn("limit of 0.3 s", job["error"])

    def test_canceled_while_it_waits(self):
        job_id = self.submitted("once", {"retries": {"max": 1, "delay": "1h"}})
        job = wait_until(lambda: self.server.job(job_id) if self.server.job(job_id)["retry_at"] else None, "it waits")
        self.assertEqual((job["status"], job["attempt"], job["ended_at"]), ("PENDING", 1, None))
        self.assertIn("exit code 9", job["error"])
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/").status, 204)
        job = self.server.job(job_id)
        self.assertEqual((job["status"], job["retry_at"]), ("CANCELED", None))

    def test_more_than_the_operator_allows(self):
        for body, words in (
            ({"retries": {"max": 11}}, "retries.max must be at most 10"),
            ({"retries": {"max": 1, "delay": "2h"}}, "at most 1h"),
            ({"retries": {"max": 1, "delay_max": "2h"}}, "at most 1h"),
            ({"timeout": "25h"}, "timeout must be at most 24h"),
        ):
            self.problem(self.submit("quick", body), 400, words)

    def test_what_is_no_wish(self):
        for body, words in (
            ({"tries": 3}, "no member 'tries'"),
            ({"timeout": 5}, "timeout must be a time"),
            ({"timeout": "0s"}, "timeout must be a time"),
            ({"timeout": "1 s"}, "timeout must be a time"),
            ({"force": "yes"}, "force"),
            ({"retries": 3}, "retries must be an object"),
            ({"retries": {}}, "retries.max must be given"),
            ({"retries": {"max": 1, "on": ["tiemout"]}}, "tiemout is no cause"),
            ([], "must be a JSON object"),
        ):
            self.problem(self.submit("quick", body), 400, words)
        answer = self.request("GET", "/api/v1/configs/").json()["results"]
        flaky = next(config for config in answer if config["id"] == "flaky")
        self.assertEqual((flaky["retries"]["on"], flaky["lost_jobs"]), (["exit:75"], "fail"))
        self.assertIsNone(next(config for config in answer if config["id"] == "quick")["lost_jobs"])

    def test_a_repeat_is_the_same_job(self):
        task = self.server.create("quick")
        path, key = f"/api/v1/tasks/submit/{task['id']}/", {"Idempotency-Key": "wish"}
        first = self.request("POST", path, json_body={"timeout": "5m"}, headers=key)
        again = self.request("POST", path, json_body={"timeout": "5m"}, headers=key)
        self.assertEqual(first.headers["Location"], again.headers["Location"])
        self.problem(self.request("POST", path, json_body={"timeout": "6m"}, headers=key), 422)


class Limits(Case):
    settings = {"execution": {"workers": 8, "limits": {"per_task": 3, "per_subject": 4}}}

    def running(self, config=None):
        jobs = self.request("GET", "/api/v1/jobs/?status=RUNNING").json()["results"]
        return [job for job in jobs if config is None or f"_{config}_" in job["id"]]

    def test_each_holds_and_holds_up_nobody_else(self):
        narrow = [self.submitted("narrow", role="TAIPY_ADMIN") for _ in range(3)]
        wide = [self.submitted("wide", role="TAIPY_EXECUTOR") for _ in range(5)]
        wait_until(lambda: len(self.running()) == 4, "four run")
        self.assertEqual((len(self.running("narrow")), len(self.running("wide"))), (1, 3))
        self.server.wait_job(self.submitted("quick"), "COMPLETED")
        self.server.wait_job(self.submitted("quick", role="TAIPY_ADMIN"), "COMPLETED")
        time.sleep(0.3)
        self.assertEqual((len(self.running("narrow")), len(self.running("wide"))), (1, 3))
        mine = self.submitted("slow", {"timeout": "1h"})  # the fourth of this subject
        self.server.wait_job(mine, "RUNNING")
        waiting = self.submitted("quick")  # the fifth
        time.sleep(0.3)
        self.assertEqual(self.server.job(waiting)["status"], "PENDING")
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{mine}/").status, 202)
        self.server.wait_job(waiting, "COMPLETED")
        apps.write(self.folder, "go", "")
        for job_id in narrow + wide:
            self.server.wait_job(job_id, "COMPLETED")


class Mistakes(unittest.TestCase):
    def bailiff(self, server, command):
        return subprocess.run([PROGRAM, command, "--config", server.config], capture_output=True, text=True, timeout=60)

    def test_a_task_that_is_not_there(self):
        server = Server(settings={"execution": {"tasks": {"dubble": {"timeout": "5m"}}}})
        self.addCleanup(server.remove)
        result = self.bailiff(server, "serve")
        self.assertEqual(result.returncode, 1)
        self.assertIn("execution.tasks.dubble: the application has no such task; did you mean \"double\"?", result.stderr)

    def test_a_configuration_that_cannot_be(self):
        settings = {"execution": {"tasks": {"double": {"retries": {"max": 3, "on": ["tiemout"]}, "concurrency": 0}}}}
        server = Server(settings=settings)
        self.addCleanup(server.remove)
        result = self.bailiff(server, "check-config")
        self.assertNotEqual(result.returncode, 0, result)
        self.assertIn("execution.tasks.double.retries.on: tiemout is no cause", result.stderr + result.stdout)
        self.assertIn("execution.tasks.double.concurrency", result.stderr + result.stdout)


if __name__ == "__main__":
    unittest.main()
