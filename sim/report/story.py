"""A view in words: where the time is, where the energy is, and what to change.

Each sentence follows from figures that the page shows; nothing is simulated or estimated here.
"""

from __future__ import annotations

from typing import Any

from sim.plan.mapper import thinned
from sim.plan.mapping import Mapping, ceil_div, mapping_violations, with_largest_m
from sim.report.figures import View, layer_view, stations
from sim.report.load import LayerPart, ResultFile

PACE = 0.85  # a station that is busy for more of the time than this sets the pace
WORTH_SAYING = 0.03
MOST_TRIED = 48  # sizes of a block: all of the chip's, and not all of one with spads of 65536 words

STATION_WORDS = {
    "pes": "the PEs",
    "gin_filter": "the filter bus",
    "gin_ifmap": "the ifmap bus",
    "gin_psum": "the psum bus into the array",
    "gon_psum": "the psum bus out of the array",
    "dram_filter": "the DRAM link",
}

LOSSES = {
    "accumulating": "taking in psums, one a cycle",
    "waiting_filter": "waiting for filters",
    "waiting_ifmap": "waiting for ifmap words",
    "waiting_psum_in": "waiting for psums to come",
    "waiting_psum_out": "waiting for room to send psums",
    "idle": "done, while others end the pass",
    "clock_gated": "clock gated: in no PE set",
}

LEVEL_WORDS = {
    "mac": "the multipliers",
    "spad": "the scratch pads inside the PEs",
    "noc": "the on-chip networks",
    "glb": "the global buffer",
    "dram": "DRAM",
    "static": "clock and leakage",
}


def layer_story(result: ResultFile, layer: LayerPart, view: View) -> list[dict[str, Any]]:
    """Questions with their answers: the first sentence says it, the others give the numbers."""
    return [
        {"question": "Where is the time?", "answer": time_of(result, layer, view)},
        {"question": "Where is the energy?", "answer": _energy_of(view)},
        {"question": "What should I change?", "answer": changes(result, layer, view)},
    ]


def network_story(result: ResultFile, view: View) -> list[dict[str, Any]]:
    """The same of a whole network: which layers, and what bounds them."""
    return [
        {"question": "Where is the time?", "answer": _network_time(result, view)},
        {"question": "Where is the energy?", "answer": _network_energy(view)},
        {"question": "What should I change?", "answer": _network_changes(result)},
    ]


def pace(result: ResultFile, layer: LayerPart) -> tuple[str, float]:
    """The station that is busy most of the time, and for what share of it.

    Filters load while no PE computes, so the PEs' share is that of the rest of the time.
    """
    found = {
        row["id"]: row["taken"] for row in stations(result, [layer]) if row["taken"] is not None
    }
    if result.hw.glb.filter_load == "exposed":
        rest = 1 - found["gin_filter"]
        found["pes"] = min(1.0, found["pes"] / rest) if rest > 0 else found["pes"]
    station = max(found, key=lambda name: found[name])
    return station, found[station]


def bound_word(result: ResultFile, layer: LayerPart) -> str:
    """The station that sets the pace, in two words, or what stands in its place."""
    station, busy = pace(result, layer)
    if busy < PACE:
        return "no single station"
    return {
        "pes": "PEs",
        "gin_filter": "filter bus",
        "gin_ifmap": "ifmap bus",
        "gin_psum": "psum bus",
        "gon_psum": "psum bus",
        "dram_filter": "DRAM link",
    }[station]


# --- time -----------------------------------------------------------------------------------------


def time_of(result: ResultFile, layer: LayerPart, view: View) -> list[str]:
    """What sets the pace of a layer, with the numbers."""
    hw = result.hw
    station, busy = pace(result, layer)
    rows = {row["id"]: row for row in view["stations"]}
    pes = rows["pes"]["busy"]
    reached = (
        f"The layer reaches {view['macs_per_cycle']:.1f} of the {hw.pes} MACs per cycle that "
        f"{hw.pes} PEs could do, and takes {_ms(view['processing_ms'])} "
        f"({view['processing_cycles']:,} cycles)."
    )
    if busy < PACE:
        come = "come" if station == "pes" else "comes"
        lines = [
            f"No single station is busy all the time: {STATION_WORDS[station]} {come} closest, "
            f"busy {_percent(busy)} of the time.",
            reached,
        ]
    elif station == "pes":
        rest = ", and nearly all the rest of it filters load" if busy - pes > WORTH_SAYING else ""
        lines = [
            "The PEs set the pace, not a bus.",
            f"The busiest PE (processing element) computes or adds psums {_percent(pes)} of the "
            f"time{rest}.",
            reached,
        ]
    elif station in ("gin_psum", "gon_psum"):
        rate = hw.noc.psum_words_per_cycle
        lines = [
            "The psum bus sets the pace, not the PEs.",
            f"Psums (partial sums) leave the array of PEs (processing elements, one multiplier "
            f"each) for the global buffer over the bus GON and come back over the bus GIN, {rate} "
            f"word{'s' if rate != 1 else ''} per cycle each way. These buses are busy "
            f"{_percent(rows['gon_psum']['taken'])} (out) and "
            f"{_percent(rows['gin_psum']['taken'])} (in) of the time; even the busiest PE computes "
            f"or adds only {_percent(pes)} of it and waits for the rest.",
            *_psum_numbers(layer),
            *_beats_not_full(layer, rows, rate),
            reached,
        ]
    else:
        rate = rows[station]["words_per_cycle"]
        lines = [
            f"{STATION_WORDS[station][0].upper()}{STATION_WORDS[station][1:]} sets the pace, not "
            "the PEs.",
            f"It carries {rate:g} word{'s' if rate != 1 else ''} per cycle and is busy "
            f"{_percent(busy)} of the time; the busiest PE computes or adds psums "
            f"{_percent(pes)} of it.",
            reached,
        ]
    lines += _losses(result, view)
    standstill = sum(layer.cycles.standstill.values())
    if standstill / view["total_cycles"] > WORTH_SAYING:
        lines.append(
            f"Where DRAM transfers of ifmaps and ofmaps do not overlap, the array stands still "
            f"{_ms(result.milliseconds(standstill))} more; the total is {_ms(view['total_ms'])}."
        )
    return lines


def _psum_numbers(layer: LayerPart) -> list[str]:
    """For one ofmap column: cycles of the psum bus against cycles of a PE (a full pass)."""
    step = next((s for s in layer.eyexam if s.step == "average bandwidth" and s.limit), None)
    return [step.reason] if step is not None else []


def _beats_not_full(layer: LayerPart, rows: dict[str, Any], rate: int) -> list[str]:
    full = rows["gon_psum"]["busy"] / rows["gon_psum"]["taken"]
    if full > 1 - WORTH_SAYING:
        return []
    return [
        f"A beat carries the psums of one PE's window, p = {layer.mapping['p']} of them in beats "
        f"of up to {rate}: on average only {_percent(full)} of the bus's width is used."
    ]


def _losses(result: ResultFile, view: View) -> list[str]:
    if not result.simulated:
        return []  # the closed form does not know what a PE waits for
    causes, cycles = view["stalls"]["causes"], view["stalls"]["pe_cycles"]
    percent = dict(zip(causes, view["stalls"]["percent"], strict=True))
    total = sum(cycles)
    lost = sorted(
        ((cause, many) for cause, many in zip(causes, cycles, strict=True) if cause != "computing"),
        key=lambda item: -item[1],
    )
    named = [
        f"{LOSSES[cause]} {percent[cause]} %"
        for cause, many in lost[:3]
        if many / total > WORTH_SAYING
    ]
    computing = f"Of all PE time {percent['computing']} % goes into products"
    return [f"{computing}; lost: {', '.join(named)}." if named else f"{computing}."]


# --- energy ---------------------------------------------------------------------------------------


def _energy_of(view: View) -> list[str]:
    table = view["energy"]
    if table is None:
        return ["This result has no energies."]
    total = table["total"]
    if not total:
        return ["The energy table prices nothing of what was done."]
    level = max(table["levels"], key=lambda name: table["by_level"][name])
    cells = {
        (name, kind): table["cells"][row][column]
        for row, name in enumerate(table["levels"])
        for column, kind in enumerate(table["data_types"])
    }
    (at, kind), most = max(cells.items(), key=lambda item: item[1])
    what = "" if kind in ("mac", "static") else f", most of all for {kind}s"
    where = LEVEL_WORDS[level]
    lines = [
        f"Most of it goes into {where}: {_percent(table['by_level'][level] / total)} of the energy."
    ]
    if at == level:
        if what:
            lines[0] = f"{lines[0][:-1]}{what} ({_percent(most / total)})."
    else:
        lines.append(
            f"The largest single part is {kind}s in {LEVEL_WORDS[at]}: {_percent(most / total)}."
        )
    kinds = table["by_data_type"]
    moved = sorted(("ifmap", "filter", "psum"), key=lambda name: -kinds[name])
    lines.append(
        "By data type: "
        + ", ".join(f"{name}s {_percent(kinds[name] / total)}" for name in moved)
        + f", the MACs themselves {_percent(kinds['mac'] / total)}."
    )
    unit = "times a MAC" if table["unit"] == "normalised" else "pJ"
    lines.append(
        f"A MAC costs {table['per_mac']:.2f} {unit} with all that is moved for it "
        f"(energy table {table['table']})."
    )
    if table["chip_power_w"] is not None:
        lines.append(f"The chip without DRAM takes {1e3 * table['chip_power_w']:.0f} mW.")
    return lines


# --- changes --------------------------------------------------------------------------------------


def changes(result: ResultFile, layer: LayerPart, view: View) -> list[str]:
    """What would help, first what the layer's pace asks for; each with the number behind it."""
    station, busy = pace(result, layer)
    found: list[str] = []
    if busy >= PACE and station in ("gin_psum", "gon_psum"):
        found += _more_products_per_psum(result, layer)
    elif busy >= PACE and station == "gin_ifmap":
        found.append(
            f"Use each ifmap word for more filters: a pass works on p*t = {layer.mapping['p']}*"
            f"{layer.mapping['t']} of them, and every pass brings the ifmap strip anew. Or widen "
            "the bus (--set noc.gin_ifmap_words_per_cycle=2)."
        )
    elif busy >= PACE and station == "dram_filter":
        rows = f" or ofmap rows (e = {layer.mapping['e']})" if layer.layer.E > 1 else ""
        images = (
            "images" if layer.mapping["n"] < result.batch or rows else "images, so a larger batch"
        )
        found.append(
            f"Use each filter word more often while it is on the chip: more {images}"
            f" (n = {layer.mapping['n']}){rows} per pass. Or a faster link "
            "(--set clock.link_mhz=...)."
        )
    elif busy >= PACE and station == "gin_filter":
        found.append(_longer_passes(result, layer, view))
    else:
        found += _pe_changes(result, layer, view)
    found += _energy_change(layer, view)
    standstill = sum(layer.cycles.standstill.values())
    if standstill / view["total_cycles"] > 0.1:
        found.append(
            "Overlap DRAM transfers with computing (--set dram.overlap=full): the array stands "
            f"still for {_percent(standstill / view['total_cycles'])} of the total latency."
        )
    if len(found) > 1:
        found[0] = f"First: {found[0][0].lower()}{found[0][1:]}"
    found.append(
        "What a change gains is one run away: --mapping auto searches for the fastest mapping, "
        "--mapping m=..,n=.. tries your own, and `eyeriss-sim report A.json B.json` compares."
    )
    return found


def _more_products_per_psum(result: ResultFile, layer: LayerPart) -> list[str]:
    shape, f, hw = layer.layer, layer.factors, result.hw
    per_trip = f.q * f.r * shape.R * shape.S
    trips = ceil_div(shape.C, f.q * f.r)
    if trips == 1:
        lines = ["All channels are in one pass already, so each psum leaves the array only once."]
    else:
        text = "Let a psum collect more products before it leaves the array"
        now = (
            f"Now a psum collects {per_trip} products (q*r*R*S = {f.q}*{f.r}*{shape.R}*{shape.S}) "
            f"each time it passes the array, and so takes {trips} trips for its {shape.C} channels"
        )
        better = _mapping_with_more_channels(result, layer)
        if better is None:
            lines = [f"{text}: more channels per pass (q, r).", f"{now}."]
        else:
            found, factor = better
            then = ceil_div(shape.C, found.q * found.r)
            lines = [
                f"{text}: --mapping {found} fits the chip and is, by rule of thumb, {factor:.1f} "
                "times as fast.",
                f"{now}; with q = {found.q} it takes {then} trip{'s' if then > 1 else ''}.",
            ]
    gain = _gain_without_buses(layer)
    rate = hw.noc.psum_words_per_cycle
    if f.p % rate:
        fill = (
            f"Fill the beats: p = {f.p} leaves beats of up to {rate} words partly empty; a "
            f"multiple of {rate} uses the bus's whole width."
        )
        lines.insert(0 if 2 * f.p <= rate or trips == 1 else len(lines), fill)
    limit = (
        f" Were they no limit, the layer could be up to {gain:.1f} times as fast." if gain else ""
    )
    if f.p <= rate and f.p % rate:
        lines[-1] += limit  # wider buses would only be emptier
        return lines
    wider = 2 * rate
    port = wider * hw.word_bits.psum
    also = f" --set glb.port_bits={port}" if port > hw.glb.port_bits else ""
    lines.append(f"Or widen the psum buses (--set noc.psum_words_per_cycle={wider}{also}).{limit}")
    return lines


def _mapping_with_more_channels(
    result: ResultFile, layer: LayerPart
) -> tuple[Mapping, float] | None:
    """The layer's mapping with another q and e that the chip holds, and how much faster it is.

    By the closed form of docs/machine.md section 5 without ramps, psum bus and PEs alone; None
    where that promises less than a tenth.
    """
    shape, f, hw = layer.layer, layer.factors, result.hw

    def cycles(mapping: Mapping) -> float:
        trips = ceil_div(shape.C, mapping.q * mapping.r)
        psums = shape.E * mapping.t * -(-mapping.p // hw.noc.psum_words_per_cycle)
        pes = ceil_div(shape.E, mapping.e) * mapping.p * (mapping.q * shape.S + 1)
        return trips * max(psums, pes)

    found: list[Mapping] = []
    most_q = min(hw.pe.ifmap_spad_words // shape.S, shape.C)
    for q in thinned(range(1, most_q + 1), MOST_TRIED):
        for e in thinned(range(1, f.e + 1), MOST_TRIED):
            factors = {"n": f.n, "e": e, "p": f.p, "q": q, "r": f.r, "t": f.t}
            mapping = with_largest_m(shape, factors, result.batch, hw)
            if mapping is not None and not mapping_violations(shape, mapping, hw):
                found.append(mapping)
    if not found:
        return None
    best = min(found, key=lambda mapping: (cycles(mapping), -mapping.e, mapping.q))
    factor = cycles(f) / cycles(best)
    return (best, factor) if factor > 1.1 and best.q > f.q else None


def _gain_without_buses(layer: LayerPart) -> float | None:
    cycles = {step.step: step.cycles for step in layer.eyexam}
    if "storage" not in cycles:
        return None
    return layer.cycles.processing / cycles["storage"]


def _pe_changes(result: ResultFile, layer: LayerPart, view: View) -> list[str]:
    """What a layer that is bound by its PEs could gain, the largest loss first."""
    shape, f, hw = layer.layer, layer.factors, result.hw
    causes = dict(zip(view["stalls"]["causes"], view["stalls"]["pe_cycles"], strict=True))
    total = sum(causes.values())
    options: list[tuple[float, str]] = []
    gated = causes["clock_gated"] / total
    if gated > WORTH_SAYING:
        options.append(
            (
                gated,
                f"Use more PEs: {hw.pes - layer.active_pes} of {hw.pes} stand in no PE set, since "
                f"sets of {shape.R} x {f.e} leave a rest on the {hw.array.rows} x "
                f"{hw.array.columns} array ({_percent(gated)} of all PE time).",
            )
        )
    adding = causes["accumulating"] / total
    if adding > WORTH_SAYING:
        words = (f.q + 1) * shape.S
        fits = words <= hw.pe.ifmap_spad_words and f.p * words <= hw.pe.filter_spad_words
        spent = (
            f"after q*S = {f.q}*{shape.S} products a PE spends a cycle on the psum itself "
            f"({_percent(adding)} of all PE time)"
        )
        if fits and f.q < shape.C:
            text = f"Let a PE do more products per psum: {spent}; the spads hold more channels (q)."
            options.append((adding, text))
        else:
            # No mapping helps, so this comes after what one could change.
            text = (
                f"Larger spads would help: {spent}, and the spads hold no more channels "
                "(--set pe.ifmap_spad_words=... and pe.filter_spad_words=...)."
                if f.q < shape.C
                else f"All channels are in a PE already, and {spent}: nothing to gain there."
            )
            options.append((WORTH_SAYING / 2, text))
    load = causes["waiting_filter"] / total
    if load > WORTH_SAYING:
        options.append((load, _longer_passes(result, layer, view)))
    late = (causes["waiting_psum_in"] + causes["waiting_psum_out"]) / total
    if late > WORTH_SAYING and result.simulated:
        options.append(
            (
                late,
                f"PEs of a chain wait for each other's psums {_percent(late)} of the time: a "
                "shorter chain (r) or deeper FIFOs (--set pe.psum_in_fifo_words=...) may help.",
            )
        )
    ifmap = causes["waiting_ifmap"] / total
    if ifmap > WORTH_SAYING and result.simulated:
        options.append(
            (
                ifmap,
                f"PEs wait for ifmap words {_percent(ifmap)} of the time: more filters per pass "
                f"(p*t = {f.p}*{f.t}) give them more to do with each word.",
            )
        )
    if not options:
        return ["Little: the PEs are busy nearly all of the time. Only more PEs make it faster."]
    return [text for _, text in sorted(options, key=lambda item: -item[0])[:3]]


def _longer_passes(result: ResultFile, layer: LayerPart, view: View) -> str:
    causes = dict(zip(view["stalls"]["causes"], view["stalls"]["pe_cycles"], strict=True))
    share = causes["waiting_filter"] / sum(causes.values())
    text = (
        f"Load filters less often: PEs wait for them {_percent(share)} of their time, once in each "
        f"of {layer.passes:,} passes. More images (n = {layer.mapping['n']}) or ofmap rows (e = "
        f"{layer.mapping['e']}) per pass use them longer"
    )
    if result.hw.glb.filter_load == "exposed":
        text += "; --set glb.filter_load=streamed shows a chip that computes meanwhile"
    return f"{text}."


def _energy_change(layer: LayerPart, view: View) -> list[str]:
    table = view["energy"]
    if table is None or not table["total"]:
        return []
    cells = {
        (name, kind): table["cells"][row][column] / table["total"]
        for row, name in enumerate(table["levels"])
        for column, kind in enumerate(table["data_types"])
    }
    (level, kind), share = max(cells.items(), key=lambda item: item[1])
    shape, f = layer.layer, layer.mapping
    again = ceil_div(shape.Mg, f["m"])
    if level == "dram" and kind == "ifmap" and again > 1:
        return [
            f"For energy: ifmaps come from DRAM {again} times, once per block of m = {f['m']} "
            f"filters ({_percent(share)} of the energy); a larger m reads them less often."
        ]
    if level == "dram" and kind == "filter":
        strips = f"strip of e = {f['e']} rows and " if shape.E > f["e"] else ""
        return [
            f"For energy: filters come from DRAM once per {strips}block of n = {f['n']} "
            f"image{'s' if f['n'] > 1 else ''} ({_percent(share)} of the energy); larger blocks "
            "or a larger batch share them."
        ]
    if level == "glb" and kind == "psum":
        return [
            f"For energy: psums in the global buffer take {_percent(share)}; more channels per "
            f"pass (q*r = {f['q'] * f['r']}) move them less often."
        ]
    if level == "spad":
        return [
            f"For energy: the largest part, {_percent(share)}, is {kind}s in the spads, which no "
            "mapping avoids: each MAC reads them. Narrower words or pruning would."
        ]
    return []


# --- the whole network ----------------------------------------------------------------------------


def _network_time(result: ResultFile, view: View) -> list[str]:
    layers = sorted(result.layers, key=lambda layer: -layer.cycles.processing)
    total = view["processing_cycles"]
    few: list[LayerPart] = []
    for layer in layers:
        few.append(layer)
        if len(few) == 5 or sum(chosen.cycles.processing for chosen in few) > 0.75 * total:
            break
    named = ", ".join(
        f"{layer.name} {_percent(layer.cycles.processing / total)} ({bound_word(result, layer)})"
        for layer in few
    )
    bounds: dict[str, int] = {}
    for layer in result.layers:
        word = bound_word(result, layer)
        bounds[word] = bounds.get(word, 0) + layer.cycles.processing
    ranked = sorted(bounds.items(), key=lambda item: -item[1])
    first, share = ranked[0][0], ranked[0][1] / total
    verb = "set" if first == "PEs" else "sets"
    head = (
        f"For {_percent(share)} of the time no single station is busy throughout"
        if first == "no single station"
        else f"The {first} {verb} the pace for {_percent(share)} of the time"
    )
    rest = ", ".join(f"{name} {_percent(cycles / total)}" for name, cycles in ranked[1:])
    lines = [
        f"{head}{f' (then: {rest})' if rest else ''}.",
        f"Slowest layers, with what sets their pace: {named}.",
        f"The network reaches {view['macs_per_cycle']:.1f} of {result.hw.pes} MACs per cycle and "
        f"takes {_ms(view['processing_ms'])} for {result.batch} "
        f"image{'s' if result.batch != 1 else ''}.",
        *_losses(result, view),
    ]
    standstill = view["total_cycles"] - view["processing_cycles"]
    if standstill / view["total_cycles"] > WORTH_SAYING:
        lines.append(
            f"DRAM transfers that overlap nothing would add "
            f"{_ms(result.milliseconds(standstill))}: {_ms(view['total_ms'])} in total."
        )
    return lines


def _network_energy(view: View) -> list[str]:
    lines = _energy_of(view)
    if view["energy"] is not None and view["energy"]["total"]:
        total = view["energy"]["total"]
        most = sorted(view["layers"], key=lambda layer: -(layer["energy"] or 0))[:3]
        named = ", ".join(f"{one['name']} {_percent((one['energy'] or 0) / total)}" for one in most)
        lines.append(f"Layers with most of it: {named}.")
    return lines


def _network_changes(result: ResultFile) -> list[str]:
    layers = sorted(result.layers, key=lambda layer: -layer.cycles.processing)[:3]
    lines = ["Begin with the slowest layers; each layer's own page says more."]
    for layer in layers:
        first = changes(result, layer, layer_view(result, layer))[0].removeprefix("First: ")
        lines.append(f"{layer.name}: {first[0].lower()}{first[1:]}")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _ms(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1e3:,.2f} s"
    if milliseconds >= 1:
        return f"{milliseconds:.2f} ms"
    return f"{1e3 * milliseconds:.1f} µs"
