"""Any value as plain JSON: for answers, where people want to see data, not restore it.

Tables become lists of records, dates ISO 8601 text, sets lists, bytes base64, NaN and the infinities null. An
object without a form of its own is shown by its fields, or, as the last resort, as it prints.
"""

import json
import math
import sys
from datetime import date, datetime, time, timedelta

from .errors import StorageError, well_formed

DEPTH_MAX = 200
TEXT_MAX = 10_000
_INTEGER_BITS_MAX = 4096
_LIBRARIES = ("pandas", "numpy", "pyarrow", "polars", "modin")


def to_json(value):
    """UTF-8 JSON of any value."""
    try:
        # All at C speed as long as nothing is out of the ordinary.
        text = json.dumps(value, default=_ordinary, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return text.encode()
    except (ValueError, TypeError, RecursionError):
        pass
    value = _plain(value, 0, set())
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def is_tabular(value):
    """Whether the value belongs to one of the data libraries; none of them is imported to find out."""
    return type(value).__module__.partition(".")[0] in _LIBRARIES


def unwrap(value):
    """A library's table, array or scalar as lists, dicts and scalars; anything else as it is."""
    if not is_tabular(value):
        return value
    name = type(value).__name__
    if name == "DataFrame":
        return value.to_dicts() if hasattr(value, "to_dicts") else value.to_dict(orient="records")
    for method in ("to_pylist", "tolist", "to_list", "item", "as_py"):
        if hasattr(value, method):
            return getattr(value, method)()
    return value


def fields_of(value):
    """The fields of a record that is an object of a class of the application's; anything else as it is."""
    if isinstance(value, (dict, list, tuple, str, bytes, int, float, type(None), date, time, timedelta)):
        return value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else value
    if is_tabular(value):
        return unwrap(value)
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict) and not isinstance(value, type) and not callable(value):
        return {name: field for name, field in fields.items() if not name.startswith("_")} or value
    dataclass_fields = getattr(type(value), "__dataclass_fields__", None)
    if dataclass_fields:  # one with slots
        return {name: getattr(value, name) for name in dataclass_fields}
    return value


def _ordinary(value):
    """One step towards JSON for a value that json does not know."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat() if value == value else None
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, (set, frozenset)):
        try:
            return sorted(value)
        except TypeError:
            return sorted(value, key=repr)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return base64.b64encode(value).decode()
    if is_tabular(value):
        unwrapped = unwrap(value)
        return unwrapped if unwrapped is not value else _printed(value)
    return _uncommon(value)


def _duration(value):
    """ISO 8601, in the one unit that is the same everywhere."""
    if value != value:
        return None
    seconds = value.total_seconds()
    return f"PT{int(seconds) if seconds.is_integer() else seconds}S"


def _uncommon(value):
    decimal = sys.modules.get("decimal")
    if decimal and isinstance(value, decimal.Decimal):
        # Text: a float would not be the same number.
        return str(value) if value.is_finite() else None
    enum = sys.modules.get("enum")
    if enum and isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, BaseException) or isinstance(value, type) or callable(value):
        return _printed(value)
    if isinstance(value, complex):
        return _printed(value)
    fields = fields_of(value)
    return fields if fields is not value else _printed(value)


def _printed(value):
    try:
        text = str(value)
    except Exception:
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def _plain(value, depth, parents):
    """The careful way: bounded depth, no circles, everything that JSON forbids replaced."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return well_formed(str(value))
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _INTEGER_BITS_MAX else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= DEPTH_MAX:
        raise StorageError("The value is nested too deeply to be shown as JSON.")
    if id(value) in parents:
        raise StorageError("The value contains itself and cannot be shown as JSON.")
    parents.add(id(value))
    try:
        if isinstance(value, dict):
            return {_key(key): _plain(item, depth + 1, parents) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_plain(item, depth + 1, parents) for item in value]
        return _plain(_ordinary(value), depth + 1, parents)
    finally:
        parents.discard(id(value))


def _key(key):
    if isinstance(key, str):
        return well_formed(key)
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    if isinstance(key, (int, float)):
        return str(key)
    if isinstance(key, (date, time)):
        return key.isoformat()
    return well_formed(_printed(unwrap(key)))
