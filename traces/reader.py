"""Reads a trace: `traces.open(path)`, then NumPy arrays for a query, expanded when asked for.

The file is held against its digest before the HDF5 library sees it; then names, types, filters and
sizes are held against the format before anything is allocated; then each template against its own
tables before an event is made of it. Whatever is wrong is one `TraceError`.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces import version_1
from traces.events import ACTION, ACTIONS, KIND, KINDS, Layout
from traces.header import Header, TraceError, checked_header
from traces.schema import (
    MOST_BYTES,
    MOST_SET_BYTES,
    MOST_TEMPLATE_BYTES,
    TABLE_FACTOR,
    template_memory,
)
from traces.stalls import NEEDED, PassSpans, ReplayError, Spans
from traces.tables import CHECKED_ROWS, SCHEMAS, Tables
from traces.template import NO_PATTERN, Template, ofmap_pattern_fault
from workloads.inputs.json_text import json_memory, read_json
from workloads.inputs.words import unknown_name

Ints = NDArray[np.int64]
Rows = NDArray[Any]
LARGEST_ARRAY = 65_536  # PEs: as many as a hardware file may describe
LARGEST_TIME = 1 << 48  # cycles: two weeks at 200 MHz
CACHED_ROWS = 1 << 21


@dataclass(frozen=True)
class Events:
    """Events as columns of equal length, in the order of pass, start and block.

    `start` counts the layer's processing cycles, `pass_` is the pass's index in the layer. `source`
    and `destination` are numbers into `Trace.sets`. `data` are the words of all events one after
    the other, `data_end` where each event's words end in it; an event without data adds none.
    """

    layer: Ints
    pass_: Ints
    start: Ints
    duration: Ints
    block: Ints
    action: Ints
    kind: Ints
    words: Ints
    source: Ints
    destination: Ints
    data_end: Ints
    data: Ints

    def __len__(self) -> int:
        return len(self.start)

    def words_of(self, row: int) -> Ints:
        """The data of one event."""
        return self.data[int(self.data_end[row - 1]) if row else 0 : int(self.data_end[row])]

    def rows(self, chosen: Rows) -> Events:
        """The events at some places, or where a mask holds."""
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        columns = {name: getattr(self, name)[places] for name in COLUMNS}
        ends, data = _data_at(places, self.data_end, self.data)
        return Events(**columns, data_end=ends, data=data)


def _data_at(places: Rows, ends: Ints, data: Ints) -> tuple[Ints, Ints]:
    """`data_end` and `data` of the rows at some places, in their order."""
    if not len(data):
        return _same(0, len(places)), data
    first = np.concatenate([np.zeros(1, np.int64), ends])[places]
    lengths = ends[places] - first
    found = np.cumsum(lengths, dtype=np.int64)
    words = np.repeat(first - (found - lengths), lengths) + np.arange(int(lengths.sum()))
    return found, data[words]


def _same(value: int, rows: int) -> Ints:
    """A column that is the same everywhere, and takes no memory."""
    return np.broadcast_to(np.int64(value), (rows,))


COLUMNS = tuple(f.name for f in fields(Events) if not f.name.startswith("data"))


def join_events(parts: Sequence[Events]) -> Events:
    """The events of several pieces, one after the other."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, np.int64)])
        for name in (*COLUMNS, "data")
    }
    ends = []
    before = 0
    for part in parts:
        ends.append(part.data_end + before)
        before += len(part.data)
    return Events(**columns, data_end=np.concatenate(ends or [np.zeros(0, np.int64)]))


@dataclass(frozen=True)
class LayerTrace:
    """A layer of a trace: what it is, its passes and tiles, and what the run found in it.

    `passes` is `PASS_DTYPE`, `tiles` `TILE_DTYPE`.
    """

    number: int
    description: Mapping[str, Any]
    read_result: Callable[[], Mapping[str, Any]] | None
    passes: Rows
    tiles: Rows

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What the run found, read now; None where the run did not reach the layer's end."""
        return None if self.read_result is None else self.read_result()

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.description["name"])


@dataclass(frozen=True)
class Query:
    """Which events are wanted; None wants all. Blocks are numbers, cycles [first, last)."""

    layers: frozenset[int] | None = None
    passes: tuple[int, int] | None = None
    blocks: frozenset[int] | None = None
    actions: frozenset[int] | None = None
    kinds: frozenset[int] | None = None
    cycles: tuple[int, int] | None = None


class Trace:
    """An open trace; close it, or use it in a `with`."""

    def __init__(self, path: Path, header: Header, tables: Tables) -> None:
        self.path = path
        self.state = header.state
        self.sets: list[tuple[int, ...]] = []
        """Sets of blocks by number; grows as templates are read."""
        self._set_numbers: dict[tuple[int, ...], int] = {}
        self._set_bytes = 0
        self._tables = tables
        self._cache: OrderedDict[int, Template] = OrderedDict()
        self._expanded: OrderedDict[int, Events] = OrderedDict()
        self._check_sizes()
        self.description = self._json("description", 0, tables.length("description"))
        self._check_description()
        machine = self.description["machine"]
        self.layout = Layout(machine["array_rows"], machine["array_columns"])
        self._templates = tables.read("templates", 0, tables.length("templates"))
        self.layers = self._read_layers()

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._tables.close()

    # ---------------------------------------------------------------- what it is

    @property
    def restricted(self) -> Mapping[str, Any]:
        """What the recording was limited to: `layers`, `window`, `blocks`; empty where whole."""
        found: Mapping[str, Any] = self.description["restricted"]
        return found

    @property
    def partial(self) -> str:
        """Why the ledger cannot be rebuilt from this file, or an empty string."""
        if self.state == "recovered":
            return "it was recovered from a run that did not end"
        if "window" in self.restricted:
            first, last = self.restricted["window"]
            return f"only the passes within cycles {first} to {last} were recorded"
        if "blocks" in self.restricted:
            return f"only blocks of {', '.join(self.restricted['blocks'])} were recorded"
        return ""

    @property
    def templates(self) -> int:
        """Number of templates."""
        return len(self._templates)

    def table_rows(self, name: str) -> int:
        """Rows of a dataset of the file."""
        return self._tables.length(name)

    def layer(self, name: str) -> LayerTrace:
        """The layer of that name, in any case.

        Raises:
            ValueError: there is none.

        """
        for layer in self.layers:
            if layer.name.casefold() == name.casefold():
                return layer
        known = [layer.name for layer in self.layers]
        raise ValueError(f"{self.path}: {unknown_name('layer', name, known)}")

    def template_shape(self, number: int) -> dict[str, int]:
        """The shape of a template, without reading its events."""
        row = self._templates[number]
        return {name: int(row[name]) for name in self._tables.schema.shape}

    def event_count(self, layer: LayerTrace) -> int:
        """Events of a layer's passes, each pass in full; its tiles are none of them."""
        rows = np.diff(self._templates["steps_end"], prepend=0)
        used, times = np.unique(layer.passes["template"], return_counts=True)
        total = 0
        for number, many in zip(used.tolist(), times.tolist(), strict=True):
            template = self.template(number)
            total += many * int(rows[number])
            words = layer.passes["prefetched_words"][layer.passes["template"] == number]
            for place in np.flatnonzero(template.streams["action"] == ACTION["prefetch"]):
                # Of the beats that the link would have fetched only those that are claimed count.
                beat = max(1, int(template.stream(int(place)).words[0]))
                total -= many * int(template.streams["rows"][place])
                total += int((-(-words.astype(np.int64) // beat)).sum())
        return total

    # ---------------------------------------------------------------- templates

    def template(self, number: int) -> Template:
        """A pass as events.

        Raises:
            TraceError: its tables contradict each other.

        """
        found = self._cache.get(number)
        if found is not None:
            self._cache.move_to_end(number)
            return found
        if not 0 <= number < len(self._templates):
            raise self._damaged(f"there is no template {number}")
        places = {}
        for name in self._tables.schema.parts:
            ends = self._templates[f"{name}_end"]
            first = int(ends[number - 1]) if number else 0
            last = int(ends[number])
            if not 0 <= first <= last <= self._tables.length(name):
                raise self._damaged(f"template {number} ends outside of {name}")
            places[name] = first, last
        memory = template_memory({name: last - first for name, (first, last) in places.items()})
        if memory > MOST_TEMPLATE_BYTES:
            raise TraceError(
                self.path,
                f"template {number} takes {memory >> 20} MiB of memory, limit "
                f"{MOST_TEMPLATE_BYTES >> 20}",
            )
        parts = {name: self._tables.read(name, *place) for name, place in places.items()}
        shape = self.template_shape(number)
        if self._tables.schema.version == 1:
            try:
                shape, parts = version_1.upgraded(shape, parts)
            except ValueError as error:
                raise self._damaged(f"template {number}: {error}") from None
        template = Template(shape=shape, **parts)
        fault = _template_fault(template, self.layout)
        if fault:
            raise self._damaged(f"template {number}: {fault}")
        self._cache[number] = template
        while len(self._cache) > 1 and sum(t.rows for t in self._cache.values()) > CACHED_ROWS:
            self._cache.popitem(last=False)
        return template

    @property
    def causes_told(self) -> bool:
        """Whether all events were recorded that say what PEs wait for."""
        return set(NEEDED) <= set(self.restricted.get("blocks", NEEDED))

    def spans(self, number: int, pe: tuple[int, int] | None = None) -> dict[tuple[int, int], Spans]:
        """Return what each PE does in a template's pass, or one of them, by (row, column).

        Raises:
            ValueError: the blocks that say so were not recorded.
            TraceError: its events contradict each other.

        """
        if not self.causes_told:
            raise ValueError(
                "what PEs wait for follows from events of the PEs and of the NoC, and only blocks "
                f"of {', '.join(self.restricted['blocks'])} were recorded"
            )
        found = PassSpans(self.template(number), self.layout)
        try:
            return found.everywhere() if pe is None else {pe: found.of(*pe)}
        except ReplayError as error:
            raise self._damaged(f"template {number}: {error}") from None

    def _set_number(self, members: tuple[int, ...]) -> int:
        number = self._set_numbers.get(members)
        if number is None:
            self._set_bytes += 8 * len(members) + 160  # of a tuple, with its place here and there
            if self._set_bytes > MOST_SET_BYTES:
                raise self._damaged("more sets of blocks than any chip has")
            number = self._set_numbers[members] = len(self.sets)
            self.sets.append(members)
        return number

    def expand(self, number: int) -> Events:
        """The events of a template, relative to its start, with all that it may prefetch."""
        found = self._expanded.get(number)
        if found is not None:
            self._expanded.move_to_end(number)
            return found
        template = self.template(number)
        found = self._expand(template)
        self._expanded[number] = found
        while len(self._expanded) > 1 and sum(map(len, self._expanded.values())) > CACHED_ROWS // 4:
            self._expanded.popitem(last=False)
        return found

    def _expand(self, template: Template) -> Events:
        # Column by column: a pass of the largest layers has five million rows.
        numbers = np.array([self._set_number(members) for members in template.sets], np.int64)
        order = np.argsort(template.starts, kind="stable")
        streams, size = template.streams, template.rows
        words = template.whole_column("words")
        if len(template.data):
            lengths = np.where(np.repeat(streams["has_data"], streams["rows"]), words, 0)
            ends, data = _data_at(order, np.cumsum(lengths, dtype=np.int64), template.data)
            del lengths
        else:
            ends, data = _same(0, size), template.data
        return Events(
            layer=_same(0, size),
            pass_=_same(0, size),
            start=template.starts[order],
            duration=template.whole_column("durations")[order],
            block=np.repeat(streams["block"].astype(np.int64), streams["rows"])[order],
            action=np.repeat(streams["action"].astype(np.int64), streams["rows"])[order],
            kind=np.repeat(streams["kind"].astype(np.int64), streams["rows"])[order],
            words=words[order],
            source=numbers[template.whole_column("sources")][order],
            destination=numbers[template.whole_column("destinations")][order],
            data_end=ends,
            data=data,
        )

    # ---------------------------------------------------------------- events

    def query(
        self,
        *,
        layer: str | None = None,
        passes: tuple[int, int] | None = None,
        block: str | None = None,
        pe: tuple[int, int] | None = None,
        action: str | None = None,
        kind: str | None = None,
        cycles: tuple[int, int] | None = None,
    ) -> Query:
        """A query by names; `passes` and `cycles` are [first, last).

        Raises:
            ValueError: a name that is none.

        """
        blocks: frozenset[int] | None = None
        if block is not None:
            blocks = frozenset(self.layout.parse(block))
        if pe is not None:
            own = frozenset(self.layout.parse(f"pe({pe[0]},{pe[1]})"))
            blocks = own if blocks is None else blocks & own
        for name, value, known in (("action", action, ACTIONS), ("data type", kind, KINDS)):
            if value is not None and value not in known:
                raise ValueError(unknown_name(name, value, known))
            if value in ("load", "dump", "wait", "ofmap"):
                raise ValueError(
                    f"{name} {value!r} is of tiles, which are no events of a pass: in Python, "
                    "`tiles` of a layer has them"
                )
        return Query(
            layers=None if layer is None else frozenset([self.layer(layer).number]),
            passes=passes,
            blocks=blocks,
            actions=None if action is None else frozenset([ACTION[action]]),
            kinds=None if kind is None else frozenset([KIND[kind]]),
            cycles=cycles,
        )

    def batches(self, query: Query | None = None) -> Iterator[Events]:
        """Events pass by pass, in order; each pass's by start and block."""
        query = query if query is not None else Query()
        for layer in self.layers:
            if query.layers is not None and layer.number not in query.layers:
                continue
            for place in self.places(layer, query):
                events = self.pass_events(layer, place)
                found = _matching(events, query)
                if len(found):
                    yield found

    def places(self, layer: LayerTrace, query: Query) -> Iterator[int]:
        """Places in the layer's table of passes that may have what the query wants."""
        table = layer.passes
        chosen = np.ones(len(table), bool)
        if query.passes is not None:
            chosen &= (table["index"] >= query.passes[0]) & (table["index"] < query.passes[1])
        if query.cycles is not None and len(table):
            spans = np.maximum(self._templates["span"][table["template"]], table["cycles"])
            chosen &= (table["start"] < query.cycles[1]) & (
                table["start"] + spans > query.cycles[0]
            )
        yield from np.flatnonzero(chosen).tolist()

    def pass_events(self, layer: LayerTrace, place: int) -> Events:
        """All events of a pass of the layer, `place` in its table of passes.

        Tiles are not among them: they run on the clock of the total latency (`LayerTrace.tiles`).
        """
        row = layer.passes[place]
        events = self.expand(int(row["template"]))
        prefetch = np.flatnonzero(events.action == ACTION["prefetch"])
        if len(prefetch):
            line = int(events.words[prefetch[0]])
            wanted = int(row["prefetched_words"])
            claimed = min(-(-wanted // max(line, 1)), len(prefetch))
            if claimed < len(prefetch):
                keep = np.ones(len(events), bool)
                keep[prefetch[claimed:]] = False
                events = events.rows(keep)
            if claimed and wanted % line:
                words = events.words.copy()
                words[np.flatnonzero(events.action == ACTION["prefetch"])[-1]] = wanted % line
                events = _with(events, words=words)
        size = len(events)
        return _with(
            events,
            layer=_same(layer.number, size),
            pass_=_same(int(row["index"]), size),
            start=events.start + int(row["start"]),
        )

    def events(self, query: Query | None = None, **names: Any) -> Events:
        """All events that a query wants, in one piece: keep the query narrow.

        Without a query the names are those of `query`.
        """
        return join_events(list(self.batches(query if query is not None else self.query(**names))))

    # ---------------------------------------------------------------- reading

    def _damaged(self, reason: str) -> TraceError:
        return TraceError(self.path, f"is no valid trace: {reason}")

    def _check_sizes(self) -> None:
        """Refuse what would not fit in memory, before any of it is read."""
        tables = self._tables
        held = ("templates", "passes", "tiles", "layer_ends", "result_ends")
        content = tables.schema.content
        rows = sum(tables.length(name) * content[name].dtype.itemsize for name in held)
        texts = tables.length("description") + tables.length("layer_text")
        self._room = MOST_BYTES - int(TABLE_FACTOR * rows)
        if self._room < texts:
            raise self._too_large()

    def _too_large(self) -> TraceError:
        return TraceError(
            self.path,
            f"has more passes, tiles and layers than {MOST_BYTES >> 20} MiB of memory hold; record "
            "fewer layers (--trace-layer) or cycles (--trace-window)",
        )

    def result_memory(self) -> int:
        """Bytes that the results of all layers take together, from above."""
        length = self._tables.length("result_text")
        return sum(
            json_memory(self._tables.read("result_text", first, first + CHECKED_ROWS).tobytes())
            for first in range(0, length, CHECKED_ROWS)
        )

    def _result(self, first: int, last: int) -> dict[str, Any]:
        if last - first > MOST_BYTES:
            raise self._damaged("a result is beyond all size")
        raw = self._tables.read("result_text", first, last).tobytes()
        if json_memory(raw) > MOST_TEMPLATE_BYTES:
            raise self._damaged("a result is beyond all size")
        return self._object("result_text", raw)

    def _json(self, name: str, first: int, last: int) -> dict[str, Any]:
        raw = self._tables.read(name, first, last).tobytes()
        self._room -= json_memory(raw)
        if self._room < 0:
            raise self._too_large()
        return self._object(name, raw)

    def _object(self, name: str, raw: bytes) -> dict[str, Any]:
        try:
            found = read_json(raw)
        except (ValueError, RecursionError):
            raise self._damaged(f"{name} is no JSON") from None
        if not isinstance(found, dict):
            raise self._damaged(f"{name} is no JSON object")
        return found

    def _check_description(self) -> None:
        found = self.description
        machine = found.get("machine")
        if not isinstance(machine, dict) or not all(
            type(value) is int and 0 <= value < LARGEST_TIME for value in machine.values()
        ):
            raise self._damaged("the description has no machine")
        for name in ("array_rows", "array_columns"):
            if not 1 <= machine.get(name, 0) <= LARGEST_ARRAY:
                raise self._damaged(f"the machine has no {name}")
        if machine["array_rows"] * machine["array_columns"] > LARGEST_ARRAY:
            raise self._damaged(f"the machine has more than {LARGEST_ARRAY} PEs")
        restricted = found.get("restricted")
        if not isinstance(restricted, dict):
            raise self._damaged("the description does not say what was recorded")
        window = restricted.get("window", [0, 0])
        if not (isinstance(window, list) and len(window) == 2 and _whole(*window)):
            raise self._damaged("the window is none")
        for name in ("layers", "blocks"):
            chosen = restricted.get(name, [])
            if not isinstance(chosen, list) or not all(isinstance(part, str) for part in chosen):
                raise self._damaged(f"the recorded {name} are none")
        if not all(isinstance(found.get(name), str) for name in ("program", "network")):
            raise self._damaged("the description does not name program and network")

    def _read_layers(self) -> list[LayerTrace]:
        tables = self._tables
        passes = tables.read("passes", 0, tables.length("passes"))
        tiles = tables.read("tiles", 0, tables.length("tiles"))
        ends = tables.read("layer_ends", 0, tables.length("layer_ends")).tolist()
        result_ends = tables.read("result_ends", 0, tables.length("result_ends")).tolist()
        for name, found in (("layer", ends), ("result", result_ends)):
            if sorted(found) != found or (found and found[0] < 0):
                raise self._damaged(f"{name}_ends do not grow")
            if (found[-1] if found else 0) != tables.length(f"{name}_text"):
                raise self._damaged(f"{name}_ends and {name}_text do not agree")
        if not len(ends) - 1 <= len(result_ends) <= len(ends):
            raise self._damaged("layers and results do not agree")
        self._check_passes(passes, tiles, len(ends))
        layers = []
        for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
            description = self._json("layer_text", first, last)
            if not isinstance(description.get("name"), str):
                raise self._damaged("a layer without a name")
            result = None
            if number < len(result_ends):
                begin = result_ends[number - 1] if number else 0
                result = functools.partial(self._result, begin, result_ends[number])
            low, high = np.searchsorted(passes["layer"], [number, number + 1])
            tile_low, tile_high = np.searchsorted(tiles["layer"], [number, number + 1])
            own = passes[low:high]
            if tables.schema.version == 1:
                own = version_1.passes(own, description)
            layers.append(LayerTrace(number, description, result, own, tiles[tile_low:tile_high]))
        return layers

    def _check_passes(self, passes: Rows, tiles: Rows, layers: int) -> None:
        for name, table in (("passes", passes), ("tiles", tiles)):
            owner = table["layer"]
            if len(owner) and (
                owner.min() < 0 or owner.max() >= layers or np.any(np.diff(owner) < 0)
            ):
                raise self._damaged(f"{name} of layers that are not there, or out of order")
            for column in table.dtype.names or ():
                values = table[column]
                if len(values) and (int(values.min()) < 0 or int(values.max()) > LARGEST_TIME):
                    raise self._damaged(f"{name}.{column} is out of range")
        if len(passes) and int(passes["template"].max()) >= len(self._templates):
            raise self._damaged("a pass of a template that is not there")
        if len(passes):
            same = np.diff(passes["layer"]) == 0
            ends = passes["start"][:-1] + passes["cycles"][:-1]
            if np.any((passes["start"][1:] != ends) & same) or np.any(
                (np.diff(passes["index"]) != 1) & same
            ):
                raise self._damaged("passes that do not follow one another")
        if len(tiles):
            if int(tiles["action"].max()) >= len(ACTIONS) or int(tiles["kind"].max()) >= len(KINDS):
                raise self._damaged("a tile of an unknown action or data type")
            if np.any((np.diff(tiles["start"]) < 0) & (np.diff(tiles["layer"]) == 0)):
                raise self._damaged("tiles out of order")


def _whole(*values: object) -> bool:
    return all(type(value) is int and 0 <= value < LARGEST_TIME for value in values)


def _with(events: Events, **columns: Ints) -> Events:
    return Events(**{f.name: columns.get(f.name, getattr(events, f.name)) for f in fields(Events)})


def matching_rows(events: Events, query: Query) -> NDArray[np.bool_]:
    """Which events of a pass a query wants, apart from layer and pass."""
    mask = np.ones(len(events), bool)
    for column, chosen in (
        (events.block, query.blocks),
        (events.action, query.actions),
        (events.kind, query.kinds),
    ):
        if chosen is not None:
            mask &= np.isin(column, list(chosen))
    if query.cycles is not None:
        mask &= (events.start >= query.cycles[0]) & (events.start < query.cycles[1])
    return mask


def _matching(events: Events, query: Query) -> Events:
    mask = matching_rows(events, query)
    return events if mask.all() else events.rows(mask)


def _template_fault(template: Template, layout: Layout) -> str:
    """What is wrong with a template's tables, or an empty string."""
    shape, streams = template.shape, template.streams
    if any(not 0 <= value < LARGEST_TIME for value in shape.values()):
        return "a figure is out of range"
    if shape["cycles"] < 1:
        return "it has no cycles"
    for name in ("set", "pattern"):
        ends = getattr(template, f"{name}_ends").astype(np.int64)
        size = len(getattr(template, f"{name}_{'members' if name == 'set' else 'values'}"))
        if np.any(np.diff(ends, prepend=0) < 1) or (int(ends[-1]) if len(ends) else 0) != size:
            return f"its {name}s do not fit together"
    members, values = template.set_members, template.pattern_values
    if len(members) and (members.min() < 0 or members.max() >= layout.blocks):
        return "a set has a block that is not there"
    if len(values) and values.min() < 0:
        return "a pattern has a negative number"
    if np.any(streams["rows"] < 1) or int(streams["rows"].sum(dtype=np.int64)) != template.rows:
        return "its streams and rows do not agree"
    if len(streams) and (
        streams["block"].min() < 0
        or streams["block"].max() >= layout.blocks
        or streams["action"].max() >= len(ACTIONS)
        or streams["kind"].max() >= len(KINDS)
        or streams["has_data"].max() > 1
    ):
        return "a stream of an unknown block, action or data type"
    patterns, sets = len(template.pattern_ends), len(template.set_ends)
    for name in ("durations", "words", "sources", "destinations"):
        if len(streams) and (streams[name].min() < 0 or streams[name].max() >= patterns):
            return "a stream names a pattern that is not there"
    for name in ("sources", "destinations"):
        for pattern in np.unique(streams[name]).tolist():
            if int(template.patterns[pattern].max()) >= sets:
                return "a stream names a set that is not there"
    words = [
        int(template.column(place, "words").sum())
        for place in np.flatnonzero(streams["has_data"]).tolist()
    ]
    if sum(words) != len(template.data):
        return "its words and data do not agree"
    if template.rows:
        starts = template.starts
        firsts = np.zeros(len(starts), bool)
        firsts[template.row_ends - streams["rows"]] = True
        if starts.min() < 0 or int(starts.max()) >= shape["span"]:
            return "its events lie outside of it"
        if np.any(template.steps[~firsts] < 0):
            return "its events are out of order"
    return _pe_fault(template, layout)


def _pe_fault(template: Template, layout: Layout) -> str:
    pes = template.pes
    if not len(pes):
        return ""
    if (
        pes["row"].min() < 0
        or pes["row"].max() >= layout.rows
        or pes["column"].min() < 0
        or pes["column"].max() >= layout.columns
    ):
        return "a PE is outside of the array"
    places = pes["row"].astype(np.int64) * layout.columns + pes["column"]
    if len(np.unique(places)) != len(places):
        return "two PEs in one place"
    for name, least in (("operands", 1), ("outputs", 1), ("bubble", 0)):
        if pes[name].min() < least or pes[name].max() > 1 << 20:
            return f"a PE's {name} is out of range"
    patterns = len(template.pattern_ends)
    for name in ("uses", "needs", "frees", "ofmap"):
        least = NO_PATTERN if name == "ofmap" else 0
        if pes[name].min() < least or pes[name].max() >= patterns:
            return f"a PE's {name} name a pattern that is not there"
    for number in np.unique(pes["ofmap"]).tolist():
        if number != NO_PATTERN and ofmap_pattern_fault(template.patterns[number].tolist()):
            return "a PE's part of the ofmap is none"
    try:
        legends = template.legends
    except ValueError:
        return "its legend is no text with numbers"
    for name, numbers in legends.items():
        if len(numbers) != len(pes) or not name.replace(" ", "").isalnum():
            return "its legend and its PEs do not agree"
    return ""


def open_trace(path: Path | str) -> Trace:
    """Open a trace that is whole: complete, or recovered and saying so.

    Raises:
        TraceError: it is no trace, not whole, damaged, or of another version.
        OSError: it cannot be read.

    """
    path = Path(path)
    header = checked_header(path)
    tables = Tables(path, SCHEMAS[header.version])
    try:
        return Trace(path, header, tables)
    except BaseException:
        tables.close()
        raise


__all__ = [
    "COLUMNS",
    "Events",
    "LayerTrace",
    "Query",
    "Trace",
    "TraceError",
    "join_events",
    "matching_rows",
    "open_trace",
]
