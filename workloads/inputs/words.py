"""Words of messages: names and values as a user wrote them, safe for a terminal, and near ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

_MAX_SHOWN = 60  # characters of a user's value repeated in a message

_MAX_KNOWN = 20  # names listed after "known:"

DocumentPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a document to one value."""


def printable(text: str) -> str:
    """Return `text` with escapes in place of all that a terminal obeys or hides.

    These are control characters and escape sequences, line breaks, marks that turn the direction of
    writing, and half of a surrogate pair. Whatever a file holds that is not checked by a model
    with `Line` goes through here before it is shown.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def path_part(name: str, taken: set[str]) -> str:
    """Return `name` as one part of a path that every file system takes, and add it to `taken`.

    Letters, digits, dots, hyphens and underscores of ASCII stay; no part begins or ends with a dot.
    A number tells it from the parts that are `taken`, in any case.
    """
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80] or "layer"
    part, place = base, 2
    while part.casefold() in taken:
        part, place = f"{base}_{place}", place + 1
    taken.add(part.casefold())
    return part


def one_line(text: str) -> str:
    """Return the text of a field on one line.

    Raises `ValueError` where it is not printable: escape sequences would reach the user's terminal.
    """
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValueError(f"must be printable text, got {shown(text)}")
    return line


Line: TypeAlias = Annotated[str, AfterValidator(one_line)]
"""Text of a YAML file that a terminal may show."""


def field_name(path: DocumentPath) -> str:
    """Return `path` as a user writes it: `("layers", 3, "stride")` is `layers[3].stride`."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
            continue
        plain = part if part.isprintable() and len(part) <= _MAX_SHOWN else shown(part)
        name += f".{plain}" if name else plain
    return name


_LONGEST_PLAIN: Final = 100  # characters of a setting or path that a message repeats as they are


def shown(value: object) -> str:
    """Return `value` as an error message repeats it: YAML's words, escaped, and cut when long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def plain(text: str) -> str:
    """Return `text` as it is where it is short and printable, else as `shown`."""
    return text if text.isprintable() and len(text) <= _LONGEST_PLAIN else shown(text)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the entry of `known` that `name` most likely means, in any case, or None."""
    if len(name) > _MAX_SHOWN:  # no typing error; difflib is quadratic
        return None
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name: the likely one, then the known ones."""
    names = list(known)
    near = closest(name, names)
    suggestion = f"did you mean {near!r}? " if near is not None else ""
    return f"no {kind} {shown(name)}; {suggestion}known: {listed(names) or 'none'}"


def listed(names: Sequence[str]) -> str:
    """Return the first names joined, and how many there are where some are left out."""
    more = f", ... ({len(names)} in all)" if len(names) > _MAX_KNOWN else ""
    return ", ".join(names[:_MAX_KNOWN]) + more


def exact(number: float) -> Fraction:
    """Return the number as it is written: 66.7 is 667/10, not the nearest binary fraction."""
    return Fraction(str(number))
