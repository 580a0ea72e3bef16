"""NeuroSpector's cost model, evaluated for many tables together.

Tiles, counts, cycles and energies of a layer under tables of shape (n, 10, 8), after its
description in docs/neurospector.md; every formula is evaluated in the order and precision in which
the tool does it, or in 64 bits without wrap-around.

A level L is LB, GB or DRAM. `alloc` is what it holds, `send` the tile that it hands to the level
above in one go, counts are how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.models.neurospector.accelerator import (
    CHIPS_X,
    DRAM,
    GB,
    LB,
    MAC_X,
    PARAMETERS,
    PE_X,
    Accelerator,
)
from sim.models.neurospector.workload import Layer

K, B, P, Q, C, R, S, G = range(len(PARAMETERS))
KBPQ, CRS, BPQ = [K, B, P, Q], [C, R, S], [B, P, Q]

Array = NDArray[Any]
Triple = tuple[Array, Array, Array]
"""Input, weight, output; an array of n each."""


@dataclass(frozen=True)
class Arithmetic:
    """Numbers that the model computes with."""

    whole: Any
    real: Any


TOOL: Final = Arithmetic(np.uint32, np.float32)
"""The tool's own numbers: words and counts wrap at 2^32 [Q3]."""

EXACT: Final = Arithmetic(np.int64, np.float64)


@dataclass(frozen=True)
class Counts:
    """How often tiles of a level are read and written back."""

    rd_i: Array
    rd_w: Array
    rd_o: Array
    wr_o: Array

    @property
    def moved(self) -> Triple:
        """By type."""
        return self.rd_i, self.rd_w, self.rd_o + self.wr_o


@dataclass(frozen=True)
class Figures:
    """All that the model says of n tables, by level: row LB, GB, DRAM; 0 is the MACs."""

    alloc: dict[int, Triple]
    send: dict[int, Triple]
    counts: dict[int, Counts]
    active: tuple[Array, Array, Array]
    """MAC units, PEs and chips at work."""
    cycles: dict[int, Array]
    total_cycles: Array
    dynamic: dict[int, Array]
    static: dict[int, Array]
    upper: dict[int, Array]
    """The part of `dynamic` between a buffer and the level above it."""
    lower: dict[int, Array]
    total_dynamic: Array
    total_static: Array
    total_energy: Array


class Model:
    """The model of a layer on an accelerator with given dataflows of LB and GB.

    `divides_inputs` keeps quirk Q2 of version 1.5: input reads divided by loops over which the
    input changes.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        layer: Layer,
        dataflows: tuple[str, str] | None = None,
        arithmetic: Arithmetic = TOOL,
        *,
        divides_inputs: bool = True,
    ) -> None:
        self.accelerator = accelerator
        self.layer = layer
        self.dataflows = accelerator.dataflows if dataflows is None else dataflows
        self.arithmetic = arithmetic
        self._divides = divides_inputs and accelerator.version == "1.5"
        self._release = accelerator.version == "1.5"
        self._whole, self._real = arithmetic.whole, arithmetic.real
        macs = self._real(1)
        for size in layer.size:
            macs = macs * self._real(size)
        self._macs = macs
        self._levels = [row for row in (LB, GB, DRAM) if row in accelerator.buffers]
        frequency = accelerator.frequency
        self._clock = self._real(1000 / frequency if frequency else np.inf)
        self._units = {row: accelerator.units(row) for row in (MAC_X, PE_X, CHIPS_X)}

    # -- tiles --------------------------------------------------------------------------------

    def tiles(self, reach: Array) -> Triple:
        """Return words of each type of loops that reach so far, (8, n)."""
        v = reach
        step_p = step_q = self._whole(self.layer.stride)
        if not self._release:  # no stride where the tile has one row or column of the filter
            one = self._whole(1)
            step_p = np.where(v[R] != 1, step_p, one)
            step_q = np.where(v[S] != 1, step_q, one)
        one = self._whole(1)
        rows = (v[P] - one) * step_p + v[R]
        columns = (v[Q] - one) * step_q + v[S]
        inputs = v[B] * v[C] * v[G] * rows * columns
        weights = v[K] * v[C] * v[R] * v[S] * v[G]
        outputs = v[K] * v[B] * v[P] * v[Q] * v[G]
        return inputs, weights, outputs

    def rows(self, tables: Array) -> Array:
        """Return tables (n, 10, 8) as (10, 8, n): each column of a row in one piece of memory."""
        return np.ascontiguousarray(tables.transpose(1, 2, 0), self._whole)

    def reach(self, rows: Array) -> Array:
        """Return products of each column down to each row, (10, 8, n)."""
        result: Array = np.multiply.accumulate(rows, axis=0, dtype=self._whole)
        return result

    # -- counts -------------------------------------------------------------------------------

    def _product(self, rows: list[Array], columns: list[int]) -> Array:
        parts = [row[column] for row in rows for column in columns]
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        result: Array = product
        return result

    def local_counts(self, m3: Array, m6: Array, m9: Array) -> Counts:
        """Return LB's counts: the registers above keep nothing."""
        rows = [m3, m6, m9]
        every = self._product(rows, list(range(len(PARAMETERS))))
        rd_o = self._product(rows, [G, *KBPQ]) * (self._product(rows, CRS) - self._whole(1))
        return Counts(every, every, rd_o, every)

    def lower_counts(
        self,
        m6: Array,
        m9: Array,
        alloc: dict[int, Triple],
        send: dict[int, Triple],
        m3: Array | None = None,
    ) -> dict[int, Counts]:
        """Return counts of GB and DRAM; `m6`, `m9` are their rows, `m3` LB's, for version 1.6."""
        counts = {DRAM: self.dram_counts(m9, alloc[DRAM], send[DRAM])}
        if GB not in self.accelerator.buffers:
            # Version 1.6 charges LBs for the counts of a GB that hands everything on.
            counts[GB] = counts[DRAM]
            if m3 is not None:
                counts[GB] = self._around_local(counts[GB], m3, m6, m9)
            return counts
        counts[GB] = self._between([m6, m9], self.dataflows[0], m9)
        counts[GB] = _kept(counts[GB], alloc[GB], send[GB], counts[DRAM], self._whole)
        if not self._release and m3 is not None:
            counts[GB] = self._around_local(counts[GB], m3, m6, m9)
        counts[DRAM] = self._around_global(counts[DRAM], m9, alloc, send)
        return counts

    def dram_counts(self, m9: Array, alloc: Triple, send: Triple) -> Counts:
        """Return counts of DRAM, before what the GB's bypass adds."""
        flow = self.dataflows[1 if GB in self.accelerator.buffers else 0]
        return _kept(self._between([m9], flow, m9), alloc, send, None, self._whole)

    def _between(self, rows: list[Array], flow: str, m9: Array) -> Counts:
        here = rows[0]
        every = self._product(rows, list(range(len(PARAMETERS))))
        outputs = self._product(rows, [G, *KBPQ])
        one = self._whole(1)
        rd_i = rd_w = wr_o = every
        rd_o = outputs * (self._product(rows, CRS) - one)
        if flow == "IS":
            rd_i = every // self._input_reuse(here)
        elif flow == "WS":
            rd_w = every // self._product([here], BPQ)
        elif flow == "OS":
            wr_o = every // self._product([here], CRS)
            rd_o = outputs * (self._product([m9], CRS) - one) if len(rows) == 2 else 0 * outputs
        return Counts(rd_i, rd_w, rd_o, wr_o)

    def _input_reuse(self, row: Array) -> Array:
        """Return loops over filters; where there are none version 1.5 takes others [Q2]."""
        filters: Array = row[K]
        if not self._divides:
            return filters
        others = np.maximum(self._product([row], BPQ), self._product([row], CRS))
        reuse: Array = np.where(filters == 1, others, filters)
        return reuse

    def _around_local(self, counts: Counts, m3: Array, m6: Array, m9: Array) -> Counts:
        """Count as 1.6 does: what LB bypasses is read from the GB again for each of LB's loops."""
        inputs, weights, outputs = self.accelerator.buffers[LB].bypass
        rd_i, rd_w, rd_o, wr_o = counts.rd_i, counts.rd_w, counts.rd_o, counts.wr_o
        if inputs:
            rd_i = rd_i * m3[K]
        elif weights:
            rd_w = rd_w * self._product([m3], BPQ)
        elif outputs:
            one = self._whole(1)
            il, ig, id_ = (self._product([row], CRS) for row in (m3, m6, m9))
            below = ig * id_
            first = np.where(below == 1, (il - one) * self._product([m6, m9], [G, *KBPQ]), one)
            again = rd_o // np.maximum(below - one, one) * (il * below - one)
            rd_o = np.where(il > 1, np.where(rd_o == 0, first, again), rd_o)
            wr_o = wr_o * il
        return Counts(rd_i, rd_w, rd_o, wr_o)

    def _around_global(
        self, counts: Counts, m9: Array, alloc: dict[int, Triple], send: dict[int, Triple]
    ) -> Counts:
        """Read types that the GB bypasses from DRAM again for each of DRAM's loops.

        The first bypassed type for which the condition holds is the only one.
        """
        bypass = self.accelerator.buffers[GB].bypass
        one = self._whole(1)
        rd_i, rd_w, rd_o, wr_o = counts.rd_i, counts.rd_w, counts.rd_o, counts.wr_o
        todo = np.ones(m9.shape[1], bool)
        for kind in range(3):
            if not bypass[kind]:
                continue
            here = todo & (alloc[DRAM][kind] == send[DRAM][kind])
            here &= alloc[GB][kind] != send[GB][kind]
            todo &= ~here
            if kind == 0:  # sic: the writes of outputs [Q2b]
                wr_o = np.where(here, wr_o * self._input_reuse(m9), wr_o)
            elif kind == 1:
                rd_w = np.where(here, rd_w * self._product([m9], BPQ), rd_w)
            else:
                loops = self._product([m9], CRS)
                rd_o = np.where(here, loops - one, rd_o)
                wr_o = np.where(here, wr_o * loops, wr_o)
        return Counts(rd_i, rd_w, rd_o, wr_o)

    # -- cycles and energies ------------------------------------------------------------------

    def level_cycles(self, row: int, send: Triple, counts: Counts) -> Array:
        """Return cycles of a level; LB's are those of one PE, GB's those of one chip."""
        buffer = self.accelerator.buffers[row]
        parts = [self._type_cycles(row, send[kind], counts.moved[kind], kind) for kind in range(3)]
        separate = len(buffer.sizes) == 3 and row != DRAM
        if not self._release:
            separate = separate and row != GB
        if separate:
            return np.maximum(np.maximum(parts[0], parts[1]), parts[2])
        return parts[0] + parts[1] + parts[2]

    def _type_cycles(self, row: int, words: Array, times: Array, kind: int) -> Array:
        buffer, real = self.accelerator.buffers[row], self._real
        bits, precision = buffer.bits[kind], self.accelerator.precision
        unit = real(buffer.cycles[kind])
        if not self._release:
            width = real(bits // precision if row != DRAM else bits / precision)
            slow: Array = np.ceil(words.astype(real) / width) * times.astype(real) * unit
            return slow
        if row == LB:
            cycles: Array = self._beats(words, bits) * times.astype(real) * unit
        elif real is np.float64:
            cycles = self._beats(words * times, bits) * unit
        else:
            cycles = self._beats(words.astype(real) * times.astype(real), bits) * unit
        return cycles

    def _beats(self, words: Array, bits: float) -> Array:
        """Return accesses of a port of so many bits that words take."""
        real, precision = self._real, self.accelerator.precision
        if real is np.float64 and bits and bits == int(bits):
            # Whole numbers throughout: a quotient of floats may come out just above one.
            whole: Array = -(-words * precision // int(bits))
            return whole.astype(real)
        width = real(real(bits) / real(precision))
        beats: Array = np.ceil(words.astype(real) / width)
        return beats

    def priced(self, row: int, words: Triple, times: Triple) -> Array:
        """Return pJ of words times counts of each type at a level's prices."""
        prices = [self._real(price) for price in self.accelerator.buffers[row].energy_pj]
        if self._release:
            parts = [(w * t).astype(self._real) for w, t in zip(words, times, strict=True)]
        else:
            wide = [w.astype(np.uint64) for w in words]
            parts = [
                (w * t.astype(np.uint64)).astype(self._real)
                for w, t in zip(wide, times, strict=True)
            ]
        priced: Array = parts[0] * prices[0] + parts[1] * prices[1] + parts[2] * prices[2]
        return priced

    def figures(self, tables: Array) -> Figures:
        """Return all figures of tables (n, 10, 8), valid or not."""
        with np.errstate(all="ignore"):
            return self._figures(tables)

    def _figures(self, tables: Array) -> Figures:
        real = self._real
        rows = self.rows(tables)
        reach = self.reach(rows)
        alloc = {row: self.tiles(reach[row]) for row in self._levels}
        send = {row: self.tiles(reach[row - 1]) for row in self._levels}
        m3, m6, m9 = rows[LB], rows[GB], rows[DRAM]
        counts = {LB: self.local_counts(m3, m6, m9)}
        counts.update(self.lower_counts(m6, m9, alloc, send, m3))
        active = tuple(self._active(rows, row) for row in (MAC_X, PE_X, CHIPS_X))
        macs, pes, chips = active
        cycles = {0: self._macs / (macs * pes * chips).astype(real)}
        for row in self._levels:
            cycles[row] = self.level_cycles(row, send[row], counts[row])
        total_cycles = cycles[0]
        for row in self._levels:
            total_cycles = total_cycles + cycles[row]
        upper, lower = self._energies(rows, alloc, send, counts, pes, chips)
        dynamic = {0: np.full(len(tables), self._macs * real(self.accelerator.mac_energy_pj), real)}
        total_dynamic = dynamic[0]
        for row in self._levels:
            dynamic[row] = upper[row] + lower[row] if row in lower else upper[row]
            total_dynamic = total_dynamic + dynamic[row]
        static = self.static(total_cycles)
        total_static = static[0]
        for row in self._levels:
            total_static = total_static + static[row]
        return Figures(
            alloc,
            send,
            counts,
            (macs, pes, chips),
            cycles,
            total_cycles,
            dynamic,
            static,
            upper,
            lower,
            total_dynamic,
            total_static,
            total_dynamic + total_static,
        )

    def _active(self, rows: Array, row: int) -> Array:
        if self._units[row] <= 1:
            return np.ones(rows.shape[2], self._whole)
        return self._product([rows[row], rows[row + 1]], list(range(len(PARAMETERS))))

    def _energies(
        self,
        rows: Array,
        alloc: dict[int, Triple],
        send: dict[int, Triple],
        counts: dict[int, Counts],
        pes: Array,
        chips: Array,
    ) -> tuple[dict[int, Array], dict[int, Array]]:
        real = self._real
        copies = {LB: (pes * chips).astype(real), GB: chips.astype(real)}
        upper = {row: self.priced(row, send[row], counts[row].moved) for row in self._levels}
        for row, number in copies.items():
            if row in upper:
                upper[row] = upper[row] * number
        lower = {}
        for above, below in zip(self._levels, self._levels[1:], strict=False):
            got = counts[GB if above == LB else below]
            if self._release:
                lower[above] = self.priced(above, alloc[above], got.moved) * copies[above]
                continue
            written = self.priced(above, alloc[above], (got.rd_i, got.rd_w, got.wr_o))
            zero = np.zeros_like(got.rd_o)
            read = self.priced(above, alloc[above], (zero, zero, got.rd_o))
            lower[above] = written * copies[above] + read * self._clusters(rows, above)
        return upper, lower

    def _clusters(self, table_rows: Array, above: int) -> Array:
        """Return the groups of PEs (or chips) that make different outputs (version 1.6)."""
        first = PE_X if above == LB else CHIPS_X
        rows = [table_rows[first], table_rows[first + 1]]
        return self._product(rows, [*KBPQ, G]).astype(self._real)

    def static(self, total_cycles: Array) -> dict[int, Array]:
        """Return static pJ of all units of a level, busy or idle, over so many cycles."""
        real, accelerator = self._real, self.accelerator
        units = self._units[MAC_X] * self._units[PE_X] * self._units[CHIPS_X]
        static = {0: real(accelerator.mac_static_mw) * self._clock * real(units) * total_cycles}
        sides = {
            row: [real(side) for side in accelerator.arrays[row].size]
            for row in (PE_X, CHIPS_X)
            if row in accelerator.arrays
        }
        beside = {
            LB: [*sides.get(PE_X, []), *sides.get(CHIPS_X, [])],
            GB: sides.get(CHIPS_X, []),
            DRAM: [],
        }
        for row in self._levels:
            power = real(0)
            for number in accelerator.buffers[row].static_mw:
                power = power + real(number)
            power = power * self._clock
            for side in beside[row]:
                power = power * side
            static[row] = power * total_cycles
        return static

    def cost(self, figures: Figures, metric: str) -> Array:
        """Return total energy, or total cycles."""
        return figures.total_energy if metric == "energy" else figures.total_cycles

    def stage_cost(self, figures: Figures, end: int, metric: str) -> Array:
        """Return the cost of partial tables in bottom-up's stage whose lower row is `end`."""
        has_gb = GB in self.accelerator.buffers
        if metric == "cycle":
            cycles = figures.cycles
            parts = {
                DRAM: [cycles[DRAM], cycles[0]],
                GB: [cycles.get(GB, cycles[0]), cycles[LB], cycles[0]],
                LB: [cycles[LB], cycles[0]],
            }[end]
        else:
            upper, lower, static = figures.upper, figures.lower, figures.static
            if end == DRAM:
                moved = lower[GB] if has_gb else lower[LB]
                parts = [upper[DRAM], moved, static[DRAM], static[0]]
            elif end == LB:
                parts = [upper[LB], static[LB], static[0]]
            elif self._units[MAC_X] > 1:
                parts = [upper[GB], lower[LB], static[GB], static[0]]
            else:
                parts = [upper[GB], lower[LB], upper[LB], static[GB], static[LB], static[0]]
        cost = parts[0]
        for part in parts[1:]:
            cost = cost + part
        return cost


def _kept(
    counts: Counts, alloc: Triple, send: Triple, below: Counts | None, whole: type[Any]
) -> Counts:
    """Return counts where a level hands on all that it holds: those of the level below, or once."""
    once, never = whole(1), whole(0)
    rest = (
        (once, once, never, once)
        if below is None
        else (below.rd_i, below.rd_w, below.rd_o, below.wr_o)
    )
    same_i, same_w, same_o = (a == s for a, s in zip(alloc, send, strict=True))
    return Counts(
        np.where(same_i, rest[0], counts.rd_i),
        np.where(same_w, rest[1], counts.rd_w),
        np.where(same_o, rest[2], counts.rd_o),
        np.where(same_o, rest[3], counts.wr_o),
    )
