"""Text of the searches' results."""

from __future__ import annotations

from collections.abc import Iterator

from sim.models.neurospector import text
from sim.models.neurospector.accelerator import PARAMETERS, ROWS
from sim.models.neurospector.exact import Optimum, Proof
from sim.models.neurospector.optimize import ExactOptimization, Optimization, Scheduled
from sim.models.neurospector.quirks import Quirk
from workloads.inputs.faults import Fault


def optimization_text(done: Optimization, *, explain: bool = False) -> str:
    """Return each layer's table with its total energy and cycles."""
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


def exact_text(done: ExactOptimization, *, explain: bool = False) -> str:
    """Return each layer's best tables, their costs, and what is proved of them."""
    rule = (
        "input reads divided as version 1.5 does it (quirk Q2)"
        if done.divides_inputs
        else "without quirk Q2, which divides input reads by loops over which the input changes"
    )
    lines = [
        f"{done.accelerator.name}, {done.network.name}: exact search, least {done.goal}",
        f"64-bit figures, {rule}",
    ]
    for _, proof in done.proofs:
        lines += ["", *_proof(done, proof)]
    if len(done.proofs) > 1:
        energy = sum(proof.best[0].energy_pj for _, proof in done.proofs)
        cycles = sum(proof.best[0].cycles for _, proof in done.proofs)
        proved = sum(proof.is_proved for _, proof in done.proofs)
        total = f"{len(done.proofs)} layers: {energy:.6g} pJ, {cycles:.6g} cycles"
        lines += ["", f"{total}; {proved} proved optimal"]
    body = "\n".join(lines) + "\n"
    return body + (explanation(done.quirks(), done.notes) if explain else "")


def _proof(done: ExactOptimization, proof: Proof) -> Iterator[str]:
    best = proof.best[0]
    yield from text.table_text(
        done.accelerator, proof.layer, best.table, best.dataflows
    ).splitlines()
    known = (
        "proved optimal"
        if proof.is_proved
        else f"stopped by the time limit, at most {proof.gap:.2%} above the optimum's cost"
    )
    yield f"{best.energy_pj:.6g} pJ, {best.cycles:.6g} cycles: {known}"
    yield (
        f"{proof.tiles_seen:,} of {proof.tiles:,} GB tiles looked at, the others' bounds are no "
        f"better; {proof.seconds:.1f} s"
    )
    for rank, other in enumerate(proof.best[1:], 2):
        more = f" ({other.cost / best.cost - 1:+.3%})" if best.cost else ""
        yield f"  {rank}. {other.energy_pj:.6g} pJ, {other.cycles:.6g} cycles{more}:"
        yield f"     {_difference(best, other)}"


def _difference(best: Optimum, other: Optimum) -> str:
    """Return rows of another table that differ from the best one's: its factors above 1."""
    parts = []
    if other.dataflows != best.dataflows:
        parts.append("-".join(flow or "none" for flow in other.dataflows))
    for row, name in enumerate(ROWS):
        if (other.table[row] != best.table[row]).any():
            factors = [
                f"{letter}{int(entry)}"
                for letter, entry in zip(PARAMETERS, other.table[row], strict=True)
                if entry > 1
            ]
            parts.append(f"{name} {' '.join(factors) or '1'}")
    return ", ".join(parts)


def explanation(quirks: list[Quirk], notes: tuple[Fault, ...]) -> str:
    """Return quirks by name, and what the files say that is read otherwise than it looks."""
    lines = ["", "Quirks in these figures (docs/neurospector.md):"]
    lines += [f"  {quirk.name}: {quirk.text}" for quirk in quirks]
    if notes:
        lines += ["Read otherwise than it looks:", *[f"  {note}" for note in notes]]
    return "\n".join(lines) + "\n"
