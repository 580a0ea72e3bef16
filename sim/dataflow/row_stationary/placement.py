"""Where the PE sets of a mapping are on the physical array (docs/machine.md section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dataflow.base import ceil_div


@dataclass(frozen=True, slots=True)
class Site:
    """One PE of a set: its place on the array and its part in the convolution."""

    row: int
    column: int
    channel_set: int
    filter_row: int


@dataclass(frozen=True, slots=True)
class Placement:
    """PE sets on the array; positions are derived, so two equal placements are one key.

    `set_rows` is R, `set_columns` is e, `channel_sets` is r, `filter_sets` is t.
    Row 0 is the top of the array; psums travel up, towards row 0. Channel set 0 stands at the
    bottom of its chain, or at the top (`array.first_channel_set`).
    """

    array_rows: int
    array_columns: int
    set_rows: int
    set_columns: int
    channel_sets: int
    filter_sets: int
    first_set_on_top: bool = False

    @property
    def chain_length(self) -> int:
        """PEs that one psum passes: R*r."""
        return self.set_rows * self.channel_sets

    @property
    def segments(self) -> int:
        """Pieces into which a set wider than the array folds."""
        return ceil_div(self.set_columns, self.array_columns)

    @property
    def active_pes(self) -> int:
        """PEs that belong to some set in a full pass."""
        return self.chain_length * self.set_columns * self.filter_sets

    def parts(self) -> NDArray[np.str_]:
        """Name the part of each PE in a full pass, (rows, columns), empty where no PE set stands.

        The name is `filter set.channel set.filter row.ofmap row`, each from 0.
        """
        names = [[""] * self.array_columns for _ in range(self.array_rows)]
        for filter_set in range(self.filter_sets):
            for ofmap_row in range(self.set_columns):
                for site in self.chain(filter_set, ofmap_row, self.channel_sets):
                    names[site.row][site.column] = (
                        f"{filter_set}.{site.channel_set}.{site.filter_row}.{ofmap_row}"
                    )
        return np.array(names, np.str_)

    def chain(self, filter_set: int, ofmap_row: int, channel_sets: int) -> tuple[Site, ...]:
        """Return the PEs that compute ofmap row `ofmap_row` of the strip, from bottom to top.

        `channel_sets` may be fewer than the placement has, in a pass at the edge of the channel
        loop; a set stands where it does in a full pass, so the chain then ends lower, or with set 0
        on top begins higher. Filter row 0 is the uppermost of each set.
        """
        # docs/machine.md section 3, "Array": a set wider than the array is cut into segments, which
        # are stacked, and so are its filter sets; narrower sets go side by side on a shelf as high
        # as a chain, then on the next shelf. Positions are computed, not stored: the placement is
        # part of the key of each pass, and a table of PEs would be hashed and compared with it.
        length = self.chain_length
        segment, offset = divmod(ofmap_row, self.array_columns)
        if self.segments > 1:
            top = (filter_set * self.segments + segment) * length
            column = offset
        else:
            side_by_side = self.array_columns // self.set_columns
            shelf, place = divmod(filter_set, side_by_side)
            top = shelf * length
            column = place * self.set_columns + ofmap_row
        steps = self.set_rows * channel_sets
        bottom = top + (steps if self.first_set_on_top else length) - 1
        return tuple(
            Site(
                row=bottom - step,
                column=column,
                channel_set=(steps - 1 - step if self.first_set_on_top else step) // self.set_rows,
                filter_row=self.set_rows - 1 - step % self.set_rows,
            )
            for step in range(steps)
        )
