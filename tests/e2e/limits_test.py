"""The limits on head and body are the operator's to lower."""

import unittest

from lib.server import ServerCase

JSON = {"Content-Type": "application/json"}


class Limits(ServerCase):
    settings = {"limits": {"head": "2KiB", "body": "4KiB"}}

    def create(self, headers, body=None):
        return self.request("POST", "/api/v1/tasks/?config_id=double", headers=headers, body=body)

    def test_a_head_over_the_limit(self):
        self.assertEqual(self.create({"X-Filler": "a" * 500}).status, 201)
        self.assertEqual(self.create({"X-Filler": "a" * 3000}).status, 431)

    def test_a_body_over_the_limit(self):
        self.assertEqual(self.create(JSON, b'{"a": "' + b"b" * 3000 + b'"}').status, 201)
        self.assertEqual(self.create(JSON, b'{"a": "' + b"b" * 5000 + b'"}').status, 413)


if __name__ == "__main__":
    unittest.main()
