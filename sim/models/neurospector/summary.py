"""What a search found, for people."""

from __future__ import annotations

from collections.abc import Iterator

from sim.models.neurospector import text
from sim.models.neurospector.optimize import Optimization, Scheduled
from sim.models.neurospector.quirks import Quirk
from workloads.document import Fault


def optimization_text(done: Optimization, *, explain: bool = False) -> str:
    """Each layer's table with its total energy and cycles."""
    lines = [f"{done.accelerator.name}, {done.network.name}: {done.search}, least {done.metric}"]
    for scheduled in done.layers:
        lines += ["", *_layer(done, scheduled)]
    if len(done.layers) > 1:
        energy = sum(float(layer.figures.total_energy[0]) for layer in done.layers)
        cycles = sum(float(layer.figures.total_cycles[0]) for layer in done.layers)
        lines += ["", f"{len(done.layers)} layers: {energy:.6g} pJ, {cycles:.6g} cycles"]
    if done.partitioned is not None and done.partitioned.options:
        chips = [option.chips or "alone" for option in done.partitioned.options]
        lines.append(f"Chips of the layers: {', '.join(map(str, chips))}")
    body = "\n".join(lines) + "\n"
    if explain:
        met = {quirk.name: quirk for layer in done.layers for quirk in layer.quirks()}
        body += explanation(list(met.values()), done.notes)
    return body


def _layer(done: Optimization, scheduled: Scheduled) -> Iterator[str]:
    found = scheduled.found
    yield from text.table_text(
        done.accelerator, found.layer, found.table, found.dataflows
    ).splitlines()
    yield (
        f"{float(scheduled.figures.total_energy[0]):.6g} pJ, "
        f"{float(scheduled.figures.total_cycles[0]):.6g} cycles"
        f"{f', {found.strategies}' if found.strategies else ''}; {found.tried:,} tables seen"
    )
    yield from found.notes


def explanation(quirks: list[Quirk], notes: tuple[Fault, ...]) -> str:
    """Quirks by name, and what the files say that is read otherwise than it looks."""
    lines = ["", "Quirks in these figures (docs/neurospector.md):"]
    lines += [f"  {quirk.name}: {quirk.text}" for quirk in quirks]
    if notes:
        lines += ["Read otherwise than it looks:", *[f"  {note}" for note in notes]]
    return "\n".join(lines) + "\n"
