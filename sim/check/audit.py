"""Where the first-order estimator and the simulated machine count differently, and why.

For one layer on one chip, one image and equal widths, each of the estimator's counts
(`sim.models.first_order`) is compared with the machine's (the closed form's). The ratio of the two
is taken apart into factors, each with its reason: their product is the ratio, exactly. A factor of
1 is no reason and is left out, so what is said of a layer is true of that layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hw_models.vocabulary import Network
from sim.analytic.form import layer_counts
from sim.dataflow.base import Plan
from sim.models.first_order import FirstOrderLayer, estimate_layer
from sim.plan.make import make_plan

if TYPE_CHECKING:
    from workloads.layer import Layer

__all__ = ["Audit", "AuditLine", "Reason", "audit"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the machine counts `factor` times as much; None where the estimator counts nothing."""

    text: str
    factor: Fraction | None

    def to_dict(self) -> dict[str, Any]:
        """Return the reason as plain data."""
        return {"reason": self.text, "factor": None if self.factor is None else float(self.factor)}


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One count of the estimator beside the machine's.

    `entries` are the ledger entries that `machine` is the sum of; `remark` is what a reader of
    equal or unequal numbers should know besides the reasons.
    """

    count: str
    estimator: int
    machine: int
    entries: tuple[str, ...]
    reasons: tuple[Reason, ...]
    remark: str = ""

    @property
    def ratio(self) -> Fraction | None:
        """Machine over estimator; None where the estimator counts nothing."""
        return Fraction(self.machine, self.estimator) if self.estimator else None

    @property
    def agrees(self) -> bool:
        """True where both counts are the same."""
        return self.estimator == self.machine

    def to_dict(self) -> dict[str, Any]:
        """Return the line as plain data."""
        return {
            "count": self.count,
            "estimator": self.estimator,
            "machine": self.machine,
            "entries": list(self.entries),
            "ratio": None if self.ratio is None else float(self.ratio),
            "reasons": [reason.to_dict() for reason in self.reasons],
            "remark": self.remark,
        }


@dataclass(frozen=True)
class Audit:
    """All counts of one layer, for one image."""

    plan: Plan
    lines: tuple[AuditLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as plain data."""
        return {
            "layer": self.plan.layer.name,
            "hw": self.plan.hw.name,
            "batch": 1,
            "mapping": self.plan.mapping.to_dict(),
            "lines": [line.to_dict() for line in self.lines],
        }


def audit(plan: Plan) -> Audit:
    """Compare every count of the estimator with the machine's for this layer, chip and mapping.

    The plan's own batch is set aside: the estimator knows one image, so the layer is planned anew
    for one, with the same mapping. The estimator sees the chip's array; weights are dense.
    """
    if plan.batch != 1:
        plan = make_plan(plan.layer, 1, plan.hw, plan.mapping, plan.mapping_source)
    array = (plan.hw.array.rows, plan.hw.array.columns)
    return Audit(plan, tuple(_Auditor(plan, estimate_layer(plan.layer, array=array)).lines()))


class _Auditor:
    """The blocks of one plan, and the factors that follow from them.

    The estimator knows row stationary alone, so the plan is one of it.
    """

    def __init__(self, plan: Any, first: FirstOrderLayer) -> None:
        f = plan.mapping
        # A filter taller than the array has no legal plan, so `first.rep` is 1 or more.
        self.layer: Layer = plan.layer
        self.plan, self.first = plan, first
        self.counts = layer_counts(plan)
        self.column_tiles = len(plan.column_tiles)
        self.strips = len(plan.strips)
        self.m_blocks = len(plan.m_blocks)
        self.channel_blocks = len(plan.channel_blocks)
        self.filter_blocks = sum(len(plan.filter_blocks(m)) for m in plan.m_blocks)
        self.filter_sets = sum(
            -(-block // f.p) for m in plan.m_blocks for block in plan.filter_blocks(m)
        )
        self.channel_sets = sum(-(-block // f.q) for block in plan.channel_blocks)
        self.enough = first.rep >= first.fold

    def lines(self) -> Iterable[AuditLine]:
        layer, plan = self.layer, self.plan
        fc = layer.kind == "fc"
        per_strip = self._factor(
            self.strips,
            1,
            f"the machine loads every filter again for each of {self.strips} strips of ofmap rows",
        )
        per_tile = self._factor(
            self.column_tiles,
            1,
            f"the machine sends every filter again for each of {self.column_tiles} tiles of ofmap "
            "columns",
        )
        again = [self._groups(), per_tile, per_strip]
        yield self._line("computation", ("mac.total",), [self._groups()])
        yield self._line("dram.weight", ("dram.filter.read",), again)
        yield self._line(
            "dram.ifmap",
            ("dram.ifmap.read",),
            [
                *self._strip_words(),
                self._factor(
                    self.m_blocks,
                    1,
                    f"the GLB holds the psums of m = {plan.mapping.m} filters at once, so the "
                    f"machine loads the ifmap for each of {self.m_blocks} blocks of filters",
                ),
            ],
        )
        yield self._line("dram.psum", ("dram.ofmap.write",), [])
        yield self._line("glb.weight", ("glb.filter.read",), again)
        yield self._line(
            "glb.ifmap", ("glb.ifmap.read",), [*self._strip_words(), self._ifmap_rereads()]
        )
        yield self._line(
            "glb.psum", ("glb.psum.read", "glb.psum.write", "glb.ofmap.read"), self._glb_psums()
        )
        yield self._line(
            "noc.weight",
            (Network.GIN_FILTER.deliveries,),
            [self._groups(), per_tile, self._weight_deliveries()],
            self._multicast(Network.GIN_FILTER),
        )
        yield self._line(
            "noc.ifmap",
            (Network.GIN_IFMAP.deliveries,),
            [self._column_halo(), self._untouched_columns(), self._ifmap_deliveries()],
            self._multicast(Network.GIN_IFMAP),
        )
        yield self._line("noc.psum", (Network.LOCAL_PSUM.words,), self._psum_hops())
        yield self._line("rf.weight", ("spad.filter.read",), [self._groups()])
        ifmap_reads = self._factor(
            layer.S * layer.F,
            layer.padded_columns,
            f"the estimator reads each of the {layer.padded_columns} words of an ifmap row once "
            f"per filter row, the machine one for each of its {layer.S}*{layer.F} products",
        )
        yield self._line(
            "rf.ifmap",
            ("spad.ifmap.read",),
            [self._groups(), None if fc else ifmap_reads],
            f"of the machine's reads {self.counts['spad.ifmap.read_new']} go to a new address",
        )
        yield self._line("rf.psum", ("spad.psum.read", "spad.psum.write"), self._spad_psums())

    def _line(
        self,
        count: str,
        entries: tuple[str, ...],
        reasons: Iterable[Reason | None],
        remark: str = "",
    ) -> AuditLine:
        if count == "computation":
            estimator = self.first.macs
        else:
            estimator = {
                f"{level}.{kind}": words for (level, kind), words in self.first.words.items()
            }[count]
        machine = sum(self.counts[entry] for entry in entries)
        given = tuple(reason for reason in reasons if reason is not None)
        return AuditLine(count, int(estimator), machine, entries, given, remark)

    @staticmethod
    def _factor(more: int, less: int, text: str) -> Reason | None:
        """Return the reason for `more` over `less`; None where they are equal."""
        return None if more == less else Reason(text, Fraction(more, less))

    def _groups(self) -> Reason | None:
        g = self.layer.G
        text = f"the estimator ignores the {g} groups: each filter has {self.layer.C} channels only"
        return self._factor(1, g, text)

    def _strip_words(self) -> list[Reason | None]:
        layer = self.layer
        loaded = sum(layer.ifmap_rows(strip) for strip in self.plan.strips)
        touched = layer.ifmap_rows(layer.E)
        all_words = layer.padded_rows * layer.padded_columns
        return [
            self._column_halo(),
            self._factor(
                loaded,
                touched,
                f"{self.strips} strips need {loaded} ifmap rows where {touched} are there: rows "
                "at their borders are needed twice",
            ),
            self._factor(
                touched * layer.ifmap_columns,
                all_words,
                f"windows touch {touched} x {layer.ifmap_columns} of the {layer.padded_rows} x "
                f"{layer.padded_columns} padded ifmap; the machine moves no more than these",
            ),
        ]

    def _column_halo(self) -> Reason | None:
        layer = self.layer
        loaded = sum(map(layer.touched_columns, self.plan.column_tiles))
        return self._factor(
            loaded,
            layer.ifmap_columns,
            f"{self.column_tiles} tiles need {loaded} ifmap columns where {layer.ifmap_columns} "
            "are there: columns at their borders are needed twice",
        )

    def _untouched_columns(self) -> Reason | None:
        wide, touched = self.layer.padded_columns, self.layer.ifmap_columns
        return self._factor(
            touched,
            wide,
            f"windows touch {touched} of the {wide} columns of the padded ifmap",
        )

    def _ifmap_rereads(self) -> Reason | None:
        f, blocks = self.plan.mapping, self.filter_blocks
        per_pass = (
            f"the machine reads the ifmap from the GLB for each of {blocks} blocks of at most "
            f"p*t = {f.p * f.t} filters"
        )
        if self.enough or self.layer.kind == "fc":
            text = f"{per_pass}; the estimator reads it once, as if a pass held all filters"
            return self._factor(blocks, 1, text)
        text = (
            f"{per_pass}; the estimator reads it for each of {self.layer.M} filters, because "
            f"rep = {self.first.rep} is less than fold = {self.first.fold}"
        )
        return self._factor(blocks, self.layer.M, text)

    def _glb_psums(self) -> list[Reason | None]:
        layer, f, blocks = self.layer, self.plan.mapping, self.channel_blocks
        per_block = (
            f"the machine adds up to q*r = {f.q * f.r} channels in the array: a psum is written "
            f"{blocks} times, read back {blocks - 1} times and read once more as ofmap"
        )
        channels = layer.G * layer.C
        if channels == 1:
            text = f"{per_block}; the estimator has nothing to add up for a single channel"
            return [Reason(text, None)]
        if layer.C == 1:
            text = (
                f"the estimator ignores the {layer.G} groups and adds up {channels} channels; "
                "the machine writes each psum once and reads it once as ofmap"
            )
            return [self._factor(blocks, channels - 1, text)]
        groups = self._factor(
            layer.C - 1,
            channels - 1,
            f"the estimator ignores the {layer.G} groups and adds up {channels} channels, "
            f"not {layer.C}",
        )
        text = (
            f"{per_block}; the estimator writes and reads it for each of {layer.C - 1} channels "
            "after the first"
        )
        return [groups, self._factor(blocks, layer.C - 1, text)]

    def _weight_deliveries(self) -> Reason | None:
        layer, rep = self.layer, self.first.rep
        if self.enough or layer.kind == "fc":
            return None
        copies = rep * self.plan.hw.array.columns
        text = (
            f"the estimator delivers a weight to {copies} PEs (rep = {rep} < fold = "
            f"{self.first.fold}), the machine to one for each of {layer.E} ofmap rows"
        )
        return self._factor(layer.E, copies, text)

    def _ifmap_deliveries(self) -> Reason | None:
        layer, f, sets = self.layer, self.plan.mapping, self.filter_sets
        rep, fold = self.first.rep, self.first.fold
        per_set = (
            f"a PE holds p = {f.p} filters at once, so the machine delivers the ifmap for each "
            f"of {sets} sets of filters"
        )
        if layer.kind == "fc":
            copies = rep * self.plan.hw.array.columns
            how = f"to rep*B = {copies} PEs, as if their spads held all filters"
        elif self.enough:
            copies = rep // fold
            how = f"to floor(rep/fold) = {copies} sets, as if their spads held all filters"
        else:
            copies = layer.M
            how = f"for each of {copies} filters, because rep = {rep} is less than fold = {fold}"
        return self._factor(sets, copies, f"{per_set}; the estimator delivers it {how}")

    def _psum_hops(self) -> list[Reason | None]:
        layer, f = self.layer, self.plan.mapping
        machine = layer.R * self.channel_sets - self.channel_blocks
        how = (
            f"a PE adds up to q = {f.q} channels before a psum moves on, and r = {f.r} sets stand "
            f"in one chain: {machine} hops of each psum"
        )
        if layer.R == 1:
            if machine == 0:
                return []
            return [Reason(f"{how}; the estimator has none for filters of one row", None)]
        text = f"{how}; the estimator has {layer.R - 1} for each of {layer.C} channels"
        return [self._groups(), self._factor(machine, (layer.R - 1) * layer.C, text)]

    def _spad_psums(self) -> list[Reason | None]:
        layer, f = self.layer, self.plan.mapping
        machine = layer.C * layer.S - self.channel_sets
        how = (
            f"a psum stays in the spad over up to q*S = {f.q * layer.S} products of a filter row "
            f"and is read and written after each but one"
        )
        if layer.S == 1:
            if machine == 0:
                return []
            return [Reason(f"{how}; the estimator has none for filters of one column", None)]
        text = f"{how}; the estimator lets it stay over S = {layer.S} products, of one channel"
        return [self._groups(), self._factor(machine, (layer.S - 1) * layer.C, text)]

    def _multicast(self, network: str) -> str:
        words = self.counts[f"noc.{network}.words"]
        reached = Fraction(self.counts[f"noc.{network}.deliveries"], words)
        return (
            f"both count deliveries to PEs; the bus itself carries {words} words, each taken by "
            f"{float(reached):.3g} PEs on average"
        )
