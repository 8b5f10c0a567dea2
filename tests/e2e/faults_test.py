"""System calls of the write path fail under a running server. A few of them; tests/soak/run --only faults takes every one in turn.

    /usr/bin/python3 tests/e2e/faults_test.py [-v] [Class.test]
"""

import os
import shutil
import tempfile
import unittest

from lib import apps, strace
from lib.faults import ALWAYS, ONCE, Case, Subject
from lib.server import Server, wait_until

LOG, DATABASE, RESULTS = "data/bailiff.db-wal", "data/bailiff.db", "data/storage/results"


@unittest.skipIf(strace.usable() is not None, f"{strace.usable()}")
class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="bailiff-faults-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.subject = Subject(folder)
        cls.addClassCleanup(cls.subject.server.remove)
        cls.addClassCleanup(cls.subject.server.kill)
        cls.subject.start()

    @classmethod
    def tearDownClass(cls):
        cls.subject.check_outputs()
        cls.subject.server.stop()

    def suffer(self, *case, **options):
        """What /readyz said meanwhile."""
        self.assertGreater(self.subject.suffer(Case(*case), **options), 0, "nothing failed")
        self.subject.recover()
        return self.subject.during

    def store_reason(self, during):
        self.assertEqual(during["status"], 503)
        return next(check["reason"] for check in during["checks"] if check["check"] == "store")

    def test_the_log_cannot_be_written(self):
        self.suffer("writer", "pwrite64", "error=EIO", ONCE, LOG)
        self.assertIn("full", self.store_reason(self.suffer("writer", "pwrite64", "error=ENOSPC", ALWAYS, LOG)))

    def test_a_refused_change_stays_refused_after_a_crash(self):
        """Its frames are in the log, for only the sync failed: nobody may find them there."""
        during = self.suffer("writer", "fdatasync", "error=EIO", ALWAYS, LOG, crash=True)
        self.assertIn("disk", self.store_reason(during))

    def test_the_database_file_cannot_be_written(self):
        for _ in range(12):
            self.subject.work()  # until there is something to bring there
        during = self.suffer("writer", "pwrite64", "error=EIO", ALWAYS, DATABASE)
        self.assertEqual(during["status"], 200)
        self.assertTrue(any("log, which grows" in warning for warning in during["warnings"]), during)
        self.assertIn("store.strained", self.subject.server.log())

    def test_outputs_cannot_be_stored(self):
        """Their jobs are not FAILED for it, and not COMPLETED before they are safe."""
        self.suffer("mover", "fsync", "error=EIO", ONCE)
        self.suffer("mover", "fsync", "error=ENOSPC", ALWAYS, RESULTS)
        self.suffer("mover", "openat", "error=EMFILE", ONCE)
        self.suffer("mover", "openat", "error=ENOSPC", ONCE, RESULTS)
        self.suffer("jobs", "fcntl", "error=EMFILE", ONCE, "work")

    def test_the_runner_is_lost(self):
        self.suffer("jobs", "sendto", "error=EPIPE", ONCE)
        self.suffer("jobs", "recvfrom", "error=ECONNRESET", ONCE)


@unittest.skipIf(strace.usable() is not None, f"{strace.usable()}")
class DeadMount(unittest.TestCase):
    """The file system of a data node's path does not answer: what needs it waits, and nobody else notices."""

    APPLICATION = """
data_nodes:
  near: {storage_type: json, path: near/value.json}
  far: {storage_type: json, path: far/value.json}
  kept: {storage_type: json, path: far/kept.json, default_data: 1}
tasks:
  near: {command: [/bin/true], inputs: [near]}
  far: {command: [/bin/true], inputs: [far]}
  kept: {command: [/bin/true], inputs: [kept]}
"""

    def serve(self, text=APPLICATION):
        folder = tempfile.mkdtemp(prefix="bailiff-faults-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        application = os.path.join(folder, "app")
        for name in ("near", "far"):
            os.makedirs(os.path.join(application, name))
        server = Server(apps.write(application, "app.yaml", text), {}, folder)
        self.addCleanup(server.remove)
        self.addCleanup(server.end)
        server.start()
        return server, application

    def refused(self, server):
        """Its default must not stand in for a file that is there, as far as anybody knows."""
        answer = server.request("POST", "/api/v1/tasks/?config_id=kept", "TAIPY_EDITOR")
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("Retry-After", answer.headers)
        self.assertNotIn("kept.json", answer.json()["message"])

    def test_what_needs_it_waits(self):
        server, application = self.serve()
        jobs = {name: server.submit(server.create(name)) for name in ("near", "far")}
        self.assertEqual({server.job(job)["status"] for job in jobs.values()}, {"BLOCKED"})
        path = os.path.join(application, "far", "value.json")
        holding = ("-e", "trace=newfstatat", "-e", "inject=newfstatat:delay_enter=600s", "-P", path)
        with strace.Trace(strace.threads(server.process.pid)["looker"], *holding):
            wait_until(lambda: '"data_node.path"' in server.log() or " data_node.path " in server.log(), "the log tells of it")
            for name in ("far", "near"):
                apps.write(application, f"{name}/value.json", "1")
            self.assertEqual(server.wait_job(jobs["near"])["status"], "COMPLETED")
            another = server.submit(server.create("near"))
            self.assertEqual(server.wait_job(another)["status"], "COMPLETED")
            self.assertEqual(server.job(jobs["far"])["status"], "BLOCKED")
            late = server.submit(server.create("far"))
            self.assertEqual(server.job(late)["status"], "BLOCKED")
            self.refused(server)
        for job in (jobs["far"], late):
            self.assertEqual(server.wait_job(job)["status"], "COMPLETED")
        server.create("kept")
        server.stop()

    def test_errors_say_nothing_of_the_file(self):
        server, application = self.serve()
        apps.write(application, "far/kept.json", "2")
        server.create("near")  # somebody looks
        with strace.Trace(strace.threads(server.process.pid)["looker"], "-e", "inject=newfstatat:error=EIO"):
            self.refused(server)
        kept = server.create("kept")
        read = server.request("GET", f"/api/v1/datanodes/{kept['input_ids'][0]}/read/", "TAIPY_READER")
        self.assertEqual(read.json()["data"], 2)

    def test_what_is_slow_holds_up_nobody_else(self):
        """Each look takes longer than anybody waits for it."""
        names = [f"slow{i}" for i in range(16)]
        server, application = self.serve(
            "data_nodes:\n"
            + "".join(f"  {name}: {{storage_type: json, path: {name}/value.json}}\n" for name in names)
            + "tasks:\n  free: {command: [/bin/true]}\n"
            + "".join(f"  {name}: {{command: [/bin/true], inputs: [{name}]}}\n" for name in names)
        )
        for name in names:
            os.makedirs(os.path.join(application, name))
        jobs = {name: server.submit(server.create(name)) for name in names}
        free = server.create("free")
        paths = [option for name in names for option in ("-P", os.path.join(application, name, "value.json"))]
        slowing = ("-f", "-e", "trace=newfstatat", "-e", "inject=newfstatat:delay_enter=1500ms", *paths)
        with strace.Trace([server.process.pid], *slowing):
            wait_until(lambda: "data_node.path" in server.log(), "the log tells of it")
            self.assertEqual(server.wait_job(server.submit(free))["status"], "COMPLETED")
            self.assertEqual({server.job(job)["status"] for job in jobs.values()}, {"BLOCKED"})
        for name in names:
            apps.write(application, f"{name}/value.json", "1")
        for job in jobs.values():
            self.assertEqual(server.wait_job(job)["status"], "COMPLETED")


if __name__ == "__main__":
    unittest.main()
