"""Markdown, and whether a promise is kept; knows nothing of what is measured."""


class Table:
    """Rows are shown as they come: a run takes minutes."""

    def __init__(self, *names, left=1):
        rule = "".join("---|" if number < left else "---:|" for number in range(len(names)))
        self._lines = []
        self._add("| " + " | ".join(names) + " |")
        self._add("|" + rule)

    def row(self, *cells):
        self._add("| " + " | ".join(map(str, cells)) + " |")

    def _add(self, line):
        self._lines.append(line)
        print(line, flush=True)

    def __str__(self):
        return "\n".join(self._lines) + "\n"


def at_most(value, bar, form=".2f"):
    return _judged(value, "≤", bar, value <= bar, form)


def at_least(value, bar, form=".2f"):
    return _judged(value, "≥", bar, value >= bar, form)


def _judged(value, sign, bar, kept, form):
    return f"{value:{form}} ({sign} {bar:{form}} {'met' if kept else '**missed**'})"


def micro(seconds):
    """Microseconds, with as many places as a figure of this size bears."""
    return f"{seconds * 1e6:.{2 if seconds < 1e-4 else 1}f}"
