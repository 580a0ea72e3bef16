"""Ways to break the engine on purpose, and cases in a line, for the tests of mutants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.check.cases import Case
from sim.dataflow.row_stationary.mapping import parse_mapping
from workloads.layer import Layer

Break = Callable[[pytest.MonkeyPatch], None]


def case(mapping: str, *overrides: str, batch: int = 1, **shape: Any) -> Case:
    """A layer of this shape on the chip with these changes."""
    layer = Layer(name="CASE", **shape)
    return Case(layer, batch, "eyeriss_v1", overrides, parse_mapping(mapping))


def after_init(monkeypatch: pytest.MonkeyPatch, cls: type, change: Callable[[Any], None]) -> None:
    """Let every new object of a class be changed once it is built."""
    whole = cls.__init__

    def broken(self: Any, *args: Any, **options: Any) -> None:
        whole(self, *args, **options)
        change(self)

    monkeypatch.setattr(cls, "__init__", broken)


def with_result(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[Any], Any]
) -> None:
    """Let a function return `change` of what it returned."""
    whole = getattr(owner, name)
    monkeypatch.setattr(
        owner, name, lambda *args, **options: change(whole(*args, **options)), raising=True
    )


def with_option(
    monkeypatch: pytest.MonkeyPatch, cls: type, option: str, change: Callable[[Any], Any]
) -> None:
    """Let a class be built with `change` of an option that is given by name."""
    whole = cls.__init__

    def broken(self: Any, *args: Any, **options: Any) -> None:
        whole(self, *args, **{**options, option: change(options[option])})

    monkeypatch.setattr(cls, "__init__", broken)
