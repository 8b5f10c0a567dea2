"""packaging/*.service: what they start exists and fits the packaged configuration, and the runner tells the service manager when it is ready.

    /usr/bin/python3 tests/e2e/units_test.py [-v] [Class.test]
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from lib.server import PATIENCE_S, PROGRAM, SOURCE

PACKAGING = os.path.join(SOURCE, "packaging")
NOBODY = 65534


def read(name):
    with open(os.path.join(PACKAGING, name), encoding="utf-8") as file:
        return file.read()


def settings(unit):
    """The settings of a unit; none of ours is given twice."""
    pairs = re.findall(r"(?m)^(\w+)=(.*)$", read(unit))
    found = dict(pairs)
    assert len(found) == len(pairs), unit
    return found


class Units(unittest.TestCase):
    def test_what_they_start_exists(self):
        for unit in ("bailiff.service", "bailiff-runner.service"):
            words = shlex.split(settings(unit)["ExecStart"])
            self.assertEqual(words[0], "/usr/bin/bailiff")
            help = subprocess.run([PROGRAM, "help", words[1]], capture_output=True, text=True, timeout=PATIENCE_S)
            self.assertEqual(help.returncode, 0, help.stderr)
            for option in (word for word in words if word.startswith("--")):
                self.assertIn(f"  {option} ", help.stdout)

    def test_they_fit_each_other_and_the_packaged_configuration(self):
        server, runner, configuration = settings("bailiff.service"), settings("bailiff-runner.service"), read("bailiff.yaml")
        words = shlex.split(runner["ExecStart"])
        options = dict(zip(words[2::2], words[3::2]))
        self.assertEqual(options["--socket"], re.search(r"(?m)^  socket: (\S+)", configuration)[1])
        self.assertEqual(os.path.dirname(options["--socket"]), "/run/" + runner["RuntimeDirectory"])
        self.assertEqual(options["--work"], "/var/lib/" + runner["StateDirectory"])
        self.assertEqual(options["--server-user"], server["User"])
        self.assertEqual(server["SupplementaryGroups"], runner["Group"])
        self.assertNotEqual(server["User"], runner["User"])
        self.assertEqual("/var/lib/" + server["StateDirectory"], re.search(r"(?m)^  folder: (\S+)", configuration)[1])
        self.assertIn("bailiff-runner.service", server["After"])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze here")
    def test_systemd_understands_them(self):
        with tempfile.TemporaryDirectory(prefix="bailiff-units-") as folder:
            paths = []
            for unit in ("bailiff.service", "bailiff-runner.service"):
                paths.append(os.path.join(folder, unit))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(read(unit).replace("/usr/bin/bailiff", "/bin/true"))
            done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, timeout=PATIENCE_S)
        ours = [line for line in done.stderr.splitlines() if "bailiff" in line]
        self.assertEqual(ours, [], done.stderr)

    def test_the_runner_says_when_it_can_be_reached(self):
        folder = tempfile.mkdtemp(prefix="bailiff-units-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        user = {}
        if os.geteuid() == 0:  # as which it would not run users' code
            os.chown(folder, NOBODY, NOBODY)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        path = os.path.join(folder, "runner.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(os.path.join(folder, "notify"))
            os.chmod(os.path.join(folder, "notify"), 0o777)
            manager.settimeout(PATIENCE_S)
            with open(os.path.join(folder, "log"), "wb") as log:
                runner = subprocess.Popen(
                    [PROGRAM, "runner", "--socket", path, "--work", os.path.join(folder, "work"), "--server-user", str(os.geteuid())],
                    stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, "NOTIFY_SOCKET": os.path.join(folder, "notify")}, **user,
                )
            try:
                said = manager.recv(4096).decode()
                self.assertEqual(said.splitlines()[0], "READY=1")
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                    server.connect(path)  # at once
            finally:
                runner.send_signal(signal.SIGTERM)
                self.assertEqual(runner.wait(PATIENCE_S), 0)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main()
