"""The limits on head and body are the operator's to lower."""

import http.client
import re
import socket
import unittest

from lib.client import send
from lib.server import ServerCase, wait_until

JSON = {"Content-Type": "application/json"}


class Limits(ServerCase):
    settings = {"limits": {"head": "2KiB", "body": "4KiB"}}

    def create(self, headers, body=None):
        return self.request("POST", "/api/v1/tasks/?config_id=double", headers=headers, body=body)

    def test_a_head_over_the_limit(self):
        self.assertEqual(self.create({"X-Filler": "a" * 500}).status, 201)
        self.assertEqual(self.create({"X-Filler": "a" * 3000}).status, 431)

    def test_a_body_over_the_limit(self):
        self.assertEqual(self.create(JSON, b'{"a": "' + b"b" * 3000 + b'"}').status, 201)
        self.assertEqual(self.create(JSON, b'{"a": "' + b"b" * 5000 + b'"}').status, 413)


CONNECTIONS = 400
BODIES = 126  # of 64 KiB, which take twice that


class Bodies(ServerCase):
    """Two addresses announce as many bodies as they may have connections, and send none of them."""

    settings = {"limits": {"connections": CONNECTIONS, "memory_budget": f"{CONNECTIONS * 80 + BODIES * 128}KiB", "body_timeout": "10m"}}

    def announce(self, source):
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=60, source_address=(source, 0))
        connection = self.server.client.context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(b"POST /api/v1/tasks/?config_id=double HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n")
        return connection

    def answered(self, connection):
        """The status of an announced body, or None: the server waits for it."""
        connection.settimeout(0.05)
        try:
            return int(re.match(rb"HTTP/1\.1 (\d{3}) ", connection.recv(65536)).group(1))
        except TimeoutError:
            return None

    def create_from(self, source):
        connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=60, context=self.server.client.context, source_address=(source, 0))
        try:
            return send(connection, "POST", "/api/v1/tasks/?config_id=double", self.server.token(), JSON, b'{"a": "' + b"b" * 60000 + b'"}')
        finally:
            connection.close()

    def test_two_addresses_cannot_use_up_the_room_for_bodies(self):
        hostile = [self.announce(source) for _ in range(80) for source in ("127.0.0.66", "127.0.0.67")]
        for connection in hostile:
            self.addCleanup(connection.close)
        for i in range(20):
            answer = self.create_from(f"127.0.0.{100 + i}")
            self.assertEqual(answer.status, 201, answer.body)
        self.problem(self.create_from("127.0.0.66"), 429, "bodies of this address")
        statuses = [self.answered(connection) for connection in hostile]
        self.assertEqual(set(statuses), {None, 429})
        self.assertEqual(statuses.count(None), 2 * (BODIES // 8))
        for connection in hostile:
            connection.close()
        wait_until(lambda: self.create_from("127.0.0.66").status == 201, "its share is there again")


if __name__ == "__main__":
    unittest.main()
