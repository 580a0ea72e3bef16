"""Hardware descriptions from files: shipped ones, the user's own, and single fields overridden.

A file is complete, or it names a `base` and gives only what differs from it. Whatever is wrong,
in the file, its bases or the overrides, is reported together, each fault at the place of its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from hw_models.bases import MAX_BASES, Family
from hw_models.spec import WORDS, Hardware, WordBits
from workloads.inputs.document import parse_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import DocumentPath, closest, plain, shown, unknown_name

__all__ = ["MAX_BASES", "load_hardware", "shipped_hardware"]

_FAMILY = Family(
    Hardware,
    Path(__file__).parent / "data",
    "eyeriss_*.yaml",
    shipped_kind="shipped hardware",
    file_kind="a hardware file",
    short=(("word_bits", WORDS),),
)


def shipped_hardware() -> tuple[str, ...]:
    """Return the names that `load_hardware` and `base:` accept without a file, sorted."""
    return _FAMILY.shipped()


def load_hardware(name_or_path: str, overrides: Sequence[str] = ()) -> Hardware:
    """Return the chip that a shipped name or a YAML file describes.

    `name_or_path` is a path when it contains a separator, ends in .yaml or .yml, or is an existing
    file that has no shipped name. `overrides` are dotted fields with a YAML value, such as
    `array.rows=24` or `limits.vertical_strides=[1, 2]`; a later one replaces an earlier one.

    Raises `InputError` with every fault of the file, its bases and the overrides. A fault of an
    override has no file, and `--set` with its text as its field.
    """
    faults: list[Fault] = []
    settings: list[_Setting] = []
    for text in overrides:
        try:
            settings.append(_Setting.parse(text))
        except InputError as error:
            faults += error.faults
    try:
        hardware = _FAMILY.load(name_or_path, settings)
    except InputError as error:
        faults += error.faults
    if faults:
        # What has no line, such as how many more there are, comes after what has.
        raise InputError(*sorted(faults, key=lambda f: (f.file, f.line is None, f.line or 0)))
    return hardware


# --- overrides ------------------------------------------------------------------------------------


def _leaves(model: type[BaseModel]) -> tuple[str, ...]:
    """Return dotted names of all fields that hold a value rather than a section."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names += (f"{name}.{leaf}" for leaf in _leaves(section))
            if section is WordBits:
                names.append(name)  # one number, short for all of it
        else:
            names.append(name)
    return tuple(names)


_FIELDS = _leaves(Hardware)


@dataclass(frozen=True, slots=True)
class _Setting:
    """One override; it owns the value it sets, so faults of that value are reported as its own."""

    text: str
    path: tuple[str, ...] = ()
    value: object = None

    @classmethod
    def parse(cls, text: str) -> _Setting:
        name, equals, value = text.partition("=")
        name = name.strip()
        unparsed = cls(text)
        if not equals or not name:
            raise InputError(unparsed.fault((), "must be a field and a value: array.rows=24"))
        if name not in _FIELDS:
            raise InputError(unparsed.fault((), _unknown_field(name)))
        return cls(text, tuple(name.split(".")), unparsed._parse_value(value))

    def fault(self, path: DocumentPath, message: str, about: DocumentPath | None = None) -> Fault:
        return Fault("", None, f"--set {plain(self.text)}", message)

    def _parse_value(self, text: str) -> object:
        # As an item of a list: a document that is nothing but `null` would count as empty.
        try:
            items = parse_document(f"- {text}", "").data
        except InputError as error:
            raise InputError(*(self.fault((), fault.message) for fault in error.faults)) from None
        if not isinstance(items, list) or len(items) != 1 or isinstance(items[0], dict):
            raise InputError(self.fault((), "the value must be a single value or a list"))
        return items[0]


def _unknown_field(name: str) -> str:
    section = [field for field in _FIELDS if field.startswith(f"{name.partition('.')[0]}.")]
    near = closest(name, section) or closest(name, _FIELDS)
    if near is not None and near not in section:
        return f"no hardware field {shown(name)}; did you mean {near!r}?"
    # All fields would bury the few that can be meant.
    sections = dict.fromkeys(field.partition(".")[0] for field in _FIELDS)
    return unknown_name("hardware field", name, section or sections)
