"""From submit to COMPLETED, every state durable: Python functions and commands that do nothing, and what a long queue changes."""

import json
import os
import statistics
import subprocess
import time

import load
import machine
import peers

CONNECTIONS = 32  # that submit
ONE_AT_A_TIME = 200
MANY_WORKERS = 8
LONG_QUEUE = 100_000
TRIES = 3  # of what is measured for a second
SETTLE_MS, WINDOW_MS = 200, 1000  # of a queue that is let go: what is counted
PATIENCE_S = 300
POLL_S = 0.5  # a look at the store costs a core some milliseconds, which the jobs would have had
NOTHING = "/bin/true"
COMMANDS_AT_ONCE = (8, 16)
COMMANDS_S, COMMAND_ROUNDS = 2, 2  # how long they are submitted; pairs of runs for each round


def _bailiff(application=None, workers=0):
    settings = {"execution": {"workers": workers}, "limits": {"subject": {"unfinished_jobs": 0}}}
    return peers.Bailiff(application, settings)


def _number(bailiff, sql):
    return bailiff.server.query(f"SELECT {sql} AS n FROM job")[0]["n"]


def _unfinished(bailiff):
    return bailiff.server.query("SELECT count(*) AS n FROM job WHERE ended_at = 0")[0]["n"]


def _await_all(bailiff):
    """Waits until all jobs have ended; the store says when each of them did."""
    end = time.monotonic() + PATIENCE_S
    while left := _unfinished(bailiff):
        if time.monotonic() > end:
            raise RuntimeError(f"after {PATIENCE_S} s {left} jobs are unfinished")
        time.sleep(POLL_S)
    wrong = _number(bailiff, "sum(status <> 'COMPLETED')")
    if wrong:
        raise RuntimeError(f"{wrong} jobs did not complete")


def _submit_for(bailiff, folder, path, token, seconds):
    return load.run(folder, bailiff.pid, bailiff.url(path), seconds, token=token, method="POST", connections=CONNECTIONS)


def _path(bailiff, config_id):
    return f"/api/v1/tasks/submit/{bailiff.server.create(config_id)['id']}/"


# ---- many at once, and one at a time ----


def _many(bailiff, folder, path, token, seconds):
    """(jobs/s from the first submit to the last end, submits/s, CPU µs/job, jobs/s once nothing is submitted any more)"""
    before, cpu = _number(bailiff, "coalesce(max(seq), 0)"), machine.cpu_s(bailiff.pid)
    submits = _submit_for(bailiff, folder, path, token, seconds)
    submitted_ms = time.time() * 1e3
    _await_all(bailiff)
    cpu = machine.cpu_s(bailiff.pid) - cpu
    columns = f"count(*) AS jobs, min(created_at) AS begin, max(ended_at) AS end, sum(ended_at > {submitted_ms}) AS late"
    row = bailiff.server.query(f"SELECT {columns} FROM job WHERE seq > {before}")[0]
    drained = row["late"] / (row["end"] - submitted_ms) * 1e3
    return row["jobs"] / (row["end"] - row["begin"]) * 1e3, submits.rate, cpu * 1e6 / row["jobs"], drained


def _alone(bailiff, path, token):
    """(median, 99th percentile) in milliseconds of jobs, one after the other."""
    taken = []
    for _ in range(ONE_AT_A_TIME):
        begin = time.monotonic()
        answer = bailiff.server.client.request("POST", path, token, headers={"Prefer": "return=representation, wait=30"})
        taken.append((time.monotonic() - begin) * 1e3)
        if answer.status != 200 or answer.json()["job"]["status"] != "COMPLETED":
            raise RuntimeError(f"a job was answered {answer}")
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def _medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


def _functions(options, folder, report):
    rows, best = [], 0
    for workers in (machine.cores(), MANY_WORKERS):
        bailiff = _bailiff(workers=workers)
        try:
            token, path = bailiff.token("TAIPY_ADMIN"), _path(bailiff, "noop")
            _many(bailiff, folder, path, token, 1)
            many, alone = [], []
            for _ in range(options.rounds):
                options.say(f"  functions, {workers} workers")
                many.append(_many(bailiff, folder, path, token, options.seconds))
                alone.append(_alone(bailiff, path, token))
                bailiff.forget_log()
            broken = bailiff.server.verify_audit()
            if broken.returncode != 0:
                raise RuntimeError(f"the audit chain is broken: {broken.stderr}")
        finally:
            bailiff.close()
        rows.append([f"{workers} workers", *_medians(many), *_medians(alone)])
        best = max(best, rows[-1][1])
    report.table(
        "Python functions that do nothing",
        ["", "jobs/s", "submits/s meanwhile", "CPU µs/job, all processes", "jobs/s without submits", "alone: p50 ms", "p99 ms"],
        rows,
        f"From the first submit to the last end, {CONNECTIONS} connections over TLS 1.3 that submit for {options.seconds} s, as fast as they are "
        "answered; every state is on disk before it is seen. Alone: one after the other, over one connection.",
    )
    report.target("execution: jobs a second", best, 3000, at_least=True)
    report.target("execution: one at a time, median", rows[0][5], 5, unit="ms")


# ---- commands ----


def _spawn_alone(options, at_once):
    command = [options.tool("bench_spawn"), str(options.seconds), str(at_once), NOTHING]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    return told["spawned"] / told["seconds"], told["cpu_us"] / told["spawned"]


def _commands(options, folder, report):
    application = os.path.join(folder, "commands.yaml")
    with open(application, "w", encoding="utf-8") as file:
        file.write(f"tasks:\n  nothing: {{command: [{NOTHING}]}}\n")
    rows, best = [], 0
    for at_once in COMMANDS_AT_ONCE:
        bailiff = _bailiff(application, workers=at_once)
        ours, theirs = [], []
        try:
            token, path = bailiff.token("TAIPY_ADMIN"), _path(bailiff, "nothing")
            _many(bailiff, folder, path, token, 1)
            for _ in range(options.rounds * COMMAND_ROUNDS):
                options.say(f"  commands, {at_once} at once")
                theirs.append(_spawn_alone(options, at_once))
                ours.append(_many(bailiff, folder, path, token, COMMANDS_S))
                bailiff.forget_log()
        finally:
            bailiff.close()
        _, _, cpu, rate = _medians(ours)
        ratio = statistics.median(a[3] / b[0] for a, b in zip(ours, theirs))
        rows.append([f"{at_once} at once", rate, cpu, *_medians(theirs), f"{ratio:.2f}"])
        best = max(best, ratio)
    report.table(
        f"Commands: {NOTHING}",
        ["", "bailiff: a second", "CPU µs each", "posix_spawn and waitpid alone: a second", "CPU µs each", "bailiff of it"],
        rows,
        "Of a queue that is filled first; a folder, a log pipe, a keeper's look for what was left behind and two durable transitions each. The ratio is the median of "
        "runs side by side.",
    )
    report.target("execution: commands, of what posix_spawn reaches", best, 0.7, at_least=True)


# ---- a long queue ----


def _best_get(bailiff, folder, path, token):
    """Median in ms, of the best of several runs. All cores are kept busy: alone, a request takes as long as a core needs to wake up."""
    runs = (load.run(folder, bailiff.pid, bailiff.url(path), 1, token=token, connections=CONNECTIONS) for _ in range(TRIES))
    return min(run.p50_ms for run in runs)


class _Queue:
    """A server with so many jobs queued, whose workers are kept busy until everything but the last was measured."""

    def __init__(self, folder, wanted):
        self.folder, self.wanted, self.bailiff = folder, wanted, _bailiff()
        self.token, self.path = self.bailiff.token("TAIPY_ADMIN"), _path(self.bailiff, "noop")
        self.job_id = [self.bailiff.server.run_gated()[1] for _ in range(machine.cores())][-1]
        self.submits = []

    def fill(self):
        while _unfinished(self.bailiff) < self.wanted:
            _submit_for(self.bailiff, self.folder, self.path, self.token, 1)
            self.bailiff.forget_log()

    def submit(self):
        self.submits.append(_submit_for(self.bailiff, self.folder, self.path, self.token, 1).rate)

    def get(self, path):
        return _best_get(self.bailiff, self.folder, path, self.token)

    def let_go(self):
        """Jobs/s."""
        self.bailiff.server.open_gate()
        begin_ms = int(time.time() * 1e3) + SETTLE_MS
        time.sleep((SETTLE_MS + WINDOW_MS) / 1e3 + 0.2)
        ended = f"ended_at > {begin_ms} AND ended_at <= {begin_ms + WINDOW_MS}"
        return _number(self.bailiff, f"sum({ended})") * 1e3 / WINDOW_MS


def _long_queue(options, folder, report):
    """The two servers take turns, so that a slow minute of the machine's is both of theirs."""
    rows, queues = [], []
    options.say(f"  none and {LONG_QUEUE:,} jobs queued")
    try:
        for wanted in (0, LONG_QUEUE):
            queues.append(_Queue(folder, wanted))
            queues[-1].fill()
        for turn in range(2 * options.rounds + 1):
            for queue in reversed(queues) if turn % 2 else queues:
                queue.submit()
        submits = statistics.median(long / short for short, long in zip(queues[0].submits, queues[1].submits))
        gets = [[queue.get(f"/api/v1/jobs/{queue.job_id}/") for queue in queues] for _ in range(options.rounds)]
        pages = [queue.get("/api/v1/jobs/?status=PENDING&limit=20") for queue in queues]
        for k, queue in enumerate(queues):
            name = f"{queue.wanted:,}" if queue.wanted else "none"
            rows.append([name, statistics.median(queue.submits), min(get[k] for get in gets), pages[k], queue.let_go()])
            queue.bailiff.drop()  # its jobs would have the processors of the next one's
    finally:
        for queue in queues:
            queue.bailiff.drop()
    get, rate = (rows[1][column] / rows[0][column] for column in (2, 4))
    report.table(
        "A long queue",
        ["queued", "submits/s", "GET of a job: p50 ms", "first page of the queue: p50 ms", "jobs/s"],
        rows,
        f"While all of {machine.cores()} workers are busy; then they are let go, and for {WINDOW_MS} ms ends are counted. Two servers that take turns: "
        f"medians of submits, the best of GET, over {CONNECTIONS} connections. What was submitted for the first row is queued when the first page is read.",
    )
    report.target(f"execution: submits/s behind {LONG_QUEUE:,} jobs, of those behind none", submits, 0.9, at_least=True)
    report.target(f"execution: GET's median behind {LONG_QUEUE:,} jobs, of that behind none", get, 1.1)
    report.target(f"execution: jobs/s behind {LONG_QUEUE:,} jobs, of those behind none", rate, 0.9, at_least=True)


def bench(options, folder, report, _):
    options.say("execution")
    _functions(options, folder, report)
    _commands(options, folder, report)
    _long_queue(options, folder, report)
