"""What the server takes when nothing happens: at start, and with many idle TLS connections."""

import resource
import socket
import ssl

import machine
import peers

REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _connect(port, context):
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname="localhost")


def _own_kib(pid):
    return machine.family_memory_kib(pid, "RssAnon")


def _measure(options, pid, port, ca_file):
    """KiB a connection after its handshake, after a request and its answer; what is left when all are gone."""
    context = ssl.create_default_context(cafile=ca_file)
    before = _own_kib(pid)
    connections = []
    try:
        for _ in range(options.connections):
            connections.append(_connect(port, context))
        shaken = _own_kib(pid) - before
        for connection in connections:
            connection.sendall(REQUEST)
            answer = connection.recv(65536)
            if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(f"an idle connection was answered {answer[:200]!r}")
        asked = _own_kib(pid) - before
    finally:
        for connection in connections:
            connection.close()
    return shaken / options.connections, asked / options.connections


def _at_start(report, bailiff):
    """Everything that runs, one process a row: the first is the server."""
    rows = []
    for pid in machine.family(bailiff.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
        name = " ".join([words[0].rpartition("/")[2], *(w.rpartition("/")[2] for w in words[1:4] if not w.startswith("-"))])
        rows.append([name.strip(), machine.memory_kib(pid) / 1024, machine.memory_kib(pid, "RssAnon") / 1024])
    report.table("Memory at start", ["process", "RSS MiB", "of its own MiB"], rows)
    report.target("idle: RSS of the server at start", rows[0][1], 30, unit="MiB")


def bench(options, folder, report, _):
    options.say("idle")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    options.connections = min(10_000, hard - 1000)
    limits = {
        "connections": options.connections + 100,
        "connections_per_address": 0,
        "idle_timeout": "10m",
        "memory_budget": "8GiB",
    }
    bailiff = peers.Bailiff(settings={"limits": limits})
    rows = []
    try:
        _at_start(report, bailiff)
        credentials = bailiff.server.path
        options.say(f"  {options.connections} connections to bailiff")
        ours = _measure(options, bailiff.pid, bailiff.server.port, credentials("ca.pem"))
        rows.append([bailiff.name, *ours])
        for kind, name in ((peers.BareH2o, "bare libh2o"), (peers.Nginx, "nginx"), (peers.Haproxy, "HAProxy")):
            options.say(f"  {options.connections} connections to {name}")
            try:
                peer = kind(name, folder, credentials)
                try:
                    rows.append([name, *_measure_peer(options, peer, credentials)])
                finally:
                    peer.stop()
            except (RuntimeError, OSError) as error:
                options.say(f"  {name}: {error}")
    finally:
        bailiff.close()
    report.table(
        f"{options.connections:,} idle TLS 1.3 connections",
        ["server", "KiB each after the handshake", "KiB each after a request"],
        rows,
        "What is the servers' own (RssAnon), without the kernel's buffers.",
    )
    report.target("idle: memory of a connection", max(ours), 20, unit="KiB")


def _measure_peer(options, peer, credentials):
    if isinstance(peer, peers.Haproxy):  # it answers only tokens: the handshake alone
        context = ssl.create_default_context(cafile=credentials("ca.pem"))
        before, connections = _own_kib(peer.pid), []
        try:
            for _ in range(options.connections // 2):  # two descriptors each, it reckons
                connections.append(_connect(peer.port, context))
            return (_own_kib(peer.pid) - before) / len(connections), "–"
        finally:
            for connection in connections:
                connection.close()
    return _measure(options, peer.pid, peer.port, credentials("ca.pem"))
