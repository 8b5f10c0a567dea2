"""Tasks are really executed: values, logs, tracebacks, cancellation, time limits, commands.

    /usr/bin/python3 tests/e2e/execution_test.py [-v] [Class.test]
"""

import os
import time
import unittest

from lib import apps
from lib.server import ServerCase, fork_for_vfork, processes_of, wait_until


class Functions(ServerCase):
    @classmethod
    def make_application(cls, folder):
        cls.marker = apps.marker(folder)
        return apps.taipy(folder, seconds=3, workers=2)

    # -- values --

    def test_a_value_is_computed_and_read_back(self):
        task, job = self.server.run_task("double")
        self.assertEqual(job["status"], "COMPLETED")
        self.assertEqual((job["attempt"], job["exit_code"], job["signal"], job["error"]), (1, None, None, None))
        self.assertEqual(job["stacktrace"], [])
        self.assertTrue(job["started_at"] <= job["ended_at"])
        self.assertGreaterEqual(job["duration_ms"], 0)
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)
        self.assertEqual(self.server.read(task["input_ids"][0]), 21)
        self.assertIn("doubling 21", self.server.job_log(job["id"]))

    def test_a_table_becomes_json(self):
        task, job = self.server.run_task("csv_to_json")
        self.assertEqual(job["status"], "COMPLETED", job)
        rows = self.server.read(task["output_ids"][0])
        self.assertEqual([row["city"] for row in rows], ["Oslo", "Roma"])
        self.assertEqual([int(row["degrees"]) for row in rows], [3, 17])

    def test_the_users_own_input_is_left_alone(self):
        path = os.path.join(os.path.dirname(self.server.application), "in.csv")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), apps.CSV)

    def test_several_outputs(self):
        task, job = self.server.run_task("split")
        self.assertEqual(job["status"], "COMPLETED", job)
        self.assertEqual([self.server.read(i) for i in task["output_ids"]], [21, "21"])

    def test_without_inputs_and_outputs(self):
        _, job = self.server.run_task("noop")
        self.assertEqual(job["status"], "COMPLETED")

    def test_an_output_nobody_wrote_is_null(self):
        task = self.server.create("double")
        node = self.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertIsNone(node["last_edit_date"])
        self.assertIsNone(self.server.read(task["output_ids"][0]))

    def test_a_filter(self):
        task = self.server.create("csv_to_json")
        path = f"/api/v1/datanodes/{task['input_ids'][0]}/read/"
        answer = self.request("GET", path, json_body={"operators": [{"key": "city", "value": "Roma", "operator": "EQUAL"}]})
        self.assertEqual([row["city"] for row in answer.json()["data"]], ["Roma"], answer)
        answer = self.request("GET", path, json_body={"operators": [{"key": "city", "value": "Roma", "operator": "LIKE"}]})
        self.problem(answer, 400)

    # -- what the functions do wrong --

    def test_an_exception(self):
        task, job = self.server.run_task("failing")
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("boom: 21", job["error"])
        (trace,) = job["stacktrace"]
        self.assertIn("Traceback (most recent call last)", trace)
        self.assertIn("ValueError: boom: 21", trace)
        self.assertIn("in fail", trace)
        self.assertNotIn("bailiff_runner", trace)  # the user's own frames only
        self.assertIn("about to fail", self.server.job_log(job["id"]))
        self.assertIsNone(self.server.read(task["output_ids"][0]))
        node = self.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertIs(node["edit_in_progress"], False)

    def test_a_function_that_ends_the_process(self):
        _, job = self.server.run_task("dying")
        self.assertEqual((job["status"], job["exit_code"]), ("FAILED", 7))
        _, job = self.server.run_task("double")  # the worker's place is taken by another
        self.assertEqual(job["status"], "COMPLETED")

    def test_too_few_results(self):
        task, job = self.server.run_task("too_few")
        self.assertEqual(job["status"], "FAILED")
        self.assertTrue(job["error"])
        self.assertEqual([self.server.read(i) for i in task["output_ids"]], [None, None])

    # -- order --

    def test_blocked_until_the_input_is_written(self):
        first, second = self.server.create("gtask"), self.server.create("gnext")
        waiting = self.server.submit(second)
        if self.server.read(first["output_ids"][0]) is None:
            self.assertEqual(self.server.job(waiting)["status"], "BLOCKED")
        self.server.wait_job(self.server.submit(first), "COMPLETED")
        self.server.wait_job(waiting, "COMPLETED")
        self.assertEqual(self.server.read(second["output_ids"][0]), 4)

    def test_blocked_for_want_of_a_value(self):
        task = self.server.create("unset_task")
        job_id = self.server.submit(task)
        time.sleep(0.5)
        self.assertEqual(self.server.job(job_id)["status"], "BLOCKED")
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR").status, 204)
        self.assertEqual(self.server.job(job_id)["status"], "CANCELED")

    def test_skipped_when_nothing_changed(self):
        task, job = self.server.run_task("skippable")
        self.assertEqual(job["status"], "COMPLETED")
        job = self.server.wait_job(self.server.submit(task))
        self.assertEqual(job["status"], "SKIPPED")

    def test_many_at_once(self):
        jobs = [self.server.submit(self.server.create("double")) for _ in range(20)]
        self.assertEqual({self.server.wait_job(job)["status"] for job in jobs}, {"COMPLETED"})

    # -- cancel --

    def test_cancel_ends_every_descendant(self):
        task = self.server.create("brood")
        job_id = self.server.submit(task)
        self.server.wait_job(job_id, "RUNNING")
        wait_until(lambda: "grandchild is there" in self.server.job_log(job_id), "the grandchild is there")
        self.assertTrue(processes_of(self.marker))
        answer = self.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR")
        self.assertEqual(answer.status, 202, answer)
        job = self.server.wait_job(job_id)
        self.assertEqual(job["status"], "CANCELED")
        self.assertEqual(processes_of(self.marker), {})  # the setsid'ed one too, before the job is said to have ended
        self.problem(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR"), 409)
        node = self.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertIs(node["edit_in_progress"], False)

    def test_cancel_ends_those_that_do_not_hear(self):
        """A function that ignores SIGTERM, with forked descendants that do, too, in sessions of their own."""
        job_id = self.server.submit(self.server.create("deaf"))
        wait_until(lambda: "they are there" in self.server.job_log(job_id), "they are there")
        wait_until(lambda: len(processes_of(self.marker)) == 3, "all of them")
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR").status, 202)
        wait_until(lambda: self.server.job(job_id)["status"] != "RUNNING", "it has ended")
        self.assertEqual(processes_of(self.marker), {})
        self.assertEqual(self.server.job(job_id)["status"], "CANCELED")

    def test_cancel_what_is_over_or_unknown(self):
        _, job = self.server.run_task("noop")
        self.problem(self.request("POST", f"/api/v1/jobs/cancel/{job['id']}/"), 409)
        self.problem(self.request("POST", "/api/v1/jobs/cancel/JOB_x/"), 404)

    def test_a_running_task_locks_its_output(self):
        task, job_id = self.server.run_gated()
        node = self.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertEqual((node["edit_in_progress"], node["editor_id"]), (True, job_id))
        self.server.open_gate()
        self.server.wait_job(job_id, "COMPLETED")
        node = self.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/").json()["datanode"]
        self.assertEqual((node["edit_in_progress"], node["editor_id"]), (False, None))
        self.assertIsNotNone(node["last_edit_date"])

    # -- logs --

    def test_following_a_log(self):
        task = self.server.create("slow")
        job_id = self.server.submit(task)
        answer = self.request("GET", f"/api/v1/jobs/{job_id}/log/?follow=true", "TAIPY_READER")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(self.server.job(job_id)["status"], "COMPLETED")  # it ended with the job, not before

    def test_a_log_of_nothing(self):
        _, job = self.server.run_task("noop")
        answer = self.request("GET", f"/api/v1/jobs/{job['id']}/log/", "TAIPY_READER")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.problem(self.request("GET", "/api/v1/jobs/JOB_x/log/"), 404)
        self.problem(self.request("GET", f"/api/v1/jobs/{job['id']}/log/?follow=yes"), 400, "follow")


COMMANDS = r"""
application: {version: "1.0", workers: 2}
data_nodes:
  words: {storage_type: json, default_data: [b, a, c]}
  sorted: {storage_type: json}
  never: {storage_type: json}
  seconds: {storage_type: json, default_data: 600}
  waited: {storage_type: json}
  late: {storage_type: json, path: late.json}
  late_copy: {storage_type: json}
tasks:
  sort:
    command:
      - /bin/sh
      - -c
      - |
        echo "job $BAILIFF_JOB_ID"
        tr -d "[] " <"$BAILIFF_INPUT_WORDS" | tr , "\n" | sort | paste -sd, | sed "s/.*/[&]/" >"$BAILIFF_OUTPUT_SORTED"
    inputs: [words]
    outputs: [sorted]
  beside:
    command: [./beside.sh, with, arguments]
    environment: {GREETING: "good day"}
  failing: {command: [/bin/sh, -c, "echo no >&2; exit 3"]}
  forgetful: {command: [/bin/true], outputs: [never]}
  missing: {command: [no-such-program-anywhere]}
  not_executable: {command: [./not_executable.sh]}
  shapeless: {command: [./shapeless.sh]}
  foreign: {command: [./foreign.sh]}
  killed: {command: [/bin/sh, -c, "kill -9 $$"]}
  endless: {command: [/bin/sh, -c, "sleep 600 & setsid sleep 601 & wait"], timeout: 1s}
  endless_python: {function: fns.slow, inputs: [seconds], outputs: [waited], timeout: 1s}
  stubborn: {command: [/bin/sh, -c, "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]}
  bare: {command: [/usr/bin/env]}
  late_reader:
    command: [/bin/sh, -c, 'cat "$BAILIFF_INPUT_LATE" >"$BAILIFF_OUTPUT_LATE_COPY"']
    inputs: [late]
    outputs: [late_copy]
"""

BESIDE = """#!/bin/sh
echo "$GREETING, $1 $2, in $(pwd)"
test "$BAILIFF_ROOT" = "$(dirname "$0")" && echo "root is right"
"""


class Commands(ServerCase):
    """Tasks in other languages: an application in bailiff's own form."""

    @classmethod
    def make_application(cls, folder):
        os.makedirs(folder)
        apps.write(folder, "fns.py", apps.FUNCTIONS)
        os.chmod(apps.write(folder, "beside.sh", BESIDE), 0o755)
        os.chmod(apps.write(folder, "not_executable.sh", BESIDE), 0o644)
        os.chmod(apps.write(folder, "shapeless.sh", "echo\n"), 0o755)
        os.chmod(apps.write(folder, "foreign.sh", "#!/nowhere/sh\n"), 0o755)
        return apps.write(folder, "app.yaml", COMMANDS)

    def test_inputs_and_outputs_are_files(self):
        task, job = self.server.run_task("sort")
        self.assertEqual((job["status"], job["exit_code"]), ("COMPLETED", 0), job)
        self.assertEqual(self.server.read(task["output_ids"][0]), ["a", "b", "c"])
        self.assertEqual(self.server.job_log(job["id"]), f"job {job['id']}\n")
        self.assertEqual((task["function_module"], task["function_name"]), ("", "/bin/sh"))

    def test_a_file_that_arrives_from_outside(self):
        """Nobody but the file system knows of it; the job that waits for it goes on all the same."""
        task = self.server.create("late_reader")
        job_id = self.server.submit(task)
        job = self.server.job(job_id)
        self.assertEqual((job["status"], job["blocked_by"]), ("BLOCKED", task["input_ids"]))
        path = os.path.join(os.path.dirname(self.server.application), "late.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write("[7]")
        os.rename(path + ".new", path)
        self.assertEqual(self.server.wait_job(job_id, "COMPLETED")["blocked_by"], [])
        self.assertEqual(self.server.read(task["output_ids"][0]), [7])

    def test_a_program_beside_the_application(self):
        _, job = self.server.run_task("beside")
        self.assertEqual(job["status"], "COMPLETED", job)
        log = self.server.job_log(job["id"])
        self.assertIn("good day, with arguments", log)
        self.assertIn("root is right", log)

    def test_exit_codes(self):
        _, job = self.server.run_task("failing")
        self.assertEqual((job["status"], job["exit_code"], job["signal"]), ("FAILED", 3, None))
        self.assertEqual(self.server.job_log(job["id"]), "no\n")

    def test_signals(self):
        _, job = self.server.run_task("killed")
        self.assertEqual((job["status"], job["exit_code"], job["signal"]), ("FAILED", None, 9))

    def test_an_output_not_written_is_a_failure(self):
        task, job = self.server.run_task("forgetful")
        self.assertEqual((job["status"], job["exit_code"]), ("FAILED", 0))
        self.assertIn("never", job["error"])
        self.assertIsNone(self.server.read(task["output_ids"][0]))

    def test_a_program_that_is_not_there(self):
        _, job = self.server.run_task("missing")
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("no-such-program-anywhere", job["error"])

    def test_a_program_that_cannot_be_started(self):
        for task, remedy in (("not_executable", "chmod a+x"), ("shapeless", "#!/bin/sh"), ("foreign", "the interpreter")):
            _, job = self.server.run_task(task)
            self.assertEqual(job["status"], "FAILED", job)
            if fork_for_vfork():
                continue
            self.assertIn(f"/{task}.sh cannot be started: ", job["error"])
            self.assertIn(remedy, job["error"])

    def test_the_time_limit(self):
        for config in ("endless", "endless_python"):
            _, job = self.server.run_task(config)
            self.assertEqual(job["status"], "FAILED")
            self.assertIn("limit of 1 s", job["error"])
            self.assertLess(job["duration_ms"], 30000)
            # those of the command ran in the attempt's folder, below the server's
            left = [line for line in processes_of(self.server.folder).values() if line.startswith("sleep 60")]
            self.assertEqual(left, [])

    def test_one_that_does_not_hear(self):
        task = self.server.create("stubborn")
        job_id = self.server.submit(task)
        wait_until(lambda: "deaf" in self.server.job_log(job_id), "it runs")
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/").status, 202)
        self.assertEqual(self.server.wait_job(job_id)["status"], "CANCELED")  # SIGKILL after the grace

    def test_the_environment_is_what_is_said_and_no_more(self):
        _, job = self.server.run_task("bare")
        names = {line.partition("=")[0] for line in self.server.job_log(job["id"]).splitlines()}
        self.assertEqual(names, {"PATH", "HOME", "LANG", "BAILIFF_JOB_ID", "BAILIFF_ATTEMPT", "BAILIFF_ROOT", "BAILIFF_WORK"})


if __name__ == "__main__":
    unittest.main()
