"""Tracks: the rows of a viewer. Each PE, bus, link and port of the GLB has one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.events import ACTION, ACTIONS, DRAM, FIRST_PE, GLB, KINDS
from traces.export.selection import Selected
from traces.reader import Trace


def track_name(trace: Trace, block: int, action: int, kind: int) -> tuple[str, str]:
    """Return (group, track) that an event is shown on; each way into the GLB is a track."""
    layout = trace.layout
    name = layout.name(block)
    if block == DRAM:
        return "GLB and DRAM", "dram link"
    if block == GLB:
        return "GLB and DRAM", f"glb {KINDS[kind]} {ACTIONS[action]}"
    if block < FIRST_PE:
        return "buses", name
    if block >= FIRST_PE + layout.pes:
        return "local links", name
    return "PEs", f"{name} spad" if action == ACTION["fill"] else name


@dataclass(frozen=True)
class Tracks:
    """Tracks by name, with the rows of each in order."""

    names: list[tuple[str, str]]
    of_row: NDArray[np.int64]
    of_stall: NDArray[np.int64]

    @classmethod
    def of(cls, trace: Trace, chosen: Selected) -> Tracks:
        """Return the tracks of what an export writes."""
        events = chosen.events
        key = (events.block * len(ACTIONS) + events.action) * len(KINDS) + events.kind
        kinds, places = np.unique(key, return_inverse=True)
        names: dict[tuple[str, str], int] = {}
        numbers = []
        for one in kinds.tolist():
            rest, kind = divmod(one, len(KINDS))
            block, action = divmod(rest, len(ACTIONS))
            track = track_name(trace, block, action, kind)
            numbers.append(names.setdefault(track, len(names)))
        own = np.zeros(trace.layout.blocks, np.int64)
        for block in np.unique(chosen.stalls.block).tolist():
            track = track_name(trace, block, ACTION["mac"], 0)
            own[block] = names.setdefault(track, len(names))
        return cls(list(names), np.array(numbers, np.int64)[places], own[chosen.stalls.block])
