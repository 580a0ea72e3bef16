"""The words that all parts of the program share: causes, levels, data types, networks, actions.

One row a word, with all that is said of it: its id in files and in Python, its heading in tables,
its sentence, its colour, the field of the energy table or of the hardware that belongs to it. The
engine and the closed form, the ledger, energy tables, terminal, page, plots, traces and docs take
their lists from here; tests hold that none spells its own. This is data: it imports nothing of the
project, and knows no dataflow, no chip and no clock.

A word is a string, so that results and files hold it as it is:

>>> Level.GLB == "glb", Level.GLB.heading
(True, 'GLB')
>>> [network.data for network in BUSES]
['filter', 'ifmap', 'psum', 'psum']
>>> ACTIONS["glb.ifmap.read"].prices
('glb.ifmap.read', 'glb.read')

The order of a list is that of tables and files; trace files number causes and networks by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final, Self

__all__ = [
    "ACTIONS",
    "BLOCK_GROUPS",
    "BUSES",
    "CAUSES",
    "CROSSING",
    "DATA_TYPES",
    "ENTRIES",
    "GINS",
    "OPERANDS",
    "Action",
    "Cause",
    "DataType",
    "Lane",
    "Level",
    "Network",
    "Phase",
    "Resource",
    "Wait",
    "Word",
]


class Word(StrEnum):
    """A word: its id, which carries the other cells of its row, in the order of the annotations."""

    def __new__(cls, id: str, *cells: Any) -> Self:
        """Make a row; text cells that are left out at its end are empty."""
        word = str.__new__(cls, id)
        word._value_ = id
        for name, cell in zip_longest(cls.__annotations__, cells, fillvalue=""):
            setattr(word, name, cell)
        return word

    # A user who prints a breakdown sees its keys as the strings that they are.
    __repr__ = str.__repr__


class DataType(Word):
    """What an action moves; `mac` and `static` move nothing, and stay apart.

    `heading` heads a column, `label` names a share of energy. `colour` is one of Okabe and Ito's,
    which colour-blind readers can tell apart; `dark` replaces it on a dark page.
    """

    heading: str
    label: str
    colour: str
    dark: str

    IFMAP = "ifmap", "ifmap", "ifmaps", "#e69f00"
    FILTER = "filter", "filter", "filters", "#009e73"
    PSUM = "psum", "psum", "psums and ofmaps", "#d55e00"
    OFMAP = "ofmap", "ofmap", "ofmaps", "#d55e00"
    MAC = "mac", "MAC", "MACs themselves", "#0072b2", "#3d9bd6"
    STATIC = "static", "static", "clock and leakage", "#8a929b"


DATA_TYPES: Final = (
    DataType.IFMAP, DataType.FILTER, DataType.PSUM, DataType.MAC, DataType.STATIC,
)  # fmt: skip
"""What energy is broken down by; an ofmap counts as the psums that it is in the GLB."""
OPERANDS: Final = (DataType.FILTER, DataType.IFMAP, DataType.PSUM, DataType.OFMAP)
"""What memories hold."""
CROSSING: Final = (DataType.FILTER, DataType.IFMAP, DataType.OFMAP)
"""What crosses the DRAM link."""


class Level(Word):
    """A level of the memory hierarchy, or what else costs energy.

    `heading` heads a column, `label` names a row of a figure, `sentence` goes into a sentence.
    """

    heading: str
    label: str
    sentence: str

    MAC = "mac", "MAC", "MACs", "the multipliers"
    SPAD = "spad", "spad", "scratch pads", "the scratch pads inside the PEs"
    NOC = "noc", "NoC", "on-chip networks", "the on-chip networks"
    GLB = "glb", "GLB", "global buffer", "the global buffer"
    DRAM = "dram", "DRAM", "DRAM", "DRAM"
    STATIC = "static", "static", "clock and leakage", "clock and leakage"


class Cause(Word):
    """What a PE does in a cycle, or what it waits for.

    `heading` heads a column in two lines, `label` names a share of time, `does` completes "a PE
    that ..."; `colour` and `dark` are as those of a `DataType`.
    """

    heading: str
    label: str
    does: str
    colour: str
    dark: str

    COMPUTING = (
        "computing", "\ncomputing", "computing",
        "computes a product, or its pipeline runs empty at the end of a window with fewer than "
        "three filters",
        "#0072b2", "#2f86c9",
    )  # fmt: skip
    ACCUMULATING = (
        "accumulating", "adding\npsums", "adding psums", "adds psums, one a cycle",
        "#56b4e9", "#a6dcfa",
    )  # fmt: skip
    WAITING_FILTER = (
        "waiting_filter", "wait\nfilter", "waiting for filters",
        "has no filters yet: they are loading, or still on the way from DRAM",
        "#009e73",
    )  # fmt: skip
    WAITING_IFMAP = (
        "waiting_ifmap", "wait\nifmap", "waiting for ifmap words",
        "waits for the ifmap words of its next window",
        "#e69f00",
    )  # fmt: skip
    WAITING_PSUM_IN = (
        "waiting_psum_in", "wait\npsum in", "waiting for psums to arrive",
        "waits for psums from the PE below or from the GLB",
        "#d55e00",
    )  # fmt: skip
    WAITING_PSUM_OUT = (
        "waiting_psum_out", "wait\npsum out", "waiting to send psums",
        "has no room for psums on their way out",
        "#cc79a7",
    )  # fmt: skip
    IDLE = (
        "idle", "\nidle", "idle until the pass ends", "is done while others end the pass",
        "#8a929b",
    )  # fmt: skip
    CLOCK_GATED = (
        "clock_gated", "clock\ngated", "clock gated, in no PE set", "is in no PE set of the pass",
        "#d9dee3", "#353d46",
    )  # fmt: skip
    DRAM_STALL = (
        "dram_stall", "DRAM\nstall", "stalled for DRAM",
        "waits, as all others do, while ifmaps load or ofmaps leave over the DRAM link",
        "#5b3a8c", "#9a7bd0",
    )  # fmt: skip


CAUSES: Final = tuple(cause for cause in Cause if cause is not Cause.DRAM_STALL)
"""Causes within a pass: they add up to the processing latency in every PE. A DRAM stall is what the
total latency has beyond it."""


class Wait(Word):
    """What the array waits for in a DRAM stall: `heading` heads a column, `sentence` says it."""

    heading: str
    sentence: str

    IFMAP_LOAD = "ifmap_load", "ifmap load", "ifmaps load"
    OFMAP_DUMP = "ofmap_dump", "ofmap dump", "ofmaps leave"


class Network(Word):
    """A network of the chip, named as the chip names it, whatever a dataflow sends over it.

    `rate` is the field of `noc` in the hardware file that has its width in words per cycle (empty
    for links: there are many). `colour` is that of its data.
    """

    data: DataType
    heading: str
    label: str
    rate: str

    GIN_FILTER = (
        "gin_filter", DataType.FILTER, "GIN filter", "filter bus (GIN)",
        "gin_filter_words_per_cycle",
    )  # fmt: skip
    GIN_IFMAP = (
        "gin_ifmap", DataType.IFMAP, "GIN ifmap", "ifmap bus (GIN)", "gin_ifmap_words_per_cycle",
    )  # fmt: skip
    GIN_PSUM = (
        "gin_psum", DataType.PSUM, "GIN psum", "psum bus in (GIN)", "psum_words_per_cycle",
    )  # fmt: skip
    GON_PSUM = (
        "gon_psum", DataType.PSUM, "GON psum", "psum bus out (GON)", "psum_words_per_cycle",
    )  # fmt: skip
    LOCAL_PSUM = "local_psum", DataType.PSUM, "local links", "links from PE to PE"

    @property
    def words(self) -> str:
        """Return the entry that counts words sent."""
        return f"{Level.NOC}.{self}.words"

    @property
    def deliveries(self) -> str:
        """Return the entry that counts a word once for every PE that takes it."""
        return f"{Level.NOC}.{self}.deliveries"

    @property
    def y_bus(self) -> str:
        """Return the entry that counts words driven over the Y-bus."""
        return f"{Level.NOC}.{self}.y_bus"

    @property
    def x_bus(self) -> str:
        """Return the entry that counts words driven over X-buses, once for each."""
        return f"{Level.NOC}.{self}.x_bus"

    @property
    def hops(self) -> str:
        """Return the action of a word that goes on by one row or column of PEs."""
        return f"{Level.NOC}.{self}.hops"


GINS: Final = (Network.GIN_FILTER, Network.GIN_IFMAP, Network.GIN_PSUM)
"""Networks into the array: X- and Y-buses that multicast."""
BUSES: Final = (*GINS, Network.GON_PSUM)
"""Networks with one port each; trace files number them in this order."""


BLOCK_GROUPS: Final = (Level.DRAM, Level.GLB, Level.NOC, "pe")
"""Groups of blocks that a trace can be limited to; `noc` has all networks."""


class Resource(Word):
    """What can bound a layer; its id is its name in results, `sentence` goes into a sentence."""

    sentence: str

    ARRAY = "array", "the PE array"
    PSUM_BUS = "psum bus", "the psum bus"
    IFMAP_BUS = "ifmap bus", "the ifmap bus"
    FILTER_BUS = "filter bus", "the filter bus"
    DRAM_LINK = "DRAM link", "the DRAM link"


class Lane(Word):
    """A station whose activity within a pass is drawn: its name, and the data that colour it."""

    label: str
    data: DataType

    FILTER_BUS = "filter_bus", "filter bus", DataType.FILTER
    IFMAP_BUS = "ifmap_bus", "ifmap bus", DataType.IFMAP
    PES = "pes", "products in the PEs", DataType.MAC
    PSUM_IN_BUS = "psum_in_bus", "psum bus in", DataType.PSUM
    PSUM_OUT_BUS = "psum_out_bus", "psum bus out", DataType.PSUM


class Phase(Word):
    """A part of a pass, in the order of time: what happens in it, and its colours."""

    sentence: str
    colour: str
    dark: str

    LOAD = "load", "filters load, no PE computes", "#009e73"
    RAMP = "ramp", "until the first psum leaves the array", "#f0e442"
    STEADY = "steady", "until the last product", "#0072b2", "#3d9bd6"
    DRAIN = "drain", "until the last psum has left", "#cc79a7"


@dataclass(frozen=True)
class Action:
    """Something that is counted or priced, by its dotted name.

    `data` is what it moves. `prices` are fields of an energy table; the first that has a price
    gives it, and an action without fields is priced under another name. `counts` says what one of
    it is; only actions with `in_ledger` are entries of the ledger, the others follow from it.
    """

    id: str
    data: DataType
    prices: tuple[str, ...]
    counts: str
    in_ledger: bool = True

    @property
    def level(self) -> Level:
        """Return the level at which it costs energy."""
        return Level(self.id.partition(".")[0])


def _memory(level: Level, data: DataType, way: str, counts: str) -> Action:
    moved = DataType.PSUM if data is DataType.OFMAP else data
    own = f"{level}.{data}.{way}"
    prices = {
        Level.DRAM: (f"{level}.{way}",), Level.GLB: (own, f"{level}.{way}"), Level.SPAD: (own,),
    }[level]  # fmt: skip
    return Action(own, moved, prices, counts)


def _network(network: Network) -> Iterator[Action]:
    data, noc = network.data, Level.NOC
    if network in GINS:
        yield Action(network.words, data, (f"{noc}.bus_word",), "words put on the network")
        yield Action(
            network.deliveries, data, (f"{noc}.delivery",),
            "words taken by PEs: a word that 13 PEs take counts 13",
        )  # fmt: skip
        yield Action(network.y_bus, data, (f"{noc}.y_bus",), "words driven over the Y-bus")
        yield Action(
            network.x_bus, data, (f"{noc}.x_bus",),
            "words driven over X-buses: a word counts once for each row of the array that it "
            "goes to",
        )  # fmt: skip
    elif network is Network.GON_PSUM:
        left = "psums that left through the GON"
        yield Action(network.words, data, (f"{noc}.gon_word",), left)
        # A word leaves as it enters: these are the same actions, and cost once.
        yield Action(network.deliveries, data, (), left)
    else:
        yield Action(
            network.words, data, (f"{noc}.local_word",),
            "psums passed to the PE above, one for each hop",
        )  # fmt: skip


def _actions() -> Iterable[Action]:
    filters, ifmap, psum = DataType.FILTER, DataType.IFMAP, DataType.PSUM
    ofmap, mac = DataType.OFMAP, DataType.MAC
    dram, glb, spad = Level.DRAM, Level.GLB, Level.SPAD
    yield _memory(dram, filters, "read", "filter words read from DRAM")
    yield _memory(dram, ifmap, "read", "ifmap words read from DRAM, before coding")
    yield _memory(dram, ofmap, "write", "ofmap words written to DRAM, before coding")
    yield _memory(glb, filters, "read", "filter words read for the array")
    yield _memory(glb, filters, "write", "filter words written to the prefetch banks")
    yield _memory(glb, ifmap, "read", "ifmap words read for a bus; a multicast word counts once")
    yield _memory(glb, ifmap, "write", "ifmap words loaded")
    yield _memory(glb, psum, "read", "psums read to continue from")
    yield _memory(glb, psum, "write", "psums written from the GON")
    yield _memory(glb, ofmap, "read", "finished psums read on their way to DRAM")
    yield _memory(glb, ofmap, "write", "always 0: an ofmap is written as psums")
    for network in Network:
        yield from _network(network)
    # Its reads are priced in two parts: the spad keeps its address over the interleaved filters.
    yield Action("spad.ifmap.read", ifmap, (), "ifmap words read for MACs, gated ones included")
    yield Action(
        "spad.ifmap.read_new", ifmap, ("spad.ifmap.read",),
        "of these, reads at another address than the read before",
    )  # fmt: skip
    yield _memory(spad, ifmap, "write", "ifmap words written to spads")
    yield _memory(spad, filters, "read", "filter words read for MACs that are not gated")
    yield _memory(spad, filters, "write", "filter words written to spads")
    yield _memory(spad, psum, "read", "psum words read between the products of a window")
    yield _memory(spad, psum, "write", "psum words written between the products of a window")
    yield Action("mac.active", mac, ("mac.active",), "products computed")
    yield Action(
        "mac.gated", mac, ("mac.gated",), "products skipped because their ifmap word is zero"
    )
    yield Action(
        "spad.ifmap.read_repeated", ifmap, ("spad.ifmap.read_repeated", "spad.ifmap.read"),
        "reads of the ifmap spad at the address of the read before", in_ledger=False,
    )  # fmt: skip
    for network in BUSES:
        yield Action(
            network.hops, network.data, ("noc.hop",),
            "words times the rows and columns of PEs that they pass", in_ledger=False,
        )  # fmt: skip


ACTIONS: Final[Mapping[str, Action]] = {action.id: action for action in _actions()}
"""Every action by its dotted name, the entries of the ledger first, in their order."""
ENTRIES: Final = tuple(action.id for action in ACTIONS.values() if action.in_ledger)
"""The entries of the ledger, in the order of the result file."""
