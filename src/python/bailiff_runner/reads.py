"""Answers `read`: a data node's value, filtered, as JSON. No message of it names a file."""

import json
import os

from . import csv_tables, filters, json_values, plain, storage
from .errors import describe, one_line, without_paths


def read(request):
    """The answer to a read request; the document is at request["result"] if it is ok."""
    try:
        filters.parse(request["filter"])  # a faulty filter is one, whatever the state of the data
        value = _load(request["storage_type"], request["path"], request["properties"])
        document = plain.to_json(filters.apply(value, request["filter"]))
        _write(request["result"], document)
    except filters.InvalidFilter as fault:
        return _refusal("invalid_filter", str(fault))
    except _NotWritten as error:
        return _refusal("unavailable", describe(error.__cause__))
    except BaseException as error:  # unpickling runs users' code
        return _refusal("unreadable", f"The data cannot be read: {describe(error)}")
    return {"op": "done", "ok": True}


class _NotWritten(Exception):
    """The value could be read, but the answer could not be written."""


def _refusal(kind, error):
    return {"op": "done", "ok": False, "kind": kind, "error": without_paths(one_line(error))}


def _load(storage_type, path, properties):
    """The value for showing: unlike a task's function, a reader needs neither a DataFrame nor the classes restored."""
    if storage_type == "csv":
        return csv_tables.records(path, properties)
    if storage_type == "json" and not properties.get("decoder"):
        with open(path, encoding=json_values.encoding(properties, reading=True)) as file:
            return json.load(file, object_hook=json_values.show)
    return storage.load(storage_type, path, properties)


def _write(path, document):
    try:
        file = storage.create(path)
    except OSError as error:
        raise _NotWritten from error  # and what is there already is not ours to remove
    try:
        with file:
            file.write(document)
    except OSError as error:
        os.unlink(path)
        raise _NotWritten from error
