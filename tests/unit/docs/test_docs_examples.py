"""Every package shows how it is used, and every example of a docstring is what Python prints."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

ROOTS = ("eyeriss_sim", "hw_models", "sim", "traces", "workloads")


def modules() -> Iterator[str]:
    for root in ROOTS:
        yield root
        path = getattr(import_module(root), "__path__", ())
        yield from (module.name for module in walk_packages(path, f"{root}."))


def test_every_package_has_an_example_and_all_examples_run() -> None:
    """What differs is printed by doctest."""
    without, failing = [], []
    for name in modules():
        module = import_module(name)
        if name in ROOTS or hasattr(module, "__path__"):
            without += [] if ">>>" in (module.__doc__ or "") else [name]
        failing += [name] if doctest.testmod(module).failed else []
    assert (without, failing) == ([], [])
