"""The ground floor of everything that is printed: numbers, widths of text, declared tables.

A `Table` is declared once, with cells that keep their values: it is laid out for a terminal of any
width, where numbers become shorter before names do, and written as CSV in full. The text is plain
ASCII but for names out of the user's files, so that it survives any pipe.
"""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from io import StringIO
from typing import Protocol, TypeAlias

from rich.cells import cell_len

from hw_models.vocabulary import CAUSES, Cause

NAME_CELLS = 16
SHORTEST_NAME_CELLS = 11  # names are cut to this before numbers lose digits


# --- numbers --------------------------------------------------------------------------------------


def count(value: int, short: bool = False) -> str:
    """Format a whole number in full; `short` gives large ones as powers of ten."""
    return f"{value:.3e}" if short and value >= 10**7 else f"{value:,}"


def number(value: float, places: int, short: bool = False) -> str:
    """Format a number with so many decimal places; `short` takes seven characters at most."""
    if not short:
        return f"{value:,.{places}f}"
    if value < 999:
        return f"{value:.{min(places, 1)}f}"
    return f"{value:,.0f}" if value < 99_999 else f"{value:.1e}"


def percentages(parts: Mapping[Cause, int]) -> list[str]:
    """Return the share of each part in percent, rounded so that the texts add up to 100.0."""
    total = sum(parts.values())
    exact = [1000 * part for part in parts.values()]
    tenths = [value // total for value in exact]
    left = 1000 - sum(tenths)
    by_remainder = sorted(range(len(exact)), key=lambda place: -(exact[place] % total))
    for place in by_remainder[:left]:
        tenths[place] += 1
    return [f"{value // 10}.{value % 10}" for value in tenths]


def shares(parts: Iterable[Fraction]) -> list[str]:
    """Return each part in percent of their sum, to 0.1; `-` where the sum is 0."""
    listed = list(parts)
    whole = sum(listed)
    return [f"{float(100 * part / whole):.1f}" if whole else "-" for part in listed]


def energy_unit(total: float, unit: str) -> tuple[str, float]:
    """Return the unit in which a total has two to four digits before the point, and its size."""
    names = {
        "pJ": ("pJ", "nJ", "uJ", "mJ", "J", "kJ"),
        "normalised": (
            "one MAC", "10^3 MACs", "10^6 MACs", "10^9 MACs", "10^12 MACs", "10^15 MACs",
        ),
    }[unit]  # fmt: skip
    step = 0
    while total >= 10 * 1000 ** (step + 1) and step < len(names) - 1:
        step += 1
    return names[step], 1000.0**step


def time_parts(by_cause: Mapping[str, int], still: int, pes: int) -> dict[Cause, int]:
    """Return the PE-cycles of the total latency by cause; the DRAM stall takes `still` cycles."""
    return {cause: by_cause[cause] for cause in CAUSES} | {Cause.DRAM_STALL: still * pes}


# --- text -----------------------------------------------------------------------------------------


def cut(text: str, width: int) -> str:
    """Return the text, its end replaced by `~` where it is longer than `width` columns."""
    if cell_len(text) <= width:
        return text
    while cell_len(text) > width - 1:
        text = text[:-1]
    return f"{text}~"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill the text up to `width` columns; `right` sets it at the right end."""
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank


def wrap(text: str, width: int, indent: str = "", later: str | None = None) -> list[str]:
    """Return lines of at most `width` columns, indented; all but the first by `later`."""
    rest = indent if later is None else later
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=rest)


def flow(label: str, items: Sequence[str], width: int, separator: str) -> list[str]:
    """Return items in lines of at most `width` columns, none broken; later lines are indented."""
    indent = " " * (cell_len(label) if cell_len(label) <= 20 else 4)
    lines, line = [], label
    for place, item in enumerate(items):
        piece = item + ("" if place == len(items) - 1 else separator)
        room = width - len(indent)
        if cell_len(piece.rstrip()) > room:
            piece = cut(piece, room)
        if line.strip() and cell_len(line) + cell_len(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = indent
        line += piece
    return [*lines, line.rstrip()]


def sentence(name: str, text: str, width: int) -> list[str]:
    """Return `name: text` as lines of at most `width` columns."""
    return textwrap.wrap(
        f"{cut(name, NAME_CELLS)}: {text}", width, initial_indent="  ", subsequent_indent="    "
    )


def notes_lines(notes: Iterable[str], known: Set[str], width: int) -> list[str]:
    """Return the notes; what is said of several of the `known` layers is said once."""
    said: dict[str, list[str]] = {}
    for note in notes:
        name, colon, rest = note.rpartition(": ")
        if colon and name in known:
            said.setdefault(rest, []).append(name)
        else:
            said.setdefault(note, [])
    lines: list[str] = []
    for text, names in said.items():
        layers = ["all layers"] if 1 < len(names) == len(known) else names
        lines += flow(f"  {text}: ", layers, width, ", ") if names else wrap(text, width, "  ")
    return lines


# --- tables ---------------------------------------------------------------------------------------


class Number(Protocol):
    """A cell with a value, which is printed in full or, where room is short, in few digits."""

    @property
    def value(self) -> float:
        """The number in full."""

    def text(self, short: bool = False) -> str:
        """Return the number as it is printed."""


@dataclass(frozen=True)
class Count:
    """A cell with a whole number; where room is short, a large one is a power of ten."""

    value: int

    def text(self, short: bool = False) -> str:
        """Return the number as it is printed."""
        return count(self.value, short)


@dataclass(frozen=True)
class Fixed:
    """A cell with a number of so many decimal places; where room is short, of fewer.

    `unit` goes into the heading of a CSV file, where the table's title is not there to say it.
    """

    value: float
    places: int
    unit: str = ""

    def text(self, short: bool = False) -> str:
        """Return the number as it is printed."""
        return number(self.value, self.places, short)


Cell: TypeAlias = str | Number
Row: TypeAlias = Sequence[Cell] | None
"""The cells of a row; None is a rule."""


@dataclass(frozen=True)
class Note:
    """A paragraph: a fact of the result, or, as a `legend`, what the columns of a table mean."""

    text: str
    legend: bool = False


@dataclass(frozen=True)
class Table:
    """A table: headings of one or two lines, rows, and notes below.

    The first `left` columns are aligned at the left and the others at the right.

    >>> table = Table("Traffic", ("layer", "words"), [("C1", Count(1200)), ("C2", Count(7))])
    >>> print("\\n".join(table.lines(80)))
      layer  words
      ------------
      C1     1,200
      C2         7
    >>> print(table.csv(), end="")
    layer,words
    C1,1200
    C2,7
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[Note] = ()
    left: int = 1

    def lines(self, width: int) -> list[str]:
        """Lay the table out in at most `width` columns (80 or more), in short numbers if needed."""
        lines = table(
            self.columns, self._texts(False), width, left=self.left, least=SHORTEST_NAME_CELLS
        )
        if max(map(cell_len, lines)) > width:
            lines = table(self.columns, self._texts(True), width, left=self.left)
        return lines

    def csv(self) -> str:
        """Return headings and rows as CSV, values in full; rules and notes are left out."""
        stream = StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(
            [
                ", ".join(filter(None, (" ".join(heading.split()), self._unit(place))))
                for place, heading in enumerate(self.columns)
            ]
        )
        for row in self.rows:
            if row is not None:
                writer.writerow([cell if isinstance(cell, str) else cell.value for cell in row])
        return stream.getvalue()

    def _unit(self, place: int) -> str:
        cells = (row[place] for row in self.rows if row is not None)
        return next((cell.unit for cell in cells if isinstance(cell, Fixed)), "")

    def _texts(self, short: bool) -> list[list[str] | None]:
        return [
            None
            if row is None
            else [cell if isinstance(cell, str) else cell.text(short) for cell in row]
            for row in self.rows
        ]


Part: TypeAlias = str | Note | Table
"""A line as it is, a paragraph, or a table with its notes."""


@dataclass(frozen=True)
class Section:
    """A heading and what is printed under it."""

    title: str
    parts: Sequence[Part]

    @classmethod
    def of(cls, table: Table) -> Section:
        """Return a section of one table."""
        return cls(table.title, (table,))

    def lines(self, width: int, legends: bool = True) -> list[str]:
        """Lay the section out; without `legends` only notes that say something of the result."""
        lines = [self.title]
        for part in self.parts:
            if isinstance(part, str):
                lines.append(part)
                continue
            if isinstance(part, Table):
                lines += part.lines(width)
            for note in part.notes if isinstance(part, Table) else (part,):
                if note.text and (legends or not note.legend):
                    lines += wrap(note.text, width, "  ")
        return lines


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str] | None],
    width: int,
    *,
    left: int = 1,
    least: int = 5,
) -> list[str]:
    """Lay out columns under headings of one or two lines; None is a rule.

    The first `left` columns are aligned at the left and the others at the right. Where the table is
    too wide the columns move together, and then the first one is cut, to `least` columns of the
    terminal if it must be.
    """
    parts = [head.rpartition("\n") for head in heads]
    uppers, lowers = [part[0] for part in parts], [part[2] for part in parts]
    body = [list(row) if row is not None else None for row in rows]
    for row in body:
        if row is not None:
            row[0] = cut(row[0], NAME_CELLS + 8)
    lines: list[list[str] | None] = [*([uppers] if any(uppers) else []), lowers, None, *body]
    widths = [
        max(cell_len(line[place]) for line in lines if line is not None)
        for place in range(len(heads))
    ]
    indent, gap = 2, 2
    if indent + sum(widths) + gap * (len(widths) - 1) > width:
        gap = 1
    over = indent + sum(widths) + gap * (len(widths) - 1) - width
    if over > 0:
        widths[0] = max(widths[0] - over, min(widths[0], least))
    text = []
    for line in lines:
        if line is None:
            text.append(" " * indent + "-" * (sum(widths) + gap * (len(widths) - 1)))
            continue
        filled = [
            pad(cut(cell, widths[place]), widths[place], right=place >= left)
            for place, cell in enumerate(line)
        ]
        text.append((" " * indent + (" " * gap).join(filled)).rstrip())
    return text


def sections_text(sections: Iterable[Sequence[str]], color: bool) -> str:
    """Join sections with an empty line between them; the first line of each is its heading."""
    blocks = []
    for title, *lines in sections:
        blocks.append("\n".join([f"\x1b[1m{title}\x1b[0m" if color else title, *lines]))
    return "\n\n".join(blocks) + "\n"
