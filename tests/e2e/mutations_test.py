"""Mutations of a valid token (RFC 8725 and beyond): each has a signature as good as it can be, and none is let in or does harm.

    /usr/bin/python3 tests/e2e/mutations_test.py [-v] [Class.test]
"""

import base64
import hashlib
import hmac
import json
import re
import unittest

from lib import tokens
from lib.server import ServerCase

ME = "/api/v1/auth/me/"
TOO_LARGE = 12000  # beyond this the head as a whole may be refused first


def b64(data):
    return tokens.b64(data if isinstance(data, bytes) else data.encode())


class Mutations(ServerCase):
    def sign(self, header, payload, digest=hashlib.sha256):
        """A token of any bytes, signed by the HS256 issuer's secret."""
        signed = b64(header) + "." + b64(payload)
        return signed + "." + b64(hmac.new(self.server.secret, signed.encode(), digest).digest())

    def header(self, **changes):
        return json.dumps({key: value for key, value in {"alg": "HS256", "typ": "JWT", **changes}.items() if value is not ...})

    def claims(self, **changes):
        return json.dumps({key: value for key, value in {**tokens.claims(), **changes}.items() if value is not ...})

    def refused(self, cases):
        for name, token in cases.items():
            with self.subTest(name):
                answer = self.request("GET", ME, token=token)
                if len(token) > TOO_LARGE:
                    self.assertIn(answer.status, (401, 431))
                    continue
                self.assertEqual(answer.status, 401, f"{name}: {token[:200]}")
                challenge = dict(re.findall(r'(\w+)="([^"\\]*)"', answer.headers["WWW-Authenticate"]))
                self.assertEqual(challenge["error"], "invalid_token")
                self.assertTrue(challenge["error_description"])

    def test_the_token_itself_is_good(self):
        self.assertEqual(self.request("GET", ME, token=self.sign(self.header(), self.claims())).status, 200)

    def test_headers(self):
        bad = {
            "alg none": {"alg": "none"}, "alg None": {"alg": "None"}, "alg empty": {"alg": ""}, "alg missing": {"alg": ...},
            "alg number": {"alg": 256}, "alg list": {"alg": ["HS256"]}, "alg lower": {"alg": "hs256"}, "alg blank": {"alg": "HS256 "},
            "alg HS512": {"alg": "HS512"}, "alg RS256": {"alg": "RS256"}, "alg ES256": {"alg": "ES256"}, "alg EdDSA": {"alg": "EdDSA"},
            "crit": {"crit": ["exp"], "exp": 1}, "crit empty": {"crit": []}, "crit string": {"crit": "exp"},
            "b64 with crit": {"crit": ["b64"], "b64": False}, "b64 true with crit": {"crit": ["b64"], "b64": True},
            "b64": {"b64": False}, "b64 true": {"b64": True},
            "jku": {"jku": "https://evil.example.com/keys"}, "x5u": {"x5u": "https://evil.example.com/x.pem"},
            "jwk": {"jwk": {"kty": "oct", "k": tokens.b64(b"x" * 32)}}, "x5c": {"x5c": ["MIIB"]},
            "typ": {"typ": "dpop+jwt"}, "typ number": {"typ": 1}, "typ refresh": {"typ": "rt+jwt"},
            "kid number": {"kid": 1}, "kid object": {"kid": {}}, "kid NUL": {"kid": "a\0b"},
            "cty": {"cty": "JWT", "enc": "A128GCM"}, "zip": {"zip": "DEF"},
        }
        cases = {name: self.sign(self.header(**changes), self.claims()) for name, changes in bad.items()}
        # members that are harmless may be let in by others; ours must then at least not fail
        for name in ("cty", "zip", "x5c", "b64 true"):
            answer = self.request("GET", ME, token=cases.pop(name))
            self.assertIn(answer.status, (200, 401), name)
        self.refused(cases)

    def test_headers_as_bytes(self):
        good = self.claims()
        self.refused({
            name: self.sign(header, good)
            for name, header in {
                "a member twice": '{"alg":"HS256","alg":"HS256"}', "alg twice": '{"alg":"none","alg":"HS256"}',
                "a member twice, escaped": '{"alg":"HS256","\\u0061lg":"none"}', "a list": '["HS256"]', "a string": '"HS256"', "empty": "",
                "blank": " ", "null": "null", "behind it": '{"alg":"HS256"}x', "two": '{"alg":"HS256"}{"alg":"HS256"}',
                "BOM": b'\xef\xbb\xbf{"alg":"HS256"}', "UTF-16": '{"alg":"HS256"}'.encode("utf-16"), "no UTF-8": b'{"alg":"HS256","x":"\xff"}',
                "NUL": b'{"alg":"HS256"}\0', "comment": '{"alg":"HS256"/*x*/}', "comma": '{"alg":"HS256",}', "quotes": "{'alg':'HS256'}",
                "deep": '{"alg":"HS256","x":' + "[" * 500 + "]" * 500 + "}",
                "surrogate": '{"alg":"HS256","x":"\\ud800"}',
            }.items()
        })

    def test_claims(self):
        bad = {
            "exp string": {"exp": str(10**10)}, "exp bool": {"exp": True}, "exp null": {"exp": None}, "exp list": {"exp": [10**10]},
            "exp object": {"exp": {}}, "exp negative": {"exp": -1}, "exp zero": {"exp": 0}, "exp missing": {"exp": ...},
            "exp far": {"exp": 10**18}, "nbf string": {"nbf": "0"}, "nbf later": {"nbf": 10**10}, "iat string": {"iat": "0"},
            "iat later": {"iat": 10**10}, "iat missing, exp far": {"iat": ..., "exp": 10**10},
            "aud missing": {"aud": ...}, "aud number": {"aud": 1}, "aud empty": {"aud": []}, "aud other": {"aud": ["x", "y"]},
            "aud nested": {"aud": [[tokens.AUDIENCE]]}, "aud object": {"aud": {tokens.AUDIENCE: 1}}, "aud mixed": {"aud": [tokens.AUDIENCE, 1]},
            "aud prefix": {"aud": tokens.AUDIENCE + "x"}, "aud case": {"aud": tokens.AUDIENCE.upper()}, "aud blank": {"aud": tokens.AUDIENCE + " "},
            "iss missing": {"iss": ...}, "iss list": {"iss": [tokens.HS_ISSUER]}, "iss slash": {"iss": tokens.HS_ISSUER + "/"},
            "iss case": {"iss": tokens.HS_ISSUER.upper()}, "iss of another key": {"iss": tokens.RS_ISSUER},
            "sub missing": {"sub": ...}, "sub empty": {"sub": ""}, "sub number": {"sub": 1}, "sub long": {"sub": "x" * 257},
            "sub NUL": {"sub": "root\0"}, "sub newline": {"sub": "a\nb"}, "sub C1": {"sub": "a\u0085b"},
            "jti number": {"jti": 1}, "jti NUL": {"jti": "a\0"}, "client": {"client_id": ["x"]}, "azp": {"azp": {}},
            "roles object": {"roles": {"TAIPY_ADMIN": True}}, "roles number": {"roles": 1}, "roles mixed": {"roles": ["TAIPY_ADMIN", 1]},
            "too many roles": {"roles": [f"r{n}" for n in range(65)]},
            "cnf": {"cnf": {"jkt": "x"}}, "cnf x5t": {"cnf": {"x5t#S256": "x"}}, "cnf empty": {"cnf": {}}, "cnf null": {"cnf": None},
        }
        self.refused({name: self.sign(self.header(), self.claims(**changes)) for name, changes in bad.items()})

    def test_claims_as_bytes(self):
        good = self.claims()
        inner = good[1:-1]
        bad = {
            "a claim twice": "{" + inner + ',"sub":"root"}', "exp twice": "{" + inner + ',"exp":99999999999}',
            "twice, escaped": "{" + inner + ',"s\\u0075b":"root"}', "nested twice": "{" + inner + ',"x":{"a":1,"a":2}}',
            "lone surrogate": "{" + inner + ',"x":"\\ud800"}', "reversed surrogates": "{" + inner + ',"x":"\\udc00\\ud800"}',
            "surrogate in a name": "{" + inner + ',"\\ud800":1}', "NUL in a name": "{" + inner + ',"a\\u0000b":1}',
            "raw surrogate": b"{" + inner.encode() + b',"x":"\xed\xa0\x80"}', "overlong": b"{" + inner.encode() + b',"x":"\xc0\x80"}',
            "1e400": re.sub(r'"exp": \d+', '"exp": 1e400', good), "1e308": re.sub(r'"exp": \d+', '"exp": 1e308', good),
            "digits": re.sub(r'"exp": \d+', '"exp": ' + "9" * 400, good), "NaN": re.sub(r'"exp": \d+', '"exp": NaN', good),
            "Infinity": re.sub(r'"exp": \d+', '"exp": Infinity', good), "-0.0": re.sub(r'"exp": \d+', '"exp": -0.0', good),
            "hex": re.sub(r'"exp": \d+', '"exp": 0xffffffff', good), "zero in front": re.sub(r'"exp": (\d+)', r'"exp": 0\1', good),
            "huge elsewhere": "{" + inner + ',"x":1e999}', "list": "[" + good + "]", "string": json.dumps(good), "empty": "", "null": "null",
            "behind it": good + "x", "two": good + good, "NUL behind": good.encode() + b"\0", "BOM": b"\xef\xbb\xbf" + good.encode(),
            "UTF-16": good.encode("utf-16"), "UTF-32": good.encode("utf-32"), "not closed": good[:-1], "comma": good[:-1] + ",}",
            "100 deep": "{" + inner + ',"x":' + "[" * 100 + "]" * 100 + "}",
            "3,000 deep": "{" + inner + ',"x":' + "[" * 3000 + "]" * 3000 + "}",
            "10,000 deep": "{" + inner + ',"x":' + "[" * 10000 + "]" * 10000 + "}",
            "10,000 open": "[" * 8000, "objects": '{"a":' * 1500 + "1" + "}" * 1500,
        }
        self.refused({name: self.sign(self.header(), payload) for name, payload in bad.items()})

    def test_forms(self):
        token = self.sign(self.header(), self.claims())
        header, payload, signature = token.split(".")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        odd = last[last.index(signature[-1]) ^ 1]  # 32 bytes leave two bits unused, which must be zero
        cases = {
            "one part": header, "two parts": f"{header}.{payload}", "four parts": token + ".x", "five parts": token + ".x.y",
            "no signature": f"{header}.{payload}.", "no header": f".{payload}.{signature}", "no payload": f"{header}..{signature}",
            "shorter": token[:-1], "longer": token + "A", "unused bits": token[:-1] + odd, "swapped": f"{payload}.{header}.{signature}",
            "another signature": f"{header}.{payload}." + b64(hmac.new(b"x" * 48, f"{header}.{payload}".encode(), hashlib.sha256).digest()),
            "HS512 under HS256": self.sign(self.header(), self.claims(), hashlib.sha512),
            "JWE": ".".join([b64(json.dumps({"alg": "dir", "enc": "A128GCM"})), "", b64(b"x" * 12), b64(b"y" * 32), b64(b"z" * 16)]),
            "JSON serialization": b64(json.dumps({"payload": payload, "protected": header, "signature": signature})),
            "nested": self.sign(self.header(cty="JWT"), json.dumps(token)), "dots": "..", "a dot": ".", "x": "x",
            "signature of zeros": f"{header}.{payload}." + b64(b"\0" * 32), "standard base64": token.replace("-", "+").replace("_", "/") + "+",
            "padded": f"{header}.{payload}.{signature}=", "16 KB": token + "A" * 16384, "half of it": token[: len(token) // 2],
        }
        self.refused(cases)

    def test_algorithm_confusion(self):
        with open(self.server.path("rs-public.pem"), "rb") as file:
            public = file.read()
        claims = json.dumps(tokens.claims(tokens.RS_ISSUER))
        der = base64.b64decode(b"".join(public.splitlines()[1:-1]))
        cases = {}
        for algorithm, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):
            for name, secret in (("PEM", public), ("PEM without its end", public.rstrip()), ("DER", der), ("nothing", b"")):
                signed = b64(json.dumps({"alg": algorithm, "typ": "JWT"})) + "." + b64(claims)
                cases[f"{algorithm} with the public key as {name}"] = signed + "." + b64(hmac.new(secret, signed.encode(), digest).digest())
        good = tokens.rs256(self.server.path("rs-key.pem"), tokens.claims(tokens.RS_ISSUER))
        self.assertEqual(self.request("GET", ME, token=good).status, 200)
        payload, signature = good.split(".")[1:]
        for algorithm in ("RS384", "RS512", "PS256", "PS384", "ES256", "ES512", "EdDSA", "none", "HS256"):
            cases[f"RS256 called {algorithm}"] = f"{b64(json.dumps({'alg': algorithm, 'typ': 'JWT'}))}.{payload}.{signature}"
        raw = tokens.unb64(signature)
        cases["a zero in front"] = good.rpartition(".")[0] + "." + b64(b"\0" + raw)
        cases["a byte short"] = good.rpartition(".")[0] + "." + b64(raw[:-1])
        cases["ones"] = good.rpartition(".")[0] + "." + b64(b"\xff" * len(raw))
        self.refused(cases)

    def test_nothing_was_logged_of_them(self):
        secret = "sub-that-must-not-be-logged"
        self.refused({"a forged one": self.sign(self.header(alg="none"), self.claims(sub=secret))})
        self.assertNotIn(secret, self.server.log())


if __name__ == "__main__":
    unittest.main()
