"""The table of broken inputs: each gives its exact words, exit code 2, and leaves every file alone.

A row names what is wrong, the command line, the files that are there, and all that stderr says
(without click's "Usage" lines). Commands run in this process; what needs a process of its own, such
as Ctrl-C, stands in test_interrupts.py. A file's name is a keyword with `__` for the dot.
"""

# ruff: noqa: E501  messages stand as they are printed, on one line where they fit

from __future__ import annotations

import io
import os
import shlex
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hw_models.load
from sim.cli import main

DATA = Path(hw_models.load.__file__).parent / "data"


@dataclass(frozen=True)
class Link:
    """A symlink to `to`."""

    to: str


@dataclass(frozen=True)
class Good:
    """A file that the program itself wrote, whole or spoiled."""

    name: str
    cut: int | None = None
    more: int = 0
    damaged: bool = False
    edit: tuple[str, str] | None = None

    def spoiled(self, content: bytes) -> bytes:
        if self.edit is not None:
            old, new = (part.encode() for part in self.edit)
            assert old in content
            content = content.replace(old, new)
        if self.damaged:
            middle = len(content) // 2
            content = content[:middle] + b"\xff" * 200 + content[middle + 200 :]
        return content[: self.cut] + b"\0" * self.more


FOLDER, PIPE = object(), object()


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


def layer(**changes: str | None) -> str:
    """A network of one good layer, but for the changes; None leaves a key out."""
    entry: dict[str, str | None] = {
        "name": "A", "ifmap": "8", "channels": "3", "filters": "4", "filter": "3", **changes,
    }  # fmt: skip
    written = ", ".join(f"{key}: {value}" for key, value in entry.items() if value is not None)
    return f"network: n\nlayers:\n- {{{written}}}\n"


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
        "error: net.yaml:3: layers[0].type: must be 'conv', 'depthwise' or 'fc', got 'convolution'; did you mean 'conv'?"
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
    "too many layers",
    "network: n\nlayers:\n"
    + "".join(
        f"- {{name: L{i}, ifmap: 1, channels: 1, filters: 1, filter: 1}}\n" for i in range(8000)
    ),
    says=[
        (
            "error: n on eyeriss_v1: the results of 8000 layers on 168 PEs take 1321 MiB, "
            "limit 1024: name fewer layers with --layer, or use a smaller array"
        )
    ],
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
            "'eyeriss_v1'? known: eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
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
            "8589934592 lines of glb.port_bits = 64: must be 65536 or fewer"
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
            "16 bits per cycle are more than the GLB port delivers: glb.port_bits = 63"
        ),
        (
            "error: {DATA}/eyeriss_v1.yaml:39: noc.psum_words_per_cycle: 4 words of 16 "
            "bits per cycle are more than the GLB port delivers: glb.port_bits = 63"
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
            "eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
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
    says=["error: map.yaml:1: layers.C11: is not a layer of this run; did you mean 'C1'?"],
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
bad("file missing", "run lenet5 --mapping gone.yaml", says=["error: gone.yaml: no such file"])
bad(
    "file a dangling symlink",
    "run lenet5 --mapping map.yaml",
    map__yaml=Link("gone.yaml"),
    says=["error: map.yaml: no such file"],
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
bad("table missing", "run lenet5 --energy table.yaml", says=["error: table.yaml: no such file"])
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
        "refused: A: MiB of memory = 457431, limit 1024: 1 passes, the largest on 12288 PEs, under the mapping m=4,n=1,e=4096,p=4,q=12,r=1,t=1; a smaller batch or array, or shallower spads and filter banks, take less",
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
        "refused: A: MiB of memory = 37662, limit 1024: 3 passes, the largest on 49152 PEs, under the mapping m=64,n=1,e=256,p=1,q=1,r=1,t=64; a smaller batch or array, or shallower spads and filter banks, take less",
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
            "error: A, batch 4096: --values takes 461626 MiB of memory, limit 1024: a "
            "smaller batch takes less"
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
        "error: case.yaml:2: hw: no shipped hardware 'eyeriss_v2'; did you mean 'eyeriss_v1'? known: eyeriss_isca2016, eyeriss_rtl, eyeriss_v1"
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
    Good("result.json", edit=('"version": 1', '"version": 99')),
    says=[
        (
            "error: result.json: version: 99 is not read here, only 1; write the file "
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
    says=["error: result.json: layers[0].cycles.processing: must be a whole number, got 'x'"],
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


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that the program takes."""
    folder = tmp_path_factory.mktemp("good")
    random = np.random.default_rng(0)
    for name, shape in (("i.npy", (1, 3, 8, 8)), ("f.npy", (4, 3, 3, 3))):
        np.save(folder / name, random.integers(-9, 9, shape).astype(np.int16))
    net, result, trace = (str(folder / n) for n in ("net.yaml", "result.json", "run.trace"))
    (folder / "net.yaml").write_text(layer())
    assert main(["run", net, "-q", "--json", result]) == 0
    assert main(["run", "lenet5", "--layer", "C1", "-q", "--trace", trace]) == 0
    return folder


def put(path: Path, content: Any, good: Path) -> None:
    if content is FOLDER:
        path.mkdir()
    elif content is PIPE:
        os.mkfifo(path)
    elif isinstance(content, Link):
        path.symlink_to(content.to)
    elif isinstance(content, Good):
        path.write_bytes(content.spoiled((good / content.name).read_bytes()))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)


def everything(folder: Path) -> dict[str, object]:
    """What stands in a folder: kind, mode and content of each entry."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def told(stderr: str) -> list[str]:
    """The lines of stderr without click's reminder of the usage, and without this machine."""
    lines = stderr.replace(str(DATA), "{DATA}").splitlines()
    return [line for line in lines if line and not line.startswith(("Usage: ", "Try '"))]


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
    whole = str((good / "run.trace").stat().st_size)
    assert told(captured.err) == [line.replace("{run.trace}", whole) for line in row.says]
    assert code == 2
    assert captured.out == ""
    assert everything(tmp_path) == before


DENIED = [
    ("run net.yaml", "net.yaml", "error: net.yaml: cannot be read: Permission denied"),
    ("run lenet5 --hw hw.yaml", "hw.yaml", "error: hw.yaml: cannot be read: Permission denied"),
    ("run lenet5 --mapping m.yaml", "m.yaml", "error: m.yaml: cannot be read: Permission denied"),
    ("run lenet5 --energy t.yaml", "t.yaml", "error: t.yaml: cannot be read: Permission denied"),
    ("check --case case.yaml", "case.yaml", "error: case.yaml: cannot be read: Permission denied"),
    (WITH_WORDS, "i.npy", "error: i.npy: --ifmap: Permission denied"),
    ("report result.json", "result.json", "error: result.json: Permission denied"),
    ("trace info run.trace", "run.trace", "error: run.trace: Permission denied"),
]


@pytest.mark.parametrize(("argv", "name", "says"), DENIED, ids=[row[1] for row in DENIED])
def test_an_unreadable_file_is_refused(
    argv: str,
    name: str,
    says: str,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Not chmod: root reads everything.
    def deny(opens: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *args: Any, **options: Any) -> Any:
            if not isinstance(file, int) and Path(file).name == name:
                raise PermissionError(13, "Permission denied", str(file))
            return opens(file, *args, **options)

        return opened

    for other in good.iterdir():
        (tmp_path / other.name).write_bytes(other.read_bytes())
    if not (tmp_path / name).exists():
        (tmp_path / name).write_text("a: 1\n")
    before = everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(io, "open", deny(io.open))
        patched.setattr(os, "open", deny(os.open))
        patched.setattr("builtins.open", deny(open))
        code = main(shlex.split(argv))
    assert told(capsys.readouterr().err) == [says]
    assert code == 2
    assert everything(tmp_path) == before


UNWRITABLE = [
    "run lenet5 --layer C1 -q --json old.json",
    "estimate lenet5 -q --json old.json",
    "check lenet5 --layer C1 -q --json old.json",
    "run lenet5 --layer C1 -q --values --ofmap old.npy",
    "run lenet5 --layer C1 -q --trace old.trace",
    "validate alexnet -q --json old.json",
]


@pytest.mark.parametrize("argv", UNWRITABLE)
@pytest.mark.parametrize("how", ["folder", "file"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_simulated(
    argv: str,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = shlex.split(argv)[-1]
    (tmp_path / name).write_text("as it was")
    before = everything(tmp_path)
    monkeypatch.chdir(tmp_path)

    def simulated(*_: object, **__: object) -> None:
        raise AssertionError("simulated, though the target cannot be written")

    monkeypatch.setattr("sim.engine.top.Machine.run", simulated)
    opens = os.open

    def denied(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_WRONLY:
            raise PermissionError(13, "Permission denied", str(path))
        return opens(path, flags, *args, **options)

    with monkeypatch.context() as patched:
        if how == "folder":
            patched.setattr(os, "open", denied)
        else:
            patched.setattr(os, "access", lambda *_, **__: False)
        code = main(shlex.split(argv))
    assert told(capsys.readouterr().err) == [f"error: {name}: cannot be written: Permission denied"]
    assert code == 2
    assert everything(tmp_path) == before


def test_the_table_is_long_enough(tell: Callable[[str, str], None]) -> None:
    assert len({str(row) for row in TABLE_OF_BAD}) == len(TABLE_OF_BAD)
    more = len(DENIED) + 2 * len(UNWRITABLE)
    sections = dict.fromkeys(row.section for row in TABLE_OF_BAD)
    for name in sections:
        tell("bad inputs", f"{sum(row.section == name for row in TABLE_OF_BAD):4} {name}")
    tell("bad inputs", f"{more:4} unreadable and unwritable files")
    tell("bad inputs", f"{len(TABLE_OF_BAD) + more:4} in all, Ctrl-C apart")
    assert len(TABLE_OF_BAD) >= 120
