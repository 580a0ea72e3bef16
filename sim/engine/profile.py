"""A pass in detail: its four phases, and how busy each station is from its start to its end."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hw_models.vocabulary import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sim.engine.pe import PE, PELoad

SLICES = 48


@dataclass(frozen=True, slots=True)
class PassProfile:
    """Where the time of a pass goes.

    The four phases add up to its cycles: `load` until the first product, `ramp` until the first
    psum leaves the array, `steady` until the last product is done, `drain` until the last psum has
    left. `busy` has the share (0 to 1) of each of up to `SLICES` equal slices of the pass in which
    a station works; `pes` are the active PEs on average, whose work here is products alone.
    """

    load_cycles: int
    ramp_cycles: int
    steady_cycles: int
    drain_cycles: int
    busy: dict[str, Sequence[float]]

    @property
    def phases(self) -> tuple[int, int, int, int]:
        """Load, ramp, steady state and drain in cycles."""
        return self.load_cycles, self.ramp_cycles, self.steady_cycles, self.drain_cycles


def pass_profile(
    cycles: int,
    *,
    pes: Sequence[PE],
    loads: Sequence[PELoad],
    feed: Sequence[int],
    feed_words_per_cycle: int,
    psums_in: Sequence[int],
    psums_out: Sequence[int],
) -> PassProfile:
    """Return the profile of a pass of `cycles` that has run.

    `feed`, `psums_in` and `psums_out` are the logs of these buses.
    """
    starts = [np.array(pe.starts, np.int64) for pe in pes]
    begins = np.concatenate(starts)
    ends = np.concatenate([begun + pe.mac_cycles for begun, pe in zip(starts, pes, strict=True)])
    first, last = int(begins.min()), int(ends.max())
    leaves = min(max(psums_out[0] + 1, first), last)
    slices = min(SLICES, cycles)
    edges = np.linspace(0, cycles, slices + 1)
    work = {
        Lane.FILTER_BUS: _beats((beat - 1 for load in loads for beat in load.log), edges),
        Lane.IFMAP_BUS: _beats(feed, edges) / feed_words_per_cycle,
        Lane.PES: (_elapsed(begins, edges) - _elapsed(ends, edges)) / len(pes),
        Lane.PSUM_IN_BUS: _beats(psums_in, edges),
        Lane.PSUM_OUT_BUS: _beats(psums_out, edges),
    }
    width = np.diff(edges)
    return PassProfile(
        load_cycles=first,
        ramp_cycles=leaves - first,
        steady_cycles=last - leaves,
        drain_cycles=cycles - last,
        busy={name: array("d", np.round(np.diff(work[name]) / width, 4)) for name in Lane},
    )


def _elapsed(moments: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum at each edge the time since every earlier moment."""
    # An interval is (its begin's time) - (its end's time): two such sums, of all begins and of all
    # ends, differ by the busy cycles up to each edge, without a loop over intervals and slices.
    moments = np.sort(moments)
    sums = np.concatenate([[0], np.cumsum(moments)])
    earlier = np.searchsorted(moments, edges)
    elapsed: NDArray[np.float64] = earlier * edges - sums[earlier]
    return elapsed


def _beats(log: Iterable[int], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count beats of one cycle each, up to every edge."""
    begins = np.fromiter(log, np.int64)
    return _elapsed(begins, edges) - _elapsed(begins + 1, edges)
