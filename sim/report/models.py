"""The first-order models, the audit and the calibration as text for the terminal.

Results in, text out, as in `sim.report.terminal`, whose tables and words these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sim.report.terminal import (
    NAME_CELLS,
    count,
    cut,
    fitted,
    sections_text,
    shares,
    table,
    wrap,
)

if TYPE_CHECKING:
    from sim.analytic.audit import Audit
    from sim.analytic.first_order import FirstOrderResult
    from sim.analytic.published import Cost, EstimatedLayer, PublishedResult
    from sim.check.calibration import Calibration

__all__ = ["render_audit", "render_calibration", "render_first_order", "render_published"]

Section = list[str]

_LEVELS = {"dram": "DRAM", "glb": "GLB", "noc": "NoC", "rf": "RF"}


# --- the first-order estimator --------------------------------------------------------------------


def render_first_order(result: FirstOrderResult, *, width: int = 80, color: bool = False) -> str:
    """Every count and energy of the estimator, and its totals by level, data type and layer."""
    compressed = any(layer.precision != type(layer.precision)() for layer in result.layers)
    head = [
        cut(f"{result.network}, first-order estimate of one image", width),
        *wrap(
            "Energies are in that of a 16-bit MAC: DRAM 200, GLB 6, NoC 2, RF 1 per 16-bit word. "
            "Groups are ignored and every memory is as large as it needs to be; `eyeriss-sim "
            "audit` says where that differs from the simulated machine.",
            width,
        ),
    ]
    sections = [
        head,
        ["Layers", *_first_order_layers(result, compressed, width)],
        ["Words, after pruning, and energies by layer, level and data type",
         *_first_order_words(result, width)],
        ["Energy by level and by data type", *_first_order_totals(result, width)],
    ]  # fmt: skip
    return sections_text(sections, color)


def _first_order_layers(result: FirstOrderResult, compressed: bool, width: int) -> list[str]:
    heads = ["layer", "ofmap", "computation", "data", "total", "% of all"]
    if compressed:
        heads[2:2] = ["pruned\n%", "bits\nw, a"]

    def rows(short: bool) -> Iterable[list[str] | None]:
        parts = shares(layer.total for layer in result.layers)
        for layer, share in zip(result.layers, parts, strict=True):
            given = layer.precision
            energies = (layer.computation, layer.data, layer.total)
            yield [
                layer.layer.name,
                "x".join(map(str, layer.ofmap)),
                *(
                    [
                        f"{100 * given.pruned:g}",
                        f"{given.weight_bits}, {given.activation_bits}",
                    ]
                    if compressed
                    else []
                ),
                *(count(round(energy), short) for energy in energies),
                share,
            ]
        yield None
        whole = (result.computation, result.total - result.computation, result.total)
        blank = [""] * (3 if compressed else 1)
        yield ["all", *blank, *(count(round(energy), short) for energy in whole), "100.0"]

    text = "Energies are rounded here. Ofmap: filters x rows x columns."
    if compressed:
        text += " Pruned: share of the weights; bits of a weight and of an activation."
    return [*fitted(heads, rows, width, left=2), *wrap(text, width, "  ")]


def _first_order_words(result: FirstOrderResult, width: int) -> list[str]:
    kinds = ("weight", "ifmap", "psum")
    heads = [
        "layer", "level",
        *(f"words\n{kind}" for kind in kinds), *(f"energy\n{kind}" for kind in kinds),
    ]  # fmt: skip

    def rows(short: bool) -> Iterable[list[str] | None]:
        for place, layer in enumerate(result.layers):
            if place:
                yield None
            energies = layer.energies
            for step, (level, shown) in enumerate(_LEVELS.items()):
                yield [
                    layer.layer.name if not step else "",
                    shown,
                    *(
                        _energy(value, short)
                        for found in (layer.words, energies)
                        for (at, _), value in found.items()
                        if at == level
                    ),
                ]

    return fitted(heads, rows, width, left=2)


def _first_order_totals(result: FirstOrderResult, width: int) -> list[str]:
    by_level, by_kind = result.by_level, result.by_data_type
    rows: list[list[str] | None] = [
        [_LEVELS[level], _energy(value, False), share]
        for (level, value), share in zip(by_level.items(), shares(by_level.values()), strict=True)
    ]
    rows += [["data", _energy(sum(by_level.values(), Fraction()), False), "100.0"], None]
    rows += [
        [kind, _energy(value, False), share]
        for (kind, value), share in zip(by_kind.items(), shares(by_kind.values()), strict=True)
    ]
    rows += [["total", _energy(result.total, False), "100.0"]]
    return table(["part", "energy", "%"], rows, width)


def _energy(value: Fraction, short: bool) -> str:
    """The value with as many of four decimals as it has; `short` takes nine characters at most."""
    if short:
        whole = value.denominator == 1 and value < 10**7
        return f"{int(value):,}" if whole else f"{float(value):.3e}"
    text = f"{float(value):,.4f}"
    return text.rstrip("0").rstrip(".")


# --- published figures ----------------------------------------------------------------------------


def render_published(
    result: PublishedResult, diagnosis: Mapping[str, Any], *, width: int = 80, color: bool = False
) -> str:
    """Look-up and scaling: the cost as published and of one image, and how far to trust it."""
    ways = {"look-up": "looked up", "scaled": "scaled by MACs"}
    said = " and ".join(
        text for way, text in ways.items() if any(layer.way == way for layer in result.layers)
    )
    head = [
        cut(f"{result.network}, from published figures: layers {said}", width),
        *wrap(
            "Convolutions cost what the Eyeriss chip took (power without DRAM times total "
            "latency), fully connected layers what EIE took, brought from 45 to 65 nm.",
            width,
        ),
    ]
    sections = [
        head,
        ["Energy and latency", *_published_layers(result, width)],
        ["Diagnosis: cost per MAC of the published layers", *_diagnosis(diagnosis, width)],
    ]
    if result.notes:
        sections.append(["Notes", *(line for note in result.notes for line in _note(note, width))])
    return sections_text(sections, color)


def _published_layers(result: PublishedResult, width: int) -> list[str]:
    heads = [
        "layer", "kind", "MACs of\nan image", "images",
        "as published\nmJ", "\nms", "an image\nmJ", "\nms",
    ]  # fmt: skip

    def costs(published: Cost, single: Cost) -> list[str]:
        return [
            _digits(float(value) * 1e3)
            for cost in (published, single)
            for value in (cost.energy_j, cost.latency_s)
        ]

    def row(layer: EstimatedLayer, short: bool) -> list[str]:
        images = "-" if layer.images is None else str(layer.images)
        return [
            layer.name,
            layer.kind,
            count(layer.macs, short),
            images,
            *costs(layer.as_published, layer.per_image),
        ]

    def rows(short: bool) -> Iterable[list[str] | None]:
        yield from (row(layer, short) for layer in result.layers)
        yield None
        kinds: tuple[tuple[str, Any], ...] = (("conv", "conv"), ("fc", "fc"), ("all", None))
        for shown, kind in kinds:
            macs = sum(layer.macs for layer in result.layers if kind in (None, layer.kind))
            found = costs(result.cost(kind), result.cost(kind, "per_image"))
            yield [shown, "", count(macs, short), "", *found]

    text = (
        "As published: of the batch that was measured, as the original adds them up. An image: "
        "each layer divided by the images it was measured on; - where a scaled layer mixes them."
    )
    return [*fitted(heads, rows, width, left=2), *wrap(text, width, "  ")]


def _diagnosis(diagnosis: Mapping[str, Any], width: int) -> list[str]:
    def figures(network: str, layer: str) -> list[float]:
        return [
            diagnosis[basis]["per_layer"][figure][network][layer] * 1e12
            for basis in ("as_published", "per_image")
            for figure in ("energy", "latency")
        ]

    heads = [
        "network", "layer", "as published\npJ", "\nps", "an image\npJ", "\nps", "of average\npJ",
    ]  # fmt: skip
    averages = {
        kind: [
            diagnosis[basis]["average"][figure][kind] * 1e12
            for basis in ("as_published", "per_image")
            for figure in ("energy", "latency")
        ]
        for kind in ("conv", "fc")
    }
    rows: list[list[str] | None] = []
    for network, layers in diagnosis["per_image"]["per_layer"]["energy"].items():
        for layer in layers:
            found = figures(network, layer)
            average = averages["fc" if layer.startswith("FC") else "conv"]
            cell = f"{found[2] / average[2]:.2f}"
            rows.append([network, layer, *map(_digits, found), cell])
        rows.append(None)
    rows += [["average", kind, *map(_digits, found), "1.00"] for kind, found in averages.items()]
    text = (
        "A layer is scaled with the average of its kind. Of average: the layer's cost of a MAC "
        "over that, for an image; far from 1 says how wrong scaling can be."
    )
    return [*table(heads, rows, width, left=2), *wrap(text, width, "  ")]


def _digits(value: float) -> str:
    """Five significant digits, without an exponent where that is short."""
    if value and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.3e}"
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _note(note: str, width: int) -> list[str]:
    return wrap(f"{note[:1].upper()}{note[1:]}.", width, "  ")


# --- the audit ------------------------------------------------------------------------------------


def render_audit(
    audits: Sequence[Audit], network: str, *, width: int = 80, color: bool = False
) -> str:
    """Every count of the estimator beside the machine's, layer by layer, and why they differ."""
    hw = audits[0].plan.hw
    lines = [line for found in audits for line in found.lines]
    equal = sum(line.agrees for line in lines)
    head = [
        cut(f"{network}: the first-order estimator beside {hw.name}", width),
        *wrap(
            f"One image, every weight kept. {equal} of {len(lines)} counts agree. Ratio: machine "
            "over estimator; the factors of its reasons multiply to it.",
            width,
        ),
    ]
    return sections_text([head, *(_audit(found, width) for found in audits)], color)


def _audit(found: Audit, width: int) -> Section:
    mapping = " ".join(f"{name}={value}" for name, value in found.plan.mapping.to_dict().items())
    heads = ["count", "estimator", "machine", "ratio"]

    def rows(short: bool) -> Iterable[list[str]]:
        for line in found.lines:
            yield [
                line.count,
                count(line.estimator, short),
                count(line.machine, short),
                "equal" if line.agrees else _factor(line.ratio),
            ]

    why: dict[tuple[str, Fraction | None], list[str]] = {}
    remarks: dict[str, list[str]] = {}
    for line in found.lines:
        for reason in line.reasons:
            why.setdefault((reason.text, reason.factor), []).append(line.count)
        if line.remark:
            remarks.setdefault(line.remark, []).append(line.count)
    lines = fitted(heads, rows, width)
    for (text, factor), counts in why.items():
        times = f", times {_factor(factor)}" if factor is not None else ""
        lines += _hanging(f"{', '.join(counts)}{times}: {text}.", width)
    for text, counts in remarks.items():
        lines += _hanging(f"{', '.join(counts)}: {text}.", width)
    return [f"{cut(found.plan.layer.name, NAME_CELLS)} ({mapping})", *lines]


def _hanging(text: str, width: int) -> list[str]:
    first, *rest = wrap(text, width - 2, "    ")
    return [first[2:], *rest]


def _factor(value: Fraction | None) -> str:
    if value is None:
        return "-"
    return str(value) if value.denominator == 1 else f"{float(value):.4g}"


# --- the calibration ------------------------------------------------------------------------------


def render_calibration(found: Calibration, *, width: int = 80, color: bool = False) -> str:
    """The fit: measured and fitted power of each layer, the errors, and the shares of power."""
    heads = ["network", "layer", "measured\nmW", "fitted\nmW", "left out\nmW", "error\n%",
             "in a run\nmW", "error\n%"]  # fmt: skip
    rows: list[list[str] | None] = [
        [
            layer.network,
            layer.layer,
            f"{layer.measured_mw:.0f}",
            f"{layer.fitted_mw:.1f}",
            f"{layer.left_out_mw:.1f}",
            f"{100 * layer.left_out_error:+.1f}",
            f"{layer.run_mw:.1f}",
            f"{100 * layer.run_error:+.1f}",
        ]
        for layer in found.layers
    ]
    worst = found.worst
    errors = (
        f"Mean error {100 * found.fitted_error:.1f} % fitted, {100 * found.left_out_error:.1f} % "
        f"left out (worst {worst.network} {worst.layer}, {100 * worst.left_out_error:+.1f} %), "
        f"{100 * found.run_error:.1f} % in a run. Left out: with the prices of the other layers. "
        "In a run: energy over the simulated total latency, as `run` and `estimate` print it; "
        "fitted and left out are over the published one."
    )
    published = found.to_dict()["shares"]["published"]
    parts: list[list[str] | None] = [
        [part, f"{100 * published[part]:.1f}", f"{100 * share:.1f}"]
        for part, share in found.shares.items()
    ]
    scales: list[list[str] | None] = [
        [name, f"{scale:.4g}"] for name, scale in found.scales.items()
    ]
    sections = [
        ["Power of the chip without DRAM, by layer", *table(heads, rows, width, left=2),
         *wrap(errors, width, "  ")],
        ["Shares of AlexNet's power, %", *table(["part", "published", "fitted"], parts, width),
         *wrap("The published shares are four of the observations.", width, "  ")],
        ["Fitted scales", *table(["group", "scale"], scales, width),
         *wrap("PE cycles: pJ a PE and cycle. NoC: pJ a word. Rest: pJ a cycle. PE work and GLB: "
               "times the prices of timeloop_65nm_8bit.", width, "  ")],
    ]  # fmt: skip
    return sections_text(sections, color)
