"""The mapper: a legal mapping, or the rule that forbids the layer, for whatever it is given."""

import pytest

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import checked_mapping, layer_violations
from sim.errors import MappingError
from sim.mapper.auto import auto_mapping
from sim.plan.make import make_plan
from workloads.layer import Layer
from workloads.network import load_network, shipped_networks


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("network", shipped_networks())
def test_every_layer_of_every_shipped_network(network: str, batch: int) -> None:
    hw = load_hardware("eyeriss_v1")
    for layer in load_network(network).layers:
        refusals: list[str] = []
        try:
            found = auto_mapping(layer, batch, hw)
        except MappingError as error:
            refusals = [fault.message for fault in error.faults]
        else:
            assert found == checked_mapping(layer, found, batch, hw)
            assert make_plan(layer, batch, hw, found).passes >= 1
        # Only a rule of the layer itself may forbid it.
        assert refusals == [str(violation) for violation in layer_violations(layer, hw)]


def test_shipped_networks_run_on_the_chip_whole() -> None:
    """No filter of theirs exceeds 12x12 and no stride is 3: all layers have a mapping."""
    hw = load_hardware("eyeriss_v1")
    refused = [
        f"{network} {layer.name}"
        for network in shipped_networks()
        for layer in load_network(network).layers
        if layer_violations(layer, hw)
    ]
    assert refused == []


def test_a_layer_beyond_the_chip_is_refused_with_all_its_rules() -> None:
    layer = Layer(name="big", M=1, C=1, H=64, W=64, R=13, S=14, U=3, V=16)
    with pytest.raises(MappingError) as caught:
        auto_mapping(layer, 1, load_hardware("eyeriss_v1"))
    assert str(caught.value).splitlines() == [
        "big on eyeriss_v1: filter rows R = 13, limit 1 to 12: rows the configuration can name",
        "big on eyeriss_v1: filter columns S = 14, limit 1 to 12: columns a spad row can hold",
        "big on eyeriss_v1: vertical stride = 3, limit 1, 2, 4: diagonals the NoC can form",
        "big on eyeriss_v1: horizontal stride = 16, limit 1 to 12: columns a window can move by",
    ]


def test_a_layer_whose_smallest_pass_does_not_fit_names_the_rule() -> None:
    # An ifmap word and a psum are of two kinds, and a bank holds one.
    layer = Layer(name="wide", M=1, C=1, H=1, W=60000, R=1, S=1)
    with pytest.raises(MappingError) as caught:
        auto_mapping(layer, 1, load_hardware("eyeriss_v1", ["glb.banks=1"]))
    assert str(caught.value) == (
        "wide on eyeriss_v1: no legal mapping: GLB banks = 2, limit 1: 1 for the ifmap strip "
        "(n*q*r*rows*Wp words) and 1 for resident psums (n*m*e*f words)"
    )


def test_a_window_wider_than_the_spads_names_the_rules() -> None:
    layer = Layer(name="row", M=2, C=1, H=4, W=9, R=1, S=5)
    hw = load_hardware("eyeriss_v1", ["pe.ifmap_spad_words=4"])
    with pytest.raises(MappingError) as caught:
        auto_mapping(layer, 1, hw)
    assert str(caught.value) == (
        "row on eyeriss_v1: no legal mapping: q*S = 5, limit 4: words of the ifmap spad"
    )


@pytest.mark.untraced
@pytest.mark.parametrize("name", ["CONV1", "CONV2", "CONV3", "CONV4", "CONV5"])
def test_auto_is_no_slower_than_the_published_mapping(name: str) -> None:
    """The authors' mapping is among those that are searched: no choice may be slower."""
    from sim.run import run

    published = run("alexnet", layers=[name], batch=4).layers[0]
    auto = run("alexnet", layers=[name], batch=4, mapping="auto").layers[0]
    assert auto.mapping_source == "auto"
    assert auto.total_cycles <= published.total_cycles


def test_strips_that_fit_are_found_among_many() -> None:
    """512 columns hold strips of up to 512 rows; of this layer the GLB holds 8 at the most."""
    hw = load_hardware("eyeriss_v1", ["array.columns=512"])
    layer = Layer(name="L", M=4, C=2, H=502, W=2502, R=3, S=3)
    found = auto_mapping(layer, 1, hw)
    assert checked_mapping(layer, found, 1, hw) == found


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("name", ["CONV2_1a", "CONV2_1b", "CONV2_1c"])
def test_more_pes_are_no_reason_for_more_cycles(name: str, side: int) -> None:
    """One filter in a PE would put more PEs to work, but send psum beats of a single word.

    The rank is a bound: of two mappings that it holds for equal one takes 1.2 % longer.
    """
    from sim.run import estimate

    small = estimate("resnet50", layers=[name], mapping="auto").layers[0]
    chip = load_hardware("eyeriss_v1", [f"array.rows={side}", f"array.columns={side}"])
    large = estimate("resnet50", layers=[name], mapping="auto", hw=chip).layers[0]
    assert large.processing_cycles < 1.013 * small.processing_cycles


def test_auto_legal_where_sets_of_channels_do_not_divide_them() -> None:
    """3 channels in two sets of two: the strip is 3 channels large (docs/machine.md section 2)."""
    hw = load_hardware("eyeriss_v1", ["array.columns=1"])
    layer = Layer(name="L", M=3, C=3, H=6, W=2200, R=6, S=6)
    found = auto_mapping(layer, 1, hw)
    assert checked_mapping(layer, found, 1, hw) == found
