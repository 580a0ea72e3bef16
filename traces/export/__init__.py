"""Exports for the viewers and tools that people already use: Perfetto, VCD, CSV, NPZ.

Each writes the events of a query, and what the PEs wait for between them, one after
the other. A cycle stays a cycle: where a format needs a unit of time, one unit is one core
cycle, and the file says so.

>>> sorted(WRITERS)
['csv', 'npz', 'perfetto', 'vcd']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from traces.export.arrays import write_npz
from traces.export.lines import write_csv
from traces.export.perfetto import write_perfetto
from traces.export.selection import DEFAULT_EVENTS, Selected, Stalls, one_layer, select
from traces.export.waveform import write_vcd
from traces.reader import LayerTrace, Trace

WRITERS: dict[str, Callable[[Trace, LayerTrace, Selected, IO[bytes]], None]] = {
    "perfetto": write_perfetto,
    "vcd": write_vcd,
    "csv": write_csv,
    "npz": write_npz,
}
__all__ = ["DEFAULT_EVENTS", "WRITERS", "Selected", "Stalls", "one_layer", "select"]
