"""The same walk through a task's life with curl, Python's http.client, and Node's https and fetch.

    /usr/bin/python3 tests/e2e/clients_test.py [-v] [Class.test]
"""

import json
import os
import shutil
import subprocess
import unittest

from lib.server import PATIENCE_S, ServerCase

HERE = os.path.dirname(os.path.abspath(__file__))

# name, method, path, role, headers; {task}, {job}, {output} come from the answers before
WALK = [
    ("configs", "GET", "configs/", "TAIPY_READER", {}),
    ("create", "POST", "tasks/?config_id=double", "TAIPY_EDITOR", {"Idempotency-Key": '"walk"'}),
    ("again", "POST", "tasks/?config_id=double", "TAIPY_EDITOR", {"Idempotency-Key": '"walk"'}),
    ("read", "GET", "tasks/{task}/", "TAIPY_READER", {}),
    ("head", "HEAD", "tasks/{task}/", "TAIPY_READER", {}),
    ("options", "OPTIONS", "tasks/{task}/", "TAIPY_READER", {}),
    ("submit", "POST", "tasks/submit/{task}/", "TAIPY_EXECUTOR", {"Prefer": "return=representation, wait=50"}),
    ("job", "GET", "jobs/{job}/", "TAIPY_READER", {}),
    ("log", "GET", "jobs/{job}/log/", "TAIPY_READER", {}),
    ("output", "GET", "datanodes/{output}/read/", "TAIPY_READER", {}),
    ("list", "GET", "tasks/?config_id=double", "TAIPY_READER", {}),
    ("forbidden", "DELETE", "tasks/{task}/", "TAIPY_EXECUTOR", {}),
    ("bare submit", "POST", "tasks/submit/{task}/", "TAIPY_EXECUTOR", {"Prefer": "wait=0"}),
    ("delete", "DELETE", "tasks/{task}/", "TAIPY_EDITOR", {"If-Match": "*"}),
    ("gone", "GET", "tasks/{task}/", "TAIPY_READER", {}),
    ("nobody", "GET", "tasks/", None, {}),
]

NODE_HTTPS = """
import https from 'node:https'
import fs from 'node:fs'
const { url, ca } = JSON.parse(process.argv[2])
const agent = new https.Agent({ keepAlive: true, ca: fs.readFileSync(ca) })
export function call(method, path, headers) {
  return new Promise((resolve, reject) => {
    const request = https.request(url + path, { method, headers, agent }, (response) => {
      const pieces = []
      response.on('data', (piece) => pieces.push(piece))
      response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(pieces).toString() }))
    })
    request.on('error', reject)
    request.end()
  })
}
"""

NODE_FETCH = """
const { url } = JSON.parse(process.argv[2])
export async function call(method, path, headers) {
  const response = await fetch(url + path, { method, headers })
  return { status: response.status, body: await response.text() }
}
"""

NODE_LOOP = """
import readline from 'node:readline'
import { call } from './call.mjs'
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { method, path, headers } = JSON.parse(line)
  process.stdout.write(JSON.stringify(await call(method, path, headers)) + '\\n')
}
process.exit(0)
"""


class Clients(ServerCase):
    def walk(self, call):
        """call(method, path, headers) → (status, body text); checks each answer on the way."""
        names, seen = {"task": "", "job": "", "output": ""}, {}
        for name, method, path, role, headers in WALK:
            if role:
                headers = {**headers, "Authorization": "Bearer " + self.server.token(role)}
            if name == "delete":  # the job of the bare submit is to end first
                for job in self.request("GET", f"/api/v1/jobs/?task_id={names['task']}").json()["results"]:
                    self.server.wait_job(job["id"])
            status, body = call(method, "/api/v1/" + path.format(**names), headers)
            seen[name] = status
            if name == "create":
                created = body
                task = json.loads(body)["task"]
                names["task"], names["output"] = task["id"], task["output_ids"][0]
            elif name == "again":
                self.assertEqual(body, created)
            elif name == "read":
                self.assertEqual(json.loads(body), {"task": task})
            elif name in ("head", "options", "bare submit") and status != 202:
                self.assertEqual(body, "")
            elif name == "submit":
                names["job"] = json.loads(body)["job"]["id"]
            elif name == "job":
                self.assertEqual(json.loads(body)["job"]["status"], "COMPLETED")
            elif name == "log":
                self.assertIn("doubling 21", body)
            elif name == "output":
                self.assertEqual(json.loads(body), {"data": 42})
            elif name == "list":
                self.assertIn(names["task"], [t["id"] for t in json.loads(body)["results"]])
            elif name in ("forbidden", "gone", "nobody"):
                self.assertEqual(json.loads(body)["status"], status)
        self.assertEqual(seen, {
            "configs": 200, "create": 201, "again": 201, "read": 200, "head": 200, "options": 204, "submit": 200, "job": 200, "log": 200,
            "output": 200, "list": 200, "forbidden": 403, "bare submit": 202, "delete": 200, "gone": 404, "nobody": 401,
        })

    # the key is bound to the caller and the path, so each walk needs a key of its own
    def own_key(self, headers, name):
        return {key: value.replace("walk", name) if key == "Idempotency-Key" else value for key, value in headers.items()}

    def test_python(self):
        def call(method, path, headers):
            answer = self.server.client.request(method, path, headers=self.own_key(headers, "python"))
            return answer.status, answer.body.decode()

        self.walk(call)

    def test_curl(self):
        def call(method, path, headers):
            command = ["curl", "-sS", "--noproxy", "*", "--cacert", self.server.path("ca.pem"), "-w", "\n%{http_code}"]
            command += ["-I"] if method == "HEAD" else ["-X", method]
            for name, value in self.own_key(headers, "curl").items():
                command += ["-H", f"{name}: {value}"]
            done = subprocess.run(
                command + [f"https://127.0.0.1:{self.server.port}{path}"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
            )
            body, _, status = done.stdout.rpartition("\n")
            return int(status), "" if method == "HEAD" else body

        self.walk(call)

    def node(self, name, call_text):
        self.assertTrue(shutil.which("node"), "node is not installed; packaging/test installs it")
        folder = self.server.path("node-" + name)
        os.makedirs(folder)
        for file, text in (("call.mjs", call_text), ("loop.mjs", NODE_LOOP)):
            with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                out.write(text)
        arguments = json.dumps({"url": f"https://127.0.0.1:{self.server.port}", "ca": self.server.path("ca.pem")})
        process = subprocess.Popen(
            ["node", os.path.join(folder, "loop.mjs"), arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": self.server.path("ca.pem"), "NO_PROXY": "*"},
        )

        def call(method, path, headers):
            process.stdin.write(json.dumps({"method": method, "path": path, "headers": self.own_key(headers, name)}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            return answer["status"], answer["body"]

        try:
            self.walk(call)
            process.stdin.close()
            self.assertEqual(process.wait(PATIENCE_S), 0)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_node_https(self):
        self.node("https", NODE_HTTPS)

    def test_node_fetch(self):
        self.node("fetch", NODE_FETCH)


if __name__ == "__main__":
    unittest.main()
