"""The vocabulary: one row a word, which every list of the program and its docs comes from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import BaseModel

from hw_models import vocabulary
from hw_models.energy import PARTS_OF_A_PE, EnergyTable, load_energy_table
from hw_models.load import load_hardware
from hw_models.spec import WORDS as WORDS_OF
from hw_models.vocabulary import (
    ACTIONS,
    CAUSES,
    DATA_TYPES,
    ENTRIES,
    OPERANDS,
    Cause,
    DataType,
    Lane,
    Level,
    Network,
    Phase,
    Resource,
    Word,
)
from traces.events import BLOCKS, KINDS

ROOT = Path(__file__).parents[2]
WORDS: tuple[type[Word], ...] = (Cause, Level, DataType, Network, Resource, Lane, Phase)
OTHER_MODELS = ROOT / "sim" / "models"  # models of others have levels of their own


def sources() -> Iterator[Path]:
    yield ROOT / "eyeriss_sim.py"
    for package in ("sim", "traces", "hw_models", "workloads"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if OTHER_MODELS not in path.parents and path != Path(vocabulary.__file__):
                yield path


def texts(node: ast.AST) -> list[str]:
    """The text constants of a literal list, or of the keys of a dictionary."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items: list[ast.expr | None] = list(node.elts)
    elif isinstance(node, ast.Dict):
        items = list(node.keys)
    else:
        return []
    return [
        item.value for item in items if isinstance(item, ast.Constant) and type(item.value) is str
    ]


def spelled(path: Path) -> Iterator[str]:
    """Lists of three or more words of one kind, and causes and networks by themselves."""
    alone = {cause for cause in Cause if "_" in cause} | set(Network)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and node.value in alone:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        listed = texts(node)
        for kind in WORDS:
            among = [text for text in listed if text in set(kind)]
            if len(set(among)) >= 3:
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}: {among}"


def test_no_other_file_of_the_program_lists_them() -> None:
    listed = [line for path in sources() for line in spelled(path)]
    # The words that a chip has widths for, as a type: a Literal holds no variables.
    assert [re.sub(r":\d+", "", line) for line in listed] == [
        f"hw_models/spec.py: {list(WORDS_OF)}"
    ]
    assert set(WORDS_OF) == set(OPERANDS) - {DataType.OFMAP}


def test_the_scan_sees_a_list() -> None:
    tree = ast.parse('x = ("mac", "noc", "glb")\ny = {"load": 1, "ramp": 2, "drain": 3}\n')
    lists = [texts(node) for node in ast.walk(tree) if texts(node)]
    assert lists == [["mac", "noc", "glb"], ["load", "ramp", "drain"]]


def test_the_page_is_handed_its_words() -> None:
    assets = ROOT / "sim" / "report"
    for path in (*assets.rglob("*.js"), *assets.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        for cause in set(Cause) - {Cause.COMPUTING}:  # whose id and label are the same
            assert f'"{cause.label}"' not in text, (path, cause)
        assert not re.search(r"--[cdp]-\w+:", text), f"{path} sets a colour of the vocabulary"


def test_words_are_strings_wherever_they_are_shown() -> None:
    assert {Level.GLB: 1} == {"glb": 1}
    assert repr({Level.GLB: 1}) == "{'glb': 1}"
    assert f"{Cause.IDLE}" == str(Cause.IDLE) == "idle"


def price_fields(model: type[BaseModel], at: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from price_fields(inner, f"{at}{name}.")
        elif at:
            yield f"{at}{name}"


def test_every_price_of_a_table_is_that_of_an_action() -> None:
    priced = {field for action in ACTIONS.values() for field in action.prices}
    table = load_energy_table("isca2016")
    for field in priced:
        attrgetter(field)(table)
    static = {f"static.{name}" for name in ("chip", "glb", "noc", "pe", "rest", *PARTS_OF_A_PE)}
    assert set(price_fields(EnergyTable)) == priced | static | {"mac.active_8bit"}


def test_every_entry_of_the_ledger_is_priced_once() -> None:
    unpriced = {name for name in ENTRIES if not ACTIONS[name].prices}
    # In two parts, and with the words of the same network.
    assert unpriced == {"spad.ifmap.read", Network.GON_PSUM.deliveries}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.id)
def test_an_action_has_a_level_and_a_data_type(action: vocabulary.Action) -> None:
    assert action.level in Level
    assert action.data in DATA_TYPES


def test_the_width_of_a_network_is_a_field_of_the_hardware() -> None:
    noc = load_hardware("eyeriss_v1").noc
    assert {network: getattr(noc, network.rate) for network in Network if network.rate} == {
        "gin_filter": noc.gin_filter_words_per_cycle,
        "gin_ifmap": noc.gin_ifmap_words_per_cycle,
        "gin_psum": noc.psum_words_per_cycle,
        "gon_psum": noc.psum_words_per_cycle,
    }


def test_numbers_of_a_trace_file_are_those_of_its_format() -> None:
    """A word in another place would change what the events of old traces mean."""
    text = " ".join((ROOT / "traces" / "FORMAT.md").read_text(encoding="utf-8").split())
    assert ", ".join(f"{number} `{block}`" for number, block in enumerate(BLOCKS)) in text
    assert f"data types {', '.join(KINDS)}." in text


def test_the_result_page_says_what_the_vocabulary_says() -> None:
    page = (ROOT / "docs" / "result.md").read_text(encoding="utf-8")
    for cause in CAUSES:
        assert f"| `{cause}` | {cause.does} |\n" in page
    for entry in ENTRIES:
        assert f"| `{entry}` | {ACTIONS[entry].counts} |\n" in page
