"""TLS as strangers see it: judged by testssl.sh and by openssl, changed while it runs, resumed, stapled.

    /usr/bin/python3 tests/e2e/tls_test.py [-v] [Class.test]
"""

import array
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import termios
import threading
import unittest

from lib.server import PATIENCE_S, SOAK, SOURCE, ServerCase, run, sanitized, wait_until

TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
# What testssl.sh says about the development CA's certificate, DNS and itself is not about us.
NOT_OURS = ("cert_revocation", "DNS_CAArecord", "engine_problem", "sessionresumption_ticket", "scanTime")


class Case(ServerCase):
    def s_client(self, *arguments, said="", server_name="localhost"):
        """(exit status, output) of openssl s_client that says something and ends."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}", "-servername", server_name, "-CAfile", self.server.path("ca.pem"), *arguments],
            input=said, capture_output=True, text=True, timeout=PATIENCE_S, errors="replace",
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    REQUEST = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Strangers(Case):
    @unittest.skipIf(sanitized() and not SOAK, "it judges what is offered, which is the same in every build")
    def test_testssl_finds_nothing(self):
        if not TESTSSL:
            raise RuntimeError("testssl.sh is missing: install the package testssl.sh")
        report = self.server.path("testssl.json")
        checks = ["-p", "-s", "-P", "-S", "-f", "-h", *(["-U"] if SOAK else ["-H", "-I", "-T", "-R", "-C", "-BB"])]
        done = subprocess.run(
            [TESTSSL, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", self.server.path("ca.pem"), "--ip", "one", *checks,
             "--jsonfile", report, f"https://localhost:{self.server.port}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500, cwd=self.server.folder, errors="replace",
        )  # fmt: skip
        with open(report, encoding="utf-8") as file:
            findings = json.load(file)
        self.assertGreater(len(findings), 40, done.stdout)
        bad = [finding for finding in findings if finding["severity"] not in ("OK", "INFO") and finding["id"] not in NOT_OURS]
        self.assertEqual(bad, [])
        offered = {finding["id"]: finding["finding"] for finding in findings}
        severity = {finding["id"]: finding["severity"] for finding in findings}
        self.assertIn("not offered", offered["TLS1_1"])
        self.assertIn("offered", offered["TLS1_3"])
        # The strongest profile: nothing but forward secrecy with AEAD, and browsers are told to use nothing but TLS.
        self.assertEqual(
            {name for name, finding in offered.items() if name.startswith("cipherlist_") and not finding.startswith("not offered")},
            {"cipherlist_STRONG"},
        )
        for name in ("TLS1_2", "TLS1_3", "PFS", "HSTS_time", "HSTS_subdomains", "cipher_order", "secure_client_renego"):
            self.assertIn(name, offered)
            self.assertEqual(severity[name], "OK", name)

    def test_only_good_protocols_and_ciphers(self):
        for good in (["-tls1_2"], ["-tls1_3"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]):
            with self.subTest(good):
                status, said = self.s_client("-verify_return_error", *good, said=self.REQUEST)
                self.assertEqual(status, 0, said)
                self.assertIn("Verify return code: 0 (ok)", said)
        weak = "@SECLEVEL=0"
        for bad in (
            ["-tls1", "-cipher", "ALL:" + weak], ["-tls1_1", "-cipher", "ALL:" + weak], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:" + weak],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA:" + weak], ["-tls1_2", "-cipher", "AES128-GCM-SHA256:" + weak], ["-tls1_2", "-cipher", "aNULL:" + weak],
            ["-tls1_2", "-cipher", "eNULL:" + weak], ["-tls1_2", "-cipher", "DHE:!ECDHE:" + weak], ["-tls1_2", "-cipher", "PSK:" + weak],
            ["-tls1_3", "-groups", "P-521"], ["-alpn", "h2"], ["-alpn", "spdy/3,h3"],
        ):  # fmt: skip
            with self.subTest(bad):
                status, said = self.s_client(*bad, said=self.REQUEST)
                self.assertNotIn("HTTP/1.1", said)
                self.assertIn("Cipher is (NONE)", said)

    def test_no_renegotiation_and_no_compression(self):
        status, said = self.s_client("-tls1_2", said="R\n")
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("SSL routines", said)  # it is the end of the connection
        self.assertIn("Compression: NONE", said)
        self.assertIn("Secure Renegotiation IS supported", said)

    def test_plain_http_on_a_tls_port_is_no_service(self):
        plain = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        with self.assertRaises((OSError, http.client.HTTPException)):
            plain.request("GET", "/livez")
            plain.getresponse()
        plain.close()

    def test_hsts_is_said(self):
        self.assertIn("max-age=", self.request("GET", "/livez", None).headers["Strict-Transport-Security"])

    def test_sessions_are_resumed(self):
        for version in ("-tls1_2", "-tls1_3"):
            saved = self.server.path("session" + version)
            self.s_client(version, "-sess_out", saved, "-ign_eof", said=self.REQUEST)
            for _ in range(6):  # whichever loop it falls to
                status, said = self.s_client(version, "-sess_in", saved, "-ign_eof", said=self.REQUEST)
                self.assertIn("Reused, TLS", said)
                self.assertIn("HTTP/1.1 200 OK", said)

    def test_keys_are_updated(self):
        for command in ("k", "K"):  # K asks for an update of ours, too
            process = subprocess.Popen(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}", "-tls1_3", "-CAfile", self.server.path("ca.pem"), "-servername", "localhost"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
            process.stdin.write(command + "\n")
            process.stdin.flush()
            self.settle(process)
            process.stdin.write(self.REQUEST)
            process.stdin.flush()
            received = process.stdout.read()  # to the end that the server makes; at an end of ours s_client would not wait
            process.stdin.close()
            process.wait(PATIENCE_S)
            self.assertIn("KEYUPDATE", received)
            self.assertIn("HTTP/1.1 200 OK", received)

    def settle(self, process):
        """s_client takes a command only at the start of what it reads: until it has read this one."""
        waiting = array.array("i", [0])

        def empty():
            fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, waiting)
            return waiting[0] == 0

        wait_until(empty, "openssl has read its command")


class Changing(Case):
    def serial(self):
        with self.open() as connection:
            return connection.getpeercert()["serialNumber"]

    def open(self):
        context = ssl.create_default_context(cafile=self.server.path("ca.pem"))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.server.port), timeout=60), server_hostname="localhost")

    def new_certificate(self):
        for name in ("server.pem", "server-key.pem"):
            os.remove(self.server.path(name))
        run([os.path.join(SOURCE, "certs", "make-dev"), "--dir", self.server.folder])

    def reload(self, event):
        before = self.server.log().count(f'"{event}"')
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: self.server.log().count(f'"{event}"') > before, event)

    def test_a_certificate_is_changed_without_a_dropped_connection(self):
        first = self.serial()
        kept = self.open()
        ended = threading.Event()
        failures = []

        def ask():
            connection = self.server.client.connect()
            while not ended.is_set():
                try:
                    connection.request("GET", "/livez")
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        failures.append(answer.status)
                    if len(failures) or answer.headers.get("Connection") == "close":
                        failures.append(answer.headers.get("Connection"))
                        return
                except OSError as error:
                    failures.append(error)
                    return
            connection.close()

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        seen = {first}
        for _ in range(3):
            self.new_certificate()
            self.reload("server.reloaded")
            wait_until(lambda: self.serial() not in seen, "new connections get the new certificate")
            seen.add(self.serial())
        ended.set()
        for asker in askers:
            asker.join()
        self.assertEqual(failures, [])
        kept.sendall(self.REQUEST.encode())  # the one of the first certificate
        self.assertIn(b"HTTP/1.1 200 OK", kept.recv(65536))
        kept.close()

    def test_a_bad_certificate_changes_nothing(self):
        first = self.serial()
        with open(self.server.path("server-key.pem"), "rb") as file:
            key = file.read()
        fresh = run(["openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        self.server.write_secret("server-key.pem", fresh.encode())
        self.reload("server.reload_failed")
        self.assertEqual(self.serial(), first)
        self.server.write_secret("server-key.pem", key)
        self.reload("server.reloaded")
        self.assertEqual(self.serial(), first)


class Stapling(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        listener = cls.server.settings["server"]["listeners"][0]
        listener.update(certificate="chain.pem", ocsp_file="server.ocsp")
        with open(cls.server.path("chain.pem"), "w", encoding="ascii") as chain:
            for name in ("server.pem", "ca.pem"):
                with open(cls.server.path(name), encoding="ascii") as file:
                    chain.write(file.read())
        cls.server.write_config()
        cls.staple("V")
        cls.server.start()

    @classmethod
    def staple(cls, status):
        serial = run(["openssl", "x509", "-in", cls.server.path("server.pem"), "-noout", "-serial"]).strip().partition("=")[2]
        with open(cls.server.path("index.txt"), "w", encoding="ascii") as file:
            file.write(f"{status}\t400101000000Z\t{'250101000000Z' if status == 'R' else ''}\t{serial}\tunknown\t/CN=localhost\n")
        ca, key = cls.server.path("ca.pem"), cls.server.path("ca-key.pem")
        run(["openssl", "ocsp", "-index", cls.server.path("index.txt"), "-rsigner", ca, "-rkey", key, "-CA", ca, "-issuer", ca,
             "-cert", cls.server.path("server.pem"), "-ndays", "2", "-respout", cls.server.path("server.ocsp")])  # fmt: skip

    def test_the_response_is_stapled_and_renewed(self):
        for version in ("-tls1_2", "-tls1_3"):
            status, said = self.s_client(version, "-status", said=self.REQUEST)
            self.assertIn("Cert Status: good", said)
            self.assertIn("Verify return code: 0 (ok)", said)
        self.staple("R")
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: "Cert Status: revoked" in self.s_client("-status", said=self.REQUEST)[1], "the new response is stapled")
        self.staple("V")
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: "Cert Status: good" in self.s_client("-status", said=self.REQUEST)[1], "the good response is back")

    def test_junk_is_not_taken(self):
        with open(self.server.path("server.ocsp"), "rb") as file:
            good = file.read()
        with open(self.server.path("server.ocsp"), "wb") as file:
            file.write(b"junk")
        before = self.server.log().count('"server.reload_failed"')
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: self.server.log().count('"server.reload_failed"') > before, "the reload fails")
        self.assertIn("Cert Status: good", self.s_client("-status", said=self.REQUEST)[1])
        with open(self.server.path("server.ocsp"), "wb") as file:
            file.write(good)


if __name__ == "__main__":
    unittest.main()
