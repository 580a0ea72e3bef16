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
from sim.report.load import check_result, of_result, read_result
from sim.result.model import flat
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


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_version_is_read(version: int, tmp_path: Path) -> None:
    """What results did not say then is filled in: bounds, bus cycles, and parts of the PEs."""
    path = Path(__file__).parent / "data" / f"lenet5_version_{version}.json"
    mappings = tmp_path / "lenet5.yaml"
    layers = {each["name"]: each["mapping"] for each in json.loads(path.read_text())["layers"]}
    mappings.write_text(json.dumps({"status": "user", "layers": layers}))
    old = read_result(str(path))
    new = of_result(estimate("lenet5", mapping=str(mappings)))
    data = json.loads(path.read_text())
    assert data["version"] == version
    assert not {"bus_cycles", *(["bound"] if version == 1 else [])} & set(data["layers"][0])
    for then, now in zip(old.layers, new.layers, strict=True):
        assert then.entries == now.entries
        assert then.bus_cycles == now.bus_cycles
        assert then.bound == now.bound
        assert then.pe.part == now.pe.part


def _layer(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["layers"][0]
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema="other"), "is no result file of `run --json`"),
        (lambda d: d.update(version=4), "version: 4 is not read here, only 1, 2, 3"),
        (lambda d: d.pop("hw"), "hw: is missing"),
        (lambda d: d["hw"].update(word_bits="x"), "hw.word_bits"),
        (lambda d: d["hw"]["array"].update(rows=13), "layers[0].pe.macs: must have 13 rows"),
        (lambda d: _layer(d).pop("cycles"), "layers[0].cycles: is missing"),
        (lambda d: _layer(d)["cycles"].update(processing=-1), "layers[0].cycles.processing"),
        (lambda d: _layer(d)["cycles"]["by_cause"].pop("idle"), "by_cause.idle: is missing"),
        (lambda d: _layer(d)["cycles"]["by_cause"].update(idle=1), "must be in all cycles x PEs"),
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


CONTRADICTIONS = {
    "macs": "macs",
    "passes": "passes",
    "cycles.processing": "cycles.total",
    "cycles.total": "cycles.total",
    "cycles.standstill.ofmap_dump": "cycles.total",
    "cycles.by_cause.idle": "cycles.by_cause.idle",
    "utilization.active": "utilization.active",
    "utilization.array": "utilization.array",
    "active_pes": "utilization.active",
    "accesses.mac.gated": "accesses.mac",
    "accesses.noc.gin_ifmap.words": "accesses.noc.gin_ifmap.multicast",
    "accesses.noc.gin_ifmap.deliveries": "accesses.noc.gin_ifmap.multicast",
    "accesses.noc.gin_ifmap.multicast.10": "accesses.noc.gin_ifmap.multicast",
    "accesses.glb.psum.read": "glb_published_convention_bytes",
    "glb_published_convention_bytes": "glb_published_convention_bytes",
    "pe.macs.0.0": "pe.macs",
    "pe.busy_cycles.0.0": "pe.busy_cycles",
    "pe.by_cause.idle.11.13": "pe.by_cause",
    "energy.total": "energy.by_level",
    "energy.by_level.dram": "energy.by_level",
    "energy.by_data_type.psum": "energy.by_data_type",
    "energy.by_action.mac.active": "energy.by_action",
    "energy.per_mac": "energy.per_mac",
    "timeline.kinds.0.passes": "timeline.kinds",
    "timeline.order.0.0": "timeline.order",
    "eyexam.6.cycles": "eyexam[6].cycles",
}
WRONG_TOTALS = (
    "macs", "passes", "passes_simulated", "cycles.processing", "cycles.total",
    "cycles.by_cause.idle", "milliseconds.total", "dram_bytes.ifmap", "accesses.spad.psum.write",
    "accesses.noc.gin_ifmap.words", "glb_published_convention_bytes", "energy.total",
    "energy.per_mac",
)  # fmt: skip


def one_more(data: Any, path: str) -> None:
    """Add one to a number in nested lists and objects; a key may have dots of its own."""
    key, _, rest = path.partition(".")
    if isinstance(data, dict) and path in data:
        data[path] += 1
    elif isinstance(data, list) and not rest:
        data[int(key)] += 1
    else:
        one_more(data[int(key) if isinstance(data, list) else key], rest)


@pytest.mark.parametrize("path", CONTRADICTIONS)
def test_a_layer_that_contradicts_itself_is_refused_with_the_field(path: str) -> None:
    data = plain(lenet())
    one_more(data["layers"][1], path)
    with pytest.raises(InputError) as caught:
        check_result(data, "r.json")
    told = [str(fault) for fault in caught.value.faults]
    assert any(line.startswith(f"r.json: layers[1].{CONTRADICTIONS[path]}: must ") for line in told)


@pytest.mark.parametrize("path", WRONG_TOTALS)
def test_totals_that_are_no_sums_are_refused_with_the_field(path: str) -> None:
    data = plain(lenet())
    one_more(data["totals"], path)
    with pytest.raises(InputError) as caught:
        check_result(data, "r.json")
    told = [str(fault) for fault in caught.value.faults]
    assert any(line.startswith(f"r.json: totals.{path}: must be") for line in told)


def test_cycles_of_a_kind_that_do_not_make_the_layers_are_refused() -> None:
    data = plain(lenet())
    kind = data["layers"][1]["timeline"]["kinds"][0]
    kind["cycles"] += 1
    kind["phases"]["drain"] += 1
    with pytest.raises(InputError, match=r"timeline.kinds: must be in all the processing latency"):
        check_result(data, "r.json")


def test_a_bus_that_sends_longer_than_the_layer_takes_is_refused() -> None:
    data = plain(lenet())
    layer = data["layers"][1]
    layer["bus_cycles"]["gon_psum"] = layer["cycles"]["processing"] + 1
    with pytest.raises(InputError, match=r"layers\[1\].bus_cycles.gon_psum: must be no more than"):
        check_result(data, "r.json")


def test_a_part_for_a_pe_that_is_not_active_is_refused() -> None:
    data = plain(lenet())
    part = data["layers"][1]["pe"]["part"]
    row, column = next((r, c) for r, row in enumerate(part) for c, x in enumerate(row) if not x)
    part[row][column] = "0.0.0.0"
    with pytest.raises(InputError, match=r"layers\[1\].pe.part: must be in as many PEs as are"):
        check_result(data, "r.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: _layer(d)["pe"]["part"].pop(), "pe.part: must have 12 rows of 14 PEs"),
        (
            lambda d: _layer(d)["pe"]["part"][0].__setitem__(0, "x" * 41),
            "rows of texts of up to 40",
        ),
        (lambda d: _layer(d)["bus_cycles"].pop("gon_psum"), "bus_cycles.gon_psum: is missing"),
        (lambda d: _layer(d)["bound"]["doubled"].pop("array"), "bound.doubled.array: is missing"),
        (lambda d: _layer(d)["bound"]["by"].append("luck"), "bound.by: must name some of"),
    ],
)
def test_what_is_wrong_with_what_readers_need_is_named(change: Change, words: str) -> None:
    data = plain(lenet())
    change(data)
    with pytest.raises(InputError) as caught:
        check_result(data, "r.json")
    assert words in str(caught.value)


def test_what_is_beyond_64_bit_is_no_sum() -> None:
    data = plain(lenet())
    data["layers"][1]["pe"]["macs"] = [[2**62] * 14] * 12
    with pytest.raises(InputError, match=rf"pe.macs: .*; got {168 * 2**62}"):
        check_result(data, "r.json")


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
