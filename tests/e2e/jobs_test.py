"""The contract's section "Jobs, submissions": what the tasks' tests do not show, on both wires.

    /usr/bin/python3 tests/e2e/jobs_test.py [-v] [Class.test]
"""

import glob
import os
import unittest

from lib.server import ServerCase, wait_until

UNKNOWN = "JOB_double_00000000-0000-4000-8000-000000000000"
TAIPYS = ["id", "task_id", "status", "force", "creation_date", "subscribers", "stacktrace"]
OURS = ["submission_id", "attempt", "retries", "retries_max", "retry_at", "timeout_ms", "blocked_by", "exit_code", "signal", "error", "started_at", "ended_at", "duration_ms", "worker", "progress", "submitted_by"]
SUBMISSIONS = ["id", "entity_id", "entity_type", "entity_config_id", "version", "status", "job_ids", "creation_date", "submitted_by"]


def create_job(case, config_id, role="TAIPY_EDITOR"):
    answer = case.request("POST", f"/api/v1/jobs/?task_id={config_id}", role)
    case.assertEqual(answer.status, 201, answer)
    return answer.json()["job"]


class Documented(ServerCase):
    def test_create_does_not_run_it_and_submit_does(self):
        answer = self.request("POST", "/api/v1/jobs/?task_id=double", "TAIPY_EDITOR")
        self.assertEqual((answer.status, answer.json()["message"]), (201, "Job was created."))
        job = answer.json()["job"]
        self.assertEqual(list(job), TAIPYS + OURS)
        self.assertEqual(answer.headers["Location"], f"/api/v1/jobs/{job['id']}/")
        self.assertEqual((job["status"], job["attempt"], job["subscribers"], job["stacktrace"]), ("SUBMITTED", 0, [], []))
        read = self.request("GET", f"/api/v1/jobs/{job['id']}/", "TAIPY_READER")
        self.assertEqual(read.json()["job"], job)
        self.assertEqual(read.headers["ETag"], answer.headers["ETag"])
        task = self.request("GET", f"/api/v1/tasks/{job['task_id']}/").json()["task"]
        other = self.server.run_task("double")[1]  # another job passes it by
        self.assertEqual((other["status"], self.server.job(job["id"])["status"]), ("COMPLETED", "SUBMITTED"))
        self.assertIsNone(self.server.read(task["output_ids"][0]))

        submitted = self.request("POST", f"/api/v1/jobs/submit/{job['id']}/", "TAIPY_EXECUTOR", headers={"Prefer": "wait=60"})
        self.assertEqual(submitted.status, 200, submitted)
        self.assertEqual(submitted.headers["Location"], f"/api/v1/jobs/{job['id']}/")
        body = submitted.json()
        self.assertEqual(body["message"], f"Job {job['id']} was submitted.")
        self.assertEqual((body["job"]["id"], body["job"]["status"]), (job["id"], "COMPLETED"))
        self.assertEqual((body["task"]["id"], body["submission_id"]), (task["id"], job["submission_id"]))
        self.assertEqual(body["job"]["submitted_by"], "test-taipy_executor")
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)
        again = self.request("POST", f"/api/v1/jobs/submit/{job['id']}/", "TAIPY_EXECUTOR")
        self.problem(again, 409, "submitted already", "COMPLETED")

    def test_submit_answers_204(self):
        job = create_job(self, "noop")
        answer = self.request("POST", f"/api/v1/jobs/submit/{job['id']}/", "TAIPY_EXECUTOR")
        self.assertEqual((answer.status, answer.body, answer.headers["Location"]), (204, b"", f"/api/v1/jobs/{job['id']}/"))
        self.server.wait_job(job["id"], "COMPLETED")

    def test_from_nothing_and_from_what_is_not_there(self):
        for query in ("", "?task_id="):
            self.assertEqual(self.problem(self.request("POST", "/api/v1/jobs/" + query), 400)["detail"], "Config id is missing.")
        for name in ("nope", "nb"):
            answer = self.request("POST", f"/api/v1/jobs/?task_id={name}")
            self.assertEqual(self.problem(answer, 404)["detail"], f"Task config: {name} does not exist.")
        for method, path in (("POST", f"/api/v1/jobs/submit/{UNKNOWN}/"), ("DELETE", f"/api/v1/jobs/{UNKNOWN}/")):
            self.assertEqual(self.problem(self.request(method, path), 404)["detail"], f"Job: {UNKNOWN} does not exist.")

    def logs_of(self, job_id):
        return glob.glob(self.server.path("data", "storage", "logs", job_id + "-*"))

    def test_delete_takes_its_log_and_its_submission(self):
        task, job = self.server.run_task("double")
        self.assertEqual(len(self.logs_of(job["id"])), 1)
        answer = self.request("DELETE", f"/api/v1/jobs/{job['id']}/", "TAIPY_EDITOR")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Job {job['id']} was deleted."}))
        for path in (f"jobs/{job['id']}/", f"jobs/{job['id']}/log/", f"submissions/{job['submission_id']}/"):
            self.problem(self.request("GET", "/api/v1/" + path), 404)
        wait_until(lambda: not self.logs_of(job["id"]), "its log is gone")
        self.assertEqual(self.request("GET", f"/api/v1/tasks/{task['id']}/").status, 200)
        record = self.server.audit(answer.headers["X-Request-Id"])[0]
        self.assertEqual((record["action"], record["target"], record["outcome"]), ("job.delete", job["id"], "done"))

    def test_delete_of_the_unfinished(self):
        for make in (lambda: create_job(self, "noop")["id"], lambda: self.server.submit(self.server.create("unset_task"))):
            job_id = make()
            self.problem(self.request("DELETE", f"/api/v1/jobs/{job_id}/", "TAIPY_EDITOR"), 409, "cancel it")
            self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/").status, 204)
            self.assertEqual(self.request("DELETE", f"/api/v1/jobs/{job_id}/", "TAIPY_EDITOR").status, 200)

    def test_delete_of_what_has_changed(self):
        job = create_job(self, "noop")
        path = f"/api/v1/jobs/{job['id']}/"
        before = self.request("GET", path).headers["ETag"]
        self.request("POST", f"/api/v1/jobs/cancel/{job['id']}/")
        self.problem(self.request("DELETE", path, headers={"If-Match": before}), 412)
        now = self.request("GET", path).headers["ETag"]
        self.assertEqual(self.request("DELETE", path, headers={"If-Match": now}).status, 200)

    def test_submissions(self):
        task, job = self.server.run_task("noop")
        path = f"/api/v1/submissions/{job['submission_id']}/"
        answer = self.request("GET", path, "TAIPY_READER")
        submission = answer.json()["submission"]
        self.assertEqual(list(submission), SUBMISSIONS)
        self.assertEqual(submission["creation_date"], job["creation_date"])
        expected = {"entity_id": task["id"], "entity_type": "TASK", "entity_config_id": "noop", "status": "COMPLETED", "job_ids": [job["id"]]}
        self.assertEqual({name: submission[name] for name in expected}, expected)
        self.assertEqual(self.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]}).status, 304)
        self.assertEqual(self.request("GET", path + "?fields=id,status").json()["submission"], {"id": submission["id"], "status": "COMPLETED"})
        listed = self.request("GET", f"/api/v1/submissions/?entity_id={task['id']}").json()["results"]
        self.assertEqual(listed, [submission])
        jobs = self.request("GET", f"/api/v1/jobs/?submission_id={submission['id']}").json()["results"]
        self.assertEqual([one["id"] for one in jobs], [job["id"]])
        self.assertEqual(self.request("GET", "/api/v1/jobs/?submission_id=SUBMISSION_none").json()["results"], [])

    def test_pages_of_submissions(self):
        ids = {create_job(self, "double")["submission_id"] for _ in range(5)}
        for sort in ("creation_date", "-creation_date", "id", "-id"):
            seen, target = [], f"/api/v1/submissions/?config_id=double&status=SUBMITTED&sort={sort}&limit=2"
            while target:
                page = self.request("GET", target)
                seen += [one["id"] for one in page.json()["results"]]
                link = page.headers["Link"]
                target = link[link.index("/api/") : link.index(">")] if link else None
            self.assertEqual(len(seen), len(set(seen)), sort)
            self.assertLessEqual(ids, set(seen), sort)
            if sort.endswith("id"):
                self.assertEqual(seen, sorted(seen, reverse=sort[0] == "-"))


class Leftovers(ServerCase):
    """A crash between a deletion and the removal of its log leaves the log behind; the next start finds it."""

    def test_logs_without_a_job_are_removed(self):
        _, job = self.server.run_task("double")
        folder = self.server.path("data", "storage", "logs")
        self.server.kill()
        kept = os.path.join(folder, "notes.txt")
        orphan = os.path.join(folder, UNKNOWN + "-1.log")
        for path in (kept, orphan):
            with open(path, "w", encoding="utf-8") as file:
                file.write("x")
        self.server.start()
        wait_until(lambda: not os.path.exists(orphan), "the log of no job is gone")
        self.assertTrue(os.path.exists(kept))
        self.assertIn("doubling", self.server.job_log(job["id"]))


class Taipy(ServerCase):
    settings = {"api": {"wire": "taipy"}}

    def test_life(self):
        job = create_job(self, "double")
        self.assertEqual(list(job), TAIPYS)
        self.assertEqual(job["status"], "Status.SUBMITTED")
        self.assertEqual(job["creation_date"][10], " ")
        self.assertEqual(create_job(self, "double")["task_id"], job["task_id"])  # the task that there is
        answer = self.request("POST", f"/api/v1/jobs/submit/{job['id']}/", "TAIPY_EXECUTOR")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Job {job['id']} was submitted."}))
        path = f"/api/v1/jobs/{job['id']}/"
        wait_until(lambda: self.request("GET", path).json()["job"]["status"] == "Status.COMPLETED", "it is COMPLETED")
        submission = next(s for s in self.request("GET", "/api/v1/submissions/").json() if s["job_ids"] == [job["id"]])
        self.assertEqual(submission["status"], "SubmissionStatus.COMPLETED")
        answer = self.request("DELETE", path, "TAIPY_EDITOR")
        self.assertEqual((answer.status, answer.json()), (200, {"message": f"Job {job['id']} was deleted."}))
        answer = self.request("DELETE", path, "TAIPY_EDITOR")
        self.assertEqual((answer.status, answer.json()), (404, {"message": f"Job: {job['id']} does not exist."}))
        answer = self.request("POST", "/api/v1/jobs/")
        self.assertEqual((answer.status, answer.json()), (400, {"message": "Config id is missing."}))


if __name__ == "__main__":
    unittest.main()
