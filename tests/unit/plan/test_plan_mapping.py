"""Mappings: how they are written, fitted to a layer, and held against every rule of the chip."""

from dataclasses import replace
from typing import Any

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.row_stationary.mapping import (
    Mapping,
    banks,
    checked_mapping,
    filter_sets_that_fit,
    held_at_once,
    ifmap_strip_words,
    layer_violations,
    mapping_violations,
    parse_mapping,
    resident_psum_words,
    with_largest_m,
)
from sim.dataflow.row_stationary.passes import Plan
from sim.dataflow.row_stationary.placement import Placement
from sim.errors import InputError, MappingError
from sim.mapper.choose import shipped_mappings
from workloads.layer import Layer
from workloads.network import load_network

CHIP = load_hardware("eyeriss_v1")
GOOD = "m=64,n=4,e=13,p=16,q=3,r=2,t=2"


def chip(*settings: str) -> Hardware:
    return load_hardware("eyeriss_v1", settings)


def layer(**sizes: Any) -> Layer:
    return Layer(name="L", **{"M": 64, "C": 8, "H": 16, "W": 16, "R": 3, "S": 3, **sizes})


def mapping(**factors: int) -> Mapping:
    return Mapping(**{**dict.fromkeys("mneqprt", 1), **factors})


class TestParsing:
    def test_a_mapping_is_seven_factors(self) -> None:
        parsed = parse_mapping(GOOD)
        assert parsed == Mapping(m=64, n=4, e=13, p=16, q=3, r=2, t=2)
        assert str(parsed) == GOOD
        assert parsed.to_dict() == {"m": 64, "n": 4, "e": 13, "p": 16, "q": 3, "r": 2, "t": 2}

    def test_columns_of_a_tile_may_be_given(self) -> None:
        parsed = parse_mapping(GOOD + ",f=112")
        assert parsed == Mapping(m=64, n=4, e=13, f=112, p=16, q=3, r=2, t=2)
        assert str(parsed) == "m=64,n=4,e=13,f=112,p=16,q=3,r=2,t=2"
        assert parse_mapping(str(parsed)) == parsed
        assert parsed.to_dict()["f"] == 112
        assert "f" not in parse_mapping(GOOD).to_dict()

    def test_order_and_spaces_are_free(self) -> None:
        assert parse_mapping(" t=2, r = 2,q=3,p=16 ,e=13,n=4,m=64 ") == parse_mapping(GOOD)

    @pytest.mark.parametrize(
        ("text", "refusals"),
        [
            (
                "m64," + GOOD[5:],
                [
                    "--mapping: m64: is not of the form factor=value, as in m=64",
                    "--mapping: m: missing; a mapping gives all of m, n, e, p, q, r, t",
                ],
            ),
            (GOOD + ",", ["--mapping: '': is not of the form factor=value, as in m=64"]),
            (
                GOOD + ",T=2",
                [
                    "--mapping: T: unknown factor; did you mean 't'? known: m, n, e, f, p, q, r, t",
                ],
            ),
            (GOOD + ",s=2", ["--mapping: s: unknown factor; known: m, n, e, f, p, q, r, t"]),
            (GOOD + ",m=64", ["--mapping: m: given twice"]),
            (
                "m=0," + GOOD[5:],
                ["--mapping: m: must be a whole number from 1 to 1048576, got '0'"],
            ),
            (
                "m=1048577," + GOOD[5:],
                ["--mapping: m: must be a whole number from 1 to 1048576, got '1048577'"],
            ),
            (
                "m=-3," + GOOD[5:],
                ["--mapping: m: must be a whole number from 1 to 1048576, got '-3'"],
            ),
            (
                "m=6.4," + GOOD[5:],
                ["--mapping: m: must be a whole number from 1 to 1048576, got '6.4'"],
            ),
            (
                "m=1,n=4",
                ["--mapping: e, p, q, r, t: missing; a mapping gives all of m, n, e, p, q, r, t"],
            ),
            (
                "m=x,m=2,M=1,n",
                [
                    "--mapping: m: must be a whole number from 1 to 1048576, got 'x'",
                    "--mapping: m: given twice",
                    "--mapping: M: unknown factor; did you mean 'm'? known: m, n, e, f, p, q, r, t",
                    "--mapping: n: is not of the form factor=value, as in m=64",
                    "--mapping: n, e, p, q, r, t: missing; a mapping gives all of "
                    "m, n, e, p, q, r, t",
                ],
            ),
        ],
    )
    def test_refusals(self, text: str, refusals: list[str]) -> None:
        with pytest.raises(InputError) as caught:
            parse_mapping(text)
        assert str(caught.value).splitlines() == refusals

    @pytest.mark.parametrize("value", [0, -1, (1 << 20) + 1])
    def test_no_mapping_holds_an_impossible_factor(self, value: int) -> None:
        with pytest.raises(ValueError, match=f"^q={value}: must be 1 to 1048576$"):
            mapping(q=value)


class TestFitted:
    def test_no_block_exceeds_the_layer(self) -> None:
        small = layer(M=10, C=3, H=6, W=6, G=2, kind="conv")
        huge = mapping(m=99, n=99, e=99, p=99, q=99, r=99, t=99)
        # 5 filters a group, 3 channels, 4 ofmap rows, 2 images.
        assert huge.fitted(small, 2, CHIP) == Mapping(m=5, n=2, e=4, p=5, q=3, r=1, t=1)

    @pytest.mark.parametrize(("given", "fitted"), [(13, ",f=13,"), (14, ","), (99, ",")])
    def test_a_tile_of_all_columns_is_none(self, given: int, fitted: str) -> None:
        # 16 columns, filters of 3: an ofmap of 14.
        here = mapping(f=given).fitted(layer(), 1, CHIP)
        assert str(here) == f"m=1,n=1,e=1{fitted}p=1,q=1,r=1,t=1"

    def test_r_and_t_shrink_to_the_sets_that_get_something(self) -> None:
        # 5 channels in sets of 2 are 3 sets; 10 filters in sets of 4 are 3 sets.
        here = mapping(m=10, p=4, q=2, r=4, t=4).fitted(layer(M=10, C=5), 1, CHIP)
        assert (here.r, here.t) == (3, 3)

    def test_t_goes_by_the_m_block(self) -> None:
        assert mapping(m=8, p=4, t=4).fitted(layer(), 1, CHIP).t == 2

    def test_a_mapping_that_fits_stays(self) -> None:
        good = mapping(m=64, n=2, e=7, p=16, q=2, r=2, t=4)
        assert good.fitted(layer(), 2, CHIP) == good


RULES = [
    # One rule each: chip, layer, mapping, and the refusal word for word.
    (
        ["array.rows=24"],
        {"R": 13},
        {},
        "filter rows R = 13, limit 1 to 12: rows the configuration can name",
    ),
    (
        ["pe.ifmap_spad_words=16"],
        {"S": 13},
        {},
        "filter columns S = 13, limit 1 to 12: columns a spad row can hold",
    ),
    ([], {"U": 3}, {}, "vertical stride = 3, limit 1, 2, 4: diagonals the NoC can form"),
    ([], {"V": 13}, {}, "horizontal stride = 13, limit 1 to 12: columns a window can move by"),
    ([], {}, {"q": 5}, "q*S = 15, limit 12: words of the ifmap spad"),
    (
        [],
        {},
        {"m": 20, "p": 20, "q": 4},
        "p*q*S = 240, limit 224: words of the filter spad",
    ),
    ([], {}, {"m": 25, "p": 25}, "p = 25, limit 24: words of the psum spad"),
    (
        [],
        {},
        {"r": 5},
        "r*R = 15, limit 12: rows of the array: a chain of PE sets stands in one column",
    ),
    (
        [],
        {"R": 7, "H": 36},
        {"e": 29},
        "rows of a folded PE set = 21, limit 12: e=29 folds into 3 segments of 7 rows, stacked",
    ),
    (
        [],
        {},
        {"m": 5, "e": 13, "t": 5},
        "t = 5, limit 4: filter sets of 3 x 13 PEs that the 12 x 14 array holds",
    ),
    (
        # 16 ofmap rows fold into 14+2: two segments of 3 rows, so two filter sets.
        [],
        {"H": 18},
        {"m": 3, "e": 16, "t": 3},
        "t = 3, limit 2: filter sets of 3 x 16 PEs that the 12 x 14 array holds",
    ),
    (
        # Psums: 64 filters x 14 rows x 62 columns = 55552 words, 27.1 banks.
        [],
        {"W": 64},
        {"m": 64, "e": 14},
        "GLB banks = 29, limit 25: 1 for the ifmap strip (n*q*r*rows*Wp words) and 28 for "
        "resident psums (n*m*e*F words)",
    ),
    (
        # As above in tiles of 31 columns, 27776 words, 13.6 banks; without `f` they need 28.
        ["glb.banks=14"],
        {"W": 64},
        {"m": 64, "e": 14, "f": 31},
        "GLB banks = 15, limit 14: 1 for the ifmap strip (n*q*r*rows*Wp words) and 14 for "
        "resident psums (n*m*e*f words)",
    ),
    (["limits.filters=[1,8]"], {}, {"m": 9}, "m = 9, limit 8: filters of one configuration"),
]


class TestRules:
    @pytest.mark.parametrize(
        ("settings", "sizes", "factors", "refusal"),
        RULES,
        ids=[refusal.split(" = ")[0] + f" {n}" for n, (*_, refusal) in enumerate(RULES)],
    )
    def test_each_rule_alone(
        self, settings: list[str], sizes: dict, factors: dict, refusal: str
    ) -> None:
        hw = chip(*settings)
        with pytest.raises(MappingError) as caught:
            checked_mapping(layer(**sizes), mapping(**factors), 1, hw)
        assert str(caught.value).splitlines() == [f"L on eyeriss_v1: {refusal}"]

    def test_layer_and_mapping_rules_at_once(self) -> None:
        # S=13 breaks the limit and the spads; U and V their limits; p the psum spad.
        bad = layer(R=13, S=13, U=3, V=14, H=60, W=60)
        with pytest.raises(MappingError) as caught:
            checked_mapping(bad, mapping(m=30, p=30, q=2, r=2, t=9), 1, CHIP)
        rules = [fault.message.split(" = ")[0] for fault in caught.value.faults]
        assert rules == [
            "filter rows R",
            "filter columns S",
            "vertical stride",
            "horizontal stride",
            "q*S",
            "p*q*S",
            "p",
            "r*R",
        ]

    def test_array_and_buffer_rules_at_once(self) -> None:
        bad = layer(M=1000, W=300, H=40)
        with pytest.raises(MappingError) as caught:
            checked_mapping(bad, mapping(m=1000, e=13, p=8, q=5, t=5), 1, CHIP)
        rules = [fault.message.split(" = ")[0] for fault in caught.value.faults]
        assert rules == ["q*S", "t", "GLB banks"]

    def test_the_limits_are_the_hardwares(self) -> None:
        for settings, sizes, factors, _ in RULES:
            hw = chip(
                "array.rows=64", "array.columns=32", "pe.ifmap_spad_words=64",
                "pe.filter_spad_words=1024", "pe.psum_spad_words=64", "glb.banks=64",
                "limits.filter_rows=[1,16]", "limits.filter_columns=[1,16]",
                "limits.vertical_strides=[1,3]", "limits.horizontal_strides=[1,16]",
            )  # fmt: skip
            fitted = mapping(**factors).fitted(layer(**sizes), 1, hw)
            assert checked_mapping(layer(**sizes), mapping(**factors), 1, hw) == fitted, settings

    @pytest.mark.parametrize("value", [1, 12])
    def test_limits_include_their_ends(self, value: int) -> None:
        hw = CHIP
        assert layer_violations(layer(R=value, S=value), hw) == []
        assert layer_violations(layer(V=value), hw) == []

    def test_spads_may_be_full(self) -> None:
        # q*S = 12, p*q*S = 216, and p = 24 by itself.
        for factors in ({"m": 18, "p": 18, "q": 4}, {"m": 24, "p": 24, "q": 3}):
            assert checked_mapping(layer(), mapping(**factors), 1, CHIP) == mapping(**factors)

    def test_many_filters_and_channels_do_not_forbid_a_layer(self) -> None:
        big = layer(M=4096, C=4096)
        assert layer_violations(big, CHIP) == []

    def test_what_the_layer_does_not_fill_is_not_held_against_it(self) -> None:
        # q=9 is beyond the spad, but the layer has three channels.
        assert checked_mapping(layer(C=3), mapping(q=9), 1, CHIP).q == 3

    def test_a_channel_block_holds_what_is_left(self) -> None:
        """q*r = 4 but the layer has 3 channels: its strip is 3 channels large, and that fits.

        docs/machine.md section 2: a block at an edge holds what is left, never padded up.
        """
        # 3*6*2200 words are 19.3 banks, psums of 3 filters 3.2: 20 + 4 of 25. 4 channels: 25.8.
        wide = Layer(name="L", M=3, C=3, H=6, W=2200, R=6, S=6)
        chosen = mapping(m=3, p=3, q=2, r=2)
        assert checked_mapping(wide, chosen, 1, CHIP) == chosen


class TestBanks:
    @pytest.mark.parametrize(
        ("settings", "refused"), [(["glb.banks=3"], False), (["glb.banks=2"], True)]
    )
    def test_a_bank_is_wholly_one_or_the_other(self, settings: list[str], refused: bool) -> None:
        # 18*16 = 288 ifmap words and 16*14*14 = 3136 psum words: 3424 words fill 1.7 banks of
        # 2048, but they need 1 + 2.
        found = mapping_violations(layer(H=16, W=16), mapping(m=16, e=14), chip(*settings), 1)
        assert [v.rule for v in found] == (["GLB banks"] if refused else [])

    def test_a_tile_holds_its_columns_and_their_halo(self) -> None:
        # 7 of 14 columns: 9 ifmap columns of 4 rows, and 16 filters' psums of 2 rows.
        tile = mapping(m=16, e=2, f=7)
        assert ifmap_strip_words(layer(), tile, CHIP) == 4 * 9
        assert resident_psum_words(layer(), tile) == 16 * 2 * 7
        # Two tiles are two m-blocks, both of which `full` holds at once.
        full = chip("dram.overlap=full")
        whole = mapping(m=64, e=14)
        assert held_at_once(layer(C=1), whole, 1, full) == (1, 1)
        assert held_at_once(layer(C=1), replace(whole, f=7), 1, full) == (2, 2)

    @pytest.mark.parametrize(("words", "count"), [(1, 1), (2048, 1), (2049, 2), (4096, 2)])
    def test_banks_hold_2048_words(self, words: int, count: int) -> None:
        assert banks(words, "psum", CHIP) == count

    @pytest.mark.parametrize(
        # JSSC 2017, Table III: KB of ifmap and psum; a bank is 4 KB, so these are the banks.
        ("name", "ifmap_kb", "psum_kb", "ifmap_banks", "psum_banks"),
        [
            ("CONV1", 15.5, 72.2, 4, 19),
            ("CONV2", 3.8, 91.1, 1, 23),
            ("CONV3", 7.0, 84.5, 2, 22),
            ("CONV4", 10.5, 84.5, 3, 22),
            ("CONV5", 10.5, 84.5, 3, 22),
        ],
    )
    def test_table_iii(
        self, name: str, ifmap_kb: float, psum_kb: float, ifmap_banks: int, psum_banks: int
    ) -> None:
        book = shipped_mappings("alexnet")
        assert book is not None
        here = load_network("alexnet").layer(name)
        found = book.find(here, 4, CHIP)
        assert found is not None
        ifmap, psum = ifmap_strip_words(here, found, CHIP), resident_psum_words(here, found)
        # Printed to a tenth; CONV3's and CONV4's ifmap (7.03 and 10.55) are cut, not rounded.
        assert ifmap * 2 / 1024 == pytest.approx(ifmap_kb, abs=0.051)
        assert psum * 2 / 1024 == pytest.approx(psum_kb, abs=0.051)
        assert (banks(ifmap, "ifmap", CHIP), banks(psum, "psum", CHIP)) == (ifmap_banks, psum_banks)
        assert mapping_violations(here, found, CHIP, 4) == []


class TestFilterSetsThatFit:
    @pytest.mark.parametrize(
        ("e", "chain", "sets"),
        [
            (7, 11, 2),  # CONV1: side by side
            (27, 5, 1),  # CONV2: folded into two
            (13, 3, 4),  # CONV3: stacked
            (13, 6, 2),  # CONV4
            (7, 3, 8),  # both
            (14, 12, 1),
            (15, 6, 1),  # two segments of 6 rows
            (15, 7, 0),
            (1, 1, 168),
            (168, 1, 1),
            (169, 1, 0),
        ],
    )
    def test_on_the_chip(self, e: int, chain: int, sets: int) -> None:
        assert filter_sets_that_fit(e, chain, CHIP) == sets


class TestLargestM:
    def test_vggs_first_layer(self) -> None:
        # Ifmap 15*226 = 3390 words, 2 banks; 23*2048 words hold psums of 16 filters (13*224 words
        # each, 16.2): one block of p*t = 16.
        here = load_network("vgg16").layer("CONV1-1")
        factors = {"n": 1, "e": 13, "p": 4, "q": 1, "r": 1, "t": 4}
        assert with_largest_m(here, factors, 3, CHIP) == Mapping(m=16, **factors)

    def test_all_filters_where_they_fit_though_no_multiple(self) -> None:
        found = with_largest_m(
            layer(M=50), {"n": 1, "e": 4, "p": 4, "q": 1, "r": 1, "t": 3}, 1, CHIP
        )
        assert found is not None
        assert found.m == 50

    def test_the_limit_of_filters_counts(self) -> None:
        found = with_largest_m(
            layer(M=50), {"n": 1, "e": 4, "p": 4, "q": 1, "r": 1, "t": 3}, 1,
            chip("limits.filters=[1,30]"),
        )  # fmt: skip
        assert found is not None
        assert found.m == 24

    def test_none_where_not_one_block_fits(self) -> None:
        factors = {"n": 1, "e": 13, "p": 16, "q": 1, "r": 1, "t": 4}
        here = load_network("vgg16").layer("CONV1-2")
        assert with_largest_m(here, factors, 3, CHIP) is None

    @pytest.mark.parametrize("block", range(1, 21))
    def test_it_is_the_largest(self, block: int) -> None:
        here = layer(M=64, W=200)
        factors = {"n": 1, "e": 6, "p": block, "q": 1, "r": 1, "t": 1}
        found = with_largest_m(here, factors, 1, CHIP)
        legal = [
            m
            for m in (*range(block, 65, block), 64)
            if not mapping_violations(here, Mapping(m=m, **factors), CHIP, 1)
        ]
        assert found is not None
        assert found.m == max(legal)


class TestConfigurations:
    """M and C are limited per configuration of the chip (docs/machine.md section 6)."""

    @pytest.mark.parametrize(
        ("sizes", "factors", "count"),
        [
            ({"M": 1024, "C": 1024}, {"m": 64}, 1),
            ({"M": 1025}, {}, 2),
            ({"M": 4096}, {}, 4),
            # 1025 channels take two shares in each of 2 images x 14/7 strips x 64/32 m-blocks.
            ({"C": 1025}, {"m": 32, "e": 7}, 2 * 2 * 2 * 2),
        ],
    )
    def test_shares(self, sizes: dict, factors: dict, count: int) -> None:
        placement = Placement(
            array_rows=12,
            array_columns=14,
            set_rows=3,
            set_columns=1,
            channel_sets=1,
            filter_sets=1,
        )
        plan = Plan(layer(**sizes), 2, CHIP, mapping(**factors), placement)
        assert plan.configurations == count
