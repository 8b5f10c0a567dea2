"""bailiff tasks, jobs, submissions: the commands that are clients of a running server, used as a person and as a script would.

    /usr/bin/python3 tests/e2e/cli_test.py [-v] [Class.test]
"""

import http.server
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from lib import apps, tokens, yamltext
from lib.server import PATIENCE_S, PROGRAM, SOURCE, Server, ServerCase, free_port, run, wait_until

FUNCTIONS = r'''
import os
import sys
import time

ESCAPES = b"\x1b]0;owned\x07\x1b[2J\xc2\x9b31m\xff\rfaked\n"


def hostile(nb):
    sys.stdout.buffer.write(ESCAPES)
    sys.stdout.flush()
    raise ValueError("\x1b[2J\u202e\x9b31m\nstatus: COMPLETED")


def flaky(nb):
    print("attempt", os.environ["BAILIFF_ATTEMPT"], flush=True)
    if os.environ["BAILIFF_ATTEMPT"] != "3":
        raise OSError("not yet")


def stages(gate):
    print("one", flush=True)
    while not os.path.exists(gate):
        time.sleep(0.05)
    print("two", flush=True)
'''
ESCAPES = b"\x1b]0;owned\x07\x1b[2J\xc2\x9b31m\xff\rfaked\n"

TASKS = """
[TASK.hostile]
function = "fns.hostile:function"
inputs = [ "nb:SECTION",]
outputs = [ "failed_out:SECTION",]

[TASK.flaky]
function = "fns.flaky:function"
inputs = [ "nb:SECTION",]
outputs = []

[TASK.stages]
function = "fns.stages:function"
inputs = [ "gate_file:SECTION",]
outputs = [ "gated_out:SECTION",]
"""
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")  # all but the newline


class Said:
    def __init__(self, status, out, err):
        self.status, self.raw, self.err = status, out, err

    @property
    def out(self):
        return self.raw.decode()

    def json(self):
        return json.loads(self.raw)

    def lines(self):
        return self.out.splitlines()

    def __repr__(self):
        return f"exit status {self.status}\n{self.raw!r}\n{self.err}"


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIFF") and name != "XDG_CONFIG_HOME"}
    return {**kept, "TZ": "UTC", "HOME": "/nonexistent", **changes}


def command(*arguments, **variables):
    done = subprocess.run(
        [PROGRAM, *arguments], capture_output=True, timeout=PATIENCE_S, env=environment(**variables), stdin=subprocess.DEVNULL
    )
    return Said(done.returncode, done.stdout, done.stderr.decode())


def on_terminal(*arguments, **variables):
    """The same, with a terminal as standard output."""
    terminal, end = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdout=end, stderr=subprocess.DEVNULL, env=environment(**variables))
    os.close(end)
    received = b""
    try:
        while piece := os.read(terminal, 65536):
            received += piece
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    return Said(process.wait(PATIENCE_S), received.replace(b"\r\n", b"\n"), "")


class Case(ServerCase):
    """A server that is also reached without TLS, over a Unix socket and with a client's certificate; profiles of every role."""

    @classmethod
    def make_application(cls, folder):
        path = apps.taipy(folder)
        with open(path, "a", encoding="utf-8") as file:
            file.write(TASKS)
        with open(os.path.join(folder, "fns.py"), "a", encoding="utf-8") as file:
            file.write(FUNCTIONS)
        return path

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.server = Server(cls.make_application(os.path.join(folder, "app")), None, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", folder, "--client", "cli"])
        cls.plain, held_plain = free_port()
        cls.mutual, held_mutual = free_port()
        cls.addClassCleanup(held_plain.close)
        cls.addClassCleanup(held_mutual.close)
        cls.server.settings["server"]["listeners"] += [
            {"address": "127.0.0.1", "port": cls.plain, "tls": False},
            {"address": cls.server.path("b.sock"), "tls": False},
            {"address": "127.0.0.1", "port": cls.mutual, "certificate": "server.pem", "key": "server-key.pem",
             "client_ca": "clients-ca.pem"},
        ]
        cls.server.write_config()
        cls.server.start()
        cls.write_profiles()

    @classmethod
    def write_profiles(cls):
        url = f"https://localhost:{cls.server.port}"
        profiles = {}
        for role in ("reader", "editor", "executor", "admin"):
            cls.server.write_secret(role + ".jwt", cls.server.token("TAIPY_" + role.upper()).encode() + b"\n")
            profiles[role] = {"url": url, "ca_file": "ca.pem", "token_file": role + ".jwt"}
        cls.server.write_secret("client.yaml", (yamltext.dump({"default": "admin", "profiles": profiles}) + "\n").encode())

    def cli(self, *arguments, **variables):
        return command(*arguments, BAILIFF_CLIENT=self.server.path("client.yaml"), **variables)

    def good(self, *arguments):
        said = self.cli(*arguments)
        self.assertEqual(said.status, 0, said)
        return said

    def refused(self, status, words, *arguments, **variables):
        said = self.cli(*arguments, **variables)
        self.assertEqual(said.status, status, said)
        self.assertEqual(said.out, "", said)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, said.err)
        self.assertEqual(len(said.err.splitlines()), 1, said)
        return said

    def create(self, config_id):
        return self.good("tasks", "create", config_id).out.strip()


class Commands(Case):
    def test_a_tasks_life(self):
        task = self.create("double")
        self.assertRegex(task, r"^TASK_double_[0-9a-f-]{36}$")
        titles, *rows = self.good("tasks", "list", "--config-id", "double").lines()
        self.assertEqual(titles.split(), ["ID", "CONFIGURATION", "CREATED", "BY"])
        mine = [row for row in rows if row.startswith(task)]
        self.assertEqual(len(mine), 1)
        self.assertEqual(mine[0].index("double ", 20), titles.index("CONFIGURATION"))  # aligned
        self.assertRegex(mine[0], r"double +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  test-taipy_admin$")
        shown = self.good("tasks", "show", task).out
        self.assertRegex(shown, rf"(?m)^id: +{task}$")
        self.assertRegex(shown, r"(?m)^owner_id: +-$")
        self.assertRegex(shown, r"(?m)^created_at: +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \+0000$")
        document = self.good("tasks", "show", task, "--json").json()
        self.assertEqual(document, self.request("GET", f"/api/v1/tasks/{task}/").json())

        submitted = self.good("tasks", "submit", task, "--wait", "60").out.split()
        self.assertRegex(submitted[0], r"^JOB_double_")
        self.assertEqual(submitted[1], "COMPLETED")
        self.assertRegex(submitted[2], r"^\d+(ms|\.\ds)$")
        followed = self.good("tasks", "submit", task, "--follow")
        self.assertEqual(followed.out, "doubling 21\n")
        self.assertRegex(followed.err, r"is submitted\.\nJOB_\S+  COMPLETED  \S+\n$")
        self.assertEqual(self.good("tasks", "delete", task).out, f"Task {task} was deleted.\n")
        self.refused(4, "does not exist", "tasks", "show", task)

    def test_every_answer_as_json(self):
        task = self.good("tasks", "create", "double", "--json").json()["task"]["id"]
        job = self.good("tasks", "submit", task, "--json").json()["job"]["id"]
        ended = self.good("tasks", "submit", task, "--wait", "1m", "--json").json()
        self.assertEqual(ended["job"]["status"], "COMPLETED")
        self.assertEqual(ended["task"]["id"], task)
        self.server.wait_job(job)
        self.assertEqual(self.good("jobs", "show", job, "--json").json()["job"]["status"], "COMPLETED")
        self.assertIn(job, [row["id"] for row in self.good("jobs", "list", "--task-id", task, "--json").json()])
        submissions = self.good("submissions", "list", "--entity-id", task, "--json").json()
        self.assertEqual([row["status"] for row in submissions], ["COMPLETED"] * 2)
        one = self.good("submissions", "show", submissions[0]["id"], "--json").json()["submission"]
        self.assertEqual(one, submissions[0])
        self.assertEqual(self.good("jobs", "list", "--task-id", "TASK_none", "--json").json(), [])
        self.assertIn("message", self.good("jobs", "delete", job, "--json").json())
        self.assertIn("message", self.good("tasks", "delete", task, "--json").json())
        made = self.good("jobs", "create", "double", "--json").json()["job"]
        self.assertEqual(made["status"], "SUBMITTED")
        self.assertEqual(self.good("jobs", "cancel", made["id"], "--json").json()["job"]["status"], "CANCELED")

    def test_jobs(self):
        job = self.good("jobs", "create", "double").out.strip()
        self.assertRegex(job, r"^JOB_double_")
        titles, *rows = self.good("jobs", "list", "--status", "SUBMITTED").lines()
        self.assertEqual(titles.split(), ["ID", "STATUS", "CREATED", "RAN", "BY"])
        self.assertEqual([row.split()[1] for row in rows if row.startswith(job)], ["SUBMITTED"])
        self.assertEqual(self.good("jobs", "submit", job, "--wait", "60").out.split()[:2], [job, "COMPLETED"])
        self.refused(1, ["409", "submitted already"], "jobs", "submit", job)
        self.refused(1, ["409", "ended already"], "jobs", "cancel", job)
        self.assertEqual(self.good("jobs", "log", job).out, "doubling 21\n")
        self.assertEqual(self.good("jobs", "log", job, "--follow").out, "doubling 21\n")
        self.assertRegex(self.good("jobs", "show", job).out, r"(?m)^status: +COMPLETED$")
        self.assertEqual(self.good("jobs", "delete", job).out, f"Job {job} was deleted.\n")
        self.refused(4, "404", "jobs", "log", job)
        self.refused(4, "404", "jobs", "log", job, "--follow")

    def test_a_running_job_is_canceled(self):
        job = self.good("tasks", "submit", self.create("brood")).out.strip()
        self.server.wait_job(job, "RUNNING")
        self.assertEqual(self.good("jobs", "cancel", job).out, f"Job {job} is being stopped.\n")
        self.server.wait_job(job, "CANCELED")
        said = self.cli("jobs", "log", job, "--follow")
        self.assertEqual(said.status, 5, said)
        self.assertIn(f"{job} is CANCELED", said.err)

    def test_how_jobs_end(self):
        failing = self.create("failing")
        for how in (["--wait", "60"], ["--follow"], ["--wait", "60", "--json"]):
            said = self.cli("tasks", "submit", failing, *how)
            self.assertEqual(said.status, 5, said)
            self.assertRegex(said.err, r"JOB_failing_\S+ is FAILED: ValueError: boom: 21\n$")
        gated = self.cli("tasks", "submit", self.create("gated"), "--wait", "300ms")
        self.assertEqual(gated.status, 6, gated)
        job, status = gated.out.split()
        self.assertIn(status, ("RUNNING", "PENDING"))
        self.assertIn(f"{job} is still {status}.", gated.err)
        self.good("jobs", "cancel", job)
        skippable = self.create("skippable")
        self.assertEqual(self.good("tasks", "submit", skippable, "--wait", "60").out.split()[1], "COMPLETED")
        self.assertEqual(self.good("tasks", "submit", skippable, "--wait", "60").out.split()[1], "SKIPPED")
        self.assertEqual(self.good("tasks", "submit", skippable, "--wait", "60", "--force").out.split()[1], "COMPLETED")

    def test_limits_of_a_submit(self):
        flaky = self.create("flaky")
        followed = self.good("tasks", "submit", flaky, "--retries", "2", "--follow")  # over all attempts
        self.assertEqual(followed.out, "attempt 1\nattempt 2\nattempt 3\n")
        job = followed.err.split()[0]
        self.assertEqual(self.good("jobs", "show", job, "--json").json()["job"]["attempt"], 3)
        self.assertEqual(self.good("jobs", "log", job).out, "attempt 3\n")  # of the last one
        said = self.cli("tasks", "submit", self.create("gated"), "--timeout", "200ms", "--wait", "60")
        self.assertEqual((said.status, said.out.split()[1]), (5, "FAILED"), said)
        self.refused(1, ["400", "timeout must be"], "tasks", "submit", flaky, "--timeout", "soon")
        self.refused(2, "--retries must be a number", "tasks", "submit", flaky, "--retries", "-1")

    def test_the_queue(self):
        self.assertRegex(self.good("queue", "status").out, r"(?m)^paused: +false$")
        self.assertIn("paused", self.good("queue", "pause", "--reason", "disk \u009b full").out)
        try:
            shown = self.good("queue", "status").out
            self.assertRegex(shown, r"(?m)^paused: +true$")
            self.assertIn(r"disk \x9b full", shown)
            self.assertEqual(self.cli("tasks", "submit", self.create("double"), "--wait", "1").status, 6)
            self.assertTrue(self.good("queue", "status", "--json").json()["queue"]["paused"])
            self.refused(3, "403", "queue", "resume", "--profile", "executor")
        finally:
            self.assertFalse(self.good("queue", "resume", "--json").json()["queue"]["paused"])

    def test_lists_of_many_pages(self):
        made = [self.server.create("csv_to_json")["id"] for _ in range(1003)]
        few = self.cli("tasks", "list", "--config-id", "csv_to_json", "--limit", "3", "--json")
        self.assertEqual([row["id"] for row in few.json()], made[:-4:-1])  # the newest first
        self.assertIn("There are more", few.err)
        many = self.good("tasks", "list", "--config-id", "csv_to_json", "--all", "--json")
        self.assertEqual([row["id"] for row in many.json()], made[::-1])
        self.assertEqual(many.err, "")
        table = self.good("tasks", "list", "--config-id", "csv_to_json", "--limit", "1002", "--sort", "created_at").lines()
        self.assertEqual([row.split()[0] for row in table], ["ID"] + made[:1002])
        self.assertEqual(len(self.good("tasks", "list", "--config-id", "csv_to_json").lines()), 51)

    def test_filters(self):
        task = self.create("noop")
        self.assertIn(task, self.good("tasks", "list", "--created-after", "1h", "--all").out)
        self.assertNotIn(task, self.good("tasks", "list", "--created-before", "1h", "--all").out)
        self.assertNotIn(task, self.good("tasks", "list", "--created-after", "2999-01-01T00:00:00Z").out)
        self.assertIn(task, self.good("tasks", "list", "--config-id", "noop", "--version", "development").out)
        self.assertEqual(self.good("tasks", "list", "--config-id", "a&limit=1#?%").out, "")
        self.refused(1, ["400", "immutable"], "tasks", "list", "--sort", "owner_id")
        self.refused(1, ["400", "there is no job status 'FINISHED'"], "jobs", "list", "--status", "FINISHED")
        self.refused(1, ["400", "there is no job status ''"], "jobs", "list", "--status", "FAILED,")
        waiting = self.good("jobs", "create", "noop").out.strip()
        done = self.good("tasks", "submit", task, "--wait", "60").out.split()[0]
        failed = self.cli("tasks", "submit", self.create("failing"), "--wait", "60").out.split()[0]
        listed = [row["id"] for row in self.good("jobs", "list", "--status", "FAILED,SUBMITTED", "--all", "--json").json()]
        self.assertEqual([listed.count(job) for job in (waiting, done, failed)], [1, 0, 1])
        listed = self.good("submissions", "list", "--status", "COMPLETED,FAILED", "--all", "--json").json()
        self.assertEqual([sum(job in row["job_ids"] for row in listed) for job in (waiting, done, failed)], [0, 1, 1])

    def test_events(self):
        job = self.good("tasks", "submit", self.create("double"), "--wait", "60").out.split()[0]
        for more in ([], ["--follow"]):
            titles, *rows = self.good("jobs", "events", job, *more).lines()
            self.assertEqual(titles.split(), ["TIME", "JOB", "ATTEMPT", "STATUS"])
            self.assertEqual([row.split()[2:] for row in rows], [[job, "0", "PENDING"], [job, "1", "RUNNING"], [job, "1", "COMPLETED"]])
        events = [json.loads(line) for line in self.good("jobs", "events", job, "--json").lines()]
        self.assertEqual([event["status"] for event in events], ["PENDING", "RUNNING", "COMPLETED"])
        failed = self.cli("tasks", "submit", self.create("failing"), "--wait", "60").out.split()[0]
        said = self.cli("jobs", "events", failed, "--follow")
        self.assertEqual((said.status, said.lines()[-1].split()[-1]), (5, "FAILED"))
        running = self.good("tasks", "submit", self.create("gated")).out.strip()
        self.server.wait_job(running, "RUNNING")
        self.assertEqual(self.good("jobs", "events", running).lines()[-1].split()[-1], "RUNNING")  # so far
        self.good("jobs", "cancel", running)
        self.refused(4, "404", "jobs", "events", "JOB_none")
        self.refused(2, "name a JOB", "jobs", "events")
        self.refused(2, "leave JOB out", "jobs", "events", job, "--status", "FAILED")
        self.refused(1, "400", "jobs", "events", "--follow", "--status", "FINISHED")

    def test_an_idempotency_key_of_ones_own(self):
        once = [self.good("tasks", "create", "noop", "--idempotency-key", "nightly-7").out for _ in range(2)]
        self.assertEqual(once[0], once[1])
        self.refused(1, "422", "tasks", "create", "double", "--idempotency-key", "nightly-7")
        self.refused(2, "--idempotency-key", "tasks", "create", "double", "--idempotency-key", 'a"b')

    def test_help(self):
        for name in ("tasks", "jobs", "submissions", "queue"):
            said = command(name)
            self.assertEqual(said.status, 2)
            for words in re.findall(rf"{name} \w+", said.err):
                self.assertIn(f"usage: bailiff {words}", command(*words.split(), "--help").out)


class Refusals(Case):
    """What goes wrong is said in a line, and by the exit status."""

    def test_who_may_what(self):
        task = self.create("noop")
        self.good("tasks", "show", task, "--profile", "reader")
        self.refused(3, ["403", "tasks:create", "(request "], "tasks", "create", "noop", "--profile", "reader")
        self.refused(3, "403", "tasks", "submit", task, "--profile", "editor")
        self.refused(3, "403", "tasks", "delete", task, "--profile", "executor")
        self.refused(3, "403", "tasks", "create", "noop", BAILIFF_PROFILE="reader")
        self.refused(4, ["404", "Task config: nothing"], "tasks", "create", "nothing")
        self.refused(2, "is no id", "tasks", "show", "../jobs")
        self.refused(2, "is no id", "tasks", "delete", "a?b")

    def test_tokens(self):
        self.server.write_secret("old.jwt", self.server.hs_token(exp=int(time.time()) - 60).encode())
        self.refused(3, ["401", "expired", self.server.path("old.jwt")], "tasks", "list", "--token-file", self.server.path("old.jwt"))
        self.server.write_secret("bad.jwt", b"two words\n")
        self.refused(2, "holds no token", "tasks", "list", "--token-file", self.server.path("bad.jwt"))
        self.server.write_secret("empty.jwt", b"\n")
        self.refused(2, "holds no token", "tasks", "list", "--token-file", self.server.path("empty.jwt"))
        self.refused(2, "No such file", "tasks", "list", "--token-file", self.server.path("none.jwt"))
        self.server.write_secret("open.jwt", b"x")
        os.chmod(self.server.path("open.jwt"), 0o644)
        self.refused(2, "chmod 600 " + self.server.path("open.jwt"), "tasks", "list", "--token-file", self.server.path("open.jwt"))

    def test_profiles(self):
        self.refused(2, 'no profile "raeder"; did you mean "reader"?', "tasks", "list", "--profile", "raeder")
        self.server.write_secret("wrong.yaml", b"profiles:\n  a:\n    url: https://a.example\n    tokn_file: x\n")
        wrong = command("tasks", "list", BAILIFF_CLIENT=self.server.path("wrong.yaml"))
        self.assertEqual((wrong.status, wrong.out), (2, ""))
        self.assertIn("wrong.yaml:4: ", wrong.err)
        self.assertIn('did you mean "token_file"?', wrong.err)
        os.chmod(self.server.path("wrong.yaml"), 0o644)
        said = command("tasks", "list", BAILIFF_CLIENT=self.server.path("wrong.yaml"))
        self.assertEqual(said.status, 2)
        self.assertIn("chmod 600", said.err)
        nowhere = command("tasks", "list", HOME=self.server.path("nobody"))
        self.assertEqual(nowhere.status, 2)
        self.assertIn(self.server.path("nobody", ".config/bailiff/client.yaml") + ": cannot be read", nowhere.err)

    def test_where_profiles_lie(self):
        os.makedirs(self.server.path("xdg", "bailiff"))
        os.symlink(self.server.path("client.yaml"), self.server.path("xdg", "bailiff", "client.yaml"))
        said = command("tasks", "list", XDG_CONFIG_HOME=self.server.path("xdg"))
        self.assertEqual(said.status, 0, said)

    def test_what_goes_before_what(self):
        url, ca, token = f"https://127.0.0.1:{self.server.port}", self.server.path("ca.pem"), self.server.path("reader.jwt")
        given = ["--url", url, "--ca", ca, "--token-file", token]
        self.assertEqual(command("tasks", "list", *given).status, 0)
        self.assertEqual(command("tasks", "create", "noop", *given).status, 3)
        self.assertEqual(command("tasks", "list", BAILIFF_URL=url, BAILIFF_CA=ca, BAILIFF_TOKEN_FILE=token).status, 0)
        # the token of the default profile is not sent to an address that was given by itself
        self.refused(2, f"there is no token for {url}", "tasks", "list", "--url", url, "--ca", ca)
        self.refused(2, f"there is no token for {url}", "tasks", "list", BAILIFF_URL=url)
        # a named profile goes before the environment, an option before the profile
        self.good("tasks", "list", "--profile", "admin", "--url", url)
        self.assertEqual(self.cli("tasks", "list", "--profile", "admin", BAILIFF_URL="https://localhost:1").status, 0)
        self.refused(3, "403", "tasks", "create", "noop", "--profile", "admin", "--token-file", token)
        self.refused(3, "403", "tasks", "create", "noop", BAILIFF_TOKEN_FILE=token)

    def test_the_server_is_not_there(self):
        port, held = free_port()
        with held:
            self.refused(1, ["cannot be reached", str(port)], "tasks", "list", "--profile", "admin", "--url", f"https://localhost:{port}")
        self.refused(1, ["cannot be reached", "resolve"], "tasks", "list", "--profile", "admin", "--url", "https://no.such.host.invalid")

    def test_it_is_another_server(self):
        other = self.server.path("other")
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", other])
        for words in (["tasks", "list"], ["tasks", "create", "noop"], ["jobs", "log", "JOB_x"]):
            self.refused(1, ["cannot be reached", "certificate", "--ca"], *words, "--ca", os.path.join(other, "ca.pem"))
        self.refused(1, "cannot be reached", "tasks", "list", "--ca", self.server.path("none.pem"))
        self.refused(1, "cannot be reached", "tasks", "list", "--profile", "admin", "--url", f"https://127.0.0.2:{self.server.port}")
        self.refused(2, "only this very machine", "tasks", "list", "--profile", "admin", "--url", "http://example.com")
        self.refused(2, "cannot be called", "tasks", "list", "--profile", "admin", "--url", "ftp://localhost")

    def test_ways_that_are_no_tls(self):
        for url in (f"http://127.0.0.1:{self.plain}", f"http://localhost:{self.plain}/", "unix:" + self.server.path("b.sock")):
            self.good("tasks", "list", "--profile", "admin", "--url", url)

    def test_a_clients_certificate(self):
        url = f"https://localhost:{self.mutual}"
        settings = {"url": url, "ca_file": "ca.pem", "token_file": "reader.jwt"}
        with_key = {**settings, "certificate": "client-cli.pem", "key": "client-cli-key.pem"}
        self.server.write_secret("mutual.yaml", yamltext.dump({"profiles": {"with": with_key, "without": settings}}).encode())
        file = self.server.path("mutual.yaml")
        self.assertEqual(command("tasks", "list", "--profile", "with", BAILIFF_CLIENT=file).status, 0)
        without = command("tasks", "list", "--profile", "without", BAILIFF_CLIENT=file)
        self.assertEqual((without.status, without.out), (1, ""), without)
        os.chmod(self.server.path("client-cli-key.pem"), 0o640)
        self.assertIn("chmod 600", command("tasks", "list", "--profile", "with", BAILIFF_CLIENT=file).err)

    def test_the_reader_goes(self):
        job = self.good("tasks", "submit", self.create("double")).out.strip()
        self.server.wait_job(job)
        for words in (["jobs", "log", job], ["tasks", "list"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S,
                    env=environment(BAILIFF_CLIENT=self.server.path("client.yaml")),
                )
            self.assertEqual(done.returncode, 1, done)


class Hostile(Case):
    """Nothing that comes from others drives a terminal."""

    def run_hostile(self):
        task, job = self.server.run_task("hostile")
        self.assertEqual(job["status"], "FAILED")
        return task, job

    def test_a_jobs_log_and_error(self):
        task, job = self.run_hostile()
        client = {"BAILIFF_CLIENT": self.server.path("client.yaml")}
        self.assertEqual(self.good("jobs", "log", job["id"]).raw, ESCAPES)  # a file gets the bytes
        terminal = on_terminal("jobs", "log", job["id"], **client)
        self.assertEqual(terminal.raw, rb"\x1b]0;owned\a\x1b[2J\x9b31m\xff\rfaked" + b"\n")
        self.assertEqual(on_terminal("jobs", "log", job["id"], "--raw", **client).raw, ESCAPES)
        followed = on_terminal("tasks", "submit", task["id"], "--follow", **client)
        self.assertEqual((followed.status, followed.raw), (5, terminal.raw))
        for words in (["jobs", "show", job["id"]], ["jobs", "list"], ["jobs", "show", job["id"], "--json"], ["jobs", "list", "--json"]):
            said = self.good(*words)
            self.assertIsNone(CONTROLS.search(said.raw), said)
            self.assertNotIn("\u202e", said.out)
        shown = self.good("jobs", "show", job["id"]).out
        self.assertEqual(re.findall(r"(?m)^status: +(\w+)", shown), ["FAILED"], shown)
        document = self.good("jobs", "show", job["id"], "--json").json()["job"]
        self.assertEqual(document["stacktrace"], job["stacktrace"])
        said = self.cli("tasks", "submit", task["id"], "--wait", "60")
        self.assertEqual(said.status, 5)
        self.assertIsNone(CONTROLS.search(said.err.encode()), said)

    def test_a_subject(self):
        name = "eve\u202e\u0301数"  # what an issuer may well put into sub, if the server takes it
        self.server.write_secret("eve.jwt", self.server.hs_token(sub="eve\u0301数据").encode())
        task = self.good("tasks", "create", "noop", "--token-file", self.server.path("eve.jwt")).out.strip()
        titles, *rows = self.good("tasks", "list").lines()
        mine = [row for row in rows if row.startswith(task)]
        self.assertTrue(mine[0].endswith("eve\u0301数据"), mine)
        self.server.write_secret("mallory.jwt", self.server.hs_token(sub=name).encode())
        self.refused(3, "401", "tasks", "list", "--token-file", self.server.path("mallory.jwt"))


class Fake(unittest.TestCase):
    """Servers that do not keep to the contract."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.token = os.path.join(self.folder, "token")
        with os.fdopen(os.open(self.token, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(b"secret-token")
        self.seen = []

    def serve(self, answer):
        """answer(handler) writes what it likes; the address."""
        case = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                case.seen.append((self.command, self.path, dict(self.headers)))
                try:
                    answer(self)
                except OSError:
                    pass  # the client had enough

            do_GET = do_POST = do_DELETE = do_any

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def ask(self, url, *arguments):
        return command(*arguments, "--url", url, "--token-file", self.token)

    def always(self, status, body, **headers):
        def answer(handler):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return self.serve(answer)

    def test_no_redirect_is_followed(self):
        url = self.always(302, b"", Location="/api/v1/elsewhere/")
        said = self.ask(url, "tasks", "list")
        self.assertEqual((said.status, said.out), (1, ""), said)
        self.assertIn("answers 302", said.err)
        self.assertEqual(len(self.seen), 1)

    def test_what_is_no_answer(self):
        for body in (b"", b"<html>", b"[", b'{"results": 3}', b"{}", b"[" * 5000, b'{"a":1,"a":2}', b"\xff"):
            said = self.ask(self.always(200, body), "tasks", "list")
            self.assertEqual((said.status, said.out), (1, ""), (body, said))
            self.assertIn("cannot be used", said.err)
        for location in ("", "/", "/api/v1/jobs/a%0ab/", "/api/v1/jobs/\x1b[2J/"):
            said = self.ask(self.always(202, b"{}", Location=location), "tasks", "submit", "TASK_x")
            self.assertEqual((said.status, said.out), (1, ""), (location, said))

    def test_odd_members_do_no_harm(self):
        rows = [{}, {"id": None}, {"id": ["a", {"b": "\x1b"}]}, 7, None, "x", {"id": "\x1b[2J\n", "created_at": "soon\x07"}]
        said = self.ask(self.always(200, json.dumps({"results": rows}).encode()), "tasks", "list")
        self.assertEqual(said.status, 0, said)
        self.assertIsNone(CONTROLS.search(said.raw), said)
        self.assertEqual(len(said.lines()), 1 + len(rows))
        said = self.ask(self.always(200, json.dumps({"task": {"a\x1b": {"b": "\x7f"}, "stacktrace": ["x\x1b\ny", 1]}}).encode()), "tasks", "show", "T")
        self.assertEqual(said.status, 0, said)
        self.assertIsNone(CONTROLS.search(said.raw), said)

    def test_what_it_says_is_made_harmless(self):
        problem = json.dumps({"detail": "no\x1b[2J\nbailiff: all is well \x9b"}).encode()
        said = self.ask(self.always(503, problem, X_Request_Id="7", Retry_After="9"), "tasks", "list")
        self.assertEqual(said.status, 1)
        self.assertEqual(len(said.err.splitlines()), 1)
        self.assertIn(r"no\x1b[2J\nbailiff: all is well \x9b Try again in 9 s. (request 7)", said.err)

    def test_answers_have_an_end(self):
        def endless(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 40))
            handler.end_headers()
            for _ in range(2000):
                handler.wfile.write(b" " * 65536)

        said = self.ask(self.serve(endless), "tasks", "show", "TASK_x")
        self.assertEqual(said.status, 1)
        self.assertIn("larger than the 1048576 bytes", said.err)

        def endless_head(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for i in range(20000):
                handler.wfile.write(b"X-%d: %s\r\n" % (i, b"x" * 100))

        self.assertEqual(self.ask(self.serve(endless_head), "tasks", "show", "TASK_x").status, 1)

    def test_a_list_that_goes_round(self):
        """The same page for ever: what is printed has an end, for it is asked for so many."""
        body = json.dumps({"results": [{"id": "a"}] * 10, "next": "again"}).encode()
        said = self.ask(self.always(200, body), "tasks", "list", "--limit", "95")
        self.assertEqual((said.status, len(said.lines())), (0, 96))

    def test_a_broken_list_is_no_list(self):
        def answer(handler):
            first = "cursor=" not in handler.path
            body = json.dumps({"results": [{"id": "a"}], "next": "more"} if first else {"detail": "gone"}).encode()
            handler.send_response(200 if first else 500)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        said = self.ask(self.serve(answer), "tasks", "list", "--all", "--json")
        self.assertEqual(said.status, 1)
        self.assertRaises(ValueError, said.json)

    def test_taipys_own_wire(self):
        rows = [{"id": f"JOB_{i}", "status": "Status.COMPLETED", "creation_date": "2026-01-02 03:04:05.678000"} for i in range(3)]

        def answer(handler):
            last = "cursor=" in handler.path
            body = json.dumps(rows[2:] if last else rows[:2]).encode()
            handler.send_response(200)
            if not last:
                handler.send_header("Link", '<https://x/api/v1/jobs/?limit=2&cursor=abc>; rel="next"')
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        said = self.ask(self.serve(answer), "jobs", "list", "--all")
        self.assertEqual([row.split() for row in said.lines()[1:]], [[f"JOB_{i}", "COMPLETED", "2026-01-02", "03:04:05", "-", "-"] for i in range(3)])
        said = self.ask(self.always(404, b'{"message": "Task: x does not exist."}'), "tasks", "show", "x")
        self.assertEqual(said.status, 4)
        self.assertIn("Task: x does not exist.", said.err)

    def test_what_is_sent(self):
        self.ask(self.always(500, b""), "tasks", "create", "c")
        self.ask(self.always(500, b""), "tasks", "list")
        (method, path, headers), (_, _, listed) = self.seen
        self.assertEqual((method, path), ("POST", "/api/v1/tasks/?config_id=c"))
        self.assertEqual(headers["Authorization"], "Bearer secret-token")
        self.assertRegex(headers["Idempotency-Key"], r'^"[0-9a-f-]{36}"$')
        self.assertEqual(headers["Content-Length"], "0")
        self.assertNotIn("Content-Type", headers)
        self.assertNotIn("Idempotency-Key", listed)

    def test_the_environments_proxy_is_not_asked(self):
        url = self.always(200, b'{"results": []}')
        said = command("tasks", "list", "--url", url, "--token-file", self.token, http_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
        self.assertEqual(said.status, 0, said)


class Wire:
    """Passes bytes on between a client and the server, and can break."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lose_answers = 0  # of so many connections nothing comes back
        self.accepted = 0
        self.closed = False
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client = None
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                if client:
                    client.close()
                if self.closed:
                    return
                continue
            self.accepted += 1
            lose = self.lose_answers > 0
            self.lose_answers -= lose
            self.pairs.append((client, server))
            threading.Thread(target=self._copy, args=(client, server, lose), daemon=True).start()

    def _copy(self, client, server, lose):
        with client, server:
            while True:
                for ready in select.select([client, server], [], [], 120)[0]:
                    try:
                        piece = ready.recv(65536)
                        if not piece or (lose and ready is server):
                            return
                        (server if ready is client else client).sendall(piece)
                    except OSError:
                        return

    def cut(self):
        """Breaks what is open."""
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def close(self):
        self.closed = True
        self.listener.close()
        self.cut()


class Broken(Case):
    """Connections that break."""

    def setUp(self):
        self.wire = Wire(self.plain)
        self.addCleanup(self.wire.close)

    def over(self, *arguments):
        return self.cli(*arguments, "--profile", "admin", "--url", self.wire.address)

    def test_a_lost_answer_does_nothing_twice(self):
        before = len(self.good("tasks", "list", "--config-id", "noop", "--all", "--json").json())
        self.wire.lose_answers = 1
        created = self.over("tasks", "create", "noop")
        self.assertEqual(created.status, 0, created)
        self.assertEqual(self.wire.accepted, 2)
        after = self.good("tasks", "list", "--config-id", "noop", "--all", "--json").json()
        self.assertEqual(len(after), before + 1)
        self.assertEqual(after[0]["id"], created.out.strip())
        self.wire.lose_answers = 1
        said = self.over("tasks", "submit", after[0]["id"], "--wait", "60")
        self.assertEqual((said.status, said.out.split()[1]), (0, "COMPLETED"), said)
        self.assertEqual(len(self.good("jobs", "list", "--task-id", after[0]["id"], "--json").json()), 1)

    def test_after_two_it_says_so(self):
        self.wire.lose_answers = 2
        said = self.over("tasks", "create", "noop")
        self.assertEqual((said.status, said.out), (1, ""), said)
        self.assertIn("did not answer", said.err)
        self.assertIn("may or may not have been done", said.err)
        self.wire.lose_answers = 1
        said = self.over("tasks", "delete", self.create("noop"))  # no key: never sent twice
        self.assertEqual(said.status, 1, said)
        self.assertIn("may or may not have been done", said.err)
        self.wire.lose_answers = 2
        said = self.over("tasks", "list")  # a question does nothing
        self.assertEqual(said.status, 1, said)
        self.assertIn("did not answer", said.err)
        self.assertNotIn("may or may not", said.err)
        said = self.cli("tasks", "list", "--profile", "admin", "--url", f"http://localhost:{self.server.port}")
        self.assertEqual(said.status, 1, said)
        self.assertIn("its address begins with https://", said.err)

    def follow(self, *arguments):
        """The process, and a function that gives what it printed so far."""
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [PROGRAM, *arguments, "--follow", "--profile", "admin", "--url", self.wire.address], stdout=log, stderr=subprocess.PIPE,
            env=environment(BAILIFF_CLIENT=self.server.path("client.yaml")),
        )
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, PATIENCE_S)

        def stop():
            if process.poll() is None:
                process.kill()

        self.addCleanup(stop)
        return process, lambda: os.pread(log.fileno(), 1 << 20, 0).decode()

    def gate(self):
        return os.path.join(os.path.dirname(self.server.application), "gate")

    def test_a_log_goes_on_where_it_was(self):
        process, printed = self.follow("tasks", "submit", self.create("stages"))
        wait_until(lambda: printed() == "one\n", "the first line is there")
        before = self.wire.accepted
        self.wire.cut()
        wait_until(lambda: self.wire.accepted > before, "it is connected again")
        self.server.open_gate()
        self.addCleanup(os.unlink, self.gate())
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(printed(), "one\ntwo\n")
        said = process.stderr.read().decode()
        self.assertIn("The connection broke", said)
        self.assertIn("COMPLETED", said)

    def test_events_go_on_without_gap_or_doublet(self):
        process, printed = self.follow("jobs", "events", "--json", "--config-id", "noop")
        wait_until(lambda: self.wire.accepted >= 1, "it is connected")
        wait_until(lambda: self.good("tasks", "submit", self.create("noop"), "--wait", "60") and printed(), "the first events are there")
        for _ in range(3):
            before = self.wire.accepted
            self.wire.cut()
            self.good("tasks", "submit", self.create("noop"), "--wait", "60")
            wait_until(lambda: self.wire.accepted > before, "it is connected again")
        last = self.good("tasks", "submit", self.create("noop"), "--wait", "60").out.split()[0]
        wait_until(lambda: re.search(rf'"{last}","status":"COMPLETED".*\n', printed()), "the last events are there")
        process.kill()
        seen = [json.loads(line) for line in printed().splitlines()]
        begin = str(int(seen[0]["id"]) - 1)
        replay, replayed = self.follow("jobs", "events", "--json", "--config-id", "noop", "--after", begin)
        wait_until(lambda: len(replayed().splitlines()) >= len(seen), "all is there again")
        replay.kill()
        self.assertEqual(replayed(), printed())
        jobs = [event["job_id"] for event in seen if event["status"] == "COMPLETED"]
        self.assertEqual(len(jobs), len(set(jobs)))
        self.assertGreaterEqual(len(jobs), 5)

    def test_the_server_goes_and_comes(self):
        process, printed = self.follow("tasks", "submit", self.create("stages"))
        wait_until(lambda: printed() == "one\n", "the first line is there")
        self.server.kill()
        self.server.start()
        self.server.open_gate()
        self.addCleanup(os.unlink, self.gate())
        status, said = process.wait(PATIENCE_S), process.stderr.read().decode()
        self.assertEqual(status, 0, said)
        self.assertIn(printed(), ("one\none\ntwo\n", "one\ntwo\n"), said)  # a second attempt begins its own log

    def test_a_token_that_is_revoked_meanwhile(self):
        token = self.server.hs_token()
        self.server.write_secret("short.jwt", token.encode())
        job = self.good("tasks", "submit", self.create("stages")).out.strip()
        process, printed = self.follow("jobs", "log", job, "--token-file", self.server.path("short.jwt"))
        wait_until(lambda: printed() == "one\n", "the first line is there")
        revocation = {"issuer": tokens.HS_ISSUER, "token_id": tokens.decode(token)[1]["jti"]}
        self.assertEqual(self.request("POST", "/api/v1/revocations/", json_body=revocation).status, 201)
        self.assertEqual(process.wait(PATIENCE_S), 3)
        self.assertEqual(printed(), "one\n")
        self.assertIn("401", process.stderr.read().decode())
        self.good("jobs", "cancel", job)


if __name__ == "__main__":
    unittest.main()
