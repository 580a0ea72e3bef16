"""Row stationary's energy breakdown, ISCA 2016 Figure 10, from the ledger and the paper's prices.

The paper's figure comes from an optimizer over all mappings of an idealised machine; ours from this
simulator's counts on `eyeriss_isca2016`. What is the same by construction is the ALU. What differs:

* RF: the paper's register file is one memory, ours three spads, so fewer products may be added up
  in place (q*S): an RF bar is 4 - 2/(q*S) accesses a MAC, and ours are up to 6 % lower.
* DRAM: equal to the drawing's resolution but for CONV2, whose 27 ofmap rows make our strips overlap
  otherwise.
* Buffer and array, together 2 to 10 % of a bar: ours are up to twice as large, because three spads
  hold fewer channels than one memory does. The RF bars say how many: from 4 - 2/(q*S) accesses a
  MAC follows a whole q for each layer, 7 or 8 where our spads hold 2 to 4. With that q, and 512
  bytes in one memory, the RF is that of the figure, the array 2 to 8 % above it, and the buffer
  equal in CONV1, CONV2, FC7 and FC8. It is 19 to 70 % above in CONV3 to CONV5 and FC6, which is
  not explained: what comes close in CONV3 to CONV5 takes 7 % more DRAM, in FC6 nothing does.

With the mapper's own mapping (least time, not least energy) the RF stays within 4 % of the figure
and DRAM rises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hw_models.energy import load_energy_table
from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.account.energy import (
    FIGURE10_PARTS,
    EnergyBreakdown,
    figure10_bars,
    figure10_shares,
    layer_energy,
)
from sim.account.ledger import ledger_entries
from sim.analytic.form import estimate_layer
from sim.dataflow.row_stationary.mapping import Mapping, filter_sets_that_fit, parse_mapping
from sim.mapper.auto import auto_mapping
from sim.plan.make import make_plan
from workloads.inputs.document import read_document
from workloads.layer import Layer
from workloads.network import load_network

BATCH = 16
FILE: Any = read_document(Path(__file__).parent / "data" / "isca2016_figure10.yaml").data
BARS: dict[str, dict[str, float]] = FILE["bars"]
MAPPINGS: dict[str, str] = FILE["mappings"]
ONE_MEMORY: dict[str, str] = FILE["one_memory"]
MEMORY_WORDS = 256  # of a PE
# Buffer and array of the machine with three spads, 1e9: what the module's text explains.
THREE_SPADS = {
    "CONV1": (0.150, 0.407),
    "CONV2": (0.279, 0.733),
    "CONV3": (0.422, 0.983),
    "CONV4": (0.212, 0.452),
    "CONV5": (0.141, 0.302),
    "FC6": (0.064, 0.252),
    "FC7": (0.025, 0.114),
    "FC8": (0.006, 0.028),
}
BUFFER_ABOVE = {"CONV3": 0.70, "CONV4": 0.28, "CONV5": 0.19, "FC6": 0.40}  # with one memory
READ_OFF = 0.004  # the drawing's resolution, 1e9
LAYERS = list(BARS)


def chip() -> Hardware:
    return load_hardware("eyeriss_isca2016")


def layer_of(name: str) -> Layer:
    # The analysis knows no gating: every MAC is an active one.
    return replace(load_network("alexnet").layer(name), ifmap_zero_fraction=None)


def priced(
    name: str, mapping: Mapping | None = None, hw: Hardware | None = None
) -> EnergyBreakdown:
    hw, layer = hw or chip(), layer_of(name)
    mapping = mapping or auto_mapping(layer, BATCH, hw)
    plan = make_plan(layer, BATCH, hw, mapping)
    estimate = estimate_layer(plan)
    return layer_energy(plan, ledger_entries(plan, estimate.counts), load_energy_table("isca2016"))


def of_least_energy(name: str) -> dict[str, float]:
    bars = figure10_bars(priced(name, parse_mapping(MAPPINGS[name])))
    return {part: float(value) / 1e9 for part, value in bars.items()}


def of_one_memory(name: str) -> dict[str, float]:
    # Each spad is as large as the memory; that all three together are no larger is the mapping's.
    spads = ("ifmap_spad_words", "filter_spad_words", "psum_spad_words")
    hw = load_hardware("eyeriss_isca2016", [f"pe.{spad}={MEMORY_WORDS}" for spad in spads])
    bars = figure10_bars(priced(name, parse_mapping(ONE_MEMORY[name]), hw))
    return {part: float(value) / 1e9 for part, value in bars.items()}


def test_the_machine() -> None:
    hw = chip()
    assert (hw.array.rows, hw.array.columns) == (16, 16)
    pe = hw.pe
    words = pe.ifmap_spad_words + pe.filter_spad_words + pe.psum_spad_words
    assert words * hw.word_bits.filter // 8 == 512
    assert hw.glb.banks * hw.glb.bank_bytes == 128 * 1024


@pytest.mark.parametrize("name", LAYERS)
def test_alu_is_that_of_the_figure(name: str) -> None:
    assert of_least_energy(name)["ALU"] == pytest.approx(BARS[name]["ALU"], abs=READ_OFF)


@pytest.mark.parametrize("name", LAYERS)
def test_register_files_within_ten_percent(name: str) -> None:
    assert of_least_energy(name)["RF"] == pytest.approx(BARS[name]["RF"], rel=0.065)
    # The link bounds FC7 and FC8, whatever the mapping does inside the array.
    automatic = figure10_bars(priced(name))
    off = 0.1 if name in ("FC7", "FC8") else 0.04
    assert float(automatic["RF"]) / 1e9 == pytest.approx(BARS[name]["RF"], rel=off)


@pytest.mark.parametrize("name", LAYERS)
def test_dram(name: str) -> None:
    ours, published = of_least_energy(name)["DRAM"], BARS[name]["DRAM"]
    if name == "CONV2":
        assert ours == pytest.approx(published, rel=0.012)
    else:
        assert ours == pytest.approx(published, abs=READ_OFF)


@pytest.mark.parametrize("name", LAYERS)
def test_buffer_and_array_of_three_spads(name: str) -> None:
    ours = of_least_energy(name)
    assert (ours["Buffer"], ours["Array"]) == pytest.approx(THREE_SPADS[name], abs=0.0006)


@pytest.mark.parametrize("name", LAYERS)
def test_one_memory_explains_register_file_and_array(name: str) -> None:
    mapping, bar, layer = parse_mapping(ONE_MEMORY[name]), BARS[name], layer_of(name)
    held = layer.S * (mapping.p * mapping.q + mapping.q) + mapping.p
    assert held <= MEMORY_WORDS
    # 4 - 2/(q*S) accesses a MAC; the drawing's resolution decides between 14 and 16 in FC8 alone.
    q = 2 / (4 - bar["RF"] / (layer.macs(BATCH) / 1e9)) / layer.S
    assert mapping.q == round(q)
    ours = of_one_memory(name)
    assert ours["RF"] == pytest.approx(bar["RF"], abs=READ_OFF)
    assert 1.01 < ours["Array"] / bar["Array"] < 1.08
    assert ours["DRAM"] == pytest.approx(of_least_energy(name)["DRAM"], rel=1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_one_memory_explains_half_of_the_buffers(name: str) -> None:
    ours, bar = of_one_memory(name)["Buffer"], BARS[name]["Buffer"]
    above = BUFFER_ABOVE.get(name, 0)
    assert ours == pytest.approx((1 + above) * bar, rel=0.015)


@pytest.mark.parametrize("name", LAYERS)
def test_shares_of_a_bar(name: str) -> None:
    shares = figure10_shares(priced(name, parse_mapping(MAPPINGS[name])))
    assert sum(shares.values(), Fraction()) == 1
    whole = sum(BARS[name].values())
    for part in FIGURE10_PARTS:
        # Three spads trade accesses to register files for array moves, in CONV3 most of all.
        bar = 0.043 if name == "CONV3" else 0.0125
        assert float(shares[part]) == pytest.approx(BARS[name][part] / whole, abs=bar), part


def test_convolutions_live_in_the_register_files_and_fc_layers_in_dram() -> None:
    for name in LAYERS:
        bars = of_least_energy(name)
        assert max(bars, key=lambda part: bars[part]) == ("RF" if "CONV" in name else "DRAM")


def test_all_moves_sum_to_the_whole_ledger() -> None:
    breakdown = priced("CONV3")
    bars = figure10_bars(breakdown, all_moves=True)
    assert sum(bars.values(), Fraction()) == breakdown.total
    counted = sum(figure10_bars(breakdown).values(), Fraction())
    assert counted < breakdown.total


# --- the search for the mapping of least energy ---------------------------------------------------


def _useful(total: int, most: int) -> list[int]:
    return sorted({-(-total // -(-total // size)) for size in range(1, min(total, most) + 1)})


def _cut(total: int, block: int) -> Iterator[tuple[int, int]]:
    whole, rest = divmod(total, block)
    if whole:
        yield block, whole
    if rest:
        yield rest, 1


def _moves(layer: Layer, f: Mapping) -> int:
    """Energy of a mapping as the figure counts it, in closed form of its own."""
    strips, blocks = -(-layer.E // f.e), -(-layer.C // (f.q * f.r))
    rows = sum(layer.ifmap_rows(e) * k for e, k in _cut(layer.E, f.e))
    channel_sets = sum(-(-c // f.q) * k for c, k in _cut(layer.C, f.q * f.r))
    m_blocks = -(-layer.Mg // f.m)
    inner = [(y, j * k) for x, k in _cut(layer.Mg, f.m) for y, j in _cut(x, f.p * f.t)]
    filter_blocks = sum(k for _, k in inner)
    filter_sets = sum(-(-y // f.p) * k for y, k in inner)
    image_blocks = -(-BATCH // f.n)
    weights, psums = layer.filter_words, BATCH * layer.ofmap_words
    ifmap = BATCH * layer.G * layer.C * layer.ifmap_columns
    dram = weights * strips * image_blocks + ifmap * rows * m_blocks + psums
    buffer = ifmap * rows * filter_blocks + 2 * psums * (blocks - 1)
    array = ifmap * layer.R * layer.E * filter_sets + weights * image_blocks * layer.E
    array += psums * (layer.R * channel_sets - 1)
    files = 4 * psums * layer.C * layer.R * layer.S - 2 * psums * layer.R * channel_sets
    return 200 * dram + 6 * buffer + 2 * array + files


def _candidates(layer: Layer, hw: Hardware, one_memory_q: int | None = None) -> Iterator[Mapping]:
    """Mappings of three spads, or of one memory with a given q."""
    pe, words = hw.pe, hw.glb_words_per_bank("ifmap")
    every_q = [one_memory_q] if one_memory_q else _useful(layer.C, pe.ifmap_spad_words // layer.S)
    for e in _useful(layer.E, hw.array.columns * (hw.array.rows // layer.R)):
        for r in _useful(layer.C, hw.array.rows // layer.R):
            room = filter_sets_that_fit(e, layer.R * r, hw)
            for q in every_q:
                most_p = min(pe.psum_spad_words, pe.filter_spad_words // (q * layer.S))
                if one_memory_q:
                    most_p = (MEMORY_WORDS - q * layer.S) // (q * layer.S + 1)
                for p in _useful(layer.Mg, most_p):
                    for t in _useful(layer.Mg, min(room, -(-layer.Mg // p))):
                        for n in (1, 2, 4, 8, 16):
                            strip = n * min(q * r, layer.C) * layer.ifmap_rows(e)
                            free = hw.glb.banks - -(-strip * layer.ifmap_columns // words)
                            m = min(free * words // (n * e * layer.F), layer.Mg)
                            if m < min(p * t, layer.Mg):
                                continue
                            m = m if m == layer.Mg else m // (p * t) * p * t
                            yield Mapping(m=m, n=n, e=e, p=p, q=q, r=r, t=t)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_the_mappings_are_those_of_least_energy(name: str) -> None:
    layer, hw = layer_of(name), chip()
    best = min(_candidates(layer, hw), key=lambda f: _moves(layer, f))
    given = parse_mapping(MAPPINGS[name])
    assert _moves(layer, best) == _moves(layer, given)
    bars = figure10_bars(priced(name, given))
    assert _moves(layer, given) == sum(bars.values(), Fraction()) - bars["ALU"]
    given = parse_mapping(ONE_MEMORY[name])
    best = min(_candidates(layer, hw, given.q), key=lambda f: _moves(layer, f))
    assert _moves(layer, best) == _moves(layer, given)
