"""The contract's section "Tasks", on both wires.

    /usr/bin/python3 tests/e2e/tasks_test.py [-v] [Class.test]
"""

import re
import unittest

from lib.server import ServerCase

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TAIPYS = ["config_id", "id", "owner_id", "parent_ids", "input_ids", "output_ids", "function_module", "function_name", "version"]
OURS = ["skippable", "created_at", "created_by"]
UNKNOWN = "TASK_double_00000000-0000-4000-8000-000000000000"


class Documented(ServerCase):
    # -- create --

    def test_create(self):
        answer = self.request("POST", "/api/v1/tasks/?config_id=double", "TAIPY_EDITOR")
        self.assertEqual(answer.status, 201, answer)
        self.assertEqual(answer.headers["Content-Type"], "application/json; charset=utf-8")
        body = answer.json()
        self.assertEqual(sorted(body), ["message", "task"])
        self.assertEqual(body["message"], "Task was created.")
        task = body["task"]
        self.assertEqual(sorted(task), sorted(TAIPYS + OURS))
        self.assertRegex(task["id"], rf"\ATASK_double_{UUID4}\Z")
        self.assertEqual(answer.headers["Location"], f"/api/v1/tasks/{task['id']}/")
        self.assertEqual(task["config_id"], "double")
        self.assertIsNone(task["owner_id"])
        self.assertEqual(task["parent_ids"], [])
        self.assertEqual([re.fullmatch(rf"DATANODE_nb_{UUID4}", i) is not None for i in task["input_ids"]], [True])
        self.assertEqual([re.fullmatch(rf"DATANODE_doubled_{UUID4}", i) is not None for i in task["output_ids"]], [True])
        self.assertEqual((task["function_module"], task["function_name"]), ("fns", "double"))
        self.assertEqual(task["version"], "development")
        self.assertIs(task["skippable"], False)
        self.assertRegex(task["created_at"], rf"\A{TIME}\Z")
        self.assertEqual(task["created_by"], "test-taipy_editor")
        self.assertIs(self.server.create("skippable")["skippable"], True)

    def test_create_makes_a_new_task_each_time(self):
        first, second = self.server.create("double"), self.server.create("double")
        self.assertNotEqual(first["id"], second["id"])
        self.assertNotEqual(first["input_ids"], second["input_ids"])  # SCENARIO: new and its own
        self.assertNotEqual(first["output_ids"], second["output_ids"])

    def test_shared_data_nodes_are_shared(self):
        first, second = self.server.create("gtask"), self.server.create("gtask")
        self.assertNotEqual(first["id"], second["id"])
        self.assertEqual(first["input_ids"], second["input_ids"])  # GLOBAL
        self.assertEqual(first["output_ids"], second["output_ids"])
        node = self.request("GET", f"/api/v1/datanodes/{first['input_ids'][0]}/").json()["datanode"]
        self.assertEqual(node["scope"], "GLOBAL")
        self.assertLessEqual({first["id"], second["id"]}, set(node["parent_ids"]))

    def test_create_from_nothing(self):
        for query in ("", "?config_id="):
            answer = self.request("POST", "/api/v1/tasks/" + query, "TAIPY_EDITOR")
            self.assertEqual(self.problem(answer, 400)["detail"], "Config id is missing.")

    def test_create_from_what_is_not_there(self):
        for name in ("nope", "nb", "calc", "DOUBLE"):  # a data node and a scenario are no tasks
            answer = self.request("POST", f"/api/v1/tasks/?config_id={name}", "TAIPY_EDITOR")
            self.assertEqual(self.problem(answer, 404)["detail"], f"Task config: {name} does not exist.")

    def test_hostile_config_ids(self):
        for name in ("%00", "a%0ab", "%ff", "%zz", "x" * 2000):
            answer = self.request("POST", f"/api/v1/tasks/?config_id={name}", "TAIPY_EDITOR")
            self.assertIn(answer.status, (400, 404), answer)
            self.problem(answer, answer.status)
        answer = self.request("POST", "/api/v1/tasks/?config_id=%3Cscript%3E%22%27;--", "TAIPY_EDITOR")
        self.problem(answer, 404)

    # -- read --

    def test_read(self):
        task = self.server.create("double")
        answer = self.request("GET", f"/api/v1/tasks/{task['id']}/", "TAIPY_READER")
        self.assertEqual((answer.status, answer.json()), (200, {"task": task}))

    def test_read_what_is_not_there(self):
        for name in (UNKNOWN, "x", "TASK_", "JOB_double", "a" * 200, "a" * 900):
            answer = self.request("GET", f"/api/v1/tasks/{name}/", "TAIPY_READER")
            self.assertEqual(answer.status, 404, answer)
            if len(name) <= 200:
                self.assertEqual(self.problem(answer, 404)["detail"], f"Task: {name} does not exist.")

    def test_list(self):
        ids = {self.server.create("noop")["id"] for _ in range(3)}
        body = self.request("GET", "/api/v1/tasks/", "TAIPY_READER").json()
        self.assertEqual(list(body), ["results"])
        listed = [task["id"] for task in body["results"]]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertLessEqual(ids, set(listed))
        self.assertTrue(all(sorted(task) == sorted(TAIPYS + OURS) for task in body["results"]))

    # -- delete --

    def test_delete(self):
        task = self.server.create("double")
        answer = self.request("DELETE", f"/api/v1/tasks/{task['id']}/", "TAIPY_EDITOR")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Task {task['id']} was deleted."}))
        for method in ("GET", "DELETE"):
            answer = self.request(method, f"/api/v1/tasks/{task['id']}/")
            self.assertEqual(self.problem(answer, 404)["detail"], f"Task: {task['id']} does not exist.")
        listed = self.request("GET", "/api/v1/tasks/").json()["results"]
        self.assertNotIn(task["id"], [t["id"] for t in listed])
        self.problem(self.request("POST", f"/api/v1/tasks/submit/{task['id']}/"), 404)

    def test_delete_waits_for_the_unfinished_and_keeps_the_finished(self):
        task = self.server.create("unset_task")
        job_id = self.server.submit(task)  # BLOCKED for ever
        self.problem(self.request("DELETE", f"/api/v1/tasks/{task['id']}/", "TAIPY_EDITOR"), 409)
        self.assertEqual(self.request("GET", f"/api/v1/tasks/{task['id']}/").status, 200)
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/").status, 204)
        self.assertEqual(self.request("DELETE", f"/api/v1/tasks/{task['id']}/", "TAIPY_EDITOR").status, 200)
        self.assertEqual(self.server.job(job_id)["status"], "CANCELED")
        self.assertIn(job_id, [j["id"] for j in self.request("GET", "/api/v1/jobs/").json()["results"]])

    # -- submit --

    def test_submit(self):
        task = self.server.create("double")
        answer = self.request("POST", f"/api/v1/tasks/submit/{task['id']}/", "TAIPY_EXECUTOR")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertNotIn("Content-Type", answer.headers)
        self.assertNotIn("Preference-Applied", answer.headers)
        found = re.fullmatch(rf"/api/v1/jobs/(JOB_double_{UUID4})/", answer.headers["Location"])
        self.assertTrue(found, answer.headers["Location"])
        job = self.server.wait_job(found[1])
        self.assertEqual(job["status"], "COMPLETED")
        self.assertEqual(job["task_id"], task["id"])
        self.assertEqual(job["submitted_by"], "test-taipy_executor")
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)

    def test_submit_what_is_not_there(self):
        answer = self.request("POST", f"/api/v1/tasks/submit/{UNKNOWN}/", "TAIPY_EXECUTOR")
        self.assertEqual(self.problem(answer, 404)["detail"], f"Task: {UNKNOWN} does not exist.")

    def submit_preferring(self, task, prefer, query=""):
        headers = [("Prefer", p) for p in ([prefer] if isinstance(prefer, str) else prefer)]
        return self.request("POST", f"/api/v1/tasks/submit/{task['id']}/{query}", "TAIPY_EXECUTOR", headers=headers)

    def check_submitted(self, body, task):
        self.assertEqual(sorted(body), ["job", "message", "submission_id", "task"])
        self.assertEqual(body["message"], f"Task {task['id']} was submitted.")
        self.assertEqual(body["task"], task)
        self.assertEqual(body["job"]["task_id"], task["id"])
        self.assertEqual(body["job"]["submission_id"], body["submission_id"])
        self.assertRegex(body["submission_id"], rf"\ASUBMISSION_{UUID4}\Z")

    def test_preferring_a_representation(self):
        task = self.server.create("double")
        answer = self.submit_preferring(task, "return=representation")
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.headers["Preference-Applied"], "return=representation")
        self.check_submitted(answer.json(), task)
        self.assertEqual(answer.headers["Location"], f"/api/v1/jobs/{answer.json()['job']['id']}/")
        self.assertIn(answer.json()["job"]["status"], ("PENDING", "RUNNING"))

    def test_preferring_to_wait(self):
        task = self.server.create("double")
        answer = self.submit_preferring(task, "wait=50")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Preference-Applied"], "wait=50")
        self.check_submitted(answer.json(), task)
        self.assertEqual(answer.json()["job"]["status"], "COMPLETED")
        self.assertEqual(answer.headers["Location"], f"/api/v1/jobs/{answer.json()['job']['id']}/")

    def test_preferring_both(self):
        task = self.server.create("failing")
        for prefer in ("return=representation, wait=50", ["wait=50", "return=representation"]):
            answer = self.submit_preferring(task, prefer)
            self.assertEqual(answer.status, 200, answer)
            applied = {part.strip() for part in answer.headers["Preference-Applied"].split(",")}
            self.assertEqual(applied, {"return=representation", "wait=50"})
            self.assertEqual(answer.json()["job"]["status"], "FAILED")

    def test_waiting_too_short(self):
        answer = self.submit_preferring(self.server.create("slow"), "wait=1")
        self.assertEqual(answer.status, 202, answer)
        self.assertIn(answer.json()["job"]["status"], ("PENDING", "RUNNING"))
        self.assertEqual(answer.headers["Preference-Applied"], "wait=1")

    def test_waiting_is_clamped(self):
        answer = self.submit_preferring(self.server.create("double"), "wait=100000")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Preference-Applied"], "wait=60")

    def test_what_cannot_be_honoured_is_no_error(self):
        task = self.server.create("noop")
        for prefer in ("wait=abc", "wait=-1", "wait", "return=everything", "handling=lenient", "respond-async", '"', ",,;=", "wait=\u00e9"):
            answer = self.submit_preferring(task, prefer.encode("latin-1"))
            self.assertEqual(answer.status, 204, (prefer, answer))
            self.assertNotIn("Preference-Applied", answer.headers, prefer)

    def test_force(self):
        task, job = self.server.run_task("skippable")
        self.assertEqual((job["status"], job["force"]), ("COMPLETED", False))
        job = self.server.wait_job(self.server.submit(task))
        self.assertEqual(job["status"], "SKIPPED")
        job = self.server.wait_job(self.server.submit(task, "?force=true"))
        self.assertEqual((job["status"], job["force"]), ("COMPLETED", True))
        job = self.server.wait_job(self.server.submit(task, "?force=false"))
        self.assertEqual((job["status"], job["force"]), ("SKIPPED", False))
        answer = self.request("POST", f"/api/v1/tasks/submit/{task['id']}/?force=perhaps")
        self.problem(answer, 400, "force")

    def test_bodies_are_taken_and_ignored(self):
        answer = self.request("POST", "/api/v1/tasks/?config_id=noop", json_body={"config_id": "double", "id": "x"})
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.json()["task"]["config_id"], "noop")
        answer = self.request("POST", f"/api/v1/tasks/submit/{answer.json()['task']['id']}/", json_body={})
        self.assertEqual(answer.status, 204)

    def test_each_change_is_audited(self):
        task = self.server.create("noop")
        cases = [
            ("POST", "/api/v1/tasks/?config_id=noop", 201, "task.create", "done"),
            ("POST", f"/api/v1/tasks/submit/{task['id']}/", 204, "task.submit", "done"),
            ("POST", f"/api/v1/tasks/submit/{UNKNOWN}/", 404, "task.submit", "failed"),
            ("DELETE", f"/api/v1/tasks/{UNKNOWN}/", 404, "task.delete", "failed"),
        ]
        for method, path, status, action, outcome in cases:
            answer = self.request(method, path, headers={"X-Request-Id": "mine-1"})
            self.assertEqual(answer.status, status, answer)
            records = self.server.audit(answer.headers["X-Request-Id"])
            self.assertEqual(len(records), 1, path)
            record = records[0]
            self.assertEqual((record["action"], record["outcome"], record["status"]), (action, outcome, status))
            self.assertEqual((record["subject"], record["roles"]), ("test-taipy_admin", "TAIPY_ADMIN"))
            self.assertEqual((record["method"], record["path"]), (method, path.partition("?")[0]))
            self.assertEqual((record["client_request_id"], record["address"]), ("mine-1", "127.0.0.1"))
            self.assertTrue(record["decision_id"] and record["permission"])
            if action == "task.create":
                self.assertEqual(record["target"], answer.json()["task"]["id"])
        verified = self.server.verify_audit()
        self.assertEqual(verified.returncode, 0, verified.stderr)


class Taipy(ServerCase):
    """api.wire: taipy"""

    settings = {"api": {"wire": "taipy"}}

    def test_create_gives_back_what_is_there(self):
        first = self.request("POST", "/api/v1/tasks/?config_id=double")
        self.assertEqual(first.status, 201)
        self.assertEqual(first.json()["message"], "Task was created.")
        self.assertEqual(sorted(first.json()["task"]), sorted(TAIPYS))
        second = self.request("POST", "/api/v1/tasks/?config_id=double")
        self.assertEqual((second.status, second.json()["task"]), (201, first.json()["task"]))
        other = self.request("POST", "/api/v1/tasks/?config_id=noop").json()["task"]
        self.assertNotEqual(other["id"], first.json()["task"]["id"])

    def test_lists_are_bare(self):
        task = self.server.create("double")
        listed = self.request("GET", "/api/v1/tasks/").json()
        self.assertIsInstance(listed, list)
        self.assertIn(task["id"], [t["id"] for t in listed])
        for path in ("/api/v1/jobs/", "/api/v1/datanodes/"):
            self.assertIsInstance(self.request("GET", path).json(), list)

    def submit(self, task):
        before = {job["id"] for job in self.request("GET", "/api/v1/jobs/").json()}
        answer = self.request("POST", f"/api/v1/tasks/submit/{task['id']}/", headers={"Prefer": "return=representation"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json(), {"message": f"Task {task['id']} was submitted."})
        self.assertNotIn("Preference-Applied", answer.headers)
        (job,) = {job["id"] for job in self.request("GET", "/api/v1/jobs/").json()} - before
        return job

    def test_submit_cancel_delete(self):
        task = self.server.create("unset_task")
        job_id = self.submit(task)
        job = self.request("GET", f"/api/v1/jobs/{job_id}/").json()["job"]
        self.assertEqual(sorted(job), ["creation_date", "force", "id", "stacktrace", "status", "subscribers", "task_id"])
        self.assertEqual(job["status"], "Status.BLOCKED")
        self.assertRegex(job["creation_date"], r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\Z")
        answer = self.request("POST", f"/api/v1/jobs/cancel/{job_id}/")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Job {job_id} was cancelled."}))
        self.assertEqual(self.request("GET", f"/api/v1/jobs/{job_id}/").json()["job"]["status"], "Status.CANCELED")
        answer = self.request("DELETE", f"/api/v1/tasks/{task['id']}/")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Task {task['id']} was deleted."}))

    def test_data_nodes(self):
        task = self.server.create("double")
        node = self.request("GET", f"/api/v1/datanodes/{task['input_ids'][0]}/").json()["datanode"]
        self.assertEqual(node["scope"], "Scope.SCENARIO")

    def test_errors_are_taipys(self):
        cases = [
            ("POST", "/api/v1/tasks/", 400, "Config id is missing."),
            ("POST", "/api/v1/tasks/?config_id=nope", 404, "Task config: nope does not exist."),
            ("GET", f"/api/v1/tasks/{UNKNOWN}/", 404, f"Task: {UNKNOWN} does not exist."),
            ("DELETE", f"/api/v1/tasks/{UNKNOWN}/", 404, f"Task: {UNKNOWN} does not exist."),
            ("POST", f"/api/v1/tasks/submit/{UNKNOWN}/", 404, f"Task: {UNKNOWN} does not exist."),
            ("GET", "/api/v1/jobs/JOB_x/", 404, "Job: JOB_x does not exist."),
        ]
        for method, path, status, message in cases:
            answer = self.request(method, path)
            self.assertEqual((answer.status, answer.json()), (status, {"message": message}))
            self.assertTrue(answer.headers["Content-Type"].startswith("application/json"))

    def test_security_is_the_same(self):
        answer = self.request("GET", "/api/v1/tasks/", None)
        self.assertEqual(answer.status, 401)
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer "))
        self.assertEqual(list(answer.json()), ["message"])
        answer = self.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER")
        self.assertEqual(answer.status, 403)
        self.assertEqual(list(answer.json()), ["message"])


if __name__ == "__main__":
    unittest.main()
