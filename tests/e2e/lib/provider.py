"""Real OpenID providers for the tests: tests/e2e/sso/provider.mjs, and what its clients do."""

import base64
import hashlib
import http.client
import json
import os
import secrets
import shutil
import ssl
import subprocess
import urllib.parse

from lib.server import PATIENCE_S, SOURCE, free_port, wait_until

FOLDER = os.path.join(SOURCE, "tests", "e2e", "sso")
REDIRECT = "https://portal.example.com/back"


class Provider:
    def __init__(self, server, algorithm="ES256", ttl=600):
        """`server` lends its certificate and CA."""
        if not shutil.which("node"):
            raise AssertionError("node is not installed; packaging/test installs it")
        if not os.path.isdir(os.path.join(FOLDER, "node_modules", "oidc-provider")):
            raise AssertionError("npm's oidc-provider is not installed: run npm ci --prefix tests/e2e/sso, as packaging/test does")
        self.port, self._reservation = free_port()
        self.issuer = f"https://localhost:{self.port}"
        self.options = {
            "port": self.port,
            "certificate": server.path("server.pem"),
            "key": server.path("server-key.pem"),
            "audience": "bailiff",
            "algorithm": algorithm,
            "ttl": ttl,
        }
        self.context = ssl.create_default_context(cafile=server.path("ca.pem"))
        self.errors = server.path(f"provider-{self.port}.log")
        self.process = None

    def start(self):
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                ["node", "provider.mjs", json.dumps(self.options)],
                cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )
        if not self.process.stdout.readline():
            with open(self.errors, encoding="utf-8") as file:
                raise AssertionError("the provider did not start: " + file.read())
        return self

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.process.stdin.close()
            self.process.stdout.close()
        self.process = None

    def remove(self):
        self.stop()
        self._reservation.close()

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def rotate(self, keep=True):
        return self.tell(do="rotate", keep=keep)["kid"]

    def mode(self, mode):
        self.tell(do="mode", mode=mode)

    def counts(self):
        return self.tell(do="counts")

    # -- as a client --

    def _request(self, method, path, form=None, cookies=None):
        # By number: a bare machine may not know localhost. The provider goes by the name.
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_S, context=self.context)
        headers = {"Host": f"localhost:{self.port}"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in cookies.items())
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, urllib.parse.urlencode(form) if form is not None else None, headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            if cookies is not None:
                cookies[name] = value
        return answer, body

    def _token(self, client, **form):
        answer, body = self._request("POST", "/token", {"client_id": client, "client_secret": f"secret of {client}", **form})
        if answer.status != 200:
            raise AssertionError(f"the provider gives no token: {answer.status} {body!r}")
        return json.loads(body)

    def client_credentials(self):
        return self._token("batch", grant_type="client_credentials", scope="api")["access_token"]

    def authorization_code(self, user):
        """{"access_token", "id_token", …} of a user who logs in with a browser."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        cookies = {}
        location = "/auth?" + urllib.parse.urlencode({
            "client_id": "portal", "response_type": "code", "redirect_uri": REDIRECT, "scope": "openid api", "login_hint": user,
            "code_challenge": challenge, "code_challenge_method": "S256",
        })
        for _ in range(8):
            answer, body = self._request("GET", location, cookies=cookies)
            if answer.status not in (302, 303):
                raise AssertionError(f"the provider does not redirect: {answer.status} {body!r}")
            location = answer.headers["Location"]
            if location.startswith(REDIRECT):
                break
            location = location.removeprefix(self.issuer)
        answered = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)
        if "code" not in answered:
            raise AssertionError(f"the provider gives no code: {location}")
        return self._token("portal", grant_type="authorization_code", code=answered["code"][0], code_verifier=verifier, redirect_uri=REDIRECT)


def wait_for_keys(server, issuer, timeout_s=30):
    """Waits until the server has keys of the issuer."""

    def there():
        checks = server.request("GET", "/readyz").json()["checks"]
        return any(check.get("issuer") == issuer and check["status"] == "ok" for check in checks)

    wait_until(there, f"the keys of {issuer} are there", timeout_s)
