"""Tokens in the shapes that Keycloak, Entra ID, Okta, Auth0 and Google document, judged by the presets named after them.

    /usr/bin/python3 tests/e2e/presets_test.py [-v] [Class.test]
"""

import os
import shutil
import tempfile
import time
import unittest
import uuid

from lib import apps, tokens
from lib.server import Server

ME = "/api/v1/auth/me/"
TENANT = "7d3c0000-0000-4000-8000-00000000000a"
CLIENT = "6f1e0000-0000-4000-8000-00000000000b"
KEYCLOAK = "https://sso.example.com/realms/main"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OKTA = "https://example.okta.com/oauth2/default"
AUTH0 = "https://example.eu.auth0.com/"
GOOGLE = "https://accounts.google.com"
GOOGLE_CLIENT = "1234567890-abc.apps.googleusercontent.com"


def times(lifetime_s):
    now = int(time.time())
    return {"iat": now, "exp": now + lifetime_s}


def keycloak(**changes):
    return {
        **times(300), "auth_time": int(time.time()) - 60, "jti": "onrtac:" + str(uuid.uuid4()), "iss": KEYCLOAK, "aud": ["bailiff", "account"],
        "sub": "f3a1c0de-0000-4000-8000-00000000000c", "typ": "Bearer", "azp": "portal", "sid": str(uuid.uuid4()), "acr": "1",
        "allowed-origins": ["https://portal.example.com"],
        "realm_access": {"roles": ["default-roles-main", "offline_access", "uma_authorization", "analyst"]},
        "resource_access": {"bailiff": {"roles": ["planner"]}, "account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "openid email profile", "email_verified": True, "name": "Ann Example", "preferred_username": "ann", "email": "ann@example.com",
        **changes,
    }  # fmt: skip


def entra(**changes):
    made = times(4800)
    return {
        "aud": CLIENT, "iss": ENTRA, **made, "nbf": made["iat"], "aio": "AXQAi/8TAAAA", "azp": "0c1d0000-0000-4000-8000-00000000000d", "azpacr": "1",
        "name": "Ann Example", "oid": "f3a1c0de-0000-4000-8000-00000000000c", "preferred_username": "ann@example.com", "rh": "0.AAAA", "roles": ["Analyst"],
        "scp": "access_as_user", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": TENANT, "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0", **changes,
    }  # fmt: skip


def okta(**changes):
    return {
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": OKTA, "aud": "api://default", **times(3600),
        "cid": "0oabucvyc38HLL1ef0h7", "uid": "00uid4BxXw6I6TV4m0g3", "scp": ["openid", "profile"], "auth_time": int(time.time()) - 60,
        "sub": "ann@example.com", "groups": ["Everyone", "Analysts"], **changes,
    }  # fmt: skip


def auth0(**changes):
    return {
        "iss": AUTH0, "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": ["https://bailiff.example.com", AUTH0 + "userinfo"], **times(86400),
        "azp": "my_client_id", "scope": "openid profile", "permissions": ["read:all", "run:tasks"], **changes,
    }  # fmt: skip


def google(**changes):
    return {
        "iss": GOOGLE, "azp": GOOGLE_CLIENT, "aud": GOOGLE_CLIENT, "sub": "10769150350006150715113082367", "hd": "example.com", "email": "ann@example.com",
        "email_verified": True, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "name": "Ann Example", "picture": "https://lh3.googleusercontent.com/a/x",
        "given_name": "Ann", "family_name": "Example", **times(3600), **changes,
    }  # fmt: skip


class Presets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-presets-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.server = Server(apps.taipy(os.path.join(folder, "app")), {}, folder)
        cls.addClassCleanup(cls.server.remove)
        cls.addClassCleanup(cls.server.kill)
        key = {"pem_file": "rs-public.pem", "algorithm": "RS256"}  # instead of discovery: the providers are not here
        cls.server.settings["issuers"] += [
            {"preset": "keycloak", "issuer": KEYCLOAK, "audiences": ["bailiff"], "role_map": {"analyst": "TAIPY_READER", "planner": "TAIPY_EXECUTOR"}, **key},
            {"preset": "entra", "issuer": ENTRA, "audiences": [CLIENT], "role_map": {"Analyst": "TAIPY_READER"}, **key},
            {"preset": "okta", "issuer": OKTA, "audiences": ["api://default"], "role_map": {"Analysts": "TAIPY_READER"}, **key},
            {"preset": "auth0", "issuer": AUTH0, "audiences": ["https://bailiff.example.com"],
             "role_map": {"read:all": "TAIPY_READER", "run:tasks": "TAIPY_EXECUTOR"}, **key},
            {"preset": "google", "issuer": GOOGLE, "audiences": [GOOGLE_CLIENT], "role_map": {"example.com": "TAIPY_READER"}, **key},
        ]  # fmt: skip
        cls.server.write_config()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def me(self, claims, **header):
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.server.request("GET", ME, token=tokens.rs256(self.server.path("rs-key.pem"), claims, **header))

    def accepted(self, claims, roles, client=None, **header):
        answer = self.me(claims, **header)
        self.assertEqual(answer.status, 200, answer)
        me = answer.json()
        self.assertEqual((me["issuer"], me["subject"], me["client"], me["roles"]), (claims["iss"], claims["sub"], client, roles))

    def refused(self, claims, words, **header):
        answer = self.me(claims, **header)
        self.assertEqual(answer.status, 401, answer)
        self.assertIn(words, answer.headers["WWW-Authenticate"])

    def test_keycloak(self):
        self.accepted(keycloak(), ["TAIPY_EXECUTOR", "TAIPY_READER"], "portal")
        self.accepted(keycloak(resource_access=None), ["TAIPY_READER"], "portal")
        self.accepted(keycloak(realm_access=None, resource_access={"other": {"roles": ["planner"]}}), [], "portal")  # another client's roles
        self.refused(keycloak(typ="ID", aud="bailiff"), "A claim of the token")  # an ID token for this very client
        self.refused(keycloak(typ="Refresh"), "A claim of the token")
        self.refused(keycloak(aud="account"), "another audience")
        self.refused(keycloak(iss="https://sso.example.com/realms/other"), "not trusted")

    def test_entra(self):
        self.accepted(entra(), ["TAIPY_READER"], entra()["azp"])
        # of an application by itself: no scp, sub and oid are the same
        self.accepted(entra(scp=None, sub=entra()["oid"], idtyp="app"), ["TAIPY_READER"], entra()["azp"])
        self.refused(entra(ver="1.0"), "A claim of the token")
        self.refused(entra(iss=f"https://sts.windows.net/{TENANT}/", ver="1.0"), "not trusted")
        self.refused(entra(iss=ENTRA.replace(TENANT, CLIENT)), "not trusted")
        self.refused(entra(aud="00000003-0000-0000-c000-000000000000"), "another audience")  # for Microsoft Graph

    def test_okta(self):
        self.accepted(okta(), ["TAIPY_READER"], None, typ=None)
        self.accepted(okta(groups=["Everyone"]), [], None)
        self.refused(okta(aud="0oabucvyc38HLL1ef0h7"), "another audience")  # an ID token's: the client
        self.refused(okta(iss="https://example.okta.com"), "not trusted")  # the organization's own server

    def test_auth0(self):
        self.accepted(auth0(), ["TAIPY_EXECUTOR", "TAIPY_READER"], "my_client_id")
        # of an application by itself, and in RFC 9068's profile
        self.accepted(auth0(sub="my_client_id@clients", gty="client-credentials", aud="https://bailiff.example.com"), ["TAIPY_EXECUTOR", "TAIPY_READER"], "my_client_id")
        self.accepted(auth0(azp=None, client_id="my_client_id", jti="x"), ["TAIPY_EXECUTOR", "TAIPY_READER"], "my_client_id", typ="at+jwt")
        self.accepted(auth0(permissions=None), [], "my_client_id")  # RBAC is off
        self.refused(auth0(iss=AUTH0.rstrip("/")), "not trusted")
        self.refused(auth0(aud="my_client_id"), "another audience")  # an ID token

    def test_google(self):
        self.accepted(google(), ["TAIPY_READER"], GOOGLE_CLIENT)
        self.accepted(google(hd=None), [], GOOGLE_CLIENT)  # a private account
        self.accepted(google(hd="evil.example"), [], GOOGLE_CLIENT)
        self.refused(google(aud="other.apps.googleusercontent.com"), "another audience")
        self.refused(google(iss="accounts.google.com"), "not trusted")


if __name__ == "__main__":
    unittest.main()
