"""`eyeriss-sim run`: exit codes, messages, the result file, and how it ends when it fails."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sim.run
from sim.cli import main
from sim.cli.output import Target, json_text
from sim.cli.progress import Estimate, duration, seconds_left
from sim.errors import DeadlockError
from sim.run import make_plans, resolve

COMMAND = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())"]
HEAVY = ("numpy", "pydantic", "simpy", "rich", "yaml")

TRY = ": try another --mapping, --hw or --set\n"


@pytest.fixture
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("must not be simulated")

    monkeypatch.setattr(sim.run, "simulate", refuse)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(sim.run, "simulate", fail)


# --- help and version -----------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["run"], ["run", "--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; from sim.cli import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_help_of_the_group_imports_no_command() -> None:
    code = (
        "import sys; from sim.cli import main; main(['--help']);"
        "print([name for name in sys.modules if name.startswith('sim.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['sim.cli.lazy']"  # of the groups, no command
    assert "Simulate layers of a network event by event." in done.stdout


def test_run_without_anything_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Usage: eyeriss-sim run [OPTIONS] [NETWORK]\n")
    assert captured.err == ""


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: eyeriss-sim ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("eyeriss-sim 0.")


# --- what a run prints and writes -----------------------------------------------------------------


def test_a_run_prints_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", "--layer", "c1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("lenet5 on eyeriss_v1\n1 layer, batch 1, event engine; ")
    assert "117,600" in captured.out
    assert "\x1b" not in captured.out
    assert captured.err == ""  # no progress where nobody looks


def test_the_default_network_is_alexnet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--layer", "CONV5", "--batch", "1"]) == 0
    assert capsys.readouterr().out.startswith("alexnet on eyeriss_v1\n1 layer, batch 1, ")


def test_the_result_file_keeps_its_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    assert main(["run", "lenet5", "--layer", "C3", "--quiet", "--json", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    text = file.read_text(encoding="utf-8")
    result = json.loads(text)
    assert (result["schema"], result["version"]) == ("eyeriss-sim/result", 3)
    assert (result["engine"], result["network"], result["batch"]) == ("event", "lenet5", 1)
    assert result["hw"]["array"].items() >= {"rows": 12, "columns": 14}.items()
    (layer,) = result["layers"]
    assert layer["macs"] == result["totals"]["macs"] == 240_000
    assert sorted(layer["mapping"]) == sorted("mnepqrt")
    cycles = layer["cycles"]
    assert sum(cycles["by_cause"].values()) == 168 * cycles["processing"]
    assert set(layer["utilization"]) == {"active", "array"}
    assert set(layer["dram_bytes"]) == {"filter", "ifmap", "ofmap"}
    accesses = layer["accesses"]
    assert accesses["mac"]["active"] + accesses["mac"]["gated"] == layer["macs"]
    for block, kind, ways in (
        ("dram", "filter", {"read"}),
        ("dram", "ofmap", {"write"}),
        ("glb", "psum", {"read", "write"}),
        ("spad", "psum", {"read", "write"}),
    ):
        assert ways <= set(accesses[block][kind])
    for network in ("gin_filter", "gin_ifmap", "gin_psum", "gon_psum"):
        assert {"words", "deliveries"} <= set(accesses["noc"][network])
    multicast = accesses["noc"]["gin_ifmap"]["multicast"]
    assert sum(multicast.values()) == accesses["noc"]["gin_ifmap"]["words"]
    assert layer["glb_published_convention_bytes"] > 0
    macs = layer["pe"]["macs"]
    assert (len(macs), len(macs[0])) == (12, 14)
    assert sum(map(sum, macs)) == 240_000
    assert f"   {json.dumps(macs[0])}" in text  # a row of PEs on one line
    assert list(tmp_path.iterdir()) == [file]


def test_json_on_stdout_takes_the_place_of_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", "--layer", "OUTPUT", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in result["layers"]] == ["OUTPUT"]


def test_every_pass_gives_the_same_result(capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for more in ([], ["--every-pass"]):
        assert main(["run", "lenet5", "--layer", "OUTPUT", "--json", "-", *more]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["totals"].pop("passes_simulated") == result["layers"][0]["passes_simulated"]
        del result["layers"][0]["passes_simulated"]
        results.append(result)
    assert results[0] == results[1]


def test_a_users_network_and_hardware(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "network: tiny\nlayers:\n  - {name: ONE, ifmap: 6, channels: 2, filters: 4, filter: 3}\n"
    )
    assert main(["run", str(file), "--set", "array.rows=3", "--set", "array.columns=4"]) == 0
    assert "tiny on eyeriss_v1\n1 layer, batch 1, event engine; 3 x 4 = 12 PEs" in (
        capsys.readouterr().out
    )


# --- mistakes of the user -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["lenet6"],
            "error: no network 'lenet6'; did you mean 'lenet5'? known: alexnet, "
            "bert_base_layer, efficientnet_b0, lenet5, mobilenet_v1, mobilenet_v2, "
            "mobilenet_v3_large, resnet18, resnet50, squeezenet, vgg16, vit_b16_block\n",
        ),
        (
            [
                "lenet5",
                "--layer",
                "OUTPT",
                "--layer",
                "X",
                "--hw",
                "eyeris",
                "--set",
                "array.row=3",
            ],
            "error: lenet5: no layer 'OUTPT'; did you mean 'OUTPUT'? known: C1, C3, C5, F6, "
            "OUTPUT\n"
            "error: lenet5: no layer 'X'; known: C1, C3, C5, F6, OUTPUT\n"
            "error: --set array.row=3: no hardware field 'array.row'; did you mean 'array.rows'? "
            "known: array.rows, array.columns, array.first_channel_set\n"
            "error: no shipped hardware 'eyeris'; did you mean 'eyeriss_v1'? known: "
            "eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1\n",
        ),
        (["lenet5", "--batch", "0"], "error: --batch: must be 1 to 4096, got 0\n"),
        (
            ["lenet5", "--mapping", "publishd"],
            "error: --mapping: 'publishd' is not published, alternative, auto, a file or "
            "m=..,n=..,..; did you mean 'published'?\n",
        ),
        (["absent.yaml"], "error: absent.yaml: no such file\n"),
    ],
)
@pytest.mark.usefixtures("no_simulation")
def test_every_mistake_is_a_line(
    args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *args]) == 2
    assert capsys.readouterr() == ("", words)


@pytest.mark.parametrize(
    ("args", "last"),
    [
        (["rnu"], "error: No such command 'rnu'. Did you mean 'run'?"),
        (["run", "--lyer", "x"], "error: No such option '--lyer'."),
        (["run", "lenet5", "--batch", "x"], "error: Invalid value for '--batch': 'x' is not a"),
        (["run", "lenet5", "C1"], "error: Got unexpected extra argument (C1)"),
        (["run", "lenet5", "--json"], "error: Option '--json' requires an argument."),
    ],
)
def test_wrong_usage(args: list[str], last: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(last)


@pytest.mark.parametrize(
    ("args", "last"),
    [
        (
            ["--layer", "C1", "--layer", "F6"],
            f"error: eyeriss_v1 refuses layers that you named; nothing was simulated{TRY}",
        ),
        (
            ["--layer", "C1"],
            f"error: eyeriss_v1 refuses every layer; nothing was simulated{TRY}",
        ),
    ],
)
@pytest.mark.usefixtures("no_simulation")
def test_a_refused_layer_that_was_named(
    args: list[str], last: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")
    limit = ["--set", "limits.filter_rows=[1, 3]", "--json", str(file)]
    assert main(["run", "lenet5", *args, *limit]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "refused: C1: filter rows R = 5, limit 1 to 3: rows the configuration can name\n" + last
    )
    assert file.read_text() == "old"


def test_a_refused_layer_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", "--set", "limits.filter_rows=[1, 3]"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("refused: C") == 3
    assert "3 more layers are beyond this chip and not in these numbers" in captured.out
    assert "Refused by the chip, not simulated\n  C1: filter rows R = 5, limit" in captured.out


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_simulation")
def test_the_result_file_is_checked_before_the_simulation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent" / "result.json"
    assert main(["run", "lenet5", "--json", str(absent)]) == 2
    assert capsys.readouterr() == (
        "",
        f"error: {absent}: cannot be written: No such file or directory\n",
    )
    assert main(["run", "lenet5", "--json", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", f"error: {tmp_path}: cannot be written: Is a directory\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeadlockError("stuck"), OSError(5, "I/O")])
def test_a_failure_leaves_the_file_untouched(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")
    fail_with(monkeypatch, error)
    assert main(["run", "lenet5", "--json", str(file)]) != 0
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failing_write_leaves_the_file_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert main(["run", "lenet5", "--layer", "OUTPUT", "--json", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {file}: cannot be written: No space left on device\n"
    assert captured.out.startswith("lenet5 on ")  # the work of the simulation is not lost
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_writing_keeps_mode_and_link(tmp_path: Path) -> None:
    file, link = tmp_path / "file.json", tmp_path / "link.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    target = Target(str(link))
    target.check()
    target.write("new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_device_is_written_and_not_replaced() -> None:
    target = Target(os.devnull)
    target.check()
    target.write("text")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_json_text_is_the_same_data_on_fewer_lines() -> None:
    data = {
        "name": "ü",
        "numbers": [[1, 2.5], [3, 4]],
        "empty": [{}, []],
        "flat": {"a": None, "b": True},
        "list": list(range(200)),
    }
    text = json_text(data)
    assert json.loads(text) == data
    assert text.splitlines()[1:6] == [
        ' "name": "ü",',
        ' "numbers": [',
        "  [1, 2.5],",
        "  [3, 4]",
        " ],",
    ]
    assert len(text.splitlines()) == 13


# --- when it ends otherwise -----------------------------------------------------------------------


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["run", "lenet5"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_real_ctrl_c_prints_no_traceback() -> None:
    code = """
import sys
import sim.run
from sim.cli import main
simulate = sim.run.simulate
def run(*args, **options):
    print("ready", flush=True)
    return simulate(*args, **options)
sim.run.simulate = run
sys.exit(main(["run", "alexnet", "--layer", "CONV2", "--every-pass"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.5)  # into the event loop
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")


def test_a_defect_of_the_simulator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, DeadlockError("PE (0, 1) waits for filters"))
    assert main(["run", "lenet5"]) == 3
    assert capsys.readouterr() == (
        "",
        "internal error: PE (0, 1) waits for filters\n"
        "This is a defect of the simulator, not of what you gave it; please report it with the "
        "command that led to it.\n",
    )


def test_an_unforeseen_exception_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    assert main(["run", "lenet5"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("internal error: ZeroDivisionError: division by zero (cli/test_cli_run.")
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "show", "hw", "eyeriss_v1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_on_stdout() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "show"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device\n"


def test_a_name_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network: größe\nlayers: [{name: 層, ifmap: 4, channels: 1, filters: 1, filter: 3}]\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [*COMMAND, "run", str(file)],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("größe on eyeriss_v1".encode("latin-1"))
    assert b"\\u5c64" in done.stdout


# --- progress -------------------------------------------------------------------------------------


def stderr_of_a_terminal(args: list[str]) -> str:
    leader, follower = pty.openpty()
    with subprocess.Popen([*COMMAND, *args], stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            seen += piece
        os.close(leader)
    assert process.returncode == 0
    return seen.decode()


def test_progress_on_a_terminal() -> None:
    seen = stderr_of_a_terminal(["run", "lenet5", "--layer", "C3"])
    assert "C3" in seen
    assert "simulated" in seen


def test_no_progress_with_quiet() -> None:
    assert stderr_of_a_terminal(["run", "lenet5", "--layer", "C3", "--quiet"]) == ""


@pytest.mark.parametrize("every_pass", [True, False])
def test_the_share_of_work_done_grows_to_one(every_pass: bool) -> None:
    network, batch, hw = resolve("lenet5", (), None, "eyeriss_v1")
    plans, _, _ = make_plans(network, batch, hw, "auto")
    estimate = Estimate(plans, every_pass)
    shares = []
    for plan in plans:
        name, total = plan.layer.name, plan.passes
        shares += [estimate.update(name, done, total, done + 1) for done in range(min(total, 9))]
        shares.append(estimate.update(name, total, total, total))
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)


def test_time_left() -> None:
    assert seconds_left(10, 0.25) == pytest.approx(30)
    assert seconds_left(10, 0) is None
    assert [duration(seconds) for seconds in (0, 75, 3725)] == ["0:00", "1:15", "1:02:05"]
