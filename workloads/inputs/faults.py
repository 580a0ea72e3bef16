"""What is wrong with an input, and where; an input is refused with all its faults together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_FAULTS: Final = 100
"""Faults reported of a file: a hostile one would turn every byte into a line of output."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input, and where; empty parts are left out of its text."""

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class InputError(Exception):
    """An input is refused; `faults` holds every reason, and the text has one line for each."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)  # as args, so that it pickles across worker processes

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults, in the order they are to be shown."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


def in_order(faults: Iterable[Fault], more: int = 0) -> list[Fault]:
    """Return faults of one file by line, the first hundred; then how many are left out.

    `more` are left out already.
    """
    ordered = sorted(faults, key=lambda fault: fault.line or 0)
    more += max(0, len(ordered) - MAX_FAULTS)
    note = [Fault(ordered[0].file, None, "", f"{more} more faults are not shown")] if more else []
    return ordered[:MAX_FAULTS] + note
