"""wrk, and what it said."""

import json
import statistics
import subprocess

import machine

_SCRIPT = """
wrk.method = "@METHOD@"
@MORE@
function done(summary, latency, requests)
   local e = summary.errors
   print(string.format('RESULT {"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "p50_ms": %f, "p99_ms": %f, "max_ms": %f}',
      summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""

# Each thread begins where no other is and where the last run was not: @OFFSET@ moves from run to run.
_EVERY_REQUEST_ANOTHER_TOKEN = """
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
function init(args)
   tokens = {}
   for line in io.lines("@FILE@") do tokens[#tokens + 1] = line end
   at = math.floor(#tokens * (number / @THREADS@ + @OFFSET@)) % #tokens
   head = wrk.method .. " " .. wrk.path .. " HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer "
end
function request()
   at = at % #tokens + 1
   return head .. tokens[at] .. "\\r\\n\\r\\n"
end
"""

CONNECTIONS = 64


class Result:
    """One run of wrk against one server."""

    def __init__(self, told, cpu_s):
        self.requests = told["requests"]
        self.rate = told["requests"] / told["seconds"]
        self.refused = told["refused"]
        self.cpu_us = cpu_s * 1e6 / max(1, told["requests"])
        self.p50_ms, self.p99_ms, self.max_ms = told["p50_ms"], told["p99_ms"], told["max_ms"]
        if told["broken"] > told["requests"] / 1000 or told["requests"] == 0:
            raise RuntimeError(f"connections failed under load: {told}")


def _filled(template, **values):
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template


def script_for_tokens(file, threads, offset):
    return _filled(_EVERY_REQUEST_ANOTHER_TOKEN, FILE=file, THREADS=threads, OFFSET=f"{offset:.6f}")


def run(folder, server_pid, url, seconds, token=None, method="GET", script="", connections=CONNECTIONS, refusals=False):
    """Loads url, and says what that cost the server. Refusals (400 and above) are errors unless they are what is measured."""
    threads = min(machine.cores(), connections)
    path = f"{folder}/wrk.lua"
    with open(path, "w", encoding="utf-8") as file:
        file.write(_filled(_SCRIPT, METHOD=method, MORE=script))
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", path]
    if token:
        command += ["-H", "Authorization: Bearer " + token]
    before = machine.cpu_s(server_pid)
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 120)
    spent = machine.cpu_s(server_pid) - before
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result = Result(json.loads(line[7:]), spent)
            break
    else:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    wrong = result.requests - result.refused if refusals else result.refused
    if wrong:
        raise RuntimeError(f"{wrong} of {result.requests} answers of {url} were {'good' if refusals else 'errors'}")
    return result


def median(results, what):
    return statistics.median(getattr(result, what) for result in results)


def ratio(ours, theirs, what):
    """Of runs that stood side by side."""
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(ours, theirs))
