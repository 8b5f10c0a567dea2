"""[DATA_NODE.*]: storage types, paths, and the files of first values."""

import codecs
import os
import shutil
import stat

from . import values
from .sections import read_sections
from .values import BadValue, shown

STORAGE_TYPES = ("pickle", "json", "csv", "in_memory")
EXTENSIONS = {"pickle": "p", "in_memory": "p", "json": "json", "csv": "csv"}
DEFAULT_FILE_MAX = 1 << 30
PATH_BYTES_MAX = 4095

# What becomes a member of the manifest's own, or is used up in making one; the rest are properties.
_OWN_KEYS = ("id", "storage_type", "scope", "validity_period", "default_data", "default_path", "path")
_FILE_TYPES = ("pickle", "json", "csv")


def read_data_nodes(document, problems, root, folder):
    """The manifest's data nodes; writes their first values below folder."""

    def inherits(own, default):
        # has_header means nothing to a JSON file: defaults hold for the same storage type only.
        wanted = own.get("storage_type", default.get("storage_type", "pickle"))
        return default if wanted == default.get("storage_type", "pickle") else {}

    nodes = []
    for section in read_sections(document, "DATA_NODE", problems, inherits):
        nodes.append(_read_data_node(section, root, folder))
    return nodes


def _read_data_node(section, root, folder):
    storage_type = section.get("storage_type", _storage_type, "pickle")
    path = None
    default_path = None
    if storage_type in _FILE_TYPES:
        path = section.get("path", lambda value: _user_path(value, root))
        # As in Taipy, a path of the data node's own makes default_path meaningless.
        if path is None:
            default_path = section.get("default_path", lambda value: _user_path(value, root))
        if default_path is not None and not os.path.exists(default_path):
            # As in Taipy: the data node starts unwritten, and jobs that read it wait.
            section.warn("default_path", f"{shown(default_path)} does not exist; {section.id} starts unwritten.")
            default_path = None
    properties = _properties(section, storage_type)
    return {
        "id": section.id,
        "scope": section.get("scope", lambda value: values.one_of(value, values.SCOPES, "a scope"), "SCENARIO"),
        "storage_type": storage_type,
        "default_file": _default_file(section, storage_type, default_path, properties, folder),
        "path": path,
        "validity_period_ms": section.get("validity_period", values.as_milliseconds),
        "properties": properties,
    }


def _storage_type(value):
    if value not in STORAGE_TYPES:
        raise BadValue(f"storage type {shown(value)} is not supported; there are {', '.join(STORAGE_TYPES)}")
    return value


def _user_path(value, root):
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"{shown(value)} is not a path")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise BadValue(f"{ascii(value)} has a control character")
    path = os.path.abspath(os.path.join(root, value))
    if len(path.encode()) > PATH_BYTES_MAX:
        raise BadValue("the path is too long")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return path
    except OSError as error:
        raise BadValue(f"{shown(value)} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise BadValue(f"{shown(value)} is not a regular file")
    return path


def _properties(section, storage_type):
    """What clients see of a data node: a value from the environment may be a secret, so only what reading takes is looked up."""
    checks = _PROPERTY_CHECKS.get(storage_type, {})
    properties = {}
    for key in section.keys():
        if key in _OWN_KEYS:
            continue
        check = checks.get(key, _any)
        environ = os.environ if key in checks else None
        properties[key] = section.get(key, lambda value, check=check: values.as_property(check(value)), environ=environ)
    return properties


def _encoding(value):
    try:
        # bytes.decode takes text encodings only, not rot13 and its like
        b"".decode(codecs.lookup(value).name)
    except (LookupError, TypeError, ValueError):
        raise BadValue(f"{shown(value)} is not a text encoding") from None
    return value


def _exposed_type(value):
    from . import csv_tables

    if not csv_tables.exposes(values.as_property(value)):
        raise BadValue(f"{shown(value)} is not supported; there are pandas, numpy, list and classes")
    return value


def _any(value):
    return value


# The properties that a storage type reads and writes by.
_PROPERTY_CHECKS = {
    "csv": {"has_header": values.as_boolean, "encoding": _encoding, "exposed_type": _exposed_type},
    "json": {"encoding": _encoding, "encoder": _any, "decoder": _any},
}


def _default_file(section, storage_type, default_path, properties, folder):
    """Writes the first value; its file's name, or None for a data node that starts unwritten."""
    name = f"{section.id}.{EXTENSIONS[storage_type]}"
    target = os.path.join(folder, name)
    if default_path is not None:
        return name if section.get("default_path", lambda _: _copy(default_path, target)) else None
    if section.has("default_data"):
        return name if section.get("default_data", lambda value: _store(value, storage_type, properties, target)) else None
    return None


def _copy(source, target):
    try:
        if os.stat(source).st_size > DEFAULT_FILE_MAX:
            raise BadValue(f"the file is larger than {DEFAULT_FILE_MAX >> 20} MiB")
        with open(source, "rb") as reader, open(target, "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            _sync(writer)
    except OSError as error:
        raise BadValue(f"the file cannot be copied: {error.strerror}") from None
    return True


def _store(value, storage_type, properties, target):
    from . import storage
    from .errors import describe

    if storage_type == "json":
        _refuse_not_finite(value)
    try:
        with open(target, "wb") as writer:
            storage.dump(value, storage_type, properties, writer)
            _sync(writer)
    except Exception as error:
        raise BadValue(f"cannot be stored as {storage_type}: {describe(error)}".rstrip(".")) from None
    return True


def _sync(file):
    file.flush()
    os.fsync(file.fileno())


def _refuse_not_finite(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise BadValue(f"{value} has no form in JSON")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_not_finite(item)
