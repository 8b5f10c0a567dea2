"""From submit to COMPLETED: Python functions that do nothing, every state durable."""

import concurrent.futures
import statistics
import time

import machine
import peers

JOBS_A_ROUND = 2000
CLIENTS = 16
ONE_AT_A_TIME = 200
PATIENCE_S = 300


def _completed(bailiff):
    return bailiff.server.query("SELECT count(*) AS n FROM job WHERE status = 'COMPLETED'")[0]["n"]


def _many(bailiff, path, token):
    """(submits/s, jobs/s from the first submit to the last end, CPU µs/job) of many jobs at once."""
    server = bailiff.server

    def submit(_):
        answer = server.client.request("POST", path, token)
        if answer.status != 204:
            raise RuntimeError(f"a submit was answered {answer}")

    wanted = _completed(bailiff) + JOBS_A_ROUND
    cpu, begin = machine.cpu_s(bailiff.pid), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(submit, range(JOBS_A_ROUND)))
        submitted = time.monotonic() - begin
    while _completed(bailiff) < wanted:
        if time.monotonic() - begin > PATIENCE_S:
            raise RuntimeError(f"after {PATIENCE_S} s {wanted - _completed(bailiff)} of {JOBS_A_ROUND} jobs are unfinished")
        time.sleep(0.01)
    spent = time.monotonic() - begin
    return JOBS_A_ROUND / submitted, JOBS_A_ROUND / spent, (machine.cpu_s(bailiff.pid) - cpu) * 1e6 / JOBS_A_ROUND


def _alone(bailiff, path, token):
    """Milliseconds of each of some jobs, one after the other."""
    taken = []
    for _ in range(ONE_AT_A_TIME):
        begin = time.monotonic()
        answer = bailiff.server.client.request("POST", path, token, headers={"Prefer": "return=representation, wait=30"})
        taken.append((time.monotonic() - begin) * 1e3)
        if answer.status != 200 or answer.json()["job"]["status"] != "COMPLETED":
            raise RuntimeError(f"a job was answered {answer}")
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def bench(options, folder, report, _):
    options.say("execution")
    bailiff = peers.Bailiff()
    try:
        token = bailiff.token("TAIPY_ADMIN")
        path = f"/api/v1/tasks/submit/{bailiff.server.create('noop')['id']}/"
        _alone(bailiff, path, token)
        alone, many = [], []
        for _ in range(options.rounds):
            options.say(f"  {JOBS_A_ROUND} jobs")
            alone.append(_alone(bailiff, path, token))
            many.append(_many(bailiff, path, token))
            bailiff.forget_log()
    finally:
        bailiff.close()
    p50, p99 = (statistics.median(run[i] for run in alone) for i in range(2))
    submits, jobs, cpu = (statistics.median(run[i] for run in many) for i in range(3))
    report.table(
        "Python functions that do nothing",
        ["", "jobs/s", "submits/s", "CPU µs/job, all processes", "p50 ms", "p99 ms"],
        [[f"{JOBS_A_ROUND:,} at once, {CLIENTS} clients", jobs, submits, cpu, "–", "–"], ["one at a time", 1000 / p50, "–", "–", p50, p99]],
        "From submit to COMPLETED; every state is on disk before it is seen. Two workers.",
    )
    report.target("execution: jobs a second", jobs, 3000, at_least=True)
    report.target("execution: one at a time, median", p50, 5, unit="ms")
