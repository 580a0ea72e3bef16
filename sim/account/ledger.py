"""From what a layer did to the entries of the ledger (docs/machine.md section 4).

Engine and closed form both hand in `LayerStats`; the ledger adds what neither of them times: zero
gating, the published convention, bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hw_models.vocabulary import ENTRIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sim.dataflow.base import Plan
    from sim.plan.dram_traffic import DramStall

BYTES_PER_PUBLISHED_WORD = 2  # JSSC 2017 counts 16-bit words


class LayerStats(Protocol):
    """What the ledger needs of an engine, the one in SimPy or the closed form."""

    @property
    def cycles(self) -> int:
        """Processing latency in core cycles."""

    @property
    def counts(self) -> dict[str, int]:
        """Words or actions; `mac.total` and `mac.gated` for the MACs."""

    @property
    def bus_cycles(self) -> dict[str, int]:
        """Cycles in which each bus sends, by network."""

    @property
    def multicast(self) -> dict[int, int]:
        """Ifmap words by the number of PEs that each reached."""

    @property
    def macs(self) -> NDArray[np.int64]:
        """Products of each PE (rows, columns)."""

    @property
    def standstill(self) -> DramStall:
        """What the total latency has beyond the processing latency."""


def gated_macs(macs: int, zero_fraction: float | None) -> int:
    """Return the MACs whose ifmap word is zero, where only the fraction of zeros is known.

    The fraction is taken as a decimal to nine places, so that the count is a matter of whole
    numbers and the same everywhere.
    """
    if zero_fraction is None:
        return 0
    scale = 10**9
    return (macs * round(zero_fraction * scale) + scale // 2) // scale


def ledger_entries(
    plan: Plan, counts: dict[str, int], *, gated_known: bool = False
) -> dict[str, int]:
    """Return every entry of the ledger in words or actions, by dotted name, ordered as `ENTRIES`.

    `gated_known` says that `mac.gated` was counted from real data.
    """
    total = counts["mac.total"]
    gated = (
        counts["mac.gated"] if gated_known else gated_macs(total, plan.layer.ifmap_zero_fraction)
    )
    full = dict(counts)
    full["mac.active"] = total - gated
    full["mac.gated"] = gated
    # A gated MAC does not read its filter word (docs/machine.md section 4).
    full["spad.filter.read"] = counts["spad.filter.read"] - gated
    return {name: full[name] for name in ENTRIES}


def nested(entries: dict[str, int]) -> dict[str, Any]:
    """Return dotted names as nested objects: `{"glb": {"psum": {"read": ...}}}`."""
    result: dict[str, Any] = {}
    for name, value in entries.items():
        *path, last = name.split(".")
        place = result
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return result


def published_glb_bytes(entries: dict[str, int]) -> int:
    """Return the global buffer's accesses, bytes, as JSSC 2017 counts them.

    These are ifmap and psum reads, psum writes and the dump.
    """
    words = (
        entries["glb.ifmap.read"]
        + entries["glb.psum.read"]
        + entries["glb.psum.write"]
        + entries["glb.ofmap.read"]
    )
    return BYTES_PER_PUBLISHED_WORD * words
