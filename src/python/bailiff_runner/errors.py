"""How failures are put into words: one bounded line for a list, a bounded stack trace for the curious.

Both end up in JSON that a strict parser reads, so neither may hold NUL or half a surrogate pair.
"""

import os
import re

LINE_MAX = 500
STACK_MAX = 64 * 1024
CLASSES_MAX = 32
CLASS_MAX = 200

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FORBIDDEN_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ABSOLUTE_PATH = re.compile(r"(?<![\w.)\]])/[^\s'\"<>:,;()]+")


class StorageError(Exception):
    """A value that cannot be read or stored as its data node wants it; the message is meant for people."""


def well_formed(text):
    """The text with what is no character (half a surrogate pair) replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text, limit=LINE_MAX):
    text = well_formed(_CONTROL.sub(" ", text[: limit * 4])).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def message_of(error):
    """str(error), even where that raises. Of a system call's failure only the reason: its path is nobody's business."""
    try:
        if isinstance(error, OSError) and error.strerror:
            return str(error.strerror)
        return str(error)
    except BaseException:
        return "(the exception cannot be printed)"


def _name(kind):
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def classes_of(error):
    """Names of the exception's class and those that it is derived from, for whoever decides whether to try again."""
    try:
        return [one_line(_name(kind), CLASS_MAX) for kind in type(error).__mro__[:CLASSES_MAX] if kind is not object]
    except BaseException:  # a class that misbehaves when it is looked at
        return []


def describe(error):
    """``ValueError: boom: 21``, as the last line of a stack trace has it."""
    if isinstance(error, StorageError):
        return one_line(message_of(error))
    name = _name(type(error))
    message = message_of(error)
    return one_line(f"{name}: {message}" if message else name)


def without_paths(line):
    return _ABSOLUTE_PATH.sub("…", line)


def stack_of(error):
    """The stack trace without this package's own frames, never longer than STACK_MAX bytes."""
    import traceback

    try:
        trace = traceback.TracebackException.from_exception(error)
        _drop_own_frames(trace)
        text = "".join(trace.format())
    except BaseException:  # out of memory, or an exception that misbehaves when it is looked at
        text = describe(error)
    return bounded(_FORBIDDEN_IN_TEXT.sub("\ufffd", text), STACK_MAX)


def _drop_own_frames(trace):
    while trace is not None:
        trace.stack[:] = [frame for frame in trace.stack if not frame.filename.startswith(_PACKAGE)]
        trace = trace.__cause__ or trace.__context__


def bounded(text, limit):
    """At most limit bytes of UTF-8; the middle goes, since both the origin and the end of a trace matter."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    gap = f"\n… {len(data) - limit} bytes left out …\n".encode()
    half = (limit - len(gap) - 16) // 2
    return (data[:half] + gap + data[-half:]).decode("utf-8", "ignore")
