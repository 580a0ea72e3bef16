"""Result files read back: whole ones are, others are refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_results import conv12, lenet, plain, written

from sim.account.result import Result
from sim.errors import InputError
from sim.report.load import CAUSES, check_result, flat, of_result, read_result
from sim.report.terminal import CAUSES as TERMINAL_CAUSES
from sim.run import estimate

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("make", [lenet, conv12, lambda: estimate("alexnet")])
def test_what_was_written_is_read(make: Callable[[], Result], tmp_path: Path) -> None:
    result = make()
    found = read_result(written(result.to_dict(), tmp_path / "r.json"))
    assert found == of_result(result)
    assert found.simulated == (result.engine != "closed-form")
    assert found.hw == result.hw
    for read, layer in zip(found.layers, result.layers, strict=True):
        assert read.layer == layer.layer
        assert read.factors == layer.mapping
        assert read.entries == layer.entries
        assert read.multicast == layer.multicast
        assert read.cycles.by_cause == layer.cycles_by_cause


def test_causes_are_those_of_the_terminal() -> None:
    assert tuple(TERMINAL_CAUSES) == CAUSES


def test_flat_leaves_the_histogram_out() -> None:
    assert flat({"a": {"b": 1, "multicast": {"3": 4}}, "c": 2}) == {"a.b": 1, "c": 2}


def test_fields_of_a_later_version_do_no_harm() -> None:
    data = plain(lenet())
    data["tomorrow"] = data["layers"][0]["tomorrow"] = {"x": 1}
    assert check_result(data, "r.json") == of_result(lenet())


def test_files_without_what_came_later_are_read() -> None:
    data = plain(lenet())
    for layer in data["layers"]:
        for name in ("timeline", "eyexam", "energy"):
            del layer[name]
    assert [layer.eyexam for layer in check_result(data, "r.json").layers] == [[]] * len(
        data["layers"]
    )


def _layer(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["layers"][0]
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema="other"), "is no result file of `run --json`"),
        (lambda d: d.update(version=2), "version: 2 is not read here, only 1"),
        (lambda d: d.pop("hw"), "hw: is missing"),
        (lambda d: d["hw"].update(word_bits="x"), "hw.word_bits"),
        (lambda d: d["hw"]["array"].update(rows=13), "layers[0].pe.macs: must have 13 rows"),
        (lambda d: _layer(d).pop("cycles"), "layers[0].cycles: is missing"),
        (lambda d: _layer(d)["cycles"].update(processing=-1), "layers[0].cycles.processing"),
        (lambda d: _layer(d)["cycles"]["by_cause"].pop("idle"), "by_cause.idle: is missing"),
        (lambda d: _layer(d)["cycles"]["by_cause"].update(idle=1), "must add up to cycles x PEs"),
        (lambda d: _layer(d)["shape"].update(C=-1), "layers[0].shape.C"),
        (lambda d: _layer(d)["mapping"].pop("q"), "layers[0].mapping: is no mapping"),
        (lambda d: _layer(d)["accesses"].pop("mac"), "accesses.mac.active: is missing"),
        (lambda d: _layer(d)["accesses"]["mac"].update(active=0.5), "must be a count, got 0.5"),
        (lambda d: _layer(d)["accesses"].update(noc=3), "accesses"),
        (lambda d: d["layers"].append(d["layers"][0]), "is there twice"),
        (lambda d: _layer(d)["timeline"]["order"].append([1, [[99, 1]]]), "timeline.order"),
        (lambda d: _layer(d)["timeline"]["detail"].update(kind=99), "timeline.detail.kind"),
        (lambda d: _layer(d)["timeline"]["kinds"][0].update(cycles=1), "phases must add up"),
        (lambda d: _layer(d)["pe"]["macs"][0].__setitem__(0, -1), "holds numbers below 0"),
        (lambda d: _layer(d)["dram_bytes"].update(filter="7"), "layers[0].dram_bytes.filter"),
    ],
)
def test_what_is_wrong_is_named(change: Change, words: str) -> None:
    data = plain(lenet())
    change(data)
    with pytest.raises(InputError) as caught:
        check_result(data, "r.json")
    assert words in str(caught.value)
    assert all(str(fault).startswith("r.json: ") for fault in caught.value.faults)
    assert len(caught.value.faults) <= 12


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON (line 1)"),
        (b"[1, 2", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{"schema": NaN}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is no result file"),
        (b'{"schema": "eyeriss-sim/check"}', "its schema is 'eyeriss-sim/check'"),
        (b"\x89HDF\r\n\x1a\n....", "is not JSON"),
    ],
)
def test_other_files_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(InputError, match="other") as caught:
        read_result(str(file))
    assert words in str(caught.value)


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for name in (str(tmp_path), str(tmp_path / "none.json")):
        with pytest.raises(InputError):
            read_result(name)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    text = json.dumps(plain(lenet()))
    for length in (10, len(text) // 2, len(text) - 1):
        (tmp_path / "cut.json").write_text(text[:length])
        with pytest.raises(InputError):
            read_result(str(tmp_path / "cut.json"))
