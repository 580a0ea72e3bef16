"""The notebook of the documentation: its cells run, and print what stands in it."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[3] / "docs" / "explore.ipynb"


def test_the_notebook_runs_and_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    space: dict[str, Any] = {}
    ran = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        printed = io.StringIO()
        tree = ast.parse("".join(cell["source"]))
        with redirect_stdout(printed):
            exec(compile(tree, f"cell {cell['id']}", "exec"), space)
        shown = "".join(
            "".join(output["text"])
            for output in cell["outputs"]
            if output["output_type"] == "stream"
        )
        assert printed.getvalue() == shown
        ran += 1
    assert ran >= 5
    assert (tmp_path / "conv1-2.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
