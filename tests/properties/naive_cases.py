"""Random small layers on small chips, every field of the hardware drawn that time depends on."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hw_models.load import load_hardware
from sim.check.cases import Case
from sim.errors import InputError, MappingError
from sim.plan.mapping import Mapping
from workloads.layer import Layer, ShapeError


def random_cases(seed: int, most_work: int = 6000) -> Iterator[Case]:
    """Yield cases without end, the same for the same seed; each takes the model about a second."""
    draw = random.Random(seed)
    while True:
        settings = chip(draw)
        try:
            hw = load_hardware("eyeriss_v1", settings)
            layer = small_layer(draw, hw.array.rows)
        except (InputError, ShapeError):
            continue
        most = {"m": 9, "n": 2, "e": layer.E, "p": 6, "q": 4, "r": 3, "t": 3}
        mapping = Mapping(**{name: draw.randint(1, limit) for name, limit in most.items()})
        case = Case(layer, draw.randint(1, 2), "eyeriss_v1", settings, mapping)
        try:
            plan = case.plan
        except MappingError:
            continue
        if plan.passes <= 24 and layer.macs(case.batch) <= most_work:
            yield case


def chip(draw: random.Random) -> tuple[str, ...]:
    """Settings of a chip: FIFOs of a beat, odd clocks, small filter banks, every variant."""

    def sometimes(share: float, *settings: str) -> list[str]:
        return list(settings) if draw.random() < share else []

    line = draw.choice([1, 2, 4, 4, 4, 8])
    bus = draw.randint(1, line)
    return (
        f"array.rows={draw.randint(1, 7)}",
        f"array.columns={draw.randint(1, 6)}",
        f"glb.port_bits={16 * line}",
        f"dram.link_bits={16 * draw.choice([line, line, 1, 2, 3, 4, 8])}",
        f"noc.gin_ifmap_words_per_cycle={draw.choice([1, 1, 1, draw.randint(1, line)])}",
        f"noc.gin_filter_words_per_cycle={draw.randint(1, line)}",
        f"noc.psum_words_per_cycle={bus}",
        f"noc.bus_fifo_entries={draw.choice([1, 1, 2, 2, 3])}",
        f"pe.ifmap_fifo_words={draw.choice([16, line + draw.randint(0, 3)])}",
        f"pe.filter_fifo_words={line}",
        f"pe.psum_in_fifo_words={draw.choice([32, bus + draw.randint(0, 5)])}",
        f"pe.psum_out_fifo_words={draw.choice([32, bus + draw.randint(0, 5)])}",
        f"pe.pipeline_stages={draw.choice([1, 2, 3, 3, 3, 5])}",
        f"clock.link_mhz={draw.choice([60, 60, 66.7, 9.999, 200, 333, 59.999, 23])}",
        f"dram.first_access_latency_cycles={draw.choice([0, 0, 1, 7, 40])}",
        f"dram.overlap={draw.choice(['none', 'ifmap', 'full'])}",
        f"dram.ofmap_dump={draw.choice(['filter_block', 'm_block'])}",
        *sometimes(0.3, "noc.local_hop_cycles=" + str(draw.randint(2, 6))),
        *sometimes(0.5, "glb.banks=4096", f"glb.bank_bytes={draw.choice([16, 32, 64])}"),
        *sometimes(0.3, "glb.filter_load=streamed"),
        *sometimes(0.3, "pe.ifmap_spad=shift"),
        *sometimes(0.4, "schedule.charge_full_strip=true"),
    )


def small_layer(draw: random.Random, rows: int) -> Layer:
    """A layer of a few windows: strides beyond the filter, groups, padding, blocks at edges."""
    R, S = draw.randint(1, min(3, rows)), draw.randint(1, 3)
    U, V = draw.choice([1, 1, 2, 4]), draw.randint(1, 4)
    E, F = draw.randint(1, 5), draw.randint(1, 5)
    G = draw.choice([1, 1, 1, 2])
    zeros = draw.choice([None, None, 0.4])
    return Layer(
        name="CASE",
        G=G,
        M=G * draw.randint(1, 9),
        C=draw.randint(1, 5),
        H=(E - 1) * U + R + draw.randint(0, U - 1),
        W=(F - 1) * V + S + draw.randint(0, V - 1),
        R=R,
        S=S,
        U=U,
        V=V,
        ifmap_zero_fraction=zeros,
        ofmap_zero_fraction=zeros and 0.7,
        network_input=draw.random() < 0.2,
    )
