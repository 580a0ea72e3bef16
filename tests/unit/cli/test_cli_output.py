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
