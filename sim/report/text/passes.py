"""Passes, Eyexam's steps and what was tried as text: what `--verbose` adds to the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hw_models.vocabulary import Phase
from sim.advice import advise
from sim.report.queues import LEGEND, queue_rows
from sim.report.tables import NAME_CELLS, count, cut, table, wrap

if TYPE_CHECKING:
    from sim.account.result import LayerResult, Result
    from sim.account.timeline import PassKind

MOST_KINDS = 24


def render_passes(result: Result, *, width: int = 80) -> str:
    """Render every layer's distinct passes, its bounds, and what would make it faster.

    In lines of at most `width` columns (80 or more).
    """
    blocks = [
        "\n".join(lines)
        for layer in result.layers
        for lines in (
            _passes(layer, width),
            _queues(result, layer, width),
            _eyexam(layer, width),
            _advice(result, layer, width),
        )
        if lines
    ]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _passes(layer: LayerResult, width: int) -> list[str]:
    if layer.timeline is None:
        return []
    kinds = sorted(layer.timeline.kinds, key=lambda kind: -kind.all_cycles)
    others = layer.timeline.passes_left_out
    total = sum(kind.all_cycles for kind in kinds) + layer.timeline.cycles_left_out

    def row(kind: PassKind) -> list[str]:
        return [
            "/".join(str(size) for size in _sizes(kind)) + (" 0" if kind.first_channels else ""),
            count(kind.passes),
            count(kind.cycles),
            *(count(kind.phases[phase]) for phase in Phase),
            f"{100 * kind.all_cycles / total:.1f}",
        ]

    cut_columns = kinds[0].columns is not None
    block = "n/e/f/filters/ch." if cut_columns else "n/e/filters/ch."
    heads = [block, "passes", "cycles", *Phase, "% of time"]
    lines = [
        f"Passes of {cut(layer.layer.name, NAME_CELLS)}",
        *table(heads, [row(kind) for kind in kinds[:MOST_KINDS]], width),
    ]
    if len(kinds) > MOST_KINDS:
        lines.append(f"  and {len(kinds) - MOST_KINDS} more kinds, all in the result file")
    if others:
        lines.append(f"  and {count(others)} passes of kinds that no result tells of one by one")
    return [
        *lines,
        *wrap(
            f"Images, ofmap rows{', ofmap columns' if cut_columns else ''}, filters and channels "
            "of a pass; 0: its psums start at zero. Load: "
            "until the first product. Ramp: until the first psum leaves the array. Steady: until "
            "the last product. Drain: until the last psum has left.",
            width,
            "  ",
        ),
    ]


def _sizes(kind: PassKind) -> list[int]:
    columns = [] if kind.columns is None else [kind.columns]
    return [kind.images, kind.strip_rows, *columns, kind.filters, kind.channels]


def _queues(result: Result, layer: LayerResult, width: int) -> list[str]:
    rows = queue_rows(result.hw, [layer.queues], layer.processing_cycles)
    if not rows:
        return []
    cells = [
        [
            row["name"],
            row["unit"],
            count(row["depth"]),
            count(row["peak"]),
            count(row["blocked_cycles"]),
            f"{row['blocked_writers']:.2f}",
        ]
        for row in rows
    ]
    heads = ["FIFO", "\nunit", "can\nhold", "\nheld", "blocked\ncycles", "writers\nblocked"]
    return [
        f"FIFOs of {cut(layer.layer.name, NAME_CELLS)}",
        *table(heads, cells, width),
        *wrap(LEGEND, width, "  "),
    ]


def _eyexam(layer: LayerResult, width: int) -> list[str]:
    if not layer.eyexam:
        return []
    lines = [f"From the peak to what {cut(layer.layer.name, NAME_CELLS)} reached, MAC/cycle"]
    for place, step in enumerate(layer.eyexam, 1):
        bound = f"{layer.macs / step.cycles:,.2f}"
        lines.append(f"  {place}. {step.name:<20}{bound:>20}")
        lines += wrap(step.reason, width, "     ")
    if layer.bound is not None:
        lines += wrap(f"The total latency is bound by: {layer.bound.text}.", width, "  ")
    return lines


def _advice(result: Result, layer: LayerResult, width: int) -> list[str]:
    advice = advise(layer.layer, result.batch, result.hw, layer.mapping)
    return [
        f"What would make {cut(layer.layer.name, NAME_CELLS)} faster",
        *(
            line
            for sentence in (*advice.sentences, *([advice.kept] if advice.changes else []))
            for line in wrap(sentence, width, "  ", "    ")
        ),
    ]
