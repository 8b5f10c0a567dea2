"""The filter of a read request: {"operators": [{"key", "value", "operator"}, …], "join_operator": "AND" | "OR"}.

It picks rows of a table: a list of records (dicts or objects), a list of lists (the key is a position), a DataFrame, an
array, or a dict of such tables. Row order is kept. Faults are told in the form of Taipy's, {"operator": ["Unknown
field."]}; what cannot be answered truthfully (an unknown column, a text compared with numbers) is one, too.
"""

import json
import operator
from datetime import date, datetime

from . import plain
from .errors import one_line

OPERATORS_MAX = 100
UNKNOWN = "Unknown field."
REQUIRED = "Missing data for required field."

_ORDER = {
    "LESS_THAN": operator.lt,
    "LESS_OR_EQUAL": operator.le,
    "GREATER_THAN": operator.gt,
    "GREATER_OR_EQUAL": operator.ge,
}
_OPERATORS = ("EQUAL", "NOT_EQUAL", *_ORDER)


class InvalidFilter(Exception):
    """The filter is faulty, or does not fit the data; the message is one line of JSON."""

    def __init__(self, faults):
        super().__init__(json.dumps(faults, ensure_ascii=False))


def parse(filter):
    """(list of (key, value, operator), whether all must hold); (None, True) if there is nothing to filter."""
    if filter is None or filter == {}:
        return None, True
    if not isinstance(filter, dict):
        raise InvalidFilter({"_schema": ["Invalid input type."]})
    faults = {one_line(name, 100): [UNKNOWN] for name in filter if name not in ("operators", "join_operator")}
    join = filter.get("join_operator", "AND")
    if not isinstance(join, str) or join.upper() not in ("AND", "OR"):
        faults["join_operator"] = ["Must be one of: AND, OR."]
    operators, found = _operators(filter)
    if found:
        faults["operators"] = found
    if faults:
        raise InvalidFilter(faults)
    return operators or None, join.upper() == "AND"


def _operators(filter):
    """(operators, faults)"""
    if "operators" not in filter:
        return [], [REQUIRED]
    listed = filter["operators"]
    if not isinstance(listed, list):
        return [], ["Not a valid list."]
    if len(listed) > OPERATORS_MAX:
        return [], [f"Longer than maximum length {OPERATORS_MAX}."]
    faults = {}
    for index, item in enumerate(listed):
        found = _faults_of(item)
        if found:
            faults[str(index)] = found
    if faults:
        return [], faults
    return [(item["key"], item["value"], item["operator"].upper()) for item in listed], {}


def _faults_of(item):
    if not isinstance(item, dict):
        return {"_schema": ["Invalid input type."]}
    faults = {one_line(name, 100): [UNKNOWN] for name in item if name not in ("key", "value", "operator")}
    faults.update({name: [REQUIRED] for name in ("key", "value", "operator") if name not in item})
    if "key" in item and not isinstance(item["key"], str):
        faults["key"] = ["Not a valid string."]
    if "value" in item and isinstance(item["value"], (dict, list)):
        faults["value"] = ["Must be a text, a number, a boolean or null."]
    name = item.get("operator")
    if "operator" in item and not (isinstance(name, str) and name.upper() in _OPERATORS):
        faults["operator"] = [f"Must be one of: {', '.join(_OPERATORS)}."]
    if not faults and item["value"] is None and name.upper() in _ORDER:
        faults["value"] = ["Field may not be null."]
    return faults


def apply(value, filter):
    """The value's rows that the filter lets through."""
    operators, all_of = parse(filter)
    if operators is None:
        return value
    value = plain.unwrap(value)
    if isinstance(value, dict) and value and all(_is_table(plain.unwrap(item)) for item in value.values()):
        return {name: _rows(plain.unwrap(item), operators, all_of) for name, item in value.items()}
    if not _is_table(value):
        raise InvalidFilter({"_schema": ["The data is no table and cannot be filtered."]})
    return _rows(value, operators, all_of)


def _is_table(value):
    return isinstance(value, (list, tuple)) and all(isinstance(_row(row), (dict, list, tuple)) for row in value)


def _row(row):
    return plain.unwrap(plain.fields_of(row))


def _rows(rows, operators, all_of):
    if not rows:
        return []
    readable = [_row(row) for row in rows]
    tests = []
    for index, (key, value, name) in enumerate(operators):
        column = [_field(row, key) for row in readable]
        if all(field is _ABSENT for field in column):
            raise InvalidFilter({"operators": {str(index): {"key": [one_line(f'There is no column "{key}".')]}}})
        try:
            tests.append([_holds(field, value, name) for field in column])
        except (TypeError, ValueError):
            raise InvalidFilter(
                {"operators": {str(index): {"value": [one_line(f'Cannot be compared with the values of "{key}".')]}}}
            ) from None
    join = all if all_of else any
    return [row for row, held in zip(rows, zip(*tests)) if join(held)]


_ABSENT = object()


def _field(row, key):
    if isinstance(row, dict):
        if key in row:
            return row[key]
        return row.get(int(key), _ABSENT) if key.isdecimal() and len(key) < 10 else _ABSENT
    if key.isdecimal() and len(key) < 10 and int(key) < len(row):
        return row[int(key)]
    return _ABSENT


def _holds(field, value, name):
    # NaN is a missing value as None is: it equals null, differs from all else, and is neither less nor greater.
    missing = field is _ABSENT or field is None or field != field
    if name in ("EQUAL", "NOT_EQUAL"):
        equal = missing if value is None else not missing and bool(field == _like(value, field))
        return equal == (name == "EQUAL")
    return not missing and bool(_ORDER[name](field, _like(value, field)))


def _like(value, field):
    """Text from the request as the date that it is to be compared with."""
    if isinstance(value, str) and isinstance(field, date):
        kind = datetime if isinstance(field, datetime) else date
        try:
            parsed = kind.fromisoformat(value)
        except ValueError:
            return value
        if kind is datetime and parsed.tzinfo is None and field.tzinfo is not None:
            return parsed.replace(tzinfo=field.tzinfo)
        return parsed
    return value
