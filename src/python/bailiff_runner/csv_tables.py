"""CSV data nodes: a pandas DataFrame where pandas is installed, else a list of dicts with the same values.

Without pandas the types of columns are inferred by pandas' rules (a column of whole numbers with a gap is one
of floats, "NA" is a missing value, dates stay text), so that a task's results do not depend on what is installed.
A missing value is None.
"""

import csv
import io
import math
import re

from .errors import StorageError

_MISSING = frozenset(
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")
)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)\s*", re.ASCII | re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False}
_FIELD_MAX = 1 << 30
# Config.export writes classes by their full names.
_EXPOSED = {
    None: None,
    "pandas": "pandas",
    "pandas.core.frame.DataFrame:class": "pandas",
    "numpy": "numpy",
    "numpy.ndarray:class": "numpy",
    "list": "list",
    "builtins.list:class": "list",
}


def exposes(exposed_type):
    return exposed_type in _EXPOSED or (isinstance(exposed_type, str) and exposed_type.endswith(":class"))


def load(path, properties):
    """The table as the data node's exposed_type wants it."""
    name = properties.get("exposed_type")
    if not exposes(name):
        raise StorageError(f'The exposed_type "{name}" is not supported; there are pandas, numpy, list and classes.')
    exposed = _EXPOSED.get(name, name)
    if exposed in (None, "pandas"):
        pandas = _pandas(required=exposed is not None)
        return _frame(pandas, path, properties) if pandas else records(path, properties)
    if exposed == "numpy":
        return _frame(_pandas(required=True), path, properties).to_numpy()
    if exposed == "list":
        return records(path, properties)
    return _instances(path, properties, exposed.removesuffix(":class"))


def _pandas(required=False):
    try:
        import pandas

        return pandas
    except ImportError:
        if required:
            raise StorageError("The data node's exposed_type needs pandas, which is not installed.") from None
        return None


def _frame(pandas, path, properties):
    try:
        header = 0 if _has_header(properties) else None
        return pandas.read_csv(path, header=header, encoding=_encoding(properties))
    except pandas.errors.EmptyDataError:
        return pandas.DataFrame()


def records(path, properties):
    """A list of dicts; without a header the keys are 0, 1, …"""
    names, rows = _rows(path, properties)
    columns = [infer([row[index] for row in rows]) for index in range(len(names))]
    return [dict(zip(names, values)) for values in zip(*columns)]


def _instances(path, properties, dotted):
    """One instance of the class for each row; as in Taipy it gets the fields as text."""
    from .functions import locate

    make = locate(dotted)[2]
    names, rows = _rows(path, properties)
    if _has_header(properties):
        return [make(**dict(zip(names, row))) for row in rows]
    return [make(*row) for row in rows]


def _has_header(properties):
    return properties.get("has_header") is not False


def _encoding(properties):
    name = properties.get("encoding") or "utf-8"
    return "utf-8-sig" if name.lower().replace("_", "-") in ("utf-8", "utf8") else name


def _rows(path, properties):
    """(column names, rows of text, all of the names' length)"""
    csv.field_size_limit(_FIELD_MAX)
    with open(path, encoding=_encoding(properties), newline="") as file:
        reader = csv.reader(file)
        rows = [(reader.line_num, row) for row in reader if row]
    if not rows:
        return [], []
    if _has_header(properties):
        names = _unique(rows.pop(0)[1])
    else:
        names = list(range(len(rows[0][1])))
    for line, row in rows:
        if len(row) > len(names):
            raise StorageError(f"Line {line} of the CSV file has {len(row)} fields, but there are {len(names)} columns.")
        row.extend([""] * (len(names) - len(row)))
    return names, [row for _, row in rows]


def _unique(header):
    """Names columns as pandas does: a, a.1, a.2; Unnamed: 3."""
    names, taken = [], set(header)
    seen = {}
    for index, name in enumerate(header):
        name = name or f"Unnamed: {index}"
        count = seen.get(name, 0)
        seen[name] = count + 1
        unique = name
        while count and unique in taken:
            unique = f"{name}.{count}"
            count += 1
        taken.add(unique)
        names.append(unique)
    return names


def infer(column):
    """The column's texts as integers, floats, booleans or texts, whichever holds for all of them."""
    present = [text for text in column if text not in _MISSING]
    complete = len(present) == len(column)
    if all(map(_INTEGER.fullmatch, present)) and present:
        if _fit_64_bits(present):
            kind = int if complete else float
            return [kind(text) if text not in _MISSING else None for text in column]
    elif all(map(_FLOAT.fullmatch, present)):
        return [float(text) if text not in _MISSING else None for text in column]
    elif all(text.lower() in _BOOLEANS for text in present):
        return [_BOOLEANS[text.lower()] if text not in _MISSING else None for text in column]
    return [text if text not in _MISSING else None for text in column]


def _fit_64_bits(texts):
    """Signed, or unsigned: beyond that, pandas leaves a column as text."""
    if any(len(text) > 100 for text in texts):
        return False
    numbers = [int(text) for text in texts]
    low, high = min(numbers), max(numbers)
    return -(2**63) <= low and high < (2**63 if low < 0 else 2**64)


def dump(value, properties, file):
    """Writes a DataFrame, or whatever a list of rows can be made of, in the form that load() reads."""
    encoding = properties.get("encoding") or "utf-8"
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_csv"):
        text = value.to_csv(index=False, header=_has_header(properties), lineterminator="\n")
        file.write(text.encode(encoding))
        return
    names, rows = _as_table(value)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if _has_header(properties) and names:
        writer.writerow(names)
    writer.writerows([_cell(item) for item in row] for row in rows)
    file.write(buffer.getvalue().encode(encoding))


def _cell(item):
    return "" if item is None or (isinstance(item, float) and math.isnan(item)) else item


def _as_table(value):
    from . import plain

    value = plain.unwrap(value)
    if isinstance(value, dict):
        return _from_columns(value)
    if not isinstance(value, (list, tuple)):
        raise StorageError(f"A value of type {type(value).__qualname__} is no table: give a list of dicts or of lists.")
    rows = [plain.fields_of(row) for row in value]
    if all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return names, [[row.get(name) for name in names] for row in rows]
    if any(isinstance(row, dict) for row in rows):
        raise StorageError("Some rows are dicts and some are not.")
    rows = [list(row) if isinstance(row, (list, tuple)) else [row] for row in rows]
    width = max(map(len, rows), default=0)
    return list(range(width)), [row + [None] * (width - len(row)) for row in rows]


def _from_columns(columns):
    if not all(isinstance(column, (list, tuple)) for column in columns.values()):
        raise StorageError("A dict is a table if its values are lists, one for each column.")
    if len({len(column) for column in columns.values()}) > 1:
        raise StorageError("The columns are of different lengths.")
    return list(columns), list(zip(*columns.values()))
