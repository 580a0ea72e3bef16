"""A pass as a program: who gets which words in which order, and what each PE does with them.

Every block of the machine follows a static order. Here that order is data, without a clock: the
machine adds when each thing happens, and how often it happens is known before. So counts are taken
from the program, and the machine's logs are compared with it.

A network is named as the chip names it, whatever a dataflow sends over it: `gin_filter` brings
words that stay in a PE for the whole pass, `gin_ifmap` words that leave its spad again, `gin_psum`
partial sums to continue from, and `gon_psum` takes partial sums away.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

from hw_models.vocabulary import Network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware

    Index: TypeAlias = tuple[slice | NDArray[np.int64], ...]


class Beat(NamedTuple):
    """Words that a network moves at a time, and the PEs at its far end, by `Program.pes`."""

    words: int
    pes: tuple[int, ...]


@dataclass(frozen=True)
class Stream:
    """The words that one port sends over one network, in order: `pattern`, `times` over."""

    operand: str
    network: str
    pattern: tuple[Beat, ...]
    times: int = 1

    @property
    def beats(self) -> int:
        """Beats of the pass."""
        return self.times * len(self.pattern)

    @property
    def words(self) -> int:
        """Words of the pass, each counted once however many PEs get it."""
        return self.times * sum(beat.words for beat in self.pattern)

    @property
    def deliveries(self) -> int:
        """Words of the pass, each counted once for every PE that gets it."""
        return sum(reached * words for reached, words in self.multicast().items())

    def multicast(self) -> dict[int, int]:
        """Count words by the number of PEs that each reaches."""
        reached: Counter[int] = Counter()
        for beat in self.pattern:
            reached[len(beat.pes)] += self.times * beat.words
        return dict(reached)

    def x_bus_words(self, rows: tuple[int, ...]) -> int:
        """Count words times the X-buses driven; `rows` are the array rows of all PEs."""
        buses = {pes: len({rows[pe] for pe in pes}) for pes in {beat.pes for beat in self.pattern}}
        return self.times * sum(beat.words * buses[beat.pes] for beat in self.pattern)


@dataclass(frozen=True)
class Load:
    """Words that the same PEs get and keep for the whole pass, and the beats that bring them.

    `uses[k]` is the cycle of a burst's products in which word `k`, as they arrive, is used first:
    what a PE that computes while words still stream in has to wait for.
    """

    name: str
    pes: tuple[int, ...]
    beats: tuple[int, ...]
    uses: tuple[int, ...]

    @property
    def words(self) -> int:
        """Words that each of the PEs keeps."""
        return len(self.uses)


class Burst(NamedTuple):
    """A unit of work of a PE: what it needs before its first product, and frees after its last.

    It begins when `needs` further words have come over `gin_ifmap`; the oldest `frees` of those in
    the spad leave when its products are done. They are used in the order in which they came.
    `clears`: with them goes all that the spad is set up for, and the next burst starts afresh.
    """

    needs: int
    frees: int
    clears: bool = False


class OfmapBlock(NamedTuple):
    """Where in the ofmap the partial sums of a PE belong, in the order in which they leave.

    `first` are image, filter, row and column of the first one, counted from where the pass begins.
    `loops` are (axis, count, step) with the outermost first; the axis is the place in `first`.
    """

    first: tuple[int, int, int, int]
    loops: tuple[tuple[int, int, int], ...]


IMAGE, FILTER, ROW, COLUMN = range(4)
"""The axes of an `OfmapBlock`."""


@dataclass(frozen=True)
class PEProgram:
    """What one PE does in a pass: `bursts`, `times` over.

    In each burst it multiplies `operands` words of its spad by `outputs` words each that it keeps,
    one product a cycle with the outputs innermost, and then takes in and passes on a partial sum
    for each output, in `beats`. `ofmap` says where its sums belong if they leave the array.
    `legend` has the values of `Program.legend`: the part that the PE has in its dataflow, for
    whoever reads a trace. The machine looks at neither.
    """

    row: int
    column: int
    operands: int
    outputs: int
    beats: tuple[int, ...]
    bursts: tuple[Burst, ...]
    times: int
    ofmap: OfmapBlock | None = None
    legend: tuple[int, ...] = ()

    @property
    def burst_products(self) -> int:
        """Products of a burst, and the cycles that they take."""
        return self.operands * self.outputs

    @cached_property
    def burst_count(self) -> int:
        """Bursts of the pass."""
        return self.times * len(self.bursts)

    @property
    def products(self) -> int:
        """Products of the pass."""
        return self.burst_count * self.burst_products

    @property
    def sums(self) -> int:
        """Partial sums that the PE passes on in the pass."""
        return self.burst_count * self.outputs


@dataclass(frozen=True)
class Program:
    """All of a pass, without a clock. Equal programs are the same pass.

    `loads` come over `gin_filter`, one after the other, or beat by beat in the order of
    `load_order`, which has the load of each beat; `feed` comes over `gin_ifmap`. `psums_in` is None
    where no PE continues from the GLB. A beat of partial sums goes to or comes from one PE.
    `links` lead from one PE to another (below, above). `legend` names what the legends of the PEs
    count, such as ("filter set", "filter row"), in letters, digits and spaces.
    """

    pes: tuple[PEProgram, ...]
    links: tuple[tuple[int, int], ...]
    loads: tuple[Load, ...]
    feed: Stream
    psums_in: Stream | None
    psums_out: Stream
    legend: tuple[str, ...] = ()
    load_order: tuple[int, ...] = ()

    @cached_property
    def beat_loads(self) -> tuple[int, ...]:
        """The load of each beat of their network, in its order."""
        in_turn = (number for number, load in enumerate(self.loads) for _ in load.beats)
        return self.load_order or tuple(in_turn)

    @cached_property
    def load_stream(self) -> Stream:
        """The loads as what their network sends."""
        beats = [iter(load.beats) for load in self.loads]
        pattern = tuple(
            Beat(next(beats[number]), self.loads[number].pes) for number in self.beat_loads
        )
        return Stream("filter", Network.GIN_FILTER, pattern)

    @property
    def products(self) -> int:
        """Products of the pass."""
        return sum(pe.products for pe in self.pes)

    @cached_property
    def fed(self) -> tuple[int, ...]:
        """Words that each PE gets over `gin_ifmap`."""
        words = [0] * len(self.pes)
        for beat in self.feed.pattern:
            for pe in beat.pes:
                words[pe] += self.feed.times * beat.words
        return tuple(words)

    def counts(self) -> dict[str, int]:
        """Count words and actions of the pass by the ledger's names (docs/machine.md section 4)."""
        load, feed, pes = self.load_stream, self.feed, self.pes
        rows = tuple(pe.row for pe in pes)
        psum_in = self.psums_in.words if self.psums_in is not None else 0
        psum_out = self.psums_out.words
        products = self.products
        # Of the products of a sum the first one reads nothing, and the last one is not written.
        accumulations = sum(pe.sums * (pe.operands - 1) for pe in pes)
        counts = {
            "dram.filter.read": load.words,
            "glb.filter.write": load.words,
            "glb.filter.read": load.words,
            "glb.ifmap.read": feed.words,
            "glb.psum.read": psum_in,
            "glb.psum.write": psum_out,
        }
        for stream in (load, feed):
            network = Network(stream.network)
            counts[network.words] = counts[network.y_bus] = stream.words
            counts[network.deliveries] = stream.deliveries
            counts[network.x_bus] = stream.x_bus_words(rows)
        return counts | {
            Network.GIN_PSUM.words: psum_in,
            Network.GIN_PSUM.deliveries: psum_in,
            Network.GIN_PSUM.y_bus: psum_in,
            Network.GIN_PSUM.x_bus: psum_in,
            Network.GON_PSUM.words: psum_out,
            Network.GON_PSUM.deliveries: psum_out,
            Network.LOCAL_PSUM.words: sum(pes[above].sums for _, above in self.links),
            "spad.ifmap.write": sum(self.fed),
            "spad.ifmap.read": products,
            "spad.ifmap.read_new": sum(pe.burst_count * pe.operands for pe in pes),
            "spad.filter.write": load.deliveries,
            "spad.filter.read": products,
            "spad.psum.read": accumulations,
            "spad.psum.write": accumulations,
            "mac.total": products,
        }


@dataclass(frozen=True, slots=True)
class StreamWords:
    """Real words for a pass, in the order in which its streams send them; one dimension each.

    `loads` and `feed` go with the streams of that name, and so does `psums_in`, None where the
    program has none.
    """

    loads: NDArray[np.int64]
    feed: NDArray[np.int64]
    psums_in: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Regions:
    """The parts of a layer's tensors that a pass works on, as indices into them.

    `ifmap` into the padded ifmap (N, G*C, H + padding, W + padding), words in the order in which
    they cross the DRAM link; `filters` into the filters (M, C, R, S); `psums` into the ofmap
    (N, M, E, F).
    """

    ifmap: Index
    filters: Index
    psums: Index


@dataclass(frozen=True, slots=True)
class PassData:
    """Real words for a pass: what its `Regions` hold. `psums` is None where it begins its sums."""

    ifmap: NDArray[np.int64]
    filters: NDArray[np.int64]
    psums: NDArray[np.int64] | None


class Lowering(Protocol):
    """How the passes of a dataflow become programs, and their words streams. For the engine alone.

    A shape, a step and a plan are those of the dataflow itself.
    """

    def program(self, shape: Any, hw: Hardware) -> Program:
        """Return the program of the passes of one shape."""

    def regions(self, plan: Any, step: Any) -> Regions:
        """Return the parts of the layer's tensors that a pass works on."""

    def stream_words(self, shape: Any, data: PassData, hw: Hardware) -> StreamWords:
        """Return the words of a pass in the order in which its program's streams send them."""

    def psum_block(self, shape: Any, words: NDArray[np.int64], hw: Hardware) -> NDArray[np.int64]:
        """Return what left a pass, in the order of `psums_out`, in the form of its region."""


@lru_cache(maxsize=16)
def find_lowering(dataflow: str) -> Lowering:
    """Return the lowering of the dataflow of that name, from its folder."""
    return cast("Lowering", import_module(f"sim.dataflow.{dataflow}.lowering").LOWERING)


def beat_sizes(words: int, beat_words: int) -> tuple[int, ...]:
    """Return the words of each beat that carries `words`; the last may be short."""
    whole, rest = divmod(words, beat_words)
    return (beat_words,) * whole + ((rest,) if rest else ())
