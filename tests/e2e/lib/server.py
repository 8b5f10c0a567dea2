"""A real bailiff in a folder of its own: certificates, keys, configuration, tokens, the process, its log and its audit table."""

import fcntl
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from lib import apps, tokens, yamltext
from lib.client import Client

SOURCE = os.path.abspath(
    os.environ.get("BAILIFF_SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
)
PROGRAM = os.path.abspath(os.environ.get("BAILIFF") or os.path.join(SOURCE, ".build", "debug", "bailiff"))
SOAK = bool(os.environ.get("BAILIFF_SOAK"))
ISSUER = "https://localhost/bailiff-test"
ROLES = ("TAIPY_READER", "TAIPY_EDITOR", "TAIPY_EXECUTOR", "TAIPY_ADMIN")
PATIENCE_S = 60  # generous: sanitizers, and a machine that does other things too
TOKEN_RENEWAL_S = 1800
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def fork_for_vfork():
    """ThreadSanitizer forks where the program says vfork: what the child writes into its parent's memory does not arrive."""
    with open(PROGRAM, "rb") as file:
        return b"libtsan" in file.read()


def sanitized():
    """Whether the program was built with sanitizers: large counts prove nothing more there, and take long."""
    with open(PROGRAM, "rb") as file:
        return re.search(b"lib[at]san", file.read()) is not None


def wait_until(condition, what, timeout_s=PATIENCE_S):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still not after {timeout_s} s: {what}")
        time.sleep(0.05)


def free_port():
    """(port, reservation): below the ports that the kernel gives to clients. The reservation is the UDP port of the same number, so
    that no other test takes it while the server is down."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            return port, reservation
        except OSError:
            reservation.close()


def processes_of(text):
    """Processes whose command line or working directory holds the text, other than this one: {pid: command line}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
            with open(f"/proc/{name}/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
            folder = os.readlink(f"/proc/{name}/cwd")
        except OSError:
            continue
        if state != b"Z" and (text in line or folder.startswith(text)):
            found[int(name)] = line
    return found


def merge(base, changes):
    """base with changes laid over it, maps within maps; None takes an entry out."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def copy_credentials(into):
    """Certificates and keys that all tests of this build share: made by the first of today's that comes by."""
    folder = os.path.join(os.path.dirname(PROGRAM), "e2e-credentials")
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(folder) and time.time() - os.stat(folder).st_mtime > 86400:
            shutil.rmtree(folder)
        if not os.path.isdir(folder):
            making = tempfile.mkdtemp(prefix="e2e-credentials-", dir=os.path.dirname(PROGRAM))
            make_credentials(making)
            os.rename(making, folder)
        for name in os.listdir(folder):
            shutil.copy2(os.path.join(folder, name), os.path.join(into, name))


def make_credentials(folder):
    def at(name):
        return os.path.join(folder, name)

    run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", folder])
    run([PROGRAM, "token", "keygen", "--private", at("signing-key.pem"), "--jwks", at("signing-jwks.json")])
    run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", at("rs-key.pem")])
    run(["openssl", "pkey", "-in", at("rs-key.pem"), "-pubout", "-out", at("rs-public.pem")])


class Server:
    """Folders: `folder` holds everything; `data` below it is the server's."""

    def __init__(self, application=None, settings=None, folder=None):
        if not os.access(PROGRAM, os.X_OK):
            raise RuntimeError(f"there is no program {PROGRAM}: build it, or name it in $BAILIFF")
        self.folder = folder or tempfile.mkdtemp(prefix="bailiff-e2e-")
        self.config = self.path("bailiff.yaml")
        self.log_file = self.path("server.log")
        self.process = None
        self.port, self._reservation = free_port()
        self._tokens = {}
        self.application = application or apps.taipy(self.path("app"))
        self._make_credentials()
        self.settings = merge(self._default_settings(), settings or {})
        self.write_config()
        self.client = Client(self.port, self.path("ca.pem"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # -- preparing --

    def _make_credentials(self):
        copy_credentials(self.folder)
        self.secret = os.urandom(47) + b"."  # a newline at its end would be taken for the file's own
        self.write_secret("hs.secret", self.secret)
        shutil.copy(os.path.join(SOURCE, "policies", "roles.yaml"), self.path("roles.yaml"))

    def write_secret(self, name, data):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)

    def _default_settings(self):
        listener = {"address": "127.0.0.1", "port": self.port, "certificate": "server.pem", "key": "server-key.pem"}
        return {
            "server": {"public_url": f"https://localhost:{self.port}", "drain_timeout": "20s", "listeners": [listener]},
            "store": {"folder": "data"},
            "application": self.application,
            "execution": {
                "package": os.path.join(SOURCE, "src", "python"),
                "work_folder": "work",
                "same_user": "unsafe",
                "grace": "1s",
            },
            "policy": {"roles": "roles.yaml"},
            "issuers": [
                {"issuer": ISSUER, "audiences": [tokens.AUDIENCE], "jwks_file": "signing-jwks.json", "token_use": "access"},
                {
                    "issuer": tokens.HS_ISSUER,
                    "audiences": [tokens.AUDIENCE],
                    "secret_file": "hs.secret",
                    "algorithm": "HS256",
                    "leeway": "0s",
                },
                {
                    "issuer": tokens.RS_ISSUER,
                    "audiences": [tokens.AUDIENCE],
                    "pem_file": "rs-public.pem",
                    "algorithm": "RS256",
                    "leeway": "0s",
                },
            ],
            "signing": {"issuer": ISSUER, "audience": tokens.AUDIENCE, "key": "signing-key.pem"},
            "audit": {"refusals_recorded_a_minute": 10000},
            "log": {"format": "json"},
        }

    def write_config(self):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(yamltext.dump(self.settings) + "\n")

    def token(self, role="TAIPY_ADMIN", subject=None):
        """A token of `bailiff token issue`; it is valid for an hour, and made anew after half of one."""
        key, now = (role, subject), time.monotonic()
        made, token = self._tokens.get(key, (0, None))
        if token is None or now - made > TOKEN_RENEWAL_S:
            token = self.issue("--sub", subject or "test-" + role.lower(), "--role", role)
            self._tokens[key] = now, token
        return token

    def issue(self, *arguments):
        return run([PROGRAM, "token", "issue", "--config", self.config, *arguments]).strip()

    def hs_token(self, role="TAIPY_ADMIN", **changes):
        return tokens.hs256(self.secret, tokens.claims(role=role, **changes))

    # -- the process --

    def spawn(self):
        """Starts it without waiting for it to be ready."""
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        return self

    def start(self):
        self.spawn()
        try:
            wait_until(self._ready, "the server is ready")
        except BaseException:
            self.kill()
            sys.stderr.write(self.log_tail())
            raise
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended at start with {self.process.returncode}:\n{self.log_tail()}")
        try:
            return self.client.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, as a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.client.close()

    def stop(self):
        """SIGTERM; it must end by itself, well, with nothing to report and nobody left behind."""
        self.client.close()
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end on SIGTERM:\n{self.log_tail()}") from None
        self.check_log()
        if status != 0:
            raise AssertionError(f"the server ended with {status}:\n{self.log_tail()}")
        wait_until(lambda: not processes_of(self.folder), f"no process of {self.folder} is left", 30)

    def check_log(self):
        log = self.log()
        for report in SANITIZER_REPORTS:
            if report in log:
                at = log.index(report)
                raise AssertionError("the server's log holds a report:\n" + log[max(0, at - 500) : at + 6000])

    def end(self):
        """Kills it, and all that it started."""
        self.kill()
        for pid in processes_of(self.folder):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._reservation.close()

    def remove(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- looking at it --

    def request(self, method, path, role="TAIPY_ADMIN", **options):
        """With the token of a role, or with none (role=None), or with another (token=…)."""
        if role is not None and "token" not in options:
            options["token"] = self.token(role)
        return self.client.request(method, path, **options)

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:]) + "\n"

    def query(self, sql, *values):
        """Rows of the database as maps, read beside the server."""
        connection = sqlite3.connect(f"file:{self.path('data', 'bailiff.db')}?mode=ro", uri=True, timeout=30)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def audit(self, request_id):
        return self.query("SELECT * FROM audit WHERE request_id = ?", request_id)

    def verify_audit(self):
        return subprocess.run(
            [PROGRAM, "audit", "verify", "--config", self.config], capture_output=True, text=True, timeout=PATIENCE_S
        )

    # -- the ways of a task --

    def create(self, config_id, role="TAIPY_EDITOR"):
        answer = self.request("POST", f"/api/v1/tasks/?config_id={config_id}", role)
        if answer.status != 201:
            raise AssertionError(f"creating {config_id}: {answer}")
        return answer.json()["task"]

    def submit(self, task, query="", role="TAIPY_EXECUTOR"):
        """The id of the job."""
        answer = self.request("POST", f"/api/v1/tasks/submit/{task['id']}/{query}", role)
        if answer.status != 204:
            raise AssertionError(f"submitting {task['id']}: {answer}")
        return answer.headers["Location"].rstrip("/").rpartition("/")[2]

    def job(self, job_id):
        answer = self.request("GET", f"/api/v1/jobs/{job_id}/", "TAIPY_READER")
        if answer.status != 200:
            raise AssertionError(f"reading {job_id}: {answer}")
        return answer.json()["job"]

    def wait_job(self, job_id, *statuses):
        """Waits until the job is in one of the statuses (final ones, if none are named)."""
        wanted = statuses or ("CANCELED", "FAILED", "COMPLETED", "SKIPPED", "ABANDONED")

        def reached():
            job = self.job(job_id)
            if job["status"] in wanted:
                return job
            if job["ended_at"]:
                raise AssertionError(f"the job ended otherwise: {job}")
            return None

        return wait_until(reached, f"{job_id} is {' or '.join(wanted)}")

    def run_gated(self):
        """(task, id of its job): RUNNING until open_gate."""
        task = self.create("gated")
        job_id = self.submit(task)
        self.wait_job(job_id, "RUNNING")
        return task, job_id

    def open_gate(self):
        apps.open_gate(os.path.dirname(self.application))

    def run_task(self, config_id, query=""):
        """(task, ended job)"""
        task = self.create(config_id)
        return task, self.wait_job(self.submit(task, query))

    def read(self, data_node_id):
        answer = self.request("GET", f"/api/v1/datanodes/{data_node_id}/read/", "TAIPY_READER")
        if answer.status != 200:
            raise AssertionError(f"reading {data_node_id}: {answer}")
        return answer.json()["data"]

    def job_log(self, job_id):
        return self.request("GET", f"/api/v1/jobs/{job_id}/log/", "TAIPY_READER").body.decode()


def run(command, **options):
    """stdout of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


class ServerCase(unittest.TestCase):
    """Tests of one running server, the class's own. A failure shows the end of its log."""

    settings = {}

    @classmethod
    def make_application(cls, folder):
        return apps.taipy(folder)

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.server = Server(cls.make_application(os.path.join(folder, "app")), cls.settings, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        done = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            sys.stderr.write(f"--- end of the server's log after {self.id()} ---\n{self.server.log_tail(25)}---\n")
        return done

    def request(self, method, path, role="TAIPY_ADMIN", **options):
        return self.server.request(method, path, role, **options)

    def problem(self, answer, status, *words):
        """The answer is a problem of this status whose message has these words."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        body = answer.json()
        self.assertEqual(body["status"], status)
        self.assertEqual(body["message"], body["detail"])
        self.assertTrue(body["type"] and body["title"])
        self.assertEqual(body["instance"], "urn:uuid:" + answer.headers["X-Request-Id"])
        for word in words:
            self.assertIn(word, body["detail"])
        return body
