"""Reads a trace: `traces.open(path)`, then NumPy arrays for a query, expanded when asked for.

The digest of the file is checked before the HDF5 library sees it; names, types, filters and sizes
are checked against the format before anything is allocated; and each template is checked against
its own tables before an event is made of it. Whatever is wrong is one `TraceError`.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces import version_1
from traces.checks import description_fault, passes_fault, template_fault
from traces.columns import Events, Query, data_at, join_events, matching, same
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
from traces.template import Template
from workloads.inputs.json_text import json_memory, read_json
from workloads.inputs.words import unknown_name

Ints = NDArray[np.int64]
Rows = NDArray[Any]
CACHED_ROWS = 1 << 21


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
        self._refuse(description_fault(self.description))
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
        restricted: Mapping[str, Any] = self.description["restricted"]
        return restricted

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
        """Return the number of rows of a dataset of the file."""
        return self._tables.length(name)

    def layer(self, name: str) -> LayerTrace:
        """Return the layer of that name, upper or lower case.

        Raises:
            ValueError: there is none.

        """
        for layer in self.layers:
            if layer.name.casefold() == name.casefold():
                return layer
        known = [layer.name for layer in self.layers]
        raise ValueError(f"{self.path}: {unknown_name('layer', name, known)}")

    def template_shape(self, number: int) -> dict[str, int]:
        """Return the figures of a template, without reading its events."""
        row = self._templates[number]
        return {name: int(row[name]) for name in self._tables.schema.shape}

    def event_count(self, layer: LayerTrace) -> int:
        """Return the number of events of a layer's passes, each in full; tiles do not count."""
        rows = np.diff(self._templates["steps_end"], prepend=0)
        used, times = np.unique(layer.passes["template"], return_counts=True)
        total = 0
        for number, many in zip(used.tolist(), times.tolist(), strict=True):
            template = self.template(number)
            total += many * int(rows[number])
            words = layer.passes["prefetched_words"][layer.passes["template"] == number]
            for stream in np.flatnonzero(template.streams["action"] == ACTION["prefetch"]):
                # Of the beats that the link would have fetched only those that are claimed count.
                beat = max(1, int(template.stream(int(stream)).words[0]))
                total -= many * int(template.streams["rows"][stream])
                total += int((-(-words.astype(np.int64) // beat)).sum())
        return total

    # ---------------------------------------------------------------- templates

    def template(self, number: int) -> Template:
        """Return a pass as a program with dates.

        Raises:
            TraceError: its tables contradict each other.

        """
        kept = self._cache.get(number)
        if kept is not None:
            self._cache.move_to_end(number)
            return kept
        if not 0 <= number < len(self._templates):
            raise self._damaged(f"there is no template {number}")
        spans = {}
        for name in self._tables.schema.parts:
            ends = self._templates[f"{name}_end"]
            first = int(ends[number - 1]) if number else 0
            last = int(ends[number])
            if not 0 <= first <= last <= self._tables.length(name):
                raise self._damaged(f"template {number} ends outside of {name}")
            spans[name] = first, last
        memory = template_memory({name: last - first for name, (first, last) in spans.items()})
        if memory > MOST_TEMPLATE_BYTES:
            raise TraceError(
                self.path,
                f"template {number} takes {memory >> 20} MiB of memory, limit "
                f"{MOST_TEMPLATE_BYTES >> 20}",
            )
        parts = {name: self._tables.read(name, *span) for name, span in spans.items()}
        shape = self.template_shape(number)
        if self._tables.schema.version == 1:
            try:
                shape, parts = version_1.upgraded(shape, parts)
            except ValueError as error:
                raise self._damaged(f"template {number}: {error}") from None
        template = Template(shape=shape, **parts)
        fault = template_fault(template, self.layout)
        if fault:
            raise self._damaged(f"template {number}: {fault}")
        self._cache[number] = template
        while len(self._cache) > 1 and sum(t.rows for t in self._cache.values()) > CACHED_ROWS:
            self._cache.popitem(last=False)
        return template

    @property
    def causes_known(self) -> bool:
        """Whether all events were recorded that say what PEs wait for."""
        return set(NEEDED) <= set(self.restricted.get("blocks", NEEDED))

    def spans(self, number: int, pe: tuple[int, int] | None = None) -> dict[tuple[int, int], Spans]:
        """Return what each PE does in a template's pass, or one of them, by (row, column).

        Raises:
            ValueError: the blocks that say so were not recorded.
            TraceError: its events contradict each other.

        """
        if not self.causes_known:
            raise ValueError(
                "what PEs wait for follows from events of the PEs and of the NoC, and only blocks "
                f"of {', '.join(self.restricted['blocks'])} were recorded"
            )
        spans = PassSpans(self.template(number), self.layout)
        try:
            return spans.everywhere() if pe is None else {pe: spans.of(*pe)}
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
        """Return the events of a template from its start on, with all that it may prefetch."""
        events = self._expanded.get(number)
        if events is not None:
            self._expanded.move_to_end(number)
            return events
        template = self.template(number)
        events = self._expand(template)
        self._expanded[number] = events
        while len(self._expanded) > 1 and sum(map(len, self._expanded.values())) > CACHED_ROWS // 4:
            self._expanded.popitem(last=False)
        return events

    def _expand(self, template: Template) -> Events:
        # Column by column: a pass of the largest layers has five million rows.
        numbers = np.array([self._set_number(members) for members in template.sets], np.int64)
        order = np.argsort(template.starts, kind="stable")
        streams, size = template.streams, template.rows
        words = template.whole_column("words")
        if len(template.data):
            lengths = np.where(np.repeat(streams["has_data"], streams["rows"]), words, 0)
            ends, data = data_at(order, np.cumsum(lengths, dtype=np.int64), template.data)
            del lengths
        else:
            ends, data = same(0, size), template.data
        return Events(
            layer=same(0, size),
            pass_=same(0, size),
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
        """Return a query by names; `passes` and `cycles` are [first, last).

        Raises:
            ValueError: an unknown name.

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
        """Return events pass by pass, in order; each pass's by start and block."""
        query = query if query is not None else Query()
        for layer in self.layers:
            if query.layers is not None and layer.number not in query.layers:
                continue
            for place in self.places(layer, query):
                events = self.pass_events(layer, place)
                wanted = matching(events, query)
                if len(wanted):
                    yield wanted

    def places(self, layer: LayerTrace, query: Query) -> Iterator[int]:
        """Return the rows of the layer's table of passes that may have what the query wants."""
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
        """Return all events of a pass of the layer, the row `place` of its table of passes.

        Tiles are not among them: they run on the clock of the total latency (`LayerTrace.tiles`).
        """
        row = layer.passes[place]
        events = self.expand(int(row["template"]))
        # A template has all beats that the link would have prefetched for the largest pass to come:
        # what comes next is not known when it is recorded. Of these the pass claims the first.
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
                events = events.having(words=words)
        size = len(events)
        return events.having(
            layer=same(layer.number, size),
            pass_=same(int(row["index"]), size),
            start=events.start + int(row["start"]),
        )

    def events(self, query: Query | None = None, **names: Any) -> Events:
        """Return all events that a query wants, in one piece: keep the query narrow.

        Without a query the names are those of `query`.
        """
        return join_events(list(self.batches(query if query is not None else self.query(**names))))

    # ---------------------------------------------------------------- reading

    def _refuse(self, fault: str) -> None:
        if fault:
            raise self._damaged(fault)

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
        """Return at most how many bytes the results of all layers take together."""
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
            data = read_json(raw)
        except (ValueError, RecursionError):
            raise self._damaged(f"{name} is no JSON") from None
        if not isinstance(data, dict):
            raise self._damaged(f"{name} is no JSON object")
        return data

    def _read_layers(self) -> list[LayerTrace]:
        tables = self._tables
        passes = tables.read("passes", 0, tables.length("passes"))
        tiles = tables.read("tiles", 0, tables.length("tiles"))
        ends = tables.read("layer_ends", 0, tables.length("layer_ends")).tolist()
        result_ends = tables.read("result_ends", 0, tables.length("result_ends")).tolist()
        for name, text_ends in (("layer", ends), ("result", result_ends)):
            if sorted(text_ends) != text_ends or (text_ends and text_ends[0] < 0):
                raise self._damaged(f"{name}_ends do not grow")
            if (text_ends[-1] if text_ends else 0) != tables.length(f"{name}_text"):
                raise self._damaged(f"{name}_ends and {name}_text do not agree")
        if not len(ends) - 1 <= len(result_ends) <= len(ends):
            raise self._damaged("layers and results do not agree")
        self._refuse(passes_fault(passes, tiles, len(ends), len(self._templates)))
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
