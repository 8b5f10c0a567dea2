"""The `worker` subcommand: answers requests on descriptor 3, one at a time, until it is closed.

Descriptors 1 and 2 belong to the users' code. What it printed is flushed before each answer, so that the
output of one run can never be taken for that of the next.
"""

# Loaded now, because from the first request on the application's folder comes first on sys.path, and a csv.py in it
# must not become ours.
import atexit
import csv  # noqa: F401
import os
import sys
import time

from . import frames, reads, runs
from .errors import one_line

DESCRIPTOR = 3
_EXIT_PROTOCOL = 2
_THREADS_GRACE_S = 0.1

_NODE = {"config_id": str, "storage_type": str, "path": str, "properties": dict}
_RUN = {"job": str, "nth": int, "root": str, "module": str, "function": str, "inputs": list, "outputs": list}
_READ = {"root": str, "storage_type": str, "path": str, "properties": dict, "filter": (dict, type(None)), "result": str}


def main():
    channel = frames.Channel(DESCRIPTOR)
    # A process that the users' code forks must not keep the connection open, nor answer on it.
    os.register_at_fork(after_in_child=channel.close)
    _own_standard_streams()
    application = _Application()
    status = 0
    try:
        while True:
            request = channel.receive()
            if request is None:
                break
            answer = _answer(request, application)
            if _threads_left():
                answer["restart"] = True
            _flush()
            channel.send(answer)
    except frames.BrokenFrame as error:
        sys.stderr.write(f"bailiff_runner: {error}\n")
        status = _EXIT_PROTOCOL
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody wants the answer any more
    _leave(status)


def _answer(request, application):
    if request.get("op") == "run":
        _check(request, _RUN)
        for node in request["inputs"] + request["outputs"]:
            _check(node, _NODE)
        application.enter(request["root"])
        return runs.run(request)
    if request.get("op") == "read":
        _check(request, _READ)
        application.enter(request["root"])
        return reads.read(request)
    raise frames.BrokenFrame(f"unknown request {one_line(repr(request.get('op')), 40)}")


def _check(members, types):
    for name, kind in types.items():
        if not isinstance(members, dict) or not isinstance(members.get(name, ...), kind):
            raise frames.BrokenFrame(f"a request's {name} is missing or mistyped")


def _threads_left():
    """Whether threads of the users' code go on: they would run beside the next attempt, perhaps of the same job."""
    threading = sys.modules.get("threading")
    if threading is None:
        return False
    try:
        end = time.monotonic() + _THREADS_GRACE_S  # one that was told to end may need a moment
        while any(_goes_on(thread, threading) for thread in threading.enumerate()):
            if time.monotonic() > end:
                return True
            time.sleep(0.002)
        return False
    except Exception:  # the users' code has put something else in its place
        return True


def _goes_on(thread, threading):
    # Dummies stand for threads that Python did not start: those of libraries that wait for work.
    return thread is not threading.main_thread() and not isinstance(thread, threading._DummyThread)


class _Application:
    """The folder whose modules are imported and in which functions run."""

    def __init__(self):
        self._root = None

    def enter(self, root):
        if root != self._root:
            self._replace(root)
        try:
            os.chdir(root)  # each time: a function may have gone elsewhere
        except OSError:
            pass  # the import or the file that needs it fails with a better message

    def _replace(self, root):
        if self._root is not None:
            sys.path[:] = [entry for entry in sys.path if entry != self._root]
            folder = self._root.rstrip("/") + "/"
            for name, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(folder):
                    del sys.modules[name]
            runs.forget_functions()
        sys.path.insert(0, root)
        self._root = root


def _own_standard_streams():
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _flush():
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except Exception:
            pass  # closed, replaced by something odd, or its reader has gone: the users' affair
    # Extension modules print through C's own buffers. They come with ctypes or beside it, never before it is needed.
    if _c_library is None and _has_foreign_extension():
        _load_c_library()
    if _c_library:
        _c_library.fflush(None)


_c_library = None
_modules_seen = 0


def _has_foreign_extension():
    """Whether compiled code from outside Python's own library has been imported since the last look."""
    global _modules_seen
    if len(sys.modules) == _modules_seen:
        return False
    _modules_seen = len(sys.modules)
    own = os.path.dirname(os.__file__) + "/lib-dynload/"
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".so") and not file.startswith(own):
            return True
    return "ctypes" in sys.modules


def _load_c_library():
    global _c_library
    try:
        import ctypes

        _c_library = ctypes.CDLL(None)
    except (ImportError, OSError):
        _c_library = False


def _leave(status):
    """Ends the process without waiting for threads that the users' code left behind."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass
    _flush()
    os._exit(status)
