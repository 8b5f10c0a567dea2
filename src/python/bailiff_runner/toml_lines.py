"""Where the sections and keys of a TOML text stand, so that an error can name its line.

tomllib keeps no positions. This scanner need not judge the text (tomllib has accepted it already), only
follow it: which lines are headers, which begin a key, and which continue a string or an array.
"""

import re

_HEADER = re.compile(r"\s*\[\[?\s*(.*)$")
_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")


class TomlLines:
    """Looks up the line of a path such as ("TASK", "double", "inputs")."""

    def __init__(self, text):
        self._lines = {}
        section = ()
        state = _Value()
        # Only \n ends a line of TOML, so str.splitlines (which knows of ten more) would miscount.
        for number, line in enumerate(text.split("\n"), 1):
            if state.open():
                state.feed(line)
                continue
            header = _HEADER.match(line)
            if header:
                section, _ = _key(header.group(1))
                self._note(section, number)
                continue
            parts, rest = _key(line)
            if parts and rest.startswith("="):
                self._note(section + parts, number)
                state.feed(rest[1:])

    def find(self, path):
        """The line of the longest known beginning of the path; 0 if there is none."""
        path = tuple(path)
        while path:
            line = self._lines.get(path)
            if line:
                return line
            path = path[:-1]
        return 0

    def _note(self, path, number):
        # The parents of [TASK.double] and of a.b = 1 have no line of their own: the first child's has to do.
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)


def _key(text):
    """Splits ``a."b.c".d rest`` into (("a", "b.c", "d"), "rest")."""
    parts = []
    position = 0
    while True:
        match = _PART.match(text, position)
        if not match:
            break
        parts.append(next(group for group in match.groups() if group is not None))
        position = match.end()
        if not text.startswith(".", position):
            break
        position += 1
    return tuple(parts), text[position:]


class _Value:
    """Follows a value over lines: inside which string, and how many brackets deep."""

    _TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[\]{}]|#.*')

    def __init__(self):
        self._depth = 0
        self._quote = None

    def open(self):
        return self._depth > 0 or self._quote is not None

    def feed(self, text):
        position = 0
        while position < len(text):
            if self._quote:
                position = self._end_of_string(text, position)
                continue
            match = self._TOKEN.search(text, position)
            if not match:
                return
            token = match.group()
            position = match.end()
            if token in ('"""', "'''"):
                self._quote = token
            elif token in "[{":
                self._depth += 1
            elif token in "]}":
                self._depth = max(0, self._depth - 1)

    def _end_of_string(self, text, position):
        while position < len(text):
            if self._quote == '"""' and text[position] == "\\":
                position += 2
            elif text.startswith(self._quote, position):
                position += 3
                # Up to two quotes may stand before the closing three.
                while text.startswith(self._quote[0], position):
                    position += 1
                self._quote = None
                return position
            else:
                position += 1
        return position
