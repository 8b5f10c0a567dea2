"""Addresses of which too much is refused: new connections are closed before their handshake, requests on open ones get 429, and nobody else
notices. The addresses are loopback's: 127.0.0.66 and so on.

    /usr/bin/python3 tests/e2e/refusals_test.py [-v] [Class.test]
"""

import http.client
import socket
import ssl
import time
import unittest

from lib.client import send
from lib.server import ServerCase, wait_until

BURST = 20
ADDRESS = {"refusals_per_minute": 60, "refusals_burst": BURST}
REASON = "limits.address.refusals_per_minute"


class Case(ServerCase):
    def connect(self, source):
        return http.client.HTTPSConnection(
            "127.0.0.1", self.server.port, timeout=60, context=self.server.client.context, source_address=(source, 0)
        )

    def raw(self, source):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=60, source_address=(source, 0))

    def shut_out(self, source):
        """A new connection ends before its handshake."""
        with self.raw(source) as plain:
            try:
                self.server.client.context.wrap_socket(plain, server_hostname="localhost").close()
                return False
            except OSError:  # ssl.SSLError is one
                return True

    def served(self, source):
        connection = self.connect(source)
        try:
            return send(connection, "GET", "/api/v1/auth/me/", self.server.token()).status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def others_are_served(self):
        self.assertEqual(self.request("GET", "/api/v1/auth/me/").status, 200)

    def refuse(self, source, attempt, enough=50 * BURST):
        """Until the address is shut out. The bucket fills while it is emptied, so that a slow machine needs more."""
        for count in range(1, enough):
            try:
                attempt()
            except (OSError, http.client.HTTPException):
                pass
            if count >= BURST and self.shut_out(source):
                return count
        self.fail(f"{source} was refused {enough} times and is not barred")


class Barred(Case):
    settings = {"limits": {"address": ADDRESS}, "audit": {"refusals_recorded_a_minute": 5}}

    def test_bad_tokens(self):
        source = "127.0.0.66"
        connection, spare = self.connect(source), self.connect(source)
        self.assertEqual(send(spare, "GET", "/api/v1/auth/me/", self.server.token()).status, 200)
        statuses = []
        while not statuses or statuses[-1] == 401:
            self.assertLess(len(statuses), 50 * BURST)
            answer = send(connection, "GET", "/api/v1/auth/me/", "not.a.token")
            statuses.append(answer.status)
        self.problem(answer, 429, "address")
        self.assertGreaterEqual(len(statuses), BURST + 1)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertEqual(answer.headers["Connection"], "close")
        self.assertEqual(self.server.audit(answer.headers["X-Request-Id"])[0]["reason"], "address barred")
        self.others_are_served()
        wait_until(lambda: self.served(source), "its share grows again")
        connection.close()
        spare.close()

    def test_what_it_has_open_is_closed(self):
        source = "127.0.0.67"
        spare = self.connect(source)
        self.assertEqual(send(spare, "GET", "/api/v1/auth/me/", self.server.token()).status, 200)

        def bad():
            connection = self.connect(source)
            try:
                self.assertEqual(send(connection, "GET", "/api/v1/auth/me/", "not.a.token").status, 401)
            finally:
                connection.close()

        deadline = time.monotonic() + 60
        status = 200
        while status == 200 and time.monotonic() < deadline:  # a moment later it may have a token again
            self.refuse(source, bad)
            status = send(spare, "GET", "/api/v1/auth/me/", self.server.token()).status
        self.assertEqual(status, 429)  # a good token, too: nobody looks at it
        self.assertIsNone(spare.sock)
        self.others_are_served()

    def test_malformed_requests(self):
        source = "127.0.0.68"

        def bad():
            with self.server.client.context.wrap_socket(self.raw(source), server_hostname="localhost") as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
                while connection.recv(65536):
                    pass

        self.refuse(source, bad)
        self.others_are_served()
        wait_until(lambda: self.served(source), "its share grows again")

    def test_failed_handshakes(self):
        source = "127.0.0.69"

        def bad():
            with self.raw(source) as connection:
                connection.sendall(b"this is no ClientHello, by far\r\n\r\n")
                while connection.recv(65536):
                    pass

        self.refuse(source, bad)
        self.others_are_served()

    def test_who_is_known_is_refused_as_himself(self):
        """403 and 404 do not bar an address."""
        source = "127.0.0.70"
        connection = self.connect(source)
        for _ in range(BURST):
            self.assertEqual(send(connection, "GET", "/api/v1/nowhere/", self.server.token()).status, 404)
            self.assertEqual(send(connection, "GET", "/api/v1/revocations/", self.server.token("TAIPY_READER")).status, 403)
        self.assertTrue(self.served(source))
        connection.close()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()  # the counted records are written at the end, at the latest
        rows = cls.server.query("SELECT * FROM audit WHERE reason = ? ORDER BY seq", REASON)
        lines = [line for line in cls.server.log().splitlines() if REASON in line]
        case = cls("test_failed_handshakes")
        case.assertGreaterEqual({row["address"] for row in rows}, {"127.0.0.67", "127.0.0.68", "127.0.0.69"})
        for row in rows:
            case.assertIsNone(row["request_id"])
            case.assertGreaterEqual(row["count"], 1)
        case.assertTrue(any("connection.refused" in line and "127.0.0." in line for line in lines))
        case.assertEqual(cls.server.verify_audit().returncode, 0)


class Proxied(Case):
    """Behind a trusted proxy it is the client that is barred; the proxy's connections stay, and so do its other clients."""

    settings = {"server": {"trusted_proxies": ["127.0.0.1"]}, "limits": {"address": ADDRESS}}

    def ask(self, connection, client, token):
        headers = {"X-Forwarded-For": client} if client else {}
        return send(connection, "GET", "/api/v1/auth/me/", token, headers)

    def test_a_client_of_a_proxy(self):
        connection = self.connect("127.0.0.1")
        statuses = []
        while not statuses or statuses[-1] == 401:
            self.assertLess(len(statuses), 50 * BURST)
            # of one customer's network, each time another address
            answer = self.ask(connection, f"2001:db8:1:2::{len(statuses) + 1:x}", "not.a.token")
            statuses.append(answer.status)
        self.problem(answer, 429, "address")
        self.assertGreaterEqual(len(statuses), BURST + 1)
        self.assertIsNotNone(connection.sock)  # it carries others' requests, too
        self.assertEqual(self.ask(connection, "2001:db8:1:3::1", self.server.token()).status, 200)
        self.assertEqual(self.ask(connection, "192.0.2.1", "not.a.token").status, 401)
        connection.close()

    def test_the_proxy_is_never_barred(self):
        connection = self.connect("127.0.0.1")
        for _ in range(3 * BURST):
            self.assertEqual(self.ask(connection, None, "not.a.token").status, 401)
        connection.close()
        for _ in range(2 * BURST):
            with self.raw("127.0.0.1") as junk:
                junk.sendall(b"this is no ClientHello, by far\r\n\r\n")
                try:
                    while junk.recv(65536):
                        pass
                except ConnectionError:
                    pass
        for _ in range(2 * BURST):
            with self.server.client.context.wrap_socket(self.raw("127.0.0.1"), server_hostname="localhost") as bad:
                bad.sendall(b"BAD\r\n\r\n")
                try:
                    self.assertIn(b"HTTP/1.1 400", bad.recv(65536))
                except (ssl.SSLError, ConnectionError):
                    pass
        self.others_are_served()
        connection = self.connect("127.0.0.1")
        self.assertEqual(self.ask(connection, "192.0.2.2", self.server.token()).status, 200)
        connection.close()


class UnfinishedJobs(ServerCase):
    settings = {"limits": {"subject": {"unfinished_jobs": 3}}}

    def test_a_subject_may_queue_so_many(self):
        task = self.server.create("gated")
        path = f"/api/v1/tasks/submit/{task['id']}/"
        jobs = [self.server.submit(task) for _ in range(3)]
        for headers in ({}, {"Idempotency-Key": '"again"'}):
            answer = self.request("POST", path, "TAIPY_EXECUTOR", headers=headers)
            self.problem(answer, 429, "3 unfinished jobs")
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        rows = self.server.audit(answer.headers["X-Request-Id"])
        self.assertEqual([(row["outcome"], row["status"]) for row in rows], [("failed", 429)])
        self.assertEqual(len(self.request("GET", "/api/v1/jobs/").json()["results"]), 3)
        self.assertEqual(self.request("POST", path, "TAIPY_ADMIN").status, 204)  # somebody else
        self.assertIn(self.request("POST", f"/api/v1/jobs/cancel/{jobs[2]}/", "TAIPY_EXECUTOR").status, (202, 204))
        self.server.wait_job(jobs[2], "CANCELED")
        answer = self.request("POST", path, "TAIPY_EXECUTOR", headers={"Idempotency-Key": '"again"'})
        self.assertEqual(answer.status, 204)  # a 429 is not kept for the key
        self.assertEqual(self.request("POST", path, "TAIPY_EXECUTOR").status, 429)
        self.server.open_gate()
        self.server.wait_job(jobs[0], "COMPLETED")
        wait_until(lambda: self.request("POST", path, "TAIPY_EXECUTOR").status == 204, "there is room again")


if __name__ == "__main__":
    unittest.main()
