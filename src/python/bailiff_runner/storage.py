"""How values lie in files: pickle (in_memory too), json and csv."""

import os
import pickle

from .errors import StorageError


def load(storage_type, path, properties):
    """The value of a data node as a task's function gets it."""
    if storage_type == "csv":
        from . import csv_tables

        return csv_tables.load(path, properties)
    if storage_type == "json":
        from . import json_values

        return json_values.load(path, properties)
    _only_pickle(storage_type)
    with open(path, "rb") as file:
        return pickle.load(file)


def dump(value, storage_type, properties, file):
    """Writes the value to a binary file."""
    if storage_type == "csv":
        from . import csv_tables

        csv_tables.dump(value, properties, file)
    elif storage_type == "json":
        from . import json_values

        json_values.dump(value, properties, file)
    else:
        _only_pickle(storage_type)
        pickle.dump(value, file, pickle.HIGHEST_PROTOCOL)


def _only_pickle(storage_type):
    if storage_type not in ("pickle", "in_memory"):
        raise StorageError(f"The storage type {storage_type} is not supported.")


def create(path):
    """A new file for writing, never one that is already there and never through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o644), "wb")
