"""What hardware descriptions and energy tables have in common: sections, lists, conflicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails

__all__ = ["Conflict", "Section", "as_tuple", "refuse"]


class Section(BaseModel):
    """A part of a file: immutable, hashable, and nothing in it is converted or ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def as_tuple(value: object) -> object:
    """Return a list as a tuple: YAML and JSON have none, and a strict model refuses a list."""
    return tuple(value) if isinstance(value, list) else value


class Conflict(NamedTuple):
    """Fields that are each legal but not together; it is shown at the field `at`."""

    at: tuple[str, ...]
    value: object
    message: str


def refuse(model: str, conflicts: Iterable[Conflict]) -> None:
    """Raise `pydantic.ValidationError` with all conflicts, each at its own field; none is no error.

    A plain ValueError of a model validator would stand at the whole section, and only the first
    one would be seen.
    """
    details = [
        InitErrorDetails(
            type="value_error",
            loc=conflict.at,
            input=conflict.value,
            ctx={"error": ValueError(conflict.message)},
        )
        for conflict in conflicts
    ]
    if details:
        raise ValidationError.from_exception_data(model, details)
