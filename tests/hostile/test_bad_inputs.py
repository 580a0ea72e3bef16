"""The table of broken inputs: each gives its exact words, exit code 2, and leaves every file alone.

A row names what is wrong, the command line, the files that are there, and all that stderr says
(without click's "Usage" lines). Commands run in this process; Ctrl-C stands in test_interrupts.py,
permissions and full disks in test_bad_disks.py. A file's name is a keyword with `__` for the dot.
"""

# ruff: noqa: E501  messages stand as they are printed, on one line where they fit

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import FOLDER, PIPE, Good, Hole, Link, everything, layer, put, told

from sim.cli import main


def npy(words: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, words, allow_pickle=True)
    return stream.getvalue()


@dataclass(frozen=True)
class Bad:
    """One broken input."""

    section: str
    name: str
    argv: list[str]
    says: list[str]
    files: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.section}: {self.name}"


TABLE_OF_BAD: list[Bad] = []
SECTION = [""]


def section(name: str) -> None:
    SECTION[0] = name


def bad(name: str, argv: str, *, says: list[str], **files: Any) -> None:
    named = {key.replace("__", "."): content for key, content in files.items()}
    TABLE_OF_BAD.append(Bad(SECTION[0], name, shlex.split(argv), says, named))


def bad_network(name: str, text: str, *, says: list[str]) -> None:
    bad(name, "run net.yaml", says=says, net__yaml=text)


def bad_hardware(name: str, text: str, *, says: list[str]) -> None:
    bad(name, "run lenet5 --hw hw.yaml", says=says, hw__yaml=text)


def bad_mapping(name: str, text: str, *, says: list[str]) -> None:
    bad(name, "run lenet5 --layer C1 --mapping map.yaml", says=says, map__yaml=text)


def bad_table(name: str, text: str, *, says: list[str]) -> None:
    bad(name, "run lenet5 --energy table.yaml", says=says, table__yaml=text)


def bad_array(name: str, *, says: list[str], **files: Any) -> None:
    there = {"net__yaml": layer(), "i__npy": Good("i.npy"), "f__npy": Good("f.npy")}
    bad(name, WITH_WORDS, says=says, **(there | files))


def bad_case(name: str, text: str, *, says: list[str]) -> None:
    bad(name, "check --case case.yaml", says=says, case__yaml=text)


def bad_result(name: str, content: Any, *, says: list[str]) -> None:
    bad(name, "report result.json", says=says, result__json=content)


def bad_trace(name: str, content: Any, *, says: list[str]) -> None:
    bad(name, "trace info run.trace", says=says, run__trace=content)


BASE = "base: eyeriss_v1\n"
FACTORS = "{m: 6, n: 1, e: 4, p: 1, q: 1, r: 1, t: 1}"
TABLE = "name: t\nunit: pJ\ntechnology: x\nsources: [me]\nword_bits: 16\n"
WITH_WORDS = "run net.yaml --values --ifmap i.npy --filter f.npy"
CASE = "batch: 1\nhw: eyeriss_v1\nmapping: m=4,n=1,e=4,p=4,q=3,r=1,t=1\n" + layer()
MISSING = [
    f"error: net.yaml:{3 + place}: layers[{place}].{what}"
    for place in range(34)
    for what in (
        "name: missing; name of the layer",
        "ifmap: missing; [rows, columns] of the ifmap before padding, or one number",
        "channels: missing; number of input channels, over all groups",
    )
]
HUGE = """\
base: eyeriss_v1
array: {rows: 256, columns: 256}
glb: {banks: 65536, bank_bytes: 1048576, filter_banks: 1, port_bits: 512}
pe: {ifmap_spad_words: 65536, filter_spad_words: 65536, psum_spad_words: 65536}
limits: {filters: [1, 65536]}
"""


# --- layers

section("layers")
bad_network(
    "ifmap missing",
    layer(ifmap=None),
    says=[
        (
            "error: net.yaml:3: layers[0].ifmap: missing; [rows, columns] of the ifmap "
            "before padding, or one number"
        )
    ],
)
bad_network(
    "filter missing",
    layer(filter=None),
    says=[
        ("error: net.yaml:3: layers[0].filter: missing; [rows, columns] of a filter, or one number")
    ],
)
bad_network(
    "filters missing",
    layer(filters=None),
    says=[("error: net.yaml:3: layers[0].filters: missing; number of filters, over all groups")],
)
bad_network(
    "name missing",
    layer(name=None),
    says=["error: net.yaml:3: layers[0].name: missing; name of the layer"],
)
bad_network(
    "size zero",
    layer(channels="0"),
    says=["error: net.yaml:3: layers[0].channels: must be 1 or more, got 0"],
)
bad_network(
    "size negative",
    layer(filters="-4"),
    says=["error: net.yaml:3: layers[0].filters: must be 1 or more, got -4"],
)
bad_network(
    "size huge",
    layer(channels="65537"),
    says=["error: net.yaml:3: layers[0].channels: must be 65536 or less, got 65537"],
)
bad_network(
    "size of 70 digits",
    layer(channels="9" * 70),
    says=["error: net.yaml:3: layers[0].channels: a number of 70 characters is too long"],
)
bad_network(
    "size with a unit",
    layer(ifmap="8px"),
    says=[
        (
            "error: net.yaml:3: layers[0].ifmap: must be a whole number or a list of 2 "
            "whole numbers, got '8px'"
        )
    ],
)
bad_network(
    "size a fraction",
    layer(filters="4.5"),
    says=["error: net.yaml:3: layers[0].filters: must be a whole number, got 4.5"],
)
bad_network(
    "size true",
    layer(stride="true"),
    says=[
        (
            "error: net.yaml:3: layers[0].stride: must be a whole number or a list of 2 "
            "whole numbers, got true"
        )
    ],
)
bad_network(
    "size NaN",
    layer(stride=".nan"),
    says=["error: net.yaml:3: layers[0].stride: must be a finite number, got .nan"],
)
bad_network(
    "size infinite",
    layer(padding="-.inf"),
    says=["error: net.yaml:3: layers[0].padding: must be a finite number, got -.inf"],
)
bad_network(
    "size octal",
    layer(ifmap="010"),
    says=[
        ("error: net.yaml:3: layers[0].ifmap: 010 starts with a zero; write 10, or '010' for text")
    ],
)
bad_network(
    "size a list of three",
    layer(ifmap="[8, 8, 8]"),
    says=[
        (
            "error: net.yaml:3: layers[0].ifmap: must be a whole number or a list of 2 "
            "whole numbers, got [8, 8, 8]"
        )
    ],
)
bad_network(
    "size a mapping",
    layer(ifmap="{rows: 8}"),
    says=[
        (
            "error: net.yaml:3: layers[0].ifmap: must be a whole number or a list of 2 "
            "whole numbers, got a mapping"
        )
    ],
)
bad_network(
    "padding negative",
    layer(padding="-1"),
    says=["error: net.yaml:3: layers[0].padding: must be 0 or more, got -1"],
)
bad_network(
    "filter larger than ifmap",
    layer(filter="9"),
    says=[
        (
            "error: net.yaml:3: layers[0].filter: must not exceed the 8 rows of the padded "
            "ifmap, got 9"
        ),
        (
            "error: net.yaml:3: layers[0].filter: must not exceed the 8 columns of the "
            "padded ifmap, got 9"
        ),
    ],
)
bad_network(
    "type unknown",
    layer(type="convolution"),
    says=[
        "error: net.yaml:3: layers[0].type: must be 'conv', 'depthwise', 'fc' or 'gemm', got 'convolution'; did you mean 'conv'?"
    ],
)
bad_network(
    "key with a near match",
    layer(strid="1"),
    says=["error: net.yaml:3: layers[0]: unknown key 'strid'; did you mean 'stride'?"],
)
bad_network(
    "groups do not divide",
    layer(groups="2"),
    says=[("error: net.yaml:3: layers[0].channels: must be a multiple of the 2 groups, got 3")],
)
bad_network(
    "zero fraction above 1",
    layer(ifmap_zero_fraction="1.5"),
    says=[("error: net.yaml:3: layers[0].ifmap_zero_fraction: must be between 0 and 1, got 1.5")],
)
bad_network(
    "zero fraction NaN",
    layer(ofmap_zero_fraction=".NaN"),
    says=[("error: net.yaml:3: layers[0].ofmap_zero_fraction: must be a finite number, got .NaN")],
)
bad_network(
    "name with an escape",
    layer(name='"\\e[31mred"'),
    says=[
        (
            "error: net.yaml:3: layers[0].name: must be printable text without spaces "
            "around it, got '\\x1b[31mred'"
        )
    ],
)
bad_network(
    "name of spaces",
    layer(name='"  "'),
    says=[
        (
            "error: net.yaml:3: layers[0].name: must be printable text without spaces "
            "around it, got '  '"
        )
    ],
)
bad_network(
    "name of 201 letters",
    layer(name="x" * 201),
    says=["error: net.yaml:3: layers[0].name: must have 200 characters or fewer, got 201"],
)
bad_network(
    "a petabyte of ifmap",
    layer(ifmap="65536", channels="65536"),
    says=[
        (
            "error: net.yaml:3: layers[0]: macs_per_image: must be 10000000000000 or less, "
            "got 10132480695730176"
        ),
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the padded "
            "ifmap, got 281474976710656"
        ),
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the ofmap, "
            "got 17178820624"
        ),
    ],
)
bad_network(
    "10^15 MACs",
    layer(ifmap="4096", channels="4096", filters="4096", padding="1"),
    says=[
        (
            "error: net.yaml:3: layers[0]: macs_per_image: must be 10000000000000 or less, "
            "got 2533274790395904"
        ),
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the padded "
            "ifmap, got 68786601984"
        ),
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the ofmap, "
            "got 68719476736"
        ),
    ],
)

# --- networks

section("networks")
bad_network("empty", "", says=["error: net.yaml: is empty"])
bad_network("only a comment", "# nothing\n", says=["error: net.yaml: is empty"])
bad_network("null", "null\n", says=["error: net.yaml: is empty"])
bad_network(
    "no layers",
    "network: n\nlayers: []\n",
    says=["error: net.yaml:2: layers: must have 1 or more entries, got 0"],
)
bad_network(
    "layers a mapping",
    "network: n\nlayers: {A: 1}\n",
    says=["error: net.yaml:2: layers: must be a list, got a mapping"],
)
bad_network(
    "layer not a mapping",
    "network: n\nlayers: [A]\n",
    says=["error: net.yaml:2: layers[0]: must be a mapping of keys to values, got 'A'"],
)
bad_network(
    "key with a near match at the top",
    "netwrk: n\nlayers: []\n",
    says=[
        "error: net.yaml:1: network: missing; name of the network",
        "error: net.yaml:1: unknown key 'netwrk'; did you mean 'network'?",
        "error: net.yaml:2: layers: must have 1 or more entries, got 0",
    ],
)
bad_network(
    "duplicate key",
    "network: n\nnetwork: m\n" + layer().split("\n", 1)[1],
    says=["error: net.yaml:2: network: is given twice, first in line 1"],
)
bad_network(
    "two layers of one name",
    "network: n\nlayers:\n- {name: A, ifmap: 8, channels: 3, filters: 4, filter: 3}\n- {name: a, ifmap: 8, channels: 3, filters: 4, filter: 3}\n",
    says=["error: net.yaml:4: layers[1].name: 'a' is taken by the layer in line 3"],
)
bad_network(
    "batch zero",
    "batch: 0\n" + layer(),
    says=["error: net.yaml:1: batch: must be 1 or more, got 0"],
)
bad_network(
    "batch huge",
    "batch: 5000\n" + layer(),
    says=["error: net.yaml:1: batch: must be 4096 or less, got 5000"],
)
bad_network(
    "YAML tag that runs code",
    "network: !!python/object/apply:os.system ['touch pwned']\nlayers: []\n",
    says=[("error: net.yaml:1: network: tag '!!python/object/apply:os.system' is not allowed")],
)
bad_network(
    "YAML tag of a type",
    "network: !!str n\nlayers: []\n",
    says=["error: net.yaml:1: network: tag '!!str' is not allowed"],
)
bad_network(
    "alias that explodes",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    says=[
        "error: net.yaml:1: a: anchor &a is not allowed; repeat the value",
        "error: net.yaml:2: b: anchor &b is not allowed; repeat the value",
        "error: net.yaml:2: b[0]: alias *a is not allowed; repeat the value",
        "error: net.yaml:2: b[1]: alias *a is not allowed; repeat the value",
        "error: net.yaml:3: c: anchor &c is not allowed; repeat the value",
        "error: net.yaml:3: c[0]: alias *b is not allowed; repeat the value",
        "error: net.yaml:3: c[1]: alias *b is not allowed; repeat the value",
    ],
)
bad_network(
    "nested 1000 deep",
    "network: " + "[" * 1000 + "]" * 1000 + "\n",
    says=["error: net.yaml:1: network: nested deeper than 32 levels"],
)
bad_network(
    "flow never closed",
    "network: [\n",
    says=["error: net.yaml:1: not valid YAML: did not find expected node content"],
)
bad_network(
    "tab for indentation",
    "network:\n\t- a\n",
    says=["error: net.yaml:2: not valid YAML: found character that cannot start any token"],
)
bad_network(
    "two documents",
    layer() + "---\n" + layer(),
    says=["error: net.yaml:4: holds more than one YAML document; write one file for each"],
)
bad_network(
    "key not text", "1: 2\n" + layer(), says=["error: net.yaml:1: key 1 is not text; quote it"]
)
bad_network(
    "key a list",
    "[a]: 2\n",
    says=["error: net.yaml:1: a key must be text, not a list, mapping or alias"],
)
bad(
    "binary",
    "run net.yaml",
    net__yaml=b"\x00\xff\xfe\x89PNG\r\n\x1a\n" + bytes(range(256)),
    says=["error: net.yaml:1: is not UTF-8 text"],
)
bad(
    "NUL characters",
    "run net.yaml",
    net__yaml=b"network: a\x00b\n",
    says=["error: net.yaml:1: holds a character that YAML does not allow"],
)
bad(
    "Latin-1",
    "run net.yaml",
    net__yaml="network: n\u00e9\n".encode("latin-1"),
    says=["error: net.yaml:1: is not UTF-8 text"],
)
bad(
    "larger than the limit",
    "run net.yaml",
    net__yaml="#" * ((1 << 20) + 1),
    says=["error: net.yaml: is larger than the limit of 1048576 bytes"],
)
bad_network(
    "a thousand faults",
    "network: n\nlayers:\n" + "- {}\n" * 334,
    says=[*MISSING[:100], "error: net.yaml: 902 more faults are not shown"],
)
bad_network(
    "10,001 layers",
    "network: n\nlayers:\n"
    + "".join(
        f"- {{name: L{i}, ifmap: 1, channels: 1, type: fc, filters: 1}}\n" for i in range(10_001)
    ),
    says=["error: net.yaml:2: layers: must have 10000 or fewer entries, got 10001"],
)
bad_network(
    "100,000 values and one",
    "network: n\nlayers: [" + "1," * 99_998 + "]\n",
    says=["error: net.yaml:2: holds more than the limit of 100000 values"],
)
bad(
    "a terabyte",
    "run net.yaml",
    net__yaml=Hole(1 << 40),
    says=["error: net.yaml: is larger than the limit of 1048576 bytes"],
)
bad("no such file", "run net.yaml", says=["error: net.yaml: no such file"])
bad(
    "folder in place of a file",
    "run net.yaml",
    net__yaml=FOLDER,
    says=["error: net.yaml: is a directory, not a YAML file"],
)
bad(
    "dangling symlink",
    "run net.yaml",
    net__yaml=Link("gone.yaml"),
    says=["error: net.yaml: no such file"],
)
bad(
    "symlink to itself",
    "run net.yaml",
    net__yaml=Link("net.yaml"),
    says=["error: net.yaml: cannot be read: Too many levels of symbolic links"],
)
bad("named pipe", "run net.yaml", net__yaml=PIPE, says=["error: net.yaml: is not a regular file"])
bad("endless device", "run /dev/zero", says=["error: /dev/zero: is not a regular file"])
bad(
    "unknown network",
    "run alexnt",
    says=[
        (
            "error: no network 'alexnt'; did you mean 'alexnet'? known: alexnet, lenet5, "
            "mobilenet_v1, resnet50, vgg16"
        )
    ],
)
bad(
    "name of 5000 letters",
    "run " + "x" * 5000,
    says=[
        (
            "error: no network "
            "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...; known: alexnet, "
            "lenet5, mobilenet_v1, resnet50, vgg16"
        )
    ],
)

# --- hardware

section("hardware")
bad_hardware("empty", "", says=["error: hw.yaml: is empty"])
bad_hardware(
    "a list",
    "- rows\n",
    says=["error: hw.yaml:1: must be a mapping of keys to values, got a list of 1"],
)
bad_hardware(
    "base unknown",
    "base: eyeris_v1\n",
    says=[
        (
            "error: hw.yaml:1: base: no shipped hardware 'eyeris_v1'; did you mean "
            "'eyeriss_v1'? known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
        )
    ],
)
bad_hardware(
    "base not text",
    "base: 1\n",
    says=["error: hw.yaml:1: base: must be the name or path of a hardware file, got 1"],
)
bad_hardware(
    "base is itself",
    "base: ./hw.yaml\n",
    says=["error: hw.yaml:1: base: leads back to hw.yaml, which builds on it"],
)
bad_hardware(
    "base missing", "base: gone.yaml\n", says=["error: hw.yaml:1: base: no such file: gone.yaml"]
)
bad_hardware(
    "section with a near match",
    BASE + "aray: {rows: 3}\n",
    says=["error: hw.yaml:2: unknown key 'aray'; did you mean 'array'?"],
)
bad_hardware(
    "field with a near match",
    BASE + "array: {row: 3}\n",
    says=["error: hw.yaml:2: array: unknown key 'row'; did you mean 'rows'?"],
)
bad_hardware(
    "field of the wrong type",
    BASE + "array: {rows: twelve}\n",
    says=["error: hw.yaml:2: array.rows: must be a whole number, got 'twelve'"],
)
bad_hardware(
    "field with a unit",
    BASE + "clock: {core_mhz: 200 MHz}\n",
    says=["error: hw.yaml:2: clock.core_mhz: must be a number, got '200 MHz'"],
)
bad_hardware(
    "frequency zero",
    BASE + "clock: {link_mhz: 0}\n",
    says=["error: hw.yaml:2: clock.link_mhz: must be 0.001 or more, got 0"],
)
bad_hardware(
    "frequency finer than kHz",
    BASE + "clock: {link_mhz: 66.66666666666667}\n",
    says=[
        (
            "error: hw.yaml:2: clock.link_mhz: must be a whole number of kHz (three "
            "decimals), got 66.66666666666667"
        )
    ],
)
bad_hardware(
    "frequency infinite",
    BASE + "clock: {core_mhz: .inf}\n",
    says=["error: hw.yaml:2: clock.core_mhz: must be a finite number, got .inf"],
)
bad_hardware(
    "rows zero",
    BASE + "array: {rows: 0}\n",
    says=["error: hw.yaml:2: array.rows: must be 1 or more, got 0"],
)
bad_hardware(
    "columns negative",
    BASE + "array: {columns: -14}\n",
    says=["error: hw.yaml:2: array.columns: must be 1 or more, got -14"],
)
bad_hardware(
    "array of a million PEs",
    BASE + "array: {rows: 1024, columns: 1024}\n",
    says=[
        (
            "error: hw.yaml:2: array.columns: 1024 rows of 1024 columns are 1048576 PEs: "
            "must be 65536 or fewer"
        )
    ],
)
bad_hardware(
    "rows above the limit",
    BASE + "array: {rows: 1025}\n",
    says=["error: hw.yaml:2: array.rows: must be 1024 or less, got 1025"],
)
bad_hardware(
    "FIFO huge",
    BASE + "pe: {psum_out_fifo_words: 65537}\n",
    says=["error: hw.yaml:2: pe.psum_out_fifo_words: must be 65536 or less, got 65537"],
)
bad_hardware(
    "frequency huge",
    BASE + "clock: {core_mhz: 100000.001}\n",
    says=["error: hw.yaml:2: clock.core_mhz: must be 100000.0 or less, got 100000.001"],
)
bad_hardware(
    "hop of a second",
    BASE + "noc: {local_hop_cycles: 1000001}\n",
    says=["error: hw.yaml:2: noc.local_hop_cycles: must be 1000000 or less, got 1000001"],
)
bad_hardware(
    "first access of a second",
    BASE + "dram: {first_access_latency_cycles: 1000001}\n",
    says=[
        "error: hw.yaml:2: dram.first_access_latency_cycles: must be 1000000 or less, got 1000001"
    ],
)
bad_hardware(
    "name of the wrong type",
    BASE + "name: 7\n",
    says=["error: hw.yaml:2: name: must be text, got 7"],
)
bad_hardware(
    "true for a number",
    BASE + "array: {rows: true}\n",
    says=["error: hw.yaml:2: array.rows: must be a whole number, got true"],
)
bad_hardware(
    "stride twice",
    BASE + "limits: {vertical_strides: [1, 1]}\n",
    says=[
        "error: hw.yaml:2: limits.vertical_strides: values must stand in ascending order, each given once"
    ],
)
bad_hardware(
    "stride zero",
    BASE + "limits: {vertical_strides: [0]}\n",
    says=["error: hw.yaml:2: limits.vertical_strides[0]: must be 1 or more, got 0"],
)
bad_hardware(
    "section left empty",
    BASE + "array:\n",
    says=["error: hw.yaml:2: array: must be a mapping of keys to values, got nothing"],
)
bad(
    "five files below one another",
    "run lenet5 --hw a.yaml",
    a__yaml="base: ./b.yaml\n",
    b__yaml="base: ./c.yaml\n",
    c__yaml="base: ./d.yaml\n",
    d__yaml="base: ./e.yaml\n",
    e__yaml=BASE,
    says=["error: e.yaml:1: base: is base number 5; the limit is 4"],
)
bad(
    "fault in a base",
    "run lenet5 --hw a.yaml",
    a__yaml="base: ./b.yaml\narray: {rows: 4}\n",
    b__yaml=BASE + "\narray: {rows: 3, columns: none}\n",
    says=["error: b.yaml:3: array.columns: must be a whole number, got 'none'"],
)
bad(
    "faults of network and hardware",
    "run net.yaml --hw hw.yaml",
    net__yaml=layer(stride="0"),
    hw__yaml=BASE + "array: {rows: 0}\n",
    says=[
        "error: net.yaml:3: layers[0].stride: must be 1 or more, got 0",
        "error: hw.yaml:2: array.rows: must be 1 or more, got 0",
    ],
)
bad_hardware(
    "spad huge",
    BASE + "pe: {ifmap_spad_words: 1000000000000}\n",
    says=[("error: hw.yaml:2: pe.ifmap_spad_words: must be 65536 or less, got 1000000000000")],
)
bad_hardware(
    "filter banks of a terabyte",
    BASE + "glb: {filter_banks: 65536, bank_bytes: 1048576}\n",
    says=[
        (
            "error: hw.yaml:2: glb.filter_banks: 65536 banks of 1048576 bytes hold "
            "8589934592 beats of dram.link_bits = 64: must be 131072 or fewer"
        )
    ],
)
bad_hardware(
    "FIFO below a beat",
    BASE + "pe: {psum_in_fifo_words: 3}\n",
    says=[
        (
            "error: hw.yaml:2: pe.psum_in_fifo_words: 3 words are too few: the FIFO must "
            "hold a psum beat (the lesser of noc.psum_words_per_cycle and "
            "pe.psum_spad_words), 4 words"
        )
    ],
)
bad_hardware(
    "port not of whole words",
    BASE + "glb: {port_bits: 63}\n",
    says=[
        (
            "error: {DATA}/eyeriss_v1.yaml:37: noc.gin_filter_words_per_cycle: 4 words of "
            "16 bits per cycle are more than the GLB port delivers: glb.port_bits = 63, 3 words"
        ),
        (
            "error: {DATA}/eyeriss_v1.yaml:39: noc.psum_words_per_cycle: 4 words of 16 "
            "bits per cycle are more than the GLB port delivers: glb.port_bits = 63, 3 words"
        ),
        (
            "error: {DATA}/eyeriss_v1.yaml:47: glb.bank_bytes: 4096 bytes are no whole "
            "number of lines: a bank is read glb.port_bits = 63 bits at a time"
        ),
        ("error: hw.yaml:2: glb.port_bits: 63 bits hold no whole number of words of 16 bits"),
    ],
)
bad_hardware(
    "choice unknown",
    BASE + "pe: {ifmap_spad: shifted}\n",
    says=[
        (
            "error: hw.yaml:2: pe.ifmap_spad: must be 'addressed' or 'shift', got "
            "'shifted'; did you mean 'shift'?"
        )
    ],
)
bad_hardware(
    "range upside down",
    BASE + "limits: {filter_rows: [12, 1]}\n",
    says=[
        (
            "error: hw.yaml:2: limits.filter_rows: the range [12, 1] is empty: its first "
            "number is the higher"
        )
    ],
)
bad_hardware(
    "duplicate field",
    BASE + "array: {rows: 3, rows: 4}\n",
    says=["error: hw.yaml:2: array.rows: is given twice, first in line 2"],
)
bad_hardware(
    "tag",
    BASE + "array: !!map {rows: 3}\n",
    says=["error: hw.yaml:2: array: tag '!!map' is not allowed"],
)
bad_hardware(
    "merge key with an anchor",
    "<<: &a {rows: 3}\n" + BASE,
    says=["error: hw.yaml:1: <<: anchor &a is not allowed; repeat the value"],
)
bad(
    "symlink loop",
    "run lenet5 --hw hw.yaml",
    hw__yaml=Link("other.yaml"),
    other__yaml=Link("hw.yaml"),
    says=["error: hw.yaml: cannot be read: Too many levels of symbolic links"],
)
bad(
    "unknown hardware",
    "run lenet5 --hw eyeris_v1",
    says=[
        (
            "error: no shipped hardware 'eyeris_v1'; did you mean 'eyeriss_v1'? known: "
            "eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
        )
    ],
)
bad(
    "hardware a folder",
    "run lenet5 --hw hw.yaml",
    hw__yaml=FOLDER,
    says=["error: hw.yaml: is a directory, not a YAML file"],
)
bad(
    "--set unknown field",
    "run lenet5 --set array.row=3",
    says=[
        (
            "error: --set array.row=3: no hardware field 'array.row'; did you mean "
            "'array.rows'? known: array.rows, array.columns"
        )
    ],
)
bad(
    "--set unknown section",
    "run lenet5 --set aray.rows=3",
    says=[("error: --set aray.rows=3: no hardware field 'aray.rows'; did you mean 'array.rows'?")],
)
bad(
    "--set without a value",
    "run lenet5 --set array.rows",
    says=["error: --set array.rows: must be a field and a value: array.rows=24"],
)
bad(
    "--set empty",
    "run lenet5 --set array.rows=",
    says=["error: --set array.rows=: must be a whole number, got nothing"],
)
bad(
    "--set a mapping",
    "run lenet5 --set 'array.rows={a: 1}'",
    says=["error: --set array.rows={a: 1}: the value must be a single value or a list"],
)
bad(
    "--set an alias",
    "run lenet5 --set 'array.rows=*a'",
    says=["error: --set array.rows=*a: alias *a is not allowed; repeat the value"],
)
bad(
    "--set NaN",
    "run lenet5 --set clock.core_mhz=.nan",
    says=["error: --set clock.core_mhz=.nan: must be a finite number, got .nan"],
)
bad(
    "--set a section",
    "run lenet5 --set array=3",
    says=[
        (
            "error: --set array=3: no hardware field 'array'; did you mean 'array.rows'? "
            "known: array.rows, array.columns"
        )
    ],
)

# --- mappings

section("mappings")
bad(
    "unknown word",
    "run lenet5 --mapping publishd",
    says=[
        (
            "error: --mapping: 'publishd' is not published, alternative, auto, a file or "
            "m=..,n=..,..; did you mean 'published'?"
        )
    ],
)
bad(
    "factor missing",
    "run lenet5 --mapping m=1,n=1,e=1,p=1,q=1,r=1",
    says=["error: --mapping: t: missing; a mapping gives all of m, n, e, p, q, r, t"],
)
bad(
    "factor unknown",
    "run lenet5 --mapping m=1,n=1,e=1,p=1,q=1,r=1,t=1,T=2",
    says=[("error: --mapping: T: unknown factor; did you mean 't'? known: m, n, e, p, q, r, t")],
)
bad(
    "factor twice",
    "run lenet5 --mapping m=1,m=2,n=1,e=1,p=1,q=1,r=1,t=1",
    says=["error: --mapping: m: given twice"],
)
bad(
    "factor zero",
    "run lenet5 --mapping m=0,n=1,e=1,p=1,q=1,r=1,t=1",
    says=["error: --mapping: m: must be a whole number from 1 to 1048576, got '0'"],
)
bad(
    "factor negative",
    "run lenet5 --mapping m=1,n=-1,e=1,p=1,q=1,r=1,t=1",
    says=["error: --mapping: n: must be a whole number from 1 to 1048576, got '-1'"],
)
bad(
    "factor huge",
    "run lenet5 --mapping m=1,n=1,e=99999999999999999999,p=1,q=1,r=1,t=1",
    says=[
        (
            "error: --mapping: e: must be a whole number from 1 to 1048576, got "
            "'99999999999999999999'"
        )
    ],
)
bad(
    "factor in Arabic digits",
    "run lenet5 --mapping m=\u0663,n=1,e=1,p=1,q=1,r=1,t=1",
    says=["error: --mapping: m: must be a whole number from 1 to 1048576, got '٣'"],
)
bad(
    "factor with an escape",
    "run lenet5 --mapping 'm=\x1b[31m,n=1,e=1,p=1,q=1,r=1,t=1'",
    says=["error: --mapping: m: must be a whole number from 1 to 1048576, got '\\x1b[31m'"],
)
bad(
    "factors of 5000 letters",
    "run lenet5 --mapping m=" + "1" * 5000 + ",n=1,e=1,p=1,q=1,r=1,t=1",
    says=[
        (
            "error: --mapping: m: must be a whole number from 1 to 1048576, got "
            "'11111111111111111111111111111111111111111111111111111111..."
        )
    ],
)
bad(
    "mapping that does not fit",
    "run lenet5 --layer C1 --mapping m=6,n=1,e=14,p=1,q=1,r=1,t=6",
    says=[
        "refused: C1: t = 6, limit 2: filter sets of 5 x 14 PEs that the 12 x 14 array holds",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "mapping with too many passes",
    "run net.yaml --set limits.filters=[1,65536] --layer A --mapping m=1,n=1,e=1,p=1,q=1,r=1,t=1",
    net__yaml=layer(ifmap="30", channels="100", filters="1000"),
    says=[
        "refused: A: passes = 2800000, limit 2000000: the mapping m=1,n=1,e=1,p=1,q=1,r=1,t=1 cuts the layer too finely to simulate; raise m, n, e, p, q, r or t",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad_mapping("file empty", "", says=["error: map.yaml: is empty"])
bad_mapping(
    "file without layers",
    "source: me\n",
    says=["error: map.yaml:1: layers: missing; a value is required"],
)
bad_mapping(
    "file lacks the layer", "layers: {}\n", says=["error: map.yaml:1: layers: no mapping for C1"]
)
bad_mapping(
    "file with a near layer",
    f"layers: {{C1: {FACTORS}, C11: {FACTORS}}}\n",
    says=["error: map.yaml:1: layers.C11: is not a layer of the network; did you mean 'C1'?"],
)
bad_mapping(
    "file with an unknown factor",
    "layers: {C1: {m: 6, n: 1, e: 4, p: 1, q: 1, r: 1, t: 1, s: 1}}\n",
    says=["error: map.yaml:1: layers.C1: unknown key 's'; known: e, m, n, p, q, r, t"],
)
bad_mapping(
    "file with a factor of 0",
    "layers: {C1: {m: 0, n: 1, e: 4, p: 1, q: 1, r: 1, t: 1}}\n",
    says=["error: map.yaml:1: layers.C1.m: must be 1 or more, got 0"],
)
bad_mapping(
    "file with a factor as text",
    "layers: {C1: {m: many, n: 1, e: 4, p: 1, q: 1, r: 1, t: 1}}\n",
    says=["error: map.yaml:1: layers.C1.m: must be a whole number, got 'many'"],
)
bad_mapping(
    "file with two of a layer",
    f"layers: {{C1: {FACTORS}, C1: {FACTORS}}}\n",
    says=["error: map.yaml:1: layers.C1: is given twice, first in line 1"],
)
bad_mapping(
    "status unknown",
    f"status: publshed\nlayers: {{C1: {FACTORS}}}\n",
    says=[
        (
            "error: map.yaml:1: status: must be 'published', 'inferred' or 'user', got "
            "'publshed'; did you mean 'published'?"
        )
    ],
)
bad(
    "m that fits nowhere",
    "run net.yaml --batch 4 --mapping map.yaml",
    net__yaml=layer(ifmap="200", filters="24"),
    map__yaml="layers: {A: {n: 4, e: 14, p: 24, q: 1, r: 1, t: 1}}\n",
    says=[
        "refused: A: no m is small enough: the psums of one block of p*t filters do not fit the GLB of eyeriss_v1; lower n, e, p or t",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "file for a layer of another network",
    "run lenet5 --mapping map.yaml",
    map__yaml=f"layers: {{CONV1: {FACTORS}}}\n",
    says=[
        "error: map.yaml:1: layers.CONV1: is not a layer of the network",
        "error: map.yaml:1: layers: no mapping for C1, C3, C5, F6, OUTPUT",
    ],
)
bad_mapping(
    "file with a factor huge",
    "layers: {C1: {m: 1048577, n: 1, e: 4, p: 1, q: 1, r: 1, t: 1}}\n",
    says=["error: map.yaml:1: layers.C1.m: must be 1048576 or less, got 1048577"],
)
bad_mapping(
    "file with a layer that is no mapping",
    "layers: {C1: 7}\n",
    says=["error: map.yaml:1: layers.C1: must be a mapping of keys to values, got 7"],
)
bad_mapping(
    "file a list",
    "- C1\n",
    says=["error: map.yaml:1: must be a mapping of keys to values, got a list of 1"],
)
bad(
    "file a folder",
    "run lenet5 --mapping map.yaml",
    map__yaml=FOLDER,
    says=["error: map.yaml: is a directory, not a YAML file"],
)
bad(
    "file a pipe",
    "run lenet5 --mapping map.yaml",
    map__yaml=PIPE,
    says=["error: map.yaml: is not a regular file"],
)
bad(
    "pairs without a factor",
    "run lenet5 --mapping =",
    says=[
        "error: --mapping: =: is not of the form factor=value, as in m=64",
        "error: --mapping: m, n, e, p, q, r, t: missing; a mapping gives all of m, n, e, p, q, r, t",
    ],
)
bad(
    "a thousand commas",
    "run lenet5 --mapping m=1" + "," * 1000,
    says=[
        "error: --mapping: '': is not of the form factor=value, as in m=64",
        "error: --mapping: ',,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,...: is not of the form factor=value, as in m=64",
        "error: --mapping: n, e, p, q, r, t: missing; a mapping gives all of m, n, e, p, q, r, t",
    ],
)
bad(
    "alternative of the mapper",
    "run lenet5 --mapping alternate",
    says=[
        "error: --mapping: 'alternate' is not published, alternative, auto, a file or m=..,n=..,..; did you mean 'alternative'?"
    ],
)
bad("file missing", "run lenet5 --mapping gone.yaml", says=["error: gone.yaml: no such file"])
bad(
    "file a dangling symlink",
    "run lenet5 --mapping map.yaml",
    map__yaml=Link("gone.yaml"),
    says=["error: map.yaml: no such file"],
)

bad_network(
    "product of matrices with keys of a convolution",
    "network: n\nlayers:\n  - {name: A, type: gemm, M: 4, channels: 3, N: 2}\n",
    says=[
        "error: net.yaml:3: layers[0].K: missing; columns of the left matrix, rows of the right one",
        "error: net.yaml:3: layers[0]: unknown key 'channels'; known: K, M, N, batch, "
        "ifmap_zero_fraction, name, ofmap_zero_fraction, type, zero_fraction_source",
    ],
)
bad_network(
    "product of matrices of no rows",
    "network: n\nlayers:\n  - {name: A, type: gemm, M: 0, K: 3, N: 2}\n",
    says=["error: net.yaml:3: layers[0].M: must be 1 or more, got 0"],
)
bad(
    "mapping for a chip that does not exist",
    "run lenet5 --layer C1 --mapping map.yaml",
    map__yaml=f"chip: eyeriss_v2\nlayers: {{C1: {FACTORS}}}\n",
    says=[
        "error: map.yaml:1: chip: no shipped hardware 'eyeriss_v2'; did you mean 'eyeriss_v1'? "
        "known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
    ],
)
bad(
    "pattern of layers that chooses none",
    "run lenet5 --layer C1,X*",
    says=["error: lenet5: no layer 'X*'; known: C1, C3, C5, F6, OUTPUT"],
)
bad(
    "less and more",
    "run lenet5 --brief --verbose",
    says=["error: --brief and --verbose ask for less and for more; take one"],
)


# --- energy tables

section("energy tables")
bad_table("empty", "", says=["error: table.yaml: is empty"])
bad_table(
    "unit wrong",
    TABLE.replace("pJ", "nJ"),
    says=["error: table.yaml:2: unit: must be 'normalised' or 'pJ', got 'nJ'"],
)
bad_table(
    "price negative",
    TABLE + "mac: {active: -1}\n",
    says=["error: table.yaml:6: mac.active: must be 0 to 1e+12, got -1"],
)
bad_table(
    "price NaN",
    TABLE + "mac: {active: .nan}\n",
    says=["error: table.yaml:6: mac.active: must be a finite number, got .nan"],
)
bad_table(
    "price huge",
    TABLE + "dram: {read: 1e30}\n",
    says=["error: table.yaml:6: dram.read: must be 0 to 1e+12, got 1e+30"],
)
bad_table(
    "price with a unit",
    TABLE + "glb: {read: 6 pJ}\n",
    says=["error: table.yaml:6: glb.read: must be a number, got '6 pJ'"],
)
bad_table(
    "action with a near match",
    TABLE + "noc: {bus_wrd: 1}\n",
    says=["error: table.yaml:6: noc: unknown key 'bus_wrd'; did you mean 'bus_word'?"],
)
bad_table(
    "sources none",
    TABLE.replace("[me]", "[]"),
    says=["error: table.yaml:4: sources: must have 1 or more entries, got 0"],
)
bad_table(
    "whole and part",
    TABLE + "static: {chip: 1, glb: 1}\n",
    says=[("error: table.yaml:6: static.chip: stands for the whole chip, but glb is given too")],
)
bad_table(
    "duplicate price",
    TABLE + "mac: {active: 1, active: 2}\n",
    says=["error: table.yaml:6: mac.active: is given twice, first in line 6"],
)
bad(
    "unknown table",
    "run lenet5 --energy isca2061",
    says=[
        (
            "error: no shipped energy table 'isca2061'; did you mean 'isca2016'? known: "
            "accelergy_45nm, eyeriss_65nm_calibrated, horowitz_45nm, isca2016, "
            "nn_dataflow_65nm, sparseloop_45nm, timeloop_65nm_8bit"
        )
    ],
)
bad_table(
    "price twice the same level",
    TABLE + "glb: {read: 1}\nglb: {read: 2}\n",
    says=["error: table.yaml:7: glb: is given twice, first in line 6"],
)
bad_table(
    "price true",
    TABLE + "mac: {active: true}\n",
    says=["error: table.yaml:6: mac.active: must be a number, got true"],
)
bad_table(
    "word of no bits",
    TABLE.replace("word_bits: 16", "word_bits: 0"),
    says=["error: table.yaml:5: word_bits: must be 1 or more, got 0"],
)
bad(
    "table a folder",
    "run lenet5 --energy table.yaml",
    table__yaml=FOLDER,
    says=["error: table.yaml: is a directory, not a YAML file"],
)
bad(
    "table a dangling symlink",
    "run lenet5 --energy table.yaml",
    table__yaml=Link("gone.yaml"),
    says=["error: table.yaml: no such file"],
)
bad(
    "precision empty", "run lenet5 --precision p.yaml", p__yaml="", says=["error: p.yaml: is empty"]
)
bad(
    "precision of 65 bits",
    "run lenet5 --precision p.yaml",
    p__yaml="layers: {C1: {weight_bits: 65}}\n",
    says=["error: p.yaml:1: layers.C1.weight_bits: must be 64 or less, got 65"],
)
bad(
    "precision with a near key",
    "run lenet5 --precision p.yaml",
    p__yaml="layers: {C1: {prund: 0.5}}\n",
    says=["error: p.yaml:1: layers.C1: unknown key 'prund'; did you mean 'pruned'?"],
)
bad(
    "precision of another network",
    "run lenet5 --precision alexnet_pruned",
    says=[
        "error: alexnet_pruned.yaml:6: layers.CONV1: no layer 'CONV1'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:7: layers.CONV2: no layer 'CONV2'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:8: layers.CONV3: no layer 'CONV3'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:9: layers.CONV4: no layer 'CONV4'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:10: layers.CONV5: no layer 'CONV5'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:11: layers.FC6: no layer 'FC6'; did you mean 'F6'? known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:12: layers.FC7: no layer 'FC7'; known: C1, C3, C5, F6, OUTPUT",
        "error: alexnet_pruned.yaml:13: layers.FC8: no layer 'FC8'; known: C1, C3, C5, F6, OUTPUT",
    ],
)
bad("table missing", "run lenet5 --energy table.yaml", says=["error: table.yaml: no such file"])
bad_table(
    "base that is none",
    "base: [isca2016]\nname: mine\n",
    says=[
        "error: table.yaml:1: base: must be the name or path of an energy table, got a list of 1"
    ],
)
bad_table(
    "base of another unit, without a name",
    "base: isca2016\nunit: pJ\n",
    says=[
        "error: table.yaml:1: name: missing; a file that differs from its base has a name of its own",
        "error: table.yaml:2: unit: must be 'normalised' as in its base, whose values it takes",
    ],
)
bad_table(
    "base that is itself",
    "base: table.yaml\nname: mine\n",
    says=["error: table.yaml:1: base: leads back to table.yaml, which builds on it"],
)
bad(
    "precision missing", "run lenet5 --precision gone.yaml", says=["error: gone.yaml: no such file"]
)
bad(
    "precision of an unknown layer",
    "run lenet5 --precision p.yaml",
    p__yaml="layers: {C7: {pruned: 0.5}}\n",
    says=["error: p.yaml:1: layers.C7: no layer 'C7'; known: C1, C3, C5, F6, OUTPUT"],
)
bad(
    "precision out of range",
    "run lenet5 --precision p.yaml",
    p__yaml="layers: {C1: {pruned: 1.5}}\n",
    says=["error: p.yaml:1: layers.C1.pruned: must be 1.0 or less, got 1.5"],
)

# --- sizes

section("sizes")
bad(
    "pass of a billion words",
    "run net.yaml --hw hw.yaml --layer A --mapping m=4,n=1,e=4096,p=4,q=12,r=1,t=1",
    net__yaml=layer(ifmap="[4098, 20000]", channels="12"),
    hw__yaml=HUGE,
    says=[
        "refused: A: events of a pass = 1884550320, limit 10000000: the mapping m=4,n=1,e=4096,p=4,q=12,r=1,t=1 makes a pass too large to simulate; lower n, e, r, t or q",
        "refused: A: MiB of memory = 457430, limit 1024: 1 passes, the largest on 12288 PEs, under the mapping m=4,n=1,e=4096,p=4,q=12,r=1,t=1; a smaller batch or array, or shallower spads and filter banks, take less",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "pass of ten million events",
    "run net.yaml --hw hw.yaml --layer A --batch 4096 --mapping m=4,n=4096,e=8,p=4,q=3,r=1,t=1",
    net__yaml=layer(ifmap="100"),
    hw__yaml=HUGE,
    says=[
        "refused: A: events of a pass = 47612012, limit 10000000: the mapping m=4,n=4096,e=8,p=4,q=3,r=1,t=1 makes a pass too large to simulate; lower n, e, r, t or q",
        "refused: A: MiB of memory = 7862, limit 1024: 13 passes, the largest on 24 PEs, under the mapping m=4,n=4096,e=8,p=4,q=3,r=1,t=1; a smaller batch or array, or shallower spads and filter banks, take less",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "spads of 65536 words in 49152 PEs",
    "run net.yaml --hw hw.yaml --layer A --mapping m=64,n=1,e=256,p=1,q=1,r=1,t=64",
    net__yaml=layer(ifmap="258", filters="64"),
    hw__yaml=HUGE,
    says=[
        "refused: A: events of a pass = 46204484, limit 10000000: the mapping m=64,n=1,e=256,p=1,q=1,r=1,t=64 makes a pass too large to simulate; lower n, e, r, t or q",
        "refused: A: MiB of memory = 37661, limit 1024: 3 passes, the largest on 49152 PEs, under the mapping m=64,n=1,e=256,p=1,q=1,r=1,t=64; a smaller batch or array, or shallower spads and filter banks, take less",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "filters larger than a gigaword",
    "run net.yaml",
    net__yaml=layer(channels="65536", filters="65536", filter="1", ifmap="1"),
    says=[
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the "
            "filters, got 4294967296"
        )
    ],
)
bad(
    "ofmap larger than a gigaword",
    "run net.yaml",
    net__yaml=layer(channels="1", filters="65536", filter="1", ifmap="256"),
    says=[
        (
            "error: net.yaml:3: layers[0]: words: must be 1073741824 or less in the ofmap, "
            "got 4294967296"
        )
    ],
)

# --- arrays

section("arrays")
bad_array("empty", i__npy="", says=["error: i.npy: --ifmap: is not a .npy file"])
bad_array("text", i__npy="1 2 3\n", says=["error: i.npy: --ifmap: is not a .npy file"])
bad_array(
    "binary", f__npy=bytes(range(256)) * 4, says=["error: f.npy: --filter: is not a .npy file"]
)
bad_array(
    "cut short",
    i__npy=Good("i.npy", cut=300),
    says=["error: i.npy: --ifmap: holds 172 bytes of words, its header says 384"],
)
bad_array(
    "header alone",
    i__npy=Good("i.npy", cut=128),
    says=["error: i.npy: --ifmap: holds 0 bytes of words, its header says 384"],
)
bad_array(
    "trailing bytes",
    i__npy=Good("i.npy", more=8),
    says=["error: i.npy: --ifmap: holds 392 bytes of words, its header says 384"],
)
bad_array(
    "wrong shape",
    i__npy=Good("f.npy"),
    says=["error: i.npy: --ifmap: has shape (4, 3, 3, 3), the layer needs (1, 3, 8, 8)"],
)
bad_array(
    "floats",
    i__npy=npy(np.zeros((1, 3, 8, 8))),
    says=["error: i.npy: --ifmap: has elements of type float64, whole numbers are needed"],
)
bad_array(
    "objects (pickle)",
    i__npy=npy(np.full((1, 3, 8, 8), None)),
    says=["error: i.npy: --ifmap: has elements of type object, whole numbers are needed"],
)
bad_array(
    "word of 17 bits",
    i__npy=npy(np.full((1, 3, 8, 8), 1 << 15)),
    says=["error: i.npy: --ifmap: holds 32768 to 32768, a word is -32768 to 32767"],
)
bad_array(
    "a zip", i__npy=b"PK\x03\x04" + b"\0" * 60, says=["error: i.npy: --ifmap: is not a .npy file"]
)
bad_array("folder", i__npy=FOLDER, says=["error: i.npy: --ifmap: Is a directory"])
bad_array(
    "dangling symlink",
    f__npy=Link("gone.npy"),
    says=["error: f.npy: --filter: No such file or directory"],
)
bad_array("named pipe", i__npy=PIPE, says=["error: i.npy: --ifmap: is not a regular file"])
bad_array(
    "header that is code",
    i__npy=b"\x93NUMPY\x01\x00v\x00" + b"__import__('os').system('touch pwned')".ljust(117) + b"\n",
    says=["error: i.npy: --ifmap: is not a .npy file"],
)
bad_array(
    "header of terabytes",
    i__npy=b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3, 8, 99999999999)}".ljust(117)
    + b"\n",
    says=[
        ("error: i.npy: --ifmap: has shape (1, 3, 8, 99999999999), the layer needs (1, 3, 8, 8)")
    ],
)
bad_array(
    "words of 16 bytes",
    i__npy=npy(np.zeros((1, 3, 8, 8), "V16")),
    says=["error: i.npy: --ifmap: has elements of type |V16, whole numbers are needed"],
)
bad_array(
    "a terabyte",
    i__npy=Hole(1 << 40),
    says=[
        "error: i.npy: --ifmap: has 1099511627776 bytes, too many for the 192 words of the layer"
    ],
)
bad_array(
    "true and false",
    i__npy=npy(np.zeros((1, 3, 8, 8), bool)),
    says=["error: i.npy: --ifmap: has elements of type bool, whole numbers are needed"],
)
bad_array(
    "NaN",
    i__npy=npy(np.full((1, 3, 8, 8), np.nan)),
    says=["error: i.npy: --ifmap: has elements of type float64, whole numbers are needed"],
)
bad_array(
    "unknown version",
    i__npy=b"\x93NUMPY\x09\x00v\x00" + b" " * 118,
    says=["error: i.npy: --ifmap: has version 9.0 of the .npy format, not 1 or 2"],
)
bad(
    "array missing",
    WITH_WORDS,
    net__yaml=layer(),
    i__npy=Good("i.npy"),
    says=["error: f.npy: --filter: No such file or directory"],
)
bad(
    "filter not named",
    "run net.yaml --values --ifmap i.npy",
    net__yaml=layer(),
    i__npy=Good("i.npy"),
    says=["error: --filter is missing: --ifmap and --filter go together"],
)
bad(
    "arrays without --values",
    "run net.yaml --ifmap i.npy --filter f.npy",
    net__yaml=layer(),
    i__npy=Good("i.npy"),
    f__npy=Good("f.npy"),
    says=["error: --ifmap needs --values: without it no real words move"],
)
bad(
    "arrays for several layers",
    "run lenet5 --values --ifmap i.npy --filter f.npy",
    i__npy=Good("i.npy"),
    f__npy=Good("f.npy"),
    says=[
        (
            "error: --ifmap and --filter are the words of one layer, and 5 layers are "
            "simulated; name one with --layer"
        )
    ],
)
bad(
    "words that fill the memory",
    "run net.yaml --values --batch 4096",
    net__yaml=layer(ifmap="128", channels="64"),
    says=[
        (
            "error: A, batch 4096: --values takes 461626 MiB of memory with the ofmaps of all "
            "layers, limit 1024: a smaller batch or fewer layers take less"
        )
    ],
)

# --- cases

section("cases")
bad_case("empty", "", says=["error: case.yaml: is empty"])
bad_case(
    "without a mapping",
    CASE.replace("mapping: m=4,n=1,e=4,p=4,q=3,r=1,t=1\n", ""),
    says=["error: case.yaml:1: mapping: missing; a value is required"],
)
bad_case(
    "mapping malformed",
    CASE.replace("t=1\n", "t=x\n"),
    says=["error: case.yaml:3: mapping: t: must be a whole number from 1 to 1048576, got 'x'"],
)
bad_case(
    "hardware unknown",
    CASE.replace("eyeriss_v1", "eyeriss_v2"),
    says=[
        "error: case.yaml:2: hw: no shipped hardware 'eyeriss_v2'; did you mean 'eyeriss_v1'? known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
    ],
)
bad_case(
    "setting unknown",
    "set: [array.rws=3]\n" + CASE,
    says=[
        "error: case.yaml:1: set: array.rws=3: no hardware field 'array.rws'; did you mean 'array.rows'? known: array.rows, array.columns"
    ],
)
bad_case(
    "two layers",
    CASE + "- {name: B, ifmap: 8, channels: 3, filters: 4, filter: 3}\n",
    says=["error: case.yaml:5: layers: must have 1 or fewer entries, got 2"],
)
bad_case(
    "batch zero",
    CASE.replace("batch: 1", "batch: 0"),
    says=["error: case.yaml:1: batch: must be 1 or more, got 0"],
)
bad_case(
    "mapping that does not fit",
    CASE.replace("q=3", "q=3").replace("filter: 3}", "filter: [3, 5]}"),
    says=[
        "error: case.yaml:3: mapping: A on eyeriss_v1: q*S = 15, limit 12: words of the ifmap spad"
    ],
)
bad_case(
    "unknown key",
    CASE + "bach: 1\n",
    says=["error: case.yaml:7: unknown key 'bach'; did you mean 'batch'?"],
)
bad_case(
    "hardware file missing",
    CASE.replace("eyeriss_v1", "gone.yaml"),
    says=["error: case.yaml:2: hw: gone.yaml: no such file"],
)
bad_case(
    "setting out of range",
    "set: [array.rows=0]\n" + CASE,
    says=["error: case.yaml:1: set: array.rows=0: must be 1 or more, got 0"],
)
bad_case(
    "layer with a fault",
    CASE.replace("channels: 3", "channels: 0"),
    says=["error: case.yaml:6: layers[0].channels: must be 1 or more, got 0"],
)
bad_case(
    "everything wrong at once",
    "set: [array.rws=3]\n" + CASE.replace("t=1\n", "t=x\n"),
    says=[
        "error: case.yaml:1: set: array.rws=3: no hardware field 'array.rws'; did you mean 'array.rows'? known: array.rows, array.columns",
        "error: case.yaml:4: mapping: t: must be a whole number from 1 to 1048576, got 'x'",
    ],
)
bad(
    "case a folder",
    "check --case case.yaml",
    case__yaml=FOLDER,
    says=["error: case.yaml: is a directory, not a YAML file"],
)
bad("case missing", "check --case case.yaml", says=["error: case.yaml: no such file"])

# --- results

section("results")
bad_result(
    "empty",
    "",
    says=[("error: result.json: is not JSON (line 1); `run --json FILE` writes a result file")],
)
bad_result(
    "text",
    "not json",
    says=[("error: result.json: is not JSON (line 1); `run --json FILE` writes a result file")],
)
bad_result(
    "binary",
    bytes(range(256)),
    says=[("error: result.json: is not JSON (line 1); `run --json FILE` writes a result file")],
)
bad_result(
    "a list",
    "[]",
    says=["error: result.json: is no result file of `run --json` or `estimate --json`"],
)
bad_result(
    "another JSON",
    '{"a": 1}',
    says=["error: result.json: is no result file of `run --json` or `estimate --json`"],
)
bad_result(
    "nested 100000 deep",
    "[" * 100000,
    says=["error: result.json: is not JSON; `run --json FILE` writes a result file"],
)
bad_result(
    "cut short",
    Good("result.json", cut=2000),
    says=[("error: result.json: is not JSON (line 78); `run --json FILE` writes a result file")],
)
bad_result(
    "another version",
    Good("result.json", edit=('"version": 2', '"version": 99')),
    says=[
        (
            "error: result.json: version: 99 is not read here, only 1 and 2; write the file "
            "anew, or take the eyeriss-sim that wrote it"
        )
    ],
)
bad_result(
    "cycles negative",
    Good("result.json", edit=('"processing": ', '"processing": -')),
    says=["error: result.json: layers[0].cycles.processing: must be 1 or more, got -253"],
)
bad_result(
    "cycles as text",
    Good("result.json", edit=('"processing": ', '"processing": "x", "y": ')),
    says=[
        "error: result.json: totals.cycles.processing: must be a whole number, got 'x'",
        "error: result.json: totals.milliseconds.processing: must be a number, got 'x'",
        "error: result.json: layers[0].cycles.processing: must be a whole number, got 'x'",
    ],
)
bad_result(
    "NaN",
    Good("result.json", edit=('"active": ', '"active": NaN, "y": ')),
    says=["error: result.json: is not JSON; `run --json FILE` writes a result file"],
)
bad_result(
    "infinite",
    Good("result.json", edit=('"batch": 1', '"batch": 1e999')),
    says=["error: result.json: batch: must be a whole number, got inf"],
)
bad_result("a pipe", PIPE, says=["error: result.json: is not a regular file"])
bad_result(
    "a terabyte",
    Hole(1 << 40),
    says=["error: result.json: is larger than the limit of 134217728 bytes"],
)
bad_result(
    "a dangling symlink", Link("gone.json"), says=["error: result.json: No such file or directory"]
)
bad_result(
    "5,000,000 lists",
    "[" + "[]," * 5_000_000 + "[]]",
    says=[
        "error: result.json: takes up to 658 MiB of memory, limit 512: report fewer results, or fewer layers"
    ],
)
bad_result(
    "two layers of one name",
    Good("two.json"),
    says=["error: result.json: layers[1].name: 'A' is there twice"],
)
bad_result(
    "batch zero",
    Good("result.json", edit=('"batch": 1', '"batch": 0')),
    says=["error: result.json: batch: must be 1 or more, got 0"],
)
bad_result(
    "chip with a fault",
    Good("result.json", edit=('"rows": 12', '"rows": 0')),
    says=["error: result.json: hw.array.rows: must be 1 or more, got 0"],
)
bad_result(
    "a layer beyond all shape",
    Good("result.json", edit=('"H": 8', '"H": 80000')),
    says=["error: result.json: layers[0].shape.H: must be 65536 or less, got 80000"],
)
bad_result(
    "a count that is a fraction",
    Good("result.json", edit=('"batch": 1', '"batch": 1.5')),
    says=["error: result.json: batch: must be a whole number, got 1.5"],
)
bad_result(
    "a number of 5000 digits",
    Good("result.json", edit=('"batch": 1', '"batch": ' + "1" * 5000)),
    says=["error: result.json: is not JSON; `run --json FILE` writes a result file"],
)
bad("nothing for a result", "report ''", says=["error: '': No such file or directory"])
bad("here for a result", "report .", says=["error: .: Is a directory"])
bad(
    "results of which one is nothing",
    "report a.json a.json ''",
    says=[
        "error: a.json: No such file or directory",
        "error: a.json: No such file or directory",
        "error: '': No such file or directory",
    ],
)
bad(
    "page on top of its result",
    "report result.json -o result.json",
    result__json=Good("result.json"),
    says=["error: -o result.json: is a file that is read; name another one"],
)
bad(
    "17 results",
    "report" + " result.json" * 17,
    result__json=Good("result.json"),
    says=["error: 17 results are too many for a page; 16 fit"],
)
bad(
    "plots of two results",
    "report result.json result.json --plots p",
    result__json=Good("result.json"),
    says=["error: --plots draws one result; name one file"],
)
bad(
    "plots where a file is",
    "report result.json --plots result.json",
    result__json=Good("result.json"),
    says=["error: result.json: Not a directory"],
)
bad("result missing", "report result.json", says=["error: result.json: No such file or directory"])
bad(
    "result a folder",
    "report result.json",
    result__json=FOLDER,
    says=["error: result.json: Is a directory"],
)
bad(
    "page in a folder that is not there",
    "report result.json -o gone/page.html",
    result__json=Good("result.json"),
    says=["error: gone/page.html: cannot be written: No such file or directory"],
)
bad(
    "page where a folder is",
    "report result.json -o page.html",
    result__json=Good("result.json"),
    page__html=FOLDER,
    says=["error: page.html: cannot be written: Is a directory"],
)

# --- traces

section("traces")
bad_trace(
    "empty",
    "",
    says=["error: run.trace: is no trace file: it does not begin with 'eyeriss-sim trace'"],
)
bad_trace(
    "text",
    "hello\n",
    says=["error: run.trace: is no trace file: it does not begin with 'eyeriss-sim trace'"],
)
bad_trace(
    "binary",
    bytes(range(256)) * 64,
    says=["error: run.trace: is no trace file: it does not begin with 'eyeriss-sim trace'"],
)
bad_trace(
    "cut short",
    Good("run.trace", cut=5000),
    says=["error: run.trace: is cut: 5000 bytes, and its header says {run.trace}"],
)
bad_trace(
    "damaged in the middle",
    Good("run.trace", damaged=True),
    says=["error: run.trace: is damaged: its content does not match its digest"],
)
bad_trace("folder", FOLDER, says=["error: run.trace: is no regular file"])
bad_trace(
    "dangling symlink", Link("gone.trace"), says=["error: run.trace: No such file or directory"]
)
bad_trace("named pipe", PIPE, says=["error: run.trace: is no regular file"])
bad_trace(
    "a terabyte",
    Hole(1 << 40),
    says=["error: run.trace: is no trace file: it does not begin with 'eyeriss-sim trace'"],
)
bad_trace(
    "longer than it was",
    Good("run.trace", more=7),
    says=[
        "error: run.trace: is longer than it was written: {run.trace+7} bytes, and its header says {run.trace}"
    ],
)
bad_trace(
    "another version",
    Good("run.trace", edit=("version 1\n", "version 7\n")),
    says=["error: run.trace: is damaged: its header does not match its own digest"],
)
bad_trace(
    "of a run that did not end",
    Good("writing.trace"),
    says=[
        "error: run.trace: is incomplete: the run that wrote it did not end; `eyeriss-sim trace recover` saves what is whole"
    ],
)
bad_trace(
    "header alone",
    Good("run.trace", cut=512),
    says=["error: run.trace: is cut: 512 bytes, and its header says {run.trace}"],
)
bad_trace(
    "header cut",
    Good("run.trace", cut=100),
    says=["error: run.trace: is damaged: its header cannot be read"],
)
bad(
    "recovery of what is whole",
    "trace recover run.trace",
    run__trace=Good("run.trace"),
    says=[
        "error: run.trace: was written to its end: there is nothing to recover; `trace info` reads it"
    ],
)
bad(
    "recovery onto a file",
    "trace recover run.trace -o old",
    run__trace=Good("writing.trace"),
    old="as it was",
    says=["error: old: is there already"],
)
bad(
    "replay of a result",
    "trace replay result.json",
    result__json=Good("result.json"),
    says=["error: result.json: is no trace file: it does not begin with 'eyeriss-sim trace'"],
)
bad(
    "diff with a damaged one",
    "trace diff run.trace cut.trace",
    run__trace=Good("run.trace"),
    cut__trace=Good("run.trace", damaged=True),
    says=["error: cut.trace: is damaged: its content does not match its digest"],
)
bad(
    "cycle negative",
    "trace replay run.trace --from -1",
    run__trace=Good("run.trace"),
    says=["error: Invalid value for '--from': -1 is not in the range 0<=x<=140737488355328."],
)
bad(
    "PE that is none",
    "trace replay run.trace --pe 3",
    run__trace=Good("run.trace"),
    says=["error: Invalid value for '--pe': '3' is no PE; one is ROW,COLUMN, as in 3,4"],
)
bad(
    "action unknown",
    "trace replay run.trace --action raed",
    run__trace=Good("run.trace"),
    says=[
        "error: no action 'raed'; did you mean 'read'? known: read, write, send, mac, accumulate, fill, prefetch, load, dump, wait"
    ],
)
bad(
    "type unknown",
    "trace replay run.trace --type ifmp",
    run__trace=Good("run.trace"),
    says=[
        "error: no data type 'ifmp'; did you mean 'ifmap'? known: none, filter, ifmap, psum, ofmap"
    ],
)
bad(
    "block unknown",
    "trace replay run.trace --block gin_ifmpa",
    run__trace=Good("run.trace"),
    says=[
        "error: no block 'gin_ifmpa'; did you mean 'gin_ifmap'? known: dram, glb, gin_filter, gin_ifmap, gin_psum, gon_psum, noc, pe, pe(R,C), link, link(R,C)"
    ],
)
bad(
    "condition that is none",
    "trace replay run.trace --break 'glb > '",
    run__trace=Good("run.trace"),
    says=[
        "error: 'glb > ' is no condition; one is NAME OP NUMBER, such as 'glb.psum.read > 1000', 'cycle >= 500', 'fifo.psum_in(3,4) >= 8' or 'waiting_psum_in(3,4) > 10'"
    ],
)
bad(
    "more events than memory holds",
    "trace replay run.trace --limit 5000001",
    run__trace=Good("run.trace"),
    says=["error: Invalid value for '--limit': 5000001 is not in the range 1<=x<=5000000."],
)
bad(
    "export to stdout",
    "trace export run.trace --to csv -o -",
    run__trace=Good("run.trace"),
    says=["error: -o -: an export is written to a file"],
)
bad(
    "export onto the trace",
    "trace export run.trace --to csv -o run.trace",
    run__trace=Good("run.trace"),
    says=["error: -o run.trace: is a file that is read; name another one"],
)
bad(
    "export to a full disk",
    "trace export run.trace --to csv -o /dev/full",
    run__trace=Good("run.trace"),
    says=["error: /dev/full: cannot be written: No space left on device"],
)
bad(
    "trace to stdout",
    "run lenet5 --trace -",
    says=["error: --trace -: a trace is written to a file"],
)
bad(
    "window upside down",
    "run lenet5 --trace t --trace-window 20:10",
    says=["error: --trace-window 20:10: must be FIRST:LAST in cycles, as in 10000:20000"],
)
bad(
    "window that is none",
    "run lenet5 --trace t --trace-window ten",
    says=["error: --trace-window ten: must be FIRST:LAST in cycles, as in 10000:20000"],
)
bad(
    "group of blocks unknown",
    "run lenet5 --trace t --trace-blocks gbl",
    says=[
        "error: --trace-blocks: no group of blocks 'gbl'; did you mean 'glb'? known: dram, glb, noc, pe"
    ],
)
bad(
    "layer of the trace unknown",
    "run lenet5 --trace t --trace-layer C33",
    says=["error: --trace-layer: no layer 'C33'; did you mean 'C3'? known: C1, C3, C5, F6, OUTPUT"],
)
bad(
    "limits without a trace",
    "run lenet5 --trace-layer C1",
    says=["error: --trace-layer needs --trace: without it nothing is recorded"],
)
bad("trace missing", "trace info run.trace", says=["error: run.trace: No such file or directory"])
bad(
    "layer unknown",
    "trace replay run.trace --layer CC1",
    run__trace=Good("run.trace"),
    says=["error: run.trace: no layer 'CC1'; did you mean 'C1'? known: C1"],
)
bad(
    "PE outside the array",
    "trace replay run.trace --layer C1 --pe 99,0",
    run__trace=Good("run.trace"),
    says=["error: no block pe(99,0): rows are 0 to 11, columns 0 to 13"],
)
bad(
    "break that says nothing",
    "trace replay run.trace --layer C1 --break 'glb.psum.raed > 3'",
    run__trace=Good("run.trace"),
    says=[
        (
            "error: 'glb.psum.raed' cannot be watched; did you mean glb.psum.read, "
            "glb.psum.write, spad.psum.read?"
        )
    ],
)
bad(
    "export to the unknown",
    "trace export run.trace --layer C1 --to perfeto -o x.json",
    run__trace=Good("run.trace"),
    says=[
        "error: Invalid value for '--to': no choice 'perfeto'; did you mean 'perfetto'? known: perfetto, vcd, csv, npz"
    ],
)
bad(
    "diff with nothing",
    "trace diff run.trace",
    run__trace=Good("run.trace"),
    says=["error: Missing argument 'B'."],
)
bad(
    "trace target folder missing",
    "run net.yaml --trace gone/run.trace",
    net__yaml=layer(),
    says=["error: gone/run.trace: cannot be written: No such file or directory"],
)

# --- command lines

section("command lines")
bad("unknown command", "rnu lenet5", says=["error: No such command 'rnu'. Did you mean 'run'?"])
bad(
    "unknown option",
    "run lenet5 --bach 3",
    says=["error: No such option '--bach'. Did you mean '--batch'?"],
)
bad(
    "option without its value",
    "run lenet5 --batch",
    says=["error: Option '--batch' requires an argument."],
)
bad(
    "batch as text",
    "run lenet5 --batch four",
    says=["error: Invalid value for '--batch': 'four' is not a valid integer."],
)
bad("batch zero", "run lenet5 --batch 0", says=["error: --batch: must be 1 to 4096, got 0"])
bad(
    "batch huge",
    "run lenet5 --batch 99999999999999999999",
    says=["error: --batch: must be 1 to 4096, got 99999999999999999999"],
)
bad(
    "layer unknown",
    "run alexnet --layer CONV11",
    says=[
        (
            "error: alexnet: no layer 'CONV11'; did you mean 'CONV1'? known: CONV1, CONV2, "
            "CONV3, CONV4, CONV5, FC6, FC7, FC8"
        )
    ],
)
bad("two networks", "run lenet5 alexnet", says=["error: Got unexpected extra argument (alexnet)"])
bad(
    "jobs zero",
    "run lenet5 --jobs 0",
    says=["error: Invalid value for '--jobs': 0 is not in the range x>=1."],
)
bad(
    "seed without values",
    "run lenet5 --seed 1",
    says=["error: --seed needs --values: without it no real words move"],
)
bad(
    "seed negative",
    "run lenet5 --values --seed -1",
    says=[("error: Invalid value for '--seed': -1 is not in the range 0<=x<=9223372036854775807.")],
)
bad(
    "ofmap of an unknown kind",
    "run lenet5 --values --ofmap ofmap.csv",
    says=["error: --ofmap ofmap.csv: the name must end in .npy or .npz"],
)
bad(
    "ofmaps in one .npy",
    "run lenet5 --values --ofmap ofmap.npy",
    says=[
        (
            "error: --ofmap ofmap.npy: an .npy file holds one ofmap, and 5 layers are "
            "simulated; name an .npz file, or one layer with --layer"
        )
    ],
)
bad(
    "tolerance NaN",
    "check lenet5 --tolerance nan",
    says=["error: Invalid value for '--tolerance': nan is not a percentage from 0 to 100"],
)
bad(
    "tolerance of 101 percent",
    "check lenet5 --tolerance 101",
    says=["error: Invalid value for '--tolerance': 101 is not a percentage from 0 to 100"],
)
bad(
    "random and a case",
    "check --random 1 --case case.yaml",
    says=["error: --random draws cases and --case reads one: give one of them"],
)
bad(
    "random with a network",
    "check lenet5 --random 1",
    says=[
        ("error: NETWORK has no meaning with --random: a case has its own layer, chip and mapping")
    ],
)
bad(
    "random none",
    "check --random 0",
    says=["error: Invalid value for '--random': 0 is not in the range 1<=x<=10000000."],
)
bad(
    "show of the unknown",
    "show netwrk",
    says=["error: No such command 'netwrk'. Did you mean 'network'?"],
)
bad(
    "show of an unknown network",
    "show network lenet",
    says=[
        (
            "error: no network 'lenet'; did you mean 'lenet5'? known: alexnet, lenet5, "
            "mobilenet_v1, resnet50, vgg16"
        )
    ],
)
bad(
    "validate of an unknown network",
    "validate alexnt",
    says=[
        (
            "error: no network with published figures 'alexnt'; did you mean 'alexnet'? "
            "known: alexnet, vgg16"
        )
    ],
)
bad(
    "every layer refused",
    "run net.yaml",
    net__yaml=layer(ifmap="20", filter="13"),
    says=[
        "refused: A: filter rows R = 13, limit 1 to 12: rows the configuration can name",
        "refused: A: filter columns S = 13, limit 1 to 12: columns a spad row can hold",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "a layer that was named is refused",
    "run net.yaml --layer A",
    net__yaml=layer(stride="3"),
    says=[
        "refused: A: vertical stride = 3, limit 1, 2, 4: diagonals the NoC can form",
        "error: eyeriss_v1 refuses every layer; nothing was simulated: try another --mapping, --hw or --set",
    ],
)
bad(
    "json in a folder that is not there",
    "run lenet5 --json gone/result.json",
    says=["error: gone/result.json: cannot be written: No such file or directory"],
)
bad(
    "json where a folder is",
    "run lenet5 --json result.json",
    result__json=FOLDER,
    says=["error: result.json: cannot be written: Is a directory"],
)
bad(
    "json through a dangling symlink",
    "run lenet5 --json result.json",
    result__json=Link("gone/result.json"),
    says=["error: result.json: cannot be written: No such file or directory"],
)
bad(
    "json through a symlink to itself",
    "run lenet5 --json result.json",
    result__json=Link("result.json"),
    says=["error: result.json: cannot be written: Too many levels of symbolic links"],
)
bad(
    "jobs as text",
    "run lenet5 --jobs many",
    says=["error: Invalid value for '--jobs': 'many' is not a valid integer range."],
)
bad(
    "estimator under the name that it had",
    "estimate lenet5 --model first-order --precision p.yaml",
    says=["error: --model first-order is a command of its own: eyeriss-sim model first-order"],
)
bad(
    "published figures under the name that they had",
    "estimate config.json --model published",
    says=["error: --model published is a command of its own: eyeriss-sim model fodlam"],
)
bad(
    "model of an estimate",
    "estimate lenet5 --model closed-form",
    says=[
        "error: --model is no option of estimate, which is the machine's closed form; other models are commands: eyeriss-sim model"
    ],
)
bad(
    "model that knows one image",
    "model first-order lenet5 --batch 3",
    says=["error: No such option '--batch'."],
)
bad(
    "model of a chip that was measured",
    "model fodlam lenet5 --hw eyeriss_rtl",
    says=["error: No such option '--hw'."],
)
bad(
    "array without PEs",
    "model first-order lenet5 --array 0 14",
    says=["error: Invalid value for '--array': 0 is not in the range 1<=x<=1024."],
)
bad(
    "random as text",
    "check --random x",
    says=["error: Invalid value for '--random': 'x' is not a valid integer range."],
)
bad(
    "seed that draws nothing",
    "check lenet5 --seed 3",
    says=["error: --seed needs --random: nothing else is drawn"],
)
bad(
    "audit of an unknown network",
    "audit lenet",
    says=[
        "error: no network 'lenet'; did you mean 'lenet5'? known: alexnet, lenet5, mobilenet_v1, resnet50, vgg16"
    ],
)
bad(
    "calibration of an argument",
    "calibrate alexnet",
    says=["error: Got unexpected extra argument (alexnet)"],
)
bad(
    "table onto a full disk",
    "calibrate -q -o /dev/full",
    says=["error: /dev/full: cannot be written: No space left on device"],
)
bad(
    "show of unknown hardware",
    "show hw eyeris_v1",
    says=[
        "error: no shipped hardware 'eyeris_v1'; did you mean 'eyeriss_v1'? known: eyeriss_int8, eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
    ],
)
bad(
    "show of an unknown table",
    "show energy isca2061",
    says=[
        "error: no shipped energy table 'isca2061'; did you mean 'isca2016'? known: accelergy_45nm, eyeriss_65nm_calibrated, horowitz_45nm, isca2016, nn_dataflow_65nm, sparseloop_45nm, timeloop_65nm_8bit"
    ],
)
bad(
    "option of another command",
    "estimate lenet5 --every-pass",
    says=["error: No such option '--every-pass'. Did you mean '--energy'?"],
)
bad(
    "layer empty",
    "run lenet5 --layer ''",
    says=["error: lenet5: no layer ''; known: C1, C3, C5, F6, OUTPUT"],
)
bad(
    "network empty",
    "run ''",
    says=["error: no network ''; known: alexnet, lenet5, mobilenet_v1, resnet50, vgg16"],
)
bad(
    "network with a NUL",
    "run 'a\x00b.yaml'",
    says=["error: 'a\\x00b.yaml': an argument cannot hold a null character"],
)
bad(
    "NUL in --json",
    "run lenet5 --json 'a\x00b'",
    says=["error: 'a\\x00b': an argument cannot hold a null character"],
)
bad(
    "json name of 5000 letters",
    "run lenet5 --json " + "x" * 5000,
    says=["error: " + "x" * 5000 + ": cannot be written: File name too long"],
)
bad(
    "page on stdout",
    "run lenet5 --report -",
    says=["error: --report - : name a file; `report -o -` writes to stdout"],
)
bad(
    "plots where a file is",
    "run lenet5 --plots net.yaml",
    net__yaml=layer(),
    says=["error: net.yaml: Not a directory"],
)
bad(
    "json on top of the network",
    "run net.yaml --json net.yaml",
    net__yaml=layer(),
    says=["error: --json net.yaml: is a file that is read; name another one"],
)
bad(
    "json and page in one file",
    "run lenet5 --json a.json --report a.json",
    says=["error: --report a.json: is the file of --json, too; name another one"],
)
bad(
    "full disk",
    "run lenet5 -q --layer C1 --json /dev/full",
    says=["error: /dev/full: cannot be written: No space left on device"],
)
bad(
    "full disk under the estimate",
    "estimate lenet5 -q --json /dev/full",
    says=["error: /dev/full: cannot be written: No space left on device"],
)
bad(
    "ofmap on a full disk",
    "run net.yaml -q --values --ofmap full.npy",
    net__yaml=layer(),
    full__npy=Link("/dev/full"),
    says=["error: full.npy: cannot be written: No space left on device"],
)

# --- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE_OF_BAD, ids=str)
def test_a_broken_input_is_refused(
    row: Bad,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, content in row.files.items():
        put(tmp_path / name, content, good)
    before = everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    code = main(row.argv)
    captured = capsys.readouterr()
    # How large a trace is depends on the libraries that packed it.
    size = (good / "run.trace").stat().st_size
    sizes = {"{run.trace}": size, "{run.trace+7}": size + 7}
    says = row.says
    for mark, bytes_ in sizes.items():
        says = [line.replace(mark, str(bytes_)) for line in says]
    assert told(captured.err) == says
    assert code == 2
    assert captured.out == ""
    assert everything(tmp_path) == before


def test_the_table_is_long_enough(count: Callable[[str, str, int], None]) -> None:
    assert len({str(row) for row in TABLE_OF_BAD}) == len(TABLE_OF_BAD)
    for row in TABLE_OF_BAD:
        count("bad inputs", row.section, 1)
    assert len(TABLE_OF_BAD) >= 120
