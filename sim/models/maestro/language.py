"""MAESTRO's mapping files: constants, a network, and for each layer its directives.

The language is that of MAESTRO (github.com/maestro-project/maestro, commit 4eb08d1; Kwon et al.,
MICRO 2019). Blanks, tabs and the characters `, - > ( ) : ;` separate tokens, a token that begins
with `//` ends its line, and braces are tokens of their own only where separators surround them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from sim.errors import Fault, InputError
from workloads.inputs.document import read_text
from workloads.inputs.words import printable, shown

LARGEST_SIZE: Final = 1_000_000
"""Largest size, offset, cluster or dimension: the tool's 32-bit products overflow far below."""

MOST_LAYERS: Final = 10_000
MOST_DIRECTIVES: Final = 64

Kind = Literal["temporal", "spatial", "cluster"]

_KINDS: Final[dict[str, Kind]] = {
    "TemporalMap": "temporal",
    "SpatialMap": "spatial",
    "Cluster": "cluster",
}
_TYPES = ("CONV", "DSCONV", "NGCONV", "GEMM", "TRCONV")
_WITHOUT_TENSORS = ("FC", "LSTM", "POOL")
_SEPARATORS = re.compile(r"[ ,\->():\t;\r]+")
_LEADING_INT = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of a dataflow: a map of `variable` (size, offset), or a cluster of `size`.

    `variable` is empty for a cluster. `line` counts from 1.
    """

    kind: Kind
    size: int
    offset: int
    variable: str
    line: int

    def __str__(self) -> str:
        if self.kind == "cluster":
            return f"Cluster({self.size})"
        name = "TemporalMap" if self.kind == "temporal" else "SpatialMap"
        return f"{name}({self.size},{self.offset}) {self.variable}"


@dataclass(frozen=True)
class Layer:
    """A layer as it is written: sizes by name (`Y'` and `X'` among them), strides, directives."""

    name: str
    type: str
    dims: dict[str, int]
    strides: dict[str, int]
    directives: tuple[Directive, ...]
    line: int


@dataclass(frozen=True)
class Network:
    """A mapping file: the network's name and its layers, with the name of the file."""

    file: str
    name: str
    layers: tuple[Layer, ...]

    def fault(self, layer: Layer, message: str, line: int | None = None) -> Fault:
        """Name the line (the layer's own without `line`) and the layer of a fault."""
        return Fault(self.file, layer.line if line is None else line, layer.name, message)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


@dataclass
class _Draft:
    name: str
    line: int
    type: str = ""
    dims: dict[str, int] = field(default_factory=dict)
    strides: dict[str, int] = field(default_factory=dict)
    directives: list[Directive] = field(default_factory=list)


def read_network(path: str) -> Network:
    """Read a mapping file.

    Raises:
        InputError: the file cannot be read, or breaks a rule of the language; with its line.

    """
    return parse_network(*read_text(path, "a mapping file"))


def parse_network(text: str, file: str) -> Network:
    """Parse the text of a mapping file, named `file` in faults; errors as in `read_network`."""
    return _Parser(file, text).network()


def _tokens(text: str) -> Iterator[_Token]:
    for number, line in enumerate(text.split("\n"), start=1):
        for part in _SEPARATORS.split(line):
            if part.startswith("//"):
                break
            if part:
                yield _Token(printable(part), number)


class _Parser:
    """One walk over the tokens, a method for each kind of body."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.tokens = _tokens(text)
        self.line = 1
        self.constants: dict[str, int] = {}

    def fail(self, message: str) -> NoReturn:
        raise InputError(Fault(self.file, self.line, "", message))

    def next(self, expected: str) -> str:
        """Take the next token; `expected` says what, should the file end here."""
        token = next(self.tokens, None)
        if token is None:
            self.fail(f"the file ends where {expected} is expected")
        self.line = token.line
        return token.text

    def take(self, text: str, where: str) -> None:
        found = self.next(f"'{text}'")
        if found != text:
            joined = len(found) > 1 and text in found
            hint = f"; set '{text}' apart with blanks" if joined else ""
            self.fail(f"{where}: expected '{text}', got {shown(found)}{hint}")

    def network(self) -> Network:
        name, layers, seen = "", list[Layer](), False
        for token in self.tokens:
            self.line = token.line
            if token.text == "Constant":
                constant = self.next("the name of a constant")
                self.constants[constant] = self.integer(self.next("its value"), "Constant")
            elif token.text == "Network":
                seen = True
                while (word := self.next("'{'")) != "{":
                    name = word
                layers.extend(self.layers())
            elif token.text == "Accelerator":
                self.fail("Accelerator descriptions are not evaluated; give the options instead")
            else:
                self.fail(f"expected Network or Constant, got {shown(token.text)}")
        if not seen:
            self.fail("holds no Network")
        if not layers:
            self.fail("the network has no layer")
        return Network(self.file, name, tuple(layers))

    def layers(self) -> Iterator[Layer]:
        count = 0
        while (word := self.next("'}' of the network")) != "}":
            if word != "Layer":
                self.fail(f"expected Layer or '}}', got {shown(word)}")
            count += 1
            if count > MOST_LAYERS:
                self.fail(f"more than {MOST_LAYERS} layers")
            yield self.layer()

    def layer(self) -> Layer:
        draft = _Draft("Layer", self.line)
        while (word := self.next("'{' of the layer")) != "{":
            draft.name = word
        while (word := self.next("'}' of the layer")) != "}":
            if word == "Type":
                draft.type = self.layer_type()
            elif word == "Stride":
                if draft.dims:
                    self.fail("Stride must stand before Dimensions")
                draft.strides = self.sizes("Stride")
            elif word == "Dimensions":
                draft.dims.update(self.sizes("Dimensions"))
            elif word == "Dataflow":
                self.take("{", "Dataflow")
                self.dataflow(draft)
            else:
                self.fail(
                    "expected Type, Stride, Dimensions, Dataflow or '}' in a layer, got "
                    f"{shown(word)}"
                )
        if not draft.type:
            self.fail(f"layer {draft.name} has no Type")
        if not draft.directives:
            raise InputError(
                Fault(
                    self.file,
                    draft.line,
                    draft.name,
                    "has no Dataflow: MAESTRO reuses the list of the layer before, which its "
                    "analysis has altered by then, or crashes; write the directives out",
                )
            )
        return Layer(
            draft.name, draft.type, draft.dims, draft.strides, tuple(draft.directives), draft.line
        )

    def layer_type(self) -> str:
        word = self.next("a layer type")
        if word in _WITHOUT_TENSORS:
            self.fail(
                f"MAESTRO has no tensors for {word} and crashes; write it as CONV (R=Y, S=X) or "
                "GEMM"
            )
        if word not in _TYPES:
            self.fail(f"Type must be one of {', '.join(_TYPES)}, got {shown(word)}")
        # A transposed convolution is evaluated as a plain one of the sizes given.
        return "CONV" if word == "TRCONV" else word

    def sizes(self, where: str) -> dict[str, int]:
        self.take("{", where)
        found: dict[str, int] = {}
        while (name := self.next(f"'}}' of {where}")) != "}":
            found[name] = self.size(self.next(f"the size of {name}"), f"{where} {name}")
        return found

    def dataflow(self, draft: _Draft) -> None:
        while (word := self.next("'}' of the Dataflow")) != "}":
            if word not in _KINDS:
                self.fail(f"expected TemporalMap, SpatialMap, Cluster or '}}', got {shown(word)}")
            kind, line = _KINDS[word], self.line
            if kind == "cluster":
                size = self.argument(draft, word)
                self.next("P or L")  # physical or logical, which changes nothing
                draft.directives.append(Directive(kind, size, 0, "", line))
            else:
                size, offset = self.argument(draft, word), self.argument(draft, word)
                variable = self.next("the variable of the map")
                draft.directives.append(Directive(kind, size, offset, variable, line))
                self.whole_filter(draft, draft.directives[-1])
            if len(draft.directives) > MOST_DIRECTIVES:
                self.fail(f"more than {MOST_DIRECTIVES} directives")

    def whole_filter(self, draft: _Draft, directive: Directive) -> None:
        """Refuse a part of the filter's rows or columns: it is never cut in time."""
        if directive.kind == "spatial" or directive.variable not in ("R", "S"):
            return
        whole = draft.dims.get(directive.variable, directive.size)
        if not directive.size == directive.offset == whole:
            self.fail(
                f"{directive}: a TemporalMap of {directive.variable} must take all of it, "
                f"({whole},{whole}); MAESTRO cuts filters in space alone"
            )

    def argument(self, draft: _Draft, where: str) -> int:
        word = self.next(f"an argument of {where}")
        if word != "Sz":
            return self.size(word, where)
        variable = self.next("the dimension of Sz()")
        if variable not in draft.dims:
            self.fail(f"{where}: Sz({variable}): the Dimensions have no {shown(variable)}")
        return draft.dims[variable]

    def size(self, word: str, where: str) -> int:
        value = self.constants[word] if word in self.constants else self.integer(word, where)
        if not 1 <= value <= LARGEST_SIZE:
            self.fail(f"{where}: must be 1 to {LARGEST_SIZE}, got {shown(word)}")
        return value

    def integer(self, word: str, where: str) -> int:
        """Read digits as C's atoi does, which stops at the first other character."""
        found = _LEADING_INT.match(word)
        if found is None or len(found.group()) > len(str(LARGEST_SIZE)) + 1:
            self.fail(f"{where}: must be a number from 1 to {LARGEST_SIZE}, got {shown(word)}")
        return int(found.group())
