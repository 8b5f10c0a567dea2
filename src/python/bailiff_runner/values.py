"""Taipy's typed values: "2:int", "1d2h:timedelta", "pkg.mod.name:function", "ENV[NAME]:bool", …

TOML has types of its own, but Config.export writes most values as text with the type behind a colon. Text with
another suffix, or none, is text.
"""

import math
import os
import re
from datetime import date, datetime, time, timedelta

SCOPES = ("SCENARIO", "CYCLE", "GLOBAL")
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "QUARTERLY", "YEARLY")

_TYPED = re.compile(r"(.+):(bool|str|int|float|datetime|timedelta|function|class|SCOPE|FREQUENCY|SECTION)")
_ENVIRONMENT = re.compile(r"ENV\[([a-zA-Z_]\w*)\](?::(bool|str|float|int))?", re.ASCII)
_DURATION = re.compile(
    r"(?:(?P<days>-?\d+(?:\.\d+)?)d)? *(?:(?P<hours>\d+(?:\.\d+)?)h)? *"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)m)? *(?:(?P<seconds>\d+(?:\.\d+)?)s)?",
    re.ASCII,
)


class BadValue(Exception):
    """A value that is not what its suffix, or its key, says; the message is for the application's author."""


class Reference:
    """A function or class by its dotted name, not imported yet."""

    __slots__ = ("path", "kind")

    def __init__(self, path, kind):
        self.path = path
        self.kind = kind

    def __eq__(self, other):
        return isinstance(other, Reference) and (self.path, self.kind) == (other.path, other.kind)

    def __hash__(self):
        return hash((self.path, self.kind))

    def __repr__(self):
        return f"{self.path}:{self.kind}"

    def __reduce__(self):
        # Pickled as default data, it is looked up when it is read: writing a manifest must not import it.
        import pydoc

        return (pydoc.locate, (self.path,))


def shown(value, limit=80):
    """A value as it may stand in a message."""
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= limit else text[: limit - 1] + "…"


def interpret(value, environ=os.environ):
    """The Python value that a TOML value stands for; containers are interpreted throughout.

    With environ=None, references to the environment stay the text that they are.
    """
    if isinstance(value, str):
        return _interpret_text(value, environ)
    if isinstance(value, list):
        return [interpret(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: interpret(item, environ) for key, item in value.items()}
    return value


def _interpret_text(text, environ):
    match = _ENVIRONMENT.fullmatch(text)
    if match and environ is None:
        return text
    if match:
        name, kind = match.groups()
        found = environ.get(name)
        if found is None:
            raise BadValue(f"the environment variable {name} is not set")
        return convert(found, kind or "str")
    match = _TYPED.fullmatch(text)
    return convert(*match.groups()) if match else text


def convert(text, kind):
    """Text to a value of the kind that a suffix names."""
    if kind in ("str", "SECTION"):
        return text
    if kind in ("function", "class"):
        return Reference(text, kind)
    if kind == "SCOPE":
        return one_of(text, SCOPES, "a scope")
    if kind == "FREQUENCY":
        return one_of(text, FREQUENCIES, "a frequency")
    try:
        return _CONVERTERS[kind](text)
    except (ValueError, OverflowError):
        raise BadValue(f"{shown(text)} is not {_KIND_NAMES[kind]}") from None


def one_of(text, names, what):
    name = text.upper() if isinstance(text, str) else None
    if name not in names:
        raise BadValue(f"{shown(text)} is not {what}; there are {', '.join(names)}")
    return name


def duration(text):
    match = _DURATION.fullmatch(text)
    parts = {name: float(part) for name, part in match.groupdict().items() if part} if match else {}
    if not parts:
        raise ValueError(text)
    return timedelta(**parts)


def duration_text(value):
    """The inverse of duration(); fractions of a second are kept."""
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    return f"{value.days}d{hours}h{minutes}m{seconds}{fraction}s"


def _boolean(text):
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_CONVERTERS = {
    "bool": _boolean,
    "int": int,
    "float": float,
    "datetime": datetime.fromisoformat,
    "timedelta": duration,
}
_KIND_NAMES = {
    "bool": "a boolean (True or False)",
    "int": "an integer",
    "float": "a number",
    "datetime": "a date and time (2024-01-02T03:04:05)",
    "timedelta": "a duration (1d2h0m3s)",
}


def as_boolean(value):
    if isinstance(value, bool):
        return value
    if isinstance(value, str):  # ENV[NAME] without a suffix
        return convert(value, "bool")
    raise BadValue(f"{shown(value)} is not {_KIND_NAMES['bool']}")


def as_integer(value):
    if isinstance(value, str):
        return convert(value, "int")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadValue(f"{shown(value)} is not an integer")


def as_milliseconds(value):
    if isinstance(value, str):
        value = convert(value, "timedelta")
    if not isinstance(value, timedelta):
        raise BadValue(f"{shown(value)} is not {_KIND_NAMES['timedelta']}")
    if value < timedelta(0):
        raise BadValue("a duration cannot be negative")
    return value // timedelta(milliseconds=1)


def as_property(value):
    """A value as JSON can carry it; what JSON has no form for is written as Taipy's typed text again."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if "\0" in value:
            raise BadValue("text must not contain a NUL character")
        return value
    if isinstance(value, int):
        return value if -(2**53) <= value <= 2**53 else f"{value}:int"
    if isinstance(value, float):
        return value if math.isfinite(value) else f"{value}:float"
    if isinstance(value, datetime):
        return f"{value.isoformat()}:datetime"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{duration_text(value)}:timedelta"
    if isinstance(value, dict):
        return {as_property(key): as_property(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_property(item) for item in value]
    return repr(value)  # a Reference
