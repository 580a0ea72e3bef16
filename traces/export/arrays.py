"""NumPy arrays, in one .npz file."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from hw_models.vocabulary import CAUSES
from traces.events import ACTIONS, KINDS
from traces.export.selection import Selected
from traces.reader import LayerTrace, Trace


def write_npz(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Write the columns, the names behind their numbers, sets of blocks, and the stalls."""
    del layer
    events, stalls = chosen.events, chosen.stalls
    layout = trace.layout
    ends = np.cumsum([len(members) for members in trace.sets], dtype=np.int64)
    columns: dict[str, Any] = {
        "layer": events.layer,
        "pass": events.pass_,
        "start": events.start,
        "duration": events.duration,
        "block": events.block,
        "action": events.action,
        "data_type": events.kind,
        "words": events.words,
        "source": events.source,
        "destination": events.destination,
        "data_end": events.data_end,
        "data": events.data,
        "set_ends": ends,
        "set_members": np.array([b for members in trace.sets for b in members], np.int64),
        "layer_names": np.array([each.name for each in trace.layers], str),
        "block_names": np.array([layout.name(block) for block in range(layout.blocks)], str),
        "action_names": np.array(ACTIONS, str),
        "data_type_names": np.array(KINDS, str),
        "stall_layer": stalls.layer,
        "stall_pass": stalls.pass_,
        "stall_start": stalls.start,
        "stall_duration": stalls.duration,
        "stall_block": stalls.block,
        "stall_cause": stalls.cause,
        "cause_names": np.array(CAUSES, str),
    }
    np.savez_compressed(out, **columns)
