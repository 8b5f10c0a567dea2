"""Sections of the configuration file: their ids, what they inherit, and access to their typed values."""

import keyword
import os

from . import values
from .values import BadValue, shown

ID_BYTES_MAX = 128
SECTIONS_MAX = 10_000
NAMES_MAX = 10_000
DEFAULT = "default"


class Section:
    """One [KIND.id]; a key that it does not have may come from [KIND.default]."""

    def __init__(self, problems, kind, id, own, inherited=None):
        self.kind = kind
        self.id = id
        self.path = (kind, id)
        self._problems = problems
        self._own = own
        self._inherited = inherited or {}

    def keys(self):
        return list(self._own) + [key for key in self._inherited if key not in self._own]

    def has(self, key):
        return key in self._own or key in self._inherited

    def raw(self, key):
        return self._own[key] if key in self._own else self._inherited.get(key)

    def where(self, key):
        """The path under which the key is written: an inherited one stands in the default section."""
        inherited = key not in self._own and key in self._inherited
        return (self.kind, DEFAULT if inherited else self.id, key)

    def problem(self, key, message):
        self._problems.add(self.where(key) if key else self.path, message)

    def warn(self, key, message):
        self._problems.warn(self.where(key), message)

    def get(self, key, convert=None, otherwise=None, environ=os.environ):
        """The key's typed value, converted; `otherwise` if it is absent, or wrong (which is noted)."""
        if not self.has(key):
            return otherwise
        try:
            value = values.interpret(self.raw(key), environ)
            return convert(value) if convert else value
        except BadValue as error:
            self.problem(key, f"{error}.")
            return otherwise

    def names(self, key):
        """A list of other sections' ids, such as ["nb:SECTION"]; a single one need not be a list."""
        value = self.get(key, otherwise=[])
        return self.checked_names(value, lambda message: self.problem(key, message))

    @staticmethod
    def checked_names(value, complain):
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list):
            complain(f"must be a list of names, not {shown(value)}.")
            return []
        if len(names) > NAMES_MAX:
            complain(f"has more than {NAMES_MAX} names.")
            return []
        for name in names:
            if not isinstance(name, str):
                complain(f"{shown(name)} is not a name.")
        return [name for name in names if isinstance(name, str)]


def read_sections(document, kind, problems, inherits):
    """All [kind.id] but the default, in the order of the file.

    `inherits(own, default)` gives the part of the default section that holds for a section.
    """
    table = document.get(kind, {})
    if not isinstance(table, dict):
        problems.add((kind,), "must be a table.")
        return []
    if len(table) > SECTIONS_MAX:
        problems.add((kind,), f"has more than {SECTIONS_MAX} sections.")
        return []
    default = table.get(DEFAULT, {})
    if not isinstance(default, dict):
        problems.add((kind, DEFAULT), "must be a table.")
        default = {}
    sections = []
    for id, own in table.items():
        if id == DEFAULT:
            continue
        if not isinstance(own, dict):
            problems.add((kind, id), "must be a table.")
        elif not id.isidentifier() or keyword.iskeyword(id):
            problems.add((kind, id), f"{shown(id)} is not a valid Python identifier.")
        elif not id.isascii():
            problems.add((kind, id), f"{shown(id)}: ids are parts of addresses here; use A-Z, a-z, 0-9 and _ only.")
        elif len(id.encode()) > ID_BYTES_MAX:
            problems.add((kind, id), f"the id is longer than {ID_BYTES_MAX} bytes.")
        else:
            sections.append(Section(problems, kind, id, own, inherits(own, default)))
    return sections


def unknown(what, name, known):
    """There is no …; did you mean …?"""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f'; did you mean "{close[0]}"?' if close else "."
    return f"there is no {what} {shown(name)}{hint}"
