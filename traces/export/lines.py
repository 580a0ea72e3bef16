"""Comma-separated values, a line for each event."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import TextIOWrapper
from typing import IO

import numpy as np

from hw_models.vocabulary import CAUSES, Cause
from traces.events import ACTION, ACTIONS, KINDS
from traces.export.selection import Selected
from traces.reader import LayerTrace, Trace

COLUMNS = (
    "layer", "pass", "start_cycle", "duration_cycles", "block", "action", "data_type", "words",
    "source", "destination", "data", "cause",
)  # fmt: skip
WORK = {ACTION["mac"]: Cause.COMPUTING, ACTION["accumulate"]: Cause.ACCUMULATING}


def write_csv(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Write a line of names, then a line for each event; blocks and sets by name.

    `cause` says what a PE does: waits are lines of the action `stall`, behind the events.
    """
    del layer
    events, stalls = chosen.events, chosen.stalls
    text = TextIOWrapper(out, "utf-8", newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    names = [_no_formula(layer.name) for layer in trace.layers]
    block = _block_name(trace)
    labels = {
        number: " ".join(map(block, trace.sets[number]))
        for number in np.unique(np.concatenate([events.source, events.destination])).tolist()
    }
    for row in range(len(events)):
        action = int(events.action[row])
        lines.writerow(
            (
                names[int(events.layer[row])],
                int(events.pass_[row]),
                int(events.start[row]),
                int(events.duration[row]),
                block(int(events.block[row])),
                ACTIONS[action],
                KINDS[int(events.kind[row])],
                int(events.words[row]),
                labels[int(events.source[row])],
                labels[int(events.destination[row])],
                " ".join(map(str, events.words_of(row).tolist())),
                WORK.get(action, ""),
            )
        )
    for row in range(len(stalls)):
        pe = block(int(stalls.block[row]))
        lines.writerow(
            (
                names[int(stalls.layer[row])], int(stalls.pass_[row]), int(stalls.start[row]),
                int(stalls.duration[row]), pe, "stall", "none", 0, pe, pe, "",
                CAUSES[int(stalls.cause[row])],
            )
        )  # fmt: skip
    text.detach()  # the caller's file stays open


def _block_name(trace: Trace) -> Callable[[int], str]:
    """Return names without commas, so that `pe(3;4)` needs no quotes."""
    return lambda block: trace.layout.name(block).replace(",", ";")


def _no_formula(text: str) -> str:
    """Return the text of a cell so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
