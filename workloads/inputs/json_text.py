"""JSON from anyone: text that a terminal may show, and its memory before it is parsed."""

from __future__ import annotations

import json
import re
from typing import Any

from workloads.inputs.words import printable

_NOT_PLAIN = re.compile(rb"[^\t\n\r -\[\]-~]")  # beyond ASCII, a control character or an escape


def read_json(raw: bytes, **options: Any) -> Any:
    """Return the value of a JSON text, every text in it `printable`; `options` of `json.loads`.

    Raises `ValueError` or `RecursionError` where it is no JSON.
    """
    data = json.loads(raw, **options)
    # Most files hold nothing to clean, and a walk through one takes seconds.
    return _cleaned(data) if _NOT_PLAIN.search(raw) else data


def _cleaned(data: Any) -> Any:
    """Make every text printable, in place: a second copy would take as much memory again."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, list):
        for place, item in enumerate(data):
            if isinstance(item, str | list | dict):
                data[place] = _cleaned(item)
    elif isinstance(data, dict):
        for key in list(data):
            value = data[key] if key.isprintable() else data.pop(key)
            data[printable(key)] = _cleaned(value)
    return data


def json_memory(raw: bytes) -> int:
    """Return an upper bound of the bytes that a JSON text's values take in CPython 3.11."""
    marks = ((b"{", 250), (b"[", 80), (b",", 52), (b'"', 48))
    return 2 * len(raw) + sum(raw.count(mark) * size for mark, size in marks)
