"""What a dataflow provides: all that the rest of the simulator knows of one.

A dataflow is a folder in `sim/dataflow`, found by its name. It has two modules that are looked up:

- `dataflow`, whose `DATAFLOW` (`Dataflow`) reads, checks and lays out mappings: data, which engine
  and closed form both start from;
- `lowering`, whose `LOWERING` (`sim.dataflow.program.Lowering`) turns passes into programs and real
  words. Only the engine looks it up.

Its closed form is `sim/analytic/NAME`, looked up by the same name (`sim.analytic.closed_form`). The
engine never sees it, and it never sees a program: their agreement would prove nothing otherwise.

>>> from sim.dataflow.base import find_dataflow
>>> str(find_dataflow("row_stationary").parse_mapping("m=1,n=1,e=2,p=1,q=1,r=1,t=1"))
'm=1,n=1,e=2,p=1,q=1,r=1,t=1'
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

if TYPE_CHECKING:
    from random import Random

    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.nest import LoopNest
    from workloads.layer import Layer

DEFAULT_DATAFLOW = "row_stationary"
"""The dataflow of the chip, where nobody names one."""


def ceil_div(value: int, by: int) -> int:
    """Return the smallest whole number of blocks of `by` that hold `value`."""
    return -(-value // by)


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: which, by what value, against which limit."""

    rule: str
    value: int
    limit: str
    why: str

    def __str__(self) -> str:
        return f"{self.rule} = {self.value}, limit {self.limit}: {self.why}"


class Mapping(Hashable, Protocol):
    """How a layer is cut into passes: factors by name. Immutable."""

    dataflow: ClassVar[str]

    def to_dict(self) -> dict[str, int]:
        """Return the factors by name."""


@dataclass(frozen=True, slots=True)
class PassSize:
    """How large the machine of a pass grows, known before there is a program.

    `bursts` is the most that one PE has and `fed_words` the most that one PE gets over
    `gin_ifmap`; `pe_beats` are the beats of partial sums that all PEs pass on, and `psum_beats`
    those that leave the array.
    """

    pes: int
    bursts: int
    fed_words: int
    pe_beats: int
    psum_beats: int


class PassShape(Protocol):
    """All that decides what happens inside a pass. Hashable: equal shapes are the same pass.

    What else it has is its dataflow's business; engine and plan only compare it and hand it back.
    """

    dataflow: ClassVar[str]

    @property
    def filter_words(self) -> int:
        """Words that the pass brings from DRAM before it can start: what PEs keep."""

    @property
    def ifmap_words(self) -> int:
        """Words of the pass's part of the ifmap in the GLB."""

    @property
    def psum_words(self) -> int:
        """Partial sums that the pass adds to."""

    @property
    def macs(self) -> int:
        """Products that the pass computes."""

    @property
    def first_channels(self) -> bool:
        """The pass begins its partial sums: none comes from the GLB."""

    @property
    def least_cycles(self) -> int:
        """Cycles that the pass takes at the least, whatever the buses do."""

    def size(self, hw: Hardware) -> PassSize:
        """Return how large the machine of the pass grows."""


class Pass(Protocol):
    """One processing pass in its place in the layer.

    `ifmap_load_words` are loaded into the GLB before the pass, 0 where they are there already;
    `ofmap_final_words` are the partial sums that are final after it. The partial sums of an m-block
    stay in the GLB together; the pass that ends one also ends their stay.
    """

    @property
    def index(self) -> int:
        """The number of the pass in its layer."""

    @property
    def shape(self) -> Any:
        """The `PassShape`; equal ones of a plan are one object."""

    @property
    def ifmap_load_words(self) -> int:
        """Words loaded into the GLB before the pass."""

    @property
    def ofmap_final_words(self) -> int:
        """Partial sums that are final after the pass."""

    @property
    def ends_m_block(self) -> bool:
        """The next pass has other partial sums in the GLB."""


class Plan(ABC):
    """A layer on a chip under a legal mapping: all that engine and closed form have in common.

    A subclass is a frozen dataclass with these attributes, and whatever else its dataflow needs.
    Plans of equal `placement` (hashable) use the same PEs for the same parts of a pass.
    Shapes are typed as `Any` here: what is in one concerns its dataflow alone.
    """

    dataflow: ClassVar[str]
    layer: Layer
    batch: int
    hw: Hardware
    mapping: Any
    placement: Any
    mapping_source: str

    @property
    @abstractmethod
    def active_pes(self) -> int:
        """PEs that have a part in a full pass (the chip's published "active PEs")."""

    @abstractmethod
    def pe_parts(self) -> NDArray[np.str_]:
        """Name the part of each PE in a full pass, (rows, columns), empty where it has none."""

    @property
    @abstractmethod
    def configurations(self) -> int:
        """How often the chip is configured for this layer."""

    @property
    @abstractmethod
    def passes(self) -> int:
        """Number of passes of the layer."""

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Go through the passes (`Pass`) in the order in which the chip runs them."""

    @cached_property
    @abstractmethod
    def classes(self) -> dict[Any, int]:
        """Each distinct `PassShape` with the number of passes that have it."""

    @abstractmethod
    def bases(self, step: Any) -> tuple[int, int, int, int, int]:
        """Return where the blocks of a pass begin: image, filter, ofmap row and column, channel.

        Filters and channels are counted over all groups.
        """

    @abstractmethod
    def charged_as(self, shape: Any) -> Any:
        """Return the shape whose cycles a pass is charged: its own, or a full block's.

        `schedule.charge_full_strip` charges a pass at an edge as if its block were full.
        """

    @abstractmethod
    def block(self, shape: Any) -> dict[str, Any]:
        """Return the sizes of a pass's block as a result names them (docs/result.md, `kinds`)."""

    @abstractmethod
    def hop_words(self) -> dict[str, int]:
        """Return words times hops of each network (`sim.account.energy.noc_hops`), by its name."""

    @property
    def m_block_count(self) -> int:
        """M-blocks of the layer."""
        return sum(step.ends_m_block for step in self)

    def m_block_shapes(self) -> Iterator[tuple[Any, ...]]:
        """Go through the m-blocks in their order: the shapes of each one's passes."""
        shapes: list[Any] = []
        for step in self:
            shapes.append(step.shape)
            if step.ends_m_block:
                yield tuple(shapes)
                shapes.clear()

    def where(self, step: Any) -> str:
        """Say which part of the layer a pass computes, for messages."""
        image, filter_, row, column, channel = self.bases(step)
        return (
            f"from image {image}, filter {filter_}, ofmap row {row}, column {column}, "
            f"channel {channel}"
        )

    def pass_alone(self, step: Any) -> Plan | None:
        """Return the plan of a layer that is this one pass, its psums from zero; None if unknown.

        What the closed form says of it is compared with a pass whose counts are wrong.
        """
        return None

    def on(self, hw: Hardware) -> Self:
        """Return the same passes on another chip; whether it can run them is not checked."""
        return cast("Self", replace(cast("Any", self), hw=hw))

    def filter_beats(self, shape: PassShape) -> int:
        """Return the beats of the DRAM link that bring the filters of a pass."""
        return ceil_div(shape.filter_words, self.hw.link_beat_words)

    def surely_prefetched(self, shape: PassShape) -> bool:
        """Tell whether such a pass's filters are in the GLB when it starts, unless it is the first.

        The link has time for them even in the shortest pass, and the banks have room.
        """
        beats, hw = self.filter_beats(shape), self.hw
        cycles = beats * hw.link_beat_cycles + hw.dram.first_access_latency_cycles
        return beats * hw.link_beat_words <= hw.filter_bank_words and cycles <= self._shortest

    @cached_property
    def _shortest(self) -> int:
        return min(int(shape.least_cycles) for shape in self.classes)


class Dataflow(Protocol):
    """A dataflow's mappings: how they are written, which are legal, what they make of a layer."""

    @property
    def name(self) -> str:
        """Its folder in `sim/dataflow`."""

    @property
    def title(self) -> str:
        """Its name in a sentence."""

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of a mapping's factors, in the order in which they are written."""

    @property
    def optional_factors(self) -> Collection[str]:
        """Factors that a mapping file may leave out: `complete` finds them."""

    @property
    def largest_factor(self) -> int:
        """The largest value of a factor."""

    @property
    def for_fewer_passes(self) -> str:
        """What to change in a mapping that cuts a layer too finely, for a message."""

    @property
    def for_smaller_passes(self) -> str:
        """What to change in a mapping whose passes are too large, for a message."""

    def parse_mapping(self, text: str) -> Mapping:
        """Read a mapping as it is written on the command line.

        Raises:
            InputError: one fault for each factor that is missing, unknown, repeated or malformed.

        """

    def mapping(self, factors: MappingABC[str, int]) -> Mapping:
        """Return the mapping of these factors.

        Raises:
            TypeError: a factor is missing or unknown.
            ValueError: a factor is out of range.

        """

    def sizes_to_try(self, layer: Layer, batch: int, hw: Hardware) -> dict[str, tuple[int, int]]:
        """Return factors that may be changed alone: what each cuts, and its largest useful size."""

    def random_mapping(self, generator: Random, layer: Layer) -> Mapping:
        """Draw a mapping for random cases; it need not be legal."""

    def varied_mapping(self, mapping: Any, generator: Random, layer: Layer) -> Mapping:
        """Return a drawn mapping with the factors that `random_mapping` leaves out drawn, too."""

    def complete(
        self, layer: Layer, factors: MappingABC[str, int], batch: int, hw: Hardware
    ) -> Mapping | str:
        """Return a mapping with the factors that were left out, or the reason why none is legal."""

    def mapping_violations(
        self, layer: Layer, mapping: Any, batch: int, hw: Hardware
    ) -> list[Violation]:
        """Return every rule that the mapping breaks once its blocks are cut to the layer's size."""

    def plan(self, layer: Layer, batch: int, hw: Hardware, mapping: Any, source: str) -> Plan:
        """Lay out the passes of a layer.

        Raises:
            MappingError: one fault for each rule that layer or mapping breaks.

        """

    @property
    def legend(self) -> str:
        """What the factors and the marks of a drawing mean."""

    def to_nest(self, plan: Any) -> LoopNest:
        """Write the plan's mapping as a loop nest."""

    def from_nest(self, nest: LoopNest, layer: Layer, batch: int, hw: Hardware) -> Mapping:
        """Read a loop nest as a mapping of this dataflow.

        Raises:
            MappingError: one fault for each rule that the nest breaks.

        """

    def facts(self, plan: Any) -> str:
        """Say in a few clauses how the plan uses the chip."""

    def drawing(self, placement: Any, width: int) -> list[str]:
        """Draw where the parts of a pass are on the array, in lines of at most `width`."""


def dataflow_names() -> tuple[str, ...]:
    """Return the names of all dataflows: the folders of `sim/dataflow`."""
    modules = pkgutil.iter_modules(import_module("sim.dataflow").__path__)
    return tuple(sorted(module.name for module in modules if module.ispkg))


@lru_cache(maxsize=16)
def find_dataflow(name: str = DEFAULT_DATAFLOW) -> Dataflow:
    """Return the dataflow of that name.

    Raises:
        ValueError: there is none.

    """
    if name not in dataflow_names():
        raise ValueError(f"no dataflow {name!r}; there are: {', '.join(dataflow_names())}")
    return cast("Dataflow", import_module(f"sim.dataflow.{name}.dataflow").DATAFLOW)
