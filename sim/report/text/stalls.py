"""Where the cycles of the PEs go, as text: the table of causes, and each layer's largest loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hw_models.vocabulary import Cause, Network, Wait
from sim.report.tables import Note, Part, Section, Table, flow, percentages, sentence, time_parts
from sim.report.text.rows import all_layers, simulated

if TYPE_CHECKING:
    from sim.account.result import LayerResult, Result


MOST_LAYERS_IN_WORDS = 16  # a longer network gets one line for all, not a page of sentences


def cause_table(result: Result) -> Table:
    """Return the shares of all PE-cycles of the total latency by cause."""
    rows: list[list[str] | None] = [
        [layer.layer.name, *percentages(_parts(result, [layer]))] for layer in result.layers
    ]
    if len(result.layers) > 1:
        rows += [None, [all_layers(result), *percentages(_parts(result, result.layers))]]
    legend = " ".join(f"{' '.join(cause.heading.split())}: a PE {cause.does}." for cause in Cause)
    return Table(
        f"Where the time goes: % of total latency x {result.hw.pes} PEs",
        ("layer", *(cause.heading for cause in Cause)),
        rows,
        (Note(legend, legend=True),),
    )


def stalls(result: Result, width: int) -> Section:
    """Return where the time goes: shares by cause, and the largest losses."""
    table = cause_table(result)
    if simulated(result):
        return Section(table.title, (table, "", *_losses(result, width)))
    # Only the simulation knows what a PE waits for; sentences on it would claim too much.
    text = (
        "The closed form knows computing, adding psums, wait filter, clock gated and DRAM "
        "stall. It books the rest of a PE's time under one cause, by what its passes wait for."
    )
    return Section(table.title, (table, Note(text)))


def _losses(result: Result, width: int) -> list[Part]:
    if len(result.layers) <= MOST_LAYERS_IN_WORDS:
        lines: list[Part] = ["Largest loss of each layer:"]
        for layer in result.layers:
            lines += sentence(layer.layer.name, _largest_loss(result, layer), width)
        return lines
    lines = ["Layers by their largest loss:"]
    losers: dict[Cause, list[str]] = {}
    for layer in result.layers:
        losers.setdefault(_largest(_parts(result, [layer])), []).append(layer.layer.name)
    for cause, names in sorted(losers.items(), key=lambda item: -len(item[1])):
        lines += flow(f"  {cause.label} ({len(names)}): ", names, width, ", ")
    return lines


def _parts(result: Result, layers: Sequence[LayerResult]) -> dict[Cause, int]:
    by_cause: Counter[str] = Counter()
    for layer in layers:
        by_cause.update(layer.cycles_by_cause)
    still = sum(layer.total_cycles - layer.processing_cycles for layer in layers)
    return time_parts(by_cause, still, result.hw.pes)


def _largest(parts: Mapping[Cause, int]) -> Cause:
    losses = {cause: lost for cause, lost in parts.items() if cause is not Cause.COMPUTING}
    return max(losses, key=lambda cause: losses[cause])


def _largest_loss(result: Result, layer: LayerResult) -> str:
    """Say in one sentence what keeps the PEs from computing most of the total latency."""
    hw, cycles = result.hw, layer.processing_cycles
    parts = _parts(result, [layer])
    cause = _largest(parts)

    def busy(network: str) -> str:
        share = 100 * layer.bus_cycles[network] / cycles
        return f"{share:.0f} % of the processing latency"

    if parts[cause] == 0:
        return "none: every PE computes in every cycle."
    share = f"{percentages(parts)[list(parts).index(cause)]} %"  # as the table has it
    if cause is Cause.DRAM_STALL:
        waited = layer.standstill_cycles
        what = max(Wait, key=lambda wait: waited[wait]).sentence
        return f"{share} {cause.label}, most of it while {what}."
    if cause is Cause.ACCUMULATING:
        return f"{share} {cause.label}: the adder of a PE takes one psum a cycle."
    if cause is Cause.CLOCK_GATED:
        return f"{share} clock gated: {layer.active_pes} of {hw.pes} PEs are in a PE set."
    if cause is Cause.IDLE:
        return f"{share} idle: PEs are done and wait for the last psum of their pass to leave."
    if cause is Cause.WAITING_IFMAP:
        at = hw.noc.gin_ifmap_words_per_cycle
        return (
            f"{share} {cause.label}: their bus ({at} word{'s' if at != 1 else ''}/cycle) is busy "
            f"{busy(Network.GIN_IFMAP)}."
        )
    psum_rate = hw.noc.psum_words_per_cycle
    if cause is Cause.WAITING_PSUM_IN:
        return (
            f"{share} {cause.label}; the psum bus ({psum_rate} words/cycle) is busy "
            f"{busy(Network.GIN_PSUM)}."
        )
    if cause is Cause.WAITING_PSUM_OUT:
        return (
            f"{share} {cause.label}; the GON ({psum_rate} words/cycle) is busy "
            f"{busy(Network.GON_PSUM)}."
        )
    link_cycles = layer.dram_bytes["filter"] * 8 / hw.dram.link_bits * float(hw.link_beat_cycles)
    if link_cycles > cycles / 2:
        return (
            f"{share} {cause.label}: the DRAM link brings them for "
            f"{100 * link_cycles / cycles:.0f} % of the processing latency."
        )
    if hw.glb.filter_load == "streamed":
        return f"{share} {cause.label} on their way from the GLB."
    return f"{share} {cause.label}: no PE computes while those of a pass load."
