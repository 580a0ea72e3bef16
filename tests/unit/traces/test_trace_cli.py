"""`run --trace` and `trace ...`: words, exit codes, files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import traces
from sim.cli import main
from sim.cli.trace_step import StepPrompt
from traces.step import Stepper

COMMAND = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())"]


MAPPING = str(Path(__file__).parents[2] / "lenet5_mapping.yaml")
RUN = ("run", "lenet5", "--batch", "1", "--mapping", MAPPING)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("cli") / "t.trace"
    assert main([*RUN, "--trace", str(found), "-q"]) == 0
    return found


def told(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> tuple[str, str]:
    assert main(["trace", *map(str, args)]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_info(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = told(capsys, "info", path)
    assert f"{path}: complete trace, " in out
    assert "network lenet5, batch 1, array 12 x 14" in out
    assert "\nC3 " in out


def test_replay_says_that_it_is_equal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = told(capsys, "replay", path)
    assert out.count("equal to the run") == 5
    assert "ledger, stalls, cycles and energy of 5 layers are those of the run" in out


def test_replay_with_a_filter_prints_events(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = told(
        capsys, "replay", path, "--layer", "c1", "--pe", "3,1", "--action", "mac", "--until", 300
    )
    lines = out.splitlines()
    assert lines
    assert all("pe(3,1)  mac  30 words" in line for line in lines)
    again = ["--layer", "c1", "--pe", "3,1", "--action", "mac", "--to", 300]  # as it was called
    assert told(capsys, "replay", path, *again)[0] == out
    usage, _ = told(capsys, "replay", "--help")
    assert "--until CYCLE" in usage
    assert "--to" not in usage
    out, _ = told(capsys, "replay", path, "--layer", "c1", "--limit", 3, "--from", 5)
    assert out.splitlines()[-1].startswith("the first 3 events; narrow the query")


def test_step_obeys_piped_commands(path: Path) -> None:
    found = subprocess.run(
        [*COMMAND, "trace", "replay", str(path), "--layer", "C1", "--step"],
        input="n 3\np 2\ng 400\nf 3,1\nb pass > 3\nb nonsense\nn 0\ng x\nhelp\nq\nn\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    heads = [line for line in found.stdout.splitlines() if line.startswith("C1 pass 0, event")]
    assert [line.split(" of ")[0].rsplit(" ", 1)[1] for line in heads[:3]] == ["1", "4", "2"]
    assert "cycle 400+" in heads[3]
    assert "spad.ifmap(3,1) " in found.stdout
    assert "there is none" in found.stdout
    assert "is no condition" in found.stdout
    assert "is no count" in found.stdout
    assert "is no cycle" in found.stdout
    assert "g CYCLE " in found.stdout


def test_step_completes_names_and_explains_one_command(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with traces.open(path) as found:
        stepper = Stepper(found, found.layers[0], found.query())
        prompt = StepPrompt(stepper)
        assert prompt.complete_b("glb.psum", "b glb.psum", 2, 10) == [
            "glb.psum.read",
            "glb.psum.write",
        ]
        assert prompt.onecmd("help f") is None
        assert capsys.readouterr().out.startswith("f ROW,COL ")
        assert prompt.onecmd("") is False
        assert capsys.readouterr().out.startswith("C1 pass 0, event 1 of ")
        assert prompt.onecmd("EOF") is True


def test_break_stops_where_it_holds(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = told(capsys, "replay", path, "--layer", "C3", "--break", "glb.psum.read > 100")
    assert "glb  read  psum" in out.splitlines()[0]
    out, _ = told(capsys, "replay", path, "--layer", "C1", "--break", "glb.psum.read > 0", code=1)
    assert out == "glb.psum.read > 0 never holds in C1\n"
    out, _ = told(capsys, "replay", path, "--layer", "C1", "--break", "waiting_psum_in(3,1) > 3")
    waits = next(line for line in out.splitlines() if line.startswith("PEs: "))
    assert "waiting_psum_in" in waits
    never = ["--layer", "C1", "--break", "waiting_psum_in(3,1) > 1000"]
    out, _ = told(capsys, "replay", path, *never, code=1)
    most = int(re.fullmatch(r".* never holds in C1; the longest .* is (\d+) cycles\n", out)[1])
    just = f"waiting_psum_in(3,1) == {most}"
    assert told(capsys, "replay", path, "--layer", "C1", "--break", just)[0]
    _, err = told(capsys, "replay", path, "--break", "waiting_psum_in > 3", code=2)
    assert "needs a PE, (ROW,COLUMN)" in err
    _, err = told(capsys, "replay", path, "--break", "glb.psum.raed > 0", code=2)
    assert "did you mean glb.psum.read" in err


def test_diff(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = told(capsys, "diff", path, path)
    assert out == "every event is the same\n"
    other = tmp_path / "o"
    deeper = ["--set", "noc.local_hop_cycles=2"]
    assert main([*RUN, "--trace", str(other), "-q", *deeper]) == 0
    out, _ = told(capsys, "diff", path, other, code=1)
    inputs, parting, *_ = out.splitlines()
    assert inputs == "A and B differ in noc.local_hop_cycles: 1 and 2"
    assert parting.startswith("the runs part in layer C1, pass 0, cycle ")
    assert "(duration)" in parting
    assert "A: cycle" in out
    assert "processing cycles: " in out


def test_diff_names_the_mapping_and_all_else_that_was_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Layers of one mapping are told together; what has no effect is told, too."""
    (tmp_path / "map.yaml").write_text(
        "layers:\n  F6: {m: 84, n: 1, e: 1, p: 6, q: 7, r: 1, t: 14}\n"
        "  OUTPUT: {m: 10, n: 1, e: 1, p: 5, q: 12, r: 1, t: 2}\n"
    )
    for name, options in (
        ("a", ["--mapping", "auto"]),
        ("b", ["--mapping", str(tmp_path / "map.yaml")]),
        ("c", ["--mapping", "auto", "--set", "pe.psum_in_fifo_words=1000"]),
        ("d", ["--mapping", "auto", "--batch", "2"]),
    ):
        layers = ["--layer", "F6", "--layer", "OUTPUT"]
        args = ["run", "lenet5", *layers, *options, "--trace", str(tmp_path / name), "-q"]
        assert main(args) == 0
    out, _ = told(capsys, "diff", tmp_path / "a", tmp_path / "b", code=1)
    first, second, third, *_ = out.splitlines()
    assert first.startswith("A and B differ in mapping of F6: e=1,m=")
    assert first.endswith(" and e=1,m=84,n=1,p=6,q=7,r=1,t=14")
    assert second.startswith("A and B differ in mapping of OUTPUT: ")
    assert third.startswith("the runs part in layer F6, pass 0, cycle ")
    out, _ = told(capsys, "diff", tmp_path / "a", tmp_path / "c")
    assert out.splitlines() == [
        "A and B differ in pe.psum_in_fifo_words: 32 and 1000",
        "every event is the same",
    ]
    out, _ = told(capsys, "diff", tmp_path / "a", tmp_path / "d", code=1)
    assert out.startswith("A and B differ in batch: 1 and 2\n")


@pytest.mark.parametrize("form", ["perfetto", "vcd", "csv", "npz"])
def test_export(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    file = tmp_path / "e"
    out, err = told(
        capsys, "export", path, "--layer", "C1", "--to", form, "-o", file, "--until", 500
    )
    assert out.startswith(f"{file}: ")
    assert err == ""
    assert file.stat().st_size > 1000
    _, err = told(capsys, "export", path, "--layer", "C1", "--to", form, "-o", file, "--limit", 50)
    assert err.startswith("note: the first 50 events, to cycle ")


def test_an_export_takes_neither_the_trace_nor_a_result_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    _, err = told(capsys, "export", path, "--layer", "C1", "--to", "csv", "-o", path, code=2)
    assert "is a file that is read; name another one" in err
    assert path.read_bytes() == before
    monkeypatch.chdir(tmp_path)
    Path("t.json").write_text("the result of the same run")
    out, _ = told(capsys, "export", path, "--layer", "C1", "--to", "perfetto", "--until", 100)
    assert out.startswith("t.perfetto.json: ")
    assert Path("t.json").read_text() == "the result of the same run"


def test_what_would_be_ignored_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    condition = ["--break", "glb.psum.write > 1000"]
    _, err = told(capsys, "replay", path, *condition, "--until", 100, code=2)
    assert "--until has no meaning with --break alone" in err
    _, err = told(capsys, "replay", path, "--break", "fifo.psum_in(99,1) > 3", code=2)
    assert "no block pe(99,1): rows are 0 to 11, columns 0 to 13" in err
    for option, name in (("--action", "load"), ("--type", "ofmap")):
        _, err = told(capsys, "replay", path, option, name, code=2)
        assert f"{name!r} is of tiles, which are no events of a pass" in err


def test_help_where_no_command_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = told(capsys)
    assert out.startswith("Usage: eyeriss-sim trace")
    assert "..." not in out.partition("Commands:")[2]
    assert err == ""


def test_an_export_needs_one_layer(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = told(capsys, "export", path, "--to", "csv", code=2)
    assert "each layer counts its own cycles; name one of C1, C3, C5, F6, OUTPUT" in err


def test_files_that_are_none(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-100])
    for command in (["info"], ["replay"], ["export", "--to", "csv"], ["recover"]):
        _, err = told(capsys, *command, tmp_path / "cut", code=2)
        assert err.startswith(f"error: {tmp_path / 'cut'}: ")
        assert err.count("\n") == 1
    _, err = told(capsys, "info", tmp_path / "none", code=2)
    assert "No such file" in err
    _, err = told(capsys, "diff", path, __file__, code=2)
    assert "is no trace file" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trace-layer", "C1"], "--trace-layer needs --trace"),
        (["--trace-window", "1:2"], "--trace-window needs --trace"),
        (["--trace", "t", "--trace-window", "5:5"], "must be FIRST:LAST in cycles"),
        (["--trace", "t", "--trace-window", "x"], "must be FIRST:LAST in cycles"),
        (
            ["--trace", "t", "--trace-blocks", "glb,nok"],
            "no group of blocks 'nok'; did you mean 'noc'?",
        ),
        (["--trace", "t", "--trace-layer", "C9"], "--trace-layer: no layer 'C9'; known: C1, C3"),
        (["--trace", "-"], "a trace is written to a file"),
        (["--trace", "none/t"], "none/t: cannot be written: No such file or directory"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["run", "lenet5", "-q", *options]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_limited_trace_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "t"
    args = ["--trace", str(file), "--trace-layer", "c3", "--trace-blocks", "glb,noc"]
    assert main(["run", "lenet5", "-q", *args, "--trace-window", "0:100"]) == 0
    out, _ = told(capsys, "info", file)
    assert "partial: only the passes within cycles 0 to 100 were recorded" in out
    _, err = told(capsys, "replay", file, code=2)
    assert "the ledger cannot be rebuilt: only the passes within cycles 0 to 100" in err
