"""The passes of a layer over time: the kinds of pass, their phases, and the order they come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sim.plan.order import Order

MOST_BLOCKS = 512  # of the order that a result file keeps; what is behind is left out, and said so

PHASES = ("load", "ramp", "steady", "drain")


@dataclass(frozen=True)
class PassKind:
    """Passes that are equal to the cycle: their block, length and number.

    `phases` has the cycles of a pass by `PHASES`, which add up to `cycles`; the closed form knows
    `load` and the rest, as `steady`. `busy` has the share of each equal slice of a pass in which a
    station works; it is empty where the pass was not simulated.
    """

    images: int
    strip_rows: int
    filters: int
    channels: int
    first_channels: bool
    cycles: int
    passes: int
    phases: dict[str, int]
    busy: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The kind's object in the result file, without `busy`."""
        return {
            "images": self.images,
            "strip_rows": self.strip_rows,
            "filters": self.filters,
            "channels": self.channels,
            "first_channels": self.first_channels,
            "cycles": self.cycles,
            "passes": self.passes,
            "phases": self.phases,
        }


@dataclass(frozen=True)
class Timeline:
    """Kinds of pass and the order they come in; `order` is empty where nobody wrote it down."""

    kinds: tuple[PassKind, ...]
    order: Order = ()

    def to_dict(self) -> dict[str, Any]:
        """The timeline's object in the result file.

        `order` is a list of [times, [[kind, passes in a row], ...]]; `complete` is false where it
        is cut. `detail` shows one pass of the kind that takes most of the time.
        """
        longest = max(
            range(len(self.kinds)), key=lambda i: self.kinds[i].cycles * self.kinds[i].passes
        )
        busy = self.kinds[longest].busy
        return {
            "kinds": [kind.to_dict() for kind in self.kinds],
            "order": [
                [times, [list(run) for run in runs[:MOST_BLOCKS]]]
                for times, runs in self.order[:MOST_BLOCKS]
            ],
            "complete": bool(self.order)
            and len(self.order) <= MOST_BLOCKS
            and all(len(runs) <= MOST_BLOCKS for _, runs in self.order),
            **(
                {"detail": {"kind": longest, "busy": {k: list(v) for k, v in busy.items()}}}
                if busy
                else {}
            ),
        }
