"""Loop nests: what covers a layer, and the rule of row stationary that each wrong nest breaks."""

from __future__ import annotations

import pytest

from hw_models.load import load_hardware
from sim.dataflow.base import find_dataflow
from sim.dataflow.nest import Loop, LoopNest
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.errors import MappingError
from sim.plan.make import make_plan
from workloads.layer import Layer
from workloads.network import load_network

ROW_STATIONARY = find_dataflow("row_stationary")
CHIP = load_hardware("eyeriss_v1")
LAYER = Layer(name="L", M=8, C=4, R=3, S=3, H=10, W=10)  # an ofmap of 8 x 8
BATCH = 2

GOOD = (
    ("E", 2, "DRAM"), ("M", 2, "DRAM"),
    ("C", 2, "GLB"), ("M", 2, "GLB"),
    ("R", 3, "array"), ("E", 4, "array"),
    ("N", 2, "PE"), ("F", 8, "PE"), ("S", 3, "PE"), ("C", 2, "PE"), ("M", 2, "PE"),
)  # fmt: skip


def faults(*loops: tuple[str, int, str]) -> list[str]:
    """What is wrong with a nest for `LAYER`."""
    with pytest.raises(MappingError) as refused:
        ROW_STATIONARY.from_nest(LoopNest.of_bounds(loops), LAYER, BATCH, CHIP)
    assert {fault.field for fault in refused.value.faults} == {"loop nest of L on eyeriss_v1"}
    return [fault.message for fault in refused.value.faults]


def moved(dimension: str, level: str, to: str, at: int = 0) -> list[tuple[str, int, str]]:
    """The good nest with a loop at another level, outermost there unless `at` says otherwise."""
    loops = [loop for loop in GOOD if loop[::2] != (dimension, level)]
    (bound,) = (loop[1] for loop in GOOD if loop[::2] == (dimension, level))
    first = next(place for place, loop in enumerate(loops) if loop[2] == to)
    loops.insert(first + at, (dimension, bound, to))
    return loops


def test_a_nest_of_row_stationary_is_a_mapping() -> None:
    mapping = ROW_STATIONARY.from_nest(LoopNest.of_bounds(GOOD), LAYER, BATCH, CHIP)
    assert mapping == parse_mapping("m=4,n=2,e=4,p=2,q=2,r=1,t=1")


def test_ofmap_columns_outside_a_pass_are_column_tiles() -> None:
    loops = [("F", 2, "DRAM"), *GOOD[:7], ("F", 4, "PE"), *GOOD[8:]]
    mapping = ROW_STATIONARY.from_nest(LoopNest.of_bounds(loops), LAYER, BATCH, CHIP)
    assert mapping == parse_mapping("m=4,n=2,e=4,f=4,p=2,q=2,r=1,t=1")
    plan = make_plan(LAYER, BATCH, CHIP, mapping)
    assert ROW_STATIONARY.to_nest(plan) == LoopNest.of_bounds(loops)


def test_loops_of_one_block_may_be_anywhere() -> None:
    nest = LoopNest.of_bounds((("S", 1, "DRAM"), *GOOD, ("R", 1, "PE")))
    plain = LoopNest.of_bounds(GOOD)
    assert ROW_STATIONARY.from_nest(nest, LAYER, BATCH, CHIP) == ROW_STATIONARY.from_nest(
        plain, LAYER, BATCH, CHIP
    )


def test_loops_that_follow_each_other_over_one_dimension_are_one() -> None:
    split = [*GOOD[:-1], ("M", 2, "PE"), ("M", 1, "PE")]
    split[3:4] = [("M", 2, "GLB")]
    two = [loop for loop in GOOD if loop[::2] != ("E", "array")]
    two[4:4] = [("E", 2, "array"), ("E", 2, "array")]
    for nest in (split, two):
        assert str(ROW_STATIONARY.from_nest(LoopNest.of_bounds(nest), LAYER, BATCH, CHIP)) == (
            "m=4,n=2,e=4,p=2,q=2,r=1,t=1"
        )


@pytest.mark.parametrize(
    ("nest", "message"),
    [
        # Coverage.
        (GOOD[1:], "E at array: 4 blocks of 1 for 8, 8 cover it"),
        ((("E", 2, "DRAM"), *GOOD), "E at DRAM: 2 blocks of 8 for 8, 1 cover it"),
        (GOOD[:-1], "M at DRAM: 2 blocks of 2 for 8, 4 cover it"),
        ([loop for loop in GOOD if loop[0] != "S"], "S: no loop goes over the 3 elements"),
        ((*GOOD[:3], GOOD[4], GOOD[3], *GOOD[5:]), "levels go from DRAM to GLB to array to PE"),
        # Another dataflow.
        (moved("C", "GLB", "DRAM"), "C is cut at DRAM: the psums of an m-block stay in the GLB"),
        (moved("R", "array", "DRAM"), "R is cut at DRAM: each PE keeps a row of its filter"),
        (moved("S", "PE", "DRAM"), "S is cut at DRAM: each PE keeps a row of its filter"),
        (moved("R", "array", "GLB"), "R is cut at GLB: each PE keeps a row of its filter"),
        (moved("S", "PE", "GLB"), "S is cut at GLB: each PE keeps a row of its filter"),
        (moved("E", "DRAM", "GLB"), "E is cut at GLB: row stationary has no such loop there"),
        (moved("S", "PE", "array"), "S is cut at array: each PE keeps a row of its filter"),
        (moved("F", "PE", "array"), "F is cut at array: a PE computes an ofmap row alone"),
        (moved("N", "PE", "array"), "N is cut at array: the images of a pass go through the same"),
        (moved("R", "array", "PE"), "R is cut at PE: each PE keeps a row of its filter"),
        (moved("E", "array", "PE"), "E is cut at PE: each PE computes one row of the strip"),
        # The order of passes, and of products in a PE.
        ((GOOD[1], GOOD[0], *GOOD[2:]), "M goes around E at DRAM: the order is G, N, F, E, M"),
        ((*GOOD[:2], GOOD[3], GOOD[2], *GOOD[4:]), "M goes around C at GLB: the order is C, M"),
        ((*GOOD[:-2], GOOD[-1], GOOD[-2]), "M goes around C at PE: the order is N, F, S, C, M"),
    ],
)  # fmt: skip
def test_each_rule_is_named(nest: list[tuple[str, int, str]], message: str) -> None:
    assert any(fault.startswith(message) for fault in faults(*nest)), faults(*nest)


def test_a_nest_of_row_stationary_keeps_the_rules_of_the_chip() -> None:
    layer = Layer(name="L", M=8, C=8, R=3, S=3, H=10, W=10)
    loops = [*GOOD[:2], ("M", 2, "GLB"), *GOOD[4:9], ("C", 8, "PE"), ("M", 2, "PE")]
    with pytest.raises(MappingError, match=r"q\*S = 24, limit 12: words of the ifmap spad"):
        ROW_STATIONARY.from_nest(LoopNest.of_bounds(loops), layer, BATCH, CHIP)


def test_groups_are_a_loop_of_dram() -> None:
    layer = Layer(name="L", kind="conv", G=2, M=16, C=4, R=3, S=3, H=10, W=10)
    nest = LoopNest.of_bounds((("G", 2, "DRAM"), *GOOD))
    assert ROW_STATIONARY.from_nest(nest, layer, BATCH, CHIP).to_dict()["m"] == 4
    for level in ("array", "PE"):
        loops = [*GOOD]
        loops.insert(next(i for i, loop in enumerate(loops) if loop[2] == level), ("G", 2, level))
        with pytest.raises(MappingError, match=f"G is cut at {level}: a pass works on one group"):
            ROW_STATIONARY.from_nest(LoopNest.of_bounds(loops), layer, BATCH, CHIP)


def test_a_block_that_does_not_divide_keeps_its_size() -> None:
    conv1 = next(layer for layer in load_network("alexnet").layers if layer.name == "CONV1")
    plan = make_plan(conv1, 4, CHIP, parse_mapping("m=96,n=1,e=7,p=16,q=1,r=1,t=2"))
    nest = ROW_STATIONARY.to_nest(plan)
    assert nest.loops[:2] == (Loop("N", 4, 1, "DRAM"), Loop("E", 8, 7, "DRAM"))
    assert ROW_STATIONARY.from_nest(nest, conv1, 4, CHIP) == plan.mapping


def test_a_loop_refuses_what_is_none() -> None:
    for loop, message in (
        (("P", 2, 1, "GLB"), "dimension 'P'"),
        (("M", 2, 1, "L2"), "level 'L2'"),
        (("M", 0, 1, "GLB"), "0 blocks of 1"),
    ):
        with pytest.raises(ValueError, match=message):
            Loop(*loop)
