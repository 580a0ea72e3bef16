"""Where the PE sets stand: the published placements and the rules of docs/machine.md section 3."""

from dataclasses import replace

import pytest

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.passes import Plan
from sim.dataflow.row_stationary.placement import Placement, Site
from sim.mapper.choose import shipped_mappings
from sim.plan.make import make_plan
from workloads.network import load_network

CHIP = load_hardware("eyeriss_v1")


def published(name: str) -> Plan:
    network, book = load_network("alexnet"), shipped_mappings("alexnet")
    assert book is not None
    layer = network.layer(name)
    mapping = book.find(layer, 4, CHIP)
    assert mapping is not None
    return make_plan(layer, 4, CHIP, mapping)


def picture(placement: Placement) -> list[str]:
    """The array as text: the letter of the filter set (a, b, ...), upper case in channel set 1."""
    rows = [["."] * placement.array_columns for _ in range(placement.array_rows)]
    for filter_set in range(placement.filter_sets):
        for ofmap_row in range(placement.set_columns):
            for site in placement.chain(filter_set, ofmap_row, placement.channel_sets):
                assert rows[site.row][site.column] == "."
                letter = "abcdefgh"[filter_set]
                rows[site.row][site.column] = letter.upper() if site.channel_set else letter
    return ["".join(row) for row in rows]


@pytest.mark.parametrize(
    ("name", "active", "expected"),
    [
        ("CONV1", 154, ["aaaaaaabbbbbbb"] * 11 + ["." * 14]),
        ("CONV2", 135, ["a" * 14] * 5 + ["a" * 13 + "."] * 5 + ["." * 14] * 2),
        ("CONV3", 156, [c * 13 + "." for c in "abcd" for _ in range(3)]),
        ("CONV4", 156, [c * 13 + "." for c in "AaBb" for _ in range(3)]),
        ("CONV5", 156, [c * 13 + "." for c in "AaBb" for _ in range(3)]),
    ],
)
def test_alexnet_on_the_chip(name: str, active: int, expected: list[str]) -> None:
    plan = published(name)
    assert picture(plan.placement) == expected
    assert plan.active_pes == active == sum(len(row.replace(".", "")) for row in expected)


def test_27_ofmap_rows_fold_into_14_and_13() -> None:
    placement = published("CONV2").placement
    assert placement.segments == 2
    tops = [placement.chain(0, row, 1)[-1] for row in range(27)]
    assert [(site.row, site.column) for site in tops] == [
        *((0, column) for column in range(14)),
        *((5, column) for column in range(13)),
    ]


def test_a_chain_runs_straight_up_through_its_channel_sets() -> None:
    # CONV4, second filter set, ofmap row 5: rows 11 to 6 of column 5. Channel set 0 is below.
    assert published("CONV4").placement.chain(1, 5, 2) == (
        Site(row=11, column=5, channel_set=0, filter_row=2),
        Site(row=10, column=5, channel_set=0, filter_row=1),
        Site(row=9, column=5, channel_set=0, filter_row=0),
        Site(row=8, column=5, channel_set=1, filter_row=2),
        Site(row=7, column=5, channel_set=1, filter_row=1),
        Site(row=6, column=5, channel_set=1, filter_row=0),
    )


def test_a_chain_at_the_edge_of_the_channel_loop_ends_lower() -> None:
    placement = published("CONV4").placement
    assert placement.chain(1, 5, 1) == placement.chain(1, 5, 2)[:3]


def test_channel_set_0_on_top_stays_there_in_a_shorter_chain() -> None:
    placement = replace(published("CONV4").placement, first_set_on_top=True)
    chain = placement.chain(1, 5, 2)
    assert [(site.row, site.channel_set, site.filter_row) for site in chain] == [
        (11, 1, 2), (10, 1, 1), (9, 1, 0), (8, 0, 2), (7, 0, 1), (6, 0, 0),
    ]  # fmt: skip
    assert placement.chain(1, 5, 1) == chain[3:]


def test_eight_small_sets_stand_side_by_side_and_stacked() -> None:
    placement = Placement(
        array_rows=12, array_columns=14, set_rows=3, set_columns=7, channel_sets=1, filter_sets=8
    )
    assert picture(placement) == [
        a * 7 + b * 7 for a, b in ("ab", "cd", "ef", "gh") for _ in range(3)
    ]


def test_folded_sets_are_stacked_whole() -> None:
    # 5 columns: 7 ofmap rows are 5+2, of two filter rows each; two filter sets.
    placement = Placement(
        array_rows=8, array_columns=5, set_rows=2, set_columns=7, channel_sets=1, filter_sets=2
    )
    assert picture(placement) == [
        *["aaaaa"] * 2, *["aa..."] * 2, *["bbbbb"] * 2, *["bb..."] * 2
    ]  # fmt: skip
