"""Writes the YAML that bailiff's own files use: maps, lists and scalars, in block form."""

import json
import re

PLAIN = re.compile(r"[A-Za-z0-9/._][A-Za-z0-9/._+-]*\Z")


def dump(value, indent=0):
    """A map or a list as lines."""
    pad = " " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            if item is not None:
                lines += _entry(pad + key + ":", item, indent + 2)
    else:
        for item in value:
            if isinstance(item, dict):
                first, *rest = dump(item, indent + 2).split("\n")
                lines += [pad + "- " + first.lstrip()] + rest
            else:
                lines.append(pad + "- " + _scalar(item))
    return "\n".join(lines)


def _entry(head, item, indent):
    if isinstance(item, (dict, list)):
        if not item:
            return [head + (" {}" if isinstance(item, dict) else " []")]
        return [head, dump(item, indent)]
    return [head + " " + _scalar(item)]


def _scalar(item):
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item)
    if PLAIN.match(item) and item not in ("true", "false", "null", "~"):
        return item
    return json.dumps(item, ensure_ascii=False)
