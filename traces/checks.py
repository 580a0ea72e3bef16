"""What a reader checks before it believes a trace; each check returns what is wrong.

A file may be forged: after these checks no number of it leads out of an array, or to more memory
than the sizes of its tables say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.events import ACTIONS, KINDS, Layout
from traces.template import NO_PATTERN, Template, ofmap_pattern_fault

Rows = NDArray[Any]
LARGEST_ARRAY = 65_536  # PEs: as many as a hardware file may describe
LARGEST_TIME = 1 << 48  # cycles: two weeks at 200 MHz


def description_fault(description: Mapping[str, Any]) -> str:
    """Return what is wrong with the description of a run, or an empty string."""
    machine = description.get("machine")
    if not isinstance(machine, dict) or not all(
        type(value) is int and 0 <= value < LARGEST_TIME for value in machine.values()
    ):
        return "the description has no machine"
    for name in ("array_rows", "array_columns"):
        if not 1 <= machine.get(name, 0) <= LARGEST_ARRAY:
            return f"the machine has no {name}"
    if machine["array_rows"] * machine["array_columns"] > LARGEST_ARRAY:
        return f"the machine has more than {LARGEST_ARRAY} PEs"
    restricted = description.get("restricted")
    if not isinstance(restricted, dict):
        return "the description does not say what was recorded"
    window = restricted.get("window", [0, 0])
    if not (isinstance(window, list) and len(window) == 2 and _whole(*window)):
        return "the window is none"
    for name in ("layers", "blocks"):
        chosen = restricted.get(name, [])
        if not isinstance(chosen, list) or not all(isinstance(part, str) for part in chosen):
            return f"the recorded {name} are none"
    if not all(isinstance(description.get(name), str) for name in ("program", "network")):
        return "the description does not name program and network"
    return ""


def _whole(*values: object) -> bool:
    return all(type(value) is int and 0 <= value < LARGEST_TIME for value in values)


def passes_fault(passes: Rows, tiles: Rows, layers: int, templates: int) -> str:
    """Return what is wrong with the tables of passes and tiles, or an empty string."""
    for name, table in (("passes", passes), ("tiles", tiles)):
        owner = table["layer"]
        if len(owner) and (owner.min() < 0 or owner.max() >= layers or np.any(np.diff(owner) < 0)):
            return f"{name} of layers that are not there, or out of order"
        for column in table.dtype.names or ():
            values = table[column]
            if len(values) and (int(values.min()) < 0 or int(values.max()) > LARGEST_TIME):
                return f"{name}.{column} is out of range"
    if len(passes) and int(passes["template"].max()) >= templates:
        return "a pass of a template that is not there"
    if len(passes):
        same = np.diff(passes["layer"]) == 0
        ends = passes["start"][:-1] + passes["cycles"][:-1]
        if np.any((passes["start"][1:] != ends) & same) or np.any(
            (np.diff(passes["index"]) != 1) & same
        ):
            return "passes that do not follow one another"
    if len(tiles):
        if int(tiles["action"].max()) >= len(ACTIONS) or int(tiles["kind"].max()) >= len(KINDS):
            return "a tile of an unknown action or data type"
        if np.any((np.diff(tiles["start"]) < 0) & (np.diff(tiles["layer"]) == 0)):
            return "tiles out of order"
    return ""


def template_fault(template: Template, layout: Layout) -> str:
    """Return what is wrong with the tables of a template, or an empty string."""
    shape, streams = template.shape, template.streams
    if any(not 0 <= value < LARGEST_TIME for value in shape.values()):
        return "a figure is out of range"
    if shape["cycles"] < 1:
        return "it has no cycles"
    for name in ("set", "pattern"):
        ends = getattr(template, f"{name}_ends").astype(np.int64)
        size = len(getattr(template, f"{name}_{'members' if name == 'set' else 'values'}"))
        if np.any(np.diff(ends, prepend=0) < 1) or (int(ends[-1]) if len(ends) else 0) != size:
            return f"its {name}s do not fit together"
    members, values = template.set_members, template.pattern_values
    if len(members) and (members.min() < 0 or members.max() >= layout.blocks):
        return "a set has a block that is not there"
    if len(values) and values.min() < 0:
        return "a pattern has a negative number"
    if np.any(streams["rows"] < 1) or int(streams["rows"].sum(dtype=np.int64)) != template.rows:
        return "its streams and rows do not agree"
    if len(streams) and (
        streams["block"].min() < 0
        or streams["block"].max() >= layout.blocks
        or streams["action"].max() >= len(ACTIONS)
        or streams["kind"].max() >= len(KINDS)
        or streams["has_data"].max() > 1
    ):
        return "a stream of an unknown block, action or data type"
    patterns, sets = len(template.pattern_ends), len(template.set_ends)
    for name in ("durations", "words", "sources", "destinations"):
        if len(streams) and (streams[name].min() < 0 or streams[name].max() >= patterns):
            return "a stream names a pattern that is not there"
    for name in ("sources", "destinations"):
        for pattern in np.unique(streams[name]).tolist():
            if int(template.patterns[pattern].max()) >= sets:
                return "a stream names a set that is not there"
    words = [
        int(template.column(number, "words").sum())
        for number in np.flatnonzero(streams["has_data"]).tolist()
    ]
    if sum(words) != len(template.data):
        return "its words and data do not agree"
    if template.rows:
        starts = template.starts
        firsts = np.zeros(len(starts), bool)
        firsts[template.row_ends - streams["rows"]] = True
        if starts.min() < 0 or int(starts.max()) >= shape["span"]:
            return "its events lie outside of it"
        if np.any(template.steps[~firsts] < 0):
            return "its events are out of order"
    return _pe_fault(template, layout)


def _pe_fault(template: Template, layout: Layout) -> str:
    pes = template.pes
    if not len(pes):
        return ""
    if (
        pes["row"].min() < 0
        or pes["row"].max() >= layout.rows
        or pes["column"].min() < 0
        or pes["column"].max() >= layout.columns
    ):
        return "a PE is outside of the array"
    numbers = pes["row"].astype(np.int64) * layout.columns + pes["column"]
    if len(np.unique(numbers)) != len(numbers):
        return "two PEs in one place"
    for name, least in (("operands", 1), ("outputs", 1), ("bubble", 0)):
        if pes[name].min() < least or pes[name].max() > 1 << 20:
            return f"a PE's {name} is out of range"
    patterns = len(template.pattern_ends)
    for name in ("uses", "needs", "frees", "ofmap"):
        least = NO_PATTERN if name == "ofmap" else 0
        if pes[name].min() < least or pes[name].max() >= patterns:
            return f"a PE's {name} name a pattern that is not there"
    for number in np.unique(pes["ofmap"]).tolist():
        if number != NO_PATTERN and ofmap_pattern_fault(template.patterns[number].tolist()):
            return "a PE's part of the ofmap is none"
    try:
        legends = template.legends
    except ValueError:
        return "its legend is no text with numbers"
    for name, numbers in legends.items():
        if len(numbers) != len(pes) or not name.replace(" ", "").isalnum():
            return "its legend and its PEs do not agree"
    return ""
