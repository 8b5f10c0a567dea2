"""JSON data nodes: always valid JSON, with Taipy's {"__type__", "__value__"} objects for what JSON has no form for.

NaN and the infinities become null, in files and in answers alike: a file that other programs refuse helps nobody.
"""

import base64
import json
import math
import sys
from datetime import date, datetime, timedelta

from .errors import StorageError
from .values import duration, duration_text

TYPE = "__type__"
VALUE = "__value__"


def load(path, properties):
    decoder = _named_class(properties.get("decoder"))
    with open(path, encoding=encoding(properties, reading=True)) as file:
        if decoder:
            return json.load(file, cls=decoder)
        return json.load(file, object_hook=_revive)


def dump(value, properties, file):
    encoder = _named_class(properties.get("encoder"))
    if encoder:
        text = json.dumps(value, cls=encoder, allow_nan=False)
    else:
        text = to_text(value)
    # Escapes only, so that any encoding a JSON file can have will do.
    file.write(text.encode(encoding(properties, reading=False)))


def to_text(value):
    try:
        return json.dumps(value, default=_wrap, allow_nan=False)
    except ValueError as error:
        if "circular" in str(error).lower():
            raise StorageError("The value contains itself.") from None
    # Rare enough to pay for a copy only then.
    return json.dumps(_without_nan(value), default=lambda item: _without_nan(_wrap(item)), allow_nan=False)


def _without_nan(value):
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_finite_key(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value


def _finite_key(key):
    return str(key) if isinstance(key, float) and not math.isfinite(key) else key


def encoding(properties, reading):
    name = properties.get("encoding") or "utf-8"
    return "utf-8-sig" if reading and name.lower().replace("_", "-") in ("utf-8", "utf8") else name


def _named_class(reference):
    """A class of the application's own, written "pkg.mod.Name:class"."""
    if not reference:
        return None
    from .functions import locate

    return locate(reference.removesuffix(":class"))[2]


def _wrap(value):
    """What json calls for a value it does not know."""
    if isinstance(value, datetime):  # pandas' NaT is one, too
        return {TYPE: "Datetime", VALUE: value.isoformat()} if value == value else None
    if isinstance(value, date):
        return {TYPE: "Date", VALUE: value.isoformat()}
    if isinstance(value, timedelta):
        return {TYPE: "Timedelta", VALUE: duration_text(value)} if value == value else None
    if isinstance(value, (set, frozenset)):
        try:
            items = sorted(value)
        except TypeError:
            items = list(value)
        return {TYPE: "Set", VALUE: items}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {TYPE: "Bytes", VALUE: base64.b64encode(value).decode()}
    return _wrap_uncommon(value)


def _wrap_uncommon(value):
    from . import plain

    if plain.is_tabular(value):
        return plain.unwrap(value)
    import dataclasses
    import decimal
    import enum
    import os
    import uuid

    kind = type(value)
    if isinstance(value, decimal.Decimal):
        return {TYPE: "Decimal", VALUE: str(value)}
    if isinstance(value, enum.Enum):
        return {TYPE: f"Enum-{kind.__module__}-{kind.__qualname__}-{value.name}", VALUE: value.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {TYPE: f"dataclass-{kind.__module__}-{kind.__qualname__}", VALUE: fields}
    if isinstance(value, (os.PathLike, uuid.UUID)):
        return str(value)
    raise StorageError(f"A value of type {kind.__qualname__} has no form in JSON.")


def _revive(found):
    """The inverse of _wrap, for each JSON object read."""
    name = found.get(TYPE)
    if not isinstance(name, str) or VALUE not in found:
        return found
    value = found[VALUE]
    simple = _SIMPLE.get(name)
    if simple:
        return simple(value)
    kind, *rest = name.split("-")
    if kind == "Enum" and len(rest) == 3:
        return _loaded_class(rest[0], rest[1], "enum", "Enum")[rest[2]]
    if kind == "dataclass" and len(rest) == 2:
        return _loaded_class(rest[0], rest[1], "dataclasses", None)(**value)
    return found


def show(found):
    """For each JSON object read, what a reader wants to see of it: no class has to be at hand for that."""
    name = found.get(TYPE)
    if isinstance(name, str) and len(found) == 2 and VALUE in found:
        if name in _SIMPLE or name.startswith(("Enum-", "dataclass-")):
            return found[VALUE]
    return found


def _decimal(value):
    import decimal

    return decimal.Decimal(value)


_SIMPLE = {
    "Datetime": datetime.fromisoformat,
    "Date": date.fromisoformat,
    "Timedelta": duration,
    "Set": set,
    "Bytes": base64.b64decode,
    "Decimal": _decimal,
}


def _loaded_class(module, name, library, base):
    """The class that a file names. Data must not choose what is imported or called: it has to be a dataclass or an
    Enum of a module that the task's own code has loaded."""
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    checker = sys.modules.get(library)
    if isinstance(found, type) and checker:
        if issubclass(found, checker.Enum) if base else checker.is_dataclass(found):
            return found
    raise StorageError(f"The file holds a {module}.{name}, which the task's module does not define or import.")
