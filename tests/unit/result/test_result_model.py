"""The one model of a result file: written, read, documented, and handed to the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sim.account.result import RefusedLayer, Result
from sim.account.timeline import PassKind
from sim.cli.show import show
from sim.report import load
from sim.report.load import check_result, of_result
from sim.report.page.html import page_data
from sim.result.document import json_schema, shipped_schema, table, with_tables
from sim.result.model import SCHEMA, VERSION, CyclesPart, KindPart, LayerPart, ResultFile
from sim.run import Values, estimate, run

PAGE = Path(__file__).parents[3] / "docs" / "result.md"


def test_the_tables_of_the_document_are_made_from_the_model() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run `make docs`"
    assert text.count("<!-- keys: ") == 12
    assert "| `total` | cycles | total latency: `processing` and `standstill` |" in table(
        CyclesPart
    )


def _keys(schema: dict[str, Any]) -> dict[str, dict[str, str]]:
    parts = {ResultFile.__name__: schema, **schema["$defs"]}
    return {
        name: {key: about.get("description", "") for key, about in part["properties"].items()}
        for name, part in parts.items()
        if "properties" in part
    }


def test_the_schema_that_is_shipped_has_every_key_and_what_it_means() -> None:
    """Not held byte by byte: how a bound is written depends on the version of pydantic."""
    shipped, made = json.loads(shipped_schema()), json.loads(json_schema())
    assert _keys(shipped) == _keys(made), "run `make docs`"
    assert shipped["properties"]["version"]["default"] == VERSION
    assert all(key["description"] for key in shipped["properties"].values())


def test_every_key_that_is_written_is_in_the_schema() -> None:
    schema = json.loads(shipped_schema())

    def look(data: Any, about: dict[str, Any], at: str) -> None:
        for option in about.get("anyOf", [about]):
            if "$ref" in option:
                about = schema["$defs"][option["$ref"].rpartition("/")[2]]
            elif "items" in option and isinstance(data, list):
                about = option
        if isinstance(data, dict) and "properties" in about:
            assert set(data) <= set(about["properties"]), at
            for key, value in data.items():
                look(value, about["properties"][key], f"{at}.{key}")
        elif isinstance(data, dict) and isinstance(about.get("additionalProperties"), dict):
            for key, value in data.items():
                look(value, about["additionalProperties"], f"{at}.{key}")
        elif isinstance(data, list) and "items" in about:
            for value in data:
                look(value, about["items"], f"{at}[]")

    values = run("lenet5", layers=["C1"], values=Values())
    for result in (values, estimate("lenet5"), estimate("lenet5", hw="eyeriss_int8")):
        look(result.to_dict(), schema, "result")


def test_show_prints_the_schema() -> None:
    printed = CliRunner().invoke(show, ["schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.output)["properties"]["schema"]["default"] == SCHEMA


def test_a_result_in_memory_goes_to_the_page_without_text(monkeypatch: pytest.MonkeyPatch) -> None:
    result = estimate("lenet5")

    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("a result in memory was made into text, or read from it")

    monkeypatch.setattr(load.json, "dumps", refuse)
    monkeypatch.setattr(load.json, "loads", refuse)
    page_data([("lenet5", of_result(result))])


def test_what_is_read_is_what_was_written() -> None:
    refused = RefusedLayer("X", ("too large",))
    whole = run("lenet5", layers=["C1"], values=Values())
    result = Result(whole.engine, "n", whole.batch, whole.hw, whole.layers, (refused,), ("a note",))
    data = json.loads(json.dumps(result.to_dict()))
    assert check_result(data, "r.json") == result.to_model()


def test_keys_that_say_nothing_are_left_out() -> None:
    written = estimate("lenet5", layers=["C1"]).to_dict()["layers"][0]
    assert LayerPart.ABSENT - set(written) == {"queues", "values"}
    kind = PassKind(1, 2, 3, 4, True, 5, 6, {"load": 5})
    assert "columns" not in kind.to_model().model_dump(mode="json")
    assert list(KindPart.model_fields)[:2] == ["images", "columns"]
