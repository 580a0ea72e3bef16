"""A loop nest: the common form in which mappings of any dataflow are written.

A loop goes over blocks of one dimension of the convolution, either one after the other (temporal)
or side by side on the array (spatial), and belongs to the memory that holds what one of its blocks
needs. A nest says nothing of time; which nests a dataflow can run is that dataflow's business
(`Dataflow.from_nest`).

>>> from sim.dataflow.nest import Loop, LoopNest
>>> nest = LoopNest((Loop("M", 4, 16, "DRAM"), Loop("M", 2, 8, "array"), Loop("M", 8, 1, "PE")))
>>> print(nest)
DRAM   for M in 4 blocks of 16
array    spatial M in 2 blocks of 8
PE         for M in 8
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workloads.layer import Layer

DIMENSIONS: Final = ("G", "N", "M", "C", "E", "F", "R", "S")
"""Groups, images, filters and channels of a group, ofmap rows and columns, filter rows and columns.

Timeloop and its kin call E and F P and Q.
"""

LEVELS: Final = ("DRAM", "GLB", "array", "PE")
"""From the outside: who holds what one block of the loop needs. Loops of `array` are spatial."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over `bound` blocks of `step` elements of a dimension; the last block may be short.

    Blocks that do not divide what they cut are common (13 ofmap rows, 3 channels), so the step is
    written down: it does not follow from the bounds of the loops inside.
    """

    dimension: str
    bound: int
    step: int
    level: str

    def __post_init__(self) -> None:
        if self.dimension not in DIMENSIONS:
            raise ValueError(f"dimension {self.dimension!r}, known: {', '.join(DIMENSIONS)}")
        if self.level not in LEVELS:
            raise ValueError(f"level {self.level!r}, known: {', '.join(LEVELS)}")
        if self.bound < 1 or self.step < 1:
            raise ValueError(
                f"{self.dimension}: {self.bound} blocks of {self.step}, both must be 1 or more"
            )

    @property
    def spatial(self) -> bool:
        """Whether its blocks are worked on at the same time, by different PEs."""
        return self.level == "array"

    def __str__(self) -> str:
        blocks = f" blocks of {self.step}" if self.step > 1 else ""
        return f"{'spatial' if self.spatial else 'for'} {self.dimension} in {self.bound}{blocks}"


@dataclass(frozen=True, slots=True)
class LoopNest:
    """Loops from the outermost to the innermost."""

    loops: tuple[Loop, ...]

    @classmethod
    def of_bounds(cls, loops: Iterable[tuple[str, int, str]]) -> LoopNest:
        """Make a nest of (dimension, bound, level) whose blocks divide what they cut evenly."""
        steps = dict.fromkeys(DIMENSIONS, 1)
        made = []
        for dimension, bound, level in reversed(tuple(loops)):
            made.append(Loop(dimension, bound, steps[dimension], level))
            steps[dimension] *= bound
        return cls(tuple(reversed(made)))

    def at(self, level: str) -> tuple[Loop, ...]:
        """Return the loops of a level."""
        return tuple(loop for loop in self.loops if loop.level == level)

    def inside(self, dimension: str, level: str, size: int) -> int:
        """Return the elements of a dimension of `size` that the loops from a level inwards cover.

        This is what is left of it by the loops of the levels outside.
        """
        for outer in reversed(LEVELS[: LEVELS.index(level)]):
            steps = [loop.step for loop in self.at(outer) if loop.dimension == dimension]
            if steps:
                return steps[-1]
        return size

    def faults(self, sizes: Mapping[str, int]) -> list[str]:
        """Return what keeps the nest from covering a layer of these `sizes` exactly once."""
        faults = []
        levels = [LEVELS.index(loop.level) for loop in self.loops]
        if levels != sorted(levels):
            faults.append(f"levels go from {' to '.join(LEVELS)}, from the outside in")
        for dimension, size in sizes.items():
            outer = size
            for loop in self.loops:
                if loop.dimension != dimension:
                    continue
                needed = -(-outer // loop.step)  # rounded up
                if loop.bound != needed:
                    faults.append(
                        f"{dimension} at {loop.level}: {loop.bound} blocks of {loop.step} for "
                        f"{outer}, {needed} cover it"
                    )
                outer = loop.step
            if outer != 1:
                faults.append(f"{dimension}: no loop goes over the {outer} elements of a block")
        return faults

    def __str__(self) -> str:
        lines, level = [], ""
        for depth, loop in enumerate(self.loops):
            label = loop.level if loop.level != level else ""
            level = loop.level
            lines.append(f"{label:<7}{'  ' * depth}{loop}")
        return "\n".join(lines)


def layer_sizes(layer: Layer, batch: int) -> dict[str, int]:
    """Return how large each dimension of a layer is."""
    return {
        "G": layer.G,
        "N": batch,
        "M": layer.Mg,
        "C": layer.C,
        "E": layer.E,
        "F": layer.F,
        "R": layer.R,
        "S": layer.S,
    }
