"""`report`, and `--report --plots --verbose` of `run` and `estimate`."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_results import lenet, plain, written

from sim.cli import main
from sim.cli.report import labels

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return Path(written(plain(lenet()), tmp_path / "lenet.json"))


def test_report_beside_the_result(result: Path, capsys: Capture) -> None:
    assert main(["report", str(result)]) == 0
    page = result.with_suffix(".html")
    assert capsys.readouterr().out == f"wrote {page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_report_to_stdout_and_to_a_name(result: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["report", str(result), "-o", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("<!DOCTYPE html>")
    assert out.endswith("</html>\n")
    assert main(["report", str(result), str(result), "-o", str(tmp_path / "p.html")]) == 0
    assert "lenet (2)" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_report_never_overwrites_a_result(result: Path, capsys: Capture) -> None:
    before = result.read_bytes()
    assert main(["report", str(result), "-o", str(result)]) == 2
    assert "is a file that is read; name another one" in capsys.readouterr().err
    assert result.read_bytes() == before


def test_all_faults_of_all_files(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.json").write_text("{")
    assert main(["report", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    err = capsys.readouterr().err
    assert "a.json: is not JSON" in err
    assert "b.json: No such file" in err
    assert not (tmp_path / "comparison.html").exists()


def test_labels() -> None:
    assert labels(("x/a.json", "b.json")) == ["a", "b"]
    assert labels(("x/a.json", "y/a.json")) == ["x/a", "y/a"]
    assert labels(("a.json", "a.json")) == ["a", "a (2)"]


@pytest.mark.parametrize("command", ["run", "estimate"])
def test_options_of_run_and_estimate(command: str, tmp_path: Path, capsys: Capture) -> None:
    page, plots = tmp_path / "p.html", tmp_path / "new" / "plots"
    selection = ["lenet5", "--layer", "C1"]
    arguments = [command, *selection, "--report", str(page), "--plots", str(plots), "--verbose"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "Passes of C1" in out
    assert "From the peak to what C1 reached" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.isascii()
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (plots / "C1" / "eyexam.svg").exists()
    assert (plots / "C1" / "eyexam.pdf").exists()


def test_page_of_run_is_the_page_of_its_result(tmp_path: Path) -> None:
    page, file = tmp_path / "lenet5.html", tmp_path / "lenet5.json"
    assert main(["run", "lenet5", "-q", "--report", str(page), "--json", str(file)]) == 0
    assert main(["report", str(file), "-o", str(tmp_path / "again.html")]) == 0
    assert page.read_bytes() == (tmp_path / "again.html").read_bytes()


def test_unwritable_page_is_found_before_the_run(tmp_path: Path, capsys: Capture) -> None:
    assert main(["run", "lenet5", "--report", str(tmp_path / "no" / "p.html")]) == 2
    captured = capsys.readouterr()
    assert "cannot be written" in captured.err
    assert not captured.out
    assert main(["run", "lenet5", "--report", "-"]) == 2
    (tmp_path / "file").write_text("")
    assert main(["estimate", "lenet5", "--plots", str(tmp_path / "file" / "x")]) == 2


def test_figures_and_layers_are_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "figures"
    said = ["estimate", "lenet5", "-q", "--plots", str(folder)]
    assert main([*said, "--plot", "buses,pass", "--plot-layer", "f*,out*", "--plot", "buses"]) == 0
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.svg"))
    assert found == ["F6/buses.svg", "OUTPUT/buses.svg"]
    assert main([*said[:3], "--plots", str(tmp_path / "none"), "--plot", "pass"]) == 0
    assert "nothing to draw; pass is no figure of what was chosen" in capsys.readouterr().err
    for options, words in (
        (["--plot", "stals"], "--plot: no figure 'stals'; did you mean 'stalls'?"),
        (["--plot-layer", "C9"], "--plot-layer: no layer 'C9'; known: C1, C3, C5, F6, OUTPUT"),
    ):
        assert main([*said, *options]) == 2
        assert words in capsys.readouterr().err
    for option in ("--plot", "--plot-layer"):
        assert main(["run", "lenet5", option, "x"]) == 2
        assert f"{option} needs --plots" in capsys.readouterr().err
