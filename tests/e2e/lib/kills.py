"""kill -9 of a server under load, again and again: what was acknowledged is there, once, no job's state lies, and no job runs twice
at once."""

import collections
import json
import os
import random
import time

from lib import apps
from lib.load import Load, Told
from lib.server import Server, processes_of, wait_until

ROLES = ("TAIPY_EDITOR", "TAIPY_EXECUTOR", "TAIPY_READER", "TAIPY_ADMIN")
OPEN = ("SUBMITTED", "BLOCKED", "PENDING", "RUNNING")


class Kills:
    """One server and its lives. `kind`: whose functions run, `python` or `commands`."""

    def __init__(self, folder, kind):
        app = os.path.join(folder, "app")
        self.kind = kind
        self.journal_file = os.path.join(app, "journal")
        if kind == "python":
            application = apps.taipy(app, seconds=1)
            self.configs = {"double": 50, "noop": 30, "gtask": 19, "slow": 1}
        else:
            application = apps.counted(app)
            self.configs = {"counted": 60, "noop": 30, "slow": 10}
        self.server = Server(application, {"execution": {"attempts": 100}}, folder)
        self.told = Told()
        self.kills = 0
        for role in ROLES:
            self.server.token(role)

    def end(self):
        """Whatever happened: nothing of it runs any more. Its folder stays."""
        self.server.end()

    def run(self, rounds, tell=lambda kills: None):
        """So many kills, then the end of everything: every job ends well, every output is whole."""
        for _ in range(rounds):
            self.server.start()
            self.check()
            self.check_running()
            self.repeat_open()
            load = Load(self.server, self.told, self.configs).start()
            time.sleep(random.uniform(0.1, 1.2))
            self.server.kill()
            load.join()
            self.kills += 1
            self.server.check_log()
            wait_until(lambda: not processes_of(self.server.folder), "what the killed server had started is gone", 30)
            self.verify_audit()
            tell(self.kills)
        self.server.start()
        self.check()
        wait_until(self.all_ended, "every job has ended", 600)
        self.check_end()
        self.server.stop()
        self.verify_audit()

    def verify_audit(self):
        verified = self.server.verify_audit()
        assert verified.returncode == 0, verified.stderr

    def jobs(self):
        return {row["id"]: row for row in self.server.query("SELECT id, task_id, status, attempt FROM job")}

    def check(self):
        """What was acknowledged is there, once; what was deleted is not."""
        told = self.told
        tasks = {row["id"] for row in self.server.query("SELECT id FROM task")}
        jobs = self.jobs()
        missing = set(told.tasks) - tasks - told.maybe_deleted
        assert not missing, f"acknowledged tasks are gone: {missing}"
        assert not tasks & told.deleted, f"deleted tasks are there: {tasks & told.deleted}"
        missing = set(told.jobs) - set(jobs)
        assert not missing, f"acknowledged jobs are gone: {missing}"
        for job, task in told.jobs.items():
            assert jobs[job]["task_id"] == task, (job, task)
        # one submit, one job: at most the one whose answer the crash swallowed
        twice = [task for task, count in collections.Counter(job["task_id"] for job in jobs.values()).items() if count > 1]
        assert not twice, f"submitted once, and there are two jobs: {twice}"
        for job in told.canceled:
            assert jobs[job]["status"] == "CANCELED", f"its cancellation was acknowledged: {jobs[job]}"
        for job, (status, attempt) in told.ended.items():
            assert (jobs[job]["status"], jobs[job]["attempt"]) == (status, attempt), f"had ended as {status}: {jobs[job]}"
        self.check_seen()

    def check_seen(self):
        """A client sees it, too: the latest tasks and jobs, one by one."""
        for task in list(self.told.tasks)[-10:]:
            wanted = (200, 404) if task in self.told.maybe_deleted else (200,)
            answer = self.server.request("GET", f"/api/v1/tasks/{task}/", "TAIPY_READER")
            assert answer.status in wanted, answer
        for job in list(self.told.jobs)[-10:]:
            assert self.server.job(job)["task_id"] == self.told.jobs[job]

    def check_running(self):
        """No job is RUNNING without a process of its own: commands carry its id, for Python there is a runner at least."""

        def lies():
            running = {job for job, row in self.jobs().items() if row["status"] == "RUNNING"}
            if self.kind == "commands":
                return running - jobs_of_processes(self.server.folder)
            return running if not any("runner" in line for line in processes_of(self.server.folder).values()) else set()

        wait_until(lambda: not lies(), "no RUNNING job is without a process", 10)

    def repeat_open(self):
        """A client that got no answer asks again with its key: then the task is there, and once."""
        for key, config in list(self.told.open_keys.items()):
            del self.told.open_keys[key]
            path, headers = f"/api/v1/tasks/?config_id={config}", {"Idempotency-Key": key}
            first, second = (self.server.request("POST", path, "TAIPY_EDITOR", headers=headers) for _ in range(2))
            assert (first.status, second.status) == (201, 201), (first, second)
            task = first.json()["task"]["id"]
            assert second.json()["task"]["id"] == task and task not in self.told.tasks, (first, second)
            self.told.tasks[task] = config

    def all_ended(self):
        return not any(job["status"] in OPEN for job in self.jobs().values())

    # -- the end --

    def check_end(self):
        self.check()
        jobs = self.jobs()
        for job in jobs.values():
            assert job["status"] in ("COMPLETED", "CANCELED"), f"it can only be the crash's fault: {job}"
        self.check_outputs(jobs)
        self.check_records()
        if self.kind == "commands":
            self.check_journal(jobs)

    def check_outputs(self, jobs, count=50):
        """Each COMPLETED job's output is there and whole."""
        completed = [job for job in jobs.values() if job["status"] == "COMPLETED" and job["id"] in self.told.jobs]
        expected = {"double": 42, "gtask": 2}
        for job in random.sample(completed, min(count, len(completed))):
            config = self.told.tasks[job["task_id"]]
            task = self.server.request("GET", f"/api/v1/tasks/{job['task_id']}/", "TAIPY_READER").json()["task"]
            for node in task["output_ids"]:
                value = self.server.read(node)
                if self.kind == "commands":
                    assert value == {"ran": job["id"]}, (job, value)
                elif config in expected:
                    assert value == expected[config], (job, value)

    def check_records(self):
        """One record for each change that was acknowledged."""
        records = self.server.query("SELECT action, target, detail FROM audit WHERE outcome = 'done'")
        created = collections.Counter(r["target"] for r in records if r["action"] == "task.create")
        wrong = {task for task in self.told.tasks if created[task] != 1}
        assert not wrong, f"tasks without one record of their making: {wrong}"
        submitted = collections.Counter(json.loads(r["detail"])["job_id"] for r in records if r["action"] == "task.submit")
        wrong = {job for job in self.told.jobs if submitted[job] != 1}
        assert not wrong, f"jobs without one record of their submit: {wrong}"
        deleted = collections.Counter(r["target"] for r in records if r["action"] == "task.delete")
        wrong = {task for task in self.told.deleted if deleted[task] != 1}
        assert not wrong, f"deletes without one record: {wrong}"

    def check_journal(self, jobs):
        """What the commands themselves say: never twice at once, no more often than there were attempts, to the end if COMPLETED."""
        begun, ended = collections.Counter(), collections.Counter()
        with open(self.journal_file, encoding="utf-8") as journal:
            for line in journal:
                job, what = line.split()
                assert what != "twice", f"{job} ran twice at once"
                (begun if what == "begins" else ended)[job] += 1
        for job, count in begun.items():
            assert count <= jobs[job]["attempt"], f"{job} began {count} times: {jobs[job]}"
        for job in jobs.values():
            journaled = self.told.tasks.get(job["task_id"]) in ("counted", "slow")
            assert job["status"] != "COMPLETED" or not journaled or ended[job["id"]] >= 1, f"it never came to its end: {job}"


def jobs_of_processes(folder):
    """Jobs that have a process: their commands carry the id in their environment."""
    found = set()
    for pid in processes_of(folder):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                variables = dict(entry.split(b"=", 1) for entry in file.read().split(b"\0") if b"=" in entry)
        except OSError:
            continue
        if b"BAILIFF_JOB_ID" in variables:
            found.add(variables[b"BAILIFF_JOB_ID"].decode())
    return found
