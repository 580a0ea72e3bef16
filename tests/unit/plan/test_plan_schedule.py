"""The passes of a layer in the order of docs/machine.md section 2, with exact edges."""

from collections import Counter
from typing import Any

import pytest

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import Pass, Plan
from sim.errors import MappingError
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")


def plan(batch: int, sizes: dict[str, Any], **factors: int) -> Plan:
    mapping = Mapping(**{**dict.fromkeys("mneqprt", 1), **factors})
    return make_plan(Layer(name="L", **sizes), batch, CHIP, mapping)


def row(step: Pass) -> tuple:
    """A pass as the tables below write it."""
    shape = step.shape
    return (
        step.row_base,
        shape.strip_rows,
        step.filter_base,
        shape.filters,
        step.channel_base,
        shape.channels,
        "first" if shape.first_channels else "",
        step.ifmap_load_words,
        step.ofmap_final_words,
        "end" if step.ends_m_block else "",
    )


def test_every_pass_of_a_tiny_layer() -> None:
    # 3 filters 2x2 on 3 channels of 4x3: ofmap 3x2. Strips 2+1, m-blocks 2+1, channel blocks 2+1,
    # filter blocks of 1. A strip of 2 rows touches 3 ifmap rows of 3 words, one of 1 row 2 rows.
    tiny = plan(1, {"M": 3, "C": 3, "H": 4, "W": 3, "R": 2, "S": 2}, m=2, e=2, q=2)
    assert [row(step) for step in tiny] == [
        # rows, filters, channels, ifmap words loaded before, psums final after, end of the m-block
        (0, 2, 0, (1,), 0, (2,), "first", 18, 0, ""),
        (0, 2, 1, (1,), 0, (2,), "first", 0, 0, ""),
        (0, 2, 0, (1,), 2, (1,), "", 9, 2 * 2, ""),
        (0, 2, 1, (1,), 2, (1,), "", 0, 2 * 2, "end"),
        (0, 2, 2, (1,), 0, (2,), "first", 18, 0, ""),
        (0, 2, 2, (1,), 2, (1,), "", 9, 2 * 2, "end"),
        (2, 1, 0, (1,), 0, (2,), "first", 12, 0, ""),
        (2, 1, 1, (1,), 0, (2,), "first", 0, 0, ""),
        (2, 1, 0, (1,), 2, (1,), "", 6, 1 * 2, ""),
        (2, 1, 1, (1,), 2, (1,), "", 0, 1 * 2, "end"),
        (2, 1, 2, (1,), 0, (2,), "first", 12, 0, ""),
        (2, 1, 2, (1,), 2, (1,), "", 6, 1 * 2, "end"),
    ]
    assert [step.index for step in tiny] == list(range(12))
    assert tiny.passes == 12


def test_groups_then_image_blocks_then_strips() -> None:
    sizes = {"G": 2, "M": 2, "C": 1, "H": 3, "W": 1, "R": 1, "S": 1}
    steps = list(plan(3, sizes, n=2, e=2))
    assert [(s.group, s.image_base, s.shape.images, s.row_base) for s in steps] == [
        (0, 0, 2, 0), (0, 0, 2, 2), (0, 2, 1, 0), (0, 2, 1, 2),
        (1, 0, 2, 0), (1, 0, 2, 2), (1, 2, 1, 0), (1, 2, 1, 2),
    ]  # fmt: skip


def test_column_tiles_then_strips() -> None:
    """Tiles of 3+2 columns around strips of 2+1 rows: the halo of S-V columns comes again.

    Filters 2 x 3 on 4 x 7 words: an ofmap of 3 x 5. Of 7 ifmap columns the first tile touches 5,
    the second 4: columns 3 and 4 are loaded for both.
    """
    tiled = plan(1, {"M": 2, "C": 1, "H": 4, "W": 7, "R": 2, "S": 3}, m=2, e=2, f=3)
    assert [
        (s.column_base, s.shape.ofmap_columns, s.row_base, s.filter_base, s.ifmap_load_words)
        for s in tiled
    ] == [
        (0, 3, 0, 0, 3 * 5), (0, 3, 0, 1, 0), (0, 3, 2, 0, 2 * 5), (0, 3, 2, 1, 0),
        (3, 2, 0, 0, 3 * 4), (3, 2, 0, 1, 0), (3, 2, 2, 0, 2 * 4), (3, 2, 2, 1, 0),
    ]  # fmt: skip
    assert [s.shape.filter_words for s in tiled] == [2 * 3] * 8
    assert [s.ofmap_final_words for s in tiled] == [6, 6, 3, 3, 4, 4, 2, 2]
    assert [s.ends_m_block for s in tiled] == [False, True] * 4
    assert (tiled.passes, tiled.m_block_count) == (8, 4)
    assert tiled.classes == Counter(step.shape for step in tiled)


def test_columns_in_a_gap_between_tiles_are_not_loaded() -> None:
    # A stride beyond the filter: 3 windows of 1 column, 3 apart, share none.
    sparse = plan(1, {"M": 1, "C": 1, "H": 1, "W": 7, "R": 1, "S": 1, "V": 3}, f=2)
    assert [(s.column_base, s.ifmap_load_words) for s in sparse] == [(0, 2), (2, 1)]


def test_sets_at_an_edge_hold_what_is_left() -> None:
    # 11 filters in blocks of p*t = 8: (4, 4) and (3,); 7 channels in blocks of q*r = 6.
    ragged = plan(1, {"M": 11, "C": 7, "H": 1, "W": 1, "R": 1, "S": 1}, m=11, p=4, t=2, q=3, r=2)
    assert [(s.shape.filters, s.shape.channels) for s in ragged] == [
        ((4, 4), (3, 3)), ((3,), (3, 3)), ((4, 4), (1,)), ((3,), (1,)),
    ]  # fmt: skip


def test_words_of_a_strided_strip() -> None:
    # AlexNet CONV1's strip: 6*4+11 = 35 rows of 54*4+11 = 227 words.
    conv1 = plan(
        1, {"M": 96, "C": 3, "H": 227, "W": 227, "R": 11, "S": 11, "U": 4, "V": 4},
        m=96, e=7, p=16, t=2,
    )  # fmt: skip
    first = next(iter(conv1))
    assert (first.shape.ifmap_rows, first.shape.ifmap_columns) == (35, 227)
    assert first.ifmap_load_words == 35 * 227
    assert first.shape.filter_words == 32 * 121
    assert first.shape.psum_words == 32 * 7 * 55
    assert first.shape.macs == 32 * 7 * 55 * 121
    # 55 = 7*7 + 6: the last strip touches 5*4+11 = 31 rows.
    assert [s.ifmap_load_words for s in conv1][-9:] == [31 * 227, 0, 0] * 3


def test_rows_and_columns_that_no_window_touches_are_not_loaded() -> None:
    sparse = plan(1, {"M": 1, "C": 1, "H": 9, "W": 7, "R": 2, "S": 1, "U": 4, "V": 3}, e=2)
    (step,) = sparse
    # Ofmap 2x3: rows 0, 1, 4, 5 and columns 0, 3, 6.
    assert (step.shape.ifmap_rows, step.shape.ifmap_columns) == (4, 3)
    assert step.ifmap_load_words == 12


def test_classes_are_the_passes_counted() -> None:
    here = plan(
        3, {"G": 2, "M": 22, "C": 5, "H": 6, "W": 4, "R": 2, "S": 2},
        m=7, n=2, e=3, p=2, t=2, q=2, r=1,
    )  # fmt: skip
    assert here.classes == Counter(step.shape for step in here)
    assert sum(here.classes.values()) == here.passes


def test_the_plan_holds_the_fitted_mapping() -> None:
    here = plan(1, {"M": 2, "C": 1, "H": 1, "W": 1, "R": 1, "S": 1}, m=64, n=9, e=9, p=16, q=9, t=9)
    assert here.mapping == Mapping(m=2, n=1, e=1, p=2, q=1, r=1, t=1)


def test_a_schedule_too_fine_to_simulate_is_refused() -> None:
    sizes = {"M": 4096, "C": 4096, "H": 2, "W": 1, "R": 1, "S": 1}
    with pytest.raises(MappingError) as caught:
        plan(1, sizes)
    assert str(caught.value) == (
        "L on eyeriss_v1: passes = 33554432, limit 2000000: the mapping "
        "m=1,n=1,e=1,p=1,q=1,r=1,t=1 cuts the layer too finely to simulate; "
        "raise m, n, e, p, q, r or t"
    )
