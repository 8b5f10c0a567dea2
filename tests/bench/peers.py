"""The servers that are measured: bailiff, and what it is compared with. All on free ports of 127.0.0.1, with the same certificate."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import machine
from lib import server as bailiff_server
from lib import tokens

PATIENCE_S = 30
ANSWER = '{"task":{"padding":"' + "x" * 377 + '"}}'  # 400 bytes, as the bare libh2o program's


class Peer:
    """A process in a folder of its own that answers on a port."""

    def __init__(self, name, folder, credentials):
        self.name = name
        self.folder = os.path.join(folder, name.split()[0].replace("/", "-"))
        os.mkdir(self.folder)
        self.port, self._reservation = bailiff_server.free_port()
        self.url = f"https://127.0.0.1:{self.port}/"
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self._process = subprocess.Popen(
                self._command(credentials), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        self.pid = self._process.pid
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _command(self, credentials):
        raise NotImplementedError

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _wait(self):
        end = time.monotonic() + PATIENCE_S
        while not _greets(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"{self.name} did not start: {log.read()[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                for pid in machine.family(self.pid):
                    os.kill(pid, signal.SIGKILL)
                self._process.wait()
        self._reservation.close()


def _greets(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


class BareH2o(Peer):
    """libh2o alone, a constant answer."""

    program = None  # set by run

    def _command(self, credentials):
        return [self.program, str(self.port), credentials("server.pem"), credentials("server-key.pem"), str(machine.cores())]


class Nginx(Peer):
    def _command(self, credentials):
        temporary = "\n".join(f"    {kind}_temp_path tmp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = f"""
daemon off;
worker_processes {machine.cores()};
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 12000; }}
http {{
{temporary}
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    server {{
        listen 127.0.0.1:{self.port} ssl reuseport;
        ssl_certificate {credentials("server.pem")};
        ssl_certificate_key {credentials("server-key.pem")};
        ssl_protocols TLSv1.3;
        default_type application/json;
        location / {{ return 200 '{ANSWER}'; }}
    }}
}}
"""
        return ["nginx", "-p", self.folder + "/", "-e", "stderr", "-c", self._write("nginx.conf", config)]


class Haproxy(Peer):
    """Verifies RS256 on every request."""

    def _command(self, credentials):
        pair = os.path.join(self.folder, "pair.pem")
        with open(pair, "wb") as out:
            for name in ("server.pem", "server-key.pem"):
                with open(credentials(name), "rb") as part:
                    shutil.copyfileobj(part, out)
        public_key = credentials("rs-public.pem")
        config = f"""
global
    nbthread {machine.cores()}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 5s
    timeout http-keep-alive 600s
frontend bench
    bind 127.0.0.1:{self.port} ssl crt {pair} ssl-min-ver TLSv1.3 alpn http/1.1
    http-request return status 401 unless {{ http_auth_bearer,jwt_verify("RS256","{public_key}") -m int 1 }}
    http-request return status 200 content-type application/json string '{ANSWER}'
"""
        return ["haproxy", "-db", "-f", self._write("haproxy.cfg", config)]


class Bailiff:
    """The real thing: role check, store read and access log line included. Its RS256 issuer's key is HAProxy's, too."""

    name = "bailiff"

    def __init__(self, application=None, settings=None):
        quiet = {
            "log": {"format": "text"},
            "audit": {"refusals_recorded_a_minute": 10},
            "limits": {"address": {"refusals_per_minute": 0}, "subject": {"unfinished_jobs": 0}},  # it is one address, and means no harm
        }
        self.server = bailiff_server.Server(application, bailiff_server.merge(quiet, settings or {}))
        try:
            self._claims = tokens.claims(tokens.RS_ISSUER, exp=int(time.time()) + 6 * 3600)
            self.start()
        except BaseException:
            self.server.remove()
            raise

    def start(self):
        self.server.start()
        self.pid = self.server.process.pid

    def stop(self):
        """Ends it; its folder stays."""
        self.forget_log()
        self.server.stop()

    def close(self):
        try:
            self.stop()
        finally:
            self.drop()

    def drop(self):
        """Without waiting for what it does."""
        self.server.kill()
        self.server.remove()

    def url(self, path):
        return f"https://127.0.0.1:{self.server.port}{path}"

    def token(self, role):
        """RS256, good for hours."""
        return tokens.rs256(self.server.path("rs-key.pem"), dict(self._claims, roles=[role]))

    def forget_log(self):
        """Each request has left a line: hundreds of megabytes after a while."""
        os.truncate(self.server.log_file, 0)
