"""NeuroSpector's `.cfg` files: sections, settings, and the line of each.

    file     = { line }
    line     = blank | "#" anything | "[" NAME "]" | KEY "=" VALUE

Spaces and carriage returns are dropped everywhere, tabs end a value, keys and values are lower case
from here on. Of a key that is repeated within a section the first value counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workloads.inputs.document import read_text
from workloads.inputs.faults import MAX_FAULTS, Fault, InputError
from workloads.inputs.words import closest, shown

MAX_LINES = 20_000
"""Most lines of a file: its longest network has 200 layers."""

LARGEST = 2**31 - 1
"""Largest whole number in a file; the tool's own are 32 bits."""

_WHOLE = re.compile(r"[-+]?[0-9]+")
_REAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?")


@dataclass(frozen=True)
class Setting:
    """A key's value and its line."""

    line: int
    value: str


@dataclass
class Section:
    """The settings of a section, in the file's order."""

    name: str
    line: int
    settings: dict[str, Setting] = field(default_factory=dict)
    repeated: list[tuple[int, str]] = field(default_factory=list)
    """Keys that were there already: how many stood before them, and the key."""


@dataclass
class Cfg:
    """A file's sections, with what its reader found wrong or odd."""

    file: str
    sections: dict[str, Section]
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def fault(self, line: int | None, about: str, message: str) -> None:
        """Book a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(self.file, line, about, message))

    def note(self, line: int | None, about: str, message: str) -> None:
        """Book something that is read otherwise than it looks."""
        if len(self.notes) < MAX_FAULTS:
            self.notes.append(Fault(self.file, line, about, message))

    def refuse(self) -> None:
        """Raise `InputError` with the faults, where there are any."""
        if self.faults:
            raise InputError(*sorted(self.faults, key=lambda fault: fault.line or 0))

    def section(self, *names: str) -> Section | None:
        """Return the first section of these names; None where the file has none."""
        return next((self.sections[name] for name in names if name in self.sections), None)

    def unknown(self, section: Section, known: Sequence[str]) -> None:
        """Note each key of the section that is not `known`: the tool ignores it in silence."""
        for key, setting in section.settings.items():
            if key not in known:
                near = closest(key, known)
                hint = f"; did you mean {near.upper()}?" if near else ""
                self.note(setting.line, section.name, f"{shown(key.upper())} is ignored{hint}")

    def wholes(
        self, section: Section, key: str, least: int = 0, most: int = LARGEST
    ) -> tuple[int, ...] | None:
        """Return the whole numbers of a comma list, as C's `stoi` reads them; None without a list.

        Characters behind a number's digits are ignored, with a note; an item without digits or out
        of `least..most` is a fault, and makes the answer None.
        """
        found = [self._number(_WHOLE, *item) for item in self._items(section, key)]
        numbers = [int(text) for text in found if text is not None]
        for number in numbers:
            if not least <= number <= most:
                line = section.settings[key].line
                about = f"{section.name} {key.upper()}"
                self.fault(line, about, f"{number} is outside {least} to {most}")
                return None
        return None if not found or len(numbers) < len(found) else tuple(numbers)

    def reals(self, section: Section, key: str) -> tuple[float, ...] | None:
        """Return the numbers of a comma list, as C's `stof` reads them; none below 0."""
        found = [self._number(_REAL, *item) for item in self._items(section, key)]
        numbers = [float(text) for text in found if text is not None]
        for number in numbers:
            if not 0 <= number < 1e30 or math.isnan(number):  # within the tool's 32-bit floats
                line = section.settings[key].line
                about = f"{section.name} {key.upper()}"
                self.fault(line, about, f"{number:g} is outside 0 to 1e30")
                return None
        return None if not found or len(numbers) < len(found) else tuple(numbers)

    def _items(self, section: Section, key: str) -> Iterator[tuple[str, int, str]]:
        setting = section.settings.get(key)
        if setting is not None:
            for item in setting.value.split(","):
                yield item, setting.line, f"{section.name} {key.upper()}"

    def _number(self, pattern: re.Pattern[str], item: str, line: int, about: str) -> str | None:
        match = pattern.match(item)
        if match is None or len(match[0]) > 64:
            kind = "a whole number" if pattern is _WHOLE else "a number"
            self.fault(line, about, f"must be {kind}, got {shown(item)}")
            return None
        if match[0] != item:
            self.note(line, about, f"{shown(item)} is read as {match[0]}")
        return match[0]


def read_cfg(path: Path | str) -> Cfg:
    """Read the sections of a file.

    Raises:
        InputError: it cannot be read, is too large, or has a line that is neither section, setting
            nor comment.

    """
    text, name = read_text(path, "a .cfg file")
    lines = text.split("\n")
    cfg = Cfg(name, {})
    if len(lines) > MAX_LINES:
        raise InputError(Fault(name, None, "", f"has more than the limit of {MAX_LINES} lines"))
    section: Section | None = None
    for number, line in enumerate(lines, 1):
        text = line.replace(" ", "").replace("\r", "")
        if not text or text.startswith("#"):
            continue
        if text.startswith("["):
            title = text[1:-1]
            if not text.endswith("]"):
                cfg.fault(number, "", f"section {shown(text)} does not end in ]")
            section = cfg.sections.setdefault(title, Section(title, number))
            continue
        key, equals, value = text.partition("=")
        if not equals:
            cfg.fault(number, "", f"{shown(text)} is neither [SECTION], KEY=VALUE nor # comment")
        elif section is None:
            cfg.fault(number, "", f"{shown(key)} stands before the first [SECTION]")
        else:
            key, value = key.lower(), value.partition("\t")[0].lower()
            if key in section.settings:
                first = section.settings[key].line
                message = f"{shown(key)} is given twice; the value of line {first} counts"
                cfg.note(number, section.name, message)
                place = len(section.settings) + len(section.repeated)
                section.repeated.append((place, key))
            else:
                section.settings[key] = Setting(number, value)
    cfg.refuse()
    return cfg
