"""The five charts of the first-order estimator, as its author draws them.

Matplotlib is an extra, and is imported only when charts are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hw_models.vocabulary import Level
from sim.report.plots.figures import plain, require_matplotlib, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.models.first_order import FirstOrderResult

__all__ = ["CHARTS", "first_order_charts"]

CHARTS = {
    "layers_by_data_type": "Energy by layer and data type",
    "layers_by_level": "Energy of data by layer and memory level",
    "levels": "Energy of data by memory level",
    "data_types": "Energy by data type",
    "layers": "Energy by layer",
}
"""Every chart's name, which is that of its file, and its title."""

_LABELS = {
    **{level.value: level.heading for level in (Level.DRAM, Level.GLB, Level.NOC)},
    "rf": "RF",
    "weight": "weight",
    "ifmap": "ifmap",
    "psum": "psum",
    "computation": "computation",
}
_INCHES = (8.0, 4.8)


def first_order_charts(result: FirstOrderResult) -> dict[str, bytes]:
    """Draw the five charts as PNG, by name: two of stacked bars, three pies.

    Raises `InputError` where Matplotlib is not installed.
    """
    figure_of = require_matplotlib()
    data = result.charts()
    pictures: dict[str, bytes] = {}
    for name, title in CHARTS.items():
        figure = figure_of(figsize=_INCHES, layout="constrained")
        if name.startswith("layers_"):
            _bars(figure, data[name])
        else:
            _pie(figure, data[name])
        figure.suptitle(f"{title}, {result.network}")
        # Without the version in it, equal results make equal files.
        pictures[name] = saved(figure, format="png", dpi=120, metadata={"Software": None})
    return pictures


def _bars(figure: Figure, layers: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a bar for each layer, its parts stacked from the bottom up."""
    axes = figure.add_subplot()
    names = list(layers)
    places = range(len(names))
    bottom = [0.0] * len(names)
    for part in next(iter(layers.values())):
        heights = [layers[name][part] for name in names]
        axes.bar(places, heights, bottom=bottom, label=_LABELS[part])
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_xticks(places, [plain(name) for name in names], rotation=45, ha="right")
    axes.set_ylabel("energy, in that of a 16-bit MAC")
    axes.legend()


def _pie(figure: Figure, parts: Mapping[str, float]) -> None:
    axes = figure.add_subplot()
    shown = {name: value for name, value in parts.items() if value > 0}
    wedges = axes.pie(list(shown.values()))[0]
    whole = math.fsum(shown.values())
    labels = [
        f"{_LABELS.get(name, plain(name))} {100 * value / whole:.1f} %"
        for name, value in shown.items()
    ]
    axes.legend(wedges, labels, loc="center left", bbox_to_anchor=(1.0, 0.5))
