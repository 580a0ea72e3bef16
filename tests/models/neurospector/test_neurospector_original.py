"""Random tables and searches held against NeuroSpector itself, where its binary is given.

README.md beside this file says how to name it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from neurospector_cases import RandomCase, ask, tokens

from sim.models.neurospector.analyze import IllegalTableError, analyze

BINARIES = {"1.5": "EYERISS_SIM_NEUROSPECTOR", "1.6": "EYERISS_SIM_NEUROSPECTOR_DEV"}


def binary(version: str) -> str:
    """The program of a version; the test is skipped where none is named."""
    path = os.environ.get(BINARIES[version])
    if path is None:
        pytest.skip(f"{BINARIES[version]} names no build of NeuroSpector {version}")
    return path


@pytest.mark.parametrize("version", ["1.5", "1.6"])
def test_random_tables(version: str, tmp_path: Path) -> None:
    """1,000 tables: every printed token, and the same verdict."""
    program = binary(version)
    legal = 0
    for seed in range(250):
        case = RandomCase(seed, version)
        case.write(tmp_path)
        for _ in range(4):
            (tmp_path / "table.cfg").write_text(case.table())
            theirs = ask(
                program, tmp_path, "--run_type=analyzer", "--scheduling_table=table.cfg"
            ).stdout
            files = [tmp_path / name for name in ("acc.cfg", "net.cfg", "table.cfg")]
            try:
                ours = analyze(*files, version=version).original()
                legal += 1
            except IllegalTableError as error:
                ours = error.original
            assert tokens(ours) == tokens(theirs), f"seed {seed}"
    assert legal > 300
