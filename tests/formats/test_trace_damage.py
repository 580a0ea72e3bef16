"""Files that were cut, flipped or forged: a clear error or the truth, and bounded memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from recording import lenet5, record

import traces
from sim.run import Values
from traces.diff import diff
from traces.events import ACTION, GIN_FILTER, GIN_IFMAP, GLB, GON, Layout
from traces.header import MAGIC, SIZE, Header, TraceError, seal
from traces.replay import replay
from traces.schema import TABLES
from traces.writer import json_bytes

Tell = Callable[[str, str], None]
Change = Callable[[h5py.File], None]
HEADING = "traces: damaged and forged files"
QUICK, ALL = 60, 500
MOST_MEMORY = 3 << 30

READ = """
import resource, signal, sys
from pathlib import Path
import traces
from traces.replay import replay
signal.alarm(60)
resource.setrlimit(resource.RLIMIT_AS, ({most}, {most}))
for name in sys.argv[1:]:
    try:
        with traces.open(name) as found:
            told = [line for layer in replay(found) for line in layer.differences]
        print("differs" if told else "equal", flush=True)
    except traces.TraceError as error:
        assert str(error).startswith(name), error
        assert "\\n" not in str(error)
        print("refused", flush=True)
    except ValueError as error:
        assert "cannot be rebuilt" in str(error), error
        print("partial", flush=True)
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.trace"
    record(path, lenet5(layers=["C3", "OUTPUT"]))
    return path


@pytest.fixture(scope="module")
def with_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.trace"
    record(path, lenet5(layers=["C3"]), values=Values(seed=1))
    return path


def outcomes(files: list[Path]) -> list[str]:
    """What reading each file comes to, in a process of its own with little memory and time."""
    code = READ.format(most=MOST_MEMORY)
    found = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    words = found.stdout.split()
    assert len(words) == len(files)
    return words


def broken(source: bytes, generator: random.Random) -> bytes:
    """Bytes changed, cut out, cut off, or put in."""
    data = bytearray(source)
    for _ in range(generator.choice((1, 1, 1, 3, 20))):
        # Half of the places lie where HDF5 keeps what it knows about the datasets.
        most = len(data) if generator.random() < 0.5 else min(len(data), 20_000)
        place = generator.randrange(SIZE, max(most, SIZE + 1))
        kind = generator.random()
        if kind < 0.75:
            data[place] ^= 1 << generator.randrange(8)
        elif kind < 0.9:
            data[place : place + 8] = generator.randbytes(8)
        elif kind < 0.95:
            del data[place : place + generator.randrange(1, 4096)]
        else:
            data = data[:place] or data
    return bytes(data)


def _try(sound: Path, folder: Path, count: int, *, sealed: bool) -> Counter[str]:
    source = sound.read_bytes()
    files = []
    for number in range(count):
        path = folder / f"{number}.trace"
        path.write_bytes(broken(source, random.Random(number)))
        if sealed:
            seal(path, "complete")
        files.append(path)
    return Counter(outcomes(files))


@pytest.mark.parametrize("count", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_damaged_file_is_refused(sound: Path, tmp_path: Path, count: int, tell: Tell) -> None:
    found = _try(sound, tmp_path, count, sealed=False)
    tell(HEADING, f"{count} files cut or flipped: {dict(found)}")
    # A change may undo itself; else not one is believed.
    assert found["refused"] >= count - 1
    assert found["differs"] == 0


@pytest.mark.parametrize("count", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_forged_file_is_refused_or_tells_the_truth(
    sound: Path, tmp_path: Path, count: int, tell: Tell
) -> None:
    """Sealed anew after the damage, so that the HDF5 library and the checks of content see it."""
    found = _try(sound, tmp_path, count, sealed=True)
    tell(HEADING, f"{count} files cut or flipped and sealed anew: {dict(found)}")
    assert sum(found.values()) == count
    assert found["refused"] > count // 3


def test_the_header_bit_by_bit(sound: Path, tmp_path: Path) -> None:
    source = sound.read_bytes()
    for place in range(0, SIZE, 3):
        data = bytearray(source)
        data[place] ^= 1 << (place % 8)
        (tmp_path / "t").write_bytes(data)
        with pytest.raises(TraceError):
            traces.open(tmp_path / "t")


def _forge(sound: Path, path: Path, change: Change) -> Path:
    path.write_bytes(sound.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    seal(path, "complete")
    return path


def _replace(file: h5py.File, name: str, values: Any, **options: Any) -> None:
    del file[name]
    chunk = (TABLES[name].chunk,)
    standard = {"chunks": chunk, "maxshape": (None,), "compression": "gzip", "shuffle": True}
    file.create_dataset(name, data=values, **{**standard, **options})


def _set(file: h5py.File, name: str, column: str, row: int, value: int) -> None:
    rows = file[name][:]
    rows[column][row] = value
    file[name][:] = rows


def _external(file: h5py.File) -> None:
    del file["data"]
    file["data"] = h5py.ExternalLink("/etc/hostname", "/data")


def _soft(file: h5py.File) -> None:
    del file["data"]
    file["data"] = h5py.SoftLink("/steps")


def _virtual(file: h5py.File) -> None:
    del file["data"]
    layout = h5py.VirtualLayout((10,), "<i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", (10,))
    file.create_virtual_dataset("data", layout)


def _raw_elsewhere(file: h5py.File) -> None:
    del file["data"]
    file.create_dataset("data", (10,), "<i8", external=[("/etc/hostname", 0, 80)])


def _bomb(file: h5py.File) -> None:
    file["steps"].resize((1 << 39,))


def _many_passes(file: h5py.File) -> None:
    file["passes"].resize((1 << 31,))


def _description(*path: str, value: object = None) -> Change:
    """Change a field of the description; leave it out where `value` is None."""

    def change(file: h5py.File) -> None:
        data = json.loads(file["description"][:].tobytes())
        *parents, last = path
        inner = data
        for name in parents:
            inner = inner[name]
        inner.pop(last, None)
        if value is not None:
            inner[last] = value
        _replace(file, "description", json_bytes(data))

    return change


def _layer_text(**changes: object) -> Change:
    """Change fields of the first layer's description; leave out those that are None."""

    def change(file: h5py.File) -> None:
        text, ends = file["layer_text"][:], file["layer_ends"][:]
        data = {**json.loads(text[: ends[0]].tobytes()), **changes}
        first = json_bytes({name: value for name, value in data.items() if value is not None})
        _replace(file, "layer_text", np.concatenate([first, text[ends[0] :]]))
        file["layer_ends"][:] = ends - ends[0] + len(first)

    return change


def _cut(name: str) -> Change:
    """The last row of a dataset is gone."""
    return lambda file: file[name].resize((len(file[name]) - 1,))


def _change(name: str, column: str, row: int, value: int) -> Change:
    return lambda file: _set(file, name, column, row, value)


def _number(name: str, row: int, value: int) -> Change:
    def change(file: h5py.File) -> None:
        file[name][row] = value

    return change


def _both(*changes: Change) -> Change:
    def change(file: h5py.File) -> None:
        for one in changes:
            one(file)

    return change


HUGE = 1 << 62

FORGERIES: dict[str, tuple[Change, str]] = {
    "external link": (_external, "data is a link to elsewhere"),
    "soft link": (_soft, "data is a link to elsewhere"),
    "virtual": (_virtual, "data has its data in another file"),
    "external raw data": (_raw_elsewhere, "data has its data in another file"),
    "a bomb": (_bomb, r"steps has 549755813888 rows in \d+ bytes, which cannot be"),
    "too many passes": (_many_passes, "passes has 2147483648 rows, more than 20000000"),
    "a type": (lambda f: _replace(f, "steps", f["steps"][:].astype(np.float64)), "steps has type"),
    "chunks": (lambda f: _replace(f, "steps", f["steps"][:], chunks=(8,)), "other chunks"),
    "a filter": (
        lambda f: _replace(f, "steps", f["steps"][:], compression="lzf"),
        "steps has filters other than shuffle and gzip",
    ),
    "a checksum filter": (
        lambda f: _replace(f, "steps", f["steps"][:], fletcher32=True),
        "steps has filters other than shuffle and gzip",
    ),
    "one dataset more": (lambda f: f.create_dataset("more", (1,), "i4"), "dataset 'more'"),
    "one dataset less": (lambda f: f.__delitem__("tiles"), "dataset 'tiles'"),
    "no description": (lambda f: f["description"].resize((0,)), "description is no JSON"),
    "deep JSON": (
        lambda f: _replace(f, "description", np.full(200_000, ord("["), np.uint8)),
        "description is no JSON",
    ),
    "a list": (
        lambda f: _replace(f, "description", json_bytes([1])), "description is no JSON object"
    ),
    "no machine": (_description("machine"), "the description has no machine"),
    "a size that is none": (
        _description("machine", "word_bits", value=-1), "the description has no machine"
    ),
    "no array": (_description("machine", "array_rows"), "the machine has no array_rows"),
    "not what was recorded": (
        _description("restricted"), "the description does not say what was recorded"
    ),
    "a window": (_description("restricted", "window", value=[5]), "the window is none"),
    "some layers": (
        _description("restricted", "layers", value=[5]), "the recorded layers are none"
    ),
    "some blocks": (
        _description("restricted", "blocks", value="pe"), "the recorded blocks are none"
    ),
    "no network": (_description("network"), "the description does not name program and network"),
    "ends of layers": (_number("layer_ends", 0, HUGE), "layer_ends do not grow"),
    "the last layer's end": (_cut("layer_text"), "layer_ends and layer_text do not agree"),
    "a result more": (
        lambda f: _replace(f, "result_ends", np.repeat(f["result_ends"][:], [1, 2])),
        "layers and results do not agree",
    ),
    "a nameless layer": (_layer_text(name=None), "a layer without a name"),
    "a template": (_change("passes", "template", 0, 999), "template that is not there"),
    "a gap": (_change("passes", "start", 1, 5), "passes that do not follow one another"),
    "a layer": (_change("passes", "layer", 0, 7), "passes of layers that are not there"),
    "a pass": (_change("passes", "cycles", 0, HUGE), r"passes\.cycles is out of range"),
    "a tile": (_change("tiles", "kind", 0, 99), "a tile of an unknown action or data type"),
    "a late tile": (_change("tiles", "start", 0, 9999), "tiles out of order"),
    "an end": (_change("templates", "steps_end", 0, 1 << 40), "template 0 ends outside of steps"),
    "a figure": (_change("templates", "span", 0, HUGE), "template 0: a figure is out of range"),
    "no cycles": (_change("templates", "cycles", 0, 0), "template 0: it has no cycles"),
    "a set's end": (_number("set_ends", 0, 0), "template 0: its sets do not fit together"),
    "a set": (
        _number("set_members", 0, 9999), "template 0: a set has a block that is not there"
    ),
    "a pattern's end": (
        _number("pattern_ends", 0, HUGE >> 32), "template 0: its patterns do not fit together"
    ),
    "a pattern's number": (
        _number("pattern_values", 0, -1), "template 0: a pattern has a negative number"
    ),
    "a stream": (
        _change("streams", "rows", 0, 1), "template 0: its streams and rows do not agree"
    ),
    "a block": (_change("streams", "block", 0, 9999), "a stream of an unknown block"),
    "a pattern": (
        _change("streams", "words", 0, 99999),
        "template 0: a stream names a pattern that is not there",
    ),
    "a set that is not there": (
        # The pattern of the first stream's sources has one number.
        lambda f: _number(
            "pattern_values", int(f["pattern_ends"][f["streams"]["sources"][0]]) - 1, 9999
        )(f),
        "template 0: a stream names a set that is not there",
    ),
    "words": (
        _change("streams", "has_data", 0, 1), "template 0: its words and data do not agree"
    ),
    "a late event": (
        _number("steps", 1, 1 << 20), "template 0: its events lie outside of it"
    ),
    "an early event": (_number("steps", 9, -1), "template 0: its events are out of order"),
    "a PE": (_change("pes", "row", 0, 12), "template 0: a PE is outside of the array"),
    "two PEs": (
        lambda f: _set(f, "pes", "row", 0, int(f["pes"]["row"][1])),
        "template 0: two PEs in one place",
    ),
    "a PE without outputs": (
        _change("pes", "outputs", 0, 0), "template 0: a PE's outputs is out of range"
    ),
    "bursts that are not there": (
        _change("pes", "needs", 0, 9999),
        "template 0: a PE's needs name a pattern that is not there",
    ),
    "an ofmap without axes": (
        lambda f: _set(f, "pes", "ofmap", 0, int(f["pes"]["uses"][0])),
        "template 0: a PE's part of the ofmap is none",
    ),
    "a legend of letters": (
        _number("legend", 12, ord("x")), "template 0: its legend is no text with numbers"
    ),
    "a legend with an escape": (
        _number("legend", 0, 27), "template 0: its legend and its PEs do not agree"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery(sound: Path, tmp_path: Path, name: str) -> None:
    change, words = FORGERIES[name]
    path = _forge(sound, tmp_path / "t", change)
    with pytest.raises(TraceError, match=words), traces.open(path) as found:
        list(replay(found))


Place = tuple[int, str, int]
"""A stream of the first template: block, action, and which of several."""


def _stream(file: h5py.File, place: Place) -> int:
    block, action, number = place
    streams = file["streams"][: int(file["templates"]["streams_end"][0])]
    found = (streams["block"] == block) & (streams["action"] == ACTION[action])
    return int(np.flatnonzero(found)[number])


def _of_stream(place: Place, column: str, value: int) -> Change:
    return lambda file: _set(file, "streams", column, _stream(file, place), value)


def _taken(place: Place, column: str, other: Place, from_column: str) -> Change:
    """A stream's column is as another one of another stream."""

    def change(file: h5py.File) -> None:
        value = int(file["streams"][from_column][_stream(file, other)])
        _of_stream(place, column, value)(file)

    return change


def _words_moved(place: Place, other: Place) -> Change:
    """The words of a stream are said to be those of another one, of as many words."""
    return _both(_of_stream(place, "has_data", 0), _of_stream(other, "has_data", 1))


def _second_event_at_once(place: Place) -> Change:
    """The second event of a stream begins a cycle after the first."""

    def change(file: h5py.File) -> None:
        first = int(file["streams"]["rows"][: _stream(file, place)].sum())
        file["steps"][first + 1] = 1

    return change


# LeNet's C3 has filters of five rows: a chain leads from row 4 of the array up to row 0.
ARRAY = Layout(12, 14)
FILTERS, IFMAP, PSUMS = (GIN_FILTER, "send", 0), (GIN_IFMAP, "send", 0), (GON, "send", 0)
IFMAP_READ, PSUM_WRITE = (GLB, "read", 1), (GLB, "write", 0)
BOTTOM_LINK = (ARRAY.link(4, 0), "send", 0)
TOP_MAC, TOP_ACCUMULATE = (ARRAY.pe(0, 0), "mac", 0), (ARRAY.pe(0, 0), "accumulate", 0)

# Well-formed events that no run has.
CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "ifmap words to the GLB": (
        _taken(IFMAP, "destinations", PSUMS, "destinations"), "words go to glb, which is no PE"
    ),
    "a PE without psums": (
        _of_stream(TOP_ACCUMULATE, "action", ACTION["wait"]),
        r"pe\(0,0\) has bursts without psums",
    ),
    "psums to several PEs": (
        _taken(BOTTOM_LINK, "destinations", PSUMS, "sources"),
        r"pe\(0,0\) does not take in every psum",
    ),
    "windows at once": (
        _second_event_at_once(TOP_MAC), r"pe\(0,0\) does two things at once"
    ),
    "a short pass": (
        _change("templates", "cycles", 0, 1), r"pe\(4,0\) works beyond the end of the pass"
    ),
    "no filters": (
        _both(*[_of_stream(FILTERS, "action", ACTION["wait"])] * 10),  # one for each PE row
        r"the filters of pe\(4,0\) do not fit it",
    ),
    "filters of another shape": (
        _both(
            _change("templates", "streamed", 0, 1),
            lambda f: _set(f, "pes", "uses", 0, int(f["pes"]["needs"][0])),
        ),
        r"the filters of pe\(4,0\) do not fit it",
    ),
    "ifmap without words": (
        _words_moved(IFMAP, IFMAP_READ),
        r"pe\(4,0\) gets words that no burst needs",
    ),
    "psums without words": (
        _words_moved(PSUMS, PSUM_WRITE), "the psums that leave have no words"
    ),
    "psums of many PEs": (
        _taken(PSUMS, "sources", FILTERS, "destinations"), "psums leave from what is no PE"
    ),
    "psums of fewer filters": (
        _change("pes", "ofmap", 4, -1), r"pe\(0,0\) sends psums that are none"
    ),
    "no shape": (_layer_text(shape=None), "the layer has no shape"),
    "half a shape": (_layer_text(shape={"name": "C3"}), "layer 'C3': missing"),
    "a huge batch": (_layer_text(batch=1 << 40), "the layer is beyond all size"),
    "a row too far": (_change("passes", "row_base", 0, 1), "psums beyond the ofmap"),
    "a filter too far": (_change("passes", "filter_base", 0, 1), "psums beyond the ofmap"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction(with_words: Path, tmp_path: Path, name: str) -> None:
    change, words = CONTRADICTIONS[name]
    path = _forge(with_words, tmp_path / "t", change)
    with traces.open(path) as found, pytest.raises(TraceError, match=f"layer C3: {words}"):
        list(replay(found))


def test_a_run_that_did_not_reach_the_end_of_a_layer(sound: Path, tmp_path: Path) -> None:
    def lost(file: h5py.File) -> None:
        (first, _) = file["result_ends"][:]
        file["result_ends"].resize((1,))
        file["result_text"].resize((first,))

    with traces.open(_forge(sound, tmp_path / "t", lost)) as found:
        told = [layer.differences for layer in replay(found)]
        assert told == [[], ["the run did not reach the end of the layer"]]
        with traces.open(sound) as whole:
            assert diff(whole, found).same  # as far as both go


def test_a_count_that_was_changed_is_told(sound: Path, tmp_path: Path) -> None:
    """Events that are well formed but not those of the run: the figures differ, and it is said."""

    def more(file: h5py.File) -> None:
        values = file["pattern_values"][:]
        values[values == 4] = 3
        file["pattern_values"][:] = values

    path = _forge(sound, tmp_path / "t", more)
    with traces.open(path) as found:
        try:
            told = [line for layer in replay(found) for line in layer.differences]
        except TraceError:
            return
    assert told


def test_one_bit_of_the_content(sound: Path, tmp_path: Path) -> None:
    data = bytearray(sound.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(TraceError, match="is damaged: its content does not match its digest"):
        traces.open(tmp_path / "t")


def test_an_unknown_state(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    header = Header("unfinished", len(data), "0" * 64)
    (tmp_path / "t").write_bytes(header.encode() + data[SIZE:])
    with pytest.raises(TraceError, match="is in a state that version 2 does not have"):
        traces.open(tmp_path / "t")


def test_another_version(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    header = Header("complete", len(data), "0" * 64, version=3)
    (tmp_path / "t").write_bytes(header.encode() + data[SIZE:])
    with pytest.raises(TraceError, match="has format version 3, and this program reads 1 and 2"):
        traces.open(tmp_path / "t")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n" + bytes(2000), MAGIC.encode(), b"layer,pass\n1,2\n", bytes(4096)],
)
def test_what_is_no_trace(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError):
        traces.open(tmp_path / "t")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        traces.open(tmp_path / "none")
    with pytest.raises(TraceError, match="is no regular file"):
        traces.open(tmp_path)
    with pytest.raises(TraceError, match="is no regular file"):
        traces.open("/dev/zero")
