"""VGG-16's mapping from two published columns: what of all legal mappings they leave."""

from __future__ import annotations

import json

import pytest

from sim.cli import main
from sim.mapper.choose import shipped_mappings
from sim.reference.inference import Inference, infer_mappings


@pytest.fixture(scope="module")
def groups() -> tuple[Inference, ...]:
    return infer_mappings("vgg16")


@pytest.mark.untraced
def test_two_columns_leave_the_shipped_mapping(groups: tuple[Inference, ...]) -> None:
    book = shipped_mappings("vgg16")
    assert book is not None
    assert [len(group.mappings) for group in groups] == [1, 1, 1, 2, 2]
    for group in groups:
        shipped = {
            str(book.content.layers[name].model_dump(exclude_none=True)) for name in group.layers
        }
        assert len(shipped) == 1
        found = [mapping for mapping in group.mappings if 512 % mapping["p"] == 0]
        assert len(found) == 1
        assert {str(dict(sorted(mapping.items()))) for mapping in found} == {
            str(dict(sorted(eval(text).items()))) for text in shipped
        }


@pytest.mark.untraced
def test_what_else_is_legal(groups: tuple[Inference, ...]) -> None:
    """Tiles of any number leave more: the fewest are a choice, and what it leaves out is told."""
    assert [group.legal for group in groups] == [1972778, 1729284, 1324252, 956026, 592061]
    assert [group.with_pes for group in groups] == [44598, 38887, 32410, 34698, 20766]
    assert [len(group.more_tiles) for group in groups] == [12, 24, 5, 3, 0]


@pytest.mark.untraced
def test_the_command(
    groups: tuple[Inference, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.reference.inference.infer_mappings", lambda network: groups)
    assert main(["infer", "vgg16"]) == 0
    text = capsys.readouterr().out
    assert "CONV1-1 to CONV1-2: n=1 e=13 f=112 p=8 q=1 r=1 t=4" in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["infer", "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["groups"]) == 5
