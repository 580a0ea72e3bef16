"""All legal mappings of a layer on a chip, as arrays: the space that a mapper searches.

Nothing is thinned out. A mapping is in the space where it keeps every rule of `mapping.py` and none
of its blocks is larger than what it divides, for such a block is the same mapping under another
name. No two mappings of the space lay out the same passes.

The factors are chosen in three steps, so that a search can drop many mappings together. The outline
`n e f q r` decides what the GLB has left for psums, and how many PE sets fit on the array; `p t`
fill the PEs; `m` is at most what the GLB has left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.dataflow.row_stationary.mapping import FACTORS, Mapping, filter_sets_that_fit

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingABC

    from hw_models.spec import Hardware
    from workloads.layer import Layer

Ints = NDArray[np.int64]

_SLAB = 1 << 15
"""Outlines that are listed together: their bounds take some 20 MB."""


def ceil_of(value: Ints | int, by: Ints | int) -> Ints:
    """Return how many blocks of `by` hold `value`, elementwise."""
    blocks: Ints = -(-np.asarray(value, np.int64) // by)
    return blocks


@dataclass(frozen=True)
class Mappings:
    """Many mappings of one layer: an array a factor, all of one length.

    `f` are the ofmap columns of a tile; all of them where a mapping does not cut the columns.

    >>> many = Mappings.of([Mapping(m=4, n=1, e=3, p=2, q=1, r=1, t=2)], columns=13)
    >>> len(many), many.f.tolist(), str(many.mapping(0))
    (1, [13], 'm=4,n=1,e=3,p=2,q=1,r=1,t=2')
    """

    m: Ints
    n: Ints
    e: Ints
    f: Ints
    p: Ints
    q: Ints
    r: Ints
    t: Ints
    columns: int

    @classmethod
    def of(cls, mappings: Sequence[Mapping], columns: int) -> Mappings:
        """Make arrays from mappings of a layer with so many ofmap `columns`."""
        m, n, e, f, p, q, r, t = (
            np.array([getattr(one, name) for one in mappings], np.int64) for name in "mnefpqrt"
        )
        return cls(m, n, e, np.minimum(f, columns), p, q, r, t, columns)

    def __len__(self) -> int:
        return int(self.m.size)

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Mappings:
        """Take the mappings at these places."""
        m, n, e, f, p, q, r, t = (getattr(self, name)[places] for name in "mnefpqrt")
        return Mappings(m, n, e, f, p, q, r, t, self.columns)

    def mapping(self, place: int) -> Mapping:
        """Return the mapping at a place."""
        factors = {name: int(getattr(self, name)[place]) for name in FACTORS}
        if factors["f"] >= self.columns:
            del factors["f"]
        return Mapping(**factors)


@dataclass(frozen=True)
class Outlines:
    """Choices of `n e f q r`, and what they leave to the other factors.

    `split_m` is the largest `m` below all filters of a group that the GLB holds, `whole_m` says
    whether it holds all of them; what is held ahead makes these two questions
    (`mapping.held_at_once`). `most_p` and `most_t` are what spads and array allow.
    """

    n: Ints
    e: Ints
    f: Ints
    q: Ints
    r: Ints
    split_m: Ints
    whole_m: NDArray[np.bool_]
    most_p: Ints
    most_t: Ints

    def __len__(self) -> int:
        return int(self.n.size)

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Outlines:
        """Take the outlines at these places."""
        return Outlines(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


class Space:
    """The legal mappings of `layer` on `hw` whose factors have the values of `fixed`."""

    def __init__(
        self, layer: Layer, batch: int, hw: Hardware, fixed: MappingABC[str, int] | None = None
    ) -> None:
        self.layer = layer
        self.batch = batch
        self.hw = hw
        self.fixed = dict(fixed or {})
        self.most_filters = min(layer.Mg, hw.limits.filters[1])
        self.most_channels = min(layer.C, hw.limits.channels[1])

    @property
    def most_completed(self) -> int:
        """The most mappings that a filling is completed to."""
        return self.layer.Mg

    def values(self, factor: str) -> Ints:
        """Return the values of a factor, whatever the others are."""
        layer, hw = self.layer, self.hw
        most = {
            "m": self.most_filters,
            "n": self.batch,
            "e": min(layer.E, hw.array.columns * (hw.array.rows // layer.R)),
            "f": layer.F,
            "p": min(self.most_filters, hw.pe.psum_spad_words, hw.pe.filter_spad_words // layer.S),
            "q": min(self.most_channels, self._most_words // layer.S),
            "r": min(self.most_channels, hw.array.rows // layer.R),
            "t": min(self.most_filters, hw.pes),
        }[factor]
        values = np.arange(1, most + 1)
        if factor in self.fixed:
            values = values[values == self.fixed[factor]]
        return values

    @property
    def _most_words(self) -> int:
        return min(self.hw.pe.ifmap_spad_words, self.hw.pe.filter_spad_words)

    def slabs(self) -> Iterator[Outlines]:
        """Yield all choices of `n e f q r` under which a mapping is legal, some at a time."""
        layer, hw = self.layer, self.hw
        rows, chains = hw.array.rows, layer.R
        e, r = (axis.ravel() for axis in np.meshgrid(self.values("e"), self.values("r")))
        room = np.array(
            [
                filter_sets_that_fit(strip, chains * sets, hw) if chains * sets <= rows else 0
                for strip, sets in zip(e.tolist(), r.tolist(), strict=True)
            ],
            np.int64,
        )
        e, r, room = (axis[room > 0] for axis in (e, r, room))
        place, q = (axis.ravel() for axis in np.meshgrid(np.arange(e.size), self.values("q")))
        e, r, room = e[place], r[place], room[place]
        # No more channel sets than channels fill.
        useful = r <= ceil_of(self.most_channels, q)
        e, r, room, q = (axis[useful] for axis in (e, r, room, q))
        n, f = (axis.ravel() for axis in np.meshgrid(self.values("n"), self.values("f")))
        step = max(1, _SLAB // max(1, e.size))
        for start in range(0, n.size, step):
            pair, place = (
                axis.ravel()
                for axis in np.meshgrid(
                    np.arange(start, min(start + step, n.size)), np.arange(e.size)
                )
            )
            yield self._outlines(n[pair], e[place], f[pair], q[place], r[place], room[place])

    def _outlines(self, n: Ints, e: Ints, f: Ints, q: Ints, r: Ints, room: Ints) -> Outlines:
        layer, hw, glb = self.layer, self.hw, self.hw.glb
        touched_rows = (e - 1) * min(layer.U, layer.R) + layer.R
        touched_columns = (f - 1) * min(layer.V, layer.S) + layer.S
        channels = np.minimum(q * r, self.most_channels)
        ifmap_words = n * channels * touched_rows * touched_columns
        # What `overlap` holds ahead needs room only in a layer of several strips or m-blocks, and
        # with all filters in one m-block there may be one of each. So all filters may fit where one
        # fewer does not: the legal `m` are no interval, and `whole_m` is decided on its own.
        # M-blocks and strips of the layer where an m-block holds all filters.
        around = layer.G * ceil_of(self.batch, n) * ceil_of(layer.E, e) * ceil_of(layer.F, f)
        one_strip = (around == 1) & (q * r >= layer.C)
        ahead, full = hw.dram.overlap != "none", hw.dram.overlap == "full"

        def room_for_filters(strips: Ints | int, m_blocks: Ints | int) -> Ints:
            held = ceil_of(strips * ifmap_words, hw.glb_words_per_bank("ifmap"))
            free = np.maximum(glb.banks - held, 0) * hw.glb_words_per_bank("psum")
            filters: Ints = free // (m_blocks * n * e * f)
            return filters

        split_m = np.minimum(
            room_for_filters(2 if ahead else 1, 2 if full else 1),
            min(layer.Mg - 1, self.most_filters),
        )
        whole_m = np.zeros(split_m.shape, np.bool_)
        if self.most_filters == layer.Mg:
            strips = np.where(one_strip | (not ahead), 1, 2)
            m_blocks = np.where((around == 1) | (not full), 1, 2)
            whole_m = room_for_filters(strips, m_blocks) >= layer.Mg
        if "m" in self.fixed:
            m = self.fixed["m"]
            whole_m &= m == layer.Mg
            split_m = np.where(split_m >= m, split_m, 0)
        outlines = Outlines(
            n=n, e=e, f=f, q=q, r=r,
            split_m=split_m, whole_m=whole_m,
            most_p=np.minimum(
                min(hw.pe.psum_spad_words, self.most_filters),
                hw.pe.filter_spad_words // (q * layer.S),
            ),
            most_t=np.minimum(room, self.most_filters),
        )  # fmt: skip
        return outlines.take(((split_m > 0) | whole_m) & (outlines.most_p > 0))

    def fillings(self, outlines: Outlines) -> tuple[Ints, Ints, Ints]:
        """Return `p` and `t` under each outline: the place of the outline, `p`, `t`."""
        p, t = (axis.ravel() for axis in np.meshgrid(self.values("p"), self.values("t")))
        least = least_m(p, t)
        most_m = np.where(outlines.whole_m, self.layer.Mg, outlines.split_m)
        fits = (
            (p <= outlines.most_p[:, None])
            & (t <= outlines.most_t[:, None])
            & (least <= most_m[:, None])
        )
        place, pair = np.nonzero(fits)
        return place, p[pair], t[pair]

    def completed(self, outlines: Outlines, place: Ints, p: Ints, t: Ints) -> tuple[Mappings, Ints]:
        """Return all mappings with these outlines (by place), `p` and `t`; the place of each."""
        least = least_m(p, t)
        split, whole = outlines.split_m[place], outlines.whole_m[place]
        if "m" in self.fixed:
            m = self.fixed["m"]
            keep = (least <= m) & (whole if m == self.layer.Mg else split >= m)
            place, p, t = place[keep], p[keep], t[keep]
            m_of = np.full(place.size, m)
            times = np.ones(place.size, np.int64)
        else:
            splits = np.maximum(split - least + 1, 0)
            wholes = (whole & (least <= self.layer.Mg)).astype(np.int64)
            times = splits + wholes
            start = np.repeat(np.cumsum(times) - times, times)
            step = np.arange(int(times.sum())) - start
            first = np.repeat(least, times)
            m_of = np.where(step < np.repeat(splits, times), first + step, self.layer.Mg)
        at = np.repeat(place, times)
        many = Mappings(
            m=m_of,
            n=outlines.n[at], e=outlines.e[at], f=outlines.f[at],
            p=np.repeat(p, times), q=outlines.q[at], r=outlines.r[at], t=np.repeat(t, times),
            columns=self.layer.F,
        )  # fmt: skip
        return many, at

    def sizes(self, outlines: Outlines) -> Ints:
        """Count the mappings under each outline."""
        p, t = (axis.ravel() for axis in np.meshgrid(self.values("p"), self.values("t")))
        least = least_m(p, t)
        fixed, whole = self.fixed.get("m"), self.layer.Mg
        sizes = np.zeros(len(outlines), np.int64)
        rooms, room = np.unique(
            np.stack([outlines.most_p, outlines.most_t]), axis=1, return_inverse=True
        )
        for place, (most_p, most_t) in enumerate(rooms.T.tolist()):
            alike = np.flatnonzero(room.ravel() == place)
            # How many (p, t) each m allows, and the sum up to each m.
            inside = least[(p <= most_p) & (t <= most_t) & (least <= whole)]
            pairs = np.cumsum(np.bincount(inside, minlength=whole + 1))
            if fixed is None:
                sums = np.cumsum(pairs)
                split = sums[outlines.split_m[alike]]
                sizes[alike] = split + pairs[whole] * outlines.whole_m[alike]
            else:
                held = outlines.whole_m[alike] if fixed == whole else outlines.split_m[alike] > 0
                sizes[alike] = pairs[fixed] * held
        return sizes

    @cached_property
    def size(self) -> int:
        """Legal mappings."""
        return sum(int(self.sizes(slab).sum()) for slab in self.slabs())

    def __iter__(self) -> Iterator[Mappings]:
        """Yield every legal mapping, a few outlines at a time."""
        for slab in self.slabs():
            for start in range(0, len(slab), 64):
                some = slab.take(np.arange(start, min(start + 64, len(slab))))
                yield self.completed(some, *self.fillings(some))[0]


def least_m(p: Ints, t: Ints) -> Ints:
    """Return the fewest filters of an m-block that fill `p` and `t`."""
    least: Ints = np.where(t == 1, p, p * (t - 1) + 1)
    return least
