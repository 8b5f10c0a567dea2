"""Answers `run`: loads a task's inputs, calls its function, stores what it returns."""

import os
import sys
from itertools import islice

from . import storage
from .errors import classes_of, describe, stack_of
from .functions import attribute


class Failed(Exception):
    """The run failed; the line says where, the cause (if any) why."""


_functions = {}


def run(request):
    """The answer to a run request."""
    # As commands have them: by these the users' code can make sure that what it does elsewhere is done once.
    os.environ["BAILIFF_JOB_ID"] = request["job"]
    os.environ["BAILIFF_ATTEMPT"] = str(request["nth"])
    try:
        # First the function: its module must be there before the inputs that are of its classes.
        function = _function(request["module"], request["function"])
        values = [_load(node) for node in request["inputs"]]
        result = _call(function, values)
        del values
        _store(request["outputs"], result)
    except Failed as failure:
        cause = failure.__cause__
        return _failure(str(failure), stack_of(cause) if cause else str(failure), cause)
    except BaseException as error:  # whatever users' code raises, SystemExit and KeyboardInterrupt included
        return _failure(describe(error), stack_of(error), error)
    return {"op": "done", "ok": True}


def _failure(error, stacktrace, exception):
    answer = {"op": "done", "ok": False, "error": error, "stacktrace": stacktrace}
    if exception is not None:
        answer["exceptions"] = classes_of(exception)
    return answer


def forget_functions():
    _functions.clear()


def _function(module, name):
    function = _functions.get((module, name))
    if function is None:
        __import__(module)
        function = attribute(sys.modules[module], name.split("."))
        _functions[module, name] = function
    return function


def _call(function, values):
    process = os.getpid()
    status = 1
    try:
        result = function(*values)
        status = 0
        return result
    finally:
        # A fork that comes back from the user's function must neither store outputs nor answer.
        if os.getpid() != process:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)


def _load(node):
    try:
        return storage.load(node["storage_type"], node["path"], node["properties"])
    except BaseException as error:
        raise Failed(f"Input {node['config_id']} cannot be read: {describe(error)}") from error


def _store(nodes, result):
    """Writes each output's file; after a failure none of them is left."""
    values = _values(nodes, result)
    written = []
    try:
        for node, value in zip(nodes, values):
            try:
                with storage.create(node["path"]) as file:
                    written.append(node["path"])
                    storage.dump(value, node["storage_type"], node["properties"], file)
            except BaseException as error:
                raise Failed(
                    f"Output {node['config_id']} cannot be stored as {node['storage_type']}: {describe(error)}"
                ) from error
    except Failed:
        for path in written:
            os.unlink(path)
        raise


def _values(nodes, result):
    """One value for each output: the result itself for one, its items for several."""
    if len(nodes) == 0:
        return []
    if len(nodes) == 1:
        return [result]
    names = ", ".join(node["config_id"] for node in nodes)
    if isinstance(result, (str, bytes, dict, set)) or not hasattr(result, "__iter__"):
        kind = type(result).__name__
        raise Failed(f"The function returned a value of type {kind}, but the task has {len(nodes)} outputs ({names}).")
    values = list(islice(result, len(nodes) + 1))
    if len(values) != len(nodes):
        more = "more" if len(values) > len(nodes) else "fewer"
        raise Failed(f"The function returned {more} than {len(nodes)} values; the task's outputs are {names}.")
    return values
