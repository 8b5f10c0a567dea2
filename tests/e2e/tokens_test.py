"""Tokens made by npm jose and by our own issuer (libjwt), judged alike by the server and by jose.

    /usr/bin/python3 tests/e2e/tokens_test.py [-v] [Class.test]
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from lib import apps, tokens
from lib.server import ISSUER, PATIENCE_S, PROGRAM, Server, run

HERE = os.path.dirname(os.path.abspath(__file__))
JOSE = "https://jose.example.com"
PUBLIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SECRET = ["HS256", "HS384", "HS512"]
AT_JWT = "https://at.example.com"


def node(script, request):
    if not shutil.which("node"):
        raise AssertionError("node is not installed; packaging/test installs it")
    if not os.path.isdir(os.path.join(HERE, "tokens", "node_modules", "jose")):
        raise AssertionError("npm's jose is not installed: run npm ci --prefix tests/e2e/tokens, as packaging/test does")
    done = subprocess.run(
        ["node", os.path.join(HERE, "tokens", script)], input=json.dumps(request), capture_output=True, text=True, timeout=PATIENCE_S
    )
    if done.returncode != 0:
        raise AssertionError(f"{script}: {done.stderr}")
    return json.loads(done.stdout)


def variants(algorithm, now):
    """What is done to a good token's claims and header: {name: (claims, header, good?)}; names hold the algorithm."""
    good = tokens.claims(JOSE if algorithm not in SECRET else JOSE + "/" + algorithm, "TAIPY_READER")
    cases = {
        "good": ({}, {}, True),
        "audiences": ({"aud": ["x", tokens.AUDIENCE]}, {}, True),
        "nbf now": ({"nbf": now}, {}, True),
        "at+jwt": ({}, {"typ": "at+jwt"}, True),
        "without typ": ({}, {"typ": None}, True),
        "expired": ({"exp": now - 120, "iat": now - 300}, {}, False),
        "not yet": ({"nbf": now + 300}, {}, False),
        "wrong audience": ({"aud": "x"}, {}, False),
        "wrong issuer": ({"iss": "https://evil.example.com"}, {}, False),
        "without exp": ({"exp": None}, {}, False),
        "without sub": ({"sub": None}, {}, False),
        "without aud": ({"aud": None}, {}, False),
        "exp as text": ({"exp": str(now + 300)}, {}, False),
        "unknown kid": ({}, {"kid": "nobody"}, False),
        "crit": ({}, {"crit": ["b64"], "b64": True}, None),  # jose knows b64; we know none
        # jose leaves these to its caller; whoever follows them lets the sender choose the key
        "jku": ({}, {"jku": "https://evil.example.com/keys"}, None),
        "jwk": ({}, {"jwk": {"kty": "oct", "k": "AAAA"}}, None),
        "x5u": ({}, {"x5u": "https://evil.example.com/x.pem"}, None),
        "cnf": ({"cnf": {"jkt": "x"}}, {}, None),
    }
    made = {}
    for name, (changes, header, judged) in cases.items():
        claims = {key: value for key, value in {**good, **changes}.items() if value is not None}
        made[f"{algorithm} {name}"] = (claims, {"typ": "JWT", **header}, judged)
    return made


class Alike(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        now = int(time.time())
        cls.cases = {}
        for algorithm in PUBLIC + SECRET:
            cls.cases.update(variants(algorithm, now))
        request = {
            "keys": [{"kid": algorithm.lower(), "alg": algorithm} for algorithm in PUBLIC + SECRET],
            "tokens": [
                {"name": name, "key": name.split()[0].lower(), "claims": claims, "header": header}
                for name, (claims, header, _) in cls.cases.items()
            ],
        }
        cls.made = node("make-tokens.mjs", request)
        folder = tempfile.mkdtemp(prefix="bailiff-tokens-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.server = Server(apps.taipy(os.path.join(folder, "app")), {}, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        with open(cls.server.path("jose.json"), "w", encoding="utf-8") as file:
            json.dump(cls.made["jwks"], file)
        issuers = cls.server.settings["issuers"]
        issuers.append({"issuer": JOSE, "audiences": [tokens.AUDIENCE], "jwks_file": "jose.json"})
        for algorithm in SECRET:
            name = f"{algorithm}.secret"
            cls.server.write_secret(name, tokens.unb64(cls.made["keys"][algorithm.lower()]["secret_jwk"]["k"]))
            issuers.append({
                "issuer": JOSE + "/" + algorithm, "audiences": [tokens.AUDIENCE], "secret_file": name, "algorithm": algorithm, "key_id": algorithm.lower(),
            })
        with open(cls.server.path("es256.pem"), "w", encoding="utf-8") as file:
            file.write(cls.made["keys"]["es256"]["public_pem"])
        issuers.append({
            "issuer": AT_JWT, "audiences": [tokens.AUDIENCE], "pem_file": "es256.pem", "key_id": "es256", "profile": "at+jwt",
            "role_claims": ["/realm_access/roles", "/scope"], "role_prefix": "bailiff-", "role_map": {"viewers": "TAIPY_READER"},
        })
        cls.server.write_config()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ours(self, token):
        answer = self.server.request("GET", "/api/v1/auth/me/", token=token)
        self.assertIn(answer.status, (200, 401), answer)
        return answer.status == 200

    def test_every_algorithm_and_every_mistake(self):
        judged = {}
        for issuer, names in self.by_issuer().items():
            request = {
                "jwks": {"keys": self.made["jwks"]["keys"] + self.made["secret_jwks"]["keys"]},
                "tokens": {name: self.made["tokens"][name] for name in names},
                "options": {"issuer": issuer, "audience": tokens.AUDIENCE, "clockTolerance": 30},
            }
            judged.update(node("judge.mjs", request)["results"])
        self.assertEqual(set(judged), set(self.cases))
        for name, (_, _, good) in self.cases.items():
            with self.subTest(token=name):
                mine = self.ours(self.made["tokens"][name])
                if good is None:
                    self.assertFalse(mine)
                    continue
                self.assertEqual(judged[name]["ok"], good, judged[name])
                self.assertEqual(mine, good)

    def by_issuer(self):
        names = {}
        for name in self.cases:
            algorithm = name.split()[0]
            names.setdefault(JOSE + ("/" + algorithm if algorithm in SECRET else ""), []).append(name)
        return names

    def test_ours_are_good_for_jose(self):
        token = self.server.issue("--sub", "ci", "--role", "TAIPY_READER", "--role", "TAIPY_EDITOR", "--ttl", "10m")
        self.assertTrue(self.ours(token))
        with open(self.server.path("signing-jwks.json"), encoding="utf-8") as file:
            jwks = json.load(file)
        self.assertEqual([sorted(set(key) & {"d", "k", "p", "q"}) for key in jwks["keys"]], [[]])  # public parts only
        options = {"issuer": ISSUER, "audience": tokens.AUDIENCE}
        result = node("judge.mjs", {"jwks": jwks, "tokens": {"ours": token}, "options": options})["results"]["ours"]
        self.assertTrue(result["ok"], result)
        claims = result["claims"]
        self.assertEqual((claims["sub"], claims["roles"]), ("ci", ["TAIPY_READER", "TAIPY_EDITOR"]))
        self.assertEqual((claims["token_use"], claims["exp"] - claims["iat"]), ("access", 600))
        self.assertTrue(claims["jti"])

    def test_other_issuers_keys_of_ours(self):
        """`token issue --key`: with keys that jose made."""
        for kid in ("rs256", "es256", "es384", "es512"):
            self.server.write_secret(kid + "-private.pem", self.made["keys"][kid]["private_pem"].encode())
            token = self.server_issue_with(kid)
            options = {"issuer": JOSE, "audience": tokens.AUDIENCE}
            thumbprint = tokens.decode(token)[0]["kid"]  # no name was given: then it is the key's thumbprint
            keys = [{**key, "kid": thumbprint} for key in self.made["jwks"]["keys"] if key["kid"] == kid]
            result = node("judge.mjs", {"jwks": {"keys": keys}, "tokens": {"x": token}, "options": options})["results"]["x"]
            self.assertTrue(result["ok"], (kid, result))
            self.assertEqual(result["header"]["alg"], kid.upper())

    def server_issue_with(self, kid):
        return run([
            PROGRAM, "token", "issue", "--key", self.server.path(kid + "-private.pem"), "--issuer", JOSE, "--audience", tokens.AUDIENCE,
            "--sub", "x", "--role", "TAIPY_READER",
        ]).strip()

    def test_a_broken_signature_of_every_algorithm(self):
        for algorithm in PUBLIC + SECRET:
            header, payload, signature = self.made["tokens"][f"{algorithm} good"].split(".")
            raw = bytearray(tokens.unb64(signature))
            raw[len(raw) // 2] ^= 1
            self.assertFalse(self.ours(f"{header}.{payload}.{tokens.b64(bytes(raw))}"), algorithm)
            self.assertFalse(self.ours(f"{header}.{payload}.{tokens.b64(bytes(raw[:-1]))}"), algorithm)
            self.assertTrue(self.ours(f"{header}.{payload}.{signature}"), algorithm)

    def test_a_key_is_good_for_its_own_algorithm_and_curve(self):
        """Every good token, called by every other algorithm and every other key's name, and both."""
        for algorithm in PUBLIC:
            header, payload, signature = self.made["tokens"][f"{algorithm} good"].split(".")
            named = json.loads(tokens.unb64(header))
            for other in [*PUBLIC, *SECRET, "ES256K", "none"]:
                if other == algorithm:
                    continue
                for changes in ({"alg": other}, {"kid": other.lower()}, {"alg": other, "kid": other.lower()}):
                    changed = tokens.b64(json.dumps({**named, **changes}).encode())
                    self.assertFalse(self.ours(f"{changed}.{payload}.{signature}"), (algorithm, changes))

    def test_signatures_of_another_curve_under_this_keys_name(self):
        """Truly signed, by a key of another curve or kind, that claims to be the one known here."""
        for claimed, real in (("ES256", "ES384"), ("ES384", "ES256"), ("ES512", "ES256"), ("RS256", "PS256"), ("PS256", "RS256"), ("EdDSA", "ES256")):
            request = {
                "keys": [{"kid": "x", "alg": real, "private_jwk": self.made["keys"][real.lower()]["private_jwk"]}],
                "tokens": [{"name": "x", "key": "x", "claims": tokens.claims(JOSE, "TAIPY_ADMIN"), "header": {"kid": claimed.lower()}}],
            }
            self.assertFalse(self.ours(node("make-tokens.mjs", request)["tokens"]["x"]), (claimed, real))

    def test_profiles_and_role_names(self):
        def token(typ, **claims):
            made = {**tokens.claims(AT_JWT, roles=None), **claims}
            request = {
                "keys": [{"kid": "es256", "alg": "ES256", "private_jwk": self.made["keys"]["es256"]["private_jwk"]}],
                "tokens": [{"name": "x", "key": "es256", "claims": made, "header": {"typ": typ}}],
            }
            return node("make-tokens.mjs", request)["tokens"]["x"]

        roles = {"realm_access": {"roles": ["bailiff-viewers", "other"]}, "scope": "openid bailiff-TAIPY_EDITOR"}
        answer = self.server.request("GET", "/api/v1/auth/me/", token=token("at+jwt", **roles))
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("TAIPY_READER", answer.json()["roles"])
        self.assertFalse(self.ours(token("JWT", **roles)))
        self.assertFalse(self.ours(token(None, **roles)))


if __name__ == "__main__":
    unittest.main()
