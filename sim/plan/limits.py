"""How large a thing may be, so that no input makes the program use more memory than it says.

Checked on the plan, before anything is allocated (docs/limits.md has the numbers and what they
mean). The estimates are from above: bytes that CPython 3.11 takes for the machine's logs, measured
on passes of 154 to 9984 PEs and rounded up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sim.dataflow.base import Violation, ceil_div, find_dataflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hw_models.spec import Hardware
    from sim.dataflow.base import PassShape, Plan

MOST_PASSES: Final = 2_000_000
"""Passes of a layer: VGG-16's largest layer has 13,824 at batch 3."""

MOST_EVENTS: Final = 10_000_000
"""Bursts, beats and words on a bus of one pass: 90,000 on the chip, 3,000,000 on 128 x 128 PEs."""

MOST_BYTES: Final = 1 << 30
"""Memory for a layer's simulation, its real words, and the results of the whole network."""

MOST_KINDS: Final = 256
"""Distinct passes that a result lists one by one: VGG-16's largest layer has 10."""

MOST_RUNS: Final = 1024
"""Runs of equal passes in the order that a result keeps: 795 in VGG-16's under mapping auto."""

_PE_BYTES = 8192  # a PE, its ports and FIFOs, and their processes
_BURST_BYTES = 60  # the start of a burst, and its place in the profile
_BEAT_BYTES = 260  # a beat in two FIFOs, on a link, and taken in
_VALUE_BEAT_BYTES = 600  # its words, in both FIFOs
_SPAD_BYTES = 10  # a place of the spad that words pass through
_WORD_BYTES = 90  # a word in a spad: when it came, and when its place was free
_LINE_BYTES = 200  # a line at a port: its place, when it was ready, and when it had gone
_PASS_BYTES = 450  # a pass of the layer, with its tiles
OUTCOME_BYTES: Final = 8_000
"""An outcome that is kept, without what it counts for each PE and line: its ledger and profile."""

ARRIVAL_BYTES: Final = 8
"""A beat of the link that the filter banks have room for, in an outcome: when it arrives."""

MOST_KEPT: Final = 1 << 28
"""Outcomes of passes that are kept for the layers to come; the others are simulated again."""

_KIND_BYTES = 1_000  # a kind of pass, beside its outcome
_COARSE_TICKS = 100  # a beat of the link: 10 on the chip, 200,000 where it runs at 59.999 MHz
_RESULT_BYTES = 1 << 15  # a layer's result, without its maps of the array
_RESULT_PE_BYTES = 160  # a PE in its ten maps, its part, and the products of the PEs
_RESULT_KIND_BYTES = 1000
_RESULT_RUN_BYTES = 200
# The same in a result file that is read: by `json_memory`, with numbers of 18 digits.
_FILE_LAYER_BYTES = 100_000
_FILE_PE_BYTES = 1100
_FILE_KIND_BYTES = 3000
_FILE_RUN_BYTES = 600


def pass_events(shape: PassShape, hw: Hardware) -> int:
    """Estimate the events of a pass: bursts and beats of every PE, and words on the buses."""
    size = shape.size(hw)
    beats = 2 * (size.pe_beats + size.psum_beats)
    return size.pes * size.bursts + beats + shape.ifmap_words + shape.filter_words


def pass_bytes(shape: PassShape, hw: Hardware, *, values: bool = False) -> int:
    """Bound a pass's memory, bytes, while it is simulated; with real words where `values`."""
    size = shape.size(hw)
    one_pe = (
        _PE_BYTES
        + _SPAD_BYTES * hw.pe.ifmap_spad_words
        + _BURST_BYTES * size.bursts
        + _WORD_BYTES * size.fed_words
    )
    beat_bytes = _BEAT_BYTES + (_VALUE_BEAT_BYTES if values else 0)
    words = shape.ifmap_words + shape.filter_words
    lines = ceil_div(shape.ifmap_words, hw.glb_line_words("ifmap"))
    lines += ceil_div(shape.filter_words, hw.glb_line_words("filter"))
    return (
        size.pes * one_pe
        + size.pe_beats * beat_bytes
        + size.psum_beats * 2 * _LINE_BYTES
        + words * _WORD_BYTES
        + lines * _LINE_BYTES
    )


def _hardly_any_alike(plan: Plan) -> bool:
    """Tell whether passes find the link at another place in a beat each time.

    Only where filters are late, and where the clocks make so many ticks of a beat that the places
    hardly ever repeat.
    """
    late = not all(map(plan.surely_prefetched, plan.classes))
    return late and plan.hw.link_beat_cycles.numerator > _COARSE_TICKS


def _kinds(plan: Plan) -> int:
    """Count the passes to remember: each shape with its filters there and with them late."""
    return plan.passes if _hardly_any_alike(plan) else 2 * len(plan.classes)


def outcome_bytes(hw: Hardware) -> int:
    """Bound the memory of the outcome of a pass, bytes."""
    beats = hw.filter_bank_words // hw.link_beat_words
    return OUTCOME_BYTES + 72 * hw.pes + ARRIVAL_BYTES * beats


def layer_bytes(plan: Plan, *, values: bool = False) -> int:
    """Bound the memory of a layer while it is simulated, bytes."""
    hw = plan.hw
    return (
        max(pass_bytes(shape, hw, values=values) for shape in plan.classes)
        + plan.passes * _PASS_BYTES
        + _kinds(plan) * (_KIND_BYTES + outcome_bytes(hw))
        + (words_bytes(plan) if values else 0)
    )


def words_bytes(plan: Plan) -> int:
    """Bound the bytes of a layer's real words, their psums, and NumPy's convolution of them."""
    layer, batch = plan.layer, plan.batch
    channels = layer.G * layer.C
    ifmap = channels * layer.H * layer.W
    padded = channels * layer.padded_rows * layer.padded_columns
    gathered = channels * layer.E * layer.F * layer.R * layer.S
    image = 3 * ifmap + 2 * padded + gathered + 6 * layer.ofmap_words
    return 8 * (batch * image + 3 * layer.filter_words)


def result_bytes(plan: Plan) -> int:
    """Bound the memory of a layer's result, bytes."""
    kinds, runs = min(_kinds(plan), MOST_KINDS), min(plan.passes, MOST_RUNS)
    return (
        _RESULT_BYTES
        + _RESULT_PE_BYTES * plan.hw.pes
        + _RESULT_KIND_BYTES * kinds
        + _RESULT_RUN_BYTES * runs
    )


def file_memory(plan: Plan) -> int:
    """Bound the memory of a layer of a result file that is read, bytes by `json_memory`.

    That it is not too much also keeps the file short enough: no part of it takes less than four
    times its text.
    """
    kinds, runs = min(_kinds(plan), MOST_KINDS), min(plan.passes, MOST_RUNS)
    return (
        _FILE_LAYER_BYTES
        + _FILE_PE_BYTES * plan.hw.pes
        + _FILE_KIND_BYTES * kinds
        + _FILE_RUN_BYTES * runs
    )


def run_bytes(plans: Sequence[Plan]) -> int:
    """Bound the memory of a run, bytes: the largest layer's simulation, and all results."""
    return max(map(layer_bytes, plans), default=0) + sum(map(result_bytes, plans))


def mib(size: int) -> int:
    """Return bytes as MiB, rounded up."""
    return ceil_div(size, 1 << 20)


def size_violations(plan: Plan) -> list[Violation]:
    """Return the limits that a legal plan breaks by its size alone."""
    dataflow = find_dataflow(plan.dataflow)
    if plan.passes > MOST_PASSES:  # before anything that grows with the passes
        return [
            Violation(
                "passes",
                plan.passes,
                str(MOST_PASSES),
                f"the mapping {plan.mapping} cuts the layer too finely to simulate; "
                f"{dataflow.for_fewer_passes}",
            )
        ]
    violations: list[Violation] = []
    events = max(pass_events(shape, plan.hw) for shape in plan.classes)
    if events > MOST_EVENTS:
        violations.append(
            Violation(
                "events of a pass",
                events,
                str(MOST_EVENTS),
                f"the mapping {plan.mapping} makes a pass too large to simulate; "
                f"{dataflow.for_smaller_passes}",
            )
        )
    needed = layer_bytes(plan)
    most_pes = max(shape.size(plan.hw).pes for shape in plan.classes)
    if needed > MOST_BYTES:
        less = "a smaller batch or array, or shallower spads and filter banks, take less"
        if _hardly_any_alike(plan):
            less += ", and clocks of a simpler ratio, which make passes equal"
        violations.append(
            Violation(
                "MiB of memory",
                mib(needed),
                str(mib(MOST_BYTES)),
                f"{plan.passes} passes, the largest on {most_pes} PEs, "
                f"under the mapping {plan.mapping}; {less}",
            )
        )
    return violations
