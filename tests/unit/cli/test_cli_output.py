"""No file that a command writes takes the place of another that it reads or writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import main

NETWORK = """network: net
layers:
  - {name: A, ifmap: 8, channels: 3, filters: 4, filter: 3}
"""
CASE = """batch: 1
hw: eyeriss_v1
mapping: m=4,n=1,e=6,p=4,q=3,r=1,t=1
layers:
  - {name: A, ifmap: 8, channels: 3, filters: 4, filter: 3}
"""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run {net} --json {net}", "--json {net}: is a file that is read; name another one"),
        ("estimate {net} --report {net}", "--report {net}: is a file that is read"),
        ("audit {net} --json {net}", "--json {net}: is a file that is read"),
        ("check {net} --json {net}", "--json {net}: is a file that is read"),
        ("check --case {case} --json {case}", "--json {case}: is a file that is read"),
        ("validate alexnet --hw {net} --json {net}", "--json {net}: is a file that is read"),
        ("run {net} --json {new} --report {new}", "--report {new}: is the file of --json, too"),
        ("run {net} --json {new} --trace {new}", "--trace {new}: is the file of --json, too"),
        ("calibrate --output {new} --json {new}", "--json {new}: is the file of --output, too"),
    ],
)
def test_no_file_is_lost(
    command: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("net", "case", "new")}
    files["net"].write_text(NETWORK)
    files["case"].write_text(CASE)
    assert main(command.format(**files).split()) == 2
    assert f"error: {words.format(**files)}" in capsys.readouterr().err
    assert files["net"].read_text() == NETWORK
    assert files["case"].read_text() == CASE
    assert not files["new"].exists()


def test_one_file_under_two_names_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.yaml").write_text(NETWORK)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "net.yaml")
    names = [str(tmp_path / "net.yaml"), "--json", str(tmp_path / "link.yaml")]
    assert main(["run", *names]) == 2
    assert "is a file that is read" in capsys.readouterr().err


def test_what_is_no_file_may_be_named_twice() -> None:
    assert main(["run", "lenet5", "--layer", "F6", "--json", "/dev/null", "-q"]) == 0
    twice = ["--json", "/dev/null", "--report", "/dev/null"]
    assert main(["estimate", "lenet5", "--layer", "F6", *twice, "-q"]) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run", "lenet5", "--json", ""], "--json '': is no file name; leave the option out"),
        (["run", "lenet5", "--trace", ""], "--trace '': is no file name"),
        (["run", "lenet5", "--values", "--ofmap", ""], "--ofmap "),
        (["estimate", "lenet5", "--report", ""], "--report '': is no file name"),
        (["estimate", "lenet5", "--plots", ""], "--plots '': is no folder"),
        (["check", "lenet5", "--json", ""], "--json '': is no file name"),
        (["report", "result.json", "-o", ""], "-o '': is no file name"),
    ],
)
def test_an_empty_name_is_no_file(
    argv: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    assert f"error: {words}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "argv", ["run lenet5 -q --json a.json", "run lenet5 -q --trace a.trace", "report a.json"]
)
def test_a_working_directory_that_was_deleted_is_told(
    argv: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(argv.split()) == 2
    words = "the working directory is no longer there; change to one that is"
    assert capsys.readouterr().err.splitlines()[-1].endswith(words)
    # What needs no directory works all the same.
    assert main(["estimate", "lenet5", "-q", "--json", str(tmp_path / "a.json")]) == 0
