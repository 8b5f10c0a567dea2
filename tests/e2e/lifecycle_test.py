"""Start, reload, drain, restart.

    /usr/bin/python3 tests/e2e/lifecycle_test.py [-v] [Class.test]
"""

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from lib import apps
from lib.client import send
from lib.events import EventStream
from lib.server import ISSUER, PATIENCE_S, PROGRAM, SOURCE, Server, run, wait_until


class Case(unittest.TestCase):
    settings = {}

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="bailiff-life-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.server = Server(apps.taipy(os.path.join(folder, "app"), seconds=3), self.settings, folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)

    def events(self, event):
        return [line for line in self.server.log().splitlines() if f'"event":"{event}"' in line]


class Restart(Case):
    def test_everything_is_there_again(self):
        self.server.start()
        task, job = self.server.run_task("double")
        key = {"Idempotency-Key": "once"}
        first = self.server.request("POST", "/api/v1/tasks/?config_id=noop", headers=key)
        etag = self.server.request("GET", f"/api/v1/tasks/{task['id']}/").headers["ETag"]
        page = self.server.request("GET", "/api/v1/tasks/?limit=1").json()
        log = self.server.job_log(job["id"])
        self.server.stop()

        self.server.start()
        answer = self.server.request("GET", f"/api/v1/tasks/{task['id']}/")
        self.assertEqual((answer.json()["task"], answer.headers["ETag"]), (task, etag))
        self.assertEqual(self.server.job(job["id"]), job)
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)
        self.assertEqual(self.server.job_log(job["id"]), log)
        again = self.server.request("POST", "/api/v1/tasks/?config_id=noop", headers=key)
        self.assertEqual((again.body, again.headers["Idempotency-Replayed"]), (first.body, "true"))
        rest = self.server.request("GET", f"/api/v1/tasks/?limit=1&cursor={page['next']}")
        self.assertEqual(rest.status, 200)  # cursors outlive the process
        self.assertEqual(self.server.verify_audit().returncode, 0)
        self.server.stop()
        actions = [row["action"] for row in self.server.query("SELECT action FROM audit ORDER BY seq")]
        self.assertEqual(actions.count("server.start"), 2)
        self.assertEqual(actions.count("server.stop"), 2)

    def test_a_running_job_is_begun_again_after_a_stop(self):
        self.server.start()
        task, job_id = self.server.run_gated()
        self.server.stop()
        self.server.start()
        self.assertIn(self.server.job(job_id)["status"], ("PENDING", "RUNNING"))
        self.server.open_gate()
        self.server.wait_job(job_id, "COMPLETED")
        self.assertEqual(self.server.read(task["output_ids"][0]), "open")
        self.server.stop()

    def test_the_data_folder_is_private(self):
        self.server.start()
        self.assertEqual(os.stat(self.server.path("data")).st_mode & 0o077, 0)
        self.server.stop()


class Drain(Case):
    def test_no_request_is_lost(self):
        """Clients keep asking while it stops: each request sent on a connection is answered, or the connection was closed before."""
        self.server.start()
        stop, lost, answered, created = threading.Event(), [], [], []
        token = self.server.token("TAIPY_EDITOR")

        def ask():
            connection = self.server.client.connect()
            try:
                connection.connect()
                while not stop.is_set():
                    try:
                        answer = send(connection, "POST", "/api/v1/tasks/?config_id=noop", token)
                    except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError, BrokenPipeError):
                        return  # closed between two requests; what was acknowledged is checked below
                    answered.append(answer.status)
                    if answer.status == 201:
                        created.append(answer.json()["task"]["id"])
                    if answer.headers.get("Connection", "").lower() == "close":
                        return
            except Exception as failure:  # noqa: BLE001: shown below
                lost.append(failure)
            finally:
                connection.close()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) > 50, "the load is on")
        self.server.signal(signal.SIGTERM)
        self.server.process.wait(60)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(lost, [])
        self.assertEqual(set(answered), {201})
        self.assertEqual(self.server.process.returncode, 0)
        self.server.check_log()
        self.server.start()
        listed = {task["id"] for task in self.server.request("GET", "/api/v1/tasks/").json()["results"]}
        self.assertLessEqual(set(created), listed)
        self.server.stop()

    def test_a_request_in_flight_is_answered(self):
        self.server.start()
        task = self.server.create("slow")
        path, token = f"/api/v1/tasks/submit/{task['id']}/", self.server.token("TAIPY_EXECUTOR")
        answers = []

        def submit():
            connection = self.server.client.connect()
            try:
                answers.append(send(connection, "POST", path, token, {"Prefer": "wait=10"}))
            finally:
                connection.close()

        thread = threading.Thread(target=submit)
        thread.start()
        wait_until(lambda: self.server.query("SELECT 1 FROM job"), "the job is there")
        self.server.signal(signal.SIGTERM)
        thread.join()
        self.assertIn(answers[0].status, (200, 202))
        self.assertEqual(answers[0].json()["task"]["id"], task["id"])
        self.assertEqual(self.server.process.wait(60), 0)
        self.server.stop()

    def test_idle_connections_go_at_once(self):
        self.server.start()
        connections = [self.server.client.connect() for _ in range(10)]
        for connection in connections:
            self.assertEqual(send(connection, "GET", "/livez").status, 200)
        self.server.client.close()
        began = time.monotonic()
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(60), 0)
        self.assertLess(time.monotonic() - began, 10)  # far below drain_timeout and idle_timeout
        for connection in connections:
            self.assertEqual(connection.sock.recv(1), b"")
            connection.close()
        self.server.stop()

    def test_a_second_signal_ends_at_once_and_loses_nothing(self):
        self.server.start()
        task = self.server.create("slow")
        connection = self.server.client.connect()
        connection.connect()
        self.addCleanup(connection.close)

        def submit():
            try:
                send(connection, "POST", f"/api/v1/tasks/submit/{task['id']}/", self.server.token("TAIPY_EXECUTOR"), {"Prefer": "wait=50"})
            except (OSError, http.client.HTTPException):
                pass

        thread = threading.Thread(target=submit)
        thread.start()
        (job,) = wait_until(lambda: self.server.query("SELECT id FROM job"), "the job is there")
        self.server.client.close()
        self.server.signal(signal.SIGTERM)
        wait_until(lambda: self.events("server.stopping"), "it is stopping")
        self.server.signal(signal.SIGTERM)
        self.assertIn(self.server.process.wait(5), (0, -signal.SIGTERM))
        thread.join()
        self.server.start()
        self.assertEqual(self.server.wait_job(job["id"])["status"], "COMPLETED")
        self.server.stop()

    def test_signals_that_mean_nothing(self):
        self.server.start()
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH):
            self.server.signal(number)
        time.sleep(0.2)
        self.assertEqual(self.server.request("GET", "/livez", None).status, 200)
        self.server.stop()

    def test_sigint_stops_too(self):
        self.server.start()
        self.server.signal(signal.SIGINT)
        self.assertEqual(self.server.process.wait(60), 0)
        self.server.stop()


class SlowClients(Case):
    settings = {"limits": {"idle_timeout": "1s", "head_timeout": "1s", "body_timeout": "1s", "handshake_timeout": "1s"}}

    def test_they_are_not_waited_for(self):
        self.server.start()
        context = ssl.create_default_context(cafile=self.server.path("ca.pem"))
        silent = socket.create_connection(("127.0.0.1", self.server.port), timeout=30)  # never says hello
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=30)
        half = context.wrap_socket(plain, server_hostname="localhost")
        half.sendall(b"GET /livez HTTP/1.1\r\nHost: loc")  # never ends its head
        torso = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.server.port), timeout=30), server_hostname="localhost"
        )
        head = f"POST /api/v1/tasks/?config_id=noop HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.server.token()}\r\n"
        torso.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())  # never ends its body
        idle = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.server.port), timeout=30), server_hostname="localhost"
        )  # never asks
        began = time.monotonic()
        for client in (silent, half, torso, idle):
            received = b""
            try:
                while piece := client.recv(4096):
                    received += piece
            except (ConnectionError, ssl.SSLError):
                pass
            self.assertNotIn(b" 20", received[:20])
            client.close()
        self.assertLess(time.monotonic() - began, 20)
        self.server.client.close()  # its connection was idle for too long, too
        self.assertEqual(self.server.request("GET", "/livez", None).status, 200)
        self.server.stop()


class ManyConnections(Case):
    settings = {"limits": {"connections": 8}}

    def test_no_more_than_allowed(self):
        self.server.start()
        self.server.client.close()
        held = []
        try:
            for _ in range(8):
                connection = self.server.client.connect()
                held.append(connection)
                send(connection, "GET", "/livez")
            extra = self.server.client.connect()
            with self.assertRaises((OSError, http.client.HTTPException)):
                send(extra, "GET", "/livez")
            extra.close()
            self.assertEqual(send(held[0], "GET", "/livez").status, 200)
        finally:
            for connection in held:
                connection.close()

        def free_again():
            try:
                return self.server.request("GET", "/livez", None).status == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(free_again, "there is room again")
        self.server.stop()


class Reload(Case):
    def reload(self):
        before = len(self.server.log())
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: "reload" in self.server.log()[before:], "the log speaks of the reload")
        return lambda: self.server.log()[before:]

    def presented(self):
        """The certificate that a new connection is shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.server.port)) as plain:
            with context.wrap_socket(plain) as tls:
                return tls.getpeercert(binary_form=True)

    def test_certificates(self):
        self.server.start()
        before = self.presented()
        old = self.server.client.connect()
        self.assertEqual(send(old, "GET", "/livez").status, 200)
        for name in ("server.pem", "server-key.pem"):
            os.rename(self.server.path(name), self.server.path("old-" + name))
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", self.server.folder])
        self.reload()
        wait_until(lambda: self.presented() != before, "the new certificate is shown")
        self.assertEqual(send(old, "GET", "/livez").status, 200)  # those that are connected stay so
        old.close()
        self.server.client.close()
        self.assertEqual(self.server.request("GET", "/livez", None).status, 200)
        self.server.stop()

    def test_a_broken_certificate_changes_nothing(self):
        self.server.start()
        before = self.presented()
        with open(self.server.path("server.pem"), "w", encoding="utf-8") as file:
            file.write("no certificate")
        log = self.reload()
        wait_until(lambda: "server.pem" in log(), "the log names the file")
        self.assertEqual(self.presented(), before)
        self.server.stop()

    def test_policy(self):
        self.server.start()
        path = "/api/v1/tasks/?config_id=noop"
        self.assertEqual(self.server.request("POST", path, "TAIPY_READER").status, 403)
        with open(self.server.path("roles.yaml"), encoding="utf-8") as file:
            roles = file.read()
        changed = roles.replace("permissions: [tasks:read, jobs:read", "permissions: [tasks:create, tasks:read, jobs:read")
        self.assertNotEqual(changed, roles)
        with open(self.server.path("roles.yaml"), "w", encoding="utf-8") as file:
            file.write(changed)
        self.reload()
        wait_until(lambda: self.server.request("POST", path, "TAIPY_READER").status == 201, "readers may create")

        with open(self.server.path("roles.yaml"), "w", encoding="utf-8") as file:
            file.write(changed.replace("tasks:create, tasks:read", "tasks:creat"))
        log = self.reload()
        wait_until(lambda: "tasks:creat" in log(), "the log names the mistake")
        self.assertEqual(self.server.request("POST", path, "TAIPY_READER").status, 201)  # the old one stays
        self.server.stop()

    def test_streams_end_with_what_allowed_them(self):
        self.server.start()
        with open(self.server.path("roles.yaml"), encoding="utf-8") as file:
            roles = file.read()
        less = roles.replace("permissions: [tasks:read, jobs:read", "permissions: [tasks:read")
        self.assertNotEqual(less, roles)
        task, job = self.server.run_gated()
        with EventStream(self.server, "/api/v1/events/") as reader, EventStream(self.server, "/api/v1/events/", "TAIPY_ADMIN") as admin, EventStream(
            self.server, "/api/v1/events/", token=self.server.hs_token("TAIPY_ADMIN")
        ) as other:
            log = self.server.client.connect()
            log.request("GET", f"/api/v1/jobs/{job}/log/?follow=true", headers={"Authorization": "Bearer " + self.server.token("TAIPY_READER")})
            for stream in (reader, admin, other):
                self.assertEqual(stream.status, 200)
                stream.block()
            self.reload()  # nothing has changed, and nobody notices
            self.server.submit(task)
            for stream in (reader, admin, other):
                self.assertEqual(stream.next().data["task_id"], task["id"])

            with open(self.server.path("roles.yaml"), "w", encoding="utf-8") as file:
                file.write(less)
            self.reload()
            reader.set_timeout(PATIENCE_S)
            reader.rest()
            with self.assertRaises((OSError, http.client.HTTPException)):
                log.getresponse().read()
                raise AssertionError("the log ended as if it were whole")
            log.close()
            self.assertEqual(self.server.request("GET", "/api/v1/jobs/", "TAIPY_READER").status, 403)

            del self.server.settings["issuers"][1]  # the other's
            self.server.write_config()
            self.reload()
            other.set_timeout(PATIENCE_S)
            other.rest()
            last = self.server.submit(task)
            while admin.next().data["job_id"] != last:  # whoever may, goes on
                pass
        self.server.open_gate()
        self.server.stop()

    def test_keys(self):
        self.server.start()
        token = self.server.token()
        self.assertEqual(self.server.request("GET", "/api/v1/auth/me/").status, 200)
        for name in ("signing-key.pem", "signing-jwks.json"):
            os.rename(self.server.path(name), self.server.path("old-" + name))
        run([PROGRAM, "token", "keygen", "--private", self.server.path("signing-key.pem"), "--jwks", self.server.path("signing-jwks.json")])
        self.reload()
        # a token that was verified before, and is in every cache, is worth nothing with its key gone
        wait_until(lambda: self.server.request("GET", "/api/v1/auth/me/", token=token).status == 401, "the old key is gone")
        fresh = self.server.issue("--sub", "somebody", "--role", "TAIPY_READER")
        self.assertEqual(self.server.request("GET", "/api/v1/auth/me/", token=fresh).status, 200)
        self.server.stop()

    def test_under_load(self):
        self.server.start()
        stop, wrong = threading.Event(), []

        def ask():
            try:
                while not stop.is_set():
                    answer = self.server.request("GET", "/api/v1/auth/me/")
                    if answer.status != 200:
                        wrong.append(answer)
            finally:
                self.server.client.close()

        self.server.token()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            self.reload()
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.server.stop()


class UnixSocket(Case):
    def test_without_tls_only_where_nobody_listens_in(self):
        path = self.server.path("s")
        self.server.settings["server"]["listeners"].append({"address": path, "tls": False})
        self.server.write_config()
        self.server.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = b""
            while piece := client.recv(4096):
                received += piece
        self.assertTrue(received.startswith(b"HTTP/1.1 200 "))
        self.assertNotIn(b"strict-transport-security", received.lower())
        self.server.stop()


class ClientCertificates(Case):
    def test_required_where_asked_for(self):
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", self.server.folder, "--client", "partner"])
        self.server.settings["server"]["listeners"][0]["client_ca"] = "clients-ca.pem"
        self.server.write_config()
        context = self.server.client.context
        context.load_cert_chain(self.server.path("client-partner.pem"), self.server.path("client-partner-key.pem"))
        self.server.start()
        answer = self.server.request("GET", "/api/v1/auth/me/")
        self.assertEqual(answer.status, 200)

        self.server.write_secret("admin.jwt", self.server.token().encode())
        command = [PROGRAM, "token", "revoke", "--config", self.server.config, "--issuer", ISSUER, "--sub", "nobody",
                   "--token-file", self.server.path("admin.jwt"), "--ca", self.server.path("ca.pem")]  # fmt: skip
        shown = ["--certificate", self.server.path("client-partner.pem"), "--key", self.server.path("client-partner-key.pem")]
        run([*command, *shown])
        for arguments, status in ((command, 1), ([*command, *shown[:2]], 2), ([*command[:8], *shown], 2)):
            self.assertEqual(subprocess.run(arguments, capture_output=True, timeout=PATIENCE_S).returncode, status)

        bare = ssl.create_default_context(cafile=self.server.path("ca.pem"))
        ours = ssl.create_default_context(cafile=self.server.path("ca.pem"))  # of the server's CA: not a client's
        ours.load_cert_chain(self.server.path("server.pem"), self.server.path("server-key.pem"))
        for wrong in (bare, ours):
            connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=30, context=wrong)
            with self.assertRaises((OSError, http.client.HTTPException)):
                send(connection, "GET", "/livez")
            connection.close()
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
