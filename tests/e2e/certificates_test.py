"""Client certificates: who is let in, what a bound token is worth without its certificate, roles that ask for one, and revocation.

    /usr/bin/python3 tests/e2e/certificates_test.py [-v] [Class.test]
"""

import base64
import hashlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import unittest

from lib import tokens
from lib.client import Client, send
from lib.server import PATIENCE_S, PROGRAM, SOURCE, ServerCase, free_port, run, wait_until

ME = "/api/v1/auth/me/"
ROLES = """version: 1
roles:
  TAIPY_READER: {permissions: [tasks:read, jobs:read, datanodes:read, configs:read]}
  TAIPY_EDITOR: {includes: [TAIPY_READER], permissions: [tasks:create, tasks:delete]}
  TAIPY_EXECUTOR: {includes: [TAIPY_READER], permissions: [tasks:submit, jobs:cancel]}
  TAIPY_ADMIN: {permissions: ["*"]}
  CERTIFIED: {require: client_certificate, includes: [TAIPY_READER], permissions: [tasks:create]}
  BOUND: {require: certificate_bound_token, permissions: [tasks:delete]}
"""


def make_dev(folder, *arguments):
    run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", folder, *arguments])


class CertificateCase(ServerCase):
    """Three listeners: an ordinary one, one that requires certificates, one that takes them."""

    crl = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        make_dev(cls.server.folder, "--client", "alice", "--client", "bob", "--revoke", "none")
        with open(cls.server.path("roles.yaml"), "w", encoding="utf-8") as file:
            file.write(ROLES)
        listeners = cls.server.settings["server"]["listeners"]
        cls.ports = {"plain": cls.server.port}
        for kind in ("required", "optional"):
            cls.ports[kind], reservation = free_port()
            cls.addClassCleanup(reservation.close)
            listeners.append({
                **listeners[0], "port": cls.ports[kind], "client_ca": "clients-ca.pem", "client_certificate": kind,
                **({"client_crl": ["clients-crl.pem"]} if cls.crl else {}),
            })  # fmt: skip
        cls.server.write_config()
        cls.server.start()
        cls.admin = cls.server.token("TAIPY_ADMIN")

    def client(self, kind, certificate=None, version=None, key=None):
        client = Client(self.ports[kind], self.server.path("ca.pem"), timeout_s=PATIENCE_S)
        if certificate:
            client.context.load_cert_chain(self.server.path(certificate + ".pem"), self.server.path((key or certificate) + "-key.pem"))
        if version:
            client.context.minimum_version = client.context.maximum_version = version
        self.addCleanup(client.close)
        return client

    def refused(self, client):
        with self.assertRaises((OSError, http.client.HTTPException)):
            client.request("GET", "/livez")

    def thumbprint(self, name):
        with open(self.server.path(name + ".pem"), encoding="ascii") as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        digest = hashlib.sha256(der).digest()
        return digest.hex(), base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def bound(self, name, role="TAIPY_ADMIN", subject="carol"):
        return self.server.issue("--sub", subject, "--role", role, "--certificate", self.server.path(name + ".pem"))

    def reload(self, event="server.reloaded"):
        before = self.server.log().count(f'"{event}"')
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: self.server.log().count(f'"{event}"') > before, event)

    def logged(self, event):
        return [json.loads(line) for line in self.server.log().splitlines() if f'"{event}"' in line]


class WhoIsLetIn(CertificateCase):
    def test_with_without_and_with_others(self):
        folder = self.server.folder
        shutil.copy(self.server.path("client-alice-key.pem"), self.server.path("forged-key.pem"))
        run(["openssl", "req", "-new", "-key", self.server.path("client-alice-key.pem"), "-subj", "/CN=x", "-out", self.server.path("x.csr")])
        ca = ["-CA", self.server.path("clients-ca.pem"), "-CAkey", self.server.path("clients-ca-key.pem")]
        for name, use, more in (("server-use", "serverAuth", ca), ("no-use", None, ca), ("another-ca", "clientAuth", ["-CA", self.server.path("ca.pem"), "-CAkey", self.server.path("ca-key.pem")])):
            with open(self.server.path("x.ext"), "w", encoding="ascii") as file:
                file.write(f"extendedKeyUsage={use}\n" if use else "basicConstraints=CA:FALSE\n")
            run(["openssl", "x509", "-req", "-in", self.server.path("x.csr"), *more, "-set_serial", "77", "-days", "2", "-extfile",
                 self.server.path("x.ext"), "-out", self.server.path(name + ".pem")])  # fmt: skip
        run(["openssl", "req", "-new", "-x509", "-key", self.server.path("client-alice-key.pem"), "-subj", "/O=bailiff development/CN=alice",
             "-addext", "extendedKeyUsage=clientAuth", "-out", self.server.path("self-signed.pem")])  # fmt: skip
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for kind in ("required", "optional"):
                with self.subTest(kind=kind, version=version):
                    self.assertEqual(self.client(kind, "client-alice", version).request("GET", "/livez").status, 200)
                    for bad in ("server-use", "no-use", "another-ca", "self-signed"):
                        self.refused(self.client(kind, bad, version, "client-alice"))
            self.refused(self.client("required", None, version))
            self.assertEqual(self.client("optional", None, version).request("GET", "/livez").status, 200)
        seen = wait_until(lambda: len(self.logged("tls.client_refused")) >= 3 and self.logged("tls.client_refused"), "refusals are logged")
        self.assertEqual({line["kind"] for line in seen}, {"client certificate"})
        self.assertTrue(all(line.get("reason") or line.get("more") for line in seen), seen)  # what was too much for a second is counted
        self.assertTrue(os.path.isdir(folder))

    def test_an_expired_one(self):
        with open(self.server.path("index.txt"), "w", encoding="ascii"):
            pass
        with open(self.server.path("ca.cnf"), "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.server.path('index.txt')}\nnew_certs_dir={self.server.folder}\ndefault_md=sha256\n"
                       "rand_serial=yes\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nextendedKeyUsage=clientAuth\n")  # fmt: skip
        run(["openssl", "req", "-new", "-key", self.server.path("client-bob-key.pem"), "-subj", "/CN=late", "-out", self.server.path("late.csr")])
        run(["openssl", "ca", "-batch", "-config", self.server.path("ca.cnf"), "-in", self.server.path("late.csr"), "-cert", self.server.path("clients-ca.pem"),
             "-keyfile", self.server.path("clients-ca-key.pem"), "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext",
             "-out", self.server.path("late.pem")])  # fmt: skip
        self.refused(self.client("required", "late", None, "client-bob"))
        line = wait_until(lambda: [line for line in self.logged("tls.client_refused") if line.get("shown_subject") == "CN=late"], "it is logged")[0]
        self.assertIn("expired", line["reason"])
        rows = wait_until(lambda: self.server.query("SELECT * FROM audit WHERE action = 'connection.refuse' AND detail LIKE '%CN=late%'"), "it is recorded")
        self.assertEqual((rows[0]["outcome"], rows[0]["address"], rows[0]["certificate"]), ("refused", "127.0.0.1", None))
        self.assertIn("client certificate: certificate has expired", rows[0]["reason"])

    def test_no_session_is_resumed(self):
        files = ("-cert", self.server.path("client-alice.pem"), "-key", self.server.path("client-alice-key.pem"))
        request = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for kind in ("required", "optional"):
            for version in ("-tls1_2", "-tls1_3"):
                saved = self.server.path("session")
                command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports[kind]}", "-CAfile", self.server.path("ca.pem"), version, "-ign_eof"]
                first = subprocess.run([*command, *files, "-sess_out", saved], input=request, capture_output=True, text=True, timeout=PATIENCE_S)
                self.assertIn("HTTP/1.1 200 OK", first.stdout)
                self.assertNotIn("New Session Ticket arrived", first.stdout)
                self.assertNotIn("TLS session ticket:", first.stdout)
                if not os.path.exists(saved):
                    continue  # TLS 1.3: there was nothing to keep
                again = subprocess.run([*command, "-sess_in", saved], input=request, capture_output=True, text=True, timeout=PATIENCE_S)
                self.assertNotIn("Reused, TLS", again.stdout)
                self.assertEqual("HTTP/1.1 200 OK" in again.stdout, kind == "optional")
                os.remove(saved)


class BoundTokens(CertificateCase):
    def challenge(self, answer, words):
        self.assertEqual(answer.status, 401, answer)
        self.assertEqual(
            answer.headers["WWW-Authenticate"],
            f'Bearer realm="bailiff", resource_metadata="https://localhost:{self.server.port}/.well-known/oauth-protected-resource/api/v1", '
            f'error="invalid_token", error_description="{words}"',
        )

    def test_only_with_its_certificate(self):
        token = self.bound("client-alice")
        self.assertEqual(tokens.decode(token)[1]["cnf"], {"x5t#S256": self.thumbprint("client-alice")[1]})
        for _ in range(2):  # the second time from the cache
            for kind in ("required", "optional"):
                self.assertEqual(self.client(kind, "client-alice").request("GET", ME, token).status, 200)
                self.challenge(self.client(kind, "client-bob").request("GET", ME, token), "The token is bound to another client certificate.")
            for kind in ("plain", "optional"):
                forwarded = {"X-Forwarded-Client-Cert": "Hash=" + self.thumbprint("client-alice")[0], "X-SSL-Client-Fingerprint": self.thumbprint("client-alice")[0]}
                answer = self.client(kind).request("GET", ME, token, headers=forwarded)
                self.challenge(answer, "The token is good only with its client certificate.")
        (record,) = self.server.audit(answer.headers["X-Request-Id"])
        self.assertEqual((record["outcome"], record["reason"], record["certificate"]), ("refused", "no client certificate", None))

    def test_what_cannot_be_checked_is_refused(self):
        thumbprint = self.thumbprint("client-alice")[1]
        client = self.client("required", "client-alice")
        self.assertEqual(client.request("GET", ME, self.server.hs_token(cnf={"x5t#S256": thumbprint})).status, 200)
        for cnf in ({"jkt": "x"}, {"x5t#S256": thumbprint, "jkt": "x"}, {"x5t#S256": thumbprint + "="}, {"x5t#S256": [thumbprint]}, {}, [], "x", True,
                    {"x5t#S256": thumbprint[:-1]}, {"x5t": thumbprint}, {"x5t#S256": None}, {"jwk": {}}, {"kid": "x"}, {"jku": "https://example.com"}):  # fmt: skip
            with self.subTest(cnf):
                answer = client.request("GET", ME, self.server.hs_token(cnf=cnf))
                self.challenge(answer, "The token is bound to a key that cannot be checked here (cnf).")

    def test_over_http2(self):
        def curl(name, token):
            said = run(["curl", "-sS", "--http2", "--cacert", self.server.path("ca.pem"), "--cert", self.server.path(name + ".pem"), "--key",
                        self.server.path(name + "-key.pem"), "-H", "Authorization: Bearer " + token, "-w", "\n%{http_version} %{http_code}",
                        "--resolve", f"localhost:{self.ports['required']}:127.0.0.1", f"https://localhost:{self.ports['required']}{ME}"])  # fmt: skip
            body, _, status = said.rpartition("\n")
            return json.loads(body), status

        token = self.bound("client-alice")
        body, status = curl("client-alice", token)
        self.assertEqual((status, body["certificate"]["token_bound"]), ("2 200", True))
        self.assertEqual(curl("client-bob", token)[1], "2 401")
        self.assertEqual(curl("client-bob", self.bound("client-bob"))[1], "2 200")

    def test_metadata_says_so(self):
        metadata = self.request("GET", "/.well-known/oauth-protected-resource/api/v1", None).json()
        self.assertIs(metadata["tls_client_certificate_bound_access_tokens"], True)  # RFC 9728


class Roles(CertificateCase):
    def test_what_a_role_gives(self):
        token = self.server.issue("--sub", "erin", "--role", "CERTIFIED", "--role", "BOUND")
        bound = self.bound("client-alice", "CERTIFIED")
        create = ("POST", "/api/v1/tasks/?config_id=noop")
        for kind in ("plain", "optional"):
            answer = self.client(kind).request(*create, token)
            body = self.problem(answer, 403, "tasks:create", "CERTIFIED", "client certificate")
            self.assertEqual((body["requires"], body["permission"]), ("client_certificate", "tasks:create"))
            self.assertEqual(body["roles"], ["TAIPY_EDITOR", "TAIPY_ADMIN", "CERTIFIED"])
            self.assertEqual(
                answer.headers["WWW-Authenticate"],
                'Bearer realm="bailiff", error="insufficient_scope", error_description="The permission tasks:create needs a client certificate.", scope="tasks:create"',
            )
            (record,) = self.server.audit(answer.headers["X-Request-Id"])
            self.assertEqual((record["outcome"], record["reason"]), ("refused", "the role needs a client certificate"))
            self.assertEqual(record["decision_id"], body["decision_id"])
        certified = self.client("optional", "client-alice")
        made = certified.request(*create, token)
        self.assertEqual(made.status, 201, made)
        task = made.json()["task"]["id"]
        self.assertEqual(self.client("required", "client-bob").request("GET", f"/api/v1/tasks/{task}/", token).status, 200)
        answer = certified.request("DELETE", f"/api/v1/tasks/{task}/", token)
        body = self.problem(answer, 403, "tasks:delete", "BOUND", "bound to your client certificate")
        self.assertEqual(body["requires"], "certificate_bound_token")
        self.assertEqual(self.client("required", "client-alice").request("GET", "/api/v1/tasks/", bound).status, 200)
        both = self.server.issue("--sub", "erin", "--role", "BOUND", "--certificate", self.server.path("client-alice.pem"))
        self.assertEqual(certified.request("DELETE", f"/api/v1/tasks/{task}/", both).status, 200)
        self.problem(certified.request("DELETE", f"/api/v1/tasks/{task}/", self.server.token("TAIPY_READER")), 403, "none of your roles")
        self.assertEqual(certified.request("GET", f"/api/v1/tasks/{task}/", both).status, 403)  # before 404

    def test_me_and_can_i(self):
        token = self.server.issue("--sub", "erin", "--role", "CERTIFIED", "--role", "BOUND")
        me = self.client("plain").request("GET", ME, token).json()
        self.assertIsNone(me["certificate"])
        self.assertEqual(me["permissions"], [])
        self.assertIn({"permission": "tasks:create", "role": "CERTIFIED", "requires": "client_certificate"}, me["withheld"])
        self.assertIn({"permission": "tasks:delete", "role": "BOUND", "requires": "certificate_bound_token"}, me["withheld"])
        client = self.client("required", "client-alice")
        me = client.request("GET", ME, token).json()
        fingerprint, thumbprint = self.thumbprint("client-alice")
        shown = me["certificate"]
        self.assertEqual((shown["sha256"], shown["x5t#S256"], shown["token_bound"]), (fingerprint, thumbprint, False))
        self.assertEqual(shown["subject"], "CN=alice,O=bailiff development")
        self.assertIn({"permission": "tasks:create", "granted_by": ["CERTIFIED"]}, me["permissions"])
        self.assertEqual(me["withheld"], [{"permission": "tasks:delete", "role": "BOUND", "requires": "certificate_bound_token"}])
        me = client.request("GET", ME, self.bound("client-alice", "BOUND")).json()
        self.assertEqual((me["withheld"], me["certificate"]["token_bound"]), ([], True))
        question = {"method": "POST", "path": "/api/v1/tasks/"}
        self.assertEqual(
            self.client("plain").request("POST", "/api/v1/auth/can-i/", token, json_body=question).json(),
            {"allowed": False, "permission": "tasks:create", "reason": "the role needs a client certificate", "granted_by": None,
             "requires": "client_certificate", "roles_that_grant": ["TAIPY_EDITOR", "TAIPY_ADMIN", "CERTIFIED"]},
        )  # fmt: skip
        answer = client.request("POST", "/api/v1/auth/can-i/", token, json_body=question).json()
        self.assertEqual((answer["allowed"], answer["granted_by"], answer["requires"]), (True, "CERTIFIED", None))

    def test_the_matrix(self):
        matrix = run([PROGRAM, "policy", "matrix", "--roles", self.server.path("roles.yaml")]).splitlines()
        head = matrix[0]
        row = next(line for line in matrix if line.startswith("POST    /api/v1/tasks/ "))
        self.assertEqual(row[head.index("CERTIFIED") :].split()[0], "cert")
        row = next(line for line in matrix if line.startswith("DELETE  /api/v1/tasks/{id}/ "))
        self.assertEqual(row[head.index("BOUND") :].split()[0], "bound")
        self.assertEqual(row[head.index("CERTIFIED") :].split()[0], "403")

    def test_a_role_that_nobody_could_have(self):
        listeners = self.server.settings["server"]["listeners"]
        try:
            self.server.settings["server"]["listeners"] = listeners[:1]
            self.server.write_config()
            done = subprocess.run([PROGRAM, "check-config", "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 1)
            for line, role, wanted in ((7, "CERTIFIED", "client_certificate"), (8, "BOUND", "certificate_bound_token")):
                self.assertIn(f"roles.yaml:{line}: role {role} requires {wanted}, but no listener takes client certificates", done.stdout)
        finally:
            self.server.settings["server"]["listeners"] = listeners
            self.server.write_config()


class OnRecord(CertificateCase):
    def test_audit_and_access_log(self):
        fingerprint = self.thumbprint("client-alice")[0]
        client = self.client("required", "client-alice")
        made = client.request("POST", "/api/v1/tasks/?config_id=noop", self.admin)
        (record,) = self.server.audit(made.headers["X-Request-Id"])
        self.assertEqual((record["certificate"], record["certificate_subject"]), (fingerprint, "CN=alice,O=bailiff development"))
        refused = client.request("POST", "/api/v1/tasks/?config_id=noop", self.server.token("TAIPY_READER"))
        (record,) = self.server.audit(refused.headers["X-Request-Id"])
        self.assertEqual((record["outcome"], record["certificate"]), ("refused", fingerprint))
        unknown = client.request("GET", ME)
        (record,) = self.server.audit(unknown.headers["X-Request-Id"])
        self.assertEqual((record["subject"], record["certificate"]), (None, fingerprint))
        other = self.request("POST", "/api/v1/tasks/?config_id=noop")
        (record,) = self.server.audit(other.headers["X-Request-Id"])
        self.assertIsNone(record["certificate"])
        line = wait_until(lambda: [line for line in self.logged("request") if line.get("request_id") == made.headers["X-Request-Id"]], "the access log")[0]
        self.assertEqual((line["certificate"], line["certificate_subject"]), (fingerprint, "CN=alice,O=bailiff development"))
        done = self.server.verify_audit()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Revocation(CertificateCase):
    def test_a_life(self):
        alice, bob = self.client("required", "client-alice"), self.client("required", "client-bob")
        loose = self.client("optional", "client-bob")
        job = self.server.submit(self.server.create("brood"))
        self.server.wait_job(job, "RUNNING")
        self.assertEqual(bob.request("GET", ME, self.admin).status, 200)
        self.assertEqual(loose.request("GET", ME, self.admin).status, 200)
        stream = bob.connect()
        self.addCleanup(stream.close)
        stream.putrequest("GET", f"/api/v1/jobs/{job}/log/?follow=true")
        stream.putheader("Authorization", "Bearer " + self.admin)
        stream.endheaders()
        following = stream.getresponse()
        self.assertEqual(following.status, 200)
        self.assertIn(b"the grandchild is there", following.readline())
        kept = alice.connect()
        self.addCleanup(kept.close)
        self.assertEqual(send(kept, "GET", ME, self.admin).status, 200)

        # A list that cannot be relied on changes nothing, and says why.
        with open(self.server.path("clients-crl.pem"), "rb") as file:
            good = file.read()
        with open(self.server.path("clients-crl.pem"), "wb") as file:
            file.write(b"junk")
        self.reload("server.reload_failed")
        said = "\n".join(json.dumps(line) for line in self.logged("server.configuration"))
        self.assertIn("clients-crl.pem holds no revocation list in PEM form", said)
        done = subprocess.run([PROGRAM, "check-config", "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"bailiff\.yaml:\d+: .*clients-crl\.pem holds no revocation list in PEM form")
        self.assertEqual(bob.request("GET", ME, self.admin).status, 200)
        with open(self.server.path("clients-crl.pem"), "wb") as file:
            file.write(good)
        self.reload()
        self.assertEqual(bob.request("GET", ME, self.admin).status, 200)

        make_dev(self.server.folder, "--revoke", "bob")
        self.reload()
        with self.assertRaises((OSError, http.client.HTTPException)):  # streams are cut off
            while following.read(65536):
                pass
            raise AssertionError("the stream ended as if it were whole")
        for client in (bob, loose):  # connections that were open
            self.refused(client)
        for kind in ("required", "optional"):  # and new ones
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                self.refused(self.client(kind, "client-bob", version))
                self.assertEqual(self.client(kind, "client-alice", version).request("GET", ME, self.admin).status, 200)
        self.assertEqual(send(kept, "GET", ME, self.admin).status, 200)  # alice's stays
        rows = wait_until(lambda: self.server.query("SELECT * FROM audit WHERE action = 'connection.refuse' AND reason LIKE '%certificate revoked'"), "it is recorded")
        shown = json.loads(rows[0]["detail"])["shown"]
        self.assertEqual((shown["sha256"], shown["subject"]), (self.thumbprint("client-bob")[0], "CN=bob,O=bailiff development"))
        check = next(c for c in self.request("GET", "/readyz").json()["checks"] if c["check"] == "client_crl")
        self.assertEqual(check["status"], "ok")
        self.request("POST", f"/api/v1/jobs/cancel/{job}/", "TAIPY_EXECUTOR")
        self.server.wait_job(job)
        self.assertEqual(self.server.verify_audit().returncode, 0)

        # It holds after a restart; and a server does not start with a list that it cannot rely on.
        self.server.stop()
        self.server.start()
        self.refused(self.client("required", "client-bob"))
        self.server.stop()
        os.rename(self.server.path("clients-crl.pem"), self.server.path("away.pem"))
        done = subprocess.run([PROGRAM, "serve", "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 3)
        self.assertIn("clients-crl.pem: No such file", done.stderr)
        os.rename(self.server.path("away.pem"), self.server.path("clients-crl.pem"))
        self.server.start()

    def test_an_expired_list(self):
        with open(self.server.path("clients-crl.pem"), "rb") as file:
            good = file.read()
        with open(self.server.path("brief.cnf"), "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.server.path('clients-revoked.txt')}\ndefault_md=sha256\n")
        run(["openssl", "ca", "-config", self.server.path("brief.cnf"), "-gencrl", "-crlsec", "5", "-cert", self.server.path("clients-ca.pem"),
             "-keyfile", self.server.path("clients-ca-key.pem"), "-out", self.server.path("clients-crl.pem")])  # fmt: skip
        try:
            self.reload()
            alice = self.client("required", "client-alice")
            wait_until(lambda: self.check()["status"] == "failed", "/readyz says that it has expired")
            self.refused(alice)
            self.assertEqual(self.request("GET", "/readyz", None).status, 200)  # others are served
            self.assertEqual(self.client("optional").request("GET", "/livez").status, 200)
            wait_until(lambda: "has expired: clients with certificates" in self.server.log(), "the log says so")
            self.reload("server.reload_failed")
            self.assertIn("clients-crl.pem has expired (nextUpdate)", self.server.log())
        finally:
            with open(self.server.path("clients-crl.pem"), "wb") as file:
                file.write(good)
        self.reload()
        self.assertEqual(self.client("required", "client-alice").request("GET", "/livez").status, 200)
        self.assertEqual(self.check()["status"], "ok")

    def check(self):
        return next(c for c in self.request("GET", "/readyz").json()["checks"] if c["check"] == "client_crl")


if __name__ == "__main__":
    unittest.main()
