"""Applications for tests: one in Taipy's form with a task of every kind, one in bailiff's own form with commands."""

import os
import textwrap

FUNCTIONS = '''
import os
import signal
import subprocess
import sys
import time


def double(nb):
    print(f"doubling {nb}")
    return nb * 2


def csv_to_json(rows):
    return rows.to_dict(orient="records") if hasattr(rows, "to_dict") else rows


def fail(nb):
    print("about to fail", file=sys.stderr)
    raise ValueError(f"boom: {nb}")


def echo(value):
    return value


def slow(nb):
    time.sleep(nb)
    return nb


def gated(path):
    """Runs until the file is there."""
    for _ in range(6000):
        if os.path.exists(path):
            return "open"
        time.sleep(0.05)
    raise TimeoutError("nobody opened the gate")


def brood(marker):
    """Leaves a grandchild in a session of its own, and waits."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", marker], start_new_session=True)
    print("the grandchild is there", flush=True)
    time.sleep(600)


def deaf(marker):
    """Ignores SIGTERM, and so do its forked descendants in sessions of their own, whose parents have gone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", marker])
            os._exit(0)
    print("they are there", flush=True)
    while True:
        time.sleep(1)


def die(nb):
    os._exit(7)


def split(nb):
    return nb, str(nb)


def too_few(nb):
    return (nb,)


def noop():
    return None
'''

TAIPY = '''
[TAIPY]

[JOB]
mode = "standalone"
max_nb_of_workers = "{workers}:int"

[CORE]
storage_folder = "user_data/"

[DATA_NODE.nb]
default_data = "21:int"

[DATA_NODE.doubled]

[DATA_NODE.quad]
validity_period = "1d2h0m3s:timedelta"

[DATA_NODE.src_csv]
storage_type = "csv"
default_path = "in.csv"
has_header = "True:bool"

[DATA_NODE.out_json]
storage_type = "json"

[DATA_NODE.failed_out]

[DATA_NODE.seconds]
default_data = "{seconds}:int"

[DATA_NODE.slow_out]

[DATA_NODE.gate_file]
default_data = "{gate}"

[DATA_NODE.gated_out]

[DATA_NODE.marker]
default_data = "{marker}"

[DATA_NODE.never]

[DATA_NODE.pair_a]

[DATA_NODE.pair_b]
storage_type = "in_memory"

[DATA_NODE.g_nb]
scope = "GLOBAL:SCOPE"
default_data = "1:int"

[DATA_NODE.g_out]
scope = "GLOBAL:SCOPE"

[DATA_NODE.g_last]
scope = "GLOBAL:SCOPE"

[DATA_NODE.unset]

[DATA_NODE.unset_out]

[TASK.double]
function = "fns.double:function"
inputs = [ "nb:SECTION",]
outputs = [ "doubled:SECTION",]
skippable = "False:bool"

[TASK.skippable]
function = "fns.double:function"
inputs = [ "nb:SECTION",]
outputs = [ "quad:SECTION",]
skippable = "True:bool"

[TASK.csv_to_json]
function = "fns.csv_to_json:function"
inputs = [ "src_csv:SECTION",]
outputs = [ "out_json:SECTION",]

[TASK.failing]
function = "fns.fail:function"
inputs = [ "nb:SECTION",]
outputs = [ "failed_out:SECTION",]

[TASK.dying]
function = "fns.die:function"
inputs = [ "nb:SECTION",]
outputs = [ "failed_out:SECTION",]

[TASK.slow]
function = "fns.slow:function"
inputs = [ "seconds:SECTION",]
outputs = [ "slow_out:SECTION",]

[TASK.gated]
function = "fns.gated:function"
inputs = [ "gate_file:SECTION",]
outputs = [ "gated_out:SECTION",]

[TASK.brood]
function = "fns.brood:function"
inputs = [ "marker:SECTION",]
outputs = [ "never:SECTION",]

[TASK.deaf]
function = "fns.deaf:function"
inputs = [ "marker:SECTION",]
outputs = [ "never:SECTION",]

[TASK.split]
function = "fns.split:function"
inputs = [ "nb:SECTION",]
outputs = [ "pair_a:SECTION", "pair_b:SECTION",]

[TASK.too_few]
function = "fns.too_few:function"
inputs = [ "nb:SECTION",]
outputs = [ "pair_a:SECTION", "pair_b:SECTION",]

[TASK.gtask]
function = "fns.double:function"
inputs = [ "g_nb:SECTION",]
outputs = [ "g_out:SECTION",]

[TASK.gnext]
function = "fns.double:function"
inputs = [ "g_out:SECTION",]
outputs = [ "g_last:SECTION",]

[TASK.noop]
function = "fns.noop:function"
inputs = []
outputs = []

[TASK.unset_task]
function = "fns.echo:function"
inputs = [ "unset:SECTION",]
outputs = [ "unset_out:SECTION",]

[SCENARIO.calc]
tasks = [ "double:SECTION", "csv_to_json:SECTION",]
additional_data_nodes = [ "unset:SECTION",]
frequency = "DAILY:FREQUENCY"

[SCENARIO.calc.sequences]
math = [ "double:SECTION",]
'''

CSV = "city,degrees\nOslo,3\nRoma,17\n"


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(text))
    return path


def taipy(folder, seconds=3, workers=2):
    """The Taipy application; `seconds` is how long its slow task takes, and `gated` runs until open_gate(folder)."""
    os.makedirs(folder, exist_ok=True)
    write(folder, "fns.py", FUNCTIONS)
    write(folder, "in.csv", CSV)
    values = {"seconds": seconds, "workers": workers, "marker": marker(folder), "gate": os.path.join(folder, "gate")}
    return write(folder, "app.toml", TAIPY.format(**values))


def marker(folder):
    """Stands in the command lines of what the task `brood` leaves behind."""
    return "brood-of-" + folder


def open_gate(folder):
    write(folder, "gate", "")


COUNTED = '''
data_nodes:
  nb: {{storage_type: json, default_path: nb.json}}
  counted_out: {{storage_type: json}}
tasks:
  counted: {{command: [./counted.sh, "0"], inputs: [nb], outputs: [counted_out]}}
  slow: {{command: [./counted.sh, "0.3"], inputs: [nb], outputs: [counted_out]}}
  noop: {{command: [/bin/true]}}
'''

# Who runs twice at once finds the lock taken: it goes with the process, however that ends.
COUNTED_SCRIPT = '''#!/bin/sh
exec 9>>"{folder}/locks/$BAILIFF_JOB_ID"
flock -n 9 || {{ echo "$BAILIFF_JOB_ID twice" >>"{folder}/journal"; exit 1; }}
echo "$BAILIFF_JOB_ID begins" >>"{folder}/journal"
sleep "$1"
echo '{{"ran": "'"$BAILIFF_JOB_ID"'"}}' >"$BAILIFF_OUTPUT_COUNTED_OUT"
echo "$BAILIFF_JOB_ID ends" >>"{folder}/journal"
'''


def counted(folder):
    """Commands that keep a journal, in `folder`/journal, of when which job begins, ends, or runs twice at once."""
    os.makedirs(os.path.join(folder, "locks"), exist_ok=True)
    write(folder, "nb.json", "21\n")
    os.chmod(write(folder, "counted.sh", COUNTED_SCRIPT.format(folder=folder)), 0o755)
    return write(folder, "app.yaml", COUNTED.format())
