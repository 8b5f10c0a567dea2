"""What is wrong with an application, a configuration or a machine is said clearly, and loses nothing.

    /usr/bin/python3 tests/e2e/badinput_test.py [-v] [Class.test]
"""

import os
import pickle
import resource
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

from lib import apps
from lib.server import PATIENCE_S, PROGRAM, Server, wait_until


class Case(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-bad-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(apps.taipy(os.path.join(self.folder, "app")), self.settings, self.folder)
        self.addCleanup(self.server.remove)
        self.addCleanup(self.server.kill)

    def refuses_to_start(self, *words):
        """serve ends by itself, not with 0, and its log has these words."""
        self.server.spawn()
        try:
            status = self.server.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.fail(f"it started:\n{self.server.log_tail()}")
        self.assertIn(status, (1, 3), self.server.log_tail())
        log = self.server.log()
        for word in words:
            self.assertIn(word, log)
        self.server.check_log()
        os.remove(self.server.log_file)
        return log

    def check_config(self, *words):
        """check-config says so, too."""
        done = subprocess.run([PROGRAM, "check-config", "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1, done)
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)

    def change_application(self, old, new, name="app.toml"):
        path = os.path.join(self.folder, "app", name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        changed = text.replace(old, new, 1)
        with open(path, "w", encoding="utf-8") as file:
            file.write(changed)
        return changed.index(new), changed


class Applications(Case):
    def line_of(self, change):
        at, text = change
        return text[:at].count("\n") + 1

    def test_an_unknown_data_node(self):
        self.change_application('inputs = [ "nb:SECTION",]', 'inputs = [ "bn:SECTION",]')
        self.refuses_to_start("app.toml", "bn", "double")

    def test_an_unknown_function(self):
        self.change_application("fns.double:function", "fns.treble:function")
        self.refuses_to_start("app.toml", "treble", "fns")

    def test_an_unknown_module(self):
        self.change_application("fns.double:function", "nofns.double:function")
        self.refuses_to_start("app.toml", "nofns")

    def test_a_module_that_does_not_load(self):
        with open(os.path.join(self.folder, "app", "fns.py"), "a", encoding="utf-8") as file:
            file.write("\ndef broken(:\n")
        self.refuses_to_start("fns", "SyntaxError")

    def test_a_cycle(self):
        self.change_application('outputs = [ "g_last:SECTION",]', 'outputs = [ "g_nb:SECTION",]')
        self.refuses_to_start("app.toml", "g_nb", "g_out")

    def test_no_toml(self):
        change = self.change_application("[DATA_NODE.doubled]", "[DATA_NODE.doubled")
        self.refuses_to_start(f"app.toml:{self.line_of(change)}")

    def test_a_missing_default_file(self):
        os.remove(os.path.join(self.folder, "app", "in.csv"))
        self.server.start()  # as with Taipy; the log says that the data node starts unwritten
        self.assertIn("in.csv", self.server.log())

    def test_all_mistakes_at_once(self):
        self.change_application("fns.double:function", "fns.treble:function")
        self.change_application("fns.fail:function", "fns.flail:function")
        self.refuses_to_start("treble", "flail")

    def test_no_application(self):
        os.remove(os.path.join(self.folder, "app", "app.toml"))
        self.refuses_to_start("app.toml")
        self.check_config("app.toml", "bailiff.yaml:")

    def test_a_broken_one_leaves_the_data_alone(self):
        self.server.start()
        task, _ = self.server.run_task("double")
        self.server.stop()
        os.remove(self.server.log_file)
        at, text = self.change_application("fns.double:function", "fns.treble:function")
        self.refuses_to_start("treble")
        with open(os.path.join(self.folder, "app", "app.toml"), "w", encoding="utf-8") as file:
            file.write(text.replace("fns.treble:function", "fns.double:function"))
        self.server.start()
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)
        self.server.stop()


class YamlApplications(Case):
    def try_application(self, text, *words):
        self.server.settings["application"] = apps.write(self.folder, "app.yaml", text)
        self.server.write_config()
        self.refuses_to_start("app.yaml", *words)
        self.check_config("app.yaml", *words)

    def test_mistakes(self):
        self.try_application("tasks:\n  a: {command: [/bin/true], inputs: [nothing]}\n", "app.yaml:2", "nothing")
        self.try_application("tasks:\n  a: {comand: [/bin/true]}\n", "app.yaml:2", "comand", "command")
        self.try_application("tasks:\n  a: {inputs: []}\n", "command")
        self.try_application(
            "data_nodes:\n  x: {storage_type: json}\n  y: {storage_type: json}\n"
            "tasks:\n  a: {command: [/bin/true], inputs: [x], outputs: [y]}\n  b: {command: [/bin/true], inputs: [y], outputs: [x]}\n",
            "cycl",
        )
        self.try_application("tasks: [\n", "app.yaml:")
        self.try_application("a: &x 1\nb: *x\n", "app.yaml:")


class Data(Case):
    def value_file(self, node):
        """The file behind a data node's value."""
        (row,) = self.server.query("SELECT file FROM data_node WHERE id = ?", node)
        for root, _, names in os.walk(self.server.path("data")):
            if os.path.basename(row["file"]) in names:
                return os.path.join(root, os.path.basename(row["file"]))
        self.fail(f"{row['file']} is not below the data folder")

    def test_a_broken_pickle(self):
        self.server.start()
        task, _ = self.server.run_task("double")
        path = self.value_file(task["output_ids"][0])
        with open(path, "rb") as file:
            good = file.read()
        for bad in (b"", b"rubbish", good[:-1], b"\x80\x05"):
            os.chmod(path, 0o600)
            with open(path, "wb") as file:
                file.write(bad)
            answer = self.server.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/read/", "TAIPY_READER")
            self.assertIn(answer.status, (409, 422, 500, 503), answer)
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
            self.assertNotIn(self.folder, answer.body.decode())
            if answer.status != 500:
                self.assertTrue(answer.json()["detail"])
        with open(path, "wb") as file:
            file.write(good)
        self.assertEqual(self.server.read(task["output_ids"][0]), 42)  # and nothing of it stuck
        self.server.stop()

    def test_a_pickle_that_is_a_program(self):
        """Reading runs code: in the worker, never in the server; and it cannot take the server along."""
        self.server.start()
        task, _ = self.server.run_task("double")
        path = self.value_file(task["output_ids"][0])

        class Bomb:
            def __reduce__(self):
                return (os._exit, (3,))

        os.chmod(path, 0o600)
        with open(path, "wb") as file:
            pickle.dump(Bomb(), file)
        answer = self.server.request("GET", f"/api/v1/datanodes/{task['output_ids'][0]}/read/", "TAIPY_READER")
        self.assertGreaterEqual(answer.status, 400)
        self.assertEqual(self.server.request("GET", "/readyz", None).status, 200)
        other, job = self.server.run_task("double")
        self.assertEqual((job["status"], self.server.read(other["output_ids"][0])), ("COMPLETED", 42))
        self.server.stop()

    def test_a_broken_input_fails_its_job_only(self):
        self.server.start()
        task = self.server.create("double")
        path = self.value_file(task["input_ids"][0])
        shutil.copy(path, path + ".kept")
        os.chmod(path, 0o600)
        with open(path, "wb") as file:
            file.write(b"rubbish")
        job = self.server.wait_job(self.server.submit(task))
        self.assertEqual(job["status"], "FAILED")
        self.assertIn("nb", job["error"])
        os.replace(path + ".kept", path)
        job = self.server.wait_job(self.server.submit(task))
        self.assertEqual(job["status"], "COMPLETED")
        self.server.stop()


class Machines(Case):
    def test_a_missing_python(self):
        self.server.settings["execution"]["python"] = "/usr/bin/python9"
        self.server.write_config()
        self.check_config("bailiff.yaml:", "/usr/bin/python9")
        self.refuses_to_start("/usr/bin/python9")

    def test_a_python_that_is_none(self):
        self.server.settings["execution"]["python"] = "/bin/true"
        self.server.write_config()
        self.refuses_to_start("/bin/true")

    def test_a_missing_package(self):
        self.server.settings["execution"]["package"] = "/nowhere"
        self.server.write_config()
        self.check_config("bailiff.yaml:", "/nowhere")
        self.refuses_to_start("/nowhere")

    def test_a_port_in_use(self):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # another that shares must be noticed, too
            other.bind(("127.0.0.1", self.server.port))
            other.listen()
            self.refuses_to_start(str(self.server.port), "in use")
        self.server.start()
        self.server.stop()

    def test_key_files_that_others_can_read(self):
        for name in ("server-key.pem", "hs.secret"):
            os.chmod(self.server.path(name), 0o644)
            self.check_config(name, "chmod 600", "bailiff.yaml:")
            self.refuses_to_start(name, "chmod 600")
            os.chmod(self.server.path(name), 0o600)
        os.chmod(self.server.path("signing-key.pem"), 0o640)
        done = subprocess.run(
            [PROGRAM, "token", "issue", "--config", self.server.config, "--sub", "x", "--role", "TAIPY_READER"], capture_output=True, text=True, timeout=PATIENCE_S
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("chmod 600", done.stderr)

    def test_a_second_server_on_the_same_data(self):
        self.server.start()
        task = self.server.create("noop")
        second = Server(self.server.application, {"store": {"folder": self.server.path("data")}})
        self.addCleanup(second.remove)
        self.addCleanup(second.kill)
        second.spawn()
        self.assertEqual(second.process.wait(PATIENCE_S), 1, second.log_tail())
        self.assertIn(self.server.path("data"), second.log())
        self.assertRegex(second.log(), "another|locked")
        self.assertEqual(self.server.request("GET", f"/api/v1/tasks/{task['id']}/").status, 200)
        self.server.stop()

    def test_a_database_that_is_none(self):
        os.makedirs(self.server.path("data"), mode=0o700)
        with open(self.server.path("data", "bailiff.db"), "wb") as file:
            file.write(b"this is no database" * 1000)
        self.refuses_to_start("bailiff.db")
        with open(self.server.path("data", "bailiff.db"), "rb") as file:
            self.assertTrue(file.read().startswith(b"this is no database"))

    def test_same_user_must_be_allowed(self):
        self.server.settings["execution"]["same_user"] = "forbidden"
        self.server.write_config()
        self.check_config("bailiff.yaml:", "same_user")
        self.refuses_to_start("same_user")

    def test_a_tampered_audit_chain_is_seen(self):
        self.server.start()
        for _ in range(5):
            self.server.create("noop")
        self.server.stop()
        connection = sqlite3.connect(self.server.path("data", "bailiff.db"))
        connection.execute("UPDATE audit SET subject = 'somebody else' WHERE seq = (SELECT max(seq) - 3 FROM audit)")
        connection.commit()
        (seq,) = connection.execute("SELECT max(seq) - 3 FROM audit").fetchone()
        connection.close()
        verified = self.server.verify_audit()
        self.assertEqual(verified.returncode, 1)
        self.assertIn(str(seq), verified.stdout + verified.stderr)


class Configurations(Case):
    def try_setting(self, path, value, *words):
        at = self.server.settings
        for name in path[:-1]:
            at = at[name]
        old = at.get(path[-1])
        at[path[-1]] = value
        self.server.write_config()
        self.check_config("bailiff.yaml:", *words)
        at[path[-1]] = old
        self.server.write_config()

    def test_mistakes(self):
        self.try_setting(["severs"], {"x": 1}, "severs", "server")
        self.try_setting(["server", "loops"], "many", "loops")
        self.try_setting(["server", "public_url"], "localhost", "public_url")
        self.try_setting(["server", "drain_timeout"], "30", "drain_timeout")
        self.try_setting(["store"], None, "store")
        self.try_setting(["issuers"], None, "issuers")
        self.try_setting(["policy", "roles"], "nowhere.yaml", "nowhere.yaml")
        self.try_setting(["api"], {"wire": "morse"}, "wire", "documented")
        self.try_setting(["cors"], {"origins": ["*"]}, "origins")

    def test_plain_http_only_at_home(self):
        self.server.settings["server"]["listeners"] = [{"address": "0.0.0.0", "port": self.server.port, "tls": False}]
        self.server.write_config()
        self.check_config("bailiff.yaml:", "tls")
        self.refuses_to_start("tls")

    def test_weak_secrets(self):
        self.server.write_secret("hs.secret", b"short")
        self.check_config("hs.secret", "32")
        self.refuses_to_start("hs.secret", "32")

    def test_a_good_one_is_said_to_be_good(self):
        done = subprocess.run([PROGRAM, "check-config", "--config", self.server.config], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("same_user", done.stdout + done.stderr)  # unsafe, and said so
        self.assertFalse(os.path.exists(self.server.path("data")))  # nothing was begun

    def test_unknown_arguments(self):
        for words in (["serv"], ["serve", "--confg", "x"], ["serve", "extra"], [], ["token"], ["token", "issue"]):
            done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr)


class FullDisk(Case):
    """On a small file system of its own where we may mount one, else by a limit on the size of files."""

    def fill(self):
        """Leaves no byte free."""
        with open(self.server.path("data", "ballast"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass

    def mount(self):
        data = self.server.path("data")
        os.makedirs(data, mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", data], capture_output=True)
        if done.returncode == 0:
            self.addCleanup(subprocess.run, ["umount", "-l", data], check=True)
        return done.returncode == 0

    def create_until_refused(self):
        """Ids that were acknowledged before the disk was full."""
        created = []
        for _ in range(20000):
            answer = self.server.request("POST", "/api/v1/tasks/?config_id=noop")
            if answer.status != 201:
                return created, answer
            created.append(answer.json()["task"]["id"])
        self.fail("the disk is never full")

    def listed(self):
        return {task["id"] for task in self.server.request("GET", "/api/v1/tasks/").json()["results"]}

    def test_a_full_disk(self):
        if os.geteuid() != 0 or not self.mount():
            self.limit_files()
            return
        self.server.start()
        self.fill()
        created, answer = self.create_until_refused()
        self.assertEqual(answer.status, 503, answer)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertNotIn(self.folder, answer.body.decode())
        # what only reads goes on; what cannot be audited is not answered with success
        self.assertEqual(self.listed(), set(created))
        self.assertEqual(self.server.request("GET", "/readyz", None).status, 503)
        self.assertEqual(self.server.request("POST", "/api/v1/tasks/?config_id=noop", "TAIPY_READER").status, 503)

        os.remove(self.server.path("data", "ballast"))
        wait_until(lambda: self.server.request("GET", "/readyz", None).status == 200, "it is ready again")
        task = self.server.create("noop")
        self.assertEqual(self.listed(), set(created) | {task["id"]})
        self.server.stop()
        self.assertEqual(self.server.verify_audit().returncode, 0)
        self.server.start()
        self.assertEqual(self.listed(), set(created) | {task["id"]})
        self.server.stop()

    def limit_files(self):
        self.server.start()
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        created, answer = self.create_until_refused()
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(self.listed(), set(created))
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: self.server.request("GET", "/readyz", None).status == 200, "it is ready again")
        self.server.create("noop")
        self.server.stop()
        self.assertEqual(self.server.verify_audit().returncode, 0)

    def test_full_while_jobs_run(self):
        if os.geteuid() != 0 or not self.mount():
            self.skipTest("needs root: a file system of its own is filled (test_a_full_disk runs without)")
        self.server.start()
        task, job_id = self.server.run_gated()
        self.fill()
        self.server.open_gate()
        time.sleep(2)  # its end comes, and cannot be written
        os.remove(self.server.path("data", "ballast"))
        job = self.server.wait_job(job_id)
        self.assertIn(job["status"], ("COMPLETED", "FAILED"))
        if job["status"] == "COMPLETED":
            self.assertEqual(self.server.read(task["output_ids"][0]), "open")
        self.server.stop()
        self.assertEqual(self.server.verify_audit().returncode, 0)


if __name__ == "__main__":
    unittest.main()
