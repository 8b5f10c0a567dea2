"""Applications for the model-based test. Each attempt of their tasks tells what it does in a log of the test's own, out of bailiff's
reach, and holds a lock there, together with every process that it forks, for as long as any of them lives."""

import fcntl
import os

from lib import apps, yamltext

FAMILIES = 10
# configuration: (what it does, inputs, output, skippable); of a family {i}
FAMILY = {
    "mk{i}": ("quick", [], "f{i}_a", False),
    "gm{i}": ("gated", [], "f{i}_a", False),
    "fl{i}": ("fail", [], "f{i}_a", False),
    "ab{i}": ("quick", ["f{i}_a"], "f{i}_b", False),
    "bc{i}": ("gated", ["f{i}_b"], "f{i}_c", False),
    "jn{i}": ("quick", ["f{i}_a", "f{i}_c"], "f{i}_d", False),
    "sk{i}": ("quick", ["f{i}_a"], "f{i}_s", True),
    "pu{i}": ("quick", ["f{i}_a"], "f{i}_p", False),
    "pr{i}": ("quick", ["f{i}_p"], "f{i}_q", False),
}
ALONE = ["quick", "gated", "deaf", "brood", "leaver", "fail", "crash", "segv", "flaky"]
FLAKY = 3  # the attempt of these that succeeds
# what it does, but under other rules; see RULES
RULED = {"hopeless": "fail", "shaky": "crash", "stolid": "fail", "frail": "gated", "single": "gated", "pair": "quick"}
RULES = {  # of execution.tasks
    "flaky": {"retries": {"max": 3, "delay": "30ms", "backoff": 2, "jitter": 0}},
    "hopeless": {"retries": {"max": 2, "delay": "20ms", "backoff": 3, "jitter": 0}},
    "shaky": {"retries": {"max": 1, "delay": 0, "on": ["exit:9", "signal:KILL"]}},
    "stolid": {"retries": {"max": 3, "delay": 0, "on": ["timeout"]}},
    "frail": {"lost_jobs": "fail", "retries": {"max": 2, "delay": "20ms", "backoff": 1, "jitter": 0, "on": ["lost"]}},
    "single": {"concurrency": 1},
    "pair": {"concurrency": 2},
}
CAUSES = {"fail": "error", "crash": "signal:KILL", "segv": "signal:SEGV", "forget": "error"}  # a function's crash is exit:9
WAITING = ("gated", "deaf", "brood")  # until their gate is opened


def tasks():
    """{configuration: (what it does, inputs, output, skippable)}"""
    found = {name: (name, ["nb"], "res", False) for name in ALONE}
    found.update((name, (what, ["nb"], "res", False)) for name, what in RULED.items())
    found["again"] = ("quick", ["nb"], "res", True)
    found["forlorn"] = ("quick", ["never"], "res", False)
    for i in range(FAMILIES):
        for name, (what, inputs, output, skippable) in FAMILY.items():
            found[name.format(i=i)] = (what, [n.format(i=i) for n in inputs], output.format(i=i), skippable)
    return found


def cause(what, attempt):
    """Why the attempt fails by itself, if it does."""
    return "error" if what == "flaky" and attempt < FLAKY else CAUSES.get(what)


def shared_nodes():
    return ["never"] + [f"f{i}_{part}" for i in range(FAMILIES) for part in "abcdspq"]


FUNCTIONS = '''
import fcntl
import os
import signal
import sys
import time

WITNESS = {witness!r}


def tell(*words):
    fd = os.open(WITNESS + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(words) + "\\n").encode())
    os.close(fd)


def open_gate(job):
    return os.path.exists(WITNESS + "/gates/all") or os.path.exists(WITNESS + "/gates/" + job)


def linger():
    """Leaves a grandchild in a session of its own that does not heed SIGTERM."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    while True:
        time.sleep(600)


def play(what, values):
    job, nth = os.environ["BAILIFF_JOB_ID"], os.environ["BAILIFF_ATTEMPT"]
    lock = os.open(WITNESS + "/locks/" + job, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        tell("double", job, nth)
    tell("begin", job, nth, str(os.getpid()), ",".join(str(value) for value in values))
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what in ("brood", "leaver"):
        linger()
    while what in {waiting!r} and not open_gate(job):
        time.sleep(0.01)
    if what == "fail" or (what == "flaky" and int(nth) < {flaky}):
        os.close(lock)
        raise ValueError("as it should")
    if what == "crash":
        os._exit(9)
    if what == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tell("end", job, nth)
    os.close(lock)
    return job + "/" + nth
'''

FUNCTION = '''

def {what}(*values):
    return play({what!r}, values)
'''

COMMAND = r"""#!/bin/sh
what=$1 output=$2 values=
shift 2
job=$BAILIFF_JOB_ID nth=$BAILIFF_ATTEMPT
exec 9>>"$WITNESS/locks/$job"
flock -n 9 || echo "double $job $nth" >>"$WITNESS/log"
for input; do
    eval "file=\$BAILIFF_INPUT_$input"
    values=$values${values:+,}$(tr -d '"' <"$file")
done
echo "begin $job $nth $$ $values" >>"$WITNESS/log"
case $what in
deaf) trap '' TERM ;;
brood | leaver) setsid /bin/sh -c "trap '' TERM; sleep 600 & sleep 601 &" ;;
esac
case $what in
gated | deaf | brood) while [ ! -e "$WITNESS/gates/all" ] && [ ! -e "$WITNESS/gates/$job" ]; do sleep 0.03; done ;;
fail) exit 3 ;;
flaky) [ "$nth" -ge 3 ] || exit 3 ;;
crash) kill -9 $$ ;;
segv) kill -SEGV $$ ;;
esac
echo "end $job $nth" >>"$WITNESS/log"
[ "$what" = forget ] || eval "echo \"\\\"$job/$nth\\\"\" >\"\$BAILIFF_OUTPUT_$output\""
"""


def _toml_list(names):
    return "[" + "".join(f' "{name}:SECTION",' for name in names) + "]"


def taipy(folder, witness, workers):
    """Python functions, in Taipy's form."""
    os.makedirs(folder, exist_ok=True)
    text = FUNCTIONS.format(witness=witness, waiting=WAITING, flaky=FLAKY)
    apps.write(folder, "fns.py", text + "".join(FUNCTION.format(what=what) for what in ALONE))
    lines = ["[TAIPY]", "[JOB]", 'mode = "standalone"', f'max_nb_of_workers = "{workers}:int"']
    lines += ["[DATA_NODE.nb]", 'default_data = "21:int"', "[DATA_NODE.res]"]
    for name in shared_nodes():
        lines += [f"[DATA_NODE.{name}]", 'scope = "GLOBAL:SCOPE"']
    for name, (what, inputs, output, skippable) in tasks().items():
        lines += [f"[TASK.{name}]", f'function = "fns.{what}:function"', f"inputs = {_toml_list(inputs)}"]
        lines += [f"outputs = {_toml_list([output])}", f'skippable = "{skippable}:bool"']
    return apps.write(folder, "app.toml", "\n".join(lines) + "\n")


def commands(folder, witness, workers):
    """Programs, in bailiff's own form; those of one family's data nodes lie at paths of the user's own."""
    os.makedirs(folder, exist_ok=True)
    os.chmod(apps.write(folder, "actor.sh", COMMAND), 0o755)
    nodes = {"nb": {"storage_type": "json", "default_data": "21"}, "res": {"storage_type": "json"}}
    for name in shared_nodes():
        nodes[name] = {"storage_type": "json", "scope": "GLOBAL"}
        if name.endswith("_p"):
            nodes[name]["path"] = os.path.join(folder, name + ".json")
    configs = dict(tasks(), forget=("forget", ["nb"], "res", False))
    described = {}
    for name, (what, inputs, output, skippable) in configs.items():
        command = ["./actor.sh", what, output.upper()] + [node.upper() for node in inputs]
        described[name] = {"command": command, "inputs": inputs, "outputs": [output], "skippable": skippable}
        described[name]["environment"] = {"WITNESS": witness}
    form = {"application": {"version": "1.0", "workers": workers}, "data_nodes": nodes, "tasks": described}
    return apps.write(folder, "app.yaml", yamltext.dump(form) + "\n")


class Witness:
    """What the attempts said and hold."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("locks", "gates"):
            os.makedirs(os.path.join(folder, name))
        self._log = open(os.path.join(folder, "log"), "a+b")
        self._log.seek(0)
        self._rest = b""
        self.begun = {}  # job: {attempt: (process, inputs)}
        self._last = {}  # process: (job, attempt)
        self.ended = set()  # (job, attempt)

    def close(self):
        self._log.close()

    def listen(self):
        """Takes what is new and returns (job, attempt, inputs) of each attempt that has begun."""
        *lines, self._rest = (self._rest + self._log.read()).split(b"\n")
        begun = []
        for line in lines:
            word, job, nth, *more = line.decode().split(" ")
            attempts = self.begun.setdefault(job, {})
            if word == "double":
                raise AssertionError(f"attempt {nth} of {job} began while another was alive: {attempts}")
            if word == "end":
                if (job, int(nth)) in self.ended:
                    raise AssertionError(f"attempt {nth} of {job} ended twice")
                self.ended.add((job, int(nth)))
                continue
            if any(other >= int(nth) for other in attempts):
                raise AssertionError(f"attempt {nth} of {job} began after {attempts}")
            inputs = more[1].split(",") if len(more) > 1 and more[1] else []
            attempts[int(nth)] = (int(more[0]), inputs)
            self._last[int(more[0])] = job, int(nth)
            begun.append((job, int(nth), inputs))
        return begun

    def last_of(self, process):
        """(job, attempt) that began in it last."""
        return self._last.get(process)

    def alive(self, job):
        """Whether any process of the job's attempts is."""
        try:
            fd = os.open(os.path.join(self.folder, "locks", job), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(fd)

    def open_gate(self, job):
        with open(os.path.join(self.folder, "gates", job), "wb"):
            pass
