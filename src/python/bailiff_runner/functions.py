"""Finding the functions of tasks by name, and checking beforehand that they can be called.

Checking means importing, and importing runs the application's code: it may print, exit, crash or
hang. So a forked child does it and reports over a pipe; whatever becomes of it, the manifest's own process goes on.
"""

import json
import os
import select
import signal
import sys
import time

from .errors import describe, message_of, one_line

IMPORT_TIMEOUT_S = 120
_REPORT_MAX = 64 * 1024 * 1024


def locate(dotted):
    """(module name, attribute path, object) of "pkg.mod.Class.method": the longest importable beginning is the module."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            # "mod.Class is no package" means: try a shorter one. A module missing inside mod is mod's own failure.
            if length > 1 and error.name and (name == error.name or name.startswith(error.name + ".")):
                continue
            raise
        return name, ".".join(parts[length:]), attribute(sys.modules[name], parts[length:])
    raise ImportError(f"{dotted} names no module")


def attribute(found, names):
    for name in names:
        found = getattr(found, name)
    return found


def check(root, wanted):
    """Imports each dotted name; `wanted` is a list of (dotted name, number of inputs).

    Returns for each either a (module, attribute path) pair or a string saying what is wrong.
    """
    results = {}
    killers = {}
    while len(results) < len(wanted):
        for index, (dotted, _) in enumerate(wanted):
            module = dotted.rpartition(".")[0]
            if index not in results and module in killers:
                results[index] = killers[module]
        remaining = [index for index in range(len(wanted)) if index not in results]
        if not remaining:
            break
        begun, ending = _check_in_child(root, wanted, remaining, results)
        if len(results) == len(wanted):
            break
        # Without a report the child died; one module is to blame, and is not imported a second time.
        blamed = wanted[begun if begun is not None else remaining[0]][0]
        killers[blamed.rpartition(".")[0]] = f"importing {blamed.rpartition('.')[0]} {ending}"
    return [results[index] for index in range(len(wanted))]


def _check_in_child(root, wanted, remaining, results):
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            _child(root, wanted, remaining, writer)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    begun, in_time = None, False
    try:
        for report in _reports(reader):
            if "end" in report:
                in_time = True
                break
            if "begin" in report:
                begun = report["begin"]
            else:
                found = report["found"]
                results[report["index"]] = tuple(found) if isinstance(found, list) else found
        else:
            in_time = True
    except TimeoutError:
        pass
    finally:
        os.close(reader)
        # After its last report the child only has to exit, and it may be stuck in code of the application's.
        if not in_time or len(results) == len(wanted):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return begun, _ending(status) if in_time else f"took longer than {IMPORT_TIMEOUT_S} s"


def _reports(reader):
    """The child's lines, each a JSON object; ends with the pipe."""
    deadline = time.monotonic() + IMPORT_TIMEOUT_S
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    pending, total = b"", 0
    while True:
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0 or not poll.poll(left_ms):
            raise TimeoutError
        data = os.read(reader, 65536)
        total += len(data)
        if not data or total > _REPORT_MAX:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _ending(status):
    if os.WIFSIGNALED(status):
        return f"ended the process with signal {os.WTERMSIG(status)}"
    return f"ended the process with exit status {os.WEXITSTATUS(status)}"


def _child(root, wanted, remaining, writer):
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what a module prints while it is imported is for the operator's eyes
    os.chdir(root)
    sys.path.insert(0, root)

    def report(**message):
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(writer, data) :]

    for index in remaining:
        report(begin=index)
        report(index=index, found=_try(root, *wanted[index]))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    report(end=True)


def _try(root, dotted, inputs):
    module = dotted.rpartition(".")[0]
    try:
        module, path, found = locate(dotted)
    except AttributeError as error:
        if _own_frames(error, root) is None:
            return f"{dotted} does not exist: {one_line(message_of(error))}"
        return _import_failure(module, error, root)
    except BaseException as error:  # sys.exit() and Ctrl-C of a module, too
        return _import_failure(module, error, root)
    try:
        return _unfit(found, dotted, inputs) or (module, path)
    except BaseException as error:
        return f"{dotted} cannot be inspected: {describe(error)}"


def _import_failure(module, error, root):
    if isinstance(error, SyntaxError):
        file = os.path.basename(error.filename or "?")
        return f"cannot import {module}: {type(error).__name__}: {error.msg} ({file}, line {error.lineno})"
    return f"cannot import {module}: {describe(error)}{_own_frames(error, root) or ''}"


def _own_frames(error, root):
    """The innermost line of the application's own code that the exception passed."""
    place = None
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(root.rstrip("/") + "/"):
            place = f" ({os.path.relpath(name, root)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _unfit(found, dotted, inputs):
    """Why the object cannot be a task's function; None if it can, or if nobody can tell."""
    import inspect

    if not callable(found):
        return f"{dotted} is not callable, it is of type {type(found).__name__}"
    if inspect.iscoroutinefunction(found):
        return f"{dotted} is asynchronous; a task needs an ordinary function"
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*[None] * inputs)
    except TypeError as error:
        return f"{dotted} does not fit {inputs} input{'' if inputs == 1 else 's'}: {error}"
    return None
