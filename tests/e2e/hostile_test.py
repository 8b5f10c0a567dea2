"""Hostile requests and honest odd ones over raw TLS, and attacks: each is judged right, nothing of it is executed, memory stays within
limits.memory_budget, and other clients' requests all succeed meanwhile.

    /usr/bin/python3 tests/e2e/hostile_test.py [-v] [Class.test]      BAILIFF_SOAK=1: longer floods
"""

import json
import os
import re
import resource
import shutil
import socket
import ssl
import struct
import tempfile
import threading
import time
import unittest

from lib import apps, tokens
from lib.server import SOAK, SOURCE, Server, ServerCase, free_port, run, sanitized, wait_until

CRLF = b"\r\n"
CREATE = b"POST /api/v1/tasks/?config_id=noop HTTP/1.1"
CREATE_OLD = b"POST /api/v1/tasks/?config_id=noop HTTP/1.0"
HOST = b"Host: localhost"
NONE = b"Content-Length: 0"
CHUNKED = b"Transfer-Encoding: chunked"
JSON = b"Content-Type: application/json"
LAST = b"Connection: close"


def tls(server, port=None, alpn=None, certificate=None):
    """A TLS connection of bytes."""
    context = ssl.create_default_context(cafile=server.path("ca.pem"))
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate:
        context.load_cert_chain(server.path(certificate + ".pem"), server.path(certificate + "-key.pem"))
    plain = socket.create_connection(("127.0.0.1", port or server.port), timeout=60)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def send(connection, data):
    """False: the other side closed while it was being sent."""
    try:
        connection.sendall(data)
        return True
    except (OSError, ssl.SSLError):
        return False


def read_all(connection):
    """Everything until the other side closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except (ConnectionError, ssl.SSLError):
        pass  # closed on us: what came before counts
    return received


def talk(server, data, **options):
    with tls(server, **options) as connection:
        send(connection, data)
        return read_all(connection)


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def request(line, *fields, body=b""):
    return CRLF.join((line, *fields)) + CRLF + CRLF + body


class Requests(ServerCase):
    """Each hostile request would create a task with a good token, if it were taken for one, and hides another that would, too."""

    def hostile(self):
        """(name, bytes, status): one connection each."""
        token = b"Authorization: Bearer " + self.server.token().encode()
        hidden = request(CREATE, HOST, token, NONE)
        length = b"Content-Length: %d" % len(hidden)

        def with_fields(*fields, body=hidden, line=CREATE):
            return request(line, HOST, token, *fields, body=body)

        yield "CL with TE", with_fields(NONE, CHUNKED, body=b"0\r\n\r\n" + hidden), 400
        yield "TE with CL", with_fields(CHUNKED, length, body=b"0\r\n\r\n" + hidden), 400
        yield "CL twice, differing", with_fields(NONE, length), 400
        yield "CL twice, the same", with_fields(NONE, NONE), 400
        for value in (b"+0", b"-0", b"0x0", b"0, 0", b"0 0", b"", b"1e0", b"0_", b"18446744073709551616", b"9223372036854775808", b"\xd9\xa0"):
            yield "CL " + repr(value), with_fields(b"Content-Length: " + value), 400
        for value in (b"xchunked", b"chunked, identity", b"identity", b"identity, chunked", b'"chunked"', b"chunked;q=1", b"chunked,", b"", b"gzip, chunked"):
            yield "TE " + repr(value), with_fields(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n" + hidden), 400
        yield "TE twice", with_fields(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + hidden), 400
        yield "TE in HTTP/1.0", request(CREATE_OLD, HOST, token, CHUNKED, body=b"0\r\n\r\n" + hidden), 400
        yield "no Host", request(CREATE, token, NONE), 400
        yield "two Hosts", request(CREATE, HOST, HOST, token, NONE), 400
        for value in (b"", b"local host", b"localhost/", b"a@b", b"localhost,other", b"localh\xc3\xb6st"):
            yield "Host " + repr(value), request(CREATE, b"Host: " + value, token, NONE), 400
        yield "bare LF", with_fields(NONE).replace(CRLF, b"\n"), 400
        yield "one bare LF", with_fields(NONE).replace(CRLF, b"\n", 1), 400
        yield "bare CR", with_fields(b"X: a\rb", NONE), 400
        yield "CR CR LF", with_fields(b"X: a\r", NONE), 400
        yield "folded", with_fields(b"X: a\r\n b", NONE), 400
        yield "folded by a tab", with_fields(b"X: a\r\n\tb", NONE), 400
        yield "blank before the colon", with_fields(b"X : a", NONE), 400
        yield "tab before the colon", with_fields(b"X\t: a", NONE), 400
        yield "blank before the first name", request(CREATE, b" " + HOST, token, NONE), 400
        yield "empty name", with_fields(b": a", NONE), 400
        yield "no colon", with_fields(b"nonsense", NONE), 400
        for char in (b"\0", b"\x01", b"\x0b", b"\x7f", b"\x1b"):
            yield "control character in a value " + repr(char), with_fields(b"X: a" + char, NONE), 400
            yield "control character in a name " + repr(char), with_fields(b"X" + char + b": a", NONE), 400
        for char in b'"(),/;<=>?@[\\]{}':
            yield "name with " + chr(char), with_fields(b"X" + bytes([char]) + b": a", NONE), 400
        yield "name beyond ASCII", with_fields(b"X\xc3\xb6: a", NONE), 400
        yield "65 fields", with_fields(*[b"X-%d: a" % i for i in range(62)], NONE), 400
        yield "head of 17 KiB", with_fields(b"X: " + b"a" * 17000, NONE), 431
        yield "name of 17 KiB", with_fields(b"X" * 17000 + b": a", NONE), 431
        yield "target of 17 KiB", with_fields(NONE, line=b"POST /api/v1/tasks/?config_id=noop&a=" + b"a" * 17000 + b" HTTP/1.1"), 431
        yield "64 KB of token", request(CREATE, HOST, b"Authorization: Bearer " + b"a" * 65536, NONE), 431
        yield "two Authorizations", with_fields(token, NONE), 400
        yield "unknown expectation", with_fields(b"Expect: the unexpected", length), 417
        for line in (
            b"POST  /api/v1/tasks/?config_id=noop HTTP/1.1", b"POST /api/v1/tasks/?config_id=noop  HTTP/1.1", b"POST /api/v1/tasks/?config_id=noop HTTP/1.1 ",
            b" " + CREATE, b"POST\t/api/v1/tasks/?config_id=noop HTTP/1.1", CREATE[:-3] + b"2.0", CREATE[:-3] + b"1.2", CREATE[:-3] + b"1.10",
            CREATE.replace(b"HTTP", b"http"), CREATE.replace(b" HTTP/1.1", b""), CREATE.replace(b" HTTP/1.1", b" ICY"), b"P\xd6ST" + CREATE[4:], b"PO,ST" + CREATE[4:],
            b"X" * 33 + CREATE[4:], CREATE.replace(b"/api", b"api"), CREATE.replace(b"/api", b"https://localhost/api"), CREATE.replace(b"noop", b"no op"),
            CREATE.replace(b"noop", b"noop#a"), CREATE.replace(b"noop", b"no\xc3\xb6p"), b"POST * HTTP/1.1", b"BREW" + CREATE[4:], b"post" + CREATE[4:], b"TRACE" + CREATE[4:], b"CONNECT localhost:443 HTTP/1.1",
        ):  # fmt: skip
            yield "line " + repr(line), with_fields(NONE, line=line), 400
        yield "two empty lines first", CRLF + CRLF + with_fields(NONE), 400
        yield "body beyond all routes", with_fields(b"Content-Length: 1000000", JSON), 413
        for chunks in (
            b"g\r\n", b"-1\r\n", b"+1\r\nx\r\n0\r\n\r\n", b"0x1\r\nx\r\n0\r\n\r\n", b" 1\r\nx\r\n0\r\n\r\n", b"1 \r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n", b"1\r\nxx\r\n0\r\n\r\n",
            b"1\r\nx0\r\n\r\n", b"000000001\r\nx\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"1;" + b"a" * 102400 + b"\r\nx\r\n0\r\n\r\n", b"1;a\nb\r\nx\r\n0\r\n\r\n", b"\r\n",
            b";a\r\n", b"0\r\nX: a\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\n\n", b"1\r\nx\n0\r\n\r\n",
        ):  # fmt: skip
            yield "chunks " + repr(chunks[:24]), with_fields(CHUNKED, JSON, body=chunks + hidden), 400

    def test_hostile_requests_are_refused_counted_logged_and_not_executed(self):
        changes = "SELECT count(*) AS n FROM audit WHERE action <> 'request.refuse'"
        before = self.server.query(changes)[0]["n"]
        count = malformed = 0
        for name, data, status in self.hostile():
            with self.subTest(name):
                count += 1
                malformed += name != "two Authorizations"  # well-formed, but for authentication to judge
                received = talk(self.server, data)
                self.assertEqual(statuses(received), [status], received[:600])  # one answer, then closed
                head, _, body = received.partition(CRLF + CRLF)
                problem = json.loads(body)
                self.assertEqual(problem["status"], status)
                self.assertIn(b"application/problem+json", head)
                self.assertIn(problem["instance"].removeprefix("urn:uuid:").encode(), head)
        self.assertGreaterEqual(count, 60)
        self.assertEqual(self.server.query("SELECT count(*) AS n FROM task")[0]["n"], 0)
        self.assertEqual(self.server.query(changes)[0]["n"], before)
        self.assertEqual(self.server.request("GET", "/api/v1/tasks/").json()["results"], [])
        wait_until(lambda: self.recorded("request.malformed") == malformed, f"{malformed} refusals are logged, singly or counted")

    def recorded(self, event):
        lines = [json.loads(line) for line in self.server.log().splitlines() if f'"{event}"' in line]
        return sum(line.get("more", 1) for line in lines)

    def honest(self):
        """(name, bytes, statuses): odd, but right."""
        token = b"Authorization: Bearer " + self.server.token("TAIPY_ADMIN").encode()
        me = b"GET /api/v1/auth/me/ HTTP/1.1"
        read = (b"GET /api/v1/datanodes/DATANODE_x_00000000-0000-4000-8000-000000000000/read/ HTTP/1.1", HOST, token, JSON)

        yield "plain", request(me, HOST, token, LAST), [200]
        yield "an empty line first", CRLF + request(me, HOST, token, LAST), [200]
        yield "HTTP/1.0", request(me.replace(b"1.1", b"1.0"), HOST, token), [200]
        yield "HTTP/1.0 without Host", request(me.replace(b"1.1", b"1.0"), token), [200]
        yield "HTTP/1.0 kept", request(me.replace(b"1.1", b"1.0"), token, b"Connection: keep-alive") + request(me, HOST, token, LAST), [200, 200]
        yield "pipelined", request(me, HOST, token) * 5 + request(me, HOST, token, LAST), [200] * 6
        yield "names in capitals", request(me, HOST.upper().replace(b"LOCALHOST", b"localhost"), token.replace(b"Authorization", b"AUTHORIZATION"), LAST), [200]
        yield "no blanks", request(me, HOST.replace(b" ", b""), token.replace(b": ", b":"), LAST), [200]
        yield "many blanks", request(me, b"Host:  \t localhost \t", token.replace(b": ", b": \t "), b"X: \t", LAST), [200]
        yield "64 fields", request(me, HOST, token, *[b"X-%d: a" % i for i in range(61)], LAST), [200]
        yield "a head of nearly 16 KiB", request(me, HOST, token, b"X: " + b"a" * 13000, LAST), [200]
        yield "bytes beyond ASCII in a value", request(me, HOST, token, b"X: \xc3\xb6\xff", LAST), [200]
        yield "a port in Host", request(me, b"Host: localhost:8443", token, LAST), [200]
        yield "an IPv6 Host", request(me, b"Host: [::1]:8443", token, LAST), [200]
        yield "Connection in a list", request(me, HOST, token, b"Connection: X, Close"), [200]
        yield "h2c is ignored", request(me, HOST, token, b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"), [200]
        yield "websocket is ignored", request(me, HOST, token, b"Connection: upgrade, close", b"Upgrade: websocket"), [200]
        yield "HEAD", request(me.replace(b"GET", b"HEAD"), HOST, token, LAST), [200]
        yield "OPTIONS *", request(b"OPTIONS * HTTP/1.1", HOST, token, LAST), [404]
        yield "OPTIONS", request(me.replace(b"GET", b"OPTIONS"), HOST, token, LAST), [204]
        yield "a method of no route", request(me.replace(b"GET", b"PATCH"), HOST, token, LAST), [405]
        yield "chunked", request(*read, CHUNKED, LAST, body=b"2\r\n{}\r\n0\r\n\r\n"), [404]
        yield "chunked in capitals", request(*read, b"TRANSFER-ENCODING: CHUNKED", LAST, body=b"2\r\n{}\r\n0\r\n\r\n"), [404]
        yield "chunks with zeros and extensions", request(*read, CHUNKED, LAST, body=b"00000001;a=b;c\r\n{\r\n1\r\n}\r\n000;x\r\n\r\n"), [404]
        yield "chunked, then another", request(*read, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n") + request(me, HOST, token, LAST), [404, 200]
        yield "a length, then another", request(*read, b"Content-Length: 2", body=b"{}") + request(me, HOST, token, LAST), [404, 200]
        yield "an empty body in chunks", request(me, HOST, token, CHUNKED, LAST, body=b"0\r\n\r\n"), [200]
        yield "expects to go on", request(*read, b"Expect: 100-continue", b"Content-Length: 2", LAST, body=b"{}"), [100, 404]
        yield "zeros before a length", request(*read, b"Content-Length: 0002", LAST, body=b"{}"), [404]

    def test_honest_odd_requests_are_served(self):
        count = 0
        for name, data, expected in self.honest():
            with self.subTest(name):
                count += 1
                received = talk(self.server, data)
                self.assertEqual(statuses(received), expected, received[:600])
        self.assertGreaterEqual(count, 20)

    def test_pieces_make_no_difference(self):
        token = b"Authorization: Bearer " + self.server.token().encode()
        data = request(b"GET /api/v1/auth/me/ HTTP/1.1", HOST, token, LAST)
        bad = request(b"GET /api/v1/auth/me/ HTTP/1.1", HOST, HOST, token, LAST)
        for whole, status in ((data, 200), (bad, 400)):
            with tls(self.server) as connection:
                for at in range(0, len(whole), 7):
                    send(connection, whole[at : at + 7])
                self.assertEqual(statuses(read_all(connection)), [status])


# ---- attacks ----

CONNECTIONS = 2400
COST_KIB = 80  # of a connection at its worst, as the server reckons
BUDGET_MIB = CONNECTIONS * COST_KIB // 1024 + 8


def rss_kib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read()).group(1))


class Bystander(threading.Thread):
    """An honest client, whose requests must all succeed."""

    def __init__(self, server, path):
        super().__init__()
        self.server, self.path = server, path
        self.ended = threading.Event()
        self.good = 0
        self.bad = []

    def run(self):
        while not self.ended.is_set():
            try:
                answer = self.server.request("GET", self.path, "TAIPY_READER")
                if answer.status == 200:
                    self.good += 1
                else:
                    self.bad.append(answer)
            except Exception as error:  # noqa: BLE001: whatever it is, it is a failure
                self.bad.append(error)
            self.ended.wait(0.005)
        self.server.client.close()


class Attacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * CONNECTIONS), hard))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        cls.folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        settings = {
            "limits": {
                "connections": CONNECTIONS, "connections_per_address": 0, "memory_budget": f"{BUDGET_MIB}MiB",
                "handshake_timeout": "20s", "idle_timeout": "10m", "head_timeout": "2s", "body_timeout": "2s", "write_timeout": "2s",
                "address": {"refusals_per_minute": 0, "bodies": f"{BUDGET_MIB}MiB"},  # all that attackers can do is to be endured, not cut short
            }
        }  # fmt: skip
        cls.server = Server(apps.taipy(os.path.join(cls.folder, "app")), settings, cls.folder)
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", cls.folder, "--client", "alice"])
        cls.mutual, reservation = free_port()
        cls.addClassCleanup(reservation.close)
        listeners = cls.server.settings["server"]["listeners"]
        listeners.append({**listeners[0], "port": cls.mutual, "client_ca": "clients-ca.pem"})
        cls.server.write_config()
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()
        cls.task = cls.server.create("noop")
        for _ in range(200):  # so that a list is worth reading
            cls.server.create("noop")
        cls.base_kib = rss_kib(cls.server.process.pid, "VmRSS")
        cls.sanitized = sanitized()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.audited = self.records()
        self.bystander = Bystander(self.server, f"/api/v1/tasks/{self.task['id']}/")
        self.bystander.start()
        self.addCleanup(self.judge)

    def judge(self):
        """After each attack."""
        self.bystander.ended.set()
        self.bystander.join()
        self.assertEqual(self.bystander.bad, [])
        self.assertGreater(self.bystander.good, 0)
        self.assertEqual(self.records(), self.audited, "something was executed")
        if not self.sanitized:  # sanitizers have a memory of their own
            grown = (rss_kib(self.server.process.pid, "VmHWM") - self.base_kib) // 1024
            self.assertLess(grown, BUDGET_MIB, "MiB: memory beyond the budget")

    def records(self):
        return self.server.query("SELECT count(*) AS n FROM audit WHERE action LIKE 'task.%'")[0]["n"]

    def log_has(self, *words):
        wait_until(lambda: any(all(word in line for word in words) for line in self.server.log().splitlines()), f"the log has {words}")

    def in_parallel(self, count, attack, threads=8):
        """attack(i) for each i; what it raises fails the test."""
        numbers, errors = iter(range(count)), []
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None or errors:
                    return
                try:
                    attack(number)
                except Exception as error:  # noqa: BLE001
                    errors.append(error)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if errors:
            raise errors[0]

    # -- HTTP/2 where there is none --

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def hpack_bomb(self):
        """An entry of 4,000 bytes in the table, then references to it: each byte becomes a header of 4 KB."""
        entry = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"b" * 4000
        frames = [self.frame(1, 4, 1, b"\x82\x84\x87" + entry)]
        frames += [self.frame(1, 4, 3 + 2 * i, b"\x82\x84\x87" + b"\xbe" * 16000) for i in range(500)]
        return self.PREFACE + b"".join(frames)

    def rapid_reset(self):
        get = b"\x82\x84\x87\x41\x09localhost"
        return self.PREFACE + b"".join(
            self.frame(1, 5, 1 + 2 * i, get) + self.frame(3, 0, 1 + 2 * i, b"\0\0\0\x08") for i in range(50000)
        )

    def test_http2_is_not_reached_without_a_client_certificate(self):
        for data in (self.PREFACE, self.hpack_bomb(), self.rapid_reset()):
            received = talk(self.server, data)
            self.assertEqual(statuses(received), [400])
            for protocols in (None, ["h2"], ["h2", "http/1.1"]):
                received = b""
                try:
                    received = talk(self.server, data, port=self.mutual, alpn=protocols)
                except (OSError, ssl.SSLError):
                    pass
                self.assertEqual(received, b"")
        with self.assertRaises((OSError, ssl.SSLError)):
            tls(self.server, alpn=["h2"])
        with tls(self.server, alpn=["h2", "http/1.1"]) as connection:
            self.assertEqual(connection.selected_alpn_protocol(), "http/1.1")
        with tls(self.server, port=self.mutual, alpn=["h2"], certificate="client-alice") as connection:
            self.assertEqual(connection.selected_alpn_protocol(), "h2")

    def test_hpack_bombs_with_a_certificate_are_duds(self):
        """Each would make some 100 MB of headers, and wait for a body with them."""

        def attack(_):
            with tls(self.server, port=self.mutual, alpn=["h2"], certificate="client-alice") as connection:
                send(connection, self.hpack_bomb())
                read_all(connection)  # ends

        self.in_parallel(16, attack)

    def test_heads_without_an_end_are_not_collected(self):
        """A head that goes on in frame after frame; one that is larger than HTTP/1's may be."""
        begun = self.PREFACE + self.frame(1, 0, 1, b"\x82\x84\x87")
        for more in (self.frame(9, 0, 1, b"\x40\x01a\x01b" * 3000) * 2000, self.frame(9, 0, 1, b"") * 100000):
            with tls(self.server, port=self.mutual, alpn=["h2"], certificate="client-alice") as connection:
                send(connection, begun + more)
                read_all(connection)  # ends

    def test_rapid_reset_with_a_certificate_has_a_budget(self):
        with tls(self.server, port=self.mutual, alpn=["h2"], certificate="client-alice") as connection:
            send(connection, self.rapid_reset())
            read_all(connection)  # ends
        self.log_has("connection.closed", "http2_resets")

    # -- slowness --

    def all_end(self, connections):
        """The server closes each, unanswered."""
        for connection in connections:
            with connection:
                self.assertEqual(statuses(read_all(connection)), [])

    def test_slow_heads(self):
        connections = [tls(self.server) for _ in range(100)]
        for _ in range(5):  # a byte now and then does not help
            for connection in connections:
                send(connection, b"G")
        self.all_end(connections)
        self.log_has("connection.closed", "head_timeout")

    def test_slow_bodies(self):
        token = b"Authorization: Bearer " + self.server.token().encode()
        half = request(CREATE, HOST, token, JSON, b"Content-Length: 100", body=b"{")
        chunks = request(CREATE, HOST, token, JSON, CHUNKED, body=b"5\r\n{")
        connections = []
        for i in range(40):  # within the bodies' share of memory
            connections.append(tls(self.server))
            send(connections[-1], half if i % 2 else chunks)
        self.all_end(connections)
        self.log_has("connection.closed", "body_timeout")

    def test_slow_readers(self):
        listing = request(b"GET /api/v1/tasks/ HTTP/1.1", HOST, b"Authorization: Bearer " + self.server.token("TAIPY_READER").encode())
        connections = []
        for _ in range(20):
            connection = tls(self.server)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            send(connection, listing * 14)
            connections.append(connection)
        wait_until(lambda: self.server.log().count('"write_timeout"') + self.server.log().count("limits.write_timeout") > 0, "a slow reader is closed")
        for connection in connections:
            with connection:
                self.assertLess(len(statuses(read_all(connection))), 14)  # not all of it

    # -- numbers --

    def test_floods_of_junk(self):
        """As much as fits, as fast as it goes, behind a request that is answered: it is read in small bites, or not at all."""
        asked = request(b"GET /livez HTTP/1.1", HOST)
        junk = os.urandom(1 << 20)
        self.in_parallel(300 if SOAK else 100, lambda i: talk(self.server, (asked if i % 2 else b"") + junk))

    def test_heads_that_stop_just_before_their_end(self):
        connections = []
        data = request(b"GET /livez HTTP/1.1", HOST, b"X: " + b"a" * 16000)[:-4]

        def attack(_):
            connections.append(tls(self.server))
            send(connections[-1], data)

        self.in_parallel(1000, attack)
        self.all_end(connections)

    def test_bodies_beyond_the_budget(self):
        """They are refused at once, and others' are not when room is there again."""
        token = b"Authorization: Bearer " + self.server.token("TAIPY_READER").encode()
        half = request(b"POST /api/v1/tasks/?config_id=noop HTTP/1.1", HOST, token, JSON, b"Content-Length: 65536", body=b"{")
        connections = []
        for _ in range(120):
            connections.append(tls(self.server))
            send(connections[-1], half)
        answers = []
        for connection in connections:
            with connection:
                answers += statuses(read_all(connection))
        self.assertIn(503, answers)
        self.assertEqual(set(answers), {503})  # the others waited for their bodies, and were closed
        self.assertLess(len(answers), 120)
        self.log_has("request.refused", "memory")
        answer = self.server.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER", json_body={})
        self.assertEqual(answer.status, 403)

    def test_large_tokens_and_extensions(self):
        large = request(b"GET /api/v1/auth/me/ HTTP/1.1", HOST, b"Authorization: Bearer " + b"a" * 65536)
        extension = request(CREATE, HOST, CHUNKED, body=b"1;" + b"a" * 102400 + b"\r\nx\r\n0\r\n\r\n")

        def attack(i):
            received = talk(self.server, large if i % 2 else extension)
            self.assertEqual(statuses(received), [431 if i % 2 else 400])

        self.in_parallel(300, attack)

    def test_forged_tokens(self):
        claims = tokens.claims(issuer=tokens.RS_ISSUER)
        made = tokens.rs256(self.server.path("rs-key.pem"), claims)
        signed, _, signature = made.rpartition(".")
        forged = [signed + "." + tokens.b64(os.urandom(256)), tokens.unsigned(claims), tokens.hs256(b"x" * 48, tokens.claims()), signature, made[:-8] + "AAAAAAAA"]
        head = [request(b"GET /api/v1/tasks/ HTTP/1.1", HOST, b"Authorization: Bearer " + token.encode()) for token in forged]
        end = time.monotonic() + (60 if SOAK else 3)

        def attack(_):
            with tls(self.server) as connection:
                while time.monotonic() < end:
                    send(connection, b"".join(head) * 4)
                    received = b""
                    while len(statuses(received)) < 4 * len(head):
                        piece = connection.recv(65536)
                        self.assertTrue(piece, received[-300:])
                        received += piece
                    self.assertEqual(set(statuses(received)), {401})

        self.in_parallel(4, attack, threads=4)


if __name__ == "__main__":
    unittest.main()
