"""What the kernel tells of processes and of the machine."""

import os
import platform

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _parents():
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                parents[int(name)] = int(fields[1])
    return parents


def _stat(pid):
    """The fields of /proc/PID/stat behind the name: state, parent, … None: it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def family(pid):
    """The process and all its descendants."""
    found, parents = [pid], _parents()
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_s(pid):
    """User and system time so far of a process and its descendants, those that it has waited for included."""
    ticks = 0
    for member in family(pid):
        fields = _stat(member)
        if fields:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_S


def memory_kib(pid, what="VmRSS"):
    """VmRSS: all that is resident; RssAnon: what is its own, without programs, libraries and mapped files."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(what + ":"):
                return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/status has no {what}")


def family_memory_kib(pid, what="VmRSS"):
    return sum(memory_kib(member, what) for member in family(pid))


def cores():
    return len(os.sched_getaffinity(0))


def description():
    model, memory_gib, system = "unknown processor", 0.0, "Linux"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = " ".join(line.partition(":")[2].replace("(R)", "").replace("(TM)", "").split())
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_gib = int(file.readline().split()[1]) / 2**20
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                system = line.partition("=")[2].strip().strip('"')
    return f"{model}, {cores()} cores, {memory_gib:.0f} GiB, {system}, Linux {platform.release()}; load and servers on the same machine"
