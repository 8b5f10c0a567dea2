"""Behind nginx and HAProxy, with kept-alive connections to us: no request is ever answered that the proxy did not send, and limits, log and
audit see the client's own address.

    /usr/bin/python3 tests/e2e/proxies_test.py [-v] [Class.test]

Every hostile request carries a path of its own outside, and another hidden where a careless server would find a second request.
What bailiff's log says it was asked must be what the proxy's log says it asked.
"""

import collections
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

from lib import apps
from lib.server import PATIENCE_S, SOAK, Server, free_port, wait_until

CREATION = "/api/v1/tasks/?config_id=noop"
CLIENT = "127.0.0.77"  # the address that clients here have; the proxies come from 127.0.0.1

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
    log_format asked escape=none '$upstream_addr $request_method $request_uri';
    access_log {folder}/nginx-access.log asked;
    client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy; fastcgi_temp_path {folder}/nginx-f;
    uwsgi_temp_path {folder}/nginx-u; scgi_temp_path {folder}/nginx-s;
    upstream bailiff {{ server 127.0.0.1:{backend}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://bailiff;
            proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_verify on; proxy_ssl_name localhost;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host localhost;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_request_buffering {buffering};
            proxy_next_upstream off;
        }}
    }}
}}
"""

HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    log-format "%s %HM %HU"
    http-reuse always
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend forwarded
    bind 127.0.0.1:{forwarded}
    option forwardfor
    default_backend forwarded
backend forwarded
    server one 127.0.0.1:{backend} ssl verify required ca-file {folder}/ca.pem verifyhost localhost
frontend proxied
    bind 127.0.0.1:{proxied}
    default_backend proxied
backend proxied
    server one 127.0.0.1:{backend_proxied} ssl verify required ca-file {folder}/ca.pem verifyhost localhost send-proxy-v2
frontend passed
    mode tcp
    log-format "passed"
    bind 127.0.0.1:{passed}
    default_backend passed
backend passed
    mode tcp
    server one 127.0.0.1:{backend_proxied} send-proxy-v2
"""

CRLF = "\r\n"


def hidden(token):
    """A whole request that creates a task, to be hidden in another."""
    return (
        f"POST {CREATION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n"
    )


def attempts(token):
    """(name, bytes): what smugglers send. {n} marks the outer request."""

    def post(headers, body, line="POST /api/v1/outer-{n}/ HTTP/1.1"):
        return line + CRLF + "Host: localhost" + CRLF + "".join(h + CRLF for h in headers) + CRLF + body

    inner = "{inner}"
    yield "CL.TE", post(["Content-Length: 6", "Transfer-Encoding: chunked"], "0\r\n\r\n" + inner)
    yield "CL.TE whole", post(["Content-Length: {inner_len5}", "Transfer-Encoding: chunked"], "0\r\n\r\n" + inner)
    yield "TE.CL", post(["Transfer-Encoding: chunked", "Content-Length: 4"], "{inner_hex}\r\n" + inner + "\r\n0\r\n\r\n")
    for name in (
        "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding\r\n : chunked", "Transfer-Encoding: \"chunked\"", "Transfer_Encoding: chunked",
        "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: CHUNKED", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: chun\0ked",
        "X: y\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
    ):
        yield "TE obfuscated: " + repr(name), post(["Content-Length: {inner_len5}", name], "0\r\n\r\n" + inner)
        yield "TE only: " + repr(name), post([name], "0\r\n\r\n" + inner)
    for length in ("+0", "0, {inner_len}", "{inner_len}, 0", "0x0", "-0", "0 0", "00", " 0", "0\t", "1e1", "0_0", "", "18446744073709551616"):
        yield "CL: " + repr(length), post(["Content-Length: " + length], inner)
    yield "two CL", post(["Content-Length: 0", "Content-Length: {inner_len}"], inner)
    yield "two CL turned", post(["Content-Length: {inner_len}", "Content-Length: 0"], inner)
    yield "CL.0", post(["Content-Length: {inner_len}"], inner)
    yield "GET with a body", post(["Content-Length: {inner_len}"], inner, "GET /api/v1/outer-{n}/ HTTP/1.1")
    yield "HEAD with a body", post(["Content-Length: {inner_len}"], inner, "HEAD /api/v1/outer-{n}/ HTTP/1.1")
    yield "OPTIONS with a body", post(["Content-Length: {inner_len}"], inner, "OPTIONS /api/v1/outer-{n}/ HTTP/1.1")
    yield "Connection names CL", post(["Connection: keep-alive, Content-Length", "Content-Length: {inner_len}"], inner)
    yield "Connection names TE", post(["Connection: keep-alive, Transfer-Encoding", "Transfer-Encoding: chunked"], "0\r\n\r\n" + inner)
    yield "expect", post(["Expect: 100-continue", "Content-Length: {inner_len}"], inner)
    yield "expect nothing", post(["Expect: 100-continue", "Content-Length: 0"], inner)
    yield "bare LF", post(["Content-Length: {inner_len}"], inner).replace(CRLF, "\n", 4)
    yield "HTTP/1.0 keep-alive TE", post(["Connection: keep-alive", "Transfer-Encoding: chunked"], "0\r\n\r\n" + inner, "POST /api/v1/outer-{n}/ HTTP/1.0")
    yield "HTTP/1.0 keep-alive CL", post(["Connection: keep-alive", "Content-Length: 0"], inner, "POST /api/v1/outer-{n}/ HTTP/1.0")
    for chunk in (
        "0;x\r\n\r\n", "0;\nx\r\n\r\n", "0\n\n", "0\r\nX: y\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "000000000000000000000\r\n\r\n", "0 \r\n\r\n",
        "1\r\nx\r\n0\r\n\r\n", "1\nx\n0\n\n", "100000000\r\n", "ffffffffffffffff\r\n", "fffffffffffffffff1\r\n", "0x0\r\n\r\n", "1\r\nxx\r\n0\r\n\r\n",
        "1;" + "a" * 5000 + "\r\nx\r\n0\r\n\r\n", "-1\r\n\r\n", "1\r\nx0\r\n\r\n",
    ):
        yield "chunks " + repr(chunk[:30]), post(["Transfer-Encoding: chunked"], chunk + inner)
    yield "absolute", post(["Content-Length: {inner_len}"], inner, "POST http://localhost/api/v1/outer-{n}/ HTTP/1.1")
    yield "absolute elsewhere", post(["Content-Length: {inner_len}"], inner, "POST http://elsewhere/api/v1/outer-{n}/ HTTP/1.1")
    yield "space in the target", post(["Content-Length: {inner_len}"], inner, "POST /api/v1/outer-{n}/ HTTP/1.1 HTTP/1.1")
    yield "line in the target", post([], "", "GET /api/v1/outer-{n}/%20HTTP/1.1%0d%0aX:%20y HTTP/1.1") + inner
    yield "h2c upgrade", post(["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"], "", "GET /api/v1/outer-{n}/ HTTP/1.1") + inner
    yield "websocket", post(["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="], "", "GET /api/v1/outer-{n}/ HTTP/1.1") + inner
    yield "preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner
    yield "proxy header inside", post(["Content-Length: 0"], "") + "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + "a" * 12 + inner
    yield "two hosts", post(["Host: elsewhere", "Content-Length: {inner_len}"], inner)
    yield "many headers", post([f"X-{i}: y" for i in range(90)] + ["Content-Length: {inner_len}"], inner)
    yield "long head", post(["X: " + "y" * 7000, "Y: " + "y" * 7000, "Z: " + "y" * 3000, "Content-Length: {inner_len}"], inner)


def fill(text, n, inner):
    size = len(inner)
    for name, value in (("n", str(n)), ("inner_len5", str(size + 5)), ("inner_len", str(size)), ("inner_hex", f"{size:x}"), ("inner", inner)):
        text = text.replace("{" + name + "}", value)
    return text.encode("latin-1")


class Proxy:
    """A process with a log of what it asked."""

    def __init__(self, command, log_file):
        self.log_file = log_file
        self.output = open(log_file + ".out", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def asked(self):
        """Counts of request targets that went on to bailiff."""
        try:
            with open(self.log_file, encoding="latin-1") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return collections.Counter()
        parts = [line.split(" ", 2) for line in lines]
        return collections.Counter(part[2] for part in parts if len(part) == 3 and part[0] not in ("-", "<NOSRV>"))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()


def connect(port, source=CLIENT):
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))


def read_some(connection, timeout_s):
    """What comes until the other side closes, or is silent for so long."""
    received = b""
    connection.settimeout(timeout_s)
    try:
        while piece := connection.recv(65536):
            received += piece
    except (OSError, ssl.SSLError):
        pass
    return received


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for program in ("/usr/sbin/nginx", "/usr/sbin/haproxy"):
            if not os.access(program, os.X_OK):
                raise RuntimeError(f"{program} is missing: install the packages nginx and haproxy")
        cls.ports = {}
        for name in ("proxied", "nginx", "nginx_buffering", "ha_forwarded", "ha_proxied", "ha_passed"):
            cls.ports[name], reservation = free_port()
            cls.addClassCleanup(reservation.close)
        cls.folder = tempfile.mkdtemp(prefix="bailiff-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.server = Server(apps.taipy(os.path.join(cls.folder, "server", "app")), {}, os.path.join(cls.folder, "server"))
        listeners = cls.server.settings["server"]["listeners"]
        listeners.append({**listeners[0], "port": cls.ports["proxied"], "proxy_protocol": "v2"})
        cls.server.settings["server"]["trusted_proxies"] = ["127.0.0.1"]
        cls.server.write_config()
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()
        cls.start_proxies()

    @classmethod
    def start_proxies(cls):
        cls.proxies = {}
        for name, buffering in (("nginx", "off"), ("nginx_buffering", "on")):
            folder = os.path.join(cls.folder, name)
            os.mkdir(folder)
            os.chmod(cls.folder, 0o755)
            shutil.copy(cls.server.path("ca.pem"), folder)
            config = os.path.join(folder, "nginx.conf")
            with open(config, "w", encoding="utf-8") as file:
                file.write(NGINX.format(folder=folder, port=cls.ports[name], backend=cls.server.port, buffering=buffering))
            command = ["/usr/sbin/nginx", "-p", folder, "-e", folder + "/nginx-error.log", "-c", config]
            cls.proxies[name] = Proxy(command, os.path.join(folder, "nginx-access.log"))
            cls.addClassCleanup(cls.proxies[name].stop)
        config = os.path.join(cls.folder, "haproxy.cfg")
        with open(config, "w", encoding="utf-8") as file:
            file.write(
                HAPROXY.format(
                    folder=cls.server.folder, forwarded=cls.ports["ha_forwarded"], proxied=cls.ports["ha_proxied"], passed=cls.ports["ha_passed"],
                    backend=cls.server.port, backend_proxied=cls.ports["proxied"],
                )
            )  # fmt: skip
        haproxy = Proxy(["/usr/sbin/haproxy", "-db", "-f", config], os.path.join(cls.folder, "haproxy.log"))
        haproxy.log_file += ".out"
        cls.addClassCleanup(haproxy.stop)
        cls.proxies["ha_forwarded"] = cls.proxies["ha_proxied"] = haproxy
        for name in ("nginx", "nginx_buffering", "ha_forwarded", "ha_proxied", "ha_passed"):
            wait_until(lambda port=cls.ports[name]: cls.listens(port), f"{name} listens", 30)

    @staticmethod
    def listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except OSError:
            return False

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def log_lines(self, event="request"):
        return [line for line in map(json.loads, self.server.log().splitlines()) if line.get("event") == event]

    def logged(self, request_id):
        """The log's line of a request."""
        return wait_until(lambda: next((line for line in self.log_lines() if line.get("request_id") == request_id), None), "the request is logged")

    def ask(self, name, method, path, headers=None, role="TAIPY_ADMIN", connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=60, source_address=(CLIENT, 0))
        try:
            pairs = {"Authorization": "Bearer " + self.server.token(role), **(headers or {})} if role else dict(headers or {})
            own.request(method, path, headers=pairs)
            answer = own.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            if connection is None:
                own.close()


HTTP_PROXIES = ("nginx", "nginx_buffering", "ha_forwarded", "ha_proxied")


class Addresses(Case):
    def test_log_and_audit_see_the_client(self):
        for name in HTTP_PROXIES:
            with self.subTest(name):
                status, headers, _ = self.ask(name, "POST", "/api/v1/tasks/?config_id=noop")
                self.assertEqual(status, 201)
                self.assertEqual(self.logged(headers["X-Request-Id"])["address"], CLIENT)
                self.assertEqual([row["address"] for row in self.server.audit(headers["X-Request-Id"])], [CLIENT])

    def test_a_client_cannot_lend_itself_another_address(self):
        for name in HTTP_PROXIES:
            for claimed in ("192.0.2.1", "127.0.0.1", "192.0.2.1, 127.0.0.1", "unknown", "::1"):
                with self.subTest(name, claimed=claimed):
                    status, headers, _ = self.ask(name, "GET", "/api/v1/auth/me/", {"X-Forwarded-For": claimed})
                    self.assertEqual(status, 200)
                    self.assertEqual(self.logged(headers["X-Request-Id"])["address"], CLIENT)

    def test_whoever_is_no_proxy_is_not_believed(self):
        context = ssl.create_default_context(cafile=self.server.path("ca.pem"))
        with context.wrap_socket(connect(self.server.port), server_hostname="localhost") as direct:
            direct.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
            head = read_some(direct, 30).decode()
        request_id = re.search(r"(?i)x-request-id: (\S+)", head).group(1)
        self.assertEqual(self.logged(request_id)["address"], CLIENT)
        with connect(self.ports["proxied"]) as stranger:  # the proxies' listener takes proxies only
            stranger.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 1, 127, 0, 0, 1]) + struct.pack(">HH", 1, 2))
            self.assertEqual(read_some(stranger, 30), b"")

    def test_tls_through_a_proxy_that_does_not_read_it(self):
        context = ssl.create_default_context(cafile=self.server.path("ca.pem"))
        with context.wrap_socket(connect(self.ports["ha_passed"]), server_hostname="localhost") as passed:
            token = self.server.token()
            passed.sendall(f"GET /api/v1/auth/me/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
            head = read_some(passed, 30).decode()
        self.assertTrue(head.startswith("HTTP/1.1 200 "), head)
        self.assertEqual(self.logged(re.search(r"(?i)x-request-id: (\S+)", head).group(1))["address"], CLIENT)

    def test_too_long_a_chain_is_refused(self):
        direct = self.server.request("GET", "/livez", None, headers={"X-Forwarded-For": ", ".join(["127.0.0.1"] * 33)})
        self.assertEqual(direct.status, 400)
        direct = self.server.request("GET", "/livez", None, headers={"X-Forwarded-For": "nonsense"})
        self.assertEqual(direct.status, 400)
        direct = self.server.request("GET", "/livez", None, headers={"X-Forwarded-For": "nonsense, 192.0.2.9"})
        self.assertEqual(direct.status, 200)
        self.assertEqual(self.logged(direct.headers["X-Request-Id"])["address"], "192.0.2.9")

    def test_connections_to_us_are_kept(self):
        for name in HTTP_PROXIES:
            with self.subTest(name):
                connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=60, source_address=(CLIENT, 0))
                for _ in range(50):
                    self.assertEqual(self.ask(name, "GET", "/api/v1/auth/me/", connection=connection)[0], 200)
                connection.close()


class Smuggling(Case):
    def test_nothing_is_answered_that_the_proxy_did_not_send(self):
        token = self.server.token()
        n = 0
        for name in HTTP_PROXIES:
            for what, template in attempts(token):
                n += 1
                with self.subTest(name, what=what):
                    with connect(self.ports[name]) as raw:
                        try:
                            raw.sendall(fill(template, n, hidden(token)))
                        except OSError:
                            pass  # refused while it was being sent
                        read_some(raw, 2 if SOAK else 0.15)
                    self.honest(name, n)
        self.compare()

    def honest(self, name, n):
        """Somebody else's request on the proxy's kept connection gets its own answer."""
        for i in range(2):
            mine = f"honest-{n}-{i}"
            status, headers, body = self.ask(name, "GET", "/api/v1/auth/me/", {"X-Request-Id": mine})
            self.assertEqual((status, headers["X-Client-Request-Id"]), (200, mine), body)

    def compare(self):
        self.server.client.close()
        for proxy in set(self.proxies.values()):
            proxy.stop()  # so that its log is whole
        ours = self.log_lines()
        self.assertGreater(sum("/outer-" in line["path"] for line in ours), 100)  # the attempts do reach us
        # The log holds no queries: what was hidden is known by what it would do.
        asked = sum((proxy.asked() for proxy in set(self.proxies.values())), collections.Counter())
        outer = collections.Counter(line["path"] for line in ours if "/outer-" in line["path"])
        for path, count in outer.items():
            sent = sum(times for target, times in asked.items() if target.endswith(path) or path + "%20" in target)
            self.assertLessEqual(count, sent, path)
        created = sum(line["path"] == "/api/v1/tasks/" and line["method"] == "POST" for line in ours)
        self.assertLessEqual(created, asked[CREATION], "hidden requests were answered")
        self.assertGreater(asked[CREATION], 0)  # proxies do send some: those that were no secret to them
        executed = self.server.query("SELECT count(*) AS n FROM audit WHERE action = 'task.create'")
        self.assertLessEqual(executed[0]["n"], asked[CREATION])


if __name__ == "__main__":
    unittest.main()
