"""Drives a server at random, and compares all that it shows with the reference model after every step."""

import collections
import http.client
import json
import os
import signal
import sqlite3
import threading
import time

from lib import actors, rules
from lib.server import wait_until

WORKERS = 6
ATTEMPTS = 4
SHUTDOWNS = ("requeue", "wait", "fail")
PAUSED_STEPS = 15  # at most
GATED_MAX = 5  # of the workers, so that one is always free for what does not wait
TASKS_MAX = 60
SUBMIT_ROLES = "TAIPY_EXECUTOR"

STEPS = {  # how often, of all
    "create": 12,
    "submit": 30,
    "create_job": 4,
    "submit_job": 4,
    "cancel": 12,
    "open_gate": 8,
    "look": 12,
    "read_value": 4,
    "repeat": 3,
    "together": 1.5,
    "delete_job": 3,
    "delete_task": 2,
    "reload": 2,
    "settle": 2,
    "pause": 1.5,
    "kill_process": 4,
    "kill_keeper": 2,
    "kill_runner": 0.8,
    "kill_server": 0.6,
    "kill_all": 0.4,
    "kill_amid": 0.3,
    "stop": 0.5,
}


def parent_of(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def state_of(pid):
    """As ps writes it; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except OSError:
        return None


def lives(pid):
    return state_of(pid) not in (None, "Z", "X")


def descendants(root):
    """Processes below one, however deep."""
    children = collections.defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children[parent_of(int(name))].append(int(name))
            except OSError:
                pass
    found, left = [], [root]
    while left:
        below = children[left.pop()]
        found += below
        left += below
    return found


def rule_of(said):
    """One of actors.RULES for the model."""
    retries = dict(said.get("retries", {"max": 0}))
    retries["delay_ms"] = int(str(retries.get("delay", 0)).removesuffix("ms"))
    return rules.Rule(retries, said.get("lost_jobs"), said.get("concurrency"))


class Driver:
    def __init__(self, server, witness, random, restart_lost, shutdown):
        self.server, self.witness, self.random = server, witness, random
        self.world = rules.World(ATTEMPTS, restart_lost, shutdown)
        self.world.own_cause = lambda config, attempt: actors.cause(self.configs[config][0], attempt)
        self.world.rules = {name: rule_of(said) for name, said in actors.RULES.items()}
        self.configs = actors.tasks()
        if server.application.endswith(".yaml"):
            self.configs["forget"] = ("forget", ["nb"], "res", False)
        self.family = 0
        self.event = 0  # the last that was looked at
        self.place = 0  # the last job that was met
        self.tasks = []  # ids that may be submitted
        self.keys = collections.OrderedDict()  # Idempotency-Key: (task, job)
        self.by_id = {}
        self.open = set()  # jobs whose gate was opened
        self.deleted = set()
        self.gone = set()  # keepers, runners and what was below them, that were killed
        self.dying = set()  # keepers that the runner may not have missed yet
        self.runner_dies = False
        self.paused_steps = 0
        self.actions = collections.deque(maxlen=40)
        self.counts = collections.Counter()
        self.unsure = []  # (task) of submits whose answer a kill may have swallowed
        self.heard = []  # of the attempts: to be compared once their events are known
        self.late = []  # of those that were told while the events were compared

    # -- looking --

    def rows(self, connection, sql, *values):
        return connection.execute(sql, values).fetchall()

    def look(self, everything=False):
        """Takes all events that there are, and compares; with the whole state of the store if that is wanted."""
        self.heard += self.late + self.witness.listen()
        self.late = []
        connection = sqlite3.connect(f"file:{self.server.path('data', 'bailiff.db')}?mode=ro", uri=True, timeout=30)
        try:
            connection.execute("BEGIN")
            self._meet(connection)
            self._take_events(connection)
            self._take_arrivals(connection)
            if everything:
                self._compare(connection)
        finally:
            connection.close()
        self._compare_witness()

    def _meet(self, connection):
        sql = "SELECT seq, id, task_id, force, task_config_id FROM job WHERE seq > ? ORDER BY seq"
        for place, job_id, task_id, _, config in self.rows(connection, sql, self.place):
            task = self.world.tasks.get(task_id) or self._meet_task(connection, task_id)
            if task.config != config:
                raise rules.Violation(f"{job_id} is of {config}, not {task.config}")
            job = rules.Job(place, job_id, task, False)
            self.world.jobs[place] = self.by_id[job_id] = job
            self.place = place

    def _meet_task(self, connection, task_id):
        """One of a creation whose answer was swallowed."""
        sql = "SELECT config_id, input_ids, output_ids, skippable FROM task WHERE id = ?"
        config, inputs, outputs, _ = self.rows(connection, sql, task_id)[0]
        return self.learn_task({"id": task_id, "config_id": config, "input_ids": inputs.split(), "output_ids": outputs.split()}, connection)

    def learn_task(self, task, connection=None):
        what, inputs, output, skippable = self.configs[task["config_id"]]
        names = dict(zip(task["input_ids"] + task["output_ids"], inputs + [output]))
        for node_id, name in names.items():
            if node_id in self.world.nodes:
                continue
            edited = self._first_edit(node_id, connection)
            if (edited != 0) != (name == "nb"):
                raise rules.Violation(f"{node_id} is written before anybody wrote it, or lacks its default")
            node = self.world.nodes[node_id] = rules.Node(edited, self._at_path(name))
            if name == "nb":
                node.values.append("21")
        known = rules.Task(task["config_id"], task["input_ids"], task["output_ids"], skippable)
        self.world.tasks[task["id"]] = known
        self.tasks.append(task["id"])
        return known

    def _at_path(self, name):
        return name.endswith("_p") and self.server.application.endswith(".yaml")

    def _first_edit(self, node_id, connection):
        sql = "SELECT last_edit FROM data_node WHERE id = ?"
        if connection:
            return self.rows(connection, sql, node_id)[0][0]
        return self.server.query(sql, node_id)[0]["last_edit"]

    def _take_events(self, connection):
        forces, changed = {}, set()
        sql = "SELECT seq, job_seq, status, attempt, cancel_requested, time FROM event WHERE seq > ? ORDER BY seq"
        for seq, place, status, attempt, cancel, at in self.rows(connection, sql, self.event):
            self.event = seq
            job = self.world.jobs[place]
            changed.add(place)
            if status in ("PENDING", "BLOCKED") and job.status in (None, "SUBMITTED"):
                forces = forces or dict(self.rows(connection, "SELECT seq, force FROM job WHERE seq > ?", max(0, self.place - 1000)))
                job.force = bool(forces.get(place, job.force))
            self.world.apply(place, status, attempt, bool(cancel), at)
            if status in rules.FINAL:
                self._check_end(job)
        self.world.check_settled()
        for place in changed:
            for lost, used in self.rows(connection, "SELECT losses, retries FROM job WHERE seq = ?", place):
                self.world.know_ends(self.world.jobs[place], lost, used)

    def _take_arrivals(self, connection):
        """What has come to the users' own paths, for which there is no event."""
        sql = "SELECT d.id, p.job_seq FROM publish_intent AS p JOIN data_node AS d ON d.seq = p.data_node_seq ORDER BY p.seq"
        found = collections.defaultdict(list)
        for node_id, place in self.rows(connection, sql):
            found[node_id].append(place)
        for node_id, node in self.world.nodes.items():
            left = found.pop(node_id, [])
            if left != node.publishing[len(node.publishing) - len(left) :]:
                raise rules.Violation(f"on their way to {node_id} are {left}, not the last of {node.publishing}")
            if node.at_path and (len(left) < len(node.publishing) or (left and node.edited_ms == 0)):
                node.publishing = left
                node.edited_ms = self.rows(connection, "SELECT last_edit FROM data_node WHERE id = ?", node_id)[0][0]
        if found:
            raise rules.Violation(f"on their way to nowhere are {dict(found)}")
        self.world.find_due()
        self.world.check_settled()

    def _check_end(self, job):
        """Nothing of it is alive, and what it says that it did it has done."""
        if job.attempt and self.witness.alive(job.id):
            raise rules.Violation(f"something of it is alive: {job}")
        self.late += self.witness.listen()  # what began since the events were read is compared with the next ones
        if job.status == "COMPLETED" and (job.id, job.attempt) not in self.witness.ended:
            raise rules.Violation(f"its function did not come to its end: {job}")
        if job.status in ("SKIPPED", "ABANDONED") and "RUNNING" not in job.history and job.attempt in self.witness.begun.get(job.id, {}):
            raise rules.Violation(f"its function was called: {job}")

    def _compare_witness(self):
        for job_id, attempt, inputs in self.heard:
            job = self.by_id.get(job_id)
            if not job or attempt > job.attempt:
                raise rules.Violation(f"attempt {attempt} of {job or job_id} began before that was durable")
            expected = [node.values[at:] if node.at_path else node.values[at : at + 1] for node, at in job.read[attempt]]
            if len(inputs) != len(expected) or any(i not in values for i, values in zip(inputs, expected)):
                raise rules.Violation(f"attempt {attempt} of {job} read {inputs} instead of {expected}")
        self.heard = []

    def _compare(self, connection):
        """The whole store with the whole model."""
        world = self.world
        jobs = {r[0]: r[1:] for r in self.rows(connection, "SELECT seq, status, attempt, cancel_requested, ended_at FROM job")}
        known = {p: (j.status, j.attempt, int(j.cancel_requested)) for p, j in world.jobs.items() if j.id not in self.deleted}
        self._same("jobs", {p: r[:3] for p, r in jobs.items()}, known)
        for place, row in jobs.items():
            if (row[3] != 0) != (row[0] in rules.FINAL):
                raise rules.Violation(f"{world.jobs[place]} ended at {row[3]}")
        intents = {(r[0], r[1]) for r in self.rows(connection, "SELECT d.id, p.job_seq FROM publish_intent AS p JOIN data_node AS d ON d.seq = p.data_node_seq")}
        locks = set(self.rows(connection, "SELECT d.id, l.job_seq FROM data_node_lock AS l JOIN data_node AS d ON d.seq = l.data_node_seq"))
        self._same("locks", locks - intents, {(n, place) for n, node in world.nodes.items() for place in node.locks})
        waits = set(self.rows(connection, "SELECT d.id, w.job_seq FROM job_wait AS w JOIN data_node AS d ON d.seq = w.data_node_seq"))
        self._same("waits", waits, {(node, job.place) for job in world.blocked() for node in job.task.inputs})
        edits = dict(self.rows(connection, "SELECT id, last_edit FROM data_node"))
        nodes = {n: node for n, node in world.nodes.items() if not node.at_path or not node.values}
        self._same("edits", {n: edits.get(n) for n in nodes}, {n: node.edited_ms for n, node in nodes.items()})

    def _same(self, what, seen, expected):
        if seen == expected:
            return
        if isinstance(seen, dict):
            seen, expected = set(seen.items()), set(expected.items())
        raise rules.Violation(f"{what}: seen {sorted(seen - expected)}, expected {sorted(expected - seen)}")

    # -- choosing --

    def jobs_in(self, *statuses):
        return [job for job in self.world.jobs.values() if job.status in statuses and job.id not in self.deleted]

    def what(self, job):
        return self.configs[job.task.config][0]

    def some(self, things):
        return self.random.choice(things) if things else None

    def waiting_for_gate(self):
        return [j for j in self.jobs_in("PENDING", "RUNNING", "BLOCKED") if self.what(j) in actors.WAITING and j.id not in self.open]

    def step(self):
        """One action and one look; what was done is kept for the report of a failure."""
        name = self.random.choices(list(STEPS), list(STEPS.values()))[0]
        self.paused_steps += self.world.paused
        if self.paused_steps > PAUSED_STEPS:
            name = "pause"
        begin = time.monotonic()
        self.actions.append(name)
        done = getattr(self, name if name != "look" else "look_at_a_job")()
        self.actions[-1] = f"{name}: {done}"
        everything = self.random.random() < 0.1 or name in ("settle", "stop") or name.startswith("kill")
        self.end_perils()
        self.look(everything)
        if everything:
            self.check_processes()
        self.counts[name, "times"] += 1
        self.counts[name, "ms"] += 1000 * (time.monotonic() - begin)

    # -- what clients do --

    def request(self, method, path, role, **options):
        answer = self.server.request(method, "/api/v1/" + path, role, **options)
        if answer.status >= 500:
            raise rules.Violation(f"{method} {path}: {answer}")
        return answer

    def expect(self, answer, *statuses):
        if answer.status not in statuses:
            raise rules.Violation(f"{answer} instead of {statuses}")
        return answer

    def choose_config(self):
        if self.random.random() < 0.02:
            self.family = (self.family + 1) % actors.FAMILIES
        names = [name for name in self.configs if name.isalpha() or name.endswith(str(self.family))]
        gated = len(self.waiting_for_gate()) >= GATED_MAX
        return self.some([name for name in names if not (gated and self.configs[name][0] in actors.WAITING)])

    def choose_task(self):
        gated = len(self.waiting_for_gate()) >= GATED_MAX
        fit = [t for t in self.tasks if not (gated and self.configs[self.world.tasks[t].config][0] in actors.WAITING)]
        return self.some(fit[-TASKS_MAX:]) or self.new_task(self.choose_config())

    def new_task(self, config):
        task = self.expect(self.request("POST", f"tasks/?config_id={config}", "TAIPY_EDITOR"), 201).json()["task"]
        self.learn_task(task)
        return task["id"]

    def create(self):
        return self.new_task(self.choose_config())

    def submit_request(self, task, key=None, query=""):
        headers = {"Idempotency-Key": key} if key else {}
        return self.request("POST", f"tasks/submit/{task}/{query}", SUBMIT_ROLES, headers=headers)

    @staticmethod
    def located(answer):
        return answer.headers["Location"].rstrip("/").rpartition("/")[2]

    def submit(self):
        task = self.choose_task()
        key = f"key-{self.random.getrandbits(64):x}" if self.random.random() < 0.3 else None
        query = "?force=true" if self.random.random() < 0.2 else ""
        answer = self.expect(self.submit_request(task, key, query), 204)
        job = self.located(answer)
        if key and not query:
            self.keys[key] = (task, job)
        return f"{job} {query}"

    def repeat(self):
        """A client that asks again with its key gets its first answer."""
        key = self.some(list(self.keys)[-50:])
        if not key:
            return "nothing"
        task, job = self.keys[key]
        answer = self.expect(self.submit_request(task, key), 204)
        if self.located(answer) != job or answer.headers["Idempotency-Replayed"] != "true":
            raise rules.Violation(f"{key} made {self.located(answer)} besides {job}")
        return job

    def together(self, kill_after_s=None):
        """Several clients submit with one key at once; perhaps the server is killed meanwhile, and they ask again."""
        task, key = self.choose_task(), f"key-{self.random.getrandbits(64):x}"
        made, failures = set(), []

        def ask():
            try:
                answer = self.submit_request(task, key)
                if answer.status != 409:  # the first is still under way
                    made.add(self.located(self.expect(answer, 204)))
            except (OSError, http.client.HTTPException) as failure:
                if kill_after_s is None:
                    failures.append(failure)
            except AssertionError as failure:
                failures.append(failure)
            finally:
                self.server.client.close()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            self.lose("server")
        for thread in threads:
            thread.join()
        if kill_after_s is not None:
            self.start()
        if failures:
            raise rules.Violation(f"clients with one key were told {failures}")
        made.add(self.located(self.expect(self.submit_request(task, key), 204)))
        if len(made) != 1:
            raise rules.Violation(f"one key made {made}")
        self.keys[key] = (task, made.pop())
        return self.keys[key][1]

    def create_job(self):
        config = self.choose_config()
        job = self.expect(self.request("POST", f"jobs/?task_id={config}", "TAIPY_EDITOR"), 201).json()["job"]
        task = self.request("GET", f"tasks/{job['task_id']}/", "TAIPY_READER").json()["task"]
        self.learn_task(task)
        return job["id"]

    def submit_job(self):
        job = self.some(self.jobs_in("SUBMITTED")) or self.some(self.jobs_in(*rules.FINAL))
        if not job:
            return "nothing"
        expected = 204 if job.status == "SUBMITTED" else 409
        self.expect(self.request("POST", f"jobs/submit/{job.id}/", SUBMIT_ROLES), expected)
        return job.id

    def cancel(self):
        unfinished = self.jobs_in("SUBMITTED", "BLOCKED", "PENDING", "RUNNING")
        chance = self.random.random()
        job = self.some(self.jobs_in("RUNNING") if chance < 0.3 else unfinished if chance < 0.95 else self.jobs_in(*rules.FINAL))
        if not job:
            return "nothing"
        over = job.status in rules.FINAL
        if not over:
            self.world.canceled.add(job.id)
        answer = self.expect(self.request("POST", f"jobs/cancel/{job.id}/", SUBMIT_ROLES), *((409,) if over else (202, 204, 409)))
        self.look()
        if answer.status == 204 and job.status != "CANCELED":
            raise rules.Violation(f"canceled with 204: {job}")
        if answer.status == 202 and self.random.random() < 0.5:
            self.await_end(job)
        if answer.status == 409 and job.status not in rules.FINAL:
            raise rules.Violation(f"not canceled with 409: {job}")
        return f"{job.id} {answer.status}"

    def await_end(self, job):
        """By the client's eyes; then nothing of it is alive."""
        path = f"jobs/{job.id}/"
        wait_until(lambda: self.request("GET", path, "TAIPY_READER").json()["job"]["status"] in rules.FINAL, f"{job} ends")
        if self.witness.alive(job.id):
            raise rules.Violation(f"a client sees its end, and something of it is alive: {job}")

    def look_at_a_job(self):
        """What a client is told has been durable before, and was true between this look and the last."""
        job = self.some(self.jobs_in("PENDING", "RUNNING", "BLOCKED", "SUBMITTED")) or self.some(self.jobs_in(*rules.FINAL))
        if not job:
            return "nothing"
        before = len(job.history)
        seen = self.expect(self.request("GET", f"jobs/{job.id}/", "TAIPY_READER"), 200).json()["job"]
        self.look()
        if seen["status"] not in job.history[before - 1 :]:
            raise rules.Violation(f"a client saw {seen['status']} of {job}")
        return f"{job.id} {seen['status']}"

    def read_value(self):
        """A data node's value is that of the last job that completed."""
        nodes = [(n, node) for n, node in self.world.nodes.items() if not node.locks]
        chosen = self.some([(n, node) for n, node in nodes if node.at_path and node.values] if self.random.random() < 0.3 else nodes)
        if not chosen:
            return "nothing"
        node_id, node = chosen
        expected = node.now()
        value = self.await_value(node_id)
        if (str(value) if value is not None else None) not in expected:
            raise rules.Violation(f"{node_id} has {value} instead of {expected}")
        return node_id

    def await_value(self, node_id):
        """Reading is the runner's: without one there is 503 for a while."""

        def read():
            answer = self.server.request("GET", f"/api/v1/datanodes/{node_id}/read/", "TAIPY_READER")
            return self.expect(answer, 200, 503).status == 200 and answer

        return wait_until(read, f"{node_id} is read").json()["data"]

    def delete_job(self):
        """Its events go with it, so only of those that cannot end unseen meanwhile."""
        unfinished = self.random.random() < 0.3
        if unfinished:
            job = self.some([j for j in self.jobs_in("BLOCKED", "SUBMITTED") if j.status == "SUBMITTED" or j.task.config == "forlorn"])
        else:
            job = self.some(self.jobs_in(*rules.FINAL))
        if not job:
            return "nothing"
        answer = self.request("DELETE", f"jobs/{job.id}/", "TAIPY_EDITOR")
        self.look()
        self.expect(answer, *((409,) if unfinished else (200, 409)))
        if answer.status == 200:
            self.deleted.add(job.id)
        return f"{job.id} {answer.status}"

    def delete_task(self):
        task = self.some(self.tasks)
        if not task:
            return "nothing"
        busy = [j for j in self.jobs_in("PENDING", "RUNNING", "BLOCKED", "SUBMITTED") if j.task is self.world.tasks[task]]
        answer = self.request("DELETE", f"tasks/{task}/", "TAIPY_EDITOR")
        self.expect(answer, *((200, 409) if busy else (200,)))
        self.look()
        if answer.status == 200:
            self.tasks.remove(task)
            self.keys = collections.OrderedDict((k, v) for k, v in self.keys.items() if v[0] != task)
            if [j for j in busy if j.status not in rules.FINAL]:
                raise rules.Violation(f"{task} was deleted below {busy}")
        return f"{task} {answer.status}"

    def open_gate(self):
        job = self.some(self.waiting_for_gate())
        if not job:
            return "nothing"
        self.open.add(job.id)
        self.witness.open_gate(job.id)
        return job.id

    # -- what befalls it --

    def reload(self):
        self.server.signal(signal.SIGHUP)

    def runner_is_ready(self):
        return self.runner() not in [None, *self.gone] and self.server.request("GET", "/readyz").status == 200

    def end_perils(self):
        """What befell is over for those that begin from now on, once the server must know of it."""
        if self.runner_dies and self.runner_is_ready():
            self.look()
            self.runner_dies = False
            self.world.over("loss")
        if self.dying and all(state_of(pid) is None for pid in self.dying):
            self.look()
            self.dying.clear()
            self.world.over("keeper")

    def settle(self):
        """Each job that is RUNNING has a process, once it had the time to start, and no attempt is lost any more."""
        wait_until(lambda: not any(lives(pid) for pid in self.gone), "who was killed is gone")
        wait_until(self.runner_is_ready, "there is a runner")
        self.look()
        self.check_processes(of_all=True)
        self.gone.clear()
        self.dying.clear()
        self.runner_dies = False
        self.world.all_is_well()
        return len(self.jobs_in("RUNNING"))

    def check_processes(self, of_all=False):
        """Each job that is RUNNING has a process, or gets it, or comes to its end; no more live than there are workers."""
        for job in self.jobs_in("RUNNING"):
            attempt = job.attempt
            if job.perils and not of_all:
                continue

            def running():
                self.look()
                if job.status != "RUNNING" or job.attempt != attempt:
                    return True
                return attempt in self.witness.begun.get(job.id, {}) and self.witness.alive(job.id)

            wait_until(running, f"{job} is RUNNING with a process")
        alive = self.alive()
        if len(alive) > WORKERS:
            alive &= self.alive()  # these lived at the same time
        if len(alive) > WORKERS:
            raise rules.Violation(f"more than {WORKERS} attempts at once: {alive}")

    def alive(self):
        self.late += self.witness.listen()
        return {(job.id, max(self.witness.begun.get(job.id, {0}))) for job in self.jobs_in("RUNNING") if self.witness.alive(job.id)}

    def process_of(self):
        """(job, process) of an attempt that is under way, one that waits rather than another; the process is surely ours."""
        jobs = self.random.sample(self.jobs_in("RUNNING"), len(self.jobs_in("RUNNING")))
        for job in sorted(jobs, key=lambda job: self.what(job) not in actors.WAITING or job.id in self.open):
            pid = self.witness.begun.get(job.id, {}).get(job.attempt, (None,))[0]
            try:
                if pid and os.readlink(f"/proc/{pid}/cwd").startswith(self.server.folder):
                    return job, pid
            except OSError:
                continue
        return None, None

    @staticmethod
    def end(pid, number=signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def kill_process(self):
        """Of an attempt that is between the begin and the end of its function: it must not be COMPLETED."""
        job, pid = self.process_of()
        if not job or self.world.own_cause(job.task.config, job.attempt):
            return "nothing"
        self.end(pid, signal.SIGSTOP)
        wait_until(lambda: state_of(pid) in (None, "T", "Z"), f"{pid} is stopped")
        self.late += self.witness.listen()
        number = self.random.choice((signal.SIGKILL, signal.SIGSEGV))
        hit = state_of(pid) == "T" and self.witness.last_of(pid) == (job.id, job.attempt) not in self.witness.ended
        if hit:
            self.world.killed[job.id, job.attempt] = "signal:" + number.name.removeprefix("SIG")
            self.end(pid, number)
        self.end(pid, signal.SIGCONT)
        return f"{job.id} {number.name if hit else 'missed'}"

    def children(self, parent, word):
        """Those of a process whose first argument is the word. (One that is about to become something else still has its parent's.)"""
        found = []
        for pid in descendants(parent) if parent else []:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if parent_of(pid) == parent and file.read().split(b"\0")[1:2] == [word]:
                        found.append(pid)
            except OSError:
                pass
        return found

    def runner(self):
        return self.some(self.children(self.server.process.pid, b"runner"))

    def keepers(self):
        return self.children(self.runner(), b"keeper")

    def pause(self):
        """Once a pause is answered nothing begins until the queue is resumed."""
        if self.world.paused:
            self.resume()
            return "resumed"
        self.expect(self.request("POST", "queue/pause/", "TAIPY_ADMIN"), 200)
        self.look()
        self.world.paused, self.paused_steps = True, 0
        return "paused"

    def resume(self):
        self.world.paused, self.paused_steps = False, 0
        self.expect(self.request("POST", "queue/resume/", "TAIPY_ADMIN"), 200)

    def kill_keeper(self):
        """At most one attempt is lost: what it has, or is given before anybody sees that it is gone."""
        keeper = self.some(self.keepers())
        if not keeper:
            return "nothing"
        self.look()
        self.world.befall("keeper")
        self.world.keepers += 1
        self.dying.add(keeper)
        self.end(keeper, signal.SIGSTOP)
        self.gone.update([keeper] + descendants(keeper))
        self.end(keeper)
        return keeper

    def kill_runner(self):
        runner = self.runner()
        if not runner:
            return "nothing"
        self.look()
        self.world.befall("loss")
        self.runner_dies = True
        self.gone.update([runner] + descendants(runner))
        self.end(runner)
        return runner

    def lose(self, what):
        self.look()
        self.world.befall("loss")
        below = descendants(self.server.process.pid) if what != "server" else []
        if what == "masters":  # whom they looked after stay behind, as far as they can
            below = [pid for pid in (self.runner(), *self.keepers()) if pid]
        self.server.kill()
        for pid in below:
            self.end(pid)

    def start(self):
        """With a new server all that befell before is over: what was RUNNING began again or ended before it was ready."""
        self.server.start()
        self.look()
        self.gone.clear()
        self.dying.clear()
        self.runner_dies = False
        self.world.all_is_well()

    def kill_server(self):
        self.lose("server")
        self.start()

    def kill_all(self):
        what = self.random.choice(("all", "masters"))
        self.lose(what)
        self.start()
        return what

    def kill_amid(self):
        return self.together(kill_after_s=self.random.choice((0, 0.002, 0.005, 0.01)))

    def stop(self):
        """SIGTERM: what runs begins again with the next server, or ends before, or is FAILED."""
        self.look()
        if self.world.shutdown == "wait":
            for job in self.waiting_for_gate():
                self.open.add(job.id)
                self.witness.open_gate(job.id)
        else:
            self.world.befall("stop")
        self.server.stop()
        self.look(everything=True)
        if self.jobs_in("RUNNING"):
            raise rules.Violation(f"RUNNING without a server: {self.jobs_in('RUNNING')}")
        self.start()

    # -- the end --

    def drain(self):
        """All gates open: everything comes to its end, but for what was never submitted or waits for what nobody writes."""
        self.actions.append("drain")
        if self.world.paused:
            self.resume()
        self.witness.open_gate("all")
        while True:
            wait_until(lambda: self.look() or not self.jobs_in("PENDING", "RUNNING"), "nothing can go on any more")
            stuck = self.jobs_in("SUBMITTED", "BLOCKED")
            if not stuck:
                break
            job = min(stuck, key=lambda job: job.place)
            self.world.canceled.add(job.id)
            self.expect(self.request("POST", f"jobs/cancel/{job.id}/", SUBMIT_ROLES), 204)
            self.look(everything=True)
        wait_until(lambda: not self.server.query("SELECT 1 FROM data_node_lock UNION ALL SELECT 1 FROM publish_intent"), "no lock is left")
        self.look(everything=True)
        for node in self.request("GET", "datanodes/", "TAIPY_READER").json()["results"]:
            if node["edit_in_progress"] or node["editor_id"]:
                raise rules.Violation(f"a lock is left: {node}")
        self.check_lists()
        self.check_audit()
        for node_id, node in self.world.nodes.items():
            if node.at_path and node.values and self.await_value(node_id) != node.values[-1]:
                raise rules.Violation(f"{node_id} has not the newest of {node.values[-3:]}")

    def check_lists(self):
        """The lists have every job and submission once, as the model has them."""
        for kind in ("jobs", "submissions"):
            listed = self.request("GET", kind + "/", "TAIPY_READER").json()["results"]
            seen = sorted((one["id"] if kind == "jobs" else one["job_ids"][0], one["status"]) for one in listed)
            expected = sorted((j.id, j.status if kind == "jobs" else rules.submission_status([j.status])) for j in self.jobs_in(*rules.FINAL))
            self._same(kind, set(seen), set(expected))
            if len(seen) != len(set(seen)):
                raise rules.Violation(f"{kind} are listed twice")

    def check_audit(self):
        """One record for each submit."""
        verified = self.server.verify_audit()
        if verified.returncode != 0:
            raise rules.Violation(f"the audit log: {verified.stderr}")
        records = self.server.query("SELECT detail FROM audit WHERE outcome = 'done' AND action = 'task.submit'")
        counts = collections.Counter(json.loads(record["detail"])["job_id"] for record in records)
        if set(counts.values()) > {1}:
            raise rules.Violation(f"submitted twice: {counts.most_common(3)}")
        lost = [job for job in self.world.jobs.values() if job.history[0] != "SUBMITTED" and job.id not in counts]
        if lost:
            raise rules.Violation(f"submitted without a record: {lost}")
