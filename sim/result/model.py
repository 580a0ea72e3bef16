"""Every object of a result file, each key with its unit and what it means.

A run's result is made into these objects (`sim.account.result`), a file is checked into them
(`sim.report.load`), and the page draws them. The tables of docs/result.md and the JSON Schema are
made from them, so there is no second list of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)

from hw_models.spec import Hardware
from hw_models.vocabulary import Level, Network
from sim.dataflow.base import Mapping as PassMapping
from sim.dataflow.base import find_dataflow
from workloads.layer import Layer, layer_from_dict
from workloads.network import MAX_BATCH

SCHEMA: Final = "eyeriss-sim/result"
VERSION: Final = 3
"""Of the result file. 1 named the bound of processing latency alone, by station (`bounds`); 2 did
not say how long each bus sends, how full FIFOs got, nor which part of the dataflow each PE has."""

MOST_COUNT: Final = (1 << 63) - 1
MOST_FLOAT: Final = 1e100
MOST_CAUSES: Final = 32
MOST_PART_LENGTH: Final = 40
MOST_QUEUES: Final = 64

# A larger number than any run has would overflow where it is drawn.
_Int: TypeAlias = Annotated[int, Field(ge=-MOST_COUNT, le=MOST_COUNT)]
_Count: TypeAlias = Annotated[int, Field(ge=0, le=MOST_COUNT)]
_Positive: TypeAlias = Annotated[int, Field(ge=1, le=MOST_COUNT)]
_Float: TypeAlias = Annotated[float, Field(ge=-MOST_FLOAT, le=MOST_FLOAT)]


def _map(value: object) -> object:
    """Check a map of the array; one fault for all of it, as it may have a million places."""
    rows = value if isinstance(value, list) else [value]
    for row in rows:
        if not isinstance(row, list) or any(
            type(item) is not int or not -MOST_COUNT <= item <= MOST_COUNT for item in row
        ):
            raise ValueError("must be a list of rows of whole numbers")
    return value


def _names(value: object) -> object:
    """Check a map of the array that holds short texts."""
    rows = value if isinstance(value, list) else [value]
    for row in rows:
        if not isinstance(row, list) or any(
            type(item) is not str or len(item) > MOST_PART_LENGTH for item in row
        ):
            raise ValueError(f"must be a list of rows of texts of up to {MOST_PART_LENGTH}")
    return value


_Names: TypeAlias = Annotated[list[list[str]], BeforeValidator(_names)]
_Matrix: TypeAlias = Annotated[list[list[int]], BeforeValidator(_map)]


class _Part(BaseModel):
    # What a later version adds does not concern this reader.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class _Sparse(_Part):
    """An object that leaves out the keys of `ABSENT` where they say nothing."""

    ABSENT: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _present(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {
            key: value
            for key, value in data.items()
            if key not in self.ABSENT or value not in (None, [], {})
        }


class CyclesPart(_Part):
    """Core cycles of a layer."""

    processing: _Positive = Field(
        description="processing latency: ifmaps and ofmaps cross the link unnoticed",
        json_schema_extra=_unit("cycles"),
    )
    total: _Positive = Field(
        description="total latency: `processing` and `standstill`",
        json_schema_extra=_unit("cycles"),
    )
    standstill: dict[str, _Int] = Field(
        description="the array waits: `ifmap_load`, `ofmap_dump`",
        json_schema_extra=_unit("cycles"),
    )
    by_cause: dict[str, _Int] = Field(
        description="all cycles of all PEs of the array within the processing latency, by the "
        "causes below; they add up to `processing` times PEs",
        json_schema_extra=_unit("PE-cycles"),
    )


class PePart(_Part):
    """What each PE stands for and did, as lists of rows."""

    part: _Names = Field(
        default=[],
        description="what each PE does in a full pass, as `filter set.channel set.filter "
        "row.ofmap row` from 0; empty where no PE set stands",
    )
    macs: _Matrix = Field(description="products of each PE", json_schema_extra=_unit("MACs"))
    busy_cycles: _Matrix = Field(
        description="cycles in which each computes or accumulates",
        json_schema_extra=_unit("cycles"),
    )
    by_cause: dict[str, _Matrix] = Field(
        max_length=MOST_CAUSES,
        description="cycles of each PE by cause, which add up to `cycles.processing` in every PE",
        json_schema_extra=_unit("cycles"),
    )


class ValuesPart(_Part):
    """How the ofmap of a run with real words compares with NumPy's."""

    elements: _Count = Field(description="elements of the ofmap")
    wrong: _Count = Field(description="how many of them are not NumPy's")
    gated_off: _Int = Field(
        default=0,
        description="MACs gated beyond those whose ifmap word is zero; 0 in a sound run",
        json_schema_extra=_unit("MACs"),
    )
    seed: _Int | None = Field(default=None, description="of the words; null where they were given")


class BoundPart(_Part):
    """What bounds the total latency, in closed form."""

    by: tuple[str, ...] = Field(
        description="the resources whose doubling helps most, of `array`, `psum bus`, `ifmap bus`, "
        "`filter bus` and `DRAM link`; several are a tie"
    )
    cycles: _Positive = Field(
        description="total latency in closed form", json_schema_extra=_unit("cycles")
    )
    doubled: dict[str, _Positive] = Field(
        description="the same with each resource alone twice as fast",
        json_schema_extra=_unit("cycles"),
    )
    together: _Positive = Field(
        description="the same with all of `by` twice as fast", json_schema_extra=_unit("cycles")
    )

    @property
    def text(self) -> str:
        """The resources in a few words; `=` stands between those of a tie."""
        return bound_text(self.by)


class QueuePart(_Part):
    """How full the FIFOs of one kind got, and how long their writers waited for room."""

    peak: _Count = Field(
        description="the most that one of the FIFOs held at a time",
        json_schema_extra=_unit("words at a PE, lines at a bus"),
    )
    blocked_cycles: _Count = Field(
        description="cycles that writers waited for room and for nothing else, summed over the "
        "writers",
        json_schema_extra=_unit("cycles"),
    )


class EnergyPart(_Part):
    """A priced ledger."""

    table: str = Field(description="name of the table")
    unit: str = Field(description="`normalised` (one 16-bit MAC is 1) or `pJ`")
    total: Annotated[_Float, Field(ge=0)] = Field(
        description="all of it", json_schema_extra=_unit("`unit`")
    )
    by_level: dict[str, _Float] = Field(
        description="`mac`, `spad`, `noc`, `glb`, `dram`, `static`",
        json_schema_extra=_unit("`unit`"),
    )
    by_data_type: dict[str, _Float] = Field(
        description="`ifmap`, `filter`, `psum` (the ofmap included), `mac`, `static`",
        json_schema_extra=_unit("`unit`"),
    )
    by_action: dict[str, _Float] = Field(
        description="every priced action by its dotted name; reads of the ifmap spad as "
        "`spad.ifmap.read_new` and `spad.ifmap.read_repeated`, static energy as `static.` and the "
        "block, and, where the table prices hops, `noc.gin_filter.hops` and the like",
        json_schema_extra=_unit("`unit`"),
    )
    unpriced: dict[str, _Int | _Float] = Field(
        description="what happened but has no price in the table: with such entries the total is a "
        "lower bound",
        json_schema_extra=_unit("words, actions or cycles"),
    )
    per_mac: _Float | None = Field(
        default=None,
        description="`total` over the layer's MACs",
        json_schema_extra=_unit("`unit` per MAC"),
    )
    average_power_w: _Float | None = Field(
        default=None,
        description="over the total latency; null for a normalised table",
        json_schema_extra=_unit("W"),
    )
    chip_power_w: _Float | None = Field(
        default=None,
        description="the same without DRAM, as the chip's published power is; null for a "
        "normalised table",
        json_schema_extra=_unit("W"),
    )
    energy_delay_product: _Float | None = Field(
        default=None,
        description="`total` times the total latency",
        json_schema_extra=_unit("J*s, or normalised energy times s"),
    )


class KindPart(_Sparse):
    """Passes that are equal to the cycle."""

    ABSENT = frozenset({"columns"})

    images: _Int = Field(description="images of a pass")
    columns: _Int | None = Field(
        default=None, description="ofmap columns of a pass, only where the mapping has `f`"
    )
    strip_rows: _Int = Field(description="ofmap rows of a pass")
    filters: _Int = Field(description="filters of a pass")
    channels: _Int = Field(description="channels of a pass")
    first_channels: bool = Field(description="whether psums start at zero")
    cycles: _Count = Field(description="of one pass", json_schema_extra=_unit("cycles"))
    passes: _Positive = Field(description="how many there are")
    phases: dict[str, _Int] = Field(
        description="the cycles of one pass by phase: `load` until the first product, `ramp` until "
        "the first psum leaves the array, `steady` until the last product, `drain` until the last "
        "psum has left. The closed form knows `load`, and puts the rest under `steady`",
        json_schema_extra=_unit("cycles"),
    )


class DetailPart(_Part):
    """One pass of a kind: how busy each station is, slice by slice."""

    kind: _Count = Field(description="its place in `kinds`")
    busy: dict[str, list[_Float]] = Field(
        description="for each station the share (0 to 1) of every equal slice of the pass in which "
        "it works: `filter_bus`, `ifmap_bus`, `psum_in_bus`, `psum_out_bus`, and `pes`, the share "
        "of the active PEs that compute products"
    )


class LeftOutPart(_Part):
    """Passes of kinds that the file does not list."""

    passes: _Positive = Field(description="of all these kinds")
    cycles: _Positive = Field(description="of all these passes", json_schema_extra=_unit("cycles"))


class TimelinePart(_Sparse):
    """The passes over time."""

    ABSENT = frozenset({"left_out", "detail"})

    kinds: list[KindPart] = Field(
        description="kinds of pass: passes of one kind have the same block and take the same "
        "cycles in each phase; the first 256"
    )
    left_out: LeftOutPart | None = Field(
        default=None,
        description="only where there are more kinds: `passes` and `cycles` of all the others "
        "together",
    )
    order: list[tuple[_Int, list[tuple[_Int, _Int]]]] = Field(
        default=[],
        description="the order they come in: a list of `[times, [[kind, passes in a row], ...]]`, "
        "an item for each run of equal m-blocks; kinds are places in `kinds`, from 0",
        json_schema_extra=_unit("passes"),
    )
    complete: bool = Field(
        default=False,
        description="whether `order` has the whole layer: it is cut behind 1,024 runs and where a "
        "kind comes that is left out, and the closed form leaves it empty where a layer has more "
        "than 20,000 passes",
    )
    detail: DetailPart | None = Field(
        default=None,
        description="one pass of the kind that takes most of the time, only where it was "
        "simulated: `kind` is its place in `kinds`, `busy` has for each station the share (0 to 1) "
        "of every equal slice of the pass in which it works: `filter_bus`, `ifmap_bus`, "
        "`psum_in_bus`, `psum_out_bus`, and `pes`, the share of the active PEs that compute "
        "products",
    )


class StepPart(_Part):
    """A step of Eyexam."""

    step: str = Field(description="name of the step")
    cycles: _Positive = Field(
        description="fewest cycles that the layer can take under this constraint and those before; "
        "of the last step, what it took",
        json_schema_extra=_unit("cycles"),
    )
    macs_per_cycle: _Float = Field(
        description="the layer's MACs over these cycles", json_schema_extra=_unit("MACs per cycle")
    )
    limit: str = Field(
        default="",
        description="of average bandwidth the station that is needed longest, of the last step "
        "what bounds the total latency, or empty",
    )
    reason: str = Field(description="why, in words")


class LayerPart(_Sparse):
    """A layer."""

    ABSENT = frozenset({"queues", "values", "bound", "energy", "timeline", "eyexam"})

    name: str = Field(min_length=1, max_length=200, description="name of the layer")
    shape: dict[str, Any] = Field(
        description="see [below](#shape)", json_schema_extra=_unit("elements")
    )
    mapping: dict[str, _Int] = Field(
        description="the factors `m`, `n`, `e`, `p`, `q`, `r`, `t` ([machine.md section 1]"
        "(machine.md#1-symbols)), no larger than the layer; `f` also where it cuts the ofmap "
        "columns"
    )
    mapping_source: str = Field(
        description="`published`, `inferred`, `auto`, `user` (a file that does not say) or `given` "
        "(on the command line)"
    )
    configurations: _Positive | None = Field(
        default=None,
        description="how often the chip is configured for the layer ([section 8]"
        "(machine.md#8-readings))",
    )
    passes: _Positive = Field(description="processing passes")
    passes_simulated: _Count = Field(
        description="passes that were simulated; the others were equal to one of these. 0 in "
        "closed form. The only figure that `--every-pass` changes"
    )
    macs: _Positive = Field(
        description="products, gated ones and those with padding included",
        json_schema_extra=_unit("MACs"),
    )
    cycles: CyclesPart = Field(description="see [below](#cycles)")
    active_pes: _Positive = Field(
        description="PEs that belong to a PE set in a full pass", json_schema_extra=_unit("PEs")
    )
    utilization: dict[str, _Float] = Field(
        description="`active`: of the active PEs; `array`: of all PEs; both over the processing "
        "latency",
        json_schema_extra=_unit("MACs per cycle and PE"),
    )
    dram_bytes: dict[str, _Int] = Field(
        description="what crosses the DRAM link: `filter`, `ifmap`, `ofmap`; coded as "
        "`dram_coding` says",
        json_schema_extra=_unit("bytes"),
    )
    dram_coding: dict[str, str] | None = Field(
        default=None,
        description="how `ifmap` and `ofmap` cross the link: `raw` (as they are), `expected` "
        "(coded, in the size expected of their share of zeros) or `words` (coded, in the size of "
        "the real words of `--values`)",
    )
    accesses: dict[str, dict[str, Any]] = Field(
        description="the ledger, see [below](#accesses)",
        json_schema_extra=_unit("words or actions"),
    )
    bus_cycles: dict[str, _Count] = Field(
        default={},
        description="in which each bus sends: `gin_filter`, `gin_ifmap`, `gin_psum`, `gon_psum`. "
        "In closed form every beat of ifmap words but a pass's last is taken to be full, which "
        "matters only where the bus carries several words a cycle",
        json_schema_extra=_unit("cycles"),
    )
    glb_published_convention_bytes: _Count = Field(
        description="global buffer accesses as JSSC 2017 counts them: ifmap reads, psum reads, "
        "psum writes and ofmap reads, 2 bytes each",
        json_schema_extra=_unit("bytes"),
    )
    queues: dict[str, QueuePart] = Field(
        default={},
        max_length=MOST_QUEUES,
        description="only of a simulation: the FIFOs by kind, see [below](#queues)",
    )
    pe: PePart = Field(description="maps of the array, see [below](#pes)")
    values: ValuesPart | None = Field(
        default=None, description="only with `--values`, see [below](#values)"
    )
    bound: BoundPart | None = Field(
        default=None, description="what bounds the total latency, see [below](#bound)"
    )
    energy: EnergyPart | None = Field(default=None, description="see [below](#energy)")
    timeline: TimelinePart | None = Field(
        default=None, description="the passes over time, see [below](#timeline)"
    )
    eyexam: list[StepPart] = Field(
        default=[],
        description="seven steps from the array's peak to what was reached, see [below](#eyexam)",
    )

    @property
    def layer(self) -> Layer:
        """The layer's shape."""
        return layer_from_dict(self.shape)

    @property
    def factors(self) -> PassMapping:
        """The layer's mapping."""
        return find_dataflow().mapping(self.mapping)

    @property
    def entries(self) -> dict[str, int]:
        """The ledger by dotted name."""
        return flat(self.accesses)

    @property
    def multicast(self) -> dict[int, int]:
        """Ifmap words by PEs reached."""
        histogram = self.accesses[Level.NOC][Network.GIN_IFMAP].get("multicast", {})
        return {int(reached): words for reached, words in histogram.items()}


class RefusedPart(_Part):
    """A layer that the chip refused."""

    name: str = Field(description="name of the layer")
    reasons: list[str] = Field(description="the rules that forbid it")


class TotalCyclesPart(_Part):
    """Core cycles of all layers."""

    processing: _Int = Field(description="processing latency", json_schema_extra=_unit("cycles"))
    total: _Int = Field(description="total latency", json_schema_extra=_unit("cycles"))
    by_cause: dict[str, _Int] = Field(
        description="as in a layer", json_schema_extra=_unit("PE-cycles")
    )


class TotalsPart(_Part):
    """The layers together."""

    macs: _Int = Field(description="sum of the layers", json_schema_extra=_unit("MACs"))
    passes: _Int | None = Field(default=None, description="sum of the layers")
    passes_simulated: _Int | None = Field(default=None, description="sum of the layers")
    cycles: TotalCyclesPart | None = Field(
        default=None, description="`processing`, `total` and `by_cause`, as layers run one by one"
    )
    milliseconds: dict[str, _Float] = Field(
        default={},
        description="`processing` and `total` at the core clock",
        json_schema_extra=_unit("ms"),
    )
    dram_bytes: dict[str, _Int] = Field(
        default={}, description="sum of the layers", json_schema_extra=_unit("bytes")
    )
    accesses: dict[str, Any] = Field(
        default={},
        description="sum of the layers, without the multicasts",
        json_schema_extra=_unit("words or actions"),
    )
    glb_published_convention_bytes: _Int | None = Field(
        default=None, description="sum of the layers", json_schema_extra=_unit("bytes")
    )
    energy: EnergyPart | None = Field(
        default=None, description="as in a layer; null where nothing was priced"
    )
    left_out: list[str] = Field(
        default=[], description="layers that no total counts, because the chip refuses them"
    )
    images_per_second: _Float | None = Field(
        default=None, description="images over the total latency", json_schema_extra=_unit("1/s")
    )
    mj_per_image: _Float | None = Field(
        default=None, description="energy over images", json_schema_extra=_unit("mJ")
    )
    tops_per_watt: _Float | None = Field(
        default=None,
        description="operations over energy: two for each of `macs`. Energy is what the table "
        "prices: one without DRAM gives the chip's alone",
        json_schema_extra=_unit("TOPS/W"),
    )

    @property
    def entries(self) -> dict[str, int]:
        """The ledger by dotted name."""
        return flat(self.accesses)


class ResultFile(_Part):
    """A whole result file."""

    kind: str = Field(default=SCHEMA, alias="schema", description=f"always `{SCHEMA}`")
    version: int = Field(
        default=VERSION,
        description="of this format: 3. Versions 1 (`bounds` in place of `bound`) and 2 (no "
        "`bus_cycles`, `queues` and `pe.part`) are still read",
    )
    engine: str = Field(description="`event` (simulated) or `closed-form` (estimated)")
    network: str = Field(description="name of the network")
    batch: int = Field(ge=1, le=MAX_BATCH, description="images")
    hw: Hardware = Field(description="the whole hardware description, see [below](#hardware)")
    layers: list[LayerPart] = Field(
        description="one object for each layer, in the order of the network"
    )
    refused: list[RefusedPart] = Field(
        default=[],
        description="layers that the chip cannot run: `name`, and `reasons`, a list of broken "
        "rules",
    )
    notes: list[str] = Field(
        default=[],
        description="what the user should know, such as which layers had no published mapping",
    )
    totals: TotalsPart = Field(description="the layers together, see [below](#totals)")

    @field_serializer("hw")
    def _hardware(self, hw: Hardware) -> dict[str, Any]:
        return hw.to_dict()

    @property
    def simulated(self) -> bool:
        """Whether the figures come from the simulation and not from the closed form."""
        return self.engine != "closed-form"

    def milliseconds(self, cycles: float) -> float:
        """Return core cycles as milliseconds at the core clock."""
        return cycles / self.hw.core_hz * 1e3


def bound_text(by: tuple[str, ...]) -> str:
    """Name the resources that bound a layer; `=` stands between those of a tie."""
    return " = ".join(by) if by else "none"


def flat(accesses: Mapping[str, Any], at: str = "") -> dict[str, int]:
    """Return nested accesses by dotted name, without the histogram of multicasts."""
    entries: dict[str, int] = {}
    for name, value in accesses.items():
        if isinstance(value, dict):
            if name != "multicast":
                entries |= flat(value, f"{at}{name}.")
        else:
            entries[f"{at}{name}"] = value
    return entries
