"""The space of legal mappings: every one of them and nothing else, against the rules."""

from dataclasses import replace
from itertools import product

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.row_stationary.mapping import FACTORS, Mapping, mapping_violations
from sim.dataflow.row_stationary.space import Space
from workloads.layer import Layer
from workloads.network import load_network

SMALL = Layer(name="small", M=5, C=4, H=7, W=6, R=2, S=2)

CHIPS = {
    "as it is": ["array.rows=6", "array.columns=3", "pe.psum_spad_words=4"],
    "small buffer": ["array.rows=5", "array.columns=4", "glb.banks=4", "glb.bank_bytes=64"],
    "strips ahead": ["array.rows=4", "glb.bank_bytes=64", "glb.banks=5", "dram.overlap=ifmap"],
    "all ahead": ["array.rows=4", "glb.bank_bytes=64", "glb.banks=7", "dram.overlap=full"],
    "configurations": ["array.rows=6", "limits.filters=[1,3]", "limits.channels=[1,3]"],
}


def legal(layer: Layer, batch: int, hw: Hardware) -> set[Mapping]:
    """Every mapping that keeps the rules, by trying all of them."""
    most = {"m": layer.Mg, "n": batch, "e": layer.E, "f": layer.F, "p": layer.Mg}
    most |= {"q": layer.C, "r": layer.C, "t": layer.Mg}
    found = set()
    for values in product(*(range(1, most[name] + 1) for name in FACTORS)):
        mapping = Mapping(**dict(zip(FACTORS, values, strict=True))).fitted(layer, batch, hw)
        if not mapping_violations(layer, mapping, hw, batch):
            found.add(mapping)
    return found


@pytest.mark.parametrize("chip", CHIPS)
def test_the_space_is_every_legal_mapping_once(chip: str) -> None:
    hw = load_hardware("eyeriss_v1", CHIPS[chip])
    space = Space(SMALL, 2, hw)
    listed = [some.mapping(place) for some in space for place in range(len(some))]
    assert len(listed) == space.size == len(set(listed))
    assert set(listed) == legal(SMALL, 2, hw)


@pytest.mark.parametrize("fixed", [{"e": 3}, {"m": 5}, {"m": 2, "t": 2}, {"q": 2, "r": 2}])
def test_fixed_factors_leave_those_mappings_that_have_them(fixed: dict[str, int]) -> None:
    hw = load_hardware("eyeriss_v1", CHIPS["small buffer"])
    space = Space(SMALL, 2, hw, fixed)
    listed = {some.mapping(place) for some in space for place in range(len(some))}
    expected = {
        mapping
        for mapping in legal(SMALL, 2, hw)
        if all(getattr(mapping, name) == value for name, value in fixed.items())
    }
    assert listed == expected
    assert space.size == len(expected)


def test_sizes_of_published_layers() -> None:
    """Counted once more by others, of uncut columns: 143,525, 27 and 1,706 million mappings."""
    hw = load_hardware("eyeriss_v1")
    alexnet, resnet = load_network("alexnet"), load_network("resnet50")

    def size(layer: Layer, batch: int) -> int:
        return Space(layer, batch, hw, {"f": layer.F}).size

    assert size(alexnet.layer("CONV1"), 4) == 143_525
    assert size(alexnet.layer("CONV3"), 4) == 27_100_510
    shapes = {replace(layer, name="layer", network_input=False) for layer in resnet.layers}
    assert len(shapes) == 21
    assert sum(size(layer, 1) for layer in shapes) == 1_705_553_796
