"""kill -9 of the server in a load of creates and submits: what was acknowledged is there, once, and no job is in a false state.

    /usr/bin/python3 tests/e2e/crash_test.py [-v] [Class.test]
"""

import collections
import http.client
import json
import os
import random
import shutil
import tempfile
import threading
import time
import unittest
import uuid

from lib import apps
from lib.server import SOAK, Server, processes_of, wait_until

ROUNDS = 100 if SOAK else 10
CLIENTS = 4


class Load:
    """Clients that create and submit until the server is gone; remembers what was acknowledged and what stayed open."""

    def __init__(self, server):
        self.server = server
        self.name = uuid.uuid4().hex
        self.lock = threading.Lock()
        self.tasks = {}  # id of an acknowledged task: its key
        self.jobs = {}  # id of an acknowledged job: its task
        self.open_keys = set()  # creates that were sent and not answered
        self.failures = []

    def run(self):
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, number):
        try:
            for count in range(1_000_000):
                self._create_and_submit(f"{self.name}-{number}-{count}")
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass  # the server was killed
        except Exception as failure:  # noqa: BLE001: shown by the test
            self.failures.append(failure)
        finally:
            self.server.client.close()

    def _create_and_submit(self, key):
        config = random.choices(("double", "noop", "gtask", "slow"), (50, 30, 17, 3))[0]
        with self.lock:
            self.open_keys.add(key)
        answer = self.server.request(
            "POST", f"/api/v1/tasks/?config_id={config}", "TAIPY_EDITOR", headers={"Idempotency-Key": key}
        )
        if answer.status != 201:
            raise AssertionError(f"create: {answer}")
        task = answer.json()["task"]["id"]
        with self.lock:
            self.open_keys.discard(key)
            self.tasks[task] = key
        answer = self.server.request("POST", f"/api/v1/tasks/submit/{task}/", "TAIPY_EXECUTOR")
        if answer.status != 204:
            raise AssertionError(f"submit: {answer}")
        with self.lock:
            self.jobs[answer.headers["Location"].rstrip("/").rpartition("/")[2]] = task
        time.sleep(0.02)  # the jobs are to be run, too


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-crash-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        application = apps.taipy(os.path.join(self.folder, "app"), seconds=1)
        self.server = Server(application, {"execution": {"attempts": 100}}, self.folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)
        for role in ("TAIPY_EDITOR", "TAIPY_EXECUTOR", "TAIPY_READER", "TAIPY_ADMIN"):
            self.server.token(role)

    def list_ids(self, kind):
        results = self.server.request("GET", f"/api/v1/{kind}/").json()["results"]
        return {entity["id"]: entity for entity in results}, [entity["id"] for entity in results]

    def check(self, tasks, jobs):
        """Every acknowledged create and submit is there, once."""
        listed_tasks, task_ids = self.list_ids("tasks")
        listed_jobs, job_ids = self.list_ids("jobs")
        self.assertEqual(len(task_ids), len(set(task_ids)))
        self.assertEqual(len(job_ids), len(set(job_ids)))
        self.assertEqual(set(tasks) - set(listed_tasks), set(), "acknowledged tasks are gone")
        self.assertEqual(set(jobs) - set(listed_jobs), set(), "acknowledged jobs are gone")
        for job, task in jobs.items():
            self.assertEqual(listed_jobs[job]["task_id"], task)
        # one submit, one job: at most one more a task, whose answer the crash swallowed
        per_task = collections.Counter(job["task_id"] for job in listed_jobs.values())
        self.assertEqual([task for task, count in per_task.items() if count > 1], [])
        return listed_jobs

    def check_running(self):
        """No job is RUNNING without a process: the runner's keepers are as many as there are RUNNING jobs at least."""
        running = [job for job in self.list_ids("jobs")[0].values() if job["status"] == "RUNNING"]
        if running:
            keepers = [line for line in processes_of(self.folder).values() if "runner" in line or "keeper" in line]
            self.assertTrue(keepers, f"{running} without a process")

    def test_ten_crashes(self):
        tasks, jobs = {}, {}
        for round_number in range(ROUNDS):
            self.server.start()
            if round_number:
                self.check(tasks, jobs)
                self.check_running()
                self.repeat_open(load, tasks)  # noqa: F821: of the round before
            load = Load(self.server)
            threads = load.run()
            time.sleep(random.uniform(0.3, 1.5))
            self.server.kill()
            for thread in threads:
                thread.join()
            self.assertEqual(load.failures, [])
            self.server.check_log()
            tasks.update({task: key for task, key in load.tasks.items()})
            jobs.update(load.jobs)
            wait_until(lambda: not processes_of(self.folder), "what the killed server had started is gone", 30)
            verified = self.server.verify_audit()
            self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertGreater(len(tasks), ROUNDS)
        self.assertGreater(len(jobs), ROUNDS)

        self.server.start()
        self.check(tasks, jobs)
        wait_until(self.all_ended, "every job has ended", 240)
        ended = self.check(tasks, jobs)
        wrong = [job for job in ended.values() if job["status"] != "COMPLETED"]
        self.assertEqual(wrong, [])  # none had failed: what the crash interrupted was begun again
        self.check_outputs(ended)
        self.check_audit(tasks, jobs)
        self.server.stop()

    def repeat_open(self, load, tasks):
        """A client that got no answer asks again with its key: then the task is there, and once."""
        for key in list(load.open_keys)[:20]:
            answers = [
                self.server.request("POST", f"/api/v1/tasks/?config_id={config}", "TAIPY_EDITOR", headers={"Idempotency-Key": key})
                for config in ("noop", "noop")
            ]
            if answers[0].status == 422:
                continue  # it was made, of another configuration: the answer is kept
            self.assertEqual([answer.status for answer in answers], [201, 201])
            self.assertEqual(answers[0].json(), answers[1].json())
            self.assertNotIn(answers[0].json()["task"]["id"], tasks)

    def all_ended(self):
        jobs = self.list_ids("jobs")[0].values()
        return all(job["ended_at"] for job in jobs)

    def check_outputs(self, jobs):
        """Each COMPLETED job's output is there and whole."""
        expected = {"double": 42, "gtask": 2, "slow": 1}
        by_task = self.list_ids("tasks")[0]
        for job in random.sample(sorted(jobs.values(), key=lambda j: j["id"]), min(20, len(jobs))):
            task = by_task[job["task_id"]]
            for node in task["output_ids"]:
                self.assertEqual(self.server.read(node), expected[task["config_id"]])

    def check_audit(self, tasks, jobs):
        """One record for each change that was acknowledged."""
        records = self.server.query("SELECT action, target, detail FROM audit WHERE outcome = 'done'")
        created = collections.Counter(r["target"] for r in records if r["action"] == "task.create")
        self.assertEqual({task for task in tasks if created[task] != 1}, set())
        submitted = collections.Counter(json.loads(r["detail"])["job_id"] for r in records if r["action"] == "task.submit")
        self.assertEqual({job for job in jobs if submitted[job] != 1}, set())


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
