"""Reading one task: with a hot token, with another token on every request, and with forged ones."""

import contextlib
import subprocess

import load
import machine
import peers
from lib import tokens


class Gets:
    """The servers, running, for all three."""

    def __init__(self, options, folder):
        self._options, self._folder = options, folder
        self._round = 0
        with contextlib.ExitStack() as stack:
            self.bailiff = peers.Bailiff()
            stack.callback(self.bailiff.close)
            credentials = self.bailiff.server.path
            self.haproxy = self._start(stack, peers.Haproxy, "HAProxy jwt_verify RS256", credentials)
            self.nginx = self._start(stack, peers.Nginx, "nginx, constant", credentials)
            self.bare = self._start(stack, peers.BareH2o, "bare libh2o, constant", credentials)
            self.path = f"/api/v1/tasks/{self.bailiff.server.create('double')['id']}/"
            self.url = self.bailiff.url(self.path)
            self._stack = stack.pop_all()

    def _start(self, stack, kind, name, credentials):
        peer = kind(name, self._folder, credentials)
        stack.callback(peer.stop)
        return peer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def load(self, server, seconds=None, **how):
        url = self.url if server is self.bailiff else server.url
        result = load.run(self._folder, server.pid, url, seconds or self._options.seconds, **how)
        self.bailiff.forget_log()
        return result

    def interleaved(self, runs):
        """runs: {name: function that returns a Result}. Each in turn, round after round."""
        results = {name: [] for name in runs}
        for _ in range(self._options.rounds):
            for name, run in runs.items():
                self._options.say(f"  {name}")
                results[name].append(run())
        return results

    # -- the three --

    def hot(self, report):
        token = self.bailiff.token("TAIPY_READER")
        servers = [self.bailiff, self.haproxy, self.nginx, self.bare]
        for server in servers:
            self.load(server, 1, token=token)
        results = self.interleaved({server.name: lambda s=server: self.load(s, token=token) for server in servers})
        memory = {server.name: machine.memory_kib(server.pid) / 1024 for server in servers}
        memory[self.nginx.name] = machine.family_memory_kib(self.nginx.pid) / 1024
        ours = results[self.bailiff.name]
        rows = []
        for name, theirs in results.items():
            rows.append(
                [
                    name,
                    load.median(theirs, "cpu_us"),
                    load.median(theirs, "rate"),
                    f"{load.ratio(ours, theirs, 'cpu_us'):.2f}",
                    load.median(theirs, "p99_ms"),
                    memory[name],
                ]
            )
        report.table(
            "One task read, hot token",
            ["server", "CPU µs/request", "requests/s", "bailiff's CPU / its CPU", "p99 ms", "RSS MiB"],
            rows,
            f"TLS 1.3, keep-alive, {load.CONNECTIONS} connections. bailiff checks token and role, reads the store and writes an access log "
            "line for each request; the others answer 400 constant bytes.",
        )
        report.target("hot: CPU per request, of HAProxy's", load.ratio(ours, results[self.haproxy.name], "cpu_us"), 0.5)

    def make_tokens(self):
        self._options.say(f"  making {self._options.tokens} tokens")
        self.good, self.forged = self._folder + "/good", self._folder + "/forged"
        key = self.bailiff.server.path("rs-key.pem")
        command = [self._options.tool("bench_tokens"), key, tokens.RS_ISSUER, tokens.AUDIENCE, "TAIPY_READER"]
        subprocess.run([*command, str(self._options.tokens), self.good, self.forged], check=True, timeout=600)

    def _from_file(self, server, file, **how):
        self._round += 1
        script = load.script_for_tokens(file, machine.cores(), self._round * 0.381966 % 1)
        return self.load(server, script=script, **how)

    def fresh(self, report):
        self.make_tokens()
        results = self.interleaved(
            {server.name: lambda s=server: self._from_file(s, self.good) for server in (self.bailiff, self.haproxy)}
        )
        ours, theirs = results[self.bailiff.name], results[self.haproxy.name]
        report.table(
            "One task read, every request another RS256 token",
            ["server", "CPU µs/request", "requests/s", "p99 ms"],
            [[name, *(load.median(r, what) for what in ("cpu_us", "rate", "p99_ms"))] for name, r in results.items()],
        )
        report.target("fresh: requests/s, of HAProxy's", load.ratio(ours, theirs, "rate"), 1.0, at_least=True)

    def forged_tokens(self, report):
        if not hasattr(self, "forged"):
            self.make_tokens()
        hot = self.bailiff.token("TAIPY_READER")
        results = self.interleaved(
            {
                "bailiff, forged": lambda: self._from_file(self.bailiff, self.forged, refusals=True),
                "bailiff, honest and fresh": lambda: self._from_file(self.bailiff, self.good),
                "bailiff, honest and hot": lambda: self.load(self.bailiff, token=hot),
            }
        )
        report.table(
            "Forged RS256 tokens at full speed",
            ["", "CPU µs/request", "requests/s"],
            [[name, load.median(r, "cpu_us"), load.median(r, "rate")] for name, r in results.items()],
            "The forged ones have good content and a signature of random bytes.",
        )
        forged, honest = results["bailiff, forged"], results["bailiff, honest and fresh"]
        report.target("forged: CPU per refusal, of an honest fresh token's", load.ratio(forged, honest, "cpu_us"), 1.0)


def bench(options, folder, report, names):
    with Gets(options, folder) as gets:
        for name, run in (("hot", gets.hot), ("fresh", gets.fresh), ("forged", gets.forged_tokens)):
            if name in names:
                options.say(name)
                run(report)
