"""Timeloop's statistics: its text, to the byte, and the same figures with names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from typing import Any

from sim.models.timeloop.counts import Evaluation, Held, LevelCounts, Network


def _printed_share(evaluation: Evaluation) -> str:
    if evaluation.rules == "3.0":
        return f"{evaluation.utilization:.2f}"
    return f"{100 * evaluation.utilization:.2f}%"


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures as JSON-able data; energies are None without prices.

    `energy_uJ` and `utilization` are as the program prints them, `energy_pj` and
    `utilized_share` in full.
    """
    energy = evaluation.energy
    return {
        "rules": evaluation.rules,
        "cycles": evaluation.cycles,
        "energy_uJ": None if energy is None else round(energy / 1e6, 2),
        "energy_pj": energy,
        "utilization": _printed_share(evaluation),
        "utilized_share": evaluation.utilization,
        "computes": evaluation.problem.computes,
        "compute_energy_pj": evaluation.compute_energy,
        "counts": {
            level.storage.name: {
                held.space: {
                    "reads": held.reads,
                    "updates": held.updates,
                    "fills": held.fills,
                    "instances": held.instances,
                    "capacity": held.size,
                }
                for held in level.held
                if held.kept
            }
            for level in evaluation.levels
        },
        "levels": [_level_dict(level) for level in evaluation.levels],
    }


def _level_dict(level: LevelCounts) -> dict[str, Any]:
    return {
        "name": level.storage.name,
        "cycles": level.cycles,
        "slowdown": level.slowdown,
        "leakage_pj": level.leak,
        "energy_pj": level.energy,
        "data": [
            {
                "name": held.space,
                "kept": held.kept,
                "partition": held.partition,
                "temporal_reductions": held.reductions,
                "energy_pj": held.total_energy,
                "ingresses": network.ingresses,
                "multicast": network.multicast,
                "link_transfers": network.traffic.links,
                "hops": network.traffic.hops,
            }
            for held, network in zip(level.held, level.networks, strict=True)
        ],
    }


def statistics(evaluation: Evaluation) -> str:
    """Return the program's statistics; the evaluation must have prices."""
    return "\n".join(_lines(evaluation)) + "\n"


def _lines(evaluation: Evaluation) -> Iterator[str]:
    old = evaluation.rules == "3.0"
    yield from ("Buffer and Arithmetic Levels", "-" * 28)
    yield from _compute(evaluation)
    for place, level in enumerate(evaluation.levels):
        if old or any(held.kept for held in level.held):
            yield from _level(evaluation, level, place + 1)
    yield from ("Networks", "--------")
    if old:
        # By name: the program keeps them in a map.
        for place, (name, level) in enumerate(sorted(_networks(evaluation).items())):
            yield from _network(evaluation, name, level, place)
    yield ""
    yield from _intensity(evaluation)
    yield from _summary(evaluation)


def _networks(evaluation: Evaluation) -> dict[str, LevelCounts]:
    inner = [evaluation.architecture.compute.name]
    inner += [level.storage.name for level in evaluation.levels]
    return {
        f"{level.storage.name} <==> {name}": level
        for level, name in zip(evaluation.levels, inner, strict=False)
    }


def _section(title: str, rows: list[tuple[str, str]], width: int, indent: int) -> Iterator[str]:
    yield from (f"    {title}", "    " + "-" * len(title))
    for name, value in rows:
        yield f"{' ' * indent}{name:<{width}}: {value}"
    yield ""


def _compute(evaluation: Evaluation) -> Iterator[str]:
    unit, prices = evaluation.architecture.compute, evaluation.prices
    assert prices is not None
    assert evaluation.compute_energy is not None
    yield from ("Level 0", "-------", f"=== {unit.name} ===", "")
    specs = [
        ("Word bits", str(unit.word_bits)),
        ("Instances", f"{unit.instances} ({unit.mesh_x}*{unit.mesh_y})"),
        ("Compute energy", f"{prices.compute(unit):.2f} pJ"),
    ]
    stats = [
        ("Utilized instances", str(evaluation.used)),
        ("Computes (total)", str(evaluation.problem.computes)),
        ("Cycles", str(evaluation.problem.computes // evaluation.used)),
        ("Energy (total)", f"{evaluation.compute_energy:.2f} pJ"),
        ("Area (total)", f"{_single(prices.area(unit)) * unit.instances:.2f} um^2"),
    ]
    yield from _section("SPECS", specs, 22, 4)
    yield from _section("STATS", stats, 24, 4)


def _level(evaluation: Evaluation, level: LevelCounts, place: int) -> Iterator[str]:
    storage, prices = level.storage, evaluation.prices
    assert prices is not None
    old = evaluation.rules == "3.0"
    heading = f"Level {place}"
    yield from (heading, "-" * len(heading), f"=== {storage.name} ===", "")

    def or_dash(value: float | None) -> str:
        return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"

    specs = [
        ("Technology", "DRAM" if storage.dram else "SRAM"),
        ("Size", or_dash(storage.size)),
        ("Word bits", str(storage.word_bits)),
        ("Block size", str(storage.block)),
        ("Cluster size", str(storage.cluster)),
        ("Instances", f"{storage.instances} ({storage.mesh_x}*{storage.mesh_y})"),
        ("Shared bandwidth", or_dash(_real(storage.shared_bandwidth))),
        ("Read bandwidth", or_dash(_real(storage.read_bandwidth))),
        ("Write bandwidth", or_dash(_real(storage.write_bandwidth))),
        ("Multiple buffering", f"{storage.multiple_buffering:.2f}"),
        ("Effective size", or_dash(storage.effective_size)),
        ("Min utilization", f"{storage.min_utilization:.2f}"),
        ("Vector access energy", f"{prices.largest(storage):.2f} pJ"),
        ("Vector access energy source", prices.source(storage)),
    ]
    if not old:
        specs += [
            ("Per-instance-cycle leakage", f"{prices.leak(storage):.2f} pJ"),
            ("Instances sharing power gating", "1.00"),
            ("Non-power-gated utilization", "100.00%"),
            ("Leakage energy (total)", f"{level.leak:.2f} pJ"),
        ]
    specs.append(("Area", f"{prices.area(storage):.2f} um^2"))
    yield from _section("SPECS", specs, 28 if old else 32, 8)
    if old:
        yield from ("    MAPPING", "    -------", "    Loop nest:")
        loops = [loop for loop in evaluation.mapping.at(place - 1)[::-1] if loop.end > 1]
        for depth, loop in enumerate(loops):
            axis = f" (Spatial-{loop.axis})" if loop.spatial else ""
            name = evaluation.problem.dimensions[loop.dimension]
            yield f"{'  ' * (depth + 3)}for {name} in [0:{loop.end}){axis}"
        yield ""
    yield from ("    STATS", "    -----")
    yield f"    Cycles               : {level.cycles}"
    yield f"    Bandwidth throttling : {level.slowdown:.2f}"
    cycles = evaluation.problem.computes // evaluation.used
    for held, space in zip(level.held, evaluation.problem.spaces, strict=True):
        if held.kept:
            yield f"    {held.space}:"
            for name, value in _held(held, level, cycles, read_write=space.read_write, old=old):
                yield f"        {name:<41}: {value}"
    yield ""


def _single(value: float) -> float:
    """Return a number as the program keeps areas: in 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _real(value: float | None) -> float | None:
    return None if value is None else float(value)


def _held(
    held: Held, level: LevelCounts, cycles: int, *, read_write: bool, old: bool
) -> Iterator[tuple[str, str]]:
    energy, total = held.energy or 0.0, held.total_energy or 0.0
    accesses = held.reads + held.fills + held.updates
    moved = [
        ("Scalar reads (per-instance)", held.reads),
        ("Scalar updates (per-instance)", held.updates),
        ("Scalar fills (per-instance)", held.fills),
    ]
    if not old:
        moved[1:] = moved[:0:-1]
    yield "Partition size", str(held.partition)
    yield "Utilized capacity", str(held.size)
    yield "Utilized instances (max)", str(held.instances)
    yield "Utilized clusters (max)", str(held.clusters)
    yield from ((name, str(value)) for name, value in moved)
    yield "Temporal reductions (per-instance)", str(held.reductions)
    addresses = held.fills + (held.updates if read_write else held.reads)
    yield "Address generations (per-cluster)", str(addresses)
    yield "Energy (per-scalar-access)", f"{energy / accesses:.2f} pJ" if accesses else "-nan pJ"
    yield "Energy (per-instance)", f"{energy:.2f} pJ"
    yield "Energy (total)", f"{total:.2f} pJ"
    for name in ("Temporal Reduction Energy (per-instance)", "Temporal Reduction Energy (total)"):
        yield name, "0.00 pJ"
    for name in ("Address Generation Energy (per-cluster)", "Address Generation Energy (total)"):
        yield name, "0.00 pJ"
    if not old:
        yield "Bandwidth Consumption Scale", "1.00"
    read = held.reads / cycles
    write = (held.fills + held.updates) / cycles
    for name, rate in (("Shared", read + write), ("Read", read), ("Write", write)):
        own = level.slowdown * rate
        yield f"{name} Bandwidth (per-instance)", f"{own:.2f} words/cycle"
        yield f"{name} Bandwidth (total)", f"{own * held.instances:.2f} words/cycle"


def _network(evaluation: Evaluation, name: str, level: LevelCounts, place: int) -> Iterator[str]:
    heading = f"Network {place}"
    yield from (heading, "-" * len(heading), name, "")
    specs = [
        ("Type", "Legacy"),
        ("Legacy sub-type", ""),
        ("ConnectionType", "3"),
        ("Word bits", str(level.storage.word_bits)),
        ("Router energy", "- pJ"),
        ("Wire energy", "- pJ/b/mm"),
        ("Ingress energy", "- pJ"),
        ("Fill latency", "0"),
        ("Drain latency", "0"),
    ]
    yield from _section("SPECS", specs, 16, 8)
    yield from ("    STATS", "    -----")
    for network, space in zip(level.networks, evaluation.problem.spaces, strict=True):
        yield f"    {network.space}:"
        yield from _traffic(network, read_write=space.read_write)
    yield ""


def _traffic(network: Network, *, read_write: bool) -> Iterator[str]:
    traffic = network.traffic

    def row(name: str, value: str) -> str:
        return f"        {name:<40}: {value}"

    yield row("Fanout", str(network.fanout))
    yield row("Multicast factor", str(network.multicast))
    yield row("Ingresses", f"{network.ingresses:.2f}")
    for (group, groups), access in sorted(traffic.accesses.items()):
        yield f"            @multicast {group} @scatter {groups}: {access.words:.2f}"
    yield row("Link transfers", str(traffic.links))
    reductions = traffic.delivered - traffic.words if read_write else 0
    yield row("Spatial reductions", str(round(reductions)))
    yield row("Average number of hops", f"{traffic.hops:.2f}")
    yield row("Energy (per-hop)", "0.00 fJ")
    for what in ("Energy", "Link transfer energy", "Spatial Reduction Energy"):
        for of in ("per-instance", "total"):
            yield row(f"{what} ({of})", "0.00 pJ")


def _intensity(evaluation: Evaluation) -> Iterator[str]:
    problem = evaluation.problem
    sizes = {space.name: prod(space.extents(list(problem.bounds))) for space in problem.spaces}
    reductions = problem.computes - sum(sizes[s.name] for s in problem.spaces if s.read_write)
    ops = problem.computes + reductions
    required = sum(sizes.values())
    bits = evaluation.levels[-1].storage.word_bits
    yield from ("Operational Intensity Stats", "-" * 27)
    for name, value in (
        ("Total elementwise ops", str(problem.computes)),
        ("Total reduction ops", str(reductions)),
        ("Total ops", str(ops)),
        ("Total memory accesses required", str(required)),
        ("Optimal Op per Byte", f"{ops / (required * bits / 8):.2f}"),
    ):
        yield f"    {name:<40}: {value}"
    yield ""
    for level in evaluation.levels:
        yield f"=== {level.storage.name} ==="
        accesses = sum(held.accesses for held in level.held if held.kept)
        if accesses:
            yield f"    {'Total scalar accesses':<40}: {accesses}"
            intensity = ops / (accesses * level.storage.word_bits // 8)
            yield f"    {'Op per Byte':<40}: {intensity:.2f}"
    yield from ("", "")


def _summary(evaluation: Evaluation) -> Iterator[str]:
    old = evaluation.rules == "3.0"
    problem, energy = evaluation.problem, evaluation.energy or 0.0
    outputs = sum(prod(s.extents(list(problem.bounds))) for s in problem.spaces if s.read_write)
    rate = (2 * problem.computes - outputs) / evaluation.cycles
    yield from ("Summary Stats", "-------------")
    yield f"GFLOPs (@1GHz): {rate:.2f}"
    yield f"Utilization: {_printed_share(evaluation)}"
    yield f"Cycles: {evaluation.cycles}"
    yield f"Energy: {energy / 1e6:.2f} uJ"
    yield f"EDP(J*cycle): {energy / 1e12 * evaluation.cycles:.2e}"
    yield "Area: 0.00 mm^2"
    yield from ("", f"Computes = {problem.computes}", "fJ/Compute")
    parts = [(evaluation.architecture.compute.name, evaluation.compute_energy or 0.0)]
    parts += [
        (level.storage.name, level.energy or 0.0)
        for level in evaluation.levels
        if old or any(held.kept for held in level.held)
    ]
    networks = sorted(_networks(evaluation))
    width = max(len(name) for name in [*networks, *(name for name, _ in parts), "Total"])
    if old:
        parts += [(name, 0.0) for name in networks]
    for name, part in [*parts, ("Total", energy)]:
        yield f"    {name:<{width}} = {1000 * part / problem.computes:.2f}"
    yield ""
