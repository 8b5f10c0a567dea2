"""Revoked tokens: refused on the next request of every connection, streams ended, and so it stays.

    /usr/bin/python3 tests/e2e/revocations_test.py [-v] [Class.test]
"""

import json
import os
import sqlite3
import subprocess
import time
import unittest

from lib import tokens
from lib.client import send
from lib.server import ISSUER, PATIENCE_S, PROGRAM, SOAK, ServerCase, run

ME = "/api/v1/auth/me/"
AT = "/api/v1/revocations/"


class RevocationCase(ServerCase):
    settings = {"server": {"loops": 4}}

    def me(self, token):
        return self.request("GET", ME, token=token).status

    def revoke(self, **what):
        answer = self.request("POST", AT, json_body={"issuer": ISSUER, **what})
        self.assertIn(answer.status, (200, 201), answer)
        return answer.json()["revocation"]

    def command(self, *arguments):
        return subprocess.run(
            [PROGRAM, "token", *arguments, "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S
        )


class InForce(RevocationCase):
    def test_the_next_request_on_any_connection(self):
        for kind in ("token", "subject"):
            token = self.server.issue("--sub", f"carol-{kind}", "--role", "TAIPY_READER")
            claims = tokens.decode(token)[1]
            connections = [self.server.client.connect() for _ in range(24)]  # over all loops
            try:
                for connection in connections:
                    self.assertEqual(send(connection, "GET", ME, token).status, 200)
                self.revoke(**({"token_id": claims["jti"]} if kind == "token" else {"subject": claims["sub"]}))
                for connection in connections:
                    answer = send(connection, "GET", ME, token)
                    self.assertEqual(answer.status, 401)
                    self.assertIn("The token has been revoked.", answer.headers["WWW-Authenticate"])
            finally:
                for connection in connections:
                    connection.close()

    def test_issued_before(self):
        old = self.server.issue("--sub", "dave", "--role", "TAIPY_READER")
        time.sleep(1.1)
        row = self.revoke(subject="dave", issued_before=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        self.assertEqual(self.me(old), 401)
        self.assertEqual(self.me(self.server.issue("--sub", "dave", "--role", "TAIPY_READER")), 200)
        self.assertEqual(self.request("DELETE", AT + row["id"] + "/").status, 200)
        self.assertEqual(self.me(old), 200)

    def test_an_issuer(self):
        token = self.server.hs_token("TAIPY_READER")
        self.assertEqual(self.me(token), 200)
        row = self.request("POST", AT, json_body={"issuer": tokens.HS_ISSUER}).json()["revocation"]
        self.assertEqual(self.me(token), 401)
        self.assertEqual(self.me(self.server.token("TAIPY_READER")), 200)
        self.assertEqual(self.request("DELETE", AT + row["id"] + "/").status, 200)

    def test_a_stream_ends_within_a_second(self):
        task = self.server.create("brood")
        job = self.server.submit(task)
        self.server.wait_job(job, "RUNNING")
        token = self.server.issue("--sub", "erin", "--role", "TAIPY_READER")
        connection = self.server.client.connect()
        try:
            connection.putrequest("GET", f"/api/v1/jobs/{job}/log/?follow=true")
            connection.putheader("Authorization", "Bearer " + token)
            connection.endheaders()
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertIn(b"the grandchild is there", answer.readline())
            self.revoke(subject="erin")
            with self.assertRaises(Exception):  # cut off, not ended
                while answer.read(65536):
                    pass
                raise AssertionError("the stream ended as if it were whole")
        finally:
            connection.close()
            self.request("POST", f"/api/v1/jobs/cancel/{job}/", "TAIPY_EXECUTOR")

    def test_a_malleated_signature_is_no_other_token(self):
        """ECDSA has two signatures for each: (r, s) and (r, n - s). Both are good, and both are the same token."""
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        token = self.server.issue("--sub", "mallory", "--role", "TAIPY_EDITOR")
        signed, _, signature = token.rpartition(".")
        raw = tokens.unb64(signature)
        twin = signed + "." + tokens.b64(raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big"))
        self.assertNotEqual(twin, token)
        made = []
        for sent in (token, twin, token, twin):  # a repeat is a repeat, whichever is sent
            answer = self.request("POST", "/api/v1/tasks/?config_id=noop", token=sent, headers={"Idempotency-Key": '"once"'})
            self.assertEqual(answer.status, 201, answer)
            made.append(answer.json()["task"]["id"])
            self.assertEqual(self.request("GET", ME, token=sent).json()["token_id"], tokens.decode(token)[1]["jti"])
        self.assertEqual(len(set(made)), 1)
        self.revoke(token_id=tokens.decode(token)[1]["jti"])
        for sent in (twin, token, twin):
            self.assertEqual(self.me(sent), 401)

    def test_it_is_in_the_audit_log(self):
        answer = self.request("POST", AT, json_body={"issuer": ISSUER, "subject": "frank", "reason": "left the company"})
        (record,) = self.server.audit(answer.headers["X-Request-Id"])
        self.assertEqual((record["action"], record["outcome"], record["target"]), ("token.revoke", "done", answer.json()["revocation"]["id"]))
        self.assertIn("left the company", record["detail"])
        refused = self.request("GET", ME, token=self.server.issue("--sub", "frank", "--role", "TAIPY_READER"))
        (record,) = self.server.audit(refused.headers["X-Request-Id"])
        self.assertEqual(record["reason"], "revoked")

    def test_the_command_asks_the_server(self):
        token = self.server.issue("--sub", "grace", "--role", "TAIPY_READER")
        self.assertEqual(self.me(token), 200)
        refused = self.command("revoke", "--issuer", ISSUER, "--sub", "grace")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--token-file", refused.stderr)
        self.server.write_secret("admin.jwt", (self.server.token("TAIPY_ADMIN") + "\n").encode())
        self.server.write_secret("reader.jwt", self.server.token("TAIPY_READER").encode())
        there = ("--token-file", self.server.path("admin.jwt"), "--ca", self.server.path("ca.pem"))
        self.assertEqual(self.command("revoke", "--issuer", ISSUER, "--sub", "grace", "--token-file", self.server.path("reader.jwt"),
                                      "--ca", self.server.path("ca.pem")).returncode, 1)
        self.assertEqual(self.command("revoke", "--issuer", ISSUER, "--sub", "grace", *there[:2]).returncode, 1)  # an unknown CA
        self.assertEqual(self.me(token), 200)
        done = self.command("revoke", "--issuer", ISSUER, "--sub", "grace", *there)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.me(token), 401)
        listed = self.command("revocations")
        line = next(line for line in listed.stdout.splitlines() if "sub=grace" in line)
        self.assertEqual(self.command("revoke", "--undo", line.split()[0], *there).returncode, 0)
        self.assertEqual(self.me(token), 200)


class Durable(RevocationCase):
    def test_after_kill_9(self):
        kept = {}
        for n in range(20):
            token = self.server.issue("--sub", f"heidi-{n}", "--role", "TAIPY_READER")
            self.revoke(subject=f"heidi-{n}")
            kept[n] = token
        self.server.kill()
        self.server.start()
        for token in kept.values():
            self.assertEqual(self.me(token), 401)

    def test_the_command_while_no_server_runs(self):
        token = self.server.issue("--sub", "ivan", "--role", "TAIPY_READER")
        self.server.stop()
        try:
            done = self.command("revoke", "--issuer", ISSUER, "--sub", "ivan", "--reason", "for the test")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.command("revoke", "--issuer", "https://nobody.example.com").returncode, 2)
            self.assertEqual(self.command("revoke", "--sub", "ivan").returncode, 2)
            self.assertEqual(self.command("revoke", "--undo", "REVOCATION_none").returncode, 1)
        finally:
            self.server.start()
        self.assertEqual(self.me(token), 401)
        self.assertEqual(self.server.verify_audit().returncode, 0)


class Many(RevocationCase):
    """However much is revoked, each of it is refused and nothing else."""

    count = 1000000 if SOAK else 100000

    def test_many(self):
        issued = [self.server.issue("--sub", f"sub-{n}", "--role", "TAIPY_READER") for n in range(3)]
        ids = [json.loads(tokens.unb64(token.split(".")[1]))["jti"] for token in issued]
        self.server.stop()
        connection = sqlite3.connect(os.path.join(self.server.path("data"), "bailiff.db"))
        with connection:
            connection.executemany(
                "INSERT INTO revocation (id, issuer, token_id, issued_before, created_at, created_by) VALUES (?, ?, ?, 0, 1, 'test')",
                ((f"REVOCATION_{n}", ISSUER, {10: ids[0], self.count - 1: ids[1]}.get(n, f"token-{n}")) for n in range(self.count)),
            )
        connection.close()
        self.server.start()
        self.assertEqual([self.me(token) for token in issued], [401, 401, 200])
        self.revoke(subject="judy")
        self.assertEqual(self.me(self.server.issue("--sub", "judy", "--role", "TAIPY_READER")), 401)
        self.assertEqual(self.me(issued[2]), 200)
        listed = run([PROGRAM, "token", "revocations", "--config", self.server.config])
        self.assertEqual(listed.count("\n"), self.count + 1)


if __name__ == "__main__":
    unittest.main()
