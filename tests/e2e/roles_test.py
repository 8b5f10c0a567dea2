"""Every cell of role × route, with every kind of token that must not be taken.

    /usr/bin/python3 tests/e2e/roles_test.py [-v] [Class.test]
"""

import hashlib
import hmac
import json
import os
import subprocess
import time
import unittest

from lib import tokens
from lib.server import ISSUER, PROGRAM, ROLES, ServerCase, run

# method, path, what it needs, and what each of ROLES gets: reader, editor, executor, admin. Names in braces are entities that the
# test makes. A cancel or submit that is allowed meets a job that has ended.
ROUTES = [
    ("GET", "/livez", "public", (200, 200, 200, 200)),
    ("GET", "/readyz", "public", (200, 200, 200, 200)),
    ("GET", "/.well-known/oauth-protected-resource/api/v1", "public", (200, 200, 200, 200)),
    ("GET", "/api/v1/auth/me/", "any", (200, 200, 200, 200)),
    ("POST", "/api/v1/auth/can-i/", "any", (400, 400, 400, 400)),
    ("GET", "/api/v1/configs/", "configs:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/revocations/", "revocations:read", (403, 403, 403, 200)),
    ("POST", "/api/v1/revocations/", "revocations:write", (403, 403, 403, 400)),
    ("DELETE", "/api/v1/revocations/{id}/", "revocations:write", (403, 403, 403, 404)),
    ("GET", "/api/v1/tasks/", "tasks:read", (200, 200, 200, 200)),
    ("POST", "/api/v1/tasks/", "tasks:create", (403, 201, 403, 201)),
    ("GET", "/api/v1/tasks/{id}/", "tasks:read", (200, 200, 200, 200)),
    ("DELETE", "/api/v1/tasks/{id}/", "tasks:delete", (403, 200, 403, 200)),
    ("POST", "/api/v1/tasks/submit/{id}/", "tasks:submit", (403, 403, 204, 204)),
    ("GET", "/api/v1/jobs/", "jobs:read", (200, 200, 200, 200)),
    ("POST", "/api/v1/jobs/", "jobs:create", (403, 201, 403, 201)),
    ("GET", "/api/v1/jobs/{id}/", "jobs:read", (200, 200, 200, 200)),
    ("DELETE", "/api/v1/jobs/{id}/", "jobs:delete", (403, 200, 403, 200)),
    ("GET", "/api/v1/jobs/{id}/log/", "jobs:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/jobs/{id}/events/", "jobs:read", (200, 200, 200, 200)),
    ("POST", "/api/v1/jobs/submit/{id}/", "jobs:submit", (403, 403, 409, 409)),
    ("POST", "/api/v1/jobs/cancel/{id}/", "jobs:cancel", (403, 403, 409, 409)),
    ("GET", "/api/v1/queue/", "queue:read", (403, 403, 200, 200)),
    ("POST", "/api/v1/queue/pause/", "queue:write", (403, 403, 403, 200)),
    ("POST", "/api/v1/queue/resume/", "queue:write", (403, 403, 403, 200)),
    ("GET", "/api/v1/events/", "jobs:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/submissions/", "submissions:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/submissions/{id}/", "submissions:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/datanodes/", "datanodes:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/datanodes/{id}/", "datanodes:read", (200, 200, 200, 200)),
    ("GET", "/api/v1/datanodes/{id}/read/", "datanodes:read", (200, 200, 200, 200)),
]
OUTSIDE = [("GET", "/nothing/"), ("PUT", "/api/v1/tasks/"), ("OPTIONS", "/api/v1/tasks/"), ("PATCH", "/api/v1/jobs/")]


def asked_with(method, path):
    """HEAD where GET would never end."""
    return "HEAD" if path == "/api/v1/events/" else method


class Matrix(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        task, job = cls.server.run_task("double")
        cls.ids = {"tasks": task["id"], "jobs": job["id"], "datanodes": task["output_ids"][0], "submissions": job["submission_id"]}
        cls.hostile = cls.hostile_tokens()

    def path_of(self, method, path):
        """The path with an entity in it: one that is there, and for DELETE one of its own."""
        if path == "/api/v1/tasks/" and method == "POST":
            return path + "?config_id=noop"
        if path == "/api/v1/jobs/" and method == "POST":
            return path + "?task_id=noop"
        if "{id}" not in path:
            return path
        kind = path.split("/")[3]
        if kind == "revocations":
            return path.replace("{id}", "REVOCATION_none")
        if (method, kind) == ("DELETE", "jobs"):
            entity = self.server.run_task("noop")[1]["id"]
        else:
            entity = self.server.create("noop", "TAIPY_ADMIN")["id"] if method == "DELETE" else self.ids[kind]
        return path.replace("{id}", entity)

    def contents(self):
        """What of the database a refused request must not change."""
        tables = ("task", "job", "submission", "data_node", "data_node_lock", "idempotency")
        state = {table: self.server.query(f"SELECT count(*) AS n FROM {table}") for table in tables}
        for table in ("task", "job", "data_node"):
            state[table + " revisions"] = self.server.query(f"SELECT id, revision FROM {table} ORDER BY id")
        return state

    def check_refused(self, answer, status, record):
        """What the audit table says of an answer."""
        self.assertIsNotNone(record, f"{answer} is not in the audit table")
        self.assertEqual((record["outcome"], record["status"]), ("refused", status))
        self.assertEqual((record["action"], record["address"]), ("request.refuse", "127.0.0.1"))
        self.assertTrue(record["reason"])
        self.assertEqual(record["count"], 1)

    def records(self):
        return {record["request_id"]: record for record in self.server.query("SELECT * FROM audit")}

    def test_the_table_is_the_programs_own(self):
        """No route is forgotten here, and the program prints the same decisions."""
        printed = run([PROGRAM, "policy", "matrix", "--config", self.server.config]).splitlines()
        self.assertEqual(printed[0].split(), ["METHOD", "PATH", "NEEDS", "none", *ROLES])
        expected = [
            [method, path, needs, "allow" if needs == "public" else "401"] + ["403" if s == 403 else "allow" for s in statuses]
            for method, path, needs, statuses in ROUTES
        ]
        self.assertEqual([line.split() for line in printed[1:]], expected)

    def test_every_cell(self):
        refused = []
        for method, path, needs, statuses in ROUTES:
            for role, status in zip(ROLES, statuses):
                with self.subTest(method=method, path=path, role=role):
                    target = self.path_of(method, path)
                    before = self.contents() if status == 403 else None
                    answer = self.request(asked_with(method, path), target, role)
                    self.assertEqual(answer.status, status, answer)
                    if status == 204:  # what was submitted is not to change anything later
                        self.server.wait_job(answer.headers["Location"].rstrip("/").rpartition("/")[2])
                    if status == 403:
                        self.assertEqual(self.contents(), before)
                        self.assertEqual(self.problem(answer, 403)["permission"], needs)
                        refused.append((answer, role))
        records = self.records()
        for answer, role in refused:
            record = records.get(answer.headers["X-Request-Id"])
            self.check_refused(answer, 403, record)
            self.assertEqual((record["subject"], record["roles"]), ("test-" + role.lower(), role))
            self.assertEqual(record["decision_id"], answer.json()["decision_id"])

    def test_without_roles(self):
        token = self.server.hs_token(roles=[])
        unknown = self.server.hs_token(role="TAIPY_EMPEROR")
        for method, path, needs, statuses in ROUTES:
            expected = statuses[0] if needs in ("public", "any") else 403
            for one in (token, unknown):
                with self.subTest(method=method, path=path):
                    self.assertEqual(self.request(asked_with(method, path), self.path_of(method, path), token=one).status, expected)

    # -- tokens that must not be taken --

    @classmethod
    def hostile_tokens(cls):
        """{what is wrong: token}; all claim to be an administrator's."""
        server, now = cls.server, int(time.time())
        good = server.hs_token()
        header, payload, signature = good.split(".")
        with open(server.path("rs-public.pem"), "rb") as file:
            public_pem = file.read()
        rs_claims = tokens.claims(tokens.RS_ISSUER)

        def signed(spelt):
            """HS256 with the right secret over claims spelt by hand."""
            claims_part = spelt if isinstance(spelt, bytes) else spelt.encode()
            text = tokens.b64(b'{"alg":"HS256","typ":"JWT"}') + "." + tokens.b64(claims_part)
            return text + "." + tokens.b64(hmac.new(server.secret, text.encode(), hashlib.sha256).digest())

        claims = json.dumps(tokens.claims())
        stranger = os.path.join(server.folder, "stranger.pem")
        run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", stranger])
        return {
            "expired": server.hs_token(exp=now - 1),
            "long expired, of our own issuer": cls.own(exp=now - 4000, iat=now - 8000),
            "not yet good": server.hs_token(nbf=now + 600),
            "issued in the future": server.hs_token(iat=now + 600),
            "for too long": server.hs_token(exp=now + 40 * 86400),
            "without exp": server.hs_token(exp=None),
            "without aud": server.hs_token(aud=None),
            "without iss": server.hs_token(iss=None),
            "exp as text": server.hs_token(exp=str(now + 600)),
            "exp beyond all bounds": signed(claims.replace(f'"exp": {now + 600}', '"exp": 1e300')),
            "wrong audience": server.hs_token(aud="another"),
            "wrong audiences": server.hs_token(aud=["another", "bailiff2"]),
            "wrong issuer": server.hs_token(issuer="https://evil.example.com"),
            "another issuer's key": tokens.hs256(server.secret, tokens.claims(tokens.RS_ISSUER)),
            "alg none": tokens.unsigned(tokens.claims()),
            "alg None": tokens.unsigned(tokens.claims(), "None"),
            "alg nOnE, with a signature": tokens.unsigned(tokens.claims(), "nOnE") + signature,
            "alg none, RS issuer": tokens.unsigned(rs_claims),
            "HS signed with the public key": tokens.hs256(public_pem, rs_claims),
            "HS signed with the public key, stripped": tokens.hs256(public_pem.strip(), rs_claims),
            "HS signed with the public key, as RS256": tokens.hs256(public_pem, rs_claims, alg="RS256"),
            "RS signed by a stranger": tokens.rs256(stranger, rs_claims),
            "alg HS512 with the HS256 key": tokens.hs256(server.secret, tokens.claims(), alg="HS512"),
            "signed with an empty secret": tokens.hs256(b"", tokens.claims()),
            "signed with another secret": tokens.hs256(b"x" * 48, tokens.claims()),
            "truncated signature": good[:-4],
            "truncated by one": good[:-1],
            "no signature": header + "." + payload + ".",
            "no third part": header + "." + payload,
            "truncated payload": header + "." + payload[:-8] + "." + signature,
            "trailing garbage": good + "AAAA",
            "trailing part": good + ".AAAA",
            "trailing dot": good + ".",
            "padded": good + "==",
            "another payload": header + "." + tokens.b64(json.dumps(tokens.claims(sub="root")).encode()) + "." + signature,
            "crit": tokens.hs256(server.secret, tokens.claims(), crit=["exp"]),
            "jwk of its own": tokens.hs256(b"x" * 48, tokens.claims(), jwk={"kty": "oct", "k": tokens.b64(b"x" * 48)}),
            "jku": tokens.hs256(server.secret, tokens.claims(), jku="https://evil.example.com/jwks.json"),
            "x5u": tokens.hs256(server.secret, tokens.claims(), x5u="https://evil.example.com/x.pem"),
            "cnf": server.hs_token(cnf={"jkt": "x"}),
            "another type": tokens.hs256(server.secret, tokens.claims(), typ="dpop+jwt"),
            "claims twice": signed(claims[:-1] + ', "sub": "root"}'),
            "claims no object": signed("[]"),
            "claims no JSON": signed("exp"),
            "claims no UTF-8": signed(b'{"sub": "\xff"}'),
            "without token_use, of our own issuer": cls.own(token_use=None),
            "a refresh token of our own issuer": cls.own(token_use="refresh"),
            "nested": tokens.hs256(server.secret, {**tokens.claims(), "deep": json.loads("[" * 100 + "]" * 100)}),
            "64 KB": tokens.hs256(server.secret, tokens.claims(filler="x" * 49000)),
            "64 KB of nothing": "A" * 65536,
            "17 KB": tokens.hs256(server.secret, tokens.claims(filler="x" * 12500)),
            "rubbish": "rubbish",
            "dots": "..",
        }

    @classmethod
    def own(cls, **changes):
        """Signed with our own issuer's key (ES256), claims as they should be but for the changes."""
        with open(cls.server.path("signing-jwks.json"), encoding="utf-8") as file:
            kid = json.load(file)["keys"][0]["kid"]
        signed = tokens.signed_part(
            {"alg": "ES256", "typ": "JWT", "kid": kid}, tokens.claims(ISSUER, **{"token_use": "access", **changes})
        )
        der = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", cls.server.path("signing-key.pem")], input=signed.encode(), capture_output=True, check=True
        ).stdout
        return signed + "." + tokens.b64(raw_signature(der))

    def test_the_helpers_make_good_tokens_too(self):
        """Else the refusals below would prove nothing."""
        rs = tokens.rs256(self.server.path("rs-key.pem"), tokens.claims(tokens.RS_ISSUER))
        for token in (self.server.hs_token(), self.own(), rs, self.server.hs_token(aud=["x", tokens.AUDIENCE])):
            answer = self.request("GET", "/api/v1/auth/me/", token=token)
            self.assertEqual((answer.status, answer.json()["roles"]), (200, ["TAIPY_ADMIN"]))

    def test_no_hostile_token_reaches_a_handler(self):
        task = self.server.create("noop", "TAIPY_ADMIN")  # for DELETE: it must survive them all
        ids = {**self.ids, "tasks": task["id"]}
        creations = {"/api/v1/tasks/": "?config_id=noop", "/api/v1/jobs/": "?task_id=noop"}
        before, answers, wrong = self.contents(), [], []
        for method, path, needs, _ in ROUTES + [(m, p, "any", None) for m, p in OUTSIDE]:
            if needs == "public":
                continue
            kind = path.split("/")[3] if "{id}" in path else ""
            target = path.replace("{id}", ids.get(kind, "")) + (creations.get(path, "") if method == "POST" else "")
            for name, token in {"none": None, **self.hostile}.items():
                answer = self.request(method, target, None, token=token)
                answers.append((f"{method} {path} with {name}", answer))
                if not self.refused_well(answer, name, token):
                    wrong.append(answers[-1])
        self.assertEqual(wrong[:10], [])
        self.assertEqual(self.contents(), before)
        records = self.records()
        missing = [(what, answer) for what, answer in answers if answer.headers["X-Request-Id"] not in records]
        self.assertEqual(missing[:10], [], f"{len(missing)} refusals are not in the audit table")
        for what, answer in answers:
            with self.subTest(what):
                self.check_refused(answer, answer.status, records[answer.headers["X-Request-Id"]])
        verified = self.server.verify_audit()
        self.assertEqual(verified.returncode, 0, verified.stderr)

    def refused_well(self, answer, name, token):
        """The right status and challenge, and nothing of the token given back."""
        too_large = name in ("64 KB", "64 KB of nothing", "17 KB")
        if answer.status != (431 if too_large else 401):
            return False
        if token and len(token) > 60 and token[:60] in answer.body.decode():
            return False
        challenge = answer.headers["WWW-Authenticate"] or ""
        return too_large or ('error="invalid_token"' in challenge) == (token is not None)

    def test_public_routes_need_no_token(self):
        for method, path, needs, _ in ROUTES:
            if needs == "public":
                self.assertEqual(self.request(method, path, None).status, 200)


def raw_signature(der):
    """ECDSA-Sig-Value of P-256 as the 64 bytes of JWS."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


class Flood(ServerCase):
    """The first few refusals of a caller are recorded singly, the rest is counted: nobody fills the disk."""

    settings = {"audit": {"refusals_recorded_a_minute": 5}}

    def test_a_flood(self):
        for _ in range(40):
            self.assertEqual(self.request("GET", "/api/v1/tasks/", None).status, 401)
        named = [self.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER") for _ in range(20)]
        ids = [answer.json()["decision_id"] for answer in named if "decision_id" in answer.json()]
        recorded = {row["decision_id"] for row in self.server.query("SELECT decision_id FROM audit WHERE outcome = 'refused' AND count = 1")}
        self.assertGreaterEqual(len(ids), 5)
        self.assertEqual(set(ids) - recorded, set())  # an id that a caller was given stands in the log
        strangers = self.server.query("SELECT 1 FROM audit WHERE outcome = 'refused' AND count = 1 AND subject IS NULL")
        self.assertEqual(len(strangers), 5)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        # what was only counted is written at the end at the latest, and none is missing
        counted = cls.server.query("SELECT sum(count) AS n FROM audit WHERE outcome = 'refused'")
        assert counted[0]["n"] == 60, counted


if __name__ == "__main__":
    unittest.main()
