"""The analyzer: one layer under one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.models.neurospector import text
from sim.models.neurospector.accelerator import Accelerator, check_version, read_accelerator
from sim.models.neurospector.model import Figures, Model
from sim.models.neurospector.quirks import Quirk, quirks_of
from sim.models.neurospector.rules import violations
from sim.models.neurospector.workload import (
    Network,
    Schedule,
    read_network,
    read_schedule,
    with_batch,
)
from workloads.inputs.faults import Fault, InputError


@dataclass(frozen=True)
class Analysis:
    """A table's figures, as the tool computes them."""

    accelerator: Accelerator
    network: Network
    schedule: Schedule
    model: Model
    figures: Figures

    def original(self) -> str:
        """Return the tool's standard output but for the line of the run time."""
        accelerator, layer = self.accelerator, self.schedule.layer
        return "".join(
            (
                "[Accelerator Spec.]\n" if accelerator.version == "1.5" else "",
                text.accelerator_text(accelerator),
                "[Scheduling Table]\n",
                text.table_text(accelerator, layer, self.schedule.table, self.model.dataflows),
                "[Analyze Results]\n",
                text.figures_text(text.statistics(self.model, self.figures)),
                f"{text.VERSION_LINES[accelerator.version]}\n",
            )
        )

    @property
    def notes(self) -> tuple[Fault, ...]:
        """List settings that are ignored or read otherwise than they look."""
        return (*self.accelerator.notes, *self.network.notes, *self.schedule.notes)

    def quirks(self) -> list[Quirk]:
        """Return quirks of the tool that change, or may change, these figures."""
        return quirks_of(self.model, self.schedule.table)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by the labels of the tool, pJ, cycles, words and counts of tiles."""
        layer = self.schedule.layer
        return {
            "layer": {
                "name": layer.name,
                **text.parameters(layer),
                "stride": layer.stride,
            },
            "table": text.table_rows(self.accelerator, self.schedule.table),
            "statistics": text.json_statistics(text.statistics(self.model, self.figures)),
            "quirks": [{"name": quirk.name, "text": quirk.text} for quirk in self.quirks()],
            "notes": [str(note) for note in self.notes],
        }


def analyze(
    accelerator: Path | str,
    network: Path | str,
    table: Path | str,
    *,
    version: str = "1.5",
    batch: int | None = None,
) -> Analysis:
    """Return the analysis of the files.

    Raises:
        InputError: with the faults of the files, or every rule that the table breaks.

    """
    read = read_accelerator(accelerator, check_version(version))
    layers = read_network(network)
    if batch is not None:
        layers = with_batch(layers, batch)
    schedule = read_schedule(table, read, layers)
    model = Model(read, schedule.layer)
    faults = violations(model, schedule)
    if faults:
        # Version 1.5 prints the accelerator behind the check, 1.6 before it.
        printed = "" if version == "1.5" else text.accelerator_text(read)
        raise IllegalTableError(printed, faults)
    return Analysis(read, layers, schedule, model, model.figures(schedule.table[None]))


class IllegalTableError(InputError):
    """A table that breaks rules of the accelerator: every rule is a fault."""

    def __init__(self, original: str, faults: list[Fault]) -> None:
        super().__init__(*faults)
        self.original = original
        """The tool's standard output in that case."""
