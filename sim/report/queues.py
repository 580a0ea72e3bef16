"""The FIFOs of a result as rows: what each kind can hold, what it held, how long it was full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import Queue

QUEUES = {
    "gin_filter_lines": ("filter lines to GIN", "lines"),
    "gin_ifmap_lines": ("ifmap lines to GIN", "lines"),
    "gin_psum_lines": ("psum lines to GIN", "lines"),
    "gon_psum_lines": ("psum lines from GON", "lines"),
    "ifmap_fifo": ("PE ifmap FIFOs", "words"),
    "psum_in_fifo": ("PE psum in FIFOs", "words"),
    "psum_out_fifo": ("PE psum out FIFOs", "words"),
}
"""Every kind of FIFO in the order of its table, with its heading and unit."""

LEGEND = (
    "Held: the most that one FIFO of the kind held at a time, of what it can hold; one no deeper "
    "than that would do as well. Blocked: cycles that writers waited for room, summed over the "
    "writers; writers blocked: the same over the processing latency. The writer of a PE's ifmap "
    "FIFO is the bus, of its psum in FIFO the PE below or the bus, of its psum out FIFO the PE "
    "itself; a port of the global buffer reads lines ahead of its bus."
)


def queue_depth(name: str, hw: Hardware) -> int:
    """Return what a FIFO of this kind can hold, in its unit."""
    if QUEUES[name][1] == "lines":
        return hw.noc.bus_fifo_entries
    depth: int = getattr(hw.pe, f"{name}_words")
    return depth


def queue_rows(
    hw: Hardware, layers: Sequence[Mapping[str, Queue]], cycles: int
) -> list[dict[str, Any]]:
    """Return a row for each kind of FIFO of these layers, which took `cycles` of processing.

    No row where a layer has none: the closed form knows no FIFOs.
    """
    if not all(layers):
        return []
    rows = []
    for name, (heading, unit) in QUEUES.items():
        found = [layer[name] for layer in layers if name in layer]
        if not found:
            continue
        blocked = sum(queue.blocked_cycles for queue in found)
        rows.append(
            {
                "id": name,
                "name": heading,
                "unit": unit,
                "depth": queue_depth(name, hw),
                "peak": max(queue.peak for queue in found),
                "blocked_cycles": blocked,
                "blocked_writers": blocked / cycles,
            }
        )
    return rows
