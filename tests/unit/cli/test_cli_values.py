"""`eyeriss-sim run --values`: words from a seed or from files, ofmaps compared and written."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.run
from sim.account.result import Result
from sim.check.convolution import convolve
from sim.cli import main
from sim.cli.arrays import read_words
from sim.engine.values import random_words
from sim.errors import InputError
from workloads.layer import Layer

LAYER = Layer(name="ONE", M=4, C=2, H=6, W=5, R=3, S=2)
IFMAP_SHAPE, FILTER_SHAPE = (1, 2, 6, 5), (4, 2, 3, 2)


@pytest.fixture
def network(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "network: tiny\nlayers:\n"
        "  - {name: ONE, ifmap: [6, 5], channels: 2, filters: 4, filter: [3, 2]}\n"
        "  - {name: a/b, ifmap: 5, channels: 1, filters: 1, filter: 3}\n"
    )
    return str(file)


@pytest.fixture
def one(network: str) -> list[str]:
    return ["run", network, "--layer", "ONE", "--values"]


def saved(folder: Path, dtype: str = "int16") -> tuple[Path, Path]:
    generator = np.random.default_rng(0)
    ifmap, filters = folder / "ifmap.npy", folder / "filter.npy"
    np.save(ifmap, generator.integers(-99, 100, IFMAP_SHAPE).astype(dtype))
    np.save(filters, generator.integers(-99, 100, FILTER_SHAPE).astype(dtype))
    return ifmap, filters


def words(files: tuple[Path, Path]) -> list[str]:
    return ["--ifmap", str(files[0]), "--filter", str(files[1])]


def wrong_ofmaps(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    whole = sim.run.simulate

    def run(*args: object, **options: object) -> Result:
        result = whole(*args, **options)  # type: ignore[arg-type]
        layers = []
        for layer in result.layers:
            assert layer.values is not None
            layers.append(replace(layer, values=replace(layer.values, wrong=wrong)))
        return replace(result, layers=tuple(layers))

    monkeypatch.setattr(sim.run, "simulate", run)


# --- words of other widths ------------------------------------------------------------------------


def test_words_are_those_of_the_chip(network: str) -> None:
    found = sim.run.run(network, layers=["ONE"], hw="eyeriss_int8", values=sim.run.Values(seed=3))
    plan = sim.run.prepare(network, layers=["ONE"], hw="eyeriss_int8").plans[0]
    ifmap, filters = random_words(plan, 3)
    for drawn in (ifmap, filters):
        assert -128 <= drawn.min() < -64 < 64 < drawn.max() <= 127
    values = found.layers[0].values
    assert values is not None
    assert values.wrong == 0
    assert values.ofmap.tolist() == convolve(plan.layer, ifmap, filters).tolist()


def test_given_words_must_fit_the_chips(
    one: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ifmap, filters = saved(tmp_path)
    int8 = [*one, "--hw", "eyeriss_int8", "-q"]
    assert main([*int8, *words((ifmap, filters))]) == 0
    np.save(filters, np.full(FILTER_SHAPE, 128))
    assert main([*int8, *words((ifmap, filters))]) == 2
    found = "--filter: holds 128 to 128, a word is -128 to 127\n"
    assert capsys.readouterr().err == f"error: {filters}: {found}"
    with pytest.raises(InputError, match="--ifmap: holds -129 to -129, a word is -128 to 127"):
        sim.run.run(
            one[1],
            layers=["ONE"],
            hw="eyeriss_int8",
            values=sim.run.Values(ifmap=np.full(IFMAP_SHAPE, -129)),
        )


def test_words_whose_sums_may_pass_64_bit_are_refused(
    one: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wide = ["--set", "word_bits=32", "--set", "glb.port_bits=128"]
    assert main([*one, *wide]) == 2
    assert capsys.readouterr().err == (
        "error: ONE on eyeriss_v1: --values adds 12 products of 32 by 32 bit, limit 64 bit for "
        "their sum: lower word_bits.ifmap or word_bits.filter\n"
    )
    # 12 products of 2^46 do not reach 2^63.
    assert main([*one, *wide, "--set", "word_bits.ifmap=16", "-q"]) == 0


# --- what crosses the DRAM link -------------------------------------------------------------------


def test_what_is_declared_of_zeros_does_not_size_real_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = tmp_path / "three.yaml"
    shape = "ifmap: [6, 5], channels: 2, filters: 4, filter: [3, 2]"
    network.write_text(
        "network: three\nlayers:\n  - {name: FIRST, " + shape + "}\n"
        "  - {name: NONE, " + shape + "}\n"
        "  - {name: FEW, " + shape + ", ifmap_zero_fraction: 0.0, ofmap_zero_fraction: 0.1}\n"
    )
    ifmap, filters = saved(tmp_path)
    sparse = np.load(ifmap)
    sparse[np.arange(sparse.size).reshape(sparse.shape) % 5 > 0] = 0
    np.save(ifmap, sparse)
    found = {}
    for name in ("FIRST", "NONE", "FEW"):
        trace = str(tmp_path / f"{name}.trace")
        args = ["run", str(network), "--layer", name, "--values", *words((ifmap, filters))]
        assert main([*args, "--trace", trace, "--json", "-"]) == 0
        result = json.loads(capsys.readouterr().out)
        found[name] = result["layers"][0]
        assert main(["trace", "replay", trace]) == 0
        capsys.readouterr()
        kinds = "ofmap" if name == "FIRST" else "ifmap and ofmap"
        note = f"{name}: DRAM sizes of {kinds} are those of the real words, run-length coded"
        assert note in result["notes"]
    for key in ("dram_bytes", "cycles", "energy"):
        assert found["NONE"][key] == found["FEW"][key]
    # The network's input is not coded, whatever is in it.
    loaded = found["FIRST"]["accesses"]["dram"]["ifmap"]["read"]
    assert found["FIRST"]["dram_bytes"]["ifmap"] == 2 * loaded
    assert found["NONE"]["dram_bytes"]["ifmap"] < loaded


# --- outcomes -------------------------------------------------------------------------------------


def test_the_summary_says_that_ofmaps_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", "--values", "--layer", "C1", "--layer", "F6"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert (
        "\n\nOfmaps, before ReLU\n"
        "  C1: ofmap: 4,704 elements, all equal to NumPy's convolution (words of seed 0).\n"
        "  F6: ofmap: 84 elements, all equal to NumPy's convolution (words of seed 0).\n\n"
    ) in captured.out
    assert "nothing is known of zeros" not in captured.out


def test_the_result_file_has_the_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["run", "lenet5", "--layer", "F6", "--json", "-"]
    assert main([*args, "--values", "--seed", "8"]) == 0
    (layer,) = json.loads(capsys.readouterr().out)["layers"]
    assert layer["values"] == {"elements": 84, "wrong": 0, "gated_off": 0, "seed": 8}
    assert main(args) == 0
    (bare,) = json.loads(capsys.readouterr().out)["layers"]
    assert "values" not in bare
    # What the array waits for differs: real ofmaps have zeros, and leave coded.
    assert bare["cycles"]["processing"] == layer["cycles"]["processing"]
    assert bare["cycles"]["by_cause"] == layer["cycles"]["by_cause"]
    assert (bare["dram_coding"]["ofmap"], layer["dram_coding"]["ofmap"]) == ("raw", "words")
    assert bare["pe"] == layer["pe"]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_wrong_ofmap_is_exit_code_1(
    quiet: list[str],
    one: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong_ofmaps(monkeypatch, 3)
    ofmap, result = tmp_path / "ofmap.npy", tmp_path / "result.json"
    assert main([*one, *quiet, "--ofmap", str(ofmap), "--json", str(result)]) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        "error: ONE: 3 of 64 elements of the ofmap differ from NumPy's convolution; this is a "
        "defect of the simulator\n"
    )
    if not quiet:
        assert "ofmap: 64 elements, 3 of them not equal to NumPy's convolution" in captured.out
    assert ofmap.exists()  # to look at
    assert json.loads(result.read_text())["layers"][0]["values"]["wrong"] == 3


# --- words from files -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", ">i2", "int64", "int8", "uint8"])
def test_words_from_files(
    dtype: str, one: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = saved(tmp_path, "int64")
    given = [np.load(file).clip(0, 99) if dtype == "uint8" else np.load(file) for file in files]
    for file, array in zip(files, given, strict=True):
        np.save(file, array.astype(dtype))
    ofmap = tmp_path / "ofmap.npy"
    assert main([*one, *words(files), "--ofmap", str(ofmap)]) == 0
    assert "ONE: ofmap: 64 elements, all equal to NumPy's convolution (given words).\n" in (
        capsys.readouterr().out
    )
    expected = convolve(LAYER, given[0], given[1])
    assert np.load(ofmap).dtype == np.int64
    assert (np.load(ofmap) == expected).all()


def test_fortran_order_and_version_2(one: list[str], tmp_path: Path) -> None:
    files = saved(tmp_path)
    ifmap, filters = (np.load(file) for file in files)
    np.save(files[0], np.asfortranarray(ifmap))
    with files[1].open("wb") as stream:
        np.lib.format.write_array(stream, filters, version=(2, 0))
    ofmap = tmp_path / "ofmap.npy"
    assert main([*one, *words(files), "--ofmap", str(ofmap), "-q"]) == 0
    assert (np.load(ofmap) == convolve(LAYER, ifmap, filters)).all()


def save(array: object) -> Callable[[Path], None]:
    return lambda file: np.save(file, array, allow_pickle=True)


def cut(file: Path) -> None:
    np.save(file, np.zeros(IFMAP_SHAPE, np.int16))
    file.write_bytes(file.read_bytes()[:-1])


def lengthened(file: Path) -> None:
    np.save(file, np.zeros(IFMAP_SHAPE, np.int16))
    file.write_bytes(file.read_bytes() + b"x")


def sparse(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 36)


def claims_too_much(file: Path) -> None:
    """A header that promises terabytes, in a file that has none."""
    with file.open("wb") as stream:
        header = {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)}
        np.lib.format.write_array_header_1_0(stream, header)


def version_9(file: Path) -> None:
    file.write_bytes(b"\x93NUMPY\x09\x00" + bytes(100))


def evil_header(file: Path) -> None:
    text = b"{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': ()}"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def nested_header(file: Path) -> None:
    text = b"(" * 5000
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def an_archive(file: Path) -> None:
    with file.open("wb") as stream:
        np.savez(stream, a=np.zeros(IFMAP_SHAPE, np.int16))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda _: None, "No such file or directory"),
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "is not a regular file"),
        (lambda file: file.write_bytes(b""), "is not a .npy file"),
        (lambda file: file.write_text("1, 2, 3\n"), "is not a .npy file"),
        (an_archive, "is not a .npy file"),
        (evil_header, "is not a .npy file"),
        (nested_header, "is not a .npy file"),
        (version_9, "has version 9.0 of the .npy format, not 1 or 2"),
        (save(np.zeros(IFMAP_SHAPE)), "has elements of type float64, whole numbers are needed"),
        (save(np.zeros(IFMAP_SHAPE, bool)), "has elements of type bool, whole numbers are needed"),
        (save(np.full(IFMAP_SHAPE, None)), "has elements of type object, whole numbers are"),
        (save(np.zeros((1, 2, 5, 6), np.int16)), "has shape (1, 2, 5, 6), the layer needs (1, 2"),
        (save(np.zeros((2, 6, 5), np.int16)), "has shape (2, 6, 5), the layer needs (1, 2, 6, 5)"),
        (save(np.int16(1)), "has shape (), the layer needs (1, 2, 6, 5)"),
        (save(np.full(IFMAP_SHAPE, 1 << 15)), "holds 32768 to 32768, a word is -32768 to 32767"),
        (save(np.full(IFMAP_SHAPE, 1 << 63, np.uint64)), "holds 9223372036854775808 to 9223"),
        (cut, "holds 119 bytes of words, its header says 120"),
        (lengthened, "holds 121 bytes of words, its header says 120"),
        (sparse, "has 68719476736 bytes, too many for the 60 words of the layer"),
        (claims_too_much, "has shape (1099511627776,), the layer needs (1, 2, 6, 5)"),
    ],
)
def test_an_unusable_file(
    make: Callable[[Path], object],
    found: str,
    one: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = saved(tmp_path)
    files[0].unlink()
    make(files[0])
    assert main([*one, *words(files)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {files[0]}: --ifmap: {found}")
    assert captured.err.count("\n") == 1


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    file, _ = saved(tmp_path)
    file.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_words("--ifmap", str(file), IFMAP_SHAPE)


def test_the_filter_is_named_where_it_is_wrong(
    one: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ifmap, _ = saved(tmp_path)
    assert main([*one, *words((ifmap, ifmap))]) == 2
    assert capsys.readouterr().err == (
        f"error: {ifmap}: --filter: has shape (1, 2, 6, 5), the layer needs (4, 2, 3, 2)\n"
    )


# --- written ofmaps -------------------------------------------------------------------------------


def test_several_ofmaps_go_to_an_archive(network: str, tmp_path: Path) -> None:
    file = tmp_path / "ofmaps.npz"
    assert main(["run", network, "--values", "--ofmap", str(file), "-q"]) == 0
    with np.load(file, allow_pickle=False) as found:
        assert sorted(found) == ["ONE", "a_b"]  # no path, whatever the layer is called
        assert found["ONE"].shape == (1, 4, 4, 4)
    before = file.read_bytes()
    assert main(["run", network, "--values", "--ofmap", str(file), "-q"]) == 0
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.np*")] == ["ofmaps.npz"]


def test_one_ofmap_may_go_to_an_archive(one: list[str], tmp_path: Path) -> None:
    file = tmp_path / "ofmap.NPZ"
    assert main([*one, "--ofmap", str(file), "-q"]) == 0
    with np.load(file) as found:
        assert list(found) == ["ONE"]


def test_a_failure_leaves_the_old_ofmap(
    one: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ofmap.npy"
    file.write_bytes(b"old")
    file.chmod(0o640)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert main([*one, "--ofmap", str(file)]) == 2
    assert file.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))
    assert main([*one, "--ofmap", str(file), "-q"]) == 0
    assert np.load(file).shape == (1, 4, 4, 4)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_the_ofmap_file_is_checked_first(
    one: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("must not be simulated")

    monkeypatch.setattr(sim.run, "simulate", never)
    assert main([*one, "--ofmap", "/absent/ofmap.npy"]) == 2
    assert capsys.readouterr().err == (
        "error: /absent/ofmap.npy: cannot be written: No such file or directory\n"
    )


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "last"),
    [
        (["--seed", "1"], "error: --seed needs --values: without it no real words move"),
        (["--ofmap", "x.npy"], "error: --ofmap needs --values: "),
        (["--values", "--ifmap", "x"], "error: --filter is missing: --ifmap and --filter go tog"),
        (["--values", "--filter", "x"], "error: --ifmap is missing: "),
        (
            ["--values", "--ifmap", "x", "--filter", "y", "--seed", "1"],
            "error: --seed has nothing to draw: --ifmap and --filter give every word",
        ),
        (
            ["--values", "--ifmap", "x", "--filter", "y"],
            "error: --ifmap and --filter are the words of one layer, and 5 layers are simulated; ",
        ),
        (["--values", "--seed", "-1"], "error: Invalid value for '--seed': -1 is not in the range"),
        (["--values", "--ofmap", "x.txt"], "error: --ofmap x.txt: the name must end in .npy or"),
        (["--values", "--ofmap", "-"], "error: --ofmap -: the name must end in .npy or .npz"),
        (["--values", "--ofmap", "x.npy"], "error: --ofmap x.npy: an .npy file holds one ofmap, "),
    ],
)
def test_wrong_usage(args: list[str], last: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(last)
