"""What users of Taipy's own server complain of, one test each: none of it is here.

Two of its faults have no place in bailiff yet: there are no passwords (of which Taipy's counts 16 characters), and no scenarios (whose
creation takes Taipy longer with each that exists; that no look-up of bailiff's scans a table is tested in unit.store_open).

    /usr/bin/python3 tests/e2e/taipy_faults_test.py [-v] [Class.test]
"""

import concurrent.futures
import json
import os
import shutil
import tempfile
import textwrap
import unittest

from lib import apps
from lib.server import Server, processes_of, wait_until

FUNCTIONS = '''
import os
import time


def gated(path):
    for _ in range(6000):
        if os.path.exists(path):
            return "open"
        time.sleep(0.05)
    raise TimeoutError("nobody opened the gate")


def noop():
    return None


def not_a_number():
    return {"value": float("nan"), "more": [float("inf"), 1.5]}


def rows():
    return [{"n": str(i)} for i in range(3)]


def produce():
    return 7


def consume(value):
    return value + 1


def many(start):
    return [start] * 20000
'''

APPLICATION = """
[JOB]
max_nb_of_workers = "2:int"

[DATA_NODE.gate_file]
default_data = "{gate}"
[DATA_NODE.gated_out]
[DATA_NODE.strange]
storage_type = "json"
[DATA_NODE.table]
storage_type = "csv"
default_path = "table.csv"
[DATA_NODE.missing]
scope = "GLOBAL:SCOPE"
[DATA_NODE.consumed]
[DATA_NODE.start]
default_data = "0:int"
[DATA_NODE.step]
default_data = "1:int"
[DATA_NODE.numbers]
storage_type = "json"
scope = "GLOBAL:SCOPE"

[TASK.gated]
function = "faults.gated:function"
inputs = ["gate_file:SECTION"]
outputs = ["gated_out:SECTION"]
[TASK.noop]
function = "faults.noop:function"
inputs = []
outputs = []
[TASK.not_a_number]
function = "faults.not_a_number:function"
inputs = []
outputs = ["strange:SECTION"]
[TASK.write_table]
function = "faults.rows:function"
inputs = []
outputs = ["table:SECTION"]
[TASK.produce]
function = "faults.produce:function"
inputs = []
outputs = ["missing:SECTION"]
[TASK.consume]
function = "faults.consume:function"
inputs = ["missing:SECTION"]
outputs = ["consumed:SECTION"]
[TASK.many]
function = "faults.many:function"
inputs = ["start:SECTION"]
outputs = ["numbers:SECTION"]
[TASK.many_others]
function = "faults.many:function"
inputs = ["step:SECTION"]
outputs = ["numbers:SECTION"]
"""


def make_application(folder):
    os.makedirs(folder)
    apps.write(folder, "faults.py", FUNCTIONS)
    apps.write(folder, "table.csv", "n\n1\n2\n")
    return apps.write(folder, "app.toml", textwrap.dedent(APPLICATION).format(gate=os.path.join(folder, "gate")))


class Fault(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-faults-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(make_application(os.path.join(self.folder, "app")), self.settings, self.folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)
        self.server.start()

    def get(self, path):
        answer = self.server.request("GET", f"/api/v1/{path}", "TAIPY_READER")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def workers(self):
        return [pid for pid in processes_of(self.server.folder) if self._is_worker(pid)]

    def _is_worker(self, pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            return False
        return b"worker" in words and any(word.endswith(b"bailiff_runner") for word in words)


class Answers(Fault):
    def test_documented_errors_are_500(self):
        for method, path, status in (
            ("POST", "tasks/", 400),
            ("POST", "tasks/?config_id=nobody", 404),
            ("GET", "tasks/TASK_x/", 404),
            ("DELETE", "tasks/TASK_x/", 404),
            ("POST", "tasks/submit/TASK_x/", 404),
            ("POST", "jobs/", 400),
            ("POST", "jobs/?task_id=nobody", 404),
            ("GET", "jobs/JOB_x/", 404),
            ("DELETE", "jobs/JOB_x/", 404),
            ("POST", "jobs/cancel/JOB_x/", 404),
            ("GET", "datanodes/DATANODE_x/", 404),
            ("GET", "datanodes/DATANODE_x/read/", 404),
        ):
            with self.subTest(f"{method} {path}"):
                self.assertEqual(self.server.request(method, f"/api/v1/{path}").status, status)

    def test_deleting_a_task_that_has_jobs_breaks_the_list_of_jobs(self):
        task, job = self.server.run_task("noop")
        self.assertEqual(self.server.request("DELETE", f"/api/v1/tasks/{task['id']}/", "TAIPY_EDITOR").status, 200)
        self.assertEqual([row["id"] for row in self.get("jobs/")["results"]], [job["id"]])
        self.assertEqual(self.get(f"jobs/{job['id']}/")["job"]["task_id"], task["id"])

    def test_not_a_number_is_no_json(self):
        task, job = self.server.run_task("not_a_number")
        self.assertEqual(job["status"], "COMPLETED", job)

        def refuse(word):
            raise AssertionError(f"{word} is no JSON")

        answer = self.server.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/read/", "TAIPY_READER")
        self.assertEqual(answer.status, 200, answer)
        data = json.loads(answer.body, parse_constant=refuse)["data"]
        self.assertEqual(data["more"][1], 1.5)

    def test_a_write_overwrites_the_file_at_default_path(self):
        path = os.path.join(self.folder, "app", "table.csv")
        with open(path, encoding="ascii") as file:
            before = file.read()
        task, job = self.server.run_task("write_table")
        self.assertEqual(job["status"], "COMPLETED", job)
        self.assertEqual(len(self.server.read(task["output_ids"][0])), 3)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), before)


class Jobs(Fault):
    def test_a_killed_worker_wipes_all_entities(self):
        _, job_id = self.server.run_gated()
        before = len(self.get("tasks/")["results"]), len(self.get("datanodes/")["results"])
        for pid in wait_until(self.workers, "a worker runs"):  # it is RUNNING before there is one
            os.kill(pid, 9)
        self.server.open_gate()
        self.assertEqual(self.server.wait_job(job_id)["status"], "FAILED")  # its process was killed: that is its own end
        self.assertEqual((len(self.get("tasks/")["results"]), len(self.get("datanodes/")["results"])), before)
        self.assertEqual(self.server.run_task("noop")[1]["status"], "COMPLETED")

    def test_cancelled_jobs_run(self):
        running = [self.server.run_gated()[1] for _ in range(2)]  # both workers are busy
        task = self.server.create("noop")
        waiting = [self.server.submit(task) for _ in range(6)]
        for job_id in waiting:
            self.assertEqual(self.server.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR").status, 204)
        self.server.open_gate()
        for job_id in running:
            self.assertEqual(self.server.wait_job(job_id)["status"], "COMPLETED")
        self.assertEqual(self.server.run_task("noop")[1]["status"], "COMPLETED")  # whatever waited before it has had its turn
        jobs = [self.server.job(job_id) for job_id in waiting]
        self.assertEqual({(job["status"], job["attempt"]) for job in jobs}, {("CANCELED", 0)})

    def test_jobs_are_not_taken_up_after_a_crash(self):
        tasks = [self.server.create("gated") for _ in range(4)]  # two run, two wait
        job_ids = [self.server.submit(task) for task in tasks]
        for job_id in job_ids[:2]:
            self.server.wait_job(job_id, "RUNNING")
        self.server.kill()
        wait_until(lambda: not processes_of(self.server.folder), "its processes are gone with it")
        self.server.start()
        self.server.open_gate()
        for task, job_id in zip(tasks, job_ids):
            self.assertEqual(self.server.wait_job(job_id)["status"], "COMPLETED")
            node = self.get(f"datanodes/{task['output_ids'][0]}/")["datanode"]
            self.assertFalse(node["edit_in_progress"], node)

    def test_a_blocked_job_is_not_examined_again(self):
        consumer, producer = self.server.create("consume"), self.server.create("produce")
        self.assertEqual(consumer["input_ids"], producer["output_ids"])
        blocked = self.server.submit(consumer)
        self.server.wait_job(blocked, "BLOCKED")
        self.server.submit(producer)
        self.assertEqual(self.server.wait_job(blocked)["status"], "COMPLETED")
        self.assertEqual(self.server.read(consumer["output_ids"][0]), 8)

    def test_reading_while_it_is_written_tears_a_data_node(self):
        first, job = self.server.run_task("many")
        self.assertEqual(job["status"], "COMPLETED", job)
        node = first["output_ids"][0]
        job_ids = [self.server.submit(self.server.create(("many_others", "many")[i % 2])) for i in range(10)]
        seen = set()
        unfinished = True
        while unfinished:
            unfinished = any(self.server.job(job_id)["ended_at"] is None for job_id in job_ids)
            values = self.server.read(node)
            self.assertEqual((len(values), len(set(values))), (20000, 1))
            seen.add(values[0])
        self.assertEqual({self.server.job(job_id)["status"] for job_id in job_ids}, {"COMPLETED"})
        self.assertLessEqual(seen | {self.server.read(node)[0]}, {0, 1})


class TaipysWire(Fault):
    settings = {"api": {"wire": "taipy"}}

    def test_two_workers_make_two_tasks_of_one_configuration(self):
        def create(_):
            answer = self.server.request("POST", "/api/v1/tasks/?config_id=consume", "TAIPY_EDITOR")
            self.assertEqual(answer.status, 201, answer)
            self.server.client.close()
            return answer.json()["task"]["id"]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(len(set(pool.map(create, range(64)))), 1)
        self.assertEqual(len(self.get("tasks/")), 1)


if __name__ == "__main__":
    unittest.main()
