"""Prices times counts: exact sums, widths, pruning, static power, hops, and what has no price."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from hw_models.energy import EnergyTable, load_energy_table, shipped_energy_tables
from hw_models.load import load_hardware
from hw_models.spec import WordBits
from hw_models.vocabulary import DATA_TYPES, ENTRIES, Level
from sim.account.energy import (
    EnergyBreakdown,
    data_type,
    energy,
    layer_energy,
    network_energy,
    noc_hops,
)
from sim.account.ledger import ledger_entries
from sim.analytic.form import layer_counts
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.plan.make import make_plan
from workloads.layer import Layer

ONE_OF_EACH = dict.fromkeys(ENTRIES, 1)
ZERO = Fraction()


def plan() -> Plan:
    """Ragged at every edge: two groups, strips, image, filter and channel blocks with rests."""
    layer = Layer(
        name="L", G=2, M=22, C=7, H=17, W=11, R=3, S=3, pad_top=1, ifmap_zero_fraction=0.25
    )
    mapping = parse_mapping("m=8,n=2,e=6,p=3,q=2,r=2,t=2")
    return make_plan(layer, 5, load_hardware("eyeriss_v1"), mapping)


def ledger(of: Plan) -> dict[str, int]:
    return ledger_entries(of, layer_counts(of))


def table(**sections: Any) -> EnergyTable:
    head = {"name": "t", "unit": "pJ", "technology": "x", "sources": ["x"], "word_bits": 16}
    return EnergyTable.model_validate_json(json.dumps({**head, **sections}))


FULL = table(
    mac={"active": 1.1, "gated": 0.1},
    spad={
        "ifmap": {"read": 2, "read_repeated": 0.3, "write": 2.2},
        "filter": {"read": 3, "write": 3.3},
        "psum": {"read": 4, "write": 4.4},
    },
    glb={"read": 5, "write": 5.5, "filter": {"read": 6, "write": 6.6}},
    noc={
        "bus_word": 0.7,
        "delivery": 0.07,
        "y_bus": 0.01,
        "x_bus": 0.02,
        "hop": 0.03,
        "gon_word": 0.8,
        "local_word": 0.9,
    },
    dram={"read": 100.1, "write": 200.2},
    static={
        "glb": 1.7,
        "noc": 1.3,
        "mac": 0.1,
        "ifmap_spad": 0,
        "filter_spad": 0.2,
        "psum_spad": 0,
    },
)


def priced(prices: EnergyTable = FULL, **options: Any) -> EnergyBreakdown:
    one = plan()
    return layer_energy(one, ledger(one), prices, cycles=12345, **options)


@pytest.mark.parametrize("name", ["FULL", *shipped_energy_tables()])
@pytest.mark.parametrize("options", [{}, {"bits": {"ifmap": 7, "psum": 13}, "pruned": 0.37}])
def test_every_breakdown_sums_to_the_total_exactly(name: str, options: dict[str, Any]) -> None:
    breakdown = priced(FULL if name == "FULL" else load_energy_table(name), **options)
    assert breakdown.total > 0
    assert sum(breakdown.by_action.values(), ZERO) == breakdown.total
    assert sum(breakdown.by_level.values(), ZERO) == breakdown.total
    assert sum(breakdown.by_data_type.values(), ZERO) == breakdown.total
    assert tuple(breakdown.by_level) == tuple(Level)
    assert tuple(breakdown.by_data_type) == DATA_TYPES
    assert not set(breakdown.by_action) & set(breakdown.unpriced)


@pytest.mark.parametrize("name", shipped_energy_tables())
def test_doubling_every_count_doubles_every_energy(name: str) -> None:
    prices, entries = load_energy_table(name), ledger(plan())
    once = energy(entries, prices, cycles=100, pes=168)
    doubled = {key: 2 * count for key, count in entries.items()}
    twice = energy(doubled, prices, cycles=200, pes=168)
    for part in ("by_action", "by_level", "by_data_type", "unpriced"):
        single = getattr(once, part)
        assert getattr(twice, part) == {key: 2 * value for key, value in single.items()}
    assert twice.total == 2 * once.total
    assert twice.macs == 2 * once.macs
    assert twice.per_mac == once.per_mac


def test_one_action_of_each_by_hand() -> None:
    prices = FULL.model_copy(update={"noc": FULL.noc.model_copy(update={"hop": 0.0})})
    breakdown = energy(ONE_OF_EACH, prices)
    # three GINs; the GON once; one MAC of each kind; the one ifmap read goes to a new address
    assert breakdown.by_level == {
        "mac": Fraction("1.2"),
        "spad": Fraction("2") + Fraction("2.2") + Fraction("6.3") + Fraction("8.4"),
        "noc": 3 * Fraction("0.8") + Fraction("1.7"),
        "glb": Fraction("12.6") + 2 * Fraction("10.5") + Fraction("10.5"),
        "dram": 2 * Fraction("100.1") + Fraction("200.2"),
        "static": 0,
    }
    assert breakdown.by_data_type == {
        "ifmap": Fraction("100.1") + Fraction("10.5") + Fraction("0.8") + Fraction("4.2"),
        "filter": Fraction("100.1") + Fraction("12.6") + Fraction("0.8") + Fraction("6.3"),
        "psum": Fraction("200.2") + 2 * Fraction("10.5") + Fraction("2.5") + Fraction("8.4"),
        "mac": Fraction("1.2"),
        "static": 0,
    }
    assert breakdown.unpriced == {}


def test_repeated_reads_have_their_own_price() -> None:
    entries = {"spad.ifmap.read": 10, "spad.ifmap.read_new": 4}
    spad = {"ifmap": {"read": 2, "read_repeated": 0.5}}
    assert energy(entries, table(spad=spad)).by_action == {
        "spad.ifmap.read_new": 8,
        "spad.ifmap.read_repeated": 3,
    }
    # Where none is known, a repeated read costs a read: never less than it may.
    assert energy(entries, table(spad={"ifmap": {"read": 2}})).total == 20


def test_what_has_no_price_is_reported_with_its_count() -> None:
    entries = ledger(plan())
    breakdown = energy(entries, table(mac={"active": 1}, dram={"read": 0}), cycles=77)
    assert breakdown.total == entries["mac.active"]
    assert breakdown.unpriced["mac.gated"] == entries["mac.gated"] > 0
    assert breakdown.unpriced["glb.psum.read"] == entries["glb.psum.read"]
    assert breakdown.unpriced["static.chip"] == 77
    # A price of 0 is a price.
    assert breakdown.by_action["dram.ifmap.read"] == 0
    assert "dram.ifmap.read" not in breakdown.unpriced
    # What did not happen is not missed.
    assert "glb.ofmap.write" not in breakdown.unpriced
    assert breakdown.to_dict()["unpriced"]["static.chip"] == 77


def test_the_default_table_says_that_it_lacks_gated_macs_and_static_power() -> None:
    breakdown = priced(load_energy_table())
    assert set(breakdown.unpriced) == {"mac.gated", "static.chip"}


def test_accesses_are_linear_in_their_width() -> None:
    full, narrow = priced(), priced(bits={"ifmap": 4, "filter": 8, "psum": 12, "ofmap": 2})
    for action, value in full.by_action.items():
        kind = action.split(".")[1]
        width = {"ifmap": 4, "gin_ifmap": 4, "filter": 8, "gin_filter": 8, "ofmap": 2}.get(kind, 12)
        if action.startswith("mac."):
            assert narrow.by_action[action] == value * Fraction(4 * 8, 16 * 16)
        elif action.startswith("static."):
            assert narrow.by_action[action] == value
        else:
            assert narrow.by_action[action] == value * Fraction(width, 16)


def test_an_ofmap_is_as_wide_as_the_psums_in_the_glb_and_as_an_ifmap_on_dram() -> None:
    full = priced().by_action
    narrow = priced(bits={"psum": 8, "ifmap": 4}).by_action
    assert narrow["glb.ofmap.read"] * 2 == full["glb.ofmap.read"]
    assert narrow["dram.ofmap.write"] * 4 == full["dram.ofmap.write"]


def test_each_word_is_priced_at_its_own_width() -> None:
    given: dict[str, Any] = {"cycles": 12345, "pes": 168, "hops": noc_hops(plan())}
    widths = WordBits(ifmap=8, filter=4, psum=32)
    full = energy(ONE_OF_EACH, FULL, **given).by_action
    int8 = energy(ONE_OF_EACH, FULL, word_bits=widths, **given).by_action
    for action, value in full.items():
        kind = data_type(action)
        scale = {"ifmap": 2, "filter": 4, "psum": Fraction(1, 2), "mac": 8, "static": 1}[kind]
        if action == "dram.ofmap.write":
            scale = 2
        assert int8[action] * scale == value, action


def test_words_of_the_chip_and_of_the_table_may_differ() -> None:
    prices = load_energy_table("timeloop_65nm_8bit")
    entries = {"mac.active": 1, "dram.ifmap.read": 1}
    assert energy(entries, prices).by_action == {
        "mac.active": Fraction("0.830768"),  # 4 * 0.207692
        "dram.ifmap.read": 128,
    }
    narrow = energy(entries, prices, word_bits=WordBits.model_validate(8))
    assert narrow.by_action["mac.active"] == Fraction("0.207692")


def test_a_measured_8_bit_mac_is_used_where_both_operands_have_8_bits() -> None:
    prices = load_energy_table("horowitz_45nm")
    entries = {"mac.active": 100}
    assert energy(entries, prices).total == 80
    assert energy(entries, prices, bits={"ifmap": 8, "filter": 8}).total == 23
    assert energy(entries, prices, bits={"ifmap": 8}).total == 40
    assert energy(entries, prices, bits={"ifmap": 8, "filter": 4}).total == 10


def test_pruning_skips_macs_and_filter_accesses_in_proportion() -> None:
    full, pruned = priced(), priced(pruned=0.3)
    for action, value in full.by_action.items():
        level, kind = action.split(".")[:2]
        skipped = level == "mac" or kind in ("filter", "gin_filter")
        assert pruned.by_action[action] == value * (Fraction("0.7") if skipped else 1)
    assert pruned.macs == full.macs
    assert priced(pruned=1.0).by_level["mac"] == 0


def test_compressed_dram_traffic_replaces_the_ledgers() -> None:
    bits = {"ifmap": 16 * 40, "ofmap": 16 * 8}
    breakdown = priced(dram_bits=bits, bits={"ifmap": 8, "filter": 8}, pruned=0.5)
    assert breakdown.by_action["dram.ifmap.read"] == 40 * Fraction("100.1")
    assert breakdown.by_action["dram.ofmap.write"] == 8 * Fraction("200.2")
    assert breakdown.by_action["dram.filter.read"] == priced().by_action["dram.filter.read"] / 4
    only_dram = priced(dram_bits={"filter": 16 * 3}).by_action["dram.filter.read"]
    assert only_dram == 3 * Fraction("100.1")


def test_static_power_counts_pes_and_cycles() -> None:
    by_action = priced().by_action
    assert by_action["static.glb"] == 12345 * Fraction("1.7")
    assert by_action["static.filter_spad"] == 12345 * 168 * Fraction("0.2")
    whole = priced(load_energy_table("nn_dataflow_65nm"))
    assert whole.by_level["static"] == 150 * 12345
    # Without cycles there is none, and none is missed.
    bare = energy(ledger(plan()), load_energy_table("nn_dataflow_65nm"))
    assert bare.by_level["static"] == 0
    assert not any(action.startswith("static.") for action in bare.unpriced)
    partly = priced(load_energy_table("timeloop_65nm_8bit"))
    assert partly.unpriced["static.noc"] == 12345
    assert partly.unpriced["static.psum_spad"] == 12345 * 168


def test_static_power_of_a_whole_pe_and_of_the_rest() -> None:
    prices = table(mac={"active": 1}, static={"pe": 0.5, "rest": 3})
    breakdown = energy({"mac.active": 1}, prices, cycles=100, pes=168)
    assert breakdown.by_action["static.pe"] == 100 * 168 * Fraction("0.5")
    assert breakdown.by_action["static.rest"] == 300
    # A PE's parts are in its price; other blocks without one are missing.
    assert breakdown.unpriced == {"static.glb": 100, "static.noc": 100}
    assert "static.rest" not in priced().unpriced


def test_power_and_energy_delay_product() -> None:
    prices = table(mac={"active": 3, "gated": 0}, dram={"read": 5}, static={"chip": 0})
    entries = {"mac.active": 1000, "dram.ifmap.read": 400}
    breakdown = energy(entries, prices, cycles=200, core_mhz=200)
    assert breakdown.seconds == Fraction(1, 10**6)
    assert breakdown.average_power_w == Fraction(5, 1000)  # 5 nJ in a microsecond
    assert breakdown.chip_power_w == Fraction(3, 1000)
    assert breakdown.energy_delay_product == Fraction(5, 10**15)
    assert breakdown.per_mac == 5
    found = breakdown.to_dict()
    assert (found["average_power_w"], found["energy_delay_product"]) == (0.005, 5e-15)
    no_time = energy(entries, prices)
    assert (no_time.average_power_w, no_time.energy_delay_product) == (None, None)
    normalised = energy(entries, load_energy_table(), cycles=200, core_mhz=200)
    assert normalised.average_power_w is None
    assert normalised.energy_delay_product == (1000 + 400 * 200) * Fraction(1, 10**6)
    assert energy({}, prices).per_mac is None


# --- hops -----------------------------------------------------------------------------------------


def test_hops_by_walking_over_every_pass() -> None:
    one = plan()
    found = {"gin_ifmap": 0, "gin_filter": 0, "gin_psum": 0, "gon_psum": 0}
    deliveries = dict.fromkeys(found, 0)
    for step in one:
        shape = step.shape
        for k, p in enumerate(shape.filters):
            for row in range(shape.strip_rows):
                chain = one.placement.chain(k, row, len(shape.channels))
                words = {
                    "gin_ifmap": [
                        shape.channels[s.channel_set] * shape.images * shape.ifmap_columns
                        for s in chain
                    ],
                    "gin_filter": [
                        p * shape.channels[s.channel_set] * shape.filter_columns for s in chain
                    ],
                    "gin_psum": [0] * len(chain),
                    "gon_psum": [0] * len(chain),
                }
                psums = p * shape.windows
                words["gin_psum"][0] = 0 if shape.first_channels else psums
                words["gon_psum"][-1] = psums
                for network, counts in words.items():
                    for site, count in zip(chain, counts, strict=True):
                        found[network] += count * (site.row + site.column + 2)
                        deliveries[network] += count
    entries = ledger(one)
    assert {f"noc.{network}.deliveries": n for network, n in deliveries.items()} == {
        name: count for name, count in entries.items() if name.endswith("deliveries")
    }
    assert noc_hops(one) == {f"noc.{network}.hops": count for network, count in found.items()}


def test_hops_cost_nothing_until_a_table_prices_them() -> None:
    free = FULL.model_copy(update={"noc": FULL.noc.model_copy(update={"hop": 0.0})})
    dear, cheap = priced(), priced(free)
    assert not any(action.endswith("hops") for action in cheap.by_action)
    assert dear.total - cheap.total == sum(noc_hops(plan()).values()) * Fraction("0.03")
    assert dear.by_level["noc"] - cheap.by_level["noc"] == dear.total - cheap.total
    unknown = FULL.model_copy(update={"noc": FULL.noc.model_copy(update={"hop": None})})
    assert priced(unknown).unpriced == {k: n for k, n in noc_hops(plan()).items() if n}


# --- networks, plain data, refusals ---------------------------------------------------------------


def test_a_network_is_the_sum_of_its_layers() -> None:
    first, second = priced(), priced(pruned=0.5, bits={"filter": 8})
    both = network_energy([first, second])
    assert both.total == first.total + second.total
    assert both.by_level == {k: v + second.by_level[k] for k, v in first.by_level.items()}
    assert both.macs == 2 * first.macs
    assert both.cycles == 2 * 12345
    assert both.average_power_w is not None
    assert sum(both.by_data_type.values(), ZERO) == both.total


def test_plain_data_is_json() -> None:
    found = json.loads(json.dumps(priced(pruned=0.3).to_dict()))
    assert list(found) == [
        "table",
        "unit",
        "total",
        "by_level",
        "by_data_type",
        "by_action",
        "unpriced",
        "per_mac",
        "average_power_w",
        "chip_power_w",
        "energy_delay_product",
    ]
    assert sum(found["by_level"].values()) == pytest.approx(found["total"], rel=1e-15)
    lacking = energy({"glb.filter.read": 7}, table(), pruned=0.5).to_dict()
    assert lacking["unpriced"] == {"glb.filter.read": 3.5}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: energy({}, load_energy_table(), bits={"weight": 8}),
            "bits: no data type 'weight'; known: ifmap, filter, psum, ofmap",
        ),
        (
            lambda: energy({}, load_energy_table(), bits={"ifmap": 0}),
            "bits: ifmap must be 1 to 64, got 0",
        ),
        (
            lambda: energy({}, load_energy_table(), pruned=1.5),
            "pruned must be between 0 and 1, got 1.5",
        ),
        (
            lambda: energy({}, load_energy_table(), pruned=float("nan")),
            "pruned must be between 0 and 1, got nan",
        ),
        (
            lambda: energy({}, load_energy_table(), dram_bits={"psum": 1}),
            "dram_bits: no data type 'psum'; known: ifmap, filter, ofmap",
        ),
        (
            lambda: energy({}, load_energy_table(), dram_bits={"ifmap": -1}),
            "dram_bits: ifmap must be 0 or more, got -1",
        ),
        (
            lambda: energy({"glb.ifmap.raed": 1}, load_energy_table()),
            "no ledger entry is called 'glb.ifmap.raed'",
        ),
        (
            lambda: energy({"mac.active": -1}, load_energy_table()),
            "mac.active must be 0 or more, got -1",
        ),
        (
            lambda: energy({"spad.ifmap.read": 1, "spad.ifmap.read_new": 2}, load_energy_table()),
            "spad.ifmap.read_new = 2 exceeds spad.ifmap.read = 1",
        ),
        (
            lambda: energy({}, FULL),
            "table 't' prices hops: give noc_hops(plan) as hops, or use layer_energy",
        ),
        (
            lambda: energy({}, load_energy_table("timeloop_65nm_8bit"), cycles=1),
            "table 'timeloop_65nm_8bit' prices static power per PE: give pes",
        ),
        (lambda: network_energy([]), "no layers: the energy of nothing has no unit"),
        (
            lambda: network_energy([priced(), priced(load_energy_table())]),
            "layers of different tables or clocks cannot be added: isca2016 in normalised, t in pJ",
        ),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  the whole text is compared
        call()
    assert str(refused.value) == message
