"""Random legal (layer, hardware, mapping) triples, and the file that reproduces one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from hw_models.load import load_hardware
from hw_models.spec import WORDS
from sim.analytic.form import outside_proven_range
from sim.dataflow.base import Mapping, Plan, find_dataflow
from sim.errors import Fault, InputError, MappingError
from sim.plan.make import make_plan
from workloads.inputs.document import Document, read_document
from workloads.inputs.faults import in_order
from workloads.inputs.models import validate
from workloads.layer import Layer, ShapeError
from workloads.network import network_from_document

# Larger triples show nothing new and take longer.
MOST_MACS = 3_000_000
MOST_PASSES = 400


@dataclass(frozen=True)
class Case:
    """A triple: a layer at a batch, a chip as changes to a shipped one, and a mapping."""

    layer: Layer
    batch: int
    hw: str
    overrides: tuple[str, ...]
    mapping: Mapping

    @property
    def plan(self) -> Plan:
        """The case laid out.

        Raises:
            MappingError: the triple breaks a rule of the chip.

        """
        hw = load_hardware(self.hw, self.overrides)
        return make_plan(self.layer, self.batch, hw, self.mapping)

    @cached_property
    def default_fifos(self) -> bool:
        """No FIFO is so shallow that the closed form's cycles are not claimed."""
        return not outside_proven_range(load_hardware(self.hw, self.overrides))

    def to_yaml(self) -> str:
        """Return the file that `check --case` reads."""
        layer = self.layer
        return yaml.safe_dump(
            {
                "batch": self.batch,
                "hw": self.hw,
                "set": list(self.overrides),
                "mapping": str(self.mapping),
                "network": "case",
                "layers": [
                    {
                        "name": layer.name,
                        "ifmap": [layer.H, layer.W],
                        "channels": layer.G * layer.C,
                        "filters": layer.M,
                        "filter": [layer.R, layer.S],
                        "stride": [layer.U, layer.V],
                        "padding": [
                            layer.pad_top,
                            layer.pad_bottom,
                            layer.pad_left,
                            layer.pad_right,
                        ],
                        "groups": layer.G,
                    }
                ],
            },
            sort_keys=False,
        )


class _CaseFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    batch: int = Field(ge=1, le=4096)
    hw: str
    set: tuple[str, ...] = ()
    mapping: str
    network: str
    layers: tuple[dict[str, object], ...] = Field(min_length=1, max_length=1)


def read_case(path: Path | str) -> Case:
    """Read the file of a case.

    Raises:
        InputError: file, line and field of everything wrong in it.

    """
    document = read_document(path)
    fields = validate(_CaseFile, document)
    faults: list[Fault] = []
    mapping = None
    try:
        mapping = find_dataflow().parse_mapping(fields.mapping)
    except InputError as error:
        faults += _told_at(document, "mapping", error)
    try:
        load_hardware(fields.hw)
    except InputError as error:
        faults += _told_at(document, "hw", error)
    else:
        try:
            load_hardware(fields.hw, fields.set)
        except InputError as error:
            faults += _told_at(document, "set", error)
    if faults or mapping is None:
        raise InputError(*in_order(faults))
    parts = {"network": fields.network, "layers": document.data["layers"]}  # type: ignore[index]
    (layer,) = network_from_document(replace(document, data=parts)).layers
    # The file tells a layer as a network of one, but it is one of any network's layers.
    layer = replace(layer, network_input=False)
    case = Case(layer, fields.batch, fields.hw, fields.set, mapping)
    try:
        _ = case.plan
    except MappingError as error:
        raise InputError(*_told_at(document, "mapping", error)) from None
    return case


def _told_at(document: Document, key: str, error: InputError) -> list[Fault]:
    """Return faults of what a key gives, at its line; those within another file keep theirs."""

    def told(fault: Fault) -> Fault:
        text = str(fault).removeprefix("--set ").removeprefix("--mapping: ")
        return fault if fault.line is not None else document.fault((key,), text)

    return [told(fault) for fault in error.faults]


def random_cases(seed: int) -> Iterator[Case]:
    """Return an endless stream of legal triples, the same for the same seed.

    Strides (also unequal, also beyond the filter), groups, padding, rectangles, edge blocks in
    every dimension, folded sets, chains over several channel sets, other arrays, FIFOs (also tiny),
    bus widths, hops, spads, words of other widths, what crosses the DRAM link when, and the orders,
    waits and rates that the papers leave open.
    """
    generator = random.Random(seed)
    # Of their own, so that nothing else hangs on them.
    widths = random.Random(f"widths of {seed}")
    columns = random.Random(f"columns of {seed}")
    link = random.Random(f"link of {seed}")
    rules = random.Random(f"rules of {seed}")
    while True:
        overrides = _random_overrides(generator) + _random_link(link) + _random_rules(rules)
        base = "eyeriss_rtl" if generator.random() < 0.15 else "eyeriss_v1"
        try:
            hw = load_hardware(base, overrides)
        except InputError:
            continue
        for _ in range(20):
            try:
                layer = _random_layer(generator, hw.array.rows)
            except ShapeError:
                continue
            case = Case(
                layer,
                generator.randint(1, 4),
                base,
                overrides,
                find_dataflow().random_mapping(generator, layer),
            )
            if layer.macs(case.batch) > MOST_MACS:
                continue
            try:
                if case.plan.passes <= MOST_PASSES:
                    case = _varied(case, columns) if columns.random() < 0.2 else case
                    yield _of_other_widths(case, widths) if widths.random() < 0.2 else case
                    break
            except MappingError:
                continue


def shallow_cases(seed: int) -> Iterator[Case]:
    """Return an endless stream of legal triples with FIFOs down to a word, or a beat, deep."""
    depths = random.Random(f"depths of {seed}")
    for case in random_cases(seed):
        changes = [f"pe.ifmap_fifo_words={depths.randint(1, 16)}"]
        changes += [
            f"pe.{fifo}={depths.choice([4, 5, 6, 8, 8, 12, 16, 20, 32])}"
            for fifo in ("psum_in_fifo_words", "psum_out_fifo_words")
        ]
        changes.append(f"noc.bus_fifo_entries={depths.choice([1, 2, 2, 3])}")
        yield replace(case, overrides=(*case.overrides, *changes))


def _of_other_widths(case: Case, generator: random.Random) -> Case:
    """Return the case with words of other widths, where the chip can hold it with them."""
    changes = [f"word_bits.{word}={generator.choice([4, 8, 16, 32])}" for word in WORDS]
    changes.append(f"glb.port_bits={generator.choice([64, 128])}")
    changed = replace(case, overrides=(*case.overrides, *changes))
    try:
        _ = changed.plan
    except (InputError, MappingError):
        return case
    return changed


def _varied(case: Case, generator: random.Random) -> Case:
    """Return the case with further factors of its mapping drawn, where it may have them."""
    mapping = find_dataflow().varied_mapping(case.mapping, generator, case.layer)
    varied = replace(case, mapping=mapping)
    try:
        return varied if varied.plan.passes <= MOST_PASSES else case
    except MappingError:  # several tiles may have to be held at once
        return case


def _random_overrides(generator: random.Random) -> tuple[str, ...]:
    chosen: list[str] = []
    if generator.random() < 0.4:
        chosen += [f"array.rows={generator.randint(2, 24)}"]
        chosen += [f"array.columns={generator.randint(2, 24)}"]
    if generator.random() < 0.15:
        chosen += [
            f"pe.ifmap_fifo_words={generator.randint(1, 8)}",
            f"pe.psum_in_fifo_words={generator.randint(4, 12)}",
            f"pe.psum_out_fifo_words={generator.randint(4, 12)}",
        ]
    elif generator.random() < 0.1:
        chosen += [f"pe.ifmap_fifo_words={generator.randint(16, 64)}"]
    if generator.random() < 0.1:
        chosen += [f"noc.local_hop_cycles={generator.randint(1, 8)}"]
    if generator.random() < 0.1:
        chosen += [f"noc.psum_words_per_cycle={generator.choice([1, 2, 4])}"]
    if generator.random() < 0.1:
        chosen += [f"noc.gin_filter_words_per_cycle={generator.choice([1, 2, 4])}"]
    if generator.random() < 0.1:
        chosen += ["pe.ifmap_spad=shift"]
    if generator.random() < 0.1:
        chosen += ["glb.filter_load=streamed"]
    if generator.random() < 0.1:
        chosen += [f"clock.link_mhz={generator.choice([20, 100, 200])}"]
    if generator.random() < 0.1:
        chosen += ["schedule.charge_full_strip=true"]
    return tuple(chosen)


def _random_link(generator: random.Random) -> tuple[str, ...]:
    overlap = generator.choice(["none", "ifmap", "full"])
    dump = generator.choice(["filter_block", "filter_block", "m_block"])
    chosen = [f"dram.overlap={overlap}"] if overlap != "none" else []
    if dump != "filter_block":
        chosen += [f"dram.ofmap_dump={dump}"]
    if generator.random() < 0.1:
        chosen += [f"dram.first_access_latency_cycles={generator.choice([5, 40])}"]
    return tuple(chosen)


def _random_rules(generator: random.Random) -> tuple[str, ...]:
    """Return values of what docs/machine.md, "Variants", leaves open: in one case of four."""
    if generator.random() >= 0.25:
        return ()
    rules: dict[str, list[object]] = {
        "array.first_channel_set": ["top"],
        "pe.ifmap_wait": ["word"],
        "pe.start_cycles": [1, 3],
        "pe.image_change_cycles": [2, 3],
        "pe.filter_words_per_cycle": [1, 2, 4],
        "pe.psum_latency_cycles": [1, 2],
        "pe.psum_slot_freed": ["last_word"],
        "noc.filter_order": ["use"],
        "noc.ifmap_order": ["word"],
        "noc.psum_order": ["beat"],
        "glb.filter_load": ["first", "streamed"],
    }
    chosen = [f"{name}={generator.choice(values)}" for name, values in rules.items()]
    return tuple(setting for setting in chosen if generator.random() < 0.4)


def _random_layer(generator: random.Random, array_rows: int) -> Layer:
    rows = generator.randint(1, min(7, array_rows))
    columns = generator.randint(1, 7)
    vertical = generator.choice([1, 1, 1, 2, 4])
    horizontal = vertical if generator.random() < 0.8 else generator.randint(1, 5)
    groups = generator.choice([1, 1, 1, 2, 3])
    top, bottom, left, right = (
        generator.randint(0, 2) if generator.random() < 0.4 else 0 for _ in range(4)
    )
    height = (generator.randint(1, 30) - 1) * vertical + rows + generator.randint(0, vertical - 1)
    width = (generator.randint(1, 30) - 1) * horizontal + columns
    return Layer(
        name="CASE",
        G=groups,
        M=groups * generator.randint(1, 40),
        C=generator.randint(1, 16),
        H=max(1, height - top - bottom),
        W=max(1, width - left - right),
        R=rows,
        S=columns,
        U=vertical,
        V=horizontal,
        pad_top=top,
        pad_bottom=bottom,
        pad_left=left,
        pad_right=right,
    )
