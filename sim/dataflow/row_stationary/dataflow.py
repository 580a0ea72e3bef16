"""Row stationary as the rest of the simulator sees it: `DATAFLOW`."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.dataflow.base import Dataflow, Violation
from sim.dataflow.row_stationary.drawing import LEGEND, drawing, facts
from sim.dataflow.row_stationary.mapping import (
    FACTORS,
    LARGEST_FACTOR,
    REQUIRED,
    Mapping,
    checked_mapping,
    mapping_violations,
    parse_mapping,
    with_largest_m,
)
from sim.dataflow.row_stationary.nest import from_nest, to_nest
from sim.dataflow.row_stationary.passes import Plan
from sim.dataflow.row_stationary.placement import Placement

if TYPE_CHECKING:
    from random import Random

    from hw_models.spec import Hardware
    from sim.dataflow.nest import LoopNest
    from workloads.layer import Layer


@dataclass(frozen=True)
class RowStationary:
    """The dataflow of the chip (JSSC 2017, section III)."""

    name: str = "row_stationary"
    title: str = "row stationary"
    factors: tuple[str, ...] = FACTORS
    optional_factors: tuple[str, ...] = ("m", "f")
    largest_factor: int = LARGEST_FACTOR
    for_fewer_passes: str = "raise m, n, e, p, q, r or t"
    for_smaller_passes: str = "lower n, e, r, t or q"
    legend: str = LEGEND

    def parse_mapping(self, text: str) -> Mapping:
        """Read `m=64,n=4,e=13,p=16,q=3,r=2,t=2`; `f` may be left out.

        Raises:
            InputError: one fault for every missing, unknown, repeated or malformed factor.

        """
        return parse_mapping(text)

    def mapping(self, factors: MappingABC[str, int]) -> Mapping:
        """Return the mapping of these factors.

        Raises:
            TypeError: a factor is missing or unknown.
            ValueError: a factor is out of range.

        """
        return Mapping(**factors)

    def sizes_to_try(self, layer: Layer, batch: int, hw: Hardware) -> dict[str, tuple[int, int]]:
        """Return factors that may be changed alone: what each cuts, and its largest useful size."""
        pe, array = hw.pe, hw.array
        return {
            "n": (batch, batch),
            "e": (layer.E, min(layer.E, array.rows * array.columns)),
            "p": (layer.Mg, min(layer.Mg, pe.psum_spad_words)),
            "q": (layer.C, min(layer.C, pe.ifmap_spad_words)),
            "r": (layer.C, min(layer.C, array.rows)),
            "t": (layer.Mg, min(layer.Mg, hw.pes)),
        }

    def random_mapping(self, generator: Random, layer: Layer) -> Mapping:
        """Draw a mapping for random cases; it need not be legal."""
        most = {"m": 64, "n": 4, "e": layer.E, "p": 24, "q": 12, "r": 4, "t": 8}
        return Mapping(**{factor: generator.randint(1, most[factor]) for factor in REQUIRED})

    def varied_mapping(self, mapping: Mapping, generator: Random, layer: Layer) -> Mapping:
        """Return a drawn mapping whose ofmap columns are in several tiles, where there are some."""
        return replace(mapping, f=generator.randint(1, max(1, layer.F - 1)))

    def complete(
        self, layer: Layer, factors: MappingABC[str, int], batch: int, hw: Hardware
    ) -> Mapping | str:
        """Return the mapping, with the largest legal `m` where it is left out, or why none is."""
        if "m" in factors:
            return Mapping(**factors)
        completed = with_largest_m(layer, factors, batch, hw)
        if completed is None:
            return (
                "no m is small enough: the psums of one block of p*t filters do not fit the "
                f"GLB of {hw.name}; lower n, e, p or t"
            )
        return completed

    def mapping_violations(
        self, layer: Layer, mapping: Mapping, batch: int, hw: Hardware
    ) -> list[Violation]:
        """Return every rule that the mapping breaks once its blocks are cut to the layer's size."""
        return mapping_violations(layer, mapping.fitted(layer, batch, hw), hw, batch)

    def plan(self, layer: Layer, batch: int, hw: Hardware, mapping: Mapping, source: str) -> Plan:
        """Lay out the passes of a layer.

        Raises:
            MappingError: one fault for each rule that layer or mapping breaks.

        """
        fitted = checked_mapping(layer, mapping, batch, hw)
        placement = Placement(
            array_rows=hw.array.rows,
            array_columns=hw.array.columns,
            set_rows=layer.R,
            set_columns=fitted.e,
            channel_sets=fitted.r,
            filter_sets=fitted.t,
            first_set_on_top=hw.array.first_channel_set == "top",
        )
        return Plan(layer, batch, hw, fitted, placement, source)

    def to_nest(self, plan: Plan) -> LoopNest:
        """Write the plan's mapping as a loop nest."""
        return to_nest(plan)

    def from_nest(self, nest: LoopNest, layer: Layer, batch: int, hw: Hardware) -> Mapping:
        """Read a loop nest as a mapping.

        Raises:
            MappingError: one fault for each rule that the nest breaks.

        """
        return from_nest(nest, layer, batch, hw)

    def facts(self, plan: Plan) -> str:
        """Say how a plan uses the chip."""
        return facts(plan)

    def drawing(self, placement: Placement, width: int) -> list[str]:
        """Draw the PE sets on the array, a cell for each PE."""
        return drawing(placement, width)


DATAFLOW: Dataflow = RowStationary()
