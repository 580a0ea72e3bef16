"""Random accelerators, layers and tables in NeuroSpector's files, and its recorded cases.

A test in this folder imports from here by name: `from neurospector_cases import RandomCase`.
"""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

DATA = Path(__file__).parent / "data"
PARAMETERS = "KBPQCRSG"
TYPES = ("INPUT", "WEIGHT", "OUTPUT")
FLOWS = ("IS", "WS", "OS")
OPTIONS = {  # of the tool, by those of the program
    "--accelerator": "--accelerator",
    "--network": "--network",
    "--table": "--scheduling_table",
    "--search": "--optimizer",
    "--metric": "--metric",
    "--dataflow": "--dataflow",
    "--layer": "--layer",
    "--batch-size": "--batch_size",
    "--multi-chip-partitioning": "--multi_chip_partitioning",
}


def recorded(kind: str) -> list[Path]:
    """Folders of the recorded cases of a kind: analyzer or optimizer."""
    folders = sorted(path.parent for path in DATA.glob("*/case.json"))
    return [f for f in folders if json.loads((f / "case.json").read_text())["kind"] == kind]


def arguments(folder: Path) -> list[str]:
    """The command line of a recorded case, in the program's options."""
    case = json.loads((folder / "case.json").read_text())
    values = dict(argument.split("=", 1) for argument in case["args"])
    analyzes = values.pop("--run_type") == "analyzer"
    out = ["model", "neurospector", "analyze" if analyzes else "optimize"]
    if values.pop("--cross_layer_optimization", "") == "true":
        out.append("--cross-layer")
    if "version" in case:
        out += ["--version", case["version"]]
    ours = {theirs: option for option, theirs in OPTIONS.items()}
    for name, value in values.items():
        is_file = value.endswith(".cfg")
        out += [ours[name], str(folder / value) if is_file else value]
    return out


def tokens(text: str) -> list[list[str]]:
    """Words of every line but that of the run time."""
    return [line.split() for line in text.splitlines() if "Runtime:" not in line]


def ask(binary: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the original does in a folder that holds acc.cfg, net.cfg and table.cfg."""
    return subprocess.run(
        [binary, "--accelerator=acc.cfg", "--network=net.cfg", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@dataclass
class RandomCase:
    """An accelerator and a layer of a seed, within which tables are drawn."""

    seed: int
    version: str = "1.5"
    small: bool = False
    """So small that a brute force over all tables takes a moment."""
    acc: str = ""
    net: str = ""
    size: list[int] = field(default_factory=list)
    arrays: dict[str, tuple[int, int]] = field(default_factory=dict)
    units: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = Random(f"{self.seed} {self.version} {self.small}")
        self._layer()
        self._accelerator()

    def write(self, folder: Path) -> None:
        """Write acc.cfg and net.cfg."""
        (folder / "acc.cfg").write_text(self.acc)
        (folder / "net.cfg").write_text(self.net)

    def _layer(self) -> None:
        r = self._random
        if self.small:
            size = [r.choice(c) for c in ([1, 2, 4, 6], [1, 1, 2], [1, 2, 4], [1, 3, 4])]
            size += [r.choice([1, 2, 4]), r.choice([1, 3]), r.choice([1, 1, 3]), 1]
            size[7] = r.choice([1, 1, 1, 2])
        else:
            size = [r.choice([1, 2, 6, 8, 16, 24, 64]), r.choice([1, 1, 2, 4])]
            size += [r.choice([1, 4, 7, 8, 12, 14, 28]) for _ in "PQ"]
            size += [r.choice([1, 3, 4, 8, 16, 48]), r.choice([1, 1, 3, 5]), r.choice([1, 3, 5])]
            size.append(r.choice([1, 1, 1, 2, 4]))
        self.size = size
        stride = r.choice([1, 1, 1, 2, 3, 4, 0])
        line = [size[0] * size[7], *size[1:4], size[4] * size[7], *size[5:], stride]
        self.net = f"[NETWORK]\nname=net\n\n[LAYERS]\nL1={','.join(map(str, line))}\n"

    def _accelerator(self) -> None:
        r = self._random
        bits = r.choice([8, 16, 16, 16, 32])
        lines = [
            "[ACCELERATOR]",
            "NAME=Chip",
            f"PRECISION=INT{bits}",
            f"FREQUENCY={r.choice([100, 200, 333, 700])}",
            f"UNIT_MAC_ENERGY={r.choice([1, 2.2, 0.56])}",
            f"UNIT_MAC_STATIC={r.choice([0, 0.0132, 0.5])}",
        ]
        if r.random() < 0.3:
            lines += self._array("MAC_ARRAY", [1, 2, 4])
        lines += self._buffer("LOCAL_BUFFER", bits, [24, 64, 448, 2000])
        if r.random() < 0.9:
            lines += self._array("PE_ARRAY", [1, 2, 3, 4] if self.small else [1, 4, 8, 12, 14])
        lines += self._buffer("GLOBAL_BUFFER", bits, [64, 500, 4096, 102400])
        if r.random() < 0.3:
            lines += self._array("MULTI_CHIPS", [1, 2, 2])
        lines += self._buffer("DRAM", bits, [1 << 20])
        self.acc = "\n".join(lines) + "\n"

    def _array(self, name: str, sides: list[int]) -> list[str]:
        r = self._random
        x, y = r.choice(sides), r.choice(sides)
        self.arrays[name] = (x, y)
        lines = ["", f"[{name}]", "TYPE=SPATIAL", f"SIZE_X={x}", f"SIZE_Y={y}"]
        if name == "PE_ARRAY" and r.random() < 0.25:
            letters = r.sample(PARAMETERS, r.randint(2, 5))
            lines.append(f"CONSTRAINT_{r.choice('XY')}={','.join(letters)}")
        return lines

    def _buffer(self, name: str, bits: int, sizes: list[int]) -> list[str]:
        r, release = self._random, self.version == "1.5"
        flow = r.choice(FLOWS) if name != "DRAM" else "NONE"
        kept = {"IS": 0, "WS": 1, "OS": 2}.get(flow, -1)
        count = 1 if name == "DRAM" else r.choice([1, 1, 3, 3, 2])
        if name == "LOCAL_BUFFER" and count == 2:
            count = 3
        bypass = []
        if name != "DRAM" and (r.random() < 0.4 or (count == 2 and release)):
            free = [t for i, t in enumerate(TYPES) if i != kept]
            bypass = r.sample(free, 1 if r.random() < 0.8 else 2)
        numbers = 3 if release else count
        lines = ["", f"[{name}]", "TYPE=TEMPORAL"]
        if flow != "NONE":
            lines.append(f"DATAFLOW={flow}")
        held = [r.choice(sizes) for _ in range(count)]
        lines.append(f"BUFFER_SIZE={','.join(map(str, held))}")
        if bypass:
            lines.append(f"BYPASS={','.join(bypass)}")
        if not release and count == 2:
            lines.append(f"SEPARATED_DATA={r.choice(TYPES)}")

        def draw(key: str, choices: list[float]) -> str:
            return f"{key}={','.join(str(r.choice(choices)) for _ in range(numbers))}"

        lines.append(draw("UNIT_ACCESS_ENERGY", [0, 0.19, 0.63, 5.27, 128]))
        lines.append(draw("UNIT_STATIC_POWER", [0, 0.006047, 0.0001, 0.3]))
        lines.append(draw("UNIT_CYCLE", [1, 1, 2, 8]))
        widths = [bits, bits, 2 * bits, 4 * bits, 24]
        if release:
            lines.append(f"BANDWIDTH={r.choice(widths)}")
        else:
            lines.append(draw("BITWIDTH", [max(bits, w) for w in widths]))
        return lines

    def rows(self) -> list[str]:
        """Rows that a table of this accelerator has, units among them."""
        names = []
        for name in ("MAC_ARRAY", "LB", "PE_ARRAY", "GB", "MULTI_CHIPS", "DRAM"):
            if name in self.arrays:
                x, y = self.arrays[name]
                names += [f"{name}(X)" if x > 1 else name, f"{name}(Y)" if y > 1 else name]
            elif name in ("LB", "GB", "DRAM"):
                names.append({"LB": "LOCAL_BUFFER", "GB": "GLOBAL_BUFFER"}.get(name, name))
        return names

    def table(self, bias: float = 0.6) -> str:
        """A table whose products are the layer's; more often than not it is legal."""
        r, names = self._random, self.rows()
        rows = {name: [1] * 8 for name in names}
        free = [name for name in names if name not in self.arrays]
        for column, value in enumerate(self.size):
            for prime in _primes(value):
                spatial = [n for n in free if "(" in n and self._fits(n, rows[n], prime)]
                pool = ["DRAM", "GLOBAL_BUFFER", "LOCAL_BUFFER", *spatial]
                weights = [bias, 0.5, 0.3, *[0.6] * len(spatial)]
                rows[r.choices(pool, weights)[0]][column] *= prime
        lines = [f"{name}={','.join(map(str, row))}" for name, row in rows.items()]
        return "[LAYER]\nlayer_name=L1\n[SCHEDULING_TABLE]\n" + "\n".join(lines) + "\n"

    def _fits(self, name: str, row: list[int], prime: int) -> bool:
        side = self.arrays[name[:-3]]["XY".index(name[-2])]
        return math.prod(row) * prime <= side


def _primes(value: int) -> list[int]:
    found, prime = [], 2
    while value > 1:
        while value % prime == 0:
            found.append(prime)
            value //= prime
        prime += 1
    return found
