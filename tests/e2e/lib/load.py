"""Clients that do a bit of everything, and remember what they were told."""

import collections
import http.client
import json
import random
import threading
import time
import uuid

GONE = (OSError, http.client.HTTPException, json.JSONDecodeError)  # what a client sees of a server that is killed


class Told:
    """What the clients of one server were told, over all its lives."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tasks = {}  # id of an acknowledged task: its configuration
        self.deleted = set()  # acknowledged
        self.maybe_deleted = set()  # asked for, and not answered
        self.jobs = {}  # id of an acknowledged job: its task
        self.canceled = set()  # jobs, cancelled while they waited
        self.ended = {}  # job: (status, attempt), as a client has seen it
        self.open_keys = {}  # of creates that were sent and not answered: configuration
        self.requests = collections.Counter()


class Load:
    """`configs`: {task configuration: weight}. Runs until stop(), or until the server is gone."""

    def __init__(self, server, told, configs, clients=4, pause_s=0.02, delete_share=0.1):
        self.server, self.told, self.configs = server, told, configs
        self.pause_s, self.delete_share = pause_s, delete_share
        self.failures = []
        self.stopping = False
        self.threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping = True
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _client(self):
        try:
            while not self.stopping:
                self._round()
                time.sleep(self.pause_s)
        except GONE as failure:
            if self.server.process.poll() is None and not self.stopping:
                time.sleep(0.5)  # it may be about to be killed
                if self.server.process.poll() is None:
                    self.failures.append(failure)
        except Exception as failure:  # noqa: BLE001: raised by join
            self.failures.append(failure)
        finally:
            self.server.client.close()

    def _ask(self, method, path, role, *wanted, **options):
        answer = self.server.request(method, path, role, **options)
        self.told.requests[method, answer.status] += 1
        if answer.status not in wanted:
            raise AssertionError(f"{method} {path}: {answer}")
        return answer

    def _round(self):
        config = random.choices(list(self.configs), list(self.configs.values()))[0]
        task = self._create(config)
        if random.random() < self.delete_share:
            self._delete(task)
            return
        job = self._submit(task)
        chance = random.random()
        if chance < 0.05:
            self._cancel(job)
        elif chance < 0.35:
            self._look(random.choice(list(self.told.jobs)[-200:]))
        elif chance < 0.40:
            self._ask("GET", "/api/v1/tasks/?limit=20&sort=-created_at", "TAIPY_READER", 200)
        elif chance < 0.42:
            self._ask("GET", "/api/v1/tasks/", None, 401)
        elif chance < 0.44:
            self._ask("DELETE", f"/api/v1/tasks/{task}/", "TAIPY_READER", 403)
        elif chance < 0.46:
            self.server.client.close()  # and connects again

    def _create(self, config):
        key = uuid.uuid4().hex
        with self.told.lock:
            self.told.open_keys[key] = config
        answer = self._ask("POST", f"/api/v1/tasks/?config_id={config}", "TAIPY_EDITOR", 201, headers={"Idempotency-Key": key})
        task = answer.json()["task"]["id"]
        with self.told.lock:
            del self.told.open_keys[key]
            self.told.tasks[task] = config
        return task

    def _delete(self, task):
        with self.told.lock:
            self.told.maybe_deleted.add(task)
        self._ask("DELETE", f"/api/v1/tasks/{task}/", "TAIPY_EDITOR", 200)
        with self.told.lock:
            self.told.deleted.add(task)

    def _submit(self, task):
        answer = self._ask("POST", f"/api/v1/tasks/submit/{task}/", "TAIPY_EXECUTOR", 204)
        job = answer.headers["Location"].rstrip("/").rpartition("/")[2]
        with self.told.lock:
            self.told.jobs[job] = task
        return job

    def _cancel(self, job):
        if self._ask("POST", f"/api/v1/jobs/cancel/{job}/", "TAIPY_EXECUTOR", 204, 202, 409).status == 204:
            with self.told.lock:
                self.told.canceled.add(job)

    def _look(self, job_id):
        job = self._ask("GET", f"/api/v1/jobs/{job_id}/", "TAIPY_READER", 200).json()["job"]
        if not job["ended_at"]:
            return
        with self.told.lock:
            self.told.ended[job_id] = job["status"], job["attempt"]
        self._ask("GET", f"/api/v1/jobs/{job_id}/log/", "TAIPY_READER", 200, 404)
        answer = self._ask("GET", f"/api/v1/tasks/{job['task_id']}/", "TAIPY_READER", 200, 404)
        for node in answer.json()["task"]["output_ids"] if answer.status == 200 else ():
            self._ask("GET", f"/api/v1/datanodes/{node}/read/", "TAIPY_READER", 200)
