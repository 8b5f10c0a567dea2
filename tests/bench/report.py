"""Results as Markdown, and what is demanded of them."""

import datetime

import machine


def number(value, digits=3):
    """Rounded to so many digits that mean something, thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


class Report:
    def __init__(self):
        self._parts = []
        self._targets = []

    def table(self, title, head, rows, note=""):
        lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "| --- " + "| ---: " * (len(head) - 1) + "|"]
        lines += ["| " + " | ".join(c if isinstance(c, str) else number(c) for c in row) + " |" for row in rows]
        if note:
            lines += ["", note]
        self._parts.append("\n".join(lines))

    def target(self, what, measured, limit, at_least=False, unit=""):
        """A demand of the form measured <= limit, or >= if at_least."""
        met = measured >= limit if at_least else measured <= limit
        sign = "≥" if at_least else "≤"
        unit = unit and " " + unit
        self._targets.append((what, f"{sign} {number(limit)}{unit}", number(measured) + unit, "yes" if met else "**no**"))

    def markdown(self, how):
        parts = [f"Measured on {datetime.date.today()}: {machine.description()}. {how}", *self._parts]
        if self._targets:
            lines = ["### Targets", "", "| target | limit | measured | met |", "| --- | ---: | ---: | --- |"]
            lines += ["| " + " | ".join(row) + " |" for row in self._targets]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def all_met(self):
        return all(met == "yes" for *_, met in self._targets)
