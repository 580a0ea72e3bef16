"""A run of the machine as Accelergy's architecture and action counts, for its plug-ins to price.

Memories are counted in accesses as wide as they are, rounded up for each kind of data; the PEs' in
words, all PEs together, as Accelergy takes counts of a ranged name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Chip:
    """Sizes that the architecture names; spads in words, widths in bits."""

    pes: int
    word_bits: int
    glb_bits: int
    glb_depth: int
    glb_banks: int
    filter_depth: int
    filter_banks: int
    dram_bits: int
    ifmap_spad: int
    filter_spad: int
    psum_spad: int
    pipeline_stages: int
    core_mhz: float


@dataclass(frozen=True)
class Run:
    """A layer: the `accesses` of a result file, and its processing cycles."""

    accesses: Mapping[str, Any]
    cycles: int


def architecture(chip: Chip) -> str:
    """Return the architecture, version 0.4."""
    second = 1e-6 / chip.core_mhz  # written with a point: YAML 1.1 takes 5e-09 for text
    ports = "n_rdwr_ports: 2, n_rd_ports: 0, n_wr_ports: 0"
    moves = "required_actions: [read, write, leak]"
    bits = chip.word_bits
    return f"""architecture:
  version: "0.4"
  subtree:
  - name: eyeriss
    attributes: {{technology: "45nm", global_cycle_seconds: {second:.6e}, latency: "{1e9 * second:g}ns"}}
    local:
    - {{name: dram, class: DRAM, attributes: {{type: "LPDDR4", width: {chip.dram_bits}, datawidth: {bits}}}, {moves}}}
    - {{name: glb, class: SRAM, attributes: {{width: {chip.glb_bits}, depth: {chip.glb_depth}, n_banks: {chip.glb_banks}, {ports}}}, {moves}}}
    - {{name: glb_filter, class: SRAM, attributes: {{width: {chip.glb_bits}, depth: {chip.filter_depth}, n_banks: {chip.filter_banks}, {ports}}}, {moves}}}
    subtree:
    - name: PE[0..{chip.pes - 1}]
      local:
      - {{name: ifmap_spad, class: regfile, attributes: {{width: {bits}, depth: {chip.ifmap_spad}}}, {moves}}}
      - {{name: filter_spad, class: SRAM, attributes: {{width: {bits}, depth: {chip.filter_spad}, n_banks: 1, {ports}}}, {moves}}}
      - {{name: psum_spad, class: regfile, attributes: {{width: {bits}, depth: {chip.psum_spad}}}, {moves}}}
      - {{name: mac, class: intmac, attributes: {{width: {bits}, num_pipeline_stages: {chip.pipeline_stages}}}, required_actions: [mac_random, mac_gated, leak]}}
"""  # noqa: E501  # one component a line


def action_counts(runs: Iterable[Run], chip: Chip) -> str:
    """Return the action counts of all layers together, version 0.4."""
    totals: dict[str, dict[str, int]] = {}
    for run in runs:
        for component, action, count in _counts(run, chip):
            counted = totals.setdefault(component, {})
            counted[action] = counted.get(action, 0) + count
    lines = ["action_counts:", "  version: '0.4'", "  local:"]
    for component, actions in totals.items():
        lines += [f"  - name: eyeriss.{component}", "    action_counts:"]
        for action, count in actions.items():
            lines += [f"    - name: {action}", f"      counts: {count}"]
    return "\n".join(lines) + "\n"


def _counts(run: Run, chip: Chip) -> Iterator[tuple[str, str, int]]:
    """Yield component, action and count."""
    at_dram, at_glb = chip.dram_bits // chip.word_bits, chip.glb_bits // chip.word_bits
    dram, glb, spad = (run.accesses[level] for level in ("dram", "glb", "spad"))

    def moved(data: Iterable[Mapping[str, int]], way: str, words: int) -> int:
        return sum(-(-each.get(way, 0) // words) for each in data)

    buffered = [glb[kind] for kind in ("ifmap", "psum", "ofmap") if kind in glb]
    for name, data, words in (
        ("dram", list(dram.values()), at_dram),
        ("glb", buffered, at_glb),
        ("glb_filter", [glb["filter"]], at_glb),
    ):
        yield name, "read", moved(data, "read", words)
        yield name, "write", moved(data, "write", words)
        yield name, "leak", run.cycles
    pes = f"PE[0..{chip.pes - 1}]"
    for kind in ("ifmap", "filter", "psum"):
        for way in ("read", "write"):
            yield f"{pes}.{kind}_spad", way, spad[kind].get(way, 0)
        yield f"{pes}.{kind}_spad", "leak", run.cycles * chip.pes
    yield f"{pes}.mac", "mac_random", run.accesses["mac"]["active"]
    yield f"{pes}.mac", "mac_gated", run.accesses["mac"]["gated"]
    yield f"{pes}.mac", "leak", run.cycles * chip.pes
