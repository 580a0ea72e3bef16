"""Random small layers on small chips, every field of the hardware drawn that time depends on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from hw_models.load import load_hardware
from hw_models.spec import WORDS
from sim.check.cases import Case
from sim.dataflow.row_stationary.mapping import Mapping
from sim.errors import InputError, MappingError
from workloads.layer import Layer, ShapeError


def random_cases(seed: int, most_work: int = 6000) -> Iterator[Case]:
    """Yield cases without end, the same for the same seed; each takes the model about a second."""
    draw = random.Random(seed)
    columns = random.Random(f"columns of {seed}")  # its own, so that the others stay what they are
    of_orders = random.Random(f"orders of {seed}")
    while True:
        settings = chip(draw) + orders_and_waits(of_orders)
        try:
            hw = load_hardware("eyeriss_v1", settings)
            layer = small_layer(draw, hw.array.rows)
        except (InputError, ShapeError):
            continue
        most = {"m": 9, "n": 2, "e": layer.E, "p": 6, "q": 4, "r": 3, "t": 3}
        mapping = Mapping(**{name: draw.randint(1, limit) for name, limit in most.items()})
        if columns.random() < 0.3:
            mapping = replace(mapping, f=columns.randint(1, layer.F))
        case = Case(layer, draw.randint(1, 2), "eyeriss_v1", settings, mapping)
        try:
            plan = case.plan
        except MappingError:
            continue
        if plan.passes <= 24 and layer.macs(case.batch) <= most_work:
            yield case


def chip(draw: random.Random) -> tuple[str, ...]:
    """Settings of a chip: words and buses of any width, FIFOs of a beat, odd clocks, variants."""

    def sometimes(share: float, *settings: str) -> list[str]:
        return list(settings) if draw.random() < share else []

    bits = draw.choice(3 * [(16, 16, 16)] + [(8, 8, 32), (16, 8, 16), (4, 8, 8)])
    ifmap, filters, psum = bits
    widest = max(ifmap, filters, psum)
    port = widest * draw.choice([1, 2, 4, 4, 4, 8])
    ifmaps = draw.choice([1, 1, 1, draw.randint(1, port // ifmap)])
    weights = draw.randint(1, port // filters)
    psums = draw.randint(1, port // psum)
    link = draw.choice([port, port, *(widest * words for words in (1, 2, 3, 4, 8))])
    return (
        *(f"word_bits.{word}={width}" for word, width in zip(WORDS, bits, strict=True)),
        f"array.rows={draw.randint(1, 7)}",
        f"array.columns={draw.randint(1, 6)}",
        f"glb.port_bits={port}",
        f"dram.link_bits={link}",
        f"noc.gin_ifmap_words_per_cycle={ifmaps}",
        f"noc.gin_filter_words_per_cycle={weights}",
        f"noc.psum_words_per_cycle={psums}",
        f"noc.bus_fifo_entries={draw.choice([1, 1, 2, 2, 3])}",
        f"pe.ifmap_fifo_words={draw.choice([16, ifmaps + draw.randint(0, 3)])}",
        f"pe.filter_fifo_words={weights}",
        f"pe.psum_in_fifo_words={draw.choice([32, psums + draw.randint(0, 5)])}",
        f"pe.psum_out_fifo_words={draw.choice([32, psums + draw.randint(0, 5)])}",
        f"pe.pipeline_stages={draw.choice([1, 2, 3, 3, 3, 5])}",
        f"clock.link_mhz={draw.choice([60, 60, 66.7, 9.999, 200, 333, 59.999, 23])}",
        f"dram.first_access_latency_cycles={draw.choice([0, 0, 1, 7, 40])}",
        f"dram.overlap={draw.choice(['none', 'ifmap', 'full'])}",
        f"dram.ofmap_dump={draw.choice(['filter_block', 'm_block'])}",
        *sometimes(0.3, "noc.local_hop_cycles=" + str(draw.randint(2, 6))),
        *sometimes(0.5, "glb.banks=4096", f"glb.bank_bytes={draw.choice([16, 32, 64])}"),
        *sometimes(0.3, "glb.filter_load=streamed"),
        *sometimes(0.3, "pe.ifmap_spad=shift"),
        *sometimes(0.5, "schedule.charge_full_strip=true"),
        *sometimes(0.4, f"limits.filters=[1, {draw.randint(1, 9)}]"),
        *sometimes(0.2, f"limits.channels=[1, {draw.randint(1, 4)}]"),
    )


def orders_and_waits(draw: random.Random) -> tuple[str, ...]:
    """Settings of what the chip leaves open: half of the time none, else each of them or not."""
    if draw.random() < 0.5:
        return ()
    rules = (
        "noc.filter_order=use",
        "noc.ifmap_order=word",
        "noc.psum_order=beat",
        "array.first_channel_set=top",
        "pe.ifmap_wait=word",
        f"pe.start_cycles={draw.randint(1, 5)}",
        f"pe.image_change_cycles={draw.randint(1, 5)}",
        f"pe.filter_words_per_cycle={draw.randint(1, 3)}",
        f"pe.psum_latency_cycles={draw.randint(1, 4)}",
        "pe.psum_slot_freed=last_word",
        "glb.filter_load=first",
        "glb.filter_load=streamed",
        "pe.ifmap_spad=shift",
    )
    return tuple(rule for rule in rules if draw.random() < 0.5)


def small_layer(draw: random.Random, rows: int) -> Layer:
    """A layer of a few windows: strides beyond the filter, groups, padding, blocks at edges."""
    R, S = draw.randint(1, min(3, rows)), draw.randint(1, 3)
    U, V = draw.choice([1, 1, 2, 4]), draw.randint(1, 4)
    E, F = draw.randint(1, 5), draw.randint(1, 5)
    G = draw.choice([1, 1, 1, 2])
    zeros = draw.choice([None, None, 0.2, 0.4])
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
