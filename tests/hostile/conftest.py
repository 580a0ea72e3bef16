"""Good files, made once, for the tests that spoil them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hostile_files import layer

from sim.cli import main
from traces.header import seal


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that the program takes."""
    folder = tmp_path_factory.mktemp("good")
    random = np.random.default_rng(0)
    for name, shape in (("i.npy", (1, 3, 8, 8)), ("f.npy", (4, 3, 3, 3))):
        np.save(folder / name, random.integers(-9, 9, shape).astype(np.int16))
    net, result, trace = (str(folder / n) for n in ("net.yaml", "result.json", "run.trace"))
    (folder / "net.yaml").write_text(layer())
    assert main(["run", net, "-q", "--json", result]) == 0
    assert main(["run", "lenet5", "--layer", "C1", "-q", "--trace", trace]) == 0
    shutil.copy(trace, folder / "writing.trace")
    seal(folder / "writing.trace", "writing")
    written = json.loads((folder / "result.json").read_text())
    (folder / "two.json").write_text(json.dumps({**written, "layers": written["layers"] * 2}))
    return folder
