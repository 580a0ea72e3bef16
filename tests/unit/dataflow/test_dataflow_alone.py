"""Row stationary is in its folders alone: nobody else reads what only its plans and passes have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from sim.dataflow import base
from sim.dataflow.row_stationary.mapping import FACTORS
from sim.dataflow.row_stationary.passes import Pass, PassShape, Plan
from sim.dataflow.row_stationary.placement import Placement, Site

ROOT = Path(__file__).parents[3]
FOLDERS = ("sim/dataflow/row_stationary", "sim/analytic/row_stationary")

KNOWN = {
    # Its space of mappings is what it searches.
    "sim/mapper": "the mapper",
    # These compare with, or are, models of row stationary.
    "sim/check/audit.py": "the first-order estimator's blocks",
    "sim/models": "models of others",
    "sim/reference/inference.py": "the mappings of the published tables",
    "sim/reference/rtl.py": "passes of a public RTL",
    # The names that a user writes.
    "eyeriss_sim.py": "Mapping",
    "sim/dataflow/base.py": "the default",
}
"""What names row stationary all the same, and why."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module outside the folders and `KNOWN`, by its path."""
    for top in ("sim", "traces", "hw_models", "workloads"):
        for path in sorted((ROOT / top).rglob("*.py")) or [ROOT / f"{top}.py"]:
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not name.startswith((*FOLDERS, *KNOWN)):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


SHARED = {
    # Words of the workload, the array and results, which row stationary uses as everybody does.
    *("row", "column", "group", "images", "filters", "channels", "windows", "blocks", "parts"),
    *("ofmap_columns", "ifmap_columns", "ifmap_rows", "filter_rows", "filter_columns"),
    *("strip_rows", "segments", "array_rows", "array_columns"),
}


def own_names() -> set[str]:
    """Attributes that plans, passes, shapes and placements of row stationary alone have."""
    protocols = (base.Plan, base.PassShape, base.Pass)
    known = {name for protocol in protocols for name in protocol.__dict__}
    own = {
        name
        for cls in (Plan, PassShape, Pass, Placement, Site)
        for name in (*cls.__dict__, *(field.name for field in fields(cls)))
        if not name.startswith("_")
    }
    return own - known - set(base.Plan.__annotations__) - SHARED


def test_nobody_else_reads_what_its_plans_alone_have() -> None:
    own = own_names()
    assert {"strips", "m_blocks", "chain", "channel_set", "filter_base"} < own
    read = [
        f"{name}:{node.lineno} .{node.attr}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in own
    ]
    assert read == []


def test_nobody_else_reads_its_factors() -> None:
    read = [
        f"{name}:{node.lineno} mapping.{node.attr}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in FACTORS
        and isinstance(node.value, ast.Name | ast.Attribute)
        and "mapping" in ast.unparse(node.value)
    ]
    assert read == []


def test_nobody_else_names_it() -> None:
    named = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and node.value == "row_stationary")
        or (isinstance(node, ast.ImportFrom) and "row_stationary" in (node.module or ""))
        or (isinstance(node, ast.Name | ast.ClassDef) and "RowStationary" in ast.unparse(node)[:80])
    ]
    assert named == []


BLOCKS = ("dram", "fifo", "glb", "machine", "noc", "pe", "profile")
OPERANDS = ("ifmap", "filter", "weight", "window", "strip", "channel")


def test_the_blocks_of_the_machine_name_no_operand() -> None:
    """Only fields of the hardware and rows of the vocabulary have the names of operands."""
    defined = set()
    for block in BLOCKS:
        path = ROOT / "sim" / "engine" / f"{block}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                defined.add(f"{block}.{node.name}")
            elif isinstance(node, ast.arg):
                defined.add(f"{block}.{node.arg}")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(f"{block}.{node.id}")
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                defined.add(f"{block}.{node.attr}")
    assert "noc.FeedBus" in defined
    assert [
        name for name in sorted(defined) if any(word in name.lower() for word in OPERANDS)
    ] == []
