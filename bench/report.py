"""Medians, tables and the page of results."""

import os
import re
import statistics


def median(values):
    return statistics.median(values)


def ratio(runs, base, key=lambda run: run.rate):
    """Median over the rounds of the ratio within each round."""
    return median([key(a) / key(b) for a, b in zip(runs, base)])


def number(value):
    """A figure with as many digits as it is worth."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 200:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def table(head, rows):
    """A Markdown table, first column left, the others right, padded so that it reads well as text too."""
    cells = [[number(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]

    def line(row):
        return "| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                 for i, (cell, width) in enumerate(zip(row, widths))) + " |"

    rule = "| " + " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":"
                             for i, width in enumerate(widths)) + " |"
    return "\n".join([line(list(head)), rule, *map(line, cells)])


class Section:
    """One suite's part of the page."""

    def __init__(self, suite, title):
        self.suite = suite
        self.parts = [f"## {title}"]

    def text(self, text):
        self._add(text)

    def table(self, caption, head, rows):
        self._add(f"**{caption}**\n\n{table(head, rows)}")

    def _add(self, part):
        print(part + "\n", flush=True)
        self.parts.append(part)

    def __str__(self):
        return "\n\n".join(self.parts)


HEAD = """# Figures

Written by `scripts/bench --write`, each suite its own section; `scripts/bench --help` names the suites. Contenders of a
table ran interleaved (A B C, B C A, ...) on one private server; a ratio is the median over the rounds of the ratio within
a round, so that what slows the whole machine down for a while slows both sides. A rate stands for this machine only.
"""


def write(path, section, order):
    """Puts a section into the page in place of the one that the same suite wrote before."""
    sections = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for found in re.finditer(r"<!-- suite: (\w+) -->\n(.*?)\n<!-- end -->", file.read(), re.S):
                sections[found[1]] = found[2]
    sections[section.suite] = str(section)
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for suite in order:
            if suite in sections:
                file.write(f"\n<!-- suite: {suite} -->\n{sections[suite]}\n<!-- end -->\n")
