"""Measured passes of a public RTL beside the simulation, as text for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.report.tables import count, cut, sections_text, table, wrap

if TYPE_CHECKING:
    from sim.reference.rtl import RTLComparison

HEADS = (
    "pass", "run", "total\nsim", "\nRTL", "diff\n", "\n%", "first psum\nsim", "\nRTL", "diff\n"
)  # fmt: skip


def render_rtl(compared: RTLComparison, *, width: int = 80, color: bool = False) -> str:
    """Return all passes as lines of at most `width` columns (80 or more) ending in a newline.

    `color` sets headings in bold with ANSI codes and changes nothing else.
    """
    passes = compared.passes
    facts = "Single passes, in cycles."
    if compared.settings:
        facts += f" Changed: {', '.join(compared.settings)}."
    title = cut(f"A public RTL re-implementation, and {compared.hw}", width)
    head = [title, *wrap(facts, width)]
    rows: list[list[str] | None] = [
        [
            row.name,
            row.run,
            count(row.simulated.total),
            count(row.measured.total),
            f"{row.simulated.total - row.measured.total:+,}",
            f"{row.difference_percent:+.2f}",
            count(row.simulated.first_psum),
            count(row.measured.first_psum),
            f"{row.simulated.first_psum - row.measured.first_psum:+,}",
        ]
        for row in compared.rows
    ]
    summary: list[list[str] | None] = [
        [
            part.run,
            f"{part.passes}",
            f"{part.equal}",
            f"{part.mean_percent:.2f}",
            f"{part.worst_percent:+.2f}",
        ]
        for part in compared.summary()
    ]
    heads = ("run", "passes", "equal to\nthe cycle", "mean |diff|\nof total, %", "worst\n%")
    legend = [
        line
        for part in compared.summary()
        for line in wrap(f"{part.run}: {getattr(passes.runs, part.run).title}", width, "  ", "    ")
    ]
    return sections_text(
        [
            head,
            ["Passes", *table(HEADS, rows, width, left=2)],
            ["Runs", *table(heads, summary, width), *legend],
            ["Source", *wrap(passes.source, width, "  ")],
        ],
        color,
    )
