"""Random tables and searches held against NeuroSpector itself, where its binary is given.

README.md beside this file says how to name it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from neurospector_cases import RandomCase, ask, tokens

from sim.models.neurospector.analyze import IllegalTableError, analyze
from sim.models.neurospector.optimize import optimize

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


@pytest.mark.parametrize(
    ("kind", "search"),
    [
        ("one", "bottom-up"),
        ("one", "brute-force"),
        ("partition", "bottom-up"),
        ("cross", "bottom-up"),
    ],
)
def test_random_searches(kind: str, search: str, tmp_path: Path) -> None:
    """Every file that 40 searches write, token by token: tables, strategies, figures."""
    program = binary("1.5")
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        case, other = RandomCase(seed, small=True), RandomCase(seed + 1000, small=True)
        case.write(folder)
        if kind != "one":
            (folder / "net.cfg").write_text(
                case.net + other.net.split("\n")[-2].replace("L1", "L2")
            )
        metric, dataflow = ("energy", "cycle")[seed % 2], ("fixed", "flexible")[seed // 2 % 2]
        options = {
            "one": [],
            "partition": ["--multi_chip_partitioning=1,2"],
            "cross": ["--cross_layer_optimization=true"],
        }[kind]
        said = ask(
            program,
            folder,
            "--run_type=optimizer",
            f"--dataflow={dataflow}",
            f"--optimizer={search}",
            f"--metric={metric}",
            *options,
        )
        theirs = {path.name: path.read_text() for path in folder.glob("*-*.txt")}
        theirs["stdout.txt"] = said.stdout
        ours = optimize(
            folder / "acc.cfg",
            folder / "net.cfg",
            metric=metric,
            search=search,
            dataflow=dataflow,
            partition=(1, 2) if kind == "partition" else (),
            cross_layer=kind == "cross",
        ).original()
        assert {n: tokens(t) for n, t in ours.items()} == {n: tokens(t) for n, t in theirs.items()}
