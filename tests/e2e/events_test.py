"""Streams of events: complete, in order, without gap or doublet, whatever happens to connection and server.

    /usr/bin/python3 tests/e2e/events_test.py [-v] [Class.test]
"""

import http.client
import os
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
import unittest

from lib import apps
from lib.events import Ended, EventStream
from lib.server import ISSUER, Server, ServerCase, wait_until

ALL = "/api/v1/events/"
MEMBERS = ["job_id", "status", "attempt", "cancel_requested", "task_id", "task_config_id", "submission_id", "submission_status", "time"]
RAN = [("PENDING", "PENDING"), ("RUNNING", "RUNNING"), ("COMPLETED", "COMPLETED")]


def path_of(job_id):
    return f"/api/v1/jobs/{job_id}/events/"


def insert_events(server, job_id, count):
    """Beside the server, as if so many had happened to the job."""
    connection = sqlite3.connect(server.path("data", "bailiff.db"), timeout=30)
    with connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO event (job_seq, time, status,"
            " attempt, cancel_requested) SELECT job.seq, ?, 'RUNNING', 1, 0 FROM n, job WHERE job.id = ?",
            (count, int(time.time() * 1000), job_id),
        )
    connection.close()


def statuses(events):
    return [(event.data["status"], event.data["submission_status"]) for event in events]


class EventCase(ServerCase):
    settings = {"events": {"heartbeat": "1s"}}

    def stream(self, path=ALL, **options):
        stream = EventStream(self.server, path, **options)
        self.addCleanup(stream.close)
        return stream

    def run_noop(self):
        return self.server.run_task("noop")[1]


class OfOneJob(EventCase):
    def test_of_a_job_that_has_ended(self):
        task, job = self.server.run_task("double")
        stream = self.stream(path_of(job["id"]))
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.answer.headers["Content-Type"], "text/event-stream")
        self.assertEqual(stream.answer.headers["Cache-Control"], "no-store")
        events = stream.rest()
        self.assertEqual(statuses(events), RAN)
        self.assertGreater(stream.retry, 0)
        for event in events:
            self.assertEqual(list(event.data), MEMBERS)
            self.assertEqual((event.kind, event.data["job_id"], event.data["task_id"]), ("message", job["id"], task["id"]))
            self.assertEqual((event.data["submission_id"], event.data["task_config_id"]), (job["submission_id"], "double"))
        self.assertEqual([event.data["attempt"] for event in events], [0, 1, 1])
        self.assertEqual([event.data["time"] for event in events], [job["creation_date"], job["started_at"], job["ended_at"]])
        ids = [int(event.id) for event in events]
        self.assertEqual(ids, sorted(set(ids)))
        # behind each one: the rest; behind the last: nothing ever again
        for n, event in enumerate(events[:-1]):
            self.assertEqual(statuses(self.stream(path_of(job["id"]), last_id=event.id).rest()), RAN[n + 1 :])
        self.assertEqual(self.stream(path_of(job["id"]), last_id=events[-1].id).status, 204)

    def test_of_a_job_that_runs(self):
        task = self.server.create("gated")
        job_id = self.server.submit(task)
        stream = self.stream(path_of(job_id))
        self.assertEqual(statuses(stream.take(2)), RAN[:2])
        self.assertEqual(self.request("POST", f"/api/v1/jobs/cancel/{job_id}/", "TAIPY_EXECUTOR").status, 202)
        asked, canceled = stream.take(2)
        self.assertEqual((asked.data["status"], asked.data["cancel_requested"]), ("RUNNING", True))
        self.assertEqual((canceled.data["status"], canceled.data["submission_status"]), ("CANCELED", "CANCELED"))
        with self.assertRaises(Ended):
            stream.next()

    def test_of_a_job_that_was_made(self):
        job = self.request("POST", "/api/v1/jobs/?task_id=noop").json()["job"]
        stream = self.stream(path_of(job["id"]))
        self.assertEqual(statuses([stream.next()]), [("SUBMITTED", "SUBMITTED")])
        self.assertEqual(self.request("POST", f"/api/v1/jobs/submit/{job['id']}/").status, 204)
        self.assertEqual(statuses(stream.rest()), RAN)

    def test_of_a_deleted_job(self):
        job = self.run_noop()
        events = self.stream(path_of(job["id"])).rest()
        self.assertEqual(self.request("DELETE", f"/api/v1/jobs/{job['id']}/").status, 200)
        for last_id in (None, events[0].id, events[-1].id):
            self.assertEqual(self.stream(path_of(job["id"]), last_id=last_id).status, 404)

    def test_bad_requests(self):
        job = self.run_noop()
        for path in (path_of(job["id"]), ALL):
            for last_id in ("x", "-1", "1.5", "99999999999999999999", "0x1", "1 2"):
                self.assertEqual(self.stream(path, last_id=last_id).status, 400, last_id)
        self.assertEqual(self.stream(path_of(job["id"]) + "?status=RUNNING").status, 400)
        for query in ("?status=RUN", "?what=x", "?task_id=a&task_id=b"):
            self.assertEqual(self.stream(ALL + query).status, 400, query)
        self.assertEqual(self.stream(path_of("JOB_none")).status, 404)
        self.assertEqual(self.request("GET", ALL, None).status, 401)

    def test_head_and_silence(self):
        """The head comes at once, though there is nothing to tell; then a sign of life."""
        job_id = self.server.submit(self.server.create("unset_task"))
        last = self.stream(path_of(job_id)).next()
        started = time.monotonic()
        stream = self.stream(path_of(job_id), last_id=last.id)
        self.assertEqual(stream.status, 200)
        self.assertIsNone(stream.block())  # where it stands
        self.assertIsNone(stream.block())
        self.assertEqual(stream.comments, 1)
        self.assertLess(time.monotonic() - started, 50)
        self.request("POST", f"/api/v1/jobs/cancel/{job_id}/")
        self.assertEqual(statuses(stream.rest()), [("CANCELED", "CANCELED")])


class OfAll(EventCase):
    def test_from_now_on(self):
        self.run_noop()
        stream = self.stream()
        self.assertIsNone(stream.block())
        self.assertIsNotNone(stream.last_id)  # so that nothing is missed if it breaks before the first event
        job = self.run_noop()
        events = stream.take(3)
        self.assertEqual({event.data["job_id"] for event in events}, {job["id"]})
        self.assertEqual(statuses(events), RAN)

    def test_filters(self):
        task = self.server.create("noop")
        streams = {
            "task_id=" + task["id"]: RAN,
            "status=COMPLETED": RAN[2:],
            "config_id=noop&status=RUNNING": RAN[1:2],
        }
        streams = [(self.stream(ALL + "?" + query), wanted) for query, wanted in streams.items()]
        none = self.stream(ALL + "?config_id=double")
        for stream, _ in [*streams, (none, None)]:
            stream.block()
        job = self.server.wait_job(self.server.submit(task))
        for stream, wanted in streams:
            events = stream.take(len(wanted))
            self.assertEqual(statuses(events), wanted)
            self.assertEqual({event.data["job_id"] for event in events}, {job["id"]})
        self.assertIsNone(none.block())  # a sign of life, which moves its place on
        wait_until(lambda: none.block() is None and int(none.last_id) >= int(events[-1].id), "its place moves on")
        of_submission = self.stream(ALL + "?submission_id=" + job["submission_id"], last_id="0")
        self.assertEqual(statuses(of_submission.take(3)), RAN)

    def test_a_sparse_filter_over_many(self):
        """What is not wanted is passed over without waiting."""
        last = self.stream()
        last.block()
        job = self.run_noop()
        wanted = self.server.submit(self.server.create("unset_task"))
        insert_events(self.server, job["id"], 20000)
        self.request("POST", f"/api/v1/jobs/cancel/{wanted}/")
        stream = self.stream(ALL + "?config_id=unset_task", last_id=last.last_id)
        started = time.monotonic()
        self.assertEqual(statuses(stream.take(2)), [("BLOCKED", "BLOCKED"), ("CANCELED", "CANCELED")])
        self.assertLess(time.monotonic() - started, 15)  # a second for each of its 20 turns would be more

    def test_who_cannot_be_followed_is_told(self):
        newest = int(self.run_and_last())
        for path in (ALL, path_of(self.server.submit(self.server.create("unset_task")))):
            stream = self.stream(path, last_id=str(newest + 1000000))  # of another server
            event = stream.next()
            self.assertEqual(event.kind, "reset")
            self.assertIn("Read the state anew", event.data["detail"])
            self.assertGreaterEqual(int(event.id), newest)
            self.assertEqual(self.stream(path, last_id=event.id).status, 200)

    def run_and_last(self):
        stream = self.stream()
        self.run_noop()
        return stream.take(3)[-1].id

    def test_readers_are_woken_not_polled(self):
        """An event is told at once, not at the next heartbeat or tick."""
        stream = self.stream()
        stream.block()
        late = []
        for _ in range(5):
            task = self.server.create("unset_task")
            time.sleep(0.05)
            job_id = self.server.submit(task)
            started = time.monotonic()
            self.assertEqual(stream.next().data["job_id"], job_id)
            late.append(time.monotonic() - started)
            self.request("POST", f"/api/v1/jobs/cancel/{job_id}/")
            stream.next()
        self.assertLess(sorted(late)[2], 0.5, late)  # ticks are a second apart


class Endings(EventCase):
    settings = {"events": {"heartbeat": "1s"}, "limits": {"subject": {"streams": 4}, "write_timeout": "2s"}}

    def test_revoked(self):
        token = self.server.issue("--sub", "erin", "--role", "TAIPY_READER")
        stream = self.stream(token=token)
        stream.block()
        answer = self.request("POST", "/api/v1/revocations/", json_body={"issuer": ISSUER, "subject": "erin"})
        self.assertEqual(answer.status, 201)
        started = time.monotonic()
        stream.rest()
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(self.stream(token=token).status, 401)

    def test_no_more_than_so_many_for_one_subject(self):
        streams = [self.stream(token=self.server.token("TAIPY_READER", "greedy")) for _ in range(4)]
        for stream in streams:
            stream.block()
        refused = self.stream(token=self.server.token("TAIPY_READER", "greedy"))
        self.assertEqual((refused.status, refused.answer.headers["Retry-After"]), (429, "1"))
        self.assertEqual(self.stream(token=self.server.token("TAIPY_READER", "modest")).status, 200)
        streams[0].close()
        wait_until(
            lambda: self.stream(token=self.server.token("TAIPY_READER", "greedy")).status == 200, "the closed one is noticed", 60
        )

    def test_a_reader_that_does_not_read(self):
        """Its buffers fill, then it is closed; nobody else waits for it."""
        reader = self.server.client.connect()
        reader.connect()
        reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        insert_events(self.server, self.run_noop()["id"], 60000)
        reader.request("GET", ALL, headers={"Authorization": "Bearer " + self.server.token("TAIPY_READER", "asleep"), "Last-Event-ID": "0"})
        self.addCleanup(reader.close)
        stream = self.stream()
        stream.block()
        job = self.run_noop()
        self.assertEqual({event.data["job_id"] for event in stream.take(3)}, {job["id"]})
        wait_until(lambda: "limits.write_timeout" in self.server.log(), "the sleeper is closed", 60)


class Restart(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-events-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(apps.taipy(os.path.join(self.folder, "app")), {"events": {"heartbeat": "1s"}}, self.folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)
        self.server.start()

    def test_a_drain_ends_streams_cleanly(self):
        task = self.server.create("unset_task")
        job_id = self.server.submit(task)
        streams = [EventStream(self.server, path) for path in (ALL, path_of(job_id))]
        for stream in streams:
            stream.block()
        started = time.monotonic()
        self.server.stop()
        self.assertLess(time.monotonic() - started, 18)  # not cut at the end of drain_timeout
        for stream in streams:
            with self.assertRaises(Ended):  # the body's own end: http.client would raise for a cut one
                while True:
                    stream.next()
            stream.close()
        self.server.start()
        resumed = EventStream(self.server, path_of(job_id), last_id=streams[1].last_id)
        self.server.request("POST", f"/api/v1/jobs/cancel/{job_id}/")
        self.assertEqual(statuses(resumed.rest()), [("CANCELED", "CANCELED")])
        resumed.close()
        self.server.stop()

    def test_kill_9_and_cut_connections(self):
        """Followers that lose their connection now and then, and the server twice: together what they saw is the table."""
        followers = [Follower(self.server, path) for path in (ALL, ALL, ALL + "?config_id=noop")]
        for follower in followers:
            follower.start()
            follower.placed.wait(60)
        jobs = []
        for crash in (True, True, False):
            for _ in range(8):
                jobs.append(self.server.submit(self.server.create("noop")))
                jobs.append(self.server.submit(self.server.create("double")))
            for job_id in jobs[-4:]:
                self.server.wait_job(job_id)
            if crash:
                self.server.kill()
                self.server.start()
        for job_id in jobs:
            self.server.wait_job(job_id)
        rows = self.server.query(
            "SELECT e.seq, e.status, j.id, j.task_config_id FROM event AS e JOIN job AS j ON j.seq = e.job_seq ORDER BY e.seq"
        )
        for follower in followers:
            wanted = [(str(row["seq"]), row["id"], row["status"]) for row in rows if follower.wants(row)]
            wait_until(lambda f=follower, w=wanted: len(f.seen) >= len(w), "the follower has seen all", 60)
            follower.stop()
            self.assertEqual(follower.seen, wanted)
            self.assertGreater(follower.connections, 3)
        self.assertGreaterEqual(len(rows), 3 * len(jobs))
        self.server.stop()


class Follower(threading.Thread):
    """Follows, and breaks its connection after every few events."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.server, self.path = server, path
        self.seen, self.connections = [], 0
        self.last_id = None
        self.placed, self.done = threading.Event(), threading.Event()

    def wants(self, row):
        return "config_id" not in self.path or row["task_config_id"] == "noop"

    def run(self):
        while not self.done.is_set():
            try:
                self._follow()
            except (OSError, http.client.HTTPException, Ended):
                time.sleep(0.05)

    def _follow(self):
        with EventStream(self.server, self.path, last_id=self.last_id, timeout_s=5) as stream:
            self.connections += stream.status == 200
            for _ in range(9):
                event = stream.block()
                self.last_id = stream.last_id
                self.placed.set()
                if event:
                    assert event.kind == "message", event
                    self.seen.append((event.id, event.data["job_id"], event.data["status"]))
                if self.done.is_set():
                    return

    def stop(self):
        self.done.set()
        self.join(30)


class Bounds(ServerCase):
    settings = {"events": {"max": 1000, "heartbeat": "1s"}}

    def test_older_than_what_is_kept(self):
        task = self.server.create("noop")
        first = self.server.wait_job(self.server.submit(task))
        insert_events(self.server, self.server.wait_job(self.server.submit(task))["id"], 3000)

        def trimmed():
            self.server.create("noop")
            return self.server.query("SELECT count(*) AS n FROM event")[0]["n"] <= 1000

        wait_until(trimmed, "the oldest are gone")
        with EventStream(self.server, ALL, last_id="1") as stream:
            self.assertEqual(stream.next().kind, "reset")
            job = self.server.wait_job(self.server.submit(task))
            self.assertEqual({event.data["job_id"] for event in stream.take(3)}, {job["id"]})
        # nothing but that is left to tell of the first job; then its client is told to stop
        with EventStream(self.server, path_of(first["id"])) as stream:
            self.assertEqual([event.kind for event in stream.rest()], ["reset"])
            last_id = stream.last_id
        with EventStream(self.server, path_of(first["id"]), last_id=last_id) as stream:
            self.assertEqual(stream.status, 204)


class Taipy(EventCase):
    settings = {"api": {"wire": "taipy"}, "events": {"heartbeat": "1s"}}

    def test_enumerations_as_taipy_writes_them(self):
        task = self.server.create("noop")
        stream = self.stream()
        stream.block()
        self.assertEqual(self.request("POST", f"/api/v1/tasks/submit/{task['id']}/").status, 200)
        event = stream.take(3)[-1]
        self.assertEqual((event.data["status"], event.data["submission_status"]), ("Status.COMPLETED", "SubmissionStatus.COMPLETED"))


if __name__ == "__main__":
    unittest.main()
