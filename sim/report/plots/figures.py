"""The report's figures for papers: SVG and PDF of the same numbers, drawn with Matplotlib.

Matplotlib is an extra, and is imported only when something is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from hw_models.vocabulary import Cause, DataType, Lane, Level, Phase
from sim.errors import Fault, InputError
from sim.report.views import View, layer_view, network_view
from workloads.inputs.words import path_part

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.result.model import ResultFile

__all__ = ["DEFAULT", "FORMATS", "PLOTS", "draw", "plain", "plot_files", "require_matplotlib"]

FORMATS = ("svg", "pdf")

_STYLE: Any = {
    "svg.hashsalt": "eyeriss-sim",  # equal results make equal files
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_METADATA = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None},
}
_INCHES = 5.5  # the width of a text column, or so


def require_matplotlib() -> type[Figure]:
    """Return Matplotlib's figure class.

    Raises:
        InputError: Matplotlib is not installed.

    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        message = "needs Matplotlib, which is not installed: pip install 'eyeriss-sim[plots]'"
        raise InputError(Fault("", None, "--plots", message)) from None
    return Figure


def plot_files(
    result: ResultFile, names: Iterable[str] = (), layers: Sequence[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """Return plots of a result: path inside the folder of plots, and the file.

    `names` are of `PLOTS`; without any they are `DEFAULT`. Drawn is the whole network, in the
    folder `network`, or each of `layers` in a folder of its own.
    """
    import matplotlib  # noqa: PLC0415 - an extra

    taken: set[str] = set()
    wanted = tuple(names) or DEFAULT
    with matplotlib.rc_context(_STYLE):
        for view in _views(result, layers):
            folder = path_part("network" if view.whole else view.name, taken)
            for name in wanted:
                figure = draw(view, name)
                if figure is None:
                    continue
                for kind in FORMATS:
                    picture = saved(figure, format=kind, metadata=_METADATA[kind])
                    figure.set_layout_engine("none")  # laid out once for all formats
                    yield f"{folder}/{name}.{kind}", picture


def saved(figure: Figure, **how: Any) -> bytes:
    """Return a picture as `savefig` writes it.

    Without its warnings of characters that the font lacks, which name a line of Matplotlib's: a
    name in another script has boxes in a PDF, and is text in an SVG.
    """
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(?s)Glyph \d+ .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        figure.savefig(stream, **how)
    return stream.getvalue()


def _views(result: ResultFile, layers: Sequence[str]) -> Iterator[View]:
    if not layers and len(result.layers) > 1:
        yield network_view(result)
    for layer in result.layers:
        if layer.name in layers or len(result.layers) == 1:
            yield layer_view(result, layer)


def draw(view: View, name: str) -> Figure | None:
    """Draw one of `PLOTS` of a view; None where the view has no such figure."""
    make = PLOTS[name]
    figure = require_matplotlib()(figsize=(_INCHES, 3.0), layout="constrained")
    axes = figure.add_subplot()
    if not make(figure, axes, view):
        return None
    axes.set_title(plain(view.name), loc="left", fontsize=9)
    return figure


def plain(text: str) -> str:
    """Return escape the $ of a user's text, which Matplotlib would read as mathematics."""
    return text.replace("$", r"\$")


def _horizontal(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.invert_yaxis()


def _eyexam(figure: Figure, axes: Axes, view: View) -> bool:
    steps = view.eyexam
    if not steps:
        return False
    values = [step.macs_per_cycle for step in steps]
    axes.barh(range(len(steps)), values, color=["#8a929b", "#8a929b", *["#56b4e9"] * 4, "#0072b2"])
    _horizontal(axes, [f"{place}. {step.step}" for place, step in enumerate(steps, 1)])
    # The first two steps know no PEs: their bars run off the scale.
    most = 1.05 * values[2]
    for place, value in enumerate(values):
        axes.annotate(
            f" {value:,.1f}", (min(value, most), place), va="center", fontsize=7,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_xlim(0, most)
    axes.set_xlabel("bound, MAC/cycle")
    return True


def _stalls(figure: Figure, axes: Axes, view: View) -> bool:
    causes = view.stalls.causes
    rows = (
        [(layer.name, layer.by_cause) for layer in view.layers]
        if view.layers is not None
        else [(view.name, view.stalls.pe_cycles)]
    )
    figure.set_size_inches(_INCHES, 1.4 + 0.22 * len(rows))
    left = [0.0] * len(rows)
    for place, cause in enumerate(map(Cause, causes)):
        widths = [100 * cycles[place] / sum(cycles) for _, cycles in rows]
        axes.barh(
            range(len(rows)), widths, left=left, label=cause.label,
            color=cause.colour, edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]
    _horizontal(axes, [name for name, _ in rows])
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of total latency x PEs")
    figure.legend(loc="outside lower center", ncols=4, fontsize=7)
    return True


def _buses(figure: Figure, axes: Axes, view: View) -> bool:
    names = [station.name for station in view.stations if station.busy is not None]
    shares = [view.busy(station.id) for station in view.stations if station.busy is not None]
    figure.set_size_inches(_INCHES, 2.2)
    busy = [100 * full for full, _ in shares]
    empty = [100 * (taken - full) for full, taken in shares]
    axes.barh(range(len(names)), busy, color="#0072b2", label="at full width")
    if max(empty) > 0.1:
        axes.barh(range(len(names)), empty, left=busy, color="#d9dee3", label="beats not full")
        axes.legend(fontsize=7)
    _horizontal(axes, names)
    axes.set_xlim(0, 100)
    axes.set_xlabel("busy, % of processing latency")
    return True


def _multicast(figure: Figure, axes: Axes, view: View) -> bool:
    rows = view.multicast
    if not rows:
        return False
    figure.set_size_inches(_INCHES, 1.0 + 0.2 * len(rows))
    total = sum(words for _, words in rows)
    axes.barh(range(len(rows)), [100 * words / total for _, words in rows], color="#e69f00")
    _horizontal(axes, [str(reached) for reached, _ in rows])
    axes.set_ylabel("PEs reached")
    axes.set_xlabel("% of ifmap words")
    return True


def _pes(figure: Figure, axes: Axes, view: View) -> bool:
    pe = view.pe
    cycles = pe.cycles
    shares = [[100 * busy / cycles for busy in row] for row in pe.busy_cycles]
    figure.set_size_inches(_INCHES, 0.9 + _INCHES * 0.85 * pe.rows / pe.columns)
    image = axes.imshow(shares, cmap="viridis", vmin=0, vmax=100)
    if pe.rows * pe.columns <= 400:
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                axes.text(
                    column, row, f"{share:.0f}", ha="center", va="center", fontsize=6,
                    color="black" if share > 60 else "white",
                )  # fmt: skip
        axes.set_xticks(range(pe.columns))
        axes.set_yticks(range(pe.rows))
    axes.set_xlabel("column")
    axes.set_ylabel("row (psums leave at row 0)")
    figure.colorbar(image, ax=axes, label="busy, % of cycles", shrink=0.8)
    return True


def _energy(figure: Figure, axes: Axes, view: View) -> bool:
    table = view.energy
    if table is None:
        return False
    figure.set_size_inches(_INCHES, 2.4)
    levels = table.levels
    left = [0.0] * len(levels)
    for place, kind in enumerate(table.data_types):
        widths = [row[place] for row in table.cells]
        if any(widths):
            axes.barh(
                range(len(levels)), widths, left=left, label=kind, color=DataType(kind).colour
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
    _horizontal(axes, [Level(level).label for level in levels])
    axes.set_xlabel("energy, pJ" if table.unit == "pJ" else "energy, in energies of one MAC")
    axes.legend(fontsize=7)
    return True


def _pass(figure: Figure, axes: Axes, view: View) -> bool:
    line = view.timeline
    if line is None or line.detail is None:
        return False
    detail = line.detail
    kind = line.kinds[detail.kind]
    names = list(detail.busy)
    image = axes.imshow(
        [[100 * share for share in detail.busy[name]] for name in names],
        aspect="auto", cmap="cividis", vmin=0, vmax=100,
        extent=(0, kind.cycles, len(names) - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(
        range(len(names)), [Lane(name).label if name in tuple(Lane) else name for name in names]
    )
    at = 0
    for phase in tuple(Phase)[:-1]:
        at += kind.phases[phase]
        axes.axvline(at, color="#d55e00", linewidth=0.8)
    axes.set_xlabel("cycle of the pass; lines end load, ramp and steady state")
    figure.set_size_inches(_INCHES, 2.2)
    figure.colorbar(image, ax=axes, label="busy, %")
    return True


def _latency(figure: Figure, axes: Axes, view: View) -> bool:
    layers = view.layers
    if layers is None:
        return False
    figure.set_size_inches(_INCHES, 1.2 + 0.2 * len(layers))
    per_ms = view.processing_cycles / view.processing_ms
    processing = [layer.processing_cycles / per_ms for layer in layers]
    still = [layer.standstill_cycles / per_ms for layer in layers]
    places = range(len(layers))
    axes.barh(places, processing, color="#0072b2", label="processing")
    axes.barh(places, still, left=processing, color="#d9dee3", label=Cause.DRAM_STALL.label)
    _horizontal(axes, [layer.name for layer in layers])
    axes.set_xlabel("ms")
    axes.legend(fontsize=7)
    return True


_Draw = Callable[[Any, Any, View], bool]

PLOTS: dict[str, _Draw] = {
    "latency": _latency,
    "eyexam": _eyexam,
    "pes": _pes,
    "stalls": _stalls,
    "buses": _buses,
    "multicast": _multicast,
    "pass": _pass,
    "energy": _energy,
}
"""Every plot by its name, which is that of its files."""

DEFAULT = ("latency", "eyexam", "stalls", "energy")
"""Drawn where nothing is chosen; a layer has no `latency`."""
