"""Ten thousand idle connections, and floods from an address that is barred for them: memory stays within the budget, and an honest client's
requests all succeed meanwhile.

    /usr/bin/python3 tests/e2e/crowd_test.py [-v] [Class.test]

Ten thousand need as many descriptors here and in the server; where the hard limit is lower, and under sanitizers, there are fewer.
"""

import os
import resource
import shutil
import socket
import ssl
import tempfile
import threading
import time
import unittest

from hostile_test import COST_KIB, HOST, LAST, Bystander, read_all, request, rss_kib, send, statuses, tls
from lib import apps, tokens
from lib.server import Server, sanitized, wait_until

CROWD = 10000
SPARE = 400  # descriptors for everything else


class Case(unittest.TestCase):
    limits = {}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.server = Server(apps.taipy(os.path.join(folder, "app")), {"limits": cls.limits, "audit": {"refusals_recorded_a_minute": 10}}, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()
        cls.task = cls.server.create("noop")
        cls.sanitized = sanitized()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.bystander = Bystander(self.server, f"/api/v1/tasks/{self.task['id']}/")
        self.bystander.start()
        self.addCleanup(self.judge)

    def judge(self):
        self.bystander.ended.set()
        self.bystander.join()
        self.assertEqual(self.bystander.bad, [])
        self.assertGreater(self.bystander.good, 0)


class Idle(Case):
    limits = {
        "connections": CROWD + SPARE,
        "connections_per_address": 0,
        "handshakes": 1000,
        "idle_timeout": "10m",
        "memory_budget": f"{(CROWD + SPARE) * COST_KIB // 1024 + 8}MiB",
    }

    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        cls.count = min(CROWD, (hard if hard != resource.RLIM_INFINITY else CROWD + SPARE) - SPARE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, cls.count + SPARE), hard))  # the server raises its own
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        super().setUpClass()
        if cls.sanitized:
            cls.count = min(cls.count, 1000)
        if cls.count < CROWD:
            print(f"only {cls.count} connections: sanitizers, or the hard limit of open files is {hard}")

    def crowd(self, sockets):
        """Descriptors of connections whose handshake is done; what a client needs to go on is let go."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.server.path("ca.pem"))
        errors = []

        def work(count):
            try:
                for _ in range(count):
                    with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as plain:
                        with context.wrap_socket(plain, server_hostname="localhost") as connection:
                            sockets.append(os.dup(connection.fileno()))
            except OSError as error:
                errors.append(error)

        workers = [threading.Thread(target=work, args=(self.count // 4,)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(errors, [])

    def test_ten_thousand(self):
        before = rss_kib(self.server.process.pid, "VmRSS")
        sockets = []
        try:
            self.crowd(sockets)
            self.assertEqual(len(sockets), self.count)
            good = self.bystander.good
            wait_until(lambda: self.bystander.good > good + 20, "others are served beside the crowd")
            grown = rss_kib(self.server.process.pid, "VmRSS") - before
            if not self.sanitized:
                self.assertLess(grown, self.count * COST_KIB)  # what the budget reckons with
                self.assertLess(grown, self.count * 24)  # what they take when they do nothing
            with tls(self.server) as one_more:
                token = b"Authorization: Bearer " + self.server.token("TAIPY_READER").encode()
                send(one_more, request(b"GET /api/v1/auth/me/ HTTP/1.1", HOST, token, LAST))
                self.assertEqual(statuses(read_all(one_more)), [200])
        finally:
            for fd in sockets:
                os.close(fd)


class Cut(Case):
    """A flood at full speed is cut as soon as its address is barred."""

    limits = {"address": {"refusals_per_minute": 600}}

    def flood(self, source, attack, turned_away=400):
        """Goes on until connections have been turned away so often; what was judged until then, and what may have been at most: the
        burst of `limits`, what grew again meanwhile, and what was under way when it was barred."""
        begun = time.monotonic()
        end = begun + 120
        served, failed = [], []

        def work():
            while len(failed) < turned_away and time.monotonic() < end:
                try:
                    plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=60, source_address=(source, 0))
                    with plain:
                        judged = attack(plain)
                    (served if judged else failed).append(judged)
                except OSError:
                    failed.append(0)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertGreaterEqual(len(failed), turned_away)
        return sum(served), 600 + 10 * (time.monotonic() - begun) + 200

    def test_forged_tokens(self):
        made = tokens.rs256(self.server.path("rs-key.pem"), tokens.claims(issuer=tokens.RS_ISSUER))
        forged = made.rpartition(".")[0] + "." + tokens.b64(os.urandom(256))
        data = request(b"GET /api/v1/tasks/ HTTP/1.1", HOST, b"Authorization: Bearer " + forged.encode()) * 50

        def attack(plain):
            refused = 0
            with self.server.client.context.wrap_socket(plain, server_hostname="localhost") as connection:
                send(connection, data)
                found = statuses(read_all_until(connection, 50))
                self.assertLessEqual(set(found), {401, 429})
                refused += found.count(401)
            return refused

        judged, bound = self.flood("127.0.0.66", attack)
        self.assertGreaterEqual(judged, 500)
        self.assertLess(judged, bound)

    def test_failed_handshakes(self):
        def attack(plain):
            plain.sendall(b"this is no ClientHello, by far\r\n\r\n")
            return len(plain.recv(64)) > 0  # an alert, or nothing

        judged, bound = self.flood("127.0.0.67", attack)
        self.assertLess(judged, bound)


def read_all_until(connection, count):
    received = b""
    try:
        while len(statuses(received)) < count and (piece := connection.recv(65536)):
            received += piece
    except OSError:
        pass
    return received


if __name__ == "__main__":
    unittest.main()
