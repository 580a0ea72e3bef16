"""A view in words: where the time is, where the energy is, and what to change.

Each sentence follows from figures that the page shows, or says what was tried in closed form
(`sim.analytic.bound`, `sim.advice`); nothing is simulated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw_models.vocabulary import Cause, DataType, Level, Network, Resource
from sim.advice import Advice, advise
from sim.report.views import View
from sim.result.model import BoundPart, LayerPart, ResultFile

WORTH_SAYING = 0.03

MOST_ADVISED = 64
"""Layers of a result for which changes are tried, those that take longest: each takes a tenth of a
second."""


def layer_story(
    result: ResultFile, layer: LayerPart, view: View, *, advised: bool = True
) -> list[dict[str, Any]]:
    """Return questions with their answers: the first sentence says it, the others give the numbers.

    `advised` says whether changes are tried for this layer.
    """
    return [
        {"question": "Where is the time?", "answer": time_of(result, layer, view)},
        {"question": "Where is the energy?", "answer": _energy_of(view)},
        {"question": "What should I change?", "answer": changes(result, layer, advised=advised)},
    ]


def network_story(result: ResultFile, view: View) -> list[dict[str, Any]]:
    """Return the same questions of a whole network: which layers, and what bounds them."""
    return [
        {"question": "Where is the time?", "answer": _network_time(result, view)},
        {"question": "Where is the energy?", "answer": _network_energy(view)},
        {"question": "What should I change?", "answer": _network_changes(result)},
    ]


def slowest(layers: Sequence[LayerPart]) -> list[LayerPart]:
    """Return the layers, those of the longest total latency first."""
    return sorted(layers, key=lambda layer: -layer.cycles.total)


def bound_of(layer: LayerPart) -> BoundPart:
    """Return what bounds a layer; every result that was checked says it."""
    assert layer.bound is not None
    return layer.bound


# --- time -----------------------------------------------------------------------------------------


def time_of(result: ResultFile, layer: LayerPart, view: View) -> list[str]:
    """Say what bounds a layer, with the numbers."""
    hw = result.hw
    bound = bound_of(layer)

    def taken(station: str) -> float:
        return view.busy(station)[1]

    still = sum(layer.cycles.standstill.values())
    takes = f"It takes {_ms(view.total_ms)} in all ({view.total_cycles:,} cycles)"
    processing = f"{_ms(view.processing_ms)} ({view.processing_cycles:,} cycles)"
    lines = [
        _bound_sentence(bound),
        f"{takes}: {processing} of processing, and {_ms(result.milliseconds(still))} of DRAM "
        "stalls, in which the array waits while ifmaps or ofmaps cross the DRAM link."
        if still
        else f"{takes}, all of it processing: there are no DRAM stalls.",
        _others_sentence(bound),
    ]
    if Resource.PSUM_BUS in bound.by:
        rate = hw.noc.psum_words_per_cycle
        lines += [
            f"Psums (partial sums) leave the array of PEs (processing elements, one multiplier "
            f"each) for the global buffer over the bus GON and come back over the bus GIN, {rate} "
            f"word{'s' if rate != 1 else ''} per cycle each way. These buses are busy "
            f"{_percent(taken(Network.GON_PSUM))} (out) and "
            f"{_percent(taken(Network.GIN_PSUM))} (in) of the processing latency.",
            *_psum_numbers(layer),
            *_beats_not_full(layer, view, rate),
        ]
    lines.append(
        f"While it processes, the layer reaches {view.macs_per_cycle:.1f} of the {hw.pes} MACs "
        f"per cycle that {hw.pes} PEs could do; the busiest PE computes or adds psums "
        f"{_percent(taken('pes'))} of the time."
    )
    return lines + _losses(result, view)


def _bound_sentence(bound: BoundPart) -> str:
    """Say what bounds a layer, and what more of it gains."""
    together = 1 - bound.together / bound.cycles
    if not bound.by:
        return "No resource bounds the layer: none of them, twice as fast, would shorten it."
    if len(bound.by) == 1:
        name = Resource(bound.by[0]).sentence
        return (
            f"{_capital(name)} bounds the layer: twice as fast, it would shorten the total latency "
            f"by {_percent(together)}."
        )
    names = _listed([Resource(name).sentence for name in bound.by])
    alone = _listed([_percent(_gain(bound, name)) for name in bound.by])
    return (
        f"{_capital(names)} bound the layer, a tie: twice as fast, all of them would shorten the "
        f"total latency by {_percent(together)}, each alone by {alone}."
    )


def _others_sentence(bound: BoundPart) -> str:
    """Say what more of each other resource gains."""
    others = [
        f"{name.sentence} {_percent(max(0.0, _gain(bound, name)))}"
        for name in Resource
        if name not in bound.by
    ]
    return f"Any other, twice as fast, would shorten it by less: {', '.join(others)} (closed form)."


def _gain(bound: BoundPart, resource: str) -> float:
    return 1 - bound.doubled[resource] / bound.cycles


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _psum_numbers(layer: LayerPart) -> list[str]:
    """Compare cycles of the psum bus and of a PE for one ofmap column (a full pass)."""
    step = next((s for s in layer.eyexam if s.step == "average bandwidth"), None)
    return [step.reason] if step is not None and step.limit == Resource.PSUM_BUS else []


def _beats_not_full(layer: LayerPart, view: View, rate: int) -> list[str]:
    busy, taken = view.busy(Network.GON_PSUM)
    full = busy / taken
    if full > 1 - WORTH_SAYING:
        return []
    return [
        f"A beat carries the psums of one PE's window, p = {layer.mapping['p']} of them in beats "
        f"of up to {rate}: on average only {_percent(full)} of the bus's width is used."
    ]


def _losses(result: ResultFile, view: View) -> list[str]:
    if not result.simulated:
        return []  # the closed form does not know what a PE waits for
    causes, cycles = view.stalls.causes, view.stalls.pe_cycles
    percent = dict(zip(causes, view.stalls.percent, strict=True))
    total = sum(cycles)
    lost = sorted(
        (
            (cause, many)
            for cause, many in zip(causes, cycles, strict=True)
            if cause != Cause.COMPUTING
        ),
        key=lambda item: -item[1],
    )
    named = [
        f"{Cause(cause).label} {percent[cause]} %"
        for cause, many in lost[:3]
        if many / total > WORTH_SAYING
    ]
    computing = (
        f"Of all PE time in the total latency {percent[Cause.COMPUTING]} % goes into products"
    )
    return [f"{computing}; lost: {', '.join(named)}." if named else f"{computing}."]


# --- energy ---------------------------------------------------------------------------------------


def _energy_of(view: View) -> list[str]:
    table = view.energy
    if table is None:
        return ["This result has no energies."]
    total = table.total
    if not total:
        return ["The energy table prices nothing of what was done."]
    level = max(table.levels, key=lambda name: table.by_level[name])
    cells = {
        (name, kind): table.cells[row][column]
        for row, name in enumerate(table.levels)
        for column, kind in enumerate(table.data_types)
    }
    (at, kind), most = max(cells.items(), key=lambda item: item[1])
    what = "" if kind in (DataType.MAC, DataType.STATIC) else f", most of all for {kind}s"
    where = Level(level).sentence
    lines = [
        f"Most of it goes into {where}: {_percent(table.by_level[level] / total)} of the energy."
    ]
    if at == level:
        if what:
            lines[0] = f"{lines[0][:-1]}{what} ({_percent(most / total)})."
    else:
        lines.append(
            f"The largest single part is {kind}s in {Level(at).sentence}: {_percent(most / total)}."
        )
    kinds = table.by_data_type
    moved = sorted((DataType.IFMAP, DataType.FILTER, DataType.PSUM), key=lambda name: -kinds[name])
    lines.append(
        "By data type: "
        + ", ".join(f"{name}s {_percent(kinds[name] / total)}" for name in moved)
        + f", the MACs themselves {_percent(kinds[DataType.MAC] / total)}."
    )
    unit = "times a MAC" if table.unit == "normalised" else "pJ"
    lines.append(
        f"A MAC costs {table.per_mac:.2f} {unit} with all that is moved for it "
        f"(energy table {table.table})."
    )
    if table.chip_power_w is not None:
        lines.append(f"The chip without DRAM takes {1e3 * table.chip_power_w:.0f} mW.")
    return lines


# --- changes --------------------------------------------------------------------------------------


def changes(result: ResultFile, layer: LayerPart, *, advised: bool = True) -> list[str]:
    """Return what was tried and helps, the best first."""
    if not advised:
        return [
            f"Changes are tried for the {MOST_ADVISED} layers that take longest; this one is not "
            "among them. A result of this layer alone has them."
        ]
    advice = _advice(result, layer)
    return [
        *advice.sentences,
        *([advice.kept] if advice.changes else []),
        "Gains are those of the closed form, which is what `eyeriss-sim estimate` prints; a run "
        "with the options in brackets simulates the change, and `eyeriss-sim report A.json B.json` "
        "compares.",
    ]


def _advice(result: ResultFile, layer: LayerPart) -> Advice:
    return advise(layer.layer, result.batch, result.hw, layer.factors)


# --- the whole network ----------------------------------------------------------------------------


def _network_time(result: ResultFile, view: View) -> list[str]:
    total = view.total_cycles
    texts = {layer.name: bound_of(layer).text for layer in result.layers}
    few: list[LayerPart] = []
    for layer in slowest(result.layers):
        few.append(layer)
        if len(few) == 5 or sum(chosen.cycles.total for chosen in few) > 0.75 * total:
            break
    named = ", ".join(
        f"{layer.name} {_percent(layer.cycles.total / total)} ({texts[layer.name]})"
        for layer in few
    )
    bounds: dict[str, int] = {}
    for layer in result.layers:
        text = texts[layer.name]
        bounds[text] = bounds.get(text, 0) + layer.cycles.total
    ranked = sorted(bounds.items(), key=lambda item: -item[1])
    shares = [f"{text} {_percent(cycles / total)}" for text, cycles in ranked]
    then = f" (then: {', '.join(shares[1:])})" if len(shares) > 1 else ""
    images = f"{result.batch} image{'s' if result.batch != 1 else ''}"
    still = view.total_cycles - view.processing_cycles
    return [
        f"Layers bound by {ranked[0][0]} take {_percent(ranked[0][1] / total)} of the total "
        f"latency{then}.",
        f"Slowest layers in total latency, with what bounds them: {named}.",
        f"The network takes {_ms(view.total_ms)} for {images}: {_ms(view.processing_ms)} of "
        f"processing, and {_ms(result.milliseconds(still))} of DRAM stalls.",
        f"While it processes, it reaches {view.macs_per_cycle:.1f} of {result.hw.pes} MACs per "
        "cycle.",
        *_losses(result, view),
    ]


def _network_energy(view: View) -> list[str]:
    lines = _energy_of(view)
    if view.energy is not None and view.energy.total:
        total = view.energy.total
        most = sorted(view.layers or (), key=lambda layer: -(layer.energy or 0))[:3]
        named = ", ".join(f"{one.name} {_percent((one.energy or 0) / total)}" for one in most)
        lines.append(f"Layers with most of it: {named}.")
    return lines


def _network_changes(result: ResultFile) -> list[str]:
    lines = ["Begin with the slowest layers; each layer's own page says more."]
    return lines + [
        f"{layer.name}: {_advice(result, layer).sentences[0]}"
        for layer in slowest(result.layers)[:3]
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _ms(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1e3:,.2f} s"
    if milliseconds >= 1:
        return f"{milliseconds:.2f} ms"
    return f"{1e3 * milliseconds:.1f} µs"
