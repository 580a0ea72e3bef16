"""Values of Timeloop's YAML with the place of each, for messages with file and line."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workloads.inputs.document import Document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import DocumentPath, one_line, shown

LARGEST: Final = 2**53
"""Largest count: the program counts in doubles, which are exact up to here."""

_LONGEST_EXPRESSION = 200
_LARGEST_POWER = 64

Number = int | float


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > _LARGEST_POWER:
        raise ValueError("its power is too large")
    return base**exponent


_BINARY: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Number]]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "log2": math.log2,
    "max": max,
    "min": min,
    "pow": _power,
    "sqrt": math.sqrt,
}


@dataclass(frozen=True)
class Node:
    """A value of a document and the path to it."""

    document: Document
    path: DocumentPath
    data: Any

    def fault(self, message: str) -> Fault:
        """Return the fault of this value."""
        return self.document.fault(self.path, message)

    def refuse(self, message: str) -> InputError:
        """Return the error of this value alone."""
        return InputError(self.fault(message))

    def get(self, *names: str) -> Node | None:
        """Return what stands under the first of these keys; hyphens are underscores."""
        keys = self.keys()
        for name in names:
            key = keys.get(_plain(name))
            if key is not None and self.data[key] is not None:
                return Node(self.document, (*self.path, key), self.data[key])
        return None

    def need(self, *names: str) -> Node:
        """Return what stands under the first of these keys, which must be there.

        Raises:
            InputError: it is missing.

        """
        found = self.get(*names)
        if found is None:
            raise self.refuse(f"needs {' or '.join(names)}")
        return found

    def keys(self) -> dict[str, str]:
        """Return the keys of a mapping as written, by their names with underscores."""
        if not isinstance(self.data, dict):
            raise self.refuse(f"must be a mapping of keys to values, got {shown(self.data)}")
        return {_plain(key): key for key in self.data}

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield the keys of a mapping with their values."""
        for key in self.keys().values():
            yield key, Node(self.document, (*self.path, key), self.data[key])

    def items(self) -> list[Node]:
        """Return the items of a list.

        Raises:
            InputError: it is no list.

        """
        if not isinstance(self.data, list):
            raise self.refuse(f"must be a list, got {shown(self.data)}")
        return [
            Node(self.document, (*self.path, place), item) for place, item in enumerate(self.data)
        ]

    def text(self) -> str:
        """Return a text, or a number as it is written.

        Raises:
            InputError: it is neither, or not printable.

        """
        if isinstance(self.data, bool) or not isinstance(self.data, str | int | float):
            raise self.refuse(f"must be text, got {shown(self.data)}")
        try:
            return one_line(str(self.data))
        except ValueError as error:
            raise self.refuse(str(error)) from None

    def names(self) -> list[str]:
        """Return the texts of a list, or of a text with blanks or commas between."""
        if isinstance(self.data, list):
            return [item.text() for item in self.items()]
        return self.text().replace(",", " ").split()

    def truth(self) -> bool:
        """Return true or false."""
        if not isinstance(self.data, bool):
            raise self.refuse(f"must be true or false, got {shown(self.data)}")
        return self.data

    def number(self, variables: Mapping[str, Node] | None = None) -> Number:
        """Return a number, or the value of an expression in `variables`.

        Raises:
            InputError: it is neither, or not finite.

        """
        value = self._number(variables or {}, frozenset())
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise self.refuse(f"must be a number up to 2**53, got {shown(self.data)}")
        return value

    def whole(
        self, least: int = 1, variables: Mapping[str, Node] | None = None, most: int = 2**31
    ) -> int:
        """Return a whole number from `least` to `most`.

        Raises:
            InputError: it is none.

        """
        value = self.number(variables)
        if value != int(value) or not least <= value <= most:
            raise self.refuse(f"must be a whole number from {least} to {most}, got {value}")
        return int(value)

    def _number(self, variables: Mapping[str, Node], within: frozenset[str]) -> Number:
        if isinstance(self.data, int | float) and not isinstance(self.data, bool):
            return self.data
        if not isinstance(self.data, str):
            raise self.refuse(f"must be a number, got {shown(self.data)}")
        if len(self.data) > _LONGEST_EXPRESSION:
            raise self.refuse(f"is longer than {_LONGEST_EXPRESSION} characters, no number")

        def value(part: ast.expr) -> Number:
            if isinstance(part, ast.Constant) and type(part.value) in (int, float):
                return part.value  # type: ignore[return-value]  # by the test
            if isinstance(part, ast.BinOp) and type(part.op) in _BINARY:
                return _bounded(_BINARY[type(part.op)](value(part.left), value(part.right)))
            if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub | ast.UAdd):
                inner = value(part.operand)
                return -inner if isinstance(part.op, ast.USub) else inner
            if (
                isinstance(part, ast.Call)
                and isinstance(part.func, ast.Name)
                and part.func.id in _FUNCTIONS
                and not part.keywords
            ):
                return _bounded(_FUNCTIONS[part.func.id](*map(value, part.args)))
            if isinstance(part, ast.Name):
                if part.id in within:
                    raise ValueError(f"{part.id} goes in a circle")
                if part.id in variables:
                    return variables[part.id]._number(variables, within | {part.id})
                raise ValueError(f"no variable or attribute {part.id}")
            raise ValueError("only numbers, names and + - * / ** ( ) are evaluated")

        try:
            return value(ast.parse(self.data.strip(), mode="eval").body)
        except (ArithmeticError, SyntaxError, TypeError, ValueError) as error:
            reason = "no number" if isinstance(error, SyntaxError) else error
            raise self.refuse(f"{shown(self.data)}: {reason}") from None
        except (MemoryError, RecursionError):
            raise self.refuse(f"{shown(self.data)}: nested too deeply") from None


def _bounded(value: Number) -> Number:
    # Complex numbers come of roots, huge ones of powers of powers.
    if isinstance(value, complex) or abs(value) > 2.0**128:
        raise ValueError("a part of it is too large or no real number")
    return value


def _plain(name: str) -> str:
    return name.replace("-", "_")
