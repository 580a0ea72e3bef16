"""Files that are wrong: every fault at its line, in bounded time and memory."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from neurospector_cases import DATA, RandomCase

from sim.cli import main
from sim.models.neurospector.accelerator import read_accelerator
from sim.models.neurospector.analyze import analyze
from sim.models.neurospector.model import Model
from sim.models.neurospector.rules import valid, violations
from sim.models.neurospector.workload import read_network, read_schedule
from workloads.inputs.faults import InputError

CASE = DATA / "a12_conv5_published"
FILES = ("acc.cfg", "net.cfg", "table.cfg")


def run(folder: Path) -> int:
    """Exit code of the analyzer on a folder's files."""
    options = zip(("--accelerator", "--network", "--table"), FILES, strict=True)
    given = [part for option, name in options for part in (option, str(folder / name))]
    return main(["model", "neurospector", "analyze", *given, "--quiet"])


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("acc.cfg", "PRECISION=INT16", "PRECISION=INT", "acc.cfg:3: ACCELERATOR PRECISION: must"),
        ("acc.cfg", "DATAFLOW=WS", "DATAFLOW=XS", "acc.cfg:10: LOCAL_BUFFER DATAFLOW: must be IS"),
        ("acc.cfg", "BYPASS=WEIGHT", "BYPASS=OUTPUT", "OUTPUT is what DATAFLOW OS keeps here"),
        ("acc.cfg", "BANDWIDTH=16", "", "acc.cfg:8: LOCAL_BUFFER BANDWIDTH: is missing"),
        ("acc.cfg", "SIZE_X=14", "SIZE_X=0", "PE_ARRAY SIZE_X: 0 is outside 1 to 65536"),
        ("acc.cfg", "24,448,48", "24,,48", "LOCAL_BUFFER BUFFER_SIZE: must be a number, got ''"),
        ("acc.cfg", "[GLOBAL_BUFFER]", "[GLOBAL]", "section [GLOBAL_BUFFER] is missing"),
        ("acc.cfg", "[ACCELERATOR]", "", "acc.cfg:2: 'NAME' stands before the first [SECTION]"),
        ("net.cfg", "[LAYERS]", "[LAYER]", "LAYERS: has no layers"),
        ("net.cfg", ",1\n", "\n", "must have 9 numbers, K,B,P,Q,C,R,S,G,STRIDE, got 8"),
        ("table.cfg", "PE_ARRAY(X)", "PE_ARAY(X)", "row PE_ARRAY(X) is missing"),
        ("table.cfg", "DRAM=2", "DRAM=3", "the product of column K is 192, the layer's K is 128"),
        ("table.cfg", "layer_name=", "layer_name=x", "no layer 'xgroup_5'; did you mean"),
        ("table.cfg", "[LAYER]", "LAYER", "table.cfg:1: 'LAYER' is neither [SECTION], KEY=VALUE"),
    ],
)
def test_a_fault_names_its_line(
    name: str, old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in FILES:
        text = (CASE / file).read_text()
        if file == name:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / file).write_text(text)
    assert run(tmp_path) == 2
    assert words in capsys.readouterr().err


def test_damaged_files_end_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """100 files with bytes or lines changed, doubled or cut: figures or faults, never a defect."""
    random = Random(11)
    texts = {file: (CASE / file).read_bytes() for file in FILES}
    refused = 0
    for _ in range(100):
        for file, text in texts.items():
            (tmp_path / file).write_bytes(text)
        spoilt = random.choice(FILES)
        (tmp_path / spoilt).write_bytes(_damaged(texts[spoilt], random))
        code = run(tmp_path)
        said = capsys.readouterr().err
        assert code in (0, 2), said
        assert (code == 2) == said.startswith("error: "), said
        assert len(said) < 20_000
        refused += code == 2
    assert refused > 60


def _damaged(text: bytes, random: Random) -> bytes:
    place = random.randrange(len(text))
    lines = text.split(b"\n")
    number = random.choice([b"0", b"-1", b"99999999999999999999", b"1e400", b"nan", b"", b"\xff"])
    digits = [i for i, byte in enumerate(text) if byte in b"0123456789"]
    digit = random.choice(digits)
    return random.choice(
        [
            text[:place],
            text[:place] + bytes([random.randrange(256)]) + text[place + 1 :],
            text[:digit] + number + text[digit + 1 :],
            text[:digit] + number + text[digit + 1 :],
            b"\n".join(lines[: len(lines) // 2] + lines[len(lines) // 2 + 1 :]),
            b"\n".join(line for line in lines if random.random() < 0.8),
            text.replace(b"=", b"", 1),
            b"",
        ]
    )


@pytest.mark.parametrize("text", ["[" * 400_000, "A=1\n" * 30_000, "[A]\n" + "a=1," * 200_000])
def test_large_files_are_refused_quickly(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in FILES:
        (tmp_path / file).write_text(text)
    assert run(tmp_path) == 2
    assert len(capsys.readouterr().err) < 20_000


def test_a_table_is_legal_where_it_breaks_no_rule(tmp_path: Path) -> None:
    """One statement of the rules, read over many tables or in words."""
    seen = set()
    for seed in range(40):
        case = RandomCase(seed)
        case.write(tmp_path)
        (tmp_path / "table.cfg").write_text(case.table())
        accelerator = read_accelerator(tmp_path / "acc.cfg")
        schedule = read_schedule(
            tmp_path / "table.cfg", accelerator, read_network(tmp_path / "net.cfg")
        )
        model = Model(accelerator, schedule.layer)
        legal = bool(valid(model, schedule.table[None])[0])
        faults = violations(model, schedule)
        assert legal == (not faults)
        assert all(fault.line for fault in faults)
        seen.add(legal)
    assert seen == {True, False}


def test_a_printed_table_is_a_table(tmp_path: Path) -> None:
    """What an analysis prints gives the same figures when it is read, as version 1.6 reads it."""
    first = analyze(*(CASE / name for name in FILES))
    printed = tmp_path / "result.txt"
    printed.write_text(first.original())
    again = analyze(CASE / "acc.cfg", CASE / "net.cfg", printed)
    assert again.original() == first.original()


def test_a_repeated_layer_drops_the_last_one(tmp_path: Path) -> None:
    """Quirk Q8, and a note that says so."""
    lines = "[NETWORK]\nname=n\n[LAYERS]\nA=1,1,1,1,1,1,1,1,1\nB=2,1,1,1,1,1,1,1,1\n"
    (tmp_path / "net.cfg").write_text(lines + "A=3,1,1,1,1,1,1,1,1\nC=4,1,1,1,1,1,1,1,1\n")
    network = read_network(tmp_path / "net.cfg")
    assert [(layer.name, layer.size[0]) for layer in network.layers] == [
        ("a", 1),
        ("b", 2),
        ("a", 1),
    ]
    assert "'a' is given twice; the value of line 4 counts" in str(network.notes[0])


def test_a_refused_table_prints_nothing_there(tmp_path: Path) -> None:
    """As the tool: its standard output is empty, whatever is wrong with a table."""
    texts = {name: (CASE / name).read_text() for name in FILES}
    for old, new in (("DRAM=2", "DRAM=3"), ("PE_ARRAY(X)", "PE_ARAY(X)"), ("=16,", "=64,")):
        for name, text in texts.items():
            changed = text.replace(old, new) if name == "table.cfg" else text
            (tmp_path / name).write_text(changed)
        files = zip(("--accelerator", "--network", "--table"), FILES, strict=True)
        given = [part for option, name in files for part in (option, str(tmp_path / name))]
        folder = ["--original", str(tmp_path / "out")]
        assert main(["model", "neurospector", "analyze", *given, *folder]) == 2
        assert (tmp_path / "out" / "stdout.txt").read_text() == ""


def test_unknown_version_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no version"):
        analyze("a", "b", "c", version="2")
    with pytest.raises(InputError, match="no such file"):
        analyze(tmp_path / "a", "b", "c")
