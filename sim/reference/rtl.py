"""Single passes of a public RTL re-implementation of the chip: measured and simulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import Mapping
from sim.engine.dram import PrefetchState
from sim.engine.passes import pass_machine
from sim.errors import Fault, InputError, MappingError
from sim.plan.make import make_plan
from sim.reference.tables import RTLPasses, RTLTimes
from workloads.layer import Layer

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.reference.tables import RTLPass

__all__ = ["RTLComparison", "RTLRow", "compare_with_rtl", "simulate_rtl_pass"]

SCHEMA, VERSION = "eyeriss-sim/rtl-validation", 1


@dataclass(frozen=True)
class RTLRow:
    """A pass in one run: measured and simulated."""

    name: str
    run: str
    measured: RTLTimes
    simulated: RTLTimes

    @property
    def equal(self) -> bool:
        """Whether both times are equal to the cycle."""
        return self.measured == self.simulated

    @property
    def difference_percent(self) -> float:
        """Simulated total less the measured one, in percent of that."""
        return 100 * (self.simulated.total / self.measured.total - 1)


@dataclass(frozen=True)
class RTLSummary:
    """The passes of a run: how many there are, how many are equal, differences of the totals."""

    run: str
    passes: int
    equal: int
    mean_percent: float
    worst_percent: float


@dataclass(frozen=True)
class RTLComparison:
    """Measured passes beside simulated ones.

    `settings` are the fields of the hardware that were changed, as `field=value`.
    """

    hw: str
    passes: RTLPasses
    settings: tuple[str, ...]
    rows: tuple[RTLRow, ...]

    def summary(self) -> list[RTLSummary]:
        """Return the summary of each run that has passes."""
        summaries = []
        for run in dict.fromkeys(row.run for row in self.rows):
            rows = [row for row in self.rows if row.run == run]
            differences = [row.difference_percent for row in rows]
            summaries.append(
                RTLSummary(
                    run,
                    len(rows),
                    sum(row.equal for row in rows),
                    sum(map(abs, differences)) / len(rows),
                    max(differences, key=abs),
                )
            )
        return summaries

    def to_dict(self) -> dict[str, Any]:
        """Return the whole comparison as plain data."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "hw": self.hw,
            "settings": list(self.settings),
            "source": self.passes.source,
            "rows": [
                {
                    "pass": row.name,
                    "run": row.run,
                    "measured": row.measured.model_dump(),
                    "simulated": row.simulated.model_dump(),
                    "difference_percent": row.difference_percent,
                }
                for row in self.rows
            ],
            "summary": [vars(summary) for summary in self.summary()],
        }


def compare_with_rtl(
    passes: RTLPasses, *, hw: str = "eyeriss_rtl", settings: Sequence[str] = ()
) -> RTLComparison:
    """Simulate every measured pass in each of its runs.

    `settings` change fields of the chip, after those of the run.

    Raises:
        InputError: the chip cannot be read, or it refuses a pass.

    """
    load_hardware(hw, settings)  # so that a mistake is reported without the settings of a run
    chips = {
        run: load_hardware(hw, (*getattr(passes.runs, run).set, *settings))
        for run in type(passes.runs).model_fields
    }
    rows = tuple(_rows(passes, chips))
    return RTLComparison(hw, passes, tuple(settings), rows)


def _rows(passes: RTLPasses, chips: dict[str, Hardware]) -> Iterable[RTLRow]:
    for name, measured in passes.passes.items():
        for run, times in measured.times.items():
            try:
                simulated = simulate_rtl_pass(measured, chips[run])
            except MappingError as error:
                faults = (Fault("", None, f"pass {name}", fault.message) for fault in error.faults)
                raise InputError(*faults) from None
            yield RTLRow(name, run, times, simulated)


def simulate_rtl_pass(measured: RTLPass, hw: Hardware) -> RTLTimes:
    """Return the times of a pass on a chip, with its filters in the GLB when it starts.

    Raises:
        MappingError: the chip refuses the pass.

    """
    # Psums come in from the second of two channel blocks on.
    layer = Layer(
        name="pass",
        M=measured.p * measured.t,
        C=2 * measured.q * measured.r,
        H=(measured.e - 1) * measured.U + measured.R,
        W=(measured.F - 1) * measured.U + measured.S,
        R=measured.R,
        S=measured.S,
        U=measured.U,
        V=measured.U,
    )
    # The RTL was fed from outside: no GLB limits what psums a pass may have, nor its time.
    boundless = hw.glb.model_copy(update={"banks": 1 << 16})
    hw = hw.model_copy(update={"glb": boundless})
    factors = {name: getattr(measured, name) for name in ("n", "e", "p", "q", "r", "t")}
    plan = make_plan(layer, measured.n, hw, Mapping(m=layer.M, **factors))
    shape = next(shape for shape in plan.classes if not shape.first_channels)
    machine = pass_machine(shape, hw, PrefetchState(plan.filter_beats(shape)))
    outcome = machine.run()
    # A beat that the GON takes in cycle c is read from the FIFO behind it in c+1.
    return RTLTimes(total=outcome.cycles + 1, first_psum=machine.psum_out_bus.log[0] + 1)
