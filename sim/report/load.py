"""A result file read back: checked field by field, so that pages can trust what stands in it."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hw_models.spec import Hardware
from sim.account.result import SCHEMA, VERSION
from sim.errors import Fault, InputError
from sim.plan.mapping import Mapping as RowStationary
from sim.plan.schedule import Plan, make_plan
from sim.report.terminal import CAUSES as HEADINGS
from traces.header import MAGIC, TraceError
from workloads.document import field_name, shown, wording
from workloads.layer import Layer, ShapeError, layer_from_dict

if TYPE_CHECKING:
    from sim.account.result import Result

MOST_BYTES = 1 << 28
"""Largest result file read: a network of a thousand layers fits."""

MOST_FAULTS = 12
CAUSES = tuple(HEADINGS)
KINDS = ("filter", "ifmap", "ofmap")

_Count = int
_Matrix = list[list[int]]


class _Part(BaseModel):
    # What a later version adds is none of this reader's business.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


class CyclesPart(_Part):
    """Core cycles of a layer."""

    processing: int = Field(ge=1)
    total: int = Field(ge=1)
    standstill: dict[str, int]
    by_cause: dict[str, int]


class PePart(_Part):
    """What each PE did, (rows, columns)."""

    macs: _Matrix
    busy_cycles: _Matrix
    by_cause: dict[str, _Matrix]


class ValuesPart(_Part):
    """How the ofmap of a run with real words compares with NumPy's."""

    elements: int = Field(ge=0)
    wrong: int = Field(ge=0)
    gated_off: int = 0
    seed: int | None = None


class EnergyPart(_Part):
    """A priced ledger."""

    table: str
    unit: str
    total: float = Field(ge=0)
    by_level: dict[str, float]
    by_data_type: dict[str, float]
    by_action: dict[str, float]
    unpriced: dict[str, float]
    per_mac: float | None = None
    average_power_w: float | None = None
    chip_power_w: float | None = None


class KindPart(_Part):
    """Passes that are equal to the cycle."""

    images: int
    strip_rows: int
    filters: int
    channels: int
    first_channels: bool
    cycles: int = Field(ge=0)
    passes: int = Field(ge=1)
    phases: dict[str, int]


class DetailPart(_Part):
    """One pass of a kind: how busy each station is, slice by slice."""

    kind: int = Field(ge=0)
    busy: dict[str, list[float]]


class TimelinePart(_Part):
    """The passes over time."""

    kinds: list[KindPart]
    order: list[tuple[int, list[tuple[int, int]]]] = []
    complete: bool = False
    detail: DetailPart | None = None


class StepPart(_Part):
    """A step of Eyexam."""

    step: str
    cycles: int = Field(ge=1)
    macs_per_cycle: float
    limit: str = ""
    reason: str


class LayerPart(_Part):
    """A layer's object in the result file."""

    name: str = Field(min_length=1, max_length=200)
    shape: dict[str, Any]
    mapping: dict[str, int]
    mapping_source: str
    passes: int = Field(ge=1)
    passes_simulated: int = Field(ge=0)
    macs: int = Field(ge=1)
    cycles: CyclesPart
    active_pes: int = Field(ge=1)
    utilization: dict[str, float]
    dram_bytes: dict[str, int]
    accesses: dict[str, dict[str, Any]]
    glb_published_convention_bytes: int = Field(ge=0)
    pe: PePart
    values: ValuesPart | None = None
    bounds: dict[str, int] = {}
    energy: EnergyPart | None = None
    timeline: TimelinePart | None = None
    eyexam: list[StepPart] = []

    @property
    def layer(self) -> Layer:
        """The layer's shape."""
        return layer_from_dict(self.shape)

    @property
    def factors(self) -> RowStationary:
        """The layer's mapping."""
        return RowStationary(**self.mapping)

    @property
    def entries(self) -> dict[str, int]:
        """The ledger by dotted name."""
        return flat(self.accesses)

    @property
    def multicast(self) -> dict[int, int]:
        """Ifmap words by PEs reached."""
        found = self.accesses["noc"]["gin_ifmap"].get("multicast", {})
        return {int(reached): words for reached, words in found.items()}


class RefusedPart(_Part):
    """A layer that the chip refused."""

    name: str
    reasons: list[str]


class TotalsPart(_Part):
    """What stands under `totals`."""

    macs: int
    energy: EnergyPart | None = None


class ResultFile(_Part):
    """A whole result file."""

    engine: str
    network: str
    batch: int = Field(ge=1)
    hw: Hardware
    layers: list[LayerPart]
    refused: list[RefusedPart] = []
    notes: list[str] = []
    totals: TotalsPart

    @property
    def simulated(self) -> bool:
        """Whether the figures come from the simulation and not from the closed form."""
        return self.engine != "closed-form"

    def plan(self, layer: LayerPart) -> Plan:
        """How the layer was laid out on the chip."""
        return make_plan(layer.layer, self.batch, self.hw, layer.factors, layer.mapping_source)

    def milliseconds(self, cycles: float) -> float:
        """Core cycles as milliseconds at the core clock."""
        return cycles / self.hw.core_hz * 1e3


def flat(accesses: Mapping[str, Any], at: str = "") -> dict[str, int]:
    """Nested accesses by dotted name; the histogram of multicasts stays out."""
    found: dict[str, int] = {}
    for name, value in accesses.items():
        if isinstance(value, dict):
            if name != "multicast":
                found |= flat(value, f"{at}{name}.")
        else:
            found[f"{at}{name}"] = value
    return found


def of_result(result: Result) -> ResultFile:
    """A result as its file would read, without writing one."""
    return check_result(json.loads(json.dumps(result.to_dict())), "result")


def read_result(name: str) -> ResultFile:
    """Read the result file `name`.

    Raises:
        InputError: it cannot be read, or is not a whole result file; with the file and the field.

    """
    shown_name = name if name.isprintable() else repr(name)

    def refuse(message: str) -> InputError:
        return InputError(Fault(shown_name, None, "", message))

    try:
        descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise refuse("is not a regular file")
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise refuse(error.strerror or str(error)) from None
    if data.startswith(MAGIC.encode()):
        return check_result(_result_in_trace(name), shown_name)
    if len(data) > MOST_BYTES:
        raise refuse(f"is larger than {MOST_BYTES >> 20} MB")
    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise refuse(f"is not JSON{at}; `run --json FILE` writes a result file") from None
    return check_result(found, shown_name)


def _result_in_trace(name: str) -> dict[str, Any]:
    """What a trace says of its run, as a result file would.

    Raises:
        InputError: the trace cannot be read, or no layer of it came to its end.

    """
    from traces.reader import open_trace  # noqa: PLC0415 (h5py is wanted for a trace alone)

    try:
        with open_trace(name) as trace:
            parts = [layer.result["report"] for layer in trace.layers if layer.result is not None]
            if not parts:
                raise TraceError(name, "no layer in it came to its end")
            about = trace.description
            return {
                "schema": SCHEMA,
                "version": VERSION,
                "engine": "event",
                "network": about["network"],
                "batch": about["batch"],
                "hw": about["hardware"],
                "layers": [part["layer"] for part in parts],
                "refused": [],
                "notes": ["read from a trace"],
                "totals": parts[-1]["totals"],
            }
    except TraceError as error:
        raise InputError(Fault(name, None, "", error.reason)) from None
    except (LookupError, TypeError):
        raise InputError(
            Fault(name, None, "", "holds no result; write it anew with `run --trace`")
        ) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def check_result(data: object, file: str) -> ResultFile:
    """Plain data as a result file.

    Raises:
        InputError: what is wrong, field by field.

    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        instead = f", its schema is {shown(found)}" if found is not None else ""
        raise InputError(
            Fault(
                file, None, "", f"is no result file of `run --json` or `estimate --json`{instead}"
            )
        )
    if data.get("version") != VERSION:
        version = data.get("version")
        raise InputError(
            Fault(
                file,
                None,
                "version",
                f"{shown(version)} is not read here, only {VERSION}; write the file anew, or "
                "take the eyeriss-sim that wrote it",
            )
        )
    try:
        # JSON's strictness, not Python's: a list may fill a tuple.
        result = ResultFile.model_validate_json(json.dumps(data))
    except (ValidationError, ValueError) as error:
        raise InputError(*_faults(error, file)) from None
    faults = [
        Fault(file, None, f"layers[{place}].{field}", message)
        for place, layer in enumerate(result.layers)
        for field, message in _wrong(layer, result)
    ]
    names = [layer.name for layer in result.layers]
    faults += [
        Fault(file, None, f"layers[{place}].name", f"{shown(name)} is there twice")
        for place, name in enumerate(names)
        if name in names[:place]
    ]
    if faults:
        raise InputError(*faults[:MOST_FAULTS])
    return result


def _faults(error: ValueError, file: str) -> list[Fault]:
    if not isinstance(error, ValidationError):
        return [Fault(file, None, "", f"cannot be read: {error}")]
    faults = []
    for detail in error.errors(include_url=False)[:MOST_FAULTS]:
        path = tuple(part for part in detail["loc"])
        message = "is missing" if detail["type"] == "missing" else "".join(wording(detail))
        faults.append(Fault(file, None, field_name(path), message))
    return faults


ENTRIES_READ = (
    "dram.filter.read", "noc.gin_filter.words", "noc.gin_filter.deliveries", "noc.gin_ifmap.words",
    "noc.gin_ifmap.deliveries", "noc.gin_psum.words", "noc.gin_psum.deliveries",
    "noc.gon_psum.words", "noc.gon_psum.deliveries", "noc.local_psum.words", "mac.active",
    "mac.gated", "glb.filter.read", "glb.ifmap.read", "glb.psum.read", "glb.psum.write",
    "glb.ofmap.read",
)  # fmt: skip


def _wrong(layer: LayerPart, result: ResultFile) -> list[tuple[str, str]]:
    """(field, what is wrong) of a layer whose fields have the right types."""
    hw = result.hw
    wrong: list[tuple[str, str]] = []
    try:
        _ = layer.layer
    except ShapeError as error:
        wrong += [(f"shape.{name}", why) for name, why in error.problems]
    except (KeyError, TypeError, ValueError) as error:
        wrong.append(("shape", f"is no layer: {error}"))
    try:
        _ = layer.factors
    except (TypeError, ValueError) as error:
        wrong.append(("mapping", f"is no mapping: {error}"))
    if not wrong:
        try:
            result.plan(layer)
        except InputError as error:
            wrong += [("mapping", str(fault)) for fault in error.faults]
    rows, columns = hw.array.rows, hw.array.columns
    maps = {"macs": layer.pe.macs, "busy_cycles": layer.pe.busy_cycles}
    maps |= {f"by_cause.{cause}": layer.pe.by_cause.get(cause, []) for cause in CAUSES}
    for name, matrix in maps.items():
        if len(matrix) != rows or any(len(row) != columns for row in matrix):
            wrong.append((f"pe.{name}", f"must have {rows} rows of {columns} PEs"))
        elif min(min(row) for row in matrix) < 0:
            wrong.append((f"pe.{name}", "holds numbers below 0"))
    for name, counts, needed in (
        ("cycles.by_cause", layer.cycles.by_cause, CAUSES),
        ("cycles.standstill", layer.cycles.standstill, ("ifmap_load", "ofmap_dump")),
        ("dram_bytes", layer.dram_bytes, KINDS),
    ):
        wrong += [(f"{name}.{key}", "is missing") for key in needed if key not in counts]
        wrong += [(f"{name}.{key}", "is below 0") for key, value in counts.items() if value < 0]
    if not wrong:
        expected = layer.cycles.processing * hw.pes
        if sum(layer.cycles.by_cause.values()) != expected:
            wrong.append(("cycles.by_cause", f"must add up to cycles x PEs, {expected}"))
    wrong += _wrong_accesses(layer)
    if layer.timeline is not None:
        wrong += _wrong_timeline(layer.timeline)
    return wrong


def _wrong_accesses(layer: LayerPart) -> list[tuple[str, str]]:
    try:
        entries, multicast = layer.entries, layer.multicast
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return [("accesses", "is no ledger of accesses")]
    wrong = [(f"accesses.{name}", "is missing") for name in ENTRIES_READ if name not in entries]
    wrong += [
        (f"accesses.{name}", f"must be a count, got {shown(value)}")
        for name, value in entries.items()
        if not isinstance(value, int) or value < 0
    ]
    if any(not isinstance(words, int) or words < 0 for words in multicast.values()):
        wrong.append(("accesses.noc.gin_ifmap.multicast", "must hold counts"))
    return wrong


def _wrong_timeline(timeline: TimelinePart) -> list[tuple[str, str]]:
    kinds = len(timeline.kinds)
    wrong: list[tuple[str, str]] = []
    for times, runs in timeline.order:
        if times < 1 or any(not 0 <= kind < kinds or many < 1 for kind, many in runs):
            wrong.append(("timeline.order", f"names no passes of the {kinds} kinds"))
            break
    if any(sum(kind.phases.values()) != kind.cycles for kind in timeline.kinds):
        wrong.append(("timeline.kinds", "phases must add up to the cycles of a pass"))
    detail = timeline.detail
    if detail is not None:
        if detail.kind >= kinds:
            wrong.append(("timeline.detail.kind", f"must be below {kinds}"))
        if any(not 0 <= v <= 1 + 1e-6 or math.isnan(v) for s in detail.busy.values() for v in s):
            wrong.append(("timeline.detail.busy", "must hold shares from 0 to 1"))
    return wrong
