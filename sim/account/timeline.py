"""The passes of a layer over time: the kinds of pass, their phases, and the order they come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sim.plan.limits import MOST_KINDS, MOST_RUNS
from sim.plan.order import Order, Runs
from sim.result.model import DetailPart, KindPart, LeftOutPart, TimelinePart


@dataclass(frozen=True)
class PassKind:
    """Passes that are equal to the cycle: their block, length and number.

    `columns` are the ofmap columns of a pass where the mapping cuts them, else None.
    `phases` has the cycles of a pass by `Phase`, which add up to `cycles`; the closed form knows
    `load` and the rest, as `steady`. `busy` has the share of each equal slice of a pass in which a
    station works; it is empty where the pass was not simulated, and where another kind takes more
    of the layer's time.
    """

    images: int
    strip_rows: int
    filters: int
    channels: int
    first_channels: bool
    cycles: int
    passes: int
    phases: dict[str, int]
    busy: dict[str, Sequence[float]] = field(default_factory=dict)
    columns: int | None = None

    @property
    def all_cycles(self) -> int:
        """Cycles of all its passes."""
        return self.cycles * self.passes

    def to_model(self) -> KindPart:
        """Return the kind's object in the result file, without `busy`."""
        return KindPart(
            images=self.images,
            columns=self.columns,
            strip_rows=self.strip_rows,
            filters=self.filters,
            channels=self.channels,
            first_channels=self.first_channels,
            cycles=self.cycles,
            passes=self.passes,
            phases=dict(self.phases),
        )


@dataclass(frozen=True)
class Timeline:
    """Kinds of pass and the order they come in; `order` is empty where nobody wrote it down.

    `of` makes one that is no larger than a result file may be: `passes_left_out` and
    `cycles_left_out` are of the kinds beyond `MOST_KINDS`, and `complete` tells whether `order` has
    the whole layer.
    """

    kinds: tuple[PassKind, ...]
    order: Order = ()
    complete: bool = False
    passes_left_out: int = 0
    cycles_left_out: int = 0

    @classmethod
    def of(cls, kinds: Sequence[PassKind], order: Order = ()) -> Timeline:
        """Make a layer's timeline: kinds that read the same are one, and the first ones are kept.

        The order is kept up to the first kind that is not, and up to `MOST_RUNS` runs of passes.
        """
        distinct: list[PassKind] = []
        numbers: dict[tuple[object, ...], int] = {}
        places: list[int] = []
        for kind in kinds:
            place = numbers.setdefault(_alike(kind), len(distinct))
            places.append(place)
            if place == len(distinct):
                distinct.append(kind)
            else:
                known = distinct[place]
                distinct[place] = replace(known, passes=known.passes + kind.passes)
        kept, others = distinct[:MOST_KINDS], distinct[MOST_KINDS:]
        longest = max(range(len(kept)), key=lambda place: kept[place].all_cycles)
        # What is busy when is shown of one kind, and would be most of what a layer holds.
        kept = [
            kind if place == longest or not kind.busy else replace(kind, busy={})
            for place, kind in enumerate(kept)
        ]
        short, whole = _cut(order, places, len(kept))
        return cls(
            tuple(kept),
            short,
            bool(order) and whole,
            sum(kind.passes for kind in others),
            sum(kind.all_cycles for kind in others),
        )

    def to_model(self) -> TimelinePart:
        """Return the timeline's object in the result file."""
        longest = max(range(len(self.kinds)), key=lambda place: self.kinds[place].all_cycles)
        busy = self.kinds[longest].busy
        left_out, detail = None, None
        if self.passes_left_out:
            left_out = LeftOutPart(passes=self.passes_left_out, cycles=self.cycles_left_out)
        if busy:
            shares = {station: list(values) for station, values in busy.items()}
            detail = DetailPart(kind=longest, busy=shares)
        return TimelinePart(
            kinds=[kind.to_model() for kind in self.kinds],
            left_out=left_out,
            order=[(times, list(runs)) for times, runs in self.order],
            complete=self.complete,
            detail=detail,
        )


def _alike(kind: PassKind) -> tuple[object, ...]:
    """Return what a result file says of a kind, without the number of its passes."""
    return (
        *(kind.images, kind.columns, kind.strip_rows, kind.filters, kind.channels),
        *(kind.first_channels, kind.cycles, *kind.phases.values()),
    )


def _cut(order: Order, places: Sequence[int], kept: int) -> tuple[Order, bool]:
    """Return the order by the new `places` of its kinds as far as kept, and whether that is all."""
    kept_blocks: list[tuple[int, Runs]] = []
    room = MOST_RUNS
    for times, old in order:
        runs = _joined((places[kind], many) for kind, many in old)
        if kept_blocks and kept_blocks[-1][1] == runs:
            kept_blocks[-1] = kept_blocks[-1][0] + times, runs
            continue
        known = next((at for at, (kind, _) in enumerate(runs) if kind >= kept), len(runs))
        some = runs[: min(known, room)]
        if len(some) < len(runs):
            return (*kept_blocks, *([(1, some)] if some else [])), False
        kept_blocks.append((times, runs))
        room -= len(runs)
    return tuple(kept_blocks), True


def _joined(runs: Iterable[tuple[int, int]]) -> Runs:
    joined: list[tuple[int, int]] = []
    for kind, many in runs:
        if joined and joined[-1][0] == kind:
            joined[-1] = kind, joined[-1][1] + many
        else:
            joined.append((kind, many))
    return tuple(joined)
