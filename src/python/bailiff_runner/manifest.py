"""The `manifest` subcommand: reads a Taipy application (TOML) and writes what the server has to know of it.

    FOLDER/manifest.json and FOLDER/defaults/…      if all is well (exit status 0)
    FOLDER/errors.json                              if not (exit status 1): every problem found, with its line

The format is in src/jobs/PROTOCOL.md. Files appear whole or not at all, and the same application always gives the
same bytes.
"""

import json
import os
import re
import sys

from . import data_nodes, functions, graph
from .errors import message_of, well_formed
from .problems import Problems, TooManyProblems
from .sections import Section
from .toml_lines import TomlLines
from .values import BadValue, as_integer, shown

FORMAT = 1
FILE_MAX = 4 * 1024 * 1024
WORKERS_MAX = 1024
VERSION_MAX = 128


class Unreadable(Exception):
    """Nothing can be said of the file beyond the problem already noted."""


def main(application, folder):
    folder = os.path.abspath(folder)
    problems = Problems(application)
    manifest = None
    try:
        os.makedirs(os.path.join(folder, "defaults"), exist_ok=True)
        try:
            manifest = build(application, os.path.join(folder, "defaults"), problems)
        except (Unreadable, TooManyProblems):
            pass
        if problems.found:
            _publish(folder, "errors.json", "manifest.json", problems.sorted())
            return 1
        _publish(folder, "manifest.json", "errors.json", manifest)
        return 0
    except OSError as error:
        sys.stderr.write(f"bailiff_runner: {folder}: {error.strerror}\n")
        return 2


def build(application, defaults, problems):
    """The manifest as a dictionary; only to be used if no problem was found."""
    document = _parse(application, problems)
    root = os.path.dirname(os.path.abspath(application))
    if root != well_formed(root):
        problems.add_at(0, "the application's folder has a name that is not UTF-8.")
        raise Unreadable
    nodes = data_nodes.read_data_nodes(document, problems, root, defaults)
    node_ids = {node["id"]: node for node in nodes}
    # Names are looked up in the text, not among what could be read: one faulty section should be one problem.
    tasks = graph.read_tasks(document, problems, _declared(document, "DATA_NODE", node_ids))
    scenarios = graph.read_scenarios(document, problems, tasks, _declared(document, "DATA_NODE", node_ids))
    graph.check_cycles(tasks, problems)
    _resolve(tasks, root, problems)
    return {
        "format": FORMAT,
        "version": _single(document, "CORE", problems).get("version_number", _version, "development") or "development",
        "root": root,
        "workers": _single(document, "JOB", problems).get("max_nb_of_workers", _workers),
        "data_nodes": nodes,
        "tasks": [_task(task) for task in tasks],
        "scenarios": scenarios,
    }


def _parse(application, problems):
    try:
        import tomllib
    except ImportError:
        problems.add_at(0, "reading TOML takes Python 3.11 or later.")
        raise Unreadable from None
    try:
        with open(application, "rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        # the operator tries it as himself, and finds it readable
        who = f" by the user that runs tasks (uid {os.geteuid()})" if isinstance(error, PermissionError) else ""
        problems.add_at(0, f"cannot be read{who}: {error.strerror}.")
        raise Unreadable from None
    if len(data) > FILE_MAX:
        problems.add_at(0, f"is larger than {FILE_MAX >> 20} MiB.")
        raise Unreadable
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        problems.add_at(data.count(b"\n", 0, error.start) + 1, "is not UTF-8.")
        raise Unreadable from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = _syntax_error(message_of(error), text)
        problems.add_at(line, message)
        raise Unreadable from None
    except (RecursionError, ValueError) as error:  # a number with thousands of digits is a plain ValueError
        problems.add_at(0, "is nested too deeply." if isinstance(error, RecursionError) else f"{message_of(error)}.")
        raise Unreadable from None
    problems.lines_are(TomlLines(text))
    return document


def _syntax_error(message, text):
    match = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if match:
        return int(match.group(1)), f"{message[: match.start()]} (column {match.group(2)})."
    return len(text.rstrip("\n").split("\n")), message + "."


def _declared(document, kind, read):
    table = document.get(kind)
    ids = dict.fromkeys(table, True) if isinstance(table, dict) else {}
    ids.pop("default", None)
    return {**ids, **read}


def _single(document, kind, problems):
    """A section that exists once, such as [JOB]."""
    own = document.get(kind, {})
    if not isinstance(own, dict):
        problems.add((kind,), "must be a table.")
        own = {}
    return _Single(problems, kind, own)


class _Single(Section):
    def __init__(self, problems, kind, own):
        super().__init__(problems, kind, None, own)
        self.path = (kind,)

    def problem(self, key, message):
        self._problems.add((self.kind, key), message, section_parts=1)


def _version(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > VERSION_MAX or not value.isprintable():
        raise BadValue(f"{shown(value)} is not a version: text of at most {VERSION_MAX} characters")
    return value


def _workers(value):
    value = as_integer(value)
    if not 1 <= value <= WORKERS_MAX:
        raise BadValue(f"{value} is not between 1 and {WORKERS_MAX}")
    return value


def _resolve(tasks, root, problems):
    """Imports the functions, and splits their names into module and what is inside it."""
    named = [task for task in tasks if task["reference"]]
    found = functions.check(root, [(task["reference"], len(task["inputs"])) for task in named])
    for task, result in zip(named, found):
        if isinstance(result, str):
            problems.add(("TASK", task["id"]), result.rstrip(".") + ".")
        else:
            task["module"], task["function"] = result


def _task(task):
    return {
        "id": task["id"],
        "module": task.get("module"),
        "function": task.get("function"),
        "command": None,
        "environment": {},
        "inputs": task["inputs"],
        "outputs": task["outputs"],
        "skippable": task["skippable"],
        "timeout_ms": None,
    }


def _publish(folder, name, other, content):
    """Writes folder/name in one step; `other`, the opposite outcome of an earlier run, goes."""
    temporary = os.path.join(folder, f".{name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=True, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.unlink(os.path.join(folder, other))
    except FileNotFoundError:
        pass
    os.rename(temporary, os.path.join(folder, name))
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
