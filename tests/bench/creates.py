"""Durable creates over TLS, against SQLite alone writing the same rows."""

import json
import os
import sqlite3
import subprocess

import load
import peers

# config id, data nodes of its own
KINDS = (("noop", 0), ("double", 2))


def _copy_database(bailiff, path):
    source = sqlite3.connect(f"file:{bailiff.server.path('data', 'bailiff.db')}?mode=ro", uri=True)
    copy = sqlite3.connect(path)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()


def _sqlite_alone(options, bailiff, folder, data_nodes):
    """Creates per second."""
    path = os.path.join(folder, "alone.db")
    _copy_database(bailiff, path)
    try:
        command = [options.tool("bench_sqlite"), path, str(options.seconds), str(load.CONNECTIONS), str(data_nodes)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    finally:
        for end in ("", "-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
    return told["tasks"] / told["seconds"]


def bench(options, folder, report, _):
    options.say("creates")
    rows = []
    for config_id, data_nodes in KINDS:
        results, alone = [], []
        bailiff = peers.Bailiff()
        try:
            token = bailiff.token("TAIPY_EDITOR")
            url = bailiff.url("/api/v1/tasks/?config_id=" + config_id)
            load.run(folder, bailiff.pid, url, 1, token=token, method="POST")
            for _ in range(options.rounds):
                options.say(f"  {config_id}")
                alone.append(_sqlite_alone(options, bailiff, folder, data_nodes))
                results.append(load.run(folder, bailiff.pid, url, options.seconds, token=token, method="POST"))
                bailiff.forget_log()
            acknowledged = sum(result.requests for result in results)
            stored = bailiff.server.query("SELECT count(*) AS n FROM task")[0]["n"]
            if stored < acknowledged:
                raise RuntimeError(f"{acknowledged} creates were acknowledged, {stored} are stored")
            broken = bailiff.server.verify_audit()
            if broken.returncode != 0:
                raise RuntimeError(f"the audit chain is broken: {broken.stderr}")
        finally:
            bailiff.close()
        numbers = [load.median(results, what) for what in ("rate", "p50_ms", "p99_ms", "max_ms", "cpu_us")]
        sqlite_rate = sorted(alone)[len(alone) // 2]
        rows.append([f"{config_id}: {data_nodes} data nodes", *numbers, sqlite_rate, f"{numbers[0] / sqlite_rate:.2f}"])
    report.table(
        "Tasks created durably",
        ["task", "creates/s", "p50 ms", "p99 ms", "max ms", "CPU µs/create", "SQLite alone, /s", "of it"],
        rows,
        f"POST over TLS 1.3, {load.CONNECTIONS} connections; each answer comes after its rows and its audit record are on disk. SQLite alone: "
        f"the same rows, {load.CONNECTIONS} tasks a transaction, one thread, no hash, no network.",
    )
    report.target("creates: a second, a task without data nodes", rows[0][1], 15000, at_least=True)
    report.target("creates: p99 without checkpoint stalls", rows[0][3], 25, unit="ms")
