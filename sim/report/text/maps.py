"""How busy each PE was, as a map of the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.report.tables import NAME_CELLS, Note, Part, Section, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sim.account.result import Result


MOST_MAPS = 2
MOST_MAP_ROWS = 48


def maps(result: Result, width: int) -> list[Section]:
    """Return a map of each layer, or of all together where there are many."""
    if len(result.layers) <= MOST_MAPS:
        return [
            Section(
                f"Busy PEs, {cut(layer.layer.name, NAME_CELLS)}: % of cycles",
                _map(layer.busy_cycles, layer.processing_cycles, width),
            )
            for layer in result.layers
        ]
    total = sum(layer.busy_cycles for layer in result.layers)
    assert not isinstance(total, int)
    parts = _map(total, result.processing_cycles, width)
    return [Section("Busy PEs, all layers: % of cycles", parts)]


def _map(busy: NDArray[np.int64], cycles: int, width: int) -> list[Part]:
    """Draw the array with a number for each PE; a larger one in blocks of PEs."""
    rows, columns = busy.shape
    cell = 3
    block_columns = -(-columns // ((width - 6) // cell))
    block_rows = -(-rows // MOST_MAP_ROWS)
    lines: list[Part] = [
        "      " + "".join(f"{column % 100:>{cell}}" for column in range(0, columns, block_columns))
    ]
    for top in range(0, rows, block_rows):
        line = f"  {top:>4}"
        for left in range(0, columns, block_columns):
            part = busy[top : top + block_rows, left : left + block_columns]
            share = 100 * int(part.sum()) / (part.size * cycles)
            line += (
                f"{'.' if not part.any() else '**' if share >= 99.5 else f'{share:.0f}':>{cell}}"
            )
        lines.append(line)
    text = "busy: computing or accumulating; . never, ** always. Row 0 is where psums leave."
    fact = ""
    if block_columns > 1 or block_rows > 1:
        fact = f"Each number is the mean of {block_rows} x {block_columns} PEs."
    return [*lines, Note(fact), Note(text, legend=True)]
