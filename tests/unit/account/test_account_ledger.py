"""From counts to the entries of the ledger, and to the result file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hw_models.load import load_hardware
from hw_models.vocabulary import ENTRIES
from sim.account.ledger import (
    gated_macs,
    ledger_entries,
    nested,
    published_glb_bytes,
)
from sim.account.result import LayerResult, RefusedLayer, Result, layer_result
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")

# 4 filters 2x2 on 2 channels of 4x4: ofmap 3x3. Two channel blocks, two filter blocks, one strip.
LAYER = Layer(name="L", M=4, C=2, H=4, W=4, R=2, S=2)
MAPPING = Mapping(m=4, n=1, e=3, p=2, q=1, r=1, t=1)


def booked(layer: Layer = LAYER, batch: int = 1) -> tuple[Plan, LayerResult]:
    plan = make_plan(layer, batch, CHIP, MAPPING)
    activity = simulate_layer(plan)
    return plan, layer_result(
        plan,
        activity,
        causes=activity.causes,
        stalls=activity.stalls,
        passes_simulated=activity.passes_simulated,
    )


def test_every_entry_of_a_small_layer_by_hand() -> None:
    # 36 psums of 8 products; 4 passes, in each 2 rows x 3 PEs work.
    _, result = booked()
    assert result.entries == {
        "dram.filter.read": 32,  # one strip, one image block
        "dram.ifmap.read": 32,  # one m-block
        "dram.ofmap.write": 36,
        "glb.filter.read": 32,
        "glb.filter.write": 32,
        "glb.ifmap.read": 64,  # both filter blocks
        "glb.ifmap.write": 32,
        "glb.psum.read": 36,  # the second channel block
        "glb.psum.write": 72,
        "glb.ofmap.read": 36,
        "glb.ofmap.write": 0,
        "noc.gin_filter.words": 32,
        "noc.gin_filter.deliveries": 96,  # each to 3 PEs
        "noc.gin_filter.y_bus": 32,
        "noc.gin_filter.x_bus": 32,  # that stand in one row of the array
        "noc.gin_ifmap.words": 64,
        # A column of 4 rows reaches 1, 2, 2, 1 PEs: 6, in 4 passes of 4 columns.
        "noc.gin_ifmap.deliveries": 96,
        "noc.gin_ifmap.y_bus": 64,
        "noc.gin_ifmap.x_bus": 96,  # PEs of a diagonal stand in different rows
        "noc.gin_psum.words": 36,
        "noc.gin_psum.deliveries": 36,
        "noc.gin_psum.y_bus": 36,
        "noc.gin_psum.x_bus": 36,
        "noc.gon_psum.words": 72,
        "noc.gon_psum.deliveries": 72,
        "noc.local_psum.words": 72,  # a chain of 2 has one hop
        "spad.ifmap.read": 288,
        "spad.ifmap.read_new": 144,  # p = 2
        "spad.ifmap.write": 96,
        "spad.filter.read": 288,
        "spad.filter.write": 96,
        # K = q*S = 2: one read and one write per psum and PE: 36 x 2 rows x 2 channel blocks.
        "spad.psum.read": 144,
        "spad.psum.write": 144,
        "mac.active": 288,
        "mac.gated": 0,
    }
    assert result.multicast == {1: 32, 2: 32}
    assert tuple(result.entries) == ENTRIES


@pytest.mark.parametrize(
    ("macs", "fraction", "gated"),
    [
        (1000, None, 0),
        (1000, 0.0, 0),
        (1000, 1.0, 1000),
        (1000, 0.387, 387),
        (3, 0.5, 2),  # halves go up
        (1, 0.4999, 0),
        (10**15, 0.0001, 10**11),
    ],
)
def test_gated_macs_from_a_fraction(macs: int, fraction: float | None, gated: int) -> None:
    assert gated_macs(macs, fraction) == gated


def test_a_gated_mac_reads_no_filter_word_and_takes_its_time_all_the_same() -> None:
    zeros = replace(LAYER, ifmap_zero_fraction=0.25)
    _, plain = booked()
    _, sparse = booked(zeros)
    assert (sparse.entries["mac.active"], sparse.entries["mac.gated"]) == (216, 72)
    assert sparse.entries["spad.filter.read"] == 216
    assert sparse.entries["spad.ifmap.read"] == 288
    assert sparse.macs == plain.macs == 288
    assert sparse.processing_cycles == plain.processing_cycles
    changed = {name for name in ENTRIES if sparse.entries[name] != plain.entries[name]}
    assert changed == {"mac.active", "mac.gated", "spad.filter.read"}


def test_gating_that_was_counted_is_not_estimated() -> None:
    plan = make_plan(replace(LAYER, ifmap_zero_fraction=0.25), 1, CHIP, MAPPING)
    counts = {**simulate_layer(plan).counts, "mac.gated": 100}
    entries = ledger_entries(plan, counts, gated_known=True)
    assert (entries["mac.active"], entries["mac.gated"]) == (188, 100)
    assert entries["spad.filter.read"] == 188


def test_the_published_convention() -> None:
    # 2 bytes * (2*E*F*M*N*ceil(C/(q*r)) + rows*Wp*C*G*N*ceil(Mg/(p*t)))
    _, result = booked(batch=3)
    assert result.glb_published_bytes == 2 * (2 * 3 * 3 * 4 * 3 * 2 + 4 * 4 * 2 * 3 * 2)
    assert published_glb_bytes(result.entries) == result.glb_published_bytes


def test_nested_names() -> None:
    assert nested({"a.b.c": 1, "a.b.d": 2, "a.e": 3}) == {"a": {"b": {"c": 1, "d": 2}, "e": 3}}


def test_bytes_follow_the_width_of_a_word() -> None:
    _, result = booked()
    assert result.dram_bytes == {"filter": 64, "ifmap": 64, "ofmap": 72}


def test_the_layers_object_in_the_result_file() -> None:
    plan, result = booked()
    written = json.loads(json.dumps(result.to_dict()))
    assert written["name"] == "L"
    assert written["shape"]["E"] == written["shape"]["F"] == 3
    assert written["mapping"] == {"m": 4, "n": 1, "e": 3, "p": 2, "q": 1, "r": 1, "t": 1}
    assert written["passes"] == plan.passes == 4
    assert written["macs"] == 288
    assert written["active_pes"] == 6
    assert written["glb_published_convention_bytes"] == 2 * (64 + 36 + 72 + 36)
    assert written["accesses"]["glb"]["psum"] == {"read": 36, "write": 72}
    assert written["accesses"]["noc"]["gin_ifmap"]["multicast"] == {"1": 32, "2": 32}
    assert written["accesses"]["mac"] == {"active": 288, "gated": 0}
    cycles = written["cycles"]["processing"]
    assert sum(written["cycles"]["by_cause"].values()) == cycles * 168
    assert written["utilization"]["active"] == pytest.approx(288 / (cycles * 6))
    assert written["utilization"]["array"] == pytest.approx(288 / (cycles * 168))
    macs = np.array(written["pe"]["macs"])
    assert macs.shape == (12, 14)
    assert macs[:2, :3].tolist() == [[48] * 3] * 2
    assert macs.sum() == 288
    by_cause = written["pe"]["by_cause"]
    busy = np.array(by_cause["computing"]) + np.array(by_cause["accumulating"])
    assert written["pe"]["busy_cycles"] == busy.tolist()
    # 4 passes x 3 windows: 4 MACs, 1 pipeline cycle (p = 2), 2 psums.
    assert busy[0, 0] == 4 * 3 * (4 + 1 + 2)


def test_totals_are_the_layers_summed() -> None:
    _, one = booked()
    _, three = booked(batch=3)
    result = Result("event", "net", 3, CHIP, (one, three), (RefusedLayer("X", ("why",)),), ("hm",))
    written = json.loads(json.dumps(result.to_dict()))
    assert (written["schema"], written["version"]) == ("eyeriss-sim/result", 3)
    assert (written["engine"], written["network"], written["batch"]) == ("event", "net", 3)
    assert written["hw"] == CHIP.to_dict()
    assert [layer["name"] for layer in written["layers"]] == ["L", "L"]
    assert written["refused"] == [{"name": "X", "reasons": ["why"]}]
    assert written["notes"] == ["hm"]
    totals = written["totals"]
    assert totals["macs"] == 288 * 4
    assert totals["passes"] == one.passes + three.passes
    cycles = one.processing_cycles + three.processing_cycles
    assert totals["cycles"]["processing"] == cycles
    assert sum(totals["cycles"]["by_cause"].values()) == cycles * 168
    assert totals["milliseconds"]["processing"] == pytest.approx(cycles / 200e6 * 1e3)
    assert totals["dram_bytes"]["ofmap"] == 72 * 4
    assert totals["accesses"]["glb"]["psum"]["write"] == 72 * 4
    assert totals["glb_published_convention_bytes"] == (
        one.glb_published_bytes + three.glb_published_bytes
    )
