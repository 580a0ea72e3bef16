"""The audit: its factors multiply to the ratio, and it says nothing that is not so."""

from __future__ import annotations

from math import prod

import pytest

from hw_models.load import load_hardware
from sim.check.audit import Audit, AuditLine, audit
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.errors import MappingError
from sim.mapper.auto import auto_mapping
from sim.mapper.choose import choose_mappings
from sim.plan.make import make_plan
from workloads.layer import Layer
from workloads.network import load_network, shipped_networks


def audited(layer: Layer, mapping: str, hw: str = "eyeriss_v1", batch: int = 1) -> Audit:
    return audit(make_plan(layer, batch, load_hardware(hw), parse_mapping(mapping)))


def line(of: Audit, count: str) -> AuditLine:
    (found,) = (line for line in of.lines if line.count == count)
    return found


def told(of: Audit) -> str:
    return "\n".join(reason.text for line in of.lines for reason in line.reasons)


def published(name: str) -> Plan:
    layer = load_network("alexnet").layer(name)
    hw = load_hardware("eyeriss_v1")
    (choice,) = choose_mappings("published", "alexnet", [layer], 4, hw)
    assert not isinstance(choice, MappingError)
    return make_plan(layer, 4, hw, choice.mapping)


@pytest.mark.parametrize("network", shipped_networks())
def test_the_factors_multiply_to_the_ratio_in_every_layer(network: str) -> None:
    hw = load_hardware("eyeriss_v1")
    for layer in load_network(network).layers:
        found = audit(make_plan(layer, 1, hw, auto_mapping(layer, 1, hw)))
        for each in found.lines:
            factors = [reason.factor for reason in each.reasons]
            if each.ratio is None:
                assert each.machine == 0 or None in factors, (layer.name, each)
                continue
            known = [factor for factor in factors if factor is not None]
            assert len(known) == len(factors)
            assert prod(known, start=1) == each.ratio, (layer.name, each)
            assert 1 not in known


def test_all_counts_of_the_estimator_are_there() -> None:
    found = audit(published("CONV3"))
    levels, kinds = ("dram", "glb", "noc", "rf"), ("weight", "ifmap", "psum")
    assert [each.count for each in found.lines] == [
        "computation",
        *(f"{level}.{kind}" for level in levels for kind in kinds),
    ]


def test_the_audit_is_of_one_image() -> None:
    plan = published("CONV3")
    assert plan.batch == 4
    found = audit(plan)
    assert found.plan.batch == 1
    assert line(found, "dram.psum").machine == plan.layer.ofmap_words
    assert line(found, "dram.psum").agrees
    assert found.to_dict()["batch"] == 1


def test_groups_are_named_where_there_are_groups_only() -> None:
    assert "ignores the 2 groups" in told(audit(published("CONV2")))
    assert "groups" not in told(audit(published("CONV3")))


def test_what_the_published_mapping_of_conv2_differs_in() -> None:
    found = audit(published("CONV2"))
    glb = line(found, "glb.ifmap")
    # rep = 2, fold = 2: the estimator reads the ifmap once.
    assert glb.estimator == 31 * 31 * 96
    assert glb.machine == 31 * 31 * 96 * 8
    assert [reason.text for reason in glb.reasons] == [
        "the machine reads the ifmap from the GLB for each of 8 blocks of at most p*t = 16 "
        "filters; the estimator reads it once, as if a pass held all filters"
    ]
    psum = line(found, "glb.psum")
    assert psum.machine == 256 * 27 * 27 * 2 * 24
    assert psum.ratio is not None
    assert psum.ratio == pytest.approx(24 / 95)


def test_rep_less_than_fold() -> None:
    layer = Layer(name="L", M=8, C=2, H=40, W=40, R=7, S=3)
    found = audited(layer, "m=8,n=1,e=12,p=4,q=2,r=1,t=1")
    assert "because rep = 1 is less than fold = 3" in line(found, "glb.ifmap").reasons[-1].text
    assert line(found, "glb.ifmap").ratio is not None
    assert line(found, "glb.ifmap").estimator == 40 * 40 * 2 * 8
    weight = line(found, "noc.weight").reasons[0]
    assert weight.text == (
        "the estimator delivers a weight to 14 PEs (rep = 1 < fold = 3), the machine to one for "
        "each of 34 ofmap rows"
    )
    assert weight.factor == pytest.approx(34 / 14)


def test_strips_reload_filters_and_the_rows_at_their_borders() -> None:
    layer = Layer(name="L", M=4, C=2, H=10, W=10, R=3, S=3)
    cut = audited(layer, "m=4,n=1,e=4,p=4,q=2,r=1,t=1")
    assert line(cut, "dram.weight").ratio == 2
    assert (
        "loads every filter again for each of 2 strips" in line(cut, "dram.weight").reasons[0].text
    )
    assert line(cut, "dram.ifmap").machine == (6 + 6) * 10 * 2
    assert "rows at their borders are needed twice" in told(cut)
    whole = audited(layer, "m=4,n=1,e=8,p=4,q=2,r=1,t=1")
    assert line(whole, "dram.weight").agrees
    assert line(whole, "dram.ifmap").agrees
    assert "strips" not in told(whole)


def test_column_tiles_send_filters_again_and_the_columns_at_their_borders() -> None:
    layer = Layer(name="L", M=4, C=2, H=8, W=12, R=3, S=3)  # an ofmap of 6 x 10
    tiled = audited(layer, "m=4,n=1,e=3,f=4,p=4,q=1,r=1,t=1")
    for found in tiled.lines:
        known = [reason.factor for reason in found.reasons if reason.factor is not None]
        assert found.ratio is None or prod(known, start=1) == found.ratio, found
    assert "again for each of 3 tiles of ofmap columns" in told(tiled)
    # Tiles of 4, 4 and 2 columns touch 6, 6 and 4 of the 12.
    assert "3 tiles need 16 ifmap columns where 12 are there" in told(tiled)


def test_blocks_of_filters_in_the_glb() -> None:
    layer = Layer(name="L", M=8, C=2, H=10, W=10, R=3, S=3)
    found = audited(layer, "m=4,n=1,e=8,p=4,q=2,r=1,t=1")
    assert [reason.text for reason in line(found, "dram.ifmap").reasons] == [
        "the GLB holds the psums of m = 4 filters at once, so the machine loads the ifmap for each "
        "of 2 blocks of filters"
    ]


def test_words_that_no_window_touches() -> None:
    layer = Layer(name="L", M=4, C=2, H=12, W=12, R=3, S=3, U=4, V=4)
    found = audited(layer, "m=4,n=1,e=3,p=4,q=2,r=1,t=1")
    # Strides of 4 over filters of 3: a row and a column in four is touched by none.
    assert line(found, "dram.ifmap").reasons[0].text == (
        "windows touch 9 x 9 of the 12 x 12 padded ifmap; the machine moves no more than these"
    )


def test_spads_accumulate_channels() -> None:
    layer = Layer(name="L", M=4, C=8, H=10, W=10, R=3, S=3)
    one = audited(layer, "m=4,n=1,e=8,p=4,q=1,r=1,t=1")
    assert line(one, "rf.psum").agrees
    four = audited(layer, "m=4,n=1,e=8,p=4,q=4,r=1,t=1")
    assert line(four, "rf.psum").reasons[0].factor == pytest.approx((24 - 2) / (2 * 8))
    hops = line(four, "noc.psum")
    assert hops.machine == 4 * 8 * 8 * (3 * 2 - 2)
    assert hops.estimator == 4 * 8 * 8 * 2 * 8


def test_a_filter_of_one_row_moves_psums_only_between_channel_sets() -> None:
    layer = Layer(name="L", M=4, C=8, H=10, W=10, R=1, S=1)
    stacked = audited(layer, "m=4,n=1,e=10,p=4,q=2,r=4,t=1")
    hops = line(stacked, "noc.psum")
    assert (hops.estimator, hops.machine, hops.ratio) == (0, 4 * 100 * 3, None)
    assert hops.reasons[0].factor is None
    alone = line(audited(layer, "m=4,n=1,e=10,p=4,q=1,r=1,t=1"), "noc.psum")
    assert alone.agrees
    assert alone.reasons == ()


def test_one_channel_and_depthwise() -> None:
    single = Layer(name="L", M=4, C=1, H=10, W=10, R=3, S=3)
    psum = line(audited(single, "m=4,n=1,e=8,p=4,q=1,r=1,t=1"), "glb.psum")
    assert (psum.estimator, psum.machine) == (0, 2 * 4 * 64)
    assert "nothing to add up for a single channel" in psum.reasons[0].text
    depthwise = Layer(name="L", kind="depthwise", G=6, M=6, C=1, H=10, W=10, R=3, S=3)
    psum = line(audited(depthwise, "m=1,n=1,e=8,p=1,q=1,r=1,t=1"), "glb.psum")
    assert "ignores the 6 groups and adds up 6 channels" in psum.reasons[0].text


def test_multicast_is_remarked() -> None:
    remark = line(audit(published("CONV3")), "noc.weight").remark
    assert remark == (
        "both count deliveries to PEs; the bus itself carries 884736 words, each taken by 13 PEs "
        "on average"
    )


def test_plain_data() -> None:
    found = audit(published("CONV1")).to_dict()
    assert (found["layer"], found["hw"]) == ("CONV1", "eyeriss_v1")
    first = found["lines"][0]
    assert first["count"] == "computation"
    assert first["entries"] == ["mac.total"]
    assert first["ratio"] == 1
