"""packaging/quickstart with a program that is built already: what it makes, that it can be repeated, and the curl lines that it prints.

    /usr/bin/python3 tests/e2e/quickstart_test.py [-v] [Class.test]
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from lib import apps, tokens
from lib.server import PATIENCE_S, PROGRAM, SOURCE, free_port, processes_of, wait_until

QUICKSTART = os.path.join(SOURCE, "packaging", "quickstart")


SMALL = """
[DATA_NODE.nb]
default_data = "21:int"

[DATA_NODE.doubled]

[DATA_NODE.copied]

[TASK.a_noop]
function = "fns.noop:function"

[TASK.after]
function = "fns.echo:function"
inputs = [ "doubled:SECTION",]
outputs = [ "copied:SECTION",]

[TASK.double]
function = "fns.double:function"
inputs = [ "nb:SECTION",]
outputs = [ "doubled:SECTION",]
"""


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff quick'start-")  # blanks and quotes must do no harm
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.demo = os.path.join(self.folder, "a demo")
        self.port, reservation = free_port()
        self.addCleanup(reservation.close)
        self.environment = {key: value for key, value in os.environ.items() if key not in ("SUDO_USER", "BAILIFF_SOURCE", "BAILIFF")}
        self.environment["BAILIFF_PROGRAM"] = PROGRAM

    def prepare(self, *arguments):
        done = subprocess.run(
            [QUICKSTART, "--dir", self.demo, "--no-run", *arguments], capture_output=True, text=True, timeout=300, cwd=self.folder,
            env=self.environment,
        )
        return done

    def contents(self):
        found = {}
        for root, _, names in os.walk(self.demo):
            for name in names:
                with open(os.path.join(root, name), "rb") as file:
                    found[os.path.relpath(os.path.join(root, name), self.demo)] = file.read()
        return found

    def start(self, *arguments, folder=None):
        """The running server, and what was printed up to the last of the five lines."""
        out = open(os.path.join(self.folder, "out"), "wb")
        process = subprocess.Popen(
            [QUICKSTART, "--dir", folder or self.demo, *arguments], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            cwd=self.folder, env=self.environment,
        )
        out.close()

        def stop():
            if process.poll() is None:
                process.kill()
                process.wait()

        self.addCleanup(stop)

        def printed():
            with open(os.path.join(self.folder, "out"), encoding="utf-8") as file:
                text = file.read()
            if process.poll() is not None:
                self.fail(f"it ended with {process.returncode}:\n{text}")
            return text if "Ctrl-C stops the server" in text else None

        return process, wait_until(printed, "the lines are printed", 120)

    def stop(self, process):
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        wait_until(lambda: not processes_of(self.demo), "nothing of it is left", 30)

    def lines_of(self, printed):
        lines = [line for line in printed.splitlines() if re.match(r"([A-Z]+=\$\()?curl ", line)]
        self.assertEqual(len(lines), 5, printed)
        return lines

    def paste(self, lines):
        """What a shell says to each line, its variables kept from one to the next."""
        script = "\n".join(f"{line}\necho ----" for line in lines)
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, cwd="/", env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = [part for part in done.stdout.split("----\n") if part.strip()]
        return [json.loads(part) if len(part) <= 1000 else part for part in shown], [json.loads(line) for line in done.stderr.splitlines() if line]

    def test_it_prepares_and_keeps(self):
        done = self.prepare("--port", str(self.port))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("serve --config", done.stdout)
        first = self.contents()
        self.assertLessEqual(
            {"bailiff", "bailiff.yaml", "client.yaml", "ca.pem", "roles.yaml", "server-key.pem", "server.pem", "signing-key.pem", "signing-jwks.json",
             "tokens/reader.jwt", "tokens/editor.jwt", "tokens/executor.jwt", "tokens/admin.jwt"}, set(first))
        for name in ("server-key.pem", "signing-key.pem", "ca-key.pem", "tokens/admin.jwt", "client.yaml"):
            self.assertEqual(os.stat(os.path.join(self.demo, name)).st_mode & 0o077, 0, name)
        for name in ("reader", "editor", "executor", "admin"):
            claims = tokens.decode(first[f"tokens/{name}.jwt"].decode().strip())[1]
            self.assertEqual(claims["roles"], [f"TAIPY_{name.upper()}"])

        again = self.prepare()
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertEqual(self.contents(), first)

    def test_options_change_what_is_there(self):
        self.assertEqual(self.prepare().returncode, 0)
        app = apps.taipy(os.path.join(self.folder, "app"))
        done = self.prepare("--port", str(self.port), "--app", os.path.relpath(app, self.folder))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(self.demo, "bailiff.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn(f"port: {self.port}\n", text)
        self.assertIn(f"public_url: https://localhost:{self.port}\n", text)
        self.assertIn("application: '" + app.replace("'", "''") + "'\n", text)

    def test_an_old_token_is_renewed(self):
        self.assertEqual(self.prepare().returncode, 0)
        path = os.path.join(self.demo, "tokens", "editor.jwt")
        with open(path, encoding="utf-8") as file:
            header, payload, signature = file.read().strip().split(".")
        claims = json.loads(tokens.unb64(payload))
        claims["exp"] = claims["iat"] - 1
        with open(path, "w", encoding="utf-8") as file:
            file.write(".".join((header, tokens.b64(json.dumps(claims).encode()), signature)))
        self.assertEqual(self.prepare().returncode, 0)
        with open(path, encoding="utf-8") as file:
            renewed = tokens.decode(file.read().strip())[1]
        self.assertGreater(renewed["exp"], renewed["iat"])
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)

    def test_the_five_lines(self):
        process, printed = self.start("--port", str(self.port))
        shown, kept = self.paste(self.lines_of(printed))
        created, submitted = kept
        self.assertEqual(created["message"], "Task was created.")
        self.assertEqual(submitted["job"]["status"], "COMPLETED", submitted)
        jobs, output, deleted = shown
        self.assertEqual([job["status"] for job in jobs["results"]], ["COMPLETED"])
        self.assertTrue(output.startswith('{"data":[{"date":"2012-01-01",'), output)  # the beginning of much
        self.assertIn("was deleted", deleted["message"])
        script = "\n".join(re.findall(r"(?m)^(?:export BAILIFF_CLIENT=|'/\S.*bailiff' (?:tasks|jobs) ).*$", printed))
        self.assertEqual(script.count("\n"), 2, printed)
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=120, cwd="/", env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^JOB_clean_\S+  (COMPLETED|SKIPPED)")  # it did the same before
        self.assertIn("COMPLETED", done.stdout)
        self.stop(process)

        # once more in the same folder: everything is there
        process, printed = self.start()
        shown, _ = self.paste(self.lines_of(printed))
        self.assertEqual(shown[1], output)
        self.stop(process)

    def test_with_an_application_of_ones_own(self):
        os.makedirs(os.path.join(self.folder, "my app"))
        apps.write(os.path.join(self.folder, "my app"), "fns.py", apps.FUNCTIONS)
        app = apps.write(os.path.join(self.folder, "my app"), "app.toml", SMALL)
        process, printed = self.start("--port", str(self.port), "--app", os.path.relpath(app, self.folder))
        shown, kept = self.paste(self.lines_of(printed))
        self.assertEqual(kept[0]["task"]["config_id"], "double")  # neither what waits for input nor what writes nothing
        self.assertEqual(kept[1]["job"]["status"], "COMPLETED", kept)
        self.assertEqual(shown[1], {"data": 42})
        self.stop(process)

    def test_mistakes_are_explained(self):
        for arguments, words in (
            (["--port", "70000"], "--port"),
            (["--port", "x"], "--port"),
            (["--app", "/nowhere.toml"], "/nowhere.toml"),
            (["--app", "/etc/passwd"], ".toml"),
            (["--app"], "--app"),
            (["--frobnicate"], "no option --frobnicate"),
        ):
            done = self.prepare(*arguments)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertIn(words, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.demo, "bailiff")))

    def test_a_port_in_use(self):
        first, _ = self.start("--port", str(self.port))
        done = subprocess.run(
            [QUICKSTART, "--dir", os.path.join(self.folder, "other"), "--port", str(self.port)], capture_output=True, text=True,
            timeout=120, env=self.environment,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"port {self.port} is in use", done.stderr)
        self.stop(first)


if __name__ == "__main__":
    unittest.main()
