"""Energy tables: what ships, what a file may say, and the words of every refusal."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from hw_models.energy import (
    DEFAULT_TABLE,
    EnergyTable,
    load_energy_table,
    shipped_energy_tables,
)
from hw_models.vocabulary import ACTIONS
from workloads.inputs.faults import InputError
from workloads.inputs.words import exact

HEAD = """name: mine
unit: pJ
technology: 65 nm
word_bits: 16
sources: [measured]
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def refusal(name_or_path: str) -> str:
    with pytest.raises(InputError) as refused:
        load_energy_table(name_or_path)
    return str(refused.value)


def test_shipped_names() -> None:
    assert set(shipped_energy_tables()) >= {
        "accelergy_45nm",
        "horowitz_45nm",
        "isca2016",
        "nn_dataflow_65nm",
        "sparseloop_45nm",
        "timeloop_65nm_8bit",
    }
    assert DEFAULT_TABLE == "isca2016"
    assert load_energy_table() == load_energy_table("isca2016")


@pytest.mark.parametrize("name", shipped_energy_tables())
def test_shipped_table_loads_and_says_where_it_is_from(name: str) -> None:
    table = load_energy_table(name)
    assert table.name == name
    assert table.sources
    assert table.notes
    assert hash(table) == hash(load_energy_table(name))
    assert EnergyTable.model_validate_json(table.model_dump_json()) == table
    assert table.to_dict()["mac"]["active"] == table.mac.active


def test_the_default_is_table_iv_of_the_paper() -> None:
    table = load_energy_table("isca2016")
    assert (table.unit, table.word_bits) == ("normalised", 16)
    assert (table.mac.active, table.mac.gated) == (1, None)
    assert (table.spad.filter.read, table.spad.psum.write) == (1, 1)
    assert (table.noc.bus_word, table.noc.delivery, table.noc.local_word) == (0, 2, 2)
    assert (
        table.price(ACTIONS["glb.ifmap.read"].prices)
        == table.price(ACTIONS["glb.filter.write"].prices)
        == 6
    )
    assert (table.dram.read, table.dram.write) == (200, 200)


def test_prices_that_are_not_given_come_from_the_base(tmp_path: Path) -> None:
    base = load_energy_table("accelergy_45nm")
    path = written(
        tmp_path,
        "base: accelergy_45nm\nname: mine\nspad:\n  filter: {read: 0.5}\ndram: {read: 64}\n"
        "mac: {gated: null}\n",
    )
    mine = load_energy_table(path)
    assert (mine.name, mine.sources) == ("mine", base.sources)
    assert (mine.spad.filter.read, mine.spad.filter.write) == (0.5, base.spad.filter.write)
    assert (mine.dram.read, mine.dram.write) == (64, base.dram.write)
    assert (mine.mac.active, mine.mac.gated) == (base.mac.active, None)
    assert (mine.noc, mine.glb) == (base.noc, base.glb)
    other = tmp_path / "second.yaml"
    other.write_text("base: mine.yaml\nname: second\nnoc: {hop: 1}\n")
    assert load_energy_table(str(other)).spad == mine.spad


def test_a_table_keeps_the_unit_of_its_base_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path, "base: isca2016\nunit: pJ\nword_bits: 8\nglb: {reed: 1}\ndram: {read: -1}\n"
    )
    assert refusal(path).splitlines() == [
        f"{path}:1: name: missing; a file that differs from its base has a name of its own",
        f"{path}:2: unit: must be 'normalised' as in its base, whose values it takes",
        f"{path}:3: word_bits: must be 16 as in its base, whose values it takes",
        f"{path}:4: glb: unknown key 'reed'; did you mean 'read'?",
        f"{path}:5: dram.read: must be 0 to 1e+12, got -1",
    ]


def test_bases_of_tables_are_found_or_refused_as_those_of_chips(tmp_path: Path) -> None:
    path = written(tmp_path, "base: isca2061\nname: mine\n")
    assert refusal(path).startswith(
        f"{path}:1: base: no shipped energy table 'isca2061'; did you mean 'isca2016'?"
    )
    path = written(tmp_path, "base: mine.yaml\nname: mine\n")
    assert refusal(path) == f"{path}:1: base: leads back to {path}, which builds on it"


def test_accesses_of_a_line_are_divided_down_to_a_word() -> None:
    for name, words in (("timeloop_65nm_8bit", 8), ("sparseloop_45nm", 4), ("accelergy_45nm", 4)):
        table = load_energy_table(name)
        assert table.dram.read == 512 / words  # the source: 512 pJ per 64 bits
        assert table.word_bits * words == 64
    assert exact(load_energy_table("sparseloop_45nm").glb.read or 0) * 4 == Fraction("28.426775")
    assert exact(load_energy_table("timeloop_65nm_8bit").glb.write or 0) * 8 == Fraction(
        "14.137929"
    )


def test_the_price_of_a_kind_of_data_is_before_the_common_one() -> None:
    table = load_energy_table("accelergy_45nm")
    assert table.price(ACTIONS["glb.filter.read"].prices) == 1.289745
    for action in ("glb.psum.read", "glb.ofmap.read"):
        assert table.price(ACTIONS[action].prices) == table.glb.read
    assert load_energy_table("horowitz_45nm").spad.ifmap.read is None


def test_a_users_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "mac: {active: 1.5}\nstatic: {chip: 3}\n")
    table = load_energy_table(path)
    assert (table.mac.active, table.static.chip, table.dram.read) == (1.5, 3, None)
    assert table.noc.hop == 0


def test_exact_is_the_decimal_as_written() -> None:
    assert exact(0.1) == Fraction(1, 10)
    assert exact(28.426775) == Fraction(28426775, 10**6)
    assert exact(1e-7) == Fraction(1, 10**7)
    assert exact(200) == 200


def test_unknown_names() -> None:
    known = "known: " + ", ".join(shipped_energy_tables())
    assert refusal("isca2017") == (
        f"no shipped energy table 'isca2017'; did you mean 'isca2016'? {known}"
    )
    assert refusal("") == f"no shipped energy table ''; {known}"
    assert refusal("a\0b").startswith("no shipped energy table ")
    assert refusal("nowhere/mine.yaml") == "nowhere/mine.yaml: no such file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "mac: {active: -1}\n", "6: mac.active: must be 0 to 1e+12, got -1"),
        (HEAD + "mac: {active: lots}\n", "6: mac.active: must be a number, got 'lots'"),
        (
            HEAD + "dram: {read: 1e13}\n",
            "6: dram.read: must be 0 to 1e+12, got 1e+13",
        ),
        (HEAD + "dram: {red: 1}\n", "6: dram: unknown key 'red'; did you mean 'read'?"),
        (
            HEAD + "spad:\n  filter: {read_repeated: 1}\n",
            "7: spad.filter: unknown key 'read_repeated'; known: read, write",
        ),
        (
            HEAD.replace("pJ", "joule"),
            "2: unit: must be 'normalised' or 'pJ', got 'joule'",
        ),
        (
            HEAD.replace("unit: pJ\n", ""),
            "1: unit: missing; 'normalised' (to one MAC) or 'pJ': the unit of every price",
        ),
        (HEAD.replace("16", "0"), "4: word_bits: must be 1 or more, got 0"),
        (HEAD.replace("[measured]", "[]"), "5: sources: must have 1 or more entries, got 0"),
        (
            HEAD + "static:\n  chip: 3\n  glb: 1\n",
            "7: static.chip: stands for the whole chip, but glb is given too",
        ),
        (
            HEAD + "static: {pe: 3, glb: 1, mac: 0, psum_spad: 1}\n",
            "6: static.pe: stands for the whole PE, but mac, psum_spad are given too",
        ),
        (
            HEAD + "static: {chip: 3, glb: 1, mac: 0}\n",
            "6: static.chip: stands for the whole chip, but glb, mac are given too",
        ),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    assert refusal(path) == f"{path}:{message}"
