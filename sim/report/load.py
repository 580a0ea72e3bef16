"""A result file read back: checked field by field, so that pages can trust its content."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from hw_models.vocabulary import BUSES, CAUSES, CROSSING, Network, Resource, Wait
from sim.account.result import MOST_FILE_BYTES, MOST_FILE_MEMORY
from sim.errors import Fault, InputError
from sim.facts import LayerFacts, layer_facts
from sim.report.consistency import contradictions, wrong_totals
from sim.result.model import SCHEMA, VERSION, BoundPart, LayerPart, PePart, ResultFile, TimelinePart
from traces.header import MAGIC, TraceError
from workloads.inputs.json_text import json_memory, read_json
from workloads.inputs.models import wording
from workloads.inputs.words import DocumentPath, field_name, printable, shown
from workloads.layer import ShapeError
from workloads.network import MAX_LAYERS

if TYPE_CHECKING:
    from sim.account.result import Result

READ_VERSIONS = (1, 2, VERSION)
"""What files of versions 1 and 2 do not carry is filled in from layer, mapping and chip."""

MOST_PART_VALUES = 100_000
"""Values of a layer without its maps of the array, or of all but the layers: each takes kilobytes
in pydantic where it is wrong."""

MOST_PART_FAULTS = 10_000
NO_MAPS: Mapping[str, Any] = {"part": [], "macs": [], "busy_cycles": [], "by_cause": {}}
MOST_FAULTS = 12

Part = TypeVar("Part", bound=BaseModel)


def of_result(result: Result) -> ResultFile:
    """Return a result as the model of its file."""
    return result.to_model()


def read_results(names: Sequence[str]) -> list[ResultFile]:
    """Read result files or traces that one page shows together.

    Raises:
        InputError: what `read_result` says of each, or they are too much for one page.

    """
    results: list[ResultFile] = []
    faults: list[Fault] = []
    room = MOST_FILE_MEMORY
    for name in names:
        try:
            result, memory = _read(name, room)
        except InputError as error:
            faults += error.faults
        else:
            results.append(result)
            room -= memory
    if faults:
        raise InputError(*faults)
    return results


def read_result(name: str) -> ResultFile:
    """Read the result file `name`.

    Raises:
        InputError: it cannot be read, or is not a whole result file; with the file and the field.

    """
    return _read(name, MOST_FILE_MEMORY)[0]


def _read(name: str, room: int) -> tuple[ResultFile, int]:
    """Return a result, and the memory it takes, which is `room` at most."""
    shown_name = printable(name) or repr(name)

    def refuse(message: str) -> InputError:
        return InputError(Fault(shown_name, None, "", message))

    try:
        descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise refuse("is not a regular file")
            data = stream.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise refuse(error.strerror or str(error)) from None
    if data.startswith(MAGIC.encode()):
        del data
        data_read, memory = _result_in_trace(name, room)
        return check_result(data_read, shown_name), memory
    if len(data) > MOST_FILE_BYTES:
        raise refuse(f"is larger than the limit of {MOST_FILE_BYTES} bytes")
    memory = json_memory(data)
    if memory > room:
        raise refuse(_too_much(memory, room))
    try:
        data_read = read_json(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise refuse(f"is not JSON{at}; `run --json FILE` writes a result file") from None
    del data
    return check_result(data_read, shown_name), memory


def _too_much(memory: int, room: int) -> str:
    return (
        f"takes up to {memory >> 20} MiB of memory, limit {room >> 20}: report fewer results, or "
        "fewer layers"
    )


def _result_in_trace(name: str, room: int) -> tuple[dict[str, Any], int]:
    """Return a trace's record of its run, as a result file has it, and the memory it takes.

    Raises:
        InputError: the trace cannot be read, or no layer of it came to its end.

    """
    from traces.reader import open_trace  # noqa: PLC0415 (h5py is wanted for a trace alone)

    try:
        with open_trace(name) as trace:
            memory = trace.result_memory()
            if memory > room:
                raise TraceError(name, _too_much(memory, room))
            results = (layer.result for layer in trace.layers)
            parts = [result["report"] for result in results if result is not None]
            if not parts:
                raise TraceError(name, "no layer in it came to its end")
            about = trace.description
            record = {
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
            return record, memory
    except TraceError as error:
        raise InputError(Fault(name, None, "", error.reason)) from None
    except (LookupError, TypeError):
        raise InputError(
            Fault(name, None, "", "holds no result; write it anew with `run --trace`")
        ) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def check_result(data: object, file: str) -> ResultFile:
    """Check plain data and return it as a result file.

    Raises:
        InputError: what is wrong, field by field.

    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        schema = data.get("schema") if isinstance(data, dict) else None
        instead = f", its schema is {shown(schema)}" if schema is not None else ""
        raise InputError(
            Fault(
                file, None, "", f"is no result file of `run --json` or `estimate --json`{instead}"
            )
        )
    if data.get("version") not in READ_VERSIONS:
        version, known = data.get("version"), ", ".join(map(str, READ_VERSIONS))
        raise InputError(
            Fault(
                file,
                None,
                "version",
                f"{shown(version)} is not read here, only {known}; write the file anew, or "
                "take the eyeriss-sim that wrote it",
            )
        )
    layers = data.get("layers", [])
    if isinstance(layers, list) and len(layers) > MAX_LAYERS:
        message = f"must have {MAX_LAYERS} or fewer entries, got {len(layers)}"
        raise InputError(Fault(file, None, "layers", message))
    if not isinstance(layers, list):
        return _checked_result(data, None, file)
    return _checked_result({**data, "layers": []}, _taken_out(layers), file)


def _taken_out(items: list[Any]) -> Iterator[Any]:
    """Yield each item, taken out of the list so that it is not in memory twice."""
    for place in range(len(items)):
        item, items[place] = items[place], None
        yield item


def _checked_result(head: Any, layers: Iterable[Any] | None, file: str) -> ResultFile:
    """Check a result's head, then its layers one by one; None where it has no list of them.

    Raises:
        InputError: what is wrong, field by field.

    """
    result = _whole(head, layers, file)
    faults: list[Fault] = []
    layers_read: list[LayerPart] = []
    for place, layer in enumerate(result.layers):
        wrong, complete = _completed(layer, result)
        faults += [
            Fault(file, None, f"layers[{place}].{field}", message) for field, message in wrong
        ]
        layers_read.append(complete)
    known: set[str] = set()
    for place, layer in enumerate(result.layers):
        if layer.name in known:
            message = f"{shown(layer.name)} is there twice"
            faults.append(Fault(file, None, f"layers[{place}].name", message))
        known.add(layer.name)
    faults = faults or [
        Fault(file, None, f"totals.{field}", message) for field, message in wrong_totals(result)
    ]
    if faults:
        raise InputError(*faults[:MOST_FAULTS])
    return result.model_copy(update={"layers": layers_read})


def _whole(head: Any, layers: Iterable[Any] | None, file: str) -> ResultFile:
    """Return a result from its parts."""
    faults: list[Fault] = []
    checked: list[LayerPart] = []
    result = None
    try:
        result = _from_json(ResultFile, head, file, ())
    except InputError as error:
        faults += error.faults
    for place, layer in enumerate(layers or ()):
        try:
            checked.append(_layer(layer, file, ("layers", place)))
        except InputError as error:
            faults += error.faults
        if len(faults) >= MOST_FAULTS:
            break
    if faults or result is None:
        raise InputError(*faults[:MOST_FAULTS])
    return result.model_copy(update={"layers": checked})


def _layer(data: Any, file: str, at: DocumentPath) -> LayerPart:
    """Check a layer; its maps of the array are checked apart, as they may be large."""
    if not isinstance(data, dict) or "pe" not in data:
        return _from_json(LayerPart, data, file, at)
    faults: list[Fault] = []
    layer = pe = None
    try:
        layer = _from_json(LayerPart, {**data, "pe": NO_MAPS}, file, at)
    except InputError as error:
        faults += error.faults
    try:
        pe = _checked(lambda: PePart.model_validate(data["pe"]), file, (*at, "pe"))
    except InputError as error:
        faults += error.faults
    if layer is None or pe is None:
        raise InputError(*faults)
    return layer.model_copy(update={"pe": pe})


def _from_json(model: type[Part], data: Any, file: str, at: DocumentPath) -> Part:
    """Return a part of the file as its model, strict as JSON is: a list may fill a tuple.

    Raises:
        InputError: what is wrong, field by field.

    """
    try:
        text = json.dumps(data)
    except RecursionError:
        raise InputError(Fault(file, None, field_name(at), "is nested too deeply")) from None
    values = sum(map(text.count, ",[{"))
    if values > MOST_PART_VALUES:
        message = f"holds {values} values beside layers and maps, limit {MOST_PART_VALUES}"
        raise InputError(Fault(file, None, field_name(at), message))
    return _checked(lambda: model.model_validate_json(text), file, at)


def _checked(check: Callable[[], Part], file: str, at: DocumentPath) -> Part:
    """Return what `check` does; raise pydantic's errors in this program's words."""
    try:
        return check()
    except ValidationError as error:
        if error.error_count() > MOST_PART_FAULTS:
            message = f"has {error.error_count()} wrong fields"
            raise InputError(Fault(file, None, field_name(at), message)) from None
        details = error.errors(include_url=False)[:MOST_FAULTS]
    faults = []
    for detail in details:
        message = "is missing" if detail["type"] == "missing" else "".join(wording(detail))
        faults.append(Fault(file, None, field_name((*at, *detail["loc"])), message))
    raise InputError(*faults)


ENTRIES_READ = (
    "dram.filter.read", "glb.filter.read", "glb.ifmap.read", "glb.psum.read", "glb.psum.write",
    "glb.ofmap.read", *(network.words for network in Network),
    *(network.deliveries for network in BUSES), "mac.active", "mac.gated",
)  # fmt: skip


def _completed(layer: LayerPart, result: ResultFile) -> tuple[list[tuple[str, str]], LayerPart]:
    """Return a layer's faults (field, message), and it with what earlier versions did not carry."""
    wrong, facts = _wrong(layer, result)
    if wrong or facts is None:
        return wrong, layer
    missing: dict[str, Any] = {}
    if not layer.bus_cycles:
        missing["bus_cycles"] = facts.bus_cycles
    if not layer.pe.part:
        missing["pe"] = layer.pe.model_copy(update={"part": facts.pe_parts})
    if layer.bound is None:
        bound = facts.bound
        missing["bound"] = BoundPart(
            by=bound.by, cycles=bound.cycles, doubled=bound.doubled, together=bound.together
        )
    return contradictions(layer, result, facts.passes), layer.model_copy(update=missing)


def _wrong(layer: LayerPart, result: ResultFile) -> tuple[list[tuple[str, str]], LayerFacts | None]:
    """Return (field, what is wrong) of a layer whose fields have the right types, and its facts."""
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
    facts = None
    if not wrong:
        try:
            facts = layer_facts(layer.layer, result.batch, result.hw, layer.factors)
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
        ("cycles.standstill", layer.cycles.standstill, tuple(Wait)),
        ("dram_bytes", layer.dram_bytes, CROSSING),
    ):
        wrong += [(f"{name}.{key}", "is missing") for key in needed if key not in counts]
        wrong += [(f"{name}.{key}", "is below 0") for key, value in counts.items() if value < 0]
    wrong += _wrong_accesses(layer)
    if layer.timeline is not None:
        wrong += _wrong_timeline(layer.timeline)
    if layer.pe.part and (
        len(layer.pe.part) != rows or any(len(row) != columns for row in layer.pe.part)
    ):
        wrong.append(("pe.part", f"must have {rows} rows of {columns} PEs"))
    if layer.bus_cycles:
        missing = [bus for bus in BUSES if bus not in layer.bus_cycles]
        wrong += [(f"bus_cycles.{bus}", "is missing") for bus in missing]
    if layer.bound is not None:
        wrong += _wrong_bound(layer.bound)
    return wrong, facts


def _wrong_bound(bound: BoundPart) -> list[tuple[str, str]]:
    missing = [name for name in Resource if name not in bound.doubled]
    wrong = [(f"bound.doubled.{name}", "is missing") for name in missing]
    if not set(bound.by) <= set(Resource):
        wrong.append(("bound.by", f"must name some of {', '.join(Resource)}"))
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
