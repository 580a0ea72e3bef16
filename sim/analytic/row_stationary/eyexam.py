"""Eyexam: seven steps from what a layer could do to what was reached, each with its bound.

After "Eyexam: Understanding Performance Bounds", Chen, Yang, Emer and Sze, JETCAS 2019 (Eyeriss
v2). Each step adds a constraint, so no bound is above the one before; the last is the simulation's
own. Here they are counted in cycles, the fewest that the layer can take under all constraints so
far; its MACs over these cycles are the bound in MAC/cycle.

The steps look at the mapping that was used: what a better one would gain is the mapper's question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hw_models.vocabulary import Resource
from sim.analytic.form import Step
from sim.dataflow.base import ceil_div

if TYPE_CHECKING:
    from sim.dataflow.row_stationary.passes import PassShape, Plan

STEPS = (
    "layer shape",
    "dataflow",
    "number of PEs",
    "array shape",
    "storage",
    "average bandwidth",
    "varying access",
)


@dataclass(frozen=True, slots=True)
class _Work:
    """Least cycles that each station needs for a pass."""

    macs: int
    pes: int
    psum_bus: int
    ifmap_bus: int
    filter_bus: int

    @property
    def buses(self) -> dict[str, int]:
        return {
            Resource.PSUM_BUS: self.psum_bus,
            Resource.IFMAP_BUS: self.ifmap_bus,
            Resource.FILTER_BUS: self.filter_bus,
        }


def eyexam(plan: Plan, cycles: int, bound: str = "") -> tuple[Step, ...]:
    """Return the seven `STEPS` of a layer that took `cycles` (processing latency), in order.

    `bound` names what bounds its total latency (`sim.analytic.bound`).

    The cycles of the steps never fall, and the last step's are `cycles`, unless the layer was
    faster than a station allows: then one of the two is wrong.
    """
    layer = plan.layer
    macs = layer.macs(plan.batch)
    rows = macs // (layer.F * layer.S)
    rounds = ceil_div(rows, plan.hw.pes)
    work = [(_work(shape, plan), times) for shape, times in plan.classes.items()]
    placed = sum(w.macs * times for w, times in work)
    stored = sum(w.pes * times for w, times in work)
    average, limit = _average(plan, work)
    found = (
        (1, _shape_reason(plan, macs), ""),
        (layer.F * layer.S, _dataflow_reason(plan, rows), ""),
        (rounds * layer.F * layer.S, _pes_reason(plan, rows, rounds), ""),
        (placed, _array_reason(plan, macs, placed), ""),
        (stored, _storage_reason(plan), ""),
        (average, _bandwidth_reason(plan, stored, average, limit), limit),
        (cycles, _varying_reason(plan, work, average, cycles), bound),
    )
    return tuple(
        Step(name, taken, reason, limit)
        for name, (taken, reason, limit) in zip(STEPS, found, strict=True)
    )


def _work(shape: PassShape, plan: Plan) -> _Work:
    hw = plan.hw
    # The first set is never smaller than the others, so its PEs have most to do.
    p, q = shape.filters[0], shape.channels[0]
    macs = p * q * shape.filter_columns
    psums = max(hw.pe.pipeline_stages, p)
    step = q * shape.column_step
    if hw.pe.ifmap_spad == "shift":
        turn = psums + step
    else:
        # What the spad has no room for comes in behind the MACs, one word a cycle.
        turn = max(psums, step - (hw.pe.ifmap_spad_words - q * shape.filter_columns))
    rate = hw.noc.psum_words_per_cycle
    beats = shape.strip_rows * sum(ceil_div(filters, rate) for filters in shape.filters)
    return _Work(
        macs=shape.windows * macs,
        pes=shape.windows * macs + (shape.windows - 1) * turn + psums,
        psum_bus=shape.windows * beats,
        ifmap_bus=ceil_div(shape.ifmap_words, hw.noc.gin_ifmap_words_per_cycle),
        filter_bus=ceil_div(shape.filter_words, hw.noc.gin_filter_words_per_cycle),
    )


def _average(plan: Plan, work: list[tuple[_Work, int]]) -> tuple[int, str]:
    """Return cycles if every bus kept its average pace, and the station most waited for.

    Filters are the one thing that the DRAM link brings within the processing latency.
    """
    total = 0
    behind: dict[str, int] = {}
    for need, times in work:
        station, longest = max(need.buses.items(), key=lambda item: item[1])
        longest = max(longest, need.pes)
        total += times * longest
        if longest > need.pes:
            behind[station] = behind.get(station, 0) + times * (longest - need.pes)
    limit = max(behind, key=lambda name: behind[name]) if behind else Resource.ARRAY
    hw = plan.hw
    beats = sum(times * plan.filter_beats(shape) for shape, times in plan.classes.items())
    link = int(beats * hw.link_beat_cycles)
    return (link, Resource.DRAM_LINK) if link > total else (total, limit)


def _many(value: int, word: str) -> str:
    return f"{value} {word}{'s' if value != 1 else ''}"


# --- reasons --------------------------------------------------------------------------------------


def _shape_reason(plan: Plan, macs: int) -> str:
    layer = plan.layer
    return (
        f"All {macs:,} MACs at once: {_many(plan.batch, 'image')}, {_many(layer.M, 'filter')} of "
        f"{layer.C} x {layer.R} x {layer.S}, ofmap {layer.E} x {layer.F}. No chip can do more in a "
        "cycle."
    )


def _dataflow_reason(plan: Plan, rows: int) -> str:
    layer = plan.layer
    return (
        f"Row stationary: a PE slides one filter row along one ifmap row, {layer.F} windows of "
        f"{layer.S} products, one after the other. {rows:,} such row pairs can run side by side."
    )


def _pes_reason(plan: Plan, rows: int, rounds: int) -> str:
    pes = plan.hw.pes
    text = f"{pes} PEs take {rows:,} row pairs in {rounds:,} round{'s' if rounds > 1 else ''}"
    last = rows - (rounds - 1) * pes
    if rounds == 1:
        return f"{text}: {last} of them have work."
    if last < pes:
        return f"{text}; the last one fills {last} of them."
    return f"{text} without rest."


def _array_reason(plan: Plan, macs: int, cycles: int) -> str:
    layer, f, array = plan.layer, plan.mapping, plan.hw.array
    active = plan.active_pes
    text = (
        f"PE sets of {layer.R} x {f.e} ({f.r} by channel, {f.t} by filter) fill {active} of the "
        f"{plan.hw.pes} PEs of the {array.rows} x {array.columns} array"
    )
    filled = macs / (cycles * active)
    if filled < 0.9995:
        return (
            f"{text}; smaller blocks at the edges of ofmap, filters and channels leave "
            f"{100 * (1 - filled):.1f} % of these without work."
        )
    return f"{text}, always."


def _storage_reason(plan: Plan) -> str:
    layer, f, pe = plan.layer, plan.mapping, plan.hw.pe
    products = f.p * f.q * layer.S
    psums = max(pe.pipeline_stages, f.p)
    text = (
        f"The spads hold the rows of {_many(f.p, 'filter')} and {_many(f.q, 'channel')}: after "
        f"every p*q*S = {f.p}*{f.q}*{layer.S} = {_many(products, 'product')} a PE takes in "
        f"{_many(f.p, 'psum')}, {_many(psums, 'cycle')} without a product"
    )
    if pe.ifmap_spad == "shift":
        return f"{text}, and shifts its ifmap spad, {f.q * min(layer.V, layer.S)} more."
    return f"{text}."


def _bandwidth_reason(plan: Plan, stored: int, cycles: int, limit: str) -> str:
    hw, f, layer = plan.hw, plan.mapping, plan.layer
    if limit == Resource.ARRAY:
        return "On average every bus brings in time what the PEs need."
    slower = f"{cycles / stored:.2f} times as long as the PEs"
    if limit == Resource.PSUM_BUS:
        rate = hw.noc.psum_words_per_cycle
        shape = max(plan.classes, key=lambda s: _work(s, plan).psum_bus * plan.classes[s])
        words = sum(shape.filters) * shape.strip_rows
        need = _work(shape, plan)
        return (
            f"The psum buses carry {rate} words/cycle. For each ofmap column the array hands on "
            f"{words} psums, {need.psum_bus // shape.windows} cycles on the bus; a PE has work for "
            f"{need.pes // shape.windows}. In all the layer takes {slower} need: a psum collects "
            f"only {f.q * f.r * layer.R * layer.S} products between leaving and re-entering the "
            "GLB."
        )
    if limit == Resource.IFMAP_BUS:
        rate = hw.noc.gin_ifmap_words_per_cycle
        return (
            f"The ifmap bus carries {_many(rate, 'word')}/cycle and is needed {slower}: each word "
            f"it brings meets only the {_many(f.p * f.t, 'filter')} of a pass."
        )
    if limit == Resource.FILTER_BUS:
        rate = hw.noc.gin_filter_words_per_cycle
        return (
            f"The filter bus carries {_many(rate, 'word')}/cycle and is needed {slower}: a pass "
            f"uses its filters on only {_many(f.n, 'image')} and {_many(f.e, 'ofmap row')}."
        )
    return (
        f"The DRAM link has to bring the filters of {plan.passes:,} "
        f"pass{'es' if plan.passes != 1 else ''} and needs {slower}: filters cross it once per "
        f"strip of {_many(f.e, 'ofmap row')} and block of {_many(f.n, 'image')}."
    )


def _varying_reason(plan: Plan, work: list[tuple[_Work, int]], average: int, cycles: int) -> str:
    lost = cycles - average
    if lost <= 0:
        return "Nothing is lost to words that come in bursts."
    load = sum(w.filter_bus * times for w, times in work)
    text = f"{lost:,} cycles ({100 * lost / cycles:.1f} %) go where words come in bursts: "
    if plan.hw.glb.filter_load == "exposed" and load:
        shown = min(load, lost)
        text += f"filters load before each pass while nothing computes ({shown:,} cycles), "
        return text + "the array fills and drains, PEs wait for a word of their own."
    return text + "the array fills and drains with every pass, PEs wait for a word of their own."
