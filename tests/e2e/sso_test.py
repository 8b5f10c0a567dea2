"""Single sign-on with two real OpenID providers at once: tokens of both flows, keys that rotate, strangers, proxies on the way.

    /usr/bin/python3 tests/e2e/sso_test.py [-v] [Class.test]
"""

import base64
import json
import os
import shutil
import socket
import tempfile
import threading
import time
import unittest

from lib import apps, tokens
from lib.provider import Provider, wait_for_keys
from lib.server import SOURCE, Server, run, sanitized, wait_until

ME = "/api/v1/auth/me/"


def with_header(token, **changes):
    """The token with another header; its signature is not good any more."""
    header, rest = token.split(".", 1)
    changed = {**json.loads(tokens.unb64(header)), **changes}
    return base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode() + "." + rest


class SsoCase(unittest.TestCase):
    """A server and two providers of each class's own."""

    fetching = {"keys_refetch_interval": "1s"}
    start_first = True  # the providers run when the server starts

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-sso-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        settings = {"limits": {"address": {"refusals_per_minute": 0}}}  # ten thousand refusals are asked for
        cls.server = Server(apps.taipy(os.path.join(folder, "app")), settings, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        cls.providers = [Provider(cls.server, "ES256"), Provider(cls.server, "RS256")]
        for provider in cls.providers:
            cls.addClassCleanup(provider.remove)
            cls.server.settings["issuers"].append({
                "issuer": provider.issuer, "audiences": [tokens.AUDIENCE], "discovery": "true", "ca_file": "ca.pem", "profile": "at+jwt",
                "algorithms": ["ES256", "RS256"], "role_claims": ["/realm_access/roles"],
                "role_map": {"batch-role": "TAIPY_EXECUTOR", "alice-role": "TAIPY_READER", "root-role": "TAIPY_ADMIN"},
                **cls.fetching,
            })
        cls.server.write_config()
        if cls.start_first:
            for provider in cls.providers:
                provider.start()
        cls.server.start()
        if cls.start_first:
            for provider in cls.providers:
                wait_for_keys(cls.server, provider.issuer)

    @classmethod
    def tearDownClass(cls):
        for provider in cls.providers:
            provider.stop()
        cls.server.stop()

    def me(self, token):
        return self.server.request("GET", ME, token=token)

    def check_of(self, provider):
        checks = self.server.request("GET", "/readyz").json()["checks"]
        return next(check for check in checks if check.get("issuer") == provider.issuer)


class Flows(SsoCase):
    def test_client_credentials(self):
        for provider in self.providers:
            answer = self.me(provider.client_credentials())
            self.assertEqual(answer.status, 200, answer)
            me = answer.json()
            self.assertEqual((me["issuer"], me["client"], me["roles"]), (provider.issuer, "batch", ["TAIPY_EXECUTOR"]))

    def test_authorization_code(self):
        for provider in self.providers:
            given = provider.authorization_code("alice")
            me = self.me(given["access_token"]).json()
            self.assertEqual((me["issuer"], me["subject"], me["roles"]), (provider.issuer, "alice", ["TAIPY_READER"]))
            self.assertEqual(self.server.request("POST", "/api/v1/tasks/?config_id=noop", token=given["access_token"]).status, 403)
            self.assertEqual(self.me(given["id_token"]).status, 401)  # an ID token is no access token

    def test_one_issuers_key_is_not_anothers(self):
        first, second = (provider.client_credentials() for provider in self.providers)
        self.assertEqual(self.me(first.split(".")[0] + "." + second.split(".", 1)[1]).status, 401)
        self.assertEqual(self.me(first.rpartition(".")[0] + "." + second.rpartition(".")[2]).status, 401)

    def test_a_task_of_both(self):
        reader = self.providers[0].authorization_code("alice")["access_token"]
        root = self.providers[1].authorization_code("root")["access_token"]
        task = self.server.request("POST", "/api/v1/tasks/?config_id=noop", token=root)
        self.assertEqual(task.status, 201, task)
        read = self.server.request("GET", f"/api/v1/tasks/{task.json()['task']['id']}/", token=reader)
        self.assertEqual(read.json()["task"]["created_by"], "root")


class Rotation(SsoCase):
    def test_no_false_401_under_load(self):
        provider = self.providers[0]
        wrong, stop, asked = [], threading.Event(), []

        def load():
            while not stop.is_set():
                answer = self.me(provider.client_credentials())
                asked.append(1)
                if answer.status != 200:
                    wrong.append(answer)
            self.server.client.close()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(5):
                expected = len(asked) + 10
                wait_until(lambda n=expected: wrong or len(asked) >= n, f"tokens are shown after {turn} rotations", 120)
                if turn < 4:
                    provider.rotate()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def test_a_key_that_was_taken_back_is_refused(self):
        provider = self.providers[1]
        old = provider.client_credentials()
        self.assertEqual(self.me(old).status, 200)
        provider.rotate(keep=False)
        self.assertEqual(self.me(provider.client_credentials()).status, 200)
        refused = self.me(old)
        self.assertEqual(refused.status, 401)
        self.assertIn('error="invalid_token"', refused.headers["WWW-Authenticate"])

    def test_keys_that_must_not_be_used_are_skipped(self):
        provider = self.providers[1]
        provider.mode("weak")
        provider.rotate(keep=False)
        self.assertEqual(self.me(provider.client_credentials()).status, 200)
        self.assertEqual(self.check_of(provider)["keys"], 1)
        skipped = [json.loads(line) for line in self.server.log().splitlines() if '"keys.skipped"' in line]
        for word in ("weak", "encryption", "secret", "malformed", "private", "key 8", "same kid"):
            self.assertTrue(any(word in json.dumps(line) for line in skipped), f"{word}: {skipped}")
        provider.mode("ok")


class Strangers(SsoCase):
    fetching = {"keys_refetch_interval": "30s"}

    def test_bogus_key_ids_cost_one_fetch(self):
        provider = self.providers[0]
        token = provider.client_credentials()
        before = provider.counts()
        statuses = []

        def knock(part):
            for n in range(part, 1000 if sanitized() else 10000, 8):
                statuses.append(self.me(with_header(token, kid=f"bogus-{n}")).status)
            self.server.client.close()

        started = time.monotonic()
        threads = [threading.Thread(target=knock, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        intervals = 1 + int((time.monotonic() - started) / 30)
        after = provider.counts()
        self.assertEqual(set(statuses), {401})
        self.assertLessEqual(after["jwks"] - before["jwks"], intervals)
        self.assertEqual(self.me(token).status, 200)


class Tunnel(threading.Thread):
    """An HTTP proxy that knows CONNECT, and what it was asked for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked = []

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        port = line.split()[1].rpartition(":")[2]  # by number: a bare machine may not know localhost
        with client, socket.create_connection(("127.0.0.1", int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            self.copy(client, server)
            back.join()

    @staticmethod
    def copy(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class OnTheWay(SsoCase):
    """The first provider is reached through a proxy; the second one's CA is another than the one believed."""

    start_first = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.tunnel = Tunnel()
        cls.addClassCleanup(cls.tunnel.close)
        cls.tunnel.start()
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", cls.server.path("elsewhere")])
        first, second = cls.server.settings["issuers"][-2:]
        first["proxy"] = f"http://127.0.0.1:{cls.tunnel.port}"
        second["ca_file"] = "elsewhere/ca.pem"
        cls.server.write_config()
        for provider in cls.providers:
            provider.start()
        os.environ["HTTPS_PROXY"] = os.environ["https_proxy"] = os.environ["ALL_PROXY"] = "http://127.0.0.1:1"  # nobody's
        try:
            cls.server.start()
        finally:
            for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
                del os.environ[name]

    def test_through_the_proxy_that_was_named(self):
        provider = self.providers[0]
        wait_until(lambda: self.me(provider.client_credentials()).status == 200, "its keys came through the proxy")
        self.assertEqual(set(self.tunnel.asked), {f"CONNECT localhost:{provider.port} HTTP/1.1"})

    def test_a_certificate_of_another_ca_is_not_believed(self):
        provider = self.providers[1]
        reason = wait_until(lambda: self.check_of(provider)["reason"], "/readyz tells why")
        self.assertIn("certificate", reason)
        self.assertFalse(self.check_of(provider)["usable"])
        self.assertEqual(self.me(provider.client_credentials()).status, 401)
        self.assertEqual(provider.counts(), {"metadata": 0, "jwks": 0})  # it was told nothing


if __name__ == "__main__":
    unittest.main()
