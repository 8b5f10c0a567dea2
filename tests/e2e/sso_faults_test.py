"""OpenID providers that misbehave, are slow, take keys back, go away and come late: what is known goes on, and nobody else notices.

    /usr/bin/python3 tests/e2e/sso_faults_test.py [-v] [Class.test]
"""

import time
import unittest

from lib.provider import wait_for_keys
from lib.server import wait_until
from sso_test import SsoCase, with_header


class Trouble(SsoCase):
    fetching = {"keys_refetch_interval": "1s", "keys_refresh_max": "1s", "keys_stale_max": "40s"}

    def test_a_provider_that_misbehaves(self):
        provider, other = self.providers
        for mode, word in (("garbage", "JSON"), ("redirect", "redirect"), ("huge", "larger"), ("error", "500")):
            with self.subTest(mode):
                token = provider.client_credentials()
                self.assertEqual(self.me(token).status, 200)
                provider.mode(mode)
                wait_until(lambda w=word: w in (self.check_of(provider)["reason"] or ""), f"/readyz tells of {mode}", 20)
                self.assertEqual(self.server.request("GET", "/readyz", None).status, 200)
                self.assertEqual(self.me(token).status, 200)  # the keys are kept
                self.assertEqual(self.me(other.client_credentials()).status, 200)
                provider.mode("ok")
                wait_for_keys(self.server, provider.issuer)

    def test_a_slow_provider_holds_up_nobody_else(self):
        provider, other = self.providers
        provider.mode("slow")
        try:
            time.sleep(2)  # it is being asked, and does not answer
            other.rotate(keep=False)
            started = time.monotonic()
            self.assertEqual(self.me(other.client_credentials()).status, 200)
            self.assertEqual(self.me(with_header(provider.client_credentials(), kid="unknown")).status, 401)
            self.assertLess(time.monotonic() - started, 8)
        finally:
            provider.mode("ok")
        wait_for_keys(self.server, provider.issuer, 60)

    def test_down_beyond_the_bound(self):
        provider, other = self.providers
        token = provider.client_credentials()
        self.assertEqual(self.me(token).status, 200)
        wait_for_keys(self.server, provider.issuer, 60)  # they were fetched a moment ago
        provider.stop()
        try:
            time.sleep(4)
            self.assertEqual(self.me(token).status, 200)
            self.server.kill()  # what is kept on disk must do
            self.server.start()
            self.assertEqual(self.me(token).status, 200)
            wait_until(lambda: self.me(token).status == 401, "its keys are too old", 60)
            check = self.check_of(provider)
            self.assertEqual((check["status"], check["usable"]), ("failed", False))
            self.assertEqual(self.me(other.client_credentials()).status, 200)
        finally:
            provider.start()
        wait_until(lambda: self.me(provider.client_credentials()).status == 200, "the provider is believed again", 60)


class TakenBack(SsoCase):
    fetching = {"keys_refetch_interval": "30s", "keys_refresh_max": "2s"}

    def test_a_key_is_refused_though_nobody_shows_another(self):
        provider = self.providers[0]
        token = provider.client_credentials()
        self.assertEqual(self.me(token).status, 200)
        provider.rotate(keep=False)
        wait_until(lambda: self.me(token).status == 401, "the key is not published any more", 20)
        self.assertEqual(self.me(provider.client_credentials()).status, 200)


class LateProviders(SsoCase):
    start_first = False

    def test_a_server_that_starts_first(self):
        provider = self.providers[0]
        self.assertFalse(self.check_of(provider)["usable"])
        provider.start()
        wait_until(lambda: self.me(provider.client_credentials()).status == 200, "its tokens are taken", 30)


if __name__ == "__main__":
    unittest.main()
