"""The contract's section "Common to every route", line by line.

    /usr/bin/python3 tests/e2e/common_test.py [-v] [Class.test]
"""

import json
import re
import socket
import ssl
import threading
import time
import unittest

from lib import tokens
from lib.client import send
from lib.server import ServerCase

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
KIB = 1024


class Raw:
    """A TLS connection of bytes."""

    def __init__(self, server, timeout_s=30):
        context = ssl.create_default_context(cafile=server.path("ca.pem"))
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")

    def exchange(self, data):
        """Sends, and reads until the server closes."""
        received = b""
        with self.socket:
            try:
                self.socket.sendall(data)
                while piece := self.socket.recv(65536):
                    received += piece
            except (ConnectionError, ssl.SSLError):
                pass  # closed on us: what came before counts
        return received


class Paths(ServerCase):
    def test_the_trailing_slash_is_optional_and_nothing_redirects(self):
        task = self.server.create("noop")
        for path in ("tasks", f"tasks/{task['id']}", "jobs", "datanodes", "configs", "auth/me"):
            bare = self.request("GET", "/api/v1/" + path)
            slash = self.request("GET", "/api/v1/" + path + "/")
            self.assertEqual((bare.status, slash.status), (200, 200), path)
            self.assertEqual(bare.json(), slash.json(), path)
        self.assertEqual(self.request("POST", "/api/v1/tasks?config_id=noop").status, 201)
        self.assertEqual(self.request("POST", f"/api/v1/tasks/submit/{task['id']}").status, 204)

    def test_unknown_paths(self):
        for path in ("/", "/api", "/api/v1/", "/api/v2/tasks/", "/api/v1/task/", "/api/v1/tasks/a/b/", "/API/v1/tasks/",
                     "/api/v1/tasks//", "//api/v1/tasks/", "/api/v1/./tasks/", "/api/v1/x/../tasks/", "/api/v1/tasks%2f",
                     "/api/v1/%74asks/", "/api/v1/tasks/%00/", "/api/v1/tasks/" + "a" * 2000 + "/"):
            self.problem(self.request("GET", path), 404)
            self.assertEqual(self.request("GET", path, None).status, 401, path)  # the whole chain, also there

    def test_wrong_methods(self):
        for method, path, allowed in [
            ("PUT", "/api/v1/tasks/", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("PATCH", "/api/v1/tasks/TASK_x/", {"GET", "HEAD", "DELETE", "OPTIONS"}),
            ("GET", "/api/v1/tasks/submit/TASK_x/", {"POST", "OPTIONS"}),
            ("DELETE", "/api/v1/jobs/", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("PATCH", "/api/v1/configs/", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/livez", {"GET", "HEAD", "OPTIONS"}),
        ]:
            answer = self.request(method, path)
            self.problem(answer, 405)
            self.assertEqual({m.strip() for m in answer.headers["Allow"].split(",")}, allowed, path)
            self.assertEqual(self.request(method, path, None).status, 401)

    def test_options(self):
        answer = self.request("OPTIONS", "/api/v1/tasks/")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual({m.strip() for m in answer.headers["Allow"].split(",")}, {"GET", "HEAD", "POST", "OPTIONS"})
        self.assertEqual(self.request("OPTIONS", "/api/v1/tasks/", None).status, 401)
        self.problem(self.request("OPTIONS", "/api/v1/nothing/"), 404)

    def test_head_is_get_without_a_body(self):
        task = self.server.create("noop")
        for path in ("/livez", "/api/v1/tasks/", "/api/v1/tasks/?limit=1", f"/api/v1/tasks/{task['id']}/", "/api/v1/tasks/TASK_x/",
                     "/api/v1/nothing/", "/api/v1/configs/"):
            get, head = self.request("GET", path), self.request("HEAD", path)
            self.assertEqual((head.status, head.body), (get.status, b""), path)
            for name in ("Content-Type", "ETag", "Cache-Control", "Link"):
                self.assertEqual(name in head.headers, name in get.headers, (path, name))
            if "Content-Length" in head.headers:
                self.assertEqual(head.headers["Content-Length"], get.headers["Content-Length"], path)
        self.assertEqual(self.request("HEAD", "/api/v1/tasks/", None).status, 401)

    def test_health_is_public_and_says_more_to_admins(self):
        self.assertEqual(self.request("GET", "/livez", None).json(), {"status": "ok"})
        self.assertEqual(self.request("GET", "/readyz", None).json(), {"status": "ready"})
        self.assertEqual(self.request("GET", "/readyz", "TAIPY_READER").json(), {"status": "ready"})
        details = self.request("GET", "/readyz", "TAIPY_ADMIN").json()
        self.assertEqual({check["check"]: check["status"] for check in details["checks"]}, {"store": "ok", "runner": "ok"})
        self.assertIn("same_user", " ".join(details["warnings"]))

    def test_who_am_i(self):
        body = self.request("GET", "/api/v1/auth/me/", "TAIPY_EDITOR").json()
        self.assertEqual((body["subject"], body["roles"]), ("test-taipy_editor", ["TAIPY_EDITOR"]))
        granted = {p["permission"]: p["granted_by"] for p in body["permissions"]}
        self.assertEqual(granted["tasks:create"], ["TAIPY_EDITOR"])
        self.assertNotIn("tasks:submit", granted)

    def test_configs(self):
        results = self.request("GET", "/api/v1/configs/", "TAIPY_READER").json()["results"]
        ids = {(config["kind"], config["id"]) for config in results}
        self.assertLessEqual({("task", "double"), ("data_node", "nb"), ("scenario", "calc")}, ids)


class Headers(ServerCase):
    def all_kinds(self):
        task = self.server.create("noop")
        yield self.request("GET", "/livez", None)
        yield self.request("GET", "/api/v1/tasks/")
        yield self.request("GET", f"/api/v1/tasks/{task['id']}/")
        yield self.request("POST", f"/api/v1/tasks/submit/{task['id']}/")
        yield self.request("GET", "/api/v1/tasks/", None)
        yield self.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER")
        yield self.request("GET", "/nothing")
        yield self.request("PUT", "/api/v1/tasks/")
        yield self.request("OPTIONS", "/api/v1/tasks/")
        yield self.request("GET", "/api/v1/tasks/?nope=1")
        yield self.request("POST", "/api/v1/tasks/?config_id=noop", body=b"x" * (70 * KIB), headers={"Content-Type": "application/json"})
        yield self.request("GET", "/api/v1/tasks/", None, headers={"Authorization": "Bearer " + "x" * 40000})

    def test_what_every_answer_carries(self):
        seen = set()
        for answer in self.all_kinds():
            self.assertRegex(answer.headers["X-Request-Id"], rf"\A{UUID7}\Z")
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff", answer)
            self.assertRegex(answer.headers["Strict-Transport-Security"] or "", r"max-age=\d{7,}", answer)
            if answer.body != b'{"status":"ok"}':
                self.assertEqual(answer.headers["Cache-Control"], "no-store", answer)
            seen.add(answer.headers["X-Request-Id"])
        self.assertEqual(len(seen), 12)

    def test_the_clients_request_id_is_echoed_not_taken(self):
        for good in ("abc", "!" * 128, "019a0000-0000-7000-8000-000000000000"):
            answer = self.request("GET", "/api/v1/tasks/", headers={"X-Request-Id": good})
            self.assertEqual(answer.headers["X-Client-Request-Id"], good)
            self.assertNotEqual(answer.headers["X-Request-Id"], good)
        for bad in ("", "a b", "x" * 129, "\u00e9"):
            answer = self.request("GET", "/api/v1/tasks/", headers={"X-Request-Id": bad.encode("latin-1")})
            self.assertEqual(answer.status, 200)
            self.assertNotIn("X-Client-Request-Id", answer.headers, bad)

    def test_traceparent_is_continued_into_the_log(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        self.request("GET", "/api/v1/configs/", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        deadline = time.monotonic() + 10
        while trace not in self.server.log() and time.monotonic() < deadline:
            time.sleep(0.05)
        lines = [json.loads(line) for line in self.server.log().splitlines() if trace in line]
        self.assertTrue(lines, "no log line has the trace id")
        self.assertIn(trace, lines[0].values())
        bad = "5bf92f3577b34da6a3ce929d0e0e473"
        self.assertEqual(self.request("GET", "/livez", headers={"traceparent": f"00-{bad}-00f067aa0ba902b7-01"}).status, 200)
        self.assertNotIn(bad, self.server.log())

    def test_problems_hold_no_secrets(self):
        for path in ("/api/v1/tasks/'; DROP TABLE task;--/", "/api/v1/tasks/?sort=../../etc/passwd", "/api/v1/tasks/?cursor=x&limit=5"):
            answer = self.request("GET", path.replace(" ", "%20"))
            text = answer.body.decode()
            for word in (self.server.folder, "sqlite", "SELECT", ".c:", "bailiff.db"):
                self.assertNotIn(word, text)


class Bodies(ServerCase):
    JSON = {"Content-Type": "application/json"}

    def post(self, body, headers=None):
        return self.request("POST", "/api/v1/tasks/?config_id=noop", body=body, headers=self.JSON if headers is None else headers)

    def test_types(self):
        for good in ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"'):
            self.assertEqual(self.post(b"{}", {"Content-Type": good}).status, 201, good)
        for bad in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonx", ""):
            self.problem(self.post(b"{}", {"Content-Type": bad}), 415)
        self.problem(self.post(b"{}", {}), 415)
        self.problem(self.post(b"{}", [("Content-Type", "application/json"), ("Content-Type", "text/plain")]), 415)

    def test_bad_json_says_where(self):
        body = self.problem(self.post(b'{"a": 1,\n "b": }'), 400, "line 2", "column 7")
        self.assertNotIn("jansson", body["detail"])
        for bad in (b"{", b"{}{}", b"\xff", b'{"a":1,"a":2}', b"[" * 5000, b'"\\u0000"', b"[]", b"NaN"):
            self.problem(self.post(bad), 400)

    def test_too_large(self):
        self.assertEqual(self.post(b'{"a":"' + b"x" * (60 * KIB) + b'"}').status, 201)
        self.problem(self.post(b"x" * (64 * KIB + 1)), 413)
        self.problem(self.request("DELETE", "/api/v1/tasks/TASK_x/", body=b"{}", headers=self.JSON), 413)
        self.problem(self.request("GET", "/api/v1/tasks/", body=b"{}", headers=self.JSON), 413)

    def test_a_flood_is_refused_at_its_head(self):
        head = (
            "POST /api/v1/tasks/?config_id=noop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.server.token()}\r\nContent-Length: {1 << 40}\r\n\r\n"
        )
        self.assertTrue(Raw(self.server).exchange(head.encode()).startswith(b"HTTP/1.1 413 "))

    def test_chunked_bodies(self):
        connection = self.server.client.connect()
        try:
            connection.request(
                "POST", "/api/v1/tasks/?config_id=noop", body=iter([b"{", b"}"]), encode_chunked=True,
                headers={"Authorization": "Bearer " + self.server.token(), "Transfer-Encoding": "chunked", **self.JSON},
            )
            self.assertEqual(connection.getresponse().status, 201)
        finally:
            connection.close()

    def test_malformed_requests_end_the_connection(self):
        good = f"Host: localhost\r\nAuthorization: Bearer {self.server.token()}\r\n"
        for text in (
            f"GET /livez HTTP/1.1\r\n{good}Host: other\r\n\r\n",
            f"GET /livez HTTP/1.1\r\nX: y\r\n\r\n",
            f"GET /livez HTTP/1.1\n{good}\n",
            f"GET /livez HTTP/1.1\r\n{good}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            f"GET /livez HTTP/1.1\r\n{good}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            f"GET /livez HTTP/1.1\r\n{good} folded: x\r\n\r\n",
            f"GET /livez HTTP/1.1\r\n{good}bad name: x\r\n\r\n",
            f"GET http://x/livez HTTP/1.1\r\n{good}\r\n",
            f"GET /livez HTTP/2.0\r\n{good}\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ):
            answer = Raw(self.server).exchange(text.encode())
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (text, answer))
            self.assertIn(b"application/problem+json", answer)


class Credentials(ServerCase):
    """RFC 6750 §3 and RFC 9728."""

    def challenge(self, answer):
        header = answer.headers["WWW-Authenticate"]
        self.assertTrue(header.startswith("Bearer realm="), header)
        return dict(re.findall(r'(\w+)="([^"]*)"', header))

    def test_none(self):
        answer = self.request("GET", "/api/v1/tasks/", None)
        self.problem(answer, 401)
        parameters = self.challenge(answer)
        self.assertEqual(set(parameters), {"realm", "resource_metadata"})
        self.assertTrue(parameters["realm"])
        url = parameters["resource_metadata"]
        self.assertEqual(url, f"https://localhost:{self.server.port}/.well-known/oauth-protected-resource/api/v1")
        metadata = self.request("GET", url[len(f"https://localhost:{self.server.port}"):], None)
        self.assertEqual(metadata.status, 200)
        self.assertEqual(metadata.json()["resource"], f"https://localhost:{self.server.port}/api/v1")
        self.assertIn(tokens.HS_ISSUER, metadata.json()["authorization_servers"])

    def test_another_scheme_is_none(self):
        for value in ("Basic dXNlcjpwdw==", "Digest x", "bearerx y"):
            answer = self.request("GET", "/api/v1/tasks/", None, headers={"Authorization": value})
            self.problem(answer, 401)
            self.assertNotIn("error", self.challenge(answer))

    def test_bad(self):
        for token in ("x", "a.b.c", self.server.hs_token(exp=int(time.time()) - 10)):
            answer = self.request("GET", "/api/v1/tasks/", token=token)
            self.problem(answer, 401)
            parameters = self.challenge(answer)
            self.assertEqual(parameters["error"], "invalid_token")
            self.assertTrue(parameters["error_description"])
            self.assertIn("resource_metadata", parameters)

    def test_malformed(self):
        token = self.server.token()
        for headers in (
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {token} {token}"},
            {"Authorization": f"Bearer {token},"},
            {"Authorization": 'Bearer "x"'},
            [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        ):
            answer = self.request("GET", "/api/v1/tasks/", None, headers=headers)
            self.problem(answer, 400)
            self.assertEqual(self.challenge(answer)["error"], "invalid_request", headers)

    def test_the_scheme_has_no_case(self):
        for scheme in ("bearer", "BEARER"):
            headers = {"Authorization": f"{scheme} {self.server.token()}"}
            self.assertEqual(self.request("GET", "/api/v1/tasks/", None, headers=headers).status, 200)

    def test_never_in_the_query_or_a_form(self):
        token = self.server.token()
        for path in (f"/api/v1/tasks/?access_token={token}", f"/api/v1/tasks/?token={token}"):
            self.problem(self.request("GET", path, None), 401)
        answer = self.request(
            "POST", "/api/v1/tasks/?config_id=noop", None, body=f"access_token={token}".encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        self.problem(answer, 401)
        self.assertNotIn(token, self.server.log())

    def test_forbidden_says_what_is_missing(self):
        answer = self.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER")
        body = self.problem(answer, 403)
        parameters = self.challenge(answer)
        self.assertEqual(parameters["error"], "insufficient_scope")
        self.assertEqual(body["permission"], "tasks:create")
        self.assertEqual(set(body["roles"]), {"TAIPY_EDITOR", "TAIPY_ADMIN"})
        (record,) = self.server.query("SELECT * FROM audit WHERE decision_id = ?", body["decision_id"])
        self.assertEqual((record["outcome"], record["status"], record["subject"]), ("refused", 403, "test-taipy_reader"))
        self.assertEqual(record["request_id"], answer.headers["X-Request-Id"])

    def test_first_who_then_whether_then_what(self):
        missing = "/api/v1/tasks/TASK_none/"
        self.problem(self.request("DELETE", missing, None), 401)
        self.problem(self.request("DELETE", missing, "TAIPY_READER"), 403)
        self.problem(self.request("DELETE", missing, "TAIPY_EDITOR"), 404)
        # and before the body is looked at
        headers = {"Content-Type": "text/plain"}
        self.problem(self.request("POST", "/api/v1/tasks/", None, body=b"x", headers=headers), 401)
        self.problem(self.request("POST", "/api/v1/tasks/", "TAIPY_READER", body=b"x", headers=headers), 403)
        self.problem(self.request("POST", "/api/v1/tasks/", "TAIPY_EDITOR", body=b"x", headers=headers), 415)


class Lists(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = [cls.server.create("noop")["id"] for _ in range(25)]
        cls.others = [cls.server.create(config)["id"] for config in ("double", "split", "double")]

    def results(self, query, path="/api/v1/tasks/"):
        answer = self.request("GET", path + query)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["results"]

    def ids_of(self, query):
        return [task["id"] for task in self.results(query)]

    def pages(self, query):
        """All ids, page by page, by the Link header and the body's `next` in turn."""
        path, found, pages = "/api/v1/tasks/" + query, [], 0
        while True:
            answer = self.request("GET", path)
            self.assertEqual(answer.status, 200, answer)
            body = answer.json()
            found += [task["id"] for task in body["results"]]
            pages += 1
            if body["next"] is None:
                self.assertNotIn("Link", answer.headers)
                return found, pages
            link = re.fullmatch(r"<https://localhost:\d+(/api/v1/tasks/\?[^>]*)>; rel=\"next\"", answer.headers["Link"])
            self.assertTrue(link, answer.headers["Link"])
            by_body = f"/api/v1/tasks/{query}&cursor={body['next']}"
            path = link[1] if pages % 2 else by_body

    def test_the_whole_list(self):
        self.assertEqual(self.ids_of("?config_id=noop"), self.ids)
        self.assertNotIn("next", self.request("GET", "/api/v1/tasks/").json())

    def test_pages(self):
        for limit in (1, 7, 24, 25, 26, 1000):
            found, pages = self.pages(f"?config_id=noop&limit={limit}")
            self.assertEqual(found, self.ids, limit)
            self.assertEqual(pages, -(-25 // limit), limit)  # an exact last page does not promise another

    def test_pages_in_every_order(self):
        whole = {task["id"]: task for task in self.results("")}
        for sort in ("created_at", "id", "config_id"):
            for sign in ("", "-"):
                unpaged = self.ids_of(f"?sort={sign}{sort}")
                paged, _ = self.pages(f"?sort={sign}{sort}&limit=4")
                self.assertEqual(paged, unpaged)
                self.assertEqual(sorted(paged), sorted(whole))
                keys = [whole[i][sort] for i in paged]
                self.assertEqual(keys, sorted(keys, reverse=sign == "-"))

    def test_filters(self):
        self.assertEqual(len(self.ids_of("?config_id=double")), 2)
        self.assertEqual(self.ids_of("?config_id=nope"), [])
        self.assertEqual(self.ids_of("?version=nope"), [])
        self.assertEqual(len(self.ids_of("?version=development")), 28)
        self.assertEqual(self.ids_of("?owner_id=SCENARIO_x"), [])
        times = [task["created_at"] for task in self.results("?config_id=noop")]
        self.assertEqual(len(self.ids_of(f"?config_id=noop&created_after={times[9]}")), sum(t > times[9] for t in times))
        self.assertEqual(len(self.ids_of(f"?config_id=noop&created_before={times[9]}")), sum(t < times[9] for t in times))
        self.assertEqual(self.ids_of("?created_after=2999-01-01T00:00:00Z"), [])

    def test_filters_of_jobs(self):
        task, job = self.server.run_task("double")
        listed = self.results(f"?task_id={task['id']}", "/api/v1/jobs/")
        self.assertEqual([j["id"] for j in listed], [job["id"]])
        self.assertEqual([j["id"] for j in self.results(f"?task_id={task['id']}&status=COMPLETED", "/api/v1/jobs/")], [job["id"]])
        self.assertEqual(self.results(f"?task_id={task['id']}&status=FAILED", "/api/v1/jobs/"), [])
        self.request("DELETE", f"/api/v1/tasks/{task['id']}/")

    def test_fields(self):
        for task in self.results("?config_id=noop&fields=id,created_by"):
            self.assertEqual(sorted(task), ["created_by", "id"])
        one = self.request("GET", f"/api/v1/tasks/{self.ids[0]}/?fields=config_id").json()
        self.assertEqual(one, {"task": {"config_id": "noop"}})

    def test_what_is_unknown_is_never_ignored(self):
        for query in (
            "?nope=1", "?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?limit=", "?limit=5&limit=6", "?sort=status", "?sort=",
            "?sort=--id", "?fields=nope", "?fields=id,", "?created_after=yesterday", "?created_before=2024-01-01", "?status=RUNNING",
            "?cursor=x", "?cursor=x&limit=5", "?config_id=%ff", "?config_id=%zz", "?config_id=a%00", "?LIMIT=5",
        ):
            self.problem(self.request("GET", "/api/v1/tasks/" + query), 400)
        for path in ("/api/v1/jobs/?status=running", "/api/v1/jobs/?status=", "/api/v1/configs/?x=1", "/api/v1/auth/me/?x=1",
                     f"/api/v1/tasks/{self.ids[0]}/?x=1", "/api/v1/datanodes/?task_id=x"):
            self.problem(self.request("GET", path), 400)
        for method, path in (("POST", "/api/v1/tasks/?config_id=noop&x=1"), ("POST", f"/api/v1/tasks/submit/{self.ids[0]}/?x=1"),
                             ("DELETE", f"/api/v1/tasks/{self.ids[0]}/?x=1"), ("POST", "/api/v1/tasks/?config_id=noop&config_id=noop")):
            self.problem(self.request(method, path), 400)

    def test_a_cursor_is_bound(self):
        cursor = self.request("GET", "/api/v1/tasks/?config_id=noop&limit=5").json()["next"]
        self.assertRegex(cursor, r"\A[A-Za-z0-9_-]+\Z")
        good = self.request("GET", f"/api/v1/tasks/?config_id=noop&limit=3&cursor={cursor}")  # another page size is no other list
        self.assertEqual([t["id"] for t in good.json()["results"]], self.ids[5:8])
        flipped = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
        for path in (
            f"/api/v1/tasks/?config_id=double&limit=5&cursor={cursor}",
            f"/api/v1/tasks/?limit=5&cursor={cursor}",
            f"/api/v1/tasks/?config_id=noop&limit=5&sort=-id&cursor={cursor}",
            f"/api/v1/jobs/?config_id=noop&limit=5&cursor={cursor}",
            f"/api/v1/tasks/?config_id=noop&limit=5&cursor={flipped}",
            f"/api/v1/tasks/?config_id=noop&limit=5&cursor={cursor[:-4]}",
            f"/api/v1/tasks/?config_id=noop&limit=5&cursor={cursor}AAAA",
        ):
            self.problem(self.request("GET", path), 400)

    def test_stable_under_writes(self):
        stop = threading.Event()
        failures = []

        def churn():
            try:
                while not stop.is_set():
                    task = self.server.create("noop")
                    self.server.request("DELETE", f"/api/v1/tasks/{task['id']}/", "TAIPY_EDITOR")
            except Exception as failure:  # noqa: BLE001: handed on below
                failures.append(failure)
            finally:
                self.server.client.close()

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for query in ("?limit=3", "?limit=3&sort=-created_at", "?limit=4&sort=id", "?limit=5&sort=-config_id", None):
                found = self.ids_of("") if query is None else self.pages(query)[0]
                self.assertEqual(len(found), len(set(found)), query)
                self.assertLessEqual(set(self.ids + self.others), set(found), query)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])


class Conditions(ServerCase):
    def test_etags(self):
        task = self.server.create("noop")
        path = f"/api/v1/tasks/{task['id']}/"
        etag = self.request("GET", path).headers["ETag"]
        self.assertRegex(etag, r'\A"[!#-~]+"\Z')
        self.assertEqual(self.request("GET", path).headers["ETag"], etag)
        for match in (etag, "W/" + etag, f'"x", {etag}', "*"):
            answer = self.request("GET", path, headers={"If-None-Match": match})
            self.assertEqual((answer.status, answer.body), (304, b""), match)
            self.assertEqual(answer.headers["ETag"], etag)
        for other in ('"x"', etag[:-2] + '"', etag.strip('"')):
            self.assertEqual(self.request("GET", path, headers={"If-None-Match": other}).status, 200, other)
        self.assertNotEqual(self.request("GET", path + "?fields=id").headers["ETag"], etag)

    def test_an_etag_changes_with_its_entity(self):
        task = self.server.create("unset_task")
        path = f"/api/v1/jobs/{self.server.submit(task)}/"
        before = self.request("GET", path).headers["ETag"]
        self.request("POST", path.replace("/jobs/", "/jobs/cancel/"))
        self.assertNotEqual(self.request("GET", path).headers["ETag"], before)
        self.assertEqual(self.request("GET", path, headers={"If-None-Match": before}).status, 200)

    def test_the_created_etag_is_the_read_one(self):
        created = self.request("POST", "/api/v1/tasks/?config_id=noop")
        read = self.request("GET", created.headers["Location"])
        self.assertEqual(created.headers["ETag"], read.headers["ETag"])

    def test_if_match_guards_delete(self):
        task = self.server.create("noop")
        path = f"/api/v1/tasks/{task['id']}/"
        etag = self.request("GET", path).headers["ETag"]
        for wrong in ('"x"', "W/" + etag, "", "x"):  # a weak tag never matches here
            answer = self.request("DELETE", path, headers={"If-Match": wrong})
            self.problem(answer, 412)
        self.assertEqual(self.request("GET", path).status, 200)
        self.assertEqual(self.request("DELETE", path, headers={"If-Match": f'"x", {etag}'}).status, 200)
        task = self.server.create("noop")
        self.assertEqual(self.request("DELETE", f"/api/v1/tasks/{task['id']}/", headers={"If-Match": "*"}).status, 200)


class Idempotency(ServerCase):
    def create(self, key, config_id="noop", role="TAIPY_EDITOR", **options):
        headers = {"Idempotency-Key": key} if isinstance(key, str) else key
        return self.request("POST", f"/api/v1/tasks/?config_id={config_id}", role, headers=headers, **options)

    def count(self, config_id):
        return len(self.request("GET", f"/api/v1/tasks/?config_id={config_id}").json()["results"])

    def test_a_repeat_gives_the_first_answer(self):
        before = self.count("split")
        first = self.create('"key-1"', "split")
        self.assertEqual(first.status, 201)
        self.assertNotIn("Idempotency-Replayed", first.headers)
        for spelling in ('"key-1"', "key-1"):
            again = self.create(spelling, "split")
            self.assertEqual((again.status, again.body), (201, first.body))
            self.assertEqual(again.headers["Idempotency-Replayed"], "true")
            self.assertEqual(again.headers["Location"], first.headers["Location"])
            self.assertNotEqual(again.headers["X-Request-Id"], first.headers["X-Request-Id"])
        self.assertEqual(self.count("split"), before + 1)

    def test_the_same_key_with_another_request(self):
        self.assertEqual(self.create("key-2").status, 201)
        self.problem(self.create("key-2", "double"), 422)
        self.problem(self.create("key-2", json_body={"x": 1}), 422)

    def test_a_key_is_bound_to_caller_and_path(self):
        first = self.create("key-3")
        other = self.create("key-3", role="TAIPY_ADMIN")
        self.assertEqual((first.status, other.status), (201, 201))
        self.assertNotEqual(first.json()["task"]["id"], other.json()["task"]["id"])
        self.assertNotIn("Idempotency-Replayed", other.headers)
        submit = f"/api/v1/tasks/submit/{first.json()['task']['id']}/"
        answers = [self.request("POST", submit, headers={"Idempotency-Key": "key-3"}) for _ in range(2)]
        self.assertEqual([a.status for a in answers], [204, 204])
        self.assertEqual(answers[0].headers["Location"], answers[1].headers["Location"])
        self.assertEqual(answers[1].headers["Idempotency-Replayed"], "true")
        jobs = self.request("GET", f"/api/v1/jobs/?task_id={first.json()['task']['id']}").json()["results"]
        self.assertEqual(len(jobs), 1)

    def test_bad_keys(self):
        for key in ("", '""', "x" * 256, '"' + "x" * 256 + '"', '"unclosed', "a b"):
            self.problem(self.create(key), 400)
        self.problem(self.create([("Idempotency-Key", "a"), ("Idempotency-Key", "b")]), 400)
        self.assertEqual(self.create("x" * 255).status, 201)

    def test_refusals_are_not_kept(self):
        reader = self.server.hs_token("TAIPY_READER", sub="changing")
        editor = self.server.hs_token("TAIPY_EDITOR", sub="changing")
        headers = {"Idempotency-Key": "key-4"}
        path = "/api/v1/tasks/?config_id=noop"
        self.problem(self.request("POST", path, token=reader, headers=headers), 403)
        answer = self.request("POST", path, token=editor, headers=headers)
        self.assertEqual(answer.status, 201)
        self.assertNotIn("Idempotency-Replayed", answer.headers)
        # and who may no more does not get what is kept
        self.problem(self.request("POST", path, token=reader, headers=headers), 403)

    def test_at_the_same_time(self):
        before, answers = self.count("gtask"), []

        def create():
            try:
                answers.append(self.create("key-5", "gtask"))
            finally:
                self.server.client.close()

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 8)
        self.assertLessEqual({a.status for a in answers}, {201, 409})
        ids = {a.json()["task"]["id"] for a in answers if a.status == 201}
        self.assertEqual(len(ids), 1)
        self.assertEqual(self.count("gtask"), before + 1)

    def test_only_posts_take_part(self):
        task = self.server.create("noop")
        headers = {"Idempotency-Key": "key-6"}
        for _ in range(2):
            answer = self.request("GET", f"/api/v1/tasks/{task['id']}/", headers=headers)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("Idempotency-Replayed", answer.headers)


class Cors(ServerCase):
    settings = {"cors": {"origins": ["https://portal.example.com"]}}
    GOOD = "https://portal.example.com"

    def test_preflight_needs_no_token(self):
        headers = {"Origin": self.GOOD, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        answer = self.request("OPTIONS", "/api/v1/tasks/", None, headers=headers)
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], self.GOOD)
        self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
        self.assertIn("authorization", answer.headers["Access-Control-Allow-Headers"].lower())
        self.assertIn("Origin", answer.headers["Vary"])

    def test_other_origins_get_nothing(self):
        for origin in ("https://evil.example.com", "https://portal.example.com.evil.com", "null", "http://portal.example.com"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = self.request("OPTIONS", "/api/v1/tasks/", None, headers=headers)
            self.assertEqual(answer.status, 401)
            answer = self.request("GET", "/api/v1/tasks/", headers={"Origin": origin})
            self.assertEqual(answer.status, 200)
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
            self.assertIn("Origin", answer.headers["Vary"])

    def test_answers_and_errors(self):
        for role, status in (("TAIPY_READER", 200), (None, 401)):
            answer = self.request("GET", "/api/v1/tasks/", role, headers={"Origin": self.GOOD})
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], self.GOOD)
            self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)
            self.assertIn("X-Request-Id", answer.headers["Access-Control-Expose-Headers"])


class NoCors(ServerCase):
    def test_off_by_default(self):
        answer = self.request("GET", "/api/v1/tasks/", headers={"Origin": "https://portal.example.com"})
        self.assertFalse([name for name in answer.headers if name.lower().startswith("access-control")])


class AddressLimits(ServerCase):
    settings = {"limits": {"address": {"requests_per_second": 5, "burst": 20}}}

    def test_too_many(self):
        statuses = []
        for _ in range(60):
            answer = self.request("GET", "/api/v1/tasks/", None)  # before any credentials are looked at
            statuses.append(answer.status)
            if answer.status == 429:
                self.problem(answer, 429)
                self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
                break
        self.assertEqual(set(statuses), {401, 429})
        self.assertGreaterEqual(len(statuses), 5)


class SubjectLimits(ServerCase):
    settings = {"limits": {"subject": {"requests_per_second": 5, "burst": 10}}}

    def test_too_many_of_one_subject(self):
        for _ in range(60):
            answer = self.request("GET", "/api/v1/auth/me/", "TAIPY_READER")
            if answer.status == 429:
                break
        self.problem(answer, 429)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertEqual(self.request("GET", "/api/v1/auth/me/", "TAIPY_EDITOR").status, 200)  # others are not hindered
        other_issuer = self.server.hs_token("TAIPY_READER", sub="test-taipy_reader")
        self.assertEqual(self.request("GET", "/api/v1/auth/me/", token=other_issuer).status, 200)


class KeepAlive(ServerCase):
    def test_one_connection_serves_many(self):
        connection = self.server.client.connect()
        try:
            for _ in range(50):
                answer = send(connection, "GET", "/api/v1/tasks/", self.server.token())
                self.assertEqual(answer.status, 200)
                answer = send(connection, "POST", "/api/v1/tasks/", self.server.token())
                self.assertEqual(answer.status, 400)  # an error is no reason to hang up
            self.assertIsNotNone(connection.sock)
        finally:
            connection.close()

    def test_pipelined_requests_are_answered_in_order(self):
        request = f"GET /api/v1/auth/me/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.server.token()}\r\n"
        received = Raw(self.server).exchange((request + "\r\n" + request + "\r\n" + request + "Connection: close\r\n\r\n").encode())
        self.assertEqual(received.count(b"HTTP/1.1 200 "), 3)

    def test_tls(self):
        for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_1, False)):
            context = ssl.create_default_context(cafile=self.server.path("ca.pem"))
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(["h2", "http/1.1"])
            with socket.create_connection(("127.0.0.1", self.server.port)) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="localhost") as tls:
                        self.assertTrue(good, version)
                        self.assertEqual(tls.selected_alpn_protocol(), "http/1.1")  # HTTP/2 is not for strangers
                        if version == ssl.TLSVersion.TLSv1_2:
                            name = tls.cipher()[0]
                            self.assertIn("ECDHE", name)
                            self.assertRegex(name, "GCM|CHACHA20")
                except (ssl.SSLError, ConnectionError):
                    self.assertFalse(good, version)

    def test_plain_http_is_not_answered(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                self.assertNotIn(b"200", plain.recv(4096))
            except ConnectionError:
                pass


if __name__ == "__main__":
    unittest.main()
