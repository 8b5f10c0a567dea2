"""Collects what is wrong with an application, so that its author sees all of it at once."""

import sys

from .errors import one_line, well_formed

PROBLEMS_MAX = 100


class TooManyProblems(Exception):
    """Enough is known; nobody reads the hundred-and-first."""


class Problems:
    def __init__(self, file):
        self._file = well_formed(file)
        self._seen = set()
        self._lines = None
        self.found = []

    def lines_are(self, lines):
        """From now on paths of the document have lines."""
        self._lines = lines

    def add(self, path, message, section_parts=2):
        """Notes a problem of the key or section at the path, a tuple such as ("TASK", "double", "inputs").

        The first section_parts of it name the section, the others a key in it.
        """
        line = self._lines.find(path) if self._lines else 0
        section, keys = ".".join(path[:section_parts]), ".".join(path[section_parts:])
        self.add_at(line, f"[{section}]{' ' if keys else ''}{keys}: {message}")

    def add_at(self, line, message):
        message = one_line(message)
        # A default that is wrong would be reported once for every section that inherits it.
        if (line, message) in self._seen:
            return
        self._seen.add((line, message))
        self.found.append({"file": self._file, "line": line, "message": message})
        if len(self.found) >= PROBLEMS_MAX:
            raise TooManyProblems

    def warn(self, path, message):
        """Says something about the key at the path that is no mistake: to stderr, which ends in the server's log."""
        line = self._lines.find(path) if self._lines else 0
        print(one_line(f"{self._file}:{line}: warning: {message}"), file=sys.stderr)

    def sorted(self):
        return sorted(self.found, key=lambda problem: problem["line"])
