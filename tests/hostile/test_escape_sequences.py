"""Text of a file that would steer a terminal, or a path: walked through every command."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import layer

from hw_models.load import load_hardware
from sim.cli import main
from sim.cli.arrays import write_ofmaps
from sim.recorder import TraceRecorder
from sim.run import Values, prepare, run, simulate
from traces.writer import TraceWriter
from workloads.inputs.json_text import read_json
from workloads.inputs.words import path_part, printable

# A window title, C1's introducer, an erased line, a bell, a turn to right-to-left, DEL, a new line.
STEERS = "A\x1b]0;owned\x07\x9b31m\x1b[2K\u202e\x7f\u2066\nB"
IN_YAML = '"A\\e]0;owned\\a\\x9b31m\\u202e\\x7f\\nB"'


def hostile(data: Any) -> Any:
    """Every text of a description with what steers a terminal behind it."""
    if isinstance(data, dict):
        return {
            key: value if key in ("action", "unit", "kind") else hostile(value)
            for key, value in data.items()
        }
    return f"{data}{STEERS}" if isinstance(data, str) else data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two traces and a result file whose texts steer a terminal, and good files beside them."""
    found = tmp_path_factory.mktemp("steers")
    begin = TraceWriter.begin_layer
    start = TraceWriter.__init__

    def starting(self: Any, path: Any, description: dict[str, Any], **others: Any) -> None:
        texts = {key: f"{description[key]}{STEERS}" for key in ("program", "network")}
        start(self, path, {**description, **texts}, **others)

    def beginning(self: Any, description: dict[str, Any]) -> None:
        begin(self, {**description, "name": f"C1{STEERS}", "mapping": {STEERS: STEERS}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TraceWriter, "__init__", starting)
        patch.setattr(TraceWriter, "begin_layer", beginning)
        for name, settings in (("a", ()), ("b", ("pe.psum_in_fifo_words=8",))):
            prepared = prepare(
                "lenet5",
                layers=["C1"],
                hw=load_hardware("eyeriss_v1", settings),
                mapping="m=6,n=1,e=28,p=6,q=1,r=1,t=1",
            )
            with TraceRecorder(found / f"{name}.trace", prepared, blocks=()) as recorder:
                simulate(prepared, observers=[recorder])
    data = json.loads(json.dumps(run("lenet5", layers=["C1"]).to_dict()))
    data["network"] = f"n{STEERS}"
    data["layers"][0]["name"] = data["layers"][0]["shape"]["name"] = f"../C1{STEERS}"
    (found / "result.json").write_text(json.dumps(data))
    (found / "odd.json").write_text(json.dumps({**data, "schema": STEERS, STEERS: 1}))
    for name, text in (
        ("net", layer(name=IN_YAML)),
        ("title", f"network: {IN_YAML}\nlayers: []\n"),
        ("hw", f"base: eyeriss_v1\nname: {IN_YAML}\n"),
        ("about", f"base: eyeriss_v1\ndescription: {IN_YAML}\n"),
        ("map", f"source: {IN_YAML}\nlayers: {{C1: {{m: 6, n: 1, e: 4, p: 6, q: 1, r: 1, t: 1}}}}"),
        ("keys", f"layers: {{{IN_YAML}: {{m: 6}}}}"),
        ("prices", f"name: {IN_YAML}\nunit: pJ\ntechnology: {IN_YAML}\nsources: [{IN_YAML}]\n"),
        ("case", f"batch: 1\nhw: {IN_YAML}\nmapping: auto\nnetwork: {IN_YAML}\nlayers: [{{}}]\n"),
        ("ert", f"ERT: {{version: 0.4, tables: [{{name: {IN_YAML}, actions: []}}]}}\n"),
        ("counts", f"action_counts: {{version: 0.4, name: {IN_YAML}, local: []}}\n"),
        ("maestro", f"Network {IN_YAML} {{ Layer {STEERS} {{ Type: CONV }} }}"),
        ("bits", f"layers: {{{IN_YAML}: {{ifmap: 8}}}}\n"),
    ):  # fmt: skip
        (found / f"{name}.yaml").write_text(text)
    return found


@pytest.fixture
def tell(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line and return its exit code and all that a terminal would get."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_, **__: False)

    def telling(*argv: str) -> tuple[int, str]:
        code = main(argv)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return telling


def steering(text: str) -> list[str]:
    """What of a text a terminal would obey, but for new lines."""
    return [line for line in text.split("\n") if not line.isprintable()]


COMMANDS = [
    *("trace info a.trace", "trace replay a.trace", "trace replay a.trace --pe 0,0 --limit 5"),
    *("trace replay a.trace --break 'cycle > 500'", "trace replay a.trace --break 'cycle < 0'"),
    *("trace diff a.trace b.trace", "trace recover a.trace", "trace replay a.trace --layer none"),
    *(f"trace export a.trace --to {form} --limit 9" for form in ("perfetto", "vcd", "csv", "npz")),
    *("report a.trace", "report result.json", "report a.trace result.json", "report odd.json"),
    *("run net.yaml", "run title.yaml", "estimate net.yaml", "show network net.yaml"),
    *("run lenet5 --hw hw.yaml", "show hw hw.yaml", "show hw about.yaml", "show hw keys.yaml"),
    *("run lenet5 --layer C1 --mapping map.yaml", "run lenet5 --layer C1 --mapping keys.yaml"),
    *("show mapping lenet5 --mapping map.yaml", "run lenet5 --energy prices.yaml"),
    *("show energy prices.yaml", "run lenet5 --precision bits.yaml", "check --case case.yaml"),
    *("model accelergy ert.yaml counts.yaml", "model maestro maestro.yaml"),
    *("model neurospector analyze net.yaml", "model neurospector optimize title.yaml"),
    *("model first-order title.yaml", "model fodlam title.yaml"),
    *("audit net.yaml", "estimate a.trace"),
]


@pytest.mark.parametrize("line", COMMANDS)
def test_no_text_of_a_file_steers_the_terminal(tell: Any, line: str) -> None:
    code, text = tell(*shlex.split(line))
    assert code in (0, 1, 2), text
    assert text
    assert steering(text) == []
    if ".trace" in line and code == 0 and "export" not in line and "report" not in line:
        assert r"A\x1b]0;owned\x07\x9b31m\x1b[2K\u202e\x7f\u2066\nB" in text or "recover" in line


WITH_ARGUMENT = [
    *("run", "estimate", "check", "audit", "report", "nothing", "trace info", "trace replay"),
    *("show network", "show hw", "show energy", "show mapping", "trace diff x", "trace recover"),
    *(f"run lenet5 --{option}" for option in ("hw", "set", "layer", "mapping", "energy", "batch")),
    *("run -q --json", "run --trace-window", "run lenet5 --trace", "estimate --model"),
    *(f"trace replay a.trace --{option}" for option in ("break", "pe", "block", "from")),
]


@pytest.mark.parametrize("command", WITH_ARGUMENT)
@pytest.mark.parametrize("argument", [f"{STEERS}/x", "9" * 20_000], ids=["steers", "long"])
def test_no_argument_comes_back_as_it_is(tell: Any, command: str, argument: str) -> None:
    code, text = tell(*shlex.split(command), argument)
    assert code == 2
    assert steering(text) == []
    assert len(text) < 7000


@pytest.mark.parametrize("line", ["info", "export --to csv --limit 9 -o", "recover", "report"])
def test_no_name_of_a_file_steers_the_terminal(tell: Any, folder: Path, line: str) -> None:
    name = f"{STEERS}.trace"
    (folder / name).write_bytes((folder / "a.trace").read_bytes())
    command, *options = line.split()
    argv = [command, name, *options, *([f"{STEERS}.csv"] if options else [])]
    _, text = tell(*(argv if command == "report" else ["trace", *argv]))
    assert printable(STEERS) in text
    assert steering(text) == []


def test_a_stepper_told_nonsense(folder: Path) -> None:
    command = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())"]
    found = subprocess.run(
        [*command, "trace", "replay", "a.trace", "--step"], cwd=folder, check=True,
        input=f"b {STEERS}\nn {'9' * 20_000}\ng {STEERS}\nb {'9' * 20_000}\nf 1,2\nq\n".replace(
            "\nB", "B"
        ),
        capture_output=True, text=True,
    )  # fmt: skip
    assert steering(found.stdout) == []
    assert found.stdout.count("is no co") == 3
    assert len(found.stdout) < 6000


# --- paths ----------------------------------------------------------------------------------------

NAMES = ("../../evil", "/etc/evil", "a/b", "..\\c", "C:evil", "..", "a_b", "A_B", "-rf", "~")


def test_entries_of_ofmaps_are_no_paths(tmp_path: Path) -> None:
    result = run("lenet5", layers=["OUTPUT"], values=Values(seed=1))
    (one,) = result.layers
    layers = [replace(one, layer=replace(one.layer, name=name)) for name in NAMES]
    stream = io.BytesIO()
    write_ofmaps(stream, layers, archive=True)
    with zipfile.ZipFile(stream) as found:
        entries = found.namelist()
    assert len({entry.casefold() for entry in entries}) == len(NAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.npy", entry) for entry in entries)
    with np.load(io.BytesIO(stream.getvalue())) as arrays:
        assert arrays["a_b"].shape == arrays["evil"].shape


def test_files_of_plots_and_exports_are_no_paths(tell: Any, folder: Path) -> None:
    before = {path.name for path in folder.parent.iterdir()}
    code, text = tell("report", "result.json", "--plots", "figures", "-o", "page.html")
    assert code == 0, text
    assert {path.name for path in folder.parent.iterdir()} == before
    names = [str(path.relative_to(folder)) for path in (folder / "figures").rglob("*")]
    assert names
    assert all(re.fullmatch(r"figures/[A-Za-z0-9._/-]+", name) for name in names)


def test_one_function_for_all() -> None:
    assert printable("CONV1-2 é 漢 𝔸") == "CONV1-2 é 漢 𝔸"
    assert printable("a\tb\u200e\udc80") == r"a\tb\u200e\udc80"
    assert read_json(b'{"a\\u001b": ["\\u202e", 1, {"b": "x\xc2\x9b"}]}') == {
        r"a\x1b": [r"\u202e", 1, {"b": r"x\x9b"}]
    }
    taken: set[str] = set()
    assert [path_part(name, taken) for name in ("a/b", "a b", "...", "")] == [
        "a_b", "a_b_2", "layer", "layer_2",
    ]  # fmt: skip
